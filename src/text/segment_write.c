/* Writing a segment, term by term.
 *
 * Postings go out as they come; dictionaries wait in memory until all lists are out, because their
 * place is behind them. In memory the image is one growing buffer; to a file it is written through
 * a buffer into PATH.tmp, made durable and renamed. The content hash is taken 1 MiB at a time, so
 * that both ways and the check of a mapped file agree. */
#include "text/postings_parts.h"

#include "base/file.h"
#include "base/strmap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH_CHUNK ((size_t)1 << 20)

struct writer_field {
    struct vz_segment_field record;
    struct vz_buf blocks; /* the dictionary */
    struct vz_buf index;  /* struct vz_block_entry */
};

struct vz_segment_writer {
    char *path, *temporary; /* NULL: in memory */
    int fd;
    enum vz_status status;
    struct vz_error error;
    uint32_t base, limit;
    struct vz_buf out;    /* not written yet, or all of it */
    uint64_t written;     /* bytes before `out` */
    struct vz_buf hashed; /* hashes of whole chunks */
    uint64_t hash_done;   /* bytes of the content that are in `hashed` */

    struct writer_field *fields;
    size_t field_count, field_capacity;
    const unsigned char *norms;

    /* the term */
    struct vz_buf last_term, term;
    unsigned in_block;
    uint32_t docs[VZ_BLOCK], freqs[VZ_BLOCK];
    unsigned count;
    uint32_t doc_freq, last_doc; /* last_doc: relative to base; of the block before */
    uint64_t total_freq;
    struct vz_buf body, skips, positions; /* of the list */
    uint32_t *block_positions;            /* deltas of the block */
    size_t position_count, position_capacity;
    uint8_t front[256]; /* by norm: the largest freq of the list */
};

uint64_t vz_content_hash(const unsigned char *bytes, size_t size)
{
    struct vz_buf hashes = {0};
    for (size_t at = 0; at < size; at += HASH_CHUNK) {
        uint64_t hash =
            vz_hash((struct vz_slice){(const char *)bytes + at, VZ_MIN(HASH_CHUNK, size - at)}, 0);
        vz_buf_append(&hashes, &hash, sizeof hash);
    }
    uint64_t all = vz_hash(vz_buf_slice(&hashes), 0);
    vz_buf_deinit(&hashes);
    return all;
}

/* ---- bytes out --------------------------------------------------------------------------------
 */

static void fail_errno(struct vz_segment_writer *w, const char *what)
{
    if (w->status == VZ_OK)
        w->status = vz_fail_errno(&w->error, errno, "%s [%s]", what, w->temporary);
}

static uint64_t position(const struct vz_segment_writer *w)
{
    return w->written + w->out.len;
}

/* Whole chunks of content (the header is not content) are hashed and, for files, written. */
static void drain(struct vz_segment_writer *w, bool all)
{
    const size_t header = sizeof(struct vz_segment_header);
    for (;;) {
        uint64_t start = header + w->hash_done; /* where the next chunk begins */
        uint64_t have = position(w) - start;
        if (have < HASH_CHUNK && !(all && have))
            break;
        size_t take = (size_t)VZ_MIN(have, HASH_CHUNK);
        uint64_t hash = vz_hash((struct vz_slice){w->out.data + (start - w->written), take}, 0);
        vz_buf_append(&w->hashed, &hash, sizeof hash);
        w->hash_done += take;
    }
    if (!w->path)
        return;
    size_t ready = (size_t)(header + w->hash_done - w->written);
    for (size_t at = 0; at < ready && w->status == VZ_OK;) {
        ssize_t n = write(w->fd, w->out.data + at, ready - at);
        if (n < 0 && errno != EINTR)
            fail_errno(w, "writing");
        at += n > 0 ? (size_t)n : 0;
    }
    w->written += ready;
    memmove(w->out.data, w->out.data + ready, w->out.len - ready);
    w->out.len -= ready;
}

static void put(struct vz_segment_writer *w, const void *bytes, size_t len)
{
    vz_buf_append(&w->out, bytes, len);
    if (w->out.len >= 4 * HASH_CHUNK && w->path)
        drain(w, false);
}

static void put_varint(struct vz_buf *buf, uint64_t value)
{
    unsigned char bytes[10];
    vz_buf_append(buf, bytes, vz_varint_put(bytes, value));
}

