/* Documents at random and a search engine of the plainest kind over them: loops over structs. What
 * the query room answers is held against it. Shares no code with src/query. */
#ifndef TESTS_QUERY_NAIVE_H
#define TESTS_QUERY_NAIVE_H

#include "support.h"

#include "base/text.h"

#include <math.h>

#define DIMS 8
#define VZ_ARG_(slice) (int)(slice).len, (slice).ptr
#define BREEDS 12
#define KINDS 4 /* cosine, dot_product, l2_norm, max_inner_product */

struct pup {
    bool live;
    char id[16];
    uint32_t order; /* of the write that made it: docno order within an index */
    unsigned index;
    unsigned breed_count, breeds[3]; /* numbers, see breed_name */
    bool has_age, has_price, has_ok, has_born, has_vectors;
    int age, ages_more; /* a second age when ages_more >= 0 */
    double price;
    bool ok;
    int64_t born;
    float vec[KINDS][DIMS];
};

struct kennel {
    struct pup *pups;
    size_t count, capacity;
    uint64_t rng;
    uint32_t writes;
};

static const char *const naive_mapping =
    "{\"mappings\":{\"properties\":{\"breed\":{\"type\":\"keyword\"},"
    "\"age\":{\"type\":\"integer\"},\"price\":{\"type\":\"double\"},"
    "\"ok\":{\"type\":\"boolean\"},\"born\":{\"type\":\"date\"},"
    "\"v0\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"cosine\"},"
    "\"v1\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"dot_product\"},"
    "\"v2\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"l2_norm\"},"
    "\"v3\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"max_inner_product\"}}}}";

static inline const char *breed_name(unsigned breed)
{
    static const char *const names[BREEDS] = {"puli",
                                              "Pumi",
                                              "vizsla",
                                              "mudi",
                                              "kuvasz",
                                              "agar",
                                              "komondor",
                                              "beagle",
                                              "jack russel",
                                              "collie",
                                              "\xc3\xa1rp\xc3\xa1"
                                              "dos",
                                              "pug"};
    return names[breed];
}

static inline unsigned pick(uint64_t *rng, unsigned below)
{
    return (unsigned)(vz_rng_next(rng) % below);
}

static inline void random_vector(uint64_t *rng, unsigned kind, float *out)
{
    double sum = 0;
    for (int d = 0; d < DIMS; d++) {
        out[d] = (float)vz_rng_normal(rng);
        sum += (double)out[d] * (double)out[d];
    }
    if (kind == 1)
        for (int d = 0; d < DIMS; d++)
            out[d] = (float)((double)out[d] / sqrt(sum));
}

static inline void print_vector(struct vz_buf *out, const float *vector)
{
    vz_buf_append_char(out, '[');
    for (int d = 0; d < DIMS; d++)
        vz_buf_printf(out, "%s%.9g", d ? "," : "", (double)vector[d]);
    vz_buf_append_char(out, ']');
}

static inline void fill_pup(struct kennel *kennel, struct pup *pup)
{
    uint64_t *rng = &kennel->rng;
    pup->breed_count = pick(rng, 8) == 0 ? 0 : pick(rng, 4) == 0 ? 2 : 1;
    for (unsigned i = 0; i < pup->breed_count; i++)
        pup->breeds[i] = pick(rng, BREEDS);
    pup->has_age = pick(rng, 6) != 0;
    pup->age = (int)pick(rng, 15) - 2;
    pup->ages_more = pup->has_age && pick(rng, 5) == 0 ? (int)pick(rng, 30) : -1;
    pup->has_price = pick(rng, 5) != 0;
    pup->price = (double)pick(rng, 400) / 8 - 10;
    pup->has_ok = pick(rng, 3) != 0;
    pup->ok = pick(rng, 3) == 0;
    pup->has_born = pick(rng, 4) != 0;
    pup->born = 1577836800000ll + (int64_t)pick(rng, 1000) * 43200000ll;
    pup->has_vectors = pick(rng, 7) != 0;
    for (unsigned k = 0; k < KINDS; k++)
        random_vector(rng, k, pup->vec[k]);
}

