/* geo_distance and geo_bounding_box. */
#include "query/dsl.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum vz_status vz_geo_parse_validation(struct vz_json value, bool *coerces, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    *coerces = text.len == 6 && strncasecmp(text.ptr, "COERCE", 6) == 0;
    if (*coerces || (text.len == 6 && strncasecmp(text.ptr, "STRICT", 6) == 0) ||
        (text.len == 16 && strncasecmp(text.ptr, "IGNORE_MALFORMED", 16) == 0))
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "operator needs to be either [COERCE, IGNORE_MALFORMED, STRICT], but not [%.*s]",
                   VZ_ARG(text));
}

enum vz_status vz_geo_check_distance_type(struct vz_json value, bool *plane, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    *plane = vz_slice_is(text, "plane");
    return *plane || vz_slice_is(text, "arc")
               ? VZ_OK
               : vz_fail(err, VZ_BAD_ARGUMENT, "No geo distance for [%.*s]", VZ_ARG(text));
}

/* Into (-half, half]. */
static double turned(double degrees, double half)
{
    double rest = fmod(degrees, 2 * half);
    if (rest <= 0)
        rest += 2 * half;
    return rest > half ? rest - 2 * half : rest;
}

/* A place off the map is brought back onto it: over a pole is on the other side of the earth. */
static void coerce(double *lat, double *lon)
{
    bool over = *lat > 90 || *lat < -90;
    if (over) {
        *lat = turned(*lat, 180);
        bool shift = *lat > 90 || *lat < -90;
        if (shift) {
            *lat = *lat < 0 ? -180 - *lat : 180 - *lat;
            *lon += 180;
        }
    }
    if (over || *lon > 180 || *lon < -180)
        *lon = turned(*lon, 180);
}

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
    if (vz_slice_is(key, "validation_method"))
        return vz_geo_parse_validation(value, &node->geo.coerces, err);
    /* Which formula or index structure finds the places changes nothing of what is found, there as
     * here: Lucene's distance queries are exact. */
    if (vz_slice_is(key, "distance_type"))
        return vz_geo_check_distance_type(value, &(bool){false}, err);
    if (vz_slice_is(key, "type")) {
        struct vz_slice text = vz_json_string(value);
        return vz_slice_is(text, "memory") || vz_slice_is(text, "indexed")
                   ? VZ_OK
                   : vz_fail(err, VZ_BAD_ARGUMENT,
                             "failed to parse type [%.*s]. must be either [memory] or [indexed]",
                             VZ_ARG(text));
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
    enum vz_status status = node->geo.coerces
                                ? vz_geo_parse_any(point, &node->geo.lat, &node->geo.lon, &inner)
                                : vz_geo_parse(point, &node->geo.lat, &node->geo.lon, &inner);
    if (status != VZ_OK || !isfinite(node->geo.lat) || !isfinite(node->geo.lon))
        return vz_fail(err, VZ_BAD_QUERY, "[geo_distance] %s",
                       status != VZ_OK ? inner.text : "latitude and longitude must be finite");
    if (node->geo.coerces)
        coerce(&node->geo.lat, &node->geo.lon);
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

/* "BBOX (left, right, top, bottom)" */
static enum vz_status parse_wkt(struct vz_slice text, bool with_more, struct vz_node *node,
                                struct vz_error *err)
{
    double *sides[] = {&node->geo.left, &node->geo.right, &node->geo.top, &node->geo.bottom};
    char copy[256], *at = copy, *end;
    if (with_more)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "failed to parse bounding box. Conflicting definition found using well-known "
            "text and explicit corners.");
    size_t len = VZ_MIN(text.len, sizeof copy - 1);
    if (len)
        memcpy(copy, text.ptr, len);
    copy[len] = 0;
    at += strspn(at, " ");
    bool good = len == text.len && strncasecmp(at, "BBOX", 4) == 0;
    at += good ? 4 + strspn(at + 4, " ") : 0;
    good = good && *at == '(';
    for (size_t i = 0; i < 4 && good; i++) {
        *sides[i] = strtod(++at, &end);
        good = end != at && isfinite(*sides[i]);
        at = end + strspn(end, " ");
        good = good && *at == (i < 3 ? ',' : ')');
    }
    if (!good || at[1 + strspn(at + 1, " ")])
        return vz_fail(err, VZ_BAD_QUERY, "failed to parse WKT bounding box");
    if (node->geo.top < node->geo.bottom)
        return vz_fail(err, VZ_BAD_QUERY, "top is below bottom corner: %g vs. %g", node->geo.top,
                       node->geo.bottom);
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
        struct vz_json wkt;
        node->field = key;
        status = vz_json_get(member, "wkt", &wkt)
                     ? parse_wkt(vz_json_string(wkt), vz_json_count(member) > 1, node, err)
                     : parse_corners(member, node, err);
        if (status != VZ_OK)
            return status;
    }
    if (node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[geo_bounding_box] field name is null or empty");
    return VZ_OK;
}
