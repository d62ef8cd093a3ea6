/* rest/template.h - what the files of templates share. Private to the room. */
#ifndef VZ_REST_TEMPLATE_H
#define VZ_REST_TEMPLATE_H

#include "rest/parts.h"
#include "store/templates.h"

/* One template read back: its text in the call's arena, parsed. vz_template_close. */
struct vz_template {
    struct vz_slice name, text;
    struct vz_json_doc *doc;
    struct vz_json body;
};
bool vz_template_open(struct vz_call *call, struct vz_slice kind, struct vz_slice name,
                      struct vz_template *found);
void vz_template_close(struct vz_template *opened);
/* The names of that kind that an expression (wildcards, commas; empty: all) names, in the arena.
 * *missing: the first plain name that is not there, or empty. */
size_t vz_template_names(struct vz_call *call, struct vz_slice kind, struct vz_slice expression,
                         struct vz_slice **names, struct vz_slice *missing);
/* Answers GET: {LIST: [{"name":.., ITEM: the template}]} of what args[0] names, or 404 where it names
 * none that is there (`what`: "index template"). */
void vz_template_list(struct vz_call *call, struct vz_slice kind, const char *what,
                      const char *list, const char *item);
/* Keeps the body `text` as `name`, under the templates' lock, unless it is there and was not to be
 * (`what`) or `check` finds a problem. Frees `text`; acknowledges. */
void vz_template_put(struct vz_call *call, struct vz_slice kind, const char *what,
                     bool (*check)(struct vz_call *call, struct vz_slice name, struct vz_json body),
                     struct vz_buf *text);
/* Deletes what args[0] names, under the templates' lock. `check` makes the problem, if there is one:
 * `missing` is a plain name that is not there or a pattern without a match, or empty. Acknowledges. */
void vz_template_delete(struct vz_call *call, struct vz_slice kind,
                        void (*check)(struct vz_call *call, const struct vz_slice *names,
                                      size_t count, struct vz_slice missing));
/* Elasticsearch's rules for a template's name. */
bool vz_template_check_name(struct vz_call *call, struct vz_slice name, const char *type);
/* "index_patterns": a string or strings, printed as a list. False with a problem. */
bool vz_template_patterns(struct vz_call *call, struct vz_json value, struct vz_json_writer *w);
/* {"settings","mappings","aliases"} checked and printed as kept: settings as strings below
 * "index". False with a problem. */
bool vz_template_part(struct vz_call *call, const char *label, struct vz_json value,
                      struct vz_json_writer *w);
/* Prints settings/mappings/aliases that were kept, settings flat when asked. */
void vz_template_print_part(struct vz_call *call, struct vz_json part);
/* The names of templates of that kind whose patterns meet `patterns`, but `skip`; "a,b" and
 * "a => [x*],b => [y*]" are appended. How many. */
struct vz_overlap {
    struct vz_buf names, rules;
    size_t count;
};
void vz_template_overlaps(struct vz_call *call, struct vz_slice kind, struct vz_json patterns,
                          struct vz_slice skip, bool same_priority, int64_t priority,
                          struct vz_overlap *overlap);
void vz_overlap_deinit(struct vz_overlap *overlap);
/* "[a*, b*]" */
void vz_template_print_list(struct vz_json list, struct vz_buf *out);

#endif
