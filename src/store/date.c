/* store/date.c - reading dates by Elasticsearch's formats. date_math.c does date math, date_print.c
 * prints.
 *
 * A format is alternatives split by "||". Each is a known name (strict_date_optional_time,
 * epoch_millis, basic_date, ...) or a Java pattern; most names are short for a pattern. A pattern
 * is walked beside the text, letter group by letter group; an optional section [..] is tried and
 * skipped when it does not fit. Nothing is compiled or kept: patterns are short, and nearly all
 * documents use the default format, which has its own reader.
 *
 * What was read is a set of parts (year, month ...); parts that were not there are 1970-01-01 and
 * midnight, or with round_up the last moment that the parts allow, as gt and lte need.
 *
 * Differences from Elasticsearch: names of months and days are English only; weeks are ISO's;
 * quarters and zone names other than UTC, GMT and Z are refused when the mapping is made; more than
 * milliseconds are cut off, as its `date` type does.
 */
#include "base/clock.h"
#include "store/date_parts.h"

enum {
    PART_YEAR = 1,
    PART_MONTH = 2,
    PART_DAY = 4,
    PART_HOUR = 8,
    PART_MINUTE = 16,
    PART_SECOND = 32,
    PART_MILLI = 64,
    PART_ZONE = 128,
    PART_DAY_OF_YEAR = 256,
    PART_EPOCH = 512,
    PART_PM = 1024,
    PART_HALF_DAY = 2048,
    PART_WEEK_YEAR = 4096,
    PART_WEEK = 8192,
    PART_WEEKDAY = 16384
};

struct parts {
    unsigned seen;
    int64_t year;
    int month, day, hour, minute, second, milli, day_of_year;
    int64_t week_year;
    int week, weekday; /* ISO: weeks begin on Monday, the first one has the 4th of January */
    int zone_seconds;
    int64_t epoch_ms;
};

