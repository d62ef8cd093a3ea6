/* store/templates.c - finding the templates for a name, and laying them over each other.
 *
 * Settings are merged key by key (vz_settings_merge, which checks them), aliases name by name.
 * Mappings are merged as JSON, since what is laid below another layer need not be compatible with
 * it. Composable: objects are merged, a field's definition is replaced as a whole. Legacy: members
 * are merged all the way down, as older versions did. */
#include "store/templates.h"

#include "base/text.h"
#include "store/cluster_settings.h"
#include "store/index.h"

#include <stdlib.h>

/* ---- patterns ------------------------------------------------------------------------------ */

#define MAX_PATTERN_BYTES 1024

/* row[j]: whether a's rest from i on and b's rest from j on meet; from the ends backwards. */
bool vz_patterns_meet(struct vz_slice a, struct vz_slice b)
{
    if (a.len > MAX_PATTERN_BYTES || b.len > MAX_PATTERN_BYTES)
        return true;
    bool row[MAX_PATTERN_BYTES + 1] = {false}, below[MAX_PATTERN_BYTES + 1] = {false};
    for (size_t i = a.len + 1; i-- > 0;) {
        memcpy(below, row, sizeof row);
        for (size_t j = b.len + 1; j-- > 0;) {
            bool star_a = i < a.len && a.ptr[i] == '*', star_b = j < b.len && b.ptr[j] == '*';
            if (i == a.len && j == b.len)
                row[j] = true;
            else if (star_a || star_b)
                row[j] = (i < a.len && (star_a || star_b) && below[j]) ||
                         (j < b.len && (star_a || star_b) && row[j + 1]);
            else
                row[j] = i < a.len && j < b.len && a.ptr[i] == b.ptr[j] && below[j + 1];
        }
    }
    return row[0];
}

bool vz_pattern_lists_meet(struct vz_json a, struct vz_json b)
{
    struct vz_json_iter it = vz_json_iterate(a);
    struct vz_json one, other;
    while (vz_json_next(&it, NULL, &one)) {
        struct vz_json_iter others = vz_json_iterate(b);
        while (vz_json_next(&others, NULL, &other))
            if (vz_patterns_meet(vz_json_string(one), vz_json_string(other)))
                return true;
    }
    return false;
}

/* Hidden indices are not for templates that match everything. */
static bool matches(struct vz_json patterns, struct vz_slice index, bool hidden)
{
    struct vz_json_iter it = vz_json_iterate(patterns);
    struct vz_json pattern;
    bool found = false;
    while (vz_json_next(&it, NULL, &pattern)) {
        struct vz_slice text = vz_json_string(pattern);
        if (hidden && vz_slice_is(text, "*"))
            return false;
        found |= vz_wildcard_match(text, index);
    }
    return found;
}

/* ---- merging mappings ---------------------------------------------------------------------- */

static void merge_mapping(struct vz_json base, struct vz_json over, struct vz_json_writer *w);

static bool is_object_field(struct vz_json field)
{
    struct vz_json type;
    return vz_json_type(field) == VZ_JSON_OBJECT &&
           (!vz_json_get(field, "type", &type) || vz_slice_is(vz_json_string(type), "object") ||
            vz_slice_is(vz_json_string(type), "nested"));
}

static bool get_slice(struct vz_json object, struct vz_slice key, struct vz_json *value)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice name;
    while (vz_json_next(&it, &name, value))
        if (vz_slice_eq(name, key))
            return true;
    return false;
}

/* Members of either; `both` says what becomes of one that both have. */
static void merge_objects(struct vz_json base, struct vz_json over,
                          void (*both)(struct vz_slice key, struct vz_json base,
                                       struct vz_json over, struct vz_json_writer *w),
                          struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(base);
    struct vz_slice key;
    struct vz_json value, other;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(w, key);
        if (get_slice(over, key, &other))
            both(key, value, other, w);
        else
            vz_json_put_value(w, value);
    }
    it = vz_json_iterate(over);
    while (vz_json_next(&it, &key, &value)) {
        if (get_slice(base, key, &other))
            continue;
        vz_json_key_slice(w, key);
        vz_json_put_value(w, value);
    }
    vz_json_end_object(w);
}

static void merge_field(struct vz_slice key, struct vz_json base, struct vz_json over,
                        struct vz_json_writer *w)
{
    (void)key;
    if (is_object_field(base) && is_object_field(over))
        merge_mapping(base, over, w);
    else
        vz_json_put_value(w, over);
}

