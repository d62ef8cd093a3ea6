/* store/mapping_print.c - a mapping as GET _mapping shows it, and as the disk keeps it.
 *
 * On disk: {"version":1,"root":{"dynamic":..,"_meta":..},"fields":[...]} with one entry a field in
 * the order of ids, so that loading gives the same ids back:
 *     {"name":"lat","parent":3,"type":"long","given":{...parameters...},"dims":512}
 * `parent` is absent at the root. Objects carry "dynamic" and "enabled" when set. The parameters
 * are read back through the same code as a mappings body, so what was checked once is checked
 * again and a damaged file cannot make a field that a request could not.
 */
#include "store/mapping_semantic.h"
#include "store/mapping_vector.h"

#include <stdlib.h>

/* ---- printing ----------------------------------------------------------------------------- */

static bool printed_by_vector(const struct vz_mapping_node *node, struct vz_slice name)
{
    return node->field.type == VZ_FIELD_DENSE_VECTOR &&
           (vz_slice_is(name, "dims") || vz_slice_is(name, "index") ||
            vz_slice_is(name, "similarity") || vz_slice_is(name, "index_options"));
}

static int by_name(const void *a, const void *b)
{
    const struct vz_mapping_node *const *x = a, *const *y = b;
    return vz_slice_cmp((*x)->field.name, (*y)->field.name);
}

/* {"name": definition, ...} of the children, sorted by name as Elasticsearch does. */
static void print_children(const struct vz_mapping *mapping, uint16_t first,
                           struct vz_json_writer *w)
{
    size_t count = 0;
    for (uint16_t id = first; id != VZ_NO_FIELD; id = mapping->nodes[id].next_sibling)
        count++;
    const struct vz_mapping_node **sorted = vz_alloc((count + 1) * sizeof *sorted);
    count = 0;
    for (uint16_t id = first; id != VZ_NO_FIELD; id = mapping->nodes[id].next_sibling) {
        const struct vz_field *field = &mapping->nodes[id].field;
        if (field->type != VZ_FIELD_FLATTENED_KEYED && !field->shingles &&
            !vz_field_is_hidden(field))
            sorted[count++] = &mapping->nodes[id];
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        vz_json_key_slice(w, sorted[i]->field.name);
        vz_mapping_print_field(mapping, sorted[i], 0, w);
    }
    vz_json_end_object(w);
    free(sorted);
}

static const char *type_word(const struct vz_field *field)
{
    return field->any_input ? "semantic" : vz_field_type_name(vz_field_declared(field));
}

static void print_object_params(const struct vz_mapping_node *node, struct vz_json_writer *w)
{
    if (node->dynamic_set)
        vz_json_field_str(w, "dynamic", vz_dynamic_name(node->field.dynamic));
    if (node->enabled_set)
        vz_json_field_bool(w, "enabled", node->field.enabled);
    if (node->include_in_parent)
        vz_json_field_bool(w, "include_in_parent", true);
    if (node->include_in_root)
        vz_json_field_bool(w, "include_in_root", true);
}

/* What of a completion or search_as_you_type was not given: Elasticsearch shows it always. */
static void print_defaults(const struct vz_mapping_node *node, struct vz_json_writer *w)
{
    static const struct shown {
        const char *name, *json;
    } as_you_type[] = {{"doc_values", "false"}, {"max_shingle_size", "3"}};
    static const struct shown completion[] = {{"analyzer", "\"simple\""},
                 {"preserve_separators", "true"},
                 {"preserve_position_increments", "true"},
                 {"max_input_length", "50"}};
    bool typed = node->field.as_you_type;
    const struct shown *shown = typed ? as_you_type : completion;
    size_t count = typed ? VZ_COUNT_OF(as_you_type) : VZ_COUNT_OF(completion);
    for (size_t i = 0; i < count; i++) {
        bool given = false;
        for (size_t p = 0; p < node->param_count; p++)
            given |= vz_slice_is(node->params[p].name, shown[i].name);
        if (given)
            continue;
        vz_json_key(w, shown[i].name);
        vz_json_put_raw(w, vz_slice_from(shown[i].json));
    }
}

