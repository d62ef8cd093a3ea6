/* nested and reverse_nested: from documents to their nested objects and back.
 *
 * Nested objects are in no column: a document's source is read when the document comes by, its
 * objects get the next numbers, and what the aggregations below ask of them (values, filters) is put
 * into columns of the run, which grow with the objects. Documents come in ascending order, so
 * objects do, too, and a column's cursor goes on as anywhere else. A document that comes several
 * times in a row (with several owners) is read once.
 */
#include "query/agg.h"
#include "query/nested.h"

#include "store/document.h"

#include <stdlib.h>

struct filter {
    const struct vz_node *node;
    struct vz_docset *set;
};

struct vz_agg_nest {
    struct vz_agg_nest *next;
    struct vz_agg_run *run;
    struct vz_agg_nest *outer; /* NULL: documents */
    const struct vz_field *scope;
    unsigned levels;
    struct vz_agg_values *values[VZ_MAX_AGGS];
    size_t value_count;
    struct filter filters[VZ_MAX_AGGS];
    size_t filter_count;
    /* by object */
    uint32_t *parents, *outers;
    struct vz_nest_place *places; /* only where another nest lies inside */
    bool keep_places;
    size_t count, capacity;
    /* the document read last */
    bool any;
    uint32_t docno;
    size_t first;
    size_t look; /* of inner nests: at or before the objects of the document they read */
    struct vz_arena arena;
};

const struct vz_field *vz_agg_nest_scope(const struct vz_agg_nest *nest)
{
    return nest->scope;
}

/* ---- binding -----------------------------------------------------------------------------------
 */

static bool is_inside(const struct vz_field *scope, const struct vz_field *outer,
                      const struct vz_mapping *mapping)
{
    for (const struct vz_field *at = scope; at; at = vz_nest_scope(mapping, at))
        if (at == outer)
            return true;
    return false;
}

static bool open_reverse(struct vz_agg_node *node, const struct vz_field *field)
{
    struct vz_agg_nest *nest = node->nest;
    if (!nest) {
        bool below = false;
        for (struct vz_agg_node *up = node->parent; up; up = up->parent)
            below |= up->agg->kind == VZ_AGG_NESTED;
        return below || vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                                    "Reverse nested aggregation [%.*s] can only be used inside a "
                                    "[nested] aggregation",
                                    VZ_ARG(node->agg->name));
    }
    node->inside = NULL;
    if (!node->agg->path.len)
        return true;
    while (nest && nest->scope != field)
        nest = nest->outer;
    node->inside = nest;
    return nest || vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                               "[reverse_nested] nested path [%.*s] is not nested",
                               VZ_ARG(node->agg->path));
}

bool vz_agg_nest_open(struct vz_agg_node *node)
{
    struct vz_agg_run *run = node->run;
    const struct vz_mapping *mapping = run->last->mapping;
    const struct vz_field *field =
        node->agg->path.len ? vz_mapping_find(mapping, node->agg->path) : NULL;
    node->inside = NULL;
    if (field && field->type != VZ_FIELD_NESTED)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT, "[%s] nested path [%.*s] is not nested",
                           vz_agg_kind_name(node->agg->kind), VZ_ARG(node->agg->path));
    if (node->agg->kind == VZ_AGG_REVERSE_NESTED)
        return open_reverse(node, field);
    struct vz_agg_nest *nest = node->inside = vz_calloc(1, sizeof *nest);
    nest->next = run->nests;
    run->nests = nest;
    nest->run = run;
    nest->outer = node->nest;
    nest->scope = field; /* NULL: no such path here, no objects */
    if (node->nest)
        node->nest->keep_places = true;
    if (field && nest->outer && nest->outer->scope &&
        (field == nest->outer->scope || !is_inside(field, nest->outer->scope, mapping)))
        nest->scope = NULL;
    for (const struct vz_field *at = nest->scope; at; at = vz_nest_scope(mapping, at))
        nest->levels++;
    return true;
}

static void close_nest(struct vz_agg_nest *nest)
{
    free(nest->parents);
    free(nest->outers);
    free(nest->places);
    vz_arena_deinit(&nest->arena);
    free(nest);
}

void vz_agg_nest_unbind(struct vz_agg_run *run)
{
    while (run->nests) {
        struct vz_agg_nest *nest = run->nests;
        run->nests = nest->next;
        close_nest(nest);
    }
}

void vz_agg_nest_free(struct vz_agg_run *run)
{
    vz_agg_nest_unbind(run);
}

