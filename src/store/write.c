/* store/write.c - a write on the request's thread: parse, check, pack; then hand over and wait.
 *
 * Everything that needs no order among writers happens here, on as many threads as there are
 * requests. All documents of a request are read against one mapping, the newest when it came. A
 * document with fields the mapping lacks makes them first: merged, durable in the registry, swapped
 * in; then it is parsed again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/index.h"

#include <stdlib.h>

#define BATCH_FROM 16 /* documents */

enum vz_status vz_write_failed(struct vz_index *index, struct vz_write *op, enum vz_status status)
{
    op->status = status;
    atomic_fetch_add_explicit(&index->counters.index_failed, 1, memory_order_relaxed);
    return status;
}

static enum vz_status prepare_once(struct vz_preparing *p, struct vz_slice id,
                                   struct vz_slice source, struct vz_prepared *prepared,
                                   bool *again, struct vz_error *err)
{
    struct vz_mapping *mapping = p->mapping;
    struct vz_arena *arena = p->arena;
    *again = false;
    if (p->semantics && *p->semantics != vz_mapping_semantics(mapping))
        return vz_fail(err, VZ_BUSY,
                       "the semantic_text fields of [%s] changed while document [%.*s] was on its "
                       "way, send it again",
                       p->index->name, (int)id.len, id.ptr);
    enum vz_status status = vz_document_parse(mapping, id, source, arena, &prepared->doc, err);
    if (status != VZ_OK)
        return status;
    if (prepared->doc.new_fields.len) {
        struct vz_json_doc *doc;
        struct vz_json body;
        status = vz_json_parse(prepared->doc.new_fields, &doc, &body, err);
        if (status != VZ_OK)
            return status;
        struct vz_error inner = {0};
        status = vz_index_merge_mapping(p->index, body, mapping, &inner);
        vz_json_free(doc);
        if (status == VZ_LIMIT && vz_slice_starts(vz_slice_from(inner.text), "Limit of total"))
            vz_fail(err, VZ_LIMIT, "%s while adding new fields [%zu]", inner.text,
                    prepared->doc.new_field_count);
        else if (status != VZ_OK && err)
            *err = inner;
        *again = true;
        return status;
    }
    prepared->fields = (uint16_t)vz_mapping_count(mapping);
    if (prepared->doc.vector_count > UINT16_MAX)
        return vz_fail(err, VZ_LIMIT, "document [%.*s] has [%zu] vectors, at most [%u] are kept",
                       (int)id.len, id.ptr, prepared->doc.vector_count, UINT16_MAX);
    if (prepared->doc.source.len > UINT32_MAX / 2)
        return vz_fail(err, VZ_LIMIT, "document [%.*s] is too large", (int)id.len, id.ptr);
    prepared->splices = vz_splices_encode(&prepared->doc, arena);
    prepared->batch = p->batch;
    prepared->batch_doc = p->doc;
    if (p->batch)
        return vz_texts_gather(mapping, &prepared->doc, &p->scratch, arena, p->batch, p->doc, err);
    return vz_texts_analyze(mapping, &prepared->doc, true, &p->scratch, arena, &prepared->texts,
                            &prepared->text_count, err);
}

enum vz_status vz_prepare(struct vz_preparing *p, struct vz_slice id, struct vz_slice source,
                          struct vz_prepared *prepared, struct vz_error *err)
{
    bool again = true;
    enum vz_status status = VZ_OK;
    for (int tries = 0; again && status == VZ_OK; tries++) {
        if (tries == 100)
            return vz_fail(err, VZ_INTERNAL, "the mapping of [%s] does not settle", p->index->name);
        status = prepare_once(p, id, source, prepared, &again, err);
        if (again) {
            vz_mapping_release(p->mapping);
            p->mapping = vz_index_mapping(p->index);
        }
    }
    return status;
}

void vz_prepared_pack(struct vz_prepared *prepared, struct vz_packer *packer,
                      struct vz_arena *arena)
{
    prepared->stored = vz_source_pack(packer, prepared->doc.source, arena, &prepared->compressed,
                                      &prepared->shared);
    prepared->packed_with = prepared->shared ? vz_packer_serial(packer) : 0;
}

/* The first request with enough documents makes the packer of them all. */
static void make_packer(struct vz_index *index, const struct vz_task *task)
{
    struct vz_slice *sources = vz_alloc(task->count * sizeof *sources);
    size_t count = 0;
    for (size_t i = 0; i < task->count; i++)
        if (task->prepared[i].doc.source.len >= VZ_PACKED_FROM_BYTES)
            sources[count++] = task->prepared[i].doc.source;
    if (count >= VZ_PACKER_SAMPLES && !atomic_exchange(&index->packer_tried, true))
        vz_index_keep_packer(index, vz_packer_train(sources, count));
    free(sources);
}

