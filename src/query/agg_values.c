/* Aggregations: what a node reads of a document.
 *
 * A field's column is read as it lies; a script's values of the document at hand are put into a
 * column of their own, and so are the values of nested objects (agg_nested.c), which are in no
 * column of the store. Texts are known by the store's ordinals while there is one target only, else
 * by numbers that the run gives to texts.
 */
#include "query/agg.h"
#include "query/filter.h"
#include "query/nested.h"

#include "base/clock.h"
#include "base/strmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SIGN_BIT 0x8000000000000000ull
#define MAX_SCRIPT_VALUES 65536
#define MAX_KEPT_TEXTS (1u << 21)

/* ---- texts of the run --------------------------------------------------------------------------
 */

struct vz_agg_terms {
    struct vz_strmap numbers;
    struct vz_arena arena;
    struct vz_slice *texts;
    size_t count, capacity;
};

void vz_agg_terms_free(struct vz_agg_terms *terms)
{
    if (!terms)
        return;
    vz_strmap_deinit(&terms->numbers);
    vz_arena_deinit(&terms->arena);
    free(terms->texts);
    free(terms);
}

size_t vz_agg_terms_count(const struct vz_agg_run *run)
{
    return run->terms ? run->terms->count : 0;
}

uint32_t vz_agg_intern(struct vz_agg_run *run, struct vz_slice text)
{
    uint64_t number;
    if (!run->terms)
        run->terms = vz_calloc(1, sizeof *run->terms);
    struct vz_agg_terms *terms = run->terms;
    if (vz_strmap_get(&terms->numbers, text, &number))
        return (uint32_t)number;
    if (terms->count == terms->capacity) {
        terms->capacity = terms->capacity * 2 + 64;
        terms->texts = vz_realloc(terms->texts, terms->capacity * sizeof *terms->texts);
    }
    vz_agg_more(run, text.len * 2 + 64);
    vz_strmap_put(&terms->numbers, text, terms->count);
    terms->texts[terms->count] = vz_arena_copy(&terms->arena, text);
    return (uint32_t)terms->count++;
}

struct vz_slice vz_agg_term(struct vz_agg_values *values, int64_t key)
{
    struct vz_agg_run *run = values->node->run;
    if (key < 0) /* what `missing` stands for */
        return vz_query_scalar_text(values->source->missing, run->arena);
    if (values->numbered)
        return run->terms->texts[key];
    /* Sorting by keys asks for the same texts over and over. */
    if (!values->texts) {
        uint32_t count = vz_field_ordinal_count(run->last->snap, values->first_field);
        if (count > MAX_KEPT_TEXTS)
            return vz_field_term(run->last->snap, values->first_field, (uint32_t)key, run->arena);
        values->texts = vz_arena_zalloc(run->arena, ((size_t)count + 1) * sizeof *values->texts);
    }
    struct vz_slice *text = &values->texts[key];
    if (!text->ptr) {
        *text = vz_field_term(run->last->snap, values->first_field, (uint32_t)key, run->arena);
        if (!text->ptr)
            text->ptr = "";
    }
    return *text;
}

bool vz_agg_term_find(struct vz_agg_values *values, struct vz_slice text, int64_t *key)
{
    struct vz_agg_run *run = values->node->run;
    uint32_t ordinal;
    uint64_t number;
    *key = 0;
    if (values->numbered) {
        bool found = run->terms && vz_strmap_get(&run->terms->numbers, text, &number);
        *key = found ? (int64_t)number : 0;
        return found;
    }
    if (!values->first_field)
        return false;
    bool found =
        vz_field_find_term(run->last->snap, values->first_field, text, &ordinal);
    *key = found ? ordinal : 0;
    return found;
}

/* ---- which fields may be asked ----------------------------------------------------------------
 */

static enum vz_agg_class class_of(const struct vz_field *field)
{
    switch (field->column) {
    case VZ_COLUMN_ORDINAL:
        return VZ_CLASS_TEXT;
    case VZ_COLUMN_F64:
        return VZ_CLASS_DOUBLE;
    case VZ_COLUMN_GEO:
        return VZ_CLASS_GEO;
    case VZ_COLUMN_I64:
        return field->type == VZ_FIELD_DATE            ? VZ_CLASS_DATE
               : field->type == VZ_FIELD_BOOLEAN       ? VZ_CLASS_BOOLEAN
               : field->type == VZ_FIELD_UNSIGNED_LONG ? VZ_CLASS_ULONG
                                                       : VZ_CLASS_LONG;
    default:
        return VZ_CLASS_OTHER;
    }
}

