/* Composable index templates: /_index_template, and what they would make: _simulate. */
#include "rest/template.h"

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_strings(struct vz_json list)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    if (vz_json_type(list) != VZ_JSON_ARRAY)
        return false;
    while (vz_json_next(&it, NULL, &item))
        if (vz_json_type(item) != VZ_JSON_STRING)
            return false;
    return true;
}

/* A member that is kept as it is. False with a problem. */
static bool check_member(struct vz_call *call, struct vz_slice key, struct vz_json value)
{
    int64_t number;
    bool flag, ok = true;
    if (vz_slice_is(key, "composed_of") || vz_slice_is(key, "ignore_missing_component_templates"))
        ok = is_strings(value);
    else if (vz_slice_is(key, "priority")) {
        ok = vz_json_as_int(value, &number);
        if (ok && number < 0)
            return vz_call_fail(call, 400, "action_request_validation_exception",
                                "Validation Failed: 1: index template priority must be >= 0;");
    } else if (vz_slice_is(key, "version"))
        ok = vz_json_as_int(value, &number);
    else if (vz_slice_is(key, "_meta"))
        ok = vz_json_type(value) == VZ_JSON_OBJECT;
    else if (vz_slice_is(key, "allow_auto_create") || vz_slice_is(key, "deprecated"))
        ok = vz_json_as_bool(value, &flag);
    else if (vz_slice_is(key, "data_stream"))
        return vz_call_unsupported(call, "[data_stream] of an index template is");
    else
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[index_template] unknown field [%.*s]", VZ_S(key));
    if (!ok)
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[index_template] failed to parse field [%.*s]", VZ_S(key));
    return true;
}

/* The body in the form that is kept. `patterns`: they are required. */
static bool read_template(struct vz_call *call, struct vz_json body, bool patterns,
                          struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value, list;
    vz_json_begin_object(&w);
    if (vz_json_get(body, "index_patterns", &list)) {
        vz_json_key(&w, "index_patterns");
        if (!vz_template_patterns(call, list, &w))
            return false;
    } else if (patterns) {
        return vz_call_fail(call, 400, "illegal_argument_exception", "Required [index_patterns]");
    }
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "index_patterns") || vz_json_type(value) == VZ_JSON_NULL)
            continue;
        if (!vz_slice_is(key, "template")) {
            if (!check_member(call, key, value))
                return false;
            vz_json_key_slice(&w, key);
            vz_json_put_value(&w, value);
            continue;
        }
        if (vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[index_template] template doesn't support values of type: %s",
                                vz_json_type_name(value));
        vz_json_key(&w, "template");
        if (!vz_template_part(call, "template", value, &w))
            return false;
    }
    if (!vz_json_get(body, "composed_of", &list) || vz_json_type(list) == VZ_JSON_NULL) {
        vz_json_key(&w, "composed_of");
        vz_json_put_raw(&w, VZ_SLICE("[]"));
    }
    vz_json_end_object(&w);
    return true;
}

static bool may_miss(struct vz_json body, struct vz_slice name)
{
    struct vz_json list, item;
    if (!vz_json_get(body, "ignore_missing_component_templates", &list))
        return false;
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &item))
        if (vz_slice_eq(vz_json_string(item), name))
            return true;
    return false;
}

static bool check_components(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_json list, item;
    struct vz_buf missing = {0};
    if (vz_json_get(body, "composed_of", &list)) {
        struct vz_json_iter it = vz_json_iterate(list);
        while (vz_json_next(&it, NULL, &item)) {
            struct vz_buf text = {0};
            struct vz_slice one = vz_json_string(item);
            if (!vz_store_get_blob(call->store, VZ_KIND_COMPONENT_TEMPLATE, one, &text) &&
                !may_miss(body, one))
                vz_buf_printf(&missing, "%s%.*s", missing.len ? ", " : "", VZ_S(one));
            vz_buf_deinit(&text);
        }
    }
    bool ok = missing.len == 0;
    if (!ok)
        vz_call_fail(call, 400, "invalid_index_template_exception",
                     "index_template [%.*s] invalid, cause [index template [%.*s] specifies "
                     "component templates [%s] that do not exist]",
                     VZ_S(name), VZ_S(name), missing.data);
    vz_buf_deinit(&missing);
    return ok;
}

static bool check_priority(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_json patterns, member;
    struct vz_overlap overlap;
    int64_t priority = 0;
    if (vz_json_get(body, "priority", &member))
        vz_json_as_int(member, &priority);
    vz_json_get(body, "index_patterns", &patterns);
    vz_template_overlaps(call, VZ_KIND_INDEX_TEMPLATE, patterns, name, true, priority, &overlap);
    if (overlap.count) {
        struct vz_buf list = {0};
        vz_template_print_list(patterns, &list);
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "index template [%.*s] has index patterns %s matching patterns from existing "
                     "templates [%s] with patterns (%s) that have the same priority [%lld], "
                     "multiple index templates may not match during index creation, please use a "
                     "different priority",
                     VZ_S(name), list.data, overlap.names.data, overlap.rules.data,
                     (long long)priority);
        vz_buf_deinit(&list);
    }
    vz_overlap_deinit(&overlap);
    return !call->problem.status;
}