/* The name of an item of dynamic_templates, which is an object of one member. */
static struct vz_slice only_key(struct vz_json item)
{
    struct vz_json_iter it = vz_json_iterate(item);
    struct vz_slice key = {NULL, 0};
    struct vz_json value;
    if (vz_json_type(item) == VZ_JSON_OBJECT)
        vz_json_next(&it, &key, &value);
    return key;
}

static bool has_item(struct vz_json list, struct vz_slice name, struct vz_json *item)
{
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, item))
        if (vz_slice_eq(only_key(*item), name))
            return true;
    return false;
}

static void merge_dynamic(struct vz_json base, struct vz_json over, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(base);
    struct vz_json item, other;
    vz_json_begin_array(w);
    while (vz_json_next(&it, NULL, &item))
        vz_json_put_value(w, has_item(over, only_key(item), &other) ? other : item);
    it = vz_json_iterate(over);
    while (vz_json_next(&it, NULL, &item))
        if (!has_item(base, only_key(item), &other))
            vz_json_put_value(w, item);
    vz_json_end_array(w);
}

static bool are(enum vz_json_type type, struct vz_json a, struct vz_json b)
{
    return vz_json_type(a) == type && vz_json_type(b) == type;
}

/* Objects all the way down; of anything else the upper one stays. */
static void merge_member(struct vz_slice key, struct vz_json base, struct vz_json over,
                         struct vz_json_writer *w)
{
    if (vz_slice_is(key, "dynamic_templates") && are(VZ_JSON_ARRAY, base, over))
        merge_dynamic(base, over, w);
    else if (are(VZ_JSON_OBJECT, base, over))
        merge_objects(base, over, merge_member, w);
    else
        vz_json_put_value(w, over);
}

static void merge_all(struct vz_json base, struct vz_json over, struct vz_json_writer *w)
{
    merge_objects(base, over, merge_member, w);
}

static void merge_mapping_member(struct vz_slice key, struct vz_json base, struct vz_json over,
                                 struct vz_json_writer *w)
{
    if (vz_slice_is(key, "properties") && are(VZ_JSON_OBJECT, base, over))
        merge_objects(base, over, merge_field, w);
    else if (vz_slice_is(key, "dynamic_templates") || vz_slice_is(key, "_meta"))
        merge_member(key, base, over, w);
    else
        vz_json_put_value(w, over);
}

static void merge_mapping(struct vz_json base, struct vz_json over, struct vz_json_writer *w)
{
    merge_objects(base, over, merge_mapping_member, w);
}

/* ---- layers -------------------------------------------------------------------------------- */

struct layers {
    struct vz_settings settings;
    struct vz_buf mappings, aliases; /* JSON objects, or empty */
    bool legacy;
};

/* *text becomes what `merge` makes of it and of `over`. */
static enum vz_status lay_over(struct vz_buf *text, struct vz_json over,
                               void (*merge)(struct vz_json, struct vz_json,
                                             struct vz_json_writer *),
                               struct vz_error *err)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json base;
    struct vz_buf merged = {0};
    struct vz_json_writer w = vz_json_writer_on(&merged);
    if (text->len == 0)
        vz_buf_append_str(text, "{}");
    enum vz_status status = vz_json_parse(vz_buf_slice(text), &doc, &base, err);
    if (status != VZ_OK)
        return status;
    merge(base, over, &w);
    vz_json_free(doc);
    vz_buf_deinit(text);
    *text = merged;
    return VZ_OK;
}

static void take_upper(struct vz_slice key, struct vz_json base, struct vz_json over,
                       struct vz_json_writer *w)
{
    (void)key, (void)base;
    vz_json_put_value(w, over);
}

/* An alias is taken whole from the upper layer. */
static void merge_aliases(struct vz_json base, struct vz_json over, struct vz_json_writer *w)
{
    merge_objects(base, over, take_upper, w);
}

/* Settings, mappings and aliases of one template, or of a create body. */
static enum vz_status add_layer(struct layers *layers, struct vz_json layer, struct vz_error *err)
{
    struct vz_json part, inner;
    enum vz_status status = VZ_OK;
    if (vz_json_get(layer, "settings", &part) && vz_json_type(part) == VZ_JSON_OBJECT)
        status = vz_settings_merge(&layers->settings, part, true, "", err);
    if (status == VZ_OK && vz_json_get(layer, "mappings", &part) &&
        vz_json_type(part) == VZ_JSON_OBJECT) {
        if (vz_json_count(part) == 1 && vz_json_get(part, "_doc", &inner))
            part = inner;
        status = lay_over(&layers->mappings, part, layers->legacy ? merge_all : merge_mapping, err);
    }
    if (status == VZ_OK && vz_json_get(layer, "aliases", &part) &&
        vz_json_type(part) == VZ_JSON_OBJECT)
        status = lay_over(&layers->aliases, part, merge_aliases, err);
    return status;
}

