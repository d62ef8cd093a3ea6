/* The crash suite: a child writes and is killed at a random moment; the parent opens what is left
 * and compares it with what the child had been told was done.
 *
 *     crash_child DIR ROUNDS SEED      the whole; exit status 0 when every round held
 *     crash_child --check DIR          validates every index of a folder (packed.py asks it)
 *
 * The child writes from three threads. Before a call each thread prints what it will do, and after
 * it what it was acknowledged, as fixed-size messages into a pipe (smaller than PIPE_BUF, so they
 * are never torn). Each thread owns its ids, so after a kill at most one call a thread is open: its
 * operations must have happened all or not at all.
 *
 * Checked after every kill: vz_index_validate; every acknowledged document is there with its
 * version, its text bit for bit, its words found and its vector nearest to itself; every acknowledged delete is
 * gone; of an open call all operations or none; no other documents.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/store.h"
#include "text/postings.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3
#define IDS 150    /* a thread */
#define OPS_MAX 16 /* a call */
#define DIMS 32
#define ROUNDS_A_FOLDER 40
#define MAX_LIFE_US 200000

static const char body[] =
    "{\"mappings\":{\"properties\":{\"tag\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"v\":{\"type\":\"dense_vector\",\"dims\":32,\"similarity\":\"cosine\"}}}}";

/* What one operation makes of an id: gone, or the document of a seed, maybe with a patch. */
struct op {
    uint8_t verb;     /* enum vz_write_verb */
    uint16_t id;      /* within the thread */
    uint32_t seed;    /* INDEX: of the document; UPDATE: the new n */
    uint64_t version; /* in an acknowledgement */
};
struct message {
    uint8_t thread, acked, count;
    struct op ops[OPS_MAX];
};
_Static_assert(sizeof(struct message) <= 4096, "PIPE_BUF");

/* ---- documents ----------------------------------------------------------------------------- */

static void vector_of(uint32_t seed, float *out)
{
    uint64_t state = seed + 77;
    for (int i = 0; i < DIMS; i++)
        out[i] = (float)vz_rng_normal(&state);
}

static void source_of(uint32_t seed, uint32_t n, struct vz_buf *out)
{
    float v[DIMS];
    vector_of(seed, v);
    vz_buf_clear(out);
    vz_buf_printf(out, "{\"tag\":\"t%u\",\"n\":%u,\"words\":\"Every dog %u\",\"v\":", seed % 500, n,
                  seed % 500);
    vz_json_append_floats(out, v, DIMS);
    /* Some documents are long enough to be compressed. */
    for (uint32_t i = 0; i < seed % 7; i++)
        vz_buf_printf(out, "%s\"text%u\":\"a dog was found near the river, again and again\"", ",",
                      i);
    vz_buf_append_char(out, '}');
}

static void id_of(int thread, int id, char out[16])
{
    snprintf(out, 16, "%c-%d", 'a' + thread, id);
}

/* ---- the child ----------------------------------------------------------------------------- */

struct writer {
    int thread, pipe;
    uint64_t rng;
    struct vz_index *index;
};

static void plan(struct writer *w, struct message *m)
{
    bool used[IDS] = {false};
    *m = (struct message){.thread = (uint8_t)w->thread};
    m->count = (uint8_t)(1 + vz_rng_next(&w->rng) % OPS_MAX);
    for (int i = 0; i < m->count; i++) {
        uint64_t dice = vz_rng_next(&w->rng) % 10;
        struct op *op = &m->ops[i];
        op->id = (uint16_t)(vz_rng_next(&w->rng) % IDS);
        while (used[op->id])
            op->id = (uint16_t)((op->id + 1) % IDS);
        used[op->id] = true;
        op->seed = (uint32_t)vz_rng_next(&w->rng) >> 4;
        op->verb = dice < 6 ? VZ_WRITE_INDEX : dice < 8 ? VZ_WRITE_UPDATE : VZ_WRITE_DELETE;
    }
}

static void tell(int fd, const struct message *m)
{
    if (write(fd, m, sizeof *m) != (ssize_t)sizeof *m)
        _exit(3);
}

