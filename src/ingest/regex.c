/* Regular expressions: PCRE2 with limits.
 *
 * Patterns come from those who write pipelines, subjects from anybody, and a pattern such as
 * (a+)+$ takes time exponential in its subject. Two limits bound it: a match may take MATCH_LIMIT
 * of PCRE2's steps (some tens of milliseconds), and all matches of one document together a second
 * of the clock, as Elasticsearch's watchdog has it. Either one fails the document, not the server.
 *
 * Java's dialect and PCRE2's agree on what pipelines write. Known differences: \h is horizontal
 * space in both, [a&&b] is no intersection here. */
#include "ingest/parts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdio.h>
#include <stdlib.h>

#define MATCH_LIMIT 1000000
#define HEAP_LIMIT_KIB (32u << 10)
#define MAX_PATTERN 65536
#define MAX_REGEX_NS 1000000000ull
#define MAX_PARTS 1000000

struct vz_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    uint32_t groups; /* with group 0 */
    struct vz_slice text;
    struct vz_regex *next;
};

struct vz_regex *vz_regex_compile(struct vz_config *c, struct vz_slice pattern,
                                  const char *property)
{
    int code = 0;
    size_t offset = 0;
    if (c->status != VZ_OK)
        return NULL;
    if (pattern.len > MAX_PATTERN) {
        vz_config_fail(c, property, "Invalid regex pattern. It is longer than [%d] bytes",
                       MAX_PATTERN);
        return NULL;
    }
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
                                         PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[160];
        pcre2_get_error_message(code, why, sizeof why);
        vz_config_fail(c, property, "Invalid regex pattern. Found: %s near index %zu: [%.*s]",
                       (const char *)why, offset, VZ_S(pattern));
        return NULL;
    }
    /* Where the processor has no compiler in PCRE2 the interpreter does the same, slower. */
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    struct vz_regex *regex = vz_calloc(1, sizeof *regex);
    regex->code = compiled;
    regex->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
    pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    regex->groups++;
    regex->text = vz_arena_copy(c->arena, pattern);
    regex->next = c->pipeline->regexes;
    c->pipeline->regexes = regex;
    return regex;
}

void vz_regex_free_all(struct vz_regex *first)
{
    while (first) {
        struct vz_regex *next = first->next;
        pcre2_code_free(first->code);
        pcre2_match_context_free(first->limits);
        free(first);
        first = next;
    }
}

unsigned vz_regex_group(const struct vz_regex *regex, const char *name)
{
    int number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)name);
    return number > 0 ? (unsigned)number : 0;
}

void vz_match_init(struct vz_match *match, const struct vz_regex *regex, struct vz_ingest_doc *doc,
                   struct vz_slice subject)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!subject.ptr)
        subject = VZ_SLICE("");
    *match =
        (struct vz_match){.regex = regex,
                          .doc = doc,
                          .subject = subject,
                          .is_utf8 = vz_utf8_valid_prefix(subject.ptr, subject.len) == subject.len,
                          .data = data,
                          .ovector = pcre2_get_ovector_pointer(data)};
}

void vz_match_deinit(struct vz_match *match)
{
    pcre2_match_data_free(match->data);
}

enum vz_status vz_match_next(struct vz_match *match, size_t from, bool *found, struct vz_error *err)
{
    const struct vz_regex *regex = match->regex;
    uint64_t start = vz_now_ns();
    PCRE2_SPTR subject = (PCRE2_SPTR)match->subject.ptr;
    if (!match->is_utf8)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "the regular expression [%.*s] was given a value that is no UTF-8",
                       (int)VZ_MIN(regex->text.len, 120), regex->text.ptr);
    int rc = pcre2_match(regex->code, subject, match->subject.len, from, PCRE2_NO_UTF_CHECK,
                         match->data, regex->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(regex->code, subject, match->subject.len, from,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match->data, regex->limits);
    match->doc->regex_ns += vz_now_ns() - start;
    *found = rc > 0;
    match->groups = rc > 0 ? (unsigned)rc : 0;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT || match->doc->regex_ns > MAX_REGEX_NS)
        return vz_fail(err, VZ_LIMIT,
                       "the regular expression [%.*s] takes too long on a value of [%zu] bytes",
                       (int)VZ_MIN(regex->text.len, 120), regex->text.ptr, match->subject.len);
    if (rc <= 0 && rc != PCRE2_ERROR_NOMATCH)
        return vz_fail(err, VZ_INTERNAL, "the regular expression [%.*s] failed with code [%d]",
                       (int)VZ_MIN(regex->text.len, 120), regex->text.ptr, rc);
    return VZ_OK;
}

/* One character further. */
static size_t advance(struct vz_slice text, size_t at)
{
    at++;
    while (at < text.len && ((unsigned char)text.ptr[at] & 0xC0) == 0x80)
        at++;
    return at;
}

