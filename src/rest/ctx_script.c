/* Scripts that change a document before it is written: ctx._source, ctx.op and the metadata.
 *
 * What a script did is judged when it has run: Painless's ctx refuses a bad put in the middle of
 * the script, with the same words; the document is not written either way. */
#include "rest/by_query.h"
#include "rest/scripts.h"

#include "script/script.h"

#include <stdlib.h>

#define PADDING 64
#define MAX_VALUES 10000000
#define MAX_ID 512

struct vz_ctx_script {
    struct vz_script *program;
    struct vz_slice source, id;
    const struct vz_value *params;
};

struct vz_slice vz_padded_copy(struct vz_arena *arena, struct vz_slice text)
{
    char *copy = vz_arena_alloc(arena, text.len + PADDING);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    memset(copy + text.len, 0, PADDING);
    return (struct vz_slice){copy, text.len};
}

struct vz_ctx_script *vz_ctx_script_new(struct vz_call *call, struct vz_json value,
                                        struct vz_problem *problem)
{
    struct vz_script_named named;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (!vz_script_read(call->rest, call->arena, value, &named, problem))
        return NULL;
    if (!vz_slice_is(named.lang, "painless")) {
        *problem = (struct vz_problem){
            .status = 400,
            .type = "illegal_argument_exception",
            .reason = vz_slice_from(vz_arena_printf(call->arena, "script_lang not supported [%.*s]",
                                                    VZ_S(named.lang)))};
        return NULL;
    }
    struct vz_ctx_script *script = vz_arena_zalloc(call->arena, sizeof *script);
    script->source = vz_arena_copy(call->arena, named.source);
    script->id = named.id;
    if (vz_json_type(named.params) == VZ_JSON_OBJECT)
        script->params = vz_value_from(call->arena, named.params);
    const struct vz_script_host host = {.has_ctx = true, .params = script->params};
    enum vz_status status =
        vz_script_compile(script->source, &host, call->arena, &script->program, &err);
    if (status == VZ_OK)
        return script;
    vz_script_problem(call->arena, "compile error", script->source, status, &err, problem);
    return NULL;
}

struct vz_slice vz_ctx_script_describe(const struct vz_ctx_script *script, struct vz_arena *arena)
{
    struct vz_buf text = {0}, params = {0};
    if (script->params)
        vz_value_print(script->params, &params);
    vz_buf_printf(&text, "Script{type=%s, lang='painless', idOrCode='%.*s', options={}, params=%s}",
                  script->id.len ? "stored" : "inline",
                  VZ_S(script->id.len ? script->id : script->source),
                  params.len ? params.data : "{}");
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    vz_buf_deinit(&params);
    return copy;
}

/* ---- judging what a script left ---------------------------------------------------------------
 */

static bool refuse(const struct vz_ctx_script *script, struct vz_arena *arena,
                   struct vz_problem *problem, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool refuse(const struct vz_ctx_script *script, struct vz_arena *arena,
                   struct vz_problem *problem, const char *format, ...)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_fail(&err, VZ_BAD_ARGUMENT, "%s", text.data);
    vz_buf_deinit(&text);
    err.offset = VZ_NO_OFFSET;
    vz_script_problem(arena, "runtime error", script->source, VZ_BAD_ARGUMENT, &err, problem);
    return false;
}

static struct vz_value *text_or_null(struct vz_arena *arena, struct vz_slice text)
{
    return text.ptr ? vz_value_string(arena, text) : vz_value_null(arena);
}

static struct vz_slice text_at(const struct vz_value *ctx, const char *key, bool *is_text)
{
    const struct vz_value *value = vz_value_get(ctx, vz_slice_from(key));
    *is_text = !value || value->type == VZ_VALUE_NULL || value->type == VZ_VALUE_STRING;
    return value && value->type == VZ_VALUE_STRING ? value->string : (struct vz_slice){NULL, 0};
}

static bool same_text(struct vz_slice a, struct vz_slice b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && vz_slice_eq(a, b);
}

