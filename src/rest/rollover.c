/* Rollover: another index takes an alias's writes when the one that has them is old or large enough.
 */
#include "rest/parts.h"
#include "store/templates.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct rollover {
    struct vz_slice target; /* the alias */
    struct vz_alias alias;  /* of the write index */
    bool explicit_write;    /* is_write_index says which one it is */
    struct vz_slice fresh;  /* name of the new index */
    struct vz_json conditions, settings, mappings, aliases;
};

/* ---- which index, which name --------------------------------------------------------------- */

static bool find_write_index(struct vz_call *call, struct rollover *r)
{
    struct vz_alias *aliases;
    const struct vz_alias *chosen = NULL, *only = NULL;
    size_t count = vz_store_aliases(call->store, call->arena, &aliases), of_name = 0;
    for (size_t i = 0; i < count; i++) {
        if (!vz_slice_eq(aliases[i].name, r->target))
            continue;
        of_name++;
        only = &aliases[i];
        if (only->has_write_index && only->is_write_index)
            chosen = only;
    }
    struct vz_index *index = of_name ? NULL : vz_store_index(call->store, r->target);
    if (index) {
        vz_index_release(index);
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "rollover target is a [concrete index] but one of [alias,data_stream] "
                            "was expected");
    }
    if (!of_name)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "rollover target [%.*s] does not exist", VZ_S(r->target));
    r->explicit_write = chosen != NULL;
    if (!chosen && of_name == 1 && !only->has_write_index)
        chosen = only;
    if (!chosen)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "rollover target [%.*s] does not point to a write index",
                            VZ_S(r->target));
    r->alias = *chosen;
    return true;
}

/* "logs-9" -> "logs-000010" */
static bool next_name(struct vz_call *call, struct rollover *r)
{
    struct vz_slice old = r->alias.index;
    size_t digits = 0;
    if (call->args[1].len) {
        r->fresh = call->args[1];
        return true;
    }
    while (digits < old.len && isdigit((unsigned char)old.ptr[old.len - 1 - digits]))
        digits++;
    if (!digits || digits > 15 || digits == old.len || old.ptr[old.len - 1 - digits] != '-')
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "index name [%.*s] does not match pattern '^.*-\\d+$'", VZ_S(old));
    char number[16] = "";
    memcpy(number, old.ptr + old.len - digits, digits);
    r->fresh = vz_call_format(call, "%.*s%06lld", (int)(old.len - digits), old.ptr,
                              strtoll(number, NULL, 10) + 1);
    return true;
}

/* ---- conditions ---------------------------------------------------------------------------- */

static bool read_bytes(struct vz_slice text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"b", 0},   {"k", 10}, {"kb", 10}, {"m", 20}, {"mb", 20}, {"g", 30},
                 {"gb", 30}, {"t", 40}, {"tb", 40}, {"p", 50}, {"pb", 50}};
    char copy[32] = "", *end;
    if (!text.len || text.len >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = (char)tolower((unsigned char)text.ptr[i]);
    double number = strtod(copy, &end);
    for (size_t i = 0; end != copy && number >= 0 && i < VZ_COUNT_OF(units); i++)
        if (strcmp(end, units[i].unit) == 0 && number * (double)(1ull << units[i].shift) < 1e18) {
            *bytes = (uint64_t)(number * (double)(1ull << units[i].shift));
            return true;
        }
    return false;
}

