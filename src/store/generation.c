/* store/generation.c - a generation's files: opening, closing, read transactions, single reads. */
#include "store/generation.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define OLDEST_FORMAT 1
#define MAX_READERS 500
#define RESERVE_MIN_BYTES ((size_t)1 << 30)
#define GENERATIONS_A_SHARE 32
#define NEARLY_FULL_BYTES ((uint64_t)8 << 20)
#define TRUTH_CAP_BYTES ((size_t)1 << 40)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || UINTPTR_MAX <= UINT32_MAX
#define RESERVE_CAP_BYTES ((size_t)1 << 30) /* sanitizers leave little address space */
#else
#define RESERVE_CAP_BYTES ((size_t)1 << 42)
#endif

/* Open generations of this process, among which its address space is shared out. */
static _Atomic unsigned generations_open;

/* A file cannot outgrow its file system, so that much is enough; and the more generations are
 * open, the less each gets, which keeps a thousand of them within 47 bits. One that is large
 * already gets four times its size. */
size_t vz_reserve_bytes(const char *dir, const char *file, size_t cap)
{
    struct statvfs disk;
    struct stat info;
    size_t most = RESERVE_CAP_BYTES, floor = RESERVE_MIN_BYTES;
    if (statvfs(dir, &disk) == 0)
        most = VZ_MIN(most, (size_t)disk.f_blocks * disk.f_frsize);
    most /= 1 + atomic_load(&generations_open) / GENERATIONS_A_SHARE;
    if (file && stat(file, &info) == 0)
        floor = VZ_MAX(floor, (size_t)info.st_size * 4);
    return VZ_MIN(cap, VZ_MAX(most, floor));
}

enum vz_status vz_fail_lmdb(struct vz_error *err, int code, const char *what)
{
    if (code == MDB_MAP_FULL)
        return vz_fail(err, VZ_DISK_FULL, "%s: the map of the index is full", what);
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
        code == MDB_VERSION_MISMATCH)
        return vz_fail(err, VZ_CORRUPT, "%s: %s", what, mdb_strerror(code));
    if (code > 0)
        return vz_fail_errno(err, code, "%s", what);
    return vz_fail(err, VZ_IO, "%s: %s", what, mdb_strerror(code));
}

enum vz_status vz_fail_commit(struct vz_error *err, int code, const char *dir, const char *what)
{
    /* LMDB says EIO for a write that came out short, which is what a nearly full disk gives. */
    if (code == EIO && vz_disk_free_bytes(dir) < NEARLY_FULL_BYTES)
        code = ENOSPC;
    return vz_fail_lmdb(err, code, what);
}

