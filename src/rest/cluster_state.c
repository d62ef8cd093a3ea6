/* The state of the cluster of one: nodes, metadata, routing; pending tasks, features, health report.
 */
#include "rest/parts.h"
#include "rest/template.h"
#include "store/cluster_settings.h"

#include <sys/statvfs.h>

struct wanted {
    struct vz_slice *names;
    size_t count;
};

static bool wants(const struct wanted *wanted, const char *metric)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (vz_slice_is(wanted->names[i], metric) || vz_slice_is(wanted->names[i], "_all"))
            return true;
    return wanted->count == 0;
}

static void print_templates(struct vz_call *call, const char *key, struct vz_slice kind)
{
    struct vz_slice *names;
    size_t count = vz_store_blob_names(call->store, kind, call->arena, &names);
    vz_json_key(&call->w, key);
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < count; i++) {
        struct vz_template found;
        if (vz_template_open(call, kind, names[i], &found)) {
            vz_json_key_slice(&call->w, names[i]);
            vz_json_put_raw(&call->w, found.text);
        }
        vz_template_close(&found);
    }
    vz_json_end_object(&call->w);
}

static void print_index(struct vz_call *call, struct vz_index *index,
                        const struct vz_alias *aliases, size_t alias_count)
{
    struct vz_json_writer *w = &call->w;
    struct vz_buf text = {0};
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    vz_json_field_str(w, "state", vz_index_is_closed(index) ? "close" : "open");
    vz_index_print_settings(index, &text);
    vz_json_key(w, "settings");
    vz_json_put_raw(w, vz_buf_slice(&text));
    vz_buf_clear(&text);
    struct vz_mapping *mapping = vz_index_mapping(index);
    vz_mapping_print(mapping, &text);
    vz_mapping_release(mapping);
    vz_json_key(w, "mappings");
    vz_json_begin_object(w);
    vz_json_key(w, "_doc");
    vz_json_put_raw(w, vz_buf_slice(&text));
    vz_json_end_object(w);
    vz_buf_deinit(&text);
    vz_json_key(w, "aliases");
    vz_json_begin_array(w);
    for (size_t i = 0; i < alias_count; i++)
        if (vz_slice_eq(aliases[i].index, vz_index_name(index)))
            vz_json_put_string(w, aliases[i].name);
    vz_json_end_array(w);
    vz_json_end_object(w);
}

static void print_metadata(struct vz_call *call, const struct vz_resolved *found)
{
    struct vz_json_writer *w = &call->w;
    struct vz_alias *aliases;
    struct vz_buf settings = {0};
    size_t count = vz_store_aliases(call->store, call->arena, &aliases);
    vz_json_key(w, "metadata");
    vz_json_begin_object(w);
    vz_json_field_str(w, "cluster_uuid", vz_store_cluster_uuid(call->store));
    vz_json_field_bool(w, "cluster_uuid_committed", true);
    print_templates(call, "templates", VZ_KIND_LEGACY_TEMPLATE);
    vz_json_key(w, "component_template");
    vz_json_begin_object(w);
    print_templates(call, "component_template", VZ_KIND_COMPONENT_TEMPLATE);
    vz_json_end_object(w);
    vz_json_key(w, "index_template");
    vz_json_begin_object(w);
    print_templates(call, "index_template", VZ_KIND_INDEX_TEMPLATE);
    vz_json_end_object(w);
    vz_cluster_settings_print(call->store, false, vz_call_bool(call, "flat_settings", false),
                              &settings);
    vz_json_key(w, "persistent_settings");
    vz_json_put_raw(w, vz_buf_slice(&settings));
    vz_buf_deinit(&settings);
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    for (size_t i = 0; i < found->count; i++)
        print_index(call, found->indices[i], aliases, count);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void print_routing(struct vz_call *call, const struct vz_resolved *found)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "routing_table");
    vz_json_begin_object(w);
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    for (size_t i = 0; i < found->count; i++) {
        unsigned replicas = vz_index_replicas(found->indices[i]);
        vz_json_key_slice(w, vz_index_name(found->indices[i]));
        vz_json_begin_object(w);
        vz_json_key(w, "shards");
        vz_json_begin_object(w);
        vz_json_key(w, "0");
        vz_json_begin_array(w);
        for (unsigned copy = 0; copy <= VZ_MIN(replicas, 100u); copy++) {
            vz_json_begin_object(w);
            vz_json_field_str(w, "state", copy ? "UNASSIGNED" : "STARTED");
            vz_json_field_bool(w, "primary", !copy);
            vz_json_field_str(w, "node", copy ? NULL : call->rest->node_id);
            vz_json_field_str(w, "relocating_node", NULL);
            vz_json_field_int(w, "shard", 0);
            vz_json_field_string(w, "index", vz_index_name(found->indices[i]));
            vz_json_end_object(w);
        }
        vz_json_end_array(w);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static bool check_metrics(struct vz_call *call, const struct wanted *wanted)
{
    static const char *const served[] = {"_all",   "version",       "master_node",
                                         "nodes",  "routing_table", "metadata",
                                         "blocks", "routing_nodes", "customs"};
    for (size_t i = 0; i < wanted->count; i++) {
        bool known = false;
        for (size_t j = 0; j < VZ_COUNT_OF(served); j++)
            known |= vz_slice_is(wanted->names[i], served[j]);
        if (!known)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "request [%.*s] contains unrecognized metric: [%.*s]",
                                VZ_S(call->request->path), VZ_S(wanted->names[i]));
        if (vz_slice_is(wanted->names[i], "blocks") ||
            vz_slice_is(wanted->names[i], "routing_nodes") ||
            vz_slice_is(wanted->names[i], "customs"))
            return vz_call_unsupported(call, "metric [%.*s] of the cluster state is",
                                       VZ_S(wanted->names[i]));
    }
    return true;
}

