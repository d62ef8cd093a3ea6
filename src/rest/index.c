/* Indices as wholes: create, look, delete, refresh, flush, merge, stats, resolve. */
#include "rest/parts.h"
#include "store/cluster_settings.h"
#include "store/templates.h"

#include <stdlib.h>

/* ---- create -------------------------------------------------------------------------------- */

static bool check_create_body(struct vz_call *call, struct vz_json body)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (!vz_slice_is(key, "settings") && !vz_slice_is(key, "mappings") &&
            !vz_slice_is(key, "aliases"))
            return vz_call_fail(call, 400, "parse_exception", "unknown key [%.*s] for create index",
                                VZ_S(key));
        if (vz_json_type(member) != VZ_JSON_OBJECT && vz_json_type(member) != VZ_JSON_NULL)
            return vz_call_fail(call, 400, "parse_exception", "key [%.*s] must be an object",
                                VZ_S(key));
    }
    struct vz_json aliases = {0};
    vz_json_get(body, "aliases", &aliases);
    it = vz_json_iterate(aliases);
    while (vz_json_next(&it, &key, &member))
        if (!vz_alias_check(call, key, member))
            return false;
    return true;
}

static bool is_alias(struct vz_call *call, struct vz_slice name)
{
    struct vz_alias *aliases;
    size_t count = vz_store_aliases(call->store, call->arena, &aliases);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(aliases[i].name, name))
            return true;
    return false;
}

static void fail_exists(struct vz_call *call, struct vz_slice name, const struct vz_error *err)
{
    struct vz_index *index = vz_store_index(call->store, name);
    if (!index) {
        vz_call_fail_error(call, err, VZ_AT_MAPPING);
        return;
    }
    vz_call_fail(call, 400, "resource_already_exists_exception", "index [%.*s/%s] already exists",
                 VZ_S(name), vz_index_uuid(index));
    call->problem.index = name;
    call->problem.index_uuid = vz_arena_strdup(call->arena, vz_slice_from(vz_index_uuid(index)));
    vz_index_release(index);
}

void vz_rest_index_create(struct vz_call *call)
{
    struct vz_slice name = call->args[0];
    struct vz_json body;
    struct vz_error err = {0};
    if (!vz_call_body(call, VZ_AT_MAP_BODY, false, &body) || !check_create_body(call, body))
        return;
    struct vz_json mappings;
    if (vz_json_get(body, "mappings", &mappings) && !vz_mapping_models_fit(call, mappings))
        return;
    if (is_alias(call, name)) {
        vz_call_fail(call, 400, "invalid_index_name_exception",
                     "Invalid index name [%.*s], already exists as alias", VZ_S(name));
        call->problem.index = name;
        call->problem.index_uuid = "_na_";
        return;
    }
    enum vz_status status = vz_store_create_templated(call->store, name, body, &err);
    if (status == VZ_EXISTS) {
        fail_exists(call, name, &err);
        return;
    }
    if (status != VZ_OK) {
        vz_problem_from(call->arena, &err,
                        strstr(err.text, "setting") ? VZ_AT_SETTINGS : VZ_AT_MAPPING,
                        call->request->body, name, NULL, &call->problem);
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "acknowledged", true);
    vz_json_field_bool(&call->w, "shards_acknowledged", true);
    vz_json_field_string(&call->w, "index", name);
    vz_json_end_object(&call->w);
}

/* ---- look ---------------------------------------------------------------------------------- */

static void print_settings(struct vz_call *call, struct vz_index *index)
{
    struct vz_buf text = {0};
    vz_index_print_settings(index, &text);
    struct vz_json_doc *doc;
    struct vz_json root;
    if (vz_call_bool(call, "flat_settings", false) &&
        vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        vz_settings_flatten(root, (struct vz_json_patterns){NULL, 0}, &call->w);
        vz_json_free(doc);
    } else {
        vz_json_put_raw(&call->w, vz_buf_slice(&text));
    }
    vz_buf_deinit(&text);
}

static void print_aliases(struct vz_call *call, struct vz_slice index,
                          const struct vz_alias *aliases, size_t count)
{
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < count; i++) {
        if (vz_slice_eq(aliases[i].index, index)) {
            vz_json_key_slice(&call->w, aliases[i].name);
            vz_alias_print(&aliases[i], &call->w);
        }
    }
    vz_json_end_object(&call->w);
}

static bool wants_feature(struct vz_call *call, const char *feature)
{
    struct vz_slice value, *parts;
    if (!vz_call_param(call, "features", &value))
        return true;
    size_t count = vz_split(call->arena, value, &parts);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_is(parts[i], feature))
            return true;
    return false;
}

