/* The one node: who it is, where it listens, what it counted. */
#include "rest/parts.h"

#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* "MemTotal:   123 kB" of a /proc file, in bytes. */
static uint64_t proc_value(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[256];
    uint64_t bytes = 0;
    size_t len = strlen(key);
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, len) == 0 && line[len] == ':') {
            bytes = strtoull(line + len + 1, NULL, 10) * 1024;
            break;
        }
    }
    fclose(file);
    return bytes;
}

struct vz_memory vz_memory_read(void)
{
    return (struct vz_memory){.resident = proc_value("/proc/self/status", "VmRSS"),
                              .total = proc_value("/proc/meminfo", "MemTotal"),
                              .available = proc_value("/proc/meminfo", "MemAvailable")};
}

const char *vz_publish_address(const struct vz_rest *rest)
{
    bool attached = atomic_load_explicit(&rest->server, memory_order_acquire) != NULL;
    return attached && rest->publish_address ? rest->publish_address : "";
}

struct vz_slice vz_publish_ip(struct vz_call *call)
{
    const char *address = vz_publish_address(call->rest);
    const char *colon = strrchr(address, ':');
    if (!colon)
        return VZ_SLICE("127.0.0.1");
    return vz_arena_copy(call->arena, (struct vz_slice){address, (size_t)(colon - address)});
}

void vz_call_node(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, call->rest->node_id);
    vz_json_begin_object(w);
    vz_json_field_str(w, "name", call->rest->node_name);
    vz_json_field_str(w, "ephemeral_id", call->rest->node_id);
    vz_json_field_str(w, "transport_address", vz_publish_address(call->rest));
    vz_json_key(w, "attributes");
    vz_json_put_raw(w, VZ_SLICE("{}"));
    vz_json_key(w, "roles");
    vz_json_put_raw(w, VZ_SLICE("[\"data\",\"ingest\",\"master\",\"ml\"]"));
    vz_json_end_object(w);
}

/* ---- which parts --------------------------------------------------------------------------- */

static const char *const info_metrics[] = {"settings",    "os",           "process", "jvm",
                                           "thread_pool", "transport",    "http",    "plugins",
                                           "ingest",      "aggregations", "indices", "_all"};
static const char *const stats_metrics[] = {"indices",
                                            "os",
                                            "process",
                                            "jvm",
                                            "thread_pool",
                                            "fs",
                                            "transport",
                                            "http",
                                            "breaker",
                                            "breakers",
                                            "script",
                                            "discovery",
                                            "ingest",
                                            "adaptive_selection",
                                            "indexing_pressure",
                                            "_all"};

static bool is_metric(struct vz_slice name, const char *const *metrics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (vz_slice_is(name, metrics[i]))
            return true;
    return false;
}

static bool is_list_of(struct vz_call *call, struct vz_slice list, const char *const *metrics,
                       size_t metric_count)
{
    struct vz_slice *names;
    size_t count = vz_split(call->arena, list, &names);
    for (size_t i = 0; i < count; i++)
        if (!is_metric(names[i], metrics, metric_count))
            return false;
    return count > 0;
}

static bool wanted(struct vz_call *call, struct vz_slice metrics, const char *name)
{
    struct vz_slice *names;
    size_t count = vz_split(call->arena, metrics, &names);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_is(names[i], name) || vz_slice_is(names[i], "_all"))
            return true;
    return count == 0;
}

/* Whether a node expression ("_local", "_all", an id, a name, "master:true") means this node. */
static bool is_this_node(struct vz_call *call, struct vz_slice expression)
{
    static const char *const words[] = {"_all", "_local", "_master", "*"};
    struct vz_slice *names;
    size_t count = vz_split(call->arena, expression, &names);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < VZ_COUNT_OF(words); j++)
            if (vz_slice_is(names[i], words[j]))
                return true;
        if (vz_wildcard_match(names[i], vz_slice_from(call->rest->node_id)) ||
            vz_wildcard_match(names[i], vz_slice_from(call->rest->node_name)) ||
            vz_slice_eq(names[i], vz_publish_ip(call)) ||
            (names[i].len > 5 && memcmp(names[i].ptr + names[i].len - 5, ":true", 5) == 0))
            return true;
    }
    return count == 0;
}

static void begin_nodes(struct vz_call *call, bool here)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "_nodes");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total", here);
    vz_json_field_int(w, "successful", here);
    vz_json_field_int(w, "failed", 0);
    vz_json_end_object(w);
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_key(w, "nodes");
    vz_json_begin_object(w);
}

