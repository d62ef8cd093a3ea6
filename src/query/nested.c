/* Nested objects: found in a document's source, asked one by one. See nested.h. */
#include "query/nested.h"
#include "query/objects.h"

#include "query/filter.h"
#include "store/document.h"

#include <stdlib.h>

/* ---- where objects lie ----------------------------------------------------------------------- */

const struct vz_field *vz_nest_scope(const struct vz_mapping *mapping, const struct vz_field *field)
{
    for (uint16_t id = field->parent; id != VZ_NO_FIELD;) {
        const struct vz_field *parent = vz_mapping_field(mapping, id);
        if (parent->type == VZ_FIELD_NESTED)
            return parent;
        id = parent->parent;
    }
    return NULL;
}

/* The part of a path below a nested field's; the whole without one. */
static struct vz_slice below(const struct vz_field *scope, struct vz_slice path)
{
    if (!scope || path.len <= scope->path.len)
        return path;
    return (struct vz_slice){path.ptr + scope->path.len + 1, path.len - scope->path.len - 1};
}

typedef bool value_visit(void *context, struct vz_json value);

static bool starts_with_number(struct vz_json array)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json first;
    return vz_json_next(&it, NULL, &first) && vz_json_is_number(first);
}

/* Each value at a dotted path, arrays taken apart, through keys with dots; false stops. With
 * `places`, [lon, lat] is one value. */
static bool walk_values(struct vz_json value, struct vz_slice path, bool places,
                        value_visit *visit, void *context)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_ARRAY && !(places && path.len == 0 && starts_with_number(value))) {
        while (vz_json_next(&it, NULL, &member))
            if (!walk_values(member, path, places, visit, context))
                return false;
        return true;
    }
    if (path.len == 0)
        return visit(context, value);
    if (type != VZ_JSON_OBJECT)
        return true;
    while (vz_json_next(&it, &key, &member)) {
        if (key.len > path.len || memcmp(key.ptr, path.ptr, key.len) != 0)
            continue;
        struct vz_slice rest = {path.ptr + key.len, path.len - key.len};
        if (rest.len && rest.ptr[0] != '.')
            continue;
        if (rest.len)
            rest = (struct vz_slice){rest.ptr + 1, rest.len - 1};
        if (!walk_values(member, rest, places, visit, context))
            return false;
    }
    return true;
}

static bool each_value(struct vz_json value, struct vz_slice path, value_visit *visit,
                       void *context)
{
    return walk_values(value, path, false, visit, context);
}

struct nest_walk {
    const struct vz_field *chain[VZ_MAX_NEST];
    unsigned levels, level;
    struct vz_nest_place place;
    bool (*each)(void *context, const struct vz_nest_place *place, struct vz_json object);
    void *context;
};

static bool enter_object(void *walk_void, struct vz_json value)
{
    struct nest_walk *walk = walk_void;
    unsigned level = walk->level;
    bool go_on = true;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return true;
    walk->place.depth = level + 1;
    if (level + 1 == walk->levels) {
        go_on = walk->each(walk->context, &walk->place, value);
    } else {
        walk->level++;
        walk->place.offsets[level + 1] = 0;
        go_on = each_value(value, below(walk->chain[level], walk->chain[level + 1]->path),
                           enter_object, walk);
        walk->level--;
    }
    walk->place.offsets[level]++;
    return go_on;
}

void vz_nest_each(const struct vz_mapping *mapping, const struct vz_field *scope,
                  struct vz_json source,
                  bool (*each)(void *context, const struct vz_nest_place *place,
                               struct vz_json object),
                  void *context)
{
    struct nest_walk walk = {.each = each, .context = context};
    for (const struct vz_field *at = scope; at; at = vz_nest_scope(mapping, at))
        if (++walk.levels > VZ_MAX_NEST)
            return;
    unsigned level = walk.levels;
    for (const struct vz_field *at = scope; at; at = vz_nest_scope(mapping, at)) {
        walk.chain[--level] = at;
        walk.place.fields[level] = at->id;
    }
    each_value(source, walk.chain[0]->path, enter_object, &walk);
}

