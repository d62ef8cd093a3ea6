/* Processors that make a string of a string (lowercase, uppercase, trim, html_strip, urldecode,
 * bytes, gsub), and split, join, sort. In a list each string is treated alone. */
#include "base/text.h"
#include "ingest/parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/ucasemap.h>

struct string_config {
    struct vz_slice field, target;
    bool ignore_missing;
    struct vz_regex *regex; /* gsub */
    struct vz_slice replacement;
    enum vz_status (*change)(const struct string_config *config, struct vz_ingest_doc *doc,
                             struct vz_slice text, struct vz_value **out, struct vz_error *err);
};

static struct string_config *read_string_config(struct vz_config *c, struct vz_processor *processor)
{
    struct string_config *config = processor->config = vz_arena_zalloc(c->arena, sizeof *config);
    config->field = vz_config_text(c, "field");
    config->target = vz_config_text_or(c, "target_field", NULL);
    config->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    if (!config->target.ptr)
        config->target = config->field;
    return config;
}

VZ_KIND_RUN(string)
{
    const struct string_config *config = processor->config;
    struct vz_value *value, *made = NULL;
    struct vz_slice path = config->field;
    enum vz_status status = vz_path_get(doc, path, &value, err);
    if (status != VZ_OK)
        return config->ignore_missing && status == VZ_BAD_ARGUMENT ? VZ_OK : status;
    if (value->type == VZ_VALUE_NULL && config->ignore_missing)
        return VZ_OK;
    if (value->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] is null, cannot process it.",
                       VZ_S(path));
    if (value->type == VZ_VALUE_STRING) {
        status = config->change(config, doc, value->string, &made, err);
    } else if (value->type == VZ_VALUE_ARRAY) {
        made = vz_value_array(doc->arena);
        for (size_t i = 0; status == VZ_OK && i < value->array.count; i++) {
            struct vz_value *item = value->array.items[i];
            if (item->type != VZ_VALUE_STRING)
                return vz_fail(err, VZ_BAD_ARGUMENT,
                               "value [%zu] of type [%s] in list field [%.*s] cannot be cast to "
                               "[java.lang.String]",
                               i, vz_java_type(item), VZ_S(path));
            status = config->change(config, doc, item->string, &item, err);
            if (status == VZ_OK)
                vz_value_append(made, item);
        }
    } else {
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] of type [%s] cannot be cast to [java.lang.String]", VZ_S(path),
                       vz_java_type(value));
    }
    return status == VZ_OK ? vz_path_set(doc, config->target, made, err) : status;
}

static enum vz_status give(struct vz_ingest_doc *doc, struct vz_buf *text, struct vz_value **out)
{
    *out = vz_value_string(doc->arena, vz_buf_slice(text));
    vz_buf_deinit(text);
    return VZ_OK;
}

/* ---- case ------------------------------------------------------------------------------------ */

/* ICU's rules of the root locale, as Java's Locale.ROOT. */
static enum vz_status change_case(struct vz_ingest_doc *doc, struct vz_slice text, bool upper,
                                  struct vz_value **out, struct vz_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    if (text.len > VZ_INGEST_MAX_STRING)
        return vz_fail(err, VZ_LIMIT, "a string is longer than [%zu] bytes", VZ_INGEST_MAX_STRING);
    UCaseMap *map = ucasemap_open("", 0, &code);
    /* One character becomes three at most, and no longer than three times its bytes. */
    int32_t room = (int32_t)text.len * 3 + 16;
    char *made = vz_arena_alloc(doc->arena, (size_t)room);
    int32_t len = 0;
    if (U_SUCCESS(code))
        len = upper ? ucasemap_utf8ToUpper(map, made, room, text.ptr ? text.ptr : "",
                                           (int32_t)text.len, &code)
                    : ucasemap_utf8ToLower(map, made, room, text.ptr ? text.ptr : "",
                                           (int32_t)text.len, &code);
    ucasemap_close(map);
    if (U_FAILURE(code))
        return vz_fail(err, VZ_INTERNAL, "changing case failed: %s", u_errorName(code));
    *out = vz_value_string(doc->arena, (struct vz_slice){made, (size_t)len});
    return VZ_OK;
}

