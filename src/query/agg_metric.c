/* Aggregations that are figures: sums and extremes by owner, counts, distinct values.
 *
 * Sums are compensated (Kahan) as Elasticsearch's are. Over one owner and a column with one value
 * for every document four sums run beside each other, which are then added up in the same way.
 * Cardinality counts exactly: ordinals in a bitset by owner, whole numbers of a small range in
 * another, all else in a table of (owner, value).
 */
#include "query/agg.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>

#define MAX_BITS ((uint64_t)1 << 27) /* of a bitset of whole numbers: 16 MiB */

static bool reserve_metrics(struct vz_agg_node *node, uint32_t owner)
{
    size_t old = node->metric_capacity;
    if (owner < old)
        return true;
    if (!vz_agg_grow(node->run, (void **)&node->metrics, &node->metric_capacity,
                     sizeof *node->metrics, owner))
        return false;
    for (size_t i = old; i < node->metric_capacity; i++)
        node->metrics[i] = (struct vz_agg_metric){.min = INFINITY, .max = -INFINITY};
    return true;
}

static inline void add_to(double *sum, double *compensation, double value)
{
    double corrected = value - *compensation, next = *sum + corrected;
    *compensation = isfinite(next) ? (next - *sum) - corrected : 0;
    *sum = next;
}

void vz_agg_metric_add(struct vz_agg_metric *m, double value)
{
    m->count++;
    add_to(&m->sum, &m->compensation, value);
    add_to(&m->squares, &m->squares_compensation, value * value);
    m->min = VZ_MIN(m->min, value);
    m->max = VZ_MAX(m->max, value);
}

/* ---- sums and extremes -------------------------------------------------------------------------
 */

#define LANES 4

/* All values of a block to one owner. */
static void add_block(struct vz_agg_metric *m, const double *v, size_t count, bool squares)
{
    double sum[LANES] = {0}, low[LANES] = {0}, min[LANES], max[LANES];
    double square[LANES] = {0}, square_low[LANES] = {0};
    size_t i = 0;
    for (int l = 0; l < LANES; l++) {
        min[l] = m->min;
        max[l] = m->max;
    }
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) {
            double value = v[i + (size_t)l], corrected = value - low[l], next = sum[l] + corrected;
            low[l] = (next - sum[l]) - corrected;
            sum[l] = next;
            min[l] = value < min[l] ? value : min[l];
            max[l] = value > max[l] ? value : max[l];
        }
    for (size_t j = 0; squares && j + LANES <= count; j += LANES)
        for (int l = 0; l < LANES; l++) {
            double value = v[j + (size_t)l] * v[j + (size_t)l];
            double corrected = value - square_low[l], next = square[l] + corrected;
            square_low[l] = (next - square[l]) - corrected;
            square[l] = next;
        }
    for (int l = 0; l < LANES; l++) {
        add_to(&m->sum, &m->compensation, sum[l]);
        if (isfinite(sum[l]))
            add_to(&m->sum, &m->compensation, -low[l]);
        add_to(&m->squares, &m->squares_compensation, square[l]);
        if (isfinite(square[l]))
            add_to(&m->squares, &m->squares_compensation, -square_low[l]);
        m->min = VZ_MIN(m->min, min[l]);
        m->max = VZ_MAX(m->max, max[l]);
    }
    m->count += i;
    for (; i < count; i++) {
        m->count++;
        add_to(&m->sum, &m->compensation, v[i]);
        if (squares)
            add_to(&m->squares, &m->squares_compensation, v[i] * v[i]);
        m->min = VZ_MIN(m->min, v[i]);
        m->max = VZ_MAX(m->max, v[i]);
    }
}

