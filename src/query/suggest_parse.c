/* query/suggest_parse.c - the `suggest` of a body. */
#include "query/dsl.h"
#include "query/suggest.h"

#include <ctype.h>
#include <math.h>

static const struct vz_speller speller_defaults = {.accuracy = 0.5f,
                                                   .max_term_freq = 0.01f,
                                                   .max_edits = 2,
                                                   .prefix_length = 1,
                                                   .min_word_length = 4,
                                                   .max_inspections = 5};

struct reading {
    struct vz_parser *parser;
    const char *suggester;
    struct vz_suggestion *suggestion;
    struct vz_error *err;
};

static enum vz_status unknown(const struct reading *r, struct vz_slice key)
{
    return vz_fail(r->err, VZ_BAD_QUERY, "suggester[%s] doesn't support field [%.*s]", r->suggester,
                   VZ_ARG(key));
}

static enum vz_status read_count(const struct reading *r, struct vz_slice key, struct vz_json value,
                                 int64_t least, int64_t most, const char *words, uint32_t *out)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return vz_fail(r->err, VZ_BAD_QUERY, "suggester[%s] parsing failed on [%.*s]", r->suggester,
                       VZ_ARG(key));
    if (number < least)
        return vz_fail(r->err, VZ_BAD_QUERY, "%s", words);
    if (number > most)
        return vz_fail(r->err, VZ_BAD_QUERY, "[%.*s] must be at most [%lld], but was [%lld]",
                       VZ_ARG(key), (long long)most, (long long)number);
    *out = (uint32_t)number;
    return VZ_OK;
}

static enum vz_status read_share(const struct reading *r, struct vz_slice key, struct vz_json value,
                                 const char *name, float *out)
{
    double number;
    if (!vz_json_as_double(value, &number) || !isfinite(number))
        return vz_fail(r->err, VZ_BAD_QUERY, "suggester[%s] parsing failed on [%.*s]", r->suggester,
                       VZ_ARG(key));
    if (number < 0)
        return vz_fail(r->err, VZ_BAD_QUERY, "%s must be positive", name);
    if (number > 1 && number != floor(number))
        return vz_fail(r->err, VZ_BAD_QUERY, "if %s is greater than 1, it must not be a fraction",
                       name);
    *out = (float)number;
    return VZ_OK;
}

