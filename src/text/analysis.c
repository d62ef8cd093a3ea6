/* Compiled analysis settings: names to analyzers.
 *
 * Everything of the index's own is compiled when the settings are read, so that what is wrong with
 * them is told then. Built-in analyzers are compiled when first asked for. A component is compiled
 * anew for each chain that names it: synonyms depend on the filters in front of them, and the rest
 * is small. */
#include "base/text.h"
#include "text/analysis_parts.h"

#include <pthread.h>
#include <stdlib.h>

struct vz_analysis {
    _Atomic uint32_t references; /* release/acquire with itself */
    struct vz_analysis_options options;
    struct vz_components components;
    struct vz_json_doc *doc; /* our copy of the settings */
    struct vz_json settings;
    struct vz_analyzer *analyzers, *normalizers; /* immutable after vz_analysis_new */
    pthread_mutex_t lock;                        /* guards what follows */
    struct vz_analyzer *builtins;
};

/* ---- settings of a component ----------------------------------------------------------------- */

bool vz_making_get(const struct vz_making *making, const char *key, struct vz_json *value)
{
    return vz_json_get(making->settings, key, value) && vz_json_type(*value) != VZ_JSON_NULL;
}

enum vz_status vz_making_int(const struct vz_making *making, const char *key, int64_t least,
                             int64_t most, int64_t *value, struct vz_error *err)
{
    struct vz_json given;
    if (!vz_making_get(making, key, &given))
        return VZ_OK;
    if (!vz_json_as_int(given, value)) {
        struct vz_buf text = {0};
        vz_json_print(given, &text);
        vz_fail(err, VZ_BAD_MAPPING, "Failed to parse value [%s] for setting [%s]", text.data, key);
        vz_buf_deinit(&text);
        return VZ_BAD_MAPPING;
    }
    if (*value < least)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Failed to parse value [%lld] for setting [%s] must be >= %lld",
                       (long long)*value, key, (long long)least);
    if (*value > most)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Failed to parse value [%lld] for setting [%s] must be <= %lld",
                       (long long)*value, key, (long long)most);
    return VZ_OK;
}

enum vz_status vz_making_bool(const struct vz_making *making, const char *key, bool *value,
                              struct vz_error *err)
{
    struct vz_json given;
    if (!vz_making_get(making, key, &given) || vz_json_as_bool(given, value))
        return VZ_OK;
    struct vz_buf text = {0};
    vz_json_print(given, &text);
    vz_fail(err, VZ_BAD_MAPPING,
            "Failed to parse value [%s] as only [true] or [false] are allowed.", text.data);
    vz_buf_deinit(&text);
    return VZ_BAD_MAPPING;
}

/* A scalar as settings keep it: text. */
static struct vz_slice scalar_text(struct vz_json value, struct vz_arena *arena)
{
    if (vz_json_type(value) == VZ_JSON_STRING)
        return vz_arena_copy(arena, vz_json_string(value));
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

enum vz_status vz_making_check_grams(const struct vz_making *making, bool edge, int64_t min,
                                     int64_t max, struct vz_error *err)
{
    if (min > max)
        return vz_fail(err, VZ_BAD_MAPPING, "minGram must not be greater than maxGram");
    if (edge || max - min <= making->options->max_ngram_diff)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_MAPPING,
                   "The difference between max_gram and min_gram in NGram Tokenizer must be "
                   "less than or equal to: [%u] but was [%lld]. This limit can be set by "
                   "changing the [index.max_ngram_diff] index level setting.",
                   making->options->max_ngram_diff, (long long)(max - min));
}

struct vz_slice vz_making_text(const struct vz_making *making, const char *key,
                               const char *otherwise)
{
    struct vz_json given;
    if (!vz_making_get(making, key, &given))
        return vz_slice_from(otherwise);
    return scalar_text(given, &making->components->arena);
}

static void list_of_text(struct vz_arena *arena, struct vz_slice text, struct vz_slice **items,
                         size_t *count)
{
    size_t parts = 1;
    for (size_t i = 0; i < text.len; i++)
        parts += text.ptr[i] == ',';
    *items = vz_arena_alloc(arena, parts * sizeof **items);
    *count = 0;
    for (size_t from = 0; from <= text.len;) {
        const char *comma = from < text.len ? memchr(text.ptr + from, ',', text.len - from) : NULL;
        size_t end = comma ? (size_t)(comma - text.ptr) : text.len;
        struct vz_slice part = vz_slice_trim((struct vz_slice){text.ptr + from, end - from});
        if (part.len)
            (*items)[(*count)++] = part;
        from = end + 1;
    }
}

