/* `vizsla index`: any folder's pictures into an index, again and again.
 *
 * First the folders are walked and the index is asked what it has; what has the same size and time
 * is left alone, the rest goes through the pipeline (pipeline.h). The cores do nothing but look at
 * pictures: sending a document costs about a thousandth of making it.
 *
 * Each document is written whole or not, and what is written is never written twice without need,
 * so there is nothing to clean up after Ctrl-C, a crash or a power cut: the same command goes on.
 */
#include "cli/cli.h"
#include "cli/lens.h"
#include "cli/pipeline.h"

#include "app/pictures.h"
#include "app/walk.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strmap.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN_FAILURES 20

/* What the index knows about a file. */
struct known {
    uint64_t size;
    int64_t modified_ms;
    char content_hash[33];
    bool seen; /* it is still there */
};

enum outcome { ADDED, CHANGED, TOUCHED, FAILED };

struct failure {
    char *path, *reason;
};

struct work {
    const struct vz_lens *lens;
    const struct vz_image_limits *limits;
    struct vz_walk_file *files; /* to be looked at */
    size_t count;
    struct vz_strmap at; /* path -> place in known */
    struct known *known;
    size_t known_count, known_capacity;
    const char *index;
    const struct vz_transport *transport;
    struct tally *tally;
};

struct tally {
    size_t added, changed, touched, unchanged, removed, gone;
    struct failure *failures;
    size_t failure_count, failure_capacity;
    uint64_t look_ns;
    bool stopped;
};

struct index_options {
    const char *index, *url, *failures;
    struct vz_lens_want want;
    struct vz_image_limits limits;
    struct vz_walk_options walk;
    bool prune, force, json;
};

static void note_failure(struct tally *tally, const char *path, const char *reason)
{
    if (tally->failure_count == tally->failure_capacity) {
        tally->failure_capacity = VZ_MAX((size_t)16, tally->failure_capacity * 2);
        tally->failures =
            vz_realloc(tally->failures, tally->failure_capacity * sizeof *tally->failures);
    }
    tally->failures[tally->failure_count++] = (struct failure){vz_strdup(path), vz_strdup(reason)};
}

/* ---- what is there ------------------------------------------------------------------------- */

static enum vz_status note_known(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct work *work = context;
    struct vz_json value;
    struct known known = {0};
    (void)err;
    if (!vz_json_get(hit->source, "path", &value))
        return VZ_OK;
    struct vz_slice path = vz_json_string(value);
    if (vz_json_get(hit->source, "size", &value))
        known.size = (uint64_t)vz_json_int(value);
    if (vz_json_get(hit->source, "modified", &value))
        known.modified_ms = vz_json_int(value);
    if (vz_json_get(hit->source, "content_hash", &value))
        snprintf(known.content_hash, sizeof known.content_hash, "%.*s",
                 (int)VZ_MIN(vz_json_string(value).len, (size_t)32), vz_json_string(value).ptr);
    if (work->known_count == work->known_capacity) {
        work->known_capacity = VZ_MAX((size_t)256, work->known_capacity * 2);
        work->known = vz_realloc(work->known, work->known_capacity * sizeof *work->known);
    }
    vz_strmap_put(&work->at, path, work->known_count);
    work->known[work->known_count++] = known;
    return VZ_OK;
}

/* Documents of files below the folders: {"bool":{"should":[{"prefix":{"path":"/a/"}}]}} */
static void put_below(struct vz_buf *out, char **roots, size_t count)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    vz_json_key(&w, "bool");
    vz_json_begin_object(&w);
    vz_json_key(&w, "should");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf prefix = {0};
        vz_buf_printf(&prefix, "%s/", strcmp(roots[i], "/") ? roots[i] : "");
        vz_json_begin_object(&w);
        vz_json_key(&w, "prefix");
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "path", prefix.data);
        vz_json_end_object(&w);
        vz_json_end_object(&w);
        vz_buf_deinit(&prefix);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    vz_json_end_object(&w);
}

static struct known *known_of(const struct work *work, const char *path)
{
    uint64_t at;
    return vz_strmap_get(&work->at, vz_slice_from(path), &at) ? &work->known[at] : NULL;
}

