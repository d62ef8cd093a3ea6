/* One text asked of several fields: which fields names and patterns mean, and the queries of each
 * put together as multi_match, combined_fields and both kinds of query strings do. */
#include "query/filter.h"
#include "query/texts.h"

#include "base/text.h"

#include <stdlib.h>

/* ---- which fields ---------------------------------------------------------------------------- */

static bool is_searchable(const struct vz_field *field, bool by_pattern)
{
    if (field->under_nested || field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED ||
        field->type == VZ_FIELD_ALIAS || field->type == VZ_FIELD_FLATTENED_KEYED)
        return false;
    return !by_pattern ||
           ((field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_CONSTANT_KEYWORD ||
             field->column == VZ_COLUMN_ORDINAL || field->column == VZ_COLUMN_I64 ||
             field->column == VZ_COLUMN_F64) &&
            field->indexed);
}

/* The same field with the suffix, where the mapping has one. */
static const struct vz_field *with_suffix(struct vz_eval *eval, const struct vz_field *field,
                                          struct vz_slice suffix)
{
    if (suffix.len == 0)
        return field;
    char *path = vz_arena_printf(eval->arena, "%.*s%.*s", VZ_ARG(field->path), VZ_ARG(suffix));
    const struct vz_field *other = vz_mapping_find(eval->mapping, vz_slice_from(path));
    return other ? other : field;
}

void vz_multi_fields(struct vz_eval *eval, const struct vz_multi_field *patterns, size_t count,
                     struct vz_slice suffix, struct vz_field_list *out)
{
    size_t mapped = vz_mapping_count(eval->mapping);
    float *boosts = vz_arena_zalloc(eval->arena, (mapped + 1) * sizeof *boosts);
    bool *chosen = vz_arena_zalloc(eval->arena, (mapped + 1) * sizeof *chosen);
    *out = (struct vz_field_list){0};
    out->fields = vz_arena_zalloc(eval->arena, (mapped + 1) * sizeof(const struct vz_field *));
    out->boosts = vz_arena_zalloc(eval->arena, (mapped + 1) * sizeof *out->boosts);
    for (size_t p = 0; p < count; p++) {
        struct vz_slice pattern = patterns[p].pattern;
        bool wild = pattern.len && memchr(pattern.ptr, '*', pattern.len) != NULL;
        const struct vz_field *one = wild ? NULL : vz_mapping_find(eval->mapping, pattern);
        out->all |= vz_slice_is(pattern, "*");
        for (size_t i = 0; i < mapped; i++) {
            const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
            bool wanted = wild ? vz_wildcard_match(pattern, field->path) : field == one;
            if (!wanted || !is_searchable(field, wild))
                continue;
            uint16_t id = with_suffix(eval, field, suffix)->id;
            boosts[id] = chosen[id] ? boosts[id] * patterns[p].boost : patterns[p].boost;
            chosen[id] = true;
        }
    }
    for (size_t i = 0; i < mapped; i++)
        if (chosen[i]) {
            out->boosts[out->count] = boosts[i];
            out->fields[out->count++] = vz_mapping_field(eval->mapping, (uint16_t)i);
        }
}

/* ---- putting together ------------------------------------------------------------------------ */

struct vz_node *vz_multi_best(struct vz_eval *eval, struct vz_node *const *parts, size_t count,
                              float tie)
{
    if (count <= 1)
        return count ? parts[0] : NULL;
    struct vz_node *best = vz_made_node(eval, VZ_NODE_DIS_MAX);
    best->parts.items = vz_arena_alloc(eval->arena, count * sizeof(struct vz_node *));
    memcpy(best->parts.items, parts, count * sizeof(struct vz_node *));
    best->parts.count = count;
    best->factor = tie;
    return best;
}

/* A value asked of a field that is no text: as match asks for it. */
static struct vz_node *value_node(struct vz_eval *eval, const struct vz_multi_how *how,
                                  const struct vz_field *field, struct vz_json value)
{
    struct vz_node *node = vz_made_node(eval, VZ_NODE_TERM);
    node->is_match = true;
    node->match = how->match;
    node->field = field->path;
    node->lenient = how->lenient;
    node->values = vz_arena_alloc(eval->arena, sizeof *node->values);
    node->values[0] = value;
    node->value_count = 1;
    return node;
}

/* The clauses of a text query as nodes of their own. */
static void list_clauses(struct vz_eval *eval, const struct vz_text_query *query,
                         struct vz_node_list *list)
{
    list->items = vz_arena_alloc(eval->arena, (query->part_count + 1) * sizeof(struct vz_node *));
    for (size_t i = 0; i < query->part_count; i++)
        list->items[list->count++] = vz_text_node(eval, query->parts[i]);
}