static bool take_op(const struct vz_ctx_script *script, enum vz_ctx_kind kind,
                    const struct vz_value *ctx, struct vz_arena *arena, enum vz_ctx_op *op,
                    struct vz_problem *problem)
{
    static const char *const allowed[] = {[VZ_CTX_UPDATE] = "delete, index, none, noop",
                                          [VZ_CTX_UPSERT] = "create, none, noop",
                                          [VZ_CTX_BY_QUERY] = "delete, index, noop",
                                          [VZ_CTX_REINDEX] = "delete, index, noop"};
    bool is_text, updates = kind == VZ_CTX_UPDATE || kind == VZ_CTX_UPSERT;
    struct vz_slice text = text_at(ctx, "op", &is_text);
    if (!is_text || !text.ptr)
        return refuse(script, arena, problem, "op must be String and cannot be null");
    if (vz_slice_is(text, "noop") || (updates && vz_slice_is(text, "none")))
        *op = VZ_CTX_NOOP;
    else if (kind != VZ_CTX_UPSERT && vz_slice_is(text, "index"))
        *op = VZ_CTX_INDEX;
    else if (kind != VZ_CTX_UPSERT && vz_slice_is(text, "delete"))
        *op = VZ_CTX_DELETE;
    else if (kind == VZ_CTX_UPSERT && vz_slice_is(text, "create"))
        *op = VZ_CTX_CREATE;
    else
        return refuse(script, arena, problem, "[op] must be one of %s, not [%.*s]", allowed[kind],
                      VZ_S(text));
    return true;
}

/* A member of the metadata: unchanged, or changed where a reindex may. */
static bool take_text(const struct vz_ctx_script *script, enum vz_ctx_kind kind,
                      const struct vz_value *ctx, const char *key, struct vz_arena *arena,
                      struct vz_slice *text, struct vz_problem *problem)
{
    bool is_text;
    struct vz_slice now = text_at(ctx, key, &is_text);
    if (!is_text)
        return refuse(script, arena, problem, "%s must be a String", key);
    if (same_text(now, *text))
        return true;
    if (kind != VZ_CTX_REINDEX)
        return refuse(script, arena, problem, "%s cannot be updated", key);
    *text = now.ptr ? vz_arena_copy(arena, now) : now;
    return true;
}

static bool take_version(const struct vz_ctx_script *script, enum vz_ctx_kind kind,
                         const struct vz_value *ctx, struct vz_arena *arena, int64_t *version,
                         struct vz_problem *problem)
{
    const struct vz_value *value = vz_value_get(ctx, VZ_SLICE("_version"));
    int64_t now = INT64_MIN; /* null: whatever is there is overwritten */
    if (value && value->type == VZ_VALUE_INT)
        now = value->integer;
    else if (value && value->type != VZ_VALUE_NULL)
        return refuse(script, arena, problem, "_version may only be set to an int or a long");
    if (now == *version)
        return true;
    if (kind != VZ_CTX_REINDEX)
        return refuse(script, arena, problem, "_version cannot be updated");
    *version = now;
    return true;
}

static bool check_members(const struct vz_ctx_script *script, const struct vz_value *ctx,
                          struct vz_arena *arena, struct vz_problem *problem)
{
    static const char *const known[] = {"_index", "_id",     "_version", "_routing",
                                        "op",     "_source", "_now"};
    for (size_t i = 0; i < ctx->object.count; i++) {
        const struct vz_value_member *member = &ctx->object.members[i];
        bool found = false;
        for (size_t k = 0; k < VZ_COUNT_OF(known); k++)
            found |= vz_slice_is(member->key, known[k]);
        if (found)
            continue;
        struct vz_buf text = {0};
        if (member->value->type == VZ_VALUE_STRING)
            vz_buf_append_slice(&text, member->value->string);
        else
            vz_value_print(member->value, &text);
        refuse(script, arena, problem, "Cannot put key [%.*s] with value [%.*s] into ctx",
               VZ_S(member->key), (int)VZ_MIN(text.len, 100), text.data);
        vz_buf_deinit(&text);
        return false;
    }
    return true;
}

