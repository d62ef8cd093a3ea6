/* store/registry.c - meta.mdb: which indices, aliases, mappings, settings and blobs there are.
 *
 * Small and seldom written; every change is one LMDB transaction with its sync. Keys and values are
 * described in docs/format/lmdb.md. Values are JSON, so that `mdb_dump` shows what is there.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/index.h"
#include "store/names.h"
#include "text/analysis.h"

#include <stdio.h>
#include <stdlib.h>

#define META_FORMAT "1"
#define META_CAP_BYTES ((size_t)4 << 30)
#define META_READERS 500
#define MAX_KEY_BYTES 511

static MDB_val val_of(struct vz_slice slice)
{
    union {
        const void *from;
        void *to;
    } unconst = {.from = slice.ptr};
    return (MDB_val){slice.len, unconst.to};
}

static struct vz_slice slice_of(const MDB_val *val)
{
    return (struct vz_slice){val->mv_data, val->mv_size};
}

static int put_text(MDB_txn *txn, MDB_dbi dbi, struct vz_slice key_text, struct vz_slice text)
{
    MDB_val key = val_of(key_text), value = val_of(text);
    return mdb_put(txn, dbi, &key, &value, 0);
}

/* key NUL other */
static struct vz_slice pair_key(struct vz_slice a, struct vz_slice b, char out[MAX_KEY_BYTES])
{
    if (a.len + b.len + 1 > MAX_KEY_BYTES)
        return (struct vz_slice){0};
    memcpy(out, a.ptr, a.len);
    out[a.len] = '\0';
    if (b.len)
        memcpy(out + a.len + 1, b.ptr, b.len);
    return (struct vz_slice){out, a.len + 1 + b.len};
}

static enum vz_status begin(struct vz_store *store, unsigned flags, MDB_txn **txn,
                            struct vz_error *err)
{
    int code = mdb_txn_begin(store->meta, NULL, flags, txn);
    return code ? vz_fail_lmdb(err, code, "opening the registry") : VZ_OK;
}

