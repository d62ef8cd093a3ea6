/* Token filters that look at one token at a time, and the table of all filters by name. */
#include "base/text.h"
#include "text/analysis_parts.h"

#include <stdlib.h>

/* ---- sets of words ----------------------------------------------------------------------------
 */

void vz_word_set_add(struct vz_word_set *set, struct vz_slice word)
{
    struct vz_arena arena = {0};
    if (set->ignore_case)
        word = vz_lowercase(word, &arena);
    vz_strmap_put(&set->map, word, 1);
    size_t bit = VZ_MIN(word.len, sizeof set->lengths * 8 - 1);
    set->lengths[bit / 8] |= (unsigned char)(1u << bit % 8);
    vz_arena_deinit(&arena);
}

bool vz_word_set_has(const struct vz_word_set *set, struct vz_slice word)
{
    size_t bit = VZ_MIN(word.len, sizeof set->lengths * 8 - 1);
    uint64_t value;
    if (!set->ignore_case)
        return (set->lengths[bit / 8] >> bit % 8 & 1) && vz_strmap_get(&set->map, word, &value);
    struct vz_arena arena = {0};
    bool has = vz_strmap_get(&set->map, vz_lowercase(word, &arena), &value);
    vz_arena_deinit(&arena);
    return has;
}

void vz_word_set_deinit(struct vz_word_set *set)
{
    vz_strmap_deinit(&set->map);
}

/* Words of a setting: a list, "a,b", "_portuguese_", "_none_". */
static enum vz_status read_words(const struct vz_making *making, const char *key,
                                 const char *otherwise, struct vz_word_set *set,
                                 struct vz_error *err)
{
    struct vz_slice *items, one;
    size_t count;
    if (!vz_making_list(making, key, &items, &count)) {
        if (!otherwise)
            return VZ_OK;
        one = vz_slice_from(otherwise);
        items = &one;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        const char *list = vz_stop_words(items[i]);
        if (vz_slice_is(items[i], "_none_"))
            continue;
        if (!list && items[i].len > 2 && items[i].ptr[0] == '_' &&
            items[i].ptr[items[i].len - 1] == '_')
            return vz_fail(err, VZ_UNSUPPORTED, "stop words [%.*s] are not supported",
                           (int)items[i].len, items[i].ptr);
        if (!list)
            vz_word_set_add(set, items[i]);
        for (const char *at = list; at && *at;) {
            size_t len = strcspn(at, " ");
            vz_word_set_add(set, (struct vz_slice){at, len});
            at += len;
            at += strspn(at, " ");
        }
    }
    return VZ_OK;
}

/* ---- case -------------------------------------------------------------------------------------
 */

static struct vz_slice map_chars(struct vz_slice text, struct vz_arena *arena, char low, char high,
                                 UChar32 (*map)(UChar32))
{
    size_t at = 0;
    bool ascii = true;
    for (; at < text.len; at++) {
        unsigned char c = (unsigned char)text.ptr[at];
        if (c >= 0x80 || (c >= (unsigned char)low && c <= (unsigned char)high))
            break;
    }
    if (at == text.len)
        return text;
    for (size_t i = at; i < text.len; i++)
        ascii &= (unsigned char)text.ptr[i] < 0x80;
    char *out = vz_arena_alloc(arena, ascii ? text.len : text.len * 2 + 4);
    memcpy(out, text.ptr, at);
    if (ascii) {
        for (; at < text.len; at++) {
            char c = text.ptr[at];
            out[at] = (char)(c >= low && c <= high ? c ^ 32 : c);
        }
        return (struct vz_slice){out, text.len};
    }
    size_t len = at;
    while (at < text.len)
        len += vz_put_char(out + len, map(vz_next_char(text, &at)));
    return (struct vz_slice){out, len};
}

struct vz_slice vz_lowercase(struct vz_slice text, struct vz_arena *arena)
{
    return map_chars(text, arena, 'A', 'Z', u_tolower);
}

struct vz_slice vz_uppercase(struct vz_slice text, struct vz_arena *arena)
{
    return map_chars(text, arena, 'a', 'z', u_toupper);
}

#define EACH(token, tokens)                                                                        \
    for (struct vz_token *token = (tokens)->items, *end_ = token ? token + (tokens)->count : NULL; \
         token < end_; token++)

static enum vz_status run_lowercase(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    EACH(token, tokens) token->text = vz_lowercase(token->text, &tokens->arena);
    return VZ_OK;
}