void vz_nest_values(const struct vz_field *scope, const struct vz_field *field,
                    struct vz_json object, bool (*visit)(void *context, struct vz_json value),
                    void *context)
{
    struct vz_slice path = vz_field_source_path(field);
    walk_values(object, below(scope, path), field->type == VZ_FIELD_GEO_POINT, visit, context);
}

struct vz_slice vz_nest_wrap(const struct vz_field *scope, struct vz_json object,
                             struct vz_arena *arena)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_slice rest = scope->path;
    unsigned depth = 0;
    while (rest.len) {
        const char *dot = memchr(rest.ptr, '.', rest.len);
        size_t len = dot ? (size_t)(dot - rest.ptr) : rest.len, skip = dot ? len + 1 : len;
        vz_json_begin_object(&w);
        vz_json_key_slice(&w, (struct vz_slice){rest.ptr, len});
        rest = (struct vz_slice){rest.ptr + skip, rest.len - skip};
        depth++;
    }
    vz_json_put_value(&w, object);
    while (depth--)
        vz_json_end_object(&w);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

/* ---- whether one matches --------------------------------------------------------------------- */

struct match {
    struct vz_eval *eval;
    const struct vz_field *scope;
    struct vz_json object;
    const struct vz_node *node;
    const struct vz_field *field;
    bool found;
    enum vz_status status;
    struct vz_error *err;
};

static bool any_value(void *match_void, struct vz_json value)
{
    struct match *match = match_void;
    match->found = vz_json_type(value) != VZ_JSON_NULL;
    return !match->found;
}

static bool text_matches(struct match *match, struct vz_slice text)
{
    const struct vz_node *node = match->node;
    if (node->kind == VZ_NODE_PREFIX || node->kind == VZ_NODE_WILDCARD)
        return vz_pattern_matches(node, text);
    if (node->kind == VZ_NODE_RANGE) {
        const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
        int low = 1, high = -1;
        if (lower->set)
            low = vz_slice_cmp(text, vz_query_scalar_text(lower->value, match->eval->arena));
        if (upper->set)
            high = vz_slice_cmp(text, vz_query_scalar_text(upper->value, match->eval->arena));
        return (low > 0 || (low == 0 && lower->inclusive)) &&
               (high < 0 || (high == 0 && upper->inclusive));
    }
    for (size_t i = 0; i < node->value_count; i++) {
        struct vz_slice wanted = vz_query_scalar_text(node->values[i], match->eval->arena);
        if (node->fold_case ? vz_folded_equal(text, wanted) : vz_slice_eq(text, wanted))
            return true;
    }
    return false;
}

static bool integer_matches(struct match *match, int64_t value)
{
    const struct vz_node *node = match->node;
    struct vz_span span;
    if (node->kind == VZ_NODE_RANGE) {
        match->status = vz_range_span(match->eval, node, match->field, &span, match->err);
        return match->status == VZ_OK && span.low <= value && value <= span.high;
    }
    for (size_t i = 0; i < node->value_count && match->status == VZ_OK; i++) {
        match->status = vz_term_span(match->eval, match->field, node->values[i], &span, match->err);
        if (match->status == VZ_OK && span.low <= value && value <= span.high)
            return true;
        if (match->status != VZ_OK && node->lenient)
            match->status = VZ_OK;
    }
    return false;
}

static bool number_matches(struct match *match, double value)
{
    const struct vz_node *node = match->node;
    struct vz_span_f64 span;
    double wanted;
    if (node->kind == VZ_NODE_RANGE) {
        match->status = vz_range_f64(match->eval, node, match->field, &span, match->err);
        return match->status == VZ_OK && span.low <= value && value <= span.high;
    }
    for (size_t i = 0; i < node->value_count && match->status == VZ_OK; i++) {
        match->status =
            vz_term_f64(match->eval, match->field, node->values[i], &wanted, match->err);
        if (match->status == VZ_OK && wanted == value)
            return true;
        if (match->status != VZ_OK && node->lenient)
            match->status = VZ_OK;
    }
    return false;
}

