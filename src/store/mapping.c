/* store/mapping.c - the tree of fields: new, copied, merged, found.
 *
 * A merge copies the base whole and adds to the copy, so that an error leaves nothing half done and
 * readers of the base never see a change. That costs a few hundred kilobytes at the limit of 1,000
 * fields, and mappings change rarely.
 *
 * Invariants: nodes[i].field.id == i; every path is in by_path exactly once; a child list holds
 * exactly the nodes whose parent it is, in order of their ids; multi-fields hang below leaves,
 * properties below objects.
 */
#include "store/mapping_semantic.h"
#include "text/analysis.h"
#include "json/filter.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- life --------------------------------------------------------------------------------- */

struct vz_mapping *vz_mapping_new(void)
{
    return vz_mapping_new_with(NULL);
}

static struct vz_analysis *built_in;

static void make_built_in(void)
{
    if (vz_analysis_new((struct vz_json){0}, NULL, &built_in, NULL) != VZ_OK)
        abort(); /* nothing was asked for that could fail */
}

struct vz_mapping *vz_mapping_new_with(struct vz_analysis *analysis)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_built_in);
    struct vz_mapping *mapping = vz_calloc(1, sizeof *mapping);
    atomic_init(&mapping->references, 1);
    mapping->nodes = vz_arena_alloc(&mapping->arena, VZ_MAX_FIELDS * sizeof *mapping->nodes);
    mapping->first_child = mapping->last_child = VZ_NO_FIELD;
    mapping->dynamic = VZ_DYNAMIC_TRUE;
    mapping->date_detection = true;
    mapping->rules = vz_mapping_standard_rules;
    mapping->analysis = vz_analysis_acquire(analysis ? analysis : built_in);
    return mapping;
}

struct vz_analysis *vz_mapping_analysis(const struct vz_mapping *mapping)
{
    return mapping->analysis;
}

struct vz_mapping *vz_mapping_acquire(struct vz_mapping *mapping)
{
    atomic_fetch_add_explicit(&mapping->references, 1, memory_order_relaxed);
    return mapping;
}

void vz_mapping_release(struct vz_mapping *mapping)
{
    if (!mapping)
        return;
    /* acq_rel pairs with the other releases: the last one sees all reads done. */
    if (atomic_fetch_sub_explicit(&mapping->references, 1, memory_order_acq_rel) != 1)
        return;
    vz_strmap_deinit(&mapping->by_path);
    vz_analysis_release(mapping->analysis);
    vz_arena_deinit(&mapping->arena);
    free(mapping);
}

static struct vz_mapping_param *copy_params(struct vz_arena *arena,
                                            const struct vz_mapping_param *params, size_t count)
{
    if (count == 0)
        return NULL;
    struct vz_mapping_param *copy = vz_arena_alloc(arena, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].name = vz_arena_copy(arena, params[i].name);
        copy[i].json = vz_arena_copy(arena, params[i].json);
    }
    return copy;
}

static void copy_node(struct vz_mapping *to, const struct vz_mapping_node *node)
{
    struct vz_arena *arena = &to->arena;
    struct vz_mapping_node *copy = &to->nodes[to->count++];
    *copy = *node;
    copy->field.path = vz_arena_copy(arena, node->field.path);
    copy->field.name = vz_arena_copy(arena, node->field.name);
    copy->field.null_value = vz_arena_copy(arena, node->field.null_value);
    copy->field.format = vz_arena_copy(arena, node->field.format);
    copy->field.model = vz_arena_copy(arena, node->field.model);
    copy->field.model_digest = vz_arena_copy(arena, node->field.model_digest);
    copy->field.value = vz_arena_copy(arena, node->field.value);
    copy->field.inference_id = vz_arena_copy(arena, node->field.inference_id);
    copy->field.search_inference_id = vz_arena_copy(arena, node->field.search_inference_id);
    copy->field.chunking = vz_arena_copy(arena, node->field.chunking);
    copy->rescore = vz_arena_copy(arena, node->rescore);
    copy->confidence = vz_arena_copy(arena, node->confidence);
    copy->alias_path = vz_arena_copy(arena, node->alias_path);
    copy->params = copy_params(arena, node->params, node->param_count);
    if (node->copy_to_count)
        copy->copy_to = vz_arena_alloc(arena, node->copy_to_count * sizeof *copy->copy_to);
    for (size_t i = 0; i < node->copy_to_count; i++)
        copy->copy_to[i] = vz_arena_copy(arena, node->copy_to[i]);
    vz_strmap_put(&to->by_path, copy->field.path, copy->field.id);
}

