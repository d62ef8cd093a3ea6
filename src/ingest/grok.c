/* grok: a text against named patterns.
 *
 * "%{IP:client} %{NUMBER:bytes:int}" is expanded into one regular expression, in which each %{...}
 * with a field becomes a group of our own name (g1, g2, ...), because fields may have dots and more
 * than one group may fill a field: the first that matched does. Groups written as (?<field>...) in
 * a pattern are fields too. Expansion is bounded in depth and size, so that patterns that name
 * themselves are refused. */
#include "ingest/grok.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DEPTH 40
#define MAX_EXPANDED 60000
#define MAX_CAPTURES 200
#define MAX_PATTERNS 64

enum capture_type { AS_TEXT, AS_INT, AS_LONG, AS_FLOAT, AS_DOUBLE, AS_BOOLEAN };

struct capture {
    struct vz_slice field;
    enum capture_type type;
    unsigned group;
};

struct pattern {
    struct vz_regex *regex;
    struct capture *captures;
    size_t count;
};

struct grok {
    struct vz_slice field;
    struct pattern *patterns;
    size_t count;
    bool ignore_missing, trace;
};

struct expansion {
    struct vz_config *c;
    struct vz_json definitions; /* of the processor; may be missing */
    bool v1;
    struct vz_buf out;
    struct capture captures[MAX_CAPTURES];
    size_t count;
};

static void expand(struct expansion *e, struct vz_slice text, unsigned depth);

static bool find_pattern(struct expansion *e, struct vz_slice name, struct vz_slice *text)
{
    struct vz_json_iter it = vz_json_iterate(e->definitions);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (vz_slice_eq(key, name)) {
            *text = vz_json_string(value);
            return true;
        }
    for (size_t i = 0; e->v1 && i < vz_grok_pattern_v1_count; i++)
        if (vz_slice_is(name, vz_grok_patterns_v1[i].name)) {
            *text = vz_slice_from(vz_grok_patterns_v1[i].text);
            return true;
        }
    for (size_t i = 0; i < vz_grok_pattern_count; i++)
        if (vz_slice_is(name, vz_grok_patterns[i].name)) {
            *text = vz_slice_from(vz_grok_patterns[i].text);
            return true;
        }
    return false;
}

static bool begin_capture(struct expansion *e, struct vz_slice field, struct vz_slice type)
{
    static const char *const names[] = {"string", "int", "long", "float", "double", "boolean"};
    size_t t = 0;
    if (e->count == MAX_CAPTURES) {
        vz_config_fail(e->c, "patterns", "a grok pattern captures more than [%d] fields",
                       MAX_CAPTURES);
        return false;
    }
    while (type.len && t < VZ_COUNT_OF(names) && !vz_slice_is(type, names[t]))
        t++;
    if (t == VZ_COUNT_OF(names))
        t = AS_TEXT; /* an unknown type is text, as in Elasticsearch */
    e->captures[e->count++] =
        (struct capture){vz_arena_copy(e->c->arena, field), (enum capture_type)t, 0};
    vz_buf_printf(&e->out, "(?<g%zu>", e->count);
    return true;
}

/* "NAME", "NAME:field", "NAME:field:type", each with "=definition" behind. */
static void expand_reference(struct expansion *e, struct vz_slice inner, unsigned depth)
{
    struct vz_slice whole = inner, rest = inner, own = {NULL, 0}, text;
    const char *equals = memchr(rest.ptr, '=', rest.len);
    if (equals) {
        size_t at = (size_t)(equals - rest.ptr);
        own = (struct vz_slice){equals + 1, rest.len - at - 1};
        rest.len = at;
    }
    struct vz_slice name = vz_slice_cut(&rest, ':'), field = vz_slice_cut(&rest, ':'), type = rest;
    if (own.ptr) {
        text = own;
    } else if (!find_pattern(e, name, &text)) {
        vz_config_fail(e->c, "patterns",
                       "Invalid regex pattern found in: [%.*s]. Unable to find "
                       "pattern [%.*s] in Grok's pattern dictionary",
                       VZ_S(whole), VZ_S(name));
        return;
    }
    if (field.len && !begin_capture(e, field, type))
        return;
    if (!field.len)
        vz_buf_append_str(&e->out, "(?:");
    expand(e, text, depth + 1);
    vz_buf_append_char(&e->out, ')');
}

