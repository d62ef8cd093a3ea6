/* _bulk: many writes in one request.
 *
 * The body is lines of JSON, an action and (but for delete) a document. Documents are handed to the
 * store as slices of the body, uncopied and unparsed: the store parses them once. The steps:
 *
 *   1. read    every action line into an item; a malformed line refuses the whole request, before
 *              anything is written, as Elasticsearch does: a request cut off in the middle must not
 *              half happen unseen
 *   2. ingest  pipelines and models change documents, see ingest.h; most requests have none
 *   3. group   items by the index they go to, made on the way when absent
 *   4. write   each group in its order, CHUNK operations a call (one commit for all but giant
 *              requests; struct vz_write is large, so not all at once)
 *   5. print   one line of answer an item, straight into the body
 *
 * An action line as every client writes it, {"index":{"_index":"a","_id":"1"}}, is read by a small
 * scanner; whatever it does not expect (escapes, nested values, errors) goes to the JSON parser,
 * which also words the complaints. */
#include "rest/by_query.h"

#include "rest/semantic.h"

#include <stdlib.h>

#define CHUNK 8192

/* ---- 2. pipelines and models --------------------------------------------------------------- */

static struct vz_ingest_item ingest_item(const struct vz_bulk *b, uint32_t at)
{
    const struct vz_bulk_item *item = &b->items[at];
    struct vz_slice none = {NULL, 0};
    return (struct vz_ingest_item){.index = item->index,
                                   .id = item->id,
                                   .source = item->source,
                                   .pipeline =
                                       item->pipeline ? b->pipelines[item->pipeline - 1] : none,
                                   .verb = item->verb,
                                   .require_alias = item->require_alias,
                                   .of = at};
}

static void take_ingested(struct vz_bulk *b)
{
    for (size_t i = 0; i < b->ingest_count; i++) {
        const struct vz_ingest_item *from = &b->ingests[i];
        struct vz_bulk_item *item = &b->items[from->of];
        item->problem = from->problem;
        item->dropped = from->dropped;
        item->index = from->index;
        item->source = from->source;
        if (from->id.len) {
            item->has_id = true;
            item->id = from->id;
        }
    }
}

static void ingest_items(struct vz_bulk *b)
{
    size_t capacity = 0;
    b->work = vz_ingest_work_new(b->call);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct vz_ingest_item item = ingest_item(b, i);
        if (!vz_ingest_work_needs(b->work, &item))
            continue;
        if (b->ingest_count == capacity) {
            capacity = capacity ? capacity * 2 : 256;
            b->ingests = vz_realloc(b->ingests, capacity * sizeof *b->ingests);
        }
        b->ingests[b->ingest_count++] = item;
    }
    if (!b->ingest_count)
        return;
    vz_ingest_work_run(b->work, b->ingests, b->ingest_count);
    take_ingested(b);
}

/* ---- 3. grouping --------------------------------------------------------------------------- */

static uint32_t group_for(struct vz_bulk *b, const struct vz_bulk_item *item)
{
    /* Bulk requests rarely name more than one index, and when they do, in runs. */
    if (b->group_count) {
        const struct vz_bulk_group *last = &b->groups[b->group_count - 1];
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
        b->groups[b->group_count++] = (struct vz_bulk_group){.name = item->index,
                                                             .require_alias = item->require_alias,
                                                             .first = VZ_NO_ITEM,
                                                             .last = VZ_NO_ITEM};
    }
    vz_buf_deinit(&key);
    return (uint32_t)at;
}

