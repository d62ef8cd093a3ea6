/* Reading a bulk request: action lines into items, documents as slices. See bulk.c. */
#include "rest/bulk.h"

#include <stdlib.h>

const char *const vz_bulk_verbs[4] = {
    [VZ_WRITE_INDEX] = "index",
    [VZ_WRITE_CREATE] = "create",
    [VZ_WRITE_UPDATE] = "update",
    [VZ_WRITE_DELETE] = "delete",
};

#define MAX_PIPELINES 1000 /* different ones in a request */

enum value_kind { TEXT, LITERAL, NULL_VALUE };

static bool complain(struct vz_bulk *b, uint32_t line, const char *format, struct vz_slice what)
{
    struct vz_slice text = vz_call_format(b->call, format, VZ_S(what));
    return vz_call_fail(b->call, 400, "illegal_argument_exception", "%s [%u]%.*s",
                        "Malformed action/metadata line", line, VZ_S(text));
}

static bool to_number(struct vz_slice text, int64_t *out)
{
    char digits[24];
    if (text.len == 0 || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    char *end;
    *out = strtoll(digits, &end, 10);
    return *end == '\0';
}

static bool set_number(struct vz_bulk *b, struct vz_bulk_item *item, struct vz_slice key,
                       struct vz_slice value)
{
    int64_t number;
    if (!to_number(value, &number))
        return vz_call_fail(b->call, 400, "illegal_argument_exception",
                            "Malformed action/metadata line [%u], [%.*s] is no number: [%.*s]",
                            item->line, VZ_S(key), VZ_S(value));
    if (vz_slice_is(key, "version") || vz_slice_is(key, "_version")) {
        item->has_version = true;
        item->version = (uint64_t)number;
    } else if (vz_slice_is(key, "if_seq_no")) {
        item->has_if_seq_no = number >= 0;
        item->if_seq_no = (uint64_t)number;
    } else if (vz_slice_is(key, "if_primary_term")) {
        item->if_primary_term = (uint64_t)number;
    } else {
        item->retry = number < 0 ? 0 : (uint32_t)VZ_MIN(number, 100);
    }
    return true;
}

uint32_t vz_bulk_pipeline(struct vz_bulk *b, struct vz_slice name)
{
    /* Requests name one pipeline or few; the last one named comes again. */
    for (size_t i = b->pipeline_count; i > 0; i--)
        if (vz_slice_eq(b->pipelines[i - 1], name))
            return (uint32_t)i;
    if (b->pipeline_count == MAX_PIPELINES) {
        vz_call_fail(b->call, 400, "illegal_argument_exception",
                     "a bulk request may name at most [%d] pipelines", MAX_PIPELINES);
        return 0;
    }
    if (b->pipeline_count == b->pipeline_capacity) {
        b->pipeline_capacity = b->pipeline_capacity ? b->pipeline_capacity * 2 : 4;
        b->pipelines = vz_realloc(b->pipelines, b->pipeline_capacity * sizeof *b->pipelines);
    }
    b->pipelines[b->pipeline_count++] = name;
    return (uint32_t)b->pipeline_count;
}

static bool set_rare_member(struct vz_bulk *b, struct vz_bulk_item *item, struct vz_slice key,
                            struct vz_slice value)
{
    if (vz_slice_is(key, "version") || vz_slice_is(key, "_version") ||
        vz_slice_is(key, "if_seq_no") || vz_slice_is(key, "if_primary_term") ||
        vz_slice_is(key, "retry_on_conflict") || vz_slice_is(key, "_retry_on_conflict"))
        return set_number(b, item, key, value);
    if (vz_slice_is(key, "version_type") || vz_slice_is(key, "_version_type")) {
        struct vz_write op = {0};
        bool known;
        item->is_external = vz_version_type(value, &op, &known);
        item->version_gte = op.version_gte;
        return known || vz_call_fail(b->call, 400, "illegal_argument_exception",
                                     "No version type match [%.*s]", VZ_S(value));
    }
    if (vz_slice_is(key, "op_type")) {
        if (item->verb == VZ_WRITE_INDEX && vz_slice_is(value, "create"))
            item->verb = VZ_WRITE_CREATE;
        return true;
    }
    if (vz_slice_is(key, "routing") || vz_slice_is(key, "_routing"))
        return true; /* one shard: every route leads there */
    if (vz_slice_is(key, "require_alias")) {
        item->require_alias = vz_slice_is(value, "true");
        return true;
    }
    if (vz_slice_is(key, "require_data_stream") && vz_slice_is(value, "false"))
        return true;
    if (vz_slice_is(key, "list_executed_pipelines") && vz_slice_is(value, "false"))
        return true;
    if (vz_slice_is(key, "pipeline")) {
        item->pipeline = vz_bulk_pipeline(b, value);
        return item->pipeline != 0;
    }
    if (vz_slice_is(key, "require_data_stream") ||
        vz_slice_is(key, "list_executed_pipelines") || vz_slice_is(key, "dynamic_templates"))
        return vz_call_unsupported(b->call, "[%.*s] in line [%u] of a bulk request is", VZ_S(key),
                                   item->line);
    /* Clients of major 7 may still name the type there is only one of. */
    if (vz_slice_is(key, "_type") && (b->call->accept_version == 7 || vz_slice_is(value, "_doc")))
        return true;
    return vz_call_fail(b->call, 400, "illegal_argument_exception",
                        "Action/metadata line [%u] contains an unknown parameter [%.*s]",
                        item->line, VZ_S(key));
}

static bool set_member(struct vz_bulk *b, struct vz_bulk_item *item, struct vz_slice key,
                       enum value_kind kind, struct vz_slice value)
{
    if (kind == NULL_VALUE)
        return true;
    if (vz_slice_is(key, "_index")) {
        item->index = value;
        return true;
    }
    if (vz_slice_is(key, "_id")) {
        item->id = value;
        item->has_id = true;
        return true;
    }
    return set_rare_member(b, item, key, value);
}

static bool verb_of(struct vz_slice name, uint8_t *verb)
{
    for (size_t i = 0; i < VZ_COUNT_OF(vz_bulk_verbs); i++) {
        if (vz_slice_is(name, vz_bulk_verbs[i])) {
            *verb = (uint8_t)i;
            return true;
        }
    }
    return false;
}

struct scan {
    const char *at, *end;
};

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool eat(struct scan *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* A string of printable ASCII without escapes. */
static bool scan_text(struct scan *s, struct vz_slice *text)
{
    if (!eat(s, '"'))
        return false;
    const char *start = s->at;
    while (s->at < s->end && *s->at != '"') {
        unsigned char c = (unsigned char)*s->at;
        if (c < 0x20 || c >= 0x7F || c == '\\')
            return false;
        s->at++;
    }
    *text = (struct vz_slice){start, (size_t)(s->at - start)};
    return s->at < s->end && *s->at++ == '"';
}

/* A whole number, true, false or null. */
static bool scan_literal(struct scan *s, struct vz_slice *text, enum value_kind *kind)
{
    const char *start = s->at;
    bool digits = true;
    while (s->at < s->end && ((*s->at >= '0' && *s->at <= '9') || *s->at == '-' ||
                              (*s->at >= 'a' && *s->at <= 'z'))) {
        digits &= (*s->at >= '0' && *s->at <= '9') || (*s->at == '-' && s->at == start);
        s->at++;
    }
    *text = (struct vz_slice){start, (size_t)(s->at - start)};
    *kind = vz_slice_is(*text, "null") ? NULL_VALUE : LITERAL;
    bool number = digits && text->len && text->ptr[text->len - 1] != '-' &&
                  (text->len == 1 || text->ptr[0] != '0') &&
                  !(text->ptr[0] == '-' && text->ptr[1] == '0');
    return number || *kind == NULL_VALUE || vz_slice_is(*text, "true") ||
           vz_slice_is(*text, "false");
}

/* 1: read; 0: not the plain form, parse it properly; -1: a problem was left. */
static int read_plain_action(struct vz_bulk *b, struct scan s, struct vz_bulk_item *item)
{
    struct vz_slice name, key, value;
    if (!eat(&s, '{') || !scan_text(&s, &name) || !verb_of(name, &item->verb) || !eat(&s, ':') ||
        !eat(&s, '{'))
        return 0;
    bool first = true;
    while (!eat(&s, '}')) {
        enum value_kind kind = TEXT;
        if (!first && !eat(&s, ','))
            return 0;
        first = false;
        if (!scan_text(&s, &key) || !eat(&s, ':'))
            return 0;
        skip_space(&s);
        if (s.at == s.end)
            return 0;
        if (*s.at == '"' ? !scan_text(&s, &value) : !scan_literal(&s, &value, &kind))
            return 0;
        if (vz_slice_is(key, "_source"))
            return 0;
        if (!set_member(b, item, key, kind, value))
            return -1;
    }
    if (!eat(&s, '}'))
        return 0;
    skip_space(&s);
    return s.at == s.end;
}

static const char *token_name(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_MISSING:
    case VZ_JSON_NULL:
        return "VALUE_NULL";
    case VZ_JSON_BOOL:
        return "VALUE_BOOLEAN";
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE:
        return "VALUE_NUMBER";
    case VZ_JSON_STRING:
        return "VALUE_STRING";
    case VZ_JSON_ARRAY:
        return "START_ARRAY";
    case VZ_JSON_OBJECT:
        return "START_OBJECT";
    }
    return "VALUE_NULL";
}

static struct vz_json_patterns keep_patterns(struct vz_arena *arena, struct vz_json_patterns from)
{
    struct vz_slice *items = vz_arena_alloc(arena, (from.count + 1) * sizeof *items);
    for (size_t i = 0; i < from.count; i++)
        items[i] = vz_arena_copy(arena, from.items[i]);
    return (struct vz_json_patterns){items, from.count};
}

/* "_source" in an update's action: what of the document the answer shows. */
static bool returned_member(struct vz_bulk *b, struct vz_bulk_item *item, struct vz_json value)
{
    struct vz_source_choice *choice = vz_arena_alloc(b->call->arena, sizeof *choice);
    if (!vz_source_of_json(b->call->arena, value, choice))
        return complain(b, item->line, ", expected a valid [%.*s]", VZ_SLICE("_source"));
    choice->includes = keep_patterns(b->call->arena, choice->includes);
    choice->excludes = keep_patterns(b->call->arena, choice->excludes);
    item->returns = choice;
    return true;
}

static bool parsed_member(struct vz_bulk *b, struct vz_bulk_item *item, struct vz_slice key,
                          struct vz_json value)
{
    struct vz_arena *arena = b->call->arena;
    key = vz_arena_copy(arena, key);
    if (vz_slice_is(key, "_source"))
        return returned_member(b, item, value);
    struct vz_slice text;
    enum value_kind kind = LITERAL;
    switch (vz_json_type(value)) {
    case VZ_JSON_OBJECT:
    case VZ_JSON_ARRAY:
        if (vz_slice_is(key, "dynamic_templates"))
            return set_member(b, item, key, LITERAL, VZ_SLICE("{}"));
        return vz_call_fail(b->call, 400, "illegal_argument_exception",
                            "Malformed action/metadata line [%u], expected a simple value for "
                            "field [%.*s] but found [%s]",
                            item->line, VZ_S(key), token_name(value));
    case VZ_JSON_STRING:
        text = vz_arena_copy(arena, vz_json_string(value));
        kind = TEXT;
        break;
    case VZ_JSON_NULL:
        return true;
    default: {
        struct vz_buf printed = {0};
        vz_json_print(value, &printed);
        text = vz_arena_copy(arena, vz_buf_slice(&printed));
        vz_buf_deinit(&printed);
    }
    }
    return set_member(b, item, key, kind, text);
}

static bool parsed_action(struct vz_bulk *b, struct vz_json root, struct vz_bulk_item *item)
{
    struct vz_slice name, key;
    struct vz_json body, value;
    if (vz_json_type(root) != VZ_JSON_OBJECT)
        return complain(b, item->line, ", expected START_OBJECT but found [%.*s]",
                        vz_slice_from(token_name(root)));
    struct vz_json_iter it = vz_json_iterate(root);
    if (!vz_json_next(&it, &name, &body))
        return complain(b, item->line, ", expected FIELD_NAME but found [%.*s]",
                        VZ_SLICE("END_OBJECT"));
    if (!verb_of(name, &item->verb))
        return complain(b, item->line,
                        ", expected field [create], [delete], [index] or [update] but found "
                        "[%.*s]",
                        name);
    if (vz_json_type(body) != VZ_JSON_OBJECT)
        return complain(b, item->line, ", expected START_OBJECT but found [%.*s]",
                        vz_slice_from(token_name(body)));
    struct vz_json_iter members = vz_json_iterate(body);
    while (vz_json_next(&members, &key, &value))
        if (!parsed_member(b, item, key, value))
            return false;
    if (vz_json_next(&it, &name, &body))
        return complain(b, item->line, ", expected END_OBJECT but found [%.*s]",
                        VZ_SLICE("FIELD_NAME"));
    return true;
}

static bool read_parsed_action(struct vz_bulk *b, struct vz_slice line, struct vz_bulk_item *item)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    struct vz_bulk_item fresh = {.index = b->default_index,
                                 .line = item->line,
                                 .require_alias = b->default_require_alias,
                                 .pipeline = b->default_pipeline,
                                 .returns = b->default_returns};
    *item = fresh;
    if (vz_json_parse_padded(line, &doc, &root, &err) != VZ_OK) {
        size_t offset = err.offset == VZ_NO_OFFSET ? 0 : err.offset;
        return vz_call_fail(b->call, 400, "x_content_parse_exception",
                            "[%u:%zu] Malformed action/metadata line [%u]: %s", item->line,
                            offset + 1, item->line, err.text);
    }
    bool ok = parsed_action(b, root, item);
    vz_json_free(doc);
    return ok;
}

