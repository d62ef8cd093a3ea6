/* Texts in seventy languages, odd and malformed ones, against Hugging Face `tokenizers`, token for
 * token (tools/make_golden_tokens.py). VIZSLA_GOLDEN_TOKENS names another folder of expectations,
 * made with --random; VIZSLA_GOLDEN_TOKENIZERS another folder of tokenizers. */
#include "embed/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "embed/golden_path.h" /* VZ_GOLDEN_MODELS, made by meson.build */
#include "json/json.h"

#define OURS VZ_GOLDEN_MODELS "/../tokenizers"
#define ALL_TOKENS 1000000

static const char *expectations(void)
{
    const char *folder = getenv("VIZSLA_GOLDEN_TOKENS");
    return folder ? folder : OURS;
}

/* Where the trained ones lie. */
static const char *tokenizers(void)
{
    const char *folder = getenv("VIZSLA_GOLDEN_TOKENIZERS");
    return folder ? folder : OURS;
}

static struct vz_json_doc *read_json(const char *folder, const char *name, struct vz_json *root)
{
    char path[4096];
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_error err = {0};
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    if (vz_file_read(path, 0, &text, &err) != VZ_OK ||
        vz_json_parse(vz_buf_slice(&text), &doc, root, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
    vz_buf_deinit(&text);
    return doc;
}

static struct vz_buf *texts;
static size_t text_count;

static int texts_read(void **state)
{
    struct vz_json root, text;
    struct vz_json_doc *doc = read_json(expectations(), "texts", &root);
    text_count = vz_json_count(root);
    texts = calloc(text_count, sizeof *texts);
    struct vz_json_iter it = vz_json_iterate(root);
    for (size_t i = 0; vz_json_next(&it, NULL, &text); i++)
        assert_true(vz_base64_decode(vz_json_string(text), &texts[i]));
    vz_json_free(doc);
    return 0;
}

static int texts_free(void **state)
{
    for (size_t i = 0; i < text_count; i++)
        vz_buf_deinit(&texts[i]);
    free(texts);
    return 0;
}

static struct vz_slice text_at(size_t i)
{
    assert_true(i < text_count);
    /* An exact block, so that the sanitizer sees a byte read too far. */
    return vz_buf_slice(&texts[i]);
}

/* NULL, said aloud, where the shared data is not there. */
static struct vz_tokenizer *open_tokenizer(const char *name, size_t max_tokens)
{
    char folder[4096];
    struct vz_tokenizer *tokenizer;
    struct vz_error err = {0};
    const char *data = getenv("VIZSLA_TEST_DATA");
    snprintf(folder, sizeof folder, "%s/%s", tokenizers(), name);
    if (strcmp(name, "clip") == 0 || strcmp(name, "minilm") == 0) {
        snprintf(folder, sizeof folder, "%s/%s", data ? data : "",
                 strcmp(name, "clip") == 0 ? "clip-tokenizer/hf" : "minilm-tokenizer");
        if (!data || access(folder, F_OK) != 0) {
            print_message("SKIPPED: %s: no VIZSLA_TEST_DATA\n", name);
            return NULL;
        }
    }
    if (vz_tokenizer_open(folder, max_tokens, &tokenizer, &err) != VZ_OK)
        fail_msg("%s: %s", folder, err.text);
    return tokenizer;
}

static int same_ids(const struct vz_tokens *tokens, struct vz_json want)
{
    struct vz_json id;
    struct vz_json_iter it = vz_json_iterate(want);
    if (vz_json_count(want) != tokens->count)
        return 0;
    for (size_t i = 0; vz_json_next(&it, NULL, &id); i++)
        if (vz_json_int(id) != (int64_t)tokens->ids[i])
            return 0;
    return 1;
}

static void report(const char *name, const struct vz_tokenizer *tokenizer, struct vz_slice text,
                   const struct vz_tokens *tokens, struct vz_json want)
{
    struct vz_buf line = {0};
    struct vz_json id;
    struct vz_json_iter it = vz_json_iterate(want);
    vz_buf_printf(&line, "%s: [%.*s]\n  want:", name, (int)VZ_MIN(text.len, 300), text.ptr);
    for (size_t i = 0; i < 60 && vz_json_next(&it, NULL, &id); i++) {
        struct vz_slice piece = vz_token_text(tokenizer, (uint32_t)vz_json_int(id));
        vz_buf_printf(&line, " %.*s", (int)piece.len, piece.ptr);
    }
    vz_buf_append_str(&line, "\n  got: ");
    for (size_t i = 0; i < 60 && i < tokens->count; i++) {
        struct vz_slice piece = vz_token_text(tokenizer, tokens->ids[i]);
        vz_buf_printf(&line, " %.*s", (int)piece.len, piece.ptr);
    }
    print_message("%s\n", line.data);
    vz_buf_deinit(&line);
}

static void check_whole(const char *name, struct vz_json want)
{
    struct vz_tokenizer *tokenizer = open_tokenizer(name, ALL_TOKENS);
    struct vz_arena arena = {0};
    struct vz_json ids, list;
    size_t i = 0, wrong = 0, total = 0;
    if (!tokenizer)
        return;
    assert_true(vz_json_get(want, "ids", &list));
    struct vz_json_iter it = vz_json_iterate(list);
    for (; vz_json_next(&it, NULL, &ids); i++) {
        struct vz_tokens tokens;
        assert_int_equal(vz_tokenize(tokenizer, text_at(i), &arena, &tokens, NULL), VZ_OK);
        assert_false(tokens.is_truncated);
        total += tokens.count;
        if (!same_ids(&tokens, ids) && wrong++ < 10)
            report(name, tokenizer, text_at(i), &tokens, ids);
        vz_arena_reset(&arena);
    }
    assert_int_equal(i, text_count);
    print_message("%s: %zu texts, %zu tokens, %zu texts differ\n", name, i, total, wrong);
    assert_int_equal(wrong, 0);
    assert_true(vz_json_get(want, "vocab_count", &list));
    assert_int_equal(vz_tokenizer_vocab_count(tokenizer), vz_json_int(list));
    vz_arena_deinit(&arena);
    vz_tokenizer_free(tokenizer);
}

static void check_cut(const char *name, struct vz_json want)
{
    struct vz_json list, entry, text, most, ids;
    struct vz_arena arena = {0};
    assert_true(vz_json_get(want, "cut", &list));
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &entry)) {
        struct vz_json_iter each = vz_json_iterate(entry);
        assert_true(vz_json_next(&each, NULL, &text) && vz_json_next(&each, NULL, &most) &&
                    vz_json_next(&each, NULL, &ids));
        struct vz_tokenizer *tokenizer = open_tokenizer(name, (size_t)vz_json_int(most));
        struct vz_tokenizer *whole = open_tokenizer(name, ALL_TOKENS);
        if (!tokenizer)
            return;
        struct vz_tokens tokens, all;
        struct vz_slice slice = text_at((size_t)vz_json_int(text));
        assert_int_equal(vz_tokenizer_max_tokens(tokenizer), vz_json_int(most));
        assert_int_equal(vz_tokenize(tokenizer, slice, &arena, &tokens, NULL), VZ_OK);
        assert_int_equal(vz_tokenize(whole, slice, &arena, &all, NULL), VZ_OK);
        if (!same_ids(&tokens, ids)) {
            report(name, tokenizer, slice, &tokens, ids);
            fail();
        }
        assert_int_equal(tokens.is_truncated, all.count > tokens.count);
        vz_arena_reset(&arena);
        vz_tokenizer_free(tokenizer);
        vz_tokenizer_free(whole);
    }
    vz_arena_deinit(&arena);
}

