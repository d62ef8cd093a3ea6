/* Histograms: intervals of numbers, and of calendars in time zones.
 *
 * An interval of a calendar begins where Elasticsearch's Rounding says: a day at local midnight, or
 * at the end of the gap that swallowed it; hours and fixed lengths are cut off in local time, and
 * where the clock changed in between, before the change.
 *
 * Over a whole block of dates with one value each no calendar is asked: the beginnings of all
 * intervals between the column's least and greatest value are worked out once, and a table leads
 * from the top bits of a value to the interval in which they begin; a step or two leads to its own.
 */
#include "query/agg.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

#define DAY_MS 86400000ll
#define MOST_MS 9.2e18       /* of dates; zones and offsets fit beside it */
#define CALENDAR_MS 8.64e17  /* what a calendar with years of 32 bits is asked about */
#define MAX_STEPS 65536
#define TABLE 16384
#define NEAR 16384

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t month_start(int64_t month) /* counted from year 0 */
{
    return vz_days_from_civil((int)floor_div(month, 12),
                              (int)(month - floor_div(month, 12) * 12) + 1, 1) *
           DAY_MS;
}

static int64_t unit_months(enum vz_agg_unit unit)
{
    return unit == VZ_UNIT_MONTH ? 1 : unit == VZ_UNIT_QUARTER ? 3 : 12;
}

/* Of units that are always as long; 0 for months and what is made of them. */
static int64_t unit_ms(const struct vz_agg_interval *interval)
{
    static const int64_t lengths[] = {[VZ_UNIT_SECOND] = 1000,
                                      [VZ_UNIT_MINUTE] = 60000,
                                      [VZ_UNIT_HOUR] = 3600000,
                                      [VZ_UNIT_DAY] = DAY_MS,
                                      [VZ_UNIT_WEEK] = 7 * DAY_MS,
                                      [VZ_UNIT_MONTH] = 0,
                                      [VZ_UNIT_QUARTER] = 0,
                                      [VZ_UNIT_YEAR] = 0};
    return interval->unit == VZ_UNIT_FIXED ? interval->fixed_ms : lengths[interval->unit];
}

/* In local time: the beginning of the interval that holds `ms`. */
static int64_t local_floor(const struct vz_agg_interval *interval, int64_t ms)
{
    int64_t length = unit_ms(interval);
    if (interval->unit == VZ_UNIT_WEEK) /* Monday; 1970-01-01 was a Thursday */
        return (floor_div(floor_div(ms, DAY_MS) + 3, 7) * 7 - 3) * DAY_MS;
    if (length)
        return floor_div(ms, length) * length;
    int year, month, day;
    vz_civil_from_days(floor_div(ms, DAY_MS), &year, &month, &day);
    int64_t step = unit_months(interval->unit), months = year * 12ll + month - 1;
    return month_start(floor_div(months, step) * step);
}

static int64_t local_next(const struct vz_agg_interval *interval, int64_t local)
{
    int64_t length = unit_ms(interval);
    if (length)
        return local + length;
    int year, month, day;
    vz_civil_from_days(floor_div(local, DAY_MS), &year, &month, &day);
    return month_start(year * 12ll + month - 1 + unit_months(interval->unit));
}

static int64_t to_utc(const struct vz_agg_interval *interval, int64_t local)
{
    return local - (int64_t)vz_zone_offset_local(interval->zone, floor_div(local, 1000)) * 1000;
}

static int64_t zoned_floor(const struct vz_agg_interval *interval, int64_t ms, int depth)
{
    int64_t offset = vz_agg_zone_at(interval, ms);
    int64_t local = local_floor(interval, ms + offset), begin = local - offset;
    if (interval->unit >= VZ_UNIT_DAY) /* where midnight comes twice, the first */
        return to_utc(interval, local);
    if (depth > 3 || vz_agg_zone_at(interval, begin) == offset)
        return begin;
    int64_t change = begin / 1000, next; /* the last change of the clock before ms */
    while ((next = vz_zone_next_change(interval->zone, change)) <= floor_div(ms, 1000))
        change = next;
    if (local - vz_agg_zone_at(interval, change * 1000 - 1) >= change * 1000)
        return change * 1000; /* the gap swallowed the beginning */
    return zoned_floor(interval, change * 1000 - 1, depth + 1);
}

int64_t vz_agg_date_floor(const struct vz_agg_interval *interval, int64_t ms)
{
    if (interval->zone && !interval->zone_fixed)
        return zoned_floor(interval, ms - interval->offset_ms, 0) + interval->offset_ms;
    int64_t shift = interval->zone_ms - interval->offset_ms;
    return local_floor(interval, ms + shift) - shift;
}