/* One value in each document. */
static void take_dense(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    double v[VZ_AGG_BLOCK];
    enum vz_agg_kind kind = node->agg->kind;
    vz_agg_gather(&node->values[0], block, v);
    if (!block->owners) {
        if (reserve_metrics(node, 0))
            add_block(&node->metrics[0], v, block->count, kind == VZ_AGG_EXTENDED_STATS);
        return;
    }
    const uint32_t *owners = block->owners;
    uint32_t most = 0;
    for (size_t i = 0; i < block->count; i++)
        most = VZ_MAX(most, owners[i]);
    if (!reserve_metrics(node, most))
        return;
    struct vz_agg_metric *metrics = node->metrics;
    if (kind == VZ_AGG_AVG || kind == VZ_AGG_SUM) {
        for (size_t i = 0; i < block->count; i++) {
            struct vz_agg_metric *m = &metrics[owners[i]];
            m->count++;
            add_to(&m->sum, &m->compensation, v[i]);
        }
    } else if (kind == VZ_AGG_MIN || kind == VZ_AGG_MAX) {
        for (size_t i = 0; i < block->count; i++) {
            struct vz_agg_metric *m = &metrics[owners[i]];
            m->count++;
            m->min = VZ_MIN(m->min, v[i]);
            m->max = VZ_MAX(m->max, v[i]);
        }
    } else {
        for (size_t i = 0; i < block->count; i++)
            vz_agg_metric_add(&metrics[owners[i]], v[i]);
    }
}

static void take_numbers(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t from, to;
    if (values->dense) {
        take_dense(node, block);
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, block->docs[i], &from, &to);
        if ((!some && !values->has_missing) || !reserve_metrics(node, owner))
            continue;
        if (!some)
            vz_agg_metric_add(&node->metrics[owner], values->missing_number);
        for (size_t e = from; e < to; e++)
            vz_agg_metric_add(&node->metrics[owner], vz_agg_number(values, e));
    }
}

/* sum: of value * weight; squares: of weights. */
static void take_weighted(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0], *weights = &node->values[1];
    size_t from, to, weight_from, weight_to;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool some = values->readable && vz_agg_entries(values, docno, &from, &to);
        bool weighed =
            weights->readable && vz_agg_entries(weights, docno, &weight_from, &weight_to);
        if ((!some && !values->has_missing) || (!weighed && !weights->has_missing) ||
            !reserve_metrics(node, owner))
            continue;
        if (weighed && weight_to - weight_from > 1) {
            vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                        "Encountered more than one weight for a single document. Use a script to "
                        "combine multiple weights-per-doc into a single value.");
            return;
        }
        double weight = weighed ? vz_agg_number(weights, weight_from) : weights->missing_number;
        struct vz_agg_metric *m = &node->metrics[owner];
        for (size_t e = 0; e < (some ? to - from : 1); e++) {
            double value = some ? vz_agg_number(values, from + e) : values->missing_number;
            m->count++;
            add_to(&m->sum, &m->compensation, value * weight);
            add_to(&m->squares, &m->squares_compensation, weight);
        }
    }
}

/* A keyword's values are a set: one that a document has twice counts once. */
static void take_counts(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    bool texts = values->column.kind == VZ_COLUMN_ORDINAL;
    size_t from, to;
    int64_t *keys;
    if (values->dense && !block->owners) {
        if (reserve_metrics(node, 0))
            node->metrics[0].count += block->count;
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        size_t count = 0;
        if (texts)
            count = vz_agg_keys(values, docno, &keys);
        else if (vz_agg_entries(values, docno, &from, &to))
            count = to - from;
        else
            count = values->has_missing;
        if (count && reserve_metrics(node, owner))
            node->metrics[owner].count += count;
    }
}

/* ---- distinct values ---------------------------------------------------------------------------
 */

static inline size_t mixed(int64_t key)
{
    return (size_t)vz_hash_number(key, 0);
}

static inline size_t slot_of(const struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    return (size_t)vz_hash_number(key, owner) & (node->slot_count - 1);
}

