/* Light stemmers for Bulgarian, Czech, Latvian and Brazilian Portuguese.
 *
 * Sources: J. Savoy, "Searching Strategies for the Bulgarian Language"; L. Dolamic, J. Savoy,
 * "Indexing and stemming approaches for the Czech language"; K. Kreslins, "A stemming algorithm for
 * Latvian", nouns and adjectives of it; Brazilian after Porter's Portuguese in the form that Lucene
 * has had since 2001. Where the published rules leave a choice, Lucene's is taken:
 * tests/golden/text/languages.txt holds all of them against it. */
#include "text/light_parts.h"

/* ---- Bulgarian ------------------------------------------------------------------------------- */

static size_t bulgarian_article(const UChar32 *s, size_t len)
{
    static const struct vz_rung rungs[] = {{6, 3, "ият"}, {5, 2, "ът то те та ия"}, {4, 2, "ят"}};
    return vz_ladder(s, len, rungs, VZ_COUNT_OF(rungs));
}

/* An ending, what stays of it changed to `by`. */
struct change {
    uint8_t longer_than, cut;
    UChar32 by; /* of the character then last; 0: as it is */
    const char *suffix;
};

static bool apply(UChar32 *s, size_t *len, const struct change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (*len > changes[i].longer_than && vz_word_ends(s, *len, changes[i].suffix)) {
            *len -= changes[i].cut;
            if (changes[i].by)
                s[*len - 1] = changes[i].by;
            return true;
        }
    return false;
}

static size_t bulgarian_plural(UChar32 *s, size_t len)
{
    static const struct change first[] = {
        {6, 3, 0, "овци"}, {6, 3, 0, "ове"},    {6, 2, 0x439, "еве"}, {5, 3, 0, "ища"},
        {5, 2, 0, "та"},   {5, 1, 0x43A, "ци"}, {5, 1, 0x433, "зи"}};
    static const struct change then[] = {{4, 1, 0x445, "си"}, {4, 1, 0, "и"}};
    if (apply(s, &len, first, VZ_COUNT_OF(first)))
        return len;
    if (len > 5 && s[len - 3] == 0x435 && s[len - 1] == 0x438) { /* е.и: я. */
        s[len - 3] = 0x44F;
        return len - 1;
    }
    apply(s, &len, then, VZ_COUNT_OF(then));
    return len;
}

size_t vz_stem_bulgarian(UChar32 *s, size_t len)
{
    if (len < 4)
        return len;
    if (len > 5 && vz_word_ends(s, len, "ища"))
        return len - 3;
    len = bulgarian_plural(s, bulgarian_article(s, len));
    if (len > 3) {
        len -= vz_word_ends(s, len, "я");
        len -= vz_word_ends(s, len, "а о е");
    }
    if (len > 4 && vz_word_ends(s, len, "ен"))
        s[--len - 1] = 0x43D;
    if (len > 5 && s[len - 2] == 0x44A) {
        s[len - 2] = s[len - 1];
        len--;
    }
    return len;
}

/* ---- Czech ----------------------------------------------------------------------------------- */

size_t vz_stem_czech(UChar32 *s, size_t len)
{
    static const struct vz_rung cases[] = {
        {7, 5, "atech"},
        {6, 4, "ětem etem atům"},
        {5, 3,
         "ech ich ích ého ěmi emi ému ěte ete ěti eti ího iho ími ímu imu ách ata aty ých ama ami "
         "ové ovi ými"},
        {4, 2, "em es ém ím ům at ám os us ým mi ou"},
        {3, 1, "a e i o u ů y á é í ý ě"},
    };
    static const struct vz_rung possessives[] = {{5, 2, "ov in ův"}};
    len = vz_ladder(s, len, cases, VZ_COUNT_OF(cases));
    len = vz_ladder(s, len, possessives, VZ_COUNT_OF(possessives));
    if (len == 0)
        return len;
    UChar32 last = s[len - 1];
    if (vz_word_ends(s, len, "čt št")) {
        s[len - 2] = s[len - 2] == 0x10D ? 'c' : 's';
        s[len - 1] = 'k';
    } else if (last == 'c' || last == 0x10D) {
        s[len - 1] = 'k';
    } else if (last == 'z' || last == 0x17E) {
        s[len - 1] = 'h';
    } else if (len > 1 && s[len - 2] == 'e') {
        s[len - 2] = last;
        len--;
    } else if (len > 2 && s[len - 2] == 0x16F) {
        s[len - 2] = 'o';
    }
    return len;
}

/* ---- Latvian --------------------------------------------------------------------------------- */