static enum vz_status add_component(struct vz_store *store, struct layers *layers,
                                    struct vz_slice name, const struct vz_component *instead,
                                    struct vz_error *err)
{
    struct vz_json inner, body;
    if (instead && vz_slice_eq(instead->name, name))
        return vz_json_get(instead->body, "template", &inner) ? add_layer(layers, inner, err)
                                                              : VZ_OK;
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    enum vz_status status = VZ_OK;
    if (vz_store_get_blob(store, VZ_KIND_COMPONENT_TEMPLATE, name, &text) &&
        vz_json_parse(vz_buf_slice(&text), &doc, &body, NULL) == VZ_OK) {
        if (vz_json_get(body, "template", &inner))
            status = add_layer(layers, inner, err);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status add_composable(struct vz_store *store, struct layers *layers,
                                     struct vz_json body, const struct vz_component *instead,
                                     struct vz_error *err)
{
    struct vz_json list, item;
    enum vz_status status = VZ_OK;
    if (vz_json_get(body, "composed_of", &list)) {
        struct vz_json_iter it = vz_json_iterate(list);
        while (status == VZ_OK && vz_json_next(&it, NULL, &item))
            status = add_component(store, layers, vz_json_string(item), instead, err);
    }
    if (status == VZ_OK && vz_json_get(body, "template", &item))
        status = add_layer(layers, item, err);
    return status;
}

static void start_layers(struct layers *layers)
{
    *layers = (struct layers){0};
    vz_settings_init(&layers->settings);
}

/* Hands the texts over. */
static void finish_layers(struct layers *layers, struct vz_composed *composed, bool keep)
{
    if (keep) {
        *composed = (struct vz_composed){.mappings = layers->mappings, .aliases = layers->aliases};
        vz_settings_save(&layers->settings, &composed->settings);
        if (composed->mappings.len == 0)
            vz_buf_append_str(&composed->mappings, "{}");
        if (composed->aliases.len == 0)
            vz_buf_append_str(&composed->aliases, "{}");
    } else {
        vz_buf_deinit(&layers->mappings);
        vz_buf_deinit(&layers->aliases);
    }
    vz_settings_deinit(&layers->settings);
}

void vz_composed_deinit(struct vz_composed *composed)
{
    vz_buf_deinit(&composed->settings);
    vz_buf_deinit(&composed->mappings);
    vz_buf_deinit(&composed->aliases);
    *composed = (struct vz_composed){0};
}

enum vz_status vz_template_compose(struct vz_store *store, struct vz_json index_template,
                                   const struct vz_component *instead, struct vz_composed *composed,
                                   struct vz_error *err)
{
    struct layers layers;
    *composed = (struct vz_composed){0};
    start_layers(&layers);
    enum vz_status status = add_composable(store, &layers, index_template, instead, err);
    finish_layers(&layers, composed, status == VZ_OK);
    return status;
}

/* ---- finding ------------------------------------------------------------------------------- */

bool vz_template_find(struct vz_store *store, struct vz_arena *arena, struct vz_slice index,
                      bool hidden, struct vz_slice skip, struct vz_slice *name,
                      struct vz_slice *text)
{
    struct vz_slice *names;
    int64_t best = -1;
    size_t count = vz_store_blob_names(store, VZ_KIND_INDEX_TEMPLATE, arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf blob = {0};
        struct vz_json_doc *doc = NULL;
        struct vz_json body, member;
        int64_t priority = 0;
        if (!vz_slice_eq(names[i], skip) &&
            vz_store_get_blob(store, VZ_KIND_INDEX_TEMPLATE, names[i], &blob) &&
            vz_json_parse(vz_buf_slice(&blob), &doc, &body, NULL) == VZ_OK) {
            if (vz_json_get(body, "priority", &member))
                vz_json_as_int(member, &priority);
            if (priority > best && vz_json_get(body, "index_patterns", &member) &&
                matches(member, index, hidden)) {
                best = priority;
                *name = names[i];
                *text = vz_arena_copy(arena, vz_buf_slice(&blob));
            }
            vz_json_free(doc);
        }
        vz_buf_deinit(&blob);
    }
    return best >= 0;
}

struct legacy {
    int64_t order;
    struct vz_slice text;
};

/* By order, then as they were listed: by name. */
static void insert_legacy(struct legacy *list, size_t count, int64_t order, struct vz_slice text)
{
    size_t at = count;
    while (at > 0 && list[at - 1].order > order) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = (struct legacy){order, text};
}

static size_t find_legacy(struct vz_store *store, struct vz_arena *arena, struct vz_slice index,
                          bool hidden, struct legacy **found)
{
    struct vz_slice *names;
    size_t used = 0, count = vz_store_blob_names(store, VZ_KIND_LEGACY_TEMPLATE, arena, &names);
    *found = vz_arena_alloc(arena, (count + 1) * sizeof **found);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf blob = {0};
        struct vz_json_doc *doc = NULL;
        struct vz_json body, member;
        int64_t order = 0;
        if (vz_store_get_blob(store, VZ_KIND_LEGACY_TEMPLATE, names[i], &blob) &&
            vz_json_parse(vz_buf_slice(&blob), &doc, &body, NULL) == VZ_OK) {
            if (vz_json_get(body, "order", &member))
                vz_json_as_int(member, &order);
            if (vz_json_get(body, "index_patterns", &member) && matches(member, index, hidden))
                insert_legacy(*found, used++, order, vz_arena_copy(arena, vz_buf_slice(&blob)));
            vz_json_free(doc);
        }
        vz_buf_deinit(&blob);
    }
    return used;
}

/* ---- applying ------------------------------------------------------------------------------ */

static bool asks_for_hidden(struct vz_json body)
{
    struct vz_json settings, value;
    bool hidden = false;
    if (vz_json_get(body, "settings", &settings) &&
        (vz_json_get_path(settings, "index.hidden", &value) ||
         vz_json_get_path(settings, "hidden", &value)))
        vz_json_as_bool(value, &hidden);
    return hidden;
}

static enum vz_status add_text(struct vz_store *store, struct layers *layers, struct vz_slice text,
                               bool composable, struct vz_error *err)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json body;
    enum vz_status status = vz_json_parse(text, &doc, &body, err);
    if (status == VZ_OK) {
        status = composable ? add_composable(store, layers, body, NULL, err)
                            : add_layer(layers, body, err);
        vz_json_free(doc);
    }
    return status;
}

