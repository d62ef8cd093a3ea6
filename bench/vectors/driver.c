/* The vector room's side of bench/vectors: holds rows and queries, obeys one command a line from
 * standard input, answers one JSON object a line. compare.py drives it.
 *
 *     bench_vectors ROWS QUERIES DIMS file|huge|cold|touch
 *         cold: a file that memory does not hold; touch: likewise, but nothing is asked for ahead
 *
 *     build M EF_CONSTRUCTION QUANTIZE THREADS
 *                         {"seconds":..,"memory_bytes":..,"resident_bytes":..,"valid":..}
 *     recode FROM TO M    the graph of one QUANTIZE as another, with its links
 *                         {"seconds":..,"finish_seconds":..,"memory_bytes":..,"valid":..}
 *     drop QUANTIZE       frees it
 *     truth K PATH        exact answers for recall, into PATH as 32-bit row numbers; read when
 * there search EF K QUANTIZE THREADS
 *                         {"seconds":..,"recall":..,"visited":..,"hops":..,"p50_us":..,"p99_us":..}
 *     filters PATH        a filter a query (see below); {"matches":..}
 *     filtered EF K QUANTIZE ROUNDS
 *                         {"seconds":..,"scan_seconds":..,"recall":..,"visited":..,"scans":..};
 *                         scan: of the matches, whose list is given; in turns with the searches,
 *                         of each query the fastest of the rounds
 *     scan THREADS        {"scan_gb_s":..,"read_gb_s":..,..} of float rows, and of flat codes
 *     forget              drops the rows from the page cache {"seconds":..}
 *     save PATH QUANTIZE, open PATH M QUANTIZE    {"seconds":..}
 *
 * QUANTIZE is an enum vz_quantize, + 4 for flat; all stay side by side. Seconds are processor time
 * of the one thread that works, or, with THREADS above 1 or cold, what a clock on the wall says.
 */
#include "base/ahead.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/thread.h"
#include "vector/cold.h"
#include "vector/hnsw.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILTERS = 50, FILTER_K = 10 };

