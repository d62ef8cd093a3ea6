/* Leaf queries in one snapshot: which documents match, by scanning a field's column.
 *
 * A column is a plain array, so a scan (scan.c) is a compare per entry; sets of values become a
 * bitmap over ordinals or a sorted array.
 *
 * Scores. Elasticsearch scores a `term` on keyword and boolean fields by BM25 without freqs and
 * norms, which leaves boost * idf where documents have one value: N documents with the field, n
 * with the term (see term_score). Lucene counts deleted documents until they are merged away; here only live ones count.
 * Every other leaf scores its boost. A field that cannot be searched by an inverted index
 * ("index": false) scores its boost too, as Elasticsearch's doc-values queries do.
 */
#include "query/filter.h"
#include "query/objects.h"

#include "base/text.h"
#include "text/analysis.h"
#include "text/bm25.h"
#include "text/postings.h"

#include <stdlib.h>

/* ---- which field, and whether it can be asked ------------------------------------------------ */

const struct vz_field *vz_filter_field(struct vz_eval *eval, struct vz_slice path)
{
    const struct vz_field *field = vz_eval_field(eval, path);
    if (!field || field->under_nested || field->type == VZ_FIELD_OBJECT ||
        field->type == VZ_FIELD_NESTED)
        return NULL;
    return field;
}

const char *vz_filter_type_name(enum vz_field_type type)
{
    return vz_field_type_name(type);
}

bool vz_filter_type_from(struct vz_slice name, enum vz_field_type *type)
{
    return vz_field_type_find(name, type);
}

/* Refuses fields that `query` cannot look into. */
static enum vz_status check_field(const struct vz_field *field, const char *query,
                                  struct vz_error *err)
{
    switch (field->type) {
    case VZ_FIELD_GEO_POINT:
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Geometry fields do not support exact searching, use "
                             "dedicated geometry queries instead: [%.*s]",
                             VZ_ARG(field->path));
    case VZ_FIELD_DENSE_VECTOR:
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Field [%.*s] of type [dense_vector] doesn't support "
                             "%s queries",
                             VZ_ARG(field->path), query);
    case VZ_FIELD_SEMANTIC_TEXT:
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Field [%.*s] of type [semantic_text] does not support %s queries",
                             VZ_ARG(field->path), query);
    case VZ_FIELD_RANK_FEATURE:
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Queries on [rank_feature] fields are not supported");
    case VZ_FIELD_BINARY:
        return vz_query_fail(err, VZ_BAD_QUERY, "Binary fields do not support searching");
    default:
        break;
    }
    if (field->column == VZ_COLUMN_PRESENCE && !field->indexed)
        return vz_query_fail(
            err, VZ_BAD_QUERY,
            "Cannot search on field [%.*s] since it is not indexed nor has doc values.",
            VZ_ARG(field->path));
    if (field->column == VZ_COLUMN_PRESENCE)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[%s] query on the field [%.*s] with [doc_values] off is "
                       "not supported yet by vizsla",
                       query, VZ_ARG(field->path));
    return VZ_OK;
}

/* Of a key within a flattened field the column of all keys: its ordinals are the key's alone. */
static void whole_column(struct vz_eval *eval, const struct vz_field *field,
                         struct vz_column *column)
{
    if (field->derived)
        vz_derived_column(field->derived, column);
    else
        vz_snapshot_column(eval->snap, field->id, column);
}

/* ---- term and terms -------------------------------------------------------------------------- */

static int compare_spans(const void *a, const void *b)
{
    const struct vz_span *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts and joins what overlaps (dates rounded differently); gives the new count. */
static size_t join_spans(struct vz_span *spans, size_t count)
{
    size_t kept = 0;
    qsort(spans, count, sizeof(*spans), compare_spans);
    for (size_t i = 1; i < count; i++) {
        if (spans[i].low <= spans[kept].high)
            spans[kept].high = VZ_MAX(spans[kept].high, spans[i].high);
        else
            spans[++kept] = spans[i];
    }
    return kept + 1;
}

static bool in_spans(const struct vz_span *spans, size_t count, int64_t value)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (spans[mid].low <= value)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && spans[low - 1].high >= value;
}

