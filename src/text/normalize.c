/* Filters that write the letters of one word the same way wherever they can be written several
 * ways: the normalizations of Arabic, Persian, Sorani, the Indic scripts, Hindi, Bengali, Serbian
 * and the Scandinavian languages, widths of Chinese, Japanese and Korean, and lower case as Greek,
 * Irish and Turkish have it.
 *
 * Sources: The Unicode Standard, chapters 9 and 12 (letters that should not be written as others
 * with signs) and its compatibility mappings; L. Larkey et al. for Arabic; N. UzZaman, M. Khan, "A
 * Double Metaphone Encoding for Bangla"; Unicode's SpecialCasing for Turkish. What they leave open
 * is as in Lucene (tests/golden/text/languages.txt). */
#include "text/analysis_parts.h"

#include <stdlib.h>
#include <unicode/unorm2.h>

/* Changes s[0 .. len) in place; gives the new length. There is room for twice the characters. In
 * linear time: the word may be a whole text. */
typedef size_t normalizer(UChar32 *s, size_t len);

static bool in(UChar32 c, const char *set)
{
    struct vz_slice text = vz_slice_from(set);
    for (size_t at = 0; at < text.len;)
        if (vz_next_char(text, &at) == c)
            return true;
    return false;
}

/* The character of `to` that stands where c does in `from`; c when it is not there. */
static UChar32 mapped(UChar32 c, const char *from, const char *to)
{
    struct vz_slice keys = vz_slice_from(from), values = vz_slice_from(to);
    for (size_t key = 0, value = 0; key < keys.len;) {
        UChar32 v = vz_next_char(values, &value);
        if (vz_next_char(keys, &key) == c)
            return v;
    }
    return c;
}

/* ---- Arabic script --------------------------------------------------------------------------- */

static bool is_vowel_mark(UChar32 c)
{
    return c == 0x640 || (c >= 0x64B && c <= 0x652); /* tatweel, fathatan .. sukun */
}

static size_t arabic(UChar32 *s, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++)
        if (!is_vowel_mark(s[i]))
            s[to++] = mapped(s[i], "آأإىة",
                             "اااي"
                             "ه");
    return to;
}

static size_t persian(UChar32 *s, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++)
        if (s[i] != 0x654) /* hamza above */
            s[to++] =
                mapped(s[i], "\u06CC\u06D2\u06A9\u06C0\u06C1", "\u064A\u064A\u0643\u0647\u0647");
    return to;
}

static size_t sorani(UChar32 *s, size_t len)
{
    const UChar32 heh = 0x647, ae = 0x6D5, rreh = 0x695;
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        if (c == 0x200C) {
            if (to && s[to - 1] == heh)
                s[to - 1] = ae;
            continue;
        }
        if (is_vowel_mark(c) || u_charType(c) == U_FORMAT_CHAR)
            continue;
        if (c == heh && i == len - 1)
            c = ae;
        else if (c == 0x631 && to == 0)
            c = rreh;
        else
            c = mapped(c, "\u064A\u0649\u0643\u0629\u06BE\u0692",
                       "\u06CC\u06CC\u06A9\u06D5\u0647\u0695");
        s[to++] = c;
    }
    return to;
}

/* ---- Indic scripts --------------------------------------------------------------------------- */

enum {
    DEVANAGARI = 1,
    BENGALI = 2,
    GURMUKHI = 4,
    GUJARATI = 8,
    ORIYA = 16,
    TAMIL = 32,
    TELUGU = 64,
    KANNADA = 128,
    MALAYALAM = 256
};
#define ZWJ 0xFF /* stands for the joiner in the table; 0: no third character */

/* Sequences that look like a letter of its own, as offsets into the scripts' blocks of 128. A rule
 * of three stands before those of two with the same beginning. */
