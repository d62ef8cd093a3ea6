/* What a match, a phrase, a prefix of one is in terms of a field's postings: a text is analysed by
 * the field's search analyzer, tokens of one position are alternatives scored as one term,
 * positions are clauses; where a graph forks (synonyms of several words), each way is a phrase.
 */
#include "query/text_build.h"

#define MAX_PATHS 1024

/* ---- match ----------------------------------------------------------------------------------- */

static enum vz_status analyzer_for(const struct vz_build *b, const struct vz_analyzer **out)
{
    bool quoted = b->match->type == VZ_MATCH_PHRASE || b->match->type == VZ_MATCH_PHRASE_PREFIX;
    *out = quoted ? b->field->search_quote_analyzer : b->field->search_analyzer;
    if (b->match->analyzer.len == 0)
        return VZ_OK;
    return vz_text_analyzer(b->eval, b->match->query, b->match->analyzer, out, b->err);
}

enum vz_status vz_text_analyzer(struct vz_eval *eval, const char *query, struct vz_slice name,
                                const struct vz_analyzer **out, struct vz_error *err)
{
    *out = vz_analysis_analyzer(vz_mapping_analysis(eval->mapping), name);
    if (*out)
        return VZ_OK;
    return vz_query_fail(err, VZ_BAD_QUERY, "[%s] analyzer [%.*s] not found", query, VZ_ARG(name));
}

/* One place of a boolean match: a term and its alternatives. `last`: bool_prefix's. */
static enum vz_status build_place_of(const struct vz_build *b, const struct vz_slice *terms,
                                     size_t count, bool last, struct vz_text_query **out)
{
    if (last && b->match->type == VZ_MATCH_BOOL_PREFIX && count == 1) {
        struct vz_walk how = {.kind = VZ_WALK_PREFIX, .text = terms[0]};
        enum vz_status status = vz_build_beginning(b, terms[0], false, out);
        return status != VZ_OK || *out ? status : vz_build_constant(b, &how, out);
    }
    if (b->match->fuzziness.len && count == 1 && !b->spread)
        return vz_build_fuzzy(b, terms[0], out);
    *out = vz_build_place(b, terms, count);
    return VZ_OK;
}

/* Tokens as edges between positions. */
struct path {
    const struct vz_token *edges[64];
    size_t length;
};
struct fork {
    const struct vz_build *b;
    const struct vz_tokens *tokens;
    uint32_t end;
    bool phrase;
    struct path path;
    struct vz_text_query **ways;
    size_t count;
};

/* A phrase of one field, or of each. */
static struct vz_text_query *phrase_way(const struct vz_build *b, const struct vz_slice *terms,
                                        size_t count)
{
    const struct vz_spread *spread = b->spread;
    size_t fields = spread ? spread->count : 1;
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (fields + 1) * sizeof(struct vz_text_query *));
    for (size_t f = 0; f < fields; f++) {
        struct vz_build one = *b;
        one.field = spread ? spread->fields[f] : b->field;
        parts[f] = vz_build_terms(&one, terms, count);
        parts[f]->kind = VZ_TEXT_PHRASE;
        parts[f]->slop = b->match->type == VZ_MATCH_PHRASE ? b->match->slop : 0;
        parts[f]->boost = spread ? spread->boosts[f] : 1;
    }
    if (!spread)
        return parts[0];
    struct vz_text_query *all =
        vz_build_parts(b, spread->combined ? VZ_TEXT_ANY : VZ_TEXT_BEST, parts, fields);
    if (fields > 1)
        all->tie = spread->tie;
    return all;
}

static void add_way(struct fork *fork)
{
    const struct vz_build *b = fork->b;
    struct vz_slice *terms =
        vz_arena_alloc(b->eval->arena, (fork->path.length + 1) * sizeof *terms);
    for (size_t i = 0; i < fork->path.length; i++)
        terms[i] = fork->path.edges[i]->text;
    struct vz_text_query *way = vz_build_place(b, terms, 1);
    if (fork->path.length > 1 && fork->phrase) {
        way = phrase_way(b, terms, fork->path.length);
    } else if (fork->path.length > 1) {
        struct vz_text_query **parts = vz_arena_alloc(
            b->eval->arena, (fork->path.length + 1) * sizeof(struct vz_text_query *));
        for (size_t i = 0; i < fork->path.length; i++)
            parts[i] = vz_build_place(b, &terms[i], 1);
        way = vz_build_parts(b, VZ_TEXT_EVERY, parts, fork->path.length);
    }
    fork->ways[fork->count++] = way;
}

static bool walk_paths(struct fork *fork, uint32_t from)
{
    if (from >= fork->end) {
        add_way(fork);
        return fork->count < MAX_PATHS;
    }
    if (fork->path.length == VZ_COUNT_OF(fork->path.edges))
        return false;
    bool any = false, more = true;
    for (size_t i = 0; more && i < fork->tokens->count; i++) {
        const struct vz_token *token = &fork->tokens->items[i];
        if (token->position != from)
            continue;
        any = true;
        fork->path.edges[fork->path.length++] = token;
        more = walk_paths(fork, from + VZ_MAX(token->position_length, 1u));
        fork->path.length--;
    }
    return any ? more : walk_paths(fork, from + 1); /* a removed word */
}

