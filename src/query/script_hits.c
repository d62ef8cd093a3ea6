/* Scripts of hits: sort by _script, script_fields. */
#include "query/scripting.h"

#include <math.h>

/* ---- sort by _script ---------------------------------------------------------------------------
 */

enum vz_status vz_script_sort_parse(struct vz_json value, struct vz_arena *arena,
                                    struct vz_sort_key *key, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name, type = {0};
    struct vz_json member;
    struct vz_script_text *script = vz_arena_zalloc(arena, sizeof *script);
    bool has_script = false;
    *key = (struct vz_sort_key){.kind = VZ_SORT_SCRIPT, .field = VZ_SLICE("_script")};
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[_script] expected an object but got %s",
                       vz_query_token(value));
    while (vz_json_next(&it, &name, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(name, "script")) {
            has_script = true;
            status = vz_script_text_parse("_script", member, script, err);
        } else if (vz_slice_is(name, "type")) {
            type = vz_json_string(member);
        } else if (vz_slice_is(name, "order")) {
            struct vz_slice order = vz_json_string(member);
            key->descending = vz_slice_is(order, "desc");
            if (!key->descending && !vz_slice_is(order, "asc"))
                status = vz_fail(err, VZ_BAD_QUERY, "Unknown SortOrder [%.*s]", VZ_ARG(order));
        } else if (vz_slice_is(name, "nested")) {
            status = vz_fail(err, VZ_UNSUPPORTED,
                             "[_script] option [nested] is not supported by vizsla");
        } else if (!vz_slice_is(name, "mode")) { /* a script gives one value */
            status = vz_fail(err, VZ_BAD_QUERY, "[_script] unknown field [%.*s]", VZ_ARG(name));
        }
        if (status != VZ_OK)
            return status;
    }
    key->is_text = vz_slice_is(type, "string");
    if (!has_script || (!key->is_text && !vz_slice_is(type, "number")))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[_script] needs a [script] and a [type] of [number] or [string]");
    key->script = script;
    return VZ_OK;
}

enum vz_status vz_script_sort_bind(struct vz_sort_reader *reader, struct vz_eval *eval,
                                   struct vz_error *err)
{
    reader->type = reader->key->is_text ? VZ_SORTED_TEXT : VZ_SORTED_F64;
    reader->failure = vz_arena_zalloc(eval->arena, sizeof *reader->failure);
    return vz_doc_script_open(eval, reader->key->script, true, &reader->script, err);
}

/* The first failure is kept for vz_sort_failed: reading has no way to tell of it. */
struct vz_sort_value vz_script_sort_read(struct vz_sort_reader *reader, uint32_t docno, float score)
{
    struct vz_sort_value out = {.type = reader->type};
    struct vz_error *err = reader->failure;
    struct vz_value *value;
    if (reader->type == VZ_SORTED_TEXT)
        out.text = VZ_SLICE("");
    if (err->status != VZ_OK)
        return out;
    if (reader->type == VZ_SORTED_F64) {
        vz_doc_script_number(reader->script, docno, (double)score, &out.f64, err);
        if (isnan(out.f64))
            out.f64 = -INFINITY;
        return out;
    }
    if (vz_doc_script_value(reader->script, docno, (double)score, &value, err) != VZ_OK)
        return out;
    if (value->type == VZ_VALUE_STRING)
        out.text = vz_arena_copy(reader->arena, value->string);
    else
        vz_fail(err, VZ_BAD_ARGUMENT, "a [_script] sort of type [string] gave no string");
    return out;
}

enum vz_status vz_sort_failed(const struct vz_sort_reader *readers, size_t count,
                              struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!readers[i].failure || readers[i].failure->status == VZ_OK)
            continue;
        if (err)
            *err = *readers[i].failure;
        return readers[i].failure->status;
    }
    return VZ_OK;
}

/* ---- script_fields -----------------------------------------------------------------------------
 */

struct vz_script_request {
    struct vz_slice name;
    struct vz_script_text script;
    bool ignore_failure;
};

#define MAX_SCRIPT_FIELDS 32 /* index.max_script_fields */

enum vz_status vz_script_fields_parse(struct vz_json value, struct vz_search *search,
                                      struct vz_error *err)
{
    size_t count = vz_json_count(value);
    struct vz_json_iter it = vz_json_iterate(value), inner;
    struct vz_slice name, key;
    struct vz_json field, member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[script_fields] expected an object but got %s",
                       vz_query_token(value));
    if (count > MAX_SCRIPT_FIELDS)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Trying to retrieve too many script_fields. Must be less than or equal to: "
                       "[%d] but was [%zu]. This limit can be set by changing the "
                       "[index.max_script_fields] index level setting.",
                       MAX_SCRIPT_FIELDS, count);
    search->script_fields =
        vz_arena_zalloc(search->arena, (count + 1) * sizeof(*search->script_fields));
    while (vz_json_next(&it, &name, &field)) {
        struct vz_script_request *request = &search->script_fields[search->script_field_count++];
        bool has_script = false;
        request->name = name;
        inner = vz_json_iterate(field);
        while (vz_json_next(&inner, &key, &member)) {
            enum vz_status status = VZ_OK;
            if (vz_slice_is(key, "script")) {
                has_script = true;
                status = vz_script_text_parse("script_fields", member, &request->script, err);
            } else if (vz_slice_is(key, "ignore_failure")) {
                request->ignore_failure = vz_json_bool(member);
            } else {
                status =
                    vz_fail(err, VZ_BAD_QUERY, "[script_fields] unknown field [%.*s]", VZ_ARG(key));
            }
            if (status != VZ_OK)
                return status;
        }
        if (!has_script)
            return vz_fail(err, VZ_BAD_QUERY, "[script_fields] [%.*s] has no [script]",
                           VZ_ARG(name));
    }
    return VZ_OK;
}

enum vz_status vz_script_fields_write(const struct vz_search *search, struct vz_fetch_plan *plan,
                                      struct vz_eval *eval, uint32_t docno,
                                      struct vz_json_writer *w, struct vz_error *err)
{
    size_t count = search->script_field_count;
    struct vz_value *value;
    enum vz_status status = VZ_OK;
    if (!plan->scripts)
        plan->scripts = vz_arena_zalloc(eval->arena, (count + 1) * sizeof(*plan->scripts));
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        const struct vz_script_request *request = &search->script_fields[i];
        if (i == plan->script_count) {
            /* Only running may fail unheard: what does not compile is the request's fault. */
            status = vz_doc_script_open(eval, &request->script, false, &plan->scripts[i], err);
            if (status != VZ_OK)
                break;
            plan->script_count++;
        }
        if (status == VZ_OK)
            status = vz_doc_script_value(plan->scripts[i], docno, 0, &value, err);
        if (status != VZ_OK && status != VZ_CANCELLED && request->ignore_failure) {
            status = VZ_OK;
            continue;
        }
        if (status != VZ_OK)
            break;
        vz_json_key_slice(w, request->name);
        if (value->type == VZ_VALUE_ARRAY) {
            vz_value_write(value, w);
        } else {
            vz_json_begin_array(w);
            vz_value_write(value, w);
            vz_json_end_array(w);
        }
    }
    return status;
}

void vz_script_fields_close(struct vz_fetch_plan *plan)
{
    for (size_t i = 0; i < plan->script_count; i++)
        vz_doc_script_close(plan->scripts[i]);
    plan->script_count = 0;
}
