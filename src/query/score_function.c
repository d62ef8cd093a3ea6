/* function_score: the documents of a query, their scores changed by functions.
 *
 * As in Elasticsearch: each function with its filter gives a value for the documents it matches,
 * times its weight; score_mode makes one factor of them (1 where none matches), max_boost limits
 * it, boost_mode puts it together with the query's score. `boost` belongs to the query's score, so
 * boost_mode replace does without.
 *
 * A function is evaluated over all documents that need it before the next one: the columns are
 * walked in order, and a filter's memory is let go when its function is done.
 */
#include "query/dsl.h"
#include "query/explain.h"
#include "query/scripting.h"

#include "base/clock.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FUNCTIONS 256
#define LATE_EVERY 4096

enum function_kind { WEIGHT, RANDOM, FIELD_VALUE, SCRIPT, DECAY };
enum modifier { NONE, LOG, LOG1P, LOG2P, LN, LN1P, LN2P, SQUARE, SQRT, RECIPROCAL };
static const char *const modifiers[] = {"none", "log",  "log1p",  "log2p", "ln",
                                        "ln1p", "ln2p", "square", "sqrt",  "reciprocal"};
enum score_mode { MODE_MULTIPLY, MODE_SUM, MODE_AVG, MODE_FIRST, MODE_MAX, MODE_MIN };
static const char *const score_modes[] = {"multiply", "sum", "avg", "first", "max", "min"};
enum boost_mode { BOOST_MULTIPLY, BOOST_REPLACE, BOOST_SUM, BOOST_AVG, BOOST_MAX, BOOST_MIN };
static const char *const boost_modes[] = {"multiply", "replace", "sum", "avg", "max", "min"};
enum multi_mode { MULTI_MIN, MULTI_MAX, MULTI_AVG, MULTI_SUM };
static const char *const multi_modes[] = {"min", "max", "avg", "sum"};

struct function {
    enum function_kind kind;
    bool has_kind, has_weight;
    float weight;
    struct vz_node *filter; /* or NULL */
    struct vz_slice field;
    uint64_t seed;
    /* FIELD_VALUE */
    double factor, missing;
    bool has_missing;
    enum modifier modifier;
    struct vz_script_text script;
    /* DECAY: as given, the field's type tells what it is */
    enum vz_decay_shape shape;
    struct vz_json origin, scale, offset;
    double at_scale;
    enum multi_mode multi;
};

struct vz_function_clause {
    struct vz_node *query; /* NULL: all */
    struct function *functions;
    size_t count;
    bool is_list, is_single;
    enum score_mode score_mode;
    enum boost_mode boost_mode;
    float max_boost;
    bool has_min_score;
    float min_score;
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status choice(const char *key, struct vz_json value, const char *const *names,
                             size_t count, unsigned *out, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 0; i < count; i++) {
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *out = (unsigned)i;
            return VZ_OK;
        }
    }
    return vz_fail(err, VZ_BAD_QUERY, "[function_score] illegal %s [%.*s]", key, VZ_ARG(text));
}

static enum vz_status number(const char *key, struct vz_json value, double *out,
                             struct vz_error *err)
{
    if (vz_json_as_double(value, out) && isfinite(*out))
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY, "[function_score] [%s] must be a number but got %s", key,
                   vz_query_token(value));
}

static enum vz_status parse_random(struct vz_json value, struct function *f, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    f->seed = vz_now_ns();
    f->field = (struct vz_slice){0};
    while (vz_json_next(&it, &key, &member)) {
        int64_t seed;
        if (vz_slice_is(key, "seed")) {
            struct vz_slice text = vz_json_string(member);
            if (vz_json_as_int(member, &seed)) {
                f->seed = (uint64_t)seed;
            } else if (text.ptr) {
                f->seed = 0;
                for (size_t i = 0; i < text.len; i++)
                    f->seed = f->seed * 31 + (unsigned char)text.ptr[i];
            } else if (vz_json_type(member) != VZ_JSON_NULL)
                return vz_fail(err, VZ_BAD_QUERY,
                               "random_score seed must be an int, long or string, not '%s'",
                               vz_query_token(member));
        } else if (vz_slice_is(key, "field")) {
            f->field = vz_json_string(member);
            if (vz_slice_is(f->field, "_seq_no")) /* new with every write, as a docno is */
                f->field = (struct vz_slice){0};
        } else
            return vz_fail(err, VZ_BAD_QUERY, "random_score query does not support [%.*s]",
                           VZ_ARG(key));
    }
    return VZ_OK;
}

