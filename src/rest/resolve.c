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
    struct vz_listed *names;
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
        int order = vz_slice_cmp(r->names[middle].name, name);
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

/* Hidden names are for those who ask for them, by expand_wildcards or by a dot in front. */
static bool is_shown(const struct resolver *r, struct vz_slice pattern, struct vz_slice name,
                     bool hidden)
{
    return !hidden || (r->options->expand & VZ_EXPAND_HIDDEN) ||
           (pattern.len && pattern.ptr[0] == '.' && name.ptr[0] == '.');
}

static bool is_expanded(const struct resolver *r, struct vz_slice pattern,
                        const struct vz_listed *index)
{
    unsigned state = index->closed ? VZ_EXPAND_CLOSED : VZ_EXPAND_OPEN;
    if (index->closed && !(r->options->flags & VZ_RESOLVE_CLOSED))
        return false;
    return (r->options->expand & state) && is_shown(r, pattern, index->name, index->hidden);
}

static void mark_wildcard(struct resolver *r, struct vz_slice pattern, bool exclude)
{
    for (size_t i = 0; i < r->name_count; i++) {
        if (!vz_wildcard_match(pattern, r->names[i].name))
            continue;
        if (!exclude && !is_expanded(r, pattern, &r->names[i]))
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
        unsigned state =
            at < r->name_count && r->names[at].closed ? VZ_EXPAND_CLOSED : VZ_EXPAND_OPEN;
        if (at < r->name_count && (r->options->expand & state) &&
            is_shown(r, pattern, r->aliases[i].name, r->aliases[i].is_hidden) &&
            vz_wildcard_match(pattern, r->aliases[i].name))
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

static void fail_closed(struct vz_arena *arena, struct vz_index *index, struct vz_problem *problem)
{
    struct vz_error err = {0};
    vz_fail(&err, VZ_CLOSED, "closed");
    vz_problem_from(arena, &err, VZ_AT_REQUEST, (struct vz_slice){NULL, 0}, vz_index_name(index),
                    vz_index_uuid(index), problem);
}

/* Whether what is asked may be done with the index. *leave: it is left out instead. */
static bool check_index(struct vz_arena *arena, struct vz_index *index,
                        const struct vz_resolve_options *options, bool *leave,
                        struct vz_problem *problem)
{
    static const struct {
        unsigned flag;
        enum vz_block_level level;
    } levels[] = {{VZ_RESOLVE_READ, VZ_BLOCK_READ},
                  {VZ_RESOLVE_METADATA_READ, VZ_BLOCK_METADATA_READ},
                  {VZ_RESOLVE_METADATA_WRITE, VZ_BLOCK_METADATA_WRITE},
                  {VZ_RESOLVE_DELETE, VZ_BLOCK_DELETE}};
    struct vz_error err = {0};
    *leave = false;
    if (vz_index_is_closed(index) && !(options->flags & VZ_RESOLVE_CLOSED)) {
        *leave = options->ignore_unavailable;
        if (!*leave)
            fail_closed(arena, index, problem);
        return *leave;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(levels); i++) {
        if (!(options->flags & levels[i].flag) ||
            vz_index_check_block(index, levels[i].level, &err) == VZ_OK)
            continue;
        vz_problem_from(arena, &err, VZ_AT_REQUEST, (struct vz_slice){NULL, 0},
                        vz_index_name(index), vz_index_uuid(index), problem);
        return false;
    }
    return true;
}

/* Takes references. An index deleted since the names were listed is left out. False with a
 * problem, and without references. */
static bool collect(struct vz_store *store, struct resolver *r, struct vz_resolved *resolved)
{
    size_t room = r->name_count + 1;
    resolved->indices = vz_arena_alloc(r->arena, room * sizeof *resolved->indices);
    resolved->filters = vz_arena_alloc(r->arena, room * sizeof *resolved->filters);
    for (size_t i = 0; i < r->name_count; i++) {
        struct vz_index *index =
            r->choices[i].chosen ? vz_store_index(store, r->names[i].name) : NULL;
        bool leave = true;
        if (!index)
            continue;
        bool ok = check_index(r->arena, index, r->options, &leave, r->problem);
        if (!ok || leave)
            vz_index_release(index);
        if (!ok) {
            vz_resolved_release(resolved);
            return false;
        }
        if (leave)
            continue;
        resolved->indices[resolved->count] = index;
        resolved->filters[resolved->count++] = join_filters(r->arena, &r->choices[i]);
    }
    return true;
}

/* The common case, one plain name, without listing the store. */
static bool resolve_plain(struct vz_store *store, struct vz_arena *arena, struct vz_slice name,
                          const struct vz_resolve_options *options, struct vz_resolved *resolved,
                          struct vz_problem *problem)
{
    struct vz_index *index = vz_store_index(store, name);
    bool leave = false;
    if (!index)
        return false;
    if (!check_index(arena, index, options, &leave, problem) || leave) {
        vz_index_release(index);
        return leave;
    }
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
    if (resolve_plain(store, arena, expression, options, resolved, problem))
        return true;
    if (problem->status)
        return false;
    struct resolver r = {.arena = arena, .options = options, .problem = problem};
    r.name_count = vz_store_list(store, arena, &r.names);
    r.alias_count = vz_store_aliases(store, arena, &r.aliases);
    r.choices = vz_arena_zalloc(arena, (r.name_count + 1) * sizeof *r.choices);
    struct vz_slice *parts;
    size_t count = vz_split(arena, expression, &parts);
    for (size_t i = 0; i < count; i++)
        if (!mark_part(&r, parts[i]))
            return false;
    if (!collect(store, &r, resolved))
        return false;
    bool is_all = vz_slice_is(expression, "*") || vz_slice_is(expression, "_all");
    if (resolved->count == 0 && !options->allow_no_indices && !is_all) {
        vz_problem_no_index(arena, expression, problem);
        return false;
    }
    return true;
}

bool vz_expand_parse(struct vz_arena *arena, struct vz_slice text, unsigned *expand,
                     struct vz_slice *wrong)
{
    static const struct {
        const char *word;
        unsigned bits;
    } words[] = {{"open", VZ_EXPAND_OPEN},
                 {"closed", VZ_EXPAND_CLOSED},
                 {"hidden", VZ_EXPAND_HIDDEN},
                 {"all", VZ_EXPAND_ALL}};
    struct vz_slice *parts;
    size_t count = vz_split(arena, text, &parts);
    unsigned bits = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned before = bits;
        bool known = vz_slice_is(parts[i], "none");
        if (known)
            bits = 0;
        for (size_t j = 0; j < VZ_COUNT_OF(words) && !known; j++) {
            known = vz_slice_is(parts[i], words[j].word);
            bits = before | (known ? words[j].bits : 0);
        }
        if (!known) {
            *wrong = parts[i];
            return false;
        }
    }
    if (count)
        *expand = bits;
    /* "hidden" says which of the open ones. */
    if (*expand == VZ_EXPAND_HIDDEN)
        *expand |= VZ_EXPAND_OPEN;
    return true;
}

static bool read_expand(struct vz_call *call, unsigned *expand)
{
    struct vz_slice value, wrong;
    if (!vz_call_param(call, "expand_wildcards", &value) ||
        vz_expand_parse(call->arena, value, expand, &wrong))
        return true;
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "No valid expand wildcard value [%.*s]", VZ_S(wrong));
}