/* Of the values' own kind: a part of a composite is terms, a histogram or a grid. */
static enum vz_agg_kind kind_of(const struct vz_agg_values *values)
{
    enum vz_agg_kind kind = values->node->agg->kind;
    if (kind == VZ_AGG_COMPOSITE || kind == VZ_AGG_MULTI_TERMS)
        return values->source->kind;
    return kind;
}

static bool takes_texts(enum vz_agg_kind kind)
{
    return kind == VZ_AGG_TERMS || kind == VZ_AGG_RARE_TERMS || kind == VZ_AGG_SIGNIFICANT_TERMS ||
           kind == VZ_AGG_VALUE_COUNT || kind == VZ_AGG_CARDINALITY ||
           kind == VZ_AGG_STRING_STATS || kind == VZ_AGG_MISSING ||
           kind == VZ_AGG_DIVERSIFIED_SAMPLER;
}

static bool takes_places(enum vz_agg_kind kind)
{
    return kind == VZ_AGG_GEO_BOUNDS || kind == VZ_AGG_GEO_CENTROID ||
           kind == VZ_AGG_GEO_DISTANCE || kind == VZ_AGG_GEOHASH_GRID ||
           kind == VZ_AGG_GEOTILE_GRID;
}

static bool takes(enum vz_agg_kind kind, enum vz_agg_class class)
{
    switch (class) {
    case VZ_CLASS_TEXT:
        return takes_texts(kind);
    case VZ_CLASS_GEO:
        return takes_places(kind) || kind == VZ_AGG_VALUE_COUNT || kind == VZ_AGG_MISSING;
    case VZ_CLASS_OTHER:
        return kind == VZ_AGG_MISSING;
    case VZ_CLASS_DATE:
        return !takes_places(kind) && kind != VZ_AGG_STRING_STATS && kind != VZ_AGG_HISTOGRAM;
    default:
        return !takes_places(kind) && kind != VZ_AGG_STRING_STATS &&
               kind != VZ_AGG_DATE_HISTOGRAM && kind != VZ_AGG_DATE_RANGE;
    }
}

static bool check_field(struct vz_agg_values *values, const struct vz_field *field)
{
    struct vz_agg_run *run = values->node->run;
    enum vz_agg_kind kind = kind_of(values);
    enum vz_agg_class class = class_of(field);
    if (field->type == VZ_FIELD_TEXT && kind != VZ_AGG_MISSING)
        return vz_agg_fail(
            run, VZ_BAD_ARGUMENT,
            "Fielddata is disabled on [%.*s] in [%.*s]. Text fields are not optimised for "
            "operations that require per-document field data like aggregations and sorting, so "
            "these operations are disabled by default. Please use a keyword field instead.",
            VZ_ARG(field->path), VZ_ARG(vz_index_name(vz_snapshot_index(run->last->snap))));
    struct vz_error inner = {0};
    if (vz_field_check_doc_values(field, &inner) != VZ_OK && kind != VZ_AGG_MISSING)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT, "%s", inner.text);
    bool fine = takes(kind, class);
    if (kind == VZ_AGG_HISTOGRAM && class == VZ_CLASS_DATE)
        fine = true; /* as numbers */
    return fine || vz_agg_fail(run, VZ_BAD_ARGUMENT,
                               "Field [%.*s] of type [%s] is not supported for aggregation [%s]",
                               VZ_ARG(field->path), vz_field_type_name(field->type),
                               vz_agg_kind_name(values->node->agg->kind));
}

