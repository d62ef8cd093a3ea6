/* Names of models, which files are picked, and manifests under mutation. The commands as a whole
 * are in tests/hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "embed/registry_parts.h"

/* ---- names ---- */

static void names_stand_for_hub_ids(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hub, *local, *folder;
    } cases[] = {
        {"clip-ViT-B-32", "sentence-transformers/clip-ViT-B-32",
         "sentence-transformers/clip-ViT-B-32", "sentence-transformers--clip-ViT-B-32"},
        {"clip-ViT-B-32-multilingual-v1", "sentence-transformers/clip-ViT-B-32-multilingual-v1",
         "sentence-transformers/clip-ViT-B-32-multilingual-v1",
         "sentence-transformers--clip-ViT-B-32-multilingual-v1"},
        {"openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32",
         "openai/clip-vit-base-patch32", "openai--clip-vit-base-patch32"},
        {"multilingual-e5-small", "intfloat/multilingual-e5-small",
         "intfloat/multilingual-e5-small", "intfloat--multilingual-e5-small"},
        {"bge-small-en-v1.5", "BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5",
         "BAAI--bge-small-en-v1.5"},
        {"ms-marco-MiniLM-L6-v2", "cross-encoder/ms-marco-MiniLM-L6-v2",
         "cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder--ms-marco-MiniLM-L6-v2"},
        {"my_model", "sentence-transformers/my_model", "my_model",
         "sentence-transformers--my_model"},
        {"a/b@refs/pr/1", "a/b@refs/pr/1", "a/b@refs/pr/1", "a--b@refs%2Fpr%2F1"},
        {"all-MiniLM-L6-v2@v2", "sentence-transformers/all-MiniLM-L6-v2@v2",
         "sentence-transformers/all-MiniLM-L6-v2@v2", "sentence-transformers--all-MiniLM-L6-v2@v2"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_model_ref ref;
        assert_int_equal(vz_model_ref_hub(cases[i].text, &ref, NULL), VZ_OK);
        assert_string_equal(ref.name, cases[i].hub);
        assert_string_equal(ref.folder, cases[i].folder);
        assert_int_equal(vz_model_ref_local(cases[i].text, &ref, NULL), VZ_OK);
        assert_string_equal(ref.name, cases[i].local);
        /* A name means itself. */
        struct vz_model_ref again;
        assert_int_equal(vz_model_ref_local(ref.name, &again, NULL), VZ_OK);
        assert_memory_equal(&ref, &again, sizeof ref);
    }
}

/* Whatever is accepted stays one folder below the store and is never hidden. */
static void random_names_stay_in_the_store(void **state)
{
    (void)state;
    static const char letters[] = "ab1_-./@%~ \\\n\xC3";
    uint64_t seed = 20261120;
    size_t accepted = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 200000; i++) {
        char text[24];
        size_t len = vz_rng_next(&seed) % (sizeof text - 1);
        for (size_t k = 0; k < len; k++)
            text[k] = letters[vz_rng_next(&seed) % (sizeof letters - 1)];
        text[len] = '\0';
        struct vz_model_ref ref;
        struct vz_error err = {0};
        if (vz_model_ref_local(text, &ref, &err) != VZ_OK) {
            assert_int_equal(err.status, VZ_BAD_NAME);
            continue;
        }
        accepted++;
        assert_null(strchr(ref.folder, '/'));
        assert_null(strstr(ref.folder, ".."));
        assert_null(strpbrk(ref.folder, " \\\n+"));
        assert_int_not_equal(ref.folder[0], '.');
        assert_int_not_equal(ref.folder[0], '\0');
    }
    assert_true(accepted > 100);
}

static void longest_names_fit(void **state)
{
    (void)state;
    char text[97 + 97 + 1 + VZ_MODEL_REVISION_MAX + 1], rev[VZ_MODEL_REVISION_MAX];
    memset(rev, 'x', sizeof rev);
    for (size_t i = 1; i < sizeof rev - 2; i += 2)
        rev[i] = '/';
    rev[sizeof rev - 1] = '\0';
    snprintf(text, sizeof text, "%096d/%096d@%s", 7, 8, rev);
    struct vz_model_ref ref;
    assert_int_equal(vz_model_ref_hub(text, &ref, NULL), VZ_OK);
    assert_string_equal(ref.name, text);
    assert_true(strlen(ref.folder) < 2 * sizeof text && strlen(ref.folder) < sizeof ref.folder - 1);
}

static void paths_stay_in_their_folder(void **state)
{
    (void)state;
    static const char *const good[] = {"a",   "a/b/c.json", "0_CLIPModel/config.json", "...",
                                       "a b", "\xC3\xA4/x", ".gitattributes",          "..a",
                                       "a.."};
    static const char *const bad[] = {"",     "/a",   "a/",   "a//b",  "..",   "a/../b",
                                      ".",    "./a",  "a/.",  "a\\b",  "a\nb", "a\x7F",
                                      "\xFF", "../a", "a/..", "\x1B[m"};
    for (size_t i = 0; i < VZ_COUNT_OF(good); i++)
        assert_true(vz_model_path_ok(vz_slice_from(good[i])));
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++)
        assert_false(vz_model_path_ok(vz_slice_from(bad[i])));
    assert_false(vz_model_path_ok((struct vz_slice){"a\0b", 3}));
}

