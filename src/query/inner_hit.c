/* inner_hits as JSON: what is shown of each object that matched. */
#include "base/text.h"
#include "query/highlight.h"
#include "query/inner.h"

#include <stdlib.h>

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

static bool at_path(struct vz_json root, struct vz_slice path, struct vz_json *out)
{
    struct vz_slice key;
    *out = root;
    while (path.len) {
        struct vz_slice part = vz_slice_cut(&path, '.');
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

/* "fields": as they are asked of the object, and of the document it is in the objects' index. */
static enum vz_status put_fields(struct vz_inner_gather *gather,
                                 const struct vz_inner_object *object, struct vz_json wrapped,
                                 struct vz_json_writer *w)
{
    const struct vz_search *fetch = gather->inner->fetch;
    struct vz_search plain = {.fields = fetch->fields};
    struct vz_search columns = {.docvalue_fields = fetch->docvalue_fields,
                                .stored_fields = fetch->stored_fields};
    struct vz_buf text = {0};
    struct vz_json_writer fields = vz_json_writer_on(&text);
    enum vz_status status = VZ_OK;
    vz_json_begin_object(&fields);
    if (plain.fields.count)
        status = vz_fields_write(&plain, gather->eval, gather->docno, wrapped, &fields,
                                 gather->err);
    if (status == VZ_OK && columns.docvalue_fields.count)
        status = vz_fields_write(&columns, &gather->answer->eval, gather->first + object->number,
                                 wrapped, &fields, gather->err);
    if (status == VZ_OK && columns.docvalue_fields.count)
        status = vz_meta_docvalues_write(&columns, gather->eval, gather->hit, &fields, gather->err);
    if (status == VZ_OK && columns.stored_fields.count)
        status = vz_stored_fields_write(&columns, &gather->answer->eval,
                                        gather->first + object->number, wrapped, &fields,
                                        gather->err);
    if (status == VZ_OK && fetch->script_field_count)
        status = vz_script_fields_write(fetch, &gather->answer->view->plan, &gather->answer->eval,
                                        gather->first + object->number, &fields, gather->err);
    vz_json_end_object(&fields);
    if (status == VZ_OK && text.len > 2) {
        vz_json_key(w, "fields");
        vz_json_put_raw(w, vz_buf_slice(&text));
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status put_highlight(struct vz_inner_gather *gather, struct vz_json wrapped,
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
        status = vz_highlighter_write(highlighter, gather->docno, gather->hit->id, wrapped, &shown,
                                      gather->err);
    if (status == VZ_OK)
        vz_json_field_raw(w, "highlight", shown);
    vz_highlighter_close(highlighter);
    return status;
}

static void put_sort(struct vz_inner_gather *gather, const struct vz_inner_object *object,
                     struct vz_json_writer *w)
{
    const struct vz_search *fetch = gather->inner->fetch;
    if (!fetch->sort_count)
        return;
    vz_json_key(w, "sort");
    vz_json_begin_array(w);
    for (size_t i = 0; i < fetch->sort_count; i++)
        vz_sort_print(&fetch->sort[i], gather->answer->view->readers[i].field, &object->values[i],
                      w);
    vz_json_end_array(w);
}

/* {"value":0.9,"description":"found vector with calculated similarity: 0.9","details":[]} */
static void explain_vector(const struct vz_inner_gather *gather,
                           const struct vz_inner_object *object, struct vz_json_writer *w)
{
    char number[32];
    float boost = gather->inner->knn->boost;
    struct vz_buf text = {0};
    vz_buf_printf(&text, "found vector with calculated similarity: %s",
                  vz_query_number(boost != 0 ? (double)(object->score / boost) : 0, number));
    vz_json_key(w, "_explanation");
    vz_json_begin_object(w);
    vz_json_key(w, "value");
    vz_score_put(w, object->score);
    vz_json_field_string(w, "description", vz_buf_slice(&text));
    vz_json_key(w, "details");
    vz_json_put_raw(w, VZ_SLICE("[]"));
    vz_json_end_object(w);
    vz_buf_deinit(&text);
}

/* "matched_queries" and "_explanation", as of the document that the object is. */
static enum vz_status put_why(struct vz_inner_gather *gather, const struct vz_inner_object *object,
                              struct vz_json_writer *w)
{
    const struct vz_inner *inner = gather->inner;
    struct vz_search search = {.query = (struct vz_node *)(uintptr_t)inner->query};
    uint32_t docno = gather->first + object->number;
    struct vz_slice names = {0}, why = {0};
    bool matched;
    enum vz_status status = VZ_OK;
    if (inner->knn && inner->fetch->with_explain)
        explain_vector(gather, object, w);
    if (inner->knn || !(inner->fetch->with_explain || vz_search_has_names(&search)))
        return VZ_OK;
    if (!gather->asked)
        return vz_fail(gather->err, VZ_UNSUPPORTED,
                       "[inner_hits] [%s] of the presence of a vector is not supported yet by "
                       "vizsla",
                       inner->fetch->with_explain ? "explain" : "matched_queries");
    struct vz_sampler *sampler = gather->answer->view->sampler;
    if (!sampler) {
        sampler = vz_arena_zalloc(gather->eval->arena, sizeof *sampler);
        *sampler = (struct vz_sampler){
            .eval = &gather->answer->eval, .docnos = &docno, .count = 1};
    }
    status = vz_matched_queries(sampler, &search, inner->fetch->named_scores, docno, &names,
                                gather->err);
    if (status == VZ_OK && inner->fetch->with_explain)
        status = vz_explain_search(sampler, &search, docno, &matched, &why, gather->err);
    vz_json_field_raw(w, "matched_queries", names);
    vz_json_field_raw(w, "_explanation", why);
    return status;
}

static enum vz_status put_children(struct vz_inner_gather *gather,
                                   const struct vz_inner_object *object, struct vz_json_writer *w)
{
    const struct vz_inner *inner = gather->inner;
    enum vz_status status = VZ_OK;
    if (!inner->child_count)
        return VZ_OK;
    vz_json_key(w, "inner_hits");
    vz_json_begin_object(w);
    for (size_t i = 0; i < inner->child_count && status == VZ_OK; i++)
        status = vz_inner_put(gather->eval, inner->children[i], gather->docno, gather->hit,
                              gather->rows, gather->source, &object->place, w, gather->err);
    vz_json_end_object(w);
    return status;
}

static enum vz_status put_document(struct vz_inner_gather *gather,
                                   const struct vz_inner_object *object, struct vz_json_writer *w)
{
    struct pick pick = {.wanted = object->number};
    struct vz_json_doc *doc = NULL;
    struct vz_json wrapped = {0};
    vz_nest_each(gather->eval->mapping, gather->scope, gather->source, pick_object, &pick);
    if (!pick.found)
        return VZ_OK;
    struct vz_slice text = vz_nest_wrap(gather->scope, pick.object, gather->eval->arena);
    enum vz_status status = vz_json_parse(text, &doc, &wrapped, gather->err);
    if (status == VZ_OK)
        status = put_source(gather->eval, gather->inner, gather->scope, pick.object, wrapped, w,
                            gather->err);
    if (status == VZ_OK)
        status = put_fields(gather, object, wrapped, w);
    if (status == VZ_OK)
        status = put_highlight(gather, wrapped, w);
    if (doc)
        vz_json_free(doc);
    return status;
}

static enum vz_status put_object(struct vz_inner_gather *gather,
                                 const struct vz_inner_object *object, struct vz_json_writer *w)
{
    const struct vz_search *fetch = gather->inner->fetch;
    const struct vz_search_hit *hit = gather->hit;
    vz_json_begin_object(w);
    vz_json_field_string(w, "_index", hit->index);
    if (!fetch->stored_none)
        vz_json_field_string(w, "_id", hit->id);
    vz_json_key(w, "_nested");
    put_place(gather->eval, &object->place, 0, w);
    vz_hit_put_versions(w, hit, fetch->with_version, fetch->with_seq_no);
    /* Without a sort, whatever track_scores says, as in Elasticsearch. */
    vz_hit_put_score(w, "_score", !fetch->sort_count, object->score);
    enum vz_status status = put_document(gather, object, w);
    if (status == VZ_OK)
        put_sort(gather, object, w);
    if (status == VZ_OK)
        status = put_why(gather, object, w);
    if (status == VZ_OK)
        status = put_children(gather, object, w);
    vz_json_end_object(w);
    return status;
}

static enum vz_status put_hits(struct vz_inner_gather *gather, struct vz_json_writer *w)
{
    const struct vz_search *fetch = gather->inner->fetch;
    enum vz_status status = VZ_OK;
    bool has_score = gather->count && fetch->size && (!fetch->sort_count || fetch->track_scores);
    float best = 0;
    for (size_t i = 0; i < gather->count; i++)
        best = i ? VZ_MAX(best, gather->objects[i].score) : gather->objects[i].score;
    vz_json_key_slice(w, gather->inner->name.len ? gather->inner->name : gather->scope->path);
    vz_json_begin_object(w);
    vz_json_key(w, "hits");
    vz_hits_begin(w, gather->count, has_score, best);
    for (size_t i = fetch->from;
         i < gather->count && i < (size_t)fetch->from + fetch->size && status == VZ_OK; i++)
        status = put_object(gather, &gather->objects[i], w);
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_json_end_object(w);
    return status;
}

enum vz_status vz_inner_put(struct vz_eval *eval, const struct vz_inner *inner, uint32_t docno,
                            const struct vz_search_hit *hit, struct vz_json rows,
                            struct vz_json source, const struct vz_nest_place *within,
                            struct vz_json_writer *w, struct vz_error *err)
{
    struct vz_inner_gather gather = {.eval = eval,
                                     .inner = inner,
                                     .within = within,
                                     .docno = docno,
                                     .hit = hit,
                                     .rows = rows,
                                     .source = source,
                                     .err = err};
    bool none;
    enum vz_status status = vz_inner_gather(&gather, &none);
    if (status == VZ_OK && !none)
        status = put_hits(&gather, w);
    free(gather.objects);
    return status;
}
