/* pinned: some documents first, in the order given, then what the organic query finds.
 *
 * Scores as Elasticsearch's. The largest exponent of a float is kept for pinned documents: the last
 * pin scores the second float above the cap, each before it the next one; an organic score is
 * capped below them (ORGANIC_CAP). A document that is pinned and found takes its pin's score.
 */
#include "query/objects.h"
#include "query/dsl.h"
#include "query/retriever.h"

#include "base/text.h"

#include <stdlib.h>

#define ORGANIC_CAP 0x7f000000u /* bits of 1.7014118E38 */

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status parse_doc(struct vz_json value, struct vz_pin *out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[pinned] docs doesn't support values of type: %s",
                       vz_query_token(value));
    while (vz_json_next(&it, &key, &member)) {
        bool is_id = vz_slice_is(key, "_id"), is_null = vz_json_type(member) == VZ_JSON_NULL;
        if (!is_id && !vz_slice_is(key, "_index"))
            return vz_fail(err, VZ_BAD_QUERY, "[specified_document] unknown field [%.*s]",
                           VZ_ARG(key));
        if (vz_json_type(member) != VZ_JSON_STRING && !(is_null && !is_id))
            return vz_fail(err, VZ_BAD_QUERY,
                           "[specified_document] %.*s doesn't support values of type: %s",
                           VZ_ARG(key), vz_query_token(member));
        *(is_id ? &out->id : &out->index) = vz_json_string(member);
    }
    if (!out->id.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "Required [_id]");
    return VZ_OK;
}

static enum vz_status check_new(const struct vz_pinned *pinned, const struct vz_pin *pin,
                                bool is_doc, struct vz_error *err)
{
    for (size_t i = 0; i < pinned->count; i++) {
        const struct vz_pin *other = &pinned->pins[i];
        if (!vz_slice_eq(other->id, pin->id) || !vz_slice_eq(other->index, pin->index))
            continue;
        if (!is_doc)
            return vz_fail(err, VZ_BAD_QUERY, "[pinned] duplicate id found in list: %.*s",
                           VZ_ARG(pin->id));
        return vz_fail(err, VZ_BAD_QUERY,
                       "[pinned] duplicate doc found in list: {\"_index\":\"%.*s\",\"_id\":"
                       "\"%.*s\"}",
                       VZ_ARG(pin->index), VZ_ARG(pin->id));
    }
    return VZ_OK;
}

enum vz_status vz_pins_parse(struct vz_parser *parser, struct vz_json ids, struct vz_json docs,
                             struct vz_pinned *out, struct vz_error *err)
{
    bool is_doc = vz_json_type(docs) != VZ_JSON_MISSING;
    struct vz_json list = is_doc ? docs : ids, element;
    struct vz_json_iter it = vz_json_iterate(list);
    const char *what = is_doc ? "docs" : "ids";
    size_t count = vz_json_count(list);
    if (vz_json_type(list) == VZ_JSON_MISSING)
        return VZ_OK;
    if (vz_json_type(list) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[pinned] %s doesn't support values of type: %s", what,
                       vz_query_token(list));
    if (count > VZ_MAX_PINNED)
        return vz_fail(err, VZ_BAD_QUERY, "[pinned] Max of %d %s exceeded: %zu provided.",
                       VZ_MAX_PINNED, what, count);
    out->pins = vz_arena_zalloc(parser->arena, (count + 1) * sizeof *out->pins);
    while (vz_json_next(&it, NULL, &element)) {
        struct vz_pin *pin = &out->pins[out->count];
        enum vz_status status = VZ_OK;
        if (is_doc)
            status = parse_doc(element, pin, err);
        else if (vz_json_type(element) == VZ_JSON_STRING || vz_json_is_number(element))
            pin->id = vz_query_scalar_text(element, parser->arena);
        else
            status = vz_fail(err, VZ_BAD_QUERY, "[pinned] ids doesn't support values of type: %s",
                             vz_query_token(element));
        if (status == VZ_OK)
            status = check_new(out, pin, is_doc, err);
        if (status != VZ_OK)
            return status;
        out->count++;
    }
    return VZ_OK;
}