static const struct {
    uint8_t first, second, third, letter;
    uint16_t scripts;
} composed[] = {
    {0x05, 0x3E, 0x45, 0x11, DEVANAGARI | GUJARATI},
    {0x05, 0x3E, 0x46, 0x12, DEVANAGARI},
    {0x05, 0x3E, 0x47, 0x13, DEVANAGARI | GUJARATI},
    {0x05, 0x3E, 0x48, 0x14, DEVANAGARI | GUJARATI},
    {0x05, 0x3E, 0, 0x06, DEVANAGARI | BENGALI | GURMUKHI | GUJARATI | ORIYA},
    {0x05, 0x45, 0, 0x72, DEVANAGARI},
    {0x05, 0x45, 0, 0x0D, GUJARATI},
    {0x05, 0x46, 0, 0x04, DEVANAGARI},
    {0x05, 0x47, 0, 0x0F, GUJARATI},
    {0x05, 0x48, 0, 0x10, GURMUKHI | GUJARATI},
    {0x05, 0x49, 0, 0x11, DEVANAGARI | GUJARATI},
    {0x05, 0x4A, 0, 0x12, DEVANAGARI},
    {0x05, 0x4B, 0, 0x13, DEVANAGARI | GUJARATI},
    {0x05, 0x4C, 0, 0x14, DEVANAGARI | GURMUKHI | GUJARATI},
    {0x06, 0x45, 0, 0x11, DEVANAGARI | GUJARATI},
    {0x06, 0x46, 0, 0x12, DEVANAGARI},
    {0x06, 0x47, 0, 0x13, DEVANAGARI | GUJARATI},
    {0x06, 0x48, 0, 0x14, DEVANAGARI | GUJARATI},
    {0x07, 0x57, 0, 0x08, MALAYALAM},
    {0x09, 0x41, 0, 0x0A, DEVANAGARI},
    {0x09, 0x57, 0, 0x0A, TAMIL | MALAYALAM},
    {0x0E, 0x46, 0, 0x10, MALAYALAM},
    {0x0F, 0x45, 0, 0x0D, DEVANAGARI},
    {0x0F, 0x46, 0, 0x0E, DEVANAGARI},
    {0x0F, 0x47, 0, 0x10, DEVANAGARI},
    {0x0F, 0x57, 0, 0x10, ORIYA},
    {0x12, 0x3E, 0, 0x13, MALAYALAM},
    {0x12, 0x4C, 0, 0x14, TELUGU | KANNADA},
    {0x12, 0x55, 0, 0x13, TELUGU},
    {0x12, 0x57, 0, 0x14, TAMIL | MALAYALAM},
    {0x13, 0x57, 0, 0x14, ORIYA},
    {0x15, 0x3C, 0, 0x58, DEVANAGARI},
    {0x16, 0x3C, 0, 0x59, DEVANAGARI | GURMUKHI},
    {0x17, 0x3C, 0, 0x5A, DEVANAGARI | GURMUKHI},
    {0x1C, 0x3C, 0, 0x5B, DEVANAGARI | GURMUKHI},
    {0x21, 0x3C, 0, 0x5C, DEVANAGARI | BENGALI | ORIYA},
    {0x22, 0x3C, 0, 0x5D, DEVANAGARI | BENGALI | ORIYA},
    {0x23, 0x4D, ZWJ, 0x7A, MALAYALAM},
    {0x24, 0x4D, ZWJ, 0x4E, BENGALI},
    {0x28, 0x3C, 0, 0x29, DEVANAGARI},
    {0x28, 0x4D, ZWJ, 0x7B, MALAYALAM},
    {0x2B, 0x3C, 0, 0x5E, DEVANAGARI | GURMUKHI},
    {0x2F, 0x3C, 0, 0x5F, DEVANAGARI | BENGALI},
    {0x2C, 0x41, 0x41, 0x0B, TELUGU},
    {0x30, 0x3C, 0, 0x31, DEVANAGARI},
    {0x30, 0x4D, ZWJ, 0x7C, MALAYALAM},
    {0x32, 0x4D, ZWJ, 0x7D, MALAYALAM},
    {0x33, 0x3C, 0, 0x34, DEVANAGARI},
    {0x33, 0x4D, ZWJ, 0x7E, MALAYALAM},
    {0x35, 0x41, 0, 0x2E, TELUGU},
    {0x3E, 0x45, 0, 0x49, DEVANAGARI | GUJARATI},
    {0x3E, 0x46, 0, 0x4A, DEVANAGARI},
    {0x3E, 0x47, 0, 0x4B, DEVANAGARI | GUJARATI},
    {0x3E, 0x48, 0, 0x4C, DEVANAGARI | GUJARATI},
    {0x3F, 0x55, 0, 0x40, KANNADA},
    {0x41, 0x41, 0, 0x42, GURMUKHI},
    {0x46, 0x3E, 0, 0x4A, TAMIL | MALAYALAM},
    {0x46, 0x42, 0x55, 0x4B, KANNADA},
    {0x46, 0x42, 0, 0x4A, KANNADA},
    {0x46, 0x46, 0, 0x48, MALAYALAM},
    {0x46, 0x55, 0, 0x47, TELUGU | KANNADA},
    {0x46, 0x56, 0, 0x48, TELUGU | KANNADA},
    {0x46, 0x57, 0, 0x4C, TAMIL | MALAYALAM},
    {0x47, 0x3E, 0, 0x4B, BENGALI | ORIYA | TAMIL | MALAYALAM},
    {0x47, 0x57, 0, 0x4C, BENGALI | ORIYA},
    {0x4A, 0x55, 0, 0x4B, KANNADA},
    {0x72, 0x3F, 0, 0x07, GURMUKHI},
    {0x72, 0x40, 0, 0x08, GURMUKHI},
    {0x72, 0x47, 0, 0x0F, GURMUKHI},
    {0x73, 0x41, 0, 0x09, GURMUKHI},
    {0x73, 0x42, 0, 0x0A, GURMUKHI},
    {0x73, 0x4B, 0, 0x13, GURMUKHI},
};

