/* Values to masks: every level against plain C, odd addresses, ends of ranges, NaN. And what a
 * filter matched, remembered: growing, seen from older snapshots, pushed out. */
#include "support.h"

#include "base/text.h"
#include "query/masks.h"

#include <math.h>

#define WORDS 5
#define COUNT (WORDS * 64)

static uint64_t rng = 20261120;

static void every_level_gives_the_same(void **state)
{
    const struct vz_mask_kernels *list[3];
    size_t levels = vz_mask_kernels_all(list);
    uint32_t ordinals[COUNT + 1], numbered[COUNT + 1], set[VZ_MASK_SET / 32];
    int64_t integers[COUNT + 1];
    double numbers[COUNT + 1];
    uint16_t codes[COUNT + 1];
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i <= COUNT; i++) {
            static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 5.0, 4.999999};
            ordinals[i] = (uint32_t)(vz_rng_next(&rng) % 4) * 0x7fffffffu;
            integers[i] = (int64_t)(vz_rng_next(&rng) % 21) - 10;
            codes[i] = (uint16_t)(vz_rng_next(&rng) % 9 * 0x1fff);
            numbers[i] = vz_rng_next(&rng) % 3 ? (double)integers[i]
                                               : odd[vz_rng_next(&rng) % VZ_COUNT_OF(odd)];
        }
        for (size_t i = 0; i <= COUNT; i++)
            numbered[i] = (uint32_t)(vz_rng_next(&rng) % (i % 9 ? 3000 : UINT32_MAX));
        for (size_t i = 0; i < VZ_COUNT_OF(set); i++)
            set[i] = (uint32_t)(vz_rng_next(&rng) & (round % 2 ? vz_rng_next(&rng) : ~0u));
        static const uint32_t last[] = {UINT32_MAX, 1024, 77, 2500, 0};
        uint32_t end = last[round % 5];
        integers[7] = INT64_MIN;
        integers[70] = INT64_MAX;
        uint32_t wanted = ordinals[vz_rng_next(&rng) % COUNT];
        int64_t low = (int64_t)(vz_rng_next(&rng) % 21) - 10, high = low + round % 7 - 1;
        if (round % 10 == 0)
            low = INT64_MIN, high = round % 20 ? INT64_MAX : 0;
        for (size_t shift = 0; shift < 2; shift++)
            for (size_t level = 0; level < levels; level++) {
                uint64_t a[WORDS], b[WORDS], c[WORDS], d[WORDS], e[WORDS], f[WORDS];
                uint16_t low_code = codes[round], high_code = codes[round + 60];
                uint16_t ends[] = {codes[round + 1], round % 3 ? high_code : 0xFFFF};
                list[level]->equal_u32(ordinals + shift, WORDS, wanted, a);
                list[level]->range_i64(integers + shift, WORDS, low, high, b);
                list[level]->range_f64(numbers + shift, WORDS, (double)low, (double)high, c);
                list[level]->range_u16(codes + shift, WORDS, low_code, high_code, ends, d, e);
                list[level]->among_u32(numbered + shift, WORDS, set, end, f);
                for (size_t i = 0; i < COUNT; i++) {
                    size_t at = i + shift;
                    bool want[] = {ordinals[at] == wanted,
                                   integers[at] >= low && integers[at] <= high,
                                   numbers[at] >= (double)low && numbers[at] <= (double)high,
                                   codes[at] >= low_code && codes[at] <= high_code,
                                   codes[at] == ends[0] || codes[at] == ends[1],
                                   numbered[at] < end &&
                                       (set[numbered[at] / 32 % 32] >> numbered[at] % 32 & 1)};
                    bool got[] = {a[i / 64] >> i % 64 & 1, b[i / 64] >> i % 64 & 1,
                                  c[i / 64] >> i % 64 & 1, d[i / 64] >> i % 64 & 1,
                                  e[i / 64] >> i % 64 & 1, f[i / 64] >> i % 64 & 1};
                    for (int k = 0; k < 6; k++)
                        if (want[k] != got[k])
                            fail_msg("%s, kernel %d, value %zu of round %d", list[level]->name, k,
                                     at, round);
                }
            }
    }
}

/* ---- remembered --------------------------------------------------------------------------------
 */

#define FIRST 60000
#define MORE 7001

