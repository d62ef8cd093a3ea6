/* query/highlight_parse.c - the `highlight` of a body: options of all fields and of each. */
#include "query/dsl.h"
#include "query/highlight.h"

#include <ctype.h>

enum option {
    HAS_TYPE = 1,
    HAS_FRAGMENTER = 1 << 1,
    HAS_TAGS = 1 << 2,
    HAS_SIZE = 1 << 3,
    HAS_COUNT = 1 << 4,
    HAS_NO_MATCH = 1 << 5,
    HAS_ORDER = 1 << 6,
    HAS_FIELD_MATCH = 1 << 7,
    HAS_BOUNDARY = 1 << 8,
    HAS_CHARS = 1 << 9,
    HAS_LOCALE = 1 << 10,
    HAS_SCAN = 1 << 11,
    HAS_OFFSET = 1 << 12,
    HAS_QUERY = 1 << 13,
    HAS_ENCODER = 1 << 14
};

static enum vz_status bad_type(const char *where, struct vz_slice key, struct vz_json value,
                               struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] %.*s doesn't support values of type: %s", where,
                   VZ_ARG(key), vz_query_token(value));
}

/* A value that the parser takes and the highlighter does not: Elasticsearch wraps what it says. */
static enum vz_status bad_value(const char *where, struct vz_slice key, const char *why,
                                struct vz_error *err)
{
    vz_fail(err, VZ_BAD_QUERY, "[%s] failed to parse field [%.*s]", where, VZ_ARG(key));
    vz_fail_cause(err, "%s", why);
    return VZ_BAD_QUERY;
}

static enum vz_status read_int(const char *where, struct vz_slice key, struct vz_json value,
                               int64_t *out, struct vz_error *err)
{
    enum vz_json_type type = vz_json_type(value);
    if (type != VZ_JSON_STRING && !vz_json_is_number(value))
        return bad_type(where, key, value, err);
    if (!vz_json_as_int(value, out) || *out > INT32_MAX || *out < INT32_MIN)
        return bad_value(where, key, "the value is not an int", err);
    return VZ_OK;
}

static enum vz_status read_text(const char *where, struct vz_slice key, struct vz_json value,
                                struct vz_slice *out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_STRING)
        return bad_type(where, key, value, err);
    *out = vz_json_string(value);
    return VZ_OK;
}

static enum vz_status read_tags(struct vz_parser *parser, const char *where, struct vz_slice key,
                                struct vz_json value, struct vz_slice **tags, size_t *count,
                                struct vz_error *err)
{
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t most = list ? vz_json_count(value) : 1;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    enum vz_status status = VZ_OK;
    if (most == 0)
        return vz_fail(err, VZ_BAD_QUERY, "pre_tags or post_tags must not be empty");
    if (most > VZ_MAX_HIGHLIGHT_TAGS)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] more than [%d] tags are not supported", where,
                       VZ_MAX_HIGHLIGHT_TAGS);
    *tags = vz_arena_alloc(parser->arena, most * sizeof **tags);
    for (*count = 0; status == VZ_OK && *count < most; ++*count) {
        if (list)
            vz_json_next(&it, NULL, &element);
        status = read_text(where, key, element, &(*tags)[*count], err);
    }
    return status;
}

static enum vz_status read_schema(struct vz_parser *parser, const char *where, struct vz_slice key,
                                  struct vz_json value, struct vz_highlight_options *options,
                                  struct vz_error *err)
{
    struct vz_slice name = {0};
    enum vz_status status = read_text(where, key, value, &name, err);
    bool styled = vz_slice_is(name, "styled");
    if (status != VZ_OK)
        return status;
    if (!styled && !vz_slice_is(name, "default"))
        return bad_value(where, key,
                         vz_arena_printf(parser->arena, "Unknown tag schema [%.*s]", VZ_ARG(name)),
                         err);
    options->pre_tag_count = styled ? 10 : 1;
    options->post_tag_count = 1;
    options->pre_tags =
        vz_arena_alloc(parser->arena, options->pre_tag_count * sizeof *options->pre_tags);
    options->post_tags = vz_arena_alloc(parser->arena, sizeof *options->post_tags);
    options->post_tags[0] = VZ_SLICE("</em>");
    options->pre_tags[0] = VZ_SLICE("<em>");
    for (int i = 0; styled && i < 10; i++)
        options->pre_tags[i] =
            vz_slice_from(vz_arena_printf(parser->arena, "<em class=\"hlt%d\">", i + 1));
    return VZ_OK;
}

