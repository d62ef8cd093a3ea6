/* Token filters that say which tokens stay: stop words, words to keep, lengths, repetitions; and
 * the fingerprint, which makes one of all. */
#include "text/analysis_parts.h"

#include <stdlib.h>

/* ---- which tokens stay ------------------------------------------------------------------------
 */

struct stop {
    struct vz_word_set words;
    bool keep_trailing;
};
static void stop_deinit(struct vz_token_filter *filter)
{
    vz_word_set_deinit(&((struct stop *)filter->config)->words);
}
static bool not_stopped(const void *config, struct vz_token *token)
{
    return !vz_word_set_has(&((const struct stop *)config)->words, token->text);
}

static enum vz_status run_stop(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    const struct stop *stop = filter->config;
    if (!stop->keep_trailing || tokens->count == 0) {
        vz_tokens_keep(tokens, not_stopped, stop);
        return VZ_OK;
    }
    /* A stop word that ends the text may be the start of one still being typed. */
    struct vz_token last = tokens->items[tokens->count - 1];
    bool stopped = !not_stopped(stop, &last);
    uint32_t before = tokens->end_increment;
    vz_tokens_keep(tokens, not_stopped, stop);
    if (stopped) {
        last.increment = tokens->end_increment - before;
        tokens->end_increment = before;
        *vz_tokens_push(tokens) = last;
    }
    return VZ_OK;
}

enum vz_status vz_make_stop(const struct vz_making *making, struct vz_token_filter *out,
                            struct vz_error *err)
{
    struct stop *stop = vz_making_zalloc(making, sizeof *stop);
    bool remove_trailing = true;
    enum vz_status status = vz_making_check(making, "stopwords ignore_case remove_trailing", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "ignore_case", &stop->words.ignore_case, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "remove_trailing", &remove_trailing, err);
    out->config = stop;
    out->deinit = stop_deinit;
    out->run = run_stop;
    stop->keep_trailing = !remove_trailing;
    return status == VZ_OK ? vz_word_set_read(making, "stopwords", "_english_", &stop->words, err)
                           : status;
}

struct keep_words {
    struct vz_word_set words;
};
static void keep_deinit(struct vz_token_filter *filter)
{
    vz_word_set_deinit(&((struct keep_words *)filter->config)->words);
}
static bool is_kept(const void *config, struct vz_token *token)
{
    return vz_word_set_has(&((const struct keep_words *)config)->words, token->text);
}
static enum vz_status run_keep(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    vz_tokens_keep(tokens, is_kept, filter->config);
    return VZ_OK;
}
enum vz_status vz_make_keep(const struct vz_making *making, struct vz_token_filter *out,
                            struct vz_error *err)
{
    struct keep_words *keep = vz_making_zalloc(making, sizeof *keep);
    enum vz_status status = vz_making_check(making, "keep_words keep_words_case", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "keep_words_case", &keep->words.ignore_case, err);
    out->config = keep;
    out->deinit = keep_deinit;
    out->run = run_keep;
    return status == VZ_OK ? vz_word_set_read(making, "keep_words", NULL, &keep->words, err)
                           : status;
}

