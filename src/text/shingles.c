/* The analyzers of search_as_you_type fields: those of another analyzer with shingles of one size
 * behind it and, for what is indexed to be found by its beginning, the beginnings of those.
 *
 * Shingles here are Lucene's FixedShingleFilter: one size only; each way through a graph of
 * synonyms gives its own; a hole within is an empty word; a hole never begins one. At the end of
 * the text a shingle may run into the positions removed behind the last token. The index of
 * beginnings pretends that there are size - 1 of them, so that the last words begin shingles, too
 * ("lazy dog" of three: "lazy dog ", "dog  ").
 */
#include "text/analysis_parts.h"

#include <stdlib.h>

#define MAX_WAYS 1000 /* through a graph from one token, as in Lucene */

struct shingles {
    unsigned size;
    bool trailing; /* as if size - 1 positions followed the text */
};

struct making {
    const struct shingles *how;
    struct vz_tokens *tokens;
    struct vz_tokens *out;
    struct vz_buf text;
    uint32_t trailing;
    uint32_t pending; /* increment of the next shingle */
    const struct vz_token *base;
    unsigned ways;
};

static void put_shingle(struct making *m, uint32_t end, unsigned fillers)
{
    size_t len = m->text.len;
    for (unsigned i = 0; i < fillers; i++)
        vz_buf_append_char(&m->text, ' ');
    struct vz_token *token = vz_tokens_push(m->out);
    *token = *m->base;
    token->text = vz_arena_copy(&m->tokens->arena, vz_buf_slice(&m->text));
    token->end = end;
    token->type = VZ_TOKEN_SHINGLE;
    token->keyword = false;
    token->position_length = 1;
    token->increment = m->pending;
    m->pending = 0;
    m->ways++;
    m->text.len = len;
}

/* The words behind `at`, which is word number `count` of the shingle (from 1). */
static void extend(struct making *m, size_t at, unsigned count)
{
    const struct vz_token *here = &m->tokens->items[at];
    uint32_t next = here->position + VZ_MAX(here->position_length, 1u);
    unsigned left = m->how->size - count;
    if (left == 0 || m->ways >= MAX_WAYS) {
        if (left == 0)
            put_shingle(m, here->end, 0);
        return;
    }
    size_t i = at + 1;
    while (i < m->tokens->count && m->tokens->items[i].position < next)
        i++;
    if (i == m->tokens->count) {
        if (m->trailing >= left)
            put_shingle(m, here->end, left);
        return;
    }
    uint32_t found = m->tokens->items[i].position, holes = found - next;
    if (holes >= left) {
        put_shingle(m, here->end, left);
        return;
    }
    size_t len = m->text.len;
    for (; i < m->tokens->count && m->tokens->items[i].position == found; i++) {
        for (uint32_t h = 0; h <= holes; h++)
            vz_buf_append_char(&m->text, ' ');
        vz_buf_append_slice(&m->text, m->tokens->items[i].text);
        extend(m, i, count + holes + 1);
        m->text.len = len;
    }
}

static enum vz_status run_shingles(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                   struct vz_error *err)
{
    const struct shingles *how = filter->config;
    struct vz_tokens out = {0};
    struct making m = {.how = how, .tokens = tokens, .out = &out};
    enum vz_status status = VZ_OK;
    uint32_t position = 0;
    for (size_t i = 0; i < tokens->count; i++) { /* increments are what filters see */
        position += tokens->items[i].increment;
        tokens->items[i].position = position;
    }
    m.trailing = how->trailing ? how->size - 1 : tokens->end_increment;
    for (size_t i = 0; i < tokens->count && status == VZ_OK; i++) {
        m.base = &tokens->items[i];
        m.pending += m.base->increment;
        m.ways = 0;
        vz_buf_clear(&m.text);
        vz_buf_append_slice(&m.text, m.base->text);
        extend(&m, i, 1);
        if (out.count > vz_tokens_limit(tokens))
            status = vz_fail(err, VZ_LIMIT, "shingles make more than [%zu] tokens",
                             vz_tokens_limit(tokens));
        else
            status = vz_tokens_check(tokens, err);
    }
    vz_buf_deinit(&m.text);
    tokens->end_increment += m.pending;
    vz_tokens_swap_items(tokens, &out);
    free(out.items);
    return status;
}

enum vz_status vz_shingles_make(const struct vz_making *making, unsigned size, bool trailing,
                                struct vz_token_filter *out)
{
    struct shingles *how = vz_making_zalloc(making, sizeof *how);
    *how = (struct shingles){.size = size, .trailing = trailing};
    out->config = how;
    out->run = run_shingles;
    return VZ_OK;
}

enum vz_status vz_tokens_shingle(struct vz_tokens *tokens, unsigned size, struct vz_error *err)
{
    struct shingles how = {.size = size};
    struct vz_token_filter filter = {.config = &how};
    enum vz_status status = run_shingles(&filter, tokens, err);
    uint32_t position = UINT32_MAX;
    for (size_t i = 0; i < tokens->count; i++) {
        position += tokens->items[i].increment;
        tokens->items[i].position = position;
    }
    tokens->end_position = position + 1 + tokens->end_increment;
    return status;
}