bool vz_filter_is_lowercase(const struct vz_token_filter *filter)
{
    return filter->run == run_lowercase;
}

static enum vz_status run_uppercase(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    EACH(token, tokens) token->text = vz_uppercase(token->text, &tokens->arena);
    return VZ_OK;
}

static enum vz_status make_lowercase(const struct vz_making *making, struct vz_token_filter *out,
                                     struct vz_error *err)
{
    struct vz_json given;
    if (vz_making_get(making, "language", &given)) {
        struct vz_slice language =
            vz_lowercase(vz_making_text(making, "language", ""), &making->components->arena);
        const char *type = vz_arena_printf(&making->components->arena, "lowercase:%.*s",
                                           (int)language.len, language.ptr);
        enum vz_status status = vz_normalization_make(making, vz_slice_from(type), out, err);
        return status == VZ_NOT_FOUND
                   ? vz_fail(err, VZ_BAD_MAPPING, "language [%.*s] not support for lower case",
                             (int)language.len, language.ptr)
                   : status;
    }
    out->run = run_lowercase;
    out->normalizes = true;
    return vz_making_check(making, "", err);
}
static enum vz_status make_uppercase(const struct vz_making *making, struct vz_token_filter *out,
                                     struct vz_error *err)
{
    out->run = run_uppercase;
    out->normalizes = true;
    return vz_making_check(making, "", err);
}

/* ---- one text to another ----------------------------------------------------------------------
 */

static struct vz_slice fold(struct vz_slice text, struct vz_arena *arena)
{
    char *out = vz_arena_alloc(arena, text.len * 4 + 8);
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        UChar32 c = vz_next_char(text, &at);
        const char *to = c < 0x80 ? NULL : vz_fold_char(c);
        const char *bytes = to ? to : text.ptr + from;
        size_t count = to ? strlen(to) : at - from;
        memcpy(out + len, bytes, count);
        len += count;
    }
    return (struct vz_slice){out, len};
}

static enum vz_status run_fold(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    bool preserve = filter->config != NULL;
    struct vz_tokens out = {0};
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        struct vz_slice before = token->text;
        if (!vz_text_is_ascii(before))
            token->text = fold(before, &tokens->arena);
        if (!preserve)
            continue;
        *vz_tokens_push(&out) = *token;
        if (!vz_slice_eq(before, token->text)) {
            struct vz_token *original = vz_tokens_push(&out);
            *original = *token;
            original->text = before;
            original->increment = 0;
        }
    }
    if (preserve) {
        vz_tokens_swap_items(tokens, &out);
        free(out.items);
    }
    return VZ_OK;
}

static enum vz_status make_fold(const struct vz_making *making, struct vz_token_filter *out,
                                struct vz_error *err)
{
    bool preserve = false;
    enum vz_status status = vz_making_check(making, "preserve_original", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "preserve_original", &preserve, err);
    out->run = run_fold;
    out->config = preserve ? out : NULL;
    out->normalizes = true;
    return status;
}

/* Java's whitespace, as TrimFilter sees it. */
static bool is_space(UChar32 c)
{
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F) ||
           (c > 0x80 && c != 0xA0 && c != 0x2007 && c != 0x202F &&
            (U_GET_GC_MASK(c) & (U_GC_ZS_MASK | U_GC_ZL_MASK | U_GC_ZP_MASK)) != 0);
}

static enum vz_status run_trim(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    EACH(token, tokens)
    {
        struct vz_slice text = token->text;
        size_t first = text.len, last = 0;
        for (size_t at = 0; at < text.len;) {
            size_t from = at;
            if (!is_space(vz_next_char(text, &at))) {
                first = VZ_MIN(first, from);
                last = at;
            }
        }
        token->text = last ? (struct vz_slice){text.ptr + first, last - first}
                           : (struct vz_slice){text.ptr, 0};
    }
    return VZ_OK;
}

static enum vz_status run_reverse(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    EACH(token, tokens)
    {
        struct vz_slice text = token->text;
        char *out = vz_arena_alloc(&tokens->arena, text.len + 1);
        for (size_t at = 0; at < text.len;) {
            size_t from = at;
            vz_next_char(text, &at);
            memcpy(out + text.len - at, text.ptr + from, at - from);
        }
        token->text.ptr = out;
    }
    return VZ_OK;
}

