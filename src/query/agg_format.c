/* Aggregations: moments in zones and numbers by Java's patterns, as key_as_string and its like show
 * them. */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DIGITS 340

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t vz_agg_zone_at(const struct vz_agg_interval *interval, int64_t ms)
{
    if (interval->zone_fixed || !interval->zone)
        return interval->zone_ms;
    return (int64_t)vz_zone_offset(interval->zone, floor_div(ms, 1000)) * 1000;
}

/* "+02:00", or without the colon. */
static void put_offset(int64_t offset_ms, bool colon, struct vz_buf *out)
{
    int minutes = (int)(llabs(offset_ms) / 60000);
    vz_buf_printf(out, "%c%02d%s%02d", offset_ms < 0 ? '-' : '+', minutes / 60, colon ? ":" : "",
                  minutes % 60);
}

static bool ends_with(const struct vz_buf *text, const char *end)
{
    size_t len = strlen(end);
    return text->len >= len && memcmp(text->data + text->len - len, end, len) == 0;
}

void vz_agg_date_text(struct vz_slice format, const struct vz_agg_interval *zone, int64_t ms,
                      struct vz_buf *out)
{
    int64_t offset = vz_agg_zone_at(zone, ms);
    if (offset == 0 || vz_slice_starts(format, "epoch_")) {
        vz_date_print(format, ms, out);
        return;
    }
    struct vz_buf text = {0};
    vz_date_print(format, ms + offset, &text);
    if (ends_with(&text, "Z")) {
        text.len--;
        put_offset(offset, true, &text);
    } else if (ends_with(&text, "+00:00")) {
        text.len -= 6;
        put_offset(offset, true, &text);
    } else if (ends_with(&text, "+0000")) {
        text.len -= 5;
        put_offset(offset, false, &text);
    }
    vz_buf_append_slice(out, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

/* ---- decimal patterns --------------------------------------------------------------------------
 */

struct decimal {
    struct vz_buf prefix, suffix;
    int min_whole, min_part, max_part, group, min_exponent, max_whole;
    bool has_exponent, percent, per_mille;
};

/* Literal text up to the next digit sign; quotes hold what would mean something else. */
static const char *read_literal(struct decimal *d, const char *p, const char *end,
                                struct vz_buf *out)
{
    for (; p < end && !strchr("#0,.;", *p); p++) {
        if (*p == '\'') {
            if (p + 1 < end && p[1] == '\'') {
                vz_buf_append_char(out, '\'');
                p++;
                continue;
            }
            for (p++; p < end && *p != '\''; p++)
                vz_buf_append_char(out, *p);
            if (p == end)
                break;
            continue;
        }
        d->percent |= *p == '%';
        vz_buf_append_char(out, *p);
    }
    return p;
}

static bool read_pattern(struct decimal *d, struct vz_slice pattern)
{
    const char *p = pattern.ptr, *end = p + pattern.len;
    int since_comma = -1;
    bool part = false, any = false;
    p = read_literal(d, p, end, &d->prefix);
    for (; p < end && strchr("#0,.", *p); p++) {
        if (*p == '.') {
            if (part)
                return false;
            part = true;
            continue;
        }
        if (*p == ',') {
            since_comma = 0;
            continue;
        }
        any = true;
        if (part) {
            d->max_part++;
            d->min_part += *p == '0';
        } else {
            d->max_whole++;
            d->min_whole += *p == '0';
            since_comma += since_comma >= 0;
        }
    }
    if (p < end && *p == 'E' && any) {
        d->has_exponent = true;
        for (p++; p < end && *p == '0'; p++)
            d->min_exponent++;
        if (!d->min_exponent)
            return false;
    }
    d->group = VZ_MAX(since_comma, 0);
    p = read_literal(d, p, end, &d->suffix);
    return any && (p == end || *p == ';') && d->max_part < MAX_DIGITS && d->min_whole < MAX_DIGITS;
}

static void put_plain(const struct decimal *d, double value, struct vz_buf *out)
{
    char digits[2 * MAX_DIGITS + 8];
    int len = snprintf(digits, sizeof digits, "%.*f", d->max_part, value);
    char *dot = memchr(digits, '.', (size_t)len);
    size_t whole = dot ? (size_t)(dot - digits) : (size_t)len, at = 0;
    size_t part = dot ? (size_t)len - whole - 1 : 0;
    if (whole == 1 && digits[0] == '0' && d->min_whole == 0)
        at = 1; /* ".5" */
    for (int i = d->min_whole; i > (int)(whole - at); i--) {
        vz_buf_append_char(out, '0');
        if (d->group && i > 1 && (i - 1) % d->group == 0)
            vz_buf_append_char(out, ',');
    }
    for (; at < whole; at++) {
        vz_buf_append_char(out, digits[at]);
        size_t left = whole - at - 1;
        if (d->group && left && left % (size_t)d->group == 0)
            vz_buf_append_char(out, ',');
    }
    while (part > (size_t)d->min_part && digits[whole + part] == '0')
        part--;
    if (part)
        vz_buf_append(out, digits + whole, part + 1);
    else if (whole == 1 && digits[0] == '0' && d->min_whole == 0)
        vz_buf_append_char(out, '0');
}

static void put_exponent(struct decimal *d, double value, struct vz_buf *out)
{
    int exponent = value > 0 ? (int)floor(log10(value)) : 0;
    int whole = VZ_MAX(d->min_whole, 1);
    if (value > 0 && value / pow(10, exponent) >= 10)
        exponent++;
    exponent -= whole - 1;
    put_plain(d, value / pow(10, exponent), out);
    vz_buf_printf(out, "E%s%0*d", exponent < 0 ? "-" : "", d->min_exponent, abs(exponent));
}

bool vz_decimal_format(struct vz_slice pattern, double value, struct vz_buf *out)
{
    struct decimal d = {0};
    bool fine = pattern.len && pattern.len < 256 && read_pattern(&d, pattern);
    if (fine && isnan(value)) {
        vz_buf_append_str(out, "NaN");
    } else if (fine) {
        struct vz_buf digits = {0};
        double size = fabs(value) * (d.percent ? 100 : 1);
        if (isinf(value))
            vz_buf_append_str(&digits, "\xe2\x88\x9e");
        else if (d.has_exponent)
            put_exponent(&d, size, &digits);
        else
            put_plain(&d, size, &digits);
        if (signbit(value))
            vz_buf_append_char(out, '-');
        vz_buf_append_slice(out, vz_buf_slice(&d.prefix));
        vz_buf_append_slice(out, vz_buf_slice(&digits));
        vz_buf_append_slice(out, vz_buf_slice(&d.suffix));
        vz_buf_deinit(&digits);
    }
    vz_buf_deinit(&d.prefix);
    vz_buf_deinit(&d.suffix);
    return fine;
}

bool vz_agg_number_text(const struct vz_agg_values *values, double value, struct vz_buf *out)
{
    const struct vz_agg_source *source = values->source;
    struct vz_slice format = source->format;
    if (values->class == VZ_CLASS_DATE ||
        (values->class == VZ_CLASS_NONE && source->interval.dates)) {
        if (!format.len && values->first_field)
            format = values->first_field->format;
        if (!(fabs(value) < 9.2e18))
            return false;
        vz_agg_date_text(format, &source->interval, (int64_t)value, out);
        return true;
    }
    if (values->class == VZ_CLASS_BOOLEAN) {
        vz_buf_append_str(out, value != 0 ? "true" : "false");
        return true;
    }
    return format.len && vz_decimal_format(format, value, out);
}
