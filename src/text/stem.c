/* The filters stemmer, snowball and porter_stem: Snowball's programs through libstemmer, the others
 * from light.c. A Snowball stemmer keeps a buffer, so each thread has its own of each language,
 * made when first needed and kept for the life of the thread. */
#include "text/analysis_parts.h"

#include <libstemmer.h>
#include <pthread.h>
#include <stdlib.h>

struct stemming {
    vz_light_stemmer *light; /* or NULL */
    unsigned snowball;       /* index into languages */
};

/* Elasticsearch's words for a stemmer, and libstemmer's. */
static const struct {
    const char *name, *algorithm;
} languages[] = {
    {"porter2", "english"},       {"arabic", "arabic"},         {"armenian", "armenian"},
    {"basque", "basque"},         {"catalan", "catalan"},       {"danish", "danish"},
    {"dutch", "dutch"},           {"finnish", "finnish"},       {"french", "french"},
    {"german", "german"},         {"german2", "german"},        {"hindi", "hindi"},
    {"hungarian", "hungarian"},   {"indonesian", "indonesian"}, {"irish", "irish"},
    {"italian", "italian"},       {"lithuanian", "lithuanian"}, {"norwegian", "norwegian"},
    {"portuguese", "portuguese"}, {"romanian", "romanian"},     {"russian", "russian"},
    {"spanish", "spanish"},       {"swedish", "swedish"},       {"turkish", "turkish"},
    {"greek", "greek"},           {"yiddish", "yiddish"},       {"nepali", "nepali"},
    {"serbian", "serbian"},       {"tamil", "tamil"},
};

struct stemmers {
    struct sb_stemmer *of[VZ_COUNT_OF(languages)];
};
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void stemmers_free(void *pointer)
{
    struct stemmers *stemmers = pointer;
    for (size_t i = 0; i < VZ_COUNT_OF(languages); i++)
        if (stemmers->of[i])
            sb_stemmer_delete(stemmers->of[i]);
    free(stemmers);
}

/* The main thread runs no destructors of keys when it leaves main. */
static void main_thread_free(void)
{
    void *pointer = pthread_getspecific(key);
    if (pointer)
        stemmers_free(pointer);
    pthread_setspecific(key, NULL);
}

static void make_key(void)
{
    pthread_key_create(&key, stemmers_free);
    atexit(main_thread_free);
}

static struct sb_stemmer *stemmer_of(unsigned language)
{
    pthread_once(&once, make_key);
    struct stemmers *stemmers = pthread_getspecific(key);
    if (!stemmers) {
        stemmers = vz_calloc(1, sizeof *stemmers);
        pthread_setspecific(key, stemmers);
    }
    if (!stemmers->of[language])
        stemmers->of[language] = sb_stemmer_new(languages[language].algorithm, "UTF_8");
    return stemmers->of[language];
}

static void stem_light(vz_light_stemmer *stem, struct vz_token *token, struct vz_arena *arena)
{
    UChar32 chars[VZ_LIGHT_MAX + 4];
    size_t len = 0, at = 0;
    while (at < token->text.len && len < VZ_LIGHT_MAX)
        chars[len++] = vz_next_char(token->text, &at);
    if (at < token->text.len || len == 0)
        return; /* no word of any language */
    size_t after = stem(chars, len);
    char *out = vz_arena_alloc(arena, after * 4 + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < after; i++)
        bytes += vz_put_char(out + bytes, chars[i]);
    token->text = (struct vz_slice){out, bytes};
}

static enum vz_status run(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                          struct vz_error *err)
{
    const struct stemming *stemming = filter->config;
    struct sb_stemmer *snowball = stemming->light ? NULL : stemmer_of(stemming->snowball);
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        if (token->keyword)
            continue;
        if (stemming->light) {
            stem_light(stemming->light, token, &tokens->arena);
        } else if (snowball && token->text.len < 4096) {
            const sb_symbol *out =
                sb_stemmer_stem(snowball, (const sb_symbol *)token->text.ptr, (int)token->text.len);
            struct vz_slice stem = {(const char *)out, (size_t)sb_stemmer_length(snowball)};
            if (out && !vz_slice_eq(stem, token->text))
                token->text = vz_arena_copy(&tokens->arena, stem);
        }
    }
    return VZ_OK;
}