static enum vz_status run_apostrophe(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                     struct vz_error *err)
{
    EACH(token, tokens)
    {
        struct vz_slice text = token->text;
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] == '\'' ||
                (text.len - i >= 3 && memcmp(text.ptr + i, "\xE2\x80\x99", 3) == 0)) {
                token->text.len = i;
                break;
            }
    }
    return VZ_OK;
}

static UChar32 ascii_digit(UChar32 c)
{
    return c > 0x7F && u_charType(c) == U_DECIMAL_DIGIT_NUMBER ? '0' + u_charDigitValue(c) : c;
}

static enum vz_status run_digits(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    EACH(token, tokens)
    if (!vz_text_is_ascii(token->text))
        token->text = map_chars(token->text, &tokens->arena, 1, 0, ascii_digit);
    return VZ_OK;
}

/* German normalization: umlauts to their vowels, "ae" "oe" "ue" too where they stand for umlauts.
 */
static enum vz_status run_german(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    EACH(token, tokens)
    {
        struct vz_slice text = token->text;
        char *out = vz_arena_alloc(&tokens->arena, text.len * 2 + 4);
        size_t len = 0;
        enum { PLAIN, VOWEL, UMLAUT } state = PLAIN; /* of the character before */
        for (size_t at = 0; at < text.len;) {
            UChar32 c = vz_next_char(text, &at);
            if (c == 'a' || c == 'o') {
                state = UMLAUT;
            } else if (c == 'u') {
                state = state == PLAIN ? UMLAUT : VOWEL;
            } else if (c == 'e') {
                bool drop = state == UMLAUT;
                state = VOWEL;
                if (drop)
                    continue;
            } else if (c == 'i' || c == 'q' || c == 'y') {
                state = VOWEL;
            } else if (c == 0xE4 || c == 0xF6 || c == 0xFC) {
                c = c == 0xE4 ? 'a' : c == 0xF6 ? 'o' : 'u';
                state = VOWEL;
            } else {
                state = PLAIN;
                if (c == 0xDF)
                    out[len++] = c = 's';
            }
            len += vz_put_char(out + len, c);
        }
        token->text = (struct vz_slice){out, len};
    }
    return VZ_OK;
}

static enum vz_status run_truncate(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                   struct vz_error *err)
{
    size_t most = *(const unsigned *)filter->config;
    EACH(token, tokens)
    {
        size_t units = 0, at = 0, keep = 0;
        while (at < token->text.len) {
            UChar32 c = vz_next_char(token->text, &at);
            units += c > 0xFFFF ? 2 : 1;
            if (units > most)
                break;
            keep = at;
        }
        token->text.len = keep;
    }
    return VZ_OK;
}

static enum vz_status make_truncate(const struct vz_making *making, struct vz_token_filter *out,
                                    struct vz_error *err)
{
    unsigned *most = vz_making_zalloc(making, sizeof *most);
    int64_t length = 10;
    enum vz_status status = vz_making_check(making, "length", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "length", 1, INT32_MAX, &length, err);
    *most = (unsigned)length;
    out->config = most;
    out->run = run_truncate;
    return status;
}

struct elision {
    struct vz_word_set articles;
};
static void elision_deinit(struct vz_token_filter *filter)
{
    vz_word_set_deinit(&((struct elision *)filter->config)->articles);
}

static enum vz_status run_elision(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    const struct elision *elision = filter->config;
    EACH(token, tokens)
    {
        struct vz_slice text = token->text;
        for (size_t i = 0; i < text.len; i++) {
            size_t mark = text.ptr[i] == '\''                                                 ? 1
                          : text.len - i >= 3 && memcmp(text.ptr + i, "\xE2\x80\x99", 3) == 0 ? 3
                                                                                              : 0;
            if (!mark)
                continue;
            if (vz_word_set_has(&elision->articles, (struct vz_slice){text.ptr, i}))
                token->text = (struct vz_slice){text.ptr + i + mark, text.len - i - mark};
            break;
        }
    }
    return VZ_OK;
}

