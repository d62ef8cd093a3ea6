/* What requests answer: every task, every kind of input, every name a model has. */
#include "support.h"

#include "embed/model.h"

/* The room gives what the embed room gives, to the bit: pictures and texts, one and many. */
static void vectors_are_the_models_own(void **state)
{
    struct world *world = *state;
    struct vz_opened_model *model;
    char folder[128];
    float direct[DIMS];
    snprintf(folder, sizeof folder, "%s/tiny-clip", world->models);
    assert_int_equal(
        vz_model_open(folder, &(struct vz_nn_options){.precision = VZ_PRECISION_F32}, &model, NULL),
        VZ_OK);
    struct vz_infer_input inputs[40];
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    for (unsigned i = 0; i < 40; i++) {
        char *text = vz_arena_printf(&world->arena, "dog number %u of many", i);
        inputs[i] = i % 2 ? (struct vz_infer_input){.is_image = true,
                                                    .bytes = picture(world, i, 50 + (int)i, 40)}
                          : text_input(text);
    }
    const struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-clip"), .task = VZ_TASK_EMBED, .inputs = inputs, .count = 40};
    if (run(world, &request, &answer, &err) != VZ_OK)
        fail_msg("%s", err.text);
    assert_int_equal(answer.count, 40);
    assert_int_equal(answer.dims, DIMS);
    assert_int_equal(strlen(answer.digest), 64);
    for (unsigned i = 0; i < 40; i++) {
        if (inputs[i].is_image) {
            struct vz_image image = {0};
            assert_int_equal(
                vz_image_decode(inputs[i].bytes, NULL, vz_model_image_side(model), &image, NULL),
                VZ_OK);
            assert_int_equal(vz_model_embed_image(model, &image, direct, NULL), VZ_OK);
            vz_image_deinit(&image);
        } else {
            assert_int_equal(vz_model_embed_text(model, inputs[i].text, direct, NULL, NULL), VZ_OK);
        }
        for (size_t k = 0; k < DIMS; k++)
            if (fabsf(answer.ones[i].vector[k] - direct[k]) >= 1e-5f)
                fail_msg("input %u, element %zu: %.9g through the room, %.9g directly", i, k,
                         (double)answer.ones[i].vector[k], (double)direct[k]);
    }
    vz_model_close(model);
}

/* The eye through the room is the eye of `vizsla register`. */
static void eye_is_the_applications_eye(void **state)
{
    struct world *world = *state;
    struct vz_slice bytes = picture(world, 3, 700, 500);
    struct vz_image image = {0};
    float direct[VZ_EYE_DIMS];
    assert_int_equal(vz_image_decode(bytes, NULL, VZ_EYE_SIDE, &image, NULL), VZ_OK);
    assert_int_equal(vz_eye_embed(&image, direct, NULL), VZ_OK);
    vz_image_deinit(&image);
    static const char *const names[] = {"eye", "vizsla-eye-1", "eye-1"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        assert_memory_equal(
            vector_of(world, names[i], (struct vz_infer_input){.is_image = true, .bytes = bytes}),
            direct, sizeof direct);
}

static void names_of_a_model(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"tiny-clip", "Tiny-CLIP", "pictures"};
    assert_int_equal(
        vz_infer_alias(world->infer, VZ_SLICE("pictures"), VZ_SLICE("tiny-clip"), NULL), VZ_OK);
    const float *first = vector_of(world, names[0], text_input("a dog"));
    for (size_t i = 1; i < VZ_COUNT_OF(names); i++)
        assert_memory_equal(vector_of(world, names[i], text_input("a dog")), first,
                            DIMS * sizeof *first);
    struct vz_infer_about about;
    assert_int_equal(
        vz_infer_about(world->infer, VZ_SLICE("pictures"), &world->arena, &about, NULL), VZ_OK);
    assert_true(about.sees && about.reads);
    assert_int_equal(about.dims, DIMS);
    assert_true(vz_slice_is(about.name, "tiny-clip"));
    /* By its digest, which is what fields remember. */
    vector_of(world, about.digest, text_input("a dog"));
    struct vz_error err = {0};
    assert_int_equal(
        vz_infer_about(world->infer, VZ_SLICE("clip-ViT-B-32"), &world->arena, &about, &err),
        VZ_NOT_FOUND);
    assert_non_null(strstr(err.text, "vizsla models pull clip-ViT-B-32"));
}

