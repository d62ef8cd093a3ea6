/* From a request to an answer: media types, route, parameters, handler, then filter_path, pretty or
 * the error body. Everything that is the same for every API is here or in router.c. */
#include "rest/ingest.h"
#include "rest/ml.h"
#include "rest/tasks.h"
#include "rest/pit.h"

#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ANSWER_BYTES ((size_t)512 << 20)

const char *const vz_rest_headers[] = {"X-Elastic-Product: Elasticsearch", NULL};

const double vz_latency_bounds_s[VZ_LATENCY_BUCKETS] = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};

/* ---- life ---------------------------------------------------------------------------------- */

/* A node keeps its id over restarts, as Elasticsearch's do; on a folder that cannot be written it
 * is a new one. */
static void load_node_id(struct vz_rest *rest)
{
    struct vz_buf id = {0};
    struct vz_slice kind = VZ_SLICE("node"), name = VZ_SLICE("id");
    if (vz_store_get_blob(rest->store, kind, name, &id) && id.len == 22) {
        memcpy(rest->node_id, id.data, 23);
    } else {
        vz_new_uuid(rest->node_id);
        struct vz_error err = {0};
        if (vz_store_put_blob(rest->store, kind, name, vz_slice_from(rest->node_id), &err) != VZ_OK)
            vz_log(VZ_LOG_WARN, "rest", "the node's id was not kept: %s", err.text);
    }
    vz_buf_deinit(&id);
}

struct vz_rest *vz_rest_new(struct vz_store *store, const struct vz_rest_options *options)
{
    struct vz_rest *rest = vz_calloc(1, sizeof *rest);
    rest->store = store;
    rest->infer = options->infer;
    rest->reindex_remotes = options->reindex_remotes;
    rest->has_places = options->concurrency > 0;
    rest->place_count = options->concurrency;
    if (rest->has_places)
        sem_init(&rest->places, 0, options->concurrency);
    char host[256] = "vizsla";
    if (!options->node_name && gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "vizsla");
    rest->node_name = vz_strdup(options->node_name ? options->node_name : host);
    rest->cluster_name = vz_strdup(options->cluster_name ? options->cluster_name : "vizsla");
    rest->started_ns = vz_now_ns();
    rest->started_ms = vz_wall_ms();
    rest->route_requests = vz_calloc(vz_route_count + 1, sizeof *rest->route_requests);
    rest->route_actions = vz_calloc(vz_route_count, sizeof *rest->route_actions);
    for (size_t i = 0; i < vz_route_count; i++)
        rest->route_actions[i] = vz_task_action(&vz_routes[i]);
    rest->scrolls = vz_scrolls_new();
    rest->tasks = vz_tasks_new(rest);
    rest->pits = vz_pits_new();
    rest->max_answer_bytes = MAX_ANSWER_BYTES;
    load_node_id(rest);
    pthread_mutex_init(&rest->templates_mutex, NULL);
    pthread_mutex_init(&rest->ingest_mutex, NULL);
    vz_ml_restore(rest, false);
    vz_ingest_restore(rest);
    return rest;
}

void vz_rest_free(struct vz_rest *rest)
{
    if (!rest)
        return;
    vz_tasks_free(rest->tasks);
    if (rest->has_places)
        sem_destroy(&rest->places);
    vz_ingest_stop(rest);
    pthread_mutex_destroy(&rest->templates_mutex);
    pthread_mutex_destroy(&rest->ingest_mutex);
    vz_scrolls_free(rest->scrolls);
    free(rest->route_actions);
    vz_pits_free(rest->pits);
    free(rest->route_requests);
    free(rest->publish_address);
    free(rest->node_name);
    free(rest->cluster_name);
    free(rest);
}

void vz_rest_stop(struct vz_rest *rest)
{
    vz_tasks_stop(rest->tasks);
}

void vz_rest_start_models(struct vz_rest *rest)
{
    vz_ml_restore(rest, true);
}

