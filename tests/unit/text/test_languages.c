/* The analyzers of single languages, word by word and sentence by sentence against what Lucene 9.12
 * makes of them (tests/golden/text/languages.txt, written by tests/golden/text/generate). A longer
 * file of the same form may be named in LANGUAGES. */
#include "text/golden_path.h"

#include "base/file.h"
#include "text/analysis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct vz_slice cut_at(struct vz_slice *rest, char end)
{
    const char *at = memchr(rest->ptr, end, rest->len);
    struct vz_slice part = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t skip = VZ_MIN(part.len + 1, rest->len);
    rest->ptr += skip;
    rest->len -= skip;
    return part;
}

struct tested {
    struct vz_analysis *analysis;
    struct vz_analyzer *custom;
    const struct vz_analyzer *analyzer;
    struct vz_slice name;
    unsigned compared, different;
};

static void end_analyzer(struct tested *t)
{
    if (t->different)
        printf("%.*s: %u of %u differ\n", (int)t->name.len, t->name.ptr, t->different, t->compared);
    vz_analyzer_free(t->custom);
    t->custom = NULL;
    t->different = t->compared = 0;
}

static void begin_analyzer(struct tested *t, struct vz_slice line)
{
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_error err = {0};
    t->name = cut_at(&line, '\t');
    assert_int_equal(vz_json_parse(line, &doc, &body, &err), VZ_OK);
    if (vz_json_type(body) == VZ_JSON_STRING) {
        t->analyzer = vz_analysis_analyzer(t->analysis, vz_json_string(body));
        if (!t->analyzer)
            fail_msg("no analyzer [%.*s]", (int)t->name.len, t->name.ptr);
    } else {
        if (vz_analyzer_custom(t->analysis, body, &t->custom, &err) != VZ_OK)
            fail_msg("%.*s: %s", (int)t->name.len, t->name.ptr, err.text);
        t->analyzer = t->custom;
    }
    vz_json_free(doc);
}

static void print_tokens(const struct vz_tokens *tokens, bool whole, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    if (whole)
        vz_json_begin_array(&w);
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        if (!whole) {
            if (i)
                vz_buf_append_char(out, ' ');
            vz_buf_append_slice(out, token->text);
            continue;
        }
        vz_json_begin_array(&w);
        vz_json_put_string(&w, token->text);
        vz_json_put_uint(&w, token->start);
        vz_json_put_uint(&w, token->end);
        vz_json_put_uint(&w, token->position);
        vz_json_put_uint(&w, token->position_length);
        vz_json_put_str(&w, vz_token_type_name(token->type));
        vz_json_end_array(&w);
    }
    if (whole)
        vz_json_end_array(&w);
}

static void compare(struct tested *t, struct vz_slice text, struct vz_slice want, bool whole)
{
    struct vz_tokens tokens = {0};
    struct vz_buf ours = {0};
    struct vz_error err = {0};
    if (vz_analyze(t->analyzer, text, &tokens, &err) != VZ_OK)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, err.text);
    print_tokens(&tokens, whole, &ours);
    t->compared++;
    if (!vz_slice_eq(vz_buf_slice(&ours), want) && ++t->different <= 12)
        printf("%.*s [%.*s]\n  Lucene %.*s\n  here   %s\n", (int)t->name.len, t->name.ptr,
               (int)text.len, text.ptr, (int)want.len, want.ptr, ours.data ? ours.data : "");
    vz_buf_deinit(&ours);
    vz_tokens_deinit(&tokens);
}

static void compare_line(struct tested *t, struct vz_slice line)
{
    bool whole = line.ptr[0] == '"';
    bool changed = memchr(line.ptr, '\t', line.len) != NULL;
    struct vz_slice text = cut_at(&line, '\t'), want = changed ? line : text;
    if (!whole) {
        compare(t, text, want, false);
        return;
    }
    struct vz_json_doc *doc, *tokens;
    struct vz_json root, list;
    struct vz_buf printed = {0};
    assert_int_equal(vz_json_parse(text, &doc, &root, NULL), VZ_OK);
    assert_int_equal(vz_json_parse(want, &tokens, &list, NULL), VZ_OK);
    vz_json_print(list, &printed);
    compare(t, vz_json_string(root), vz_buf_slice(&printed), true);
    vz_buf_deinit(&printed);
    vz_json_free(tokens);
    vz_json_free(doc);
}

