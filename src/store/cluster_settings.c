/* store/cluster_settings.c - see the header. Persistent settings are one flat JSON object in the
 * registry, so a change of several is one transaction. */
#include "store/cluster_settings.h"

#include "base/text.h"
#include "store/index.h"

#include <stdlib.h>

#define KIND VZ_SLICE("cluster")
#define NAME VZ_SLICE("settings")
#define MAX_SETTINGS 1000

enum kind { OBEYED, KEPT, REFUSED };
static const struct known {
    const char *key; /* a trailing '*' stands for anything */
    enum kind kind;
} known[] = {
    {"action.auto_create_index", OBEYED},
    {"action.destructive_requires_name", OBEYED},
    /* Where shards go and how they get there: there is one node. */
    {"cluster.routing.*", KEPT},
    {"cluster.info.*", KEPT},
    {"cluster.metadata.*", KEPT},
    {"cluster.no_master_block", KEPT},
    {"cluster.persistent_tasks.*", KEPT},
    {"cluster.remote.*", REFUSED},
    {"cluster.indices.close.enable", OBEYED},
    {"indices.recovery.*", KEPT},
    {"indices.lifecycle.*", KEPT},
    {"slm.*", KEPT},
    {"logger.*", KEPT},
    {"ingest.geoip.*", KEPT},
    {"xpack.monitoring.*", KEPT},
    {"search.max_buckets", REFUSED},
    {"search.allow_expensive_queries", REFUSED},
    {"search.default_search_timeout", REFUSED},
    {"search.default_keep_alive", REFUSED},
    {"search.max_keep_alive", REFUSED},
    {"search.max_open_scroll_context", REFUSED},
    {"search.max_async_search_response_size", REFUSED},
    {"search.default_allow_partial_results", REFUSED},
    {"cluster.max_shards_per_node", REFUSED},
    {"cluster.blocks.read_only", REFUSED},
    {"cluster.blocks.read_only_allow_delete", REFUSED},
    {"indices.breaker.*", REFUSED},
    {"network.breaker.*", REFUSED},
    {"script.*", REFUSED},
    {"http.*", REFUSED},
    {"xpack.*", REFUSED},
    {"stack.templates.enabled", REFUSED},
};

static const struct known *find_known(const char *key)
{
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_setting_matches(known[i].key, key))
            return &known[i];
    return NULL;
}

/* ---- reading and writing ------------------------------------------------------------------- */

static void load_flat(struct vz_slice text, struct vz_settings *settings)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, value;
    struct vz_slice key;
    if (vz_json_parse(text, &doc, &root, NULL) != VZ_OK)
        return;
    struct vz_json_iter it = vz_json_iterate(root);
    while (vz_json_next(&it, &key, &value)) {
        char *name = vz_strndup(key.ptr, key.len);
        struct vz_buf printed = {0};
        vz_json_print(value, &printed);
        vz_settings_set(settings, name, printed.data);
        vz_buf_deinit(&printed);
        free(name);
    }
    vz_json_free(doc);
}

/* cluster_lock held. */
static void load_locked(struct vz_store *store, bool transient, struct vz_settings *settings)
{
    struct vz_buf text = {0};
    *settings = (struct vz_settings){0};
    if (transient) {
        if (store->transient_settings)
            load_flat(vz_slice_from(store->transient_settings), settings);
    } else if (vz_store_get_blob(store, KIND, NAME, &text)) {
        load_flat(vz_buf_slice(&text), settings);
    }
    vz_buf_deinit(&text);
}

/* ---- changing ------------------------------------------------------------------------------ */

struct change {
    const char *label; /* "persistent" */
    struct vz_settings *all, *changed;
    struct vz_error *err;
};

static void reset(struct change *change, const char *key)
{
    struct vz_slice pattern = vz_slice_from(key);
    for (size_t i = 0; i < change->all->count;) {
        if (vz_wildcard_match(pattern, vz_slice_from(change->all->list[i].key))) {
            char *name = vz_strdup(change->all->list[i].key);
            vz_settings_set(change->all, name, NULL);
            free(name);
        } else {
            i++;
        }
    }
}