static void ids_as_eland_makes_them(void **state)
{
    struct world *world = *state;
    static const char *const names[][2] = {
        {"sentence-transformers/clip-ViT-B-32", "sentence-transformers__clip-vit-b-32"},
        {"eye", "eye"},
        {"cross-encoder/some-organisation-has-a-very-long-name/for-this-model-that-it-has",
         "rganisation-has-a-very-long-name__for-this-model-that-it-has"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++) {
        struct vz_slice id = vz_infer_id_of(vz_slice_from(names[i][0]), &world->arena);
        assert_true(id.len <= 64);
        struct vz_slice end = vz_slice_from(names[i][1]);
        assert_true(id.len >= end.len);
        assert_memory_equal(id.ptr + id.len - end.len, end.ptr, end.len);
    }
}

/* A model that is installed while the program runs is there at once. */
static void new_models_appear(void **state)
{
    struct world *world = *state;
    struct vz_infer_about about;
    assert_int_equal(vz_model_remove(world->models, "tiny-mood", NULL, NULL), VZ_OK);
    assert_int_equal(
        vz_infer_about(world->infer, VZ_SLICE("tiny-mood"), &world->arena, &about, NULL),
        VZ_NOT_FOUND);
    world_import(world, "tiny-mood");
    assert_int_equal(
        vz_infer_about(world->infer, VZ_SLICE("tiny-mood"), &world->arena, &about, NULL), VZ_OK);
    assert_int_equal(about.task, VZ_TASK_CLASSIFY);
    assert_int_equal(about.dims, 0);
}

static void composed_questions(void **state)
{
    struct world *world = *state;
    struct vz_infer_input parts[] = {
        {.is_image = true, .bytes = picture(world, 5, 64, 64)},
        text_input("in red"),
        text_input("on grass"),
    };
    parts[1].weight = 0.5f;
    parts[2].weight = -1;
    const float *a = vector_of(world, "tiny-clip", parts[0]);
    const float *b = vector_of(world, "tiny-clip", parts[1]);
    const float *c = vector_of(world, "tiny-clip", parts[2]);
    float expected[DIMS];
    for (size_t i = 0; i < DIMS; i++)
        expected[i] = a[i] + 0.5f * b[i] - c[i];
    struct vz_infer_answer answer;
    struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-clip"), .task = VZ_TASK_COMPOSE, .inputs = parts, .count = 3};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_int_equal(answer.count, 1);
    assert_true(cosine(answer.ones[0].vector, expected, DIMS) > 0.99999);
    double length = 0;
    for (size_t i = 0; i < DIMS; i++)
        length += (double)answer.ones[0].vector[i] * answer.ones[0].vector[i];
    assert_true(fabs(length - 1) < 1e-5);
    /* Something and its opposite is no question. */
    parts[1] = parts[2] = text_input("in red");
    parts[2].weight = -1;
    request.inputs = parts + 1;
    request.count = 2;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_BAD_ARGUMENT);
}

static void check_classes(const struct vz_infer_one *one, size_t count)
{
    double sum = 0;
    assert_int_equal(one->class_count, count);
    for (size_t i = 0; i < count; i++) {
        sum += one->classes[i].probability;
        assert_true(i == 0 || one->classes[i - 1].probability >= one->classes[i].probability);
    }
    assert_true(fabs(sum - 1) < 1e-9);
}

static void labels(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input inputs[] = {text_input("a happy dog"), text_input("sad weather")};
    struct vz_infer_answer answer;
    struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-mood"), .inputs = inputs, .count = 2};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_int_equal(answer.task, VZ_TASK_CLASSIFY);
    for (size_t i = 0; i < 2; i++)
        check_classes(&answer.ones[i], 3);
    struct vz_slice best = answer.ones[0].classes[0].label;
    assert_true(vz_slice_is(best, "sad") || vz_slice_is(best, "happy") ||
                vz_slice_is(best, "angry"));
    request.top_classes = 1;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_int_equal(answer.ones[0].class_count, 1);
    assert_true(vz_slice_eq(answer.ones[0].classes[0].label, best));
    request.task = VZ_TASK_EMBED;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_UNSUPPORTED);
}

