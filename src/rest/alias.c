/* Aliases: list, add, remove, and several at once. */
#include "rest/parts.h"

void vz_alias_print(const struct vz_alias *alias, struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    if (alias->filter.len) {
        vz_json_key(w, "filter");
        vz_json_put_raw(w, alias->filter);
    }
    if (alias->index_routing.len)
        vz_json_field_string(w, "index_routing", alias->index_routing);
    if (alias->search_routing.len)
        vz_json_field_string(w, "search_routing", alias->search_routing);
    if (alias->has_write_index)
        vz_json_field_bool(w, "is_write_index", alias->is_write_index);
    if (alias->is_hidden)
        vz_json_field_bool(w, "is_hidden", true);
    vz_json_end_object(w);
}

/* ---- list ---------------------------------------------------------------------------------- */

static bool is_pattern(struct vz_slice text)
{
    return vz_slice_is(text, "_all") || memchr(text.ptr, '*', text.len) != NULL;
}

static bool name_matches(const struct vz_slice *parts, size_t count, struct vz_slice name)
{
    bool matches = count == 0, saw_pattern = false;
    for (size_t i = 0; i < count; i++) {
        struct vz_slice part = vz_slice_is(parts[i], "_all") ? VZ_SLICE("*") : parts[i];
        if (saw_pattern && part.ptr[0] == '-') {
            if (vz_wildcard_match((struct vz_slice){part.ptr + 1, part.len - 1}, name))
                matches = false;
        } else if (vz_wildcard_match(part, name)) {
            matches = true;
        }
        saw_pattern |= is_pattern(part);
    }
    return matches;
}

/* Says which of the plain names asked for were found on no index. */
static void report_missing(struct vz_call *call, const struct vz_slice *parts, size_t count,
                           const bool *found)
{
    struct vz_buf names = {0};
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        if (found[i] || is_pattern(parts[i]) || parts[i].ptr[0] == '-')
            continue;
        if (missing++)
            vz_buf_append_char(&names, ',');
        vz_buf_append_slice(&names, parts[i]);
    }
    if (missing) {
        struct vz_slice text = vz_call_format(call, "alias%s [%.*s] missing",
                                              missing > 1 ? "es" : "", VZ_S(vz_buf_slice(&names)));
        vz_json_field_string(&call->w, "error", text);
        vz_json_field_int(&call->w, "status", 404);
        call->response->status = 404;
    }
    vz_buf_deinit(&names);
}

static size_t mark_found(const struct vz_alias *aliases, size_t alias_count,
                         const struct vz_resolved *indices, const struct vz_slice *parts,
                         size_t count, bool *found)
{
    size_t matches = 0;
    for (size_t i = 0; i < alias_count; i++) {
        bool here = false;
        for (size_t j = 0; j < indices->count && !here; j++)
            here = vz_slice_eq(aliases[i].index, vz_index_name(indices->indices[j]));
        if (!here || !name_matches(parts, count, aliases[i].name))
            continue;
        matches++;
        for (size_t j = 0; j < count; j++)
            found[j] |= vz_slice_eq(parts[j], aliases[i].name);
    }
    return matches;
}

void vz_rest_alias_get(struct vz_call *call)
{
    bool has_index = strncmp(call->route->path, "/{index}", 8) == 0;
    struct vz_slice expression = has_index ? call->args[0] : (struct vz_slice){"", 0};
    struct vz_slice *parts;
    size_t count = vz_split(call->arena, call->args[has_index ? 1 : 0], &parts);
    struct vz_resolved indices;
    if (!vz_resolve(call, expression,
                    VZ_RESOLVE_ALIASES | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_READ |
                        VZ_RESOLVE_EVERY,
                    &indices))
        return;
    struct vz_alias *aliases;
    size_t alias_count = vz_store_aliases(call->store, call->arena, &aliases);
    bool *found = vz_arena_zalloc(call->arena, count + 1);
    mark_found(aliases, alias_count, &indices, parts, count, found);
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    report_missing(call, parts, count, found);
    for (size_t i = 0; i < indices.count; i++) {
        struct vz_slice index = vz_index_name(indices.indices[i]);
        bool any = count == 0;
        for (size_t j = 0; j < alias_count && !any; j++)
            any =
                vz_slice_eq(aliases[j].index, index) && name_matches(parts, count, aliases[j].name);
        if (!any)
            continue;
        vz_json_key_slice(w, index);
        vz_json_begin_object(w);
        vz_json_key(w, "aliases");
        vz_json_begin_object(w);
        for (size_t j = 0; j < alias_count; j++) {
            if (vz_slice_eq(aliases[j].index, index) &&
                name_matches(parts, count, aliases[j].name)) {
                vz_json_key_slice(w, aliases[j].name);
                vz_alias_print(&aliases[j], w);
            }
        }
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_resolved_release(&indices);
}

/* ---- one action ---------------------------------------------------------------------------- */

struct actions {
    struct vz_alias_action *items;
    size_t count, capacity;
};

static void push(struct vz_call *call, struct actions *list, const struct vz_alias_action *action)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        struct vz_alias_action *items = vz_arena_alloc(call->arena, capacity * sizeof *items);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *action;
}

