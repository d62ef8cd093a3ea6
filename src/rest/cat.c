/* The _cat tables: columns with names, aliases and alignment; text for people, JSON for programs.
 */
#include "rest/cat.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- rows ---------------------------------------------------------------------------------- */

static struct vz_cat_cell *add_cell(struct vz_cat_table *t)
{
    if (t->filled == 0 && t->row_count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 16;
        struct vz_cat_cell *cells =
            vz_arena_alloc(t->call->arena, capacity * t->column_count * sizeof *cells);
        if (t->row_count)
            memcpy(cells, t->cells, t->row_count * t->column_count * sizeof *cells);
        t->cells = cells;
        t->capacity = capacity;
    }
    struct vz_cat_cell *cell = &t->cells[t->row_count * t->column_count + t->filled];
    if (++t->filled == t->column_count) {
        t->filled = 0;
        t->row_count++;
    }
    return cell;
}

void vz_cat_text(struct vz_cat_table *t, struct vz_slice text)
{
    *add_cell(t) = (struct vz_cat_cell){CELL_TEXT, vz_arena_copy(t->call->arena, text), 0};
}

void vz_cat_str(struct vz_cat_table *t, const char *text)
{
    vz_cat_text(t, vz_slice_from(text));
}

void vz_cat_number(struct vz_cat_table *t, uint64_t number)
{
    *add_cell(t) = (struct vz_cat_cell){
        CELL_NUMBER, vz_call_format(t->call, "%llu", (unsigned long long)number), (double)number};
}

void vz_cat_null(struct vz_cat_table *t)
{
    *add_cell(t) = (struct vz_cat_cell){CELL_NULL, {"", 0}, 0};
}

/* Elasticsearch prints sizes with one decimal and no trailing ".0": 1.2kb, 3mb. */
static struct vz_slice human_bytes(struct vz_call *call, uint64_t bytes)
{
    static const char *const units[] = {"b", "kb", "mb", "gb", "tb", "pb"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < VZ_COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    char digits[32];
    snprintf(digits, sizeof digits, "%.1f", (double)(uint64_t)(value * 10) / 10);
    size_t len = strlen(digits);
    if (len > 2 && digits[len - 1] == '0')
        digits[len - 2] = '\0';
    return vz_call_format(call, "%s%s", digits, units[unit]);
}

void vz_cat_bytes(struct vz_cat_table *t, uint64_t bytes)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"b", 0},   {"k", 10}, {"kb", 10}, {"m", 20}, {"mb", 20}, {"g", 30},
                 {"gb", 30}, {"t", 40}, {"tb", 40}, {"p", 50}, {"pb", 50}};
    struct vz_slice unit, text = {NULL, 0};
    if (vz_call_param(t->call, "bytes", &unit))
        for (size_t i = 0; i < VZ_COUNT_OF(units); i++)
            if (vz_slice_is(unit, units[i].name))
                text =
                    vz_call_format(t->call, "%llu", (unsigned long long)(bytes >> units[i].shift));
    if (!text.len)
        text = human_bytes(t->call, bytes);
    *add_cell(t) = (struct vz_cat_cell){CELL_BYTES, text, (double)bytes};
}

/* ---- choosing columns and order ------------------------------------------------------------ */

struct shown {
    size_t column;
    struct vz_slice name; /* as asked for: an alias stays one */
};

static bool has_alias(const struct vz_cat_column *column, struct vz_slice name, bool pattern)
{
    struct vz_slice rest = vz_slice_from(column->aliases);
    while (rest.len) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct vz_slice one = {rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len};
        if (pattern ? vz_wildcard_match(name, one) : vz_slice_eq(name, one))
            return true;
        size_t skip = comma ? one.len + 1 : one.len;
        rest.ptr += skip;
        rest.len -= skip;
    }
    return false;
}

static bool find_column(const struct vz_cat_table *t, struct vz_slice name, size_t *found)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (vz_slice_is(name, t->columns[i].name)) {
            *found = i;
            return true;
        }
    }
    for (size_t i = 0; i < t->column_count; i++) {
        if (has_alias(&t->columns[i], name, false)) {
            *found = i;
            return true;
        }
    }
    return false;
}