static enum vz_status parse_field_value(struct vz_json value, struct function *f,
                                        struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    f->factor = 1;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = VZ_OK;
        unsigned found = 0;
        if (vz_slice_is(key, "field")) {
            f->field = vz_json_string(member);
        } else if (vz_slice_is(key, "factor")) {
            status = number("factor", member, &f->factor, err);
        } else if (vz_slice_is(key, "missing")) {
            f->has_missing = true;
            status = number("missing", member, &f->missing, err);
        } else if (vz_slice_is(key, "modifier")) {
            status = choice("modifier", member, modifiers, VZ_COUNT_OF(modifiers), &found, err);
            f->modifier = status == VZ_OK ? (enum modifier)found : NONE;
        } else
            status = vz_fail(err, VZ_BAD_QUERY, "field_value_factor query does not support [%.*s]",
                             VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (f->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[field_value_factor] required field 'field' missing");
    return VZ_OK;
}

static enum vz_status parse_decay(const char *name, struct vz_json value, struct function *f,
                                  struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value), inner;
    struct vz_slice key;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    unsigned found = 0;
    f->at_scale = 0.5;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "multi_value_mode")) {
            status = choice("multi_value_mode", member, multi_modes, VZ_COUNT_OF(multi_modes),
                            &found, err);
            f->multi = status == VZ_OK ? (enum multi_mode)found : MULTI_MIN;
            continue;
        }
        if (f->field.len || vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY, "malformed score function score parameters [%s]",
                           name);
        f->field = key;
        inner = vz_json_iterate(member);
        while (status == VZ_OK && vz_json_next(&inner, &key, &member)) {
            if (vz_slice_is(key, "origin"))
                f->origin = member;
            else if (vz_slice_is(key, "scale"))
                f->scale = member;
            else if (vz_slice_is(key, "offset"))
                f->offset = member;
            else if (vz_slice_is(key, "decay"))
                status = number("decay", member, &f->at_scale, err);
            else
                status =
                    vz_fail(err, VZ_BAD_QUERY, "[%s] does not support [%.*s]", name, VZ_ARG(key));
        }
    }
    if (status == VZ_OK && f->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "malformed score function score parameters [%s]", name);
    if (status == VZ_OK && vz_json_type(f->scale) == VZ_JSON_MISSING)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] [scale] must be set", name);
    if (status == VZ_OK && !(f->at_scale > 0 && f->at_scale < 1))
        return vz_fail(err, VZ_BAD_QUERY, "[%s] decay must be in the range (0..1)", name);
    return status;
}

/* One of the functions by its name; VZ_NOT_FOUND for other keys. */
static enum vz_status parse_kind(struct vz_slice key, struct vz_json value, struct function *f,
                                 struct vz_error *err)
{
    static const struct {
        const char *name;
        enum function_kind kind;
        enum vz_decay_shape shape;
    } table[] = {
        {"random_score", RANDOM, 0},  {"field_value_factor", FIELD_VALUE, 0},
        {"script_score", SCRIPT, 0},  {"linear", DECAY, VZ_DECAY_LINEAR},
        {"exp", DECAY, VZ_DECAY_EXP}, {"gauss", DECAY, VZ_DECAY_GAUSS},
    };
    size_t i = 0;
    while (i < VZ_COUNT_OF(table) && !vz_slice_is(key, table[i].name))
        i++;
    if (i == VZ_COUNT_OF(table))
        return VZ_NOT_FOUND;
    if (f->has_kind)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse function_score functions. already found a function, now "
                       "encountering [%s]. did you mean [boost] instead?",
                       table[i].name);
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] must be an object but got %s", table[i].name,
                       vz_query_token(value));
    f->has_kind = true;
    f->kind = table[i].kind;
    f->shape = table[i].shape;
    if (f->kind == RANDOM)
        return parse_random(value, f, err);
    if (f->kind == FIELD_VALUE)
        return parse_field_value(value, f, err);
    if (f->kind == DECAY)
        return parse_decay(table[i].name, value, f, err);
    struct vz_json script;
    if (vz_json_count(value) != 1 || !vz_json_get(value, "script", &script))
        return vz_fail(err, VZ_BAD_QUERY, "script_score requires 'script' field");
    return vz_script_text_parse("script_score", script, &f->script, err);
}

