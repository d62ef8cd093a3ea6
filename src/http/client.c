/* client.c - a blocking call to a running server, with libcurl. A handle is kept per thread, so
 * that calls one after another share a connection. */
#include "http/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_key_t handle_key;
static pthread_once_t handle_once = PTHREAD_ONCE_INIT;

static struct vz_http_access trusted; /* set before the first call, then only read */

void vz_http_client_access(const struct vz_http_access *access)
{
    trusted = *access;
}

static void end_handle(void *handle)
{
    curl_easy_cleanup(handle);
}

static void set_up(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_key_create(&handle_key, end_handle);
}

/* Options of an earlier call are gone, its connection is kept. */
static CURL *thread_handle(void)
{
    pthread_once(&handle_once, set_up);
    CURL *handle = pthread_getspecific(handle_key);
    if (handle) {
        curl_easy_reset(handle);
        return handle;
    }
    handle = curl_easy_init();
    pthread_setspecific(handle_key, handle);
    return handle;
}

/* 0, which ends the transfer, when the answer grows past all sense. */
static size_t collect(char *bytes, size_t size, size_t count, void *context)
{
    struct vz_buf *body = context;
    if (size * count > VZ_HTTP_MAX_ANSWER_BYTES - body->len)
        return 0;
    vz_buf_append(body, bytes, size * count);
    return size * count;
}

static char *join(const char *url, const char *path)
{
    struct vz_buf full = {0};
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    vz_buf_append(&full, url, len);
    vz_buf_append_str(&full, path);
    return vz_buf_take(&full);
}

static struct curl_slist *headers_of(const char *content_type, bool has_body, bool with_key)
{
    /* No "Expect: 100-continue": the server is near, and waiting for its word costs a round trip.
     */
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (has_body) {
        struct vz_buf line = {0};
        vz_buf_printf(&line, "Content-Type: %s", content_type ? content_type : "application/json");
        headers = curl_slist_append(headers, line.data);
        vz_buf_deinit(&line);
    }
    if (trusted.api_key && with_key) {
        struct vz_buf line = {0};
        vz_buf_printf(&line, "Authorization: ApiKey %s", trusted.api_key);
        headers = curl_slist_append(headers, line.data);
        vz_buf_deinit(&line);
    }
    return headers;
}

static void set_trust(CURL *handle)
{
    if (trusted.ca_certs)
        curl_easy_setopt(handle, CURLOPT_CAINFO, trusted.ca_certs);
    if (trusted.insecure) {
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* Not 0 ends the transfer. */
static int look_up_stop(void *how_void, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct vz_http_foreign *how = how_void;
    (void)a, (void)b, (void)c, (void)d;
    return how->stops(how->context);
}

/* `foreign` NULL: a server of ours. */
static enum vz_status exchange(const char *url, const char *method, const char *path,
                               struct vz_slice body, const char *content_type,
                               const struct vz_http_foreign *foreign, struct vz_http_answer *answer,
                               struct vz_error *err)
{
    *answer = (struct vz_http_answer){0};
    CURL *handle = thread_handle();
    if (!handle)
        return vz_fail(err, VZ_BUDGET, "no memory for an HTTP client");
    char *full = join(url, path);
    struct curl_slist *headers = headers_of(content_type, body.len > 0, !foreign);
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(handle, CURLOPT_URL, full);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer->body);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    set_trust(handle);
    if (foreign) {
        curl_easy_setopt(handle, CURLOPT_TIMEOUT, (long)foreign->timeout_s);
        if (foreign->stops) {
            curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
            curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, look_up_stop);
            curl_easy_setopt(handle, CURLOPT_XFERINFODATA, foreign);
        }
        if (foreign->user)
            curl_easy_setopt(handle, CURLOPT_USERPWD, foreign->user);
    }
    if (body.len > 0) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.ptr);
    } else if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "");
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(handle);
    enum vz_status status = VZ_OK;
    if (code == CURLE_OK) {
        long number = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &number);
        answer->status = (int)number;
    } else if (code == CURLE_WRITE_ERROR) {
        status = vz_fail(err, VZ_LIMIT, "the answer of %s is over the limit of %d bytes", url,
                         VZ_HTTP_MAX_ANSWER_BYTES);
        vz_buf_deinit(&answer->body);
    } else {
        status = vz_fail(err, VZ_IO, "cannot reach %s: %s", url,
                         reason[0] ? reason : curl_easy_strerror(code));
        vz_buf_deinit(&answer->body);
    }
    curl_slist_free_all(headers);
    free(full);
    return status;
}

enum vz_status vz_http_call(const char *url, const char *method, const char *path,
                            struct vz_slice body, const char *content_type,
                            struct vz_http_answer *answer, struct vz_error *err)
{
    return exchange(url, method, path, body, content_type, NULL, answer, err);
}

enum vz_status vz_http_call_foreign(const char *url, const char *method, const char *path,
                                    struct vz_slice body, const struct vz_http_foreign *how,
                                    struct vz_http_answer *answer, struct vz_error *err)
{
    return exchange(url, method, path, body, NULL, how, answer, err);
}