static inline void print_pup(const struct pup *pup, struct vz_buf *out)
{
    vz_buf_printf(out, "{\"n\":%u", pup->order);
    if (pup->breed_count == 1)
        vz_buf_printf(out, ",\"breed\":\"%s\"", breed_name(pup->breeds[0]));
    if (pup->breed_count == 2)
        vz_buf_printf(out, ",\"breed\":[\"%s\",\"%s\"]", breed_name(pup->breeds[0]),
                      breed_name(pup->breeds[1]));
    if (pup->has_age && pup->ages_more < 0)
        vz_buf_printf(out, ",\"age\":%d", pup->age);
    if (pup->has_age && pup->ages_more >= 0)
        vz_buf_printf(out, ",\"age\":[%d,%d]", pup->age, pup->ages_more);
    if (pup->has_price)
        vz_buf_printf(out, ",\"price\":%.17g", pup->price);
    if (pup->has_ok)
        vz_buf_printf(out, ",\"ok\":%s", pup->ok ? "true" : "false");
    if (pup->has_born)
        vz_buf_printf(out, ",\"born\":%lld", (long long)pup->born);
    for (unsigned k = 0; k < KINDS && pup->has_vectors; k++) {
        vz_buf_printf(out, ",\"v%u\":", k);
        print_vector(out, pup->vec[k]);
    }
    vz_buf_append_char(out, '}');
}

/* A new pup in an index, or a new version of a live one; deletes some. */
static inline void write_pups(struct kennel *kennel, struct fixture *fixture, unsigned index,
                              unsigned writes)
{
    struct vz_buf text = {0};
    for (unsigned i = 0; i < writes; i++) {
        struct pup *old = NULL;
        unsigned what = pick(&kennel->rng, 10);
        for (unsigned tries = 0; what < 3 && kennel->count && tries < 20 && !old; tries++) {
            struct pup *p = &kennel->pups[pick(&kennel->rng, (unsigned)kennel->count)];
            if (p->live && p->index == index)
                old = p;
        }
        kennel->writes++;
        if (old && what == 0) {
            put_doc(fixture->index[index], old->id, NULL);
            old->live = false;
            continue;
        }
        if (kennel->count == kennel->capacity) {
            size_t at = old ? (size_t)(old - kennel->pups) : 0;
            kennel->capacity = kennel->capacity * 2 + 256;
            kennel->pups = vz_realloc(kennel->pups, kennel->capacity * sizeof(*kennel->pups));
            if (old)
                old = kennel->pups + at;
        }
        struct pup *pup = &kennel->pups[kennel->count++];
        *pup = (struct pup){.live = true, .order = kennel->writes, .index = index};
        snprintf(pup->id, sizeof(pup->id), "%u-%u", index, kennel->writes);
        if (old) {
            memcpy(pup->id, old->id, sizeof(pup->id));
            old->live = false;
        }
        fill_pup(kennel, pup);
        vz_buf_clear(&text);
        print_pup(pup, &text);
        put_doc(fixture->index[index], pup->id, text.data);
    }
    vz_buf_deinit(&text);
    refresh(fixture->index[index]);
}

/* ---- queries --------------------------------------------------------------------------------- */

enum ask_kind {
    ASK_ALL,
    ASK_NONE,
    ASK_BREED,
    ASK_BREEDS,
    ASK_BREED_FOLDED,
    ASK_PREFIX,
    ASK_WILDCARD,
    ASK_BREED_RANGE,
    ASK_AGE,
    ASK_AGES,
    ASK_AGE_RANGE,
    ASK_PRICE,
    ASK_PRICE_RANGE,
    ASK_OK,
    ASK_BORN_RANGE,
    ASK_BORN_DAY,
    ASK_EXISTS,
    ASK_IDS,
    ASK_MATCH_BREED,
    ASK_LEAVES, /* compounds from here */
    ASK_BOOL = ASK_LEAVES,
    ASK_CONSTANT,
    ASK_DIS_MAX,
    ASK_BOOSTING,
    ASK_KINDS
};

