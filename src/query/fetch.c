/* A hit's document: _source as asked for, and "fields".
 *
 * Vectors are the bulk of a document and live in row files; printing them back is what makes a hit
 * expensive. So when the filter leaves every vector out, the cut source is read, in which each
 * vector is `null`. The filter drops those nulls with the paths, and as no vector's path is kept,
 * none is ever shown.
 */
#include "query/highlight.h"
#include "query/retriever.h"

static bool is_vector(const struct vz_field *field)
{
    return field->type == VZ_FIELD_DENSE_VECTOR;
}

struct vz_json_patterns vz_fetch_without_vectors(const struct vz_search *search,
                                                 struct vz_eval *eval)
{
    size_t fields = vz_mapping_count(eval->mapping), count = search->excludes.count;
    struct vz_slice *items = vz_arena_alloc(eval->arena, (count + fields + 1) * sizeof(*items));
    if (count)
        memcpy(items, search->excludes.items, count * sizeof(*items));
    for (size_t i = 0; i < fields; i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        if (is_vector(field))
            items[count++] = field->path;
    }
    return (struct vz_json_patterns){items, count};
}

void vz_fetch_prepare(const struct vz_search *search, struct vz_eval *eval,
                      struct vz_fetch_plan *plan)
{
    *plan = (struct vz_fetch_plan){.includes = search->includes, .excludes = search->excludes};
    if (search->exclude_vectors)
        plan->excludes = vz_fetch_without_vectors(search, eval);
    plan->filter = search->with_source && (plan->includes.count || plan->excludes.count);
    plan->parts = VZ_DOC_META;
    if (!search->with_source && search->fields.count == 0 && !search->highlight &&
        search->stored_fields.count == 0)
        return;
    plan->parts = VZ_DOC_CUT_SOURCE;
    for (size_t i = 0; i < vz_mapping_count(eval->mapping); i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        if (!is_vector(field))
            continue;
        bool kept = search->with_source &&
                    vz_json_source_keeps(plan->includes, plan->excludes, field->path);
        if (kept || vz_fields_request(&search->fields, field))
            plan->parts = VZ_DOC_SOURCE;
    }
}