/* One value of the object, read as indexing would read it. */
static bool value_matches(void *match_void, struct vz_json json)
{
    struct match *match = match_void;
    struct vz_typed_value value;
    if (vz_json_type(json) == VZ_JSON_NULL ||
        vz_value_parse(match->field, json, false, match->eval->arena, &value, NULL) != VZ_OK)
        return true;
    if (match->field->type == VZ_FIELD_IP && value.kind == VZ_COLUMN_ORDINAL)
        match->status =
            vz_ip_matches(match->eval, match->node, value.term, &match->found, match->err);
    else if (value.kind == VZ_COLUMN_ORDINAL)
        match->found = text_matches(match, value.term);
    else if (value.kind == VZ_COLUMN_I64)
        match->found = integer_matches(match, value.i64);
    else if (value.kind == VZ_COLUMN_F64)
        match->found = number_matches(match, value.f64);
    else if (value.kind == VZ_COLUMN_GEO)
        match->found =
            vz_place_matches(match->node, &(struct vz_geo){value.geo.lat, value.geo.lon});
    return !match->found && match->status == VZ_OK;
}

static enum vz_status match_leaf(struct match *match)
{
    const struct vz_node *node = match->node;
    const struct vz_field *field = vz_mapping_find(match->eval->mapping, node->field);
    bool is_place = node->kind == VZ_NODE_GEO_DISTANCE || node->kind == VZ_NODE_GEO_BOX;
    struct vz_field key;
    match->found = false;
    bool flat = field ? field->type == VZ_FIELD_FLATTENED
                      : vz_mapping_find_key(match->eval->mapping, node->field, &key);
    if (flat && vz_nest_scope(match->eval->mapping, field ? field : &key))
        return vz_fail(match->err, VZ_UNSUPPORTED,
                       "this query on the field [%.*s] of type [flattened] below a [nested] object "
                       "is not supported yet by vizsla",
                       VZ_ARG(node->field));
    if (!field || vz_nest_scope(match->eval->mapping, field) != match->scope)
        return VZ_OK;
    struct vz_slice path = vz_field_source_path(field);
    path = below(match->scope, path);
    match->field = field;
    if (node->kind == VZ_NODE_EXISTS) {
        each_value(match->object, path, any_value, match);
        return VZ_OK;
    }
    if ((field->type == VZ_FIELD_GEO_POINT) != is_place || field->column == VZ_COLUMN_NONE ||
        field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_DENSE_VECTOR ||
        (node->match &&
         (node->match->type >= VZ_MATCH_PHRASE_PREFIX || node->match->fuzziness.len)))
        return vz_fail(match->err, VZ_UNSUPPORTED,
                       "this query on the field [%.*s] of type [%s] below a [nested] object is not "
                       "supported yet by vizsla",
                       VZ_ARG(field->path), vz_filter_type_name(field->type));
    walk_values(match->object, path, is_place, value_matches, match);
    return match->status;
}

static enum vz_status count_matches(struct match *match, struct vz_node_list list, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < list.count; i++) {
        bool one;
        enum vz_status status = vz_nest_match(match->eval, list.items[i], match->scope,
                                              match->object, &one, match->err);
        if (status != VZ_OK)
            return status;
        *count += one;
    }
    return VZ_OK;
}

static enum vz_status match_bool(struct match *match)
{
    const struct vz_node *node = match->node;
    bool optional = node->boolean.must.count == 0 && node->boolean.filter.count == 0;
    size_t must, filter, should, must_not, least = optional && node->boolean.should.count ? 1 : 0;
    enum vz_status status = VZ_OK;
    if (node->boolean.minimum.len)
        status = vz_minimum_should_match(node->boolean.minimum, node->boolean.should.count, &least,
                                         match->err);
    if (status == VZ_OK)
        status = count_matches(match, node->boolean.must, &must);
    if (status == VZ_OK)
        status = count_matches(match, node->boolean.filter, &filter);
    if (status == VZ_OK)
        status = count_matches(match, node->boolean.should, &should);
    if (status == VZ_OK)
        status = count_matches(match, node->boolean.must_not, &must_not);
    if (status == VZ_OK)
        match->found = must == node->boolean.must.count && filter == node->boolean.filter.count &&
                       must_not == 0 && should >= least;
    return status;
}

