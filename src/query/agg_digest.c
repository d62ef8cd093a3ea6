/* Figures that need all values: percentiles, ranks, boxplot, the median's deviation; and string
 * statistics.
 *
 * Values are kept by owner and interpolated between the two nearest ranks, which is what
 * Elasticsearch's digest gives for few values; for many it is exact where the digest is near. A rank
 * among many is found without sorting: values are counted in buckets of equal width, and only the
 * buckets that a rank lies in are sorted. Where nearly all fall into one bucket, they are sorted.
 */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 16384
#define MANY 65536

static bool reserve_list(struct vz_agg_node *node, uint32_t owner, size_t more)
{
    if (!vz_agg_grow(node->run, (void **)&node->lists, &node->list_capacity, sizeof *node->lists,
                     owner))
        return false;
    struct vz_agg_list *list = &node->lists[owner];
    if (list->count + more <= list->capacity)
        return true;
    size_t capacity = VZ_MAX(list->count + more, list->capacity * 2);
    if (!node->parent && list->capacity == 0 && more > VZ_AGG_BLOCK / 2)
        capacity = VZ_MAX(capacity, (size_t)node->run->last->limit);
    if (!vz_agg_more(node->run, (capacity - list->capacity) * sizeof(double)))
        return false;
    list->items = vz_realloc(list->items, capacity * sizeof(double));
    list->capacity = capacity;
    return true;
}

void vz_agg_take_digest(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t from, to;
    if (values->dense && !block->owners) {
        if (reserve_list(node, 0, block->count)) {
            vz_agg_gather(values, block, node->lists[0].items + node->lists[0].count);
            node->lists[0].count += block->count;
        }
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, block->docs[i], &from, &to);
        if ((!some && !values->has_missing) || !reserve_list(node, owner, some ? to - from : 1))
            continue;
        struct vz_agg_list *list = &node->lists[owner];
        if (!some)
            list->items[list->count++] = values->missing_number;
        for (size_t e = from; e < to; e++)
            list->items[list->count++] = vz_agg_number(values, e);
    }
}

/* ---- ranks -------------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double between(const double *sorted, size_t count, double rank)
{
    size_t low = (size_t)rank, high = VZ_MIN(low + 1, count - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (rank - (double)low);
}

static double rank_of(size_t count, double percent)
{
    return percent / 100 * (double)(count - 1);
}

struct slots {
    double low, scale;
    uint32_t counts[SLOTS];  /* then where each begins */
    uint32_t wanted[SLOTS];  /* where its values go, plus 1; 0: nowhere */
};

static inline size_t slot_of(const struct slots *s, double value)
{
    double at = (value - s->low) * s->scale;
    return at >= SLOTS - 1 ? SLOTS - 1 : (size_t)at;
}

/* Brings what is needed for the ranks into order: picked[] sorted, `starts` by slot. False when
 * that would be nearly all. */
static bool pick(const double *items, size_t count, const double *ranks, size_t rank_count,
                 struct slots *s, double **picked)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = items[i] < low ? items[i] : low;
        high = items[i] > high ? items[i] : high;
    }
    *s = (struct slots){.low = low, .scale = (SLOTS - 1) / (high - low)};
    if (!isfinite(s->scale) || !isfinite(low))
        return false;
    for (size_t i = 0; i < count; i++)
        s->counts[slot_of(s, items[i])]++;
    uint32_t begin = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        uint32_t here = s->counts[i];
        s->counts[i] = begin;
        begin += here;
    }
    size_t total = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        uint32_t end = i + 1 < SLOTS ? s->counts[i + 1] : (uint32_t)count;
        bool needed = false;
        for (size_t r = 0; r < rank_count && !needed; r++) {
            size_t first = (size_t)ranks[r], second = VZ_MIN(first + 1, count - 1);
            needed = (first >= s->counts[i] && first < end) ||
                     (second >= s->counts[i] && second < end);
        }
        if (!needed || end == s->counts[i])
            continue;
        s->wanted[i] = (uint32_t)total + 1;
        total += end - s->counts[i];
    }
    if (total > count / 4)
        return false;
    double *out = *picked = vz_alloc((total + 1) * sizeof(double));
    uint32_t *at = vz_alloc(SLOTS * sizeof *at);
    memcpy(at, s->wanted, SLOTS * sizeof *at);
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(s, items[i]);
        if (at[slot])
            out[at[slot]++ - 1] = items[i];
    }
    for (size_t i = 0; i < SLOTS; i++)
        if (at[i])
            qsort(out + s->wanted[i] - 1, at[i] - s->wanted[i], sizeof(double), by_value);
    free(at);
    return true;
}

