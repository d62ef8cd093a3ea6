/* Aggregations that make buckets: which ones a document falls into.
 *
 * Buckets with keys are found in a table of (owner, key); those of a fixed set (ranges, filters)
 * are numbered owner * set + place. Terms of a keyword at the top, in one target, need no table:
 * the ordinal is the bucket.
 */
#include "query/agg.h"

#include "base/clock.h"
#include "base/strmap.h"

#include <math.h>
#include <stdlib.h>

#define DAY_MS 86400000ll
#define SIGN_BIT 0x8000000000000000ull
#define MOST_MS 9.2e18 /* of dates; zones and offsets fit beside it */

bool vz_agg_is_metric(enum vz_agg_kind kind)
{
    return kind >= VZ_AGG_MIN;
}

/* ---- terms' texts over several targets ---------------------------------------------------------
 */

struct vz_agg_terms {
    struct vz_strmap numbers;
    struct vz_arena arena;
    struct vz_slice *texts;
    size_t count, capacity;
};

void vz_agg_terms_free(struct vz_agg_terms *terms)
{
    if (!terms)
        return;
    vz_strmap_deinit(&terms->numbers);
    vz_arena_deinit(&terms->arena);
    free(terms->texts);
    free(terms);
}

static uint32_t term_number(struct vz_agg_run *run, struct vz_slice text)
{
    uint64_t number;
    if (!run->terms)
        run->terms = vz_calloc(1, sizeof *run->terms);
    struct vz_agg_terms *terms = run->terms;
    if (vz_strmap_get(&terms->numbers, text, &number))
        return (uint32_t)number;
    if (terms->count == terms->capacity) {
        terms->capacity = terms->capacity * 2 + 64;
        terms->texts = vz_realloc(terms->texts, terms->capacity * sizeof *terms->texts);
    }
    vz_agg_more(run, text.len * 2 + 64);
    vz_strmap_put(&terms->numbers, text, terms->count);
    terms->texts[terms->count] = vz_arena_copy(&terms->arena, text);
    return (uint32_t)terms->count++;
}

struct vz_slice vz_agg_term(struct vz_agg_run *run, const struct vz_agg_node *node, int64_t key)
{
    if (key < 0) /* what `missing` stands for */
        return vz_query_scalar_text(node->agg->missing, run->arena);
    if (!run->single)
        return run->terms->texts[key];
    return vz_field_term(run->last->snap, node->first_field, (uint32_t)key, run->arena);
}

bool vz_agg_term_find(struct vz_agg_run *run, const struct vz_agg_node *node, struct vz_slice text,
                      int64_t *key)
{
    uint32_t ordinal;
    uint64_t number;
    if (run->single) {
        bool found = vz_field_find_term(run->last->snap, node->first_field, text, &ordinal);
        *key = found ? ordinal : 0;
        return found;
    }
    bool found = run->terms && vz_strmap_get(&run->terms->numbers, text, &number);
    *key = found ? (int64_t)number : 0;
    return found;
}

/* ---- binding -----------------------------------------------------------------------------------
 */

static bool check_field(struct vz_agg_node *node)
{
    const struct vz_field *field = node->field;
    enum vz_agg_kind kind = node->agg->kind;
    bool numbers = field->column == VZ_COLUMN_I64 || field->column == VZ_COLUMN_F64;
    if (kind == VZ_AGG_MISSING)
        return true;
    if (field->type == VZ_FIELD_TEXT)
        return vz_agg_fail(
            node->run, VZ_BAD_ARGUMENT,
            "Fielddata is disabled on [%.*s] in [%.*s]. Text fields are not optimised for "
            "operations that require per-document field data like aggregations and sorting, so "
            "these operations are disabled by default. Please use a keyword field instead.",
            VZ_ARG(field->path), VZ_ARG(vz_index_name(vz_snapshot_index(node->eval->snap))));
    struct vz_error inner = {0};
    if (vz_field_check_doc_values(field, &inner) != VZ_OK)
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "%s", inner.text);
    bool counts = kind == VZ_AGG_VALUE_COUNT || kind == VZ_AGG_CARDINALITY;
    bool fine = numbers ||
                (field->column == VZ_COLUMN_ORDINAL && (counts || kind == VZ_AGG_TERMS)) ||
                (field->column == VZ_COLUMN_GEO && kind == VZ_AGG_VALUE_COUNT);
    if ((kind == VZ_AGG_DATE_HISTOGRAM || kind == VZ_AGG_DATE_RANGE) &&
        field->type != VZ_FIELD_DATE)
        fine = false;
    return fine || vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                               "Field [%.*s] of type [%s] is not supported for aggregation [%s]",
                               VZ_ARG(field->path), vz_field_type_name(field->type),
                               vz_agg_kind_name(kind));
}