static void *write_forever(void *writer_void)
{
    struct writer *w = writer_void;
    struct vz_buf texts[OPS_MAX] = {{0}};
    char ids[OPS_MAX][16];
    for (;;) {
        struct message m;
        struct vz_write ops[OPS_MAX] = {{0}};
        struct vz_error err = {0};
        plan(w, &m);
        for (int i = 0; i < m.count; i++) {
            id_of(w->thread, m.ops[i].id, ids[i]);
            if (m.ops[i].verb == VZ_WRITE_INDEX) {
                source_of(m.ops[i].seed, m.ops[i].seed, &texts[i]);
            } else {
                vz_buf_clear(&texts[i]);
                vz_buf_printf(&texts[i], "{\"doc\":{\"n\":%u}}", m.ops[i].seed);
            }
            ops[i] = (struct vz_write){.verb = (enum vz_write_verb)m.ops[i].verb,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        tell(w->pipe, &m);
        struct vz_write_options options = {.refresh =
                                               m.count % 5 ? VZ_REFRESH_NONE : VZ_REFRESH_TRUE};
        if (vz_index_write(w->index, ops, m.count, &options, &err) != VZ_OK) {
            fprintf(stderr, "child: write: %s\n", err.text);
            _exit(4);
        }
        m.acked = 1;
        for (int i = 0; i < m.count; i++) {
            m.ops[i].version = ops[i].out_version;
            if (ops[i].status != VZ_OK && ops[i].status != VZ_NOT_FOUND) {
                fprintf(stderr, "child: [%s]: %s\n", ids[i], ops[i].error.text);
                _exit(4);
            }
        }
        tell(w->pipe, &m);
    }
    return NULL;
}

/* Beside the writers: compactions and graph checkpoints, so that kills hit those too. */
static void *disturb_forever(void *index_void)
{
    struct vz_error err = {0};
    for (;;) {
        usleep(3000);
        vz_index_compact(index_void, &err);
        usleep(3000);
        vz_index_settle(index_void, &err);
    }
    return NULL;
}

static _Noreturn void child(const char *dir, uint64_t seed, int pipe)
{
    struct vz_error err = {0};
    struct vz_store *store;
    if (vz_store_open(dir, &(struct vz_store_options){.create = true}, &store, &err) != VZ_OK) {
        fprintf(stderr, "child: open: %s\n", err.text);
        _exit(4);
    }
    struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
    if (!index) {
        struct vz_json_doc *doc;
        struct vz_json root;
        if (vz_json_parse(vz_slice_from(body), &doc, &root, &err) != VZ_OK ||
            vz_store_create_index(store, VZ_SLICE("dogs"), root, &err) != VZ_OK) {
            fprintf(stderr, "child: create: %s\n", err.text);
            _exit(4);
        }
        index = vz_store_index(store, VZ_SLICE("dogs"));
    }
    struct message ready = {.acked = 2};
    tell(pipe, &ready);
    pthread_t threads[THREADS + 1];
    struct writer writers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){i, pipe, seed * 31 + (uint64_t)i, index};
        pthread_create(&threads[i], NULL, write_forever, &writers[i]);
    }
    if (seed % 3 == 0)
        pthread_create(&threads[THREADS], NULL, disturb_forever, index);
    pthread_join(threads[0], NULL);
    _exit(4);
}

/* ---- what must be there -------------------------------------------------------------------- */

struct want {
    bool exists;
    uint32_t seed, n;
    uint64_t version; /* 0: unknown (an id that never was) */
};
struct expected {
    struct want ids[THREADS][IDS];
    struct message open[THREADS]; /* count 0: no call open */
    bool ready;
    uint64_t acked;
};

static void apply(struct want *want, const struct op *op, uint64_t version)
{
    uint64_t next = want->version + 1;
    if (op->verb == VZ_WRITE_UPDATE && !want->exists)
        return; /* document missing */
    if (op->verb == VZ_WRITE_DELETE && !want->exists && version == 0)
        return;
    if (op->verb == VZ_WRITE_DELETE) {
        want->exists = false;
    } else {
        if (op->verb == VZ_WRITE_INDEX)
            want->seed = op->seed;
        want->n = op->seed;
        want->exists = true;
    }
    want->version = version ? version : next;
}