/* What a condition compares and with what. False with a problem. */
static bool measure(struct vz_call *call, struct vz_index *index, struct vz_slice key,
                    struct vz_json value, uint64_t *is, uint64_t *limit)
{
    struct vz_index_stats stats;
    struct vz_slice what = key.len > 4 ? (struct vz_slice){key.ptr + 4, key.len - 4} : key;
    bool bounds = key.len > 4 && (memcmp(key.ptr, "max_", 4) == 0 || memcmp(key.ptr, "min_", 4) == 0);
    int64_t number;
    vz_index_stats(index, &stats);
    if (bounds && vz_slice_is(what, "age")) {
        int64_t age = vz_wall_ms() - vz_index_created_ms(index);
        if (!vz_time_parse(vz_json_string(value), &number) || number < 0)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "failed to parse setting [%.*s] with value [%.*s] as a time value: "
                                "unit is missing or unrecognized",
                                VZ_S(key), VZ_S(vz_json_string(value)));
        *is = age > 0 ? (uint64_t)age : 0;
        *limit = (uint64_t)number;
    } else if (bounds && (vz_slice_is(what, "docs") || vz_slice_is(what, "primary_shard_docs"))) {
        if (!vz_json_as_int(value, &number) || number < 0)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[conditions] failed to parse field [%.*s]", VZ_S(key));
        *is = stats.docs;
        *limit = (uint64_t)number;
    } else if (bounds && (vz_slice_is(what, "size") || vz_slice_is(what, "primary_shard_size"))) {
        if (!read_bytes(vz_json_string(value), limit))
            return vz_call_fail(call, 400, "parse_exception",
                                "failed to parse setting [%.*s] with value [%.*s] as a size in "
                                "bytes: unit is missing or unrecognized",
                                VZ_S(key), VZ_S(vz_json_string(value)));
        *is = stats.disk_bytes;
    } else {
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[conditions] unknown field [%.*s]", VZ_S(key));
    }
    return true;
}

/* Appends what "conditions" answers. *met: all of min_* and any of max_*; without conditions too. */
static bool judge(struct vz_call *call, const struct rollover *r, struct vz_buf *out, bool *met)
{
    struct vz_index *index = vz_store_index(call->store, r->alias.index);
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_json_iter it = vz_json_iterate(r->conditions);
    struct vz_slice key;
    struct vz_json value;
    bool any_max = false, has_max = false, all_min = true, ok = true;
    vz_json_begin_object(&w);
    if (!index || vz_index_is_closed(index))
        ok = vz_call_fail(call, 400, "index_closed_exception", "closed");
    while (ok && vz_json_next(&it, &key, &value)) {
        uint64_t is = 0, limit = 0;
        ok = measure(call, index, key, value, &is, &limit);
        bool is_max = key.len && key.ptr[1] == 'a', holds = is >= limit;
        struct vz_buf text = {0};
        vz_buf_printf(&text, "[%.*s: ", VZ_S(key));
        if (vz_json_type(value) == VZ_JSON_STRING)
            vz_buf_append_slice(&text, vz_json_string(value));
        else
            vz_json_print(value, &text);
        vz_buf_append_char(&text, ']');
        vz_json_key_slice(&w, vz_buf_slice(&text));
        vz_json_put_bool(&w, holds);
        vz_buf_deinit(&text);
        has_max |= is_max;
        any_max |= is_max && holds;
        all_min &= is_max || holds;
    }
    vz_json_end_object(&w);
    vz_index_release(index);
    *met = all_min && (any_max || !has_max);
    if (ok && !has_max && vz_json_count(r->conditions))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: at least one max_* rollover condition must be "
                            "set when using min_* conditions;");
    return ok;
}

/* ---- rolling over -------------------------------------------------------------------------- */

static bool create_fresh(struct vz_call *call, const struct rollover *r)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json body;
    struct vz_error err = {0};
    const struct {
        const char *name;
        struct vz_json value;
    } parts[] = {
        {"settings", r->settings}, {"mappings", r->mappings}, {"aliases", r->aliases}};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < VZ_COUNT_OF(parts); i++) {
        if (vz_json_type(parts[i].value) != VZ_JSON_OBJECT)
            continue;
        vz_json_key(&w, parts[i].name);
        vz_json_put_value(&w, parts[i].value);
    }
    vz_json_end_object(&w);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &body, &err);
    if (status == VZ_OK)
        status = vz_store_create_templated(call->store, r->fresh, body, &err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    err.offset = VZ_NO_OFFSET;
    if (status != VZ_OK)
        vz_problem_from(call->arena, &err, VZ_AT_MAPPING, (struct vz_slice){NULL, 0}, r->fresh,
                        NULL, &call->problem);
    return status == VZ_OK;
}