static bool is_dense(const struct vz_column *column, uint32_t limit)
{
    if (column->count != limit || limit == 0)
        return false;
    for (uint32_t i = 0; i < limit; i++)
        if (column->docnos[i] != i)
            return false;
    return true;
}

static bool read_date(struct vz_agg_node *node, struct vz_json value, double *out)
{
    const struct vz_agg *agg = node->agg;
    struct vz_slice format = agg->format.len ? agg->format : node->field->format;
    struct vz_error inner = {0};
    int64_t ms;
    if (vz_json_is_number(value)) {
        *out = vz_json_double(value);
        return true;
    }
    if (vz_date_parse(format, vz_json_string(value), true, false, node->eval->now_ms, &ms,
                      &inner) != VZ_OK &&
        vz_date_parse((struct vz_slice){0}, vz_json_string(value), true, false, node->eval->now_ms,
                      &ms, &inner) != VZ_OK)
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "%s", inner.text);
    *out = (double)(ms - agg->zone_ms);
    return true;
}

static bool read_number(struct vz_agg_node *node, struct vz_json value, double *out)
{
    if (node->field->type == VZ_FIELD_DATE && vz_json_type(value) == VZ_JSON_STRING)
        return read_date(node, value, out);
    if (node->field->type == VZ_FIELD_BOOLEAN) {
        bool truth;
        if (vz_json_as_bool(value, &truth)) {
            *out = truth;
            return true;
        }
    }
    return vz_json_as_double(value, out) ||
           vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "For input string: \"%.*s\"",
                       VZ_ARG(vz_query_scalar_text(value, node->run->arena)));
}

static bool bind_missing(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    if (vz_json_type(agg->missing) == VZ_JSON_MISSING)
        return true;
    node->has_missing = true;
    if (node->field->column == VZ_COLUMN_ORDINAL) {
        /* The text's own bucket when some document has it, else one that only stands for it. */
        struct vz_slice text = vz_query_scalar_text(agg->missing, node->run->arena);
        uint32_t ordinal;
        node->missing = -1;
        if (!node->run->single)
            node->missing = term_number(node->run, text);
        else if (vz_field_find_term(node->eval->snap, node->field, text, &ordinal))
            node->missing = ordinal;
        return true;
    }
    if (!read_number(node, agg->missing, &node->missing_number))
        return false;
    if (node->field->column == VZ_COLUMN_F64)
        memcpy(&node->missing, &node->missing_number, sizeof node->missing);
    else
        node->missing = (int64_t)node->missing_number;
    return true;
}

static bool bind_ranges(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    node->range_from = vz_arena_alloc(node->run->arena, agg->range_count * sizeof(double));
    node->range_to = vz_arena_alloc(node->run->arena, agg->range_count * sizeof(double));
    for (size_t i = 0; i < agg->range_count; i++) {
        node->range_from[i] = -INFINITY;
        node->range_to[i] = INFINITY;
        if (vz_json_type(agg->ranges[i].from) != VZ_JSON_MISSING &&
            !read_number(node, agg->ranges[i].from, &node->range_from[i]))
            return false;
        if (vz_json_type(agg->ranges[i].to) != VZ_JSON_MISSING &&
            !read_number(node, agg->ranges[i].to, &node->range_to[i]))
            return false;
    }
    return true;
}

static bool bind_filters(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    node->filters = vz_calloc(agg->filters.count + 1, sizeof *node->filters);
    for (size_t i = 0; i < agg->filters.count; i++) {
        struct vz_node_list one = {&agg->filters.items[i], 1};
        struct vz_error inner = {0};
        enum vz_status status = vz_filters_eval(node->eval, one, &node->filters[i], &inner);
        if (status != VZ_OK) {
            node->run->status = status;
            if (node->run->err)
                *node->run->err = inner;
            return false;
        }
    }
    return true;
}

