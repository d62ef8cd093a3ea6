/* Regular expressions of settings: Java's syntax on PCRE2, with limits on steps and memory. */
#include "text/analysis_parts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#define MATCH_LIMIT 500000
#define HEAP_LIMIT_KIB 8192
#define MAX_PATTERN_BYTES 16384

struct vz_pattern {
    pcre2_code *code;
    pcre2_match_context *context;
    unsigned groups;
};

/* Java's names for POSIX classes, which PCRE writes otherwise. */
static const struct {
    const char *java, *pcre;
} classes[] = {
    {"Lower", "a-z"},
    {"Upper", "A-Z"},
    {"ASCII", "\\x00-\\x7F"},
    {"Alpha", "A-Za-z"},
    {"Digit", "0-9"},
    {"Alnum", "A-Za-z0-9"},
    {"Punct", "!-\\/:-@\\[-`{-~"},
    {"Graph", "!-~"},
    {"Print", "\\x20-~"},
    {"Blank", " \\t"},
    {"Cntrl", "\\x00-\\x1F\\x7F"},
    {"XDigit", "0-9A-Fa-f"},
    {"Space", " \\t\\n\\x0B\\f\\r"},
};

/* At "\p{" or "\P{": writes what PCRE understands and gives the bytes read; 0: leave it alone. */
static size_t translate_class(struct vz_slice text, bool inside, struct vz_buf *out)
{
    const char *close = memchr(text.ptr, '}', text.len);
    if (!close)
        return 0;
    struct vz_slice name = {text.ptr + 3, (size_t)(close - text.ptr) - 3};
    bool negated = text.ptr[1] == 'P';
    for (size_t i = 0; i < VZ_COUNT_OF(classes); i++)
        if (vz_slice_is(name, classes[i].java) && !(inside && negated)) {
            vz_buf_printf(out, inside ? "%s%s" : "[%s%s]", negated ? "^" : "", classes[i].pcre);
            return (size_t)(close - text.ptr) + 1;
        }
    if (vz_slice_is(name, "IsAlphabetic") || vz_slice_is(name, "IsLetter")) {
        vz_buf_printf(out, "\\%c{L}", text.ptr[1]);
        return (size_t)(close - text.ptr) + 1;
    }
    if (vz_slice_is(name, "IsDigit")) {
        vz_buf_printf(out, "\\%c{Nd}", text.ptr[1]);
        return (size_t)(close - text.ptr) + 1;
    }
    if (vz_slice_is(name, "IsPunctuation")) {
        vz_buf_printf(out, "\\%c{P}", text.ptr[1]);
        return (size_t)(close - text.ptr) + 1;
    }
    if (vz_slice_starts(name, "Is") && name.len > 2) {
        vz_buf_printf(out, "\\%c{%.*s}", text.ptr[1], (int)name.len - 2, name.ptr + 2);
        return (size_t)(close - text.ptr) + 1;
    }
    return 0;
}

static void translate(struct vz_slice pattern, struct vz_buf *out)
{
    bool inside = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        struct vz_slice rest = {pattern.ptr + i, pattern.len - i};
        if (c == '\\' && rest.len > 1) {
            size_t len = 0;
            if (rest.len > 3 && (rest.ptr[1] == 'p' || rest.ptr[1] == 'P') && rest.ptr[2] == '{')
                len = translate_class(rest, inside, out);
            if (len == 0 && rest.ptr[1] == 'u' && rest.len > 5) {
                vz_buf_printf(out, "\\x{%.4s}", rest.ptr + 2);
                len = 6;
            }
            if (len == 0) {
                vz_buf_append(out, rest.ptr, 2);
                len = 2;
            }
            i += len - 1;
            continue;
        }
        if (c == '[' && !inside)
            inside = true;
        else if (c == ']')
            inside = false;
        vz_buf_append_char(out, c);
    }
}

static enum vz_status read_flags(struct vz_slice flags, uint32_t *options, struct vz_error *err)
{
    static const struct {
        const char *name;
        uint32_t option;
    } known[] = {{"CASE_INSENSITIVE", PCRE2_CASELESS},
                 {"MULTILINE", PCRE2_MULTILINE},
                 {"DOTALL", PCRE2_DOTALL},
                 {"COMMENTS", PCRE2_EXTENDED},
                 {"LITERAL", PCRE2_LITERAL},
                 {"UNICODE_CASE", 0},
                 {"CANON_EQ", 0},
                 {"UNIX_LINES", 0},
                 {"UNICODE_CHARACTER_CLASS", PCRE2_UCP},
                 {"UNICODE_CHAR_CLASS", PCRE2_UCP}};
    for (size_t from = 0; from < flags.len;) {
        const char *bar = memchr(flags.ptr + from, '|', flags.len - from);
        size_t end = bar ? (size_t)(bar - flags.ptr) : flags.len;
        struct vz_slice one = {flags.ptr + from, end - from};
        size_t i = 0;
        while (i < VZ_COUNT_OF(known) && !vz_slice_is(one, known[i].name))
            i++;
        if (i == VZ_COUNT_OF(known))
            return vz_fail(err, VZ_BAD_MAPPING, "Unknown regex flag [%.*s]", (int)one.len, one.ptr);
        *options |= known[i].option;
        from = end + 1;
    }
    return VZ_OK;
}

