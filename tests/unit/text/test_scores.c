/* Queries over tests/golden/text/corpus.txt against Lucene's answers (scores.txt): hits, order,
 * scores to six digits, explanations; over one segment and over several, where the statistics are
 * the view's and so are the same. */
#include "text/golden_path.h"

#include "base/file.h"
#include "text/bm25.h"
#include "text/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct vz_slice next_part(struct vz_slice *rest, char at)
{
    const char *end = memchr(rest->ptr, at, rest->len);
    struct vz_slice part = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t skip = VZ_MIN(part.len + 1, rest->len);
    rest->ptr += skip;
    rest->len -= skip;
    return part;
}

static void read_all(const char *name, struct vz_buf *out)
{
    struct vz_error err = {0};
    char path[512];
    snprintf(path, sizeof path, VZ_GOLDEN_TEXT "%s", name);
    if (vz_file_read(path, 0, out, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
}

/* The corpus in segments of `size` documents. */
static struct vz_text_view *build(uint32_t size)
{
    struct vz_buf corpus = {0};
    struct vz_analysis *analysis;
    struct vz_tokens tokens = {0};
    struct vz_error err = {0};
    struct vz_segment *segments[64];
    size_t count = 0;
    uint32_t docno = 0;
    read_all("corpus.txt", &corpus);
    assert_int_equal(vz_analysis_new((struct vz_json){0}, NULL, &analysis, &err), VZ_OK);
    const struct vz_analyzer *analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("whitespace"));
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_slice rest = vz_buf_slice(&corpus);
    while (rest.len) {
        struct vz_slice line = next_part(&rest, '\n');
        assert_int_equal(vz_analyze(analyzer, line, &tokens, &err), VZ_OK);
        vz_text_builder_add(builder, docno++, 7, VZ_TEXT_ALL, &tokens, 100);
        if (docno % size == 0 || rest.len == 0) {
            assert_int_equal(vz_text_builder_seal(builder, docno, &segments[count], &err), VZ_OK);
            if (vz_segment_validate(segments[count++], &err) != VZ_OK)
                fail_msg("%s", err.text);
        }
    }
    struct vz_text_view *view = vz_text_view_new(segments, count);
    for (size_t i = 0; i < count; i++)
        vz_segment_release(segments[i]);
    vz_text_builder_free(builder);
    vz_tokens_deinit(&tokens);
    vz_analysis_release(analysis);
    vz_buf_deinit(&corpus);
    return view;
}

/* A line of queries.txt as a query or a walk. */
struct parsed {
    struct vz_text_query root, parts[16];
    struct vz_text_query *pointers[16];
    struct vz_slice terms[16];
    uint32_t positions[16];
    bool is_walk;
    struct vz_walk walk;
};

static void parse(struct vz_slice line, struct parsed *p)
{
    *p = (struct parsed){0};
    struct vz_slice kind = next_part(&line, ' ');
    size_t n = 0;
    for (; line.len; n++) {
        p->terms[n] = next_part(&line, ' ');
        p->positions[n] = (uint32_t)n;
        p->parts[n] = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                             .boost = 1,
                                             .field = 7,
                                             .field_name = VZ_SLICE("f"),
                                             .terms = &p->terms[n],
                                             .term_count = 1};
        p->pointers[n] = &p->parts[n];
    }
    p->root = (struct vz_text_query){.boost = 1,
                                     .field = 7,
                                     .field_name = VZ_SLICE("f"),
                                     .terms = p->terms,
                                     .term_count = n,
                                     .parts = p->pointers,
                                     .part_count = n,
                                     .tie = 0.3f};
    unsigned number = kind.len ? (unsigned)strtoul(kind.ptr + kind.len - 1, NULL, 10) : 0;
    if (vz_slice_is(kind, "term") || vz_slice_is(kind, "syn"))
        p->root.kind = VZ_TEXT_TERM;
    else if (vz_slice_is(kind, "or") || vz_slice_is(kind, "or2"))
        p->root.kind = VZ_TEXT_ANY, p->root.minimum = number;
    else if (vz_slice_is(kind, "and"))
        p->root.kind = VZ_TEXT_EVERY;
    else if (vz_slice_is(kind, "dismax"))
        p->root.kind = VZ_TEXT_BEST;
    else if (vz_slice_is(kind, "phrase") || vz_slice_starts(kind, "slop"))
        p->root.kind = VZ_TEXT_PHRASE, p->root.slop = number;
    else if (vz_slice_is(kind, "multi")) {
        p->root.kind = VZ_TEXT_PHRASE;
        p->positions[2] = 1;
        p->root.positions = p->positions;
    } else {
        p->is_walk = true;
        p->walk = (struct vz_walk){.kind = vz_slice_starts(kind, "fuzzy") ? VZ_WALK_FUZZY
                                           : vz_slice_is(kind, "prefix")  ? VZ_WALK_PREFIX
                                           : vz_slice_is(kind, "wild")    ? VZ_WALK_WILDCARD
                                           : vz_slice_is(kind, "regexp")  ? VZ_WALK_REGEXP
                                                                          : VZ_WALK_RANGE,
                                   .text = p->terms[0],
                                   .lower = p->terms[0],
                                   .upper = p->terms[1],
                                   .lower_inclusive = true,
                                   .distance = number,
                                   .transpositions = true};
    }
}

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b));
}

