/* hub_http.c - one GET, with libcurl: redirects by hand, resuming, and what may be told to whom.
 *
 * Redirects are followed here and not by libcurl, for three reasons: the token must go to the
 * endpoint alone (scheme, host and port); a file's checksum stands in the endpoint's own redirect
 * and not in what the storage behind it says; and a step from https down to http is refused.
 */
#include "embed/hub_parts.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_HOPS 8
#define MAX_URL 8192

struct vz_hub_client {
    CURL *curl;
    char *endpoint;
    char *origin;    /* "https://host:443" */
    char *bearer;    /* "Authorization: Bearer ...", or NULL */
    bool token_kept; /* there is a token, but the way is not safe */
    long silence_s;
    bool reached; /* somebody answered once */
};

/* One request's way through the callbacks. */
struct call {
    CURL *curl;
    struct vz_hub_sink *sink;
    bool started, discard;
    bool again;            /* what failed may go better from the start */
    enum vz_status failed; /* why a callback stopped the transfer */
    struct vz_error *err;
};

/* ---- the client ---------------------------------------------------------------------------- */

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* "https://host:443" of a URL; NULL when it is no http(s) URL, or one with a user's name in it,
 * which would end up in messages and manifests. The caller frees. */
static char *origin_of(const char *url)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0)) {
        struct vz_buf text = {0};
        vz_buf_printf(&text, "%s://%s:%s", scheme, host, port);
        for (size_t i = 0; i < text.len; i++)
            if (text.data[i] >= 'A' && text.data[i] <= 'Z')
                text.data[i] |= 0x20;
        origin = vz_buf_take(&text);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return origin;
}

static bool is_https(const char *origin)
{
    return strncmp(origin, "https:", 6) == 0;
}

static bool is_this_machine(const char *origin)
{
    return strncmp(origin, "http://127.", 11) == 0 || strncmp(origin, "http://[::1]:", 13) == 0 ||
           strncmp(origin, "http://localhost:", 17) == 0;
}

/* Trimmed; VZ_BAD_ARGUMENT when it would break the header it goes into. */
static enum vz_status set_token(struct vz_hub_client *client, const char *token,
                                struct vz_error *err)
{
    size_t len = strlen(token);
    while (len && (unsigned char)token[len - 1] <= ' ')
        len--;
    while (len && (unsigned char)*token <= ' ') {
        token++;
        len--;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)token[i] <= ' ' || (unsigned char)token[i] >= 0x7F)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "HF_TOKEN is no token: it has a character that no "
                           "token has");
    client->token_kept = len && !is_https(client->origin) && !is_this_machine(client->origin);
    if (len && !client->token_kept) {
        struct vz_buf line = {0};
        vz_buf_printf(&line, "Authorization: Bearer %.*s", (int)len, token);
        client->bearer = vz_buf_take(&line);
    }
    return VZ_OK;
}

enum vz_status vz_hub_client_new(const char *endpoint, const char *token, unsigned silence_s,
                                 struct vz_hub_client **out, struct vz_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    struct vz_hub_client *client = vz_calloc(1, sizeof *client);
    *out = NULL;
    size_t len = strlen(endpoint);
    while (len && endpoint[len - 1] == '/')
        len--;
    client->endpoint = vz_strndup(endpoint, len);
    client->origin = origin_of(client->endpoint);
    client->silence_s = (long)silence_s;
    enum vz_status status = VZ_OK;
    if (!client->origin || strpbrk(client->endpoint, "?# \r\n"))
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "[%.200s] is no hub: expected a URL such as https://host", endpoint);
    else
        status = set_token(client, token, err);
    if (status == VZ_OK && !(client->curl = curl_easy_init()))
        status = vz_fail(err, VZ_BUDGET, "no memory for an HTTP client");
    if (status != VZ_OK) {
        vz_hub_client_free(client);
        return status;
    }
    *out = client;
    return VZ_OK;
}

void vz_hub_client_free(struct vz_hub_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    if (client->bearer)
        explicit_bzero(client->bearer, strlen(client->bearer));
    free(client->bearer);
    free(client->endpoint);
    free(client->origin);
    free(client);
}

const char *vz_hub_endpoint(const struct vz_hub_client *client)
{
    return client->endpoint;
}

/* ---- the answer's headers ------------------------------------------------------------------ */