static enum vz_status to_lower(const struct string_config *config, struct vz_ingest_doc *doc,
                               struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    return change_case(doc, text, false, out, err);
}

static enum vz_status to_upper(const struct string_config *config, struct vz_ingest_doc *doc,
                               struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    return change_case(doc, text, true, out, err);
}

void vz_lowercase_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = to_lower;
}

void vz_uppercase_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = to_upper;
}

/* ---- trim, urldecode, bytes ------------------------------------------------------------------ */

static enum vz_status trim(const struct string_config *config, struct vz_ingest_doc *doc,
                           struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    while (text.len && (unsigned char)text.ptr[0] <= ' ')
        text = (struct vz_slice){text.ptr + 1, text.len - 1};
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    *out = vz_value_string(doc->arena, text);
    return VZ_OK;
}

void vz_trim_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = trim;
}

/* U+FFFD for each byte that is no part of a character. */
static void replace_broken(struct vz_buf *text)
{
    struct vz_buf whole = {0};
    size_t at = 0;
    while (at < text->len) {
        size_t good = vz_utf8_valid_prefix(text->data + at, text->len - at);
        vz_buf_append(&whole, text->data + at, good);
        at += good;
        if (at++ < text->len)
            vz_buf_append_str(&whole, "\xEF\xBF\xBD");
    }
    vz_buf_deinit(text);
    *text = whole;
}

static enum vz_status url_decode(const struct string_config *config, struct vz_ingest_doc *doc,
                                 struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    struct vz_buf made = {0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 1 < text.len ? vz_hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? vz_hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                vz_buf_deinit(&made);
                return vz_fail(err, VZ_BAD_ARGUMENT,
                               "Could not URL-decode value [%.*s]: illegal escape", VZ_S(text));
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        vz_buf_append_char(&made, c);
    }
    if (made.len && vz_utf8_valid_prefix(made.data, made.len) != made.len)
        replace_broken(&made);
    return give(doc, &made, out);
}

void vz_urldecode_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = url_decode;
}

static enum vz_status parse_bytes(const struct string_config *config, struct vz_ingest_doc *doc,
                                  struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"pb", 0x1p50}, {"tb", 0x1p40}, {"gb", 0x1p30}, {"mb", 0x1p20},
                 {"kb", 0x1p10}, {"p", 0x1p50},  {"t", 0x1p40},  {"g", 0x1p30},
                 {"m", 0x1p20},  {"k", 0x1p10},  {"b", 1}};
    char copy[64], *end;
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < sizeof copy; i++)
        if (!isspace((unsigned char)text.ptr[i]))
            copy[len++] = (char)tolower((unsigned char)text.ptr[i]);
    copy[len] = '\0';
    double number = strtod(copy, &end);
    for (size_t i = 0; end != copy && i < VZ_COUNT_OF(units); i++) {
        double bytes = number * units[i].factor;
        if (strcmp(end, units[i].suffix) != 0 || bytes < 0 || bytes >= 0x1p63)
            continue;
        *out = vz_value_int(doc->arena, (int64_t)bytes);
        return VZ_OK;
    }
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "failed to parse setting [Ingest Field] with value [%.*s] as a size in bytes: "
                   "unit is missing or unrecognized",
                   VZ_S(text));
}

void vz_bytes_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = parse_bytes;
}

/* ---- gsub ------------------------------------------------------------------------------------ */

static enum vz_status substitute(const struct string_config *config, struct vz_ingest_doc *doc,
                                 struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    struct vz_slice made;
    enum vz_status status =
        vz_regex_replace(config->regex, doc, text, config->replacement, &made, err);
    if (status == VZ_OK)
        *out = vz_value_string(doc->arena, made);
    return status;
}

