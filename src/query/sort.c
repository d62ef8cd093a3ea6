/* Sort keys: reading them from a body.
 *
 * Forms: "price", {"price": "desc"}, {"price": {"order": "desc", ...}}, "_score", "_doc",
 * {"_geo_distance": {"location": ..., "order": "asc", "unit": "km"}}, one of them or an array.
 */
#include "query/dsl.h"

#include <ctype.h>
#include <math.h>

struct key_list {
    struct vz_arena *arena;
    struct vz_sort_key *keys;
    size_t count, capacity;
};

static void init_key(struct vz_sort_key *key, struct vz_slice field)
{
    *key = (struct vz_sort_key){.kind = VZ_SORT_FIELD, .field = field};
    if (vz_slice_is(field, "_score")) {
        key->kind = VZ_SORT_SCORE;
        key->descending = true; /* its default, unlike a field's */
    } else if (vz_slice_is(field, "_doc"))
        key->kind = VZ_SORT_DOC;
    else if (vz_slice_is(field, "_shard_doc"))
        key->kind = VZ_SORT_SHARD_DOC;
}

static enum vz_status parse_order(struct vz_json value, bool *descending, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    bool is_desc = text.len == 4 && strncasecmp(text.ptr, "desc", 4) == 0;
    if (!is_desc && !(text.len == 3 && strncasecmp(text.ptr, "asc", 3) == 0))
        return vz_fail(err, VZ_BAD_QUERY, "Unknown SortOrder [%.*s]", VZ_ARG(text));
    *descending = is_desc;
    return VZ_OK;
}

static enum vz_status parse_mode(struct vz_json value, enum vz_sort_mode *mode,
                                 struct vz_error *err)
{
    static const char *const names[] = {"", "min", "max", "sum", "avg", "median"};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 1; i < VZ_COUNT_OF(names); i++)
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *mode = (enum vz_sort_mode)i;
            return VZ_OK;
        }
    return vz_fail(err, VZ_BAD_QUERY, "Unknown SortMode [%.*s]", VZ_ARG(text));
}

/* A filter in it is counted by itself: what it may have of clauses is what a query may. */
static enum vz_status parse_nested(struct vz_arena *arena, struct vz_json value,
                                   struct vz_sort_key *key, struct vz_error *err)
{
    struct vz_parser parser = {.arena = arena};
    return vz_sort_nested_parse(&parser, value, 1, &key->nested, err);
}

static enum vz_status parse_numeric(struct vz_json value, enum vz_sort_numeric *out,
                                    struct vz_error *err)
{
    static const char *const names[] = {"", "long", "double", "date", "date_nanos"};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 1; i < VZ_COUNT_OF(names); i++)
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *out = (enum vz_sort_numeric)i;
            return VZ_OK;
        }
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "invalid value for [numeric_type], must be [long, double, date, date_nanos], "
                   "got %.*s",
                   VZ_ARG(text));
}

static enum vz_status parse_option(struct vz_arena *arena, struct vz_sort_key *key,
                                   struct vz_slice name, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(name, "order"))
        return parse_order(value, &key->descending, err);
    if (key->kind != VZ_SORT_FIELD)
        return vz_fail(err, VZ_BAD_QUERY, "[%.*s] sort: unknown field [%.*s]", VZ_ARG(key->field),
                       VZ_ARG(name));
    if (vz_slice_is(name, "mode"))
        return parse_mode(value, &key->mode, err);
    if (vz_slice_is(name, "missing")) {
        struct vz_slice text = vz_json_string(value);
        key->missing_first = vz_slice_is(text, "_first");
        if (!key->missing_first && !vz_slice_is(text, "_last"))
            key->missing = value;
        return VZ_OK;
    }
    if (vz_slice_is(name, "unmapped_type")) {
        key->unmapped_type = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(name, "format")) {
        key->format = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(name, "nested"))
        return parse_nested(arena, value, key, err);
    if (vz_slice_is(name, "nested_path") || vz_slice_is(name, "nested_filter"))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[%.*s] has been removed in favour of the [nested] parameter", VZ_ARG(name));
    if (vz_slice_is(name, "numeric_type"))
        return parse_numeric(value, &key->numeric, err);
    return vz_fail(err, VZ_BAD_QUERY, "[field_sort] unknown field [%.*s]", VZ_ARG(name));
}

static enum vz_status parse_geo(struct vz_arena *arena, struct vz_json value,
                                struct vz_sort_key *key, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member, point = {0};
    *key = (struct vz_sort_key){.kind = VZ_SORT_GEO, .unit = 1};
    while (vz_json_next(&it, &name, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(name, "order"))
            status = parse_order(member, &key->descending, err);
        else if (vz_slice_is(name, "mode"))
            status = parse_mode(member, &key->mode, err);
        else if (vz_slice_is(name, "unit")) {
            key->unit = vz_query_unit_meters(vz_json_string(member));
            if (key->unit == 0)
                status = vz_fail(err, VZ_BAD_QUERY, "No distance unit match [%.*s]",
                                 VZ_ARG(vz_json_string(member)));
        } else if (vz_slice_is(name, "ignore_unmapped"))
            key->ignore_unmapped = vz_json_bool(member);
        else if (vz_slice_is(name, "distance_type"))
            status = vz_geo_check_distance_type(member, &key->plane, err);
        else if (vz_slice_is(name, "validation_method") &&
                 !vz_slice_is(vz_json_string(member), "COERCE"))
            status = vz_geo_parse_validation(member, &(bool){false}, err);
        else if (vz_slice_is(name, "nested"))
            status = parse_nested(arena, member, key, err);
        else if (vz_slice_is(name, "validation_method"))
            status = vz_fail(err, VZ_UNSUPPORTED,
                             "[_geo_distance] option [%.*s] is not supported "
                             "yet by vizsla",
                             VZ_ARG(name));
        else if (key->field.len)
            status = vz_fail(err, VZ_BAD_QUERY,
                             "Trying to reset fieldName to [%.*s], already set "
                             "to [%.*s].",
                             VZ_ARG(name), VZ_ARG(key->field));
        else {
            key->field = name;
            point = member;
        }
        if (status != VZ_OK)
            return status;
    }
    if (key->mode == VZ_MODE_SUM)
        return vz_fail(err, VZ_BAD_QUERY,
                       "sort_mode [sum] isn't supported for sorting by geo "
                       "distance");
    /* One origin; an array of origins is not told from [lon, lat] here and fails to parse. */
    struct vz_error inner = {0};
    if (key->field.len == 0 || vz_geo_parse(point, &key->lat, &key->lon, &inner) != VZ_OK)
        return vz_fail(err, VZ_BAD_QUERY, "[_geo_distance] cannot read the origin: %s",
                       key->field.len ? inner.text : "no field named");
    return VZ_OK;
}

