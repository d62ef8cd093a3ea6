/* Ranges over columns with codes (store/codes.h) against a plain look at every value: random
 * numbers, few and many, negative, missing, several a document, dates, the ends of both kinds;
 * later documents unlike the earlier ones, deaths, an older snapshot, several threads at once. */
#include "support.h"

#include "base/text.h"
#include "query/filter.h"
#include "store/codes.h"

#include <math.h>
#include <pthread.h>

#define FIRST 70000
#define MORE 20000

static const char *const fields[] = {"whole", "few", "many", "price", "wild", "same", "when"};
static uint64_t rng = 20261121;

static uint64_t below(uint64_t limit)
{
    return vz_rng_next(&rng) % limit;
}

static void put_wild(struct vz_buf *out)
{
    static const char *const odd[] = {
        "-0.0", "0", "1.7976931348623157e308", "5e-324", "-1.7976931348623157e308", "-5e-324",
        "1",    "-1"};
    if (below(2))
        vz_buf_append_str(out, odd[below(VZ_COUNT_OF(odd))]);
    else
        vz_buf_printf(out, "%.17g", ((double)below(2000) - 1000) * pow(10, (double)below(60) - 30));
}

/* `late`: other values than the edges were chosen from. */
static void put_source(struct vz_buf *out, int number, bool late)
{
    static const char *const ends[] = {"-9223372036854775808", "9223372036854775807", "0"};
    vz_buf_printf(out, "{\"whole\":%d,\"price\":%.2f", number, exp((double)below(1000) / 150));
    vz_buf_printf(out, ",\"few\":%d", (int)below(late ? 60 : 40) - 20);
    if (below(3))
        vz_buf_printf(out, ",\"same\":%d", late ? 8 : 7);
    if (below(4) == 0)
        vz_buf_printf(out, ",\"when\":%llu",
                      (unsigned long long)below(1700000000000) + (late ? 1700000000000 : 0));
    vz_buf_append_str(out, ",\"wild\":");
    put_wild(out);
    vz_buf_append_str(out, ",\"many\":[");
    for (uint64_t i = 0, count = below(5); i < count; i++) {
        vz_buf_append_str(out, i ? "," : "");
        if (below(50) == 0)
            vz_buf_append_str(out, ends[below(VZ_COUNT_OF(ends))]);
        else
            vz_buf_printf(out, "%lld", (long long)below(late ? 900000 : 3000) - 1500);
    }
    vz_buf_append_str(out, "]}");
}

static void write_some(struct vz_index *index, int from, int to, bool late)
{
    struct vz_write *ops = vz_calloc((size_t)(to - from), sizeof *ops);
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    struct vz_error err = {0};
    for (int i = from; i < to; i++) {
        char id[16];
        vz_buf_clear(&text);
        put_source(&text, i, late);
        int len = snprintf(id, sizeof id, "%d", i);
        ops[i - from] =
            (struct vz_write){.verb = VZ_WRITE_INDEX,
                              .id = vz_arena_copy(&arena, (struct vz_slice){id, (size_t)len}),
                              .source = vz_arena_copy(&arena, vz_buf_slice(&text))};
    }
    must(vz_index_write(index, ops, (size_t)(to - from),
                        &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err),
         &err);
    for (int i = 0; i < to - from; i++)
        must(ops[i].status, &ops[i].error);
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
    free(ops);
}

static void delete_some(struct vz_index *index, int docs)
{
    struct vz_error err = {0};
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", (int)below((uint64_t)docs));
        struct vz_write op = {.verb = VZ_WRITE_DELETE, .id = vz_slice_from(id)};
        must(vz_index_write(index, &op, 1,
                            &(struct vz_write_options){.refresh = i == 49 ? VZ_REFRESH_TRUE
                                                                          : VZ_REFRESH_NONE},
                            &err),
             &err);
    }
}

/* An end of a range: mostly a value that is there, or one near it. */
static double some_end(const struct vz_column *column, uint64_t *chance, int64_t *whole)
{
    size_t at = vz_rng_next(chance) % column->count;
    uint64_t kind = vz_rng_next(chance) % 8;
    static const int64_t ends[] = {INT64_MIN, INT64_MAX};
    if (column->kind == VZ_COLUMN_I64) {
        *whole = column->i64[at];
        if (kind == 0)
            *whole = ends[vz_rng_next(chance) % 2];
        else if (kind == 1 && *whole != INT64_MAX)
            ++*whole;
        return 0;
    }
    double value = column->f64[at];
    return kind == 0   ? (vz_rng_next(chance) % 2 ? INFINITY : -INFINITY)
           : kind == 1 ? nextafter(value, INFINITY)
           : kind == 2 ? nextafter(value, -INFINITY)
                       : value;
}