/* ---- picking ---- */

/* What a repository of the hub holds; modules.json as given. */
static enum vz_status read_text(void *context, const char *path, struct vz_buf *out,
                                struct vz_error *err)
{
    const char *const *texts = context; /* modules.json, then any index */
    (void)err;
    vz_buf_append_str(out, strcmp(path, "modules.json") == 0 ? texts[0] : texts[1]);
    return VZ_OK;
}

static enum vz_status pick(const char *const *paths, size_t count, const char *modules,
                           const char *index, struct vz_buf *out, struct vz_error *err)
{
    const char *texts[] = {modules, index};
    struct vz_model_listing listing = {paths, count, read_text, texts};
    struct vz_model_picks picks;
    struct vz_arena arena = {0};
    enum vz_status status = vz_model_pick_files(&listing, &arena, &picks, err);
    for (size_t i = 0; status == VZ_OK && i < picks.count; i++)
        vz_buf_printf(out, "%s%s ", picks.items[i].path, picks.items[i].is_weights ? "!" : "");
    vz_arena_deinit(&arena);
    return status;
}

static void check_picks(const char *const *paths, size_t count, const char *modules,
                        const char *expected)
{
    struct vz_buf out = {0};
    assert_int_equal(pick(paths, count, modules, "{}", &out, NULL), VZ_OK);
    assert_string_equal(out.data, expected);
    vz_buf_deinit(&out);
}

static void one_set_of_weights_is_picked(void **state)
{
    (void)state;
    static const char *const minilm[] = {".gitattributes",      "1_Pooling/config.json",
                                         "README.md",           "config.json",
                                         "data_config.json",    "model.safetensors",
                                         "modules.json",        "onnx/config.json",
                                         "onnx/model.onnx",     "pytorch_model.bin",
                                         "rust_model.ot",       "tf_model.h5",
                                         "tokenizer.json",      "train_script.py",
                                         "vocab.txt",           "sentence_bert_config.json",
                                         "sentence_config.xml", "2_Normalize/x.json",
                                         "1_Pooling/a.bin"};
    check_picks(minilm, VZ_COUNT_OF(minilm),
                "[{\"path\":\"\"},{\"path\":\"1_Pooling\"},{\"path\":\"2_Normalize\"}]",
                "1_Pooling/config.json config.json modules.json sentence_bert_config.json "
                "tokenizer.json vocab.txt model.safetensors! ");
    static const char *const clip[] = {"0_CLIPModel/config.json", "0_CLIPModel/pytorch_model.bin",
                                       "0_CLIPModel/merges.txt", "modules.json",
                                       "model.safetensors"};
    check_picks(clip, VZ_COUNT_OF(clip), "[{\"path\":\"0_CLIPModel/\"}]",
                "0_CLIPModel/config.json 0_CLIPModel/merges.txt modules.json "
                "0_CLIPModel/pytorch_model.bin! ");
    check_picks(clip, 3, "",
                "0_CLIPModel/config.json 0_CLIPModel/merges.txt "
                "0_CLIPModel/pytorch_model.bin! ");
}

static void shards_are_picked_by_their_index(void **state)
{
    (void)state;
    static const char *const paths[] = {"config.json",         "model.safetensors.index.json",
                                        "model-1.safetensors", "model-2.safetensors",
                                        "model-3.safetensors", "pytorch_model.bin"};
    struct vz_buf out = {0};
    struct vz_error err = {0};
    assert_int_equal(pick(paths, VZ_COUNT_OF(paths), "",
                          "{\"weight_map\":{\"a\":\"model-2.safetensors\",\"b\":"
                          "\"model-1.safetensors\",\"c\":\"model-2.safetensors\"}}",
                          &out, &err),
                     VZ_OK);
    assert_string_equal(out.data, "config.json model.safetensors.index.json model-1.safetensors! "
                                  "model-2.safetensors! ");
    static const struct {
        const char *index;
        enum vz_status status;
    } bad[] = {
        {"{}", VZ_CORRUPT},
        {"[]", VZ_CORRUPT},
        {"7", VZ_CORRUPT},
        {"{\"weight_map\":{}}", VZ_CORRUPT},
        {"{\"weight_map\":{\"a\":7}}", VZ_CORRUPT},
        {"{\"weight_map\":{\"a\":\"\"}}", VZ_CORRUPT},
        {"{\"weight_map\":{\"a\":\"../x\"}}", VZ_CORRUPT},
        {"{\"weight_map\":{\"a\":\"x/y\"}}", VZ_CORRUPT},
        {"{\"weight_map\":{\"a\":\"absent\"}}", VZ_NOT_FOUND},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++)
        assert_int_equal(pick(paths, VZ_COUNT_OF(paths), "", bad[i].index, &out, &err),
                         bad[i].status);
    vz_buf_deinit(&out);
}