/* Whether the same request removes the index of that name, whose place the alias may take then. */
static bool is_removed(const struct actions *list, struct vz_slice name)
{
    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i].verb == VZ_ALIAS_REMOVE_INDEX &&
            vz_slice_eq(list->items[i].alias.index, name))
            return true;
    return false;
}

static bool check_alias_name(struct vz_call *call, const struct actions *list, struct vz_slice name)
{
    const char *why = NULL;
    if (name.len == 0)
        return vz_call_fail(call, 400, "illegal_argument_exception", "alias name is required");
    for (size_t i = 0; i < name.len && !why; i++)
        if (strchr("\\/*?\"<>| ,", name.ptr[i]))
            why = "must not contain the following characters "
                  "['\\','/','*','?','\"','<','>','|',' ',',']";
    if (!why && (memchr(name.ptr, '#', name.len) || memchr(name.ptr, ':', name.len)))
        why = "must not contain '#' or ':'";
    if (!why && strchr("_-+", name.ptr[0]))
        why = "must not start with '_', '-', or '+'";
    if (!why && (vz_slice_is(name, ".") || vz_slice_is(name, "..")))
        why = "must not be '.' or '..'";
    if (!why && name.len > 255)
        why = "alias name is too long";
    if (!why) {
        struct vz_index *index = is_removed(list, name) ? NULL : vz_store_index(call->store, name);
        if (!index)
            return true;
        vz_index_release(index);
        why = "an index or data stream exists with the same name as the alias";
    }
    return vz_call_fail(call, 400, "invalid_alias_name_exception", "Invalid alias name [%.*s]: %s",
                        VZ_S(name), why);
}

