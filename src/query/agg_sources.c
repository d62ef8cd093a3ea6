/* Aggregations: reading where values come from, and the intervals of calendars. */
#include "query/agg.h"
#include "query/dsl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_INTERVAL_MS 1e15

static enum vz_status parse_calendar(struct vz_agg_interval *interval, struct vz_slice text,
                                     struct vz_error *err)
{
    static const struct {
        const char *name, *other;
        enum vz_agg_unit unit;
    } table[] = {
        {"second", "1s", VZ_UNIT_SECOND}, {"minute", "1m", VZ_UNIT_MINUTE},
        {"hour", "1h", VZ_UNIT_HOUR},     {"day", "1d", VZ_UNIT_DAY},
        {"week", "1w", VZ_UNIT_WEEK},     {"month", "1M", VZ_UNIT_MONTH},
        {"quarter", "1q", VZ_UNIT_QUARTER}, {"year", "1y", VZ_UNIT_YEAR},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (!vz_slice_is(text, table[i].name) && !vz_slice_is(text, table[i].other))
            continue;
        interval->unit = table[i].unit;
        interval->width = 1;
        return VZ_OK;
    }
    return vz_fail(err, VZ_BAD_QUERY,
                   "The supplied interval [%.*s] could not be parsed as a calendar interval.",
                   VZ_ARG(text));
}

static enum vz_status parse_fixed(struct vz_agg_interval *interval, struct vz_slice text,
                                  struct vz_error *err)
{
    double ms;
    if (!vz_query_duration(text, &ms) || !(ms >= 1) || ms > MAX_INTERVAL_MS)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "failed to parse setting [date_histogram.fixedInterval] with value [%.*s] "
                       "as a time value: unit is missing or unrecognized",
                       VZ_ARG(text));
    interval->fixed_ms = (int64_t)ms;
    interval->unit = VZ_UNIT_FIXED;
    interval->width = 1;
    return VZ_OK;
}

static enum vz_status parse_offset(struct vz_agg_interval *interval, struct vz_slice key,
                                   struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    double ms;
    if (!interval->dates)
        return vz_json_as_double(value, &interval->offset) && isfinite(interval->offset)
                   ? VZ_OK
                   : VZ_NOT_FOUND;
    if (vz_json_is_number(value)) {
        interval->offset_ms = vz_json_int(value);
        return VZ_OK;
    }
    bool minus = text.len && text.ptr[0] == '-';
    if (minus || (text.len && text.ptr[0] == '+')) {
        text.ptr++;
        text.len--;
    }
    if (!vz_query_duration(text, &ms) || !(ms <= MAX_INTERVAL_MS))
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse setting [DateHistogramAggregationBuilder.parseOffset] with "
                       "value [%.*s] as a time value: unit is missing or unrecognized",
                       VZ_ARG(vz_json_string(value)));
    (void)key;
    interval->offset_ms = (int64_t)(minus ? -ms : ms);
    return VZ_OK;
}

enum vz_status vz_agg_interval_option(struct vz_agg_interval *interval, struct vz_slice key,
                                      struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_slice_is(key, "offset"))
        return parse_offset(interval, key, value, err);
    if (!interval->dates) {
        if (!vz_slice_is(key, "interval"))
            return VZ_NOT_FOUND;
        if (!vz_json_as_double(value, &interval->width) || !(interval->width > 0) ||
            !isfinite(interval->width))
            return vz_fail(err, VZ_BAD_ARGUMENT, "[interval] must be >0 for histogram aggregation");
        return VZ_OK;
    }
    bool calendar = vz_slice_is(key, "calendar_interval"), fixed = vz_slice_is(key, "fixed_interval"),
         either = vz_slice_is(key, "interval");
    if (!calendar && !fixed && !either)
        return VZ_NOT_FOUND;
    if (interval->width > 0)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Cannot use [%.*s] with [fixed_interval] or [calendar_interval] "
                       "configuration option.",
                       VZ_ARG(key));
    if (calendar)
        return parse_calendar(interval, text, err);
    if (fixed)
        return parse_fixed(interval, text, err);
    return parse_calendar(interval, text, NULL) == VZ_OK ? VZ_OK : parse_fixed(interval, text, err);
}

