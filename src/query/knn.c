/* knn clauses: reading them, and the nearest documents of one snapshot.
 *
 * The clause's filters and the alias's are applied before the walk, so k documents come back when k
 * match. Without filters nothing here costs more than the walk itself: no bitset is made.
 */
#include "query/dsl.h"
#include "query/nested.h"

#include "base/clock.h"
#include "store/elements.h"

#include <math.h>

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status parse_vector(struct vz_parser *parser, struct vz_json value,
                                   struct vz_knn_clause *clause, struct vz_error *err)
{
    if (vz_json_type(value) == VZ_JSON_STRING) {
        clause->encoded = vz_json_string(value);
        return clause->encoded.len ? VZ_OK
                                   : vz_fail(err, VZ_BAD_QUERY,
                                             "[knn] failed to parse field [query_vector]: "
                                             "[query_vector] must be a valid base64 or hex string");
    }
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[knn] failed to parse field [query_vector]: expected an "
                       "array of numbers but got %s",
                       vz_query_token(value));
    size_t max = vz_json_count(value);
    float *vector = vz_arena_alloc(parser->arena, max * sizeof(*vector) + 1);
    struct vz_error inner = {0};
    if (vz_json_floats(value, vector, max, &clause->dims, &inner) != VZ_OK)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] failed to parse field [query_vector]: %s",
                       inner.text);
    clause->vector = vector;
    return VZ_OK;
}

/* 0 turns oversampling off that the mapping asks for. */
static enum vz_status parse_rescore(struct vz_json value, struct vz_knn_clause *clause,
                                    struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] rescore_vector doesn't support values of type: %s",
                       vz_query_token(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        double oversample;
        if (!vz_slice_is(key, "oversample"))
            return vz_fail(err, VZ_BAD_QUERY, "[rescore_vector] unknown field [%.*s]", VZ_ARG(key));
        if (!vz_json_as_double(member, &oversample))
            return vz_fail(err, VZ_BAD_QUERY,
                           "[rescore_vector] failed to parse field [oversample]");
        if (!(oversample >= 1) && oversample != 0)
            return vz_fail(err, VZ_BAD_QUERY, "[oversample] must be >= 1.0");
        clause->has_oversample = true;
        clause->oversample = (float)oversample;
    }
    if (!clause->has_oversample)
        return vz_fail(err, VZ_BAD_QUERY, "Required [oversample]");
    return VZ_OK;
}

/* {"text_embedding": {...}}: one member, whose name is the kind. */
static enum vz_status parse_builder(struct vz_json value, struct vz_knn_clause *clause,
                                    struct vz_error *err)
{
    if (vz_json_type(value) == VZ_JSON_NULL)
        return VZ_OK;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[knn] query_vector_builder doesn't support values of type: %s",
                       vz_query_token(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice extra;
    struct vz_json member;
    if (!vz_json_next(&it, &clause->builder_kind, &clause->builder) ||
        vz_json_next(&it, &extra, &member) || clause->builder_kind.len == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[query_vector_builder] must be an object with one field, the kind of the "
                       "builder");
    return VZ_OK;
}

/* A search knows its clauses with builders wherever they stand in its query. */
static void note_built(struct vz_parser *parser, struct vz_knn_clause *clause)
{
    if (parser->built_count == parser->built_capacity) {
        parser->built_capacity = VZ_MAX(parser->built_capacity * 2, (size_t)4);
        struct vz_knn_clause **grown =
            vz_arena_alloc(parser->arena, parser->built_capacity * sizeof(*grown));
        if (parser->built_count)
            memcpy(grown, parser->built, parser->built_count * sizeof(*grown));
        parser->built = grown;
    }
    parser->built[parser->built_count++] = clause;
}

struct knn_counts {
    bool has_k, has_candidates;
    int64_t k, candidates;
};

static enum vz_status parse_count(const char *name, struct vz_json value, bool *has, int64_t *out,
                                  struct vz_error *err)
{
    if (!vz_json_as_int(value, out))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[knn] failed to parse field [%s]: expected an integer "
                       "but got %s",
                       name, vz_query_token(value));
    *has = true;
    return VZ_OK;
}

