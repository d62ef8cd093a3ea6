/* store/settings.c - index settings: a sorted list of dotted keys, and the few that mean something.
 *
 * Elasticsearch's settings are strings by dotted key; a body may nest them, dot them, and leave
 * "index." out. What is known but has no effect here (number_of_shards, codec ...) is kept and
 * printed back; what would change an answer is refused; what Elasticsearch does not know is too.
 */
#include "base/text.h"
#include "store/index.h"
#include "store/synonyms.h"
#include "text/analysis.h"

#include <ctype.h>
#include <stdlib.h>

#define DEFAULT_REFRESH_MS 1000
#define DEFAULT_WINDOW 10000
#define DEFAULT_INNER_WINDOW 100
#define DEFAULT_ANALYZED_OFFSET 1000000
#define DEFAULT_SYNC_MS 5000
#define MIN_SYNC_MS 100
#define MAX_SETTINGS 10000 /* the list is kept sorted by insertion */

enum kind { STATIC, DYNAMIC, FINAL, REFUSED };
static const struct known {
    const char *key; /* without "index."; a trailing '*' stands for anything */
    enum kind kind;
} known[] = {
    {"number_of_shards", FINAL},
    {"number_of_routing_shards", FINAL},
    {"number_of_replicas", DYNAMIC},
    {"auto_expand_replicas", DYNAMIC},
    {"refresh_interval", DYNAMIC},
    {"max_result_window", DYNAMIC},
    {"max_inner_result_window", DYNAMIC},
    {"max_rescore_window", DYNAMIC},
    {"max_docvalue_fields_search", DYNAMIC},
    {"max_script_fields", DYNAMIC},
    {"max_ngram_diff", DYNAMIC},
    {"max_shingle_diff", DYNAMIC},
    {"max_refresh_listeners", DYNAMIC},
    {"max_terms_count", DYNAMIC},
    {"max_regex_length", DYNAMIC},
    {"max_slices_per_scroll", DYNAMIC},
    {"gc_deletes", DYNAMIC},
    {"priority", DYNAMIC},
    {"hidden", DYNAMIC},
    {"query.default_field", DYNAMIC},
    {"translog.durability", DYNAMIC},
    {"translog.sync_interval", DYNAMIC},
    {"translog.flush_threshold_size", DYNAMIC},
    {"blocks.write", DYNAMIC},
    {"blocks.read_only", DYNAMIC},
    {"blocks.read_only_allow_delete", DYNAMIC},
    {"blocks.read", DYNAMIC},
    {"blocks.metadata", DYNAMIC},
    {"mapping.total_fields.*", DYNAMIC},
    {"mapping.depth.limit", DYNAMIC},
    {"mapping.nested_fields.limit", DYNAMIC},
    {"mapping.nested_parents.limit", DYNAMIC},
    {"mapping.nested_objects.limit", DYNAMIC},
    {"mapping.field_name_length.limit", DYNAMIC},
    {"mapping.dimension_fields.limit", DYNAMIC},
    {"mapping.ignore_malformed", STATIC},
    {"mapping.coerce", STATIC},
    {"mapping.exclude_source_vectors", REFUSED},
    {"mapping.*", REFUSED},
    {"routing.*", DYNAMIC},
    {"search.*", DYNAMIC},
    {"indexing.*", DYNAMIC},
    {"merge.*", DYNAMIC},
    {"unassigned.*", DYNAMIC},
    {"lifecycle.*", DYNAMIC},
    {"analyze.*", DYNAMIC},
    {"highlight.*", DYNAMIC},
    {"analysis.*", STATIC},
    {"similarity.*", STATIC},
    {"codec", STATIC},
    {"shard.*", STATIC},
    {"store.*", STATIC},
    {"soft_deletes.*", STATIC},
    {"load_fixed_bitset_filters_eagerly", STATIC},
    {"mode", STATIC},
    {"knn", STATIC},
    {"knn.*", DYNAMIC},
    {"routing_partition_size", STATIC},
    {"default_pipeline", DYNAMIC},
    {"final_pipeline", DYNAMIC},
    {"sort.*", REFUSED},
    /* Printed by GET _settings; a body copied from there must be welcome. */
    {"creation_date", FINAL},
    {"uuid", FINAL},
    {"provided_name", FINAL},
    {"version.*", FINAL},
    {"resize.*", FINAL},
};