static enum vz_status parse_weight(struct vz_json value, struct function *f, struct vz_error *err)
{
    f->has_weight = true;
    enum vz_status status = vz_dsl_float("function_score", "weight", value, &f->weight, err);
    if (status == VZ_OK && f->weight < 0)
        return vz_fail(err, VZ_BAD_QUERY, "[weight] cannot be negative for a filtering function");
    return status;
}

static enum vz_status parse_function(struct vz_parser *parser, struct vz_json value,
                                     struct function *f, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    *f = (struct function){.kind = WEIGHT, .weight = 1};
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse [function_score]. expected START_OBJECT but got [%s]",
                       vz_query_token(value));
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "weight"))
            status = parse_weight(member, f, err);
        else if (vz_slice_is(key, "filter"))
            status = vz_query_parse(parser, member, &f->filter, err);
        else
            status = parse_kind(key, member, f, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "no [function_score] named [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (!f->has_kind && !f->has_weight)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse [function_score] query. an entry in functions list is "
                       "missing a function.");
    return VZ_OK;
}

static enum vz_status parse_functions(struct vz_parser *parser, struct vz_json value,
                                      struct vz_function_clause *clause, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    if (vz_json_type(value) != VZ_JSON_ARRAY || clause->is_single)
        return vz_fail(err, VZ_BAD_QUERY, "failed to parse [function_score] query. %s",
                       clause->is_single ? "already found a function, now encountering [functions]"
                                         : "[functions] must be an array");
    if (count > MAX_FUNCTIONS)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[function_score] has [%zu] functions, at most [%d] are "
                       "allowed",
                       count, MAX_FUNCTIONS);
    clause->is_list = true;
    clause->functions = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(*clause->functions));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status =
            parse_function(parser, element, &clause->functions[clause->count++], err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* A function outside of `functions`. */
static enum vz_status parse_single(struct vz_parser *parser, struct vz_slice key,
                                   struct vz_json value, struct vz_function_clause *clause,
                                   struct vz_error *err)
{
    if (!clause->functions) {
        clause->functions = vz_arena_zalloc(parser->arena, sizeof(*clause->functions));
        clause->functions[0].weight = 1;
    }
    struct function scratch = {.weight = 1};
    struct function *f = clause->is_list ? &scratch : &clause->functions[0];
    enum vz_status status =
        vz_slice_is(key, "weight") ? parse_weight(value, f, err) : parse_kind(key, value, f, err);
    if (status == VZ_OK && clause->is_list)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse [function_score] query. already found [functions] array, "
                       "now encountering [%.*s].",
                       VZ_ARG(key));
    if (status == VZ_OK) {
        clause->is_single = true;
        clause->count = 1;
    }
    return status;
}

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    struct vz_function_clause *clause = node->functions;
    unsigned found = 0;
    enum vz_status status;
    if (vz_slice_is(key, "query"))
        return vz_query_parse(parser, value, &clause->query, err);
    if (vz_slice_is(key, "functions"))
        return parse_functions(parser, value, clause, err);
    if (vz_slice_is(key, "score_mode")) {
        status = choice("score_mode", value, score_modes, VZ_COUNT_OF(score_modes), &found, err);
        clause->score_mode = (enum score_mode)found;
        return status;
    }
    if (vz_slice_is(key, "boost_mode")) {
        status = choice("boost_mode", value, boost_modes, VZ_COUNT_OF(boost_modes), &found, err);
        clause->boost_mode = (enum boost_mode)found;
        return status;
    }
    if (vz_slice_is(key, "max_boost"))
        return vz_dsl_float("function_score", "max_boost", value, &clause->max_boost, err);
    if (vz_slice_is(key, "min_score")) {
        clause->has_min_score = true;
        return vz_dsl_float("function_score", "min_score", value, &clause->min_score, err);
    }
    return parse_single(parser, key, value, clause, err);
}