struct ask {
    enum ask_kind kind;
    double boost;
    unsigned breeds[3], count;
    int low, high;
    bool low_open, high_open, flag;
    double number, factor;
    unsigned field; /* EXISTS */
    char ids[3][16];
    int minimum; /* BOOL: -100 none given */
    struct ask *must[3], *filter[2], *should[4], *must_not[2];
    unsigned must_count, filter_count, should_count, not_count;
};

static const char *const exists_fields[] = {"breed", "age", "price", "ok", "born", "v0", "nothing"};

static inline struct ask *random_ask(struct kennel *kennel, struct vz_arena *arena, unsigned depth)
{
    uint64_t *rng = &kennel->rng;
    struct ask *ask = vz_arena_zalloc(arena, sizeof(*ask));
    ask->kind = (enum ask_kind)pick(rng, depth ? ASK_KINDS : ASK_LEAVES);
    if (depth && pick(rng, 3) == 0)
        ask->kind = ASK_BOOL;
    ask->boost = pick(rng, 3) ? 1 : 0.25 * (1 + pick(rng, 8));
    ask->count = 1 + pick(rng, 3);
    for (unsigned i = 0; i < 3; i++)
        ask->breeds[i] = pick(rng, BREEDS);
    ask->low = (int)pick(rng, 15) - 3;
    ask->high = ask->low + (int)pick(rng, 8);
    ask->low_open = pick(rng, 2);
    ask->high_open = pick(rng, 2);
    ask->flag = pick(rng, 2);
    ask->number = (double)pick(rng, 400) / 8 - 10;
    ask->factor = 0.1 * pick(rng, 10);
    ask->field = pick(rng, VZ_COUNT_OF(exists_fields));
    for (unsigned i = 0; i < 3; i++)
        snprintf(ask->ids[i], 16, "%s", kennel->pups[pick(rng, (unsigned)kennel->count)].id);
    ask->minimum = -100;
    if (ask->kind < ASK_LEAVES)
        return ask;
    ask->must_count = pick(rng, 3);
    ask->filter_count = pick(rng, 3);
    ask->should_count = pick(rng, 5);
    ask->not_count = pick(rng, 3) == 0 ? 1 : 0;
    if (pick(rng, 3) == 0)
        ask->minimum = (int)pick(rng, 5) - 2;
    if (ask->kind != ASK_BOOL) { /* 1, 1..4, 2 parts */
        ask->should_count = ask->kind == ASK_CONSTANT   ? 1
                            : ask->kind == ASK_BOOSTING ? 2
                                                        : 1 + pick(rng, 4);
    }
    for (unsigned i = 0; i < ask->must_count; i++)
        ask->must[i] = random_ask(kennel, arena, depth - 1);
    for (unsigned i = 0; i < ask->filter_count; i++)
        ask->filter[i] = random_ask(kennel, arena, depth - 1);
    for (unsigned i = 0; i < ask->should_count; i++)
        ask->should[i] = random_ask(kennel, arena, depth - 1);
    for (unsigned i = 0; i < ask->not_count; i++)
        ask->must_not[i] = random_ask(kennel, arena, depth - 1);
    return ask;
}

static inline void print_ask(const struct ask *ask, struct vz_buf *out);

static inline void print_list(const char *name, struct ask *const *asks, unsigned count,
                              struct vz_buf *out, bool *comma)
{
    if (!count)
        return;
    vz_buf_printf(out, "%s\"%s\":[", *comma ? "," : "", name);
    for (unsigned i = 0; i < count; i++) {
        if (i)
            vz_buf_append_char(out, ',');
        print_ask(asks[i], out);
    }
    vz_buf_append_char(out, ']');
    *comma = true;
}

