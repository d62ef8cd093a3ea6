/* Tokenizer folders of the older kind, and folders that somebody broke; many threads on one
 * tokenizer. The seed is printed; VIZSLA_SEED sets it, VIZSLA_FUZZ_ROUNDS how long. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strmap.h"
#include "base/text.h"
#include "embed/golden_path.h" /* VZ_GOLDEN_MODELS, made by meson.build */
#include "embed/tokenizer.h"
#include "json/json.h"

#define OURS VZ_GOLDEN_MODELS "/../tokenizers"

static char folder[] = "/tmp/vz-tokens-XXXXXX";
static uint64_t rng;
static struct vz_buf texts[256];
static size_t text_count;

static void put_file(const char *name, struct vz_slice bytes)
{
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(vz_file_write_atomic(path, bytes.ptr, bytes.len, NULL), VZ_OK);
}

static void clear_folder(void)
{
    assert_int_equal(vz_remove_all(folder, NULL), VZ_OK);
    assert_int_equal(vz_mkdir_all(folder, NULL), VZ_OK);
}

static void expect(const char *json, enum vz_status status, const char *text)
{
    struct vz_tokenizer *tokenizer;
    struct vz_error err = {0};
    put_file("tokenizer.json", vz_slice_from(json));
    enum vz_status got = vz_tokenizer_open(folder, 0, &tokenizer, &err);
    if (got != status || (text && !strstr(err.text, text)))
        fail_msg("%s\nexpected %s [%s], got %s: %s", json, vz_status_name(status), text ? text : "",
                 vz_status_name(got), err.text);
    vz_tokenizer_free(tokenizer);
}

#define MODEL "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1}}"
#define WITH(part) "{" part "," MODEL "}"

static void refuses_by_name(void **state)
{
    clear_folder();
    expect("{" MODEL "}", VZ_OK, NULL);
    expect(WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}"),
           VZ_CORRUPT, "cut");
    expect(WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"////////\"}"),
           VZ_CORRUPT, "longer");
    expect(WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}"),
           VZ_CORRUPT, "base64");
    expect(WITH("\"normalizer\":{\"type\":\"Magic\"}"), VZ_UNSUPPORTED, "normalizer [Magic]");
    expect(WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a+)+b\"},"
                "\"content\":\"\"}"),
           VZ_UNSUPPORTED, "regular expression [(a+)+b]");
    expect(WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},"
                "\"content\":\"\"}"),
           VZ_CORRUPT, "empty");
    expect(WITH("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), VZ_UNSUPPORTED,
           "[UnicodeScripts]");
    expect(WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                "{\"type\":\"ByteLevel\"},{\"type\":\"ByteLevel\"}]}"),
           VZ_UNSUPPORTED, "twice");
    expect(WITH("\"post_processor\":{\"type\":\"Other\"}"), VZ_UNSUPPORTED, "[Other]");
    expect(WITH("\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"c\",7],"
                "\"sep\":[\"s\",1]}"),
           VZ_CORRUPT, "id 7 is no token's");
    expect(WITH("\"post_processor\":{\"type\":\"BertProcessing\"}"), VZ_CORRUPT, "cls and sep");
    expect(WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                "{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}"),
           VZ_CORRUPT, "[x] is not described");
    expect(WITH("\"truncation\":{\"direction\":\"Left\",\"max_length\":5}"), VZ_UNSUPPORTED,
           "from the left");
    expect(WITH("\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]"), VZ_CORRUPT, "token [x]");
    expect(WITH("\"added_tokens\":[{\"id\":4000000000,\"content\":\"x\"}]"), VZ_CORRUPT,
           "token [x]");
    expect("{}", VZ_CORRUPT, "no vocabulary");
    expect("[1]", VZ_CORRUPT, "no vocabulary");
    expect("{\"model\":", VZ_CORRUPT, "tokenizer.json");
    expect("{\"model\":{\"vocab\":{\"\":0}}}", VZ_CORRUPT, "empty");
    expect("{\"model\":{\"vocab\":{\"a\":1000000}}}", VZ_CORRUPT, "out of range");
    expect("{\"model\":{\"vocab\":{\"a\":1.5}}}", VZ_CORRUPT, "out of range");
    expect("{\"model\":{\"type\":\"Neural\",\"vocab\":{\"a\":0}}}", VZ_UNSUPPORTED, "[Neural]");
    expect("{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":{\"a\":0}}}",
           VZ_CORRUPT, "unknown token [?]");
    expect("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.0]]}}", VZ_UNSUPPORTED, "unk_id");
    expect("{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",-1.0]]}}", VZ_CORRUPT,
           "out of range");
    expect("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\"]]}}", VZ_CORRUPT,
           "entry 0");
    expect("{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0}}}", VZ_UNSUPPORTED,
           "dropout");
    expect("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", VZ_CORRUPT,
           "[a b]");
    expect("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", VZ_CORRUPT,
           "merge 0");
    expect("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\",\"a\"]]}}",
           VZ_CORRUPT, "merge 0");
}

