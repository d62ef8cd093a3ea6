/* Char filters: html_strip, mapping, pattern_replace. Each rewrites the text and says where its
 * characters were before; the steps of that map follow Lucene's, so offsets come out the same. */
#include "base/text.h"
#include "text/analysis_parts.h"

#include <stdlib.h>
#include <strings.h>

/* ---- rewriting a text -------------------------------------------------------------------------
 */

struct rewrite {
    struct vz_slice text;
    struct vz_buf out;
    size_t units; /* written */
    int64_t more; /* units the text before was longer by, up to here */
    struct vz_offset_map *map;
    struct vz_arena *arena;
    size_t max_bytes;
};

static void begin(struct rewrite *r, struct vz_source *source, struct vz_arena *arena)
{
    *r = (struct rewrite){.text = source->text, .arena = arena, .max_bytes = source->max_bytes};
    r->map = &source->maps[source->map_count++];
    *r->map = (struct vz_offset_map){0};
    vz_buf_reserve(&r->out, source->text.len + 1);
}

static void end(struct rewrite *r, struct vz_source *source)
{
    source->text = vz_arena_copy(r->arena, vz_buf_slice(&r->out));
    vz_buf_deinit(&r->out);
}

static size_t bytes_left(const struct rewrite *r)
{
    size_t taken = r->out.len + r->arena->total_bytes;
    return taken < r->max_bytes ? r->max_bytes - taken : 0;
}

static enum vz_status too_long(struct vz_error *err)
{
    return vz_fail(err, VZ_LIMIT, "char filters make the text too long");
}

static void keep(struct rewrite *r, size_t from, size_t to)
{
    struct vz_slice span = {r->text.ptr + from, to - from};
    vz_buf_append_slice(&r->out, span);
    r->units += vz_unit_count(span);
}

/* `by` stands for text[from, to). */
static void replace(struct rewrite *r, size_t from, size_t to, struct vz_slice by)
{
    size_t before = vz_unit_count((struct vz_slice){r->text.ptr + from, to - from});
    size_t after = vz_unit_count(by);
    vz_buf_append_slice(&r->out, by);
    r->units += after;
    if (after < before) {
        r->more += (int64_t)(before - after);
        vz_offset_map_add(r->map, r->arena, r->units, r->more);
    }
    for (size_t i = before; i < after; i++)
        vz_offset_map_add(r->map, r->arena, r->units - after + i, --r->more);
}

/* ---- mapping ----------------------------------------------------------------------------------
 */

struct mapping {
    struct vz_strmap rules; /* key -> index of a replacement */
    struct vz_slice *by;
    size_t longest;           /* key, in bytes */
    unsigned char first[256]; /* longest key that starts with a byte, saturated */
};

static enum vz_status run_mapping(const struct vz_char_filter *filter, struct vz_source *source,
                                  struct vz_arena *arena, struct vz_error *err)
{
    const struct mapping *mapping = filter->config;
    enum vz_status status = VZ_OK;
    struct rewrite r;
    begin(&r, source, arena);
    size_t kept = 0;
    for (size_t at = 0; at < r.text.len;) {
        size_t longest = mapping->first[(unsigned char)r.text.ptr[at]];
        if (longest == 255)
            longest = mapping->longest;
        uint64_t rule = 0;
        size_t len = VZ_MIN(longest, r.text.len - at);
        while (len &&
               !vz_strmap_get(&mapping->rules, (struct vz_slice){r.text.ptr + at, len}, &rule))
            len--;
        if (!len) {
            at++;
            continue;
        }
        keep(&r, kept, at);
        replace(&r, at, at + len, mapping->by[rule]);
        kept = at += len;
        if (bytes_left(&r) == 0) {
            status = too_long(err);
            break;
        }
    }
    keep(&r, kept, r.text.len);
    end(&r, source);
    return status;
}

static void mapping_deinit(struct vz_char_filter *filter)
{
    struct mapping *mapping = filter->config;
    vz_strmap_deinit(&mapping->rules);
}

/* "\u00e9", "\n", "\\" in a rule. */
static struct vz_slice unescape(struct vz_slice text, struct vz_arena *arena)
{
    char *out = vz_arena_alloc(arena, text.len + 4);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\\' || i + 1 >= text.len) {
            out[len++] = text.ptr[i];
            continue;
        }
        char c = text.ptr[++i];
        static const char from[] = "\\ntrbf", to[] = "\\\n\t\r\b\f";
        const char *found = strchr(from, c);
        if (found && *found) {
            out[len++] = to[found - from];
        } else if (c == 'u' && i + 4 < text.len) {
            char digits[5] = {text.ptr[i + 1], text.ptr[i + 2], text.ptr[i + 3], text.ptr[i + 4],
                              0};
            len += vz_put_char(out + len, (UChar32)strtol(digits, NULL, 16));
            i += 4;
        } else {
            out[len++] = c;
        }
    }
    return (struct vz_slice){out, len};
}

