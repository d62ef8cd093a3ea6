/* ingest/grok.h - the table of grok's patterns. Private to grok*.c. */
#ifndef VZ_INGEST_GROK_H
#define VZ_INGEST_GROK_H

#include "ingest/parts.h"

struct vz_grok_pattern {
    const char *name, *text;
};
extern const struct vz_grok_pattern vz_grok_patterns[];
extern const size_t vz_grok_pattern_count;
/* Those that are different with ecs_compatibility v1. */
extern const struct vz_grok_pattern vz_grok_patterns_v1[];
extern const size_t vz_grok_pattern_v1_count;

#endif
