/* Saving a graph to a file and opening it again. The format: docs/format/graph.md.
 *
 * Opening maps the sections privately over the arrays' address space, so it costs the same for any
 * size: pages come in when a walk first needs them and are copied when an insert first writes to
 * them. The header is always verified. The sections' own checksums are verified on open while they
 * are small (VERIFY_BYTES, a few milliseconds); for larger files a flipped byte costs recall and
 * nothing else, because a walk bounds every row number and list number that it reads. */
#include "vector/graph.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "vzgraph1"
#define VERSION 1
#define SECTION_ALIGN ((uint64_t)65536) /* the largest page of any system we run on */
#define VERIFY_BYTES ((uint64_t)64 << 20)

enum { LEVEL0, PLACE, UPPER, CODES, MEAN, SECTIONS };

struct section {
    uint64_t offset, bytes, hash;
};

/* Little-endian on disk; `order` tells a file from a machine of the other kind. */
struct header {
    char magic[8];
    uint32_t version, order;
    uint32_t similarity, dims, m, ef_construction;
    uint64_t seed;
    uint32_t count, quantized;
    uint64_t entry;
    uint32_t upper_lists, code_stride;
    struct section sections[SECTIONS];
    uint32_t removed_linked, removed;
    uint8_t zero[4096 - 64 - SECTIONS * sizeof(struct section) - 8 - 8];
    uint64_t hash; /* XXH3 of all bytes before it */
};
_Static_assert(sizeof(struct header) == 4096, "the header is a page");

#define FLAT 0x100u /* in header.quantized; the element is in its bits 16 and up */
#define ORDER_MARK 0x01020304u

static uint64_t align_up(uint64_t bytes)
{
    return (bytes + SECTION_ALIGN - 1) / SECTION_ALIGN * SECTION_ALIGN;
}

static struct vz_grow *section_array(struct vz_hnsw *graph, int section)
{
    struct vz_grow *arrays[SECTIONS] = {&graph->level0, &graph->place, &graph->upper, &graph->codes,
                                        &graph->mean};
    return arrays[section];
}

static uint32_t quantized_of(const struct vz_hnsw *graph)
{
    return (uint32_t)graph->quantize | (graph->flat ? FLAT : 0) | graph->options.element << 16;
}

/* Where the sections of a graph of `count` rows lie; returns the file's size. */
static uint64_t lay_out(const struct vz_hnsw *graph, uint32_t count, uint32_t upper_lists,
                        struct section sections[SECTIONS])
{
    uint64_t bytes[SECTIONS] = {
        [LEVEL0] = graph->flat ? 0 : (uint64_t)count * graph->record * sizeof(vz_link),
        [PLACE] = (uint64_t)count * sizeof(vz_link),
        [UPPER] = (uint64_t)upper_lists * graph->m * sizeof(vz_link),
        [CODES] = graph->quantized ? (uint64_t)count * graph->code_stride : 0,
        [MEAN] = vz_is_coarse(graph) ? graph->options.dims * sizeof(float) : 0,
    };
    uint64_t offset = SECTION_ALIGN;
    for (int i = 0; i < SECTIONS; i++) {
        sections[i].offset = i < MEAN || bytes[i] ? offset : 0; /* older files have no MEAN */
        sections[i].bytes = bytes[i];
        offset += align_up(bytes[i]);
    }
    return offset;
}

/* ---- save ---- */

