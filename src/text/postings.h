/* text/postings.h - an inverted index over append-only document numbers.
 *
 * The model. Documents come in rising order of docno and never change. A builder gathers the tokens
 * of the newest ones in memory; sealing it gives a segment: an immutable image (in memory or a
 * mapped file, the same bytes) of the documents in [base, limit). Neighbouring segments are merged.
 * A view is a list of neighbouring segments: what a reader pins. Everything here is derived data:
 * it can be made again from the stored documents, so a file that is lost or does not open is no
 * loss.
 *
 * Deleted documents stay in their postings; whoever reads filters them by a bitset. Statistics are
 * those of the segments, dead documents included until a merge leaves them out, as in Lucene.
 *
 * Fields are numbers. What is kept of a field is chosen by flags at its first token and stays.
 *
 * Threads: a builder belongs to one thread at a time; segments and views may be read from any
 * thread; references are atomic. Nothing here locks. Iterators belong to one thread.
 * Bounds: 65535 bytes a term at most (longer ones are left out), 2^31 docnos a segment, 4 GiB of
 * postings for one term.
 *
 *     builder = vz_text_builder_new(0);
 *     vz_text_builder_add(builder, docno, field, VZ_TEXT_ALL, &tokens, 100);
 *     vz_text_builder_seal(builder, docno + 1, &segment, &err);
 *     view = vz_text_view_new(&segment, 1);
 */
#ifndef VZ_TEXT_POSTINGS_H
#define VZ_TEXT_POSTINGS_H

#include "base/bitset.h"
#include "text/analysis.h"

#define VZ_TEXT_END UINT32_MAX /* a docno behind all */
#define VZ_MAX_TERM_BYTES 32766

enum vz_text_flags {
    VZ_TEXT_DOCS = 0,      /* which documents: keywords */
    VZ_TEXT_FREQS = 1,     /* how often */
    VZ_TEXT_POSITIONS = 2, /* where; with freqs */
    VZ_TEXT_NORMS = 4,     /* how long the field is */
    VZ_TEXT_ALL = 7
};

/* ---- building ---------------------------------------------------------------------------------
 */

struct vz_text_builder;
/* Documents from `base` on. */
struct vz_text_builder *vz_text_builder_new(uint32_t base);
void vz_text_builder_free(struct vz_text_builder *builder);
/* One value of one field. docno must not fall. Later values of the same field and document follow
 * `gap` positions behind. Tokens over VZ_MAX_TERM_BYTES are left out. Copies everything. */
void vz_text_builder_add(struct vz_text_builder *builder, uint32_t docno, uint16_t field,
                         unsigned flags, const struct vz_tokens *tokens, uint32_t gap);
/* A term as it is: keywords. */
void vz_text_builder_add_term(struct vz_text_builder *builder, uint32_t docno, uint16_t field,
                              unsigned flags, struct vz_slice term);
/* Memory in use; seal past what you allow. */
size_t vz_text_builder_bytes(const struct vz_text_builder *builder);
uint32_t vz_text_builder_base(const struct vz_text_builder *builder);
bool vz_text_builder_is_empty(const struct vz_text_builder *builder);

struct vz_segment;
/* Makes a segment of [base, limit) in memory and empties the builder, which goes on at `limit`.
 * limit must be over every docno added. One reference. VZ_LIMIT. */
enum vz_status vz_text_builder_seal(struct vz_text_builder *builder, uint32_t limit,
                                    struct vz_segment **out, struct vz_error *err);

/* ---- segments ---------------------------------------------------------------------------------
 */

struct vz_segment *vz_segment_acquire(struct vz_segment *segment);
/* Frees the memory or unmaps the file with the last reference; the file stays. */
void vz_segment_release(struct vz_segment *segment);
uint32_t vz_segment_base(const struct vz_segment *segment);
uint32_t vz_segment_limit(const struct vz_segment *segment);
bool vz_segment_is_mapped(const struct vz_segment *segment);

/* Durable when it returns; the same segment keeps reading its memory. Errors as
 * vz_file_write_atomic.
 */
enum vz_status vz_segment_write(const struct vz_segment *segment, const char *path,
                                struct vz_error *err);
/* Maps a file. VZ_CORRUPT when header, directory or lengths are not what they must be,
 * VZ_NOT_FOUND, VZ_UNSUPPORTED for a newer version. `check`: reads the whole file against its
 * checksum. */
enum vz_status vz_segment_open(const char *path, bool check, struct vz_segment **out,
                               struct vz_error *err);
/* Neighbours, lowest first, become one. `live`: documents to keep (bits by docno, those past its
 * end are kept); NULL: all. `path`: written there, durable, and mapped; NULL: in memory. Memory:
 * one byte a document and the dictionary of the result. Blocks for as long as it takes; `cancelled`
 * is asked now and then, VZ_CANCELLED. */
struct vz_merge_options {
    const struct vz_bitset *live;
    const char *path;
    bool (*cancelled)(void *context);
    void *context;
};
enum vz_status vz_segment_merge(struct vz_segment *const *segments, size_t count,
                                const struct vz_merge_options *options, struct vz_segment **out,
                                struct vz_error *err);
/* Reads every byte and checks every rule of docs/format/text.md. For tests. */
enum vz_status vz_segment_validate(const struct vz_segment *segment, struct vz_error *err);

/* Which neighbours to merge next, by sizes: at least `fan_in` of about the same size, the smallest
 * first. False when there is nothing to do. */