static size_t choose_columns(struct vz_cat_table *t, struct shown *shown)
{
    struct vz_slice list, *names;
    size_t count = 0, at;
    if (!vz_call_param(t->call, "h", &list)) {
        for (size_t i = 0; i < t->column_count; i++) {
            const char *name = t->columns[i].name;
            bool is_time = strcmp(name, "epoch") == 0 || strcmp(name, "timestamp") == 0;
            if (!t->columns[i].hidden && !(is_time && !vz_call_bool(t->call, "ts", true)))
                shown[count++] = (struct shown){i, vz_slice_from(name)};
        }
        return count;
    }
    size_t name_count = vz_split(t->call->arena, list, &names);
    for (size_t i = 0; i < name_count && count < VZ_CAT_MAX_COLUMNS; i++) {
        if (memchr(names[i].ptr, '*', names[i].len)) {
            for (size_t j = 0; j < t->column_count && count < VZ_CAT_MAX_COLUMNS; j++)
                if (vz_wildcard_match(names[i], vz_slice_from(t->columns[j].name)) ||
                    has_alias(&t->columns[j], names[i], true))
                    shown[count++] = (struct shown){j, vz_slice_from(t->columns[j].name)};
        } else if (find_column(t, names[i], &at)) {
            shown[count++] = (struct shown){at, names[i]};
        }
    }
    return count;
}

struct order {
    const struct vz_cat_table *table;
    size_t columns[VZ_CAT_MAX_COLUMNS];
    bool reverse[VZ_CAT_MAX_COLUMNS];
    size_t count;
};

static int compare_cells(const struct vz_cat_cell *a, const struct vz_cat_cell *b)
{
    if (a->kind == CELL_NULL || b->kind == CELL_NULL)
        return (a->kind != CELL_NULL) - (b->kind != CELL_NULL);
    if (a->kind != CELL_TEXT)
        return (a->number > b->number) - (a->number < b->number);
    return vz_slice_cmp(a->text, b->text);
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct order *order = context;
    const struct vz_cat_table *t = order->table;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    for (size_t i = 0; i < order->count; i++) {
        size_t column = order->columns[i];
        int c = compare_cells(&t->cells[x * t->column_count + column],
                              &t->cells[y * t->column_count + column]);
        if (c)
            return order->reverse[i] ? -c : c;
    }
    return (x > y) - (x < y);
}

static size_t *sort_rows(struct vz_cat_table *t)
{
    struct vz_slice list, *names;
    size_t *rows = vz_arena_alloc(t->call->arena, (t->row_count + 1) * sizeof *rows);
    for (size_t i = 0; i < t->row_count; i++)
        rows[i] = i;
    if (!vz_call_param(t->call, "s", &list))
        return rows;
    struct order order = {.table = t};
    size_t count = vz_split(t->call->arena, list, &names);
    for (size_t i = 0; i < count && order.count < VZ_CAT_MAX_COLUMNS; i++) {
        struct vz_slice name = names[i];
        bool reverse = name.len > 5 && memcmp(name.ptr + name.len - 5, ":desc", 5) == 0;
        if (reverse)
            name.len -= 5;
        else if (name.len > 4 && memcmp(name.ptr + name.len - 4, ":asc", 4) == 0)
            name.len -= 4;
        if (!find_column(t, name, &order.columns[order.count])) {
            vz_call_fail(t->call, 400, "unsupported_operation_exception",
                         "Unable to sort by unknown sort key `%.*s`", VZ_S(name));
            return rows;
        }
        order.reverse[order.count++] = reverse;
    }
    qsort_r(rows, t->row_count, sizeof *rows, compare_rows, &order);
    return rows;
}

/* ---- printing ------------------------------------------------------------------------------ */

static bool as_json(struct vz_call *call)
{
    struct vz_slice format;
    if (vz_call_param(call, "format", &format))
        return vz_slice_is(format, "json");
    return call->wants_json;
}