void vz_rest_index_get(struct vz_call *call)
{
    struct vz_resolved found;
    if (!vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_READ, &found))
        return;
    struct vz_json_writer *w = &call->w;
    struct vz_alias *aliases;
    size_t alias_count = vz_store_aliases(call->store, call->arena, &aliases);
    vz_json_begin_object(w);
    for (size_t i = 0; i < found.count && !call->is_head; i++) {
        struct vz_index *index = found.indices[i];
        vz_json_key_slice(w, vz_index_name(index));
        vz_json_begin_object(w);
        if (wants_feature(call, "aliases")) {
            vz_json_key(w, "aliases");
            print_aliases(call, vz_index_name(index), aliases, alias_count);
        }
        if (wants_feature(call, "mappings")) {
            struct vz_mapping *mapping = vz_index_mapping(index);
            struct vz_buf text = {0};
            vz_mapping_print(mapping, &text);
            vz_json_key(w, "mappings");
            vz_json_put_raw(w, vz_buf_slice(&text));
            vz_buf_deinit(&text);
            vz_mapping_release(mapping);
        }
        if (wants_feature(call, "settings")) {
            vz_json_key(w, "settings");
            print_settings(call, index);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* ---- delete -------------------------------------------------------------------------------- */

void vz_rest_index_delete(struct vz_call *call)
{
    struct vz_slice *parts;
    size_t count = vz_split(call->arena, call->args[0], &parts);
    struct vz_buf careful = {0};
    bool by_pattern = vz_cluster_setting(call->store, "action.destructive_requires_name",
                                         &careful) &&
                      vz_slice_is(vz_buf_slice(&careful), "false");
    vz_buf_deinit(&careful);
    for (size_t i = 0; i < count && !by_pattern; i++) {
        if (vz_slice_is(parts[i], "_all") || memchr(parts[i].ptr, '*', parts[i].len)) {
            vz_call_fail(call, 400, "illegal_argument_exception",
                         "Wildcard expressions or all indices are not allowed");
            return;
        }
    }
    struct vz_resolved found;
    if (!vz_resolve(call, call->args[0], 
                    VZ_RESOLVE_CLOSED | VZ_RESOLVE_DELETE |
                        (by_pattern ? 0 : VZ_RESOLVE_NO_WILDCARDS),
                    &found))
        return;
    for (size_t i = 0; i < found.count && !call->problem.status; i++) {
        struct vz_error err = {0};
        enum vz_status status =
            vz_store_delete_index(call->store, vz_index_name(found.indices[i]), &err);
        if (status != VZ_OK &&
            !(status == VZ_NO_INDEX && vz_call_bool(call, "ignore_unavailable", false)))
            vz_call_fail_index(call, &err, VZ_AT_REQUEST, found.indices[i]);
    }
    vz_resolved_release(&found);
    vz_call_acknowledge(call);
}

/* ---- refresh, flush, merge ----------------------------------------------------------------- */

/* Runs one step on every index of the expression and answers {"_shards": ...}. */
static void on_each(struct vz_call *call,
                    enum vz_status (*step)(struct vz_call *, struct vz_index *, struct vz_error *))
{
    struct vz_resolved found;
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &found))
        return;
    unsigned total = 0, done = 0;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_error err = {0};
        enum vz_status status = step(call, found.indices[i], &err);
        if (status != VZ_OK && status != VZ_NO_INDEX) {
            vz_call_fail_index(call, &err, VZ_AT_REQUEST, found.indices[i]);
            break;
        }
        total += 1 + vz_index_replicas(found.indices[i]);
        done++;
    }
    vz_resolved_release(&found);
    vz_json_begin_object(&call->w);
    vz_call_shards(&call->w, total, done, false);
    vz_json_end_object(&call->w);
}

static enum vz_status refresh_one(struct vz_call *call, struct vz_index *index,
                                  struct vz_error *err)
{
    return vz_index_refresh(index, err);
}

static enum vz_status nothing(struct vz_call *call, struct vz_index *index, struct vz_error *err)
{
    return VZ_OK;
}

static enum vz_status merge_one(struct vz_call *call, struct vz_index *index, struct vz_error *err)
{
    struct vz_index_stats stats;
    vz_index_stats(index, &stats);
    enum vz_status status = VZ_OK;
    if (stats.deleted)
        status = vz_index_compact(index, err);
    if (status == VZ_OK && !vz_call_bool(call, "only_expunge_deletes", false))
        status = vz_index_settle(index, err);
    return status;
}

