/* text/passages.c - unified highlighting: passages around marks, scored, the best kept.
 *
 * Source: the behaviour of Lucene's UnifiedHighlighter (FieldHighlighter, PassageScorer) and of
 * Elasticsearch's BoundedBreakIteratorScanner, which this follows step by step because what is cut
 * where depends on the order of the steps:
 *
 *  1. A mark that starts at or behind the current passage's end begins a new passage. Boundaries
 *     are looked for from the middle of the mark.
 *  2. A sentence longer than the fragment size is cut again at words; sentences that are shorter
 *     are joined while they fit.
 *  3. A passage scores norm(start) * sum over its terms of weight * tf, as a document of a small
 *     collection would; of equal scores the earlier one is given up first.
 *
 * Boundaries are ICU's. Java's own rules differ from ICU's in rare places (a sentence that goes on
 * in lower case behind a full stop, for one).
 */
#include "text/passages_parts.h"

#include <math.h>
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#define MAX_UNITS ((size_t)1 << 30)
#define NO_OFFSET UINT32_MAX

/* ---- the text -------------------------------------------------------------------------------- */

static uint16_t *put_utf16(struct vz_slice value, uint16_t *out)
{
    for (size_t i = 0; i < value.len;) {
        UChar32 c;
        size_t n = 0;
        int64_t at = (int64_t)i;
        U8_NEXT_OR_FFFD((const uint8_t *)value.ptr, at, (int64_t)value.len, c);
        i = (size_t)at;
        U16_APPEND_UNSAFE(out, n, c);
        out += n;
    }
    return out;
}

enum vz_status vz_marked_text_init(struct vz_marked_text *text, const struct vz_slice *values,
                                   size_t count, struct vz_arena *arena, struct vz_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].len + 1;
    *text = (struct vz_marked_text){.count = count};
    if (bytes > MAX_UNITS)
        return vz_fail(err, VZ_LIMIT, "a field of [%zu] bytes is too large to be highlighted",
                       bytes);
    text->units = vz_arena_alloc(arena, (bytes + 1) * sizeof *text->units);
    text->starts = vz_arena_alloc(arena, (count + 1) * sizeof *text->starts);
    uint16_t *out = text->units;
    for (size_t i = 0; i < count; i++) {
        if (i)
            *out++ = 0;
        text->starts[i] = (uint32_t)(out - text->units);
        out = put_utf16(values[i], out);
    }
    text->length = (uint32_t)(out - text->units);
    return VZ_OK;
}