/* Whether a named group begins at `rest`: "(?<name>" and no look-behind. */
static bool named_group(struct vz_slice rest, struct vz_slice *name)
{
    if (!vz_slice_starts(rest, "(?<") || rest.len < 5 || rest.ptr[3] == '=' || rest.ptr[3] == '!')
        return false;
    const char *end = memchr(rest.ptr, '>', rest.len);
    if (!end)
        return false;
    *name = (struct vz_slice){rest.ptr + 3, (size_t)(end - rest.ptr) - 3};
    return true;
}

static void expand(struct expansion *e, struct vz_slice text, unsigned depth)
{
    if (depth > MAX_DEPTH || e->out.len > MAX_EXPANDED) {
        vz_config_fail(e->c, "patterns",
                       depth > MAX_DEPTH ? "circular reference in pattern, or patterns nested "
                                           "too deep [%.*s]"
                                         : "the grok pattern is too large [%.*s]",
                       (int)VZ_MIN(text.len, 80), text.ptr);
        return;
    }
    for (size_t i = 0; i < text.len && e->c->status == VZ_OK;) {
        struct vz_slice rest = {text.ptr + i, text.len - i}, name;
        if (rest.ptr[0] == '\\' && rest.len > 1) {
            vz_buf_append(&e->out, rest.ptr, 2);
            i += 2;
        } else if (vz_slice_starts(rest, "%{")) {
            const char *close = memchr(rest.ptr, '}', rest.len);
            if (!close) {
                vz_config_fail(e->c, "patterns", "a %%{ without a } in [%.*s]", VZ_S(text));
                return;
            }
            size_t len = (size_t)(close - rest.ptr);
            expand_reference(e, (struct vz_slice){rest.ptr + 2, len - 2}, depth);
            i += len + 1;
        } else if (named_group(rest, &name)) {
            struct vz_slice none = {NULL, 0};
            if (!begin_capture(e, name, none))
                return;
            i += name.len + 4;
        } else {
            vz_buf_append_char(&e->out, rest.ptr[0]);
            i++;
        }
    }
}

static void compile_pattern(struct vz_config *c, struct vz_json definitions, bool v1,
                            struct vz_slice text, struct pattern *pattern)
{
    struct expansion *e = vz_calloc(1, sizeof *e);
    e->c = c;
    e->definitions = definitions;
    e->v1 = v1;
    expand(e, text, 0);
    pattern->regex = vz_regex_compile(c, vz_buf_slice(&e->out), "patterns");
    if (pattern->regex) {
        pattern->captures = vz_arena_alloc(c->arena, (e->count + 1) * sizeof *pattern->captures);
        pattern->count = e->count;
        for (size_t i = 0; i < e->count; i++) {
            char name[32];
            snprintf(name, sizeof name, "g%zu", i + 1);
            pattern->captures[i] = e->captures[i];
            pattern->captures[i].group = vz_regex_group(pattern->regex, name);
        }
    }
    vz_buf_deinit(&e->out);
    free(e);
}

void vz_grok_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct grok *grok = processor->config = vz_arena_zalloc(c->arena, sizeof *grok);
    struct vz_json definitions = {0};
    struct vz_slice *texts;
    grok->field = vz_config_text(c, "field");
    grok->count = vz_config_list(c, "patterns", true, false, &texts);
    grok->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    grok->trace = vz_config_bool(c, "trace_match", false);
    struct vz_slice ecs = vz_config_text_or(c, "ecs_compatibility", "disabled");
    bool v1 = vz_slice_is(ecs, "v1");
    if (!v1 && !vz_slice_is(ecs, "disabled"))
        vz_config_fail(c, "ecs_compatibility", "unsupported mode '%.*s'", VZ_S(ecs));
    if (c->status == VZ_OK && vz_config_has(c, "pattern_definitions", &definitions) &&
        vz_json_type(definitions) != VZ_JSON_OBJECT)
        vz_config_fail(c, "pattern_definitions", "property isn't a map, but of type [%s]",
                       vz_java_type_of_json(definitions));
    if (c->status == VZ_OK && grok->count == 0)
        vz_config_fail(c, "patterns", "List of patterns must not be empty");
    if (c->status == VZ_OK && grok->count > MAX_PATTERNS)
        vz_config_fail(c, "patterns", "more than [%d] patterns", MAX_PATTERNS);
    if (c->status != VZ_OK)
        return;
    grok->patterns = vz_arena_zalloc(c->arena, grok->count * sizeof *grok->patterns);
    for (size_t i = 0; c->status == VZ_OK && i < grok->count; i++)
        compile_pattern(c, definitions, v1, texts[i], &grok->patterns[i]);
}