static inline void print_ask(const struct ask *ask, struct vz_buf *out)
{
    double b = ask->boost;
    const char *name = breed_name(ask->breeds[0]);
    char part[32];
    bool comma = false;
    switch (ask->kind) {
    case ASK_ALL:
        vz_buf_printf(out, "{\"match_all\":{\"boost\":%g}}", b);
        break;
    case ASK_NONE:
        vz_buf_append_str(out, "{\"match_none\":{}}");
        break;
    case ASK_BREED:
        if (b == 1)
            vz_buf_printf(out, "{\"term\":{\"breed\":\"%s\"}}", name);
        else
            vz_buf_printf(out, "{\"term\":{\"breed\":{\"value\":\"%s\",\"boost\":%g}}}", name, b);
        break;
    case ASK_MATCH_BREED:
        vz_buf_printf(out, "{\"match\":{\"breed\":{\"query\":\"%s\",\"boost\":%g}}}", name, b);
        break;
    case ASK_BREED_FOLDED:
        vz_buf_printf(out,
                      "{\"term\":{\"breed\":{\"value\":\"%c%s\",\"case_insensitive\":true,"
                      "\"boost\":%g}}}",
                      name[0] >= 'a' && name[0] <= 'z' ? name[0] - 32 : name[0], name + 1, b);
        break;
    case ASK_BREEDS:
        vz_buf_append_str(out, "{\"terms\":{\"breed\":[");
        for (unsigned i = 0; i < ask->count; i++)
            vz_buf_printf(out, "%s\"%s\"", i ? "," : "", breed_name(ask->breeds[i]));
        vz_buf_printf(out, "],\"boost\":%g}}", b);
        break;
    case ASK_PREFIX:
        vz_buf_printf(out, "{\"prefix\":{\"breed\":{\"value\":\"%.2s\",\"boost\":%g}}}", name, b);
        break;
    case ASK_WILDCARD:
        snprintf(part, sizeof(part), "%s", name + strlen(name) - 2);
        vz_buf_printf(out, "{\"wildcard\":{\"breed\":{\"value\":\"?*%s\",\"boost\":%g}}}", part, b);
        break;
    case ASK_BREED_RANGE:
        vz_buf_printf(out, "{\"range\":{\"breed\":{\"%s\":\"%s\",\"boost\":%g}}}",
                      ask->flag ? "gte" : "lt", name, b);
        break;
    case ASK_AGE:
        vz_buf_printf(out, "{\"term\":{\"age\":{\"value\":%d,\"boost\":%g}}}", ask->low, b);
        break;
    case ASK_AGES:
        vz_buf_printf(out, "{\"terms\":{\"age\":[%d,\"%d\",%d.5],\"boost\":%g}}", ask->low,
                      ask->high, ask->low, b);
        break;
    case ASK_AGE_RANGE:
        vz_buf_printf(out, "{\"range\":{\"age\":{\"%s\":%d%s,\"%s\":\"%d\",\"boost\":%g}}}",
                      ask->low_open ? "gt" : "gte", ask->low, ask->flag ? ".0" : "",
                      ask->high_open ? "lt" : "lte", ask->high, b);
        break;
    case ASK_PRICE:
        vz_buf_printf(out, "{\"term\":{\"price\":{\"value\":%.17g,\"boost\":%g}}}", ask->number, b);
        break;
    case ASK_PRICE_RANGE:
        vz_buf_printf(out, "{\"range\":{\"price\":{\"%s\":%.17g,\"boost\":%g}}}",
                      ask->flag ? (ask->low_open ? "gt" : "gte") : (ask->high_open ? "lt" : "lte"),
                      ask->number, b);
        break;
    case ASK_OK:
        vz_buf_printf(out, "{\"term\":{\"ok\":{\"value\":%s,\"boost\":%g}}}",
                      ask->flag ? "true" : "\"false\"", b);
        break;
    case ASK_BORN_RANGE:
        vz_buf_printf(out, "{\"range\":{\"born\":{\"%s\":\"2020-%02d-01\",\"boost\":%g}}}",
                      ask->flag ? (ask->low_open ? "gt" : "gte") : (ask->high_open ? "lt" : "lte"),
                      1 + ((ask->low + 3) % 12), b);
        break;
    case ASK_BORN_DAY:
        vz_buf_printf(out, "{\"term\":{\"born\":{\"value\":\"2020-01-%02d\",\"boost\":%g}}}",
                      4 + ask->low, b);
        break;
    case ASK_EXISTS:
        vz_buf_printf(out, "{\"exists\":{\"field\":\"%s\",\"boost\":%g}}",
                      exists_fields[ask->field], b);
        break;
    case ASK_IDS:
        vz_buf_printf(out, "{\"ids\":{\"values\":[\"%s\",\"%s\",\"%s\"],\"boost\":%g}}",
                      ask->ids[0], ask->ids[1], ask->ids[2], b);
        break;
    case ASK_BOOL:
        vz_buf_append_str(out, "{\"bool\":{");
        print_list("must", ask->must, ask->must_count, out, &comma);
        print_list("filter", ask->filter, ask->filter_count, out, &comma);
        print_list("should", ask->should, ask->should_count, out, &comma);
        print_list("must_not", ask->must_not, ask->not_count, out, &comma);
        if (ask->minimum != -100)
            vz_buf_printf(out, "%s\"minimum_should_match\":%d", comma ? "," : "", ask->minimum);
        comma |= ask->minimum != -100;
        vz_buf_printf(out, "%s\"boost\":%g}}", comma ? "," : "", b);
        break;
    case ASK_CONSTANT:
        vz_buf_append_str(out, "{\"constant_score\":{\"filter\":");
        print_ask(ask->should[0], out);
        vz_buf_printf(out, ",\"boost\":%g}}", b);
        break;
    case ASK_DIS_MAX:
        vz_buf_append_str(out, "{\"dis_max\":{");
        print_list("queries", ask->should, ask->should_count, out, &comma);
        vz_buf_printf(out, ",\"tie_breaker\":%g,\"boost\":%g}}", ask->factor, b);
        break;
    case ASK_BOOSTING:
        vz_buf_append_str(out, "{\"boosting\":{\"positive\":");
        print_ask(ask->should[0], out);
        vz_buf_append_str(out, ",\"negative\":");
        print_ask(ask->should[1], out);
        vz_buf_printf(out, ",\"negative_boost\":%g,\"boost\":%g}}", ask->factor, b);
        break;
    default:
        break;
    }
}

