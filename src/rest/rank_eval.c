/* _rank_eval: how good the first hits of searches are, by ratings of documents.
 *
 * Each rated request is run as a search of its own for as many hits as the metric looks at; its
 * answer's hits are held against the ratings. The metrics are those of Elasticsearch: precision,
 * recall, mean reciprocal rank, (normalized) discounted cumulative gain, and expected reciprocal
 * rank (Chapelle and others, 2009). */
#include "rest/by_query.h"
#include "rest/inner.h"

#include "json/value.h"

#include <math.h>
#include <stdlib.h>

#define MAX_REQUESTS 10000
#define MAX_K 10000
#define MAX_RATING 1000

enum metric_kind { PRECISION, RECALL, RECIPROCAL_RANK, DCG, EXPECTED_RECIPROCAL_RANK };
static const char *const metric_names[] = {"precision", "recall", "mean_reciprocal_rank", "dcg",
                                           "expected_reciprocal_rank"};

struct metric {
    enum metric_kind kind;
    int64_t k, threshold, max_relevance, unknown_rating;
    bool ignore_unlabeled, normalize, has_unknown_rating, has_max;
};

struct rating {
    struct vz_slice index, id;
    int64_t value;
};
struct rated {
    struct rating *items;
    size_t count;
    struct vz_strmap by_id; /* index, a NUL, id: to place in items */
};

/* One search's hits with their ratings; -1: none. */
struct judged {
    struct vz_json_doc *doc;
    struct vz_json hits; /* array */
    int64_t *ratings;
    size_t count;
};

struct evaluation {
    struct vz_call *call;
    struct metric metric;
    struct vz_json templates;
    struct vz_buf failures; /* members of "failures" */
    double sum;
    size_t count;
};

/* ---- reading --------------------------------------------------------------------------------- */

static bool bad(struct vz_call *call, const char *format, struct vz_slice what)
{
    struct vz_slice text = vz_call_format(call, format, VZ_S(what));
    return vz_call_fail(call, 400, "illegal_argument_exception", "%.*s", VZ_S(text));
}

static bool read_number(struct vz_call *call, struct vz_slice key, struct vz_json value,
                        int64_t min, int64_t max, int64_t *out)
{
    if (vz_json_as_int(value, out) && *out >= min && *out <= max)
        return true;
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "[%.*s] must be a number from %lld to %lld", VZ_S(key), (long long)min,
                        (long long)max);
}

static bool read_metric_member(struct vz_call *call, struct metric *m, struct vz_slice key,
                               struct vz_json value)
{
    bool thresholds = m->kind == PRECISION || m->kind == RECALL || m->kind == RECIPROCAL_RANK;
    if (vz_slice_is(key, "k"))
        return read_number(call, key, value, 1, MAX_K, &m->k);
    if (vz_slice_is(key, "relevant_rating_threshold") && thresholds)
        return read_number(call, key, value, 0, MAX_RATING, &m->threshold);
    if (vz_slice_is(key, "ignore_unlabeled") && m->kind == PRECISION)
        return vz_json_as_bool(value, &m->ignore_unlabeled) ||
               bad(call, "[%.*s] must be a boolean", key);
    if (vz_slice_is(key, "normalize") && m->kind == DCG)
        return vz_json_as_bool(value, &m->normalize) || bad(call, "[%.*s] must be a boolean", key);
    bool is_err = m->kind == EXPECTED_RECIPROCAL_RANK;
    if (vz_slice_is(key, "maximum_relevance") && is_err) {
        m->has_max = true;
        return read_number(call, key, value, 0, MAX_RATING, &m->max_relevance);
    }
    if (vz_slice_is(key, "unknown_doc_rating") && is_err) {
        m->has_unknown_rating = true;
        return read_number(call, key, value, 0, MAX_RATING, &m->unknown_rating);
    }
    return vz_call_fail(call, 400, "x_content_parse_exception", "[%s] unknown field [%.*s]",
                        metric_names[m->kind], VZ_S(key));
}

