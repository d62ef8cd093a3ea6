/* Indexing rate and query latency of src/text over a corpus of a line a document; analyzer speed.
 *
 *     bench_text generate CORPUS QUERIES [DOCUMENTS]   a Zipf corpus and its queries
 *     bench_text run CORPUS QUERIES DIR                tab-separated: what, microseconds a query
 *     bench_text analyze                               MB/s of analyzers on one thread
 *
 * Each figure is the best of five passes over the queries (processor time), one thread, the index
 * in one segment. */
#include "base/file.h"
#include "base/text.h"
#include "text/index.h"
#include "text/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VOCABULARY 200000

/* Processor time of this process: the machine may be busy with others. */
static double now_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

/* ---- the corpus --------------------------------------------------------------------------------
 */

static void word_text(uint32_t rank, char out[24])
{
    static const char *const syllables[] = {"ka", "ro", "mi", "ta", "ne", "lu", "so", "pe",
                                            "vi", "da", "go", "fu", "be", "zi", "ha", "no"};
    uint64_t state = rank * 2654435761u;
    uint32_t value = (uint32_t)(vz_rng_next(&state) >> 40);
    char *at = out;
    *at = '\0';
    for (unsigned i = 0; i < 2 + rank % 3; i++, value >>= 4)
        at += sprintf(at, "%s", syllables[value & 15]);
    sprintf(at, "%x", rank);
}

static double *cumulative_weights(void)
{
    double *sums = vz_alloc(VOCABULARY * sizeof *sums), sum = 0;
    for (uint32_t i = 0; i < VOCABULARY; i++)
        sums[i] = sum += 1.0 / (double)(i + 3);
    return sums;
}