int64_t vz_agg_date_next(const struct vz_agg_interval *interval, int64_t key)
{
    if (!interval->zone || interval->zone_fixed) {
        int64_t shift = interval->zone_ms - interval->offset_ms;
        return local_next(interval, key + shift) - shift;
    }
    int64_t at = key - interval->offset_ms, length = unit_ms(interval);
    int64_t local = local_next(interval, at + vz_agg_zone_at(interval, at));
    int64_t next = vz_agg_date_floor(interval, to_utc(interval, local) + interval->offset_ms);
    if (length && interval->unit != VZ_UNIT_DAY && interval->unit != VZ_UNIT_WEEK) {
        /* The clock may have been put back: the hours that come twice are intervals, too. */
        int64_t other = vz_agg_date_floor(interval, key + length);
        if (other > key && other < next)
            return other;
    }
    for (int i = 1; next <= key && i < 50; i++)
        next = vz_agg_date_floor(interval, key + i * VZ_MAX(length, DAY_MS));
    return VZ_MAX(next, key + 1);
}

bool vz_agg_interval_key(struct vz_agg_run *run, const struct vz_agg_interval *interval,
                         double value, int64_t *key)
{
    double multiple =
        interval->dates ? value : floor((value - interval->offset) / interval->width);
    double most = !interval->dates                                        ? 9e15
                  : unit_ms(interval) && (!interval->zone || interval->zone_fixed) ? MOST_MS
                                                                          : CALENDAR_MS;
    if (!(fabs(multiple) < most))
        return vz_agg_fail(run, VZ_BAD_ARGUMENT,
                           interval->dates
                               ? "[histogram] a value is too large for the interval"
                               : "[histogram] the interval is too small for the values");
    *key = interval->dates ? vz_agg_date_floor(interval, (int64_t)value) : (int64_t)multiple;
    return true;
}

/* ---- the intervals of a column of dates --------------------------------------------------------
 */

struct vz_agg_steps {
    int64_t low, high; /* of the values */
    int64_t *begins;   /* count of them, and one beyond */
    uint32_t *table;   /* TABLE of them: of low + (place << shift) */
    size_t count;
    unsigned shift;
    bool useless;
};

static void fill_table(struct vz_agg_steps *steps)
{
    uint64_t range = (uint64_t)steps->high - (uint64_t)steps->low;
    uint32_t at = 0;
    while (range >> steps->shift >= TABLE)
        steps->shift++;
    for (uint64_t i = 0; i <= range >> steps->shift; i++) {
        int64_t value = steps->low + (int64_t)(i << steps->shift);
        while (steps->begins[at + 1] <= value)
            at++;
        steps->table[i] = at;
    }
}

static struct vz_agg_steps *open_steps(struct vz_agg_node *node)
{
    const struct vz_column *column = &node->values[0].column;
    const struct vz_agg_interval *interval = &node->agg->source.interval;
    struct vz_agg_steps *steps = vz_calloc(1, sizeof *steps);
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (size_t i = 0; i < column->count; i++) {
        low = VZ_MIN(low, column->i64[i]);
        high = VZ_MAX(high, column->i64[i]);
    }
    steps->low = low;
    steps->high = high;
    steps->useless = (double)low < -CALENDAR_MS || (double)high > CALENDAR_MS;
    size_t capacity = 0;
    for (int64_t at = steps->useless ? 0 : vz_agg_date_floor(interval, low); !steps->useless;) {
        if (steps->count + 2 > capacity) {
            capacity = capacity * 2 + 256;
            steps->begins = vz_realloc(steps->begins, capacity * sizeof *steps->begins);
        }
        int64_t next = vz_agg_date_next(interval, at);
        steps->begins[steps->count++] = at;
        steps->begins[steps->count] = next;
        steps->useless = next <= at || steps->count == MAX_STEPS;
        if (next > high)
            break;
        at = next;
    }
    if (!steps->useless) {
        steps->table = vz_calloc(TABLE, sizeof *steps->table);
        fill_table(steps);
    }
    return steps;
}

void vz_agg_histogram_unbind(struct vz_agg_node *node)
{
    if (node->steps) {
        free(node->steps->begins);
        free(node->steps->table);
        free(node->steps);
    }
    node->steps = NULL;
}

