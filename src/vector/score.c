/* Similarities of rows to a query: by codes, by the rows themselves, whatever they are made of.
 *
 * Rows in random order are scored four at a time while the next four are fetched; one function a
 * kind of element does the walking over rows, the kernels (kernels.h) the sums. Whichever way a row
 * is scored, its similarity is the same to the bit. */
#include "base/ahead.h"
#include "vector/graph.h"

#include <math.h>

enum vz_status vz_space_check(const struct vz_hnsw_options *options, struct vz_error *err)
{
    static const uint32_t most[] = {4096, 4096, 4096, 32768};
    if (options->element > VZ_ELEMENT_BIT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "unknown element type %u", options->element);
    if (options->dims < 1 || options->dims > most[options->element])
        return vz_fail(err, VZ_BAD_ARGUMENT, "dims must be 1 to %u, got %u", most[options->element],
                       options->dims);
    if ((unsigned)options->similarity > VZ_MAX_INNER)
        return vz_fail(err, VZ_BAD_ARGUMENT, "unknown similarity %d", (int)options->similarity);
    if (options->element == VZ_ELEMENT_BIT && options->similarity != VZ_L2)
        return vz_fail(err, VZ_BAD_ARGUMENT, "bits are compared by l2, the Hamming distance, only");
    return VZ_OK;
}

void vz_space_init(struct vz_space *space, const struct vz_hnsw_options *options)
{
    enum vz_element element = (enum vz_element)options->element;
    size_t bytes = vz_element_bytes(element, options->dims);
    size_t width = element == VZ_ELEMENT_BIT ? 1 : vz_element_bytes(element, 1);
    *space = (struct vz_space){
        .rows = (const char *)options->rows,
        .stride = options->stride ? options->stride * width : bytes,
        .dims = options->dims,
        .row_bytes = (uint32_t)bytes,
        .l2 = options->similarity == VZ_L2,
        .cosine = options->similarity == VZ_COSINE,
        .element = element,
        .kernels = vz_kernels(),
        .cold = options->cold,
    };
}

/* ---- rows on disk ---- */

static void ask_for_rows(const struct vz_space *space, const uint32_t *rows, uint32_t count)
{
    struct iovec pieces[VZ_AHEAD_MOST];
    size_t held = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (vz_cold_note(space->cold, rows[i]))
            pieces[held++] =
                (struct iovec){(void *)(uintptr_t)vz_space_row(space, rows[i]), space->row_bytes};
        if (held == VZ_AHEAD_MOST || (held && i + 1 == count)) {
            vz_ahead(pieces, held);
            held = 0;
        }
    }
}

void vz_space_ask(const struct vz_space *space, uint32_t first, uint32_t count)
{
    if (!vz_cold_is_on(space->cold) || !count)
        return;
    struct iovec piece = {(void *)(uintptr_t)vz_space_row(space, first),
                          (size_t)count * space->stride};
    vz_ahead(&piece, 1);
}

struct vz_scorer vz_scorer_of_query(const struct vz_space *space, const void *query)
{
    struct vz_scorer scorer = {.space = space, .any = query};
    if (space->element == VZ_ELEMENT_BYTE && (space->l2 || space->cosine)) {
        const int8_t *row = query;
        int32_t dot;
        space->kernels->elements->bytes(row, &row, &row, space->dims, &dot, &scorer.query_norm);
    }
    return scorer;
}

struct vz_scorer vz_scorer_of_row(const struct vz_hnsw *graph, struct vz_scratch *scratch, int use,
                                  uint32_t row)
{
    const struct vz_space *space = &graph->space;
    bool by_code = graph->quantized && (use == VZ_CODE_WALK || !vz_is_coarse(graph));
    if (by_code && graph->quantize == VZ_QUANTIZE_INT8) { /* needs no floats */
        struct vz_scorer scorer = {.space = space, .any = vz_space_row(space, row)};
        vz_codes_query_row(&scorer, graph, row, scratch->codes + (size_t)use * graph->query_bytes);
        return scorer;
    }
    const void *query = vz_space_row(space, row);
    if (space->element == VZ_ELEMENT_BFLOAT16)
        query = vz_row_floats(graph, row, scratch->floats + (size_t)use * space->dims);
    struct vz_scorer scorer = vz_scorer_of_query(space, query);
    if (by_code)
        vz_codes_query(&scorer, graph, scratch->codes + (size_t)use * graph->query_bytes);
    return scorer;
}

/* ---- floats ---- */

