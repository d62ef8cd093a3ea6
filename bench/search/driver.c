/* bench/search/driver.c - a generated catalogue, and requests against a server that holds it.
 *
 *     bench_search products FROM TO VECTORS    bulk lines of products FROM..TO-1 on standard
 * output; VECTORS 1: with an embedding each bench_search asks COUNT DOCS             what people
 * look for, a JSON object a line bench_search send PORT PATH FILE LINES CONNECTIONS     a bulk
 * file, LINES lines a request bench_search ask  PORT PATH FILE SECONDS CONNECTIONS   a body a line,
 * in turn, for a time bench_search msearch PORT PATH FILE SECONDS CONNECTIONS   two lines a header,
 * two bodies
 *
 * Everything is a function of its number, so any part of a catalogue can be made by itself. Words
 * are made of syllables and chosen by Zipf's law (exponent 1.07, 50,000 of them), so that queries
 * meet frequent and rare ones as in a shop; brands by a steeper one. bench/search/run drives it.
 */
#include "load/load.h"

#include "base/clock.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS 50000
#define BRANDS 2000
#define CATEGORIES 40
#define DEPARTMENTS 8
#define COLOURS 12

static double word_sums[WORDS], brand_sums[BRANDS];

static void make_sums(double *sums, int count, double exponent)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sums[i] = sum += pow(i + 1, -exponent);
    for (int i = 0; i < count; i++)
        sums[i] /= sum;
}

static double uniform(uint64_t *rng)
{
    return (double)(vz_rng_next(rng) >> 11) * 0x1p-53;
}

static int pick(const double *sums, int count, uint64_t *rng)
{
    double at = uniform(rng);
    int low = 0, high = count - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_word(struct vz_buf *out, int rank)
{
    static const char *const syllables[] = {"ba", "ce", "di", "fo", "gu", "ha", "ke", "li", "mo",
                                            "nu", "pa", "re", "si", "to", "vu", "wa", "xe", "zi"};
    unsigned left = (unsigned)rank + 1;
    while (left) {
        vz_buf_append_str(out, syllables[left % VZ_COUNT_OF(syllables)]);
        left /= (unsigned)VZ_COUNT_OF(syllables);
    }
}

static void add_words(struct vz_buf *out, int count, uint64_t *rng)
{
    for (int i = 0; i < count; i++) {
        if (i)
            vz_buf_append_str(out, " ");
        add_word(out, pick(word_sums, WORDS, rng));
    }
}

static uint64_t seed_of(uint64_t number)
{
    return number * 0x9E3779B97F4A7C15ull + 7;
}

static void add_product(struct vz_buf *out, uint64_t number, bool with_vector)
{
    uint64_t rng = seed_of(number);
    vz_buf_printf(out, "{\"index\":{\"_id\":\"p%llu\"}}\n{\"title\":\"",
                  (unsigned long long)number);
    add_words(out, 4 + (int)(vz_rng_next(&rng) % 5), &rng);
    vz_buf_append_str(out, "\",\"description\":\"");
    add_words(out, 15 + (int)(vz_rng_next(&rng) % 26), &rng);
    vz_buf_printf(out, "\",\"brand\":\"brand %d\"", pick(brand_sums, BRANDS, &rng));
    vz_buf_printf(out, ",\"category\":\"category %d\"", (int)(vz_rng_next(&rng) % CATEGORIES));
    vz_buf_printf(out, ",\"department\":\"department %d\"", (int)(vz_rng_next(&rng) % DEPARTMENTS));
    vz_buf_printf(out, ",\"colour\":\"colour %d\"", (int)(vz_rng_next(&rng) % COLOURS));
    vz_buf_printf(out, ",\"price\":%.2f", exp(3 + vz_rng_normal(&rng)));
    vz_buf_printf(out, ",\"rating\":%.1f", 1 + 4 * uniform(&rng));
    vz_buf_printf(out, ",\"created\":%llu",
                  1577836800000ull + (unsigned long long)(uniform(&rng) * 150e9));
    if (with_vector) {
        float vector[LOAD_DIMS];
        load_vector(number, vector);
        vz_buf_append_str(out, ",\"embedding\":");
        vz_json_append_floats(out, vector, LOAD_DIMS);
    }
    vz_buf_append_str(out, "}\n");
}

static void write_out(struct vz_buf *text)
{
    if (fwrite(text->data, 1, text->len, stdout) != text->len)
        load_die("write");
    text->len = 0;
}

static void products(uint64_t from, uint64_t to, bool with_vectors)
{
    struct vz_buf text = {0};
    for (uint64_t i = from; i < to; i++) {
        add_product(&text, i, with_vectors);
        if (text.len > 1 << 20)
            write_out(&text);
    }
    write_out(&text);
    vz_buf_deinit(&text);
}

/* "words": two or three of some product's title; "phrase": two that stand together in one. */
static void asks(uint64_t count, uint64_t docs)
{
    struct vz_buf text = {0};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t chance = seed_of(i + (1ull << 40)), number = vz_rng_next(&chance) % docs;
        uint64_t rng = seed_of(number), again;
        int length = 4 + (int)(vz_rng_next(&rng) % 5), words = 2 + (int)(vz_rng_next(&chance) % 2);
        vz_buf_append_str(&text, "{\"words\":\"");
        again = rng;
        add_words(&text, words, &again);
        vz_buf_append_str(&text, "\",\"phrase\":\"");
        int skip = (int)(vz_rng_next(&chance) % (unsigned)(length - 1));
        again = rng;
        for (int w = 0; w < skip; w++)
            (void)pick(word_sums, WORDS, &again);
        add_words(&text, 2, &again);
        vz_buf_append_str(&text, "\",\"word\":\"");
        again = rng;
        add_words(&text, 1, &again);
        double low = exp(2 + 1.5 * uniform(&chance));
        vz_buf_printf(&text, "\",\"department\":\"department %d\",\"brand\":\"brand %d\"",
                      (int)(vz_rng_next(&chance) % DEPARTMENTS), pick(brand_sums, BRANDS, &chance));
        vz_buf_printf(&text, ",\"low\":%.2f,\"high\":%.2f,\"vector\":", low, low * 2);
        float vector[LOAD_DIMS];
        load_vector((1ull << 41) + i, vector);
        vz_json_append_floats(&text, vector, LOAD_DIMS);
        vz_buf_append_str(&text, "}\n");
        write_out(&text);
    }
    vz_buf_deinit(&text);
}