void vz_rest_index_refresh(struct vz_call *call)
{
    on_each(call, refresh_one);
}

void vz_rest_index_flush(struct vz_call *call)
{
    on_each(call, nothing);
}

void vz_rest_index_clear_cache(struct vz_call *call)
{
    on_each(call, nothing);
}

void vz_rest_index_forcemerge(struct vz_call *call)
{
    if (vz_call_bool(call, "only_expunge_deletes", false) &&
        vz_call_int(call, "max_num_segments", -1) >= 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: cannot set only_expunge_deletes and max_num_segments "
                     "at the same time, those two parameters are mutually exclusive;");
        return;
    }
    if (!vz_call_bool(call, "wait_for_completion", true)) {
        vz_call_unsupported(call, "[wait_for_completion=false] is");
        return;
    }
    on_each(call, merge_one);
}

/* ---- stats --------------------------------------------------------------------------------- */

static const char *const stat_sections[] = {
    "docs",        "store",      "indexing",      "get",           "search",   "merge",
    "refresh",     "flush",      "segments",      "dense_vector",  "warmer",   "query_cache",
    "fielddata",   "completion", "translog",      "request_cache", "recovery", "bulk",
    "shard_stats", "mappings",   "sparse_vector", "_all"};

struct stats_wanted {
    struct vz_slice *names;
    size_t count;
};

static bool wants(const struct stats_wanted *wanted, const char *section)
{
    if (wanted->count == 0)
        return true;
    for (size_t i = 0; i < wanted->count; i++)
        if (vz_slice_is(wanted->names[i], section) || vz_slice_is(wanted->names[i], "_all"))
            return true;
    return false;
}

static bool begin_section(struct vz_json_writer *w, const struct stats_wanted *wanted,
                          const char *metric, const char *section)
{
    if (!wants(wanted, metric))
        return false;
    vz_json_key(w, section);
    vz_json_begin_object(w);
    return true;
}

static void put_count(struct vz_json_writer *w, const char *key, uint64_t value)
{
    vz_json_key(w, key);
    vz_json_put_uint(w, value);
}

/* Elasticsearch's names for what is on disk or mapped: vec the rows, veq codes of 4 and 8 bits, veb
 * of one, vex links. */
