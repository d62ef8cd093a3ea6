/* Counters as Prometheus text (exposition format 0.0.4). */
#include "rest/parts.h"

#include "base/thread.h"

static void help(struct vz_buf *out, const char *name, const char *type, const char *text)
{
    vz_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, text, name, type);
}

static void one(struct vz_buf *out, const char *name, const char *type, const char *text,
                uint64_t value)
{
    help(out, name, type, text);
    vz_buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static uint64_t load(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* "GET|POST" */
static void append_methods(struct vz_buf *out, unsigned methods)
{
    static const char *const names[] = {"GET", "POST", "PUT", "DELETE"};
    bool first = true;
    for (unsigned i = 0; i < VZ_COUNT_OF(names); i++) {
        if (!(methods & 1u << i))
            continue;
        vz_buf_printf(out, "%s%s", first ? "" : "|", names[i]);
        first = false;
    }
}

static void print_requests(struct vz_rest *rest, struct vz_buf *out)
{
    help(out, "vizsla_requests_total", "counter", "Requests answered, by status class.");
    for (int class = 1; class <= 5; class ++)
        vz_buf_printf(out, "vizsla_requests_total{status=\"%dxx\"} %llu\n", class,
                      (unsigned long long)load(&rest->requests_by_class[class]));
    help(out, "vizsla_route_requests_total", "counter", "Requests answered, by route.");
    for (size_t i = 0; i <= vz_route_count; i++) {
        uint64_t count = load(&rest->route_requests[i]);
        if (!count)
            continue;
        const char *path = i < vz_route_count ? vz_routes[i].path : "none";
        vz_buf_printf(out, "vizsla_route_requests_total{route=\"%s\",method=\"", path);
        append_methods(out, i < vz_route_count ? vz_routes[i].methods : 0);
        vz_buf_printf(out, "\"} %llu\n", (unsigned long long)count);
    }
}

static void print_latency(struct vz_rest *rest, struct vz_buf *out)
{
    uint64_t sum = 0;
    help(out, "vizsla_request_duration_seconds", "histogram", "Time to answer a request.");
    for (size_t i = 0; i <= VZ_LATENCY_BUCKETS; i++) {
        sum += load(&rest->latency[i]);
        if (i < VZ_LATENCY_BUCKETS)
            vz_buf_printf(out, "vizsla_request_duration_seconds_bucket{le=\"%g\"} %llu\n",
                          vz_latency_bounds_s[i], (unsigned long long)sum);
        else
            vz_buf_printf(out, "vizsla_request_duration_seconds_bucket{le=\"+Inf\"} %llu\n",
                          (unsigned long long)sum);
    }
    vz_buf_printf(out, "vizsla_request_duration_seconds_sum %.9f\n",
                  (double)load(&rest->latency_sum_ns) / 1e9);
    vz_buf_printf(out, "vizsla_request_duration_seconds_count %llu\n", (unsigned long long)sum);
}

/* Index names hold no quotes and no backslashes and so need no escaping in a label. */
static void print_indices(struct vz_call *call, struct vz_buf *out)
{
    static const struct {
        const char *name, *type, *text;
        size_t at;
    } metrics[] = {
        {"vizsla_index_docs", "gauge", "Documents visible to searches.",
         offsetof(struct vz_index_stats, docs)},
        {"vizsla_index_deleted_docs", "gauge", "Deleted documents not yet compacted away.",
         offsetof(struct vz_index_stats, deleted)},
        {"vizsla_index_vector_rows", "gauge", "Vectors stored.",
         offsetof(struct vz_index_stats, rows)},
        {"vizsla_index_graph_rows", "gauge", "Vectors in the graph; the others are scanned.",
         offsetof(struct vz_index_stats, rows_in_graph)},
        {"vizsla_index_disk_bytes", "gauge", "Bytes on disk.",
         offsetof(struct vz_index_stats, disk_bytes)},
        {"vizsla_index_memory_bytes", "gauge", "Bytes of memory.",
         offsetof(struct vz_index_stats, memory_bytes)},
        {"vizsla_index_indexed_total", "counter", "Documents indexed.",
         offsetof(struct vz_index_stats, index_total)},
        {"vizsla_index_searches_total", "counter", "Searches run.",
         offsetof(struct vz_index_stats, search_total)},
        {"vizsla_index_gets_total", "counter", "Documents read by id.",
         offsetof(struct vz_index_stats, get_total)},
        {"vizsla_index_commits_total", "counter", "Commits made durable.",
         offsetof(struct vz_index_stats, commit_total)},
    };
    struct vz_resolved found;
    if (!vz_resolve(call, (struct vz_slice){"", 0}, VZ_RESOLVE_EVERY, &found))
        return;
    struct vz_index_stats *stats = vz_arena_zalloc(call->arena, (found.count + 1) * sizeof *stats);
    for (size_t i = 0; i < found.count; i++)
        vz_index_stats(found.indices[i], &stats[i]);
    for (size_t m = 0; m < VZ_COUNT_OF(metrics); m++) {
        help(out, metrics[m].name, metrics[m].type, metrics[m].text);
        for (size_t i = 0; i < found.count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&stats[i] + metrics[m].at, sizeof value);
            vz_buf_printf(out, "%s{index=\"%.*s\"} %llu\n", metrics[m].name,
                          VZ_S(vz_index_name(found.indices[i])), (unsigned long long)value);
        }
    }
    vz_resolved_release(&found);
}

static void print_server(struct vz_rest *rest, struct vz_buf *out)
{
    const struct vz_http_server *server = atomic_load_explicit(&rest->server, memory_order_acquire);
    struct vz_http_counts counts;
    if (!server)
        return;
    vz_http_count(server, &counts);
    one(out, "vizsla_http_connections", "gauge", "Open connections.", counts.connections_open);
    one(out, "vizsla_http_connections_total", "counter", "Connections ever opened.",
        counts.connections_total);
    one(out, "vizsla_http_requests_total", "counter", "HTTP requests received.", counts.requests);
    one(out, "vizsla_http_rejected_total", "counter", "Requests refused before they were handled.",
        counts.rejected);
    one(out, "vizsla_http_queued", "gauge", "Requests waiting for a worker.", counts.queued);
    one(out, "vizsla_http_running", "gauge", "Requests being handled.", counts.running);
    one(out, "vizsla_http_received_bytes_total", "counter", "Bytes of bodies received.",
        counts.bytes_in);
    one(out, "vizsla_http_sent_bytes_total", "counter", "Bytes of bodies sent.", counts.bytes_out);
}

void vz_rest_metrics(struct vz_call *call)
{
    struct vz_buf *out = &call->response->body;
    struct vz_rest *rest = call->rest;
    call->is_text = true;
    call->response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    help(out, "vizsla_info", "gauge", "What runs here.");
    vz_buf_printf(out, "vizsla_info{version=\"%s\",api=\"%s\"} 1\n", VZ_VERSION, VZ_ES_VERSION);
    help(out, "vizsla_uptime_seconds", "gauge", "Seconds since the start.");
    vz_buf_printf(out, "vizsla_uptime_seconds %.3f\n",
                  (double)(vz_now_ns() - rest->started_ns) / 1e9);
    one(out, "vizsla_memory_resident_bytes", "gauge", "Resident memory of the process.",
        vz_memory_read().resident);
    print_requests(rest, out);
    print_latency(rest, out);
    one(out, "vizsla_bulk_items_total", "counter", "Items of bulk requests.",
        load(&rest->bulk_items));
    one(out, "vizsla_bulk_failed_items_total", "counter", "Items of bulk requests that failed.",
        load(&rest->bulk_failed));
    one(out, "vizsla_scrolls_open", "gauge", "Open scrolls.", vz_scrolls_open(rest->scrolls));
    print_indices(call, out);
    print_server(rest, out);
}