static bool known_elsewhere(struct vz_slice name)
{
    static const char *const names[] = {"estonian",
                                        "kp",
                                        "kstem",
                                        "light_finnish",
                                        "light_hungarian",
                                        "light_norwegian",
                                        "light_nynorsk",
                                        "light_russian",
                                        "light_swedish",
                                        "light_english",
                                        "lovins",
                                        "minimal_french",
                                        "minimal_german",
                                        "minimal_norwegian",
                                        "minimal_nynorsk",
                                        "dutch_kp",
                                        "plural_english"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(name, names[i]))
            return true;
    return false;
}

static enum vz_status make(const struct vz_making *making, struct vz_slice language,
                           bool snowball_only, struct vz_token_filter *out, struct vz_error *err)
{
    struct stemming *stemming = vz_making_zalloc(making, sizeof *stemming);
    struct vz_slice lower = vz_lowercase(language, &making->components->arena);
    out->config = stemming;
    out->run = run;
    if (!snowball_only) {
        stemming->light = vz_light_stemmer_find(language);
        if (!stemming->light)
            stemming->light = vz_light_stemmer_find(lower);
        if (stemming->light)
            return VZ_OK;
    }
    if (snowball_only && vz_slice_is(lower, "english"))
        lower = VZ_SLICE("porter2");
    if (snowball_only && vz_slice_is(lower, "porter")) {
        stemming->light = vz_light_stemmer_find(VZ_SLICE("porter"));
        return VZ_OK;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(languages); i++)
        if (vz_slice_is(lower, languages[i].name)) {
            stemming->snowball = (unsigned)i;
            return VZ_OK;
        }
    return vz_fail(err, known_elsewhere(lower) ? VZ_UNSUPPORTED : VZ_BAD_MAPPING,
                   known_elsewhere(lower) ? "stemmer [%.*s] is not supported"
                                          : "Invalid stemmer class specified: %.*s",
                   (int)language.len, language.ptr);
}

enum vz_status vz_make_stemmer(const struct vz_making *making, struct vz_token_filter *out,
                               struct vz_error *err)
{
    enum vz_status status = vz_making_check(making, "language name", err);
    struct vz_json given;
    const char *key_name = vz_making_get(making, "language", &given) ? "language" : "name";
    return status == VZ_OK
               ? make(making, vz_making_text(making, key_name, "porter"), false, out, err)
               : status;
}

enum vz_status vz_make_snowball(const struct vz_making *making, struct vz_token_filter *out,
                                struct vz_error *err)
{
    enum vz_status status = vz_making_check(making, "language", err);
    return status == VZ_OK
               ? make(making, vz_making_text(making, "language", "English"), true, out, err)
               : status;
}

enum vz_status vz_make_porter_stem(const struct vz_making *making, struct vz_token_filter *out,
                                   struct vz_error *err)
{
    enum vz_status status = vz_making_check(making, "", err);
    return status == VZ_OK ? make(making, VZ_SLICE("porter"), false, out, err) : status;
}

/* The filters that are one stemmer by name. */
enum vz_status vz_stem_filter_make(const struct vz_making *making, struct vz_slice type,
                                   struct vz_token_filter *out, struct vz_error *err)
{
    static const struct {
        const char *type, *language;
    } filters[] = {{"arabic_stem", "arabic"},  {"brazilian_stem", "brazilian"},
                   {"czech_stem", "czech"},    {"dutch_stem", "dutch"},
                   {"french_stem", "french"},  {"persian_stem", "persian"},
                   {"russian_stem", "russian"}};
    for (size_t i = 0; i < VZ_COUNT_OF(filters); i++) {
        if (!vz_slice_is(type, filters[i].type))
            continue;
        enum vz_status status = vz_making_check(making, "", err);
        return status == VZ_OK ? make(making, vz_slice_from(filters[i].language), false, out, err)
                               : status;
    }
    return VZ_NOT_FOUND;
}