enum vz_status vz_dsl_parse_function_score(struct vz_parser *parser, struct vz_json value,
                                           struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_FUNCTION_SCORE;
    node->functions = vz_arena_zalloc(parser->arena, sizeof(*node->functions));
    struct vz_function_clause *clause = node->functions;
    clause->max_boost = INFINITY;
    enum vz_status status = vz_dsl_walk(parser, "function_score", value, node, visit, err);
    if (clause->count == 1 && !clause->functions[0].filter) /* nothing to put together */
        clause->score_mode = MODE_FIRST;
    return status;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A function bound to a snapshot. */
struct bound {
    const struct function *f;
    struct vz_eval *eval;
    const struct vz_field *field;
    struct vz_column column;
    size_t at;
    struct vz_decay decay;
    double origin, lat, lon;
    struct vz_doc_script *script;
};

static enum vz_status bind_decay(struct bound *b, struct vz_error *err)
{
    const struct function *f = b->f;
    double scale, offset = 0;
    bool has_offset = vz_json_type(f->offset) != VZ_JSON_MISSING, fine;
    bool has_origin = vz_json_type(f->origin) != VZ_JSON_MISSING;
    struct vz_slice scale_text = vz_query_scalar_text(f->scale, b->eval->arena);
    struct vz_slice offset_text =
        has_offset ? vz_query_scalar_text(f->offset, b->eval->arena) : VZ_SLICE("0");
    enum vz_field_type type = b->field->type;
    if (type == VZ_FIELD_DATE) {
        int64_t origin = b->eval->now_ms;
        if (has_origin &&
            vz_date_parse(b->field->format, vz_query_scalar_text(f->origin, b->eval->arena), true,
                          false, b->eval->now_ms, &origin, err) != VZ_OK)
            return VZ_BAD_QUERY;
        b->origin = (double)origin;
        fine = vz_query_duration(scale_text, &scale) && vz_query_duration(offset_text, &offset);
    } else if (type == VZ_FIELD_GEO_POINT) {
        struct vz_error inner = {0};
        if (!has_origin || vz_geo_parse(f->origin, &b->lat, &b->lon, &inner) != VZ_OK)
            return vz_query_fail(err, VZ_BAD_QUERY,
                                 "[geo] decay needs an [origin] that is a place");
        fine = vz_query_distance(scale_text, &scale) && vz_query_distance(offset_text, &offset);
    } else if (b->column.kind == VZ_COLUMN_I64 || b->column.kind == VZ_COLUMN_F64) {
        if (!has_origin || !vz_json_as_double(f->origin, &b->origin))
            return vz_query_fail(err, VZ_BAD_QUERY,
                                 "both [scale] and [origin] must be set for "
                                 "numeric fields.");
        fine = vz_json_as_double(f->scale, &scale) &&
               (!has_offset || vz_json_as_double(f->offset, &offset));
    } else {
        return vz_query_fail(err, VZ_BAD_QUERY, "field [%.*s] is of a type that has no distances",
                             VZ_ARG(b->field->path));
    }
    if (!fine || !(scale > 0) || !(offset >= 0))
        return vz_query_fail(err, VZ_BAD_QUERY, "decay: scale must be > 0 and offset >= 0");
    vz_decay_init(&b->decay, f->shape, scale, offset, f->at_scale);
    return VZ_OK;
}

static enum vz_status bind(struct vz_eval *eval, const struct function *f, struct bound *b,
                           struct vz_error *err)
{
    *b = (struct bound){.f = f, .eval = eval};
    if (f->kind == SCRIPT)
        return vz_doc_script_open(eval, &f->script, true, &b->script, err);
    if (f->field.len == 0)
        return VZ_OK;
    b->field = vz_eval_field(eval, f->field);
    if (b->field)
        vz_field_column(eval, b->field, &b->column);
    if (f->kind == DECAY && !b->field)
        return vz_query_fail(err, VZ_BAD_QUERY, "unknown field [%.*s]", VZ_ARG(f->field));
    if (f->kind == DECAY)
        return bind_decay(b, err);
    bool numeric = b->column.kind == VZ_COLUMN_I64 || b->column.kind == VZ_COLUMN_F64;
    if (f->kind == RANDOM && !b->field)
        return vz_query_fail(err, VZ_BAD_QUERY, "Field [%.*s] is not mapped", VZ_ARG(f->field));
    if (f->kind == FIELD_VALUE && !b->field && !f->has_missing)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Unable to find a field mapper for field [%.*s]. "
                             "No 'missing' value defined.",
                             VZ_ARG(f->field));
    if (f->kind == FIELD_VALUE && b->field && !numeric)
        return vz_query_fail(err, VZ_BAD_QUERY, "field [%.*s] is no number", VZ_ARG(f->field));
    return VZ_OK;
}

