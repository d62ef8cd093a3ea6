/* `vizsla reindex`: the pictures of an index looked at again with another model.
 *
 * States: the plan (names, leftovers of an interrupted run) -> a pass over the old index, page by
 * page: each document's picture is looked at again and the document written into the new index with
 * its new vector -> surveys of what was written, changed or deleted in the old index meanwhile, and
 * passes over just that, until there is nothing -> writes to the old index are held up for the
 * moment of the last survey -> the swap, one request. Searches go on throughout, on the old index
 * until the swap.
 *
 * Before the swap nothing of the old index has changed: Ctrl-C, an error or a crash costs only what
 * was made. A document whose picture cannot be looked at is told, and goes along without a vector
 * (its owner's telephone number is worth more than a tidy index), or stays behind with --drop-gone.
 */
#include "cli/cli.h"
#include "cli/lens.h"
#include "cli/pipeline.h"

#include "app/pictures.h"
#include "app/reindex.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strmap.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 256
#define MAX_ROUNDS 5 /* of catching up with somebody who writes all the time */

struct page_item {
    struct vz_slice id, path, source; /* in the page's arena */
    uint64_t seq_no;
};

/* A document of the old index that the new one has. */
struct seen {
    struct vz_slice id; /* in job->ids */
    uint64_t seq_no;
    unsigned round; /* of the last survey that met it */
    bool deleted, left_out;
};

struct reindex_options {
    const char *index, *url;
    struct vz_lens_want want;
    struct vz_image_limits limits;
    bool resume, drop_old, drop_gone, json;
};

struct job {
    const struct reindex_options *options;
    struct vz_reindex plan;
    struct vz_lens lens;
    struct vz_strmap at; /* id -> place in seen */
    struct vz_arena ids;
    struct seen *seen;
    size_t seen_count, seen_capacity;
    uint64_t total, largest_seq_no;

    struct vz_arena arena; /* of the page */
    struct page_item page[PAGE];
    size_t page_count;
    size_t copied; /* documents with a picture that was looked at */
    struct lost {
        char *id, *path, *reason;
    } * lost;
    size_t lost_count, lost_capacity;

    unsigned round;
    size_t changed; /* found by the last survey */
    struct vz_progress progress;
    struct vz_error write_error; /* of a single document */
    uint64_t took_ns;
};

static struct seen *seen_of(const struct job *job, struct vz_slice id)
{
    uint64_t at;
    return vz_strmap_get(&job->at, id, &at) ? &job->seen[at] : NULL;
}

static struct seen *mark_seen(struct job *job, struct vz_slice id, uint64_t seq_no)
{
    struct seen *seen = seen_of(job, id);
    if (!seen) {
        if (job->seen_count == job->seen_capacity) {
            job->seen_capacity = VZ_MAX((size_t)1024, job->seen_capacity * 2);
            job->seen = vz_realloc(job->seen, job->seen_capacity * sizeof *job->seen);
        }
        vz_strmap_put(&job->at, id, job->seen_count);
        seen = &job->seen[job->seen_count++];
        seen->id = vz_arena_copy(&job->ids, id);
    }
    seen->seq_no = seq_no;
    seen->round = job->round;
    seen->deleted = seen->left_out = false;
    return seen;
}

/* ---- one document -------------------------------------------------------------------------- */

static void put_id(struct vz_buf *out, const char *verb, struct vz_slice id)
{
    vz_buf_printf(out, "{\"%s\":{\"_id\":", verb);
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_string(&w, id);
    vz_buf_append_str(out, "}}\n");
}

static bool is_key_of(struct vz_slice key, struct vz_json made)
{
    struct vz_json_iter it = vz_json_iterate(made);
    struct vz_slice other;
    struct vz_json value;
    while (vz_json_next(&it, &other, &value))
        if (vz_slice_eq(key, other))
            return true;
    return false;
}

