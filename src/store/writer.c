/* store/writer.c - one thread an index that writes: group commit.
 *
 * Request threads read documents (write.c: parse, compress, pack vectors), queue a task and wait.
 * The writer takes everything queued into one transaction, so many requests share its syncs; while
 * it syncs, the next ones are being parsed and queue up. The thread is made by the first write, and
 * ends when nothing was written for a while.
 *
 *   idle --task--> take all queued --> begin --> each op of each group --> commit --> publish
 *                       ^                 |error          |error       |error         |
 *                       |                 +----- abort: every op of the batch fails --+--> wake
 *
 * With `index.translog.durability: async` a group is answered when its rows and pages were handed
 * over and before the commit; the transaction stays open for index.translog.sync_interval, or until
 * somebody reads: a get or a refresh commits first, so what was acknowledged is always seen.
 * (LMDB's MDB_NOSYNC would be simpler and can corrupt the file in a power loss.)
 *
 * Partial updates are merged here, where the newest document is known: there is nothing that could
 * conflict, so retry_on_conflict has nothing to do and later operations of one call see earlier
 * ones without further ado. The price is that their documents are parsed on this thread.
 *
 * Invariants:
 *  1. Only this thread writes to the index's generation.
 *  2. A task is answered after its transaction committed (is durable) and was published, or not
 *     at all in the files.
 *  3. An operation that fails alone has staged nothing: everything that may refuse it is asked
 *     before the first change.
 */
#include "base/clock.h"
#include "base/log.h"
#include "store/index.h"

#include <errno.h>
#include <stdlib.h>

#define IDLE_NS (10ull * 1000000000)
#define CHECKPOINT_NS (2ull * 1000000000)
#define CHECKPOINT_DOCS 100000 /* read again in under a second after a crash */
#define BATCH_OPS 20000

/* ---- on the writer's thread: one operation ------------------------------------------------- */

static enum vz_status conflict_seq(struct vz_write *op, const struct vz_id_entry *current,
                                   bool exists)
{
    if (!exists)
        return vz_fail(&op->error, VZ_CONFLICT,
                       "[%.*s]: version conflict, required seqNo [%llu], primary term [%llu]. but "
                       "no document was found",
                       (int)op->id.len, op->id.ptr, (unsigned long long)op->if_seq_no,
                       (unsigned long long)op->if_primary_term);
    return vz_fail(&op->error, VZ_CONFLICT,
                   "[%.*s]: version conflict, required seqNo [%llu], primary term [%llu]. current "
                   "document has seqNo [%llu] and primary term [1]",
                   (int)op->id.len, op->id.ptr, (unsigned long long)op->if_seq_no,
                   (unsigned long long)op->if_primary_term, (unsigned long long)current->seq_no);
}

/* known: ids has an entry; exists: it names a live document. */
static enum vz_status check_version(struct vz_write *op, const struct vz_id_entry *current,
                                    bool known, bool exists)
{
    if (op->has_if_seq_no &&
        (!exists || current->seq_no != op->if_seq_no || op->if_primary_term != 1))
        return conflict_seq(op, current, exists);
    if (op->verb == VZ_WRITE_CREATE && exists)
        return vz_fail(&op->error, VZ_CONFLICT,
                       "[%.*s]: version conflict, document already exists (current version [%llu])",
                       (int)op->id.len, op->id.ptr, (unsigned long long)current->version);
    if (op->has_version && known &&
        (op->version_gte ? op->version < current->version : op->version <= current->version))
        return vz_fail(&op->error, VZ_CONFLICT,
                       "[%.*s]: version conflict, current version [%llu] is higher %s the one "
                       "provided [%llu]",
                       (int)op->id.len, op->id.ptr, (unsigned long long)current->version,
                       op->version_gte ? "than" : "or equal to", (unsigned long long)op->version);
    return VZ_OK;
}

struct batch {
    struct vz_index *index;
    struct vz_generation *gen;
    struct vz_mapping *mapping;
    const uint64_t *semantics; /* of the task that runs: see struct vz_write_options */
};