static struct vz_slice *copy_slices(struct vz_arena *arena, const struct vz_slice *slices,
                                    size_t count)
{
    struct vz_slice *copy = vz_arena_alloc(arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = vz_arena_copy(arena, slices[i]);
    return copy;
}

static struct vz_mapping *copy_mapping(const struct vz_mapping *from)
{
    struct vz_mapping *to = vz_mapping_new_with(from ? from->analysis : NULL);
    if (!from)
        return to;
    for (size_t i = 0; i < from->count; i++)
        copy_node(to, &from->nodes[i]);
    to->first_child = from->first_child;
    to->last_child = from->last_child;
    to->rules = from->rules;
    to->source_includes =
        copy_slices(&to->arena, from->source_includes, from->source_include_count);
    to->source_excludes =
        copy_slices(&to->arena, from->source_excludes, from->source_exclude_count);
    to->source_include_count = from->source_include_count;
    to->source_exclude_count = from->source_exclude_count;
    to->has_constants = from->has_constants;
    to->dynamic = from->dynamic;
    to->dynamic_set = from->dynamic_set;
    to->date_detection = from->date_detection;
    to->numeric_detection = from->numeric_detection;
    to->params = copy_params(&to->arena, from->params, from->param_count);
    to->param_count = from->param_count;
    return to;
}

/* ---- the tree ----------------------------------------------------------------------------- */

static struct vz_slice child_path(struct vz_arena *arena, const struct vz_mapping *mapping,
                                  uint16_t parent, struct vz_slice name)
{
    if (parent == VZ_NO_FIELD)
        return vz_arena_copy(arena, name);
    struct vz_slice above = mapping->nodes[parent].field.path;
    char *path = vz_arena_alloc(arena, above.len + name.len + 2);
    memcpy(path, above.ptr, above.len);
    path[above.len] = '.';
    if (name.len)
        memcpy(path + above.len + 1, name.ptr, name.len);
    path[above.len + 1 + name.len] = 0;
    return (struct vz_slice){path, above.len + 1 + name.len};
}

struct vz_mapping_node *vz_mapping_child(const struct vz_mapping *mapping, uint16_t parent,
                                         struct vz_slice name)
{
    struct vz_arena scratch = {0};
    uint64_t id;
    struct vz_mapping_node *node = NULL;
    struct vz_slice path = child_path(&scratch, mapping, parent, name);
    if (vz_strmap_get(&mapping->by_path, path, &id))
        node = &mapping->nodes[id];
    vz_arena_deinit(&scratch);
    return node;
}

static enum vz_status check_depth(const struct vz_mapping *mapping, uint16_t parent,
                                  struct vz_error *err)
{
    unsigned depth = 1; /* the root is one */
    for (uint16_t id = parent; id != VZ_NO_FIELD; id = mapping->nodes[id].field.parent)
        depth++;
    if (depth <= (mapping->loading ? VZ_MAX_MAPPING_DEPTH : mapping->rules.depth))
        return VZ_OK;
    struct vz_slice path = mapping->nodes[parent].field.path;
    return vz_fail(err, VZ_LIMIT,
                   "Limit of mapping depth [%u] has been exceeded due to object field [%.*s]",
                   mapping->rules.depth, (int)VZ_MIN(path.len, (size_t)300), path.ptr);
}

enum vz_status vz_mapping_add(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                              struct vz_mapping_node **out, struct vz_error *err)
{
    if (mapping->count >= VZ_MAX_FIELDS)
        return vz_fail(err, VZ_LIMIT, "Limit of total fields [%d] has been exceeded",
                       VZ_MAX_FIELDS);
    enum vz_status status = check_depth(mapping, parent, err);
    if (status != VZ_OK)
        return status;
    size_t above_len = parent == VZ_NO_FIELD ? 0 : mapping->nodes[parent].field.path.len + 1;
    if (above_len + name.len > VZ_MAX_PATH_BYTES)
        return vz_fail(err, VZ_LIMIT, "field name [%.*s...] is longer than %d bytes",
                       (int)VZ_MIN(name.len, (size_t)100), name.ptr, VZ_MAX_PATH_BYTES);
    uint16_t id = (uint16_t)mapping->count++;
    struct vz_mapping_node *node = &mapping->nodes[id];
    memset(node, 0, sizeof *node);
    node->first_child = node->last_child = node->next_sibling = VZ_NO_FIELD;
    struct vz_field *field = &node->field;
    field->id = id;
    field->type = VZ_FIELD_OBJECT;
    field->parent = parent;
    field->enabled = true;
    field->indexed = true;
    field->dynamic = mapping->dynamic;
    field->doc_values = true;
    field->alias_of = VZ_NO_FIELD;
    field->keyed = VZ_NO_FIELD;
    field->vectors = VZ_NO_FIELD;
    field->path = child_path(&mapping->arena, mapping, parent, name);
    field->name = (struct vz_slice){field->path.ptr + field->path.len - name.len, name.len};
    field->source_len = (uint32_t)field->path.len;
    field->prefix_field = VZ_NO_FIELD;
    uint16_t *first = &mapping->first_child, *last = &mapping->last_child;
    if (parent != VZ_NO_FIELD) {
        const struct vz_field *above = &mapping->nodes[parent].field;
        field->under_nested =
            above->type == VZ_FIELD_NESTED ? !above->in_root : above->under_nested;
        field->is_multi_field = !vz_field_is_object(above);
        if (field->is_multi_field)
            field->source_len = above->source_len;
        first = &mapping->nodes[parent].first_child;
        last = &mapping->nodes[parent].last_child;
    }
    if (*first == VZ_NO_FIELD)
        *first = id;
    else
        mapping->nodes[*last].next_sibling = id;
    *last = id;
    vz_strmap_put(&mapping->by_path, field->path, id);
    *out = node;
    return VZ_OK;
}

size_t vz_mapping_count(const struct vz_mapping *mapping)
{
    return mapping->count;
}

const struct vz_field *vz_mapping_field(const struct vz_mapping *mapping, uint16_t id)
{
    return id < mapping->count ? &mapping->nodes[id].field : NULL;
}

const struct vz_field *vz_mapping_find(const struct vz_mapping *mapping, struct vz_slice path)
{
    uint64_t id;
    if (!vz_strmap_get(&mapping->by_path, path, &id))
        return NULL;
    const struct vz_field *field = &mapping->nodes[id].field;
    if (field->type == VZ_FIELD_ALIAS)
        return vz_mapping_field(mapping, field->alias_of);
    return field;
}

bool vz_mapping_find_key(const struct vz_mapping *mapping, struct vz_slice path,
                         struct vz_field *field)
{
    for (size_t i = 1; i + 1 < path.len; i++) {
        if (path.ptr[i] != '.')
            continue;
        const struct vz_field *above = vz_mapping_find(mapping, (struct vz_slice){path.ptr, i});
        if (!above)
            return false;
        if (above->type != VZ_FIELD_FLATTENED)
            continue;
        *field = mapping->nodes[above->keyed].field;
        field->path = path;
        field->key = (struct vz_slice){path.ptr + i + 1, path.len - i - 1};
        field->name = field->key;
        field->ignore_above = above->ignore_above;
        return true;
    }
    return false;
}

enum vz_dynamic vz_mapping_root_dynamic(const struct vz_mapping *mapping)
{
    return mapping->dynamic;
}

enum vz_status vz_mapping_resolve_aliases(struct vz_mapping *mapping, struct vz_error *err)
{
    for (size_t i = 0; i < mapping->count; i++) {
        struct vz_mapping_node *node = &mapping->nodes[i];
        mapping->has_constants |= node->field.has_value;
        if (node->field.type != VZ_FIELD_ALIAS)
            continue;
        struct vz_slice path = node->field.path, to = node->alias_path;
        uint64_t id;
        const char *why = NULL;
        if (vz_slice_eq(path, to))
            why = "an alias cannot refer to itself";
        else if (!vz_strmap_get(&mapping->by_path, to, &id) ||
                 vz_field_is_object(&mapping->nodes[id].field))
            why = "an alias must refer to an existing field in the mappings";
        else if (mapping->nodes[id].field.type == VZ_FIELD_ALIAS)
            why = "an alias cannot refer to another alias";
        if (why)
            return vz_mapping_fault(err, "Invalid [path] value [%.*s] for field alias [%.*s]: %s.",
                                    (int)to.len, to.ptr, (int)path.len, path.ptr, why);
        node->field.alias_of = (uint16_t)id;
    }
    return VZ_OK;
}

/* ---- merging ------------------------------------------------------------------------------ */

static enum vz_status merge_field(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                                  struct vz_json definition, struct vz_error *err);

/* White space only, empty, or with a dot at an end: such names resolve to nothing. */
static enum vz_status check_name(struct vz_slice name, struct vz_error *err)
{
    size_t blank = 0;
    while (blank < name.len && (unsigned char)name.ptr[blank] <= ' ')
        blank++;
    if (name.len == 0)
        return vz_mapping_fault(err, "field name cannot be an empty string");
    if (blank == name.len)
        return vz_mapping_fault(err, "field name cannot contain only whitespace: [%.*s]",
                                (int)name.len, name.ptr);
    if (name.ptr[0] == '.' || name.ptr[name.len - 1] == '.' || memmem(name.ptr, name.len, "..", 2))
        return vz_mapping_fault(err,
                                "field name starting or ending with a [.] makes object "
                                "resolution ambiguous: [%.*s]",
                                (int)name.len, name.ptr);
    return VZ_OK;
}

enum vz_status vz_mapping_merge_properties(struct vz_mapping *mapping, uint16_t parent,
                                       struct vz_json properties, struct vz_error *err)
{
    if (vz_json_type(properties) != VZ_JSON_OBJECT) {
        /* An empty list is what PHP and Lua clients send for an empty map. */
        if (vz_json_type(properties) == VZ_JSON_ARRAY && vz_json_count(properties) == 0)
            return VZ_OK;
        return vz_mapping_fault(err, "Expected map for property [properties] but got %s",
                                vz_json_type_name(properties));
    }
    struct vz_json_iter it = vz_json_iterate(properties);
    struct vz_slice key;
    struct vz_json definition;
    while (vz_json_next(&it, &key, &definition)) {
        enum vz_status status = check_name(key, err);
        uint16_t at = parent;
        const char *dot;
        while (status == VZ_OK && (dot = memchr(key.ptr, '.', key.len))) {
            struct vz_slice part = {key.ptr, (size_t)(dot - key.ptr)};
            struct vz_mapping_node *node = vz_mapping_child(mapping, at, part);
            if (!node)
                status = vz_mapping_add(mapping, at, part, &node, err);
            else if (!vz_field_is_object(&node->field))
                status = vz_fail(err, VZ_BAD_MAPPING,
                                 "can't merge a non object mapping [%.*s] with an object mapping",
                                 (int)node->field.path.len, node->field.path.ptr);
            if (status == VZ_OK)
                at = node->field.id;
            key.len -= part.len + 1;
            key.ptr = dot + 1;
        }
        if (status == VZ_OK)
            status = merge_field(mapping, at, key, definition, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

const char *vz_dynamic_name(enum vz_dynamic dynamic)
{
    static const char *const names[] = {"true", "false", "strict", "runtime"};
    return names[dynamic];
}

enum vz_status vz_mapping_read_dynamic(struct vz_json value, struct vz_slice where,
                                       enum vz_dynamic *out, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_json_type(value) == VZ_JSON_BOOL)
        text = vz_json_bool(value) ? VZ_SLICE("true") : VZ_SLICE("false");
    for (unsigned i = VZ_DYNAMIC_TRUE; i <= VZ_DYNAMIC_RUNTIME; i++) {
        if (!vz_slice_is(text, vz_dynamic_name((enum vz_dynamic)i)))
            continue;
        if (i == VZ_DYNAMIC_RUNTIME)
            return vz_mapping_unsupported(err, "[dynamic: runtime] of [%.*s] is not supported",
                                          (int)where.len, where.ptr);
        *out = (enum vz_dynamic)i;
        return VZ_OK;
    }
    return vz_mapping_fault(err, "Could not convert [%.*s.dynamic] to boolean or [strict]: [%.*s]",
                            (int)where.len, where.ptr, (int)text.len, text.ptr);
}

static enum vz_status unsupported_parameter(struct vz_slice path, struct vz_slice key,
                                            struct vz_json value, const char *format,
                                            struct vz_error *err)
{
    struct vz_buf text = {0}, message = {0};
    vz_json_print(value, &text);
    vz_buf_printf(&message, "[%.*s : %.*s]", (int)key.len, key.ptr,
                  (int)VZ_MIN(text.len, (size_t)80), text.data);
    if (path.len)
        vz_mapping_fault(err, "Mapping definition for [%.*s] has unsupported parameters:  %s",
                         (int)path.len, path.ptr, message.data);
    else
        vz_mapping_fault(err, "%s%s", format, message.data);
    vz_buf_deinit(&text);
    vz_buf_deinit(&message);
    return VZ_BAD_MAPPING;
}

/* A nested object's values are in its document's columns, too. Before its properties are added. */
void vz_mapping_include(struct vz_mapping_node *node)
{
    node->field.in_root =
        node->include_in_root || (node->include_in_parent && !node->field.under_nested);
}

static enum vz_status read_include(struct vz_mapping_node *node, bool existed, struct vz_slice key,
                                   struct vz_json value, struct vz_error *err)
{
    struct vz_slice path = node->field.path;
    bool *into =
        vz_slice_is(key, "include_in_root") ? &node->include_in_root : &node->include_in_parent;
    bool on;
    if (!vz_json_as_bool(value, &on))
        return vz_mapping_fault(err, "Could not convert [%.*s.%.*s] to boolean", (int)path.len,
                                path.ptr, (int)key.len, key.ptr);
    if (existed && on != *into)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "the [%.*s] parameter can't be updated on a nested object mapping",
                       (int)key.len, key.ptr);
    *into = on;
    vz_mapping_include(node);
    return VZ_OK;
}

/* Vectors are in rows of their own whatever an object above them says. */
void vz_mapping_scope_vector(const struct vz_mapping *mapping, struct vz_mapping_node *node)
{
    if (node->field.type != VZ_FIELD_DENSE_VECTOR)
        return;
    for (uint16_t id = node->field.parent; id != VZ_NO_FIELD; id = mapping->nodes[id].field.parent)
        node->field.under_nested |= mapping->nodes[id].field.type == VZ_FIELD_NESTED;
}

static enum vz_status merge_object_key(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                       bool existed, struct vz_slice key, struct vz_json value,
                                       struct vz_error *err)
{
    struct vz_field *field = &node->field;
    bool on;
    if (vz_slice_is(key, "type") || vz_slice_is(key, "properties"))
        return VZ_OK;
    if (vz_slice_is(key, "dynamic")) {
        node->dynamic_set = true;
        return vz_mapping_read_dynamic(value, field->path, &field->dynamic, err);
    }
    if (vz_slice_is(key, "enabled") && field->type == VZ_FIELD_OBJECT) {
        if (!vz_json_as_bool(value, &on))
            return vz_mapping_fault(err, "Could not convert [%.*s.enabled] to boolean",
                                    (int)field->path.len, field->path.ptr);
        if (existed && field->enabled != on)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "the [enabled] parameter can't be updated for the object mapping "
                           "[%.*s]",
                           (int)field->path.len, field->path.ptr);
        field->enabled = on;
        node->enabled_set = true;
        return VZ_OK;
    }
    bool include = field->type == VZ_FIELD_NESTED &&
                   (vz_slice_is(key, "include_in_parent") || vz_slice_is(key, "include_in_root"));
    if (include)
        return read_include(node, existed, key, value, err);
    if (vz_slice_is(key, "subobjects")) {
        /* The default is fine; the other one changes what documents mean. */
        if (vz_json_as_bool(value, &on) && on)
            return VZ_OK;
        return vz_mapping_unsupported(err, "parameter [%.*s] of object [%.*s] is not supported",
                                      (int)key.len, key.ptr, (int)field->path.len, field->path.ptr);
    }
    return unsupported_parameter(field->path, key, value, "", err);
}

static enum vz_status merge_object(struct vz_mapping *mapping, uint16_t parent,
                                   struct vz_slice name, enum vz_field_type type,
                                   struct vz_json definition, struct vz_error *err)
{
    struct vz_mapping_node *node = vz_mapping_child(mapping, parent, name);
    bool existed = node != NULL;
    if (!existed) {
        enum vz_status status = vz_mapping_add(mapping, parent, name, &node, err);
        if (status != VZ_OK)
            return status;
        node->field.type = type;
        vz_mapping_settle_field(node);
        if (parent != VZ_NO_FIELD)
            node->field.dynamic = mapping->nodes[parent].field.dynamic;
    } else if (!vz_field_is_object(&node->field)) {
        return vz_fail(err, VZ_BAD_MAPPING,
                       "can't merge a non object mapping [%.*s] with an object mapping",
                       (int)node->field.path.len, node->field.path.ptr);
    } else if (node->field.type != type) {
        return vz_fail(err, VZ_BAD_MAPPING,
                       type == VZ_FIELD_NESTED
                           ? "can't merge a non-nested mapping [%.*s] with a nested mapping"
                           : "can't merge a nested mapping [%.*s] with a non-nested mapping",
                       (int)node->field.path.len, node->field.path.ptr);
    }
    struct vz_json_iter it = vz_json_iterate(definition);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        enum vz_status status = merge_object_key(mapping, node, existed, key, value, err);
        if (status != VZ_OK)
            return status;
    }
    if (vz_json_get(definition, "properties", &value))
        return vz_mapping_merge_properties(mapping, node->field.id, value, err);
    return VZ_OK;
}