static enum vz_status read_boundary(struct vz_parser *parser, const char *where,
                                    struct vz_slice key, struct vz_json value,
                                    enum vz_boundary *out, struct vz_error *err)
{
    static const char *const names[] = {[VZ_BOUNDARY_SENTENCE] = "SENTENCE",
                                        [VZ_BOUNDARY_WORD] = "WORD",
                                        [VZ_BOUNDARY_CHARS] = "CHARS"};
    struct vz_slice name = {0};
    enum vz_status status = read_text(where, key, value, &name, err);
    if (status != VZ_OK)
        return status;
    char *upper = vz_arena_strdup(parser->arena, name);
    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    for (size_t i = VZ_BOUNDARY_SENTENCE; i < VZ_COUNT_OF(names); i++)
        if (strcmp(upper, names[i]) == 0) {
            *out = (enum vz_boundary)i;
            return VZ_OK;
        }
    return bad_value(where, key,
                     vz_arena_printf(parser->arena,
                                     "No enum constant org.elasticsearch.search.fetch.subphase."
                                     "highlight.HighlightBuilder.BoundaryScannerType.%s",
                                     upper),
                     err);
}

/* A language tag; what ICU does not know becomes root there. */
static enum vz_status read_locale(struct vz_parser *parser, const char *where, struct vz_slice key,
                                  struct vz_json value, const char **out, struct vz_error *err)
{
    struct vz_slice tag = {0};
    enum vz_status status = read_text(where, key, value, &tag, err);
    if (status != VZ_OK)
        return status;
    bool known = tag.len < 64;
    for (size_t i = 0; i < tag.len; i++)
        known &= isalnum((unsigned char)tag.ptr[i]) || tag.ptr[i] == '-' || tag.ptr[i] == '_';
    *out = known ? vz_arena_strdup(parser->arena, tag) : "";
    return VZ_OK;
}

static enum vz_status read_query(struct vz_parser *parser, const char *where, struct vz_slice key,
                                 struct vz_json value, const struct vz_node **out,
                                 struct vz_error *err)
{
    struct vz_node *node;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad_type(where, key, value, err);
    enum vz_status status = vz_query_parse(parser, value, &node, err);
    *out = node;
    return status;
}

/* What is read and has no effect here: nothing is stored beside _source, offsets come from a new
 * analysis, a phrase is looked for in one text. */
static bool is_harmless(struct vz_slice key)
{
    static const char *const names[] = {"force_source", "highlight_filter", "phrase_limit",
                                        "options", "fragment_offset"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(key, names[i]))
            return true;
    return false;
}

static enum vz_status read_number(const char *where, struct vz_slice key, struct vz_json value,
                                  struct vz_highlight_options *options, struct vz_error *err)
{
    int64_t number;
    enum vz_status status = read_int(where, key, value, &number, err);
    if (status != VZ_OK)
        return status;
    uint32_t natural = (uint32_t)VZ_MAX(number, 0);
    if (vz_slice_is(key, "fragment_size")) {
        options->fragment_size = natural;
        options->set |= HAS_SIZE;
    } else if (vz_slice_is(key, "number_of_fragments")) {
        if (number < 0 || number > VZ_MAX_HIGHLIGHT_FRAGMENTS)
            return bad_value(where, key, "[number_of_fragments] must be between [0] and [100000]",
                             err);
        options->number_of_fragments = natural;
        options->set |= HAS_COUNT;
    } else if (vz_slice_is(key, "no_match_size")) {
        options->no_match_size = natural;
        options->set |= HAS_NO_MATCH;
    } else if (vz_slice_is(key, "boundary_max_scan")) {
        options->boundary_max_scan = natural;
        options->set |= HAS_SCAN;
    } else {
        if (number < -1 || number == 0)
            return bad_value(where, key, "[max_analyzed_offset] must be a positive integer, or -1",
                             err);
        options->max_analyzed_offset = number;
        options->set |= HAS_OFFSET;
    }
    return VZ_OK;
}

