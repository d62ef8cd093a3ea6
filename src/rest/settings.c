/* Index settings: nested and flat, all and by name, and changing the dynamic ones. */
#include "rest/parts.h"

static bool kept(struct vz_json_patterns names, struct vz_slice path)
{
    for (size_t i = 0; i < names.count; i++)
        if (vz_wildcard_match(names.items[i], path))
            return true;
    return names.count == 0;
}

static void flatten(struct vz_json value, struct vz_buf *path, struct vz_json_patterns names,
                    struct vz_json_writer *w)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT) {
        if (kept(names, vz_buf_slice(path))) {
            vz_json_key_slice(w, vz_buf_slice(path));
            vz_json_put_value(w, value);
        }
        return;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    size_t len = path->len;
    while (vz_json_next(&it, &key, &member)) {
        if (len)
            vz_buf_append_char(path, '.');
        vz_buf_append_slice(path, key);
        flatten(member, path, names, w);
        path->len = len;
    }
}

void vz_settings_flatten(struct vz_json settings, struct vz_json_patterns names,
                         struct vz_json_writer *w)
{
    struct vz_buf path = {0};
    vz_json_begin_object(w);
    flatten(settings, &path, names, w);
    vz_json_end_object(w);
    vz_buf_deinit(&path);
}

/* The nested form with only what `names` keep; objects left empty are dropped. */
static void print_kept(struct vz_json value, struct vz_buf *path, struct vz_json_patterns names,
                       struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    size_t len = path->len;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &member)) {
        if (len)
            vz_buf_append_char(path, '.');
        vz_buf_append_slice(path, key);
        if (vz_json_type(member) == VZ_JSON_OBJECT) {
            struct vz_buf flat = {0};
            struct vz_json_writer probe = vz_json_writer_on(&flat);
            struct vz_buf copy = {0};
            vz_buf_append_slice(&copy, vz_buf_slice(path));
            vz_json_begin_object(&probe);
            flatten(member, &copy, names, &probe);
            vz_json_end_object(&probe);
            if (flat.len > 2) {
                vz_json_key_slice(w, key);
                print_kept(member, path, names, w);
            }
            vz_buf_deinit(&flat);
            vz_buf_deinit(&copy);
        } else if (kept(names, vz_buf_slice(path))) {
            vz_json_key_slice(w, key);
            vz_json_put_value(w, member);
        }
        path->len = len;
    }
    vz_json_end_object(w);
}

static void print_one(struct vz_call *call, struct vz_index *index, struct vz_json_patterns names)
{
    struct vz_json_writer *w = &call->w;
    struct vz_buf text = {0}, path = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    vz_index_print_settings(index, &text);
    vz_json_key_slice(w, vz_index_name(index));
    vz_json_begin_object(w);
    vz_json_key(w, "settings");
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        if (vz_call_bool(call, "flat_settings", false))
            vz_settings_flatten(root, names, w);
        else
            print_kept(root, &path, names, w);
        vz_json_free(doc);
    } else {
        vz_json_put_raw(w, VZ_SLICE("{}"));
    }
    if (vz_call_bool(call, "include_defaults", false)) {
        vz_json_key(w, "defaults");
        vz_json_put_raw(w, VZ_SLICE("{}"));
    }
    vz_json_end_object(w);
    vz_buf_deinit(&text);
    vz_buf_deinit(&path);
}

void vz_rest_settings_get(struct vz_call *call)
{
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    struct vz_slice expression = has_index ? call->args[0] : (struct vz_slice){"", 0};
    struct vz_slice *items;
    size_t count = vz_split(call->arena, call->args[has_index ? 1 : 0], &items);
    if (count == 1 && (vz_slice_is(items[0], "_all") || vz_slice_is(items[0], "*")))
        count = 0;
    struct vz_resolved found;
    if (!vz_resolve(call, expression,
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_READ |
                        VZ_RESOLVE_AND_CLOSED,
                    &found))
        return;
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < found.count; i++)
        print_one(call, found.indices[i], (struct vz_json_patterns){items, count});
    vz_json_end_object(&call->w);
    vz_resolved_release(&found);
}

/* One setting, and a block: these may be changed whatever is blocked. */
static bool only_unblocks(struct vz_json body)
{
    static const char *const blocks[] = {"index.blocks.metadata", "index.blocks.read_only",
                                         "index.blocks.read_only_allow_delete"};
    struct vz_buf flat = {0};
    struct vz_json_writer w = vz_json_writer_on(&flat);
    struct vz_json_doc *doc = NULL;
    struct vz_json root, value;
    struct vz_slice key;
    bool only = false;
    vz_settings_flatten(body, (struct vz_json_patterns){NULL, 0}, &w);
    if (vz_json_parse(vz_buf_slice(&flat), &doc, &root, NULL) == VZ_OK &&
        vz_json_count(root) == 1) {
        struct vz_json_iter it = vz_json_iterate(root);
        vz_json_next(&it, &key, &value);
        for (size_t i = 0; i < VZ_COUNT_OF(blocks); i++)
            only |= vz_slice_is(key, blocks[i]) || vz_slice_is(key, strchr(blocks[i], '.') + 1);
    }
    vz_json_free(doc);
    vz_buf_deinit(&flat);
    return only;
}

void vz_rest_settings_put(struct vz_call *call)
{
    struct vz_json body, inner;
    struct vz_resolved found;
    bool preserve = vz_call_bool(call, "preserve_existing", false);
    if (!vz_call_body(call, VZ_AT_MAP_BODY, true, &body))
        return;
    if (vz_json_get(body, "settings", &inner) && vz_json_type(inner) == VZ_JSON_OBJECT)
        body = inner;
    if (vz_json_count(body) == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: no settings to update;");
        return;
    }
    if (!vz_resolve(call, call->args[0],
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_SOME | VZ_RESOLVE_CLOSED |
                        VZ_RESOLVE_AND_CLOSED |
                        (only_unblocks(body) ? 0 : VZ_RESOLVE_METADATA_WRITE),
                    &found))
        return;
    for (size_t i = 0; i < found.count && !call->problem.status; i++) {
        struct vz_error err = {0};
        if (vz_index_change_settings(found.indices[i], body, preserve, &err) != VZ_OK)
            vz_call_fail_index(call, &err, VZ_AT_SETTINGS, found.indices[i]);
    }
    vz_resolved_release(&found);
    vz_call_acknowledge(call);
}