static enum vz_status merge_multi_fields(struct vz_mapping *mapping, uint16_t parent,
                                         struct vz_json fields, struct vz_error *err)
{
    struct vz_slice path = mapping->nodes[parent].field.path;
    if (vz_json_type(fields) != VZ_JSON_OBJECT) {
        if (vz_json_type(fields) == VZ_JSON_ARRAY && vz_json_count(fields) == 0)
            return VZ_OK;
        return vz_mapping_fault(err,
                                "expected map for property [fields] on field [%.*s] but got %s",
                                (int)path.len, path.ptr, vz_json_type_name(fields));
    }
    if (mapping->nodes[parent].field.is_multi_field && vz_json_count(fields))
        return vz_mapping_unsupported(err,
                                      "[fields] within the multi-field [%.*s] is not "
                                      "supported",
                                      (int)path.len, path.ptr);
    struct vz_json_iter it = vz_json_iterate(fields);
    struct vz_slice key;
    struct vz_json definition;
    while (vz_json_next(&it, &key, &definition)) {
        enum vz_status status = check_name(key, err);
        if (status != VZ_OK)
            return status;
        if (memchr(key.ptr, '.', key.len))
            return vz_mapping_fault(err,
                                    "Field name [%.*s] which is a multi field of [%.*s] "
                                    "cannot contain '.'",
                                    (int)key.len, key.ptr, (int)path.len, path.ptr);
        status = merge_field(mapping, parent, key, definition, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static void take_over(struct vz_mapping_node *to, const struct vz_mapping_node *from)
{
    struct vz_mapping_node old = *to;
    *to = *from;
    to->field.id = old.field.id;
    to->field.path = old.field.path;
    to->field.name = old.field.name;
    to->field.parent = old.field.parent;
    to->field.is_multi_field = old.field.is_multi_field;
    to->field.under_nested = old.field.under_nested;
    to->field.alias_of = old.field.alias_of;
    to->field.keyed = old.field.keyed;
    to->field.vectors = old.field.vectors;
    to->field.source_len = old.field.source_len;
    to->field.prefix_field = old.field.prefix_field;
    to->first_child = old.first_child;
    to->last_child = old.last_child;
    to->next_sibling = old.next_sibling;
}

/* The hidden field that holds a flattened field's keys with their values; settled after its parent,
 * whose parameters it follows. */
enum vz_status vz_mapping_add_keyed(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                    bool existed, struct vz_error *err)
{
    struct vz_mapping_node *keyed;
    if (!existed) {
        enum vz_status status =
            vz_mapping_add(mapping, above->field.id, VZ_SLICE(VZ_KEYED_NAME), &keyed, err);
        if (status != VZ_OK)
            return status;
        above->field.keyed = keyed->field.id;
    }
    keyed = &mapping->nodes[above->field.keyed];
    keyed->field.type = VZ_FIELD_FLATTENED_KEYED;
    keyed->field.column = above->field.column;
    keyed->field.indexed = above->field.indexed;
    keyed->field.doc_values = above->field.doc_values;
    keyed->indexed_terms = above->indexed_terms;
    return VZ_OK;
}

static enum vz_status merge_leaf(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                                 enum vz_field_type type, struct vz_json definition,
                                 struct vz_error *err)
{
    struct vz_mapping_node *node = vz_mapping_child(mapping, parent, name);
    struct vz_mapping_node read = {.field = {.type = type}};
    enum vz_status status;
    if (node && vz_field_is_object(&node->field))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "can't merge a non object mapping [%.*s] with an object mapping",
                       (int)node->field.path.len, node->field.path.ptr);
    if (node && node->field.shingles)
        return vz_mapping_fault(err, "Field [%.*s] is defined more than once",
                                (int)node->field.path.len, node->field.path.ptr);
    if (node && vz_field_declared(&node->field) != type)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "mapper [%.*s] cannot be changed from type [%s] to [%s]",
                       (int)node->field.path.len, node->field.path.ptr,
                       vz_field_type_name(vz_field_declared(&node->field)), vz_field_type_name(type));
    bool existed = node != NULL;
    if (!existed) {
        status = vz_mapping_add(mapping, parent, name, &node, err);
        if (status != VZ_OK)
            return status;
    }
    read.field.path = node->field.path;
    read.field.any_input = vz_mapping_says_semantic(definition);
    status = vz_mapping_read_params(mapping, &read, definition, err);
    if (status != VZ_OK)
        return status;
    vz_mapping_settle_field(&read);
    if (existed && type == VZ_FIELD_SEMANTIC_TEXT)
        status = vz_mapping_update_semantic(mapping, node, &read, err);
    else if (existed)
        status = vz_mapping_check_update(node, &read, err);
    if (status != VZ_OK)
        return status;
    take_over(node, &read);
    vz_mapping_scope_vector(mapping, node);
    if (type == VZ_FIELD_AS_YOU_TYPE && !existed &&
        (status = vz_mapping_add_shingles(mapping, node, err)) != VZ_OK)
        return status;
    if (type == VZ_FIELD_FLATTENED &&
        (status = vz_mapping_add_keyed(mapping, node, existed, err)) != VZ_OK)
        return status;
    struct vz_json fields, null_value;
    if (node->field.has_null_value && vz_json_get(definition, "null_value", &null_value) &&
        (status = vz_null_value_check(&node->field, null_value, err)) != VZ_OK)
        return status;
    if (type == VZ_FIELD_FLATTENED && vz_json_get(definition, "fields", &fields) &&
        vz_json_count(fields))
        return vz_mapping_unsupported(err,
                                      "[fields] of the [flattened] field [%.*s] is not supported "
                                      "yet by vizsla",
                                      (int)node->field.path.len, node->field.path.ptr);
    if (type != VZ_FIELD_ALIAS && vz_json_get(definition, "fields", &fields))
        return merge_multi_fields(mapping, node->field.id, fields, err);
    return VZ_OK;
}

static enum vz_status read_type(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                                struct vz_json definition, enum vz_field_type *type,
                                struct vz_error *err)
{
    struct vz_json value;
    bool in_leaf = parent != VZ_NO_FIELD && !vz_field_is_object(&mapping->nodes[parent].field);
    if (!vz_json_get(definition, "type", &value)) {
        *type = VZ_FIELD_OBJECT;
        bool is_object =
            vz_json_get(definition, "properties", &value) ||
            (vz_json_count(definition) == 1 && vz_json_get(definition, "enabled", &value));
        if (is_object && !in_leaf)
            return VZ_OK;
        return vz_mapping_fault(err, "No type specified for field [%.*s]", (int)name.len, name.ptr);
    }
    struct vz_slice text = vz_json_string(value);
    if (vz_field_type_is_foreign(text))
        return vz_mapping_unsupported(err, "field type [%.*s] of field [%.*s] is not supported yet",
                                      (int)text.len, text.ptr, (int)name.len, name.ptr);
    if (!vz_field_type_find(text, type))
        return vz_mapping_fault(err,
                                "The mapper type [%.*s] declared on field [%.*s] does not exist. "
                                "It might have been created within a future version or requires a "
                                "plugin to be installed. Check the documentation.",
                                (int)text.len, text.ptr, (int)name.len, name.ptr);
    if (in_leaf &&
        (*type == VZ_FIELD_OBJECT || *type == VZ_FIELD_NESTED || *type == VZ_FIELD_ALIAS ||
         *type == VZ_FIELD_DENSE_VECTOR || *type == VZ_FIELD_FLATTENED))
        return vz_mapping_fault(err, "Type [%.*s] cannot be used in multi field", (int)text.len,
                                text.ptr);
    return VZ_OK;
}

static enum vz_status merge_field(struct vz_mapping *mapping, uint16_t parent, struct vz_slice name,
                                  struct vz_json definition, struct vz_error *err)
{
    enum vz_field_type type;
    if (vz_json_type(definition) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "Expected map for property [%.*s] but got %s", (int)name.len,
                                name.ptr, vz_json_type_name(definition));
    enum vz_status status = read_type(mapping, parent, name, definition, &type, err);
    if (status != VZ_OK)
        return status;
    if (type == VZ_FIELD_OBJECT || type == VZ_FIELD_NESTED)
        return merge_object(mapping, parent, name, type, definition, err);
    return merge_leaf(mapping, parent, name, type, definition, err);
}

/* ---- the root ----------------------------------------------------------------------------- */

static void set_root_param(struct vz_mapping *mapping, struct vz_slice key, struct vz_json value)
{
    struct vz_mapping_param *last = NULL;
    for (size_t i = 0; i < mapping->param_count; i++) {
        if (!vz_slice_eq(mapping->params[i].name, key))
            continue;
        struct vz_buf json = {0};
        vz_json_print(value, &json);
        mapping->params[i].json = vz_arena_copy(&mapping->arena, vz_buf_slice(&json));
        vz_buf_deinit(&json);
        last = &mapping->params[i];
    }
    if (!last)
        vz_mapping_param_add(mapping, &mapping->params, &mapping->param_count, key, value);
}

#define MAX_SOURCE_PATTERNS 256 /* each is tried on each member of each document that is shown */

static enum vz_status read_patterns(struct vz_mapping *mapping, struct vz_slice key,
                                    struct vz_json value, struct vz_slice **out, size_t *count,
                                    struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    if ((!list && vz_json_type(value) != VZ_JSON_STRING) ||
        vz_json_count(value) > MAX_SOURCE_PATTERNS)
        return vz_mapping_fault(err, "[_source.%.*s] must be a list of at most %d patterns",
                                (int)key.len, key.ptr, MAX_SOURCE_PATTERNS);
    *out = vz_arena_alloc(&mapping->arena, (vz_json_count(value) + 1) * sizeof **out);
    *count = 0;
    if (!list)
        (*out)[(*count)++] = vz_arena_copy(&mapping->arena, vz_json_string(value));
    while (list && vz_json_next(&it, NULL, &one)) {
        if (vz_json_type(one) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "[_source.%.*s] must be a list of strings", (int)key.len,
                                    key.ptr);
        (*out)[(*count)++] = vz_arena_copy(&mapping->arena, vz_json_string(one));
    }
    return VZ_OK;
}

bool vz_mapping_filters_source(const struct vz_mapping *mapping)
{
    return mapping->source_include_count || mapping->source_exclude_count;
}

struct vz_slice vz_mapping_filter_source(const struct vz_mapping *mapping, struct vz_slice source,
                                         struct vz_arena *arena)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_buf text = {0};
    if (vz_json_parse(source, &doc, &root, NULL) != VZ_OK)
        return source;
    struct vz_json_patterns includes = {mapping->source_includes, mapping->source_include_count};
    struct vz_json_patterns excludes = {mapping->source_excludes, mapping->source_exclude_count};
    vz_json_filter_source(root, includes, excludes, &text);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    vz_json_free(doc);
    return copy;
}

