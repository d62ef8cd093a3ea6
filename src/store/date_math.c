/* store/date_math.c - the calendar, and arithmetic on moments: "+1M", "-2d", "/w", always in UTC.
 */
#include "base/clock.h"
#include "store/date_parts.h"

bool vz_is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int vz_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && vz_is_leap_year(year) ? 29 : days[month - 1];
}

void vz_date_split(int64_t ms, int *year, int *month, int *day, int64_t *in_day)
{
    int64_t days = ms / VZ_DAY_MS - (ms % VZ_DAY_MS < 0);
    *in_day = ms - days * VZ_DAY_MS;
    vz_civil_from_days(days, year, month, day);
}

static bool add_months(int64_t *ms, int64_t months)
{
    int year, month, day;
    int64_t in_day;
    if (months > 12 * (int64_t)VZ_MAX_YEAR || months < -12 * (int64_t)VZ_MAX_YEAR)
        return false;
    vz_date_split(*ms, &year, &month, &day, &in_day);
    int64_t total = (int64_t)year * 12 + (month - 1) + months;
    int64_t to_year = total / 12 - (total % 12 < 0);
    if (to_year > VZ_MAX_YEAR || to_year < -VZ_MAX_YEAR)
        return false;
    int to_month = (int)(total - to_year * 12) + 1;
    int to_day = VZ_MIN(day, vz_month_days(to_year, to_month));
    *ms = vz_days_from_civil((int)to_year, to_month, to_day) * VZ_DAY_MS + in_day;
    return true;
}

/* Milliseconds of the units of fixed length; 0 for months and years, -1 for what is no unit. */
static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 'w':
        return 7 * VZ_DAY_MS;
    case 'd':
        return VZ_DAY_MS;
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
    vz_date_split(*ms, &year, &month, &day, &in_day);
    int64_t days = (*ms - in_day) / VZ_DAY_MS;
    if (unit == 'y') {
        *ms = vz_days_from_civil(year, 1, 1) * VZ_DAY_MS;
    } else if (unit == 'M') {
        *ms = vz_days_from_civil(year, month, 1) * VZ_DAY_MS;
    } else if (unit == 'w') {
        int64_t weekday = ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; Monday is 0 */
        *ms = (days - weekday) * VZ_DAY_MS;
    } else {
        *ms -= in_day % unit_ms(unit);
    }
}

#define MATH_LIMIT_MS ((int64_t)1 << 60)

enum vz_status vz_date_math(struct vz_slice math, bool round_up, int64_t *ms, struct vz_error *err)
{
    struct vz_date_reader in = {math.ptr, math.ptr + math.len};
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
        vz_date_digits(&in, 0, 18, &count);
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
