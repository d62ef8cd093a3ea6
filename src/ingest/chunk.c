/* Cutting texts, by Elasticsearch's rules (x-pack inference, package chunking), so that the same
 * settings give the same pieces.
 *
 * Boundaries of words and sentences are found once and kept as arrays; the rules then count with
 * them. words[i] is the end of a token, total[i] how many of the tokens up to there are words.
 *
 * A peculiarity is kept: the words of a span are counted from the last boundary before it, so a
 * word that ends right before the span (two lines without a full stop) is counted with it. */
#include "ingest/chunk.h"

#include "json/json.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>

#define MAX_OVERLAP 20     /* words of a long sentence that its next part has too */
#define MATCH_LIMIT 100000 /* steps for one separator */

enum strategy { NONE, WORD, SENTENCE, RECURSIVE };

struct vz_chunking {
    enum strategy strategy;
    size_t max, overlap; /* SENTENCE: overlap 1 is the sentence before */
    pcre2_code **separators;
    size_t separator_count;
};

/* ---- settings -------------------------------------------------------------------------------- */

static const char *const plaintext[] = {"(?<!\\n)\\n\\n(?!\\n)", "(?<!\\n)\\n(?!\\n)"};
static const char *const markdown[] = {"\n# ",
                                       "\n## ",
                                       "\n### ",
                                       "\n#### ",
                                       "\n##### ",
                                       "\n###### ",
                                       "\n^(?!\\s*$).*\\n-{1,}\\n",
                                       "\n^(?!\\s*$).*\\n={1,}\\n"};

static enum vz_status add_separator(struct vz_chunking *chunking, struct vz_slice pattern,
                                    struct vz_error *err)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
                                         PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (!compiled) {
        PCRE2_UCHAR text[120] = "";
        pcre2_get_error_message(code, text, sizeof text);
        return vz_fail(err, VZ_BAD_ARGUMENT, "separator [%.*s] is no regular expression: %s",
                       (int)pattern.len, pattern.ptr, (const char *)text);
    }
    chunking->separators = vz_realloc(chunking->separators, (chunking->separator_count + 1) *
                                                                sizeof *chunking->separators);
    chunking->separators[chunking->separator_count++] = compiled;
    return VZ_OK;
}

static enum vz_status read_separators(struct vz_chunking *chunking, struct vz_json settings,
                                      struct vz_error *err)
{
    struct vz_json list, group, item;
    enum vz_status status = VZ_OK;
    if (vz_json_get(settings, "separators", &list)) {
        struct vz_json_iter it = vz_json_iterate(list);
        while (status == VZ_OK && vz_json_next(&it, NULL, &item))
            status = add_separator(chunking, vz_json_string(item), err);
        return status;
    }
    bool marks = vz_json_get(settings, "separator_group", &group) &&
                 vz_slice_is(vz_json_string(group), "markdown");
    const char *const *names = marks ? markdown : plaintext;
    size_t count = marks ? VZ_COUNT_OF(markdown) : VZ_COUNT_OF(plaintext);
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        status = add_separator(chunking, vz_slice_from(names[i]), err);
    return status;
}

static size_t read_number(struct vz_json settings, const char *name, size_t otherwise)
{
    struct vz_json value;
    int64_t number;
    if (!vz_json_get(settings, name, &value) || !vz_json_as_int(value, &number) || number < 0)
        return otherwise;
    return (size_t)number;
}

enum vz_status vz_chunking_new(struct vz_slice settings, struct vz_chunking **out,
                               struct vz_error *err)
{
    static const char *const names[] = {"none", "word", "sentence", "recursive"};
    struct vz_chunking *chunking = vz_calloc(1, sizeof *chunking);
    struct vz_json_doc *doc;
    struct vz_json root, value;
    enum vz_status status = VZ_OK;
    *chunking = (struct vz_chunking){.strategy = SENTENCE, .max = 250, .overlap = 1};
    *out = NULL;
    if (settings.len) {
        status = vz_json_parse(settings, &doc, &root, err);
        if (status != VZ_OK) {
            free(chunking);
            return status;
        }
        if (vz_json_get(root, "strategy", &value))
            for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
                if (vz_slice_is(vz_json_string(value), names[i]))
                    chunking->strategy = (enum strategy)i;
        chunking->max = VZ_MAX(read_number(root, "max_chunk_size", 250), (size_t)1);
        chunking->overlap = chunking->strategy == WORD ? read_number(root, "overlap", 0)
                                                       : read_number(root, "sentence_overlap", 1);
        chunking->overlap = VZ_MIN(chunking->overlap, chunking->max / 2);
        if (chunking->strategy == RECURSIVE)
            status = read_separators(chunking, root, err);
        vz_json_free(doc);
    }
    if (status != VZ_OK)
        vz_chunking_free(chunking);
    else
        *out = chunking;
    return status;
}

