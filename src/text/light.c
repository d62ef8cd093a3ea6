/* Stemmers that are no Snowball programs: the light stemmers of Jacques Savoy for Portuguese,
 * Spanish, Italian, German and French, Porter's own for English in the form Lucene has it, the
 * possessive and the minimal plural of English.
 *
 * Sources: J. Savoy, "Light Stemming Approaches for the French, Portuguese, German and Hungarian
 * Languages" (SAC 2006); M. Porter, "An algorithm for suffix stripping" (1980); D. Harman, "How
 * effective is suffixing?" (1991). Each works on an array of code points with two spare at its
 * end and gives the new length. tests/golden/text holds them against Lucene on word lists. */
#include "text/light_parts.h"

static bool ends(const UChar32 *s, size_t len, const char *suffix)
{
    struct vz_slice text = vz_slice_from(suffix);
    if (!len || s[len - 1] != (unsigned char)suffix[text.len - 1]) /* all end in ASCII */
        return false;
    size_t count = vz_char_count(text), at = 0;
    if (len < count)
        return false;
    for (size_t i = len - count; i < len; i++)
        if (s[i] != vz_next_char(text, &at))
            return false;
    return true;
}

static bool one_of(UChar32 c, const char *set)
{
    struct vz_slice text = vz_slice_from(set);
    for (size_t at = 0; at < text.len;)
        if (vz_next_char(text, &at) == c)
            return true;
    return false;
}

/* Takes accents off vowels: PLAIN_VOWELS, of ALL_MARKS with tilde and cedilla, too; German leaves
 * the letter e alone. */
enum marks { PLAIN_VOWELS, ALL_MARKS, NOT_E };
static void unaccent(UChar32 *s, size_t len, enum marks marks)
{
    bool all = marks == ALL_MARKS;
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        if (c < 0xE0 || c > 0xFC)
            continue;
        if ((c <= 0xE4 && c != 0xE3) || (all && c == 0xE3))
            s[i] = 'a';
        else if (c >= 0xE8 && c <= 0xEB && marks != NOT_E)
            s[i] = 'e';
        else if (c >= 0xEC && c <= 0xEF)
            s[i] = 'i';
        else if ((c >= 0xF2 && c <= 0xF6 && c != 0xF5) || (all && c == 0xF5))
            s[i] = 'o';
        else if (c >= 0xF9 && c <= 0xFC)
            s[i] = 'u';
        else if (all && c == 0xE7)
            s[i] = 'c';
    }
}

/* ---- Portuguese -------------------------------------------------------------------------------
 */

static size_t portuguese_plural(UChar32 *s, size_t len)
{
    if (len > 4 && ends(s, len, "es") && one_of(s[len - 3], "rslz"))
        return len - 2;
    if (len > 3 && ends(s, len, "ns")) {
        s[len - 2] = 'm';
        return len - 1;
    }
    if (len > 4 && (ends(s, len, "eis") || ends(s, len, "éis"))) {
        s[len - 3] = 'e';
        s[len - 2] = 'l';
        return len - 1;
    }
    if (len > 4 && ends(s, len, "ais")) {
        s[len - 2] = 'l';
        return len - 1;
    }
    if (len > 4 && ends(s, len, "óis")) {
        s[len - 3] = 'o';
        s[len - 2] = 'l';
        return len - 1;
    }
    if (len > 4 && ends(s, len, "is")) {
        s[len - 1] = 'l';
        return len;
    }
    if (len > 3 && (ends(s, len, "ões") || ends(s, len, "ães"))) {
        len--;
        s[len - 2] = 0xE3;
        s[len - 1] = 'o';
        return len;
    }
    if (len > 6 && ends(s, len, "mente"))
        return len - 5;
    return len > 3 && s[len - 1] == 's' ? len - 1 : len;
}

static size_t portuguese_feminine(UChar32 *s, size_t len)
{
    static const char *const to_o[] = {"osa", "ica", "ida", "ada", "iva", "ama"};
    if (len > 7 && (ends(s, len, "inha") || ends(s, len, "iaca") || ends(s, len, "eira"))) {
        s[len - 1] = 'o';
        return len;
    }
    if (len <= 6)
        return len;
    for (size_t i = 0; i < VZ_COUNT_OF(to_o); i++)
        if (ends(s, len, to_o[i])) {
            s[len - 1] = 'o';
            return len;
        }
    if (ends(s, len, "ona")) {
        s[len - 3] = 0xE3;
        s[len - 2] = 'o';
        return len - 1;
    }
    if (ends(s, len, "ora"))
        return len - 1;
    if (ends(s, len, "esa")) {
        s[len - 3] = 0xEA;
        return len - 1;
    }
    if (ends(s, len, "na"))
        s[len - 1] = 'o';
    return len;
}