/* Values without a field: what value_type says, or what the kind makes of scripts. */
static enum vz_agg_class free_class(const struct vz_agg_values *values)
{
    struct vz_slice type = values->source->value_type;
    enum vz_agg_kind kind = kind_of(values);
    if (vz_slice_is(type, "long") || vz_slice_is(type, "integer") || vz_slice_is(type, "short") ||
        vz_slice_is(type, "byte"))
        return VZ_CLASS_LONG;
    if (vz_slice_is(type, "double") || vz_slice_is(type, "float") || vz_slice_is(type, "number") ||
        vz_slice_is(type, "numeric"))
        return VZ_CLASS_DOUBLE;
    if (vz_slice_is(type, "boolean"))
        return VZ_CLASS_BOOLEAN;
    if (vz_slice_is(type, "date") || kind == VZ_AGG_DATE_HISTOGRAM || kind == VZ_AGG_DATE_RANGE)
        return VZ_CLASS_DATE;
    if (takes_places(kind))
        return VZ_CLASS_GEO;
    return type.len || takes_texts(kind) ? VZ_CLASS_TEXT : VZ_CLASS_DOUBLE;
}

/* ---- values of requests ------------------------------------------------------------------------
 */

/* Whether a date's text says its zone itself. */
static bool has_zone(struct vz_slice text)
{
    if (text.len && text.ptr[text.len - 1] == 'Z')
        return true;
    const char *time = text.len ? memchr(text.ptr, 'T', text.len) : NULL;
    for (const char *p = time; p && p < text.ptr + text.len; p++)
        if (*p == '+' || *p == '-')
            return true;
    return false;
}

static bool read_date(struct vz_agg_values *values, struct vz_json value, bool round_up,
                      double *out)
{
    const struct vz_agg_source *source = values->source;
    struct vz_agg_run *run = values->node->run;
    const struct vz_field *field = values->field ? values->field : values->first_field;
    struct vz_slice format = source->format.len ? source->format
                             : field            ? field->format
                                                : (struct vz_slice){0};
    struct vz_slice text = vz_json_string(value);
    struct vz_error inner = {0};
    const struct vz_zone *zone = source->interval.zone;
    int64_t ms, now = run->last ? run->last->now_ms : 0;
    if (vz_json_is_number(value)) {
        *out = vz_json_double(value);
        return true;
    }
    bool local = zone && !has_zone(text);
    if (local) /* "now/d" is the local day */
        now += (int64_t)vz_zone_offset(zone, now / 1000) * 1000;
    if (vz_date_parse(format, text, true, round_up, now, &ms, &inner) != VZ_OK &&
        vz_date_parse((struct vz_slice){0}, text, true, round_up, now, &ms, NULL) != VZ_OK)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT, "%s", inner.text);
    if (local)
        ms -= (int64_t)vz_zone_offset_local(zone, ms / 1000 - (ms % 1000 < 0)) * 1000;
    *out = (double)ms;
    return true;
}

bool vz_agg_read_number(struct vz_agg_values *values, struct vz_json value, bool round_up,
                        double *out)
{
    bool truth;
    if (values->class == VZ_CLASS_DATE ||
        (values->class == VZ_CLASS_NONE && values->source->interval.dates))
        return read_date(values, value, round_up, out);
    if (values->class == VZ_CLASS_BOOLEAN && vz_json_as_bool(value, &truth)) {
        *out = truth;
        return true;
    }
    return vz_json_as_double(value, out) ||
           vz_agg_fail(values->node->run, VZ_BAD_ARGUMENT, "For input string: \"%.*s\"",
                       VZ_ARG(vz_query_scalar_text(value, values->node->run->arena)));
}

bool vz_agg_key_of(struct vz_agg_values *values, struct vz_json value, int64_t *key)
{
    struct vz_agg_run *run = values->node->run;
    double number;
    int64_t whole;
    if (values->class == VZ_CLASS_TEXT)
        return vz_agg_term_find(values, vz_query_scalar_text(value, run->arena), key);
    if ((values->class == VZ_CLASS_LONG || values->class == VZ_CLASS_DATE) &&
        vz_json_is_number(value) && vz_json_as_int(value, &whole)) {
        *key = whole;
        return true;
    }
    if (!vz_agg_read_number(values, value, false, &number))
        return false;
    if (values->class == VZ_CLASS_DOUBLE)
        *key = vz_agg_bits(number);
    else if (values->class == VZ_CLASS_ULONG)
        *key = (int64_t)((uint64_t)number ^ SIGN_BIT);
    else if (!(fabs(number) < 9.2e18))
        return false;
    else
        *key = (int64_t)number;
    return values->class == VZ_CLASS_DOUBLE || number == floor(number);
}

/* ---- binding -----------------------------------------------------------------------------------
 */