/* Commits when status is VZ_OK, aborts otherwise. */
static enum vz_status finish(const struct vz_store *store, MDB_txn *txn, enum vz_status status,
                             struct vz_error *err)
{
    if (status != VZ_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    int code = mdb_txn_commit(txn);
    return code ? vz_fail_commit(err, code, store->path, "writing the registry") : VZ_OK;
}

/* ---- the file ------------------------------------------------------------------------------ */

static int open_databases(struct vz_store *store, MDB_txn *txn)
{
    struct {
        const char *name;
        MDB_dbi *dbi;
    } list[] = {
        {"info", &store->info_db},         {"indices", &store->indices_db},
        {"mappings", &store->mappings_db}, {"aliases", &store->aliases_db},
        {"blobs", &store->blobs_db},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(list); i++) {
        int code = mdb_dbi_open(txn, list[i].name, MDB_CREATE, list[i].dbi);
        if (code)
            return code;
    }
    return 0;
}

static enum vz_status read_info(struct vz_store *store, MDB_txn *txn, struct vz_error *err)
{
    MDB_val key = val_of(VZ_SLICE("format")), value;
    int code = mdb_get(txn, store->info_db, &key, &value);
    if (code == MDB_NOTFOUND) {
        char uuid[23];
        vz_new_uuid(uuid);
        code = put_text(txn, store->info_db, VZ_SLICE("format"), VZ_SLICE(META_FORMAT));
        if (!code)
            code = put_text(txn, store->info_db, VZ_SLICE("cluster_uuid"), vz_slice_from(uuid));
    } else if (!code && !vz_slice_is(slice_of(&value), META_FORMAT)) {
        return vz_fail(err, VZ_CORRUPT,
                       "%s has format %.*s; this program knows format " META_FORMAT, store->path,
                       (int)value.mv_size, (const char *)value.mv_data);
    }
    if (code)
        return vz_fail_lmdb(err, code, "reading the registry");
    key = val_of(VZ_SLICE("cluster_uuid"));
    code = mdb_get(txn, store->info_db, &key, &value);
    if (code || value.mv_size >= sizeof store->cluster_uuid)
        return vz_fail(err, VZ_CORRUPT, "%s has no cluster uuid", store->path);
    memcpy(store->cluster_uuid, value.mv_data, value.mv_size);
    store->cluster_uuid[value.mv_size] = '\0';
    return VZ_OK;
}

enum vz_status vz_registry_open(struct vz_store *store, struct vz_error *err)
{
    struct vz_buf path = {0};
    MDB_txn *txn;
    vz_buf_printf(&path, "%s/meta.mdb", store->path);
    int code = mdb_env_create(&store->meta);
    if (!code)
        code = mdb_env_set_maxdbs(store->meta, 8);
    if (!code)
        code = mdb_env_set_mapsize(store->meta,
                                   vz_reserve_bytes(store->path, path.data, META_CAP_BYTES));
    enum vz_status status =
        code ? vz_fail_lmdb(err, code, path.data)
             : vz_lmdb_open(store->meta, path.data, MDB_NOSUBDIR | MDB_NOTLS, META_READERS, err);
    vz_buf_deinit(&path);
    if (status == VZ_OK)
        status = begin(store, 0, &txn, err);
    if (status != VZ_OK)
        return status;
    code = open_databases(store, txn);
    status = code ? vz_fail_lmdb(err, code, "opening the registry") : read_info(store, txn, err);
    return finish(store, txn, status, err);
}

void vz_registry_close(struct vz_store *store)
{
    if (store->meta)
        mdb_env_close(store->meta);
    store->meta = NULL;
}

/* ---- indices ------------------------------------------------------------------------------- */

static enum vz_status parse_entry(struct vz_slice text, struct vz_index_entry *entry,
                                  struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, member;
    enum vz_status status = vz_json_parse(text, &doc, &root, err);
    if (status != VZ_OK)
        return vz_fail(err, VZ_CORRUPT, "the registry holds an index that is no JSON");
    vz_settings_init(&entry->settings);
    if (vz_json_get(root, "uuid", &member))
        snprintf(entry->uuid, sizeof entry->uuid, "%.*s", (int)vz_json_string(member).len,
                 vz_json_string(member).ptr);
    if (vz_json_get(root, "generation", &member))
        entry->generation = (uint64_t)vz_json_int(member);
    if (vz_json_get(root, "created_ms", &member))
        entry->created_ms = vz_json_int(member);
    if (vz_json_get(root, "closed", &member))
        entry->closed = vz_json_bool(member);
    if (vz_json_get(root, "settings", &member))
        status = vz_settings_load(&entry->settings, member, err);
    vz_json_free(doc);
    return status;
}

/* With the index's own analyzers. Settings that do not compile (they were checked when they were
 * set) leave the built-in ones: the index opens. */
static enum vz_status load_mapping(struct vz_store *store, struct vz_slice text,
                                   const struct vz_index_entry *entry,
                                   struct vz_mapping **mapping, struct vz_error *err)
{
    struct vz_analysis *analysis = NULL;
    struct vz_error why = {0};
    if (vz_settings_analysis(store, &entry->settings, &analysis, &why) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "[%.*s]: its analyzers are left out: %s",
               (int)entry->name.len, entry->name.ptr, why.text);
    enum vz_status status = vz_mapping_load_with(text, analysis, mapping, err);
    vz_analysis_release(analysis);
    struct vz_mapping_rules rules;
    if (status == VZ_OK &&
        vz_settings_mapping_rules(&entry->settings, false, &rules, NULL) == VZ_OK)
        vz_mapping_set_rules(*mapping, &rules);
    return status;
}

enum vz_status vz_registry_get(struct vz_store *store, struct vz_slice name,
                               struct vz_index_entry *entry, struct vz_mapping **mapping,
                               struct vz_error *err)
{
    MDB_txn *txn;
    MDB_val key = val_of(name), value;
    *entry = (struct vz_index_entry){.name = name}; /* callers deinit it after an error too */
    if (name.len == 0 || name.len > MAX_KEY_BYTES)
        return vz_fail(err, VZ_NO_INDEX, "no such index [%.*s]", (int)name.len, name.ptr);
    enum vz_status status = begin(store, MDB_RDONLY, &txn, err);
    if (status != VZ_OK)
        return status;
    int code = mdb_get(txn, store->indices_db, &key, &value);
    if (code == MDB_NOTFOUND)
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%.*s]", (int)name.len, name.ptr);
    else if (code)
        status = vz_fail_lmdb(err, code, "reading the registry");
    if (status == VZ_OK)
        status = parse_entry(slice_of(&value), entry, err);
    if (status == VZ_OK && mapping) {
        key = val_of(vz_slice_from(entry->uuid));
        code = mdb_get(txn, store->mappings_db, &key, &value);
        status =
            code ? vz_fail(err, VZ_CORRUPT, "index [%.*s] has no mapping", (int)name.len, name.ptr)
                 : load_mapping(store, slice_of(&value), entry, mapping, err);
    }
    mdb_txn_abort(txn);
    if (status != VZ_OK)
        vz_settings_deinit(&entry->settings);
    return status;
}

