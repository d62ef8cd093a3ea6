/* What a query string asks of fields: each term, phrase, pattern and range as a node per field, put
 * together by the best one, as Elasticsearch's QueryStringQueryParser does. */
#include "query/query_string.h"

#include "query/filter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the run --------------------------------------------------------------------------------- */

void vz_string_run_init(struct vz_string_run *run, struct vz_eval *eval,
                        const struct vz_string_clause *clause, struct vz_error *err)
{
    static const struct vz_multi_field all[] = {{.pattern = {"*", 1}, .boost = 1}};
    struct vz_multi_field one = {clause->default_field, 1};
    const struct vz_multi_field *fields = clause->field_count         ? clause->fields
                                          : clause->default_field.len ? &one
                                                                      : all;
    *run = (struct vz_string_run){.eval = eval, .clause = clause, .err = err};
    vz_multi_fields(eval, fields, clause->field_count ? clause->field_count : 1,
                    (struct vz_slice){0}, &run->fields);
    if (clause->field_count == 0)
        run->default_field = clause->default_field.len ? clause->default_field : VZ_SLICE("*");
    run->lenient = clause->has_lenient ? clause->lenient : run->fields.all;
}

enum vz_status vz_string_count(struct vz_string_run *run)
{
    if (++run->clauses <= VZ_MAX_CLAUSES)
        return VZ_OK;
    return vz_fail(run->err, VZ_BAD_QUERY,
                   "Query contains too many nested clauses; maxClauseCount is set to %d",
                   VZ_MAX_CLAUSES);
}

enum vz_status vz_string_fail(struct vz_string_run *run, const char *format, ...)
{
    char text[sizeof((struct vz_error *)0)->cause];
    struct vz_slice query = run->clause->query;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vz_fail(run->err, VZ_BAD_QUERY, "Failed to parse query [%.*s%s]",
            (int)VZ_MIN(query.len, (size_t)300), query.ptr, query.len > 300 ? "..." : "");
    vz_fail_cause(run->err, "%s", text);
    return VZ_BAD_QUERY;
}

static void fields_of(struct vz_string_run *run, struct vz_slice field, bool quoted,
                      struct vz_field_list *out)
{
    const struct vz_string_clause *clause = run->clause;
    struct vz_slice suffix = quoted ? clause->quote_field_suffix : (struct vz_slice){0};
    if (!field.ptr)
        field = run->default_field;
    bool is_default = field.ptr && run->default_field.ptr &&
                      vz_slice_eq(field, run->default_field) && vz_slice_is(field, "*");
    if (is_default || (!field.ptr && !suffix.len)) {
        *out = run->fields;
    } else if (!field.ptr) {
        vz_multi_fields(run->eval, clause->fields, clause->field_count, suffix, out);
    } else {
        struct vz_multi_field one = {field, 1};
        vz_multi_fields(run->eval, &one, 1, suffix, out);
    }
}

/* ---- terms and phrases ----------------------------------------------------------------------- */

static struct vz_match *match_of(struct vz_string_run *run, enum vz_match_type type, uint32_t slop,
                                 bool quoted)
{
    const struct vz_string_clause *clause = run->clause;
    struct vz_match *match = vz_arena_zalloc(run->eval->arena, sizeof *match);
    match->query = clause->name;
    match->type = type;
    match->every = clause->every;
    match->slop = slop;
    match->max_expansions = 50;
    match->no_synonym_phrases = clause->no_synonym_phrases;
    match->analyzer =
        quoted && clause->quote_analyzer.len ? clause->quote_analyzer : clause->analyzer;
    return match;
}

static enum vz_status ask(struct vz_string_run *run, const struct vz_multi_how *how,
                          const struct vz_field_list *fields, struct vz_slice text,
                          struct vz_node **out, struct vz_node_list *list)
{
    if (fields->count == 0) { /* no such field: nothing is found */
        *out = vz_made_node(run->eval, VZ_NODE_NONE);
        return VZ_OK;
    }
    return vz_multi_build(run->eval, how, fields, vz_made_text(run->eval, text), out, list,
                          run->err);
}

