/* _termvectors, _mtermvectors: the terms of one document, or of one that is given. The URL of
 * _termvectors goes over its body, that of _mtermvectors is what its documents start from. */
#include "rest/parts.h"

#include <stdlib.h>

#define MAX_DOCS 1000
#define MAX_NAMES 1000
#define MAX_MS 60000 /* all documents of a request: statistics of keywords look at whole columns */

struct asked {
    struct vz_slice index, id;
    struct vz_slice doc; /* JSON; ptr NULL: none */
    bool has_id;         /* even when it is empty */
    bool realtime;
    bool is_external_gte;
    int64_t version; /* INT64_MIN: any */
    struct vz_term_vectors how;
};

static bool bad(struct vz_call *call, const char *what)
{
    return vz_call_fail(call, 400, "parse_exception", "failed to parse term vectors request. %s",
                        what);
}

/* Flags, too, as they are written. */
static bool read_text(struct vz_call *call, struct vz_json value, struct vz_slice *out)
{
    bool flag;
    if (vz_json_type(value) != VZ_JSON_BOOL)
        return vz_call_scalar(call, value, out);
    vz_json_as_bool(value, &flag);
    *out = vz_slice_from(flag ? "true" : "false");
    return true;
}

static bool read_fields(struct vz_call *call, struct vz_json value, struct asked *asked)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return bad(call, "field [fields] must be an array");
    if (vz_json_count(value) > MAX_NAMES)
        return bad(call, "too many [fields]");
    struct vz_slice *fields =
        vz_arena_alloc(call->arena, (vz_json_count(value) + 1) * sizeof *fields);
    size_t count = 0;
    while (vz_json_next(&it, NULL, &one))
        if (!read_text(call, one, &fields[count++]))
            return bad(call, "field [fields] must be an array of strings");
    if (count == 0)
        return true;
    asked->how.fields = fields;
    asked->how.field_count = count;
    return true;
}

static bool read_analyzers(struct vz_call *call, struct vz_json value, struct asked *asked)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json name;
    struct vz_slice key;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad(call, "field [per_field_analyzer] must be an object");
    if (vz_json_count(value) > MAX_NAMES)
        return bad(call, "too many fields in [per_field_analyzer]");
    struct vz_field_analyzer *list =
        vz_arena_alloc(call->arena, (vz_json_count(value) + 1) * sizeof *list);
    asked->how.analyzer_count = 0;
    while (vz_json_next(&it, &key, &name)) {
        if (vz_json_type(name) != VZ_JSON_STRING)
            return vz_call_fail(call, 400, "parse_exception",
                                "expecting the analyzer at [%.*s] to be a String, but found [%s] "
                                "instead",
                                VZ_S(key), vz_json_type_name(name));
        list[asked->how.analyzer_count++] = (struct vz_field_analyzer){key, vz_json_string(name)};
    }
    asked->how.analyzers = list;
    return true;
}

static const struct vz_term_filter no_filter = {
    .max_num_terms = 25, .max_term_freq = INT32_MAX, .max_doc_freq = INT32_MAX};

static bool read_filter(struct vz_call *call, struct vz_json value, struct asked *asked)
{
    struct vz_term_filter *filter = &asked->how.filter;
    const struct {
        const char *name;
        int64_t *to;
    } known[] = {
        {"max_num_terms", &filter->max_num_terms},    {"min_term_freq", &filter->min_term_freq},
        {"max_term_freq", &filter->max_term_freq},    {"min_doc_freq", &filter->min_doc_freq},
        {"max_doc_freq", &filter->max_doc_freq},      {"min_word_length", &filter->min_word_length},
        {"max_word_length", &filter->max_word_length}};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json number;
    struct vz_slice key;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad(call, "field [filter] must be an object");
    asked->how.filtered = true;
    asked->how.filter = no_filter;
    while (vz_json_next(&it, &key, &number)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(known) && !vz_slice_is(key, known[i].name))
            i++;
        if (i == VZ_COUNT_OF(known))
            return vz_call_fail(call, 400, "parse_exception",
                                "failed to parse term vectors request. the field [%.*s] is not "
                                "valid for filter parameter for term vector request",
                                VZ_S(key));
        if (!vz_json_as_int(number, known[i].to) || *known[i].to > INT32_MAX ||
            *known[i].to < INT32_MIN)
            return bad(call, "numbers of [filter] must be integers");
    }
    if (filter->max_num_terms < 0)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "maxSize must be >= 0 and < 2147483630; got: %lld",
                            (long long)filter->max_num_terms);
    return true;
}