struct length {
    uint64_t min, max;
};
static bool length_fits(const void *config, struct vz_token *token)
{
    const struct length *length = config;
    size_t units = vz_unit_count(token->text);
    return units >= length->min && units <= length->max;
}
static enum vz_status run_length(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    vz_tokens_keep(tokens, length_fits, filter->config);
    return VZ_OK;
}
enum vz_status vz_make_length(const struct vz_making *making, struct vz_token_filter *out,
                              struct vz_error *err)
{
    struct length *length = vz_making_zalloc(making, sizeof *length);
    int64_t min = 0, max = INT32_MAX;
    enum vz_status status = vz_making_check(making, "min max", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "min", 0, INT32_MAX, &min, err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max", 0, INT32_MAX, &max, err);
    if (status == VZ_OK && min > max)
        status = vz_fail(err, VZ_BAD_MAPPING,
                         "maximum length must not be greater than minimum "
                         "length");
    length->min = (uint64_t)min;
    length->max = (uint64_t)max;
    out->config = length;
    out->run = run_length;
    return status;
}

static enum vz_status run_limit(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                struct vz_error *err)
{
    size_t most = *(const unsigned *)filter->config;
    if (tokens->count < most)
        return VZ_OK;
    tokens->count = most; /* the text ends there, for all that follows */
    tokens->end_increment = 0;
    tokens->end_offset = tokens->items[most - 1].end;
    return VZ_OK;
}
enum vz_status vz_make_limit(const struct vz_making *making, struct vz_token_filter *out,
                             struct vz_error *err)
{
    unsigned *most = vz_making_zalloc(making, sizeof *most);
    int64_t count = 1;
    enum vz_status status = vz_making_check(making, "max_token_count consume_all_tokens", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_token_count", 1, INT32_MAX, &count, err);
    *most = (unsigned)count;
    out->config = most;
    out->run = run_limit;
    return status;
}

/* unique: everywhere, or only among tokens of one position. Dropped tokens leave no holes. */
static enum vz_status run_unique(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    bool same_position = filter->config != NULL;
    struct vz_strmap seen = {0};
    size_t kept = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        uint64_t value;
        if (same_position && token->increment > 0)
            vz_strmap_clear(&seen);
        bool duplicate =
            vz_strmap_get(&seen, token->text, &value) && (!same_position || token->increment == 0);
        if (duplicate)
            continue;
        vz_strmap_put(&seen, token->text, 1);
        tokens->items[kept++] = *token;
    }
    tokens->count = kept;
    vz_strmap_deinit(&seen);
    return VZ_OK;
}
enum vz_status vz_make_unique(const struct vz_making *making, struct vz_token_filter *out,
                              struct vz_error *err)
{
    bool same_position = false;
    enum vz_status status = vz_making_check(making, "only_on_same_position", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "only_on_same_position", &same_position, err);
    out->config = same_position ? out : NULL;
    out->run = run_unique;
    return status;
}
enum vz_status vz_make_remove_duplicates(const struct vz_making *making,
                                         struct vz_token_filter *out, struct vz_error *err)
{
    out->config = out;
    out->run = run_unique;
    return vz_making_check(making, "", err);
}

/* ---- fingerprint ------------------------------------------------------------------------------
 */

struct fingerprint {
    struct vz_slice separator;
    size_t max_size;
};
static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(((const struct vz_token *)a)->text, ((const struct vz_token *)b)->text);
}
static enum vz_status run_fingerprint(const struct vz_token_filter *filter,
                                      struct vz_tokens *tokens, struct vz_error *err)
{
    const struct fingerprint *config = filter->config;
    struct vz_buf out = {0};
    if (tokens->count == 0)
        return VZ_OK;
    qsort(tokens->items, tokens->count, sizeof *tokens->items, by_text);
    for (size_t i = 0; i < tokens->count; i++) {
        if (i && vz_slice_eq(tokens->items[i].text, tokens->items[i - 1].text))
            continue;
        if (i)
            vz_buf_append_slice(&out, config->separator);
        vz_buf_append_slice(&out, tokens->items[i].text);
    }
    tokens->count = 0;
    tokens->end_increment = 1;
    if (vz_unit_count(vz_buf_slice(&out)) <= config->max_size) {
        struct vz_token *token = vz_tokens_push(tokens);
        token->text = vz_arena_copy(&tokens->arena, vz_buf_slice(&out));
        token->end = tokens->end_offset;
        token->type = VZ_TOKEN_FINGERPRINT;
    }
    vz_buf_deinit(&out);
    return VZ_OK;
}
enum vz_status vz_make_fingerprint(const struct vz_making *making, struct vz_token_filter *out,
                                   struct vz_error *err)
{
    struct fingerprint *config = vz_making_zalloc(making, sizeof *config);
    int64_t size = 255;
    enum vz_status status = vz_making_check(making, "separator max_output_size", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_output_size", 1, 1 << 20, &size, err);
    config->separator = vz_making_text(making, "separator", " ");
    config->max_size = (size_t)size;
    out->config = config;
    out->run = run_fingerprint;
    return status;
}
