/* Another server's documents as the source of a reindex: a search with a scroll over there, any
 * server that speaks Elasticsearch's API. Only servers that this one was told about when it was
 * started may be named (serve --reindex-remote): otherwise a request could make it look into its
 * network. */
#include "rest/by_query.h"

#include <ctype.h>
#include <stdlib.h>

#define KEEP "5m"
#define MAX_TIMEOUT_S 600
#define CLOSE_TIMEOUT_S 3

struct vz_remote {
    struct vz_call *call;
    char *url;  /* the base: scheme, host, port, prefix */
    char *user; /* "name:password" or NULL */
    unsigned timeout_s;
    struct vz_slice indices, body;
    size_t batch;
    struct vz_slice scroll_id; /* empty: not begun */
    uint64_t total;
    bool ended;
};

static struct vz_remote *refuse(struct vz_call *call, const char *format, struct vz_slice what)
{
    struct vz_slice text = vz_call_format(call, format, VZ_S(what));
    vz_call_fail(call, 400, "illegal_argument_exception", "%.*s", VZ_S(text));
    return NULL;
}

static bool allowed(struct vz_call *call, struct vz_slice host)
{
    struct vz_slice *patterns;
    if (!call->rest->reindex_remotes)
        return false;
    size_t count = vz_split(call->arena, vz_slice_from(call->rest->reindex_remotes), &patterns);
    for (size_t i = 0; i < count; i++)
        if (vz_wildcard_match(patterns[i], host))
            return true;
    return false;
}

/* "http://host:9200/prefix": the host with its port must be among those allowed. */
static bool read_host(struct vz_call *call, struct vz_slice text, struct vz_remote *remote)
{
    const char *end = text.ptr + text.len, *scheme = NULL;
    if (vz_slice_starts(text, "http://"))
        scheme = text.ptr + 7;
    else if (vz_slice_starts(text, "https://"))
        scheme = text.ptr + 8;
    const char *slash = scheme ? memchr(scheme, '/', (size_t)(end - scheme)) : NULL;
    struct vz_slice host = {scheme, scheme ? (size_t)((slash ? slash : end) - scheme) : 0};
    const char *colon = host.len ? memrchr(host.ptr, ':', host.len) : NULL;
    bool plain = colon && colon > host.ptr && colon + 1 < host.ptr + host.len;
    for (size_t i = 0; plain && i < host.len; i++)
        plain = isalnum((unsigned char)host.ptr[i]) || strchr(".-_:[]", host.ptr[i]);
    for (const char *at = colon ? colon + 1 : end; plain && at < host.ptr + host.len; at++)
        plain = isdigit((unsigned char)*at);
    for (size_t i = 0; plain && i < text.len; i++)
        plain = text.ptr[i] > ' ' && text.ptr[i] < 0x7F && !strchr("?#@\\", text.ptr[i]);
    if (!plain)
        return refuse(call,
                      "[host] must be of the form [scheme]://[host]:[port](/[pathPrefix])? but "
                      "was [%.*s]",
                      text) != NULL;
    if (!allowed(call, host))
        return refuse(call,
                      "[%.*s] not whitelisted in reindex.remote.whitelist (vizsla serve "
                      "--reindex-remote)",
                      host) != NULL;
    remote->url = vz_arena_strdup(call->arena, text);
    return true;
}

static bool read_timeout(struct vz_call *call, struct vz_slice text, unsigned *seconds)
{
    int64_t ms;
    if (!vz_time_parse(text, &ms) || ms < 1) {
        vz_call_fail(call, 400, "number_format_exception",
                     "failed to parse setting with value [%.*s] as a time value", VZ_S(text));
        return false;
    }
    *seconds = (unsigned)VZ_MIN((ms + 999) / 1000, MAX_TIMEOUT_S);
    return true;
}