/* The number of a name in a list, without its case. */
static bool find_name(struct vz_slice text, const char *const *names, size_t count, size_t *out)
{
    for (size_t i = 0; i < count; i++)
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static const char *upper(struct vz_arena *arena, struct vz_slice text)
{
    char *copy = vz_arena_strdup(arena, text);
    for (char *c = copy; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

static const char *const modes[] = {"missing", "popular", "always"};

static enum vz_status bad_mode(struct vz_arena *arena, struct vz_slice text, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY,
                   "No enum constant org.elasticsearch.search.suggest.term.TermSuggestionBuilder."
                   "SuggestMode.%s",
                   upper(arena, text));
}

/* Options of a speller; VZ_NOT_FOUND: not one of them. */
static enum vz_status read_speller(const struct reading *r, struct vz_slice key,
                                   struct vz_json value, struct vz_speller *speller)
{
    static const char *const sorts[] = {"score", "frequency"};
    static const char *const distances[] = {"internal", "damerau_levenshtein", "levenshtein",
                                            "jaro_winkler", "ngram"};
    struct vz_slice text = vz_json_string(value);
    size_t at;
    double number;
    if (vz_slice_is(key, "suggest_mode")) {
        if (!find_name(text, modes, 3, &at))
            return bad_mode(r->parser->arena, text, r->err);
        speller->mode = (enum vz_suggest_mode)at;
        return VZ_OK;
    }
    if (vz_slice_is(key, "sort")) {
        if (!find_name(text, sorts, 2, &at))
            return vz_fail(r->err, VZ_BAD_QUERY,
                           "No enum constant org.elasticsearch.search.suggest.SortBy.%s",
                           upper(r->parser->arena, text));
        speller->by_frequency = at == 1;
        return VZ_OK;
    }
    if (vz_slice_is(key, "string_distance")) {
        if (!find_name(text, distances, 5, &at))
            return vz_fail(r->err, VZ_BAD_QUERY, "Illegal distance option %.*s", VZ_ARG(text));
        speller->distance = (enum vz_string_distance)at;
        return VZ_OK;
    }
    if (vz_slice_is(key, "accuracy")) {
        if (!vz_json_as_double(value, &number) || !(number >= 0 && number <= 1))
            return vz_fail(r->err, VZ_BAD_QUERY, "accuracy must be between 0 and 1");
        speller->accuracy = (float)number;
        return VZ_OK;
    }
    if (vz_slice_is(key, "max_edits")) {
        if (!vz_json_as_double(value, &number) || (number != 1 && number != 2))
            return vz_fail(r->err, VZ_BAD_QUERY, "maxEdits must be between 1 and 2");
        speller->max_edits = (uint32_t)number;
        return VZ_OK;
    }
    if (vz_slice_is(key, "max_inspections"))
        return read_count(r, key, value, 0, 1000, "maxInspections must be positive",
                          &speller->max_inspections);
    if (vz_slice_is(key, "max_term_freq"))
        return read_share(r, key, value, "maxTermFreq", &speller->max_term_freq);
    if (vz_slice_is(key, "min_doc_freq"))
        return read_share(r, key, value, "minDocFreq", &speller->min_doc_freq);
    if (vz_slice_is(key, "prefix_length"))
        return read_count(r, key, value, 0, INT32_MAX, "prefixLength must be positive",
                          &speller->prefix_length);
    if (vz_slice_is(key, "min_word_length"))
        return read_count(r, key, value, 1, INT32_MAX,
                          "minWordLength must be greater or equal to 1", &speller->min_word_length);
    return VZ_NOT_FOUND;
}

static enum vz_status read_fuzzy(const struct reading *r, struct vz_json value)
{
    struct vz_completion_options *options = &r->suggestion->completion;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    options->fuzzy = true;
    if (vz_json_type(value) == VZ_JSON_BOOL) {
        options->fuzzy = vz_json_bool(value);
        return VZ_OK;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(r->err, VZ_BAD_QUERY,
                       "[completion] fuzzy doesn't support values of type: %s",
                       vz_query_token(value));
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "fuzziness"))
            options->fuzziness = vz_query_scalar_text(member, r->parser->arena);
        else if (vz_slice_is(key, "transpositions"))
            status =
                vz_dsl_bool("fuzzy", "transpositions", member, &options->transpositions, r->err);
        else if (vz_slice_is(key, "min_length"))
            status = read_count(r, key, member, 0, INT32_MAX, "fuzzyMinLength must not be negative",
                                &options->min_length);
        else if (vz_slice_is(key, "prefix_length"))
            status = read_count(r, key, member, 0, INT32_MAX,
                                "fuzzyPrefixLength must not be negative", &options->prefix_length);
        else if (!vz_slice_is(key, "unicode_aware") && !vz_slice_is(key, "max_determinized_states"))
            return vz_fail(r->err, VZ_BAD_QUERY, "[fuzzy] unknown field [%.*s]", VZ_ARG(key));
    }
    struct vz_slice f = options->fuzziness;
    bool known = f.len == 0 || strncasecmp(f.ptr, "auto", VZ_MIN(f.len, (size_t)4)) == 0 ||
                 (f.len == 1 && f.ptr[0] >= '0' && f.ptr[0] <= '2');
    if (status == VZ_OK && !known)
        return vz_fail(r->err, VZ_BAD_QUERY, "fuzziness must be between 0 and 2");
    return status;
}

static enum vz_status read_completion(const struct reading *r, struct vz_slice key,
                                      struct vz_json value)
{
    struct vz_suggestion *s = r->suggestion;
    if (vz_slice_is(key, "skip_duplicates"))
        return vz_dsl_bool("completion", "skip_duplicates", value, &s->completion.skip_duplicates,
                           r->err);
    if (vz_slice_is(key, "fuzzy"))
        return read_fuzzy(r, value);
    if (vz_slice_is(key, "contexts") || vz_slice_is(key, "context"))
        return vz_fail(r->err, VZ_UNSUPPORTED,
                       "[completion] option [contexts] is not supported yet by vizsla");
    if (vz_slice_is(key, "regex")) /* flags and limits of the automaton */
        return VZ_OK;
    return vz_fail(r->err, VZ_BAD_QUERY, "[completion] unknown field [%.*s]", VZ_ARG(key));
}

static enum vz_status read_option(const struct reading *r, struct vz_slice key,
                                  struct vz_json value)
{
    struct vz_suggestion *s = r->suggestion;
    if (vz_slice_is(key, "field")) {
        s->field = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "analyzer")) {
        s->analyzer = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "size"))
        return read_count(r, key, value, 1, VZ_MAX_SUGGEST_SIZE, "size must be positive", &s->size);
    if (vz_slice_is(key, "shard_size"))
        return read_count(r, key, value, 1, VZ_MAX_SUGGEST_SIZE, "shardSize must be positive",
                          &s->shard_size);
    if (s->kind == VZ_SUGGEST_COMPLETION)
        return read_completion(r, key, value);
    enum vz_status status = read_speller(r, key, value, &s->speller);
    return status == VZ_NOT_FOUND ? unknown(r, key) : status;
}