static void align(struct vz_segment_writer *w)
{
    static const char zeros[8];
    put(w, zeros, (8 - position(w) % 8) % 8);
}

enum vz_status vz_segment_writer_new(const char *path, uint32_t base, uint32_t limit,
                                     struct vz_segment_writer **out, struct vz_error *err)
{
    struct vz_segment_writer *w = vz_calloc(1, sizeof *w);
    struct vz_segment_header header = {0};
    *out = NULL;
    w->fd = -1;
    w->base = base;
    w->limit = limit;
    if (path) {
        struct vz_buf name = {0};
        vz_buf_printf(&name, "%s.tmp", path);
        w->path = vz_strdup(path);
        w->temporary = vz_buf_take(&name);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (w->fd < 0) {
            enum vz_status status = vz_fail_errno(err, errno, "making [%s]", w->temporary);
            vz_segment_writer_abort(w);
            return status;
        }
    }
    vz_buf_append(&w->out, &header, sizeof header);
    *out = w;
    return VZ_OK;
}

/* ---- blocks -----------------------------------------------------------------------------------
 */

/* Pareto pairs of best[norm] = largest freq, at most VZ_IMPACTS; the last ones are put together. */
static void impacts_of(const uint8_t best[256], struct vz_impact out[VZ_IMPACTS])
{
    unsigned count = 0;
    uint8_t most = 0;
    memset(out, 0, VZ_IMPACTS * sizeof *out);
    for (unsigned norm = 0; norm < 256; norm++) {
        if (best[norm] <= most)
            continue;
        most = best[norm];
        if (count < VZ_IMPACTS)
            out[count++] = (struct vz_impact){most, (uint8_t)norm};
        else
            out[count - 1].freq = most; /* an upper bound of both */
    }
}

static void block_impacts(struct vz_segment_writer *w, struct vz_impact out[VZ_IMPACTS])
{
    uint8_t best[256] = {0};
    for (unsigned i = 0; i < w->count; i++) {
        uint8_t norm = w->norms ? w->norms[w->docs[i]] : 1;
        uint8_t freq = (uint8_t)VZ_MIN(w->freqs[i], 255);
        best[norm] = VZ_MAX(best[norm], freq);
        w->front[norm] = VZ_MAX(w->front[norm], freq);
    }
    impacts_of(best, out);
}

/* Positions of the gathered documents: their width, then the deltas one behind the other. */
static void flush_positions(struct vz_segment_writer *w, unsigned flags)
{
    if (!(flags & VZ_TEXT_POSITIONS))
        return;
    uint32_t any = 0;
    for (size_t i = 0; i < w->position_count; i++)
        any |= w->block_positions[i];
    unsigned char bits = (unsigned char)vz_bits_of(any);
    size_t bytes = (w->position_count * bits + 7) / 8;
    vz_buf_append(&w->positions, &bits, 1);
    vz_buf_reserve(&w->positions, bytes + 16);
    unsigned char *out = (unsigned char *)w->positions.data + w->positions.len;
    uint64_t word = 0;
    unsigned held = 0; /* bits in `word`, below 32 between steps */
    for (size_t i = 0; bits && i < w->position_count; i++) {
        word |= (uint64_t)w->block_positions[i] << held;
        held += bits;
        if (held >= 32) {
            memcpy(out, &word, 4);
            out += 4;
            word >>= 32;
            held -= 32;
        }
    }
    memcpy(out, &word, 4); /* what is not used of it is room behind the end */
    w->positions.len += bytes;
    w->position_count = 0;
}

static void flush_block(struct vz_segment_writer *w, unsigned flags)
{
    uint32_t deltas[VZ_BLOCK];
    unsigned char packed[16 * 32];
    struct vz_skip_entry skip = {.last = w->docs[VZ_BLOCK - 1],
                                 .at = (uint32_t)w->body.len,
                                 .pos_at = (uint32_t)w->positions.len};
    block_impacts(w, skip.impacts);
    vz_buf_append(&w->skips, &skip, sizeof skip);
    uint32_t before = w->last_doc;
    for (unsigned i = 0; i < VZ_BLOCK; i++) {
        deltas[i] = w->docs[i] - before;
        before = w->docs[i];
    }
    w->last_doc = before;
    unsigned doc_bits = vz_pack_bits(deltas), freq_bits = 0;
    if (flags & VZ_TEXT_FREQS) {
        for (unsigned i = 0; i < VZ_BLOCK; i++)
            w->freqs[i]--;
        freq_bits = vz_pack_bits(w->freqs);
    }
    vz_buf_append_char(&w->body, (char)doc_bits);
    vz_buf_append_char(&w->body, (char)freq_bits);
    vz_pack(deltas, doc_bits, packed);
    vz_buf_append(&w->body, packed, doc_bits * 16);
    vz_pack(w->freqs, freq_bits, packed);
    vz_buf_append(&w->body, packed, freq_bits * 16);
    flush_positions(w, flags);
    w->count = 0;
}

