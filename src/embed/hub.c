/* hub.c - one model from listing to installed.
 *
 *     listing of the revision -> files picked -> room on the disk -> each file: resume, fetch,
 * check
 *     -> install (registry_install.c)
 *
 * The work folder is named after the commit, so what an interrupted pull left is only gone on with
 * when the hub still means the same files; leftovers of another commit are removed. A file is
 * `NAME.partial` until its checksum was right. A wrong one that was resumed is fetched once more
 * from the start, because a machine that lost power may have left anything in it.
 */
#include "embed/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strmap.h"
#include "embed/hub_parts.h"
#include "json/json.h"

#define DEFAULT_ENDPOINT "https://huggingface.co"
#define DEFAULT_RETRIES 5
#define DEFAULT_SILENCE_S 30
#define MAX_TRIES 200 /* a file; a line that drops every few megabytes still gets there */
#define FIRST_WAIT_MS 250
#define MAX_WAIT_MS 30000
#define MAX_LISTING_BYTES ((uint64_t)32 << 20)

struct want {
    const char *path;
    bool is_weights;
    uint64_t bytes;  /* VZ_HUB_UNKNOWN */
    char digest[65]; /* "" when not told */
    enum vz_digest_kind digest_kind;
    char sha256[65]; /* found by reading it */
};

struct pull {
    const char *store;
    const struct vz_hub_options *options;
    struct vz_arena *arena;
    struct vz_error *err;
    struct vz_hub_client *client;
    struct vz_model_ref ref;
    char commit[VZ_MODEL_REVISION_MAX];
    const char *license;
    const char **paths; /* the listing */
    struct want *listed;
    size_t listed_count;
    struct vz_model_picks picks;
    struct want *wants;   /* as picks */
    uint64_t total, done; /* bytes of all wants, of finished ones */
    char *work;
    struct vz_hub_pulled *out;
};

/* ---- asking -------------------------------------------------------------------------------- */

static void escape(struct vz_buf *out, const char *text, const char *plain)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_plain || strchr("-._~", c) || strchr(plain, c))
            vz_buf_append_char(out, (char)c);
        else
            vz_buf_printf(out, "%%%02X", c);
    }
}