static bool grow_table(struct vz_agg_node *node)
{
    size_t count = VZ_MAX(node->slot_count * 4, (size_t)1024), old = node->slot_count;
    if (!vz_agg_more(node->run, (count - old) * (sizeof *node->slots + sizeof *node->keys / 2)))
        return false;
    node->keys = vz_realloc(node->keys, (count / 2 + 1) * sizeof *node->keys);
    free(node->slots);
    node->slots = vz_calloc(count, sizeof *node->slots);
    node->slot_count = count;
    for (size_t i = 0; i < node->bucket_count; i++) {
        size_t at = slot_of(node, node->keys[i].owner, node->keys[i].value);
        while (node->slots[at])
            at = (at + 1) & (count - 1);
        node->slots[at] = (uint32_t)i + 1;
    }
    return true;
}

/* What terms would make buckets of, without counting in them. */
static bool see(struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    if ((node->bucket_count + 1) * 2 > node->slot_count && !grow_table(node))
        return false;
    size_t at = slot_of(node, owner, key);
    for (uint32_t found; (found = node->slots[at]) != 0; at = (at + 1) & (node->slot_count - 1))
        if (node->keys[found - 1].value == key && node->keys[found - 1].owner == owner)
            return false;
    node->keys[node->bucket_count] = (struct vz_agg_key){owner, key};
    node->slots[at] = (uint32_t)++node->bucket_count;
    return true;
}

/* A bitset of the owner's small keys; NULL past a limit. */
static struct vz_bitset *bits_of(struct vz_agg_node *node, uint32_t owner, uint64_t width)
{
    if (!vz_agg_grow(node->run, (void **)&node->seen, &node->seen_capacity, sizeof *node->seen,
                     owner))
        return NULL;
    struct vz_bitset *bits = &node->seen[owner];
    if (!bits->words) {
        if (!vz_agg_more(node->run, width / 8 + 8))
            return NULL;
        vz_bitset_init(bits, width);
    }
    return bits;
}

/* Keys of one target that are small numbers: base and width. The table is for all others. */
static bool small_keys(struct vz_agg_node *node, const struct vz_agg_block *block, int64_t *base,
                       uint64_t *width)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_column *column = &values->column;
    *base = 0;
    if (!node->run->single || node->nest || values->has_missing || values->script)
        return false;
    if (column->kind == VZ_COLUMN_ORDINAL && !values->numbered) {
        *width = vz_field_ordinal_count(node->run->last->snap, values->field);
        return !block->owners || *width <= 4096;
    }
    if (column->kind != VZ_COLUMN_I64 || block->owners || column->count == 0)
        return false;
    if (!values->ranged) {
        values->low = INT64_MAX;
        values->high = INT64_MIN;
        for (size_t i = 0; i < column->count; i++) {
            values->low = VZ_MIN(values->low, column->i64[i]);
            values->high = VZ_MAX(values->high, column->i64[i]);
        }
        values->ranged = true;
    }
    *base = values->low;
    *width = (uint64_t)values->high - (uint64_t)values->low + 1;
    return *width && *width <= MAX_BITS && *width <= (uint64_t)column->count * 64 + 4096;
}

static bool take_small(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_column *column = &values->column;
    int64_t base;
    uint64_t width;
    size_t from, to;
    if (!small_keys(node, block, &base, &width))
        return false;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (!vz_agg_entries(values, docno, &from, &to))
            continue;
        struct vz_bitset *bits = bits_of(node, owner, width);
        if (!bits || !reserve_metrics(node, owner))
            return true;
        for (size_t e = from; e < to; e++) {
            uint64_t bit = column->kind == VZ_COLUMN_ORDINAL
                               ? column->ordinals[e]
                               : (uint64_t)column->i64[e] - (uint64_t)base;
            vz_bitset_set(bits, bit);
        }
    }
    return true;
}

/* ---- of one owner: the keys themselves are the table ---- */

