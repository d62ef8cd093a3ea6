/* base/thread.h - a pool of workers with a bounded queue.
 *
 * Jobs run in the order they were pushed, each on one worker; a job may push others but must not
 * wait for them. All functions are thread-safe.
 *
 *     struct vz_pool *pool = vz_pool_new("search", 2, 1024);
 *     if (vz_pool_push(pool, run, request) != VZ_OK) answer_busy(request);
 *     vz_pool_free(pool);   // runs what is queued, then joins
 */
#ifndef VZ_BASE_THREAD_H
#define VZ_BASE_THREAD_H

#include "base/status.h"

#include <pthread.h>
#include <stdint.h>

struct vz_pool;

/* `name` (at most 11 characters) names the threads; threads >= 1; queue_capacity >= 1. */
struct vz_pool *vz_pool_new(const char *name, unsigned threads, size_t queue_capacity);
/* Never blocks. VZ_BUSY when the queue is full; the job was not taken then. */
enum vz_status vz_pool_push(struct vz_pool *pool, void (*run)(void *), void *context);
size_t vz_pool_queued(struct vz_pool *pool);
/* Runs all queued jobs to their end, joins, frees. NULL is allowed. */
void vz_pool_free(struct vz_pool *pool);

/* Cores this process may use (sched_getaffinity, cgroup v2 cpu.max), at least 1. */
unsigned vz_cpu_count(void);

/* Bytes of memory this process may use (the machine's, cgroup v2 memory.max). */
uint64_t vz_memory_bytes(void);

/* Names the calling thread for ps, gdb and perf (15 bytes kept). */
void vz_thread_name(const char *name);

#endif
