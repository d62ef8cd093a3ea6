#include "cli/pipeline.h"

#include "base/clock.h"
#include "base/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BATCH_BYTES ((size_t)8 << 20)
#define BATCH_NS 1000000000ull /* what is ready is sent after so long */
#define QUEUE 256

struct work {
    const struct vz_pipeline *pipeline;
    atomic_size_t next;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ready, room;
    struct vz_looked queue[QUEUE];
    size_t queued, taken; /* ever put in, ever taken out */
    unsigned running;     /* workers */
    bool abandoned;       /* nobody takes any more */
};

struct batch {
    struct vz_buf body;
    struct vz_looked items[VZ_PIPELINE_BATCH]; /* their actions are in the body */
    size_t count;
    uint64_t since_ns;
};

static void drop(struct vz_looked *looked)
{
    vz_buf_deinit(&looked->action);
    free(looked->reason);
}

/* Has the system read the file that will be wanted soon: a core should not wait for a disk. */
static void read_ahead(const struct vz_pipeline *pipeline, size_t at)
{
    const char *path =
        at < pipeline->count && pipeline->path ? pipeline->path(pipeline->context, at) : NULL;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}

/* False when nobody wants it any more. */
static bool hand_over(struct work *work, struct vz_looked *looked)
{
    pthread_mutex_lock(&work->mutex);
    while (work->queued - work->taken == QUEUE && !work->abandoned)
        pthread_cond_wait(&work->room, &work->mutex);
    bool wanted = !work->abandoned;
    if (wanted) {
        work->queue[work->queued++ % QUEUE] = *looked;
        pthread_cond_signal(&work->ready);
    }
    pthread_mutex_unlock(&work->mutex);
    if (!wanted)
        drop(looked);
    return wanted;
}

static void *worker(void *context)
{
    struct work *work = context;
    const struct vz_pipeline *pipeline = work->pipeline;
    float *vector = vz_calloc(pipeline->dims, sizeof *vector);
    size_t ahead = 2 * (size_t)vz_cpu_count();
    vz_thread_name("look");
    while (!vz_stop_asked()) {
        struct vz_looked looked = {
            .at = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed)};
        if (looked.at >= pipeline->count)
            break;
        read_ahead(pipeline, looked.at + ahead);
        pipeline->look(pipeline->context, looked.at, vector, &looked);
        if (!hand_over(work, &looked))
            break;
    }
    free(vector);
    pthread_mutex_lock(&work->mutex);
    work->running--;
    pthread_cond_signal(&work->ready);
    pthread_mutex_unlock(&work->mutex);
    return NULL;
}

/* The next one; false when there is none now, and *over when there will be none. Waits a tenth of a
 * second at most, so that the bar moves. */
static bool take(struct work *work, struct vz_looked *looked, bool *over)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&work->mutex);
    if (work->queued == work->taken && work->running)
        pthread_cond_timedwait(&work->ready, &work->mutex, &until);
    bool got = work->queued != work->taken;
    if (got) {
        *looked = work->queue[work->taken++ % QUEUE];
        pthread_cond_signal(&work->room);
    }
    *over = !got && !work->running;
    pthread_mutex_unlock(&work->mutex);
    return got;
}

static void add(const struct vz_pipeline *pipeline, struct batch *batch, struct vz_looked *looked)
{
    if (looked->reason)
        pipeline->failed(pipeline->context, looked);
    if (looked->action.len) {
        if (!batch->count)
            batch->since_ns = vz_now_ns();
        vz_buf_append_slice(&batch->body, vz_buf_slice(&looked->action));
        batch->items[batch->count++] = (struct vz_looked){looked->at, looked->outcome, {0}, NULL};
    }
    drop(looked);
}

static enum vz_status send(const struct vz_pipeline *pipeline, struct batch *batch,
                           struct vz_error *err)
{
    if (!batch->count)
        return VZ_OK;
    enum vz_status status = pipeline->send(pipeline->context, vz_buf_slice(&batch->body),
                                           batch->items, batch->count, err);
    batch->count = 0;
    vz_buf_clear(&batch->body);
    return status;
}

static enum vz_status send_all(struct work *work, struct vz_error *err)
{
    const struct vz_pipeline *pipeline = work->pipeline;
    struct batch *batch = vz_calloc(1, sizeof *batch);
    struct vz_looked looked;
    enum vz_status status = VZ_OK;
    bool over = false;
    while (!over && status == VZ_OK) {
        bool got = take(work, &looked, &over);
        if (got)
            add(pipeline, batch, &looked);
        if (pipeline->progress)
            vz_progress_step(pipeline->progress, got);
        if (over || batch->count == VZ_PIPELINE_BATCH || batch->body.len > BATCH_BYTES ||
            (batch->count && vz_now_ns() - batch->since_ns > BATCH_NS))
            status = send(pipeline, batch, err);
    }
    pthread_mutex_lock(&work->mutex);
    work->abandoned = true;
    pthread_cond_broadcast(&work->room);
    pthread_mutex_unlock(&work->mutex);
    vz_buf_deinit(&batch->body);
    free(batch);
    return status;
}

enum vz_status vz_pipeline_run(const struct vz_pipeline *pipeline, struct vz_error *err)
{
    unsigned threads = vz_cpu_count();
    pthread_t *workers = vz_calloc(threads, sizeof *workers);
    struct work *work = vz_calloc(1, sizeof *work);
    work->pipeline = pipeline;
    work->running = threads;
    pthread_mutex_init(&work->mutex, NULL);
    pthread_cond_init(&work->ready, NULL);
    pthread_cond_init(&work->room, NULL);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&workers[i], NULL, worker, work) != 0)
            abort();
    enum vz_status status = send_all(work, err);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i], NULL);
    for (; work->taken != work->queued; work->taken++)
        drop(&work->queue[work->taken % QUEUE]);
    pthread_mutex_destroy(&work->mutex);
    pthread_cond_destroy(&work->ready);
    pthread_cond_destroy(&work->room);
    free(work);
    free(workers);
    return status;
}