void vz_settings_init(struct vz_settings *settings)
{
    *settings = (struct vz_settings){.refresh_interval_ms = DEFAULT_REFRESH_MS,
                                     .max_result_window = DEFAULT_WINDOW,
                                     .max_inner_result_window = DEFAULT_INNER_WINDOW,
                                     .max_analyzed_offset = DEFAULT_ANALYZED_OFFSET,
                                     .sync_interval_ms = DEFAULT_SYNC_MS};
}

void vz_settings_deinit(struct vz_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->list[i].key);
        free(settings->list[i].value);
    }
    free(settings->list);
    *settings = (struct vz_settings){0};
}

void vz_settings_copy(struct vz_settings *to, const struct vz_settings *from)
{
    *to = *from;
    to->list = vz_calloc(from->count + 1, sizeof *to->list);
    for (size_t i = 0; i < from->count; i++)
        to->list[i] =
            (struct vz_setting){vz_strdup(from->list[i].key), vz_strdup(from->list[i].value)};
}

static size_t position(const struct vz_settings *settings, const char *key)
{
    size_t at = 0;
    while (at < settings->count && strcmp(settings->list[at].key, key) < 0)
        at++;
    return at;
}

void vz_settings_set(struct vz_settings *settings, const char *key, const char *value)
{
    size_t at = position(settings, key);
    bool there = at < settings->count && strcmp(settings->list[at].key, key) == 0;
    if (there) {
        free(settings->list[at].value);
        if (value) {
            settings->list[at].value = vz_strdup(value);
            return;
        }
        free(settings->list[at].key);
        memmove(settings->list + at, settings->list + at + 1,
                (settings->count - at - 1) * sizeof *settings->list);
        settings->count--;
    } else if (value) {
        settings->list = vz_realloc(settings->list, (settings->count + 2) * sizeof *settings->list);
        memmove(settings->list + at + 1, settings->list + at,
                (settings->count - at) * sizeof *settings->list);
        settings->list[at] = (struct vz_setting){vz_strdup(key), vz_strdup(value)};
        settings->count++;
    }
}

static const struct known *find_known(const char *key)
{
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_setting_matches(known[i].key, key))
            return &known[i];
    return NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

/* The bytes of a scalar's text: a list holds scalars as JSON strings. */
static struct vz_slice bare(const char *value)
{
    struct vz_slice text = vz_slice_from(value);
    if (text.len >= 2 && text.ptr[0] == '"')
        text = (struct vz_slice){text.ptr + 1, text.len - 2};
    return text;
}

/* "500ms", "1s", "5m", "-1". */
static bool parse_time_ms(struct vz_slice text, int64_t *ms)
{
    char copy[32], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double number = strtod(copy, &end);
    static const struct {
        const char *unit;
        double ms;
    } units[] = {
        {"ms", 1},    {"s", 1e3},       {"m", 6e4},      {"h", 36e5},
        {"d", 864e5}, {"micros", 1e-3}, {"nanos", 1e-6},
    };
    if (end == copy)
        return false;
    if (number == -1 && *end == '\0') {
        *ms = -1;
        return true;
    }
    if (number == 0 && *end == '\0') {
        *ms = 0;
        return true;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++)
        if (strcmp(end, units[i].unit) == 0 && number >= 0 && number * units[i].ms < 1e12) {
            *ms = (int64_t)(number * units[i].ms);
            return true;
        }
    return false;
}

static bool parse_count(struct vz_slice text, int64_t *out)
{
    char copy[24], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *out = strtoll(copy, &end, 10);
    return *end == '\0';
}

static enum vz_status read_flag(const char *key, struct vz_slice text, bool *out,
                                struct vz_error *err)
{
    *out = vz_slice_is(text, "true");
    if (*out || vz_slice_is(text, "false"))
        return VZ_OK;
    return vz_fail(err, VZ_BAD_MAPPING,
                   "Failed to parse value [%.*s] as only [true] or [false] are allowed for [%s]",
                   (int)text.len, text.ptr, key);
}

static enum vz_status read_count(const char *key, struct vz_slice text, int64_t minimum,
                                 int64_t maximum, int64_t *out, struct vz_error *err)
{
    if (!parse_count(text, out))
        return vz_fail(err, VZ_BAD_MAPPING, "Failed to parse value [%.*s] for setting [%s]",
                       (int)text.len, text.ptr, key);
    if (*out < minimum)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Failed to parse value [%.*s] for setting [%s] must be >= %lld",
                       (int)text.len, text.ptr, key, (long long)minimum);
    if (*out > maximum)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Failed to parse value [%.*s] for setting [%s] must be <= %lld",
                       (int)text.len, text.ptr, key, (long long)maximum);
    return VZ_OK;
}

