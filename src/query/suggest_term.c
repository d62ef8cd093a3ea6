/* query/suggest_term.c - corrections of words out of the dictionary of a field: the term suggester.
 *
 * Source: the behaviour of Lucene's DirectSpellChecker. Candidates are the terms within one edit,
 * and when these are too few within two; the first letters must be the word's. They are ranked by
 * similarity, then by how many documents have them. Deleted documents count until a merge leaves
 * them out, as everywhere in the statistics of postings.
 */
#include "query/suggest.h"

#include "base/strmap.h"
#include "base/text.h"
#include "text/edits.h"

#include <math.h>
#include <stdlib.h>

#define MAX_DISTANCE_CHARS 512 /* longer words are compared up to here: the cost is quadratic */

/* ---- how near two words are ------------------------------------------------------------------ */

static size_t code_points(struct vz_slice text, uint32_t out[MAX_DISTANCE_CHARS])
{
    size_t count = 0;
    for (size_t i = 0; i < text.len && count < MAX_DISTANCE_CHARS; count++) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        uint32_t point = c < 0x80 ? c : c & (0x7Fu >> len);
        for (size_t k = 1; k < len && i + k < text.len; k++)
            point = point << 6 | ((unsigned char)text.ptr[i + k] & 0x3F);
        out[count] = point;
        i += len;
    }
    return count;
}

static unsigned edits(const uint32_t *a, size_t n, const uint32_t *b, size_t m, bool swaps)
{
    unsigned rows[3 * (MAX_DISTANCE_CHARS + 1)];
    return vz_edits(a, n, b, m, swaps, rows)[m];
}

static float jaro_winkler(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
    const uint32_t *longer = n > m ? a : b, *shorter = n > m ? b : a;
    size_t most = VZ_MAX(n, m), least = VZ_MIN(n, m), matches = 0, swapped = 0, prefix = 0;
    size_t range = most / 2 > 1 ? most / 2 - 1 : 0;
    bool taken[MAX_DISTANCE_CHARS] = {false};
    uint32_t first[MAX_DISTANCE_CHARS], second[MAX_DISTANCE_CHARS];
    for (size_t i = 0; i < least; i++) {
        size_t from = i > range ? i - range : 0, to = VZ_MIN(i + range + 1, most);
        for (size_t k = from; k < to; k++)
            if (!taken[k] && longer[k] == shorter[i]) {
                taken[k] = true;
                first[matches++] = shorter[i];
                break;
            }
    }
    for (size_t k = 0, at = 0; k < most; k++)
        if (taken[k])
            second[at++] = longer[k];
    for (size_t i = 0; i < matches; i++)
        swapped += first[i] != second[i];
    while (prefix < least && a[prefix] == b[prefix])
        prefix++;
    if (matches == 0)
        return 0;
    float hits = (float)matches;
    float jaro = (hits / (float)n + hits / (float)m + (hits - (float)(swapped / 2)) / hits) / 3;
    if (jaro < 0.7f)
        return jaro;
    return jaro + VZ_MIN(0.1f, 1.0f / (float)most) * (float)prefix * (1 - jaro);
}

/* Pairs of characters, each word with an empty one in front. */
static float bigrams(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
    float rows[2][MAX_DISTANCE_CHARS + 1], *last = rows[0], *now = rows[1];
    if (n == 0 || m == 0)
        return n == m;
    if (n < 2 || m < 2)
        return (float)(a[0] == b[0]) / (float)VZ_MAX(n, m);
    for (size_t i = 0; i <= n; i++)
        last[i] = (float)i;
    for (size_t j = 1; j <= m; j++) {
        uint32_t left_b = j > 1 ? b[j - 2] : 0;
        now[0] = (float)j;
        for (size_t i = 1; i <= n; i++) {
            uint32_t left_a = i > 1 ? a[i - 2] : 0;
            int cost = (left_a != left_b) + (a[i - 1] != b[j - 1]);
            int of = left_a == left_b && left_a == 0 ? 1 : 2;
            float changed = last[i - 1] + (float)cost / (float)of;
            now[i] = VZ_MIN(VZ_MIN(now[i - 1] + 1, last[i] + 1), changed);
        }
        float *other = last;
        last = now;
        now = other;
    }
    return 1 - last[n] / (float)VZ_MAX(n, m);
}

float vz_string_similarity(enum vz_string_distance distance, struct vz_slice left,
                           struct vz_slice right)
{
    uint32_t a[MAX_DISTANCE_CHARS], b[MAX_DISTANCE_CHARS];
    size_t n = code_points(left, a), m = code_points(right, b);
    switch (distance) {
    case VZ_DISTANCE_LEVENSHTEIN:
        if (n == 0 || m == 0)
            return n == m;
        return 1 - (float)edits(a, n, b, m, false) / (float)VZ_MAX(n, m);
    case VZ_DISTANCE_JARO_WINKLER:
        return jaro_winkler(a, n, b, m);
    case VZ_DISTANCE_NGRAM:
        return bigrams(a, n, b, m);
    default:
        if (n == 0 || m == 0)
            return n == m;
        return 1 - (float)edits(a, n, b, m, true) / (float)VZ_MIN(n, m);
    }
}