static void zero_shot_of_texts(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input input = text_input("the dog is in the park");
    const struct vz_slice names[] = {VZ_SLICE("sport"), VZ_SLICE("politics"), VZ_SLICE("weather")};
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    struct vz_infer_request request = {.model = VZ_SLICE("tiny-nli"),
                                       .task = VZ_TASK_ZERO_SHOT,
                                       .inputs = &input,
                                       .count = 1,
                                       .labels = names,
                                       .label_count = 3};
    if (run(world, &request, &answer, &err) != VZ_OK)
        fail_msg("%s", err.text);
    check_classes(&answer.ones[0], 3);
    /* Alone, each label has its own two sides, and other labels do not matter. */
    request.multi_label = true;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    double before = 0;
    for (size_t i = 0; i < 3; i++)
        if (vz_slice_is(answer.ones[0].classes[i].label, "sport"))
            before = answer.ones[0].classes[i].probability;
    request.label_count = 1;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_true(fabs(answer.ones[0].classes[0].probability - before) < 1e-6);
    request.label_count = 0;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_BAD_ARGUMENT);
}

/* CLIP's softmax over 100 (here e^2) times the cosines, with the template of transformers. */
static void zero_shot_of_pictures(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input input = {.is_image = true, .bytes = picture(world, 9, 60, 40)};
    const struct vz_slice names[] = {VZ_SLICE("dog"), VZ_SLICE("cat")};
    struct vz_infer_answer answer;
    const struct vz_infer_request request = {.model = VZ_SLICE("tiny-clip"),
                                             .task = VZ_TASK_ZERO_SHOT,
                                             .inputs = &input,
                                             .count = 1,
                                             .labels = names,
                                             .label_count = 2};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    check_classes(&answer.ones[0], 2);
    const float *seen = vector_of(world, "tiny-clip", input);
    double logits[2];
    static const char *const texts[] = {"This is a photo of dog.", "This is a photo of cat."};
    for (size_t i = 0; i < 2; i++)
        logits[i] =
            exp(2) * cosine(seen, vector_of(world, "tiny-clip", text_input(texts[i])), DIMS);
    double dog = 1 / (1 + exp(logits[1] - logits[0]));
    size_t at = vz_slice_is(answer.ones[0].classes[0].label, "dog") ? 0 : 1;
    assert_true(fabs(answer.ones[0].classes[at].probability - dog) < 1e-4);
}

static void similarity_to_a_query(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input inputs[] = {text_input("a lost dog"), text_input("a lost dog"),
                                            text_input("politics")};
    struct vz_infer_answer answer;
    struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-rank"), .inputs = inputs, .count = 3, .query = VZ_SLICE("puppy")};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_int_equal(answer.task, VZ_TASK_SIMILARITY);
    assert_true(fabs(answer.ones[0].score - answer.ones[1].score) < 1e-6);
    assert_true(fabs(answer.ones[0].score - answer.ones[2].score) > 1e-6);
    request.query = (struct vz_slice){0};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_BAD_ARGUMENT);
}

static void prefixes_of_questions_and_documents(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input input = text_input("a dog");
    struct vz_infer_answer answer;
    struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-prompts"), .inputs = &input, .count = 1};
    const float *question = vector_of(world, "tiny-embed", text_input("query: a dog"));
    const float *document = vector_of(world, "tiny-embed", text_input("passage: a dog"));
    const float *plain = vector_of(world, "tiny-embed", text_input("a dog"));
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_memory_equal(answer.ones[0].vector, document, DIMS * sizeof(float));
    request.is_query = true;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_memory_equal(answer.ones[0].vector, question, DIMS * sizeof(float));
    request.without_prefix = true;
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    assert_memory_equal(answer.ones[0].vector, plain, DIMS * sizeof(float));
}

