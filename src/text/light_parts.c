/* Looking at the ends of words: text/light_parts.h. */
#include "text/light_parts.h"

/* The next of a list; its bytes without the space. */
static struct vz_slice next_item(const char **at)
{
    *at += strspn(*at, " ");
    struct vz_slice item = {*at, strcspn(*at, " ")};
    *at += item.len;
    return item;
}

/* The last byte that a character's UTF-8 has: most suffixes differ in it. */
static unsigned char last_byte(UChar32 c)
{
    return (unsigned char)(c < 0x80 ? c : (0x80 | (c & 0x3F)));
}

static bool same_at(const UChar32 *s, struct vz_slice text)
{
    for (size_t at = 0; at < text.len; s++)
        if (*s != vz_next_char(text, &at))
            return false;
    return true;
}

size_t vz_word_ends(const UChar32 *s, size_t len, const char *suffixes)
{
    unsigned char last = len ? last_byte(s[len - 1]) : 0;
    for (struct vz_slice item = next_item(&suffixes); item.len; item = next_item(&suffixes)) {
        if (!len || (unsigned char)item.ptr[item.len - 1] != last)
            continue;
        size_t count = vz_char_count(item);
        if (count <= len && same_at(s + len - count, item))
            return count;
    }
    return 0;
}

size_t vz_word_starts(const UChar32 *s, size_t len, const char *prefixes)
{
    for (struct vz_slice item = next_item(&prefixes); item.len; item = next_item(&prefixes)) {
        size_t count = vz_char_count(item);
        if (count <= len && same_at(s, item))
            return count;
    }
    return 0;
}

bool vz_word_is(const UChar32 *s, size_t len, const char *words)
{
    unsigned char last = len ? last_byte(s[len - 1]) : 0;
    for (struct vz_slice item = next_item(&words); item.len; item = next_item(&words))
        if (len && (unsigned char)item.ptr[item.len - 1] == last && vz_char_count(item) == len &&
            same_at(s, item))
            return true;
    return false;
}

size_t vz_word_put(UChar32 *s, size_t at, const char *text)
{
    struct vz_slice slice = vz_slice_from(text);
    size_t count = 0;
    for (size_t from = 0; from < slice.len; count++)
        s[at + count] = vz_next_char(slice, &from);
    return count;
}

size_t vz_ladder(const UChar32 *s, size_t len, const struct vz_rung *rungs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (len > rungs[i].longer_than && vz_word_ends(s, len, rungs[i].suffixes))
            return len - rungs[i].cut;
    return len;
}