static enum vz_status read_suggester(struct reading *r, struct vz_slice name, struct vz_json value)
{
    static const char *const names[] = {"term", "phrase", "completion"};
    struct vz_suggestion *s = r->suggestion;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    size_t at;
    if (!find_name(name, names, 3, &at))
        return vz_fail(r->err, VZ_BAD_QUERY, "[suggest] unknown field [%.*s]", VZ_ARG(name));
    if (at == VZ_SUGGEST_PHRASE)
        return vz_fail(r->err, VZ_UNSUPPORTED, "[phrase] suggester is not supported yet by vizsla");
    s->kind = (enum vz_suggester)at;
    r->suggester = names[at];
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &member))
        status = read_option(r, key, member);
    if (status == VZ_OK && s->field.len == 0)
        return vz_fail(r->err, VZ_BAD_QUERY, "the required field option [field] is missing");
    return status;
}

static enum vz_status read_suggestion(struct vz_parser *parser, struct vz_json value,
                                      struct vz_suggestion *s, struct vz_error *err)
{
    struct reading r = {parser, "", s, err};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool found = false;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        struct vz_slice *to = vz_slice_is(key, "text")     ? &s->text
                              : vz_slice_is(key, "prefix") ? &s->prefix
                              : vz_slice_is(key, "regex")  ? &s->regex
                                                           : NULL;
        if (vz_json_type(member) == VZ_JSON_OBJECT) {
            found = true;
            status = read_suggester(&r, key, member);
        } else if (to && vz_dsl_is_scalar(member)) {
            *to = vz_query_scalar_text(member, parser->arena);
        } else {
            return vz_fail(err, VZ_BAD_QUERY, "suggestion does not support [%.*s]", VZ_ARG(key));
        }
    }
    if (status == VZ_OK && !found)
        return vz_fail(err, VZ_BAD_QUERY, "missing suggestion object");
    return status;
}

/* What was left out is as another part says; a text for all stands in for a missing one. */
static void settle(struct vz_suggestion *s, struct vz_slice text)
{
    if (!s->text.ptr && !s->prefix.ptr && !s->regex.ptr)
        s->text = text;
    if (s->text.ptr && !s->prefix.ptr && !s->regex.ptr)
        s->prefix = s->text;
    else if (!s->text.ptr)
        s->text = s->prefix.ptr ? s->prefix : s->regex;
    if (s->shard_size == 0)
        s->shard_size = VZ_MAX(s->size, 5u);
}

enum vz_status vz_suggest_parse_params(const struct vz_search_params *params,
                                       struct vz_arena *arena, struct vz_suggest **out,
                                       struct vz_error *err)
{
    struct vz_suggest *suggest = vz_arena_zalloc(arena, sizeof *suggest);
    struct vz_suggestion *s = vz_arena_zalloc(arena, sizeof *s);
    size_t mode = VZ_SUGGEST_MISSING;
    *out = suggest;
    if (params->suggest_mode.len && !find_name(params->suggest_mode, modes, 3, &mode))
        return bad_mode(arena, params->suggest_mode, err);
    if (params->suggest_size < 0 || params->suggest_size > VZ_MAX_SUGGEST_SIZE)
        return vz_fail(err, VZ_BAD_QUERY, "size must be positive and at most [%d]",
                       VZ_MAX_SUGGEST_SIZE);
    *s = (struct vz_suggestion){.name = params->suggest_field,
                                .field = params->suggest_field,
                                .size = params->suggest_size ? (uint32_t)params->suggest_size : 5,
                                .speller = speller_defaults};
    s->speller.mode = (enum vz_suggest_mode)mode;
    struct vz_slice text = params->suggest_text.ptr ? params->suggest_text : params->uri.q;
    settle(s, text);
    suggest->items = s;
    suggest->count = 1;
    return VZ_OK;
}

enum vz_status vz_suggest_parse(struct vz_parser *parser, struct vz_json value,
                                struct vz_suggest **out, struct vz_error *err)
{
    struct vz_suggest *suggest = vz_arena_zalloc(parser->arena, sizeof *suggest);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key, text = {0};
    struct vz_json member;
    enum vz_status status = VZ_OK;
    *out = suggest;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [suggest].",
                       vz_query_token(value));
    size_t count = vz_json_count(value);
    if (count > VZ_MAX_SUGGESTIONS)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[suggest] has [%zu] suggestions, at most [%d] are allowed", count,
                       VZ_MAX_SUGGESTIONS);
    suggest->items = vz_arena_zalloc(parser->arena, (count + 1) * sizeof *suggest->items);
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        struct vz_suggestion *s = &suggest->items[suggest->count];
        if (vz_slice_is(key, "text") && vz_dsl_is_scalar(member)) {
            text = vz_query_scalar_text(member, parser->arena);
            continue;
        }
        if (vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY, "[suggest] does not support [%.*s]", VZ_ARG(key));
        *s = (struct vz_suggestion){.name = key, .size = 5, .speller = speller_defaults};
        s->completion = (struct vz_completion_options){
            .transpositions = true, .min_length = 3, .prefix_length = 1};
        status = read_suggestion(parser, member, s, err);
        suggest->count++;
    }
    for (size_t i = 0; i < suggest->count; i++)
        settle(&suggest->items[i], text);
    return status;
}