static bool take_source(const struct vz_ctx_script *script, const struct vz_value *ctx,
                        struct vz_arena *arena, struct vz_slice *source, struct vz_problem *problem)
{
    const struct vz_value *value = vz_value_get(ctx, VZ_SLICE("_source"));
    if (!value || value->type != VZ_VALUE_OBJECT)
        return refuse(script, arena, problem, "_source must be a Map");
    struct vz_buf text = {0};
    vz_value_print(value, &text);
    *source = vz_padded_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return true;
}

/* ---- running --------------------------------------------------------------------------------- */

static struct vz_value *make_ctx(enum vz_ctx_kind kind, const struct vz_ctx_doc *doc,
                                 struct vz_value *source, struct vz_arena *arena)
{
    struct vz_value *ctx = vz_value_object(arena);
    vz_value_put(ctx, VZ_SLICE("_index"), text_or_null(arena, doc->index));
    vz_value_put(ctx, VZ_SLICE("_id"), text_or_null(arena, doc->id));
    vz_value_put(ctx, VZ_SLICE("_version"), vz_value_int(arena, doc->version));
    vz_value_put(ctx, VZ_SLICE("_routing"), text_or_null(arena, doc->routing));
    vz_value_put(
        ctx, VZ_SLICE("op"),
        vz_value_string(arena, kind == VZ_CTX_UPSERT ? VZ_SLICE("create") : VZ_SLICE("index")));
    vz_value_put(ctx, VZ_SLICE("_now"), vz_value_int(arena, vz_wall_ms()));
    vz_value_put(ctx, VZ_SLICE("_source"), source);
    return ctx;
}

bool vz_ctx_script_run(const struct vz_ctx_script *script, enum vz_ctx_kind kind,
                       struct vz_ctx_doc *doc, struct vz_arena *arena, struct vz_problem *problem)
{
    struct vz_json_doc *parsed;
    struct vz_json root;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_value *out;
    if (vz_json_parse(doc->source, &parsed, &root, &err) != VZ_OK) {
        vz_problem_from(arena, &err, VZ_AT_DOCUMENT, doc->source, doc->index, NULL, problem);
        return false;
    }
    struct vz_value *source = vz_value_from(arena, root);
    vz_json_free(parsed);
    struct vz_value *ctx = make_ctx(kind, doc, source, arena);
    const struct vz_script_run run = {.arena = arena, .ctx = ctx};
    enum vz_status status = vz_script_run(script->program, &run, &out, &err);
    if (status != VZ_OK) {
        vz_script_problem(arena, "runtime error", script->source, status, &err, problem);
        return false;
    }
    if (!vz_value_within(ctx, VZ_JSON_MAX_DEPTH, MAX_VALUES))
        return refuse(script, arena, problem,
                      "the document holds itself, is nested deeper than [%d] levels, or has more "
                      "than [%d] values",
                      VZ_JSON_MAX_DEPTH - 1, MAX_VALUES);
    if (!check_members(script, ctx, arena, problem) ||
        !take_op(script, kind, ctx, arena, &doc->op, problem) ||
        !take_text(script, kind, ctx, "_index", arena, &doc->index, problem) ||
        !take_text(script, kind, ctx, "_id", arena, &doc->id, problem) ||
        !take_text(script, kind, ctx, "_routing", arena, &doc->routing, problem) ||
        !take_version(script, kind, ctx, arena, &doc->version, problem))
        return false;
    if (doc->id.len > MAX_ID)
        return refuse(script, arena, problem,
                      "id is too long, must be no longer than %d bytes but was: %zu", MAX_ID,
                      doc->id.len);
    if (!doc->index.len)
        return refuse(script, arena, problem, "_index cannot be null");
    return doc->op == VZ_CTX_NOOP || doc->op == VZ_CTX_DELETE ||
           take_source(script, ctx, arena, &doc->source, problem);
}
