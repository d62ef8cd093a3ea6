#include "app/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum vz_status vz_api_strange(const char *doing, struct vz_error *err)
{
    return vz_fail(err, VZ_IO,
                   "%s: the answer is not one of Elasticsearch's API; is another server there?",
                   doing);
}

enum vz_status vz_api_ask(const struct vz_transport *transport, const char *method,
                          const char *path, struct vz_slice body, const char *doing,
                          struct vz_json_doc **doc, struct vz_json *root, struct vz_error *err)
{
    struct vz_buf answer = {0};
    int http_status = 0;
    const char *type =
        strstr(path, "/_bulk") || strstr(path, "/_msearch") ? "application/x-ndjson" : NULL;
    *doc = NULL;
    enum vz_status status =
        transport->call(transport->context, method, path, body, type, &http_status, &answer, err);
    if (status == VZ_OK)
        status = vz_transport_check(http_status, vz_buf_slice(&answer), doing, err);
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&answer), doc, root, NULL) != VZ_OK)
        status = vz_api_strange(doing, err);
    vz_buf_deinit(&answer);
    return status;
}

void vz_api_escape(struct vz_buf *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-_.~", *c);
        if (plain)
            vz_buf_append_char(out, (char)*c);
        else
            vz_buf_printf(out, "%%%02X", *c);
    }
}

/* "/index/rest"; free with vz_buf_deinit. */
static struct vz_buf path_of(const char *index, const char *rest)
{
    struct vz_buf path = {0};
    vz_buf_append_char(&path, '/');
    vz_api_escape(&path, index);
    vz_buf_append_str(&path, rest);
    return path;
}

/* ---- models -------------------------------------------------------------------------------- */

bool vz_app_model_same(const struct vz_app_model *a, const struct vz_app_model *b)
{
    if (a->digest[0] && b->digest[0])
        return strcmp(a->digest, b->digest) == 0;
    return strcmp(a->name, b->name) == 0;
}

void vz_app_model_put_meta(struct vz_json_writer *w, const struct vz_app_model *model,
                           bool with_digest)
{
    vz_json_begin_object(w);
    vz_json_field_str(w, "model", model->name);
    if (with_digest && model->digest[0])
        vz_json_field_str(w, "model_digest", model->digest);
    vz_json_end_object(w);
}

/* ---- an index ------------------------------------------------------------------------------ */

static void copy_text(char *out, size_t capacity, struct vz_json value)
{
    struct vz_slice text = vz_json_string(value);
    size_t len = VZ_MIN(text.len, capacity - 1);
    if (len)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static void read_vector_field(struct vz_json mappings, struct vz_api_about *about)
{
    struct vz_json properties, field, value;
    struct vz_slice key;
    if (!vz_json_get(mappings, "properties", &properties))
        return;
    struct vz_json_iter it = vz_json_iterate(properties);
    while (vz_json_next(&it, &key, &field)) {
        if (!vz_json_get(field, "type", &value) ||
            !vz_slice_is(vz_json_string(value), "dense_vector"))
            continue;
        snprintf(about->vector_field, sizeof about->vector_field, "%.*s",
                 (int)VZ_MIN(key.len, sizeof about->vector_field - 1), key.ptr);
        if (vz_json_get(field, "dims", &value))
            about->model.dims = (uint32_t)vz_json_int(value);
        if (vz_json_get_path(field, "meta.model", &value))
            copy_text(about->model.name, sizeof about->model.name, value);
        if (vz_json_get_path(field, "meta.model_digest", &value))
            copy_text(about->model.digest, sizeof about->model.digest, value);
        return;
    }
}

enum vz_status vz_api_about(const struct vz_transport *transport, const char *index,
                            struct vz_api_about *about, struct vz_error *err)
{
    struct vz_buf path = path_of(index, "/_mapping");
    struct vz_json root, one = {0};
    struct vz_slice name = {0};
    *about = (struct vz_api_about){0};
    enum vz_status status = vz_api_ask(transport, "GET", path.data, (struct vz_slice){0},
                                       "reading the mapping", &about->doc, &root, err);
    vz_buf_deinit(&path);
    if (status == VZ_OK && vz_json_count(root) > 1)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "[%s] stands for %zu indices; name one", index,
                         vz_json_count(root));
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(root);
        if (vz_json_type(root) != VZ_JSON_OBJECT || !vz_json_next(&it, &name, &one) ||
            !vz_json_get(one, "mappings", &about->mappings) || name.len >= VZ_INDEX_NAME_MAX)
            status = vz_api_strange("reading the mapping", err);
    }
    if (status != VZ_OK) {
        vz_json_free(about->doc);
        return status;
    }
    snprintf(about->name, sizeof about->name, "%.*s", (int)name.len, name.ptr);
    about->is_alias = strcmp(about->name, index) != 0;
    read_vector_field(about->mappings, about);
    return VZ_OK;
}

