/* csv, json, kv, dissect: one string to several fields. */
#include "base/text.h"
#include "ingest/parts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- csv ------------------------------------------------------------------------------------- */

struct csv {
    struct vz_slice field, *targets;
    size_t target_count;
    char separator, quote;
    bool ignore_missing, trim;
    bool has_empty_value;
    struct vz_value *empty_value;
};

void vz_csv_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct csv *csv = processor->config = vz_arena_zalloc(c->arena, sizeof *csv);
    struct vz_json value;
    csv->field = vz_config_text(c, "field");
    csv->target_count = vz_config_list(c, "target_fields", true, false, &csv->targets);
    struct vz_slice quote = vz_config_text_or(c, "quote", "\"");
    struct vz_slice separator = vz_config_text_or(c, "separator", ",");
    csv->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    csv->trim = vz_config_bool(c, "trim", false);
    csv->has_empty_value = c->status == VZ_OK && vz_config_has(c, "empty_value", &value);
    if (csv->has_empty_value)
        csv->empty_value = vz_value_from(c->arena, value);
    if (c->status == VZ_OK && csv->target_count == 0)
        vz_config_fail(c, "target_fields", "target_fields list can't be empty");
    if (quote.len != 1)
        vz_config_fail(c, "quote", "quote has to be single character like \" or '");
    else if (separator.len != 1)
        vz_config_fail(c, "separator", "separator has to be single character like , or ;");
    else if (strchr("\n\r\"'", separator.ptr[0]))
        vz_config_fail(c, "separator", "separator can't be '\\n', '\\r', '\"' or '''");
    if (c->status != VZ_OK)
        return;
    csv->quote = quote.ptr[0];
    csv->separator = separator.ptr[0];
}

/* Takes a quoted cell off `rest` (which begins with the quote) up to the separator behind it. */
static bool take_quoted(const struct csv *csv, struct vz_slice *rest, struct vz_buf *cell,
                        const char **why)
{
    size_t at = 1;
    for (;; at++) {
        if (at >= rest->len) {
            *why = "Unmatched quote";
            return false;
        }
        if (rest->ptr[at] != csv->quote) {
            vz_buf_append_char(cell, rest->ptr[at]);
        } else if (at + 1 < rest->len && rest->ptr[at + 1] == csv->quote) {
            vz_buf_append_char(cell, csv->quote);
            at++;
        } else {
            at++;
            break;
        }
    }
    while (csv->trim && at < rest->len && (rest->ptr[at] == ' ' || rest->ptr[at] == '\t'))
        at++;
    if (at < rest->len && rest->ptr[at] != csv->separator) {
        *why = "character after quoted field should be separator or end of line";
        return false;
    }
    *rest = (struct vz_slice){rest->ptr + at, rest->len - at};
    return true;
}

static enum vz_status set_cell(const struct csv *csv, struct vz_ingest_doc *doc, size_t column,
                               struct vz_slice text, struct vz_error *err)
{
    if (column >= csv->target_count)
        return VZ_OK;
    if (text.len == 0 && !csv->has_empty_value)
        return VZ_OK;
    struct vz_value *value =
        text.len ? vz_value_string(doc->arena, text) : vz_value_copy(doc->arena, csv->empty_value);
    struct vz_slice target = csv->targets[column];
    return target.len ? vz_path_set(doc, target, value, err) : VZ_OK;
}

