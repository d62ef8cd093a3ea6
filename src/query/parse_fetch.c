/* What of its hits a body asks for: _source, fields, docvalue_fields, stored_fields. */
#include "query/parse.h"

/* A string or an array of strings, appended to patterns. */
static enum vz_status add_patterns(struct vz_body *body, const char *key, struct vz_json value,
                                   struct vz_json_patterns *patterns, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = patterns->count, more = many ? vz_json_count(value) : 1;
    struct vz_slice *items =
        vz_arena_alloc(body->parser.arena, (count + more + 1) * sizeof(*items));
    if (count)
        memcpy(items, patterns->items, count * sizeof(*items));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    while (!many || vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [%s].",
                           vz_query_token(element), key);
        items[count++] = vz_json_string(element);
        if (!many)
            break;
    }
    *patterns = (struct vz_json_patterns){items, count};
    return VZ_OK;
}

static enum vz_status parse_source_object(struct vz_body *body, struct vz_json value,
                                          struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "includes") || vz_slice_is(key, "include"))
            status = add_patterns(body, "includes", member, &search->includes, err);
        else if (vz_slice_is(key, "excludes") || vz_slice_is(key, "exclude"))
            status = add_patterns(body, "excludes", member, &search->excludes, err);
        else if (vz_slice_is(key, "exclude_vectors"))
            status = vz_body_read_bool("exclude_vectors", member, &search->exclude_vectors, err);
        else
            return vz_body_unknown(member, key, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

enum vz_status vz_body_parse_source(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    struct vz_search *search = body->search;
    body->source_given = true;
    search->with_source = true;
    switch (vz_json_type(value)) {
    case VZ_JSON_BOOL:
        search->with_source = vz_json_bool(value);
        return VZ_OK;
    case VZ_JSON_STRING:
    case VZ_JSON_ARRAY:
        return add_patterns(body, "_source", value, &search->includes, err);
    case VZ_JSON_OBJECT:
        return parse_source_object(body, value, err);
    default:
        return vz_fail(err, VZ_BAD_QUERY,
                       "Expected one of [VALUE_BOOLEAN, START_OBJECT] but found "
                       "[%s]",
                       vz_query_token(value));
    }
}

static enum vz_status add_field(const char *key, struct vz_json value, struct vz_field_request *out,
                                struct vz_error *err)
{
    *out = (struct vz_field_request){0};
    if (vz_json_type(value) == VZ_JSON_STRING) {
        out->pattern = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] expected a field name or an object but got %s", key,
                       vz_query_token(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    while (vz_json_next(&it, &name, &member)) {
        if (vz_slice_is(name, "field"))
            out->pattern = vz_json_string(member);
        else if (vz_slice_is(name, "format"))
            out->format = vz_json_string(member);
        else if (vz_slice_is(name, "include_unmapped") && !vz_json_bool(member))
            continue;
        else if (vz_slice_is(name, "include_unmapped"))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[%s] option [include_unmapped] is not supported yet by vizsla", key);
        else
            return vz_fail(err, VZ_BAD_QUERY, "[field_and_format] unknown field [%.*s]",
                           VZ_ARG(name));
    }
    if (out->pattern.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[field_and_format] Required [field]");
    return VZ_OK;
}

static enum vz_status add_fields(struct vz_body *body, const char *key, struct vz_json value,
                                 struct vz_field_requests *out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_body_unknown(value, vz_slice_from(key), err);
    out->items =
        vz_arena_alloc(body->parser.arena, (vz_json_count(value) + 1) * sizeof(*out->items));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status = add_field(key, element, &out->items[out->count], err);
        if (status != VZ_OK)
            return status;
        out->count++;
    }
    return VZ_OK;
}

enum vz_status vz_body_parse_fields(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    return add_fields(body, "fields", value, &body->search->fields, err);
}

enum vz_status vz_body_parse_docvalue(struct vz_body *body, struct vz_json value,
                                      struct vz_error *err)
{
    return add_fields(body, "docvalue_fields", value, &body->search->docvalue_fields, err);
}

enum vz_status vz_body_parse_stored(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    struct vz_json_patterns names = {0};
    enum vz_status status = add_patterns(body, "stored_fields", value, &names, err);
    body->stored_fields_given = true;
    return status == VZ_OK ? vz_stored_fields_take(body->search, names, err) : status;
}

/* Whether _source is shown when nobody said so. */
void vz_body_settle_source(struct vz_body *body)
{
    struct vz_search *search = body->search;
    if (body->stored_fields_given && !body->source_given)
        search->with_source = search->stored_source;
    if (search->script_field_count && !body->source_given && !body->stored_fields_given)
        search->with_source = false; /* as Elasticsearch */
}
