/* The `intervals` query: rules about where in a text words stand, as trees of src/text/intervals.h.
 *
 * A body is read into struct vz_interval_rule without a mapping; what a rule means in one index -
 * its words by that field's analyzer, the terms that its patterns match - is worked out when the
 * query is expanded. As Elasticsearch's IntervalsSourceProvider and IntervalBuilder do it. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/texts.h"

#include "text/analysis.h"
#include "text/intervals.h"

enum rule_kind {
    RULE_MATCH,
    RULE_ALL,
    RULE_ANY,
    RULE_PREFIX,
    RULE_WILDCARD,
    RULE_REGEXP,
    RULE_FUZZY,
    RULE_RANGE
};
static const char *const rule_names[] = {"match",    "all_of", "any_of", "prefix",
                                         "wildcard", "regexp", "fuzzy",  "range"};

struct vz_interval_rule {
    enum rule_kind kind;
    struct vz_slice text; /* query, prefix, pattern, term */
    struct vz_slice analyzer, use_field;
    int32_t max_gaps;
    bool ordered;
    struct vz_interval_rule **parts; /* all_of, any_of */
    size_t part_count;
    struct vz_slice fuzziness;
    uint32_t prefix_length;
    bool no_transpositions;
    struct vz_slice lower, upper; /* range; ptr NULL: none */
    bool lower_inclusive, upper_inclusive;
    struct vz_interval_rule *filter; /* or NULL */
    enum vz_interval_kind relation;
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status read_rule(struct vz_parser *parser, struct vz_slice name,
                                struct vz_json value, struct vz_interval_rule **out,
                                struct vz_error *err);

static enum vz_status one_rule(struct vz_parser *parser, struct vz_json value,
                               struct vz_interval_rule **out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json inner;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Expected [START_OBJECT] but got [%s]",
                       vz_query_token(value));
    if (!vz_json_next(&it, &name, &inner))
        return vz_fail(err, VZ_BAD_QUERY, "Expected [FIELD_NAME] but got [END_OBJECT]");
    enum vz_status status = read_rule(parser, name, inner, out, err);
    if (status == VZ_OK && vz_json_next(&it, NULL, &inner))
        return vz_fail(err, VZ_BAD_QUERY, "Expected [END_OBJECT] but got [FIELD_NAME]");
    return status;
}

static enum vz_status read_list(struct vz_parser *parser, struct vz_interval_rule *rule,
                                struct vz_json value, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] intervals doesn't support values of type: %s",
                       rule_names[rule->kind], vz_query_token(value));
    rule->parts = vz_arena_alloc(parser->arena, (vz_json_count(value) + 1) * sizeof(void *));
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item))
        status = one_rule(parser, item, &rule->parts[rule->part_count++], err);
    return status;
}

static enum vz_status read_filter(struct vz_parser *parser, struct vz_interval_rule *rule,
                                  struct vz_json value, struct vz_error *err)
{
    static const struct {
        const char *name;
        enum vz_interval_kind relation;
    } relations[] = {
        {"containing", VZ_INTERVAL_CONTAINING},
        {"contained_by", VZ_INTERVAL_CONTAINED_BY},
        {"overlapping", VZ_INTERVAL_OVERLAPPING},
        {"not_containing", VZ_INTERVAL_NOT_CONTAINING},
        {"not_contained_by", VZ_INTERVAL_NOT_CONTAINED_BY},
        {"not_overlapping", VZ_INTERVAL_NOT_OVERLAPPING},
        {"before", VZ_INTERVAL_UNTIL},
        {"after", VZ_INTERVAL_SINCE},
    };
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json inner;
    if (vz_json_type(value) != VZ_JSON_OBJECT || !vz_json_next(&it, &name, &inner))
        return vz_fail(err, VZ_BAD_QUERY, "Expected [FIELD_NAME] but got [END_OBJECT]");
    if (vz_slice_is(name, "script"))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[intervals] filter [script] is not supported yet by vizsla");
    for (size_t i = 0; i < VZ_COUNT_OF(relations); i++) {
        if (!vz_slice_is(name, relations[i].name))
            continue;
        rule->relation = relations[i].relation;
        enum vz_status status = one_rule(parser, inner, &rule->filter, err);
        if (status == VZ_OK && vz_json_next(&it, NULL, &inner))
            return vz_fail(err, VZ_BAD_QUERY, "Expected [END_OBJECT] but got [FIELD_NAME]");
        return status;
    }
    return vz_fail(err, VZ_BAD_QUERY, "Unknown filter type [%.*s]", VZ_ARG(name));
}

