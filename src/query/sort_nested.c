/* Sort keys of fields below nested objects: {"nested": {path, filter, max_children, nested}}.
 *
 * Nested values are in no column. The source of each document that is offered is read, the objects
 * of the innermost path that pass (their ancestors, too, where an outer level has a filter) give
 * their values in the order of the text, and the mode picks from those as from a column's.
 * max_children: only the first objects that have a value count. It stands at the outermost level,
 * as in Elasticsearch. A field that is not directly in the innermost path has no values there.
 *
 * The cost is some microseconds a document that is offered, so a deadline is looked at as it goes.
 */
#include "query/filter.h"
#include "query/nested.h"
#include "store/document.h"

#include <stdlib.h>

struct vz_sort_nested { /* as asked for */
    struct vz_slice path;
    struct vz_node *filter; /* or NULL */
    int64_t max_children;
    const struct vz_sort_nested *inner; /* or NULL */
};

struct level {
    const struct vz_node *filter;
    const struct vz_field *scope;
    struct vz_nest_place *passing; /* of this document, in the order of the text; owned */
    size_t count, capacity, at;
};

struct vz_sort_nested_reader {
    struct vz_eval *eval;
    struct level levels[VZ_MAX_NEST];
    unsigned level_count, level; /* level: the one whose objects are being asked */
    bool is_empty;               /* no document can have a value */
    int64_t max_children, children;
    struct vz_arena scratch; /* for one document */
    uint32_t reads;
    struct vz_error *failure;
    /* What one document has: what a column would. */
    enum vz_column_kind kind;
    union {
        int64_t *i64;
        double *f64;
        struct vz_geo *geo;
        struct vz_slice *terms;
    };
    size_t count, capacity;
};

/* ---- reading the body ------------------------------------------------------------------------ */

static enum vz_status parse_member(struct vz_parser *parser, struct vz_sort_nested *nested,
                                   struct vz_slice name, struct vz_json value, unsigned depth,
                                   struct vz_error *err)
{
    if (vz_slice_is(name, "path")) {
        nested->path = vz_query_scalar_text(value, parser->arena);
        return VZ_OK;
    }
    if (vz_slice_is(name, "filter"))
        return vz_query_parse(parser, value, &nested->filter, err);
    if (vz_slice_is(name, "nested"))
        return vz_sort_nested_parse(parser, value, depth + 1, &nested->inner, err);
    if (!vz_slice_is(name, "max_children"))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "malformed nested sort format, unknown field name [%.*s]", VZ_ARG(name));
    if (!vz_json_as_int(value, &nested->max_children) || nested->max_children > INT32_MAX ||
        nested->max_children < INT32_MIN)
        return vz_fail(err, VZ_BAD_QUERY, "[nested] [max_children] must be an int");
    return VZ_OK;
}

enum vz_status vz_sort_nested_parse(struct vz_parser *parser, struct vz_json value, unsigned depth,
                                    const struct vz_sort_nested **out, struct vz_error *err)
{
    struct vz_sort_nested *nested = vz_arena_zalloc(parser->arena, sizeof *nested);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "malformed nested sort format, must start with an object");
    if (depth > VZ_MAX_NEST)
        return vz_fail(err, VZ_BAD_ARGUMENT, "[nested] of a sort is deeper than [%d]", VZ_MAX_NEST);
    nested->max_children = INT32_MAX;
    nested->path = VZ_SLICE("null");
    *out = nested;
    while (status == VZ_OK && vz_json_next(&it, &name, &member))
        status = parse_member(parser, nested, name, member, depth, err);
    return status;
}

/* ---- binding --------------------------------------------------------------------------------- */

static bool lies_in(const struct vz_mapping *mapping, const struct vz_field *field,
                    const struct vz_field *scope)
{
    for (field = vz_nest_scope(mapping, field); field; field = vz_nest_scope(mapping, field))
        if (field == scope)
            return true;
    return false;
}

