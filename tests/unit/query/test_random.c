/* Random documents, random queries, and the plainest engine to compare with: matches, scores,
 * totals, sorting, paging, knn with filters and thresholds, hybrids, several indices at once.
 * The seed is printed; VIZSLA_SEED sets it. */
#include "naive.h"

#define INDICES 3

static struct fixture fixture;
static struct kennel kennel;
static struct vz_search_target targets[INDICES];

/* What an answer should be. */
struct expected {
    const struct pup *pup;
    double score;
};

static int setup(void **state)
{
    uint64_t seed = getenv("VIZSLA_SEED") ? strtoull(getenv("VIZSLA_SEED"), NULL, 10) : 20261120;
    print_message("seed %llu\n", (unsigned long long)seed);
    kennel.rng = seed;
    fixture_open(&fixture);
    static const char *const names[INDICES] = {"pups-a", "pups-b", "pups-c"};
    for (unsigned i = 0; i < INDICES; i++) {
        fixture_create(&fixture, names[i], naive_mapping);
        targets[i].index = fixture.index[i];
        write_pups(&kennel, &fixture, i, i == 0 ? 400 : 200);
    }
    /* Most of the first in its graph, the rest behind it. */
    struct vz_error err = {0};
    must(vz_index_settle(fixture.index[0], &err), &err);
    write_pups(&kennel, &fixture, 0, 300);
    return 0;
}

static int teardown(void **state)
{
    free(kennel.pups);
    fixture_close(&fixture);
    return 0;
}

static struct pup *find_pup(struct vz_slice id)
{
    for (size_t i = 0; i < kennel.count; i++)
        if (kennel.pups[i].live && vz_slice_is(id, kennel.pups[i].id))
            return &kennel.pups[i];
    return NULL;
}

