#include "base/ahead.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int self = -1; /* this process, for process_madvise; -1: there is no such thing here */
static uintptr_t page;

static void find_self(void)
{
    page = (uintptr_t)sysconf(_SC_PAGESIZE);
    self = (int)syscall(SYS_pidfd_open, getpid(), 0); /* closed on exec */
}

/* Some kernels let only the privileged ask for several pieces at once; all let anybody ask for one.
 */
static void one_by_one(const struct iovec *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)madvise(pieces[i].iov_base, pieces[i].iov_len, MADV_WILLNEED);
}

void vz_ahead(struct iovec *pieces, size_t count)
{
    pthread_once(&once, find_self);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t first = (uintptr_t)pieces[i].iov_base & ~(page - 1);
        uintptr_t last = (uintptr_t)pieces[i].iov_base + pieces[i].iov_len + page - 1;
        pieces[i] = (struct iovec){(void *)first, (last & ~(page - 1)) - first};
        bytes += pieces[i].iov_len;
    }
    if (self < 0 ||
        syscall(SYS_process_madvise, self, pieces, count, MADV_WILLNEED, 0) != (long)bytes)
        one_by_one(pieces, count);
}

void vz_ahead_alone(void *base, size_t bytes)
{
    (void)madvise(base, bytes, MADV_RANDOM);
}