enum vz_status vz_lmdb_open(MDB_env *env, const char *path, unsigned flags, unsigned readers,
                            struct vz_error *err)
{
    struct vz_buf lock = {0};
    vz_buf_printf(&lock, "%s-lock", path);
    int fd = open(lock.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644), code = fd < 0 ? errno : 0;
    if (!code)
        code = posix_fallocate(fd, 0, (off_t)(readers * 64 + 4096));
    if (fd >= 0)
        close(fd);
    if (!code)
        code = mdb_env_set_maxreaders(env, readers);
    if (!code)
        code = mdb_env_open(env, path, flags, 0644);
    enum vz_status status = code ? vz_fail_lmdb(err, code, path) : VZ_OK;
    vz_buf_deinit(&lock);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int open_databases(struct vz_generation *gen, MDB_txn *txn)
{
    struct {
        const char *name;
        unsigned flags;
        MDB_dbi *dbi;
    } list[] = {
        {"docs", MDB_INTEGERKEY, &gen->docs_db},   {"ids", 0, &gen->ids_db},
        {"tombs", MDB_INTEGERKEY, &gen->tombs_db}, {"terms", 0, &gen->terms_db},
        {"ordinals", 0, &gen->ordinals_db},        {"state", 0, &gen->state_db},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(list); i++) {
        int code = mdb_dbi_open(txn, list[i].name, list[i].flags | MDB_CREATE, list[i].dbi);
        if (code)
            return code;
    }
    return 0;
}

static enum vz_status open_env(struct vz_generation *gen, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/truth.mdb", gen->dir);
    MDB_txn *txn = NULL;
    int code = mdb_env_create(&gen->env);
    if (!code)
        code = mdb_env_set_maxdbs(gen->env, 8);
    if (!code)
        code =
            mdb_env_set_mapsize(gen->env, vz_reserve_bytes(gen->dir, path.data, TRUTH_CAP_BYTES));
    enum vz_status status =
        code ? vz_fail_lmdb(err, code, path.data)
             : vz_lmdb_open(gen->env, path.data, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD,
                            MAX_READERS + 8, err);
    if (status != VZ_OK)
        goto out;
    code = mdb_txn_begin(gen->env, NULL, 0, &txn);
    if (!code)
        code = open_databases(gen, txn);
    if (!code)
        code = mdb_txn_commit(txn);
    else if (txn)
        mdb_txn_abort(txn);
    if (code)
        status = vz_fail_commit(err, code, gen->dir, path.data);
out:
    vz_buf_deinit(&path);
    return status;
}

static struct vz_generation *new_generation(const char *dir, uint64_t number)
{
    struct vz_generation *gen = vz_calloc(1, sizeof *gen);
    atomic_init(&gen->references, 1);
    gen->number = number;
    atomic_fetch_add(&generations_open, 1);
    gen->dir = vz_strdup(dir);
    gen->durable = true;
    gen->dead.fd = -1;
    pthread_mutex_init(&gen->text_work_lock, NULL);
    vz_remembered_init(&gen->remembered);
    pthread_mutex_init(&gen->text_lock, NULL);
    pthread_mutex_init(&gen->reader_lock, NULL);
    pthread_cond_init(&gen->reader_free, NULL);
    return gen;
}

static void free_generation(struct vz_generation *gen)
{
    if (gen->txn)
        vz_generation_abort(gen);
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        vz_rows_close(atomic_load(&gen->rows[i]));
        vz_column_close(atomic_load(&gen->columns[i]));
    }
    for (unsigned i = 0; i < gen->readers_idle; i++)
        mdb_txn_abort(gen->readers[i]);
    if (gen->env)
        mdb_env_close(gen->env);
    vz_grow_close(&gen->dead);
    vz_arena_deinit(&gen->arena);
    free(gen->staged_deaths);
    vz_buf_deinit(&gen->staged_gone);
    vz_texts_close(gen);
    vz_packer_free(atomic_load(&gen->packer));
    vz_terms_forget(gen);
    atomic_fetch_sub(&generations_open, 1);
    struct vz_error err = {0};
    if (atomic_load(&gen->condemned) && vz_remove_all(gen->dir, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "cannot remove %s: %s", gen->dir, err.text);
    pthread_mutex_destroy(&gen->text_work_lock);
    vz_remembered_deinit(&gen->remembered);
    pthread_mutex_destroy(&gen->text_lock);
    pthread_mutex_destroy(&gen->reader_lock);
    pthread_cond_destroy(&gen->reader_free);
    free(gen->dir);
    free(gen);
}

struct vz_generation *vz_generation_acquire(struct vz_generation *gen)
{
    atomic_fetch_add_explicit(&gen->references, 1, memory_order_relaxed);
    return gen;
}

void vz_generation_release(struct vz_generation *gen)
{
    if (gen && atomic_fetch_sub_explicit(&gen->references, 1, memory_order_acq_rel) == 1)
        free_generation(gen);
}

enum vz_status vz_generation_create(const char *dir, uint64_t number, struct vz_generation **out,
                                    struct vz_error *err)
{
    enum vz_status status = vz_mkdir_all(dir, err);
    if (status != VZ_OK)
        return status;
    struct vz_generation *gen = new_generation(dir, number);
    gen->state = (struct vz_generation_state){.format = VZ_STATE_FORMAT};
    status = open_env(gen, err);
    if (status == VZ_OK)
        status = vz_grow_open(&gen->dead, vz_reserve_bytes(dir, NULL, VZ_MAX_ENTRIES * 4), err);
    if (status == VZ_OK)
        status = vz_generation_begin(gen, err);
    if (status == VZ_OK)
        status = vz_generation_commit(gen, err);
    if (status == VZ_OK)
        status = vz_sync_dir(dir, err);
    if (status == VZ_OK)
        *out = gen;
    else
        free_generation(gen);
    return status;
}

static enum vz_status get_state(struct vz_generation *gen, MDB_txn *txn, const char *name,
                                MDB_val *value, struct vz_error *err)
{
    struct vz_slice text = vz_slice_from(name);
    union {
        const void *from;
        void *to;
    } unconst = {.from = text.ptr};
    MDB_val key = {text.len, unconst.to};
    int code = mdb_get(txn, gen->state_db, &key, value);
    if (code == MDB_NOTFOUND) {
        *value = (MDB_val){0, NULL};
        return VZ_OK;
    }
    return code ? vz_fail_lmdb(err, code, "reading the state of an index") : VZ_OK;
}

static enum vz_status load_rows(struct vz_generation *gen, MDB_txn *txn,
                                const struct vz_mapping *mapping, struct vz_error *err)
{
    MDB_val value;
    enum vz_status status = get_state(gen, txn, "rows", &value, err);
    struct vz_rows_state entry;
    for (size_t at = 0; status == VZ_OK && at + sizeof entry <= value.mv_size; at += sizeof entry) {
        memcpy(&entry, (const char *)value.mv_data + at, sizeof entry);
        const struct vz_field *field =
            entry.field < vz_mapping_count(mapping) ? vz_mapping_field(mapping, entry.field) : NULL;
        if (!field || field->type != VZ_FIELD_DENSE_VECTOR || entry.dims == 0)
            return vz_fail(err, VZ_CORRUPT, "rows of field [%u], which is no vector",
                           (unsigned)entry.field);
        struct vz_rows *rows = NULL;
        status = vz_rows_open(gen->dir, field, entry.dims, entry.count, &rows, err);
        if (status == VZ_OK) {
            rows->dead = &gen->dead;
            rows->staged_multi = entry.multi;
            atomic_init(&rows->multi, entry.multi);
            atomic_store(&gen->rows[entry.field], rows);
        }
    }
    return status;
}

static enum vz_status load_ordinals(struct vz_generation *gen, MDB_txn *txn, struct vz_error *err)
{
    MDB_val value;
    enum vz_status status = get_state(gen, txn, "ordinals", &value, err);
    struct vz_ordinals_state entry;
    for (size_t at = 0; status == VZ_OK && at + sizeof entry <= value.mv_size; at += sizeof entry) {
        memcpy(&entry, (const char *)value.mv_data + at, sizeof entry);
        if (entry.field < VZ_MAX_FIELDS)
            atomic_init(&gen->ordinals[entry.field], entry.count);
    }
    return status;
}

/* Tombstones become deaths in epoch 1; the first view has epoch 1. Costs what the dead cost. */
static enum vz_status load_deaths(struct vz_generation *gen, MDB_txn *txn, struct vz_error *err)
{
    enum vz_status status = vz_grow_ensure(&gen->dead, (size_t)gen->state.docs * 4 + 4, err);
    if (status != VZ_OK)
        return status;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, gen->tombs_db, &cursor);
    if (code)
        return vz_fail_lmdb(err, code, "reading tombstones");
    uint32_t *dead = (uint32_t *)(void *)gen->dead.base;
    MDB_val key, value;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint32_t chunk;
        memcpy(&chunk, key.mv_data, sizeof chunk);
        for (size_t byte = 0; byte < value.mv_size; byte++) {
            unsigned bits = ((const unsigned char *)value.mv_data)[byte];
            for (; bits; bits &= bits - 1) {
                size_t docno =
                    ((size_t)chunk * VZ_TOMB_CHUNK_BYTES + byte) * 8 + (size_t)__builtin_ctz(bits);
                if (docno < gen->state.docs)
                    dead[docno] = 1;
            }
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? VZ_OK : vz_fail_lmdb(err, code, "reading tombstones");
}

/* A damaged packer would make other documents of those that it packed, and nobody would see it: it
 * is replaced by one that does nothing, so that they are refused. */
static enum vz_status load_packer(struct vz_generation *gen, MDB_txn *txn, struct vz_error *err)
{
    MDB_val value, kept = {0, NULL};
    uint64_t hash;
    enum vz_status status = get_state(gen, txn, "packer", &value, err);
    if (status == VZ_OK)
        status = get_state(gen, txn, "packer_hash", &kept, err);
    if (status != VZ_OK || (value.mv_size == 0 && kept.mv_size == 0))
        return status;
    struct vz_slice bytes = {value.mv_data, value.mv_size};
    bool damaged = bytes.len > VZ_PACKER_MAX_BYTES;
    if (kept.mv_size == sizeof hash && !damaged) {
        memcpy(&hash, kept.mv_data, sizeof hash);
        damaged = hash != vz_hash(bytes, 0);
    }
    if (damaged)
        vz_log(VZ_LOG_ERROR, "store", "%s: what documents were packed with is damaged", gen->dir);
    if (damaged || bytes.len)
        atomic_init(&gen->packer, vz_packer_new(damaged ? (struct vz_slice){0} : bytes));
    return VZ_OK;
}

static enum vz_status load(struct vz_generation *gen, const struct vz_mapping *mapping,
                           struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = vz_reader_begin(gen, &txn, err);
    if (status != VZ_OK)
        return status;
    MDB_val value;
    status = get_state(gen, txn, "state", &value, err);
    if (status == VZ_OK && value.mv_size != sizeof gen->state)
        status = vz_fail(err, VZ_CORRUPT, "%s/truth.mdb has no state", gen->dir);
    if (status == VZ_OK) {
        memcpy(&gen->state, value.mv_data, sizeof gen->state);
        if (gen->state.format < OLDEST_FORMAT || gen->state.format > VZ_STATE_FORMAT)
            status =
                vz_fail(err, VZ_CORRUPT, "%s/truth.mdb has format %u; this program knows format %u",
                        gen->dir, gen->state.format, VZ_STATE_FORMAT);
    }
    if (status == VZ_OK)
        status = load_rows(gen, txn, mapping, err);
    if (status == VZ_OK)
        status = load_ordinals(gen, txn, err);
    if (status == VZ_OK)
        status = load_deaths(gen, txn, err);
    if (status == VZ_OK)
        status = load_packer(gen, txn, err);
    vz_reader_end(gen, txn);
    return status;
}

enum vz_status vz_generation_open(const char *dir, uint64_t number,
                                  const struct vz_mapping *mapping, struct vz_generation **out,
                                  struct vz_error *err)
{
    struct vz_generation *gen = new_generation(dir, number);
    enum vz_status status = open_env(gen, err);
    if (status == VZ_OK)
        status = vz_grow_open(&gen->dead, vz_reserve_bytes(dir, NULL, VZ_MAX_ENTRIES * 4), err);
    if (status == VZ_OK)
        status = load(gen, mapping, err);
    if (status == VZ_OK)
        status = vz_generation_recover(gen, mapping, err);
    if (status == VZ_OK)
        status = vz_texts_open(gen, mapping, err);
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        if (rows)
            vz_graph_open(gen->dir, rows, vz_mapping_field(mapping, (uint16_t)i));
    }
    if (status == VZ_OK)
        *out = gen;
    else
        free_generation(gen);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------- */

enum vz_status vz_reader_begin(struct vz_generation *gen, MDB_txn **txn, struct vz_error *err)
{
    pthread_mutex_lock(&gen->reader_lock);
    while (gen->readers_out >= MAX_READERS)
        pthread_cond_wait(&gen->reader_free, &gen->reader_lock);
    gen->readers_out++;
    MDB_txn *idle = gen->readers_idle ? gen->readers[--gen->readers_idle] : NULL;
    pthread_mutex_unlock(&gen->reader_lock);
    int code = idle ? mdb_txn_renew(idle) : mdb_txn_begin(gen->env, NULL, MDB_RDONLY, &idle);
    if (!code) {
        *txn = idle;
        return VZ_OK;
    }
    if (idle)
        mdb_txn_abort(idle);
    pthread_mutex_lock(&gen->reader_lock);
    gen->readers_out--;
    pthread_cond_signal(&gen->reader_free);
    pthread_mutex_unlock(&gen->reader_lock);
    return vz_fail_lmdb(err, code, "starting to read");
}

void vz_reader_end(struct vz_generation *gen, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    pthread_mutex_lock(&gen->reader_lock);
    gen->readers_out--;
    if (gen->readers_idle < VZ_COUNT_OF(gen->readers)) {
        gen->readers[gen->readers_idle++] = txn;
        txn = NULL;
    }
    pthread_cond_signal(&gen->reader_free);
    pthread_mutex_unlock(&gen->reader_lock);
    if (txn)
        mdb_txn_abort(txn);
}

enum vz_status vz_generation_record(struct vz_generation *gen, MDB_txn *txn, uint32_t docno,
                                    struct vz_record *record, struct vz_error *err)
{
    MDB_val key = {sizeof docno, &docno}, value;
    int code = mdb_get(txn, gen->docs_db, &key, &value);
    if (code == MDB_NOTFOUND)
        return vz_fail(err, VZ_NOT_FOUND, "there is no document number [%u]", docno);
    if (code)
        return vz_fail_lmdb(err, code, "reading a document");
    if (!vz_record_read((struct vz_slice){value.mv_data, value.mv_size}, record))
        return vz_fail(err, VZ_CORRUPT, "document number [%u] is no record", docno);
    record->packer = vz_generation_packer(gen);
    return VZ_OK;
}

/* Bytes of a cut source. */
struct extent {
    size_t from, to;
};

/* The root member VZ_INFERENCE_FIELDS with the comma that goes with it; empty when there is none. */
static struct extent find_hidden(struct vz_slice cut)
{
    struct vz_slice name = VZ_SLICE("\"" VZ_INFERENCE_FIELDS "\""), rest = cut, key, value;
    bool first = true;
    if (!memmem(cut.ptr, cut.len, name.ptr, name.len))
        return (struct extent){0};
    while (vz_json_raw_next(&rest, &key, &value)) {
        if (!vz_slice_is(key, VZ_INFERENCE_FIELDS)) {
            first = false;
            continue;
        }
        struct extent found = {(size_t)(key.ptr - 1 - cut.ptr),
                               (size_t)(value.ptr + value.len - cut.ptr)};
        while (!first && found.from && cut.ptr[found.from] != ',')
            found.from--;
        while (first && found.to < cut.len && (unsigned char)cut.ptr[found.to] <= ' ')
            found.to++;
        if (first && found.to < cut.len && cut.ptr[found.to] == ',')
            found.to++;
        return found;
    }
    return (struct extent){0};
}

static void append_shown(struct vz_buf *text, struct vz_slice cut, size_t from, size_t to,
                         struct extent hidden)
{
    size_t before = VZ_MIN(to, hidden.from), behind = VZ_MAX(from, hidden.to);
    if (hidden.to == 0)
        before = behind = to;
    if (from < before)
        vz_buf_append(text, cut.ptr + from, before - from);
    if (behind < to)
        vz_buf_append(text, cut.ptr + behind, to - behind);
}

/* Puts the vectors back where their nulls stand, or the numbers of their rows. */
static enum vz_status restore_source(struct vz_generation *gen, const struct vz_record *record,
                                     struct vz_slice cut, struct extent hidden,
                                     enum vz_doc_parts parts, struct vz_arena *arena,
                                     struct vz_slice *out, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_slice rest = parts == VZ_DOC_CUT_SOURCE ? (struct vz_slice){0} : record->splices;
    struct vz_splice splice;
    size_t at = 0;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_splice_next(&rest, &splice)) {
        if (splice.offset >= hidden.from && splice.offset < hidden.to)
            continue;
        struct vz_rows *rows = vz_generation_rows(gen, splice.field);
        if (!rows || rows->dims != splice.dims ||
            splice.row >= rows->vectors.size_bytes / rows->stride || splice.offset < at ||
            splice.offset + 4 > cut.len) {
            status = vz_fail(err, VZ_CORRUPT, "document [%.*s] has a vector that is not there",
                             (int)record->id.len, record->id.ptr);
            break;
        }
        append_shown(&text, cut, at, splice.offset, hidden);
        if (parts == VZ_DOC_ROW_SOURCE)
            vz_buf_printf(&text, "%u", splice.row);
        else
            vz_splice_print(&splice, rows->element, vz_rows_get(rows, splice.row), &text);
        at = splice.offset + 4;
    }
    if (status == VZ_OK) {
        append_shown(&text, cut, at, cut.len, hidden);
        *out = vz_arena_copy(arena, vz_buf_slice(&text));
    }
    vz_buf_deinit(&text);
    return status;
}

