/* What indices are made of: _segments, _recovery, _shard_stores, _search_shards, _disk_usage. An
 * index is one shard of one segment: its current generation. */
#include "rest/parts.h"

#include <stdio.h>

static unsigned shards_total(const struct vz_resolved *found)
{
    unsigned total = 0;
    for (size_t i = 0; i < found->count; i++)
        total += 1 + vz_index_replicas(found->indices[i]);
    return total;
}

static struct vz_slice index_expression(const struct vz_call *call)
{
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    return has_index ? call->args[0] : (struct vz_slice){"", 0};
}

/* ---- _segments ----------------------------------------------------------------------------- */

static void print_segments(struct vz_call *call, struct vz_index *index)
{
    struct vz_json_writer *w = &call->w;
    struct vz_index_stats stats;
    uint64_t generation = vz_index_generation_number(index);
    vz_index_stats(index, &stats);
    bool any = stats.docs + stats.deleted > 0;
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    vz_json_key(w, "shards");
    vz_json_begin_object(w);
    vz_json_key(w, "0");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_key(w, "routing");
    vz_json_begin_object(w);
    vz_json_field_str(w, "state", "STARTED");
    vz_json_field_bool(w, "primary", true);
    vz_json_field_str(w, "node", call->rest->node_id);
    vz_json_end_object(w);
    vz_json_field_int(w, "num_committed_segments", any);
    vz_json_field_int(w, "num_search_segments", any);
    vz_json_key(w, "segments");
    vz_json_begin_object(w);
    if (any) {
        struct vz_slice name = vz_call_format(call, "_%llu", (unsigned long long)generation);
        vz_json_key_slice(w, name);
        vz_json_begin_object(w);
        vz_json_field_int(w, "generation", (int64_t)generation);
        vz_json_field_int(w, "num_docs", (int64_t)stats.docs);
        vz_json_field_int(w, "deleted_docs", (int64_t)stats.deleted);
        vz_json_field_int(w, "size_in_bytes", (int64_t)stats.disk_bytes);
        vz_json_field_bool(w, "committed", true);
        vz_json_field_bool(w, "search", true);
        vz_json_field_str(w, "version", VZ_VERSION);
        vz_json_field_bool(w, "compound", false);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

void vz_rest_segments(struct vz_call *call)
{
    struct vz_resolved found;
    if (!vz_resolve(call, index_expression(call), VZ_RESOLVE_ALIASES, &found))
        return;
    vz_json_begin_object(&call->w);
    vz_call_shards(&call->w, shards_total(&found), (unsigned)found.count, false);
    vz_json_key(&call->w, "indices");
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < found.count; i++)
        print_segments(call, found.indices[i]);
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
    vz_resolved_release(&found);
}

/* ---- _recovery ----------------------------------------------------------------------------- */

/* A shard is read from its own files when it is asked for first; nothing is copied. */
static void print_recovery(struct vz_call *call, struct vz_index *index)
{
    struct vz_json_writer *w = &call->w;
    struct vz_index_stats stats;
    vz_index_stats(index, &stats);
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    vz_json_key(w, "shards");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_field_int(w, "id", 0);
    vz_json_field_str(w, "type", "EXISTING_STORE");
    vz_json_field_str(w, "stage", "DONE");
    vz_json_field_bool(w, "primary", true);
    vz_json_key(w, "source");
    vz_json_put_raw(w, VZ_SLICE("{\"bootstrap_new_history_uuid\":false}"));
    vz_json_key(w, "target");
    vz_json_begin_object(w);
    vz_json_field_str(w, "id", call->rest->node_id);
    vz_json_field_string(w, "host", vz_publish_ip(call));
    vz_json_field_str(w, "transport_address", vz_publish_address(call->rest));
    vz_json_field_string(w, "ip", vz_publish_ip(call));
    vz_json_field_str(w, "name", call->rest->node_name);
    vz_json_end_object(w);
    vz_json_key(w, "index");
    vz_json_begin_object(w);
    vz_json_key(w, "size");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total_in_bytes", (int64_t)stats.disk_bytes);
    vz_json_field_int(w, "reused_in_bytes", (int64_t)stats.disk_bytes);
    vz_json_field_int(w, "recovered_in_bytes", 0);
    vz_json_field_str(w, "percent", "100.0%");
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_key(w, "translog");
    vz_json_put_raw(w, VZ_SLICE("{\"recovered\":0,\"total\":0,\"percent\":\"100.0%\","
                                "\"total_on_start\":0}"));
    vz_json_end_object(w);
    vz_json_end_array(w);
    vz_json_end_object(w);
}

void vz_rest_recovery(struct vz_call *call)
{
    struct vz_resolved found;
    bool active = vz_call_bool(call, "active_only", false);
    if (!vz_resolve(call, index_expression(call), VZ_RESOLVE_ALIASES, &found))
        return;
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < found.count && !active; i++)
        print_recovery(call, found.indices[i]);
    vz_json_end_object(&call->w);
    vz_resolved_release(&found);
}

