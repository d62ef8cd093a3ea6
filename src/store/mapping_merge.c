/* store/mapping_merge.c - a mappings body merged into a copy of a mapping: objects, leaves,
 * multi-fields, and what is checked of the whole.
 *
 * A merge copies the base whole and adds to the copy, so that an error leaves nothing half done and
 * readers of the base never see a change. That costs a few hundred kilobytes at the limit of 1,000
 * fields, and mappings change rarely.
 */
#include "store/mapping_semantic.h"

/* ---- fields ------------------------------------------------------------------------------- */

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

enum vz_status vz_mapping_unsupported_parameter(struct vz_slice path, struct vz_slice key,
                                                struct vz_json value, const char *root_text,
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
        vz_mapping_fault(err, "%s%s", root_text, message.data);
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
    return vz_mapping_unsupported_parameter(field->path, key, value, "", err);
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
        return vz_fail(
            err, VZ_BAD_MAPPING, "mapper [%.*s] cannot be changed from type [%s] to [%s]",
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

/* ---- the whole ---------------------------------------------------------------------------- */

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
    struct vz_mapping *mapping = vz_mapping_copy(base);
    *out = mapping;
    vz_mapping_set_rules(mapping, rules);
    return vz_mapping_resolve_aliases(mapping, err);
}

enum vz_status vz_mapping_merge(const struct vz_mapping *base, struct vz_json body,
                                struct vz_mapping **out, struct vz_error *err)
{
    struct vz_mapping *mapping = vz_mapping_copy(base);
    mapping->base_count = base ? base->count : 0;
    enum vz_status status = merge_root(mapping, body, err);
    if (status == VZ_OK)
        status = vz_mapping_check_limits(mapping, base ? base->count : 0, err);
    *out = status == VZ_OK ? mapping : NULL;
    if (status != VZ_OK)
        vz_mapping_release(mapping);
    return status;
}
