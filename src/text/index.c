/* The text index of one generation: see index.h.
 *
 * Lock: `lock` guards the list of segments and the view. The writer appends at its end, the
 * background thread replaces a run in it by one; both hold the lock only to change the list, never
 * while they build, merge or write. The background thread is the only one that takes segments out,
 * so a run it chose stays where it is while it works.
 *
 * Files: a merge writes text.BASE-LIMIT beside the files it replaces and then removes those; a
 * crash in between leaves both, and open prefers the longer one. */
#include "text/batch.h"
#include "text/index.h"
#include "text/dense.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct vz_text_index {
    /* immutable */
    char *dir;
    struct vz_text_index_options options;
    /* writer */
    struct vz_text_builder *builder;
    uint32_t limit;
    struct vz_segment **sealed; /* not published yet */
    size_t sealed_count, sealed_capacity;
    _Atomic size_t buffer_bytes; /* relaxed: for stats */
    /* lock */
    pthread_mutex_t lock;
    struct vz_segment **segments;
    size_t count, capacity;
    struct vz_text_view *view;
    uint64_t merges;
};

static char *file_path(const struct vz_text_index *index, uint32_t base, uint32_t limit)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/text.%u-%u", index->dir, base, limit);
    return vz_buf_take(&path);
}

static void push(struct vz_segment ***list, size_t *count, size_t *capacity,
                 struct vz_segment *segment)
{
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        *list = vz_realloc(*list, *capacity * sizeof **list);
    }
    (*list)[(*count)++] = segment;
}

static void renew_view_locked(struct vz_text_index *index)
{
    vz_text_view_release(index->view);
    index->view = vz_text_view_new(index->segments, index->count);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

struct found_file {
    uint32_t base, limit;
};

static int longest_first(const void *a, const void *b)
{
    const struct found_file *x = a, *y = b;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return x->limit > y->limit ? -1 : x->limit < y->limit;
}

static enum vz_status list_files(const char *dir, struct found_file **files, size_t *count,
                                 struct vz_error *err)
{
    DIR *folder = opendir(dir);
    size_t capacity = 0;
    *files = NULL;
    *count = 0;
    if (!folder)
        return vz_fail_errno(err, errno, "opening [%s]", dir);
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct found_file file;
        int end = 0;
        if (sscanf(entry->d_name, "text.%u-%u%n", &file.base, &file.limit, &end) < 2)
            continue;
        if (entry->d_name[end]) { /* text.0-10.tmp: a write that did not end */
            struct vz_buf path = {0};
            vz_buf_printf(&path, "%s/%s", dir, entry->d_name);
            unlink(path.data);
            vz_buf_deinit(&path);
            continue;
        }
        if (*count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            *files = vz_realloc(*files, capacity * sizeof **files);
        }
        (*files)[(*count)++] = file;
    }
    closedir(folder);
    if (*count)
        qsort(*files, *count, sizeof **files, longest_first);
    return VZ_OK;
}

/* The chain from docno 0: at each place the longest file that opens. */
static void open_files(struct vz_text_index *index, const struct found_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vz_segment *segment = NULL;
        char *path = file_path(index, files[i].base, files[i].limit);
        bool fits = files[i].base == index->limit && files[i].limit > files[i].base &&
                    (!index->options.limit || files[i].limit <= index->options.limit);
        if (fits && vz_segment_open(path, false, &segment, NULL) == VZ_OK &&
            (segment->base != files[i].base || segment->limit != files[i].limit)) {
            vz_segment_release(segment);
            segment = NULL;
        }
        if (segment) {
            push(&index->segments, &index->count, &index->capacity, segment);
            index->limit = segment->limit;
        } else {
            unlink(path);
        }
        free(path);
    }
}

enum vz_status vz_text_index_open(const char *dir, const struct vz_text_index_options *options,
                                  struct vz_text_index **out, struct vz_error *err)
{
    struct found_file *files;
    size_t count;
    *out = NULL;
    enum vz_status status = list_files(dir, &files, &count, err);
    if (status != VZ_OK)
        return status;
    struct vz_text_index *index = vz_calloc(1, sizeof *index);
    index->dir = vz_strdup(dir);
    if (options)
        index->options = *options;
    if (!index->options.buffer_bytes)
        index->options.buffer_bytes = (size_t)64 << 20;
    if (!index->options.flush_bytes)
        index->options.flush_bytes = (size_t)32 << 20;
    if (index->options.merge_fan_in < 2)
        index->options.merge_fan_in = 8;
    pthread_mutex_init(&index->lock, NULL);
    open_files(index, files, count);
    free(files);
    index->builder = vz_text_builder_new(index->limit);
    renew_view_locked(index);
    *out = index;
    return VZ_OK;
}

