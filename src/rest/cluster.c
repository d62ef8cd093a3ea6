/* The cluster of one: health, stats, settings, tasks. */
#include "rest/parts.h"

static uint64_t replicas_of(struct vz_store *store, struct vz_slice name)
{
    struct vz_index *index = vz_store_index(store, name);
    if (!index)
        return 0;
    uint64_t replicas = vz_index_replicas(index);
    vz_index_release(index);
    return replicas;
}

static void finish_health(struct vz_health *health)
{
    uint64_t shards = health->indices + health->unassigned;
    health->active_percent = shards ? 100.0 * (double)health->indices / (double)shards : 100.0;
}

void vz_health_of(struct vz_store *store, struct vz_arena *arena, struct vz_health *health)
{
    struct vz_slice *names;
    *health = (struct vz_health){0};
    health->indices = vz_store_names(store, arena, &names);
    for (size_t i = 0; i < health->indices; i++)
        health->unassigned += replicas_of(store, names[i]);
    finish_health(health);
}

/* ---- health -------------------------------------------------------------------------------- */

static bool status_reached(const struct vz_health *health, struct vz_slice wanted)
{
    return !vz_slice_is(wanted, "green") || health->unassigned == 0;
}

static bool check_health_params(struct vz_call *call)
{
    struct vz_slice value;
    if (vz_call_param(call, "wait_for_status", &value) && !vz_slice_is(value, "green") &&
        !vz_slice_is(value, "yellow") && !vz_slice_is(value, "red"))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "unknown cluster health status [%.*s]", VZ_S(value));
    if (vz_call_param(call, "level", &value) && !vz_slice_is(value, "cluster") &&
        !vz_slice_is(value, "indices") && !vz_slice_is(value, "shards"))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "level parameter must be one of [cluster] or [indices] or [shards] but "
                            "was [%.*s]",
                            VZ_S(value));
    return true;
}

