/* store/completion.h - values of completion fields, between document.c, texts.c and completion.c.
 */
#ifndef VZ_STORE_COMPLETION_H
#define VZ_STORE_COMPLETION_H

#include "store/document_parts.h"
#include "text/analysis.h"

/* Notes one input. VZ_BAD_ARGUMENT for reserved characters. */
enum vz_status vz_completion_add(struct vz_doc_reader *reader, const struct vz_field *field,
                                 struct vz_slice input, uint32_t weight, struct vz_error *err);
/* Calls `each` for each input of {"input": ..., "weight": ...}; stops at its failure.
 * VZ_BAD_ARGUMENT with Elasticsearch's words. */
enum vz_status vz_completion_read_object(
    const struct vz_field *field, struct vz_json object, uint32_t *weight,
    enum vz_status (*each)(void *context, struct vz_slice input, uint32_t weight), void *context,
    struct vz_error *err);
/* The one token of what was noted (none when its analysis gives nothing), in the arena. */
enum vz_status vz_completion_tokens(const struct vz_field *field, struct vz_slice noted,
                                    struct vz_tokens *scratch, struct vz_arena *arena,
                                    struct vz_tokens *out, struct vz_error *err);

#endif