static void print_identity(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    vz_json_field_str(w, "name", call->rest->node_name);
    vz_json_field_str(w, "transport_address", vz_publish_address(call->rest));
    vz_json_field_string(w, "host", vz_publish_ip(call));
    vz_json_field_string(w, "ip", vz_publish_ip(call));
}

static void print_roles(struct vz_json_writer *w)
{
    vz_json_key(w, "roles");
    vz_json_put_raw(w, VZ_SLICE("[\"data\",\"ingest\",\"master\"]"));
    vz_json_key(w, "attributes");
    vz_json_put_raw(w, VZ_SLICE("{}"));
}

/* ---- info ---------------------------------------------------------------------------------- */

static void print_http_info(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    const char *address = vz_publish_address(call->rest);
    vz_json_key(w, "http");
    vz_json_begin_object(w);
    vz_json_key(w, "bound_address");
    vz_json_begin_array(w);
    vz_json_put_str(w, address);
    vz_json_end_array(w);
    vz_json_field_str(w, "publish_address", address);
    vz_json_field_int(w, "max_content_length_in_bytes", 104857600);
    vz_json_end_object(w);
}

static void print_node_info(struct vz_call *call, struct vz_slice metrics)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, call->rest->node_id);
    vz_json_begin_object(w);
    print_identity(call);
    vz_json_field_str(w, "version", VZ_ES_VERSION);
    vz_json_field_str(w, "build_flavor", "default");
    vz_json_field_str(w, "build_type", "deb");
    vz_json_field_str(w, "build_hash", VZ_BUILD_HASH);
    print_roles(w);
    if (wanted(call, metrics, "settings")) {
        vz_json_key(w, "settings");
        vz_json_begin_object(w);
        vz_json_field_str(w, "cluster.name", call->rest->cluster_name);
        vz_json_field_str(w, "node.name", call->rest->node_name);
        vz_json_end_object(w);
    }
    if (wanted(call, metrics, "os")) {
        vz_json_key(w, "os");
        vz_json_begin_object(w);
        vz_json_field_str(w, "name", "Linux");
        vz_json_field_int(w, "available_processors", vz_cpu_count());
        vz_json_field_int(w, "allocated_processors", vz_cpu_count());
        vz_json_end_object(w);
    }
    if (wanted(call, metrics, "process")) {
        vz_json_key(w, "process");
        vz_json_begin_object(w);
        vz_json_field_int(w, "id", getpid());
        vz_json_end_object(w);
    }
    if (wanted(call, metrics, "http"))
        print_http_info(call);
    if (wanted(call, metrics, "plugins")) {
        vz_json_key(w, "plugins");
        vz_json_put_raw(w, VZ_SLICE("[]"));
    }
    vz_json_end_object(w);
}

void vz_rest_nodes_info(struct vz_call *call)
{
    struct vz_slice node = {"", 0}, metrics = call->args[1];
    /* GET /_nodes/http names a part, GET /_nodes/NAME a node; Elasticsearch tells them apart so. */
    if (is_list_of(call, call->args[0], info_metrics, VZ_COUNT_OF(info_metrics)) &&
        metrics.len == 0 && !vz_slice_is(call->args[0], "_all"))
        metrics = call->args[0];
    else
        node = call->args[0];
    bool here = is_this_node(call, node);
    begin_nodes(call, here);
    if (here)
        print_node_info(call, metrics);
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
}

/* ---- stats --------------------------------------------------------------------------------- */