static bool is_dense(const struct vz_column *column, uint32_t limit)
{
    if (column->count != limit || limit == 0)
        return false;
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < limit; i++)
        wrong |= column->docnos[i] ^ i;
    return wrong == 0;
}

static bool bind_missing(struct vz_agg_values *values)
{
    struct vz_json missing = values->source->missing;
    struct vz_agg_run *run = values->node->run;
    uint32_t ordinal;
    if (vz_json_type(missing) == VZ_JSON_MISSING || vz_json_type(missing) == VZ_JSON_NULL)
        return true;
    values->has_missing = true;
    values->readable = true;
    if (values->class == VZ_CLASS_GEO) {
        struct vz_error inner = {0};
        if (vz_geo_parse(missing, &values->missing_place.lat, &values->missing_place.lon, &inner) !=
            VZ_OK)
            return vz_agg_fail(run, VZ_BAD_ARGUMENT, "%s", inner.text);
        return true;
    }
    if (values->class == VZ_CLASS_TEXT) {
        /* The text's own bucket when some document has it, else one that only stands for it. */
        struct vz_slice text = vz_query_scalar_text(missing, run->arena);
        values->missing = -1;
        if (values->numbered)
            values->missing = vz_agg_intern(run, text);
        else if (values->field &&
                 vz_field_find_term(run->last->snap, values->field, text, &ordinal))
            values->missing = ordinal;
        return true;
    }
    if (!vz_agg_read_number(values, missing, false, &values->missing_number))
        return false;
    if (values->class == VZ_CLASS_DOUBLE) {
        values->missing = vz_agg_bits(values->missing_number);
    } else {
        if (!(fabs(values->missing_number) < 9.2e18))
            return vz_agg_fail(run, VZ_BAD_ARGUMENT, "[missing] is out of range for a long");
        values->missing = (int64_t)values->missing_number;
    }
    return true;
}

static bool set_class(struct vz_agg_values *values, enum vz_agg_class class)
{
    if (values->class == VZ_CLASS_NONE) {
        values->class = class;
        values->first_field = values->field;
    } else if (values->class != class && kind_of(values) <= VZ_AGG_SIGNIFICANT_TERMS) {
        return vz_agg_fail(values->node->run, VZ_BAD_ARGUMENT,
                           "Merging/Reducing the aggregations failed when computing the "
                           "aggregation [%.*s] because the field you gave in the aggregation query "
                           "existed as two different types in two different indices",
                           VZ_ARG(values->node->agg->name));
    }
    return true;
}

static bool bind_script(struct vz_agg_values *values, struct vz_eval *eval)
{
    struct vz_agg_run *run = values->node->run;
    struct vz_error inner = {0};
    if (values->node->nest)
        return vz_agg_fail(run, VZ_UNSUPPORTED,
                           "scripts of aggregations below [nested] are not supported yet by vizsla");
    enum vz_agg_class class = free_class(values);
    if (class == VZ_CLASS_GEO)
        return vz_agg_fail(run, VZ_UNSUPPORTED,
                           "[%s] [script] is not supported yet by vizsla",
                           vz_agg_kind_name(values->node->agg->kind));
    enum vz_status status =
        vz_doc_script_open(eval, values->source->script, true, &values->script, &inner);
    if (status != VZ_OK) {
        run->status = status;
        if (run->err)
            *run->err = inner;
        return false;
    }
    values->readable = true;
    values->numbered = class == VZ_CLASS_TEXT;
    values->column.kind = class == VZ_CLASS_TEXT     ? VZ_COLUMN_ORDINAL
                          : class == VZ_CLASS_DOUBLE ? VZ_COLUMN_F64
                                                     : VZ_COLUMN_I64;
    return set_class(values, class);
}

static bool bind_column(struct vz_agg_values *values, struct vz_eval *eval)
{
    const struct vz_field *field = values->field;
    struct vz_agg_nest *nest = values->node->nest;
    bool text = class_of(field) == VZ_CLASS_TEXT;
    if (nest) {
        values->numbered |= text;
        return vz_agg_nest_values(nest, values);
    }
    values->numbered |= text && !values->node->run->single;
    values->readable = true;
    if (!field->under_nested)
        vz_field_column(eval, field, &values->column);
    values->dense = is_dense(&values->column, eval->limit);
    if (text && values->numbered)
        values->global = vz_calloc((size_t)vz_field_ordinal_count(eval->snap, field) + 1,
                                   sizeof(uint32_t));
    return true;
}