static void print_index_health(struct vz_call *call, struct vz_index *index, bool shards)
{
    struct vz_json_writer *w = &call->w;
    unsigned replicas = vz_index_replicas(index);
    const char *status = replicas ? "yellow" : "green";
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    vz_json_field_str(w, "status", status);
    vz_json_field_int(w, "number_of_shards", 1);
    vz_json_field_int(w, "number_of_replicas", replicas);
    vz_json_field_int(w, "active_primary_shards", 1);
    vz_json_field_int(w, "active_shards", 1);
    vz_json_field_int(w, "relocating_shards", 0);
    vz_json_field_int(w, "initializing_shards", 0);
    vz_json_field_int(w, "unassigned_shards", replicas);
    vz_json_field_int(w, "unassigned_primary_shards", 0);
    if (shards) {
        vz_json_key(w, "shards");
        vz_json_begin_object(w);
        vz_json_key(w, "0");
        vz_json_begin_object(w);
        vz_json_field_str(w, "status", status);
        vz_json_field_bool(w, "primary_active", true);
        vz_json_field_int(w, "active_shards", 1);
        vz_json_field_int(w, "relocating_shards", 0);
        vz_json_field_int(w, "initializing_shards", 0);
        vz_json_field_int(w, "unassigned_shards", replicas);
        vz_json_field_int(w, "unassigned_primary_shards", 0);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

void vz_rest_cluster_health(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_health health = {0};
    if (!check_health_params(call) ||
        !vz_resolve(call, call->args[0], 
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_LENIENT | VZ_RESOLVE_CLOSED | VZ_RESOLVE_EVERY,
                    &found))
        return;
    health.indices = found.count;
    for (size_t i = 0; i < found.count; i++)
        health.unassigned += vz_index_replicas(found.indices[i]);
    finish_health(&health);
    /* Nothing here changes by waiting: a replica has nowhere to go. So it is answered at once. */
    bool plain = call->args[0].len && !memchr(call->args[0].ptr, '*', call->args[0].len) &&
                 !vz_slice_is(call->args[0], "_all");
    bool missing = plain && found.count == 0;
    bool reached = status_reached(&health, vz_call_text(call, "wait_for_status")) && !missing;
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_field_str(w, "status", missing ? "red" : health.unassigned ? "yellow" : "green");
    vz_json_field_bool(w, "timed_out", !reached);
    vz_json_field_int(w, "number_of_nodes", 1);
    vz_json_field_int(w, "number_of_data_nodes", 1);
    vz_json_field_int(w, "active_primary_shards", (int64_t)health.indices);
    vz_json_field_int(w, "active_shards", (int64_t)health.indices);
    vz_json_field_int(w, "relocating_shards", 0);
    vz_json_field_int(w, "initializing_shards", 0);
    vz_json_field_int(w, "unassigned_shards", (int64_t)health.unassigned);
    vz_json_field_int(w, "unassigned_primary_shards", 0);
    vz_json_field_int(w, "delayed_unassigned_shards", 0);
    vz_json_field_int(w, "number_of_pending_tasks", 0);
    vz_json_field_int(w, "number_of_in_flight_fetch", 0);
    vz_json_field_int(w, "task_max_waiting_in_queue_millis", 0);
    vz_json_field_double(w, "active_shards_percent_as_number", health.active_percent);
    struct vz_slice level = vz_call_text(call, "level");
    bool shards = vz_slice_is(level, "shards");
    if (shards || vz_slice_is(level, "indices")) {
        vz_json_key(w, "indices");
        vz_json_begin_object(w);
        for (size_t i = 0; i < found.count; i++)
            print_index_health(call, found.indices[i], shards);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_resolved_release(&found);
    if (!reached)
        call->response->status = 408;
}

/* ---- stats, tasks ---------------------------------------------------------------- */

void vz_rest_cluster_stats(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_health health;
    uint64_t docs = 0, deleted = 0, disk = 0, rows = 0, memory = 0;
    if (!vz_resolve(call, (struct vz_slice){"", 0}, VZ_RESOLVE_EVERY, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        vz_index_stats(found.indices[i], &stats);
        docs += stats.docs;
        deleted += stats.deleted;
        disk += stats.disk_bytes;
        rows += stats.rows;
        memory += stats.memory_bytes;
    }
    vz_resolved_release(&found);
    vz_health_of(call->store, call->arena, &health);
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "_nodes");
    vz_json_put_raw(w, VZ_SLICE("{\"total\":1,\"successful\":1,\"failed\":0}"));
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_field_str(w, "cluster_uuid", vz_store_cluster_uuid(call->store));
    vz_json_field_int(w, "timestamp", vz_wall_ms());
    vz_json_field_str(w, "status", health.unassigned ? "yellow" : "green");
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    vz_json_field_int(w, "count", (int64_t)health.indices);
    vz_json_key(w, "shards");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total", (int64_t)health.indices);
    vz_json_field_int(w, "primaries", (int64_t)health.indices);
    vz_json_field_double(w, "replication", 0.0);
    vz_json_end_object(w);
    vz_json_key(w, "docs");
    vz_json_begin_object(w);
    vz_json_field_int(w, "count", (int64_t)docs);
    vz_json_field_int(w, "deleted", (int64_t)deleted);
    vz_json_field_int(w, "total_size_in_bytes", (int64_t)disk);
    vz_json_end_object(w);
    vz_json_key(w, "store");
    vz_json_begin_object(w);
    vz_json_field_int(w, "size_in_bytes", (int64_t)disk);
    vz_json_field_int(w, "total_data_set_size_in_bytes", (int64_t)disk);
    vz_json_field_int(w, "reserved_in_bytes", 0);
    vz_json_end_object(w);
    vz_json_key(w, "segments");
    vz_json_begin_object(w);
    vz_json_field_int(w, "count", (int64_t)health.indices);
    vz_json_field_int(w, "memory_in_bytes", (int64_t)memory);
    vz_json_end_object(w);
    vz_json_key(w, "dense_vector");
    vz_json_begin_object(w);
    vz_json_field_int(w, "value_count", (int64_t)rows);
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_key(w, "nodes");
    vz_json_begin_object(w);
    vz_json_key(w, "count");
    vz_json_put_raw(w, VZ_SLICE("{\"total\":1,\"data\":1,\"ingest\":1,\"master\":1}"));
    vz_json_key(w, "versions");
    vz_json_put_raw(w, VZ_SLICE("[\"" VZ_ES_VERSION "\"]"));
    vz_json_end_object(w);
    vz_json_end_object(w);
}
