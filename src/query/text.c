/* Queries over analysed text of a field: what a match, a phrase, a pattern is in terms of a field's
 * postings.
 *
 * A node becomes a tree of struct vz_text_query (src/text/score.h), built as Elasticsearch builds
 * Lucene's queries: a text is analysed by the field's search analyzer, tokens of one position are
 * alternatives scored as one term, positions are clauses; where a graph forks (synonyms of several
 * words), each way is a phrase. Patterns become the terms that they match (text_match.c,
 * text_pieces.c). Here: leaves of a request, and running them.
 *
 * Two ways to run it: vz_text_eval gives a docset with scores, to be combined with anything;
 * vz_text_plan is for a search whose query is texts and filters only: its best hits are found
 * without looking at all matches.
 */
#include "query/filter.h"
#include "query/text_build.h"

static const struct vz_match defaults = {.query = "match", .max_expansions = 50};

/* ---- a leaf ---------------------------------------------------------------------------------- */

static struct vz_slice bound_text(const struct vz_bound *bound, struct vz_arena *arena)
{
    return bound->set ? vz_query_scalar_text(bound->value, arena) : (struct vz_slice){0};
}

static enum vz_status leaf_terms(const struct vz_build *b, const struct vz_node *node,
                                 struct vz_text_query **out)
{
    size_t count = node->value_count;
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *terms);
    for (size_t i = 0; i < count; i++)
        terms[i] = vz_query_scalar_text(node->values[i], b->eval->arena);
    if (node->fold_case)
        return vz_build_folded(b, terms[0], out);
    *out = vz_build_terms(b, terms, count);
    (*out)->constant |= node->kind == VZ_NODE_TERMS;
    return VZ_OK;
}

/* *everything: a text without terms that shall match all. */
static enum vz_status build_leaf(struct vz_eval *eval, const struct vz_node *node,
                                 const struct vz_field *field, bool *everything,
                                 struct vz_text_query **out, struct vz_error *err)
{
    struct vz_build b = {eval,  vz_snapshot_texts(eval->snap),
                         field, node->match ? node->match : &defaults,
                         err,   NULL,
                         NULL};
    struct vz_walk how;
    enum vz_status status = VZ_OK;
    *everything = false;
    if (!field->indexed)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Cannot search on field [%.*s] since it is not indexed.",
                             VZ_ARG(field->path));
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
        if (node->is_match)
            status = vz_build_match(&b, vz_query_scalar_text(node->values[0], eval->arena),
                                    everything, out);
        else
            status = leaf_terms(&b, node, out);
        break;
    case VZ_NODE_RANGE:
        how = (struct vz_walk){.kind = VZ_WALK_RANGE,
                               .lower = bound_text(&node->range.lower, eval->arena),
                               .upper = bound_text(&node->range.upper, eval->arena),
                               .lower_inclusive = node->range.lower.inclusive,
                               .upper_inclusive = node->range.upper.inclusive};
        status = vz_build_constant(&b, &how, out);
        break;
    case VZ_NODE_FUZZY:
        status = vz_build_fuzzy(&b, node->text, out);
        break;
    default:
        status = vz_build_pattern(node, &how, err);
        *out = NULL;
        if (status == VZ_OK && node->kind == VZ_NODE_PREFIX)
            status = vz_build_beginning(&b, node->text, node->fold_case, out);
        if (status == VZ_OK && !*out)
            status = vz_build_constant(&b, &how, out);
    }
    if (status != VZ_OK)
        return status;
    if (node->boost != 1) { /* parts may be shared with nobody: the root's boost is free to use */
        struct vz_text_query *copy = vz_build_query(&b, VZ_TEXT_NONE);
        *copy = **out;
        copy->boost *= node->boost;
        *out = copy;
    }
    return VZ_OK;
}