static enum vz_status make_mapping(const struct vz_making *making, struct vz_char_filter *out,
                                   struct vz_error *err)
{
    struct mapping *mapping = vz_making_zalloc(making, sizeof *mapping);
    struct vz_json list;
    enum vz_status status = vz_making_check(making, "mappings", err);
    if (status != VZ_OK)
        return status;
    if (!vz_making_get(making, "mappings", &list) || vz_json_type(list) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "mapping requires either `mappings` or `mappings_path` to be configured");
    mapping->by = vz_making_zalloc(making, (vz_json_count(list) + 1) * sizeof *mapping->by);
    out->config = mapping;
    out->deinit = mapping_deinit;
    out->run = run_mapping;
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    for (size_t i = 0; vz_json_next(&it, NULL, &item); i++) {
        struct vz_slice rule = vz_json_string(item);
        const char *arrow = rule.len >= 2 ? memmem(rule.ptr, rule.len, "=>", 2) : NULL;
        for (const char *more = arrow; more;) { /* the last one divides */
            arrow = more;
            more = memmem(more + 2, rule.len - (size_t)(more + 2 - rule.ptr), "=>", 2);
        }
        if (!arrow)
            return vz_fail(err, VZ_BAD_MAPPING, "Invalid Mapping Rule : [%.*s]", (int)rule.len,
                           rule.ptr);
        struct vz_arena *arena = &making->components->arena;
        struct vz_slice key =
            unescape(vz_slice_trim((struct vz_slice){rule.ptr, (size_t)(arrow - rule.ptr)}), arena);
        mapping->by[i] = unescape(
            vz_slice_trim((struct vz_slice){arrow + 2, rule.len - (size_t)(arrow + 2 - rule.ptr)}),
            arena);
        if (key.len == 0 || key.len > 4096)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "Invalid Mapping Rule : [%.*s]. Only a single mapping is allowed.",
                           (int)rule.len, rule.ptr);
        if (!vz_strmap_put(&mapping->rules, key, i))
            return vz_fail(err, VZ_BAD_MAPPING, "match \"%.*s\" was already added", (int)key.len,
                           key.ptr);
        unsigned char *first = &mapping->first[(unsigned char)key.ptr[0]];
        *first = (unsigned char)VZ_MAX(*first, VZ_MIN(key.len, 255));
        mapping->longest = VZ_MAX(mapping->longest, key.len);
    }
    return VZ_OK;
}

/* ---- pattern_replace --------------------------------------------------------------------------
 */

struct pattern_replace {
    struct vz_pattern *pattern;
    struct vz_slice by;
};

static void pattern_deinit(struct vz_char_filter *filter)
{
    struct pattern_replace *config = filter->config;
    vz_pattern_free(config->pattern);
}

static enum vz_status run_pattern(const struct vz_char_filter *filter, struct vz_source *source,
                                  struct vz_arena *arena, struct vz_error *err)
{
    const struct pattern_replace *config = filter->config;
    unsigned groups = vz_pattern_groups(config->pattern);
    size_t *spans = vz_alloc((groups + 1) * 2 * sizeof *spans);
    struct vz_buf by = {0};
    struct rewrite r;
    size_t kept = 0, at = 0;
    enum vz_status status = VZ_OK;
    begin(&r, source, arena);
    for (bool found = true; at <= r.text.len;) {
        status = vz_pattern_find(config->pattern, r.text, at, spans, &found, err);
        if (status != VZ_OK || !found)
            break;
        vz_buf_clear(&by);
        status = vz_pattern_expand(config->by, r.text, spans, groups, bytes_left(&r), &by, err);
        if (status != VZ_OK)
            break;
        keep(&r, kept, spans[0]);
        replace(&r, spans[0], spans[1], vz_buf_slice(&by));
        kept = at = spans[1];
        if (spans[0] == spans[1]) {
            if (at >= r.text.len)
                break;
            vz_next_char(r.text, &at);
        }
    }
    keep(&r, kept, r.text.len);
    end(&r, source);
    vz_buf_deinit(&by);
    free(spans);
    return status;
}

