/* query/term_vectors.c - the terms of one document's fields: where they stand, how often, and what
 * the index knows of them. Nothing of it is stored: the source is analysed again, which gives what
 * was indexed. */
#include "base/clock.h"
#include "base/text.h"
#include "query/filter.h"
#include "query/texts.h"
#include "store/document.h"
#include "text/analysis.h"

#include <math.h>
#include <stdlib.h>

#define MAX_KEYWORDS                                                                               \
    1024 /* of one field whose statistics are asked for: each is a look at a column */

#define LATE_EVERY 16 /* such looks */

struct place {
    struct vz_slice term;
    uint32_t position, start, end;
    uint32_t order; /* in the document */
};
struct places {
    const struct vz_field *field;
    struct place *items;
    size_t count, capacity;
    uint32_t position, offset; /* of what comes next */
    bool any;
};
struct run {
    struct vz_eval *eval;
    const struct vz_term_vectors *how;
    bool artificial;
    bool selects; /* by names of fields that there are */
    struct vz_json_writer *w;
    struct vz_error *err;
};

static struct vz_slice own_analyzer(const struct run *run, const struct vz_field *field)
{
    for (size_t i = 0; i < run->how->analyzer_count; i++)
        if (vz_slice_eq(run->how->analyzers[i].field, field->path))
            return run->how->analyzers[i].name;
    return (struct vz_slice){NULL, 0};
}

static bool is_selected(const struct run *run, const struct vz_field *field)
{
    for (size_t i = 0; i < run->how->field_count; i++)
        if (vz_wildcard_match(run->how->fields[i], field->path))
            return true;
    return false;
}

/* Without a list: what keeps vectors by its mapping; of a document that is given, everything. */
static bool wants(const struct run *run, const struct vz_field *field)
{
    bool valid = field->indexed && !field->under_nested &&
                 (field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_KEYWORD);
    if (!valid)
        return false;
    if (run->selects)
        return is_selected(run, field);
    return run->artificial || field->vector_parts;
}

static void add_place(struct places *places, struct place place)
{
    if (places->count == places->capacity) {
        places->capacity = VZ_MAX(places->capacity * 2, (size_t)64);
        places->items = vz_realloc(places->items, places->capacity * sizeof *places->items);
    }
    place.order = (uint32_t)places->count;
    places->items[places->count++] = place;
}

static enum vz_status add_text(const struct run *run, struct places *places,
                               const struct vz_analyzer *analyzer, uint32_t gap,
                               struct vz_slice text)
{
    struct vz_tokens tokens = {0};
    enum vz_status status = vz_analyze(analyzer, text, &tokens, run->err);
    uint32_t base = places->any ? places->position + gap : 0, offset = places->offset;
    if (status == VZ_OK && places->count + tokens.count > VZ_MAX_TOKENS)
        status = vz_fail(run->err, VZ_LIMIT, "more than [%zu] terms", VZ_MAX_TOKENS);
    for (size_t i = 0; status == VZ_OK && i < tokens.count; i++) {
        const struct vz_token *token = &tokens.items[i];
        add_place(places, (struct place){.term = vz_arena_copy(run->eval->arena, token->text),
                                         .position = base + token->position,
                                         .start = offset + token->start,
                                         .end = offset + token->end});
    }
    places->position = base + tokens.end_position;
    places->offset = offset + tokens.end_offset + 1;
    places->any = true;
    vz_tokens_deinit(&tokens);
    return status;
}

static enum vz_status add_value(const struct run *run, struct places *places, struct vz_slice text)
{
    const struct vz_field *field = places->field;
    struct vz_analysis *analysis = vz_mapping_analysis(run->eval->mapping);
    struct vz_slice name = own_analyzer(run, field);
    const struct vz_analyzer *analyzer = field->analyzer;
    if (name.len && !(analyzer = vz_analysis_analyzer(analysis, name)))
        analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("default"));
    if (!analyzer) /* a keyword, normalized already */
        analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("keyword"));
    uint32_t gap = name.len                       ? vz_analyzer_gap(analyzer)
                   : field->type == VZ_FIELD_TEXT ? field->gap
                                                  : 0;
    return add_text(run, places, analyzer, gap, text);
}