void vz_rest_attach_server(struct vz_rest *rest, const struct vz_http_server *server,
                           const char *publish_address)
{
    rest->publish_address = publish_address ? vz_strdup(publish_address) : NULL;
    atomic_store_explicit(&rest->server, server, memory_order_release);
}

/* ---- media types --------------------------------------------------------------------------- */

/* Up to the separator, without blanks around it. */
static struct vz_slice take_word(struct vz_slice *rest, char separator)
{
    return vz_slice_trim_of(vz_slice_cut(rest, separator), VZ_BLANKS);
}

static bool same_type(struct vz_slice a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

/* Splits "type; compatible-with=9; charset=utf-8". *version is 0 without compatible-with, -1 when
 * the version is none we speak. */
static struct vz_slice media_type(struct vz_slice text, int *version)
{
    struct vz_slice type = take_word(&text, ';');
    *version = 0;
    while (text.len) {
        struct vz_slice value = take_word(&text, ';');
        struct vz_slice name = take_word(&value, '=');
        if (same_type(name, "compatible-with")) {
            bool known = value.len == 1 && value.ptr[0] >= '7' && value.ptr[0] <= '9';
            *version = known ? value.ptr[0] - '0' : -1;
        }
    }
    return type;
}

static bool is_json_type(struct vz_slice type)
{
    static const char *const types[] = {"application/json", "application/x-ndjson",
                                        "application/vnd.elasticsearch+json",
                                        "application/vnd.elasticsearch+x-ndjson"};
    for (size_t i = 0; i < VZ_COUNT_OF(types); i++)
        if (same_type(type, types[i]))
            return true;
    return false;
}

static bool bad_version(struct vz_call *call, const char *header, struct vz_slice value)
{
    vz_call_fail(call, 400, "media_type_header_exception",
                 "Invalid media-type value on headers [%s]", header);
    call->problem.cause_type = "status_exception";
    call->problem.cause_reason =
        vz_call_format(call, "%s version must be 7, 8 or 9, but found [%.*s]", header, VZ_S(value));
    return false;
}

/* Only the first of several listed types counts: clients list what they want first. */
static bool read_accept(struct vz_call *call)
{
    struct vz_slice rest = call->request->accept;
    struct vz_slice first = take_word(&rest, ',');
    int version;
    struct vz_slice type = media_type(first, &version);
    if (version < 0)
        return bad_version(call, "Accept", first);
    call->accept_version = version;
    call->wants_json = is_json_type(type);
    return true;
}

/* Pictures may be uploaded to models as a browser's form does. */
static bool takes_forms(struct vz_slice path)
{
    static const struct vz_slice end = {"/_infer", 7};
    return vz_slice_starts(path, "/_inference/") ||
           (vz_slice_starts(path, "/_ml/trained_models/") && path.len > end.len &&
            memcmp(path.ptr + path.len - end.len, end.ptr, end.len) == 0);
}

static bool check_content_type(struct vz_call *call)
{
    struct vz_slice header = call->request->content_type;
    if (call->request->body.len == 0 || header.len == 0)
        return true;
    int version;
    struct vz_slice type = media_type(header, &version);
    if (version < 0)
        return bad_version(call, "Content-Type", header);
    if (same_type(type, "multipart/form-data") && takes_forms(call->request->path))
        return true;
    if (!is_json_type(type))
        return vz_call_fail_simple(call, 406, "Content-Type header [%.*s] is not supported",
                                   VZ_S(header));
    return true;
}

/* ---- routes -------------------------------------------------------------------------------- */

static bool split_path(struct vz_call *call, struct vz_slice *segments, size_t *count)
{
    struct vz_slice path = call->request->path;
    *count = 0;
    if (path.len && path.ptr[0] == '/') {
        path.ptr++;
        path.len--;
    }
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    while (path.len) {
        const char *slash = memchr(path.ptr, '/', path.len);
        struct vz_slice raw = {path.ptr, slash ? (size_t)(slash - path.ptr) : path.len};
        if (*count == VZ_MAX_SEGMENTS)
            return false; /* no route is that long */
        if (!vz_http_decode(raw, call->arena, &segments[*count]))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "malformed percent escape in path segment [%.*s]", VZ_S(raw));
        (*count)++;
        size_t skip = slash ? raw.len + 1 : raw.len;
        path.ptr += skip;
        path.len -= skip;
    }
    return true;
}