static void write_numbered(struct vz_index *index, int from, int to)
{
    struct vz_write *ops = vz_calloc((size_t)(to - from), sizeof *ops);
    struct vz_arena arena = {0};
    struct vz_error err = {0};
    for (int i = from; i < to; i++) {
        char text[128];
        int len = snprintf(text, sizeof text,
                           "{\"colour\":\"c%d\",\"age\":%d,\"price\":%d.5,\"code\":\"k%02d\","
                           "\"lot\":\"l%d\"%s}",
                           i % 5, i % 100, i % 1000, i % 50, i % 3000,
                           i % 11 ? "" : ",\"tags\":[\"a\",\"b\"]");
        char *copy = vz_arena_alloc(&arena, (size_t)len + 1), *id = vz_arena_alloc(&arena, 16);
        memcpy(copy, text, (size_t)len + 1);
        snprintf(id, 16, "%d", i);
        ops[i - from] = (struct vz_write){
            .verb = VZ_WRITE_INDEX, .id = vz_slice_from(id), .source = {copy, (size_t)len}};
    }
    must(vz_index_write(index, ops, (size_t)(to - from),
                        &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err),
         &err);
    vz_arena_deinit(&arena);
    free(ops);
}

static uint64_t total_of(struct vz_index *index, struct vz_snapshot *snap, const char *filter)
{
    char body[300];
    struct answer answer = {0};
    struct vz_search_target target = {.index = index, .snap = snap};
    snprintf(body, sizeof body,
             "{\"size\":0,\"track_total_hits\":true,\"query\":{\"bool\":{\"filter\":%s}}}", filter);
    must(search_targets(&target, 1, body, NULL, &answer), &answer.err);
    uint64_t total = answer.result.total;
    answer_deinit(&answer);
    return total;
}

static void what_was_matched_stays_right(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(
        &fixture, "numbered",
        "{\"mappings\":{\"properties\":{\"colour\":{\"type\":\"keyword\"},\"lot\":{\"type\":"
        "\"keyword\"},\"code\":{\"type\":"
        "\"keyword\"},\"tags\":{\"type\":"
        "\"keyword\"},\"age\":{\"type\":\"integer\"},\"price\":{\"type\":\"double\"}}}}");
    static const struct {
        const char *filter;
        int every, from, to; /* matches i when from <= i % every < to, or it begins with a 2 */
    } filters[] = {
        {"{\"term\":{\"colour\":\"c3\"}}", 5, 3, 4},
        {"{\"term\":{\"age\":42}}", 100, 42, 43},
        {"{\"range\":{\"age\":{\"gte\":10,\"lt\":35}}}", 100, 10, 35},
        {"{\"range\":{\"price\":{\"gt\":100,\"lte\":200.5}}}", 1000, 100, 201},
        {"{\"term\":{\"price\":7.5}}", 1000, 7, 8},
        {"{\"term\":{\"tags\":\"b\"}}", 11, 0, 1},
        {"{\"terms\":{\"colour\":[\"c1\",\"c2\",\"none\"]}}", 5, 1, 3},
        {"{\"terms\":{\"tags\":[\"a\",\"b\"]}}", 11, 0, 1},
        {"{\"terms\":{\"code\":[\"k30\",\"k31\",\"k32\",\"k33\",\"k34\",\"k35\",\"k36\","
         "\"k37\",\"k38\",\"k39\"]}}",
         50, 30, 40},
        {"{\"prefix\":{\"code\":\"k2\"}}", 50, 20, 30},
        /* of more than there are bits for in a register, few and many */
        {"{\"terms\":{\"lot\":[\"l100\",\"l101\",\"l102\",\"l103\",\"l104\",\"l105\",\"l106\","
         "\"l107\",\"l108\",\"l109\"]}}",
         3000, 100, 110},
        {"{\"prefix\":{\"lot\":\"l2\"}}", 3000, -1, -1},
    };
    write_numbered(index, 0, FIRST);
    struct vz_snapshot *before = vz_index_snapshot(index);
    int docs = FIRST;
    for (int round = 0; round < 6; round++) {
        for (size_t f = 0; f < VZ_COUNT_OF(filters); f++) {
            uint64_t want = 0, early = 0;
            for (int i = 0; i < docs; i++) {
                int rest = i % filters[f].every;
                char text[16];
                snprintf(text, sizeof text, "%d", rest);
                bool match = filters[f].from < 0 ? *text == '2'
                                                 : rest >= filters[f].from && rest < filters[f].to;
                want += match;
                early += match && i < FIRST;
            }
            uint64_t got = total_of(index, NULL, filters[f].filter);
            uint64_t then = total_of(index, before, filters[f].filter);
            if (got != want || then != early)
                fail_msg("round %d, %s: %llu of %llu, before %llu of %llu", round,
                         filters[f].filter, (unsigned long long)got, (unsigned long long)want,
                         (unsigned long long)then, (unsigned long long)early);
        }
        if (round == 2 || round == 4) {
            write_numbered(index, docs, docs + MORE);
            docs += MORE;
        }
    }
    /* A death is seen whatever is remembered. */
    struct vz_write op = {.verb = VZ_WRITE_DELETE, .id = VZ_SLICE("3")};
    struct vz_error err = {0};
    uint64_t all = total_of(index, NULL, filters[0].filter);
    must(
        vz_index_write(index, &op, 1, &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err),
        &err);
    assert_int_equal(total_of(index, NULL, filters[0].filter), all - 1);
    assert_int_equal(total_of(index, before, filters[0].filter), FIRST / 5);
    /* More conditions than are kept. */
    for (int i = 0; i < 300; i++) {
        char filter[100];
        snprintf(filter, sizeof filter, "{\"range\":{\"age\":{\"gte\":%d,\"lte\":%d}}}", i % 100,
                 i % 100 + i / 100);
        int width = VZ_MIN(i / 100 + 1, 100 - i % 100);
        for (int again = 0; again < 2; again++) {
            uint64_t got = total_of(index, before, filter);
            assert_int_equal(got, FIRST / 100 * width);
        }
    }
    vz_snapshot_release(before);
    fixture_close(&fixture);
}