static enum vz_status gather(const struct run *run, const struct vz_document *doc,
                             struct places *places)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < doc->text_count; i++)
        if (doc->texts[i].field == places->field->id)
            status = add_value(run, places, doc->texts[i].text);
    for (size_t i = 0; status == VZ_OK && i < doc->value_count; i++)
        if (doc->values[i].field == places->field->id && doc->values[i].kind == VZ_COLUMN_ORDINAL)
            status = add_value(run, places, doc->values[i].term);
    return status;
}

static int by_term(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = vz_slice_cmp(x->term, y->term);
    return order ? order : x->order < y->order ? -1 : 1;
}

/* ---- what the index knows -------------------------------------------------------------------- */

struct known {
    uint64_t doc_freq, total_freq;
};

static enum vz_status known_of(const struct run *run, const struct vz_field *field,
                               struct vz_slice term, struct known *out)
{
    struct vz_eval *eval = run->eval;
    const struct vz_text_view *view = vz_snapshot_texts(eval->snap);
    struct vz_term_stats stats = {0};
    uint64_t docs, freqs;
    *out = (struct known){0};
    if (field->type == VZ_FIELD_TEXT) {
        if (view && vz_text_term_stats(view, field->id, term, &stats))
            *out = (struct known){stats.doc_freq, stats.total_freq};
        return VZ_OK;
    }
    struct vz_node *node = vz_made_node(eval, VZ_NODE_TERM);
    node->field = field->path;
    node->values = vz_arena_alloc(eval->arena, sizeof *node->values);
    node->values[0] = vz_made_text(eval, term);
    node->value_count = 1;
    enum vz_status status =
        vz_keyword_stats(eval, node, field, &out->doc_freq, &docs, &freqs, run->err);
    out->total_freq = out->doc_freq;
    return status;
}

static enum vz_status field_stats(const struct run *run, const struct vz_field *field,
                                  struct vz_field_stats *out)
{
    const struct vz_text_view *view = vz_snapshot_texts(run->eval->snap);
    *out = (struct vz_field_stats){0};
    if (field->type == VZ_FIELD_TEXT) {
        if (view)
            vz_text_field_stats(view, field->id, out);
        return VZ_OK;
    }
    struct vz_node *node = vz_made_node(run->eval, VZ_NODE_TERM);
    uint64_t doc_freq;
    node->field = field->path;
    node->values = vz_arena_alloc(run->eval->arena, sizeof *node->values);
    node->values[0] = vz_made_text(run->eval, VZ_SLICE(""));
    node->value_count = 1;
    enum vz_status status = vz_keyword_stats(run->eval, node, field, &doc_freq, &out->doc_count,
                                             &out->sum_total_freqs, run->err);
    out->sum_doc_freqs = out->sum_total_freqs;
    return status;
}

/* ---- answering ------------------------------------------------------------------------------- */

struct shown {
    size_t first, count; /* of the places */
    struct known known;
    float score;
    bool kept;
};

static size_t units(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (((unsigned char)text.ptr[i] & 0xC0) != 0x80) +
                 (((unsigned char)text.ptr[i] & 0xF8) == 0xF0);
    return count;
}

static bool passes(const struct vz_term_filter *filter, struct vz_slice term,
                   const struct shown *shown)
{
    int64_t length = (int64_t)units(term), freq = (int64_t)shown->count;
    int64_t docs = (int64_t)shown->known.doc_freq;
    if ((filter->min_word_length > 0 && length < filter->min_word_length) ||
        (filter->max_word_length > 0 && length > filter->max_word_length) ||
        freq < filter->min_term_freq || freq > filter->max_term_freq)
        return false;
    return docs > 0 && docs >= filter->min_doc_freq && docs <= filter->max_doc_freq;
}

