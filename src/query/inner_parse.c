/* The inner_hits of a body: what each asks for, whose they are, that no two have one name, how many
 * hits they show.
 *
 * A parser gathers them as they come. A nested query takes those of the queries in it, as it is
 * read before it is known whether it has inner_hits itself. */
#include "query/parse.h"

/* ---- whose they are -------------------------------------------------------------------------- */

static struct vz_slice name_of(const struct vz_inner *inner)
{
    return inner->name.len ? inner->name : inner->path;
}

enum vz_status vz_inner_add(struct vz_parser *parser, struct vz_inner *inner, struct vz_error *err)
{
    struct vz_slice name = name_of(inner);
    for (size_t i = parser->inner_base; i < parser->inner_count && name.len; i++)
        if (vz_slice_eq(name_of(parser->inners[i]), name))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[inner_hits] already contains an entry for key [%.*s]", VZ_ARG(name));
    if (parser->inner_count == parser->inner_capacity) {
        parser->inner_capacity = VZ_MAX(parser->inner_capacity * 2, (size_t)4);
        struct vz_inner **grown =
            vz_arena_alloc(parser->arena, parser->inner_capacity * sizeof(*grown));
        if (parser->inner_count)
            memcpy(grown, parser->inners, parser->inner_count * sizeof(*grown));
        parser->inners = grown;
    }
    parser->inners[parser->inner_count++] = inner;
    return VZ_OK;
}

size_t vz_inner_enter(struct vz_parser *parser)
{
    size_t entered = parser->inner_base;
    parser->inner_base = parser->inner_count;
    return entered;
}

enum vz_status vz_inner_leave(struct vz_parser *parser, size_t entered, struct vz_inner *inner,
                              struct vz_error *err)
{
    size_t count = parser->inner_count - parser->inner_base;
    if (inner && count) {
        inner->children = vz_arena_alloc(parser->arena, count * sizeof(*inner->children));
        memcpy(inner->children, parser->inners + parser->inner_base,
               count * sizeof(*inner->children));
        inner->child_count = count;
    }
    parser->inner_count = parser->inner_base;
    parser->inner_base = entered;
    return inner ? vz_inner_add(parser, inner, err) : VZ_OK;
}

static void settle_one(struct vz_inner *inner, bool named_scores)
{
    inner->fetch->named_scores = named_scores;
    for (size_t i = 0; i < inner->child_count; i++)
        settle_one(inner->children[i], named_scores);
}

void vz_inner_settle(struct vz_search *search)
{
    for (size_t i = 0; i < search->inner_count; i++)
        settle_one(search->inners[i], search->named_scores);
    for (size_t i = 0; search->collapse && i < search->collapse->inner_count; i++)
        settle_one(search->collapse->inners[i], search->named_scores);
}

/* ---- one of them ----------------------------------------------------------------------------- */

#define DEFAULT_INNER_SIZE 3

/* Objects within a hit, or (`is_group`) other documents of its group. */
static enum vz_status parse_inner_member(struct vz_body *body, struct vz_inner *inner,
                                         bool is_group, struct vz_slice key, struct vz_json value,
                                         struct vz_error *err)
{
    static const char *const same[] = {
        "_source",      "fields",  "version",       "seq_no_primary_term",
        "size",         "from",    "track_scores",  "highlight",
        "sort",         "explain", "script_fields", "docvalue_fields",
        "stored_fields"};
    if (vz_slice_is(key, "name")) {
        inner->name = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "ignore_unmapped"))
        return VZ_OK; /* what is not mapped has no inner hits here anyway */
    for (size_t i = 0; i < VZ_COUNT_OF(same); i++)
        if (vz_slice_is(key, same[i]))
            return vz_body_parse_member(body, key, value, err);
    if (vz_slice_is(key, "collapse") && is_group)
        return vz_body_parse_member(body, key, value, err);
    if (vz_slice_is(key, "collapse"))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[inner_hits] [collapse] is not supported yet by vizsla");
    return vz_fail(err, VZ_BAD_QUERY, "[inner_hits] unknown field [%.*s]", VZ_ARG(key));
}

static enum vz_status parse_inner(struct vz_parser *parser, struct vz_json value, bool is_group,
                                  struct vz_inner **out, struct vz_error *err)
{
    struct vz_search *fetch = vz_arena_zalloc(parser->arena, sizeof(*fetch));
    struct vz_inner *inner = vz_arena_zalloc(parser->arena, sizeof(*inner));
    struct vz_body body = {
        .parser = {.arena = parser->arena, .depth = parser->depth, .clauses = parser->clauses},
        .search = fetch,
        .size = DEFAULT_INNER_SIZE};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[inner_hits] expected an object but got %s",
                       vz_query_token(value));
    fetch->with_source = true;
    fetch->arena = parser->arena;
    inner->fetch = fetch;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = parse_inner_member(&body, inner, is_group, key, member, err);
        if (status != VZ_OK)
            return status;
    }
    if (body.size < 0 || body.from < 0)
        return vz_fail(err, VZ_BAD_QUERY, "illegal %s value, at least 0 required",
                       body.size < 0 ? "size" : "from");
    if (body.size > INT32_MAX || body.from > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "Numeric value (%lld) out of range of int",
                       (long long)VZ_MAX(body.size, body.from));
    fetch->size = (uint32_t)body.size;
    fetch->from = (uint32_t)body.from;
    vz_body_settle_source(&body);
    *out = inner;
    return VZ_OK;
}

enum vz_status vz_inner_parse(struct vz_parser *parser, struct vz_json value, struct vz_inner **out,
                              struct vz_error *err)
{
    return parse_inner(parser, value, false, out, err);
}

enum vz_status vz_inner_parse_group(struct vz_parser *parser, struct vz_json value,
                                    struct vz_inner **out, struct vz_error *err)
{
    enum vz_status status = parse_inner(parser, value, true, out, err);
    struct vz_search *fetch = status == VZ_OK ? (*out)->fetch : NULL;
    if (fetch && fetch->collapse && fetch->collapse->inner_count)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[inner_hits] of a [collapse] within [inner_hits] are not allowed");
    if (fetch && fetch->collapse)
        vz_body_show_group(fetch, parser->arena);
    return status;
}

/* ---- how many hits --------------------------------------------------------------------------- */

static enum vz_status check_one(const struct vz_inner *inner, uint32_t most, struct vz_error *err)
{
    uint64_t window = (uint64_t)inner->fetch->from + inner->fetch->size;
    struct vz_slice name = inner->name.len ? inner->name : VZ_SLICE("null");
    if (window > most)
        return vz_fail(err, VZ_LIMIT,
                       "Inner result window is too large, the inner hit definition's [%.*s]'s from "
                       "+ size must be less than or equal to: [%u] but was [%llu]. This limit can "
                       "be set by changing the [index.max_inner_result_window] index level "
                       "setting.",
                       VZ_ARG(name), most, (unsigned long long)window);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < inner->child_count && status == VZ_OK; i++)
        status = check_one(inner->children[i], most, err);
    return status;
}

enum vz_status vz_inner_check(const struct vz_search *search,
                              const struct vz_search_target *targets, size_t count,
                              struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t t = 0; t < count && status == VZ_OK; t++) {
        uint32_t most = vz_index_max_inner_result_window(targets[t].index);
        for (size_t i = 0; i < search->inner_count && status == VZ_OK; i++)
            status = check_one(search->inners[i], most, err);
        for (size_t i = 0; search->collapse && i < search->collapse->inner_count && status == VZ_OK;
             i++)
            status = check_one(search->collapse->inners[i], most, err);
    }
    return status;
}