/* A string; as Elasticsearch's parsers take them, a number or boolean is none. */
static enum vz_status read_text(const char *rule, struct vz_slice key, struct vz_json value,
                                struct vz_slice *out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] %.*s doesn't support values of type: %s", rule,
                       VZ_ARG(key), vz_query_token(value));
    *out = vz_json_string(value);
    return VZ_OK;
}

static enum vz_status read_gaps(const char *name, struct vz_json value, int32_t *out,
                                struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number) || number < INT32_MIN || number > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] failed to parse field [max_gaps]", name);
    *out = (int32_t)number;
    return VZ_OK;
}

static enum vz_status read_bound(struct vz_interval_rule *rule, struct vz_slice key,
                                 struct vz_json value, struct vz_error *err)
{
    bool lower = key.ptr[0] == 'g', inclusive = key.len == 3;
    *(lower ? &rule->lower_inclusive : &rule->upper_inclusive) = inclusive;
    return read_text("range", key, value, lower ? &rule->lower : &rule->upper, err);
}

static enum vz_status read_member(struct vz_parser *parser, struct vz_interval_rule *rule,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    static const char *const texts[] = {"query",   NULL,      NULL,  "prefix",
                                        "pattern", "pattern", "term"};
    const char *name = rule_names[rule->kind];
    bool combines = rule->kind == RULE_ALL || rule->kind == RULE_ANY;
    bool gaps = rule->kind == RULE_MATCH || rule->kind == RULE_ALL;
    if (rule->kind < VZ_COUNT_OF(texts) && texts[rule->kind] && vz_slice_is(key, texts[rule->kind]))
        return read_text(name, key, value, &rule->text, err);
    if (combines && vz_slice_is(key, "intervals"))
        return read_list(parser, rule, value, err);
    if ((combines || gaps) && vz_slice_is(key, "filter"))
        return read_filter(parser, rule, value, err);
    if (gaps && vz_slice_is(key, "max_gaps"))
        return read_gaps(name, value, &rule->max_gaps, err);
    if (gaps && vz_slice_is(key, "ordered"))
        return vz_dsl_bool(name, "ordered", value, &rule->ordered, err);
    if (!combines && vz_slice_is(key, "analyzer"))
        return read_text(name, key, value, &rule->analyzer, err);
    if (!combines && vz_slice_is(key, "use_field"))
        return read_text(name, key, value, &rule->use_field, err);
    if (rule->kind == RULE_FUZZY && vz_slice_is(key, "fuzziness"))
        return vz_dsl_fuzziness(parser, name, value, &rule->fuzziness, err);
    if (rule->kind == RULE_FUZZY && vz_slice_is(key, "prefix_length"))
        return vz_dsl_count(name, "prefix_length", value, &rule->prefix_length, err);
    if (rule->kind == RULE_FUZZY && vz_slice_is(key, "transpositions")) {
        bool on = true;
        enum vz_status status = vz_dsl_bool(name, "transpositions", value, &on, err);
        rule->no_transpositions = !on;
        return status;
    }
    if (rule->kind == RULE_RANGE && (vz_slice_is(key, "gt") || vz_slice_is(key, "gte") ||
                                     vz_slice_is(key, "lt") || vz_slice_is(key, "lte")))
        return read_bound(rule, key, value, err);
    return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", name, VZ_ARG(key));
}