static int by_score(const void *a, const void *b)
{
    const struct shown *x = *(struct shown *const *)a, *y = *(struct shown *const *)b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

/* Keeps the best by term frequency times ClassicSimilarity's idf. */
static void select_best(const struct run *run, const struct places *places, struct shown *shown,
                        size_t count, uint64_t doc_count)
{
    const struct vz_term_filter *filter = &run->how->filter;
    struct shown **order = vz_alloc((count + 1) * sizeof *order);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        shown[i].kept = false;
        if (!passes(filter, places->items[shown[i].first].term, &shown[i]))
            continue;
        double idf = log(((double)doc_count + 1) / ((double)shown[i].known.doc_freq + 1)) + 1;
        shown[i].score = (float)shown[i].count * (float)idf;
        order[kept++] = &shown[i];
    }
    if (kept > 1)
        qsort(order, kept, sizeof *order, by_score);
    for (size_t i = 0; i < kept && (int64_t)i < filter->max_num_terms; i++)
        order[i]->kept = true;
    free(order);
}

static void print_tokens(const struct run *run, const struct places *places,
                         const struct shown *shown)
{
    struct vz_json_writer *w = run->w;
    const struct vz_field *field = places->field;
    bool stored = !run->artificial && field->vector_parts && !own_analyzer(run, field).len;
    unsigned has = stored ? field->vector_parts : VZ_VECTOR_POSITIONS | VZ_VECTOR_OFFSETS;
    bool positions = run->how->positions && (has & VZ_VECTOR_POSITIONS);
    bool offsets = run->how->offsets && (has & VZ_VECTOR_OFFSETS);
    if (!positions && !offsets)
        return;
    vz_json_key(w, "tokens");
    vz_json_begin_array(w);
    for (size_t i = shown->first; i < shown->first + shown->count; i++) {
        vz_json_begin_object(w);
        if (positions)
            vz_json_field_int(w, "position", places->items[i].position);
        if (offsets) {
            vz_json_field_int(w, "start_offset", places->items[i].start);
            vz_json_field_int(w, "end_offset", places->items[i].end);
        }
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void print_terms(const struct run *run, const struct places *places,
                        const struct shown *shown, size_t count)
{
    struct vz_json_writer *w = run->w;
    vz_json_key(w, "terms");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        if (!shown[i].kept)
            continue;
        vz_json_key_slice(w, places->items[shown[i].first].term);
        vz_json_begin_object(w);
        if (run->how->term_statistics && shown[i].known.doc_freq) {
            vz_json_field_int(w, "doc_freq", (int64_t)shown[i].known.doc_freq);
            vz_json_field_int(w, "ttf", (int64_t)shown[i].known.total_freq);
        }
        vz_json_field_int(w, "term_freq", (int64_t)shown[i].count);
        print_tokens(run, places, &shown[i]);
        if (run->how->filtered) {
            vz_json_key(w, "score");
            vz_json_put_float(w, shown[i].score);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

/* Groups sorted places by term. */
static size_t group(const struct places *places, struct shown *shown)
{
    size_t count = 0;
    for (size_t i = 0; i < places->count; i++) {
        struct vz_slice term = places->items[i].term;
        if (i && vz_slice_eq(term, places->items[i - 1].term)) {
            shown[count - 1].count++;
            continue;
        }
        shown[count++] = (struct shown){.first = i, .count = 1, .kept = true};
    }
    return count;
}

/* What is known of the field and its terms. Of a field that no document has, it is this one. */
static enum vz_status look_up(const struct run *run, const struct places *places,
                              struct shown *shown, size_t count, struct vz_field_stats *stats)
{
    bool asks = run->how->term_statistics || run->how->filtered;
    enum vz_status status = field_stats(run, places->field, stats);
    bool alone = stats->doc_count == 0;
    if (alone)
        *stats = (struct vz_field_stats){
            .doc_count = 1, .sum_doc_freqs = count, .sum_total_freqs = places->count};
    if (asks && !alone && places->field->type != VZ_FIELD_TEXT && count > MAX_KEYWORDS)
        return vz_fail(run->err, VZ_LIMIT, "statistics of more than [%d] terms of [%.*s]",
                       MAX_KEYWORDS, (int)places->field->path.len, places->field->path.ptr);
    for (size_t i = 0; asks && status == VZ_OK && i < count; i++) {
        if (i % LATE_EVERY == LATE_EVERY - 1 && vz_eval_late(run->eval))
            status = vz_fail(run->err, VZ_CANCELLED, "the term vectors took too long");
        else if (alone)
            shown[i].known = (struct known){1, shown[i].count};
        else
            status =
                known_of(run, places->field, places->items[shown[i].first].term, &shown[i].known);
    }
    return status;
}

static enum vz_status print_field(const struct run *run, struct places *places)
{
    struct vz_json_writer *w = run->w;
    struct vz_field_stats stats;
    qsort(places->items, places->count, sizeof *places->items, by_term);
    struct shown *shown = vz_alloc(places->count * sizeof *shown);
    size_t count = group(places, shown);
    enum vz_status status = look_up(run, places, shown, count, &stats);
    if (status == VZ_OK) {
        if (run->how->filtered)
            select_best(run, places, shown, count, stats.doc_count);
        vz_json_key_slice(w, places->field->path);
        vz_json_begin_object(w);
        if (run->how->field_statistics) {
            vz_json_key(w, "field_statistics");
            vz_json_begin_object(w);
            vz_json_field_int(w, "sum_doc_freq", (int64_t)stats.sum_doc_freqs);
            vz_json_field_int(w, "doc_count", (int64_t)stats.doc_count);
            vz_json_field_int(w, "sum_ttf", (int64_t)stats.sum_total_freqs);
            vz_json_end_object(w);
        }
        print_terms(run, places, shown, count);
        vz_json_end_object(w);
    }
    free(shown);
    return status;
}

static int by_path(const void *a, const void *b)
{
    const struct vz_field *const *x = a, *const *y = b;
    return vz_slice_cmp((*x)->path, (*y)->path);
}

enum vz_status vz_term_vectors_print(struct vz_index *index, struct vz_slice source,
                                     bool artificial, const struct vz_term_vectors *how,
                                     struct vz_arena *arena, struct vz_json_writer *w,
                                     struct vz_error *err)
{
    struct vz_snapshot *snap = vz_index_snapshot(index);
    struct vz_mapping *mapping = vz_index_mapping(index);
    struct vz_mapping *lenient = vz_mapping_lenient(mapping);
    struct vz_eval eval;
    struct vz_document doc;
    vz_eval_init(&eval, snap, arena, vz_wall_ms(), how->deadline_ns);
    eval.stop = how->stop;
    struct run run = {.eval = &eval, .how = how, .artificial = artificial, .w = w, .err = err};
    size_t count = 0, all = vz_mapping_count(eval.mapping);
    const struct vz_field **fields = vz_arena_alloc(arena, (all + 1) * sizeof *fields);
    /* Names that fit no field at all select nothing, and what selects nothing is no selection. */
    for (size_t i = 0; i < all && !run.selects; i++)
        run.selects = is_selected(&run, vz_mapping_field(eval.mapping, (uint16_t)i));
    for (size_t i = 0; i < all; i++) {
        const struct vz_field *field = vz_mapping_field(eval.mapping, (uint16_t)i);
        if (wants(&run, field))
            fields[count++] = field;
    }
    qsort(fields, count, sizeof *fields, by_path);
    enum vz_status status =
        vz_document_parse(lenient, VZ_SLICE("_id_for_tv_api"), source, arena, &doc, err);
    vz_json_key(w, "term_vectors");
    vz_json_begin_object(w);
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        struct places places = {.field = fields[i]};
        if (vz_eval_late(&eval)) {
            status = vz_fail(err, VZ_CANCELLED, "the term vectors took too long");
            break;
        }
        status = gather(&run, &doc, &places);
        if (status == VZ_OK && places.count)
            status = print_field(&run, &places);
        free(places.items);
    }
    vz_json_end_object(w);
    vz_eval_deinit(&eval);
    vz_mapping_release(lenient);
    vz_mapping_release(mapping);
    vz_snapshot_release(snap);
    return status;
}