/* ---- matching -------------------------------------------------------------------------------- */

static struct vz_value *typed(struct vz_arena *arena, struct vz_slice text, enum capture_type type,
                              bool *ok)
{
    char digits[64], *end = digits;
    size_t len = VZ_MIN(text.len, sizeof digits - 1);
    *ok = true;
    if (type == AS_TEXT)
        return vz_value_string(arena, text);
    if (type == AS_BOOLEAN)
        return vz_value_bool(arena, text.len == 4 && strncasecmp(text.ptr, "true", 4) == 0);
    memcpy(digits, text.ptr, len);
    digits[len] = '\0';
    struct vz_value *value;
    if (type == AS_INT || type == AS_LONG)
        value = vz_value_int(arena, strtoll(digits, &end, 10));
    else if (type == AS_FLOAT)
        value = vz_value_of_float(arena, strtof(digits, &end));
    else
        value = vz_value_double(arena, strtod(digits, &end));
    *ok = end != digits && *end == '\0' && len == text.len;
    return value;
}

static enum vz_status take_captures(const struct pattern *pattern, const struct vz_match *match,
                                    struct vz_ingest_doc *doc, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < pattern->count; i++) {
        const struct capture *capture = &pattern->captures[i];
        if (capture->group >= match->groups || match->ovector[capture->group * 2] == ~(size_t)0)
            continue;
        bool taken = false, ok;
        for (size_t k = 0; k < i && !taken; k++)
            taken = vz_slice_eq(pattern->captures[k].field, capture->field) &&
                    pattern->captures[k].group < match->groups &&
                    match->ovector[pattern->captures[k].group * 2] != ~(size_t)0;
        if (taken)
            continue;
        size_t from = match->ovector[capture->group * 2],
               to = match->ovector[capture->group * 2 + 1];
        struct vz_slice text = {match->subject.ptr + from, to - from};
        struct vz_value *value = typed(doc->arena, text, capture->type, &ok);
        if (!ok)
            return vz_fail(err, VZ_BAD_ARGUMENT, "For input string: \"%.*s\"", VZ_S(text));
        status = vz_path_set(doc, capture->field, value, err);
    }
    return status;
}

VZ_KIND_RUN(grok)
{
    const struct grok *grok = processor->config;
    struct vz_slice text;
    bool found;
    enum vz_status status =
        vz_path_text(doc, grok->field, grok->ignore_missing, &text, &found, err);
    if (status != VZ_OK || !found)
        return status;
    for (size_t i = 0; i < grok->count; i++) {
        struct vz_match match;
        vz_match_init(&match, grok->patterns[i].regex, doc, text);
        status = vz_match_next(&match, 0, &found, err);
        if (status == VZ_OK && found) {
            status = take_captures(&grok->patterns[i], &match, doc, err);
            char number[24];
            snprintf(number, sizeof number, "%zu", i);
            if (grok->trace)
                vz_value_put(doc->ingest, VZ_SLICE("_grok_match_index"),
                             vz_value_string(doc->arena, vz_slice_from(number)));
        }
        vz_match_deinit(&match);
        if (status != VZ_OK || found)
            return status;
    }
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "Provided Grok expressions do not match field value: "
                   "[%.*s]",
                   (int)VZ_MIN(text.len, 300), text.ptr);
}

/* ---- the list -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct vz_grok_pattern *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

void vz_ingest_grok_print(bool sorted, bool v1, struct vz_json_writer *w)
{
    const struct vz_grok_pattern **list = vz_alloc(vz_grok_pattern_count * sizeof *list);
    for (size_t i = 0; i < vz_grok_pattern_count; i++) {
        list[i] = &vz_grok_patterns[i];
        for (size_t k = 0; v1 && k < vz_grok_pattern_v1_count; k++)
            if (strcmp(vz_grok_patterns_v1[k].name, list[i]->name) == 0)
                list[i] = &vz_grok_patterns_v1[k];
    }
    if (sorted)
        qsort(list, vz_grok_pattern_count, sizeof *list, by_name);
    vz_json_begin_object(w);
    for (size_t i = 0; i < vz_grok_pattern_count; i++)
        vz_json_field_str(w, list[i]->name, list[i]->text);
    vz_json_end_object(w);
    free(list);
}
