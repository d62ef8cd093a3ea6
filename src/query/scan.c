/* Scans of columns: entries that have a value set the bits of their documents. */
#include "query/filter.h"
#include "query/masks.h"
#include "store/codes.h"

#include <math.h>
#include <string.h>

/* Entries are tested 64 at a time (masks.h), so many masks at once. */
#define WORDS 32
#define SLICE (WORDS * 64)

/* Whether 64 entries are of 64 documents in a row, as they are where every document has one. */
static bool in_a_row(const uint32_t *docnos)
{
    uint32_t differs = 0;
    for (uint32_t j = 0; j < 64; j++)
        differs |= docnos[j] ^ (docnos[0] + j);
    return differs == 0;
}

/* Sets the bits of the documents of 64 entries whose bit is set in the mask. */
static void place(struct vz_bitset *bits, const uint32_t *docnos, uint64_t mask)
{
    if (mask == 0)
        return;
    if (!in_a_row(docnos)) {
        for (; mask; mask &= mask - 1)
            vz_bitset_set(bits, docnos[__builtin_ctzll(mask)]);
        return;
    }
    unsigned shift = docnos[0] & 63;
    bits->words[docnos[0] >> 6] |= mask << shift;
    if (shift && mask >> (64 - shift))
        bits->words[(docnos[0] >> 6) + 1] |= mask >> (64 - shift);
}

static void place_all(struct vz_bitset *bits, const uint32_t *docnos, const uint64_t *masks,
                      size_t words)
{
    for (size_t w = 0; w < words; w++)
        place(bits, docnos + w * 64, masks[w]);
}

void vz_scan_ordinal(const struct vz_column *column, uint32_t ordinal, struct vz_bitset *bits)
{
    const struct vz_mask_kernels *kernels = vz_mask_kernels();
    uint64_t masks[WORDS];
    size_t i = 0;
    for (; i + 64 <= column->count; i += SLICE) {
        size_t words = VZ_MIN((column->count - i) / 64, (size_t)WORDS);
        kernels->equal_u32(column->ordinals + i, words, ordinal, masks);
        place_all(bits, column->docnos + i, masks, words);
    }
    for (i = column->count / 64 * 64; i < column->count; i++)
        if (column->ordinals[i] == ordinal)
            vz_bitset_set(bits, column->docnos[i]);
}

/* Whether each of 64 ordinals is wanted, without branches: in a set of several about as many are as
 * are not, which no processor foresees. */
static uint64_t wanted_of(const uint32_t *ordinals, const uint64_t *wanted, uint32_t last)
{
    uint64_t mask = 0;
    for (unsigned j = 0; j < 64; j++) {
        uint32_t ordinal = VZ_MIN(ordinals[j], last);
        mask |= (wanted[ordinal / 64] >> ordinal % 64 & (ordinals[j] <= last)) << j;
    }
    return mask;
}

/* A dictionary that is larger than VZ_MASK_SET is folded into it; with more bits than these set too
 * much would have to be looked at again. */
#define FOLDED_MOST (VZ_MASK_SET / 8)

/* False where that does not help. */
static bool fold(const struct vz_bitset *wanted, uint32_t set[VZ_MASK_SET / 32])
{
    size_t count = 0;
    memset(set, 0, VZ_MASK_SET / 8);
    for (size_t i = vz_bitset_next(wanted, 0); i < wanted->bits;
         i = vz_bitset_next(wanted, i + 1)) {
        uint32_t *word = &set[i / 32 % (VZ_MASK_SET / 32)], bit = 1u << i % 32;
        count += !(*word & bit);
        *word |= bit;
    }
    return wanted->bits <= VZ_MASK_SET || count <= FOLDED_MOST;
}

static uint64_t confirm(const uint32_t *ordinals, const struct vz_bitset *wanted, uint64_t mask)
{
    uint64_t out = 0;
    for (uint64_t left = mask; left; left &= left - 1) {
        unsigned j = (unsigned)__builtin_ctzll(left);
        out |= (uint64_t)vz_bitset_has(wanted, ordinals[j]) << j;
    }
    return out;
}