void vz_rest_cluster_state(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    struct vz_resolved found;
    struct wanted wanted;
    wanted.count = vz_split(call->arena, call->args[0], &wanted.names);
    if (!check_metrics(call, &wanted) ||
        !vz_resolve(call, call->args[1],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_EVERY, &found))
        return;
    vz_json_begin_object(w);
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_field_str(w, "cluster_uuid", vz_store_cluster_uuid(call->store));
    if (wants(&wanted, "version")) {
        vz_json_field_int(w, "version", 1);
        vz_json_field_str(w, "state_uuid", vz_store_cluster_uuid(call->store));
    }
    if (wants(&wanted, "master_node"))
        vz_json_field_str(w, "master_node", call->rest->node_id);
    if (wants(&wanted, "nodes")) {
        vz_json_key(w, "nodes");
        vz_json_begin_object(w);
        vz_json_key(w, call->rest->node_id);
        vz_json_begin_object(w);
        vz_json_field_str(w, "name", call->rest->node_name);
        vz_json_field_str(w, "transport_address", vz_publish_address(call->rest));
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    if (wants(&wanted, "metadata"))
        print_metadata(call, &found);
    if (wants(&wanted, "routing_table"))
        print_routing(call, &found);
    vz_json_end_object(w);
    vz_resolved_release(&found);
}

/* Changes of the metadata are done when they are answered: none waits. */
void vz_rest_pending_tasks(struct vz_call *call)
{
    vz_buf_append_str(&call->response->body, "{\"tasks\":[]}");
}

void vz_rest_features(struct vz_call *call)
{
    vz_buf_append_str(&call->response->body, "{\"features\":[]}");
}

/* ---- health report ------------------------------------------------------------------------- */

static void put_indicator(struct vz_json_writer *w, const char *name, const char *status,
                          const char *symptom)
{
    vz_json_key(w, name);
    vz_json_begin_object(w);
    vz_json_field_str(w, "status", status);
    vz_json_field_str(w, "symptom", symptom);
    vz_json_end_object(w);
}

/* Of what can be ill here: copies that have nowhere to go, and the disk. */
void vz_rest_health_report(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    struct vz_health health;
    struct statvfs disk;
    struct vz_slice only = call->args[0];
    if (only.len && !vz_slice_is(only, "shards_availability") && !vz_slice_is(only, "disk") &&
        !vz_slice_is(only, "master_is_stable")) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "Did not find indicator %.*s", VZ_S(only));
        return;
    }
    vz_health_of(call->store, call->arena, &health);
    bool full = statvfs(vz_store_path(call->store), &disk) == 0 && disk.f_blocks &&
                disk.f_bavail < disk.f_blocks / 20;
    const char *shards = health.unassigned ? "yellow" : "green";
    vz_json_begin_object(w);
    if (!only.len)
        vz_json_field_str(w, "status", full ? "red" : shards);
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_key(w, "indicators");
    vz_json_begin_object(w);
    if (!only.len || vz_slice_is(only, "master_is_stable"))
        put_indicator(w, "master_is_stable", "green", "The cluster has a stable master node");
    if (!only.len || vz_slice_is(only, "shards_availability")) {
        struct vz_slice symptom = vz_call_format(
            call,
            health.unassigned ? "This cluster has %llu unavailable replica shards."
                              : "This cluster has all shards available.",
            (unsigned long long)health.unassigned);
        vz_json_key(w, "shards_availability");
        vz_json_begin_object(w);
        vz_json_field_str(w, "status", shards);
        vz_json_field_string(w, "symptom", symptom);
        vz_json_end_object(w);
    }
    if (!only.len || vz_slice_is(only, "disk"))
        put_indicator(w, "disk", full ? "red" : "green",
                      full ? "Less than a twentieth of the data folder's disk is free."
                           : "The cluster has enough available disk space.");
    vz_json_end_object(w);
    vz_json_end_object(w);
}
