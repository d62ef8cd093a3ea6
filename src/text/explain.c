/* One document's score as a tree of numbers, in Lucene's words. */
#include "text/scorer.h"


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
    idf->details[0]->whole = idf->details[1]->whole = true;
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
    bool phrase = query->kind == VZ_TEXT_PHRASE || query->kind == VZ_TEXT_SPANS;
    if (phrase || query->term_count > 1 || query->kind == VZ_TEXT_COMBINED) {
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

static struct vz_explanation *explain_terms(const struct vz_weight *weight,
                                            struct vz_scorer *scorer, unsigned char norm,
                                            float freq, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    bool phrase = query->kind == VZ_TEXT_PHRASE ||
                  (query->kind == VZ_TEXT_SPANS && query->term_count > 1 && weight->doc_freqs[1]);
    struct vz_buf text = {0};
    float value = vz_scorer_score(scorer);
    vz_buf_append_str(&text, "weight(");
    vz_text_describe_plain(query, &text);
    vz_buf_printf(&text, " in %u)%s, result of:", scorer->doc,
                  query->kind == VZ_TEXT_COMBINED ? "" : " [PerFieldSimilarity]");
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
        add(score, explain_idf(weight, weight->idf_freq, arena));
    }
    add(score, explain_tf(weight, freq, norm, arena));
    return outer;
}

static struct vz_explanation *explain(const struct vz_text_view *view,
                                      const struct vz_weight *weight,
                                      const struct vz_segment *segment, uint32_t docno,
                                      struct vz_arena *arena);

/* What a part of a sum that all must match adds when it does not. */
static struct vz_explanation *missing_part(struct vz_explanation *part,
                                           const struct vz_text_query *query,
                                           struct vz_arena *arena)
{
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "no match on required clause (");
    vz_text_describe(query, &text);
    vz_buf_append_char(&text, ')');
    struct vz_explanation *node = new_node(arena, 0, 1, text.data);
    node->match = false;
    add(node, part);
    vz_buf_deinit(&text);
    return node;
}

static void head_of_sum(const struct vz_text_query *query, bool match, struct vz_buf *text)
{
    if (query->kind == VZ_TEXT_BEST && !match)
        vz_buf_append_str(text, "No matching clause");
    else if (query->kind == VZ_TEXT_BEST && query->tie == 0)
        vz_buf_append_str(text, "max of:");
    else if (query->kind == VZ_TEXT_BEST) {
        vz_buf_append_str(text, "max plus ");
        put_freq(text, query->tie);
        vz_buf_append_str(text, " times others of:");
    } else if (match)
        vz_buf_append_str(text, "sum of:");
    else if (query->kind == VZ_TEXT_EVERY)
        vz_buf_append_str(text, "Failure to meet condition(s) of required/prohibited clause(s)");
    else if (query->minimum > 1)
        vz_buf_printf(text, "Failure to match minimum number of optional clauses: %zu",
                      query->minimum);
    else
        vz_buf_append_str(text, "No matching clauses");
}

static struct vz_explanation *explain_parts(const struct vz_text_view *view,
                                            const struct vz_weight *weight,
                                            const struct vz_segment *segment, uint32_t docno,
                                            bool match, float value, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct vz_buf text = {0};
    head_of_sum(query, match, &text);
    struct vz_explanation *sum = new_node(arena, value, query->part_count, text.data);
    vz_buf_deinit(&text);
    sum->match = match;
    for (size_t i = 0; i < query->part_count; i++) {
        struct vz_explanation *part = explain(view, weight->parts[i], segment, docno, arena);
        if (part->match)
            add(sum, part);
        else if (!match && query->kind == VZ_TEXT_EVERY)
            add(sum, missing_part(part, query->parts[i], arena));
        else if (!match && query->kind == VZ_TEXT_BEST)
            add(sum, part);
    }
    return sum;
}

/* "title:qui*^2.0" */
static struct vz_explanation *explain_constant(const struct vz_weight *weight, bool match,
                                               uint32_t docno, struct vz_arena *arena)
{
    struct vz_buf text = {0};
    vz_text_describe_plain(weight->query, &text);
    if (!match)
        vz_buf_printf(&text, " doesn't match id %u", docno);
    else if (weight->constant != 1) {
        vz_buf_append_char(&text, '^');
        put_freq(&text, weight->constant);
    }
    struct vz_explanation *node = new_node(arena, match ? weight->constant : 0, 0, text.data);
    node->match = match;
    vz_buf_deinit(&text);
    return node;
}

