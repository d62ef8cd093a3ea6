/* text/passages_parts.h - what passages.c and fragments.c share. Private to the room. */
#ifndef VZ_TEXT_PASSAGES_PARTS_H
#define VZ_TEXT_PASSAGES_PARTS_H

#include "text/passages.h"

/* Appends units [start, end) as UTF-8; NULs between values are left out. Half a surrogate pair is
 * U+FFFD. */
void vz_units_put(const struct vz_marked_text *text, uint32_t start, uint32_t end, bool html,
                  struct vz_buf *out);
/* Which value a unit is in. */
size_t vz_marked_value(const struct vz_marked_text *text, uint32_t unit);
static inline uint32_t vz_marked_value_end(const struct vz_marked_text *text, size_t value)
{
    return value + 1 < text->count ? text->starts[value + 1] - 1 : text->length;
}
/* Java's String.trim: of anything up to the space. */
struct vz_slice vz_java_trim(struct vz_slice text);

#endif