static inline bool has_breed(const struct pup *pup, unsigned breed)
{
    for (unsigned i = 0; i < pup->breed_count; i++)
        if (pup->breeds[i] == breed)
            return true;
    return false;
}

static inline bool any_breed(const struct pup *pup,
                             bool (*test)(const char *name, const struct ask *ask),
                             const struct ask *ask)
{
    for (unsigned i = 0; i < pup->breed_count; i++)
        if (test(breed_name(pup->breeds[i]), ask))
            return true;
    return false;
}

static inline bool test_prefix(const char *name, const struct ask *ask)
{
    return strncmp(name, breed_name(ask->breeds[0]), 2) == 0;
}

static inline bool test_suffix(const char *name, const struct ask *ask)
{
    const char *wanted = breed_name(ask->breeds[0]);
    size_t len = strlen(name), wanted_len = strlen(wanted);
    /* "?*xy": at least one character more than the two bytes */
    return len > 2 && strcmp(name + len - 2, wanted + wanted_len - 2) == 0;
}

static inline bool test_folded(const char *name, const struct ask *ask)
{
    return strcasecmp(name, breed_name(ask->breeds[0])) == 0;
}

static inline bool test_range(const char *name, const struct ask *ask)
{
    int order = strcmp(name, breed_name(ask->breeds[0]));
    return ask->flag ? order >= 0 : order < 0;
}

