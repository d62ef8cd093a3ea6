/* inner_hits: which nested objects of a hit it was that matched, best first.
 *
 * For knn, the clause or a nested query of it, each object with a vector is scored by its own
 * similarity (exactly: a hit has few rows), not only the one that the walk found. For any other
 * nested query each object that matches has the score that the query gives it.
 *
 * What is asked of an object beside (a sort, doc values, scripts, explanations) is asked of the
 * document that it is in the index of the objects.
 */
#include "query/inner.h"

#include <stdlib.h>

#define MAX_SAMPLED 65536 /* matching objects whose every clause is remembered for explanations */

bool vz_inner_wants_objects(const struct vz_inner *inner)
{
    const struct vz_search *fetch = inner->fetch;
    return fetch->sort_count || fetch->docvalue_fields.count || fetch->script_field_count ||
           fetch->stored_fields.count ||
           (fetch->with_explain && !inner->knn);
}

/* What the index of the objects says of the hit's object of that number. */
static bool answered(const struct vz_inner_gather *gather, uint32_t number, float *score)
{
    const struct vz_docset *set = &gather->answer->set;
    uint32_t object = gather->first + number;
    if (object >= gather->answer->objects.limit ||
        vz_objects_place(&gather->answer->objects, object).docno != gather->docno ||
        !vz_bitset_has(&set->bits, object))
        return false;
    *score = set->scores ? set->scores[object] : set->constant;
    return true;
}

static bool is_within(const struct vz_inner_gather *gather, const struct vz_nest_place *place)
{
    const struct vz_nest_place *within = gather->within;
    bool same = !within || within->depth <= place->depth;
    for (unsigned i = 0; same && within && i < within->depth; i++)
        same = within->fields[i] == place->fields[i] && within->offsets[i] == place->offsets[i];
    return same;
}

