/* docvalue_fields: formats of numbers, and what of a document is in no column. */
#include "query/filter.h"

#include "base/text.h"

bool vz_field_is_number(const struct vz_field *field)
{
    switch (field->type) {
    case VZ_FIELD_DATE:
    case VZ_FIELD_BOOLEAN:
    case VZ_FIELD_GEO_POINT:
        return false;
    default:
        return field->column == VZ_COLUMN_I64 || field->column == VZ_COLUMN_F64;
    }
}

enum vz_status vz_value_format_check(const struct vz_field *field, struct vz_slice format,
                                     struct vz_error *err)
{
    struct vz_buf text = {0};
    if (field->type == VZ_FIELD_DATE)
        return VZ_OK;
    if (!vz_field_is_number(field)) {
        bool custom = field->type == VZ_FIELD_BOOLEAN || field->type == VZ_FIELD_IP;
        return vz_fail(err, VZ_BAD_ARGUMENT, "Field [%.*s] of type [%s] %s", VZ_ARG(field->path),
                       vz_filter_type_name(field->type),
                       custom ? "does not support custom formats" : "doesn't support formats.");
    }
    bool fine = vz_decimal_format(format, 1, &text);
    vz_buf_deinit(&text);
    return fine ? VZ_OK
                : vz_fail(err, VZ_UNSUPPORTED,
                          "the number format [%.*s] of field [%.*s] is not supported yet by vizsla",
                          VZ_ARG(format), VZ_ARG(field->path));
}

enum vz_status vz_meta_docvalues_write(const struct vz_search *search, struct vz_eval *eval,
                                       const struct vz_search_hit *hit, struct vz_json_writer *w,
                                       struct vz_error *err)
{
    for (size_t i = 0; i < search->docvalue_fields.count; i++) {
        struct vz_slice name = search->docvalue_fields.items[i].pattern;
        bool is_index = vz_slice_is(name, "_index");
        if (vz_mapping_find(eval->mapping, name) || name.len == 0 || name.ptr[0] != '_')
            continue;
        if (vz_slice_is(name, "_id"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Fielddata access on the _id field is disallowed, you can re-enable it "
                           "by updating the dynamic cluster setting: "
                           "indices.id_field_data.enabled");
        if (!is_index && !vz_slice_is(name, "_seq_no") && !vz_slice_is(name, "_version"))
            continue;
        vz_json_key_slice(w, name);
        vz_json_begin_array(w);
        if (is_index)
            vz_json_put_string(w, hit->index);
        else
            vz_json_put_uint(w, vz_slice_is(name, "_version") ? hit->version : hit->seq_no);
        vz_json_end_array(w);
    }
    return VZ_OK;
}
