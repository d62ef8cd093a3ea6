/* query/filter_types.c - leaf queries on fields that are asked in a way of their own: addresses and
 * constants. */
#include "query/filter.h"

#include "store/ip.h"
#include "text/postings.h"

#include <stdlib.h>

/* ---- ip ------------------------------------------------------------------------------------ */

struct ip_range {
    unsigned char low[VZ_IP_BYTES], high[VZ_IP_BYTES];
};
struct ip_ranges {
    struct ip_range *items; /* ascending, not overlapping */
    size_t count;
};

static int by_low(const void *a, const void *b)
{
    const struct ip_range *x = a, *y = b;
    return memcmp(x->low, y->low, VZ_IP_BYTES);
}

static bool in_ranges(const void *context, struct vz_slice term)
{
    const struct ip_ranges *ranges = context;
    unsigned char address[VZ_IP_BYTES];
    size_t low = 0, high = ranges->count;
    if (vz_ip_parse(term, address, NULL) != VZ_OK)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(ranges->items[middle].low, address, VZ_IP_BYTES) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low && memcmp(ranges->items[low - 1].high, address, VZ_IP_BYTES) >= 0;
}

static void join(struct ip_ranges *ranges)
{
    size_t kept = 0;
    qsort(ranges->items, ranges->count, sizeof *ranges->items, by_low);
    for (size_t i = 1; i < ranges->count; i++) {
        struct ip_range *last = &ranges->items[kept], *next = &ranges->items[i];
        if (memcmp(next->low, last->high, VZ_IP_BYTES) > 0)
            ranges->items[++kept] = *next;
        else if (memcmp(next->high, last->high, VZ_IP_BYTES) > 0)
            memcpy(last->high, next->high, VZ_IP_BYTES);
    }
    if (ranges->count)
        ranges->count = kept + 1;
}

static enum vz_status read_ip(struct vz_eval *eval, struct vz_json value, bool with_cidr,
                              struct ip_range *out, struct vz_error *err)
{
    struct vz_slice text = vz_query_scalar_text(value, eval->arena);
    struct vz_error inner = {0};
    enum vz_status status;
    if (with_cidr && text.len && memchr(text.ptr, '/', text.len))
        status = vz_ip_parse_cidr(text, out->low, out->high, &inner);
    else {
        status = vz_ip_parse(text, out->low, &inner);
        memcpy(out->high, out->low, VZ_IP_BYTES);
    }
    return status == VZ_OK ? VZ_OK : vz_query_fail(err, VZ_BAD_QUERY, "%s", inner.text);
}

/* One further or nearer; false when there is none. */
static bool step(unsigned char address[VZ_IP_BYTES], int by)
{
    for (int i = VZ_IP_BYTES - 1; i >= 0; i--) {
        address[i] = (unsigned char)(address[i] + by);
        if (address[i] != (by > 0 ? 0 : 0xFF))
            return true;
    }
    return false;
}

static enum vz_status range_ip(struct vz_eval *eval, const struct vz_node *node,
                               struct ip_ranges *ranges, struct vz_error *err)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    struct ip_range *range = ranges->items, bound;
    enum vz_status status = VZ_OK;
    bool some = true;
    memset(range->low, 0, VZ_IP_BYTES);
    memset(range->high, 0xFF, VZ_IP_BYTES);
    if (lower->set && (status = read_ip(eval, lower->value, false, &bound, err)) == VZ_OK) {
        memcpy(range->low, bound.low, VZ_IP_BYTES);
        some = lower->inclusive || step(range->low, 1);
    }
    if (status == VZ_OK && upper->set &&
        (status = read_ip(eval, upper->value, false, &bound, err)) == VZ_OK) {
        memcpy(range->high, bound.low, VZ_IP_BYTES);
        some &= upper->inclusive || step(range->high, -1);
    }
    ranges->count = some && memcmp(range->low, range->high, VZ_IP_BYTES) <= 0;
    return status;
}

static enum vz_status read_ranges(struct vz_eval *eval, const struct vz_node *node,
                                  struct ip_ranges *ranges, struct vz_error *err)
{
    size_t room = node->kind == VZ_NODE_RANGE ? 1 : node->value_count + 1;
    ranges->items = vz_arena_alloc(eval->arena, room * sizeof *ranges->items);
    ranges->count = 0;
    if (node->kind == VZ_NODE_RANGE)
        return range_ip(eval, node, ranges, err);
    for (size_t i = 0; i < node->value_count; i++) {
        enum vz_status status =
            read_ip(eval, node->values[i], true, &ranges->items[ranges->count], err);
        if (status != VZ_OK && node->lenient)
            continue;
        if (status != VZ_OK)
            return status;
        ranges->count++;
    }
    join(ranges);
    return VZ_OK;
}

