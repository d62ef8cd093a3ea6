/* The vector room's side of bench/vectors: holds rows and queries, obeys one command a line from
 * standard input, answers one JSON object a line. bench/vectors/run drives it in turns with
 * another library in the same process run, so that both see the same minute of the same machine.
 *
 *     bench_vectors ROWS QUERIES DIMS file|huge
 *
 *     build M EF_CONSTRUCTION QUANTIZE   {"seconds":..,"memory_bytes":..}
 *     truth K                            {"seconds":..}  exact answers, for recall
 *     search EF K QUANTIZE               {"seconds":..,"recall":..,"visited":..,"hops":..}
 *     filter KIND PERCENT                {"scan_seconds":..}  a filter a query (see below), its
 * truth filtered EF K QUANTIZE             {"seconds":..,"recall":..,"visited":..,"scans":..} scan
 * {"scan_gb_s":..,"read_gb_s":..} save PATH QUANTIZE, open PATH M QUANTIZE    {"seconds":..}
 *
 * QUANTIZE is an enum vz_quantize, + 4 for flat; all stay side by side. Seconds are processor time.
 */
#include "base/cpu.h"
#include "base/file.h"
#include "vector/hnsw.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILTERS = 50, FILTER_K = 10 };

struct bench {
    float *rows, *queries;
    uint32_t row_count, query_count, dims;
    struct vz_hnsw_options options;
    struct vz_hnsw *graphs[8]; /* by QUANTIZE */
    struct vz_near *truth;     /* truth_k per query */
    uint32_t truth_k;
    /* filtered: of the first FILTERS queries. */
    struct vz_bitset accepted[FILTERS];
    struct vz_near filter_truth[FILTERS][FILTER_K];
    uint32_t matches;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_vectors: %s\n", what);
    exit(1);
}

static float *map_floats(const char *path, size_t *floats)
{
    int fd = open(path, O_RDONLY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        die(path);
    *floats = (size_t)info.st_size / sizeof(float);
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED)
        die("cannot map");
    close(fd);
    return map;
}

static float *into_huge_pages(const float *from, size_t floats)
{
    size_t bytes = (floats * sizeof(float) + (2u << 20) - 1) / (2u << 20) * (2u << 20);
    void *memory = aligned_alloc(2u << 20, bytes);
    if (!memory)
        die("no memory");
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    memcpy(memory, from, floats * sizeof(float));
    return memory;
}

/* Processor time of this thread: all work here is done by one, and other programs on the machine
 * should not count. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double seconds_since(uint64_t start)
{
    return (double)(now_ns() - start) * 1e-9;
}

static void build(struct bench *b, uint32_t m, uint32_t ef_construction, uint32_t quantize)
{
    struct vz_error err = {0};
    vz_hnsw_free(b->graphs[quantize]);
    b->options = (struct vz_hnsw_options){.similarity = VZ_COSINE,
                                          .dims = b->dims,
                                          .rows = b->rows,
                                          .m = m,
                                          .ef_construction = ef_construction,
                                          .quantize = quantize % 4,
                                          .flat = quantize >= 4,
                                          .sample_rows = b->row_count,
                                          .max_rows = b->row_count};
    uint64_t start = now_ns();
    if (vz_hnsw_new(&b->options, &b->graphs[quantize], &err) != VZ_OK)
        die(err.text);
    for (uint32_t row = 0; row < b->row_count; row++)
        if (vz_hnsw_insert(b->graphs[quantize], row, &err) != VZ_OK)
            die(err.text);
    double seconds = seconds_since(start);
    enum vz_status valid = vz_hnsw_validate(b->graphs[quantize], &err);
    printf("{\"seconds\":%.4f,\"memory_bytes\":%zu,\"valid\":%s}\n", seconds,
           vz_hnsw_memory_bytes(b->graphs[quantize]), valid == VZ_OK ? "true" : "false");
}

static void truth(struct bench *b, uint32_t k)
{
    uint64_t start = now_ns();
    free(b->truth);
    b->truth = vz_try_alloc((size_t)b->query_count * k, sizeof *b->truth);
    b->truth_k = k;
    b->options =
        (struct vz_hnsw_options){.similarity = VZ_COSINE, .dims = b->dims, .rows = b->rows};
    for (uint32_t q = 0; q < b->query_count; q++) {
        struct vz_hnsw_search search = {.query = b->queries + (size_t)q * b->dims, .k = k};
        uint32_t found;
        if (vz_exact_range(&b->options, &search, 0, b->row_count, b->truth + (size_t)q * k, &found,
                           NULL) != VZ_OK ||
            found != k)
            die("exact scan");
    }
    printf("{\"seconds\":%.4f}\n", seconds_since(start));
}

static void search(struct bench *b, uint32_t ef, uint32_t k, uint32_t quantize)
{
    if (!b->graphs[quantize] || b->truth_k < k)
        die("build and truth come first");
    struct vz_near *got = vz_try_alloc((size_t)b->query_count * k, sizeof *got);
    uint64_t visited = 0, hops = 0, hits = 0, start = now_ns();
    for (uint32_t q = 0; q < b->query_count; q++) {
        struct vz_hnsw_search one = {.query = b->queries + (size_t)q * b->dims, .k = k, .ef = ef};
        struct vz_hnsw_stats stats;
        uint32_t found;
        if (vz_hnsw_search(b->graphs[quantize], &one, got + (size_t)q * k, &found, &stats, NULL) !=
            VZ_OK)
            die("search");
        for (; found < k; found++)
            got[(size_t)q * k + found].row = UINT32_MAX;
        visited += stats.visited;
        hops += stats.hops;
    }
    double seconds = seconds_since(start);
    for (uint32_t q = 0; q < b->query_count; q++)
        for (uint32_t i = 0; i < k; i++)
            for (uint32_t j = 0; j < k; j++)
                hits += got[(size_t)q * k + j].row == b->truth[(size_t)q * b->truth_k + i].row;
    printf("{\"seconds\":%.6f,\"recall\":%.6f,\"visited\":%.1f,\"hops\":%.1f}\n", seconds,
           (double)hits / ((double)k * b->query_count), (double)visited / b->query_count,
           (double)hops / b->query_count);
    free(got);
}

/* ---- filters ---- */

