/* store/date.c - reading and printing dates by Elasticsearch's formats, and date math.
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
 * Differences from Elasticsearch: names of months and days are English only; week-based years,
 * quarters and zone names other than UTC, GMT and Z are refused when the mapping is made; more than
 * milliseconds are cut off, as its `date` type does.
 */
#include "base/clock.h"
#include "store/mapping_parts.h"

#include <stdlib.h>

#define DAY_MS ((int64_t)86400000)
#define MAX_FORMAT_BYTES 512
#define MAX_YEAR 292278993 /* what 64 bits of milliseconds hold */

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
    PART_HALF_DAY = 2048
};

struct parts {
    unsigned seen;
    int64_t year;
    int month, day, hour, minute, second, milli, day_of_year;
    int zone_seconds;
    int64_t epoch_ms;
};

struct reader {
    const char *at, *end;
};

static bool take(struct reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* Between min and max digits. */
static bool digits(struct reader *in, int min, int max, int64_t *out)
{
    int count = 0;
    int64_t value = 0;
    while (in->at < in->end && count < max && *in->at >= '0' && *in->at <= '9') {
        value = value * 10 + (*in->at++ - '0');
        count++;
    }
    *out = value;
    return count >= min;
}

static bool digits_int(struct reader *in, int min, int max, int *out)
{
    int64_t value;
    bool ok = digits(in, min, max, &value);
    *out = (int)value;
    return ok;
}

/* A fraction of min..max digits (max 9) as milliseconds; the rest is cut off. */
static bool fraction(struct reader *in, int min, int max, int *milli)
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
static bool zone(struct reader *in, struct parts *parts)
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

static bool iso_time(struct reader *in, bool strict, struct parts *parts)
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
static bool iso_date(struct reader *in, bool strict, struct parts *parts)
{
    int min = strict ? 2 : 1;
    bool negative = take(in, '-');
    bool plus = !negative && take(in, '+');
    /* Java wants a sign in front of a year of more than four digits when it is strict. */
    if (!digits(in, strict ? 4 : 1, negative || plus || !strict ? 9 : 4, &parts->year))
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

static bool epoch(struct reader *in, int64_t unit_ms, struct parts *parts)
{
    bool negative = take(in, '-');
    int64_t value, scaled;
    const char *start = in->at;
    if (!digits(in, 1, 18, &value) || in->at - start > 18)
        return false;
    if (__builtin_mul_overflow(value, unit_ms, &scaled))
        return false;
    if (take(in, '.')) {
        int milli;
        if (!fraction(in, 1, 9, &milli))
            return false;
        if (unit_ms == 1000)
            scaled += milli; /* of epoch_millis only whole ones are kept */
    }
    parts->epoch_ms = negative ? -scaled : scaled;
    parts->seen |= PART_EPOCH;
    return in->at == in->end;
}

/* ---- names -------------------------------------------------------------------------------- */

enum format_kind { FORMAT_PATTERN, FORMAT_ISO, FORMAT_ISO_LENIENT, FORMAT_MILLIS, FORMAT_SECONDS };

/* With "strict_" in front most of these mean the same with fixed widths, see find_format. */
static const struct named_format {
    const char *name, *pattern;
    enum format_kind kind;
} named_formats[] = {
    {"strict_date_optional_time", NULL, FORMAT_ISO},
    {"strict_date_optional_time_nanos", NULL, FORMAT_ISO},
    {"iso8601", NULL, FORMAT_ISO},
    {"date_optional_time", NULL, FORMAT_ISO_LENIENT},
    {"epoch_millis", NULL, FORMAT_MILLIS},
    {"epoch_second", NULL, FORMAT_SECONDS},
    {"basic_date", "yyyyMMdd", FORMAT_PATTERN},
    {"basic_date_time", "yyyyMMdd'T'HHmmss.SSSX", FORMAT_PATTERN},
    {"basic_date_time_no_millis", "yyyyMMdd'T'HHmmssX", FORMAT_PATTERN},
    {"basic_ordinal_date", "yyyyDDD", FORMAT_PATTERN},
    {"basic_ordinal_date_time", "yyyyDDD'T'HHmmss.SSSX", FORMAT_PATTERN},
    {"basic_ordinal_date_time_no_millis", "yyyyDDD'T'HHmmssX", FORMAT_PATTERN},
    {"basic_time", "HHmmss.SSSX", FORMAT_PATTERN},
    {"basic_time_no_millis", "HHmmssX", FORMAT_PATTERN},
    {"basic_t_time", "'T'HHmmss.SSSX", FORMAT_PATTERN},
    {"basic_t_time_no_millis", "'T'HHmmssX", FORMAT_PATTERN},
    {"date", "yyyy-MM-dd", FORMAT_PATTERN},
    {"date_hour", "yyyy-MM-dd'T'HH", FORMAT_PATTERN},
    {"date_hour_minute", "yyyy-MM-dd'T'HH:mm", FORMAT_PATTERN},
    {"date_hour_minute_second", "yyyy-MM-dd'T'HH:mm:ss", FORMAT_PATTERN},
    {"date_hour_minute_second_fraction", "yyyy-MM-dd'T'HH:mm:ss.SSS", FORMAT_PATTERN},
    {"date_hour_minute_second_millis", "yyyy-MM-dd'T'HH:mm:ss.SSS", FORMAT_PATTERN},
    {"date_time", "yyyy-MM-dd'T'HH:mm:ss.SSSX", FORMAT_PATTERN},
    {"date_time_no_millis", "yyyy-MM-dd'T'HH:mm:ssX", FORMAT_PATTERN},
    {"hour", "HH", FORMAT_PATTERN},
    {"hour_minute", "HH:mm", FORMAT_PATTERN},
    {"hour_minute_second", "HH:mm:ss", FORMAT_PATTERN},
    {"hour_minute_second_fraction", "HH:mm:ss.SSS", FORMAT_PATTERN},
    {"hour_minute_second_millis", "HH:mm:ss.SSS", FORMAT_PATTERN},
    {"ordinal_date", "yyyy-DDD", FORMAT_PATTERN},
    {"ordinal_date_time", "yyyy-DDD'T'HH:mm:ss.SSSX", FORMAT_PATTERN},
    {"ordinal_date_time_no_millis", "yyyy-DDD'T'HH:mm:ssX", FORMAT_PATTERN},
    {"time", "HH:mm:ss.SSSX", FORMAT_PATTERN},
    {"time_no_millis", "HH:mm:ssX", FORMAT_PATTERN},
    {"t_time", "'T'HH:mm:ss.SSSX", FORMAT_PATTERN},
    {"t_time_no_millis", "'T'HH:mm:ssX", FORMAT_PATTERN},
    {"year", "yyyy", FORMAT_PATTERN},
    {"year_month", "yyyy-MM", FORMAT_PATTERN},
    {"year_month_day", "yyyy-MM-dd", FORMAT_PATTERN},
    {"rfc_1123_date_time", "EEE, d MMM yyyy HH:mm:ss Z", FORMAT_PATTERN},
};

struct format {
    enum format_kind kind;
    struct vz_slice pattern;
    bool lenient; /* one digit will do where the pattern asks for two */
};

static struct format find_format(struct vz_slice text)
{
    struct format format = {FORMAT_PATTERN, text, false};
    struct vz_slice bare = text;
    if (vz_slice_starts(text, "strict_")) {
        bare.ptr += 7;
        bare.len -= 7;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(named_formats); i++) {
        bool exact = vz_slice_is(text, named_formats[i].name);
        if (!exact &&
            (named_formats[i].kind != FORMAT_PATTERN || !vz_slice_is(bare, named_formats[i].name)))
            continue;
        format.kind = named_formats[i].kind;
        format.pattern = vz_slice_from(named_formats[i].pattern);
        format.lenient = exact && !vz_slice_starts(text, "basic_");
        break;
    }
    return format;
}

/* The alternatives of a format, one a call. An empty format is the default of a date field. */
static bool next_alternative(struct vz_slice *rest, struct vz_slice *alternative)
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

static struct vz_slice or_default(struct vz_slice format)
{
    return format.len ? format : VZ_SLICE("strict_date_optional_time||epoch_millis");
}

/* ---- patterns ----------------------------------------------------------------------------- */

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

/* Reads one of the names, whole or its first three letters; 1-based, 0 when there is none. */
static int read_name(struct reader *in, const char *const *names, int count, bool whole)
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

static bool read_group(char letter, int count, bool lenient, struct reader *in, struct parts *parts)
{
    int min = lenient ? 1 : count, max = count == 1 ? 2 : count, value;
    switch (letter) {
    case 'y':
    case 'u': {
        bool negative = take(in, '-');
        bool plus = !negative && take(in, '+');
        int most = count == 1 || lenient || negative || plus ? 9 : count;
        parts->seen |= PART_YEAR;
        if (!digits(in, lenient ? 1 : count, most, &parts->year))
            return false;
        if (count == 2)
            parts->year += 2000; /* Java's base for yy */
        if (negative)
            parts->year = -parts->year;
        return true;
    }
    case 'M':
    case 'L':
        parts->seen |= PART_MONTH;
        if (count >= 3)
            return (parts->month = read_name(in, month_names, 12, count > 3)) != 0;
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
        value = read_name(in, day_names, 7, count > 3);
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

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
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

/* The next character of the quoted literal that begins at `open` (two quotes in a row are one, also
 * as the whole literal), or 0 at its end; *p moves along and ends behind the closing quote. */
static char literal_char(const char *open, const char **p, const char *end)
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
static bool read_literal(const char **p, const char *end, struct reader *in)
{
    const char *open = (*p)++;
    char c;
    while ((c = literal_char(open, p, end))) {
        if (!take(in, c))
            return false;
        if (*p == open + 2 && c == '\'')
            break;
    }
    return true;
}

static bool read_pattern(const char *p, const char *end, bool lenient, struct reader *in,
                         struct parts *parts)
{
    while (p < end) {
        if (*p == '[') {
            const char *after = section_end(p, end);
            struct reader try_in = *in;
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
        } else if (is_letter(*p)) {
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
        if (!is_letter(c) || strchr("yuMLdDHkhKamsSEGXxZzVO", c))
            continue;
        if (strchr("YwWqQecFAnNBpv", c))
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
    if (format.len > MAX_FORMAT_BYTES)
        return vz_mapping_fault(err, "Invalid format: longer than %d bytes", MAX_FORMAT_BYTES);
    struct vz_slice rest = format, one;
    while (next_alternative(&rest, &one)) {
        if (one.len == 0)
            return vz_mapping_fault(err, "Invalid format: [%.*s]: No date pattern provided",
                                    (int)format.len, format.ptr);
        struct format found = find_format(one);
        if (found.kind != FORMAT_PATTERN)
            continue;
        enum vz_status status = check_pattern(found.pattern, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* ---- parts to milliseconds ---------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static bool parts_to_ms(struct parts *parts, bool round_up, int64_t *out)
{
    unsigned seen = parts->seen;
    if (seen & PART_EPOCH) {
        *out = parts->epoch_ms;
        return true;
    }
    int64_t year = seen & PART_YEAR ? parts->year : 1970;
    if (year > MAX_YEAR || year < -MAX_YEAR)
        return false;
    bool has_month = seen & PART_MONTH, by_day = seen & PART_DAY_OF_YEAR;
    /* With round_up a missing part is the last one there is, but only below what was given. */
    bool dated = seen & (PART_YEAR | PART_MONTH | PART_DAY | PART_DAY_OF_YEAR);
    int month = has_month ? parts->month : round_up && dated && !(seen & PART_DAY) ? 12 : 1;
    if (month < 1 || month > 12)
        return false;
    int day = seen & PART_DAY ? parts->day : round_up && dated ? month_days(year, month) : 1;
    if (day < 1 || day > month_days(year, month))
        return false;
    int64_t days = vz_days_from_civil((int)year, month, day);
    if (by_day) {
        if (parts->day_of_year < 1 || parts->day_of_year > 365 + is_leap(year))
            return false;
        days = vz_days_from_civil((int)year, 1, 1) + parts->day_of_year - 1;
    }
    int hour = seen & PART_HOUR ? parts->hour : round_up ? 23 : 0;
    int minute = seen & PART_MINUTE ? parts->minute : round_up ? 59 : 0;
    int second = seen & PART_SECOND ? parts->second : round_up ? 59 : 0;
    int milli = seen & PART_MILLI ? parts->milli : round_up ? 999 : 0;
    if (seen & PART_PM && seen & PART_HALF_DAY)
        hour += 12;
    bool midnight_24 = hour == 24 && minute == 0 && second == 0 && milli == 0;
    if ((hour > 23 && !midnight_24) || minute > 59 || second > 59)
        return false;
    *out = days * DAY_MS + ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + milli -
           (int64_t)parts->zone_seconds * 1000;
    return true;
}

static bool parse_alternative(struct vz_slice alternative, struct vz_slice text, bool round_up,
                              int64_t *out)
{
    struct format format = find_format(alternative);
    struct reader in = {text.ptr, text.ptr + text.len};
    struct parts parts = {0};
    bool ok = false;
    switch (format.kind) {
    case FORMAT_ISO:
        ok = iso_date(&in, true, &parts);
        break;
    case FORMAT_ISO_LENIENT:
        ok = iso_date(&in, false, &parts);
        break;
    case FORMAT_MILLIS:
        ok = epoch(&in, 1, &parts);
        break;
    case FORMAT_SECONDS:
        ok = epoch(&in, 1000, &parts);
        break;
    case FORMAT_PATTERN:
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
    struct vz_slice rest = or_default(format), one;
    while (next_alternative(&rest, &one)) {
        if (parse_alternative(one, text, round_up, out))
            return VZ_OK;
    }
    struct vz_slice shown = or_default(format);
    return vz_fail(err, VZ_BAD_ARGUMENT, "failed to parse date field [%.*s] with format [%.*s]",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr, (int)shown.len, shown.ptr);
}

/* ---- date math ---------------------------------------------------------------------------- */

static void split_ms(int64_t ms, int *year, int *month, int *day, int64_t *in_day)
{
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
    *in_day = ms - days * DAY_MS;
    vz_civil_from_days(days, year, month, day);
}

static bool add_months(int64_t *ms, int64_t months)
{
    int year, month, day;
    int64_t in_day;
    if (months > 12 * (int64_t)MAX_YEAR || months < -12 * (int64_t)MAX_YEAR)
        return false;
    split_ms(*ms, &year, &month, &day, &in_day);
    int64_t total = (int64_t)year * 12 + (month - 1) + months;
    int64_t to_year = total / 12 - (total % 12 < 0);
    if (to_year > MAX_YEAR || to_year < -MAX_YEAR)
        return false;
    int to_month = (int)(total - to_year * 12) + 1;
    int to_day = VZ_MIN(day, month_days(to_year, to_month));
    *ms = vz_days_from_civil((int)to_year, to_month, to_day) * DAY_MS + in_day;
    return true;
}

/* Milliseconds of the units of fixed length; 0 for months and years, -1 for what is no unit. */
static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 'w':
        return 7 * DAY_MS;
    case 'd':
        return DAY_MS;
    case 'h':
    case 'H':
        return 3600000;
    case 'm':
        return 60000;
    case 's':
        return 1000;
    case 'y':
    case 'M':
        return 0;
    default:
        return -1;
    }
}

static bool add_units(int64_t *ms, char unit, int64_t count)
{
    int64_t step = unit_ms(unit), shift;
    if (step == 0)
        return !__builtin_mul_overflow(count, unit == 'y' ? 12 : 1, &shift) &&
               add_months(ms, shift);
    return !__builtin_mul_overflow(count, step, &shift) && !__builtin_add_overflow(*ms, shift, ms);
}

static void round_down(int64_t *ms, char unit)
{
    int year, month, day;
    int64_t in_day;
    split_ms(*ms, &year, &month, &day, &in_day);
    int64_t days = (*ms - in_day) / DAY_MS;
    if (unit == 'y') {
        *ms = vz_days_from_civil(year, 1, 1) * DAY_MS;
    } else if (unit == 'M') {
        *ms = vz_days_from_civil(year, month, 1) * DAY_MS;
    } else if (unit == 'w') {
        int64_t weekday = ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; Monday is 0 */
        *ms = (days - weekday) * DAY_MS;
    } else {
        *ms -= in_day % unit_ms(unit);
    }
}

#define MATH_LIMIT_MS ((int64_t)1 << 60)

static enum vz_status date_math(struct vz_slice math, bool round_up, int64_t *ms,
                                struct vz_error *err)
{
    struct reader in = {math.ptr, math.ptr + math.len};
    int shown = (int)VZ_MIN(math.len, (size_t)100);
    while (in.at < in.end) {
        char op = *in.at++;
        if (op != '+' && op != '-' && op != '/')
            return vz_fail(err, VZ_BAD_ARGUMENT, "operator not supported for date math [%.*s]",
                           shown, math.ptr);
        if (in.at == in.end)
            return vz_fail(err, VZ_BAD_ARGUMENT, "truncated date math [%.*s]", shown, math.ptr);
        int64_t count = 1;
        const char *number = in.at;
        digits(&in, 0, 18, &count);
        if (in.at == number)
            count = 1;
        if (op == '/' && count != 1)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "rounding `/` can only be used on single unit types [%.*s]", shown,
                           math.ptr);
        if (in.at == in.end)
            return vz_fail(err, VZ_BAD_ARGUMENT, "truncated date math [%.*s]", shown, math.ptr);
        char unit = *in.at++;
        if (unit_ms(unit) < 0)
            return vz_fail(err, VZ_BAD_ARGUMENT, "unit [%c] not supported for date math [%.*s]",
                           unit, shown, math.ptr);
        bool ok = true;
        if (op == '/') {
            round_down(ms, unit);
            if (round_up)
                ok = add_units(ms, unit, 1) && !__builtin_sub_overflow(*ms, 1, ms);
        } else {
            ok = add_units(ms, unit, op == '-' ? -count : count);
        }
        if (!ok || *ms > MATH_LIMIT_MS || *ms < -MATH_LIMIT_MS)
            return vz_fail(err, VZ_BAD_ARGUMENT, "date math [%.*s] leaves the range of dates",
                           shown, math.ptr);
    }
    return VZ_OK;
}

enum vz_status vz_date_parse(struct vz_slice format, struct vz_slice text, bool allow_math,
                             bool round_up, int64_t now_ms, int64_t *out_ms, struct vz_error *err)
{
    struct vz_slice math = {0}, plain = text;
    if (allow_math && vz_slice_starts(text, "now")) {
        *out_ms = now_ms;
        return date_math((struct vz_slice){text.ptr + 3, text.len - 3}, round_up, out_ms, err);
    }
    const char *bars = allow_math && text.len ? memmem(text.ptr, text.len, "||", 2) : NULL;
    if (bars) {
        plain.len = (size_t)(bars - text.ptr);
        math = (struct vz_slice){bars + 2, text.len - plain.len - 2};
    }
    /* With math behind it the date itself is not rounded up, only what "/" rounds. */
    enum vz_status status = parse_plain(format, plain, round_up && math.len == 0, out_ms, err);
    return status == VZ_OK && math.len ? date_math(math, round_up, out_ms, err) : status;
}

/* ---- printing ----------------------------------------------------------------------------- */

struct broken {
    int year, month, day, hour, minute, second, milli, weekday, day_of_year;
};

static struct broken break_down(int64_t ms)
{
    struct broken b;
    int64_t in_day;
    split_ms(ms, &b.year, &b.month, &b.day, &in_day);
    int64_t days = (ms - in_day) / DAY_MS;
    b.hour = (int)(in_day / 3600000);
    b.minute = (int)(in_day / 60000 % 60);
    b.second = (int)(in_day / 1000 % 60);
    b.milli = (int)(in_day % 1000);
    b.weekday = (int)(((days + 3) % 7 + 7) % 7);
    b.day_of_year = (int)(days - vz_days_from_civil(b.year, 1, 1)) + 1;
    return b;
}

static void print_name(const char *name, bool whole, struct vz_buf *out)
{
    vz_buf_append(out, name, whole ? strlen(name) : 3);
}

static void print_group(char letter, int count, const struct broken *b, struct vz_buf *out)
{
    switch (letter) {
    case 'y':
    case 'u':
        if (count == 2)
            vz_buf_printf(out, "%02d", abs(b->year) % 100);
        else
            vz_buf_printf(out, "%s%0*d", b->year < 0 ? "-" : "", count, abs(b->year));
        break;
    case 'M':
    case 'L':
        if (count >= 3)
            print_name(month_names[b->month - 1], count > 3, out);
        else
            vz_buf_printf(out, "%0*d", count, b->month);
        break;
    case 'd':
        vz_buf_printf(out, "%0*d", count, b->day);
        break;
    case 'D':
        vz_buf_printf(out, "%0*d", count, b->day_of_year);
        break;
    case 'H':
        vz_buf_printf(out, "%0*d", count, b->hour);
        break;
    case 'k':
        vz_buf_printf(out, "%0*d", count, b->hour ? b->hour : 24);
        break;
    case 'h':
        vz_buf_printf(out, "%0*d", count, b->hour % 12 ? b->hour % 12 : 12);
        break;
    case 'K':
        vz_buf_printf(out, "%0*d", count, b->hour % 12);
        break;
    case 'a':
        vz_buf_append_str(out, b->hour < 12 ? "AM" : "PM");
        break;
    case 'm':
        vz_buf_printf(out, "%0*d", count, b->minute);
        break;
    case 's':
        vz_buf_printf(out, "%0*d", count, b->second);
        break;
    case 'S': {
        char text[16];
        int value = b->milli;
        for (int i = 2; i >= 0; i--, value /= 10)
            text[i] = (char)('0' + value % 10);
        for (int i = 0; i < count; i++)
            vz_buf_append_char(out, i < 3 ? text[i] : '0');
        break;
    }
    case 'E':
        print_name(day_names[b->weekday], count > 3, out);
        break;
    case 'G':
        vz_buf_append_str(out, "AD");
        break;
    case 'X':
        vz_buf_append_char(out, 'Z');
        break;
    case 'x':
    case 'Z':
        vz_buf_append_str(out, count >= 3                    ? "+00:00"
                               : letter == 'x' && count == 1 ? "+00"
                                                             : "+0000");
        break;
    default:
        vz_buf_append_str(out, "UTC");
    }
}

static void print_pattern(struct vz_slice pattern, const struct broken *b, struct vz_buf *out)
{
    const char *p = pattern.ptr, *end = p + pattern.len;
    while (p < end) {
        if (*p == '\'') {
            const char *open = p++;
            char c;
            while ((c = literal_char(open, &p, end))) {
                vz_buf_append_char(out, c);
                if (p == open + 2 && c == '\'')
                    break;
            }
        } else if (is_letter(*p)) {
            const char *start = p;
            while (p < end && *p == *start)
                p++;
            print_group(*start, (int)(p - start), b, out);
        } else {
            if (*p != '[' && *p != ']')
                vz_buf_append_char(out, *p);
            p++;
        }
    }
}

void vz_date_print(struct vz_slice format, int64_t ms, struct vz_buf *out)
{
    struct vz_slice rest = or_default(format), one = {0};
    next_alternative(&rest, &one);
    struct format found = find_format(one);
    if (found.kind == FORMAT_MILLIS) {
        vz_buf_printf(out, "%lld", (long long)ms);
        return;
    }
    if (found.kind == FORMAT_SECONDS) {
        int64_t seconds = ms / 1000, rest_ms = llabs(ms % 1000);
        vz_buf_printf(out, "%s%lld", ms < 0 ? "-" : "", llabs(seconds));
        if (rest_ms)
            vz_buf_printf(out, ".%03d", (int)rest_ms);
        return;
    }
    /* Past the years an int of days holds well, print what is nearest. */
    int64_t limit = (int64_t)MAX_YEAR * 365 * DAY_MS;
    struct broken b = break_down(VZ_MAX(VZ_MIN(ms, limit), -limit));
    struct vz_slice pattern = found.pattern;
    if (found.kind != FORMAT_PATTERN)
        pattern = VZ_SLICE("yyyy-MM-dd'T'HH:mm:ss.SSSX");
    print_pattern(pattern, &b, out);
}
