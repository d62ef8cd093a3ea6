/* more_like_this: documents that have the telling words of some texts or documents.
 *
 * Source: apache/lucene, MoreLikeThis; Elasticsearch, MoreLikeThisQuery and XMoreLikeThis. Words
 * are counted in what is given, weighed by tf * idf (idf = ln((docs + 1) / (n + 1)) + 1), and the
 * heaviest max_query_terms become optional clauses: for documents field by field, for texts those
 * of the first field, each asked of the field that has it most. boost_terms gives each its weight
 * over that of the lightest, which is what Lucene's queue gives first.
 *
 * A document of the same index is read as it was last written, like a document that is given in the
 * request; its fields are analysed as indexing does. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/query_string.h"

#include "base/text.h"
#include "store/document.h"

#include <math.h>
#include <stdlib.h>

#define MAX_ITEMS 1000
#define MAX_LIKE_TERMS 4096
#define MAX_TOKENS_PARSED 5000 /* of a text: MoreLikeThis.DEFAULT_MAX_NUM_TOKENS_PARSED */

struct item {
    struct vz_slice index, id;
    struct vz_json doc; /* or MISSING */
    struct vz_slice *fields;
    size_t field_count;
};

struct like_list {
    struct vz_slice *texts;
    size_t text_count;
    struct item *items;
    size_t item_count, capacity;
};

struct vz_like_clause {
    struct vz_slice *fields;
    size_t field_count;
    bool has_fields;
    struct like_list like, unlike;
    uint32_t max_query_terms, min_term_freq, min_doc_freq, max_doc_freq, min_length, max_length;
    struct vz_slice *stop_words;
    size_t stop_count;
    struct vz_slice analyzer, minimum;
    float boost_terms;
    bool include, skip_unsupported;
};

static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status read_names(struct vz_parser *parser, const char *key, struct vz_json value,
                                 struct vz_slice **names, size_t *count, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[more_like_this] [%s] must be an array", key);
    *names = vz_arena_alloc(parser->arena, (vz_json_count(value) + 1) * sizeof **names);
    *count = 0;
    while (vz_json_next(&it, NULL, &element)) {
        if (!vz_dsl_is_scalar(element))
            return vz_fail(err, VZ_BAD_QUERY, "[more_like_this] unexpected [%s] in [%s]",
                           vz_query_token(element), key);
        (*names)[(*count)++] = vz_query_scalar_text(element, parser->arena);
    }
    return VZ_OK;
}

static enum vz_status read_item(struct vz_parser *parser, struct vz_json value, struct item *item,
                                struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    *item = (struct item){0};
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(key, "_index"))
            item->index = vz_json_string(member);
        else if (vz_slice_is(key, "_id"))
            item->id = vz_query_scalar_text(member, parser->arena);
        else if (vz_slice_is(key, "doc")) {
            if (vz_json_type(member) != VZ_JSON_OBJECT)
                return vz_fail(err, VZ_BAD_QUERY, "[more_like_this] [doc] must be an object");
            item->doc = member;
        } else if (vz_slice_is(key, "fields"))
            status = read_names(parser, "fields", member, &item->fields, &item->field_count, err);
        else if (vz_slice_is(key, "routing") || vz_slice_is(key, "_routing"))
            continue; /* one shard */
        else if (vz_slice_is(key, "per_field_analyzer") || vz_slice_is(key, "version") ||
                 vz_slice_is(key, "_version") || vz_slice_is(key, "version_type") ||
                 vz_slice_is(key, "_version_type"))
            status = vz_fail(err, VZ_UNSUPPORTED,
                             "[more_like_this] [%.*s] of an item is not supported yet by vizsla",
                             VZ_ARG(key));
        else
            status =
                vz_fail(err, VZ_BAD_QUERY,
                        "failed to parse More Like This item. unknown field [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (item->id.len && vz_json_type(item->doc) == VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse More Like This item. either [id] or [doc] can be "
                       "specified, but not both!");
    if (!item->id.len && vz_json_type(item->doc) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse More Like This item. neither [id] nor [doc] is specified!");
    return VZ_OK;
}

