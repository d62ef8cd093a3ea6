/* embed/tokenizer_charsmap.c - SentencePiece's compiled normalisation.
 *
 * The blob is the byte length of a trie (u32), the trie (darts-clone's double array of u32 units),
 * then NUL-terminated replacement texts; a leaf's value is a text's offset.
 *     unit: bit 31 leaf's value follows below | bits 10.. offset | 9: offset is shifted by 8 |
 *           8: has a leaf | 7..0 label
 * Source: darts-clone's description; the crate spm_precompiled for how `tokenizers` uses it.
 *
 * As the library does it, and unlike SentencePiece: text is taken grapheme by grapheme; a grapheme
 * of fewer than six bytes is replaced as a whole if the trie holds a *start* of it, and the
 * *shortest* match counts. Graphemes follow UAX 29 without its rule for Indic conjuncts: those are
 * longer than five bytes, so that it makes no difference here.
 */
#include <unicode/uchar.h>

#include "base/text.h"
#include "embed/tokenizer_parts.h"

#define SHORT_GRAPHEME 6

enum vz_status tok_charsmap_init(struct tok_charsmap *map, struct vz_slice blob,
                                 struct vz_error *err)
{
    uint32_t bytes;
    if (blob.len < 4)
        return vz_fail(err, VZ_CORRUPT, "precompiled_charsmap is cut");
    memcpy(&bytes, blob.ptr, 4);
    if (bytes > blob.len - 4 || bytes % 4 || bytes == 0)
        return vz_fail(err, VZ_CORRUPT, "precompiled_charsmap: its trie is longer than itself");
    /* The arena gave a 16-byte aligned block; units begin 4 bytes in. */
    map->units = (const uint32_t *)(const void *)(blob.ptr + 4);
    map->unit_count = bytes / 4;
    map->texts = (struct vz_slice){blob.ptr + 4 + bytes, blob.len - 4 - bytes};
    if (vz_utf8_valid_prefix(map->texts.ptr, map->texts.len) != map->texts.len)
        return vz_fail(err, VZ_CORRUPT, "precompiled_charsmap: its texts are no UTF-8");
    return VZ_OK;
}

static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The text of the shortest start of `chunk` that the map holds. */
static bool transform(const struct tok_charsmap *map, struct vz_slice chunk, struct vz_slice *out)
{
    size_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < chunk.len; i++) {
        unsigned char c = (unsigned char)chunk.ptr[i];
        at ^= c;
        if (!c || at >= map->unit_count)
            return false;
        uint32_t unit = map->units[at];
        if ((unit & (1u << 31 | 0xFF)) != c)
            return false;
        at ^= unit_offset(unit);
        if (!(unit & 1u << 8))
            continue;
        if (at >= map->unit_count)
            return false;
        size_t text = map->units[at] & 0x7FFFFFFF;
        if (text >= map->texts.len)
            return false;
        const char *start = map->texts.ptr + text;
        const char *end = memchr(start, '\0', map->texts.len - text);
        *out = (struct vz_slice){start, end ? (size_t)(end - start) : map->texts.len - text};
        /* An offset into the middle of a character would make malformed text. */
        return vz_utf8_valid_prefix(out->ptr, out->len) == out->len;
    }
    return false;
}

/* ---- graphemes ---------------------------------------------------------------------------------
 */

struct grapheme_state {
    int before;       /* U_GCB_ of the last character */
    bool odd_flags;   /* an odd number of regional indicators so far */
    bool picture_zwj; /* ExtPict Extend* ZWJ */
    bool picture;     /* ExtPict Extend* */
};

static bool is_control(int gcb)
{
    return gcb == U_GCB_CONTROL || gcb == U_GCB_CR || gcb == U_GCB_LF;
}

/* Whether a grapheme ends before a character of this kind: rules GB3 to GB13. */
static bool breaks(const struct grapheme_state *s, int gcb, bool is_picture)
{
    int b = s->before;
    if (b == U_GCB_CR && gcb == U_GCB_LF)
        return false;
    if (is_control(b) || is_control(gcb))
        return true;
    if (b == U_GCB_L && (gcb == U_GCB_L || gcb == U_GCB_V || gcb == U_GCB_LV || gcb == U_GCB_LVT))
        return false;
    if ((b == U_GCB_LV || b == U_GCB_V) && (gcb == U_GCB_V || gcb == U_GCB_T))
        return false;
    if ((b == U_GCB_LVT || b == U_GCB_T) && gcb == U_GCB_T)
        return false;
    if (gcb == U_GCB_EXTEND || gcb == U_GCB_ZWJ || gcb == U_GCB_SPACING_MARK || b == U_GCB_PREPEND)
        return false;
    if (s->picture_zwj && is_picture)
        return false;
    return !(b == U_GCB_REGIONAL_INDICATOR && gcb == U_GCB_REGIONAL_INDICATOR && s->odd_flags);
}

static void take(struct grapheme_state *s, int gcb, bool is_picture)
{
    s->picture_zwj = s->picture && gcb == U_GCB_ZWJ;
    s->picture = is_picture || (s->picture && gcb == U_GCB_EXTEND);
    s->odd_flags = gcb == U_GCB_REGIONAL_INDICATOR && !s->odd_flags;
    s->before = gcb;
}

/* The end of the grapheme that begins at `start`. */
static size_t grapheme_end(struct vz_slice text, size_t start)
{
    struct grapheme_state s = {0};
    size_t at = start;
    for (bool is_first = true; at < text.len; is_first = false) {
        size_t next = at;
        uint32_t c = tok_next(text.ptr, &next);
        if (!is_first && c >= 0x20 && c < 0x7F && s.before != U_GCB_PREPEND)
            return at; /* most texts: ASCII begins anew */
        int gcb = u_getIntPropertyValue((UChar32)c, UCHAR_GRAPHEME_CLUSTER_BREAK);
        bool is_picture = c > 0xA8 && u_hasBinaryProperty((UChar32)c, UCHAR_EXTENDED_PICTOGRAPHIC);
        if (!is_first && breaks(&s, gcb, is_picture))
            return at;
        take(&s, gcb, is_picture);
        at = next;
    }
    return at;
}

void tok_charsmap_apply(struct tok_run *run, const struct tok_charsmap *map, struct vz_slice text,
                        struct vz_buf *out)
{
    struct vz_slice with;
    for (size_t start = 0, end; start < text.len; start = end) {
        end = grapheme_end(text, start);
        struct vz_slice grapheme = {text.ptr + start, end - start};
        if (grapheme.len < SHORT_GRAPHEME && transform(map, grapheme, &with)) {
            tok_run_append(run, out, with.ptr, with.len);
            run->starts_late |= !out->len;
            continue;
        }
        for (size_t at = 0; at < grapheme.len;) {
            size_t next = at;
            tok_next(grapheme.ptr, &next);
            struct vz_slice part = {grapheme.ptr + at, next - at};
            if (!transform(map, part, &with))
                with = part;
            tok_run_append(run, out, with.ptr, with.len);
            run->starts_late |= !out->len;
            at = next;
        }
    }
}