static bool is_global(struct vz_json body)
{
    struct vz_json patterns, item;
    if (!vz_json_get(body, "index_patterns", &patterns))
        return false;
    struct vz_json_iter it = vz_json_iterate(patterns);
    while (vz_json_next(&it, NULL, &item))
        if (vz_slice_is(vz_json_string(item), "*"))
            return true;
    return false;
}

/* What it makes with its components must be an index. */
static bool check_composition(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_composed composed;
    struct vz_error err = {0};
    struct vz_json list, root, hidden;
    struct vz_json_doc *doc = NULL;
    struct vz_buf text = {0};
    enum vz_status status = vz_template_compose(call->store, body, NULL, &composed, &err);
    bool hides = false;
    if (status == VZ_OK) {
        vz_buf_printf(&text, "{\"settings\":%s,\"mappings\":%s}", composed.settings.data,
                      composed.mappings.data);
        status = vz_json_parse(vz_buf_slice(&text), &doc, &root, &err);
    }
    if (status == VZ_OK) {
        hides =
            vz_json_get(root, "settings", &hidden) && vz_json_get(hidden, "index.hidden", &hidden);
        status = vz_store_check_creation(call->store, root, NULL, NULL, &err);
    }
    vz_json_free(doc);
    vz_buf_deinit(&text);
    vz_composed_deinit(&composed);
    if (status == VZ_OK && hides && is_global(body))
        return vz_call_fail(call, 400, "invalid_index_template_exception",
                            "index_template [%.*s] invalid, cause [global composable templates may "
                            "not specify the setting index.hidden]",
                            VZ_S(name));
    if (status == VZ_OK)
        return true;
    struct vz_buf with = {0};
    if (vz_json_get(body, "composed_of", &list) && vz_json_count(list)) {
        vz_buf_append_str(&with, "with component templates ");
        vz_template_print_list(list, &with);
        vz_buf_append_char(&with, ' ');
    }
    vz_call_fail(call, 400, "illegal_argument_exception",
                 "composable template [%.*s] template after composition %.*sis invalid", VZ_S(name),
                 VZ_S(vz_buf_slice(&with)));
    struct vz_problem why;
    err.offset = VZ_NO_OFFSET;
    vz_problem_from(call->arena, &err, VZ_AT_PUT_MAPPING, (struct vz_slice){NULL, 0},
                    (struct vz_slice){NULL, 0}, NULL, &why);
    call->problem.cause_type = why.type;
    call->problem.cause_reason = why.reason;
    vz_buf_deinit(&with);
    return false;
}

static bool check_template(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    return check_components(call, name, body) && check_priority(call, name, body) &&
           check_composition(call, name, body);
}

void vz_rest_template_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_buf text = {0};
    if (vz_call_body(call, VZ_AT_BODY, true, &body) &&
        vz_template_check_name(call, call->args[0], "index_template") &&
        read_template(call, body, true, &text))
        vz_template_put(call, VZ_KIND_INDEX_TEMPLATE, "index template", check_template, &text);
    else
        vz_buf_deinit(&text);
}

/* ---- looking and deleting ------------------------------------------------------------------ */

void vz_rest_template_get(struct vz_call *call)
{
    vz_template_list(call, VZ_KIND_INDEX_TEMPLATE, "index template", "index_templates",
                     "index_template");
}

static void check_deletion(struct vz_call *call, const struct vz_slice *names, size_t count,
                           struct vz_slice missing)
{
    (void)names, (void)count;
    if (missing.len)
        vz_call_fail(call, 404, "index_template_missing_exception", "index_template [%.*s] missing",
                     VZ_S(missing));
}

void vz_rest_template_delete(struct vz_call *call)
{
    vz_template_delete(call, VZ_KIND_INDEX_TEMPLATE, check_deletion);
}

/* ---- simulating ---------------------------------------------------------------------------- */

static void print_overlapping(struct vz_call *call, struct vz_slice kind, struct vz_json patterns,
                              struct vz_slice skip)
{
    struct vz_slice *names;
    size_t count = vz_store_blob_names(call->store, kind, call->arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_template other;
        struct vz_json theirs;
        if (vz_slice_eq(names[i], skip) || !vz_template_open(call, kind, names[i], &other))
            continue;
        if (vz_json_get(other.body, "index_patterns", &theirs) &&
            vz_pattern_lists_meet(patterns, theirs)) {
            vz_json_begin_object(&call->w);
            vz_json_field_string(&call->w, "name", names[i]);
            vz_json_key(&call->w, "index_patterns");
            vz_json_put_value(&call->w, theirs);
            vz_json_end_object(&call->w);
        }
        vz_template_close(&other);
    }
}

