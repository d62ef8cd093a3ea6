/* The newest documents' postings, in memory.
 *
 * A hash table from (field, term) to an entry with two byte streams, as Lucene's indexing chain has
 * them: documents (delta and freq, as numbers of any length) and positions (deltas). A stream is a
 * chain of slices that double, cut from 64 KiB pages, so that the many rare terms take 16 bytes
 * each and the few common ones long runs. A freq is known when the term's next document comes, so
 * it is written then.
 *
 * Sealing sorts the terms and hands each stream to the segment writer. */
#include "text/batch_parts.h"
#include "text/bm25.h"
#include "text/postings_parts.h"

#include <assert.h>
#include <stdlib.h>

#define PAGE_BITS 16
#define PAGE_BYTES ((uint32_t)1 << PAGE_BITS)
#define NO_SLICE UINT32_MAX
#define AHEAD 32

struct stream {
    uint32_t first, at, end; /* places in the pages; `end` has room for the next slice's place */
};

/* A cache line, and aligned to one. */
struct term {
    struct vz_term_key key; /* its text is in the arena */
    uint32_t doc_freq;
    uint32_t last_doc, open_freq; /* of the document being added */
    uint32_t last_position;
    struct stream docs;
    struct stream positions;
    uint8_t docs_level, positions_level; /* of their newest slices */
    bool has_open;
};
_Static_assert(sizeof(struct term) == 64, "a cache line");
_Static_assert(VZ_MAX_TERM_BYTES <= UINT16_MAX, "term.key.len");

struct field {
    uint16_t id;
    unsigned flags;
    bool used;
    uint32_t doc_count;
    uint32_t doc;      /* the newest, NO_SLICE when none */
    uint32_t position; /* of its last token, -1 at first */
    uint32_t length;
    bool in_doc, counted;
    struct vz_buf norms; /* a byte a document from base */
};

struct vz_text_builder {
    uint32_t base;
    uint32_t newest; /* docno + 1 */
    struct vz_arena texts;
    struct term *terms;
    uint32_t term_count, term_capacity;
    struct vz_term_slots slots;
    unsigned char **pages;
    uint32_t page_count, page_capacity;
    uint32_t page_used;
    struct field *fields;
    size_t field_count, field_capacity;
    size_t norm_bytes;
};

/* ---- streams ----------------------------------------------------------------------------------
 */

static const uint16_t slice_bytes[] = {16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

static unsigned char *place(struct vz_text_builder *b, uint32_t at)
{
    return b->pages[at >> PAGE_BITS] + (at & (PAGE_BYTES - 1));
}

static uint32_t cut_slice(struct vz_text_builder *b, unsigned bytes)
{
    if (b->page_count == 0 || b->page_used + bytes > PAGE_BYTES) {
        if (b->page_count == b->page_capacity) {
            b->page_capacity = b->page_capacity ? b->page_capacity * 2 : 16;
            b->pages = vz_realloc(b->pages, b->page_capacity * sizeof *b->pages);
        }
        b->pages[b->page_count++] = vz_alloc(PAGE_BYTES);
        b->page_used = 0;
    }
    uint32_t at = (b->page_count - 1) << PAGE_BITS | b->page_used;
    b->page_used += bytes;
    return at;
}

static __attribute__((noinline)) void stream_grow(struct vz_text_builder *b, struct stream *s,
                                                  uint8_t *level)
{
    bool empty = s->first == NO_SLICE;
    unsigned next = empty ? 0 : VZ_MIN(*level + 1u, (unsigned)VZ_COUNT_OF(slice_bytes) - 1);
    uint32_t slice = cut_slice(b, slice_bytes[next]);
    if (empty)
        s->first = slice;
    else
        memcpy(place(b, s->end), &slice, sizeof slice);
    *level = (uint8_t)next;
    s->at = slice;
    s->end = slice + slice_bytes[next] - (uint32_t)sizeof slice;
}

static inline void stream_varint(struct vz_text_builder *b, struct stream *s, uint8_t *level,
                                 uint32_t value)
{
    for (;; value >>= 7) {
        if (s->at == s->end)
            stream_grow(b, s, level);
        *place(b, s->at++) = (unsigned char)(value < 0x80 ? value : value | 0x80);
        if (value < 0x80)
            return;
    }
}

struct stream_reader {
    struct vz_text_builder *b;
    const unsigned char *at, *end;
    unsigned level;
};

static void reader_init(struct stream_reader *r, struct vz_text_builder *b, const struct stream *s)
{
    *r = (struct stream_reader){.b = b};
    if (s->first == NO_SLICE)
        return;
    r->at = place(b, s->first);
    r->end = r->at + slice_bytes[0] - sizeof(uint32_t);
}

static uint64_t reader_varint(struct stream_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (r->at == r->end) {
            uint32_t next;
            memcpy(&next, r->end, sizeof next);
            r->level = VZ_MIN(r->level + 1, (unsigned)VZ_COUNT_OF(slice_bytes) - 1);
            r->at = place(r->b, next);
            r->end = r->at + slice_bytes[r->level] - sizeof next;
        }
        unsigned char c = *r->at++;
        value |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80)
            return value;
    }
}

