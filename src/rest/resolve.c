/* Index expressions: names, aliases, wildcards, commas, exclusions, _all -> indices.
 *
 * One pass over the parts of the expression marks, for every index of the store, whether it is
 * chosen and how: by its own name or a wildcard over names (then no alias filter applies), or only
 * through aliases (then a hit must match one of their filters). */
#include "rest/parts.h"
#include "store/templates.h"

#include <stdlib.h>

struct choice {
    bool chosen;
    bool unfiltered; /* reached by its own name, or by an alias without a filter */
    struct vz_slice *filters;
    size_t filter_count;
};

struct resolver {
    struct vz_arena *arena;
    const struct vz_resolve_options *options;
    struct vz_slice *names;
    size_t name_count;
    struct vz_alias *aliases;
    size_t alias_count;
    struct choice *choices;
    bool saw_wildcard;
    struct vz_problem *problem;
};

static bool has_wildcard(struct vz_slice text)
{
    return text.len && memchr(text.ptr, '*', text.len) != NULL;
}

static size_t position_of(const struct resolver *r, struct vz_slice name)
{
    size_t low = 0, high = r->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = vz_slice_cmp(r->names[middle], name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return r->name_count;
}

static void choose_by_name(struct choice *choice)
{
    choice->chosen = true;
    choice->unfiltered = true;
}

static void choose_by_alias(struct resolver *r, struct choice *choice, struct vz_slice filter)
{
    choice->chosen = true;
    if (filter.len == 0) {
        choice->unfiltered = true;
        return;
    }
    if (!choice->filters)
        choice->filters = vz_arena_alloc(r->arena, r->alias_count * sizeof *choice->filters);
    choice->filters[choice->filter_count++] = filter;
}

static void mark_wildcard(struct resolver *r, struct vz_slice pattern, bool exclude)
{
    for (size_t i = 0; i < r->name_count; i++) {
        if (!vz_wildcard_match(pattern, r->names[i]))
            continue;
        if (exclude)
            r->choices[i] = (struct choice){0};
        else
            choose_by_name(&r->choices[i]);
    }
    if (!r->options->aliases || exclude)
        return;
    for (size_t i = 0; i < r->alias_count; i++) {
        size_t at = position_of(r, r->aliases[i].index);
        if (at < r->name_count && vz_wildcard_match(pattern, r->aliases[i].name))
            choose_by_alias(r, &r->choices[at], r->aliases[i].filter);
    }
}

static bool mark_name(struct resolver *r, struct vz_slice name)
{
    size_t at = position_of(r, name);
    if (at < r->name_count) {
        choose_by_name(&r->choices[at]);
        return true;
    }
    bool is_alias = false;
    for (size_t i = 0; i < r->alias_count; i++) {
        if (!vz_slice_eq(r->aliases[i].name, name))
            continue;
        is_alias = true;
        at = position_of(r, r->aliases[i].index);
        if (r->options->aliases && at < r->name_count)
            choose_by_alias(r, &r->choices[at], r->aliases[i].filter);
    }
    if (is_alias && !r->options->aliases) {
        if (r->options->ignore_unavailable)
            return true;
        *r->problem = (struct vz_problem){
            .status = 400,
            .type = "illegal_argument_exception",
            .reason = vz_slice_from(vz_arena_printf(
                r->arena,
                "The provided expression [%.*s] matches an alias, specify the corresponding "
                "concrete indices instead.",
                VZ_S(name)))};
        return false;
    }
    if (is_alias || r->options->ignore_unavailable)
        return true;
    vz_problem_no_index(r->arena, name, r->problem);
    return false;
}

static bool refuse_name(struct vz_arena *arena, struct vz_slice name, const char *why,
                        struct vz_problem *problem)
{
    *problem = (struct vz_problem){.status = 400,
                                   .type = "invalid_index_name_exception",
                                   .reason = vz_slice_from(vz_arena_printf(
                                       arena, "Invalid index name [%.*s], %s", VZ_S(name), why)),
                                   .index = vz_arena_copy(arena, name),
                                   .index_uuid = "_na_"};
    return true;
}

bool vz_name_refused(struct vz_arena *arena, struct vz_slice name, struct vz_problem *problem)
{
    if (name.len == 0)
        return refuse_name(arena, name, "must not be empty", problem);
    if (name.ptr[0] == '_' && !vz_slice_is(name, "_all"))
        return refuse_name(arena, name, "must not start with '_'.", problem);
    if (vz_slice_is(name, ".") || vz_slice_is(name, ".."))
        return refuse_name(arena, name, "must not be '.' or '..'", problem);
    if (name.ptr[0] == '<' && name.ptr[name.len - 1] == '>') {
        *problem = (struct vz_problem){
            .status = 400,
            .type = "unsupported_operation_exception",
            .reason = vz_slice_from(vz_arena_printf(
                arena, "date math in index names [%.*s] is not supported yet by vizsla " VZ_VERSION,
                VZ_S(name)))};
        return true;
    }
    const char *colon = memchr(name.ptr, ':', name.len);
    if (colon) {
        *problem = (struct vz_problem){
            .status = 404,
            .type = "no_such_remote_cluster_exception",
            .reason = vz_slice_from(vz_arena_printf(arena, "no such remote cluster: [%.*s]",
                                                    (int)(colon - name.ptr), name.ptr))};
        return true;
    }
    return false;
}

static bool mark_part(struct resolver *r, struct vz_slice part)
{
    if (vz_slice_is(part, "_all"))
        part = VZ_SLICE("*");
    bool exclude = r->saw_wildcard && part.ptr[0] == '-' && part.len > 1;
    if (exclude) {
        mark_wildcard(r, (struct vz_slice){part.ptr + 1, part.len - 1}, true);
        return true;
    }
    if (vz_name_refused(r->arena, part, r->problem))
        return false;
    if (!has_wildcard(part))
        return mark_name(r, part);
    r->saw_wildcard = true;
    if (r->options->expand)
        mark_wildcard(r, part, false);
    return true;
}

static struct vz_slice join_filters(struct vz_arena *arena, const struct choice *choice)
{
    if (choice->unfiltered || choice->filter_count == 0)
        return (struct vz_slice){NULL, 0};
    if (choice->filter_count == 1)
        return choice->filters[0];
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{\"bool\":{\"should\":[");
    for (size_t i = 0; i < choice->filter_count; i++) {
        if (i)
            vz_buf_append_char(&text, ',');
        vz_buf_append_slice(&text, choice->filters[i]);
    }
    vz_buf_append_str(&text, "]}}");
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

/* Takes references. An index deleted since the names were listed is left out. */
static void collect(struct vz_store *store, struct resolver *r, struct vz_resolved *resolved)
{
    size_t room = r->name_count + 1;
    resolved->indices = vz_arena_alloc(r->arena, room * sizeof *resolved->indices);
    resolved->filters = vz_arena_alloc(r->arena, room * sizeof *resolved->filters);
    for (size_t i = 0; i < r->name_count; i++) {
        struct vz_index *index = r->choices[i].chosen ? vz_store_index(store, r->names[i]) : NULL;
        if (!index)
            continue;
        resolved->indices[resolved->count] = index;
        resolved->filters[resolved->count++] = join_filters(r->arena, &r->choices[i]);
    }
}

/* The common case, one plain name, without listing the store. */
static bool resolve_plain(struct vz_store *store, struct vz_arena *arena, struct vz_slice name,
                          struct vz_resolved *resolved)
{
    struct vz_index *index = vz_store_index(store, name);
    if (!index)
        return false;
    resolved->indices = vz_arena_alloc(arena, sizeof *resolved->indices);
    resolved->filters = vz_arena_zalloc(arena, sizeof *resolved->filters);
    resolved->indices[0] = index;
    resolved->count = 1;
    return true;
}

bool vz_resolve_with(struct vz_store *store, struct vz_arena *arena, struct vz_slice expression,
                     const struct vz_resolve_options *options, struct vz_resolved *resolved,
                     struct vz_problem *problem)
{
    *resolved = (struct vz_resolved){0};
    if (expression.len == 0)
        expression = VZ_SLICE("*");
    if (resolve_plain(store, arena, expression, resolved))
        return true;
    struct resolver r = {.arena = arena, .options = options, .problem = problem};
    r.name_count = vz_store_names(store, arena, &r.names);
    r.alias_count = vz_store_aliases(store, arena, &r.aliases);
    r.choices = vz_arena_zalloc(arena, (r.name_count + 1) * sizeof *r.choices);
    struct vz_slice *parts;
    size_t count = vz_split(arena, expression, &parts);
    for (size_t i = 0; i < count; i++)
        if (!mark_part(&r, parts[i]))
            return false;
    collect(store, &r, resolved);
    bool is_all = vz_slice_is(expression, "*") || vz_slice_is(expression, "_all");
    if (resolved->count == 0 && !options->allow_no_indices && !is_all) {
        vz_problem_no_index(arena, expression, problem);
        return false;
    }
    return true;
}

static bool read_expand(struct vz_call *call, bool *expand)
{
    struct vz_slice value, *parts;
    if (!vz_call_param(call, "expand_wildcards", &value))
        return true;
    size_t count = vz_split(call->arena, value, &parts);
    for (size_t i = 0; i < count; i++) {
        if (vz_slice_is(parts[i], "open") || vz_slice_is(parts[i], "all") ||
            vz_slice_is(parts[i], "hidden"))
            *expand = true;
        else if (vz_slice_is(parts[i], "none") || vz_slice_is(parts[i], "closed"))
            *expand = count > 1 && *expand;
        else
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "No valid expand wildcard value [%.*s]", VZ_S(parts[i]));
    }
    return true;
}

bool vz_resolve(struct vz_call *call, struct vz_slice expression, unsigned flags,
                struct vz_resolved *resolved)
{
    struct vz_resolve_options options = {
        .aliases = flags & VZ_RESOLVE_ALIASES,
        .ignore_unavailable =
            vz_call_bool(call, "ignore_unavailable", (flags & VZ_RESOLVE_LENIENT) != 0),
        .allow_no_indices = vz_call_bool(call, "allow_no_indices", !(flags & VZ_RESOLVE_SOME)),
        .expand = !(flags & VZ_RESOLVE_NO_WILDCARDS),
    };
    *resolved = (struct vz_resolved){0};
    if (call->problem.status || !read_expand(call, &options.expand))
        return false;
    return vz_resolve_with(call->store, call->arena, expression, &options, resolved,
                           &call->problem);
}

void vz_resolved_release(struct vz_resolved *resolved)
{
    for (size_t i = 0; i < resolved->count; i++)
        vz_index_release(resolved->indices[i]);
    resolved->count = 0;
}

/* ---- one index ----------------------------------------------------------------------------- */

static void alias_is_many(struct vz_arena *arena, struct vz_slice name, struct vz_problem *problem)
{
    *problem = (struct vz_problem){
        .status = 400,
        .type = "illegal_argument_exception",
        .reason = vz_slice_from(vz_arena_printf(
            arena,
            "alias [%.*s] has more than one index associated with it, can't execute a single "
            "index op",
            VZ_S(name)))};
}

struct vz_index *vz_resolve_one(struct vz_store *store, struct vz_arena *arena,
                                struct vz_slice name, struct vz_problem *problem)
{
    struct vz_index *index = vz_store_index(store, name);
    if (index || vz_name_refused(arena, name, problem))
        return index;
    struct vz_alias *aliases;
    size_t count = vz_store_aliases(store, arena, &aliases);
    for (size_t i = 0; i < count; i++) {
        if (!vz_slice_eq(aliases[i].name, name))
            continue;
        if (i + 1 < count && vz_slice_eq(aliases[i + 1].name, name)) {
            alias_is_many(arena, name, problem);
            return NULL;
        }
        index = vz_store_index(store, aliases[i].index);
        break;
    }
    if (!index)
        vz_problem_no_index(arena, name, problem);
    return index;
}

/* The index an alias writes to. *is_alias tells whether there is such an alias at all. */
static struct vz_index *alias_write_index(struct vz_store *store, struct vz_arena *arena,
                                          struct vz_slice name, bool *is_alias,
                                          struct vz_problem *problem)
{
    struct vz_alias *aliases;
    const struct vz_alias *chosen = NULL, *only = NULL;
    size_t of_name = 0, count = vz_store_aliases(store, arena, &aliases);
    for (size_t i = 0; i < count; i++) {
        if (!vz_slice_eq(aliases[i].name, name))
            continue;
        of_name++;
        only = &aliases[i];
        if (aliases[i].has_write_index && aliases[i].is_write_index)
            chosen = only;
    }
    *is_alias = of_name > 0;
    if (!chosen && of_name == 1 && !(only->has_write_index && !only->is_write_index))
        chosen = only;
    if (chosen)
        return vz_store_index(store, chosen->index);
    if (of_name)
        *problem = (struct vz_problem){
            .status = 400,
            .type = "illegal_argument_exception",
            .reason = vz_slice_from(vz_arena_printf(
                arena,
                "no write index is defined for alias [%.*s]. The write index may be explicitly "
                "disabled using is_write_index=false or the alias points to multiple indices "
                "without one being designated as a write index",
                VZ_S(name)))};
    return NULL;
}

struct vz_index *vz_resolve_write(struct vz_store *store, struct vz_arena *arena,
                                  struct vz_slice name, bool create, bool require_alias,
                                  struct vz_problem *problem)
{
    struct vz_index *index = require_alias ? NULL : vz_store_index(store, name);
    if (index)
        return index;
    bool is_alias = false;
    index = alias_write_index(store, arena, name, &is_alias, problem);
    if (index || problem->status)
        return index;
    if (require_alias) {
        vz_problem_no_index(arena, name, problem);
        problem->reason = vz_slice_from(vz_arena_printf(
            arena,
            "no such index [%.*s] and [require_alias] request flag is [true] and [%.*s] is "
            "not an alias",
            VZ_S(name), VZ_S(name)));
        return NULL;
    }
    if (!create) {
        if (!vz_name_refused(arena, name, problem))
            vz_problem_no_index(arena, name, problem);
        return NULL;
    }
    struct vz_error err = {0};
    enum vz_status status = vz_store_may_create(store, name, &err);
    if (status == VZ_NO_INDEX) {
        vz_problem_no_index(arena, name, problem);
        problem->reason = vz_slice_from(vz_arena_printf(arena, "%s", err.text));
        return NULL;
    }
    if (status == VZ_OK)
        status = vz_store_create_templated(store, name, (struct vz_json){0}, &err);
    if (status == VZ_OK || status == VZ_EXISTS)
        index = vz_store_index(store, name);
    if (!index) {
        if (status == VZ_OK || status == VZ_EXISTS)
            vz_problem_no_index(arena, name, problem);
        else
            vz_problem_from(arena, &err, VZ_AT_REQUEST, (struct vz_slice){NULL, 0}, name, NULL,
                            problem);
    }
    return index;
}

unsigned vz_index_replicas(struct vz_index *index)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, value;
    int64_t replicas = 1;
    vz_index_print_settings(index, &text);
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get_path(root, "index.number_of_replicas", &value))
            vz_json_as_int(value, &replicas);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return replicas < 0 ? 0 : (unsigned)replicas;
}
