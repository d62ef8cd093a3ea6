/* Component templates: /_component_template. */
#include "rest/template.h"

/* The body in the form that is kept. */
static bool read_component(struct vz_call *call, struct vz_json body, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    bool has_template = false;
    int64_t number;
    vz_json_begin_object(&w);
    while (vz_json_next(&it, &key, &value)) {
        bool null = vz_json_type(value) == VZ_JSON_NULL, ok = true, flag;
        if (vz_slice_is(key, "template")) {
            if (vz_json_type(value) != VZ_JSON_OBJECT)
                return vz_call_fail(call, 400, "x_content_parse_exception",
                                    "[component_template] template doesn't support values of "
                                    "type: %s",
                                    vz_json_type_name(value));
            vz_json_key(&w, "template");
            has_template = true;
            if (!vz_template_part(call, "template", value, &w))
                return false;
            continue;
        }
        if (vz_slice_is(key, "version"))
            ok = null || vz_json_as_int(value, &number);
        else if (vz_slice_is(key, "_meta"))
            ok = null || vz_json_type(value) == VZ_JSON_OBJECT;
        else if (vz_slice_is(key, "deprecated"))
            ok = null || vz_json_as_bool(value, &flag);
        else
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[component_template] unknown field [%.*s]", VZ_S(key));
        if (!ok)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[component_template] failed to parse field [%.*s]", VZ_S(key));
        if (!null) {
            vz_json_key_slice(&w, key);
            vz_json_put_value(&w, value);
        }
    }
    vz_json_end_object(&w);
    if (!has_template)
        return vz_call_fail(call, 400, "illegal_argument_exception", "Required [template]");
    return true;
}

static bool names_component(struct vz_json body, struct vz_slice name)
{
    struct vz_json list, item;
    if (!vz_json_get(body, "composed_of", &list))
        return false;
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &item))
        if (vz_slice_eq(vz_json_string(item), name))
            return true;
    return false;
}

static enum vz_status check_composed(struct vz_call *call, struct vz_composed *composed,
                                     struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    vz_buf_printf(&text, "{\"settings\":%s,\"mappings\":%s}", composed->settings.data,
                  composed->mappings.data);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK)
        status = vz_store_check_creation(call->store, root, NULL, NULL, err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    return status;
}

/* Every index template that is composed of it must stay valid. */
static bool check_users(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_slice *names;
    size_t count = vz_store_blob_names(call->store, VZ_KIND_INDEX_TEMPLATE, call->arena, &names);
    for (size_t i = 0; i < count && !call->problem.status; i++) {
        struct vz_template user;
        struct vz_composed composed;
        struct vz_error err = {0};
        if (!vz_template_open(call, VZ_KIND_INDEX_TEMPLATE, names[i], &user))
            continue;
        if (names_component(user.body, name)) {
            struct vz_component instead = {name, body};
            enum vz_status status =
                vz_template_compose(call->store, user.body, &instead, &composed, &err);
            if (status == VZ_OK)
                status = check_composed(call, &composed, &err);
            if (status != VZ_OK) {
                vz_call_fail(call, 400, "illegal_argument_exception",
                             "updating component template [%.*s] results in invalid composable "
                             "template [%.*s] after templates are merged",
                             VZ_S(name), VZ_S(names[i]));
                call->problem.cause_type = "illegal_argument_exception";
                call->problem.cause_reason = vz_call_format(call, "%s", err.text);
            }
            vz_composed_deinit(&composed);
        }
        vz_template_close(&user);
    }
    return !call->problem.status;
}

/* The mappings of a component alone. */
static bool check_alone(struct vz_call *call, struct vz_json body)
{
    struct vz_json inner;
    struct vz_error err = {0};
    struct vz_buf text = {0};
    struct vz_json mappings;
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    if (!vz_json_get(body, "template", &inner) || !vz_json_get(inner, "mappings", &mappings))
        return true;
    /* Fields may name analyzers of settings that come from elsewhere: checked when composed. */
    vz_buf_append_str(&text, "{\"settings\":");
    struct vz_json settings = {0};
    if (vz_json_get(inner, "settings", &settings))
        vz_json_print(settings, &text);
    else
        vz_buf_append_str(&text, "{}");
    vz_buf_append_str(&text, ",\"mappings\":");
    vz_json_print(mappings, &text);
    vz_buf_append_char(&text, '}');
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, &err);
    if (status == VZ_OK)
        status = vz_store_check_creation(call->store, root, NULL, NULL, &err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    if (status == VZ_OK || strstr(err.text, "has not been configured in mappings"))
        return true;
    err.offset = VZ_NO_OFFSET;
    return vz_call_fail_error(call, &err, VZ_AT_MAPPING);
}

static bool check_component(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    return check_alone(call, body) && check_users(call, name, body);
}

void vz_rest_component_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_buf text = {0};
    if (vz_call_body(call, VZ_AT_BODY, true, &body) &&
        vz_template_check_name(call, call->args[0], "index_template") &&
        read_component(call, body, &text))
        vz_template_put(call, VZ_KIND_COMPONENT_TEMPLATE, "component template", check_component,
                        &text);
    else
        vz_buf_deinit(&text);
}

void vz_rest_component_get(struct vz_call *call)
{
    vz_template_list(call, VZ_KIND_COMPONENT_TEMPLATE, "component template", "component_templates",
                     "component_template");
}

/* Which index templates are composed of any of these. */
static bool check_unused(struct vz_call *call, const struct vz_slice *names, size_t count)
{
    struct vz_slice *users;
    struct vz_buf used = {0}, by = {0};
    bool *is_used = vz_arena_zalloc(call->arena, count + 1);
    size_t user_count =
        vz_store_blob_names(call->store, VZ_KIND_INDEX_TEMPLATE, call->arena, &users);
    for (size_t i = 0; i < user_count; i++) {
        struct vz_template user;
        bool uses = false;
        if (vz_template_open(call, VZ_KIND_INDEX_TEMPLATE, users[i], &user)) {
            for (size_t j = 0; j < count; j++) {
                bool here = names_component(user.body, names[j]);
                uses |= here;
                is_used[j] |= here;
            }
        }
        vz_template_close(&user);
        if (uses)
            vz_buf_printf(&by, "%s%.*s", by.len ? ", " : "", VZ_S(users[i]));
    }
    for (size_t j = 0; j < count; j++)
        if (is_used[j])
            vz_buf_printf(&used, "%s%.*s", used.len ? ", " : "", VZ_S(names[j]));
    bool ok = used.len == 0;
    if (!ok)
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "component templates [%s] cannot be removed as they are still in use by "
                     "index templates [%s]",
                     used.data, by.data);
    vz_buf_deinit(&used);
    vz_buf_deinit(&by);
    return ok;
}

static void check_deletion(struct vz_call *call, const struct vz_slice *names, size_t count,
                           struct vz_slice missing)
{
    if (check_unused(call, names, count) && missing.len)
        vz_call_fail(call, 404, "resource_not_found_exception", "%.*s", VZ_S(missing));
}

void vz_rest_component_delete(struct vz_call *call)
{
    vz_template_delete(call, VZ_KIND_COMPONENT_TEMPLATE, check_deletion);
}