/* What a rule must have. */
static enum vz_status check_rule(const struct vz_interval_rule *rule, bool has_list,
                                 struct vz_error *err)
{
    static const char *const needed[] = {"query",   "intervals", "intervals", "prefix",
                                         "pattern", "pattern",   "term"};
    if (rule->kind == RULE_RANGE) {
        if (!rule->lower.ptr)
            return vz_fail(err, VZ_BAD_QUERY, "Either [gte] or [gt], one of them must be provided");
        if (!rule->upper.ptr)
            return vz_fail(err, VZ_BAD_QUERY, "Either [lte] or [lt], one of them must be provided");
        return VZ_OK;
    }
    if (!(has_list || rule->text.ptr))
        return vz_fail(err, VZ_BAD_QUERY, "Required [%s]", needed[rule->kind]);
    return VZ_OK;
}

static enum vz_status read_rule(struct vz_parser *parser, struct vz_slice name,
                                struct vz_json value, struct vz_interval_rule **out,
                                struct vz_error *err)
{
    struct vz_interval_rule *rule = *out = vz_arena_zalloc(parser->arena, sizeof *rule);
    size_t kind = 0;
    while (kind < VZ_COUNT_OF(rule_names) && !vz_slice_is(name, rule_names[kind]))
        kind++;
    if (kind == VZ_COUNT_OF(rule_names))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Unknown interval type [%.*s], expecting one of [match, any_of, all_of, "
                       "prefix, wildcard, regexp, range]",
                       VZ_ARG(name));
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] Expected START_OBJECT but was: %s",
                       rule_names[kind], vz_query_token(value));
    if (++parser->clauses > VZ_MAX_CLAUSES)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Query contains too many nested clauses; maxClauseCount is set to %d",
                       VZ_MAX_CLAUSES);
    if (++parser->depth > VZ_MAX_QUERY_DEPTH)
        return vz_fail(err, VZ_BAD_QUERY,
                       "The nested depth of the query exceeds the maximum nested depth for queries "
                       "set in [indices.query.bool.max_nested_depth]");
    *rule = (struct vz_interval_rule){
        .kind = (enum rule_kind)kind, .max_gaps = -1, .fuzziness = VZ_SLICE("AUTO")};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &key, &member))
        status = read_member(parser, rule, key, member, err);
    parser->depth--;
    return status == VZ_OK ? check_rule(rule, rule->parts != NULL, err) : status;
}

enum vz_status vz_dsl_parse_intervals(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner, member;
    struct vz_slice key, found = {0};
    node->kind = VZ_NODE_INTERVALS;
    enum vz_status status = vz_dsl_one_field("intervals", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Expected [START_OBJECT] but got [%s]",
                       vz_query_token(inner));
    struct vz_json_iter it = vz_json_iterate(inner);
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        bool handled;
        status = vz_dsl_common("intervals", key, member, &node->boost, &handled, err);
        if (status != VZ_OK || handled)
            continue;
        if (found.ptr)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Only one interval rule can be specified, found [%.*s] and [%.*s]",
                           VZ_ARG(found), VZ_ARG(key));
        found = key;
        status = read_rule(parser, key, member, &node->intervals, err);
    }
    if (status == VZ_OK && !found.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "Missing intervals from interval query definition");
    return status;
}

/* ---- what it means in one index -------------------------------------------------------------- */

struct build {
    struct vz_eval *eval;
    struct vz_error *err;
    uint64_t *size; /* of all that was made so far */
};

static const struct vz_intervals *too_many(const struct build *b)
{
    vz_query_fail(b->err, VZ_BAD_QUERY, "Too many disjunctions to expand");
    return NULL;
}

/* A text field with positions, or NULL with an error. */
static const struct vz_field *field_of(const struct build *b, struct vz_slice path)
{
    const struct vz_field *field = vz_filter_field(b->eval, path);
    const struct vz_text_view *view = vz_snapshot_texts(b->eval->snap);
    struct vz_field_stats stats = {0};
    if (!field) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "No field mapping can be found for the field with name "
                      "[%.*s]",
                      VZ_ARG(path));
        return NULL;
    }
    if (field->type != VZ_FIELD_TEXT) {
        vz_query_fail(
            b->err, VZ_BAD_QUERY,
            "Can only use interval queries on text fields - not on [%.*s] which is of type "
            "[%s]",
            VZ_ARG(field->path), vz_field_type_name(field->type));
        return NULL;
    }
    if (view && vz_text_field_stats(view, field->id, &stats) &&
        !(stats.flags & VZ_TEXT_POSITIONS)) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "Cannot create intervals over field [%.*s] with no positions indexed",
                      VZ_ARG(field->path));
        return NULL;
    }
    return field;
}