static enum vz_status read_like(struct vz_parser *parser, struct vz_json value,
                                struct like_list *list, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = many ? vz_json_count(value) : 1, at = 0;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    if (count > MAX_ITEMS)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[more_like_this] takes no more than [%d] texts and documents", MAX_ITEMS);
    list->texts = vz_arena_alloc(parser->arena, (count + 1) * sizeof *list->texts);
    list->items = vz_arena_alloc(parser->arena, (count + 1) * sizeof *list->items);
    list->text_count = list->item_count = 0;
    while (many ? vz_json_next(&it, NULL, &element) : at == 0) {
        at++;
        if (vz_json_type(element) == VZ_JSON_OBJECT) {
            enum vz_status status =
                read_item(parser, element, &list->items[list->item_count++], err);
            if (status != VZ_OK)
                return status;
        } else if (vz_dsl_is_scalar(element)) {
            list->texts[list->text_count++] = vz_query_scalar_text(element, parser->arena);
        } else
            return vz_fail(err, VZ_BAD_QUERY,
                           "Content of 'like' parameter should either be a string or an object");
    }
    return VZ_OK;
}

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    static const char query[] = "more_like_this";
    struct vz_like_clause *like = node->like;
    struct {
        const char *key;
        uint32_t *to;
    } counts[] = {
        {"max_query_terms", &like->max_query_terms}, {"min_term_freq", &like->min_term_freq},
        {"min_doc_freq", &like->min_doc_freq},       {"max_doc_freq", &like->max_doc_freq},
        {"min_word_length", &like->min_length},      {"max_word_length", &like->max_length}};
    for (size_t i = 0; i < VZ_COUNT_OF(counts); i++)
        if (vz_slice_is(key, counts[i].key))
            return vz_dsl_count(query, counts[i].key, value, counts[i].to, err);
    if (vz_slice_is(key, "like"))
        return read_like(parser, value, &like->like, err);
    if (vz_slice_is(key, "unlike"))
        return read_like(parser, value, &like->unlike, err);
    if (vz_slice_is(key, "fields")) {
        like->has_fields = true;
        return read_names(parser, "fields", value, &like->fields, &like->field_count, err);
    }
    if (vz_slice_is(key, "stop_words"))
        return read_names(parser, "stop_words", value, &like->stop_words, &like->stop_count, err);
    if (vz_slice_is(key, "analyzer") && vz_json_type(value) == VZ_JSON_STRING) {
        like->analyzer = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "minimum_should_match")) {
        size_t ignored;
        like->minimum = vz_query_scalar_text(value, parser->arena);
        return vz_minimum_should_match(like->minimum, 1, &ignored, err);
    }
    if (vz_slice_is(key, "boost_terms"))
        return vz_dsl_float(query, "boost_terms", value, &like->boost_terms, err);
    if (vz_slice_is(key, "include"))
        return vz_dsl_bool(query, "include", value, &like->include, err);
    if (vz_slice_is(key, "fail_on_unsupported_field")) {
        bool fail;
        enum vz_status status = vz_dsl_bool(query, "fail_on_unsupported_field", value, &fail, err);
        like->skip_unsupported = status == VZ_OK && !fail;
        return status;
    }
    return vz_fail(err, VZ_BAD_QUERY, "[mlt] query does not support [%.*s]", VZ_ARG(key));
}

enum vz_status vz_dsl_parse_like(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    struct vz_like_clause *like = vz_arena_zalloc(parser->arena, sizeof *like);
    node->kind = VZ_NODE_MORE_LIKE_THIS;
    node->like = like;
    like->max_query_terms = 25;
    like->min_term_freq = 2;
    like->min_doc_freq = 5;
    like->max_doc_freq = INT32_MAX;
    like->minimum = VZ_SLICE("30%");
    enum vz_status status = vz_dsl_walk(parser, "more_like_this", value, node, visit, err);
    if (status != VZ_OK)
        return status;
    if (like->stop_count) /* each word of a text is looked up in them */
        qsort(like->stop_words, like->stop_count, sizeof *like->stop_words, by_text);
    if (like->like.text_count + like->like.item_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "more_like_this requires 'like' to be specified");
    if (like->has_fields && like->field_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "more_like_this requires 'fields' to be non-empty");
    if (like->max_query_terms == 0)
        return vz_fail(err, VZ_BAD_QUERY, "requires 'maxQueryTerms' to be greater than 0");
    return VZ_OK;
}

