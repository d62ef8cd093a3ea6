/* store/mapping.c - the tree of fields: new, copied, added to, found. Merging is in
 * mapping_merge.c.
 *
 * Invariants: nodes[i].field.id == i; every path is in by_path exactly once; a child list holds
 * exactly the nodes whose parent it is, in order of their ids; multi-fields hang below leaves,
 * properties below objects.
 */
#include "store/mapping_parts.h"
#include "text/analysis.h"

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

struct vz_mapping *vz_mapping_copy(const struct vz_mapping *from)
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
