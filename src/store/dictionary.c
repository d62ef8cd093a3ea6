/* store/dictionary.c - keyword terms and their ordinals, in LMDB both ways, and the writer's memory
 * of the short ones it met lately: facets say the same few hundred words again and again.
 *
 * `terms`: key (field, term) -> u32 ordinal. `ordinals`: key (field, ordinal, big-endian) -> term.
 * Ordinals count up from 0 in order of first appearance and are never reused within a generation.
 * LMDB keys are at most 511 bytes, terms may be 32,766: a long one is keyed by its first bytes, a
 * 128-bit hash and a probe number, and told apart by comparing the text.
 */
#include "base/strmap.h"
#include "store/generation.h"

#include <stdlib.h>

#define SHORT_MAX 480
#define LONG_KEPT 448
#define PROBES_MAX 255
#define MET_TERMS 4096 /* a power of two */
#define MET_BYTES 25

struct met_term {
    uint32_t ordinal;
    uint16_t field;
    uint8_t len_and_one; /* 0: nothing */
    char text[MET_BYTES];
};
_Static_assert(sizeof(struct met_term) == 32, "two a cache line");

bool vz_key_is_long(struct vz_slice bytes)
{
    return bytes.len > SHORT_MAX;
}

size_t vz_long_key(const char *prefix, size_t prefix_len, struct vz_slice bytes, unsigned probe,
                   char *out)
{
    size_t at = 0;
    if (prefix_len)
        memcpy(out, prefix, prefix_len);
    at += prefix_len;
    bool is_long = vz_key_is_long(bytes);
    out[at++] = is_long ? 1 : 0;
    size_t kept = is_long ? LONG_KEPT : bytes.len;
    if (kept)
        memcpy(out + at, bytes.ptr, kept);
    at += kept;
    if (is_long) {
        uint64_t hash[2] = {vz_hash(bytes, 0), vz_hash(bytes, 0x5654)};
        memcpy(out + at, hash, sizeof hash);
        at += sizeof hash;
        out[at++] = (char)probe;
    }
    return at;
}

static size_t term_key(uint16_t field, struct vz_slice term, unsigned probe, char *out)
{
    char prefix[2] = {(char)(field >> 8), (char)field};
    return vz_long_key(prefix, 2, term, probe, out);
}

static MDB_val ordinal_key(uint16_t field, uint32_t ordinal, unsigned char out[6])
{
    out[0] = (unsigned char)(field >> 8);
    out[1] = (unsigned char)field;
    for (int i = 0; i < 4; i++)
        out[2 + i] = (unsigned char)(ordinal >> (24 - 8 * i));
    return (MDB_val){6, out};
}

enum vz_status vz_term_of(struct vz_generation *gen, MDB_txn *txn, uint16_t field, uint32_t ordinal,
                          struct vz_slice *term, struct vz_error *err)
{
    unsigned char bytes[6];
    MDB_val key = ordinal_key(field, ordinal, bytes), value;
    int code = mdb_get(txn, gen->ordinals_db, &key, &value);
    if (code == MDB_NOTFOUND)
        return vz_fail(err, VZ_NOT_FOUND, "field [%u] has no ordinal [%u]", field, ordinal);
    if (code)
        return vz_fail_lmdb(err, code, "reading a term");
    *term = (struct vz_slice){value.mv_data, value.mv_size};
    return VZ_OK;
}

/* Finds a term; *probe is where it is or where it would go. */
static enum vz_status probe_term(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                                 struct vz_slice term, uint32_t *ordinal, unsigned *probe,
                                 struct vz_error *err)
{
    char bytes[511];
    for (*probe = 0; *probe <= PROBES_MAX; ++*probe) {
        MDB_val key = {term_key(field, term, *probe, bytes), bytes}, value;
        int code = mdb_get(txn, gen->terms_db, &key, &value);
        if (code == MDB_NOTFOUND)
            return VZ_NOT_FOUND;
        if (code)
            return vz_fail_lmdb(err, code, "reading the dictionary");
        if (value.mv_size != 4)
            return vz_fail(err, VZ_CORRUPT, "a term of field [%u] has no ordinal", field);
        memcpy(ordinal, value.mv_data, 4);
        if (!vz_key_is_long(term))
            return VZ_OK;
        struct vz_slice found;
        enum vz_status status = vz_term_of(gen, txn, field, *ordinal, &found, err);
        if (status != VZ_OK)
            return status;
        if (vz_slice_eq(found, term))
            return VZ_OK;
    }
    return vz_fail(err, VZ_LIMIT, "too many long terms of field [%u] with one hash", field);
}

enum vz_status vz_term_find(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                            struct vz_slice term, uint32_t *ordinal, struct vz_error *err)
{
    unsigned probe;
    return probe_term(gen, txn, field, term, ordinal, &probe, err);
}

