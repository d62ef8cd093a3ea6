/* Views: neighbouring segments as one index, and its statistics. */
#include "text/view.h"
#include "text/dense.h"

#include <stdlib.h>

struct vz_text_view *vz_text_view_new(struct vz_segment *const *segments, size_t count)
{
    struct vz_text_view *view = vz_calloc(1, sizeof *view + count * sizeof *view->segments);
    atomic_init(&view->references, 1);
    view->count = count;
    for (size_t i = 0; i < count; i++)
        view->segments[i] = vz_segment_acquire(segments[i]);
    return view;
}

struct vz_text_view *vz_text_view_acquire(struct vz_text_view *view)
{
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    return view;
}

void vz_text_view_release(struct vz_text_view *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < view->count; i++)
        vz_segment_release(view->segments[i]);
    free(view);
}

size_t vz_text_view_count(const struct vz_text_view *view)
{
    return view->count;
}

struct vz_segment *vz_text_view_segment(const struct vz_text_view *view, size_t index)
{
    return view->segments[index];
}

bool vz_text_field_stats(const struct vz_text_view *view, uint16_t id, struct vz_field_stats *stats)
{
    *stats = (struct vz_field_stats){0};
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment_field *field = vz_segment_find_field(view->segments[i], id);
        if (!field)
            continue;
        stats->doc_count += field->doc_count;
        stats->sum_total_freqs += field->sum_total_freqs;
        stats->sum_doc_freqs += field->sum_doc_freqs;
        stats->terms += field->terms;
        stats->flags = field->flags;
    }
    return stats->doc_count > 0;
}

bool vz_text_term_stats(const struct vz_text_view *view, uint16_t id, struct vz_slice term,
                        struct vz_term_stats *stats)
{
    *stats = (struct vz_term_stats){0};
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment_field *field = vz_segment_find_field(view->segments[i], id);
        struct vz_term_info info;
        if (!field || !vz_segment_find_term(view->segments[i], field, term, &info))
            continue;
        stats->doc_freq += info.doc_freq;
        stats->total_freq += info.total_freq;
    }
    return stats->doc_freq > 0;
}

unsigned char vz_text_norm(const struct vz_text_view *view, uint16_t id, uint32_t docno)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment *segment = view->segments[i];
        if (docno < segment->base || docno >= segment->limit)
            continue;
        const struct vz_segment_field *field = vz_segment_find_field(segment, id);
        return field ? vz_segment_norm(segment, field, docno) : 0;
    }
    return 0;
}

/* A frequent term's bits, where they are kept. False: they are not. */
static bool add_dense(const struct vz_segment *segment, const struct vz_segment_field *field,
                      const struct vz_term_info *info, struct vz_bitset *bits)
{
    struct vz_dense *dense =
        vz_dense_is(segment, info->doc_freq) ? vz_dense_get(segment, field, info) : NULL;
    if (!dense)
        return false;
    size_t room = vz_bitset_word_count(bits), end = dense->first_word + dense->word_count;
    end = VZ_MIN(end, room);
    for (size_t w = dense->first_word; w < end; w++)
        bits->words[w] |= dense->words[w - dense->first_word];
    if (end == room && bits->bits % 64) /* what is past the end stays zero */
        bits->words[room - 1] &= (1ull << bits->bits % 64) - 1;
    vz_dense_release(dense);
    return true;
}

void vz_text_term_docs(const struct vz_text_view *view, uint16_t field, struct vz_slice term,
                       struct vz_bitset *bits)
{
    struct vz_postings *p = vz_alloc(sizeof *p);
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment *segment = view->segments[i];
        const struct vz_segment_field *found = vz_segment_find_field(segment, field);
        struct vz_term_info info;
        if (!found || !vz_segment_find_term(segment, found, term, &info) ||
            add_dense(segment, found, &info, bits) ||
            !vz_postings_open_info(p, segment, found, &info))
            continue;
        for (uint32_t block = 0; block < p->block_count; block++) {
            vz_postings_load(p, block);
            for (unsigned n = 0; n < p->count; n++)
                if (p->docs[n] < bits->bits)
                    vz_bitset_set(bits, p->docs[n]);
        }
        vz_postings_close(p);
    }
    free(p);
}

void vz_text_term_each(const struct vz_text_view *view, uint16_t field, struct vz_slice term,
                       bool (*each)(void *context, uint32_t docno), void *context)
{
    struct vz_postings *p = vz_alloc(sizeof *p);
    bool more = true;
    for (size_t i = 0; more && i < view->count; i++) {
        if (!vz_postings_open(p, view->segments[i], field, term))
            continue;
        for (uint32_t block = 0; more && block < p->block_count; block++) {
            vz_postings_load(p, block);
            for (unsigned n = 0; more && n < p->count; n++)
                more = each(context, p->docs[n]);
        }
        vz_postings_close(p);
    }
    free(p);
}

void vz_text_field_docs(const struct vz_text_view *view, uint16_t id, struct vz_bitset *bits)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment *s = view->segments[i];
        const struct vz_segment_field *field = vz_segment_find_field(s, id);
        if (!field)
            continue;
        const unsigned char *norms = s->bytes + field->norms_at;
        const uint32_t *docs = (const uint32_t *)(const void *)norms;
        if (field->norms_kind == VZ_NORMS_DENSE)
            for (uint32_t d = 0; d < s->limit - s->base && s->base + d < bits->bits; d++) {
                if (norms[d])
                    vz_bitset_set(bits, s->base + d);
            }
        else if (field->norms_kind == VZ_NORMS_SPARSE)
            for (uint32_t n = 0; n < field->doc_count; n++) {
                if (s->base + docs[n] < bits->bits)
                    vz_bitset_set(bits, s->base + docs[n]);
            }
        else {
            struct vz_dictionary walk;
            struct vz_postings *p = vz_alloc(sizeof *p);
            vz_dictionary_init(&walk, s, field);
            while (vz_dictionary_next(&walk))
                if (vz_postings_open_info(p, s, field, &walk.info))
                    while (vz_postings_next(p) != VZ_TEXT_END)
                        if (p->doc < bits->bits)
                            vz_bitset_set(bits, p->doc);
            vz_dictionary_deinit(&walk);
            free(p);
        }
    }
}