static void says_what_is_missing(void **state)
{
    struct vz_tokenizer *tokenizer;
    struct vz_error err = {0};
    clear_folder();
    assert_int_equal(vz_tokenizer_open(folder, 0, &tokenizer, &err), VZ_NOT_FOUND);
    assert_non_null(strstr(err.text, "vocab.txt"));
    assert_null(tokenizer);
    put_file("vocab.json", VZ_SLICE("{\"<s>\":0,\"</s>\":1}"));
    assert_int_equal(vz_tokenizer_open(folder, 0, &tokenizer, &err), VZ_NOT_FOUND);
    assert_non_null(strstr(err.text, "merges.txt"));
    put_file("merges.txt", VZ_SLICE("#version: 0.2\n"));
    assert_int_equal(vz_tokenizer_open(folder, 0, &tokenizer, &err), VZ_OK);
    vz_tokenizer_free(tokenizer);
    assert_int_equal(vz_tokenizer_open(folder, 4, &tokenizer, &err), VZ_BAD_ARGUMENT);
}

static void takes_limits(void **state)
{
    static const struct {
        const char *config, *truncation;
        size_t wanted, limit;
    } cases[] = {
        {"{}", "", 0, 512},
        {"{\"model_max_length\":77}", "", 0, 77},
        {"{\"model_max_length\":1000000000000000019884624838656}", "", 0, 512},
        {"{}", "\"truncation\":{\"max_length\":128},", 0, 128},
        {"{\"model_max_length\":77}", "\"truncation\":{\"max_length\":128},", 0, 77},
        {"{\"model_max_length\":77}", "", 9, 9},
    };
    clear_folder();
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        char json[512];
        struct vz_tokenizer *tokenizer;
        struct vz_error err = {0};
        snprintf(json, sizeof json, "{%s" MODEL "}", cases[i].truncation);
        put_file("tokenizer.json", vz_slice_from(json));
        put_file("tokenizer_config.json", vz_slice_from(cases[i].config));
        assert_int_equal(vz_tokenizer_open(folder, cases[i].wanted, &tokenizer, &err), VZ_OK);
        assert_int_equal(vz_tokenizer_max_tokens(tokenizer), cases[i].limit);
        vz_tokenizer_free(tokenizer);
    }
}

/* Ten megabytes: cut, and said so. */
static void cuts_huge_texts(void **state)
{
    static const char *const names[] = {"roberta", "xlmr", "llama", "bert_cased"};
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    for (size_t i = 0; i < 10u << 20; i++)
        vz_buf_append_char(&text, "ab \xC3"[i % 4]);
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++) {
        char path[4096];
        struct vz_tokenizer *tokenizer;
        struct vz_tokens tokens;
        snprintf(path, sizeof path, "%s/%s", OURS, names[i]);
        assert_int_equal(vz_tokenizer_open(path, 128, &tokenizer, NULL), VZ_OK);
        assert_int_equal(vz_tokenize(tokenizer, vz_buf_slice(&text), &arena, &tokens, NULL), VZ_OK);
        assert_int_equal(tokens.count, 128);
        assert_true(tokens.is_truncated);
        struct vz_tokens empty;
        assert_int_equal(vz_tokenize(tokenizer, (struct vz_slice){NULL, 0}, &arena, &empty, NULL),
                         VZ_OK);
        assert_false(empty.is_truncated);
        assert_int_equal(vz_token_text(tokenizer, UINT32_MAX).len, 0);
        vz_tokenizer_free(tokenizer);
        vz_arena_reset(&arena);
    }
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
}