static struct vz_explanation *explain_term(const struct vz_weight *weight, struct vz_scorer *scorer,
                                           const struct vz_segment *segment,
                                           struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct vz_union lists;
    unsigned char norm = 1;
    float freq = 0;
    if (vz_union_open(&lists, segment, query->field, query->terms, query->term_count, arena)) {
        vz_union_advance(&lists, scorer->doc);
        freq = (float)vz_union_freq(&lists);
        for (size_t i = 0; i < lists.count; i++)
            if (lists.lists[i].doc == scorer->doc)
                norm = vz_postings_norm(&lists.lists[i]);
        vz_union_close(&lists);
    }
    return explain_terms(weight, scorer, norm, freq, arena);
}

static struct vz_explanation *explain(const struct vz_text_view *view,
                                      const struct vz_weight *weight,
                                      const struct vz_segment *segment, uint32_t docno,
                                      struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct vz_scorer *scorer = segment ? vz_scorer_new(weight, segment, arena) : NULL;
    struct vz_explanation *out;
    bool match = scorer && vz_scorer_advance(scorer, docno) == docno;
    if (query->constant && (query->kind == VZ_TEXT_TERM || query->kind == VZ_TEXT_PHRASE ||
                            query->kind == VZ_TEXT_SPANS)) {
        out = explain_constant(weight, match, docno, arena);
    } else if (query->kind >= VZ_TEXT_ANY && query->kind <= VZ_TEXT_BEST) {
        out = explain_parts(view, weight, segment, docno, match,
                            match ? vz_scorer_score(scorer) : 0, arena);
    } else if (!match) {
        out = no_match(arena, query->kind == VZ_TEXT_PHRASE ? "no matching phrase"
                              : query->kind == VZ_TEXT_INTERVALS ? "no matching intervals"
                              : query->kind == VZ_TEXT_NONE ? "MatchNoDocsQuery(\"\")"
                                                            : "no matching term");
    } else if (query->kind == VZ_TEXT_PHRASE) {
        const struct vz_segment_field *field = vz_segment_find_field(segment, query->field);
        unsigned char norm = field ? vz_segment_norm(segment, field, docno) : 1;
        out = explain_terms(weight, scorer, norm ? norm : 1, vz_phrase_freq(scorer), arena);
    } else if (query->kind == VZ_TEXT_SPANS) {
        out = explain_terms(weight, scorer, vz_spans_norm(scorer), vz_spans_freq(scorer), arena);
    } else if (query->kind == VZ_TEXT_INTERVALS) {
        out = new_node(arena, vz_scorer_score(scorer), 3,
                       "Saturation function on interval frequency, computed as w * S / (S + k) from:");
        add(out, new_node(arena, weight->boost, 0, "w, weight of this function"));
        add(out, new_node(arena, 1, 0,
                          "k, pivot feature value that would give a score contribution equal to w/2"));
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "S, the sloppy frequency of the interval query ");
        vz_intervals_describe(query->intervals, &text);
        add(out, new_node(arena, vz_intervals_freq(scorer), 0, text.data));
        vz_buf_deinit(&text);
    } else if (query->kind == VZ_TEXT_COMBINED) {
        out = explain_terms(weight, scorer, vz_combined_norm(scorer), vz_combined_freq(scorer),
                            arena);
    } else {
        out = explain_term(weight, scorer, segment, arena);
    }
    vz_scorer_close(scorer);
    return out;
}

enum vz_status vz_text_explain(const struct vz_text_view *view, const struct vz_text_query *query,
                               float boost, uint32_t docno, struct vz_arena *arena,
                               struct vz_explanation **out, struct vz_error *err)
{
    struct vz_weight *weight = vz_weigh(view, query, boost, arena, err);
    const struct vz_segment *segment = NULL;
    if (!weight)
        return VZ_BAD_QUERY;
    for (size_t i = 0; i < view->count; i++)
        if (docno >= view->segments[i]->base && docno < view->segments[i]->limit)
            segment = view->segments[i];
    *out = explain(view, weight, segment, docno, arena);
    return VZ_OK;
}