/* Waits before another try. What the hub asks for goes before our own doubling. */
static enum vz_status wait_for(struct pull *p, unsigned failures, unsigned retry_after_s)
{
    uint64_t ms = VZ_MIN((uint64_t)FIRST_WAIT_MS << VZ_MIN(failures, 10u), (uint64_t)MAX_WAIT_MS);
    ms = VZ_MAX(ms, (uint64_t)retry_after_s * 1000);
    for (uint64_t waited = 0; waited < ms; waited += 50) {
        if (!vz_watch_tell(&p->options->watch, "waiting", p->done, VZ_MAX(p->total, p->done)))
            return vz_fail(p->err, VZ_CANCELLED, "stopped while downloading");
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    return VZ_OK;
}

/* Tries until it works, or until `retries` tries in a row brought nothing. */
static enum vz_status fetch(struct pull *p, const char *url, const char *what,
                            struct vz_hub_sink *sink, struct vz_hub_reply *reply)
{
    unsigned failures = 0, most = p->options->retries ? p->options->retries : DEFAULT_RETRIES;
    for (int tries = 1;; tries++) {
        uint64_t before = sink->received;
        bool again;
        enum vz_status status = vz_hub_get(p->client, url, what, sink, reply, &again, p->err);
        if (status == VZ_OK && sink->expected != VZ_HUB_UNKNOWN && sink->have < sink->expected) {
            /* An answer without a length that ended early. */
            status = vz_fail(p->err, VZ_IO, "%s: the connection broke", what);
            again = true;
        }
        if (status == VZ_OK || !again)
            return status;
        failures = sink->received > before ? 0 : failures + 1;
        if (failures >= most || tries == MAX_TRIES)
            return status;
        if (wait_for(p, failures, reply->retry_after_s) != VZ_OK)
            return VZ_CANCELLED;
        if (sink->buf) { /* small, and not bound to a commit: whole or not at all */
            vz_buf_clear(sink->buf);
            sink->have = 0;
            sink->expected = VZ_HUB_UNKNOWN;
        }
    }
}

static void file_url(const struct pull *p, const char *path, struct vz_buf *url)
{
    vz_buf_printf(url, "%s/%s/resolve/", vz_hub_endpoint(p->client), p->ref.repo);
    escape(url, p->commit, "");
    vz_buf_append_char(url, '/');
    escape(url, path, "/");
}

static const char *label(const struct pull *p, const char *path)
{
    return vz_arena_printf(p->arena, "%s of %s", path, p->ref.name);
}

static enum vz_status read_small(void *context, const char *path, struct vz_buf *out,
                                 struct vz_error *err)
{
    struct pull *p = context;
    struct vz_buf url = {0};
    struct vz_hub_sink sink = {
        .fd = -1, .buf = out, .expected = VZ_HUB_UNKNOWN, .limit = VZ_MODEL_MAX_TEXT_BYTES};
    struct vz_hub_reply reply;
    (void)err; /* it is the pull's */
    file_url(p, path, &url);
    enum vz_status status = fetch(p, url.data, label(p, path), &sink, &reply);
    vz_buf_deinit(&url);
    return status;
}

/* ---- the listing --------------------------------------------------------------------------- */

static bool is_hex(struct vz_slice text, size_t len)
{
    for (size_t i = 0; i < text.len; i++)
        if (!memchr("0123456789abcdef", text.ptr[i], 16))
            return false;
    return text.len == len;
}

static void set_digest(struct want *want, struct vz_slice hex, enum vz_digest_kind kind)
{
    memcpy(want->digest, hex.ptr, hex.len);
    want->digest[hex.len] = '\0';
    want->digest_kind = kind;
}

/* One of "siblings": rfilename, and with ?blobs=true size, blobId, lfs.{sha256,size}. */
static enum vz_status read_sibling(struct pull *p, struct vz_json sibling, struct want *want)
{
    struct vz_json value, lfs = {0};
    *want = (struct want){.bytes = VZ_HUB_UNKNOWN};
    if (!vz_json_get(sibling, "rfilename", &value) || vz_json_string(value).len == 0 ||
        memchr(vz_json_string(value).ptr, '\0', vz_json_string(value).len))
        return vz_fail(p->err, VZ_CORRUPT, "the hub's listing of %s has a file without a name",
                       p->ref.name);
    want->path = vz_arena_strdup(p->arena, vz_json_string(value));
    if (vz_json_get(sibling, "size", &value) && vz_json_type(value) != VZ_JSON_NULL) {
        if (vz_json_type(value) != VZ_JSON_INT || vz_json_int(value) < 0)
            return vz_fail(p->err, VZ_CORRUPT, "the hub's listing of %s has a size that is none",
                           p->ref.name);
        want->bytes = (uint64_t)vz_json_int(value);
    }
    if (vz_json_get(sibling, "lfs", &lfs) && vz_json_get(lfs, "sha256", &value) &&
        is_hex(vz_json_string(value), 64))
        set_digest(want, vz_json_string(value), VZ_DIGEST_SHA256);
    else if (vz_json_type(lfs) != VZ_JSON_OBJECT && vz_json_get(sibling, "blobId", &value) &&
             is_hex(vz_json_string(value), 40))
        set_digest(want, vz_json_string(value), VZ_DIGEST_GIT);
    return VZ_OK;
}

static enum vz_status read_listing(struct pull *p, struct vz_json root)
{
    struct vz_json value, siblings, sibling, card;
    if (!vz_json_get(root, "siblings", &siblings) || vz_json_type(siblings) != VZ_JSON_ARRAY)
        return vz_fail(p->err, VZ_CORRUPT, "the hub's answer about %s lists no files", p->ref.name);
    size_t count = vz_json_count(siblings);
    if (count > VZ_MODEL_MAX_LISTED)
        return vz_fail(p->err, VZ_LIMIT, "%s has %zu files, more than the limit of %d", p->ref.name,
                       count, VZ_MODEL_MAX_LISTED);
    if (vz_json_get(root, "sha", &value) && is_hex(vz_json_string(value), 40))
        memcpy(p->commit, vz_json_string(value).ptr, 40);
    else
        memcpy(p->commit, p->ref.revision, sizeof p->commit); /* a mirror that tells no commit */
    p->license = vz_json_get(root, "cardData", &card) && vz_json_get(card, "license", &value) &&
                         vz_json_string(value).len < 200
                     ? vz_arena_strdup(p->arena, vz_json_string(value))
                     : "";
    p->listed = vz_arena_zalloc(p->arena, (count + 1) * sizeof *p->listed);
    p->paths = vz_arena_zalloc(p->arena, (count + 1) * sizeof *p->paths);
    struct vz_json_iter it = vz_json_iterate(siblings);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &sibling)) {
        status = read_sibling(p, sibling, &p->listed[p->listed_count]);
        p->paths[p->listed_count] = p->listed[p->listed_count].path;
        p->listed_count++;
    }
    return status;
}