static inline bool age_is(const struct pup *pup, double low, double high)
{
    if (!pup->has_age)
        return false;
    return (pup->age >= low && pup->age <= high) ||
           (pup->ages_more >= 0 && pup->ages_more >= low && pup->ages_more <= high);
}

static inline bool matches(const struct ask *ask, const struct pup *pup);

static inline int needed(const struct ask *ask)
{
    int count = (int)ask->should_count, minimum = 0;
    if (ask->minimum != -100)
        minimum = ask->minimum < 0 ? count + ask->minimum : ask->minimum;
    if (minimum < 0)
        minimum = 0;
    if (minimum == 0 && count && ask->must_count + ask->filter_count == 0)
        minimum = 1;
    return minimum;
}

static inline bool bool_matches(const struct ask *ask, const struct pup *pup)
{
    int should = 0;
    if (ask->must_count + ask->filter_count + ask->should_count + ask->not_count == 0)
        return true;
    for (unsigned i = 0; i < ask->must_count; i++)
        if (!matches(ask->must[i], pup))
            return false;
    for (unsigned i = 0; i < ask->filter_count; i++)
        if (!matches(ask->filter[i], pup))
            return false;
    for (unsigned i = 0; i < ask->not_count; i++)
        if (matches(ask->must_not[i], pup))
            return false;
    for (unsigned i = 0; i < ask->should_count; i++)
        should += matches(ask->should[i], pup);
    return should >= needed(ask);
}

/* The first millisecond of a month of 2020. */
static inline int64_t month_ms(int month)
{
    static const int days[] = {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335};
    return 1577836800000ll + days[month - 1] * 86400000ll;
}

static inline bool matches(const struct ask *ask, const struct pup *pup)
{
    int64_t start;
    switch (ask->kind) {
    case ASK_ALL:
        return true;
    case ASK_BREED:
    case ASK_MATCH_BREED:
        return has_breed(pup, ask->breeds[0]);
    case ASK_BREEDS:
        for (unsigned i = 0; i < ask->count; i++)
            if (has_breed(pup, ask->breeds[i]))
                return true;
        return false;
    case ASK_BREED_FOLDED:
        return any_breed(pup, test_folded, ask);
    case ASK_PREFIX:
        return any_breed(pup, test_prefix, ask);
    case ASK_WILDCARD:
        return any_breed(pup, test_suffix, ask);
    case ASK_BREED_RANGE:
        return any_breed(pup, test_range, ask);
    case ASK_AGE:
        return age_is(pup, ask->low, ask->low);
    case ASK_AGES:
        return age_is(pup, ask->low, ask->low) || age_is(pup, ask->high, ask->high);
    case ASK_AGE_RANGE:
        return age_is(pup, ask->low + (ask->low_open ? 0.5 : 0),
                      ask->high - (ask->high_open ? 0.5 : 0));
    case ASK_PRICE:
        return pup->has_price && pup->price == ask->number;
    case ASK_PRICE_RANGE:
        if (!pup->has_price)
            return false;
        if (ask->flag)
            return ask->low_open ? pup->price > ask->number : pup->price >= ask->number;
        return ask->high_open ? pup->price < ask->number : pup->price <= ask->number;
    case ASK_OK:
        return pup->has_ok && pup->ok == ask->flag;
    case ASK_BORN_RANGE:
        start = month_ms(1 + ((ask->low + 3) % 12));
        if (!pup->has_born)
            return false;
        /* "2020-05-01" is that day: gt means after its end, lte up to its end */
        if (ask->flag)
            return pup->born >= start + (ask->low_open ? 86400000ll : 0);
        return pup->born < start + (ask->high_open ? 0 : 86400000ll);
    case ASK_BORN_DAY:
        start = 1577836800000ll + (3 + ask->low) * 86400000ll;
        return pup->has_born && pup->born >= start && pup->born < start + 86400000ll;
    case ASK_EXISTS:
        return (bool[]){pup->breed_count > 0, pup->has_age,     pup->has_price, pup->has_ok,
                        pup->has_born,        pup->has_vectors, false}[ask->field];
    case ASK_IDS:
        for (int i = 0; i < 3; i++)
            if (strcmp(ask->ids[i], pup->id) == 0)
                return true;
        return false;
    case ASK_BOOL:
        return bool_matches(ask, pup);
    case ASK_CONSTANT:
    case ASK_BOOSTING:
        return matches(ask->should[0], pup);
    case ASK_DIS_MAX:
        for (unsigned i = 0; i < ask->should_count; i++)
            if (matches(ask->should[i], pup))
                return true;
        return false;
    default:
        return false;
    }
}