/* All ways from `from` to `to` through the graph. */
static enum vz_status build_fork(const struct vz_build *b, const struct vz_tokens *tokens,
                                 uint32_t from, uint32_t to, bool phrase,
                                 struct vz_text_query **out)
{
    struct fork fork = {.b = b, .tokens = tokens, .end = to, .phrase = phrase};
    fork.ways = vz_arena_alloc(b->eval->arena, (MAX_PATHS + 1) * sizeof(struct vz_text_query *));
    if (!walk_paths(&fork, from))
        return vz_fail(b->err, VZ_LIMIT, "the synonyms of a query on field [%.*s] are too many",
                       VZ_ARG(b->field->path));
    *out = vz_build_parts(b, VZ_TEXT_ANY, fork.ways, fork.count);
    return VZ_OK;
}

/* Where the paths that start at tokens[at] meet again. */
static uint32_t meeting_point(const struct vz_tokens *tokens, size_t at, size_t *next)
{
    uint32_t end = tokens->items[at].position + 1;
    while (at < tokens->count && tokens->items[at].position < end) {
        end = VZ_MAX(end, tokens->items[at].position + tokens->items[at].position_length);
        at++;
    }
    *next = at;
    return end;
}

static enum vz_status build_boolean(const struct vz_build *b, const struct vz_tokens *tokens,
                                    struct vz_text_query **out)
{
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (tokens->count + 1) * sizeof *terms);
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (tokens->count + 1) * sizeof(struct vz_text_query *));
    size_t count = 0, next;
    enum vz_status status = VZ_OK;
    for (size_t at = 0; status == VZ_OK && at < tokens->count; at = next) {
        uint32_t from = tokens->items[at].position, end = meeting_point(tokens, at, &next);
        bool plain = true; /* every edge goes straight there */
        for (size_t i = at; i < next; i++) {
            terms[i - at] = tokens->items[i].text;
            plain = plain && tokens->items[i].position == from &&
                    from + tokens->items[i].position_length == end;
        }
        if (plain)
            status = build_place_of(b, terms, next - at, next == tokens->count, &parts[count]);
        else
            status = build_fork(b, tokens, from, end, !b->match->no_synonym_phrases, &parts[count]);
        count++;
    }
    if (status != VZ_OK)
        return status;
    *out = vz_build_parts(b, b->match->every ? VZ_TEXT_EVERY : VZ_TEXT_ANY, parts, count);
    if (b->listed)
        *b->listed = count > 1;
    if (count > 1 && !b->match->every && b->match->minimum.len) {
        size_t minimum;
        status = vz_minimum_should_match(b->match->minimum, count, &minimum, b->err);
        (*out)->minimum = status == VZ_OK ? minimum : 0;
    }
    return status;
}

/* The last place of a phrase_prefix stands for the terms that begin so. */
static enum vz_status expand_last(const struct vz_build *b, struct vz_slice **terms,
                                  uint32_t **positions, size_t *count, size_t last)
{
    size_t places = last;
    uint32_t position = (*positions)[last];
    struct vz_arena *arena = b->eval->arena;
    struct vz_slice *more = vz_arena_alloc(arena, (last + 1) * sizeof *more);
    memcpy(more, *terms, last * sizeof *more);
    for (size_t i = last; i < *count && places - last < b->match->max_expansions; i++) {
        struct vz_walk how = {.kind = VZ_WALK_PREFIX,
                              .text = (*terms)[i],
                              .max_terms = b->match->max_expansions - (places - last)};
        struct vz_walk_term *found;
        size_t found_count, before = places;
        enum vz_status status = vz_build_walk(b, &how, &found, &found_count);
        if (status != VZ_OK)
            return status;
        /* As long as what was found: max_expansions is as large as a client likes. */
        struct vz_slice *longer = vz_arena_alloc(arena, (places + found_count + 1) * sizeof *more);
        memcpy(longer, more, places * sizeof *more);
        more = longer;
        for (size_t f = 0; f < found_count; f++) {
            bool known = false; /* by an earlier walk: one finds no term twice */
            for (size_t k = last; k < before && !known; k++)
                known = vz_slice_eq(more[k], found[f].term);
            if (!known)
                more[places++] = found[f].term;
        }
    }
    uint32_t *where = vz_arena_alloc(arena, (places + 1) * sizeof *where);
    memcpy(where, *positions, last * sizeof *where);
    for (size_t k = last; k < places; k++)
        where[k] = position;
    *terms = more;
    *positions = where;
    *count = places;
    return VZ_OK;
}

