/* Merging neighbouring segments, choosing which, and checking one from end to end. */
#include "text/postings_parts.h"

#include <stdlib.h>

/* ---- merging ----------------------------------------------------------------------------------
 */

struct input {
    struct vz_segment *segment;
    const struct vz_segment_field *field; /* NULL: has not the field being merged */
    struct vz_dictionary walk;
    bool open;
};

struct merge {
    struct input *inputs;
    size_t count;
    const struct vz_merge_options *options;
    struct vz_segment_writer *writer;
    uint32_t base, limit;
    unsigned char *norms;
    struct vz_bitset *seen; /* documents of a field without norms */
    struct vz_postings *postings;
};

static bool is_kept(const struct merge *merge, uint32_t docno)
{
    const struct vz_bitset *live = merge->options ? merge->options->live : NULL;
    return !live || docno >= live->bits || vz_bitset_has(live, docno);
}

static bool is_cancelled(const struct merge *merge)
{
    return merge->options && merge->options->cancelled &&
           merge->options->cancelled(merge->options->context);
}

/* The field's norms of all inputs, without the documents that are dropped. */
static uint32_t gather_norms(struct merge *merge)
{
    uint32_t count = 0;
    memset(merge->norms, 0, merge->limit - merge->base);
    for (size_t i = 0; i < merge->count; i++) {
        const struct input *input = &merge->inputs[i];
        if (!input->field || input->field->norms_kind == VZ_NORMS_NONE)
            continue;
        const struct vz_segment *s = input->segment;
        const unsigned char *norms = s->bytes + input->field->norms_at;
        bool dense = input->field->norms_kind == VZ_NORMS_DENSE;
        const uint32_t *docs = (const uint32_t *)(const void *)norms;
        uint32_t range = dense ? s->limit - s->base : input->field->doc_count;
        for (uint32_t n = 0; n < range; n++) {
            uint32_t doc = dense ? n : docs[n];
            unsigned char norm = dense ? norms[n] : norms[(size_t)range * 4 + n];
            if (!norm || doc >= s->limit - s->base || !is_kept(merge, s->base + doc))
                continue;
            merge->norms[s->base - merge->base + doc] = norm;
            count++;
        }
    }
    return count;
}

static void copy_list(struct merge *merge, const struct input *input, bool positions)
{
    struct vz_postings *p = merge->postings;
    if (!vz_postings_open_info(p, input->segment, input->field, &input->walk.info))
        return;
    while (vz_postings_next(p) != VZ_TEXT_END) {
        if (!is_kept(merge, p->doc) || p->doc >= merge->limit || p->doc < merge->base)
            continue;
        if (merge->seen)
            vz_bitset_set(merge->seen, p->doc - merge->base);
        const uint32_t *places = positions ? vz_postings_positions(p) : NULL;
        vz_segment_writer_doc(merge->writer, p->doc, VZ_MAX(vz_postings_freq(p), 1), places);
    }
    vz_postings_close(p);
}

/* All terms of one field, smallest first; equal ones of several inputs together. */
static enum vz_status merge_terms(struct merge *merge, bool positions, struct vz_error *err)
{
    struct vz_buf smallest = {0};
    for (uint64_t steps = 0;; steps++) {
        const struct input *first = NULL;
        for (size_t i = 0; i < merge->count; i++) {
            const struct input *input = &merge->inputs[i];
            if (input->open && (!first || vz_slice_cmp(vz_dictionary_term(&input->walk),
                                                       vz_dictionary_term(&first->walk)) < 0))
                first = input;
        }
        if (!first)
            break;
        if (steps % 1024 == 0 && is_cancelled(merge)) {
            vz_buf_deinit(&smallest);
            return vz_fail(err, VZ_CANCELLED, "the merge was stopped");
        }
        vz_buf_clear(&smallest);
        vz_buf_append_slice(&smallest, vz_dictionary_term(&first->walk));
        vz_segment_writer_term(merge->writer, vz_buf_slice(&smallest));
        for (size_t i = 0; i < merge->count; i++) {
            struct input *input = &merge->inputs[i];
            if (!input->open ||
                !vz_slice_eq(vz_dictionary_term(&input->walk), vz_buf_slice(&smallest)))
                continue;
            copy_list(merge, input, positions);
            input->open = vz_dictionary_next(&input->walk);
        }
        vz_segment_writer_end_term(merge->writer);
    }
    vz_buf_deinit(&smallest);
    return VZ_OK;
}