struct vz_remote *vz_remote_read(struct vz_call *call, struct vz_json json)
{
    struct vz_remote *remote = vz_arena_zalloc(call->arena, sizeof *remote);
    struct vz_slice key, host = {NULL, 0}, name = {NULL, 0}, password = {"", 0};
    struct vz_json value;
    struct vz_json_iter it = vz_json_iterate(json);
    unsigned ignored;
    remote->call = call;
    remote->timeout_s = 30;
    while (vz_json_next(&it, &key, &value)) {
        struct vz_slice text = vz_json_string(value);
        if (vz_slice_is(key, "host"))
            host = text;
        else if (vz_slice_is(key, "username"))
            name = text;
        else if (vz_slice_is(key, "password"))
            password = text;
        else if (vz_slice_is(key, "socket_timeout")) {
            if (!read_timeout(call, text, &remote->timeout_s))
                return NULL;
        } else if (vz_slice_is(key, "connect_timeout")) {
            if (!read_timeout(call, text, &ignored))
                return NULL;
        } else if (vz_slice_is(key, "headers") || vz_slice_is(key, "api_key")) {
            vz_call_unsupported(call, "[%.*s] of a [remote] is", VZ_S(key));
            return NULL;
        } else {
            return refuse(call, "Unsupported fields in [remote]: [%.*s]", key);
        }
    }
    if (!host.ptr)
        return refuse(call, "[host] must be specified to reindex from a remote cluster%.*s",
                      (struct vz_slice){"", 0});
    if (name.ptr && memchr(name.ptr, ':', name.len))
        return refuse(call, "[username] must not contain a colon: [%.*s]", name);
    if (name.ptr)
        remote->user = vz_arena_printf(call->arena, "%.*s:%.*s", VZ_S(name), VZ_S(password));
    return read_host(call, host, remote) ? remote : NULL;
}

void vz_remote_ask(struct vz_remote *remote, struct vz_slice indices, struct vz_slice body,
                   size_t batch)
{
    remote->indices = indices;
    remote->body = body;
    remote->batch = batch;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool fail(struct vz_arena *arena, struct vz_problem *problem, const char *type,
                 const char *text, struct vz_slice detail)
{
    *problem = (struct vz_problem){
        .status = 502,
        .type = type,
        .reason = vz_slice_from(vz_arena_printf(arena, "%s%.*s", text, (int)VZ_MIN(detail.len, 500),
                                                detail.ptr ? detail.ptr : ""))};
    return false;
}

static char *first_path(const struct vz_remote *remote, struct vz_arena *arena)
{
    struct vz_buf path = {0};
    vz_buf_append_char(&path, '/');
    for (size_t i = 0; i < remote->indices.len; i++) {
        unsigned char c = (unsigned char)remote->indices.ptr[i];
        if (isalnum(c) || (c && strchr("-_.,*", c)))
            vz_buf_append_char(&path, (char)c);
        else
            vz_buf_printf(&path, "%%%02X", c);
    }
    vz_buf_printf(&path, "/_search?scroll=" KEEP "&size=%zu", remote->batch);
    char *copy = vz_arena_strdup(arena, vz_buf_slice(&path));
    vz_buf_deinit(&path);
    return copy;
}

static struct vz_slice scroll_body(const struct vz_remote *remote, struct vz_arena *arena,
                                   bool clears)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_field_string(&w, "scroll_id", remote->scroll_id);
    if (!clears)
        vz_json_field_str(&w, "scroll", KEEP);
    vz_json_end_object(&w);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

static bool take_hit(struct vz_arena *arena, struct vz_json hit, struct vz_sweep_doc *doc)
{
    struct vz_json id, source, value;
    if (!vz_json_get(hit, "_id", &id) || !vz_json_get(hit, "_source", &source) ||
        vz_json_type(source) != VZ_JSON_OBJECT)
        return false;
    struct vz_buf text = {0};
    vz_json_print(source, &text);
    *doc = (struct vz_sweep_doc){.id = vz_arena_copy(arena, vz_json_string(id)),
                                 .source = vz_arena_copy(arena, vz_buf_slice(&text)),
                                 .version = 1};
    vz_buf_deinit(&text);
    if (vz_json_get(hit, "_index", &value))
        doc->index = vz_arena_copy(arena, vz_json_string(value));
    if (vz_json_get(hit, "_version", &value) && vz_json_int(value) > 0)
        doc->version = (uint64_t)vz_json_int(value);
    if (vz_json_get(hit, "_routing", &value))
        doc->routing = vz_arena_copy(arena, vz_json_string(value));
    return true;
}

static bool take_page(struct vz_remote *remote, struct vz_arena *arena, struct vz_json root,
                      struct vz_sweep_doc **docs, size_t *count, struct vz_problem *problem)
{
    struct vz_json id, hits, list, total, hit;
    struct vz_slice none = {"", 0};
    if (!vz_json_get(root, "_scroll_id", &id) || !vz_json_get(root, "hits", &hits) ||
        !vz_json_get(hits, "hits", &list) || !vz_json_string(id).len)
        return fail(arena, problem, "illegal_state_exception",
                    "the remote server answered no page of a scroll", none);
    if (!vz_slice_eq(remote->scroll_id, vz_json_string(id)))
        remote->scroll_id = vz_arena_copy(remote->call->arena, vz_json_string(id));
    if (vz_json_get(hits, "total", &total)) {
        vz_json_get(total, "value", &total); /* or the number itself, from servers before 7 */
        remote->total = (uint64_t)VZ_MAX(vz_json_int(total), 0);
    }
    *docs = vz_arena_alloc(arena, (vz_json_count(list) + 1) * sizeof **docs);
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &hit))
        if (!take_hit(arena, hit, &(*docs)[(*count)++]))
            return fail(arena, problem, "illegal_argument_exception",
                        "a document of the remote index has no _source", none);
    remote->ended = *count == 0;
    return true;
}

