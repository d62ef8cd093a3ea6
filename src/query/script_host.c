/* Scripts over documents: reading them from a body, binding them to a snapshot, doc['field']. */
#include "query/scripting.h"

#include <stdio.h>
#include <stdlib.h>

#define SCAN_BLOCK 64
#define EXCERPT_BEFORE 120
#define EXCERPT_AFTER 120

/* ---- a body's script ---------------------------------------------------------------------------
 */

static bool language_is_known(struct vz_slice lang)
{
    return vz_slice_is(lang, "painless") || vz_slice_is(lang, "expression");
}

enum vz_status vz_script_text_parse(const char *where, struct vz_json value,
                                    struct vz_script_text *out, struct vz_error *err)
{
    *out = (struct vz_script_text){.source = {NULL, 0}};
    if (vz_json_type(value) == VZ_JSON_STRING) {
        out->source = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] [script] must be a string or an object but got %s",
                       where, vz_query_token(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "source") || vz_slice_is(key, "inline")) {
            if (vz_json_type(member) != VZ_JSON_STRING)
                return vz_fail(err, VZ_BAD_QUERY, "[script] source must be a string but got %s",
                               vz_query_token(member));
            out->source = vz_json_string(member);
        } else if (vz_slice_is(key, "params")) {
            if (vz_json_type(member) != VZ_JSON_OBJECT)
                return vz_fail(err, VZ_BAD_QUERY, "[script] params must be an object but got %s",
                               vz_query_token(member));
            out->params = member;
        } else if (vz_slice_is(key, "lang")) {
            if (!language_is_known(vz_json_string(member)))
                return vz_fail(err, VZ_BAD_QUERY, "script_lang not supported [%.*s]",
                               VZ_ARG(vz_json_string(member)));
        } else if (vz_slice_is(key, "id")) {
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[script] stored scripts ([id]) are not supported "
                           "by vizsla, send the [source]");
        } else if (!vz_slice_is(key, "options")) {
            return vz_fail(err, VZ_BAD_QUERY, "[script] unknown field [%.*s]", VZ_ARG(key));
        }
    }
    if (!out->source.ptr)
        return vz_fail(err, VZ_BAD_QUERY,
                       "must specify either [source] for an inline script or "
                       "[id] for a stored script");
    return VZ_OK;
}

/* See scripting.h for the form. */
static enum vz_status tell(const struct vz_doc_script *script, const char *what,
                           const struct vz_error *inner, enum vz_status status,
                           struct vz_error *err)
{
    if (status == VZ_CANCELLED || status == VZ_IO || status == VZ_CORRUPT || status == VZ_BUDGET)
        return vz_fail(err, status, "%s", inner->text);
    struct vz_slice source = script->text.source;
    size_t at = inner->offset == VZ_NO_OFFSET ? 0 : VZ_MIN(inner->offset, source.len);
    size_t from = at > EXCERPT_BEFORE ? at - EXCERPT_BEFORE : 0;
    while (from && (source.ptr[from] & 0xC0) == 0x80)
        from--;
    size_t to = VZ_MIN(at + EXCERPT_AFTER, source.len);
    while (to < source.len && (source.ptr[to] & 0xC0) == 0x80)
        to++;
    vz_fail(err, VZ_BAD_QUERY, "%s\n%zu\n%.*s", what, at - from, (int)(to - from),
            source.ptr + from);
    const char *type = status == VZ_UNSUPPORTED ? "unsupported_operation_exception"
                       : inner->cause[0]        ? inner->cause
                                                : "illegal_argument_exception";
    vz_fail_cause(err, "%s\n%.180s", type, inner->text);
    return VZ_BAD_QUERY;
}

/* ---- fields ------------------------------------------------------------------------------------
 */

static void *scratch_of(struct vz_doc_field *field, size_t bytes)
{
    if (bytes > field->scratch_bytes) {
        field->scratch_bytes = VZ_MAX(bytes, (size_t)256);
        field->scratch = vz_realloc(field->scratch, field->scratch_bytes);
    }
    return field->scratch;
}