VZ_KIND_RUN(csv)
{
    const struct csv *csv = processor->config;
    struct vz_slice text, rest;
    bool found;
    enum vz_status status = vz_path_text(doc, csv->field, csv->ignore_missing, &text, &found, err);
    if (status != VZ_OK || !found)
        return status;
    rest = text;
    struct vz_buf cell = {0};
    for (size_t column = 0; status == VZ_OK && column < csv->target_count; column++) {
        const char *why = NULL;
        struct vz_slice value;
        if (csv->trim)
            while (rest.len && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t'))
                rest = (struct vz_slice){rest.ptr + 1, rest.len - 1};
        vz_buf_clear(&cell);
        if (rest.len && rest.ptr[0] == csv->quote) {
            if (take_quoted(csv, &rest, &cell, &why))
                value = vz_buf_slice(&cell);
        } else {
            const char *end = rest.len ? memchr(rest.ptr, csv->separator, rest.len) : NULL;
            value = (struct vz_slice){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
            rest = (struct vz_slice){rest.ptr + value.len, rest.len - value.len};
            if (value.len && memchr(value.ptr, csv->quote, value.len))
                why = "quote inside unquoted field";
            if (csv->trim)
                value = vz_slice_trim_of(value, " \t");
        }
        if (why)
            status = vz_fail(err, VZ_BAD_ARGUMENT, "Illegal character inside field at %zu: %s",
                             text.len - rest.len, why);
        else
            status = set_cell(csv, doc, column, value, err);
        if (rest.len == 0)
            break;
        rest = (struct vz_slice){rest.ptr + 1, rest.len - 1}; /* the separator */
    }
    vz_buf_deinit(&cell);
    return status;
}

/* ---- json ------------------------------------------------------------------------------------ */

struct json {
    struct vz_slice field, target;
    bool add_to_root, merge, allow_duplicates, strict;
};

void vz_json_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct json *json = processor->config = vz_arena_zalloc(c->arena, sizeof *json);
    json->field = vz_config_text(c, "field");
    json->target = vz_config_text_or(c, "target_field", NULL);
    json->add_to_root = vz_config_bool(c, "add_to_root", false);
    json->allow_duplicates = vz_config_bool(c, "allow_duplicate_keys", false);
    json->strict = vz_config_bool(c, "strict_json_parsing", true);
    struct vz_slice strategy = vz_config_text_or(c, "add_to_root_conflict_strategy", NULL);
    json->merge = strategy.ptr && vz_slice_is(strategy, "merge");
    if (strategy.ptr && !json->merge && !vz_slice_is(strategy, "replace"))
        vz_config_fail(c, "add_to_root_conflict_strategy",
                       "conflict strategy [%.*s] not supported, cannot convert field.",
                       VZ_S(strategy));
    else if (strategy.ptr && !json->add_to_root)
        vz_config_fail(c, "add_to_root_conflict_strategy",
                       "Cannot set `add_to_root_conflict_strategy` if `add_to_root` is false");
    if (json->add_to_root && json->target.ptr)
        vz_config_fail(c, "target_field",
                       "Cannot set a target field while also setting `add_to_root` to true");
    if (!json->strict)
        vz_config_unsupported(c, "strict_json_parsing", "[false] is not supported");
    if (!json->target.ptr)
        json->target = json->field;
}

static void merge(struct vz_value *into, struct vz_value *from, bool deep)
{
    for (size_t i = 0; i < from->object.count; i++) {
        struct vz_value_member member = from->object.members[i];
        struct vz_value *there = vz_value_get(into, member.key);
        if (deep && there && there->type == VZ_VALUE_OBJECT &&
            member.value->type == VZ_VALUE_OBJECT)
            merge(there, member.value, deep);
        else
            vz_value_put(into, member.key, member.value);
    }
}

VZ_KIND_RUN(json)
{
    const struct json *json = processor->config;
    struct vz_value *value, *made;
    struct vz_json_doc *parsed;
    struct vz_json root;
    struct vz_slice duplicate;
    struct vz_error why = {.offset = VZ_NO_OFFSET};
    enum vz_status status = vz_path_get(doc, json->field, &value, err);
    if (status != VZ_OK)
        return status;
    /* Anything but a string is its own JSON; a copy, as the target may lie within it. */
    if (value->type != VZ_VALUE_STRING) {
        made = vz_value_copy(doc->arena, value);
    } else {
        status = vz_json_parse(value->string, &parsed, &root, &why);
        if (status != VZ_OK)
            return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] holds no JSON: %s",
                           VZ_S(json->field), why.text);
        bool twice = !json->allow_duplicates && vz_json_find_duplicate(root, &duplicate);
        if (twice)
            status = vz_fail(err, VZ_BAD_ARGUMENT, "Duplicate field '%.*s'", VZ_S(duplicate));
        else
            made = vz_value_from(doc->arena, root);
        vz_json_free(parsed);
        if (twice)
            return status;
    }
    if (!json->add_to_root)
        return vz_path_set(doc, json->target, made, err);
    if (made->type != VZ_VALUE_OBJECT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot add non-map fields to root of document");
    merge(doc->ctx, made, json->merge);
    return VZ_OK;
}