/* The entry of a document whose id nobody has. */
static struct vz_id_entry fresh_entry(const struct vz_generation *gen, const struct vz_write *op)
{
    return (struct vz_id_entry){.docno = gen->staged.docs,
                                .version = op->has_version ? op->version : 1,
                                .seq_no = gen->staged.next_seq};
}

/* A document whose entry is in ids already. */
static enum vz_status write_claimed(struct batch *batch, struct vz_write *op,
                                    const struct vz_prepared *prepared, struct vz_error *err)
{
    struct vz_generation *gen = batch->gen;
    struct vz_id_entry entry = fresh_entry(gen, op);
    struct vz_record record = {
        .id = op->id, .prev = VZ_NO_DOC, .version = entry.version, .seq_no = entry.seq_no};
    uint32_t docno;
    enum vz_status status = vz_generation_add(gen, batch->mapping, prepared, &record, &docno, err);
    if (status != VZ_OK)
        return status;
    assert(docno == entry.docno);
    gen->staged.next_seq++;
    op->result = VZ_RESULT_CREATED;
    op->out_version = entry.version;
    op->out_seq_no = entry.seq_no;
    return VZ_OK;
}

static enum vz_status write_doc(struct batch *batch, struct vz_write *op,
                                const struct vz_prepared *prepared,
                                const struct vz_id_entry *current, bool known, bool exists,
                                struct vz_error *err)
{
    struct vz_generation *gen = batch->gen;
    struct vz_record record = {
        .id = op->id,
        .prev = known ? current->docno : VZ_NO_DOC,
        .version = op->has_version ? op->version
                   : known         ? current->version + 1
                                   : 1,
        .seq_no = gen->staged.next_seq,
    };
    uint32_t docno;
    enum vz_status status = vz_generation_add(gen, batch->mapping, prepared, &record, &docno, err);
    if (status == VZ_OK && exists)
        status = vz_generation_kill(gen, current->docno, err);
    struct vz_id_entry entry = {.docno = docno, .version = record.version, .seq_no = record.seq_no};
    if (status == VZ_OK)
        status = vz_generation_put_id(gen, op->id, &entry, err);
    if (status != VZ_OK)
        return status;
    gen->staged.next_seq++;
    op->result = exists ? VZ_RESULT_UPDATED : VZ_RESULT_CREATED;
    op->out_version = record.version;
    op->out_seq_no = record.seq_no;
    return VZ_OK;
}

static enum vz_status delete_doc(struct batch *batch, struct vz_write *op,
                                 const struct vz_id_entry *current, bool known, bool exists,
                                 struct vz_error *err)
{
    struct vz_generation *gen = batch->gen;
    struct vz_id_entry entry = {
        .docno = known ? current->docno : VZ_NO_DOC,
        .deleted = true,
        .version = op->has_version ? op->version
                   : known         ? current->version + 1
                                   : 1,
        .seq_no = gen->staged.next_seq,
    };
    enum vz_status status = VZ_OK;
    if (exists)
        status = vz_generation_kill(gen, current->docno, err);
    /* An id that never was leaves no trace, unless its version must be remembered. */
    if (status == VZ_OK && (known || op->has_version))
        status = vz_generation_put_id(gen, op->id, &entry, err);
    if (status != VZ_OK)
        return status;
    if (!exists && batch->index->log_deaths && (known || op->has_version)) {
        vz_buf_append(&gen->staged_gone, &op->id.len, sizeof op->id.len);
        vz_buf_append_slice(&gen->staged_gone, op->id);
    }
    gen->staged.next_seq++;
    op->result = exists ? VZ_RESULT_DELETED : VZ_RESULT_NOT_FOUND;
    op->out_version = entry.version;
    op->out_seq_no = entry.seq_no;
    return VZ_OK;
}

/* Is it the fault of the machine (the transaction cannot go on) or of the operation? */
static bool is_fatal(enum vz_status status)
{
    switch (status) {
    case VZ_IO:
    case VZ_DISK_FULL:
    case VZ_READ_ONLY:
    case VZ_CORRUPT:
    case VZ_INTERNAL:
    case VZ_BUDGET:
        return true;
    default:
        return false;
    }
}

