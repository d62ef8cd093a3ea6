/* fingerprint: a hash over fields, byte for byte as Elasticsearch feeds its hashes: each value
 * behind a zero byte, numbers in little-endian of their size, maps by key, lists in order. */
#include "ingest/parts.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#define MAX_DEPTH 100

struct fingerprint {
    struct vz_slice *fields, target, salt;
    size_t count;
    gnutls_digest_algorithm_t digest; /* UNKNOWN: MurmurHash3 */
    bool ignore_missing;
};

static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

void vz_fingerprint_compile(struct vz_config *c, struct vz_processor *processor)
{
    static const struct {
        const char *name;
        gnutls_digest_algorithm_t digest;
    } methods[] = {{"MD5", GNUTLS_DIG_MD5},
                   {"SHA-1", GNUTLS_DIG_SHA1},
                   {"SHA-256", GNUTLS_DIG_SHA256},
                   {"SHA-512", GNUTLS_DIG_SHA512},
                   {"MurmurHash3", GNUTLS_DIG_UNKNOWN}};
    struct fingerprint *print = processor->config = vz_arena_zalloc(c->arena, sizeof *print);
    print->count = vz_config_list(c, "fields", true, false, &print->fields);
    print->target = vz_config_text_or(c, "target_field", "fingerprint");
    print->salt = vz_config_text_or(c, "salt", "");
    print->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    struct vz_slice method = vz_config_text_or(c, "method", "SHA-1");
    if (c->status == VZ_OK && print->count == 0)
        vz_config_fail(c, "fields", "must specify at least one field");
    size_t i = 0;
    while (i < VZ_COUNT_OF(methods) && !vz_slice_is(method, methods[i].name))
        i++;
    if (c->status == VZ_OK && i == VZ_COUNT_OF(methods))
        vz_config_fail(c, "method",
                       "[%.*s] must be one of the supported hash methods "
                       "[MD5,SHA-1,SHA-256,SHA-512,MurmurHash3]",
                       VZ_S(method));
    if (c->status != VZ_OK)
        return;
    print->digest = methods[i].digest;
    qsort(print->fields, print->count, sizeof *print->fields, by_text);
}

static void feed(struct vz_buf *out, const void *bytes, size_t len)
{
    vz_buf_append_char(out, '\0');
    vz_buf_append(out, bytes, len);
}

static int by_key(const void *a, const void *b)
{
    return vz_slice_cmp(((const struct vz_value_member *)a)->key,
                        ((const struct vz_value_member *)b)->key);
}

static void feed_value(struct vz_buf *out, const struct vz_value *value, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return;
    switch (value->type) {
    case VZ_VALUE_NULL:
        feed(out, "", 0);
        break;
    case VZ_VALUE_BOOL:
        feed(out, value->boolean ? "\1" : "\2", 1);
        break;
    case VZ_VALUE_INT:
        if (value->integer >= INT32_MIN && value->integer <= INT32_MAX) {
            int32_t number = (int32_t)value->integer;
            feed(out, &number, sizeof number);
        } else {
            feed(out, &value->integer, sizeof value->integer);
        }
        break;
    case VZ_VALUE_DOUBLE:
        feed(out, &value->number, sizeof value->number);
        break;
    case VZ_VALUE_STRING:
        feed(out, value->string.ptr, value->string.len);
        break;
    case VZ_VALUE_ARRAY:
        for (size_t i = 0; i < value->array.count; i++)
            feed_value(out, value->array.items[i], depth + 1);
        break;
    case VZ_VALUE_OBJECT: {
        size_t count = value->object.count;
        struct vz_value_member *members = vz_alloc((count + 1) * sizeof *members);
        if (count)
            memcpy(members, value->object.members, count * sizeof *members);
        qsort(members, count, sizeof *members, by_key);
        for (size_t i = 0; i < count; i++) {
            feed(out, members[i].key.ptr, members[i].key.len);
            feed_value(out, members[i].value, depth + 1);
        }
        free(members);
        break;
    }
    }
}

/* ---- MurmurHash3 ----------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t finish(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdull;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53ull;
    return k ^ k >> 33;
}

/* MurmurHash3_x64_128 (Appleby, public domain algorithm) with seed 0; 16 bytes, big-endian halves.
 */
static void murmur3(struct vz_slice bytes, unsigned char out[16])
{
    const uint64_t c1 = 0x87c37b91114253d5ull, c2 = 0x4cf5ad432745937full;
    uint64_t h1 = 0, h2 = 0, k1, k2;
    size_t blocks = bytes.len / 16;
    for (size_t i = 0; i < blocks; i++) {
        memcpy(&k1, bytes.ptr + i * 16, 8);
        memcpy(&k2, bytes.ptr + i * 16 + 8, 8);
        h1 ^= rotate(k1 * c1, 31) * c2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(k2 * c2, 33) * c1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    unsigned char tail[16] = {0};
    size_t rest = bytes.len & 15;
    if (rest)
        memcpy(tail, bytes.ptr + blocks * 16, rest);
    memcpy(&k1, tail, 8);
    memcpy(&k2, tail + 8, 8);
    if (rest > 8)
        h2 ^= rotate(k2 * c2, 33) * c1;
    if (rest)
        h1 ^= rotate(k1 * c1, 31) * c2;
    h1 ^= bytes.len;
    h2 ^= bytes.len;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    h1 += h2;
    h2 += h1;
    for (int i = 0; i < 8; i++) {
        out[i] = (unsigned char)(h1 >> (56 - 8 * i));
        out[8 + i] = (unsigned char)(h2 >> (56 - 8 * i));
    }
}

VZ_KIND_RUN(fingerprint)
{
    const struct fingerprint *print = processor->config;
    struct vz_buf bytes = {0}, text = {0};
    enum vz_status status = VZ_OK;
    bool any = false;
    vz_buf_append_slice(&bytes, print->salt);
    for (size_t i = 0; i < print->count; i++) {
        const struct vz_value *value = vz_path_find(doc, print->fields[i]);
        if (!value || value->type == VZ_VALUE_NULL) {
            if (print->ignore_missing)
                continue;
            vz_buf_deinit(&bytes);
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "missing field [%.*s] when calculating fingerprint",
                           VZ_S(print->fields[i]));
        }
        any = true;
        feed_value(&bytes, value, 0);
    }
    unsigned char digest[64];
    size_t len = 16;
    if (print->digest == GNUTLS_DIG_UNKNOWN)
        murmur3(vz_buf_slice(&bytes), digest);
    else if (gnutls_hash_fast(print->digest, bytes.data ? bytes.data : "", bytes.len, digest) == 0)
        len = gnutls_hash_get_len(print->digest);
    else
        status = vz_fail(err, VZ_INTERNAL, "hashing failed");
    if (status == VZ_OK && any) {
        vz_base64_encode(digest, len, &text);
        status =
            vz_path_set(doc, print->target, vz_value_string(doc->arena, vz_buf_slice(&text)), err);
    }
    vz_buf_deinit(&bytes);
    vz_buf_deinit(&text);
    return status;
}
