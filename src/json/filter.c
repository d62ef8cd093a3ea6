/* filter.c - keeping parts of a value.
 *
 * Two pattern languages, because Elasticsearch has two:
 *
 * _source (XContentMapValues.filter): a pattern is matched against the whole dotted path, '*'
 * crosses dots, a pattern matches everything below what it names. While walking, each path is one
 * of: outside, on the way (something below may match), matched.
 *
 * filter_path (FilterPath): a pattern is a list of names; '*' stays in one name, '**' spans any
 * number. The names matched so far are a set of positions, a bit each, so that a hostile pattern
 * costs no more than its length per member.
 *
 * Both print lazily: a container is written first and cut off again when nothing stayed in it.
 */
#include "json/filter.h"

#include "json/bytes.h"

#include "base/text.h"

#include <stdlib.h>

enum reach {
    REACH_NONE, /* neither this path nor anything below it */
    REACH_SOME, /* something below may match */
    REACH_ALL   /* this path and all below it */
};

static void append_key(struct vz_buf *out, bool first, struct vz_slice key)
{
    if (!first)
        vz_buf_append_char(out, ',');
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_string(&w, key);
    vz_buf_append_char(out, ':');
}

static void cut(struct vz_buf *out, size_t len)
{
    out->len = len;
    if (out->data)
        out->data[len] = 0;
}

/* ---- _source --------------------------------------------------------------------------------- */

/* Positions in the pattern reached so far, one byte each: a small automaton, because backtracking
 * over many stars is exponential and patterns come from clients. */
static enum reach reach_wild(struct vz_slice pattern, struct vz_slice path)
{
    char small[2][256];
    size_t n = pattern.len;
    char *heap = n + 1 > sizeof small[0] ? vz_calloc(2, n + 1) : NULL;
    char *now = heap ? heap : small[0], *next = heap ? heap + n + 1 : small[1];
    enum reach reach = REACH_NONE;
    memset(now, 0, n + 1);
    now[0] = 1;
    for (size_t at = 0;; at++) {
        bool alive = false;
        for (size_t i = 0; i < n; i++) { /* a star may match nothing */
            if (now[i] && pattern.ptr[i] == '*')
                now[i + 1] = 1;
            alive |= now[i] != 0;
        }
        if (now[n] && (at == path.len || path.ptr[at] == '.')) {
            reach = REACH_ALL;
            break;
        }
        if (at == path.len || !alive) {
            reach = alive ? REACH_SOME : REACH_NONE;
            break;
        }
        memset(next, 0, n + 1);
        for (size_t i = 0; i < n; i++) {
            if (now[i] && pattern.ptr[i] == '*')
                next[i] = 1;
            else if (now[i] && pattern.ptr[i] == path.ptr[at])
                next[i + 1] = 1;
        }
        char *swap = now;
        now = next;
        next = swap;
    }
    free(heap);
    return reach;
}

static enum reach reach_one(struct vz_slice pattern, struct vz_slice path)
{
    if (pattern.len && memchr(pattern.ptr, '*', pattern.len))
        return reach_wild(pattern, path);
    size_t common = VZ_MIN(pattern.len, path.len);
    if (common && memcmp(pattern.ptr, path.ptr, common) != 0)
        return REACH_NONE;
    if (path.len < pattern.len)
        return pattern.ptr[path.len] == '.' ? REACH_SOME : REACH_NONE;
    return path.len == pattern.len || path.ptr[pattern.len] == '.' ? REACH_ALL : REACH_NONE;
}

static enum reach reach_any(struct vz_json_patterns patterns, struct vz_slice path)
{
    enum reach best = REACH_NONE;
    for (size_t i = 0; i < patterns.count && best != REACH_ALL; i++) {
        enum reach reach = reach_one(patterns.items[i], path);
        best = VZ_MAX(best, reach);
    }
    return best;
}

bool vz_json_source_keeps(struct vz_json_patterns includes, struct vz_json_patterns excludes,
                          struct vz_slice path)
{
    if (includes.count > 0 && reach_any(includes, path) != REACH_ALL)
        return false;
    return reach_any(excludes, path) != REACH_ALL;
}

