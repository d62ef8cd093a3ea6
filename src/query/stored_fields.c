/* stored_fields: fields whose mapping says "store": true. Nothing is kept apart for them here: their
 * values are read from the document, in the form in which they would have been stored. */
#include "query/parts.h"

#include "base/text.h"

enum vz_status vz_stored_fields_take(struct vz_search *search, struct vz_json_patterns names,
                                     struct vz_error *err)
{
    for (size_t i = 0; i < names.count; i++) {
        search->stored_source |= vz_slice_is(names.items[i], "_source");
        search->stored_none |= vz_slice_is(names.items[i], "_none_");
    }
    if (search->stored_none && names.count > 1)
        return vz_fail(err, VZ_BAD_QUERY, "cannot combine _none_ with other fields");
    search->stored_fields = search->stored_none ? (struct vz_json_patterns){0} : names;
    return VZ_OK;
}

enum vz_status vz_stored_fields_check(const struct vz_search *search, bool source_given,
                                      struct vz_error *err)
{
    if (!search->stored_none)
        return VZ_OK;
    if (source_given && search->with_source)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: [stored_fields] cannot be disabled if [_source] is "
                       "requested;");
    if (search->fields.count)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: [stored_fields] cannot be disabled when using the "
                       "[fields] option;");
    return VZ_OK;
}

static bool is_wanted(const struct vz_search *search, const struct vz_field *field)
{
    bool wanted = false;
    for (size_t i = 0; i < search->stored_fields.count && !wanted; i++)
        wanted = vz_wildcard_match(search->stored_fields.items[i], field->path);
    return wanted && vz_field_is_stored(field) && !field->under_nested &&
           !vz_fields_request(&search->fields, field) &&
           !vz_fields_request(&search->docvalue_fields, field);
}

enum vz_status vz_stored_fields_write(const struct vz_search *search, struct vz_eval *eval,
                                      uint32_t docno, struct vz_json source,
                                      struct vz_json_writer *w, struct vz_error *err)
{
    size_t most = vz_mapping_count(eval->mapping);
    struct vz_search plain = {0};
    if (!search->stored_fields.count)
        return VZ_OK;
    plain.fields.items = vz_arena_alloc(eval->arena, (most + 1) * sizeof *plain.fields.items);
    for (size_t i = 0; i < most; i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        if (is_wanted(search, field))
            plain.fields.items[plain.fields.count++] =
                (struct vz_field_request){.pattern = field->path};
    }
    return plain.fields.count ? vz_fields_write(&plain, eval, docno, source, w, err) : VZ_OK;
}