static bool take_steps(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    uint32_t buckets[VZ_AGG_BLOCK];
    if (!values->dense || (!node->steps && block->count < VZ_AGG_BLOCK / 2) ||
        !isinf(node->hard_low) || !isinf(node->hard_high))
        return false;
    if (!node->steps)
        node->steps = open_steps(node);
    const struct vz_agg_steps *steps = node->steps;
    if (steps->useless)
        return false;
    const int64_t *begins = steps->begins, *column = values->column.i64;
    size_t width = steps->count;
    uint32_t *grid = NULL;
    if (!block->owners && node->grid_width == width && node->grid_owners)
        grid = node->grid;
    for (size_t i = 0; i < block->count; i++) {
        int64_t value = column[block->docs[i]];
        uint32_t at = steps->table[((uint64_t)value - (uint64_t)steps->low) >> steps->shift];
        while (begins[at + 1] <= value)
            at++;
        if (grid && grid[at]) {
            buckets[i] = grid[at] - 1;
            continue;
        }
        buckets[i] = vz_agg_small_bucket(node, block->owners ? block->owners[i] : 0, begins[at],
                                         at, width);
        if (buckets[i] == VZ_AGG_NOTHING)
            return true;
        if (!block->owners && node->grid_owners)
            grid = node->grid;
    }
    for (size_t i = 0; i < block->count; i++)
        node->counts[buckets[i]]++;
    vz_agg_hand_on(node, block, buckets);
    return true;
}

/* ---- numbers, one value each -------------------------------------------------------------------
 *
 * Places near the first one lead to their buckets through an array. */

static bool take_near(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    const struct vz_agg_interval *interval = &node->agg->source.interval;
    double numbers[VZ_AGG_BLOCK];
    uint32_t buckets[VZ_AGG_BLOCK];
    if (!node->values[0].dense || !isinf(node->hard_low) || !isinf(node->hard_high))
        return false;
    vz_agg_gather(&node->values[0], block, numbers);
    for (size_t i = 0; i < block->count; i++)
        numbers[i] = (numbers[i] - interval->offset) / interval->width;
    if (!node->has_near) {
        if (!(fabs(numbers[0]) < 9e15))
            return false;
        node->near_base = (int64_t)floor(numbers[0]) - NEAR / 2;
        node->has_near = true;
    }
    for (size_t i = 0; i < block->count; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        if (!(fabs(numbers[i]) < 9e15)) {
            vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                        "[histogram] the interval is too small for the values");
            return true;
        }
        int64_t key = (int64_t)numbers[i];
        key -= (double)key > numbers[i];
        uint64_t small = (uint64_t)key - (uint64_t)node->near_base;
        uint32_t bucket;
        if (small < NEAR && owner < node->grid_owners && node->grid[owner * NEAR + small])
            bucket = node->grid[owner * NEAR + small] - 1;
        else if (small < NEAR)
            bucket = vz_agg_small_bucket(node, owner, key, (uint32_t)small, NEAR);
        else
            bucket = vz_agg_bucket(node, owner, key);
        if (bucket == VZ_AGG_NOTHING)
            return true;
        buckets[i] = bucket;
    }
    for (size_t i = 0; i < block->count; i++)
        node->counts[buckets[i]]++;
    vz_agg_hand_on(node, block, buckets);
    return true;
}

/* ---- any ---------------------------------------------------------------------------------------
 */

static void take_keys(struct vz_agg_node *node, uint32_t docno, uint32_t owner, size_t from,
                      size_t to)
{
    struct vz_agg_values *values = &node->values[0];
    int64_t few[16], *keys = few;
    size_t count = 0;
    if (to - from > VZ_COUNT_OF(few))
        keys = vz_alloc((to - from) * sizeof *keys);
    for (size_t e = from; e < to; e++) {
        double value = vz_agg_number(values, e);
        if (value < node->hard_low || value > node->hard_high)
            continue;
        if (!vz_agg_interval_key(node->run, &node->agg->source.interval, value, &keys[count]))
            break;
        count++;
    }
    count = vz_agg_distinct(keys, count);
    for (size_t k = 0; k < count && node->run->status == VZ_OK; k++)
        vz_agg_count_key(node, docno, owner, keys[k]);
    if (keys != few)
        free(keys);
}

void vz_agg_take_histogram(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_agg_interval *interval = &node->agg->source.interval;
    size_t from, to;
    int64_t key;
    if (interval->dates && values->column.kind == VZ_COLUMN_I64 ? take_steps(node, block)
                                                                : take_near(node, block))
        return;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (vz_agg_entries(values, docno, &from, &to))
            take_keys(node, docno, owner, from, to);
        else if (values->has_missing && values->missing_number >= node->hard_low &&
                 values->missing_number <= node->hard_high &&
                 vz_agg_interval_key(node->run, interval, values->missing_number, &key))
            vz_agg_count_key(node, docno, owner, key);
    }
}
