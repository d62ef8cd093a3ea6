/* geo_distance and geo_bounding_box. */
#include "query/dsl.h"

#include <math.h>

/* Options that both take and that change nothing here; false: not one of them. */
static enum vz_status common_geo(const char *query, struct vz_slice key, struct vz_json value,
                                 struct vz_node *node, bool *handled, struct vz_error *err)
{
    enum vz_status status = vz_dsl_common(query, key, value, &node->boost, handled, err);
    if (status != VZ_OK || *handled)
        return status;
    *handled = true;
    if (vz_slice_is(key, "ignore_unmapped"))
        return vz_dsl_bool(query, "ignore_unmapped", value, &node->lenient, err);
    if (vz_slice_is(key, "validation_method") && vz_slice_is(vz_json_string(value), "STRICT"))
        return VZ_OK;
    if (vz_slice_is(key, "validation_method") || vz_slice_is(key, "distance_type") ||
        vz_slice_is(key, "type")) {
        struct vz_slice text = vz_json_string(value);
        if (vz_slice_is(text, "arc") || vz_slice_is(text, "memory") || vz_slice_is(text, "indexed"))
            return VZ_OK;
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[%s] option [%.*s] with [%.*s] is not supported yet by "
                       "vizsla",
                       query, VZ_ARG(key), VZ_ARG(text));
    }
    *handled = false;
    return VZ_OK;
}

enum vz_status vz_geo_parse_distance(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member, point = {0};
    bool has_distance = false, handled;
    double unit = 1;
    node->kind = VZ_NODE_GEO_DISTANCE;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = common_geo("geo_distance", key, member, node, &handled, err);
        if (status != VZ_OK)
            return status;
        if (handled)
            continue;
        if (vz_slice_is(key, "distance")) {
            struct vz_slice text = vz_query_scalar_text(member, parser->arena);
            if (!vz_query_distance(text, &node->geo.meters) || node->geo.meters <= 0)
                return vz_fail(err, VZ_BAD_QUERY, "[geo_distance] failed to parse distance [%.*s]",
                               VZ_ARG(text));
            has_distance = true;
        } else if (vz_slice_is(key, "unit")) {
            unit = vz_query_unit_meters(vz_json_string(member));
            if (unit == 0)
                return vz_fail(err, VZ_BAD_QUERY, "No distance unit match [%.*s]",
                               VZ_ARG(vz_json_string(member)));
        } else if (node->field.len == 0) {
            node->field = key;
            point = member;
        } else
            return vz_fail(err, VZ_BAD_QUERY,
                           "[geo_distance] query doesn't support multiple "
                           "fields, found [%.*s] and [%.*s]",
                           VZ_ARG(node->field), VZ_ARG(key));
    }
    if (node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[geo_distance] field name is null or empty");
    if (!has_distance)
        return vz_fail(err, VZ_BAD_QUERY, "geo_distance requires 'distance' to be specified");
    node->geo.meters *= unit;
    struct vz_error inner = {0};
    if (vz_geo_parse(point, &node->geo.lat, &node->geo.lon, &inner) != VZ_OK)
        return vz_fail(err, VZ_BAD_QUERY, "[geo_distance] %s", inner.text);
    return VZ_OK;
}

static enum vz_status corner(struct vz_json value, double *lat, double *lon, struct vz_error *err)
{
    struct vz_error inner = {0};
    if (vz_geo_parse(value, lat, lon, &inner) != VZ_OK)
        return vz_fail(err, VZ_BAD_QUERY, "failed to parse bounding box: %s", inner.text);
    return VZ_OK;
}

static enum vz_status parse_corners(struct vz_json box, struct vz_node *node, struct vz_error *err)
{
    /* A corner sets two sides, a side one. */
    double *top = &node->geo.top, *left = &node->geo.left;
    double *bottom = &node->geo.bottom, *right = &node->geo.right;
    const struct {
        const char *name;
        double *lat, *lon;
    } names[] = {
        {"top_left", top, left},   {"bottom_right", bottom, right},
        {"top_right", top, right}, {"bottom_left", bottom, left},
        {"top", top, NULL},        {"bottom", bottom, NULL},
        {"left", NULL, left},      {"right", NULL, right},
    };
    struct vz_json_iter it = vz_json_iterate(box);
    struct vz_slice key;
    struct vz_json value;
    *top = *left = *bottom = *right = NAN;
    while (vz_json_next(&it, &key, &value)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(names) && !vz_slice_is(key, names[i].name))
            i++;
        if (i == VZ_COUNT_OF(names))
            return vz_fail(err, VZ_BAD_QUERY,
                           "failed to parse bounding box. unexpected field [%.*s]", VZ_ARG(key));
        if (names[i].lat && names[i].lon) {
            enum vz_status status = corner(value, names[i].lat, names[i].lon, err);
            if (status != VZ_OK)
                return status;
        } else if (!vz_json_as_double(value, names[i].lat ? names[i].lat : names[i].lon))
            return vz_fail(err, VZ_BAD_QUERY, "failed to parse bounding box. [%.*s] is no number",
                           VZ_ARG(key));
    }
    if (isnan(*top) || isnan(*left) || isnan(*bottom) || isnan(*right))
        return vz_fail(err, VZ_BAD_QUERY, "failed to parse bounding box. a side is missing");
    if (*top < *bottom)
        return vz_fail(err, VZ_BAD_QUERY, "top is below bottom corner: %g vs. %g", *top, *bottom);
    return VZ_OK;
}

enum vz_status vz_geo_parse_box(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    node->kind = VZ_NODE_GEO_BOX;
    while (vz_json_next(&it, &key, &member)) {
        bool handled;
        enum vz_status status = common_geo("geo_bounding_box", key, member, node, &handled, err);
        if (status != VZ_OK)
            return status;
        if (handled)
            continue;
        if (node->field.len || vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_dsl_unknown("geo_bounding_box", key, err);
        if (vz_json_get(member, "wkt", &(struct vz_json){0}))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[geo_bounding_box] [wkt] is not supported yet by vizsla");
        node->field = key;
        status = parse_corners(member, node, err);
        if (status != VZ_OK)
            return status;
    }
    if (node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[geo_bounding_box] field name is null or empty");
    return VZ_OK;
}