/* ---- terms ------------------------------------------------------------------------------------
 */

static void grow_terms(struct vz_text_builder *b)
{
    uint32_t capacity = b->term_capacity ? b->term_capacity * 2 : 1024;
    struct term *grown = vz_try_alloc_aligned(capacity, sizeof *grown);
    if (!grown)
        grown = vz_alloc((size_t)capacity * sizeof *grown);
    if (b->term_count)
        memcpy(grown, b->terms, b->term_count * sizeof *grown);
    free(b->terms);
    b->terms = grown;
    b->term_capacity = capacity;
}

static struct term *term_of(struct vz_text_builder *b, uint16_t field, struct vz_slice text,
                            uint32_t hash)
{
    if (b->term_count * 4 >= b->slots.count * 3)
        vz_term_slots_grow(&b->slots, b->terms, sizeof *b->terms, b->term_count);
    uint32_t *slot = vz_term_slots_find(&b->slots, b->terms, sizeof *b->terms, field, text, hash);
    if (*slot)
        return &b->terms[*slot - 1];
    if (b->term_count == b->term_capacity)
        grow_terms(b);
    *slot = ++b->term_count;
    struct term *term = &b->terms[b->term_count - 1];
    const struct stream empty = {NO_SLICE, 0, 0};
    *term =
        (struct term){.key = {vz_arena_copy(&b->texts, text).ptr, hash, (uint16_t)text.len, field},
                      .last_doc = b->base,
                      .docs = empty,
                      .positions = empty};
    return term;
}

/* Writes the document that the term is open in. */
static inline void close_doc(struct vz_text_builder *b, struct term *term, bool freqs)
{
    /* last_doc is the delta's end already; the delta was written when the document came. */
    if (term->has_open && freqs)
        stream_varint(b, &term->docs, &term->docs_level, term->open_freq);
    term->has_open = false;
}

