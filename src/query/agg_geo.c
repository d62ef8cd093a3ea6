/* Aggregations of places: cells of geohash and of map tiles, rings of distances, bounds, centroids.
 *
 * Sources: geohash as Morton order of 5 bits a character; map tiles as Web Mercator's ("slippy map")
 * with latitudes up to 85.0511. Coordinates are read as Elasticsearch's doc values keep them, 32
 * bits each, so that sums are the same.
 */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PI 3.14159265358979323846
#define MAX_TILE_LATITUDE 85.0511287798066
#define DEGREE_METERS 111319.49079327358 /* of the plane: the earth's radius of 6378137 m */

static const char base32[] = "0123456789bcdefghjkmnpqrstuvwxyz";

struct vz_geo vz_agg_quantize(struct vz_geo place)
{
    const double lat_step = 180.0 / 4294967296.0, lon_step = 360.0 / 4294967296.0;
    double lat = floor(VZ_MIN(place.lat, 90.0) / lat_step),
           lon = floor(VZ_MIN(place.lon, 180.0) / lon_step);
    return (struct vz_geo){VZ_MIN(lat, 2147483647.0) * lat_step,
                           VZ_MIN(lon, 2147483647.0) * lon_step};
}

/* A coordinate as a number of 32 bits. */
static uint32_t scaled(double value, double half)
{
    double at = floor((value + half) / (2 * half) * 4294967296.0);
    return at >= 4294967295.0 ? UINT32_MAX : at <= 0 ? 0 : (uint32_t)at;
}

static uint64_t spread(uint32_t bits)
{
    uint64_t x = bits;
    x = (x | x << 16) & 0x0000FFFF0000FFFFull;
    x = (x | x << 8) & 0x00FF00FF00FF00FFull;
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0Full;
    x = (x | x << 2) & 0x3333333333333333ull;
    return (x | x << 1) & 0x5555555555555555ull;
}

uint64_t vz_geohash_encode(double lat, double lon, unsigned precision)
{
    uint64_t bits = spread(scaled(lon, 180)) << 1 | spread(scaled(lat, 90));
    return bits >> (64 - 5 * precision);
}

void vz_geohash_text(uint64_t hash, unsigned precision, struct vz_buf *out)
{
    for (unsigned i = precision; i-- > 0;)
        vz_buf_append_char(out, base32[hash >> (5 * i) & 31]);
}

uint64_t vz_geotile_encode(double lat, double lon, unsigned zoom)
{
    double tiles = (double)(1ull << zoom);
    lat = VZ_MAX(VZ_MIN(lat, MAX_TILE_LATITUDE), -MAX_TILE_LATITUDE);
    double sine = sin(lat * PI / 180);
    double x = floor((lon + 180) / 360 * tiles);
    double y = floor((0.5 - log((1 + sine) / (1 - sine)) / (4 * PI)) * tiles);
    x = VZ_MAX(0.0, VZ_MIN(x, tiles - 1));
    y = VZ_MAX(0.0, VZ_MIN(y, tiles - 1));
    return (uint64_t)zoom << 58 | (uint64_t)x << 29 | (uint64_t)y;
}

void vz_geotile_text(uint64_t tile, struct vz_buf *out)
{
    vz_buf_printf(out, "%u/%u/%u", (unsigned)(tile >> 58), (unsigned)(tile >> 29 & 0x1FFFFFFF),
                  (unsigned)(tile & 0x1FFFFFFF));
}

bool vz_geotile_parse(struct vz_slice text, uint64_t *tile)
{
    char copy[48], rest;
    unsigned zoom, x, y;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "%9u/%9u/%9u%c", &zoom, &x, &y, &rest) != 3 || zoom > 29 ||
        x >= 1u << zoom || y >= 1u << zoom)
        return false;
    *tile = (uint64_t)zoom << 58 | (uint64_t)x << 29 | y;
    return true;
}

/* ---- grids -------------------------------------------------------------------------------------
 */

static bool inside(const struct vz_agg *agg, const struct vz_geo *at)
{
    if (!agg->has_bounds)
        return true;
    if (at->lat > agg->top || at->lat < agg->bottom)
        return false;
    return agg->left <= agg->right ? at->lon >= agg->left && at->lon <= agg->right
                                   : at->lon >= agg->left || at->lon <= agg->right;
}

void vz_agg_take_grid(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_agg *agg = node->agg;
    bool hash = agg->kind == VZ_AGG_GEOHASH_GRID;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        size_t from, to, count = 0;
        int64_t few[16], *keys = few;
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, block->docs[i], &from, &to);
        if (!some && !values->has_missing)
            continue;
        if (to - from > VZ_COUNT_OF(few))
            keys = vz_alloc((to - from) * sizeof *keys);
        const struct vz_geo *places = some ? values->column.geo + from : &values->missing_place;
        for (size_t e = 0; e < (some ? to - from : 1); e++)
            if (inside(agg, &places[e]))
                keys[count++] = (int64_t)(hash ? vz_geohash_encode(places[e].lat, places[e].lon,
                                                                   agg->precision)
                                               : vz_geotile_encode(places[e].lat, places[e].lon,
                                                                   agg->precision));
        count = vz_agg_distinct(keys, count);
        for (size_t k = 0; k < count; k++)
            vz_agg_count_key(node, block->docs[i], owner, keys[k]);
        if (keys != few)
            free(keys);
    }
}

/* ---- distances ---------------------------------------------------------------------------------
 */