static void print_off_heap(struct vz_json_writer *w, const struct vz_vector_stats *fields,
                           size_t count)
{
    uint64_t vec = 0, veq = 0, veb = 0, vex = 0;
    for (size_t i = 0; i < count; i++) {
        vec += fields[i].row_bytes;
        *(fields[i].quantize == VZ_QUANTIZE_BIT ? &veb : &veq) += fields[i].code_bytes;
        vex += fields[i].link_bytes;
    }
    vz_json_key(w, "off_heap");
    vz_json_begin_object(w);
    put_count(w, "total_size_bytes", vec + veq + veb + vex);
    put_count(w, "total_veb_size_bytes", veb);
    put_count(w, "total_vec_size_bytes", vec);
    put_count(w, "total_veq_size_bytes", veq);
    put_count(w, "total_vex_size_bytes", vex);
    vz_json_key(w, "fielddata");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        bool bits = fields[i].quantize == VZ_QUANTIZE_BIT;
        vz_json_key_slice(w, fields[i].path);
        vz_json_begin_object(w);
        if (bits && fields[i].code_bytes)
            put_count(w, "veb_size_bytes", fields[i].code_bytes);
        put_count(w, "vec_size_bytes", fields[i].row_bytes);
        if (!bits && fields[i].code_bytes)
            put_count(w, "veq_size_bytes", fields[i].code_bytes);
        if (fields[i].link_bytes)
            put_count(w, "vex_size_bytes", fields[i].link_bytes);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

/* Our own: what one vector of a field takes, part by part; `memory` is what the budget counts. */
static void print_per_vector(struct vz_json_writer *w, const struct vz_vector_stats *fields,
                             size_t count)
{
    vz_json_key(w, "bytes_per_vector");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        const struct vz_vector_stats *f = &fields[i];
        double rows = f->rows ? (double)f->rows : 1;
        double in = f->rows_in_graph ? (double)f->rows_in_graph : 1;
        vz_json_key_slice(w, f->path);
        vz_json_begin_object(w);
        put_count(w, "count", f->rows);
        put_count(w, "in_graph_count", f->rows_in_graph);
        put_count(w, "removed_count", f->removed);
        vz_json_field_double(w, "disk_rows", (double)f->row_bytes / rows);
        vz_json_field_double(w, "codes", (double)f->code_bytes / in);
        vz_json_field_double(w, "graph", (double)f->link_bytes / in);
        vz_json_field_double(w, "other", (double)(f->docno_bytes + f->fixed_bytes) / rows);
        vz_json_field_double(w, "memory", (double)f->memory_bytes / rows);
        vz_json_field_bool(w, "rebuilding", f->old_kind);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

static void print_stats(struct vz_json_writer *w, const struct stats_wanted *wanted,
                        const struct vz_index_stats *s, const struct vz_vector_stats *fields,
                        size_t field_count)
{
    vz_json_begin_object(w);
    if (begin_section(w, wanted, "docs", "docs")) {
        put_count(w, "count", s->docs);
        put_count(w, "deleted", s->deleted);
        put_count(w, "total_size_in_bytes", s->disk_bytes);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "store", "store")) {
        put_count(w, "size_in_bytes", s->disk_bytes);
        put_count(w, "total_data_set_size_in_bytes", s->disk_bytes);
        put_count(w, "reserved_in_bytes", 0);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "indexing", "indexing")) {
        put_count(w, "index_total", s->index_total);
        put_count(w, "index_time_in_millis", s->index_time_ns / 1000000);
        put_count(w, "index_current", 0);
        put_count(w, "index_failed", s->index_failed);
        put_count(w, "delete_total", s->delete_total);
        put_count(w, "delete_time_in_millis", 0);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "get", "get")) {
        put_count(w, "total", s->get_total);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "search", "search")) {
        put_count(w, "open_contexts", 0);
        put_count(w, "query_total", s->search_total);
        put_count(w, "query_time_in_millis", s->search_time_ns / 1000000);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "merge", "merges")) {
        put_count(w, "current", 0);
        put_count(w, "total", s->compaction_total);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "refresh", "refresh")) {
        put_count(w, "total", s->refresh_total);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "flush", "flush")) {
        put_count(w, "total", s->commit_total);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "segments", "segments")) {
        put_count(w, "count", 1);
        put_count(w, "memory_in_bytes", s->memory_bytes);
        vz_json_end_object(w);
    }
    if (begin_section(w, wanted, "dense_vector", "dense_vector")) {
        put_count(w, "value_count", s->rows);
        put_count(w, "in_graph_count", s->rows_in_graph);
        put_count(w, "vector_size_in_bytes", s->vector_bytes);
        put_count(w, "graph_size_in_bytes", s->graph_bytes);
        if (fields) {
            print_off_heap(w, fields, field_count);
            print_per_vector(w, fields, field_count);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

static void add_stats(struct vz_index_stats *sum, const struct vz_index_stats *s)
{
    sum->docs += s->docs;
    sum->deleted += s->deleted;
    sum->disk_bytes += s->disk_bytes;
    sum->vector_bytes += s->vector_bytes;
    sum->graph_bytes += s->graph_bytes;
    sum->memory_bytes += s->memory_bytes;
    sum->rows += s->rows;
    sum->rows_in_graph += s->rows_in_graph;
    sum->index_total += s->index_total;
    sum->index_failed += s->index_failed;
    sum->delete_total += s->delete_total;
    sum->get_total += s->get_total;
    sum->search_total += s->search_total;
    sum->refresh_total += s->refresh_total;
    sum->commit_total += s->commit_total;
    sum->compaction_total += s->compaction_total;
    sum->index_time_ns += s->index_time_ns;
    sum->search_time_ns += s->search_time_ns;
}

/* fields: of one index, or NULL for a sum over several. */
static void print_both(struct vz_json_writer *w, const struct stats_wanted *wanted,
                       const struct vz_index_stats *stats, const struct vz_vector_stats *fields,
                       size_t count)
{
    vz_json_key(w, "primaries");
    print_stats(w, wanted, stats, fields, count);
    vz_json_key(w, "total");
    print_stats(w, wanted, stats, fields, count);
}

/* /_stats, /_stats/{metric}, /{index}/_stats, /{index}/_stats/{metric} share this handler. */
static void stats_args(struct vz_call *call, struct vz_slice *index, struct vz_slice *metric)
{
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    *index = has_index ? call->args[0] : (struct vz_slice){"", 0};
    *metric = call->args[has_index ? 1 : 0];
}

static bool check_metrics(struct vz_call *call, const struct stats_wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        bool known = false;
        for (size_t j = 0; j < VZ_COUNT_OF(stat_sections); j++)
            known |= vz_slice_is(wanted->names[i], stat_sections[j]);
        if (!known)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "request [%.*s] contains unrecognized metric: [%.*s]",
                                VZ_S(call->request->path), VZ_S(wanted->names[i]));
    }
    return true;
}

