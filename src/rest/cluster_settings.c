/* Settings of the cluster: look, change. */
#include "rest/parts.h"
#include "store/cluster_settings.h"

void vz_rest_cluster_settings(struct vz_call *call)
{
    bool flat = vz_call_bool(call, "flat_settings", false);
    struct vz_buf *out = &call->response->body;
    vz_buf_append_str(out, "{\"persistent\":");
    vz_cluster_settings_print(call->store, false, flat, out);
    vz_buf_append_str(out, ",\"transient\":");
    vz_cluster_settings_print(call->store, true, flat, out);
    if (vz_call_bool(call, "include_defaults", false))
        vz_buf_append_str(out,
                          flat ? ",\"defaults\":{\"action.auto_create_index\":\"true\","
                                 "\"action.destructive_requires_name\":\"true\"}"
                               : ",\"defaults\":{\"action\":{\"auto_create_index\":\"true\","
                                 "\"destructive_requires_name\":\"true\"}}");
    vz_buf_append_char(out, '}');
}

static void print_changed(struct vz_call *call, const char *key, struct vz_buf *nested)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    vz_json_key(&call->w, key);
    if (vz_call_bool(call, "flat_settings", false) &&
        vz_json_parse(vz_buf_slice(nested), &doc, &root, NULL) == VZ_OK) {
        vz_settings_flatten(root, (struct vz_json_patterns){NULL, 0}, &call->w);
        vz_json_free(doc);
    } else {
        vz_json_put_raw(&call->w, vz_buf_slice(nested));
    }
}

void vz_rest_cluster_settings_put(struct vz_call *call)
{
    struct vz_json body, part;
    struct vz_slice key;
    struct vz_error err = {0};
    struct vz_buf persistent = {0}, transient = {0};
    size_t changes = 0;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &part)) {
        if (!vz_slice_is(key, "persistent") && !vz_slice_is(key, "transient")) {
            vz_call_fail(call, 400, "x_content_parse_exception",
                         "[cluster_update_settings_request] unknown field [%.*s]", VZ_S(key));
            return;
        }
        if (vz_json_type(part) != VZ_JSON_OBJECT && vz_json_type(part) != VZ_JSON_NULL) {
            vz_call_fail(call, 400, "x_content_parse_exception",
                         "[cluster_update_settings_request] %.*s doesn't support values of type: "
                         "%s",
                         VZ_S(key), vz_json_type_name(part));
            return;
        }
        changes += vz_json_count(part);
    }
    if (changes == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: no settings to update;");
        return;
    }
    if (vz_cluster_settings_put(call->store, body, &persistent, &transient, &err) == VZ_OK) {
        vz_json_begin_object(&call->w);
        vz_json_field_bool(&call->w, "acknowledged", true);
        print_changed(call, "persistent", &persistent);
        print_changed(call, "transient", &transient);
        vz_json_end_object(&call->w);
    } else {
        vz_call_fail_error(call, &err, VZ_AT_SETTINGS);
    }
    vz_buf_deinit(&persistent);
    vz_buf_deinit(&transient);
}