/* The document's entries [*first, *end) in the column. */
static bool entries(struct bound *b, uint32_t docno, size_t *first, size_t *end)
{
    const struct vz_column *column = &b->column;
    size_t at = b->at;
    for (int i = 0; i < 8 && at < column->count && column->docnos[at] < docno; i++)
        at++;
    if (at < column->count && column->docnos[at] < docno)
        at = vz_column_find(column, docno);
    if (at < column->count)
        b->at = at;
    *first = *end = at;
    while (*end < column->count && column->docnos[*end] == docno)
        ++*end;
    return *end > *first;
}

static double entry(const struct bound *b, size_t at)
{
    if (b->column.kind == VZ_COLUMN_F64)
        return b->column.f64[at];
    if (b->field->type == VZ_FIELD_UNSIGNED_LONG)
        return (double)((uint64_t)b->column.i64[at] ^ 0x8000000000000000ull);
    return (double)b->column.i64[at];
}

static double modify(enum modifier modifier, double value)
{
    switch (modifier) {
    case LOG:
        return log10(value);
    case LOG1P:
        return log10(value + 1);
    case LOG2P:
        return log10(value + 2);
    case LN:
        return log(value);
    case LN1P:
        return log1p(value);
    case LN2P:
        return log1p(value + 1);
    case SQUARE:
        return value * value;
    case SQRT:
        return sqrt(value);
    case RECIPROCAL:
        return 1 / value;
    case NONE:
        break;
    }
    return value;
}

static enum vz_status field_value(struct bound *b, uint32_t docno, double *out,
                                  struct vz_error *err)
{
    const struct function *f = b->f;
    size_t first, end;
    double value = f->missing;
    char number_text[32], value_text[32];
    if (b->field && entries(b, docno, &first, &end)) {
        value = entry(b, first);
        for (size_t i = first + 1; i < end; i++) /* doc values are sorted: the smallest */
            value = VZ_MIN(value, entry(b, i));
    } else if (!f->has_missing)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Missing value for field [%.*s]", VZ_ARG(f->field));
    *out = modify(f->modifier, value * f->factor);
    if (isnan(*out) || isinf(*out))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Result of field modification [%s(%s)] must be a number",
                       modifiers[f->modifier], vz_query_number(value * f->factor, number_text));
    if (*out < 0)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field value function must not produce negative scores, but got: [%s] for "
                       "field value: [%s]",
                       vz_query_number(*out, number_text), vz_query_number(value, value_text));
    return VZ_OK;
}

static double distance_of(const struct bound *b, size_t at)
{
    if (b->column.kind == VZ_COLUMN_GEO)
        return vz_query_haversine(b->lat, b->lon, b->column.geo[at].lat, b->column.geo[at].lon);
    return fabs(entry(b, at) - b->origin);
}

/* 1 for a document without a value. The distance's offset is taken off before values are put
 * together, as Elasticsearch does. */
static double decay_value(struct bound *b, uint32_t docno)
{
    size_t first, end;
    if (!entries(b, docno, &first, &end))
        return 1;
    double best = 0;
    for (size_t i = first; i < end; i++) {
        double d = VZ_MAX(0.0, distance_of(b, i) - b->decay.offset);
        if (i == first)
            best = d;
        else if (b->f->multi == MULTI_MIN)
            best = VZ_MIN(best, d);
        else if (b->f->multi == MULTI_MAX)
            best = VZ_MAX(best, d);
        else
            best += d;
    }
    if (b->f->multi == MULTI_AVG)
        best /= (double)(end - first);
    struct vz_decay decay = b->decay;
    decay.offset = 0;
    return vz_decay_at(&decay, best);
}

static double random_value(struct bound *b, uint32_t docno)
{
    size_t first, end;
    uint64_t what = docno;
    if (b->field && entries(b, docno, &first, &end)) {
        if (b->column.kind == VZ_COLUMN_ORDINAL)
            what = b->column.ordinals[first];
        else if (b->column.kind == VZ_COLUMN_I64 || b->column.kind == VZ_COLUMN_F64)
            memcpy(&what, &b->column.i64[first], sizeof what);
    }
    return vz_query_random(b->f->seed, what);
}