static enum vz_status build_phrase(const struct vz_build *b, const struct vz_tokens *tokens,
                                   struct vz_text_query **out)
{
    size_t count = tokens->count, last = 0, places = 0;
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *terms);
    uint32_t *positions = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *positions);
    bool prefix = b->match->type == VZ_MATCH_PHRASE_PREFIX;
    for (size_t i = 0; i < count; i++) {
        terms[i] = tokens->items[i].text;
        positions[i] = tokens->items[i].position - tokens->items[0].position;
        if (i == 0 || positions[i] != positions[i - 1]) {
            last = i;
            places++;
        }
        if (tokens->items[i].position_length > 1 && !prefix)
            return build_fork(b, tokens, tokens->items[0].position, tokens->end_position, true,
                              out);
    }
    if (prefix && last == 0 && b->field->shingles && !b->spread) {
        bool all = true;
        for (size_t i = 0; i < count; i++)
            all = all && vz_build_units(terms[i]) <= VZ_LONGEST_BEGINNING;
        struct vz_build one = *b;
        one.field = vz_mapping_field(b->eval->mapping, b->field->prefix_field);
        if (all) {
            *out = vz_build_terms(&one, terms, count);
            return VZ_OK;
        }
    }
    if (prefix) {
        enum vz_status status = expand_last(b, &terms, &positions, &count, last);
        if (status != VZ_OK)
            return status;
        if (count == last) { /* no term begins so */
            *out = vz_build_query(b, VZ_TEXT_NONE);
            (*out)->source = VZ_SLICE(""); /* something was asked for */
            return VZ_OK;
        }
    }
    if (places == 1 && prefix) {
        struct vz_text_query **parts =
            vz_arena_alloc(b->eval->arena, (count + 1) * sizeof(struct vz_text_query *));
        for (size_t i = 0; i < count; i++)
            parts[i] = vz_build_terms(b, &terms[i], 1);
        *out = vz_build_parts(b, VZ_TEXT_ANY, parts, count);
        return VZ_OK;
    }
    *out = vz_build_terms(b, terms, count);
    if (places > 1) {
        (*out)->kind = VZ_TEXT_PHRASE;
        (*out)->positions = positions;
        (*out)->slop = b->match->slop;
    }
    return VZ_OK;
}

/* The tokens outlive the analysis: queries point to their texts. */
static void keep_tokens(struct vz_tokens *tokens, struct vz_arena *arena)
{
    for (size_t i = 0; i < tokens->count; i++)
        tokens->items[i].text = vz_arena_copy(arena, tokens->items[i].text);
}

enum vz_status vz_build_match(const struct vz_build *b, struct vz_slice text, bool *everything,
                              struct vz_text_query **out)
{
    struct vz_tokens tokens = {0};
    const struct vz_analyzer *analyzer;
    enum vz_status status = analyzer_for(b, &analyzer);
    if (status == VZ_OK)
        status = vz_analyze_query(analyzer, text, &tokens, b->err);
    if (status == VZ_OK && tokens.count > VZ_MAX_CLAUSES)
        status = vz_fail(b->err, VZ_BAD_QUERY,
                         "Query contains too many nested clauses; maxClauseCount is set to %d",
                         VZ_MAX_CLAUSES);
    if (status == VZ_OK) {
        bool phrase = b->match->type == VZ_MATCH_PHRASE || b->match->type == VZ_MATCH_PHRASE_PREFIX;
        struct vz_build shingled = *b;
        if (phrase && tokens.count)
            status = vz_build_shingles(b, &tokens, &shingled);
        if (shingled.field != b->field)
            b = &shingled; /* lives as long as this block uses it */
        keep_tokens(&tokens, b->eval->arena);
        *everything = tokens.count == 0 && b->match->zero_terms_all;
        if (tokens.count == 0)
            *out = vz_build_query(b, VZ_TEXT_NONE);
        else if (status == VZ_OK)
            status = phrase ? build_phrase(b, &tokens, out) : build_boolean(b, &tokens, out);
    }
    vz_tokens_deinit(&tokens);
    return status;
}

enum vz_status vz_text_build_match(struct vz_eval *eval, const struct vz_field *field,
                                   const struct vz_match *match, const struct vz_spread *spread,
                                   struct vz_slice text, struct vz_text_built *out,
                                   struct vz_error *err)
{
    *out = (struct vz_text_built){0};
    struct vz_build b = {eval,        vz_snapshot_texts(eval->snap), field, match, err, spread,
                         &out->listed};
    bool everything;
    if (!field->indexed)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Cannot search on field [%.*s] since it is not indexed.",
                             VZ_ARG(field->path));
    enum vz_status status = vz_build_match(&b, text, &everything, &out->query);
    if (status != VZ_OK || (out->query->kind == VZ_TEXT_NONE && !out->query->source.ptr))
        out->query = NULL;
    return status;
}

struct vz_text_query *vz_text_term(struct vz_eval *eval, const struct vz_field *field,
                                   struct vz_slice term)
{
    struct vz_build b = {.eval = eval, .field = field};
    return vz_build_terms(&b, &term, 1);
}

struct vz_node *vz_text_node(struct vz_eval *eval, struct vz_text_query *query)
{
    struct vz_node *node = vz_made_node(eval, VZ_NODE_TEXT);
    node->boost = query->boost;
    query->boost = 1;
    node->text_query = query;
    return node;
}