static enum vz_status check_source(struct vz_mapping *mapping, struct vz_json value,
                                   struct vz_error *err)
{
    bool any = false;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool on;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "[_source] config must be an object");
    while (vz_json_next(&it, &key, &member)) {
        bool default_mode =
            vz_slice_is(key, "mode") && vz_slice_is(vz_json_string(member), "stored");
        bool enabled = vz_slice_is(key, "enabled") && vz_json_as_bool(member, &on) && on;
        bool excludes = vz_slice_is(key, "excludes");
        if (excludes || vz_slice_is(key, "includes")) {
            enum vz_status status =
                excludes ? read_patterns(mapping, key, member, &mapping->source_excludes,
                                         &mapping->source_exclude_count, err)
                         : read_patterns(mapping, key, member, &mapping->source_includes,
                                         &mapping->source_include_count, err);
            if (status != VZ_OK)
                return status;
            any |= vz_json_type(member) != VZ_JSON_ARRAY || vz_json_count(member) > 0;
            continue;
        }
        if (!default_mode && !enabled)
            return vz_mapping_unsupported(err,
                                          "[_source.%.*s] is not supported: the source is always "
                                          "kept",
                                          (int)key.len, key.ptr);
    }
    struct vz_slice before = vz_mapping_root_param(mapping, "_source");
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    bool same = before.len == text.len && memcmp(before.ptr, text.data, text.len) == 0;
    vz_buf_deinit(&text);
    if (mapping->base_count && any && !same)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Mapper for [_source] conflicts with existing mapper:\n\tCannot update "
                       "parameter [includes] or [excludes] of it");
    if (any)
        set_root_param(mapping, VZ_SLICE("_source"), value);
    return VZ_OK;
}