static enum vz_status merge_field(struct merge *merge, uint16_t id, struct vz_error *err)
{
    unsigned flags = VZ_TEXT_ALL;
    for (size_t i = 0; i < merge->count; i++) {
        struct input *input = &merge->inputs[i];
        input->field = vz_segment_find_field(input->segment, id);
        if (input->field)
            flags &= input->field->flags; /* they are all the same */
    }
    bool norms = flags & VZ_TEXT_NORMS;
    uint32_t doc_count = norms ? gather_norms(merge) : 0;
    struct vz_bitset seen = {0};
    if (!norms) {
        vz_bitset_init(&seen, merge->limit - merge->base);
        merge->seen = &seen;
    }
    vz_segment_writer_field(merge->writer, id, flags, norms ? merge->norms : NULL);
    for (size_t i = 0; i < merge->count; i++) {
        struct input *input = &merge->inputs[i];
        input->open = false;
        if (!input->field)
            continue;
        vz_dictionary_init(&input->walk, input->segment, input->field);
        input->open = vz_dictionary_next(&input->walk);
    }
    enum vz_status status = merge_terms(merge, flags & VZ_TEXT_POSITIONS, err);
    for (size_t i = 0; i < merge->count; i++)
        if (merge->inputs[i].field)
            vz_dictionary_deinit(&merge->inputs[i].walk);
    if (!norms)
        doc_count = (uint32_t)vz_bitset_count(&seen);
    vz_segment_writer_end_field(merge->writer, doc_count);
    vz_bitset_deinit(&seen);
    merge->seen = NULL;
    return status;
}

/* The next field id over `after` (-1 at first) that any input has; -1 when none. */
static int next_field(const struct merge *merge, int after)
{
    int best = -1;
    for (size_t i = 0; i < merge->count; i++) {
        const struct vz_segment *s = merge->inputs[i].segment;
        for (unsigned f = 0; f < s->field_count; f++)
            if (s->fields[f].id > after && (best < 0 || s->fields[f].id < best))
                best = s->fields[f].id;
    }
    return best;
}

enum vz_status vz_segment_merge(struct vz_segment *const *segments, size_t count,
                                const struct vz_merge_options *options, struct vz_segment **out,
                                struct vz_error *err)
{
    struct merge merge = {.count = count, .options = options};
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        if (i && segments[i]->base != segments[i - 1]->limit)
            return vz_fail(err, VZ_BAD_ARGUMENT, "segments that are merged must be neighbours");
    if (count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "there is nothing to merge");
    merge.base = segments[0]->base;
    merge.limit = segments[count - 1]->limit;
    enum vz_status status = vz_segment_writer_new(options ? options->path : NULL, merge.base,
                                                  merge.limit, &merge.writer, err);
    if (status != VZ_OK)
        return status;
    merge.inputs = vz_calloc(count, sizeof *merge.inputs);
    merge.norms = vz_alloc(merge.limit - merge.base + 1);
    merge.postings = vz_alloc(sizeof *merge.postings);
    for (size_t i = 0; i < count; i++)
        merge.inputs[i].segment = segments[i];
    for (int id = next_field(&merge, -1); id >= 0 && status == VZ_OK; id = next_field(&merge, id))
        status = merge_field(&merge, (uint16_t)id, err);
    if (status == VZ_OK)
        status = vz_segment_writer_finish(merge.writer, out, err);
    else
        vz_segment_writer_abort(merge.writer);
    free(merge.inputs);
    free(merge.norms);
    free(merge.postings);
    return status;
}

/* A run of at least fan_in neighbours none of which is larger than the others put together; the
 * lowest sizes win. This keeps few segments (their sizes grow in steps of fan_in) and moves each
 * document a logarithm of times. */
bool vz_merge_choose(struct vz_segment *const *segments, size_t count, size_t fan_in, size_t *from,
                     size_t *to)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i + fan_in <= count; i++) {
        size_t sum = 0, largest = 0;
        for (size_t n = i; n < i + fan_in; n++) {
            sum += segments[n]->size;
            largest = VZ_MAX(largest, segments[n]->size);
        }
        if (largest * 2 > sum + ((size_t)64 << 10) || sum >= best)
            continue;
        if (segments[i + fan_in - 1]->limit - segments[i]->base > INT32_MAX)
            continue;
        best = sum;
        *from = i;
        *to = i + fan_in;
    }
    return best != SIZE_MAX;
}

/* ---- checking ---------------------------------------------------------------------------------
 */