static bool is_accepted(void *context, uint32_t row)
{
    return vz_bitset_has(context, row);
}

static uint32_t list_accepted(void *context, uint32_t from, uint32_t *rows, uint32_t max)
{
    const struct vz_bitset *set = context;
    uint32_t count = 0;
    for (size_t row = vz_bitset_next(set, from); row < set->bits && count < max;
         row = vz_bitset_next(set, row + 1))
        rows[count++] = (uint32_t)row;
    return count;
}

/* FILTERS bitmaps of a bit a row, one after the other, of which each accepts the same number. */
static void read_filters(struct bench *b, const char *path)
{
    size_t bytes = ((size_t)b->row_count + 7) / 8;
    uint32_t *rows = vz_try_alloc(b->row_count, sizeof *rows);
    FILE *file = fopen(path, "rb");
    double seconds = 0;
    if (!file)
        die(path);
    for (uint32_t q = 0; q < FILTERS; q++) {
        struct vz_bitset *set = &b->accepted[q];
        vz_bitset_deinit(set);
        vz_bitset_init(set, b->row_count);
        if (fread(set->words, 1, bytes, file) != bytes)
            die("short filters");
        uint32_t found, count = list_accepted(set, 0, rows, b->row_count);
        b->matches = count;
        struct vz_hnsw_search search = {.query = b->queries + (size_t)q * b->dims, .k = FILTER_K};
        uint64_t start = now_ns();
        if (vz_exact_rows(&b->options, &search, rows, count, b->filter_truth[q], &found, NULL) !=
                VZ_OK ||
            found != VZ_MIN(count, (uint32_t)FILTER_K))
            die("exact rows");
        seconds += seconds_since(start);
    }
    printf("{\"scan_seconds\":%.6f}\n", seconds / FILTERS);
    fclose(file);
    free(rows);
}

static void filtered(struct bench *b, uint32_t ef, uint32_t k, uint32_t quantize)
{
    uint64_t visited = 0, hits = 0, scans = 0, wanted = 0;
    double seconds = 0;
    for (uint32_t q = 0; q < FILTERS; q++) {
        struct vz_hnsw_search one = {.query = b->queries + (size_t)q * b->dims,
                                     .k = k,
                                     .ef = ef,
                                     .accept = is_accepted,
                                     .accept_context = &b->accepted[q],
                                     .accept_estimate = b->matches,
                                     .accepted = list_accepted};
        struct vz_near got[FILTER_K];
        struct vz_hnsw_stats stats;
        uint32_t found;
        uint64_t start = now_ns();
        if (vz_hnsw_search(b->graphs[quantize], &one, got, &found, &stats, NULL) != VZ_OK ||
            found != VZ_MIN(k, b->matches))
            die("filtered search");
        seconds += seconds_since(start);
        visited += stats.visited;
        scans += stats.scanned;
        wanted += found;
        for (uint32_t i = 0; i < found; i++)
            for (uint32_t j = 0; j < found; j++)
                hits += got[j].row == b->filter_truth[q][i].row;
    }
    printf("{\"seconds\":%.6f,\"recall\":%.5f,\"visited\":%.1f,\"scans\":%.2f}\n",
           seconds / FILTERS, (double)hits / (double)wanted, (double)visited / FILTERS,
           (double)scans / FILTERS);
}