static void print_entry(const struct vz_index_entry *entry, struct vz_buf *out)
{
    struct vz_buf settings = {0};
    vz_settings_save(&entry->settings, &settings);
    vz_buf_printf(out, "{\"uuid\":\"%s\",\"generation\":%llu,\"created_ms\":%lld,%s\"settings\":%s}",
                  entry->uuid, (unsigned long long)entry->generation, (long long)entry->created_ms,
                  entry->closed ? "\"closed\":true," : "", settings.data);
    vz_buf_deinit(&settings);
}

static void print_alias(const struct vz_alias *alias, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    if (alias->filter.len) {
        vz_json_key(&w, "filter");
        vz_json_put_raw(&w, alias->filter);
    }
    if (alias->index_routing.len)
        vz_json_field_string(&w, "index_routing", alias->index_routing);
    if (alias->search_routing.len)
        vz_json_field_string(&w, "search_routing", alias->search_routing);
    if (alias->has_write_index)
        vz_json_field_bool(&w, "is_write_index", alias->is_write_index);
    if (alias->is_hidden)
        vz_json_field_bool(&w, "is_hidden", true);
    vz_json_end_object(&w);
}

/* First index an alias points to, or empty. */
static bool has_alias(struct vz_store *store, MDB_txn *txn, struct vz_slice name)
{
    char bytes[MAX_KEY_BYTES];
    struct vz_slice prefix = pair_key(name, (struct vz_slice){0}, bytes);
    MDB_cursor *cursor;
    MDB_val key = val_of(prefix), value;
    if (!prefix.ptr || mdb_cursor_open(txn, store->aliases_db, &cursor) != 0)
        return false;
    bool found = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE) == 0 &&
                 key.mv_size >= prefix.len && memcmp(key.mv_data, prefix.ptr, prefix.len) == 0;
    mdb_cursor_close(cursor);
    return found;
}