static void print_indices_stats(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_json_writer *w = &call->w;
    struct vz_index_stats sum = {0};
    if (!vz_resolve(call, (struct vz_slice){"", 0}, VZ_RESOLVE_EVERY, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        vz_index_stats(found.indices[i], &stats);
        sum.docs += stats.docs;
        sum.deleted += stats.deleted;
        sum.disk_bytes += stats.disk_bytes;
        sum.index_total += stats.index_total;
        sum.delete_total += stats.delete_total;
        sum.get_total += stats.get_total;
        sum.search_total += stats.search_total;
        sum.search_time_ns += stats.search_time_ns;
        sum.index_time_ns += stats.index_time_ns;
        sum.rows += stats.rows;
        sum.memory_bytes += stats.memory_bytes;
    }
    vz_resolved_release(&found);
    vz_json_key(w, "indices");
    vz_json_begin_object(w);
    vz_json_key(w, "docs");
    vz_json_begin_object(w);
    vz_json_field_int(w, "count", (int64_t)sum.docs);
    vz_json_field_int(w, "deleted", (int64_t)sum.deleted);
    vz_json_end_object(w);
    vz_json_key(w, "store");
    vz_json_begin_object(w);
    vz_json_field_int(w, "size_in_bytes", (int64_t)sum.disk_bytes);
    vz_json_end_object(w);
    vz_json_key(w, "indexing");
    vz_json_begin_object(w);
    vz_json_field_int(w, "index_total", (int64_t)sum.index_total);
    vz_json_field_int(w, "index_time_in_millis", (int64_t)(sum.index_time_ns / 1000000));
    vz_json_field_int(w, "delete_total", (int64_t)sum.delete_total);
    vz_json_end_object(w);
    vz_json_key(w, "get");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total", (int64_t)sum.get_total);
    vz_json_end_object(w);
    vz_json_key(w, "search");
    vz_json_begin_object(w);
    vz_json_field_int(w, "open_contexts", vz_scrolls_open(call->rest->scrolls));
    vz_json_field_int(w, "query_total", (int64_t)sum.search_total);
    vz_json_field_int(w, "query_time_in_millis", (int64_t)(sum.search_time_ns / 1000000));
    vz_json_end_object(w);
    vz_json_key(w, "dense_vector");
    vz_json_begin_object(w);
    vz_json_field_int(w, "value_count", (int64_t)sum.rows);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void print_machine_stats(struct vz_call *call, struct vz_slice metrics)
{
    struct vz_json_writer *w = &call->w;
    struct vz_memory memory = vz_memory_read();
    if (wanted(call, metrics, "os")) {
        vz_json_key(w, "os");
        vz_json_begin_object(w);
        vz_json_field_int(w, "timestamp", vz_wall_ms());
        vz_json_key(w, "mem");
        vz_json_begin_object(w);
        vz_json_field_int(w, "total_in_bytes", (int64_t)memory.total);
        vz_json_field_int(w, "free_in_bytes", (int64_t)memory.available);
        vz_json_field_int(w, "used_in_bytes", (int64_t)(memory.total - memory.available));
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    if (wanted(call, metrics, "process")) {
        vz_json_key(w, "process");
        vz_json_begin_object(w);
        vz_json_key(w, "mem");
        vz_json_begin_object(w);
        vz_json_field_int(w, "resident_in_bytes", (int64_t)memory.resident);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    /* There is no Java here; what monitoring reads from this part is the uptime. */
    if (wanted(call, metrics, "jvm")) {
        vz_json_key(w, "jvm");
        vz_json_begin_object(w);
        vz_json_field_int(w, "uptime_in_millis",
                          (int64_t)((vz_now_ns() - call->rest->started_ns) / 1000000));
        vz_json_key(w, "mem");
        vz_json_begin_object(w);
        vz_json_field_int(w, "heap_used_in_bytes", (int64_t)memory.resident);
        vz_json_field_int(w, "heap_max_in_bytes", (int64_t)memory.total);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
}

static void print_http_stats(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    struct vz_http_counts counts = {0};
    const struct vz_http_server *server =
        atomic_load_explicit(&call->rest->server, memory_order_acquire);
    if (server)
        vz_http_count(server, &counts);
    vz_json_key(w, "http");
    vz_json_begin_object(w);
    vz_json_field_int(w, "current_open", counts.connections_open);
    vz_json_field_int(w, "total_opened", (int64_t)counts.connections_total);
    vz_json_field_int(w, "requests", (int64_t)counts.requests);
    vz_json_field_int(w, "rejected", (int64_t)counts.rejected);
    vz_json_field_int(w, "queued", counts.queued);
    vz_json_field_int(w, "running", counts.running);
    vz_json_field_int(w, "bytes_in", (int64_t)counts.bytes_in);
    vz_json_field_int(w, "bytes_out", (int64_t)counts.bytes_out);
    vz_json_end_object(w);
}

void vz_rest_nodes_stats(struct vz_call *call)
{
    struct vz_slice node = {"", 0}, metrics = call->args[0];
    if (strncmp(call->route->path, "/_nodes/{node}", 14) == 0) {
        node = call->args[0];
        metrics = call->args[1];
    }
    if (metrics.len && !is_list_of(call, metrics, stats_metrics, VZ_COUNT_OF(stats_metrics))) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "request [%.*s] contains unrecognized metric: [%.*s]",
                     VZ_S(call->request->path), VZ_S(metrics));
        return;
    }
    bool here = is_this_node(call, node);
    begin_nodes(call, here);
    if (here) {
        struct vz_json_writer *w = &call->w;
        vz_json_key(w, call->rest->node_id);
        vz_json_begin_object(w);
        vz_json_field_int(w, "timestamp", vz_wall_ms());
        print_identity(call);
        print_roles(w);
        if (wanted(call, metrics, "indices"))
            print_indices_stats(call);
        print_machine_stats(call, metrics);
        if (wanted(call, metrics, "http"))
            print_http_stats(call);
        vz_json_end_object(w);
    }
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
}