/* Reads the meaning of one entry. */
static enum vz_status read_entry(struct vz_settings *set, const struct vz_setting *entry,
                                 struct vz_error *err)
{
    const char *key = entry->key + strlen("index.");
    struct vz_slice text = bare(entry->value);
    int64_t number;
    enum vz_status status = VZ_OK;
    if (strcmp(key, "refresh_interval") == 0) {
        if (!parse_time_ms(text, &set->refresh_interval_ms))
            return vz_fail(err, VZ_BAD_MAPPING,
                           "failed to parse setting [%s] with value [%.*s] as a time value: unit "
                           "is missing or unrecognized",
                           entry->key, (int)text.len, text.ptr);
    } else if (strcmp(key, "max_result_window") == 0) {
        status = read_count(entry->key, text, 1, INT32_MAX, &number, err);
        if (status == VZ_OK)
            set->max_result_window = (uint32_t)number;
    } else if (strcmp(key, "max_inner_result_window") == 0) {
        status = read_count(entry->key, text, 1, INT32_MAX, &number, err);
        if (status == VZ_OK)
            set->max_inner_result_window = (uint32_t)number;
    } else if (strcmp(key, "highlight.max_analyzed_offset") == 0) {
        status = read_count(entry->key, text, 1, INT32_MAX, &number, err);
        if (status == VZ_OK)
            set->max_analyzed_offset = (uint32_t)number;
    } else if (strcmp(key, "number_of_shards") == 0) {
        status = read_count(entry->key, text, 1, 1024, &number, err);
    } else if (strcmp(key, "number_of_replicas") == 0) {
        status = read_count(entry->key, text, 0, INT32_MAX, &number, err);
    } else if (strcmp(key, "translog.durability") == 0) {
        set->async = vz_slice_is(text, "async") || vz_slice_is(text, "ASYNC");
        if (!set->async && !vz_slice_is(text, "request") && !vz_slice_is(text, "REQUEST"))
            return vz_fail(err, VZ_BAD_MAPPING,
                           "No enum constant org.elasticsearch.index.translog.Translog.Durability."
                           "%.*s",
                           (int)text.len, text.ptr);
    } else if (strcmp(key, "translog.sync_interval") == 0) {
        if (!parse_time_ms(text, &set->sync_interval_ms) || set->sync_interval_ms < MIN_SYNC_MS)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "failed to parse value [%.*s] for setting [%s], must be >= [100ms]",
                           (int)text.len, text.ptr, entry->key);
    } else if (strcmp(key, "hidden") == 0) {
        status = read_flag(entry->key, text, &set->hidden, err);
    } else if (strcmp(key, "blocks.read") == 0) {
        status = read_flag(entry->key, text, &set->block_read, err);
    } else if (strcmp(key, "blocks.metadata") == 0) {
        status = read_flag(entry->key, text, &set->block_metadata, err);
    } else if (strcmp(key, "blocks.write") == 0) {
        status = read_flag(entry->key, text, &set->block_write, err);
    } else if (strcmp(key, "blocks.read_only") == 0) {
        status = read_flag(entry->key, text, &set->block_read_only, err);
    } else if (strcmp(key, "blocks.read_only_allow_delete") == 0) {
        status = read_flag(entry->key, text, &set->block_delete, err);
    }
    return status;
}

static enum vz_status read_all(struct vz_settings *set, struct vz_error *err)
{
    set->refresh_interval_ms = DEFAULT_REFRESH_MS;
    set->max_result_window = DEFAULT_WINDOW;
    set->max_inner_result_window = DEFAULT_INNER_WINDOW;
    set->max_analyzed_offset = DEFAULT_ANALYZED_OFFSET;
    set->sync_interval_ms = DEFAULT_SYNC_MS;
    set->async = set->block_write = set->block_read_only = set->block_delete = false;
    set->block_read = set->block_metadata = set->hidden = false;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < set->count; i++)
        status = read_entry(set, &set->list[i], err);
    return status;
}

/* ---- merging a body ------------------------------------------------------------------------ */

/* The JSON text a value is kept as: strings for scalars, raw for arrays, NULL for null. */
static char *kept_value(struct vz_json value)
{
    struct vz_buf text = {0}, out = {0};
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_NULL)
        return NULL;
    vz_json_print(value, &text);
    if (type == VZ_JSON_STRING || type == VZ_JSON_ARRAY)
        return vz_buf_take(&text);
    vz_buf_printf(&out, "\"%s\"", text.data);
    vz_buf_deinit(&text);
    return vz_buf_take(&out);
}