static enum vz_status run_query(struct vz_eval *eval, const struct vz_text_query *query,
                                bool scores, struct vz_docset *out, struct vz_error *err)
{
    const struct vz_text_view *view = vz_snapshot_texts(eval->snap);
    if (!view || query->kind == VZ_TEXT_NONE)
        return VZ_OK;
    vz_docset_begin(out, eval);
    if (query->kind == VZ_TEXT_TERM && query->constant) {
        for (size_t i = 0; i < query->term_count; i++)
            vz_text_term_docs(view, query->field, query->terms[i], &out->bits);
        out->constant = query->boost;
        return VZ_OK;
    }
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    return vz_text_collect(view, query, &out->bits, out->scores, vz_text_late, eval, err);
}

enum vz_status vz_text_build(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_text_query **out,
                             struct vz_error *err)
{
    bool everything;
    *out = NULL;
    return build_leaf(eval, node, field, &everything, out, err);
}

/* The query of a TEXT node with the node's boost. */
static struct vz_text_query *boosted(struct vz_eval *eval, const struct vz_node *node)
{
    struct vz_build b = {.eval = eval};
    if (node->boost == 1)
        return node->text_query;
    struct vz_text_query *copy = vz_build_query(&b, VZ_TEXT_NONE);
    *copy = *node->text_query;
    copy->boost *= node->boost;
    return copy;
}

enum vz_status vz_text_run(struct vz_eval *eval, const struct vz_node *node, bool scores,
                           struct vz_docset *out, struct vz_error *err)
{
    enum vz_status status = run_query(eval, boosted(eval, node), scores, out, err);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}

enum vz_status vz_text_eval(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, bool scores, struct vz_docset *out,
                            struct vz_error *err)
{
    struct vz_text_query *query;
    bool everything;
    enum vz_status status = build_leaf(eval, node, field, &everything, &query, err);
    if (status != VZ_OK)
        return status;
    if (everything) {
        out->kind = VZ_SET_ALL;
        return VZ_OK;
    }
    return run_query(eval, query, scores, out, err);
}

/* ---- queries that postings alone answer ------------------------------------------------------ */

static enum vz_status plan(struct vz_eval *eval, const struct vz_node *node,
                           struct vz_text_query **out, struct vz_error *err);

/* *out stays NULL when one of them cannot. */
static enum vz_status plan_list(struct vz_eval *eval, struct vz_node_list list,
                                enum vz_text_kind kind, struct vz_text_query **out,
                                struct vz_error *err)
{
    struct vz_build b = {.eval = eval};
    struct vz_text_query **parts =
        vz_arena_alloc(eval->arena, (list.count + 1) * sizeof(struct vz_text_query *));
    *out = NULL;
    for (size_t i = 0; i < list.count; i++) {
        enum vz_status status = plan(eval, list.items[i], &parts[i], err);
        if (status != VZ_OK || !parts[i])
            return status;
    }
    *out = vz_build_query(&b, kind);
    (*out)->parts = parts;
    (*out)->part_count = list.count;
    return VZ_OK;
}

/* Only must clauses, or only should ones, or both with a minimum: no clause is without effect on
 * who matches. Filters are the caller's. */