static double picked_at(const struct slots *s, const double *picked, size_t place)
{
    size_t low = 0, high = SLOTS; /* the last slot that begins at or before the place */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (s->counts[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return picked[s->wanted[low] - 1 + (place - s->counts[low])];
}

/* Of count > 0 values, which are reordered. */
static void percentiles(double *items, size_t count, const double *percents, size_t n, double *out)
{
    double *ranks = vz_alloc((n + 1) * sizeof *ranks), *picked = NULL;
    struct slots *s = count > MANY && count < UINT32_MAX ? vz_alloc(sizeof *s) : NULL;
    for (size_t i = 0; i < n; i++)
        ranks[i] = rank_of(count, percents[i]);
    if (s && pick(items, count, ranks, n, s, &picked)) {
        for (size_t i = 0; i < n; i++) {
            size_t first = (size_t)ranks[i], second = VZ_MIN(first + 1, count - 1);
            double a = picked_at(s, picked, first), b = picked_at(s, picked, second);
            out[i] = a + (b - a) * (ranks[i] - (double)first);
        }
    } else {
        qsort(items, count, sizeof *items, by_value);
        for (size_t i = 0; i < n; i++)
            out[i] = between(items, count, ranks[i]);
    }
    free(picked);
    free(ranks);
    free(s);
}

double vz_agg_percentile(double *items, size_t count, double percent)
{
    double out;
    percentiles(items, count, &percent, 1, &out);
    return out;
}

static struct vz_agg_list list_of(const struct vz_agg_node *node, uint32_t owner)
{
    return owner < node->list_capacity ? node->lists[owner] : (struct vz_agg_list){0};
}

static double rank_percent(struct vz_agg_list list, double value)
{
    size_t below = 0;
    for (size_t i = 0; i < list.count; i++)
        below += list.items[i] <= value;
    return 100.0 * (double)below / (double)list.count;
}

static double median_deviation(struct vz_agg_list list)
{
    double median = vz_agg_percentile(list.items, list.count, 50);
    double *off = vz_alloc(list.count * sizeof *off);
    for (size_t i = 0; i < list.count; i++)
        off[i] = fabs(list.items[i] - median);
    double out = vz_agg_percentile(off, list.count, 50);
    free(off);
    return out;
}

enum box { BOX_MIN, BOX_MAX, BOX_Q1, BOX_Q2, BOX_Q3, BOX_LOWER, BOX_UPPER, BOX_PARTS };
static const char *const box_names[BOX_PARTS] = {"min", "max", "q1", "q2", "q3", "lower", "upper"};

static void boxplot(struct vz_agg_list list, double out[BOX_PARTS])
{
    static const double quarters[] = {25, 50, 75};
    for (size_t i = 0; i < BOX_PARTS; i++)
        out[i] = NAN;
    out[BOX_MIN] = INFINITY;
    out[BOX_MAX] = -INFINITY;
    if (list.count == 0)
        return;
    percentiles(list.items, list.count, quarters, 3, &out[BOX_Q1]);
    double reach = 1.5 * (out[BOX_Q3] - out[BOX_Q1]);
    double lowest = out[BOX_Q1] - reach, highest = out[BOX_Q3] + reach;
    out[BOX_LOWER] = INFINITY;
    out[BOX_UPPER] = -INFINITY;
    for (size_t i = 0; i < list.count; i++) {
        double value = list.items[i];
        out[BOX_MIN] = VZ_MIN(out[BOX_MIN], value);
        out[BOX_MAX] = VZ_MAX(out[BOX_MAX], value);
        if (value >= lowest && value < out[BOX_LOWER])
            out[BOX_LOWER] = value;
        if (value <= highest && value > out[BOX_UPPER])
            out[BOX_UPPER] = value;
    }
}

/* ---- strings -----------------------------------------------------------------------------------
 *
 * Counted by value as terms are; what is known of the values is worked out when printing. */

void vz_agg_take_strings(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        int64_t *keys;
        size_t count = vz_agg_keys(&node->values[0], block->docs[i], &keys);
        for (size_t k = 0; k < count; k++) {
            uint32_t bucket = vz_agg_bucket(node, owner, keys[k]);
            if (bucket != VZ_AGG_NOTHING)
                node->counts[bucket]++;
        }
    }
}

struct letter {
    uint32_t letter;
    uint64_t count;
};
struct letters {
    struct letter *items;
    size_t count, capacity;
    uint64_t values, units, total, least, most;
};

static int by_letter(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    return x->letter < y->letter ? -1 : x->letter > y->letter;
}

static int by_count(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return by_letter(a, b);
}

static void merge_letters(struct letters *l)
{
    size_t kept = 0;
    if (!l->count)
        return;
    qsort(l->items, l->count, sizeof *l->items, by_letter);
    for (size_t i = 1; i < l->count; i++) {
        if (l->items[i].letter == l->items[kept].letter)
            l->items[kept].count += l->items[i].count;
        else
            l->items[++kept] = l->items[i];
    }
    l->count = kept + 1;
}

static void add_text(struct letters *l, struct vz_slice text, uint64_t times)
{
    uint64_t units = 0;
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        uint32_t letter = c < 0x80 ? c : c & (0xFFu >> (len + 1));
        for (size_t k = 1; k < len && i + k < text.len; k++)
            letter = letter << 6 | ((unsigned char)text.ptr[i + k] & 0x3F);
        i += len;
        units += letter > 0xFFFF ? 2 : 1;
        if (l->count == l->capacity) {
            merge_letters(l);
            if (l->count * 2 >= l->capacity) {
                l->capacity = l->capacity * 2 + 256;
                l->items = vz_realloc(l->items, l->capacity * sizeof *l->items);
            }
        }
        l->items[l->count++] = (struct letter){letter, times};
        l->total += times;
    }
    l->values += times;
    l->units += units * times;
    l->least = VZ_MIN(l->least, units);
    l->most = VZ_MAX(l->most, units);
}

