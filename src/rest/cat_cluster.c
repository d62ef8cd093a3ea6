/* The _cat tables about templates, the node and what its shards are made of. */
#include "rest/cat.h"
#include "rest/template.h"

#include <stdio.h>
#include <sys/statvfs.h>

/* ---- templates ----------------------------------------------------------------------------- */

static void add_member(struct vz_cat_table *t, struct vz_json body, const char *key)
{
    struct vz_json value;
    struct vz_buf text = {0};
    if (vz_json_get(body, key, &value)) {
        vz_json_print(value, &text);
        vz_cat_text(t, vz_buf_slice(&text));
    } else {
        vz_cat_str(t, "");
    }
    vz_buf_deinit(&text);
}

static void add_list(struct vz_cat_table *t, struct vz_json body, const char *key)
{
    struct vz_json list;
    struct vz_buf text = {0};
    if (vz_json_get(body, key, &list))
        vz_template_print_list(list, &text);
    vz_cat_text(t, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

void vz_rest_cat_templates(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"name", "n", "template name", false, false},
        {"index_patterns", "t", "template index patterns", false, false},
        {"order", "o,p", "template application order/priority number", false, false},
        {"version", "v", "version", false, false},
        {"composed_of", "c", "component templates comprising index template", false, false},
    };
    struct vz_slice kinds[] = {VZ_KIND_LEGACY_TEMPLATE, VZ_KIND_INDEX_TEMPLATE}, *names, missing;
    struct vz_cat_table t;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    for (size_t k = 0; k < VZ_COUNT_OF(kinds); k++) {
        size_t count = vz_template_names(call, kinds[k], call->args[0], &names, &missing);
        for (size_t i = 0; i < count; i++) {
            struct vz_template found;
            if (vz_template_open(call, kinds[k], names[i], &found)) {
                vz_cat_text(&t, names[i]);
                add_list(&t, found.body, "index_patterns");
                add_member(&t, found.body, k ? "priority" : "order");
                add_member(&t, found.body, "version");
                add_list(&t, found.body, "composed_of");
            }
            vz_template_close(&found);
        }
    }
    vz_cat_print(&t);
}

/* How many members settings, mappings, aliases of a component have. */
static uint64_t members(struct vz_json body, const char *path)
{
    struct vz_json part;
    return vz_json_get_path(body, path, &part) ? vz_json_count(part) : 0;
}

void vz_rest_cat_components(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"name", "n", "component template name", false, false},
        {"version", "v", "version", false, false},
        {"alias_count", "a", "number of aliases", false, true},
        {"mapping_count", "m", "number of mappings", false, true},
        {"settings_count", "s", "number of settings", false, true},
        {"metadata_count", "me", "number of metadata", false, true},
        {"included_in", "i", "included in index templates", false, false},
    };
    struct vz_slice *names, *users, missing;
    struct vz_cat_table t;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    size_t count =
        vz_template_names(call, VZ_KIND_COMPONENT_TEMPLATE, call->args[0], &names, &missing);
    size_t user_count =
        vz_store_blob_names(call->store, VZ_KIND_INDEX_TEMPLATE, call->arena, &users);
    for (size_t i = 0; i < count; i++) {
        struct vz_template found;
        struct vz_buf in = {0};
        if (!vz_template_open(call, VZ_KIND_COMPONENT_TEMPLATE, names[i], &found))
            continue;
        for (size_t u = 0; u < user_count; u++) {
            struct vz_template user;
            struct vz_json list, item;
            if (vz_template_open(call, VZ_KIND_INDEX_TEMPLATE, users[u], &user) &&
                vz_json_get(user.body, "composed_of", &list)) {
                struct vz_json_iter it = vz_json_iterate(list);
                while (vz_json_next(&it, NULL, &item))
                    if (vz_slice_eq(vz_json_string(item), names[i]))
                        vz_buf_printf(&in, "%s%.*s", in.len ? ", " : "", VZ_S(users[u]));
            }
            vz_template_close(&user);
        }
        vz_cat_text(&t, names[i]);
        add_member(&t, found.body, "version");
        vz_cat_number(&t, members(found.body, "template.aliases"));
        vz_cat_number(&t, members(found.body, "template.mappings"));
        vz_cat_number(&t, members(found.body, "template.settings.index"));
        vz_cat_number(&t, members(found.body, "_meta"));
        vz_cat_text(&t, vz_call_format(call, "[%.*s]", VZ_S(vz_buf_slice(&in))));
        vz_buf_deinit(&in);
        vz_template_close(&found);
    }
    vz_cat_print(&t);
}