static enum vz_status text_part(struct vz_eval *eval, const struct vz_multi_how *how,
                                const struct vz_field *field, const struct vz_spread *spread,
                                struct vz_json value, struct vz_node **out,
                                struct vz_node_list *list, struct vz_error *err)
{
    struct vz_text_built built;
    struct vz_slice text = vz_query_scalar_text(value, eval->arena);
    *out = NULL;
    enum vz_status status = vz_text_build_match(eval, field, how->match, spread, text, &built, err);
    if (status != VZ_OK || !built.query)
        return status;
    if (list && built.listed)
        list_clauses(eval, built.query, list);
    *out = vz_text_node(eval, built.query);
    return VZ_OK;
}

/* What no leniency forgives. */
static bool too_many_clauses(const struct vz_error *err)
{
    return err && strncmp(err->text, "Query contains too many", 23) == 0;
}

static enum vz_status each_field(struct vz_eval *eval, const struct vz_multi_how *how,
                                 const struct vz_field_list *fields, struct vz_json value,
                                 struct vz_node **out, struct vz_node_list *list,
                                 struct vz_error *err)
{
    struct vz_node **parts =
        vz_arena_alloc(eval->arena, (fields->count + 1) * sizeof(struct vz_node *));
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct vz_field *field = fields->fields[i];
        struct vz_node *part = NULL;
        enum vz_status status = VZ_OK;
        if (field->type == VZ_FIELD_TEXT)
            status = text_part(eval, how, field, NULL, value, &part,
                               fields->count == 1 && fields->boosts[i] == 1 ? list : NULL, err);
        else
            part = value_node(eval, how, field, value);
        if (status == VZ_BAD_QUERY && how->lenient && !too_many_clauses(err))
            part = vz_made_node(eval, VZ_NODE_NONE);
        else if (status != VZ_OK)
            return status;
        if (!part)
            continue;
        part->boost *= fields->boosts[i];
        parts[count++] = part;
    }
    *out = vz_multi_best(eval, parts, count, how->tie);
    return VZ_OK;
}

/* ---- a word at a time over all fields -------------------------------------------------------- */

static int by_doc_freq(const void *a, const void *b)
{
    const struct vz_blend *x = *(struct vz_blend *const *)a, *y = *(struct vz_blend *const *)b;
    if (x->doc_freq != y->doc_freq)
        return x->doc_freq > y->doc_freq ? -1 : 1;
    return x < y ? -1 : x > y;
}

void vz_text_blend(struct vz_blend *items, size_t count, uint64_t max_doc)
{
    uint64_t most = 0, least_freqs = UINT64_MAX;
    struct vz_blend **order = vz_alloc((count + 1) * sizeof *order);
    for (size_t i = 0; i < count; i++) {
        order[i] = &items[i];
        items[i].blended = items[i].doc_freq;
        most = VZ_MAX(most, items[i].doc_freq);
        if (items[i].doc_freq)
            least_freqs = VZ_MIN(least_freqs, items[i].field_freqs);
    }
    max_doc = VZ_MIN(max_doc, least_freqs);
    qsort(order, count, sizeof *order, by_doc_freq);
    uint64_t actual = VZ_MIN(max_doc, most), before = most;
    for (size_t i = 0; i < count && count > 1 && order[i]->doc_freq; i++) {
        actual += before > order[i]->doc_freq;
        before = order[i]->doc_freq;
        order[i]->blended = VZ_MIN(VZ_MIN(actual, order[i]->field_docs), max_doc);
    }
    free(order);
}

static const struct vz_analyzer *group_of(const struct vz_field *field)
{
    return field->type == VZ_FIELD_TEXT ? field->search_analyzer : field->normalizer;
}

/* Values of columns: each field by itself, keywords by one document frequency. */
static enum vz_status value_group(struct vz_eval *eval, const struct vz_multi_how *how,
                                  const struct vz_field_list *group, struct vz_json value,
                                  struct vz_node **out, struct vz_error *err)
{
    struct vz_node **parts =
        vz_arena_alloc(eval->arena, (group->count + 1) * sizeof(struct vz_node *));
    struct vz_blend *blends = vz_arena_zalloc(eval->arena, (group->count + 1) * sizeof *blends);
    size_t keywords = 0;
    for (size_t i = 0; i < group->count; i++) {
        parts[i] = value_node(eval, how, group->fields[i], value);
        parts[i]->boost = group->boosts[i];
        if (group->fields[i]->type != VZ_FIELD_KEYWORD || group->count == 1)
            continue;
        enum vz_status status =
            vz_keyword_stats(eval, parts[i], group->fields[i], &blends[keywords].doc_freq,
                             &blends[keywords].field_docs, &blends[keywords].field_freqs, err);
        if (status != VZ_OK)
            return status;
        keywords++;
    }
    vz_text_blend(blends, keywords, eval->limit);
    for (size_t i = 0, k = 0; i < group->count; i++)
        if (group->fields[i]->type == VZ_FIELD_KEYWORD && keywords)
            parts[i]->doc_freq = blends[k++].blended;
    *out = vz_multi_best(eval, parts, group->count, how->tie);
    return VZ_OK;
}