static void count_letters(struct vz_agg_node *node, uint32_t owner, struct letters *l)
{
    uint32_t *buckets;
    size_t count = vz_agg_buckets_of(node, owner, &buckets);
    *l = (struct letters){.least = UINT64_MAX};
    for (size_t i = 0; i < count; i++)
        add_text(l, vz_agg_term(&node->values[0], vz_agg_key_at(node, buckets[i])),
                 node->counts[buckets[i]]);
    merge_letters(l);
}

static double entropy(const struct letters *l)
{
    double sum = 0;
    for (size_t i = 0; i < l->count; i++) {
        double p = (double)l->items[i].count / (double)l->total;
        sum -= p * log2(p);
    }
    return sum;
}

static void put_letter(uint32_t letter, struct vz_json_writer *w)
{
    char text[5];
    size_t len = 0;
    if (letter < 0x80) {
        text[len++] = (char)letter;
    } else if (letter < 0x800) {
        text[len++] = (char)(0xC0 | letter >> 6);
        text[len++] = (char)(0x80 | (letter & 0x3F));
    } else if (letter < 0x10000) {
        text[len++] = (char)(0xE0 | letter >> 12);
        text[len++] = (char)(0x80 | (letter >> 6 & 0x3F));
        text[len++] = (char)(0x80 | (letter & 0x3F));
    } else {
        text[len++] = (char)(0xF0 | letter >> 18);
        text[len++] = (char)(0x80 | (letter >> 12 & 0x3F));
        text[len++] = (char)(0x80 | (letter >> 6 & 0x3F));
        text[len++] = (char)(0x80 | (letter & 0x3F));
    }
    vz_json_key_slice(w, (struct vz_slice){text, len});
}

void vz_agg_print_strings(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    struct letters l;
    count_letters(node, owner, &l);
    bool some = l.values > 0;
    vz_json_field_int(w, "count", (int64_t)l.values);
    const char *const names[] = {"min_length", "max_length"};
    for (size_t i = 0; i < 2; i++) {
        vz_json_key(w, names[i]);
        if (some)
            vz_json_put_int(w, (int64_t)(i ? l.most : l.least));
        else
            vz_json_put_null(w);
    }
    vz_agg_put_number(w, "avg_length", some, (double)l.units / (double)l.values);
    vz_json_field_double(w, "entropy", some ? entropy(&l) : 0);
    if (node->agg->show_distribution) {
        if (l.count)
            qsort(l.items, l.count, sizeof *l.items, by_count);
        vz_json_key(w, "distribution");
        vz_json_begin_object(w);
        for (size_t i = 0; i < l.count; i++) {
            put_letter(l.items[i].letter, w);
            vz_json_put_double(w, (double)l.items[i].count / (double)l.total);
        }
        vz_json_end_object(w);
    }
    free(l.items);
}

