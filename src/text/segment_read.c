/* Reading a segment: opening, the dictionary, one term's postings. Offsets of a file are checked
 * against its size where a list or a block is opened; what is inside is read with an end in sight,
 * so that a damaged file gives wrong answers at worst, never a read outside of it. */
#include "text/block.h"
#include "text/dense.h"

#include "base/file.h"
#include "base/strmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ----------------------------------------------------------------------------------
 */

static void segment_free(struct vz_segment *segment)
{
    union { /* the bytes are ours to give back */
        const unsigned char *read;
        void *own;
    } bytes = {segment->bytes};
    if (segment->mapped)
        munmap(bytes.own, segment->size);
    else
        free(bytes.own);
    vz_dense_cache_free(segment->dense);
    free(segment);
}

static bool inside(const struct vz_segment *segment, uint64_t at, uint64_t bytes)
{
    return at <= segment->size && bytes <= segment->size - at;
}

static enum vz_status check_field(const struct vz_segment *segment,
                                  const struct vz_segment_field *field, struct vz_error *err)
{
    uint32_t range = segment->limit - segment->base;
    uint64_t norm_bytes = field->norms_kind == VZ_NORMS_DENSE    ? range
                          : field->norms_kind == VZ_NORMS_SPARSE ? (uint64_t)field->doc_count * 5
                                                                 : 0;
    if (field->postings_at % 8 || field->index_at % 8 || field->norms_at % 8 ||
        field->doc_count > range ||
        field->terms > (uint64_t)field->block_count * VZ_TERMS_PER_BLOCK ||
        !inside(segment, field->postings_at, field->postings_bytes) ||
        !inside(segment, field->blocks_at, field->blocks_bytes) ||
        !inside(segment, field->index_at,
                (uint64_t)field->block_count * sizeof(struct vz_block_entry)) ||
        !inside(segment, field->norms_at, norm_bytes))
        return vz_fail(err, VZ_CORRUPT, "a segment's field [%u] lies outside of it", field->id);
    return VZ_OK;
}

static enum vz_status check(const struct vz_segment *segment, struct vz_error *err)
{
    struct vz_segment_header header;
    if (segment->size < sizeof header + 8)
        return vz_fail(err, VZ_CORRUPT, "a segment of [%zu] bytes is cut", segment->size);
    memcpy(&header, segment->bytes, sizeof header);
    if (header.magic != VZ_SEGMENT_MAGIC)
        return vz_fail(err, VZ_CORRUPT, "this is no segment of postings");
    if (header.header_hash !=
        vz_hash((struct vz_slice){(const char *)&header,
                                  offsetof(struct vz_segment_header, header_hash)},
                0))
        return vz_fail(err, VZ_CORRUPT, "a segment's header is damaged");
    if (header.version > VZ_SEGMENT_VERSION)
        return vz_fail(err, VZ_UNSUPPORTED, "a segment of version [%u] is newer than this program",
                       header.version);
    if (header.bytes != segment->size || header.base > header.limit || header.fields_at % 8 ||
        !inside(segment, header.fields_at,
                (uint64_t)header.field_count * sizeof(struct vz_segment_field) + 8))
        return vz_fail(err, VZ_CORRUPT, "a segment has not the size it should have");
    struct vz_slice table = {(const char *)segment->bytes + header.fields_at,
                             header.field_count * sizeof(struct vz_segment_field)};
    if (vz_hash(table, 0) != header.fields_hash)
        return vz_fail(err, VZ_CORRUPT, "a segment's table of fields is damaged");
    return VZ_OK;
}

enum vz_status vz_segment_from(unsigned char *bytes, size_t size, bool mapped,
                               struct vz_segment **out, struct vz_error *err)
{
    struct vz_segment *segment = vz_calloc(1, sizeof *segment);
    struct vz_segment_header header;
    *out = NULL;
    atomic_init(&segment->references, 1);
    segment->bytes = bytes;
    segment->size = size;
    segment->mapped = mapped;
    enum vz_status status = check(segment, err);
    if (status == VZ_OK) {
        memcpy(&header, bytes, sizeof header);
        segment->base = header.base;
        segment->limit = header.limit;
        segment->field_count = header.field_count;
        segment->fields = (const struct vz_segment_field *)(const void *)(bytes + header.fields_at);
        for (unsigned i = 0; i < segment->field_count && status == VZ_OK; i++)
            status = check_field(segment, &segment->fields[i], err);
    }
    if (status != VZ_OK) {
        segment_free(segment);
        return status;
    }
    segment->dense = vz_dense_cache_new(segment);
    *out = segment;
    return VZ_OK;
}