static enum vz_status get_listing(struct pull *p)
{
    struct vz_buf url = {0}, body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_hub_sink sink = {
        .fd = -1, .buf = &body, .expected = VZ_HUB_UNKNOWN, .limit = MAX_LISTING_BYTES};
    struct vz_hub_reply reply;
    vz_buf_printf(&url, "%s/api/models/%s/revision/", vz_hub_endpoint(p->client), p->ref.repo);
    escape(&url, p->ref.revision, "");
    vz_buf_append_str(&url, "?blobs=true");
    enum vz_status status = fetch(p, url.data, label(p, "the listing"), &sink, &reply);
    if (status == VZ_NOT_FOUND)
        vz_fail(p->err, status, "there is no model %s at %s (404)", p->ref.name,
                vz_hub_endpoint(p->client));
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&body), &doc, &root, NULL) != VZ_OK)
        status = vz_fail(p->err, VZ_CORRUPT, "%s answers something that is no JSON: is it a hub?",
                         vz_hub_endpoint(p->client));
    if (status == VZ_OK)
        status = read_listing(p, root);
    vz_json_free(doc);
    vz_buf_deinit(&url);
    vz_buf_deinit(&body);
    return status;
}

/* ---- planning ------------------------------------------------------------------------------ */

static uint64_t limit_of(const struct want *want)
{
    return want->is_weights ? VZ_MODEL_MAX_WEIGHTS_BYTES : VZ_MODEL_MAX_TEXT_BYTES;
}

static enum vz_status plan(struct pull *p)
{
    struct vz_model_listing listing = {p->paths, p->listed_count, read_small, p};
    enum vz_status status = vz_model_pick_files(&listing, p->arena, &p->picks, p->err);
    if (status != VZ_OK) {
        char what[sizeof p->err->text];
        snprintf(what, sizeof what, "%s", p->err->text);
        struct vz_error why = *p->err;
        vz_fail(p->err, status, "%s: %.300s", p->ref.name, what);
        memcpy(p->err->cause, why.cause, sizeof why.cause);
        return status;
    }
    p->wants = vz_arena_zalloc(p->arena, p->picks.count * sizeof *p->wants);
    for (size_t i = 0; i < p->picks.count; i++) {
        struct want *want = &p->wants[i];
        for (size_t k = 0; k < p->listed_count; k++)
            if (p->paths[k] == p->picks.items[i].path)
                *want = p->listed[k];
        want->is_weights = p->picks.items[i].is_weights;
        if (want->bytes == VZ_HUB_UNKNOWN)
            continue;
        if (want->bytes > limit_of(want))
            return vz_fail(p->err, VZ_LIMIT,
                           "%s is listed with %llu bytes, more than the limit of "
                           "%llu",
                           label(p, want->path), (unsigned long long)want->bytes,
                           (unsigned long long)limit_of(want));
        p->total += want->bytes;
    }
    if (p->total > VZ_MODEL_MAX_TOTAL_BYTES)
        return vz_fail(p->err, VZ_LIMIT,
                       "%s is listed with %llu bytes, more than the limit of %llu", p->ref.name,
                       (unsigned long long)p->total, (unsigned long long)VZ_MODEL_MAX_TOTAL_BYTES);
    return VZ_OK;
}

static enum vz_status open_work(struct pull *p)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/.pulling/%s+", p->store, p->ref.folder);
    for (const char *c = p->commit; *c && c < p->commit + 40; c++)
        vz_buf_append_char(&path, *c == '/' ? '_' : *c);
    p->work = vz_buf_take(&path);
    enum vz_status status = vz_model_clear_work(p->store, &p->ref, p->work, NULL, p->err);
    if (status == VZ_OK)
        status = vz_mkdir_all(p->work, p->err);
    if (status != VZ_OK)
        return status;
    p->out->resumed_bytes = vz_folder_bytes(p->work);
    uint64_t room = vz_disk_free_bytes(p->store);
    uint64_t need = p->total - VZ_MIN(p->total, p->out->resumed_bytes);
    if (room && need > room)
        return vz_fail(p->err, VZ_DISK_FULL, "%s needs %.1f MB more in %s, where %.1f MB are free",
                       p->ref.name, (double)need / 1e6, p->store, (double)room / 1e6);
    return VZ_OK;
}