void vz_api_about_deinit(struct vz_api_about *about)
{
    vz_json_free(about->doc);
    about->doc = NULL;
}

enum vz_status vz_api_create(const struct vz_transport *transport, const char *index,
                             void (*body)(void *context, bool with_digest, struct vz_buf *out),
                             void *context, struct vz_error *err)
{
    struct vz_buf path = path_of(index, ""), text = {0}, answer = {0};
    char doing[VZ_INDEX_NAME_MAX + 32];
    enum vz_status status = VZ_OK;
    snprintf(doing, sizeof doing, "creating the index %s", index);
    for (int digest = 1; digest >= 0; digest--) {
        int http_status = 0;
        vz_buf_clear(&text);
        vz_buf_clear(&answer);
        body(context, digest, &text);
        status = transport->call(transport->context, "PUT", path.data, vz_buf_slice(&text), NULL,
                                 &http_status, &answer, err);
        if (status != VZ_OK)
            break;
        if (http_status == 400 && answer.data &&
            strstr(answer.data, "resource_already_exists_exception")) {
            status = vz_fail(err, VZ_EXISTS, "%s: it exists already", doing);
            break;
        }
        status = vz_transport_check(http_status, vz_buf_slice(&answer), doing, err);
        if (http_status != 400 || !answer.data || !strstr(answer.data, "can't be longer than"))
            break;
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    vz_buf_deinit(&answer);
    return status;
}

enum vz_status vz_api_count(const struct vz_transport *transport, const char *index,
                            uint64_t *count, struct vz_error *err)
{
    struct vz_buf path = path_of(index, "/_count");
    struct vz_json_doc *doc;
    struct vz_json root, value;
    enum vz_status status =
        vz_api_ask(transport, "GET", path.data, (struct vz_slice){0}, "counting", &doc, &root, err);
    if (status == VZ_OK &&
        (!vz_json_get(root, "count", &value) || vz_json_type(value) != VZ_JSON_INT))
        status = vz_api_strange("counting", err);
    if (status == VZ_OK)
        *count = (uint64_t)vz_json_int(value);
    vz_json_free(doc);
    vz_buf_deinit(&path);
    return status;
}

enum vz_status vz_api_refresh(const struct vz_transport *transport, const char *index,
                              struct vz_error *err)
{
    struct vz_buf path = path_of(index, "/_refresh");
    struct vz_json_doc *doc;
    struct vz_json root;
    enum vz_status status = vz_api_ask(transport, "POST", path.data, (struct vz_slice){0},
                                       "refreshing", &doc, &root, err);
    vz_json_free(doc);
    vz_buf_deinit(&path);
    return status;
}

/* ---- every document ------------------------------------------------------------------------ */

#define SCROLL_KEEP "5m"

static enum vz_status visit_hits(struct vz_json root, size_t *seen,
                                 enum vz_status (*visit)(void *context,
                                                         const struct vz_api_hit *hit,
                                                         struct vz_error *err),
                                 void *context, struct vz_error *err)
{
    struct vz_json hits, hit, value;
    struct vz_buf text = {0};
    enum vz_status status = VZ_OK;
    *seen = 0;
    if (!vz_json_get_path(root, "hits.hits", &hits) || vz_json_type(hits) != VZ_JSON_ARRAY)
        return vz_api_strange("reading the index", err);
    struct vz_json_iter it = vz_json_iterate(hits);
    while (status == VZ_OK && vz_json_next(&it, NULL, &hit)) {
        struct vz_api_hit one = {0};
        vz_buf_clear(&text);
        if (!vz_json_get(hit, "_id", &value) || vz_json_type(value) != VZ_JSON_STRING) {
            status = vz_api_strange("reading the index", err);
            break;
        }
        one.id = vz_json_string(value);
        if (vz_json_get(hit, "_seq_no", &value))
            one.seq_no = (uint64_t)vz_json_int(value);
        if (vz_json_get(hit, "_source", &one.source))
            vz_json_print(one.source, &text);
        one.source_text = vz_buf_slice(&text);
        status = visit(context, &one, err);
        (*seen)++;
    }
    vz_buf_deinit(&text);
    return status;
}

static void end_scroll(const struct vz_transport *transport, struct vz_slice id)
{
    struct vz_buf body = {0}, answer = {0};
    struct vz_json_writer w = vz_json_writer_on(&body);
    int http_status;
    vz_json_begin_object(&w);
    vz_json_field_string(&w, "scroll_id", id);
    vz_json_end_object(&w);
    transport->call(transport->context, "DELETE", "/_search/scroll", vz_buf_slice(&body), NULL,
                    &http_status, &answer, NULL);
    vz_buf_deinit(&body);
    vz_buf_deinit(&answer);
}

enum vz_status vz_api_scan(const struct vz_transport *transport, const char *index,
                           const struct vz_api_scan *scan,
                           enum vz_status (*visit)(void *context, const struct vz_api_hit *hit,
                                                   struct vz_error *err),
                           void *context, struct vz_error *err)
{
    struct vz_buf path = path_of(index, "/_search?scroll=" SCROLL_KEEP), body = {0}, id = {0};
    enum vz_status status;
    size_t seen;
    vz_buf_printf(&body, "{\"size\":%zu,\"sort\":[\"_doc\"],\"seq_no_primary_term\":true",
                  scan->page ? scan->page : 1000);
    if (scan->query)
        vz_buf_printf(&body, ",\"query\":%s", scan->query);
    if (scan->source)
        vz_buf_printf(&body, ",\"_source\":%s", scan->source);
    vz_buf_append_char(&body, '}');
    do {
        struct vz_json_doc *doc;
        struct vz_json root, value;
        seen = 0;
        status = vz_api_ask(transport, "POST", path.data, vz_buf_slice(&body), "reading the index",
                            &doc, &root, err);
        if (status == VZ_OK)
            status = visit_hits(root, &seen, visit, context, err);
        if (status == VZ_OK && vz_json_get(root, "_scroll_id", &value)) {
            vz_buf_clear(&id);
            vz_buf_append_slice(&id, vz_json_string(value));
        }
        vz_json_free(doc);
        vz_buf_clear(&path);
        vz_buf_append_str(&path, "/_search/scroll");
        vz_buf_clear(&body);
        struct vz_json_writer w = vz_json_writer_on(&body);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "scroll", SCROLL_KEEP);
        vz_json_field_string(&w, "scroll_id", vz_buf_slice(&id));
        vz_json_end_object(&w);
    } while (status == VZ_OK && seen && id.len);
    if (id.len)
        end_scroll(transport, vz_buf_slice(&id));
    vz_buf_deinit(&path);
    vz_buf_deinit(&body);
    vz_buf_deinit(&id);
    return status;
}