struct bench {
    float *rows, *queries;
    uint32_t row_count, query_count, dims;
    const char *rows_path;
    size_t row_bytes; /* of the file */
    struct vz_cold *cold;
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

static float *map_floats(const char *path, size_t *floats, bool cold)
{
    int fd = open(path, O_RDONLY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        die(path);
    *floats = (size_t)info.st_size / sizeof(float);
    int flags = MAP_SHARED | (cold ? 0 : MAP_POPULATE);
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, flags, fd, 0);
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
 * should not count. With rows that memory does not hold the waiting for the disk counts: wall time.
 */
static clockid_t work_clock = CLOCK_THREAD_CPUTIME_ID;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
    return clock_ns(work_clock);
}

static double seconds_since(uint64_t start)
{
    return (double)(now_ns() - start) * 1e-9;
}

/* Anonymous memory of this process that is in memory: what an index needs, without mapped rows. */
static size_t resident_bytes(void)
{
    char line[128];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %zu", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* Runs `work` in `threads` threads; processor time for one, wall time for more. */
static double timed(void *(*work)(void *), void *context, unsigned threads)
{
    if (threads <= 1) {
        uint64_t start = now_ns();
        work(context);
        return seconds_since(start);
    }
    pthread_t ids[16];
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    threads = VZ_MIN(threads, 16u);
    for (unsigned t = 0; t < threads; t++)
        if (pthread_create(&ids[t], NULL, work, context) != 0)
            die("no thread");
    for (unsigned t = 0; t < threads; t++)
        pthread_join(ids[t], NULL);
    return (double)(clock_ns(CLOCK_MONOTONIC) - start) * 1e-9;
}

static struct vz_hnsw_options options_of(const struct bench *b, uint32_t quantize)
{
    return (struct vz_hnsw_options){.similarity = VZ_COSINE,
                                    .dims = b->dims,
                                    .rows = b->rows,
                                    .cold = b->cold,
                                    .quantize = quantize % 4,
                                    .flat = quantize >= 4,
                                    .sample_rows = b->row_count,
                                    .max_rows = b->row_count};
}

struct work {
    struct bench *bench;
    struct vz_hnsw *graph;
    _Atomic uint32_t next;
    uint32_t ef, k, quantize;
    struct vz_near *got;
    double *latencies;
    _Atomic uint64_t visited, hops;
};

static void *insert_rows(void *context)
{
    struct work *work = context;
    struct vz_error err = {0};
    for (;;) {
        uint32_t row = work->next++;
        if (row >= work->bench->row_count)
            return NULL;
        if (row && row % 500000 == 0)
            fprintf(stderr, "  %u rows in\n", row);
        if (vz_hnsw_insert(work->graph, row, &err) != VZ_OK)
            die(err.text);
    }
}

static void build(struct bench *b, uint32_t m, uint32_t ef_construction, uint32_t quantize,
                  uint32_t threads)
{
    struct vz_error err = {0};
    vz_hnsw_free(b->graphs[quantize]);
    struct vz_hnsw_options options = options_of(b, quantize);
    options.m = m;
    options.ef_construction = ef_construction;
    size_t before = resident_bytes();
    uint64_t start = now_ns();
    if (vz_hnsw_new(&options, &b->graphs[quantize], &err) != VZ_OK)
        die(err.text);
    double seconds = seconds_since(start);
    struct work work = {.bench = b, .graph = b->graphs[quantize]};
    seconds += timed(insert_rows, &work, threads);
    size_t after = resident_bytes();
    /* A check of everything, which costs as much memory as time, for graphs of some size only. */
    bool valid = b->row_count > 200000 || vz_hnsw_validate(b->graphs[quantize], &err) == VZ_OK;
    printf("{\"seconds\":%.4f,\"memory_bytes\":%zu,\"resident_bytes\":%zu,\"valid\":%s}\n", seconds,
           vz_hnsw_memory_bytes(b->graphs[quantize]), after - VZ_MIN(before, after),
           valid ? "true" : "false");
}

/* finish_seconds of them: the part that keeps inserts waiting. */
static void recode(struct bench *b, uint32_t from, uint32_t to, uint32_t m)
{
    struct vz_error err = {0};
    struct vz_recoding *recoding;
    struct vz_hnsw *graph;
    struct vz_hnsw_options options = options_of(b, to);
    bool left = true;
    options.m = m;
    if (!b->graphs[from])
        die("build comes first");
    uint64_t start = now_ns();
    enum vz_status status = vz_recoding_new(b->graphs[from], &options, &recoding, &err);
    while (status == VZ_OK && left)
        status = vz_recoding_advance(recoding, 8192, &left, &err);
    uint64_t coded = now_ns();
    if (status == VZ_OK)
        status = vz_recoding_finish(recoding, &graph, &err);
    if (status != VZ_OK)
        die(err.text);
    double seconds = seconds_since(start), finish = seconds_since(coded);
    vz_recoding_free(recoding);
    bool valid = b->row_count > 200000 || vz_hnsw_validate(graph, &err) == VZ_OK;
    vz_hnsw_free(b->graphs[to]);
    b->graphs[to] = graph;
    printf("{\"seconds\":%.4f,\"finish_seconds\":%.4f,\"memory_bytes\":%zu,\"valid\":%s}\n",
           seconds, finish, vz_hnsw_memory_bytes(graph), valid ? "true" : "false");
}

static bool read_truth(struct bench *b, uint32_t k, const char *path)
{
    uint32_t *rows = vz_try_alloc((size_t)b->query_count * k, sizeof *rows);
    FILE *file = fopen(path, "rb");
    bool whole = file && fread(rows, sizeof *rows * k, b->query_count, file) == b->query_count;
    for (size_t i = 0; whole && i < (size_t)b->query_count * k; i++)
        b->truth[i].row = rows[i];
    if (file)
        fclose(file);
    free(rows);
    return whole;
}

static void write_truth(const struct bench *b, uint32_t k, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        die(path);
    for (size_t i = 0; i < (size_t)b->query_count * k; i++)
        if (fwrite(&b->truth[i].row, sizeof b->truth[i].row, 1, file) != 1)
            die(path);
    if (fclose(file) != 0)
        die(path);
}

/* All queries against a block of rows while the block is in the cache: a file is read once. */
static void find_truth(struct bench *b, uint32_t k)
{
    enum { ROWS = 4096 };
    struct vz_near *part = vz_try_alloc(k, sizeof *part), *both = vz_try_alloc(k, sizeof *both);
    uint32_t *counts = vz_try_alloc(b->query_count, sizeof *counts);
    memset(counts, 0, b->query_count * sizeof *counts);
    for (uint32_t first = 0; first < b->row_count; first += ROWS) {
        uint32_t last = VZ_MIN(b->row_count, first + ROWS), found;
        for (uint32_t q = 0; q < b->query_count; q++) {
            struct vz_near *best = b->truth + (size_t)q * k;
            struct vz_hnsw_search search = {.query = b->queries + (size_t)q * b->dims, .k = k};
            if (vz_exact_range(&b->options, &search, first, last, part, &found, NULL) != VZ_OK)
                die("exact scan");
            counts[q] = vz_near_merge(best, counts[q], part, found, k, both);
            memcpy(best, both, counts[q] * sizeof *best);
        }
    }
    free(part);
    free(both);
    free(counts);
}

static void truth(struct bench *b, uint32_t k, const char *path)
{
    uint64_t start = now_ns();
    free(b->truth);
    b->truth = vz_try_alloc((size_t)b->query_count * k, sizeof *b->truth);
    b->truth_k = k;
    if (!read_truth(b, k, path)) {
        find_truth(b, k);
        write_truth(b, k, path);
    }
    printf("{\"seconds\":%.4f}\n", seconds_since(start));
}

static void *search_queries(void *context)
{
    struct work *work = context;
    struct bench *b = work->bench;
    for (;;) {
        uint32_t q = work->next++, found;
        if (q >= b->query_count)
            return NULL;
        struct vz_near *got = work->got + (size_t)q * work->k;
        struct vz_hnsw_search one = {
            .query = b->queries + (size_t)q * b->dims, .k = work->k, .ef = work->ef};
        struct vz_hnsw_stats stats;
        uint64_t start = clock_ns(CLOCK_MONOTONIC);
        if (vz_hnsw_search(work->graph, &one, got, &found, &stats, NULL) != VZ_OK)
            die("search");
        work->latencies[q] = (double)(clock_ns(CLOCK_MONOTONIC) - start) * 1e-3;
        for (; found < work->k; found++)
            got[found].row = UINT32_MAX;
        work->visited += stats.visited;
        work->hops += stats.hops;
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static void search(struct bench *b, uint32_t ef, uint32_t k, uint32_t quantize, uint32_t threads)
{
    if (!b->graphs[quantize] || b->truth_k < k)
        die("build and truth come first");
    struct work work = {.bench = b, .graph = b->graphs[quantize], .ef = ef, .k = k};
    work.got = vz_try_alloc((size_t)b->query_count * k, sizeof *work.got);
    work.latencies = vz_try_alloc(b->query_count, sizeof *work.latencies);
    double seconds = timed(search_queries, &work, threads);
    uint64_t hits = 0;
    for (uint32_t q = 0; q < b->query_count; q++)
        for (uint32_t i = 0; i < k; i++)
            for (uint32_t j = 0; j < k; j++)
                hits += work.got[(size_t)q * k + j].row == b->truth[(size_t)q * b->truth_k + i].row;
    qsort(work.latencies, b->query_count, sizeof *work.latencies, compare_doubles);
    printf("{\"seconds\":%.6f,\"recall\":%.6f,\"visited\":%.1f,\"hops\":%.1f,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f}\n",
           seconds, (double)hits / ((double)k * b->query_count),
           (double)work.visited / b->query_count, (double)work.hops / b->query_count,
           work.latencies[b->query_count / 2], work.latencies[b->query_count * 99 / 100]);
    free(work.got);
    free(work.latencies);
}

/* ---- filters ---- */

static bool is_accepted(void *context, uint32_t row)
{
    return vz_bitset_has(context, row);
}

static uint32_t list_accepted(void *context, uint32_t from, uint32_t *rows, uint32_t max)
{
    return vz_bitset_list(context, from, rows, max);
}

/* FILTERS bitmaps of a bit a row, one after the other, of which each accepts the same number. */
static void read_filters(struct bench *b, const char *path)
{
    size_t bytes = ((size_t)b->row_count + 7) / 8;
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    for (uint32_t q = 0; q < FILTERS; q++) {
        struct vz_bitset *set = &b->accepted[q];
        vz_bitset_deinit(set);
        vz_bitset_init(set, b->row_count);
        if (fread(set->words, 1, bytes, file) != bytes)
            die("short filters");
    }
    b->matches = (uint32_t)vz_bitset_count(&b->accepted[0]);
    printf("{\"matches\":%u}\n", b->matches);
    fclose(file);
}

static double scan_matches(struct bench *b, uint32_t q, uint32_t *rows)
{
    uint32_t found, count = list_accepted(&b->accepted[q], 0, rows, b->row_count);
    struct vz_hnsw_search search = {.query = b->queries + (size_t)q * b->dims, .k = FILTER_K};
    uint64_t start = now_ns();
    if (vz_exact_rows(&b->options, &search, rows, count, b->filter_truth[q], &found, NULL) !=
            VZ_OK ||
        found != VZ_MIN(count, (uint32_t)FILTER_K))
        die("exact rows");
    return seconds_since(start);
}

struct filtered {
    double seconds[FILTERS], scan_seconds[FILTERS];
    uint64_t visited, hits, scans, wanted;
};

static void filtered_query(struct bench *b, const struct vz_hnsw *graph, uint32_t q,
                           struct vz_hnsw_search one, struct filtered *sum)
{
    struct vz_near got[FILTER_K];
    struct vz_hnsw_stats stats;
    uint32_t found;
    one.query = b->queries + (size_t)q * b->dims;
    one.accept_context = &b->accepted[q];
    uint64_t start = now_ns();
    enum vz_status status = vz_hnsw_search(graph, &one, got, &found, &stats, NULL);
    double took = seconds_since(start);
    if (status != VZ_OK || found != VZ_MIN(one.k, b->matches))
        die("filtered search");
    sum->seconds[q] = VZ_MIN(sum->seconds[q], took);
    sum->visited += stats.visited;
    sum->scans += stats.scanned;
    sum->wanted += found;
    for (uint32_t i = 0; i < found; i++)
        for (uint32_t j = 0; j < found; j++)
            sum->hits += got[j].row == b->filter_truth[q][i].row;
}

static void filtered(struct bench *b, uint32_t ef, uint32_t k, uint32_t quantize, uint32_t rounds)
{
    uint32_t *rows = vz_try_alloc(b->row_count, sizeof *rows);
    struct filtered sum = {0};
    struct vz_hnsw_search one = {.k = k,
                                 .ef = ef,
                                 .accept = is_accepted,
                                 .accept_estimate = b->matches,
                                 .accepted = list_accepted};
    double seconds = 0, scan_seconds = 0;
    for (uint32_t q = 0; q < FILTERS; q++)
        sum.seconds[q] = sum.scan_seconds[q] = 1e9;
    /* Twice the scans, twice the searches, and so on: neither finds caches that are full of what
     * the other read. */
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t q = 0; q < 2 * FILTERS; q++) {
            double took = scan_matches(b, q % FILTERS, rows), *least = sum.scan_seconds;
            least[q % FILTERS] = VZ_MIN(least[q % FILTERS], took);
        }
        for (uint32_t q = 0; q < 2 * FILTERS; q++)
            filtered_query(b, b->graphs[quantize], q % FILTERS, one, &sum);
    }
    for (uint32_t q = 0; q < FILTERS; q++) {
        seconds += sum.seconds[q];
        scan_seconds += sum.scan_seconds[q];
    }
    double searches = 2.0 * FILTERS * rounds;
    printf("{\"seconds\":%.7f,\"scan_seconds\":%.7f,\"recall\":%.5f,\"visited\":%.1f,"
           "\"scans\":%.2f}\n",
           seconds / FILTERS, scan_seconds / FILTERS, (double)sum.hits / (double)sum.wanted,
           (double)sum.visited / searches, (double)sum.scans / searches);
    free(rows);
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

struct scan {
    struct bench *bench;
    _Atomic uint32_t next; /* part of the rows */
    uint32_t parts;
    bool plain;
    _Atomic uint64_t sink;
};

/* Each thread takes a part: a scan of it, or a plain read of the same bytes. */
static void *scan_part(void *context)
{
    struct scan *scan = context;
    struct bench *b = scan->bench;
    uint32_t part = scan->next++;
    uint32_t first = (uint32_t)((uint64_t)b->row_count * part / scan->parts);
    uint32_t last = (uint32_t)((uint64_t)b->row_count * (part + 1) / scan->parts);
    struct vz_hnsw_search one = {.query = b->queries, .k = 10};
    struct vz_near out[10];
    uint32_t found;
    if (scan->plain)
        scan->sink += read_all(b->rows + (size_t)first * b->dims,
                               (size_t)(last - first) * b->dims * sizeof(float));
    else if (vz_exact_range(&b->options, &one, first, last, out, &found, NULL) != VZ_OK)
        die("exact scan");
    return NULL;
}

static void scan(struct bench *b, uint32_t threads)
{
    size_t bytes = (size_t)b->row_count * b->dims * sizeof(float);
    double best[2] = {1e9, 1e9};
    for (int round = 0; round < 20; round++) {
        struct scan work = {.bench = b, .parts = VZ_MAX(threads, 1u), .plain = round % 2};
        double seconds = timed(scan_part, &work, threads);
        best[round % 2] = VZ_MIN(best[round % 2], seconds);
    }
    printf("{\"scan_gb_s\":%.3f,\"read_gb_s\":%.3f,\"scan_ms\":%.3f}\n",
           (double)bytes / best[0] * 1e-9, (double)bytes / best[1] * 1e-9, best[0] * 1e3);
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
    struct vz_hnsw_options options = options_of(b, quantize);
    options.m = m;
    uint64_t start = now_ns();
    if (vz_hnsw_open(path, &options, &b->graphs[quantize], &err) != VZ_OK)
        die(err.text);
    printf("{\"seconds\":%.6f}\n", seconds_since(start));
}

static void forget(struct bench *b)
{
    uint64_t start = now_ns();
    int fd = open(b->rows_path, O_RDONLY);
    if (fd < 0 || madvise((void *)(uintptr_t)b->rows, b->row_bytes, MADV_DONTNEED) != 0 ||
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        die("cannot forget rows");
    close(fd);
    if (vz_cold_is_on(b->cold)) {
        vz_cold_deinit(b->cold);
        vz_cold_begin(b->cold, vz_memory_bytes());
    }
    printf("{\"seconds\":%.4f}\n", seconds_since(start));
}

static void obey(struct bench *b, const char *line)
{
    char path[400];
    unsigned x, y, z, threads, rounds;
    if (sscanf(line, "build %u %u %u %u", &x, &y, &z, &threads) == 4 && z < 8)
        build(b, x, y, z, threads);
    else if (sscanf(line, "recode %u %u %u", &x, &y, &z) == 3 && x < 8 && y < 8)
        recode(b, x, y, z);
    else if (sscanf(line, "truth %u %399s", &x, path) == 2)
        truth(b, x, path);
    else if (sscanf(line, "search %u %u %u %u", &x, &y, &z, &threads) == 4 && z < 8)
        search(b, x, y, z, threads);
    else if (sscanf(line, "filtered %u %u %u %u", &x, &y, &z, &rounds) == 4 && y <= FILTER_K &&
             z < 8 && rounds)
        filtered(b, x, y, z, rounds);
    else if (sscanf(line, "filters %399s", path) == 1)
        read_filters(b, path);
    else if (sscanf(line, "scan %u", &threads) == 1)
        scan(b, threads);
    else if (sscanf(line, "save %399s %u", path, &x) == 2 && x < 8)
        save(b, path, x);
    else if (sscanf(line, "open %399s %u %u", path, &x, &y) == 3 && y < 8)
        reopen(b, path, x, y);
    else if (strncmp(line, "forget", 6) == 0)
        forget(b);
    else if (sscanf(line, "drop %u", &x) == 1 && x < 8) {
        vz_hnsw_free(b->graphs[x]);
        b->graphs[x] = NULL;
        printf("{}\n");
    } else if (strncmp(line, "cpu", 3) == 0)
        printf("{\"kernels\":\"%s\"}\n", vz_cpu_describe());
    else
        die("unknown command");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: bench_vectors ROWS QUERIES DIMS file|huge|cold|touch < commands");
    struct vz_cold cold_rows = {0};
    struct bench b = {.cold = &cold_rows, .dims = (uint32_t)strtoul(argv[3], NULL, 10)};
    size_t floats;
    b.rows_path = argv[1];
    bool cold = strcmp(argv[4], "cold") == 0, larger = cold || strcmp(argv[4], "touch") == 0;
    if (larger)
        work_clock = CLOCK_MONOTONIC;
    b.rows = map_floats(argv[1], &floats, larger);
    b.row_bytes = floats * sizeof(float);
    if (cold) {
        vz_ahead_alone((void *)(uintptr_t)b.rows, b.row_bytes);
        vz_cold_begin(b.cold, vz_memory_bytes());
    }
    b.row_count = (uint32_t)(floats / b.dims);
    if (strcmp(argv[4], "huge") == 0)
        b.rows = into_huge_pages(b.rows, floats);
    b.queries = map_floats(argv[2], &floats, false);
    b.query_count = (uint32_t)(floats / b.dims);
    b.options = (struct vz_hnsw_options){
        .similarity = VZ_COSINE, .dims = b.dims, .rows = b.rows, .cold = b.cold};
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        obey(&b, line);
        fflush(stdout);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(b.graphs); i++)
        vz_hnsw_free(b.graphs[i]);
    free(b.truth);
    return 0;
}