static enum vz_status add_level(struct vz_sort_nested_reader *nested,
                                const struct vz_sort_nested *asked, struct vz_error *err)
{
    const struct vz_mapping *mapping = nested->eval->mapping;
    const struct vz_field *scope = vz_mapping_find(mapping, asked->path);
    if (!scope || scope->type != VZ_FIELD_NESTED)
        return vz_fail(err, VZ_BAD_QUERY, "[nested] failed to find nested object under path [%.*s]",
                       VZ_ARG(asked->path));
    unsigned last = nested->level_count;
    if (last && !lies_in(mapping, scope, nested->levels[last - 1].scope))
        nested->is_empty = true;
    nested->levels[nested->level_count++] = (struct level){.scope = scope, .filter = asked->filter};
    return VZ_OK;
}

enum vz_status vz_sort_nested_bind(struct vz_sort_reader *reader, const struct vz_field *field,
                                   struct vz_eval *eval, struct vz_error *err)
{
    struct vz_sort_nested_reader *nested = vz_calloc(1, sizeof *nested);
    const struct vz_sort_nested *asked = reader->key->nested;
    reader->nested = nested;
    reader->failure = nested->failure = vz_arena_zalloc(eval->arena, sizeof *nested->failure);
    nested->eval = eval;
    nested->kind = field->column;
    nested->max_children = asked->max_children;
    enum vz_status status = add_level(nested, asked, err);
    for (asked = asked->inner; status == VZ_OK && asked; asked = asked->inner) {
        if (asked->max_children != INT32_MAX)
            return vz_fail(err, VZ_BAD_QUERY,
                           "max_children is only supported on top level of nested sort");
        status = add_level(nested, asked, err);
    }
    if (status == VZ_OK &&
        vz_nest_scope(eval->mapping, field) != nested->levels[nested->level_count - 1].scope)
        nested->is_empty = true;
    return status;
}

void vz_sort_nested_unbind(struct vz_sort_nested_reader *nested)
{
    if (!nested)
        return;
    for (unsigned i = 0; i < nested->level_count; i++)
        free(nested->levels[i].passing);
    free(nested->i64);
    vz_arena_deinit(&nested->scratch);
    free(nested);
}

/* ---- one document ---------------------------------------------------------------------------- */

static size_t value_bytes(enum vz_column_kind kind)
{
    return kind == VZ_COLUMN_GEO       ? sizeof(struct vz_geo)
           : kind == VZ_COLUMN_ORDINAL ? sizeof(struct vz_slice)
                                       : sizeof(int64_t);
}

struct taking {
    struct vz_sort_nested_reader *nested;
    const struct vz_field *field;
};

static bool is_ignored(const struct vz_field *field, struct vz_slice text)
{
    size_t characters = 0;
    if (!field->ignore_above || text.len <= field->ignore_above)
        return false;
    for (size_t i = 0; i < text.len; i++)
        characters += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return characters > field->ignore_above;
}

/* What indexing refused or left out (ignore_malformed, null) has no value here either. */
static bool take_value(void *taking_void, struct vz_json json)
{
    struct taking *taking = taking_void;
    struct vz_sort_nested_reader *nested = taking->nested;
    struct vz_typed_value value;
    if (vz_json_type(json) == VZ_JSON_NULL ||
        vz_value_parse(taking->field, json, false, &nested->scratch, &value, NULL) != VZ_OK ||
        value.kind != nested->kind)
        return true;
    if (nested->count == nested->capacity) {
        nested->capacity = VZ_MAX(nested->capacity * 2, (size_t)16);
        nested->i64 = vz_realloc(nested->i64, nested->capacity * value_bytes(nested->kind));
    }
    if (nested->kind == VZ_COLUMN_I64)
        nested->i64[nested->count++] = value.i64;
    else if (nested->kind == VZ_COLUMN_F64)
        nested->f64[nested->count++] = value.f64;
    else if (nested->kind == VZ_COLUMN_GEO)
        nested->geo[nested->count++] = (struct vz_geo){value.geo.lat, value.geo.lon};
    else if (!is_ignored(taking->field, value.term))
        nested->terms[nested->count++] = value.term;
    return true;
}