static void be_text(struct vz_call *call)
{
    call->is_text = true;
    call->response->content_type = "text/plain; charset=UTF-8";
}

static size_t width_of(struct vz_slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return width;
}

static void pad(struct vz_buf *out, struct vz_slice text, size_t width, bool right, bool last)
{
    size_t own = width_of(text), spaces = width > own ? width - own : 0;
    for (size_t i = 0; right && i < spaces; i++)
        vz_buf_append_char(out, ' ');
    vz_buf_append_slice(out, text);
    for (size_t i = 0; !right && !last && i < spaces; i++)
        vz_buf_append_char(out, ' ');
    vz_buf_append_char(out, last ? '\n' : ' ');
}

static void print_text(struct vz_cat_table *t, const struct shown *shown, size_t count, const size_t *rows)
{
    struct vz_buf *out = &t->call->response->body;
    bool verbose = vz_call_bool(t->call, "v", false);
    size_t widths[VZ_CAT_MAX_COLUMNS] = {0};
    be_text(t->call);
    for (size_t i = 0; i < count; i++) {
        widths[i] = verbose ? shown[i].name.len : 0;
        for (size_t r = 0; r < t->row_count; r++)
            widths[i] =
                VZ_MAX(widths[i], width_of(t->cells[r * t->column_count + shown[i].column].text));
    }
    for (size_t i = 0; verbose && i < count; i++)
        pad(out, shown[i].name, widths[i], t->columns[shown[i].column].right, i + 1 == count);
    for (size_t r = 0; r < t->row_count && count; r++)
        for (size_t i = 0; i < count; i++)
            pad(out, t->cells[rows[r] * t->column_count + shown[i].column].text, widths[i],
                t->columns[shown[i].column].right, i + 1 == count);
}