/* ---- words ----------------------------------------------------------------------------------- */

struct word {
    uint16_t field;
    struct vz_slice text;
    uint32_t freq;
    uint64_t doc_freq;
    float score;
};

struct words {
    struct word *items;
    size_t count, capacity;
};

struct run {
    struct vz_eval *eval;
    const struct vz_like_clause *like;
    const struct vz_field **fields;
    size_t field_count;
    struct vz_mapping *mapping; /* one that takes documents with fields it does not know */
    struct words skip;          /* unlike: sorted by field and text */
    struct vz_clause_list *out;
    struct vz_error *err;
};

static size_t length_of(struct vz_slice text)
{
    size_t units = 0; /* of UTF-16, as Java counts */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        units += (c & 0xC0) != 0x80;
        units += c >= 0xF0;
    }
    return units;
}

static bool is_noise(const struct vz_like_clause *like, struct vz_slice text)
{
    size_t length = like->min_length || like->max_length ? length_of(text) : 0;
    if ((like->min_length && length < like->min_length) ||
        (like->max_length && length > like->max_length))
        return true;
    return like->stop_count && bsearch(&text, like->stop_words, like->stop_count,
                                       sizeof *like->stop_words, by_text);
}

static void add_word(struct words *words, uint16_t field, struct vz_slice text)
{
    if (words->count == words->capacity) {
        words->capacity = words->capacity ? words->capacity * 2 : 256;
        words->items = vz_realloc(words->items, words->capacity * sizeof *words->items);
    }
    words->items[words->count++] = (struct word){.field = field, .text = text, .freq = 1};
}

static int by_place(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    return vz_slice_cmp(x->text, y->text);
}

/* Heaviest first; of equal ones the first in the order of bytes. */
static int by_score(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return by_place(a, b);
}

/* Equal words become one that counts them. */
static void count_words(struct words *words)
{
    size_t kept = 0;
    if (words->count == 0)
        return;
    qsort(words->items, words->count, sizeof *words->items, by_place);
    for (size_t i = 1; i < words->count; i++) {
        if (by_place(&words->items[i], &words->items[kept]) == 0)
            words->items[kept].freq += words->items[i].freq;
        else
            words->items[++kept] = words->items[i];
    }
    words->count = kept + 1;
}

static enum vz_status add_text(struct run *run, const struct vz_analyzer *analyzer, uint16_t field,
                               struct vz_slice text, size_t most, struct words *words)
{
    struct vz_tokens tokens = {0};
    enum vz_status status = vz_analyze(analyzer, text, &tokens, run->err);
    for (size_t i = 0; status == VZ_OK && i < tokens.count && i < most; i++)
        if (!is_noise(run->like, tokens.items[i].text))
            add_word(words, field, vz_arena_copy(run->eval->arena, tokens.items[i].text));
    vz_tokens_deinit(&tokens);
    return status;
}

/* ---- documents ------------------------------------------------------------------------------- */

static bool item_has(struct run *run, const struct item *item, const struct vz_field *field)
{
    for (size_t i = 0; i < item->field_count; i++)
        if (vz_wildcard_match(item->fields[i], field->path))
            return true;
    for (size_t i = 0; !item->field_count && i < run->field_count; i++)
        if (run->fields[i]->id == field->id)
            return true;
    return false;
}

static enum vz_status add_document(struct run *run, const struct item *item, struct vz_slice source,
                                   struct words *words)
{
    struct vz_document doc;
    enum vz_status status =
        vz_document_parse(run->mapping, item->id, source, run->eval->arena, &doc, run->err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < doc.text_count && status == VZ_OK; i++) {
        const struct vz_field *field = vz_mapping_field(run->mapping, doc.texts[i].field);
        if (item_has(run, item, field))
            status = add_text(run, field->analyzer, field->id, doc.texts[i].text, SIZE_MAX, words);
    }
    for (size_t i = 0; i < doc.value_count && status == VZ_OK; i++) {
        const struct vz_typed_value *value = &doc.values[i];
        const struct vz_field *field = vz_mapping_field(run->mapping, value->field);
        if (value->kind == VZ_COLUMN_ORDINAL && field->type == VZ_FIELD_KEYWORD &&
            item_has(run, item, field) && !is_noise(run->like, value->term))
            add_word(words, field->id, vz_arena_copy(run->eval->arena, value->term));
    }
    return status;
}