static enum vz_status parse_member(struct vz_parser *parser, struct vz_slice key,
                                   struct vz_json value, struct vz_knn_clause *clause,
                                   struct knn_counts *counts, struct vz_error *err)
{
    bool handled;
    enum vz_status status = vz_dsl_common("knn", key, value, &clause->boost, &handled, err);
    if (status != VZ_OK || handled)
        return status;
    if (vz_slice_is(key, "field")) {
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[knn] field doesn't support values of type: %s",
                           vz_query_token(value));
        clause->field = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "query_vector"))
        return vz_json_type(value) == VZ_JSON_NULL ? VZ_OK
                                                   : parse_vector(parser, value, clause, err);
    if (vz_slice_is(key, "k"))
        return parse_count("k", value, &counts->has_k, &counts->k, err);
    if (vz_slice_is(key, "num_candidates"))
        return parse_count("num_candidates", value, &counts->has_candidates, &counts->candidates,
                           err);
    if (vz_slice_is(key, "filter")) {
        if (vz_json_type(value) != VZ_JSON_OBJECT && vz_json_type(value) != VZ_JSON_ARRAY)
            return vz_fail(err, VZ_BAD_QUERY, "[knn] filter doesn't support values of type: %s",
                           vz_query_token(value));
        return vz_query_parse_list(parser, value, &clause->filters, err);
    }
    if (vz_slice_is(key, "similarity")) {
        clause->has_similarity = true;
        return vz_dsl_float("knn", "similarity", value, &clause->similarity, err);
    }
    if (vz_slice_is(key, "rescore_vector"))
        return parse_rescore(value, clause, err);
    if (vz_slice_is(key, "query_vector_builder"))
        return parse_builder(value, clause, err);
    if (vz_slice_is(key, "model")) {
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[knn] model doesn't support values of type: %s",
                           vz_query_token(value));
        clause->model = clause->model_digest = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "exact"))
        return vz_dsl_bool("knn", "exact", value, &clause->exact, err);
    if (vz_slice_is(key, "inner_hits")) {
        status = vz_inner_parse(parser, value, &clause->inner, err);
        if (status != VZ_OK)
            return status;
        clause->inner->knn = clause;
        return vz_inner_add(parser, clause->inner, err);
    }
    return vz_fail(err, VZ_BAD_QUERY, "[knn] unknown field [%.*s]", VZ_ARG(key));
}

/* k and num_candidates, their defaults and limits. */
static enum vz_status settle_counts(struct vz_parser *parser, bool top,
                                    struct knn_counts *counts,
                                    struct vz_knn_clause *clause, struct vz_error *err)
{
    if (!counts->has_k) {
        counts->k = parser->size;
        if (!top && counts->has_candidates)
            counts->k = VZ_MIN(counts->k, counts->candidates);
    }
    if (!top && counts->has_candidates && counts->candidates < 1)
        return vz_fail(err, VZ_BAD_QUERY, "[num_candidates] must be greater than 0");
    if (counts->k < 1)
        return vz_fail(err, VZ_BAD_QUERY, "[k] must be greater than 0");
    if (!counts->has_candidates && counts->k <= VZ_MAX_CANDIDATES)
        counts->candidates = counts->k;
    if (counts->candidates < counts->k)
        return vz_fail(err, VZ_BAD_QUERY, "[num_candidates] cannot be less than [k]");
    if (counts->candidates > VZ_MAX_CANDIDATES)
        return vz_fail(err, VZ_BAD_QUERY, "[num_candidates] cannot exceed [%d]", VZ_MAX_CANDIDATES);
    clause->k = (uint32_t)counts->k;
    clause->num_candidates = counts->has_candidates ? (uint32_t)counts->candidates : 0;
    return VZ_OK;
}