/* ---- _shard_stores, _search_shards --------------------------------------------------------- */

void vz_rest_shard_stores(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    struct vz_resolved found;
    struct vz_slice *wanted;
    size_t count = vz_split(call->arena, vz_call_text(call, "status"), &wanted);
    bool green = false, yellow = count == 0;
    for (size_t i = 0; i < count; i++) {
        bool all = vz_slice_is(wanted[i], "all");
        green |= all || vz_slice_is(wanted[i], "green");
        yellow |= all || vz_slice_is(wanted[i], "yellow");
    }
    if (!vz_resolve(call, index_expression(call), VZ_RESOLVE_ALIASES, &found))
        return;
    vz_json_begin_object(w);
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    for (size_t i = 0; i < found.count; i++) {
        if (vz_index_replicas(found.indices[i]) ? !yellow : !green)
            continue;
        vz_json_key_slice(w, vz_index_name(found.indices[i]));
        vz_json_begin_object(w);
        vz_json_key(w, "shards");
        vz_json_begin_object(w);
        vz_json_key(w, "0");
        vz_json_begin_object(w);
        vz_json_key(w, "stores");
        vz_json_begin_array(w);
        vz_json_begin_object(w);
        vz_call_node(call);
        vz_json_field_str(w, "allocation_id", vz_index_uuid(found.indices[i]));
        vz_json_field_str(w, "allocation", "primary");
        vz_json_end_object(w);
        vz_json_end_array(w);
        vz_json_end_object(w);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

void vz_rest_search_shards(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    struct vz_resolved found;
    if (!vz_resolve(call, index_expression(call), VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &found))
        return;
    vz_json_begin_object(w);
    vz_json_key(w, "nodes");
    vz_json_begin_object(w);
    vz_call_node(call);
    vz_json_end_object(w);
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    for (size_t i = 0; i < found.count; i++) {
        vz_json_key_slice(w, vz_index_name(found.indices[i]));
        vz_json_begin_object(w);
        if (found.filters[i].len) {
            vz_json_key(w, "filter");
            vz_json_put_raw(w, found.filters[i]);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_key(w, "shards");
    vz_json_begin_array(w);
    for (size_t i = 0; i < found.count; i++) {
        vz_json_begin_array(w);
        vz_json_begin_object(w);
        vz_json_field_str(w, "state", "STARTED");
        vz_json_field_bool(w, "primary", true);
        vz_json_field_str(w, "node", call->rest->node_id);
        vz_json_field_str(w, "relocating_node", NULL);
        vz_json_field_int(w, "shard", 0);
        vz_json_field_string(w, "index", vz_index_name(found.indices[i]));
        vz_json_key(w, "allocation_id");
        vz_json_begin_object(w);
        vz_json_field_str(w, "id", vz_index_uuid(found.indices[i]));
        vz_json_end_object(w);
        vz_json_end_object(w);
        vz_json_end_array(w);
    }
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* ---- _disk_usage --------------------------------------------------------------------------- */

static struct vz_slice human(struct vz_call *call, uint64_t bytes)
{
    static const char *const units[] = {"b", "kb", "mb", "gb", "tb"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < VZ_COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    double tenths = (double)(uint64_t)(value * 10) / 10;
    return tenths == (double)(uint64_t)tenths
               ? vz_call_format(call, "%llu%s", (unsigned long long)tenths, units[unit])
               : vz_call_format(call, "%.1f%s", tenths, units[unit]);
}

static void put_bytes(struct vz_call *call, const char *name, uint64_t bytes)
{
    char in_bytes[64];
    snprintf(in_bytes, sizeof in_bytes, "%s_in_bytes", name);
    vz_json_field_string(&call->w, name, human(call, bytes));
    vz_json_field_int(&call->w, in_bytes, (int64_t)bytes);
}

static void print_usage(struct vz_call *call, const uint64_t bytes[VZ_USAGE_PARTS])
{
    struct vz_json_writer *w = &call->w;
    uint64_t total = 0;
    for (size_t i = 0; i < VZ_USAGE_PARTS; i++)
        total += bytes[i];
    vz_json_begin_object(w);
    put_bytes(call, "total", total);
    vz_json_key(w, "inverted_index");
    vz_json_begin_object(w);
    put_bytes(call, "total", bytes[VZ_USAGE_TEXTS]);
    vz_json_end_object(w);
    put_bytes(call, "stored_fields", bytes[VZ_USAGE_DOCUMENTS]);
    put_bytes(call, "doc_values", bytes[VZ_USAGE_DOC_VALUES]);
    put_bytes(call, "points", 0);
    put_bytes(call, "norms", 0);
    put_bytes(call, "term_vectors", 0);
    put_bytes(call, "knn_vectors", bytes[VZ_USAGE_VECTORS]);
    vz_json_end_object(w);
}

/* Blocks of files on disk. Postings and norms of all text fields are in the same files, so they are
 * in the sums and below "_texts"; documents, ids and dictionaries below "_source". */
static void print_disk_usage(struct vz_call *call, struct vz_index *index)
{
    struct vz_json_writer *w = &call->w;
    struct vz_usage *list;
    uint64_t sum[VZ_USAGE_PARTS] = {0}, total = 0;
    size_t count = vz_index_usage(index, call->arena, &list);
    for (size_t i = 0; i < count; i++)
        for (size_t p = 0; p < VZ_USAGE_PARTS; p++) {
            sum[p] += list[i].bytes[p];
            total += list[i].bytes[p];
        }
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    put_bytes(call, "store_size", total);
    vz_json_key(w, "all_fields");
    print_usage(call, sum);
    vz_json_key(w, "fields");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        if (list[i].path.len) {
            vz_json_key_slice(w, list[i].path);
            print_usage(call, list[i].bytes);
            continue;
        }
        uint64_t texts[VZ_USAGE_PARTS] = {0}, rest[VZ_USAGE_PARTS];
        memcpy(rest, list[i].bytes, sizeof rest);
        texts[VZ_USAGE_TEXTS] = rest[VZ_USAGE_TEXTS];
        rest[VZ_USAGE_TEXTS] = 0;
        vz_json_key(w, "_source");
        print_usage(call, rest);
        if (texts[VZ_USAGE_TEXTS]) {
            vz_json_key(w, "_texts");
            print_usage(call, texts);
        }
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

void vz_rest_disk_usage(struct vz_call *call)
{
    struct vz_resolved found;
    if (!vz_call_bool(call, "run_expensive_tasks", false)) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "analyzing the disk usage of an index is expensive and resource intensive, "
                     "the parameter [run_expensive_tasks] must be set to [true] in order for the "
                     "task to be performed");
        return;
    }
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &found))
        return;
    vz_json_begin_object(&call->w);
    vz_call_shards(&call->w, (unsigned)found.count, (unsigned)found.count, false);
    for (size_t i = 0; i < found.count; i++)
        print_disk_usage(call, found.indices[i]);
    vz_json_end_object(&call->w);
    vz_resolved_release(&found);
}