enum vz_status vz_generation_doc(struct vz_generation *gen, MDB_txn *txn, uint32_t docno,
                                 enum vz_doc_parts parts, struct vz_arena *arena,
                                 struct vz_stored_doc *doc, struct vz_error *err)
{
    struct vz_record record;
    enum vz_status status = vz_generation_record(gen, txn, docno, &record, err);
    if (status != VZ_OK)
        return status;
    *doc = (struct vz_stored_doc){
        .id = vz_arena_copy(arena, record.id), .version = record.version, .seq_no = record.seq_no};
    if (parts == VZ_DOC_META)
        return VZ_OK;
    status = vz_record_cut_source(&record, arena, &doc->source, err);
    if (status != VZ_OK)
        return status;
    struct extent hidden = {0};
    if (parts != VZ_DOC_WHOLE_SOURCE)
        hidden = find_hidden(doc->source);
    if (!hidden.to && (parts == VZ_DOC_CUT_SOURCE || !record.splice_count))
        return VZ_OK;
    return restore_source(gen, &record, doc->source, hidden, parts, arena, &doc->source, err);
}

struct vz_slice vz_id_of_pair(const MDB_val *key, const MDB_val *value, struct vz_id_entry *entry)
{
    struct vz_id_state state = {0};
    if (value->mv_size < sizeof state || key->mv_size < 1)
        return (struct vz_slice){0};
    memcpy(&state, value->mv_data, sizeof state);
    *entry = (struct vz_id_entry){.docno = state.docno,
                                  .deleted = state.deleted,
                                  .version = state.version,
                                  .seq_no = state.seq_no};
    const char *bytes = key->mv_data;
    if (bytes[0] == 0)
        return (struct vz_slice){bytes + 1, key->mv_size - 1};
    return (struct vz_slice){(const char *)value->mv_data + sizeof state,
                             value->mv_size - sizeof state};
}