size_t vz_marked_value(const struct vz_marked_text *text, uint32_t unit)
{
    size_t low = 0, high = text->count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (text->starts[middle] <= unit)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static const char *html_of(UChar32 c)
{
    switch (c) {
    case '"':
        return "&quot;";
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\'':
        return "&#x27;";
    case '/':
        return "&#x2F;";
    default:
        return NULL;
    }
}

void vz_units_put(const struct vz_marked_text *text, uint32_t start, uint32_t end, bool html,
                  struct vz_buf *out)
{
    const uint16_t *units = text->units;
    for (uint32_t at = start; at < end;) {
        UChar32 c;
        char bytes[4];
        int32_t len = 0;
        U16_NEXT(units, at, end, c);
        const char *entity = html ? html_of(c) : NULL;
        if (c == 0)
            continue;
        if (entity) {
            vz_buf_append_str(out, entity);
            continue;
        }
        if (U_IS_SURROGATE(c))
            c = 0xFFFD;
        U8_APPEND_UNSAFE((uint8_t *)bytes, len, c);
        vz_buf_append(out, bytes, (size_t)len);
    }
}

struct vz_slice vz_java_trim(struct vz_slice text)
{
    while (text.len && (unsigned char)text.ptr[0] <= ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

/* ---- boundaries ------------------------------------------------------------------------------ */

/* Breaks of one value at a time. Offsets are the value's own. */
struct scanner {
    const struct vz_marked_text *text;
    const struct vz_passage_options *options;
    UBreakIterator *main, *inner; /* inner: words, to cut what is too long; or NULL */
    size_t value;
    bool entered;
    uint32_t base;
    int32_t length, bound;
    int32_t window_start, window_end, inner_start, inner_end;
};

static enum vz_status scanner_init(struct scanner *scanner, const struct vz_marked_text *text,
                                   const struct vz_passage_options *options, struct vz_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    *scanner = (struct scanner){.text = text, .options = options};
    if (options->by_value)
        return VZ_OK;
    bool words = options->boundary == VZ_BOUNDARY_WORD;
    scanner->main = ubrk_open(words ? UBRK_WORD : UBRK_SENTENCE, options->locale, NULL, 0, &code);
    if (!words && options->fragment_size) {
        scanner->inner = ubrk_open(UBRK_WORD, options->locale, NULL, 0, &code);
        scanner->bound = (int32_t)VZ_MIN(options->fragment_size, (uint32_t)INT32_MAX / 4);
    }
    if (U_FAILURE(code))
        return vz_fail(err, VZ_INTERNAL, "no boundaries for locale [%s]: %s", options->locale,
                       u_errorName(code));
    return VZ_OK;
}

static void scanner_deinit(struct scanner *scanner)
{
    if (scanner->main)
        ubrk_close(scanner->main);
    if (scanner->inner)
        ubrk_close(scanner->inner);
}

static enum vz_status scanner_enter(struct scanner *scanner, uint32_t unit, struct vz_error *err)
{
    size_t value = vz_marked_value(scanner->text, unit);
    UErrorCode code = U_ZERO_ERROR;
    if (scanner->entered && value == scanner->value)
        return VZ_OK;
    scanner->entered = true;
    scanner->value = value;
    scanner->base = scanner->text->starts[value];
    scanner->length = (int32_t)(vz_marked_value_end(scanner->text, value) - scanner->base);
    scanner->window_start = scanner->window_end = scanner->inner_start = -1;
    scanner->inner_end = 0;
    const UChar *units = scanner->text->units + scanner->base;
    if (scanner->main)
        ubrk_setText(scanner->main, units, scanner->length, &code);
    if (scanner->inner)
        ubrk_setText(scanner->inner, units, scanner->length, &code);
    return U_FAILURE(code) ? vz_fail(err, VZ_INTERNAL, "no boundaries: %s", u_errorName(code))
                           : VZ_OK;
}

static int32_t preceding(UBreakIterator *breaks, int32_t offset)
{
    int32_t at = ubrk_preceding(breaks, offset);
    return at == UBRK_DONE ? 0 : at;
}

static int32_t following(const struct scanner *scanner, UBreakIterator *breaks, int32_t offset)
{
    int32_t at = offset >= scanner->length ? UBRK_DONE : ubrk_following(breaks, offset);
    return at == UBRK_DONE ? scanner->length : at;
}

/* Sets the window around `offset` that ends at the last boundary within the bound. */
static void set_window(struct scanner *scanner, int32_t offset)
{
    int32_t start = preceding(scanner->main, offset);
    int32_t target = offset + VZ_MAX(0, scanner->bound - (offset - start));
    int32_t end =
        target + 1 > scanner->length ? scanner->length : preceding(scanner->main, target + 1);
    if (start >= end) /* none within the bound: the first one behind it */
        end =
            target >= scanner->length ? scanner->length : following(scanner, scanner->main, target);
    scanner->inner_start = scanner->window_start = start;
    scanner->inner_end = scanner->window_end = end;
}

/* Where a passage around `offset` starts; inner_end is where it ends. Offsets only go up. */
static int32_t bounded_start(struct scanner *scanner, int32_t offset)
{
    if (offset > scanner->window_start && offset < scanner->window_end) {
        scanner->inner_start = scanner->inner_end;
        scanner->inner_end = scanner->window_end;
    } else {
        set_window(scanner, offset);
    }
    if (scanner->inner_end - scanner->inner_start > scanner->bound) {
        if (offset - scanner->bound > scanner->inner_start)
            scanner->inner_start =
                VZ_MAX(scanner->inner_start, preceding(scanner->inner, offset - scanner->bound));
        int32_t remaining = VZ_MAX(0, scanner->bound - (offset - scanner->inner_start));
        if (offset + remaining < scanner->window_end)
            scanner->inner_end =
                VZ_MIN(scanner->window_end, following(scanner, scanner->inner, offset + remaining));
    }
    return scanner->inner_start;
}

/* The passage that holds a mark whose middle is at `center` and last unit at `last`. */
static void passage_bounds(struct scanner *scanner, uint32_t start, uint32_t center, uint32_t last,
                           uint32_t *from, uint32_t *to)
{
    uint32_t base = scanner->base;
    if (scanner->options->by_value) {
        *from = base;
        *to = base + (uint32_t)scanner->length;
        return;
    }
    int32_t offset = (int32_t)(VZ_MAX(start + 1, center) - base);
    if (scanner->inner) {
        *from = base + (uint32_t)bounded_start(scanner, offset);
        *to = base + (uint32_t)scanner->inner_end;
        return;
    }
    *from = base + (uint32_t)preceding(scanner->main, offset);
    *to =
        base + (uint32_t)following(scanner, scanner->main, (int32_t)(VZ_MIN(last, center) - base));
}

/* ---- passages -------------------------------------------------------------------------------- */

struct passage {
    uint32_t start, end;
    size_t first, count; /* marks */
    float score;
};

/* The least one on top. */
struct heap {
    struct passage *items;
    size_t count, capacity;
};

static bool worse(const struct passage *a, const struct passage *b)
{
    if (a->score != b->score)
        return a->score < b->score;
    return a->start < b->start;
}

static void heap_swap(struct heap *heap, size_t a, size_t b)
{
    struct passage kept = heap->items[a];
    heap->items[a] = heap->items[b];
    heap->items[b] = kept;
}

static void heap_push(struct heap *heap, const struct passage *passage)
{
    if (heap->count == heap->capacity) {
        heap->capacity = VZ_MAX(heap->capacity * 2, (size_t)16);
        heap->items = vz_realloc(heap->items, heap->capacity * sizeof *heap->items);
    }
    size_t at = heap->count++;
    heap->items[at] = *passage;
    for (; at && worse(&heap->items[at], &heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        heap_swap(heap, at, (at - 1) / 2);
}

static void heap_pop(struct heap *heap)
{
    heap->items[0] = heap->items[--heap->count];
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < heap->count; child++)
            if (worse(&heap->items[child], &heap->items[least]))
                least = child;
        if (least == at)
            return;
        heap_swap(heap, at, least);
        at = least;
    }
}

#define PIVOT 87.0f
#define K1 1.2f
#define B 0.75f

/* counts[]: of each term within the passage; zero again at the end. */
static float score_passage(const struct passage *passage, const struct vz_mark *marks,
                           uint32_t length, uint32_t *counts)
{
    double score = 0;
    float size = (float)(passage->end - passage->start);
    float norm = K1 * ((1 - B) + B * (size / PIVOT)), documents = 1 + (float)length / PIVOT;
    for (size_t i = 0; i < passage->count; i++)
        counts[marks[passage->first + i].term]++;
    for (size_t i = 0; i < passage->count; i++) {
        const struct vz_mark *mark = &marks[passage->first + i];
        float freq = (float)counts[mark->term];
        if (freq == 0)
            continue;
        counts[mark->term] = 0;
        float weight = (K1 + 1) * (float)log(1 + ((double)documents + 0.5) / (mark->freq + 0.5));
        score += (double)(freq / (freq + norm) * weight);
    }
    return (float)(score * (double)(1 + 1 / (float)log((double)(PIVOT + (float)passage->start))));
}

static void offer(struct heap *heap, struct passage *passage, const struct vz_mark *marks,
                  uint32_t length, uint32_t most, uint32_t *counts)
{
    if (passage->start == NO_OFFSET)
        return;
    passage->score = score_passage(passage, marks, length, counts);
    if (heap->count == most && passage->score < heap->items[0].score)
        return;
    heap_push(heap, passage);
    if (heap->count > most)
        heap_pop(heap);
}

static enum vz_status find_passages(const struct vz_marked_text *text, const struct vz_mark *marks,
                                    size_t mark_count, const struct vz_passage_options *options,
                                    struct heap *heap, struct vz_error *err)
{
    uint32_t most = options->max_fragments ? options->max_fragments : UINT32_MAX, last_end = 0;
    uint32_t terms = 0;
    struct passage passage = {.start = NO_OFFSET};
    struct scanner scanner;
    for (size_t i = 0; i < mark_count; i++)
        terms = VZ_MAX(terms, marks[i].term + 1);
    uint32_t *counts = vz_calloc((size_t)terms + 1, sizeof *counts);
    enum vz_status status = scanner_init(&scanner, text, options, err);
    for (size_t i = 0; status == VZ_OK && i < mark_count; i++) {
        uint32_t start = marks[i].start, end = VZ_MIN(marks[i].end, text->length);
        if (start >= end)
            continue;
        if (passage.start == NO_OFFSET || start >= passage.end) {
            uint32_t center = start + (end - start) / 2, from = 0, to = 0;
            offer(heap, &passage, marks, text->length, most, counts);
            status = scanner_enter(&scanner, start, err);
            if (status == VZ_OK)
                passage_bounds(&scanner, start, center, end - 1, &from, &to);
            passage = (struct passage){
                .start = VZ_MIN(start, VZ_MAX(from, last_end)), .end = VZ_MAX(end, to), .first = i};
            last_end = passage.end;
        }
        passage.count = i + 1 - passage.first;
    }
    if (status == VZ_OK)
        offer(heap, &passage, marks, text->length, most, counts);
    scanner_deinit(&scanner);
    free(counts);
    return status;
}

/* The beginning of the first value that is not empty. */
static enum vz_status first_words(const struct vz_marked_text *text,
                                  const struct vz_passage_options *options, struct heap *heap,
                                  struct vz_error *err)
{
    size_t value = 0;
    while (value < text->count && text->starts[value] == vz_marked_value_end(text, value))
        value++;
    if (options->no_match_size == 0 || value == text->count)
        return VZ_OK;
    uint32_t start = text->starts[value], end = vz_marked_value_end(text, value);
    if (options->no_match_size < end - start) {
        UErrorCode code = U_ZERO_ERROR;
        UBreakIterator *words = ubrk_open(UBRK_WORD, options->locale, text->units + start,
                                          (int32_t)(end - start), &code);
        if (U_FAILURE(code))
            return vz_fail(err, VZ_INTERNAL, "no boundaries for locale [%s]: %s", options->locale,
                           u_errorName(code));
        int32_t at = ubrk_following(words, (int32_t)options->no_match_size);
        if (at != UBRK_DONE)
            end = start + (uint32_t)at;
        ubrk_close(words);
    }
    heap_push(heap, &(struct passage){.start = start, .end = end});
    return VZ_OK;
}

static int by_start(const void *a, const void *b)
{
    const struct passage *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int by_score(const void *a, const void *b)
{
    const struct passage *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return by_start(a, b);
}

static struct vz_slice format(const struct vz_marked_text *text, const struct passage *passage,
                              const struct vz_mark *marks, const struct vz_passage_options *options,
                              struct vz_arena *arena)
{
    struct vz_buf out = {0};
    uint32_t at = passage->start;
    for (size_t i = 0; i < passage->count; i++) {
        const struct vz_mark *mark = &marks[passage->first + i];
        uint32_t end = mark->end;
        vz_units_put(text, at, mark->start, options->html, &out);
        while (i + 1 < passage->count && marks[passage->first + i + 1].start < end) {
            i++;
            end = VZ_MAX(end, marks[passage->first + i].end);
        }
        end = VZ_MIN(end, passage->end);
        vz_buf_append_slice(&out, options->pre_tags[0]);
        vz_units_put(text, mark->start, end, options->html, &out);
        vz_buf_append_slice(&out, options->post_tags[0]);
        at = end;
    }
    vz_units_put(text, at, VZ_MAX(at, passage->end), options->html, &out);
    struct vz_slice shown = vz_buf_slice(&out);
    struct vz_slice copy = vz_arena_copy(arena, options->trim ? vz_java_trim(shown) : shown);
    vz_buf_deinit(&out);
    return copy;
}

static bool has_text(struct vz_slice text)
{
    return vz_java_trim(text).len > 0;
}

enum vz_status vz_passages(const struct vz_marked_text *text, const struct vz_mark *marks,
                           size_t mark_count, const struct vz_passage_options *options,
                           struct vz_arena *arena, struct vz_slice **fragments, size_t *count,
                           struct vz_error *err)
{
    struct heap heap = {0};
    enum vz_status status = VZ_OK;
    *count = 0;
    if (mark_count)
        status = find_passages(text, marks, mark_count, options, &heap, err);
    if (status == VZ_OK && heap.count == 0)
        status = first_words(text, options, &heap, err);
    *fragments = vz_arena_alloc(arena, (heap.count + 1) * sizeof **fragments);
    if (status == VZ_OK && heap.count > 1)
        qsort(heap.items, heap.count, sizeof *heap.items,
              options->score_ordered ? by_score : by_start);
    for (size_t i = 0; status == VZ_OK && i < heap.count; i++) {
        struct vz_slice shown = format(text, &heap.items[i], marks, options, arena);
        if (has_text(shown))
            (*fragments)[(*count)++] = shown;
    }
    free(heap.items);
    return status;
}
