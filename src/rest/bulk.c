/* _bulk: many writes in one request.
 *
 * The body is lines of JSON, an action and (but for delete) a document. Documents are handed to the
 * store as slices of the body, uncopied and unparsed: the store parses them once. The steps:
 *
 *   1. read    every action line into an item; a malformed line refuses the whole request, before
 *              anything is written, as Elasticsearch does: a request cut off in the middle must not
 *              half happen unseen
 *   2. group   items by the index they go to, made on the way when absent
 *   3. write   each group in its order, CHUNK operations a call (one commit for all but giant
 *              requests; struct vz_write is large, so not all at once)
 *   4. print   one line of answer an item, straight into the body
 *
 * An action line as every client writes it, {"index":{"_index":"a","_id":"1"}}, is read by a small
 * scanner; whatever it does not expect (escapes, nested values, errors) goes to the JSON parser,
 * which also words the complaints. */
#include "rest/parts.h"

#include <stdlib.h>

#define CHUNK 8192
#define MAX_ITEMS 500000
#define NO_ITEM UINT32_MAX

struct item {
    struct vz_slice index, id, source;
    uint64_t version, if_seq_no, if_primary_term, out_version, out_seq_no;
    struct vz_problem *problem;             /* NULL: it worked */
    const struct vz_source_choice *returns; /* update: print the document after it */
    uint32_t group, line, retry;
    uint32_t next; /* item of the same index, or NO_ITEM */
    uint8_t verb, result;
    bool has_id, has_version, is_external, version_gte, has_if_seq_no, require_alias;
};

struct group {
    struct vz_index *index; /* NULL: problem says why */
    struct vz_problem *problem;
    uint32_t same_as;       /* the group that holds this index's items */
    uint32_t first, last;   /* those items, in their order */
    bool wants_index;       /* some item may make the index */
    bool require_alias;
    unsigned replicas;
    struct vz_slice name;
    struct vz_slice head;   /* ,"_index":"name","_id":" */
    struct vz_slice shards; /* the constant middle of an answer */
};

struct bulk {
    struct vz_call *call;
    struct vz_slice default_index;
    bool default_require_alias;
    const struct vz_source_choice *default_returns;
    struct item *items; /* malloc'd */
    size_t count, capacity;
    struct group *groups; /* malloc'd */
    size_t group_count, group_capacity;
    struct vz_strmap group_of;
    enum vz_refresh refresh;
    size_t failed;
};

static const char *const verb_names[] = {
    [VZ_WRITE_INDEX] = "index",
    [VZ_WRITE_CREATE] = "create",
    [VZ_WRITE_UPDATE] = "update",
    [VZ_WRITE_DELETE] = "delete",
};

/* ---- 1. reading ---------------------------------------------------------------------------- */

enum value_kind { TEXT, LITERAL, NULL_VALUE };

static bool complain(struct bulk *b, uint32_t line, const char *format, struct vz_slice what)
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

