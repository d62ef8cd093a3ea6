/* One document's score as a tree of numbers, in Lucene's words. */
#include "text/scorer.h"

#include <stdio.h>
#include <stdlib.h>

static struct vz_explanation *new_node(struct vz_arena *arena, float value, size_t details,
                                       const char *text)
{
    struct vz_explanation *node = vz_arena_zalloc(arena, sizeof *node);
    node->match = true;
    node->value = value;
    node->description = vz_arena_copy(arena, vz_slice_from(text));
    node->details = vz_arena_zalloc(arena, (details + 1) * sizeof *node->details);
    return node;
}

static void add(struct vz_explanation *node, struct vz_explanation *detail)
{
    node->details[node->detail_count++] = detail;
}

static struct vz_explanation *no_match(struct vz_arena *arena, const char *text)
{
    struct vz_explanation *node = new_node(arena, 0, 0, text);
    node->match = false;
    return node;
}

static struct vz_explanation *explain_idf(const struct vz_weight *weight, uint64_t doc_freq,
                                          struct vz_arena *arena)
{
    struct vz_explanation *idf =
        new_node(arena, vz_bm25_idf(weight->field.doc_count, doc_freq), 2,
                 "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:");
    add(idf, new_node(arena, (float)doc_freq, 0, "n, number of documents containing term"));
    add(idf, new_node(arena, (float)weight->field.doc_count, 0,
                      "N, total number of documents with field"));
    return idf;
}

/* "2.0", "0.33333334": as Java prints a float. */
static void put_freq(struct vz_buf *out, float freq)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_float(&w, freq);
}

static struct vz_explanation *explain_tf(const struct vz_weight *weight, float freq,
                                         unsigned char norm, struct vz_arena *arena)
{
    const struct vz_bm25 *bm25 = &weight->bm25;
    const struct vz_text_query *query = weight->query;
    struct vz_explanation *tf =
        new_node(arena, vz_bm25_tf(bm25, freq, norm), 5,
                 "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:");
    uint32_t length = vz_norm_decode(norm);
    struct vz_buf text = {0};
    bool phrase = query->kind == VZ_TEXT_PHRASE;
    if (phrase || query->term_count > 1) {
        vz_buf_append_str(&text, phrase ? "phraseFreq=" : "termFreq=");
        put_freq(&text, freq);
    } else {
        vz_buf_append_str(&text, "freq, occurrences of term within document");
    }
    add(tf, new_node(arena, freq, 0, text.data));
    vz_buf_deinit(&text);
    add(tf, new_node(arena, bm25->k1, 0, "k1, term saturation parameter"));
    add(tf, new_node(arena, bm25->b, 0, "b, length normalization parameter"));
    add(tf, new_node(arena, (float)length, 0,
                     length > 39 ? "dl, length of field (approximate)" : "dl, length of field"));
    add(tf, new_node(arena, bm25->average_length, 0, "avgdl, average length of field"));
    return tf;
}

static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

/* Synonym(f:a f:b), in order of the terms. */
static void describe_synonyms(const struct vz_text_query *query, struct vz_buf *out)
{
    size_t bytes = query->term_count * sizeof *query->terms;
    struct vz_slice *sorted = vz_alloc(bytes);
    memcpy(sorted, query->terms, bytes);
    qsort(sorted, query->term_count, sizeof *sorted, by_text);
    vz_buf_append_str(out, "Synonym(");
    for (size_t i = 0; i < query->term_count; i++)
        vz_buf_printf(out, "%s%.*s:%.*s", i ? " " : "", (int)query->field_name.len,
                      query->field_name.ptr, (int)sorted[i].len, sorted[i].ptr);
    vz_buf_append_char(out, ')');
    free(sorted);
}

/* f:"a (b c)"~2 */
static void describe_phrase(const struct vz_text_query *query, struct vz_buf *out)
{
    const uint32_t *at = query->positions;
    vz_buf_printf(out, "%.*s:\"", (int)query->field_name.len, query->field_name.ptr);
    for (size_t i = 0; i < query->term_count; i++) {
        bool like_before = at && i && at[i] == at[i - 1];
        bool like_after = at && i + 1 < query->term_count && at[i] == at[i + 1];
        vz_buf_append_str(out, i ? " " : "");
        vz_buf_append_str(out, like_after && !like_before ? "(" : "");
        vz_buf_append_slice(out, query->terms[i]);
        vz_buf_append_str(out, like_before && !like_after ? ")" : "");
    }
    vz_buf_append_char(out, '"');
    if (query->slop)
        vz_buf_printf(out, "~%u", query->slop);
}

static void describe(const struct vz_text_query *query, struct vz_buf *out)
{
    if (query->kind == VZ_TEXT_PHRASE)
        describe_phrase(query, out);
    else if (query->term_count > 1)
        describe_synonyms(query, out);
    else
        vz_buf_printf(out, "%.*s:%.*s", (int)query->field_name.len, query->field_name.ptr,
                      (int)query->terms[0].len, query->terms[0].ptr);
}