void vz_scan_ordinals(const struct vz_column *column, const struct vz_bitset *wanted,
                      struct vz_bitset *bits)
{
    const struct vz_mask_kernels *kernels = vz_mask_kernels();
    uint32_t set[VZ_MASK_SET / 32];
    uint64_t masks[WORDS];
    bool folded = fold(wanted, set), whole = wanted->bits <= VZ_MASK_SET;
    uint32_t end = whole ? (uint32_t)wanted->bits : UINT32_MAX;
    size_t i = 0;
    for (; folded && i + 64 <= column->count; i += SLICE) {
        size_t words = VZ_MIN((column->count - i) / 64, (size_t)WORDS);
        kernels->among_u32(column->ordinals + i, words, set, end, masks);
        for (size_t w = 0; w < words; w++)
            place(bits, column->docnos + i + w * 64,
                  whole ? masks[w] : confirm(column->ordinals + i + w * 64, wanted, masks[w]));
    }
    for (; !folded && wanted->bits && i + 64 <= column->count; i += 64)
        place(bits, column->docnos + i,
              wanted_of(column->ordinals + i, wanted->words, (uint32_t)wanted->bits - 1));
    for (i = column->count / 64 * 64; i < column->count; i++)
        if (vz_bitset_has(wanted, column->ordinals[i]))
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_i64(const struct vz_column *column, int64_t low, int64_t high, struct vz_bitset *bits)
{
    const struct vz_mask_kernels *kernels = vz_mask_kernels();
    uint64_t masks[WORDS];
    size_t i = 0;
    for (; i + 64 <= column->count; i += SLICE) {
        size_t words = VZ_MIN((column->count - i) / 64, (size_t)WORDS);
        kernels->range_i64(column->i64 + i, words, low, high, masks);
        place_all(bits, column->docnos + i, masks, words);
    }
    for (i = column->count / 64 * 64; i < column->count; i++)
        if (column->i64[i] >= low && column->i64[i] <= high)
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_f64(const struct vz_column *column, double low, double high, struct vz_bitset *bits)
{
    const struct vz_mask_kernels *kernels = vz_mask_kernels();
    uint64_t masks[WORDS];
    size_t i = 0;
    for (; i + 64 <= column->count; i += SLICE) {
        size_t words = VZ_MIN((column->count - i) / 64, (size_t)WORDS);
        kernels->range_f64(column->f64 + i, words, low, high, masks);
        place_all(bits, column->docnos + i, masks, words);
    }
    for (i = column->count / 64 * 64; i < column->count; i++)
        if (column->f64[i] >= low && column->f64[i] <= high)
            vz_bitset_set(bits, column->docnos[i]);
}

/* ---- what was matched before --------------------------------------------------------------- */

enum { KEY_ORDINAL = 1, KEY_I64, KEY_F64 };
/* Fewer entries are scanned faster than a memory of them is kept. */
#define REMEMBER_FROM 50000
/* So many ordinals are asked for one by one, as each is remembered by itself: whoever chooses some
 * values of a facet chose among the same few before. */
#define FEW_ORDINALS 8

/* The entries from `from` on. */
static void cut(struct vz_column *column, size_t from)
{
    column->count -= from;
    column->docnos += from;
    if (column->kind == VZ_COLUMN_ORDINAL)
        column->ordinals += from;
    else if (column->kind == VZ_COLUMN_F64)
        column->f64 += from;
    else
        column->i64 += from;
}

/* The entries of documents that nobody knows about yet; true when the answer is to be kept. */
static bool recall(struct vz_eval *eval, const struct vz_filter_key *key, struct vz_column *column,
                   struct vz_bitset *bits)
{
    if (column->count < REMEMBER_FROM || key->field == VZ_NO_FIELD) /* a request's own field */
        return false;
    uint32_t known = vz_snapshot_recall(eval->snap, key, bits);
    size_t from = 0, high = column->count;
    while (known && from < high) { /* the first entry at or behind `known` */
        size_t middle = from + (high - from) / 2;
        if (column->docnos[middle] < known)
            from = middle + 1;
        else
            high = middle;
    }
    cut(column, from);
    return known < eval->limit;
}

void vz_filter_ordinal(struct vz_eval *eval, const struct vz_field *field,
                       const struct vz_column *column, uint32_t ordinal, struct vz_bitset *bits)
{
    struct vz_filter_key key = {.field = field->id, .kind = KEY_ORDINAL, .low = ordinal};
    struct vz_column rest = *column;
    bool keep = recall(eval, &key, &rest, bits);
    vz_scan_ordinal(&rest, ordinal, bits);
    if (keep)
        vz_snapshot_remember(eval->snap, &key, bits);
}

/* Of entries with the codes of a range's ends the values decide: those that are out. */
static uint64_t settle_ends(const struct vz_column *column, size_t at, uint64_t ends, double low,
                            double high, int64_t from, int64_t to)
{
    uint64_t out = 0;
    bool is_f64 = column->kind == VZ_COLUMN_F64;
    for (; ends; ends &= ends - 1) {
        unsigned j = (unsigned)__builtin_ctzll(ends);
        bool in = is_f64 ? column->f64[at + j] >= low && column->f64[at + j] <= high
                         : column->i64[at + j] >= from && column->i64[at + j] <= to;
        out |= (uint64_t)!in << j;
    }
    return out;
}

/* The entries that have codes (store/codes.h). Takes them from the column. `low` and
 * `high` are of F64, `from` and `to` of I64. */
static void scan_codes(struct vz_column *column, const struct vz_coded_range *range, double low,
                       double high, int64_t from, int64_t to, struct vz_bitset *bits)
{
    const struct vz_mask_kernels *kernels = vz_mask_kernels();
    uint64_t masks[WORDS], ends[WORDS];
    for (size_t i = 0; i < range->count && !range->none; i += SLICE) {
        size_t words = VZ_MIN((range->count - i) / 64, (size_t)WORDS);
        kernels->range_u16(range->codes + i, words, range->first, range->last, range->ends, masks,
                           ends);
        for (size_t w = 0; w < words; w++) {
            size_t at = i + w * 64;
            if (ends[w])
                masks[w] &= ~settle_ends(column, at, ends[w], low, high, from, to);
            if (at < range->in_a_row)
                bits->words[at / 64] |= masks[w];
            else
                place(bits, column->docnos + at, masks[w]);
        }
    }
    cut(column, range->count);
}

void vz_filter_ordinals(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column, const struct vz_bitset *wanted,
                        struct vz_bitset *bits)
{
    if (column->count < REMEMBER_FROM || vz_bitset_count(wanted) > FEW_ORDINALS) {
        vz_scan_ordinals(column, wanted, bits);
        return;
    }
    for (size_t o = vz_bitset_next(wanted, 0); o < wanted->bits;
         o = vz_bitset_next(wanted, o + 1)) {
        struct vz_bitset one;
        vz_bitset_init(&one, bits->bits);
        vz_filter_ordinal(eval, field, column, (uint32_t)o, &one);
        vz_bitset_or(bits, &one);
        vz_bitset_deinit(&one);
    }
}

void vz_filter_i64(struct vz_eval *eval, const struct vz_field *field,
                   const struct vz_column *column, int64_t low, int64_t high,
                   struct vz_bitset *bits)
{
    struct vz_filter_key key = {.field = field->id, .kind = KEY_I64, .low = low, .high = high};
    struct vz_column rest = *column;
    bool keep = recall(eval, &key, &rest, bits);
    struct vz_coded_range range;
    if (rest.count == column->count && field->key.len == 0 &&
        vz_snapshot_code_i64(eval->snap, field->id, column, low, high, &range))
        scan_codes(&rest, &range, 0, 0, low, high, bits);
    vz_scan_i64(&rest, low, high, bits);
    if (keep)
        vz_snapshot_remember(eval->snap, &key, bits);
}

void vz_filter_f64(struct vz_eval *eval, const struct vz_field *field,
                   const struct vz_column *column, double low, double high, struct vz_bitset *bits)
{
    struct vz_filter_key key = {.field = field->id, .kind = KEY_F64};
    struct vz_column rest = *column;
    memcpy(&key.low, &low, sizeof low);
    memcpy(&key.high, &high, sizeof high);
    bool keep = recall(eval, &key, &rest, bits);
    struct vz_coded_range range;
    if (rest.count == column->count && field->key.len == 0 && !isnan(low) && !isnan(high) &&
        vz_snapshot_code_f64(eval->snap, field->id, column, low, high, &range))
        scan_codes(&rest, &range, low, high, 0, 0, bits);
    vz_scan_f64(&rest, low, high, bits);
    if (keep)
        vz_snapshot_remember(eval->snap, &key, bits);
}

void vz_scan_present(const struct vz_column *column, struct vz_bitset *bits)
{
    for (size_t i = 0; i < column->count; i++)
        vz_bitset_set(bits, column->docnos[i]);
}

/* A term here takes as long as four of a text's dictionary (230 ns and 60). */
#define SCAN_COST 4

void vz_scan_dictionary(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column,
                        bool (*match)(const void *context, struct vz_slice term),
                        const void *context, struct vz_docset *out)
{
    uint32_t count = vz_field_ordinal_count(eval->snap, field);
    struct vz_bitset wanted;
    struct vz_arena scratch = {0};
    bool any = false;
    vz_bitset_init(&wanted, count);
    for (uint32_t i = 0; i < count; i++) {
        if (vz_field_has_ordinal(eval, field, i, &scratch) &&
            match(context, vz_field_term(eval->snap, field, i, &scratch))) {
            vz_bitset_set(&wanted, i);
            any = true;
        }
        if (i % 1024 == 1023)
            vz_arena_reset(&scratch);
        if (i % 4096 == 4095 &&
            (vz_eval_late(eval) || vz_eval_spend(eval, SCAN_COST * 4096, 0, NULL) != VZ_OK))
            break; /* vz_leaf_eval tells */
    }
    vz_eval_spend(eval, SCAN_COST * (count % 4096), 0, NULL);
    vz_arena_deinit(&scratch);
    if (any) {
        vz_docset_begin(out, eval);
        vz_filter_ordinals(eval, field, column, &wanted, &out->bits);
    }
    vz_bitset_deinit(&wanted);
}

uint64_t vz_scan_docs(struct vz_eval *eval, const struct vz_column *column)
{
    bool all_live = vz_snapshot_doc_count(eval->snap) == eval->limit;
    const struct vz_bitset *live = all_live ? NULL : vz_eval_live(eval);
    uint64_t count = 0;
    const uint32_t *docnos = column->docnos;
    if (!live) {
        for (size_t i = 1; i < column->count; i++)
            count += docnos[i] != docnos[i - 1];
        return count + (column->count > 0);
    }
    for (size_t i = 0; i < column->count; i++)
        count += vz_bitset_has(live, docnos[i]) && (i == 0 || docnos[i] != docnos[i - 1]);
    return count;
}
