/* Analyzers that are chains with a name: which tokenizer and filters each language has, in which
 * order. As in Lucene 9.12 and Elasticsearch 8. */
#include "text/analysis_parts.h"

/* A chain is written in words: "tok:NAME", "char:persian", "elision:LANGUAGE" (its articles),
 * "stop", "mark" (stem_exclusion), "stem:LANGUAGE", "lowercase:LANGUAGE", or a filter's name. */
static const struct vz_recipe recipes[] = {
    {"standard", "tok:standard lowercase stop", "_none_"},
    {"simple", "tok:lowercase", NULL},
    {"whitespace", "tok:whitespace", NULL},
    {"keyword", "tok:keyword", NULL},
    {"stop", "tok:lowercase stop", "_english_"},
    {"pattern", "tok:pattern lower? stop", "_none_"},
    {"fingerprint", "tok:standard lowercase asciifolding stop fingerprint", "_none_"},
    {"arabic", "tok:standard lowercase decimal_digit stop arabic_normalization mark stem:arabic",
     "_arabic_"},
    {"armenian", "tok:standard lowercase stop mark stem:armenian", "_armenian_"},
    {"basque", "tok:standard lowercase stop mark stem:basque", "_basque_"},
    {"bengali",
     "tok:standard lowercase decimal_digit mark indic_normalization bengali_normalization stop "
     "stem:bengali",
     "_bengali_"},
    {"brazilian", "tok:standard lowercase stop mark stem:brazilian", "_brazilian_"},
    {"bulgarian", "tok:standard lowercase stop mark stem:bulgarian", "_bulgarian_"},
    {"catalan", "tok:standard elision:catalan lowercase stop mark stem:catalan", "_catalan_"},
    {"cjk", "tok:standard cjk_width lowercase cjk_bigram stop", "_cjk_"},
    {"czech", "tok:standard lowercase stop mark stem:czech", "_czech_"},
    {"danish", "tok:standard lowercase stop mark stem:danish", "_danish_"},
    {"dutch", "tok:standard lowercase stop mark dutch_override stem:dutch", "_dutch_"},
    {"english", "tok:standard stem:possessive_english lowercase stop mark stem:english",
     "_english_"},
    {"finnish", "tok:standard lowercase stop mark stem:finnish", "_finnish_"},
    {"french", "tok:standard elision:french lowercase stop mark stem:light_french", "_french_"},
    {"galician", "tok:standard lowercase stop mark stem:galician", "_galician_"},
    {"german", "tok:standard lowercase stop mark german_normalization stem:light_german",
     "_german_"},
    {"greek", "tok:standard lowercase:greek stop stem:greek", "_greek_"},
    {"hindi",
     "tok:standard lowercase decimal_digit mark indic_normalization hindi_normalization stop "
     "stem:hindi",
     "_hindi_"},
    {"hungarian", "tok:standard lowercase stop mark stem:hungarian", "_hungarian_"},
    {"indonesian", "tok:standard lowercase stop mark stem:indonesian", "_indonesian_"},
    {"irish", "tok:standard hyphens elision:irish lowercase:irish stop mark stem:irish", "_irish_"},
    {"italian", "tok:standard elision:italian lowercase stop mark stem:light_italian", "_italian_"},
    {"latvian", "tok:standard lowercase stop mark stem:latvian", "_latvian_"},
    {"lithuanian", "tok:standard lowercase stop mark stem:lithuanian", "_lithuanian_"},
    {"norwegian", "tok:standard lowercase stop mark stem:norwegian", "_norwegian_"},
    {"persian",
     "char:persian tok:standard lowercase decimal_digit arabic_normalization persian_normalization "
     "stop",
     "_persian_"},
    {"portuguese", "tok:standard lowercase stop mark stem:light_portuguese", "_portuguese_"},
    {"romanian", "tok:standard lowercase stop mark stem:romanian", "_romanian_"},
    {"russian", "tok:standard lowercase stop mark stem:russian", "_russian_"},
    {"serbian", "tok:standard lowercase stop mark stem:serbian serbian_normalization", "_serbian_"},
    {"snowball", "tok:standard english? lowercase stop snowball", NULL},
    {"sorani", "tok:standard sorani_normalization lowercase decimal_digit stop mark stem:sorani",
     "_sorani_"},
    {"spanish", "tok:standard lowercase stop mark stem:light_spanish", "_spanish_"},
    {"swedish", "tok:standard lowercase stop mark stem:swedish", "_swedish_"},
    {"thai", "tok:thai lowercase decimal_digit stop", "_thai_"},
    {"turkish", "tok:standard apostrophe lowercase:turkish stop mark stem:turkish", "_turkish_"},
};

const struct vz_recipe *vz_recipe_find(struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(recipes); i++)
        if (vz_slice_is(name, recipes[i].name))
            return &recipes[i];
    return NULL;
}