static bool read_doc(struct vz_call *call, struct vz_json value, struct asked *asked)
{
    struct vz_buf text = {0};
    if (asked->has_id)
        return bad(call, "either [id] or [doc] can be specified, but not both!");
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad(call, "field [doc] must be an object");
    vz_json_print(value, &text);
    asked->doc = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return true;
}

static bool *flag_of(struct asked *asked, struct vz_slice key)
{
    const struct {
        const char *name;
        bool *flag;
    } known[] = {{"offsets", &asked->how.offsets},
                 {"positions", &asked->how.positions},
                 {"payloads", &asked->how.payloads},
                 {"term_statistics", &asked->how.term_statistics},
                 {"termStatistics", &asked->how.term_statistics},
                 {"field_statistics", &asked->how.field_statistics},
                 {"fieldStatistics", &asked->how.field_statistics}};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(key, known[i].name))
            return known[i].flag;
    return NULL;
}

static bool set_version_type(struct vz_call *call, struct vz_slice type, struct asked *asked)
{
    static const char *const known[] = {"internal", "external", "external_gt", "external_gte"};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(type, known[i])) {
            asked->is_external_gte = i == 3;
            return true;
        }
    return vz_call_fail(call, 400, "illegal_argument_exception", "No version type match [%.*s]",
                        VZ_S(type));
}

static bool read_place(struct vz_call *call, struct vz_slice key, struct vz_json value,
                       struct asked *asked)
{
    struct vz_slice text;
    if (!read_text(call, value, &text))
        return vz_call_fail(call, 400, "parse_exception",
                            "failed to parse term vectors request. field [%.*s] must be a string",
                            VZ_S(key));
    if (vz_slice_is(key, "_index")) {
        asked->index = text;
    } else if (vz_slice_is(key, "version_type")) {
        return set_version_type(call, text, asked);
    } else if (vz_slice_is(key, "_id")) {
        if (asked->doc.ptr)
            return bad(call, "either [id] or [doc] can be specified, but not both!");
        asked->id = text;
        asked->has_id = true;
    }
    return true; /* one shard: any routing leads there */
}

static bool read_member(struct vz_call *call, struct vz_slice key, struct vz_json value,
                        struct asked *asked)
{
    bool *flag = flag_of(asked, key);
    if (flag)
        return vz_json_as_bool(value, flag) ||
               vz_call_fail(call, 400, "parse_exception",
                            "failed to parse term vectors request. field [%.*s] must be true or "
                            "false",
                            VZ_S(key));
    if (vz_slice_is(key, "fields"))
        return read_fields(call, value, asked);
    if (vz_slice_is(key, "per_field_analyzer") || vz_slice_is(key, "perFieldAnalyzer"))
        return read_analyzers(call, value, asked);
    if (vz_slice_is(key, "filter"))
        return read_filter(call, value, asked);
    if (vz_slice_is(key, "doc"))
        return read_doc(call, value, asked);
    if (vz_slice_is(key, "version"))
        return vz_json_as_int(value, &asked->version) || bad(call, "[version] must be an integer");
    if (vz_slice_is(key, "dfs"))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "distributed frequencies is not supported anymore for term vectors");
    if (vz_slice_is(key, "_index") || vz_slice_is(key, "_id") || vz_slice_is(key, "routing") ||
        vz_slice_is(key, "version_type"))
        return read_place(call, key, value, asked);
    return vz_call_fail(call, 400, "parse_exception",
                        "failed to parse term vectors request. unknown field [%.*s]", VZ_S(key));
}