/* ---- kv -------------------------------------------------------------------------------------- */

struct kv {
    struct vz_template *field, *target;
    struct vz_regex *field_split, *value_split, *trim_key, *trim_value, *brackets;
    struct vz_slice value_split_text, prefix, *include, *exclude;
    size_t include_count, exclude_count;
    bool has_include, ignore_missing;
};

static struct vz_regex *trimmer(struct vz_config *c, const char *name)
{
    struct vz_slice set = vz_config_text_or(c, name, NULL);
    if (!set.ptr || c->status != VZ_OK)
        return NULL;
    char *pattern = vz_arena_printf(c->arena, "(^([%.*s]+))|([%.*s]+$)", VZ_S(set), VZ_S(set));
    return vz_regex_compile(c, vz_slice_from(pattern), name);
}

void vz_kv_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct kv *kv = processor->config = vz_arena_zalloc(c->arena, sizeof *kv);
    struct vz_json value;
    kv->field = vz_config_template(c, "field", true);
    kv->target = vz_config_template(c, "target_field", false);
    struct vz_slice field_split = vz_config_text(c, "field_split");
    kv->value_split_text = vz_config_text(c, "value_split");
    kv->field_split = vz_regex_compile(c, field_split, "field_split");
    kv->value_split = vz_regex_compile(c, kv->value_split_text, "value_split");
    kv->trim_key = trimmer(c, "trim_key");
    kv->trim_value = trimmer(c, "trim_value");
    kv->prefix = vz_config_text_or(c, "prefix", "");
    if (vz_config_bool(c, "strip_brackets", false))
        kv->brackets =
            vz_regex_compile(c, VZ_SLICE("(^[\\(\\[<\"'])|([\\]\\)>\"']$)"), "strip_brackets");
    kv->has_include = c->status == VZ_OK && vz_config_has(c, "include_keys", &value);
    kv->include_count = vz_config_list(c, "include_keys", false, false, &kv->include);
    kv->exclude_count = vz_config_list(c, "exclude_keys", false, false, &kv->exclude);
    kv->ignore_missing = vz_config_bool(c, "ignore_missing", false);
}

static bool in_list(const struct vz_slice *list, size_t count, struct vz_slice text)
{
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(list[i], text))
            return true;
    return false;
}

static enum vz_status add_pair(const struct kv *kv, struct vz_ingest_doc *doc,
                               struct vz_slice target, struct vz_slice key, struct vz_slice value,
                               struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (kv->trim_key)
        status = vz_regex_replace(kv->trim_key, doc, key, VZ_SLICE(""), &key, err);
    if (status != VZ_OK || (kv->has_include && !in_list(kv->include, kv->include_count, key)) ||
        in_list(kv->exclude, kv->exclude_count, key))
        return status;
    if (kv->brackets)
        status = vz_regex_replace(kv->brackets, doc, value, VZ_SLICE(""), &value, err);
    if (status == VZ_OK && kv->trim_value)
        status = vz_regex_replace(kv->trim_value, doc, value, VZ_SLICE(""), &value, err);
    if (status != VZ_OK)
        return status;
    struct vz_slice path =
        vz_slice_from(vz_arena_printf(doc->arena, "%.*s%s%.*s%.*s", VZ_S(target),
                                      target.len ? "." : "", VZ_S(kv->prefix), VZ_S(key)));
    struct vz_value *text = vz_value_string(doc->arena, value);
    return vz_path_find(doc, path) ? vz_path_append(doc, path, text, true, err)
                                   : vz_path_set(doc, path, text, err);
}

VZ_KIND_RUN(kv)
{
    const struct kv *kv = processor->config;
    struct vz_slice path, target = VZ_SLICE(""), text, *parts, *pair;
    size_t count = 0, halves;
    bool found;
    enum vz_status status = vz_template_render(kv->field, doc, &path, err);
    if (status == VZ_OK && kv->target)
        status = vz_template_render(kv->target, doc, &target, err);
    if (status != VZ_OK)
        return status;
    if (!path.len || !vz_path_find(doc, path))
        return kv->ignore_missing
                   ? VZ_OK
                   : vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] doesn't exist", VZ_S(path));
    if (vz_path_find(doc, path)->type == VZ_VALUE_NULL && !kv->ignore_missing)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] is null, cannot extract key-value pairs.", VZ_S(path));
    status = vz_path_text(doc, path, kv->ignore_missing, &text, &found, err);
    if (status != VZ_OK || !found)
        return status;
    status = vz_regex_split(kv->field_split, doc, text, 0, false, &parts, &count, err);
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        status = vz_regex_split(kv->value_split, doc, parts[i], 2, true, &pair, &halves, err);
        if (status == VZ_OK && halves != 2)
            return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] does not contain value_split [%.*s]",
                           VZ_S(path), VZ_S(kv->value_split_text));
        if (status == VZ_OK)
            status = add_pair(kv, doc, target, pair[0], pair[1], err);
    }
    return status;
}

