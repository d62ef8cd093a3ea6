/* store/synonyms.c - see the header. Which index uses a set is read off the settings in the
 * registry, so that asking does not open indices. */
#include "store/synonyms.h"

#include "store/index.h"

#include <stdlib.h>

#define FILTERS "index.analysis.filter."
#define ANALYZERS "index.analysis.analyzer."

bool vz_synonyms_rules(void *store, struct vz_slice set, struct vz_buf *rules)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, rule;
    bool found = store && set.len && vz_store_get_blob(store, VZ_KIND_SYNONYMS, set, &text) &&
                 vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK;
    if (found) {
        struct vz_json_iter it = vz_json_iterate(root);
        while (vz_json_next(&it, NULL, &rule)) {
            vz_buf_append_slice(rules, vz_json_string(rule));
            vz_buf_append_char(rules, '\n');
        }
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return found;
}

/* ---- who uses a set ------------------------------------------------------------------------ */

struct finding {
    struct vz_store *store;
    struct vz_arena *arena;
    struct vz_slice set;
    struct vz_synonym_use *uses;
    size_t count, capacity;
};

/* The name between a prefix and a suffix of a settings key: "index.analysis.filter.NAME.type". */
static bool middle(const char *key, const char *prefix, const char *suffix, struct vz_slice *name)
{
    size_t len = strlen(key), before = strlen(prefix), behind = strlen(suffix);
    if (len <= before + behind || strncmp(key, prefix, before) != 0 ||
        strcmp(key + len - behind, suffix) != 0)
        return false;
    *name = (struct vz_slice){key + before, len - before - behind};
    return true;
}

static const char *value_of(const struct vz_settings *settings, const char *prefix,
                            struct vz_slice name, const char *suffix)
{
    struct vz_buf key = {0};
    const char *value = NULL;
    vz_buf_printf(&key, "%s%.*s%s", prefix, (int)name.len, name.ptr, suffix);
    for (size_t i = 0; i < settings->count && !value; i++)
        if (strcmp(settings->list[i].key, key.data) == 0)
            value = settings->list[i].value;
    vz_buf_deinit(&key);
    return value;
}

/* Whether a JSON text is the string `name`, or a list with it. */
static bool names(const char *json, struct vz_slice name)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, item;
    bool found = false;
    if (vz_json_parse(vz_slice_from(json), &doc, &root, NULL) != VZ_OK)
        return false;
    struct vz_json_iter it = vz_json_iterate(root);
    if (vz_json_type(root) == VZ_JSON_STRING)
        found = vz_slice_eq(vz_json_string(root), name);
    else
        while (!found && vz_json_next(&it, NULL, &item))
            found = vz_slice_eq(vz_json_string(item), name);
    vz_json_free(doc);
    return found;
}

static void add_analyzers(struct finding *f, const struct vz_settings *settings,
                          struct vz_slice filter, struct vz_synonym_use *use)
{
    struct vz_slice analyzer;
    for (size_t i = 0; i < settings->count; i++) {
        if (!middle(settings->list[i].key, ANALYZERS, ".filter", &analyzer) ||
            !names(settings->list[i].value, filter))
            continue;
        bool there = false;
        for (size_t j = 0; j < use->analyzer_count; j++)
            there |= vz_slice_eq(use->analyzers[j], analyzer);
        if (!there)
            use->analyzers[use->analyzer_count++] = vz_arena_copy(f->arena, analyzer);
    }
}

static void look_at(void *finding_void, struct vz_slice name, const struct vz_index_entry *entry)
{
    struct finding *f = finding_void;
    const struct vz_settings *settings = &entry->settings;
    struct vz_synonym_use use = {0};
    struct vz_slice filter;
    for (size_t i = 0; i < settings->count; i++) {
        if (!middle(settings->list[i].key, FILTERS, ".synonyms_set", &filter) ||
            (f->set.len && !names(settings->list[i].value, f->set)))
            continue;
        if (!use.analyzers) {
            use = (struct vz_synonym_use){.index = vz_arena_copy(f->arena, name),
                                          .open = !entry->closed};
            use.analyzers =
                vz_arena_alloc(f->arena, (settings->count + 1) * sizeof *use.analyzers);
        }
        const char *updateable = value_of(settings, FILTERS, filter, ".updateable");
        if (updateable && strcmp(updateable, "\"true\"") == 0) {
            use.updateable = true;
            add_analyzers(f, settings, filter, &use);
        }
    }
    if (!use.analyzers)
        return;
    if (f->count == f->capacity) {
        size_t capacity = VZ_MAX(f->capacity * 2, (size_t)8);
        struct vz_synonym_use *grown = vz_arena_alloc(f->arena, capacity * sizeof *grown);
        if (f->count)
            memcpy(grown, f->uses, f->count * sizeof *grown);
        f->uses = grown;
        f->capacity = capacity;
    }
    f->uses[f->count++] = use;
}

size_t vz_synonym_uses(struct vz_store *store, struct vz_arena *arena, struct vz_slice set,
                       struct vz_synonym_use **uses)
{
    struct finding f = {.store = store, .arena = arena, .set = set};
    vz_registry_each(store, look_at, &f, NULL);
    *uses = f.uses;
    return f.count;
}

enum vz_status vz_synonyms_reload(struct vz_store *store, struct vz_slice name,
                                  struct vz_error *err)
{
    pthread_mutex_lock(&store->lock);
    vz_store_await_opening(store, name); /* it may have read the rules that were */
    struct vz_index *index = vz_store_find_locked(store, name);
    if (index)
        vz_index_acquire(index);
    pthread_mutex_unlock(&store->lock);
    if (!index)
        return VZ_OK;
    enum vz_status status = vz_index_reload_analysis(index, err);
    vz_index_release(index);
    return status;
}
