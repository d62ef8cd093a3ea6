/* Nodes that stand for others: what a query string, a multi_match, a more_like_this means in one
 * mapping and snapshot. Worked out when first asked for and kept with the eval, so that finding,
 * explaining and naming all see the same tree. Everything is in eval->kept: eval->arena may be a
 * scratch one of the caller's. */
#include "query/texts.h"

#include <stdio.h>

struct vz_expanded {
    struct vz_expanded *next;
    const struct vz_node *from;
    struct vz_node *to;
};

struct vz_made_text {
    struct vz_made_text *next;
    struct vz_json_doc *doc;
};

void vz_expanded_free(struct vz_eval *eval)
{
    for (struct vz_made_text *at = eval->made; at; at = at->next)
        vz_json_free(at->doc);
    eval->made = NULL;
    eval->expanded = NULL;
    vz_arena_deinit(&eval->kept);
}

struct vz_node *vz_made_node(struct vz_eval *eval, enum vz_node_kind kind)
{
    struct vz_node *node = vz_arena_zalloc(eval->arena, sizeof *node);
    node->kind = kind;
    node->boost = 1;
    return node;
}

struct vz_json vz_made_text(struct vz_eval *eval, struct vz_slice text)
{
    struct vz_buf buf = {0};
    struct vz_json_writer w = vz_json_writer_on(&buf);
    struct vz_json value = {0};
    struct vz_made_text *made = vz_arena_zalloc(&eval->kept, sizeof *made);
    vz_json_put_string(&w, text);
    if (vz_json_parse(vz_buf_slice(&buf), &made->doc, &value, NULL) == VZ_OK) {
        made->next = eval->made;
        eval->made = made;
    }
    vz_buf_deinit(&buf);
    return value;
}

enum vz_status vz_made_minimum(struct vz_eval *eval, struct vz_node *node, struct vz_slice minimum,
                               struct vz_error *err)
{
    size_t count, ignored = node->boolean.should.count;
    if (minimum.len == 0 || node->kind != VZ_NODE_BOOL || ignored == 0)
        return VZ_OK;
    enum vz_status status = vz_minimum_should_match(minimum, ignored, &count, err);
    if (status != VZ_OK)
        return status;
    if (count > 0)
        node->boolean.minimum = vz_slice_from(vz_arena_printf(eval->arena, "%zu", count));
    return VZ_OK;
}

/* ---- multi_match, combined_fields ------------------------------------------------------------ */

static enum vz_status expand_multi(struct vz_eval *eval, const struct vz_node *node,
                                   struct vz_node **out, struct vz_error *err)
{
    const struct vz_multi_match *multi = node->multi;
    static const struct vz_multi_field all[] = {{.pattern = {"*", 1}, .boost = 1}};
    struct vz_field_list fields;
    struct vz_multi_how how = {.kind = multi->kind, .match = &multi->match, .tie = multi->tie};
    vz_multi_fields(eval, multi->field_count ? multi->fields : all,
                    multi->field_count ? multi->field_count : 1, (struct vz_slice){0}, &fields);
    how.lenient = multi->lenient || fields.all;
    enum vz_status status = vz_multi_build(eval, &how, &fields, multi->value, out, NULL, err);
    if (status == VZ_OK && !*out)
        *out = vz_made_node(eval, fields.count && multi->match.zero_terms_all ? VZ_NODE_ALL
                                                                              : VZ_NODE_NONE);
    return status;
}

static enum vz_status expand(struct vz_eval *eval, const struct vz_node *node, struct vz_node **out,
                             struct vz_error *err)
{
    switch (node->kind) {
    case VZ_NODE_MULTI_MATCH:
        return expand_multi(eval, node, out, err);
    case VZ_NODE_QUERY_STRING:
        return vz_query_string_expand(eval, node, out, err);
    case VZ_NODE_SIMPLE_STRING:
        return vz_simple_string_expand(eval, node, out, err);
    case VZ_NODE_INTERVALS:
        return vz_intervals_expand(eval, node, out, err);
    case VZ_NODE_SPAN:
        return vz_spans_expand(eval, node, out, err);
    default:
        return vz_like_expand(eval, node, out, err);
    }
}

enum vz_status vz_node_expand(struct vz_eval *eval, const struct vz_node *node,
                              const struct vz_node **out, struct vz_error *err)
{
    struct vz_node *made = NULL;
    *out = node;
    if (!vz_node_expands(node))
        return VZ_OK;
    for (const struct vz_expanded *at = eval->expanded; at; at = at->next)
        if (at->from == node) {
            *out = at->to;
            return VZ_OK;
        }
    struct vz_arena *callers = eval->arena;
    eval->arena = &eval->kept;
    enum vz_status status = expand(eval, node, &made, err);
    if (status == VZ_OK && !made)
        made = vz_made_node(eval, VZ_NODE_NONE);
    if (status == VZ_OK) {
        struct vz_expanded *kept = vz_arena_zalloc(eval->arena, sizeof *kept);
        made->boost *= node->boost;
        *kept = (struct vz_expanded){eval->expanded, node, made};
        eval->expanded = kept;
        *out = made;
    }
    eval->arena = callers;
    return status;
}
