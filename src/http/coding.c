#include "http/coding.h"
#include "base/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

static bool same_word(struct vz_slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

enum vz_http_coding vz_http_coding_of(struct vz_slice content_encoding)
{
    struct vz_slice name = vz_slice_trim_of(content_encoding, " \t");
    if (name.len == 0 || same_word(name, "identity"))
        return VZ_HTTP_IDENTITY;
    if (same_word(name, "gzip") || same_word(name, "x-gzip"))
        return VZ_HTTP_GZIP;
    return same_word(name, "deflate") ? VZ_HTTP_DEFLATE : VZ_HTTP_UNKNOWN_CODING;
}

/* "q=0", "q=0.0" and the like; anything else, also nonsense, counts as wanted. */
static bool weight_is_zero(struct vz_slice weight)
{
    weight = vz_slice_trim_of(weight, " \t");
    if (weight.len < 3 || strncasecmp(weight.ptr, "q=", 2) != 0)
        return false;
    for (size_t i = 2; i < weight.len; i++) {
        if (weight.ptr[i] != '0' && weight.ptr[i] != '.')
            return false;
    }
    return true;
}

/* RFC 9110 section 12.5.3; an explicit gzip wins over '*'. */
bool vz_http_accepts_gzip(struct vz_slice accept)
{
    bool star = false;
    while (accept.len > 0) {
        const char *comma = memchr(accept.ptr, ',', accept.len);
        size_t len = comma ? (size_t)(comma - accept.ptr) : accept.len;
        const char *semicolon = memchr(accept.ptr, ';', len);
        size_t name_len = semicolon ? (size_t)(semicolon - accept.ptr) : len;
        struct vz_slice name = vz_slice_trim_of((struct vz_slice){accept.ptr, name_len}, " \t");
        bool wanted =
            !semicolon || !weight_is_zero((struct vz_slice){semicolon + 1, len - name_len - 1});
        if (same_word(name, "gzip") || same_word(name, "x-gzip"))
            return wanted;
        if (same_word(name, "*"))
            star = wanted;
        accept.ptr += len + (comma != NULL);
        accept.len -= len + (comma != NULL);
    }
    return star;
}

/* Runs one stream; `window_bits` chooses the format. */
static enum vz_status inflate_as(int window_bits, struct vz_slice in, size_t max_bytes,
                                 struct vz_buf *out, struct vz_error *err)
{
    z_stream z = {0};
    size_t start = out->len;
    if (inflateInit2(&z, window_bits) != Z_OK)
        return vz_fail(err, VZ_BUDGET, "no memory to decompress a request body");
    z.next_in = (Bytef *)(uintptr_t)in.ptr;
    z.avail_in = (uInt)in.len;
    enum vz_status status = VZ_OK;
    for (;;) {
        size_t left = VZ_MIN(max_bytes, SIZE_MAX - 1) - (out->len - start);
        size_t room = VZ_MIN(left + 1, VZ_MAX((size_t)16384, out->len - start));
        room = VZ_MIN(room, (size_t)1 << 30); /* zlib counts in 32 bits */
        vz_buf_reserve(out, room);
        z.next_out = (Bytef *)(out->data + out->len);
        z.avail_out = (uInt)room;
        int code = inflate(&z, Z_NO_FLUSH);
        out->len += room - z.avail_out;
        if (out->len - start > max_bytes) {
            status =
                vz_fail(err, VZ_LIMIT,
                        "the decompressed request body is over the limit of %zu bytes", max_bytes);
            break;
        }
        if (code == Z_STREAM_END) {
            /* gzip members may follow one another (RFC 1952, 2.2). */
            if (z.avail_in == 0 || window_bits < 0 || inflateReset(&z) != Z_OK)
                break;
        } else if (code != Z_OK) {
            status = vz_fail(err, VZ_BAD_ARGUMENT, "the compressed request body is %s",
                             z.avail_in == 0 && code == Z_BUF_ERROR ? "cut short" : "damaged");
            break;
        }
    }
    inflateEnd(&z);
    return status;
}

enum vz_status vz_http_inflate(enum vz_http_coding coding, struct vz_slice in, size_t max_bytes,
                               struct vz_buf *out, struct vz_error *err)
{
    if (in.len == 0)
        return VZ_OK;
    if (in.len > UINT32_MAX)
        return vz_fail(err, VZ_LIMIT, "a compressed request body over 4 GiB");
    if (coding == VZ_HTTP_GZIP)
        return inflate_as(15 + 16, in, max_bytes, out, err);
    /* A zlib header is 0x?8 and divides by 31; a raw stream of this first byte would be a stored
     * block with non-zero padding, which encoders do not write. */
    const unsigned char *head = (const unsigned char *)in.ptr;
    bool zlib = in.len >= 2 && (head[0] & 15) == 8 && (head[0] * 256 + head[1]) % 31 == 0;
    return inflate_as(zlib ? 15 : -15, in, max_bytes, out, err);
}

/* ---- compressing ----------------------------------------------------------------------------- */

/* deflateInit allocates and clears 256 KiB; a kept stream is only reset. */
static pthread_key_t stream_key;
static pthread_once_t stream_once = PTHREAD_ONCE_INIT;

static void end_stream(void *context)
{
    deflateEnd(context);
    free(context);
}

static void make_stream_key(void)
{
    pthread_key_create(&stream_key, end_stream);
}

static z_stream *thread_stream(void)
{
    pthread_once(&stream_once, make_stream_key);
    z_stream *z = pthread_getspecific(stream_key);
    if (z)
        return deflateReset(z) == Z_OK ? z : NULL;
    z = vz_calloc(1, sizeof *z);
    if (deflateInit2(z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return NULL;
    }
    pthread_setspecific(stream_key, z);
    return z;
}

bool vz_http_gzip(struct vz_slice in, struct vz_buf *out)
{
    if (in.len < 64 || in.len > UINT32_MAX)
        return false;
    z_stream *z = thread_stream();
    if (!z)
        return false;
    size_t start = out->len, room = in.len - 1; /* more than that is no gain */
    vz_buf_reserve(out, room);
    z->next_in = (Bytef *)(uintptr_t)in.ptr;
    z->avail_in = (uInt)in.len;
    z->next_out = (Bytef *)(out->data + start);
    z->avail_out = (uInt)room;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return false;
    out->len = start + room - z->avail_out;
    return true;
}