/* What is left over: numbers of any length. A freq of 1 is a bit of the delta. */
static void flush_tail(struct vz_segment_writer *w, unsigned flags, bool skipped)
{
    if (skipped) {
        struct vz_skip_entry skip = {.last = w->docs[w->count - 1],
                                     .at = (uint32_t)w->body.len,
                                     .pos_at = (uint32_t)w->positions.len};
        block_impacts(w, skip.impacts);
        vz_buf_append(&w->skips, &skip, sizeof skip);
    }
    uint32_t before = w->last_doc;
    vz_buf_reserve(&w->body, w->count * (size_t)20);
    unsigned char *out = (unsigned char *)w->body.data + w->body.len;
    for (unsigned i = 0; i < w->count; i++) {
        uint64_t delta = w->docs[i] - before;
        before = w->docs[i];
        if (flags & VZ_TEXT_FREQS) {
            out += vz_varint_put(out, delta << 1 | (w->freqs[i] == 1));
            if (w->freqs[i] != 1)
                out += vz_varint_put(out, w->freqs[i]);
        } else {
            out += vz_varint_put(out, delta);
        }
    }
    w->body.len = (size_t)(out - (unsigned char *)w->body.data);
    flush_positions(w, flags);
    w->count = 0;
}

/* ---- terms ------------------------------------------------------------------------------------
 */

static struct writer_field *current(struct vz_segment_writer *w)
{
    return &w->fields[w->field_count - 1];
}

void vz_segment_writer_field(struct vz_segment_writer *w, uint16_t field, unsigned flags,
                             const unsigned char *norms)
{
    if (w->field_count == w->field_capacity) {
        w->field_capacity = w->field_capacity ? w->field_capacity * 2 : 8;
        w->fields = vz_realloc(w->fields, w->field_capacity * sizeof *w->fields);
    }
    align(w);
    w->fields[w->field_count++] = (struct writer_field){
        .record = {.id = field, .flags = (uint16_t)flags, .postings_at = position(w)}};
    w->norms = norms;
    w->in_block = 0;
    vz_buf_clear(&w->last_term);
}

void vz_segment_writer_term(struct vz_segment_writer *w, struct vz_slice term)
{
    vz_buf_clear(&w->term);
    vz_buf_append(&w->term, term.ptr, term.len);
    w->doc_freq = 0;
    w->total_freq = 0;
    w->last_doc = 0;
    w->count = 0;
    w->position_count = 0;
    vz_buf_clear(&w->body);
    vz_buf_clear(&w->skips);
    vz_buf_clear(&w->positions);
}

void vz_segment_writer_doc(struct vz_segment_writer *w, uint32_t docno, uint32_t freq,
                           const uint32_t *positions)
{
    unsigned flags = current(w)->record.flags;
    assert(docno >= w->base && docno < w->limit && freq > 0);
    if (w->count == VZ_BLOCK) {
        if (w->doc_freq == VZ_BLOCK)
            memset(w->front, 0, sizeof w->front);
        flush_block(w, flags);
    }
    w->docs[w->count] = docno - w->base;
    w->freqs[w->count++] = flags & VZ_TEXT_FREQS ? freq : 1;
    w->doc_freq++;
    w->total_freq += flags & VZ_TEXT_FREQS ? freq : 1;
    if (!(flags & VZ_TEXT_POSITIONS))
        return;
    if (w->position_count + freq > w->position_capacity) {
        w->position_capacity = (w->position_count + freq) * 2 + 256;
        w->block_positions =
            vz_realloc(w->block_positions, w->position_capacity * sizeof *w->block_positions);
    }
    uint32_t before = 0;
    for (uint32_t i = 0; i < freq; i++) {
        w->block_positions[w->position_count++] = positions[i] - before;
        before = positions[i];
    }
}

