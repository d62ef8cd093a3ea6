/* Golden models: the seeded weights of tools/make_golden_models.py, made again here, and its files.
 * Large embedding tables get only the rows that the golden texts use. */
#ifndef VZ_TEST_EMBED_GOLDEN_H
#define VZ_TEST_EMBED_GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "embed/golden_path.h"

#include "base/file.h"
#include "base/text.h"
#include "nn/context.h"
#include "nn/source.h"
#include "json/json.h"

#define MAX_TENSORS 512

struct golden {
    struct vz_buf text;
    struct vz_json_doc *doc;
    struct vz_json root, config, cases;
    struct vz_buf config_text; /* as JSON */
    uint64_t seed;
    char name[64];
    /* the made-up tensors */
    struct golden_tensor {
        char name[128];
        struct vz_tensor_view view;
        float *data;
    } tensors[MAX_TENSORS];
    size_t count;
};

/* snprintf that fails the test instead of cutting. */
static void __attribute__((format(printf, 3, 4), noinline))
golden_print(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out, size, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < size);
}

static uint64_t golden_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
    return h;
}

/* Numbers [first, first + count) of a seed's series. */
static void golden_uniform(uint64_t seed, size_t first, size_t count, float amplitude, float offset,
                           float *out)
{
    uint64_t state = seed + first * 0x9E3779B97F4A7C15ull;
    for (size_t i = 0; i < count; i++) {
        int32_t bits = (int32_t)(vz_rng_next(&state) >> 40) - (1 << 23);
        out[i] = amplitude * ((float)bits * 0x1p-23f);
        if (offset != 0)
            out[i] += offset;
    }
}

static void golden_fill(struct golden *g, struct golden_tensor *t)
{
    const char *name = t->name;
    const struct vz_tensor_view *v = &t->view;
    uint64_t seed = g->seed ^ golden_hash(name);
    size_t len = strlen(name);
    bool weight = len > 6 && strcmp(name + len - 6, "weight") == 0;
    bool norm = strstr(name, "norm") || strstr(name, "Norm") || strstr(name, "layrnorm");
    if (v->rank == 1) {
        bool scale = weight && norm;
        golden_uniform(seed, 0, v->count, scale ? 0.2f : 0.1f, scale ? 1.0f : 0, t->data);
        return;
    }
    if (strstr(name, "relative_attention_bias")) {
        golden_uniform(seed, 0, v->count, 1, 0, t->data);
        return;
    }
    if (!strstr(name, "embedding") || strstr(name, "patch")) {
        float amplitude = (float)sqrt(3.0 / (double)(v->count / v->dims[0]));
        golden_uniform(seed, 0, v->count, amplitude, 0, t->data);
        return;
    }
    if (v->dims[0] < 5000) {
        golden_uniform(seed, 0, v->count, 0.5f, 0, t->data);
        return;
    }
    struct vz_json_iter cases = vz_json_iterate(g->cases);
    struct vz_json item, ids, id;
    while (vz_json_next(&cases, NULL, &item)) {
        if (!vz_json_get(item, "ids", &ids))
            continue;
        struct vz_json_iter it = vz_json_iterate(ids);
        while (vz_json_next(&it, NULL, &id)) {
            size_t at = (size_t)vz_json_int(id) * v->dims[1];
            golden_uniform(seed, at, v->dims[1], 0.5f, 0, t->data + at);
        }
    }
}

static void golden_add(struct golden *g, const char *name, unsigned rank, const uint64_t *dims)
{
    assert_true(g->count < MAX_TENSORS);
    struct golden_tensor *t = &g->tensors[g->count++];
    *t = (struct golden_tensor){.view = {.dtype = VZ_F32, .rank = rank, .count = 1}};
    golden_print(t->name, sizeof t->name, "%s", name);
    t->view.name = vz_slice_from(t->name);
    for (unsigned i = 0; i < rank; i++) {
        t->view.dims[i] = dims[i];
        t->view.count *= dims[i];
    }
    void *at = mmap(NULL, t->view.count * sizeof(float), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(at != MAP_FAILED);
    t->data = at;
    t->view.data = at;
    golden_fill(g, t);
}

static inline void golden_add1(struct golden *g, const char *name, size_t a)
{
    golden_add(g, name, 1, (const uint64_t[]){a});
}
static inline void golden_add2(struct golden *g, const char *name, size_t a, size_t b)
{
    golden_add(g, name, 2, (const uint64_t[]){a, b});
}
/* NAME.weight [out, in] and NAME.bias [out]; in 0: a norm. */
static inline void golden_add_pair(struct golden *g, const char *name, size_t out, size_t in)
{
    char full[160];
    golden_print(full, sizeof full, "%s.weight", name);
    if (in)
        golden_add2(g, full, out, in);
    else
        golden_add1(g, full, out);
    golden_print(full, sizeof full, "%s.bias", name);
    golden_add1(g, full, out);
}

static const struct vz_tensor_view *golden_find(void *context, const char *name)
{
    struct golden *g = context;
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->tensors[i].name, name) == 0)
            return &g->tensors[i].view;
    return NULL;
}

