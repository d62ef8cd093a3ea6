/* Token filters that say what stemming leaves alone, or makes of a word. */
#include "base/text.h"
#include "text/analysis_parts.h"

#include <stdlib.h>

struct marker {
    struct vz_word_set words;
    struct vz_pattern *pattern;
};
static void marker_deinit(struct vz_token_filter *filter)
{
    struct marker *marker = filter->config;
    vz_word_set_deinit(&marker->words);
    vz_pattern_free(marker->pattern);
}
static enum vz_status run_marker(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    const struct marker *marker = filter->config;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < tokens->count && status == VZ_OK; i++) {
        struct vz_token *token = &tokens->items[i];
        bool hit;
        if (marker->pattern)
            status = vz_pattern_full(marker->pattern, token->text, &hit, err);
        else
            hit = vz_word_set_has(&marker->words, token->text);
        token->keyword |= status == VZ_OK && hit;
    }
    return status;
}
enum vz_status vz_make_keyword_marker(const struct vz_making *making, struct vz_token_filter *out,
                                      struct vz_error *err)
{
    struct marker *marker = vz_making_zalloc(making, sizeof *marker);
    struct vz_json given;
    enum vz_status status = vz_making_check(making, "keywords keywords_pattern ignore_case", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "ignore_case", &marker->words.ignore_case, err);
    if (status != VZ_OK)
        return status;
    out->config = marker;
    out->deinit = marker_deinit;
    out->run = run_marker;
    if (vz_making_get(making, "keywords_pattern", &given))
        return vz_pattern_new(vz_making_text(making, "keywords_pattern", ""), VZ_SLICE(""),
                              &marker->pattern, err);
    if (!vz_making_get(making, "keywords", &given))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "keyword filter requires either `keywords`, `keywords_path`, or "
                       "`keywords_pattern` to be configured");
    return vz_word_set_read(making, "keywords", NULL, &marker->words, err);
}

static enum vz_status run_keyword_repeat(const struct vz_token_filter *filter,
                                         struct vz_tokens *tokens, struct vz_error *err)
{
    struct vz_tokens out = {0};
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token token = tokens->items[i];
        token.keyword = true;
        *vz_tokens_push(&out) = token;
        token.keyword = false;
        token.increment = 0;
        *vz_tokens_push(&out) = token;
    }
    vz_tokens_swap_items(tokens, &out);
    free(out.items);
    return VZ_OK;
}

/* "a, b => c": what a stemmer would make of a word, said outright. */
struct override {
    struct vz_strmap map;
    struct vz_slice *to;
};
static void override_deinit(struct vz_token_filter *filter)
{
    vz_strmap_deinit(&((struct override *)filter->config)->map);
}
static enum vz_status run_override(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                   struct vz_error *err)
{
    const struct override *override = filter->config;
    VZ_EACH_TOKEN(token, tokens)
    {
        uint64_t at;
        if (!token->keyword && vz_strmap_get(&override->map, token->text, &at)) {
            token->text = override->to[at];
            token->keyword = true;
        }
    }
    return VZ_OK;
}
enum vz_status vz_make_stemmer_override(const struct vz_making *making, struct vz_token_filter *out,
                                        struct vz_error *err)
{
    struct override *override = vz_making_zalloc(making, sizeof *override);
    struct vz_json list;
    enum vz_status status = vz_making_check(making, "rules", err);
    if (status != VZ_OK)
        return status;
    if (!vz_making_get(making, "rules", &list))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "stemmer override filter requires either `rules` or "
                       "`rules_path` to be configured");
    override->to = vz_making_zalloc(making, (vz_json_count(list) + 1) * sizeof *override->to);
    out->config = override;
    out->deinit = override_deinit;
    out->run = run_override;
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    for (size_t i = 0; vz_json_next(&it, NULL, &item); i++) {
        struct vz_slice rule = vz_json_string(item);
        const char *arrow = rule.len ? memmem(rule.ptr, rule.len, "=>", 2) : NULL;
        if (!arrow)
            return vz_fail(err, VZ_BAD_MAPPING, "Invalid Keyword override Rule:%.*s", (int)rule.len,
                           rule.ptr);
        struct vz_slice to =
            vz_slice_trim((struct vz_slice){arrow + 2, rule.len - (size_t)(arrow + 2 - rule.ptr)});
        override->to[i] = vz_arena_copy(&making->components->arena, to);
        struct vz_slice left = {rule.ptr, (size_t)(arrow - rule.ptr)};
        while (left.len) {
            const char *comma = memchr(left.ptr, ',', left.len);
            size_t len = comma ? (size_t)(comma - left.ptr) : left.len;
            struct vz_slice word = vz_slice_trim((struct vz_slice){left.ptr, len});
            if (word.len)
                vz_strmap_put(&override->map, word, i);
            left.ptr += len + (comma != NULL);
            left.len -= len + (comma != NULL);
        }
    }
    return VZ_OK;
}

VZ_PLAIN_FILTER(vz_make_keyword_repeat, run_keyword_repeat, false)