/* The old document's members but for its vector and what `made` has, then those of `made`. */
static void put_document(struct vz_buf *out, struct vz_slice source, const char *vector_field,
                         struct vz_slice made)
{
    struct vz_json_doc *old_doc = NULL, *made_doc = NULL;
    struct vz_json old = {0}, fresh = {0}, value;
    struct vz_slice key;
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_parse(source, &old_doc, &old, NULL);
    if (made.len)
        vz_json_parse(made, &made_doc, &fresh, NULL);
    vz_json_begin_object(&w);
    struct vz_json_iter it = vz_json_iterate(old);
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, vector_field) || is_key_of(key, fresh))
            continue;
        vz_json_key_slice(&w, key);
        vz_json_put_value(&w, value);
    }
    it = vz_json_iterate(fresh);
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(&w, key);
        vz_json_put_value(&w, value);
    }
    vz_json_end_object(&w);
    vz_json_free(old_doc);
    vz_json_free(made_doc);
    vz_buf_append_char(out, '\n');
}

/* The members that the picture decides, with the new vector. */
static enum vz_status look_again(const struct job *job, const struct page_item *item, float *vector,
                                 struct vz_buf *made, struct vz_error *err)
{
    char *path = vz_strndup(item->path.ptr, item->path.len);
    struct vz_buf bytes = {0};
    struct vz_picture picture = {.path = path};
    enum vz_status status = vz_file_read(path, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK)
        status = vz_picture_look(vz_buf_slice(&bytes), &job->options->limits, job->lens.images,
                                 &picture, vector, err);
    if (status == VZ_OK) {
        struct vz_json_writer w = vz_json_writer_on(made);
        struct vz_buf numbers = {0};
        bool is_dog = strcmp(job->plan.path_field, "image_path") == 0;
        vz_dog_hash(vz_buf_slice(&bytes), picture.content_hash);
        vz_json_append_floats(&numbers, vector, job->lens.model.dims);
        vz_json_begin_object(&w);
        if (!is_dog) /* made from the decoded pixels, as this model has them decoded */
            vz_json_field_str(&w, "pixel_hash", picture.pixel_hash);
        if (job->plan.hash_field[0])
            vz_json_field_str(&w, job->plan.hash_field, picture.content_hash);
        vz_json_key(&w, job->plan.about.vector_field);
        vz_json_put_raw(&w, vz_buf_slice(&numbers));
        vz_json_end_object(&w);
        vz_buf_deinit(&numbers);
    }
    vz_buf_deinit(&bytes);
    free(path);
    return status;
}

enum outcome { COPIED, LOST };

static void look(void *context, size_t at, float *vector, struct vz_looked *looked)
{
    const struct job *job = context;
    const struct page_item *item = &job->page[at];
    struct vz_buf made = {0};
    struct vz_error err = {0};
    enum vz_status status = item->path.len
                                ? look_again(job, item, vector, &made, &err)
                                : vz_fail(&err, VZ_NOT_FOUND, "the document names no picture");
    if (status != VZ_OK) {
        looked->outcome = LOST;
        looked->reason = vz_strdup(err.text);
        vz_buf_clear(&made);
    }
    if (status == VZ_OK || !job->options->drop_gone) {
        put_id(&looked->action, "index", item->id);
        put_document(&looked->action, item->source, job->plan.about.vector_field,
                     vz_buf_slice(&made));
    }
    vz_buf_deinit(&made);
}

static void note_lost(void *context, const struct vz_looked *looked)
{
    struct job *job = context;
    const struct page_item *item = &job->page[looked->at];
    if (job->lost_count == job->lost_capacity) {
        job->lost_capacity = VZ_MAX((size_t)16, job->lost_capacity * 2);
        job->lost = vz_realloc(job->lost, job->lost_capacity * sizeof *job->lost);
    }
    job->lost[job->lost_count++] =
        (struct lost){vz_strndup(item->id.ptr, item->id.len),
                      vz_strndup(item->path.ptr ? item->path.ptr : "", item->path.len),
                      vz_strdup(looked->reason)};
    if (job->options->drop_gone)
        mark_seen(job, item->id, item->seq_no)->left_out = true;
}

