/* _field_caps: what can be done with fields over many indices.
 *
 * Every index gives one entry a field, and one for each object that a chosen field lies in; entries
 * are sorted by name, type and index and then read in runs. A field is "searchable" or
 * "aggregatable" when it is in all indices where it has that type; indices where it is not are
 * listed when there are others where it is. */
#include "rest/ml.h"
#include "rest/parts.h"

#include <stdlib.h>

struct caps {
    struct vz_slice name, type, meta;
    uint32_t index;
    bool searchable, aggregatable, metadata;
};

struct caps_run {
    struct vz_call *call;
    struct vz_slice *patterns, *types;
    size_t pattern_count, type_count;
    bool only_metadata, no_metadata, no_nested, no_parent, no_multi_field;
    bool empty_fields; /* false: only fields that some document has */
    bool unmapped;
    struct vz_json filter;          /* index_filter */
    struct vz_json_doc *filter_doc; /* the same as a search body */
    struct vz_slice *indices;       /* names of those that count */
    size_t index_count;
    struct caps *list;
    size_t count, capacity;
};

/* ---- what is asked ------------------------------------------------------------------------- */

static bool read_filters(struct caps_run *run)
{
    struct vz_slice *parts;
    size_t count = vz_split(run->call->arena, vz_call_text(run->call, "filters"), &parts);
    for (size_t i = 0; i < count; i++) {
        if (vz_slice_is(parts[i], "+metadata"))
            run->only_metadata = true;
        else if (vz_slice_is(parts[i], "-metadata"))
            run->no_metadata = true;
        else if (vz_slice_is(parts[i], "-nested"))
            run->no_nested = true;
        else if (vz_slice_is(parts[i], "-parent"))
            run->no_parent = true;
        else if (vz_slice_is(parts[i], "-multifield"))
            run->no_multi_field = true;
        else
            return vz_call_fail(run->call, 400, "illegal_argument_exception",
                                "Unknown field caps filter [%.*s]", VZ_S(parts[i]));
    }
    return true;
}

static bool read_field_list(struct caps_run *run, struct vz_json value)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    if (vz_json_type(value) == VZ_JSON_STRING) {
        run->pattern_count = vz_split(run->call->arena, vz_json_string(value), &run->patterns);
        return true;
    }
    run->patterns =
        vz_arena_alloc(run->call->arena, (vz_json_count(value) + 1) * sizeof *run->patterns);
    run->pattern_count = 0;
    while (vz_json_type(value) == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &one))
        if (vz_json_type(one) == VZ_JSON_STRING)
            run->patterns[run->pattern_count++] = vz_json_string(one);
    return true;
}

static bool read_body(struct caps_run *run, struct vz_json body)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    if (vz_json_type(body) == VZ_JSON_MISSING)
        return true;
    if (vz_json_type(body) != VZ_JSON_OBJECT)
        return vz_call_fail(run->call, 400, "parsing_exception", "a body must be an object");
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "index_filter")) {
            run->filter = value;
        } else if (vz_slice_is(key, "fields")) {
            read_field_list(run, value);
        } else if (vz_slice_is(key, "runtime_mappings")) {
            if (vz_json_count(value))
                return vz_call_unsupported(run->call,
                                           "[runtime_mappings] is not supported yet by vizsla");
        } else {
            return vz_call_fail(run->call, 400, "x_content_parse_exception",
                                "[field_caps_request] unknown field [%.*s]", VZ_S(key));
        }
    }
    return true;
}

/* ---- one index ----------------------------------------------------------------------------- */

static void add(struct caps_run *run, const struct caps *caps)
{
    if (run->count == run->capacity) {
        run->capacity = run->capacity * 2 + 256;
        run->list = vz_realloc(run->list, run->capacity * sizeof *run->list);
    }
    run->list[run->count++] = *caps;
}

static bool wants(const struct caps_run *run, struct vz_slice path)
{
    for (size_t i = 0; i < run->pattern_count; i++)
        if (vz_wildcard_match(run->patterns[i], path))
            return true;
    return false;
}

static bool wants_type(const struct caps_run *run, struct vz_slice type)
{
    for (size_t i = 0; i < run->type_count; i++)
        if (vz_slice_eq(run->types[i], type))
            return true;
    return run->type_count == 0;
}

/* constant_keyword and wildcard are of the family of keywords. */
static const char *family_name(const struct vz_field *field)
{
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD || field->type == VZ_FIELD_WILDCARD)
        return "keyword";
    return field->is_prefix ? "prefix" : vz_field_type_name(vz_field_declared(field));
}