/* ---- totals ------------------------------------------------------------------------------------
 */

static void write_source(struct vz_index *index, enum vz_write_verb verb, const char *id,
                         const char *source)
{
    struct vz_error err = {0};
    struct vz_write op = {
        .verb = verb, .id = vz_slice_from(id), .source = {source, strlen(source)}};
    must(
        vz_index_write(index, &op, 1, &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err),
        &err);
}

static double best_of(struct vz_index *index, struct vz_snapshot *snap, const char *query)
{
    char body[200];
    struct answer answer = {0};
    struct vz_search_target target = {.index = index, .snap = snap};
    snprintf(body, sizeof body, "{\"size\":1,\"query\":%s}", query);
    must(search_targets(&target, 1, body, NULL, &answer), &answer.err);
    double score = answer.result.hit_count ? (double)answer.result.hits[0].score : 0;
    answer_deinit(&answer);
    return score;
}

/* BM25 with a freq and a length of 1. */
static double keyword_score(double docs, double values, double doc_freq)
{
    double idf = log(1 + (docs - doc_freq + 0.5) / (doc_freq + 0.5));
    return 2.2 * idf / (1 + 1.2 * (0.25 + 0.75 / (values / docs)));
}

static void totals_stay_right(void **state)
{
    const char *query = "{\"term\":{\"tags\":\"b\"}}";
    struct fixture fixture;
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(
        &fixture, "numbered", "{\"mappings\":{\"properties\":{\"tags\":{\"type\":\"keyword\"}}}}");
    write_numbered(index, 0, 1100);
    struct vz_snapshot *before = vz_index_snapshot(index);
    for (int again = 0; again < 3; again++)
        assert_float_equal(best_of(index, NULL, query), keyword_score(100, 200, 100), 1e-6);
    /* Counted on: a value said twice counts once. */
    write_source(index, VZ_WRITE_INDEX, "x", "{\"tags\":[\"b\",\"c\",\"d\",\"b\"]}");
    for (int again = 0; again < 2; again++)
        assert_float_equal(best_of(index, NULL, query), keyword_score(101, 203, 101), 1e-6);
    assert_float_equal(best_of(index, before, query), keyword_score(100, 200, 100), 1e-6);
    /* A death: 22 had both. */
    write_source(index, VZ_WRITE_DELETE, "22", "");
    for (int again = 0; again < 2; again++)
        assert_float_equal(best_of(index, NULL, query), keyword_score(100, 201, 100), 1e-6);
    /* One born and one dead in the same view. */
    write_source(index, VZ_WRITE_INDEX, "x", "{\"tags\":\"c\"}");
    for (int again = 0; again < 2; again++) {
        assert_float_equal(best_of(index, NULL, query), keyword_score(100, 199, 99), 1e-6);
        assert_float_equal(best_of(index, before, query), keyword_score(100, 200, 100), 1e-6);
    }
    write_numbered(index, 1100, 2200);
    assert_float_equal(best_of(index, NULL, query), keyword_score(200, 399, 199), 1e-6);
    /* More fields than are kept. */
    for (int i = 0; i < 70; i++) {
        char source[80], term[80];
        snprintf(term, sizeof term, "{\"term\":{\"flag%d\":true}}", i);
        snprintf(source, sizeof source, "{\"flag%d\":true}", i);
        write_source(index, VZ_WRITE_INDEX, term, source);
        assert_float_equal(best_of(index, NULL, term), keyword_score(1, 1, 1), 1e-6);
    }
    assert_float_equal(best_of(index, NULL, query), keyword_score(200, 399, 199), 1e-6);
    vz_snapshot_release(before);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_the_same),
        cmocka_unit_test(what_was_matched_stays_right),
        cmocka_unit_test(totals_stay_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