static void hear(struct expected *e, const struct message *m)
{
    if (m->acked == 2) {
        e->ready = true;
    } else if (!m->acked) {
        e->open[m->thread] = *m;
    } else {
        e->open[m->thread].count = 0;
        for (int i = 0; i < m->count; i++) {
            struct want *want = &e->ids[m->thread][m->ops[i].id];
            bool was = want->exists;
            apply(want, &m->ops[i], m->ops[i].version);
            e->acked++;
            if (m->ops[i].verb == VZ_WRITE_DELETE && !was)
                want->exists = false;
        }
    }
}

static int failed(uint64_t round, const char *what, const char *id, const char *detail)
{
    fprintf(stderr, "round %llu: %s [%s] %s\n", (unsigned long long)round, what, id, detail);
    return 1;
}

/* Does the index hold for this id what `want` says? Versions start again after a compaction that
 * dropped a deleted id, so they are compared for documents that exist. */
static bool holds(struct vz_index *index, const char *id, const struct want *want,
                  struct vz_arena *arena, struct vz_buf *text, bool check_version)
{
    struct vz_error err = {0};
    struct vz_stored_doc doc;
    enum vz_status status =
        vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, arena, &doc, &err);
    if (!want->exists)
        return status == VZ_NOT_FOUND;
    if (status != VZ_OK)
        return false;
    source_of(want->seed, want->n, text);
    return vz_slice_eq(doc.source, vz_buf_slice(text)) &&
           (!check_version || doc.version == want->version);
}

static bool nearest(struct vz_snapshot *snap, const char *id, const struct want *want)
{
    struct vz_error err = {0};
    struct vz_knn_hit hit;
    uint32_t found, docno;
    float query[DIMS];
    vector_of(want->seed, query);
    struct vz_knn knn = {.field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("v")),
                         .query = query,
                         .k = 1,
                         .num_candidates = 50};
    return vz_snapshot_find(snap, vz_slice_from(id), &docno, &err) == VZ_OK &&
           vz_snapshot_knn(snap, &knn, &hit, &found, NULL, &err) == VZ_OK && found == 1 &&
           hit.docno == docno && hit.similarity > 0.999f;
}

/* The document is among those that have its words, by the postings. */
static bool found_by_words(struct vz_snapshot *snap, const char *id, const struct want *want)
{
    char number[16];
    uint32_t docno;
    struct vz_bitset bits;
    const struct vz_field *field =
        vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("words"));
    if (!field || !vz_snapshot_texts(snap) ||
        vz_snapshot_find(snap, vz_slice_from(id), &docno, NULL) != VZ_OK)
        return false;
    snprintf(number, sizeof number, "%u", want->seed % 500);
    vz_bitset_init(&bits, vz_snapshot_doc_limit(snap));
    vz_text_term_docs(vz_snapshot_texts(snap), field->id, vz_slice_from(number), &bits);
    bool found = vz_bitset_has(&bits, docno);
    vz_bitset_deinit(&bits);
    return found;
}

/* Settles what became of the open call of one thread: all or nothing. */
static int settle_open(struct expected *e, int thread, uint64_t round, struct vz_index *index,
                       struct vz_arena *arena, struct vz_buf *text)
{
    struct message *m = &e->open[thread];
    int done = 0, undone = 0;
    struct want after[OPS_MAX];
    for (int i = 0; i < m->count; i++) {
        char id[16];
        struct want before = e->ids[thread][m->ops[i].id];
        after[i] = before;
        apply(&after[i], &m->ops[i], 0);
        id_of(thread, m->ops[i].id, id);
        if (memcmp(&before, &after[i], sizeof before) == 0)
            continue;
        bool is_new = holds(index, id, &after[i], arena, text, false);
        bool is_old = holds(index, id, &before, arena, text, false);
        if (is_new == is_old) {
            if (is_new)
                continue; /* deleting what is not there: no telling */
            return failed(round, "neither before nor after the open call", id, "");
        }
        done += is_new;
        undone += is_old;
    }
    if (done && undone)
        return failed(round, "half of an open call happened", "", "");
    for (int i = 0; done && i < m->count; i++) {
        after[i].version = 0; /* nobody was told */
        e->ids[thread][m->ops[i].id] = after[i];
    }
    m->count = 0;
    return 0;
}