static struct vz_node *exists_node(struct vz_string_run *run, struct vz_slice field)
{
    struct vz_node *node = vz_made_node(run->eval, VZ_NODE_EXISTS);
    node->field = field;
    return node;
}

/* ">10", "<=b" of a field that is named. */
static bool one_sided(struct vz_slice text, struct vz_string_bounds *bounds)
{
    *bounds = (struct vz_string_bounds){0};
    if (text.len < 2 || (text.ptr[0] != '<' && text.ptr[0] != '>'))
        return false;
    bool inclusive = text.len > 2 && text.ptr[1] == '=';
    struct vz_slice bound = {text.ptr + 1 + inclusive, text.len - 1 - inclusive};
    if (text.ptr[0] == '>')
        *bounds = (struct vz_string_bounds){
            .has_lower = true, .lower = bound, .lower_inclusive = inclusive};
    else
        *bounds = (struct vz_string_bounds){
            .has_upper = true, .upper = bound, .upper_inclusive = inclusive};
    return true;
}

enum vz_status vz_string_term(struct vz_string_run *run, struct vz_slice field,
                              struct vz_slice text, struct vz_node **out, struct vz_node_list *list)
{
    const struct vz_string_clause *clause = run->clause;
    struct vz_slice named = field.ptr ? field : run->default_field;
    struct vz_string_bounds bounds;
    struct vz_field_list fields;
    struct vz_multi_how how = {.kind = clause->kind, .tie = clause->tie, .lenient = run->lenient};
    *out = NULL;
    if (vz_string_count(run) != VZ_OK)
        return VZ_BAD_QUERY;
    if (named.ptr && vz_slice_is(named, "_exists_")) {
        *out = exists_node(run, text);
        return VZ_OK;
    }
    if (named.ptr && (vz_slice_is(named, "_id") || vz_slice_is(named, "_index"))) {
        *out = vz_made_node(run->eval, vz_slice_is(named, "_id") ? VZ_NODE_IDS : VZ_NODE_TERM);
        (*out)->field = named;
        (*out)->values = vz_arena_alloc(run->eval->arena, sizeof *(*out)->values);
        (*out)->values[0] = vz_made_text(run->eval, text);
        (*out)->value_count = 1;
        return VZ_OK;
    }
    if (named.ptr && one_sided(text, &bounds))
        return vz_string_range(run, field, &bounds, out);
    if (named.ptr && clause->has_zone && text.len > 1) {
        const struct vz_field *date = vz_mapping_find(run->eval->mapping, named);
        bounds = (struct vz_string_bounds){true, true, true, true, text, text};
        if (date && date->type == VZ_FIELD_DATE)
            return vz_string_range(run, field, &bounds, out);
    }
    fields_of(run, field, false, &fields);
    bool phrase = clause->type == VZ_MATCH_PHRASE || clause->type == VZ_MATCH_PHRASE_PREFIX;
    how.match = match_of(run, clause->type, phrase ? clause->phrase_slop : 0, false);
    return ask(run, &how, &fields, text, out, list);
}

enum vz_status vz_string_phrase(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, uint32_t slop, struct vz_node **out)
{
    struct vz_slice named = field.ptr ? field : run->default_field;
    struct vz_field_list fields;
    struct vz_multi_how how = {.tie = run->clause->tie, .lenient = run->lenient};
    *out = NULL;
    if (vz_string_count(run) != VZ_OK)
        return VZ_BAD_QUERY;
    if (named.ptr && vz_slice_is(named, "_exists_")) {
        *out = exists_node(run, text);
        return VZ_OK;
    }
    fields_of(run, field, true, &fields);
    how.match = match_of(run, VZ_MATCH_PHRASE, slop, true);
    return ask(run, &how, &fields, text, out, NULL);
}

/* ---- a node for each field ------------------------------------------------------------------- */

