/* Models as eland traces and uploads them, beside what PyTorch computes with them
 * (tests/golden/traced, made by tools/make_golden_traced.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "embed/text_model.h"
#include "embed/tokenizer.h"
#include "embed/traced.h"
#include "json/json.h"
#include "nn/torchscript.h"
#include "embed/traced_path.h"

static void read_golden(const char *model, const char *file, struct vz_buf *out)
{
    char path[512];
    struct vz_error err = {0};
    snprintf(path, sizeof path, "%s/%s/%s", VZ_GOLDEN_TRACED, model, file);
    if (vz_file_read(path, 0, out, &err) != VZ_OK)
        fail_msg("%s", err.text);
}

/* `definition` NULL: the model's own. */
static enum vz_status unpack(const char *model, const char *definition, const char *folder,
                             struct vz_error *err)
{
    char path[512];
    struct vz_buf config = {0}, vocabulary = {0};
    snprintf(path, sizeof path, "%s/%s/definition.pt", VZ_GOLDEN_TRACED, model);
    read_golden(model, "config.json", &config);
    read_golden(model, "vocabulary.json", &vocabulary);
    struct vz_traced_upload upload = {.definition = definition ? definition : path,
                                      .config = vz_buf_slice(&config),
                                      .vocabulary = vz_buf_slice(&vocabulary),
                                      .folder = folder};
    enum vz_status status = vz_traced_unpack(&upload, err);
    vz_buf_deinit(&config);
    vz_buf_deinit(&vocabulary);
    return status;
}

static void make_folder(char folder[64])
{
    /* In memory where that can be: each file is synced, a few thousand times over. */
    bool has_shm = access("/dev/shm", W_OK) == 0;
    strcpy(folder, has_shm ? "/dev/shm/vz-traced-XXXXXX" : "/tmp/vz-traced-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

/* ---- equal to PyTorch ---------------------------------------------------------------------- */

static void check_values(const char *model, const char *folder, enum vz_text_task task)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, texts, values, value, row;
    struct vz_error err = {0};
    struct vz_text_model *net;
    struct vz_tokenizer *tokenizer;
    struct vz_arena arena = {0};
    float out[64], wanted[64];
    read_golden(model, "golden.json", &text);
    assert_int_equal(vz_json_parse(vz_buf_slice(&text), &doc, &root, &err), VZ_OK);
    assert_true(vz_json_get(root, "texts", &texts) && vz_json_get(root, "values", &values));
    struct vz_nn_options options = {.precision = VZ_PRECISION_F32, .threads = 1};
    if (vz_text_model_open(folder, task, &options, &net, &err) != VZ_OK ||
        vz_tokenizer_open(folder, 0, &tokenizer, &err) != VZ_OK)
        fail_msg("%s: %s", model, err.text);
    struct vz_json_iter it = vz_json_iterate(texts), rows = vz_json_iterate(values);
    size_t seen = 0;
    for (; vz_json_next(&it, NULL, &value) && vz_json_next(&rows, NULL, &row); seen++) {
        struct vz_tokens tokens;
        size_t count;
        assert_int_equal(vz_json_floats(row, wanted, 64, &count, &err), VZ_OK);
        assert_int_equal(vz_text_model_dims(net), count);
        vz_tokenize(tokenizer, vz_json_string(value), &arena, &tokens, &err);
        struct vz_text_ids ids = {.ids = tokens.ids, .count = tokens.count};
        if (vz_text_model_run(net, &ids, 1, out, &err) != VZ_OK)
            fail_msg("%s: %s", model, err.text);
        for (size_t i = 0; i < count; i++)
            if (fabsf(out[i] - wanted[i]) > 1e-4f)
                fail_msg("%s, text %zu: [%zu] is %g, PyTorch says %g", model, seen, i,
                         (double)out[i], (double)wanted[i]);
    }
    assert_true(seen >= 4);
    vz_text_model_free(net);
    vz_tokenizer_free(tokenizer);
    vz_arena_deinit(&arena);
    vz_json_free(doc);
    vz_buf_deinit(&text);
}

static const struct {
    const char *model;
    enum vz_text_task task;
} models[] = {
    {"bert-mean", VZ_TEXT_EMBED},
    {"bert-first-token", VZ_TEXT_EMBED},
    {"roberta-mean", VZ_TEXT_EMBED},
    {"mpnet-mean", VZ_TEXT_EMBED},
    {"distilbert-dense", VZ_TEXT_EMBED},
    {"bert-sentiment", VZ_TEXT_CLASSIFY},
    {"roberta-sentiment", VZ_TEXT_CLASSIFY},
    {"distilbert-sentiment", VZ_TEXT_CLASSIFY},
    {"bert-cross-encoder", VZ_TEXT_CLASSIFY},
};

static void equals_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(models); i++) {
        char folder[64];
        struct vz_error err = {0};
        make_folder(folder);
        if (unpack(models[i].model, NULL, folder, &err) != VZ_OK)
            fail_msg("%s: %s", models[i].model, err.text);
        check_values(models[i].model, folder, models[i].task);
        vz_remove_all(folder, NULL);
    }
}

