/* Aggregations that are figures: sums and extremes by owner, distinct values, percentiles.
 *
 * Sums are compensated (Kahan) as Elasticsearch's are. Cardinality counts exactly, in a table of
 * (owner, value); percentiles keep the values and interpolate between the two nearest ranks, which
 * is what Elasticsearch's digest gives for few values. Both are limited by the state's memory.
 */
#include "query/agg.h"

#include "base/strmap.h"

#include <math.h>
#include <stdlib.h>

static bool reserve_metrics(struct vz_agg_node *node, uint32_t owner)
{
    if (owner < node->metric_capacity)
        return true;
    size_t old = node->metric_capacity;
    size_t capacity = VZ_MAX(VZ_MAX(old * 2, (size_t)owner + 1), (size_t)16);
    if (!vz_agg_more(node->run, (capacity - old) * sizeof *node->metrics))
        return false;
    node->metrics = vz_realloc(node->metrics, capacity * sizeof *node->metrics);
    for (size_t i = old; i < capacity; i++)
        node->metrics[i] = (struct vz_agg_metric){.min = INFINITY, .max = -INFINITY};
    node->metric_capacity = capacity;
    return true;
}

static bool reserve_values(struct vz_agg_node *node, uint32_t owner)
{
    if (owner < node->value_capacity)
        return true;
    size_t old = node->value_capacity;
    size_t capacity = VZ_MAX(VZ_MAX(old * 2, (size_t)owner + 1), (size_t)4);
    if (!vz_agg_more(node->run, (capacity - old) * sizeof *node->values))
        return false;
    node->values = vz_realloc(node->values, capacity * sizeof *node->values);
    memset(node->values + old, 0, (capacity - old) * sizeof *node->values);
    node->value_capacity = capacity;
    return true;
}

static void keep_value(struct vz_agg_node *node, uint32_t owner, double value)
{
    if (!reserve_values(node, owner))
        return;
    if (node->values[owner].count == node->values[owner].capacity) {
        size_t old = node->values[owner].capacity, capacity = old * 2 + 16;
        if (!vz_agg_more(node->run, (capacity - old) * sizeof(double)))
            return;
        node->values[owner].items =
            vz_realloc(node->values[owner].items, capacity * sizeof(double));
        node->values[owner].capacity = capacity;
    }
    node->values[owner].items[node->values[owner].count++] = value;
}

static inline void add(struct vz_agg_metric *m, double value)
{
    double corrected = value - m->compensation, sum = m->sum + corrected;
    m->count++;
    m->compensation = isfinite(sum) ? (sum - m->sum) - corrected : 0;
    m->sum = sum;
    m->squares += value * value;
    m->min = VZ_MIN(m->min, value);
    m->max = VZ_MAX(m->max, value);
}

/* One value in each document, and all in one bucket: the common case of a figure beside a search.
 */
static void take_dense(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_metric m = node->metrics[0];
    for (size_t i = 0; i < block->count; i++)
        add(&m, vz_agg_number(node, block->docs[i]));
    node->metrics[0] = m;
}

static void take_numbers(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    bool keep = node->agg->kind == VZ_AGG_PERCENTILES;
    size_t from, to;
    if (!keep && node->dense && !block->owners) {
        if (reserve_metrics(node, 0))
            take_dense(node, block);
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(node, block->docs[i], &from, &to);
        if ((!some && !node->has_missing) || !reserve_metrics(node, owner))
            continue;
        for (size_t e = from; e < to || (!some && e == from); e++) {
            double value = some ? vz_agg_number(node, e) : node->missing_number;
            add(&node->metrics[owner], value);
            if (keep)
                keep_value(node, owner, value);
            if (!some)
                break;
        }
    }
}

/* A keyword's values are a set: one that a document has twice counts once. */
static uint64_t count_entries(const struct vz_agg_node *node, size_t from, size_t to)
{
    uint64_t count = 0;
    if (node->column.kind != VZ_COLUMN_ORDINAL)
        return to - from;
    for (size_t e = from; e < to; e++) {
        bool again = false;
        for (size_t before = from; before < e && !again; before++)
            again = node->column.ordinals[before] == node->column.ordinals[e];
        count += !again;
    }
    return count;
}

static void take_counts(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(node, block->docs[i], &from, &to);
        if ((!some && !node->has_missing) || !reserve_metrics(node, owner))
            continue;
        node->metrics[owner].count += some ? count_entries(node, from, to) : 1;
    }
}

