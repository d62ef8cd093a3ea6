/* Retrievers beside the rest of a body: what does not go together, and what a tree means for it. */
#include "query/fusion.h"

#include <stdio.h>

/* ---- complaints, numbered -------------------------------------------------------------------- */

struct complaints {
    struct vz_buf text;
    unsigned count;
};

static void complain(struct complaints *complaints, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void complain(struct complaints *complaints, const char *format, ...)
{
    va_list args;
    if (complaints->text.len > 400) /* an error's text is no longer */
        return;
    vz_buf_printf(&complaints->text,
                  "%s%u: ", complaints->count ? "" : "Validation Failed: ", complaints->count + 1);
    complaints->count++;
    va_start(args, format);
    vz_buf_vprintf(&complaints->text, format, args);
    va_end(args);
    vz_buf_append_char(&complaints->text, ';');
}

static enum vz_status tell(struct complaints *complaints, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (complaints->count)
        status = vz_fail(err, VZ_BAD_QUERY, "%s", complaints->text.data);
    vz_buf_deinit(&complaints->text);
    return status;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static const char *window_name(const struct vz_retriever *retriever)
{
    return retriever->kind == VZ_RETRIEVER_RESCORER ? "window_size" : "rank_window_size";
}

/* The form of one query over fields, or of retrievers. */
static void check_form(const struct vz_retriever *tree, struct complaints *out)
{
    const char *name = vz_retriever_name(tree);
    bool has_text = vz_json_type(tree->text) != VZ_JSON_MISSING;
    bool has_fields = vz_json_type(tree->fields) != VZ_JSON_MISSING;
    bool expanded = has_text && tree->child_count == 1 && tree->children[0]->query &&
                    tree->children[0]->query->kind == VZ_NODE_MULTI_MATCH &&
                    vz_slice_eq(vz_json_string(tree->children[0]->query->multi->value),
                                vz_json_string(tree->text));
    if (has_fields && !has_text) {
        complain(out, "[%s] [query] must be provided when [fields] is specified", name);
    } else if (has_text) {
        if (vz_json_string(tree->text).len == 0)
            complain(out, "[%s] [query] cannot be empty", name);
        if (has_fields && vz_json_type(tree->fields) == VZ_JSON_ARRAY &&
            vz_json_count(tree->fields) == 0)
            complain(out, "[%s] [fields] cannot be empty", name);
        if (tree->child_count && !expanded)
            complain(out, "[%s] cannot combine [retrievers] and [query]", name);
    } else if (tree->child_count == 0) {
        complain(out, "[%s] must provide [retrievers] or [query]", name);
    }
    if (tree->kind != VZ_RETRIEVER_LINEAR)
        return;
    if (has_text && !tree->has_normalizer)
        complain(out, "[linear] [normalizer] must be provided when [query] is specified");
    else if (!has_text && tree->child_count && tree->has_normalizer)
        complain(out, "[linear] [normalizer] cannot be provided when [retrievers] is specified");
}

static void check_tree(const struct vz_search *search, const struct vz_retriever *tree,
                       struct complaints *out)
{
    const char *name = vz_retriever_name(tree);
    if (!vz_retriever_is_compound(tree))
        return;
    if (search->has_size && (int64_t)search->size > tree->window)
        complain(out, "[%s] requires [%s: %lld] be greater than or equal to [size: %u]", name,
                 window_name(tree), (long long)tree->window, search->size);
    if (search->allows_partial)
        complain(out, "cannot specify [%s] and [allow_partial_search_results]", name);
    if (search->is_scroll)
        complain(out, "cannot specify [%s] and [scroll]", name);
    if (tree->window < 0)
        complain(out, "[%s] parameter cannot be negative, found [%lld]", window_name(tree),
                 (long long)tree->window);
    for (size_t i = 0; i < tree->child_count; i++) {
        const struct vz_retriever *child = tree->children[i];
        check_tree(search, child, out);
        if (vz_retriever_is_compound(child) && tree->window > child->window)
            complain(out,
                     "[%s] requires [%s: %lld] to be smaller than or equal to its sub retriever's "
                     "%s [%s: %lld]",
                     name, window_name(tree), (long long)tree->window, vz_retriever_name(child),
                     window_name(child), (long long)child->window);
    }
    if (tree->kind == VZ_RETRIEVER_RRF || tree->kind == VZ_RETRIEVER_LINEAR)
        check_form(tree, out);
}

/* What is wrong in Elasticsearch while the request is rewritten: one thing at a time. */
static enum vz_status check_leaf(const struct vz_retriever *parent, const struct vz_retriever *leaf,
                                 struct vz_error *err)
{
    if (vz_json_type(leaf->search_after) != VZ_JSON_MISSING)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[search_after] cannot be used in children of compound retrievers");
    if (leaf->terminate_after)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[terminate_after] cannot be used in children of compound retrievers");
    if (parent->kind != VZ_RETRIEVER_PINNED)
        return VZ_OK;
    if (leaf->kind == VZ_RETRIEVER_STANDARD && !leaf->query && !leaf->filters.count)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Underlying query cannot be null for pinned retriever");
    for (size_t i = 0; i < leaf->sort_count; i++)
        if (leaf->sort[i].kind != VZ_SORT_SCORE)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[pinned] retriever only supports sorting by score, invalid sort "
                           "criterion: {\"%.*s\":{\"order\":\"%s\"}}",
                           VZ_ARG(leaf->sort[i].field), leaf->sort[i].descending ? "desc" : "asc");
    return VZ_OK;
}

static enum vz_status check_runs(const struct vz_retriever *tree, struct vz_error *err)
{
    if (tree->kind == VZ_RETRIEVER_RRF && tree->rank_constant < 1)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[rank_constant] must be greater or equal to [1] for [rrf]");
    if (tree->kind == VZ_RETRIEVER_LINEAR && tree->has_min_score && tree->min_score < 0) {
        char shown[32];
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[min_score] must be greater than or equal to 0, was: [%s]",
                       vz_query_number((double)tree->min_score, shown));
    }
    for (size_t i = 0; i < tree->child_count; i++) {
        const struct vz_retriever *child = tree->children[i];
        enum vz_status status =
            vz_retriever_is_compound(child) ? check_runs(child, err) : check_leaf(tree, child, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* ---- the whole body -------------------------------------------------------------------------- */

static void check_beside(const struct vz_search *search, struct complaints *out)
{
    const struct {
        bool is_there;
        const char *name;
    } parts[] = {
        {search->query != NULL || search->sub_search_count, "query"},
        {search->knn_count > 0, "knn"},
        {vz_json_type(search->search_after) != VZ_JSON_MISSING, "search_after"},
        {search->terminate_after > 0, "terminate_after"},
        {search->has_sort, "sort"},
        {vz_json_type(search->rank) != VZ_JSON_MISSING, "rank"},
        {search->rescore_count > 0, "rescore"},
    };
    struct vz_buf names = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(parts); i++)
        if (parts[i].is_there)
            vz_buf_printf(&names, "%s%s", names.len ? ", " : "", parts[i].name);
    if (names.len)
        complain(out, "cannot specify [retriever] and [%s]", names.data);
    vz_buf_deinit(&names);
}

/* `rank` as it was before there were retrievers. */
static void check_rank(const struct vz_search *search, struct complaints *out)
{
    const struct vz_retriever *tree = search->retriever;
    if (search->size == 0)
        complain(out, "[rank] requires [size] greater than [0]");
    if ((int64_t)search->size > tree->window)
        complain(out,
                 "[rank] requires [rank_window_size: %lld] be greater than or equal to [size: %u]",
                 (long long)tree->window, search->size);
    if (tree->child_count < 2)
        complain(out, "[rank] requires a minimum of [2] result sets using a combination of sub "
                      "searches and/or knn searches");
    if (search->is_scroll)
        complain(out, "[rank] cannot be used in a scroll context");
    if (search->rescore_count)
        complain(out, "[rank] cannot be used with [rescore]");
    if (search->has_sort)
        complain(out, "[rank] cannot be used with [sort]");
    if (search->collapse)
        complain(out, "[rank] cannot be used with [collapse]");
}

enum vz_status vz_fusion_check(const struct vz_search *search, struct vz_error *err)
{
    struct complaints out = {0};
    const struct vz_retriever *tree = search->retriever;
    if (tree && tree->is_legacy) {
        check_rank(search, &out);
    } else if (tree) {
        check_tree(search, tree, &out);
        check_beside(search, &out);
    } else if (search->sub_search_count >= 2) {
        complain(&out, "[sub_searches] requires [rank]");
    }
    if (search->is_scroll && search->rescore_count)
        complain(&out, "using [rescore] is not allowed in a scroll context");
    if (search->is_scroll && search->collapse)
        complain(&out, "cannot use `collapse` in a scroll context");
    if (search->slice.max && !search->is_scroll && !search->pit.id.len)
        complain(&out, "[slice] can only be used with [scroll] or [point-in-time] requests");
    for (size_t i = 0; i < search->sort_count; i++)
        if (search->sort[i].kind == VZ_SORT_SHARD_DOC && !search->pit.id.len)
            complain(&out, "[_shard_doc] sort field cannot be used without [point in time]");
    enum vz_status status = tell(&out, err);
    if (status == VZ_OK && tree)
        status = check_runs(tree, err);
    return status;
}

/* ---- rank ------------------------------------------------------------------------------------ */

static enum vz_status read_rrf(struct vz_json value, struct vz_retriever *tree,
                               struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        int64_t *into = vz_slice_is(key, "rank_window_size") || vz_slice_is(key, "window_size")
                            ? &tree->window
                        : vz_slice_is(key, "rank_constant") ? &tree->rank_constant
                                                            : NULL;
        if (!into)
            return vz_fail(err, VZ_BAD_QUERY, "[rrf] unknown field [%.*s]", VZ_ARG(key));
        if (!vz_json_as_int(member, into) || *into > INT32_MAX)
            return vz_fail(err, VZ_BAD_QUERY, "[rrf] %.*s doesn't support values of type: %s",
                           VZ_ARG(key), vz_query_token(member));
    }
    if (tree->window < 1)
        return vz_fail(err, VZ_BAD_QUERY, "[rank_window_size] must be greater than 0, got [%lld]",
                       (long long)tree->window);
    return VZ_OK;
}

enum vz_status vz_rank_parse(struct vz_parser *parser, struct vz_json rank,
                             struct vz_search *search, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(rank);
    struct vz_slice name, extra;
    struct vz_json value, ignored;
    if (vz_json_type(rank) != VZ_JSON_OBJECT || !vz_json_next(&it, &name, &value))
        return vz_fail(err, VZ_BAD_QUERY, "malformed [rank], expected an object with one name");
    if (!vz_slice_is(name, "rrf"))
        return vz_fail(err, VZ_BAD_QUERY, "unknown field [%.*s]", VZ_ARG(name));
    if (vz_json_next(&it, &extra, &ignored))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[rank] malformed, expected [END_OBJECT] but found [FIELD_NAME]");
    size_t queries = search->sub_search_count + (search->query != NULL), count = 0;
    struct vz_retriever *tree = vz_arena_zalloc(parser->arena, sizeof *tree);
    *tree = (struct vz_retriever){.kind = VZ_RETRIEVER_RRF,
                                  .window = VZ_DEFAULT_WINDOW,
                                  .rank_constant = 60,
                                  .is_legacy = true};
    enum vz_status status = read_rrf(value, tree, err);
    if (status != VZ_OK)
        return status;
    tree->child_count = queries + search->knn_count;
    tree->children =
        vz_arena_alloc(parser->arena, (tree->child_count + 1) * sizeof(struct vz_retriever *));
    tree->weights = vz_arena_alloc(parser->arena, (tree->child_count + 1) * sizeof(float));
    for (size_t i = 0; i < tree->child_count; i++) {
        tree->children[i] = vz_arena_zalloc(parser->arena, sizeof **tree->children);
        tree->weights[i] = 1;
    }
    if (search->query)
        tree->children[count++]->query = search->query;
    for (size_t i = 0; i < search->sub_search_count; i++)
        tree->children[count++]->query = search->sub_searches[i];
    for (size_t i = 0; i < search->knn_count; i++) {
        tree->children[count]->kind = VZ_RETRIEVER_KNN;
        tree->children[count++]->knn = search->knn[i];
    }
    search->retriever = tree;
    search->query = NULL;
    search->knn_count = 0;
    return VZ_OK;
}

/* ---- what a tree means ----------------------------------------------------------------------- */

static void append(struct vz_node_list *list, struct vz_node_list more, struct vz_arena *arena)
{
    if (more.count == 0)
        return;
    struct vz_node **items =
        vz_arena_alloc(arena, (list->count + more.count) * sizeof(struct vz_node *));
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    memcpy(items + list->count, more.items, more.count * sizeof *items);
    *list = (struct vz_node_list){items, list->count + more.count};
}

/* A leaf's query with its filters. NULL stays NULL: everything. */
static void narrow_leaf(struct vz_retriever *leaf, struct vz_arena *arena)
{
    if (leaf->kind == VZ_RETRIEVER_KNN) {
        append(&leaf->knn->filters, leaf->filters, arena);
        return;
    }
    if (leaf->filters.count == 0)
        return;
    struct vz_node *node = vz_arena_zalloc(arena, sizeof *node);
    node->kind = VZ_NODE_BOOL;
    node->boost = 1;
    node->boolean.filter = leaf->filters;
    if (leaf->query) {
        node->boolean.must.items = vz_arena_alloc(arena, sizeof(struct vz_node *));
        node->boolean.must.items[0] = leaf->query;
        node->boolean.must.count = 1;
    }
    leaf->query = node;
}

static void push_filters(struct vz_retriever *tree, struct vz_arena *arena)
{
    if (!vz_retriever_is_compound(tree)) {
        narrow_leaf(tree, arena);
        return;
    }
    for (size_t i = 0; i < tree->child_count; i++) {
        append(&tree->children[i]->filters, tree->filters, arena);
        push_filters(tree->children[i], arena);
    }
}

static void collect_queries(const struct vz_retriever *tree, struct vz_node_list *list,
                            struct vz_arena *arena)
{
    struct vz_node *query = tree->query;
    if (query)
        append(list, (struct vz_node_list){&query, 1}, arena);
    for (size_t i = 0; i < tree->child_count; i++)
        collect_queries(tree->children[i], list, arena);
}

/* The name of a leaf alone is that of its query. */
static void name_plain(struct vz_retriever *leaf, struct vz_arena *arena)
{
    if (!leaf->name.len)
        return;
    struct vz_node *node = vz_arena_zalloc(arena, sizeof *node);
    node->boost = 1;
    node->name = leaf->name;
    if (leaf->kind == VZ_RETRIEVER_KNN) {
        node->kind = VZ_NODE_KNN;
        node->knn = leaf->knn;
        leaf->knn->as_node = node;
        return;
    }
    node->kind = VZ_NODE_ALL;
    if (leaf->query && !leaf->query->name.len) {
        leaf->query->name = leaf->name;
        return;
    }
    if (leaf->query) {
        node->kind = VZ_NODE_BOOL;
        node->boolean.must.items = vz_arena_alloc(arena, sizeof(struct vz_node *));
        node->boolean.must.items[0] = leaf->query;
        node->boolean.must.count = 1;
    }
    leaf->query = node;
}

static void be_plain(struct vz_search *search, struct vz_retriever *leaf, struct vz_arena *arena)
{
    name_plain(leaf, arena);
    search->query = leaf->query;
    search->retriever = NULL;
    if (leaf->kind == VZ_RETRIEVER_KNN) {
        search->knn = vz_arena_alloc(arena, sizeof(struct vz_knn_clause *));
        search->knn[0] = leaf->knn;
        search->knn_count = 1;
    }
    if (leaf->has_min_score) {
        search->has_min_score = true;
        search->min_score = leaf->min_score;
    }
    search->sort = leaf->sort;
    search->sort_count = leaf->sort_count;
    search->search_after = leaf->search_after;
    search->terminate_after = leaf->terminate_after;
    if (leaf->collapse)
        search->collapse = leaf->collapse;
}

enum vz_status vz_retriever_settle(struct vz_search *search, struct vz_arena *arena,
                                   struct vz_error *err)
{
    struct vz_retriever *tree = search->retriever;
    struct vz_node_list queries = {0};
    push_filters(tree, arena);
    if (!vz_retriever_is_compound(tree)) {
        be_plain(search, tree, arena);
        return VZ_OK;
    }
    if (!search->has_size)
        search->size = tree->is_legacy ? search->size : (uint32_t)tree->window;
    collect_queries(tree, &queries, arena);
    if (queries.count == 1) {
        search->query = queries.items[0];
    } else if (queries.count > 1) {
        search->query = vz_arena_zalloc(arena, sizeof *search->query);
        search->query->kind = VZ_NODE_BOOL;
        search->query->boost = 1;
        search->query->boolean.should = queries;
    }
    return VZ_OK;
}