static enum vz_status write_fields(const struct vz_search *search, struct vz_fetch_plan *plan,
                                   struct vz_eval *eval, uint32_t docno, struct vz_json source, struct vz_search_hit *hit,
                                   struct vz_error *err)
{
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    vz_json_begin_object(&writer);
    enum vz_status status = vz_fields_write(search, eval, docno, source, &writer, err);
    if (status == VZ_OK && search->docvalue_fields.count)
        status = vz_meta_docvalues_write(search, eval, hit, &writer, err);
    if (status == VZ_OK)
        status = vz_stored_fields_write(search, eval, docno, source, &writer, err);
    if (status == VZ_OK && search->script_field_count)
        status = vz_script_fields_write(search, plan, eval, docno, &writer, err);
    vz_json_end_object(&writer);
    if (status == VZ_OK && buf.len > 2)
        hit->fields = vz_arena_copy(eval->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return status;
}

static enum vz_status highlight(const struct vz_search *search, struct vz_fetch_plan *plan,
                                struct vz_eval *eval, uint32_t docno, struct vz_json source,
                                struct vz_search_hit *hit, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    /* A hit of knn need not match the query. */
    if (!plan->highlighter)
        status = vz_highlighter_open(eval, search->highlight, search->query, search->knn_count == 0,
                                     true, &plan->highlighter, err);
    if (status == VZ_OK)
        status =
            vz_highlighter_write(plan->highlighter, docno, hit->id, source, &hit->highlight, err);
    return status;
}

/* Most filters name members of the document itself: then it need not be parsed. */
static bool filter_text(const struct vz_fetch_plan *plan, struct vz_eval *eval,
                        const struct vz_stored_doc *doc, struct vz_search_hit *hit)
{
    struct vz_buf buf = {0};
    if (plan->parts == VZ_DOC_META)
        return false;
    vz_buf_reserve(&buf, VZ_MIN(doc->source.len, (size_t)1024));
    bool done = vz_json_filter_source_text(doc->source, plan->includes, plan->excludes, &buf);
    if (done)
        hit->source = vz_arena_copy(eval->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return done;
}

static enum vz_status fetch_hit(const struct vz_search *search, struct vz_fetch_plan *plan,
                            struct vz_eval *eval, uint32_t docno, struct vz_search_hit *hit,
                            struct vz_error *err)
{
    struct vz_stored_doc doc = {0};
    bool whole = search->with_source && !plan->filter;
    vz_arena_reset(&plan->scratch);
    enum vz_status status = vz_snapshot_doc(eval->snap, docno, plan->parts,
                                            whole ? eval->arena : &plan->scratch, &doc, err);
    if (status != VZ_OK)
        return status;
    if (plan->parts == VZ_DOC_CUT_SOURCE && vz_mapping_filters_source(eval->mapping))
        doc.source = vz_mapping_filter_source(eval->mapping, doc.source,
                                              whole ? eval->arena : &plan->scratch);
    hit->index = vz_arena_copy(eval->arena, vz_index_name(vz_snapshot_index(eval->snap)));
    hit->id = whole ? doc.id : vz_arena_copy(eval->arena, doc.id);
    hit->version = doc.version;
    hit->seq_no = doc.seq_no;
    if (whole)
        hit->source = doc.source;
    if (search->inner_count) {
        status = vz_inner_write(search, eval, docno, hit, err);
        if (status != VZ_OK)
            return status;
    }
    bool want_fields = search->fields.count || search->docvalue_fields.count ||
                       search->stored_fields.count || search->script_field_count;
    if (!plan->filter && !want_fields && !search->highlight)
        return VZ_OK;
    if (plan->filter && !want_fields && !search->highlight && filter_text(plan, eval, &doc, hit))
        return VZ_OK;

    struct vz_json_doc *parsed = NULL;
    struct vz_json source = {0};
    if (plan->parts != VZ_DOC_META) {
        status = vz_json_parse(doc.source, &parsed, &source, err);
        if (status != VZ_OK)
            return status;
    }
    if (plan->filter) {
        struct vz_buf buf = {0};
        vz_buf_reserve(&buf,
                       VZ_MIN(doc.source.len, (size_t)1024)); /* grown once instead of often */
        vz_json_filter_source(source, plan->includes, plan->excludes, &buf);
        hit->source = vz_arena_copy(eval->arena, vz_buf_slice(&buf));
        vz_buf_deinit(&buf);
    }
    if (want_fields)
        status = write_fields(search, plan, eval, docno, source, hit, err);
    if (status == VZ_OK && search->highlight)
        status = highlight(search, plan, eval, docno, source, hit, err);
    if (parsed)
        vz_json_free(parsed);
    return status;
}

enum vz_status vz_fetch_hit(const struct vz_search *search, struct vz_fetch_plan *plan,
                            struct vz_eval *eval, uint32_t docno, struct vz_search_hit *hit,
                            struct vz_error *err)
{
    enum vz_status status = fetch_hit(search, plan, eval, docno, hit, err);
    if (status == VZ_OK && search->with_source && vz_inference_fields_wanted(search))
        status = vz_inference_fields_put(eval, docno, &plan->scratch, hit, err);
    return status;
}

enum vz_status vz_field_text(struct vz_eval *eval, uint32_t docno, struct vz_slice field,
                             struct vz_slice *out, struct vz_error *err)
{
    struct vz_field_request request = {.pattern = field};
    struct vz_search search = {.fields = {&request, 1}};
    struct vz_stored_doc doc = {0};
    struct vz_json_doc *parsed = NULL, *shown = NULL;
    struct vz_json source, fields, value;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_arena scratch = {0};
    *out = VZ_SLICE("");
    enum vz_status status =
        vz_snapshot_doc(eval->snap, docno, VZ_DOC_CUT_SOURCE, &scratch, &doc, err);
    if (status == VZ_OK)
        status = vz_json_parse(doc.source, &parsed, &source, err);
    vz_json_begin_object(&w);
    if (status == VZ_OK)
        status = vz_fields_write(&search, eval, docno, source, &w, err);
    vz_json_end_object(&w);
    if (status == VZ_OK)
        status = vz_json_parse(vz_buf_slice(&text), &shown, &fields, err);
    struct vz_json_iter of_fields = vz_json_iterate(status == VZ_OK ? fields : (struct vz_json){0});
    if (status == VZ_OK && vz_json_next(&of_fields, NULL, &value)) {
        struct vz_json_iter it = vz_json_iterate(value);
        if (vz_json_next(&it, NULL, &value))
            *out = vz_arena_copy(eval->arena, vz_query_scalar_text(value, &scratch));
    }
    vz_json_free(shown);
    vz_json_free(parsed);
    vz_buf_deinit(&text);
    vz_arena_deinit(&scratch);
    return status;
}
