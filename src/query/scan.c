/* Scans of columns: entries that have a value set the bits of their documents. */
#include "query/filter.h"

/* Entries are first tested a block at a time, which the compiler turns into vector code, and looked
 * at one by one only when something is in the block. */
#define BLOCK 64

/* Without a branch, for ranges: where half of the documents match, a branch is a coin toss (2.5
 * times slower). A term is rarer, there the branch wins. */
static void set_if(struct vz_bitset *bits, uint32_t docno, bool on)
{
    bits->words[docno >> 6] |= (uint64_t)on << (docno & 63);
}

void vz_scan_ordinal(const struct vz_column *column, uint32_t ordinal, struct vz_bitset *bits)
{
    const uint32_t *ordinals = column->ordinals;
    size_t i = 0;
    for (; i + BLOCK <= column->count; i += BLOCK) {
        unsigned hits = 0;
        for (size_t j = i; j < i + BLOCK; j++)
            hits += ordinals[j] == ordinal;
        if (!hits)
            continue;
        for (size_t j = i; j < i + BLOCK; j++)
            if (ordinals[j] == ordinal)
                vz_bitset_set(bits, column->docnos[j]);
    }
    for (; i < column->count; i++)
        if (ordinals[i] == ordinal)
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_ordinals(const struct vz_column *column, const struct vz_bitset *wanted,
                      struct vz_bitset *bits)
{
    for (size_t i = 0; i < column->count; i++)
        if (vz_bitset_has(wanted, column->ordinals[i]))
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_i64(const struct vz_column *column, int64_t low, int64_t high, struct vz_bitset *bits)
{
    const int64_t *values = column->i64;
    size_t i = 0;
    for (; i + BLOCK <= column->count; i += BLOCK) {
        uint64_t hits = 0;
        for (size_t j = i; j < i + BLOCK; j++)
            hits += (values[j] >= low) & (values[j] <= high);
        if (!hits)
            continue;
        for (size_t j = i; j < i + BLOCK; j++)
            set_if(bits, column->docnos[j], (values[j] >= low) & (values[j] <= high));
    }
    for (; i < column->count; i++)
        if (values[i] >= low && values[i] <= high)
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_f64(const struct vz_column *column, double low, double high, struct vz_bitset *bits)
{
    const double *values = column->f64;
    size_t i = 0;
    for (; i + BLOCK <= column->count; i += BLOCK) {
        uint64_t hits = 0;
        for (size_t j = i; j < i + BLOCK; j++)
            hits += (values[j] >= low) & (values[j] <= high);
        if (!hits)
            continue;
        for (size_t j = i; j < i + BLOCK; j++)
            set_if(bits, column->docnos[j], (values[j] >= low) & (values[j] <= high));
    }
    for (; i < column->count; i++)
        if (values[i] >= low && values[i] <= high)
            vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_present(const struct vz_column *column, struct vz_bitset *bits)
{
    for (size_t i = 0; i < column->count; i++)
        vz_bitset_set(bits, column->docnos[i]);
}

void vz_scan_dictionary(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column,
                        bool (*match)(const void *context, struct vz_slice term),
                        const void *context, struct vz_docset *out)
{
    uint32_t count = vz_snapshot_ordinal_count(eval->snap, field->id);
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
    }
    vz_arena_deinit(&scratch);
    if (any) {
        vz_docset_begin(out, eval);
        vz_scan_ordinals(column, &wanted, &out->bits);
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