static enum vz_status read_option(struct vz_parser *parser, const char *where, struct vz_slice key,
                                  struct vz_json value, struct vz_highlight_options *options,
                                  struct vz_error *err)
{
    struct vz_slice text = {0};
    enum vz_status status;
    static const struct {
        const char *name;
        enum option set;
        size_t offset;
    } texts[] = {
        {"type", HAS_TYPE, offsetof(struct vz_highlight_options, type_name)},
        {"fragmenter", HAS_FRAGMENTER, offsetof(struct vz_highlight_options, fragmenter)},
        {"encoder", HAS_ENCODER, offsetof(struct vz_highlight_options, encoder)},
        {"boundary_chars", HAS_CHARS, offsetof(struct vz_highlight_options, boundary_chars)}};
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++)
        if (vz_slice_is(key, texts[i].name)) {
            options->set |= texts[i].set;
            return read_text(where, key, value,
                             (struct vz_slice *)(void *)((char *)options + texts[i].offset), err);
        }
    if (vz_slice_is(key, "pre_tags"))
        return read_tags(parser, where, key, value, &options->pre_tags, &options->pre_tag_count,
                         err);
    if (vz_slice_is(key, "post_tags"))
        return read_tags(parser, where, key, value, &options->post_tags, &options->post_tag_count,
                         err);
    if (vz_slice_is(key, "tags_schema"))
        return read_schema(parser, where, key, value, options, err);
    if (vz_slice_is(key, "fragment_size") || vz_slice_is(key, "number_of_fragments") ||
        vz_slice_is(key, "no_match_size") || vz_slice_is(key, "boundary_max_scan") ||
        vz_slice_is(key, "max_analyzed_offset"))
        return read_number(where, key, value, options, err);
    if (vz_slice_is(key, "order")) {
        status = read_text(where, key, value, &text, err);
        options->by_score =
            status == VZ_OK && text.len == 5 && strncasecmp(text.ptr, "score", 5) == 0;
        options->set |= HAS_ORDER;
        return status;
    }
    if (vz_slice_is(key, "require_field_match")) {
        options->set |= HAS_FIELD_MATCH;
        return vz_json_as_bool(value, &options->require_field_match)
                   ? VZ_OK
                   : bad_type(where, key, value, err);
    }
    if (vz_slice_is(key, "boundary_scanner")) {
        options->set |= HAS_BOUNDARY;
        return read_boundary(parser, where, key, value, &options->boundary, err);
    }
    if (vz_slice_is(key, "boundary_scanner_locale")) {
        options->set |= HAS_LOCALE;
        return read_locale(parser, where, key, value, &options->locale, err);
    }
    if (vz_slice_is(key, "highlight_query")) {
        options->set |= HAS_QUERY;
        return read_query(parser, where, key, value, &options->query, err);
    }
    return is_harmless(key)
               ? VZ_OK
               : vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", where, VZ_ARG(key));
}

static enum vz_status check_tags(const struct vz_highlight_options *options, struct vz_error *err)
{
    if (options->pre_tags && !options->post_tags)
        return vz_fail(err, VZ_BAD_QUERY, "pre_tags are set but post_tags are not set");
    return VZ_OK;
}

static enum vz_status read_field(struct vz_parser *parser, struct vz_slice name,
                                 struct vz_json value, struct vz_highlight *highlight,
                                 struct vz_error *err)
{
    struct vz_highlight_field *field = &highlight->fields[highlight->field_count++];
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    *field = (struct vz_highlight_field){.name = name};
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad_type("highlight", VZ_SLICE("fields"), value, err);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "matched_fields"))
            status = read_tags(parser, "highlight_field", key, member, &field->matched_fields,
                               &field->matched_field_count, err);
        else
            status = read_option(parser, "highlight_field", key, member, &field->options, err);
    }
    return status == VZ_OK ? check_tags(&field->options, err) : status;
}