static inline void add_posting(struct vz_text_builder *b, const struct field *field,
                               struct term *term, uint32_t docno, uint32_t position)
{
    if (!term->has_open || term->last_doc != docno) {
        close_doc(b, term, field->flags & VZ_TEXT_FREQS);
        stream_varint(b, &term->docs, &term->docs_level, docno - term->last_doc);
        term->last_doc = docno;
        term->last_position = 0;
        term->open_freq = 0;
        term->has_open = true;
        term->doc_freq++;
    }
    term->open_freq++;
    if (field->flags & VZ_TEXT_POSITIONS) {
        stream_varint(b, &term->positions, &term->positions_level,
                      position - term->last_position);
        term->last_position = position;
    }
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static struct field *field_of(struct vz_text_builder *b, uint16_t id, unsigned flags)
{
    for (size_t i = 0; i < b->field_count; i++)
        if (b->fields[i].id == id)
            return &b->fields[i];
    if (b->field_count == b->field_capacity) {
        b->field_capacity = b->field_capacity ? b->field_capacity * 2 : 8;
        b->fields = vz_realloc(b->fields, b->field_capacity * sizeof *b->fields);
    }
    if (flags & VZ_TEXT_POSITIONS)
        flags |= VZ_TEXT_FREQS;
    struct field *field = &b->fields[b->field_count++];
    *field = (struct field){.id = id, .flags = flags, .doc = NO_SLICE};
    return field;
}

/* Puts down the length of the field's newest document. */
static void close_field(struct vz_text_builder *b, struct field *field)
{
    if (!field->in_doc)
        return;
    field->in_doc = false;
    if (!field->counted)
        return;
    field->doc_count++;
    if (!(field->flags & VZ_TEXT_NORMS))
        return;
    size_t at = field->doc - b->base;
    if (at >= field->norms.len) {
        size_t more = at + 1 - field->norms.len;
        vz_buf_reserve(&field->norms, more);
        memset(field->norms.data + field->norms.len, 0, more);
        field->norms.len += more;
        b->norm_bytes += more;
    }
    unsigned char norm = vz_norm_encode(field->length);
    field->norms.data[at] = (char)(norm ? norm : 1);
}

static void open_field(struct vz_text_builder *b, struct field *field, uint32_t docno)
{
    assert(docno >= b->base && docno + 1 >= b->newest);
    b->newest = docno + 1;
    if (field->in_doc && field->doc == docno)
        return;
    close_field(b, field);
    field->doc = docno;
    field->in_doc = true;
    field->counted = false;
    field->position = UINT32_MAX;
    field->length = 0;
}

/* ---- the room's face --------------------------------------------------------------------------
 */

struct vz_text_builder *vz_text_builder_new(uint32_t base)
{
    struct vz_text_builder *b = vz_calloc(1, sizeof *b);
    b->base = b->newest = base;
    return b;
}

static void clear(struct vz_text_builder *b)
{
    for (uint32_t i = 0; i < b->page_count; i++)
        free(b->pages[i]);
    for (size_t i = 0; i < b->field_count; i++)
        vz_buf_deinit(&b->fields[i].norms);
    free(b->pages);
    free(b->fields);
    free(b->terms);
    free(b->slots.at);
    vz_arena_deinit(&b->texts);
}

void vz_text_builder_free(struct vz_text_builder *b)
{
    if (!b)
        return;
    clear(b);
    free(b);
}

/* Terms lie anywhere in some megabytes: what the next ones will touch is fetched for all of them
 * at once, step by step, where one after the other would wait for each. Hints only: what a new term
 * moves meanwhile is looked up again. */
static void look_ahead(struct vz_text_builder *b, size_t count, const uint32_t hashes[AHEAD])
{
    const struct term *guesses[AHEAD];
    if (!b->slots.count)
        vz_term_slots_grow(&b->slots, b->terms, sizeof *b->terms, b->term_count);
    uint32_t mask = b->slots.count - 1;
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(&b->slots.at[hashes[i] & mask]);
    for (size_t i = 0; i < count; i++) {
        uint32_t term = b->slots.at[hashes[i] & mask];
        guesses[i] = term ? &b->terms[term - 1] : NULL;
        if (term)
            __builtin_prefetch(guesses[i], 1);
    }
    for (size_t i = 0; i < count; i++) {
        const struct term *guess = guesses[i];
        if (!guess)
            continue;
        __builtin_prefetch(guess->key.text);
        if (guess->docs.first != NO_SLICE)
            __builtin_prefetch(place(b, guess->docs.at), 1);
        if (guess->positions.first != NO_SLICE)
            __builtin_prefetch(place(b, guess->positions.at), 1);
    }
}

void vz_text_builder_add(struct vz_text_builder *b, uint32_t docno, uint16_t id, unsigned flags,
                         const struct vz_tokens *tokens, uint32_t gap)
{
    struct field *field = field_of(b, id, flags);
    bool later = field->in_doc && field->doc == docno;
    open_field(b, field, docno);
    uint32_t before = field->position;
    if (later)
        before += gap;
    uint32_t hashes[AHEAD];
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        if (i % AHEAD == 0) {
            size_t count = VZ_MIN(tokens->count - i, (size_t)AHEAD);
            for (size_t n = 0; n < count; n++)
                hashes[n] = vz_term_hash(id, token[n].text);
            look_ahead(b, count, hashes);
        }
        if (token->text.len > VZ_MAX_TERM_BYTES)
            continue;
        struct term *term = term_of(b, id, token->text, hashes[i % AHEAD]);
        add_posting(b, field, term, docno, before + 1 + token->position);
        field->length += token->increment > 0 || i == 0;
        field->counted = true;
    }
    field->position = before + tokens->end_position;
}