static double distance(const struct vz_agg *agg, const struct vz_geo *at)
{
    if (!agg->plane)
        return vz_query_haversine(agg->lat, agg->lon, at->lat, at->lon) / agg->meters;
    double x = (at->lon - agg->lon) * cos((agg->lat + at->lat) / 2 * PI / 180);
    double y = at->lat - agg->lat;
    return sqrt(x * x + y * y) * DEGREE_METERS / agg->meters;
}

void vz_agg_take_distance(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t set = node->agg->range_count, from, to;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, docno, &from, &to);
        if ((!some && !values->has_missing) || !vz_agg_reserve_set(node, owner, set))
            continue;
        const struct vz_geo *places = some ? values->column.geo + from : &values->missing_place;
        size_t count = some ? to - from : 1;
        double near = distance(node->agg, places);
        for (size_t r = 0; r < set; r++) {
            bool in = near >= node->range_from[r] && near < node->range_to[r];
            for (size_t e = 1; e < count && !in; e++) {
                double other = distance(node->agg, &places[e]);
                in = other >= node->range_from[r] && other < node->range_to[r];
            }
            if (in)
                vz_agg_count(node, docno, (uint32_t)(owner * set + r));
        }
    }
}

/* ---- bounds, centroids -------------------------------------------------------------------------
 */

void vz_agg_take_places(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t from, to;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, block->docs[i], &from, &to);
        if (!some && !values->has_missing)
            continue;
        if (!vz_agg_grow(node->run, (void **)&node->places, &node->place_capacity,
                         sizeof *node->places, owner))
            return;
        struct vz_agg_places *p = &node->places[owner];
        size_t count = some ? to - from : 1;
        for (size_t e = 0; e < count; e++) {
            struct vz_geo at =
                vz_agg_quantize(some ? values->column.geo[from + e] : values->missing_place);
            if (p->count++ == 0)
                *p = (struct vz_agg_places){.count = 1,
                                            .top = -INFINITY,
                                            .bottom = INFINITY,
                                            .east_left = INFINITY,
                                            .east_right = -INFINITY,
                                            .west_left = INFINITY,
                                            .west_right = -INFINITY};
            vz_agg_metric_add(&p->lat, at.lat);
            vz_agg_metric_add(&p->lon, at.lon);
            p->top = VZ_MAX(p->top, at.lat);
            p->bottom = VZ_MIN(p->bottom, at.lat);
            if (at.lon >= 0) {
                p->east_left = VZ_MIN(p->east_left, at.lon);
                p->east_right = VZ_MAX(p->east_right, at.lon);
            } else {
                p->west_left = VZ_MIN(p->west_left, at.lon);
                p->west_right = VZ_MAX(p->west_right, at.lon);
            }
        }
    }
}

/* With wrapping: around the date line when that is the shorter way. */
static void longitudes(const struct vz_agg_places *p, double *left, double *right)
{
    if (isinf(p->east_left)) {
        *left = p->west_left;
        *right = p->west_right;
    } else if (isinf(p->west_left)) {
        *left = p->east_left;
        *right = p->east_right;
    } else {
        double unwrapped = p->east_right - p->west_left;
        double wrapped = (180 - p->east_left) - (-180 - p->west_right);
        *left = unwrapped <= wrapped ? p->west_left : p->east_left;
        *right = unwrapped <= wrapped ? p->east_right : p->west_right;
    }
}

static void put_place(struct vz_json_writer *w, const char *key, double lat, double lon)
{
    vz_json_key(w, key);
    vz_json_begin_object(w);
    vz_json_field_double(w, "lat", lat);
    vz_json_field_double(w, "lon", lon);
    vz_json_end_object(w);
}

void vz_agg_print_places(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_agg_places *p = owner < node->place_capacity ? &node->places[owner] : NULL;
    bool some = p && p->count;
    if (node->agg->kind == VZ_AGG_GEO_CENTROID) {
        if (some)
            put_place(w, "location", p->lat.sum / (double)p->count, p->lon.sum / (double)p->count);
        vz_json_field_int(w, "count", some ? (int64_t)p->count : 0);
        return;
    }
    if (!some)
        return;
    double left, right;
    longitudes(p, &left, &right);
    vz_json_key(w, "bounds");
    vz_json_begin_object(w);
    put_place(w, "top_left", p->top, left);
    put_place(w, "bottom_right", p->bottom, right);
    vz_json_end_object(w);
}

bool vz_agg_place_value(const struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                        double *out)
{
    const struct vz_agg_places *p = owner < node->place_capacity ? &node->places[owner] : NULL;
    double n = p ? (double)p->count : 0;
    if (node->agg->kind == VZ_AGG_GEO_CENTROID && vz_slice_is(property, "count"))
        *out = n;
    else if (vz_slice_is(property, "lat") || vz_slice_is(property, "location.lat"))
        *out = n > 0 ? p->lat.sum / n : NAN;
    else if (vz_slice_is(property, "lon") || vz_slice_is(property, "location.lon"))
        *out = n > 0 ? p->lon.sum / n : NAN;
    else if (node->agg->kind == VZ_AGG_GEO_BOUNDS && vz_slice_is(property, "top"))
        *out = n > 0 ? p->top : NAN;
    else if (node->agg->kind == VZ_AGG_GEO_BOUNDS && vz_slice_is(property, "bottom"))
        *out = n > 0 ? p->bottom : NAN;
    else
        return false;
    return true;
}