struct sending {
    struct job *job;
    const struct vz_looked *items;
};

static void note_written(void *context, size_t i, const struct vz_api_written *written)
{
    const struct sending *sending = context;
    struct job *job = sending->job;
    if (written->failure) {
        if (job->write_error.status == VZ_OK)
            job->write_error = *written->failure;
        return;
    }
    const struct page_item *item = &job->page[sending->items[i].at];
    mark_seen(job, item->id, item->seq_no);
    job->copied += sending->items[i].outcome == COPIED;
}

/* A picture that fails is one thing; a document that the new index refuses would be lost. */
static enum vz_status check_written(const struct job *job, enum vz_status status,
                                    struct vz_error *err)
{
    if (status == VZ_OK && job->write_error.status != VZ_OK)
        return vz_fail(err, job->write_error.status, "writing into the new index: %s",
                       job->write_error.text);
    return status;
}

static enum vz_status send(void *context, struct vz_slice body, const struct vz_looked *items,
                           size_t count, struct vz_error *err)
{
    struct job *job = context;
    struct sending sending = {job, items};
    return check_written(job,
                         vz_api_bulk(job->plan.transport, job->plan.new_index, body, count, false,
                                     note_written, &sending, err),
                         err);
}

static const char *path_of(void *context, size_t at)
{
    const struct job *job = context;
    return job->page[at].path.ptr; /* the arena ends it with a NUL */
}

/* ---- pages --------------------------------------------------------------------------------- */

static void note_kept(void *context, size_t i, const struct vz_api_written *written)
{
    struct job *job = context;
    (void)i;
    if (written->failure && job->write_error.status == VZ_OK)
        job->write_error = *written->failure;
}

/* The page as it is into the copy of the old index. */
static enum vz_status keep_page(struct job *job, struct vz_error *err)
{
    struct vz_buf body = {0};
    if (!job->plan.kept_index[0])
        return VZ_OK;
    for (size_t i = 0; i < job->page_count; i++) {
        put_id(&body, "index", job->page[i].id);
        vz_buf_append_slice(&body, job->page[i].source);
        vz_buf_append_char(&body, '\n');
    }
    enum vz_status status =
        check_written(job,
                      vz_api_bulk(job->plan.transport, job->plan.kept_index, vz_buf_slice(&body),
                                  job->page_count, false, note_kept, job, err),
                      err);
    vz_buf_deinit(&body);
    return status;
}

static enum vz_status do_page(struct job *job, struct vz_error *err)
{
    const struct vz_pipeline pipeline = {.count = job->page_count,
                                         .dims = job->lens.model.dims,
                                         .progress = &job->progress,
                                         .context = job,
                                         .path = path_of,
                                         .look = look,
                                         .send = send,
                                         .failed = note_lost};
    enum vz_status status = job->page_count ? keep_page(job, err) : VZ_OK;
    if (status == VZ_OK && job->page_count)
        status = vz_pipeline_run(&pipeline, err);
    job->page_count = 0;
    vz_arena_reset(&job->arena);
    if (status == VZ_OK && vz_stop_asked())
        status = vz_fail(err, VZ_CANCELLED, "stopped");
    return status;
}

static enum vz_status gather(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct job *job = context;
    struct vz_json value;
    const struct seen *seen = seen_of(job, hit->id);
    if (seen && !seen->deleted && seen->seq_no == hit->seq_no)
        return VZ_OK;
    struct page_item *item = &job->page[job->page_count++];
    *item = (struct page_item){.id = vz_arena_copy(&job->arena, hit->id),
                               .source = vz_arena_copy(&job->arena, hit->source_text),
                               .seq_no = hit->seq_no};
    if (vz_json_get(hit->source, job->plan.path_field, &value) && vz_json_string(value).len)
        item->path = vz_slice_from(vz_arena_strdup(&job->arena, vz_json_string(value)));
    return job->page_count == PAGE ? do_page(job, err) : VZ_OK;
}