/* Puts a term into the dictionary. */
static void add_entry(struct vz_segment_writer *w, struct writer_field *field, uint64_t list_at,
                      uint64_t list_bytes)
{
    size_t shared = 0;
    if (w->in_block == 0) {
        unsigned char prefix[8] = {0};
        memcpy(prefix, w->term.data, VZ_MIN(w->term.len, 8));
        struct vz_block_entry entry = {0, field->blocks.len};
        for (unsigned i = 0; i < 8; i++)
            entry.prefix = entry.prefix << 8 | prefix[i];
        vz_buf_append(&field->index, &entry, sizeof entry);
        field->record.block_count++;
        put_varint(&field->blocks, list_at - field->record.postings_at);
    } else {
        size_t most = VZ_MIN(w->last_term.len, w->term.len);
        while (shared < most && w->last_term.data[shared] == w->term.data[shared])
            shared++;
        put_varint(&field->blocks, shared);
    }
    put_varint(&field->blocks, w->term.len - shared);
    vz_buf_append(&field->blocks, w->term.data + shared, w->term.len - shared);
    put_varint(&field->blocks, w->doc_freq);
    if (field->record.flags & VZ_TEXT_FREQS)
        put_varint(&field->blocks, w->total_freq - w->doc_freq);
    put_varint(&field->blocks, list_bytes);
    w->in_block = (w->in_block + 1) % VZ_TERMS_PER_BLOCK;
    vz_buf_clear(&w->last_term);
    vz_buf_append_slice(&w->last_term, vz_buf_slice(&w->term));
}

void vz_segment_writer_end_term(struct vz_segment_writer *w)
{
    struct writer_field *field = current(w);
    unsigned flags = field->record.flags;
    if (w->doc_freq == 0)
        return;
    bool skipped = w->doc_freq > VZ_BLOCK;
    flush_tail(w, flags, skipped);
    uint64_t list_at = position(w);
    if (skipped) {
        struct vz_list_head head = {0};
        size_t lead = sizeof head + w->skips.len;
        impacts_of(w->front, head.impacts);
        if (flags & VZ_TEXT_POSITIONS)
            head.positions_at = (uint32_t)(lead + w->body.len);
        if (lead + w->body.len + w->positions.len > UINT32_MAX && w->status == VZ_OK)
            w->status = vz_fail(&w->error, VZ_LIMIT, "the postings of one term are over 4 GiB");
        struct vz_skip_entry *skips = (struct vz_skip_entry *)(void *)w->skips.data;
        for (size_t i = 0; i < w->skips.len / sizeof *skips; i++)
            skips[i].at += (uint32_t)lead;
        put(w, &head, sizeof head);
        put(w, w->skips.data, w->skips.len);
    }
    put(w, w->body.data, w->body.len);
    put(w, w->positions.data, w->positions.len);
    uint64_t bytes = position(w) - list_at;
    add_entry(w, field, list_at, bytes);
    field->record.terms++;
    field->record.sum_doc_freqs += w->doc_freq;
    field->record.sum_total_freqs += w->total_freq;
}

/* Norms: a byte for each document, or pairs where few have the field. */
static void put_norms(struct vz_segment_writer *w, struct vz_segment_field *record)
{
    uint32_t range = w->limit - w->base;
    align(w);
    record->norms_at = position(w);
    if (record->doc_count > range / 8) {
        record->norms_kind = VZ_NORMS_DENSE;
        put(w, w->norms, range);
        return;
    }
    record->norms_kind = VZ_NORMS_SPARSE;
    for (uint32_t i = 0; i < range; i++)
        if (w->norms[i])
            put(w, &i, sizeof i);
    for (uint32_t i = 0; i < range; i++)
        if (w->norms[i])
            put(w, &w->norms[i], 1);
}