struct any_object {
    struct vz_eval *eval;
    const struct vz_node *node;
    const struct vz_field *scope;
    bool found;
    size_t count;
    enum vz_status status;
    struct vz_error *err;
};

static bool ask_object(void *any_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct any_object *any = any_void;
    bool match;
    any->status = vz_nest_match(any->eval, any->node, any->scope, object, &match, any->err);
    if (any->status != VZ_OK)
        return false;
    any->found |= match;
    any->count += match;
    return true;
}

enum vz_status vz_nest_match(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *scope, struct vz_json object, bool *matches,
                             struct vz_error *err)
{
    struct match match = {.eval = eval, .scope = scope, .object = object, .node = node, .err = err};
    enum vz_status status = VZ_OK;
    size_t count;
    switch (node->kind) {
    case VZ_NODE_ALL:
        match.found = true;
        break;
    case VZ_NODE_NONE:
        break;
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
    case VZ_NODE_RANGE:
    case VZ_NODE_EXISTS:
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
    case VZ_NODE_GEO_DISTANCE:
    case VZ_NODE_GEO_BOX:
        status = match_leaf(&match);
        break;
    case VZ_NODE_BOOL:
        status = match_bool(&match);
        break;
    case VZ_NODE_CONSTANT:
    case VZ_NODE_DIS_MAX:
        status = count_matches(&match, node->parts, &count);
        match.found = status == VZ_OK && count > 0;
        break;
    default:
        status = vz_fail(err, VZ_UNSUPPORTED,
                         "this query inside of a [nested] query or a filter of nested fields is "
                         "not supported yet by vizsla");
        break;
    }
    *matches = match.found;
    return status;
}

bool vz_nest_owns(const struct vz_mapping *mapping, const struct vz_field *scope,
                  const struct vz_node *node)
{
    const struct vz_node_list *lists[4] = {0};
    size_t list_count = 0, parts = 0;
    const struct vz_field *field;
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
    case VZ_NODE_RANGE:
    case VZ_NODE_EXISTS:
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
    case VZ_NODE_GEO_DISTANCE:
    case VZ_NODE_GEO_BOX:
        field = vz_mapping_find(mapping, node->field);
        return field && vz_nest_scope(mapping, field) == scope;
    case VZ_NODE_BOOL:
        lists[0] = &node->boolean.must;
        lists[1] = &node->boolean.filter;
        lists[2] = &node->boolean.should;
        lists[3] = &node->boolean.must_not;
        list_count = 4;
        break;
    case VZ_NODE_CONSTANT:
    case VZ_NODE_DIS_MAX:
        lists[0] = &node->parts;
        list_count = 1;
        break;
    default:
        return false;
    }
    for (size_t i = 0; i < list_count; i++)
        for (size_t j = 0; j < lists[i]->count; j++, parts++)
            if (!vz_nest_owns(mapping, scope, lists[i]->items[j]))
                return false;
    return parts > 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool take_number(void *row_void, struct vz_json value)
{
    int64_t number, *row = row_void;
    if (!vz_json_is_number(value) || !vz_json_as_int(value, &number))
        return true;
    *row = number;
    return false;
}

bool vz_nest_row(const struct vz_field *scope, const struct vz_field *vector, struct vz_json object,
                 uint32_t *row)
{
    int64_t number = -1;
    each_value(object, below(scope, vector->path), take_number, &number);
    *row = (uint32_t)number;
    return number >= 0;
}

void vz_nest_rows_init(struct vz_nest_rows *rows, struct vz_eval *eval,
                       const struct vz_field *scope, const struct vz_field *vector,
                       struct vz_node_list nodes)
{
    struct vz_vector_rows all;
    *rows = (struct vz_nest_rows){.eval = eval, .scope = scope, .vector = vector, .nodes = nodes};
    vz_snapshot_vectors(eval->snap, vector->id, &all);
    vz_bitset_init(&rows->known, all.count);
    vz_bitset_init(&rows->passing, all.count);
}

void vz_nest_rows_deinit(struct vz_nest_rows *rows)
{
    vz_bitset_deinit(&rows->known);
    vz_bitset_deinit(&rows->passing);
    vz_arena_deinit(&rows->arena);
}