void vz_gsub_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct string_config *config = read_string_config(c, processor);
    config->change = substitute;
    config->regex = vz_regex_compile(c, vz_config_text(c, "pattern"), "pattern");
    config->replacement = vz_config_text(c, "replacement");
}

/* ---- html_strip ------------------------------------------------------------------------------ */

/* Tags that are taken out without a trace; every other one leaves a line end, as Lucene's filter
 * has it. */
static bool is_inline(struct vz_slice name)
{
    static const char *const names[] = {
        "a",      "abbr", "acronym", "b",        "basefont", "bdo",   "big",   "cite",
        "code",   "dfn",  "em",      "font",     "i",        "img",   "input", "kbd",
        "label",  "q",    "s",       "samp",     "select",   "small", "span",  "strike",
        "strong", "sub",  "sup",     "textarea", "tt",       "u",     "var"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (name.len == strlen(names[i]) && strncasecmp(name.ptr, names[i], name.len) == 0)
            return true;
    return false;
}

static void append_code_point(struct vz_buf *out, uint32_t c)
{
    if (c < 0x80) {
        vz_buf_append_char(out, (char)c);
    } else if (c < 0x800) {
        vz_buf_append_char(out, (char)(0xC0 | c >> 6));
        vz_buf_append_char(out, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        vz_buf_append_char(out, (char)(0xE0 | c >> 12));
        vz_buf_append_char(out, (char)(0x80 | (c >> 6 & 63)));
        vz_buf_append_char(out, (char)(0x80 | (c & 63)));
    } else {
        vz_buf_append_char(out, (char)(0xF0 | c >> 18));
        vz_buf_append_char(out, (char)(0x80 | (c >> 12 & 63)));
        vz_buf_append_char(out, (char)(0x80 | (c >> 6 & 63)));
        vz_buf_append_char(out, (char)(0x80 | (c & 63)));
    }
}

static const struct {
    const char *name;
    uint32_t code;
} entities[] = {
    {"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},
    {"apos", '\''},     {"nbsp", 0xA0},     {"iexcl", 0xA1},    {"cent", 0xA2},
    {"pound", 0xA3},    {"curren", 0xA4},   {"yen", 0xA5},      {"brvbar", 0xA6},
    {"sect", 0xA7},     {"uml", 0xA8},      {"copy", 0xA9},     {"ordf", 0xAA},
    {"laquo", 0xAB},    {"not", 0xAC},      {"shy", 0xAD},      {"reg", 0xAE},
    {"macr", 0xAF},     {"deg", 0xB0},      {"plusmn", 0xB1},   {"sup2", 0xB2},
    {"sup3", 0xB3},     {"acute", 0xB4},    {"micro", 0xB5},    {"para", 0xB6},
    {"middot", 0xB7},   {"cedil", 0xB8},    {"sup1", 0xB9},     {"ordm", 0xBA},
    {"raquo", 0xBB},    {"frac14", 0xBC},   {"frac12", 0xBD},   {"frac34", 0xBE},
    {"iquest", 0xBF},   {"Agrave", 0xC0},   {"Aacute", 0xC1},   {"Acirc", 0xC2},
    {"Atilde", 0xC3},   {"Auml", 0xC4},     {"Aring", 0xC5},    {"AElig", 0xC6},
    {"Ccedil", 0xC7},   {"Egrave", 0xC8},   {"Eacute", 0xC9},   {"Ecirc", 0xCA},
    {"Euml", 0xCB},     {"Igrave", 0xCC},   {"Iacute", 0xCD},   {"Icirc", 0xCE},
    {"Iuml", 0xCF},     {"ETH", 0xD0},      {"Ntilde", 0xD1},   {"Ograve", 0xD2},
    {"Oacute", 0xD3},   {"Ocirc", 0xD4},    {"Otilde", 0xD5},   {"Ouml", 0xD6},
    {"times", 0xD7},    {"Oslash", 0xD8},   {"Ugrave", 0xD9},   {"Uacute", 0xDA},
    {"Ucirc", 0xDB},    {"Uuml", 0xDC},     {"Yacute", 0xDD},   {"THORN", 0xDE},
    {"szlig", 0xDF},    {"agrave", 0xE0},   {"aacute", 0xE1},   {"acirc", 0xE2},
    {"atilde", 0xE3},   {"auml", 0xE4},     {"aring", 0xE5},    {"aelig", 0xE6},
    {"ccedil", 0xE7},   {"egrave", 0xE8},   {"eacute", 0xE9},   {"ecirc", 0xEA},
    {"euml", 0xEB},     {"igrave", 0xEC},   {"iacute", 0xED},   {"icirc", 0xEE},
    {"iuml", 0xEF},     {"eth", 0xF0},      {"ntilde", 0xF1},   {"ograve", 0xF2},
    {"oacute", 0xF3},   {"ocirc", 0xF4},    {"otilde", 0xF5},   {"ouml", 0xF6},
    {"divide", 0xF7},   {"oslash", 0xF8},   {"ugrave", 0xF9},   {"uacute", 0xFA},
    {"ucirc", 0xFB},    {"uuml", 0xFC},     {"yacute", 0xFD},   {"thorn", 0xFE},
    {"yuml", 0xFF},     {"OElig", 0x152},   {"oelig", 0x153},   {"Scaron", 0x160},
    {"scaron", 0x161},  {"Yuml", 0x178},    {"ndash", 0x2013},  {"mdash", 0x2014},
    {"lsquo", 0x2018},  {"rsquo", 0x2019},  {"sbquo", 0x201A},  {"ldquo", 0x201C},
    {"rdquo", 0x201D},  {"bdquo", 0x201E},  {"dagger", 0x2020}, {"bull", 0x2022},
    {"hellip", 0x2026}, {"permil", 0x2030}, {"lsaquo", 0x2039}, {"rsaquo", 0x203A},
    {"euro", 0x20AC},   {"trade", 0x2122},
};

/* Bytes of the entity at the start of `text`, which begins with '&'; 0: it is none. */
static size_t read_entity(struct vz_slice text, uint32_t *code)
{
    size_t end = 1;
    while (end < text.len && end < 12 && text.ptr[end] != ';')
        end++;
    if (end >= text.len || text.ptr[end] != ';' || end < 2)
        return 0;
    if (text.ptr[1] == '#') {
        bool hex = text.ptr[2] == 'x' || text.ptr[2] == 'X';
        char *stop;
        *code = (uint32_t)strtoul(text.ptr + (hex ? 3 : 2), &stop, hex ? 16 : 10);
        bool valid = *code && *code < 0x110000 && (*code < 0xD800 || *code > 0xDFFF);
        return stop == text.ptr + end && valid ? end + 1 : 0;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(entities); i++)
        if (vz_slice_is((struct vz_slice){text.ptr + 1, end - 1}, entities[i].name)) {
            *code = entities[i].code;
            return end + 1;
        }
    return 0;
}

/* Behind the tag that begins at text[at] ('<'), or `at` when there is no tag. */
static size_t tag_end(struct vz_slice text, size_t at, struct vz_slice *name)
{
    size_t from = at + 1;
    if (from < text.len && text.ptr[from] == '/')
        from++;
    size_t p = from;
    while (p < text.len && (isalnum((unsigned char)text.ptr[p]) || strchr(":-_", text.ptr[p])))
        p++;
    *name = (struct vz_slice){text.ptr + from, p - from};
    if (name->len == 0 || !isalpha((unsigned char)text.ptr[from]))
        return at;
    size_t first = p;
    char quote = 0;
    for (; p < text.len; p++) {
        char c = text.ptr[p];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return p + 1;
    }
    /* A quote that is never closed is none. It can happen twice a text, once for each kind of
     * quote, so the whole stays linear. */
    const char *close = memchr(text.ptr + first, '>', text.len - first);
    return close ? (size_t)(close - text.ptr) + 1 : at;
}

/* Behind `end` when it is found from `at`, else the text's end. */
static size_t skip_to(struct vz_slice text, size_t at, const char *end)
{
    size_t len = strlen(end);
    for (; at + len <= text.len; at++)
        if (strncasecmp(text.ptr + at, end, len) == 0)
            return at + len;
    return text.len;
}

static enum vz_status strip(const struct string_config *config, struct vz_ingest_doc *doc,
                            struct vz_slice text, struct vz_value **out, struct vz_error *err)
{
    struct vz_buf made = {0};
    /* Behind the last '>' no tag ends: nothing there is looked through for one. */
    const char *last = text.len ? memrchr(text.ptr, '>', text.len) : NULL;
    size_t tags_until = last ? (size_t)(last - text.ptr) : 0;
    for (size_t at = 0; at < text.len;) {
        struct vz_slice rest = {text.ptr + at, text.len - at}, name;
        uint32_t code;
        size_t len;
        if (rest.ptr[0] == '&' && (len = read_entity(rest, &code))) {
            append_code_point(&made, code == 0xA0 ? ' ' : code);
            at += len;
        } else if (vz_slice_starts(rest, "<!--")) {
            at = skip_to(text, at + 4, "-->");
        } else if (rest.ptr[0] == '<' && rest.len > 1 &&
                   (rest.ptr[1] == '!' || rest.ptr[1] == '?')) {
            at = skip_to(text, at, ">");
        } else if (rest.ptr[0] == '<' && at < tags_until && (len = tag_end(text, at, &name)) > at) {
            bool opens = text.ptr[at + 1] != '/';
            at = len;
            if (opens && name.len == 6 && strncasecmp(name.ptr, "script", 6) == 0)
                at = skip_to(text, at, "</script>");
            else if (opens && name.len == 5 && strncasecmp(name.ptr, "style", 5) == 0)
                at = skip_to(text, at, "</style>");
            if (!is_inline(name))
                vz_buf_append_char(&made, '\n');
        } else {
            vz_buf_append_char(&made, rest.ptr[0]);
            at++;
        }
    }
    return give(doc, &made, out);
}

void vz_html_strip_compile(struct vz_config *c, struct vz_processor *processor)
{
    read_string_config(c, processor)->change = strip;
}

/* ---- split, join, sort ----------------------------------------------------------------------- */

struct list_config {
    struct vz_template *field_template;
    struct vz_slice field, target, separator;
    struct vz_regex *regex;
    bool ignore_missing, preserve_trailing, descending;
};

static struct list_config *read_list_config(struct vz_config *c, struct vz_processor *processor)
{
    struct list_config *config = processor->config = vz_arena_zalloc(c->arena, sizeof *config);
    config->field = vz_config_text(c, "field");
    config->target = vz_config_text_or(c, "target_field", NULL);
    if (!config->target.ptr)
        config->target = config->field;
    return config;
}

void vz_split_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct list_config *config = read_list_config(c, processor);
    config->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    config->preserve_trailing = vz_config_bool(c, "preserve_trailing", false);
    config->regex = vz_regex_compile(c, vz_config_text(c, "separator"), "separator");
}

VZ_KIND_RUN(split)
{
    const struct list_config *config = processor->config;
    struct vz_slice text, *parts;
    size_t count;
    bool found;
    enum vz_status status =
        vz_path_text(doc, config->field, config->ignore_missing, &text, &found, err);
    if (status != VZ_OK || !found)
        return status;
    status =
        vz_regex_split(config->regex, doc, text, 0, config->preserve_trailing, &parts, &count, err);
    struct vz_value *list = vz_value_array(doc->arena);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        vz_value_append(list, vz_value_string(doc->arena, parts[i]));
    return status == VZ_OK ? vz_path_set(doc, config->target, list, err) : status;
}

/* The list at a path. */
static enum vz_status get_list(struct vz_ingest_doc *doc, struct vz_slice path, const char *doing,
                               struct vz_value **list, struct vz_error *err)
{
    enum vz_status status = vz_path_get(doc, path, list, err);
    if (status != VZ_OK)
        return status;
    if ((*list)->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] is null, cannot %s.", VZ_S(path), doing);
    if ((*list)->type != VZ_VALUE_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] of type [%s] cannot be cast to [java.util.List]", VZ_S(path),
                       vz_java_type(*list));
    return VZ_OK;
}

void vz_join_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct list_config *config = read_list_config(c, processor);
    config->separator = vz_config_text(c, "separator");
}

