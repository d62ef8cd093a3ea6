/* Dates: milliseconds since 1970 in UTC, with the methods of ZonedDateTime and Instant. */
#include "script/parts.h"

#include "base/clock.h"

#include <stdio.h>

#define DAY_MS 86400000ll

struct parts {
    int year, month, day, hour, minute, second, ms;
    int64_t days;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct parts split(int64_t ms)
{
    struct parts out;
    out.days = floor_div(ms, DAY_MS);
    int64_t rest = ms - out.days * DAY_MS;
    vz_civil_from_days(out.days, &out.year, &out.month, &out.day);
    out.hour = (int)(rest / 3600000);
    out.minute = (int)(rest / 60000 % 60);
    out.second = (int)(rest / 1000 % 60);
    out.ms = (int)(rest % 1000);
    return out;
}

void vz_date_text(int64_t ms, struct vz_buf *out)
{
    struct parts p = split(ms);
    vz_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", p.year, p.month, p.day, p.hour,
                  p.minute, p.second, p.ms);
}

static bool digits(struct vz_slice *text, size_t count, int *out)
{
    if (text->len < count)
        return false;
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9')
            return false;
        *out = *out * 10 + (text->ptr[i] - '0');
    }
    text->ptr += count;
    text->len -= count;
    return true;
}

static bool sign(struct vz_slice *text, char c)
{
    if (!text->len || *text->ptr != c)
        return false;
    text->ptr++;
    text->len--;
    return true;
}

static bool read_zone(struct vz_slice *text, int64_t *ms)
{
    int hours, minutes = 0;
    if (text->len == 0 || sign(text, 'Z'))
        return true;
    bool west = *text->ptr == '-';
    if (!sign(text, '+') && !sign(text, '-'))
        return false;
    if (!digits(text, 2, &hours))
        return false;
    sign(text, ':');
    if (text->len && !digits(text, 2, &minutes))
        return false;
    *ms += (west ? 1 : -1) * (hours * 3600000ll + minutes * 60000ll);
    return true;
}

bool vz_date_read(struct vz_slice text, int64_t *ms)
{
    int year, month = 1, day = 1, hour = 0, minute = 0, second = 0, milli = 0;
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!digits(&text, 4, &year))
        return false;
    if (sign(&text, '-') && (!digits(&text, 2, &month) || month < 1 || month > 12))
        return false;
    if (sign(&text, '-') && (!digits(&text, 2, &day) || day < 1 || day > lengths[month - 1]))
        return false;
    if (sign(&text, 'T')) {
        if (!digits(&text, 2, &hour) || hour > 23)
            return false;
        if (sign(&text, ':') && (!digits(&text, 2, &minute) || minute > 59))
            return false;
        if (sign(&text, ':') && (!digits(&text, 2, &second) || second > 59))
            return false;
        if (sign(&text, '.') || sign(&text, ',')) {
            int unit = 100;
            if (!text.len || *text.ptr < '0' || *text.ptr > '9')
                return false;
            for (; text.len && *text.ptr >= '0' && *text.ptr <= '9'; text.ptr++, text.len--) {
                milli += (*text.ptr - '0') * unit;
                unit /= 10;
            }
        }
    }
    *ms = vz_days_from_civil(year, month, day) * DAY_MS + hour * 3600000ll + minute * 60000ll +
          second * 1000ll + milli;
    return read_zone(&text, ms) && text.len == 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *const weekdays[] = {"MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                       "FRIDAY", "SATURDAY", "SUNDAY"};
static const char *const months[] = {"JANUARY",   "FEBRUARY", "MARCH",    "APRIL",
                                     "MAY",       "JUNE",     "JULY",     "AUGUST",
                                     "SEPTEMBER", "OCTOBER",  "NOVEMBER", "DECEMBER"};
static const struct {
    const char *name;
    int64_t ms; /* 0: months */
    int64_t months;
} units[] = {
    {"MILLIS", 1, 0},    {"SECONDS", 1000, 0},     {"MINUTES", 60000, 0}, {"HOURS", 3600000, 0},
    {"DAYS", DAY_MS, 0}, {"WEEKS", 7 * DAY_MS, 0}, {"MONTHS", 0, 1},      {"YEARS", 0, 12},
};

const char *vz_weekday_name(int64_t day)
{
    return weekdays[(day - 1) % 7];
}

const char *vz_month_name(int64_t month)
{
    return months[(month - 1) % 12];
}

const char *vz_unit_name(int64_t unit)
{
    return units[unit].name;
}

bool vz_unit_find(struct vz_slice name, int64_t *unit)
{
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++) {
        if (vz_slice_is(name, units[i].name)) {
            *unit = (int64_t)i;
            return true;
        }
    }
    return false;
}