/* ---- the older files ------------------------------------------------------------------------- */

static void copy_in(const char *from, const char *name)
{
    char path[4096];
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    snprintf(path, sizeof path, "%s/%s", from, name);
    if (vz_file_read(path, 0, &bytes, &err) != VZ_OK)
        fail_msg("%s", err.text);
    put_file(name, vz_buf_slice(&bytes));
    vz_buf_deinit(&bytes);
}

/* Both give the same ids for every text. */
static void same_as(const char *whole)
{
    struct vz_tokenizer *a, *b;
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    if (vz_tokenizer_open(whole, 512, &a, &err) != VZ_OK ||
        vz_tokenizer_open(folder, 512, &b, &err) != VZ_OK)
        fail_msg("%s", err.text);
    assert_int_equal(vz_tokenizer_vocab_count(a), vz_tokenizer_vocab_count(b));
    for (size_t i = 0; i < text_count; i++) {
        struct vz_tokens one, other;
        vz_tokenize(a, vz_buf_slice(&texts[i]), &arena, &one, NULL);
        vz_tokenize(b, vz_buf_slice(&texts[i]), &arena, &other, NULL);
        if (one.count != other.count || memcmp(one.ids, other.ids, one.count * 4) != 0)
            fail_msg("text %zu: [%s]", i, texts[i].data);
        vz_arena_reset(&arena);
    }
    vz_arena_deinit(&arena);
    vz_tokenizer_free(a);
    vz_tokenizer_free(b);
}

static void reads_older_folders(void **state)
{
    const char *data = getenv("VIZSLA_TEST_DATA");
    char clip[4096], minilm[4096];
    snprintf(clip, sizeof clip, "%s/clip-tokenizer/hf", data ? data : "");
    snprintf(minilm, sizeof minilm, "%s/minilm-tokenizer", data ? data : "");
    if (!data || access(clip, F_OK) != 0 || access(minilm, F_OK) != 0) {
        print_message("SKIPPED: no VIZSLA_TEST_DATA\n");
        skip();
    }
    clear_folder();
    copy_in(clip, "vocab.json");
    copy_in(clip, "merges.txt");
    copy_in(clip, "tokenizer_config.json");
    same_as(clip);
    clear_folder();
    copy_in(minilm, "vocab.txt");
    same_as(minilm);
}

/* roberta/tokenizer.json taken apart again. */
static void reads_older_roberta(void **state)
{
    struct vz_buf text = {0}, merges = {0}, vocab = {0};
    struct vz_json_doc *doc;
    struct vz_json root, value, merge, part;
    assert_int_equal(vz_file_read(OURS "/roberta/tokenizer.json", 0, &text, NULL), VZ_OK);
    assert_int_equal(vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL), VZ_OK);
    assert_true(vz_json_get_path(root, "model.vocab", &value));
    struct vz_slice key;
    struct vz_json_writer w = vz_json_writer_on(&vocab);
    struct vz_json_iter it = vz_json_iterate(value);
    vz_json_begin_object(&w);
    while (vz_json_next(&it, &key, &part)) {
        vz_json_key_slice(&w, key);
        vz_json_put_int(&w, vz_json_int(part));
    }
    int64_t mask = (int64_t)vz_json_count(value);
    vz_json_field_int(&w, "<mask>", mask);
    vz_json_end_object(&w);
    assert_true(vz_json_get_path(root, "model.merges", &value));
    vz_buf_append_str(&merges, "#version: 0.2\n");
    it = vz_json_iterate(value);
    while (vz_json_next(&it, NULL, &merge)) {
        struct vz_json_iter two = vz_json_iterate(merge);
        for (int i = 0; vz_json_next(&two, NULL, &part); i++) {
            vz_buf_append_str(&merges, i ? " " : "");
            vz_buf_append_slice(&merges, vz_json_string(part));
        }
        vz_buf_append_str(&merges, "\r\n");
    }
    clear_folder();
    put_file("vocab.json", vz_buf_slice(&vocab));
    put_file("merges.txt", vz_buf_slice(&merges));
    same_as(OURS "/roberta");
    vz_json_free(doc);
    vz_buf_deinit(&text);
    vz_buf_deinit(&merges);
    vz_buf_deinit(&vocab);
}