/* Softened consonants back to what they were before the ending; `u`: the ending began with one. */
static size_t latvian_harden(UChar32 *s, size_t len, bool u)
{
    static const struct {
        const char *soft, *hard;
    } pairs[] = {{"šņ", "sn"}, {"žņ", "zn"}, {"šļ", "sl"}, {"žļ", "zl"}, {"ļņ", "ln"},
                 {"ļļ", "ll"}, {"č", "c"},   {"ļ", "l"},   {"ņ", "n"}};
    if (u && vz_word_ends(s, len, "kš"))
        return len - 1 + vz_word_put(s, len - 1, "st");
    if (u && vz_word_ends(s, len, "ņņ"))
        return len - 2 + vz_word_put(s, len - 2, "nn");
    if (vz_word_ends(s, len, "pj bj mj vj"))
        return len - 1;
    for (size_t i = 0; i < VZ_COUNT_OF(pairs); i++) {
        size_t count = vz_word_ends(s, len, pairs[i].soft);
        if (count)
            return len - count + vz_word_put(s, len - count, pairs[i].hard);
    }
    return len;
}

size_t vz_stem_latvian(UChar32 *s, size_t len)
{
    /* As many vowels at least as the ending has must stay, and one more. */
    static const struct {
        const char *suffixes;
        uint8_t vowels;
        bool softens;
    } endings[] = {{"ajiem ajai", 3, false},
                   {"ajam ajām ajos ajās", 2, false},
                   {"iem", 2, true},
                   {"ajā ais ai ei", 2, false},
                   {"ām am ēm īm im um", 1, false},
                   {"us", 1, true},
                   {"as ās es", 1, false},
                   {"os", 1, true},
                   {"ij īs ēs is ie", 1, false},
                   {"u a i", 1, true},
                   {"e ā ē ī ū o", 1, false},
                   {"s š", 0, false}};
    unsigned vowels = 0;
    for (size_t i = 0; i < len; i++)
        vowels += vz_word_ends(s + i, 1, "a e i o u ā ī ē ū") > 0;
    for (size_t i = 0; i < VZ_COUNT_OF(endings); i++) {
        size_t cut = vowels > endings[i].vowels ? vz_word_ends(s, len, endings[i].suffixes) : 0;
        if (!cut || len < cut + 3)
            continue;
        len -= cut;
        return endings[i].softens ? latvian_harden(s, len, s[len] == 'u') : len;
    }
    return len;
}

/* ---- Brazilian ------------------------------------------------------------------------------- */

static bool plain_vowel(UChar32 c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* The regions of a word are where they begin; NONE: there is no such region. */
#define NONE SIZE_MAX
struct brazilian {
    const UChar32 *whole; /* before anything was cut: what regions are parts of */
    size_t whole_len;
    UChar32 *s; /* after */
    size_t len;
    size_t r1, r2, rv;
};

/* Behind the first consonant that follows a vowel; the last letter is not looked at. */
static size_t region_behind(const UChar32 *s, size_t from, size_t len)
{
    size_t at = from, last = len - 1;
    if (from == NONE || from >= len)
        return NONE;
    while (at < last && !plain_vowel(s[at]))
        at++;
    while (at < last && plain_vowel(s[at]))
        at++;
    return at < last ? at + 1 : NONE;
}

static size_t region_rv(const UChar32 *s, size_t len)
{
    size_t last = len - 1, at;
    if (!plain_vowel(s[1])) {
        for (at = 2; at < last && !plain_vowel(s[at]); at++)
            ;
        if (at < last)
            return at + 1;
    }
    if (last > 1 && plain_vowel(s[0]) && plain_vowel(s[1])) {
        for (at = 2; at < last && plain_vowel(s[at]); at++)
            ;
        if (at < last)
            return at + 1;
    }
    return last > 2 ? 3 : NONE;
}

/* How much of a region's end a list has. */
static size_t region_ends(const struct brazilian *word, size_t region, const char *suffixes)
{
    return region == NONE ? 0
                          : vz_word_ends(word->whole + region, word->whole_len - region, suffixes);
}

static bool brazilian_noun(struct brazilian *word)
{
    /* Longest first. '1': the suffix lies in R1, '2': in R2, 'v': in RV behind an e. */
    static const struct {
        const char *suffixes;
        char where;
        const char *by;
    } rules[] = {
        {"uciones", '2', "u"},
        {"imentos amentos adores adoras", '2', ""},
        {"logias", '2', NULL}, /* found, and left alone */
        {"encias", '2', "ente"},
        {"amente", '1', ""},
        {"idades acoes imento amento adora ismos istas", '2', ""},
        {"logia", '2', "log"},
        {"ucion", '2', "u"},
        {"encia", '2', "ente"},
        {"mente idade acao ezas icos icas ismo avel ivel ista osos osas ador ivas ivos", '2', ""},
        {"iras", 'v', "ir"},
        {"eza ico ica oso osa iva ivo", '2', ""},
        {"ira", 'v', "ir"}};
    for (size_t i = 0; i < VZ_COUNT_OF(rules); i++) {
        size_t region = rules[i].where == '1'   ? word->r1
                        : rules[i].where == '2' ? word->r2
                                                : word->rv;
        size_t cut = region_ends(word, region, rules[i].suffixes);
        if (!cut ||
            (rules[i].where == 'v' && (word->len <= cut || word->s[word->len - cut - 1] != 'e')))
            continue;
        if (rules[i].by)
            word->len += vz_word_put(word->s, word->len - cut, rules[i].by) - cut;
        return true;
    }
    return false;
}

static bool brazilian_verb(struct brazilian *word)
{
    static const char *const suffixes[] = {
        "issemos essemos assemos ariamos eriamos iriamos",
        "iremos eremos aremos avamos iramos eramos aramos asseis esseis isseis arieis erieis "
        "irieis",
        "irmos iamos armos ermos areis ereis ireis asses esses isses astes assem essem issem ardes "
        "erdes irdes ariam eriam iriam arias erias irias estes istes aveis",
        "aria eria iria asse esse isse aste este iste arei erei irei aram eram iram avam arem erem "
        "irem ando endo indo arao erao irao adas idas aras eras iras avas ares eres ires ados idos "
        "amos emos imos ieis",
        "ada ida ara era"};
    static const char *const rest[] = {"iam ado ido ias ais eis ear",
                                       "ia ei am em ar er ir as es is eu iu ou"};
    size_t cut = 0;
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes) && !cut; i++)
        cut = region_ends(word, word->rv, suffixes[i]);
    if (!cut && region_ends(word, word->rv, "ira"))
        return true; /* found, and left alone: what is cut is "ava", which is not there */
    for (size_t i = 0; i < VZ_COUNT_OF(rest) && !cut; i++)
        cut = region_ends(word, word->rv, rest[i]);
    word->len -= cut;
    return cut > 0;
}