static void print_json(struct vz_cat_table *t, const struct shown *shown, size_t count, const size_t *rows)
{
    struct vz_json_writer *w = &t->call->w;
    vz_json_begin_array(w);
    for (size_t r = 0; r < t->row_count; r++) {
        vz_json_begin_object(w);
        for (size_t i = 0; i < count; i++) {
            const struct vz_cat_cell *cell = &t->cells[rows[r] * t->column_count + shown[i].column];
            vz_json_key_slice(w, shown[i].name);
            if (cell->kind == CELL_NULL)
                vz_json_put_null(w);
            else
                vz_json_put_string(w, cell->text);
        }
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void print_help(struct vz_call *call, const struct vz_cat_column *columns, size_t count)
{
    struct vz_buf *out = &call->response->body;
    size_t names = 0, aliases = 0;
    be_text(call);
    for (size_t i = 0; i < count; i++) {
        names = VZ_MAX(names, strlen(columns[i].name));
        aliases = VZ_MAX(aliases, strlen(columns[i].aliases));
    }
    for (size_t i = 0; i < count; i++)
        vz_buf_printf(out, "%-*s | %-*s | %s\n", (int)names, columns[i].name, (int)aliases,
                      columns[i].aliases, columns[i].description);
}

void vz_cat_print(struct vz_cat_table *t)
{
    struct shown shown[VZ_CAT_MAX_COLUMNS];
    size_t count = choose_columns(t, shown);
    size_t *rows = sort_rows(t);
    if (t->call->problem.status)
        return;
    if (as_json(t->call))
        print_json(t, shown, count, rows);
    else
        print_text(t, shown, count, rows);
}

/* Answers ?help; else readies the table. */
bool vz_cat_begin(struct vz_cat_table *t, struct vz_call *call, const struct vz_cat_column *columns, size_t count)
{
    if (vz_call_bool(call, "help", false)) {
        print_help(call, columns, count);
        return false;
    }
    *t = (struct vz_cat_table){.call = call, .columns = columns, .column_count = count};
    return true;
}

/* ---- the tables ---------------------------------------------------------------------------- */

void vz_rest_cat(struct vz_call *call)
{
    struct vz_buf *out = &call->response->body;
    be_text(call);
    vz_buf_append_str(out, "=^.^=\n");
    for (size_t i = 0; i < vz_route_count; i++)
        if (strncmp(vz_routes[i].path, "/_cat/", 6) == 0 && vz_routes[i].handle)
            vz_buf_printf(out, "%s\n", vz_routes[i].path);
}

void vz_rest_cat_indices(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"health", "h", "current health status", false, false},
        {"status", "s", "open/close status", false, false},
        {"index", "i,idx", "index name", false, false},
        {"uuid", "id,uuid", "index uuid", false, false},
        {"pri", "p,shards.primary,shardsPrimary", "number of primary shards", false, true},
        {"rep", "r,shards.replica,shardsReplica", "number of replica shards", false, true},
        {"docs.count", "dc,docsCount", "available docs", false, true},
        {"docs.deleted", "dd,docsDeleted", "deleted docs", false, true},
        {"creation.date", "cd", "index creation date (millisecond value)", true, false},
        {"creation.date.string", "cds", "index creation date (as string)", true, false},
        {"store.size", "ss,storeSize", "store size of primaries & replicas", false, true},
        {"pri.store.size", "", "store size of primaries", false, true},
        {"dataset.size", "", "total size of dataset", false, true},
        {"indexing.index_total", "iito,indexingIndexTotal", "number of indexing ops", true, true},
        {"get.total", "gto,getTotal", "number of get ops", true, true},
        {"search.query_total", "sqto,searchQueryTotal", "total query phase ops", true, true},
        {"refresh.total", "rto,refreshTotal", "total refreshes", true, true},
        {"dense_vector.value_count", "dvc,denseVectorCount", "number of indexed dense vectors",
         true, true},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    struct vz_slice health;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_EVERY, &found))
        return;
    bool filter = vz_call_param(call, "health", &health);
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index *index = found.indices[i];
        struct vz_index_stats stats;
        char created[32];
        unsigned replicas = vz_index_replicas(index);
        const char *state = replicas ? "yellow" : "green";
        if (filter && !vz_slice_is(health, state))
            continue;
        vz_index_stats(index, &stats);
        vz_format_iso_ms(vz_index_created_ms(index), created, sizeof created);
        vz_cat_str(&t, state);
        bool closed = vz_index_is_closed(index);
        vz_cat_str(&t, closed ? "close" : "open");
        vz_cat_text(&t, vz_index_name(index));
        vz_cat_str(&t, vz_index_uuid(index));
        vz_cat_number(&t, 1);
        vz_cat_number(&t, replicas);
        if (closed) {
            vz_cat_null(&t);
            vz_cat_null(&t);
        } else {
            vz_cat_number(&t, stats.docs);
            vz_cat_number(&t, stats.deleted);
        }
        vz_cat_number(&t, (uint64_t)vz_index_created_ms(index));
        vz_cat_str(&t, created);
        vz_cat_bytes(&t, stats.disk_bytes);
        vz_cat_bytes(&t, stats.disk_bytes);
        vz_cat_bytes(&t, stats.disk_bytes);
        vz_cat_number(&t, stats.index_total);
        vz_cat_number(&t, stats.get_total);
        vz_cat_number(&t, stats.search_total);
        vz_cat_number(&t, stats.refresh_total);
        vz_cat_number(&t, stats.rows);
    }
    vz_resolved_release(&found);
    vz_cat_print(&t);
}

static void add_clock(struct vz_cat_table *t)
{
    int64_t now = vz_wall_ms() / 1000;
    char clock[16];
    snprintf(clock, sizeof clock, "%02d:%02d:%02d", (int)(now / 3600 % 24), (int)(now / 60 % 60),
             (int)(now % 60));
    vz_cat_number(t, (uint64_t)now);
    vz_cat_str(t, clock);
}

void vz_rest_cat_count(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"epoch", "t,time", "seconds since 1970-01-01 00:00:00, that the count was executed", false,
         false},
        {"timestamp", "ts,hms", "time that the count was executed", false, false},
        {"count", "dc,docs.count,docsCount", "the document count", false, false},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &found))
        return;
    uint64_t docs = 0;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        vz_index_stats(found.indices[i], &stats);
        docs += stats.docs;
    }
    vz_resolved_release(&found);
    add_clock(&t);
    vz_cat_number(&t, docs);
    vz_cat_print(&t);
}