static uint32_t golden_doc(struct vz_slice column, double *score)
{
    char *end;
    uint32_t doc = (uint32_t)strtoul(column.ptr, &end, 10);
    *score = strtod(end, NULL);
    return doc;
}

static unsigned walk_differs(const struct vz_text_view *view, const struct parsed *p,
                             struct vz_slice row, struct vz_slice line)
{
    struct vz_arena arena = {0};
    struct vz_walk_term *terms;
    size_t count;
    bool truncated;
    struct vz_bitset bits;
    struct vz_error err = {0};
    vz_bitset_init(&bits, 3000);
    if (vz_text_walk(view, 7, &p->walk, &arena, &terms, &count, &truncated, &err) != VZ_OK)
        fail_msg("%.*s: %s", (int)line.len, line.ptr, err.text);
    for (size_t i = 0; i < count; i++)
        vz_text_term_docs(view, 7, terms[i].term, &bits);
    size_t want = strtoul(next_part(&row, '\t').ptr, NULL, 10), have = vz_bitset_count(&bits);
    bool same = want == have;
    uint32_t doc = 0;
    for (size_t i = 0; row.len && same; i++) {
        double score;
        uint32_t next = golden_doc(next_part(&row, '\t'), &score);
        same = vz_bitset_next(&bits, doc) == next;
        doc = next + 1;
    }
    if (!same)
        printf("%.*s: Lucene %zu documents, here %zu of %zu terms\n", (int)line.len, line.ptr, want,
               have, count);
    vz_bitset_deinit(&bits);
    vz_arena_deinit(&arena);
    return !same;
}

/* The 30 best with pruning, against Lucene's and against all of them. */
static unsigned query_differs(const struct vz_text_view *view, const struct parsed *p,
                              struct vz_slice row, struct vz_slice line)
{
    struct vz_text_hit hits[30];
    struct vz_text_result result;
    struct vz_error err = {0};
    static float scores[3000];
    struct vz_bitset bits;
    unsigned differ = 0;
    uint64_t want = strtoull(next_part(&row, '\t').ptr, NULL, 10);
    vz_bitset_init(&bits, 3000);
    if (vz_text_collect(view, &p->root, &bits, scores, NULL, NULL, &err) != VZ_OK)
        fail_msg("%s", err.text);
    if (vz_bitset_count(&bits) != want) {
        printf("%.*s: Lucene finds %llu, here %zu\n", (int)line.len, line.ptr,
               (unsigned long long)want, vz_bitset_count(&bits));
        differ = 1;
    }
    for (int limit = 0; limit < 2; limit++) { /* pruned from the start; counted */
        struct vz_text_search search = {.k = 30, .total_limit = limit ? 1000000 : 0};
        struct vz_slice rest = row;
        assert_int_equal(vz_text_top(view, &p->root, &search, hits, &result, &err), VZ_OK);
        if (limit && (result.total != want || !result.total_exact))
            differ = 1;
        size_t i = 0;
        for (; rest.len; i++) {
            double score;
            uint32_t doc = golden_doc(next_part(&rest, '\t'), &score);
            if (i < result.count && hits[i].docno == doc && close_to(hits[i].score, score) &&
                hits[i].score == scores[doc])
                continue;
            /* Sums in another order may change the last bit and so the order of near ties. */
            bool near =
                i < result.count && close_to(hits[i].score, score) && close_to(scores[doc], score);
            if (near)
                continue;
            printf("%.*s (%d): place %zu: Lucene %u %.9g, here %u %.9g, alone %.9g\n",
                   (int)line.len, line.ptr, limit, i, doc, score,
                   i < result.count ? hits[i].docno : 0, i < result.count ? hits[i].score : 0.0,
                   scores[doc]);
            differ = 1;
            break;
        }
        if (i != result.count && !differ) {
            printf("%.*s: %zu hits, not %zu\n", (int)line.len, line.ptr, result.count, i);
            differ = 1;
        }
    }
    vz_bitset_deinit(&bits);
    return differ;
}