static enum vz_status value_of(struct bound *b, uint32_t docno, float score, double *out,
                               struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    *out = 1;
    switch (b->f->kind) {
    case WEIGHT:
        break;
    case RANDOM:
        *out = random_value(b, docno);
        break;
    case FIELD_VALUE:
        status = field_value(b, docno, out, err);
        break;
    case SCRIPT:
        status = vz_doc_script_number(b->script, docno, (double)score, out, err);
        if (status == VZ_OK && !((float)*out >= 0))
            status = vz_score_refuse("script_score script", (float)*out, docno, err);
        break;
    case DECAY:
        *out = decay_value(b, docno);
        break;
    }
    *out *= (double)b->f->weight;
    return status;
}

/* ---- together -------------------------------------------------------------------------------- */

struct factors {
    double *values; /* so far, by docno */
    float *weights; /* MODE_AVG, MODE_SUM: sums of weights */
    uint8_t *any;   /* whether a function matched */
};

static void join(const struct vz_function_clause *clause, struct factors *factors, size_t i,
                 double value, float weight)
{
    bool first = !factors->any[i];
    double *total = &factors->values[i];
    factors->any[i] = 1;
    if (factors->weights)
        factors->weights[i] += weight;
    if (first) {
        *total = value;
        return;
    }
    switch (clause->score_mode) {
    case MODE_MULTIPLY:
        *total *= value;
        break;
    case MODE_SUM:
    case MODE_AVG:
        *total += value;
        break;
    case MODE_MAX:
        *total = VZ_MAX(*total, value);
        break;
    case MODE_MIN:
        *total = VZ_MIN(*total, value);
        break;
    case MODE_FIRST:
        break;
    }
}

static enum vz_status apply_function(struct vz_eval *eval, const struct vz_function_clause *clause,
                                     const struct function *f, const struct vz_docset *set,
                                     struct factors *factors, struct vz_error *err)
{
    struct bound b;
    struct vz_docset filter = {.kind = VZ_SET_ALL};
    enum vz_status status = bind(eval, f, &b, err);
    if (status == VZ_OK && f->filter) {
        struct vz_node *node = f->filter;
        status = vz_filters_eval(eval, (struct vz_node_list){&node, 1}, &filter, err);
    }
    size_t since = 0;
    for (size_t i = vz_bitset_next(&set->bits, 0); status == VZ_OK && i < set->bits.bits;
         i = vz_bitset_next(&set->bits, i + 1)) {
        double value;
        if (!vz_docset_has(&filter, (uint32_t)i) ||
            (clause->score_mode == MODE_FIRST && factors->any[i]))
            continue;
        float score = set->scores ? set->scores[i] : set->constant;
        status = value_of(&b, (uint32_t)i, score, &value, err);
        if (status == VZ_OK)
            join(clause, factors, i, value, f->weight);
        if (++since % LATE_EVERY == 0 && vz_eval_late(eval))
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
    }
    vz_docset_deinit(&filter);
    vz_doc_script_close(b.script);
    return status;
}

static double combine(enum boost_mode mode, double score, double factor)
{
    switch (mode) {
    case BOOST_MULTIPLY:
        return score * factor;
    case BOOST_REPLACE:
        return factor;
    case BOOST_SUM:
        return score + factor;
    case BOOST_AVG:
        return (score + factor) / 2;
    case BOOST_MAX:
        return VZ_MAX(score, factor);
    case BOOST_MIN:
        break;
    }
    return VZ_MIN(score, factor);
}

static enum vz_status settle(const struct vz_function_clause *clause, struct factors *factors,
                             struct vz_docset *set, float *scores, struct vz_error *err)
{
    for (size_t i = vz_bitset_next(&set->bits, 0); i < set->bits.bits;
         i = vz_bitset_next(&set->bits, i + 1)) {
        bool counts = factors->any[i] && (!factors->weights || factors->weights[i] > 0);
        double factor = counts ? factors->values[i] : 1;
        if (clause->score_mode == MODE_AVG && counts)
            factor /= (double)factors->weights[i];
        if (factor > (double)clause->max_boost) /* what is no number stays none */
            factor = (double)clause->max_boost;
        float inner = set->scores ? set->scores[i] : set->constant;
        float score =
            clause->count ? (float)combine(clause->boost_mode, (double)inner, factor) : inner;
        if (!(score >= 0)) {
            char text[32];
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "function score query returned an invalid score: %s for doc: %zu",
                           isnan(score) ? "NaN" : vz_query_number((double)score, text), i);
        }
        scores[i] = score;
        if (clause->has_min_score && score < clause->min_score)
            vz_bitset_clear(&set->bits, i);
    }
    return VZ_OK;
}

