/* text/postings_parts.h - how a segment lies in memory and on disk; private to the room. The
 * format is docs/format/text.md.
 *
 *     header | for each field: its terms' postings | norms | dictionary blocks | block index |
 *     field table | footer
 */
#ifndef VZ_TEXT_POSTINGS_PARTS_H
#define VZ_TEXT_POSTINGS_PARTS_H

#include "text/pack.h"
#include "text/postings.h"

#include <stdatomic.h>

#define VZ_SEGMENT_MAGIC 0x314745535458545AULL /* "ZTXTSEG1" */
#define VZ_SEGMENT_VERSION 1
#define VZ_TERMS_PER_BLOCK 32
#define VZ_IMPACTS 4

struct vz_segment_header {
    uint64_t magic;
    uint32_t version, field_count;
    uint32_t base, limit;
    uint64_t bytes;        /* of the whole file, footer included */
    uint64_t fields_at;    /* the table of fields */
    uint64_t fields_hash;  /* XXH3 of that table */
    uint64_t content_hash; /* XXH3, 1 MiB at a time, of all between header and field table */
    uint64_t header_hash;  /* XXH3 of the bytes before it */
};
_Static_assert(sizeof(struct vz_segment_header) == 64, "on disk");

enum vz_norms_kind { VZ_NORMS_NONE, VZ_NORMS_DENSE, VZ_NORMS_SPARSE };

struct vz_segment_field {
    uint16_t id, flags;
    uint32_t doc_count;
    uint64_t sum_total_freqs, sum_doc_freqs, terms;
    uint64_t postings_at, postings_bytes;
    uint64_t blocks_at, blocks_bytes; /* dictionary */
    uint64_t index_at;                /* block_count entries */
    uint32_t block_count, norms_kind;
    uint64_t norms_at; /* dense: a byte a document; sparse: docs (u32), then bytes */
};
_Static_assert(sizeof(struct vz_segment_field) == 88, "on disk");

/* An entry of the block index: the first eight bytes of a block's first term, most significant
 * first, and where the block is. */
struct vz_block_entry {
    uint64_t prefix;
    uint64_t at; /* from blocks_at */
};

/* The largest scores of a block can only come from these: each of another (freq, norm), none of
 * which is both rarer and longer than another. freq 255 stands for any larger one. */
struct vz_impact {
    uint8_t freq, norm; /* freq 0: no more */
};
struct __attribute__((packed)) vz_skip_entry { /* lists start at any byte */
    uint32_t last;                             /* docno - base of the block's last document */
    uint32_t at;                               /* of the block, from the list's start */
    uint32_t pos_at;                           /* of its positions, from the list's positions */
    struct vz_impact impacts[VZ_IMPACTS];
};
_Static_assert(sizeof(struct vz_skip_entry) == 20, "on disk");
/* Before the skip entries of a list with more than VZ_BLOCK documents. */
struct __attribute__((packed)) vz_list_head {
    uint32_t positions_at; /* from the list's start; 0: none */
    struct vz_impact impacts[VZ_IMPACTS];
};

struct vz_segment {
    _Atomic uint32_t references; /* release/acquire with itself */
    const unsigned char *bytes;
    size_t size;
    bool mapped;
    uint32_t base, limit;
    const struct vz_segment_field *fields;
    unsigned field_count;
    struct vz_dense_cache *dense; /* dense.h; has its own lock. NULL: a small one */
};

const struct vz_segment_field *vz_segment_find_field(const struct vz_segment *segment,
                                                     uint16_t field);
/* What the dictionary says of a term. */
struct vz_term_info {
    uint32_t doc_freq;
    uint64_t total_freq;
    uint64_t at, bytes; /* of its list */
};
bool vz_segment_find_term(const struct vz_segment *segment, const struct vz_segment_field *field,
                          struct vz_slice term, struct vz_term_info *info);

/* Walks a dictionary in order. `term` is valid until the next step. */
struct vz_dictionary {
    const struct vz_segment *segment;
    const struct vz_segment_field *field;
    uint32_t block; /* the one being read */
    unsigned in_block;
    const unsigned char *at, *end;
    uint64_t list_at;
    struct vz_buf term;
    struct vz_term_info info;
    bool done;
};
/* Stands before the first term. */
void vz_dictionary_init(struct vz_dictionary *walk, const struct vz_segment *segment,
                        const struct vz_segment_field *field);
void vz_dictionary_deinit(struct vz_dictionary *walk);
bool vz_dictionary_next(struct vz_dictionary *walk);
/* To the first term not before `term`; false when there is none. */
bool vz_dictionary_seek(struct vz_dictionary *walk, struct vz_slice term);
static inline struct vz_slice vz_dictionary_term(const struct vz_dictionary *walk)
{
    return (struct vz_slice){walk->term.data, walk->term.len};
}

/* ---- reading a list ---------------------------------------------------------------------------
 */