/* One letter of the word, when it is that one still. */
static void drop_last(struct brazilian *word, UChar32 letter)
{
    if (word->len && word->s[word->len - 1] == letter)
        word->len--;
}

static void brazilian_rest(struct brazilian *word, bool altered)
{
    if (altered) {
        if (region_ends(word, word->rv, "ci"))
            drop_last(word, 'i');
    } else {
        size_t cut = region_ends(word, word->rv, "os");
        word->len -= cut ? cut : region_ends(word, word->rv, "a i o");
    }
    if (!region_ends(word, word->rv, "e"))
        return;
    drop_last(word, 'e');
    if (region_ends(word, word->rv, "gue"))
        drop_last(word, 'u');
    else if (region_ends(word, word->rv, "cie"))
        drop_last(word, 'i');
}

size_t vz_stem_brazilian(UChar32 *s, size_t len)
{
    static const char marked[] = "áâãéêíóôõúüçñ", plain[] = "aaaeeiooouucn";
    static const char marks[] = "\"'-,;.?!";
    UChar32 whole[VZ_LIGHT_MAX + 4], changed[VZ_LIGHT_MAX + 4];
    struct vz_slice list = {marked, sizeof marked - 1};
    if (len == 0)
        return len;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = changed[i] = u_tolower(s[i]);
        for (size_t at = 0, n = 0; at < list.len; n++)
            if (vz_next_char(list, &at) == c)
                changed[i] = (UChar32)plain[n];
    }
    size_t first = 0, end = len;
    if (end >= 2 && changed[0] < 0x80 && strchr(marks, (int)changed[0]))
        first++;
    if (end - first >= 2 && changed[end - 1] < 0x80 && strchr(marks, (int)changed[end - 1]))
        end--;
    size_t count = end - first;
    if (count <= 2 || count >= 30)
        return len; /* not to be touched, accents neither */
    memcpy(s, changed + first, count * sizeof *s);
    for (size_t i = 0; i < count; i++)
        if (!u_isalpha(s[i]))
            return count;
    memcpy(whole, s, count * sizeof *s);
    struct brazilian word = {.whole = whole, .whole_len = count, .s = s, .len = count};
    word.r1 = region_behind(s, 0, count);
    word.r2 = region_behind(s, word.r1, count);
    word.rv = region_rv(s, count);
    bool altered = brazilian_noun(&word) || brazilian_verb(&word);
    if (word.rv != NONE)
        brazilian_rest(&word, altered);
    return word.len;
}