static bool list_of(struct vz_json value, struct vz_arena *arena, struct vz_slice **items,
                    size_t *count)
{
    *items = NULL;
    *count = 0;
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        *items = vz_arena_alloc(arena, (vz_json_count(value) + 1) * sizeof **items);
        struct vz_json_iter it = vz_json_iterate(value);
        struct vz_json item;
        while (vz_json_next(&it, NULL, &item))
            (*items)[(*count)++] = scalar_text(item, arena);
        return true;
    }
    list_of_text(arena, scalar_text(value, arena), items, count);
    return true;
}

bool vz_making_list(const struct vz_making *making, const char *key, struct vz_slice **items,
                    size_t *count)
{
    struct vz_json given;
    *items = NULL;
    *count = 0;
    return vz_making_get(making, key, &given) &&
           list_of(given, &making->components->arena, items, count);
}

static bool word_in(const char *words, struct vz_slice word)
{
    for (const char *at = words; *at;) {
        size_t len = strcspn(at, " ");
        if (len == word.len && memcmp(at, word.ptr, len) == 0)
            return true;
        at += len;
        at += strspn(at, " ");
    }
    return false;
}

enum vz_status vz_making_check(const struct vz_making *making, const char *known,
                               struct vz_error *err)
{
    if (vz_json_type(making->settings) != VZ_JSON_OBJECT || making->lenient)
        return VZ_OK;
    struct vz_json_iter it = vz_json_iterate(making->settings);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, "type") && !vz_slice_is(key, "version") &&
            !vz_slice_is(key, "_comment") && !word_in(known, key))
            return vz_fail(err, VZ_UNSUPPORTED, "setting [%.*s] of [%.*s] is not supported",
                           (int)key.len, key.ptr, (int)making->name.len, making->name.ptr);
    return VZ_OK;
}

void vz_components_deinit(struct vz_components *components)
{
    for (struct vz_char_filter *f = components->char_filters; f; f = f->next)
        if (f->deinit)
            f->deinit(f);
    for (struct vz_tokenizer *t = components->tokenizers; t; t = t->next)
        if (t->deinit)
            t->deinit(t);
    for (struct vz_token_filter *f = components->filters; f; f = f->next)
        if (f->deinit)
            f->deinit(f);
    vz_arena_deinit(&components->arena);
}

/* ---- components by name -----------------------------------------------------------------------
 */

/* The settings of `name` in group "filter" etc.; missing when the index defines none. */
static struct vz_json group_get(const struct vz_analysis *analysis, const char *group,
                                struct vz_slice name)
{
    struct vz_json members, found = {0};
    if (!vz_json_get(analysis->settings, group, &members))
        return found;
    struct vz_json_iter it = vz_json_iterate(members);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (vz_slice_eq(key, name))
            return value;
    return found;
}

/* Where a chain is being made: who asks decides the words of an error. */
struct chain {
    struct vz_analysis *analysis;
    struct vz_components *components;
    struct vz_analyzer *analyzer;
    struct vz_slice owner; /* empty: an _analyze body */
};

/* `item` is a name or, in an _analyze body, an object. Gives the type, the settings and a name. */
static enum vz_status component_of(const struct chain *chain, const char *group,
                                   struct vz_json item, struct vz_making *making,
                                   struct vz_slice *type, bool *known, struct vz_error *err)
{
    struct vz_arena *arena = &chain->components->arena;
    *making = (struct vz_making){.analysis = chain->analysis,
                                 .components = chain->components,
                                 .before = chain->analyzer,
                                 .options = &chain->analysis->options};
    *known = true;
    if (vz_json_type(item) == VZ_JSON_OBJECT) {
        struct vz_json given;
        making->settings = item;
        if (!vz_json_get(item, "type", &given) || vz_json_type(given) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_ARGUMENT, "Missing [type] setting for anonymous %s", group);
        *type = vz_arena_copy(arena, vz_json_string(given));
        making->name =
            vz_slice_from(vz_arena_printf(arena, "__anonymous__%.*s", (int)type->len, type->ptr));
        return VZ_OK;
    }
    if (vz_json_type(item) != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_ARGUMENT, "%s should be a name or an object", group);
    making->name = vz_arena_copy(arena, vz_json_string(item));
    making->settings = group_get(chain->analysis, group, making->name);
    if (vz_json_type(making->settings) == VZ_JSON_OBJECT) {
        struct vz_json given;
        if (!vz_json_get(making->settings, "type", &given)) {
            *type = making->name;
            return VZ_OK;
        }
        *type = scalar_text(given, arena);
        return VZ_OK;
    }
    *type = making->name;
    *known = false; /* a built-in one, or none */
    return VZ_OK;
}