void vz_rest_cat_health(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"epoch", "t,time", "seconds since 1970-01-01 00:00:00", false, false},
        {"timestamp", "ts,hms,hhmmss", "time in HH:MM:SS", false, false},
        {"cluster", "cl", "cluster name", false, false},
        {"status", "st", "health status", false, false},
        {"node.total", "nt,nodeTotal", "total number of nodes", false, true},
        {"node.data", "nd,nodeData", "number of nodes that can store data", false, true},
        {"shards", "t,sh,shards.total,shardsTotal", "total number of shards", false, true},
        {"pri", "p,shards.primary,shardsPrimary", "number of primary shards", false, true},
        {"relo", "r,shards.relocating,shardsRelocating", "number of relocating nodes", false, true},
        {"init", "i,shards.initializing,shardsInitializing", "number of initializing nodes", false,
         true},
        {"unassign", "u,shards.unassigned,shardsUnassigned", "number of unassigned shards", false,
         true},
        {"unassign.pri", "up,shards.unassigned.primary,shardsUnassignedPrimary",
         "number of unassigned primary shards", false, true},
        {"pending_tasks", "pt,pendingTasks", "number of pending tasks", false, true},
        {"max_task_wait_time", "mtwt,maxTaskWaitTime", "wait time of longest task pending", false,
         true},
        {"active_shards_percent", "asp,activeShardsPercent", "active number of shards in percent",
         false, true},
    };
    struct vz_cat_table t;
    struct vz_health health;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    vz_health_of(call->store, call->arena, &health);
    add_clock(&t);
    vz_cat_str(&t, call->rest->cluster_name);
    vz_cat_str(&t, health.unassigned ? "yellow" : "green");
    vz_cat_number(&t, 1);
    vz_cat_number(&t, 1);
    vz_cat_number(&t, health.indices);
    vz_cat_number(&t, health.indices);
    vz_cat_number(&t, 0);
    vz_cat_number(&t, 0);
    vz_cat_number(&t, health.unassigned);
    vz_cat_number(&t, 0);
    vz_cat_number(&t, 0);
    vz_cat_str(&t, "-");
    vz_cat_text(&t, vz_call_format(call, "%.1f%%", health.active_percent));
    vz_cat_print(&t);
}

void vz_rest_cat_aliases(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"alias", "a", "alias name", false, false},
        {"index", "i,idx", "index alias points to", false, false},
        {"filter", "f,fi", "filter", false, false},
        {"routing.index", "ri,routingIndex", "index routing", false, false},
        {"routing.search", "rs,routingSearch", "search routing", false, false},
        {"is_write_index", "w,isWriteIndex", "write index", false, false},
    };
    struct vz_cat_table t;
    struct vz_alias *aliases;
    struct vz_slice *names;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    size_t count = vz_store_aliases(call->store, call->arena, &aliases);
    size_t name_count = vz_split(call->arena, call->args[0], &names);
    for (size_t i = 0; i < count; i++) {
        const struct vz_alias *alias = &aliases[i];
        bool named = name_count == 0;
        for (size_t j = 0; j < name_count; j++)
            named |= vz_slice_is(names[j], "_all") || vz_wildcard_match(names[j], alias->name);
        if (!named)
            continue;
        vz_cat_text(&t, alias->name);
        vz_cat_text(&t, alias->index);
        vz_cat_str(&t, alias->filter.len ? "*" : "-");
        vz_cat_text(&t, alias->index_routing.len ? alias->index_routing : VZ_SLICE("-"));
        vz_cat_text(&t, alias->search_routing.len ? alias->search_routing : VZ_SLICE("-"));
        vz_cat_str(&t, alias->has_write_index ? (alias->is_write_index ? "true" : "false") : "-");
    }
    vz_cat_print(&t);
}