void vz_text_index_close(struct vz_text_index *index)
{
    if (!index)
        return;
    vz_text_view_release(index->view);
    for (size_t i = 0; i < index->count; i++)
        vz_segment_release(index->segments[i]);
    for (size_t i = 0; i < index->sealed_count; i++)
        vz_segment_release(index->sealed[i]);
    vz_text_builder_free(index->builder);
    pthread_mutex_destroy(&index->lock);
    free(index->segments);
    free(index->sealed);
    free(index->dir);
    free(index);
}

uint32_t vz_text_index_limit(const struct vz_text_index *index)
{
    return index->limit;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static enum vz_status seal(struct vz_text_index *index, uint32_t limit, struct vz_error *err)
{
    struct vz_segment *segment;
    enum vz_status status = vz_text_builder_seal(index->builder, limit, &segment, err);
    if (status == VZ_OK)
        push(&index->sealed, &index->sealed_count, &index->sealed_capacity, segment);
    return status;
}

/* A document is sealed away only whole: when the next one begins. */
static enum vz_status make_room(struct vz_text_index *index, uint32_t docno, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (docno >= index->limit) {
        size_t bytes = vz_text_builder_bytes(index->builder);
        atomic_store_explicit(&index->buffer_bytes, bytes, memory_order_relaxed);
        if (bytes > index->options.buffer_bytes && !vz_text_builder_is_empty(index->builder))
            status = seal(index, docno, err);
        index->limit = docno + 1;
    }
    return status;
}

enum vz_status vz_text_index_add(struct vz_text_index *index, uint32_t docno, uint16_t field,
                                 unsigned flags, const struct vz_tokens *tokens, uint32_t gap,
                                 struct vz_error *err)
{
    enum vz_status status = make_room(index, docno, err);
    if (status == VZ_OK)
        vz_text_builder_add(index->builder, docno, field, flags, tokens, gap);
    return status;
}

enum vz_status vz_text_index_add_term(struct vz_text_index *index, uint32_t docno, uint16_t field,
                                      unsigned flags, struct vz_slice term, struct vz_error *err)
{
    enum vz_status status = make_room(index, docno, err);
    if (status == VZ_OK)
        vz_text_builder_add_term(index->builder, docno, field, flags, term);
    return status;
}

enum vz_status vz_text_index_add_batch(struct vz_text_index *index,
                                       const struct vz_text_batch *batch, const uint32_t *docnos,
                                       struct vz_error *err)
{
    uint32_t docs = vz_text_batch_docs(batch), first = 0;
    while (first < docs && docnos[first] == VZ_NOT_WRITTEN)
        first++;
    while (docs > first && docnos[docs - 1] == VZ_NOT_WRITTEN)
        docs--;
    if (first == docs)
        return VZ_OK;
    enum vz_status status = make_room(index, docnos[first], err);
    if (status == VZ_OK) {
        vz_text_builder_add_batch(index->builder, batch, docnos);
        index->limit = VZ_MAX(index->limit, docnos[docs - 1] + 1);
    }
    return status;
}

enum vz_status vz_text_index_publish(struct vz_text_index *index, uint32_t limit,
                                     struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (limit > vz_text_builder_base(index->builder))
        status = seal(index, limit, err);
    if (status != VZ_OK || index->sealed_count == 0)
        return status;
    index->limit = VZ_MAX(index->limit, limit);
    pthread_mutex_lock(&index->lock);
    for (size_t i = 0; i < index->sealed_count; i++)
        push(&index->segments, &index->count, &index->capacity, index->sealed[i]);
    index->sealed_count = 0;
    renew_view_locked(index);
    pthread_mutex_unlock(&index->lock);
    atomic_store_explicit(&index->buffer_bytes, 0, memory_order_relaxed);
    return VZ_OK;
}

struct vz_text_view *vz_text_index_view(struct vz_text_index *index)
{
    pthread_mutex_lock(&index->lock);
    struct vz_text_view *view = vz_text_view_acquire(index->view);
    pthread_mutex_unlock(&index->lock);
    return view;
}

/* ---- background --------------------------------------------------------------------------------
 */

/* Puts `made` in the place of [from, to) and removes their files. */
static void put_in_place(struct vz_text_index *index, size_t from, size_t to,
                         struct vz_segment *made)
{
    struct vz_segment **old = vz_alloc((to - from) * sizeof(struct vz_segment *));
    pthread_mutex_lock(&index->lock);
    memcpy(old, index->segments + from, (to - from) * sizeof(struct vz_segment *));
    index->segments[from] = made;
    memmove(index->segments + from + 1, index->segments + to,
            (index->count - to) * sizeof(struct vz_segment *));
    index->count -= to - from - 1;
    index->merges++;
    renew_view_locked(index);
    pthread_mutex_unlock(&index->lock);
    for (size_t i = 0; i < to - from; i++) {
        bool same = old[i]->base == made->base && old[i]->limit == made->limit;
        if (old[i]->mapped && made->mapped && !same) {
            char *path = file_path(index, old[i]->base, old[i]->limit);
            unlink(path); /* those who read it have it mapped */
            free(path);
        }
        vz_segment_release(old[i]);
    }
    free(old);
}

/* References to all segments as they are now. */
static size_t list_now(struct vz_text_index *index, struct vz_segment ***list)
{
    pthread_mutex_lock(&index->lock);
    size_t count = index->count;
    *list = vz_alloc((count + 1) * sizeof(struct vz_segment *));
    for (size_t i = 0; i < count; i++)
        (*list)[i] = vz_segment_acquire(index->segments[i]);
    pthread_mutex_unlock(&index->lock);
    return count;
}

static void list_free(struct vz_segment **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vz_segment_release(list[i]);
    free(list);
}

/* Merges [from, to) into memory while that is small and nothing of it is in a file, else to a
 * file. */
static enum vz_status merge_run(struct vz_text_index *index, struct vz_segment **list, size_t from,
                                size_t to, struct vz_merge_options *options, bool to_file,
                                struct vz_error *err)
{
    struct vz_segment *made;
    char *path = file_path(index, list[from]->base, list[to - 1]->limit);
    options->path = to_file ? path : NULL;
    enum vz_status status = vz_segment_merge(list + from, to - from, options, &made, err);
    if (status == VZ_OK)
        put_in_place(index, from, to, made);
    free(path);
    return status;
}

/* The run of segments in memory at the end of the list: files come before it. */
static size_t memory_run(struct vz_segment **list, size_t count, size_t *bytes)
{
    size_t from = count;
    *bytes = 0;
    while (from && !list[from - 1]->mapped)
        *bytes += list[--from]->size;
    return from;
}

enum vz_status vz_text_index_maintain(struct vz_text_index *index, const struct vz_bitset *live,
                                      bool (*cancelled)(void *context), void *context, bool *more,
                                      struct vz_error *err)
{
    struct vz_merge_options options = {.live = live, .cancelled = cancelled, .context = context};
    struct vz_segment **list;
    size_t count = list_now(index, &list), from, to, bytes;
    size_t memory_from = memory_run(list, count, &bytes);
    enum vz_status status = VZ_OK;
    *more = false;
    if (bytes > index->options.flush_bytes) {
        status = merge_run(index, list, memory_from, count, &options, true, err);
        *more = true;
    } else if (vz_merge_choose(list + memory_from, count - memory_from, index->options.merge_fan_in,
                               &from, &to)) {
        status = merge_run(index, list, memory_from + from, memory_from + to, &options, false, err);
        *more = true;
    } else if (vz_merge_choose(list, memory_from, index->options.merge_fan_in, &from, &to)) {
        status = merge_run(index, list, from, to, &options, true, err);
        *more = true;
    }
    list_free(list, count);
    return status;
}

enum vz_status vz_text_index_checkpoint(struct vz_text_index *index, struct vz_error *err)
{
    struct vz_merge_options options = {0};
    struct vz_segment **list;
    size_t bytes, count = list_now(index, &list);
    size_t from = memory_run(list, count, &bytes);
    enum vz_status status = VZ_OK;
    if (from < count)
        status = merge_run(index, list, from, count, &options, true, err);
    list_free(list, count);
    return status;
}

void vz_text_index_stats(struct vz_text_index *index, struct vz_text_index_stats *stats)
{
    *stats = (struct vz_text_index_stats){0};
    pthread_mutex_lock(&index->lock);
    stats->segments = index->count;
    for (size_t i = 0; i < index->count; i++) {
        *(index->segments[i]->mapped ? &stats->mapped_bytes : &stats->memory_bytes) +=
            index->segments[i]->size;
        stats->memory_bytes += vz_dense_cache_bytes(index->segments[i]->dense);
    }
    stats->merges = index->merges;
    pthread_mutex_unlock(&index->lock);
    stats->buffer_bytes = atomic_load_explicit(&index->buffer_bytes, memory_order_relaxed);
}
