/* A query as Lucene's toString() prints it. */
#include "text/scorer.h"

#include <stdlib.h>

static void put_float(struct vz_buf *out, float value)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_float(&w, value);
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

/* CombinedFieldQuery((body title^2.0)(quick)) */
static void describe_combined(const struct vz_text_query *query, struct vz_buf *out)
{
    vz_buf_append_str(out, "CombinedFieldQuery((");
    for (size_t i = 0; i < query->field_count; i++) {
        vz_buf_append_str(out, i ? " " : "");
        vz_buf_append_slice(out, query->fields[i].name);
        if (query->fields[i].weight != 1) {
            vz_buf_append_char(out, '^');
            put_float(out, query->fields[i].weight);
        }
    }
    vz_buf_append_str(out, ")(");
    for (size_t i = 0; i < query->term_count; i++)
        vz_buf_printf(out, "%s%.*s", i ? "," : "", (int)query->terms[i].len, query->terms[i].ptr);
    vz_buf_append_str(out, "))");
}

/* f:ORDERED(a,b) */
static void describe_intervals(const struct vz_text_query *query, struct vz_buf *out)
{
    vz_buf_printf(out, "%.*s:", (int)query->field_name.len, query->field_name.ptr);
    vz_intervals_describe(query->intervals, out);
}

static void describe_parts(const struct vz_text_query *query, struct vz_buf *out)
{
    bool best = query->kind == VZ_TEXT_BEST;
    vz_buf_append_str(out, best ? "(" : "");
    for (size_t i = 0; i < query->part_count; i++) {
        const struct vz_text_query *part = query->parts[i];
        bool wrap =
            !best && part->boost == 1 && (part->kind == VZ_TEXT_ANY || part->kind == VZ_TEXT_EVERY);
        vz_buf_append_str(out, !i ? "" : best ? " | " : " ");
        vz_buf_append_str(out, query->kind == VZ_TEXT_EVERY ? "+" : "");
        vz_buf_append_str(out, wrap ? "(" : "");
        vz_text_describe(part, out);
        vz_buf_append_str(out, wrap ? ")" : "");
    }
    vz_buf_append_str(out, best ? ")" : "");
    if (best && query->tie != 0) {
        vz_buf_append_char(out, '~');
        put_float(out, query->tie);
    }
}

void vz_text_describe_plain(const struct vz_text_query *query, struct vz_buf *out)
{
    if (query->kind == VZ_TEXT_NONE && query->source.len)
        vz_buf_append_slice(out, query->source);
    else if (query->kind == VZ_TEXT_NONE)
        vz_buf_append_str(out, "MatchNoDocsQuery(\"\")");
    else if (query->kind == VZ_TEXT_COMBINED)
        describe_combined(query, out);
    else if (query->kind == VZ_TEXT_SPANS)
        vz_spans_describe(query->spans, out);
    else if (query->kind == VZ_TEXT_INTERVALS)
        describe_intervals(query, out);
    else if (query->kind == VZ_TEXT_PHRASE)
        describe_phrase(query, out);
    else if (query->kind != VZ_TEXT_TERM)
        describe_parts(query, out);
    else if (query->constant && query->source.len)
        vz_buf_append_slice(out, query->source);
    else if (query->term_count > 1)
        describe_synonyms(query, out);
    else
        vz_buf_printf(out, "%.*s:%.*s", (int)query->field_name.len, query->field_name.ptr,
                      (int)query->terms[0].len, query->terms[0].ptr);
}

void vz_text_describe(const struct vz_text_query *query, struct vz_buf *out)
{
    bool list = query->kind == VZ_TEXT_ANY || query->kind == VZ_TEXT_EVERY;
    bool wrap = query->boost != 1 || (list && query->minimum > 1);
    vz_buf_append_str(out, wrap ? "(" : "");
    vz_text_describe_plain(query, out);
    vz_buf_append_str(out, wrap ? ")" : "");
    if (list && query->minimum > 1)
        vz_buf_printf(out, "~%zu", query->minimum);
    if (query->boost != 1) {
        vz_buf_append_char(out, '^');
        put_float(out, query->boost);
    }
}