static const struct vz_intervals *one_term(const struct build *b, const struct vz_field *field,
                                           struct vz_slice text)
{
    struct vz_slice *term = vz_arena_alloc(b->eval->arena, sizeof *term);
    *term = vz_arena_copy(b->eval->arena, text);
    return vz_intervals_terms(b->eval->arena, field->id, term, 1);
}

struct words {
    const struct build *b;
    const struct vz_field *field;
    const struct vz_tokens *tokens;
    const struct vz_intervals **items; /* of the clause's places */
    size_t count;
};

static const struct vz_intervals *any_of(const struct build *b,
                                         const struct vz_intervals *const *parts, size_t count)
{
    const struct vz_intervals *out = vz_intervals_or(b->eval->arena, parts, count);
    return out ? out : too_many(b);
}

/* Tokens of one position are alternatives; what was left out before them is room. */
static bool places(struct words *w)
{
    struct vz_arena *arena = w->b->eval->arena;
    const struct vz_tokens *tokens = w->tokens;
    const struct vz_intervals **same = vz_arena_alloc(arena, (tokens->count + 1) * sizeof(void *));
    uint32_t expected = 0;
    for (size_t i = 0, n; i < tokens->count; i += n) {
        uint32_t position = tokens->items[i].position;
        for (n = 0; i + n < tokens->count && tokens->items[i + n].position == position; n++)
            same[n] = one_term(w->b, w->field, tokens->items[i + n].text);
        const struct vz_intervals *place = any_of(w->b, same, n);
        if (!place)
            return false;
        w->items[w->count++] = vz_intervals_extend(arena, place, (int32_t)(position - expected));
        expected = position + 1;
    }
    return true;
}

/* Each way through the graph from a position to another, as a block of words. */
struct ways {
    struct words *w;
    uint32_t to;
    const struct vz_intervals **path, **found;
    size_t found_count;
};

static bool walk_ways(struct ways *ways, uint32_t at, size_t length)
{
    const struct build *b = ways->w->b;
    const struct vz_tokens *tokens = ways->w->tokens;
    if (at >= ways->to) {
        if (ways->found_count == VZ_MAX_DISJUNCTIONS)
            return too_many(b) != NULL;
        const struct vz_intervals *way =
            vz_intervals_combine(b->eval->arena, ways->path, length, 0, true);
        ways->found[ways->found_count++] = way;
        return way || too_many(b);
    }
    uint32_t next = UINT32_MAX; /* the nearest position that has tokens */
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->items[i].position >= at)
            next = VZ_MIN(next, tokens->items[i].position);
    if (next >= ways->to)
        return walk_ways(ways, ways->to, length);
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        if (token->position != next)
            continue;
        ways->path[length] = vz_intervals_extend(
            b->eval->arena, one_term(b, ways->w->field, token->text), (int32_t)(next - at));
        if (!walk_ways(ways, next + VZ_MAX(token->position_length, 1u), length + 1))
            return false;
    }
    return true;
}

/* The first position behind `from` that no token spans: what is before it and behind it are apart.
 */
static uint32_t next_joint(const struct vz_tokens *tokens, uint32_t from)
{
    uint32_t joint = from + 1;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        uint32_t to = token->position + VZ_MAX(token->position_length, 1u);
        if (token->position >= from && token->position < joint)
            joint = VZ_MAX(joint, to);
    }
    return joint;
}