struct merge {
    struct vz_settings *settings;
    const struct vz_settings_change *how;
    struct vz_error *err;
};

static bool is_set(const struct vz_settings *settings, const char *key)
{
    size_t at = position(settings, key);
    return at < settings->count && strcmp(settings->list[at].key, key) == 0;
}

/* "blocks.*": null */
static enum vz_status reset_pattern(struct merge *merge, const char *pattern)
{
    for (size_t i = 0; i < merge->settings->count;) {
        const struct known *entry = find_known(merge->settings->list[i].key + strlen("index."));
        if (entry && entry->kind == DYNAMIC &&
            vz_wildcard_match(vz_slice_from(pattern),
                              vz_slice_from(merge->settings->list[i].key))) {
            char *key = vz_strdup(merge->settings->list[i].key);
            vz_settings_set(merge->settings, key, NULL);
            free(key);
        } else {
            i++;
        }
    }
    return VZ_OK;
}

static enum vz_status merge_leaf(void *merge_void, const char *path, struct vz_json value)
{
    struct merge *merge = merge_void;
    const char *key = strncmp(path, "index.", 6) == 0 ? path + 6 : path;
    const struct known *entry = find_known(key);
    struct vz_buf full = {0};
    vz_buf_printf(&full, "index.%s", key);
    enum vz_status status = VZ_OK;
    if (!merge->how->creating && vz_json_type(value) == VZ_JSON_NULL && strchr(key, '*')) {
        status = reset_pattern(merge, full.data);
        vz_buf_deinit(&full);
        return status;
    }
    bool none = vz_slice_is(vz_json_string(value), "_none") || vz_json_type(value) == VZ_JSON_NULL;
    if (!entry)
        status = vz_fail(merge->err, VZ_BAD_MAPPING,
                         "unknown setting [%s] please check that any required plugins are "
                         "installed, or check the breaking changes documentation for removed "
                         "settings",
                         full.data);
    else if (entry->kind == REFUSED && !none && !vz_slice_is(vz_json_string(value), "false") &&
             (vz_json_type(value) != VZ_JSON_BOOL || vz_json_bool(value)))
        status = vz_fail(merge->err, VZ_UNSUPPORTED, "setting [%s] is not supported", full.data);
    else if ((entry->kind == STATIC || entry->kind == FINAL) && !merge->how->creating &&
             !merge->how->closed)
        status = vz_fail(merge->err, VZ_BAD_MAPPING,
                         "Can't update non dynamic settings [[%s]] for open indices [[%s]]",
                         full.data, merge->how->index);
    else if (entry->kind == FINAL && !merge->how->creating)
        status = vz_fail(merge->err, VZ_BAD_MAPPING,
                         "final %s setting [%s], not updateable", merge->how->index, full.data);
    if (status == VZ_OK && merge->settings->count >= MAX_SETTINGS &&
        !is_set(merge->settings, full.data))
        status = vz_fail(merge->err, VZ_BAD_MAPPING, "more than [%d] settings", MAX_SETTINGS);
    bool stays = merge->how->preserve && is_set(merge->settings, full.data);
    if (status == VZ_OK && !stays && strcmp(key, "creation_date") != 0 && strcmp(key, "uuid") != 0 &&
        strcmp(key, "provided_name") != 0 && strncmp(key, "version.", 8) != 0) {
        char *kept = kept_value(value);
        vz_settings_set(merge->settings, full.data, kept);
        free(kept);
    }
    vz_buf_deinit(&full);
    return status;
}

bool vz_setting_matches(const char *pattern, const char *key)
{
    size_t len = strlen(pattern);
    return pattern[len - 1] == '*' ? strncmp(key, pattern, len - 1) == 0
                                   : strcmp(key, pattern) == 0;
}

enum vz_status vz_settings_walk(const char *path, struct vz_json object, vz_setting_leaf *leaf,
                                void *context)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &value)) {
        struct vz_buf child = {0};
        vz_buf_printf(&child, "%s%s%.*s", path, *path ? "." : "", (int)key.len, key.ptr);
        const char *name = child.data ? child.data : ""; /* an empty key leaves no text */
        status = vz_json_type(value) == VZ_JSON_OBJECT
                     ? vz_settings_walk(name, value, leaf, context)
                     : leaf(context, name, value);
        vz_buf_deinit(&child);
    }
    return status;
}

enum vz_status vz_settings_merge(struct vz_settings *settings, struct vz_json body, bool creating,
                                 const char *index, struct vz_error *err)
{
    struct vz_settings_change how = {.creating = creating, .index = index};
    return vz_settings_change(settings, body, &how, err);
}

