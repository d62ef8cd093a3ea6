/* Time zones: fixed offsets, and the system's zoneinfo files (RFC 8536) with the rule in their
 * footer. libc's own functions know one zone a process, so the files are read here.
 *
 * A zone found is kept for the life of the process; there are some hundred, and only names that
 * name one are kept. Lock: `mutex` guards the list of zones. */
#include "base/zone.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/strmap.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_ZONES 4096
#define MAX_TRANSITIONS 4000
#define FOLDER "/usr/share/zoneinfo"

/* The day a rule changes the clock: Mm.w.d, Jn or n. */
struct day_rule {
    enum { BY_WEEK, BY_JULIAN, BY_DAY } kind;
    int month, week, day;
    int32_t time_s; /* local time of that day, may be negative or beyond a day */
};

struct vz_zone {
    int64_t *times;   /* transitions, ascending, UTC */
    int32_t *offsets; /* from that transition on */
    size_t count;
    int32_t first; /* before all transitions; the offset of a fixed zone */
    bool has_rule, has_dst;
    int32_t standard, daylight;
    struct day_rule begins, ends;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct vz_strmap zones;

/* ---- the rule of a footer -------------------------------------------------------------------- */

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int32_t *out)
{
    int sign = 1, parts[3] = {0}, n = 0;
    if (**at == '-' || **at == '+')
        sign = *(*at)++ == '-' ? -1 : 1;
    if (!isdigit((unsigned char)**at))
        return false;
    for (;; (*at)++) {
        while (isdigit((unsigned char)**at) && parts[n] < 1000)
            parts[n] = parts[n] * 10 + *(*at)++ - '0';
        if (**at != ':' || ++n == 3)
            break;
    }
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool skip_name(const char **at)
{
    const char *start = *at;
    if (**at == '<') {
        while (**at && **at != '>')
            (*at)++;
        return *(*at)++ == '>';
    }
    while (isalpha((unsigned char)**at))
        (*at)++;
    return *at - start >= 3;
}

static bool read_day(const char **at, struct day_rule *rule)
{
    char *end;
    if (*(*at)++ != ',')
        return false;
    rule->kind = **at == 'M' ? BY_WEEK : **at == 'J' ? BY_JULIAN : BY_DAY;
    if (rule->kind != BY_DAY)
        (*at)++;
    if (rule->kind == BY_WEEK) {
        int used = 0;
        if (sscanf(*at, "%d.%d.%d%n", &rule->month, &rule->week, &rule->day, &used) != 3)
            return false;
        *at += used;
        if (rule->month < 1 || rule->month > 12 || rule->week < 1 || rule->week > 5 ||
            rule->day < 0 || rule->day > 6)
            return false;
    } else {
        rule->day = (int)strtol(*at, &end, 10);
        if (end == *at)
            return false;
        *at = end;
    }
    rule->time_s = 7200;
    if (**at == '/') {
        (*at)++;
        return read_time(at, &rule->time_s);
    }
    return true;
}

/* POSIX TZ: "CET-1CEST,M3.5.0,M10.5.0/3". West is positive there. */
static bool read_rule(struct vz_zone *zone, const char *text)
{
    const char *at = text;
    int32_t west;
    if (!skip_name(&at) || !read_time(&at, &west))
        return false;
    zone->standard = -west;
    zone->has_rule = true;
    if (*at == '\0')
        return true;
    if (!skip_name(&at))
        return false;
    zone->daylight = zone->standard + 3600;
    if (*at != ',' && *at) {
        if (!read_time(&at, &west))
            return false;
        zone->daylight = -west;
    }
    zone->has_dst = read_day(&at, &zone->begins) && read_day(&at, &zone->ends);
    return zone->has_dst;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Seconds since 1970, local, of a rule's moment in a year. */
static int64_t moment(const struct day_rule *rule, int year)
{
    int64_t day;
    if (rule->kind == BY_WEEK) {
        int64_t first = vz_days_from_civil(year, rule->month, 1);
        int weekday = (int)((first % 7 + 11) % 7); /* 1970-01-01 was a Thursday: 4 */
        day = first + (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
        int64_t next = rule->month == 12 ? vz_days_from_civil(year + 1, 1, 1)
                                         : vz_days_from_civil(year, rule->month + 1, 1);
        while (day >= next)
            day -= 7;
    } else {
        int n = rule->day;
        if (rule->kind == BY_JULIAN)
            n += is_leap(year) && n >= 60 ? 0 : -1;
        day = vz_days_from_civil(year, 1, 1) + n;
    }
    return day * 86400 + rule->time_s;
}

static int32_t rule_offset(const struct vz_zone *zone, int64_t utc_s)
{
    int year, month, day;
    if (!zone->has_dst)
        return zone->standard;
    int64_t local = utc_s + zone->standard;
    vz_civil_from_days((local - (local % 86400 + 86400) % 86400) / 86400, &year, &month, &day);
    int64_t on = moment(&zone->begins, year) - zone->standard;
    int64_t off = moment(&zone->ends, year) - zone->daylight;
    bool inside = on < off ? utc_s >= on && utc_s < off : utc_s >= on || utc_s < off;
    return inside ? zone->daylight : zone->standard;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int64_t big_endian(const unsigned char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return bytes == 4 ? (int32_t)value : (int64_t)value;
}

struct block {
    int64_t utc_flags, std_flags, leaps, times, types, chars;
    size_t bytes; /* behind the header */
};

static bool read_header(const unsigned char *p, const unsigned char *end, int width,
                        struct block *block)
{
    if (end - p < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    block->utc_flags = big_endian(p + 20, 4);
    block->std_flags = big_endian(p + 24, 4);
    block->leaps = big_endian(p + 28, 4);
    block->times = big_endian(p + 32, 4);
    block->types = big_endian(p + 36, 4);
    block->chars = big_endian(p + 40, 4);
    if (block->times < 0 || block->times > MAX_TRANSITIONS || block->types < 1 ||
        block->types > 256 || block->leaps < 0 || block->leaps > 100 || block->chars < 0 ||
        block->chars > 4096 || block->utc_flags < 0 || block->utc_flags > 256 ||
        block->std_flags < 0 || block->std_flags > 256)
        return false;
    block->bytes = (size_t)(block->times * (width + 1) + block->types * 6 + block->chars +
                            block->leaps * (width + 4) + block->std_flags + block->utc_flags);
    return (size_t)(end - p) >= 44 + block->bytes;
}

static bool read_file(struct vz_zone *zone, struct vz_slice bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr, *end = p + bytes.len;
    struct block block;
    if (!read_header(p, end, 4, &block) || p[4] < '2')
        return false;
    p += 44 + block.bytes;
    if (!read_header(p, end, 8, &block))
        return false;
    p += 44;
    const unsigned char *kinds = p + block.times * 8, *types = kinds + block.times;
    zone->times = vz_calloc((size_t)block.times + 1, sizeof *zone->times);
    zone->offsets = vz_calloc((size_t)block.times + 1, sizeof *zone->offsets);
    zone->count = (size_t)block.times;
    zone->first = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < zone->count; i++) {
        if (kinds[i] >= block.types)
            return false;
        zone->times[i] = big_endian(p + i * 8, 8);
        zone->offsets[i] = (int32_t)big_endian(types + kinds[i] * 6, 4);
    }
    p += block.bytes;
    char footer[128];
    size_t len = 0;
    for (p++; p < end && *p != '\n' && len + 1 < sizeof footer; p++)
        footer[len++] = (char)*p;
    footer[len] = '\0';
    return len == 0 || read_rule(zone, footer);
}

static struct vz_zone *open_zone(struct vz_slice name)
{
    struct vz_buf path = {0}, bytes = {0};
    struct vz_zone *zone = NULL;
    if (name.len == 0 || name.len > 64 || !isalpha((unsigned char)name.ptr[0]))
        return NULL;
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !strchr("_+-/", name.ptr[i]))
            return NULL;
    vz_buf_printf(&path, FOLDER "/%.*s", (int)name.len, name.ptr);
    if (vz_file_read(path.data, 1 << 20, &bytes, NULL) == VZ_OK) {
        zone = vz_calloc(1, sizeof *zone);
        if (!read_file(zone, vz_buf_slice(&bytes))) {
            free(zone->times);
            free(zone->offsets);
            free(zone);
            zone = NULL;
        }
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&bytes);
    return zone;
}

/* "Z", "UTC", "GMT+2", "+02:00", "-0530", "UTC-03:00". */
static struct vz_zone *fixed_zone(struct vz_slice name)
{
    static const char *const words[] = {"UTC", "GMT", "UT", "Z"};
    struct vz_slice rest = name;
    for (size_t i = 0; i < VZ_COUNT_OF(words); i++)
        if (vz_slice_starts(rest, words[i])) {
            size_t len = strlen(words[i]);
            rest = (struct vz_slice){rest.ptr + len, rest.len - len};
            break;
        }
    int hours = 0, minutes = 0, digits = 0, sign = 1;
    if (rest.len) {
        if (rest.ptr[0] != '+' && rest.ptr[0] != '-')
            return NULL;
        sign = rest.ptr[0] == '-' ? -1 : 1;
        int number = 0;
        for (size_t i = 1; i < rest.len; i++) {
            if (rest.ptr[i] == ':' && digits == 2)
                continue;
            if (!isdigit((unsigned char)rest.ptr[i]) || ++digits > 4)
                return NULL;
            number = number * 10 + rest.ptr[i] - '0';
        }
        if (digits == 0 || digits == 3)
            return NULL;
        hours = digits == 4 ? number / 100 : number;
        minutes = digits == 4 ? number % 100 : 0;
    }
    if (hours > 18 || minutes > 59)
        return NULL;
    struct vz_zone *zone = vz_calloc(1, sizeof *zone);
    zone->first = sign * (hours * 3600 + minutes * 60);
    return zone;
}

const struct vz_zone *vz_zone_find(struct vz_slice name)
{
    uint64_t found = 0;
    struct vz_zone *zone = NULL;
    pthread_mutex_lock(&mutex);
    if (vz_strmap_get(&zones, name, &found)) {
        zone = (struct vz_zone *)(uintptr_t)found;
    } else if (zones.count < MAX_ZONES) {
        zone = fixed_zone(name);
        if (!zone)
            zone = open_zone(name);
        if (zone)
            vz_strmap_put(&zones, name, (uint64_t)(uintptr_t)zone);
    }
    pthread_mutex_unlock(&mutex);
    return zone;
}

int32_t vz_zone_offset(const struct vz_zone *zone, int64_t utc_s)
{
    if (zone->count && utc_s < zone->times[0])
        return zone->first;
    if (zone->has_rule && (!zone->count || utc_s >= zone->times[zone->count - 1]))
        return rule_offset(zone, utc_s);
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->times[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? zone->offsets[low - 1] : zone->first;
}

int32_t vz_zone_offset_local(const struct vz_zone *zone, int64_t local_s)
{
    int32_t before = vz_zone_offset(zone, local_s - 86400 - zone->first);
    int32_t after = vz_zone_offset(zone, local_s + 86400 - zone->first);
    if (before == after || vz_zone_offset(zone, local_s - before) == before)
        return before;
    return vz_zone_offset(zone, local_s - after) == after ? after : before;
}

int64_t vz_zone_next_change(const struct vz_zone *zone, int64_t utc_s)
{
    for (size_t low = 0, high = zone->count; low < high;) {
        size_t middle = (low + high) / 2;
        if (zone->times[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
        if (low == high && low < zone->count)
            return zone->times[low];
    }
    if (!zone->has_rule || !zone->has_dst)
        return INT64_MAX;
    int year, month, day;
    int64_t local = utc_s + zone->standard, best = INT64_MAX;
    vz_civil_from_days((local - (local % 86400 + 86400) % 86400) / 86400, &year, &month, &day);
    for (int y = year - 1; y <= year + 2; y++) {
        int64_t on = moment(&zone->begins, y) - zone->standard;
        int64_t off = moment(&zone->ends, y) - zone->daylight;
        if (on > utc_s && on < best)
            best = on;
        if (off > utc_s && off < best)
            best = off;
    }
    return best;
}

bool vz_zone_is_fixed(const struct vz_zone *zone, int32_t *offset_s)
{
    *offset_s = zone->first;
    return zone->count == 0 && !zone->has_rule;
}
