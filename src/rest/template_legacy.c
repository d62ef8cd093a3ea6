/* Legacy index templates: /_template. All that match a new index's name are laid over each other by
 * their order, where no composable template matches. */
#include "rest/template.h"

/* The body in the form that is kept. */
static bool read_legacy(struct vz_call *call, struct vz_json body, struct vz_buf *out)
{
    static const char *const parts[] = {"settings", "mappings", "aliases"};
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_buf inner = {0};
    struct vz_json_writer in = vz_json_writer_on(&inner);
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    int64_t order = 0, version = 0;
    bool has_version = false;
    vz_json_begin_object(&in);
    while (vz_json_next(&it, &key, &value)) {
        bool part = false, ok = true;
        for (size_t i = 0; i < VZ_COUNT_OF(parts); i++)
            part |= vz_slice_is(key, parts[i]);
        if (part && vz_json_type(value) != VZ_JSON_NULL) {
            vz_json_key_slice(&in, key);
            vz_json_put_value(&in, value);
        } else if (vz_slice_is(key, "order")) {
            ok = vz_json_as_int(value, &order);
        } else if (vz_slice_is(key, "version")) {
            has_version = vz_json_type(value) != VZ_JSON_NULL;
            ok = !has_version || vz_json_as_int(value, &version);
        } else if (!part && !vz_slice_is(key, "index_patterns")) {
            vz_buf_deinit(&inner);
            return vz_call_fail(call, 400, "parse_exception", "unknown key [%.*s] in the template ",
                                VZ_S(key));
        }
        if (!ok) {
            vz_buf_deinit(&inner);
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "Malformed [%.*s] value, should be an integer", VZ_S(key));
        }
    }
    vz_json_end_object(&in);
    vz_json_begin_object(&w);
    vz_json_field_int(&w, "order", vz_call_int(call, "order", order));
    if (has_version)
        vz_json_field_int(&w, "version", version);
    bool ok = true;
    if (vz_json_get(body, "index_patterns", &value)) {
        vz_json_key(&w, "index_patterns");
        ok = vz_template_patterns(call, value, &w);
    } else {
        ok = vz_call_fail(call, 400, "action_request_validation_exception",
                          "Validation Failed: 1: index patterns are missing;");
    }
    struct vz_json_doc *doc = NULL;
    struct vz_buf kept = {0};
    struct vz_json_writer k = vz_json_writer_on(&kept);
    ok = ok && vz_json_parse(vz_buf_slice(&inner), &doc, &value, NULL) == VZ_OK &&
         vz_template_part(call, "template", value, &k);
    vz_json_free(doc);
    if (ok && vz_json_parse(vz_buf_slice(&kept), &doc, &value, NULL) == VZ_OK) {
        for (size_t i = 0; i < VZ_COUNT_OF(parts); i++) {
            struct vz_json member;
            vz_json_key(&w, parts[i]);
            if (vz_json_get(value, parts[i], &member))
                vz_json_put_value(&w, member);
            else
                vz_json_put_raw(&w, VZ_SLICE("{}"));
        }
        vz_json_free(doc);
    }
    vz_json_end_object(&w);
    vz_buf_deinit(&inner);
    vz_buf_deinit(&kept);
    return ok;
}

static bool check_legacy(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_error err = {0};
    struct vz_json patterns, settings = {0}, mappings = {0}, root;
    struct vz_overlap overlap;
    struct vz_buf text = {0}, list = {0};
    struct vz_json_doc *doc = NULL;
    vz_json_get(body, "settings", &settings);
    vz_json_get(body, "mappings", &mappings);
    vz_buf_append_str(&text, "{\"settings\":");
    vz_json_print(settings, &text);
    vz_buf_append_str(&text, ",\"mappings\":");
    vz_json_print(mappings, &text);
    vz_buf_append_char(&text, '}');
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, &err);
    if (status == VZ_OK)
        status = vz_store_check_creation(call->store, root, NULL, NULL, &err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    if (status != VZ_OK) {
        err.offset = VZ_NO_OFFSET;
        return vz_call_fail_error(call, &err, VZ_AT_MAPPING);
    }
    vz_json_get(body, "index_patterns", &patterns);
    vz_template_overlaps(call, VZ_KIND_INDEX_TEMPLATE, patterns, (struct vz_slice){NULL, 0}, false,
                         0, &overlap);
    vz_template_print_list(patterns, &list);
    if (overlap.count && !vz_slice_is(vz_buf_slice(&list), "[*]"))
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "legacy template [%.*s] has index patterns %s matching patterns from existing "
                     "composable templates [%s] with patterns (%s), use composable templates "
                     "(/_index_template) instead",
                     VZ_S(name), list.data, overlap.names.data, overlap.rules.data);
    vz_overlap_deinit(&overlap);
    vz_buf_deinit(&list);
    return !call->problem.status;
}

void vz_rest_legacy_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_buf text = {0};
    if (vz_call_body(call, VZ_AT_MAP_BODY, true, &body) &&
        vz_template_check_name(call, call->args[0], "index_template") &&
        read_legacy(call, body, &text))
        vz_template_put(call, VZ_KIND_LEGACY_TEMPLATE, "index_template", check_legacy, &text);
    else
        vz_buf_deinit(&text);
}

void vz_rest_legacy_get(struct vz_call *call)
{
    struct vz_slice *names, missing;
    size_t count =
        vz_template_names(call, VZ_KIND_LEGACY_TEMPLATE, call->args[0], &names, &missing);
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < count; i++) {
        struct vz_template found;
        if (vz_template_open(call, VZ_KIND_LEGACY_TEMPLATE, names[i], &found)) {
            vz_json_key_slice(&call->w, names[i]);
            vz_template_print_part(call, found.body);
        }
        vz_template_close(&found);
    }
    vz_json_end_object(&call->w);
    if (count == 0 && missing.len)
        call->response->status = 404;
}

static void check_deletion(struct vz_call *call, const struct vz_slice *names, size_t count,
                           struct vz_slice missing)
{
    (void)names, (void)count;
    if (missing.len)
        vz_call_fail(call, 404, "index_template_missing_exception", "index_template [%.*s] missing",
                     VZ_S(call->args[0]));
}

void vz_rest_legacy_delete(struct vz_call *call)
{
    vz_template_delete(call, VZ_KIND_LEGACY_TEMPLATE, check_deletion);
}