enum vz_status vz_make_elision(const struct vz_making *making, struct vz_token_filter *out,
                               struct vz_error *err)
{
    static const char french[] = "l m t qu n s j d c jusqu quoiqu lorsqu puisqu";
    static const char italian[] =
        "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d";
    struct elision *elision = vz_making_zalloc(making, sizeof *elision);
    bool ignore_case = false;
    struct vz_json given;
    enum vz_status status = vz_making_check(making, "articles articles_case language", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "articles_case", &ignore_case, err);
    if (status != VZ_OK)
        return status;
    bool own = vz_making_get(making, "articles", &given);
    elision->articles.ignore_case = own ? ignore_case : true;
    out->config = elision;
    out->deinit = elision_deinit;
    out->run = run_elision;
    out->normalizes = true;
    if (own)
        return read_words(making, "articles", NULL, &elision->articles, err);
    struct vz_slice language = vz_making_text(making, "language", "french");
    for (const char *at = vz_slice_is(language, "italian")   ? italian
                          : vz_slice_is(language, "catalan") ? "d l m n s t"
                          : vz_slice_is(language, "irish")   ? "d m b"
                                                             : french;
         *at;) {
        size_t len = strcspn(at, " ");
        vz_word_set_add(&elision->articles, (struct vz_slice){at, len});
        at += len;
        at += strspn(at, " ");
    }
    return VZ_OK;
}

struct pattern_replace {
    struct vz_pattern *pattern;
    struct vz_slice by;
    bool all;
};
static void pattern_replace_deinit(struct vz_token_filter *filter)
{
    vz_pattern_free(((struct pattern_replace *)filter->config)->pattern);
}

static enum vz_status run_pattern_replace(const struct vz_token_filter *filter,
                                          struct vz_tokens *tokens, struct vz_error *err)
{
    const struct pattern_replace *config = filter->config;
    unsigned groups = vz_pattern_groups(config->pattern);
    size_t *spans = vz_alloc((groups + 1) * 2 * sizeof *spans);
    struct vz_buf out = {0};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < tokens->count && status == VZ_OK; i++) {
        struct vz_slice text = tokens->items[i].text;
        size_t kept = 0, at = 0, matches = 0;
        bool found = true;
        vz_buf_clear(&out);
        while (at <= text.len) {
            status = vz_pattern_find(config->pattern, text, at, spans, &found, err);
            if (status != VZ_OK || !found)
                break;
            matches++;
            vz_buf_append(&out, text.ptr + kept, spans[0] - kept);
            status = vz_pattern_expand(config->by, text, spans, groups, &out, err);
            kept = at = spans[1];
            if (status != VZ_OK || !config->all || (spans[0] == spans[1] && at >= text.len))
                break;
            if (spans[0] == spans[1])
                vz_next_char(text, &at);
        }
        if (!matches || status != VZ_OK)
            continue;
        vz_buf_append(&out, text.ptr + kept, text.len - kept);
        tokens->items[i].text = vz_arena_copy(&tokens->arena, vz_buf_slice(&out));
        status = vz_tokens_check(tokens, err);
    }
    vz_buf_deinit(&out);
    free(spans);
    return status;
}