/* The bit of a character's script; 0: none of the nine. They stand one behind another. */
static unsigned indic_script(UChar32 c)
{
    return c >= 0x900 && c < 0xD80 ? 1u << (c - 0x900) / 0x80 : 0;
}

/* What the characters at s[i] are one letter for, and how many they are; 0: none. */
static size_t composes(const UChar32 *s, size_t len, size_t i, UChar32 *letter)
{
    unsigned script = indic_script(s[i]);
    if (!script || i + 1 >= len || indic_script(s[i + 1]) != script)
        return 0;
    uint8_t third = 0;
    if (i + 2 < len && s[i + 2] == 0x200D)
        third = ZWJ;
    else if (i + 2 < len && indic_script(s[i + 2]) == script)
        third = (uint8_t)(s[i + 2] & 0x7F);
    for (size_t r = 0; r < VZ_COUNT_OF(composed); r++)
        if ((composed[r].scripts & script) && composed[r].first == (s[i] & 0x7F) &&
            composed[r].second == (s[i + 1] & 0x7F) &&
            (!composed[r].third || composed[r].third == third)) {
            *letter = (s[i] & ~0x7F) + composed[r].letter;
            return composed[r].third ? 3 : 2;
        }
    return 0;
}

static size_t indic(UChar32 *s, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len;) {
        UChar32 letter = s[i];
        size_t count = composes(s, len, i, &letter);
        s[to++] = letter;
        i += count ? count : 1;
    }
    return to;
}

static size_t hindi(UChar32 *s, size_t len)
{
    /* Letters with a dot as those without; short and candra vowels, then long ones, as one. */
    static const uint16_t pairs[][2] = {
        {0x901, 0x902}, {0x929, 0x928}, {0x931, 0x930}, {0x934, 0x933}, {0x958, 0x915},
        {0x959, 0x916}, {0x95A, 0x917}, {0x95B, 0x91C}, {0x95C, 0x921}, {0x95D, 0x922},
        {0x95E, 0x92B}, {0x95F, 0x92F}, {0x945, 0x947}, {0x946, 0x947}, {0x949, 0x94B},
        {0x94A, 0x94B}, {0x90D, 0x90F}, {0x90E, 0x90F}, {0x911, 0x913}, {0x912, 0x913},
        {0x972, 0x905}, {0x906, 0x905}, {0x908, 0x907}, {0x90A, 0x909}, {0x960, 0x90B},
        {0x961, 0x90C}, {0x910, 0x90F}, {0x914, 0x913}, {0x940, 0x93F}, {0x942, 0x941},
        {0x944, 0x943}, {0x963, 0x962}, {0x948, 0x947}, {0x94C, 0x94B}};
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        if (c == 0x928 && i + 1 < len && s[i + 1] == 0x94D) {
            s[out++] = 0x902; /* a dead n is a dot above */
            i++;
            continue;
        }
        if (c == 0x93C || c == 0x94D || c == 0x200C || c == 0x200D)
            continue;
        size_t n = 0;
        while (n < VZ_COUNT_OF(pairs) && pairs[n][0] != c)
            n++;
        s[out++] = n < VZ_COUNT_OF(pairs) ? pairs[n][1] : c;
    }
    return out;
}