static enum vz_status update_doc(struct batch *batch, struct vz_write *op,
                                 struct vz_id_entry *current, bool known, bool exists,
                                 struct vz_error *err)
{
    struct vz_generation *gen = batch->gen;
    struct vz_slice source;
    bool noop = false;
    enum vz_status status = VZ_OK;
    /* Vectors staged by this very transaction must be readable. */
    if (exists && current->docno >= gen->state.docs)
        status = vz_generation_flush(gen, err);
    if (status != VZ_OK)
        return status;
    struct vz_prepared prepared = {0};
    status =
        vz_update_source(gen, op, exists ? current : NULL, &gen->arena, &source, &noop, &op->error);
    if (status == VZ_OK && !noop) {
        struct vz_preparing p = {.index = batch->index,
                                 .mapping = batch->mapping,
                                 .arena = &gen->arena,
                                 .semantics = batch->semantics};
        status = vz_prepare(&p, op->id, source, &prepared, &op->error);
        batch->mapping = p.mapping;
        vz_tokens_deinit(&p.scratch);
    }
    if (status == VZ_OK && !noop)
        vz_prepared_pack(&prepared, vz_generation_packer(gen), &gen->arena);
    if (status != VZ_OK) {
        if (is_fatal(status) && err)
            *err = op->error;
        return is_fatal(status) ? status : (vz_write_failed(batch->index, op, status), VZ_OK);
    }
    if (noop) {
        op->result = VZ_RESULT_NOOP;
        op->out_version = current->version;
        op->out_seq_no = current->seq_no;
        return VZ_OK;
    }
    return write_doc(batch, op, &prepared, current, known, exists, err);
}

static enum vz_status run_op(struct batch *batch, struct vz_write *op,
                             const struct vz_prepared *prepared, struct vz_error *err)
{
    struct vz_id_entry current = {.docno = VZ_NO_DOC}, fresh = fresh_entry(batch->gen, op);
    bool whole = op->verb == VZ_WRITE_INDEX || op->verb == VZ_WRITE_CREATE, claimed = false;
    /* Nothing refuses a whole document with a new id, unless it asks for a number of an old one: so
     * its entry may be put before it is looked at (invariant 3). */
    enum vz_status status =
        whole && !op->has_if_seq_no
            ? vz_generation_claim_id(batch->gen, op->id, &fresh, &current, &claimed, err)
            : vz_generation_get_id(batch->gen, batch->gen->txn, op->id, &current, err);
    if (claimed) {
        atomic_fetch_add_explicit(&batch->index->counters.index_total, 1, memory_order_relaxed);
        return write_claimed(batch, op, prepared, err);
    }
    bool known = status == VZ_OK, exists = known && !current.deleted;
    if (status != VZ_OK && status != VZ_NOT_FOUND)
        return status;
    if (check_version(op, &current, known, exists) != VZ_OK) {
        vz_write_failed(batch->index, op, VZ_CONFLICT);
        return VZ_OK;
    }
    struct vz_counters *counters = &batch->index->counters;
    atomic_fetch_add_explicit(op->verb == VZ_WRITE_DELETE ? &counters->delete_total
                                                          : &counters->index_total,
                              1, memory_order_relaxed);
    if (op->verb == VZ_WRITE_DELETE)
        return delete_doc(batch, op, &current, known, exists, err);
    if (op->verb == VZ_WRITE_UPDATE)
        return update_doc(batch, op, &current, known, exists, err);
    return write_doc(batch, op, prepared, &current, known, exists, err);
}

/* ---- on the writer's thread: transactions -------------------------------------------------- */

static void log_deaths(struct vz_index *index, const struct vz_generation *gen)
{
    for (size_t i = 0; i < gen->staged_death_count; i++) {
        if (index->death_log_count == index->death_log_capacity) {
            index->death_log_capacity = VZ_MAX(index->death_log_capacity * 2, (size_t)1024);
            index->death_log =
                vz_realloc(index->death_log, index->death_log_capacity * sizeof *index->death_log);
        }
        index->death_log[index->death_log_count++] = gen->staged_deaths[i];
    }
    vz_buf_append_slice(&index->gone_log, vz_buf_slice(&gen->staged_gone));
}

