/* store/geo.c - a point on the earth in the forms Elasticsearch takes. */
#include "base/text.h"
#include "store/mapping_parts.h"

#include <math.h>
#include <stdlib.h>

/* A whole slice as a plain decimal number. */
static bool to_double(struct vz_slice text, double *out)
{
    char copy[64], *end;
    text = vz_slice_trim_of(text, " \t\n");
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr("0123456789+-.eE", text.ptr[i]) || !text.ptr[i])
            return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *out = strtod(copy, &end);
    return *end == 0 && isfinite(*out);
}

/* Splits at the first of the separator bytes. */
static struct vz_slice cut(struct vz_slice *rest, char separator)
{
    const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct vz_slice part = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t skip = part.len + (at != NULL);
    rest->ptr += skip;
    rest->len -= skip;
    return part;
}

/* "lat,lon[,z]" */
static bool from_comma(struct vz_slice text, double *lat, double *lon)
{
    double z;
    struct vz_slice a = cut(&text, ','), b = cut(&text, ',');
    if (!to_double(a, lat) || !to_double(b, lon))
        return false;
    return text.len == 0 || to_double(text, &z);
}

/* "POINT (lon lat[ z])", any case. */
static bool from_wkt(struct vz_slice text, double *lat, double *lon)
{
    double z;
    text.ptr += 5;
    text.len -= 5;
    text = vz_slice_trim_of(text, " \t\n");
    if (text.len < 2 || text.ptr[0] != '(' || text.ptr[text.len - 1] != ')')
        return false;
    text = vz_slice_trim_of((struct vz_slice){text.ptr + 1, text.len - 2}, " \t\n");
    struct vz_slice a = cut(&text, ' ');
    text = vz_slice_trim_of(text, " \t\n");
    struct vz_slice b = cut(&text, ' ');
    text = vz_slice_trim_of(text, " \t\n");
    return to_double(a, lon) && to_double(b, lat) && (text.len == 0 || to_double(text, &z));
}

/* The south-west corner of the cell, as Elasticsearch indexes it. */
static bool from_geohash(struct vz_slice text, double *lat, double *lon)
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    double low[2] = {-180, -90}, high[2] = {180, 90};
    bool is_lat = false;
    if (text.len == 0 || text.len > 12)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *at = c ? strchr(alphabet, c >= 'A' && c <= 'Z' ? c + 32 : c) : NULL;
        if (!at)
            return false;
        for (int bit = 4; bit >= 0; bit--, is_lat = !is_lat) {
            double middle = (low[is_lat] + high[is_lat]) / 2;
            if ((at - alphabet) >> bit & 1)
                low[is_lat] = middle;
            else
                high[is_lat] = middle;
        }
    }
    *lon = low[0];
    *lat = low[1];
    return true;
}

static enum vz_status from_string(struct vz_slice text, double *lat, double *lon,
                                  struct vz_error *err)
{
    text = vz_slice_trim_of(text, " \t\n");
    bool ok;
    if (text.len && memchr(text.ptr, ',', text.len))
        ok = from_comma(text, lat, lon);
    else if (text.len > 5 && strncasecmp(text.ptr, "POINT", 5) == 0)
        ok = from_wkt(text, lat, lon);
    else
        ok = from_geohash(text, lat, lon);
    if (ok)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "failed to parse geo point: [%.*s] is no \"lat,lon\", no "
                   "\"POINT (lon lat)\" and no geohash",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr);
}

/* [lon, lat] or [lon, lat, z] */
static enum vz_status from_array(struct vz_json value, double *lat, double *lon,
                                 struct vz_error *err)
{
    double numbers[3];
    size_t count = 0;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        if (count == 3)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[geo_point] field type does not accept > 3 "
                           "values");
        if (!vz_json_as_double(element, &numbers[count++]))
            return vz_fail(err, VZ_BAD_ARGUMENT, "numeric value expected, got %s",
                           vz_json_type_name(element));
    }
    if (count < 2)
        return vz_fail(err, VZ_BAD_ARGUMENT, "geo point array needs [lon, lat], got %zu numbers",
                       count);
    *lon = numbers[0];
    *lat = numbers[1];
    return VZ_OK;
}

static enum vz_status from_object(struct vz_json value, double *lat, double *lon,
                                  struct vz_error *err)
{
    struct vz_json x, y, type;
    if (vz_json_get(value, "lat", &y) && vz_json_get(value, "lon", &x)) {
        if (!vz_json_as_double(y, lat))
            return vz_fail(err, VZ_BAD_ARGUMENT, "[lat] must be a valid double value");
        if (!vz_json_as_double(x, lon))
            return vz_fail(err, VZ_BAD_ARGUMENT, "[lon] must be a valid double value");
        return VZ_OK;
    }
    if (vz_json_get(value, "lat", &y))
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [lon] missing");
    if (vz_json_get(value, "lon", &x))
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [lat] missing");
    if (vz_json_get(value, "geohash", &x))
        return from_string(vz_json_string(x), lat, lon, err);
    if (vz_json_get(value, "coordinates", &x) && vz_json_get(value, "type", &type)) {
        struct vz_slice name = vz_json_string(type);
        if (name.len != 5 || strncasecmp(name.ptr, "Point", 5) != 0)
            return vz_fail(err, VZ_BAD_ARGUMENT, "[type] for geo_point can only be 'Point'");
        if (vz_json_type(x) != VZ_JSON_ARRAY)
            return vz_fail(err, VZ_BAD_ARGUMENT, "[coordinates] must be an array");
        return from_array(x, lat, lon, err);
    }
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "field must be either [lat], [lon], [geohash], or [type] "
                   "and [coordinates]");
}

enum vz_status vz_geo_parse_any(struct vz_json value, double *lat, double *lon,
                                struct vz_error *err)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_STRING:
        return from_string(vz_json_string(value), lat, lon, err);
    case VZ_JSON_ARRAY:
        return from_array(value, lat, lon, err);
    case VZ_JSON_OBJECT:
        return from_object(value, lat, lon, err);
    default:
        return vz_fail(err, VZ_BAD_ARGUMENT, "geo_point expected, got %s",
                       vz_json_type_name(value));
    }
}

enum vz_status vz_geo_parse(struct vz_json value, double *lat, double *lon, struct vz_error *err)
{
    enum vz_status status = vz_geo_parse_any(value, lat, lon, err);
    if (status != VZ_OK)
        return status;
    if (!(*lat >= -90 && *lat <= 90))
        return vz_fail(err, VZ_BAD_ARGUMENT, "illegal latitude value [%g]", *lat);
    if (!(*lon >= -180 && *lon <= 180))
        return vz_fail(err, VZ_BAD_ARGUMENT, "illegal longitude value [%g]", *lon);
    return VZ_OK;
}
