/* Stemmers of Portuguese and Galician in steps of suffix rules with exceptions: RSLP (V. Orengo, C.
 * Huyck, 2001) and its sister for Galician; their plurals alone are the minimal stemmers. The rules
 * are in text/rslp_rules.c. */
#include "text/rslp.h"

/* The first rule of a step that fits is applied; true when one did. */
static bool step(const char *name, UChar32 *s, size_t *len)
{
    const struct vz_rslp_rule *rule = vz_rslp_rules, *end = rule + vz_rslp_rule_count;
    while (rule < end && (rule->by || strcmp(rule->suffix, name) != 0))
        rule++;
    if (rule == end || *len < rule->least ||
        (rule->except[0] && !vz_word_ends(s, *len, rule->except)))
        return false;
    bool whole = rule->whole;
    for (rule++; rule < end && rule->by; rule++) {
        size_t cut = vz_word_ends(s, *len, rule->suffix);
        if (!cut || *len < cut + rule->least)
            continue;
        if (whole ? vz_word_is(s, *len, rule->except) : vz_word_ends(s, *len, rule->except) > 0)
            continue;
        *len = *len - cut + vz_word_put(s, *len - cut, rule->by);
        return true;
    }
    return false;
}

static void unaccent(UChar32 *s, size_t len, const char *marked, const char *plain)
{
    struct vz_slice list = vz_slice_from(marked);
    for (size_t i = 0; i < len; i++) {
        UChar32 c = s[i];
        for (size_t at = 0, n = 0; at < list.len; n++)
            if (vz_next_char(list, &at) == c)
                s[i] = (UChar32)plain[n];
    }
}

size_t vz_stem_galician(UChar32 *s, size_t len)
{
    step("galician Plural", s, &len);
    step("galician Unification", s, &len);
    step("galician Adverb", s, &len);
    size_t before;
    do {
        before = len;
        step("galician Augmentative", s, &len);
    } while (len != before);
    step("galician Noun", s, &len);
    if (len == before) /* of the same length is as good as no rule, as in Lucene */
        step("galician Verb", s, &len);
    step("galician Vowel", s, &len);
    unaccent(s, len, "áéêíóú", "aeeiou");
    return len;
}

size_t vz_stem_galician_minimal(UChar32 *s, size_t len)
{
    step("galician Plural", s, &len);
    return len;
}

size_t vz_stem_portuguese_rslp(UChar32 *s, size_t len)
{
    step("portuguese Plural", s, &len);
    step("portuguese Adverb", s, &len);
    step("portuguese Feminine", s, &len);
    step("portuguese Augmentative", s, &len);
    size_t before = len;
    step("portuguese Noun", s, &len);
    if (len == before) {
        step("portuguese Verb", s, &len);
        if (len == before)
            step("portuguese Vowel", s, &len);
    }
    unaccent(s, len, "àáâãäåçèéêëìíîïñòóôõöùúûüýÿ", "aaaaaaceeeeiiiinooooouuuuyy");
    return len;
}

size_t vz_stem_portuguese_minimal(UChar32 *s, size_t len)
{
    step("portuguese Plural", s, &len);
    return len;
}
