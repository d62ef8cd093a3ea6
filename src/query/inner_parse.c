/* The inner_hits of a body: whose they are, that no two have one name, how many hits they show.
 *
 * A parser gathers them as they come. A nested query takes those of the queries in it, as it is read
 * before it is known whether it has inner_hits itself. */
#include "query/fusion.h"

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