static bool is_cancelled(const void *task)
{
    return vz_task_cancelled(task);
}

bool vz_remote_next(struct vz_remote *remote, struct vz_arena *arena, struct vz_sweep_doc **docs,
                    size_t *count, uint64_t *total, struct vz_problem *problem)
{
    struct vz_http_answer answer = {0};
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    bool first = !remote->scroll_id.len, ok = false;
    *count = 0;
    if (remote->ended)
        return true;
    const struct vz_http_foreign how = {.user = remote->user,
                                        .timeout_s = remote->timeout_s,
                                        .stops = is_cancelled,
                                        .context = remote->call->task};
    struct vz_slice body = first ? remote->body : scroll_body(remote, arena, false);
    if (vz_http_call_foreign(remote->url, "POST",
                             first ? first_path(remote, arena) : "/_search/scroll", body, &how,
                             &answer, &err) != VZ_OK)
        return !vz_task_cancelled(remote->call->task) &&
               fail(arena, problem, "i_o_exception", "", vz_slice_from(err.text));
    if (answer.status != 200)
        fail(arena, problem, "status_exception",
             vz_arena_printf(arena, "the remote server answered %d: ", answer.status),
             vz_buf_slice(&answer.body));
    else if (vz_json_parse(vz_buf_slice(&answer.body), &doc, &root, &err) != VZ_OK)
        fail(arena, problem, "parse_exception",
             "the remote server answered no JSON: ", vz_slice_from(err.text));
    else {
        ok = take_page(remote, arena, root, docs, count, problem);
        vz_json_free(doc);
    }
    vz_buf_deinit(&answer.body);
    *total = remote->total;
    return ok;
}

void vz_remote_close(struct vz_remote *remote)
{
    struct vz_http_answer answer = {0};
    if (!remote->scroll_id.len)
        return;
    /* Its own end comes anyway: nothing waits long for this. */
    const struct vz_http_foreign how = {.user = remote->user,
                                        .timeout_s = VZ_MIN(remote->timeout_s, CLOSE_TIMEOUT_S)};
    vz_http_call_foreign(remote->url, "DELETE", "/_search/scroll",
                         scroll_body(remote, remote->call->arena, true), &how, &answer, NULL);
    vz_buf_deinit(&answer.body);
}