static bool read_metric(struct vz_call *call, struct vz_json value, struct metric *m)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name, key;
    struct vz_json body, member;
    *m = (struct metric){.k = 10, .threshold = 1};
    if (vz_json_type(value) != VZ_JSON_OBJECT || !vz_json_next(&it, &name, &body) ||
        vz_json_count(value) != 1)
        return vz_call_fail(call, 400, "parsing_exception",
                            "[metric] must be an object of exactly one metric");
    size_t kind = 0;
    while (kind < VZ_COUNT_OF(metric_names) && !vz_slice_is(name, metric_names[kind]))
        kind++;
    if (kind == VZ_COUNT_OF(metric_names))
        return vz_call_fail(call, 400, "named_object_not_found_exception", "unknown field [%.*s]",
                            VZ_S(name));
    m->kind = (enum metric_kind)kind;
    it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &member))
        if (!read_metric_member(call, m, key, member))
            return false;
    if (m->kind == EXPECTED_RECIPROCAL_RANK && !m->has_max)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Required [maximum_relevance]");
    return true;
}

static struct vz_slice rating_key(struct vz_buf *buf, struct vz_slice index, struct vz_slice id)
{
    vz_buf_clear(buf);
    vz_buf_append_slice(buf, index);
    vz_buf_append_char(buf, '\0');
    vz_buf_append_slice(buf, id);
    return vz_buf_slice(buf);
}

static bool read_rating(struct vz_call *call, struct vz_json value, struct rating *rating)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool has_rating = false;
    *rating = (struct rating){.index = {NULL, 0}};
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "_index"))
            rating->index = vz_json_string(member);
        else if (vz_slice_is(key, "_id"))
            rating->id = vz_json_string(member);
        else if (vz_slice_is(key, "rating"))
            has_rating = true;
        else
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[rated_document] unknown field [%.*s]", VZ_S(key));
        if (vz_slice_is(key, "rating") &&
            !read_number(call, key, member, 0, MAX_RATING, &rating->value))
            return false;
    }
    if (!rating->index.len || !rating->id.len || !has_rating)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Required [_index, _id, rating]");
    return true;
}

static bool read_ratings(struct vz_call *call, struct vz_json list, struct rated *rated)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    struct vz_buf key = {0};
    bool ok = true;
    rated->items = vz_arena_alloc(call->arena, (vz_json_count(list) + 1) * sizeof *rated->items);
    while (ok && vz_json_next(&it, NULL, &item)) {
        struct rating *rating = &rated->items[rated->count];
        ok = read_rating(call, item, rating);
        if (!ok)
            break;
        if (!vz_strmap_put(&rated->by_id, rating_key(&key, rating->index, rating->id),
                           rated->count++))
            ok = vz_call_fail(call, 400, "illegal_argument_exception",
                              "Found duplicate rated document key [{\"_index\":\"%.*s\",\"_id\":"
                              "\"%.*s\"}] in evaluation request",
                              VZ_S(rating->index), VZ_S(rating->id));
    }
    vz_buf_deinit(&key);
    return ok;
}

/* ---- metrics --------------------------------------------------------------------------------- */