/* ---- many writes --------------------------------------------------------------------------- */

#define BUSY_TRIES 60

static void visit_item(struct vz_json item, size_t i,
                       void (*visit)(void *context, size_t i, const struct vz_api_written *written),
                       void *context)
{
    struct vz_json_iter it = vz_json_iterate(item);
    struct vz_json action = {0}, value;
    struct vz_api_written written = {0};
    struct vz_error failure = {0};
    struct vz_slice reason = VZ_SLICE("the server gave no reason");
    if (vz_json_type(item) == VZ_JSON_OBJECT && vz_json_next(&it, NULL, &action) &&
        !vz_json_get(action, "error", &value) && vz_json_get(action, "result", &value)) {
        written.created = vz_slice_is(vz_json_string(value), "created");
    } else {
        if (vz_json_get_path(action, "error.reason", &value))
            reason = vz_json_string(value);
        vz_fail(&failure, VZ_BAD_DOCUMENT, "%.*s", (int)VZ_MIN(reason.len, (size_t)400),
                reason.ptr);
        written.failure = &failure;
    }
    visit(context, i, &written);
}

enum vz_status vz_api_bulk(const struct vz_transport *transport, const char *index,
                           struct vz_slice body, size_t count, bool refresh,
                           void (*visit)(void *context, size_t i,
                                         const struct vz_api_written *written),
                           void *context, struct vz_error *err)
{
    struct vz_buf path = path_of(index, refresh ? "/_bulk?refresh=true" : "/_bulk");
    struct vz_json_doc *doc;
    struct vz_json root, items = {0}, item;
    const struct timespec pause = {.tv_sec = 1};
    enum vz_status status;
    for (int tries = 0;; tries++) {
        status = vz_api_ask(transport, "POST", path.data, body, "writing", &doc, &root, err);
        if (status != VZ_BUSY || tries == BUSY_TRIES)
            break;
        vz_json_free(doc);
        nanosleep(&pause, NULL);
    }
    if (status == VZ_OK && (!vz_json_get(root, "items", &items) || vz_json_count(items) != count))
        status = vz_fail(err, VZ_IO,
                         "the server answered a bulk request of %zu documents with %zu items",
                         count, vz_json_count(items));
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(items);
        for (size_t i = 0; i < count && vz_json_next(&it, NULL, &item); i++)
            visit_item(item, i, visit, context);
    }
    vz_json_free(doc);
    vz_buf_deinit(&path);
    return status;
}