static bool read_body(struct vz_call *call, struct vz_json body, struct asked *asked)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (!read_member(call, key, value, asked))
            return false;
    return true;
}

/* Fields of the URL are added to those there are. */
static void add_fields(struct vz_call *call, struct asked *asked)
{
    struct vz_slice *given;
    size_t count = vz_split(call->arena, vz_call_text(call, "fields"), &given);
    size_t before = asked->how.field_count;
    if (count == 0)
        return;
    struct vz_slice *fields = vz_arena_alloc(call->arena, (before + count) * sizeof *fields);
    for (size_t i = 0; i < before + count; i++)
        fields[i] = i < before ? asked->how.fields[i] : given[i - before];
    asked->how.fields = fields;
    asked->how.field_count = VZ_MIN(before + count, (size_t)MAX_NAMES);
}

static bool read_url(struct vz_call *call, struct asked *asked)
{
    struct vz_term_vectors *how = &asked->how;
    struct vz_slice type;
    how->positions = vz_call_bool(call, "positions", how->positions);
    how->offsets = vz_call_bool(call, "offsets", how->offsets);
    how->payloads = vz_call_bool(call, "payloads", how->payloads);
    how->field_statistics = vz_call_bool(call, "field_statistics", how->field_statistics);
    how->term_statistics = vz_call_bool(call, "term_statistics", how->term_statistics);
    asked->realtime = vz_call_bool(call, "realtime", asked->realtime);
    asked->version = vz_call_int(call, "version", asked->version);
    add_fields(call, asked);
    return !vz_call_param(call, "version_type", &type) || set_version_type(call, type, asked);
}

static struct asked asked_first(struct vz_call *call)
{
    return (struct asked){.index = call->args[0],
                          .realtime = true,
                          .version = INT64_MIN,
                          .how = {.positions = true,
                                  .offsets = true,
                                  .payloads = true,
                                  .field_statistics = true,
                                  .filter = no_filter}};
}