static bool set_number(struct bulk *b, struct item *item, struct vz_slice key,
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

static bool set_rare_member(struct bulk *b, struct item *item, struct vz_slice key,
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
    if (vz_slice_is(key, "pipeline") && vz_slice_is(value, "_none"))
        return true;
    if (vz_slice_is(key, "pipeline") || vz_slice_is(key, "require_data_stream") ||
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

static bool set_member(struct bulk *b, struct item *item, struct vz_slice key,
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
    for (size_t i = 0; i < VZ_COUNT_OF(verb_names); i++) {
        if (vz_slice_is(name, verb_names[i])) {
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
static int read_plain_action(struct bulk *b, struct scan s, struct item *item)
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
        return vz_json_bool(value) ? "VALUE_BOOLEAN" : "VALUE_BOOLEAN";
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

static bool parsed_member(struct bulk *b, struct item *item, struct vz_slice key,
                          struct vz_json value)
{
    struct vz_arena *arena = b->call->arena;
    key = vz_arena_copy(arena, key);
    if (vz_slice_is(key, "_source")) {
        struct vz_source_choice *choice = vz_arena_alloc(arena, sizeof *choice);
        struct vz_json_doc *doc; /* a copy that lives as long as the call's arena would be costly:
                                  * print and parse again only for this rare member */
        struct vz_buf text = {0};
        vz_json_print(value, &text);
        struct vz_slice kept = vz_arena_copy(arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
        struct vz_json root;
        bool ok = vz_json_parse(kept, &doc, &root, NULL) == VZ_OK &&
                  vz_source_of_json(arena, root, choice);
        for (size_t i = 0; ok && i < choice->includes.count + choice->excludes.count; i++) {
            struct vz_json_patterns *p =
                i < choice->includes.count ? &choice->includes : &choice->excludes;
            size_t at = i < choice->includes.count ? i : i - choice->includes.count;
            struct vz_slice *items = vz_arena_alloc(arena, p->count * sizeof *items);
            memcpy(items, p->items, p->count * sizeof *items);
            items[at] = vz_arena_copy(arena, items[at]);
            p->items = items;
        }
        vz_json_free(doc);
        item->returns = choice;
        return ok || complain(b, item->line, ", expected a valid [%.*s]", key);
    }
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

static bool parsed_action(struct bulk *b, struct vz_json root, struct item *item)
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

static bool read_parsed_action(struct bulk *b, struct vz_slice line, struct item *item)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    struct item fresh = {.index = b->default_index,
                         .line = item->line,
                         .require_alias = b->default_require_alias,
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

static struct item *new_item(struct bulk *b)
{
    if (b->count == MAX_ITEMS) {
        vz_call_fail(b->call, 429, "circuit_breaking_exception",
                     "[request] Data too large: a bulk request may hold at most [%d] items",
                     MAX_ITEMS);
        b->call->problem.is_circuit = true;
        return NULL;
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : 256;
        b->items = vz_realloc(b->items, b->capacity * sizeof *b->items);
    }
    struct item *item = &b->items[b->count++];
    *item = (struct item){.index = b->default_index,
                          .require_alias = b->default_require_alias,
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

static bool read_items(struct bulk *b)
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
        struct item *item = new_item(b);
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
                            vz_slice_from(verb_names[item->verb]));
        item->source = next_line(&rest);
        line_number++;
    }
    return true;
}

static void check_item(const struct item *item, struct vz_buf *text, size_t *problems)
{
    const char *why = NULL;
    if (item->index.len == 0)
        vz_buf_printf(text, " %zu: index is missing;", ++*problems);
    if (!item->has_id && (item->verb == VZ_WRITE_DELETE || item->verb == VZ_WRITE_UPDATE))
        why = "id is missing";
    else if (item->id.len > 512)
        vz_buf_printf(text, " %zu: id [%.*s] is too long, must be no longer than 512 bytes but "
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

static bool check_items(struct bulk *b)
{
    struct vz_buf text = {0};
    size_t problems = 0;
    if (b->count == 0)
        vz_buf_printf(&text, " %zu: no requests added;", ++problems);
    for (size_t i = 0; i < b->count && problems < 50; i++)
        check_item(&b->items[i], &text, &problems);
    if (problems)
        vz_call_fail(b->call, 400, "action_request_validation_exception",
                     "Validation Failed:%.*s", (int)text.len, text.data);
    vz_buf_deinit(&text);
    return problems == 0;
}

/* ---- 2. grouping --------------------------------------------------------------------------- */

static uint32_t group_for(struct bulk *b, const struct item *item)
{
    /* Bulk requests rarely name more than one index, and when they do, in runs. */
    if (b->group_count) {
        const struct group *last = &b->groups[b->group_count - 1];
        if (vz_slice_eq(last->name, item->index) && last->require_alias == item->require_alias)
            return (uint32_t)(b->group_count - 1);
    }
    struct vz_buf key = {0};
    vz_buf_append_char(&key, item->require_alias ? '1' : '0');
    vz_buf_append_slice(&key, item->index);
    uint64_t at;
    if (!vz_strmap_get(&b->group_of, vz_buf_slice(&key), &at)) {
        at = b->group_count;
        vz_strmap_put(&b->group_of, vz_buf_slice(&key), at);
        if (b->group_count == b->group_capacity) {
            b->group_capacity = b->group_capacity ? b->group_capacity * 2 : 8;
            b->groups = vz_realloc(b->groups, b->group_capacity * sizeof *b->groups);
        }
        b->groups[b->group_count++] =
            (struct group){.name = item->index,
                           .require_alias = item->require_alias,
                           .first = NO_ITEM,
                           .last = NO_ITEM};
    }
    vz_buf_deinit(&key);
    return (uint32_t)at;
}

static void open_group(struct bulk *b, uint32_t at)
{
    struct group *group = &b->groups[at];
    struct vz_arena *arena = b->call->arena;
    struct vz_problem problem = {0};
    group->same_as = at;
    group->index = vz_resolve_write(b->call->store, arena, group->name, group->wants_index,
                                    group->require_alias, &problem);
    if (!group->index) {
        group->problem = vz_arena_alloc(arena, sizeof problem);
        *group->problem = problem;
        return;
    }
    for (uint32_t i = 0; i < at && group->same_as == at; i++)
        if (b->groups[i].index == group->index)
            group->same_as = i;
    group->replicas = vz_index_replicas(group->index);
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_buf_append_str(&text, "\":{\"_index\":");
    vz_json_put_string(&w, vz_index_name(group->index));
    vz_buf_append_str(&text, ",\"_id\":");
    group->head = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_clear(&text);
    vz_buf_printf(&text, "%s\"_shards\":{\"total\":%u,\"successful\":1,\"failed\":0},\"_seq_no\":",
                  b->refresh == VZ_REFRESH_TRUE ? "\"forced_refresh\":true," : "",
                  1 + group->replicas);
    group->shards = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void group_items(struct bulk *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct item *item = &b->items[i];
        item->group = group_for(b, item);
        b->groups[item->group].wants_index |=
            item->verb != VZ_WRITE_DELETE || item->is_external;
    }
    for (uint32_t i = 0; i < b->group_count; i++)
        open_group(b, i);
    for (uint32_t i = 0; i < b->count; i++) {
        struct item *item = &b->items[i];
        struct group *group = &b->groups[item->group];
        item->next = NO_ITEM;
        item->problem = group->problem;
        group = &b->groups[group->same_as];
        if (group->last == NO_ITEM)
            group->first = i;
        else
            b->items[group->last].next = i;
        group->last = i;
    }
}

/* ---- 3. writing ---------------------------------------------------------------------------- */

static void fail_item(struct bulk *b, struct item *item, const struct vz_error *err,
                      enum vz_place place)
{
    struct group *group = &b->groups[item->group];
    item->problem = vz_arena_alloc(b->call->arena, sizeof *item->problem);
    vz_problem_from(b->call->arena, err, place, item->source, vz_index_name(group->index),
                    vz_index_uuid(group->index), item->problem);
}

static void set_op(struct vz_write *op, const struct item *item)
{
    op->verb = item->verb;
    op->id = item->id;
    op->source = item->source;
    op->has_if_seq_no = item->has_if_seq_no;
    op->if_seq_no = item->if_seq_no;
    op->if_primary_term = item->if_primary_term;
    op->has_version = item->has_version;
    op->version_gte = item->version_gte;
    op->version = item->version;
    op->retry_on_conflict = item->retry;
    op->status = VZ_OK;
    op->error.status = VZ_OK;
    op->error.offset = VZ_NO_OFFSET;
    op->error.text[0] = op->error.cause[0] = '\0';
}

static void write_chunk(struct bulk *b, struct vz_index *index, struct vz_write *ops,
                        struct item **of, size_t count, bool last)
{
    struct vz_error err = {0};
    struct vz_write_options options = {
        .refresh = last ? b->refresh : VZ_REFRESH_NONE, .arena = b->call->arena};
    enum vz_status status = vz_index_write(index, ops, count, &options, &err);
    for (size_t i = 0; i < count; i++) {
        struct item *item = of[i];
        item->id = ops[i].id;
        item->result = (uint8_t)ops[i].result;
        item->out_version = ops[i].out_version;
        item->out_seq_no = ops[i].out_seq_no;
        if (status != VZ_OK)
            fail_item(b, item, &err, VZ_AT_REQUEST);
        else if (ops[i].status != VZ_OK)
            fail_item(b, item, &ops[i].error, VZ_AT_DOCUMENT);
    }
}

/* False when the item fails before the store sees it. */
static bool ready(struct bulk *b, struct item *item)
{
    if (item->has_id && item->id.len == 0) {
        struct vz_error err = {0};
        vz_fail(&err, VZ_BAD_ARGUMENT, "if _id is specified it must not be empty");
        err.offset = VZ_NO_OFFSET;
        fail_item(b, item, &err, VZ_AT_REQUEST);
        return false;
    }
    return true;
}

static void write_group(struct bulk *b, const struct group *group, struct vz_write *ops,
                        struct item **of, size_t room)
{
    size_t waiting = 0;
    for (uint32_t i = group->first; i != NO_ITEM; i = b->items[i].next) {
        struct item *item = &b->items[i];
        if (!ready(b, item))
            continue;
        if (waiting == room) {
            write_chunk(b, group->index, ops, of, waiting, false);
            waiting = 0;
        }
        set_op(&ops[waiting], item);
        of[waiting++] = item;
    }
    if (waiting)
        write_chunk(b, group->index, ops, of, waiting, true);
}

static void write_groups(struct bulk *b)
{
    size_t room = VZ_MIN(b->count, CHUNK);
    struct vz_write *ops = vz_alloc(room * sizeof *ops);
    struct item **of = vz_alloc(room * sizeof *of);
    for (uint32_t i = 0; i < b->group_count; i++)
        if (b->groups[i].index && b->groups[i].same_as == i)
            write_group(b, &b->groups[i], ops, of, room);
    free(ops);
    free(of);
}

/* ---- 4. printing --------------------------------------------------------------------------- */

static void append_quoted(struct vz_buf *out, struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\') {
            struct vz_json_writer w = vz_json_writer_on(out);
            vz_json_put_string(&w, text);
            return;
        }
    }
    vz_buf_append_char(out, '"');
    vz_buf_append_slice(out, text);
    vz_buf_append_char(out, '"');
}

static void append_number(struct vz_buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    vz_buf_append(out, digits + at, sizeof digits - at);
}

static void print_failed(struct bulk *b, const struct item *item)
{
    struct vz_buf *out = &b->call->response->body;
    const struct group *group = &b->groups[item->group];
    b->failed++;
    vz_buf_append_str(out, "\":{\"_index\":");
    append_quoted(out, group->index ? vz_index_name(group->index) : item->index);
    vz_buf_append_str(out, ",\"_id\":");
    if (item->id.len || item->has_id)
        append_quoted(out, item->id);
    else
        vz_buf_append_str(out, "null");
    vz_buf_append_str(out, ",\"status\":");
    append_number(out, (uint64_t)item->problem->status);
    vz_buf_append_str(out, ",\"error\":");
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_problem_print(item->problem, &w);
}

static void print_returned(struct bulk *b, const struct item *item)
{
    struct vz_stored_doc doc;
    struct vz_buf *out = &b->call->response->body;
    struct vz_index *index = b->groups[item->group].index;
    if (item->returns->off ||
        vz_index_get(index, item->id, VZ_DOC_SOURCE, b->call->arena, &doc, NULL) != VZ_OK)
        return;
    vz_buf_printf(out, ",\"get\":{\"_seq_no\":%llu,\"_primary_term\":1,\"found\":true,\"_source\":",
                  (unsigned long long)doc.seq_no);
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_source_print(item->returns, doc.source, &w);
    vz_buf_append_char(out, '}');
}

static void print_item(struct bulk *b, const struct item *item)
{
    struct vz_buf *out = &b->call->response->body;
    vz_buf_append_str(out, "{\"");
    vz_buf_append_str(out, verb_names[item->verb]);
    if (item->problem) {
        print_failed(b, item);
        vz_buf_append_str(out, "}}");
        return;
    }
    const struct group *group = &b->groups[item->group];
    const char *word;
    int status = vz_write_status(item->result, &word);
    vz_buf_append_slice(out, group->head);
    append_quoted(out, item->id);
    vz_buf_append_str(out, ",\"_version\":");
    append_number(out, item->out_version);
    vz_buf_append_str(out, ",\"result\":\"");
    vz_buf_append_str(out, word);
    vz_buf_append_str(out, "\",");
    vz_buf_append_slice(out, group->shards);
    append_number(out, item->out_seq_no);
    vz_buf_append_str(out, ",\"_primary_term\":1");
    if (item->verb == VZ_WRITE_UPDATE && item->returns)
        print_returned(b, item);
    vz_buf_append_str(out, ",\"status\":");
    append_number(out, (uint64_t)status);
    vz_buf_append_str(out, "}}");
}

static void print_answer(struct bulk *b)
{
    struct vz_buf *out = &b->call->response->body;
    bool errors = false;
    for (size_t i = 0; i < b->count && !errors; i++)
        errors = b->items[i].problem != NULL;
    vz_buf_reserve(out, 64 + b->count * 192);
    vz_buf_printf(out, "{\"errors\":%s,\"took\":%u,\"items\":[", errors ? "true" : "false",
                  vz_call_took_ms(b->call));
    for (size_t i = 0; i < b->count; i++) {
        if (i)
            vz_buf_append_char(out, ',');
        print_item(b, &b->items[i]);
    }
    vz_buf_append_str(out, "]}");
}

void vz_rest_bulk(struct vz_call *call)
{
    struct bulk b = {.call = call,
                     .default_index = call->args[0],
                     .default_require_alias = vz_call_bool(call, "require_alias", false)};
    struct vz_source_choice choice;
    struct vz_slice value;
    if (call->request->body.len == 0) {
        vz_call_fail(call, 400, "parse_exception", "request body is required");
        return;
    }
    if (!vz_call_refresh(call, &b.refresh))
        return;
    vz_source_of_params(call, &choice);
    if (vz_call_param(call, "_source", &value) || choice.includes.count || choice.excludes.count)
        b.default_returns = &choice;
    if (read_items(&b) && check_items(&b)) {
        group_items(&b);
        write_groups(&b);
        print_answer(&b);
        atomic_fetch_add_explicit(&call->rest->bulk_items, b.count, memory_order_relaxed);
        atomic_fetch_add_explicit(&call->rest->bulk_failed, b.failed, memory_order_relaxed);
    }
    for (size_t i = 0; i < b.group_count; i++)
        if (b.groups[i].index)
            vz_index_release(b.groups[i].index);
    vz_strmap_deinit(&b.group_of);
    free(b.groups);
    free(b.items);
}
