/* Indices opened, closed, blocked, and copied (_clone, _shrink, _split). */
#include "rest/parts.h"
#include "store/cluster_settings.h"

/* Wildcards over indices are for those who said that they want them. */
static bool check_named(struct vz_call *call)
{
    struct vz_slice *parts;
    struct vz_buf careful = {0};
    size_t count = vz_split(call->arena, call->args[0], &parts);
    bool by_pattern =
        vz_cluster_setting(call->store, "action.destructive_requires_name", &careful) &&
        vz_slice_is(vz_buf_slice(&careful), "false");
    vz_buf_deinit(&careful);
    for (size_t i = 0; i < count && !by_pattern; i++)
        if (vz_slice_is(parts[i], "_all") || memchr(parts[i].ptr, '*', parts[i].len))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "Wildcard expressions or all indices are not allowed");
    return true;
}

static bool resolve_named(struct vz_call *call, struct vz_resolved *found)
{
    return check_named(call) &&
           vz_resolve(call, call->args[0],
                      VZ_RESOLVE_ALIASES | VZ_RESOLVE_SOME | VZ_RESOLVE_CLOSED |
                          VZ_RESOLVE_METADATA_WRITE,
                      found);
}

static void begin_answer(struct vz_call *call)
{
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "acknowledged", true);
    vz_json_field_bool(&call->w, "shards_acknowledged", true);
}

void vz_rest_index_close(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_buf enabled = {0};
    bool off = vz_cluster_setting(call->store, "cluster.indices.close.enable", &enabled) &&
               vz_slice_is(vz_buf_slice(&enabled), "false");
    vz_buf_deinit(&enabled);
    if (off) {
        vz_call_fail(call, 500, "illegal_state_exception",
                     "closing indices is disabled - set [cluster.indices.close.enable: true] to "
                     "enable it. NOTE: closed indices still consume a significant amount of "
                     "diskspace");
        return;
    }
    if (!resolve_named(call, &found))
        return;
    begin_answer(call);
    vz_json_key(&call->w, "indices");
    vz_json_begin_object(&call->w);
    for (size_t i = 0; i < found.count && !call->problem.status; i++) {
        struct vz_error err = {0};
        if (vz_index_is_closed(found.indices[i]))
            continue;
        if (vz_store_close_index(call->store, vz_index_name(found.indices[i]), &err) != VZ_OK) {
            vz_call_fail_index(call, &err, VZ_AT_REQUEST, found.indices[i]);
            break;
        }
        vz_json_key_slice(&call->w, vz_index_name(found.indices[i]));
        vz_json_put_raw(&call->w, VZ_SLICE("{\"closed\":true}"));
    }
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
    vz_resolved_release(&found);
}

void vz_rest_index_open(struct vz_call *call)
{
    struct vz_resolved found;
    if (!resolve_named(call, &found))
        return;
    struct vz_slice *names = vz_arena_alloc(call->arena, (found.count + 1) * sizeof *names);
    size_t count = found.count;
    for (size_t i = 0; i < count; i++)
        names[i] = vz_arena_copy(call->arena, vz_index_name(found.indices[i]));
    vz_resolved_release(&found);
    for (size_t i = 0; i < count && !call->problem.status; i++) {
        struct vz_error err = {0};
        if (vz_store_open_index(call->store, names[i], &err) != VZ_OK)
            vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    }
    begin_answer(call);
    vz_json_end_object(&call->w);
}

/* ---- blocks -------------------------------------------------------------------------------- */

static bool known_block(struct vz_call *call, struct vz_slice block)
{
    static const char *const names[] = {"metadata", "read", "read_only", "write"};
    if (vz_slice_is(block, "read_only_allow_delete"))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: read_only_allow_delete block is for internal "
                            "use only;");
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(block, names[i]))
            return true;
    return vz_call_fail(call, 400, "illegal_argument_exception", "No block found with name %.*s",
                        VZ_S(block));
}

void vz_rest_index_block(struct vz_call *call)
{
    struct vz_slice block = call->args[1];
    struct vz_resolved found;
    struct vz_json_doc *doc = NULL;
    struct vz_json body;
    if (!known_block(call, block) || !check_named(call) ||
        !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_SOME, &found))
        return;
    struct vz_slice text = vz_call_format(call, "{\"index.blocks.%.*s\":true}", VZ_S(block));
    struct vz_error err = {0};
    if (vz_json_parse(text, &doc, &body, &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_SETTINGS);
    begin_answer(call);
    vz_json_key(&call->w, "indices");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < found.count && !call->problem.status; i++) {
        if (vz_index_put_settings(found.indices[i], body, &err) != VZ_OK) {
            vz_call_fail_index(call, &err, VZ_AT_SETTINGS, found.indices[i]);
            break;
        }
        vz_json_begin_object(&call->w);
        vz_json_field_string(&call->w, "name", vz_index_name(found.indices[i]));
        vz_json_field_bool(&call->w, "blocked", true);
        vz_json_end_object(&call->w);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
    vz_json_free(doc);
    vz_resolved_release(&found);
}