static size_t portuguese(UChar32 *s, size_t len)
{
    if (len < 4)
        return len;
    len = portuguese_plural(s, len);
    if (len > 3 && s[len - 1] == 'a')
        len = portuguese_feminine(s, len);
    if (len > 4 && one_of(s[len - 1], "eao"))
        len--;
    unaccent(s, len, ALL_MARKS);
    return len;
}

/* ---- Spanish, Italian, German -----------------------------------------------------------------
 */

static size_t spanish(UChar32 *s, size_t len)
{
    if (len < 5)
        return len;
    unaccent(s, len, PLAIN_VOWELS);
    if (one_of(s[len - 1], "oae"))
        return len - 1;
    if (s[len - 1] == 's') {
        if (ends(s, len, "eses"))
            return len - 2;
        if (ends(s, len, "ces")) {
            s[len - 3] = 'z';
            return len - 2;
        }
        if (one_of(s[len - 2], "oae"))
            return len - 2;
    }
    return len;
}

static size_t italian(UChar32 *s, size_t len)
{
    if (len < 6)
        return len;
    unaccent(s, len, PLAIN_VOWELS);
    switch (s[len - 1]) {
    case 'e':
    case 'i':
        return s[len - 2] == 'i' || s[len - 2] == 'h' ? len - 2 : len - 1;
    case 'a':
    case 'o':
        return s[len - 2] == 'i' ? len - 2 : len - 1;
    default:
        return len;
    }
}

static size_t german(UChar32 *s, size_t len)
{
    unaccent(s, len, NOT_E);
    if (len > 5 && ends(s, len, "ern"))
        len -= 3;
    else if (len > 4 && s[len - 2] == 'e' && one_of(s[len - 1], "mnrs"))
        len -= 2;
    else if (len > 3 && s[len - 1] == 'e')
        len -= 1;
    else if (len > 3 && s[len - 1] == 's' && one_of(s[len - 2], "bdfghklmnt"))
        len -= 1;
    if (len > 5 && ends(s, len, "est"))
        len -= 3;
    else if (len > 4 && s[len - 2] == 'e' && one_of(s[len - 1], "rn"))
        len -= 2;
    else if (len > 4 && ends(s, len, "st") && one_of(s[len - 3], "bdfghklmnt"))
        len -= 2;
    return len;
}

/* ---- French -----------------------------------------------------------------------------------
 */

static size_t french_normal(UChar32 *s, size_t len)
{
    if (len > 4) {
        for (size_t i = 0; i < len; i++) {
            UChar32 c = s[i];
            s[i] = c == 0xE0 || c == 0xE1 || c == 0xE2   ? 'a'
                   : c == 0xF4                           ? 'o'
                   : c == 0xE8 || c == 0xE9 || c == 0xEA ? 'e'
                   : c == 0xF9 || c == 0xFB              ? 'u'
                   : c == 0xEE                           ? 'i'
                   : c == 0xE7                           ? 'c'
                                                         : c;
        }
        size_t kept = 1; /* doubled letters */
        for (size_t i = 1; i < len; i++)
            if (s[i] != s[kept - 1] || !u_isalpha(s[i]))
                s[kept++] = s[i];
        len = kept;
    }
    if (len > 4 && ends(s, len, "ie"))
        len -= 2;
    if (len > 4) {
        if (s[len - 1] == 'r')
            len--;
        if (s[len - 1] == 'e')
            len--;
        if (s[len - 1] == 'e')
            len--;
        if (s[len - 1] == s[len - 2] && u_isalpha(s[len - 1]))
            len--;
    }
    return len;
}

/* Suffixes in the order they are tried: a word longer than `over` that ends in `suffix` has `cut`
 * letters removed and `add` written over its new end. `last`: normalize and be done. */
static const struct french_rule {
    unsigned over;
    const char *suffix;
    unsigned cut;
    const char *add;
    bool last;
} french_rules[] = {
    {8, "issant", 4, "r", true},     {11, "ficatrice", 5, "er", true},
    {10, "ficateur", 4, "er", true}, {9, "catrice", 3, "quer", true},
    {8, "cateur", 2, "quer", true},  {8, "atrice", 4, "er", true},
    {7, "ateur", 3, "er", true},     {6, "trice", 1, "eur", false},
    {5, "ième", 4, "", true},        {7, "teuse", 2, "r", true},
    {6, "teur", 1, "r", true},       {5, "euse", 2, "", true},
    {8, "ère", 1, "e*", true},       {7, "ive", 1, "f", true},
    {4, "folle", 2, "u", true},      {4, "molle", 2, "u", true},
    {9, "nnelle", 5, "", true},      {9, "nnel", 3, "", true},
    {4, "ète", 1, "e*", false},      {8, "ique", 4, "", false},
    {8, "esse", 3, "", true},        {7, "inage", 3, "", true},
};