/* One term's postings in one segment. Zeroed by _open. */
struct vz_postings {
    const struct vz_segment *segment;
    const struct vz_segment_field *field;
    const unsigned char *list, *end; /* end: of the list */
    const unsigned char *positions;  /* of the list; NULL: none */
    const struct vz_skip_entry *skips;
    const unsigned char *norms; /* dense norms, or NULL */
    uint32_t base, doc_freq;
    unsigned flags;
    uint32_t block, block_count; /* block: the one decoded; block_count 1 without skips */
    unsigned count, at;          /* of the decoded block */
    bool freqs_ready;
    uint32_t doc; /* docno; VZ_TEXT_END behind the last; before the first step: none */
    bool started;
    const unsigned char *freqs_at; /* packed freqs of the decoded block */
    unsigned freq_bits;
    struct vz_impact head[VZ_IMPACTS]; /* of the whole list */
    bool has_impacts;
    /* Sparse norms: where the last one was found. */
    uint32_t sparse_at;
    /* positions of the current document */
    uint32_t *position_buffer;
    uint32_t position_capacity;
    bool starts_ready;           /* and with them: */
    const unsigned char *packed; /* the block's positions, position_bits each */
    size_t packed_bits;          /* in the list from there on */
    unsigned position_bits;
    bool positions_inside;
    uint32_t docs[VZ_BLOCK] __attribute__((aligned(16)));
    uint32_t freqs[VZ_BLOCK] __attribute__((aligned(16)));
    uint32_t starts[VZ_BLOCK] __attribute__((aligned(16))); /* freqs added up, with each */
};
/* False when the segment does not have the term. */
bool vz_postings_open(struct vz_postings *postings, const struct vz_segment *segment,
                      uint16_t field, struct vz_slice term);
bool vz_postings_open_info(struct vz_postings *postings, const struct vz_segment *segment,
                           const struct vz_segment_field *field, const struct vz_term_info *info);
void vz_postings_close(struct vz_postings *postings);
uint32_t vz_postings_next(struct vz_postings *postings);
/* To the first document at or behind target, never backwards. */
uint32_t vz_postings_advance(struct vz_postings *postings, uint32_t target);
void vz_postings_load_freqs(struct vz_postings *postings);
static inline uint32_t vz_postings_freq(struct vz_postings *postings)
{
    if (!postings->freqs_ready)
        vz_postings_load_freqs(postings);
    return postings->freqs[postings->at];
}
/* The positions of the current document: freq of them, rising. */
const uint32_t *vz_postings_positions(struct vz_postings *postings);
/* starts[i]: how many positions the block has up to and with document i. */
void vz_postings_load_starts(struct vz_postings *postings);
/* The position of a document of the block that has one; after load_starts, where it found all
 * positions inside of the list (`positions_inside`). */
static inline uint32_t vz_postings_position_of(const struct vz_postings *postings, unsigned at)
{
    size_t bit = ((size_t)postings->starts[at] - 1) * postings->position_bits;
    uint64_t word;
    memcpy(&word, postings->packed + bit / 8, 8);
    return (uint32_t)(word >> bit % 8 & (((uint64_t)1 << postings->position_bits) - 1));
}
unsigned char vz_postings_norm_slow(struct vz_postings *postings, uint32_t doc);
static inline unsigned char vz_postings_norm(struct vz_postings *postings)
{
    if (postings->norms)
        return postings->norms[postings->doc - postings->base];
    return vz_postings_norm_slow(postings, postings->doc);
}
unsigned char vz_segment_norm(const struct vz_segment *segment,
                              const struct vz_segment_field *field, uint32_t docno);
/* Decodes block `block` and stands on its first document. */
void vz_postings_load(struct vz_postings *postings, uint32_t block);
/* The block that holds the first document at or behind target, block_count when there is none. */
uint32_t vz_postings_find_block(const struct vz_postings *postings, uint32_t target);

/* ---- writing a segment ------------------------------------------------------------------------
 */

struct vz_segment_writer;
/* `path` NULL: in memory. */
enum vz_status vz_segment_writer_new(const char *path, uint32_t base, uint32_t limit,
                                     struct vz_segment_writer **out, struct vz_error *err);
/* Fields in rising order. norms: a byte for each document of [base, limit), 0 for those without the
 * field; NULL when the field has none. Borrowed until _end_field. */
void vz_segment_writer_field(struct vz_segment_writer *writer, uint16_t field, unsigned flags,
                             const unsigned char *norms);
/* Terms in rising order. */
void vz_segment_writer_term(struct vz_segment_writer *writer, struct vz_slice term);
/* Documents of the term in rising order. positions: freq of them, or NULL. */
void vz_segment_writer_doc(struct vz_segment_writer *writer, uint32_t docno, uint32_t freq,
                           const uint32_t *positions);
void vz_segment_writer_end_term(struct vz_segment_writer *writer);
void vz_segment_writer_end_field(struct vz_segment_writer *writer, uint32_t doc_count);
/* Ends in either case. */
enum vz_status vz_segment_writer_finish(struct vz_segment_writer *writer, struct vz_segment **out,
                                        struct vz_error *err);
void vz_segment_writer_abort(struct vz_segment_writer *writer);

/* Takes `bytes` over (free()). Checks header and directory. */
enum vz_status vz_segment_from(unsigned char *bytes, size_t size, bool mapped,
                               struct vz_segment **out, struct vz_error *err);
uint64_t vz_content_hash(const unsigned char *bytes, size_t size);

#endif