static uint32_t pick(const double *sums, uint64_t *seed)
{
    double at = vz_rng_unit(seed) * sums[VOCABULARY - 1];
    uint32_t low = 0, high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t between(uint64_t *seed, uint32_t low, uint32_t high)
{
    return low + (uint32_t)(vz_rng_next(seed) % (high - low));
}

static int generate(const char *corpus, const char *queries, uint32_t documents)
{
    double *sums = cumulative_weights();
    uint64_t seed = 42;
    char word[24], previous[24];
    FILE *out = fopen(corpus, "w");
    for (uint32_t d = 0; out && d < documents; d++) {
        uint32_t length = between(&seed, 4, 28);
        for (uint32_t i = 0; i < length; i++) {
            word_text(pick(sums, &seed), word);
            fprintf(out, "%s%s", i ? " " : "", word);
        }
        fputc('\n', out);
    }
    if (!out || fclose(out) != 0 || !(out = fopen(queries, "w")))
        return 1;
    for (int i = 0; i < 100; i++) {
        word_text(i < 50 ? (uint32_t)i * 4 : between(&seed, 200, 20000), word);
        fprintf(out, "term %s\n", word);
        const char *const kinds[] = {"or", "and"};
        for (int k = 0; k < 2; k++) {
            fprintf(out, "%s", kinds[k]);
            for (uint32_t n = between(&seed, 2, 5); n > 0; n--) {
                word_text(between(&seed, 0, n == 1 ? 200 : k ? 300 : 5000), word);
                fprintf(out, " %s", word);
            }
            fputc('\n', out);
        }
        word_text(between(&seed, 0, 20), previous);
        word_text(between(&seed, 0, 100), word);
        fprintf(out, "phrase %s %s\n", previous, word);
    }
    free(sums);
    return fclose(out) != 0;
}

/* ---- the index ---------------------------------------------------------------------------------
 */

static struct vz_slice next_part(struct vz_slice *rest, char at)
{
    const char *end = memchr(rest->ptr, at, rest->len);
    struct vz_slice part = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t skip = VZ_MIN(part.len + 1, rest->len);
    rest->ptr += skip;
    rest->len -= skip;
    return part;
}

static void check(enum vz_status status, const struct vz_error *err)
{
    if (status == VZ_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static struct vz_text_index *build(const char *corpus, const char *dir)
{
    struct vz_buf text = {0};
    struct vz_error err = {0};
    struct vz_analysis *analysis;
    struct vz_tokens tokens = {0};
    struct vz_text_index *index;
    struct vz_text_index_options options = {.buffer_bytes = (size_t)200 << 20,
                                            .flush_bytes = (size_t)1 << 40};
    check(vz_mkdir_all(dir, &err), &err);
    check(vz_file_read(corpus, 0, &text, &err), &err);
    check(vz_analysis_new((struct vz_json){0}, NULL, &analysis, &err), &err);
    check(vz_text_index_open(dir, &options, &index, &err), &err);
    const struct vz_analyzer *analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("standard"));
    double start = now_s();
    struct vz_slice rest = vz_buf_slice(&text);
    uint32_t docno = 0;
    while (rest.len) {
        check(vz_analyze(analyzer, next_part(&rest, '\n'), &tokens, &err), &err);
        check(vz_text_index_add(index, docno++, 1, VZ_TEXT_ALL, &tokens, 100, &err), &err);
    }
    check(vz_text_index_publish(index, docno, &err), &err);
    double indexed = now_s() - start;
    check(vz_text_index_checkpoint(index, &err), &err);
    struct vz_text_index_stats stats;
    vz_text_index_stats(index, &stats);
    fprintf(stderr,
            "vizsla: %u documents (%.0f MB) in %.2f s, with the merge to a file of %.0f MB "
            "%.2f s\n",
            docno, (double)text.len * 1e-6, indexed, (double)stats.mapped_bytes * 1e-6,
            now_s() - start);
    printf("index\t%.3f\n", indexed);
    vz_tokens_deinit(&tokens);
    vz_analysis_release(analysis);
    vz_buf_deinit(&text);
    return index;
}

struct query {
    struct vz_text_query root, parts[8];
    struct vz_text_query *pointers[8];
    struct vz_slice terms[8], kind;
};

static void parse(struct vz_slice line, struct query *q)
{
    *q = (struct query){.kind = next_part(&line, ' ')};
    size_t n = 0;
    for (; line.len && n < 8; n++) {
        q->terms[n] = next_part(&line, ' ');
        q->parts[n] = (struct vz_text_query){
            .kind = VZ_TEXT_TERM, .boost = 1, .field = 1, .terms = &q->terms[n], .term_count = 1};
        q->pointers[n] = &q->parts[n];
    }
    q->root = (struct vz_text_query){.kind = vz_slice_is(q->kind, "or")       ? VZ_TEXT_ANY
                                             : vz_slice_is(q->kind, "and")    ? VZ_TEXT_EVERY
                                             : vz_slice_is(q->kind, "phrase") ? VZ_TEXT_PHRASE
                                                                              : VZ_TEXT_TERM,
                                     .boost = 1,
                                     .field = 1,
                                     .terms = q->terms,
                                     .term_count = n,
                                     .parts = q->pointers,
                                     .part_count = n};
}

static double pass(const struct vz_text_view *view, struct query *queries, size_t count,
                   const char *kind, uint64_t total_limit, size_t *of_kind)
{
    struct vz_text_hit hits[10];
    struct vz_text_result result;
    struct vz_error err = {0};
    struct vz_text_search search = {.k = 10, .total_limit = total_limit};
    double start = now_s();
    *of_kind = 0;
    for (size_t i = 0; i < count; i++) {
        if (!vz_slice_is(queries[i].kind, kind))
            continue;
        check(vz_text_top(view, &queries[i].root, &search, hits, &result, &err), &err);
        ++*of_kind;
    }
    return now_s() - start;
}

static int run(const char *corpus, const char *queries_path, const char *dir)
{
    static const char *const kinds[] = {"term", "or", "and", "phrase"};
    struct vz_text_index *index = build(corpus, dir);
    struct vz_text_view *view = vz_text_index_view(index);
    struct vz_buf text = {0};
    struct vz_error err = {0};
    static struct query queries[4096];
    size_t count = 0, of_kind = 1;
    check(vz_file_read(queries_path, 0, &text, &err), &err);
    for (struct vz_slice rest = vz_buf_slice(&text); rest.len && count < 4096; count++)
        parse(next_part(&rest, '\n'), &queries[count]);
    for (size_t k = 0; k < VZ_COUNT_OF(kinds); k++) {
        double best[3] = {1e9, 1e9, 1e9};
        static const uint64_t limits[3] = {0, UINT64_MAX, 10000};
        for (int i = 0; i < 5; i++)
            for (int l = 0; l < 3; l++)
                best[l] = fmin(best[l], pass(view, queries, count, kinds[k], limits[l], &of_kind));
        printf("%s\t%.1f\t%.1f\t%.1f\n", kinds[k], best[0] * 1e6 / (double)of_kind,
               best[1] * 1e6 / (double)of_kind, best[2] * 1e6 / (double)of_kind);
    }
    vz_text_view_release(view);
    vz_text_index_close(index);
    vz_buf_deinit(&text);
    return 0;
}

/* ---- analyzers ---------------------------------------------------------------------------------
 */

static int analyze(void)
{
    static const char *const names[] = {"standard", "whitespace", "simple",
                                        "english",  "portuguese", "german"};
    static const char *const samples[] = {
        "The quick Brown-Foxes jumped over the lazy dog's bone, at 3.5 km an hour in 2026. ",
        "Os cães não dormem na estação; as ações da coleção são rápidas às 3,5 horas. "};
    struct vz_analysis *analysis;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    check(vz_analysis_new((struct vz_json){0}, NULL, &analysis, &err), &err);
    for (size_t s = 0; s < 2; s++) {
        struct vz_buf text = {0};
        while (text.len < 2000)
            vz_buf_append_str(&text, samples[s]);
        for (size_t n = 0; n < VZ_COUNT_OF(names); n++) {
            const struct vz_analyzer *analyzer =
                vz_analysis_analyzer(analysis, vz_slice_from(names[n]));
            double best = 1e9;
            for (int i = 0; i < 7; i++) {
                double start = now_s();
                for (int r = 0; r < 1000; r++)
                    check(vz_analyze(analyzer, vz_buf_slice(&text), &tokens, &err), &err);
                best = fmin(best, now_s() - start);
            }
            printf("%s\t%s\t%.0f MB/s\n", s ? "Portuguese" : "ASCII", names[n],
                   (double)text.len * 1000 / best * 1e-6);
        }
        vz_buf_deinit(&text);
    }
    vz_tokens_deinit(&tokens);
    vz_analysis_release(analysis);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "generate") == 0)
        return generate(argv[2], argv[3],
                        argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1000000);
    if (argc == 5 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv[3], argv[4]);
    if (argc == 2 && strcmp(argv[1], "analyze") == 0)
        return analyze();
    fprintf(stderr, "usage: bench_text generate CORPUS QUERIES [N] | run CORPUS QUERIES DIR | "
                    "analyze\n");
    return 2;
}