/* Keeps in work->files what must be looked at; the list is the walk's. */
static void choose_files(struct work *work, struct vz_walk *walk, struct tally *tally)
{
    work->files = vz_alloc(VZ_MAX(walk->count, (size_t)1) * sizeof *work->files);
    for (size_t i = 0; i < walk->count; i++) {
        struct known *known = known_of(work, walk->files[i].path);
        if (known)
            known->seen = true;
        if (known && known->size == walk->files[i].size &&
            known->modified_ms == walk->files[i].modified_ms)
            tally->unchanged++;
        else
            work->files[work->count++] = walk->files[i];
    }
}

/* ---- looking ------------------------------------------------------------------------------- */

static void put_action(struct vz_buf *out, const char *verb, const char *path)
{
    char id[33];
    vz_picture_id(path, id);
    vz_buf_printf(out, "{\"%s\":{\"_id\":\"%s\"}}\n", verb, id);
}

/* Same bytes under the same name: only what the file system says is new. */
static void put_touch(struct vz_buf *out, const struct vz_walk_file *file)
{
    put_action(out, "update", file->path);
    vz_buf_printf(out, "{\"doc\":{\"size\":%llu,\"modified\":%lld}}\n",
                  (unsigned long long)file->size, (long long)file->modified_ms);
}

static void look(void *context, size_t at, float *vector, struct vz_looked *looked)
{
    const struct work *work = context;
    const struct vz_walk_file *file = &work->files[at];
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    struct vz_picture picture = {
        .path = file->path, .size = file->size, .modified_ms = file->modified_ms};
    const struct known *known = known_of(work, file->path);
    size_t most = work->limits->max_bytes ? work->limits->max_bytes : (size_t)100 << 20;
    looked->outcome = known ? CHANGED : ADDED;
    enum vz_status status = vz_file_read(file->path, most, &bytes, &err);
    if (status == VZ_OK) {
        vz_dog_hash(vz_buf_slice(&bytes), picture.content_hash);
        if (known && strcmp(known->content_hash, picture.content_hash) == 0) {
            looked->outcome = TOUCHED;
            put_touch(&looked->action, file);
            vz_buf_deinit(&bytes);
            return;
        }
        status = vz_picture_look(vz_buf_slice(&bytes), work->limits, work->lens->images, &picture,
                                 vector, &err);
    }
    vz_buf_deinit(&bytes);
    if (status != VZ_OK) {
        looked->outcome = FAILED;
        looked->reason = vz_strdup(err.text);
        return;
    }
    put_action(&looked->action, "index", file->path);
    struct vz_json_writer w = vz_json_writer_on(&looked->action);
    vz_picture_put(&w, &picture);
    vz_buf_append_char(&looked->action, '\n');
}

static const char *path_of(void *context, size_t at)
{
    return ((const struct work *)context)->files[at].path;
}

static void note_looked(void *context, const struct vz_looked *looked)
{
    struct work *work = context;
    note_failure(work->tally, work->files[looked->at].path, looked->reason);
}

/* ---- sending ------------------------------------------------------------------------------- */

struct sending {
    struct work *work;
    const struct vz_looked *items;
};

static void note_written(void *context, size_t i, const struct vz_api_written *written)
{
    const struct sending *sending = context;
    struct tally *tally = sending->work->tally;
    const struct vz_looked *item = &sending->items[i];
    if (written->failure)
        note_failure(tally, sending->work->files[item->at].path, written->failure->text);
    else if (item->outcome == ADDED)
        tally->added++;
    else if (item->outcome == CHANGED)
        tally->changed++;
    else
        tally->touched++;
}

static enum vz_status send(void *context, struct vz_slice body, const struct vz_looked *items,
                           size_t count, struct vz_error *err)
{
    struct work *work = context;
    struct sending sending = {work, items};
    return vz_api_bulk(work->transport, work->index, body, count, false, note_written, &sending,
                       err);
}