/* VZ_NOT_FOUND of a maker becomes the words of whoever asked. */
static enum vz_status not_found(const struct chain *chain, const char *what, const char *title,
                                const struct vz_making *making, struct vz_slice type,
                                bool configured, struct vz_error *err)
{
    if (configured)
        return vz_fail(err, chain->owner.len ? VZ_BAD_MAPPING : VZ_BAD_ARGUMENT,
                       chain->owner.len ? "Unknown %s type [%.*s] for [%.*s]"
                                        : "failed to find global %s under [%.*s]",
                       chain->owner.len ? title : what, (int)type.len, type.ptr,
                       (int)making->name.len, making->name.ptr);
    if (!chain->owner.len)
        return vz_fail(err, VZ_BAD_ARGUMENT, "failed to find global %s under [%.*s]", what,
                       (int)making->name.len, making->name.ptr);
    return vz_fail(
        err, VZ_BAD_MAPPING, "Custom Analyzer [%.*s] failed to find %s under name [%.*s]",
        (int)chain->owner.len, chain->owner.ptr, what, (int)making->name.len, making->name.ptr);
}

static enum vz_status put_char_filter(const struct chain *chain, struct vz_making *making,
                                      struct vz_slice type, bool known, struct vz_error *err)
{
    struct vz_analyzer *analyzer = chain->analyzer;
    if (analyzer->char_filter_count == VZ_MAX_CHAR_FILTERS)
        return vz_fail(err, VZ_LIMIT, "more than %d char filters", VZ_MAX_CHAR_FILTERS);
    struct vz_char_filter *made = vz_making_zalloc(making, sizeof *made);
    enum vz_status status = vz_char_filter_make(making, type, made, err);
    if (status == VZ_NOT_FOUND)
        return not_found(chain, "char_filter", "char_filter", making, type, known, err);
    if (status != VZ_OK)
        return status;
    made->name = making->name;
    made->next = chain->components->char_filters;
    chain->components->char_filters = made;
    analyzer->char_filters[analyzer->char_filter_count++] = made;
    return VZ_OK;
}

static enum vz_status add_char_filter(const struct chain *chain, struct vz_json item,
                                      struct vz_error *err)
{
    struct vz_making making;
    struct vz_slice type;
    bool known;
    enum vz_status status = component_of(chain, "char_filter", item, &making, &type, &known, err);
    return status == VZ_OK ? put_char_filter(chain, &making, type, known, err) : status;
}

static enum vz_status add_tokenizer(const struct chain *chain, struct vz_json item,
                                    struct vz_error *err)
{
    struct vz_making making;
    struct vz_slice type;
    bool known;
    enum vz_status status = component_of(chain, "tokenizer", item, &making, &type, &known, err);
    if (status != VZ_OK)
        return status;
    struct vz_tokenizer *made = vz_making_zalloc(&making, sizeof *made);
    status = vz_tokenizer_make(&making, type, made, err);
    if (status == VZ_NOT_FOUND)
        return not_found(chain, "tokenizer", "tokenizer", &making, type, known, err);
    if (status != VZ_OK)
        return status;
    made->name = making.name;
    made->next = chain->components->tokenizers;
    chain->components->tokenizers = made;
    chain->analyzer->tokenizer = made;
    return VZ_OK;
}

