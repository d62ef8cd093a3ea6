/* fuzzy on keyword fields: the terms of the dictionary within some edits, scored as Lucene scores
 * them: by the largest of their document frequencies, each times 1 - edits / length.
 *
 * A dictionary is walked as a whole; the distance is worked out in a band as wide as the edits
 * allowed, so that a term costs its length. */
#include "query/filter.h"
#include "query/texts.h"

#include "text/bm25.h"

#include <stdlib.h>

#define MAX_EDITS 2

struct near {
    uint32_t ordinal;
    struct vz_slice term;
    float boost, score;
    uint64_t doc_freq;
    uint32_t last; /* docno + 1 of the document counted last */
};

static size_t decode(struct vz_slice text, uint32_t *out, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len && count < room;) {
        unsigned char c = (unsigned char)text.ptr[i++];
        uint32_t code = c < 0x80 ? c : c < 0xE0 ? c & 0x1F : c < 0xF0 ? c & 0x0F : c & 0x07;
        while (i < text.len && ((unsigned char)text.ptr[i] & 0xC0) == 0x80)
            code = code << 6 | ((unsigned char)text.ptr[i++] & 0x3F);
        out[count++] = code;
    }
    return count;
}

/* Edits between a and b, MAX_EDITS + 1 when there are more. Row i holds the cells j = i - 2 .. i +
 * 2. */
static unsigned distance(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len,
                         bool transpositions)
{
    enum { WIDTH = 2 * MAX_EDITS + 1, FAR = MAX_EDITS + 1 };
    unsigned rows[3][WIDTH];
    if (a_len > b_len + MAX_EDITS || b_len > a_len + MAX_EDITS)
        return FAR;
    for (size_t i = 0; i <= a_len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        for (size_t k = 0; k < WIDTH; k++) {
            size_t j = i + k - MAX_EDITS;
            unsigned best = FAR;
            if (i + k < MAX_EDITS || j > b_len) {
                row[k] = FAR;
                continue;
            }
            if (i == 0 || j == 0) {
                row[k] = (unsigned)VZ_MIN(i + j, (size_t)FAR);
                continue;
            }
            best = VZ_MIN(best, above[k] + (a[i - 1] != b[j - 1]));
            if (k + 1 < WIDTH)
                best = VZ_MIN(best, above[k + 1] + 1);
            if (k > 0)
                best = VZ_MIN(best, row[k - 1] + 1);
            if (transpositions && i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = VZ_MIN(best, above2[k] + 1);
            row[k] = VZ_MIN(best, (unsigned)FAR);
        }
    }
    return rows[a_len % 3][b_len + MAX_EDITS - a_len];
}

static int by_boost(const void *a, const void *b)
{
    const struct near *x = a, *y = b;
    if (x->boost != y->boost)
        return x->boost > y->boost ? -1 : 1;
    return vz_slice_cmp(x->term, y->term);
}

static int by_ordinal(const void *a, const void *b)
{
    const struct near *x = a, *y = b;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static enum vz_status find_terms(struct vz_eval *eval, const struct vz_match *match,
                                 const struct vz_field *field, struct vz_slice word,
                                 struct near **out, size_t *count, struct vz_error *err)
{
    unsigned edits = vz_fuzzy_distance(match->fuzziness, word);
    struct vz_arena scratch = {0};
    size_t capacity = 0, room = word.len + MAX_EDITS + 1;
    uint32_t *wanted = vz_alloc(2 * room * sizeof *wanted), *seen = wanted + room;
    size_t length = decode(word, wanted, room);
    size_t prefix = VZ_MIN((size_t)match->prefix_length, length);
    uint32_t ordinals = vz_field_ordinal_count(eval->snap, field);
    enum vz_status status = vz_eval_spend(eval, 8 * (uint64_t)ordinals, 0, err);
    *out = NULL;
    *count = 0;
    for (uint32_t i = 0; i < ordinals && status == VZ_OK; i++) {
        if (i % 4096 == 4095) {
            vz_arena_reset(&scratch);
            if (vz_eval_late(eval))
                status = vz_fail(err, VZ_CANCELLED, "the search took too long");
        }
        if (field->key.len && !vz_field_has_ordinal(eval, field, i, &scratch))
            continue;
        struct vz_slice term = vz_field_term(eval->snap, field, i, &scratch);
        size_t terms = decode(term, seen, room);
        unsigned far = terms == room
                           ? MAX_EDITS + 1
                           : distance(wanted, length, seen, terms, !match->no_transpositions);
        if (far > edits || terms < prefix || memcmp(wanted, seen, prefix * sizeof *wanted) != 0)
            continue;
        if (*count == capacity) {
            capacity = VZ_MAX(capacity * 2, (size_t)32);
            *out = vz_realloc(*out, capacity * sizeof **out);
        }
        size_t shorter = VZ_MAX(VZ_MIN(length, terms), (size_t)1);
        (*out)[(*count)++] = (struct near){.ordinal = i,
                                           .term = vz_arena_copy(eval->arena, term),
                                           .boost = 1.0f - (float)far / (float)shorter};
    }
    free(wanted);
    vz_arena_deinit(&scratch);
    if (*count)
        qsort(*out, *count, sizeof **out, by_boost);
    *count = VZ_MIN(*count, (size_t)match->max_expansions);
    if (*count)
        qsort(*out, *count, sizeof **out, by_ordinal);
    return status;
}

static struct near *near_of(struct near *near, size_t count, uint32_t ordinal)
{
    struct near key = {.ordinal = ordinal};
    return bsearch(&key, near, count, sizeof key, by_ordinal);
}

static void score_terms(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column, float boost, struct near *near,
                        size_t count)
{
    uint64_t docs, values, most = 0;
    for (size_t i = 0; i < column->count; i++) {
        struct near *term = near_of(near, count, column->ordinals[i]);
        if (!term || term->last == column->docnos[i] + 1 ||
            !vz_snapshot_live(eval->snap, column->docnos[i]))
            continue;
        term->last = column->docnos[i] + 1;
        term->doc_freq++;
    }
    for (size_t i = 0; i < count; i++)
        most = VZ_MAX(most, near[i].doc_freq);
    vz_field_totals(eval, field, column, &docs, &values);
    for (size_t i = 0; i < count; i++) {
        near[i].score = vz_keyword_score(field, docs, values, most, boost * near[i].boost);
        near[i].last = 0;
    }
}

enum vz_status vz_keyword_fuzzy(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, struct vz_slice word, bool scores,
                                struct vz_docset *out, struct vz_error *err)
{
    struct near *near;
    size_t count;
    struct vz_column column;
    enum vz_status status = find_terms(eval, node->match, field, word, &near, &count, err);
    vz_field_column(eval, field, &column);
    if (status != VZ_OK || count == 0 || column.kind != VZ_COLUMN_ORDINAL) {
        free(near);
        return status;
    }
    vz_docset_begin(out, eval);
    if (scores) {
        score_terms(eval, field, &column, node->boost, near, count);
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    }
    for (size_t i = 0; i < column.count; i++) {
        uint32_t docno = column.docnos[i];
        struct near *term = near_of(near, count, column.ordinals[i]);
        if (!term || term->last == docno + 1)
            continue;
        term->last = docno + 1;
        vz_bitset_set(&out->bits, docno);
        if (scores)
            out->scores[docno] += term->score;
    }
    free(near);
    return VZ_OK;
}
