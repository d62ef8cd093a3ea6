/* The tokens of many documents, grouped by term: see batch.h.
 *
 * Uses are noted as they come and sorted by term at the end, by counting: within a term they stay
 * in the order of documents and positions. Invariants: terms[t].from .. to are its uses in
 * `sorted`; fields ascend by doc, one for each field that a document has. */
#include "text/batch_parts.h"

#include <stdlib.h>

#define MAX_USES ((size_t)1 << 30)

struct vz_text_batch *vz_text_batch_new(void)
{
    return vz_calloc(1, sizeof(struct vz_text_batch));
}

void vz_text_batch_free(struct vz_text_batch *batch)
{
    if (!batch)
        return;
    vz_arena_deinit(&batch->texts);
    free(batch->terms);
    free(batch->slots.at);
    free(batch->uses);
    free(batch->use_terms);
    free(batch->sorted);
    free(batch->fields);
    free(batch);
}

uint32_t vz_text_batch_docs(const struct vz_text_batch *batch)
{
    return batch->docs;
}

static uint32_t new_term(struct vz_text_batch *b, uint16_t field, struct vz_slice text,
                         uint32_t hash)
{
    if (b->term_count == b->term_capacity) {
        b->term_capacity = b->term_capacity ? b->term_capacity * 2 : 2048;
        b->terms = vz_realloc(b->terms, b->term_capacity * sizeof *b->terms);
    }
    b->terms[b->term_count] = (struct vz_batch_term){
        .key = {vz_arena_copy(&b->texts, text).ptr, hash, (uint16_t)text.len, field}};
    return b->term_count++;
}

static inline uint32_t term_of(struct vz_text_batch *b, uint16_t field, struct vz_slice text)
{
    uint32_t hash = vz_term_hash(field, text);
    if (b->term_count * 2 >= b->slots.count)
        vz_term_slots_grow(&b->slots, b->terms, sizeof *b->terms, b->term_count);
    uint32_t *slot = vz_term_slots_find(&b->slots, b->terms, sizeof *b->terms, field, text, hash);
    if (!*slot)
        *slot = new_term(b, field, text, hash) + 1;
    return *slot - 1;
}

/* The field of the newest document. */
static struct vz_batch_field *field_of(struct vz_text_batch *b, uint32_t doc, uint16_t field,
                                       unsigned flags, bool *later)
{
    for (size_t i = b->field_count; i && b->fields[i - 1].doc == doc; i--)
        if ((*later = b->fields[i - 1].field == field))
            return &b->fields[i - 1];
    *later = false;
    if (b->field_count == b->field_capacity) {
        b->field_capacity = b->field_capacity ? b->field_capacity * 2 : 1024;
        b->fields = vz_realloc(b->fields, b->field_capacity * sizeof *b->fields);
    }
    struct vz_batch_field *made = &b->fields[b->field_count++];
    *made = (struct vz_batch_field){
        .doc = doc, .position = UINT32_MAX, .field = field, .flags = (uint8_t)flags};
    return made;
}

enum vz_status vz_text_batch_add(struct vz_text_batch *b, uint32_t doc, uint16_t id, unsigned flags,
                                 const struct vz_tokens *tokens, uint32_t gap, struct vz_error *err)
{
    bool later;
    if (b->use_count + tokens->count > MAX_USES)
        return vz_fail(err, VZ_LIMIT, "the texts of a request give more than [%zu] tokens",
                       MAX_USES);
    if (b->use_count + tokens->count > b->use_capacity) {
        b->use_capacity = VZ_MAX(b->use_capacity * 2, b->use_count + tokens->count + 8192);
        b->uses = vz_realloc(b->uses, b->use_capacity * sizeof *b->uses);
        b->use_terms = vz_realloc(b->use_terms, b->use_capacity * sizeof *b->use_terms);
    }
    struct vz_batch_field *field = field_of(b, doc, id, flags, &later);
    uint32_t before = field->position;
    if (later)
        before += gap;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        if (token->text.len > VZ_MAX_TERM_BYTES)
            continue;
        b->use_terms[b->use_count] = term_of(b, id, token->text);
        b->uses[b->use_count++] = (struct vz_batch_use){doc, before + 1 + token->position};
        field->length += token->increment > 0 || i == 0;
        field->counted = true;
    }
    field->position = before + tokens->end_position;
    b->docs = doc + 1;
    return VZ_OK;
}

void vz_text_batch_finish(struct vz_text_batch *b)
{
    b->sorted = vz_alloc((b->use_count + 1) * sizeof *b->sorted);
    for (size_t i = 0; i < b->use_count; i++)
        b->terms[b->use_terms[i]].to++;
    uint32_t at = 0;
    for (uint32_t t = 0; t < b->term_count; t++) {
        uint32_t count = b->terms[t].to;
        b->terms[t].from = b->terms[t].to = at;
        at += count;
    }
    for (size_t i = 0; i < b->use_count; i++)
        b->sorted[b->terms[b->use_terms[i]].to++] = b->uses[i];
    free(b->uses);
    free(b->use_terms);
    b->uses = NULL;
    b->use_terms = NULL;
}