static void pack_ops(struct vz_index *index, struct vz_task *task, struct vz_arena *arena)
{
    struct vz_generation *gen = NULL;
    for (int look = 0; look < 2; look++) {
        vz_generation_release(gen);
        gen = vz_index_generation(index);
        if (!gen || look || task->count < VZ_PACKER_SAMPLES || vz_generation_packer(gen) ||
            atomic_load_explicit(&index->packer_tried, memory_order_relaxed))
            break;
        make_packer(index, task);
    }
    struct vz_packer *packer = gen ? vz_generation_packer(gen) : NULL;
    for (size_t i = 0; i < task->count; i++)
        if (task->ops[i].status == VZ_OK && task->prepared[i].doc.source.len)
            vz_prepared_pack(&task->prepared[i], packer, arena);
    vz_generation_release(gen);
}

static enum vz_status check_op(struct vz_write *op, const struct vz_write_options *options)
{
    if (op->id.len > VZ_MAX_ID_BYTES)
        return vz_fail(&op->error, VZ_BAD_ARGUMENT,
                       "id [%.*s...] is too long, must be no longer than %d bytes but was: %zu", 32,
                       op->id.ptr, VZ_MAX_ID_BYTES, op->id.len);
    if (op->verb == VZ_WRITE_CREATE && op->has_if_seq_no)
        return vz_fail(&op->error, VZ_BAD_ARGUMENT,
                       "Validation Failed: 1: create operations do not support compare and set. "
                       "use index instead;");
    if (op->id.len)
        return VZ_OK;
    if (op->verb == VZ_WRITE_UPDATE || op->verb == VZ_WRITE_DELETE)
        return vz_fail(&op->error, VZ_BAD_ARGUMENT, "Validation Failed: 1: id is missing;");
    assert(options->arena);
    char made[21];
    vz_new_doc_id(made);
    op->id = vz_arena_copy(options->arena, (struct vz_slice){made, 20});
    return VZ_OK;
}

/* Tokens are grouped by term where there are enough of them, and no document among them that the
 * writer prepares: postings want documents in order. With durability async the request's memory
 * goes before the commit. */
static bool wants_batch(struct vz_index *index, const struct vz_task *task)
{
    bool updates = false;
    for (size_t i = 0; i < task->count && !updates; i++)
        updates = task->ops[i].verb == VZ_WRITE_UPDATE;
    pthread_mutex_lock(&index->view_lock);
    bool async = index->settings.async;
    pthread_mutex_unlock(&index->view_lock);
    return task->count >= BATCH_FROM && !updates && !async;
}

static void prepare_ops(struct vz_index *index, struct vz_task *task,
                        const struct vz_write_options *options, struct vz_arena *arena)
{
    task->batch = wants_batch(index, task) ? vz_text_batch_new() : NULL;
    struct vz_preparing p = {.index = index,
                             .mapping = vz_index_mapping(index),
                             .arena = arena,
                             .semantics = options->semantics,
                             .batch = task->batch};
    for (size_t i = 0; i < task->count; i++) {
        struct vz_write *op = &task->ops[i];
        op->status = VZ_OK;
        op->error.status = VZ_OK; /* its texts are long, and nearly always empty */
        op->error.offset = 0;
        op->error.text[0] = op->error.cause[0] = '\0';
        op->result = VZ_RESULT_NOOP;
        op->out_version = op->out_seq_no = 0;
        p.doc = (uint32_t)i;
        enum vz_status status = check_op(op, options);
        if (status == VZ_OK && (op->verb == VZ_WRITE_INDEX || op->verb == VZ_WRITE_CREATE))
            status = vz_prepare(&p, op->id, op->source, &task->prepared[i], &op->error);
        if (status != VZ_OK)
            vz_write_failed(index, op, status);
    }
    vz_mapping_release(p.mapping);
    vz_tokens_deinit(&p.scratch);
    if (task->batch)
        vz_text_batch_finish(task->batch);
    pack_ops(index, task, arena);
}