struct source_filter {
    struct vz_json_patterns includes, excludes;
    struct vz_buf path; /* of the container being walked */
    struct vz_buf *out;
};

static bool source_object(struct source_filter *f, struct vz_json object, bool included);

/* The elements share the array's path. An array that was empty before stays when it is included. */
static bool source_array(struct source_filter *f, struct vz_json array, bool included)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    bool any = false;
    vz_buf_append_char(f->out, '[');
    while (vz_json_next(&it, NULL, &element)) {
        size_t mark = f->out->len;
        bool keep = included;
        if (any)
            vz_buf_append_char(f->out, ',');
        if (vz_json_type(element) == VZ_JSON_OBJECT)
            keep = source_object(f, element, included) || included;
        else if (vz_json_type(element) == VZ_JSON_ARRAY)
            keep = source_array(f, element, included);
        else if (included)
            vz_json_print(element, f->out);
        if (keep)
            any = true;
        else
            cut(f->out, mark);
    }
    vz_buf_append_char(f->out, ']');
    return any || (included && vz_json_count(array) == 0);
}

/* Appends one member, or nothing. True when something was appended. The path is the member's. */
static bool source_member(struct source_filter *f, struct vz_slice key, struct vz_json member,
                          bool included, bool first)
{
    struct vz_slice path = vz_buf_slice(&f->path);
    enum reach in = included ? REACH_ALL : reach_any(f->includes, path);
    enum reach ex = in == REACH_NONE ? REACH_ALL : reach_any(f->excludes, path);
    if (in == REACH_NONE || ex == REACH_ALL)
        return false;
    enum vz_json_type type = vz_json_type(member);
    size_t mark = f->out->len;
    append_key(f->out, first, key);
    bool keep = in == REACH_ALL;
    if (keep && ex == REACH_NONE)
        vz_json_print(member, f->out);
    else if (type == VZ_JSON_OBJECT)
        keep = source_object(f, member, keep) || keep;
    else if (type == VZ_JSON_ARRAY)
        keep = source_array(f, member, keep);
    else if (keep)
        vz_json_print(member, f->out);
    if (!keep)
        cut(f->out, mark);
    return keep;
}

/* True when a member stayed. */
static bool source_object(struct source_filter *f, struct vz_json object, bool included)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json member;
    bool any = false;
    size_t path_len = f->path.len;
    vz_buf_append_char(f->out, '{');
    while (vz_json_next(&it, &key, &member)) {
        if (path_len > 0)
            vz_buf_append_char(&f->path, '.');
        vz_buf_append_slice(&f->path, key);
        any |= source_member(f, key, member, included, !any);
        cut(&f->path, path_len);
    }
    vz_buf_append_char(f->out, '}');
    return any;
}

void vz_json_filter_source(struct vz_json value, struct vz_json_patterns includes,
                           struct vz_json_patterns excludes, struct vz_buf *out)
{
    if (includes.count == 0 && excludes.count == 0) {
        vz_json_print(value, out);
        return;
    }
    struct source_filter f = {.includes = includes, .excludes = excludes, .out = out};
    source_object(&f, value, includes.count == 0);
    vz_buf_deinit(&f.path);
}

/* ---- _source, from its text ------------------------------------------------------------------ */

/* Whether a number is written as it would be printed: an integer of up to eighteen digits, or a
 * decimal that is told apart by its digits (no more than fifteen, the last of them no zero) and
 * that is not printed with an exponent. */
static bool is_number_as_printed(const char *p, size_t len)
{
    const char *end = p + len;
    p += *p == '-';
    const char *whole = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    size_t digits = (size_t)(p - whole);
    if (digits == 0 || (*whole == '0' && digits > 1))
        return false;
    if (p == end)
        return digits <= 18 && (*whole != '0' || len == 1);
    const char *fraction = p + 1;
    if (*p != '.' || digits > 7 || end - fraction < 1 || (size_t)(end - fraction) + digits > 15)
        return false;
    bool small = *whole == '0', any = false;
    for (p = fraction; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        any |= *p != '0' && p - fraction < 3;
    }
    return small ? any && end[-1] != '0' : end[-1] != '0' || end - fraction == 1;
}

