/* query/suggest_completion.c - inputs of a completion field that begin with a text, the heaviest
 * first.
 *
 * The terms of the field (text/completion.h) that begin with the analysed text are walked, of all
 * targets; they are put in order of weight, then of the input, and their documents are told until
 * there are enough. A document is told once, by its best input. An alias' filter counts.
 *
 * fuzzy: the walk begins with the letters that must be exact, and each term is asked how far it is.
 * The weight is then multiplied by how many letters agree from the beginning, as Lucene does, so
 * that near misses come behind. regex: the pattern must match a beginning of the analysed form.
 */
#include "query/suggest.h"

#include "base/strmap.h"
#include "text/completion.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct candidate {
    struct vz_slice term, surface;
    float score;
    uint32_t target;
};

struct candidates {
    struct candidate *items;
    size_t count, capacity;
};

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    int order = vz_slice_cmp(x->surface, y->surface);
    if (order)
        return order;
    return x->target < y->target ? -1 : x->target > y->target;
}

/* ---- finding --------------------------------------------------------------------------------- */

struct finding {
    const struct vz_suggestion *suggestion;
    struct vz_eval *eval;
    const struct vz_field *field;
    uint32_t target;
    struct vz_slice query; /* analysed */
    unsigned edits;        /* 0: exact */
    struct vz_matcher *matcher; /* of the regex; or NULL */
    struct candidates *out;
    struct vz_error *err;
};

static unsigned fuzzy_edits(const struct vz_completion_options *options, size_t length)
{
    struct vz_slice f = options->fuzziness;
    unsigned low = 3, high = 6;
    if (!options->fuzzy || length < options->min_length)
        return 0;
    if (f.len == 0)
        return 1;
    if (f.len == 1)
        return (unsigned)(f.ptr[0] - '0');
    char copy[32] = "";
    memcpy(copy, f.ptr, VZ_MIN(f.len, sizeof copy - 1));
    if (f.len > 5 && sscanf(copy + 5, "%u,%u", &low, &high) != 2)
        low = 3, high = 6;
    return length < low ? 0 : length < high ? 1 : 2;
}

static size_t characters(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

/* The bytes of the first characters. */
static size_t bytes_of(struct vz_slice text, size_t chars)
{
    size_t at = 0;
    for (size_t seen = 0; at < text.len; at++) {
        seen += ((unsigned char)text.ptr[at] & 0xC0) != 0x80;
        if (seen > chars)
            break;
    }
    return at;
}

static void add_candidate(struct finding *f, struct vz_slice term, const struct vz_completion *c,
                          float score)
{
    struct candidates *out = f->out;
    if (out->count == out->capacity) {
        out->capacity = VZ_MAX(out->capacity * 2, (size_t)64);
        out->items = vz_realloc(out->items, out->capacity * sizeof *out->items);
    }
    out->items[out->count++] = (struct candidate){term, c->surface, score, f->target};
}

static enum vz_status consider(struct finding *f, struct vz_slice term)
{
    const struct vz_suggestion *s = f->suggestion;
    struct vz_completion c;
    size_t common;
    if (!vz_completion_read(term, &c))
        return VZ_OK;
    float score = (float)c.weight;
    if (s->regex.ptr) {
        if (vz_matcher_matches(f->matcher, c.form))
            add_candidate(f, term, &c, score);
        return VZ_OK;
    }
    if (f->edits) {
        if (vz_completion_edits(f->query, c.form, f->edits, s->completion.prefix_length,
                                s->completion.transpositions, &common) > f->edits)
            return VZ_OK;
        if (common > 1)
            score = c.weight ? score * (float)common : (float)common;
    }
    add_candidate(f, term, &c, score);
    return VZ_OK;
}

/* What the walk looks for in the dictionary: more than what is wanted, never less. */
static struct vz_walk walk_of(struct finding *f, struct vz_buf *pattern)
{
    const struct vz_suggestion *s = f->suggestion;
    struct vz_walk walk = {.cancelled = vz_text_late, .context = f->eval};
    if (s->regex.ptr) {
        vz_buf_printf(pattern, "(%.*s).*", VZ_ARG(s->regex));
        walk.kind = VZ_WALK_REGEXP;
        walk.text = vz_buf_slice(pattern);
        return walk;
    }
    walk.kind = VZ_WALK_PREFIX;
    walk.text = f->query;
    if (f->edits)
        walk.text.len = bytes_of(f->query, s->completion.prefix_length);
    return walk;
}

static enum vz_status find_in(struct finding *f)
{
    const struct vz_text_view *view = vz_snapshot_texts(f->eval->snap);
    struct vz_walk_term *terms;
    size_t count;
    bool truncated;
    struct vz_buf pattern = {0};
    if (!view || (!f->suggestion->regex.ptr && f->query.len == 0))
        return VZ_OK;
    struct vz_walk walk = walk_of(f, &pattern);
    enum vz_status status =
        vz_text_walk(view, f->field->id, &walk, f->eval->arena, &terms, &count, &truncated, f->err);
    if (status == VZ_OK && f->suggestion->regex.ptr)
        status = vz_matcher_open(&walk, &f->matcher, f->err);
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        status = consider(f, terms[i].term);
        if (status == VZ_OK && i % 1024 == 1023 && vz_eval_late(f->eval))
            status = vz_fail(f->err, VZ_CANCELLED, "the search was stopped");
    }
    vz_matcher_close(f->matcher);
    f->matcher = NULL;
    vz_buf_deinit(&pattern);
    return status;
}