enum vz_status vz_make_pattern_replace(const struct vz_making *making, struct vz_token_filter *out,
                                       struct vz_error *err)
{
    struct pattern_replace *config = vz_making_zalloc(making, sizeof *config);
    struct vz_json given;
    config->all = true;
    enum vz_status status = vz_making_check(making, "pattern replacement flags all", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "all", &config->all, err);
    if (status != VZ_OK)
        return status;
    if (!vz_making_get(making, "pattern", &given))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "pattern is missing for [%.*s] token filter of type 'pattern_replace'",
                       (int)making->name.len, making->name.ptr);
    config->by = vz_making_text(making, "replacement", "");
    out->config = config;
    out->deinit = pattern_replace_deinit;
    out->run = run_pattern_replace;
    out->normalizes = true;
    return vz_pattern_new(vz_making_text(making, "pattern", ""),
                          vz_making_text(making, "flags", ""), &config->pattern, err);
}

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
    return status == VZ_OK ? read_words(making, "stopwords", "_english_", &stop->words, err)
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
static enum vz_status make_keep(const struct vz_making *making, struct vz_token_filter *out,
                                struct vz_error *err)
{
    struct keep_words *keep = vz_making_zalloc(making, sizeof *keep);
    enum vz_status status = vz_making_check(making, "keep_words keep_words_case", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "keep_words_case", &keep->words.ignore_case, err);
    out->config = keep;
    out->deinit = keep_deinit;
    out->run = run_keep;
    return status == VZ_OK ? read_words(making, "keep_words", NULL, &keep->words, err) : status;
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
static enum vz_status make_length(const struct vz_making *making, struct vz_token_filter *out,
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
static enum vz_status make_limit(const struct vz_making *making, struct vz_token_filter *out,
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
static enum vz_status make_unique(const struct vz_making *making, struct vz_token_filter *out,
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
static enum vz_status make_remove_duplicates(const struct vz_making *making,
                                             struct vz_token_filter *out, struct vz_error *err)
{
    out->config = out;
    out->run = run_unique;
    return vz_making_check(making, "", err);
}

/* ---- keywords ---------------------------------------------------------------------------------
 */

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
    return read_words(making, "keywords", NULL, &marker->words, err);
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
    EACH(token, tokens)
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
static enum vz_status make_fingerprint(const struct vz_making *making, struct vz_token_filter *out,
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

/* ---- by name ----------------------------------------------------------------------------------
 */

#define PLAIN(function, run_function, is_normal)                                                   \
    static enum vz_status function(const struct vz_making *making, struct vz_token_filter *out,    \
                                   struct vz_error *err)                                           \
    {                                                                                              \
        out->run = run_function;                                                                   \
        out->normalizes = is_normal;                                                               \
        return vz_making_check(making, "", err);                                                   \
    }
PLAIN(make_trim, run_trim, true)
PLAIN(make_reverse, run_reverse, false)
PLAIN(make_apostrophe, run_apostrophe, false)
PLAIN(make_digits, run_digits, true)
PLAIN(make_german, run_german, true)
PLAIN(make_keyword_repeat, run_keyword_repeat, false)

static const struct {
    const char *name;
    vz_filter_maker *make; /* NULL: known to Elasticsearch, not served */
} filters[] = {
    {"lowercase", make_lowercase},
    {"uppercase", make_uppercase},
    {"asciifolding", make_fold},
    {"stop", vz_make_stop},
    {"stemmer", vz_make_stemmer},
    {"snowball", vz_make_snowball},
    {"porter_stem", vz_make_porter_stem},
    {"stemmer_override", vz_make_stemmer_override},
    {"synonym", vz_make_synonym},
    {"synonym_graph", vz_make_synonym_graph},
    {"shingle", vz_make_shingle},
    {"unique", make_unique},
    {"remove_duplicates", make_remove_duplicates},
    {"length", make_length},
    {"ngram", vz_make_ngram},
    {"nGram", vz_make_ngram},
    {"edge_ngram", vz_make_edge_ngram},
    {"edgeNGram", vz_make_edge_ngram},
    {"trim", make_trim},
    {"word_delimiter_graph", vz_make_word_delimiter_graph},
    {"truncate", make_truncate},
    {"elision", vz_make_elision},
    {"apostrophe", make_apostrophe},
    {"limit", make_limit},
    {"reverse", make_reverse},
    {"keyword_marker", vz_make_keyword_marker},
    {"keyword_repeat", make_keyword_repeat},
    {"keep", make_keep},
    {"pattern_replace", vz_make_pattern_replace},
    {"decimal_digit", make_digits},
    {"german_normalization", make_german},
    {"fingerprint", make_fingerprint},
    {"cjk_bigram", vz_make_cjk_bigram},
    {"classic", NULL},
    {"common_grams", NULL},
    {"condition", NULL},
    {"delimited_payload", NULL},
    {"dictionary_decompounder", NULL},
    {"flatten_graph", NULL},
    {"german_stem", NULL},
    {"hunspell", NULL},
    {"hyphenation_decompounder", NULL},
    {"keep_types", NULL},
    {"kstem", NULL},
    {"min_hash", NULL},
    {"multiplexer", NULL},
    {"pattern_capture", NULL},
    {"predicate_token_filter", NULL},
    {"type_as_payload", NULL},
    {"word_delimiter", NULL},
    {"icu_folding", NULL},
    {"icu_normalizer", NULL},
    {"phonetic", NULL},
};

enum vz_status vz_token_filter_make(const struct vz_making *making, struct vz_slice type,
                                    struct vz_token_filter *out, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(filters); i++)
        if (vz_slice_is(type, filters[i].name)) {
            if (!filters[i].make)
                return vz_fail(err, VZ_UNSUPPORTED, "token filter type [%.*s] is not supported",
                               (int)type.len, type.ptr);
            return filters[i].make(making, out, err);
        }
    enum vz_status status = vz_normalization_make(making, type, out, err);
    return status == VZ_NOT_FOUND ? vz_stem_filter_make(making, type, out, err) : status;
}