/* ---- candidates ------------------------------------------------------------------------------ */

static int by_score(const void *a, const void *b)
{
    const struct vz_correction *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->freq != y->freq)
        return x->freq > y->freq ? -1 : 1;
    return vz_slice_cmp(x->text, y->text);
}

static int by_frequency(const void *a, const void *b)
{
    const struct vz_correction *x = a, *y = b;
    if (x->freq != y->freq)
        return x->freq > y->freq ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return vz_slice_cmp(x->text, y->text);
}

/* Of candidates that are too many: by similarity alone, then by the term. */
static int by_similarity(const void *a, const void *b)
{
    const struct vz_correction *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return vz_slice_cmp(x->text, y->text);
}

void vz_corrections_sort(struct vz_correction *items, size_t count, bool frequency)
{
    if (count > 1)
        qsort(items, count, sizeof *items, frequency ? by_frequency : by_score);
}

static size_t characters(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

/* The `most` terms nearest to the word within some edits. */
static enum vz_status find_near(struct vz_eval *eval, const struct vz_speller *speller,
                                const struct vz_field *field, struct vz_slice word,
                                unsigned distance, uint64_t over_freq, size_t most,
                                struct vz_correction **out, size_t *count, struct vz_error *err)
{
    struct vz_walk how = {.kind = VZ_WALK_FUZZY,
                          .text = word,
                          .distance = distance,
                          .prefix_length = VZ_MAX(speller->prefix_length, distance - 1),
                          .transpositions = true,
                          .cancelled = vz_text_late,
                          .context = eval};
    struct vz_walk_term *terms;
    size_t found, length = characters(word);
    bool truncated;
    enum vz_status status = vz_text_walk(vz_snapshot_texts(eval->snap), field->id, &how,
                                         eval->arena, &terms, &found, &truncated, err);
    *count = 0;
    if (status != VZ_OK)
        return status;
    *out = vz_arena_alloc(eval->arena, (found + 1) * sizeof **out);
    for (size_t i = 0; i < found; i++) {
        struct vz_slice term = terms[i].term;
        size_t shorter = VZ_MAX(VZ_MIN(length, characters(term)), (size_t)1);
        float score = 1.0f - (float)terms[i].edits / (float)shorter;
        if (vz_slice_eq(term, word) || terms[i].stats.doc_freq <= over_freq)
            continue;
        if (speller->distance != VZ_DISTANCE_INTERNAL)
            score = vz_string_similarity(speller->distance, word, term);
        if (score >= speller->accuracy)
            (*out)[(*count)++] = (struct vz_correction){term, score, terms[i].stats.doc_freq};
    }
    qsort(*out, *count, sizeof **out, by_similarity);
    *count = VZ_MIN(*count, most);
    return VZ_OK;
}

static bool is_common(const struct vz_speller *speller, uint64_t freq, uint32_t docs)
{
    float most = speller->max_term_freq;
    if (most >= 1 && (float)freq > most)
        return true;
    return (float)freq > ceilf(most * (float)docs);
}

enum vz_status vz_speller_run(struct vz_eval *eval, const struct vz_speller *speller,
                              const struct vz_field *field, struct vz_slice word, size_t size,
                              struct vz_correction **out, size_t *count, struct vz_error *err)
{
    const struct vz_text_view *view = vz_snapshot_texts(eval->snap);
    struct vz_term_stats stats = {0};
    struct vz_correction *near, *wider;
    size_t most = size * speller->max_inspections, near_count, wider_count;
    uint32_t docs = vz_snapshot_doc_limit(eval->snap);
    *count = 0;
    if (!view || characters(word) < speller->min_word_length)
        return VZ_OK;
    vz_text_term_stats(view, field->id, word, &stats);
    if ((speller->mode == VZ_SUGGEST_MISSING && stats.doc_freq) ||
        is_common(speller, stats.doc_freq, docs))
        return VZ_OK;
    uint64_t over = speller->mode == VZ_SUGGEST_POPULAR ? stats.doc_freq : 0;
    if (speller->min_doc_freq >= 1)
        over = VZ_MAX(over, (uint64_t)speller->min_doc_freq);
    else if (speller->min_doc_freq > 0 && speller->min_doc_freq * (float)docs >= 1)
        over = VZ_MAX(over, (uint64_t)(speller->min_doc_freq * (float)docs) - 1);
    enum vz_status status =
        find_near(eval, speller, field, word, 1, over, most, &near, &near_count, err);
    if (status == VZ_OK && speller->max_edits > 1 && near_count < most) {
        struct vz_strmap known = {0};
        status = find_near(eval, speller, field, word, speller->max_edits, over, most, &wider,
                           &wider_count, err);
        struct vz_correction *both = vz_arena_alloc(
            eval->arena, (near_count + (status == VZ_OK ? wider_count : 0) + 1) * sizeof *both);
        for (size_t i = 0; i < near_count; i++) {
            both[i] = near[i];
            vz_strmap_put(&known, near[i].text, 1);
        }
        for (size_t i = 0; status == VZ_OK && i < wider_count; i++)
            if (vz_strmap_put(&known, wider[i].text, 1))
                both[near_count++] = wider[i];
        vz_strmap_deinit(&known);
        near = both;
    }
    if (status != VZ_OK)
        return status;
    vz_corrections_sort(near, near_count, speller->by_frequency);
    *out = near;
    *count = VZ_MIN(near_count, size);
    return VZ_OK;
}

/* ---- the suggester --------------------------------------------------------------------------- */

/* A word of the text and its corrections in all targets. */
struct word {
    struct vz_slice text;
    uint32_t start, end;
    struct vz_correction *options;
    size_t count, capacity;
};

/* `merge`: another target may have given it already. */
static void add_option(struct word *word, const struct vz_correction *option, bool merge,
                       struct vz_arena *arena)
{
    for (size_t i = 0; merge && i < word->count; i++)
        if (vz_slice_eq(word->options[i].text, option->text)) {
            word->options[i].freq += option->freq;
            word->options[i].score = VZ_MAX(word->options[i].score, option->score);
            return;
        }
    if (word->count == word->capacity) {
        word->capacity = VZ_MAX(word->capacity * 2, (size_t)8);
        struct vz_correction *grown = vz_arena_alloc(arena, word->capacity * sizeof *grown);
        if (word->count)
            memcpy(grown, word->options, word->count * sizeof *grown);
        word->options = grown;
    }
    word->options[word->count++] = *option;
}

static enum vz_status read_words(const struct vz_suggestion *s, const struct vz_analyzer *analyzer,
                                 struct vz_arena *arena, struct word **words, size_t *count,
                                 struct vz_error *err)
{
    struct vz_tokens tokens = {0};
    enum vz_status status = vz_analyze(analyzer, s->text, &tokens, err);
    if (status == VZ_OK && tokens.count > VZ_MAX_SUGGEST_TOKENS)
        status = vz_fail(err, VZ_LIMIT,
                         "the text of a suggestion has [%zu] words, at most [%d] are "
                         "allowed",
                         tokens.count, VZ_MAX_SUGGEST_TOKENS);
    *words = vz_arena_zalloc(arena, (tokens.count + 1) * sizeof **words);
    *count = status == VZ_OK ? tokens.count : 0;
    for (size_t i = 0; i < *count; i++)
        (*words)[i] = (struct word){.text = vz_arena_copy(arena, tokens.items[i].text),
                                    .start = tokens.items[i].start,
                                    .end = tokens.items[i].end};
    vz_tokens_deinit(&tokens);
    return status;
}

static enum vz_status correct(const struct vz_suggestion *s, struct vz_eval *eval,
                              const struct vz_field *field, struct word *words, size_t count,
                              bool merge, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        struct vz_correction *found = NULL;
        size_t found_count = 0;
        status = vz_speller_run(eval, &s->speller, field, words[i].text, s->shard_size, &found,
                                &found_count, err);
        for (size_t f = 0; status == VZ_OK && f < found_count; f++)
            add_option(&words[i], &found[f], merge, eval->arena);
    }
    return status;
}

