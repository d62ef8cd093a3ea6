/* Lookups of terms in documents, and queries in base64: see lookups.h.
 *
 * As in Elasticsearch the document is read when the request comes in, also when it is not refreshed
 * yet; one that is not there has no terms. Values are gathered through lists and objects. */
#include "rest/lookups.h"

#include "base/text.h"
#include "store/store.h"

#define MAX_TERMS 65536 /* index.max_terms_count; one more is kept, so that the search says so */
#define MAX_LOOKUPS 256 /* a search */

/* A term costs about three times this while the search is read and run. */
#define TERM_BYTES 64
#define MAX_HELD_BYTES ((size_t)64 << 20)
/* What the searches of an _msearch cost one after the other is time. */
#define MAX_TERM_BYTES ((size_t)512 << 20)
#define MAX_SOURCE_BYTES ((size_t)1 << 30)

bool vz_lookups_may_be_there(struct vz_slice body)
{
    if (!body.ptr)
        return false;
    if (memmem(body.ptr, body.len, "\"wrapper\"", 9))
        return true;
    return memmem(body.ptr, body.len, "\"terms\"", 7) && memmem(body.ptr, body.len, "\"path\"", 6);
}

/* As a breaker of Elasticsearch does. */
static bool too_large(struct vz_arena *arena, size_t bytes, size_t limit,
                      struct vz_problem *problem)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text,
                  "[request] Data too large, data for [<terms_lookup>] would be [%zu], which is "
                  "larger than the limit of [%zu]",
                  bytes, limit);
    *problem = (struct vz_problem){.status = 429,
                                   .type = "circuit_breaking_exception",
                                   .reason = vz_arena_copy(arena, vz_buf_slice(&text)),
                                   .is_circuit = true};
    vz_buf_deinit(&text);
    return false;
}

static bool refuse(struct vz_arena *arena, struct vz_problem *problem, const char *type,
                   const char *reason, struct vz_slice what)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, reason, VZ_S(what));
    *problem = (struct vz_problem){
        .status = 400, .type = type, .reason = vz_arena_copy(arena, vz_buf_slice(&text))};
    vz_buf_deinit(&text);
    return false;
}

/* ---- terms ----------------------------------------------------------------------------------- */

struct lookup {
    struct vz_slice index, id, path;
};

