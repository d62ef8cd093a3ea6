/* store/record.c - a document as bytes in `docs`: header, id, splices, source.
 *
 * The trick here is the exact source of a cosine vector. The row holds unit-length floats, the
 * client sent others, and GET must answer with what was sent. Storing both doubles the disk. But
 * raw[i] is row[i] * scale up to a rounding or two, so its bit pattern is within a few units in the
 * last place of that product: 2 bits a float say which one (-1, 0, 1, or -2). Where that is too
 * little 4 bits are tried, then the floats are stored.
 * Measured on random vectors: 2 bits suffice for nearly all; 512 floats cost 136 bytes, not 2,048.
 *
 * Invariants:
 *  1. vz_record_read accepts exactly what vz_record_write wrote: lengths add up to the blob's.
 *  2. splices are ascending by offset and each offset holds "null" in the cut source.
 */
#include "store/elements.h"
#include "store/generation.h"

#include <math.h>

#define RECORD_FORMAT 1
#define FLAG_ZSTD 1
#define FLAG_SHARED 2
#define FLAGS_KNOWN (FLAG_ZSTD | FLAG_SHARED)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

struct record_head {
    uint8_t format, flags;
    uint16_t id_len;
    uint32_t prev;
    uint64_t version, seq_no;
    uint16_t fields, splice_count;
    uint32_t source_len, stored_len, splice_bytes;
};
_Static_assert(sizeof(struct record_head) == 40, "docs/format/store.md");

struct splice_head {
    uint32_t offset, row;
    uint16_t field, dims;
    uint8_t raw_bits, form, zero[2];
};
_Static_assert(sizeof(struct splice_head) == 16, "docs/format/store.md");

size_t vz_record_bytes(const struct vz_record *record)
{
    return sizeof(struct record_head) + record->id.len + record->splices.len + record->stored.len;
}

static char *put(char *out, const void *bytes, size_t len)
{
    if (len)
        memcpy(out, bytes, len);
    return out + len;
}

void vz_record_write(const struct vz_record *record, char *out)
{
    struct record_head head = {
        .format = RECORD_FORMAT,
        .flags =
            (uint8_t)((record->compressed ? FLAG_ZSTD : 0) | (record->shared ? FLAG_SHARED : 0)),
        .id_len = (uint16_t)record->id.len,
        .prev = record->prev,
        .version = record->version,
        .seq_no = record->seq_no,
        .fields = record->fields,
        .splice_count = record->splice_count,
        .source_len = record->source_len,
        .stored_len = (uint32_t)record->stored.len,
        .splice_bytes = (uint32_t)record->splices.len,
    };
    out = put(out, &head, sizeof head);
    out = put(out, record->id.ptr, record->id.len);
    out = put(out, record->splices.ptr, record->splices.len);
    put(out, record->stored.ptr, record->stored.len);
}

/* What unpacking allocates is bounded by what there is to unpack: a block of zstd takes four bytes
 * and gives 128 KiB at most. Sources stored as they are have one length. */
static bool is_plausible(const struct record_head *head)
{
    if (!(head->flags & FLAG_ZSTD))
        return head->flags == 0 && head->source_len == head->stored_len;
    return (head->flags & ~FLAGS_KNOWN) == 0 && head->source_len <= UINT32_MAX / 2 &&
           head->source_len <= ((uint64_t)head->stored_len / 4 + 1) << 17;
}

bool vz_record_read(struct vz_slice bytes, struct vz_record *record)
{
    struct record_head head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.ptr, sizeof head);
    size_t want = sizeof head + (size_t)head.id_len + head.splice_bytes + head.stored_len;
    if (head.format != RECORD_FORMAT || want != bytes.len || !is_plausible(&head))
        return false;
    const char *at = bytes.ptr + sizeof head;
    *record = (struct vz_record){
        .prev = head.prev,
        .version = head.version,
        .seq_no = head.seq_no,
        .fields = head.fields,
        .splice_count = head.splice_count,
        .compressed = head.flags & FLAG_ZSTD,
        .shared = head.flags & FLAG_SHARED,
        .source_len = head.source_len,
        .id = {at, head.id_len},
        .splices = {at + head.id_len, head.splice_bytes},
        .stored = {at + head.id_len + head.splice_bytes, head.stored_len},
    };
    return true;
}