static enum vz_status terms_i64(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, const struct vz_column *column,
                                struct vz_docset *out, struct vz_error *err)
{
    struct vz_span *spans = vz_arena_alloc(eval->arena, node->value_count * sizeof(*spans) + 1);
    size_t count = 0;
    for (size_t i = 0; i < node->value_count; i++) {
        enum vz_status status = vz_term_span(eval, field, node->values[i], &spans[count], err);
        if (status != VZ_OK && node->lenient)
            continue;
        if (status != VZ_OK)
            return status;
        count += spans[count].low <= spans[count].high;
    }
    if (count == 0)
        return VZ_OK;
    count = join_spans(spans, count);
    vz_docset_begin(out, eval);
    if (count == 1) {
        vz_filter_i64(eval, field, column, spans[0].low, spans[0].high, &out->bits);
        return VZ_OK;
    }
    for (size_t i = 0; i < column->count; i++)
        if (in_spans(spans, count, column->i64[i]))
            vz_bitset_set(&out->bits, column->docnos[i]);
    return VZ_OK;
}

static enum vz_status terms_f64(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, const struct vz_column *column,
                                struct vz_docset *out, struct vz_error *err)
{
    double *wanted = vz_arena_alloc(eval->arena, node->value_count * sizeof(*wanted) + 1);
    size_t count = 0;
    for (size_t i = 0; i < node->value_count; i++) {
        enum vz_status status = vz_term_f64(eval, field, node->values[i], &wanted[count], err);
        if (status != VZ_OK && node->lenient)
            continue;
        if (status != VZ_OK)
            return status;
        count++;
    }
    if (count == 0)
        return VZ_OK;
    vz_docset_begin(out, eval);
    if (count == 1) {
        vz_filter_f64(eval, field, column, wanted[0], wanted[0], &out->bits);
        return VZ_OK;
    }
    qsort(wanted, count, sizeof(*wanted), compare_doubles);
    for (size_t i = 0; i < column->count; i++)
        if (bsearch(&column->f64[i], wanted, count, sizeof(*wanted), compare_doubles))
            vz_bitset_set(&out->bits, column->docnos[i]);
    return VZ_OK;
}