#define MAX_DATE_FORMATS 32 /* each is tried on each new string */

static enum vz_status check_date_formats(struct vz_json value, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) == VZ_JSON_STRING)
        return vz_date_format_check(vz_json_string(value), err);
    if (vz_json_type(value) != VZ_JSON_ARRAY || vz_json_count(value) > MAX_DATE_FORMATS)
        return vz_mapping_fault(err, "[dynamic_date_formats] must be a list of at most %d formats",
                                MAX_DATE_FORMATS);
    while (status == VZ_OK && vz_json_next(&it, NULL, &one)) {
        if (vz_json_type(one) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "[dynamic_date_formats] must be a list of strings");
        status = vz_date_format_check(vz_json_string(one), err);
    }
    return status;
}

struct vz_slice vz_mapping_root_param(const struct vz_mapping *mapping, const char *name)
{
    for (size_t i = 0; i < mapping->param_count; i++)
        if (vz_slice_is(mapping->params[i].name, name))
            return mapping->params[i].json;
    return (struct vz_slice){0};
}

enum vz_status vz_mapping_read_root(struct vz_mapping *mapping, struct vz_slice key,
                                    struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "dynamic")) {
        mapping->dynamic_set = true;
        return vz_mapping_read_dynamic(value, VZ_SLICE("_doc"), &mapping->dynamic, err);
    }
    bool is_date = vz_slice_is(key, "date_detection");
    if (is_date || vz_slice_is(key, "numeric_detection")) {
        if (!vz_json_as_bool(value,
                             is_date ? &mapping->date_detection : &mapping->numeric_detection))
            return vz_mapping_fault(err, "Could not convert [%.*s] to boolean", (int)key.len,
                                    key.ptr);
        set_root_param(mapping, key, value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "_meta")) {
        if (vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_mapping_fault(err, "[_meta] must be an object");
        set_root_param(mapping, key, value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "_source")) {
        return check_source(mapping, value, err);
    }
    if (vz_slice_is(key, "dynamic_templates") || vz_slice_is(key, "dynamic_date_formats")) {
        enum vz_status status = vz_slice_is(key, "dynamic_templates")
                                    ? vz_templates_check(mapping, value, err)
                                    : check_date_formats(value, err);
        if (status == VZ_OK)
            set_root_param(mapping, key, value);
        return status;
    }
    bool empty = vz_json_type(value) == VZ_JSON_NULL ||
                 ((vz_json_type(value) == VZ_JSON_ARRAY || vz_json_type(value) == VZ_JSON_OBJECT) &&
                  vz_json_count(value) == 0);
    static const char *const known[] = {
        "runtime",    "_routing", "_size",       "_data_stream_timestamp",
        "subobjects", "_ignored", "_field_names"};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++) {
        if (!vz_slice_is(key, known[i]))
            continue;
        if (empty)
            return VZ_OK;
        return vz_mapping_unsupported(err, "[%s] in mappings is not supported", known[i]);
    }
    return unsupported_parameter((struct vz_slice){0}, key, value,
                                 "Root mapping definition has unsupported parameters:  ", err);
}

