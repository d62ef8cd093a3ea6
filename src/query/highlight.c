/* query/highlight.c - the values of a document's fields, marked and cut into fragments.
 *
 * Per target: the fields that the request names are found in the mapping, the query is taken apart
 * (highlight_marks.c). Per hit and field: the values are read from _source, joined, analysed with
 * the field's own analyzer (and that of each field of matched_fields), marked, and cut
 * (text/passages.h).
 */
#include "query/highlight.h"

#include "base/strmap.h"
#include "base/text.h"
#include "text/analysis.h"

#include <stdlib.h>

/* A field of this index that is highlighted, by the options of one entry. */
struct shown {
    const struct vz_highlight_field *entry;
    const struct vz_field *field;
    struct vz_slice name; /* an alias keeps its own */
    enum vz_highlight_type type;
    const struct vz_field **seen_by; /* whose analysis marks: the field and matched_fields */
    size_t seen_by_count;
    struct vz_marking *marking; /* shared by entries of the same query */
    bool implied;
};

struct vz_highlighter {
    struct vz_eval *eval;
    struct shown *shown;
    size_t count, capacity;
    const struct vz_node **queries;
    struct vz_marking **markings;
    size_t marking_count;
    struct vz_arena scratch; /* of one field of one document */
    struct vz_tokens tokens;
    bool guarded;
};

/* ---- per target ------------------------------------------------------------------------------ */

static enum vz_status marking_for(struct vz_highlighter *h, const struct vz_node *query,
                                  bool implied, struct vz_marking **out, struct vz_error *err)
{
    for (size_t i = 0; i < h->marking_count; i++)
        if (h->queries[i] == query) {
            *out = h->markings[i];
            return VZ_OK;
        }
    h->queries = vz_realloc(h->queries, (h->marking_count + 1) * sizeof(struct vz_node *));
    h->markings = vz_realloc(h->markings, (h->marking_count + 1) * sizeof(struct vz_marking *));
    h->queries[h->marking_count] = query;
    enum vz_status status =
        vz_marking_open(h->eval, query, implied, h->guarded, &h->markings[h->marking_count], err);
    *out = h->markings[h->marking_count++];
    return status;
}

static enum vz_status read_type(const struct vz_highlight_field *entry, enum vz_highlight_type *out,
                                struct vz_error *err)
{
    struct vz_slice name = entry->options.type_name;
    *out = VZ_HIGHLIGHT_UNIFIED;
    if (name.len == 0 || vz_slice_is(name, "unified"))
        return VZ_OK;
    if (vz_slice_is(name, "plain"))
        *out = VZ_HIGHLIGHT_PLAIN;
    else if (vz_slice_is(name, "fvh"))
        *out = VZ_HIGHLIGHT_FAST;
    else if (vz_slice_is(name, "semantic"))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[highlight] type [semantic] is not supported yet by vizsla");
    else
        return vz_fail(err, VZ_BAD_ARGUMENT, "unknown highlighter type [%.*s] for the field [%.*s]",
                       VZ_ARG(name), VZ_ARG(entry->name));
    return VZ_OK;
}

static enum vz_status check_options(const struct shown *shown, struct vz_error *err)
{
    const struct vz_highlight_options *options = &shown->entry->options;
    struct vz_slice fragmenter = options->fragmenter;
    if (shown->type == VZ_HIGHLIGHT_FAST && !shown->field->has_vector_offsets)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "the field [%.*s] should be indexed with term vector with position offsets "
                       "to be used with fast vector highlighter",
                       VZ_ARG(shown->name));
    if (shown->type == VZ_HIGHLIGHT_UNIFIED && options->boundary == VZ_BOUNDARY_CHARS &&
        options->number_of_fragments && shown->field->type == VZ_FIELD_TEXT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Invalid boundary scanner type: chars");
    if (shown->type == VZ_HIGHLIGHT_PLAIN && fragmenter.len && !vz_slice_is(fragmenter, "simple") &&
        !vz_slice_is(fragmenter, "span"))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "unknown fragmenter option [%.*s] for the field [%.*s]", VZ_ARG(fragmenter),
                       VZ_ARG(shown->name));
    if (shown->entry->matched_field_count && !options->require_field_match &&
        shown->type == VZ_HIGHLIGHT_UNIFIED)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Matched fields are not supported when [require_field_match] is set to "
                       "[false]");
    return VZ_OK;
}

