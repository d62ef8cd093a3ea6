/* Date formats of the date processor: ISO8601, UNIX, UNIX_MS, TAI64N, and Java's patterns.
 *
 * A pattern is compiled into parts; "||" separates patterns that are tried in turn. What a pattern
 * does not name is the first of its kind (month 1, hour 0), the year the current one. Letters with
 * week-based meaning (Y, w, e) are refused when compiled: they are mostly typing errors for y and
 * d, and would give other dates. Names of months and days are English. */
#include "ingest/parts.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FORMAT_PARTS 64

struct date_part {
    char letter; /* 0: literal; '[' and ']': an optional section */
    int count;
    struct vz_slice text;
    int skip; /* '[': the part behind its ']' */
};

struct vz_date_format {
    enum { ISO8601, UNIX, UNIX_MS, TAI64N, PATTERN } kind;
    struct date_part parts[MAX_FORMAT_PARTS];
    int count;
    struct vz_date_format *next; /* the alternative behind "||" */
};

static const struct {
    const char *name;
    int kind;
    const char *pattern;
} named[] = {
    {"ISO8601", ISO8601, NULL},
    {"UNIX", UNIX, NULL},
    {"UNIX_MS", UNIX_MS, NULL},
    {"TAI64N", TAI64N, NULL},
    {"epoch_millis", UNIX_MS, NULL},
    {"epoch_second", UNIX, NULL},
    {"iso8601", ISO8601, NULL},
    {"date_optional_time", ISO8601, NULL},
    {"strict_date_optional_time", ISO8601, NULL},
    {"strict_date_optional_time_nanos", ISO8601, NULL},
    {"date_time", ISO8601, NULL},
    {"strict_date_time", ISO8601, NULL},
    {"date_time_no_millis", ISO8601, NULL},
    {"strict_date_time_no_millis", ISO8601, NULL},
    {"date", PATTERN, "yyyy-MM-dd"},
    {"strict_date", PATTERN, "yyyy-MM-dd"},
    {"basic_date", PATTERN, "yyyyMMdd"},
    {"basic_date_time", PATTERN, "yyyyMMdd'T'HHmmss.SSSX"},
    {"basic_date_time_no_millis", PATTERN, "yyyyMMdd'T'HHmmssX"},
    {"date_hour_minute_second", PATTERN, "yyyy-MM-dd'T'HH:mm:ss"},
    {"date_hour_minute", PATTERN, "yyyy-MM-dd'T'HH:mm"},
    {"hour_minute_second", PATTERN, "HH:mm:ss"},
    {"year", PATTERN, "yyyy"},
    {"year_month", PATTERN, "yyyy-MM"},
    {"year_month_day", PATTERN, "yyyy-MM-dd"},
};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* ---- compiling ------------------------------------------------------------------------------- */

static bool add_part(struct vz_date_format *f, struct date_part part)
{
    if (f->count == MAX_FORMAT_PARTS)
        return false;
    f->parts[f->count++] = part;
    return true;
}

static enum vz_status bad_pattern(struct vz_slice text, const char *why, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_ARGUMENT, "Invalid format: [%.*s]: %s", VZ_S(text), why);
}

static size_t quoted(struct vz_slice text, size_t at, struct vz_date_format *f,
                     struct vz_arena *arena)
{
    struct vz_buf literal = {0};
    size_t i = at + 1;
    if (i < text.len && text.ptr[i] == '\'') {
        vz_buf_append_char(&literal, '\'');
        i++;
    } else {
        for (; i < text.len; i++) {
            if (text.ptr[i] != '\'')
                vz_buf_append_char(&literal, text.ptr[i]);
            else if (i + 1 < text.len && text.ptr[i + 1] == '\'')
                vz_buf_append_char(&literal, text.ptr[i++]);
            else
                break;
        }
        i++;
    }
    bool ok =
        i <= text.len &&
        add_part(f, (struct date_part){0, 0, vz_arena_copy(arena, vz_buf_slice(&literal)), 0});
    vz_buf_deinit(&literal);
    return ok ? i : 0;
}