static enum vz_status put_alias(struct vz_store *store, MDB_txn *txn, const struct vz_alias *alias,
                                struct vz_error *err)
{
    char bytes[MAX_KEY_BYTES];
    enum vz_status status = vz_alias_name_check(alias->name, err);
    if (status != VZ_OK)
        return status;
    MDB_val key = val_of(alias->name), value;
    if (mdb_get(txn, store->indices_db, &key, &value) == 0)
        return vz_fail(err, VZ_BAD_NAME,
                       "Invalid alias name [%.*s]: an index or data stream exists with the same "
                       "name as the alias",
                       (int)alias->name.len, alias->name.ptr);
    key = val_of(alias->index);
    if (alias->index.len == 0 || mdb_get(txn, store->indices_db, &key, &value) != 0)
        return vz_fail(err, VZ_NO_INDEX, "no such index [%.*s]", (int)alias->index.len,
                       alias->index.ptr);
    struct vz_slice pair = pair_key(alias->name, alias->index, bytes);
    if (!pair.ptr)
        return vz_fail(err, VZ_BAD_NAME, "alias name [%.*s] is too long", (int)alias->name.len,
                       alias->name.ptr);
    struct vz_buf text = {0};
    print_alias(alias, &text);
    int code = put_text(txn, store->aliases_db, pair, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return code ? vz_fail_lmdb(err, code, "writing an alias") : VZ_OK;
}

static enum vz_status check_new_name(struct vz_store *store, MDB_txn *txn, struct vz_slice name,
                                     struct vz_error *err)
{
    MDB_val key = val_of(name), value;
    int code = mdb_get(txn, store->indices_db, &key, &value);
    if (code == 0) {
        struct vz_index_entry there = {0};
        if (parse_entry(slice_of(&value), &there, NULL) != VZ_OK)
            there.uuid[0] = '\0';
        vz_settings_deinit(&there.settings);
        return vz_fail(err, VZ_EXISTS, "index [%.*s/%s] already exists", (int)name.len, name.ptr,
                       there.uuid);
    }
    if (code != MDB_NOTFOUND)
        return vz_fail_lmdb(err, code, "reading the registry");
    if (has_alias(store, txn, name))
        return vz_fail(err, VZ_BAD_NAME, "Invalid index name [%.*s], already exists as alias",
                       (int)name.len, name.ptr);
    return VZ_OK;
}

/* An index that was deleted may have a change under way while its name is taken by a new one: only
 * the uuid tells whose entry it is. */
static enum vz_status check_same_index(struct vz_store *store, MDB_txn *txn,
                                       const struct vz_index_entry *entry, struct vz_error *err)
{
    MDB_val key = val_of(entry->name), value;
    struct vz_index_entry there = {0};
    int code = mdb_get(txn, store->indices_db, &key, &value);
    if (code && code != MDB_NOTFOUND)
        return vz_fail_lmdb(err, code, "reading the registry");
    enum vz_status status = code ? VZ_OK : parse_entry(slice_of(&value), &there, err);
    if (status == VZ_OK && (code || strcmp(there.uuid, entry->uuid) != 0))
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%.*s]", (int)entry->name.len,
                         entry->name.ptr);
    vz_settings_deinit(&there.settings);
    return status;
}

enum vz_status vz_registry_put(struct vz_store *store, const struct vz_index_entry *entry,
                               const struct vz_mapping *mapping, const struct vz_alias *aliases,
                               size_t alias_count, bool create, struct vz_error *err)
{
    MDB_txn *txn;
    struct vz_buf text = {0}, fields = {0};
    enum vz_status status = begin(store, 0, &txn, err);
    if (status != VZ_OK)
        return status;
    status = create ? check_new_name(store, txn, entry->name, err)
                    : check_same_index(store, txn, entry, err);
    if (status == VZ_OK) {
        print_entry(entry, &text);
        if (mapping)
            vz_mapping_save(mapping, &fields);
        int code = put_text(txn, store->indices_db, entry->name, vz_buf_slice(&text));
        if (!code && mapping)
            code = put_text(txn, store->mappings_db, vz_slice_from(entry->uuid),
                            vz_buf_slice(&fields));
        if (code)
            status = vz_fail_lmdb(err, code, "writing the registry");
    }
    for (size_t i = 0; status == VZ_OK && i < alias_count; i++)
        status = put_alias(store, txn, &aliases[i], err);
    vz_buf_deinit(&text);
    vz_buf_deinit(&fields);
    status = finish(store, txn, status, err);
    atomic_fetch_add(&store->changes, 1);
    return status;
}