static void find_seers(struct vz_highlighter *h, struct shown *shown)
{
    const struct vz_highlight_field *entry = shown->entry;
    bool plain = shown->type == VZ_HIGHLIGHT_PLAIN;
    size_t most = entry->matched_field_count + 1;
    shown->seen_by = vz_arena_alloc(h->eval->arena, most * sizeof(struct vz_field *));
    shown->seen_by[shown->seen_by_count++] = shown->field;
    for (size_t i = 0; i < entry->matched_field_count && !plain; i++) {
        const struct vz_field *field = vz_mapping_find(h->eval->mapping, entry->matched_fields[i]);
        bool known = !field || field->type != VZ_FIELD_TEXT;
        for (size_t j = 0; j < shown->seen_by_count && !known; j++)
            known = shown->seen_by[j] == field;
        if (!known)
            shown->seen_by[shown->seen_by_count++] = field;
    }
}

static enum vz_status add_shown(struct vz_highlighter *h, const struct vz_highlight_field *entry,
                                const struct vz_field *named, const struct vz_node *query,
                                bool implied, struct vz_error *err)
{
    const struct vz_field *field =
        named->type == VZ_FIELD_ALIAS ? vz_mapping_field(h->eval->mapping, named->alias_of) : named;
    struct shown shown = {.entry = entry, .field = field, .name = named->path};
    const struct vz_node *own = entry->options.query;
    enum vz_status status = read_type(entry, &shown.type, err);
    if (status != VZ_OK)
        return status;
    bool wild = memchr(entry->name.ptr, '*', entry->name.len) != NULL;
    if (wild && shown.type == VZ_HIGHLIGHT_FAST && !field->has_vector_offsets)
        return VZ_OK;
    if (field->type != VZ_FIELD_TEXT && !vz_highlight_keyword(field))
        return VZ_OK; /* other types have no terms to mark */
    for (size_t i = 0; i < h->count; i++)
        if (vz_slice_eq(h->shown[i].name, named->path)) /* the last entry counts */
            h->shown[i--] = h->shown[--h->count];
    status = check_options(&shown, err);
    if (status == VZ_OK)
        status = marking_for(h, own ? own : query, !own && implied, &shown.marking, err);
    if (status != VZ_OK)
        return status;
    find_seers(h, &shown);
    if (h->count == h->capacity) {
        h->capacity = VZ_MAX(h->capacity * 2, (size_t)8);
        h->shown = vz_realloc(h->shown, h->capacity * sizeof *h->shown);
    }
    h->shown[h->count++] = shown;
    return VZ_OK;
}

enum vz_status vz_highlighter_open(struct vz_eval *eval, const struct vz_highlight *highlight,
                                   const struct vz_node *query, bool implied, bool guarded,
                                   struct vz_highlighter **out, struct vz_error *err)
{
    struct vz_highlighter *h = vz_calloc(1, sizeof *h);
    enum vz_status status = VZ_OK;
    h->eval = eval;
    h->guarded = guarded;
    *out = h;
    for (size_t f = 0; status == VZ_OK && f < highlight->field_count; f++) {
        const struct vz_highlight_field *entry = &highlight->fields[f];
        bool wild = entry->name.len && memchr(entry->name.ptr, '*', entry->name.len);
        for (size_t i = 0; status == VZ_OK && i < vz_mapping_count(eval->mapping); i++) {
            const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
            if (wild ? vz_wildcard_match(entry->name, field->path)
                     : vz_slice_eq(entry->name, field->path))
                status = add_shown(h, entry, field, query, implied, err);
        }
    }
    return status;
}

void vz_highlighter_close(struct vz_highlighter *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->marking_count; i++)
        vz_marking_close(h->markings[i]);
    free(h->markings);
    free(h->queries);
    free(h->shown);
    vz_arena_deinit(&h->scratch);
    vz_tokens_deinit(&h->tokens);
    free(h);
}

/* ---- values ---------------------------------------------------------------------------------- */

struct values {
    struct vz_slice *items;
    size_t count, capacity;
    struct vz_arena *arena;
    uint32_t ignore_above;
};

static size_t characters(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

static void add_value(struct values *values, struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_NULL || type == VZ_JSON_OBJECT)
        return;
    struct vz_slice text = vz_query_scalar_text(value, values->arena);
    if (values->ignore_above && characters(text) > values->ignore_above)
        return;
    if (values->count == values->capacity) {
        values->capacity = VZ_MAX(values->capacity * 2, (size_t)8);
        values->items = vz_realloc(values->items, values->capacity * sizeof *values->items);
    }
    values->items[values->count++] = text;
}

