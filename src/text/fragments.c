/* text/fragments.c - plain and fast highlighting: fragments of about a size.
 *
 * Source: the behaviour of Lucene's Highlighter with its span fragmenter (plain) and of its
 * FastVectorHighlighter (fast). A plain fragment begins at a token, with the white space before it;
 * fragments come best first. A fast one is centred on the marks that fit into its size, then moved
 * to the next boundary character, word or sentence.
 */
#include "text/passages_parts.h"

#include <stdlib.h>
#include <unicode/ubrk.h>

#define MARGIN 6 /* units of text that a fast fragment has before its first mark, at least */

struct fragment {
    size_t start, end;   /* plain: bytes of the marked up text; fast: units */
    size_t first, count; /* marks */
    float score;
    size_t number;
};

struct fragment_list {
    struct fragment *items;
    size_t count, capacity;
};

static struct fragment *list_add(struct fragment_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = VZ_MAX(list->capacity * 2, (size_t)16);
        list->items = vz_realloc(list->items, list->capacity * sizeof *list->items);
    }
    struct fragment *fragment = &list->items[list->count];
    *fragment = (struct fragment){.number = list->count++};
    return fragment;
}

static int by_score(const void *a, const void *b)
{
    const struct fragment *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* ---- plain ----------------------------------------------------------------------------------- */

struct plain {
    const struct vz_marked_text *text;
    const struct vz_mark *marks;
    const struct vz_passage_options *options;
    struct vz_buf out; /* the value, marked up */
    struct fragment_list list;
    /* the group of overlapping tokens */
    uint32_t group_start, group_end, match_start, match_end, last_end;
    bool grouped, matched;
    /* the fragmenter */
    uint64_t fragments;
    uint32_t wait_for;
    bool waiting;
    /* terms met in the current fragment */
    uint32_t *met, terms, round;
};

static void flush_group(struct plain *plain)
{
    bool html = plain->options->html;
    uint32_t start = plain->matched ? plain->match_start : plain->group_start;
    uint32_t end = plain->matched ? plain->match_end : plain->group_end;
    if (start > plain->last_end)
        vz_units_put(plain->text, plain->last_end, start, html, &plain->out);
    if (plain->matched)
        vz_buf_append_slice(&plain->out, plain->options->pre_tags[0]);
    vz_units_put(plain->text, VZ_MAX(start, plain->last_end), end, html, &plain->out);
    if (plain->matched)
        vz_buf_append_slice(&plain->out, plain->options->post_tags[0]);
    plain->last_end = VZ_MAX(plain->last_end, end);
    plain->grouped = plain->matched = false;
}

static bool begins_fragment(struct plain *plain, const struct vz_plain_token *token, uint32_t base,
                            uint32_t length)
{
    uint64_t size = plain->options->fragment_size;
    if (plain->options->max_fragments == 0)
        return false;
    if (!plain->options->simple) {
        if (plain->waiting && plain->wait_for <= token->position)
            plain->waiting = false;
        else if (plain->waiting)
            return false;
        if (token->wait_for) {
            plain->waiting = true;
            plain->wait_for = token->wait_for;
        }
    }
    uint32_t end = token->end - base;
    bool begins =
        end >= size * plain->fragments && (plain->options->simple || length - end >= size / 2);
    plain->fragments += begins;
    return begins;
}

static void add_token(struct plain *plain, const struct vz_plain_token *token)
{
    bool match = token->mark != UINT32_MAX;
    if (!plain->grouped) {
        plain->group_start = token->start;
        plain->group_end = token->end;
        plain->grouped = true;
    } else {
        plain->group_start = VZ_MIN(plain->group_start, token->start);
        plain->group_end = VZ_MAX(plain->group_end, token->end);
    }
    if (!match)
        return;
    const struct vz_mark *mark = &plain->marks[token->mark];
    plain->match_start = plain->matched ? VZ_MIN(plain->match_start, token->start) : token->start;
    plain->match_end = plain->matched ? VZ_MAX(plain->match_end, token->end) : token->end;
    plain->matched = true;
    if (plain->met[mark->term] != plain->round) {
        plain->met[mark->term] = plain->round;
        plain->list.items[plain->list.count - 1].score += mark->weight;
    }
}

static void open_fragment(struct plain *plain)
{
    struct fragment *fragment = list_add(&plain->list);
    fragment->start = plain->out.len;
    plain->round++;
}

/* One value: its best fragments appended to `all`, their texts in the arena. */
struct plain_result {
    struct vz_slice text;
    float score;
    size_t number;
};
struct plain_results {
    struct plain_result *items;
    size_t count, capacity;
};

static void keep_best(struct plain *plain, struct plain_results *all, struct vz_arena *arena)
{
    size_t most = plain->options->max_fragments ? plain->options->max_fragments : 1;
    for (size_t i = 0; i < plain->list.count; i++)
        plain->list.items[i].end =
            i + 1 < plain->list.count ? plain->list.items[i + 1].start : plain->out.len;
    qsort(plain->list.items, plain->list.count, sizeof *plain->list.items, by_score);
    for (size_t i = 0; i < plain->list.count && i < most; i++) {
        const struct fragment *fragment = &plain->list.items[i];
        if (!(fragment->score > 0))
            break;
        if (all->count == all->capacity) {
            all->capacity = VZ_MAX(all->capacity * 2, (size_t)16);
            all->items = vz_realloc(all->items, all->capacity * sizeof *all->items);
        }
        struct vz_slice text = {plain->out.data + fragment->start, fragment->end - fragment->start};
        all->items[all->count] = (struct plain_result){
            .text = vz_arena_copy(arena, text), .score = fragment->score, .number = all->count};
        all->count++;
    }
}

static int by_result_score(const void *a, const void *b)
{
    const struct plain_result *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void plain_value(struct plain *plain, size_t value, const struct vz_plain_token *tokens,
                        size_t count, struct plain_results *all, struct vz_arena *arena)
{
    uint32_t base = plain->text->starts[value], end = vz_marked_value_end(plain->text, value);
    vz_buf_clear(&plain->out);
    plain->list.count = 0;
    plain->last_end = base;
    plain->fragments = 1;
    plain->grouped = plain->matched = plain->waiting = false;
    open_fragment(plain);
    for (size_t i = 0; i < count; i++) {
        const struct vz_plain_token *token = &tokens[i];
        uint32_t group_end = plain->matched ? plain->match_end : plain->group_end;
        if (plain->grouped && token->start >= group_end) {
            flush_group(plain);
            if (begins_fragment(plain, token, base, end - base))
                open_fragment(plain);
        }
        add_token(plain, token);
    }
    if (plain->grouped)
        flush_group(plain);
    if (plain->last_end < end)
        vz_units_put(plain->text, plain->last_end, end, plain->options->html, &plain->out);
    keep_best(plain, all, arena);
}

enum vz_status vz_plain_fragments(const struct vz_marked_text *text,
                                  const struct vz_plain_token *tokens, size_t token_count,
                                  const struct vz_mark *marks,
                                  const struct vz_passage_options *options, struct vz_arena *arena,
                                  struct vz_slice **fragments, size_t *count)
{
    struct plain plain = {.text = text, .marks = marks, .options = options};
    struct plain_results all = {0};
    for (size_t i = 0; i < token_count; i++)
        if (tokens[i].mark != UINT32_MAX)
            plain.terms = VZ_MAX(plain.terms, marks[tokens[i].mark].term + 1);
    plain.met = vz_calloc((size_t)plain.terms + 1, sizeof *plain.met);
    size_t at = 0;
    for (size_t value = 0; value < text->count; value++) {
        size_t first = at;
        while (at < token_count && tokens[at].start < vz_marked_value_end(text, value))
            at++;
        plain_value(&plain, value, tokens + first, at - first, &all, arena);
    }
    if (options->score_ordered && all.count > 1)
        qsort(all.items, all.count, sizeof *all.items, by_result_score);
    *count = options->max_fragments ? VZ_MIN(all.count, (size_t)options->max_fragments) : all.count;
    *fragments = vz_arena_alloc(arena, (*count + 1) * sizeof **fragments);
    for (size_t i = 0; i < *count; i++)
        (*fragments)[i] = all.items[i].text;
    if (*count == 0 && options->no_match_size && text->count) {
        /* The tokens of the first value that fit. */
        uint32_t base = text->starts[0], end = base;
        for (size_t i = 0; i < token_count; i++) {
            if (tokens[i].start >= vz_marked_value_end(text, 0) ||
                tokens[i].end - base > options->no_match_size)
                break;
            end = VZ_MAX(end, tokens[i].end);
        }
        vz_buf_clear(&plain.out);
        vz_units_put(text, base, end, false, &plain.out);
        if (plain.out.len)
            (*fragments)[(*count)++] = vz_arena_copy(arena, vz_buf_slice(&plain.out));
    }
    vz_buf_deinit(&plain.out);
    free(plain.list.items);
    free(plain.met);
    free(all.items);
    return VZ_OK;
}

/* ---- fast ------------------------------------------------------------------------------------ */

/* Marks that do not overlap an earlier one, as clusters that fit into a fragment. */
static void cluster(const struct vz_mark *marks, size_t count, uint32_t size,
                    struct fragment_list *list)
{
    uint64_t from = 0;
    for (size_t i = 0; i < count;) {
        if (marks[i].start < from) {
            i++;
            continue;
        }
        size_t first = i, last = i;
        uint64_t begin = marks[i].start, end = marks[i].end;
        uint64_t span_start = begin > from + MARGIN ? begin - MARGIN : from;
        uint64_t span_end = VZ_MAX(end, span_start + size);
        bool accepted = end - begin <= size;
        float score = accepted ? marks[i].weight : 0;
        for (i++; i < count && marks[i].end <= span_end; i++) {
            if (marks[i].start < end) /* overlaps */
                continue;
            if (marks[i].end - begin > size)
                continue;
            end = marks[i].end;
            last = i;
            score += marks[i].weight;
        }
        if (!accepted && last == first)
            continue;
        uint64_t length = end - begin, margin = size > length ? (size - length) / 2 : 0;
        uint64_t start = begin > margin ? begin - margin : 0;
        start = VZ_MAX(start, from);
        struct fragment *fragment = list_add(list);
        fragment->start = start;
        fragment->end = start + VZ_MAX(length, (uint64_t)size);
        fragment->first = first;
        fragment->count = last + 1 - first;
        fragment->score = score;
        from = fragment->end;
    }
}

static bool is_boundary(const struct vz_passage_options *options, uint16_t unit)
{
    return unit < 0x80 && unit != 0 && options->boundary_chars.len &&
           memchr(options->boundary_chars.ptr, unit, options->boundary_chars.len);
}

static uint32_t scan_start(const struct vz_marked_text *text,
                           const struct vz_passage_options *options, uint32_t base, uint32_t start)
{
    uint32_t at = start;
    if (start <= base)
        return base;
    for (uint32_t left = options->boundary_max_scan; at > base && left; left--, at--)
        if (is_boundary(options, text->units[at - 1]))
            return at;
    return at == base ? base : start;
}

static uint32_t scan_end(const struct vz_marked_text *text,
                         const struct vz_passage_options *options, uint32_t limit, uint32_t end)
{
    uint32_t at = end;
    if (end >= limit)
        return limit;
    for (uint32_t left = options->boundary_max_scan; at < limit && left; left--, at++)
        if (is_boundary(options, text->units[at]))
            return at;
    return end;
}

/* Moves a fragment's edges within a value to boundaries. */
static enum vz_status move_edges(const struct vz_marked_text *text,
                                 const struct vz_passage_options *options, UBreakIterator *breaks,
                                 size_t value, uint32_t *start, uint32_t *end)
{
    uint32_t base = text->starts[value], limit = vz_marked_value_end(text, value);
    *start = VZ_MAX(*start, base);
    *end = VZ_MIN(*end, limit);
    if (!breaks) {
        *start = scan_start(text, options, base, *start);
        *end = scan_end(text, options, limit, *end);
        return VZ_OK;
    }
    UErrorCode code = U_ZERO_ERROR;
    ubrk_setText(breaks, text->units + base, (int32_t)(limit - base), &code);
    if (U_FAILURE(code))
        return VZ_INTERNAL;
    int32_t from = *start > base ? ubrk_preceding(breaks, (int32_t)(*start - base)) : 0;
    int32_t to = *end < limit ? ubrk_following(breaks, (int32_t)(*end - base)) : UBRK_DONE;
    *start = base + (uint32_t)(from == UBRK_DONE ? 0 : from);
    *end = to == UBRK_DONE ? limit : base + (uint32_t)to;
    return VZ_OK;
}

static struct vz_slice format_fast(const struct vz_marked_text *text, uint32_t start, uint32_t end,
                                   const struct vz_mark *marks, size_t count,
                                   const struct vz_passage_options *options, struct vz_arena *arena)
{
    struct vz_buf out = {0};
    uint32_t at = start;
    for (size_t i = 0; i < count; i++) {
        if (marks[i].start < at || marks[i].end > end)
            continue;
        vz_units_put(text, at, marks[i].start, options->html, &out);
        vz_buf_append_slice(&out, options->pre_tags[marks[i].term % options->pre_tag_count]);
        vz_units_put(text, marks[i].start, marks[i].end, options->html, &out);
        vz_buf_append_slice(&out, options->post_tags[marks[i].term % options->post_tag_count]);
        at = marks[i].end;
    }
    vz_units_put(text, at, VZ_MAX(at, end), options->html, &out);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return copy;
}

/* The parts of a fragment, one a value with marks in it. */
static enum vz_status put_fragment(const struct vz_marked_text *text,
                                   const struct fragment *fragment, const struct vz_mark *marks,
                                   const struct vz_passage_options *options, UBreakIterator *breaks,
                                   struct vz_arena *arena, size_t most, struct vz_slice *out,
                                   size_t *count)
{
    enum vz_status status = VZ_OK;
    size_t i = fragment->first, end_mark = fragment->first + fragment->count;
    while (status == VZ_OK && i < end_mark && *count < most) {
        size_t value = vz_marked_value(text, marks[i].start), first = i;
        while (i < end_mark && vz_marked_value(text, marks[i].start) == value)
            i++;
        uint32_t start = (uint32_t)VZ_MIN(fragment->start, (size_t)text->length);
        uint32_t end = (uint32_t)VZ_MIN(fragment->end, (size_t)text->length);
        status = move_edges(text, options, breaks, value, &start, &end);
        out[(*count)++] = format_fast(text, start, end, marks + first, i - first, options, arena);
    }
    return status;
}

enum vz_status vz_fast_fragments(const struct vz_marked_text *text, const struct vz_mark *marks,
                                 size_t mark_count, const struct vz_passage_options *options,
                                 struct vz_arena *arena, struct vz_slice **fragments, size_t *count,
                                 struct vz_error *err)
{
    struct fragment_list list = {0};
    UBreakIterator *breaks = NULL;
    UErrorCode code = U_ZERO_ERROR;
    bool whole = options->max_fragments == 0;
    *count = 0;
    if (!whole && options->fragment_size < 3 * MARGIN)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "fragCharSize(%u) is too small. It must be %d or higher.",
                       options->fragment_size, 3 * MARGIN);
    if (options->boundary == VZ_BOUNDARY_SENTENCE || options->boundary == VZ_BOUNDARY_WORD)
        breaks = ubrk_open(options->boundary == VZ_BOUNDARY_WORD ? UBRK_WORD : UBRK_SENTENCE,
                           options->locale, NULL, 0, &code);
    if (U_FAILURE(code))
        return vz_fail(err, VZ_INTERNAL, "no boundaries for locale [%s]: %s", options->locale,
                       u_errorName(code));
    if (whole && mark_count) {
        struct fragment *fragment = list_add(&list);
        fragment->end = text->length;
        fragment->count = mark_count;
    } else {
        cluster(marks, mark_count, options->fragment_size, &list);
    }
    if (options->score_ordered && list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, by_score);
    size_t most = whole ? text->count : options->max_fragments;
    *fragments = vz_arena_alloc(arena, (VZ_MIN(most, mark_count) + 2) * sizeof **fragments);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < list.count && *count < most; i++)
        status = put_fragment(text, &list.items[i], marks, options, breaks, arena, most, *fragments,
                              count);
    if (status == VZ_OK && *count == 0 && options->no_match_size && text->length) {
        uint32_t start = 0, end = VZ_MIN(options->no_match_size, text->length);
        status = move_edges(text, options, breaks, 0, &start, &end);
        (*fragments)[(*count)++] = format_fast(text, start, end, NULL, 0, options, arena);
    }
    if (breaks)
        ubrk_close(breaks);
    free(list.items);
    return status == VZ_OK ? VZ_OK : vz_fail(err, status, "no boundaries");
}