/* The resolved parts of one template, as an index would have them. */
static void print_simulated(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_composed composed;
    struct vz_error err = {0};
    struct vz_json root, patterns = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_buf text = {0}, settings = {0}, mappings = {0};
    enum vz_status status = vz_template_compose(call->store, body, NULL, &composed, &err);
    if (status == VZ_OK) {
        vz_buf_printf(&text, "{\"settings\":%s,\"mappings\":%s}", composed.settings.data,
                      composed.mappings.data);
        status = vz_json_parse(vz_buf_slice(&text), &doc, &root, &err);
    }
    if (status == VZ_OK)
        status = vz_store_check_creation(call->store, root, &settings, &mappings, &err);
    vz_json_free(doc);
    if (status == VZ_OK) {
        struct vz_json_writer *w = &call->w;
        vz_json_begin_object(w);
        vz_json_key(w, "template");
        vz_json_begin_object(w);
        vz_json_key(w, "settings");
        vz_json_put_raw(w, vz_buf_slice(&settings));
        vz_json_key(w, "mappings");
        vz_json_put_raw(w, vz_buf_slice(&mappings));
        vz_json_key(w, "aliases");
        vz_json_put_raw(w, vz_buf_slice(&composed.aliases));
        vz_json_end_object(w);
        vz_json_key(w, "overlapping");
        vz_json_begin_array(w);
        vz_json_get(body, "index_patterns", &patterns);
        print_overlapping(call, VZ_KIND_LEGACY_TEMPLATE, patterns, (struct vz_slice){NULL, 0});
        print_overlapping(call, VZ_KIND_INDEX_TEMPLATE, patterns, name);
        vz_json_end_array(w);
        vz_json_end_object(w);
    } else {
        err.offset = VZ_NO_OFFSET;
        vz_call_fail_error(call, &err, VZ_AT_MAPPING);
    }
    vz_composed_deinit(&composed);
    vz_buf_deinit(&text);
    vz_buf_deinit(&settings);
    vz_buf_deinit(&mappings);
}

static bool matches_index(struct vz_json body, struct vz_slice index)
{
    struct vz_json patterns, item;
    if (!vz_json_get(body, "index_patterns", &patterns))
        return false;
    struct vz_json_iter it = vz_json_iterate(patterns);
    while (vz_json_next(&it, NULL, &item))
        if (vz_wildcard_match(vz_json_string(item), index))
            return true;
    return false;
}

/* A template from the request's body, checked as if it were put. *doc is to be freed. */
static bool body_template(struct vz_call *call, struct vz_slice name, struct vz_json_doc **doc,
                          struct vz_json *out)
{
    struct vz_json body;
    struct vz_buf text = {0};
    struct vz_error err = {0};
    *doc = NULL;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    if (vz_json_type(body) == VZ_JSON_MISSING || vz_json_count(body) == 0)
        return true;
    if (!read_template(call, body, true, &text)) {
        vz_buf_deinit(&text);
        return false;
    }
    struct vz_slice kept = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    if (vz_json_parse(kept, doc, out, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_BODY);
    return check_components(call, name, *out);
}

void vz_rest_template_simulate_index(struct vz_call *call)
{
    struct vz_json_doc *doc;
    struct vz_json given, body;
    struct vz_slice name, text, index = call->args[0];
    int64_t priority = -1, best = -1;
    struct vz_problem refused = {0};
    if (vz_name_refused(call->arena, index, &refused)) {
        call->problem = refused;
        return;
    }
    if (!body_template(call, VZ_SLICE("simulated"), &doc, &given))
        goto out;
    bool found = vz_template_find(call->store, call->arena, index, false,
                                  (struct vz_slice){NULL, 0}, &name, &text);
    struct vz_json_doc *stored = NULL;
    struct vz_json member;
    if (found && vz_json_parse(text, &stored, &body, NULL) == VZ_OK) {
        best = 0;
        if (vz_json_get(body, "priority", &member))
            vz_json_as_int(member, &best);
    }
    if (doc && matches_index(given, index)) {
        priority = 0;
        if (vz_json_get(given, "priority", &member))
            vz_json_as_int(member, &priority);
        if (!check_priority(call, VZ_SLICE(""), given))
            priority = best = -1;
    }
    if (call->problem.status) {
        /* said */
    } else if (priority >= 0 && priority >= best) {
        print_simulated(call, (struct vz_slice){NULL, 0}, given);
    } else if (best >= 0) {
        print_simulated(call, name, body);
    } else {
        vz_buf_append_str(&call->response->body, "{}");
    }
    vz_json_free(stored);
out:
    vz_json_free(doc);
}

void vz_rest_template_simulate(struct vz_call *call)
{
    struct vz_json_doc *doc;
    struct vz_json given;
    struct vz_template found;
    struct vz_slice name = call->args[0];
    if (!body_template(call, name.len ? name : VZ_SLICE("simulated"), &doc, &given))
        goto out;
    if (doc) {
        if (check_priority(call, name, given))
            print_simulated(call, name, given);
    } else if (!name.len) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: either index name or index template body must be "
                     "present;");
    } else if (vz_template_open(call, VZ_KIND_INDEX_TEMPLATE, name, &found)) {
        print_simulated(call, name, found.body);
        vz_template_close(&found);
    } else {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "unable to simulate template [%.*s] that does not exist", VZ_S(name));
    }
out:
    vz_json_free(doc);
}