void vz_chunking_free(struct vz_chunking *chunking)
{
    if (!chunking)
        return;
    for (size_t i = 0; i < chunking->separator_count; i++)
        pcre2_code_free(chunking->separators[i]);
    free(chunking->separators);
    free(chunking);
}

/* ---- boundaries ------------------------------------------------------------------------------ */

struct bounds {
    size_t *at; /* at[0] is 0, the last one the text's end */
    size_t *total;
    size_t count, capacity;
};

struct cutter {
    const struct vz_chunking *chunking;
    struct vz_slice text;
    struct bounds words, sentences;
    size_t base; /* what is cut now begins here: words before are not seen */
    struct vz_arena *arena;
    struct vz_chunk *chunks;
    size_t count, capacity;
    struct vz_error *err;
};

static void add_bound(struct bounds *b, size_t at, bool is_word)
{
    if (b->count == b->capacity) {
        b->capacity = VZ_MAX(b->capacity * 2, (size_t)64);
        b->at = vz_realloc(b->at, b->capacity * sizeof *b->at);
        b->total = vz_realloc(b->total, b->capacity * sizeof *b->total);
    }
    b->total[b->count] = (b->count ? b->total[b->count - 1] : 0) + is_word;
    b->at[b->count++] = at;
}

static enum vz_status find_bounds(struct vz_slice text, bool of_words, struct bounds *out,
                                  struct vz_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    UText source = UTEXT_INITIALIZER;
    utext_openUTF8(&source, text.ptr, (int64_t)text.len, &code);
    UBreakIterator *it = ubrk_open(of_words ? UBRK_WORD : UBRK_SENTENCE, "", NULL, 0, &code);
    if (U_SUCCESS(code))
        ubrk_setUText(it, &source, &code);
    add_bound(out, 0, false);
    if (U_SUCCESS(code))
        for (int32_t at = ubrk_next(it); at != UBRK_DONE; at = ubrk_next(it))
            add_bound(out, (size_t)at, of_words && ubrk_getRuleStatus(it) >= UBRK_WORD_NONE_LIMIT);
    if (it)
        ubrk_close(it);
    utext_close(&source);
    if (U_FAILURE(code))
        return vz_fail(err, VZ_INTERNAL, "ICU has no boundaries of %s: %s",
                       of_words ? "words" : "sentences", u_errorName(code));
    if (out->at[out->count - 1] < text.len)
        add_bound(out, text.len, false);
    return VZ_OK;
}

static void bounds_free(struct bounds *b)
{
    free(b->at);
    free(b->total);
}