static bool take(struct vz_date_reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

bool vz_date_digits(struct vz_date_reader *in, int min, int max, int64_t *out)
{
    int count = 0;
    int64_t value = 0;
    max = VZ_MIN(max, 18);
    while (in->at < in->end && count < max && *in->at >= '0' && *in->at <= '9') {
        value = value * 10 + (*in->at++ - '0');
        count++;
    }
    *out = value;
    return count >= min;
}

static bool digits_int(struct vz_date_reader *in, int min, int max, int *out)
{
    int64_t value;
    bool ok = vz_date_digits(in, min, max, &value);
    *out = (int)value;
    return ok && value <= 999999; /* what is out of range there is refused later */
}

/* A fraction of min..max digits (max 9) as milliseconds; the rest is cut off. */
static bool fraction(struct vz_date_reader *in, int min, int max, int *milli)
{
    int count = 0, value = 0;
    while (in->at < in->end && count < max && *in->at >= '0' && *in->at <= '9') {
        if (count < 3)
            value = value * 10 + (*in->at - '0');
        count++;
        in->at++;
    }
    for (int i = count; i < 3; i++)
        value *= 10;
    *milli = value;
    return count >= min;
}

/* Z, +01, +0100, +01:00, +01:00:00, UTC, GMT. */
static bool zone(struct vz_date_reader *in, struct parts *parts)
{
    int hours, minutes = 0, seconds = 0;
    size_t left = (size_t)(in->end - in->at);
    parts->seen |= PART_ZONE;
    parts->zone_seconds = 0;
    if (take(in, 'Z') || take(in, 'z'))
        return true;
    if (left >= 3 && (memcmp(in->at, "UTC", 3) == 0 || memcmp(in->at, "GMT", 3) == 0)) {
        in->at += 3;
        if (in->at == in->end || (*in->at != '+' && *in->at != '-'))
            return true;
    }
    if (in->at == in->end || (*in->at != '+' && *in->at != '-'))
        return false;
    int sign = *in->at++ == '-' ? -1 : 1;
    if (!digits_int(in, 2, 2, &hours))
        return false;
    bool colon = take(in, ':');
    if (colon || (in->at < in->end && *in->at >= '0' && *in->at <= '9')) {
        if (!digits_int(in, 2, 2, &minutes))
            return false;
        if (colon && take(in, ':') && !digits_int(in, 2, 2, &seconds))
            return false;
    }
    if (hours > 18 || minutes > 59 || seconds > 59 || (hours == 18 && (minutes || seconds)))
        return false;
    parts->zone_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* ---- ISO ---------------------------------------------------------------------------------- */

static bool iso_time(struct vz_date_reader *in, bool strict, struct parts *parts)
{
    int min = strict ? 2 : 1;
    if (in->at == in->end)
        return true; /* "2024-01-01T" */
    if (!digits_int(in, min, 2, &parts->hour))
        return false;
    parts->seen |= PART_HOUR;
    if (take(in, ':')) {
        if (!digits_int(in, min, 2, &parts->minute))
            return false;
        parts->seen |= PART_MINUTE;
        if (take(in, ':')) {
            if (!digits_int(in, min, 2, &parts->second))
                return false;
            parts->seen |= PART_SECOND;
            if (take(in, '.') || take(in, ',')) {
                if (!fraction(in, 1, 9, &parts->milli))
                    return false;
                parts->seen |= PART_MILLI;
            }
        }
    }
    return in->at == in->end || zone(in, parts);
}

/* yyyy[-MM[-dd['T'HH[:mm[:ss[.SSS]]][zone]]]] */
static bool iso_date(struct vz_date_reader *in, bool strict, struct parts *parts)
{
    int min = strict ? 2 : 1;
    bool negative = take(in, '-');
    bool plus = !negative && take(in, '+');
    /* Java wants a sign in front of a year of more than four digits when it is strict. */
    if (!vz_date_digits(in, strict ? 4 : 1, negative || plus || !strict ? 9 : 4, &parts->year))
        return false;
    if (negative)
        parts->year = -parts->year;
    parts->seen |= PART_YEAR;
    if (take(in, '-')) {
        if (!digits_int(in, min, 2, &parts->month))
            return false;
        parts->seen |= PART_MONTH;
        if (take(in, '-')) {
            if (!digits_int(in, min, 2, &parts->day))
                return false;
            parts->seen |= PART_DAY;
        }
    }
    if (!(parts->seen & PART_DAY) && strict && in->at != in->end)
        return false;
    if (take(in, 'T') && !iso_time(in, strict, parts))
        return false;
    return in->at == in->end;
}

static bool epoch(struct vz_date_reader *in, int64_t unit_ms, struct parts *parts)
{
    bool negative = take(in, '-');
    int64_t value, scaled;
    if (!vz_date_digits(in, 1, 18, &value))
        return false;
    if (__builtin_mul_overflow(value, unit_ms, &scaled))
        return false;
    if (take(in, '.')) {
        int milli;
        if (!fraction(in, 1, 9, &milli))
            return false;
        /* Of epoch_millis only whole ones are kept. */
        if (unit_ms == 1000 && __builtin_add_overflow(scaled, milli, &scaled))
            return false;
    }
    parts->epoch_ms = negative ? -scaled : scaled;
    parts->seen |= PART_EPOCH;
    return in->at == in->end;
}

/* ---- names -------------------------------------------------------------------------------- */

/* With "strict_" in front most of these mean the same with fixed widths, see vz_date_format_find.
 */
static const struct named_format {
    const char *name, *pattern;
    enum vz_date_kind kind;
} named_formats[] = {
    {"strict_date_optional_time", NULL, VZ_DATE_ISO},
    {"strict_date_optional_time_nanos", NULL, VZ_DATE_ISO},
    {"iso8601", NULL, VZ_DATE_ISO},
    {"date_optional_time", NULL, VZ_DATE_ISO_LENIENT},
    {"epoch_millis", NULL, VZ_DATE_MILLIS},
    {"epoch_second", NULL, VZ_DATE_SECONDS},
    {"basic_date", "yyyyMMdd", VZ_DATE_PATTERN},
    {"basic_date_time", "yyyyMMdd'T'HHmmss.SSSX", VZ_DATE_PATTERN},
    {"basic_date_time_no_millis", "yyyyMMdd'T'HHmmssX", VZ_DATE_PATTERN},
    {"basic_ordinal_date", "yyyyDDD", VZ_DATE_PATTERN},
    {"basic_ordinal_date_time", "yyyyDDD'T'HHmmss.SSSX", VZ_DATE_PATTERN},
    {"basic_ordinal_date_time_no_millis", "yyyyDDD'T'HHmmssX", VZ_DATE_PATTERN},
    {"basic_time", "HHmmss.SSSX", VZ_DATE_PATTERN},
    {"basic_time_no_millis", "HHmmssX", VZ_DATE_PATTERN},
    {"basic_t_time", "'T'HHmmss.SSSX", VZ_DATE_PATTERN},
    {"basic_t_time_no_millis", "'T'HHmmssX", VZ_DATE_PATTERN},
    {"date", "yyyy-MM-dd", VZ_DATE_PATTERN},
    {"date_hour", "yyyy-MM-dd'T'HH", VZ_DATE_PATTERN},
    {"date_hour_minute", "yyyy-MM-dd'T'HH:mm", VZ_DATE_PATTERN},
    {"date_hour_minute_second", "yyyy-MM-dd'T'HH:mm:ss", VZ_DATE_PATTERN},
    {"date_hour_minute_second_fraction", "yyyy-MM-dd'T'HH:mm:ss.SSS", VZ_DATE_PATTERN},
    {"date_hour_minute_second_millis", "yyyy-MM-dd'T'HH:mm:ss.SSS", VZ_DATE_PATTERN},
    {"date_time", "yyyy-MM-dd'T'HH:mm:ss.SSSX", VZ_DATE_PATTERN},
    {"date_time_no_millis", "yyyy-MM-dd'T'HH:mm:ssX", VZ_DATE_PATTERN},
    {"hour", "HH", VZ_DATE_PATTERN},
    {"hour_minute", "HH:mm", VZ_DATE_PATTERN},
    {"hour_minute_second", "HH:mm:ss", VZ_DATE_PATTERN},
    {"hour_minute_second_fraction", "HH:mm:ss.SSS", VZ_DATE_PATTERN},
    {"hour_minute_second_millis", "HH:mm:ss.SSS", VZ_DATE_PATTERN},
    {"ordinal_date", "yyyy-DDD", VZ_DATE_PATTERN},
    {"ordinal_date_time", "yyyy-DDD'T'HH:mm:ss.SSSX", VZ_DATE_PATTERN},
    {"ordinal_date_time_no_millis", "yyyy-DDD'T'HH:mm:ssX", VZ_DATE_PATTERN},
    {"time", "HH:mm:ss.SSSX", VZ_DATE_PATTERN},
    {"time_no_millis", "HH:mm:ssX", VZ_DATE_PATTERN},
    {"t_time", "'T'HH:mm:ss.SSSX", VZ_DATE_PATTERN},
    {"t_time_no_millis", "'T'HH:mm:ssX", VZ_DATE_PATTERN},
    {"basic_week_date", "YYYY'W'wwe", VZ_DATE_PATTERN},
    {"basic_week_date_time", "YYYY'W'wwe'T'HHmmss.SSSX", VZ_DATE_PATTERN},
    {"basic_week_date_time_no_millis", "YYYY'W'wwe'T'HHmmssX", VZ_DATE_PATTERN},
    {"week_date", "YYYY-'W'ww-e", VZ_DATE_PATTERN},
    {"week_date_time", "YYYY-'W'ww-e'T'HH:mm:ss.SSSX", VZ_DATE_PATTERN},
    {"week_date_time_no_millis", "YYYY-'W'ww-e'T'HH:mm:ssX", VZ_DATE_PATTERN},
    {"weekyear", "YYYY", VZ_DATE_PATTERN},
    {"weekyear_week", "YYYY-'W'ww", VZ_DATE_PATTERN},
    {"weekyear_week_day", "YYYY-'W'ww-e", VZ_DATE_PATTERN},
    {"week_year", "YYYY", VZ_DATE_PATTERN},
    {"year", "yyyy", VZ_DATE_PATTERN},
    {"year_month", "yyyy-MM", VZ_DATE_PATTERN},
    {"year_month_day", "yyyy-MM-dd", VZ_DATE_PATTERN},
    {"rfc_1123_date_time", "EEE, d MMM yyyy HH:mm:ss Z", VZ_DATE_PATTERN},
};

struct vz_date_format vz_date_format_find(struct vz_slice text)
{
    struct vz_date_format format = {VZ_DATE_PATTERN, text, false};
    struct vz_slice bare = text;
    if (vz_slice_starts(text, "strict_")) {
        bare.ptr += 7;
        bare.len -= 7;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(named_formats); i++) {
        bool exact = vz_slice_is(text, named_formats[i].name);
        if (!exact &&
            (named_formats[i].kind != VZ_DATE_PATTERN || !vz_slice_is(bare, named_formats[i].name)))
            continue;
        format.kind = named_formats[i].kind;
        format.pattern = vz_slice_from(named_formats[i].pattern);
        format.lenient = exact && !vz_slice_starts(text, "basic_");
        break;
    }
    return format;
}

bool vz_date_next_alternative(struct vz_slice *rest, struct vz_slice *alternative)
{
    if (rest->len == 0)
        return false;
    const char *bars = memmem(rest->ptr, rest->len, "||", 2);
    size_t len = bars ? (size_t)(bars - rest->ptr) : rest->len;
    *alternative = (struct vz_slice){rest->ptr, len};
    size_t skip = bars ? len + 2 : len;
    rest->ptr += skip;
    rest->len -= skip;
    return true;
}

struct vz_slice vz_date_format_or_default(struct vz_slice format)
{
    return format.len ? format : VZ_SLICE("strict_date_optional_time||epoch_millis");
}

/* ---- patterns ----------------------------------------------------------------------------- */

const char *const vz_month_names[12] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
const char *const vz_day_names[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                     "Friday", "Saturday", "Sunday"};

/* Reads one of the names, whole or its first three letters; 1-based, 0 when there is none. */
static int read_name(struct vz_date_reader *in, const char *const *names, int count, bool whole)
{
    for (int i = 0; i < count; i++) {
        size_t len = whole ? strlen(names[i]) : 3;
        if ((size_t)(in->end - in->at) >= len && strncasecmp(in->at, names[i], len) == 0) {
            in->at += len;
            return i + 1;
        }
    }
    return 0;
}

static bool read_group(char letter, int count, bool lenient, struct vz_date_reader *in,
                       struct parts *parts)
{
    int min = lenient ? 1 : count, max = count == 1 ? 2 : count, value;
    switch (letter) {
    case 'y':
    case 'u': {
        bool negative = take(in, '-');
        bool plus = !negative && take(in, '+');
        int most = count == 1 || lenient || negative || plus ? 9 : count;
        parts->seen |= PART_YEAR;
        if (!vz_date_digits(in, lenient ? 1 : count, most, &parts->year))
            return false;
        if (count == 2)
            parts->year += 2000; /* Java's base for yy */
        if (negative)
            parts->year = -parts->year;
        return true;
    }
    case 'Y':
        parts->seen |= PART_WEEK_YEAR;
        return vz_date_digits(in, lenient ? 1 : count, VZ_MAX(count, 4), &parts->week_year);
    case 'w':
        parts->seen |= PART_WEEK;
        return digits_int(in, min, max, &parts->week);
    case 'e':
        parts->seen |= PART_WEEKDAY;
        return count == 1 && digits_int(in, 1, 1, &parts->weekday);
    case 'M':
    case 'L':
        parts->seen |= PART_MONTH;
        if (count >= 3)
            return (parts->month = read_name(in, vz_month_names, 12, count > 3)) != 0;
        return digits_int(in, min, max, &parts->month);
    case 'd':
        parts->seen |= PART_DAY;
        return digits_int(in, min, max, &parts->day);
    case 'D':
        parts->seen |= PART_DAY_OF_YEAR;
        return digits_int(in, min, 3, &parts->day_of_year);
    case 'H':
        parts->seen |= PART_HOUR;
        return digits_int(in, min, max, &parts->hour);
    case 'k':
        parts->seen |= PART_HOUR;
        if (!digits_int(in, min, max, &parts->hour) || parts->hour < 1 || parts->hour > 24)
            return false;
        parts->hour %= 24;
        return true;
    case 'h':
    case 'K':
        parts->seen |= PART_HOUR | PART_HALF_DAY;
        if (!digits_int(in, min, max, &parts->hour) || parts->hour > 12 ||
            parts->hour < (letter == 'h'))
            return false;
        parts->hour %= 12;
        return true;
    case 'a':
        if (in->end - in->at < 2 || (in->at[1] | 32) != 'm' ||
            ((in->at[0] | 32) != 'a' && (in->at[0] | 32) != 'p'))
            return false;
        if ((in->at[0] | 32) == 'p')
            parts->seen |= PART_PM;
        in->at += 2;
        return true;
    case 'm':
        parts->seen |= PART_MINUTE;
        return digits_int(in, min, max, &parts->minute);
    case 's':
        parts->seen |= PART_SECOND;
        return digits_int(in, min, max, &parts->second);
    case 'S':
        parts->seen |= PART_MILLI;
        return fraction(in, min, lenient ? 9 : count, &parts->milli);
    case 'E':
        value = read_name(in, vz_day_names, 7, count > 3);
        return value != 0;
    case 'G':
        if (in->end - in->at < 2 || (memcmp(in->at, "AD", 2) != 0))
            return false;
        in->at += 2;
        return true;
    default: /* X x Z z V O */
        return zone(in, parts);
    }
}

/* The end of the section that opens at `open`, past its bracket. */
static const char *section_end(const char *open, const char *end)
{
    int depth = 0;
    bool quoted = false;
    for (const char *p = open; p < end; p++) {
        if (*p == '\'')
            quoted = !quoted;
        else if (!quoted && *p == '[')
            depth++;
        else if (!quoted && *p == ']' && --depth == 0)
            return p + 1;
    }
    return end;
}

char vz_date_literal_char(const char *open, const char **p, const char *end)
{
    if (*p == end)
        return 0;
    char c = *(*p)++;
    if (c != '\'')
        return c;
    bool alone = *p == open + 2; /* '' outside of any quotes */
    if (alone || (*p < end && **p == '\'')) {
        *p += !alone;
        return '\'';
    }
    return 0;
}

/* One quoted literal from the pattern at *p. */
static bool read_literal(const char **p, const char *end, struct vz_date_reader *in)
{
    const char *open = (*p)++;
    char c;
    while ((c = vz_date_literal_char(open, p, end))) {
        if (!take(in, c))
            return false;
        if (*p == open + 2 && c == '\'')
            break;
    }
    return true;
}

static bool read_pattern(const char *p, const char *end, bool lenient, struct vz_date_reader *in,
                         struct parts *parts)
{
    while (p < end) {
        if (*p == '[') {
            const char *after = section_end(p, end);
            struct vz_date_reader try_in = *in;
            struct parts try_parts = *parts;
            const char *inner_end = after > p + 1 && after[-1] == ']' ? after - 1 : after;
            if (read_pattern(p + 1, inner_end, lenient, &try_in, &try_parts)) {
                *in = try_in;
                *parts = try_parts;
            }
            p = after;
        } else if (*p == '\'') {
            if (!read_literal(&p, end, in))
                return false;
        } else if (vz_is_letter(*p)) {
            const char *start = p;
            while (p < end && *p == *start)
                p++;
            if (!read_group(*start, (int)(p - start), lenient, in, parts))
                return false;
        } else if (!take(in, *p++)) {
            return false;
        }
    }
    return true;
}

static enum vz_status check_pattern(struct vz_slice pattern, struct vz_error *err)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '\'')
            quoted = !quoted;
        if (quoted)
            continue;
        depth += c == '[' ? 1 : c == ']' ? -1 : 0;
        if (depth < 0 || depth > 8 || c == '{' || c == '}' || c == '#')
            return vz_mapping_fault(err, "Invalid format: [%.*s]: unexpected [%c]",
                                    (int)pattern.len, pattern.ptr, c);
        if (!vz_is_letter(c) || strchr("yuMLdDHkhKamsSEGXxZzVOYwe", c))
            continue;
        if (strchr("WqQcFAnNBpv", c))
            return vz_mapping_unsupported(err,
                                          "date format [%.*s]: pattern letter [%c] is not "
                                          "supported",
                                          (int)pattern.len, pattern.ptr, c);
        return vz_mapping_fault(err, "Invalid format: [%.*s]: Unknown pattern letter: %c",
                                (int)pattern.len, pattern.ptr, c);
    }
    if (quoted || depth)
        return vz_mapping_fault(err, "Invalid format: [%.*s]: a quote or bracket is not closed",
                                (int)pattern.len, pattern.ptr);
    return VZ_OK;
}