/* ---- the node ------------------------------------------------------------------------------ */

void vz_rest_cat_master(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"id", "", "node id", false, false},
        {"host", "h", "host name", false, false},
        {"ip", "", "ip address ", false, false},
        {"node", "n", "node name", false, false},
    };
    struct vz_cat_table t;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    vz_cat_str(&t, call->rest->node_id);
    vz_cat_text(&t, vz_publish_ip(call));
    vz_cat_text(&t, vz_publish_ip(call));
    vz_cat_str(&t, call->rest->node_name);
    vz_cat_print(&t);
}

/* There are none, and tables without rows say so. */
void vz_rest_cat_plugins(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"id", "", "unique node id", true, false},
        {"name", "n", "node name", false, false},
        {"component", "c", "component", false, false},
        {"version", "v", "component version", false, false},
        {"description", "d", "plugin details", true, false},
    };
    struct vz_cat_table t;
    if (vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        vz_cat_print(&t);
}

void vz_rest_cat_pending_tasks(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"insertOrder", "o", "task insertion order", false, true},
        {"timeInQueue", "t", "how long task has been in queue", false, true},
        {"priority", "p", "task priority", false, false},
        {"source", "s", "task source", false, false},
    };
    struct vz_cat_table t;
    if (vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        vz_cat_print(&t);
}

void vz_rest_cat_allocation(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"shards", "s", "number of shards on node", false, true},
        {"disk.indices", "di,diskIndices", "disk used by ES indices", false, true},
        {"disk.used", "du,diskUsed", "disk used (total, not just ES)", false, true},
        {"disk.avail", "da,diskAvail", "disk available", false, true},
        {"disk.total", "dt,diskTotal", "total capacity of all volumes", false, true},
        {"disk.percent", "dp,diskPercent", "percent disk used", false, true},
        {"host", "h", "host of node", false, false},
        {"ip", "", "ip of node", false, false},
        {"node", "n", "name of node", false, false},
        {"node.role", "r,role,nodeRole", "node roles", false, false},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    struct statvfs disk = {0};
    uint64_t bytes = 0;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, (struct vz_slice){"", 0}, VZ_RESOLVE_EVERY | VZ_RESOLVE_CLOSED, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        vz_index_stats(found.indices[i], &stats);
        bytes += stats.disk_bytes;
    }
    size_t shards = found.count;
    vz_resolved_release(&found);
    if (statvfs(vz_store_path(call->store), &disk) != 0)
        disk = (struct statvfs){0};
    uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t avail = (uint64_t)disk.f_bavail * disk.f_frsize;
    vz_cat_number(&t, shards);
    vz_cat_bytes(&t, bytes);
    vz_cat_bytes(&t, total - VZ_MIN(avail, total));
    vz_cat_bytes(&t, avail);
    vz_cat_bytes(&t, total);
    vz_cat_number(&t, total ? (total - VZ_MIN(avail, total)) * 100 / total : 0);
    vz_cat_text(&t, vz_publish_ip(call));
    vz_cat_text(&t, vz_publish_ip(call));
    vz_cat_str(&t, call->rest->node_name);
    vz_cat_str(&t, "dim");
    vz_cat_print(&t);
}

/* Requests of all kinds run in one pool; the one that asks is among those that run. */
void vz_rest_cat_thread_pool(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"node_name", "nn", "node name", false, false},
        {"node_id", "id", "persistent node id", true, false},
        {"ip", "i", "ip address", true, false},
        {"name", "n", "thread pool name", false, false},
        {"type", "t", "thread pool type", true, false},
        {"active", "a", "number of active threads", false, true},
        {"size", "sz", "number of threads", true, true},
        {"queue", "q", "number of tasks currently in queue", false, true},
        {"rejected", "r", "number of rejected tasks", false, true},
    };
    struct vz_cat_table t;
    struct vz_slice *parts, name = VZ_SLICE("generic");
    size_t count = vz_split(call->arena, call->args[0], &parts);
    bool shown = count == 0;
    int free_places = 0;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    for (size_t i = 0; i < count; i++)
        shown |= vz_wildcard_match(parts[i], name);
    unsigned places = call->rest->has_places ? call->rest->place_count : vz_cpu_count();
    if (call->rest->has_places)
        sem_getvalue(&call->rest->places, &free_places);
    if (shown) {
        unsigned active = call->rest->has_places && free_places >= 0 &&
                                  (unsigned)free_places < places
                              ? places - (unsigned)free_places
                              : 1;
        vz_cat_str(&t, call->rest->node_name);
        vz_cat_str(&t, call->rest->node_id);
        vz_cat_text(&t, vz_publish_ip(call));
        vz_cat_text(&t, name);
        vz_cat_str(&t, "fixed");
        vz_cat_number(&t, active);
        vz_cat_number(&t, places);
        vz_cat_number(&t, 0);
        vz_cat_number(&t, 0);
    }
    vz_cat_print(&t);
}