VZ_KIND_RUN(join)
{
    const struct list_config *config = processor->config;
    struct vz_value *list;
    struct vz_buf text = {0};
    enum vz_status status = get_list(doc, config->field, "join", &list, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < list->array.count && text.len <= VZ_INGEST_MAX_STRING; i++) {
        if (i)
            vz_buf_append_slice(&text, config->separator);
        vz_value_display(list->array.items[i], &text);
    }
    if (text.len > VZ_INGEST_MAX_STRING) {
        vz_buf_deinit(&text);
        return vz_fail(err, VZ_LIMIT, "joining gives more than [%zu] bytes", VZ_INGEST_MAX_STRING);
    }
    struct vz_value *made = vz_value_string(doc->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return vz_path_set(doc, config->target, made, err);
}

void vz_sort_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct list_config *config = read_list_config(c, processor);
    struct vz_slice order = vz_config_text_or(c, "order", "asc");
    config->descending = vz_slice_is(order, "desc");
    if (c->status == VZ_OK && !config->descending && !vz_slice_is(order, "asc"))
        vz_config_fail(c, "order",
                       "Sort direction [%.*s] not recognized. Valid values are: "
                       "[asc, desc]",
                       VZ_S(order));
}

static double number_of(const struct vz_value *value)
{
    return value->type == VZ_VALUE_INT    ? (double)value->integer
           : value->type == VZ_VALUE_BOOL ? value->boolean
                                          : value->number;
}

