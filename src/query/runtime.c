/* runtime_mappings: fields of one request whose values a script emits.
 *
 * Each is worked out for all live documents of a target that the alias shows when the search opens
 * it, into a column of its own, so that whatever looks at columns (queries, sorts, aggregations,
 * fields, scripts) sees a field like others: the functions of keys.c lead there by
 * `field->derived`. It hides a mapped field of its name. Scripts see those declared before them.
 * Scores are the boost's, as of fields without an inverted index. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/scripting.h"

#include "base/strmap.h"

#include <stdlib.h>

#define MAX_FIELDS 100
#define MAX_EMITS 100 /* of a document */
#define LATE_EVERY 1024
#define MAX_TEXT_BYTES ((size_t)256 << 20) /* of all terms of a field */
#define MAX_BYTES ((size_t)512 << 20)      /* of all fields of a target, values and terms */

struct vz_derived {
    struct vz_field field;
    struct vz_column column;
    struct vz_slice *terms; /* by ordinal */
    uint32_t term_count, term_capacity;
    size_t term_bytes;
    struct vz_strmap ordinals;
    struct vz_arena texts;
    /* while it is made */
    size_t capacity, first; /* first: of the document at hand */
    size_t others;          /* bytes of the fields made before */
    bool is_full;
    uint32_t *docnos;
    union {
        int64_t *i64;
        double *f64;
        uint32_t *ordinal_list;
        void *values;
    };
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status read_type(struct vz_slice name, struct vz_json value,
                                struct vz_runtime_field *out, struct vz_error *err)
{
    static const char *const later[] = {"ip", "geo_point", "lookup", "composite"};
    struct vz_slice type = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(later); i++)
        if (vz_slice_is(type, later[i]))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "the runtime field [%.*s] of type [%s] is not supported yet by vizsla",
                           VZ_ARG(name), later[i]);
    bool known = vz_filter_type_from(type, &out->type) &&
                 (out->type == VZ_FIELD_KEYWORD || out->type == VZ_FIELD_LONG ||
                  out->type == VZ_FIELD_DOUBLE || out->type == VZ_FIELD_DATE ||
                  out->type == VZ_FIELD_BOOLEAN);
    return known
               ? VZ_OK
               : vz_fail(err, VZ_BAD_MAPPING,
                         "The mapper type [%.*s] declared on runtime field [%.*s] does not exist. "
                         "It might have been created within a future version or requires a plugin "
                         "to be installed. Check the documentation.",
                         VZ_ARG(type), VZ_ARG(name));
}

static enum vz_status read_field(struct vz_arena *arena, struct vz_slice name, struct vz_json value,
                                 struct vz_runtime_field *out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json type, member;
    struct vz_slice key;
    struct vz_script_text *script = vz_arena_zalloc(arena, sizeof *script);
    *out = (struct vz_runtime_field){.name = name, .script = script};
    if (!name.len || vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Expected map for runtime field [%.*s] definition but got a %s",
                       VZ_ARG(name), vz_json_type_name(value));
    if (!vz_json_get(value, "type", &type))
        return vz_fail(err, VZ_BAD_MAPPING, "No type specified for runtime field [%.*s]",
                       VZ_ARG(name));
    enum vz_status status = read_type(name, type, out, err);
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        struct vz_slice text = vz_json_string(member);
        if (vz_slice_is(key, "script"))
            status = vz_script_text_parse("runtime_mappings", member, script, err);
        else if (vz_slice_is(key, "format") && out->type == VZ_FIELD_DATE && text.len) {
            out->format = text;
            status = vz_date_format_check(text, err);
        } else if (vz_slice_is(key, "on_script_error") &&
                   (vz_slice_is(text, "continue") || vz_slice_is(text, "fail")))
            out->continues = vz_slice_is(text, "continue");
        else if (!vz_slice_is(key, "type") && !vz_slice_is(key, "meta"))
            status = vz_fail(err, VZ_BAD_MAPPING,
                             "unknown parameter [%.*s] on runtime field [%.*s] of type [%.*s]",
                             VZ_ARG(key), VZ_ARG(name), VZ_ARG(vz_json_string(type)));
    }
    if (status == VZ_OK && !script->source.ptr)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "the runtime field [%.*s] without a [script] is not supported yet by vizsla",
                       VZ_ARG(name));
    return status;
}