enum vz_status vz_knn_parse(struct vz_parser *parser, struct vz_json value, enum vz_knn_place place,
                            struct vz_knn_clause **out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] expected an object but got %s",
                       vz_query_token(value));
    struct vz_knn_clause *clause = vz_arena_zalloc(parser->arena, sizeof(*clause));
    struct knn_counts counts = {0};
    clause->boost = 1;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (place == VZ_KNN_RETRIEVER &&
            (vz_slice_is(key, "min_score") || vz_slice_is(key, "_name")))
            continue;
        enum vz_status status = parse_member(parser, key, member, clause, &counts, err);
        if (status != VZ_OK)
            return status;
    }
    if (clause->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] Required [field]");
    bool given = clause->vector || clause->encoded.len;
    if (!given && clause->builder_kind.len == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "either [query_vector_builder] or [query_vector] must be provided");
    if (given && clause->builder_kind.len)
        return vz_fail(err, VZ_BAD_QUERY,
                       "cannot provide both [query_vector_builder] and [query_vector]");
    if (clause->builder_kind.len)
        note_built(parser, clause);
    bool named = vz_json_get(value, "_name", &member);
    if (named && place == VZ_KNN_TOP) {
        clause->as_node = vz_arena_zalloc(parser->arena, sizeof *clause->as_node);
        *clause->as_node = (struct vz_node){.kind = VZ_NODE_KNN, .boost = 1, .knn = clause};
        clause->as_node->name = vz_json_string(member);
    }
    *out = clause;
    return settle_counts(parser, place != VZ_KNN_QUERY, &counts, clause, err);
}

/* ---- searching ------------------------------------------------------------------------------- */

enum vz_status vz_knn_embed(const struct vz_search *search, struct vz_slice index,
                            const struct vz_mapping *mapping, struct vz_knn_clause *clause,
                            struct vz_error *err)
{
    const struct vz_field *named = vz_mapping_find(mapping, clause->field), *field = named;
    if (clause->question == VZ_QUESTION_MATCH && (!named || named->type != VZ_FIELD_SEMANTIC_TEXT))
        return VZ_OK;
    enum vz_status status = vz_semantic_resolve(mapping, clause, &field, err);
    if (status != VZ_OK)
        return status;
    if (clause->vector || clause->encoded.len || !field || field->type != VZ_FIELD_DENSE_VECTOR)
        return VZ_OK;
    if (!search->embedder)
        return vz_fail(err, VZ_UNSUPPORTED, "[query_vector_builder] is not supported here");
    struct vz_query_embedder_field of = {.index = index,
                                         .path = field->path,
                                         .dims = field->dims,
                                         .model = field->model,
                                         .model_digest = field->model_digest,
                                         .is_question = clause->question != VZ_QUESTION_NONE,
                                         .inference_id = named->search_inference_id.len
                                                             ? named->search_inference_id
                                                             : named->inference_id};
    if (named != field)
        of.path = named->path;
    if (named->search_inference_id.len)
        of.model_digest = (struct vz_slice){0}; /* that endpoint or none: not the field's model */
    struct vz_slice model = {0}, digest = {0};
    const float *vector = NULL;
    size_t dims = 0;
    status = search->embedder->embed(search->embedder->context, clause->builder_kind, clause->builder,
                                &of, search->arena, &vector, &dims, &model, &digest, err);
    if (status != VZ_OK)
        return status;
    if (!vector || dims == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[query_vector_builder] with name [%.*s] returned null query_vector",
                       VZ_ARG(clause->builder_kind));
    clause->vector = vector;
    clause->dims = dims;
    if (model.len || digest.len) { /* else what the clause says itself stays */
        clause->model = model;
        clause->model_digest = digest;
    }
    return VZ_OK;
}