/* ---- dissect --------------------------------------------------------------------------------- */

#define MAX_KEYS 200

struct dissect_key {
    enum { KEY_PLAIN, KEY_SKIP, KEY_APPEND, KEY_NAME, KEY_VALUE } kind;
    struct vz_slice name;
    int order;                 /* of "+name/2"; else 0 */
    bool pads;                 /* "->" */
    struct vz_slice delimiter; /* behind it; empty: the rest of the text */
};

struct dissect {
    struct vz_slice field, pattern, append_separator, prefix;
    struct dissect_key *keys;
    size_t count;
    bool ignore_missing;
};

static void read_key(struct vz_config *c, struct dissect_key *key, struct vz_slice inner)
{
    if (inner.len >= 2 && memcmp(inner.ptr + inner.len - 2, "->", 2) == 0) {
        key->pads = true;
        inner.len -= 2;
    }
    key->kind = KEY_PLAIN;
    if (inner.len && strchr("?+*&", inner.ptr[0])) {
        key->kind = inner.ptr[0] == '?'   ? KEY_SKIP
                    : inner.ptr[0] == '+' ? KEY_APPEND
                    : inner.ptr[0] == '*' ? KEY_NAME
                                          : KEY_VALUE;
        inner = (struct vz_slice){inner.ptr + 1, inner.len - 1};
    }
    const char *slash = inner.len ? memchr(inner.ptr, '/', inner.len) : NULL;
    if (slash && key->kind == KEY_APPEND) {
        key->order = atoi(slash + 1);
        inner.len = (size_t)(slash - inner.ptr);
    }
    if (inner.len == 0) {
        if (key->kind != KEY_PLAIN && key->kind != KEY_SKIP)
            vz_config_fail(c, "pattern", "Unable to parse pattern: a key has no name");
        key->kind = KEY_SKIP;
    }
    key->name = inner;
}

static void read_keys(struct vz_config *c, struct dissect *dissect)
{
    struct vz_slice rest = dissect->pattern;
    dissect->keys = vz_arena_zalloc(c->arena, MAX_KEYS * sizeof *dissect->keys);
    const char *first = memmem(rest.ptr, rest.len, "%{", 2);
    if (!first) {
        vz_config_fail(c, "pattern",
                       "Unable to parse pattern: %.*s Reason: Unable to find any keys "
                       "or delimiters.",
                       VZ_S(rest));
        return;
    }
    dissect->prefix = (struct vz_slice){rest.ptr, (size_t)(first - rest.ptr)};
    rest = (struct vz_slice){first, rest.len - dissect->prefix.len};
    while (rest.len && c->status == VZ_OK) {
        const char *close = memchr(rest.ptr, '}', rest.len);
        if (!close || dissect->count == MAX_KEYS) {
            vz_config_fail(c, "pattern", "Unable to parse pattern: %.*s", VZ_S(dissect->pattern));
            return;
        }
        struct dissect_key *key = &dissect->keys[dissect->count++];
        read_key(c, key, (struct vz_slice){rest.ptr + 2, (size_t)(close - rest.ptr) - 2});
        size_t used = (size_t)(close + 1 - rest.ptr);
        rest = (struct vz_slice){rest.ptr + used, rest.len - used};
        const char *next = rest.len ? memmem(rest.ptr, rest.len, "%{", 2) : NULL;
        key->delimiter = (struct vz_slice){rest.ptr, next ? (size_t)(next - rest.ptr) : rest.len};
        rest = (struct vz_slice){rest.ptr + key->delimiter.len, rest.len - key->delimiter.len};
    }
}