/* A text as a keyword's terms are: through its normalizer. */
static enum vz_status keyword_text(struct vz_eval *eval, const struct vz_field *field,
                                   struct vz_slice text, struct vz_slice *out,
                                   struct vz_error *err)
{
    *out = text;
    if (!field->normalizer)
        return VZ_OK;
    return vz_normalize(field->normalizer, text, eval->arena, out, err);
}

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool starts_folded(struct vz_slice text, struct vz_slice prefix)
{
    if (text.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (fold(text.ptr[i]) != fold(prefix.ptr[i]))
            return false;
    return true;
}

static bool match_folded(const void *context, struct vz_slice term)
{
    const struct vz_slice *wanted = context;
    return term.len == wanted->len && starts_folded(term, *wanted);
}

static enum vz_status terms_keyword(struct vz_eval *eval, const struct vz_node *node,
                                    const struct vz_field *field, const struct vz_column *column,
                                    struct vz_docset *out, struct vz_error *err)
{
    struct vz_slice text;
    enum vz_status status;
    if (node->fold_case) {
        text = vz_query_scalar_text(node->values[0], eval->arena);
        status = keyword_text(eval, field, text, &text, err);
        if (status != VZ_OK)
            return status;
        vz_scan_dictionary(eval, field, column, match_folded, &text, out);
        return VZ_OK;
    }
    uint32_t one = 0, ordinal, count = 0;
    struct vz_bitset wanted = {0};
    for (size_t i = 0; i < node->value_count; i++) {
        text = vz_query_scalar_text(node->values[i], eval->arena);
        status = keyword_text(eval, field, text, &text, err);
        if (status != VZ_OK) {
            vz_bitset_deinit(&wanted);
            return status;
        }
        if (!vz_field_find_term(eval->snap, field, text, &ordinal))
            continue;
        if (count == 1 && ordinal != one) {
            vz_bitset_init(&wanted, vz_field_ordinal_count(eval->snap, field));
            vz_bitset_set(&wanted, one);
            count++;
        }
        if (count == 0) {
            one = ordinal;
            count = 1;
        } else if (count > 1 && ordinal < wanted.bits)
            vz_bitset_set(&wanted, ordinal);
    }
    if (count == 0)
        return VZ_OK;
    vz_docset_begin(out, eval);
    if (count == 1)
        vz_filter_ordinal(eval, field, column, one, &out->bits);
    else {
        vz_filter_ordinals(eval, field, column, &wanted, &out->bits);
        vz_bitset_deinit(&wanted);
    }
    return VZ_OK;
}

static int64_t value_at(const struct vz_column *column, size_t at)
{
    return column->kind == VZ_COLUMN_ORDINAL ? (int64_t)column->ordinals[at] : column->i64[at];
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t distinct_values(const struct vz_column *column, size_t from, size_t end)
{
    if (end - from == 1)
        return 1;
    int64_t *values = vz_alloc((end - from) * sizeof *values);
    uint64_t distinct = 1;
    for (size_t i = from; i < end; i++)
        values[i - from] = value_at(column, i);
    qsort(values, end - from, sizeof *values, compare_i64);
    for (size_t i = 1; i < end - from; i++)
        distinct += values[i] != values[i - 1];
    free(values);
    return distinct;
}

/* Live documents with a value, and their distinct values: counted once, then on from where the last
 * count ended. A flattened field's key has a column made for it, which nobody remembers. */
void vz_field_totals(struct vz_eval *eval, const struct vz_field *field,
                     const struct vz_column *column, uint64_t *docs, uint64_t *values)
{
    struct vz_column_totals totals = {0};
    bool kept = field->key.len == 0 && !field->derived;
    if (kept)
        vz_snapshot_recall_totals(eval->snap, field->id, &totals);
    size_t from = 0, high = totals.docno ? column->count : 0;
    while (from < high) {
        size_t mid = from + (high - from) / 2;
        if (column->docnos[mid] < totals.docno)
            from = mid + 1;
        else
            high = mid;
    }
    for (size_t i = from, end; i < column->count; i = end) {
        end = i + 1;
        while (end < column->count && column->docnos[end] == column->docnos[i])
            end++;
        if (!vz_snapshot_live(eval->snap, column->docnos[i]))
            continue;
        totals.docs++;
        totals.values += distinct_values(column, i, end);
    }
    if (kept)
        vz_snapshot_remember_totals(eval->snap, field->id, totals.docs, totals.values);
    *docs = totals.docs;
    *values = totals.values;
}

float vz_keyword_score(const struct vz_field *field, uint64_t docs, uint64_t values,
                       uint64_t doc_freq, float boost)
{
    struct vz_bm25 bm25;
    struct vz_bm25_stats stats = {.boost = boost,
                                  .k1 = field->scoring.k1,
                                  .b = field->scoring.b,
                                  .doc_count = docs,
                                  .sum_total_freqs = values};
    if (field->scoring.is_boolean)
        return boost;
    vz_bm25_init(&bm25, &stats, &doc_freq, 1);
    return vz_bm25_score(&bm25, 1, 1);
}

static float term_score(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column, const struct vz_node *node,
                        struct vz_docset *set)
{
    uint64_t docs, values, doc_freq = node->doc_freq;
    if (!doc_freq) {
        vz_docset_settle(set, eval);
        doc_freq = vz_docset_count(set, eval);
    }
    vz_field_totals(eval, field, column, &docs, &values);
    return vz_keyword_score(field, docs, values, doc_freq, node->boost);
}

enum vz_status vz_keyword_stats(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, uint64_t *doc_freq,
                                uint64_t *field_docs, uint64_t *field_freqs,
                                struct vz_error *err)
{
    struct vz_docset set;
    struct vz_column column;
    enum vz_status status = vz_leaf_eval(eval, node, false, &set, err);
    if (status != VZ_OK)
        return status;
    vz_docset_settle(&set, eval);
    *doc_freq = vz_docset_count(&set, eval);
    vz_docset_deinit(&set);
    whole_column(eval, field, &column);
    vz_field_totals(eval, field, &column, field_docs, field_freqs);
    return VZ_OK;
}

static enum vz_status eval_ids(struct vz_eval *eval, const struct vz_node *node,
                               struct vz_docset *out)
{
    if (node->value_count == 0)
        return VZ_OK;
    vz_docset_begin(out, eval);
    for (size_t i = 0; i < node->value_count; i++) {
        uint32_t docno, end;
        vz_objects_of_id(eval, vz_query_scalar_text(node->values[i], eval->arena), &docno, &end);
        for (; docno < end; docno++)
            vz_bitset_set(&out->bits, docno);
    }
    return VZ_OK;
}

static void eval_index_name(struct vz_eval *eval, const struct vz_node *node, struct vz_docset *out)
{
    struct vz_slice name = vz_objects_index_name(eval);
    for (size_t i = 0; i < node->value_count; i++)
        if (vz_wildcard_match(vz_query_scalar_text(node->values[i], eval->arena), name))
            out->kind = VZ_SET_ALL;
}

static enum vz_status eval_pattern(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                   struct vz_docset *out, struct vz_error *err);

static enum vz_status eval_fuzzy(struct vz_eval *eval, const struct vz_node *node,
                                 const struct vz_field *field, struct vz_slice text, bool scores,
                                 struct vz_docset *out, struct vz_error *err)
{
    struct vz_slice word;
    if (!vz_field_is_keyword(field) && node->lenient)
        return VZ_OK;
    if (!vz_field_is_keyword(field))
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Can only use fuzzy queries on keyword and text fields - not on "
                             "[%.*s] which is of type [%s]",
                             VZ_ARG(field->path), vz_filter_type_name(field->type));
    enum vz_status status = keyword_text(eval, field, text, &word, err);
    return status == VZ_OK ? vz_keyword_fuzzy(eval, node, field, word, scores, out, err) : status;
}

static enum vz_status eval_terms(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                 struct vz_docset *out, struct vz_error *err)
{
    const char *query = node->kind == VZ_NODE_TERMS ? "terms"
                        : node->match               ? node->match->query
                        : node->is_match            ? "match"
                                                    : "term";
    if (node->value_count > VZ_MAX_TERMS)
        return vz_query_fail(
            err, VZ_BAD_QUERY,
            "The number of terms [%zu] used in the Terms Query "
            "request has exceeded the allowed maximum of [%d]. This maximum can be set by changing "
            "the [index.max_terms_count] index level setting.",
            node->value_count, VZ_MAX_TERMS);
    if (vz_slice_is(node->field, "_id"))
        return eval_ids(eval, node, out);
    if (vz_slice_is(node->field, "_index")) {
        eval_index_name(eval, node, out);
        return VZ_OK;
    }
    const struct vz_field *field = vz_filter_field(eval, node->field);
    if (!field)
        return VZ_OK;
    if (field->type == VZ_FIELD_TEXT)
        return vz_text_eval(eval, node, field, scores, out, err);
    if (node->match && node->match->type == VZ_MATCH_PHRASE_PREFIX)
        return node->lenient ? VZ_OK
                             : vz_query_fail(err, VZ_BAD_QUERY,
                                             "Can only use phrase prefix queries on text fields - "
                                             "not on [%.*s] which is of type [%s]",
                                             VZ_ARG(field->path), vz_filter_type_name(field->type));
    if (node->match && node->match->fuzziness.len && !vz_slice_is(node->match->fuzziness, "0"))
        return eval_fuzzy(eval, node, field, vz_query_scalar_text(node->values[0], eval->arena),
                          scores, out, err);
    if (node->match && node->match->type == VZ_MATCH_BOOL_PREFIX && vz_field_is_keyword(field)) {
        struct vz_node prefix = {.kind = VZ_NODE_PREFIX, .boost = node->boost};
        prefix.field = node->field;
        prefix.text = vz_query_scalar_text(node->values[0], eval->arena);
        return eval_pattern(eval, &prefix, scores, out, err);
    }
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD)
        return vz_constant_eval(eval, node, field, out, err);
    enum vz_status status = check_field(field, query, err);
    if (status != VZ_OK)
        return node->lenient ? VZ_OK : status;
    if (node->fold_case && !vz_field_is_keyword(field))
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[%.*s] field which is of type [%s], does not "
                             "support case insensitive term queries",
                             VZ_ARG(field->path), vz_filter_type_name(field->type));
    struct vz_column column;
    whole_column(eval, field, &column);
    switch (column.kind) {
    case VZ_COLUMN_I64:
        status = terms_i64(eval, node, field, &column, out, err);
        break;
    case VZ_COLUMN_F64:
        status = terms_f64(eval, node, field, &column, out, err);
        break;
    case VZ_COLUMN_ORDINAL:
        status = field->type == VZ_FIELD_IP ? vz_ip_eval(eval, node, field, &column, out, err)
                                            : terms_keyword(eval, node, field, &column, out, err);
        break;
    default:
        break;
    }
    bool inverted = field->type == VZ_FIELD_KEYWORD || field->type == VZ_FIELD_BOOLEAN ||
                    field->type == VZ_FIELD_FLATTENED || field->type == VZ_FIELD_FLATTENED_KEYED;
    if (status == VZ_OK && scores && out->kind == VZ_SET_BITS && node->kind == VZ_NODE_TERM &&
        inverted && field->indexed && !node->fold_case && !field->scoring.is_boolean)
        out->constant = term_score(eval, field, &column, node, out);
    return status;
}