/* ---- methods --------------------------------------------------------------------------------- */

static int64_t add_months(int64_t ms, int64_t count)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct parts p = split(ms);
    int64_t month = p.year * 12ll + p.month - 1 + count;
    int year = (int)floor_div(month, 12), of_year = (int)(month - year * 12ll);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = lengths[of_year] + (of_year == 1 && leap);
    int64_t days = vz_days_from_civil(year, of_year + 1, VZ_MIN(p.day, last));
    return days * DAY_MS + (ms - p.days * DAY_MS);
}

static bool add(struct vz_machine *vm, struct vz_cell *args, int64_t count, const char *unit_name,
                struct vz_cell *out)
{
    int64_t unit = 0, sum;
    vz_unit_find(vz_slice_from(unit_name), &unit);
    if (units[unit].ms) {
        if (__builtin_mul_overflow(count, units[unit].ms, &count) ||
            __builtin_add_overflow(args[0].integer, count, &sum))
            return vz_machine_fail(vm, "arithmetic_exception", "long overflow");
    } else {
        const int64_t far = 300000000000000000; /* nine million years */
        if (count > 12000000 || count < -12000000 || args[0].integer > far ||
            args[0].integer < -far)
            return vz_machine_fail(vm, "arithmetic_exception", "long overflow");
        sum = add_months(args[0].integer, count * units[unit].months);
    }
    *out = (struct vz_cell){.tag = VZ_CELL_DATE, .integer = sum};
    return true;
}

#define ADDING(unit, name)                                                                         \
    static bool plus_##name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,            \
                            struct vz_cell *out)                                                   \
    {                                                                                              \
        (void)argc;                                                                                \
        return vz_convert(vm, VZ_TYPE_LONG, false, &args[1]) &&                                    \
               add(vm, args, args[1].integer, unit, out);                                          \
    }                                                                                              \
    static bool minus_##name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,           \
                             struct vz_cell *out)                                                  \
    {                                                                                              \
        (void)argc;                                                                                \
        return vz_convert(vm, VZ_TYPE_LONG, false, &args[1]) &&                                    \
               add(vm, args, (int64_t)(0 - (uint64_t)args[1].integer), unit, out);                 \
    }
ADDING("MILLIS", millis)
ADDING("SECONDS", seconds)
ADDING("MINUTES", minutes)
ADDING("HOURS", hours)
ADDING("DAYS", days)
ADDING("WEEKS", weeks)
ADDING("MONTHS", months)
ADDING("YEARS", years)

#define PART(name, expression)                                                                     \
    static bool name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,                   \
                     struct vz_cell *out)                                                          \
    {                                                                                              \
        struct parts p = split(args[0].integer);                                                   \
        (void)vm;                                                                                  \
        (void)argc;                                                                                \
        *out = vz_cell_int(expression);                                                            \
        return true;                                                                               \
    }
PART(year, p.year)
PART(month_value, p.month)
PART(day_of_month, p.day)
PART(day_of_year, p.days - vz_days_from_civil(p.year, 1, 1) + 1)
PART(hour, p.hour)
PART(minute, p.minute)
PART(second, p.second)
PART(nano, p.ms * 1000000)

/* Monday is 1; 1970-01-01 was a Thursday. */
static bool weekday(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    int64_t days = floor_div(args[0].integer, DAY_MS) + 3;
    (void)vm;
    (void)argc;
    *out = (struct vz_cell){.tag = VZ_CELL_WEEKDAY, .integer = days - floor_div(days, 7) * 7 + 1};
    return true;
}

static bool month(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)vm;
    (void)argc;
    *out = (struct vz_cell){.tag = VZ_CELL_MONTH, .integer = split(args[0].integer).month};
    return true;
}

static bool itself(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)vm;
    (void)argc;
    *out = args[0];
    return true;
}

static bool millis(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)vm;
    (void)argc;
    *out = vz_cell_long(args[0].integer);
    return true;
}

static bool seconds(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)vm;
    (void)argc;
    *out = vz_cell_long(floor_div(args[0].integer, 1000));
    return true;
}

static bool number_of(struct vz_machine *vm, struct vz_cell *args, unsigned argc,
                      struct vz_cell *out)
{
    (void)vm;
    (void)argc;
    *out = vz_cell_int(args[0].integer);
    return true;
}