bool vz_agg_values_bind(struct vz_agg_values *values, struct vz_eval *eval)
{
    const struct vz_agg_source *source = values->source;
    values->field = NULL;
    values->column = (struct vz_column){.kind = VZ_COLUMN_NONE};
    values->at = 0;
    values->dense = values->has_missing = values->readable = values->ranged = false;
    if (source->script)
        return bind_script(values, eval) && bind_missing(values);
    const struct vz_field *field = vz_eval_field(eval, source->field);
    if (field && field->type != VZ_FIELD_OBJECT && field->type != VZ_FIELD_NESTED) {
        values->field = field;
        if (!check_field(values, field) || !set_class(values, class_of(field)) ||
            !bind_column(values, eval))
            return false;
    } else if (vz_json_type(source->missing) != VZ_JSON_MISSING && !values->node->nest) {
        enum vz_agg_class class = values->class ? values->class : free_class(values);
        values->numbered |= class == VZ_CLASS_TEXT;
        if (!set_class(values, class))
            return false;
    } else {
        return true;
    }
    return bind_missing(values);
}

void vz_agg_values_unbind(struct vz_agg_values *values)
{
    free(values->global);
    values->global = NULL;
    if (values->script)
        vz_doc_script_close(values->script);
    values->script = NULL;
    values->column = (struct vz_column){.kind = VZ_COLUMN_NONE};
}

void vz_agg_values_deinit(struct vz_agg_values *values)
{
    free(values->own);
    free(values->own_docs);
    vz_arena_deinit(&values->scratch);
    values->own = values->own_docs = NULL;
}

/* ---- scripts -----------------------------------------------------------------------------------
 */

static struct vz_slice value_text(const struct vz_value *value, char digits[32])
{
    switch (value->type) {
    case VZ_VALUE_STRING:
        return value->string;
    case VZ_VALUE_BOOL:
        return value->boolean ? VZ_SLICE("true") : VZ_SLICE("false");
    case VZ_VALUE_INT:
        snprintf(digits, 32, "%lld", (long long)value->integer);
        return vz_slice_from(digits);
    case VZ_VALUE_DOUBLE:
        return vz_slice_from(vz_query_number(value->number, digits));
    default:
        return (struct vz_slice){0};
    }
}

static bool put_script_value(struct vz_agg_values *values, const struct vz_value *value)
{
    struct vz_agg_run *run = values->node->run;
    char digits[32];
    double number = value->type == VZ_VALUE_INT      ? (double)value->integer
                    : value->type == VZ_VALUE_DOUBLE ? value->number
                    : value->type == VZ_VALUE_BOOL   ? value->boolean
                                                     : NAN;
    size_t at = values->column.count;
    if (value->type == VZ_VALUE_NULL)
        return true;
    if (at == values->own_capacity) {
        if (at >= MAX_SCRIPT_VALUES)
            return vz_agg_fail(run, VZ_LIMIT, "a script gave more than [%d] values",
                               MAX_SCRIPT_VALUES);
        values->own_capacity = values->own_capacity * 2 + 16;
        values->own = vz_realloc(values->own, values->own_capacity * sizeof(int64_t));
    }
    values->column.count++;
    if (values->column.kind == VZ_COLUMN_ORDINAL) {
        if (value->type == VZ_VALUE_OBJECT)
            return vz_agg_fail(run, VZ_BAD_ARGUMENT,
                               "Unsupported script value, expected a number, a string or a list");
        ((uint32_t *)values->own)[at] = vz_agg_intern(run, value_text(value, digits));
        return run->status == VZ_OK;
    }
    if (isnan(number) && value->type != VZ_VALUE_DOUBLE)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT,
                           "Unsupported script value [%.*s], expected a number, date, or boolean",
                           VZ_ARG(value_text(value, digits)));
    if (values->column.kind == VZ_COLUMN_F64)
        ((double *)values->own)[at] = number;
    else
        ((int64_t *)values->own)[at] = value->type == VZ_VALUE_INT ? value->integer
                                       : fabs(number) < 9.2e18     ? (int64_t)number
                                                                   : 0;
    return true;
}