static void mark_dirty(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    bool first = index->dirty_since_ns == 0;
    if (first)
        index->dirty_since_ns = vz_now_ns();
    pthread_mutex_unlock(&index->view_lock);
    if (first)
        vz_background_dirty(index->store);
}

enum vz_status vz_writer_commit(struct vz_index *index, struct vz_generation *gen,
                                struct vz_error *err)
{
    enum vz_status status = vz_generation_commit(gen, err);
    if (status != VZ_OK)
        return status;
    if (index->log_deaths)
        log_deaths(index, gen);
    pthread_mutex_lock(&gen->text_lock);
    vz_texts_add_staged(gen);
    pthread_mutex_lock(&index->view_lock);
    gen->state = gen->staged;
    if (gen->staged_death_count) {
        vz_generation_mark_deaths(gen, index->view->epoch + 1);
        index->deaths_pending = true;
    }
    index->commit_number++;
    pthread_mutex_unlock(&index->view_lock);
    pthread_mutex_unlock(&gen->text_lock);
    atomic_fetch_add_explicit(&index->counters.commit_total, 1, memory_order_relaxed);
    atomic_store_explicit(&index->last_write_ns, vz_now_ns(), memory_order_relaxed);
    vz_index_account(index);
    mark_dirty(index);
    vz_background_rows(index->store);
    return VZ_OK;
}

static void forget_open(struct vz_index *index)
{
    index->commit_due_ns = 0;
    index->open_ops = 0;
    atomic_store(&index->uncommitted, false);
}

/* Who waits for a refresh to show them waits for this commit's number: it is used up, so that the
 * next refresh ends the wait. */
static void lose_open_ops(struct vz_index *index, const struct vz_error *err)
{
    if (index->open_ops) {
        vz_log(VZ_LOG_ERROR, "store",
               "[%s]: %zu operations acknowledged with durability async are lost: %s", index->name,
               index->open_ops, err->text);
        pthread_mutex_lock(&index->view_lock);
        index->lost_commit = ++index->commit_number;
        pthread_mutex_unlock(&index->view_lock);
    }
    forget_open(index);
}

/* Commits the transaction that async left open. */
static void commit_open(struct vz_index *index)
{
    struct vz_error err = {0};
    if (!index->commit_due_ns)
        return;
    if (vz_writer_commit(index, index->gen, &err) != VZ_OK) {
        lose_open_ops(index, &err);
        return;
    }
    forget_open(index);
    if (!index->checkpoint_due_ns)
        index->checkpoint_due_ns = vz_now_ns() + CHECKPOINT_NS;
}

/* Durability async: the rows are handed to the system, the transaction stays open. */
static enum vz_status leave_open(struct vz_index *index, size_t ops, int64_t interval_ms,
                                 struct vz_error *err)
{
    enum vz_status status = vz_generation_flush(index->gen, err);
    if (status != VZ_OK)
        return status;
    vz_texts_keep(index->gen);
    if (!index->commit_due_ns)
        index->commit_due_ns = vz_now_ns() + (uint64_t)interval_ms * 1000000;
    index->open_ops += ops;
    atomic_store(&index->uncommitted, true);
    mark_dirty(index);
    return VZ_OK;
}

static void fetch_lines(const void *start, size_t bytes)
{
    const char *at = start;
    for (size_t i = 0; i < bytes && i < 512; i += 64)
        __builtin_prefetch(at + i);
}

/* What the next operations hold was written by another core: asked for before it is needed. */
static void look_ahead(const struct vz_task *task, size_t i)
{
    if (i + 2 < task->count)
        fetch_lines(&task->prepared[i + 2], sizeof *task->prepared);
    if (i + 1 == task->count)
        return;
    const struct vz_prepared *next = &task->prepared[i + 1];
    fetch_lines(&task->ops[i + 1], 128);
    fetch_lines(next->doc.values, next->doc.value_count * sizeof *next->doc.values);
    fetch_lines(next->stored.ptr, next->stored.len);
}