static enum vz_status put_filter(const struct chain *chain, struct vz_making *making,
                                 struct vz_slice type, bool known, struct vz_error *err)
{
    struct vz_analyzer *analyzer = chain->analyzer;
    if (analyzer->filter_count == VZ_MAX_FILTERS)
        return vz_fail(err, VZ_LIMIT, "more than %d token filters", VZ_MAX_FILTERS);
    struct vz_token_filter *made = vz_making_zalloc(making, sizeof *made);
    enum vz_status status = vz_token_filter_make(making, type, made, err);
    if (status == VZ_NOT_FOUND)
        return not_found(chain, "filter", "filter", making, type, known, err);
    if (status != VZ_OK)
        return status;
    made->name = making->name;
    made->next = chain->components->filters;
    chain->components->filters = made;
    if (analyzer->is_normalizer && !made->normalizes)
        return vz_fail(err, VZ_BAD_MAPPING, "Custom normalizer [%.*s] may not use filter [%.*s]",
                       (int)chain->owner.len, chain->owner.ptr, (int)making->name.len,
                       making->name.ptr);
    analyzer->filters[analyzer->filter_count++] = made;
    return VZ_OK;
}

static enum vz_status add_filter(const struct chain *chain, struct vz_json item,
                                 struct vz_error *err)
{
    struct vz_making making;
    struct vz_slice type;
    bool known;
    enum vz_status status = component_of(chain, "filter", item, &making, &type, &known, err);
    return status == VZ_OK ? put_filter(chain, &making, type, known, err) : status;
}

const struct vz_token_filter *vz_builtin_filter(struct vz_analysis *analysis,
                                                struct vz_components *components, const char *type,
                                                const char *settings, struct vz_error *err)
{
    struct vz_making making = {.analysis = analysis,
                               .components = components,
                               .name = vz_slice_from(type),
                               .options = &analysis->options};
    struct vz_json_doc *doc = NULL;
    struct vz_token_filter *made = vz_arena_zalloc(&components->arena, sizeof *made);
    if (settings && vz_json_parse(vz_slice_from(settings), &doc, &making.settings, err) != VZ_OK)
        return NULL;
    enum vz_status status = vz_token_filter_make(&making, making.name, made, err);
    vz_json_free(doc);
    if (status != VZ_OK)
        return NULL;
    made->name = making.name;
    made->next = components->filters;
    components->filters = made;
    return made;
}

/* ---- chains -----------------------------------------------------------------------------------
 */

/* A name or a list of items, each through `add`. */
static enum vz_status add_each(const struct chain *chain, struct vz_json list,
                               enum vz_status (*add)(const struct chain *, struct vz_json,
                                                     struct vz_error *),
                               struct vz_error *err)
{
    if (vz_json_type(list) != VZ_JSON_ARRAY)
        return add(chain, list, err);
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item))
        status = add(chain, item, err);
    return status;
}

static bool first_of(struct vz_json body, const char *const *keys, struct vz_json *value)
{
    for (; *keys; keys++)
        if (vz_json_get(body, *keys, value) && vz_json_type(*value) != VZ_JSON_NULL)
            return true;
    return false;
}

static void note_fast(struct vz_analyzer *analyzer)
{
    analyzer->fast = analyzer->char_filter_count == 0 && analyzer->filter_count == 1 &&
                     vz_filter_is_lowercase(analyzer->filters[0]) && analyzer->max_token_length;
}

/* What a tokenizer's settings say of token lengths, when it is the standard one. */
static void note_standard(struct vz_analyzer *analyzer)
{
    if (analyzer->tokenizer)
        analyzer->max_token_length = vz_tokenizer_standard_length(analyzer->tokenizer);
    note_fast(analyzer);
}

static enum vz_status make_chain(const struct chain *chain, struct vz_json body,
                                 struct vz_error *err)
{
    static const char *const char_keys[] = {"char_filter", "char_filters", NULL};
    static const char *const filter_keys[] = {"filter", "filters", "token_filter", "token_filters",
                                              NULL};
    struct vz_json value;
    enum vz_status status = VZ_OK;
    if (first_of(body, char_keys, &value))
        status = add_each(chain, value, add_char_filter, err);
    if (status == VZ_OK && vz_json_get(body, "tokenizer", &value) &&
        vz_json_type(value) != VZ_JSON_NULL)
        status = add_tokenizer(chain, value, err);
    if (status == VZ_OK && first_of(body, filter_keys, &value))
        status = add_each(chain, value, add_filter, err);
    if (status == VZ_OK)
        note_standard(chain->analyzer);
    return status;
}

/* ---- analyzers that are chains with a name ----------------------------------------------------
 */