/* ---- fetching ------------------------------------------------------------------------------ */

/* VZ_OK with *good: is the file at `path` the one that is wanted? */
static enum vz_status check(struct pull *p, struct want *want, const char *path, bool *good)
{
    struct stat info;
    char digest[65];
    *good = false;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return VZ_OK;
    uint64_t bytes = (uint64_t)info.st_size;
    if (want->bytes != VZ_HUB_UNKNOWN && want->bytes != bytes)
        return VZ_OK;
    enum vz_status status = vz_file_digest(path, VZ_DIGEST_SHA256, &p->options->watch, p->done,
                                           VZ_MAX(p->total, p->done + bytes), want->sha256, p->err);
    if (status == VZ_OK && want->digest[0] && want->digest_kind == VZ_DIGEST_GIT)
        status = vz_file_digest(path, VZ_DIGEST_GIT, NULL, 0, 0, digest, p->err);
    else
        memcpy(digest, want->sha256, sizeof digest);
    want->bytes = status == VZ_OK ? bytes : want->bytes;
    *good = status == VZ_OK && (!want->digest[0] || strcmp(digest, want->digest) == 0);
    return status;
}

/* One download into the partial file, going on at its end. *resumed: it had bytes. */
static enum vz_status download(struct pull *p, struct want *want, const char *partial,
                               bool *resumed)
{
    struct vz_buf url = {0};
    struct vz_hub_reply reply = {0};
    int fd = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return vz_fail_errno(p->err, errno, "cannot create %s", partial);
    off_t end = lseek(fd, 0, SEEK_END);
    struct vz_hub_sink sink = {.fd = fd,
                               .folder = p->store,
                               .have = end > 0 ? (uint64_t)end : 0,
                               .expected = want->bytes,
                               .limit = limit_of(want),
                               .watch = &p->options->watch,
                               .done_before = p->done,
                               .total = p->total};
    enum vz_status status = VZ_OK;
    if (sink.have > VZ_MIN(sink.expected, sink.limit)) {
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            status = vz_fail_errno(p->err, errno, "cannot empty %s", partial);
        sink.have = 0;
    }
    *resumed = sink.have > 0;
    file_url(p, want->path, &url);
    /* A partial file that is whole already is only checked. */
    if (status == VZ_OK && (sink.have == 0 || sink.have != sink.expected))
        status = fetch(p, url.data, label(p, want->path), &sink, &reply);
    if (status == VZ_OK && fsync(fd) != 0)
        status = vz_fail_errno(p->err, errno, "cannot write %s", partial);
    if (close(fd) != 0 && status == VZ_OK)
        status = vz_fail_errno(p->err, errno, "cannot write %s", partial);
    if (status == VZ_DISK_FULL)
        vz_fail_cause(p->err, "what was downloaded is kept: make room and run the same command "
                              "again to go on");
    p->out->fetched_bytes += sink.received;
    if (!want->digest[0] && reply.digest[0])
        set_digest(want, vz_slice_from(reply.digest), reply.digest_kind);
    vz_buf_deinit(&url);
    return status;
}

static enum vz_status fetch_checked(struct pull *p, struct want *want, const char *partial,
                                    const char *final)
{
    bool good = false, resumed = true;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && !good && resumed) {
        status = download(p, want, partial, &resumed);
        if (status == VZ_OK)
            status = check(p, want, partial, &good);
        if (status == VZ_OK && !good && unlink(partial) != 0)
            status = vz_fail_errno(p->err, errno, "cannot remove %s", partial);
    }
    if (status == VZ_OK && !good)
        status =
            vz_fail(p->err, VZ_CORRUPT,
                    "%s: the checksum is wrong; the download was removed. Try again, and if it "
                    "stays wrong, another HF_ENDPOINT",
                    label(p, want->path));
    if (status == VZ_OK && rename(partial, final) != 0)
        status = vz_fail_errno(p->err, errno, "cannot rename %s", partial);
    return status;
}