static enum vz_status write_groups(struct vz_index *index, struct vz_task *first,
                                   const struct vz_task *end, size_t ops, struct vz_error *err)
{
    struct batch batch = {.index = index, .gen = index->gen, .mapping = vz_index_mapping(index)};
    pthread_mutex_lock(&index->view_lock);
    bool defer = index->settings.async && index->open_ops + ops < BATCH_OPS;
    int64_t interval_ms = index->settings.sync_interval_ms;
    pthread_mutex_unlock(&index->view_lock);
    for (const struct vz_task *task = first; task != end; task = task->next)
        defer &= !task->batch; /* which is gone when its request is answered */
    enum vz_status status = VZ_OK;
    if (!index->commit_due_ns)
        status = vz_generation_begin(batch.gen, err);
    for (struct vz_task *task = first; status == VZ_OK && task != end; task = task->next) {
        batch.semantics = task->semantics;
        for (size_t i = 0; status == VZ_OK && i < task->count; i++) {
            look_ahead(task, i);
            if (task->ops[i].status == VZ_OK)
                status = run_op(&batch, &task->ops[i], &task->prepared[i], err);
        }
    }
    if (status == VZ_OK && defer)
        status = leave_open(index, ops, interval_ms, err);
    else if (status == VZ_OK)
        status = vz_writer_commit(index, batch.gen, err);
    if (batch.gen->txn && status != VZ_OK)
        vz_generation_abort(batch.gen);
    if (status != VZ_OK)
        lose_open_ops(index, err);
    else if (!defer)
        forget_open(index);
    vz_mapping_release(batch.mapping);
    return status;
}

static void answer(struct vz_index *index, struct vz_task *task, enum vz_status status,
                   const struct vz_error *err)
{
    pthread_mutex_lock(&index->queue_lock);
    task->status = status;
    if (status != VZ_OK)
        task->err = *err;
    task->done = true;
    pthread_cond_signal(&task->finished);
    pthread_mutex_unlock(&index->queue_lock);
}

/* One run of groups from the list; returns the rest. */
static struct vz_task *run_batch(struct vz_index *index, struct vz_task *first)
{
    struct vz_error err = {0};
    enum vz_status status;
    if (first->run) {
        struct vz_task *next = first->next;
        commit_open(index);
        status = first->run(index, first->context, &err);
        answer(index, first, status, &err);
        return next;
    }
    struct vz_task *end = first;
    size_t ops = 0;
    while (end && !end->run && (ops == 0 || ops + end->count <= BATCH_OPS)) {
        ops += end->count;
        end = end->next;
    }
    status = write_groups(index, first, end, ops, &err);
    while (first != end) {
        struct vz_task *next = first->next; /* the task is gone once answered */
        first->commit_number = index->commit_number + (index->commit_due_ns ? 1 : 0);
        if (status != VZ_OK)
            for (size_t i = 0; i < first->count; i++)
                if (first->ops[i].status == VZ_OK) {
                    first->ops[i].status = status;
                    first->ops[i].error = err;
                }
        answer(index, first, status, &err);
        first = next;
    }
    return end;
}