static bool is_empty(const struct vz_snapshot *snap, const struct vz_field *field)
{
    struct vz_column column;
    if (field->under_nested || field->column == VZ_COLUMN_NONE)
        return false;
    vz_snapshot_column(snap, field->id, &column);
    return column.count == 0;
}

static struct caps of_field(struct caps_run *run, const struct vz_field *field,
                            const struct vz_field *target)
{
    struct caps caps = {.index = (uint32_t)run->index_count};
    bool has_values = target->column > VZ_COLUMN_PRESENCE;
    caps.name = vz_arena_copy(run->call->arena, field->path);
    caps.type = vz_slice_from(family_name(target));
    caps.searchable = target->indexed && target->type != VZ_FIELD_BINARY;
    caps.aggregatable = has_values && target->doc_values;
    caps.meta = vz_arena_copy(run->call->arena, vz_field_meta(target));
    return caps;
}

/* The objects that a chosen field lies in, each once. */
static void add_parents(struct caps_run *run, const struct vz_mapping *mapping,
                        const struct vz_field *field, bool *seen)
{
    for (uint16_t id = field->parent; id != VZ_NO_FIELD;) {
        const struct vz_field *parent = vz_mapping_field(mapping, id);
        bool is_object = parent->type == VZ_FIELD_OBJECT || parent->type == VZ_FIELD_NESTED;
        struct caps caps = {.index = (uint32_t)run->index_count};
        caps.type = vz_slice_from(vz_field_type_name(parent->type));
        if (is_object && !seen[id] && wants_type(run, caps.type)) {
            caps.name = vz_arena_copy(run->call->arena, parent->path);
            add(run, &caps);
        }
        seen[id] |= is_object;
        id = parent->parent;
    }
}

static void add_metadata(struct caps_run *run)
{
    static const struct {
        const char *name;
        bool searchable;
    } fields[] = {{"_id", true}, {"_index", true}, {"_source", false}};
    for (size_t i = 0; i < VZ_COUNT_OF(fields); i++) {
        struct caps caps = {.index = (uint32_t)run->index_count,
                            .metadata = true,
                            .searchable = fields[i].searchable};
        caps.name = caps.type = vz_slice_from(fields[i].name);
        if (wants(run, caps.name) && wants_type(run, caps.type))
            add(run, &caps);
    }
}

static void add_index(struct caps_run *run, struct vz_index *index)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    struct vz_snapshot *snap = run->empty_fields ? NULL : vz_index_snapshot(index);
    bool *seen = vz_arena_zalloc(run->call->arena, vz_mapping_count(mapping) + 1);
    for (size_t i = 0; !run->only_metadata && i < vz_mapping_count(mapping); i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i), *target = field;
        if (field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED ||
            field->type == VZ_FIELD_FLATTENED_KEYED || vz_field_is_hidden(field) ||
            !wants(run, field->path))
            continue;
        if (field->type == VZ_FIELD_ALIAS)
            target = vz_mapping_field(mapping, field->alias_of);
        if ((run->no_nested && field->under_nested) ||
            (run->no_multi_field && field->is_multi_field) || (snap && is_empty(snap, target)))
            continue;
        struct caps caps = of_field(run, field, target);
        if (!wants_type(run, caps.type))
            continue;
        add(run, &caps);
        if (!run->no_parent)
            add_parents(run, mapping, field, seen);
    }
    if (!run->no_metadata)
        add_metadata(run);
    if (snap)
        vz_snapshot_release(snap);
    vz_mapping_release(mapping);
}

