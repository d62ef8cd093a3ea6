/* store/mapping_shingles.c - what a search_as_you_type field is made of: itself a text, and below it,
 * hidden as multi-fields that nobody declared, _2gram .. _4gram with terms of several words and
 * _index_prefix with the beginnings of the longest of those.
 *
 * They have ids of their own, as postings are kept by field, and are saved with the mapping by their
 * names; everything else about them follows from the field above.
 */
#include "store/mapping_parts.h"
#include "text/analysis.h"
#include "text/postings.h"

#include <stdio.h>

static const struct vz_slice prefix_name = {"_index_prefix", 13};

bool vz_mapping_settle_shingles(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                struct vz_mapping_node *node)
{
    const struct vz_field *text = &above->field;
    struct vz_field *field = &node->field;
    struct vz_slice name = field->name;
    bool is_prefix = vz_slice_eq(name, prefix_name);
    bool is_gram = name.len == 6 && name.ptr[0] == '_' && memcmp(name.ptr + 2, "gram", 4) == 0 &&
                   name.ptr[1] >= '2' && name.ptr[1] <= '0' + text->as_you_type;
    if (!text->as_you_type || !(is_prefix || is_gram))
        return false;
    field->type = VZ_FIELD_TEXT;
    field->shingles = is_prefix ? text->as_you_type : (uint8_t)(name.ptr[1] - '0');
    field->is_prefix = is_prefix;
    field->dynamic = VZ_DYNAMIC_TRUE;
    field->enabled = true;
    field->depth_limit = 20;
    vz_mapping_settle_field(node);
    field->indexed = text->indexed;
    for (uint16_t id = above->first_child; id != VZ_NO_FIELD; id = mapping->nodes[id].next_sibling)
        if (mapping->nodes[id].field.is_prefix)
            above->field.prefix_field = id;
    return true;
}

enum vz_status vz_mapping_add_shingles(struct vz_mapping *mapping, struct vz_mapping_node *above,
                                       struct vz_error *err)
{
    char name[] = "_2gram";
    struct vz_mapping_node *node;
    enum vz_status status = vz_mapping_add(mapping, above->field.id, prefix_name, &node, err);
    if (status == VZ_OK)
        vz_mapping_settle_shingles(mapping, above, node);
    for (unsigned size = 2; status == VZ_OK && size <= above->field.as_you_type; size++) {
        name[1] = (char)('0' + size);
        status = vz_mapping_add(mapping, above->field.id, vz_slice_from(name), &node, err);
        if (status == VZ_OK)
            vz_mapping_settle_shingles(mapping, above, node);
    }
    return status;
}

enum vz_status vz_mapping_resolve_shingles(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                           struct vz_error *err)
{
    struct vz_field *field = &node->field;
    const struct vz_field *text = &mapping->nodes[field->parent].field; /* resolved: a smaller id */
    struct vz_analysis *analysis = mapping->analysis;
    field->analyzer =
        vz_analysis_shingled(analysis, text->analyzer, field->shingles, field->is_prefix);
    field->search_analyzer =
        vz_analysis_shingled(analysis, text->search_analyzer, field->shingles, false);
    if (!field->analyzer || !field->search_analyzer)
        return vz_fail(err, VZ_LIMIT, "the analyzer of the field [%.*s] has too many filters",
                       (int)text->path.len, text->path.ptr);
    field->search_quote_analyzer = field->is_prefix ? text->search_analyzer : field->search_analyzer;
    field->scoring = text->scoring;
    field->gap = text->gap;
    field->text_flags = text->text_flags;
    if (field->is_prefix)
        field->text_flags &= (uint8_t)~VZ_TEXT_NORMS;
    field->has_offsets = text->has_offsets;
    field->has_vector_offsets = text->has_vector_offsets;
    field->prefix_field = text->prefix_field;
    return VZ_OK;
}

bool vz_mapping_shows_children(const struct vz_mapping *mapping, const struct vz_mapping_node *node)
{
    if (node->field.type == VZ_FIELD_FLATTENED)
        return false;
    uint16_t id = node->first_child;
    while (id != VZ_NO_FIELD && mapping->nodes[id].field.shingles)
        id = mapping->nodes[id].next_sibling;
    return id != VZ_NO_FIELD;
}