/* ---- range ----------------------------------------------------------------------------------- */

struct text_range {
    struct vz_slice lower, upper;
    const struct vz_bound *lower_bound, *upper_bound;
};

static bool in_text_range(const void *context, struct vz_slice term)
{
    const struct text_range *range = context;
    if (range->lower_bound->set) {
        int order = vz_slice_cmp(term, range->lower);
        if (order < 0 || (order == 0 && !range->lower_bound->inclusive))
            return false;
    }
    if (range->upper_bound->set) {
        int order = vz_slice_cmp(term, range->upper);
        if (order > 0 || (order == 0 && !range->upper_bound->inclusive))
            return false;
    }
    return true;
}

static enum vz_status range_keyword(struct vz_eval *eval, const struct vz_node *node,
                                    const struct vz_field *field, const struct vz_column *column,
                                    struct vz_docset *out)
{
    struct text_range range = {.lower_bound = &node->range.lower,
                               .upper_bound = &node->range.upper};
    if (range.lower_bound->set)
        range.lower = vz_query_scalar_text(range.lower_bound->value, eval->arena);
    if (range.upper_bound->set)
        range.upper = vz_query_scalar_text(range.upper_bound->value, eval->arena);
    vz_scan_dictionary(eval, field, column, in_text_range, &range, out);
    return VZ_OK;
}