/* The alias moves, or where it has an explicit write index only the writes do. One transaction. */
static bool move_alias(struct vz_call *call, const struct rollover *r)
{
    struct vz_error err = {0};
    struct vz_alias_action actions[2] = {{.verb = VZ_ALIAS_ADD, .alias = r->alias},
                                         {.verb = VZ_ALIAS_REMOVE, .alias = r->alias}};
    actions[0].alias.index = r->fresh;
    actions[0].alias.has_write_index = actions[0].alias.is_write_index = r->explicit_write;
    if (r->explicit_write) {
        actions[1].verb = VZ_ALIAS_ADD;
        actions[1].alias.is_write_index = false;
    }
    if (vz_store_update_aliases(call->store, actions, 2, &err) == VZ_OK)
        return true;
    vz_store_delete_index(call->store, r->fresh, NULL);
    return vz_call_fail_error(call, &err, VZ_AT_REQUEST);
}

static bool read_rollover(struct vz_call *call, struct rollover *r)
{
    struct vz_json body, member;
    struct vz_slice key;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &member)) {
        struct vz_json *to = vz_slice_is(key, "conditions") ? &r->conditions
                             : vz_slice_is(key, "settings") ? &r->settings
                             : vz_slice_is(key, "mappings") ? &r->mappings
                             : vz_slice_is(key, "aliases")  ? &r->aliases
                                                            : NULL;
        if (!to || vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                to ? "[rollover] failed to parse field [%.*s]"
                                   : "[rollover] unknown field [%.*s]",
                                VZ_S(key));
        *to = member;
    }
    it = vz_json_iterate(r->aliases);
    while (vz_json_next(&it, &key, &member))
        if (!vz_alias_check(call, key, member))
            return false;
    return true;
}

void vz_rest_rollover(struct vz_call *call)
{
    struct rollover r = {.target = call->args[0]};
    struct vz_buf conditions = {0};
    struct vz_problem refused = {0};
    bool met = false, dry = vz_call_bool(call, "dry_run", false);
    if (!read_rollover(call, &r) || !find_write_index(call, &r) || !next_name(call, &r))
        return;
    if (vz_name_refused(call->arena, r.fresh, &refused)) {
        call->problem = refused;
        return;
    }
    struct vz_index *there = vz_store_index(call->store, r.fresh);
    if (there) {
        vz_call_fail(call, 400, "resource_already_exists_exception",
                     "index [%.*s/%s] already exists", VZ_S(r.fresh), vz_index_uuid(there));
        call->problem.index = r.fresh;
        vz_index_release(there);
        return;
    }
    bool ok = judge(call, &r, &conditions, &met);
    bool rolled = ok && met && !dry && create_fresh(call, &r) && move_alias(call, &r);
    if (ok && !call->problem.status) {
        struct vz_json_writer *w = &call->w;
        vz_json_begin_object(w);
        vz_json_field_bool(w, "acknowledged", rolled);
        vz_json_field_bool(w, "shards_acknowledged", rolled);
        vz_json_field_string(w, "old_index", r.alias.index);
        vz_json_field_string(w, "new_index", r.fresh);
        vz_json_field_bool(w, "rolled_over", rolled);
        vz_json_field_bool(w, "dry_run", dry);
        vz_json_field_bool(w, "lazy", false);
        vz_json_key(w, "conditions");
        vz_json_put_raw(w, vz_buf_slice(&conditions));
        vz_json_end_object(w);
    }
    vz_buf_deinit(&conditions);
}