static bool grow_set(struct vz_agg_node *node)
{
    size_t size = VZ_MAX(node->set_size * 4, (size_t)4096), old = node->set_size;
    int64_t *before = node->set;
    if (!vz_agg_more(node->run, (size - old) * sizeof *node->set))
        return false;
    node->set = vz_calloc(size, sizeof *node->set);
    node->set_size = size;
    for (size_t i = 0; i < old; i++) {
        size_t at = before[i] ? mixed(before[i]) & (size - 1) : 0;
        if (!before[i])
            continue;
        while (node->set[at])
            at = (at + 1) & (size - 1);
        node->set[at] = before[i];
    }
    free(before);
    return true;
}

static inline bool put_in_set(struct vz_agg_node *node, int64_t key)
{
    if (node->set_count * 2 >= node->set_size && !grow_set(node))
        return false;
    if (key == 0) {
        node->set_zero = true;
        return true;
    }
    size_t mask = node->set_size - 1, at = mixed(key) & mask;
    for (; node->set[at]; at = (at + 1) & mask)
        if (node->set[at] == key)
            return true;
    node->set[at] = key;
    node->set_count++;
    return true;
}

static void take_set(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_column *column = &values->column;
    size_t from, to;
    if (values->dense && column->kind == VZ_COLUMN_F64) {
        for (size_t i = 0; i < block->count; i++)
            if (!put_in_set(node, vz_agg_bits(column->f64[block->docs[i]])))
                return;
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        if (!vz_agg_entries(values, block->docs[i], &from, &to) && values->has_missing)
            put_in_set(node, values->missing);
        for (size_t e = from; e < to; e++)
            put_in_set(node, vz_agg_key(values, e));
    }
}

void vz_agg_take_cardinality(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t from, to;
    if (take_small(node, block))
        return;
    if (!node->parent) {
        take_set(node, block);
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, block->docs[i], &from, &to);
        if ((!some && !values->has_missing) || !reserve_metrics(node, owner))
            continue;
        for (size_t e = from; e < to; e++)
            node->metrics[owner].count += see(node, owner, vz_agg_key(values, e));
        if (!some)
            node->metrics[owner].count += see(node, owner, values->missing);
    }
}

void vz_agg_take_metrics(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    enum vz_agg_kind kind = node->agg->kind;
    if (kind == VZ_AGG_TOP_HITS) {
        vz_agg_take_hits(node, block);
        return;
    }
    if (kind == VZ_AGG_WEIGHTED_AVG) {
        take_weighted(node, block);
        return;
    }
    if (!node->values[0].readable)
        return;
    switch (kind) {
    case VZ_AGG_VALUE_COUNT:
        take_counts(node, block);
        return;
    case VZ_AGG_CARDINALITY:
        vz_agg_take_cardinality(node, block);
        return;
    case VZ_AGG_PERCENTILES:
    case VZ_AGG_PERCENTILE_RANKS:
    case VZ_AGG_MEDIAN_DEVIATION:
    case VZ_AGG_BOXPLOT:
        vz_agg_take_digest(node, block);
        return;
    case VZ_AGG_STRING_STATS:
        vz_agg_take_strings(node, block);
        return;
    case VZ_AGG_GEO_BOUNDS:
    case VZ_AGG_GEO_CENTROID:
        vz_agg_take_places(node, block);
        return;
    default:
        take_numbers(node, block);
    }
}

/* ---- what comes out ----------------------------------------------------------------------------
 */

struct vz_agg_metric vz_agg_metric_of(const struct vz_agg_node *node, uint32_t owner)
{
    struct vz_agg_metric m = {.min = INFINITY, .max = -INFINITY};
    if (owner < node->metric_capacity)
        m = node->metrics[owner];
    if (node->set && owner == 0)
        m.count = node->set_count + node->set_zero;
    if (owner < node->seen_capacity && node->seen[owner].words)
        m.count = vz_bitset_count(&node->seen[owner]);
    return m;
}

double vz_agg_variance(const struct vz_agg_metric *m, bool sample)
{
    double n = (double)m->count, squares = m->squares - m->sum * m->sum / n;
    squares = VZ_MAX(squares, 0.0);
    return squares / (sample ? n - 1 : n);
}