enum vz_status vz_ip_eval(struct vz_eval *eval, const struct vz_node *node,
                          const struct vz_field *field, const struct vz_column *column,
                          struct vz_docset *out, struct vz_error *err)
{
    struct ip_ranges ranges;
    char text[VZ_IP_TEXT];
    uint32_t ordinal;
    enum vz_status status = read_ranges(eval, node, &ranges, err);
    if (status != VZ_OK || ranges.count == 0)
        return status;
    if (ranges.count > 1 || memcmp(ranges.items->low, ranges.items->high, VZ_IP_BYTES) != 0) {
        vz_scan_dictionary(eval, field, column, in_ranges, &ranges, out);
        return VZ_OK;
    }
    vz_ip_print(ranges.items->low, text);
    if (!vz_snapshot_term_ordinal(eval->snap, field->id, vz_slice_from(text), &ordinal))
        return VZ_OK;
    vz_docset_begin(out, eval);
    vz_scan_ordinal(column, ordinal, &out->bits);
    return VZ_OK;
}

enum vz_status vz_ip_matches(struct vz_eval *eval, const struct vz_node *node,
                             struct vz_slice address, bool *matches, struct vz_error *err)
{
    struct ip_ranges ranges;
    *matches = false;
    enum vz_status status = read_ranges(eval, node, &ranges, err);
    if (status == VZ_OK)
        *matches = in_ranges(&ranges, address);
    return status;
}

struct vz_slice vz_ip_sort_key(struct vz_slice text, struct vz_arena *arena)
{
    unsigned char address[VZ_IP_BYTES];
    if (vz_ip_parse(text, address, NULL) != VZ_OK)
        return text;
    return vz_arena_copy(arena, (struct vz_slice){(const char *)address, VZ_IP_BYTES});
}

void vz_ip_put_sort_key(struct vz_slice key, struct vz_json_writer *writer)
{
    char text[VZ_IP_TEXT];
    unsigned char address[VZ_IP_BYTES];
    if (key.len != VZ_IP_BYTES) {
        vz_json_put_string(writer, key);
        return;
    }
    memcpy(address, key.ptr, VZ_IP_BYTES);
    vz_ip_print(address, text);
    vz_json_put_str(writer, text);
}

/* ---- constants ----------------------------------------------------------------------------- */

static bool term_is(struct vz_eval *eval, const struct vz_node *node, struct vz_slice value)
{
    for (size_t i = 0; i < node->value_count; i++) {
        struct vz_slice wanted = vz_query_scalar_text(node->values[i], eval->arena);
        if (node->fold_case ? vz_folded_equal(value, wanted) : vz_slice_eq(value, wanted))
            return true;
    }
    return false;
}

static bool in_bounds(struct vz_eval *eval, const struct vz_node *node, struct vz_slice value)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    int low = 1, high = -1;
    if (lower->set)
        low = vz_slice_cmp(value, vz_query_scalar_text(lower->value, eval->arena));
    if (upper->set)
        high = vz_slice_cmp(value, vz_query_scalar_text(upper->value, eval->arena));
    return (low > 0 || (low == 0 && lower->inclusive)) &&
           (high < 0 || (high == 0 && upper->inclusive));
}

enum vz_status vz_constant_eval(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, struct vz_docset *out,
                                struct vz_error *err)
{
    bool matches = field->has_value;
    struct vz_walk walk;
    enum vz_status status = VZ_OK;
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
        matches = matches && term_is(eval, node, field->value);
        break;
    case VZ_NODE_RANGE:
        matches = matches && in_bounds(eval, node, field->value);
        break;
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
        matches = matches && vz_pattern_matches(node, field->value);
        break;
    case VZ_NODE_REGEXP:
        walk = vz_regexp_walk(node);
        status = vz_walk_matches(&walk, field->value, &matches, err);
        matches = matches && field->has_value;
        break;
    case VZ_NODE_EXISTS:
        break;
    default:
        return vz_fail(err, VZ_UNSUPPORTED,
                       "this query on the [constant_keyword] field [%.*s] is not supported yet by "
                       "vizsla",
                       VZ_ARG(field->path));
    }
    if (status == VZ_OK && matches)
        out->kind = VZ_SET_ALL;
    return status;
}