static bool need_date(struct vz_machine *vm, const struct vz_cell *cell)
{
    return cell->tag == VZ_CELL_DATE ||
           vz_machine_fail(vm, "class_cast_exception",
                           "Cannot cast from [%s] to [java.time.ZonedDateTime].",
                           vz_cell_type_name(cell));
}

static bool before(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)argc;
    *out = vz_cell_bool(args[0].integer < args[1].integer);
    return need_date(vm, &args[1]);
}

static bool after(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)argc;
    *out = vz_cell_bool(args[0].integer > args[1].integer);
    return need_date(vm, &args[1]);
}

static bool compare_to(struct vz_machine *vm, struct vz_cell *args, unsigned argc,
                       struct vz_cell *out)
{
    (void)argc;
    *out = vz_cell_int((args[0].integer > args[1].integer) - (args[0].integer < args[1].integer));
    return need_date(vm, &args[1]);
}

/* Whole units from one date to another. */
static bool between(struct vz_machine *vm, struct vz_cell *args, unsigned argc, struct vz_cell *out)
{
    (void)argc;
    if (!need_date(vm, &args[1]) || !need_date(vm, &args[2]))
        return false;
    int64_t from = args[1].integer, to = args[2].integer, unit = args[0].integer, passed;
    if (units[unit].ms) {
        if (__builtin_sub_overflow(to, from, &passed))
            return vz_machine_fail(vm, "arithmetic_exception", "long overflow");
        *out = vz_cell_long(passed / units[unit].ms);
        return true;
    }
    struct parts a = split(from), b = split(to);
    passed = (b.year - a.year) * 12ll + b.month - a.month;
    if (passed > 0 && add_months(from, passed) > to)
        passed--;
    if (passed < 0 && add_months(from, passed) < to)
        passed++;
    *out = vz_cell_long(passed / units[unit].months);
    return true;
}

#define DATE VZ_MASK(VZ_CELL_DATE)
const struct vz_method vz_methods_date[] = {
    {"getYear", DATE, 0, 0, year},
    {"getMonthValue", DATE, 0, 0, month_value},
    {"getMonth", DATE, 0, 0, month},
    {"getDayOfMonth", DATE, 0, 0, day_of_month},
    {"getDayOfYear", DATE, 0, 0, day_of_year},
    {"getDayOfWeek", DATE, 0, 0, weekday},
    {"getDayOfWeekEnum", DATE, 0, 0, weekday},
    {"getHour", DATE, 0, 0, hour},
    {"getMinute", DATE, 0, 0, minute},
    {"getSecond", DATE, 0, 0, second},
    {"getNano", DATE, 0, 0, nano},
    {"getMillis", DATE, 0, 0, millis},
    {"toInstant", DATE, 0, 0, itself},
    {"toEpochMilli", DATE, 0, 0, millis},
    {"toEpochSecond", DATE, 0, 0, seconds},
    {"getEpochSecond", DATE, 0, 0, seconds},
    {"isBefore", DATE, 1, 1, before},
    {"isAfter", DATE, 1, 1, after},
    {"compareTo", DATE, 1, 1, compare_to},
    {"plusSeconds", DATE, 1, 1, plus_seconds},
    {"plusMillis", DATE, 1, 1, plus_millis},
    {"plusMinutes", DATE, 1, 1, plus_minutes},
    {"plusHours", DATE, 1, 1, plus_hours},
    {"plusDays", DATE, 1, 1, plus_days},
    {"plusWeeks", DATE, 1, 1, plus_weeks},
    {"plusMonths", DATE, 1, 1, plus_months},
    {"plusYears", DATE, 1, 1, plus_years},
    {"minusSeconds", DATE, 1, 1, minus_seconds},
    {"minusMillis", DATE, 1, 1, minus_millis},
    {"minusMinutes", DATE, 1, 1, minus_minutes},
    {"minusHours", DATE, 1, 1, minus_hours},
    {"minusDays", DATE, 1, 1, minus_days},
    {"minusWeeks", DATE, 1, 1, minus_weeks},
    {"minusMonths", DATE, 1, 1, minus_months},
    {"minusYears", DATE, 1, 1, minus_years},
    {"getValue", VZ_MASK(VZ_CELL_WEEKDAY) | VZ_MASK(VZ_CELL_MONTH), 0, 0, number_of},
    {"between", VZ_MASK(VZ_CELL_UNIT), 2, 2, between},
};
const size_t vz_methods_date_count = VZ_COUNT_OF(vz_methods_date);