static int check_ids(struct expected *e, uint64_t round, struct vz_index *index,
                     struct vz_arena *arena, struct vz_buf *text, uint32_t *live)
{
    struct vz_snapshot *snap = vz_index_snapshot(index);
    int bad = 0;
    for (int thread = 0; thread < THREADS && !bad; thread++)
        for (int i = 0; i < IDS && !bad; i++) {
            char id[16];
            const struct want *want = &e->ids[thread][i];
            id_of(thread, i, id);
            vz_arena_reset(arena);
            *live += want->exists;
            if (!holds(index, id, want, arena, text, want->version != 0))
                bad = failed(round, "acknowledged, not held", id, want->exists ? "live" : "gone");
            else if (want->exists && (i + (int)round) % 5 == 0 && !nearest(snap, id, want))
                bad = failed(round, "not nearest to itself", id, "");
            else if (want->exists && !found_by_words(snap, id, want))
                bad = failed(round, "not found by its words", id, "");
        }
    if (!bad && vz_snapshot_doc_count(snap) != *live)
        bad = failed(round, "other documents are there", "", "");
    vz_snapshot_release(snap);
    return bad;
}

/* Versions as the index has them, after an open call was settled by its texts. */
static void learn_versions(struct expected *e, struct vz_index *index, struct vz_arena *arena)
{
    for (int thread = 0; thread < THREADS; thread++)
        for (int i = 0; i < IDS; i++) {
            char id[16];
            struct vz_stored_doc doc;
            id_of(thread, i, id);
            if (e->ids[thread][i].exists &&
                vz_index_get(index, vz_slice_from(id), VZ_DOC_META, arena, &doc, NULL) == VZ_OK)
                e->ids[thread][i].version = doc.version;
        }
}

static int check(const char *dir, struct expected *e, uint64_t round)
{
    struct vz_error err = {0};
    struct vz_store *store;
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    uint32_t live = 0;
    if (vz_store_open(dir, &(struct vz_store_options){.create = true}, &store, &err) != VZ_OK)
        return failed(round, "does not open", "", err.text);
    struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
    int bad = 0;
    if (!index) {
        bad = e->ready ? failed(round, "index is gone", "", "") : 0;
    } else {
        if (vz_index_validate(index, &err) != VZ_OK)
            bad = failed(round, "does not validate", "", err.text);
        for (int thread = 0; thread < THREADS && !bad; thread++)
            bad = settle_open(e, thread, round, index, &arena, &text);
        if (!bad)
            bad = check_ids(e, round, index, &arena, &text, &live);
        learn_versions(e, index, &arena);
        vz_index_release(index);
    }
    vz_store_close(store);
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
    return bad;
}

/* ---- the parent ---------------------------------------------------------------------------- */

/* Kills by the clock, not by what was heard: every point of a commit must be hit. */
struct killer {
    pid_t pid;
    uint64_t after_us;
};

static void *kill_later(void *killer_void)
{
    const struct killer *killer = killer_void;
    usleep((useconds_t)killer->after_us);
    kill(killer->pid, SIGKILL);
    return NULL;
}

