/* Synonyms sets and their rules: /_synonyms; and _reload_search_analyzers. */
#include "store/synonyms.h"
#include "base/text.h"
#include "rest/parts.h"

#include <stdlib.h>

struct rule {
    struct vz_slice id, text;
    size_t number; /* as given: of equal ids the last one stays */
};
struct rules {
    struct rule *items;
    size_t count;
    struct vz_json_doc *doc; /* of a stored set */
};

static int by_id(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;
    int order = vz_slice_cmp(x->id, y->id);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* A stored set. False when there is none. */
static bool load_rules(struct vz_call *call, struct vz_slice set, struct rules *rules)
{
    struct vz_buf text = {0};
    struct vz_json root, value;
    *rules = (struct rules){0};
    if (!set.len || !vz_store_get_blob(call->store, VZ_KIND_SYNONYMS, set, &text)) {
        vz_buf_deinit(&text);
        return false;
    }
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    if (vz_json_parse(copy, &rules->doc, &root, NULL) != VZ_OK)
        return false;
    rules->items = vz_arena_alloc(call->arena, (vz_json_count(root) + 2) * sizeof *rules->items);
    struct vz_json_iter it = vz_json_iterate(root);
    struct vz_slice key;
    while (vz_json_next(&it, &key, &value))
        rules->items[rules->count++] = (struct rule){.id = key, .text = vz_json_string(value)};
    return true;
}

static bool save_rules(struct vz_call *call, struct vz_slice set, const struct rules *rules)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_error err = {0};
    vz_json_begin_object(&w);
    for (size_t i = 0; i < rules->count; i++) {
        vz_json_key_slice(&w, rules->items[i].id);
        vz_json_put_string(&w, rules->items[i].text);
    }
    vz_json_end_object(&w);
    bool ok =
        vz_store_put_blob(call->store, VZ_KIND_SYNONYMS, set, vz_buf_slice(&text), &err) == VZ_OK;
    vz_buf_deinit(&text);
    return ok || vz_call_fail_error(call, &err, VZ_AT_REQUEST);
}

static bool fail_no_set(struct vz_call *call, struct vz_slice set)
{
    return vz_call_fail(call, 404, "resource_not_found_exception", "synonyms set [%.*s] not found",
                        VZ_S(set));
}

static size_t find_rule(const struct rules *rules, struct vz_slice id)
{
    size_t at = 0;
    while (at < rules->count && !vz_slice_eq(rules->items[at].id, id))
        at++;
    return at;
}

/* ---- checking a rule ----------------------------------------------------------------------- */

/* "a, b, c": none of them empty. */
static bool side_is_good(struct vz_slice side)
{
    for (;;) {
        const char *comma = memchr(side.ptr, ',', side.len);
        struct vz_slice one = {side.ptr, comma ? (size_t)(comma - side.ptr) : side.len};
        if (vz_slice_trim_of(one, " \t").len == 0)
            return false;
        if (!comma)
            return true;
        side = (struct vz_slice){comma + 1, side.len - one.len - 1};
    }
}

static bool check_rule(struct vz_call *call, struct vz_slice text)
{
    const char *arrow = text.ptr ? memmem(text.ptr, text.len, "=>", 2) : NULL;
    struct vz_slice left = {text.ptr, arrow ? (size_t)(arrow - text.ptr) : text.len};
    struct vz_slice right = {arrow ? arrow + 2 : NULL, arrow ? text.len - left.len - 2 : 0};
    if (text.ptr && (memchr(text.ptr, '\n', text.len) || memchr(text.ptr, '\r', text.len)))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: a synonyms rule must be one line;");
    if (arrow && right.len && memmem(right.ptr, right.len, "=>", 2))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: More than one explicit mapping specified in the "
                            "same synonyms rule: [%.*s];",
                            VZ_S(text));
    if (text.len == 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: synonyms rule cannot be empty;");
    if (!side_is_good(left) || (arrow && (right.len == 0 || !side_is_good(right))))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: Incorrect syntax for synonyms rule: [%.*s];",
                            VZ_S(text));
    return true;
}

/* ---- reloading ----------------------------------------------------------------------------- */

static void print_use(struct vz_call *call, const struct vz_synonym_use *use)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_field_string(w, "index", use->index);
    vz_json_key(w, "reloaded_analyzers");
    vz_json_begin_array(w);
    for (size_t i = 0; i < use->analyzer_count; i++)
        vz_json_put_string(w, use->analyzers[i]);
    vz_json_end_array(w);
    vz_json_key(w, "reloaded_node_ids");
    vz_json_begin_array(w);
    vz_json_put_str(w, call->rest->node_id);
    vz_json_end_array(w);
    vz_json_end_object(w);
}