/* Each value at a dotted path, arrays taken apart, through keys with dots. The depth is that of a
 * JSON document at most. */
static void read_values(struct values *values, struct vz_json value, struct vz_slice path)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_ARRAY) {
        while (vz_json_next(&it, NULL, &member))
            read_values(values, member, path);
    } else if (path.len == 0) {
        add_value(values, value);
    } else if (type == VZ_JSON_OBJECT) {
        while (vz_json_next(&it, &key, &member)) {
            if (key.len > path.len || memcmp(key.ptr, path.ptr, key.len) != 0)
                continue;
            if (key.len == path.len)
                read_values(values, member, (struct vz_slice){0});
            else if (path.ptr[key.len] == '.')
                read_values(values, member,
                            (struct vz_slice){path.ptr + key.len + 1, path.len - key.len - 1});
        }
    }
}

static struct vz_slice source_path(const struct vz_field *field)
{
    return vz_field_source_path(field);
}

static void values_of(struct vz_highlighter *h, const struct vz_field *field, struct vz_json source,
                      struct values *values)
{
    const struct vz_mapping *mapping = h->eval->mapping;
    struct vz_slice path = source_path(field);
    *values = (struct values){.arena = &h->scratch, .ignore_above = field->ignore_above};
    read_values(values, source, path);
    for (size_t i = 0; i < vz_mapping_count(mapping); i++) {
        const struct vz_field *from = vz_mapping_field(mapping, (uint16_t)i);
        if (vz_field_copies_to(from, path))
            read_values(values, source, source_path(from));
    }
}

/* ---- tokens ---------------------------------------------------------------------------------- */

struct token_list {
    struct vz_marked_tokens marked;
    struct vz_strmap by_term;
    size_t capacity;
};

static void tokens_deinit(struct token_list *list)
{
    free(list->marked.tokens);
    free(list->marked.terms);
    free(list->marked.next);
    free(list->marked.freqs);
    free(list->marked.distinct);
    vz_strmap_deinit(&list->by_term);
}

static void add_token(struct token_list *list, struct vz_slice term, uint32_t start, uint32_t end,
                      uint32_t position)
{
    struct vz_marked_tokens *m = &list->marked;
    if (m->count == list->capacity) {
        list->capacity = VZ_MAX(list->capacity * 2, (size_t)64);
        m->tokens = vz_realloc(m->tokens, list->capacity * sizeof *m->tokens);
        m->terms = vz_realloc(m->terms, list->capacity * sizeof *m->terms);
    }
    m->tokens[m->count] = (struct vz_plain_token){
        .start = start, .end = end, .mark = UINT32_MAX, .position = position};
    m->terms[m->count++] = term;
}

static void link_terms(struct token_list *list)
{
    struct vz_marked_tokens *m = &list->marked;
    uint32_t *last = vz_alloc((m->count + 1) * sizeof *last);
    m->next = vz_alloc((m->count + 1) * sizeof *m->next);
    m->freqs = vz_calloc(m->count + 1, sizeof *m->freqs);
    m->distinct = vz_alloc((m->count + 1) * sizeof *m->distinct);
    m->by_term = &list->by_term;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t first;
        m->next[i] = UINT32_MAX;
        if (vz_strmap_get(&list->by_term, m->terms[i], &first)) {
            m->next[last[first]] = (uint32_t)i;
        } else {
            first = i;
            vz_strmap_put(&list->by_term, m->terms[i], i);
            m->distinct[m->distinct_count++] = (uint32_t)i;
        }
        last[first] = (uint32_t)i;
        m->freqs[first]++;
    }
    free(last);
}

/* The tokens that begin at or before `limit`, counted from the beginning of the text, or of each
 * value. */