bool vz_agg_nest_values(struct vz_agg_nest *nest, struct vz_agg_values *values)
{
    const struct vz_field *field = values->field;
    if (!nest->scope || vz_nest_scope(nest->run->last->mapping, field) != nest->scope)
        return true; /* a field of other objects: these have no values */
    values->column = (struct vz_column){.kind = field->column};
    if (field->column == VZ_COLUMN_PRESENCE && values->node->agg->kind != VZ_AGG_MISSING)
        return true;
    values->readable = true;
    nest->values[nest->value_count++] = values;
    return true;
}

bool vz_agg_nest_filter(struct vz_agg_nest *nest, const struct vz_node *node,
                        struct vz_docset *set)
{
    *set = (struct vz_docset){.kind = VZ_SET_BITS};
    if (nest->filter_count == VZ_MAX_AGGS)
        return vz_agg_fail(nest->run, VZ_LIMIT, "more than [%d] filters below [nested]",
                           VZ_MAX_AGGS);
    nest->filters[nest->filter_count++] = (struct filter){node, set};
    return true;
}

/* ---- reading a document's objects --------------------------------------------------------------
 */

static bool grow_values(struct vz_agg_values *values)
{
    size_t old = values->own_capacity, capacity = VZ_MAX(old * 2, (size_t)1024);
    size_t item = values->column.kind == VZ_COLUMN_ORDINAL ? sizeof(uint32_t)
                  : values->column.kind == VZ_COLUMN_GEO   ? sizeof(struct vz_geo)
                                                           : sizeof(int64_t);
    if (values->column.count < old)
        return true;
    if (!vz_agg_more(values->node->run, (capacity - old) * (item + sizeof(uint32_t))))
        return false;
    values->own = vz_realloc(values->own, capacity * sizeof(struct vz_geo));
    values->own_docs = vz_realloc(values->own_docs, capacity * sizeof(uint32_t));
    values->own_capacity = capacity;
    return true;
}

static bool add_value(void *values_void, struct vz_json json)
{
    struct vz_agg_values *values = values_void;
    struct vz_agg_run *run = values->node->run;
    struct vz_column *column = &values->column;
    struct vz_typed_value value;
    size_t at = column->count;
    if (vz_json_type(json) == VZ_JSON_NULL)
        return true;
    if (!grow_values(values))
        return false;
    if (column->kind == VZ_COLUMN_PRESENCE) {
        value.kind = VZ_COLUMN_PRESENCE;
    } else if (vz_value_parse(values->field, json, false, &values->node->nest->arena, &value,
                              NULL) != VZ_OK ||
               value.kind != column->kind) {
        return true; /* ignore_malformed: it is in no column either */
    }
    if (value.kind == VZ_COLUMN_ORDINAL)
        ((uint32_t *)values->own)[at] = vz_agg_intern(run, value.term);
    else if (value.kind == VZ_COLUMN_F64)
        ((double *)values->own)[at] = value.f64;
    else if (value.kind == VZ_COLUMN_I64)
        ((int64_t *)values->own)[at] = value.i64;
    else if (value.kind == VZ_COLUMN_GEO)
        ((struct vz_geo *)values->own)[at] = (struct vz_geo){value.geo.lat, value.geo.lon};
    values->own_docs[at] = values->object;
    column->docnos = values->own_docs;
    column->i64 = values->own;
    column->count++;
    return run->status == VZ_OK;
}

static void grow_bits(struct vz_bitset *bits, size_t count)
{
    size_t old = vz_bitset_word_count(bits), wanted = (count + 63) / 64;
    if (count <= bits->bits)
        return;
    wanted = VZ_MAX(wanted, old * 2);
    bits->words = vz_realloc(bits->words, wanted * sizeof *bits->words);
    memset(bits->words + old, 0, (wanted - old) * sizeof *bits->words);
    bits->bits = wanted * 64;
}

static bool grow_objects(struct vz_agg_nest *nest)
{
    if (nest->count < nest->capacity)
        return true;
    size_t old = nest->capacity, capacity = VZ_MAX(old * 2, (size_t)1024);
    size_t item = 2 * sizeof(uint32_t) + (nest->keep_places ? sizeof *nest->places : 0);
    if (!vz_agg_more(nest->run, (capacity - old) * item))
        return false;
    nest->parents = vz_realloc(nest->parents, capacity * sizeof *nest->parents);
    nest->outers = vz_realloc(nest->outers, capacity * sizeof *nest->outers);
    if (nest->keep_places)
        nest->places = vz_realloc(nest->places, capacity * sizeof *nest->places);
    nest->capacity = capacity;
    return true;
}