enum vz_status vz_date_format_check(struct vz_slice format, struct vz_error *err)
{
    if (format.len == 0)
        return vz_mapping_fault(err, "Invalid format: []: No date pattern provided");
    if (format.len > VZ_MAX_FORMAT_BYTES)
        return vz_mapping_fault(err, "Invalid format: longer than %d bytes", VZ_MAX_FORMAT_BYTES);
    struct vz_slice rest = format, one;
    while (vz_date_next_alternative(&rest, &one)) {
        if (one.len == 0)
            return vz_mapping_fault(err, "Invalid format: [%.*s]: No date pattern provided",
                                    (int)format.len, format.ptr);
        struct vz_date_format found = vz_date_format_find(one);
        if (found.kind != VZ_DATE_PATTERN)
            continue;
        enum vz_status status = check_pattern(found.pattern, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* ---- parts to milliseconds ---------------------------------------------------------------- */

/* Monday of an ISO year's first week, as days since 1970. */
static int64_t first_monday(int64_t year)
{
    int64_t fourth = vz_days_from_civil((int)year, 1, 4);
    return fourth - ((fourth + 3) % 7 + 7) % 7;
}

/* False when there is no such week. */
static bool week_to_days(const struct parts *parts, bool round_up, int64_t *days)
{
    int64_t year = parts->seen & PART_WEEK_YEAR ? parts->week_year : 1970;
    if (year > VZ_MAX_YEAR || year < -VZ_MAX_YEAR)
        return false;
    int64_t first = first_monday(year);
    int weeks = (int)((first_monday(year + 1) - first) / 7);
    int week = parts->seen & PART_WEEK ? parts->week : round_up ? weeks : 1;
    int weekday = parts->seen & PART_WEEKDAY ? parts->weekday : round_up ? 7 : 1;
    *days = first + (week - 1) * 7 + weekday - 1;
    return week >= 1 && week <= weeks && weekday >= 1 && weekday <= 7;
}

static bool parts_to_ms(struct parts *parts, bool round_up, int64_t *out)
{
    unsigned seen = parts->seen;
    if (seen & PART_EPOCH) {
        *out = parts->epoch_ms;
        return true;
    }
    int64_t year = seen & PART_YEAR ? parts->year : 1970;
    if (year > VZ_MAX_YEAR || year < -VZ_MAX_YEAR)
        return false;
    bool has_month = seen & PART_MONTH, by_day = seen & PART_DAY_OF_YEAR;
    /* With round_up a missing part is the last one there is, but only below what was given. */
    bool dated = seen & (PART_YEAR | PART_MONTH | PART_DAY | PART_DAY_OF_YEAR);
    int month = has_month ? parts->month : round_up && dated && !(seen & PART_DAY) ? 12 : 1;
    if (month < 1 || month > 12)
        return false;
    int day = seen & PART_DAY ? parts->day : round_up && dated ? vz_month_days(year, month) : 1;
    if (day < 1 || day > vz_month_days(year, month))
        return false;
    int64_t days = vz_days_from_civil((int)year, month, day);
    if (by_day) {
        if (parts->day_of_year < 1 || parts->day_of_year > 365 + vz_is_leap_year(year))
            return false;
        days = vz_days_from_civil((int)year, 1, 1) + parts->day_of_year - 1;
    }
    if (seen & (PART_WEEK_YEAR | PART_WEEK) && !week_to_days(parts, round_up, &days))
        return false;
    int hour = seen & PART_HOUR ? parts->hour : round_up ? 23 : 0;
    int minute = seen & PART_MINUTE ? parts->minute : round_up ? 59 : 0;
    int second = seen & PART_SECOND ? parts->second : round_up ? 59 : 0;
    int milli = seen & PART_MILLI ? parts->milli : round_up ? 999 : 0;
    if (seen & PART_PM && seen & PART_HALF_DAY)
        hour += 12;
    bool midnight_24 = hour == 24 && minute == 0 && second == 0 && milli == 0;
    if ((hour > 23 && !midnight_24) || minute > 59 || second > 59)
        return false;
    *out = days * VZ_DAY_MS + ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + milli -
           (int64_t)parts->zone_seconds * 1000;
    return true;
}

static bool parse_alternative(struct vz_slice alternative, struct vz_slice text, bool round_up,
                              int64_t *out)
{
    if (alternative.len > VZ_MAX_FORMAT_BYTES)
        return false;
    struct vz_date_format format = vz_date_format_find(alternative);
    struct vz_date_reader in = {text.ptr, text.ptr + text.len};
    struct parts parts = {0};
    bool ok = false;
    switch (format.kind) {
    case VZ_DATE_ISO:
        ok = iso_date(&in, true, &parts);
        break;
    case VZ_DATE_ISO_LENIENT:
        ok = iso_date(&in, false, &parts);
        break;
    case VZ_DATE_MILLIS:
        ok = epoch(&in, 1, &parts);
        break;
    case VZ_DATE_SECONDS:
        ok = epoch(&in, 1000, &parts);
        break;
    case VZ_DATE_PATTERN:
        ok = read_pattern(format.pattern.ptr, format.pattern.ptr + format.pattern.len,
                          format.lenient, &in, &parts) &&
             in.at == in.end;
        break;
    }
    return ok && text.len && parts_to_ms(&parts, round_up, out);
}

static enum vz_status parse_plain(struct vz_slice format, struct vz_slice text, bool round_up,
                                  int64_t *out, struct vz_error *err)
{
    struct vz_slice rest = vz_date_format_or_default(format), one;
    while (vz_date_next_alternative(&rest, &one)) {
        if (parse_alternative(one, text, round_up, out))
            return VZ_OK;
    }
    struct vz_slice shown = vz_date_format_or_default(format);
    return vz_fail(err, VZ_BAD_ARGUMENT, "failed to parse date field [%.*s] with format [%.*s]",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr, (int)shown.len, shown.ptr);
}

enum vz_status vz_date_parse(struct vz_slice format, struct vz_slice text, bool allow_math,
                             bool round_up, int64_t now_ms, int64_t *out_ms, struct vz_error *err)
{
    struct vz_slice math = {0}, plain = text;
    if (allow_math && vz_slice_starts(text, "now")) {
        *out_ms = now_ms;
        return vz_date_math((struct vz_slice){text.ptr + 3, text.len - 3}, round_up, out_ms, err);
    }
    const char *bars = allow_math && text.len ? memmem(text.ptr, text.len, "||", 2) : NULL;
    if (bars) {
        plain.len = (size_t)(bars - text.ptr);
        math = (struct vz_slice){bars + 2, text.len - plain.len - 2};
    }
    /* With math behind it the date itself is not rounded up, only what "/" rounds. */
    enum vz_status status = parse_plain(format, plain, round_up && math.len == 0, out_ms, err);
    return status == VZ_OK && math.len ? vz_date_math(math, round_up, out_ms, err) : status;
}