static enum vz_status find_all(struct vz_run *run, const struct vz_suggestion *s,
                               struct candidates *out, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (uint32_t t = 0; status == VZ_OK && t < run->target_count; t++) {
        struct vz_eval *eval = &run->targets[t].eval;
        struct finding f = {.suggestion = s, .eval = eval, .target = t, .out = out, .err = err};
        struct vz_completion_form form = {0};
        struct vz_tokens tokens = {0};
        struct vz_buf query = {0};
        status = vz_suggest_field(s, eval, &f.field, &form.analyzer, err);
        if (status == VZ_OK && f.field->type != VZ_FIELD_COMPLETION)
            return vz_fail(err, VZ_BAD_ARGUMENT, "Field [%.*s] is not a completion suggest field",
                           VZ_ARG(s->field));
        if (status == VZ_OK && !s->regex.ptr) {
            form.no_separators = f.field->no_separators;
            form.no_gaps = f.field->no_gaps;
            status = vz_completion_analyze(&form, s->prefix, &tokens, &query, err);
            f.query = vz_arena_copy(run->arena, vz_buf_slice(&query));
            f.edits = fuzzy_edits(&s->completion, characters(f.query));
        }
        if (status == VZ_OK)
            status = find_in(&f);
        vz_tokens_deinit(&tokens);
        vz_buf_deinit(&query);
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, by_score);
    return status;
}

/* ---- telling --------------------------------------------------------------------------------- */

struct telling {
    struct vz_run *run;
    const struct vz_suggestion *suggestion;
    const struct candidate *candidate;
    struct vz_json_writer *w;
    struct vz_strmap told; /* target:docno, and surfaces when duplicates are skipped */
    size_t count;
    enum vz_status status;
    struct vz_error *err;
};

static bool tell(void *telling_void, uint32_t docno)
{
    struct telling *t = telling_void;
    struct vz_run_part *part = &t->run->bound[t->candidate->target];
    struct vz_eval *eval = &t->run->targets[t->candidate->target].eval;
    struct vz_search_hit hit = {0};
    char place[32];
    if (docno >= eval->limit || !vz_snapshot_live(eval->snap, docno) ||
        (eval->alias && !vz_bitset_has(eval->alias, docno)))
        return true;
    snprintf(place, sizeof place, "%u:%u", t->candidate->target, docno);
    if (!vz_strmap_put(&t->told, vz_slice_from(place), 1))
        return true;
    if (!part->planned)
        vz_fetch_prepare(t->run->search, eval, &part->plan);
    part->planned = true;
    t->status = vz_fetch_hit(t->run->search, &part->plan, eval, docno, &hit, t->err);
    if (t->status != VZ_OK)
        return false;
    vz_json_begin_object(t->w);
    vz_json_field_string(t->w, "text", t->candidate->surface);
    vz_json_field_string(t->w, "_index", hit.index);
    vz_json_field_string(t->w, "_id", hit.id);
    vz_json_key(t->w, "_score");
    vz_json_put_float(t->w, t->candidate->score);
    vz_json_field_raw(t->w, "_source", hit.source);
    vz_json_field_raw(t->w, "fields", hit.fields);
    vz_json_end_object(t->w);
    t->count++;
    return !t->suggestion->completion.skip_duplicates && t->count < t->suggestion->size;
}

static bool is_new_surface(struct telling *t, struct vz_slice surface)
{
    struct vz_buf key = {0};
    if (!t->suggestion->completion.skip_duplicates)
        return true;
    vz_buf_append_char(&key, ' '); /* no place begins so */
    vz_buf_append_slice(&key, surface);
    uint64_t known;
    bool is_new = !vz_strmap_get(&t->told, vz_buf_slice(&key), &known);
    vz_buf_deinit(&key);
    return is_new;
}

static void note_surface(struct telling *t, struct vz_slice surface)
{
    struct vz_buf key = {0};
    vz_buf_append_char(&key, ' ');
    vz_buf_append_slice(&key, surface);
    vz_strmap_put(&t->told, vz_buf_slice(&key), 1);
    vz_buf_deinit(&key);
}

enum vz_status vz_suggest_completion(struct vz_run *run, const struct vz_suggestion *s,
                                     struct vz_json_writer *w, struct vz_error *err)
{
    struct candidates found = {0};
    struct telling t = {.run = run, .suggestion = s, .w = w, .err = err};
    struct vz_slice text = s->prefix.ptr ? s->prefix : s->text;
    t.status = find_all(run, s, &found, err);
    if (t.status == VZ_OK)
        vz_suggest_begin_entry(w, text, 0, vz_suggest_units(text));
    for (size_t i = 0; t.status == VZ_OK && i < found.count && t.count < s->size; i++) {
        size_t before = t.count;
        t.candidate = &found.items[i];
        if (!is_new_surface(&t, found.items[i].surface))
            continue;
        const struct vz_eval *eval = &run->targets[t.candidate->target].eval;
        const struct vz_field *field = vz_mapping_find(eval->mapping, s->field);
        vz_text_term_each(vz_snapshot_texts(eval->snap), field->id, found.items[i].term, tell, &t);
        if (t.count > before && s->completion.skip_duplicates)
            note_surface(&t, found.items[i].surface);
    }
    if (t.status == VZ_OK) {
        vz_json_end_array(w);
        vz_json_end_object(w);
    }
    vz_strmap_deinit(&t.told);
    free(found.items);
    return t.status;
}