static enum vz_status add_word(const struct chain *chain, const struct vz_making *outer,
                               const struct vz_recipe *recipe, struct vz_slice word,
                               struct vz_error *err)
{
    struct vz_making making = *outer;
    if (vz_slice_starts(word, "tok:")) {
        struct vz_slice type = {word.ptr + 4, word.len - 4};
        struct vz_tokenizer *made = vz_making_zalloc(&making, sizeof *made);
        making.lenient = true; /* the settings are the analyzer's */
        enum vz_status status = vz_tokenizer_make(&making, type, made, err);
        if (status != VZ_OK)
            return status;
        made->name = type;
        made->next = chain->components->tokenizers;
        chain->components->tokenizers = made;
        chain->analyzer->tokenizer = made;
        return VZ_OK;
    }
    struct vz_buf settings = {0};
    struct vz_json_doc *doc = NULL;
    enum vz_status status = VZ_OK;
    struct vz_slice type = vz_recipe_type(word);
    bool is_char = vz_slice_starts(word, "char:");
    making.name = type;
    making.before = chain->analyzer;
    if (vz_recipe_settings(outer, recipe, word, &settings)) {
        status = vz_json_parse(vz_buf_slice(&settings), &doc, &making.settings, err);
        bool none = vz_slice_is(word, "stop") && strstr(settings.data, "\"_none_\"") != NULL;
        if (status == VZ_OK && is_char)
            status = put_char_filter(chain, &making, type, true, err);
        else if (status == VZ_OK && !none)
            status = put_filter(chain, &making, type, true, err);
    }
    vz_json_free(doc);
    vz_buf_deinit(&settings);
    return status;
}

static enum vz_status make_recipe(const struct chain *chain, const struct vz_making *making,
                                  const struct vz_recipe *recipe, struct vz_error *err)
{
    bool snowball = strcmp(recipe->name, "snowball") == 0;
    enum vz_status status = vz_making_check(
        making,
        snowball ? "language name stopwords position_increment_gap"
                 : "stopwords stem_exclusion max_token_length pattern flags lowercase separator "
                   "max_output_size position_increment_gap filter tokenizer char_filter",
        err);
    for (const char *at = recipe->chain; status == VZ_OK && *at;) {
        size_t len = strcspn(at, " ");
        status = add_word(chain, making, recipe, (struct vz_slice){at, len}, err);
        at += len;
        at += strspn(at, " ");
    }
    if (status == VZ_OK)
        note_standard(chain->analyzer);
    return status;
}

static struct vz_analyzer *analyzer_new(struct vz_components *components, struct vz_slice name)
{
    struct vz_analyzer *analyzer = vz_arena_zalloc(&components->arena, sizeof *analyzer);
    analyzer->name = vz_arena_copy(&components->arena, name);
    analyzer->gap = 100;
    return analyzer;
}

static enum vz_status make_analyzer(struct vz_analysis *analysis, struct vz_slice name,
                                    struct vz_json body, struct vz_analyzer **out,
                                    struct vz_error *err)
{
    struct vz_analyzer *analyzer = analyzer_new(&analysis->components, name);
    struct vz_making making = {.analysis = analysis,
                               .components = &analysis->components,
                               .name = analyzer->name,
                               .settings = body,
                               .options = &analysis->options};
    struct chain chain = {analysis, &analysis->components, analyzer, analyzer->name};
    struct vz_slice type = vz_making_text(&making, "type", "custom");
    struct vz_json tokenizer;
    int64_t gap = 100;
    enum vz_status status = vz_making_int(&making, "position_increment_gap", 0, 1 << 20, &gap, err);
    if (status != VZ_OK)
        return status;
    analyzer->gap = (uint32_t)gap;
    if (vz_slice_is(type, "custom")) {
        analyzer->custom = true;
        if (!vz_making_get(&making, "tokenizer", &tokenizer))
            return vz_fail(err, VZ_BAD_MAPPING,
                           vz_making_get(&making, "type", &tokenizer)
                               ? "Custom Analyzer [%.*s] must be configured with a tokenizer"
                               : "analyzer [%.*s] must specify either an analyzer type, or a "
                                 "tokenizer",
                           (int)name.len, name.ptr);
        status = vz_making_check(
            &making, "tokenizer filter filters char_filter char_filters position_increment_gap",
            err);
        if (status == VZ_OK)
            status = make_chain(&chain, body, err);
    } else {
        const struct vz_recipe *recipe = vz_recipe_find(type);
        if (!recipe)
            return vz_recipe_known_elsewhere(type)
                       ? vz_fail(err, VZ_UNSUPPORTED, "analyzer type [%.*s] is not supported",
                                 (int)type.len, type.ptr)
                       : vz_fail(err, VZ_BAD_MAPPING, "Unknown analyzer type [%.*s] for [%.*s]",
                                 (int)type.len, type.ptr, (int)name.len, name.ptr);
        status = make_recipe(&chain, &making, recipe, err);
    }
    *out = analyzer;
    return status;
}