/* A filter is kept as text; it must be a query now, not when somebody searches. */
static bool read_filter(struct vz_call *call, struct vz_json value, struct vz_slice *filter)
{
    if (vz_json_type(value) == VZ_JSON_NULL)
        return true;
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{\"query\":");
    vz_json_print(value, &text);
    vz_buf_append_char(&text, '}');
    struct vz_slice whole = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_search *search;
    struct vz_error err = {0};
    struct vz_search_params params = {0};
    if (vz_json_parse(whole, &doc, &root, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_BODY);
    enum vz_status status = vz_search_parse(root, &params, call->arena, &search, &err);
    vz_json_free(doc);
    if (status != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    *filter = (struct vz_slice){whole.ptr + 9, whole.len - 10};
    return true;
}

static bool read_text(struct vz_call *call, struct vz_json value, struct vz_slice *text)
{
    return vz_call_scalar(call, value, text) ||
           vz_call_fail(call, 400, "parsing_exception", "expected a string");
}

/* One member of an action's (or of PUT _alias's) body that describes the alias. *known is false
 * when the key is none of these. */
static bool read_member(struct vz_call *call, struct vz_slice key, struct vz_json value,
                        struct vz_alias *alias, bool *known)
{
    *known = true;
    if (vz_slice_is(key, "filter"))
        return read_filter(call, value, &alias->filter);
    if (vz_slice_is(key, "routing")) {
        bool ok = read_text(call, value, &alias->index_routing);
        alias->search_routing = alias->index_routing;
        return ok;
    }
    if (vz_slice_is(key, "index_routing") || vz_slice_is(key, "indexRouting"))
        return read_text(call, value, &alias->index_routing);
    if (vz_slice_is(key, "search_routing") || vz_slice_is(key, "searchRouting"))
        return read_text(call, value, &alias->search_routing);
    if (vz_slice_is(key, "is_write_index")) {
        alias->has_write_index = true;
        if (!vz_json_as_bool(value, &alias->is_write_index))
            return vz_call_fail(call, 400, "parsing_exception",
                                "[is_write_index] must be true or false");
        return true;
    }
    if (vz_slice_is(key, "is_hidden")) {
        if (!vz_json_as_bool(value, &alias->is_hidden))
            return vz_call_fail(call, 400, "parsing_exception",
                                "[is_hidden] must be true or false");
        return true;
    }
    *known = false;
    return true;
}

bool vz_alias_check(struct vz_call *call, struct vz_slice name, struct vz_json body)
{
    struct vz_alias ignored = {0};
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    if (!check_alias_name(call, NULL, name))
        return false;
    while (vz_json_next(&it, &key, &value)) {
        bool known;
        if (!read_member(call, key, value, &ignored, &known))
            return false;
        if (!known)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "Unknown field [%.*s] in alias [%.*s]", VZ_S(key), VZ_S(name));
    }
    return true;
}

static bool fail_missing_alias(struct vz_call *call, struct vz_slice names)
{
    vz_call_fail(call, 404, "aliases_not_found_exception", "aliases [%.*s] missing", VZ_S(names));
    call->problem.resource_type = "aliases";
    call->problem.resource_id = names;
    return false;
}

static bool add_all(struct vz_call *call, struct actions *list, struct vz_slice expression,
                    const struct vz_slice *names, size_t count, const struct vz_alias *like)
{
    struct vz_resolved indices;
    if (!vz_resolve(call, expression,
                    VZ_RESOLVE_SOME | VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_WRITE, &indices))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = check_alias_name(call, list, names[i]);
        for (size_t j = 0; j < indices.count && ok; j++) {
            struct vz_alias_action action = {.verb = VZ_ALIAS_ADD, .alias = *like};
            action.alias.name = names[i];
            action.alias.index = vz_arena_copy(call->arena, vz_index_name(indices.indices[j]));
            push(call, list, &action);
        }
    }
    vz_resolved_release(&indices);
    return ok;
}

static bool remove_all(struct vz_call *call, struct actions *list, struct vz_slice expression,
                       const struct vz_slice *names, size_t count, bool must_exist)
{
    struct vz_resolved indices;
    if (!vz_resolve(call, expression, VZ_RESOLVE_CLOSED | VZ_RESOLVE_METADATA_WRITE, &indices))
        return false;
    struct vz_alias *aliases;
    size_t alias_count = vz_store_aliases(call->store, call->arena, &aliases);
    size_t removed = 0;
    for (size_t i = 0; i < alias_count; i++) {
        for (size_t j = 0; j < indices.count; j++) {
            if (!vz_slice_eq(aliases[i].index, vz_index_name(indices.indices[j])) ||
                !name_matches(names, count, aliases[i].name))
                continue;
            struct vz_alias_action action = {.verb = VZ_ALIAS_REMOVE, .alias = aliases[i]};
            push(call, list, &action);
            removed++;
        }
    }
    vz_resolved_release(&indices);
    if (removed == 0 && must_exist) {
        struct vz_buf text = {0};
        for (size_t i = 0; i < count; i++)
            vz_buf_printf(&text, "%s%.*s", i ? "," : "", VZ_S(names[i]));
        fail_missing_alias(call, vz_arena_copy(call->arena, vz_buf_slice(&text)));
        vz_buf_deinit(&text);
        return false;
    }
    return true;
}

static void apply(struct vz_call *call, const struct actions *list)
{
    struct vz_error err = {0};
    if (call->problem.status)
        return;
    if (list->count &&
        vz_store_update_aliases(call->store, list->items, list->count, &err) != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
        return;
    }
    vz_buf_append_str(&call->response->body, "{\"acknowledged\":true,\"errors\":false}");
}

/* ---- routes -------------------------------------------------------------------------------- */

void vz_rest_alias_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_alias like = {0};
    struct actions list = {0};
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return;
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool known;
        if (!read_member(call, key, value, &like, &known))
            return;
        if (!known) {
            vz_call_fail(call, 400, "illegal_argument_exception", "unknown field [%.*s]",
                         VZ_S(key));
            return;
        }
    }
    struct vz_slice *names;
    size_t count = vz_split(call->arena, call->args[1], &names);
    if (add_all(call, &list, call->args[0], names, count, &like))
        apply(call, &list);
}