static enum vz_status parse_zone(struct vz_agg_interval *interval, struct vz_json value,
                                 struct vz_error *err)
{
    int32_t seconds;
    struct vz_slice text = vz_json_string(value);
    if (vz_json_is_number(value)) { /* hours */
        struct vz_slice name;
        char copy[16];
        int64_t hours = vz_json_int(value);
        if (llabs(hours) > 18)
            return vz_fail(err, VZ_BAD_ARGUMENT, "Zone offset hours not in valid range");
        int len = snprintf(copy, sizeof copy, "%+03d:00", (int)hours);
        name = (struct vz_slice){copy, (size_t)len};
        interval->zone = vz_zone_find(name);
    } else {
        interval->zone = vz_zone_find(text);
    }
    if (!interval->zone)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       memchr(text.ptr ? text.ptr : "", '/', text.len)
                           ? "Unknown time-zone ID: %.*s"
                           : "Invalid ID for ZoneOffset, invalid format: %.*s",
                       VZ_ARG(text));
    interval->zone_fixed = vz_zone_is_fixed(interval->zone, &seconds);
    interval->zone_ms = interval->zone_fixed ? (int64_t)seconds * 1000 : 0;
    return VZ_OK;
}

enum vz_status vz_agg_source_option(struct vz_parser *parser, struct vz_agg_source *source,
                                    const char *kind, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err)
{
    if (vz_slice_is(key, "field")) {
        source->field = vz_json_string(value);
        if (source->field.len == 0)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] [field] cannot be %s", kind,
                           vz_query_token(value));
        return VZ_OK;
    }
    if (vz_slice_is(key, "missing")) {
        if (!vz_dsl_is_scalar(value))
            return VZ_NOT_FOUND;
        source->missing = value;
        return VZ_OK;
    }
    if (vz_slice_is(key, "format")) {
        source->format = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "value_type") || vz_slice_is(key, "valueType")) {
        source->value_type = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "time_zone"))
        return parse_zone(&source->interval, value, err);
    if (vz_slice_is(key, "script")) {
        struct vz_script_text *script = vz_arena_zalloc(parser->arena, sizeof *script);
        source->script = script;
        return vz_script_text_parse(kind, value, script, err);
    }
    return VZ_NOT_FOUND;
}

/* ---- composite: {"name": {"terms": {...}}} -----------------------------------------------------
 */

static enum vz_status composite_option(struct vz_parser *parser, struct vz_agg_source *source,
                                       const char *kind, struct vz_slice key, struct vz_json value,
                                       struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    int64_t number;
    if (vz_slice_is(key, "order")) {
        source->descending = vz_slice_is(text, "desc");
        if (!source->descending && !vz_slice_is(text, "asc"))
            return vz_fail(err, VZ_BAD_QUERY, "Unknown SortOrder [%.*s]", VZ_ARG(text));
        return VZ_OK;
    }
    if (vz_slice_is(key, "missing_bucket"))
        return vz_json_as_bool(value, &source->missing_bucket) ? VZ_OK : VZ_NOT_FOUND;
    if (vz_slice_is(key, "missing_order")) {
        source->missing_order = vz_slice_is(text, "first")  ? VZ_MISSING_FIRST
                                : vz_slice_is(text, "last") ? VZ_MISSING_LAST
                                                            : VZ_MISSING_DEFAULT;
        return VZ_OK;
    }
    if (source->kind == VZ_AGG_GEOTILE_GRID && vz_slice_is(key, "precision")) {
        if (!vz_json_as_int(value, &number) || number < 0 || number > 29)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Invalid geotile_grid precision of %lld. Must be between 0 and 29.",
                           (long long)(vz_json_as_int(value, &number) ? number : 0));
        source->precision = (unsigned)number;
        return VZ_OK;
    }
    enum vz_status status = VZ_NOT_FOUND;
    if (source->kind == VZ_AGG_HISTOGRAM || source->kind == VZ_AGG_DATE_HISTOGRAM)
        status = vz_agg_interval_option(&source->interval, key, value, err);
    if (status == VZ_NOT_FOUND && !vz_slice_is(key, "missing"))
        status = vz_agg_source_option(parser, source, kind, key, value, err);
    return status;
}