/* Finds the pair of an id; *probe is where it is or where it would go. */
static enum vz_status probe_id(struct vz_generation *gen, MDB_txn *txn, struct vz_slice id,
                               struct vz_id_entry *entry, unsigned *probe, struct vz_error *err)
{
    char bytes[511];
    for (*probe = 0; *probe < 256; ++*probe) {
        MDB_val key = {vz_long_key(NULL, 0, id, *probe, bytes), bytes}, value;
        int code = mdb_get(txn, gen->ids_db, &key, &value);
        if (code == MDB_NOTFOUND)
            return VZ_NOT_FOUND;
        if (code)
            return vz_fail_lmdb(err, code, "reading ids");
        struct vz_slice found = vz_id_of_pair(&key, &value, entry);
        if (!found.ptr)
            return vz_fail(err, VZ_CORRUPT, "an entry of ids is malformed");
        if (vz_slice_eq(found, id))
            return VZ_OK;
    }
    return vz_fail(err, VZ_LIMIT, "too many long ids with one hash");
}

enum vz_status vz_generation_get_id(struct vz_generation *gen, MDB_txn *txn, struct vz_slice id,
                                    struct vz_id_entry *entry, struct vz_error *err)
{
    unsigned probe;
    return probe_id(gen, txn, id, entry, &probe, err);
}

