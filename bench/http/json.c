/* bench/http/json.c - what reading and writing a 512-dimension document costs. One thread; each
 * figure is the best of several rounds, since other work may share the machine. */
#include "base/clock.h"
#include "base/text.h"
#include "json/filter.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIMS = 512, REPEATS = 400, ROUNDS = 15 };

static struct vz_buf text, out;
static float vector[DIMS];
static size_t sink;

static void parse_floats(void)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    size_t count;
    if (vz_json_parse_padded(vz_buf_slice(&text), &doc, &root, NULL) != VZ_OK ||
        !vz_json_get(root, "image_embedding", &value) ||
        vz_json_floats(value, vector, DIMS, &count, NULL) != VZ_OK || count != DIMS)
        abort();
    vz_json_free(doc);
}

static void parse_only(void)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) != VZ_OK)
        abort();
    vz_json_free(doc);
}

static void parse_duplicates(void)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_slice key;
    if (vz_json_parse_padded(vz_buf_slice(&text), &doc, &root, NULL) != VZ_OK ||
        vz_json_find_duplicate(root, &key))
        abort();
    vz_json_free(doc);
}

static void raw_walk(void)
{
    struct vz_slice rest = vz_buf_slice(&text), key, value;
    while (vz_json_raw_next(&rest, &key, &value))
        sink += value.len;
}

static void append_floats(void)
{
    vz_buf_clear(&out);
    vz_json_append_floats(&out, vector, DIMS);
}

static void measure(const char *what, void (*run)(void), size_t bytes)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = vz_now_ns();
        for (int i = 0; i < REPEATS; i++)
            run();
        best = VZ_MIN(best, vz_now_ns() - start);
    }
    double each = (double)best / REPEATS;
    printf("%-28s %8.2f us  %8.0f MB/s\n", what, each / 1e3, (double)bytes / each * 1e3);
}

int main(void)
{
    uint64_t seed = 1;
    for (int i = 0; i < DIMS; i++)
        vector[i] = (float)(vz_rng_normal(&seed) / 22.6);
    vz_buf_append_str(&text,
                      "{\"dog_id\":\"L1\",\"breed\":\"Jack Russel\",\"owner_name\":\"Ully\","
                      "\"exif\":{\"location\":{\"lat\":1.5,\"lon\":2.5}},\"image_embedding\":");
    vz_json_append_floats(&text, vector, DIMS);
    vz_buf_append_str(&text, "}");
    vz_buf_reserve(&text, 64);
    printf("a document of %d dimensions, %zu bytes\n", DIMS, text.len);
    measure("parse", parse_only, text.len);
    measure("parse padded + floats", parse_floats, text.len);
    measure("parse padded + duplicates", parse_duplicates, text.len);
    measure("raw walk", raw_walk, text.len);
    append_floats();
    measure("append floats", append_floats, out.len);
    return sink == 0;
}