enum vz_status vz_pattern_new(struct vz_slice pattern, struct vz_slice flags,
                              struct vz_pattern **out, struct vz_error *err)
{
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C;
    int code;
    PCRE2_SIZE at;
    struct vz_buf text = {0};
    *out = NULL;
    if (pattern.len > MAX_PATTERN_BYTES)
        return vz_fail(err, VZ_LIMIT, "a pattern of [%zu] bytes is longer than [%d]", pattern.len,
                       MAX_PATTERN_BYTES);
    enum vz_status status = read_flags(flags, &options, err);
    if (status != VZ_OK)
        return status;
    vz_buf_append_char(&text, ' ');
    vz_buf_clear(&text);
    translate(pattern, &text);
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text.data, text.len, options, &code, &at, NULL);
    vz_buf_deinit(&text);
    if (!compiled) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(code, message, sizeof message);
        return vz_fail(err, VZ_BAD_MAPPING, "%s near index %zu\n%.*s", (const char *)message, at,
                       (int)VZ_MIN(pattern.len, 200), pattern.ptr);
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without JIT it is slower, that is all */
    struct vz_pattern *made = vz_calloc(1, sizeof *made);
    made->code = compiled;
    made->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(made->context, MATCH_LIMIT);
    pcre2_set_heap_limit(made->context, HEAP_LIMIT_KIB);
    uint32_t groups;
    pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &groups);
    made->groups = groups;
    *out = made;
    return VZ_OK;
}

void vz_pattern_free(struct vz_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->context);
    pcre2_code_free(pattern->code);
    free(pattern);
}

unsigned vz_pattern_groups(const struct vz_pattern *pattern)
{
    return pattern->groups;
}

static enum vz_status find(const struct vz_pattern *pattern, struct vz_slice text, size_t from,
                           uint32_t options, size_t *spans, bool *found, struct vz_error *err)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    int code = pcre2_match(pattern->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, from,
                           options | PCRE2_NO_UTF_CHECK, data, pattern->context);
    *found = code > 0;
    if (code > 0 && spans) {
        const PCRE2_SIZE *vector = pcre2_get_ovector_pointer(data);
        for (unsigned i = 0; i < 2 * (pattern->groups + 1); i++)
            spans[i] = i < 2 * (unsigned)code ? vector[i] : SIZE_MAX;
        /* \K can put the start behind the end. */
        if (spans[0] > spans[1])
            spans[0] = spans[1];
    }
    pcre2_match_data_free(data);
    if (code < 0 && code != PCRE2_ERROR_NOMATCH)
        return vz_fail(err, VZ_LIMIT, "a regular expression takes too long on this text");
    return VZ_OK;
}

enum vz_status vz_pattern_find(const struct vz_pattern *pattern, struct vz_slice text, size_t from,
                               size_t *spans, bool *found, struct vz_error *err)
{
    return find(pattern, text, from, 0, spans, found, err);
}

enum vz_status vz_pattern_full(const struct vz_pattern *pattern, struct vz_slice text, bool *found,
                               struct vz_error *err)
{
    return find(pattern, text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, NULL, found, err);
}

enum vz_status vz_java_pattern_fits(struct vz_slice pattern, struct vz_slice text, bool *fits,
                                    struct vz_error *err)
{
    struct vz_pattern *compiled = NULL;
    enum vz_status status = vz_pattern_new(pattern, (struct vz_slice){0}, &compiled, err);
    *fits = false;
    if (status == VZ_OK)
        status = vz_pattern_full(compiled, text, fits, err);
    vz_pattern_free(compiled);
    return status;
}

enum vz_status vz_pattern_expand(struct vz_slice replacement, struct vz_slice text,
                                 const size_t *spans, unsigned groups, size_t max_bytes,
                                 struct vz_buf *out, struct vz_error *err)
{
    size_t before = out->len;
    for (size_t i = 0; i < replacement.len; i++) {
        if (out->len - before > max_bytes)
            return vz_fail(err, VZ_LIMIT, "a replacement makes the text too long");
        char c = replacement.ptr[i];
        if (c == '\\' && i + 1 < replacement.len) {
            vz_buf_append_char(out, replacement.ptr[++i]);
            continue;
        }
        if (c != '$') {
            vz_buf_append_char(out, c);
            continue;
        }
        if (i + 1 >= replacement.len || replacement.ptr[i + 1] < '0' ||
            replacement.ptr[i + 1] > '9')
            return vz_fail(err, VZ_BAD_MAPPING, "Illegal group reference");
        unsigned group = (unsigned)(replacement.ptr[++i] - '0');
        if (group > groups)
            return vz_fail(err, VZ_BAD_MAPPING, "No group %u", group);
        while (i + 1 < replacement.len && replacement.ptr[i + 1] >= '0' &&
               replacement.ptr[i + 1] <= '9' &&
               group * 10 + (unsigned)(replacement.ptr[i + 1] - '0') <= groups)
            group = group * 10 + (unsigned)(replacement.ptr[++i] - '0');
        if (spans[2 * group] != SIZE_MAX)
            vz_buf_append(out, text.ptr + spans[2 * group],
                          spans[2 * group + 1] - spans[2 * group]);
    }
    if (out->len - before > max_bytes)
        return vz_fail(err, VZ_LIMIT, "a replacement makes the text too long");
    return VZ_OK;
}