enum vz_status vz_runtime_parse(struct vz_search *search, struct vz_json value,
                                struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [runtime_mappings].",
                       vz_query_token(value));
    size_t count = vz_json_count(value);
    if (count > MAX_FIELDS)
        return vz_fail(err, VZ_LIMIT, "a search may have at most [%d] runtime fields", MAX_FIELDS);
    search->runtime = vz_arena_alloc(search->arena, (count + 1) * sizeof *search->runtime);
    while (vz_json_next(&it, &name, &member)) {
        if (vz_json_type(member) == VZ_JSON_NULL)
            continue;
        enum vz_status status =
            read_field(search->arena, name, member, &search->runtime[search->runtime_count++], err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

/* ---- emit ------------------------------------------------------------------------------------ */

static enum vz_status wrong_type(const struct vz_field *field, struct vz_error *err)
{
    vz_fail(err, VZ_BAD_ARGUMENT, "Cannot cast what is emitted for [%.*s] to [%s].",
            VZ_ARG(field->path), vz_field_type_name(field->type));
    vz_fail_cause(err, "class_cast_exception");
    return VZ_BAD_ARGUMENT;
}

static enum vz_status add_term(struct vz_derived *made, struct vz_slice text, uint32_t *ordinal,
                               struct vz_error *err)
{
    uint64_t known;
    if (vz_strmap_get(&made->ordinals, text, &known)) {
        *ordinal = (uint32_t)known;
        return VZ_OK;
    }
    made->term_bytes += text.len + sizeof text;
    if (made->term_bytes > MAX_TEXT_BYTES)
        return vz_fail(err, VZ_LIMIT, "the runtime field [%.*s] has too many terms",
                       VZ_ARG(made->field.path));
    if (made->term_count == made->term_capacity) {
        made->term_capacity = made->term_capacity * 2 + 64;
        made->terms = vz_realloc(made->terms, made->term_capacity * sizeof *made->terms);
    }
    made->terms[made->term_count] = vz_arena_copy(&made->texts, text);
    vz_strmap_put(&made->ordinals, text, made->term_count);
    *ordinal = made->term_count++;
    return VZ_OK;
}

static size_t value_size(const struct vz_derived *made)
{
    return made->field.column == VZ_COLUMN_ORDINAL ? sizeof(uint32_t) : sizeof(int64_t);
}

static size_t bytes_of(const struct vz_derived *made)
{
    return made->column.count * (sizeof *made->docnos + value_size(made)) + made->term_bytes;
}

static enum vz_status make_room(struct vz_derived *made, struct vz_error *err)
{
    size_t size = value_size(made);
    made->is_full = made->others + bytes_of(made) > MAX_BYTES;
    if (made->is_full)
        return vz_fail(err, VZ_LIMIT,
                       "the runtime fields of a search may have at most [%zu] bytes of values",
                       MAX_BYTES);
    if (made->column.count < made->capacity)
        return VZ_OK;
    made->capacity = made->capacity * 2 + 1024;
    made->docnos = vz_realloc(made->docnos, made->capacity * sizeof *made->docnos);
    made->values = vz_realloc(made->values, made->capacity * size);
    return VZ_OK;
}

static enum vz_status emit(void *context, void *prepared, const struct vz_value *const *args,
                           size_t count, double *out, struct vz_error *err)
{
    struct vz_doc_script *script = context;
    struct vz_derived *made = script->emits;
    const struct vz_value *value = args[0];
    const struct vz_field *field = &made->field;
    (void)prepared;
    (void)count;
    *out = 0;
    if (made->column.count - made->first >= MAX_EMITS)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Runtime field [%.*s] is emitting [%d] values while the maximum number of "
                       "values allowed is [%d]",
                       VZ_ARG(field->path), MAX_EMITS + 1, MAX_EMITS);
    enum vz_status roomy = make_room(made, err);
    if (roomy != VZ_OK)
        return roomy;
    size_t at = made->column.count;
    enum vz_value_type type = value->type;
    bool is_number = type == VZ_VALUE_INT || type == VZ_VALUE_DOUBLE;
    if (field->type == VZ_FIELD_KEYWORD && type == VZ_VALUE_STRING) {
        enum vz_status status = add_term(made, value->string, &made->ordinal_list[at], err);
        if (status != VZ_OK)
            return status;
    } else if (field->type == VZ_FIELD_BOOLEAN && type == VZ_VALUE_BOOL)
        made->i64[at] = value->boolean;
    else if ((field->type == VZ_FIELD_LONG || field->type == VZ_FIELD_DATE) && type == VZ_VALUE_INT)
        made->i64[at] = value->integer;
    else if (field->type == VZ_FIELD_DOUBLE && is_number)
        made->f64[at] = type == VZ_VALUE_INT ? (double)value->integer : value->number;
    else
        return wrong_type(field, err);
    made->docnos[at] = script->docno;
    made->column.count++;
    return VZ_OK;
}

static const struct vz_script_function emit_functions[] = {{"emit", 1, 1, NULL, emit}};

/* ---- making ---------------------------------------------------------------------------------- */

static enum vz_status make_all(struct vz_eval *eval, const struct vz_runtime_field *from,
                               struct vz_derived *made, struct vz_error *err)
{
    struct vz_doc_script *script;
    const struct vz_bitset *live = vz_eval_live(eval);
    size_t since = 0;
    if (vz_eval_late(eval)) /* with the fields before it */
        return vz_fail(err, VZ_CANCELLED, "the search took too long");
    enum vz_status status = vz_doc_script_open_with(eval, from->script, emit_functions,
                                                    VZ_COUNT_OF(emit_functions), &script, err);
    if (status != VZ_OK)
        return status;
    script->emits = made;
    for (size_t d = vz_bitset_next(live, 0); d < live->bits && status == VZ_OK;
         d = vz_bitset_next(live, d + 1)) {
        struct vz_value *ignored;
        made->first = made->column.count;
        status = vz_doc_script_value(script, (uint32_t)d, 0, &ignored, err);
        if (status != VZ_OK && status != VZ_CANCELLED && !made->is_full && from->continues) {
            made->column.count = made->first; /* as Elasticsearch: nothing of that document */
            status = VZ_OK;
        }
        if (status == VZ_OK && ++since % LATE_EVERY == 0 && vz_eval_late(eval))
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
    }
    vz_doc_script_close(script);
    return status;
}

static enum vz_column_kind column_of(enum vz_field_type type)
{
    return type == VZ_FIELD_KEYWORD  ? VZ_COLUMN_ORDINAL
           : type == VZ_FIELD_DOUBLE ? VZ_COLUMN_F64
                                     : VZ_COLUMN_I64;
}

enum vz_status vz_runtime_open(struct vz_eval *eval, const struct vz_search *search,
                               struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < search->runtime_count && status == VZ_OK; i++) {
        const struct vz_runtime_field *from = &search->runtime[i];
        struct vz_derived *made = vz_calloc(1, sizeof *made);
        made->field = (struct vz_field){.id = VZ_NO_FIELD,
                                        .type = from->type,
                                        .column = column_of(from->type),
                                        .path = from->name,
                                        .name = from->name,
                                        .parent = VZ_NO_FIELD,
                                        .doc_values = true,
                                        .enabled = true,
                                        .format = from->format,
                                        .alias_of = VZ_NO_FIELD,
                                        .keyed = VZ_NO_FIELD,
                                        .derived = made};
        for (size_t d = 0; d < eval->derived_count; d++)
            made->others += bytes_of(eval->derived[d]);
        status = make_all(eval, from, made, err);
        made->column.kind = made->field.column;
        made->column.docnos = made->docnos;
        made->column.i64 = made->i64; /* a union: whichever it is */
        eval->derived =
            vz_realloc(eval->derived, (eval->derived_count + 1) * sizeof(struct vz_derived *));
        eval->derived[eval->derived_count++] = made;
    }
    return status;
}