static enum vz_status plan_bool(struct vz_eval *eval, const struct vz_node *node, bool filtered,
                                struct vz_text_query **out, struct vz_error *err)
{
    struct vz_build b = {.eval = eval};
    const struct vz_node_list *must = &node->boolean.must, *should = &node->boolean.should;
    struct vz_text_query *parts[2];
    size_t minimum = 0, count = 0;
    enum vz_status status = VZ_OK;
    *out = NULL;
    if (node->boolean.minimum.len)
        status = vz_minimum_should_match(node->boolean.minimum, should->count, &minimum, err);
    if (status != VZ_OK || must->count + should->count == 0)
        return status;
    if (minimum == 0 && must->count == 0 && !filtered)
        minimum = 1;
    if ((should->count && minimum == 0) || minimum > should->count)
        return VZ_OK;
    /* One clause is itself: wrapped it would hide that it is of terms alone (vz_text_top). */
    if (must->count) {
        status = must->count == 1 ? plan(eval, must->items[0], &parts[count], err)
                                  : plan_list(eval, *must, VZ_TEXT_EVERY, &parts[count], err);
        if (status != VZ_OK || !parts[count++])
            return status;
    }
    if (should->count == 1) {
        status = plan(eval, should->items[0], &parts[count], err);
        if (status != VZ_OK || !parts[count++])
            return status;
    } else if (should->count) {
        status = plan_list(eval, *should, VZ_TEXT_ANY, &parts[count], err);
        if (status != VZ_OK || !parts[count])
            return status;
        parts[count++]->minimum = minimum;
    }
    *out = count == 1 ? parts[0] : vz_build_parts(&b, VZ_TEXT_EVERY, parts, count);
    if (node->boost != 1) { /* a copy: a clause by itself may be the request's own */
        struct vz_text_query *copy = vz_build_query(&b, VZ_TEXT_NONE);
        *copy = **out;
        copy->boost *= node->boost;
        *out = copy;
    }
    return VZ_OK;
}

static enum vz_status plan(struct vz_eval *eval, const struct vz_node *node,
                           struct vz_text_query **out, struct vz_error *err)
{
    const struct vz_field *field;
    const struct vz_node *tree;
    bool everything = false;
    enum vz_status status;
    *out = NULL;
    if (vz_node_expands(node)) {
        status = vz_node_expand(eval, node, &tree, err);
        return status == VZ_OK ? plan(eval, tree, out, err) : status;
    }
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_FUZZY:
        field = vz_filter_field(eval, node->field);
        if (!field || field->type != VZ_FIELD_TEXT)
            return VZ_OK;
        status = build_leaf(eval, node, field, &everything, out, err);
        if (everything)
            *out = NULL;
        return status;
    case VZ_NODE_TEXT:
        *out = boosted(eval, node);
        return VZ_OK;
    case VZ_NODE_DIS_MAX:
        status = plan_list(eval, node->parts, VZ_TEXT_BEST, out, err);
        if (*out) {
            (*out)->tie = node->factor;
            (*out)->boost *= node->boost;
        }
        return status;
    case VZ_NODE_BOOL:
        if (node->boolean.filter.count + node->boolean.must_not.count)
            return VZ_OK;
        return plan_bool(eval, node, false, out, err);
    default:
        return VZ_OK;
    }
}

enum vz_status vz_text_plan(struct vz_eval *eval, const struct vz_node *node,
                            struct vz_text_query **query, struct vz_docset *filter,
                            struct vz_error *err)
{
    *query = NULL;
    *filter = (struct vz_docset){.kind = VZ_SET_ALL};
    if (!vz_snapshot_texts(eval->snap) ||
        node->runs_script) /* scripts are asked of matches alone */
        return VZ_OK;
    enum vz_status status = vz_node_expand(eval, node, &node, err);
    if (status != VZ_OK)
        return status;
    bool is_bool = node->kind == VZ_NODE_BOOL;
    status = is_bool ? plan_bool(eval, node, node->boolean.filter.count > 0, query, err)
                     : plan(eval, node, query, err);
    if (status != VZ_OK || !*query)
        return status;
    if (is_bool && node->boolean.filter.count + node->boolean.must_not.count) {
        struct vz_node narrow = {.kind = VZ_NODE_BOOL, .boost = 1};
        narrow.boolean.filter = node->boolean.filter;
        narrow.boolean.must_not = node->boolean.must_not;
        status = vz_node_eval(eval, &narrow, false, filter, err);
        if (status != VZ_OK)
            return status;
    }
    vz_docset_settle(filter, eval);
    if (eval->alias && filter->kind == VZ_SET_BITS)
        vz_bitset_and(&filter->bits, eval->alias);
    return VZ_OK;
}