/* ---- what comes out ----------------------------------------------------------------------------
 */

bool vz_agg_digest_value(struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                         double *out)
{
    struct vz_agg_list list = list_of(node, owner);
    enum vz_agg_kind kind = node->agg->kind;
    char copy[40] = {0}, *end;
    if (kind == VZ_AGG_STRING_STATS) {
        struct letters l;
        count_letters(node, owner, &l);
        bool some = l.values > 0;
        *out = vz_slice_is(property, "count")        ? (double)l.values
               : !some                               ? NAN
               : vz_slice_is(property, "min_length") ? (double)l.least
               : vz_slice_is(property, "max_length") ? (double)l.most
               : vz_slice_is(property, "avg_length") ? (double)l.units / (double)l.values
                                                     : entropy(&l);
        free(l.items);
        return vz_slice_is(property, "count") || vz_slice_is(property, "min_length") ||
               vz_slice_is(property, "max_length") || vz_slice_is(property, "avg_length") ||
               vz_slice_is(property, "entropy");
    }
    if (kind == VZ_AGG_MEDIAN_DEVIATION) {
        *out = list.count ? median_deviation(list) : NAN;
        return property.len == 0 || vz_slice_is(property, "value");
    }
    if (kind == VZ_AGG_BOXPLOT) {
        double box[BOX_PARTS];
        boxplot(list, box);
        for (size_t i = 0; i < BOX_PARTS; i++)
            if (vz_slice_is(property, box_names[i])) {
                *out = box[i];
                return true;
            }
        return false;
    }
    if (property.len == 0 || property.len >= sizeof copy)
        return false;
    memcpy(copy, property.ptr, property.len);
    double wanted = strtod(copy, &end);
    if (*end || !isfinite(wanted))
        return false;
    if (kind == VZ_AGG_PERCENTILE_RANKS)
        *out = list.count ? rank_percent(list, wanted) : NAN;
    else if (wanted < 0 || wanted > 100)
        return false;
    else
        *out = list.count ? vz_agg_percentile(list.items, list.count, wanted) : NAN;
    return true;
}

static void print_percentiles(struct vz_agg_node *node, struct vz_agg_list list,
                              struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    bool keyed = !agg->has_keyed || agg->keyed, ranks = agg->kind == VZ_AGG_PERCENTILE_RANKS;
    double *out = vz_calloc(agg->percent_count + 1, sizeof *out);
    if (list.count && !ranks)
        percentiles(list.items, list.count, agg->percents, agg->percent_count, out);
    vz_json_key(w, "values");
    if (keyed)
        vz_json_begin_object(w);
    else
        vz_json_begin_array(w);
    for (size_t i = 0; i < agg->percent_count; i++) {
        char key[32], text_key[64];
        struct vz_buf text = {0};
        double value = !list.count ? NAN : ranks ? rank_percent(list, agg->percents[i]) : out[i];
        vz_query_number(agg->percents[i], key);
        snprintf(text_key, sizeof text_key, "%s_as_string", key);
        if (!keyed) {
            vz_json_begin_object(w);
            vz_json_field_double(w, "key", agg->percents[i]);
        }
        vz_agg_put_number(w, keyed ? key : "value", !isnan(value), value);
        if (!isnan(value) && vz_agg_number_text(&node->values[0], value, &text))
            vz_json_field_string(w, keyed ? text_key : "value_as_string", vz_buf_slice(&text));
        vz_buf_deinit(&text);
        if (!keyed)
            vz_json_end_object(w);
    }
    if (keyed)
        vz_json_end_object(w);
    else
        vz_json_end_array(w);
    free(out);
}

void vz_agg_print_digest(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    struct vz_agg_list list = list_of(node, owner);
    struct vz_buf text = {0};
    if (node->agg->kind == VZ_AGG_MEDIAN_DEVIATION) {
        double value = list.count ? median_deviation(list) : NAN;
        vz_agg_put_number(w, "value", list.count > 0, value);
        if (list.count && vz_agg_number_text(&node->values[0], value, &text))
            vz_json_field_string(w, "value_as_string", vz_buf_slice(&text));
        vz_buf_deinit(&text);
    } else if (node->agg->kind == VZ_AGG_BOXPLOT) {
        double box[BOX_PARTS];
        boxplot(list, box);
        for (size_t i = 0; i < BOX_PARTS; i++)
            vz_agg_put_number(w, box_names[i], true, box[i]);
    } else {
        print_percentiles(node, list, w);
    }
}