/* "{index}" in a template's alias stands for the new index's name. */
static void name_aliases(struct vz_buf *aliases, struct vz_slice index)
{
    struct vz_buf named = {0};
    const char *from = aliases->data, *at;
    if (!aliases->len || !strstr(from, "{index}"))
        return;
    while ((at = strstr(from, "{index}"))) {
        vz_buf_append(&named, from, (size_t)(at - from));
        vz_buf_append_slice(&named, index);
        from = at + strlen("{index}");
    }
    vz_buf_append_str(&named, from);
    vz_buf_deinit(aliases);
    *aliases = named;
}

enum vz_status vz_templates_apply(struct vz_store *store, struct vz_slice index,
                                  struct vz_json body, struct vz_composed *composed, bool *any,
                                  struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_slice name, text;
    struct legacy *legacy = NULL;
    struct layers layers;
    enum vz_status status = VZ_OK;
    bool hidden = asks_for_hidden(body);
    *composed = (struct vz_composed){0};
    start_layers(&layers);
    bool composable =
        vz_template_find(store, &arena, index, hidden, (struct vz_slice){NULL, 0}, &name, &text);
    size_t count = composable ? 0 : find_legacy(store, &arena, index, hidden, &legacy);
    *any = composable || count;
    layers.legacy = !composable;
    if (composable)
        status = add_text(store, &layers, text, true, err);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        status = add_text(store, &layers, legacy[i].text, false, err);
    if (status == VZ_OK)
        name_aliases(&layers.aliases, index);
    if (status == VZ_OK)
        status = add_layer(&layers, body, err);
    finish_layers(&layers, composed, status == VZ_OK);
    vz_arena_deinit(&arena);
    return status;
}

/* What a create request may not leave to the layers: members they would not look at. */
static bool is_plain_body(struct vz_json body)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    if (vz_json_type(body) != VZ_JSON_MISSING && vz_json_type(body) != VZ_JSON_OBJECT)
        return false;
    while (vz_json_next(&it, &key, &value))
        if ((!vz_slice_is(key, "settings") && !vz_slice_is(key, "mappings") &&
             !vz_slice_is(key, "aliases")) ||
            (vz_json_type(value) != VZ_JSON_OBJECT && vz_json_type(value) != VZ_JSON_NULL))
            return false;
    return true;
}