/* The URI as the client wrote it, as near as the parsed parameters tell. */
static struct vz_slice uri_of(struct vz_call *call)
{
    struct vz_buf uri = {0};
    vz_buf_append_slice(&uri, call->request->path);
    for (size_t i = 0; i < call->request->param_count; i++) {
        const struct vz_http_param *param = &call->request->params[i];
        vz_buf_append_char(&uri, i ? '&' : '?');
        vz_buf_append_slice(&uri, param->name);
        if (param->value.len) {
            vz_buf_append_char(&uri, '=');
            vz_buf_append_slice(&uri, param->value);
        }
    }
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&uri));
    vz_buf_deinit(&uri);
    return copy;
}

static struct vz_slice list_methods(struct vz_call *call, unsigned allowed, const char *separator)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{VZ_DELETE, "DELETE"},
                 {VZ_GET, "GET"},
                 {VZ_GET | VZ_HEAD, "HEAD"},
                 {VZ_POST, "POST"},
                 {VZ_PUT, "PUT"}};
    struct vz_buf text = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++) {
        if (!(allowed & names[i].bit))
            continue;
        if (text.len)
            vz_buf_append_str(&text, separator);
        vz_buf_append_str(&text, names[i].name);
    }
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

static void add_allow(struct vz_call *call, unsigned allowed)
{
    struct vz_slice methods = list_methods(call, allowed, ",");
    call->response->headers[call->response->header_count++] =
        vz_arena_printf(call->arena, "Allow: %.*s", VZ_S(methods));
}

static bool no_route(struct vz_call *call, unsigned allowed)
{
    struct vz_slice uri = uri_of(call);
    if (!allowed) {
        vz_call_fail_simple(call, 400, "no handler found for uri [%.*s] and method [%s]", VZ_S(uri),
                            call->request->method);
        call->problem.without_status = true;
        return false;
    }
    add_allow(call, allowed);
    struct vz_slice methods = list_methods(call, allowed, ", ");
    return vz_call_fail_simple(
        call, 405, "Incorrect HTTP method for uri [%.*s] and method [%s], allowed: [%.*s]",
        VZ_S(uri), call->request->method, VZ_S(methods));
}

/* False when there is nothing more to do (a problem, or OPTIONS answered). */
static bool find_route(struct vz_call *call)
{
    struct vz_slice segments[VZ_MAX_SEGMENTS];
    size_t count;
    unsigned allowed = 0;
    if (!split_path(call, segments, &count))
        return call->problem.status ? false : no_route(call, 0);
    call->route =
        vz_route_find(vz_method_bit(call->request->method), segments, count, call->args, &allowed);
    if (call->route)
        return true;
    if (strcmp(call->request->method, "OPTIONS") == 0 && allowed) {
        add_allow(call, allowed);
        call->response->status = 200;
        call->response->content_type = "text/plain; charset=UTF-8";
        call->is_text = true;
        return false;
    }
    return no_route(call, allowed);
}

/* ---- finishing ----------------------------------------------------------------------------- */

static const char *json_content_type(const struct vz_call *call)
{
    switch (call->accept_version) {
    case 7:
        return "application/vnd.elasticsearch+json;compatible-with=7";
    case 8:
        return "application/vnd.elasticsearch+json;compatible-with=8";
    case 9:
        return "application/vnd.elasticsearch+json;compatible-with=9";
    default:
        return "application/json";
    }
}

static void print_problem(struct vz_call *call)
{
    struct vz_problem *p = &call->problem;
    vz_buf_clear(&call->response->body);
    call->is_text = false;
    call->response->status = p->status;
    struct vz_json_writer w = vz_json_writer_on(&call->response->body);
    vz_json_begin_object(&w);
    vz_json_key(&w, "error");
    if (p->is_simple)
        vz_json_put_string(&w, p->reason);
    else
        vz_problem_print_full(p, vz_call_bool(call, "error_trace", false), &w);
    if (!p->without_status)
        vz_json_field_int(&w, "status", p->status);
    vz_json_end_object(&w);
}