/* ---- copies -------------------------------------------------------------------------------- */

static int64_t shards_of(struct vz_index *index)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, value;
    int64_t shards = 1;
    vz_index_print_settings(index, &text);
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get_path(root, "index.number_of_shards", &value))
            vz_json_as_int(value, &shards);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return shards;
}

/* number_of_shards of the request, or `otherwise`. */
static int64_t wanted_shards(struct vz_json settings, int64_t otherwise)
{
    struct vz_json value;
    int64_t shards = otherwise;
    if (vz_json_get_path(settings, "index.number_of_shards", &value) ||
        vz_json_get(settings, "number_of_shards", &value))
        vz_json_as_int(value, &shards);
    return shards;
}

/* The numbers are what the settings say: whatever they are, all documents are in one shard here. */
static bool check_shards(struct vz_call *call, const char *verb, long long from, long long to)
{
    bool clones = strcmp(verb, "_clone") == 0, shrinks = strcmp(verb, "_shrink") == 0;
    if (clones && from != to)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the number of target shards (%lld) must be the same as the number of "
                            "source shards (%lld)",
                            to, from);
    if (shrinks && to > from)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the number of target shards [%lld] must be less that the number of "
                            "source shards [%lld]",
                            to, from);
    if (shrinks && (to < 1 || from % to))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the number of source shards [%lld] must be a multiple of [%lld]", from,
                            to);
    if (!clones && !shrinks && to <= from)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the number of source shards [%lld] must be less that the number of "
                            "target shards [%lld]",
                            from, to);
    if (!clones && !shrinks && to % from)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the number of source shards [%lld] must be a factor of [%lld]", from,
                            to);
    return true;
}

static bool read_copy(struct vz_call *call, struct vz_json *settings, struct vz_json *aliases)
{
    struct vz_json body, member;
    struct vz_slice key;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "settings"))
            *settings = member;
        else if (vz_slice_is(key, "aliases"))
            *aliases = member;
        else if (vz_slice_is(key, "max_primary_shard_size"))
            return vz_call_unsupported(call, "[max_primary_shard_size] is");
        else
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[resize_request] unknown field [%.*s]", VZ_S(key));
        if (vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[resize_request] %.*s doesn't support values of type: %s",
                                VZ_S(key), vz_json_type_name(member));
    }
    it = vz_json_iterate(*aliases);
    while (vz_json_next(&it, &key, &member))
        if (!vz_alias_check(call, key, member))
            return false;
    return true;
}

static void answer_copied(struct vz_call *call, struct vz_slice target)
{
    begin_answer(call);
    vz_json_field_string(&call->w, "index", target);
    vz_json_end_object(&call->w);
}

void vz_rest_index_copy(struct vz_call *call)
{
    const char *verb = strchr(call->route->path + 1, '/') + 1;
    struct vz_slice verb_name = {verb, strcspn(verb, "/")}, target = call->args[1];
    struct vz_json settings = {0}, aliases = {0};
    struct vz_problem problem = {0};
    struct vz_error err = {0};
    verb = vz_arena_strdup(call->arena, verb_name);
    if (!read_copy(call, &settings, &aliases))
        return;
    struct vz_index *source =
        vz_resolve_one(call->store, call->arena, call->args[0], &problem);
    if (!source) {
        call->problem = problem;
        return;
    }
    int64_t from = shards_of(source);
    int64_t to = wanted_shards(settings, strcmp(verb, "_shrink") == 0 ? 1 : from);
    if (check_shards(call, verb, from, to)) {
        struct vz_copy_options options = {settings, aliases, to};
        enum vz_status status =
            vz_store_copy_index(call->store, source, target, &options, &err);
        if (status == VZ_OK)
            answer_copied(call, target);
        else if (status == VZ_EXISTS || status == VZ_BAD_NAME)
            vz_problem_from(call->arena, &err, VZ_AT_REQUEST, (struct vz_slice){NULL, 0}, target,
                            NULL, &call->problem);
        else
            vz_call_fail_index(call, &err, VZ_AT_SETTINGS, source);
    }
    vz_index_release(source);
}