static double gain(const int64_t *ratings, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        if (ratings[i] >= 0)
            sum += (exp2((double)ratings[i]) - 1) / log2((double)i + 2);
    return sum;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static size_t unrated_of(const struct judged *j)
{
    size_t count = 0;
    for (size_t i = 0; i < j->count; i++)
        count += j->ratings[i] < 0;
    return count;
}

static double relevance(const struct metric *m, const struct judged *j, const struct rated *rated,
                        struct vz_json_writer *w)
{
    int64_t found = 0, of = 0;
    for (size_t i = 0; i < j->count; i++) {
        found += j->ratings[i] >= m->threshold;
        of += m->kind == PRECISION && (j->ratings[i] >= 0 || !m->ignore_unlabeled);
    }
    for (size_t i = 0; m->kind == RECALL && i < rated->count; i++)
        of += rated->items[i].value >= m->threshold;
    vz_json_field_int(w, "relevant_docs_retrieved", found);
    vz_json_field_int(w, m->kind == PRECISION ? "docs_retrieved" : "relevant_docs", of);
    return of ? (double)found / (double)of : 0;
}

static double first_relevant(const struct metric *m, const struct judged *j,
                             struct vz_json_writer *w)
{
    size_t at = 0;
    while (at < j->count && j->ratings[at] < m->threshold)
        at++;
    bool found = at < j->count;
    vz_json_field_int(w, "first_relevant", found ? (int64_t)at + 1 : -1);
    return found ? 1.0 / (double)(at + 1) : 0;
}

static double cumulative_gain(const struct metric *m, const struct judged *j,
                              const struct rated *rated, struct vz_json_writer *w)
{
    double dcg = gain(j->ratings, j->count), result = dcg;
    vz_json_field_double(w, "dcg", dcg);
    if (m->normalize) {
        int64_t *all = vz_alloc((rated->count + 1) * sizeof *all);
        for (size_t i = 0; i < rated->count; i++)
            all[i] = rated->items[i].value;
        qsort(all, rated->count, sizeof *all, descending);
        double ideal = gain(all, VZ_MIN(j->count, rated->count));
        free(all);
        result = ideal > 0 ? dcg / ideal : 0;
        if (ideal > 0) {
            vz_json_field_double(w, "ideal_dcg", ideal);
            vz_json_field_double(w, "normalized_dcg", result);
        }
    }
    vz_json_field_int(w, "unrated_docs", (int64_t)unrated_of(j));
    return result;
}

static double expected_rank(const struct metric *m, const struct judged *j,
                            struct vz_json_writer *w)
{
    double sum = 0, goes_on = 1, most = exp2((double)m->max_relevance);
    for (size_t i = 0; i < j->count; i++) {
        int64_t rating = j->ratings[i];
        if (rating < 0 && m->has_unknown_rating)
            rating = m->unknown_rating;
        if (rating < 0)
            continue;
        double stops = (exp2((double)rating) - 1) / most;
        sum += goes_on * stops / (double)(i + 1);
        goes_on *= 1 - stops;
    }
    vz_json_field_int(w, "unrated_docs", (int64_t)unrated_of(j));
    return sum;
}

/* Prints the details' members and gives the score. */
static double score(const struct metric *m, const struct judged *j, const struct rated *rated,
                    struct vz_json_writer *w)
{
    switch (m->kind) {
    case PRECISION:
    case RECALL:
        return relevance(m, j, rated, w);
    case RECIPROCAL_RANK:
        return first_relevant(m, j, w);
    case DCG:
        return cumulative_gain(m, j, rated, w);
    case EXPECTED_RECIPROCAL_RANK:
        return expected_rank(m, j, w);
    }
    return 0;
}

/* ---- one request ----------------------------------------------------------------------------- */

static struct vz_slice text_at(struct vz_json object, const char *key)
{
    struct vz_json value;
    return vz_json_get(object, key, &value) ? vz_json_string(value) : (struct vz_slice){NULL, 0};
}

/* The template of an id among "templates", rendered. */
static bool render(struct evaluation *e, struct vz_json item, struct vz_slice id,
                   struct vz_slice *text)
{
    struct vz_json_iter it = vz_json_iterate(e->templates);
    struct vz_json one, params = {0};
    vz_json_get(item, "params", &params);
    while (vz_json_next(&it, NULL, &one)) {
        struct vz_json template;
        if (!vz_slice_eq(text_at(one, "id"), id) || !vz_json_get(one, "template", &template))
            continue;
        struct vz_json source;
        if (!vz_json_get(template, "source", &source) && !vz_json_get(template, "inline", &source))
            return vz_call_fail(e->call, 400, "illegal_argument_exception",
                                "a template of [_rank_eval] needs a [source]");
        struct vz_buf printed = {0};
        if (vz_json_type(source) == VZ_JSON_STRING)
            vz_buf_append_slice(&printed, vz_json_string(source));
        else
            vz_json_print(source, &printed);
        bool ok = vz_search_template_text(e->call->arena, vz_buf_slice(&printed), params, text,
                                          &e->call->problem);
        vz_buf_deinit(&printed);
        return ok;
    }
    return bad(e->call, "no template with id [%.*s] among [templates]", id);
}

/* The search's body: what was given, with the metric's size and only what is printed fetched. */
static bool make_body(struct evaluation *e, struct vz_json item, struct vz_slice *body)
{
    static const char *const barred[] = {"aggs",    "aggregations", "suggest", "highlight",
                                         "explain", "profile",      "from"};
    struct vz_arena *arena = e->call->arena;
    struct vz_json request, fields;
    struct vz_json_doc *doc = NULL;
    struct vz_slice id = text_at(item, "template_id"), text;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (id.len) {
        if (!render(e, item, id, &text))
            return false;
        if (vz_json_parse(text, &doc, &request, &err) != VZ_OK)
            return vz_call_fail_error(e->call, &err, VZ_AT_SEARCH);
    } else if (!vz_json_get(item, "request", &request)) {
        return vz_call_fail(e->call, 400, "illegal_argument_exception",
                            "Need to set at least one of [request] and [template_id]");
    }
    struct vz_value *tree = vz_value_from(arena, request);
    if (vz_json_get(item, "summary_fields", &fields) && vz_json_count(fields) &&
        tree->type == VZ_VALUE_OBJECT)
        vz_value_put(tree, VZ_SLICE("_source"), vz_value_from(arena, fields));
    else if (tree->type == VZ_VALUE_OBJECT)
        vz_value_put(tree, VZ_SLICE("_source"), vz_value_bool(arena, false));
    if (doc)
        vz_json_free(doc);
    if (tree->type != VZ_VALUE_OBJECT)
        return vz_call_fail(e->call, 400, "parsing_exception",
                            "[request] of [_rank_eval] must be an object");
    for (size_t i = 0; i < VZ_COUNT_OF(barred); i++)
        if (vz_value_get(tree, vz_slice_from(barred[i])))
            return vz_call_fail(e->call, 400, "illegal_argument_exception",
                                "Query in rated requests should not contain [%s].", barred[i]);
    vz_value_put(tree, VZ_SLICE("size"), vz_value_int(arena, e->metric.k));
    vz_value_put(tree, VZ_SLICE("track_total_hits"), vz_value_bool(arena, false));
    struct vz_buf printed = {0};
    vz_value_print(tree, &printed);
    *body = vz_padded_copy(arena, vz_buf_slice(&printed));
    vz_buf_deinit(&printed);
    return true;
}

static void print_failure(struct evaluation *e, struct vz_slice id,
                          const struct vz_problem *problem)
{
    struct vz_json_writer w = vz_json_writer_on(&e->failures);
    if (e->failures.len)
        vz_buf_append_char(&e->failures, ',');
    vz_json_put_string(&w, id);
    vz_buf_append_str(&e->failures, ":{\"error\":");
    w = vz_json_writer_on(&e->failures);
    vz_problem_print_full(problem, false, &w);
    vz_buf_append_char(&e->failures, '}');
}

static bool judge(struct evaluation *e, struct vz_slice answer, const struct rated *rated,
                  struct judged *j)
{
    struct vz_json root, hits, hit;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf key = {0};
    if (vz_json_parse(answer, &j->doc, &root, &err) != VZ_OK)
        return vz_call_fail_error(e->call, &err, VZ_AT_REQUEST);
    vz_json_get(root, "hits", &hits);
    vz_json_get(hits, "hits", &j->hits);
    size_t count = vz_json_count(j->hits);
    j->ratings = vz_arena_alloc(e->call->arena, (count + 1) * sizeof *j->ratings);
    struct vz_json_iter it = vz_json_iterate(j->hits);
    while (vz_json_next(&it, NULL, &hit)) {
        uint64_t at;
        bool found = vz_strmap_get(
            &rated->by_id, rating_key(&key, text_at(hit, "_index"), text_at(hit, "_id")), &at);
        j->ratings[j->count++] = found ? rated->items[at].value : -1;
    }
    vz_buf_deinit(&key);
    return true;
}

static void print_unrated(const struct judged *j, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(j->hits);
    struct vz_json hit;
    vz_json_key(w, "unrated_docs");
    vz_json_begin_array(w);
    for (size_t i = 0; vz_json_next(&it, NULL, &hit); i++) {
        if (j->ratings[i] >= 0)
            continue;
        vz_json_begin_object(w);
        vz_json_field_string(w, "_index", text_at(hit, "_index"));
        vz_json_field_string(w, "_id", text_at(hit, "_id"));
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void print_hits(const struct judged *j, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(j->hits);
    struct vz_json hit;
    vz_json_key(w, "hits");
    vz_json_begin_array(w);
    for (size_t i = 0; vz_json_next(&it, NULL, &hit); i++) {
        vz_json_begin_object(w);
        vz_json_key(w, "hit");
        vz_json_put_value(w, hit);
        vz_json_key(w, "rating");
        if (j->ratings[i] >= 0)
            vz_json_put_int(w, j->ratings[i]);
        else
            vz_json_put_null(w);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void print_query(struct evaluation *e, struct vz_slice id, const struct judged *j,
                        const struct rated *rated)
{
    struct vz_json_writer *w = &e->call->w;
    struct vz_buf details = {0};
    struct vz_json_writer d = vz_json_writer_on(&details);
    vz_json_begin_object(&d);
    double value = score(&e->metric, j, rated, &d);
    vz_json_end_object(&d);
    vz_json_key_slice(w, id);
    vz_json_begin_object(w);
    vz_json_field_double(w, "metric_score", value);
    print_unrated(j, w);
    print_hits(j, w);
    vz_json_key(w, "metric_details");
    vz_json_begin_object(w);
    vz_json_key(w, metric_names[e->metric.kind]);
    vz_json_put_raw(w, vz_buf_slice(&details));
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_buf_deinit(&details);
    e->sum += value;
    e->count++;
}

static bool evaluate(struct evaluation *e, struct vz_json item)
{
    struct rated rated = {0};
    struct judged judged = {0};
    struct vz_inner_call inner;
    struct vz_json ratings = {0};
    struct vz_slice id = text_at(item, "id"), body;
    vz_json_get(item, "ratings", &ratings);
    bool ok = read_ratings(e->call, ratings, &rated) && make_body(e, item, &body);
    if (ok) {
        vz_inner_call_run(&inner, e->call, body, vz_rest_search);
        if (inner.call.problem.status)
            print_failure(e, id, &inner.call.problem);
        else if ((ok = judge(e, vz_buf_slice(&inner.response.body), &rated, &judged)))
            print_query(e, id, &judged, &rated);
        if (judged.doc)
            vz_json_free(judged.doc);
        vz_inner_call_deinit(&inner);
    }
    vz_strmap_deinit(&rated.by_id);
    return ok && vz_call_fits(e->call, e->call->response->body.len + e->failures.len);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool check_item(struct vz_call *call, struct vz_json item, struct vz_strmap *ids)
{
    static const char *const known[] = {"id",          "request", "ratings", "summary_fields",
                                        "template_id", "params"};
    struct vz_json_iter it = vz_json_iterate(item);
    struct vz_slice key, id = text_at(item, "id");
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool found = false;
        for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
            found |= vz_slice_is(key, known[i]);
        if (!found)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[request] unknown field [%.*s]", VZ_S(key));
    }
    if (!id.len)
        return vz_call_fail(call, 400, "illegal_argument_exception", "Required [id]");
    return vz_strmap_put(ids, id, 1) || vz_call_fail(call, 400, "illegal_argument_exception",
                                                     "Found duplicate request id [%.*s]", VZ_S(id));
}

static bool check_body(struct vz_call *call, struct vz_json body, struct vz_json *requests,
                       struct evaluation *e)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value, metric = {0}, item;
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "requests"))
            *requests = value;
        else if (vz_slice_is(key, "metric"))
            metric = value;
        else if (vz_slice_is(key, "templates"))
            e->templates = value;
        else if (!vz_slice_is(key, "max_concurrent_searches"))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[rank_eval] unknown field [%.*s]", VZ_S(key));
    }
    size_t count = vz_json_count(*requests);
    if (vz_json_type(*requests) != VZ_JSON_ARRAY || count == 0 || count > MAX_REQUESTS)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            count > MAX_REQUESTS ? "there are more than [%d] rated requests"
                                                 : "Cannot evaluate ranking if no search requests "
                                                   "are provided (at most [%d])",
                            MAX_REQUESTS);
    if (!read_metric(call, metric, &e->metric))
        return false;
    struct vz_strmap ids = {0};
    bool ok = true;
    it = vz_json_iterate(*requests);
    while (ok && vz_json_next(&it, NULL, &item))
        ok = check_item(call, item, &ids);
    vz_strmap_deinit(&ids);
    return ok;
}