static bool graph(struct words *w)
{
    struct vz_arena *arena = w->b->eval->arena;
    const struct vz_tokens *tokens = w->tokens;
    const struct vz_intervals **path = vz_arena_alloc(arena, (tokens->count + 1) * sizeof(void *));
    const struct vz_intervals **found =
        vz_arena_alloc(arena, (VZ_MAX_DISJUNCTIONS + 1) * sizeof(void *));
    uint32_t end = 0;
    for (size_t i = 0; i < tokens->count; i++)
        end = VZ_MAX(end, tokens->items[i].position + VZ_MAX(tokens->items[i].position_length, 1u));
    for (uint32_t at = 0, to; at < end; at = to) {
        to = next_joint(tokens, at);
        struct ways ways = {.w = w, .to = to, .path = path, .found = found};
        if (!walk_ways(&ways, at, 0))
            return false;
        const struct vz_intervals *part = any_of(w->b, ways.found, ways.found_count);
        if (!part)
            return false;
        if (part->kind != VZ_INTERVAL_OR || part->part_count) /* a hole has no words */
            w->items[w->count++] = part;
    }
    return true;
}

static const struct vz_intervals *of_text(const struct build *b,
                                          const struct vz_interval_rule *rule,
                                          const struct vz_field *field,
                                          const struct vz_analyzer *analyzer)
{
    struct vz_tokens tokens = {0};
    struct words w = {.b = b, .field = field, .tokens = &tokens};
    const struct vz_intervals *out = NULL;
    bool is_graph = false, ok = vz_analyze_query(analyzer, rule->text, &tokens, b->err) == VZ_OK;
    if (ok && tokens.count > VZ_MAX_CLAUSES) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "Too many clauses: [%zu] words in an interval, at most "
                      "[%d]",
                      tokens.count, VZ_MAX_CLAUSES);
        ok = false;
    }
    for (size_t i = 0; i < tokens.count; i++)
        is_graph |= tokens.items[i].position_length > 1;
    w.items = vz_arena_alloc(b->eval->arena, (tokens.count + 1) * sizeof(void *));
    if (ok && tokens.count == 1) {
        out = one_term(b, field, tokens.items[0].text);
    } else if (ok && (is_graph ? graph(&w) : places(&w))) {
        out = vz_intervals_combine(b->eval->arena, w.items, w.count, rule->max_gaps, rule->ordered);
        out = out ? out : too_many(b);
    }
    vz_tokens_deinit(&tokens);
    return out;
}

static const struct vz_intervals *of_pattern(const struct build *b,
                                             const struct vz_interval_rule *rule,
                                             const struct vz_field *field,
                                             const struct vz_analyzer *analyzer)
{
    static const enum vz_walk_kind kinds[] = {[RULE_PREFIX] = VZ_WALK_PREFIX,
                                              [RULE_WILDCARD] = VZ_WALK_WILDCARD,
                                              [RULE_REGEXP] = VZ_WALK_REGEXP,
                                              [RULE_FUZZY] = VZ_WALK_FUZZY,
                                              [RULE_RANGE] = VZ_WALK_RANGE};
    const struct vz_text_view *view = vz_snapshot_texts(b->eval->snap);
    struct vz_arena *arena = b->eval->arena;
    uint64_t looked_at = 0;
    struct vz_walk how = {.kind = kinds[rule->kind],
                          .text = rule->text,
                          .lower = rule->lower,
                          .upper = rule->upper,
                          .lower_inclusive = rule->lower_inclusive,
                          .upper_inclusive = rule->upper_inclusive,
                          .prefix_length = rule->prefix_length,
                          .transpositions = !rule->no_transpositions,
                          .looked_at = &looked_at,
                          .max_terms = VZ_MAX_CLAUSES,
                          .cancelled = vz_text_late,
                          .context = b->eval};
    struct vz_slice *const texts[] = {&how.text, &how.lower, &how.upper};
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++)
        if (texts[i]->ptr && rule->kind != RULE_REGEXP &&
            vz_normalize(analyzer, *texts[i], arena, texts[i], b->err) != VZ_OK)
            return NULL;
    if (rule->kind == RULE_REGEXP && rule->text.len > VZ_MAX_REGEX_BYTES) {
        vz_query_fail(
            b->err, VZ_BAD_QUERY,
            "The length of regex [%zu] used in the [regexp] query has exceeded the allowed "
            "maximum of [%d]",
            rule->text.len, VZ_MAX_REGEX_BYTES);
        return NULL;
    }
    how.distance = rule->kind == RULE_FUZZY ? vz_fuzzy_distance(rule->fuzziness, how.text) : 0;
    if (rule->kind == RULE_FUZZY && how.distance == 0)
        return one_term(b, field, how.text);
    struct vz_walk_term *found = NULL;
    size_t count = 0;
    bool truncated = false;
    if (view &&
        vz_text_walk(view, field->id, &how, arena, &found, &count, &truncated, b->err) != VZ_OK)
        return NULL;
    if (truncated) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "Automaton [%.*s] expanded to too many terms (limit %d)", VZ_ARG(how.text),
                      VZ_MAX_CLAUSES);
        return NULL;
    }
    if (vz_eval_spend(b->eval, looked_at, count, b->err) != VZ_OK)
        return NULL;
    struct vz_slice *terms = vz_arena_alloc(arena, (count + 1) * sizeof *terms);
    for (size_t i = 0; i < count; i++)
        terms[i] = found[i].term;
    return vz_intervals_terms(arena, field->id, terms, count);
}