bool vz_merge_choose(struct vz_segment *const *segments, size_t count, size_t fan_in, size_t *from,
                     size_t *to);

/* ---- views ------------------------------------------------------------------------------------
 */

struct vz_text_view;
/* Neighbours, lowest first; acquires each. One reference. count 0 is an empty view. */
struct vz_text_view *vz_text_view_new(struct vz_segment *const *segments, size_t count);
struct vz_text_view *vz_text_view_acquire(struct vz_text_view *view);
void vz_text_view_release(struct vz_text_view *view);
size_t vz_text_view_count(const struct vz_text_view *view);
struct vz_segment *vz_text_view_segment(const struct vz_text_view *view, size_t index);

struct vz_field_stats {
    uint64_t doc_count;       /* documents with a term in the field */
    uint64_t sum_total_freqs; /* tokens */
    uint64_t sum_doc_freqs;   /* postings */
    uint64_t terms;           /* of the segments, added up */
    unsigned flags;
};
/* False when no document has the field. */
bool vz_text_field_stats(const struct vz_text_view *view, uint16_t field,
                         struct vz_field_stats *stats);
struct vz_term_stats {
    uint64_t doc_freq, total_freq;
};
/* False (and zeros) when no document has the term. */
bool vz_text_term_stats(const struct vz_text_view *view, uint16_t field, struct vz_slice term,
                        struct vz_term_stats *stats);
/* The length of a field in a document as its byte tells (bm25.h); 0 when it has none. */
unsigned char vz_text_norm(const struct vz_text_view *view, uint16_t field, uint32_t docno);
/* Sets the bits of documents that have the field. */
void vz_text_field_docs(const struct vz_text_view *view, uint16_t field, struct vz_bitset *bits);
/* Sets the bits of documents that have the term, below bits->bits. */
void vz_text_term_docs(const struct vz_text_view *view, uint16_t field, struct vz_slice term,
                       struct vz_bitset *bits);

/* Calls `each` for each document of a term, in order, dead ones too, until it returns false. */
void vz_text_term_each(const struct vz_text_view *view, uint16_t field, struct vz_slice term,
                       bool (*each)(void *context, uint32_t docno), void *context);

/* ---- dictionary walks -------------------------------------------------------------------------
 */

enum vz_walk_kind {
    VZ_WALK_RANGE,    /* all from `lower` to `upper` */
    VZ_WALK_PREFIX,   /* `text` */
    VZ_WALK_WILDCARD, /* `text` with * ? and \ before what stands for itself */
    VZ_WALK_REGEXP,   /* `text` in Lucene's syntax: see regexp.c */
    VZ_WALK_FUZZY     /* within `distance` edits of `text` */
};
/* Operators of regular expressions that a request can turn off: then they stand for themselves. */
enum vz_regexp_flag {
    VZ_REGEXP_INTERSECTION = 1, /* & */
    VZ_REGEXP_COMPLEMENT = 2,   /* ~ */
    VZ_REGEXP_EMPTY = 4,        /* # */
    VZ_REGEXP_ANYSTRING = 8,    /* @ */
    VZ_REGEXP_AUTOMATON = 16,   /* <name>: there are none */
    VZ_REGEXP_INTERVAL = 32,    /* <n-m> */
    VZ_REGEXP_FLAGS = 63
};
#define VZ_REGEXP_MAX_DETERMINIZED 10000

struct vz_walk {
    enum vz_walk_kind kind;
    struct vz_slice text;
    struct vz_slice lower, upper; /* ptr NULL: open */
    bool lower_inclusive, upper_inclusive;
    bool ignore_case; /* wildcard, regexp: ASCII letters; prefix */
    unsigned regexp_off; /* enum vz_regexp_flag; 0: all operators are on */
    uint32_t max_determinized; /* regexp: one more than the limit; 0: the default */
    unsigned distance, prefix_length;
    bool transpositions; /* count as one edit */
    size_t max_terms;    /* stop after so many; 0: VZ_MAX_WALK_TERMS */
    uint64_t *looked_at; /* or NULL: the terms that were looked at are added */
    bool (*cancelled)(void *context);
    void *context;
};
#define VZ_MAX_WALK_TERMS ((size_t)1 << 20)
struct vz_walk_term {
    struct vz_slice term; /* in the arena */
    struct vz_term_stats stats;
    unsigned edits; /* fuzzy */
};
/* Terms of a field that match, in byte order, with statistics over the view. *truncated when there
 * were more than max_terms. Errors: VZ_BAD_QUERY (a regexp that is none), VZ_LIMIT (one too
 * large), VZ_CANCELLED. */
enum vz_status vz_text_walk(const struct vz_text_view *view, uint16_t field,
                            const struct vz_walk *walk, struct vz_arena *arena,
                            struct vz_walk_term **terms, size_t *count, bool *truncated,
                            struct vz_error *err);
/* A pattern made ready once, for many terms, best in order. `walk` is copied, its texts borrowed. The
 * errors are those of vz_text_walk; NULL is closed, too. For one thread at a time. */
struct vz_matcher;
enum vz_status vz_matcher_open(const struct vz_walk *walk, struct vz_matcher **out,
                               struct vz_error *err);
bool vz_matcher_matches(struct vz_matcher *matcher, struct vz_slice term);
void vz_matcher_close(struct vz_matcher *matcher);
/* Whether one term would be matched; for highlighting. */
enum vz_status vz_walk_matches(const struct vz_walk *walk, struct vz_slice term, bool *matches,
                               struct vz_error *err);

#endif