enum vz_status vz_suggest_term(struct vz_run *run, const struct vz_suggestion *s,
                               struct vz_json_writer *w, struct vz_error *err)
{
    struct word *words = NULL;
    size_t count = 0;
    enum vz_status status = VZ_OK;
    for (size_t t = 0; status == VZ_OK && t < run->target_count; t++) {
        struct vz_eval *eval = &run->targets[t].eval;
        const struct vz_field *field;
        const struct vz_analyzer *analyzer;
        status = vz_suggest_field(s, eval, &field, &analyzer, err);
        if (status == VZ_OK && (field->type != VZ_FIELD_TEXT || !analyzer))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[term] suggestions from a field that is not [text] are not supported "
                           "yet by vizsla: [%.*s]",
                           VZ_ARG(s->field));
        if (status == VZ_OK && t == 0)
            status = read_words(s, analyzer, run->arena, &words, &count, err);
        if (status == VZ_OK)
            status = correct(s, eval, field, words, count, t > 0, err);
    }
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        struct word *word = &words[i];
        vz_corrections_sort(word->options, word->count, s->speller.by_frequency);
        vz_suggest_begin_entry(w, word->text, word->start, word->end - word->start);
        for (size_t o = 0; o < word->count && o < s->size; o++) {
            vz_json_begin_object(w);
            vz_json_field_string(w, "text", word->options[o].text);
            vz_json_key(w, "score");
            vz_json_put_float(w, word->options[o].score);
            vz_json_key(w, "freq");
            vz_json_put_uint(w, word->options[o].freq);
            vz_json_end_object(w);
        }
        vz_json_end_array(w);
        vz_json_end_object(w);
    }
    return status;
}