bool vz_agg_bind(struct vz_agg_node *node, struct vz_eval *eval)
{
    const struct vz_agg *agg = node->agg;
    node->eval = eval;
    node->at = 0;
    node->field = NULL;
    node->column = (struct vz_column){.kind = VZ_COLUMN_NONE};
    node->dense = node->has_missing = false;
    if (agg->kind == VZ_AGG_FILTER || agg->kind == VZ_AGG_FILTERS)
        return bind_filters(node);
    if (agg->kind == VZ_AGG_GLOBAL)
        return true;
    node->field = vz_eval_field(eval, agg->field);
    if (!node->field || node->field->type == VZ_FIELD_OBJECT ||
        node->field->type == VZ_FIELD_NESTED) {
        node->field = NULL;
        return true;
    }
    if (!check_field(node))
        return false;
    if (!node->field->under_nested)
        vz_field_column(eval, node->field, &node->column);
    node->dense = is_dense(&node->column, eval->limit);
    if (agg->format.len && node->field->type != VZ_FIELD_DATE)
        return vz_agg_fail(node->run, VZ_UNSUPPORTED,
                           "[%s] [format] of numbers is not supported by vizsla",
                           vz_agg_kind_name(agg->kind));
    if (!node->first_field) {
        node->first_field = node->field;
        node->is_real = node->field->column == VZ_COLUMN_F64;
    } else if (agg->kind == VZ_AGG_TERMS && node->first_field->column != node->field->column) {
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "the field [%.*s] is of another type in another index",
                           VZ_ARG(agg->field));
    }
    bool keyword = node->column.kind == VZ_COLUMN_ORDINAL;
    if (keyword && (agg->kind == VZ_AGG_TERMS || agg->kind == VZ_AGG_CARDINALITY) &&
        !node->run->single)
        node->global = vz_calloc((size_t)vz_snapshot_ordinal_count(eval->snap, node->field->id) + 1,
                                 sizeof(uint32_t));
    if (!bind_missing(node))
        return false;
    return (agg->kind != VZ_AGG_RANGE && agg->kind != VZ_AGG_DATE_RANGE) || bind_ranges(node);
}

void vz_agg_unbind(struct vz_agg_node *node)
{
    for (size_t i = 0; node->filters && i < node->agg->filters.count; i++)
        vz_docset_deinit(&node->filters[i]);
    free(node->filters);
    node->filters = NULL;
    free(node->global);
    node->global = NULL;
}

/* ---- buckets with keys -------------------------------------------------------------------------
 */

static size_t slot_of(const struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    uint64_t z = (uint64_t)key * 0x9E3779B97F4A7C15ull + owner * 0xC2B2AE3D27D4EB4Full;
    z ^= z >> 32;
    z *= 0xD6E8FEB86659FD93ull;
    z ^= z >> 29;
    return (size_t)z & (node->slot_count - 1);
}