static enum vz_status read_fields(struct vz_parser *parser, struct vz_json value,
                                  struct vz_highlight *highlight, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value), members;
    struct vz_slice key;
    struct vz_json member, element;
    enum vz_json_type type = vz_json_type(value);
    size_t count = vz_json_count(value);
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY)
        return bad_type("highlight", VZ_SLICE("fields"), value, err);
    if (count > VZ_MAX_HIGHLIGHT_FIELDS)
        return vz_fail(err, VZ_BAD_QUERY, "[highlight] more than [%d] fields are not supported",
                       VZ_MAX_HIGHLIGHT_FIELDS);
    highlight->fields = vz_arena_alloc(parser->arena, (count + 1) * sizeof *highlight->fields);
    highlight->field_count = 0;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && type == VZ_JSON_OBJECT && vz_json_next(&it, &key, &member))
        status = read_field(parser, key, member, highlight, err);
    while (status == VZ_OK && type == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_OBJECT || vz_json_count(element) != 1)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[highlight] [fields] can be a single object with any number of fields "
                           "or an array where each entry is an object with a single field");
        members = vz_json_iterate(element);
        vz_json_next(&members, &key, &member);
        status = read_field(parser, key, member, highlight, err);
    }
    return status;
}

static const struct vz_slice default_pre[] = {{"<em>", 4}}, default_post[] = {{"</em>", 5}};

/* What was not given of `to` is as `from` has it. */
static void merge(struct vz_highlight_options *to, const struct vz_highlight_options *from)
{
    struct vz_highlight_options own = *to;
    *to = *from;
    to->set |= own.set;
    if (own.set & HAS_TYPE)
        to->type_name = own.type_name;
    if (own.set & HAS_FRAGMENTER)
        to->fragmenter = own.fragmenter;
    if (own.set & HAS_ENCODER)
        to->encoder = own.encoder;
    if (own.pre_tags) {
        to->pre_tags = own.pre_tags;
        to->pre_tag_count = own.pre_tag_count;
    }
    if (own.post_tags) {
        to->post_tags = own.post_tags;
        to->post_tag_count = own.post_tag_count;
    }
    if (own.set & HAS_SIZE)
        to->fragment_size = own.fragment_size;
    if (own.set & HAS_COUNT)
        to->number_of_fragments = own.number_of_fragments;
    if (own.set & HAS_NO_MATCH)
        to->no_match_size = own.no_match_size;
    if (own.set & HAS_SCAN)
        to->boundary_max_scan = own.boundary_max_scan;
    if (own.set & HAS_ORDER)
        to->by_score = own.by_score;
    if (own.set & HAS_FIELD_MATCH)
        to->require_field_match = own.require_field_match;
    if (own.set & HAS_BOUNDARY)
        to->boundary = own.boundary;
    if (own.set & HAS_CHARS)
        to->boundary_chars = own.boundary_chars;
    if (own.set & HAS_LOCALE)
        to->locale = own.locale;
    if (own.set & HAS_OFFSET)
        to->max_analyzed_offset = own.max_analyzed_offset;
    if (own.set & HAS_QUERY)
        to->query = own.query;
}

static struct vz_highlight_options defaults_in(struct vz_arena *arena)
{
    struct vz_highlight_options options = {.pre_tag_count = 1,
                                           .post_tag_count = 1,
                                           .fragment_size = 100,
                                           .number_of_fragments = 5,
                                           .require_field_match = true,
                                           .boundary_max_scan = 20,
                                           .boundary_chars = VZ_SLICE(".,!? \t\n"),
                                           .locale = ""};
    options.pre_tags = vz_arena_alloc(arena, sizeof default_pre);
    options.post_tags = vz_arena_alloc(arena, sizeof default_post);
    options.pre_tags[0] = default_pre[0];
    options.post_tags[0] = default_post[0];
    return options;
}

enum vz_status vz_highlight_parse(struct vz_parser *parser, struct vz_json value,
                                  struct vz_highlight **out, struct vz_error *err)
{
    struct vz_highlight *highlight = vz_arena_zalloc(parser->arena, sizeof *highlight);
    struct vz_highlight_options all = {0}, defaults = defaults_in(parser->arena);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    *out = highlight;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [highlight].",
                       vz_query_token(value));
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "fields"))
            status = read_fields(parser, member, highlight, err);
        else
            status = read_option(parser, "highlight", key, member, &all, err);
    }
    if (status == VZ_OK)
        status = check_tags(&all, err);
    merge(&all, &defaults);
    for (size_t i = 0; i < highlight->field_count; i++)
        merge(&highlight->fields[i].options, &all);
    return status;
}