static enum vz_status pass(struct job *job, struct vz_error *err)
{
    const struct vz_api_scan scan = {.page = PAGE};
    enum vz_status status =
        vz_api_scan(job->plan.transport, job->plan.old_index, &scan, gather, job, err);
    return status == VZ_OK ? do_page(job, err) : status;
}

/* ---- surveys ------------------------------------------------------------------------------- */

static enum vz_status survey_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct job *job = context;
    struct seen *seen = seen_of(job, hit->id);
    job->total++;
    job->largest_seq_no = VZ_MAX(job->largest_seq_no, hit->seq_no);
    if (seen)
        seen->round = job->round;
    if (!seen || seen->seq_no != hit->seq_no)
        job->changed++;
    return vz_stop_asked() ? vz_fail(err, VZ_CANCELLED, "stopped") : VZ_OK;
}

/* Whoever the survey did not meet was deleted from the old index meanwhile. */
static enum vz_status delete_unmet(struct job *job, struct vz_error *err)
{
    struct vz_buf body = {0};
    size_t count = 0;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < job->seen_count; i++) {
        struct seen *seen = &job->seen[i];
        if (seen->round == job->round || seen->deleted)
            continue;
        put_id(&body, "delete", seen->id);
        seen->deleted = true;
        count++;
    }
    if (count)
        status = vz_api_bulk(job->plan.transport, job->plan.new_index, vz_buf_slice(&body), count,
                             false, note_kept, job, err);
    if (count && status == VZ_OK && job->plan.kept_index[0])
        status = vz_api_bulk(job->plan.transport, job->plan.kept_index, vz_buf_slice(&body), count,
                             false, note_kept, job, err);
    vz_buf_deinit(&body);
    return check_written(job, status, err);
}

/* Counts in job->changed what the new index lacks, and takes out what the old one no longer has. */
static enum vz_status survey(struct job *job, struct vz_error *err)
{
    const struct vz_api_scan scan = {.source = "false", .page = 5000};
    job->round++;
    job->total = job->changed = 0;
    enum vz_status status = vz_api_refresh(job->plan.transport, job->plan.old_index, err);
    if (status == VZ_OK)
        status = vz_api_scan(job->plan.transport, job->plan.old_index, &scan, survey_one, job, err);
    return status == VZ_OK ? delete_unmet(job, err) : status;
}

static enum vz_status note_there(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct job *job = context;
    (void)err;
    mark_seen(job, hit->id, UINT64_MAX); /* not known yet which version */
    return VZ_OK;
}

static enum vz_status trust_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct job *job = context;
    struct seen *seen = seen_of(job, hit->id);
    (void)err;
    if (seen && hit->seq_no <= job->plan.from_seq_no)
        seen->seq_no = hit->seq_no;
    return VZ_OK;
}

/* What an interrupted run made: documents with a vector whose original is not younger than that
 * run. Those without are looked at again: perhaps their pictures are back. */
static enum vz_status take_up(struct job *job, struct vz_error *err)
{
    struct vz_buf query = {0};
    vz_buf_printf(&query, "{\"exists\":{\"field\":\"%s\"}}", job->plan.about.vector_field);
    const struct vz_api_scan there = {.source = "false", .page = 5000, .query = query.data};
    const struct vz_api_scan old = {.source = "false", .page = 5000};
    enum vz_status status = vz_api_refresh(job->plan.transport, job->plan.new_index, err);
    if (status == VZ_OK)
        status =
            vz_api_scan(job->plan.transport, job->plan.new_index, &there, note_there, job, err);
    if (status == VZ_OK)
        status = vz_api_scan(job->plan.transport, job->plan.old_index, &old, trust_one, job, err);
    vz_buf_deinit(&query);
    return status;
}