static void long_texts_are_cut_or_refused(void **state)
{
    struct world *world = *state;
    struct vz_buf text = {0};
    for (int i = 0; i < 100; i++)
        vz_buf_append_str(&text, "dog ");
    const struct vz_infer_input inputs[] = {text_input("a dog"), {.text = vz_buf_slice(&text)}};
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-embed"), .inputs = inputs, .count = 2};
    for (int again = 0; again < 2; again++) { /* computed, then from the cache */
        request.refuse_long = false;
        assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
        assert_false(answer.ones[0].is_truncated);
        assert_int_equal(answer.ones[0].tokens, 4);
        assert_true(answer.ones[1].is_truncated);
        assert_int_equal(answer.ones[1].tokens, 32);
        request.refuse_long = true;
        assert_int_equal(run(world, &request, &answer, &err), VZ_LIMIT);
        assert_non_null(strstr(err.text, "input [1]"));
    }
    vz_buf_deinit(&text);
}

static void what_is_refused(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input inputs[] = {
        text_input("a dog"),
        {.is_image = true, .bytes = picture(world, 1, 20, 20)},
        {.is_image = true, .bytes = VZ_SLICE("no picture at all")},
    };
    const struct {
        const char *model;
        size_t first;
        enum vz_status status;
        const char *part;
    } cases[] = {
        {"tiny-embed", 1, VZ_UNSUPPORTED, "input [0] is a picture"},
        {"eye", 0, VZ_UNSUPPORTED, "input [0] is a text"},
        {"eye", 2, VZ_BAD_IMAGE, "input [0]: "},
        {"tiny-clip", 2, VZ_BAD_IMAGE, "input [0]: "},
        {"nope", 0, VZ_NOT_FOUND, "no model [nope] is installed"},
        {"tiny-mood", 1, VZ_UNSUPPORTED, "input [0] is a picture"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_infer_answer answer;
        struct vz_error err = {0};
        const struct vz_infer_request request = {
            .model = vz_slice_from(cases[i].model), .inputs = &inputs[cases[i].first], .count = 1};
        assert_int_equal(run(world, &request, &answer, &err), cases[i].status);
        if (!strstr(err.text, cases[i].part))
            fail_msg("%s: %s", cases[i].model, err.text);
    }
}

/* A deployment may be stopped while its answers are still being printed. */
static void labels_outlive_their_deployment(void **state)
{
    struct world *world = *state;
    const struct vz_infer_input input = text_input("a happy dog");
    struct vz_infer_answer answer;
    const struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-mood"), .inputs = &input, .count = 1};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    for (size_t i = 0; i < answer.ones[0].class_count; i++)
        for (const struct deployment *d = world->infer->deployments; d; d = d->next)
            for (size_t k = 0; k < d->model.about.label_count; k++)
                assert_ptr_not_equal(answer.ones[0].classes[i].label.ptr,
                                     d->model.about.labels[k].ptr);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("tiny-mood"), NULL), VZ_OK);
    assert_true(answer.ones[0].classes[0].label.len >= 3);
}

/* What labels, templates and inputs multiply to is bounded before anything is computed. */
static void zero_shot_is_bounded(void **state)
{
    static const char *const models[] = {"tiny-nli", "tiny-clip"};
    static struct vz_slice names[10001];
    static struct vz_infer_input inputs[30];
    struct world *world = *state;
    char template[5000];
    struct vz_infer_answer answer;
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        names[i] = VZ_SLICE("dog");
    for (size_t i = 0; i < VZ_COUNT_OF(inputs); i++)
        inputs[i] = text_input("a dog");
    memset(template, 'a', sizeof template);
    for (size_t i = 0; i < VZ_COUNT_OF(models); i++) {
        struct vz_infer_request request = {.model = vz_slice_from(models[i]),
                                           .task = VZ_TASK_ZERO_SHOT,
                                           .inputs = inputs,
                                           .count = 30,
                                           .labels = names,
                                           .label_count = 10000};
        assert_int_equal(run(world, &request, &answer, NULL), VZ_LIMIT);
        request.count = 1;
        request.label_count = 10001;
        assert_int_equal(run(world, &request, &answer, NULL), VZ_LIMIT);
        request.label_count = 2;
        request.template = (struct vz_slice){template, sizeof template};
        assert_int_equal(run(world, &request, &answer, NULL), VZ_LIMIT);
    }
}