enum vz_status vz_generation_put_id(struct vz_generation *gen, struct vz_slice id,
                                    const struct vz_id_entry *entry, struct vz_error *err)
{
    struct {
        struct vz_id_state state;
        char id[VZ_MAX_ID_BYTES];
    } value = {
        .state = {.docno = entry->docno,
                  .deleted = entry->deleted,
                  .version = entry->version,
                  .seq_no = entry->seq_no},
    };
    size_t len = sizeof value.state;
    unsigned probe = 0;
    if (vz_key_is_long(id)) {
        struct vz_id_entry there;
        enum vz_status status = probe_id(gen, gen->txn, id, &there, &probe, err);
        if (status != VZ_OK && status != VZ_NOT_FOUND)
            return status;
        assert(id.len <= sizeof value.id);
        memcpy(value.id, id.ptr, id.len);
        len += id.len;
    }
    char bytes[511];
    MDB_val key = {vz_long_key(NULL, 0, id, probe, bytes), bytes}, data = {len, &value};
    int code = mdb_put(gen->txn, gen->ids_db, &key, &data, 0);
    return code ? vz_fail_lmdb(err, code, "writing ids") : VZ_OK;
}

enum vz_status vz_generation_claim_id(struct vz_generation *gen, struct vz_slice id,
                                      const struct vz_id_entry *fresh, struct vz_id_entry *there,
                                      bool *claimed, struct vz_error *err)
{
    struct vz_id_state state = {
        .docno = fresh->docno, .version = fresh->version, .seq_no = fresh->seq_no};
    char bytes[511];
    *claimed = false;
    if (vz_key_is_long(id))
        return vz_generation_get_id(gen, gen->txn, id, there, err);
    MDB_val key = {vz_long_key(NULL, 0, id, 0, bytes), bytes}, data = {sizeof state, &state};
    int code = mdb_put(gen->txn, gen->ids_db, &key, &data, MDB_NOOVERWRITE);
    *claimed = code == 0;
    if (code == 0)
        return VZ_OK;
    if (code != MDB_KEYEXIST)
        return vz_fail_lmdb(err, code, "writing ids");
    if (!vz_id_of_pair(&key, &data, there).ptr)
        return vz_fail(err, VZ_CORRUPT, "an entry of ids is malformed");
    return VZ_OK;
}