static bool grow_slots(struct vz_agg_node *node)
{
    size_t count = VZ_MAX(node->slot_count * 2, (size_t)64);
    if (!vz_agg_more(node->run, (count - node->slot_count) * sizeof *node->slots))
        return false;
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

/* UINT32_MAX past a limit. */
static uint32_t bucket_of(struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    if ((node->bucket_count + 1) * 2 > node->slot_count && !grow_slots(node))
        return UINT32_MAX;
    size_t at = slot_of(node, owner, key);
    for (uint32_t found; (found = node->slots[at]) != 0; at = (at + 1) & (node->slot_count - 1))
        if (node->keys[found - 1].value == key && node->keys[found - 1].owner == owner)
            return found - 1;
    if (!vz_agg_reserve(node, node->bucket_count + 1))
        return UINT32_MAX;
    uint32_t bucket = (uint32_t)node->bucket_count++;
    node->keys[bucket] = (struct vz_agg_key){owner, key};
    node->slots[at] = bucket + 1;
    return bucket;
}

static void count_key(struct vz_agg_node *node, uint32_t docno, uint32_t owner, int64_t key)
{
    uint32_t bucket = bucket_of(node, owner, key);
    if (bucket != UINT32_MAX)
        vz_agg_count(node, docno, bucket);
}

/* ---- terms -------------------------------------------------------------------------------------
 */

int64_t vz_agg_term_key(struct vz_agg_node *node, size_t entry)
{
    if (node->column.kind != VZ_COLUMN_ORDINAL)
        return node->column.i64[entry]; /* doubles by their bits */
    uint32_t ordinal = node->column.ordinals[entry];
    if (!node->global)
        return ordinal;
    if (!node->global[ordinal]) {
        struct vz_arena scratch = {0};
        node->global[ordinal] =
            1 +
            term_number(node->run, vz_field_term(node->eval->snap, node->field, ordinal, &scratch));
        vz_arena_deinit(&scratch);
    }
    return node->global[ordinal] - 1;
}

/* A keyword at the top in one target: a bucket's number is the ordinal, and one more for what
 * `missing` stands for. */
static bool begin_direct(struct vz_agg_node *node)
{
    size_t ordinals = vz_snapshot_ordinal_count(node->eval->snap, node->field->id);
    if (!vz_agg_reserve(node, ordinals + 1))
        return false;
    node->direct = true;
    node->bucket_count = ordinals + 1;
    return true;
}

static void take_direct(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    const uint32_t *ordinals = node->column.ordinals;
    size_t from, to, missing = node->bucket_count - 1;
    if (node->missing >= 0)
        missing = (size_t)node->missing;
    if (node->dense && !node->subs) {
        for (size_t i = 0; i < block->count; i++)
            node->counts[ordinals[block->docs[i]]]++;
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i];
        if (!vz_agg_entries(node, docno, &from, &to)) {
            if (node->has_missing)
                vz_agg_count(node, docno, (uint32_t)missing);
            continue;
        }
        for (size_t e = from; e < to; e++) {
            bool again = false; /* a value twice in a document counts once */
            for (size_t before = from; before < e && !again; before++)
                again = ordinals[before] == ordinals[e];
            if (!again)
                vz_agg_count(node, docno, ordinals[e]);
        }
    }
}

static void take_terms(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to;
    if (node->column.kind == VZ_COLUMN_ORDINAL && node->run->single && !block->owners) {
        if (node->direct || begin_direct(node))
            take_direct(node, block);
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (!vz_agg_entries(node, docno, &from, &to)) {
            if (node->has_missing)
                count_key(node, docno, owner, node->missing);
            continue;
        }
        for (size_t e = from; e < to; e++) {
            int64_t key = vz_agg_term_key(node, e);
            bool again = false;
            for (size_t before = from; before < e && !again; before++)
                again = vz_agg_term_key(node, before) == key;
            if (!again)
                count_key(node, docno, owner, key);
        }
    }
}

/* ---- histograms --------------------------------------------------------------------------------
 */

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

/* In local time: the beginning of the interval that holds `ms`. */
static int64_t local_floor(const struct vz_agg *agg, int64_t ms)
{
    if (agg->unit == VZ_UNIT_FIXED)
        return floor_div(ms, agg->interval_ms) * agg->interval_ms;
    int64_t days = floor_div(ms, DAY_MS);
    if (agg->unit == VZ_UNIT_WEEK) /* Monday; 1970-01-01 was a Thursday */
        return (floor_div(days + 3, 7) * 7 - 3) * DAY_MS;
    int year, month, day;
    vz_civil_from_days(days, &year, &month, &day);
    int64_t step = unit_months(agg->unit), months = year * 12ll + month - 1;
    return month_start(floor_div(months, step) * step);
}

int64_t vz_agg_date_floor(const struct vz_agg *agg, int64_t ms)
{
    int64_t shift = agg->zone_ms - agg->offset_ms;
    return local_floor(agg, ms + shift) - shift;
}

int64_t vz_agg_date_next(const struct vz_agg *agg, int64_t key)
{
    int64_t shift = agg->zone_ms - agg->offset_ms, local = key + shift;
    if (agg->unit == VZ_UNIT_FIXED)
        return key + agg->interval_ms;
    if (agg->unit == VZ_UNIT_WEEK)
        return key + 7 * DAY_MS;
    int year, month, day;
    vz_civil_from_days(floor_div(local, DAY_MS), &year, &month, &day);
    return month_start(year * 12ll + month - 1 + unit_months(agg->unit)) - shift;
}

struct window { /* the interval met last: neighbours often share it */
    double from, to;
    uint32_t owner, bucket;
    bool set;
};