static enum vz_status make_normalizer(struct vz_analysis *analysis, struct vz_slice name,
                                      struct vz_json body, struct vz_analyzer **out,
                                      struct vz_error *err)
{
    struct vz_analyzer *normalizer = analyzer_new(&analysis->components, name);
    struct vz_making making = {.components = &analysis->components, .settings = body, .name = name};
    struct chain chain = {analysis, &analysis->components, normalizer, normalizer->name};
    struct vz_json given;
    normalizer->is_normalizer = normalizer->custom = true;
    struct vz_slice type = vz_making_text(&making, "type", "custom");
    if (!vz_slice_is(type, "custom") && !vz_slice_is(type, "lowercase"))
        return vz_fail(err, VZ_BAD_MAPPING, "Unknown normalizer type [%.*s] for [%.*s]",
                       (int)type.len, type.ptr, (int)name.len, name.ptr);
    if (vz_making_get(&making, "tokenizer", &given))
        return vz_fail(err, VZ_BAD_MAPPING, "Custom normalizer [%.*s] cannot configure a tokenizer",
                       (int)name.len, name.ptr);
    *out = normalizer;
    if (vz_slice_is(type, "lowercase")) {
        normalizer->filters[normalizer->filter_count++] =
            vz_builtin_filter(analysis, &analysis->components, "lowercase", NULL, err);
        return VZ_OK;
    }
    return make_chain(&chain, body, err);
}

static enum vz_status make_group(struct vz_analysis *analysis, const char *group,
                                 enum vz_status (*make)(struct vz_analysis *, struct vz_slice,
                                                        struct vz_json, struct vz_analyzer **,
                                                        struct vz_error *),
                                 struct vz_analyzer **list, struct vz_error *err)
{
    struct vz_json members, body;
    if (!vz_json_get(analysis->settings, group, &members))
        return VZ_OK;
    struct vz_json_iter it = vz_json_iterate(members);
    struct vz_slice name;
    while (vz_json_next(&it, &name, &body)) {
        struct vz_analyzer *made = NULL;
        if (vz_json_type(body) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_MAPPING, "%s [%.*s] must be an object", group, (int)name.len,
                           name.ptr);
        enum vz_status status = make(analysis, name, body, &made, err);
        if (status != VZ_OK)
            return status;
        made->next = *list;
        *list = made;
    }
    return VZ_OK;
}

/* Components that no analyzer uses are compiled too, so that what is wrong with them is told. */
static enum vz_status check_unused(struct vz_analysis *analysis, struct vz_error *err)
{
    static const struct {
        const char *group;
        enum vz_status (*add)(const struct chain *, struct vz_json, struct vz_error *);
    } groups[] = {
        {"char_filter", add_char_filter}, {"tokenizer", add_tokenizer}, {"filter", add_filter}};
    for (size_t g = 0; g < VZ_COUNT_OF(groups); g++) {
        struct vz_json members, body;
        if (!vz_json_get(analysis->settings, groups[g].group, &members))
            continue;
        struct vz_json_iter it = vz_json_iterate(members);
        struct vz_slice name;
        while (vz_json_next(&it, &name, &body)) {
            struct vz_components components = {0};
            struct vz_analyzer *analyzer = analyzer_new(&components, name);
            struct chain chain = {analysis, &components, analyzer, name};
            struct vz_buf quoted = {0};
            struct vz_json_writer w = vz_json_writer_on(&quoted);
            struct vz_json_doc *doc = NULL;
            struct vz_json item;
            vz_json_put_string(&w, name);
            enum vz_status status = vz_json_parse(vz_buf_slice(&quoted), &doc, &item, err);
            /* Synonyms are analyzed by the chain they stand in: standard is as good as any. */
            chain.analyzer->tokenizer =
                vz_analysis_analyzer(analysis, VZ_SLICE("whitespace"))->tokenizer;
            if (status == VZ_OK)
                status = groups[g].add(&chain, item, err);
            vz_json_free(doc);
            vz_buf_deinit(&quoted);
            vz_components_deinit(&components);
            if (status != VZ_OK)
                return status;
        }
    }
    return VZ_OK;
}