static enum vz_status add_item(struct run *run, const struct item *item, struct words *words)
{
    struct vz_index *index = vz_snapshot_index(run->eval->snap);
    struct vz_stored_doc stored;
    if (vz_json_type(item->doc) == VZ_JSON_OBJECT) {
        struct vz_buf text = {0};
        vz_json_print(item->doc, &text);
        struct vz_slice source = vz_arena_copy(run->eval->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
        return add_document(run, item, source, words);
    }
    if (item->index.len && !vz_slice_eq(item->index, vz_index_name(index)))
        return vz_fail(run->err, VZ_UNSUPPORTED,
                       "[more_like_this] a document of another index than the one that is searched "
                       "([%.*s] in [%.*s]) is not supported yet by vizsla",
                       VZ_ARG(item->index), VZ_ARG(vz_index_name(index)));
    enum vz_status status =
        vz_index_get(index, item->id, VZ_DOC_CUT_SOURCE, run->eval->arena, &stored, run->err);
    if (status == VZ_NOT_FOUND)
        return VZ_OK; /* like nothing */
    return status == VZ_OK ? add_document(run, item, stored.source, words) : status;
}

/* ---- weighing -------------------------------------------------------------------------------- */

static enum vz_status doc_freq_of(struct run *run, const struct vz_field *field,
                                  struct vz_slice text, uint64_t *out)
{
    const struct vz_text_view *view = vz_snapshot_texts(run->eval->snap);
    struct vz_term_stats stats = {0};
    uint64_t docs, freqs;
    uint32_t ordinal;
    *out = 0;
    if (field->type == VZ_FIELD_TEXT) {
        if (view && vz_text_term_stats(view, field->id, text, &stats))
            *out = stats.doc_freq;
        return VZ_OK;
    }
    if (!field->normalizer && !vz_field_find_term(run->eval->snap, field, text, &ordinal))
        return VZ_OK; /* most words of a text are no keyword: nothing is made for them */
    struct vz_node *node = vz_made_node(run->eval, VZ_NODE_TERM);
    node->field = field->path;
    node->values = vz_arena_alloc(run->eval->arena, sizeof *node->values);
    node->values[0] = vz_made_text(run->eval, text);
    node->value_count = 1;
    return vz_keyword_stats(run->eval, node, field, out, &docs, &freqs, run->err);
}

/* `among`: the fields of which the one with the most counts. */
static enum vz_status weigh(struct run *run, struct words *words,
                            const struct vz_field *const *among, size_t among_count)
{
    const struct vz_like_clause *like = run->like;
    uint32_t docs = vz_snapshot_doc_count(run->eval->snap);
    size_t kept = 0, asked = 0;
    for (size_t i = 0; i < words->count; i++) {
        struct word word = words->items[i];
        if (word.freq < like->min_term_freq ||
            (run->skip.count &&
             bsearch(&word, run->skip.items, run->skip.count, sizeof word, by_place)))
            continue;
        uint16_t first = among_count ? among[0]->id : word.field;
        const struct vz_field *own = vz_mapping_field(run->eval->mapping, word.field);
        for (size_t f = 0; f < VZ_MAX(among_count, (size_t)1); f++) {
            const struct vz_field *field = among_count ? among[f] : own;
            uint64_t doc_freq;
            if (asked++ % 64 == 0 && vz_eval_late(run->eval))
                return vz_fail(run->err, VZ_CANCELLED, "the search took too long");
            enum vz_status status = doc_freq_of(run, field, word.text, &doc_freq);
            if (status != VZ_OK)
                return status;
            if (f == 0)
                word.field = first;
            if (doc_freq > word.doc_freq) {
                word.field = field->id;
                word.doc_freq = doc_freq;
            }
        }
        if (word.doc_freq == 0 || word.doc_freq < like->min_doc_freq ||
            word.doc_freq > like->max_doc_freq)
            continue;
        float idf = (float)(log((double)(docs + 1) / (double)(word.doc_freq + 1)) + 1.0);
        word.score = (float)word.freq * idf;
        words->items[kept++] = word;
    }
    words->count = kept;
    return VZ_OK;
}

/* The heaviest words become clauses, the lightest of them first. */
static void add_clauses(struct run *run, struct words *words, size_t limit,
                        struct vz_clause_list *list)
{
    if (words->count)
        qsort(words->items, words->count, sizeof *words->items, by_score);
    words->count = VZ_MIN(words->count, limit);
    for (size_t i = words->count; i-- > 0 && list->count < MAX_LIKE_TERMS;) {
        const struct word *word = &words->items[i];
        const struct vz_field *field = vz_mapping_field(run->eval->mapping, word->field);
        struct vz_node *node;
        if (field->type == VZ_FIELD_TEXT) {
            node = vz_text_node(run->eval, vz_text_term(run->eval, field, word->text));
        } else {
            node = vz_made_node(run->eval, VZ_NODE_TERM);
            node->field = field->path;
            node->values = vz_arena_alloc(run->eval->arena, sizeof *node->values);
            node->values[0] = vz_made_text(run->eval, word->text);
            node->value_count = 1;
        }
        if (run->like->boost_terms != 0)
            node->boost =
                run->like->boost_terms * word->score / words->items[words->count - 1].score;
        vz_clause_add(run->eval, list, node, VZ_SHOULD);
    }
}

static enum vz_status finish(struct run *run, const struct vz_clause_list *list)
{
    struct vz_node *node;
    if (list->count == 0) {
        node = vz_made_node(run->eval, VZ_NODE_NONE);
    } else {
        node = vz_clause_bool(run->eval, list);
        enum vz_status status = vz_made_minimum(run->eval, node, run->like->minimum, run->err);
        if (status != VZ_OK)
            return status;
    }
    vz_clause_add(run->eval, run->out, node, VZ_SHOULD);
    return VZ_OK;
}

/* Like documents: the words of each field by themselves. */
static enum vz_status like_items(struct run *run)
{
    struct words words = {0};
    struct vz_clause_list list = {0};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < run->like->like.item_count && status == VZ_OK; i++) {
        status = vz_eval_late(run->eval)
                     ? vz_fail(run->err, VZ_CANCELLED, "the search took too long")
                     : add_item(run, &run->like->like.items[i], &words);
    }
    count_words(&words);
    for (size_t i = 0, end; i < words.count && status == VZ_OK; i = end) {
        struct words own = {0};
        for (end = i; end < words.count && words.items[end].field == words.items[i].field; end++)
            ;
        own.items = words.items + i;
        own.count = end - i;
        size_t limit = VZ_MIN((size_t)run->like->max_query_terms, own.count);
        status = weigh(run, &own, NULL, 0);
        if (status == VZ_OK)
            add_clauses(run, &own, limit, &list);
    }
    if (status == VZ_OK)
        status = finish(run, &list);
    free(words.items);
    return status;
}