static void check_pairs(const char *name, struct vz_json want)
{
    struct vz_json list, entry, part[5];
    struct vz_arena arena = {0};
    assert_true(vz_json_get(want, "pairs", &list));
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &entry)) {
        struct vz_json_iter each = vz_json_iterate(entry);
        for (int i = 0; i < 5; i++)
            assert_true(vz_json_next(&each, NULL, &part[i]));
        struct vz_tokenizer *tokenizer = open_tokenizer(name, (size_t)vz_json_int(part[2]));
        if (!tokenizer)
            return;
        struct vz_tokens tokens;
        uint8_t *types;
        struct vz_slice a = text_at((size_t)vz_json_int(part[0]));
        struct vz_slice b = text_at((size_t)vz_json_int(part[1]));
        assert_int_equal(
            vz_tokenize_pair(tokenizer, a, b, VZ_CUT_LONGER, &arena, &tokens, &types, NULL), VZ_OK);
        if (!same_ids(&tokens, part[3])) {
            report(name, tokenizer, a, &tokens, part[3]);
            fail();
        }
        struct vz_json type;
        struct vz_json_iter of = vz_json_iterate(part[4]);
        for (size_t i = 0; i < tokens.count; i++) {
            assert_true(vz_json_next(&of, NULL, &type));
            assert_int_equal(types[i], vz_json_int(type));
        }
        vz_arena_reset(&arena);
        vz_tokenizer_free(tokenizer);
    }
    vz_arena_deinit(&arena);
}