static enum vz_status check_value(const struct change *change, const char *key,
                                  struct vz_json value)
{
    bool flag;
    bool is_flag = strcmp(key, "action.destructive_requires_name") == 0 ||
                   strcmp(key, "cluster.indices.close.enable") == 0;
    if (is_flag && !vz_json_as_bool(value, &flag)) {
        struct vz_slice text = vz_json_string(value);
        return vz_fail(change->err, VZ_BAD_ARGUMENT,
                       "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                       (int)text.len, text.ptr ? text.ptr : "");
    }
    return VZ_OK;
}

/* Lists are kept as "a,b": nothing that is kept needs them apart. */
static void print_value(struct vz_json value, struct vz_buf *out)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(out);
    if (vz_json_type(value) == VZ_JSON_STRING) {
        vz_json_put_string(&w, vz_json_string(value));
        return;
    }
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        struct vz_json_iter it = vz_json_iterate(value);
        struct vz_json item;
        while (vz_json_next(&it, NULL, &item)) {
            if (text.len)
                vz_buf_append_char(&text, ',');
            if (vz_json_type(item) == VZ_JSON_STRING)
                vz_buf_append_slice(&text, vz_json_string(item));
            else
                vz_json_print(item, &text);
        }
    } else {
        vz_json_print(value, &text);
    }
    vz_json_put_string(&w, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static enum vz_status change_leaf(void *change_void, const char *key, struct vz_json value)
{
    struct change *change = change_void;
    const struct known *entry = find_known(key);
    if (vz_json_type(value) == VZ_JSON_NULL) {
        if (!entry && !strchr(key, '*'))
            return vz_fail(change->err, VZ_BAD_ARGUMENT, "%s setting [%s], not recognized",
                           change->label, key);
        reset(change, key);
        return VZ_OK;
    }
    if (!entry)
        return vz_fail(change->err, VZ_BAD_ARGUMENT, "%s setting [%s], not recognized",
                       change->label, key);
    if (entry->kind == REFUSED)
        return vz_fail(change->err, VZ_UNSUPPORTED,
                       "%s setting [%s] is not supported yet by vizsla", change->label, key);
    if (change->all->count >= MAX_SETTINGS)
        return vz_fail(change->err, VZ_LIMIT, "more than [%d] cluster settings", MAX_SETTINGS);
    enum vz_status status = check_value(change, key, value);
    struct vz_buf text = {0};
    if (status == VZ_OK) {
        print_value(value, &text);
        vz_settings_set(change->all, key, text.data);
        vz_settings_set(change->changed, key, text.data);
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status change_one(struct vz_json body, const char *label, struct vz_settings *all,
                                 struct vz_settings *changed, struct vz_error *err)
{
    struct vz_json part;
    struct change change = {label, all, changed, err};
    if (!vz_json_get(body, label, &part) || vz_json_type(part) != VZ_JSON_OBJECT)
        return VZ_OK;
    return vz_settings_walk("", part, change_leaf, &change);
}

enum vz_status vz_cluster_settings_put(struct vz_store *store, struct vz_json body,
                                       struct vz_buf *persistent, struct vz_buf *transient,
                                       struct vz_error *err)
{
    struct vz_settings kept, passing, kept_changed = {0}, passing_changed = {0};
    struct vz_buf text = {0};
    pthread_mutex_lock(&store->cluster_lock);
    load_locked(store, false, &kept);
    load_locked(store, true, &passing);
    enum vz_status status = change_one(body, "persistent", &kept, &kept_changed, err);
    if (status == VZ_OK)
        status = change_one(body, "transient", &passing, &passing_changed, err);
    if (status == VZ_OK) {
        vz_settings_save(&kept, &text);
        status = vz_store_put_blob(store, KIND, NAME, vz_buf_slice(&text), err);
    }
    if (status == VZ_OK) {
        vz_buf_clear(&text);
        vz_settings_save(&passing, &text);
        free(store->transient_settings);
        store->transient_settings = vz_buf_take(&text);
        vz_settings_print_nested(&kept_changed, persistent);
        vz_settings_print_nested(&passing_changed, transient);
    }
    pthread_mutex_unlock(&store->cluster_lock);
    vz_buf_deinit(&text);
    vz_settings_deinit(&kept);
    vz_settings_deinit(&passing);
    vz_settings_deinit(&kept_changed);
    vz_settings_deinit(&passing_changed);
    return status;
}

/* ---- looking ------------------------------------------------------------------------------- */

void vz_cluster_settings_print(struct vz_store *store, bool transient, bool flat,
                               struct vz_buf *out)
{
    struct vz_settings settings;
    pthread_mutex_lock(&store->cluster_lock);
    load_locked(store, transient, &settings);
    pthread_mutex_unlock(&store->cluster_lock);
    if (flat)
        vz_settings_save(&settings, out);
    else
        vz_settings_print_nested(&settings, out);
    vz_settings_deinit(&settings);
}

bool vz_cluster_setting(struct vz_store *store, const char *key, struct vz_buf *value)
{
    bool found = false;
    pthread_mutex_lock(&store->cluster_lock);
    for (int transient = 1; transient >= 0 && !found; transient--) {
        struct vz_settings settings;
        load_locked(store, transient, &settings);
        for (size_t i = 0; i < settings.count && !found; i++) {
            if (strcmp(settings.list[i].key, key) != 0)
                continue;
            struct vz_json_doc *doc = NULL;
            struct vz_json root;
            if (vz_json_parse(vz_slice_from(settings.list[i].value), &doc, &root, NULL) == VZ_OK) {
                vz_buf_append_slice(value, vz_json_string(root));
                vz_json_free(doc);
                found = true;
            }
        }
        vz_settings_deinit(&settings);
    }
    pthread_mutex_unlock(&store->cluster_lock);
    return found;
}