bool vz_agg_stats_value(const struct vz_agg_metric *m, double sigma, bool extended,
                        struct vz_slice p, double *out)
{
    bool some = m->count > 0;
    double mean = some ? m->sum / (double)m->count : NAN;
    double all = some ? vz_agg_variance(m, false) : NAN,
           part = m->count > 1 ? vz_agg_variance(m, true) : NAN;
    const struct {
        const char *name;
        double value;
        bool extended;
    } table[] = {
        {"count", (double)m->count, false},
        {"sum", m->sum, false},
        {"min", m->min, false},
        {"max", m->max, false},
        {"avg", mean, false},
        {"sum_of_squares", m->squares, true},
        {"variance", all, true},
        {"variance_population", all, true},
        {"variance_sampling", part, true},
        {"std_deviation", sqrt(all), true},
        {"std_deviation_population", sqrt(all), true},
        {"std_deviation_sampling", sqrt(part), true},
        {"std_upper", mean + sqrt(all) * sigma, true},
        {"std_lower", mean - sqrt(all) * sigma, true},
        {"std_upper_population", mean + sqrt(all) * sigma, true},
        {"std_lower_population", mean - sqrt(all) * sigma, true},
        {"std_upper_sampling", mean + sqrt(part) * sigma, true},
        {"std_lower_sampling", mean - sqrt(part) * sigma, true},
        {"std_deviation_bounds.upper", mean + sqrt(all) * sigma, true},
        {"std_deviation_bounds.lower", mean - sqrt(all) * sigma, true},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++)
        if (vz_slice_is(p, table[i].name) && (extended || !table[i].extended)) {
            *out = table[i].value;
            return true;
        }
    return false;
}

bool vz_agg_metric_value(struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                         double *out)
{
    struct vz_agg_metric m = vz_agg_metric_of(node, owner);
    enum vz_agg_kind kind = node->agg->kind;
    bool plain = property.len == 0 || vz_slice_is(property, "value");
    switch (kind) {
    case VZ_AGG_MIN:
        *out = m.min;
        return plain;
    case VZ_AGG_MAX:
        *out = m.max;
        return plain;
    case VZ_AGG_AVG:
        *out = m.count ? m.sum / (double)m.count : NAN;
        return plain;
    case VZ_AGG_WEIGHTED_AVG:
        *out = m.count ? m.sum / m.squares : NAN;
        return plain;
    case VZ_AGG_SUM:
        *out = m.sum;
        return plain;
    case VZ_AGG_VALUE_COUNT:
    case VZ_AGG_CARDINALITY:
        *out = (double)m.count;
        return plain;
    case VZ_AGG_STATS:
    case VZ_AGG_EXTENDED_STATS:
        return vz_agg_stats_value(&m, node->agg->sigma, kind == VZ_AGG_EXTENDED_STATS, property,
                                  out);
    case VZ_AGG_GEO_BOUNDS:
    case VZ_AGG_GEO_CENTROID:
        return vz_agg_place_value(node, property, owner, out);
    case VZ_AGG_TOP_HITS:
        return false;
    default:
        return vz_agg_digest_value(node, property, owner, out);
    }
}