void vz_rest_rank_eval(struct vz_call *call)
{
    struct evaluation e = {.call = call};
    struct vz_json body, requests = {0}, item;
    struct vz_buf answer = {0}, *out = &call->response->body;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body) || !check_body(call, body, &requests, &e))
        return;
    bool ok = true;
    struct vz_json_iter it = vz_json_iterate(requests);
    vz_json_begin_object(&call->w);
    while (ok && vz_json_next(&it, NULL, &item))
        ok = evaluate(&e, item);
    vz_json_end_object(&call->w);
    if (ok) {
        struct vz_json_writer w = vz_json_writer_on(&answer);
        vz_json_begin_object(&w);
        vz_json_key(&w, "metric_score");
        if (e.count)
            vz_json_put_double(&w, e.sum / (double)e.count);
        else
            vz_json_put_str(&w, "NaN");
        vz_json_key(&w, "details");
        vz_json_put_raw(&w, vz_buf_slice(out));
        vz_json_key(&w, "failures");
        vz_buf_append_char(&answer, '{');
        vz_buf_append_slice(&answer, vz_buf_slice(&e.failures));
        vz_buf_append_str(&answer, "}}");
        vz_buf_deinit(out);
        *out = answer;
    }
    vz_buf_deinit(&e.failures);
}