/* ---- the room's face --------------------------------------------------------------------------
 */

static void analysis_free(struct vz_analysis *analysis)
{
    vz_components_deinit(&analysis->components);
    vz_json_free(analysis->doc);
    pthread_mutex_destroy(&analysis->lock);
    free(analysis);
}

enum vz_status vz_analysis_new(struct vz_json settings, const struct vz_analysis_options *options,
                               struct vz_analysis **out, struct vz_error *err)
{
    struct vz_analysis *analysis = vz_calloc(1, sizeof *analysis);
    enum vz_status status = VZ_OK;
    *out = NULL;
    atomic_init(&analysis->references, 1);
    pthread_mutex_init(&analysis->lock, NULL);
    if (options)
        analysis->options = *options;
    if (!analysis->options.max_ngram_diff)
        analysis->options.max_ngram_diff = 1;
    if (!analysis->options.max_shingle_diff)
        analysis->options.max_shingle_diff = 3;
    if (vz_json_type(settings) == VZ_JSON_OBJECT) {
        struct vz_buf copy = {0};
        vz_json_print(settings, &copy);
        status = vz_json_parse(vz_buf_slice(&copy), &analysis->doc, &analysis->settings, err);
        vz_buf_deinit(&copy);
    }
    if (status == VZ_OK)
        status = make_group(analysis, "analyzer", make_analyzer, &analysis->analyzers, err);
    if (status == VZ_OK)
        status = make_group(analysis, "normalizer", make_normalizer, &analysis->normalizers, err);
    if (status == VZ_OK)
        status = check_unused(analysis, err);
    /* What the options point to may go now: synonyms are read. */
    analysis->options.synonyms_set = NULL;
    analysis->options.context = NULL;
    if (status != VZ_OK)
        analysis_free(analysis);
    else
        *out = analysis;
    return status;
}

struct vz_analysis *vz_analysis_acquire(struct vz_analysis *analysis)
{
    atomic_fetch_add_explicit(&analysis->references, 1, memory_order_relaxed);
    return analysis;
}

void vz_analysis_release(struct vz_analysis *analysis)
{
    if (analysis && atomic_fetch_sub_explicit(&analysis->references, 1, memory_order_acq_rel) == 1)
        analysis_free(analysis);
}

static struct vz_analyzer *by_name(struct vz_analyzer *list, struct vz_slice name)
{
    for (; list; list = list->next)
        if (vz_slice_eq(list->name, name))
            return list;
    return NULL;
}

const struct vz_analyzer *vz_analysis_analyzer(struct vz_analysis *analysis, struct vz_slice name)
{
    struct vz_analyzer *found = by_name(analysis->analyzers, name);
    if (found)
        return found;
    if (vz_slice_is(name, "default"))
        name = VZ_SLICE("standard");
    const struct vz_recipe *recipe = vz_recipe_find(name);
    if (!recipe)
        return NULL;
    pthread_mutex_lock(&analysis->lock);
    found = by_name(analysis->builtins, name);
    if (!found) {
        struct vz_analyzer *analyzer = analyzer_new(&analysis->components, name);
        struct vz_making making = {.analysis = analysis,
                                   .components = &analysis->components,
                                   .name = analyzer->name,
                                   .options = &analysis->options};
        struct chain chain = {analysis, &analysis->components, analyzer, analyzer->name};
        if (make_recipe(&chain, &making, recipe, NULL) == VZ_OK) {
            analyzer->next = analysis->builtins;
            analysis->builtins = found = analyzer;
        }
    }
    pthread_mutex_unlock(&analysis->lock);
    return found;
}