static enum vz_status write_all(int fd, const void *bytes, uint64_t len, uint64_t offset,
                                const char *path, struct vz_error *err)
{
    const char *at = bytes;
    while (len) {
        ssize_t wrote = pwrite(fd, at, VZ_MIN(len, (uint64_t)1 << 30), (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return vz_fail_errno(err, errno, "cannot write the graph %s", path);
        at += wrote;
        len -= (uint64_t)wrote;
        offset += (uint64_t)wrote;
    }
    return VZ_OK;
}

static enum vz_status write_file(const struct vz_hnsw *graph, int fd, const char *path,
                                 struct vz_error *err)
{
    struct header *header = vz_calloc(1, sizeof *header);
    memcpy(header->magic, MAGIC, 8);
    header->version = VERSION;
    header->order = ORDER_MARK;
    header->similarity = (uint32_t)graph->options.similarity;
    header->dims = graph->options.dims;
    header->m = graph->m;
    header->ef_construction = graph->options.ef_construction;
    header->seed = graph->options.seed;
    header->count = vz_hnsw_count(graph);
    header->quantized = quantized_of(graph);
    header->entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    header->upper_lists = atomic_load_explicit(&graph->upper_lists, memory_order_relaxed);
    header->code_stride = graph->code_stride;
    header->removed_linked = atomic_load_explicit(&graph->removed_linked, memory_order_relaxed);
    header->removed = atomic_load_explicit(&graph->removed, memory_order_relaxed);
    uint64_t size = lay_out(graph, header->count, header->upper_lists, header->sections);
    const char *bases[SECTIONS] = {graph->level0.base, graph->place.base, graph->upper.base,
                                   graph->codes.base, graph->mean.base};
    enum vz_status status = VZ_OK;
    for (int i = 0; i < SECTIONS && status == VZ_OK; i++) {
        struct section *section = &header->sections[i];
        section->hash = XXH3_64bits(section->bytes ? bases[i] : "", section->bytes);
        status = write_all(fd, bases[i], section->bytes, section->offset, path, err);
    }
    header->hash = XXH3_64bits(header, offsetof(struct header, hash));
    if (status == VZ_OK && ftruncate(fd, (off_t)size) != 0)
        status = vz_fail_errno(err, errno, "cannot size the graph %s", path);
    if (status == VZ_OK)
        status = write_all(fd, header, sizeof *header, 0, path, err);
    if (status == VZ_OK && fsync(fd) != 0)
        status = vz_fail_errno(err, errno, "cannot sync the graph %s", path);
    free(header);
    return status;
}

static enum vz_status sync_folder_of(const char *path, struct vz_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? vz_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : vz_strdup(".");
    enum vz_status status = vz_sync_dir(folder, err);
    free(folder);
    return status;
}

enum vz_status vz_hnsw_save(const struct vz_hnsw *graph, const char *path, struct vz_error *err)
{
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    if (limit != vz_hnsw_count(graph))
        return vz_fail(err, VZ_BUSY, "rows %u to %u of the graph are not all in yet",
                       vz_hnsw_count(graph), limit - 1);
    struct vz_buf temporary = {0};
    vz_buf_printf(&temporary, "%s.new", path);
    int fd = open(temporary.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum vz_status status;
    if (fd < 0) {
        status = vz_fail_errno(err, errno, "cannot create %s", temporary.data);
        goto out;
    }
    status = write_file(graph, fd, temporary.data, err);
    close(fd);
    if (status == VZ_OK && rename(temporary.data, path) != 0)
        status = vz_fail_errno(err, errno, "cannot rename %s", temporary.data);
    if (status == VZ_OK)
        status = sync_folder_of(path, err);
    else
        unlink(temporary.data);
out:
    vz_buf_deinit(&temporary);
    return status;
}

/* ---- open ---- */

static enum vz_status read_header(int fd, const char *path, struct header *header,
                                  struct vz_error *err)
{
    ssize_t got = pread(fd, header, sizeof *header, 0);
    if (got < 0)
        return vz_fail_errno(err, errno, "cannot read the graph %s", path);
    if (got != (ssize_t)sizeof *header || memcmp(header->magic, MAGIC, 8) != 0)
        return vz_fail(err, VZ_CORRUPT, "%s is no graph", path);
    if (header->order != ORDER_MARK)
        return vz_fail(err, VZ_CORRUPT, "graph %s is from a machine of another byte order", path);
    if (header->version != VERSION)
        return vz_fail(err, VZ_CORRUPT, "graph %s has version %u, this program reads %d", path,
                       header->version, VERSION);
    if (header->hash != XXH3_64bits(header, offsetof(struct header, hash)))
        return vz_fail(err, VZ_CORRUPT, "graph %s: the header's checksum is wrong", path);
    return VZ_OK;
}

/* The header is whole; does it describe this graph, and is the file what it describes? */
static enum vz_status check_header(const struct vz_hnsw *graph, const struct header *header,
                                   uint64_t file_bytes, const char *path, struct vz_error *err)
{
    const struct vz_hnsw_options *o = &graph->options;
    if (header->similarity != (uint32_t)o->similarity || header->dims != o->dims ||
        header->m != graph->m || header->quantized != quantized_of(graph) ||
        header->code_stride != graph->code_stride)
        return vz_fail(err, VZ_CORRUPT,
                       "graph %s is of similarity %u, dims %u, m %u, quantize %u; expected %u, %u, "
                       "%u, %u",
                       path, header->similarity, header->dims, header->m, header->quantized,
                       (unsigned)o->similarity, o->dims, graph->m, quantized_of(graph));
    if (header->count > graph->max_rows)
        return vz_fail(err, VZ_CORRUPT, "graph %s holds %u rows, the limit is %u", path,
                       header->count, graph->max_rows);
    struct section expected[SECTIONS];
    uint64_t size = lay_out(graph, header->count, header->upper_lists, expected);
    bool same = size == file_bytes;
    for (int i = 0; i < SECTIONS; i++)
        same = same && header->sections[i].offset == expected[i].offset &&
               header->sections[i].bytes == expected[i].bytes;
    if (!same)
        return vz_fail(err, VZ_CORRUPT, "graph %s is %llu bytes, expected %llu", path,
                       (unsigned long long)file_bytes, (unsigned long long)size);
    if (header->removed > header->count || header->removed_linked > header->removed)
        return vz_fail(err, VZ_CORRUPT, "graph %s: %u of %u rows are removed, %u linked", path,
                       header->removed, header->count, header->removed_linked);
    uint32_t linked = header->count - (header->removed - header->removed_linked);
    uint32_t entry_row = (uint32_t)header->entry - 1;
    if (linked == 0 || graph->flat
            ? header->entry != 0
            : entry_row >= header->count || vz_entry_level(header->entry) > VZ_LEVEL_MAX)
        return vz_fail(err, VZ_CORRUPT, "graph %s: the entry point is not in the graph", path);
    return VZ_OK;
}

static enum vz_status map_section(struct vz_grow *array, int fd, const struct section *section,
                                  const char *path, struct vz_error *err)
{
    if (!section->bytes)
        return VZ_OK;
    enum vz_status status = vz_grow_ensure(array, section->bytes, err);
    if (status != VZ_OK)
        return status;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (section->bytes + page - 1) / page * page;
    if (mmap(array->base, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED,
             fd, (off_t)section->offset) == MAP_FAILED)
        return vz_fail_errno(err, errno, "cannot map the graph %s", path);
    /* The last page goes on to be memory of rows to come, which starts as zero. */
    memset(array->base + section->bytes, 0, mapped - section->bytes);
    return VZ_OK;
}

static enum vz_status map_sections(struct vz_hnsw *graph, int fd, const struct header *header,
                                   const char *path, struct vz_error *err)
{
    uint64_t total = 0;
    for (int i = 0; i < SECTIONS; i++)
        total += header->sections[i].bytes;
    for (int i = 0; i < SECTIONS; i++) {
        const struct section *section = &header->sections[i];
        struct vz_grow *array = section_array(graph, i);
        enum vz_status status = map_section(array, fd, section, path, err);
        if (status != VZ_OK)
            return status;
        if (section->bytes && total <= VERIFY_BYTES &&
            XXH3_64bits(array->base, section->bytes) != section->hash)
            return vz_fail(err, VZ_CORRUPT, "graph %s: the checksum of section %d is wrong", path,
                           i);
    }
    return VZ_OK;
}

enum vz_status vz_hnsw_open(const char *path, const struct vz_hnsw_options *options,
                            struct vz_hnsw **out, struct vz_error *err)
{
    *out = NULL;
    struct vz_hnsw *graph = NULL;
    struct header *header = vz_calloc(1, sizeof *header);
    enum vz_status status = VZ_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        status = vz_fail_errno(err, errno, "cannot open the graph %s", path);
        goto out;
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = vz_fail_errno(err, errno, "cannot read the size of %s", path);
        goto out;
    }
    status = read_header(fd, path, header, err);
    if (status != VZ_OK)
        goto out;
    struct vz_hnsw_options saved = *options;
    saved.seed = header->seed; /* levels of the rows to come follow those that are there */
    status = vz_graph_init(&saved, &graph, err);
    if (status == VZ_OK)
        status = check_header(graph, header, (uint64_t)info.st_size, path, err);
    if (status == VZ_OK)
        status = map_sections(graph, fd, header, path, err);
    if (status != VZ_OK)
        goto out;
    atomic_store_explicit(&graph->upper_lists, header->upper_lists, memory_order_relaxed);
    atomic_store_explicit(&graph->removed_linked, header->removed_linked, memory_order_relaxed);
    atomic_store_explicit(&graph->removed, header->removed, memory_order_relaxed);
    atomic_store_explicit(&graph->limit, header->count, memory_order_release);
    atomic_store_explicit(&graph->count, header->count, memory_order_release);
    atomic_store_explicit(&graph->entry, header->entry, memory_order_release);
    *out = graph;
    graph = NULL;
out:
    vz_hnsw_free(graph);
    free(header);
    if (fd >= 0)
        close(fd);
    return status;
}