/* Vectors of two models have nothing to say to each other. Whoever says nothing is believed. */
static enum vz_status check_model(const struct vz_knn_clause *clause, const struct vz_field *field,
                                  struct vz_error *err)
{
    struct vz_slice theirs = field->model.len ? field->model : field->model_digest;
    struct vz_slice ours = clause->model.len ? clause->model : clause->model_digest;
    if (theirs.len == 0 || ours.len == 0)
        return VZ_OK;
    if (field->model_digest.len && vz_slice_eq(field->model_digest, clause->model_digest))
        return VZ_OK;
    /* One weight file more or less makes another digest: then the name does not help. A clause's
     * own [model] is both, a name or a digest. */
    bool digests = field->model_digest.len && clause->model_digest.len &&
                   !vz_slice_eq(clause->model, clause->model_digest);
    if (!digests && field->model.len && vz_slice_eq(field->model, clause->model))
        return VZ_OK;
    return vz_query_fail(err, VZ_BAD_QUERY,
                         "the query vector was made by model [%.*s]%s%.*s%s but the vectors of "
                         "field [%.*s] were made by model [%.*s]%s%.*s%s",
                         VZ_ARG(ours), digests ? " (digest " : "",
                         digests ? (int)clause->model_digest.len : 0, clause->model_digest.ptr,
                         digests ? ")" : "", VZ_ARG(field->path), VZ_ARG(theirs),
                         digests ? " (digest " : "", digests ? (int)field->model_digest.len : 0,
                         field->model_digest.ptr, digests ? ")" : "");
}

static enum vz_status bad_magnitude(const char *reason, const float *v, size_t dims,
                                    struct vz_error *err)
{
    struct vz_buf shown = {0};
    vz_vector_preview(v, dims, &shown);
    vz_query_fail(err, VZ_BAD_QUERY, "%s Preview of invalid vector: %.*s", reason, (int)shown.len,
                  shown.data);
    vz_buf_deinit(&shown);
    return VZ_BAD_QUERY;
}

/* The clause's vector in the field's elements: floats as given, or bytes. */
static enum vz_status read_vector(struct vz_eval *eval, const struct vz_knn_clause *clause,
                                  const struct vz_field *field, struct vz_given_vector *out,
                                  struct vz_error *err)
{
    struct vz_error inner = {0};
    bool is_float = vz_element_is_float(field->element);
    *out = (struct vz_given_vector){.floats = clause->vector, .dims = clause->dims};
    if (clause->encoded.len) {
        if (vz_vector_of_text(field, clause->encoded, eval->arena, out, &inner) != VZ_OK)
            return vz_query_fail(err, VZ_BAD_QUERY,
                                 "failed to parse field [query_vector]: [query_vector] %s",
                                 inner.text);
    } else if (!is_float) {
        int8_t *bytes = vz_arena_alloc(eval->arena, clause->dims + 1);
        if (vz_vector_bytes(field->element, clause->vector, clause->dims, bytes, &inner) != VZ_OK)
            return vz_query_fail(err, VZ_BAD_QUERY, "%s", inner.text);
        out->bytes = bytes;
        out->dims = field->element == VZ_ELEMENT_BIT ? clause->dims * 8 : clause->dims;
    }
    if (field->dims && field->dims != out->dims)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "the query vector has a different dimension [%zu] "
                             "than the index vectors [%u]",
                             out->dims, field->dims);
    return VZ_OK;
}

static enum vz_status check_magnitude(const struct vz_field *field,
                                      const struct vz_given_vector *given, struct vz_error *err)
{
    bool is_float = vz_element_is_float(field->element);
    double squares = 0;
    float shown[6] = {0};
    if (field->similarity != VZ_COSINE && (field->similarity != VZ_DOT || !is_float))
        return VZ_OK;
    for (size_t i = 0; i < given->dims; i++) {
        double value = is_float ? (double)given->floats[i] : (double)given->bytes[i];
        squares += value * value;
    }
    if (field->similarity == VZ_COSINE && squares == 0)
        return bad_magnitude("The [cosine] similarity does not support vectors with zero "
                             "magnitude.",
                             is_float ? given->floats : shown,
                             is_float ? given->dims : VZ_MIN(given->dims, (size_t)6), err);
    if (field->similarity == VZ_DOT && fabs(squares - 1) > 1e-4)
        return bad_magnitude("The [dot_product] similarity can only be used with unit-length "
                             "vectors.",
                             given->floats, given->dims, err);
    return VZ_OK;
}