/* ya joined below a consonant: silent, but e behind the first, where it takes a long a with it. */
static size_t bengali_ya(UChar32 *s, size_t to, const UChar32 *next, size_t *i)
{
    if (to != 2)
        return to - 1;
    s[1] = 0x9C7;
    *i += next && *next == 0x9BE;
    return to;
}

/* ba joined: silent behind the first consonant and behind two, else that one is doubled. */
static size_t bengali_ba(UChar32 *s, size_t to)
{
    if (to == 2 || (to >= 5 && s[to - 3] == 0x9CD))
        return to - 1;
    s[to - 1] = to > 2 ? s[to - 2] : s[to - 1];
    if (to == 1)
        s[to++] = 0x9AC;
    return to;
}

static size_t bengali(UChar32 *s, size_t len)
{
    const UChar32 joiner = 0x9CD;
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        const UChar32 *next = i + 1 < len ? &s[i + 1] : NULL;
        bool joined = to > 0 && s[to - 1] == joiner;
        if (c == 0x981)
            continue;
        if (c == 0x9AF && joined) {
            to = bengali_ya(s, to, next, &i);
        } else if (c == 0x9AC && joined) {
            to = bengali_ba(s, to);
        } else if (c == 0x995 && i + 2 < len && *next == joiner && next[1] == 0x9BF) {
            if (to)
                s[to++] = c;
            s[to++] = 0x996;
            i += 2;
        } else if (c == 0x983) {
            if (next || to <= 2)
                s[to++] = next ? *next : 0x9B9;
        } else {
            s[to++] = mapped(c, "\u09C0\u09C2\u0999\u09B6\u09B7\u09A3\u09DC\u09DD\u09CE",
                             "\u09BF\u09C1\u0982\u09B8\u09B8\u09A8\u09B0\u09B0\u09A4");
        }
    }
    return to;
}

/* ---- Serbian, Scandinavian ------------------------------------------------------------------- */

static size_t serbian(UChar32 *s, size_t len)
{
    static const char two[] = "ђđљњџ", first[] = "ddlnd", second[] = "jjjjz";
    static const char one[] = "абвгдежзијклмнопрстћцчуфхшžčćš";
    static const char latin[] = "abvgdezzijklmnoprstcccufhszccs";
    size_t more = 0;
    for (size_t i = 0; i < len; i++)
        more += in(s[i], two);
    size_t to = len + more;
    for (size_t i = len; i-- > 0;) { /* from the end: what is written is not read any more */
        UChar32 c = s[i], begin = mapped(c, two, first);
        if (begin != c)
            s[--to] = mapped(c, two, second);
        s[--to] = begin != c ? begin : mapped(c, one, latin);
    }
    return len + more;
}

/* aa and ao are one letter, ae another, oe and oo a third; `plain`: and these are a, a and o. */
static size_t scandinavian(UChar32 *s, size_t len, bool plain)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = mapped(s[i], "äÄöÖ", "æÆøØ");
        UChar32 next = i + 1 < len ? (s[i + 1] | 0x20) : 0;
        UChar32 letter = c;
        if ((c == 'a' || c == 'A') && (next == 'a' || next == 'o'))
            letter = c == 'a' ? 0xE5 : 0xC5;
        else if ((c == 'a' || c == 'A') && next == 'e')
            letter = c == 'a' ? 0xE6 : 0xC6;
        else if ((c == 'o' || c == 'O') && (next == 'e' || next == 'o'))
            letter = c == 'o' ? 0xF8 : 0xD8;
        i += letter != c;
        s[to++] = plain ? mapped(letter, "åÅæÆøØ", "aAaAoO") : letter;
    }
    return to;
}
static size_t scandinavian_letters(UChar32 *s, size_t len)
{
    return scandinavian(s, len, false);
}
static size_t scandinavian_plain(UChar32 *s, size_t len)
{
    return scandinavian(s, len, true);
}

/* ---- widths ---------------------------------------------------------------------------------- */

/* Full-width ASCII and half-width Katakana to what Unicode says they stand for; a voice mark goes
 * into the letter before it where there is one letter for both. */