static enum vz_status text_analyzer(struct run *run, const struct vz_analyzer **out)
{
    *out = run->fields[0]->type == VZ_FIELD_TEXT
               ? run->fields[0]->analyzer
               : vz_analysis_analyzer(vz_mapping_analysis(run->eval->mapping), VZ_SLICE("keyword"));
    if (run->like->analyzer.len == 0)
        return VZ_OK;
    return vz_text_analyzer(run->eval, "more_like_this", run->like->analyzer, out, run->err);
}

/* Like texts: the words of the first field. */
static enum vz_status like_texts(struct run *run)
{
    struct words words = {0};
    struct vz_clause_list list = {0};
    const struct vz_analyzer *analyzer;
    enum vz_status status = text_analyzer(run, &analyzer);
    for (size_t i = 0; i < run->like->like.text_count && status == VZ_OK; i++)
        status = add_text(run, analyzer, run->fields[0]->id, run->like->like.texts[i],
                          MAX_TOKENS_PARSED, &words);
    count_words(&words);
    size_t limit = VZ_MIN((size_t)run->like->max_query_terms, words.count);
    if (status == VZ_OK)
        status = weigh(run, &words, run->fields, run->field_count);
    if (status == VZ_OK) {
        add_clauses(run, &words, limit, &list);
        status = finish(run, &list);
    }
    free(words.items);
    return status;
}