static struct golden *golden_open(const char *name)
{
    struct golden *g = vz_calloc(1, sizeof *g);
    struct vz_error err = {0};
    struct vz_json seed;
    struct vz_buf path = {0};
    golden_print(g->name, sizeof g->name, "%s", name);
    vz_buf_printf(&path, "%s/%s.json", VZ_GOLDEN_MODELS, name);
    if (vz_file_read(path.data, 0, &g->text, &err) != VZ_OK ||
        vz_json_parse(vz_buf_slice(&g->text), &g->doc, &g->root, &err) != VZ_OK)
        fail_msg("%s: %s", path.data, err.text);
    vz_buf_deinit(&path);
    assert_true(vz_json_get(g->root, "config", &g->config));
    assert_true(vz_json_get(g->root, "cases", &g->cases));
    assert_true(vz_json_get(g->root, "seed", &seed));
    g->seed = strtoull(vz_json_string(seed).ptr, NULL, 10);
    vz_json_print(g->config, &g->config_text);
    return g;
}

static void golden_close(struct golden *g)
{
    for (size_t i = 0; i < g->count; i++)
        munmap(g->tensors[i].data, g->tensors[i].view.count * sizeof(float));
    vz_json_free(g->doc);
    vz_buf_deinit(&g->text);
    vz_buf_deinit(&g->config_text);
    free(g);
}

static inline struct vz_tensor_source golden_source(struct golden *g)
{
    return (struct vz_tensor_source){golden_find, g};
}

static size_t golden_numbers(struct vz_json item, const char *key, double *out, size_t max)
{
    struct vz_json list, number;
    size_t n = 0;
    if (!vz_json_get(item, key, &list))
        return 0;
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &number)) {
        assert_true(n < max);
        out[n++] = vz_json_double(number);
    }
    return n;
}

/* Compares as the issue asks: f32 every element within 1e-4 (of the longer of 1 and the vector's
 * root mean square) and cosine over 0.99999; bf16 over 0.999; int8 over 0.99. */
static void golden_compare(const struct golden *g, size_t at, struct vz_json item,
                           enum vz_precision precision, const float *got, size_t dims)
{
    double *want = calloc(dims, sizeof *want);
    assert_int_equal(golden_numbers(item, "vector", want, dims), dims);
    double dot = 0, gg = 0, ww = 0, worst = 0;
    for (size_t i = 0; i < dims; i++) {
        dot += want[i] * (double)got[i];
        gg += (double)got[i] * (double)got[i];
        ww += want[i] * want[i];
        worst = fmax(worst, fabs(want[i] - (double)got[i]));
    }
    free(want);
    double cosine = dims > 1 ? dot / sqrt(gg * ww) : 1;
    double floor = precision == VZ_PRECISION_F32    ? 0.99999
                   : precision == VZ_PRECISION_BF16 ? 0.999
                                                    : 0.99;
    print_message("%s #%zu %s: cosine %.7f, largest difference %.2e\n", g->name, at,
                  vz_precision_name(precision), cosine, worst);
    if (!(cosine > floor) || (precision == VZ_PRECISION_F32 && !(worst < 1e-4)))
        fail_msg("%s (seed %llu) case %zu: too far from PyTorch", g->name,
                 (unsigned long long)g->seed, at);
}

static bool golden_full_size(void)
{
    const char *wish = getenv("VIZSLA_TEST_FULL");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return wish && strcmp(wish, "1") == 0;
#else
    return !wish || strcmp(wish, "0") != 0;
#endif
}

#endif