static bool ask_row(void *rows_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct vz_nest_rows *rows = rows_void;
    uint32_t row;
    bool match = true;
    if (!vz_nest_row(rows->scope, rows->vector, object, &row) || row >= rows->known.bits)
        return true;
    vz_bitset_set(&rows->known, row);
    for (size_t i = 0; i < rows->nodes.count && match && rows->status == VZ_OK; i++)
        rows->status = vz_nest_match(rows->eval, rows->nodes.items[i], rows->scope, object, &match,
                                     &rows->err);
    if (match && rows->status == VZ_OK)
        vz_bitset_set(&rows->passing, row);
    return rows->status == VZ_OK;
}

bool vz_nest_rows_accept(void *rows_void, uint32_t docno, uint32_t row)
{
    struct vz_nest_rows *rows = rows_void;
    struct vz_stored_doc doc;
    struct vz_json_doc *parsed = NULL;
    struct vz_json source;
    if (rows->status != VZ_OK || row >= rows->known.bits)
        return false;
    if (vz_bitset_has(&rows->known, row))
        return vz_bitset_has(&rows->passing, row);
    /* Everything an answer takes goes to the scratch arena: there may be a million documents. */
    struct vz_arena *request = rows->eval->arena;
    vz_arena_reset(&rows->arena);
    rows->eval->arena = &rows->arena;
    rows->status =
        vz_snapshot_doc(rows->eval->snap, docno, VZ_DOC_ROW_SOURCE, &rows->arena, &doc, &rows->err);
    if (rows->status == VZ_OK)
        rows->status = vz_json_parse(doc.source, &parsed, &source, &rows->err);
    if (rows->status == VZ_OK)
        vz_nest_each(rows->eval->mapping, rows->scope, source, ask_row, rows);
    rows->eval->arena = request;
    if (parsed)
        vz_json_free(parsed);
    vz_bitset_set(&rows->known, row);
    return vz_bitset_has(&rows->passing, row);
}

/* ---- nested as a query ----------------------------------------------------------------------- */

/* Scores of the objects put together: each that matches scores 1, as a filter's would in
 * Elasticsearch; vectors score what the best of them does, and only one of a document matches. */
static float score_of(const struct vz_node *node, size_t count)
{
    return node->nested.mode == VZ_NESTED_SUM    ? (float)count
           : node->nested.mode == VZ_NESTED_NONE ? 0
                                                 : 1;
}

static enum vz_status eval_objects(struct vz_eval *eval, const struct vz_node *node,
                                   const struct vz_field *scope, bool scores, struct vz_docset *out,
                                   struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    struct vz_arena scratch = {0}, *request = eval->arena;
    vz_docset_begin(out, eval);
    if (scores && node->nested.mode == VZ_NESTED_SUM)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    else
        out->constant = score_of(node, 1) * node->boost;
    for (uint32_t docno = 0; docno < eval->limit && status == VZ_OK; docno++) {
        struct vz_stored_doc doc;
        struct vz_json_doc *parsed = NULL;
        struct vz_json source;
        if (!vz_snapshot_live(eval->snap, docno))
            continue;
        if (docno % 64 == 0 && vz_eval_late(eval)) {
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
            break;
        }
        struct any_object any = {
            .eval = eval, .node = node->nested.query, .scope = scope, .err = err};
        vz_arena_reset(&scratch);
        eval->arena = &scratch;
        status = vz_snapshot_doc(eval->snap, docno, VZ_DOC_ROW_SOURCE, &scratch, &doc, err);
        if (status == VZ_OK)
            status = vz_json_parse(doc.source, &parsed, &source, err);
        if (status == VZ_OK) {
            vz_nest_each(eval->mapping, scope, source, ask_object, &any);
            status = any.status;
        }
        eval->arena = request;
        if (parsed)
            vz_json_free(parsed);
        if (status != VZ_OK || !any.found)
            continue;
        vz_bitset_set(&out->bits, docno);
        if (out->scores)
            out->scores[docno] = score_of(node, any.count) * node->boost;
    }
    vz_arena_deinit(&scratch);
    return status;
}