/* Writes `add` over the end; '*' keeps the letter that is there. */
static void overwrite(UChar32 *s, size_t len, const char *add)
{
    size_t count = strlen(add);
    for (size_t i = 0; i < count; i++)
        if (add[i] != '*')
            s[len - count + i] = (unsigned char)add[i];
}

static size_t french(UChar32 *s, size_t len)
{
    if (len > 5 && s[len - 1] == 'x') {
        if (s[len - 3] == 'a' && s[len - 2] == 'u' && s[len - 4] != 'e')
            s[len - 2] = 'l';
        len--;
    }
    if (len > 3 && s[len - 1] == 'x')
        len--;
    if (len > 3 && s[len - 1] == 's')
        len--;
    if (len > 9 && ends(s, len, "issement")) {
        len -= 6;
        s[len - 1] = 'r';
        return french_normal(s, len);
    }
    if (len > 6 && ends(s, len, "ement") && !(len > 8 && ends(s, len, "issant"))) {
        len -= 4;
        if (len > 3 && ends(s, len, "ive")) {
            len--;
            s[len - 1] = 'f';
        }
        return french_normal(s, len);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(french_rules); i++) {
        const struct french_rule *rule = &french_rules[i];
        if (len <= rule->over || !ends(s, len, rule->suffix))
            continue;
        len -= rule->cut;
        overwrite(s, len, rule->add);
        if (rule->last)
            return french_normal(s, len);
    }
    if (len > 9 && ends(s, len, "isation")) {
        len -= 7;
        if (len > 5 && ends(s, len, "ual"))
            s[len - 2] = 'e';
    } else if (len > 9 && ends(s, len, "isateur")) {
        len -= 7;
    } else if (len > 8 && (ends(s, len, "ation") || ends(s, len, "ition"))) {
        len -= 5;
    }
    return french_normal(s, len);
}

/* ---- English ----------------------------------------------------------------------------------
 */

static size_t english_possessive(UChar32 *s, size_t len)
{
    if (len >= 2 && (s[len - 1] == 's' || s[len - 1] == 'S') &&
        (s[len - 2] == '\'' || s[len - 2] == 0x2019 || s[len - 2] == 0xFF07))
        return len - 2;
    return len;
}

static size_t english_minimal(UChar32 *s, size_t len)
{
    if (len < 3 || s[len - 1] != 's' || s[len - 2] == 'u' || s[len - 2] == 's')
        return len;
    if (s[len - 2] == 'e') {
        if (len > 3 && s[len - 3] == 'i' && s[len - 4] != 'a' && s[len - 4] != 'e') {
            s[len - 3] = 'y';
            return len - 2;
        }
        if (s[len - 3] == 'i' || s[len - 3] == 'a' || s[len - 3] == 'o' || s[len - 3] == 'e')
            return len;
    }
    return len - 1;
}

/* Porter's algorithm, with the departures of his own implementation that Lucene has: "bli" and
 * "logi" in step 2. */
struct porter {
    UChar32 *s;
    size_t len;  /* of the word */
    size_t stem; /* before the suffix that was found */
};

static bool consonant(const struct porter *p, size_t i)
{
    switch (p->s[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return false;
    case 'y':
        return i == 0 || !consonant(p, i - 1);
    default:
        return true;
    }
}

/* How often a vowel is followed by a consonant in the first `len` letters. */
static unsigned measure(const struct porter *p, size_t len)
{
    unsigned count = 0;
    bool vowel = false;
    for (size_t i = 0; i < len; i++) {
        bool is_consonant = consonant(p, i);
        count += vowel && is_consonant;
        vowel = !is_consonant;
    }
    return count;
}

static bool has_vowel(const struct porter *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!consonant(p, i))
            return true;
    return false;
}

static bool doubled(const struct porter *p)
{
    return p->len >= 2 && p->s[p->len - 1] == p->s[p->len - 2] && consonant(p, p->len - 1);
}

/* consonant, vowel, consonant that is not w, x, y: "hop", not "snow". */
static bool short_end(const struct porter *p, size_t len)
{
    return len >= 3 && consonant(p, len - 1) && !consonant(p, len - 2) && consonant(p, len - 3) &&
           !one_of(p->s[len - 1], "wxy");
}

static bool has_suffix(struct porter *p, const char *suffix)
{
    if (!ends(p->s, p->len, suffix))
        return false;
    p->stem = p->len - strlen(suffix);
    return true;
}

static void put_suffix(struct porter *p, const char *suffix)
{
    p->len = p->stem;
    for (; *suffix; suffix++)
        p->s[p->len++] = *suffix;
}