static bool is_close(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

static void run_search(size_t target_count, const char *body, struct answer *answer)
{
    if (search_targets(targets, target_count, body, NULL, answer) != VZ_OK)
        fail_msg("%s\n  %s: %s", body, vz_status_name(answer->status), answer->err.text);
}

/* Hits are exactly `expected` (any order given), with their scores, best first, ties by index and
 * docno. `expected` holds all matches; the answer may be a first page of them. */
static void check_hits(const char *body, struct answer *answer, const struct expected *expected,
                       size_t count)
{
    struct vz_search_result *result = &answer->result;
    if (result->total != count)
        fail_msg("%s\n  total %llu, expected %zu", body, (unsigned long long)result->total, count);
    double last = INFINITY;
    const struct pup *before = NULL;
    for (size_t i = 0; i < result->hit_count; i++) {
        const struct vz_search_hit *hit = &result->hits[i];
        const struct pup *pup = find_pup(hit->id);
        const struct expected *match = NULL;
        for (size_t e = 0; e < count && !match; e++)
            if (expected[e].pup == pup)
                match = &expected[e];
        if (!pup || !match)
            fail_msg("%s\n  hit %.*s should not match", body, VZ_ARG_(hit->id));
        if (!hit->has_score || !is_close((double)hit->score, match->score))
            fail_msg("%s\n  hit %s scores %.9g, expected %.9g", body, pup->id, (double)hit->score,
                     match->score);
        bool ordered = (double)hit->score < last ||
                       ((double)hit->score == last &&
                        (pup->index > before->index ||
                         (pup->index == before->index && pup->order > before->order)));
        if (!ordered)
            fail_msg("%s\n  hit %zu %s out of order", body, i, pup->id);
        last = (double)hit->score;
        before = pup;
    }
    /* Nothing better was left out. */
    for (size_t e = 0; e < count && result->hit_count < count; e++) {
        bool shown = false;
        for (size_t i = 0; i < result->hit_count && !shown; i++)
            shown = find_pup(result->hits[i].id) == expected[e].pup;
        if (!shown && result->hit_count && expected[e].score > last + 1e-6 * fmax(1, fabs(last)))
            fail_msg("%s\n  %s with %.9g was left out", body, expected[e].pup->id,
                     expected[e].score);
    }
    if (result->hit_count && !is_close((double)result->max_score, (double)result->hits[0].score))
        fail_msg("%s\n  max_score %.9g", body, (double)result->max_score);
}

static size_t all_matches(const struct ask *ask, size_t target_count, struct expected *out)
{
    size_t count = 0;
    for (size_t i = 0; i < kennel.count; i++) {
        const struct pup *pup = &kennel.pups[i];
        if (!pup->live || pup->index >= target_count || (ask && !matches(ask, pup)))
            continue;
        out[count++] = (struct expected){pup, ask ? score(&kennel, ask, pup) : 1};
    }
    return count;
}

static void test_queries(void **state)
{
    struct expected *expected = vz_alloc(kennel.count * sizeof(*expected));
    size_t nonempty = 0;
    for (int round = 0; round < 1500; round++) {
        struct vz_arena arena = {0};
        struct vz_buf body = {0};
        struct answer answer;
        size_t target_count = 1 + pick(&kennel.rng, INDICES);
        struct ask *ask = random_ask(&kennel, &arena, (unsigned)round % 4);
        vz_buf_append_str(&body, "{\"query\":");
        print_ask(ask, &body);
        vz_buf_printf(&body, ",\"size\":%d,\"track_total_hits\":true,\"_source\":false}",
                      round % 2 ? 2000 : 15);
        size_t count = all_matches(ask, target_count, expected);
        run_search(target_count, body.data, &answer);
        check_hits(body.data, &answer, expected, count);
        if (round % 2)
            assert_int_equal(answer.result.hit_count, count);
        else
            assert_int_equal(answer.result.hit_count, VZ_MIN(count, (size_t)15));
        nonempty += count > 0;
        answer_deinit(&answer);
        vz_buf_deinit(&body);
        vz_arena_deinit(&arena);
    }
    print_message("%zu of 1500 queries match something\n", nonempty);
    assert_true(nonempty > 500);
    free(expected);
}

struct each_context {
    size_t count;
    uint32_t last;
    bool ordered;
};

static bool each(void *context, const struct vz_snapshot *snap, uint32_t docno)
{
    struct each_context *c = context;
    c->ordered &= c->count == 0 || docno > c->last;
    c->last = docno;
    c->count++;
    return vz_snapshot_live(snap, docno);
}

/* The same query as a count, as a walk, as post_filter, as an alias and as a scoreless search. */
static void test_other_ways(void **state)
{
    struct expected *expected = vz_alloc(kennel.count * sizeof(*expected));
    for (int round = 0; round < 300; round++) {
        struct vz_arena arena = {0};
        struct vz_buf query = {0}, body = {0};
        struct answer answer;
        struct vz_error err = {0};
        struct ask *ask = random_ask(&kennel, &arena, (unsigned)round % 3);
        size_t count = all_matches(ask, 1, expected);
        print_ask(ask, &query);

        vz_buf_printf(&body, "{\"query\":%s}", query.data);
        struct vz_json_doc *doc;
        struct vz_json value;
        struct vz_search *search;
        uint64_t counted;
        must(vz_json_parse(vz_buf_slice(&body), &doc, &value, &err), &err);
        must(vz_search_parse(value, NULL, &arena, &search, &err), &err);
        must(vz_search_count(targets, 1, search, &counted, &err), &err);
        assert_int_equal(counted, count);
        struct each_context context = {.ordered = true};
        must(vz_search_each(&targets[0], search, each, &context, &err), &err);
        assert_int_equal(context.count, count);
        assert_true(context.ordered);
        vz_json_free(doc);

        vz_buf_clear(&body);
        vz_buf_printf(&body, "{\"post_filter\":%s,\"size\":0,\"track_total_hits\":true}",
                      query.data);
        run_search(1, body.data, &answer);
        assert_int_equal(answer.result.total, count);
        assert_false(answer.result.has_max_score);
        answer_deinit(&answer);

        struct vz_search_target seen = {.index = fixture.index[0],
                                        .alias_filter = vz_buf_slice(&query)};
        search_targets(&seen, 1, "{\"size\":1000,\"track_total_hits\":true}", NULL, &answer);
        must(answer.status, &answer.err);
        assert_int_equal(answer.result.total, count);
        assert_int_equal(answer.result.hit_count, count);
        answer_deinit(&answer);

        vz_buf_clear(&body);
        vz_buf_printf(&body,
                      "{\"query\":{\"bool\":{\"filter\":%s}},\"size\":0,"
                      "\"track_total_hits\":7}",
                      query.data);
        run_search(1, body.data, &answer);
        assert_int_equal(answer.result.total, VZ_MIN(count, (size_t)7));
        assert_int_equal(answer.result.total_is_lower_bound, count > 7);
        answer_deinit(&answer);
        vz_buf_deinit(&query);
        vz_buf_deinit(&body);
        vz_arena_deinit(&arena);
    }
    free(expected);
}

/* min_score counts and keeps what reaches it. */
static void test_min_score(void **state)
{
    struct expected *expected = vz_alloc(kennel.count * sizeof(*expected));
    for (int round = 0; round < 200; round++) {
        struct vz_arena arena = {0};
        struct vz_buf body = {0};
        struct answer answer;
        double floor_ = 0.13 + 0.31 * pick(&kennel.rng, 9);
        struct ask *ask = random_ask(&kennel, &arena, 2);
        vz_buf_append_str(&body, "{\"query\":");
        print_ask(ask, &body);
        vz_buf_printf(&body, ",\"size\":1000,\"track_total_hits\":true,\"min_score\":%.2f}",
                      floor_);
        size_t all = all_matches(ask, 1, expected), count = 0;
        bool near = false; /* a score on the threshold itself may fall either way */
        for (size_t i = 0; i < all; i++) {
            near |= is_close(expected[i].score, floor_);
            if (expected[i].score >= floor_)
                expected[count++] = expected[i];
        }
        run_search(1, body.data, &answer);
        if (!near)
            check_hits(body.data, &answer, expected, count);
        answer_deinit(&answer);
        vz_buf_deinit(&body);
        vz_arena_deinit(&arena);
    }
    free(expected);
}

/* ---- knn ------------------------------------------------------------------------------------- */

struct near_ask {
    unsigned kind, k;
    float vector[DIMS];
    double boost;
    struct ask *filter; /* or NULL */
    bool has_similarity;
    double similarity;
};

static struct near_ask random_near(struct vz_arena *arena)
{
    struct near_ask near = {.kind = pick(&kennel.rng, KINDS),
                            .k = 1 + pick(&kennel.rng, 20),
                            .boost = pick(&kennel.rng, 2) ? 1 : 0.5 * (1 + pick(&kennel.rng, 4))};
    random_vector(&kennel.rng, near.kind, near.vector);
    if (pick(&kennel.rng, 2))
        near.filter = random_ask(&kennel, arena, pick(&kennel.rng, 3));
    near.has_similarity = pick(&kennel.rng, 3) == 0;
    near.similarity =
        near.kind == 2 ? 1 + 4 * vz_rng_unit(&kennel.rng) : vz_rng_unit(&kennel.rng) * 0.6;
    return near;
}

static void print_near(const struct near_ask *near, struct vz_buf *out)
{
    vz_buf_printf(out, "{\"field\":\"v%u\",\"query_vector\":", near->kind);
    print_vector(out, near->vector);
    vz_buf_printf(out, ",\"k\":%u,\"num_candidates\":1000,\"boost\":%g", near->k, near->boost);
    if (near->has_similarity)
        vz_buf_printf(out, ",\"similarity\":%.9g", near->similarity);
    if (near->filter) {
        vz_buf_append_str(out, ",\"filter\":[");
        print_ask(near->filter, out);
        vz_buf_append_char(out, ']');
    }
    vz_buf_append_char(out, '}');
}

static int by_score(const void *a, const void *b)
{
    double x = ((const struct expected *)a)->score, y = ((const struct expected *)b)->score;
    return x > y ? -1 : x < y;
}

/* The k nearest over indices [from, to); scores boosted. */
static size_t all_near(const struct near_ask *near, unsigned from, unsigned to,
                       struct expected *out)
{
    size_t count = 0;
    for (size_t i = 0; i < kennel.count; i++) {
        const struct pup *pup = &kennel.pups[i];
        if (!pup->live || pup->index < from || pup->index >= to || !pup->has_vectors)
            continue;
        if (near->filter && !matches(near->filter, pup))
            continue;
        double similarity = naive_similarity(near->kind, near->vector, pup->vec[near->kind]);
        if (near->has_similarity &&
            (near->kind == 2 ? similarity > near->similarity : similarity < near->similarity))
            continue;
        out[count++] =
            (struct expected){pup, near->boost * naive_knn_score(near->kind, similarity)};
    }
    qsort(out, count, sizeof(*out), by_score);
    return VZ_MIN(count, (size_t)near->k);
}

static void add_expected(struct expected *sum, size_t *count, const struct expected *more,
                         size_t more_count)
{
    for (size_t i = 0; i < more_count; i++) {
        size_t at = 0;
        while (at < *count && sum[at].pup != more[i].pup)
            at++;
        if (at == *count)
            sum[(*count)++] = (struct expected){more[i].pup, 0};
        sum[at].score += more[i].score;
    }
}

/* knn alone, several of them, with a query, as a query; filtered before, with thresholds. */
static void test_knn(void **state)
{
    struct expected *sum = vz_alloc(kennel.count * sizeof(*sum));
    struct expected *part = vz_alloc(kennel.count * sizeof(*part));
    for (int round = 0; round < 600; round++) {
        struct vz_arena arena = {0};
        struct vz_buf body = {0};
        struct answer answer;
        size_t target_count = 1 + pick(&kennel.rng, INDICES), count = 0;
        unsigned clauses = 1 + pick(&kennel.rng, 3);
        bool as_query = round % 4 == 3;
        vz_buf_append_str(&body, as_query ? "{\"query\":{\"bool\":{\"should\":[" : "{\"knn\":[");
        for (unsigned c = 0; c < clauses; c++) {
            struct near_ask near = random_near(&arena);
            if (c)
                vz_buf_append_char(&body, ',');
            if (as_query)
                vz_buf_append_str(&body, "{\"knn\":");
            print_near(&near, &body);
            if (as_query)
                vz_buf_append_char(&body, '}');
            if (!as_query) {
                size_t found = all_near(&near, 0, (unsigned)target_count, part);
                add_expected(sum, &count, part, found);
            }
            for (unsigned t = 0; as_query && t < target_count; t++) { /* k of each index */
                size_t found = all_near(&near, t, t + 1, part);
                add_expected(sum, &count, part, found);
            }
        }
        vz_buf_append_str(&body, as_query ? "]}}" : "]");
        if (!as_query && round % 2) {
            struct ask *ask = random_ask(&kennel, &arena, pick(&kennel.rng, 3));
            vz_buf_append_str(&body, ",\"query\":");
            print_ask(ask, &body);
            size_t found = all_matches(ask, target_count, part);
            add_expected(sum, &count, part, found);
        }
        vz_buf_printf(&body, ",\"size\":%d,\"track_total_hits\":true}", round % 3 ? 2000 : 5);
        run_search(target_count, body.data, &answer);
        check_hits(body.data, &answer, sum, count);
        assert_int_equal(answer.result.hit_count, VZ_MIN(count, (size_t)(round % 3 ? 2000 : 5)));
        answer_deinit(&answer);
        vz_buf_deinit(&body);
        vz_arena_deinit(&arena);
    }
    free(sum);
    free(part);
}

/* A filter inside knn still gives k; beside it, it takes away. */
static void test_before_and_after(void **state)
{
    struct answer inside, beside, post;
    struct vz_buf body = {0};
    float vector[DIMS];
    random_vector(&kennel.rng, 0, vector);
    const char *filter = "{\"term\":{\"breed\":\"puli\"}}";
    for (int form = 0; form < 3; form++) {
        vz_buf_clear(&body);
        vz_buf_append_str(&body,
                          form == 1 ? "{\"query\":{\"bool\":{\"must\":{\"knn\":" : "{\"knn\":");
        vz_buf_append_str(&body, "{\"field\":\"v0\",\"k\":10,\"num_candidates\":500,");
        if (form == 0)
            vz_buf_printf(&body, "\"filter\":%s,", filter);
        vz_buf_append_str(&body, "\"query_vector\":");
        print_vector(&body, vector);
        vz_buf_append_char(&body, '}');
        if (form == 1)
            vz_buf_printf(&body, "},\"filter\":%s}}", filter);
        if (form == 2)
            vz_buf_printf(&body, ",\"post_filter\":%s", filter);
        vz_buf_append_char(&body, '}');
        run_search(1, body.data, form == 0 ? &inside : form == 1 ? &beside : &post);
    }
    assert_int_equal(inside.result.total, 10);
    assert_true(beside.result.total < 10);
    assert_int_equal(post.result.total, beside.result.total);
    assert_int_equal(post.result.hit_count, beside.result.hit_count);
    for (size_t i = 0; i < post.result.hit_count; i++)
        assert_true(
            is_close((double)post.result.hits[i].score, (double)beside.result.hits[i].score));
    answer_deinit(&inside);
    answer_deinit(&beside);
    answer_deinit(&post);
    vz_buf_deinit(&body);
}

/* ---- sorting --------------------------------------------------------------------------------- */

enum sort_by { BY_BREED, BY_AGE, BY_PRICE, BY_OK, BY_BORN, BY_SCORE, BY_DOC, SORTS };
static const char *const sort_names[] = {"breed", "age", "price", "ok", "born", "_score", "_doc"};

struct sort_ask {
    enum sort_by by;
    bool descending, missing_first, has_missing;
    int missing;
    unsigned mode; /* 0 default, 1 min, 2 max, 3 sum, 4 avg, 5 median */
};

static struct sort_ask sorts[3];
static size_t sort_count;
static const struct ask *sorted_query;

static struct sort_ask random_sort(void)
{
    struct sort_ask sort = {.by = (enum sort_by)pick(&kennel.rng, SORTS),
                            .descending = pick(&kennel.rng, 2),
                            .missing_first = pick(&kennel.rng, 2),
                            .has_missing = pick(&kennel.rng, 3) == 0,
                            .missing = (int)pick(&kennel.rng, 9),
                            .mode = pick(&kennel.rng, 6)};
    if (sort.by == BY_BREED || sort.by >= BY_SCORE)
        sort.has_missing = false;
    if (sort.by == BY_BREED)
        sort.mode %= 3;
    return sort;
}

static void print_sort(const struct sort_ask *sort, struct vz_buf *out)
{
    static const char *const modes[] = {"", "min", "max", "sum", "avg", "median"};
    vz_buf_printf(out, "{\"%s\":{\"order\":\"%s\"", sort_names[sort->by],
                  sort->descending ? "desc" : "asc");
    if (sort->by < BY_SCORE) {
        if (sort->has_missing && sort->by == BY_OK)
            vz_buf_printf(out, ",\"missing\":%s", sort->missing % 2 ? "true" : "false");
        else if (sort->has_missing)
            vz_buf_printf(out, ",\"missing\":%d",
                          sort->by == BY_BORN ? sort->missing + 10000 : sort->missing);
        else
            vz_buf_printf(out, ",\"missing\":\"%s\"", sort->missing_first ? "_first" : "_last");
        if (sort->mode)
            vz_buf_printf(out, ",\"mode\":\"%s\"", modes[sort->mode]);
    }
    vz_buf_append_str(out, "}}");
}

static int compare_number(double a, double b)
{
    return a < b ? -1 : a > b;
}

/* The smallest, largest ... of one or two ages. */
static double age_by(const struct pup *pup, const struct sort_ask *sort)
{
    if (pup->ages_more < 0)
        return pup->age;
    double low = fmin(pup->age, pup->ages_more), high = fmax(pup->age, pup->ages_more);
    switch (sort->mode) {
    case 1:
        return low;
    case 2:
        return high;
    case 3:
        return low + high;
    case 4:
    case 5:
        return round((low + high) / 2);
    default:
        return sort->descending ? high : low;
    }
}

static const char *breed_by(const struct pup *pup, const struct sort_ask *sort)
{
    const char *a = breed_name(pup->breeds[0]);
    if (pup->breed_count == 1)
        return a;
    const char *b = breed_name(pup->breeds[1]);
    bool smaller = sort->mode == 1 || (sort->mode == 0 && !sort->descending);
    return (strcmp(a, b) < 0) == smaller ? a : b;
}

static int compare_by(const struct sort_ask *sort, const struct pup *a, const struct pup *b)
{
    bool has_a = true, has_b = true;
    double x = 0, y = 0, absent = sort->missing;
    int order = 0;
    switch (sort->by) {
    case BY_BREED:
        has_a = a->breed_count;
        has_b = b->breed_count;
        break;
    case BY_AGE:
        has_a = a->has_age;
        has_b = b->has_age;
        x = age_by(a, sort);
        y = age_by(b, sort);
        break;
    case BY_PRICE:
        has_a = a->has_price;
        has_b = b->has_price;
        x = a->price;
        y = b->price;
        break;
    case BY_OK:
        has_a = a->has_ok;
        has_b = b->has_ok;
        x = a->ok;
        y = b->ok;
        absent = sort->missing % 2;
        break;
    case BY_BORN:
        has_a = a->has_born;
        has_b = b->has_born;
        x = (double)a->born;
        y = (double)b->born;
        absent = sort->missing + 10000;
        break;
    case BY_SCORE:
        x = (double)(float)score(&kennel, sorted_query, a);
        y = (double)(float)score(&kennel, sorted_query, b);
        break;
    default:
        x = a->order;
        y = b->order;
        break;
    }
    if (sort->has_missing) {
        x = has_a ? x : absent;
        y = has_b ? y : absent;
        has_a = has_b = true;
    }
    if (!has_a || !has_b) {
        if (has_a == has_b)
            return 0;
        return has_a != sort->missing_first ? -1 : 1;
    }
    order =
        sort->by == BY_BREED ? strcmp(breed_by(a, sort), breed_by(b, sort)) : compare_number(x, y);
    return sort->descending ? -order : order;
}

static int compare_pups(const void *left, const void *right)
{
    const struct pup *a = ((const struct expected *)left)->pup;
    const struct pup *b = ((const struct expected *)right)->pup;
    for (size_t i = 0; i < sort_count; i++) {
        int order = compare_by(&sorts[i], a, b);
        if (order)
            return order;
    }
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void check_sorted(const char *body, struct answer *answer, const struct expected *expected,
                         size_t from, size_t count)
{
    if (answer->result.hit_count != count)
        fail_msg("%s\n  %zu hits, expected %zu", body, answer->result.hit_count, count);
    for (size_t i = 0; i < count; i++)
        if (!vz_slice_is(answer->result.hits[i].id, expected[from + i].pup->id))
            fail_msg("%s\n  hit %zu is %.*s, expected %s", body, i,
                     VZ_ARG_(answer->result.hits[i].id), expected[from + i].pup->id);
}

/* Whole answers, pages by `from`, and pages by search_after over a last key without ties. */
static void test_sorts(void **state)
{
    struct expected *expected = vz_alloc(kennel.count * sizeof(*expected));
    for (int round = 0; round < 300; round++) {
        struct vz_arena arena = {0};
        struct vz_buf head = {0}, body = {0};
        struct answer answer;
        bool paging = round % 3 == 0;
        size_t target_count = paging ? 1 : 1 + pick(&kennel.rng, INDICES);
        struct ask *ask = random_ask(&kennel, &arena, pick(&kennel.rng, 2));
        /* Leaves score alike within an index; that keeps ties of float rounding out. */
        sort_count = 1 + pick(&kennel.rng, 2);
        vz_buf_append_str(&head, "\"query\":");
        print_ask(ask, &head);
        vz_buf_append_str(&head, ",\"track_total_hits\":true,\"sort\":[");
        for (size_t i = 0; i < sort_count; i++) {
            sorts[i] = random_sort();
            if (sorts[i].by == BY_SCORE && ask->kind >= ASK_LEAVES)
                sorts[i].by = BY_AGE;
            if (sorts[i].by == BY_DOC)
                sorts[i].by = BY_BORN;
            if (i)
                vz_buf_append_char(&head, ',');
            print_sort(&sorts[i], &head);
        }
        if (paging) {
            sorts[sort_count++] = (struct sort_ask){.by = BY_DOC};
            vz_buf_append_str(&head, ",\"_doc\"");
        }
        vz_buf_append_char(&head, ']');
        sorted_query = ask;
        size_t count = all_matches(ask, target_count, expected);
        qsort(expected, count, sizeof(*expected), compare_pups);
        /* A lone _score descending is no sort at all: same order, no sort values. */
        vz_buf_printf(&body, "{%s,\"size\":2000}", head.data);
        run_search(target_count, body.data, &answer);
        check_sorted(body.data, &answer, expected, 0, count);
        assert_int_equal(answer.result.total, count);
        answer_deinit(&answer);

        size_t from = count ? pick(&kennel.rng, (unsigned)count) : 0;
        vz_buf_clear(&body);
        vz_buf_printf(&body, "{%s,\"size\":7,\"from\":%zu}", head.data, from);
        run_search(target_count, body.data, &answer);
        check_sorted(body.data, &answer, expected, from, VZ_MIN(count - from, (size_t)7));
        answer_deinit(&answer);

        struct vz_buf after = {0};
        for (size_t at = 0; paging && at < count; at += 50) {
            vz_buf_clear(&body);
            vz_buf_printf(&body, "{%s,\"size\":50", head.data);
            if (after.len)
                vz_buf_printf(&body, ",\"search_after\":%s", after.data);
            vz_buf_append_char(&body, '}');
            run_search(1, body.data, &answer);
            check_sorted(body.data, &answer, expected, at, VZ_MIN(count - at, (size_t)50));
            assert_int_equal(answer.result.total, count);
            vz_buf_clear(&after);
            vz_buf_append_slice(&after, answer.result.hits[answer.result.hit_count - 1].sort);
            answer_deinit(&answer);
        }
        vz_buf_deinit(&after);
        vz_buf_deinit(&head);
        vz_buf_deinit(&body);
        vz_arena_deinit(&arena);
    }
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),          cmocka_unit_test(test_other_ways),
        cmocka_unit_test(test_min_score),        cmocka_unit_test(test_knn),
        cmocka_unit_test(test_before_and_after), cmocka_unit_test(test_sorts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