static bool histogram_key(struct vz_agg_node *node, double value, int64_t *key)
{
    const struct vz_agg *agg = node->agg;
    bool dates = agg->kind == VZ_AGG_DATE_HISTOGRAM;
    double multiple = dates ? value : floor((value - agg->offset) / agg->interval);
    if (!(fabs(multiple) < (dates ? MOST_MS : 9e15)))
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           dates ? "[histogram] a value is too large for the interval"
                                 : "[histogram] the interval is too small for the values");
    *key = dates ? vz_agg_date_floor(agg, (int64_t)value) : (int64_t)multiple;
    return true;
}

static void count_in_histogram(struct vz_agg_node *node, struct window *w, uint32_t docno,
                               uint32_t owner, double value)
{
    const struct vz_agg *agg = node->agg;
    if (!w->set || w->owner != owner || !(value >= w->from && value < w->to)) {
        int64_t key = 0;
        if (!histogram_key(node, value, &key))
            return;
        w->from = w->to = 0; /* bounds would round otherwise than the division does */
        if (agg->kind == VZ_AGG_DATE_HISTOGRAM) {
            w->from = (double)key;
            w->to = (double)vz_agg_date_next(agg, key);
        }
        w->bucket = bucket_of(node, owner, key);
        w->owner = owner;
        w->set = w->bucket != UINT32_MAX && w->to > w->from;
        if (w->bucket == UINT32_MAX)
            return;
    }
    vz_agg_count(node, docno, w->bucket);
}

/* ---- histograms at the top, one value a document ----
 *
 * A value's place is its multiple of the interval or, for calendars, its local day, of which the
 * interval is a function. Places near the first one seen lead to their buckets through a table;
 * the key is worked out, and the hash table asked, once for each place. */

#define NEAR 16384

/* floor(a / b) by the reciprocal, put right where rounding led astray; |a| < 2^53. */
static inline int64_t quick_floor(int64_t a, int64_t b, double reciprocal)
{
    int64_t q = (int64_t)((double)a * reciprocal);
    while (q * b > a)
        q--;
    while ((q + 1) * b <= a)
        q++;
    return q;
}

static uint32_t near_bucket(struct vz_agg_node *node, int64_t place, double value)
{
    const struct vz_agg *agg = node->agg;
    if (!node->has_near) {
        node->near = vz_arena_zalloc(node->run->arena, NEAR * sizeof *node->near);
        node->near_base = place - NEAR / 2;
        node->has_near = true;
    }
    uint64_t at = (uint64_t)place - (uint64_t)node->near_base;
    if (at < NEAR && node->near[at])
        return node->near[at] - 1;
    int64_t key =
        agg->kind == VZ_AGG_DATE_HISTOGRAM ? vz_agg_date_floor(agg, (int64_t)value) : place;
    uint32_t bucket = bucket_of(node, 0, key);
    if (at < NEAR && bucket != UINT32_MAX)
        node->near[at] = bucket + 1;
    return bucket;
}

/* True when the block was taken. */
static bool take_near(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    const struct vz_agg *agg = node->agg;
    bool dates = agg->kind == VZ_AGG_DATE_HISTOGRAM;
    int64_t step = agg->unit == VZ_UNIT_FIXED ? agg->interval_ms : DAY_MS;
    int64_t shift = agg->zone_ms - agg->offset_ms;
    double reciprocal = dates ? 1 / (double)step : 0;
    if (!node->dense || block->owners || vz_json_type(agg->hard_min) != VZ_JSON_MISSING ||
        vz_json_type(agg->hard_max) != VZ_JSON_MISSING)
        return false;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], bucket;
        double value = vz_agg_number(node, docno);
        int64_t place;
        if (dates && !(fabs(value) < MOST_MS))
            return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                               "[histogram] a value is too large for the interval");
        if (dates) {
            int64_t local = node->column.i64[docno] + shift;
            place = fabs(value) < 8e15 ? quick_floor(local, step, reciprocal)
                                       : floor_div(local, step);
        } else {
            double multiple = (value - agg->offset) / agg->interval;
            if (!(fabs(multiple) < 9e15))
                return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                                   "[histogram] the interval is too small for the values");
            place = (int64_t)multiple;
            place -= (double)place > multiple;
        }
        uint64_t at = (uint64_t)place - (uint64_t)node->near_base;
        if (node->has_near && at < NEAR && node->near[at])
            bucket = node->near[at] - 1;
        else
            bucket = near_bucket(node, place, value);
        if (bucket != UINT32_MAX)
            vz_agg_count(node, docno, bucket);
    }
    return true;
}

/* One of several values, which are in no order: it counts unless one before it fell into the same
 * interval. */