static void apply_filter_path(struct vz_call *call)
{
    struct vz_slice paths;
    struct vz_json_doc *doc;
    struct vz_json root;
    if (!vz_call_param(call, "filter_path", &paths) || paths.len == 0)
        return;
    struct vz_buf *body = &call->response->body;
    if (vz_json_parse(vz_buf_slice(body), &doc, &root, NULL) != VZ_OK)
        return;
    struct vz_buf filtered = {0};
    vz_json_filter_path(root, paths, &filtered);
    vz_json_free(doc);
    vz_buf_deinit(body);
    *body = filtered;
}

static void apply_pretty(struct vz_call *call)
{
    if (!vz_call_bool(call, "pretty", false))
        return;
    struct vz_buf pretty = {0};
    vz_json_pretty(vz_buf_slice(&call->response->body), &pretty);
    vz_buf_deinit(&call->response->body);
    call->response->body = pretty;
}

/* The client's own id of the request comes back, unless it could break the header. */
static void echo_opaque_id(struct vz_call *call)
{
    struct vz_slice id = call->request->opaque_id;
    if (id.len == 0 || id.len > 256)
        return;
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.ptr[i] < 0x20 || (unsigned char)id.ptr[i] > 0x7E)
            return;
    call->response->headers[call->response->header_count++] =
        vz_arena_printf(call->arena, "X-Opaque-Id: %.*s", VZ_S(id));
}

static void finish(struct vz_call *call)
{
    if (call->doc)
        vz_json_free(call->doc);
    if (call->problem.status)
        print_problem(call);
    else if (!call->is_text)
        apply_filter_path(call);
    if (!call->is_text) {
        apply_pretty(call);
        call->response->content_type = json_content_type(call);
    }
    if (!call->response->status)
        call->response->status = 200;
    echo_opaque_id(call);
}

/* A search of some 100 us costs less than two thread wake-ups do, so it runs on the network thread
 * that read it: measured with bench/server, kNN over HTTP went from 0.2 to over half of the rate in
 * process. But a network thread must not be held up, and how long a search takes is known only
 * afterwards: after one of more than SLOW_SEARCH_NS all searches go to workers for SLOW_FOR_NS, so
 * that at most one in that time holds up one network thread. */
#define SLOW_SEARCH_NS 20000000ull
#define SLOW_FOR_NS 1000000000ull

static bool is_search(struct vz_slice path)
{
    static const struct vz_slice tail = {"/_search", 8};
    return path.len >= tail.len && memcmp(path.ptr + path.len - tail.len, tail.ptr, tail.len) == 0;
}

/* What may take long: a query vector that a model makes waits in a queue, a script has loops, and
 * patterns go through dictionaries. Such a search held all connections of its network thread. */
static bool may_be_slow(struct vz_slice body)
{
    static const char *const words[] = {"query_vector_builder", "script", "query_string",
                                        "wildcard", "regexp"};
    const char *end = body.ptr + body.len;
    for (size_t i = 0; body.len && i < VZ_COUNT_OF(words); i++) {
        size_t len = strlen(words[i]);
        const char *at = body.ptr; /* by the first letter, which no number of a vector has */
        while ((at = memchr(at, words[i][0], (size_t)(end - at)))) {
            if ((size_t)(end - at) >= len && memcmp(at, words[i], len) == 0)
                return true;
            at++;
        }
    }
    return false;
}

/* Network threads ask vz_rest_quick, workers never do. */
static _Thread_local bool is_network_thread;

bool vz_rest_quick(void *context, const struct vz_http_request *request)
{
    struct vz_rest *rest = context;
    struct vz_slice scroll;
    is_network_thread = true;
    return is_search(request->path) && !vz_http_param(request, "scroll", &scroll) &&
           !may_be_slow(request->body) &&
           vz_now_ns() >= atomic_load_explicit(&rest->searches_slow_until_ns, memory_order_relaxed);
}