static enum vz_status composite_source(struct vz_parser *parser, struct vz_agg_source *source,
                                       struct vz_json value, struct vz_error *err)
{
    static const enum vz_agg_kind kinds[] = {VZ_AGG_TERMS, VZ_AGG_HISTOGRAM, VZ_AGG_DATE_HISTOGRAM,
                                             VZ_AGG_GEOTILE_GRID};
    struct vz_json_iter it = vz_json_iterate(value), inner;
    struct vz_slice key;
    struct vz_json body, member;
    if (vz_json_type(value) != VZ_JSON_OBJECT || vz_json_count(value) != 1)
        return vz_fail(err, VZ_BAD_QUERY, "Invalid sources definition in [composite]");
    vz_json_next(&it, &source->name, &body);
    if (vz_json_type(body) != VZ_JSON_OBJECT || vz_json_count(body) != 1)
        return vz_fail(err, VZ_BAD_QUERY, "Invalid source [%.*s] in [composite]",
                       VZ_ARG(source->name));
    it = vz_json_iterate(body);
    vz_json_next(&it, &key, &member);
    bool known = false;
    for (size_t i = 0; i < VZ_COUNT_OF(kinds) && !known; i++) {
        known = vz_slice_is(key, vz_agg_kind_name(kinds[i]));
        source->kind = kinds[i];
    }
    if (!known)
        return vz_fail(err, VZ_BAD_QUERY, "invalid source type: %.*s", VZ_ARG(key));
    const char *kind = vz_agg_kind_name(source->kind);
    source->interval.dates = source->kind == VZ_AGG_DATE_HISTOGRAM;
    source->precision = 7;
    inner = vz_json_iterate(member);
    while (vz_json_next(&inner, &key, &member)) {
        enum vz_status status = composite_option(parser, source, kind, key, member, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", kind, VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (source->field.len == 0 && !source->script)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Required one of fields [field, script], but none were specified.");
    if ((source->kind == VZ_AGG_HISTOGRAM || source->kind == VZ_AGG_DATE_HISTOGRAM) &&
        !(source->interval.width > 0))
        return vz_fail(err, VZ_BAD_ARGUMENT, "Required [interval]");
    if (source->missing_order != VZ_MISSING_DEFAULT && !source->missing_bucket)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "missing_order can only be set if missing_bucket is true");
    return VZ_OK;
}

/* ---- multi_terms: {"field": ...} ---------------------------------------------------------------
 */

static enum vz_status plain_source(struct vz_parser *parser, struct vz_agg_source *source,
                                   struct vz_json value, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    source->kind = VZ_AGG_TERMS;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status =
            vz_agg_source_option(parser, source, "multi_terms", key, member, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[multi_terms] unknown field [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (source->field.len == 0 && !source->script)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Required one of fields [field, script], but none were specified.");
    return VZ_OK;
}

enum vz_status vz_agg_sources_parse(struct vz_parser *parser, struct vz_agg *agg,
                                    struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] expected an array of sources but got %s",
                       vz_agg_kind_name(agg->kind), vz_query_token(value));
    if (count == 0 && agg->kind == VZ_AGG_COMPOSITE)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Composite [sources] cannot be null or empty");
    if (count < 2 && agg->kind == VZ_AGG_MULTI_TERMS)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "The [terms] parameter in the aggregation [%.*s] must be present and have "
                       "at least 2 fields or scripts.",
                       VZ_ARG(agg->name));
    if (count > VZ_MAX_AGG_SOURCES)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] has more than [%d] sources",
                       vz_agg_kind_name(agg->kind), VZ_MAX_AGG_SOURCES);
    agg->sources = vz_arena_zalloc(parser->arena, count * sizeof(*agg->sources));
    while (vz_json_next(&it, NULL, &element)) {
        struct vz_agg_source *source = &agg->sources[agg->source_count++];
        enum vz_status status = agg->kind == VZ_AGG_COMPOSITE
                                    ? composite_source(parser, source, element, err)
                                    : plain_source(parser, source, element, err);
        if (status != VZ_OK)
            return status;
        for (size_t i = 0; i + 1 < agg->source_count && agg->kind == VZ_AGG_COMPOSITE; i++)
            if (vz_slice_eq(agg->sources[i].name, source->name))
                return vz_fail(err, VZ_BAD_ARGUMENT,
                               "Composite source names must be unique, found duplicates: [%.*s]",
                               VZ_ARG(source->name));
    }
    return VZ_OK;
}
