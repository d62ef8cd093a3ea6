/* Aggregations: the answer. Buckets are chosen, put in order and written, each with its children's
 * part for that bucket. */
#include "query/agg.h"

#include <math.h>
#include <stdlib.h>

/* Stands for a bucket that nothing fell into. */
#define NOTHING UINT32_MAX

/* What printing needs of a node and collecting did not. */
struct view {
    uint32_t *sorted;  /* buckets by owner */
    uint32_t *offsets; /* of owners in it; owner_count + 1 of them */
    size_t owner_count;
    struct vz_slice *texts; /* of terms, by bucket, as they were asked for */
};

static void print_list(struct vz_agg_run *run, struct vz_agg_node *nodes, size_t count,
                       uint32_t owner, struct vz_json_writer *w);

static bool count_bucket(struct vz_agg_run *run)
{
    if (++run->printed <= VZ_MAX_BUCKETS)
        return true;
    return vz_agg_fail(run, VZ_LIMIT,
                       "Trying to create too many buckets. Must be less than or equal to: [%d] but "
                       "was [%zu]. This limit can be set by changing the [search.max_buckets] "
                       "cluster level setting.",
                       VZ_MAX_BUCKETS, run->printed);
}

static uint64_t count_of(const struct vz_agg_node *node, size_t bucket)
{
    return bucket < node->bucket_count ? node->counts[bucket] : 0;
}

static void begin_bucket(struct vz_agg_run *run, struct vz_json_writer *w)
{
    count_bucket(run);
    vz_json_begin_object(w);
}

static void end_bucket(struct vz_agg_node *node, uint32_t bucket, uint64_t count,
                       struct vz_json_writer *w)
{
    vz_json_field_int(w, "doc_count", (int64_t)count);
    print_list(node->run, node->subs, node->agg->sub_count, bucket, w);
    vz_json_end_object(w);
}

static void begin_buckets(const struct vz_agg *agg, bool keyed, struct vz_json_writer *w)
{
    (void)agg;
    vz_json_key(w, "buckets");
    if (keyed)
        vz_json_begin_object(w);
    else
        vz_json_begin_array(w);
}

static void end_buckets(bool keyed, struct vz_json_writer *w)
{
    if (keyed)
        vz_json_end_object(w);
    else
        vz_json_end_array(w);
}

/* ---- buckets with keys -------------------------------------------------------------------------
 */