static void check(const char *name)
{
    struct vz_json want;
    struct vz_json_doc *doc = read_json(expectations(), name, &want);
    check_whole(name, want);
    check_cut(name, want);
    check_pairs(name, want);
    vz_json_free(doc);
}

/* Ten places, three of them special, for texts of five words each. */
static void the_one_that_is_named_is_cut(void **state)
{
    static const struct {
        enum vz_cut cut;
        size_t firsts; /* of the first text's side, with [CLS] and its [SEP] */
    } cases[] = {{VZ_CUT_LONGER, 2 + 3}, {VZ_CUT_FIRST, 2 + 2}, {VZ_CUT_SECOND, 2 + 5}};
    struct vz_tokenizer *tokenizer = open_tokenizer("minilm", 10);
    struct vz_arena arena = {0};
    (void)state;
    if (!tokenizer)
        skip();
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_tokens tokens;
        uint8_t *types;
        size_t firsts = 0;
        assert_int_equal(vz_tokenize_pair(tokenizer, VZ_SLICE("one two three four five"),
                                          VZ_SLICE("six seven eight nine ten"), cases[i].cut,
                                          &arena, &tokens, &types, NULL),
                         VZ_OK);
        assert_int_equal(tokens.count, 10);
        assert_true(tokens.is_truncated);
        for (size_t t = 0; t < tokens.count; t++)
            firsts += types[t] == 0;
        assert_int_equal(firsts, cases[i].firsts);
    }
    vz_arena_deinit(&arena);
    vz_tokenizer_free(tokenizer);
}

static void equal_clip(void **state)
{
    check("clip");
}
static void equal_minilm(void **state)
{
    check("minilm");
}
static void equal_roberta(void **state)
{
    check("roberta");
}
static void equal_gpt2(void **state)
{
    check("gpt2");
}
static void equal_xlmr(void **state)
{
    check("xlmr");
}
static void equal_t5(void **state)
{
    check("t5");
}
static void equal_llama(void **state)
{
    check("llama");
}
static void equal_bpe_marks(void **state)
{
    check("bpe_marks");
}
static void equal_bert_cased(void **state)
{
    check("bert_cased");
}
static void equal_words(void **state)
{
    check("words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_is_named_is_cut),
        cmocka_unit_test(equal_clip),       cmocka_unit_test(equal_minilm),
        cmocka_unit_test(equal_roberta),    cmocka_unit_test(equal_gpt2),
        cmocka_unit_test(equal_xlmr),       cmocka_unit_test(equal_t5),
        cmocka_unit_test(equal_llama),      cmocka_unit_test(equal_bpe_marks),
        cmocka_unit_test(equal_bert_cased), cmocka_unit_test(equal_words),
    };
    return cmocka_run_group_tests(tests, texts_read, texts_free);
}
