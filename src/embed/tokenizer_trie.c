/* embed/tokenizer_trie.c - texts to numbers, a byte at a time.
 *
 * The edges of all nodes lie in one open hash, (node, byte) -> node. Against a hash of whole texts,
 * one walk finds all vocabulary entries that begin at a place, which is what WordPiece and Unigram
 * ask for. A double array would halve the misses, but takes longer to build than a model's whole
 * load may take: 30,522 words in 6 ms here.
 */
#include <stdlib.h>

#include "embed/tokenizer_parts.h"

#define MAX_NODES (1u << 24)

static void edge_put(struct tok_trie *trie, struct tok_edge edge)
{
    size_t at = tok_trie_slot(trie, edge.key);
    while (trie->edges[at].key != TOK_NONE)
        at = (at + 1) & (trie->slots - 1);
    trie->edges[at] = edge;
}

static void edges_resize(struct tok_trie *trie, size_t slots)
{
    struct tok_trie old = *trie;
    trie->slots = slots;
    trie->edges = vz_alloc(trie->slots * sizeof *trie->edges);
    memset(trie->edges, 0xFF, trie->slots * sizeof *trie->edges);
    for (size_t i = 0; i < old.slots; i++)
        if (old.edges[i].key != TOK_NONE)
            edge_put(trie, old.edges[i]);
    free(old.edges);
}

void tok_trie_expect(struct tok_trie *trie, size_t nodes)
{
    size_t slots = 1024;
    while (slots < VZ_MIN(nodes, MAX_NODES) * 2)
        slots *= 2;
    if (slots > trie->slots)
        edges_resize(trie, slots);
}

static uint32_t node_new(struct tok_trie *trie)
{
    if (trie->nodes == trie->node_capacity) {
        trie->node_capacity = trie->node_capacity ? trie->node_capacity * 2 : 512;
        trie->values = vz_realloc(trie->values, trie->node_capacity * sizeof *trie->values);
    }
    trie->values[trie->nodes] = TOK_NONE;
    return (uint32_t)trie->nodes++;
}

bool tok_trie_add(struct tok_trie *trie, struct vz_slice text, uint32_t value)
{
    if (!trie->nodes)
        node_new(trie);
    uint32_t node = TOK_TRIE_ROOT;
    for (size_t i = 0; i < text.len; i++) {
        if (trie->nodes * 2 >= trie->slots)
            edges_resize(trie, trie->slots ? trie->slots * 2 : 1024);
        uint32_t next = tok_trie_step(trie, node, (unsigned char)text.ptr[i]);
        if (next == TOK_NONE) {
            if (trie->nodes >= MAX_NODES - 1)
                return false;
            next = node_new(trie);
            edge_put(trie, (struct tok_edge){node << 8 | (unsigned char)text.ptr[i], next});
        }
        node = next;
    }
    trie->values[node] = value;
    return true;
}

void tok_trie_deinit(struct tok_trie *trie)
{
    free(trie->edges);
    free(trie->values);
    *trie = (struct tok_trie){0};
}

uint32_t tok_trie_walk(const struct tok_trie *trie, uint32_t node, struct vz_slice text)
{
    if (!trie->slots)
        return text.len || !trie->nodes ? TOK_NONE : node;
    for (size_t i = 0; i < text.len && node != TOK_NONE; i++)
        node = tok_trie_step(trie, node, (unsigned char)text.ptr[i]);
    return node;
}

uint32_t tok_trie_get(const struct tok_trie *trie, struct vz_slice text)
{
    uint32_t node = tok_trie_walk(trie, TOK_TRIE_ROOT, text);
    return node == TOK_NONE ? TOK_NONE : trie->values[node];
}