static void note_slow_search(struct vz_call *call, uint64_t now_ns)
{
    if (is_search(call->request->path) && now_ns - call->start_ns > SLOW_SEARCH_NS)
        atomic_store_explicit(&call->rest->searches_slow_until_ns, now_ns + SLOW_FOR_NS,
                              memory_order_relaxed);
}

static void count_request(struct vz_call *call)
{
    struct vz_rest *rest = call->rest;
    uint64_t now_ns = vz_now_ns(), ns = now_ns - call->start_ns;
    note_slow_search(call, now_ns);
    size_t route = call->route ? (size_t)(call->route - vz_routes) : vz_route_count;
    size_t bucket = 0;
    while (bucket < VZ_LATENCY_BUCKETS && (double)ns > vz_latency_bounds_s[bucket] * 1e9)
        bucket++;
    int class = call->response->status / 100;
    atomic_fetch_add_explicit(&rest->requests_by_class[class <= 5 ? class : 5], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&rest->latency[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&rest->latency_sum_ns, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&rest->route_requests[route], 1, memory_order_relaxed);
    if (call->response->status >= 500 || vz_log_enabled(VZ_LOG_DEBUG))
        vz_log(call->response->status >= 500 ? VZ_LOG_ERROR : VZ_LOG_DEBUG, "rest",
               "%s %.*s -> %d in %.3f ms%s%.*s", call->request->method, VZ_S(call->request->path),
               call->response->status, (double)ns / 1e6, call->problem.status ? ": " : "",
               VZ_S(call->problem.reason));
}

/* Requests over all matches take a place for each batch (tasks.h); those that ask about tasks may
 * wait for one to end. */
static bool is_long(const struct vz_route *route)
{
    return route->handle == vz_rest_delete_by_query || route->handle == vz_rest_update_by_query ||
           route->handle == vz_rest_reindex || strncmp(route->path, "/_tasks", 7) == 0;
}

void vz_rest_place_take(struct vz_rest *rest)
{
    while (rest->has_places && sem_wait(&rest->places) != 0)
        ; /* a signal */
}

void vz_rest_place_leave(struct vz_rest *rest)
{
    if (rest->has_places)
        sem_post(&rest->places);
}

/* Requests to models wait in queues of their own (infer/deploy.c). Without this, a flood of them
 * took every worker, and a write took 1,036 ms instead of 45 (twelve clients embedding, two cores).
 */
static bool waits_elsewhere(const struct vz_call *call)
{
    return strncmp(call->route->path, "/_ml/", 5) == 0 ||
           strncmp(call->route->path, "/_inference/", 12) == 0 || is_long(call->route);
}

static void run(struct vz_call *call)
{
    bool counts = !is_network_thread && !waits_elsewhere(call);
    bool listed = call->task->action != NULL;
    if (listed)
        vz_task_begin(call->rest->tasks, call->task);
    if (counts)
        vz_rest_place_take(call->rest);
    call->route->handle(call);
    if (counts)
        vz_rest_place_leave(call->rest);
    if (listed)
        vz_task_end(call->rest->tasks, call->task);
}

void vz_rest_handle(void *context, const struct vz_http_request *request,
                    struct vz_http_response *response)
{
    struct vz_rest *rest = context;
    struct vz_running task = {.request = request};
    struct vz_call call = {
        .rest = rest,
        .task = &task,
        .store = rest->store,
        .request = request,
        .response = response,
        .arena = &response->arena,
        .w = vz_json_writer_on(&response->body),
        .start_ns = vz_now_ns(),
        .is_head = strcmp(request->method, "HEAD") == 0,
    };
    vz_scrolls_expire(rest->scrolls, call.start_ns);
    vz_pits_expire(rest->pits, call.start_ns);
    if (read_accept(&call) && find_route(&call) && check_content_type(&call)) {
        if (!call.route->handle) {
            vz_call_unsupported(&call, "[%s %.*s] is", request->method, VZ_S(request->path));
        } else if (vz_params_check(&call)) {
            task.action = rest->route_actions[call.route - vz_routes];
            task.opaque_id = request->opaque_id;
            task.route = call.route;
            task.target = call.args[0];
            task.cancellable = vz_task_is_search(task.action);
            run(&call);
        }
    }
    finish(&call);
    count_request(&call);
}

void vz_rest_reject(void *context, int status, const char *reason,
                    struct vz_http_response *response)
{
    const char *type = status == 429   ? "es_rejected_execution_exception"
                       : status == 413 ? "content_too_long_exception"
                       : status >= 500 ? "illegal_state_exception"
                                       : "illegal_argument_exception";
    struct vz_problem problem = {
        .status = status, .type = type, .reason = vz_slice_from(reason ? reason : "refused")};
    vz_buf_clear(&response->body);
    struct vz_json_writer w = vz_json_writer_on(&response->body);
    vz_json_begin_object(&w);
    vz_json_key(&w, "error");
    vz_problem_print_full(&problem, false, &w);
    vz_json_field_int(&w, "status", status);
    vz_json_end_object(&w);
    response->status = status;
    response->content_type = "application/json";
}

/* ---- in-process calls ---------------------------------------------------------------------- */

static struct vz_slice decode_query_part(struct vz_slice raw, struct vz_arena *arena)
{
    char *spaced = vz_arena_strdup(arena, raw);
    for (size_t i = 0; i < raw.len; i++)
        if (spaced[i] == '+')
            spaced[i] = ' ';
    struct vz_slice out;
    if (!vz_http_decode((struct vz_slice){spaced, raw.len}, arena, &out))
        out = (struct vz_slice){spaced, raw.len};
    return out;
}

static size_t parse_query(struct vz_slice query, struct vz_arena *arena,
                          struct vz_http_param **params)
{
    size_t count = 0, capacity = 1;
    for (size_t i = 0; i < query.len; i++)
        capacity += query.ptr[i] == '&';
    *params = vz_arena_alloc(arena, capacity * sizeof **params);
    while (query.len) {
        const char *amp = memchr(query.ptr, '&', query.len);
        size_t len = amp ? (size_t)(amp - query.ptr) : query.len;
        const char *equals = len ? memchr(query.ptr, '=', len) : NULL;
        size_t name_len = equals ? (size_t)(equals - query.ptr) : len;
        struct vz_slice value = {"", 0};
        if (equals)
            value = (struct vz_slice){equals + 1, len - name_len - 1};
        if (name_len)
            (*params)[count++] = (struct vz_http_param){
                decode_query_part((struct vz_slice){query.ptr, name_len}, arena),
                decode_query_part(value, arena)};
        size_t skip = amp ? len + 1 : len;
        query.ptr += skip;
        query.len -= skip;
    }
    return count;
}

void vz_rest_call(struct vz_rest *rest, const char *method, const char *path_and_query,
                  struct vz_slice body, struct vz_http_answer *answer)
{
    struct vz_arena arena = {0};
    const char *question = strchr(path_and_query, '?');
    size_t path_len = question ? (size_t)(question - path_and_query) : strlen(path_and_query);
    struct vz_http_param *params;
    size_t param_count = parse_query(vz_slice_from(question ? question + 1 : ""), &arena, &params);
    /* The parsers want readable bytes behind a body, as the server gives them. */
    char *padded = vz_alloc(body.len + 64);
    if (body.len)
        memcpy(padded, body.ptr, body.len);
    memset(padded + body.len, 0, 64);
    struct vz_http_request request = {
        .method = method,
        .path = {path_and_query, path_len},
        .params = params,
        .param_count = param_count,
        .body = {padded, body.len},
        .content_type = VZ_SLICE(""),
        .accept = VZ_SLICE(""),
        .authorization = VZ_SLICE(""),
        .opaque_id = VZ_SLICE(""),
        .remote = "local",
    };
    struct vz_http_response response = {0};
    vz_rest_handle(rest, &request, &response);
    answer->status = response.status;
    answer->body = response.body;
    vz_arena_deinit(&response.arena);
    vz_arena_deinit(&arena);
    free(padded);
}