/* ---- shards -------------------------------------------------------------------------------- */

void vz_rest_cat_segments(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"index", "i,idx", "index name", false, false},
        {"shard", "s,sh", "shard name", false, false},
        {"prirep", "p,pr,primaryOrReplica", "primary or replica", false, false},
        {"ip", "", "ip of node where it lives", false, false},
        {"id", "", "unique id of node where it lives", true, false},
        {"segment", "seg", "segment name", false, false},
        {"generation", "g,gen", "segment generation", false, true},
        {"docs.count", "dc,docsCount", "number of docs in segment", false, true},
        {"docs.deleted", "dd,docsDeleted", "number of deleted docs in segment", false, true},
        {"size", "si", "segment size in bytes", false, true},
        {"size.memory", "sm,sizeMemory", "segment memory in bytes", false, true},
        {"committed", "ic,isCommitted", "is segment committed", false, false},
        {"searchable", "is,isSearchable", "is segment searched", false, false},
        {"version", "v,ver", "version", false, false},
        {"compound", "ico,isCompound", "is segment compound", false, false},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_EVERY, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        uint64_t generation = vz_index_generation_number(found.indices[i]);
        vz_index_stats(found.indices[i], &stats);
        if (stats.docs + stats.deleted == 0)
            continue;
        vz_cat_text(&t, vz_index_name(found.indices[i]));
        vz_cat_number(&t, 0);
        vz_cat_str(&t, "p");
        vz_cat_text(&t, vz_publish_ip(call));
        vz_cat_str(&t, call->rest->node_id);
        vz_cat_text(&t, vz_call_format(call, "_%llu", (unsigned long long)generation));
        vz_cat_number(&t, generation);
        vz_cat_number(&t, stats.docs);
        vz_cat_number(&t, stats.deleted);
        vz_cat_bytes(&t, stats.disk_bytes);
        vz_cat_bytes(&t, stats.memory_bytes);
        vz_cat_str(&t, "true");
        vz_cat_str(&t, "true");
        vz_cat_str(&t, VZ_VERSION);
        vz_cat_str(&t, "false");
    }
    vz_resolved_release(&found);
    vz_cat_print(&t);
}

void vz_rest_cat_recovery(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"index", "i,idx", "index name", false, false},
        {"shard", "s,sh", "shard name", false, false},
        {"type", "ty", "recovery type", false, false},
        {"stage", "st", "recovery stage", false, false},
        {"source_host", "shost", "source host", false, false},
        {"source_node", "snode", "source node name", false, false},
        {"target_host", "thost", "target host", false, false},
        {"target_node", "tnode", "target node name", false, false},
        {"bytes", "b", "number of bytes to recover", false, true},
        {"bytes_recovered", "br", "bytes recovered", false, true},
        {"bytes_percent", "bp", "percent of bytes recovered", false, true},
        {"bytes_total", "tb", "total number of bytes", false, true},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_EVERY, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        vz_index_stats(found.indices[i], &stats);
        vz_cat_text(&t, vz_index_name(found.indices[i]));
        vz_cat_number(&t, 0);
        vz_cat_str(&t, "existing_store");
        vz_cat_str(&t, "done");
        vz_cat_str(&t, "n/a");
        vz_cat_str(&t, "n/a");
        vz_cat_text(&t, vz_publish_ip(call));
        vz_cat_str(&t, call->rest->node_name);
        vz_cat_number(&t, 0);
        vz_cat_number(&t, 0);
        vz_cat_str(&t, "100.0%");
        vz_cat_number(&t, stats.disk_bytes);
    }
    vz_resolved_release(&found);
    vz_cat_print(&t);
}