enum vz_status vz_regex_split(const struct vz_regex *regex, struct vz_ingest_doc *doc,
                              struct vz_slice text, size_t limit, bool keep_trailing,
                              struct vz_slice **parts, size_t *count, struct vz_error *err)
{
    struct vz_match match;
    size_t start = 0, from = 0, capacity = 8;
    enum vz_status status = VZ_OK;
    bool found = true;
    *count = 0;
    struct vz_slice *list = vz_alloc(capacity * sizeof *list);
    vz_match_init(&match, regex, doc, text);
    while (from <= text.len && (limit == 0 || *count + 1 < limit)) {
        status = vz_match_next(&match, from, &found, err);
        if (status != VZ_OK || !found)
            break;
        size_t begin = match.ovector[0], end = match.ovector[1];
        from = end > begin ? end : advance(text, end);
        /* An empty match at the beginning or the end cuts nothing off. */
        if (end == begin && (begin == 0 || begin >= text.len))
            continue;
        if (*count + 2 > capacity)
            list = vz_realloc(list, (capacity *= 2) * sizeof *list);
        list[(*count)++] = (struct vz_slice){text.ptr + start, begin - start};
        start = end;
        if (*count >= MAX_PARTS)
            status = vz_fail(err, VZ_LIMIT, "a value splits into more than [%d] parts", MAX_PARTS);
        if (status != VZ_OK)
            break;
    }
    vz_match_deinit(&match);
    list[(*count)++] = (struct vz_slice){text.ptr + start, text.len - start};
    bool cut = *count > 1;
    while (cut && !keep_trailing && limit == 0 && *count && list[*count - 1].len == 0)
        (*count)--;
    *parts = vz_arena_alloc(doc->arena, (*count + 1) * sizeof **parts);
    memcpy(*parts, list, *count * sizeof **parts);
    free(list);
    return status;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static enum vz_status add_group(const struct vz_match *match, unsigned group, struct vz_buf *out,
                                struct vz_error *err)
{
    if (group >= match->regex->groups)
        return vz_fail(err, VZ_BAD_ARGUMENT, "No group %u", group);
    if (group < match->groups && match->ovector[group * 2] != PCRE2_UNSET)
        vz_buf_append(out, match->subject.ptr + match->ovector[group * 2],
                      match->ovector[group * 2 + 1] - match->ovector[group * 2]);
    return VZ_OK;
}

/* "$12" takes as many digits as name a group; at least one. */
static enum vz_status add_number(const struct vz_match *match, struct vz_slice replacement,
                                 size_t *at, struct vz_buf *out, struct vz_error *err)
{
    unsigned group = 0;
    size_t digits = 0;
    while (*at < replacement.len && replacement.ptr[*at] >= '0' && replacement.ptr[*at] <= '9') {
        unsigned next = group * 10 + (unsigned)(replacement.ptr[*at] - '0');
        if (digits && next >= match->regex->groups)
            break;
        group = next;
        digits++;
        (*at)++;
    }
    if (!digits)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Illegal group reference in replacement [%.*s]",
                       VZ_S(replacement));
    return add_group(match, group, out, err);
}

static enum vz_status add_named(const struct vz_match *match, struct vz_slice replacement,
                                size_t *at, struct vz_buf *out, struct vz_error *err)
{
    char name[64];
    const char *close = memchr(replacement.ptr + *at, '}', replacement.len - *at);
    size_t len = close ? (size_t)(close - (replacement.ptr + *at)) : 0;
    if (len == 0 || len >= sizeof name)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "named capturing group is missing trailing '}' in replacement [%.*s]",
                       VZ_S(replacement));
    memcpy(name, replacement.ptr + *at, len);
    name[len] = '\0';
    *at += len + 1;
    unsigned group = vz_regex_group(match->regex, name);
    if (!group)
        return vz_fail(err, VZ_BAD_ARGUMENT, "No group with name {%s}", name);
    return add_group(match, group, out, err);
}

static enum vz_status add_replacement(const struct vz_match *match, struct vz_slice replacement,
                                      struct vz_buf *out, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t at = 0; status == VZ_OK && at < replacement.len;) {
        char c = replacement.ptr[at++];
        if (c == '\\') {
            if (at == replacement.len)
                return vz_fail(err, VZ_BAD_ARGUMENT, "character to be escaped is missing");
            vz_buf_append_char(out, replacement.ptr[at++]);
        } else if (c != '$') {
            vz_buf_append_char(out, c);
        } else if (at < replacement.len && replacement.ptr[at] == '{') {
            at++;
            status = add_named(match, replacement, &at, out, err);
        } else {
            status = add_number(match, replacement, &at, out, err);
        }
    }
    return status;
}

enum vz_status vz_regex_replace(const struct vz_regex *regex, struct vz_ingest_doc *doc,
                                struct vz_slice text, struct vz_slice replacement,
                                struct vz_slice *out, struct vz_error *err)
{
    struct vz_match match;
    struct vz_buf made = {0};
    size_t copied = 0, from = 0;
    enum vz_status status = VZ_OK;
    bool any = false, found;
    vz_match_init(&match, regex, doc, text);
    while (from <= text.len) {
        status = vz_match_next(&match, from, &found, err);
        if (status != VZ_OK || !found)
            break;
        any = true;
        size_t begin = match.ovector[0], end = match.ovector[1];
        vz_buf_append(&made, text.ptr + copied, begin - copied);
        status = add_replacement(&match, replacement, &made, err);
        copied = end;
        from = end > begin ? end : advance(text, end);
        if (status == VZ_OK && made.len > VZ_INGEST_MAX_STRING)
            status = vz_fail(err, VZ_LIMIT, "a replacement gives more than [%zu] bytes",
                             VZ_INGEST_MAX_STRING);
        if (status != VZ_OK)
            break;
    }
    vz_match_deinit(&match);
    *out = text;
    if (status == VZ_OK && any) {
        vz_buf_append(&made, text.ptr + copied, text.len - copied);
        *out = vz_arena_copy(doc->arena, vz_buf_slice(&made));
    }
    vz_buf_deinit(&made);
    return status;
}