/* One of the two runs of keys that terms beginning with `prefix` have: of short ones and of long ones,
 * of which a key has the first bytes only. */
static enum vz_status prefix_run(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                                 struct vz_slice prefix, bool is_long, struct vz_bitset *out,
                                 struct vz_error *err)
{
    char bytes[511] = {(char)(field >> 8), (char)field, (char)is_long};
    size_t kept = VZ_MIN(prefix.len, (size_t)(is_long ? LONG_KEPT : SHORT_MAX));
    if (kept)
        memcpy(bytes + 3, prefix.ptr, kept);
    MDB_val key = {3 + kept, bytes}, value;
    MDB_cursor *cursor;
    enum vz_status status = VZ_OK;
    int code = mdb_cursor_open(txn, gen->terms_db, &cursor);
    if (code)
        return vz_fail_lmdb(err, code, "reading the dictionary");
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == 0 && status == VZ_OK; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint32_t ordinal;
        if (key.mv_size < 3 + kept || memcmp(key.mv_data, bytes, 3 + kept) != 0)
            break;
        if (value.mv_size != 4) {
            status = vz_fail(err, VZ_CORRUPT, "a term of field [%u] has no ordinal", field);
            break;
        }
        memcpy(&ordinal, value.mv_data, 4);
        struct vz_slice term = prefix;
        if (kept < prefix.len)
            status = vz_term_of(gen, txn, field, ordinal, &term, err);
        if (status == VZ_OK && ordinal < out->bits && term.len >= prefix.len &&
            (prefix.len == 0 || memcmp(term.ptr, prefix.ptr, prefix.len) == 0))
            vz_bitset_set(out, ordinal);
    }
    mdb_cursor_close(cursor);
    if (status == VZ_OK && code && code != MDB_NOTFOUND)
        return vz_fail_lmdb(err, code, "reading the dictionary");
    return status;
}

enum vz_status vz_terms_of_prefix(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                                  struct vz_slice prefix, struct vz_bitset *out,
                                  struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (prefix.len <= SHORT_MAX)
        status = prefix_run(gen, txn, field, prefix, false, out, err);
    return status == VZ_OK ? prefix_run(gen, txn, field, prefix, true, out, err) : status;
}

/* Where a term would be remembered; NULL: it is too long. */
static struct met_term *met_place(struct vz_generation *gen, uint16_t field, struct vz_slice term)
{
    if (term.len > MET_BYTES)
        return NULL;
    if (!gen->met_terms)
        gen->met_terms = vz_calloc(MET_TERMS, sizeof *gen->met_terms);
    return &gen->met_terms[vz_hash(term, field) & (MET_TERMS - 1)];
}

static bool is_met(const struct met_term *met, uint16_t field, struct vz_slice term)
{
    return met && met->len_and_one == term.len + 1 && met->field == field &&
           (term.len == 0 || memcmp(met->text, term.ptr, term.len) == 0);
}

void vz_terms_forget(struct vz_generation *gen)
{
    free(gen->met_terms);
    gen->met_terms = NULL;
}

static enum vz_status add_term(struct vz_generation *gen, uint16_t field, struct vz_slice term,
                               uint32_t *ordinal, struct vz_error *err)
{
    unsigned probe;
    enum vz_status status = probe_term(gen, gen->txn, field, term, ordinal, &probe, err);
    if (status != VZ_NOT_FOUND)
        return status;
    *ordinal = gen->staged_ordinals[field];
    char bytes[511];
    MDB_val key = {term_key(field, term, probe, bytes), bytes}, value = {4, ordinal};
    int code = mdb_put(gen->txn, gen->terms_db, &key, &value, 0);
    if (code)
        return vz_fail_lmdb(err, code, "writing the dictionary");
    unsigned char reverse[6];
    union {
        const void *from;
        void *to;
    } unconst = {.from = term.ptr};
    key = ordinal_key(field, *ordinal, reverse);
    value = (MDB_val){term.len, unconst.to};
    code = mdb_put(gen->txn, gen->ordinals_db, &key, &value, 0);
    if (code)
        return vz_fail_lmdb(err, code, "writing the dictionary");
    gen->staged_ordinals[field]++;
    return VZ_OK;
}

enum vz_status vz_term_add(struct vz_generation *gen, uint16_t field, struct vz_slice term,
                           uint32_t *ordinal, struct vz_error *err)
{
    struct met_term *met = met_place(gen, field, term);
    if (is_met(met, field, term)) {
        *ordinal = met->ordinal;
        return VZ_OK;
    }
    enum vz_status status = add_term(gen, field, term, ordinal, err);
    if (status == VZ_OK && met) {
        *met = (struct met_term){
            .ordinal = *ordinal, .field = field, .len_and_one = (uint8_t)(term.len + 1)};
        if (term.len)
            memcpy(met->text, term.ptr, term.len);
    }
    return status;
}