/* Where a value may be copied from and to, of fields that are mapped. */
static enum vz_status check_copies(const struct vz_mapping *mapping, struct vz_error *err)
{
    for (size_t i = 0; i < mapping->count; i++) {
        const struct vz_mapping_node *node = &mapping->nodes[i];
        struct vz_slice from = node->field.path;
        if (node->copy_to_count && node->field.is_multi_field && i >= mapping->base_count)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "[copy_to] may not be used to copy from a multi-field: [%.*s]",
                           (int)from.len, from.ptr);
        for (size_t j = 0; j < node->copy_to_count; j++) {
            uint64_t id;
            struct vz_slice to = node->copy_to[j];
            if (!vz_strmap_get(&mapping->by_path, to, &id))
                continue;
            const struct vz_field *target = &mapping->nodes[id].field;
            /* What an older version took is left alone. */
            if (i < mapping->base_count && id < mapping->base_count)
                continue;
            if (vz_field_is_object(target))
                return vz_fail(err, VZ_BAD_MAPPING,
                               "Cannot copy to field [%.*s] since it is mapped as an object",
                               (int)to.len, to.ptr);
            if (target->is_multi_field)
                return vz_fail(err, VZ_BAD_MAPPING,
                               "[copy_to] may not be used to copy to a multi-field: [%.*s]",
                               (int)to.len, to.ptr);
        }
    }
    return VZ_OK;
}