/* What all rules of a query are made of is bounded together. */
static bool spend(const struct build *b, const struct vz_intervals *source)
{
    *b->size += source->size;
    return *b->size <= VZ_MAX_INTERVALS || too_many(b);
}

static const struct vz_intervals *
of_rule(const struct build *b, const struct vz_interval_rule *rule, const struct vz_field *field);

static const struct vz_intervals *
of_parts(const struct build *b, const struct vz_interval_rule *rule, const struct vz_field *field)
{
    const struct vz_intervals **parts =
        vz_arena_alloc(b->eval->arena, (rule->part_count + 1) * sizeof(void *));
    for (size_t i = 0; i < rule->part_count; i++) {
        parts[i] = of_rule(b, rule->parts[i], field);
        if (!parts[i])
            return NULL;
    }
    if (rule->kind == RULE_ANY)
        return any_of(b, parts, rule->part_count);
    const struct vz_intervals *all = vz_intervals_combine(b->eval->arena, parts, rule->part_count,
                                                          rule->max_gaps, rule->ordered);
    return all ? all : too_many(b);
}

/* NULL with an error. */
static const struct vz_intervals *
of_rule(const struct build *b, const struct vz_interval_rule *rule, const struct vz_field *field)
{
    const struct vz_intervals *out, *filter;
    if (rule->kind == RULE_ALL || rule->kind == RULE_ANY) {
        out = of_parts(b, rule, field);
    } else {
        const struct vz_field *own = rule->use_field.ptr ? field_of(b, rule->use_field) : field;
        if (!own)
            return NULL;
        const struct vz_analyzer *analyzer = own->search_analyzer;
        if (rule->analyzer.ptr &&
            vz_text_analyzer(b->eval, "intervals", rule->analyzer, &analyzer, b->err) != VZ_OK)
            return NULL;
        out = rule->kind == RULE_MATCH ? of_text(b, rule, own, analyzer)
                                       : of_pattern(b, rule, own, analyzer);
    }
    if (!out || !spend(b, out))
        return NULL;
    if (!rule->filter)
        return out;
    filter = of_rule(b, rule->filter, field);
    if (!filter)
        return NULL;
    out = vz_intervals_relate(b->eval->arena, rule->relation, out, filter);
    return out ? out : too_many(b);
}

enum vz_status vz_intervals_expand(struct vz_eval *eval, const struct vz_node *node,
                                   struct vz_node **out, struct vz_error *err)
{
    struct vz_error own = {0};
    uint64_t size = 0;
    const struct build b = {eval, err ? err : &own, &size};
    if (!vz_filter_field(eval, node->field)) /* as Elasticsearch: nothing */
        return VZ_OK;
    const struct vz_field *field = field_of(&b, node->field);
    const struct vz_intervals *source = field ? of_rule(&b, node->intervals, field) : NULL;
    if (!source)
        return b.err->status != VZ_OK ? b.err->status : VZ_BAD_QUERY;
    struct vz_text_query *query = vz_text_term(eval, field, (struct vz_slice){0});
    query->kind = VZ_TEXT_INTERVALS;
    query->constant = false;
    query->terms = NULL;
    query->term_count = 0;
    query->intervals = source;
    *out = vz_text_node(eval, query);
    return VZ_OK;
}