static inline double naive_idf(const struct kennel *kennel, const struct ask *ask, unsigned index)
{
    double with_field = 0, with_term = 0, values = 0;
    for (size_t i = 0; i < kennel->count; i++) {
        const struct pup *pup = &kennel->pups[i];
        if (!pup->live || pup->index != index)
            continue;
        with_field += ask->kind == ASK_OK ? pup->has_ok : pup->breed_count > 0;
        with_term += matches(ask, pup);
        values += ask->kind == ASK_OK ? pup->has_ok : pup->breed_count;
        values -= ask->kind != ASK_OK && pup->breed_count == 2 && pup->breeds[0] == pup->breeds[1];
    }
    /* the freq and the length are 1, the average length is that of distinct values */
    double tf = 2.2 / (1 + 1.2 * (0.25 + 0.75 * with_field / values));
    return tf * log(1 + (with_field - with_term + 0.5) / (with_term + 0.5));
}

static inline double score(const struct kennel *kennel, const struct ask *ask,
                           const struct pup *pup)
{
    double sum = 0, best = 0, part;
    switch (ask->kind) {
    case ASK_BREED:
    case ASK_MATCH_BREED:
    case ASK_OK:
        return ask->boost * naive_idf(kennel, ask, pup->index);
    case ASK_BOOL:
        if (ask->must_count + ask->filter_count + ask->should_count + ask->not_count == 0)
            return ask->boost;
        for (unsigned i = 0; i < ask->must_count; i++)
            sum += score(kennel, ask->must[i], pup);
        for (unsigned i = 0; i < ask->should_count; i++)
            if (matches(ask->should[i], pup))
                sum += score(kennel, ask->should[i], pup);
        return sum * ask->boost;
    case ASK_DIS_MAX:
        for (unsigned i = 0; i < ask->should_count; i++) {
            if (!matches(ask->should[i], pup))
                continue;
            part = score(kennel, ask->should[i], pup);
            sum += part;
            best = part > best ? part : best;
        }
        return ask->boost * (best + ask->factor * (sum - best));
    case ASK_BOOSTING:
        part = score(kennel, ask->should[0], pup) * ask->boost;
        return matches(ask->should[1], pup) ? part * ask->factor : part;
    default:
        return ask->boost;
    }
}

/* ---- vectors --------------------------------------------------------------------------------- */

static inline double naive_similarity(unsigned kind, const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0, dd = 0;
    for (int d = 0; d < DIMS; d++) {
        double x = (double)a[d], y = (double)b[d];
        dot += x * y;
        aa += x * x;
        bb += y * y;
        dd += (x - y) * (x - y);
    }
    if (kind == 0)
        return dot / sqrt(aa * bb);
    return kind == 2 ? sqrt(dd) : dot; /* l2: the distance */
}

static inline double naive_knn_score(unsigned kind, double similarity)
{
    if (kind < 2)
        return (1 + similarity) / 2;
    if (kind == 2)
        return 1 / (1 + similarity * similarity);
    return similarity < 0 ? 1 / (1 - similarity) : similarity + 1;
}

#endif