/* A plain read of the same bytes: 64-bit sums over whole lines, prefetched by the hardware. */
static uint64_t read_all(const void *memory, size_t bytes)
{
    const uint64_t *word = memory;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
        for (int lane = 0; lane < 8; lane++)
            sum[lane] += word[i + (size_t)lane];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

static void scan(struct bench *b)
{
    size_t bytes = (size_t)b->row_count * b->dims * sizeof(float);
    double scan_best = 1e9, read_best = 1e9;
    uint64_t sink = 0;
    struct vz_hnsw_options space = {.similarity = VZ_COSINE, .dims = b->dims, .rows = b->rows};
    for (int round = 0; round < 10; round++) {
        struct vz_hnsw_search one = {.query = b->queries, .k = 10};
        struct vz_near out[10];
        uint32_t found;
        uint64_t start = now_ns();
        if (vz_exact_range(&space, &one, 0, b->row_count, out, &found, NULL) != VZ_OK)
            die("exact scan");
        double seconds = seconds_since(start);
        scan_best = VZ_MIN(scan_best, seconds);
        start = now_ns();
        sink += read_all(b->rows, bytes);
        seconds = seconds_since(start);
        read_best = VZ_MIN(read_best, seconds);
    }
    printf("{\"scan_gb_s\":%.3f,\"read_gb_s\":%.3f,\"scan_ms\":%.3f,\"sink\":%d}\n",
           (double)bytes / scan_best * 1e-9, (double)bytes / read_best * 1e-9, scan_best * 1e3,
           (int)(sink & 1));
}

static void save(struct bench *b, const char *path, uint32_t quantize)
{
    struct vz_error err = {0};
    uint64_t start = now_ns();
    if (!b->graphs[quantize] || vz_hnsw_save(b->graphs[quantize], path, &err) != VZ_OK)
        die(err.text);
    printf("{\"seconds\":%.4f}\n", seconds_since(start));
}

static void reopen(struct bench *b, const char *path, uint32_t m, uint32_t quantize)
{
    struct vz_error err = {0};
    vz_hnsw_free(b->graphs[quantize]);
    b->options = (struct vz_hnsw_options){.similarity = VZ_COSINE,
                                          .dims = b->dims,
                                          .rows = b->rows,
                                          .m = m,
                                          .quantize = quantize % 4,
                                          .flat = quantize >= 4,
                                          .sample_rows = b->row_count,
                                          .max_rows = b->row_count};
    uint64_t start = now_ns();
    if (vz_hnsw_open(path, &b->options, &b->graphs[quantize], &err) != VZ_OK)
        die(err.text);
    printf("{\"seconds\":%.6f}\n", seconds_since(start));
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: bench_vectors ROWS QUERIES DIMS file|huge < commands");
    struct bench b = {.dims = (uint32_t)strtoul(argv[3], NULL, 10)};
    size_t floats;
    b.rows = map_floats(argv[1], &floats);
    b.row_count = (uint32_t)(floats / b.dims);
    if (strcmp(argv[4], "huge") == 0)
        b.rows = into_huge_pages(b.rows, floats);
    b.queries = map_floats(argv[2], &floats);
    b.query_count = (uint32_t)(floats / b.dims);
    char line[512], path[400];
    unsigned x, y, z;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "build %u %u %u", &x, &y, &z) == 3 && z < 8)
            build(&b, x, y, z);
        else if (sscanf(line, "truth %u", &x) == 1)
            truth(&b, x);
        else if (sscanf(line, "search %u %u %u", &x, &y, &z) == 3 && z < 8)
            search(&b, x, y, z);
        else if (sscanf(line, "filtered %u %u %u", &x, &y, &z) == 3 && y <= FILTER_K && z < 8)
            filtered(&b, x, y, z);
        else if (sscanf(line, "filters %399s", path) == 1)
            read_filters(&b, path);
        else if (strncmp(line, "scan", 4) == 0)
            scan(&b);
        else if (sscanf(line, "save %399s %u", path, &x) == 2 && x < 8)
            save(&b, path, x);
        else if (sscanf(line, "open %399s %u %u", path, &x, &y) == 3 && y < 8)
            reopen(&b, path, x, y);
        else if (strncmp(line, "cpu", 3) == 0)
            printf("{\"kernels\":\"%s\"}\n", vz_cpu_describe());
        else
            die("unknown command");
        fflush(stdout);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(b.graphs); i++)
        vz_hnsw_free(b.graphs[i]);
    free(b.truth);
    return 0;
}