static enum vz_status score_set(struct vz_eval *eval, const struct vz_node *node,
                                struct vz_docset *set, struct vz_error *err)
{
    const struct vz_function_clause *clause = node->functions;
    enum vz_status status = VZ_OK;
    vz_docset_materialize(set, eval);
    vz_docset_settle(set, eval);
    set->constant *= node->boost;
    for (size_t i = 0; set->scores && i < eval->limit; i++)
        set->scores[i] *= node->boost;
    size_t length = (size_t)eval->limit + 1;
    struct factors factors = {vz_calloc(length, sizeof(double)), NULL, vz_calloc(length, 1)};
    if (clause->score_mode == MODE_AVG || clause->score_mode == MODE_SUM)
        factors.weights = vz_calloc(length, sizeof(float));
    float *scores = vz_calloc(length, sizeof(float));
    for (size_t i = 0; status == VZ_OK && i < clause->count; i++)
        status = apply_function(eval, clause, &clause->functions[i], set, &factors, err);
    if (status == VZ_OK)
        status = settle(clause, &factors, set, scores, err);
    free(factors.values);
    free(factors.weights);
    free(factors.any);
    free(set->scores);
    set->scores = scores;
    return status;
}

enum vz_status vz_function_score_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                      struct vz_docset *out, struct vz_error *err)
{
    const struct vz_function_clause *clause = node->functions;
    enum vz_status status = VZ_OK;
    bool needed = scores || clause->has_min_score;
    if (clause->query)
        status = vz_node_eval(eval, clause->query, needed, out, err);
    else
        *out = (struct vz_docset){.kind = VZ_SET_ALL, .constant = 1};
    if (status == VZ_OK && needed && out->kind != VZ_SET_NONE)
        status = score_set(eval, node, out, err);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}

const struct vz_node *vz_function_score_query(const struct vz_node *node)
{
    return node->functions->query;
}

/* ---- explaining ------------------------------------------------------------------------------ */

static struct vz_explanation *describe_function(struct vz_arena *arena, const struct function *f,
                                                double value)
{
    char factor[32], missing[48] = "", number[32];
    static const char *const shapes[] = {"linear", "exp", "gauss"};
    switch (f->kind) {
    case WEIGHT:
        break;
    case RANDOM:
        return vz_explained(arena, true, (float)value, 0, "random score function (seed: %llu%s%.*s)",
                            (unsigned long long)f->seed, f->field.len ? ", field: " : "",
                            VZ_ARG(f->field));
    case FIELD_VALUE:
        if (f->has_missing)
            snprintf(missing, sizeof missing, "?:%s", vz_query_number(f->missing, number));
        return vz_explained(arena, true, (float)value, 0,
                            "field value function: %s(doc['%.*s'].value%s * factor=%s)",
                            modifiers[f->modifier], VZ_ARG(f->field), missing,
                            vz_query_number(f->factor, factor));
    case SCRIPT:
        return vz_explained(arena, true, (float)value, 0,
                            "script score function, computed with script:\"Script{type=inline, "
                            "lang='painless', idOrCode='%.*s', options={}, params={}}\"",
                            VZ_ARG(f->script.source));
    case DECAY:
        return vz_explained(arena, true, (float)value, 0, "Function for field %.*s: %s decay",
                            VZ_ARG(f->field),
                            (unsigned)f->shape < VZ_COUNT_OF(shapes) ? shapes[f->shape] : "");
    }
    return vz_explained(arena, true, (float)value, 0, "constant score 1.0 - no function provided");
}