/* Which of the outer nest's objects of the same document it lies in. */
static bool find_outer(const struct vz_agg_nest *nest, const struct vz_nest_place *place,
                       uint32_t *out)
{
    struct vz_agg_nest *outer = nest->outer;
    *out = 0;
    if (!outer)
        return true;
    while (outer->look > 0 && outer->parents[outer->look - 1] >= nest->docno)
        outer->look--;
    while (outer->look < outer->count && outer->parents[outer->look] < nest->docno)
        outer->look++;
    for (size_t i = outer->look; i < outer->count && outer->parents[i] == nest->docno; i++)
        if (memcmp(outer->places[i].offsets, place->offsets,
                   outer->levels * sizeof(uint32_t)) == 0) {
            *out = (uint32_t)i;
            return true;
        }
    return false;
}

static bool add_object(void *nest_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct vz_agg_nest *nest = nest_void;
    struct vz_agg_run *run = nest->run;
    uint32_t outer, number = (uint32_t)nest->count;
    if (nest->count >= VZ_AGG_NOTHING - 1 || !grow_objects(nest) ||
        !find_outer(nest, place, &outer))
        return run->status == VZ_OK;
    nest->parents[number] = nest->docno;
    nest->outers[number] = outer;
    if (nest->keep_places)
        nest->places[number] = *place;
    nest->count++;
    for (size_t i = 0; i < nest->value_count && run->status == VZ_OK; i++) {
        nest->values[i]->object = number;
        vz_nest_values(nest->scope, nest->values[i]->field, object, add_value, nest->values[i]);
    }
    for (size_t i = 0; i < nest->filter_count && run->status == VZ_OK; i++) {
        bool match = false;
        struct vz_error inner = {0};
        enum vz_status status = vz_nest_match(run->last, nest->filters[i].node, nest->scope, object,
                                              &match, &inner);
        if (status != VZ_OK) {
            run->status = status;
            if (run->err)
                *run->err = inner;
        }
        grow_bits(&nest->filters[i].set->bits, nest->count);
        if (match)
            vz_bitset_set(&nest->filters[i].set->bits, number);
    }
    return run->status == VZ_OK;
}

static bool read_document(struct vz_agg_nest *nest, uint32_t docno)
{
    struct vz_agg_run *run = nest->run;
    struct vz_stored_doc stored;
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_error inner = {0};
    if (nest->any && nest->docno == docno)
        return true;
    nest->any = true;
    nest->docno = docno;
    nest->first = nest->count;
    if (!nest->scope)
        return true;
    vz_arena_reset(&nest->arena);
    enum vz_status status =
        vz_snapshot_doc(run->last->snap, docno, VZ_DOC_CUT_SOURCE, &nest->arena, &stored, &inner);
    if (status == VZ_OK)
        status = vz_json_parse(stored.source, &doc, &root, &inner);
    if (status == VZ_OK)
        vz_nest_each(run->last->mapping, nest->scope, root, add_object, nest);
    else if (run->status == VZ_OK) {
        run->status = status;
        if (run->err)
            *run->err = inner;
    }
    if (doc)
        vz_json_free(doc);
    return run->status == VZ_OK;
}

/* ---- taking ------------------------------------------------------------------------------------
 */

void vz_agg_take_nested(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_nest *nest = node->inside, *outer = node->nest;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t from = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        uint32_t docno = outer ? outer->parents[from] : from;
        if (i % 256 == 255 && vz_eval_late(node->run->last)) {
            vz_agg_fail(node->run, VZ_CANCELLED, "the search took too long");
            return;
        }
        if (!vz_agg_reserve_set(node, owner, 1))
            return;
        if (!read_document(nest, docno))
            return;
        for (size_t object = nest->first; object < nest->count; object++)
            if (nest->parents[object] == docno && (!outer || nest->outers[object] == from))
                vz_agg_count(node, (uint32_t)object, owner);
    }
}

void vz_agg_take_reverse(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_run *run = node->run;
    for (size_t i = 0; i < block->count && run->status == VZ_OK; i++) {
        uint32_t at = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        struct vz_agg_nest *nest = node->nest;
        if (nest && !node->inside) {
            at = nest->parents[at];
        } else {
            for (; nest && nest != node->inside; nest = nest->outer)
                at = nest->outers[at];
        }
        if (!vz_agg_grow(run, (void **)&node->last_seen, &node->last_capacity,
                         sizeof *node->last_seen, owner) ||
            !vz_agg_reserve_set(node, owner, 1))
            return;
        if (node->last_seen[owner] == at + 1)
            continue; /* another object of the same document in the same bucket */
        node->last_seen[owner] = at + 1;
        vz_agg_count(node, at, owner);
    }
}