static bool gather_object(void *gather_void, const struct vz_nest_place *place,
                          struct vz_json object)
{
    struct vz_inner_gather *gather = gather_void;
    struct vz_inner_object found = {.place = *place, .number = gather->number++, .score = 1};
    bool match = true;
    if (!is_within(gather, place))
        return true;
    if (gather->vector) {
        match = vz_nest_row(gather->scope, gather->vector, object, &found.row);
        for (size_t i = 0; i < gather->filters.count && match; i++) {
            gather->status = vz_nest_match(gather->eval, gather->filters.items[i], gather->scope,
                                           object, &match, gather->err);
            if (gather->status != VZ_OK)
                return false;
        }
    } else if (gather->asked) {
        match = answered(gather, found.number, &found.score);
    } else {
        gather->status = vz_nest_match(gather->eval, gather->inner->query, gather->scope, object,
                                       &match, gather->err);
    }
    if (gather->status != VZ_OK)
        return false;
    if (!match)
        return true;
    if (gather->count == gather->capacity) {
        gather->capacity = VZ_MAX(gather->capacity * 2, (size_t)16);
        gather->objects = vz_realloc(gather->objects, gather->capacity * sizeof(*gather->objects));
    }
    gather->objects[gather->count++] = found;
    return true;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const struct vz_inner_object *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_row(const void *a, const void *b)
{
    const struct vz_inner_object *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int by_number(const void *a, const void *b)
{
    const struct vz_inner_object *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_keys(const void *a, const void *b, void *fetch_void)
{
    const struct vz_inner_object *x = a, *y = b;
    const struct vz_search *fetch = fetch_void;
    for (size_t i = 0; i < fetch->sort_count; i++) {
        int order = vz_sort_compare(&fetch->sort[i], &x->values[i], &y->values[i]);
        if (order)
            return order;
    }
    return by_number(a, b);
}

static enum vz_status score_objects(struct vz_inner_gather *gather)
{
    if (!gather->vector || !gather->count)
        return VZ_OK;
    uint32_t *rows = vz_alloc(gather->count * sizeof(*rows));
    float *scores = vz_alloc(gather->count * sizeof(*scores));
    qsort(gather->objects, gather->count, sizeof(*gather->objects), by_row);
    for (size_t i = 0; i < gather->count; i++)
        rows[i] = gather->objects[i].row;
    gather->status = vz_knn_scores(gather->eval, gather->inner->knn, gather->vector, rows,
                                   gather->count, scores, gather->err);
    size_t kept = 0;
    for (size_t i = 0; i < gather->count && gather->status == VZ_OK; i++)
        if (scores[i] >= 0) {
            gather->objects[kept] = gather->objects[i];
            gather->objects[kept++].score = scores[i];
        }
    gather->count = kept;
    free(rows);
    free(scores);
    return gather->status;
}

/* The values of the sort's keys; documents are read in ascending order within a hit. */
static enum vz_status read_keys(struct vz_inner_gather *gather)
{
    const struct vz_search *fetch = gather->inner->fetch;
    const struct vz_inner_view *view = gather->answer->view;
    size_t keys = fetch->sort_count;
    struct vz_sort_value *values =
        vz_arena_alloc(gather->eval->arena, (gather->count * keys + 1) * sizeof *values);
    qsort(gather->objects, gather->count, sizeof(*gather->objects), by_number);
    for (size_t k = 0; k < keys; k++)
        view->readers[k].at = 0; /* hits come in any order */
    for (size_t i = 0; i < gather->count; i++) {
        struct vz_inner_object *object = &gather->objects[i];
        object->values = values + i * keys;
        for (size_t k = 0; k < keys; k++)
            object->values[k] =
                vz_sort_read(&view->readers[k], gather->first + object->number, object->score);
    }
    return vz_sort_failed(view->readers, keys, gather->err);
}

/* ---- what is asked of the objects' index ----------------------------------------------------- */

void vz_inner_view_free(struct vz_inner_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->reader_count; i++)
        vz_sort_unbind(&view->readers[i]);
    free(view->readers);
    vz_script_fields_close(&view->plan);
    vz_arena_deinit(&view->plan.scratch);
    free(view);
}

static enum vz_status open_view(struct vz_inner_gather *gather)
{
    const struct vz_search *fetch = gather->inner->fetch;
    struct vz_object_answer *answer = gather->answer;
    if (answer->view)
        return VZ_OK;
    struct vz_inner_view *view = answer->view = vz_calloc(1, sizeof *view);
    view->readers = vz_calloc(fetch->sort_count + 1, sizeof *view->readers);
    for (size_t i = 0; i < fetch->sort_count; i++) {
        enum vz_status status =
            vz_sort_bind(&fetch->sort[i], &answer->eval, &view->readers[i], gather->err);
        if (status != VZ_OK)
            return status;
        view->reader_count++;
    }
    uint64_t matches = gather->asked ? vz_docset_count(&answer->set, &answer->eval) : 0;
    if (matches == 0 || matches > MAX_SAMPLED)
        return VZ_OK;
    uint32_t *docnos = vz_arena_alloc(gather->eval->arena, matches * sizeof *docnos);
    view->sampler = vz_arena_zalloc(gather->eval->arena, sizeof *view->sampler);
    *view->sampler = (struct vz_sampler){.eval = &answer->eval, .docnos = docnos};
    for (uint32_t d = vz_docset_next(&answer->set, &answer->eval, 0); d < answer->eval.limit;
         d = vz_docset_next(&answer->set, &answer->eval, d + 1))
        docnos[view->sampler->count++] = d;
    return VZ_OK;
}

/* Whose objects; false when this index does not have them. */
static bool bind(struct vz_inner_gather *gather)
{
    const struct vz_mapping *mapping = gather->eval->mapping;
    const struct vz_inner *inner = gather->inner;
    const struct vz_field *field =
        vz_mapping_find(mapping, inner->knn ? inner->knn->field : inner->path);
    if (inner->knn) {
        gather->vector = field;
        gather->scope = field ? vz_nest_scope(mapping, field) : NULL;
    } else {
        gather->scope = field && field->type == VZ_FIELD_NESTED ? field : NULL;
    }
    if (!gather->scope)
        return false;
    if (!inner->knn)
        return true;
    gather->filters.items =
        vz_arena_alloc(gather->eval->arena, (inner->knn->filters.count + 1) * sizeof(void *));
    for (size_t i = 0; i < inner->knn->filters.count; i++)
        if (vz_nest_owns(mapping, gather->scope, inner->knn->filters.items[i]))
            gather->filters.items[gather->filters.count++] = inner->knn->filters.items[i];
    return true;
}

/* Has the objects' index answer the query, once a search. */
static enum vz_status ask(struct vz_inner_gather *gather)
{
    const struct vz_inner *inner = gather->inner;
    struct vz_eval *eval = gather->eval;
    bool wanted = vz_inner_wants_objects(inner);
    enum vz_status status = VZ_OK;
    if (!inner->knn) {
        gather->asked = true;
        status = vz_objects_serve(eval->mapping, inner->query, &gather->asked, gather->err);
    }
    if (status == VZ_OK && gather->asked)
        status = vz_objects_answer(eval, inner->query, gather->scope, &gather->answer, gather->err);
    else if (status == VZ_OK && wanted)
        status = vz_objects_hold(eval, inner, gather->scope, &gather->answer, gather->err);
    if (status != VZ_OK || !gather->answer)
        return status;
    gather->first = vz_objects_first(&gather->answer->objects, gather->docno);
    return open_view(gather);
}

enum vz_status vz_inner_gather(struct vz_inner_gather *gather, bool *none)
{
    const struct vz_search *fetch = gather->inner->fetch;
    *none = !bind(gather);
    if (*none)
        return VZ_OK;
    enum vz_status status = ask(gather);
    if (status != VZ_OK)
        return status;
    vz_nest_each(gather->eval->mapping, gather->scope, gather->rows, gather_object, gather);
    status = gather->status;
    if (status == VZ_OK)
        status = score_objects(gather);
    if (status == VZ_OK && fetch->sort_count)
        status = read_keys(gather);
    if (status == VZ_OK && gather->count && fetch->sort_count)
        qsort_r(gather->objects, gather->count, sizeof(*gather->objects), by_keys,
                (void *)(uintptr_t)fetch);
    else if (status == VZ_OK && gather->count)
        qsort(gather->objects, gather->count, sizeof(*gather->objects), by_score);
    return status;
}

/* ---- a hit ----------------------------------------------------------------------------------- */

static enum vz_status parse_source(struct vz_eval *eval, uint32_t docno, enum vz_doc_parts parts,
                                   struct vz_arena *arena, struct vz_json_doc **doc,
                                   struct vz_json *source, struct vz_error *err)
{
    struct vz_stored_doc stored;
    *doc = NULL;
    enum vz_status status = vz_snapshot_doc(eval->snap, docno, parts, arena, &stored, err);
    return status == VZ_OK ? vz_json_parse(stored.source, doc, source, err) : status;
}

enum vz_status vz_inner_write(const struct vz_search *search, struct vz_eval *eval, uint32_t docno,
                              struct vz_search_hit *hit, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_arena scratch = {0};
    struct vz_json_doc *rows_doc = NULL, *doc = NULL;
    struct vz_json rows, source;
    enum vz_status status =
        parse_source(eval, docno, VZ_DOC_ROW_SOURCE, &scratch, &rows_doc, &rows, err);
    if (status == VZ_OK)
        status = parse_source(eval, docno, VZ_DOC_SOURCE, &scratch, &doc, &source, err);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < search->inner_count && status == VZ_OK; i++)
        status =
            vz_inner_put(eval, search->inners[i], docno, hit, rows, source, NULL, &w, err);
    vz_json_end_object(&w);
    if (status == VZ_OK)
        hit->inner_hits = vz_arena_copy(eval->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    if (rows_doc)
        vz_json_free(rows_doc);
    if (doc)
        vz_json_free(doc);
    vz_arena_deinit(&scratch);
    return status;
}