/* What lies in a text that was checked, as vz_json_print gives it. */
static bool print_text(struct vz_slice value, struct vz_buf *out)
{
    bool quoted = *value.ptr == '"', number = *value.ptr == '-' || (*value.ptr <= '9' && !quoted);
    bool word = *value.ptr == 't' || *value.ptr == 'f' || *value.ptr == 'n';
    if (word || (quoted && value.len >= 2 && vz_is_plain_text(value.ptr + 1, value.len - 2)) ||
        (number && is_number_as_printed(value.ptr, value.len))) {
        vz_buf_append_slice(out, value);
        return true;
    }
    struct vz_json_doc *doc;
    struct vz_json root;
    if (vz_json_parse(value, &doc, &root, NULL) != VZ_OK)
        return false;
    vz_json_print(root, out);
    vz_json_free(doc);
    return true;
}

bool vz_json_filter_source_text(struct vz_slice text, struct vz_json_patterns includes,
                                struct vz_json_patterns excludes, struct vz_buf *out)
{
    struct vz_slice rest = text, key, value;
    size_t mark = out->len;
    bool any = false;
    vz_buf_append_char(out, '{');
    while (vz_json_raw_next(&rest, &key, &value)) {
        bool container = *value.ptr == '{' || *value.ptr == '[';
        bool plain = vz_is_plain_text(key.ptr, key.len);
        enum reach in = includes.count ? reach_any(includes, key) : REACH_ALL;
        enum reach ex = in == REACH_NONE ? REACH_ALL : reach_any(excludes, key);
        if (plain && (in == REACH_NONE || ex == REACH_ALL || (in == REACH_SOME && !container)))
            continue;
        if (any)
            vz_buf_append_char(out, ',');
        any = true;
        vz_buf_append_char(out, '"');
        vz_buf_append_slice(out, key);
        vz_buf_append(out, "\":", 2);
        if (!plain || (container && (in == REACH_SOME || ex == REACH_SOME)) ||
            !print_text(value, out)) {
            cut(out, mark);
            return false;
        }
    }
    vz_buf_append_char(out, '}');
    return true;
}

/* ---- filter_path ----------------------------------------------------------------------------- */

/* A position bit must fit a word; what is nested deeper than a parsed value can be matches nothing.
 */
enum { MAX_NAMES = 63 };

struct name_pattern {
    struct vz_slice names[MAX_NAMES];
    unsigned count;
};

struct name_patterns {
    struct name_pattern **items;
    size_t count;
    uint64_t *states; /* [level][pattern]: bit i: names[i] is to be matched next */
};

struct path_filter {
    struct name_patterns includes, excludes;
    struct vz_arena arena;
    struct vz_buf *out;
};

static bool is_double_star(struct vz_slice name)
{
    return vz_slice_is(name, "**");
}

/* Position `at` and, as "**" may span nothing, those behind it. The last "**" must span a name. */
static uint64_t positions_from(const struct name_pattern *p, unsigned at)
{
    uint64_t bits = 1ull << at;
    while (is_double_star(p->names[at]) && at + 1 < p->count)
        bits |= 1ull << ++at;
    return bits;
}

static enum reach step(const struct name_patterns *patterns, size_t level, struct vz_slice name)
{
    const uint64_t *now = patterns->states + level * patterns->count;
    uint64_t *next = patterns->states + (level + 1) * patterns->count;
    uint64_t any = 0;
    for (size_t k = 0; k < patterns->count; k++) {
        const struct name_pattern *p = patterns->items[k];
        next[k] = 0;
        for (uint64_t left = now[k]; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);
            bool spans = is_double_star(p->names[i]);
            if (!spans && !vz_wildcard_match(p->names[i], name))
                continue;
            if (i + 1 == p->count)
                return REACH_ALL;
            next[k] |= positions_from(p, spans ? i : i + 1);
        }
        any |= next[k];
    }
    return any ? REACH_SOME : REACH_NONE;
}

static bool path_value(struct path_filter *f, struct vz_json value, size_t level, bool included,
                       bool untouched);