/* The first entry of a document; the column's count when it has none. */
static size_t entry_of(struct vz_doc_field *field, uint32_t docno)
{
    const struct vz_column *column = &field->column;
    size_t at = field->at;
    /* One value in each document: the entry is the docno. */
    if (docno < column->count && column->docnos[docno] == docno &&
        (docno == 0 || column->docnos[docno - 1] != docno))
        return docno;
    if (at >= column->count || column->docnos[at] > docno)
        return vz_column_find(column, docno);
    for (int i = 0; i < 16; i++) {
        if (at >= column->count)
            return column->count;
        if (column->docnos[at] >= docno) {
            field->at = at;
            return column->docnos[at] == docno ? at : column->count;
        }
        at++;
    }
    at = vz_column_find(column, docno);
    if (at < column->count)
        field->at = at;
    return at;
}

static int by_i64(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int by_f64(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

static struct vz_slice term_of(struct vz_doc_script *script, struct vz_doc_field *field,
                               uint32_t ordinal)
{
    struct vz_slice *term = &field->terms[ordinal];
    if (!term->ptr)
        *term = vz_field_term(script->eval->snap, field->field, ordinal, &script->program);
    return *term;
}

static void give_integers(struct vz_doc_field *field, size_t first, size_t count,
                          struct vz_script_field *out)
{
    const int64_t *values = field->column.i64 + first;
    bool is_unsigned = field->field->type == VZ_FIELD_UNSIGNED_LONG;
    out->kind = field->field->type == VZ_FIELD_BOOLEAN ? VZ_SCRIPT_BOOLS
                : field->field->type == VZ_FIELD_DATE  ? VZ_SCRIPT_DATES
                                                       : VZ_SCRIPT_INTS;
    if (count > 1 || is_unsigned) {
        int64_t *copy = scratch_of(field, count * sizeof *copy);
        memcpy(copy, values, count * sizeof *copy);
        if (count > 1)
            qsort(copy, count, sizeof *copy, by_i64);
        for (size_t i = 0; is_unsigned && i < count; i++)
            copy[i] = (int64_t)((uint64_t)copy[i] ^ 0x8000000000000000ull);
        values = copy;
    }
    out->ints = values;
}

static void give_strings(struct vz_doc_script *script, struct vz_doc_field *field, size_t first,
                         size_t count, struct vz_script_field *out)
{
    struct vz_slice *texts = scratch_of(field, count * sizeof *texts);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        texts[i] = term_of(script, field, field->column.ordinals[first + i]);
    if (count > 1)
        qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 0; i < count; i++) /* a set, as doc values of keywords are */
        if (i == 0 || !vz_slice_eq(texts[i], texts[kept - 1]))
            texts[kept++] = texts[i];
    out->kind = VZ_SCRIPT_STRINGS;
    out->strings = texts;
    out->count = kept;
}

static void give_vector(struct vz_doc_script *script, struct vz_doc_field *field,
                        struct vz_script_field *out)
{
    const struct vz_vector_rows *rows = &field->rows;
    out->kind = VZ_SCRIPT_VECTOR;
    uint32_t row = rows->count ? vz_vector_rows_find(rows, script->docno) : 0;
    if (row >= rows->count)
        return;
    const void *at = rows->base + (size_t)row * rows->stride_bytes;
    bool floats = rows->element == VZ_ELEMENT_FLOAT || rows->element == VZ_ELEMENT_BFLOAT16;
    out->count = rows->dims;
    if (rows->element == VZ_ELEMENT_FLOAT && field->field->similarity != VZ_COSINE) {
        out->floats = at;
        return;
    }
    if (rows->element == VZ_ELEMENT_BIT)
        out->count = rows->dims / 8;
    float *copy = scratch_of(field, (size_t)rows->dims * sizeof *copy);
    struct vz_error ignored;
    if (floats &&
        vz_snapshot_vector(script->eval->snap, field->field->id, row, copy, &ignored) != VZ_OK)
        out->count = 0;
    for (size_t i = 0; !floats && i < out->count; i++)
        copy[i] = ((const int8_t *)at)[i];
    out->floats = copy;
}

static void read_field(struct vz_doc_script *script, struct vz_doc_field *field,
                       struct vz_script_field *out)
{
    const struct vz_column *column = &field->column;
    if (field->field->type == VZ_FIELD_DENSE_VECTOR) {
        give_vector(script, field, out);
        return;
    }
    size_t first = entry_of(field, script->docno), end = first;
    while (end < column->count && column->docnos[end] == script->docno)
        end++;
    size_t count = end - first;
    out->count = count;
    switch (column->kind) {
    case VZ_COLUMN_I64:
        give_integers(field, first, count, out);
        break;
    case VZ_COLUMN_F64:
        out->kind = VZ_SCRIPT_DOUBLES;
        out->doubles = column->f64 + first;
        if (count > 1) {
            double *copy = scratch_of(field, count * sizeof *copy);
            memcpy(copy, out->doubles, count * sizeof *copy);
            qsort(copy, count, sizeof *copy, by_f64);
            out->doubles = copy;
        }
        break;
    case VZ_COLUMN_ORDINAL:
        give_strings(script, field, first, count, out);
        break;
    case VZ_COLUMN_GEO: {
        struct vz_script_geo *places = scratch_of(field, (count + 1) * sizeof *places);
        for (size_t i = 0; i < count; i++)
            places[i] =
                (struct vz_script_geo){column->geo[first + i].lat, column->geo[first + i].lon};
        out->kind = VZ_SCRIPT_GEO;
        out->geo = places;
        break;
    }
    default:
        out->kind = VZ_SCRIPT_ABSENT;
        out->count = 0;
    }
}

static struct vz_doc_field *bind_field(struct vz_doc_script *script, struct vz_slice name)
{
    for (size_t i = 0; i < script->field_count; i++)
        if (vz_slice_eq(script->fields[i]->name, name))
            return script->fields[i];
    const struct vz_field *field = vz_eval_field(script->eval, name);
    if (!field || field->under_nested || field->type == VZ_FIELD_OBJECT ||
        field->type == VZ_FIELD_NESTED)
        return NULL;
    if (field->type == VZ_FIELD_TEXT) {
        vz_fail(&script->refused, VZ_BAD_ARGUMENT,
                "Fielddata is disabled on [%.*s] in [%.*s]. Text fields are not optimised for "
                "operations that require per-document field data like aggregations and sorting, "
                "so these operations are disabled by default. Please use a keyword field instead.",
                VZ_ARG(field->path), VZ_ARG(vz_index_name(vz_snapshot_index(script->eval->snap))));
        return NULL;
    }
    if (vz_field_check_doc_values(field, &script->refused) != VZ_OK)
        return NULL;
    struct vz_doc_field *bound = vz_calloc(1, sizeof *bound);
    bound->name = vz_arena_copy(&script->program, name);
    bound->field = field;
    if (field->type == VZ_FIELD_DENSE_VECTOR)
        vz_snapshot_vectors(script->eval->snap, field->id, &bound->rows);
    else
        vz_field_column(script->eval, field, &bound->column);
    if (bound->column.kind == VZ_COLUMN_ORDINAL)
        bound->terms =
            vz_calloc((size_t)vz_field_ordinal_count(script->eval->snap, field) + 1,
                      sizeof *bound->terms);
    if (script->field_count == script->field_capacity) {
        script->field_capacity = script->field_capacity * 2 + 4;
        script->fields =
            vz_realloc(script->fields, script->field_capacity * sizeof(struct vz_doc_field *));
    }
    return script->fields[script->field_count++] = bound;
}

static void give_field(void *context, struct vz_slice name, struct vz_script_field *out)
{
    struct vz_doc_script *script = context;
    struct vz_doc_field *field = bind_field(script, name);
    *out = (struct vz_script_field){.kind = VZ_SCRIPT_ABSENT};
    if (field)
        read_field(script, field, out);
}

/* ---- a script in a snapshot --------------------------------------------------------------------
 */

static enum vz_status open_script(struct vz_eval *eval, const struct vz_script_text *text,
                                  bool with_score, const struct vz_script_function *functions,
                                  size_t function_count, struct vz_doc_script **out,
                                  struct vz_error *err)
{
    struct vz_doc_script *script = vz_calloc(1, sizeof *script);
    script->eval = eval;
    script->text = *text;
    script->watch = (struct vz_script_watch){.stopped = vz_text_late, .context = eval};
    script->run = (struct vz_script_run){.arena = &script->scratch,
                                         .context = script,
                                         .field = give_field,
                                         .watch = &script->watch};
    struct vz_script_host host = {
        .has_doc = true,
        .has_score = with_score,
        .functions = functions,
        .function_count = function_count,
        .context = script,
    };
    bool has_params = vz_json_type(text->params) == VZ_JSON_OBJECT;
    struct vz_value *params = has_params ? vz_value_from(&script->scratch, text->params)
                                         : vz_value_object(&script->scratch);
    if (text->has_num_terms)
        vz_value_put(params, VZ_SLICE("num_terms"),
                     vz_value_int(&script->scratch, text->num_terms));
    if (has_params || text->has_num_terms)
        host.params = params;
    struct vz_error inner = {0};
    enum vz_status status =
        vz_script_compile(text->source, &host, &script->program, &script->script, &inner);
    vz_arena_reset(&script->scratch);
    script->scratch.total_bytes = 0;
    *out = script;
    if (status == VZ_OK)
        return VZ_OK;
    status = tell(script, "compile error", &inner, status, err);
    vz_doc_script_close(script);
    *out = NULL;
    return status;
}

enum vz_status vz_doc_script_open(struct vz_eval *eval, const struct vz_script_text *text,
                                  bool with_score, struct vz_doc_script **out, struct vz_error *err)
{
    return open_script(eval, text, with_score, vz_score_functions,
                       with_score ? vz_score_function_count : 0, out, err);
}

enum vz_status vz_doc_script_open_with(struct vz_eval *eval, const struct vz_script_text *text,
                                       const struct vz_script_function *functions, size_t count,
                                       struct vz_doc_script **out, struct vz_error *err)
{
    return open_script(eval, text, false, functions, count, out, err);
}

void vz_doc_script_close(struct vz_doc_script *script)
{
    if (!script)
        return;
    for (size_t i = 0; i < script->field_count; i++) {
        free(script->fields[i]->terms);
        free(script->fields[i]->scratch);
        free(script->fields[i]);
    }
    free(script->fields);
    vz_vector_calls_free(script->vectors);
    vz_arena_deinit(&script->program);
    vz_arena_deinit(&script->scratch);
    free(script);
}

bool vz_doc_script_uses_score(const struct vz_doc_script *script)
{
    return vz_script_uses_score(script->script);
}

static void begin(struct vz_doc_script *script, uint32_t docno, double score)
{
    if (script->scratch.total_bytes) {
        vz_arena_reset(&script->scratch);
        script->scratch.total_bytes = 0;
    }
    script->docno = docno;
    script->run.score = score;
    script->refused.status = VZ_OK;
}

static enum vz_status failed(struct vz_doc_script *script, struct vz_error *inner,
                             enum vz_status status, struct vz_error *err)
{
    if (script->refused.status != VZ_OK) {
        script->refused.offset = inner->offset;
        *inner = script->refused;
    }
    return tell(script, "runtime error", inner, status, err);
}

enum vz_status vz_doc_script_number(struct vz_doc_script *script, uint32_t docno, double score,
                                    double *out, struct vz_error *err)
{
    struct vz_error inner;
    begin(script, docno, score);
    enum vz_status status = vz_script_run_number(script->script, &script->run, out, &inner);
    return status == VZ_OK ? VZ_OK : failed(script, &inner, status, err);
}

enum vz_status vz_doc_script_value(struct vz_doc_script *script, uint32_t docno, double score,
                                   struct vz_value **out, struct vz_error *err)
{
    struct vz_error inner;
    begin(script, docno, score);
    enum vz_status status = vz_script_run(script->script, &script->run, out, &inner);
    return status == VZ_OK ? VZ_OK : failed(script, &inner, status, err);
}

bool vz_doc_script_scan(struct vz_doc_script *script, const struct vz_bitset *bits, float *scores,
                        enum vz_status *status, struct vz_error *err)
{
    unsigned function;
    void *prepared;
    double factor, summand;
    if (!vz_script_is_linear(script->script, &function, &prepared, &factor, &summand) ||
        !vz_score_function_is_vector(function))
        return false;
    uint32_t docs[SCAN_BLOCK];
    double values[SCAN_BLOCK];
    struct vz_error inner = {.offset = VZ_NO_OFFSET};
    size_t at = vz_bitset_next(bits, 0), blocks = 0;
    *status = VZ_OK;
    while (at < bits->bits) {
        size_t count = 0;
        for (; at < bits->bits && count < SCAN_BLOCK; at = vz_bitset_next(bits, at + 1))
            docs[count++] = (uint32_t)at;
        *status = vz_vector_measure_block(script, prepared, docs, count, values, &inner);
        if (*status != VZ_OK) {
            *status = tell(script, "runtime error", &inner, *status, err);
            break;
        }
        for (size_t i = 0; i < count; i++)
            scores[docs[i]] = (float)(values[i] * factor + summand);
        if (++blocks % 64 == 0 && vz_eval_late(script->eval)) {
            *status = vz_fail(err, VZ_CANCELLED, "the search took too long");
            break;
        }
    }
    return true;
}