void vz_rest_cat_nodes(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"id", "id,nodeId", "unique node id", true, false},
        {"ip", "i", "ip address", false, false},
        {"http_address", "http", "bound http address", true, false},
        {"version", "v", "es version", true, false},
        {"heap.percent", "hp,heapPercent", "used heap ratio", false, true},
        {"ram.percent", "rp,ramPercent", "used machine memory ratio", false, true},
        {"cpu", "cpu", "recent cpu usage", false, true},
        {"load_1m", "l", "1m load avg", false, true},
        {"load_5m", "l", "5m load avg", false, true},
        {"load_15m", "l", "15m load avg", false, true},
        {"uptime", "u", "node uptime", true, true},
        {"node.role", "r,role,nodeRole", "m:master eligible node, d:data node, i:ingest node",
         false, false},
        {"master", "m", "*:current master", false, false},
        {"name", "n", "node name", false, false},
    };
    struct vz_cat_table t;
    double load[3] = {0};
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    if (getloadavg(load, 3) != 3)
        load[0] = load[1] = load[2] = 0;
    const struct vz_memory memory = vz_memory_read();
    char id[5];
    snprintf(id, sizeof id, "%.4s", call->rest->node_id);
    vz_cat_str(&t, vz_slice_is(vz_call_text(call, "full_id"), "true") ? call->rest->node_id : id);
    vz_cat_text(&t, vz_publish_ip(call));
    vz_cat_text(&t, vz_slice_from(vz_publish_address(call->rest)));
    vz_cat_str(&t, VZ_ES_VERSION);
    vz_cat_number(&t, memory.total ? memory.resident * 100 / memory.total : 0);
    vz_cat_number(&t, memory.total ? (memory.total - memory.available) * 100 / memory.total : 0);
    vz_cat_null(&t);
    for (size_t i = 0; i < 3; i++)
        vz_cat_text(&t, vz_call_format(call, "%.2f", load[i]));
    vz_cat_text(&t, vz_call_format(
                     call, "%llus",
                     (unsigned long long)((vz_now_ns() - call->rest->started_ns) / 1000000000u)));
    vz_cat_str(&t, "dim");
    vz_cat_str(&t, "*");
    vz_cat_str(&t, call->rest->node_name);
    vz_cat_print(&t);
}

void vz_rest_cat_shards(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"index", "i,idx", "index name", false, false},
        {"shard", "s,sh", "shard name", false, false},
        {"prirep", "p,pr,primaryOrReplica", "primary or replica", false, false},
        {"state", "st", "shard state", false, false},
        {"docs", "d,dc", "number of docs in shard", false, true},
        {"store", "sto", "store size of shard (how much disk it uses)", false, true},
        {"dataset", "", "total size of dataset", false, true},
        {"ip", "", "ip of node where it lives", false, false},
        {"id", "", "unique id of node where it lives", true, false},
        {"node", "n", "name of node where it lives", false, false},
    };
    struct vz_cat_table t;
    struct vz_resolved found;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)) ||
        !vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_EVERY, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        struct vz_index_stats stats;
        unsigned replicas = vz_index_replicas(found.indices[i]);
        vz_index_stats(found.indices[i], &stats);
        for (unsigned copy = 0; copy <= replicas && copy < 100; copy++) {
            vz_cat_text(&t, vz_index_name(found.indices[i]));
            vz_cat_number(&t, 0);
            vz_cat_str(&t, copy ? "r" : "p");
            vz_cat_str(&t, copy ? "UNASSIGNED" : "STARTED");
            if (copy) {
                for (int blank = 0; blank < 6; blank++)
                    vz_cat_null(&t);
                continue;
            }
            vz_cat_number(&t, stats.docs);
            vz_cat_bytes(&t, stats.disk_bytes);
            vz_cat_bytes(&t, stats.disk_bytes);
            vz_cat_text(&t, vz_publish_ip(call));
            vz_cat_str(&t, call->rest->node_id);
            vz_cat_str(&t, call->rest->node_name);
        }
    }
    vz_resolved_release(&found);
    vz_cat_print(&t);
}