enum vz_status vz_segment_open(const char *path, bool check_all, struct vz_segment **out,
                               struct vz_error *err)
{
    struct stat about;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) {
        enum vz_status status = vz_fail_errno(err, errno, "opening [%s]", path);
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (about.st_size < (off_t)sizeof(struct vz_segment_header)) {
        close(fd);
        return vz_fail(err, VZ_CORRUPT, "[%s] is cut", path);
    }
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
    int code = errno;
    close(fd);
    if (bytes == MAP_FAILED)
        return vz_fail_errno(err, code, "mapping [%s]", path);
    enum vz_status status = vz_segment_from(bytes, (size_t)about.st_size, true, out, err);
    if (status == VZ_OK && check_all) {
        struct vz_segment_header header;
        memcpy(&header, bytes, sizeof header);
        if (vz_content_hash((const unsigned char *)bytes + sizeof header,
                            header.fields_at - sizeof header) != header.content_hash) {
            vz_segment_release(*out);
            *out = NULL;
            status = vz_fail(err, VZ_CORRUPT, "[%s] does not hold what was written", path);
        }
    }
    return status;
}

enum vz_status vz_segment_write(const struct vz_segment *segment, const char *path,
                                struct vz_error *err)
{
    return vz_file_write_atomic(path, segment->bytes, segment->size, err);
}

struct vz_segment *vz_segment_acquire(struct vz_segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

void vz_segment_release(struct vz_segment *segment)
{
    if (segment && atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) == 1)
        segment_free(segment);
}

uint32_t vz_segment_base(const struct vz_segment *segment)
{
    return segment->base;
}
uint32_t vz_segment_limit(const struct vz_segment *segment)
{
    return segment->limit;
}
bool vz_segment_is_mapped(const struct vz_segment *segment)
{
    return segment->mapped;
}

const struct vz_segment_field *vz_segment_find_field(const struct vz_segment *segment,
                                                     uint16_t field)
{
    unsigned low = 0, high = segment->field_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (segment->fields[middle].id < field)
            low = middle + 1;
        else
            high = middle;
    }
    return low < segment->field_count && segment->fields[low].id == field ? &segment->fields[low]
                                                                          : NULL;
}

/* ---- the dictionary ---------------------------------------------------------------------------
 */

static const struct vz_block_entry *index_of(const struct vz_dictionary *walk)
{
    return (const struct vz_block_entry *)(const void *)(walk->segment->bytes +
                                                         walk->field->index_at);
}

void vz_dictionary_init(struct vz_dictionary *walk, const struct vz_segment *segment,
                        const struct vz_segment_field *field)
{
    *walk = (struct vz_dictionary){.segment = segment, .field = field, .in_block = 0};
    vz_buf_reserve(&walk->term, 64);
}

void vz_dictionary_deinit(struct vz_dictionary *walk)
{
    vz_buf_deinit(&walk->term);
}

/* Stands before the first term of a block. */
static bool open_block(struct vz_dictionary *walk, uint32_t block)
{
    if (block >= walk->field->block_count) {
        walk->done = true;
        return false;
    }
    uint64_t at = index_of(walk)[block].at;
    const unsigned char *blocks = walk->segment->bytes + walk->field->blocks_at;
    uint64_t end = block + 1 < walk->field->block_count ? index_of(walk)[block + 1].at
                                                        : walk->field->blocks_bytes;
    if (at > end || end > walk->field->blocks_bytes) {
        walk->done = true;
        return false;
    }
    walk->block = block;
    walk->in_block = 0;
    walk->at = blocks + at;
    walk->end = blocks + end;
    walk->list_at = vz_varint_get(&walk->at, walk->end);
    return true;
}