/* The copy of the old index is made anew each time: it costs no looking. */
static enum vz_status keep_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct job *job = context;
    const struct seen *seen = seen_of(job, hit->id);
    if (!seen || seen->seq_no != hit->seq_no)
        return VZ_OK; /* its turn comes with its picture's */
    job->page[job->page_count++] =
        (struct page_item){.id = vz_arena_copy(&job->arena, hit->id),
                           .source = vz_arena_copy(&job->arena, hit->source_text)};
    if (job->page_count < PAGE)
        return VZ_OK;
    enum vz_status status = keep_page(job, err);
    job->page_count = 0;
    vz_arena_reset(&job->arena);
    return status;
}

static enum vz_status keep_seen(struct job *job, struct vz_error *err)
{
    const struct vz_api_scan scan = {.page = PAGE};
    if (!job->plan.kept_index[0] || !job->seen_count)
        return VZ_OK;
    enum vz_status status =
        vz_api_scan(job->plan.transport, job->plan.old_index, &scan, keep_one, job, err);
    if (status == VZ_OK && job->page_count)
        status = keep_page(job, err);
    job->page_count = 0;
    vz_arena_reset(&job->arena);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static enum vz_status check_counts(const struct job *job, struct vz_error *err)
{
    uint64_t made = 0, expected = 0;
    for (size_t i = 0; i < job->seen_count; i++)
        expected += !job->seen[i].deleted && !job->seen[i].left_out;
    enum vz_status status = vz_api_refresh(job->plan.transport, job->plan.new_index, err);
    if (status == VZ_OK)
        status = vz_api_count(job->plan.transport, job->plan.new_index, &made, err);
    if (status == VZ_OK && made != expected)
        status = vz_fail(err, VZ_INTERNAL,
                         "the new index has %llu documents where %llu were written; nothing was "
                         "changed",
                         (unsigned long long)made, (unsigned long long)expected);
    return status;
}

/* Passes over what changed, until nothing did. While others still write, only as long as that gets
 * less by half each time: against somebody who writes faster than pictures are looked at, only
 * holding writes up helps, and the sooner the shorter. */
static enum vz_status catch_up(struct job *job, bool blocked, struct vz_error *err)
{
    enum vz_status status = survey(job, err);
    size_t before = SIZE_MAX;
    for (int i = 0; status == VZ_OK && job->changed && i < MAX_ROUNDS; i++) {
        if (!blocked && job->changed > before / 2)
            break;
        before = job->changed;
        status = pass(job, err);
        if (status == VZ_OK)
            status = survey(job, err);
    }
    return status;
}

static enum vz_status finish(struct job *job, struct vz_error *err)
{
    enum vz_status status = catch_up(job, false, err);
    if (status != VZ_OK)
        return status;
    status = vz_reindex_block(&job->plan, true, err);
    if (status != VZ_OK)
        return status;
    status = catch_up(job, true, err);
    if (status == VZ_OK)
        status = check_counts(job, err);
    bool drop = job->options->drop_old;
    if (status == VZ_OK)
        status = vz_reindex_swap(&job->plan, drop, err);
    if (status != VZ_OK || (job->plan.about.is_alias && !drop))
        vz_reindex_block(&job->plan, false, NULL);
    return status;
}

static enum vz_status rebuild(struct job *job, struct vz_error *err)
{
    uint64_t began = vz_now_ns();
    enum vz_status status = job->plan.resumes ? take_up(job, err) : VZ_OK;
    if (status == VZ_OK)
        status = survey(job, err);
    if (status == VZ_OK)
        status = vz_reindex_begin(&job->plan, job->largest_seq_no, err);
    if (status == VZ_OK)
        status = keep_seen(job, err);
    vz_progress_start(&job->progress, "looking again", job->changed);
    if (status == VZ_OK)
        status = pass(job, err);
    if (status == VZ_OK)
        status = finish(job, err);
    vz_progress_end(&job->progress);
    job->took_ns = vz_now_ns() - began;
    return status;
}

/* ---- telling ------------------------------------------------------------------------------- */

static const char *kept_name(const struct job *job)
{
    if (job->options->drop_old)
        return NULL;
    return job->plan.kept_index[0] ? job->plan.kept_index : job->plan.old_index;
}

static void print_json(const struct job *job, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_field_str(&w, "index", job->plan.name);
    vz_json_field_str(&w, "new_index", job->plan.new_index);
    vz_json_field_str(&w, "kept_index", kept_name(job));
    vz_json_field_str(&w, "old_model", job->plan.about.model.name);
    vz_json_field_str(&w, "model", job->plan.model.name);
    vz_json_field_bool(&w, "resumed", job->plan.resumes);
    vz_json_field_int(&w, "documents", (int64_t)job->total);
    vz_json_field_int(&w, "looked_at", (int64_t)job->copied);
    vz_json_field_double(&w, "seconds", (double)job->took_ns / 1e9);
    vz_json_key(&w, "failed");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < job->lost_count; i++) {
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "id", job->lost[i].id);
        vz_json_field_str(&w, "path", job->lost[i].path);
        vz_json_field_str(&w, "reason", job->lost[i].reason);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_field_bool(&w, "failed_left_out", job->options->drop_gone);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void print_text(const struct job *job)
{
    for (size_t i = 0; i < job->lost_count; i++) {
        struct vz_buf line = {0};
        vz_term_text(&line, vz_slice_from(job->lost[i].path), INT_MAX);
        vz_buf_append_str(&line, ": ");
        vz_term_text(&line, vz_slice_from(job->lost[i].reason), INT_MAX);
        fprintf(stderr, "vizsla: not looked at: %s\n", line.data);
        vz_buf_deinit(&line);
    }
    printf("%s has the model %s now (before: %s): %zu pictures looked at", job->plan.name,
           job->plan.model.name,
           job->plan.about.model.name[0] ? job->plan.about.model.name : "not known", job->copied);
    if (job->took_ns)
        printf(" in %.1f s", (double)job->took_ns / 1e9);
    printf(".\n");
    if (job->lost_count)
        printf(
            job->options->drop_gone
                ? "%zu whose picture could not be looked at were left out.\n"
                : "%zu whose picture could not be looked at are kept without a vector: no search "
                  "by a picture or text finds them (--drop-gone leaves them out).\n",
            job->lost_count);
    const char *url = job->options->url;
    if (kept_name(job))
        printf("The old index is kept as %s; remove it when all is well:\n"
               "  curl -X DELETE %s/%s%s\n",
               kept_name(job), url ? url : "http://127.0.0.1:9200", kept_name(job),
               url ? "" : " (with vizsla serve running)");
}

/* ---- the command --------------------------------------------------------------------------- */

static void free_job(struct job *job)
{
    for (size_t i = 0; i < job->lost_count; i++) {
        free(job->lost[i].id);
        free(job->lost[i].path);
        free(job->lost[i].reason);
    }
    free(job->lost);
    free(job->seen);
    vz_strmap_deinit(&job->at);
    vz_arena_deinit(&job->ids);
    vz_arena_deinit(&job->arena);
    vz_lens_close(&job->lens);
    free(job);
}

static int run(struct job *job, const char *where, struct vz_error *err)
{
    enum vz_status status = rebuild(job, err);
    if (status == VZ_OK) {
        if (job->options->json)
            print_json(job, where);
        else
            print_text(job);
        return job->lost_count ? VZ_EXIT_PARTLY : VZ_EXIT_OK;
    }
    vz_complain(err);
    if (job->options->resume) {
        fprintf(stderr,
                "vizsla: %s is unchanged; what was made stays in %s, the same command goes on\n",
                job->plan.name, job->plan.new_index);
    } else {
        vz_reindex_abort(&job->plan);
        fprintf(stderr, "vizsla: %s is unchanged; what was made is removed (--resume keeps it)\n",
                job->plan.name);
    }
    return status == VZ_CANCELLED ? VZ_EXIT_PARTLY : VZ_EXIT_FAILED;
}

static int do_reindex(struct reindex_options *options)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct job *job = vz_calloc(1, sizeof *job);
    int code = VZ_EXIT_FAILED;
    job->options = options;
    vz_stop_watch();
    options->want.options.threads = 1; /* as `vizsla index`: a core a picture */
    setenv("VIPS_CONCURRENCY", "1", 0);
    enum vz_status status = vz_image_start(&err);
    if (status == VZ_OK)
        status = vz_reach_new(options->url, options->want.data, false, &reach, &err);
    if (status == VZ_OK)
        status = vz_lens_open(&options->want, NULL, options->index, &job->lens, &err);
    if (status == VZ_OK)
        status = vz_reindex_plan(vz_reach_transport(reach), options->index, &job->lens.model,
                                 !options->drop_old, options->resume, &job->plan, &err);
    if (status == VZ_OK) {
        code = run(job, vz_reach_where(reach), &err);
        vz_reindex_deinit(&job->plan);
    } else if (status == VZ_EXISTS) {
        printf("%s.\n", err.text);
        code = VZ_EXIT_OK;
    } else {
        vz_complain(&err);
    }
    free_job(job);
    vz_reach_free(reach);
    return code;
}