static enum vz_status make_pattern(const struct vz_making *making, struct vz_char_filter *out,
                                   struct vz_error *err)
{
    struct pattern_replace *config = vz_making_zalloc(making, sizeof *config);
    enum vz_status status = vz_making_check(making, "pattern replacement flags", err);
    struct vz_json given;
    if (status != VZ_OK)
        return status;
    if (!vz_making_get(making, "pattern", &given))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "pattern is missing for [%.*s] char filter of type 'pattern_replace'",
                       (int)making->name.len, making->name.ptr);
    config->by = vz_making_text(making, "replacement", "");
    out->config = config;
    out->deinit = pattern_deinit;
    out->run = run_pattern;
    return vz_pattern_new(vz_making_text(making, "pattern", ""),
                          vz_making_text(making, "flags", ""), &config->pattern, err);
}

/* ---- html_strip -------------------------------------------------------------------------------
 */

/* Entities of HTML 4. Those of Latin-1 in order from U+00A0. */
static const char *const latin1[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",
    "copy",   "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn",
    "sup2",   "sup3",   "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",
    "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde",
    "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave",
    "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde",
    "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",
    "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil",
    "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",   "eth",
    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml",
};
static const struct {
    const char *name;
    unsigned code;
} entities[] = {
    {"quot", 34},     {"amp", 38},       {"lt", 60},       {"gt", 62},        {"apos", 39},
    {"OElig", 338},   {"oelig", 339},    {"Scaron", 352},  {"scaron", 353},   {"Yuml", 376},
    {"circ", 710},    {"tilde", 732},    {"ensp", 8194},   {"emsp", 8195},    {"thinsp", 8201},
    {"zwnj", 8204},   {"zwj", 8205},     {"lrm", 8206},    {"rlm", 8207},     {"ndash", 8211},
    {"mdash", 8212},  {"lsquo", 8216},   {"rsquo", 8217},  {"sbquo", 8218},   {"ldquo", 8220},
    {"rdquo", 8221},  {"bdquo", 8222},   {"dagger", 8224}, {"Dagger", 8225},  {"permil", 8240},
    {"lsaquo", 8249}, {"rsaquo", 8250},  {"euro", 8364},   {"fnof", 402},     {"Alpha", 913},
    {"Beta", 914},    {"Gamma", 915},    {"Delta", 916},   {"Epsilon", 917},  {"Zeta", 918},
    {"Eta", 919},     {"Theta", 920},    {"Iota", 921},    {"Kappa", 922},    {"Lambda", 923},
    {"Mu", 924},      {"Nu", 925},       {"Xi", 926},      {"Omicron", 927},  {"Pi", 928},
    {"Rho", 929},     {"Sigma", 931},    {"Tau", 932},     {"Upsilon", 933},  {"Phi", 934},
    {"Chi", 935},     {"Psi", 936},      {"Omega", 937},   {"alpha", 945},    {"beta", 946},
    {"gamma", 947},   {"delta", 948},    {"epsilon", 949}, {"zeta", 950},     {"eta", 951},
    {"theta", 952},   {"iota", 953},     {"kappa", 954},   {"lambda", 955},   {"mu", 956},
    {"nu", 957},      {"xi", 958},       {"omicron", 959}, {"pi", 960},       {"rho", 961},
    {"sigmaf", 962},  {"sigma", 963},    {"tau", 964},     {"upsilon", 965},  {"phi", 966},
    {"chi", 967},     {"psi", 968},      {"omega", 969},   {"thetasym", 977}, {"upsih", 978},
    {"piv", 982},     {"bull", 8226},    {"hellip", 8230}, {"prime", 8242},   {"Prime", 8243},
    {"oline", 8254},  {"frasl", 8260},   {"weierp", 8472}, {"image", 8465},   {"real", 8476},
    {"trade", 8482},  {"alefsym", 8501}, {"larr", 8592},   {"uarr", 8593},    {"rarr", 8594},
    {"darr", 8595},   {"harr", 8596},    {"crarr", 8629},  {"lArr", 8656},    {"uArr", 8657},
    {"rArr", 8658},   {"dArr", 8659},    {"hArr", 8660},   {"forall", 8704},  {"part", 8706},
    {"exist", 8707},  {"empty", 8709},   {"nabla", 8711},  {"isin", 8712},    {"notin", 8713},
    {"ni", 8715},     {"prod", 8719},    {"sum", 8721},    {"minus", 8722},   {"lowast", 8727},
    {"radic", 8730},  {"prop", 8733},    {"infin", 8734},  {"ang", 8736},     {"and", 8743},
    {"or", 8744},     {"cap", 8745},     {"cup", 8746},    {"int", 8747},     {"there4", 8756},
    {"sim", 8764},    {"cong", 8773},    {"asymp", 8776},  {"ne", 8800},      {"equiv", 8801},
    {"le", 8804},     {"ge", 8805},      {"sub", 8834},    {"sup", 8835},     {"nsub", 8836},
    {"sube", 8838},   {"supe", 8839},    {"oplus", 8853},  {"otimes", 8855},  {"perp", 8869},
    {"sdot", 8901},   {"lceil", 8968},   {"rceil", 8969},  {"lfloor", 8970},  {"rfloor", 8971},
    {"lang", 9001},   {"rang", 9002},    {"loz", 9674},    {"spades", 9824},  {"clubs", 9827},
    {"hearts", 9829}, {"diams", 9830},
};