/* What Elasticsearch says of a request that names no document; `at`: of several, or -1. */
static bool check(struct vz_call *call, const struct asked *asked, int at)
{
    struct vz_buf text = {0};
    unsigned problems = 0;
    if (!asked->index.len)
        vz_buf_printf(&text, " %u: index is missing;", ++problems);
    if (!asked->has_id && !asked->doc.ptr)
        vz_buf_printf(&text, "%s%u: id or doc is missing;", problems ? "" : " ", problems + 1);
    bool ok = text.len == 0;
    if (!ok && at >= 0)
        vz_buf_printf(&text, "%u: at multi term vectors for doc %d;",
                      problems + 1 + (!asked->has_id && !asked->doc.ptr), at);
    if (!ok)
        vz_call_fail(call, 400, "action_request_validation_exception", "Validation Failed:%.*s",
                     VZ_S(vz_buf_slice(&text)));
    vz_buf_deinit(&text);
    return ok;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* The document as it is now; what is written and not yet seen by searches is made seen, so that
 * the statistics are of an index that holds it. */
static enum vz_status get_doc(struct vz_index *index, const struct asked *asked,
                              struct vz_arena *arena, struct vz_stored_doc *doc,
                              struct vz_error *err)
{
    struct vz_stored_doc seen;
    uint32_t docno;
    struct vz_snapshot *snap = vz_index_snapshot(index);
    enum vz_status status = vz_snapshot_find(snap, asked->id, &docno, err);
    if (status == VZ_OK)
        status = vz_snapshot_doc(snap, docno, asked->realtime ? VZ_DOC_META : VZ_DOC_CUT_SOURCE,
                                 arena, &seen, err);
    vz_snapshot_release(snap);
    if (!asked->realtime) {
        *doc = seen;
        return status;
    }
    if (status != VZ_OK && status != VZ_NOT_FOUND)
        return status;
    bool found = status == VZ_OK;
    status = vz_index_get(index, asked->id, VZ_DOC_CUT_SOURCE, arena, doc, err);
    if (status == VZ_OK && (!found || seen.seq_no != doc->seq_no))
        status = vz_index_refresh(index, err);
    return status;
}

static enum vz_status check_version(const struct asked *asked, const struct vz_stored_doc *doc,
                                    struct vz_error *err)
{
    int64_t version = asked->version;
    if (version == INT64_MIN || version == -3 || doc->version == (uint64_t)version ||
        (asked->is_external_gte && doc->version < (uint64_t)version))
        return VZ_OK;
    return vz_fail(err, VZ_CONFLICT,
                   "[%.*s]: version conflict, current version [%llu] is different than the one "
                   "provided [%lld]",
                   VZ_S(asked->id), (unsigned long long)doc->version, (long long)version);
}

static void limit(const struct vz_call *call, const struct vz_query_stop *stop,
                  struct asked *asked)
{
    asked->how.stop = stop;
    asked->how.deadline_ns = call->start_ns + MAX_MS * UINT64_C(1000000);
}

/* One answer; a problem is left in *problem, and nothing was written then. */
static void answer(struct vz_call *call, const struct asked *asked, struct vz_arena *arena,
                   struct vz_problem *problem)
{
    struct vz_index *index = vz_resolve_one(call->store, arena, asked->index, problem);
    struct vz_stored_doc doc = {.source = asked->doc};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    enum vz_status status = VZ_OK;
    bool artificial = asked->doc.ptr != NULL;
    if (!index)
        return;
    if (!artificial)
        status = get_doc(index, asked, arena, &doc, &err);
    bool found = status == VZ_OK;
    if (found && !artificial)
        status = check_version(asked, &doc, &err);
    vz_json_begin_object(&w);
    vz_json_field_string(&w, "_index", vz_index_name(index));
    if (!artificial)
        vz_json_field_string(&w, "_id", asked->id);
    vz_json_field_int(&w, "_version", found ? (int64_t)doc.version : 0);
    vz_json_field_bool(&w, "found", found);
    vz_json_field_int(&w, "took", vz_call_took_ms(call));
    if (found && status == VZ_OK)
        status = vz_term_vectors_print(index, doc.source, artificial, &asked->how, arena, &w, &err);
    vz_json_end_object(&w);
    if (status != VZ_OK && status != VZ_NOT_FOUND)
        vz_problem_from(call->arena, &err, VZ_AT_DOCUMENT, doc.source, vz_index_name(index),
                        vz_index_uuid(index), problem);
    else
        vz_json_put_raw(&call->w, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    vz_index_release(index);
}

void vz_rest_termvectors(struct vz_call *call)
{
    struct asked asked = asked_first(call);
    struct vz_json body;
    asked.id = call->args[1];
    asked.has_id = asked.id.len > 0;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body) || !read_body(call, body, &asked) ||
        !read_url(call, &asked) || !check(call, &asked, -1))
        return;
    struct vz_search_params params = {0};
    vz_call_watch(call, true, &params);
    limit(call, params.stop, &asked);
    answer(call, &asked, call->arena, &call->problem);
}

/* ---- several --------------------------------------------------------------------------------- */

struct many {
    struct asked first; /* what each starts from: the URL, then `parameters` */
    struct asked *items;
    size_t count;
    struct vz_slice *ids; /* asked for when all is read, each once */
    size_t id_count;
};

static bool add_id(struct vz_call *call, struct many *many, struct vz_slice id)
{
    for (size_t i = 0; i < many->id_count; i++)
        if (vz_slice_eq(many->ids[i], id))
            return true;
    if (many->id_count == MAX_DOCS)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "more than [%d] documents in one [_mtermvectors]", MAX_DOCS);
    many->ids[many->id_count++] = id;
    return true;
}

static bool add_item(struct vz_call *call, struct many *many, const struct asked *item)
{
    if (many->count == MAX_DOCS)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "more than [%d] documents in one [_mtermvectors]", MAX_DOCS);
    many->items[many->count++] = *item;
    return true;
}