/* The uses of one term; documents that were not written have none. */
static void add_uses(struct vz_text_builder *b, const struct vz_text_batch *batch,
                     const struct vz_batch_term *from, const uint32_t *docnos)
{
    uint32_t at = from->from;
    while (at < from->to && docnos[batch->sorted[at].doc] == VZ_NOT_WRITTEN)
        at++;
    if (at == from->to)
        return; /* a term without documents must not be made */
    struct field *field = field_of(b, from->key.field, 0); /* it is there: fields come first */
    struct term *term = term_of(b, from->key.field,
                                (struct vz_slice){from->key.text, from->key.len}, from->key.hash);
    for (; at < from->to; at++) {
        uint32_t docno = docnos[batch->sorted[at].doc];
        if (docno != VZ_NOT_WRITTEN)
            add_posting(b, field, term, docno, batch->sorted[at].position);
    }
}

void vz_text_builder_add_batch(struct vz_text_builder *b, const struct vz_text_batch *batch,
                               const uint32_t *docnos)
{
    for (size_t i = 0; i < batch->field_count; i++) {
        const struct vz_batch_field *from = &batch->fields[i];
        if (docnos[from->doc] == VZ_NOT_WRITTEN)
            continue;
        struct field *field = field_of(b, from->field, from->flags);
        open_field(b, field, docnos[from->doc]);
        field->length = from->length;
        field->counted = from->counted;
        field->position = from->position;
    }
    uint32_t hashes[AHEAD];
    for (uint32_t t = 0; t < batch->term_count; t++) {
        if (t % AHEAD == 0) {
            size_t count = VZ_MIN(batch->term_count - t, (uint32_t)AHEAD);
            for (size_t n = 0; n < count; n++)
                hashes[n] = batch->terms[t + n].key.hash;
            look_ahead(b, count, hashes);
        }
        add_uses(b, batch, &batch->terms[t], docnos);
    }
}

void vz_text_builder_add_term(struct vz_text_builder *b, uint32_t docno, uint16_t id,
                              unsigned flags, struct vz_slice text)
{
    struct field *field = field_of(b, id, flags);
    if (text.len > VZ_MAX_TERM_BYTES)
        return;
    open_field(b, field, docno);
    add_posting(b, field, term_of(b, id, text, vz_term_hash(id, text)), docno, ++field->position);
    field->length++;
    field->counted = true;
}

size_t vz_text_builder_bytes(const struct vz_text_builder *b)
{
    return (size_t)b->page_count * PAGE_BYTES + b->texts.total_bytes +
           b->term_capacity * sizeof *b->terms + b->slots.count * sizeof *b->slots.at +
           b->norm_bytes;
}

uint32_t vz_text_builder_base(const struct vz_text_builder *b)
{
    return b->base;
}

bool vz_text_builder_is_empty(const struct vz_text_builder *b)
{
    return b->newest == b->base;
}

/* ---- sealing ----------------------------------------------------------------------------------
 */

struct sort_key {
    uint64_t prefix;
    uint32_t term;
    uint16_t field;
};

static int by_key(const void *a, const void *b, void *context)
{
    const struct sort_key *x = a, *y = b;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    const struct term *terms = context;
    const struct term *s = &terms[x->term], *t = &terms[y->term];
    return vz_slice_cmp((struct vz_slice){s->key.text, s->key.len},
                        (struct vz_slice){t->key.text, t->key.len});
}