/* ---- manifests and checksums ---- */

static char *make_folder(void)
{
    char *folder = vz_strdup("/tmp/vizsla-registry-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void checksums_are_the_known_ones(void **state)
{
    (void)state;
    char *folder = make_folder(), path[200], digest[65];
    snprintf(path, sizeof path, "%s/abc", folder);
    assert_int_equal(vz_file_write_atomic(path, "abc", 3, NULL), VZ_OK);
    assert_int_equal(vz_file_digest(path, VZ_DIGEST_SHA256, NULL, 0, 3, digest, NULL), VZ_OK);
    assert_string_equal(digest, /* FIPS 180-2, appendix B.1 */
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    /* printf abc | git hash-object --stdin */
    assert_int_equal(vz_file_digest(path, VZ_DIGEST_GIT, NULL, 0, 3, digest, NULL), VZ_OK);
    assert_string_equal(digest, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
    assert_int_equal(vz_file_digest(folder, VZ_DIGEST_GIT, NULL, 0, 3, digest, NULL), VZ_IO);
    vz_remove_all(folder, NULL);
    free(folder);
}

static const char good_manifest[] =
    "{\"vizsla_model\":1,\"name\":\"a/b\",\"type\":\"bert\",\"source\":\"s\",\"revision\":\"main\","
    "\"commit\":\"c\",\"license\":\"\",\"installed\":\"2026-11-20T12:00:00.000Z\",\"files\":[{"
    "\"path\":\"x/y\",\"bytes\":3,\"sha256\":"
    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]}";

static void manifests_are_read_or_refused(void **state)
{
    (void)state;
    char *folder = make_folder(), path[200];
    struct vz_arena arena = {0};
    struct vz_model model;
    snprintf(path, sizeof path, "%s/%s", folder, VZ_MODEL_MANIFEST);
    assert_int_equal(vz_model_read(folder, &arena, &model, NULL), VZ_NOT_FOUND);
    vz_file_write_atomic(path, good_manifest, sizeof good_manifest - 1, NULL);
    assert_int_equal(vz_model_read(folder, &arena, &model, NULL), VZ_OK);
    assert_string_equal(model.name, "a/b");
    assert_string_equal(model.folder, folder);
    assert_int_equal(model.bytes, 3);
    assert_int_equal(strlen(model.digest), 64);
    enum vz_model_file_state file;
    bool good = true;
    assert_int_equal(vz_model_verify(&model, NULL, &file, &good, NULL), VZ_OK);
    assert_false(good);
    assert_int_equal(file, VZ_FILE_MISSING);
    uint64_t seed = 7;
    print_message("seed 7\n");
    for (int i = 0; i < 3000; i++) {
        char text[sizeof good_manifest];
        memcpy(text, good_manifest, sizeof text);
        size_t len = sizeof text - 1;
        for (uint64_t k = 0; k <= vz_rng_next(&seed) % 4; k++)
            text[vz_rng_next(&seed) % len] = (char)vz_rng_next(&seed);
        if (vz_rng_next(&seed) % 4 == 0)
            len = vz_rng_next(&seed) % len;
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fwrite(text, 1, len, out);
        fclose(out);
        enum vz_status status = vz_model_read(folder, &arena, &model, NULL);
        assert_true(status == VZ_OK || status == VZ_CORRUPT);
        for (size_t k = 0; status == VZ_OK && k < model.file_count; k++)
            assert_true(vz_model_path_ok(vz_slice_from(model.files[k].path)));
        vz_arena_reset(&arena);
    }
    vz_arena_deinit(&arena);
    vz_remove_all(folder, NULL);
    free(folder);
}

static void one_writer_a_model(void **state)
{
    (void)state;
    char *folder = make_folder();
    struct vz_model_ref a, b;
    struct vz_error err = {0};
    int first = -1, second = -1, other = -1;
    vz_model_ref_hub("a/b", &a, NULL);
    vz_model_ref_hub("a/c", &b, NULL);
    assert_int_equal(vz_model_lock(folder, &a, &first, &err), VZ_OK);
    assert_int_equal(vz_model_lock(folder, &a, &second, &err), VZ_BUSY);
    assert_int_equal(vz_model_lock(folder, &b, &other, &err), VZ_OK);
    vz_model_unlock(first);
    assert_int_equal(vz_model_lock(folder, &a, &second, &err), VZ_OK);
    vz_model_unlock(second);
    vz_model_unlock(other);
    vz_remove_all(folder, NULL);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_for_hub_ids),
        cmocka_unit_test(random_names_stay_in_the_store),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(paths_stay_in_their_folder),
        cmocka_unit_test(one_set_of_weights_is_picked),
        cmocka_unit_test(shards_are_picked_by_their_index),
        cmocka_unit_test(checksums_are_the_known_ones),
        cmocka_unit_test(manifests_are_read_or_refused),
        cmocka_unit_test(one_writer_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