static enum vz_status validate_list(struct vz_postings *p, const struct vz_segment *segment,
                                    const struct vz_segment_field *field,
                                    const struct vz_dictionary *walk, uint64_t *total_freqs,
                                    struct vz_bitset *docs, struct vz_error *err)
{
    uint32_t count = 0, last = 0;
    uint64_t freqs = 0;
    if (!vz_postings_open_info(p, segment, field, &walk->info))
        return vz_fail(err, VZ_CORRUPT, "a list of postings lies outside its segment");
    while (vz_postings_next(p) != VZ_TEXT_END) {
        if (p->doc < segment->base || p->doc >= segment->limit || (count && p->doc <= last))
            return vz_fail(err, VZ_CORRUPT, "document [%u] is out of order", p->doc);
        last = p->doc;
        count++;
        uint32_t freq = vz_postings_freq(p);
        freqs += freq;
        vz_bitset_set(docs, p->doc - segment->base);
        if (field->norms_kind != VZ_NORMS_NONE && !vz_segment_norm(segment, field, p->doc))
            return vz_fail(err, VZ_CORRUPT, "document [%u] has no length", p->doc);
        unsigned char norm = vz_postings_norm(p);
        if (p->skips) { /* some impact of the block covers this posting */
            bool covered = false;
            for (unsigned i = 0; i < VZ_IMPACTS; i++) {
                struct vz_impact impact = p->skips[p->block].impacts[i];
                covered |= impact.freq && impact.norm <= norm &&
                           (impact.freq == 255 || impact.freq >= freq);
            }
            if (!covered || p->base + p->skips[p->block].last < p->doc)
                return vz_fail(err, VZ_CORRUPT, "an impact is too small");
        }
        if (field->flags & VZ_TEXT_POSITIONS) {
            const uint32_t *positions = vz_postings_positions(p);
            freq = vz_postings_freq(p);
            for (uint32_t i = 1; i < freq; i++)
                if (positions[i] < positions[i - 1])
                    return vz_fail(err, VZ_CORRUPT, "positions are out of order");
        }
    }
    vz_postings_close(p);
    *total_freqs += freqs;
    if (count != walk->info.doc_freq || freqs != walk->info.total_freq)
        return vz_fail(err, VZ_CORRUPT, "a term has [%u] documents, not [%u]", count,
                       walk->info.doc_freq);
    return VZ_OK;
}

static enum vz_status validate_field(struct vz_postings *p, const struct vz_segment *segment,
                                     const struct vz_segment_field *field, struct vz_error *err)
{
    struct vz_dictionary walk;
    struct vz_bitset docs;
    struct vz_buf last = {0};
    uint64_t terms = 0, total_freqs = 0, doc_freqs = 0;
    enum vz_status status = VZ_OK;
    vz_bitset_init(&docs, segment->limit - segment->base + 1);
    vz_dictionary_init(&walk, segment, field);
    while (status == VZ_OK && vz_dictionary_next(&walk)) {
        struct vz_slice term = vz_dictionary_term(&walk);
        struct vz_term_info info;
        if (terms && vz_slice_cmp(vz_buf_slice(&last), term) >= 0)
            status = vz_fail(err, VZ_CORRUPT, "terms are out of order");
        vz_buf_clear(&last);
        vz_buf_append_slice(&last, term);
        if (status == VZ_OK &&
            (!vz_segment_find_term(segment, field, term, &info) ||
             info.doc_freq != walk.info.doc_freq || info.total_freq != walk.info.total_freq ||
             info.at != walk.info.at || info.bytes != walk.info.bytes))
            status = vz_fail(err, VZ_CORRUPT, "a term is not found again");
        terms++;
        doc_freqs += walk.info.doc_freq;
        if (status == VZ_OK)
            status = validate_list(p, segment, field, &walk, &total_freqs, &docs, err);
    }
    if (status == VZ_OK &&
        (terms != field->terms || total_freqs != field->sum_total_freqs ||
         doc_freqs != field->sum_doc_freqs || vz_bitset_count(&docs) != field->doc_count))
        status = vz_fail(err, VZ_CORRUPT, "the statistics of field [%u] are wrong", field->id);
    vz_dictionary_deinit(&walk);
    vz_bitset_deinit(&docs);
    vz_buf_deinit(&last);
    return status;
}

enum vz_status vz_segment_validate(const struct vz_segment *segment, struct vz_error *err)
{
    struct vz_segment_header header;
    memcpy(&header, segment->bytes, sizeof header);
    if (vz_content_hash(segment->bytes + sizeof header, header.fields_at - sizeof header) !=
        header.content_hash)
        return vz_fail(err, VZ_CORRUPT, "a segment does not hold what was written");
    struct vz_postings *p = vz_alloc(sizeof *p);
    enum vz_status status = VZ_OK;
    memset(p, 0, sizeof *p);
    for (unsigned i = 0; i < segment->field_count && status == VZ_OK; i++)
        status = validate_field(p, segment, &segment->fields[i], err);
    vz_postings_close(p);
    free(p);
    return status;
}