enum vz_status vz_settings_change(struct vz_settings *settings, struct vz_json body,
                                  const struct vz_settings_change *how, struct vz_error *err)
{
    struct vz_json inner;
    if (vz_json_type(body) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_MAPPING, "settings must be an object");
    if (vz_json_get(body, "settings", &inner) && vz_json_type(inner) == VZ_JSON_OBJECT)
        body = inner;
    struct vz_settings merged;
    vz_settings_copy(&merged, settings);
    struct merge merge = {&merged, how, err};
    enum vz_status status = vz_settings_walk("", body, merge_leaf, &merge);
    if (status == VZ_OK)
        status = read_all(&merged, err);
    struct vz_mapping_rules rules;
    if (status == VZ_OK)
        status = vz_settings_mapping_rules(&merged, true, &rules, err);
    struct vz_settings drop = status == VZ_OK ? *settings : merged;
    if (status == VZ_OK)
        *settings = merged;
    vz_settings_deinit(&drop);
    return status;
}

enum vz_status vz_settings_analysis(struct vz_store *store, const struct vz_settings *settings,
                                    struct vz_analysis **out, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, analysis = {0}, value;
    struct vz_analysis_options options = {.synonyms_set = vz_synonyms_rules, .context = store};
    int64_t number;
    vz_settings_print(settings, NULL, 0, &text);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK) {
        vz_json_get_path(root, "index.analysis", &analysis);
        if (vz_json_get_path(root, "index.max_ngram_diff", &value) &&
            vz_json_as_int(value, &number) && number > 0)
            options.max_ngram_diff = (unsigned)number;
        if (vz_json_get_path(root, "index.max_shingle_diff", &value) &&
            vz_json_as_int(value, &number) && number > 0)
            options.max_shingle_diff = (unsigned)number;
        status = vz_analysis_new(analysis, &options, out, err);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return status;
}

/* ---- disk and print ------------------------------------------------------------------------ */

void vz_settings_save(const struct vz_settings *settings, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < settings->count; i++) {
        vz_json_key(&w, settings->list[i].key);
        vz_json_put_raw(&w, vz_slice_from(settings->list[i].value));
    }
    vz_json_end_object(&w);
}

enum vz_status vz_settings_load(struct vz_settings *settings, struct vz_json flat,
                                struct vz_error *err)
{
    vz_settings_init(settings);
    struct vz_json_iter it = vz_json_iterate(flat);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        char *name = vz_strndup(key.ptr, key.len), *kept = kept_value(value);
        vz_settings_set(settings, name, kept);
        free(name);
        free(kept);
    }
    return read_all(settings, err);
}

/* Length of the part of `key` from `from` up to the next dot. */
static size_t part_len(const char *key, size_t from)
{
    return strcspn(key + from, ".");
}

/* Entries [first, last) share the first `from` bytes of their keys. */
static void print_range(struct vz_json_writer *w, const struct vz_setting *list, size_t first,
                        size_t last, size_t from)
{
    vz_json_begin_object(w);
    while (first < last) {
        size_t len = part_len(list[first].key, from), end = first + 1;
        vz_json_key_slice(w, (struct vz_slice){list[first].key + from, len});
        if (list[first].key[from + len] == '\0') {
            vz_json_put_raw(w, vz_slice_from(list[first].value));
            first++;
            continue;
        }
        while (end < last && strncmp(list[end].key + from, list[first].key + from, len + 1) == 0)
            end++;
        print_range(w, list, first, end, from + len + 1);
        first = end;
    }
    vz_json_end_object(w);
}

void vz_settings_print_nested(const struct vz_settings *settings, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    print_range(&w, settings->list, 0, settings->count, 0);
}

void vz_settings_print(const struct vz_settings *settings, const struct vz_setting *extra,
                       size_t extra_count, struct vz_buf *out)
{
    struct vz_settings all;
    vz_settings_copy(&all, settings);
    for (size_t i = 0; i < extra_count; i++)
        vz_settings_set(&all, extra[i].key, extra[i].value);
    static const char *const defaults[] = {"index.number_of_shards", "index.number_of_replicas"};
    for (size_t i = 0; i < VZ_COUNT_OF(defaults); i++) {
        size_t at = position(&all, defaults[i]);
        if (at == all.count || strcmp(all.list[at].key, defaults[i]) != 0)
            vz_settings_set(&all, defaults[i], "\"1\"");
    }
    struct vz_json_writer w = vz_json_writer_on(out);
    print_range(&w, all.list, 0, all.count, 0);
    vz_settings_deinit(&all);
}
