/* inner_hits: which nested objects of a hit it was that matched, best first.
 *
 * For knn, the clause or a nested query of it, each object with a vector is scored by its own
 * similarity (exactly: a hit has few rows), not only the one that the walk found. For any other
 * nested query each object that matches has the score that the query gives it.
 */
#include "query/highlight.h"
#include "query/nested.h"
#include "query/objects.h"

#include <stdlib.h>

struct object {
    struct vz_nest_place place;
    uint32_t number, row; /* number: in the order of the text */
    float score;
};

struct gather {
    struct vz_eval *eval;
    const struct vz_inner *inner;
    const struct vz_field *scope, *vector;
    struct vz_node_list filters; /* of the clause, those about the objects */
    const struct vz_object_answer *answer; /* of the query; NULL: objects are asked one by one */
    uint32_t docno, first;                 /* of the hit, and its first object there */
    struct object *objects;
    size_t count, capacity;
    uint32_t number;
    enum vz_status status;
    struct vz_error *err;
};

/* What the index of the objects says of the hit's object of that number. */
static bool answered(const struct gather *gather, uint32_t number, float *score)
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

static bool gather_object(void *gather_void, const struct vz_nest_place *place,
                          struct vz_json object)
{
    struct gather *gather = gather_void;
    struct object found = {.place = *place, .number = gather->number++, .score = 1};
    bool match = true;
    if (gather->vector) {
        match = vz_nest_row(gather->scope, gather->vector, object, &found.row);
        for (size_t i = 0; i < gather->filters.count && match; i++) {
            gather->status = vz_nest_match(gather->eval, gather->filters.items[i], gather->scope,
                                           object, &match, gather->err);
            if (gather->status != VZ_OK)
                return false;
        }
    } else if (gather->answer) {
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

static int by_score(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_row(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static enum vz_status score_objects(struct gather *gather)
{
    if (gather->vector && gather->count) {
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
    }
    if (gather->status == VZ_OK && gather->count)
        qsort(gather->objects, gather->count, sizeof(*gather->objects), by_score);
    return gather->status;
}

/* ---- printing -------------------------------------------------------------------------------- */

struct pick {
    uint32_t wanted, number;
    struct vz_json object;
    bool found;
};

static bool pick_object(void *pick_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct pick *pick = pick_void;
    pick->found = pick->number++ == pick->wanted;
    if (pick->found)
        pick->object = object;
    return !pick->found;
}

/* {"field":"p","offset":0,"_nested":{...}} */
static void put_place(struct vz_eval *eval, const struct vz_nest_place *place, unsigned level,
                      struct vz_json_writer *w)
{
    const struct vz_field *field = vz_mapping_field(eval->mapping, place->fields[level]);
    struct vz_slice name = field->path;
    if (level) {
        size_t skip = vz_mapping_field(eval->mapping, place->fields[level - 1])->path.len + 1;
        name = (struct vz_slice){name.ptr + skip, name.len - skip};
    }
    vz_json_begin_object(w);
    vz_json_field_string(w, "field", name);
    vz_json_field_int(w, "offset", place->offsets[level]);
    if (level + 1 < place->depth) {
        vz_json_key(w, "_nested");
        put_place(eval, place, level + 1, w);
    }
    vz_json_end_object(w);
}

static bool next_part(struct vz_slice *rest, struct vz_slice *part)
{
    if (rest->len == 0)
        return false;
    const char *dot = memchr(rest->ptr, '.', rest->len);
    size_t len = dot ? (size_t)(dot - rest->ptr) : rest->len, skip = dot ? len + 1 : len;
    *part = (struct vz_slice){rest->ptr, len};
    *rest = (struct vz_slice){rest->ptr + skip, rest->len - skip};
    return true;
}

static bool at_path(struct vz_json root, struct vz_slice path, struct vz_json *out)
{
    struct vz_slice part, key;
    *out = root;
    while (next_part(&path, &part)) {
        struct vz_json_iter it = vz_json_iterate(*out);
        bool found = false;
        struct vz_json member;
        while (!found && vz_json_next(&it, &key, &member))
            found = vz_slice_eq(key, part);
        if (!found)
            return false;
        *out = member;
    }
    return true;
}

static enum vz_status put_source(struct vz_eval *eval, const struct vz_inner *inner,
                                 const struct vz_field *scope, struct vz_json object,
                                 struct vz_json wrapped, struct vz_json_writer *w,
                                 struct vz_error *err)
{
    const struct vz_search *fetch = inner->fetch;
    if (!fetch->with_source)
        return VZ_OK;
    struct vz_json_patterns excludes = fetch->excludes;
    if (fetch->exclude_vectors)
        excludes = vz_fetch_without_vectors(fetch, eval);
    vz_json_key(w, "_source");
    if (fetch->includes.count == 0 && excludes.count == 0) {
        vz_json_put_value(w, object);
        return VZ_OK;
    }
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, kept;
    vz_json_filter_source(wrapped, fetch->includes, excludes, &text);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK && at_path(root, scope->path, &kept))
        vz_json_put_value(w, kept);
    else
        vz_json_put_raw(w, VZ_SLICE("{}"));
    if (doc)
        vz_json_free(doc);
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status put_fields(struct vz_eval *eval, const struct vz_inner *inner, uint32_t docno,
                                 struct vz_json wrapped, struct vz_json_writer *w,
                                 struct vz_error *err)
{
    if (inner->fetch->fields.count == 0)
        return VZ_OK;
    struct vz_buf text = {0};
    struct vz_json_writer fields = vz_json_writer_on(&text);
    vz_json_begin_object(&fields);
    enum vz_status status = vz_fields_write(inner->fetch, eval, docno, wrapped, &fields, err);
    vz_json_end_object(&fields);
    if (status == VZ_OK && text.len > 2) {
        vz_json_key(w, "fields");
        vz_json_put_raw(w, vz_buf_slice(&text));
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status put_highlight(struct gather *gather, uint32_t docno,
                                    const struct vz_search_hit *hit, struct vz_json wrapped,
                                    struct vz_json_writer *w)
{
    const struct vz_inner *inner = gather->inner;
    struct vz_highlighter *highlighter = NULL;
    struct vz_slice shown = {0};
    if (!inner->fetch->highlight)
        return VZ_OK;
    enum vz_status status = vz_highlighter_open(gather->eval, inner->fetch->highlight, inner->query,
                                                true, false, &highlighter, gather->err);
    if (status == VZ_OK)
        status =
            vz_highlighter_write(highlighter, docno, hit->id, wrapped, &shown, gather->err);
    if (status == VZ_OK && shown.len) {
        vz_json_key(w, "highlight");
        vz_json_put_raw(w, shown);
    }
    vz_highlighter_close(highlighter);
    return status;
}

static enum vz_status put_object(struct gather *gather, const struct object *object, uint32_t docno,
                                 const struct vz_search_hit *hit, struct vz_json source,
                                 struct vz_json_writer *w)
{
    struct pick pick = {.wanted = object->number};
    vz_json_begin_object(w);
    vz_json_field_string(w, "_index", hit->index);
    vz_json_field_string(w, "_id", hit->id);
    vz_json_key(w, "_nested");
    put_place(gather->eval, &object->place, 0, w);
    if (gather->inner->fetch->with_version) {
        vz_json_key(w, "_version");
        vz_json_put_uint(w, hit->version);
    }
    if (gather->inner->fetch->with_seq_no) {
        vz_json_key(w, "_seq_no");
        vz_json_put_uint(w, hit->seq_no);
        vz_json_field_int(w, "_primary_term", 1);
    }
    vz_json_key(w, "_score");
    vz_json_put_float(w, object->score);
    vz_nest_each(gather->eval->mapping, gather->scope, source, pick_object, &pick);
    enum vz_status status = VZ_OK;
    if (pick.found) {
        struct vz_json_doc *doc = NULL;
        struct vz_json wrapped = {0};
        struct vz_slice text = vz_nest_wrap(gather->scope, pick.object, gather->eval->arena);
        status = vz_json_parse(text, &doc, &wrapped, gather->err);
        if (status == VZ_OK)
            status = put_source(gather->eval, gather->inner, gather->scope, pick.object, wrapped, w,
                                gather->err);
        if (status == VZ_OK)
            status = put_fields(gather->eval, gather->inner, docno, wrapped, w, gather->err);
        if (status == VZ_OK)
            status = put_highlight(gather, docno, hit, wrapped, w);
        if (doc)
            vz_json_free(doc);
    }
    vz_json_end_object(w);
    return status;
}

static enum vz_status put_inner(struct gather *gather, uint32_t docno,
                                const struct vz_search_hit *hit, struct vz_json source,
                                struct vz_json_writer *w)
{
    const struct vz_search *fetch = gather->inner->fetch;
    enum vz_status status = VZ_OK;
    vz_json_key_slice(w, gather->inner->name.len ? gather->inner->name : gather->scope->path);
    vz_json_begin_object(w);
    vz_json_key(w, "hits");
    vz_json_begin_object(w);
    vz_json_key(w, "total");
    vz_json_begin_object(w);
    vz_json_key(w, "value");
    vz_json_put_uint(w, gather->count);
    vz_json_field_str(w, "relation", "eq");
    vz_json_end_object(w);
    vz_json_key(w, "max_score");
    if (gather->count && fetch->size)
        vz_json_put_float(w, gather->objects[0].score);
    else
        vz_json_put_null(w);
    vz_json_key(w, "hits");
    vz_json_begin_array(w);
    for (size_t i = fetch->from;
         i < gather->count && i < (size_t)fetch->from + fetch->size && status == VZ_OK; i++)
        status = put_object(gather, &gather->objects[i], docno, hit, source, w);
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_json_end_object(w);
    return status;
}

/* Whose objects; false when this index does not have them. */
static bool bind(struct gather *gather)
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
static enum vz_status ask(struct gather *gather, uint32_t docno)
{
    bool served = true;
    gather->docno = docno;
    if (gather->inner->knn)
        return VZ_OK;
    enum vz_status status = vz_objects_serve(gather->eval->mapping, gather->inner->query, &served,
                                             gather->err);
    if (status != VZ_OK || !served)
        return status;
    status = vz_objects_answer(gather->eval, gather->inner->query, gather->scope, &gather->answer,
                               gather->err);
    if (status == VZ_OK)
        gather->first = vz_objects_first(&gather->answer->objects, docno);
    return status;
}

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
    for (size_t i = 0; i < search->inner_count && status == VZ_OK; i++) {
        struct gather gather = {.eval = eval, .inner = search->inners[i], .err = err};
        if (!bind(&gather))
            continue;
        status = ask(&gather, docno);
        if (status != VZ_OK)
            break;
        vz_nest_each(eval->mapping, gather.scope, rows, gather_object, &gather);
        status = gather.status;
        if (status == VZ_OK)
            status = score_objects(&gather);
        if (status == VZ_OK)
            status = put_inner(&gather, docno, hit, source, &w);
        free(gather.objects);
    }
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