/* Distinct values: what terms would make buckets of, without counting in them. */
static bool see(struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    if ((node->bucket_count + 1) * 2 > node->slot_count) {
        size_t count = VZ_MAX(node->slot_count * 2, (size_t)64), old = node->slot_count;
        if (!vz_agg_more(node->run, (count - old) * (sizeof *node->slots + sizeof *node->keys / 2)))
            return false;
        node->keys = vz_realloc(node->keys, (count / 2 + 1) * sizeof *node->keys);
        free(node->slots);
        node->slots = vz_calloc(count, sizeof *node->slots);
        node->slot_count = count;
        for (size_t i = 0; i < node->bucket_count; i++) {
            uint64_t hash = vz_hash((struct vz_slice){(const char *)&node->keys[i].value, 8},
                                    node->keys[i].owner);
            size_t at = (size_t)hash & (count - 1);
            while (node->slots[at])
                at = (at + 1) & (count - 1);
            node->slots[at] = (uint32_t)i + 1;
        }
    }
    uint64_t hash = vz_hash((struct vz_slice){(const char *)&key, 8}, owner);
    size_t at = (size_t)hash & (node->slot_count - 1);
    for (uint32_t found; (found = node->slots[at]) != 0; at = (at + 1) & (node->slot_count - 1))
        if (node->keys[found - 1].value == key && node->keys[found - 1].owner == owner)
            return false;
    node->keys[node->bucket_count] = (struct vz_agg_key){owner, key};
    node->slots[at] = (uint32_t)++node->bucket_count;
    return true;
}

static void take_cardinality(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(node, block->docs[i], &from, &to);
        if ((!some && !node->has_missing) || !reserve_metrics(node, owner))
            continue;
        for (size_t e = from; e < to; e++)
            node->metrics[owner].count += see(node, owner, vz_agg_term_key(node, e));
        if (!some)
            node->metrics[owner].count += see(node, owner, node->missing);
    }
}

void vz_agg_take_metrics(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    if (!node->field)
        return;
    if (node->agg->kind == VZ_AGG_CARDINALITY)
        take_cardinality(node, block);
    else if (node->agg->kind == VZ_AGG_VALUE_COUNT)
        take_counts(node, block);
    else
        take_numbers(node, block);
}

/* ---- what comes out ----------------------------------------------------------------------------
 */

static struct vz_agg_metric metric_of(const struct vz_agg_node *node, uint32_t owner)
{
    if (owner < node->metric_capacity)
        return node->metrics[owner];
    return (struct vz_agg_metric){.min = INFINITY, .max = -INFINITY};
}

static double variance(const struct vz_agg_metric *m, bool sample)
{
    double n = (double)m->count, squares = m->squares - m->sum * m->sum / n;
    squares = VZ_MAX(squares, 0.0);
    return squares / (sample ? n - 1 : n);
}

/* What stands at `rank` (from 0) of items[from, to) when sorted is moved there, smaller ones before
 * it (quickselect); a range that will not halve is sorted. */
static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void select_rank(double *items, size_t from, size_t to, size_t rank)
{
    for (int turns = 0; to - from > 32; turns++) {
        if (turns > 64)
            break;
        double a = items[from], b = items[from + (to - from) / 2], c = items[to - 1];
        double pivot = VZ_MAX(VZ_MIN(a, b), VZ_MIN(VZ_MAX(a, b), c));
        size_t i = from, j = to - 1;
        for (;;) {
            while (items[i] < pivot)
                i++;
            while (items[j] > pivot)
                j--;
            if (i >= j)
                break;
            double swap = items[i];
            items[i++] = items[j];
            items[j--] = swap;
        }
        size_t middle = j + 1; /* [from, middle) <= pivot <= [middle, to) */
        if (rank < middle)
            to = middle;
        else
            from = middle;
    }
    qsort(items + from, to - from, sizeof *items, by_value);
}

static double percentile(const struct vz_agg_node *node, uint32_t owner, double percent)
{
    size_t count = owner < node->value_capacity ? node->values[owner].count : 0;
    if (count == 0)
        return NAN;
    double *items = node->values[owner].items;
    double rank = percent / 100 * (double)(count - 1);
    size_t low = (size_t)rank, high = VZ_MIN(low + 1, count - 1);
    select_rank(items, 0, count, low);
    select_rank(items, low, count, high);
    return items[low] + (items[high] - items[low]) * (rank - (double)low);
}

double vz_agg_metric_value(const struct vz_agg_node *node, struct vz_slice property, uint32_t owner)
{
    struct vz_agg_metric m = metric_of(node, owner);
    enum vz_agg_kind kind = node->agg->kind;
    if (property.len == 0 || vz_slice_is(property, "value")) {
        switch (kind) {
        case VZ_AGG_MIN:
            return m.min;
        case VZ_AGG_MAX:
            return m.max;
        case VZ_AGG_AVG:
            return m.count ? m.sum / (double)m.count : NAN;
        case VZ_AGG_SUM:
            return m.sum;
        default:
            return (double)m.count;
        }
    }
    if (kind == VZ_AGG_PERCENTILES) {
        char copy[32] = {0};
        memcpy(copy, property.ptr, VZ_MIN(property.len, sizeof copy - 1));
        return percentile(node, owner, strtod(copy, NULL));
    }
    if (vz_slice_is(property, "count"))
        return (double)m.count;
    if (vz_slice_is(property, "sum"))
        return m.sum;
    if (vz_slice_is(property, "min"))
        return m.min;
    if (vz_slice_is(property, "max"))
        return m.max;
    if (vz_slice_is(property, "avg"))
        return m.count ? m.sum / (double)m.count : NAN;
    if (vz_slice_is(property, "sum_of_squares"))
        return m.squares;
    if (vz_slice_is(property, "variance"))
        return variance(&m, false);
    return sqrt(variance(&m, false));
}