/* Whether this field can be asked for this vector. */
static enum vz_status check_field(const struct vz_knn_clause *clause, const struct vz_field *field,
                                  struct vz_error *err)
{
    if (field->type != VZ_FIELD_DENSE_VECTOR)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[knn] queries are only supported on [dense_vector] fields");
    if (!clause->vector && clause->encoded.len == 0)
        return vz_fail(err, VZ_UNSUPPORTED, "[query_vector_builder] is not supported here");
    if (!field->indexed)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "to perform knn search on field [%.*s], its mapping "
                             "must have [index] set to [true]",
                             VZ_ARG(field->path));
    return check_model(clause, field, err);
}

/* For l2_norm the threshold is the largest distance allowed, for bits the most that may differ. */
static float threshold(const struct vz_knn_clause *clause, const struct vz_field *field)
{
    if (field->element == VZ_ELEMENT_BIT)
        return -clause->similarity;
    return field->similarity == VZ_L2 ? -clause->similarity * clause->similarity
                                      : clause->similarity;
}

static bool cancelled(void *context)
{
    return vz_eval_late(context);
}

static struct vz_knn knn_of(struct vz_eval *eval, const struct vz_knn_clause *clause,
                            const struct vz_field *field, const struct vz_given_vector *given)
{
    struct vz_knn knn = {
        .field = field,
        .num_candidates = clause->num_candidates,
        .oversample = clause->has_oversample ? clause->oversample : field->oversample,
        .exact = clause->exact,
        .has_min_similarity = clause->has_similarity,
        .min_similarity = threshold(clause, field),
        .cancelled = eval->deadline_ns || eval->stop ? cancelled : NULL,
        .cancelled_context = eval,
    };
    if (vz_element_is_float(field->element))
        knn.query = given->floats;
    else
        knn.query_bytes = given->bytes;
    return knn;
}

static float score(const struct vz_knn_clause *clause, const struct vz_field *field,
                   float similarity)
{
    return vz_similarity_score(field->element, field->similarity, field->dims, similarity) *
           clause->boost;
}

/* A clause's filters: of documents, as bits; and of the nested objects that the vectors are in. */
struct filters {
    struct vz_docset documents;
    const struct vz_bitset *bits; /* NULL: all */
    bool has_rows;
    struct vz_nest_rows rows;
};

static enum vz_status filters_init(struct filters *filters, struct vz_eval *eval,
                                   const struct vz_knn_clause *clause, const struct vz_field *field,
                                   struct vz_error *err)
{
    const struct vz_field *scope =
        vz_field_is_hidden(field) ? NULL : vz_nest_scope(eval->mapping, field);
    size_t count = clause->filters.count;
    struct vz_node_list whole = {vz_arena_alloc(eval->arena, (count + 1) * sizeof(*whole.items)),
                                 0};
    struct vz_node_list nested = {vz_arena_alloc(eval->arena, (count + 1) * sizeof(*nested.items)),
                                  0};
    *filters = (struct filters){0};
    for (size_t i = 0; i < count; i++) {
        struct vz_node *node = clause->filters.items[i];
        struct vz_node_list *list =
            scope && vz_nest_owns(eval->mapping, scope, node) ? &nested : &whole;
        list->items[list->count++] = node;
    }
    enum vz_status status = vz_filters_eval(eval, whole, &filters->documents, err);
    if (status != VZ_OK)
        return status;
    filters->bits = filters->documents.kind == VZ_SET_BITS ? &filters->documents.bits : NULL;
    if (filters->bits && eval->alias)
        vz_bitset_and(&filters->documents.bits, eval->alias);
    else if (eval->alias)
        filters->bits = eval->alias;
    filters->has_rows = nested.count > 0;
    if (filters->has_rows)
        vz_nest_rows_init(&filters->rows, eval, scope, field, nested);
    return VZ_OK;
}

static void filters_deinit(struct filters *filters)
{
    vz_docset_deinit(&filters->documents);
    if (filters->has_rows)
        vz_nest_rows_deinit(&filters->rows);
}