/* A header of the last answer; control characters become spaces. "" when absent. */
static const char *header(CURL *curl, const char *name, char *out, size_t capacity)
{
    struct curl_header *found = NULL;
    *out = '\0';
    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK)
        snprintf(out, capacity, "%s", found->value);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F)
            *c = ' ';
    return out;
}

static bool is_number(const char *text, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

/* "bytes 100-199/200": start and whole (VZ_HUB_UNKNOWN for '*'). */
static bool read_range(const char *text, uint64_t *start, uint64_t *whole)
{
    char *end;
    if (strncasecmp(text, "bytes ", 6) != 0 || text[6] < '0' || text[6] > '9')
        return false;
    *start = strtoull(text + 6, &end, 10);
    const char *slash = strchr(end, '/');
    *whole = VZ_HUB_UNKNOWN;
    return *end == '-' && slash && (strcmp(slash, "/*") == 0 || is_number(slash + 1, whole));
}

/* Hex digests in ETags: SHA-256 of large files, git's blob of others. Anything else is no digest.
 */
static void read_etag(const char *etag, struct vz_hub_reply *reply)
{
    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    if (*etag == '"')
        etag++;
    size_t len = strspn(etag, "0123456789abcdef");
    if ((len != 64 && len != 40) || (etag[len] && etag[len] != '"'))
        return;
    memcpy(reply->digest, etag, len);
    reply->digest[len] = '\0';
    reply->digest_kind = len == 64 ? VZ_DIGEST_SHA256 : VZ_DIGEST_GIT;
}

/* ---- the body ------------------------------------------------------------------------------ */

static bool stop(struct call *call, enum vz_status status)
{
    call->failed = status;
    return false;
}

static bool from_the_start(struct call *call)
{
    struct vz_hub_sink *sink = call->sink;
    if (sink->fd >= 0 && (ftruncate(sink->fd, 0) != 0 || lseek(sink->fd, 0, SEEK_SET) != 0))
        return stop(call, vz_fail_errno(call->err, errno, "cannot empty a partial file"));
    if (sink->buf)
        vz_buf_clear(sink->buf);
    sink->have = 0;
    return true;
}

static bool check_size(struct call *call, uint64_t whole)
{
    struct vz_hub_sink *sink = call->sink;
    if (whole == VZ_HUB_UNKNOWN)
        return true;
    if (whole > sink->limit)
        return stop(call, vz_fail(call->err, VZ_LIMIT,
                                  "the hub announces %llu bytes, more than the limit of %llu",
                                  (unsigned long long)whole, (unsigned long long)sink->limit));
    if (sink->expected != VZ_HUB_UNKNOWN && whole != sink->expected)
        return stop(call,
                    vz_fail(call->err, VZ_CORRUPT, "the hub sends %llu bytes where it listed %llu",
                            (unsigned long long)whole, (unsigned long long)sink->expected));
    uint64_t room = sink->folder ? vz_disk_free_bytes(sink->folder) : 0;
    if (sink->expected == VZ_HUB_UNKNOWN && room && whole - VZ_MIN(whole, sink->have) > room)
        return stop(call,
                    vz_fail(call->err, VZ_DISK_FULL, "no room for %llu bytes in %s: %llu are free",
                            (unsigned long long)(whole - sink->have), sink->folder,
                            (unsigned long long)room));
    sink->expected = whole;
    return true;
}

/* Called once an answer, before its first byte: is it what was asked for? */
static bool start_body(struct call *call)
{
    struct vz_hub_sink *sink = call->sink;
    char text[128];
    long code = 0;
    uint64_t start = 0, whole = VZ_HUB_UNKNOWN;
    call->started = true;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &code);
    call->discard = code != 200 && code != 206;
    if (call->discard)
        return true;
    if (code == 206) {
        if (!read_range(header(call->curl, "Content-Range", text, sizeof text), &start, &whole) ||
            start != sink->have) {
            call->again = from_the_start(call);
            return stop(call, vz_fail(call->err, VZ_CORRUPT,
                                      "the hub sends another part than the one asked for"));
        }
    } else {
        /* Whoever does not know ranges sends the whole again. */
        if (sink->have && !from_the_start(call))
            return false;
        if (!is_number(header(call->curl, "Content-Length", text, sizeof text), &whole))
            whole = VZ_HUB_UNKNOWN;
    }
    return check_size(call, whole);
}