static enum vz_status explain_function(struct vz_sampler *sampler, const struct function *f,
                                       uint32_t docno, float score, double *value, bool *applies,
                                       struct vz_explanation **out, struct vz_error *err)
{
    struct vz_eval *eval = sampler->eval;
    struct vz_arena *arena = eval->arena;
    struct bound b;
    float ignored;
    *applies = true;
    if (f->filter) {
        enum vz_status status = vz_sample_node(sampler, f->filter, docno, applies, &ignored, err);
        if (status != VZ_OK || !*applies)
            return status;
    }
    enum vz_status status = bind(eval, f, &b, err);
    if (status == VZ_OK)
        status = value_of(&b, docno, score, value, err);
    vz_doc_script_close(b.script);
    if (status != VZ_OK)
        return status;
    double plain = f->weight != 0 ? *value / (double)f->weight : 0;
    struct vz_explanation *one = describe_function(arena, f, plain);
    if (f->has_weight) {
        struct vz_explanation *product =
            vz_explained(arena, true, (float)*value, 2, "product of:");
        product->details[product->detail_count++] = one;
        product->details[product->detail_count++] =
            vz_explained(arena, true, f->weight, 0, "weight");
        one = product;
    }
    if (f->filter) {
        struct vz_buf text = {0};
        struct vz_explanation *product =
            vz_explained(arena, true, (float)*value, 2, "function score, product of:");
        vz_node_describe(eval, f->filter, &text);
        product->details[product->detail_count++] = vz_explained(
            arena, true, 1, 0, "match filter: %.*s", (int)text.len, text.data ? text.data : "");
        product->details[product->detail_count++] = one;
        vz_buf_deinit(&text);
        one = product;
    }
    *out = one;
    return VZ_OK;
}

enum vz_status vz_function_score_explain(struct vz_sampler *sampler, const struct vz_node *node,
                                         uint32_t docno, struct vz_explanation *query,
                                         struct vz_explanation **out, struct vz_error *err)
{
    static const char *const together[] = {"function score, product of:", "min of:", "sum of:",
                                           "avg of:", "max of:", "min of:"};
    const struct vz_function_clause *clause = node->functions;
    struct vz_arena *arena = sampler->eval->arena;
    bool match, applies;
    float score;
    double factor = 1, weights = 0;
    size_t count = 0;
    *out = query;
    enum vz_status status = vz_sample_node(sampler, node, docno, &match, &score, err);
    if (status != VZ_OK || clause->count == 0)
        return status;
    struct vz_explanation *functions =
        vz_explained(arena, true, 1, clause->count + 1, "function score, score mode [%s]",
                     score_modes[clause->score_mode]);
    for (size_t i = 0; i < clause->count; i++) {
        struct vz_explanation *one;
        double value;
        status = explain_function(sampler, &clause->functions[i], docno, query->value, &value,
                                  &applies, &one, err);
        if (status != VZ_OK)
            return status;
        if (!applies || (clause->score_mode == MODE_FIRST && count))
            continue;
        functions->details[functions->detail_count++] = one;
        weights += (double)clause->functions[i].weight;
        switch (clause->score_mode) {
        case MODE_SUM:
        case MODE_AVG:
            factor = count ? factor + value : value;
            break;
        case MODE_MAX:
            factor = count ? VZ_MAX(factor, value) : value;
            break;
        case MODE_MIN:
            factor = count ? VZ_MIN(factor, value) : value;
            break;
        default:
            factor = count ? factor * value : value;
        }
        count++;
    }
    if (count && clause->score_mode == MODE_AVG && weights > 0)
        factor /= weights;
    functions->value = (float)factor;
    if (count == 0)
        functions = vz_explained(arena, true, 1, 0, "No function matched");
    else if (clause->count == 1 && !clause->functions[0].filter)
        functions = functions->details[0];
    struct vz_explanation *limited =
        vz_explained(arena, true, VZ_MIN(functions->value, clause->max_boost), 2, "min of:");
    limited->details[limited->detail_count++] = functions;
    limited->details[limited->detail_count++] =
        vz_explained(arena, true, VZ_MIN(clause->max_boost, FLT_MAX), 0, "maxBoost");
    *out = limited;
    if (clause->boost_mode != BOOST_REPLACE) {
        *out = vz_explained(arena, match, score, 2, "%s", together[clause->boost_mode]);
        (*out)->details[(*out)->detail_count++] = query;
        (*out)->details[(*out)->detail_count++] = limited;
    }
    if (!match)
        *out = vz_explained(arena, false, 0, 0, "Score value is too low, expected at least %g",
                            (double)clause->min_score);
    return VZ_OK;
}
