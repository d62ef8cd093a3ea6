/* store/date_print.c - printing moments by the first alternative of a format, in UTC. */
#include "base/clock.h"
#include "store/date_parts.h"

#include <stdlib.h>

struct broken {
    int year, month, day, hour, minute, second, milli, weekday, day_of_year, week_year, week;
};

static struct broken break_down(int64_t ms)
{
    struct broken b;
    int64_t in_day;
    vz_date_split(ms, &b.year, &b.month, &b.day, &in_day);
    int64_t days = (ms - in_day) / VZ_DAY_MS;
    b.hour = (int)(in_day / 3600000);
    b.minute = (int)(in_day / 60000 % 60);
    b.second = (int)(in_day / 1000 % 60);
    b.milli = (int)(in_day % 1000);
    b.weekday = (int)(((days + 3) % 7 + 7) % 7);
    b.day_of_year = (int)(days - vz_days_from_civil(b.year, 1, 1)) + 1;
    /* The ISO week is the one of its Thursday. */
    int month, day;
    int64_t thursday = days - b.weekday + 3;
    vz_civil_from_days(thursday, &b.week_year, &month, &day);
    b.week = (int)(thursday - vz_days_from_civil(b.week_year, 1, 1)) / 7 + 1;
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
    case 'Y':
        vz_buf_printf(out, "%0*d", count, b->week_year);
        break;
    case 'w':
        vz_buf_printf(out, "%0*d", count, b->week);
        break;
    case 'e':
        vz_buf_printf(out, "%d", b->weekday + 1);
        break;
    case 'M':
    case 'L':
        if (count >= 3)
            print_name(vz_month_names[b->month - 1], count > 3, out);
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
        print_name(vz_day_names[b->weekday], count > 3, out);
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
            while ((c = vz_date_literal_char(open, &p, end))) {
                vz_buf_append_char(out, c);
                if (p == open + 2 && c == '\'')
                    break;
            }
        } else if (vz_is_letter(*p)) {
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
    struct vz_slice rest = vz_date_format_or_default(format), one = {0};
    vz_date_next_alternative(&rest, &one);
    if (one.len > VZ_MAX_FORMAT_BYTES)
        one = VZ_SLICE("strict_date_optional_time");
    struct vz_date_format found = vz_date_format_find(one);
    if (found.kind == VZ_DATE_MILLIS) {
        vz_buf_printf(out, "%lld", (long long)ms);
        return;
    }
    if (found.kind == VZ_DATE_SECONDS) {
        int64_t seconds = ms / 1000, rest_ms = llabs(ms % 1000);
        vz_buf_printf(out, "%s%lld", ms < 0 ? "-" : "", llabs(seconds));
        if (rest_ms)
            vz_buf_printf(out, ".%03d", (int)rest_ms);
        return;
    }
    /* Past the years an int of days holds well, print what is nearest. */
    int64_t limit = (int64_t)VZ_MAX_YEAR * 365 * VZ_DAY_MS;
    struct broken b = break_down(VZ_MAX(VZ_MIN(ms, limit), -limit));
    struct vz_slice pattern = found.pattern;
    if (found.kind != VZ_DATE_PATTERN)
        pattern = VZ_SLICE("yyyy-MM-dd'T'HH:mm:ss.SSSX");
    print_pattern(pattern, &b, out);
}
