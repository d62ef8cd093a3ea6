/* store/repack.c - what sources are packed with, made of documents that lie in an index already.
 *
 * A packer holds pieces of the documents that it was made of. So a compaction makes one anew, of
 * documents that live, and packs all sources with it: what was deleted is then nowhere any more,
 * neither as a document nor as a piece of others. A source that was packed with another
 * generation's packer, by a request that waited while the compaction swapped, is packed again when
 * it is written (vz_generation_add).
 *
 * An index whose documents come a few at a time has no request to make a packer of. It gets one in
 * the background when it has PACKED_FROM_DOCS; they themselves are packed with it at the next
 * compaction. */
#include "base/log.h"
#include "store/index.h"

#include <stdlib.h>

#define SAMPLES 1000
#define SAMPLE_BYTES 2048
#define MAX_SOURCE_BYTES ((uint32_t)256 << 10) /* more is not unpacked for a sample */
#define PACKED_FROM_DOCS 1000

/* The beginning of a document's source; of no bytes where it cannot be had. */
static struct vz_slice sample_of(struct vz_generation *gen, MDB_txn *txn, uint32_t docno,
                                 struct vz_arena *scratch, struct vz_arena *arena)
{
    struct vz_record record;
    struct vz_slice source = {0};
    if (vz_generation_record(gen, txn, docno, &record, NULL) != VZ_OK ||
        record.source_len < VZ_PACKED_FROM_BYTES || record.source_len > MAX_SOURCE_BYTES ||
        vz_record_cut_source(&record, scratch, &source, NULL) != VZ_OK)
        source = (struct vz_slice){0};
    source.len = VZ_MIN(source.len, (size_t)SAMPLE_BYTES);
    source = source.len ? vz_arena_copy(arena, source) : (struct vz_slice){0};
    vz_arena_reset(scratch);
    return source;
}

struct vz_packer *vz_generation_train(struct vz_generation *gen, uint32_t docs)
{
    struct vz_arena arena = {0}, scratch = {0};
    struct vz_slice *samples = vz_alloc((SAMPLES + 1) * sizeof *samples);
    size_t live = 0, seen = 0, count = 0, tried = 0;
    MDB_txn *txn;
    if (vz_reader_begin(gen, &txn, NULL) != VZ_OK) {
        free(samples);
        return NULL;
    }
    for (uint32_t d = 0; d < docs; d++)
        live += vz_generation_death(gen, d) == 0;
    size_t want = VZ_MIN(live, (size_t)SAMPLES); /* evenly taken; some may die meanwhile */
    for (uint32_t d = 0; d < docs && tried < want; d++) {
        if (vz_generation_death(gen, d) != 0 || seen++ * want / live < tried)
            continue;
        tried++;
        struct vz_slice sample = sample_of(gen, txn, d, &scratch, &arena);
        if (sample.len)
            samples[count++] = sample;
    }
    vz_reader_end(gen, txn);
    struct vz_packer *packer = vz_packer_train(samples, count);
    vz_arena_deinit(&arena);
    vz_arena_deinit(&scratch);
    free(samples);
    return packer;
}

/* On the writer's thread: durable before any document that needs it, which is committed later. */
static enum vz_status keep(struct vz_index *index, void *context, struct vz_error *err)
{
    struct vz_packer **packer = context;
    struct vz_generation *gen = index->gen;
    if (vz_generation_packer(gen))
        return VZ_OK;
    enum vz_status status = vz_generation_begin(gen, err);
    if (status != VZ_OK)
        return status;
    status = vz_generation_put_packer(gen, *packer, err);
    if (status != VZ_OK) {
        vz_generation_abort(gen);
        return status;
    }
    status = vz_generation_commit(gen, err);
    if (status == VZ_OK) {
        atomic_store_explicit(&gen->packer, *packer, memory_order_release);
        *packer = NULL;
    }
    return status;
}

void vz_index_keep_packer(struct vz_index *index, struct vz_packer *packer)
{
    struct vz_task task = {.run = keep, .context = &packer};
    struct vz_error err = {0};
    if (packer && vz_writer_run(index, &task, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "[%s]: documents are not packed together: %s", index->name,
               err.text);
    vz_packer_free(packer);
}

void vz_index_pack_together(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    uint32_t docs = index->gen->state.docs, dead = index->gen->state.dead;
    bool has = vz_generation_packer(index->gen);
    struct vz_generation *gen = has ? NULL : vz_generation_acquire(index->gen);
    pthread_mutex_unlock(&index->view_lock);
    /* What was not worth it is tried again when there is much more. */
    if (gen && docs - dead >= PACKED_FROM_DOCS && docs / 4 >= index->packed_at_docs &&
        !atomic_load(&index->deleted)) {
        index->packed_at_docs = docs;
        vz_index_keep_packer(index, vz_generation_train(gen, docs));
    }
    vz_generation_release(gen);
}
