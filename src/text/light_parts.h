/* text/light_parts.h - looking at the ends of words, for the stemmers that are no Snowball
 * programs. A word is an array of code points; lists of suffixes and words are UTF-8 with spaces
 * between. Private to the room. */
#ifndef VZ_TEXT_LIGHT_PARTS_H
#define VZ_TEXT_LIGHT_PARTS_H

#include "text/analysis_parts.h"

/* The code points of the first suffix of a list that the word ends with; 0: none. */
size_t vz_word_ends(const UChar32 *s, size_t len, const char *suffixes);
/* The same at its beginning. */
size_t vz_word_starts(const UChar32 *s, size_t len, const char *prefixes);
/* Whether the whole word is in a list. */
bool vz_word_is(const UChar32 *s, size_t len, const char *words);
/* Writes a text over s[at ..]; gives the code points written. */
size_t vz_word_put(UChar32 *s, size_t at, const char *text);
static inline size_t vz_word_cut(UChar32 *s, size_t len, size_t at, size_t count)
{
    memmove(s + at, s + at + count, (len - at - count) * sizeof *s);
    return len - count;
}

/* Of a word longer than `longer_than` with one of the suffixes `cut` characters go; the first rung
 * that fits is the only one. */
struct vz_rung {
    uint8_t longer_than, cut;
    const char *suffixes;
};
size_t vz_ladder(const UChar32 *s, size_t len, const struct vz_rung *rungs, size_t count);

vz_light_stemmer vz_stem_arabic, vz_stem_persian, vz_stem_hindi, vz_stem_bengali, vz_stem_sorani,
    vz_stem_indonesian, vz_stem_bulgarian, vz_stem_czech, vz_stem_latvian, vz_stem_brazilian,
    vz_stem_greek, vz_stem_galician, vz_stem_galician_minimal, vz_stem_portuguese_rslp,
    vz_stem_portuguese_minimal;

#endif