int vz_cli_reindex(int argc, char **argv)
{
    struct reindex_options options = {.index = VZ_DOG_INDEX};
    const char *precision = "auto";
    long megapixels = 0;
    const struct vz_arg args[] = {
        {"--model", VZ_ARG_TEXT, &options.want.model, "NAME",
         "an installed model, a model's folder or eye", 0, 0},
        {"--index", VZ_ARG_TEXT, &options.index, "NAME", "the index (default: " VZ_DOG_INDEX ")", 0,
         0},
        {"--precision", VZ_ARG_TEXT, &precision, "P",
         "auto, f32, bf16 or int8: how exactly the model computes (default auto)", 0, 0},
        {"--resume", VZ_ARG_FLAG, &options.resume, NULL,
         "go on where an interrupted run was, and keep what is made when interrupted", 0, 0},
        {"--drop-old", VZ_ARG_FLAG, &options.drop_old, NULL, "remove the old index in the end", 0,
         0},
        {"--drop-gone", VZ_ARG_FLAG, &options.drop_gone, NULL,
         "leave out documents whose picture cannot be looked at", 0, 0},
        {"--max-megapixels", VZ_ARG_NUMBER, &megapixels, "N",
         "refuse larger pictures (default 100)", 1, 10000},
        {"--data", VZ_ARG_TEXT, &options.want.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &options.url, "URL", "a server, here or on another machine", 0, 0},
        {"--json", VZ_ARG_FLAG, &options.json, NULL, "print the summary as JSON", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "reindex",
        .usage = "vizsla reindex --model NAME [--index NAME] [options]",
        .summary = "Changes the model of an index: all its pictures are looked at again.",
        .details = "A new index is made beside the old one and takes its place when it is whole: "
                   "the name\n"
                   "becomes an alias of it, in one step, so searches find something at every "
                   "moment. What is\n"
                   "written to the old index meanwhile comes along. The old index is kept unless "
                   "--drop-old\n"
                   "says otherwise (it needs its room on the disk twice).\n"
                   "Ctrl-C, or an error, leaves everything as it was. With --resume what was made "
                   "is kept,\n"
                   "and the same command goes on with it.\n"
                   "Documents whose picture is gone or broken are listed. They come along without "
                   "a vector,\n"
                   "or with --drop-gone not at all.\n"
                   "Exit code: 0 done, 1 some pictures could not be looked at or it was stopped, 2 "
                   "it could\n"
                   "not be done.",
        .examples = "  vizsla models pull clip-ViT-B-32\n"
                    "  vizsla reindex --model clip-ViT-B-32\n"
                    "  vizsla reindex --model clip-ViT-B-32 --index pictures --drop-old",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest || !options.want.model ||
        !vz_precision_parse(vz_slice_from(precision), &options.want.options.precision)) {
        fprintf(stderr, "vizsla reindex: expected --model NAME, and a precision of auto, f32, bf16 "
                        "or int8; see `vizsla reindex --help`\n");
        return VZ_EXIT_FAILED;
    }
    options.limits.max_megapixels = (double)megapixels;
    return do_reindex(&options);
}