static enum vz_status eval_range(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                 struct vz_docset *out, struct vz_error *err)
{
    const struct vz_field *field = vz_filter_field(eval, node->field);
    if (!field)
        return VZ_OK;
    if (field->type == VZ_FIELD_TEXT)
        return vz_text_eval(eval, node, field, scores, out, err);
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD)
        return vz_constant_eval(eval, node, field, out, err);
    enum vz_status status = check_field(field, "range", err);
    if (status != VZ_OK)
        return status;
    struct vz_column column;
    struct vz_span span;
    struct vz_span_f64 span_f64;
    whole_column(eval, field, &column);
    switch (column.kind) {
    case VZ_COLUMN_I64:
        status = vz_range_span(eval, node, field, &span, err);
        if (status != VZ_OK || span.low > span.high)
            return status;
        vz_docset_begin(out, eval);
        vz_filter_i64(eval, field, &column, span.low, span.high, &out->bits);
        return VZ_OK;
    case VZ_COLUMN_F64:
        status = vz_range_f64(eval, node, field, &span_f64, err);
        if (status != VZ_OK || !(span_f64.low <= span_f64.high))
            return status;
        vz_docset_begin(out, eval);
        vz_filter_f64(eval, field, &column, span_f64.low, span_f64.high, &out->bits);
        return VZ_OK;
    case VZ_COLUMN_ORDINAL:
        if (field->type == VZ_FIELD_IP)
            return vz_ip_eval(eval, node, field, &column, out, err);
        return range_keyword(eval, node, field, &column, out);
    default:
        return VZ_OK;
    }
}

/* ---- exists, prefix, wildcard ---------------------------------------------------------------- */

static bool is_below(const struct vz_field *field, struct vz_slice path)
{
    return field->path.len > path.len && field->path.ptr[path.len] == '.' &&
           memcmp(field->path.ptr, path.ptr, path.len) == 0;
}