void vz_mapping_print_field(const struct vz_mapping *mapping, const struct vz_mapping_node *node,
                            uint32_t dims, struct vz_json_writer *w)
{
    bool is_object = vz_field_is_object(&node->field);
    bool has_children = vz_mapping_shows_children(mapping, node);
    vz_json_begin_object(w);
    if (!is_object || node->field.type == VZ_FIELD_NESTED || !has_children)
        vz_json_field_str(w, "type", type_word(&node->field));
    if (is_object)
        print_object_params(node, w);
    if (node->field.type == VZ_FIELD_DENSE_VECTOR)
        vz_mapping_print_vector(node, dims ? dims : node->field.dims, w);
    for (size_t i = 0; i < node->param_count; i++) {
        if (printed_by_vector(node, node->params[i].name))
            continue;
        vz_json_key_slice(w, node->params[i].name);
        vz_json_put_raw(w, node->params[i].json);
    }
    if (node->field.type == VZ_FIELD_COMPLETION || node->field.as_you_type)
        print_defaults(node, w);
    if (has_children) {
        vz_json_key(w, is_object ? "properties" : "fields");
        print_children(mapping, node->first_child, w);
    }
    vz_json_end_object(w);
}

bool vz_field_is_stored(const struct vz_field *field)
{
    const struct vz_mapping_node *node = vz_mapping_node_of(field);
    for (size_t i = 0; i < node->param_count; i++)
        if (vz_slice_is(node->params[i].name, "store"))
            return vz_slice_is(node->params[i].json, "true") ||
                   vz_slice_is(node->params[i].json, "\"true\"");
    return false;
}

static void print_root_params(const struct vz_mapping *mapping, struct vz_json_writer *w)
{
    if (mapping->dynamic_set)
        vz_json_field_str(w, "dynamic", vz_dynamic_name(mapping->dynamic));
    for (size_t i = 0; i < mapping->param_count; i++) {
        vz_json_key_slice(w, mapping->params[i].name);
        vz_json_put_raw(w, mapping->params[i].json);
    }
}

void vz_mapping_print(const struct vz_mapping *mapping, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    print_root_params(mapping, &w);
    if (mapping->first_child != VZ_NO_FIELD) {
        vz_json_key(&w, "properties");
        print_children(mapping, mapping->first_child, &w);
    }
    vz_json_end_object(&w);
}

/* ---- disk --------------------------------------------------------------------------------- */

static void save_field(const struct vz_mapping_node *node, struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "name", node->field.name);
    if (node->field.parent != VZ_NO_FIELD)
        vz_json_field_int(w, "parent", node->field.parent);
    vz_json_field_str(w, "type", type_word(&node->field));
    print_object_params(node, w);
    vz_json_key(w, "given");
    vz_json_begin_object(w);
    if (node->field.type == VZ_FIELD_DENSE_VECTOR)
        vz_mapping_print_vector(node, node->field.dims, w);
    for (size_t i = 0; i < node->param_count; i++) {
        if (printed_by_vector(node, node->params[i].name))
            continue;
        vz_json_key_slice(w, node->params[i].name);
        vz_json_put_raw(w, node->params[i].json);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

void vz_mapping_save(const struct vz_mapping *mapping, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    vz_json_field_int(&w, "version", 1);
    vz_json_key(&w, "root");
    vz_json_begin_object(&w);
    print_root_params(mapping, &w);
    vz_json_end_object(&w);
    vz_json_key(&w, "fields");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < mapping->count; i++)
        save_field(&mapping->nodes[i], &w);
    vz_json_end_array(&w);
    vz_json_end_object(&w);
}

static enum vz_status corrupt(struct vz_error *err, size_t field, const char *what)
{
    return vz_fail(err, VZ_CORRUPT, "stored mapping: field %zu: %s", field, what);
}

static enum vz_status load_object(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                  struct vz_json entry, struct vz_error *err)
{
    struct vz_json value;
    bool on;
    if (vz_json_get(entry, "dynamic", &value)) {
        node->dynamic_set = true;
        enum vz_status status =
            vz_mapping_read_dynamic(value, node->field.path, &node->field.dynamic, err);
        if (status != VZ_OK)
            return status;
    } else if (node->field.parent != VZ_NO_FIELD) {
        node->field.dynamic = mapping->nodes[node->field.parent].field.dynamic;
    }
    if (vz_json_get(entry, "include_in_parent", &value))
        vz_json_as_bool(value, &node->include_in_parent);
    if (vz_json_get(entry, "include_in_root", &value))
        vz_json_as_bool(value, &node->include_in_root);
    vz_mapping_include(node);
    if (vz_json_get(entry, "enabled", &value) && vz_json_as_bool(value, &on)) {
        node->enabled_set = true;
        node->field.enabled = on;
    }
    return VZ_OK;
}