static void copy_file(const char *from, const char *to, const char *name)
{
    struct vz_buf bytes = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", VZ_TINY_MODELS, from, name);
    assert_int_equal(vz_file_read(path, 0, &bytes, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/%s", to, name);
    assert_int_equal(vz_file_write_atomic(path, bytes.data, bytes.len, NULL), VZ_OK);
    vz_buf_deinit(&bytes);
}

/* One label by its configuration, three by its weights: each input would get three numbers. */
static void heads_must_fit_their_configuration(void **state)
{
    struct world *world = *state;
    char folder[128];
    struct vz_arena arena = {0};
    struct vz_error err = {0};
    struct vz_model model;
    struct vz_infer_answer answer;
    const struct vz_infer_input inputs[] = {text_input("a"), text_input("b")};
    snprintf(folder, sizeof folder, "%s/liar", world->path);
    assert_int_equal(vz_mkdir_all(folder, NULL), VZ_OK);
    copy_file("tiny-rank", folder, "config.json");
    copy_file("tiny-mood", folder, "model.safetensors");
    copy_file("tiny-mood", folder, "vocab.txt");
    copy_file("tiny-mood", folder, "tokenizer_config.json");
    const struct vz_model_import import = {.folder = folder, .name = "liar"};
    if (vz_model_import(world->models, &import, NULL, &arena, &model, &err) != VZ_OK)
        fail_msg("%s", err.text);
    vz_arena_deinit(&arena);
    const struct vz_infer_request request = {
        .model = VZ_SLICE("liar"), .inputs = inputs, .count = 2, .query = VZ_SLICE("a")};
    assert_int_equal(run(world, &request, &answer, &err), VZ_CORRUPT);
}

/* The same files under two names are two models: what else is known of them may differ. */
static void same_weights_other_prefixes(void **state)
{
    struct world *world = *state;
    struct vz_arena arena = {0};
    struct vz_model model;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/tiny-embed", VZ_TINY_MODELS);
    const struct vz_model_import import = {.folder = folder, .name = "tiny-again"};
    assert_int_equal(vz_model_import(world->models, &import, NULL, &arena, &model, NULL), VZ_OK);
    vz_arena_deinit(&arena);
    vz_infer_prefixes(world->infer, VZ_SLICE("tiny-again"), VZ_SLICE("dog "), VZ_SLICE("dog "));
    const float *plain = vector_of(world, "tiny-embed", text_input("a park"));
    const float *other = vector_of(world, "tiny-again", text_input("a park"));
    assert_true(cosine(plain, other, DIMS) < 0.9999);
    plain = vector_of(world, "tiny-embed", text_input("dog a park"));
    assert_true(cosine(plain, other, DIMS) > 0.9999);
    /* Forgotten: those of its files, which are none. */
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("tiny-again"), NULL), VZ_OK);
    vz_infer_prefixes(world->infer, VZ_SLICE("tiny-again"), (struct vz_slice){0},
                      (struct vz_slice){0});
    plain = vector_of(world, "tiny-embed", text_input("a park"));
    other = vector_of(world, "tiny-again", text_input("a park"));
    assert_true(cosine(plain, other, DIMS) > 0.9999);
}

int main(void)
{
    assert_int_equal(vz_image_start(NULL), VZ_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_the_models_own),
        cmocka_unit_test(eye_is_the_applications_eye),
        cmocka_unit_test(names_of_a_model),
        cmocka_unit_test(ids_as_eland_makes_them),
        cmocka_unit_test(new_models_appear),
        cmocka_unit_test(composed_questions),
        cmocka_unit_test(labels),
        cmocka_unit_test(zero_shot_of_texts),
        cmocka_unit_test(zero_shot_of_pictures),
        cmocka_unit_test(labels_outlive_their_deployment),
        cmocka_unit_test(zero_shot_is_bounded),
        cmocka_unit_test(heads_must_fit_their_configuration),
        cmocka_unit_test(same_weights_other_prefixes),
        cmocka_unit_test(similarity_to_a_query),
        cmocka_unit_test(prefixes_of_questions_and_documents),
        cmocka_unit_test(long_texts_are_cut_or_refused),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