enum vz_status vz_store_create_templated(struct vz_store *store, struct vz_slice name,
                                         struct vz_json body, struct vz_error *err)
{
    struct vz_composed composed;
    bool any = false;
    if (!is_plain_body(body))
        return vz_store_create_index(store, name, body, err); /* which says what is wrong */
    enum vz_status status = vz_templates_apply(store, name, body, &composed, &any, err);
    if (status == VZ_OK && !any) {
        vz_composed_deinit(&composed);
        return vz_store_create_index(store, name, body, err);
    }
    if (status == VZ_OK) {
        struct vz_buf text = {0};
        struct vz_json_doc *doc = NULL;
        struct vz_json whole;
        vz_buf_printf(&text, "{\"settings\":%s,\"mappings\":%s,\"aliases\":%s}",
                      composed.settings.data, composed.mappings.data, composed.aliases.data);
        status = vz_json_parse(vz_buf_slice(&text), &doc, &whole, err);
        if (status == VZ_OK)
            status = vz_store_create_index(store, name, whole, err);
        vz_json_free(doc);
        vz_buf_deinit(&text);
    }
    if (status != VZ_OK && err)
        err->offset = VZ_NO_OFFSET; /* of the composed text, which nobody sees */
    vz_composed_deinit(&composed);
    return status;
}

bool vz_templates_setting(struct vz_store *store, struct vz_slice index, const char *key,
                          struct vz_buf *value)
{
    struct vz_composed composed;
    struct vz_json_doc *doc = NULL;
    struct vz_json settings, found;
    bool any, has = false;
    if (vz_templates_apply(store, index, (struct vz_json){0}, &composed, &any, NULL) != VZ_OK)
        return false;
    if (any && vz_json_parse(vz_buf_slice(&composed.settings), &doc, &settings, NULL) == VZ_OK) {
        has = vz_json_get(settings, key, &found) && vz_json_type(found) == VZ_JSON_STRING;
        if (has)
            vz_buf_append_slice(value, vz_json_string(found));
        vz_json_free(doc);
    }
    vz_composed_deinit(&composed);
    return has;
}

/* ---- made by writes ------------------------------------------------------------------------ */

/* "a*", "+a*", "-b*": the first that matches decides. */
static enum vz_status match_rules(struct vz_slice rules, struct vz_slice name, struct vz_error *err)
{
    struct vz_slice rest = rules;
    while (rest.len) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct vz_slice rule = {rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len};
        size_t skip = rule.len + (comma != NULL);
        rest = (struct vz_slice){rest.ptr + skip, rest.len - skip};
        while (rule.len && rule.ptr[0] == ' ')
            rule = (struct vz_slice){rule.ptr + 1, rule.len - 1};
        bool sign = rule.len && (rule.ptr[0] == '+' || rule.ptr[0] == '-');
        struct vz_slice pattern = {rule.ptr + sign, rule.len - sign};
        if (!vz_wildcard_match(pattern, name))
            continue;
        if (rule.ptr[0] != '-')
            return VZ_OK;
        return vz_fail(err, VZ_NO_INDEX,
                       "no such index [%.*s] and [action.auto_create_index] contains [%.*s] which "
                       "forbids automatic creation of the index",
                       (int)name.len, name.ptr, (int)rule.len, rule.ptr);
    }
    return vz_fail(err, VZ_NO_INDEX,
                   "no such index [%.*s] and [action.auto_create_index] ([%.*s]) doesn't match",
                   (int)name.len, name.ptr, (int)rules.len, rules.ptr);
}

enum vz_status vz_store_may_create(struct vz_store *store, struct vz_slice name,
                                   struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_buf rules = {0};
    struct vz_slice found, text;
    struct vz_json_doc *doc = NULL;
    struct vz_json body, allow;
    enum vz_status status = VZ_OK;
    bool decided = false, allowed = true;
    if (vz_template_find(store, &arena, name, false, (struct vz_slice){NULL, 0}, &found, &text) &&
        vz_json_parse(text, &doc, &body, NULL) == VZ_OK) {
        decided =
            vz_json_get(body, "allow_auto_create", &allow) && vz_json_as_bool(allow, &allowed);
        vz_json_free(doc);
    }
    if (decided && !allowed)
        status = vz_fail(err, VZ_NO_INDEX,
                         "no such index [%.*s] and composable template [%.*s] forbids index auto "
                         "creation",
                         (int)name.len, name.ptr, (int)found.len, found.ptr);
    if (!decided && vz_cluster_setting(store, "action.auto_create_index", &rules)) {
        if (vz_slice_is(vz_buf_slice(&rules), "false"))
            status = vz_fail(err, VZ_NO_INDEX,
                             "no such index [%.*s] and [action.auto_create_index] is [false]",
                             (int)name.len, name.ptr);
        else if (!vz_slice_is(vz_buf_slice(&rules), "true"))
            status = match_rules(vz_buf_slice(&rules), name, err);
    }
    vz_buf_deinit(&rules);
    vz_arena_deinit(&arena);
    return status;
}
