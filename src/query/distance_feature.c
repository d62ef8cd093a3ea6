/* distance_feature: documents with a date or a place, the nearer to an origin the higher the score:
 * boost * pivot / (pivot + distance), of the nearest of several values, in Lucene's steps. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/scripting.h"

#include <math.h>
#include <stdlib.h>

struct vz_distance_feature {
    struct vz_json origin;
    struct vz_slice pivot;
};

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    (void)err;
    if (vz_slice_is(key, "field"))
        node->field = vz_json_string(value);
    else if (vz_slice_is(key, "origin"))
        node->distance->origin = value;
    else if (vz_slice_is(key, "pivot") && vz_dsl_is_scalar(value))
        node->distance->pivot = vz_query_scalar_text(value, parser->arena);
    else
        return VZ_NOT_FOUND;
    return VZ_OK;
}

enum vz_status vz_dsl_parse_distance_feature(struct vz_parser *parser, struct vz_json value,
                                             struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_DISTANCE_FEATURE;
    node->distance = vz_arena_zalloc(parser->arena, sizeof *node->distance);
    enum vz_status status = vz_dsl_walk(parser, "distance_feature", value, node, visit, err);
    if (status != VZ_OK)
        return status;
    const char *missing = !node->field.len ? "field"
                          : vz_json_type(node->distance->origin) == VZ_JSON_MISSING ||
                                  vz_json_type(node->distance->origin) == VZ_JSON_NULL
                              ? "origin"
                          : !node->distance->pivot.len ? "pivot"
                                                       : NULL;
    return missing ? vz_fail(err, VZ_BAD_ARGUMENT, "Required [%s]", missing) : VZ_OK;
}

/* The origin and the pivot as the field has them. */
struct measure {
    int64_t date;
    double lat, lon, pivot;
};

static enum vz_status read_measure(struct vz_eval *eval, const struct vz_node *node,
                                   const struct vz_field *field, struct measure *out,
                                   struct vz_error *err)
{
    const struct vz_distance_feature *from = node->distance;
    struct vz_error inner = {0};
    bool is_pivot;
    if (field->type == VZ_FIELD_DATE) {
        struct vz_span span;
        enum vz_status status = vz_term_span(eval, field, from->origin, &span, err);
        if (status != VZ_OK)
            return status;
        out->date = span.high; /* a day is its last moment */
        is_pivot = vz_query_duration(from->pivot, &out->pivot);
    } else {
        if (vz_geo_parse(from->origin, &out->lat, &out->lon, &inner) != VZ_OK)
            return vz_query_fail(err, VZ_BAD_QUERY, "%s", inner.text);
        is_pivot = vz_query_distance(from->pivot, &out->pivot);
    }
    if (!is_pivot)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "failed to parse setting [distance_feature.pivot] with value [%.*s]",
                             VZ_ARG(from->pivot));
    if (!(out->pivot > 0) || isinf(out->pivot))
        return vz_query_fail(err, VZ_BAD_QUERY, "pivotDistance must be > 0, got %g", out->pivot);
    return VZ_OK;
}

static double distance_at(const struct measure *measure, const struct vz_column *column, size_t at)
{
    if (column->kind == VZ_COLUMN_GEO)
        return vz_query_haversine(measure->lat, measure->lon, column->geo[at].lat,
                                  column->geo[at].lon);
    int64_t gap;
    int64_t low = VZ_MIN(column->i64[at], measure->date);
    int64_t high = VZ_MAX(column->i64[at], measure->date);
    return __builtin_sub_overflow(high, low, &gap) ? (double)INT64_MAX : (double)gap;
}

enum vz_status vz_distance_feature_eval(struct vz_eval *eval, const struct vz_node *node,
                                        bool scores, struct vz_docset *out, struct vz_error *err)
{
    const struct vz_field *field = vz_filter_field(eval, node->field);
    struct measure measure;
    struct vz_column column;
    *out = (struct vz_docset){.constant = node->boost};
    if (!field)
        return VZ_OK;
    if (field->type != VZ_FIELD_DATE && field->type != VZ_FIELD_GEO_POINT)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Illegal data type of [%s]![distance_feature] query can only be run "
                             "on a date, date_nanos or geo_point field type!",
                             vz_filter_type_name(field->type));
    enum vz_status status = read_measure(eval, node, field, &measure, err);
    if (status != VZ_OK)
        return status;
    vz_field_column(eval, field, &column);
    if (column.kind != VZ_COLUMN_GEO && column.kind != VZ_COLUMN_I64)
        return column.count ? vz_field_check_doc_values(field, err) : VZ_OK;
    vz_docset_begin(out, eval);
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof *out->scores);
    for (size_t i = 0; i < column.count; i++) {
        uint32_t d = column.docnos[i];
        vz_bitset_set(&out->bits, d);
        if (!scores)
            continue;
        double distance = distance_at(&measure, &column, i);
        float score = (float)((double)node->boost * (measure.pivot / (measure.pivot + distance)));
        out->scores[d] = VZ_MAX(out->scores[d], score);
    }
    return VZ_OK;
}