/* Reloads what is updateable and prints "_shards" and "reload_details". A rule that an index cannot
 * read leaves that index with what it had, and is a failure of its shard. */
static void reload(struct vz_call *call, const struct vz_synonym_use *uses, size_t count)
{
    struct vz_json_writer *w = &call->w;
    bool *failed = vz_arena_zalloc(call->arena, count + 1);
    struct vz_error *errors = vz_arena_zalloc(call->arena, (count + 1) * sizeof *errors);
    unsigned total = 0, bad = 0;
    for (size_t i = 0; i < count; i++) {
        if (!uses[i].updateable || !uses[i].open)
            continue;
        total++;
        failed[i] = vz_synonyms_reload(call->store, uses[i].index, &errors[i]) != VZ_OK;
        bad += failed[i];
    }
    vz_json_key(w, "_shards");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total", total);
    vz_json_field_int(w, "successful", total - bad);
    vz_json_field_int(w, "failed", bad);
    if (bad) {
        vz_json_key(w, "failures");
        vz_json_begin_array(w);
        for (size_t i = 0; i < count; i++) {
            struct vz_problem problem;
            if (!failed[i])
                continue;
            vz_problem_from(call->arena, &errors[i], VZ_AT_SETTINGS, (struct vz_slice){NULL, 0},
                            uses[i].index, NULL, &problem);
            vz_json_begin_object(w);
            vz_json_field_int(w, "shard", 0);
            vz_json_field_string(w, "index", uses[i].index);
            vz_json_key(w, "reason");
            vz_problem_print(&problem, w);
            vz_json_end_object(w);
        }
        vz_json_end_array(w);
    }
    vz_json_end_object(w);
    vz_json_key(w, "reload_details");
    vz_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        if (uses[i].updateable && uses[i].open && !failed[i])
            print_use(call, &uses[i]);
    vz_json_end_array(w);
}

/* Without the lock of changes: compiling the analyzers of many indices takes long. Two changes of one
 * set may reload an index in any order; each compiles the rules that are stored by then, under that
 * index's own lock, so that the later compilation has the later rules. */
static void answer_changed(struct vz_call *call, struct vz_slice set, const char *result)
{
    struct vz_synonym_use *uses;
    size_t count = vz_synonym_uses(call->store, call->arena, set, &uses);
    vz_json_begin_object(&call->w);
    vz_json_field_str(&call->w, "result", result);
    vz_json_key(&call->w, "reload_analyzers_details");
    vz_json_begin_object(&call->w);
    reload(call, uses, count);
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
}

void vz_rest_reload_analyzers(struct vz_call *call)
{
    struct vz_resolved found;
    struct vz_synonym_use *uses;
    struct vz_slice resource = vz_call_text(call, "resource");
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &found))
        return;
    size_t count = vz_synonym_uses(call->store, call->arena, resource, &uses), kept = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < found.count; j++)
            if (vz_slice_eq(uses[i].index, vz_index_name(found.indices[j]))) {
                uses[kept++] = uses[i];
                break;
            }
    vz_resolved_release(&found);
    vz_json_begin_object(&call->w);
    reload(call, uses, kept);
    vz_json_end_object(&call->w);
}

/* ---- sets ---------------------------------------------------------------------------------- */

static bool read_rule_body(struct vz_call *call, struct vz_json item, struct rule *rule)
{
    struct vz_json_iter it = vz_json_iterate(item);
    struct vz_slice key;
    struct vz_json value;
    bool has_text = false;
    if (vz_json_type(item) != VZ_JSON_OBJECT)
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[synonyms_set] a synonyms rule must be an object");
    while (vz_json_next(&it, &key, &value)) {
        bool is_id = vz_slice_is(key, "id"), is_text = vz_slice_is(key, "synonyms");
        if ((!is_id && !is_text) || vz_json_type(value) != VZ_JSON_STRING)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                is_id || is_text ? "[synonym_rule] failed to parse field [%.*s]"
                                                 : "[synonym_rule] unknown field [%.*s]",
                                VZ_S(key));
        *(is_id ? &rule->id : &rule->text) = vz_json_string(value);
        has_text |= is_text;
    }
    if (!has_text)
        return vz_call_fail(call, 400, "illegal_argument_exception", "Required [synonyms]");
    rule->text = vz_slice_trim_of(rule->text, " \t");
    if (!rule->id.len) {
        char id[21];
        vz_new_doc_id(id);
        rule->id = vz_slice_from(vz_arena_strdup(call->arena, vz_slice_from(id)));
    }
    return check_rule(call, rule->text);
}

