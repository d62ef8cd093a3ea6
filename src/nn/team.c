/* The team of helper threads.
 *
 * A job lives on its caller's stack. Helpers find it in the list under the lock and count
 * themselves in (`inside`); the caller takes it out of the list under the lock, after which nobody
 * new comes, and waits until `inside` is zero. A helper's last touch of a job is that decrement.
 *
 * Between two multiplications of one model there are some tens of microseconds: a helper that finds
 * nothing looks for that long before it sleeps, so that only the first of them pays for waking. The
 * helpers live as long as the process, asleep when nothing is computed.
 */
#include "nn/team.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/thread.h"

#define LOOKS 4000 /* of about 10 ns */
#define MAX_HELPERS 255

struct job {
    void (*part)(void *arg, unsigned i);
    void *arg;
    unsigned count;
    unsigned places;    /* helpers that may still come; under the lock */
    atomic_uint next;   /* part to claim; relaxed, `inside` publishes */
    atomic_uint inside; /* helpers at work; the decrement releases, the caller's wait acquires */
    struct job *link;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of these but `news` */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct job *jobs;
static unsigned helper_count, sleeping;
static atomic_uint news; /* changes under the lock when a job comes; read anywhere */

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void claim(struct job *job)
{
    for (;;) {
        unsigned i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (i >= job->count)
            return;
        job->part(job->arg, i);
    }
}

static struct job *join_locked(void)
{
    for (struct job *job = jobs; job; job = job->link)
        if (job->places && atomic_load_explicit(&job->next, memory_order_relaxed) < job->count) {
            job->places--;
            atomic_fetch_add_explicit(&job->inside, 1, memory_order_relaxed);
            return job;
        }
    return NULL;
}

static void *help(void *unused)
{
    vz_thread_name("nn");
    omp_set_num_threads(1); /* what oneDNN does inside a part it does alone */
    for (;;) {
        pthread_mutex_lock(&lock);
        struct job *job = join_locked();
        unsigned seen = atomic_load_explicit(&news, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        if (job) {
            claim(job);
            atomic_fetch_sub_explicit(&job->inside, 1, memory_order_release);
            continue;
        }
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(&news, memory_order_relaxed) != seen)
                break;
            relax();
        }
        pthread_mutex_lock(&lock);
        sleeping++;
        while (atomic_load_explicit(&news, memory_order_relaxed) == seen)
            pthread_cond_wait(&wake, &lock);
        sleeping--;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

/* Without threads the callers do everything themselves. Signals are for others. */
static void hire_locked(unsigned wanted)
{
    sigset_t all, before;
    pthread_attr_t attr;
    if (helper_count >= wanted || helper_count >= MAX_HELPERS)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    while (helper_count < wanted && helper_count < MAX_HELPERS &&
           pthread_create(&thread, &attr, help, NULL) == 0)
        helper_count++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The parts still running are short: look, then let others run, then sleep a little. */
static void wait_for_helpers(const struct job *job)
{
    for (unsigned i = 0; atomic_load_explicit(&job->inside, memory_order_acquire); i++) {
        if (i < LOOKS)
            relax();
        else if (i < LOOKS + 1000)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, 20000}, NULL);
    }
}

void nn_team_run(unsigned count, unsigned helpers, void (*part)(void *arg, unsigned i), void *arg)
{
    helpers = count > 1 && helpers > count - 1 ? count - 1 : helpers;
    if (count < 2 || helpers == 0) {
        for (unsigned i = 0; i < count; i++)
            part(arg, i);
        return;
    }
    struct job job = {.part = part, .arg = arg, .count = count, .places = helpers};
    pthread_mutex_lock(&lock);
    hire_locked(helpers);
    job.link = jobs;
    jobs = &job;
    atomic_fetch_add_explicit(&news, 1, memory_order_relaxed);
    if (sleeping)
        pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
    claim(&job);
    pthread_mutex_lock(&lock);
    struct job **at = &jobs;
    while (*at != &job)
        at = &(*at)->link;
    *at = job.link;
    pthread_mutex_unlock(&lock);
    wait_for_helpers(&job);
}
