/* json/filter.h - keeping parts of a JSON value: _source filtering and ?filter_path.
 *
 * Patterns are dotted paths with '*' in a name; arrays are looked through.
 *   _source:      includes keep a path and all below it ("exif" keeps "exif.date"); excludes win.
 *   filter_path:  as Elasticsearch's: '**' spans any number of names, a leading '-' excludes.
 * Thread-safe; patterns are borrowed.
 */
#ifndef VZ_JSON_FILTER_H
#define VZ_JSON_FILTER_H

#include "json/json.h"

struct vz_json_patterns {
    const struct vz_slice *items;
    size_t count;
};

/* Appends `value` (an object) without what the patterns leave out; compact JSON; "{}" when nothing
 * stays. Empty includes keep everything. */
void vz_json_filter_source(struct vz_json value, struct vz_json_patterns includes,
                           struct vz_json_patterns excludes, struct vz_buf *out);
/* The same of an object's text that was checked before, where its own members alone are kept or
 * left out: what is left out is not read. False, and nothing appended, where the patterns reach
 * into a member: parse it then. */
bool vz_json_filter_source_text(struct vz_slice text, struct vz_json_patterns includes,
                                struct vz_json_patterns excludes, struct vz_buf *out);
/* True when the value at `path` ("image_embedding", "exif.date") would be kept. */
bool vz_json_source_keeps(struct vz_json_patterns includes, struct vz_json_patterns excludes,
                          struct vz_slice path);
/* filter_path over a whole answer. `paths` is the comma-separated parameter. Empty objects left
 * over are dropped; "{}" when nothing stays. */
void vz_json_filter_path(struct vz_json value, struct vz_slice paths, struct vz_buf *out);

#endif