static void print_explanation(const struct vz_explanation *e, unsigned depth, struct vz_buf *out)
{
    char number[40];
    vz_buf_append_char(out, '#');
    for (unsigned i = 0; i < depth; i++)
        vz_buf_append_str(out, "  ");
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    /* Lucene prints counts as integers. */
    if (vz_slice_starts(e->description, "n, ") || vz_slice_starts(e->description, "N, "))
        snprintf(number, sizeof number, "%.0f", (double)e->value);
    else {
        vz_json_put_float(&w, e->value);
        snprintf(number, sizeof number, "%s", text.data);
    }
    vz_buf_deinit(&text);
    vz_buf_printf(out, "%s = %.*s\n", number, (int)e->description.len, e->description.ptr);
    for (size_t i = 0; i < e->detail_count; i++)
        print_explanation(e->details[i], depth + 1, out);
}

static unsigned explanation_differs(const struct vz_text_view *view, const struct parsed *p,
                                    uint32_t doc, struct vz_slice *rest, struct vz_slice line)
{
    struct vz_arena arena = {0};
    struct vz_explanation *explanation;
    struct vz_buf text = {0};
    struct vz_error err = {0};
    unsigned differ = 0;
    vz_buf_append_str(&text, "");
    assert_int_equal(vz_text_explain(view, &p->root, 1, doc, &arena, &explanation, &err), VZ_OK);
    print_explanation(explanation, 0, &text);
    struct vz_slice ours = vz_buf_slice(&text);
    while (rest->len && rest->ptr[0] == '#') {
        struct vz_slice want = next_part(rest, '\n'), have = next_part(&ours, '\n');
        if (!vz_slice_eq(want, have) && !differ++)
            printf("%.*s: Lucene explains\n  %.*s\nhere\n  %.*s\n", (int)line.len, line.ptr,
                   (int)want.len, want.ptr, (int)have.len, have.ptr);
    }
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
    return differ > 0;
}

static void compare(uint32_t segment_size, bool explanations)
{
    struct vz_buf golden = {0};
    struct vz_text_view *view = build(segment_size);
    unsigned differ = 0, queries = 0, explained = 0;
    read_all("scores.txt", &golden);
    struct vz_slice rest = vz_buf_slice(&golden);
    while (rest.len) {
        struct vz_slice row = next_part(&rest, '\n');
        struct vz_slice line = next_part(&row, '\t'), first = row;
        struct parsed p;
        double score;
        parse(line, &p);
        queries++;
        differ +=
            p.is_walk ? walk_differs(view, &p, row, line) : query_differs(view, &p, row, line);
        next_part(&first, '\t');
        /* Lucene orders the clauses of a dismax by hash. */
        if (rest.len && rest.ptr[0] == '#' && !p.is_walk && p.root.kind != VZ_TEXT_BEST &&
            explanations) {
            explained++;
            differ += explanation_differs(view, &p, golden_doc(next_part(&first, '\t'), &score),
                                          &rest, line);
        }
        while (rest.len && rest.ptr[0] == '#')
            next_part(&rest, '\n');
    }
    printf("%u queries over %zu segments, %u explanations: %u differ\n", queries,
           vz_text_view_count(view), explained, differ);
    assert_true(queries > 400);
    vz_text_view_release(view);
    vz_buf_deinit(&golden);
    assert_int_equal(differ, 0);
}

static void one_segment_is_lucene(void **state)
{
    compare(3000, true);
}

static void several_segments_are_lucene(void **state)
{
    compare(137, false);
}

/* Worked out by hand from the formula, and the table of lengths that Lucene documents. */
static void lengths_keep_what_a_byte_can(void **state)
{
    for (uint32_t i = 0; i <= 39; i++)
        assert_int_equal(vz_norm_decode(vz_norm_encode(i)), i);
    assert_int_equal(vz_norm_decode(vz_norm_encode(41)), 40);
    assert_int_equal(vz_norm_decode(vz_norm_encode(100)), 96);
    assert_int_equal(vz_norm_decode(vz_norm_encode(1000)), 984);
    assert_int_equal(vz_norm_encode(UINT32_MAX), 255);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(vz_norm_encode(vz_norm_decode((unsigned char)i)), i);
    struct vz_bm25 bm25;
    struct vz_bm25_stats stats = {
        .boost = 1, .k1 = 1.2f, .b = 0.75f, .doc_count = 4, .sum_total_freqs = 20};
    uint64_t doc_freq = 1;
    vz_bm25_init(&bm25, &stats, &doc_freq, 1);
    /* idf = ln(1 + 3.5 / 1.5); freq 2 in a field of 5 tokens, the average: tf = 2 / 3.2 */
    double want = 2.2 * log(1 + 3.5 / 1.5) * 2 / 3.2;
    assert_true(fabs(vz_bm25_score(&bm25, 2, vz_norm_encode(5)) - want) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_keep_what_a_byte_can),
        cmocka_unit_test(one_segment_is_lucene),
        cmocka_unit_test(several_segments_are_lucene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
