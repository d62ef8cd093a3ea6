/* Named queries: which of the search's queries that have a `_name` match a hit. Those within a
 * nested query are about its objects, not about the hit. */
#include "query/explain.h"

struct names {
    struct vz_sampler *sampler;
    uint32_t docno;
    bool with_scores, any;
    struct vz_json_writer w;
    struct vz_error *err;
};

/* NULL: only whether there is any name. */
static enum vz_status visit(struct names *names, const struct vz_node *node, bool *found);

static enum vz_status visit_list(struct names *names, struct vz_node_list list, bool *found)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < list.count && status == VZ_OK; i++)
        status = visit(names, list.items[i], found);
    return status;
}

static void note_name(void *names_void, struct vz_slice name, float score)
{
    struct names *names = names_void;
    if (names->with_scores) {
        vz_json_key_slice(&names->w, name);
        vz_json_put_float(&names->w, score);
    } else {
        vz_json_put_string(&names->w, name);
    }
}

static enum vz_status note(struct names *names, const struct vz_node *node)
{
    bool match;
    float score;
    enum vz_status status =
        vz_sample_node(names->sampler, node, names->docno, &match, &score, names->err);
    if (status == VZ_OK && match)
        note_name(names, node->name, score);
    return status;
}

static enum vz_status visit(struct names *names, const struct vz_node *node, bool *found)
{
    enum vz_status status = VZ_OK;
    const struct vz_node *inner = NULL;
    if (node->name.len)
        *found = true;
    if (node->name.len && names)
        status = note(names, node);
    if (status != VZ_OK)
        return status;
    switch (node->kind) {
    case VZ_NODE_BOOL:
        status = visit_list(names, node->boolean.must, found);
        if (status == VZ_OK)
            status = visit_list(names, node->boolean.filter, found);
        if (status == VZ_OK)
            status = visit_list(names, node->boolean.should, found);
        return status == VZ_OK ? visit_list(names, node->boolean.must_not, found) : status;
    case VZ_NODE_CONSTANT:
    case VZ_NODE_DIS_MAX:
    case VZ_NODE_BOOSTING:
        return visit_list(names, node->parts, found);
    case VZ_NODE_KNN:
        return visit_list(names, node->knn->filters, found);
    case VZ_NODE_SCRIPT_SCORE:
        inner = vz_script_score_query(node);
        break;
    case VZ_NODE_FUNCTION_SCORE:
        inner = vz_function_score_query(node);
        break;
    default:
        break;
    }
    return inner ? visit(names, inner, found) : VZ_OK;
}

static enum vz_status visit_search(struct names *names, const struct vz_search *search, bool *found)
{
    enum vz_status status = VZ_OK;
    if (search->query)
        status = visit(names, search->query, found);
    for (size_t i = 0; i < search->knn_count && status == VZ_OK; i++) {
        struct vz_node *knn = search->knn[i]->as_node;
        if (knn)
            status = visit(names, knn, found);
    }
    if (status == VZ_OK && search->post_filter)
        status = visit(names, search->post_filter, found);
    if (status == VZ_OK && search->retriever) {
        *found |= vz_retriever_has_names(search->retriever);
        if (names && *found)
            status = vz_retriever_names(names->sampler, search->retriever, names->docno, note_name,
                                        names, names->err);
    }
    return status;
}

bool vz_search_has_names(const struct vz_search *search)
{
    bool found = false;
    visit_search(NULL, search, &found);
    return found;
}

enum vz_status vz_matched_queries(struct vz_sampler *sampler, const struct vz_search *search,
                                  bool with_scores, uint32_t docno, struct vz_slice *out,
                                  struct vz_error *err)
{
    struct vz_buf text = {0};
    struct names names = {.sampler = sampler,
                          .docno = docno,
                          .with_scores = with_scores,
                          .w = vz_json_writer_on(&text),
                          .err = err};
    bool found = false;
    if (with_scores)
        vz_json_begin_object(&names.w);
    else
        vz_json_begin_array(&names.w);
    enum vz_status status = visit_search(&names, search, &found);
    if (with_scores)
        vz_json_end_object(&names.w);
    else
        vz_json_end_array(&names.w);
    if (status == VZ_OK && text.len > 2)
        *out = vz_arena_copy(sampler->eval->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}