static enum vz_status compile_pattern(struct vz_slice text, struct vz_arena *arena,
                                      struct vz_date_format *f, struct vz_error *err)
{
    int open[8], depth = 0;
    f->kind = PATTERN;
    for (size_t i = 0; i < text.len;) {
        char c = text.ptr[i];
        if (c == '\'') {
            i = quoted(text, i, f, arena);
            if (!i)
                return bad_pattern(text, "a quote is not closed, or the pattern is too long", err);
        } else if (isalpha((unsigned char)c)) {
            size_t n = 1;
            while (i + n < text.len && text.ptr[i + n] == c)
                n++;
            if (!strchr("yuMLdDHhkKmsSnaEzVZXxO", c))
                return vz_fail(err, VZ_BAD_ARGUMENT,
                               "Invalid format: [%.*s]: the pattern letter [%c] is not supported",
                               VZ_S(text), c);
            if (n > 9 || !add_part(f, (struct date_part){c, (int)n, {NULL, 0}, 0}))
                return bad_pattern(text, "too many pattern letters", err);
            i += n;
        } else if (c == '[' || c == ']') {
            if ((c == '[' && depth == 8) || (c == ']' && depth == 0))
                return bad_pattern(text, "brackets do not match", err);
            if (!add_part(f, (struct date_part){c, 0, {NULL, 0}, 0}))
                return bad_pattern(text, "it is too long", err);
            if (c == '[')
                open[depth++] = f->count - 1;
            else
                f->parts[open[--depth]].skip = f->count;
            i++;
        } else {
            if (!add_part(f,
                          (struct date_part){
                              0, 0, vz_arena_copy(arena, (struct vz_slice){text.ptr + i, 1}), 0}))
                return bad_pattern(text, "it is too long", err);
            i++;
        }
    }
    return depth ? bad_pattern(text, "brackets do not match", err) : VZ_OK;
}