void vz_agg_put_number(struct vz_json_writer *w, const char *key, bool some, double value)
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
static void put_text(const struct vz_agg_values *values, struct vz_slice format,
                     struct vz_json_writer *w, const char *key, bool some, double value)
{
    struct vz_buf text = {0};
    bool shown = some && (values ? vz_agg_number_text(values, value, &text)
                                 : format.len && vz_decimal_format(format, value, &text));
    if (shown)
        vz_json_field_string(w, key, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void put_extended(const struct vz_agg_metric *m, double sigma, struct vz_json_writer *w)
{
    bool some = m->count > 0;
    double n = (double)m->count, mean = m->sum / n;
    double all = some ? vz_agg_variance(m, false) : 0, part = some ? vz_agg_variance(m, true) : 0;
    double d = sqrt(all) * sigma, s = m->count > 1 ? sqrt(part) * sigma : NAN;
    vz_agg_put_number(w, "sum_of_squares", some, m->squares);
    vz_agg_put_number(w, "variance", some, all);
    vz_agg_put_number(w, "variance_population", some, all);
    vz_agg_put_number(w, "variance_sampling", some, m->count > 1 ? part : NAN);
    vz_agg_put_number(w, "std_deviation", some, sqrt(all));
    vz_agg_put_number(w, "std_deviation_population", some, sqrt(all));
    vz_agg_put_number(w, "std_deviation_sampling", some, m->count > 1 ? sqrt(part) : NAN);
    vz_json_key(w, "std_deviation_bounds");
    vz_json_begin_object(w);
    vz_agg_put_number(w, "upper", some, mean + d);
    vz_agg_put_number(w, "lower", some, mean - d);
    vz_agg_put_number(w, "upper_population", some, mean + d);
    vz_agg_put_number(w, "lower_population", some, mean - d);
    vz_agg_put_number(w, "upper_sampling", some, mean + s);
    vz_agg_put_number(w, "lower_sampling", some, mean - s);
    vz_json_end_object(w);
}

void vz_agg_print_stats(const struct vz_agg_metric *m, double sigma, bool extended,
                        const struct vz_agg_values *values, struct vz_slice format,
                        struct vz_json_writer *w)
{
    bool some = m->count > 0;
    double n = (double)m->count;
    vz_json_field_int(w, "count", (int64_t)m->count);
    vz_agg_put_number(w, "min", some, m->min);
    vz_agg_put_number(w, "max", some, m->max);
    vz_agg_put_number(w, "avg", some, m->sum / n);
    vz_agg_put_number(w, "sum", true, m->sum);
    if (extended)
        put_extended(m, sigma, w);
    put_text(values, format, w, "min_as_string", some, m->min);
    put_text(values, format, w, "max_as_string", some, m->max);
    put_text(values, format, w, "avg_as_string", some, some ? m->sum / n : 0);
    put_text(values, format, w, "sum_as_string", some, m->sum);
}

void vz_agg_print_metric(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    struct vz_agg_metric m = vz_agg_metric_of(node, owner);
    const struct vz_agg_values *values = node->value_count ? &node->values[0] : NULL;
    enum vz_agg_kind kind = node->agg->kind;
    double value = NAN;
    switch (kind) {
    case VZ_AGG_STATS:
    case VZ_AGG_EXTENDED_STATS:
        vz_agg_print_stats(&m, node->agg->sigma, kind == VZ_AGG_EXTENDED_STATS, values,
                           (struct vz_slice){0}, w);
        return;
    case VZ_AGG_VALUE_COUNT:
    case VZ_AGG_CARDINALITY:
        vz_json_field_int(w, "value", (int64_t)m.count);
        return;
    case VZ_AGG_GEO_BOUNDS:
    case VZ_AGG_GEO_CENTROID:
        vz_agg_print_places(node, owner, w);
        return;
    case VZ_AGG_TOP_HITS:
        vz_agg_print_hits(node, owner, w);
        return;
    case VZ_AGG_STRING_STATS:
        vz_agg_print_strings(node, owner, w);
        return;
    case VZ_AGG_PERCENTILES:
    case VZ_AGG_PERCENTILE_RANKS:
    case VZ_AGG_MEDIAN_DEVIATION:
    case VZ_AGG_BOXPLOT:
        vz_agg_print_digest(node, owner, w);
        return;
    default:
        vz_agg_metric_value(node, (struct vz_slice){0}, owner, &value);
        bool some = m.count > 0 || kind == VZ_AGG_SUM;
        vz_agg_put_number(w, "value", some, value);
        if (kind == VZ_AGG_WEIGHTED_AVG)
            put_text(NULL, node->agg->source.format, w, "value_as_string", some, value);
        else
            put_text(values, (struct vz_slice){0}, w, "value_as_string", some, value);
    }
}
