/* The `script` query: documents for which a script says true, each scored alike.
 *
 * A script may fail on a document, one without the field it reads say, and then the search fails.
 * As in Lucene it is asked last: only of documents that all other clauses of the bools around it
 * let through (struct vz_within, set by score.c), and that the alias shows. */
#include "query/dsl.h"
#include "query/scripting.h"

#include <stdlib.h>

#define LATE_EVERY 1024

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    (void)parser;
    if (!vz_slice_is(key, "script"))
        return VZ_NOT_FOUND;
    if (vz_json_type(value) == VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[script] query does not support an array of scripts. Use a bool query with "
                       "a clause per script instead.");
    if (vz_json_type(value) != VZ_JSON_OBJECT && vz_json_type(value) != VZ_JSON_STRING)
        return VZ_NOT_FOUND;
    return vz_script_text_parse("script", value, node->filter_script, err);
}

enum vz_status vz_dsl_parse_script(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_SCRIPT;
    node->filter_script = vz_arena_zalloc(parser->arena, sizeof *node->filter_script);
    parser->scripts++;
    enum vz_status status = vz_dsl_walk(parser, "script", value, node, visit, err);
    if (status == VZ_OK && !node->filter_script->source.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "script must be provided with a [filter]");
    return status;
}

bool vz_eval_wants(const struct vz_eval *eval, uint32_t docno)
{
    if (eval->alias && !vz_bitset_has(eval->alias, docno))
        return false;
    for (const struct vz_within *at = eval->within; at; at = at->outer)
        if (!vz_docset_has(at->set, docno))
            return false;
    return true;
}

enum vz_status vz_script_query_eval(struct vz_eval *eval, const struct vz_node *node,
                                    struct vz_docset *out, struct vz_error *err)
{
    struct vz_doc_script *script;
    const struct vz_bitset *live = vz_eval_live(eval);
    size_t since = 0;
    *out = (struct vz_docset){.constant = node->boost};
    enum vz_status status = vz_doc_script_open(eval, node->filter_script, false, &script, err);
    if (status != VZ_OK)
        return status;
    vz_docset_begin(out, eval);
    for (size_t d = vz_bitset_next(live, 0); d < live->bits && status == VZ_OK;
         d = vz_bitset_next(live, d + 1)) {
        struct vz_value *value;
        if (!vz_eval_wants(eval, (uint32_t)d))
            continue;
        status = vz_doc_script_value(script, (uint32_t)d, 0, &value, err);
        if (status == VZ_OK && value->type != VZ_VALUE_BOOL)
            status = vz_fail(err, VZ_BAD_ARGUMENT,
                             "a [script] query must give a boolean: cannot cast its value to "
                             "[boolean]");
        else if (status == VZ_OK && value->boolean)
            vz_bitset_set(&out->bits, d);
        if (++since % LATE_EVERY == 0 && vz_eval_late(eval) && status == VZ_OK)
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
    }
    vz_doc_script_close(script);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}