struct vz_bulk_item *vz_bulk_add(struct vz_bulk *b)
{
    if (b->count == VZ_BULK_MAX_ITEMS) {
        vz_call_fail(b->call, 429, "circuit_breaking_exception",
                     "[request] Data too large: a bulk request may hold at most [%d] items",
                     VZ_BULK_MAX_ITEMS);
        b->call->problem.is_circuit = true;
        return NULL;
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : 256;
        b->items = vz_realloc(b->items, b->capacity * sizeof *b->items);
    }
    struct vz_bulk_item *item = &b->items[b->count++];
    *item = (struct vz_bulk_item){.index = b->default_index,
                                  .require_alias = b->default_require_alias,
                                  .pipeline = b->default_pipeline,
                                  .returns = b->default_returns};
    return item;
}

/* Takes the next line off `rest`, without its end. Every line has one: checked before. */
static struct vz_slice next_line(struct vz_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct vz_slice line = {rest->ptr, (size_t)(end - rest->ptr)};
    rest->ptr += line.len + 1;
    rest->len -= line.len + 1;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static bool is_blank(struct vz_slice line)
{
    struct scan s = {line.ptr, line.ptr + line.len};
    skip_space(&s);
    return s.at == s.end;
}

static bool read_items(struct vz_bulk *b)
{
    struct vz_slice rest = b->call->request->body;
    uint32_t line_number = 0;
    if (rest.ptr[rest.len - 1] != '\n')
        return vz_call_fail(b->call, 400, "illegal_argument_exception",
                            "The bulk request must be terminated by a newline [\\n]");
    while (rest.len) {
        struct vz_slice line = next_line(&rest);
        line_number++;
        if (is_blank(line))
            continue;
        struct vz_bulk_item *item = vz_bulk_add(b);
        if (!item)
            return false;
        item->line = line_number;
        struct scan s = {line.ptr, line.ptr + line.len};
        int read = read_plain_action(b, s, item);
        if (read < 0 || (read == 0 && !read_parsed_action(b, line, item)))
            return false;
        if (item->verb == VZ_WRITE_DELETE)
            continue;
        /* Elasticsearch drops an action without its document at the very end; that loses a write
         * silently, so it is refused here. */
        if (rest.len == 0)
            return complain(b, line_number, ", expected a source line behind [%.*s]",
                            vz_slice_from(vz_bulk_verbs[item->verb]));
        item->source = next_line(&rest);
        line_number++;
    }
    return true;
}

static void check_item(const struct vz_bulk_item *item, struct vz_buf *text, size_t *problems)
{
    const char *why = NULL;
    if (item->index.len == 0)
        vz_buf_printf(text, " %zu: index is missing;", ++*problems);
    if (!item->has_id && (item->verb == VZ_WRITE_DELETE || item->verb == VZ_WRITE_UPDATE))
        why = "id is missing";
    else if (item->id.len > 512)
        vz_buf_printf(text,
                      " %zu: id [%.*s] is too long, must be no longer than 512 bytes but "
                      "was: %zu;",
                      ++*problems, VZ_S(item->id), item->id.len);
    else if (item->verb == VZ_WRITE_UPDATE && item->has_version)
        why = "Update requests do not support versioning. Please use `if_seq_no` and "
              "`if_primary_term` instead";
    else if (item->verb == VZ_WRITE_CREATE && item->has_if_seq_no)
        why = "create operations do not support compare and set. use index instead";
    else if (item->verb == VZ_WRITE_CREATE && item->is_external)
        why = "create operations only support internal versioning. use index instead";
    else if (item->has_version && !item->is_external)
        why = "internal versioning can not be used for optimistic concurrency control. Please use "
              "`if_seq_no` and `if_primary_term` instead";
    else if (!item->has_id && (item->has_version || item->has_if_seq_no))
        why = "an id must be provided if version type or value are set";
    else if (item->has_if_seq_no && item->if_primary_term == 0)
        why = "ifSeqNo is set, but primary term is [0]";
    if (why)
        vz_buf_printf(text, " %zu: %s;", ++*problems, why);
}

static bool check_items(struct vz_bulk *b)
{
    struct vz_buf text = {0};
    size_t problems = 0;
    if (b->count == 0)
        vz_buf_printf(&text, " %zu: no requests added;", ++problems);
    for (size_t i = 0; i < b->count && problems < 50; i++)
        check_item(&b->items[i], &text, &problems);
    if (problems)
        vz_call_fail(b->call, 400, "action_request_validation_exception", "Validation Failed:%.*s",
                     (int)text.len, text.data);
    vz_buf_deinit(&text);
    return problems == 0;
}

bool vz_bulk_read(struct vz_bulk *b)
{
    return read_items(b) && check_items(b);
}
