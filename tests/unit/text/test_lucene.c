/* Every analyzer of tests/golden/text/analyzers.txt over every text of texts.txt, token by token
 * against what Lucene 9.12 made of it (analysis.txt.zst, written by tests/golden/text/generate). */
#include "text/golden_path.h"

#include "base/file.h"
#include "text/analysis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define GOLDEN VZ_GOLDEN_TEXT

static struct vz_slice next_line(struct vz_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct vz_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t skip = VZ_MIN(line.len + 1, rest->len);
    rest->ptr += skip;
    rest->len -= skip;
    return line;
}

static struct vz_slice next_column(struct vz_slice *line)
{
    const char *end = memchr(line->ptr, '\t', line->len);
    struct vz_slice column = {line->ptr, end ? (size_t)(end - line->ptr) : line->len};
    size_t skip = VZ_MIN(column.len + 1, line->len);
    line->ptr += skip;
    line->len -= skip;
    return column;
}

static void read_all(const char *name, struct vz_buf *out)
{
    struct vz_error err = {0};
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s", name);
    if (vz_file_read(path, 0, out, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
}

static void print_tokens(const struct vz_tokens *tokens, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_array(&w);
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        vz_json_begin_array(&w);
        vz_json_put_string(&w, token->text);
        vz_json_put_uint(&w, token->start);
        vz_json_put_uint(&w, token->end);
        vz_json_put_uint(&w, token->position);
        vz_json_put_uint(&w, token->position_length);
        vz_json_put_str(&w, vz_token_type_name(token->type));
        vz_json_end_array(&w);
    }
    vz_json_end_array(&w);
}

/* The same JSON printed by us, so that texts compare. False where Lucene cut a character in two:
 * those lines hold half surrogates, which we never make. */
static bool reprint(struct vz_slice json, struct vz_buf *out)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    if (vz_json_parse(json, &doc, &root, &err) != VZ_OK)
        return false;
    vz_json_print(root, out);
    vz_json_free(doc);
    return true;
}

static struct vz_buf texts_file, golden;
static struct vz_slice texts[4096];
static struct vz_json_doc *text_docs[4096];
static size_t text_count;

/* The golden line of an analyzer and a text; each analyzer's lines stand together. */
static bool golden_of(struct vz_slice name, size_t text, struct vz_slice *tokens,
                      unsigned *end_position, unsigned *end_offset)
{
    static struct vz_slice at;
    for (int tries = 0; tries < 2; tries++) {
        while (at.len) {
            struct vz_slice line = next_line(&at);
            struct vz_slice line_name = next_column(&line);
            struct vz_slice index = next_column(&line);
            if (!vz_slice_eq(line_name, name) || strtoul(index.ptr, NULL, 10) != text)
                continue;
            *tokens = next_column(&line);
            *end_position = (unsigned)strtoul(next_column(&line).ptr, NULL, 10);
            *end_offset = (unsigned)strtoul(next_column(&line).ptr, NULL, 10);
            return true;
        }
        at = vz_buf_slice(&golden);
    }
    return false;
}

/* What differs from Lucene and is meant to, see docs/adr/0011-text.md. */
static bool excused(struct vz_slice name, size_t text)
{
    /* Emoji longer than max_token_length. */
    return vz_slice_is(name, "std5") && text == 30;
}

static unsigned compare_one(struct vz_slice name, const struct vz_analyzer *analyzer, size_t text,
                            unsigned *different)
{
    struct vz_slice want;
    unsigned end_position, end_offset;
    if (!golden_of(name, text, &want, &end_position, &end_offset))
        return 0; /* Lucene itself failed on it */
    struct vz_tokens tokens = {0};
    struct vz_error err = {0};
    struct vz_buf ours = {0}, theirs = {0};
    if (!reprint(want, &theirs)) {
        vz_buf_deinit(&theirs);
        return 0;
    }
    enum vz_status status = vz_analyze(analyzer, texts[text], &tokens, &err);
    if (status != VZ_OK)
        vz_buf_append_str(&ours, err.text);
    else
        print_tokens(&tokens, &ours);
    bool same = strcmp(ours.data, theirs.data) == 0 && tokens.end_offset == end_offset &&
                (tokens.end_position == end_position || tokens.count == 0);
    if (!same && !excused(name, text)) {
        ++*different;
        printf("%.*s, text %zu: %.*s\n  Lucene %s %u %u\n  here   %s %u %u\n", (int)name.len,
               name.ptr, text, (int)VZ_MIN(texts[text].len, 200), texts[text].ptr, theirs.data,
               end_position, end_offset, ours.data, tokens.end_position, tokens.end_offset);
    }
    vz_buf_deinit(&ours);
    vz_buf_deinit(&theirs);
    vz_tokens_deinit(&tokens);
    return 1;
}

static unsigned compare_analyzer(struct vz_slice name, struct vz_slice settings,
                                 unsigned *different)
{
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_analysis *analysis;
    struct vz_analyzer *custom = NULL;
    struct vz_error err = {0};
    unsigned compared = 0;
    struct vz_analysis_options options = {.max_ngram_diff = 10, .max_shingle_diff = 10};
    assert_int_equal(vz_json_parse(settings, &doc, &body, &err), VZ_OK);
    assert_int_equal(vz_analysis_new((struct vz_json){0}, &options, &analysis, &err), VZ_OK);
    const struct vz_analyzer *analyzer;
    if (vz_json_type(body) == VZ_JSON_STRING) {
        analyzer = vz_analysis_analyzer(analysis, vz_json_string(body));
        assert_non_null(analyzer);
    } else {
        if (vz_analyzer_custom(analysis, body, &custom, &err) != VZ_OK)
            fail_msg("%.*s: %s", (int)name.len, name.ptr, err.text);
        analyzer = custom;
    }
    for (size_t text = 0; text < text_count; text++)
        compared += compare_one(name, analyzer, text, different);
    vz_analyzer_free(custom);
    vz_analysis_release(analysis);
    vz_json_free(doc);
    return compared;
}

static void tokens_are_lucenes(void **state)
{
    struct vz_buf analyzers = {0};
    unsigned compared = 0, different = 0;
    read_all("analyzers.txt", &analyzers);
    read_all("texts.txt", &texts_file);
    read_all("analysis.txt", &golden);
    struct vz_slice rest = vz_buf_slice(&texts_file);
    while (rest.len) {
        struct vz_json root;
        struct vz_slice line = next_line(&rest);
        assert_int_equal(vz_json_parse(line, &text_docs[text_count], &root, NULL), VZ_OK);
        texts[text_count++] = vz_json_string(root);
    }
    const char *only = getenv("ONLY");
    rest = vz_buf_slice(&analyzers);
    while (rest.len) {
        struct vz_slice line = next_line(&rest);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        struct vz_slice name = next_column(&line);
        next_column(&line);
        unsigned before = different;
        if (only && !vz_slice_is(name, only))
            continue;
        compared += compare_analyzer(name, line, &different);
        if (different != before)
            printf("%.*s: %u differ\n", (int)name.len, name.ptr, different - before);
    }
    printf("%u texts compared, %u differ\n", compared, different);
    for (size_t i = 0; i < text_count; i++)
        vz_json_free(text_docs[i]);
    vz_buf_deinit(&analyzers);
    vz_buf_deinit(&texts_file);
    vz_buf_deinit(&golden);
    assert_true(compared > 0);
    assert_int_equal(different, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_lucenes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