static enum vz_status search(struct vz_eval *eval, const struct vz_knn_clause *clause,
                             const struct vz_field *field, const struct vz_given_vector *given,
                             struct filters *filters, struct vz_scored **hits, size_t *count,
                             struct vz_error *err)
{
    uint32_t k = VZ_MIN(clause->k, vz_snapshot_doc_count(eval->snap)), found = 0;
    if (k == 0)
        return VZ_OK;
    struct vz_knn_hit *raw = vz_arena_alloc(eval->arena, k * sizeof(*raw));
    struct vz_knn knn = knn_of(eval, clause, field, given);
    knn.k = k;
    knn.filter = filters->bits;
    if (filters->has_rows) {
        knn.accept_row = vz_nest_rows_accept;
        knn.accept_context = &filters->rows;
    }
    struct vz_knn_report report;
    uint64_t started_ns = eval->profiled ? vz_now_ns() : 0;
    enum vz_status status = vz_snapshot_knn(eval->snap, &knn, raw, &found, &report, err);
    if (status == VZ_OK && filters->has_rows && filters->rows.status != VZ_OK) {
        *err = filters->rows.err;
        status = filters->rows.status;
    }
    if (status != VZ_OK)
        return status;
    *hits = vz_arena_alloc(eval->arena, found * sizeof(**hits) + 1);
    for (uint32_t i = 0; i < found; i++)
        (*hits)[i] = (struct vz_scored){.docno = raw[i].docno,
                                        .score = score(clause, field, raw[i].similarity)};
    *count = found;
    if (eval->profiled) {
        struct vz_knn_profile *profile = vz_arena_zalloc(eval->arena, sizeof(*profile));
        *profile = (struct vz_knn_profile){.next = eval->profile,
                                           .clause = clause,
                                           .visited = report.visited,
                                           .time_ns = vz_now_ns() - started_ns,
                                           .found = found,
                                           .scanned = report.scanned};
        eval->profile = profile;
    }
    return VZ_OK;
}

enum vz_status vz_knn_scores(struct vz_eval *eval, const struct vz_knn_clause *clause,
                             const struct vz_field *field, const uint32_t *rows, size_t count,
                             float *scores, struct vz_error *err)
{
    struct vz_given_vector given;
    enum vz_status status = read_vector(eval, clause, field, &given, err);
    if (status != VZ_OK)
        return status;
    struct vz_knn knn = knn_of(eval, clause, field, &given);
    struct vz_near *near = vz_arena_alloc(eval->arena, (count + 1) * sizeof(*near));
    status = vz_snapshot_similarities(eval->snap, &knn, rows, count, near, err);
    for (size_t i = 0, at; i < count && status == VZ_OK; i++) {
        for (at = 0; rows[at] != near[i].row;)
            at++;
        bool under = clause->has_similarity && near[i].similarity < knn.min_similarity;
        scores[at] = under ? -1 : score(clause, field, near[i].similarity);
    }
    return status;
}

enum vz_status vz_knn_eval(struct vz_eval *eval, const struct vz_knn_clause *clause,
                           struct vz_scored **hits, size_t *count, struct vz_error *err)
{
    *hits = NULL;
    *count = 0;
    const struct vz_field *field = vz_mapping_find(eval->mapping, clause->field);
    if (vz_semantic_resolve(eval->mapping, clause, &field, err) != VZ_OK)
        return err ? err->status : VZ_BAD_QUERY;
    if (!field)
        return VZ_OK; /* as Elasticsearch: an unmapped field has no neighbours */
    struct vz_given_vector given;
    struct filters filters;
    enum vz_status status = check_field(clause, field, err);
    if (status == VZ_OK)
        status = read_vector(eval, clause, field, &given, err);
    if (status == VZ_OK)
        status = check_magnitude(field, &given, err);
    if (status == VZ_OK && clause->inner && !vz_nest_scope(eval->mapping, field))
        status =
            vz_query_fail(err, VZ_BAD_QUERY,
                          "[knn] [inner_hits] needs a field below a [nested] object, [%.*s] is "
                          "none",
                          VZ_ARG(field->path));
    if (status == VZ_OK)
        status = filters_init(&filters, eval, clause, field, err);
    if (status != VZ_OK)
        return status;
    if (filters.documents.kind != VZ_SET_NONE && field->dims)
        status = search(eval, clause, field, &given, &filters, hits, count, err);
    filters_deinit(&filters);
    return status;
}