static enum vz_status read_unlike(struct run *run)
{
    const struct like_list *unlike = &run->like->unlike;
    const struct vz_analyzer *analyzer;
    enum vz_status status = VZ_OK;
    if (unlike->text_count)
        status = text_analyzer(run, &analyzer);
    for (size_t i = 0; i < unlike->text_count && status == VZ_OK; i++)
        status =
            add_text(run, analyzer, run->fields[0]->id, unlike->texts[i], SIZE_MAX, &run->skip);
    for (size_t i = 0; i < unlike->item_count && status == VZ_OK; i++)
        status = add_item(run, &unlike->items[i], &run->skip);
    count_words(&run->skip);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool is_supported(const struct vz_field *field)
{
    return (field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_KEYWORD) &&
           !field->under_nested && field->indexed;
}

static enum vz_status choose_fields(struct run *run)
{
    const struct vz_like_clause *like = run->like;
    size_t mapped = vz_mapping_count(run->eval->mapping);
    bool *chosen = vz_arena_zalloc(run->eval->arena, (mapped + 1) * sizeof *chosen);
    run->fields =
        vz_arena_alloc(run->eval->arena, (mapped + 1) * sizeof(const struct vz_field *));
    if (!like->has_fields && like->like.text_count + like->unlike.text_count)
        return vz_query_fail(
            run->err, VZ_BAD_QUERY,
            "[more_like_this] query cannot infer the field to analyze the free text, you should "
            "update the [index.query.default_field] index setting to a field that exists in the "
            "mapping or set the [fields] option in the query.");
    for (size_t i = 0; !like->has_fields && i < mapped; i++) {
        const struct vz_field *field = vz_mapping_field(run->eval->mapping, (uint16_t)i);
        if (is_supported(field))
            run->fields[run->field_count++] = field;
    }
    for (size_t i = 0; i < like->field_count; i++) {
        const struct vz_field *field = vz_filter_field(run->eval, like->fields[i]);
        if (field && !is_supported(field) && !like->skip_unsupported)
            return vz_query_fail(run->err, VZ_BAD_QUERY,
                                 "more_like_this only supports text/keyword fields: [%.*s]",
                                 VZ_ARG(like->fields[i]));
        if (field && is_supported(field) && !chosen[field->id]) {
            chosen[field->id] = true; /* asked once, however often it is named */
            run->fields[run->field_count++] = field;
        }
    }
    return VZ_OK;
}

bool vz_like_names_documents(const struct vz_node *node)
{
    return node->like->like.item_count || node->like->unlike.item_count;
}

/* The documents themselves are not to be found. */
static struct vz_node *without_items(struct run *run, struct vz_node *found)
{
    const struct like_list *like = &run->like->like;
    struct vz_clause_list outer = {0};
    struct vz_node *ids = vz_made_node(run->eval, VZ_NODE_IDS);
    ids->values = vz_arena_alloc(run->eval->arena, (like->item_count + 1) * sizeof *ids->values);
    for (size_t i = 0; i < like->item_count; i++)
        if (like->items[i].id.len)
            ids->values[ids->value_count++] = vz_made_text(run->eval, like->items[i].id);
    if (ids->value_count == 0)
        return found;
    vz_clause_add(run->eval, &outer, found, VZ_SHOULD);
    vz_clause_add(run->eval, &outer, ids, VZ_MUST_NOT);
    return vz_clause_bool(run->eval, &outer);
}

enum vz_status vz_like_expand(struct vz_eval *eval, const struct vz_node *node,
                              struct vz_node **out, struct vz_error *err)
{
    struct vz_clause_list list = {0};
    struct run run = {.eval = eval, .like = node->like, .out = &list, .err = err};
    *out = NULL;
    enum vz_status status = choose_fields(&run);
    if (status != VZ_OK || run.field_count == 0)
        return status;
    run.mapping = vz_mapping_lenient(eval->mapping);
    status = read_unlike(&run);
    if (status == VZ_OK && run.like->like.item_count)
        status = like_items(&run);
    if (status == VZ_OK && run.like->like.text_count)
        status = like_texts(&run);
    if (status == VZ_OK && list.count) {
        *out = vz_clause_bool(eval, &list);
        if (!run.like->include && run.like->like.item_count)
            *out = without_items(&run, *out);
    }
    free(run.skip.items);
    vz_mapping_release(run.mapping);
    return status;
}