/* Whether index_filter finds a document of the index. */
static bool passes(struct caps_run *run, const struct vz_search_target *target,
                   struct vz_search *search, bool *in)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    uint64_t found = 1;
    if (search && vz_search_count(target, 1, search, &found, &err) != VZ_OK)
        return vz_call_fail_index(run->call, &err, VZ_AT_SHARD, target->index);
    *in = found > 0;
    return true;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct caps *x = a, *y = b;
    int order = vz_slice_cmp(x->name, y->name);
    if (order == 0)
        order = vz_slice_cmp(x->type, y->type);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_text(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

/* {"unit": ["ms", "s"]}: each key's values in all indices, once each. */
static void put_meta(struct caps_run *run, const struct caps *from, const struct caps *to)
{
    struct vz_json_writer *w = &run->call->w;
    size_t capacity = 0, count = 0;
    struct vz_slice *pairs = NULL; /* "key NUL value" */
    for (const struct caps *at = from; at < to; at++) {
        struct vz_json_doc *doc;
        struct vz_json root, value;
        struct vz_slice key;
        if (at->meta.len == 0 || vz_json_parse(at->meta, &doc, &root, NULL) != VZ_OK)
            continue;
        struct vz_json_iter it = vz_json_iterate(root);
        while (vz_json_next(&it, &key, &value)) {
            struct vz_slice text = vz_json_string(value);
            char *pair = vz_arena_zalloc(run->call->arena, key.len + text.len + 2);
            if (key.len)
                memcpy(pair, key.ptr, key.len);
            if (text.len)
                memcpy(pair + key.len + 1, text.ptr, text.len);
            if (count == capacity) {
                capacity = capacity * 2 + 8;
                pairs = vz_realloc(pairs, capacity * sizeof *pairs);
            }
            pairs[count++] = (struct vz_slice){pair, key.len + text.len + 1};
        }
        vz_json_free(doc);
    }
    if (count)
        qsort(pairs, count, sizeof *pairs, by_text);
    for (size_t i = 0; i < count; i++) {
        size_t key_len = strlen(pairs[i].ptr);
        bool first = i == 0 || strcmp(pairs[i].ptr, pairs[i - 1].ptr) != 0;
        if (i == 0) {
            vz_json_key(w, "meta");
            vz_json_begin_object(w);
        }
        if (first) {
            if (i)
                vz_json_end_array(w);
            vz_json_key(w, pairs[i].ptr);
            vz_json_begin_array(w);
        }
        if (first || !vz_slice_eq(pairs[i], pairs[i - 1]))
            vz_json_put_string(
                w, (struct vz_slice){pairs[i].ptr + key_len + 1, pairs[i].len - key_len - 1});
    }
    if (count) {
        vz_json_end_array(w);
        vz_json_end_object(w);
    }
    free(pairs);
}

enum pick { PICK_ALL, PICK_NOT_SEARCHABLE, PICK_NOT_AGGREGATABLE };

static void put_indices(struct caps_run *run, const char *key, const struct caps *from,
                        const struct caps *to, enum pick pick)
{
    struct vz_json_writer *w = &run->call->w;
    vz_json_key(w, key);
    vz_json_begin_array(w);
    for (const struct caps *at = from; at < to; at++)
        if (pick == PICK_ALL || !(pick == PICK_NOT_SEARCHABLE ? at->searchable : at->aggregatable))
            vz_json_put_string(w, run->indices[at->index]);
    vz_json_end_array(w);
}

static void put_type(struct caps_run *run, const struct caps *from, const struct caps *to,
                     bool with_indices)
{
    struct vz_json_writer *w = &run->call->w;
    size_t all = (size_t)(to - from), searchable = 0, aggregatable = 0;
    for (const struct caps *at = from; at < to; at++) {
        searchable += at->searchable;
        aggregatable += at->aggregatable;
    }
    vz_json_key_slice(w, from->type);
    vz_json_begin_object(w);
    vz_json_field_string(w, "type", from->type);
    vz_json_field_bool(w, "metadata_field", from->metadata);
    vz_json_field_bool(w, "searchable", searchable == all);
    vz_json_field_bool(w, "aggregatable", aggregatable == all);
    if (with_indices)
        put_indices(run, "indices", from, to, PICK_ALL);
    if (searchable && searchable < all)
        put_indices(run, "non_searchable_indices", from, to, PICK_NOT_SEARCHABLE);
    if (aggregatable && aggregatable < all)
        put_indices(run, "non_aggregatable_indices", from, to, PICK_NOT_AGGREGATABLE);
    put_meta(run, from, to);
    vz_json_end_object(w);
}

/* The indices that do not have the field at all; entries of one index are of one type. */
static bool put_unmapped(struct caps_run *run, const struct caps *from, const struct caps *to)
{
    struct vz_json_writer *w = &run->call->w;
    size_t have = (size_t)(to - from);
    if (have >= run->index_count)
        return false;
    bool *has = vz_arena_zalloc(run->call->arena, run->index_count + 1);
    for (const struct caps *at = from; at < to; at++)
        has[at->index] = true;
    vz_json_key(w, "unmapped");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", "unmapped");
    vz_json_field_bool(w, "metadata_field", false);
    vz_json_field_bool(w, "searchable", false);
    vz_json_field_bool(w, "aggregatable", false);
    vz_json_key(w, "indices");
    vz_json_begin_array(w);
    for (size_t i = 0; i < run->index_count; i++)
        if (!has[i])
            vz_json_put_string(w, run->indices[i]);
    vz_json_end_array(w);
    vz_json_end_object(w);
    return true;
}

static void put_field(struct caps_run *run, const struct caps *from, const struct caps *to)
{
    bool unmapped = run->unmapped && (size_t)(to - from) < run->index_count;
    bool several = unmapped || !vz_slice_eq(from->type, to[-1].type);
    vz_json_key_slice(&run->call->w, from->name);
    vz_json_begin_object(&run->call->w);
    for (const struct caps *at = from; at < to;) {
        const struct caps *end = at;
        while (end < to && vz_slice_eq(end->type, at->type))
            end++;
        put_type(run, at, end, several);
        at = end;
    }
    if (unmapped)
        put_unmapped(run, from, to);
    vz_json_end_object(&run->call->w);
}

static void put_answer(struct caps_run *run)
{
    struct vz_json_writer *w = &run->call->w;
    const struct caps *at = run->list, *end = at + run->count;
    if (run->count)
        qsort(run->list, run->count, sizeof *run->list, by_name);
    vz_json_begin_object(w);
    vz_json_key(w, "indices");
    vz_json_begin_array(w);
    for (size_t i = 0; i < run->index_count; i++)
        vz_json_put_string(w, run->indices[i]);
    vz_json_end_array(w);
    vz_json_key(w, "fields");
    vz_json_begin_object(w);
    while (at < end) {
        const struct caps *next = at;
        while (next < end && vz_slice_eq(next->name, at->name))
            next++;
        put_field(run, at, next);
        at = next;
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static int by_index_name(const void *a, const void *b)
{
    const struct vz_search_target *x = a, *y = b;
    return vz_slice_cmp(vz_index_name(x->index), vz_index_name(y->index));
}

struct vz_search *vz_index_filter(struct vz_call *call, struct vz_json filter,
                                  struct vz_json_doc **kept)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_search *search = NULL;
    struct vz_search_params params = {0};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    vz_buf_append_str(&text, "{\"query\":");
    vz_json_print(filter, &text);
    vz_buf_append_char(&text, '}');
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    vz_ml_embedder(call, &params);
    vz_call_watch(call, true, &params);
    enum vz_status status = vz_json_parse(copy, &doc, &root, &err);
    if (status == VZ_OK)
        status = vz_search_parse(root, &params, call->arena, &search, &err);
    if (status != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_SEARCH);
        vz_json_free(doc);
        return NULL;
    }
    *kept = doc;
    return search;
}

static void collect(struct caps_run *run, const struct vz_resolved *resolved)
{
    struct vz_call *call = run->call;
    struct vz_search_target *targets = vz_search_targets(call->arena, resolved);
    struct vz_search *search = NULL;
    if (resolved->count)
        qsort(targets, resolved->count, sizeof *targets, by_index_name);
    if (vz_json_type(run->filter) != VZ_JSON_MISSING &&
        !(search = vz_index_filter(call, run->filter, &run->filter_doc)))
        return;
    run->indices = vz_arena_alloc(call->arena, (resolved->count + 1) * sizeof *run->indices);
    for (size_t i = 0; i < resolved->count && !call->problem.status; i++) {
        bool in = false;
        if (!passes(run, &targets[i], search, &in) || !in)
            continue;
        run->indices[run->index_count] =
            vz_arena_copy(call->arena, vz_index_name(targets[i].index));
        add_index(run, targets[i].index);
        run->index_count++;
        if (!vz_call_fits(call, run->count * sizeof *run->list))
            return;
    }
    if (!call->problem.status)
        put_answer(run);
}

void vz_rest_field_caps(struct vz_call *call)
{
    struct caps_run run = {.call = call};
    struct vz_json body;
    struct vz_resolved resolved;
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    run.unmapped = vz_call_bool(call, "include_unmapped", false);
    run.empty_fields = vz_call_bool(call, "include_empty_fields", true);
    run.pattern_count = vz_split(call->arena, vz_call_text(call, "fields"), &run.patterns);
    run.type_count = vz_split(call->arena, vz_call_text(call, "types"), &run.types);
    if (!vz_call_body(call, VZ_AT_BODY, false, &body) || !read_body(&run, body) ||
        !read_filters(&run))
        return;
    if (run.pattern_count == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: no fields specified;");
        return;
    }
    if (!vz_resolve(call, has_index ? call->args[0] : (struct vz_slice){"", 0},
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &resolved))
        return;
    collect(&run, &resolved);
    vz_json_free(run.filter_doc);
    free(run.list);
    vz_resolved_release(&resolved);
}
