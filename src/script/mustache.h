/* script/mustache.h - {{templates}}: Mustache as Elasticsearch has it, for search templates and for
 * what ingest pipelines put into texts.
 *
 * Variables {{a.b}} (escaped as the options say), {{{a}}} and {{&a}} (not escaped), sections
 * {{#a}}..{{/a}} over lists, objects and what is true, inverted sections {{^a}}..{{/a}}, {{.}},
 * comments, {{=<% %>=}}, and Elasticsearch's functions {{#toJson}}a{{/toJson}},
 * {{#join}}a{{/join}}, {{#join delimiter=';'}}..., {{#url}}...{{/url}}. `list.0` and `list.size`
 * are names. Tags of sections alone on their line take the line with them. No partials: there is
 * nowhere they could come from.
 *
 * Values are written as Java writes them: 1.0, null as nothing, {a=1} and [1, 2] for trees.
 *
 * Bounds: VZ_MUSTACHE_MAX_SOURCE bytes, VZ_MUSTACHE_MAX_DEPTH sections within one another, and for
 * one rendering VZ_MUSTACHE_MAX_STEPS parts and the bytes that the caller gives. Threads: a
 * compiled template may be rendered by any number of threads at once.
 *
 *     vz_mustache_compile(VZ_SLICE("{\"n\": {{n}}}"), NULL, &arena, &template, &err);
 *     vz_mustache_render(template, &(struct vz_mustache_scope){.root = params}, 1 << 20, &out,
 * &err);
 */
#ifndef VZ_SCRIPT_MUSTACHE_H
#define VZ_SCRIPT_MUSTACHE_H

#include "json/value.h"

#define VZ_MUSTACHE_MAX_SOURCE ((size_t)1 << 20)
#define VZ_MUSTACHE_MAX_DEPTH 32
#define VZ_MUSTACHE_MAX_STEPS 1000000

struct vz_mustache;

enum vz_mustache_escape { VZ_MUSTACHE_JSON, VZ_MUSTACHE_PLAIN, VZ_MUSTACHE_URL };
struct vz_mustache_options {
    enum vz_mustache_escape escape; /* of {{a}} */
};

/* The template lives in the arena, the text is copied. options NULL: JSON. Errors: VZ_BAD_ARGUMENT
 * with the offset into the text and what is wrong there ("Mismatched start/end tags: a != b"),
 * VZ_LIMIT. */
enum vz_status vz_mustache_compile(struct vz_slice text, const struct vz_mustache_options *options,
                                   struct vz_arena *arena, struct vz_mustache **out,
                                   struct vz_error *err);

/* Where names come from. */
struct vz_mustache_scope {
    const struct vz_value *root; /* an object; or NULL */
    /* Asked instead of `root` for a whole dotted name; NULL: it has none. Or NULL. */
    const struct vz_value *(*find)(void *context, struct vz_slice path);
    void *context;
};
/* Appends to *out; what was appended before an error stays. Errors: VZ_LIMIT (more than max_bytes,
 * too many steps). */
enum vz_status vz_mustache_render(const struct vz_mustache *template,
                                  const struct vz_mustache_scope *scope, size_t max_bytes,
                                  struct vz_buf *out, struct vz_error *err);
/* Whether there is nothing to fill in. */
bool vz_mustache_is_constant(const struct vz_mustache *template);

/* A value as Java's toString has it: 12, 1.5, a text as it is, [1, 2], {a=1}. */
void vz_value_display(const struct vz_value *value, struct vz_buf *out);

#endif
