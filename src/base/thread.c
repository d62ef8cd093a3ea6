#include "base/thread.h"

#include "base/mem.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct job {
    void (*run)(void *);
    void *context;
};

struct vz_pool {
    pthread_mutex_t mutex; /* guards the four fields below */
    pthread_cond_t ready;
    struct job *ring;
    size_t head, count;
    bool closing;

    size_t capacity; /* immutable after new, as are the rest */
    unsigned thread_count;
    char name[12];
    pthread_t threads[];
};

static void *work(void *context)
{
    struct vz_pool *pool = context;
    vz_thread_name(pool->name);
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->count && !pool->closing)
            pthread_cond_wait(&pool->ready, &pool->mutex);
        if (!pool->count)
            break;
        struct job job = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->capacity;
        pool->count--;
        pthread_mutex_unlock(&pool->mutex);
        job.run(job.context);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

struct vz_pool *vz_pool_new(const char *name, unsigned threads, size_t queue_capacity)
{
    struct vz_pool *pool = vz_calloc(1, sizeof *pool + threads * sizeof(pthread_t));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->ready, NULL);
    pool->ring = vz_calloc(queue_capacity, sizeof *pool->ring);
    pool->capacity = queue_capacity;
    snprintf(pool->name, sizeof pool->name, "%s", name);
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, work, pool) != 0) {
            fprintf(stderr, "vizsla: cannot start a %s thread\n", name);
            abort();
        }
        pool->thread_count++;
    }
    return pool;
}

enum vz_status vz_pool_push(struct vz_pool *pool, void (*run)(void *), void *context)
{
    enum vz_status status = VZ_BUSY;
    pthread_mutex_lock(&pool->mutex);
    if (pool->count < pool->capacity && !pool->closing) {
        pool->ring[(pool->head + pool->count++) % pool->capacity] = (struct job){run, context};
        status = VZ_OK;
    }
    pthread_mutex_unlock(&pool->mutex);
    /* After the unlock: a woken worker would otherwise run straight into the held mutex. */
    if (status == VZ_OK)
        pthread_cond_signal(&pool->ready);
    return status;
}

size_t vz_pool_queued(struct vz_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    size_t count = pool->count;
    pthread_mutex_unlock(&pool->mutex);
    return count;
}

void vz_pool_free(struct vz_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->ready);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->ready);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ring);
    free(pool);
}

/* cgroup v2 writes "max 100000" or "QUOTA PERIOD" in microseconds. */
static unsigned cgroup_cpu_limit(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file)
        return 0;
    long quota = 0, period = 0;
    int got = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    if (got != 2 || quota <= 0 || period <= 0)
        return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned vz_cpu_count(void)
{
    cpu_set_t set;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = (unsigned)CPU_COUNT(&set);
    unsigned limit = cgroup_cpu_limit();
    if (limit && limit < count)
        count = limit;
    return count ? count : 1;
}

uint64_t vz_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)2 << 30;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long limit; /* or the word "max" */
    if (file && fscanf(file, "%llu", &limit) == 1 && limit > 0 && limit < bytes)
        bytes = limit;
    if (file)
        fclose(file);
    return bytes;
}

void vz_thread_name(const char *name)
{
    char cut[16];
    snprintf(cut, sizeof cut, "vz-%.12s", name);
    pthread_setname_np(pthread_self(), cut);
}
