/* An infer room over a folder with the tiny models (tests/golden/tiny), and requests to it. */
#ifndef VZ_TEST_INFER_SUPPORT_H
#define VZ_TEST_INFER_SUPPORT_H

#include "infer/parts.h"

#include "base/file.h"
#include "base/text.h"
#include "embed/eye.h"
#include "embed/registry.h"
#include "image/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "infer/tiny_path.h"

#define DIMS 32 /* of the tiny models */

struct world {
    char path[64], models[80], images[80];
    struct vz_infer *infer;
    struct vz_arena arena;
};

static inline void world_import(struct world *world, const char *name)
{
    struct vz_arena arena = {0};
    struct vz_error err = {0};
    struct vz_model model;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", VZ_TINY_MODELS, name);
    const struct vz_model_import import = {.folder = folder, .name = name};
    if (vz_model_import(world->models, &import, NULL, &arena, &model, &err) != VZ_OK)
        fail_msg("%s: %s", name, err.text);
    vz_arena_deinit(&arena);
}

static inline void world_start(struct world *world, const struct vz_infer_options *more)
{
    struct vz_infer_options options = more ? *more : (struct vz_infer_options){0};
    struct vz_error err = {0};
    options.models = world->models;
    options.image_folder = world->images;
    options.precision = VZ_PRECISION_F32;
    if (vz_infer_new(&options, &world->infer, &err) != VZ_OK)
        fail_msg("%s", err.text);
}

static inline int world_open(void **state)
{
    static const char *const models[] = {"tiny-clip", "tiny-embed", "tiny-prompts",
                                         "tiny-mood", "tiny-rank",  "tiny-nli"};
    struct world *world = vz_calloc(1, sizeof *world);
    strcpy(world->path, "/tmp/vizsla-infer-XXXXXX");
    assert_non_null(mkdtemp(world->path));
    snprintf(world->models, sizeof world->models, "%s/models", world->path);
    snprintf(world->images, sizeof world->images, "%s/images", world->path);
    assert_int_equal(vz_mkdir_all(world->images, NULL), VZ_OK);
    for (size_t i = 0; i < VZ_COUNT_OF(models); i++)
        world_import(world, models[i]);
    world_start(world, NULL);
    *state = world;
    return 0;
}

static inline int world_close(void **state)
{
    struct world *world = *state;
    vz_infer_free(world->infer);
    vz_arena_deinit(&world->arena);
    vz_remove_all(world->path, NULL);
    free(world);
    return 0;
}

static inline void world_restart(struct world *world, const struct vz_infer_options *options)
{
    vz_infer_free(world->infer);
    world_start(world, options);
}

/* A picture as a file would hold it: a soft gradient that depends on `kind`. */
static inline struct vz_slice picture(struct world *world, unsigned kind, int width, int height)
{
    struct vz_buf out = {0};
    struct vz_image image = {.width = width, .height = height};
    image.rgb = vz_alloc((size_t)width * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (unsigned c = 0; c < 3; c++)
                image.rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + c] =
                    (uint8_t)((unsigned)x * (kind + c) * 3 / 2 + (unsigned)y * (kind * c + 1));
    assert_int_equal(vz_image_encode(&image, "png", 0, &out, NULL), VZ_OK);
    free(image.rgb);
    struct vz_slice bytes = vz_arena_copy(&world->arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return bytes;
}

static inline struct vz_infer_input text_input(const char *text)
{
    return (struct vz_infer_input){.text = vz_slice_from(text)};
}

static inline enum vz_status run(struct world *world, const struct vz_infer_request *request,
                                 struct vz_infer_answer *answer, struct vz_error *err)
{
    return vz_infer_run(world->infer, request, &world->arena, answer, err);
}

/* The vector of one input, which must work. */
static inline const float *vector_of(struct world *world, const char *model,
                                     struct vz_infer_input input)
{
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    const struct vz_infer_request request = {
        .model = vz_slice_from(model), .inputs = &input, .count = 1};
    if (run(world, &request, &answer, &err) != VZ_OK)
        fail_msg("%s: %s", model, err.text);
    assert_int_equal(answer.task, VZ_TASK_EMBED);
    return answer.ones[0].vector;
}

static inline double cosine(const float *a, const float *b, size_t dims)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < dims; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

#endif