/* Lexicographic, by the first `depth` offsets. */
static int compare_places(const struct vz_nest_place *a, const struct vz_nest_place *b,
                          unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        if (a->offsets[i] != b->offsets[i])
            return a->offsets[i] < b->offsets[i] ? -1 : 1;
    return 0;
}

/* Whether the object's ancestors passed the filters of the outer levels. Objects come in the order
 * of the text, so each level is gone through once a document. */
static bool ancestors_pass(struct vz_sort_nested_reader *nested, const struct vz_nest_place *place)
{
    for (unsigned i = 0; i < nested->level; i++) {
        struct level *level = &nested->levels[i];
        if (!level->filter)
            continue;
        while (level->at < level->count &&
               compare_places(&level->passing[level->at], place, level->passing->depth) < 0)
            level->at++;
        if (level->at == level->count ||
            compare_places(&level->passing[level->at], place, level->passing->depth) != 0)
            return false;
    }
    return true;
}

static bool ask_object(void *taking_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct taking *taking = taking_void;
    struct vz_sort_nested_reader *nested = taking->nested;
    struct level *level = &nested->levels[nested->level];
    bool match = true;
    if (level->filter && vz_nest_match(nested->eval, level->filter, level->scope, object, &match,
                                       nested->failure) != VZ_OK)
        return false;
    if (!match)
        return true;
    if (nested->level + 1 < nested->level_count) {
        if (level->count == level->capacity) {
            level->capacity = VZ_MAX(level->capacity * 2, (size_t)16);
            level->passing = vz_realloc(level->passing, level->capacity * sizeof *level->passing);
        }
        level->passing[level->count++] = *place;
        return true;
    }
    if (!ancestors_pass(nested, place))
        return true;
    size_t before = nested->count;
    vz_nest_values(level->scope, taking->field, object, take_value, taking);
    if (nested->count > before && ++nested->children > nested->max_children) {
        nested->count = before;
        return false;
    }
    return true;
}

static enum vz_status gather(struct taking *taking, uint32_t docno)
{
    struct vz_sort_nested_reader *nested = taking->nested;
    struct vz_stored_doc doc;
    struct vz_json_doc *parsed = NULL;
    struct vz_json source;
    enum vz_status status = vz_snapshot_doc(nested->eval->snap, docno, VZ_DOC_CUT_SOURCE,
                                            &nested->scratch, &doc, nested->failure);
    if (status == VZ_OK)
        status = vz_json_parse(doc.source, &parsed, &source, nested->failure);
    for (unsigned i = 0; i < nested->level_count && status == VZ_OK; i++) {
        struct level *level = &nested->levels[i];
        level->count = level->at = 0;
        nested->level = i;
        if (level->filter || i + 1 == nested->level_count)
            vz_nest_each(nested->eval->mapping, level->scope, source, ask_object, taking);
        status = nested->failure->status;
    }
    if (parsed)
        vz_json_free(parsed);
    return status;
}

size_t vz_sort_nested_read(struct vz_sort_reader *reader, uint32_t docno)
{
    struct vz_sort_nested_reader *nested = reader->nested;
    struct taking taking = {nested, reader->field};
    nested->count = 0;
    nested->children = 0;
    if (nested->is_empty || nested->failure->status != VZ_OK)
        return 0;
    if (nested->reads++ % 64 == 0 && vz_eval_late(nested->eval)) {
        vz_fail(nested->failure, VZ_CANCELLED, "the search took too long");
        return 0;
    }
    struct vz_arena *request = nested->eval->arena;
    vz_arena_reset(&nested->scratch);
    nested->eval->arena = &nested->scratch;
    if (gather(&taking, docno) != VZ_OK)
        nested->count = 0;
    nested->eval->arena = request;
    reader->column = (struct vz_column){.kind = nested->kind, .count = nested->count};
    if (nested->kind != VZ_COLUMN_ORDINAL) {
        reader->column.i64 = nested->i64;
        return nested->count;
    }
    reader->nested_terms = nested->terms;
    return nested->count;
}
