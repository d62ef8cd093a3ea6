/* Counting by words of 64 documents: the lists of frequent terms are bits that are kept (dense.h),
 * those of rare ones are made into bits a window at a time. Then the search for the best needs no
 * count and leaves out from its first document on what cannot be among them. */
#include "text/count.h"

#include "text/dense.h"

#include <stdlib.h>

#define WORDS 64 /* of a window */

struct list {
    struct vz_dense *dense;       /* or */
    struct vz_postings *postings; /* or neither: the segment does not have the term */
};

struct lists {
    struct list *items;
    size_t count;
    bool every;
};

static void lists_deinit(struct lists *lists)
{
    for (size_t i = 0; i < lists->count; i++) {
        vz_dense_release(lists->items[i].dense);
        if (lists->items[i].postings)
            vz_postings_close(lists->items[i].postings);
        free(lists->items[i].postings);
    }
    free(lists->items);
}

/* False where a frequent list has no bits yet. */
static bool lists_init(struct lists *lists, const struct vz_segment *segment,
                       const struct vz_weight **parts, size_t count, bool every, bool *any_dense)
{
    bool ready = true;
    *lists = (struct lists){.every = every};
    lists->items = vz_calloc(count, sizeof *lists->items);
    for (size_t i = 0; i < count; i++) { /* all of them, so that all are known the next time */
        const struct vz_text_query *query = parts[i]->query;
        const struct vz_segment_field *field = vz_segment_find_field(segment, query->field);
        struct vz_term_info info;
        struct list *list = &lists->items[lists->count++];
        if (!field || !vz_segment_find_term(segment, field, query->terms[0], &info))
            continue;
        if (vz_dense_is(segment, info.doc_freq)) {
            list->dense = vz_dense_get(segment, field, &info);
            ready &= list->dense != NULL;
            *any_dense = true;
            continue;
        }
        list->postings = vz_alloc(sizeof *list->postings);
        if (!vz_postings_open_info(list->postings, segment, field, &info)) {
            free(list->postings);
            list->postings = NULL;
        }
    }
    return ready;
}

/* The documents of a list in WORDS words from `word` on. */
static const uint64_t *bits_of(struct list *list, uint32_t word, uint32_t words, uint64_t *scratch)
{
    if (list->dense)
        return list->dense->words + (word - list->dense->first_word);
    memset(scratch, 0, words * sizeof *scratch);
    struct vz_postings *p = list->postings;
    uint32_t end = (word + words) * 64;
    if (p)
        for (uint32_t doc = vz_postings_advance(p, word * 64); doc < end; doc = vz_postings_next(p))
            scratch[doc / 64 - word] |= 1ull << doc % 64;
    return scratch;
}

static uint64_t count_window(struct lists *lists, uint32_t word, uint32_t words,
                             const uint64_t *filter)
{
    uint64_t found[WORDS], scratch[WORDS];
    if (lists->every)
        memcpy(found, filter, words * sizeof *found);
    else
        memset(found, 0, words * sizeof *found);
    for (size_t i = 0; i < lists->count; i++) {
        const uint64_t *bits = bits_of(&lists->items[i], word, words, scratch);
        if (lists->every)
            for (uint32_t w = 0; w < words; w++)
                found[w] &= bits[w];
        else
            for (uint32_t w = 0; w < words; w++)
                found[w] |= bits[w];
    }
    for (uint32_t w = 0; w < words && !lists->every; w++)
        found[w] &= filter[w];
    return vz_words_count(found, words);
}

static uint64_t count_segment(struct lists *lists, const struct vz_segment *segment,
                              const struct vz_bitset *filter, uint64_t limit)
{
    uint32_t word = segment->base / 64, end = (segment->limit + 63) / 64;
    uint64_t total = 0;
    end = (uint32_t)VZ_MIN((size_t)end, vz_bitset_word_count(filter));
    for (; word < end && total <= limit; word += WORDS)
        total +=
            count_window(lists, word, VZ_MIN(end - word, (uint32_t)WORDS), filter->words + word);
    return total;
}

bool vz_count_plain(const struct vz_text_view *view, const struct vz_weight **parts, size_t count,
                    bool every, const struct vz_bitset *filter, uint64_t limit, uint64_t *total)
{
    struct lists *lists = vz_calloc(view->count + 1, sizeof *lists);
    bool ready = true, any_dense = false;
    *total = 0;
    for (size_t i = 0; i < view->count; i++)
        ready &= lists_init(&lists[i], view->segments[i], parts, count, every, &any_dense);
    bool counted = ready && any_dense;
    for (size_t i = 0; i < view->count && counted && *total <= limit; i++)
        *total += count_segment(&lists[i], view->segments[i], filter, limit - *total);
    for (size_t i = 0; i < view->count; i++)
        lists_deinit(&lists[i]);
    free(lists);
    return counted;
}