/* ---- threads ------------------------------------------------------------------------------------
 */

struct worker {
    const struct vz_tokenizer *tokenizer;
    const uint64_t *hashes;
    bool same;
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct vz_arena arena = {0};
    worker->same = true;
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < text_count; i++) {
            struct vz_tokens tokens;
            vz_tokenize(worker->tokenizer, vz_buf_slice(&texts[i]), &arena, &tokens, NULL);
            uint64_t hash =
                vz_hash((struct vz_slice){(const char *)tokens.ids, tokens.count * 4}, 1);
            worker->same &= hash == worker->hashes[i];
            vz_arena_reset(&arena);
        }
    vz_arena_deinit(&arena);
    return NULL;
}

static void threads_share(void **state)
{
    struct vz_tokenizer *tokenizer;
    struct vz_arena arena = {0};
    uint64_t hashes[VZ_COUNT_OF(texts)];
    assert_int_equal(vz_tokenizer_open(OURS "/roberta", 0, &tokenizer, NULL), VZ_OK);
    for (size_t i = 0; i < text_count; i++) {
        struct vz_tokens tokens;
        vz_tokenize(tokenizer, vz_buf_slice(&texts[i]), &arena, &tokens, NULL);
        hashes[i] = vz_hash((struct vz_slice){(const char *)tokens.ids, tokens.count * 4}, 1);
    }
    pthread_t threads[4];
    struct worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){tokenizer, hashes, false};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(workers[i].same);
    }
    vz_arena_deinit(&arena);
    vz_tokenizer_free(tokenizer);
}

/* ---- random damage
 * -------------------------------------------------------------------------------- */

static void damage(struct vz_buf *file)
{
    static const char *const words[] = {"true", "false",      "null",        "0",
                                        "-1",   "4294967295", "\"\"",        "[]",
                                        "{}",   "1e308",      "\"\\u0000\"", "\"a\""};
    for (uint64_t n = 1 + vz_rng_next(&rng) % 4; n--;) {
        size_t at = vz_rng_next(&rng) % file->len;
        if (vz_rng_next(&rng) % 2) /* the pipeline is at the file's start */
            at %= 3000;
        char *c = &file->data[at];
        if (*c >= '0' && *c <= '9' && vz_rng_next(&rng) % 2) {
            *c = (char)('0' + vz_rng_next(&rng) % 10);
        } else if ((*c | 32) >= 'a' && (*c | 32) <= 'z') {
            *c = (char)((*c & 32) | ('A' + vz_rng_next(&rng) % 26));
        } else if (*c == ':' || *c == ',') { /* another value, the old one behind a new key */
            const char *word = words[vz_rng_next(&rng) % VZ_COUNT_OF(words)];
            struct vz_buf out = {0};
            vz_buf_append(&out, file->data, at + 1);
            vz_buf_append_str(&out, word);
            size_t rest = at + 1;
            while (rest < file->len && !strchr(",}]", file->data[rest]))
                rest++;
            vz_buf_append(&out, file->data + rest, file->len - rest);
            vz_buf_deinit(file);
            *file = out;
        } else if (vz_rng_next(&rng) % 16 == 0) {
            *c = (char)vz_rng_next(&rng);
        }
    }
}