void vz_runtime_close(struct vz_eval *eval)
{
    for (size_t i = 0; i < eval->derived_count; i++) {
        struct vz_derived *made = eval->derived[i];
        free(made->terms);
        free(made->docnos);
        free(made->values);
        vz_strmap_deinit(&made->ordinals);
        vz_arena_deinit(&made->texts);
        free(made);
    }
    free(eval->derived);
    eval->derived = NULL;
    eval->derived_count = 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

const struct vz_field *vz_runtime_field(const struct vz_eval *eval, struct vz_slice path)
{
    for (size_t i = 0; i < eval->derived_count; i++)
        if (vz_slice_eq(eval->derived[i]->field.path, path))
            return &eval->derived[i]->field;
    return NULL;
}

const struct vz_field *vz_runtime_at(const struct vz_eval *eval, size_t at)
{
    return at < eval->derived_count ? &eval->derived[at]->field : NULL;
}

void vz_derived_column(const struct vz_derived *made, struct vz_column *column)
{
    *column = made->column;
}

uint32_t vz_derived_term_count(const struct vz_derived *made)
{
    return made->term_count;
}

struct vz_slice vz_derived_term(const struct vz_derived *made, uint32_t ordinal)
{
    return ordinal < made->term_count ? made->terms[ordinal] : (struct vz_slice){NULL, 0};
}

bool vz_derived_find(const struct vz_derived *made, struct vz_slice text, uint32_t *ordinal)
{
    uint64_t known = 0;
    bool found = vz_strmap_get(&made->ordinals, text, &known);
    *ordinal = (uint32_t)known;
    return found;
}