/* ---- sending ------------------------------------------------------------------------------- */

static struct vz_buf read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct vz_buf text = {0};
    size_t got;
    if (!file)
        load_die(path);
    do {
        vz_buf_reserve(&text, 1 << 22);
        got = fread(text.data + text.len, 1, text.capacity - text.len, file);
        text.len += got;
    } while (got);
    fclose(file);
    return text;
}

/* Cuts a text into requests of `lines` lines. */
static struct vz_buf *requests_of(const struct vz_buf *text, size_t lines, const char *path,
                                  const char *type, size_t *count)
{
    struct vz_buf *requests = NULL;
    size_t room = 0;
    *count = 0;
    for (size_t at = 0; at < text->len;) {
        size_t end = at;
        for (size_t i = 0; i < lines && end < text->len; i++) {
            const char *line_end = memchr(text->data + end, '\n', text->len - end);
            end = line_end ? (size_t)(line_end - text->data) + 1 : text->len;
        }
        if (*count == room) {
            room = room * 2 + 64;
            requests = vz_realloc(requests, room * sizeof *requests);
        }
        struct vz_buf body = {.data = text->data + at, .len = end - at};
        requests[*count] = (struct vz_buf){0};
        load_wrap(&requests[(*count)++], path, type, &body);
        at = end;
    }
    return requests;
}

static void send_file(const char *what, int port, const char *path, const char *file, size_t lines,
                      int connections, int seconds)
{
    bool is_ndjson = lines > 1;
    size_t count;
    struct vz_buf text = read_file(file);
    struct load_worker worker = {.port = port};
    worker.requests = requests_of(&text, lines, path,
                                  is_ndjson ? "application/x-ndjson" : "application/json", &count);
    worker.count = count;
    if (seconds)
        worker.until_ns = vz_now_ns() + (uint64_t)seconds * 1000000000u;
    size_t documents = 0;
    for (size_t i = 0; i < text.len; i++)
        documents += text.data[i] == '\n';
    load_run(what, &worker, connections, load_send,
             seconds ? 1 : (double)documents / 2 / (double)count);
}

int main(int argc, char **argv)
{
    make_sums(word_sums, WORDS, 1.07);
    make_sums(brand_sums, BRANDS, 1.3);
    if (argc == 5 && strcmp(argv[1], "products") == 0)
        products(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), argv[4][0] == '1');
    else if (argc == 4 && strcmp(argv[1], "asks") == 0)
        asks(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    else if (argc == 7 && strcmp(argv[1], "send") == 0)
        send_file("bulk", atoi(argv[2]), argv[3], argv[4], strtoul(argv[5], NULL, 10),
                  atoi(argv[6]), 0);
    else if (argc == 7 && strcmp(argv[1], "ask") == 0)
        send_file("ask", atoi(argv[2]), argv[3], argv[4], 1, atoi(argv[6]), atoi(argv[5]));
    else if (argc == 7 && strcmp(argv[1], "msearch") == 0)
        send_file("msearch", atoi(argv[2]), argv[3], argv[4], 4, atoi(argv[6]), atoi(argv[5]));
    else
        return fprintf(stderr, "see the top of bench/search/driver.c\n"), 2;
    return 0;
}