void vz_rest_index_stats(struct vz_call *call)
{
    struct vz_slice expression, metric;
    struct stats_wanted wanted;
    struct vz_resolved found;
    stats_args(call, &expression, &metric);
    wanted.count = vz_split(call->arena, metric, &wanted.names);
    if (!check_metrics(call, &wanted) || !vz_resolve(call, expression, VZ_RESOLVE_ALIASES, &found))
        return;
    struct vz_index_stats sum = {0};
    struct vz_index_stats *each = vz_arena_zalloc(call->arena, (found.count + 1) * sizeof *each);
    unsigned shards = 0;
    for (size_t i = 0; i < found.count; i++) {
        vz_index_stats(found.indices[i], &each[i]);
        add_stats(&sum, &each[i]);
        shards += 1 + vz_index_replicas(found.indices[i]);
    }
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_call_shards(w, shards, (unsigned)found.count, false);
    vz_json_key(w, "_all");
    vz_json_begin_object(w);
    print_both(w, &wanted, &sum, NULL, 0);
    vz_json_end_object(w);
    if (!vz_slice_is(vz_call_text(call, "level"), "cluster")) {
        vz_json_key(w, "indices");
        vz_json_begin_object(w);
        for (size_t i = 0; i < found.count; i++) {
            vz_json_key_slice(w, vz_index_name(found.indices[i]));
            vz_json_begin_object(w);
            vz_json_field_str(w, "uuid", vz_index_uuid(found.indices[i]));
            vz_json_field_str(w, "health",
                              vz_index_replicas(found.indices[i]) ? "yellow" : "green");
            vz_json_field_str(w, "status", "open");
            struct vz_vector_stats *fields;
            size_t count = vz_index_vector_stats(found.indices[i], call->arena, &fields);
            print_both(w, &wanted, &each[i], fields, count);
            vz_json_end_object(w);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* ---- resolve ------------------------------------------------------------------------------- */

static void print_resolved_aliases(struct vz_call *call, const struct vz_alias *aliases,
                                   size_t count)
{
    struct vz_json_writer *w = &call->w;
    struct vz_slice *parts;
    size_t part_count = vz_split(call->arena, call->args[0], &parts);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && vz_slice_eq(aliases[end].name, aliases[i].name))
            end++;
        bool named = false;
        for (size_t j = 0; j < part_count; j++)
            named |= vz_wildcard_match(parts[j], aliases[i].name);
        if (named) {
            vz_json_begin_object(w);
            vz_json_field_string(w, "name", aliases[i].name);
            vz_json_key(w, "indices");
            vz_json_begin_array(w);
            for (size_t j = i; j < end; j++)
                vz_json_put_string(w, aliases[j].index);
            vz_json_end_array(w);
            vz_json_end_object(w);
        }
        i = end;
    }
}

static bool is_hidden(const struct vz_listed *listed, size_t count, struct vz_slice name)
{
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(listed[i].name, name))
            return listed[i].hidden;
    return false;
}

void vz_rest_index_resolve(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_listed *listed;
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED, &found))
        return;
    size_t listed_count = vz_store_list(call->store, call->arena, &listed);
    struct vz_alias *aliases;
    size_t alias_count = vz_store_aliases(call->store, call->arena, &aliases);
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "indices");
    vz_json_begin_array(w);
    for (size_t i = 0; i < found.count; i++) {
        vz_json_begin_object(w);
        vz_json_field_string(w, "name", vz_index_name(found.indices[i]));
        bool has_alias = false;
        for (size_t j = 0; j < alias_count; j++) {
            if (!vz_slice_eq(aliases[j].index, vz_index_name(found.indices[i])))
                continue;
            if (!has_alias) {
                vz_json_key(w, "aliases");
                vz_json_begin_array(w);
                has_alias = true;
            }
            vz_json_put_string(w, aliases[j].name);
        }
        if (has_alias)
            vz_json_end_array(w);
        vz_json_key(w, "attributes");
        vz_json_begin_array(w);
        vz_json_put_str(w, vz_index_is_closed(found.indices[i]) ? "closed" : "open");
        if (is_hidden(listed, listed_count, vz_index_name(found.indices[i])))
            vz_json_put_str(w, "hidden");
        vz_json_end_array(w);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
    vz_json_key(w, "aliases");
    vz_json_begin_array(w);
    print_resolved_aliases(call, aliases, alias_count);
    vz_json_end_array(w);
    vz_json_key(w, "data_streams");
    vz_json_begin_array(w);
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_resolved_release(&found);
}