static enum vz_status look_at_all(struct work *work, struct vz_error *err)
{
    struct vz_progress progress;
    const struct vz_pipeline pipeline = {.count = work->count,
                                         .dims = work->lens->model.dims,
                                         .progress = &progress,
                                         .context = work,
                                         .path = path_of,
                                         .look = look,
                                         .send = send,
                                         .failed = note_looked};
    uint64_t began = vz_now_ns();
    vz_progress_start(&progress, "indexing", work->count);
    enum vz_status status = vz_pipeline_run(&pipeline, err);
    vz_progress_end(&progress);
    work->tally->look_ns = vz_now_ns() - began;
    return status;
}

/* ---- what is gone -------------------------------------------------------------------------- */

struct pruning {
    const struct work *work;
    const struct vz_walk *walk;
    struct vz_buf body;
    size_t count;
    struct tally *tally;
    const struct vz_transport *transport;
    const char *index;
};

/* Nothing is known about what is in a folder that could not be read. */
static bool is_unknown(const struct vz_walk *walk, struct vz_slice path)
{
    for (size_t i = 0; i < walk->failure_count; i++) {
        size_t len = strlen(walk->failures[i].path);
        if (walk->failures[i].is_folder && path.len > len &&
            memcmp(path.ptr, walk->failures[i].path, len) == 0 &&
            (path.ptr[len] == '/' || len == 1))
            return true;
    }
    return false;
}

static void note_pruned(void *context, size_t i, const struct vz_api_written *written)
{
    struct tally *tally = context;
    (void)i;
    if (written->failure)
        note_failure(tally, "(removing)", written->failure->text);
    else
        tally->removed++;
}

static enum vz_status prune_some(struct pruning *pruning, struct vz_error *err)
{
    if (!pruning->count)
        return VZ_OK;
    enum vz_status status =
        vz_api_bulk(pruning->transport, pruning->index, vz_buf_slice(&pruning->body),
                    pruning->count, false, note_pruned, pruning->tally, err);
    pruning->count = 0;
    vz_buf_clear(&pruning->body);
    return status;
}

/* A file that is there but hidden, excluded or no longer reached counts as gone: it would not be
 * indexed now. */
static enum vz_status prune_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct pruning *pruning = context;
    struct vz_json value;
    uint64_t at;
    if (!vz_json_get(hit->source, "path", &value))
        return VZ_OK;
    struct vz_slice path = vz_json_string(value);
    if (!vz_strmap_get(&pruning->work->at, path, &at) || pruning->work->known[at].seen ||
        is_unknown(pruning->walk, path))
        return VZ_OK;
    vz_buf_append_str(&pruning->body, "{\"delete\":{\"_id\":");
    struct vz_json_writer w = vz_json_writer_on(&pruning->body);
    vz_json_put_string(&w, hit->id);
    vz_buf_append_str(&pruning->body, "}}\n");
    pruning->count++;
    return pruning->count == 1000 ? prune_some(pruning, err) : VZ_OK;
}

static enum vz_status prune(const struct work *work, const struct vz_walk *walk,
                            const struct vz_transport *transport, const char *index,
                            const char *query, struct tally *tally, struct vz_error *err)
{
    struct pruning pruning = {
        .work = work, .walk = walk, .tally = tally, .transport = transport, .index = index};
    const struct vz_api_scan scan = {.query = query, .source = "[\"path\"]"};
    enum vz_status status = vz_api_scan(transport, index, &scan, prune_one, &pruning, err);
    if (status == VZ_OK)
        status = prune_some(&pruning, err);
    vz_buf_deinit(&pruning.body);
    return status;
}

static enum vz_status handle_gone(const struct index_options *options, const struct work *work,
                                  const struct vz_walk *walk, const struct vz_transport *transport,
                                  const char *query, struct tally *tally, struct vz_error *err)
{
    for (size_t i = 0; i < work->known_count; i++)
        tally->gone += !work->known[i].seen;
    if (!options->prune || !tally->gone)
        return VZ_OK;
    if (!walk->count && !options->force)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "there is no picture left, and --prune would remove all %zu documents; is "
                       "the disk mounted? --force removes them",
                       tally->gone);
    return prune(work, walk, transport, options->index, query, tally, err);
}

/* ---- telling ------------------------------------------------------------------------------- */