static void plain(const struct vz_column *column, double low, double high, int64_t from, int64_t to,
                  struct vz_bitset *bits)
{
    for (size_t i = 0; i < column->count; i++)
        if (column->kind == VZ_COLUMN_I64 ? column->i64[i] >= from && column->i64[i] <= to
                                          : column->f64[i] >= low && column->f64[i] <= high)
            vz_bitset_set(bits, column->docnos[i]);
}

/* Random ranges of every field; gives how many of them were answered by codes. */
static size_t compare(struct vz_snapshot *snap, uint64_t seed, size_t rounds)
{
    struct vz_arena arena = {0};
    struct vz_eval eval;
    size_t coded = 0;
    vz_eval_init(&eval, snap, &arena, 0, 0);
    for (size_t round = 0; round < rounds; round++)
        for (size_t f = 0; f < VZ_COUNT_OF(fields); f++) {
            const struct vz_field *field = vz_mapping_find(eval.mapping, vz_slice_from(fields[f]));
            struct vz_column column;
            struct vz_bitset got, want;
            struct vz_coded_range range;
            int64_t from = 0, to = 0;
            vz_snapshot_column(snap, field->id, &column);
            double low = some_end(&column, &seed, &from), high = some_end(&column, &seed, &to);
            vz_bitset_init(&got, eval.limit);
            vz_bitset_init(&want, eval.limit);
            plain(&column, low, high, from, to, &want);
            if (column.kind == VZ_COLUMN_I64) {
                vz_filter_i64(&eval, field, &column, from, to, &got);
                coded += vz_snapshot_code_i64(snap, field->id, &column, from, to, &range);
            } else {
                vz_filter_f64(&eval, field, &column, low, high, &got);
                coded += vz_snapshot_code_f64(snap, field->id, &column, low, high, &range);
            }
            for (size_t w = 0; w < vz_bitset_word_count(&got); w++)
                if (got.words[w] != want.words[w])
                    fail_msg("%s, round %zu: [%g, %g] or [%lld, %lld], documents from %zu: "
                             "%016llx, not %016llx",
                             fields[f], round, low, high, (long long)from, (long long)to, w * 64,
                             (unsigned long long)got.words[w], (unsigned long long)want.words[w]);
            vz_bitset_deinit(&got);
            vz_bitset_deinit(&want);
        }
    vz_eval_deinit(&eval);
    vz_arena_deinit(&arena);
    return coded;
}

static struct vz_index *numbers(struct fixture *fixture)
{
    struct vz_index *index = fixture_create(
        fixture, "numbers",
        "{\"mappings\":{\"properties\":{\"whole\":{\"type\":\"long\"},\"few\":{\"type\":\"byte\"},"
        "\"many\":{\"type\":\"long\"},\"price\":{\"type\":\"float\"},\"wild\":{\"type\":\"double\"}"
        ","
        "\"same\":{\"type\":\"integer\"},\"when\":{\"type\":\"date\"}}}}");
    write_some(index, 0, FIRST, false);
    return index;
}

static void every_range_is_exact(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct vz_index *index = numbers(&fixture);
    struct vz_snapshot *before = vz_index_snapshot(index);
    struct vz_index_stats early, late;
    vz_index_stats(index, &early);
    /* "when" and "same" have too few values for codes at first. */
    size_t coded = compare(before, 1, 40);
    assert_true(coded > 35 * 4);
    vz_index_stats(index, &late);
    assert_true(late.column_bytes >= early.column_bytes + 4 * FIRST / 64 * 64 * 2);
    int docs = FIRST;
    for (int round = 0; round < 3; round++) {
        write_some(index, docs, docs + MORE, true);
        docs += MORE;
        delete_some(index, docs);
        struct vz_snapshot *now = vz_index_snapshot(index);
        assert_true(compare(now, 10 + (uint64_t)round, 15) > 15 * 4);
        compare(before, 20 + (uint64_t)round, 5);
        vz_snapshot_release(now);
    }
    vz_snapshot_release(before);
    fixture_close(&fixture);
}

struct asker {
    struct vz_snapshot *snap;
    uint64_t seed;
};

static void *ask(void *from)
{
    struct asker *asker = from;
    compare(asker->snap, asker->seed, 12);
    return NULL;
}

/* Codes are made by one while others ask, and more come meanwhile. */
static void many_may_ask(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct vz_index *index = numbers(&fixture);
    struct asker askers[4];
    pthread_t threads[4];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < VZ_COUNT_OF(askers); i++) {
            askers[i] = (struct asker){vz_index_snapshot(index), 100 * (uint64_t)round + i};
            assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
        }
        write_some(index, FIRST + round * MORE, FIRST + (round + 1) * MORE, true);
        for (size_t i = 0; i < VZ_COUNT_OF(askers); i++) {
            pthread_join(threads[i], NULL);
            vz_snapshot_release(askers[i].snap);
        }
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_is_exact),
        cmocka_unit_test(many_may_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