enum vz_status vz_date_format_compile(struct vz_slice text, struct vz_arena *arena,
                                      struct vz_date_format **out, struct vz_error *err)
{
    struct vz_date_format **at = out;
    *out = NULL;
    if (text.len == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Invalid format: []: it is empty");
    while (text.len) {
        const char *bar = memmem(text.ptr, text.len, "||", 2);
        struct vz_slice one = {text.ptr, bar ? (size_t)(bar - text.ptr) : text.len};
        size_t skip = bar ? one.len + 2 : one.len, i = 0;
        text = (struct vz_slice){text.ptr + skip, text.len - skip};
        struct vz_date_format *f = *at = vz_arena_zalloc(arena, sizeof *f);
        at = &f->next;
        while (i < VZ_COUNT_OF(named) && !vz_slice_is(one, named[i].name))
            i++;
        if (i < VZ_COUNT_OF(named) && !named[i].pattern) {
            f->kind = (unsigned)named[i].kind;
            continue;
        }
        if (i < VZ_COUNT_OF(named))
            one = vz_slice_from(named[i].pattern);
        enum vz_status status = compile_pattern(one, arena, f, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* ---- parsing --------------------------------------------------------------------------------- */

struct fields {
    int year, month, day, hour, minute, second, nanos, yearday;
    bool has_year, has_offset, pm, has_pm, has_yearday;
    int32_t offset_s;
    const struct vz_zone *zone; /* named in the text */
};

struct cursor {
    const char *at, *end;
};

/* `min` to `max` digits. */
static bool number(struct cursor *c, int min, int max, int *out)
{
    int digits = 0;
    *out = 0;
    while (digits < max && c->at < c->end && isdigit((unsigned char)*c->at)) {
        *out = *out * 10 + (*c->at++ - '0');
        digits++;
    }
    return digits >= min;
}

static bool fraction(struct cursor *c, int min, int max, int *nanos)
{
    int digits = 0, value = 0;
    while (digits < max && c->at < c->end && isdigit((unsigned char)*c->at)) {
        value = value * 10 + (*c->at++ - '0');
        digits++;
    }
    for (int i = digits; i < 9; i++)
        value *= 10;
    *nanos = value;
    return digits >= min;
}

/* Z, +hh, +hhmm, +hh:mm, +hh:mm:ss. */
static bool offset(struct cursor *c, bool zulu, int32_t *out)
{
    int hours, minutes = 0, seconds = 0;
    if (zulu && c->at < c->end && (*c->at == 'Z' || *c->at == 'z')) {
        c->at++;
        *out = 0;
        return true;
    }
    if (c->at == c->end || (*c->at != '+' && *c->at != '-'))
        return false;
    int sign = *c->at++ == '-' ? -1 : 1;
    if (!number(c, 2, 2, &hours))
        return false;
    bool colon = c->at < c->end && *c->at == ':';
    if (colon)
        c->at++;
    if ((colon || (c->at < c->end && isdigit((unsigned char)*c->at))) && !number(c, 2, 2, &minutes))
        return false;
    if (colon && c->at < c->end && *c->at == ':') {
        c->at++;
        if (!number(c, 2, 2, &seconds))
            return false;
    }
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return hours <= 18 && minutes <= 59 && seconds <= 59;
}

static bool name_of(struct cursor *c, const char *const *list, int count, bool full, int *out)
{
    for (int i = 0; i < count; i++) {
        size_t len = full ? strlen(list[i]) : 3;
        if ((size_t)(c->end - c->at) < len || strncasecmp(c->at, list[i], len) != 0)
            continue;
        c->at += len;
        *out = i;
        return true;
    }
    return false;
}

static bool zone_name(struct cursor *c, struct fields *f)
{
    const char *start = c->at;
    while (c->at < c->end && (isalnum((unsigned char)*c->at) || strchr("/_+-:", *c->at)))
        c->at++;
    f->zone = vz_zone_find((struct vz_slice){start, (size_t)(c->at - start)});
    return f->zone != NULL;
}

static bool parse_letter(const struct date_part *part, bool digits_follow, struct cursor *c,
                         struct fields *f)
{
    int n = part->count, value, most = n == 1 && !digits_follow ? 2 : n;
    if (n == 1)
        most = 2;
    switch (part->letter) {
    case 'y':
    case 'u':
        f->has_year = true;
        if (n == 2) {
            if (!number(c, 2, 2, &f->year))
                return false;
            f->year += 2000;
            return true;
        }
        return number(c, n == 1 ? 1 : n, n >= 4 && !digits_follow ? 9 : VZ_MAX(n, 4), &f->year);
    case 'M':
    case 'L':
        if (n >= 3) {
            if (!name_of(c, months, 12, n >= 4, &value))
                return false;
            f->month = value + 1;
            return true;
        }
        return number(c, n, most, &f->month);
    case 'd':
        return number(c, n, most, &f->day);
    case 'D':
        f->has_yearday = true;
        return number(c, n, 3, &f->yearday);
    case 'H':
    case 'k':
    case 'h':
    case 'K':
        if (!number(c, n, most, &f->hour))
            return false;
        if ((part->letter == 'k' && f->hour == 24) || (part->letter == 'h' && f->hour == 12))
            f->hour = 0;
        return true;
    case 'm':
        return number(c, n, most, &f->minute);
    case 's':
        return number(c, n, most, &f->second);
    case 'S':
        return fraction(c, n, n, &f->nanos);
    case 'n':
        return number(c, 1, 9, &f->nanos);
    case 'a': {
        static const char *const halves[] = {"AM ", "PM "};
        for (int i = 0; i < 2; i++)
            if (c->end - c->at >= 2 && strncasecmp(c->at, halves[i], 2) == 0) {
                c->at += 2;
                f->pm = i == 1;
                f->has_pm = true;
                return true;
            }
        return false;
    }
    case 'E':
        return name_of(c, days, 7, n >= 4, &value);
    case 'Z':
    case 'X':
    case 'x':
    case 'O':
        if (part->letter == 'O' && c->end - c->at >= 3 && memcmp(c->at, "GMT", 3) == 0)
            c->at += 3;
        f->has_offset = true;
        return offset(c, part->letter != 'x', &f->offset_s);
    case 'z':
    case 'V':
        return zone_name(c, f);
    }
    return false;
}

/* Whether the part behind `i` begins with digits, so that this one must not take theirs. */
static bool digits_behind(const struct vz_date_format *f, int i)
{
    return i + 1 < f->count && f->parts[i + 1].letter &&
           strchr("yuMLdDHhkKmsSn", f->parts[i + 1].letter);
}

static bool parse_parts(const struct vz_date_format *f, int from, int to, struct cursor *c,
                        struct fields *out)
{
    for (int i = from; i < to; i++) {
        const struct date_part *part = &f->parts[i];
        if (part->letter == '[') {
            struct cursor before = *c;
            struct fields was = *out;
            if (!parse_parts(f, i + 1, part->skip - 1, c, out)) {
                *c = before;
                *out = was;
            }
            i = part->skip - 1;
        } else if (part->letter == ']') {
            continue;
        } else if (part->letter) {
            if (!parse_letter(part, digits_behind(f, i), c, out))
                return false;
        } else {
            if ((size_t)(c->end - c->at) < part->text.len ||
                memcmp(c->at, part->text.ptr, part->text.len) != 0)
                return false;
            c->at += part->text.len;
        }
    }
    return true;
}

static bool eat(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool parse_iso(struct cursor *c, struct fields *f)
{
    f->has_year = true;
    if (!number(c, 4, 4, &f->year))
        return false;
    if (!eat(c, '-'))
        return c->at == c->end;
    if (!number(c, 1, 2, &f->month))
        return false;
    if (eat(c, '-') && !number(c, 1, 2, &f->day))
        return false;
    if (c->at == c->end)
        return true;
    if (!eat(c, 'T') && !eat(c, 't'))
        return false;
    if (c->at == c->end)
        return true;
    if (!number(c, 1, 2, &f->hour))
        return false;
    if (eat(c, ':')) {
        if (!number(c, 1, 2, &f->minute))
            return false;
        if (eat(c, ':')) {
            if (!number(c, 1, 2, &f->second))
                return false;
            if ((eat(c, '.') || eat(c, ',')) && !fraction(c, 1, 9, &f->nanos))
                return false;
        }
    }
    if (c->at == c->end)
        return true;
    f->has_offset = true;
    return offset(c, true, &f->offset_s);
}

static int days_in(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : lengths[month - 1];
}

static bool to_instant(struct fields *f, const struct vz_zone *zone, int64_t now_ms,
                       struct vz_instant *out)
{
    int month, day;
    if (!f->has_year) {
        int64_t now_s = now_ms / 1000 + vz_zone_offset(zone, now_ms / 1000);
        vz_civil_from_days(now_s / 86400, &f->year, &month, &day);
    }
    if (f->has_pm)
        f->hour += f->pm ? 12 : 0;
    if (f->year > 9999 || f->month < 1 || f->month > 12 || f->day < 1 ||
        f->day > days_in(f->year, f->month) || f->hour > 23 || f->minute > 59 || f->second > 59)
        return false;
    int64_t date = vz_days_from_civil(f->year, f->month, f->day);
    if (f->has_yearday)
        date = vz_days_from_civil(f->year, 1, 1) + f->yearday - 1;
    int64_t local = date * 86400 + f->hour * 3600 + f->minute * 60 + f->second;
    int32_t shift =
        f->has_offset ? f->offset_s : vz_zone_offset_local(f->zone ? f->zone : zone, local);
    out->seconds = local - shift;
    out->nanos = f->nanos;
    out->offset_s = vz_zone_offset(zone, out->seconds);
    return true;
}

static bool parse_number(struct vz_slice text, double factor, const struct vz_zone *zone,
                         struct vz_instant *out)
{
    char digits[64], *end;
    if (text.len == 0 || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    double value = strtod(digits, &end);
    if (*end || end == digits || !isfinite(value) || fabs(value * factor) > 2.5e14)
        return false;
    int64_t ms = (int64_t)(value * factor);
    out->seconds = (ms - ((ms % 1000) + 1000) % 1000) / 1000;
    out->nanos = (int32_t)(((ms % 1000) + 1000) % 1000) * 1000000;
    out->offset_s = vz_zone_offset(zone, out->seconds);
    return true;
}

static bool parse_tai64n(struct vz_slice text, const struct vz_zone *zone, struct vz_instant *out)
{
    char seconds[17] = {0}, nanos[9] = {0}, *end;
    if (text.len && text.ptr[0] == '@')
        text = (struct vz_slice){text.ptr + 1, text.len - 1};
    if (text.len != 24)
        return false;
    memcpy(seconds, text.ptr, 16);
    memcpy(nanos, text.ptr + 16, 8);
    uint64_t tai = strtoull(seconds, &end, 16);
    if (*end || tai < (1ull << 62) || tai - (1ull << 62) > 250000000000ull)
        return false;
    unsigned long n = strtoul(nanos, &end, 16);
    if (*end || n > 999999999)
        return false;
    out->seconds = (int64_t)(tai - (1ull << 62)) - 10; /* TAI was ten seconds ahead in 1970 */
    out->nanos = (int32_t)n;
    out->offset_s = vz_zone_offset(zone, out->seconds);
    return true;
}

static bool parse_one(const struct vz_date_format *f, struct vz_slice text,
                      const struct vz_zone *zone, int64_t now_ms, struct vz_instant *out)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct fields fields = {.month = 1, .day = 1};
    switch (f->kind) {
    case UNIX:
        return parse_number(text, 1000, zone, out);
    case UNIX_MS:
        return parse_number(text, 1, zone, out);
    case TAI64N:
        return parse_tai64n(text, zone, out);
    case ISO8601:
        return parse_iso(&c, &fields) && c.at == c.end && to_instant(&fields, zone, now_ms, out);
    case PATTERN:
        return parse_parts(f, 0, f->count, &c, &fields) && c.at == c.end &&
               to_instant(&fields, zone, now_ms, out);
    }
    return false;
}

enum vz_status vz_date_format_parse(const struct vz_date_format *format, struct vz_slice text,
                                    const struct vz_zone *zone, int64_t now_ms,
                                    struct vz_instant *out, struct vz_error *err)
{
    for (const struct vz_date_format *f = format; f; f = f->next)
        if (parse_one(f, text, zone, now_ms, out))
            return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT, "unable to parse date [%.*s]", VZ_S(text));
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_offset(struct vz_buf *out, int32_t offset_s, int count, char letter)
{
    int32_t a = abs(offset_s);
    if (letter == 'X' && offset_s == 0) {
        vz_buf_append_char(out, 'Z');
        return;
    }
    vz_buf_printf(out, "%c%02d", offset_s < 0 ? '-' : '+', a / 3600);
    if (count == 1 && letter != 'Z' && a % 3600 == 0)
        return;
    bool colon = letter == 'Z' ? count == 5 : count == 3 || count == 5;
    vz_buf_printf(out, "%s%02d", colon ? ":" : "", a / 60 % 60);
}

struct parts_of_day {
    int year, month, day, weekday, hour, minute, second;
};

static bool print_letter(const struct date_part *part, const struct parts_of_day *t,
                         const struct vz_instant *instant, struct vz_buf *out)
{
    int n = part->count, value = -1;
    switch (part->letter) {
    case 'y':
    case 'u':
        value = n == 2 ? t->year % 100 : t->year;
        break;
    case 'M':
    case 'L':
        if (n >= 3) {
            vz_buf_printf(out, "%.*s", n == 3 ? 3 : 20, months[t->month - 1]);
            return true;
        }
        value = t->month;
        break;
    case 'd':
        value = t->day;
        break;
    case 'D':
        value = (int)(vz_days_from_civil(t->year, t->month, t->day) -
                      vz_days_from_civil(t->year, 1, 1)) +
                1;
        break;
    case 'H':
        value = t->hour;
        break;
    case 'k':
        value = t->hour ? t->hour : 24;
        break;
    case 'K':
        value = t->hour % 12;
        break;
    case 'h':
        value = t->hour % 12 ? t->hour % 12 : 12;
        break;
    case 'm':
        value = t->minute;
        break;
    case 's':
        value = t->second;
        break;
    case 'n':
        value = instant->nanos;
        break;
    case 'S': {
        char digits[16];
        snprintf(digits, sizeof digits, "%09d", instant->nanos);
        vz_buf_append(out, digits, (size_t)n);
        return true;
    }
    case 'a':
        vz_buf_append_str(out, t->hour < 12 ? "AM" : "PM");
        return true;
    case 'E':
        vz_buf_printf(out, "%.*s", n <= 3 ? 3 : 20, days[t->weekday]);
        return true;
    case 'Z':
    case 'X':
    case 'x':
        print_offset(out, instant->offset_s, n, part->letter);
        return true;
    default:
        return false;
    }
    vz_buf_printf(out, "%0*d", n, value);
    return true;
}

enum vz_status vz_date_format_print(const struct vz_date_format *format,
                                    const struct vz_instant *instant, const struct vz_zone *zone,
                                    struct vz_buf *out, struct vz_error *err)
{
    struct parts_of_day t;
    int64_t local = instant->seconds + instant->offset_s;
    int64_t in_day = (local % 86400 + 86400) % 86400, day = (local - in_day) / 86400;
    vz_civil_from_days(day, &t.year, &t.month, &t.day);
    t.weekday = (int)((day % 7 + 11) % 7);
    t.hour = (int)(in_day / 3600);
    t.minute = (int)(in_day / 60 % 60);
    t.second = (int)(in_day % 60);
    if (format->kind == UNIX || format->kind == UNIX_MS) {
        vz_buf_printf(out, "%lld",
                      (long long)(format->kind == UNIX
                                      ? instant->seconds
                                      : instant->seconds * 1000 + instant->nanos / 1000000));
        return VZ_OK;
    }
    if (format->kind != PATTERN) {
        vz_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03d", t.year, t.month, t.day, t.hour,
                      t.minute, t.second, instant->nanos / 1000000);
        print_offset(out, instant->offset_s, 3, 'X');
        return VZ_OK;
    }
    for (int i = 0; i < format->count; i++) {
        const struct date_part *part = &format->parts[i];
        if (part->letter == '[' || part->letter == ']')
            continue;
        if (!part->letter)
            vz_buf_append_slice(out, part->text);
        else if (!print_letter(part, &t, instant, out))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "the pattern letter [%c] is not supported in an output format",
                           part->letter);
    }
    return VZ_OK;
}