static void put_number(struct vz_json_writer *w, const char *key, bool some, double value)
{
    vz_json_key(w, key);
    if (some && isfinite(value))
        vz_json_put_double(w, value);
    else if (some && !isnan(value))
        vz_json_put_str(w, value > 0 ? "Infinity" : "-Infinity");
    else if (some)
        vz_json_put_str(w, "NaN");
    else
        vz_json_put_null(w);
}

/* Dates and what has a format are shown as text, too. */
static void put_text(const struct vz_agg_node *node, struct vz_json_writer *w, const char *key,
                     bool some, double value)
{
    const struct vz_field *field = node->first_field;
    if (!some || !field || field->type != VZ_FIELD_DATE)
        return;
    struct vz_buf text = {0};
    vz_date_print(node->agg->format.len ? node->agg->format : field->format, (int64_t)value, &text);
    vz_json_field_string(w, key, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void print_stats(const struct vz_agg_node *node, const struct vz_agg_metric *m,
                        struct vz_json_writer *w)
{
    bool some = m->count > 0;
    double n = (double)m->count, sigma = node->agg->sigma;
    vz_json_field_int(w, "count", (int64_t)m->count);
    put_number(w, "min", some, m->min);
    put_number(w, "max", some, m->max);
    put_number(w, "avg", some, m->sum / n);
    vz_json_field_double(w, "sum", m->sum);
    if (node->agg->kind == VZ_AGG_EXTENDED_STATS) {
        double all = some ? variance(m, false) : 0, part = some ? variance(m, true) : 0;
        put_number(w, "sum_of_squares", some, m->squares);
        put_number(w, "variance", some, all);
        put_number(w, "variance_population", some, all);
        put_number(w, "variance_sampling", some, m->count > 1 ? part : NAN);
        put_number(w, "std_deviation", some, sqrt(all));
        put_number(w, "std_deviation_population", some, sqrt(all));
        put_number(w, "std_deviation_sampling", some, m->count > 1 ? sqrt(part) : NAN);
        vz_json_key(w, "std_deviation_bounds");
        vz_json_begin_object(w);
        double mean = m->sum / n, d = sqrt(all) * sigma,
               s = m->count > 1 ? sqrt(part) * sigma : NAN;
        put_number(w, "upper", some, mean + d);
        put_number(w, "lower", some, mean - d);
        put_number(w, "upper_population", some, mean + d);
        put_number(w, "lower_population", some, mean - d);
        put_number(w, "upper_sampling", some, mean + s);
        put_number(w, "lower_sampling", some, mean - s);
        vz_json_end_object(w);
    }
    put_text(node, w, "min_as_string", some, m->min);
    put_text(node, w, "max_as_string", some, m->max);
    put_text(node, w, "avg_as_string", some, some ? m->sum / n : 0);
}

static void print_percentiles(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    bool keyed = !agg->has_keyed || agg->keyed;
    vz_json_key(w, "values");
    if (keyed)
        vz_json_begin_object(w);
    else
        vz_json_begin_array(w);
    for (size_t i = 0; i < agg->percent_count; i++) {
        double value = percentile(node, owner, agg->percents[i]);
        char key[32];
        vz_query_number(agg->percents[i], key);
        if (!keyed) {
            vz_json_begin_object(w);
            vz_json_field_double(w, "key", agg->percents[i]);
        }
        put_number(w, keyed ? key : "value", !isnan(value), value);
        if (!keyed)
            vz_json_end_object(w);
    }
    if (keyed)
        vz_json_end_object(w);
    else
        vz_json_end_array(w);
}

void vz_agg_print_metric(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    struct vz_agg_metric m = metric_of(node, owner);
    double value = vz_agg_metric_value(node, (struct vz_slice){0}, owner);
    switch (node->agg->kind) {
    case VZ_AGG_STATS:
    case VZ_AGG_EXTENDED_STATS:
        print_stats(node, &m, w);
        return;
    case VZ_AGG_PERCENTILES:
        print_percentiles(node, owner, w);
        return;
    case VZ_AGG_VALUE_COUNT:
    case VZ_AGG_CARDINALITY:
        vz_json_field_int(w, "value", (int64_t)m.count);
        return;
    case VZ_AGG_SUM:
        vz_json_field_double(w, "value", m.sum);
        return;
    default:
        put_number(w, "value", m.count > 0, value);
        put_text(node, w, "value_as_string", m.count > 0, value);
    }
}