static void count_once(struct vz_agg_node *node, uint32_t docno, uint32_t owner, size_t first,
                       size_t entry, double low, double high)
{
    int64_t key = 0, other = 0;
    if (!histogram_key(node, vz_agg_number(node, entry), &key))
        return;
    for (size_t before = first; before < entry; before++) {
        double value = vz_agg_number(node, before);
        if (value >= low && value <= high && histogram_key(node, value, &other) && other == key)
            return;
    }
    count_key(node, docno, owner, key);
}

static void take_histogram(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct window window = {.set = false};
    size_t from, to;
    const struct vz_agg *agg = node->agg;
    double low = -INFINITY, high = INFINITY;
    if (take_near(node, block) || node->run->status != VZ_OK)
        return;
    if (vz_json_type(agg->hard_min) != VZ_JSON_MISSING && node->field &&
        !read_number(node, agg->hard_min, &low))
        return;
    if (vz_json_type(agg->hard_max) != VZ_JSON_MISSING && node->field &&
        !read_number(node, agg->hard_max, &high))
        return;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (!vz_agg_entries(node, docno, &from, &to)) {
            if (node->has_missing)
                count_in_histogram(node, &window, docno, owner, node->missing_number);
            continue;
        }
        for (size_t e = from; e < to; e++) {
            double value = vz_agg_number(node, e);
            if (value < low || value > high)
                continue;
            if (to - from == 1)
                count_in_histogram(node, &window, docno, owner, value);
            else
                count_once(node, docno, owner, from, e, low, high);
        }
    }
}

/* ---- fixed sets --------------------------------------------------------------------------------
 */

static bool reserve_set(struct vz_agg_node *node, uint32_t owner, size_t set)
{
    size_t needed = ((size_t)owner + 1) * set;
    if (needed > UINT32_MAX)
        return vz_agg_fail(node->run, VZ_LIMIT, "too many buckets");
    if (!vz_agg_reserve(node, needed))
        return false;
    node->bucket_count = VZ_MAX(node->bucket_count, needed);
    return true;
}

static bool in_range(struct vz_agg_node *node, size_t range, size_t from, size_t to)
{
    for (size_t e = from; e < to; e++) {
        double value = vz_agg_number(node, e);
        if (value >= node->range_from[range] && value < node->range_to[range])
            return true;
    }
    return false;
}

static void take_ranges(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to, set = node->agg->range_count;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(node, docno, &from, &to);
        if ((!some && !node->has_missing) || !reserve_set(node, owner, set))
            continue;
        for (size_t r = 0; r < set; r++) {
            bool in = some ? in_range(node, r, from, to)
                           : node->missing_number >= node->range_from[r] &&
                                 node->missing_number < node->range_to[r];
            if (in)
                vz_agg_count(node, docno, (uint32_t)(owner * set + r));
        }
    }
}

static void take_filters(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t filters = node->agg->filters.count, set = filters + (node->agg->other_key.len > 0);
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool any = false;
        if (!reserve_set(node, owner, set))
            return;
        for (size_t f = 0; f < filters; f++) {
            if (!vz_docset_has(&node->filters[f], docno))
                continue;
            any = true;
            vz_agg_count(node, docno, (uint32_t)(owner * set + f));
        }
        if (!any && set > filters)
            vz_agg_count(node, docno, (uint32_t)(owner * set + filters));
    }
}

/* One bucket for each owner: global, missing. */
static void take_single(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to;
    bool missing = node->agg->kind == VZ_AGG_MISSING;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (missing && node->field && vz_agg_entries(node, docno, &from, &to))
            continue;
        if (!reserve_set(node, owner, 1))
            return;
        vz_agg_count(node, docno, owner);
    }
}

void vz_agg_take_buckets(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    enum vz_agg_kind kind = node->agg->kind;
    if (kind == VZ_AGG_GLOBAL || kind == VZ_AGG_MISSING)
        take_single(node, block);
    else if (kind == VZ_AGG_FILTER || kind == VZ_AGG_FILTERS)
        take_filters(node, block);
    else if (!node->field)
        return; /* unmapped in this index */
    else if (kind == VZ_AGG_TERMS)
        take_terms(node, block);
    else if (kind == VZ_AGG_RANGE || kind == VZ_AGG_DATE_RANGE)
        take_ranges(node, block);
    else
        take_histogram(node, block);
}