static bool run_script(struct vz_agg_values *values, uint32_t docno)
{
    struct vz_agg_run *run = values->node->run;
    struct vz_value *value;
    struct vz_error inner = {0};
    enum vz_status status = vz_doc_script_value(values->script, docno,
                                                (double)vz_agg_score(run, docno), &value, &inner);
    values->column.count = 0;
    if (status != VZ_OK) {
        if (run->status == VZ_OK && run->err)
            *run->err = inner;
        run->status = status;
        return false;
    }
    if (value->type != VZ_VALUE_ARRAY)
        put_script_value(values, value);
    for (size_t i = 0; value->type == VZ_VALUE_ARRAY && i < value->array.count; i++)
        if (!put_script_value(values, value->array.items[i]))
            break;
    if (values->column.kind == VZ_COLUMN_ORDINAL)
        values->column.ordinals = values->own;
    else if (values->column.kind == VZ_COLUMN_F64)
        values->column.f64 = values->own;
    else
        values->column.i64 = values->own;
    return run->status == VZ_OK && values->column.count > 0;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

bool vz_agg_entries(struct vz_agg_values *values, uint32_t docno, size_t *from, size_t *to)
{
    const struct vz_column *column = &values->column;
    *from = *to = 0;
    if (values->dense) {
        *from = docno;
        *to = (size_t)docno + 1;
        return true;
    }
    if (values->script) {
        bool some = run_script(values, docno);
        *to = column->count;
        return some;
    }
    if (column->kind == VZ_COLUMN_NONE)
        return false;
    size_t at = values->at;
    for (int i = 0; i < 16 && at < column->count && column->docnos[at] < docno; i++)
        at++;
    if (at < column->count && column->docnos[at] < docno) { /* far: search behind here */
        size_t low = at, high = column->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (column->docnos[middle] < docno)
                low = middle + 1;
            else
                high = middle;
        }
        at = low;
    }
    values->at = at;
    *from = at;
    while (at < column->count && column->docnos[at] == docno)
        at++;
    *to = at;
    return at > *from;
}

double vz_agg_number(const struct vz_agg_values *values, size_t entry)
{
    if (values->column.kind == VZ_COLUMN_F64)
        return values->column.f64[entry];
    if (values->class == VZ_CLASS_ULONG)
        return (double)((uint64_t)values->column.i64[entry] ^ SIGN_BIT);
    return (double)values->column.i64[entry];
}

void vz_agg_gather(const struct vz_agg_values *values, const struct vz_agg_block *block,
                   double *out)
{
    const uint32_t *docs = block->docs;
    size_t count = block->count;
    if (values->column.kind == VZ_COLUMN_F64 && block->whole) {
        memcpy(out, values->column.f64 + docs[0], count * sizeof *out);
    } else if (values->column.kind == VZ_COLUMN_F64) {
        for (size_t i = 0; i < count; i++)
            out[i] = values->column.f64[docs[i]];
    } else if (values->class == VZ_CLASS_ULONG) {
        for (size_t i = 0; i < count; i++)
            out[i] = (double)((uint64_t)values->column.i64[docs[i]] ^ SIGN_BIT);
    } else {
        for (size_t i = 0; i < count; i++)
            out[i] = (double)values->column.i64[docs[i]];
    }
}

static uint32_t global_of(struct vz_agg_values *values, uint32_t ordinal)
{
    if (!values->global[ordinal]) {
        struct vz_agg_run *run = values->node->run;
        struct vz_arena scratch = {0};
        values->global[ordinal] =
            1 + vz_agg_intern(run, vz_field_term(run->last->snap, values->field, ordinal, &scratch));
        vz_arena_deinit(&scratch);
    }
    return values->global[ordinal] - 1;
}

int64_t vz_agg_key(struct vz_agg_values *values, size_t entry)
{
    const struct vz_column *column = &values->column;
    switch (column->kind) {
    case VZ_COLUMN_ORDINAL:
        return values->global ? global_of(values, column->ordinals[entry])
                              : column->ordinals[entry];
    case VZ_COLUMN_F64:
        return vz_agg_bits(column->f64[entry]);
    default:
        return column->i64[entry];
    }
}