static size_t cjk_width(UChar32 *s, size_t len)
{
    UErrorCode code = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&code);
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        if (c >= 0xFF01 && c <= 0xFF5E) {
            c -= 0xFEE0;
        } else if (c >= 0xFF65 && c <= 0xFF9F && U_SUCCESS(code)) {
            UChar wide[8];
            int32_t n = unorm2_getDecomposition(nfkc, c, wide, 8, &code);
            UChar32 whole = U_SENTINEL;
            if (n == 1)
                c = wide[0];
            if (to && (c == 0x3099 || c == 0x309A) && s[to - 1] >= 0x30A6 && s[to - 1] <= 0x30FD)
                whole = unorm2_composePair(nfkc, s[to - 1], c);
            if (whole >= 0) {
                s[to - 1] = whole;
                continue;
            }
        }
        s[to++] = c;
    }
    return to;
}

/* ---- lower case ------------------------------------------------------------------------------ */

static size_t lower_greek(UChar32 *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        UChar32 c = mapped(s[i], "ςΆάΈέΉήΊΪίϊΐΎΫύϋΰΌόΏώ", "σααεεηηιιιιιυυυυυοοωω");
        s[i] = u_tolower(c);
    }
    return len;
}

/* nAthair, tUisce: what stands before the capital is no part of the word. */
static size_t lower_irish(UChar32 *s, size_t len)
{
    if (len > 1 && (s[0] == 'n' || s[0] == 't') && in(s[1], "AEIOUÁÉÍÓÚ")) {
        memmove(s + 2, s + 1, (len - 1) * sizeof *s);
        s[1] = '-';
        len++;
    }
    for (size_t i = 0; i < len; i++)
        if (s[i] < 0x10000) /* Lucene looks at halves of others, which have no case */
            s[i] = u_tolower(s[i]);
    return len;
}

/* I without a dot unless one follows, through other marks, too; that one is dropped then. */
static size_t lower_turkish(UChar32 *s, size_t len)
{
    bool after = false;
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        after = c == 'I' || (after && u_charType(c) == U_NON_SPACING_MARK);
        if (after && c == 0x307)
            continue;
        if (c != 'I') {
            s[to++] = u_tolower(c);
            continue;
        }
        size_t dot = i + 1;
        while (dot < len && s[dot] != 0x307 && u_charType(s[dot]) == U_NON_SPACING_MARK)
            dot++;
        after = dot < len && s[dot] == 0x307;
        s[to++] = after ? 'i' : 0x131;
    }
    return to;
}

/* ---- filters --------------------------------------------------------------------------------- */

struct normalizing {
    normalizer *run;
};

static void normalize(normalizer *how, struct vz_token *token, struct vz_arena *arena)
{
    UChar32 few[512], *chars = few;
    size_t len = 0, at = 0;
    if (token->text.len * 2 > VZ_COUNT_OF(few))
        chars = vz_alloc(token->text.len * 2 * sizeof *chars);
    while (at < token->text.len)
        chars[len++] = vz_next_char(token->text, &at);
    len = how(chars, len);
    char *out = vz_arena_alloc(arena, len * 4 + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < len; i++)
        bytes += vz_put_char(out + bytes, chars[i]);
    token->text = (struct vz_slice){out, bytes};
    if (chars != few)
        free(chars);
}

static enum vz_status run(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                          struct vz_error *err)
{
    const struct normalizing *how = filter->config;
    for (size_t i = 0; i < tokens->count; i++)
        normalize(how->run, &tokens->items[i], &tokens->arena);
    return VZ_OK;
}

static const struct {
    const char *name;
    struct normalizing how;
} all[] = {
    {"arabic_normalization", {arabic}},
    {"bengali_normalization", {bengali}},
    {"cjk_width", {cjk_width}},
    {"hindi_normalization", {hindi}},
    {"indic_normalization", {indic}},
    {"persian_normalization", {persian}},
    {"scandinavian_folding", {scandinavian_plain}},
    {"scandinavian_normalization", {scandinavian_letters}},
    {"serbian_normalization", {serbian}},
    {"sorani_normalization", {sorani}},
    {"lowercase:greek", {lower_greek}},
    {"lowercase:irish", {lower_irish}},
    {"lowercase:turkish", {lower_turkish}},
};

enum vz_status vz_normalization_make(const struct vz_making *making, struct vz_slice type,
                                     struct vz_token_filter *out, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(all); i++) {
        if (!vz_slice_is(type, all[i].name))
            continue;
        bool is_case = vz_slice_starts(type, "lowercase:");
        out->config = (void *)(uintptr_t)&all[i].how;
        out->run = run;
        out->normalizes = true;
        return vz_making_check(making, is_case ? "language" : "", err);
    }
    return VZ_NOT_FOUND;
}
