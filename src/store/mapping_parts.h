/* store/mapping_parts.h - what the files mapping*.c and document*.c share about a mapping.
 *
 * Private to those files. A field of the public header is the first member of a vz_mapping_node;
 * nodes form the tree of objects, properties and multi-fields. Everything a mapping points to lives
 * in its own arena, so that a mapping is one thing to copy and to free.
 *
 *   mapping.c           the tree: new, copied, added to, found
 *   mapping_merge.c     a mappings body into a copy, and what is checked of the whole
 *   mapping_root.c      the members beside "properties"
 *   mapping_types.c     the types, which parameters each takes, which may change
 *   mapping_text.c      analysis and postings; mapping_shingles.c search_as_you_type
 *   mapping_vector.c    dense_vector; mapping_semantic.c semantic_text
 *   mapping_rules.c     limits and defaults from the index's settings
 *   mapping_template.c  dynamic templates
 *   mapping_print.c     as GET _mapping shows it and as the disk keeps it
 */
#ifndef VZ_STORE_MAPPING_PARTS_H
#define VZ_STORE_MAPPING_PARTS_H

#include "base/strmap.h"
#include "store/mapping.h"

#include <stdatomic.h>

#define VZ_MAX_MAPPING_DEPTH 20 /* index.mapping.depth.limit */
/* Of a whole path. A path is built and hashed for each member of each object, so without a limit a
 * document of one long name and many small objects would cost their product. */
#define VZ_MAX_PATH_BYTES 2048

/* A parameter as it was given, for printing back and for comparing on a merge. */
struct vz_mapping_param {
    struct vz_slice name;
    struct vz_slice json;
};

struct vz_mapping_node {
    struct vz_field field; /* first: a field's address is its node's */
    bool dynamic_set, enabled_set;
    bool include_in_parent, include_in_root; /* nested */
    bool coerce;                /* numbers: 1.5 and "7" are fine for an integer */
    bool dims_in_params;        /* dims were given, not taken from the first vector */
    bool indexed_terms;         /* keyword: over-long values are an error, not only kept */
    bool index_given_false;     /* "index": false, whatever doc values make of `indexed` */
    struct vz_slice rescore;    /* dense_vector: JSON of index_options.rescore_vector */
    struct vz_slice confidence; /* JSON number of index_options.confidence_interval */
    struct vz_slice alias_path;
    struct vz_slice *copy_to; /* paths, in the arena */
    size_t copy_to_count;
    struct vz_mapping_param *params; /* without type, properties, fields, dynamic, enabled */
    size_t param_count;
    uint16_t first_child, last_child; /* properties, or multi-fields of a leaf */
    uint16_t next_sibling;
};

struct vz_mapping {
    atomic_uint references;
    struct vz_analysis *analysis; /* a reference */
    struct vz_arena arena;
    struct vz_mapping_node *nodes; /* [VZ_MAX_FIELDS], in the arena; pointers stay valid */
    size_t count;
    struct vz_strmap by_path; /* full path -> id */
    uint16_t first_child, last_child;
    enum vz_dynamic dynamic;
    bool dynamic_set;
    bool date_detection, numeric_detection;
    struct vz_mapping_rules rules;
    /* _source.includes and .excludes */
    struct vz_slice *source_includes, *source_excludes;
    size_t source_include_count, source_exclude_count;
    bool has_constants; /* a constant_keyword with a value */
    uint64_t semantics; /* vz_mapping_semantics */
    size_t base_count;  /* fields of what is being merged into */
    bool loading;       /* from disk: what a newer version refuses was taken once, and stays */
    struct vz_mapping_param *params; /* _meta, date_detection ... in the order given */
    size_t param_count;
};

static inline const struct vz_mapping_node *vz_mapping_node_of(const struct vz_field *field)
{
    return (const struct vz_mapping_node *)field;
}
static inline bool vz_field_is_object(const struct vz_field *field)
{
    return field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED;
}
static inline bool vz_field_is_integer(const struct vz_field *field)
{
    return field->type >= VZ_FIELD_LONG && field->type <= VZ_FIELD_UNSIGNED_LONG;
}
static inline bool vz_field_is_number(const struct vz_field *field)
{
    return (field->type >= VZ_FIELD_LONG && field->type <= VZ_FIELD_HALF_FLOAT) ||
           field->type == VZ_FIELD_SCALED_FLOAT;
}

/* Known to Elasticsearch, not done here. */
bool vz_field_type_is_foreign(struct vz_slice name);