static void score_floats(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
                         float *similarities)
{
    const struct vz_space *space = scorer->space;
    size_t dims = space->dims;
    uint32_t i = 0;
    if (count >= 4) {
        vz_kernel_four *four = space->l2 ? space->kernels->l2sq4 : space->kernels->dot4;
        const float *now[4], *next[4];
        for (int j = 0; j < 4; j++)
            now[j] = vz_space_row(space, rows[j]);
        for (; i + 4 <= count; i += 4) {
            /* What follows: four more, or the odd ones, or nothing (then these again: cached). */
            for (uint32_t j = 0; j < 4; j++)
                next[j] = i + 4 + j < count ? vz_space_row(space, rows[i + 4 + j]) : now[j];
            four(scorer->query, now, next, dims, similarities + i);
            memcpy(now, next, sizeof now);
        }
    }
    vz_kernel_one *one = space->l2 ? space->kernels->l2sq : space->kernels->dot;
    for (; i < count; i++)
        similarities[i] = one(scorer->query, vz_space_row(space, rows[i]), dims);
    if (space->l2)
        for (i = 0; i < count; i++)
            similarities[i] = -similarities[i];
}

/* ---- other elements ---- */

static inline float of_bytes(const struct vz_scorer *scorer, int32_t dot, int32_t norm)
{
    const struct vz_space *space = scorer->space;
    if (space->l2)
        return -(float)(scorer->query_norm + norm - 2 * dot);
    if (!space->cosine)
        return (float)dot;
    double lengths = sqrt((double)scorer->query_norm * norm);
    return lengths > 0 ? (float)(dot / lengths) : 0;
}

/* `count` rows, 1 or 4. */
static void score_some(const struct vz_scorer *scorer, const void *const *rows,
                       const void *const *next, int count, float *similarities)
{
    const struct vz_space *space = scorer->space;
    const struct vz_element_kernels *kernels = space->kernels->elements;
    int32_t dots[4], norms[4];
    uint32_t differ[4];
    if (space->element == VZ_ELEMENT_BYTE) {
        vz_kernel_bytes *kernel = count == 4 ? kernels->bytes4 : kernels->bytes;
        kernel(scorer->any, (const int8_t *const *)rows, (const int8_t *const *)next, space->dims,
               dots, norms);
        for (int i = 0; i < count; i++)
            similarities[i] = of_bytes(scorer, dots[i], norms[i]);
    } else if (space->element == VZ_ELEMENT_BIT) {
        vz_kernel_hamming *kernel = count == 4 ? kernels->hamming4 : kernels->hamming;
        kernel(scorer->any, (const uint8_t *const *)rows, (const uint8_t *const *)next,
               space->row_bytes, differ);
        for (int i = 0; i < count; i++)
            similarities[i] = -(float)differ[i];
    } else {
        vz_kernel_bf16 *kernel = space->l2 ? (count == 4 ? kernels->l2sq4_bf16 : kernels->l2sq_bf16)
                                           : (count == 4 ? kernels->dot4_bf16 : kernels->dot_bf16);
        kernel(scorer->query, (const uint16_t *const *)rows, (const uint16_t *const *)next,
               space->dims, similarities);
        for (int i = 0; space->l2 && i < count; i++)
            similarities[i] = -similarities[i];
    }
}

static void score_elements(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
                           float *similarities)
{
    const struct vz_space *space = scorer->space;
    const void *now[4], *next[4];
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (uint32_t j = 0; j < 4; j++) {
            now[j] = vz_space_row(space, rows[i + j]);
            next[j] = i + 4 + j < count ? vz_space_row(space, rows[i + 4 + j]) : now[j];
        }
        score_some(scorer, now, next, 4, similarities + i);
    }
    for (; i < count; i++) {
        now[0] = vz_space_row(space, rows[i]);
        score_some(scorer, now, now, 1, similarities + i);
    }
}

void vz_score(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
              float *similarities)
{
    if (!scorer->coded && count > 4 && vz_cold_is_on(scorer->space->cold))
        ask_for_rows(scorer->space, rows, count); /* a few: they were scored a moment ago */
    if (scorer->coded)
        vz_codes_score(scorer, rows, count, similarities, NULL);
    else if (scorer->space->element == VZ_ELEMENT_FLOAT)
        score_floats(scorer, rows, count, similarities);
    else
        score_elements(scorer, rows, count, similarities);
}

void vz_score_adjacent(const struct vz_scorer *scorer, uint32_t first, uint32_t count,
                       float *similarities)
{
    const struct vz_space *space = scorer->space;
    if (space->element != VZ_ELEMENT_FLOAT) {
        for (uint32_t i = 0; i < count; i++) {
            const void *row = vz_space_row(space, first + i);
            score_some(scorer, &row, &row, 1, similarities + i);
        }
        return;
    }
    vz_kernel_run *run = space->l2 ? space->kernels->l2sq_run : space->kernels->dot_run;
    run(scorer->query, vz_space_row(space, first), space->stride / sizeof(float), count,
        space->dims, similarities);
    for (uint32_t i = 0; space->l2 && i < count; i++)
        similarities[i] = -similarities[i];
}