/* A field by name, all below an object, or all that a pattern names. */
static enum vz_status eval_exists(struct vz_eval *eval, const struct vz_node *node,
                                  struct vz_docset *out)
{
    bool pattern = memchr(node->field.ptr, '*', node->field.len) != NULL;
    if (vz_slice_is(node->field, "_id") || vz_slice_is(node->field, "_index")) {
        out->kind = VZ_SET_ALL;
        return VZ_OK;
    }
    const struct vz_field *named = pattern ? NULL : vz_eval_field(eval, node->field);
    if (!pattern && !named)
        return VZ_OK;
    if (named && named->type == VZ_FIELD_CONSTANT_KEYWORD)
        return vz_constant_eval(eval, node, named, out, NULL);
    if (named && (named->key.len || named->derived)) {
        struct vz_column keyed;
        if (named->under_nested)
            return VZ_OK;
        vz_field_column(eval, named, &keyed);
        vz_docset_begin(out, eval);
        vz_scan_present(&keyed, &out->bits);
        return VZ_OK;
    }
    size_t count = vz_mapping_count(eval->mapping);
    for (size_t i = 0; i < count; i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        bool wanted = pattern ? vz_wildcard_match(node->field, field->path)
                              : field == named || is_below(field, named->path);
        if (!wanted || field->under_nested || field->column == VZ_COLUMN_NONE)
            continue;
        struct vz_column column;
        whole_column(eval, field, &column);
        if (column.count && out->kind != VZ_SET_BITS)
            vz_docset_begin(out, eval);
        if (column.count)
            vz_scan_present(&column, &out->bits);
    }
    return VZ_OK;
}

static bool match_prefix(const void *context, struct vz_slice term)
{
    const struct vz_node *node = context;
    if (node->fold_case)
        return starts_folded(term, node->text);
    return term.len >= node->text.len &&
           (node->text.len == 0 || memcmp(term.ptr, node->text.ptr, node->text.len) == 0);
}

static size_t char_bytes(const char *at, const char *end)
{
    const char *next = at + 1;
    while (next < end && ((unsigned char)*next & 0xC0) == 0x80)
        next++;
    return (size_t)(next - at);
}

/* '*' any run, '?' one character, a backslash takes the next as it is. Goes back to the last
 * star only: an earlier one cannot help. */
static bool match_wildcard(const void *context, struct vz_slice term)
{
    const struct vz_node *node = context;
    const char *p = node->text.ptr, *p_end = p + node->text.len;
    const char *t = term.ptr, *t_end = t + term.len, *star = NULL, *mark = NULL;
    while (t < t_end) {
        bool literal = p + 1 < p_end && *p == '\\';
        if (p < p_end && *p == '*') {
            star = ++p;
            mark = t;
            continue;
        }
        if (p < p_end && *p == '?') {
            p++;
            t += char_bytes(t, t_end);
            continue;
        }
        const char *c = p + literal;
        if (c < p_end && (*c == *t || (node->fold_case && fold(*c) == fold(*t)))) {
            p = c + 1;
            t++;
            continue;
        }
        if (!star)
            return false;
        p = star;
        mark += char_bytes(mark, t_end);
        t = mark;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

bool vz_pattern_matches(const struct vz_node *node, struct vz_slice term)
{
    return node->kind == VZ_NODE_PREFIX ? match_prefix(node, term) : match_wildcard(node, term);
}

bool vz_folded_equal(struct vz_slice a, struct vz_slice b)
{
    return match_folded(&b, a);
}

static const char *pattern_name(const struct vz_node *node)
{
    switch (node->kind) {
    case VZ_NODE_PREFIX:
        return "prefix";
    case VZ_NODE_WILDCARD:
        return "wildcard";
    case VZ_NODE_FUZZY:
        return "fuzzy";
    default:
        return "regexp";
    }
}

struct regexp {
    struct vz_matcher *matcher;
};

static bool match_regexp(const void *context, struct vz_slice term)
{
    const struct regexp *regexp = context;
    return vz_matcher_matches(regexp->matcher, term);
}

static enum vz_status eval_pattern(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                   struct vz_docset *out, struct vz_error *err)
{
    const char *query = pattern_name(node);
    const struct vz_field *field = vz_filter_field(eval, node->field);
    if (!field)
        return VZ_OK;
    if (field->type == VZ_FIELD_TEXT)
        return vz_text_eval(eval, node, field, scores, out, err);
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD)
        return vz_constant_eval(eval, node, field, out, err);
    enum vz_status status = check_field(field, query, err);
    if (status != VZ_OK)
        return status;
    if (field->key.len && node->kind != VZ_NODE_PREFIX)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[%s] queries are not currently supported on keyed [flattened] "
                             "fields.",
                             query);
    if (!vz_field_is_keyword(field))
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Can only use %s queries on keyword, text and "
                             "wildcard fields - not on [%.*s] which is of type [%s]",
                             query, VZ_ARG(field->path), vz_filter_type_name(field->type));
    if (node->kind == VZ_NODE_FUZZY)
        return eval_fuzzy(eval, node, field, node->text, scores, out, err);
    struct vz_column column;
    struct vz_node normal = *node;
    whole_column(eval, field, &column);
    if (node->kind == VZ_NODE_REGEXP) {
        struct regexp regexp;
        struct vz_walk walk = vz_regexp_walk(node);
        status = vz_matcher_open(&walk, &regexp.matcher, err);
        if (status == VZ_OK)
            vz_scan_dictionary(eval, field, &column, match_regexp, &regexp, out);
        vz_matcher_close(regexp.matcher);
        return status;
    }
    status = keyword_text(eval, field, node->text, &normal.text, err);
    if (status == VZ_OK)
        vz_scan_dictionary(eval, field, &column,
                           node->kind == VZ_NODE_PREFIX ? match_prefix : match_wildcard, &normal,
                           out);
    return status;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool in_box(const struct vz_node *node, const struct vz_geo *at)
{
    if (at->lat > node->geo.top || at->lat < node->geo.bottom)
        return false;
    if (node->geo.left <= node->geo.right)
        return at->lon >= node->geo.left && at->lon <= node->geo.right;
    return at->lon >= node->geo.left || at->lon <= node->geo.right; /* over the date line */
}