/* Fails with VZ_BAD_MAPPING and "Failed to parse mapping: ...", the text alone as the cause. */
enum vz_status vz_mapping_fault(struct vz_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum vz_status vz_mapping_unsupported(struct vz_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The fault that says which parameter is unknown, with its value; an empty path: of the root, and
 * `root_text` begins the sentence. VZ_BAD_MAPPING. */
enum vz_status vz_mapping_unsupported_parameter(struct vz_slice path, struct vz_slice key,
                                                struct vz_json value, const char *root_text,
                                                struct vz_error *err);

/* One of its own with the same fields, ids and parameters; NULL: an empty one. */
struct vz_mapping *vz_mapping_copy(const struct vz_mapping *from);

/* Adds one parameter (copied into the arena) to a list. */
void vz_mapping_param_add(struct vz_mapping *mapping, struct vz_mapping_param **params,
                          size_t *count, struct vz_slice name, struct vz_json value);

/* Reads the parameters of a leaf's definition into the node: checks names and values, fills the
 * public field (not id, path, name, parent). node->field.type is set already. */
enum vz_status vz_mapping_read_params(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      struct vz_json definition, struct vz_error *err);
/* May `to` replace `from`, both read by vz_mapping_read_params? */
enum vz_status vz_mapping_check_update(const struct vz_mapping_node *from,
                                       const struct vz_mapping_node *to, struct vz_error *err);
/* Derives column, flat, index_type defaults ... from what was read. */
void vz_mapping_settle_field(struct vz_mapping_node *node);

/* A new child (name is one part, no dots) under `parent` (VZ_NO_FIELD: the root), with id and path
 * set and everything else as a default object. VZ_LIMIT when there are too many or too deep. */
enum vz_status vz_mapping_add(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                              struct vz_mapping_node **out, struct vz_error *err);
/* No field of a client has this name. */
#define VZ_KEYED_NAME "\x01"
enum vz_status vz_mapping_add_keyed(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                    bool existed, struct vz_error *err);
/* The child of that name or NULL. */
struct vz_mapping_node *vz_mapping_child(const struct vz_mapping *mapping, uint16_t parent,
                                         struct vz_slice name);
/* The members of a "properties" object, merged under `parent`. */
enum vz_status vz_mapping_merge_properties(struct vz_mapping *mapping, uint16_t parent,
                                           struct vz_json properties, struct vz_error *err);
/* Aliases point to ids once all fields are there. */
enum vz_status vz_mapping_resolve_aliases(struct vz_mapping *mapping, struct vz_error *err);
/* Finds the analyzers that the fields name. lenient: one that is not there is the default one. */
enum vz_status vz_mapping_resolve_analyzers(struct vz_mapping *mapping, bool lenient,
                                            struct vz_error *err);
/* Reads a parameter of text and keyword fields that means something to analysis or postings. */
enum vz_status vz_mapping_read_text(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                    struct vz_slice name, struct vz_json value,
                                    struct vz_error *err);
/* mapping_shingles.c: the hidden multi-fields of a search_as_you_type, which follow it. */
enum vz_status vz_mapping_add_shingles(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                       struct vz_error *err);
/* What such a multi-field is by its name; false: `name` is none of `above`. */
bool vz_mapping_settle_shingles(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                struct vz_mapping_node *node);
enum vz_status vz_mapping_resolve_shingles(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                           struct vz_error *err);
/* Whether it has children that a client is shown. */
bool vz_mapping_shows_children(const struct vz_mapping *mapping,
                               const struct vz_mapping_node *node);
/* Reads one member of the root ("dynamic", "_meta", ...), not "properties". */
enum vz_status vz_mapping_read_root(struct vz_mapping *mapping, struct vz_slice key,
                                    struct vz_json value, struct vz_error *err);
enum vz_status vz_mapping_read_dynamic(struct vz_json value, struct vz_slice where,
                                       enum vz_dynamic *out, struct vz_error *err);
const char *vz_dynamic_name(enum vz_dynamic dynamic);

/* Appends the definition of one field as GET _mapping prints it, with its children. dims: shown
 * instead of the field's own when not 0 (the first vector of a field sets them). */
void vz_mapping_print_field(const struct vz_mapping *mapping, const struct vz_mapping_node *node,
                            uint32_t dims, struct vz_json_writer *w);

/* Does the field's null_value parse as one of its values? The field is settled. */
enum vz_status vz_null_value_check(const struct vz_field *field, struct vz_json value,
                                   struct vz_error *err);

void vz_mapping_include(struct vz_mapping_node *node);
void vz_mapping_scope_vector(const struct vz_mapping *mapping, struct vz_mapping_node *node);

/* mapping_rules.c */
extern const struct vz_mapping_rules vz_mapping_standard_rules;
/* Defaults of parameters that the node was not given. */
void vz_mapping_apply_rules(const struct vz_mapping *mapping, struct vz_mapping_node *node);
/* All limits but that of depth; `before`: how many nodes there were. VZ_LIMIT. */
enum vz_status vz_mapping_check_limits(const struct vz_mapping *mapping, size_t before,
                                       struct vz_error *err);
/* Whether fields of the type have the parameter. */
bool vz_mapping_takes(enum vz_field_type type, const char *parameter);
/* Plain decimal text. */
bool vz_text_number(struct vz_slice text, double *out);

/* ---- mapping_template.c: dynamic templates -------------------------------------------------- */

/* What a value is to a dynamic template. */
enum vz_dynamic_kind {
    VZ_DYNAMIC_OBJECT,
    VZ_DYNAMIC_STRING,
    VZ_DYNAMIC_LONG,
    VZ_DYNAMIC_DOUBLE,
    VZ_DYNAMIC_BOOLEAN,
    VZ_DYNAMIC_DATE,
    VZ_DYNAMIC_BINARY,
    VZ_DYNAMIC_KINDS
};
/* Checks the value of "dynamic_templates": their form, their patterns, and that each mapping makes
 * a field of some type that it matches. */
enum vz_status vz_templates_check(struct vz_mapping *mapping, struct vz_json templates,
                                  struct vz_error *err);
/* The definition that the first matching template gives, appended as JSON; false: none matches.
 * date_format: of a date that was detected by another format than the default; or empty. */
bool vz_templates_find(struct vz_json templates, struct vz_slice path, enum vz_dynamic_kind kind,
                       struct vz_slice date_format, struct vz_buf *out);
/* The JSON of a root parameter, empty without one. */
struct vz_slice vz_mapping_root_param(const struct vz_mapping *mapping, const char *name);

#endif