/* The next term of the block; false at its end. */
static bool next_in_block(struct vz_dictionary *walk)
{
    if (walk->at >= walk->end)
        return false;
    size_t shared = walk->in_block ? vz_varint_get(&walk->at, walk->end) : 0;
    size_t rest = vz_varint_get(&walk->at, walk->end);
    if (shared > walk->term.len || rest > (size_t)(walk->end - walk->at))
        return false;
    walk->term.len = shared;
    vz_buf_append(&walk->term, walk->at, rest);
    walk->at += rest;
    uint64_t doc_freq = vz_varint_get(&walk->at, walk->end);
    uint64_t more = walk->field->flags & VZ_TEXT_FREQS ? vz_varint_get(&walk->at, walk->end) : 0;
    walk->info.doc_freq = (uint32_t)doc_freq;
    walk->info.total_freq = doc_freq + more;
    walk->info.at = walk->list_at;
    walk->info.bytes = vz_varint_get(&walk->at, walk->end);
    walk->list_at += walk->info.bytes;
    walk->in_block++;
    return true;
}

bool vz_dictionary_next(struct vz_dictionary *walk)
{
    if (walk->done)
        return false;
    if (!walk->at && !open_block(walk, 0))
        return false;
    while (!next_in_block(walk))
        if (!open_block(walk, walk->block + 1))
            return false;
    return true;
}

static uint64_t prefix_of(struct vz_slice term)
{
    unsigned char bytes[8] = {0};
    uint64_t prefix = 0;
    memcpy(bytes, term.ptr, VZ_MIN(term.len, 8));
    for (unsigned i = 0; i < 8; i++)
        prefix = prefix << 8 | bytes[i];
    return prefix;
}

/* The first term of a block, in place. */
static struct vz_slice first_term(const struct vz_dictionary *walk, uint32_t block)
{
    const unsigned char *blocks = walk->segment->bytes + walk->field->blocks_at;
    const unsigned char *at = blocks + VZ_MIN(index_of(walk)[block].at, walk->field->blocks_bytes);
    const unsigned char *end = blocks + walk->field->blocks_bytes;
    vz_varint_get(&at, end);
    size_t len = vz_varint_get(&at, end);
    return (struct vz_slice){(const char *)at, VZ_MIN(len, (size_t)(end - at))};
}

/* The last block whose first term is not behind `term`; 0 when all are. */
static uint32_t block_of(const struct vz_dictionary *walk, struct vz_slice term)
{
    uint64_t prefix = prefix_of(term);
    const struct vz_block_entry *index = index_of(walk);
    uint32_t low = 0, high = walk->field->block_count;
    while (low < high) { /* the first block behind `term` */
        uint32_t middle = low + (high - low) / 2;
        bool behind = index[middle].prefix > prefix;
        if (index[middle].prefix == prefix)
            behind = vz_slice_cmp(first_term(walk, middle), term) > 0;
        if (behind)
            high = middle;
        else
            low = middle + 1;
    }
    return low ? low - 1 : 0;
}

bool vz_dictionary_seek(struct vz_dictionary *walk, struct vz_slice term)
{
    walk->done = false;
    walk->term.len = 0;
    if (walk->field->block_count == 0 || !open_block(walk, block_of(walk, term)))
        return false;
    while (vz_dictionary_next(walk))
        if (vz_slice_cmp(vz_dictionary_term(walk), term) >= 0)
            return true;
    return false;
}

/* Finds a term without copying: how much of it each entry shares is enough to compare. */
bool vz_segment_find_term(const struct vz_segment *segment, const struct vz_segment_field *field,
                          struct vz_slice term, struct vz_term_info *info)
{
    struct vz_dictionary walk = {.segment = segment, .field = field};
    if (field->block_count == 0 || !open_block(&walk, block_of(&walk, term)))
        return false;
    bool freqs = field->flags & VZ_TEXT_FREQS;
    size_t matched = 0; /* bytes that the entry before shares with `term`; it was smaller */
    for (bool first = true; walk.at < walk.end; first = false) {
        size_t shared = first ? 0 : vz_varint_get(&walk.at, walk.end);
        size_t rest = vz_varint_get(&walk.at, walk.end);
        if (rest > (size_t)(walk.end - walk.at))
            return false;
        const unsigned char *suffix = walk.at;
        walk.at += rest;
        uint64_t doc_freq = vz_varint_get(&walk.at, walk.end);
        uint64_t more = freqs ? vz_varint_get(&walk.at, walk.end) : 0;
        uint64_t bytes = vz_varint_get(&walk.at, walk.end);
        if (shared < matched)
            return false; /* it went past */
        if (shared == matched || first) {
            size_t i = 0;
            while (i < rest && matched + i < term.len &&
                   suffix[i] == (unsigned char)term.ptr[matched + i])
                i++;
            if (matched + i == term.len && i == rest) {
                *info =
                    (struct vz_term_info){(uint32_t)doc_freq, doc_freq + more, walk.list_at, bytes};
                return true;
            }
            if (matched + i == term.len ||
                (i < rest && suffix[i] > (unsigned char)term.ptr[matched + i]))
                return false;
            matched += i;
        }
        walk.list_at += bytes;
    }
    return false;
}