/* ---- splices ------------------------------------------------------------------------------- */

static size_t raw_bytes(unsigned bits, uint32_t dims)
{
    if (bits == 0)
        return 0;
    if (bits == 1)
        return sizeof(double);
    if (bits == 32)
        return (size_t)dims * 4;
    return sizeof(double) + ((size_t)dims * bits + 7) / 8;
}

static int32_t float_bits(float value)
{
    int32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

/* The largest correction in units of the last place, or INT32_MAX when signs differ. */
static void correction_range(const float *raw, const float *row, double scale, uint32_t dims,
                             int64_t *low, int64_t *high)
{
    *low = *high = 0;
    for (uint32_t i = 0; i < dims; i++) {
        int64_t delta = (int64_t)float_bits(raw[i]) - float_bits((float)(row[i] * scale));
        *low = VZ_MIN(*low, delta);
        *high = VZ_MAX(*high, delta);
    }
}

static unsigned pick_bits(const float *raw, const float *row, double scale, uint32_t dims)
{
    int64_t low, high;
    correction_range(raw, row, scale, dims, &low, &high);
    if (low >= -2 && high <= 1)
        return 2;
    return low >= -8 && high <= 7 ? 4 : 32;
}

static void pack_corrections(const float *raw, const float *row, double scale, uint32_t dims,
                             unsigned bits, unsigned char *out)
{
    unsigned mask = (1u << bits) - 1, per_byte = 8 / bits;
    memset(out, 0, ((size_t)dims * bits + 7) / 8);
    for (uint32_t i = 0; i < dims; i++) {
        int32_t delta = float_bits(raw[i]) - float_bits((float)(row[i] * scale));
        out[i / per_byte] |= (unsigned char)(((unsigned)delta & mask) << (i % per_byte * bits));
    }
}

static double length_of(const float *raw, uint32_t dims)
{
    double sum = 0;
    for (uint32_t i = 0; i < dims; i++)
        sum += (double)raw[i] * raw[i];
    return sqrt(sum);
}

struct vz_slice vz_splices_encode(const struct vz_document *doc, struct vz_arena *arena)
{
    size_t most = 0;
    for (size_t v = 0; v < doc->vector_count; v++)
        most += sizeof(struct splice_head) +
                (doc->vectors[v].raw ? sizeof(double) + (size_t)doc->vectors[v].dims * 4 : 0);
    if (most == 0)
        return (struct vz_slice){0};
    char *start = vz_arena_alloc(arena, most), *at = start;
    for (size_t v = 0; v < doc->vector_count; v++) {
        const struct vz_doc_vector *vector = &doc->vectors[v];
        struct splice_head head = {.offset = vector->offset,
                                   .field = vector->field,
                                   .dims = (uint16_t)vector->dims,
                                   .form = vector->form};
        double scale = 0;
        if (vector->raw && vector->element == VZ_ELEMENT_BFLOAT16) {
            scale = length_of(vector->raw, vector->dims);
            head.raw_bits = 1; /* its rounding is what the client chose */
        } else if (vector->raw) {
            scale = length_of(vector->raw, vector->dims);
            head.raw_bits = (uint8_t)pick_bits(vector->raw, vector->floats, scale, vector->dims);
        }
        at = put(at, &head, sizeof head);
        if (head.raw_bits == 1) {
            at = put(at, &scale, sizeof scale);
        } else if (head.raw_bits == 32) {
            at = put(at, vector->raw, (size_t)vector->dims * 4);
        } else if (head.raw_bits) {
            memcpy(at, &scale, sizeof scale);
            pack_corrections(vector->raw, vector->floats, scale, vector->dims, head.raw_bits,
                             (unsigned char *)at + sizeof scale);
            at += raw_bytes(head.raw_bits, vector->dims);
        }
    }
    return (struct vz_slice){start, (size_t)(at - start)};
}

bool vz_splice_next(struct vz_slice *rest, struct vz_splice *splice)
{
    struct splice_head head;
    if (rest->len < sizeof head)
        return false;
    memcpy(&head, rest->ptr, sizeof head);
    if ((head.raw_bits > 2 && head.raw_bits != 4 && head.raw_bits != 32) || head.form >= VZ_FORMS)
        return false;
    size_t more = raw_bytes(head.raw_bits, head.dims);
    if (rest->len - sizeof head < more)
        return false;
    *splice = (struct vz_splice){.offset = head.offset,
                                 .row = head.row,
                                 .field = head.field,
                                 .dims = head.dims,
                                 .raw_bits = head.raw_bits,
                                 .form = head.form,
                                 .raw = rest->ptr + sizeof head};
    if (head.raw_bits == 1 || head.raw_bits == 2 || head.raw_bits == 4) {
        memcpy(&splice->scale, splice->raw, sizeof splice->scale);
        splice->raw += sizeof splice->scale;
    }
    rest->ptr += sizeof head + more;
    rest->len -= sizeof head + more;
    return true;
}

char *vz_splice_set_row(char *at, uint32_t row)
{
    struct splice_head head;
    memcpy(&head, at, sizeof head);
    head.row = row;
    memcpy(at, &head, sizeof head);
    return at + sizeof head + raw_bytes(head.raw_bits, head.dims);
}

static void bfloats_out(const struct vz_splice *splice, const uint16_t *row, float *out)
{
    double scale = splice->raw_bits == 1 ? splice->scale : 1;
    for (uint32_t i = 0; i < splice->dims; i++)
        out[i] = (float)((double)vz_bf16_to(row[i]) * scale);
}

void vz_splice_floats(const struct vz_splice *splice, enum vz_element element, const void *row_void,
                      float *out)
{
    if (element == VZ_ELEMENT_BFLOAT16) {
        bfloats_out(splice, row_void, out);
        return;
    }
    const float *row = row_void;
    if (splice->raw_bits == 0 || splice->raw_bits == 32) {
        memcpy(out, splice->raw_bits ? (const void *)splice->raw : (const void *)row,
               (size_t)splice->dims * 4);
        return;
    }
    const unsigned char *packed = (const unsigned char *)splice->raw;
    unsigned bits = splice->raw_bits, per_byte = 8 / bits, mask = (1u << bits) - 1;
    int32_t sign = 1 << (bits - 1);
    for (uint32_t i = 0; i < splice->dims; i++) {
        int32_t delta = (int32_t)(packed[i / per_byte] >> (i % per_byte * bits) & mask);
        delta = (delta ^ sign) - sign;
        int32_t value = float_bits((float)(row[i] * splice->scale)) + delta;
        memcpy(&out[i], &value, 4);
    }
}

void vz_splice_print(const struct vz_splice *splice, enum vz_element element, const void *row,
                     struct vz_buf *out)
{
    float floats[4096];
    const void *elements = row;
    if (vz_element_is_float(element)) {
        vz_splice_floats(splice, element, row, floats);
        elements = floats;
    }
    vz_vector_print(element, splice->form, elements, splice->dims, out);
}

/* ---- source -------------------------------------------------------------------------------- */

enum vz_status vz_record_cut_source(const struct vz_record *record, struct vz_arena *arena,
                                    struct vz_slice *out, struct vz_error *err)
{
    if (!record->compressed) {
        *out = vz_arena_copy(arena, record->stored);
        return VZ_OK;
    }
    bool known = !record->shared || record->packer;
    if (!known || !vz_source_unpack(record->shared ? record->packer : NULL, record->stored,
                                    record->source_len, arena, out))
        return vz_fail(err, VZ_CORRUPT, "the source of document [%.*s] does not decompress",
                       (int)record->id.len, record->id.ptr);
    return VZ_OK;
}