static enum vz_status read_tokens(struct vz_highlighter *h, const struct vz_field *field,
                                  const struct vz_marked_text *text, const struct values *values,
                                  uint32_t limit, bool limit_each, struct token_list *list,
                                  struct vz_error *err)
{
    uint32_t position = 0;
    list->marked.text = text;
    for (size_t v = 0; v < values->count; v++) {
        uint32_t base = text->starts[v],
                 end = v + 1 < text->count ? text->starts[v + 1] - 1 : text->length;
        uint32_t from = limit_each ? 0 : base;
        struct vz_slice term = values->items[v];
        enum vz_status status = VZ_OK;
        if (field->type != VZ_FIELD_TEXT) {
            if (field->normalizer)
                status = vz_normalize(field->normalizer, term, &h->scratch, &term, err);
            if (status == VZ_OK && from <= limit)
                add_token(list, term, base, end, position++);
        } else {
            status = vz_analyze(field->analyzer, term, &h->tokens, err);
            for (size_t i = 0; status == VZ_OK && i < h->tokens.count; i++) {
                const struct vz_token *token = &h->tokens.items[i];
                if (from + token->start <= limit)
                    add_token(list, vz_arena_copy(&h->scratch, token->text), base + token->start,
                              base + token->end, position + token->position);
            }
            position += h->tokens.end_position + field->gap;
        }
        if (status != VZ_OK)
            return status;
    }
    link_terms(list);
    return VZ_OK;
}

/* ---- one field of one document --------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct vz_mark *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->term < y->term ? -1 : x->term > y->term;
}

/* Refuses texts that are longer than the index allows, unless the request cuts them. */
static enum vz_status check_length(struct vz_highlighter *h, const struct shown *shown,
                                   const struct vz_marked_text *text, uint32_t docno,
                                   struct vz_slice id, uint32_t *limit, struct vz_error *err)
{
    struct vz_index *index = vz_snapshot_index(h->eval->snap);
    uint32_t most = vz_index_max_analyzed_offset(index), length = text->length;
    int64_t asked = shown->entry->options.max_analyzed_offset;
    struct vz_slice name = vz_index_name(index);
    *limit = asked == 0 ? UINT32_MAX : asked < 0 ? most : (uint32_t)asked;
    if (*limit <= most || shown->type == VZ_HIGHLIGHT_FAST)
        return VZ_OK;
    if (shown->type == VZ_HIGHLIGHT_UNIFIED) {
        if (shown->field->has_offsets || length <= most)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "The length [%u] of field [%.*s] in doc[%u]/index[%.*s] exceeds the "
                       "[index.highlight.max_analyzed_offset] limit [%u]. To avoid this error, set "
                       "the query parameter [max_analyzed_offset] to a value less than index "
                       "setting [%u] and this will tolerate long field values by truncating them.",
                       length, VZ_ARG(shown->name), docno, VZ_ARG(name), most, most);
    }
    for (size_t v = 0; v < text->count; v++) {
        uint32_t end = v + 1 < text->count ? text->starts[v + 1] - 1 : text->length;
        if (end - text->starts[v] > most)
            return vz_fail(
                err, VZ_BAD_ARGUMENT,
                "The length [%u] of field [%.*s] in doc[%.*s]/index[%.*s] exceeds the "
                "[index.highlight.max_analyzed_offset] limit [%u]. To avoid this error, set "
                "the query parameter [max_analyzed_offset] to a value less than index "
                "setting [%u] and this will tolerate long field values by truncating them.",
                end - text->starts[v], VZ_ARG(shown->name), VZ_ARG(id), VZ_ARG(name), most, most);
    }
    return VZ_OK;
}

static struct vz_passage_options passage_options(const struct shown *shown)
{
    const struct vz_highlight_options *o = &shown->entry->options;
    return (struct vz_passage_options){.pre_tags = o->pre_tags,
                                       .post_tags = o->post_tags,
                                       .pre_tag_count = o->pre_tag_count,
                                       .post_tag_count = o->post_tag_count,
                                       .html = vz_slice_is(o->encoder, "html"),
                                       .by_value = o->number_of_fragments == 0 ||
                                                   shown->field->type != VZ_FIELD_TEXT,
                                       .trim = o->number_of_fragments != 0,
                                       .score_ordered = o->by_score,
                                       .simple = vz_slice_is(o->fragmenter, "simple"),
                                       .fragment_size = o->fragment_size,
                                       .max_fragments = o->number_of_fragments,
                                       .no_match_size = o->no_match_size,
                                       .boundary = o->boundary,
                                       .locale = o->locale,
                                       .boundary_max_scan = o->boundary_max_scan,
                                       .boundary_chars = o->boundary_chars};
}

