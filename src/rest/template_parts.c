/* What component, composable and legacy templates have in common: reading a body into the form that
 * is kept, finding them by name, listing, keeping and deleting them, and which of them meet. */
#include "rest/template.h"

#include <ctype.h>

bool vz_template_open(struct vz_call *call, struct vz_slice kind, struct vz_slice name,
                      struct vz_template *found)
{
    struct vz_buf text = {0};
    *found = (struct vz_template){.name = name};
    if (!name.len || !vz_store_get_blob(call->store, kind, name, &text)) {
        vz_buf_deinit(&text);
        return false;
    }
    found->text = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return vz_json_parse(found->text, &found->doc, &found->body, NULL) == VZ_OK;
}

void vz_template_close(struct vz_template *opened)
{
    vz_json_free(opened->doc);
    opened->doc = NULL;
}

static bool is_pattern(struct vz_slice text)
{
    return memchr(text.ptr, '*', text.len) != NULL;
}

size_t vz_template_names(struct vz_call *call, struct vz_slice kind, struct vz_slice expression,
                         struct vz_slice **names, struct vz_slice *missing)
{
    struct vz_slice *all, *parts;
    size_t count = vz_store_blob_names(call->store, kind, call->arena, &all), used = 0;
    size_t part_count = vz_split(call->arena, expression, &parts);
    bool *named = vz_arena_zalloc(call->arena, part_count + 1);
    *missing = (struct vz_slice){NULL, 0};
    *names = vz_arena_alloc(call->arena, (count + 1) * sizeof **names);
    for (size_t i = 0; i < count; i++) {
        bool wanted = part_count == 0;
        for (size_t j = 0; j < part_count; j++) {
            bool here = vz_wildcard_match(parts[j], all[i]);
            named[j] |= here;
            wanted |= here;
        }
        if (wanted)
            (*names)[used++] = all[i];
    }
    for (size_t j = 0; j < part_count && !missing->len; j++)
        if (!named[j] && !is_pattern(parts[j]))
            *missing = parts[j];
    return used;
}

bool vz_template_check_name(struct vz_call *call, struct vz_slice name, const char *type)
{
    const char *why = NULL;
    if (memchr(name.ptr, ' ', name.len))
        why = "name must not contain a space";
    else if (memchr(name.ptr, ',', name.len))
        why = "name must not contain a ','";
    else if (memchr(name.ptr, '#', name.len))
        why = "name must not contain a '#'";
    else if (memchr(name.ptr, '*', name.len))
        why = "name must not contain a '*'";
    else if (name.ptr[0] == '_')
        why = "name must not start with '_'";
    else if (name.len > 255)
        why = "name must not be longer than 255 bytes";
    for (size_t i = 0; i < name.len && !why; i++)
        if (isupper((unsigned char)name.ptr[i]))
            why = "name must be lower cased";
    if (!why)
        return true;
    return vz_call_fail(call, 400, "invalid_index_template_exception",
                        "%s [%.*s] invalid, cause [Validation Failed: 1: %s;]", type, VZ_S(name),
                        why);
}

static bool check_pattern(struct vz_call *call, struct vz_slice pattern)
{
    const char *why = NULL;
    if (pattern.len == 0)
        why = "must not be empty";
    else if (memchr(pattern.ptr, ' ', pattern.len))
        why = "must not contain a space";
    else if (memchr(pattern.ptr, ',', pattern.len))
        why = "must not contain a ','";
    else if (memchr(pattern.ptr, '#', pattern.len))
        why = "must not contain a '#'";
    else if (memchr(pattern.ptr, ':', pattern.len))
        why = "must not contain a ':'";
    else if (pattern.ptr[0] == '_')
        why = "must not start with '_'";
    else if (pattern.len > 255)
        why = "must not be longer than 255 bytes";
    if (!why)
        return true;
    return vz_call_fail(call, 400, "invalid_index_template_exception",
                        "index_template [%.*s] invalid, cause [Validation Failed: 1: "
                        "index_pattern [%.*s] %s;]",
                        VZ_S(call->args[0]), VZ_S(pattern), why);
}

bool vz_template_patterns(struct vz_call *call, struct vz_json value, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    size_t count = 0;
    vz_json_begin_array(w);
    if (vz_json_type(value) == VZ_JSON_STRING) {
        if (!check_pattern(call, vz_json_string(value)))
            return false;
        vz_json_put_value(w, value);
        count = 1;
    } else if (vz_json_type(value) != VZ_JSON_ARRAY) {
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Malformed [index_patterns] value, should be a string or a list of "
                            "strings");
    }
    for (; vz_json_type(value) == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &item); count++) {
        if (vz_json_type(item) != VZ_JSON_STRING)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "Malformed [index_patterns] value, should be a list of strings");
        if (!check_pattern(call, vz_json_string(item)))
            return false;
        vz_json_put_value(w, item);
    }
    vz_json_end_array(w);
    if (count == 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: index patterns are missing;");
    return true;
}