static void checkpoint(struct vz_index *index)
{
    struct vz_error err = {0};
    index->checkpoint_due_ns = 0;
    if (atomic_load(&index->deleted))
        return;
    if (vz_generation_checkpoint(index->gen, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "[%s]: columns are not checkpointed: %s", index->name,
               err.text);
}

/* Waits for work; false when the thread shall end. queue_lock held. */
static bool await_tasks_locked(struct vz_index *index)
{
    uint64_t idle_until = vz_now_ns() + IDLE_NS;
    while (!index->queue_head) {
        uint64_t now = vz_now_ns(), commit_due = index->commit_due_ns,
                 checkpoint_due = index->checkpoint_due_ns;
        bool commit = commit_due && (now >= commit_due || index->writer_stop);
        if (commit || (checkpoint_due && (now >= checkpoint_due || index->writer_stop))) {
            pthread_mutex_unlock(&index->queue_lock);
            commit_open(index);
            if (!commit)
                checkpoint(index);
            pthread_mutex_lock(&index->queue_lock);
            continue;
        }
        if (index->writer_stop || (now >= idle_until && !commit_due))
            return false;
        uint64_t until = commit_due || checkpoint_due ? UINT64_MAX : idle_until;
        until = VZ_MIN(until, commit_due ? commit_due : UINT64_MAX);
        until = VZ_MIN(until, checkpoint_due ? checkpoint_due : UINT64_MAX);
        struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_timedwait(&index->queue_cond, &index->queue_lock, &at);
    }
    return true;
}

static void *writer_main(void *index_void)
{
    struct vz_index *index = index_void;
    vz_thread_name("writer");
    pthread_mutex_lock(&index->queue_lock);
    while (await_tasks_locked(index)) {
        struct vz_task *list = index->queue_head;
        index->queue_head = index->queue_tail = NULL;
        pthread_mutex_unlock(&index->queue_lock);
        while (list)
            list = run_batch(index, list);
        const struct vz_generation *gen = index->gen;
        if (index->commit_due_ns) {
            pthread_mutex_lock(&index->queue_lock);
            continue;
        }
        if (gen->columns_synced != gen->state.docs && !index->checkpoint_due_ns)
            index->checkpoint_due_ns = vz_now_ns() + CHECKPOINT_NS;
        if (gen->state.docs - VZ_MIN(gen->columns_synced, gen->state.docs) >= CHECKPOINT_DOCS)
            checkpoint(index);
        pthread_mutex_lock(&index->queue_lock);
    }
    vz_terms_forget(index->gen);
    index->writer_running = false;
    pthread_mutex_unlock(&index->queue_lock);
    return NULL;
}

static enum vz_status start_writer_locked(struct vz_index *index, struct vz_error *err)
{
    if (index->writer_running)
        return VZ_OK;
    if (index->writer_joinable)
        pthread_join(index->writer, NULL); /* it has ended, or is about to return */
    index->writer_joinable = false;
    int failed = pthread_create(&index->writer, NULL, writer_main, index);
    if (failed)
        return vz_fail_errno(err, failed, "cannot start the writer of [%s]", index->name);
    index->writer_running = index->writer_joinable = true;
    return VZ_OK;
}

enum vz_status vz_writer_run(struct vz_index *index, struct vz_task *task, struct vz_error *err)
{
    pthread_mutex_lock(&index->queue_lock);
    enum vz_status status = VZ_OK;
    if (index->writer_stop || atomic_load(&index->deleted))
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    if (status == VZ_OK && task->ops && atomic_load(&index->closed))
        status = vz_fail(err, VZ_CLOSED, "closed");
    if (status == VZ_OK)
        status = start_writer_locked(index, err);
    if (status == VZ_OK) {
        pthread_cond_init(&task->finished, NULL);
        task->next = NULL;
        if (index->queue_tail)
            index->queue_tail->next = task;
        else
            index->queue_head = task;
        index->queue_tail = task;
        pthread_cond_signal(&index->queue_cond);
        while (!task->done)
            pthread_cond_wait(&task->finished, &index->queue_lock);
        pthread_cond_destroy(&task->finished);
        status = task->status;
        if (status != VZ_OK && err)
            *err = task->err;
    }
    pthread_mutex_unlock(&index->queue_lock);
    return status;
}

static enum vz_status nothing(struct vz_index *index, void *context, struct vz_error *err)
{
    return VZ_OK; /* run_batch commits before it runs a task */
}

void vz_writer_flush(struct vz_index *index)
{
    struct vz_task task = {.run = nothing};
    if (atomic_load(&index->uncommitted))
        vz_writer_run(index, &task, NULL);
}

void vz_writer_stop(struct vz_index *index)
{
    pthread_mutex_lock(&index->queue_lock);
    index->writer_stop = true;
    pthread_cond_signal(&index->queue_cond);
    bool join = index->writer_joinable;
    index->writer_joinable = false;
    pthread_mutex_unlock(&index->queue_lock);
    if (join)
        pthread_join(index->writer, NULL);
}
