/* Aggregations: `order`: by count, key, or a figure below the bucket. */
#include "query/agg.h"

#include <math.h>

/* The child that a path leads to, through children of one bucket each, and what of it; NULL when
 * there is none. The bucket's number is the same for all of them. */
static struct vz_agg_node *child_of(struct vz_agg_node *node, struct vz_slice path,
                                    struct vz_slice *property)
{
    struct vz_agg_steps_of_path steps;
    struct vz_agg_node *at = node;
    if (!vz_agg_path_parse(path, &steps))
        return NULL;
    for (size_t s = 0; s < steps.count; s++) {
        struct vz_agg_node *found = NULL;
        for (size_t i = 0; i < at->agg->sub_count && !found; i++)
            if (vz_slice_eq(at->subs[i].agg->name, steps.items[s].name))
                found = &at->subs[i];
        if (!found && s + 1 == steps.count && s > 0 && vz_slice_is(steps.items[s].name, "_count")) {
            *property = VZ_SLICE("_count");
            return at;
        }
        if (!found || steps.items[s].has_key)
            return NULL;
        if (s + 1 < steps.count && !vz_agg_is_single(found->agg->kind))
            return NULL;
        at = found;
        *property = steps.items[s].property;
    }
    return at;
}

double vz_agg_order_value(struct vz_agg_node *node, struct vz_slice path, uint32_t bucket)
{
    struct vz_slice property = {0};
    struct vz_agg_node *child = child_of(node, path, &property);
    double value = NAN;
    if (!child)
        return NAN;
    if (!vz_agg_is_metric(child->agg->kind)) /* filter, nested ...: one bucket */
        return (double)vz_agg_count_of(child, bucket == VZ_AGG_NOTHING ? SIZE_MAX : bucket);
    vz_agg_metric_value(child, property, bucket, &value);
    return value;
}

static bool is_fine(struct vz_agg_node *child, struct vz_slice property)
{
    double value;
    if (!child)
        return false;
    if (vz_agg_is_single(child->agg->kind))
        return property.len == 0 || vz_slice_is(property, "_count") ||
               vz_slice_is(property, "doc_count");
    return vz_agg_is_metric(child->agg->kind) &&
           vz_agg_metric_value(child, property, VZ_AGG_NOTHING, &value);
}

bool vz_agg_check_order(struct vz_agg_node *node)
{
    for (size_t i = 0; i < node->agg->order_count; i++) {
        struct vz_slice path = node->agg->order[i].path, property = {0};
        if (vz_slice_is(path, "_count") || vz_slice_is(path, "_key"))
            continue;
        if (is_fine(child_of(node, path, &property), property))
            continue;
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "Invalid aggregator order path [%.*s]. The provided aggregation [%.*s] "
                           "either does not exist, or is a pipeline aggregation and cannot be used "
                           "to sort the buckets.",
                           VZ_ARG(path), VZ_ARG(path));
    }
    return true;
}

static int compare_keys(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    int64_t x = vz_agg_key_at(node, a), y = vz_agg_key_at(node, b);
    if (node->agg->kind == VZ_AGG_MULTI_TERMS) {
        int64_t p[VZ_MAX_AGG_SOURCES], q[VZ_MAX_AGG_SOURCES];
        vz_agg_key_parts(node, x, p);
        vz_agg_key_parts(node, y, q);
        return vz_agg_compare_parts(node, p, q);
    }
    return vz_agg_compare_keys(&node->values[0], x, y);
}

int vz_agg_compare(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    const struct vz_agg *agg = node->agg;
    static const struct vz_agg_order by_count = {{"_count", 6}, true};
    const struct vz_agg_order *orders = agg->order_count ? agg->order : &by_count;
    size_t count = agg->order_count ? agg->order_count : 1;
    for (size_t i = 0; i < count; i++) {
        int order = 0;
        if (vz_slice_is(orders[i].path, "_count")) {
            uint64_t x = vz_agg_count_of(node, a), y = vz_agg_count_of(node, b);
            order = (x > y) - (x < y);
        } else if (vz_slice_is(orders[i].path, "_key")) {
            order = compare_keys(node, a, b);
        } else {
            double x = vz_agg_order_value(node, orders[i].path, a);
            double y = vz_agg_order_value(node, orders[i].path, b);
            if (!isfinite(x) || !isfinite(y)) { /* nothing comes last */
                if (isfinite(x) != isfinite(y))
                    return isfinite(x) ? -1 : 1;
            } else {
                order = (x > y) - (x < y);
            }
        }
        if (order)
            return orders[i].descending ? -order : order;
    }
    return compare_keys(node, a, b);
}