/* ---- settings, mappings, aliases ----------------------------------------------------------- */

static bool check_aliases(struct vz_call *call, struct vz_json aliases)
{
    struct vz_json_iter it = vz_json_iterate(aliases);
    struct vz_slice name;
    struct vz_json alias;
    while (vz_json_next(&it, &name, &alias)) {
        if (vz_json_type(alias) != VZ_JSON_OBJECT && vz_json_type(alias) != VZ_JSON_NULL)
            return vz_call_fail(call, 400, "parsing_exception", "alias [%.*s] must be an object",
                                VZ_S(name));
        if (!vz_alias_check(call, name, alias))
            return false;
    }
    return true;
}

static bool print_settings(struct vz_call *call, struct vz_json value, struct vz_json_writer *w)
{
    struct vz_buf body = {0}, settings = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_error err = {0};
    vz_buf_append_str(&body, "{\"settings\":");
    vz_json_print(value, &body);
    vz_buf_append_char(&body, '}');
    enum vz_status status = vz_json_parse(vz_buf_slice(&body), &doc, &root, &err);
    if (status == VZ_OK)
        status = vz_store_check_creation(call->store, root, &settings, NULL, &err);
    if (status == VZ_OK) {
        vz_json_key(w, "settings");
        vz_json_put_raw(w, vz_buf_slice(&settings));
    } else {
        vz_call_fail_error(call, &err, VZ_AT_SETTINGS);
    }
    vz_json_free(doc);
    vz_buf_deinit(&body);
    vz_buf_deinit(&settings);
    return status == VZ_OK;
}

bool vz_template_part(struct vz_call *call, const char *label, struct vz_json value,
                      struct vz_json_writer *w)
{
    static const char *const members[] = {"settings", "mappings", "aliases"};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &member)) {
        bool known = false, null = vz_json_type(member) == VZ_JSON_NULL;
        for (size_t i = 0; i < VZ_COUNT_OF(members); i++)
            known |= vz_slice_is(key, members[i]);
        if (vz_slice_is(key, "lifecycle") || vz_slice_is(key, "data_stream_options"))
            return vz_call_unsupported(call, "[%.*s] of a template is", VZ_S(key));
        if (!known)
            return vz_call_fail(call, 400, "x_content_parse_exception", "[%s] unknown field [%.*s]",
                                label, VZ_S(key));
        if (!null && vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[%s] %.*s doesn't support values of type: %s", label, VZ_S(key),
                                vz_json_type_name(member));
        if (null)
            continue;
        if (vz_slice_is(key, "settings")) {
            if (!print_settings(call, member, w))
                return false;
            continue;
        }
        struct vz_json inner;
        if (vz_slice_is(key, "aliases") && !check_aliases(call, member))
            return false;
        if (vz_slice_is(key, "mappings") && vz_json_count(member) == 1 &&
            vz_json_get(member, "_doc", &inner) && vz_json_type(inner) == VZ_JSON_OBJECT)
            member = inner;
        vz_json_key_slice(w, key);
        vz_json_put_value(w, member);
    }
    vz_json_end_object(w);
    return true;
}

void vz_template_print_part(struct vz_call *call, struct vz_json part)
{
    struct vz_json_iter it = vz_json_iterate(part);
    struct vz_slice key;
    struct vz_json member;
    vz_json_begin_object(&call->w);
    while (vz_json_next(&it, &key, &member)) {
        vz_json_key_slice(&call->w, key);
        if (vz_slice_is(key, "settings") && vz_call_bool(call, "flat_settings", false))
            vz_settings_flatten(member, (struct vz_json_patterns){NULL, 0}, &call->w);
        else
            vz_json_put_value(&call->w, member);
    }
    vz_json_end_object(&call->w);
}

/* ---- listing, keeping and deleting --------------------------------------------------------- */