static struct sort_key *sorted_terms(struct vz_text_builder *b)
{
    struct sort_key *keys = vz_alloc((b->term_count + 1) * sizeof *keys);
    for (uint32_t i = 0; i < b->term_count; i++) {
        unsigned char bytes[8] = {0};
        uint64_t prefix = 0;
        memcpy(bytes, b->terms[i].key.text, VZ_MIN(b->terms[i].key.len, 8));
        for (unsigned n = 0; n < 8; n++)
            prefix = prefix << 8 | bytes[n];
        keys[i] = (struct sort_key){prefix, i, b->terms[i].key.field};
    }
    qsort_r(keys, b->term_count, sizeof *keys, by_key, b->terms);
    return keys;
}

static void write_term(struct vz_text_builder *b, struct vz_segment_writer *w,
                       const struct field *field, struct term *term, uint32_t **positions,
                       uint32_t *capacity)
{
    struct stream_reader docs, places;
    bool freqs = field->flags & VZ_TEXT_FREQS, wants_places = field->flags & VZ_TEXT_POSITIONS;
    close_doc(b, term, freqs);
    reader_init(&docs, b, &term->docs);
    reader_init(&places, b, &term->positions);
    vz_segment_writer_term(w, (struct vz_slice){term->key.text, term->key.len});
    uint32_t docno = b->base;
    for (uint32_t i = 0; i < term->doc_freq; i++) {
        docno += (uint32_t)reader_varint(&docs);
        uint32_t freq = freqs ? (uint32_t)reader_varint(&docs) : 1;
        if (wants_places && freq > *capacity) {
            *capacity = freq * 2;
            *positions = vz_realloc(*positions, *capacity * sizeof **positions);
        }
        uint32_t position = 0;
        for (uint32_t n = 0; wants_places && n < freq; n++)
            (*positions)[n] = position += (uint32_t)reader_varint(&places);
        vz_segment_writer_doc(w, docno, freq, wants_places ? *positions : NULL);
    }
    vz_segment_writer_end_term(w);
}

static int by_id(const void *a, const void *b)
{
    return (int)((const struct field *)a)->id - (int)((const struct field *)b)->id;
}

enum vz_status vz_text_builder_seal(struct vz_text_builder *b, uint32_t limit,
                                    struct vz_segment **out, struct vz_error *err)
{
    struct vz_segment_writer *w;
    uint32_t *positions = NULL, capacity = 0;
    assert(limit >= b->newest);
    enum vz_status status = vz_segment_writer_new(NULL, b->base, limit, &w, err);
    if (status != VZ_OK)
        return status;
    struct sort_key *keys = sorted_terms(b);
    for (size_t f = 0; f < b->field_count; f++)
        close_field(b, &b->fields[f]);
    if (b->field_count)
        qsort(b->fields, b->field_count, sizeof *b->fields, by_id);
    uint32_t next = 0;
    for (size_t f = 0; f < b->field_count; f++) {
        struct field *field = &b->fields[f];
        if (field->flags & VZ_TEXT_NORMS) {
            size_t more = limit - b->base - field->norms.len;
            vz_buf_reserve(&field->norms, more);
            memset(field->norms.data + field->norms.len, 0, more);
            field->norms.len += more;
        }
        vz_segment_writer_field(
            w, field->id, field->flags,
            field->flags & VZ_TEXT_NORMS ? (const unsigned char *)field->norms.data : NULL);
        for (; next < b->term_count && keys[next].field == field->id; next++)
            write_term(b, w, field, &b->terms[keys[next].term], &positions, &capacity);
        vz_segment_writer_end_field(w, field->doc_count);
    }
    free(keys);
    free(positions);
    status = vz_segment_writer_finish(w, out, err);
    if (status != VZ_OK)
        return status;
    clear(b);
    *b = (struct vz_text_builder){.base = limit, .newest = limit};
    return VZ_OK;
}