static int by_value(const void *a, const void *b)
{
    const struct vz_value *x = *(const struct vz_value *const *)a,
                          *y = *(const struct vz_value *const *)b;
    if (x->type == VZ_VALUE_STRING)
        return vz_slice_cmp(x->string, y->string);
    if (x->type == VZ_VALUE_INT && y->type == VZ_VALUE_INT)
        return (x->integer > y->integer) - (x->integer < y->integer);
    double p = number_of(x), q = number_of(y);
    return (p > q) - (p < q);
}

VZ_KIND_RUN(sort)
{
    const struct list_config *config = processor->config;
    struct vz_value *list;
    enum vz_status status = get_list(doc, config->field, "sort", &list, err);
    if (status != VZ_OK)
        return status;
    struct vz_value *sorted = vz_value_array(doc->arena);
    for (size_t i = 0; i < list->array.count; i++) {
        struct vz_value *item = list->array.items[i], *first = list->array.items[0];
        bool text = item->type == VZ_VALUE_STRING;
        bool sortable = text || item->type == VZ_VALUE_INT || item->type == VZ_VALUE_DOUBLE ||
                        item->type == VZ_VALUE_BOOL;
        if (!sortable || text != (first->type == VZ_VALUE_STRING))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "field [%.*s] contains values that cannot be compared with one another",
                           VZ_S(config->field));
        vz_value_append(sorted, item);
    }
    if (sorted->array.count)
        qsort(sorted->array.items, sorted->array.count, sizeof *sorted->array.items, by_value);
    for (size_t i = 0; config->descending && i < sorted->array.count / 2; i++) {
        struct vz_value **items = sorted->array.items, *one = items[i];
        items[i] = items[sorted->array.count - 1 - i];
        items[sorted->array.count - 1 - i] = one;
    }
    return vz_path_set(doc, config->target, sorted, err);
}