static void print_template(struct vz_call *call, const struct vz_template *found, const char *item)
{
    struct vz_json_writer *w = &call->w;
    struct vz_json_iter it = vz_json_iterate(found->body);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(w);
    vz_json_field_string(w, "name", found->name);
    vz_json_key(w, item);
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(w, key);
        if (vz_slice_is(key, "template"))
            vz_template_print_part(call, value);
        else
            vz_json_put_value(w, value);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

void vz_template_list(struct vz_call *call, struct vz_slice kind, const char *what,
                      const char *list, const char *item)
{
    struct vz_slice *names, missing;
    size_t count = vz_template_names(call, kind, call->args[0], &names, &missing);
    if (missing.len) {
        vz_call_fail(call, 404, "resource_not_found_exception", "%s matching [%.*s] not found",
                     what, VZ_S(missing));
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, list);
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < count; i++) {
        struct vz_template found;
        if (vz_template_open(call, kind, names[i], &found))
            print_template(call, &found, item);
        vz_template_close(&found);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

/* A request with `create` of a name that is there already: a problem. */
static bool is_taken(struct vz_call *call, struct vz_slice kind, const char *what,
                     struct vz_slice name)
{
    struct vz_buf text = {0};
    bool taken =
        vz_call_bool(call, "create", false) && vz_store_get_blob(call->store, kind, name, &text);
    vz_buf_deinit(&text);
    if (taken)
        vz_call_fail(call, 400, "illegal_argument_exception", "%s [%.*s] already exists", what,
                     VZ_S(name));
    return taken;
}

void vz_template_put(struct vz_call *call, struct vz_slice kind, const char *what,
                     bool (*check)(struct vz_call *call, struct vz_slice name, struct vz_json body),
                     struct vz_buf *text)
{
    struct vz_slice name = call->args[0];
    struct vz_json_doc *doc = NULL;
    struct vz_json body;
    struct vz_error err = {0};
    pthread_mutex_lock(&call->rest->templates_mutex);
    if (!is_taken(call, kind, what, name)) {
        if (vz_json_parse(vz_buf_slice(text), &doc, &body, &err) != VZ_OK)
            vz_call_fail_error(call, &err, VZ_AT_BODY);
        else if (check(call, name, body) &&
                 vz_store_put_blob(call->store, kind, name, vz_buf_slice(text), &err) != VZ_OK)
            vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    }
    pthread_mutex_unlock(&call->rest->templates_mutex);
    vz_json_free(doc);
    vz_buf_deinit(text);
    vz_call_acknowledge(call);
}

void vz_template_delete(struct vz_call *call, struct vz_slice kind,
                        void (*check)(struct vz_call *call, const struct vz_slice *names,
                                      size_t count, struct vz_slice missing))
{
    struct vz_slice *names, missing;
    struct vz_error err = {0};
    pthread_mutex_lock(&call->rest->templates_mutex);
    size_t count = vz_template_names(call, kind, call->args[0], &names, &missing);
    if (!missing.len && !count && !vz_slice_is(call->args[0], "*"))
        missing = call->args[0];
    check(call, names, count, missing);
    for (size_t i = 0; i < count && !call->problem.status; i++)
        if (vz_store_delete_blob(call->store, kind, names[i], &err) != VZ_OK)
            vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    pthread_mutex_unlock(&call->rest->templates_mutex);
    vz_call_acknowledge(call);
}

/* ---- which meet ---------------------------------------------------------------------------- */

void vz_template_print_list(struct vz_json list, struct vz_buf *out)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    const char *between = "";
    vz_buf_append_char(out, '[');
    while (vz_json_next(&it, NULL, &item)) {
        vz_buf_append_str(out, between);
        vz_buf_append_slice(out, vz_json_string(item));
        between = ", ";
    }
    vz_buf_append_char(out, ']');
}

void vz_template_overlaps(struct vz_call *call, struct vz_slice kind, struct vz_json patterns,
                          struct vz_slice skip, bool same_priority, int64_t priority,
                          struct vz_overlap *overlap)
{
    struct vz_slice *names;
    size_t count = vz_store_blob_names(call->store, kind, call->arena, &names);
    *overlap = (struct vz_overlap){0};
    for (size_t i = 0; i < count; i++) {
        struct vz_template other;
        struct vz_json theirs, member;
        int64_t its = 0;
        if (vz_slice_eq(names[i], skip) || !vz_template_open(call, kind, names[i], &other))
            continue;
        if (vz_json_get(other.body, "priority", &member))
            vz_json_as_int(member, &its);
        if (vz_json_get(other.body, "index_patterns", &theirs) &&
            (!same_priority || its == priority) && vz_pattern_lists_meet(patterns, theirs)) {
            const char *between = overlap->count++ ? "," : "";
            vz_buf_printf(&overlap->names, "%s%.*s", between, VZ_S(names[i]));
            vz_buf_printf(&overlap->rules, "%s%.*s => ", between, VZ_S(names[i]));
            vz_template_print_list(theirs, &overlap->rules);
        }
        vz_template_close(&other);
    }
}

void vz_overlap_deinit(struct vz_overlap *overlap)
{
    vz_buf_deinit(&overlap->names);
    vz_buf_deinit(&overlap->rules);
}