static pid_t start_child(const char *self, const char *dir, uint64_t seed, int *out)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        char number[24], fd[12];
        close(ends[0]);
        snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
        snprintf(fd, sizeof fd, "%d", ends[1]);
        execl(self, self, "--child", dir, number, fd, (char *)NULL);
        _exit(5);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static int run_round(const char *dir, struct expected *e, uint64_t round, uint64_t seed,
                     const char *self)
{
    uint64_t rng = seed;
    struct message m;
    int heard = -1, status = 0;
    pid_t pid = start_child(self, dir, seed, &heard);
    if (pid < 0)
        return failed(round, "no child", "", "");
    struct killer killer = {pid, vz_rng_next(&rng) % MAX_LIFE_US};
    pthread_t thread;
    bool started = false;
    /* Most kills are timed from the child's first word; some come while it still opens. */
    if (seed % 10 == 0) {
        killer.after_us /= 10;
        started = pthread_create(&thread, NULL, kill_later, &killer) == 0;
    }
    while (read(heard, &m, sizeof m) == (ssize_t)sizeof m) {
        hear(e, &m);
        if (!started)
            started = pthread_create(&thread, NULL, kill_later, &killer) == 0;
    }
    close(heard);
    waitpid(pid, &status, 0);
    if (started)
        pthread_join(thread, NULL);
    if (!WIFSIGNALED(status))
        return failed(round, "the child ended by itself", "", "");
    return check(dir, e, round);
}

/* ---- another's folder ---------------------------------------------------------------------- */

static int check_index(struct vz_index *index, int *packed)
{
    struct vz_error err = {0};
    if (vz_index_is_closed(index)) /* has no files of its own open */
        return 0;
    struct vz_generation *gen = vz_index_generation(index);
    bool has = gen && vz_generation_packer(gen);
    struct vz_slice name = vz_index_name(index);
    if (!has)
        printf("[%.*s] has no dictionary\n", (int)name.len, name.ptr);
    *packed += has;
    vz_generation_release(gen);
    if (vz_index_validate(index, &err) == VZ_OK)
        return 0;
    fprintf(stderr, "[%.*s]: %s\n", (int)name.len, name.ptr, err.text);
    return 1;
}

static int check_folder(const char *dir)
{
    struct vz_error err = {0};
    struct vz_store *store;
    struct vz_arena arena = {0};
    struct vz_slice *names;
    int bad = 0, packed = 0;
    if (vz_store_open(dir, &(struct vz_store_options){0}, &store, &err) != VZ_OK) {
        fprintf(stderr, "does not open: %s\n", err.text);
        return 1;
    }
    size_t count = vz_store_names(store, &arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_index *index = vz_store_index(store, names[i]);
        bad += index ? check_index(index, &packed) : 1;
        vz_index_release(index);
    }
    printf("%zu indices, %d with a dictionary\n", count, packed);
    vz_arena_deinit(&arena);
    vz_store_close(store);
    return bad != 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check_folder(argv[2]);
    if (argc == 5 && strcmp(argv[1], "--child") == 0)
        child(argv[2], strtoull(argv[3], NULL, 10), atoi(argv[4]));
    if (argc != 4) {
        fprintf(stderr, "usage: %s DIR ROUNDS SEED\n", argv[0]);
        return 2;
    }
    uint64_t rounds = strtoull(argv[2], NULL, 10), seed = strtoull(argv[3], NULL, 10), acked = 0;
    struct expected *e = calloc(1, sizeof *e);
    struct vz_buf dir = {0};
    uint64_t passed = 0, bad = 0, start = vz_now_ns();
    for (uint64_t round = 0; round < rounds; round++) {
        if (round % ROUNDS_A_FOLDER == 0) {
            if (dir.data)
                vz_remove_all(dir.data, NULL);
            acked += e->acked;
            *e = (struct expected){0};
            vz_buf_clear(&dir);
            vz_buf_printf(&dir, "%s/%llu", argv[1], (unsigned long long)round);
        }
        if (run_round(dir.data, e, round, seed + round, "/proc/self/exe") == 0) {
            passed++;
            continue;
        }
        fprintf(stderr, "round %llu failed: seed %llu, folder %s\n", (unsigned long long)round,
                (unsigned long long)(seed + round), dir.data);
        bad++;
        break; /* the folder is evidence */
    }
    acked += e->acked;
    if (!bad)
        vz_remove_all(dir.data, NULL);
    printf("crash: %llu rounds, %llu operations acknowledged, %.1f s, seed %llu\n",
           (unsigned long long)passed, (unsigned long long)acked,
           (double)(vz_now_ns() - start) / 1e9, (unsigned long long)seed);
    printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)passed,
           (unsigned long long)bad);
    vz_buf_deinit(&dir);
    free(e);
    return bad != 0;
}