static struct view *view_of(struct vz_agg_node *node)
{
    struct vz_arena *arena = node->run->arena;
    if (node->view)
        return node->view;
    struct view *view = node->view = vz_arena_zalloc(arena, sizeof *view);
    if (node->direct)
        return view;
    for (size_t i = 0; i < node->bucket_count; i++)
        view->owner_count = VZ_MAX(view->owner_count, (size_t)node->keys[i].owner + 1);
    view->offsets = vz_arena_zalloc(arena, (view->owner_count + 2) * sizeof(uint32_t));
    view->sorted = vz_arena_alloc(arena, (node->bucket_count + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < node->bucket_count; i++)
        view->offsets[node->keys[i].owner + 2]++;
    for (size_t i = 2; i < view->owner_count + 2; i++)
        view->offsets[i] += view->offsets[i - 1];
    for (size_t i = 0; i < node->bucket_count; i++)
        view->sorted[view->offsets[node->keys[i].owner + 1]++] = (uint32_t)i;
    return view;
}

/* The owner's buckets; the array is the caller's to reorder. */
static size_t buckets_of(struct vz_agg_node *node, uint32_t owner, uint32_t **out)
{
    struct view *view = view_of(node);
    *out = NULL;
    if (node->direct) {
        *out = vz_arena_alloc(node->run->arena, (node->bucket_count + 1) * sizeof(uint32_t));
        for (size_t i = 0; i < node->bucket_count; i++)
            (*out)[i] = (uint32_t)i;
        return owner == 0 ? node->bucket_count : 0;
    }
    if (owner >= view->owner_count)
        return 0;
    *out = view->sorted + view->offsets[owner];
    return view->offsets[owner + 1] - view->offsets[owner];
}

static int64_t key_of(const struct vz_agg_node *node, uint32_t bucket)
{
    if (!node->direct)
        return node->keys[bucket].value;
    return bucket == node->bucket_count - 1 ? -1 : (int64_t)bucket;
}

static struct vz_slice text_of(struct vz_agg_node *node, uint32_t bucket)
{
    struct view *view = view_of(node);
    if (!view->texts)
        view->texts =
            vz_arena_zalloc(node->run->arena, (node->bucket_count + 1) * sizeof(struct vz_slice));
    struct vz_slice *text = &view->texts[bucket];
    if (!text->ptr) {
        *text = vz_agg_term(node->run, node, key_of(node, bucket));
        if (!text->ptr)
            text->ptr = "";
    }
    return *text;
}

static bool is_keyword(const struct vz_agg_node *node)
{
    return node->first_field && node->first_field->column == VZ_COLUMN_ORDINAL;
}

/* ---- order -------------------------------------------------------------------------------------
 */

static double real_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int compare_keys(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    if (is_keyword(node))
        return vz_slice_cmp(text_of(node, a), text_of(node, b));
    int64_t x = key_of(node, a), y = key_of(node, b);
    if (node->is_real && node->agg->kind == VZ_AGG_TERMS) {
        double p = real_of(x), q = real_of(y);
        return (p > q) - (p < q);
    }
    return (x > y) - (x < y);
}

/* The child that a path names, and what of it; NULL when there is none. */
static struct vz_agg_node *child_of(struct vz_agg_node *node, struct vz_slice path,
                                    struct vz_slice *property)
{
    const char *dot = memchr(path.ptr, '.', path.len);
    struct vz_slice name = path;
    *property = (struct vz_slice){0};
    if (dot) {
        name.len = (size_t)(dot - path.ptr);
        *property = (struct vz_slice){dot + 1, path.len - name.len - 1};
    }
    for (size_t i = 0; i < node->agg->sub_count; i++)
        if (vz_slice_eq(node->subs[i].agg->name, name))
            return &node->subs[i];
    return NULL;
}

static double order_value(struct vz_agg_node *node, struct vz_slice path, uint32_t bucket)
{
    struct vz_slice property;
    struct vz_agg_node *child = child_of(node, path, &property);
    if (!vz_agg_is_metric(child->agg->kind)) /* filter, missing: one bucket */
        return (double)count_of(child, bucket);
    return vz_agg_metric_value(child, property, bucket);
}

/* What of a metric may be named behind its dot. */
static bool has_property(enum vz_agg_kind kind, struct vz_slice property)
{
    static const char *const names[] = {"count",          "sum",      "min",          "max", "avg",
                                        "sum_of_squares", "variance", "std_deviation"};
    if (kind != VZ_AGG_STATS && kind != VZ_AGG_EXTENDED_STATS)
        return property.len == 0 || vz_slice_is(property, "value");
    for (size_t i = 0; i < (kind == VZ_AGG_STATS ? 5 : VZ_COUNT_OF(names)); i++)
        if (vz_slice_is(property, names[i]))
            return true;
    return false;
}

static bool check_order(struct vz_agg_node *node)
{
    for (size_t i = 0; i < node->agg->order_count; i++) {
        struct vz_slice path = node->agg->order[i].path, property;
        if (vz_slice_is(path, "_count") || vz_slice_is(path, "_key"))
            continue;
        const struct vz_agg_node *child = child_of(node, path, &property);
        bool fine = child && (child->agg->kind == VZ_AGG_FILTER ? child->agg->filters.count == 1
                              : child->agg->kind == VZ_AGG_MISSING
                                  ? true
                                  : vz_agg_is_metric(child->agg->kind) &&
                                        child->agg->kind != VZ_AGG_PERCENTILES);
        if (fine && vz_agg_is_metric(child->agg->kind))
            fine = has_property(child->agg->kind, property);
        if (!fine)
            return vz_agg_fail(node->run, VZ_BAD_QUERY,
                               "Invalid aggregator order path [%.*s]. The provided aggregation "
                               "[%.*s] either does not exist, or is a pipeline aggregation and "
                               "cannot be used to sort the buckets.",
                               VZ_ARG(path), VZ_ARG(path));
    }
    return true;
}

/* Negative when `a` comes first. */
static int compare(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    const struct vz_agg *agg = node->agg;
    static const struct vz_agg_order by_count = {{"_count", 6}, true},
                                     by_key = {{"_key", 4}, false};
    const struct vz_agg_order *orders = agg->order;
    size_t count = agg->order_count;
    if (count == 0) {
        orders = agg->kind == VZ_AGG_TERMS ? &by_count : &by_key;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        int order;
        if (vz_slice_is(orders[i].path, "_count")) {
            uint64_t x = count_of(node, a), y = count_of(node, b);
            order = (x > y) - (x < y);
        } else if (vz_slice_is(orders[i].path, "_key")) {
            order = compare_keys(node, a, b);
        } else {
            double x = order_value(node, orders[i].path, a);
            double y = order_value(node, orders[i].path, b);
            if (isnan(x) || isnan(y) || isinf(x) || isinf(y)) { /* nothing comes last */
                bool no_x = !isfinite(x), no_y = !isfinite(y);
                if (no_x != no_y)
                    return no_x ? 1 : -1;
                order = 0;
            } else {
                order = (x > y) - (x < y);
            }
        }
        if (order)
            return orders[i].descending ? -order : order;
    }
    return compare_keys(node, a, b);
}

static int compare_pointers(const void *a, const void *b, void *node)
{
    return compare(node, *(const uint32_t *)a, *(const uint32_t *)b);
}

static void sift(struct vz_agg_node *node, uint32_t *heap, size_t count, size_t at)
{
    uint32_t moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && compare(node, heap[child + 1], heap[child]) > 0)
            child++;
        if (compare(node, heap[child], moving) <= 0)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* The best `size`, in order, at the array's beginning. */
static size_t select_best(struct vz_agg_node *node, uint32_t *buckets, size_t count, size_t size)
{
    if (count > size) {
        for (size_t i = size / 2; i-- > 0;) /* the worst of the kept on top */
            sift(node, buckets, size, i);
        for (size_t i = size; i < count; i++) {
            if (compare(node, buckets[i], buckets[0]) >= 0)
                continue;
            uint32_t worst = buckets[0];
            buckets[0] = buckets[i];
            buckets[i] = worst;
            sift(node, buckets, size, 0);
        }
        count = size;
    }
    if (count)
        qsort_r(buckets, count, sizeof *buckets, compare_pointers, node);
    return count;
}

/* ---- terms -------------------------------------------------------------------------------------
 */

static int by_key(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The keys of a list of values; those that no document has are left out. */
static size_t keys_of_list(struct vz_agg_node *node, struct vz_json list, int64_t **out)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json element;
    size_t count = 0;
    *out = vz_arena_alloc(node->run->arena, (vz_json_count(list) + 1) * sizeof(int64_t));
    while (vz_json_next(&it, NULL, &element)) {
        double number;
        bool truth;
        if (is_keyword(node)) {
            count += vz_agg_term_find(
                node->run, node, vz_query_scalar_text(element, node->run->arena), &(*out)[count]);
        } else if (node->first_field->type == VZ_FIELD_BOOLEAN &&
                   vz_json_as_bool(element, &truth)) {
            (*out)[count++] = truth;
        } else if (vz_json_as_double(element, &number)) {
            if (node->is_real)
                memcpy(&(*out)[count], &number, sizeof number);
            else
                (*out)[count] = (int64_t)number;
            count++;
        }
    }
    qsort(*out, count, sizeof(int64_t), by_key);
    return count;
}

static size_t keep_terms(struct vz_agg_node *node, uint32_t *buckets, size_t count)
{
    const struct vz_agg *agg = node->agg;
    int64_t *included = NULL, *excluded = NULL;
    size_t included_count = 0, excluded_count = 0, kept = 0;
    bool includes = vz_json_type(agg->include) != VZ_JSON_MISSING;
    uint64_t least = agg->has_min_doc_count ? agg->min_doc_count : 1;
    if (count && includes)
        included_count = keys_of_list(node, agg->include, &included);
    if (count && vz_json_type(agg->exclude) != VZ_JSON_MISSING)
        excluded_count = keys_of_list(node, agg->exclude, &excluded);
    for (size_t i = 0; i < count; i++) {
        int64_t key = key_of(node, buckets[i]);
        if (count_of(node, buckets[i]) < least ||
            (node->direct && key < 0 && count_of(node, buckets[i]) == 0))
            continue;
        if (includes && !bsearch(&key, included, included_count, sizeof key, by_key))
            continue;
        if (excluded_count && bsearch(&key, excluded, excluded_count, sizeof key, by_key))
            continue;
        buckets[kept++] = buckets[i];
    }
    return kept;
}

static void print_date(const struct vz_agg_node *node, int64_t ms, struct vz_buf *out)
{
    const struct vz_agg *agg = node->agg;
    struct vz_slice format = agg->format.len     ? agg->format
                             : node->first_field ? node->first_field->format
                                                 : (struct vz_slice){0};
    vz_date_print(format, ms + agg->zone_ms, out);
    if (agg->zone_ms && out->len && out->data[out->len - 1] == 'Z') {
        int64_t minutes = llabs(agg->zone_ms) / 60000;
        out->len--;
        vz_buf_printf(out, "%c%02d:%02d", agg->zone_ms < 0 ? '-' : '+', (int)(minutes / 60),
                      (int)(minutes % 60));
    }
}

static void print_term_key(struct vz_agg_node *node, uint32_t bucket, struct vz_json_writer *w)
{
    int64_t key = key_of(node, bucket);
    if (is_keyword(node)) {
        vz_json_field_string(w, "key", text_of(node, bucket));
        return;
    }
    vz_json_key(w, "key");
    if (node->is_real)
        vz_json_put_double(w, real_of(key));
    else if (node->first_field->type == VZ_FIELD_UNSIGNED_LONG)
        vz_json_put_uint(w, (uint64_t)key ^ 0x8000000000000000ull);
    else
        vz_json_put_int(w, key);
    if (node->first_field->type == VZ_FIELD_BOOLEAN)
        vz_json_field_str(w, "key_as_string", key ? "true" : "false");
    if (node->first_field->type == VZ_FIELD_DATE) {
        struct vz_buf text = {0};
        print_date(node, key, &text);
        vz_json_field_string(w, "key_as_string", vz_buf_slice(&text));
        vz_buf_deinit(&text);
    }
}

static void print_terms(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    uint32_t *buckets;
    uint64_t other = 0;
    if (!check_order(node))
        return;
    size_t count = node->first_field ? buckets_of(node, owner, &buckets) : 0;
    count = keep_terms(node, buckets, count);
    for (size_t i = 0; i < count; i++)
        other += count_of(node, buckets[i]);
    count = select_best(node, buckets, count, node->agg->size);
    for (size_t i = 0; i < count; i++)
        other -= count_of(node, buckets[i]);
    vz_json_field_int(w, "doc_count_error_upper_bound", 0);
    vz_json_field_int(w, "sum_other_doc_count", (int64_t)other);
    begin_buckets(node->agg, false, w);
    for (size_t i = 0; i < count && node->run->status == VZ_OK; i++) {
        begin_bucket(node->run, w);
        print_term_key(node, buckets[i], w);
        end_bucket(node, buckets[i], count_of(node, buckets[i]), w);
    }
    end_buckets(false, w);
}

/* ---- histograms --------------------------------------------------------------------------------
 */

/* One bucket of a histogram to print: also those that nothing fell into. */
struct step {
    int64_t key;
    uint32_t bucket;
};
struct steps {
    struct step *items;
    size_t count, capacity;
};

static bool add_step(struct vz_agg_node *node, struct steps *steps, int64_t key, uint32_t bucket)
{
    if (steps->count > VZ_MAX_BUCKETS) {
        node->run->printed = steps->count;
        return count_bucket(node->run);
    }
    if (steps->count == steps->capacity) {
        steps->capacity = steps->capacity * 2 + 64;
        steps->items = vz_realloc(steps->items, steps->capacity * sizeof *steps->items);
    }
    steps->items[steps->count++] = (struct step){key, bucket};
    return true;
}

static int64_t next_key(const struct vz_agg *agg, int64_t key)
{
    return agg->kind == VZ_AGG_DATE_HISTOGRAM ? vz_agg_date_next(agg, key) : key + 1;
}

static bool bound_key(struct vz_agg_node *node, struct vz_json bound, int64_t *key)
{
    const struct vz_agg *agg = node->agg;
    double number;
    int64_t ms;
    if (vz_json_type(bound) == VZ_JSON_MISSING || vz_json_type(bound) == VZ_JSON_NULL)
        return false;
    if (agg->kind == VZ_AGG_HISTOGRAM) {
        if (!vz_json_as_double(bound, &number))
            return false;
        *key = (int64_t)floor((number - agg->offset) / agg->interval);
        return true;
    }
    struct vz_slice text = vz_json_string(bound);
    struct vz_slice format = agg->format.len     ? agg->format
                             : node->first_field ? node->first_field->format
                                                 : (struct vz_slice){0};
    if (vz_json_is_number(bound))
        ms = vz_json_int(bound);
    else if (vz_date_parse(format, text, true, false, node->run->last ? node->run->last->now_ms : 0,
                           &ms, NULL) == VZ_OK)
        ms -= agg->zone_ms;
    else
        return false;
    *key = vz_agg_date_floor(agg, ms);
    return true;
}

static int by_bucket_key(const void *a, const void *b, void *node_void)
{
    const struct vz_agg_node *node = node_void;
    int64_t x = node->keys[*(const uint32_t *)a].value, y = node->keys[*(const uint32_t *)b].value;
    return (x > y) - (x < y);
}

/* Ascending, with the gaps filled when empty buckets are wanted. */
static void make_steps(struct vz_agg_node *node, uint32_t owner, struct steps *steps)
{
    const struct vz_agg *agg = node->agg;
    uint32_t *buckets;
    size_t count = buckets_of(node, owner, &buckets), at = 0;
    uint64_t least = agg->has_min_doc_count ? agg->min_doc_count : 0;
    int64_t low = 0, high = 0, bound;
    if (count)
        qsort_r(buckets, count, sizeof *buckets, by_bucket_key, node);
    if (least > 0) {
        for (size_t i = 0; i < count; i++)
            if (count_of(node, buckets[i]) >= least &&
                !add_step(node, steps, node->keys[buckets[i]].value, buckets[i]))
                return;
        return;
    }
    bool any = count > 0, has_low = bound_key(node, agg->bounds_min, &bound);
    if (any) {
        low = node->keys[buckets[0]].value;
        high = node->keys[buckets[count - 1]].value;
    }
    if (has_low)
        low = any ? VZ_MIN(low, bound) : bound;
    if (bound_key(node, agg->bounds_max, &bound))
        high = any ? VZ_MAX(high, bound) : bound;
    else if (!any)
        return;
    if (!any && !has_low)
        return;
    for (int64_t key = low; key <= high; key = next_key(agg, key)) {
        bool here = at < count && node->keys[buckets[at]].value == key;
        if (!add_step(node, steps, key, here ? buckets[at] : NOTHING))
            return;
        at += here;
    }
}

static int by_count_first(const void *a, const void *b, void *node_void)
{
    const struct vz_agg_node *node = node_void;
    const struct step *x = a, *y = b;
    uint64_t p = count_of(node, x->bucket), q = count_of(node, y->bucket);
    bool descending = node->agg->order[0].descending;
    if (p != q)
        return (p > q) == descending ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static void order_steps(struct vz_agg_node *node, struct steps *steps)
{
    const struct vz_agg *agg = node->agg;
    if (agg->order_count == 0 || steps->count == 0)
        return;
    if (vz_slice_is(agg->order[0].path, "_key")) {
        for (size_t i = 0; agg->order[0].descending && i < steps->count / 2; i++) {
            struct step swap = steps->items[i];
            steps->items[i] = steps->items[steps->count - 1 - i];
            steps->items[steps->count - 1 - i] = swap;
        }
    } else if (vz_slice_is(agg->order[0].path, "_count")) {
        qsort_r(steps->items, steps->count, sizeof *steps->items, by_count_first, node);
    } else {
        vz_agg_fail(node->run, VZ_UNSUPPORTED,
                    "[%s] order by [%.*s] is not supported by vizsla, only by [_key] and [_count]",
                    vz_agg_kind_name(agg->kind), VZ_ARG(agg->order[0].path));
    }
}

static void print_histogram(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    bool dates = agg->kind == VZ_AGG_DATE_HISTOGRAM;
    struct steps steps = {0};
    make_steps(node, owner, &steps);
    order_steps(node, &steps);
    begin_buckets(agg, agg->keyed, w);
    for (size_t i = 0; i < steps.count && node->run->status == VZ_OK; i++) {
        struct step step = steps.items[i];
        struct vz_buf text = {0};
        double number = (double)step.key * agg->interval + agg->offset;
        char digits[32];
        if (dates)
            print_date(node, step.key, &text);
        else
            vz_buf_append_str(&text, vz_query_number(number, digits));
        if (agg->keyed)
            vz_json_key_slice(w, vz_buf_slice(&text));
        begin_bucket(node->run, w);
        if (dates) {
            vz_json_field_string(w, "key_as_string", vz_buf_slice(&text));
            vz_json_field_int(w, "key", step.key);
        } else {
            vz_json_field_double(w, "key", number);
        }
        end_bucket(node, step.bucket, count_of(node, step.bucket), w);
        vz_buf_deinit(&text);
    }
    end_buckets(agg->keyed, w);
    free(steps.items);
}

/* ---- fixed sets --------------------------------------------------------------------------------
 */

static size_t place_of(uint32_t owner, size_t set, size_t place)
{
    return owner == NOTHING ? SIZE_MAX : owner * set + place;
}

static uint32_t bucket_at(size_t place)
{
    return place > UINT32_MAX ? NOTHING : (uint32_t)place;
}

static double range_bound(const struct vz_agg_node *node, size_t range, bool to)
{
    const double *bounds = to ? node->range_to : node->range_from;
    if (bounds)
        return bounds[range];
    struct vz_json given = to ? node->agg->ranges[range].to : node->agg->ranges[range].from;
    double number;
    return vz_json_as_double(given, &number) ? number : to ? INFINITY : -INFINITY;
}

static void bound_text(const struct vz_agg_node *node, double bound, struct vz_buf *out)
{
    char digits[32];
    bool dates = node->agg->kind == VZ_AGG_DATE_RANGE ||
                 (node->first_field && node->first_field->type == VZ_FIELD_DATE);
    vz_buf_clear(out);
    if (isinf(bound))
        vz_buf_append_char(out, '*');
    else if (dates)
        print_date(node, (int64_t)bound, out);
    else
        vz_buf_append_str(out, vz_query_number(bound, digits));
}

static int by_bounds(const void *a, const void *b, void *node)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    double p = range_bound(node, x, false), q = range_bound(node, y, false);
    if (p == q) {
        p = range_bound(node, x, true);
        q = range_bound(node, y, true);
    }
    if (p == q)
        return (x > y) - (x < y);
    return p < q ? -1 : 1;
}

static void print_range(struct vz_agg_node *node, size_t range, uint32_t owner,
                        struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    double from = range_bound(node, range, false), to = range_bound(node, range, true);
    bool dates = agg->kind == VZ_AGG_DATE_RANGE;
    struct vz_buf from_text = {0}, to_text = {0}, key = {0};
    bound_text(node, from, &from_text);
    bound_text(node, to, &to_text);
    if (agg->ranges[range].key.len)
        vz_buf_append_slice(&key, agg->ranges[range].key);
    else
        vz_buf_printf(&key, "%s-%s", from_text.data, to_text.data);
    if (agg->keyed)
        vz_json_key_slice(w, vz_buf_slice(&key));
    begin_bucket(node->run, w);
    if (!agg->keyed)
        vz_json_field_string(w, "key", vz_buf_slice(&key));
    if (!isinf(from))
        vz_json_field_double(w, "from", from);
    if (!isinf(from) && dates)
        vz_json_field_string(w, "from_as_string", vz_buf_slice(&from_text));
    if (!isinf(to))
        vz_json_field_double(w, "to", to);
    if (!isinf(to) && dates)
        vz_json_field_string(w, "to_as_string", vz_buf_slice(&to_text));
    size_t place = place_of(owner, agg->range_count, range);
    end_bucket(node, bucket_at(place), count_of(node, place), w);
    vz_buf_deinit(&from_text);
    vz_buf_deinit(&to_text);
    vz_buf_deinit(&key);
}

static void print_ranges(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    size_t *order = vz_arena_alloc(node->run->arena, (agg->range_count + 1) * sizeof *order);
    for (size_t i = 0; i < agg->range_count; i++)
        order[i] = i;
    qsort_r(order, agg->range_count, sizeof *order, by_bounds, node);
    begin_buckets(agg, agg->keyed, w);
    for (size_t i = 0; i < agg->range_count && node->run->status == VZ_OK; i++)
        print_range(node, order[i], owner, w);
    end_buckets(agg->keyed, w);
}

static void print_filters(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_agg *agg = node->agg;
    size_t set = agg->filters.count + (agg->other_key.len > 0);
    bool keyed = agg->filter_keys != NULL;
    begin_buckets(agg, keyed, w);
    for (size_t i = 0; i < set && node->run->status == VZ_OK; i++) {
        if (keyed)
            vz_json_key_slice(w, i < agg->filters.count ? agg->filter_keys[i] : agg->other_key);
        begin_bucket(node->run, w);
        size_t place = place_of(owner, set, i);
        end_bucket(node, bucket_at(place), count_of(node, place), w);
    }
    end_buckets(keyed, w);
}

/* ---- the tree ----------------------------------------------------------------------------------
 */

static const char *typed_name(const struct vz_agg_node *node)
{
    if (node->agg->kind == VZ_AGG_TERMS)
        return !node->first_field ? "umterms"
               : is_keyword(node) ? "sterms"
               : node->is_real    ? "dterms"
                                  : "lterms";
    if (node->agg->kind == VZ_AGG_PERCENTILES)
        return "tdigest_percentiles";
    return vz_agg_kind_name(node->agg->kind);
}

static void print_node(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    switch (node->agg->kind) {
    case VZ_AGG_TERMS:
        print_terms(node, owner, w);
        return;
    case VZ_AGG_HISTOGRAM:
    case VZ_AGG_DATE_HISTOGRAM:
        print_histogram(node, owner, w);
        return;
    case VZ_AGG_RANGE:
    case VZ_AGG_DATE_RANGE:
        print_ranges(node, owner, w);
        return;
    case VZ_AGG_FILTERS:
        print_filters(node, owner, w);
        return;
    case VZ_AGG_FILTER:
    case VZ_AGG_GLOBAL:
    case VZ_AGG_MISSING:
        vz_json_field_int(w, "doc_count",
                          (int64_t)count_of(node, owner == NOTHING ? SIZE_MAX : owner));
        print_list(node->run, node->subs, node->agg->sub_count, owner, w);
        return;
    default:
        vz_agg_print_metric(node, owner, w);
    }
}

static void print_list(struct vz_agg_run *run, struct vz_agg_node *nodes, size_t count,
                       uint32_t owner, struct vz_json_writer *w)
{
    for (size_t i = 0; i < count && run->status == VZ_OK; i++) {
        struct vz_agg_node *node = &nodes[i];
        struct vz_slice name = node->agg->name;
        if (run->typed)
            name = vz_slice_from(
                vz_arena_printf(run->arena, "%s#%.*s", typed_name(node), VZ_ARG(name)));
        vz_json_key_slice(w, name);
        vz_json_begin_object(w);
        if (vz_json_type(node->agg->meta) != VZ_JSON_MISSING) {
            vz_json_key(w, "meta");
            vz_json_put_value(w, node->agg->meta);
        }
        print_node(node, owner, w);
        vz_json_end_object(w);
    }
}

enum vz_status vz_agg_print(struct vz_agg_run *run, struct vz_slice *out, struct vz_error *err)
{
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    run->err = err;
    vz_json_begin_object(&writer);
    print_list(run, run->nodes, run->count, 0, &writer);
    vz_json_end_object(&writer);
    if (run->status == VZ_OK)
        *out = vz_arena_copy(run->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    run->err = NULL;
    return run->status;
}