enum vz_status vz_dsl_parse_pinned(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json member, ids = {0}, docs = {0};
    struct vz_slice key;
    node->kind = VZ_NODE_PINNED;
    node->pinned = vz_arena_zalloc(parser->arena, sizeof *node->pinned);
    while (vz_json_next(&it, &key, &member)) {
        bool handled;
        enum vz_status status = vz_dsl_common("pinned", key, member, &node->boost, &handled, err);
        if (status == VZ_OK && !handled && vz_slice_is(key, "organic"))
            status = vz_query_parse(parser, member, &node->pinned->organic, err);
        else if (!handled && vz_slice_is(key, "ids"))
            ids = member;
        else if (!handled && vz_slice_is(key, "docs"))
            docs = member;
        else if (status == VZ_OK && !handled)
            status = vz_fail(err, VZ_BAD_QUERY, "[pinned] unknown field [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    bool has_ids = vz_json_type(ids) != VZ_JSON_MISSING;
    bool has_docs = vz_json_type(docs) != VZ_JSON_MISSING;
    if (!node->pinned->organic)
        return vz_fail(err, VZ_BAD_QUERY, "Required [organic]");
    if (!has_ids && !has_docs)
        return vz_fail(err, VZ_BAD_QUERY, "[pinned] ids and docs cannot both be null");
    if (has_ids && has_docs)
        return vz_fail(err, VZ_BAD_QUERY, "[pinned] ids and docs cannot both be used");
    return vz_pins_parse(parser, ids, docs, node->pinned, err);
}

/* ---- running --------------------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    union {
        uint32_t bits;
        float number;
    } as = {.bits = bits};
    return as.number;
}

static void make_scores(struct vz_eval *eval, struct vz_docset *out)
{
    vz_docset_materialize(out, eval);
    if (out->scores)
        return;
    out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    for (size_t i = vz_bitset_next(&out->bits, 0); i < eval->limit;
         i = vz_bitset_next(&out->bits, i + 1))
        out->scores[i] = out->constant;
}

float vz_pin_score(size_t at, size_t count)
{
    return float_of(ORGANIC_CAP + 1 + (uint32_t)(count - at));
}

float vz_pin_cap(float score)
{
    return VZ_MIN(score, float_of(ORGANIC_CAP));
}

/* The documents of a pin, or the objects of its document. */
static void pin_range(const struct vz_eval *eval, const struct vz_pin *pin, uint32_t *from,
                      uint32_t *to)
{
    *from = *to = 0;
    if (pin->index.len && !vz_wildcard_match(pin->index, vz_objects_index_name(eval)))
        return;
    vz_objects_of_id(eval, pin->id, from, to);
}

bool vz_pin_find(struct vz_eval *eval, const struct vz_pin *pin, uint32_t *docno)
{
    if (pin->index.len &&
        !vz_wildcard_match(pin->index, vz_index_name(vz_snapshot_index(eval->snap))))
        return false;
    return vz_snapshot_find(eval->snap, pin->id, docno, NULL) == VZ_OK &&
           (!eval->alias || vz_bitset_has(eval->alias, *docno));
}

enum vz_status vz_pinned_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                              struct vz_docset *out, struct vz_error *err)
{
    const struct vz_pinned *pinned = node->pinned;
    enum vz_status status = vz_node_eval(eval, pinned->organic, scores, out, err);
    if (status != VZ_OK)
        return status;
    if (scores)
        make_scores(eval, out);
    else
        vz_docset_materialize(out, eval);
    for (size_t i = vz_bitset_next(&out->bits, 0); scores && i < eval->limit;
         i = vz_bitset_next(&out->bits, i + 1))
        out->scores[i] = vz_pin_cap(out->scores[i]) * node->boost;
    for (size_t i = 0; i < pinned->count; i++) {
        uint32_t docno, end;
        for (pin_range(eval, &pinned->pins[i], &docno, &end); docno < end; docno++) {
            if (eval->alias && !vz_bitset_has(eval->alias, docno))
                continue;
            vz_bitset_set(&out->bits, docno);
            if (scores)
                out->scores[docno] = vz_pin_score(i, pinned->count) * node->boost;
        }
    }
    return VZ_OK;
}