static void porter_1(struct porter *p)
{
    if (p->s[p->len - 1] == 's') {
        if (has_suffix(p, "sses"))
            p->len -= 2;
        else if (has_suffix(p, "ies"))
            put_suffix(p, "i");
        else if (p->s[p->len - 2] != 's')
            p->len--;
    }
    if (has_suffix(p, "eed")) {
        if (measure(p, p->stem) > 0)
            p->len--;
    } else if ((has_suffix(p, "ed") || has_suffix(p, "ing")) && has_vowel(p, p->stem)) {
        p->len = p->stem;
        if (has_suffix(p, "at"))
            put_suffix(p, "ate");
        else if (has_suffix(p, "bl"))
            put_suffix(p, "ble");
        else if (has_suffix(p, "iz"))
            put_suffix(p, "ize");
        else if (doubled(p)) {
            if (!one_of(p->s[p->len - 1], "lsz"))
                p->len--;
        } else if (measure(p, p->len) == 1 && short_end(p, p->len)) {
            p->s[p->len++] = 'e';
        }
    }
    if (has_suffix(p, "y") && has_vowel(p, p->stem))
        p->s[p->len - 1] = 'i';
}

struct porter_rule {
    const char *from, *to;
};

static void porter_rules(struct porter *p, const struct porter_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_suffix(p, rules[i].from)) {
            if (measure(p, p->stem) > 0)
                put_suffix(p, rules[i].to);
            return;
        }
}

static void porter_4(struct porter *p)
{
    static const char *const suffixes[] = {"al",  "ance",  "ence", "er",  "ic",  "able", "ible",
                                           "ant", "ement", "ment", "ent", "ion", "ou",   "ism",
                                           "ate", "iti",   "ous",  "ive", "ize"};
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++)
        if (has_suffix(p, suffixes[i])) {
            if (strcmp(suffixes[i], "ion") == 0 &&
                (p->stem == 0 || !one_of(p->s[p->stem - 1], "st")))
                continue;
            if (measure(p, p->stem) > 1)
                p->len = p->stem;
            return;
        }
}

static size_t porter(UChar32 *s, size_t len)
{
    static const struct porter_rule step2[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},
        {"izer", "ize"},    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"},
        {"eli", "e"},       {"ousli", "ous"},   {"ization", "ize"}, {"ation", "ate"},
        {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"}, {"fulness", "ful"},
        {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"},
        {"logi", "log"}};
    static const struct porter_rule step3[] = {{"icate", "ic"}, {"ative", ""},  {"alize", "al"},
                                               {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""},
                                               {"ness", ""}};
    struct porter p = {s, len, 0};
    if (len < 3)
        return len;
    porter_1(&p);
    porter_rules(&p, step2, VZ_COUNT_OF(step2));
    porter_rules(&p, step3, VZ_COUNT_OF(step3));
    porter_4(&p);
    if (p.len && p.s[p.len - 1] == 'e') {
        unsigned m = measure(&p, p.len - 1);
        if (m > 1 || (m == 1 && !short_end(&p, p.len - 1)))
            p.len--;
    }
    if (p.len > 1 && p.s[p.len - 1] == 'l' && doubled(&p) && measure(&p, p.len - 1) > 1)
        p.len--;
    return p.len;
}

vz_light_stemmer *vz_light_stemmer_find(struct vz_slice name)
{
    static const struct {
        const char *name;
        vz_light_stemmer *stem;
    } all[] = {
        {"english", porter},
        {"porter", porter},
        {"minimal_english", english_minimal},
        {"minimalEnglish", english_minimal},
        {"possessive_english", english_possessive},
        {"possessiveEnglish", english_possessive},
        {"light_portuguese", portuguese},
        {"lightPortuguese", portuguese},
        {"light_spanish", spanish},
        {"lightSpanish", spanish},
        {"light_italian", italian},
        {"lightItalian", italian},
        {"light_german", german},
        {"lightGerman", german},
        {"light_french", french},
        {"lightFrench", french},
        {"arabic", vz_stem_arabic},
        {"bengali", vz_stem_bengali},
        {"brazilian", vz_stem_brazilian},
        {"bulgarian", vz_stem_bulgarian},
        {"czech", vz_stem_czech},
        {"greek", vz_stem_greek},
        {"hindi", vz_stem_hindi},
        {"galician", vz_stem_galician},
        {"minimal_galician", vz_stem_galician_minimal},
        {"minimalGalician", vz_stem_galician_minimal},
        {"minimal_portuguese", vz_stem_portuguese_minimal},
        {"minimalPortuguese", vz_stem_portuguese_minimal},
        {"portuguese_rslp", vz_stem_portuguese_rslp},
        {"portugueseRslp", vz_stem_portuguese_rslp},
        {"indonesian", vz_stem_indonesian},
        {"latvian", vz_stem_latvian},
        {"persian", vz_stem_persian},
        {"sorani", vz_stem_sorani},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(all); i++)
        if (vz_slice_is(name, all[i].name))
            return all[i].stem;
    return NULL;
}