static bool write_out(struct call *call, const char *bytes, size_t len)
{
    struct vz_hub_sink *sink = call->sink;
    if (sink->fd < 0) {
        vz_buf_append(sink->buf, bytes, len);
        sink->have += len;
        return true;
    }
    while (len) {
        ssize_t done = write(sink->fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return stop(call, vz_fail_errno(call->err, errno, "cannot write to %s",
                                            sink->folder ? sink->folder : "the disk"));
        sink->have += (uint64_t)done;
        bytes += done;
        len -= (size_t)done;
    }
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    struct vz_hub_sink *sink = call->sink;
    size_t len = size * count;
    if (!call->started && !start_body(call))
        return 0;
    if (call->discard)
        return len;
    uint64_t most = VZ_MIN(sink->limit, sink->expected);
    if (len > most - VZ_MIN(most, sink->have)) {
        stop(call, vz_fail(call->err, VZ_CORRUPT, "the hub sends more than the %llu bytes it may",
                           (unsigned long long)most));
        return 0;
    }
    if (!write_out(call, bytes, len))
        return 0;
    sink->received += len;
    uint64_t whole = sink->expected != VZ_HUB_UNKNOWN ? sink->expected : sink->have;
    if (!vz_watch_tell(sink->watch, "downloading", sink->done_before + sink->have,
                       VZ_MAX(sink->total, sink->done_before + whole))) {
        stop(call, vz_fail(call->err, VZ_CANCELLED, "stopped while downloading"));
        return 0;
    }
    return len;
}

/* ---- one hop ------------------------------------------------------------------------------- */

static CURLcode ask(struct vz_hub_client *client, const char *url, bool with_token,
                    struct call *call, char reason[CURL_ERROR_SIZE])
{
    CURL *curl = client->curl;
    char range[48];
    const char *ca = getenv("SSL_CERT_FILE");
    struct curl_slist *headers = curl_slist_append(NULL, "Accept-Encoding: identity");
    if (with_token && client->bearer)
        headers = curl_slist_append(headers, client->bearer);
    *reason = '\0';
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "vizsla/" VZ_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, VZ_MIN(client->silence_s, 20L));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, client->silence_s);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 262144L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    if (ca && *ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    if (call->sink->have) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)call->sink->have);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    return code;
}

static bool is_redirect(long code)
{
    return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

/* `url` (MAX_URL bytes) becomes where the answer points to. */
static enum vz_status follow(struct vz_hub_client *client, char *url, struct vz_error *err)
{
    struct curl_header *location = NULL;
    char *next = NULL;
    enum vz_status status = VZ_OK;
    CURLU *parsed = curl_url();
    bool was_https = strncasecmp(url, "https:", 6) == 0;
    if (curl_easy_header(client->curl, "Location", 0, CURLH_HEADER, -1, &location) != CURLHE_OK ||
        !parsed || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_set(parsed, CURLUPART_URL, location->value, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_URL, &next, 0) != CURLUE_OK || strlen(next) >= MAX_URL)
        status = vz_fail(err, VZ_CORRUPT, "the hub redirects to something that is no plain URL");
    else if (strncasecmp(next, "https:", 6) != 0 &&
             (was_https || strncasecmp(next, "http:", 5) != 0))
        status =
            vz_fail(err, VZ_CORRUPT, "the hub redirects to something else than https: refused");
    else
        memcpy(url, next, strlen(next) + 1);
    curl_free(next);
    curl_url_cleanup(parsed);
    return status;
}

/* ---- what went wrong ----------------------------------------------------------------------- */

static enum vz_status fail_transfer(struct vz_hub_client *client, CURLcode code, const char *reason,
                                    const char *url, const char *what, bool *again,
                                    struct vz_error *err)
{
    char *origin = origin_of(url);
    const char *where = origin ? origin : "the hub",
               *why = *reason ? reason : curl_easy_strerror(code);
    enum vz_status status;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CERTPROBLEM) {
        status = vz_fail(err, VZ_IO,
                         "the certificate of %s is not trusted; where a proxy puts its own in, "
                         "SSL_CERT_FILE names the file to trust",
                         where);
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        status = vz_fail(err, VZ_BAD_ARGUMENT, "cannot ask for %s", what);
    } else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
               code == CURLE_COULDNT_RESOLVE_PROXY || !client->reached) {
        /* Nobody there from the start is most likely a machine without a network: say so now. */
        *again = client->reached;
        status = vz_fail(err, VZ_IO,
                         "cannot reach %s; without a network, copy the model's folder here by hand "
                         "and use `vizsla models import FOLDER`",
                         where);
    } else {
        *again = true;
        status = vz_fail(err, VZ_IO, "%s: the connection to %s broke", what, where);
    }
    vz_fail_cause(err, "%s", why);
    free(origin);
    return status;
}