static enum vz_status text_group(struct vz_eval *eval, const struct vz_multi_how *how,
                                 const struct vz_field_list *group, struct vz_json value,
                                 struct vz_node **out, struct vz_node_list *list,
                                 struct vz_error *err)
{
    struct vz_spread spread = {
        .fields = group->fields, .boosts = group->boosts, .count = group->count, .tie = how->tie};
    bool alone = group->count == 1;
    enum vz_status status =
        text_part(eval, how, group->fields[0], alone ? NULL : &spread, value, out, list, err);
    if (*out && alone)
        (*out)->boost *= group->boosts[0];
    return status;
}

static enum vz_status across_fields(struct vz_eval *eval, const struct vz_multi_how *how,
                                    const struct vz_field_list *fields, struct vz_json value,
                                    struct vz_node **out, struct vz_node_list *list,
                                    struct vz_error *err)
{
    bool *done = vz_arena_zalloc(eval->arena, fields->count + 1);
    struct vz_node **parts =
        vz_arena_alloc(eval->arena, (fields->count + 1) * sizeof(struct vz_node *));
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        bool text = fields->fields[i]->type == VZ_FIELD_TEXT;
        struct vz_node *part = NULL;
        enum vz_status status;
        if (done[i])
            continue;
        struct vz_field_list *own = vz_arena_zalloc(eval->arena, sizeof *own);
        own->fields = vz_arena_alloc(eval->arena, (fields->count + 1) * sizeof(void *));
        own->boosts = vz_arena_alloc(eval->arena, (fields->count + 1) * sizeof *own->boosts);
        for (size_t j = i; j < fields->count; j++) {
            bool same = (fields->fields[j]->type == VZ_FIELD_TEXT) == text &&
                        ((text && how->match->analyzer.len) ||
                         group_of(fields->fields[j]) == group_of(fields->fields[i]));
            if (done[j] || !same)
                continue;
            done[j] = true;
            own->boosts[own->count] = fields->boosts[j];
            own->fields[own->count++] = fields->fields[j];
        }
        if (text)
            status = text_group(eval, how, own, value, &part,
                                own->count == fields->count ? list : NULL, err);
        else
            status = value_group(eval, how, own, value, &part, err);
        if (status != VZ_OK)
            return status;
        if (part)
            parts[count++] = part;
    }
    *out = vz_multi_best(eval, parts, count, how->tie);
    return VZ_OK;
}

static enum vz_status combined_fields(struct vz_eval *eval, const struct vz_multi_how *how,
                                      const struct vz_field_list *fields, struct vz_json value,
                                      struct vz_node **out, struct vz_error *err)
{
    struct vz_spread spread = {.combined = true,
                               .fields = fields->fields,
                               .boosts = fields->boosts,
                               .count = fields->count};
    for (size_t i = 0; i < fields->count; i++) {
        const struct vz_field *field = fields->fields[i], *first = fields->fields[0];
        if (field->type != VZ_FIELD_TEXT)
            return vz_query_fail(
                err, VZ_BAD_QUERY,
                "Field [%.*s] of type [%s] does not support [combined_fields] queries",
                VZ_ARG(field->path), vz_filter_type_name(field->type));
        if (field->scoring.is_boolean)
            return vz_query_fail(
                err, VZ_BAD_QUERY,
                "[combined_fields] queries can only be used with the [BM25] similarity");
        if (field->search_analyzer != first->search_analyzer)
            return vz_query_fail(
                err, VZ_BAD_QUERY,
                "All fields in [combined_fields] query must have the same search analyzer");
        if ((field->text_flags & VZ_TEXT_NORMS) != (first->text_flags & VZ_TEXT_NORMS))
            return vz_query_fail(err, VZ_BAD_QUERY,
                                 "XCombinedFieldQuery requires norms to be consistent across "
                                 "fields: some fields cannot  have norms enabled, while others "
                                 "have norms disabled");
        if (fields->boosts[i] < 1)
            return vz_query_fail(err, VZ_BAD_QUERY, "weight must be greater or equal to 1");
    }
    return text_part(eval, how, fields->fields[0], &spread, value, out, NULL, err);
}

enum vz_status vz_multi_build(struct vz_eval *eval, const struct vz_multi_how *how,
                              const struct vz_field_list *fields, struct vz_json value,
                              struct vz_node **out, struct vz_node_list *list, struct vz_error *err)
{
    *out = NULL;
    if (list)
        *list = (struct vz_node_list){0};
    if (fields->count == 0)
        return VZ_OK;
    if (how->kind == VZ_MULTI_COMBINED)
        return combined_fields(eval, how, fields, value, out, err);
    if (how->kind == VZ_MULTI_CROSS)
        return across_fields(eval, how, fields, value, out, list, err);
    return each_field(eval, how, fields, value, out, list, err);
}