/* ---- one term's postings ----------------------------------------------------------------------
 */

unsigned char vz_segment_norm(const struct vz_segment *segment,
                              const struct vz_segment_field *field, uint32_t docno)
{
    if (field->norms_kind == VZ_NORMS_NONE || docno < segment->base || docno >= segment->limit)
        return 0;
    const unsigned char *norms = segment->bytes + field->norms_at;
    uint32_t doc = docno - segment->base;
    if (field->norms_kind == VZ_NORMS_DENSE)
        return norms[doc];
    const uint32_t *docs = (const uint32_t *)(const void *)norms;
    uint32_t low = 0, high = field->doc_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (docs[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    return low < field->doc_count && docs[low] == doc ? norms[(size_t)field->doc_count * 4 + low]
                                                      : 0;
}

/* Sparse norms go forward with the postings: gallop from the last place. */
unsigned char vz_postings_norm_slow(struct vz_postings *p, uint32_t docno)
{
    if (p->field->norms_kind != VZ_NORMS_SPARSE)
        return 1;
    const unsigned char *norms = p->segment->bytes + p->field->norms_at;
    const uint32_t *docs = (const uint32_t *)(const void *)norms;
    uint32_t doc = docno - p->base, count = p->field->doc_count, step = 1;
    uint32_t low = p->sparse_at < count && docs[p->sparse_at] <= doc ? p->sparse_at : 0;
    uint32_t high = low;
    while (high < count && docs[high] < doc) {
        low = high;
        high += step;
        step *= 2;
    }
    high = VZ_MIN(high, count);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (docs[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    p->sparse_at = low;
    return low < count && docs[low] == doc ? norms[(size_t)count * 4 + low] : 1;
}

bool vz_postings_open_info(struct vz_postings *p, const struct vz_segment *segment,
                           const struct vz_segment_field *field, const struct vz_term_info *info)
{
    /* Not the arrays: they are written before they are read. */
    memset(p, 0, offsetof(struct vz_postings, docs));
    if (info->at > field->postings_bytes || info->bytes > field->postings_bytes - info->at)
        return false;
    p->segment = segment;
    p->field = field;
    p->list = segment->bytes + field->postings_at + info->at;
    p->end = p->list + info->bytes;
    p->base = segment->base;
    p->doc_freq = info->doc_freq;
    p->flags = field->flags;
    p->block_count = 1;
    p->block = UINT32_MAX;
    if (field->norms_kind == VZ_NORMS_DENSE)
        p->norms = segment->bytes + field->norms_at;
    if (info->doc_freq > VZ_BLOCK) {
        struct vz_list_head head;
        p->block_count = (info->doc_freq + VZ_BLOCK - 1) / VZ_BLOCK;
        if (info->bytes < sizeof head + (uint64_t)p->block_count * sizeof *p->skips)
            return false;
        memcpy(&head, p->list, sizeof head);
        if (head.positions_at > info->bytes)
            return false;
        memcpy(p->head, head.impacts, sizeof p->head);
        p->has_impacts = true;
        p->skips = (const struct vz_skip_entry *)(const void *)(p->list + sizeof head);
        if (head.positions_at)
            p->positions = p->list + head.positions_at;
    }
    return info->doc_freq > 0;
}

bool vz_postings_open(struct vz_postings *p, const struct vz_segment *segment, uint16_t field,
                      struct vz_slice term)
{
    struct vz_term_info info;
    const struct vz_segment_field *found = vz_segment_find_field(segment, field);
    return found && vz_segment_find_term(segment, found, term, &info) &&
           vz_postings_open_info(p, segment, found, &info);
}

void vz_postings_close(struct vz_postings *p)
{
    free(p->position_buffer);
    p->position_buffer = NULL;
}

/* A block that no writer made: the list ends here. */
static void give_up(struct vz_postings *p)
{
    p->count = 1;
    p->docs[0] = p->doc = VZ_TEXT_END;
    p->freqs[0] = 1;
    p->freqs_ready = true;
}

/* Whether documents rise and lie in the segment. Widths below 25 bits cannot overflow a sum. */
static bool is_sane(const struct vz_postings *p, unsigned bits)
{
    if (p->docs[p->count - 1] >= p->segment->limit || p->docs[0] < p->base)
        return false;
    for (unsigned i = 1; bits > 24 && i < p->count; i++)
        if (p->docs[i] <= p->docs[i - 1])
            return false;
    return true;
}

/* Numbers of any length: the last block of a list, or all of a short one. */
static void load_tail(struct vz_postings *p, const unsigned char *at, unsigned count,
                      uint32_t before)
{
    bool freqs = p->flags & VZ_TEXT_FREQS;
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = vz_varint_get(&at, p->end);
        uint32_t freq = 1;
        if (freqs) {
            if (!(value & 1))
                freq = (uint32_t)vz_varint_get(&at, p->end);
            value >>= 1;
        }
        before += (uint32_t)value;
        p->docs[i] = p->base + before;
        p->freqs[i] = freq;
    }
    p->freqs_ready = true;
    if (!is_sane(p, 32))
        give_up(p);
    if (!p->skips && (p->flags & VZ_TEXT_POSITIONS))
        p->positions = at;
}

static void load_packed(struct vz_postings *p, const unsigned char *at, uint32_t before)
{
    unsigned doc_bits = 0;
    p->freq_bits = 0;
    if (p->end - at >= 2) {
        doc_bits = at[0] & 63;
        p->freq_bits = at[1] & 63;
    }
    at += 2;
    if (doc_bits > 32 || p->freq_bits > 32 || p->end - at < (doc_bits + p->freq_bits) * 16)
        doc_bits = p->freq_bits = 0;
    vz_unpack(at, doc_bits, p->docs);
    vz_prefix_sum(p->docs, p->base + before);
    p->freqs_at = at + doc_bits * 16;
    p->freqs_ready = false;
    if (doc_bits == 0 || !is_sane(p, doc_bits))
        give_up(p);
}

void vz_postings_load(struct vz_postings *p, uint32_t block)
{
    p->block = block;
    p->at = 0;
    p->starts_ready = false;
    p->count = block + 1 < p->block_count ? VZ_BLOCK : p->doc_freq - block * VZ_BLOCK;
    if (!p->skips) {
        load_tail(p, p->list, p->count, 0);
    } else {
        const unsigned char *at = p->list + p->skips[block].at;
        uint32_t before = block ? p->skips[block - 1].last : 0;
        if (at > p->end)
            at = p->end;
        if (p->count < VZ_BLOCK || (block + 1 == p->block_count && p->count == VZ_BLOCK))
            load_tail(p, at, p->count, before);
        else
            load_packed(p, at, before);
    }
    p->doc = p->docs[0];
}

void vz_postings_load_freqs(struct vz_postings *p)
{
    vz_unpack(p->freqs_at, p->freq_bits, p->freqs);
    for (unsigned i = 0; i < VZ_BLOCK; i++)
        p->freqs[i]++;
    p->freqs_ready = true;
}

uint32_t vz_postings_next(struct vz_postings *p)
{
    if (!p->started) {
        p->started = true;
        vz_postings_load(p, 0);
        return p->doc;
    }
    if (p->doc == VZ_TEXT_END)
        return p->doc;
    if (++p->at < p->count)
        return p->doc = p->docs[p->at];
    if (p->block + 1 < p->block_count) {
        uint32_t before = p->doc;
        vz_postings_load(p, p->block + 1);
        if (p->doc <= before)
            give_up(p);
        return p->doc;
    }
    return p->doc = VZ_TEXT_END;
}

uint32_t vz_postings_find_block(const struct vz_postings *p, uint32_t target)
{
    uint32_t doc = target > p->base ? target - p->base : 0;
    uint32_t low = p->started && p->block != UINT32_MAX ? p->block : 0, high = low, step = 1;
    if (!p->skips)
        return 0;
    while (high < p->block_count && p->skips[high].last < doc) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = VZ_MIN(high, p->block_count);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->skips[middle].last < doc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t vz_postings_advance(struct vz_postings *p, uint32_t target)
{
    if (p->started && (p->doc >= target || p->doc == VZ_TEXT_END))
        return p->doc;
    if (!p->started || p->docs[p->count - 1] < target) {
        uint32_t block = vz_postings_find_block(p, target);
        if (block >= p->block_count || (p->started && !p->skips)) {
            if (!p->started)
                give_up(p); /* no block was decoded: those who look at its last find the end */
            p->started = true;
            return p->doc = VZ_TEXT_END;
        }
        p->started = true;
        if (block != p->block)
            vz_postings_load(p, block);
        if (p->docs[p->count - 1] < target)
            return p->doc = VZ_TEXT_END;
    }
    p->at = vz_block_find(p->docs, p->at, target);
    return p->doc = p->docs[p->at];
}

/* ---- positions --------------------------------------------------------------------------------
 */

/* Where the block's positions are. */
static void find_places(struct vz_postings *p)
{
    const unsigned char *at = p->positions;
    if (at && p->skips)
        at += p->skips[p->block].pos_at;
    p->position_bits = at && at < p->end ? VZ_MIN(*at & 63, 32) : 0;
    p->packed = at ? at + 1 : p->end;
    p->packed_bits = p->packed < p->end ? (size_t)(p->end - p->packed) * 8 : 0;
}

void vz_postings_load_starts(struct vz_postings *p)
{
    uint32_t any = 0; /* below 2^24 no sum of 128 goes round */
    if (!p->freqs_ready)
        vz_postings_load_freqs(p);
    memcpy(p->starts, p->freqs, sizeof p->starts);
    vz_prefix_sum(p->starts, 0);
    find_places(p);
    p->starts_ready = true;
    for (unsigned i = 0; i < p->count; i++)
        any |= p->freqs[i];
    p->positions_inside = any < 1u << 24 && p->packed < p->end &&
                          (size_t)p->starts[p->count - 1] * p->position_bits <= p->packed_bits;
}

/* How many positions the block has before the current document. Summed for each who asks: those who
 * ask for most of a block load all sums at once. */
static size_t positions_before(const struct vz_postings *p)
{
    if (p->starts_ready)
        return p->at ? p->starts[p->at - 1] : 0;
    size_t sum = 0;
    for (unsigned i = 0; i < p->at; i++)
        sum += p->freqs[i];
    return sum;
}

const uint32_t *vz_postings_positions(struct vz_postings *p)
{
    uint32_t freq = vz_postings_freq(p), position = 0;
    if (!p->starts_ready)
        find_places(p);
    size_t skip = positions_before(p), bits = p->position_bits;
    size_t most = bits ? p->packed_bits / bits : 1u << 20;
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    if (freq > most) /* only a damaged file says so */
        freq = p->freqs[p->at] = most ? (uint32_t)most : 1;
    if (freq > p->position_capacity) {
        p->position_capacity = freq * 2;
        p->position_buffer =
            vz_realloc(p->position_buffer, p->position_capacity * sizeof *p->position_buffer);
    }
    if (!bits || (skip + freq) * bits > p->packed_bits) { /* all 0, or a damaged file */
        memset(p->position_buffer, 0, freq * sizeof *p->position_buffer);
        return p->position_buffer;
    }
    for (uint32_t i = 0; i < freq; i++) {
        size_t bit = (skip + i) * bits;
        uint64_t word; /* eight bytes behind the last list are in the file, too */
        memcpy(&word, p->packed + bit / 8, 8);
        position += (uint32_t)(word >> bit % 8 & mask);
        p->position_buffer[i] = position;
    }
    return p->position_buffer;
}