void vz_rest_alias_delete(struct vz_call *call)
{
    struct actions list = {0};
    struct vz_slice *names;
    size_t count = vz_split(call->arena, call->args[1], &names);
    if (remove_all(call, &list, call->args[0], names, count, true))
        apply(call, &list);
}

/* "a" or ["a", "b"] into a list, and for indices into an expression with commas. */
static bool read_names(struct vz_call *call, struct vz_json value, struct vz_slice **names,
                       size_t *count)
{
    struct vz_slice text;
    if (vz_json_type(value) != VZ_JSON_ARRAY) {
        if (!read_text(call, value, &text))
            return false;
        *count = vz_split(call->arena, text, names);
        return true;
    }
    *names = vz_arena_alloc(call->arena, (vz_json_count(value) + 1) * sizeof **names);
    *count = 0;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item))
        if (!read_text(call, item, &(*names)[(*count)++]))
            return false;
    return true;
}

static struct vz_slice join(struct vz_call *call, const struct vz_slice *names, size_t count)
{
    struct vz_buf text = {0};
    for (size_t i = 0; i < count; i++)
        vz_buf_printf(&text, "%s%.*s", i ? "," : "", VZ_S(names[i]));
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

static bool remove_indices(struct vz_call *call, struct actions *list, struct vz_slice expression)
{
    struct vz_resolved indices;
    if (!vz_resolve(call, expression, VZ_RESOLVE_SOME | VZ_RESOLVE_CLOSED | VZ_RESOLVE_DELETE,
                    &indices))
        return false;
    for (size_t i = 0; i < indices.count; i++) {
        struct vz_alias_action action = {.verb = VZ_ALIAS_REMOVE_INDEX};
        action.alias.index = vz_arena_copy(call->arena, vz_index_name(indices.indices[i]));
        push(call, list, &action);
    }
    vz_resolved_release(&indices);
    return true;
}

static bool one_action(struct vz_call *call, struct actions *list, struct vz_slice verb,
                       struct vz_json body)
{
    struct vz_slice *names = NULL, *indices = NULL;
    size_t name_count = 0, index_count = 0;
    struct vz_alias like = {0};
    bool must_exist = true;
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool known = true, ok = true;
        if (vz_slice_is(key, "index") || vz_slice_is(key, "indices"))
            ok = read_names(call, value, &indices, &index_count);
        else if (vz_slice_is(key, "alias") || vz_slice_is(key, "aliases"))
            ok = read_names(call, value, &names, &name_count);
        else if (vz_slice_is(key, "must_exist"))
            ok = vz_json_as_bool(value, &must_exist);
        else
            ok = read_member(call, key, value, &like, &known);
        if (!ok || !known)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[%.*s] unknown field [%.*s]", VZ_S(verb), VZ_S(key));
    }
    if (index_count == 0)
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[%.*s] One of [index] or [indices] is required", VZ_S(verb));
    struct vz_slice expression = join(call, indices, index_count);
    if (vz_slice_is(verb, "remove_index"))
        return remove_indices(call, list, expression);
    if (name_count == 0)
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[%.*s] One of [alias] or [aliases] is required", VZ_S(verb));
    if (vz_slice_is(verb, "add"))
        return add_all(call, list, expression, names, name_count, &like);
    if (vz_slice_is(verb, "remove"))
        return remove_all(call, list, expression, names, name_count, must_exist);
    return vz_call_fail(call, 400, "x_content_parse_exception",
                        "[alias_action] unknown field [%.*s]", VZ_S(verb));
}

void vz_rest_alias_update(struct vz_call *call)
{
    struct vz_json body, actions, action, value;
    struct actions list = {0};
    struct vz_slice verb;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return;
    if (!vz_json_get(body, "actions", &actions) || vz_json_type(actions) != VZ_JSON_ARRAY ||
        vz_json_count(actions) == 0) {
        vz_call_fail(call, 400, "illegal_argument_exception", "No action specified");
        return;
    }
    /* As the store does them: the removal of indices first, wherever it stands in the list. */
    for (int removals = 1; removals >= 0; removals--) {
        struct vz_json_iter it = vz_json_iterate(actions);
        while (vz_json_next(&it, NULL, &action)) {
            struct vz_json_iter members = vz_json_iterate(action);
            while (vz_json_next(&members, &verb, &value))
                if (vz_slice_is(verb, "remove_index") == removals &&
                    !one_action(call, &list, verb, value))
                    return;
        }
    }
    apply(call, &list);
}