static enum vz_status load_field(struct vz_mapping *mapping, struct vz_json entry,
                                 struct vz_error *err)
{
    struct vz_json name, type_name, parent_id, given;
    struct vz_mapping_node *node;
    enum vz_field_type type;
    uint16_t parent = VZ_NO_FIELD;
    size_t at = mapping->count;
    if (!vz_json_get(entry, "name", &name) || !vz_json_get(entry, "type", &type_name) ||
        !vz_field_type_find(vz_json_string(type_name), &type))
        return corrupt(err, at, "no name or type");
    if (vz_json_get(entry, "parent", &parent_id)) {
        int64_t id = vz_json_int(parent_id);
        if (id < 0 || (size_t)id >= at)
            return corrupt(err, at, "its parent comes later");
        parent = (uint16_t)id;
    }
    struct vz_slice text = vz_json_string(name);
    if (text.len == 0 || vz_mapping_child(mapping, parent, text))
        return corrupt(err, at, "a name twice or empty");
    enum vz_status status = vz_mapping_add(mapping, parent, text, &node, err);
    if (status != VZ_OK)
        return status;
    node->field.type = type;
    if (parent != VZ_NO_FIELD && mapping->nodes[parent].field.type == VZ_FIELD_FLATTENED) {
        if (!vz_slice_is(text, VZ_KEYED_NAME))
            return corrupt(err, at, "below a flattened field");
        mapping->nodes[parent].field.keyed = node->field.id;
        return vz_mapping_add_keyed(mapping, &mapping->nodes[parent], true, err);
    }
    if (parent != VZ_NO_FIELD && type == VZ_FIELD_AS_YOU_TYPE &&
        vz_mapping_settle_shingles(mapping, &mapping->nodes[parent], node))
        return VZ_OK;
    if (vz_field_is_object(&node->field)) {
        if (node->field.is_multi_field)
            return corrupt(err, at, "an object as a multi-field");
        vz_mapping_settle_field(node);
        return load_object(mapping, node, entry, err);
    }
    if (!vz_json_get(entry, "given", &given))
        return corrupt(err, at, "no parameters");
    node->field.any_input = vz_mapping_says_semantic(entry);
    status = vz_mapping_read_params(mapping, node, given, err);
    vz_mapping_settle_field(node);
    vz_mapping_scope_vector(mapping, node);
    return status;
}

static enum vz_status load_root(struct vz_mapping *mapping, struct vz_json root,
                                struct vz_error *err)
{
    struct vz_json value, member;
    struct vz_slice key;
    if (!vz_json_get(root, "version", &value) || vz_json_int(value) != 1)
        return vz_fail(err, VZ_CORRUPT, "stored mapping: unknown version");
    if (!vz_json_get(root, "root", &value))
        return vz_fail(err, VZ_CORRUPT, "stored mapping: no root");
    struct vz_json_iter it = vz_json_iterate(value);
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = vz_mapping_read_root(mapping, key, member, err);
        if (status != VZ_OK)
            return status;
    }
    if (!vz_json_get(root, "fields", &value))
        return vz_fail(err, VZ_CORRUPT, "stored mapping: no fields");
    it = vz_json_iterate(value);
    while (vz_json_next(&it, NULL, &member)) {
        enum vz_status status = load_field(mapping, member, err);
        if (status != VZ_OK)
            return status;
    }
    enum vz_status status = vz_mapping_resolve_semantic(mapping, false, err);
    if (status == VZ_OK)
        status = vz_mapping_resolve_analyzers(mapping, true, err);
    return status == VZ_OK ? vz_mapping_resolve_aliases(mapping, err) : status;
}

enum vz_status vz_mapping_load(struct vz_slice json, struct vz_mapping **out, struct vz_error *err)
{
    return vz_mapping_load_with(json, NULL, out, err);
}

enum vz_status vz_mapping_load_with(struct vz_slice json, struct vz_analysis *analysis,
                                    struct vz_mapping **out, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    *out = NULL;
    enum vz_status status = vz_json_parse(json, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    struct vz_mapping *mapping = vz_mapping_new_with(analysis);
    mapping->loading = true;
    status = load_root(mapping, root, err);
    mapping->loading = false;
    for (size_t i = 0; status == VZ_OK && i < mapping->count; i++) {
        const struct vz_field *field = &mapping->nodes[i].field;
        if (field->type == VZ_FIELD_FLATTENED && field->keyed == VZ_NO_FIELD)
            status = corrupt(err, i, "a flattened field without its keys");
    }
    if (status == VZ_OK)
        *out = mapping;
    else
        vz_mapping_release(mapping);
    vz_json_free(doc);
    return status;
}