bool vz_place_matches(const struct vz_node *node, const struct vz_geo *at)
{
    if (node->kind == VZ_NODE_GEO_BOX)
        return in_box(node, at);
    return vz_query_haversine(node->geo.lat, node->geo.lon, at->lat, at->lon) <= node->geo.meters;
}

static enum vz_status eval_geo(struct vz_eval *eval, const struct vz_node *node,
                               struct vz_docset *out, struct vz_error *err)
{
    const struct vz_field *field = vz_filter_field(eval, node->field);
    if (!field && node->lenient)
        return VZ_OK;
    if (!field)
        return vz_query_fail(err, VZ_BAD_QUERY, "failed to find geo field [%.*s]",
                             VZ_ARG(node->field));
    if (field->type != VZ_FIELD_GEO_POINT)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "field [%.*s] is of unsupported type [%s] for [%s] "
                             "query",
                             VZ_ARG(field->path), vz_filter_type_name(field->type),
                             node->kind == VZ_NODE_GEO_BOX ? "geo_bounding_box" : "geo_distance");
    struct vz_column column;
    whole_column(eval, field, &column);
    if (column.kind != VZ_COLUMN_GEO)
        return VZ_OK;
    vz_docset_begin(out, eval);
    for (size_t i = 0; i < column.count; i++) {
        if (vz_place_matches(node, &column.geo[i]))
            vz_bitset_set(&out->bits, column.docnos[i]);
    }
    return VZ_OK;
}

enum vz_status vz_leaf_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                            struct vz_docset *out, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    *out = (struct vz_docset){.constant = node->boost};
    switch (node->kind) {
    case VZ_NODE_ALL:
        out->kind = VZ_SET_ALL;
        break;
    case VZ_NODE_IDS:
        status = eval_ids(eval, node, out);
        break;
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
        status = eval_terms(eval, node, scores, out, err);
        break;
    case VZ_NODE_RANGE:
        status = eval_range(eval, node, scores, out, err);
        break;
    case VZ_NODE_EXISTS:
        status = eval_exists(eval, node, out);
        break;
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
    case VZ_NODE_REGEXP:
    case VZ_NODE_FUZZY:
        status = eval_pattern(eval, node, scores, out, err);
        break;
    case VZ_NODE_GEO_DISTANCE:
    case VZ_NODE_GEO_BOX:
        status = eval_geo(eval, node, out, err);
        break;
    default:
        break;
    }
    if (status == VZ_OK) /* a scan of a dictionary may have been given up */
        status = vz_eval_late(eval) ? vz_fail(err, VZ_CANCELLED, "the search took too long")
                                    : vz_eval_spend(eval, 0, 0, err);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}