/* One more object of the document that has `count` already. */
static double join_score(enum vz_nested_mode mode, double sofar, size_t count, double score)
{
    switch (mode) {
    case VZ_NESTED_MAX:
        return count ? VZ_MAX(sofar, score) : score;
    case VZ_NESTED_MIN:
        return count ? VZ_MIN(sofar, score) : score;
    case VZ_NESTED_NONE:
        return 0;
    default:
        return sofar + score;
    }
}

/* The objects that matched, those of a document together: they lie side by side. */
static void join_objects(struct vz_eval *eval, const struct vz_node *node,
                         const struct vz_object_answer *answer, bool scores, struct vz_docset *out)
{
    const struct vz_docset *set = &answer->set;
    size_t at = vz_bitset_next(&set->bits, 0);
    vz_docset_begin(out, eval);
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    while (at < set->bits.bits) {
        uint32_t docno = vz_objects_place(&answer->objects, (uint32_t)at).docno;
        double score = 0;
        size_t count = 0;
        if (docno >= eval->limit) /* of a later snapshot, like all after it */
            break;
        while (at < set->bits.bits &&
               vz_objects_place(&answer->objects, (uint32_t)at).docno == docno) {
            score = join_score(node->nested.mode, score, count++,
                               set->scores ? set->scores[at] : set->constant);
            at = vz_bitset_next(&set->bits, at + 1);
        }
        if (!vz_snapshot_live(eval->snap, docno))
            continue;
        if (node->nested.mode == VZ_NESTED_AVG)
            score /= (double)count;
        vz_bitset_set(&out->bits, docno);
        if (scores)
            out->scores[docno] = (float)score * node->boost;
    }
}

static enum vz_status eval_query(struct vz_eval *eval, const struct vz_node *node,
                                 const struct vz_field *scope, bool scores, struct vz_docset *out,
                                 struct vz_error *err)
{
    struct vz_object_answer *answer;
    bool served = true;
    enum vz_status status = vz_objects_serve(eval->mapping, node->nested.query, &served, err);
    if (status != VZ_OK)
        return status;
    if (!served)
        return eval_objects(eval, node, scope, scores, out, err);
    status = vz_objects_answer(eval, node->nested.query, scope, &answer, err);
    if (status == VZ_OK)
        join_objects(eval, node, answer, scores, out);
    return status;
}

/* Whether the query is a knn on a field of this object: then its neighbours are the answer. */
static enum vz_status check_knn(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *scope, struct vz_error *err)
{
    const struct vz_field *field = vz_mapping_find(eval->mapping, node->knn->field);
    if (!field || vz_nest_scope(eval->mapping, field) == scope)
        return VZ_OK;
    return vz_query_fail(err, VZ_BAD_QUERY,
                         "[nested] the field [%.*s] of [knn] is not below the path [%.*s]",
                         VZ_ARG(field->path), VZ_ARG(scope->path));
}

enum vz_status vz_nested_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                              struct vz_docset *out, struct vz_error *err)
{
    const struct vz_field *scope = vz_mapping_find(eval->mapping, node->nested.path);
    if ((!scope || scope->type != VZ_FIELD_NESTED) && node->nested.ignore_unmapped)
        return VZ_OK;
    if (!scope)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[nested] failed to find nested object under path [%.*s]",
                             VZ_ARG(node->nested.path));
    if (scope->type != VZ_FIELD_NESTED)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[nested] nested object under path [%.*s] is not of nested type",
                             VZ_ARG(node->nested.path));
    if (node->nested.query->kind != VZ_NODE_KNN) {
        enum vz_status status = eval_query(eval, node, scope, scores, out, err);
        if (status != VZ_OK)
            vz_docset_deinit(out);
        return status;
    }
    enum vz_status status = check_knn(eval, node->nested.query, scope, err);
    if (status == VZ_OK)
        status = vz_node_eval(eval, node->nested.query, scores, out, err);
    for (size_t i = 0; status == VZ_OK && out->scores && i < out->bits.bits; i++)
        out->scores[i] *= node->boost;
    return status;
}