struct html {
    struct vz_slice *escaped;
    size_t escaped_count;
};

/* Tags that stand inside a line are removed, all others end one. */
static bool is_inline(struct vz_slice name)
{
    static const char *const names[] = {
        "a",      "abbr", "acronym", "b",        "basefont", "bdo",   "big",   "cite",
        "code",   "dfn",  "em",      "font",     "i",        "img",   "input", "kbd",
        "label",  "q",    "s",       "samp",     "select",   "small", "span",  "strike",
        "strong", "sub",  "sup",     "textarea", "tt",       "u",     "var",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (strlen(names[i]) == name.len && strncasecmp(names[i], name.ptr, name.len) == 0)
            return true;
    return false;
}

static bool is_escaped(const struct html *html, struct vz_slice name)
{
    for (size_t i = 0; i < html->escaped_count; i++)
        if (html->escaped[i].len == name.len &&
            strncasecmp(html->escaped[i].ptr, name.ptr, name.len) == 0)
            return true;
    return false;
}

/* Behind `needle`, or the text's end when it is not there. */
static size_t behind(struct vz_slice text, size_t from, const char *needle)
{
    size_t len = strlen(needle);
    for (size_t i = from; i + len <= text.len; i++)
        if (strncasecmp(text.ptr + i, needle, len) == 0)
            return i + len;
    return text.len;
}

static bool name_start(unsigned char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}
static bool name_char(UChar32 c)
{
    return u_isalnum(c) || c == '-' || c == '_' || c == ':' || c == '.' ||
           (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0;
}

/* A tag at '<': its name and the byte behind its '>'; false when it is none. */
static bool tag_at(struct vz_slice text, size_t at, struct vz_slice *name, size_t *end)
{
    size_t i = at + 1;
    if (i < text.len && text.ptr[i] == '/')
        i++;
    while (i < text.len && (unsigned char)text.ptr[i] <= ' ')
        i++;
    size_t next = i;
    if (i >= text.len || !u_isalpha(vz_next_char(text, &next)))
        return false;
    name->ptr = text.ptr + i;
    for (; i < text.len; i = next) {
        next = i;
        if (!name_char(vz_next_char(text, &next)))
            break;
    }
    name->len = (size_t)(text.ptr + i - name->ptr);
    if (i < text.len && text.ptr[i] != '>' && text.ptr[i] != '/' &&
        (unsigned char)text.ptr[i] > ' ')
        return false;
    if (i + 1 < text.len && text.ptr[i] == '/' && text.ptr[i + 1] != '>')
        return false;
    if (i == text.len) { /* a name that the text's end cuts is a tag, too */
        *end = i;
        return true;
    }
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '>') {
            *end = i + 1;
            return true;
        }
        if (c == '<')
            return false;
        if (c == '"' || c == '\'') {
            const char *close = memchr(text.ptr + i + 1, c, text.len - i - 1);
            if (!close)
                return false;
            i = (size_t)(close - text.ptr);
        }
    }
    return false;
}

static bool entity_code(struct vz_slice name, unsigned *code)
{
    for (size_t i = 0; i < VZ_COUNT_OF(latin1); i++)
        if (vz_slice_is(name, latin1[i])) {
            *code = name.len == 4 && i == 0 ? ' ' : 0xA0 + (unsigned)i;
            return true;
        }
    for (size_t i = 0; i < VZ_COUNT_OF(entities); i++)
        if (vz_slice_is(name, entities[i].name)) {
            *code = entities[i].code;
            return true;
        }
    return false;
}