static enum vz_status check_name(struct vz_slice field, struct vz_error *err)
{
    static const char *const refused[] = {"_index", "_seq_no", "_source", "_version"};
    if (vz_slice_is(field, "_id"))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Fielddata access on the _id field is disallowed, you can re-enable it by "
                       "updating the dynamic cluster setting: indices.id_field_data.enabled");
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++)
        if (vz_slice_is(field, refused[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "[sort] by [%s] is not supported yet by vizsla",
                           refused[i]);
    return VZ_OK;
}

static struct vz_sort_key *add_key(struct key_list *list)
{
    if (list->count == list->capacity) {
        struct vz_sort_key *old = list->keys;
        list->capacity = list->capacity * 2 + 4;
        list->keys = vz_arena_alloc(list->arena, list->capacity * sizeof(*old));
        if (list->count)
            memcpy(list->keys, old, list->count * sizeof(*old));
    }
    return &list->keys[list->count++];
}

static enum vz_status parse_member(struct key_list *list, struct vz_slice name,
                                   struct vz_json value, struct vz_error *err)
{
    struct vz_sort_key *key = add_key(list);
    if (vz_slice_is(name, "_geo_distance") || vz_slice_is(name, "_geoDistance"))
        return parse_geo(list->arena, value, key, err);
    if (vz_slice_is(name, "_script"))
        return vz_script_sort_parse(value, list->arena, key, err);
    enum vz_status status = check_name(name, err);
    if (status != VZ_OK)
        return status;
    init_key(key, name);
    if (vz_json_type(value) == VZ_JSON_STRING)
        return parse_order(value, &key->descending, err);
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "malformed sort format, within the sort array, an object, or an actual string are "
            "allowed");
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice option;
    struct vz_json member;
    while (status == VZ_OK && vz_json_next(&it, &option, &member))
        status = parse_option(list->arena, key, option, member, err);
    return status;
}

static enum vz_status parse_one(struct key_list *list, struct vz_json value, struct vz_error *err)
{
    if (vz_json_type(value) == VZ_JSON_STRING) {
        struct vz_slice name = vz_json_string(value);
        enum vz_status status = check_name(name, err);
        if (status == VZ_OK)
            init_key(add_key(list), name);
        return status;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "malformed sort format, within the sort array, an object, or an actual string are "
            "allowed");
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &name, &member))
        status = parse_member(list, name, member, err);
    return status;
}

static enum vz_status give(struct key_list *list, struct vz_sort_key **keys, size_t *count,
                           struct vz_error *err)
{
    if (list->count > VZ_MAX_SORT_KEYS)
        return vz_fail(err, VZ_BAD_QUERY, "[sort] has [%zu] keys, at most [%d] are allowed",
                       list->count, VZ_MAX_SORT_KEYS);
    bool plain =
        list->count == 1 && list->keys[0].kind == VZ_SORT_SCORE && list->keys[0].descending;
    *keys = list->keys;
    *count = plain ? 0 : list->count;
    return VZ_OK;
}

enum vz_status vz_sort_parse(struct vz_json value, struct vz_arena *arena,
                             struct vz_sort_key **keys, size_t *count, struct vz_error *err)
{
    struct key_list list = {.arena = arena};
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        struct vz_json_iter it = vz_json_iterate(value);
        struct vz_json element;
        while (status == VZ_OK && vz_json_next(&it, NULL, &element))
            status = parse_one(&list, element, err);
    } else
        status = parse_one(&list, value, err);
    return status == VZ_OK ? give(&list, keys, count, err) : status;
}

enum vz_status vz_sort_parse_param(struct vz_slice text, struct vz_arena *arena,
                                   struct vz_sort_key **keys, size_t *count, struct vz_error *err)
{
    struct key_list list = {.arena = arena};
    struct vz_json_patterns parts = vz_query_split(text, arena);
    for (size_t i = 0; i < parts.count; i++) {
        struct vz_slice name = parts.items[i];
        const char *colon = memrchr(name.ptr, ':', name.len);
        struct vz_slice order = {0};
        if (colon) {
            order = (struct vz_slice){colon + 1, (size_t)(name.ptr + name.len - colon - 1)};
            name.len = (size_t)(colon - name.ptr);
        }
        enum vz_status status = check_name(name, err);
        if (status != VZ_OK)
            return status;
        struct vz_sort_key *key = add_key(&list);
        init_key(key, name);
        if (!colon)
            continue;
        if (!vz_slice_is(order, "desc") && !vz_slice_is(order, "asc"))
            return vz_fail(err, VZ_BAD_QUERY, "Unknown SortOrder [%.*s]", VZ_ARG(order));
        key->descending = vz_slice_is(order, "desc");
    }
    return give(&list, keys, count, err);
}