static struct vz_slice text_of(const struct vz_value *value, struct vz_arena *arena)
{
    struct vz_buf text = {0};
    if (value->type == VZ_VALUE_STRING)
        return value->string;
    vz_value_print(value, &text);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

static bool read_lookup(struct vz_arena *arena, const struct vz_value *from, struct lookup *out,
                        struct vz_problem *problem)
{
    *out = (struct lookup){0};
    for (size_t i = 0; i < from->object.count; i++) {
        struct vz_slice key = from->object.members[i].key;
        const struct vz_value *value = from->object.members[i].value;
        bool is_scalar = value->type != VZ_VALUE_OBJECT && value->type != VZ_VALUE_ARRAY &&
                         value->type != VZ_VALUE_NULL;
        if (!is_scalar)
            return refuse(arena, problem, "x_content_parse_exception",
                          "[terms_lookup] failed to parse field [%.*s]", key);
        if (vz_slice_is(key, "index"))
            out->index = text_of(value, arena);
        else if (vz_slice_is(key, "id"))
            out->id = text_of(value, arena);
        else if (vz_slice_is(key, "path"))
            out->path = text_of(value, arena);
        else if (!vz_slice_is(key, "routing")) /* one shard has all */
            return refuse(arena, problem, "x_content_parse_exception",
                          "[terms_lookup] unknown field [%.*s]", key);
    }
    struct vz_slice missing = !out->index.len  ? VZ_SLICE("index")
                              : !out->id.len   ? VZ_SLICE("id")
                              : !out->path.len ? VZ_SLICE("path")
                                               : (struct vz_slice){0};
    return !missing.len ||
           refuse(arena, problem, "illegal_argument_exception", "Required [%.*s]", missing);
}

static bool is_below(struct vz_slice path, struct vz_slice key, struct vz_slice *rest)
{
    if (path.len < key.len || (key.len && memcmp(path.ptr, key.ptr, key.len) != 0))
        return false;
    *rest = (struct vz_slice){path.ptr + key.len, path.len - key.len};
    if (rest->len && *rest->ptr != '.')
        return false;
    if (rest->len)
        *rest = (struct vz_slice){rest->ptr + 1, rest->len - 1};
    return true;
}

static bool is_over(const struct vz_lookups *lookups)
{
    return lookups->held_bytes > MAX_HELD_BYTES || lookups->term_bytes > MAX_TERM_BYTES ||
           lookups->source_bytes > MAX_SOURCE_BYTES;
}

static void append(struct vz_arena *arena, struct vz_lookups *lookups, struct vz_json term,
                   struct vz_value *out)
{
    size_t bytes =
        TERM_BYTES + (vz_json_type(term) == VZ_JSON_STRING ? vz_json_string(term).len : 0);
    lookups->held_bytes += bytes;
    lookups->term_bytes += bytes;
    if (!is_over(lookups))
        vz_value_append(out, vz_value_from(arena, term));
}

/* All values at a path, through lists; a key may have dots in it. As deep as documents may be. Only
 * what is found is kept: many lookups of a large document are not so many copies of it. */
static void gather(struct vz_arena *arena, struct vz_lookups *lookups, struct vz_json from,
                   struct vz_slice path, struct vz_value *out)
{
    struct vz_json_iter it = vz_json_iterate(from);
    struct vz_slice rest, key;
    struct vz_json member;
    enum vz_json_type type = vz_json_type(from);
    if (out->array.count > MAX_TERMS || is_over(lookups))
        return;
    if (type == VZ_JSON_ARRAY) {
        while (vz_json_next(&it, NULL, &member))
            gather(arena, lookups, member, path, out);
    } else if (path.len == 0) {
        if (type != VZ_JSON_NULL && type != VZ_JSON_OBJECT)
            append(arena, lookups, from, out);
    } else if (type == VZ_JSON_OBJECT) {
        while (vz_json_next(&it, &key, &member))
            if (is_below(path, key, &rest))
                gather(arena, lookups, member, rest, out);
    }
}

/* Appends what a lookup stands for. The document goes to an arena of its own: what is kept of it
 * may be little, and there may be many. */
static enum vz_status read_terms(struct vz_lookups *lookups, struct vz_index *index,
                                 const struct lookup *lookup, struct vz_arena *arena,
                                 struct vz_value *list, struct vz_error *err)
{
    struct vz_arena own = {0};
    struct vz_stored_doc doc;
    struct vz_json_doc *parsed;
    struct vz_json root;
    enum vz_status status = vz_index_get(index, lookup->id, VZ_DOC_CUT_SOURCE, &own, &doc, err);
    if (status == VZ_OK)
        lookups->source_bytes += doc.source.len;
    if (status == VZ_OK && !is_over(lookups) &&
        (status = vz_json_parse(doc.source, &parsed, &root, err)) == VZ_OK) {
        gather(arena, lookups, root, lookup->path, list);
        vz_json_free(parsed);
    }
    vz_arena_deinit(&own);
    return status == VZ_NOT_FOUND ? VZ_OK : status;
}

static bool refuse_over(const struct vz_lookups *lookups, struct vz_arena *arena,
                        struct vz_problem *problem)
{
    if (lookups->held_bytes > MAX_HELD_BYTES)
        return too_large(arena, lookups->held_bytes, MAX_HELD_BYTES, problem);
    if (lookups->term_bytes > MAX_TERM_BYTES)
        return too_large(arena, lookups->term_bytes, MAX_TERM_BYTES, problem);
    return too_large(arena, lookups->source_bytes, MAX_SOURCE_BYTES, problem);
}

/* The list that a lookup stands for; NULL with a problem. */
static struct vz_value *look_up(struct vz_call *call, struct vz_arena *arena,
                                const struct lookup *lookup, struct vz_problem *problem)
{
    struct vz_error err = {0};
    struct vz_value *list = vz_value_array(arena);
    struct vz_index *index = vz_resolve_one(call->store, arena, lookup->index, problem);
    if (!index)
        return NULL;
    enum vz_status status = read_terms(&call->lookups, index, lookup, arena, list, &err);
    vz_index_release(index);
    if (status != VZ_OK)
        vz_problem_from(arena, &err, VZ_AT_REQUEST, (struct vz_slice){"", 0},
                        (struct vz_slice){NULL, 0}, NULL, problem);
    else if (is_over(&call->lookups))
        refuse_over(&call->lookups, arena, problem);
    else
        return list;
    return NULL;
}

bool vz_lookup_terms(struct vz_call *call, struct vz_arena *arena, struct vz_value *terms,
                     bool *changed, struct vz_problem *problem)
{
    for (size_t i = 0; i < terms->object.count; i++) {
        const struct vz_value_member *member = &terms->object.members[i];
        struct lookup lookup;
        /* An aggregation of the same name has objects, too, but none with a path. */
        if (member->value->type != VZ_VALUE_OBJECT ||
            !vz_value_get(member->value, VZ_SLICE("path")))
            continue;
        if (!read_lookup(arena, member->value, &lookup, problem))
            return false;
        if (++call->lookups.count > MAX_LOOKUPS)
            return refuse(arena, problem, "illegal_argument_exception",
                          "a request may look up the terms of at most [256] documents%.*s",
                          (struct vz_slice){"", 0});
        struct vz_value *list = look_up(call, arena, &lookup, problem);
        if (!list)
            return false;
        vz_value_put(terms, member->key, list);
        *changed = true;
    }
    return true;
}

/* ---- wrapper --------------------------------------------------------------------------------- */

bool vz_lookup_wrapper(struct vz_arena *arena, struct vz_value *query, bool *changed,
                       struct vz_problem *problem)
{
    const struct vz_value *wrapper = vz_value_get(query, VZ_SLICE("wrapper"));
    if (!wrapper || wrapper->type != VZ_VALUE_OBJECT || query->object.count != 1)
        return true;
    for (size_t i = 0; i < wrapper->object.count; i++)
        if (!vz_slice_is(wrapper->object.members[i].key, "query"))
            return refuse(arena, problem, "parsing_exception",
                          "[wrapper] query malformed, expected `query` but was %.*s",
                          wrapper->object.members[i].key);
    const struct vz_value *text = vz_value_get(wrapper, VZ_SLICE("query"));
    if (!text || text->type != VZ_VALUE_STRING || !text->string.len)
        return refuse(arena, problem, "parsing_exception",
                      "[wrapper] query malformed%.*s, query string is null or empty",
                      (struct vz_slice){"", 0});
    struct vz_buf decoded = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    bool ok = vz_base64_decode(text->string, &decoded);
    if (!ok)
        refuse(arena, problem, "illegal_argument_exception",
               "Illegal base64 character in [wrapper]%.*s", (struct vz_slice){"", 0});
    if (ok && vz_json_parse(vz_buf_slice(&decoded), &doc, &root, &err) != VZ_OK)
        ok = refuse(arena, problem, "parsing_exception", "[wrapper] %.*s", vz_slice_from(err.text));
    else if (ok) {
        struct vz_value *inner = vz_value_from(arena, root);
        vz_json_free(doc);
        if (inner->type != VZ_VALUE_OBJECT || inner->object.count != 1)
            ok = refuse(arena, problem, "parsing_exception",
                        "[_na] query malformed, must start with start_object%.*s",
                        (struct vz_slice){"", 0});
        else {
            vz_value_remove(query, VZ_SLICE("wrapper"));
            vz_value_put(query, inner->object.members[0].key, inner->object.members[0].value);
            *changed = true;
        }
    }
    vz_buf_deinit(&decoded);
    return ok;
}
