/* Light stemmers for Arabic, Persian, Hindi, Bengali, Sorani and Indonesian.
 *
 * Sources: L. Larkey, L. Ballesteros, M. Connell, "Improving Stemming for Arabic Information
 * Retrieval" (light10 without its stop words); A. Ramanathan, D. Rao, "A Lightweight Stemmer for
 * Hindi"; P. Sengupta, B. B. Chaudhuri, "Natural Language Processing in an Indian Language
 * (Bengali)", with J. Savoy's light endings; K. Esmaili et al., "Building a Test Collection for
 * Sorani Kurdish"; F. Z. Tala, "A Study of Stemming Effects on Information Retrieval in Bahasa
 * Indonesia". Which endings, in which order and of which length at least is what Lucene's stemmers
 * do; tests/golden/text/languages.txt holds these against them. All but Indonesian expect words
 * that are normalized (text/normalize.c). */
#include "text/light_parts.h"

/* ---- Arabic and Persian ---------------------------------------------------------------------- */

/* Each suffix once, in order, as long as two letters stay. */
static size_t cut_each(const UChar32 *s, size_t len, const char *const *suffixes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t cut = vz_word_ends(s, len, suffixes[i]);
        if (cut && len >= cut + 2)
            len -= cut;
    }
    return len;
}

size_t vz_stem_arabic(UChar32 *s, size_t len)
{
    static const char *const prefixes[] = {"ال", "وال", "بال", "كال", "فال", "لل", "و"};
    static const char *const suffixes[] = {"ها", "ان", "ات", "ون", "ين", "يه", "ية", "ه", "ة", "ي"};
    for (size_t i = 0; i < VZ_COUNT_OF(prefixes); i++) {
        size_t cut = vz_word_starts(s, len, prefixes[i]);
        if (cut &&
            len >= (cut == 1 ? 4 : cut + 2)) { /* "and" alone needs three letters behind it */
            len = vz_word_cut(s, len, 0, cut);
            break;
        }
    }
    return cut_each(s, len, suffixes, VZ_COUNT_OF(suffixes));
}

size_t vz_stem_persian(UChar32 *s, size_t len)
{
    static const char *const suffixes[] = {"ات", "ان", "ترين", "تر", "يي", "ي", "ها", "\u200C"};
    return cut_each(s, len, suffixes, VZ_COUNT_OF(suffixes));
}

/* ---- Hindi and Bengali ----------------------------------------------------------------------- */

size_t vz_stem_hindi(UChar32 *s, size_t len)
{
    static const struct vz_rung rungs[] = {
        {6, 5, "ाएंगी ाएंगे ाऊंगी ाऊंगा ाइयाँ ाइयों ाइयां"},
        {5, 4, "ाएगी ाएगा ाओगी ाओगे एंगी ेंगी एंगे ेंगे ूंगी ूंगा ातीं नाओं नाएं ताओं ताएं ियाँ ियों ियां"},
        {4, 3, "ाकर ाइए ाईं ाया ेगी ेगा ोगी ोगे ाने ाना ाते ाती ाता तीं ाओं ाएं ुओं ुएं ुआं"},
        {3, 2, "कर ाओ िए ाई ाए ने नी ना ते ीं ती ता ाँ ां ों ें"},
        {2, 1, "ो े ू ु ी ि ा"},
    };
    return vz_ladder(s, len, rungs, VZ_COUNT_OF(rungs));
}

size_t vz_stem_bengali(UChar32 *s, size_t len)
{
    static const struct vz_rung rungs[] = {
        {9, 8, "িয়াছিলাম িতেছিলাম িতেছিলেন ইতেছিলেন িয়াছিলেন ইয়াছিলেন"},
        {8, 7, "িতেছিলি িতেছিলে িয়াছিলা িয়াছিলে িতেছিলা িয়াছিলি য়েদেরকে"},
        {7, 6, "িতেছিস িতেছেন িয়াছিস িয়াছেন েছিলাম েছিলেন েদেরকে"},
        {6, 5, "িতেছি িতেছা িতেছে ছিলাম ছিলেন িয়াছি িয়াছা িয়াছে েছিলে েছিলা য়েদের দেরকে"},
        {5, 4, "িলাম িলেন িতাম িতেন িবেন ছিলি ছিলে ছিলা তেছে িতেছ খানা খানি গুলো গুলি য়েরা েদের"},
        {4, 3,
         "লাম িলি ইলি িলে ইলে লেন িলা ইলা তাম িতি ইতি িতে ইতে তেন িতা িবা ইবা িবি ইবি বেন িবে "
         "ইবে ছেন য়োন য়ের েরা দের"},
        {3, 2, "িস েন লি লে লা তি তে তা বি বে বা ছি ছা ছে ুন ুক টা টি নি ের রা কে"},
        {2, 1, "ি ী া ো ে ব ত"},
    };
    return vz_ladder(s, len, rungs, VZ_COUNT_OF(rungs));
}

/* ---- Sorani ---------------------------------------------------------------------------------- */