static void words_are_lucenes(void **state)
{
    struct tested t = {0};
    struct vz_buf golden = {0};
    struct vz_error err = {0};
    unsigned analyzers = 0, words = 0, wrong = 0;
    const char *path = getenv("LANGUAGES");
    if (vz_file_read(path ? path : VZ_GOLDEN_TEXT "languages.txt", 0, &golden, &err) != VZ_OK)
        fail_msg("%s", err.text);
    assert_int_equal(vz_analysis_new((struct vz_json){0}, NULL, &t.analysis, &err), VZ_OK);
    struct vz_slice rest = vz_buf_slice(&golden);
    while (rest.len) {
        struct vz_slice line = cut_at(&rest, '\n');
        if (line.len && line.ptr[0] == '@') {
            end_analyzer(&t);
            line.ptr++, line.len--;
            begin_analyzer(&t, line);
            analyzers++;
            continue;
        }
        if (line.len == 0)
            continue;
        unsigned before = t.different;
        compare_line(&t, line);
        wrong += t.different - before;
        words++;
    }
    end_analyzer(&t);
    vz_analysis_release(t.analysis);
    vz_buf_deinit(&golden);
    printf("%u analyzers, %u words and sentences, %u differ\n", analyzers, words, wrong);
    assert_true(analyzers >= 30 && words > 4000);
    assert_int_equal(wrong, 0);
}

/* A whole text may be one token: no filter may look at the rest of it for every letter. */
static void long_words_take_linear_time(void **state)
{
    static const struct {
        const char *filter, *letters;
    } tried[] = {{"\"scandinavian_normalization\"", "aaoeAEæ"},
                 {"\"scandinavian_folding\"", "aaoeAEæ"},
                 {"\"serbian_normalization\"", "љђaџ"},
                 {"\"arabic_normalization\"", "أـ\u064B"},
                 {"\"persian_normalization\"", "ۀ\u0654"},
                 {"\"sorani_normalization\"", "ه\u200Cـ"},
                 {"\"indic_normalization\"", "\u0905\u093E\u0945"},
                 {"\"hindi_normalization\"", "न\u094D\u093C"},
                 {"\"bengali_normalization\"", "\u0995\u09CD\u09AF\u09CD\u09AC\u0981\u0983"},
                 {"\"cjk_width\"", "ｶﾞＡ"},
                 {"{\"type\":\"lowercase\",\"language\":\"turkish\"}", "I\u0307"},
                 {"{\"type\":\"lowercase\",\"language\":\"greek\"}", "ΆΣ"},
                 {"{\"type\":\"lowercase\",\"language\":\"irish\"}", "nA"},
                 {"{\"type\":\"stemmer\",\"language\":\"greek\"}", "ουσεσ"}};
    struct vz_analysis *analysis;
    struct vz_error err = {0};
    assert_int_equal(vz_analysis_new((struct vz_json){0}, NULL, &analysis, &err), VZ_OK);
    for (size_t i = 0; i < VZ_COUNT_OF(tried); i++) {
        struct vz_buf body = {0}, text = {0};
        struct vz_analyzer *analyzer;
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_tokens tokens = {0};
        while (text.len < 2000000)
            vz_buf_append_str(&text, tried[i].letters);
        vz_buf_printf(&body, "{\"tokenizer\":\"keyword\",\"filter\":[%s]}", tried[i].filter);
        assert_int_equal(vz_json_parse(vz_buf_slice(&body), &doc, &root, &err), VZ_OK);
        if (vz_analyzer_custom(analysis, root, &analyzer, &err) != VZ_OK)
            fail_msg("%s: %s", tried[i].filter, err.text);
        clock_t before = clock(); /* the processor's time, also on a busy machine */
        assert_int_equal(vz_analyze(analyzer, vz_buf_slice(&text), &tokens, &err), VZ_OK);
        long took_s = (clock() - before) / CLOCKS_PER_SEC;
        if (took_s > 30) /* squared it would be hours */
            fail_msg("%s took %ld s", tried[i].filter, took_s);
        assert_int_equal(tokens.count, 1);
        vz_tokens_deinit(&tokens);
        vz_analyzer_free(analyzer);
        vz_json_free(doc);
        vz_buf_deinit(&body);
        vz_buf_deinit(&text);
    }
    vz_analysis_release(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_lucenes),
                                       cmocka_unit_test(long_words_take_linear_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
