/* terms: include and exclude: lists of values, regular expressions, partitions. */
#include "query/agg.h"
#include "text/postings.h"

#include <stdlib.h>

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
    while (vz_json_next(&it, NULL, &element))
        count += vz_agg_key_of(&node->values[0], element, &(*out)[count]);
    qsort(*out, count, sizeof(int64_t), by_key);
    return count;
}

/* MurmurHash3 x86 32 (public domain, Austin Appleby), with the seed that Elasticsearch uses. */
static uint32_t murmur(struct vz_slice text, uint32_t seed)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    uint32_t hash = seed, k;
    size_t i = 0;
    for (; i + 4 <= text.len; i += 4) {
        memcpy(&k, p + i, 4);
        k *= 0xcc9e2d51u;
        k = k << 15 | k >> 17;
        hash ^= k * 0x1b873593u;
        hash = hash << 13 | hash >> 19;
        hash = hash * 5 + 0xe6546b64u;
    }
    k = 0;
    for (size_t rest = text.len - i; rest-- > 0;)
        k = k << 8 | p[i + rest];
    if (text.len > i) {
        k *= 0xcc9e2d51u;
        k = k << 15 | k >> 17;
        hash ^= k * 0x1b873593u;
    }
    hash ^= (uint32_t)text.len;
    hash ^= hash >> 16;
    hash *= 0x85ebca6bu;
    hash ^= hash >> 13;
    hash *= 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

/* hppc's mixing of 64 bits, for numbers. */
static int32_t mix(int64_t key)
{
    uint64_t z = (uint64_t)key;
    z = (z ^ z >> 32) * 0x4cd6944c5cc20b6dull;
    z = (z ^ z >> 29) * 0xfc12c5b19d3259e9ull;
    return (int32_t)(z ^ z >> 32);
}

static bool in_partition(struct vz_agg_values *values, const struct vz_agg_terms_filter *filter,
                         int64_t key)
{
    int32_t hash = values->class == VZ_CLASS_TEXT ? (int32_t)murmur(vz_agg_term(values, key), 31)
                                                  : mix(key);
    int32_t rest = hash % (int32_t)filter->partitions;
    if (rest < 0)
        rest += (int32_t)filter->partitions;
    return (uint32_t)rest == filter->partition;
}

struct side {
    const struct vz_agg_terms_filter *filter;
    bool given;
    int64_t *keys;
    size_t count;
    struct vz_matcher *matcher; /* of its text; or NULL */
};

static bool open_side(struct vz_agg_node *node, const struct vz_agg_terms_filter *filter,
                      struct side *side)
{
    *side = (struct side){.filter = filter};
    side->given = filter->text.len || filter->has_partition ||
                  vz_json_type(filter->list) != VZ_JSON_MISSING;
    if (filter->text.len && node->values[0].class != VZ_CLASS_TEXT)
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "Aggregation [%.*s] cannot support regular expression style "
                           "include/exclude settings as they can only be applied to string fields. "
                           "Use an array of values for include/exclude clauses",
                           VZ_ARG(node->agg->name));
    if (filter->text.len) {
        struct vz_walk walk = {.kind = VZ_WALK_REGEXP, .text = filter->text};
        struct vz_error inner = {0};
        if (vz_matcher_open(&walk, &side->matcher, &inner) != VZ_OK)
            vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "%s", inner.text);
    }
    if (vz_json_type(filter->list) != VZ_JSON_MISSING)
        side->count = keys_of_list(node, filter->list, &side->keys);
    return node->run->status == VZ_OK;
}

static bool matches(struct vz_agg_node *node, const struct side *side, int64_t key)
{
    struct vz_agg_values *values = &node->values[0];
    if (side->filter->has_partition)
        return in_partition(values, side->filter, key);
    if (side->filter->text.len) {
        return vz_matcher_matches(side->matcher, vz_agg_term(values, key));
    }
    return side->count && bsearch(&key, side->keys, side->count, sizeof key, by_key);
}

/* A key within a flattened field shares its dictionary with other keys. */
static bool is_of_key(const struct vz_agg_values *values, int64_t key)
{
    const struct vz_agg_run *run = values->node->run;
    return values->numbered || !values->first_field || values->first_field->key.len == 0 ||
           vz_field_has_ordinal(run->last, values->first_field, (uint32_t)key, run->arena);
}

size_t vz_agg_keep_terms(struct vz_agg_node *node, uint32_t *buckets, size_t count)
{
    const struct vz_agg *agg = node->agg;
    struct side include = {0}, exclude = {0};
    size_t kept = 0;
    bool terms = agg->kind == VZ_AGG_TERMS || agg->kind == VZ_AGG_MULTI_TERMS;
    uint64_t least = !terms ? 0 : agg->has_min_doc_count ? agg->min_doc_count : 1;
    if (count == 0)
        return 0;
    bool open =
        open_side(node, &agg->include, &include) && open_side(node, &agg->exclude, &exclude);
    for (size_t i = 0; open && i < count && node->run->status == VZ_OK; i++) {
        int64_t key = vz_agg_key_at(node, buckets[i]);
        uint64_t here = vz_agg_count_of(node, buckets[i]);
        if (here < least || (node->direct && key < 0 && here == 0))
            continue;
        if (here == 0 && !is_of_key(&node->values[0], key))
            continue;
        if (include.given && !matches(node, &include, key))
            continue;
        if (exclude.given && matches(node, &exclude, key))
            continue;
        buckets[kept++] = buckets[i];
    }
    vz_matcher_close(include.matcher);
    vz_matcher_close(exclude.matcher);
    return kept;
}
