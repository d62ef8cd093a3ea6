/* Token filters that make another text of each token: case, folding, trimming, elision, patterns.
 */
#include "base/text.h"
#include "text/analysis_parts.h"

#include <stdlib.h>

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

static enum vz_status run_lowercase(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    VZ_EACH_TOKEN(token, tokens) token->text = vz_lowercase(token->text, &tokens->arena);
    return VZ_OK;
}

bool vz_filter_is_lowercase(const struct vz_token_filter *filter)
{
    return filter->run == run_lowercase;
}

static enum vz_status run_uppercase(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    VZ_EACH_TOKEN(token, tokens) token->text = vz_uppercase(token->text, &tokens->arena);
    return VZ_OK;
}

enum vz_status vz_make_lowercase(const struct vz_making *making, struct vz_token_filter *out,
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
enum vz_status vz_make_uppercase(const struct vz_making *making, struct vz_token_filter *out,
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

enum vz_status vz_make_fold(const struct vz_making *making, struct vz_token_filter *out,
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
    VZ_EACH_TOKEN(token, tokens)
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
    VZ_EACH_TOKEN(token, tokens)
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
    VZ_EACH_TOKEN(token, tokens)
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
    VZ_EACH_TOKEN(token, tokens)
    if (!vz_text_is_ascii(token->text))
        token->text = map_chars(token->text, &tokens->arena, 1, 0, ascii_digit);
    return VZ_OK;
}

/* German normalization: umlauts to their vowels, "ae" "oe" "ue" too where they stand for umlauts.
 */
static enum vz_status run_german(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                 struct vz_error *err)
{
    VZ_EACH_TOKEN(token, tokens)
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
    VZ_EACH_TOKEN(token, tokens)
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

enum vz_status vz_make_truncate(const struct vz_making *making, struct vz_token_filter *out,
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
    VZ_EACH_TOKEN(token, tokens)
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
        return vz_word_set_read(making, "articles", NULL, &elision->articles, err);
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

static size_t bytes_left(const struct vz_tokens *tokens, size_t more)
{
    size_t taken = tokens->arena.total_bytes + more;
    size_t most = tokens->max_bytes ? tokens->max_bytes : VZ_MAX_TOKEN_BYTES;
    return taken < most ? most - taken : 0;
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
            status = vz_pattern_expand(config->by, text, spans, groups,
                                       bytes_left(tokens, out.len), &out, err);
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

VZ_PLAIN_FILTER(vz_make_trim, run_trim, true)
VZ_PLAIN_FILTER(vz_make_reverse, run_reverse, false)
VZ_PLAIN_FILTER(vz_make_apostrophe, run_apostrophe, false)
VZ_PLAIN_FILTER(vz_make_digits, run_digits, true)
VZ_PLAIN_FILTER(vz_make_german, run_german, true)