static void open_group(struct vz_bulk *b, uint32_t at)
{
    struct vz_bulk_group *group = &b->groups[at];
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

static void group_items(struct vz_bulk *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct vz_bulk_item *item = &b->items[i];
        item->group = VZ_NO_ITEM;
        item->scripted = item->verb == VZ_WRITE_UPDATE && vz_update_has_script(item->source);
        b->has_scripts |= item->scripted;
        if (item->problem || item->dropped)
            continue; /* makes no index */
        item->group = group_for(b, item);
        b->groups[item->group].wants_index |=
            !item->no_create && (item->verb != VZ_WRITE_DELETE || item->is_external);
    }
    for (uint32_t i = 0; i < b->group_count; i++)
        open_group(b, i);
    for (uint32_t i = 0; i < b->count; i++) {
        struct vz_bulk_item *item = &b->items[i];
        item->next = VZ_NO_ITEM;
        if (item->group == VZ_NO_ITEM)
            continue;
        struct vz_bulk_group *group = &b->groups[item->group];
        item->problem = group->problem;
        group = &b->groups[group->same_as];
        if (group->last == VZ_NO_ITEM)
            group->first = i;
        else
            b->items[group->last].next = i;
        group->last = i;
    }
}

/* ---- 4. writing ---------------------------------------------------------------------------- */

static void fail_item(struct vz_bulk *b, struct vz_bulk_item *item, const struct vz_error *err,
                      enum vz_place place)
{
    struct vz_bulk_group *group = &b->groups[item->group];
    item->problem = vz_arena_alloc(b->call->arena, sizeof *item->problem);
    vz_problem_from(b->call->arena, err, place, item->source, vz_index_name(group->index),
                    vz_index_uuid(group->index), item->problem);
}

static void set_op(struct vz_write *op, const struct vz_bulk_item *item)
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

/* Writes of one index that wait to be written together. */
struct chunk {
    struct vz_bulk *b;
    struct vz_bulk_group *group;
    struct vz_write *ops;
    struct vz_bulk_item **of;
    size_t count, room;
    bool wrote;
    /* Only where there are scripts: what they made, and which documents wait. */
    struct vz_arena arena;
    struct vz_strmap ids;
};

#define MAX_CHUNK_BYTES ((size_t)32 << 20)

/* What the script of an update makes of the document as it is now. False when nothing is to be
 * written: the script wants nothing, or the item failed. */
static bool prepare_script(struct chunk *c, struct vz_bulk_item *item, struct vz_write *op)
{
    struct vz_problem problem = {0};
    struct vz_arena *arena = c->b->call->arena;
    bool noop;
    if (!vz_update_prepare(c->b->call, c->group->index, vz_index_name(c->group->index), op,
                           &c->arena, &noop, &problem)) {
        item->problem = vz_arena_alloc(arena, sizeof problem);
        vz_problem_copy(arena, &problem, item->problem);
        return false;
    }
    item->result = (uint8_t)op->result;
    item->out_version = op->out_version;
    item->out_seq_no = op->out_seq_no;
    return !noop;
}

static void take_written(struct vz_bulk *b, struct vz_bulk_item *item, const struct vz_write *op)
{
    item->id = op->id;
    item->result = (uint8_t)op->result;
    item->out_version = op->out_version;
    item->out_seq_no = op->out_seq_no;
    if (op->status != VZ_OK)
        fail_item(b, item, &op->error, VZ_AT_DOCUMENT);
}

/* Another write came between reading the document and writing it: again, as often as asked for. */
static void retry_script(struct chunk *c, struct vz_bulk_item *item, struct vz_write *op)
{
    for (uint32_t left = item->retry; left && op->status == VZ_CONFLICT; left--) {
        struct vz_error err = {0};
        const struct vz_write_options options = {.arena = &c->arena,
                                                 .semantics = &vz_semantic_none};
        set_op(op, item);
        if (!prepare_script(c, item, op))
            return;
        if (vz_index_write(c->group->index, op, 1, &options, &err) != VZ_OK) {
            fail_item(c->b, item, &err, VZ_AT_REQUEST);
            return;
        }
    }
    take_written(c->b, item, op);
}