size_t vz_stem_sorani(UChar32 *s, size_t len)
{
    static const struct vz_rung postpositions[] = {{5, 2, "دا"}, {4, 1, "نا"}, {6, 3, "ەوە"}};
    static const struct vz_rung possessives[] = {{6, 3, "مان یان تان"}};
    static const struct vz_rung endings[] = {
        {6, 3, "ێکی"},     {7, 4, "یەکی"}, /* indefinite singular with ezafe */
        {5, 2, "ێک"},      {6, 3, "یەک"},  /* indefinite singular */
        {6, 3, "ەکە"},     {5, 2, "کە"},   /* definite singular */
        {7, 4, "ەکان"},    {6, 3, "کان"},  /* definite plural */
        {7, 4, "یانی"},    {6, 3, "انی"},  /* indefinite plural with ezafe */
        {6, 3, "یان"},     {5, 2, "ان"},   /* indefinite plural */
        {7, 4, "یانە"},    {6, 3, "انە"},  /* demonstrative plural */
        {5, 2, "ایە ەیە"}, {4, 1, "ە"},    /* demonstrative singular */
        {4, 1, "ی"},                       /* singular with ezafe */
    };
    len = vz_ladder(s, len, postpositions, VZ_COUNT_OF(postpositions));
    len = vz_ladder(s, len, possessives, VZ_COUNT_OF(possessives));
    return vz_ladder(s, len, endings, VZ_COUNT_OF(endings));
}

/* ---- Indonesian ------------------------------------------------------------------------------ */

enum affix { NO_AFFIX = 0, KE = 1, PENG = 2, DI = 4, MENG = 8, TER = 16, BER = 32, PE = 64 };

struct malay {
    UChar32 *s;
    size_t len;
    int syllables;
    unsigned removed; /* enum affix */
};

static bool vowel_at(const struct malay *word, size_t at)
{
    UChar32 c = at < word->len ? word->s[at] : 0;
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* What a prefix leaves: `cut` letters go, a letter that it swallowed comes back in `back`. */
struct prefix {
    const char *text;
    bool before_vowel;
    uint8_t cut;
    char back;
    enum affix affix;
};
static bool cut_prefix(struct malay *word, const struct prefix *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = vz_word_starts(word->s, word->len, rules[i].text);
        if (!len || (rules[i].before_vowel && !vowel_at(word, len)))
            continue;
        if (rules[i].back)
            word->s[rules[i].cut] = rules[i].back;
        word->len = vz_word_cut(word->s, word->len, 0, rules[i].cut);
        word->removed |= rules[i].affix;
        word->syllables--;
        return true;
    }
    return false;
}

static bool first_prefix(struct malay *word)
{
    static const struct prefix rules[] = {
        {"meng", false, 4, 0, MENG},  {"meny", true, 3, 's', MENG}, {"men", false, 3, 0, MENG},
        {"mem", false, 3, 0, MENG},   {"me", false, 2, 0, MENG},    {"peng", false, 4, 0, PENG},
        {"peny", true, 3, 's', PENG}, {"peny", false, 4, 0, PENG},  {"pen", true, 2, 't', PENG},
        {"pen", false, 3, 0, PENG},   {"pem", false, 3, 0, PENG},   {"di", false, 2, 0, DI},
        {"ter", false, 3, 0, TER},    {"ke", false, 2, 0, KE}};
    return word->syllables > 2 && cut_prefix(word, rules, VZ_COUNT_OF(rules));
}

static void second_prefix(struct malay *word)
{
    static const struct prefix ber[] = {{"ber", false, 3, 0, BER}};
    static const struct prefix study[] = {{"belajar", false, 3, 0, BER}};
    static const struct prefix be[] = {{"be", false, 2, 0, BER}};
    static const struct prefix per[] = {{"per", false, 3, 0, NO_AFFIX}};
    static const struct prefix pupil[] = {{"pelajar", false, 3, 0, NO_AFFIX}};
    static const struct prefix pe[] = {{"pe", false, 2, 0, PE}};
    if (word->syllables <= 2 || cut_prefix(word, ber, 1) ||
        (word->len == 7 && cut_prefix(word, study, 1)))
        return;
    if (word->len > 4 && !vowel_at(word, 2) && word->s[3] == 'e' && word->s[4] == 'r' &&
        cut_prefix(word, be, 1))
        return;
    if (cut_prefix(word, per, 1) || (word->len == 7 && cut_prefix(word, pupil, 1)))
        return;
    cut_prefix(word, pe, 1);
}

static bool cut_suffix(struct malay *word, const char *suffixes, unsigned unless)
{
    size_t cut = word->removed & unless ? 0 : vz_word_ends(word->s, word->len, suffixes);
    word->len -= cut;
    word->syllables -= cut > 0;
    return cut > 0;
}

static bool suffix(struct malay *word)
{
    if (word->syllables <= 2)
        return false;
    return cut_suffix(word, "kan", KE | PENG | PE) || cut_suffix(word, "an", DI | MENG | TER) ||
           (!vz_word_ends(word->s, word->len, "si") && cut_suffix(word, "i", BER | KE | PENG));
}

size_t vz_stem_indonesian(UChar32 *s, size_t len)
{
    struct malay word = {s, len, 0, 0};
    for (size_t i = 0; i < len; i++)
        word.syllables += vowel_at(&word, i);
    if (word.syllables > 2)
        cut_suffix(&word, "kah lah pun", 0);
    if (word.syllables > 2)
        cut_suffix(&word, "ku mu nya", 0);
    if (first_prefix(&word)) {
        if (suffix(&word))
            second_prefix(&word);
    } else {
        second_prefix(&word);
        suffix(&word);
    }
    return word.len;
}