bool vz_recipe_known_elsewhere(struct vz_slice name)
{
    return vz_slice_is(name, "estonian");
}

/* The language of the analyzer snowball. */
static struct vz_slice snowball_language(const struct vz_making *making)
{
    struct vz_json given;
    const char *key = vz_making_get(making, "language", &given) ? "language" : "name";
    return vz_making_text(making, key, "English");
}

/* Of few languages it has stop words. */
static const char *snowball_stop(const struct vz_making *making)
{
    static const char *const lists[][2] = {{"English", "_english_"},
                                           {"Dutch", "_dutch_"},
                                           {"German", "_german_"},
                                           {"German2", "_german_"},
                                           {"French", "_french_"}};
    struct vz_slice language = snowball_language(making);
    for (size_t i = 0; i < VZ_COUNT_OF(lists); i++)
        if (vz_slice_is(language, lists[i][0]))
            return lists[i][1];
    return "_none_";
}

static void put_setting(const struct vz_making *making, const char *key, struct vz_json_writer *w)
{
    struct vz_json given;
    if (!vz_making_get(making, key, &given))
        return;
    vz_json_key(w, key);
    vz_json_put_value(w, given);
}

/* What stands behind the colon, as the filter's language. */
static void put_language(struct vz_slice word, struct vz_json_writer *w)
{
    const char *colon = memchr(word.ptr, ':', word.len);
    size_t skip = colon ? (size_t)(colon + 1 - word.ptr) : word.len;
    if (colon)
        vz_json_field_string(w, "language", (struct vz_slice){word.ptr + skip, word.len - skip});
}

bool vz_recipe_settings(const struct vz_making *making, const struct vz_recipe *recipe,
                        struct vz_slice word, struct vz_buf *out)
{
    struct vz_json given;
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    if (vz_slice_is(word, "stop")) {
        vz_json_key(&w, "stopwords");
        if (vz_making_get(making, "stopwords", &given))
            vz_json_put_value(&w, given);
        else
            vz_json_put_str(&w, recipe->stop ? recipe->stop : snowball_stop(making));
    } else if (vz_slice_is(word, "mark")) {
        if (!vz_making_get(making, "stem_exclusion", &given))
            return false;
        vz_json_key(&w, "keywords");
        vz_json_put_value(&w, given);
    } else if (vz_slice_is(word, "snowball")) {
        vz_json_field_string(&w, "language", snowball_language(making));
    } else if (vz_slice_is(word, "english?")) {
        struct vz_slice language = snowball_language(making);
        if (!vz_slice_is(language, "English") && !vz_slice_is(language, "Porter"))
            return false;
        vz_json_field_string(&w, "language", VZ_SLICE("possessive_english"));
    } else if (vz_slice_is(word, "hyphens")) { /* what Irish puts before words, cut off them */
        vz_json_key(&w, "stopwords");
        vz_json_put_raw(&w, VZ_SLICE("[\"h\",\"n\",\"t\"],\"ignore_case\":true"));
    } else if (vz_slice_is(word, "char:persian")) {
        vz_json_key(&w, "mappings");
        vz_json_put_raw(&w, VZ_SLICE("[\"\\\\u200C=>\\\\u0020\"]"));
    } else if (vz_slice_is(word, "dutch_override")) {
        vz_json_key(&w, "rules");
        vz_json_put_raw(&w, VZ_SLICE("[\"fiets => fiets\",\"bromfiets => bromfiets\","
                                     "\"ei => eier\",\"kind => kinder\"]"));
    } else if (vz_slice_is(word, "fingerprint")) {
        put_setting(making, "separator", &w);
        put_setting(making, "max_output_size", &w);
    } else if (vz_slice_is(word, "lower?")) {
        bool lower = true;
        if (vz_making_get(making, "lowercase", &given))
            vz_json_as_bool(given, &lower);
        if (!lower)
            return false;
    } else {
        put_language(word, &w);
    }
    vz_json_end_object(&w);
    return true;
}

struct vz_slice vz_recipe_type(struct vz_slice word)
{
    static const char *const types[][2] = {
        {"lower?", "lowercase"},     {"english?", "stemmer"},
        {"mark", "keyword_marker"},  {"hyphens", "stop"},
        {"char:persian", "mapping"}, {"dutch_override", "stemmer_override"}};
    static const char *const prefixes[][2] = {
        {"stem:", "stemmer"}, {"elision:", "elision"}, {"lowercase:", "lowercase"}};
    for (size_t i = 0; i < VZ_COUNT_OF(types); i++)
        if (vz_slice_is(word, types[i][0]))
            return vz_slice_from(types[i][1]);
    for (size_t i = 0; i < VZ_COUNT_OF(prefixes); i++)
        if (vz_slice_starts(word, prefixes[i][0]))
            return vz_slice_from(prefixes[i][1]);
    return word;
}