bool vz_resolve(struct vz_call *call, struct vz_slice expression, unsigned flags,
                struct vz_resolved *resolved)
{
    struct vz_resolve_options options = {
        .aliases = flags & VZ_RESOLVE_ALIASES,
        .ignore_unavailable =
            vz_call_bool(call, "ignore_unavailable", (flags & VZ_RESOLVE_LENIENT) != 0),
        .allow_no_indices = vz_call_bool(call, "allow_no_indices", !(flags & VZ_RESOLVE_SOME)),
        .expand = flags & VZ_RESOLVE_NO_WILDCARDS ? 0
                  : flags & VZ_RESOLVE_EVERY      ? VZ_EXPAND_ALL
                  : flags & VZ_RESOLVE_AND_CLOSED ? VZ_EXPAND_OPEN | VZ_EXPAND_CLOSED
                                                  : VZ_EXPAND_OPEN,
        .flags = flags,
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

/* The same index, or NULL with a problem when it is closed or blocks reading. */
static struct vz_index *readable(struct vz_arena *arena, struct vz_index *index,
                                 struct vz_problem *problem)
{
    struct vz_resolve_options options = {.flags = VZ_RESOLVE_READ};
    bool leave;
    if (check_index(arena, index, &options, &leave, problem))
        return index;
    vz_index_release(index);
    return NULL;
}

/* The same index, or NULL with a problem when it is closed. What blocks writing is said by it. */
static struct vz_index *writable(struct vz_arena *arena, struct vz_index *index,
                                 struct vz_problem *problem)
{
    if (!index || !vz_index_is_closed(index))
        return index;
    fail_closed(arena, index, problem);
    vz_index_release(index);
    return NULL;
}

struct vz_index *vz_resolve_one(struct vz_store *store, struct vz_arena *arena,
                                struct vz_slice name, struct vz_problem *problem)
{
    struct vz_index *index = vz_store_index(store, name);
    if (index)
        return readable(arena, index, problem);
    if (vz_name_refused(arena, name, problem))
        return NULL;
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
    if (index)
        return readable(arena, index, problem);
    vz_problem_no_index(arena, name, problem);
    return NULL;
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
        return writable(arena, vz_store_index(store, chosen->index), problem);
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
        return writable(arena, index, problem);
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
        index = writable(arena, vz_store_index(store, name), problem);
    if (!index && !problem->status) {
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
