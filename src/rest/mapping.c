/* Mappings: whole, by field, and adding fields. */
#include "infer/infer.h"
#include "rest/parts.h"

void vz_rest_mapping_get(struct vz_call *call)
{
    struct vz_resolved found;
    if (!vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_READ, &found))
        return;
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    for (size_t i = 0; i < found.count; i++) {
        struct vz_mapping *mapping = vz_index_mapping(found.indices[i]);
        struct vz_buf text = {0};
        vz_mapping_print(mapping, &text);
        vz_json_key_slice(w, vz_index_name(found.indices[i]));
        vz_json_begin_object(w);
        vz_json_key(w, "mappings");
        vz_json_put_raw(w, vz_buf_slice(&text));
        vz_json_end_object(w);
        vz_buf_deinit(&text);
        vz_mapping_release(mapping);
    }
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* The printed mapping of one field: a walk down "properties" and "fields" along its path. */
static bool find_printed(struct vz_json mappings, struct vz_slice path, struct vz_json *out)
{
    struct vz_json at = mappings;
    while (path.len) {
        const char *dot = memchr(path.ptr, '.', path.len);
        struct vz_slice name = {path.ptr, dot ? (size_t)(dot - path.ptr) : path.len};
        char key[512];
        struct vz_json group;
        if (name.len >= sizeof key)
            return false;
        memcpy(key, name.ptr, name.len);
        key[name.len] = '\0';
        bool found = (vz_json_get(at, "properties", &group) && vz_json_get(group, key, out)) ||
                     (vz_json_get(at, "fields", &group) && vz_json_get(group, key, out));
        if (!found)
            return false;
        at = *out;
        size_t skip = dot ? name.len + 1 : name.len;
        path.ptr += skip;
        path.len -= skip;
    }
    return true;
}

static void print_field(struct vz_json_writer *w, const struct vz_field *field,
                        struct vz_json printed)
{
    vz_json_key_slice(w, field->path);
    vz_json_begin_object(w);
    vz_json_field_string(w, "full_name", field->path);
    vz_json_key(w, "mapping");
    vz_json_begin_object(w);
    vz_json_key_slice(w, field->name);
    vz_json_put_value(w, printed);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void print_fields(struct vz_call *call, struct vz_mapping *mapping,
                         const struct vz_slice *patterns, size_t count)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, printed;
    vz_mapping_print(mapping, &text);
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        for (size_t id = 0; id < vz_mapping_count(mapping); id++) {
            const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)id);
            bool named = false;
            if (field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED ||
                field->type == VZ_FIELD_FLATTENED_KEYED)
                continue;
            for (size_t i = 0; i < count; i++)
                named |= vz_wildcard_match(patterns[i], field->path);
            if (named && find_printed(root, field->path, &printed))
                print_field(&call->w, field, printed);
        }
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
}

void vz_rest_mapping_get_field(struct vz_call *call)
{
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    struct vz_slice expression = has_index ? call->args[0] : (struct vz_slice){"", 0};
    struct vz_slice *patterns;
    size_t count = vz_split(call->arena, call->args[has_index ? 1 : 0], &patterns);
    struct vz_resolved found;
    if (!vz_resolve(call, expression,
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_READ, &found))
        return;
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    for (size_t i = 0; i < found.count; i++) {
        struct vz_mapping *mapping = vz_index_mapping(found.indices[i]);
        vz_json_key_slice(w, vz_index_name(found.indices[i]));
        vz_json_begin_object(w);
        vz_json_key(w, "mappings");
        vz_json_begin_object(w);
        print_fields(call, mapping, patterns, count);
        vz_json_end_object(w);
        vz_json_end_object(w);
        vz_mapping_release(mapping);
    }
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* ---- models of vectors --------------------------------------------------------------------- */

/* Vectors of a model that is installed have its length; a mapping that says otherwise could never
 * take one. A model that is not here may come later, so nothing is said of it. */
static bool model_fits(struct vz_call *call, struct vz_slice name, struct vz_json definition)
{
    struct vz_json type, dims, model;
    struct vz_infer_about about;
    int64_t count;
    if (!call->rest->infer || !vz_json_get(definition, "type", &type) ||
        !vz_slice_is(vz_json_string(type), "dense_vector") ||
        !vz_json_get(definition, "dims", &dims) || !vz_json_as_int(dims, &count) ||
        !vz_json_get_path(definition, "meta.model", &model) ||
        vz_json_type(model) != VZ_JSON_STRING)
        return true;
    if (vz_infer_about(call->rest->infer, vz_json_string(model), call->arena, &about, NULL) !=
            VZ_OK ||
        about.dims == 0 || about.dims == count)
        return true;
    return vz_call_fail(call, 400, "mapper_parsing_exception",
                        "Failed to parse mapping: the field [%.*s] has [%lld] dimensions, but "
                        "vectors of its model [%.*s] have [%u]",
                        VZ_S(name), (long long)count, VZ_S(about.name), about.dims);
}

static bool models_fit_below(struct vz_call *call, struct vz_json properties, unsigned depth)
{
    struct vz_json_iter it = vz_json_iterate(properties);
    struct vz_slice key;
    struct vz_json definition, inner;
    if (vz_json_type(properties) != VZ_JSON_OBJECT || depth > 20)
        return true;
    while (vz_json_next(&it, &key, &definition)) {
        if (vz_json_type(definition) != VZ_JSON_OBJECT)
            continue;
        if (!model_fits(call, key, definition))
            return false;
        if (vz_json_get(definition, "properties", &inner) &&
            !models_fit_below(call, inner, depth + 1))
            return false;
    }
    return true;
}

bool vz_mapping_models_fit(struct vz_call *call, struct vz_json mappings)
{
    struct vz_json properties;
    return !vz_json_get(mappings, "properties", &properties) ||
           models_fit_below(call, properties, 0);
}

void vz_rest_mapping_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_resolved found;
    if (!vz_call_body(call, VZ_AT_MAP_BODY, true, &body) || !vz_mapping_models_fit(call, body) ||
        !vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_SOME | VZ_RESOLVE_CLOSED |
                        VZ_RESOLVE_AND_CLOSED | VZ_RESOLVE_METADATA_WRITE,
                    &found))
        return;
    for (size_t i = 0; i < found.count && !call->problem.status; i++) {
        struct vz_error err = {0};
        if (vz_index_put_mapping(found.indices[i], body, &err) != VZ_OK)
            vz_call_fail_index(call, &err, VZ_AT_PUT_MAPPING, found.indices[i]);
    }
    vz_resolved_release(&found);
    vz_call_acknowledge(call);
}