static bool read_list(struct vz_call *call, struct vz_slice key, struct vz_json list,
                      struct many *many)
{
    bool docs = vz_slice_is(key, "docs");
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json one;
    struct vz_slice id;
    if (!docs && !vz_slice_is(key, "ids"))
        return vz_call_fail(call, 400, "parse_exception",
                            "no parameter named [%.*s] and type ARRAY", VZ_S(key));
    while (vz_json_next(&it, NULL, &one)) {
        if (!docs) {
            if (!read_text(call, one, &id))
                return vz_call_fail(call, 400, "illegal_argument_exception",
                                    "ids array element should only contain ids");
            if (!add_id(call, many, id))
                return false;
            continue;
        }
        struct asked item = many->first;
        if (vz_json_type(one) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "docs array element should include an object");
        if (!read_body(call, one, &item) || !add_item(call, many, &item))
            return false;
    }
    return true;
}

static bool read_many(struct vz_call *call, struct vz_json body, struct many *many)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key, *ids;
    struct vz_json value;
    size_t count = vz_split(call->arena, vz_call_text(call, "ids"), &ids);
    for (size_t i = 0; i < count; i++)
        if (!add_id(call, many, ids[i]))
            return false;
    while (vz_json_next(&it, &key, &value)) {
        enum vz_json_type type = vz_json_type(value);
        bool ok = type == VZ_JSON_ARRAY ? read_list(call, key, value, many)
                  : type != VZ_JSON_OBJECT
                      ? vz_call_fail(call, 400, "parse_exception",
                                     "_mtermvectors: Parameter [%.*s] not supported", VZ_S(key))
                  : vz_slice_is(key, "parameters")
                      ? read_body(call, value, &many->first)
                      : vz_call_fail(call, 400, "parse_exception",
                                     "no parameter named [%.*s] and type OBJECT", VZ_S(key));
        if (!ok)
            return false;
    }
    for (size_t i = 0; i < many->id_count; i++) {
        struct asked item = many->first;
        item.id = many->ids[i];
        item.has_id = true;
        if (!add_item(call, many, &item))
            return false;
    }
    return true;
}

static void print_one(struct vz_call *call, const struct asked *asked, struct vz_arena *arena)
{
    struct vz_problem problem = {0};
    struct vz_json_writer *w = &call->w;
    answer(call, asked, arena, &problem);
    if (!problem.status)
        return;
    vz_json_begin_object(w);
    vz_json_field_string(w, "_index", asked->index);
    if (asked->has_id)
        vz_json_field_string(w, "_id", asked->id);
    vz_json_key(w, "error");
    vz_problem_print_full(&problem, false, w);
    vz_json_end_object(w);
}

static bool is_wanted(struct vz_call *call, const struct vz_query_stop *stop)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (!stop->stopped(stop->context))
        return true;
    vz_fail(&err, VZ_CANCELLED, "the term vectors are not wanted any more");
    return vz_call_fail_error(call, &err, VZ_AT_REQUEST);
}

void vz_rest_mtermvectors(struct vz_call *call)
{
    struct many many = {
        .first = asked_first(call),
        .items = vz_arena_alloc(call->arena, MAX_DOCS * sizeof *many.items),
        .ids = vz_arena_alloc(call->arena, MAX_DOCS * sizeof *many.ids),
    };
    struct vz_json body;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body) || !read_url(call, &many.first) ||
        !read_many(call, body, &many))
        return;
    if (many.count == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: multi term vectors: no documents requested;");
        return;
    }
    for (size_t i = many.count; i-- > 0;)
        if (!check(call, &many.items[i], (int)i))
            return;
    struct vz_search_params params = {0};
    vz_call_watch(call, true, &params);
    struct vz_arena arena = {0}; /* of one document at a time */
    bool fits = true;
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "docs");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < many.count && fits; i++) {
        limit(call, params.stop, &many.items[i]);
        print_one(call, &many.items[i], &arena);
        vz_arena_reset(&arena);
        fits = vz_call_fits(call, call->response->body.len) && is_wanted(call, params.stop);
    }
    vz_arena_deinit(&arena);
    if (!fits)
        return;
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}