static void write_chunk(struct chunk *c, bool last)
{
    struct vz_bulk *b = c->b;
    struct vz_error err = {0};
    struct vz_write_options options = {
        .refresh = last ? b->refresh : VZ_REFRESH_NONE,
        .arena = b->call->arena,
        .semantics = vz_ingest_work_semantics(b->work, c->group->name, c->group->require_alias)};
    enum vz_status status = vz_index_write(c->group->index, c->ops, c->count, &options, &err);
    for (size_t i = 0; i < c->count; i++) {
        if (status != VZ_OK)
            fail_item(b, c->of[i], &err, VZ_AT_REQUEST);
        else if (c->of[i]->scripted)
            retry_script(c, c->of[i], &c->ops[i]);
        else
            take_written(b, c->of[i], &c->ops[i]);
    }
    c->count = 0;
    c->wrote = true;
    if (b->has_scripts) {
        vz_arena_reset(&c->arena);
        vz_strmap_clear(&c->ids);
    }
}

/* False when the item fails before the store sees it. */
static bool ready(struct vz_bulk *b, struct vz_bulk_item *item)
{
    if (item->problem)
        return false;
    if (item->has_id && item->id.len == 0) {
        struct vz_error err = {0};
        vz_fail(&err, VZ_BAD_ARGUMENT, "if _id is specified it must not be empty");
        err.offset = VZ_NO_OFFSET;
        fail_item(b, item, &err, VZ_AT_REQUEST);
        return false;
    }
    return true;
}

/* Scripts see what the same request wrote before them: what waits for their document is written
 * first. */
static void add_to_chunk(struct chunk *c, struct vz_bulk_item *item)
{
    bool scripted = item->scripted;
    uint64_t waits;
    size_t used = c->arena.total_bytes;
    if (c->count == c->room ||
        (scripted && (used > MAX_CHUNK_BYTES || vz_strmap_get(&c->ids, item->id, &waits))))
        write_chunk(c, false);
    set_op(&c->ops[c->count], item);
    if (scripted && !prepare_script(c, item, &c->ops[c->count]))
        return;
    if (c->b->has_scripts && item->id.len)
        vz_strmap_put(&c->ids, item->id, 1);
    c->of[c->count++] = item;
}

static void write_group(struct vz_bulk *b, struct vz_bulk_group *group, struct vz_write *ops,
                        struct vz_bulk_item **of, size_t room)
{
    struct chunk c = {.b = b, .group = group, .ops = ops, .of = of, .room = room};
    for (uint32_t i = group->first; i != VZ_NO_ITEM; i = b->items[i].next)
        if (ready(b, &b->items[i]))
            add_to_chunk(&c, &b->items[i]);
    if (c.count)
        write_chunk(&c, true);
    else if (c.wrote && b->refresh != VZ_REFRESH_NONE)
        vz_index_refresh(group->index, NULL); /* the last ones had nothing to write */
    vz_strmap_deinit(&c.ids);
    vz_arena_deinit(&c.arena);
}

/* Fields remember which model made their vectors; another's are refused before they are written. */
static void remember_models(struct vz_bulk *b)
{
    for (size_t i = 0; i < b->ingest_count; i++) {
        struct vz_ingest_item *from = &b->ingests[i];
        struct vz_bulk_item *item = &b->items[from->of];
        if (!from->marks || item->problem || item->dropped)
            continue;
        struct vz_index *index = b->groups[item->group].index;
        if (index && !vz_ingest_remember(b->call, index, from))
            item->problem = from->problem;
    }
}

static void write_groups(struct vz_bulk *b)
{
    remember_models(b);
    size_t room = VZ_MIN(b->count, CHUNK);
    struct vz_write *ops = vz_alloc(room * sizeof *ops);
    struct vz_bulk_item **of = vz_alloc(room * sizeof *of);
    for (uint32_t i = 0; i < b->group_count; i++)
        if (b->groups[i].index && b->groups[i].same_as == i)
            write_group(b, &b->groups[i], ops, of, room);
    free(ops);
    free(of);
}