/* Removes the aliases of one index. */
static int remove_aliases_of(struct vz_store *store, MDB_txn *txn, struct vz_slice index)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(txn, store->aliases_db, &cursor);
    if (code)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const char *nul = memchr(key.mv_data, '\0', key.mv_size);
        struct vz_slice target = {nul + 1, key.mv_size - (size_t)(nul + 1 - (char *)key.mv_data)};
        if (vz_slice_eq(target, index) && (code = mdb_cursor_del(cursor, 0)) != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static enum vz_status remove_index(struct vz_store *store, MDB_txn *txn, struct vz_slice name,
                                   struct vz_error *err)
{
    MDB_val key = val_of(name), value;
    struct vz_index_entry entry = {0};
    int code = name.len ? mdb_get(txn, store->indices_db, &key, &value) : MDB_NOTFOUND;
    if (code == MDB_NOTFOUND)
        return vz_fail(err, VZ_NO_INDEX, "no such index [%.*s]", (int)name.len, name.ptr);
    if (code)
        return vz_fail_lmdb(err, code, "reading the registry");
    enum vz_status status = parse_entry(slice_of(&value), &entry, err);
    vz_settings_deinit(&entry.settings);
    if (status != VZ_OK)
        return status;
    MDB_val uuid = val_of(vz_slice_from(entry.uuid));
    code = mdb_del(txn, store->indices_db, &key, NULL);
    if (!code)
        code = mdb_del(txn, store->mappings_db, &uuid, NULL);
    if (!code || code == MDB_NOTFOUND)
        code = remove_aliases_of(store, txn, name);
    return code ? vz_fail_lmdb(err, code, "writing the registry") : VZ_OK;
}

enum vz_status vz_registry_remove(struct vz_store *store, struct vz_slice name,
                                  struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = begin(store, 0, &txn, err);
    if (status != VZ_OK)
        return status;
    status = finish(store, txn, remove_index(store, txn, name, err), err);
    atomic_fetch_add(&store->changes, 1);
    return status;
}

enum vz_status vz_registry_each(struct vz_store *store,
                                void (*each)(void *context, struct vz_slice name,
                                             const struct vz_index_entry *entry),
                                void *context, struct vz_error *err)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    enum vz_status status = begin(store, MDB_RDONLY, &txn, err);
    if (status != VZ_OK)
        return status;
    int code = mdb_cursor_open(txn, store->indices_db, &cursor);
    if (code == 0) {
        while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
            struct vz_index_entry entry = {0};
            enum vz_status one = parse_entry(slice_of(&value), &entry, err);
            if (one == VZ_OK)
                each(context, slice_of(&key), &entry);
            else
                status = one;
            vz_settings_deinit(&entry.settings);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? status : vz_fail_lmdb(err, code, "reading the registry");
}

/* ---- aliases ------------------------------------------------------------------------------- */

static void read_alias(struct vz_json body, struct vz_arena *arena, struct vz_alias *alias)
{
    struct vz_json member;
    if (vz_json_get(body, "filter", &member) && vz_json_type(member) == VZ_JSON_OBJECT) {
        struct vz_buf text = {0};
        vz_json_print(member, &text);
        alias->filter = vz_arena_copy(arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
    }
    if (vz_json_get(body, "routing", &member))
        alias->index_routing = alias->search_routing = vz_arena_copy(arena, vz_json_string(member));
    if (vz_json_get(body, "index_routing", &member))
        alias->index_routing = vz_arena_copy(arena, vz_json_string(member));
    if (vz_json_get(body, "search_routing", &member))
        alias->search_routing = vz_arena_copy(arena, vz_json_string(member));
    if (vz_json_get(body, "is_write_index", &member))
        alias->has_write_index = vz_json_as_bool(member, &alias->is_write_index);
    if (vz_json_get(body, "is_hidden", &member))
        vz_json_as_bool(member, &alias->is_hidden);
}

enum vz_status vz_registry_read_aliases(struct vz_json body, struct vz_slice index,
                                        struct vz_arena *arena, struct vz_alias **aliases,
                                        size_t *count, struct vz_error *err)
{
    *count = 0;
    *aliases = vz_arena_zalloc(arena, (vz_json_count(body) + 1) * sizeof **aliases);
    if (vz_json_type(body) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "[aliases] must be an object");
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice name;
    struct vz_json value;
    while (vz_json_next(&it, &name, &value)) {
        struct vz_alias *alias = &(*aliases)[(*count)++];
        alias->name = vz_arena_copy(arena, name);
        alias->index = index;
        read_alias(value, arena, alias);
    }
    return VZ_OK;
}

size_t vz_store_aliases(struct vz_store *store, struct vz_arena *arena, struct vz_alias **aliases)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_stat stat = {0};
    size_t count = 0;
    *aliases = NULL;
    if (begin(store, MDB_RDONLY, &txn, NULL) != VZ_OK)
        return 0;
    mdb_stat(txn, store->aliases_db, &stat);
    *aliases = vz_arena_zalloc(arena, (stat.ms_entries + 1) * sizeof **aliases);
    if (mdb_cursor_open(txn, store->aliases_db, &cursor) == 0) {
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            struct vz_json_doc *doc;
            struct vz_json root;
            struct vz_slice pair = vz_arena_copy(arena, slice_of(&key));
            const char *nul = memchr(pair.ptr, '\0', pair.len);
            struct vz_alias *alias = &(*aliases)[count++];
            alias->name = (struct vz_slice){pair.ptr, (size_t)(nul - pair.ptr)};
            alias->index = (struct vz_slice){nul + 1, pair.len - alias->name.len - 1};
            if (vz_json_parse(slice_of(&value), &doc, &root, NULL) == VZ_OK) {
                read_alias(root, arena, alias);
                vz_json_free(doc);
            }
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return count;
}

static enum vz_status remove_alias(struct vz_store *store, MDB_txn *txn,
                                   const struct vz_alias_action *action, struct vz_error *err)
{
    char bytes[MAX_KEY_BYTES];
    struct vz_slice pair = pair_key(action->alias.name, action->alias.index, bytes);
    MDB_val key = val_of(pair);
    int code = pair.ptr ? mdb_del(txn, store->aliases_db, &key, NULL) : MDB_NOTFOUND;
    if (code == MDB_NOTFOUND && !action->must_exist)
        return VZ_OK;
    if (code == MDB_NOTFOUND)
        return vz_fail(err, VZ_NOT_FOUND, "aliases [%.*s] missing", (int)action->alias.name.len,
                       action->alias.name.ptr);
    return code ? vz_fail_lmdb(err, code, "removing an alias") : VZ_OK;
}

static enum vz_status run_actions(struct vz_store *store, MDB_txn *txn,
                                  const struct vz_alias_action *actions, size_t count,
                                  struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    /* As Elasticsearch: indices go first, so that an alias may take a removed index's name. */
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        if (actions[i].verb == VZ_ALIAS_REMOVE_INDEX)
            status = remove_index(store, txn, actions[i].alias.index, err);
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        if (actions[i].verb == VZ_ALIAS_ADD)
            status = put_alias(store, txn, &actions[i].alias, err);
        else if (actions[i].verb == VZ_ALIAS_REMOVE)
            status = remove_alias(store, txn, &actions[i], err);
    }
    return status;
}

enum vz_status vz_store_update_aliases(struct vz_store *store,
                                       const struct vz_alias_action *actions, size_t count,
                                       struct vz_error *err)
{
    struct gone {
        struct vz_index *index;
        char uuid[24];
    } *gone = vz_calloc(count + 1, sizeof *gone);
    MDB_txn *txn;
    pthread_mutex_lock(&store->lock);
    /* Where the lock was let go, one that was looked at may be being opened by now. */
    for (size_t i = 0; i < count;)
        i = actions[i].verb == VZ_ALIAS_REMOVE_INDEX &&
                    vz_store_await_opening(store, actions[i].alias.index)
                ? 0
                : i + 1;
    for (size_t i = 0; i < count; i++) {
        struct vz_index_entry entry;
        if (actions[i].verb == VZ_ALIAS_REMOVE_INDEX &&
            vz_registry_get(store, actions[i].alias.index, &entry, NULL, NULL) == VZ_OK) {
            memcpy(gone[i].uuid, entry.uuid, sizeof gone[i].uuid);
            vz_settings_deinit(&entry.settings);
        }
    }
    enum vz_status status = begin(store, 0, &txn, err);
    if (status == VZ_OK)
        status = finish(store, txn, run_actions(store, txn, actions, count, err), err);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        if (gone[i].uuid[0])
            gone[i].index = vz_store_detach_locked(store, actions[i].alias.index);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        if (gone[i].uuid[0] && !gone[i].index)
            gone[i].index = vz_store_take_closing_locked(store, gone[i].uuid);
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        if (gone[i].uuid[0])
            vz_store_dispose(store, gone[i].index, gone[i].uuid);
    free(gone);
    return status;
}

/* ---- blobs --------------------------------------------------------------------------------- */

static enum vz_status blob_key(struct vz_slice kind, struct vz_slice name,
                               char bytes[MAX_KEY_BYTES], MDB_val *key, struct vz_error *err)
{
    struct vz_slice pair = pair_key(kind, name, bytes);
    if (!pair.ptr)
        return vz_fail(err, VZ_LIMIT, "name [%.*s...] is too long", 32, name.ptr);
    *key = val_of(pair);
    return VZ_OK;
}

enum vz_status vz_store_put_blob(struct vz_store *store, struct vz_slice kind, struct vz_slice name,
                                 struct vz_slice value, struct vz_error *err)
{
    char bytes[MAX_KEY_BYTES];
    MDB_val key, data = val_of(value);
    MDB_txn *txn;
    enum vz_status status = blob_key(kind, name, bytes, &key, err);
    if (status == VZ_OK)
        status = begin(store, 0, &txn, err);
    if (status != VZ_OK)
        return status;
    int code = mdb_put(txn, store->blobs_db, &key, &data, 0);
    return finish(store, txn, code ? vz_fail_lmdb(err, code, "writing the registry") : VZ_OK, err);
}

bool vz_store_get_blob(struct vz_store *store, struct vz_slice kind, struct vz_slice name,
                       struct vz_buf *value)
{
    char bytes[MAX_KEY_BYTES];
    MDB_val key, data;
    MDB_txn *txn;
    if (blob_key(kind, name, bytes, &key, NULL) != VZ_OK ||
        begin(store, MDB_RDONLY, &txn, NULL) != VZ_OK)
        return false;
    bool found = mdb_get(txn, store->blobs_db, &key, &data) == 0;
    if (found)
        vz_buf_append(value, data.mv_data, data.mv_size);
    mdb_txn_abort(txn);
    return found;
}

enum vz_status vz_store_delete_blob(struct vz_store *store, struct vz_slice kind,
                                    struct vz_slice name, struct vz_error *err)
{
    char bytes[MAX_KEY_BYTES];
    MDB_val key;
    MDB_txn *txn;
    enum vz_status status = blob_key(kind, name, bytes, &key, err);
    if (status == VZ_OK)
        status = begin(store, 0, &txn, err);
    if (status != VZ_OK)
        return status;
    int code = mdb_del(txn, store->blobs_db, &key, NULL);
    if (code == MDB_NOTFOUND)
        status = vz_fail(err, VZ_NOT_FOUND, "there is no %.*s [%.*s]", (int)kind.len, kind.ptr,
                         (int)name.len, name.ptr);
    else if (code)
        status = vz_fail_lmdb(err, code, "writing the registry");
    return finish(store, txn, status, err);
}

size_t vz_store_blob_names(struct vz_store *store, struct vz_slice kind, struct vz_arena *arena,
                           struct vz_slice **names)
{
    char bytes[MAX_KEY_BYTES];
    struct vz_slice prefix = pair_key(kind, (struct vz_slice){0}, bytes);
    MDB_val key = val_of(prefix), value;
    MDB_cursor *cursor = NULL;
    MDB_txn *txn = NULL;
    size_t count = 0, capacity = 16;
    *names = vz_arena_alloc(arena, capacity * sizeof **names);
    if (!prefix.ptr || begin(store, MDB_RDONLY, &txn, NULL) != VZ_OK)
        return 0;
    int code = mdb_cursor_open(txn, store->blobs_db, &cursor);
    for (MDB_cursor_op op = MDB_SET_RANGE; !code; op = MDB_NEXT) {
        code = mdb_cursor_get(cursor, &key, &value, op);
        if (code || key.mv_size < prefix.len || memcmp(key.mv_data, prefix.ptr, prefix.len) != 0)
            break;
        if (count == capacity) {
            struct vz_slice *more = vz_arena_alloc(arena, 2 * capacity * sizeof **names);
            memcpy(more, *names, count * sizeof **names);
            *names = more;
            capacity *= 2;
        }
        struct vz_slice name = {(const char *)key.mv_data + prefix.len, key.mv_size - prefix.len};
        (*names)[count++] = vz_arena_copy(arena, name);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return count;
}