static bool read_set(struct vz_call *call, struct rules *rules)
{
    struct vz_json body, list, item;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return false;
    if (!vz_json_get(body, "synonyms_set", &list) ||
        (vz_json_type(list) != VZ_JSON_ARRAY && vz_json_type(list) != VZ_JSON_OBJECT))
        return vz_call_fail(call, 400, "illegal_argument_exception", "Required [synonyms_set]");
    bool single = vz_json_type(list) == VZ_JSON_OBJECT;
    size_t count = single ? 1 : vz_json_count(list);
    if (count > VZ_MAX_SYNONYM_RULES)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "The number of synonyms rules in a synonym set cannot exceed %d",
                            VZ_MAX_SYNONYM_RULES);
    rules->items = vz_arena_zalloc(call->arena, (count + 1) * sizeof *rules->items);
    struct vz_json_iter it = vz_json_iterate(list);
    if (single)
        return read_rule_body(call, list, &rules->items[rules->count++]);
    while (vz_json_next(&it, NULL, &item))
        if (!read_rule_body(call, item, &rules->items[rules->count++]))
            return false;
    return true;
}

/* Sorted; of equal ids the last one that was given stays. */
static void order_rules(struct rules *rules)
{
    size_t left = 0;
    if (!rules->count)
        return;
    for (size_t i = 0; i < rules->count; i++)
        rules->items[i].number = i;
    qsort(rules->items, rules->count, sizeof *rules->items, by_id);
    for (size_t i = 0; i < rules->count; i++) {
        if (left && vz_slice_eq(rules->items[left - 1].id, rules->items[i].id))
            left--;
        rules->items[left++] = rules->items[i];
    }
    rules->count = left;
}

void vz_rest_synonyms_put(struct vz_call *call)
{
    struct rules rules = {0}, old;
    struct vz_slice set = call->args[0];
    if (!read_set(call, &rules))
        return;
    order_rules(&rules);
    pthread_mutex_lock(&call->rest->templates_mutex);
    bool there = load_rules(call, set, &old);
    vz_json_free(old.doc);
    bool saved = save_rules(call, set, &rules);
    pthread_mutex_unlock(&call->rest->templates_mutex);
    if (saved)
        answer_changed(call, set, there ? "updated" : "created");
    if (!call->problem.status && !there)
        call->response->status = 201;
}

static void page(struct vz_call *call, size_t count, size_t *from, size_t *to)
{
    int64_t start = vz_call_int(call, "from", 0), size = vz_call_int(call, "size", 10);
    if (start < 0 || size < 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: [%s] parameter cannot be negative;",
                     start < 0 ? "from" : "size");
        start = size = 0;
    }
    *from = VZ_MIN((size_t)start, count);
    *to = *from + VZ_MIN((size_t)size, count - *from);
}

static void print_rule(struct vz_json_writer *w, const struct rule *rule)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "id", rule->id);
    vz_json_field_string(w, "synonyms", rule->text);
    vz_json_end_object(w);
}

void vz_rest_synonyms_get(struct vz_call *call)
{
    struct rules rules;
    size_t from, to;
    if (!load_rules(call, call->args[0], &rules)) {
        fail_no_set(call, call->args[0]);
        return;
    }
    page(call, rules.count, &from, &to);
    vz_json_begin_object(&call->w);
    vz_json_field_int(&call->w, "count", (int64_t)rules.count);
    vz_json_key(&call->w, "synonyms_set");
    vz_json_begin_array(&call->w);
    for (size_t i = from; i < to; i++)
        print_rule(&call->w, &rules.items[i]);
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
    vz_json_free(rules.doc);
}