static struct vz_explanation *explain_terms(const struct vz_weight *weight,
                                            struct vz_scorer *scorer, unsigned char norm,
                                            float freq, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    bool phrase = query->kind == VZ_TEXT_PHRASE;
    struct vz_buf text = {0};
    float value = vz_scorer_score(scorer);
    vz_buf_append_str(&text, "weight(");
    describe(query, &text);
    vz_buf_printf(&text, " in %u) [PerFieldSimilarity], result of:", scorer->doc);
    struct vz_explanation *outer = new_node(arena, value, 1, text.data);
    vz_buf_clear(&text);
    vz_buf_append_str(&text, "score(freq=");
    put_freq(&text, freq);
    vz_buf_append_str(&text, "), computed as boost * idf * tf from:");
    struct vz_explanation *score = new_node(arena, value, 3, text.data);
    vz_buf_deinit(&text);
    add(outer, score);
    float boost = weight->bm25.boost * (1 + weight->bm25.k1);
    if (boost != 1)
        add(score, new_node(arena, boost, 0, "boost"));
    if (phrase) {
        struct vz_explanation *idf =
            new_node(arena, weight->bm25.idf, query->term_count, "idf, sum of:");
        for (size_t i = 0; i < query->term_count && weight->doc_freqs[i]; i++)
            add(idf, explain_idf(weight, weight->doc_freqs[i], arena));
        add(score, idf);
    } else {
        add(score, explain_idf(weight, weight->doc_freq, arena));
    }
    add(score, explain_tf(weight, freq, norm, arena));
    return outer;
}

static struct vz_explanation *explain(const struct vz_text_view *view,
                                      const struct vz_weight *weight,
                                      const struct vz_segment *segment, uint32_t docno,
                                      struct vz_arena *arena);

static struct vz_explanation *explain_parts(const struct vz_text_view *view,
                                            const struct vz_weight *weight,
                                            const struct vz_segment *segment, uint32_t docno,
                                            float value, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    char text[64] = "sum of:";
    if (query->kind == VZ_TEXT_BEST && query->tie == 0)
        snprintf(text, sizeof text, "max of:");
    else if (query->kind == VZ_TEXT_BEST)
        snprintf(text, sizeof text, "max plus %g times others of:", (double)query->tie);
    struct vz_explanation *sum = new_node(arena, value, query->part_count, text);
    for (size_t i = 0; i < query->part_count; i++) {
        struct vz_explanation *part = explain(view, weight->parts[i], segment, docno, arena);
        if (part->match)
            add(sum, part);
    }
    return sum;
}

static struct vz_explanation *explain(const struct vz_text_view *view,
                                      const struct vz_weight *weight,
                                      const struct vz_segment *segment, uint32_t docno,
                                      struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct vz_scorer *scorer = vz_scorer_new(weight, segment, arena);
    struct vz_explanation *out;
    if (!scorer || vz_scorer_advance(scorer, docno) != docno) {
        vz_scorer_close(scorer);
        return no_match(arena, "no matching term");
    }
    if (query->kind == VZ_TEXT_PHRASE) {
        const struct vz_segment_field *field = vz_segment_find_field(segment, query->field);
        unsigned char norm = field ? vz_segment_norm(segment, field, docno) : 1;
        out = explain_terms(weight, scorer, norm ? norm : 1, vz_phrase_freq(scorer), arena);
    } else if (query->constant) {
        out = new_node(arena, weight->constant, 0, "ConstantScore");
    } else if (query->kind == VZ_TEXT_TERM) {
        struct vz_union lists;
        unsigned char norm = 1;
        float freq = 0;
        if (vz_union_open(&lists, segment, query->field, query->terms, query->term_count, arena)) {
            vz_union_advance(&lists, docno);
            freq = (float)vz_union_freq(&lists);
            for (size_t i = 0; i < lists.count; i++)
                if (lists.lists[i].doc == docno)
                    norm = vz_postings_norm(&lists.lists[i]);
            vz_union_close(&lists);
        }
        out = explain_terms(weight, scorer, norm, freq, arena);
    } else {
        out = explain_parts(view, weight, segment, docno, vz_scorer_score(scorer), arena);
    }
    vz_scorer_close(scorer);
    return out;
}

enum vz_status vz_text_explain(const struct vz_text_view *view, const struct vz_text_query *query,
                               uint32_t docno, struct vz_arena *arena, struct vz_explanation **out,
                               struct vz_error *err)
{
    struct vz_weight *weight = vz_weigh(view, query, 1, arena, err);
    if (!weight)
        return VZ_BAD_QUERY;
    *out = NULL;
    for (size_t i = 0; i < view->count; i++)
        if (docno >= view->segments[i]->base && docno < view->segments[i]->limit)
            *out = explain(view, weight, view->segments[i], docno, arena);
    if (!*out)
        *out = no_match(arena, "no matching term");
    return VZ_OK;
}