static bool path_member(struct path_filter *f, struct vz_slice key, struct vz_json member,
                        size_t level, bool included, bool untouched, bool first)
{
    enum reach in = included ? REACH_ALL : step(&f->includes, level, key);
    if (in == REACH_NONE)
        return false;
    enum reach ex = untouched ? REACH_NONE : step(&f->excludes, level, key);
    if (ex == REACH_ALL)
        return false;
    size_t mark = f->out->len;
    append_key(f->out, first, key);
    bool keep = path_value(f, member, level + 1, in == REACH_ALL, ex == REACH_NONE);
    if (!keep)
        cut(f->out, mark);
    return keep;
}

/* `included`: all below is wanted; `untouched`: no exclusion can reach below. Appends the value and
 * returns true, or leaves a partial text for the caller to cut off. */
static bool path_value(struct path_filter *f, struct vz_json value, size_t level, bool included,
                       bool untouched)
{
    enum vz_json_type type = vz_json_type(value);
    bool container = type == VZ_JSON_OBJECT || type == VZ_JSON_ARRAY;
    if (!container || (included && untouched)) {
        vz_json_print(value, f->out);
        return included;
    }
    bool object = type == VZ_JSON_OBJECT, any = false;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    vz_buf_append_char(f->out, object ? '{' : '[');
    while (vz_json_next(&it, &key, &member)) {
        if (object) {
            any |= path_member(f, key, member, level, included, untouched, !any);
            continue;
        }
        size_t mark = f->out->len;
        if (any)
            vz_buf_append_char(f->out, ',');
        if (path_value(f, member, level, included, untouched))
            any = true;
        else
            cut(f->out, mark);
    }
    vz_buf_append_char(f->out, object ? '}' : ']');
    return any;
}

/* "a.b\.c" -> names "a", "b.c". False for one too long to match anything. */
static bool split_names(struct path_filter *f, struct vz_slice text, struct name_pattern *p)
{
    char *name = vz_arena_alloc(&f->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == '.') {
            name[len++] = text.ptr[++i];
        } else if (i == text.len || text.ptr[i] == '.') {
            if (p->count == MAX_NAMES)
                return false;
            p->names[p->count++] = (struct vz_slice){name, len};
            name += len;
            len = 0;
        } else {
            name[len++] = text.ptr[i];
        }
    }
    return true;
}

static void add_pattern(struct path_filter *f, struct vz_slice text)
{
    struct name_patterns *to = &f->includes;
    if (text.len > 0 && text.ptr[0] == '-') {
        to = &f->excludes;
        text.ptr++;
        text.len--;
    }
    struct name_pattern *p = vz_arena_zalloc(&f->arena, sizeof *p);
    if (text.len > 0 && split_names(f, text, p))
        to->items[to->count++] = p;
}

static void start_states(struct path_filter *f, struct name_patterns *patterns)
{
    size_t levels = VZ_JSON_MAX_DEPTH + 3;
    patterns->states = vz_arena_zalloc(&f->arena, levels * patterns->count * sizeof(uint64_t));
    for (size_t k = 0; k < patterns->count; k++)
        patterns->states[k] = positions_from(patterns->items[k], 0);
}

void vz_json_filter_path(struct vz_json value, struct vz_slice paths, struct vz_buf *out)
{
    struct path_filter f = {.out = out};
    size_t most = 1;
    bool includes = false; /* asked for, even when none of them can match */
    for (size_t i = 0; i < paths.len; i++)
        most += paths.ptr[i] == ',';
    f.includes.items = vz_arena_alloc(&f.arena, most * sizeof(struct name_pattern *));
    f.excludes.items = vz_arena_alloc(&f.arena, most * sizeof(struct name_pattern *));
    for (size_t start = 0; start <= paths.len;) {
        size_t end = start;
        while (end < paths.len && paths.ptr[end] != ',')
            end++;
        struct vz_slice one = {paths.ptr + start, end - start};
        if (one.len > 0) {
            includes |= one.ptr[0] != '-';
            add_pattern(&f, one);
        }
        start = end + 1;
    }
    start_states(&f, &f.includes);
    start_states(&f, &f.excludes);
    size_t mark = out->len;
    if (!path_value(&f, value, 0, !includes, f.excludes.count == 0)) {
        cut(out, mark);
        vz_buf_append(out, "{}", 2);
    }
    vz_arena_deinit(&f.arena);
}
