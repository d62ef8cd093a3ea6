/* store/memory.c - what vectors and columns take of memory, by part; what the budget counts.
 *
 * The budget counts what a search of the whole index touches, as if all of it were resident:
 *   rows     of fields whose walks read them: not of quantized kinds, whose floats stay on disk and
 *            are read for the last few candidates
 *   codes, links, places, a docno a row, columns, what is remembered of filters
 * and for rows that the graph does not have yet what it will take for them, so that a graph never
 * grows past what writes were allowed. A graph being built beside another one is counted as it
 * grows; it is not begun without room.
 */
#include "store/index.h"

#define LINE_BYTES 64
#define LINK_BYTES 4
#define DOCNO_BYTES 4

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* The layout of vector/graph.h. */
static size_t code_bytes(uint32_t quantize, size_t dims)
{
    switch (quantize) {
    case VZ_QUANTIZE_INT8:
        return round_up(dims + 12, LINE_BYTES);
    case VZ_QUANTIZE_INT4:
        return round_up(dims / 2, 16) + 16;
    case VZ_QUANTIZE_BIT:
        return round_up(dims / 8, 16) + 16;
    default:
        return 0;
    }
}

struct vz_row_cost vz_row_cost(const struct vz_field *field)
{
    size_t dims = field->dims, row = round_up(vz_element_bytes(field->element, dims), LINE_BYTES);
    struct vz_row_cost cost = {.row_bytes = row, .docno_bytes = DOCNO_BYTES};
    if (!vz_graph_wanted(field)) {
        cost.resident_row_bytes = row;
        return cost;
    }
    cost.code_bytes = code_bytes(field->quantize, dims);
    cost.link_bytes = LINK_BYTES; /* its place */
    if (!field->flat) {
        size_t m = VZ_MAX(field->m, 2u);
        cost.link_bytes += round_up(2 * m * LINK_BYTES, LINE_BYTES) + m * LINK_BYTES / (m - 1) + 1;
    }
    cost.resident_row_bytes = cost.code_bytes ? 0 : row;
    return cost;
}

size_t vz_row_cost_memory(const struct vz_row_cost *cost)
{
    return cost->resident_row_bytes + cost->code_bytes + cost->link_bytes + cost->docno_bytes;
}

/* Of one field: what there is, and what the budget counts. */
static size_t field_memory(struct vz_rows *rows, const struct vz_field *field,
                           struct vz_vector_stats *out)
{
    struct vz_row_cost cost = vz_row_cost(field);
    struct vz_hnsw_memory parts = {0};
    struct vz_graph *graph = vz_graph_acquire(rows);
    size_t count = atomic_load_explicit(&rows->count, memory_order_acquire);
    *out = (struct vz_vector_stats){.field = field,
                                    .rows = count,
                                    .row_bytes = count * rows->stride,
                                    .docno_bytes = count * DOCNO_BYTES,
                                    .growing_bytes = atomic_load(&rows->growing_bytes)};
    if (graph) {
        vz_hnsw_memory_parts(graph->hnsw, &parts);
        out->rows_in_graph = vz_hnsw_count(graph->hnsw);
        out->removed = vz_hnsw_removed_count(graph->hnsw);
        out->code_bytes = parts.codes;
        out->link_bytes = parts.links + parts.upper + parts.places;
        out->fixed_bytes = parts.fixed;
        out->old_kind = vz_graph_is_old(rows, field);
        vz_graph_release(graph);
    }
    size_t waiting = count - VZ_MIN(count, out->rows_in_graph);
    if (vz_graph_wanted(field))
        waiting *= cost.code_bytes + cost.link_bytes;
    else
        waiting = 0;
    out->memory_bytes = count * cost.resident_row_bytes + out->docno_bytes + out->code_bytes +
                        out->link_bytes + out->fixed_bytes + out->growing_bytes + waiting;
    return out->memory_bytes;
}

size_t vz_generation_memory(const struct vz_generation *gen, const struct vz_mapping *mapping,
                            struct vz_index_stats *stats)
{
    size_t memory = 0, columns = 0;
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        const struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_acquire);
        if (rows && i < vz_mapping_count(mapping)) {
            struct vz_vector_stats field;
            memory += field_memory(rows, vz_mapping_field(mapping, (uint16_t)i), &field);
            stats->rows += field.rows;
            stats->rows_in_graph += field.rows_in_graph;
            stats->vector_bytes += field.row_bytes;
            stats->graph_bytes +=
                field.link_bytes + field.code_bytes + field.fixed_bytes + field.growing_bytes;
        }
        if (column)
            columns +=
                atomic_load_explicit(&column->count, memory_order_acquire) * (4 + column->width) +
                vz_codes_bytes(column->codes);
    }
    stats->column_bytes += columns;
    struct vz_text_index *index = atomic_load_explicit(&gen->texts, memory_order_acquire);
    struct vz_text_index_stats texts = {0};
    if (index)
        vz_text_index_stats(index, &texts);
    stats->text_bytes += texts.memory_bytes + texts.mapped_bytes + texts.buffer_bytes;
    stats->text_segments += texts.segments;
    return memory + columns + stats->text_bytes + atomic_load(&gen->remembered.bytes);
}

void vz_index_account(struct vz_index *index)
{
    struct vz_index_stats stats = {0};
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_mapping *mapping = vz_index_mapping(index);
    size_t now = vz_generation_memory(gen, mapping, &stats);
    vz_mapping_release(mapping);
    vz_generation_release(gen);
    size_t before = atomic_exchange(&index->memory_bytes, now);
    atomic_fetch_add(&index->store->memory_bytes, now - before);
}

size_t vz_store_memory_left(const struct vz_store *store)
{
    size_t used = atomic_load_explicit(&store->memory_bytes, memory_order_relaxed);
    return store->max_memory_bytes - VZ_MIN(used, store->max_memory_bytes);
}

size_t vz_index_vector_stats(struct vz_index *index, struct vz_arena *arena,
                             struct vz_vector_stats **out)
{
    *out = NULL;
    struct vz_generation *gen = vz_index_generation(index);
    if (!gen) /* a shell of a closed one */
        return 0;
    struct vz_mapping *mapping = vz_index_mapping(index);
    size_t count = 0, fields = vz_mapping_count(mapping);
    *out = vz_arena_alloc(arena, (fields + 1) * sizeof **out);
    for (size_t i = 0; i < fields; i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        if (!rows)
            continue;
        struct vz_vector_stats *stats = &(*out)[count++];
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        field_memory(rows, field, stats);
        stats->path = vz_arena_copy(arena, field->path);
        stats->quantize = field->quantize;
        stats->field = NULL;
    }
    vz_mapping_release(mapping);
    vz_generation_release(gen);
    return count;
}

void vz_vector_memory_statement(uint32_t dims, struct vz_buf *out)
{
    static const struct {
        const char *name;
        uint32_t quantize;
    } kinds[] = {{"hnsw", VZ_QUANTIZE_NONE},
                 {"int8_hnsw", VZ_QUANTIZE_INT8},
                 {"int4_hnsw", VZ_QUANTIZE_INT4},
                 {"bbq_hnsw", VZ_QUANTIZE_BIT}};
    struct vz_field field = {.dims = dims, .m = 16, .indexed = true};
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++) {
        field.quantize = kinds[i].quantize;
        struct vz_row_cost cost = vz_row_cost(&field);
        vz_buf_printf(out, "%s%s %zu", i ? ", " : "", kinds[i].name, vz_row_cost_memory(&cost));
    }
    struct vz_row_cost cost = vz_row_cost(&field);
    vz_buf_printf(out, "; %zu on disk", cost.row_bytes);
}