/* Holds the lock. */
static const struct vz_analyzer *make_shingled(struct vz_analysis *analysis,
                                               const struct vz_analyzer *analyzer,
                                               struct vz_slice name, unsigned size, bool beginnings)
{
    if (analyzer->filter_count + 2 > VZ_MAX_FILTERS)
        return NULL;
    struct vz_components *components = &analysis->components;
    struct vz_making making = {.analysis = analysis,
                               .components = components,
                               .name = VZ_SLICE("shingle"),
                               .options = &analysis->options};
    struct vz_analyzer *made = analyzer_new(components, name);
    struct vz_slice own_name = made->name;
    *made = *analyzer;
    made->name = own_name;
    made->fast = false;
    struct vz_token_filter *filter = vz_making_zalloc(&making, sizeof *filter);
    vz_shingles_make(&making, size, beginnings, filter);
    filter->name = making.name;
    filter->next = components->filters;
    components->filters = filter;
    made->filters[made->filter_count++] = filter;
    if (beginnings) {
        const struct vz_token_filter *grams = vz_builtin_filter(
            analysis, components, "edge_ngram",
            "{\"min_gram\": 1, \"max_gram\": 20, \"preserve_original\": true}", NULL);
        if (!grams)
            return NULL;
        made->filters[made->filter_count++] = grams;
    }
    made->next = analysis->builtins;
    analysis->builtins = made;
    return made;
}

const struct vz_analyzer *vz_analysis_shingled(struct vz_analysis *analysis,
                                               const struct vz_analyzer *analyzer, unsigned size,
                                               bool beginnings)
{
    struct vz_buf name = {0};
    vz_buf_append_char(&name, 0); /* no client's analyzer has such a name */
    vz_buf_printf(&name, "%u%d", size, beginnings);
    vz_buf_append_slice(&name, analyzer->name);
    pthread_mutex_lock(&analysis->lock);
    const struct vz_analyzer *found = by_name(analysis->builtins, vz_buf_slice(&name));
    if (!found)
        found = make_shingled(analysis, analyzer, vz_buf_slice(&name), size, beginnings);
    pthread_mutex_unlock(&analysis->lock);
    vz_buf_deinit(&name);
    return found;
}

const struct vz_analyzer *vz_analysis_normalizer(struct vz_analysis *analysis, struct vz_slice name)
{
    struct vz_analyzer *found = by_name(analysis->normalizers, name);
    if (found || !vz_slice_is(name, "lowercase"))
        return found;
    pthread_mutex_lock(&analysis->lock);
    static const struct vz_slice hidden = {"\0normalizer", 11};
    found = by_name(analysis->builtins, hidden);
    if (!found) {
        struct vz_analyzer *normalizer = analyzer_new(&analysis->components, hidden);
        normalizer->is_normalizer = true;
        normalizer->filters[normalizer->filter_count++] =
            vz_builtin_filter(analysis, &analysis->components, "lowercase", NULL, NULL);
        normalizer->next = analysis->builtins;
        analysis->builtins = found = normalizer;
    }
    pthread_mutex_unlock(&analysis->lock);
    return found;
}

enum vz_status vz_analyzer_custom(struct vz_analysis *analysis, struct vz_json body,
                                  struct vz_analyzer **out, struct vz_error *err)
{
    struct vz_components *components = vz_calloc(1, sizeof *components);
    struct vz_analyzer *analyzer = analyzer_new(components, VZ_SLICE("_custom_"));
    struct chain chain = {analysis, components, analyzer, {NULL, 0}};
    analyzer->custom = true;
    analyzer->own = components;
    *out = analyzer;
    enum vz_status status = make_chain(&chain, body, err);
    if (status != VZ_OK) {
        vz_analyzer_free(analyzer);
        *out = NULL;
    }
    return status;
}

void vz_analyzer_free(struct vz_analyzer *analyzer)
{
    if (!analyzer)
        return;
    struct vz_components *components = analyzer->own;
    vz_components_deinit(components); /* the analyzer lies in its arena */
    free(components);
}

bool vz_analyzer_is_custom(const struct vz_analyzer *analyzer)
{
    return analyzer->custom;
}

struct vz_slice vz_analyzer_name(const struct vz_analyzer *analyzer)
{
    return analyzer->name;
}

struct vz_slice vz_analyzer_search_only(const struct vz_analyzer *analyzer)
{
    for (unsigned i = 0; i < analyzer->filter_count; i++)
        if (analyzer->filters[i]->search_only)
            return analyzer->filters[i]->name;
    return (struct vz_slice){NULL, 0};
}

uint32_t vz_analyzer_gap(const struct vz_analyzer *analyzer)
{
    return analyzer->gap;
}