enum vz_status vz_index_check_block(struct vz_index *index, enum vz_block_level level,
                                    struct vz_error *err)
{
    bool writes = level == VZ_BLOCK_WRITE, changes = level == VZ_BLOCK_METADATA_WRITE,
         deletes = level == VZ_BLOCK_DELETE, looks = level == VZ_BLOCK_METADATA_READ;
    pthread_mutex_lock(&index->view_lock);
    const struct vz_settings *set = &index->settings;
    const char *block = NULL;
    if (set->block_read_only && (writes || changes || deletes))
        block = "FORBIDDEN/5/index read-only (api)";
    else if (set->block_delete && (writes || changes))
        block = "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
                "read-only-allow-delete block";
    else if (set->block_write && writes)
        block = "FORBIDDEN/8/index write (api)";
    else if (set->block_read && level == VZ_BLOCK_READ)
        block = "FORBIDDEN/7/index read (api)";
    else if (set->block_metadata && (changes || looks || deletes))
        block = "FORBIDDEN/9/index metadata (api)";
    pthread_mutex_unlock(&index->view_lock);
    if (block)
        return vz_fail(err, VZ_READ_ONLY, "index [%s] blocked by: [%s];", index->name, block);
    return VZ_OK;
}

static enum vz_status check_budget(struct vz_index *index, const struct vz_task *task,
                                   struct vz_error *err)
{
    const struct vz_store *store = index->store;
    size_t more = 0, now = atomic_load_explicit(&store->memory_bytes, memory_order_relaxed);
    struct vz_mapping *mapping = NULL;
    for (size_t i = 0; i < task->count; i++)
        for (size_t v = 0; v < task->prepared[i].doc.vector_count; v++) {
            const struct vz_doc_vector *vector = &task->prepared[i].doc.vectors[v];
            if (!mapping)
                mapping = vz_index_mapping(index);
            struct vz_row_cost cost = vz_row_cost(vz_mapping_field(mapping, vector->field));
            more += vz_row_cost_memory(&cost);
        }
    if (mapping)
        vz_mapping_release(mapping);
    if (now + more > store->max_memory_bytes)
        return vz_fail(err, VZ_BUDGET,
                       "[parent] Data too large, data for [%s] would be [%zu], which is larger "
                       "than the limit of [%zu]",
                       index->name, now + more, store->max_memory_bytes);
    return VZ_OK;
}

static void await_refresh(struct vz_index *index, uint64_t commit_number)
{
    pthread_mutex_lock(&index->view_lock);
    while (index->view->commit_number < commit_number && index->settings.refresh_interval_ms >= 0 &&
           !atomic_load(&index->deleted) && !atomic_load(&index->closed))
        pthread_cond_wait(&index->refreshed, &index->view_lock);
    bool seen = index->view->commit_number >= commit_number;
    pthread_mutex_unlock(&index->view_lock);
    /* With refresh_interval -1 nobody else would come: refresh instead of waiting forever. */
    if (!seen)
        vz_index_refresh_now(index);
}

/* With durability async the commit may have failed after the answer; who waited can be told. */
static enum vz_status check_kept(struct vz_index *index, uint64_t commit_number,
                                 struct vz_error *err)
{
    pthread_mutex_lock(&index->view_lock);
    bool lost = index->lost_commit == commit_number;
    pthread_mutex_unlock(&index->view_lock);
    if (!lost)
        return VZ_OK;
    return vz_fail(err, VZ_IO,
                   "[%s]: the operations are lost, the transaction that durability async left open "
                   "could not be committed",
                   index->name);
}

enum vz_status vz_index_write(struct vz_index *index, struct vz_write *ops, size_t count,
                              const struct vz_write_options *options, struct vz_error *err)
{
    static const struct vz_write_options none;
    options = options ? options : &none;
    if (count == 0)
        return VZ_OK;
    uint64_t start = vz_now_ns();
    struct vz_arena arena = {0};
    struct vz_task task = {.ops = ops, .count = count, .semantics = options->semantics};
    enum vz_status status = vz_index_check_block(index, VZ_BLOCK_WRITE, err);
    if (status != VZ_OK)
        return status;
    task.prepared = vz_try_alloc(count, sizeof *task.prepared);
    if (!task.prepared)
        return vz_fail(err, VZ_BUDGET, "no memory for [%zu] operations", count);
    memset(task.prepared, 0, count * sizeof *task.prepared);
    prepare_ops(index, &task, options, &arena);
    status = check_budget(index, &task, err);
    if (status == VZ_OK)
        status = vz_writer_run(index, &task, err);
    free(task.prepared);
    vz_text_batch_free(task.batch);
    vz_arena_deinit(&arena);
    if (status != VZ_OK)
        return status;
    if (options->refresh == VZ_REFRESH_TRUE)
        vz_index_refresh_now(index);
    else if (options->refresh == VZ_REFRESH_WAIT_FOR)
        await_refresh(index, task.commit_number);
    if (options->refresh != VZ_REFRESH_NONE)
        status = check_kept(index, task.commit_number, err);
    atomic_fetch_add_explicit(&index->counters.index_time_ns, vz_now_ns() - start,
                              memory_order_relaxed);
    return status;
}