/* The last boundary at or before `at`. */
static size_t bound_to(const struct bounds *b, size_t at)
{
    size_t low = 0, high = b->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->at[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The last boundary before `at`; 0 for 0. */
static size_t bound_before(const struct bounds *b, size_t at)
{
    return at ? bound_to(b, at - 1) : 0;
}

static size_t count_words(const struct cutter *c, size_t start, size_t end)
{
    size_t first = bound_before(&c->words, start), last = bound_to(&c->words, end);
    first = VZ_MAX(first, bound_to(&c->words, c->base) + 1);
    return first > last ? 0 : c->words.total[last] - c->words.total[first - 1];
}

static enum vz_status add_chunk(struct cutter *c, size_t start, size_t end)
{
    if (c->count == VZ_MAX_CHUNKS)
        return vz_fail(c->err, VZ_LIMIT, "a text of %zu bytes makes more than [%d] chunks",
                       c->text.len, VZ_MAX_CHUNKS);
    if (c->count == c->capacity) {
        size_t grown = VZ_MAX(c->capacity * 2, (size_t)8);
        struct vz_chunk *chunks = vz_arena_alloc(c->arena, grown * sizeof *chunks);
        if (c->count)
            memcpy(chunks, c->chunks, c->count * sizeof *chunks);
        c->chunks = chunks;
        c->capacity = grown;
    }
    c->chunks[c->count++] = (struct vz_chunk){start, end};
    return VZ_OK;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Windows of `max` words of which each has the last `overlap` of the one before. The last, partly
 * filled one (or whole, when it ends with the span) goes to *rest with its number of words instead
 * of to the chunks. */
static enum vz_status windows(struct cutter *c, size_t start, size_t end, size_t max,
                              size_t overlap, struct vz_chunk *rest, size_t *rest_words)
{
    size_t in_window = 0, next = start, from = start, since = 0, made = 0;
    struct vz_chunk last = {0};
    for (size_t i = bound_to(&c->words, start) + 1; i < c->words.count && c->words.at[i] <= end;
         i++) {
        if (c->words.total[i] == c->words.total[i - 1])
            continue;
        size_t at = c->words.at[i];
        in_window++;
        since++;
        if (in_window >= max) {
            if (made++ && add_chunk(c, last.start, last.end) != VZ_OK)
                return VZ_LIMIT;
            last = (struct vz_chunk){from, at};
            *rest_words = in_window;
            in_window = overlap;
            if (!overlap)
                next = at;
            from = next;
        }
        if (since == max - overlap) {
            next = at;
            since = 0;
        }
    }
    bool partial = in_window > overlap || !made;
    if (partial && made && add_chunk(c, last.start, last.end) != VZ_OK)
        return VZ_LIMIT;
    if (partial)
        *rest_words = in_window;
    *rest = partial ? (struct vz_chunk){from, end} : last;
    return VZ_OK;
}

static enum vz_status by_words(struct cutter *c, size_t start, size_t end)
{
    struct vz_chunk rest;
    size_t count;
    enum vz_status status =
        windows(c, start, end, c->chunking->max, c->chunking->overlap, &rest, &count);
    return status == VZ_OK ? add_chunk(c, rest.start, rest.end) : status;
}

/* ---- sentences ------------------------------------------------------------------------------- */

/* The place behind `words` words, from the word before `start` on. */
static size_t skip_words(const struct cutter *c, size_t start, size_t words)
{
    size_t i = VZ_MAX(bound_before(&c->words, start), bound_to(&c->words, c->base)), count = 0;
    while (i < c->words.count && count < words) {
        count += c->words.at[i] > c->base && c->words.total[i] != c->words.total[i - 1];
        i++;
    }
    return i < c->words.count ? c->words.at[i] : c->text.len;
}

static enum vz_status by_sentences(struct cutter *c, size_t start, size_t end, bool overlap)
{
    c->base = start;
    size_t max = c->chunking->max, from = start, chunk_end = start, words = 0;
    size_t sentence = start, before = start, words_before = 0, first = c->count;
    for (size_t i = bound_to(&c->sentences, start) + 1; sentence < end; i++) {
        size_t stop = i < c->sentences.count ? VZ_MIN(c->sentences.at[i], end) : end;
        size_t mine = count_words(c, sentence, stop);
        if (words + mine > max) {
            size_t next = mine;
            if (words) {
                if (add_chunk(c, from, chunk_end) != VZ_OK)
                    return VZ_LIMIT;
                from = chunk_end;
                if (overlap) {
                    size_t most = VZ_MIN(max / 2, (size_t)MAX_OVERLAP), skip = 0;
                    if (words_before + mine > max && words_before > most)
                        skip = words_before - most;
                    from = skip ? skip_words(c, before, skip) : before;
                    next = words_before - skip + mine;
                }
                words = next;
            }
            if (next > max) {
                struct vz_chunk rest;
                if (windows(c, from, stop, max, VZ_MIN((size_t)MAX_OVERLAP, (max - 1) / 2), &rest,
                            &words) != VZ_OK)
                    return VZ_LIMIT;
                from = rest.start;
            }
        } else {
            words += mine;
        }
        before = sentence;
        words_before = mine;
        sentence = chunk_end = stop;
    }
    if (words || c->count == first)
        return add_chunk(c, words ? from : start, end);
    return VZ_OK;
}

/* ---- separators ------------------------------------------------------------------------------ */

struct pieces {
    struct vz_chunk *items;
    size_t count, capacity;
};

static void add_piece(struct pieces *p, size_t start, size_t end)
{
    if (p->count == p->capacity) {
        p->capacity = VZ_MAX(p->capacity * 2, (size_t)16);
        p->items = vz_realloc(p->items, p->capacity * sizeof *p->items);
    }
    p->items[p->count++] = (struct vz_chunk){start, end};
}

/* Each piece begins with the separator before it. */
static enum vz_status split(struct cutter *c, const pcre2_code *separator, size_t start, size_t end,
                            struct pieces *out)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(separator, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    PCRE2_SPTR subject = (PCRE2_SPTR)c->text.ptr + start;
    size_t len = end - start, from = 0, search = 0;
    int found = 0;
    pcre2_set_match_limit(limits, MATCH_LIMIT);
    while (search <= len && (found = pcre2_match(separator, subject, len, search,
                                                 PCRE2_NO_UTF_CHECK, data, limits)) >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
        if (from < at[0])
            add_piece(out, start + from, start + at[0]);
        from = at[0];
        search = at[1];
        if (at[1] == at[0]) { /* an empty match: on by a character */
            search++;
            while (search < len && (subject[search] & 0xC0) == 0x80)
                search++;
        }
    }
    if (from < len)
        add_piece(out, start + from, end);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        return vz_fail(c->err, VZ_LIMIT,
                       "a separator takes too long to find in a text of %zu bytes", c->text.len);
    return VZ_OK;
}

static enum vz_status by_separators(struct cutter *c, size_t start, size_t end, size_t separator)
{
    size_t max = c->chunking->max;
    c->base = start;
    if (end - start < 2 || count_words(c, start, end) <= max)
        return add_chunk(c, start, end);
    if (separator == c->chunking->separator_count)
        return by_sentences(c, start, end, false);
    struct pieces pieces = {0};
    enum vz_status status = split(c, c->chunking->separators[separator], start, end, &pieces);
    for (size_t i = 0; status == VZ_OK && i < pieces.count;) {
        struct vz_chunk merged = pieces.items[i++];
        c->base = start;
        while (i < pieces.count && count_words(c, merged.start, pieces.items[i].end) <= max)
            merged.end = pieces.items[i++].end;
        if (count_words(c, merged.start, merged.end) <= max)
            status = add_chunk(c, merged.start, merged.end);
        else
            status = by_separators(c, merged.start, merged.end, separator + 1);
    }
    free(pieces.items);
    return status;
}

/* ---- all ------------------------------------------------------------------------------------- */

enum vz_status vz_chunk(const struct vz_chunking *chunking, struct vz_slice text,
                        struct vz_arena *arena, struct vz_chunk **chunks, size_t *count,
                        struct vz_error *err)
{
    struct cutter c = {.chunking = chunking, .text = text, .arena = arena, .err = err};
    enum vz_status status = VZ_OK;
    *count = 0;
    if (text.len > INT32_MAX)
        return vz_fail(err, VZ_LIMIT, "a text of %zu bytes is too long to be cut", text.len);
    if (chunking->strategy == NONE || text.len == 0) {
        status = add_chunk(&c, 0, text.len);
    } else {
        status = find_bounds(text, true, &c.words, err);
        if (status == VZ_OK && chunking->strategy != WORD)
            status = find_bounds(text, false, &c.sentences, err);
        if (status == VZ_OK)
            status = chunking->strategy == WORD ? by_words(&c, 0, text.len)
                     : chunking->strategy == SENTENCE
                         ? by_sentences(&c, 0, text.len, chunking->overlap)
                         : by_separators(&c, 0, text.len, 0);
    }
    bounds_free(&c.words);
    bounds_free(&c.sentences);
    *chunks = c.chunks;
    *count = c.count;
    return status;
}