void vz_segment_writer_end_field(struct vz_segment_writer *w, uint32_t doc_count)
{
    struct writer_field *field = current(w);
    field->record.postings_bytes = position(w) - field->record.postings_at;
    field->record.doc_count = doc_count;
    if (field->record.terms == 0) {
        vz_buf_deinit(&field->blocks);
        vz_buf_deinit(&field->index);
        w->field_count--;
        return;
    }
    if (w->norms)
        put_norms(w, &field->record);
    w->norms = NULL;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void writer_free(struct vz_segment_writer *w)
{
    for (size_t i = 0; i < w->field_count; i++) {
        vz_buf_deinit(&w->fields[i].blocks);
        vz_buf_deinit(&w->fields[i].index);
    }
    free(w->fields);
    vz_buf_deinit(&w->out);
    vz_buf_deinit(&w->hashed);
    vz_buf_deinit(&w->last_term);
    vz_buf_deinit(&w->term);
    vz_buf_deinit(&w->body);
    vz_buf_deinit(&w->skips);
    vz_buf_deinit(&w->positions);
    free(w->block_positions);
    free(w->path);
    free(w->temporary);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

void vz_segment_writer_abort(struct vz_segment_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        unlink(w->temporary);
    writer_free(w);
}

static void put_directory(struct vz_segment_writer *w, struct vz_segment_header *header)
{
    for (size_t i = 0; i < w->field_count; i++) {
        struct writer_field *field = &w->fields[i];
        align(w);
        field->record.blocks_at = position(w);
        field->record.blocks_bytes = field->blocks.len;
        put(w, field->blocks.data, field->blocks.len);
        align(w);
        field->record.index_at = position(w);
        put(w, field->index.data, field->index.len);
    }
    align(w);
    drain(w, true);
    header->content_hash = vz_hash(vz_buf_slice(&w->hashed), 0);
    header->fields_at = position(w);
    struct vz_buf table = {0};
    vz_buf_append_str(&table, "");
    for (size_t i = 0; i < w->field_count; i++)
        vz_buf_append(&table, &w->fields[i].record, sizeof w->fields[i].record);
    header->fields_hash = vz_hash(vz_buf_slice(&table), 0);
    vz_buf_append_slice(&w->out, vz_buf_slice(&table));
    /* Readers may look eight bytes past what they need. */
    vz_buf_append(&w->out, "\0\0\0\0\0\0\0\0", 8);
    vz_buf_deinit(&table);
}

static enum vz_status finish_file(struct vz_segment_writer *w,
                                  const struct vz_segment_header *header)
{
    for (size_t at = 0; at < w->out.len && w->status == VZ_OK;) {
        ssize_t n = write(w->fd, w->out.data + at, w->out.len - at);
        if (n < 0 && errno != EINTR)
            fail_errno(w, "writing");
        at += n > 0 ? (size_t)n : 0;
    }
    if (w->status == VZ_OK && pwrite(w->fd, header, sizeof *header, 0) != (ssize_t)sizeof *header)
        fail_errno(w, "writing");
    if (w->status == VZ_OK && fsync(w->fd) != 0)
        fail_errno(w, "syncing");
    if (w->status == VZ_OK && rename(w->temporary, w->path) != 0)
        fail_errno(w, "renaming");
    if (w->status == VZ_OK) {
        char *slash = strrchr(w->path, '/');
        struct vz_buf folder = {0};
        vz_buf_printf(&folder, "%.*s", slash ? (int)(slash - w->path) : 1, slash ? w->path : ".");
        w->status = vz_sync_dir(folder.data, &w->error);
        vz_buf_deinit(&folder);
    }
    return w->status;
}

enum vz_status vz_segment_writer_finish(struct vz_segment_writer *w, struct vz_segment **out,
                                        struct vz_error *err)
{
    struct vz_segment_header header = {.magic = VZ_SEGMENT_MAGIC,
                                       .version = VZ_SEGMENT_VERSION,
                                       .field_count = (uint32_t)w->field_count,
                                       .base = w->base,
                                       .limit = w->limit};
    *out = NULL;
    put_directory(w, &header);
    header.bytes = position(w);
    header.header_hash = vz_hash(
        (struct vz_slice){(const char *)&header, offsetof(struct vz_segment_header, header_hash)},
        0);
    enum vz_status status = w->status;
    if (status == VZ_OK && w->path) {
        status = finish_file(w, &header);
        if (status == VZ_OK) {
            close(w->fd);
            w->fd = -1;
            status = vz_segment_open(w->path, false, out, &w->error);
        }
    } else if (status == VZ_OK) {
        memcpy(w->out.data, &header, sizeof header);
        size_t size = w->out.len;
        unsigned char *bytes = (unsigned char *)vz_buf_take(&w->out);
        status = vz_segment_from(bytes, size, false, out, &w->error);
    }
    if (status != VZ_OK && err)
        *err = w->error;
    vz_segment_writer_abort(w);
    return status;
}