/* ---- 5. printing --------------------------------------------------------------------------- */

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

static void print_failed(struct vz_bulk *b, const struct vz_bulk_item *item)
{
    struct vz_buf *out = &b->call->response->body;
    const struct vz_bulk_group *group =
        item->group == VZ_NO_ITEM ? NULL : &b->groups[item->group];
    vz_buf_append_str(out, "\":{\"_index\":");
    append_quoted(out, group && group->index ? vz_index_name(group->index) : item->index);
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

/* What a pipeline dropped was not written, and that is no error. */
static void print_dropped(struct vz_bulk *b, const struct vz_bulk_item *item)
{
    struct vz_buf *out = &b->call->response->body;
    vz_buf_append_str(out, "\":{\"_index\":");
    append_quoted(out, item->index);
    vz_buf_append_str(out, ",\"_id\":");
    append_quoted(out, item->id.len ? item->id : VZ_SLICE("auto-generated"));
    vz_buf_append_str(out, ",\"_version\":-3,\"result\":\"noop\",\"_shards\":{\"total\":0,"
                           "\"successful\":0,\"failed\":0},\"_seq_no\":-2,\"_primary_term\":0,"
                           "\"status\":200");
}

static void print_returned(struct vz_bulk *b, const struct vz_bulk_item *item)
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

static void print_item(struct vz_bulk *b, const struct vz_bulk_item *item)
{
    struct vz_buf *out = &b->call->response->body;
    vz_buf_append_str(out, "{\"");
    vz_buf_append_str(out, vz_bulk_verbs[item->verb]);
    if (item->problem) {
        print_failed(b, item);
        vz_buf_append_str(out, "}}");
        return;
    }
    if (item->dropped) {
        print_dropped(b, item);
        vz_buf_append_str(out, "}}");
        return;
    }
    const struct vz_bulk_group *group = &b->groups[item->group];
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

static void print_answer(struct vz_bulk *b)
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

void vz_bulk_init(struct vz_bulk *b, struct vz_call *call)
{
    *b = (struct vz_bulk){.call = call};
}

void vz_bulk_apply(struct vz_bulk *b)
{
    if (!b->count)
        return;
    ingest_items(b);
    group_items(b);
    write_groups(b);
    size_t failed = 0;
    for (size_t i = 0; i < b->count; i++)
        failed += b->items[i].problem != NULL;
    atomic_fetch_add_explicit(&b->call->rest->bulk_items, b->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->call->rest->bulk_failed, failed, memory_order_relaxed);
}

void vz_bulk_deinit(struct vz_bulk *b)
{
    for (size_t i = 0; i < b->group_count; i++)
        if (b->groups[i].index)
            vz_index_release(b->groups[i].index);
    vz_ingest_work_free(b->work);
    free(b->ingests);
    free(b->pipelines);
    vz_strmap_deinit(&b->group_of);
    free(b->groups);
    free(b->items);
}

void vz_rest_bulk(struct vz_call *call)
{
    struct vz_bulk b;
    struct vz_source_choice choice;
    struct vz_slice value;
    vz_bulk_init(&b, call);
    b.default_index = call->args[0];
    b.default_require_alias = vz_call_bool(call, "require_alias", false);
    if (call->request->body.len == 0) {
        vz_call_fail(call, 400, "parse_exception", "request body is required");
        return;
    }
    if (!vz_call_refresh(call, &b.refresh))
        return;
    vz_source_of_params(call, &choice);
    if (vz_call_param(call, "_source", &value) || choice.includes.count || choice.excludes.count)
        b.default_returns = &choice;
    if (vz_call_param(call, "pipeline", &value))
        b.default_pipeline = vz_bulk_pipeline(&b, value);
    if (vz_bulk_read(&b)) {
        vz_bulk_apply(&b);
        print_answer(&b);
    }
    vz_bulk_deinit(&b);
}