void vz_rest_synonyms_list(struct vz_call *call)
{
    struct vz_slice *names;
    size_t from, to, count = vz_store_blob_names(call->store, VZ_KIND_SYNONYMS, call->arena, &names);
    page(call, count, &from, &to);
    vz_json_begin_object(&call->w);
    vz_json_field_int(&call->w, "count", (int64_t)count);
    vz_json_key(&call->w, "results");
    vz_json_begin_array(&call->w);
    for (size_t i = from; i < to; i++) {
        struct rules rules;
        load_rules(call, names[i], &rules);
        vz_json_begin_object(&call->w);
        vz_json_field_string(&call->w, "synonyms_set", names[i]);
        vz_json_field_int(&call->w, "count", (int64_t)rules.count);
        vz_json_end_object(&call->w);
        vz_json_free(rules.doc);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

static bool check_unused(struct vz_call *call, struct vz_slice set)
{
    struct vz_synonym_use *uses;
    size_t count = vz_synonym_uses(call->store, call->arena, set, &uses);
    struct vz_buf list = {0};
    for (size_t i = 0; i < count && list.len < 300; i++)
        vz_buf_printf(&list, "%s%.*s", i ? ", " : "", VZ_S(uses[i].index));
    if (count)
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "synonyms set [%.*s] cannot be deleted as it is used in the following "
                     "indices: %s",
                     VZ_S(set), list.data);
    vz_buf_deinit(&list);
    return !count;
}

void vz_rest_synonyms_delete(struct vz_call *call)
{
    struct rules rules;
    struct vz_error err = {0};
    struct vz_slice set = call->args[0];
    pthread_mutex_lock(&call->rest->templates_mutex);
    bool there = load_rules(call, set, &rules);
    vz_json_free(rules.doc);
    if (!there)
        fail_no_set(call, set);
    else if (check_unused(call, set) &&
             vz_store_delete_blob(call->store, VZ_KIND_SYNONYMS, set, &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    pthread_mutex_unlock(&call->rest->templates_mutex);
    vz_call_acknowledge(call);
}

/* ---- rules --------------------------------------------------------------------------------- */

static bool fail_no_rule(struct vz_call *call)
{
    return vz_call_fail(call, 404, "resource_not_found_exception",
                        "synonym rule [%.*s] not found on synonyms set [%.*s]",
                        VZ_S(call->args[1]), VZ_S(call->args[0]));
}

void vz_rest_synonym_rule_get(struct vz_call *call)
{
    struct rules rules;
    if (!load_rules(call, call->args[0], &rules)) {
        fail_no_set(call, call->args[0]);
        return;
    }
    size_t at = find_rule(&rules, call->args[1]);
    if (at < rules.count)
        print_rule(&call->w, &rules.items[at]);
    else
        fail_no_rule(call);
    vz_json_free(rules.doc);
}

void vz_rest_synonym_rule_put(struct vz_call *call)
{
    struct rules rules;
    struct rule rule = {.id = call->args[1]};
    struct vz_slice set = call->args[0];
    struct vz_json body;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body) || !read_rule_body(call, body, &rule))
        return;
    rule.id = call->args[1];
    pthread_mutex_lock(&call->rest->templates_mutex);
    bool there = load_rules(call, set, &rules);
    size_t at = find_rule(&rules, rule.id);
    bool updated = at < rules.count, saved = false;
    if (!there) {
        fail_no_set(call, set);
    } else if (!updated && rules.count >= VZ_MAX_SYNONYM_RULES) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "The number of synonyms rules in a synonym set cannot exceed %d",
                     VZ_MAX_SYNONYM_RULES);
    } else {
        rules.items[at] = rule;
        rules.count += !updated;
        order_rules(&rules);
        saved = save_rules(call, set, &rules);
    }
    vz_json_free(rules.doc);
    pthread_mutex_unlock(&call->rest->templates_mutex);
    if (saved)
        answer_changed(call, set, updated ? "updated" : "created");
    if (!call->problem.status && !updated)
        call->response->status = 201;
}

void vz_rest_synonym_rule_delete(struct vz_call *call)
{
    struct rules rules;
    struct vz_slice set = call->args[0];
    pthread_mutex_lock(&call->rest->templates_mutex);
    bool there = load_rules(call, set, &rules);
    size_t at = find_rule(&rules, call->args[1]);
    bool saved = false;
    if (!there) {
        fail_no_set(call, set);
    } else if (at == rules.count) {
        fail_no_rule(call);
    } else {
        memmove(&rules.items[at], &rules.items[at + 1],
                (rules.count - at - 1) * sizeof *rules.items);
        rules.count--;
        saved = save_rules(call, set, &rules);
    }
    vz_json_free(rules.doc);
    pthread_mutex_unlock(&call->rest->templates_mutex);
    if (saved)
        answer_changed(call, set, "deleted");
}