/* Objects that say nothing follow the one they are in. */
static void inherit_dynamic(struct vz_mapping *mapping)
{
    /* A parent's id is always smaller than its child's. */
    for (size_t i = 0; i < mapping->count; i++) {
        struct vz_mapping_node *node = &mapping->nodes[i];
        if (!vz_field_is_object(&node->field) || node->dynamic_set)
            continue;
        uint16_t parent = node->field.parent;
        node->field.dynamic =
            parent == VZ_NO_FIELD ? mapping->dynamic : mapping->nodes[parent].field.dynamic;
    }
}

static enum vz_status merge_root(struct vz_mapping *mapping, struct vz_json body,
                                 struct vz_error *err)
{
    enum vz_json_type type = vz_json_type(body);
    if (type == VZ_JSON_MISSING || type == VZ_JSON_NULL)
        return VZ_OK;
    if (type != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "mappings must be an object, got %s", vz_json_type_name(body));
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool fields = vz_slice_is(key, "properties");
        enum vz_status status = fields ? vz_mapping_refuse_hidden(value, err)
                                       : vz_mapping_read_root(mapping, key, value, err);
        if (status == VZ_OK && fields)
            status = vz_mapping_merge_properties(mapping, VZ_NO_FIELD, value, err);
        if (status != VZ_OK)
            return status;
    }
    enum vz_status status = vz_mapping_resolve_semantic(mapping, true, err);
    inherit_dynamic(mapping);
    if (status == VZ_OK)
        status = check_copies(mapping, err);
    if (status == VZ_OK)
        status = vz_mapping_resolve_analyzers(mapping, false, err);
    return status == VZ_OK ? vz_mapping_resolve_aliases(mapping, err) : status;
}

enum vz_status vz_mapping_with_rules(const struct vz_mapping *base,
                                     const struct vz_mapping_rules *rules, struct vz_mapping **out,
                                     struct vz_error *err)
{
    struct vz_mapping *mapping = copy_mapping(base);
    *out = mapping;
    vz_mapping_set_rules(mapping, rules);
    return vz_mapping_resolve_aliases(mapping, err);
}

enum vz_status vz_mapping_merge(const struct vz_mapping *base, struct vz_json body,
                                struct vz_mapping **out, struct vz_error *err)
{
    struct vz_mapping *mapping = copy_mapping(base);
    mapping->base_count = base ? base->count : 0;
    enum vz_status status = merge_root(mapping, body, err);
    if (status == VZ_OK)
        status = vz_mapping_check_limits(mapping, base ? base->count : 0, err);
    *out = status == VZ_OK ? mapping : NULL;
    if (status != VZ_OK)
        vz_mapping_release(mapping);
    return status;
}
