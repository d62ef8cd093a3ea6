/* The crash suite's part without chance: the same work again and again, killed before its first,
 * second, third ... sync of a file, so between any two things that are made durable one behind the
 * other: the dictionary that sources are packed with and the first documents that need it, a
 * compaction's files and the swap.
 *
 *     crash_syncs DIR      exit status 0 when every kill held
 *
 * The work is three requests of 300 operations and more (the first makes the dictionary) with a
 * compaction behind each. After a kill each request has happened as a whole or not at all, those
 * acknowledged have; sources are compared byte for byte, and vz_index_validate passes, before a
 * compaction and after it. */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/store.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUESTS 3
#define IDS 420
#define MAX_KILLS 400

/* What parent and child share. `left` counts syncs down to the kill. */
struct shared {
    _Atomic long left;
    _Atomic int acked;
};
static struct shared *shared;

/* These stand before libc's, for LMDB's calls too. */
static long sync_or_die(long number, int fd)
{
    if (shared && atomic_fetch_sub(&shared->left, 1) == 1)
        raise(SIGKILL);
    return syscall(number, fd);
}

int fdatasync(int fd)
{
    return (int)sync_or_die(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return (int)sync_or_die(SYS_fsync, fd);
}

/* ---- what requests do ---------------------------------------------------------------------- */

/* Request 0 writes ids 0..299, request 1 replaces and deletes from 100 on and adds, request 2 from
 * 50 on; every fourth of the later ones deletes. 0: leaves the id alone, -1: deletes it. */
static int verb_of(int request, int id)
{
    static const int first[REQUESTS] = {0, 100, 50}, last[REQUESTS] = {300, IDS, 380};
    if (id < first[request] || id >= last[request])
        return 0;
    return request && id % 4 == request ? -1 : 1;
}

static void source_of(int request, int id, struct vz_buf *out)
{
    uint64_t rng = (uint64_t)(request * 1000 + id + 1);
    static const char *const words[] = {"river", "puppy", "harbour", "found", "orange", "small"};
    vz_buf_clear(out);
    vz_buf_printf(out, "{\"tag\" : \"t%d\",\"n\":%d , \"text\":\"Every dog was seen", id % 9,
                  request * 1000 + id);
    for (int i = 0; i < 14; i++)
        vz_buf_printf(out, " %s", words[vz_rng_next(&rng) % 6]);
    vz_buf_printf(out, "\",\"chip\":\"%016llx\"}", (unsigned long long)vz_rng_next(&rng));
}

static enum vz_status write_request(struct vz_index *index, int request, struct vz_error *err)
{
    struct vz_write ops[IDS] = {{0}};
    static struct vz_buf texts[IDS];
    static char ids[IDS][8];
    size_t count = 0;
    for (int id = 0; id < IDS; id++) {
        int verb = verb_of(request, id);
        if (!verb)
            continue;
        snprintf(ids[id], sizeof ids[id], "d%d", id);
        source_of(request, id, &texts[id]);
        ops[count++] = (struct vz_write){.verb = verb > 0 ? VZ_WRITE_INDEX : VZ_WRITE_DELETE,
                                         .id = vz_slice_from(ids[id]),
                                         .source = vz_buf_slice(&texts[id])};
    }
    return vz_index_write(index, ops, count, NULL, err);
}

static _Noreturn void child(const char *dir)
{
    struct vz_error err = {0};
    struct vz_store *store;
    struct vz_json none = {0};
    if (vz_store_open(dir, &(struct vz_store_options){.create = true}, &store, &err) != VZ_OK ||
        vz_store_create_index(store, VZ_SLICE("dogs"), none, &err) != VZ_OK)
        goto bad;
    struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
    for (int i = 0; i < REQUESTS; i++) {
        if (write_request(index, i, &err) != VZ_OK)
            goto bad;
        atomic_store(&shared->acked, i + 1);
        if (vz_index_compact(index, &err) != VZ_OK)
            goto bad;
    }
    struct vz_generation *gen = vz_index_generation(index);
    if (!gen || !vz_generation_packer(gen)) {
        vz_fail(&err, VZ_INTERNAL, "no dictionary was made");
        goto bad;
    }
    _exit(0);
bad:
    fprintf(stderr, "child: %s\n", err.text);
    _exit(4);
}

/* ---- what must be there -------------------------------------------------------------------- */

/* Is everything as after the first `requests` of them? */
static bool is_after(struct vz_index *index, int requests, struct vz_buf *why)
{
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    bool same = true;
    for (int id = 0; id < IDS && same; id++) {
        char name[8];
        int last = -1;
        struct vz_stored_doc doc;
        struct vz_error err = {0};
        for (int i = 0; i < requests; i++)
            last = verb_of(i, id) ? i : last;
        snprintf(name, sizeof name, "d%d", id);
        enum vz_status status =
            vz_index_get(index, vz_slice_from(name), VZ_DOC_SOURCE, &arena, &doc, &err);
        if (last < 0 || verb_of(last, id) < 0) {
            same = status == VZ_NOT_FOUND;
        } else {
            source_of(last, id, &text);
            same = status == VZ_OK && vz_slice_eq(doc.source, vz_buf_slice(&text));
        }
        if (!same)
            vz_buf_printf(why, " after %d: [%s] %s;", requests, name, err.text);
        vz_arena_reset(&arena);
    }
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
    return same;
}

static int check_index(struct vz_index *index, int acked, struct vz_buf *why)
{
    struct vz_error err = {0};
    for (int look = 0; look < 2; look++) {
        if (vz_index_validate(index, &err) != VZ_OK) {
            vz_buf_printf(why, " does not validate: %s", err.text);
            return 1;
        }
        if (!is_after(index, acked, why) && (acked == REQUESTS || !is_after(index, acked + 1, why)))
            return 1;
        if (!look && vz_index_compact(index, &err) != VZ_OK) {
            vz_buf_printf(why, " is not compacted: %s", err.text);
            return 1;
        }
    }
    return 0;
}

static int check(const char *dir, long kill)
{
    struct vz_error err = {0};
    struct vz_store *store;
    struct vz_buf why = {0};
    int acked = atomic_load(&shared->acked), bad = 1;
    if (vz_store_open(dir, &(struct vz_store_options){.create = true}, &store, &err) == VZ_OK) {
        struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
        bad = index ? check_index(index, acked, &why) : acked > 0;
        vz_index_release(index);
        vz_store_close(store);
    }
    if (bad)
        fprintf(stderr, "killed before sync %ld, %d requests acknowledged: %s%.*s\n", kill, acked,
                err.text, (int)why.len, why.data ? why.data : "");
    vz_buf_deinit(&why);
    return bad;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    int passed = 0, kills = 0, bad = 0, status = 1;
    uint64_t start = vz_now_ns();
    struct vz_buf dir = {0};
    for (long kill = 1; kill < MAX_KILLS && status != 0 && !bad; kill++) {
        vz_buf_clear(&dir);
        vz_buf_printf(&dir, "%s/sync%ld", argv[1], kill);
        atomic_store(&shared->acked, 0);
        atomic_store(&shared->left, kill);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            child(dir.data);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 2;
        atomic_store(&shared->left, 0); /* falls below it: nobody dies of it */
        kills += status != 0;
        bad = (status != 0 && !WIFSIGNALED(status)) || check(dir.data, kill);
        passed += !bad;
        if (!bad)
            vz_remove_all(dir.data, NULL); /* else the folder is evidence */
    }
    bad += !bad && (status != 0 || passed < 10); /* the work never came to its end, or to a sync */
    printf("crash: killed before each of %d syncs, %.1f s\n", kills,
           (double)(vz_now_ns() - start) / 1e9);
    printf("%d passed, %d failed, 0 skipped\n", passed, bad);
    vz_buf_deinit(&dir);
    return bad != 0;
}