/* Plain highlighting goes by tokens: each one's mark, by where it stands. */
static void marks_to_tokens(struct vz_marked_tokens *tokens, const struct vz_mark_list *marks)
{
    size_t at = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_plain_token *token = &tokens->tokens[i];
        while (at && marks->items[at - 1].start >= token->start)
            at--; /* tokens of a graph go back now and then */
        while (at < marks->count && marks->items[at].start < token->start)
            at++;
        for (size_t m = at; m < marks->count && marks->items[m].start == token->start; m++)
            if (marks->items[m].end == token->end)
                token->mark = (uint32_t)m;
    }
}

static enum vz_status mark_all(struct vz_highlighter *h, const struct shown *shown, uint32_t docno,
                               const struct vz_marked_text *text, const struct values *values,
                               uint32_t limit, struct token_list *own, struct vz_mark_list *marks,
                               struct vz_error *err)
{
    bool plain = shown->type == VZ_HIGHLIGHT_PLAIN;
    bool matching = shown->entry->options.require_field_match;
    bool whole = shown->type == VZ_HIGHLIGHT_FAST || (!plain && matching);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < shown->seen_by_count; i++) {
        const struct vz_field *seer = shown->seen_by[i];
        struct token_list other = {0}, *list = i ? &other : own;
        status = read_tokens(h, seer, text, values, limit, plain, list, err);
        if (status == VZ_OK)
            status = vz_marking_collect(shown->marking, docno, matching ? seer : NULL, whole,
                                        &list->marked, marks, err);
        if (i)
            tokens_deinit(&other);
    }
    if (marks->count > 1)
        qsort(marks->items, marks->count, sizeof *marks->items, by_place);
    return status;
}

static enum vz_status cut(struct vz_highlighter *h, const struct shown *shown,
                          const struct vz_marked_text *text, struct token_list *own,
                          const struct vz_mark_list *marks, struct vz_slice **fragments,
                          size_t *count, struct vz_error *err)
{
    struct vz_passage_options options = passage_options(shown);
    switch (shown->type) {
    case VZ_HIGHLIGHT_PLAIN:
        marks_to_tokens(&own->marked, marks);
        return vz_plain_fragments(text, own->marked.tokens, own->marked.count, marks->items,
                                  &options, &h->scratch, fragments, count);
    case VZ_HIGHLIGHT_FAST:
        return vz_fast_fragments(text, marks->items, marks->count, &options, &h->scratch, fragments,
                                 count, err);
    default:
        return vz_passages(text, marks->items, marks->count, &options, &h->scratch, fragments,
                           count, err);
    }
}

static enum vz_status write_field(struct vz_highlighter *h, const struct shown *shown,
                                  uint32_t docno, struct vz_slice id, struct vz_json source,
                                  struct vz_json_writer *w, struct vz_error *err)
{
    struct values values;
    struct vz_marked_text text;
    struct token_list own = {0};
    struct vz_mark_list marks = {0};
    struct vz_slice *fragments = NULL;
    size_t count = 0;
    uint32_t limit = UINT32_MAX;
    vz_arena_reset(&h->scratch);
    values_of(h, shown->field, source, &values);
    enum vz_status status =
        vz_marked_text_init(&text, values.items, values.count, &h->scratch, err);
    if (status == VZ_OK && values.count)
        status = check_length(h, shown, &text, docno, id, &limit, err);
    if (status == VZ_OK && values.count)
        status = mark_all(h, shown, docno, &text, &values, limit, &own, &marks, err);
    if (status == VZ_OK && values.count)
        status = cut(h, shown, &text, &own, &marks, &fragments, &count, err);
    if (status == VZ_OK && count) {
        vz_json_key_slice(w, shown->name);
        vz_json_begin_array(w);
        for (size_t i = 0; i < count; i++)
            vz_json_put_string(w, fragments[i]);
        vz_json_end_array(w);
    }
    tokens_deinit(&own);
    free(marks.items);
    free(values.items);
    return status;
}

enum vz_status vz_highlighter_write(struct vz_highlighter *h, uint32_t docno, struct vz_slice id,
                                    struct vz_json source, struct vz_slice *out,
                                    struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    enum vz_status status = VZ_OK;
    vz_json_begin_object(&w);
    for (size_t i = 0; status == VZ_OK && i < h->count; i++)
        status = write_field(h, &h->shown[i], docno, id, source, &w, err);
    vz_json_end_object(&w);
    if (status == VZ_OK && text.len > 2)
        *out = vz_arena_copy(h->eval->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}