static int by_key(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

size_t vz_agg_distinct(int64_t *keys, size_t count)
{
    size_t kept = 1;
    if (count < 2)
        return count;
    if (count == 2)
        return keys[0] == keys[1] ? 1 : 2;
    if (count <= 12) { /* few: as they come */
        for (size_t i = 1; i < count; i++) {
            bool again = false;
            for (size_t j = 0; j < kept && !again; j++)
                again = keys[j] == keys[i];
            if (!again)
                keys[kept++] = keys[i];
        }
        return kept;
    }
    qsort(keys, count, sizeof *keys, by_key);
    for (size_t i = 1; i < count; i++)
        if (keys[i] != keys[kept - 1])
            keys[kept++] = keys[i];
    return kept;
}

size_t vz_agg_keys(struct vz_agg_values *values, uint32_t docno, int64_t **keys)
{
    size_t from, to;
    if (!vz_agg_entries(values, docno, &from, &to)) {
        *keys = &values->missing;
        return values->has_missing;
    }
    size_t count = to - from;
    if (count > values->key_capacity) {
        values->key_capacity = VZ_MAX(count, (size_t)64);
        values->keys = vz_arena_alloc(values->node->run->arena,
                                      values->key_capacity * 2 * sizeof(int64_t));
        values->key_capacity *= 2;
    }
    *keys = values->keys;
    for (size_t i = 0; i < count; i++)
        values->keys[i] = vz_agg_key(values, from + i);
    return vz_agg_distinct(values->keys, count);
}

double vz_agg_key_number(const struct vz_agg_values *values, int64_t key)
{
    if (values->class == VZ_CLASS_DOUBLE)
        return vz_agg_real(key);
    if (values->class == VZ_CLASS_ULONG)
        return (double)((uint64_t)key ^ SIGN_BIT);
    return (double)key;
}

int vz_agg_compare_keys(struct vz_agg_values *values, int64_t a, int64_t b)
{
    if (values->class == VZ_CLASS_TEXT)
        return vz_slice_cmp(vz_agg_term(values, a), vz_agg_term(values, b));
    if (values->class == VZ_CLASS_DOUBLE) {
        double x = vz_agg_real(a), y = vz_agg_real(b);
        return (x > y) - (x < y);
    }
    return (a > b) - (a < b);
}

/* ---- keys in answers ---------------------------------------------------------------------------
 */

void vz_agg_put_key_value(struct vz_agg_values *values, int64_t key, struct vz_json_writer *w)
{
    struct vz_buf text = {0};
    switch (values->class) {
    case VZ_CLASS_TEXT:
        vz_json_put_string(w, vz_agg_term(values, key));
        break;
    case VZ_CLASS_DOUBLE:
        vz_json_put_double(w, vz_agg_real(key));
        break;
    case VZ_CLASS_ULONG:
        vz_json_put_uint(w, (uint64_t)key ^ SIGN_BIT);
        break;
    default:
        vz_json_put_int(w, key);
    }
    vz_buf_deinit(&text);
}

void vz_agg_put_key(struct vz_agg_values *values, int64_t key, struct vz_json_writer *w)
{
    struct vz_buf text = {0};
    vz_json_key(w, "key");
    vz_agg_put_key_value(values, key, w);
    if (values->class == VZ_CLASS_BOOLEAN)
        vz_json_field_str(w, "key_as_string", key ? "true" : "false");
    else if (values->class != VZ_CLASS_TEXT &&
             vz_agg_number_text(values, vz_agg_key_number(values, key), &text))
        vz_json_field_string(w, "key_as_string", vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

void vz_agg_key_text(struct vz_agg_values *values, int64_t key, struct vz_buf *out)
{
    char digits[32];
    if (values->class == VZ_CLASS_TEXT)
        vz_buf_append_slice(out, vz_agg_term(values, key));
    else if (values->class == VZ_CLASS_BOOLEAN)
        vz_buf_append_str(out, key ? "true" : "false");
    else if (vz_agg_number_text(values, vz_agg_key_number(values, key), out))
        return;
    else if (values->class == VZ_CLASS_DOUBLE)
        vz_buf_append_str(out, vz_query_number(vz_agg_real(key), digits));
    else if (values->class == VZ_CLASS_ULONG)
        vz_buf_printf(out, "%llu", (unsigned long long)((uint64_t)key ^ SIGN_BIT));
    else
        vz_buf_printf(out, "%lld", (long long)key);
}