/* The analyzer whose one-to-one parts a pattern goes through; NULL: the column's own way. */
static enum vz_status normalizer_of(struct vz_string_run *run, const struct vz_field *field,
                                    const struct vz_analyzer **out)
{
    *out = field->type == VZ_FIELD_TEXT ? field->search_analyzer : NULL;
    if (run->clause->analyzer.len == 0)
        return VZ_OK;
    return vz_text_analyzer(run->eval, run->clause->name, run->clause->analyzer, out, run->err);
}

static enum vz_status normal_text(struct vz_string_run *run, const struct vz_field *field,
                                  struct vz_slice text, struct vz_slice *out)
{
    const struct vz_analyzer *analyzer;
    enum vz_status status = normalizer_of(run, field, &analyzer);
    *out = vz_arena_copy(run->eval->arena, text);
    if (status != VZ_OK || !analyzer)
        return status;
    return vz_normalize(analyzer, text, run->eval->arena, out, run->err);
}

/* What is between * and ? goes through the analyzer; these and what is escaped stay. */
static enum vz_status normal_wildcard(struct vz_string_run *run, const struct vz_field *field,
                                      struct vz_slice text, struct vz_slice *out)
{
    struct vz_buf buf = {0};
    enum vz_status status = VZ_OK;
    size_t from = 0;
    for (size_t i = 0; i <= text.len && status == VZ_OK; i++) {
        bool escaped = i + 1 < text.len && text.ptr[i] == '\\';
        bool special = i == text.len || escaped || text.ptr[i] == '*' || text.ptr[i] == '?';
        struct vz_slice piece;
        if (!special)
            continue;
        if (i > from) {
            status = normal_text(run, field, (struct vz_slice){text.ptr + from, i - from}, &piece);
            if (status == VZ_OK)
                vz_buf_append_slice(&buf, piece);
        }
        if (i < text.len)
            vz_buf_append_char(&buf, text.ptr[i]);
        if (escaped)
            vz_buf_append_char(&buf, text.ptr[++i]);
        from = i + 1;
    }
    *out = vz_arena_copy(run->eval->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return status;
}

typedef enum vz_status one_field(struct vz_string_run *run, const struct vz_field *field,
                                 const void *what, struct vz_node **out);

/* Asks each field; the best counts. Lenient: what cannot be asked finds nothing. */
static enum vz_status for_fields(struct vz_string_run *run, struct vz_slice named, one_field *one,
                                 const void *what, struct vz_node **out)
{
    struct vz_field_list fields;
    size_t count = 0;
    *out = NULL;
    if (vz_string_count(run) != VZ_OK)
        return VZ_BAD_QUERY;
    fields_of(run, named, false, &fields);
    if (fields.count == 0) {
        *out = vz_made_node(run->eval, VZ_NODE_NONE);
        return VZ_OK;
    }
    struct vz_node **parts =
        vz_arena_alloc(run->eval->arena, (fields.count + 1) * sizeof(struct vz_node *));
    for (size_t i = 0; i < fields.count; i++) {
        struct vz_node *node = NULL;
        enum vz_status status = one(run, fields.fields[i], what, &node);
        if (status != VZ_OK && (!run->lenient || status != VZ_BAD_QUERY))
            return status;
        if (status != VZ_OK)
            node = vz_made_node(run->eval, VZ_NODE_NONE);
        if (!node)
            continue;
        node->boost *= fields.boosts[i];
        parts[count++] = node;
    }
    *out = vz_multi_best(run->eval, parts, count, run->clause->tie);
    return VZ_OK;
}

/* Kinds of fields that patterns can be asked of. */
static enum vz_status check_pattern(struct vz_string_run *run, const struct vz_field *field,
                                    const char *query)
{
    if (field->type == VZ_FIELD_TEXT || vz_field_is_keyword(field) ||
        field->type == VZ_FIELD_CONSTANT_KEYWORD)
        return VZ_OK;
    return vz_query_fail(run->err, VZ_BAD_QUERY,
                         "Can only use %s queries on keyword, text and wildcard fields - not on "
                         "[%.*s] which is of type [%s]",
                         query, VZ_ARG(field->path), vz_filter_type_name(field->type));
}

static struct vz_node *pattern_node(struct vz_string_run *run, enum vz_node_kind kind,
                                    const struct vz_field *field, struct vz_slice text)
{
    struct vz_node *node = vz_made_node(run->eval, kind);
    node->field = field->path;
    node->text = text;
    return node;
}

/* ---- prefix ---------------------------------------------------------------------------------- */

/* analyze_wildcard: the words of the text, the last one a prefix. */
static enum vz_status analyzed_prefix(struct vz_string_run *run, const struct vz_field *field,
                                      struct vz_slice text, struct vz_node **out)
{
    const struct vz_analyzer *analyzer;
    struct vz_tokens tokens = {0};
    struct vz_clause_list clauses = {0};
    enum vz_status status = normalizer_of(run, field, &analyzer);
    if (status == VZ_OK)
        status = vz_analyze(analyzer, text, &tokens, run->err);
    for (size_t i = 0, end; i < tokens.count && status == VZ_OK; i = end) {
        end = i + 1;
        while (end < tokens.count && tokens.items[end].position == tokens.items[i].position)
            end++;
        struct vz_clause_list place = {0};
        for (size_t t = i; t < end; t++) {
            struct vz_slice word = vz_arena_copy(run->eval->arena, tokens.items[t].text);
            struct vz_node *node =
                end == tokens.count ? pattern_node(run, VZ_NODE_PREFIX, field, word)
                                    : vz_text_node(run->eval, vz_text_term(run->eval, field, word));
            vz_clause_add(run->eval, &place, node, VZ_SHOULD);
            status = vz_string_count(run);
            if (status != VZ_OK)
                break;
        }
        vz_clause_add(run->eval, &clauses,
                      place.count == 1 ? place.items[0].node : vz_clause_bool(run->eval, &place),
                      run->clause->every ? VZ_MUST : VZ_SHOULD);
    }
    vz_tokens_deinit(&tokens);
    if (status == VZ_OK && clauses.count)
        *out = clauses.count == 1 ? clauses.items[0].node : vz_clause_bool(run->eval, &clauses);
    return status;
}

static enum vz_status prefix_of(struct vz_string_run *run, const struct vz_field *field,
                                const void *what, struct vz_node **out)
{
    struct vz_slice text;
    enum vz_status status = check_pattern(run, field, "prefix");
    if (status == VZ_OK && run->clause->analyze_wildcard && field->type == VZ_FIELD_TEXT)
        return analyzed_prefix(run, field, *(const struct vz_slice *)what, out);
    if (status == VZ_OK)
        status = normal_text(run, field, *(const struct vz_slice *)what, &text);
    if (status == VZ_OK)
        *out = pattern_node(run, VZ_NODE_PREFIX, field, text);
    return status;
}

enum vz_status vz_string_prefix(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, struct vz_node **out)
{
    return for_fields(run, field, prefix_of, &text, out);
}

/* ---- wildcard, regexp, fuzzy ----------------------------------------------------------------- */

static enum vz_status wildcard_of(struct vz_string_run *run, const struct vz_field *field,
                                  const void *what, struct vz_node **out)
{
    struct vz_slice text = *(const struct vz_slice *)what, normal;
    if (vz_slice_is(text, "*")) {
        *out = exists_node(run, field->path);
        return VZ_OK;
    }
    enum vz_status status = check_pattern(run, field, "wildcard");
    if (status == VZ_OK)
        status = normal_wildcard(run, field, text, &normal);
    if (status == VZ_OK)
        *out = pattern_node(run, VZ_NODE_WILDCARD, field, normal);
    return status;
}

enum vz_status vz_string_wildcard(struct vz_string_run *run, struct vz_slice field,
                                  struct vz_slice text, struct vz_node **out)
{
    struct vz_slice named = field.ptr ? field : run->default_field;
    if (vz_slice_is(text, "*") && named.ptr) {
        if (vz_string_count(run) != VZ_OK)
            return VZ_BAD_QUERY;
        *out = vz_slice_is(named, "*") ? vz_made_node(run->eval, VZ_NODE_ALL)
                                       : exists_node(run, named);
        return VZ_OK;
    }
    if (run->clause->no_leading_wildcard && text.len && (text.ptr[0] == '*' || text.ptr[0] == '?'))
        return vz_string_fail(run, "'*' or '?' not allowed as first character in WildcardQuery");
    return for_fields(run, field, wildcard_of, &text, out);
}

static enum vz_status regexp_of(struct vz_string_run *run, const struct vz_field *field,
                                const void *what, struct vz_node **out)
{
    enum vz_status status = check_pattern(run, field, "regexp");
    if (status == VZ_OK)
        *out = pattern_node(run, VZ_NODE_REGEXP, field, *(const struct vz_slice *)what);
    return status;
}

enum vz_status vz_string_regexp(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, struct vz_node **out)
{
    if (text.len > VZ_MAX_REGEX_BYTES)
        return vz_query_fail(run->err, VZ_BAD_QUERY,
                             "The length of regex [%zu] used in the [query_string] has exceeded "
                             "the allowed maximum of [%d]. This maximum can be set by changing the "
                             "[index.max_regex_length] index level setting.",
                             text.len, VZ_MAX_REGEX_BYTES);
    text = vz_arena_copy(run->eval->arena, text);
    return for_fields(run, field, regexp_of, &text, out);
}

struct fuzzy_text {
    struct vz_slice text;
    const struct vz_match *match;
};

static enum vz_status fuzzy_of(struct vz_string_run *run, const struct vz_field *field,
                               const void *what, struct vz_node **out)
{
    const struct fuzzy_text *fuzzy = what;
    struct vz_slice text;
    enum vz_status status = VZ_OK;
    if (field->type != VZ_FIELD_TEXT && !vz_field_is_keyword(field))
        return vz_query_fail(run->err, VZ_BAD_QUERY,
                             "Can only use fuzzy queries on keyword and text fields - not on "
                             "[%.*s] which is of type [%s]",
                             VZ_ARG(field->path), vz_filter_type_name(field->type));
    status = normal_text(run, field, fuzzy->text, &text);
    if (status != VZ_OK)
        return status;
    *out = pattern_node(run, VZ_NODE_FUZZY, field, text);
    (*out)->match = fuzzy->match;
    return VZ_OK;
}

enum vz_status vz_string_fuzzy(struct vz_string_run *run, struct vz_slice field,
                               struct vz_slice text, struct vz_slice edits, struct vz_node **out)
{
    const struct vz_string_clause *clause = run->clause;
    struct vz_match *match = vz_arena_zalloc(run->eval->arena, sizeof *match);
    struct fuzzy_text fuzzy = {text, match};
    match->query = clause->name;
    match->fuzziness = edits.len ? vz_arena_copy(run->eval->arena, edits) : clause->fuzziness;
    match->prefix_length = clause->fuzzy_prefix_length;
    match->max_expansions = clause->fuzzy_max_expansions;
    match->no_transpositions = clause->no_transpositions;
    return for_fields(run, field, fuzzy_of, &fuzzy, out);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static enum vz_status bound_of(struct vz_string_run *run, const struct vz_field *field, bool set,
                               bool inclusive, struct vz_slice text, struct vz_bound *out)
{
    *out = (struct vz_bound){set, inclusive, {0}};
    if (!set)
        return VZ_OK;
    enum vz_status status = normal_text(run, field, text, &text);
    out->value = vz_made_text(run->eval, text);
    return status;
}

static enum vz_status range_of(struct vz_string_run *run, const struct vz_field *field,
                               const void *what, struct vz_node **out)
{
    const struct vz_string_bounds *bounds = what;
    struct vz_node *node = vz_made_node(run->eval, VZ_NODE_RANGE);
    node->field = field->path;
    enum vz_status status = bound_of(run, field, bounds->has_lower, bounds->lower_inclusive,
                                     bounds->lower, &node->range.lower);
    if (status == VZ_OK)
        status = bound_of(run, field, bounds->has_upper, bounds->upper_inclusive, bounds->upper,
                          &node->range.upper);
    if (field->type == VZ_FIELD_DATE && run->clause->has_zone) {
        node->range.has_zone = true;
        node->range.zone_ms = run->clause->zone_ms;
        node->range.zone = run->clause->zone;
    }
    if (status == VZ_OK && run->lenient) { /* a value that cannot be read finds nothing here */
        struct vz_docset set;
        if (vz_leaf_eval(run->eval, node, false, &set, NULL) != VZ_OK)
            node->kind = VZ_NODE_NONE;
        else
            vz_docset_deinit(&set);
    }
    *out = node;
    return status;
}

enum vz_status vz_string_range(struct vz_string_run *run, struct vz_slice field,
                               const struct vz_string_bounds *bounds, struct vz_node **out)
{
    struct vz_string_bounds copy = *bounds;
    copy.has_lower = copy.has_lower && !vz_slice_is(copy.lower, "*");
    copy.has_upper = copy.has_upper && !vz_slice_is(copy.upper, "*");
    return for_fields(run, field, range_of, &copy, out);
}

/* ---- clauses --------------------------------------------------------------------------------- */

void vz_clause_add(struct vz_eval *eval, struct vz_clause_list *list, struct vz_node *node,
                   enum vz_occur occur)
{
    if (list->count == list->capacity) {
        list->capacity = VZ_MAX(list->capacity * 2, (size_t)8);
        void *grown = vz_arena_alloc(eval->arena, list->capacity * sizeof *list->items);
        if (list->count)
            memcpy(grown, list->items, list->count * sizeof *list->items);
        list->items = grown;
    }
    list->items[list->count].node = node;
    list->items[list->count++].occur = occur;
}

struct vz_node *vz_clause_bool(struct vz_eval *eval, const struct vz_clause_list *list)
{
    struct vz_node *node = vz_made_node(eval, VZ_NODE_BOOL);
    struct vz_node_list *lists[] = {[VZ_SHOULD] = &node->boolean.should,
                                    [VZ_MUST] = &node->boolean.must,
                                    [VZ_MUST_NOT] = &node->boolean.must_not,
                                    [VZ_FILTER] = &node->boolean.filter};
    for (size_t i = 0; i < VZ_COUNT_OF(lists); i++)
        lists[i]->items = vz_arena_alloc(eval->arena, (list->count + 1) * sizeof(struct vz_node *));
    for (size_t i = 0; i < list->count; i++) {
        struct vz_node_list *to = lists[list->items[i].occur];
        to->items[to->count++] = list->items[i].node;
    }
    return node;
}

void vz_fix_negative(struct vz_eval *eval, struct vz_node *node)
{
    if (!node || node->kind != VZ_NODE_BOOL || node->boolean.must_not.count == 0 ||
        node->boolean.must.count + node->boolean.should.count + node->boolean.filter.count)
        return;
    node->boolean.filter.items = vz_arena_alloc(eval->arena, sizeof(struct vz_node *));
    node->boolean.filter.items[0] = vz_made_node(eval, VZ_NODE_ALL);
    node->boolean.filter.count = 1;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct vz_slice escaped(struct vz_eval *eval, struct vz_slice text)
{
    struct vz_buf buf = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\+-!():^[]\"{}~*?|&/", text.ptr[i]) && text.ptr[i])
            vz_buf_append_char(&buf, '\\');
        vz_buf_append_char(&buf, text.ptr[i]);
    }
    struct vz_slice out = vz_arena_copy(eval->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return out;
}

static bool is_blank(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] > ' ')
            return false;
    return true;
}

enum vz_status vz_query_string_expand(struct vz_eval *eval, const struct vz_node *node,
                                      struct vz_node **out, struct vz_error *err)
{
    const struct vz_string_clause *clause = node->string;
    struct vz_string_run run;
    struct vz_slice text = clause->escape ? escaped(eval, clause->query) : clause->query;
    *out = NULL;
    vz_string_run_init(&run, eval, clause, err);
    if (is_blank(text))
        return VZ_OK;
    enum vz_status status = vz_string_parse(&run, text, out);
    if (status != VZ_OK || !*out)
        return status;
    vz_fix_negative(eval, *out);
    return vz_made_minimum(eval, *out, clause->minimum, err);
}