static enum vz_status fail_code(const struct vz_hub_client *client, long code, const char *what,
                                bool *again, struct vz_error *err)
{
    char kind[64], why[200];
    enum vz_status status;
    header(client->curl, "X-Error-Code", kind, sizeof kind);
    header(client->curl, "X-Error-Message", why, sizeof why);
    if ((code == 401 || code == 403) && client->token_kept)
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "%s may not be read without a token (%ld), and HF_TOKEN is not sent over "
                         "plain http: use https in HF_ENDPOINT",
                         what, code);
    else if (code == 403 || strcmp(kind, "GatedRepo") == 0)
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "%s may not be read (%ld): accept its terms on the hub's page, and set "
                         "HF_TOKEN to an access token of that account",
                         what, code);
    else if (code == 401 && client->bearer)
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "%s is not there, or the token in HF_TOKEN may not read it (401)", what);
    else if (code == 401)
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "%s is not there or not public (401): check the name, or set HF_TOKEN to "
                         "an access token that may read it",
                         what);
    else if (code == 404 || code == 410)
        status =
            vz_fail(err, VZ_NOT_FOUND, "there is no %s at %s (%ld)", what, client->endpoint, code);
    else {
        *again = code == 408 || code == 429 || code >= 500;
        status = vz_fail(err, VZ_IO, "%s: the hub answers %ld%s", what, code,
                         code == 429 ? ", too many requests" : "");
    }
    if (*why)
        vz_fail_cause(err, "%s", why);
    return status;
}

/* 416 is the answer to a partial file as long as the whole, or longer: the next try starts anew. */
static enum vz_status fail_range(struct call *call, const char *what, bool *again)
{
    *again = true;
    if (!from_the_start(call))
        return call->failed;
    return vz_fail(call->err, VZ_IO, "%s: the hub has no such part", what);
}

static void note(CURL *curl, bool is_endpoint, long code, struct vz_hub_reply *reply)
{
    char text[160];
    uint64_t seconds;
    reply->code = code;
    reply->retry_after_s = 0;
    if (is_number(header(curl, "Retry-After", text, sizeof text), &seconds))
        reply->retry_after_s = (unsigned)VZ_MIN(seconds, (uint64_t)60);
    if (!is_endpoint || reply->digest[0] || code >= 400)
        return;
    read_etag(header(curl, "X-Linked-Etag", text, sizeof text), reply);
    if (!reply->digest[0] && !is_redirect(code))
        read_etag(header(curl, "ETag", text, sizeof text), reply);
}

enum vz_status vz_hub_get(struct vz_hub_client *client, const char *url, const char *what,
                          struct vz_hub_sink *sink, struct vz_hub_reply *reply, bool *again,
                          struct vz_error *err)
{
    char place[MAX_URL], reason[CURL_ERROR_SIZE];
    *again = false;
    *reply = (struct vz_hub_reply){0};
    if (snprintf(place, sizeof place, "%s", url) >= (int)sizeof place)
        return vz_fail(err, VZ_LIMIT, "%s: the URL is longer than %d bytes", what, MAX_URL);
    for (int hop = 0; hop <= MAX_HOPS; hop++) {
        struct call call = {.curl = client->curl, .sink = sink, .err = err};
        char *origin = origin_of(place);
        bool is_endpoint = origin && strcmp(origin, client->origin) == 0;
        free(origin);
        CURLcode code = ask(client, place, is_endpoint, &call, reason);
        long number = 0;
        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &number);
        client->reached = client->reached || number > 0;
        if (call.failed) {
            *again = call.again;
            return call.failed;
        }
        if (code != CURLE_OK)
            return fail_transfer(client, code, reason, place, what, again, err);
        note(client->curl, is_endpoint, number, reply);
        if (is_redirect(number)) {
            enum vz_status status = follow(client, place, err);
            if (status != VZ_OK)
                return status;
            continue;
        }
        if (number == 416)
            return fail_range(&call, what, again);
        if (number != 200 && number != 206)
            return fail_code(client, number, what, again, err);
        return call.started || start_body(&call) ? VZ_OK : call.failed; /* an empty body */
    }
    return vz_fail(err, VZ_CORRUPT, "%s: the hub redirects in circles", what);
}