static void put_failures(struct vz_json_writer *w, const struct tally *tally)
{
    vz_json_begin_array(w);
    for (size_t i = 0; i < tally->failure_count; i++) {
        vz_json_begin_object(w);
        vz_json_field_str(w, "path", tally->failures[i].path);
        vz_json_field_str(w, "reason", tally->failures[i].reason);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static double per_second(const struct tally *tally)
{
    double seconds = (double)tally->look_ns / 1e9;
    return seconds > 0 ? (double)(tally->added + tally->changed) / seconds : 0;
}

static void print_json(const struct index_options *options, const struct tally *tally,
                       const struct vz_walk *walk, const struct vz_lens *lens, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_field_str(&w, "index", options->index);
    vz_json_field_str(&w, "model", lens->model.name);
    vz_json_field_int(&w, "pictures", (int64_t)walk->count);
    vz_json_field_int(&w, "added", (int64_t)tally->added);
    vz_json_field_int(&w, "changed", (int64_t)tally->changed);
    vz_json_field_int(&w, "touched", (int64_t)tally->touched);
    vz_json_field_int(&w, "unchanged", (int64_t)tally->unchanged);
    vz_json_field_int(&w, "removed", (int64_t)tally->removed);
    vz_json_field_int(&w, "gone", (int64_t)(tally->gone - VZ_MIN(tally->gone, tally->removed)));
    vz_json_field_int(&w, "other_files", (int64_t)walk->other_count);
    vz_json_field_int(&w, "left_out", (int64_t)walk->left_out_count);
    vz_json_field_bool(&w, "stopped", tally->stopped);
    vz_json_field_double(&w, "seconds", (double)tally->look_ns / 1e9);
    vz_json_field_double(&w, "per_second", per_second(tally));
    vz_json_key(&w, "failed");
    put_failures(&w, tally);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void print_failures(const struct tally *tally, bool has_file)
{
    size_t shown =
        has_file ? VZ_MIN(tally->failure_count, (size_t)SHOWN_FAILURES) : tally->failure_count;
    for (size_t i = 0; i < shown; i++) {
        struct vz_buf line = {0};
        vz_term_text(&line, vz_slice_from(tally->failures[i].path), INT_MAX);
        vz_buf_append_str(&line, ": ");
        vz_term_text(&line, vz_slice_from(tally->failures[i].reason), INT_MAX);
        fprintf(stderr, "vizsla: not indexed: %s\n", line.data);
        vz_buf_deinit(&line);
    }
    if (shown < tally->failure_count)
        fprintf(stderr, "vizsla: and %zu more, in the file\n", tally->failure_count - shown);
}

static void print_text(const struct index_options *options, const struct tally *tally,
                       const struct vz_walk *walk, const char *where)
{
    print_failures(tally, options->failures);
    printf("%zu added, %zu changed, %zu unchanged", tally->added, tally->changed,
           tally->unchanged + tally->touched);
    if (tally->removed)
        printf(", %zu removed", tally->removed);
    if (tally->failure_count)
        printf(", %zu failed", tally->failure_count);
    if (tally->added + tally->changed)
        printf("; %.1f a second", per_second(tally));
    printf(" (index %s, %s)\n", options->index, where);
    if (tally->gone > tally->removed)
        printf("%zu files of the index are gone; --prune takes them out.\n",
               tally->gone - tally->removed);
    if (!walk->count)
        printf("No picture was found (%zu other files, %zu left out: hidden, excluded, links).\n",
               walk->other_count, walk->left_out_count);
    if (tally->stopped)
        printf("Stopped; run it again to go on.\n");
}

/* One JSON object a line, so that a name may hold anything. */
static enum vz_status write_failures(const char *path, const struct tally *tally,
                                     struct vz_error *err)
{
    struct vz_buf out = {0};
    vz_buf_reserve(&out, 1);
    for (size_t i = 0; i < tally->failure_count; i++) {
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "path", tally->failures[i].path);
        vz_json_field_str(&w, "reason", tally->failures[i].reason);
        vz_json_end_object(&w);
        vz_buf_append_char(&out, '\n');
    }
    enum vz_status status = vz_file_write_atomic(path, out.data, out.len, err);
    vz_buf_deinit(&out);
    return status;
}

/* ---- the command --------------------------------------------------------------------------- */

static enum vz_status walk_all(char **roots, size_t count, const struct index_options *options,
                               struct vz_walk *walk, struct tally *tally, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        status = vz_walk_folder(roots[i], &options->walk, walk, err);
    vz_walk_sort(walk);
    for (size_t i = 0; i < walk->failure_count; i++)
        note_failure(tally, walk->failures[i].path, walk->failures[i].reason);
    return status;
}

static enum vz_status run(struct index_options *options, char **roots, size_t root_count,
                          const struct vz_transport *transport, const struct vz_lens *lens,
                          struct vz_walk *walk, struct tally *tally, struct vz_error *err)
{
    struct work *work = vz_calloc(1, sizeof *work);
    struct vz_buf below = {0};
    bool is_new;
    enum vz_status status = walk_all(roots, root_count, options, walk, tally, err);
    put_below(&below, roots, root_count);
    if (status == VZ_OK)
        status = vz_picture_create_index(transport, options->index, &lens->model, &is_new, err);
    if (status == VZ_OK && is_new)
        vz_lens_say(lens, options->index);
    if (status == VZ_OK && !is_new) {
        const struct vz_api_scan scan = {
            .query = below.data, .source = "[\"path\",\"size\",\"modified\",\"content_hash\"]"};
        status = vz_api_refresh(transport, options->index, err);
        if (status == VZ_OK)
            status = vz_api_scan(transport, options->index, &scan, note_known, work, err);
    }
    if (status == VZ_OK) {
        choose_files(work, walk, tally);
        work->lens = lens;
        work->limits = &options->limits;
        work->transport = transport;
        work->index = options->index;
        work->tally = tally;
        status = look_at_all(work, err);
    }
    tally->stopped = vz_stop_asked();
    if (status == VZ_OK && !tally->stopped)
        status = handle_gone(options, work, walk, transport, below.data, tally, err);
    if (status == VZ_OK)
        status = vz_api_refresh(transport, options->index, err);
    vz_buf_deinit(&below);
    vz_strmap_deinit(&work->at);
    free(work->known);
    free(work->files);
    free(work);
    return status;
}

/* Absolute names of the folders; NULL when one is not there. */
static char **resolve_roots(char **words, size_t count)
{
    char **roots = vz_calloc(count, sizeof *roots);
    struct vz_error err = {0};
    for (size_t i = 0; i < count; i++) {
        roots[i] = realpath(words[i], NULL);
        if (roots[i])
            continue;
        vz_fail(&err, VZ_NOT_FOUND, "there is no folder %s", words[i]);
        vz_complain(&err);
        for (size_t j = 0; j < i; j++)
            free(roots[j]);
        free(roots);
        return NULL;
    }
    return roots;
}

static int do_index(struct index_options *options, char **words, size_t count)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_lens lens = {0};
    struct vz_walk walk = {0};
    struct tally tally = {0};
    int code = VZ_EXIT_FAILED;
    char **roots = resolve_roots(words, count);
    if (!roots)
        return VZ_EXIT_FAILED;
    vz_stop_watch();
    /* A core a picture, from its bytes to its vector: handing parts to other threads only waits. */
    options->want.options.threads = 1;
    setenv("VIPS_CONCURRENCY", "1", 0);
    if (vz_image_start(&err) != VZ_OK ||
        vz_reach_new(options->url, options->want.data, true, &reach, &err) != VZ_OK ||
        vz_lens_open_for(&options->want, vz_reach_transport(reach), options->index, &lens, &err) !=
            VZ_OK ||
        run(options, roots, count, vz_reach_transport(reach), &lens, &walk, &tally, &err) !=
            VZ_OK ||
        (options->failures && write_failures(options->failures, &tally, &err) != VZ_OK)) {
        if (err.status == VZ_CANCELLED)
            tally.stopped = true;
        vz_complain(&err);
    } else {
        if (options->json)
            print_json(options, &tally, &walk, &lens, vz_reach_where(reach));
        else
            print_text(options, &tally, &walk, vz_reach_where(reach));
        code = tally.failure_count || tally.stopped ? VZ_EXIT_PARTLY : VZ_EXIT_OK;
    }
    for (size_t i = 0; i < count; i++)
        free(roots[i]);
    free(roots);
    for (size_t i = 0; i < tally.failure_count; i++) {
        free(tally.failures[i].path);
        free(tally.failures[i].reason);
    }
    free(tally.failures);
    vz_walk_deinit(&walk);
    vz_lens_close(&lens);
    vz_reach_free(reach);
    return code;
}

int vz_cli_index(int argc, char **argv)
{
    struct index_options options = {.index = VZ_PICTURE_INDEX, .walk = {.stop = vz_stop_asked}};
    struct vz_arg_list excluded = {0};
    const char *precision = "auto";
    long megapixels = 0;
    const struct vz_arg args[] = {
        {"--index", VZ_ARG_TEXT, &options.index, "NAME",
         "the index (default: " VZ_PICTURE_INDEX ")", 0, 0},
        {"--model", VZ_ARG_TEXT, &options.want.model, "NAME",
         "an installed model, a model's folder or eye (default: what the index has)", 0, 0},
        {"--precision", VZ_ARG_TEXT, &precision, "P",
         "auto, f32, bf16 or int8: how exactly the model computes (default auto)", 0, 0},
        {"--prune", VZ_ARG_FLAG, &options.prune, NULL, "take out what is no longer below FOLDER", 0,
         0},
        {"--force", VZ_ARG_FLAG, &options.force, NULL, "prune although no picture is left at all",
         0, 0},
        {"--failures", VZ_ARG_TEXT, &options.failures, "FILE",
         "write what failed there, a JSON object a line", 0, 0},
        {"--exclude", VZ_ARG_LIST, &excluded, "PATTERN",
         "leave out names or whole paths like this (* and ?; may be repeated)", 0, 0},
        {"--hidden", VZ_ARG_FLAG, &options.walk.hidden, NULL,
         "also names that begin with a dot, and folders with a .nomedia file", 0, 0},
        {"--follow", VZ_ARG_FLAG, &options.walk.follow, NULL, "follow links", 0, 0},
        {"--max-megapixels", VZ_ARG_NUMBER, &megapixels, "N",
         "refuse larger pictures (default 100)", 1, 10000},
        {"--data", VZ_ARG_TEXT, &options.want.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &options.url, "URL", "a server, here or on another machine", 0, 0},
        {"--json", VZ_ARG_FLAG, &options.json, NULL, "print the summary as JSON", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "index",
        .usage = "vizsla index FOLDER... [options]",
        .summary =
            "Puts the pictures below a folder into an index, for `vizsla search` and `dedupe`.",
        .details =
            "Run it again at any time: a file of the same size and time is left alone, one with "
            "the\n"
            "same content only gets its new time, one with another content is looked at again. It "
            "can\n"
            "be stopped with Ctrl-C and goes on where it was. Files that fail are told in the end "
            "and\n"
            "tried again the next time.\n"
            "Hidden names, folders with a .nomedia file, thumbnails of file servers (@eaDir), "
            "waste\n"
            "folders and links are left out. A picture is known by its name's ending.\n"
            "The first run decides which model the index has: --model, else clip-ViT-B-32 where "
            "it\n"
            "is installed, else the built-in eye. `vizsla reindex` changes it later.\n"
            "Exit code: 0 all done, 1 files failed or it was stopped, 2 it could not be done.",
        .examples = "  vizsla index ~/Pictures\n"
                    "  vizsla index /srv/photos --index photos --prune --exclude '*/thumbs/*'",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (!rest || !vz_precision_parse(vz_slice_from(precision), &options.want.options.precision)) {
        fprintf(stderr, "vizsla index: expected a folder, and a precision of auto, f32, bf16 or "
                        "int8; see `vizsla index --help`\n");
        return VZ_EXIT_FAILED;
    }
    options.limits.max_megapixels = (double)megapixels;
    options.walk.excluded = excluded.items;
    options.walk.excluded_count = excluded.count;
    return do_index(&options, argv + 1, (size_t)rest);
}