/* An entity at '&': its character and the byte behind it. */
static bool entity_at(struct vz_slice text, size_t at, unsigned *code, size_t *end)
{
    size_t i = at + 1;
    if (i < text.len && text.ptr[i] == '#') {
        bool hex = i + 1 < text.len && (text.ptr[i + 1] | 32) == 'x';
        size_t start = i += 1 + hex;
        unsigned value = 0;
        while (i < text.len && i - start < 8) {
            unsigned char c = (unsigned char)text.ptr[i];
            unsigned digit = (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
            if (c < '0' || (c > '9' && c < 'A') || digit >= (hex ? 16 : 10))
                break;
            value = value * (hex ? 16 : 10) + digit;
            i++;
        }
        if (i == start || value == 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
            return false;
        *code = value;
        *end = i + (i < text.len && text.ptr[i] == ';');
        return true;
    }
    while (i < text.len && i - at < 12 &&
           (name_start((unsigned char)text.ptr[i]) || (text.ptr[i] >= '0' && text.ptr[i] <= '9')))
        i++;
    if (!entity_code((struct vz_slice){text.ptr + at + 1, i - at - 1}, code))
        return false;
    *end = i + (i < text.len && text.ptr[i] == ';');
    return true;
}

/* What starts with '<' or '&' at `at`: how far it reaches and what stands for it. */
static bool markup_at(const struct html *html, struct vz_slice text, size_t at, size_t *end,
                      struct vz_slice *by, char out[8])
{
    struct vz_slice name;
    *by = (struct vz_slice){"", 0};
    if (text.ptr[at] == '&') {
        unsigned code;
        if (!entity_at(text, at, &code, end))
            return false;
        *by = (struct vz_slice){out, vz_put_char(out, (UChar32)code)};
        return true;
    }
    struct vz_slice rest = {text.ptr + at, text.len - at};
    if (vz_slice_starts(rest, "<!--")) {
        *end = behind(text, at + 4, "-->");
        return true;
    }
    if (vz_slice_starts(rest, "<![CDATA[")) {
        size_t close = behind(text, at + 9, "]]>");
        *end = at + 9;
        (void)close;
        return true;
    }
    if (vz_slice_starts(rest, "<!") || vz_slice_starts(rest, "<?")) {
        *end = behind(text, at + 2, ">");
        *by = VZ_SLICE("\n");
        if (vz_slice_starts(rest, "<?"))
            *by = (struct vz_slice){"", 0};
        return true;
    }
    if (!tag_at(text, at, &name, end) || is_escaped(html, name))
        return false;
    bool closing = text.ptr[at + 1] == '/';
    if (!closing && text.ptr[*end - 2] != '/' &&
        (name.len == 6 && strncasecmp(name.ptr, "script", 6) == 0))
        *end = behind(text, *end, "</script>");
    else if (!closing && text.ptr[*end - 2] != '/' && name.len == 5 &&
             strncasecmp(name.ptr, "style", 5) == 0)
        *end = behind(text, *end, "</style>");
    if (!is_inline(name) && text.ptr[*end - 1] == '>')
        *by = VZ_SLICE("\n");
    return true;
}

static enum vz_status run_html(const struct vz_char_filter *filter, struct vz_source *source,
                               struct vz_arena *arena, struct vz_error *err)
{
    struct rewrite r;
    size_t kept = 0;
    begin(&r, source, arena);
    for (size_t at = 0; at < r.text.len;) {
        size_t plain = at;
        while (plain < r.text.len && r.text.ptr[plain] != '<' && r.text.ptr[plain] != '&')
            plain++;
        at = plain;
        if (at >= r.text.len)
            break;
        size_t to;
        struct vz_slice by;
        char one[8];
        if (!markup_at(filter->config, r.text, at, &to, &by, one)) {
            at++;
            continue;
        }
        keep(&r, kept, at);
        replace(&r, at, to, by);
        kept = at = to;
    }
    keep(&r, kept, r.text.len);
    end(&r, source);
    return VZ_OK;
}

static enum vz_status make_html(const struct vz_making *making, struct vz_char_filter *out,
                                struct vz_error *err)
{
    struct html *html = vz_making_zalloc(making, sizeof *html);
    vz_making_list(making, "escaped_tags", &html->escaped, &html->escaped_count);
    out->config = html;
    out->run = run_html;
    return vz_making_check(making, "escaped_tags", err);
}

enum vz_status vz_char_filter_make(const struct vz_making *making, struct vz_slice type,
                                   struct vz_char_filter *out, struct vz_error *err)
{
    if (vz_slice_is(type, "html_strip") || vz_slice_is(type, "htmlStrip"))
        return make_html(making, out, err);
    if (vz_slice_is(type, "mapping"))
        return make_mapping(making, out, err);
    if (vz_slice_is(type, "pattern_replace"))
        return make_pattern(making, out, err);
    return VZ_NOT_FOUND;
}