void vz_dissect_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct dissect *dissect = processor->config = vz_arena_zalloc(c->arena, sizeof *dissect);
    dissect->field = vz_config_text(c, "field");
    dissect->pattern = vz_config_text(c, "pattern");
    dissect->append_separator = vz_config_text_or(c, "append_separator", "");
    dissect->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    if (c->status == VZ_OK)
        read_keys(c, dissect);
}

/* Cuts the text into values[count]; false when it does not fit. */
static bool cut(const struct dissect *dissect, struct vz_slice text, struct vz_slice *values)
{
    if (text.len < dissect->prefix.len ||
        (dissect->prefix.len && memcmp(text.ptr, dissect->prefix.ptr, dissect->prefix.len) != 0))
        return false;
    struct vz_slice rest = {text.ptr + dissect->prefix.len, text.len - dissect->prefix.len};
    for (size_t i = 0; i < dissect->count; i++) {
        const struct dissect_key *key = &dissect->keys[i];
        struct vz_slice delimiter = key->delimiter;
        if (delimiter.len == 0) {
            if (i + 1 < dissect->count)
                return false; /* two keys with nothing between */
            values[i] = rest;
            rest.len = 0;
            continue;
        }
        const char *end =
            rest.len ? memmem(rest.ptr, rest.len, delimiter.ptr, delimiter.len) : NULL;
        if (!end)
            return false;
        values[i] = (struct vz_slice){rest.ptr, (size_t)(end - rest.ptr)};
        size_t used = values[i].len + delimiter.len;
        rest = (struct vz_slice){rest.ptr + used, rest.len - used};
        while (key->pads && rest.len >= delimiter.len &&
               memcmp(rest.ptr, delimiter.ptr, delimiter.len) == 0)
            rest = (struct vz_slice){rest.ptr + delimiter.len, rest.len - delimiter.len};
    }
    return true;
}

/* All parts of an append key in their order. */
static struct vz_slice joined(const struct dissect *dissect, struct vz_ingest_doc *doc,
                              const struct vz_slice *values, struct vz_slice name)
{
    size_t at[MAX_KEYS], count = 0;
    for (size_t i = 0; i < dissect->count; i++) {
        const struct dissect_key *key = &dissect->keys[i];
        if ((key->kind != KEY_APPEND && key->kind != KEY_PLAIN) || !vz_slice_eq(key->name, name))
            continue;
        size_t place = count++;
        while (place && dissect->keys[at[place - 1]].order > key->order) {
            at[place] = at[place - 1];
            place--;
        }
        at[place] = i;
    }
    struct vz_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        if (i)
            vz_buf_append_slice(&text, dissect->append_separator);
        vz_buf_append_slice(&text, values[at[i]]);
    }
    struct vz_slice copy = vz_arena_copy(doc->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

VZ_KIND_RUN(dissect)
{
    const struct dissect *dissect = processor->config;
    struct vz_slice text, values[MAX_KEYS];
    bool found;
    enum vz_status status =
        vz_path_text(doc, dissect->field, dissect->ignore_missing, &text, &found, err);
    if (status != VZ_OK || !found)
        return status;
    if (!cut(dissect, text, values))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Unable to find match for dissect pattern: %.*s against source: %.*s",
                       VZ_S(dissect->pattern), (int)VZ_MIN(text.len, 200), text.ptr);
    for (size_t i = 0; status == VZ_OK && i < dissect->count; i++) {
        const struct dissect_key *key = &dissect->keys[i];
        struct vz_slice name = key->name, value = values[i];
        if (key->kind == KEY_SKIP || key->kind == KEY_VALUE)
            continue;
        if (key->kind == KEY_NAME) {
            size_t k = 0;
            while (k < dissect->count && (dissect->keys[k].kind != KEY_VALUE ||
                                          !vz_slice_eq(dissect->keys[k].name, key->name)))
                k++;
            if (k == dissect->count)
                return vz_fail(err, VZ_BAD_ARGUMENT,
                               "Found invalid key/reference associations: [%.*s]", VZ_S(name));
            name = vz_arena_copy(doc->arena, values[i]);
            value = values[k];
        } else {
            value = joined(dissect, doc, values, name);
        }
        if (name.len)
            status = vz_path_set(doc, name, vz_value_string(doc->arena, value), err);
    }
    return status;
}