static void use(const struct vz_tokenizer *tokenizer)
{
    struct vz_arena arena = {0};
    for (int i = 0; i < 6; i++) {
        struct vz_tokens tokens;
        uint8_t *types;
        struct vz_slice text = vz_buf_slice(&texts[vz_rng_next(&rng) % text_count]);
        struct vz_slice other = vz_buf_slice(&texts[vz_rng_next(&rng) % text_count]);
        text.len = VZ_MIN(text.len, 500);
        char *exact = malloc(text.len + 1);
        if (text.len)
            memcpy(exact, text.ptr, text.len);
        for (uint64_t n = vz_rng_next(&rng) % 4; n-- && text.len;)
            exact[vz_rng_next(&rng) % text.len] = (char)vz_rng_next(&rng);
        exact = realloc(exact, text.len ? text.len : 1);
        text.ptr = exact;
        enum vz_status status =
            i % 2 ? vz_tokenize(tokenizer, text, &arena, &tokens, NULL)
                  : vz_tokenize_pair(tokenizer, text, other, VZ_CUT_LONGER, &arena, &tokens, &types, NULL);
        assert_int_equal(status, VZ_OK);
        assert_true(tokens.count <= vz_tokenizer_max_tokens(tokenizer) + 64);
        for (size_t k = 0; k < tokens.count; k++)
            assert_true(tokens.ids[k] < vz_tokenizer_vocab_count(tokenizer));
        free(exact);
        vz_arena_reset(&arena);
    }
    vz_arena_deinit(&arena);
}

static void survives_damage(void **state)
{
    static const char *const names[] = {"words", "bpe_marks", "xlmr",      "gpt2",
                                        "llama", "t5",        "bert_cased"};
    const char *rounds_text = getenv("VIZSLA_FUZZ_ROUNDS");
    long rounds = rounds_text ? atol(rounds_text) : 700, opened = 0;
    clear_folder();
    for (long i = 0; i < rounds; i++) {
        char path[4096];
        struct vz_buf file = {0};
        struct vz_tokenizer *tokenizer;
        struct vz_error err = {0};
        snprintf(path, sizeof path, "%s/%s/tokenizer.json", OURS,
                 names[(size_t)i % VZ_COUNT_OF(names)]);
        assert_int_equal(vz_file_read(path, 0, &file, NULL), VZ_OK);
        damage(&file);
        put_file("tokenizer.json", vz_buf_slice(&file));
        enum vz_status status = vz_tokenizer_open(folder, 0, &tokenizer, &err);
        if (status == VZ_OK) {
            opened++;
            use(tokenizer);
        } else if (status != VZ_CORRUPT && status != VZ_UNSUPPORTED && status != VZ_LIMIT &&
                   status != VZ_BAD_ARGUMENT) {
            fail_msg("round %ld: %s: %s", i, vz_status_name(status), err.text);
        }
        vz_tokenizer_free(tokenizer);
        vz_buf_deinit(&file);
    }
    print_message("%ld of %ld damaged tokenizers still opened\n", opened, rounds);
    assert_true(opened > 0 && opened < rounds);
}

static int set_up(void **state)
{
    const char *seed = getenv("VIZSLA_SEED");
    struct vz_buf file = {0};
    struct vz_json_doc *doc;
    struct vz_json root, text;
    rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("VIZSLA_SEED=%llu\n", (unsigned long long)rng);
    if (!mkdtemp(folder) || vz_file_read(OURS "/texts.json", 0, &file, NULL) != VZ_OK ||
        vz_json_parse(vz_buf_slice(&file), &doc, &root, NULL) != VZ_OK)
        return -1;
    struct vz_json_iter it = vz_json_iterate(root);
    while (text_count < VZ_COUNT_OF(texts) && vz_json_next(&it, NULL, &text))
        vz_base64_decode(vz_json_string(text), &texts[text_count++]);
    vz_json_free(doc);
    vz_buf_deinit(&file);
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < text_count; i++)
        vz_buf_deinit(&texts[i]);
    return vz_remove_all(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_by_name),     cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(takes_limits),        cmocka_unit_test(cuts_huge_texts),
        cmocka_unit_test(reads_older_folders), cmocka_unit_test(reads_older_roberta),
        cmocka_unit_test(threads_share),       cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