static enum vz_status fetch_one(struct pull *p, struct want *want)
{
    struct vz_buf final = {0}, partial = {0};
    bool good = false;
    vz_buf_printf(&final, "%s/%s", p->work, want->path);
    vz_buf_printf(&partial, "%s.partial", final.data);
    enum vz_status status = vz_make_parents(final.data, p->err);
    /* Without a checksum from the listing an old file proves nothing; it is fetched again. */
    if (status == VZ_OK && want->digest[0])
        status = check(p, want, final.data, &good);
    if (status == VZ_OK && !good)
        status = fetch_checked(p, want, partial.data, final.data);
    if (status == VZ_OK) {
        p->out->unchecked_count += want->digest[0] == '\0';
        p->done += want->bytes;
    }
    vz_buf_deinit(&final);
    vz_buf_deinit(&partial);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static enum vz_status install(struct pull *p)
{
    struct vz_model *model = &p->out->model;
    *model = (struct vz_model){.license = p->license, .type = ""};
    model->name = vz_arena_strdup(p->arena, vz_slice_from(p->ref.name));
    model->source = vz_arena_printf(p->arena, "%s/%s", vz_hub_endpoint(p->client), p->ref.repo);
    model->revision = vz_arena_strdup(p->arena, vz_slice_from(p->ref.revision));
    model->commit = vz_arena_strdup(p->arena, vz_slice_from(p->commit));
    model->files = vz_arena_zalloc(p->arena, p->picks.count * sizeof *model->files);
    model->file_count = p->picks.count;
    for (size_t i = 0; i < p->picks.count; i++) {
        model->files[i].path = p->wants[i].path;
        model->files[i].bytes = p->wants[i].bytes;
        memcpy(model->files[i].sha256, p->wants[i].sha256, sizeof p->wants[i].sha256);
    }
    return vz_model_install(p->store, &p->ref, p->work, &p->picks, p->arena, model, p->err);
}

static enum vz_status pull_locked(struct pull *p)
{
    struct vz_buf place = {0};
    struct vz_model installed;
    vz_buf_printf(&place, "%s/%s", p->store, p->ref.folder);
    bool is_there = vz_model_read(place.data, p->arena, &installed, NULL) == VZ_OK;
    vz_buf_deinit(&place);
    if (is_there) {
        p->out->model = installed;
        p->out->was_installed = true;
        if (!p->options->update)
            return VZ_OK;
    }
    enum vz_status status = get_listing(p);
    if (status != VZ_OK || (is_there && strcmp(installed.commit, p->commit) == 0))
        return status;
    p->out->was_installed = false;
    status = plan(p);
    if (status == VZ_OK)
        status = open_work(p);
    for (size_t i = 0; status == VZ_OK && i < p->picks.count; i++)
        status = fetch_one(p, &p->wants[i]);
    return status == VZ_OK ? install(p) : status;
}

static const char *setting(const char *given, const char *variable, const char *otherwise)
{
    const char *from_env = getenv(variable);
    return given ? given : from_env && *from_env ? from_env : otherwise;
}

enum vz_status vz_hub_pull(const char *store, const char *name,
                           const struct vz_hub_options *options, struct vz_arena *arena,
                           struct vz_hub_pulled *out, struct vz_error *err)
{
    struct vz_error mine = {0};
    struct pull p = {.store = store,
                     .options = options,
                     .arena = arena,
                     .out = out,
                     .err = err ? err : &mine,
                     .license = ""};
    int lock = -1;
    *out = (struct vz_hub_pulled){0};
    enum vz_status status = vz_model_ref_hub(name, &p.ref, p.err);
    if (status == VZ_OK)
        status = vz_hub_client_new(setting(options->endpoint, "HF_ENDPOINT", DEFAULT_ENDPOINT),
                                   setting(options->token, "HF_TOKEN", ""),
                                   options->silence_s ? options->silence_s : DEFAULT_SILENCE_S,
                                   &p.client, p.err);
    if (status == VZ_OK)
        status = vz_model_lock(store, &p.ref, &lock, p.err);
    if (status == VZ_OK)
        status = pull_locked(&p);
    vz_model_unlock(lock);
    vz_hub_client_free(p.client);
    free(p.work);
    return status;
}