static void keeps_labels_and_length(void **state)
{
    (void)state;
    char folder[64], path[128];
    struct vz_buf text = {0};
    struct vz_error err = {0};
    make_folder(folder);
    assert_int_equal(unpack("bert-sentiment", NULL, folder, &err), VZ_OK);
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(vz_file_read(path, 0, &text, &err), VZ_OK);
    assert_non_null(strstr(text.data, "\"id2label\":{\"0\":\"LABEL_0\",\"1\":\"LABEL_1\""));
    assert_non_null(strstr(text.data, "BertForSequenceClassification"));
    vz_buf_clear(&text);
    snprintf(path, sizeof path, "%s/sentence_bert_config.json", folder);
    assert_int_equal(vz_file_read(path, 0, &text, &err), VZ_OK);
    assert_non_null(strstr(text.data, "\"max_seq_length\":46"));
    vz_buf_deinit(&text);
    vz_remove_all(folder, NULL);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    char folder[64];
    struct vz_error err = {0};
    make_folder(folder);
    struct vz_buf config = {0}, vocabulary = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/bert-mean/definition.pt", VZ_GOLDEN_TRACED);
    read_golden("bert-sentiment", "config.json", &config);
    read_golden("bert-mean", "vocabulary.json", &vocabulary);
    struct vz_traced_upload upload = {path, vz_buf_slice(&config), vz_buf_slice(&vocabulary),
                                      folder};
    assert_int_equal(vz_traced_unpack(&upload, &err), VZ_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no classification head"));

    upload.config = VZ_SLICE("{\"inference_config\":{\"text_embedding\":{\"tokenization\":"
                             "{\"bert_ja\":{}}}}}");
    assert_int_equal(vz_traced_unpack(&upload, &err), VZ_UNSUPPORTED);
    assert_non_null(strstr(err.text, "bert_ja"));

    upload.config = VZ_SLICE("{\"inference_config\":{\"text_embedding\":{\"tokenization\":"
                             "{\"bert\":{}}}}}");
    struct vz_buf many = {0};
    vz_buf_append_str(&many, "{\"vocabulary\":[\"[PAD]\"");
    for (int i = 0; i < 100; i++)
        vz_buf_printf(&many, ",\"w%d\"", i);
    vz_buf_append_str(&many, "]}");
    upload.vocabulary = vz_buf_slice(&many);
    assert_int_equal(vz_traced_unpack(&upload, &err), VZ_CORRUPT);
    assert_non_null(strstr(err.text, "a vocabulary of 101 words"));
    vz_buf_deinit(&many);

    upload.vocabulary = VZ_SLICE("{\"vocabulary\":[\"a\\nb\"]}");
    assert_int_equal(vz_traced_unpack(&upload, &err), VZ_CORRUPT);
    assert_non_null(strstr(err.text, "line end"));
    vz_buf_deinit(&config);
    vz_buf_deinit(&vocabulary);
    vz_remove_all(folder, NULL);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* Every cut, and bytes turned all over the file: refused or the same, never a crash. */
static void survives_damage(void **state)
{
    (void)state;
    char folder[64], path[128];
    struct vz_buf file = {0};
    make_folder(folder);
    snprintf(path, sizeof path, "%s/damaged.pt", folder);
    read_golden("bert-first-token", "definition.pt", &file);
    for (size_t len = 0; len < file.len; len += 211) {
        struct vz_error err = {0};
        write_file(path, file.data, len);
        assert_int_not_equal(unpack("bert-first-token", path, folder, &err), VZ_OK);
        assert_true(err.text[0]);
    }
    for (size_t at = 0; at < file.len; at += 509) {
        struct vz_error err = {0};
        char before = file.data[at];
        file.data[at] = (char)(before ^ 0x5a);
        write_file(path, file.data, file.len);
        unpack("bert-first-token", path, folder, &err);
        file.data[at] = before;
    }
    vz_buf_deinit(&file);
    vz_remove_all(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pytorch),
        cmocka_unit_test(keeps_labels_and_length),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
