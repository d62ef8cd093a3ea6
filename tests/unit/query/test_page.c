/* What a search page needs besides hits: highlights, corrections, completions; phrases with slop,
 * words that repeat, restarts, files that are gone, odd requests. Single quotes in bodies stand for
 * double ones. */
#include "support.h"

static struct fixture fixture;
static struct vz_index *texts;

static char *quoted(const char *text)
{
    char *copy = vz_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static void put(const char *id, const char *source)
{
    char *text = quoted(source);
    put_doc(texts, id, text);
    free(text);
}

static int setup(void **state)
{
    fixture_open(&fixture);
    char *body = quoted("{'mappings':{'properties':{'t':{'type':'text'},'k':{'type':'keyword'},"
                        "'all':{'type':'text'},'c':{'type':'text','copy_to':'all'},"
                        "'s':{'type':'completion'}}}}");
    texts = fixture_create(&fixture, "texts", body);
    free(body);
    put("1", "{'t':'a rose is a rose is a rose','k':['Red','Blue'],'c':'copied words','s':'Rosa'}");
    put("2", "{'t':['red rose. blue sky.','a sky of roses'],"
             "'s':[{'input':['Sky blue','Sky'],'weight':9},'Rosa']}");
    put("3", "{'t':'one two three four one two','s':{'input':'Rosalind','weight':3}}");
    refresh(texts);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(&fixture);
    return 0;
}

static const char *first_highlight(const char *body, struct answer *answer)
{
    char *text = quoted(body);
    search_index(texts, text, answer);
    free(text);
    assert_true(answer->result.hit_count > 0);
    return vz_arena_strdup(&answer->arena, answer->result.hits[0].highlight);
}

#define assert_highlight(body, expected)                                                           \
    do {                                                                                           \
        struct answer answer_;                                                                     \
        assert_string_equal(first_highlight(body, &answer_), expected);                            \
        answer_deinit(&answer_);                                                                   \
    } while (0)

static void phrases(void **state)
{
    /* Each word of a phrase takes a token of its own. */
    assert_highlight(
        "{'query':{'match_phrase':{'t':'a rose is a'}},'highlight':{'fields':{'t':{}}}}",
        "{\"t\":[\"<em>a rose is a rose is a</em> rose\"]}");
    assert_highlight("{'query':{'match_phrase':{'t':{'query':'one three','slop':1}}},"
                     "'highlight':{'fields':{'t':{}}}}",
                     "{\"t\":[\"<em>one two three</em> four one two\"]}");
    /* Backwards costs two moves; the other way round there are two words between: both match, and
     * marks that overlap are one. */
    assert_highlight("{'query':{'match_phrase':{'t':{'query':'three two','slop':2}}},"
                     "'highlight':{'fields':{'t':{}}}}",
                     "{\"t\":[\"one <em>two three four one two</em>\"]}");
    assert_highlight("{'query':{'match_phrase':{'t':{'query':'two two','slop':10}}},"
                     "'highlight':{'fields':{'t':{}}}}",
                     "{\"t\":[\"one <em>two three four one two</em>\"]}");
    assert_highlight(
        "{'query':{'match_phrase_prefix':{'t':'four on'}},'highlight':{'fields':{'t':{}}}}",
        "{\"t\":[\"one two three <em>four one</em> two\"]}");
    assert_highlight("{'query':{'match_bool_prefix':{'t':'thr'}},'highlight':{'fields':{'t':{}}}}",
                     "{\"t\":[\"one two <em>three</em> four one two\"]}");
}

static void values(void **state)
{
    assert_highlight(
        "{'query':{'match':{'t':'sky'}},'highlight':{'fields':{'t':{'fragment_size':0}}}}",
        "{\"t\":[\"red rose. blue <em>sky</em>.\",\"a <em>sky</em> of roses\"]}");
    /* A phrase does not go over from one value to the next. */
    char *body = quoted("{'query':{'match_phrase':{'t':'sky a'}}}");
    assert_ids(texts, body, "");
    free(body);
    assert_highlight("{'query':{'match':{'all':'copied'}},'highlight':{'fields':{'all':{}}}}",
                     "{\"all\":[\"<em>copied</em> words\"]}");
    assert_highlight("{'query':{'prefix':{'k':'B'}},'highlight':{'fields':{'k':{}}}}",
                     "{\"k\":[\"<em>Blue</em>\"]}");
    assert_highlight("{'query':{'match_all':{}},'highlight':{'fields':{'t':{}}}}", "");
}

static void odd_requests(void **state)
{
    static const char *const refused[] = {
        "{'highlight':[]}",
        "{'highlight':{'fields':3}}",
        "{'highlight':{'fields':[{}]}}",
        "{'highlight':{'fields':{'t':7}}}",
        "{'highlight':{'fields':{'t':{'pre_tags':[]}}}}",
        "{'highlight':{'fields':{'t':{'pre_tags':[1],'post_tags':['x']}}}}",
        "{'highlight':{'number_of_fragments':-1,'fields':{}}}",
        "{'highlight':{'fragment_size':99999999999,'fields':{}}}",
        "{'highlight':{'tags_schema':'x','fields':{}}}",
        "{'highlight':{'boundary_scanner':'lines','fields':{}}}",
        "{'highlight':{'highlight_query':{'nope':{}},'fields':{}}}",
        "{'highlight':{'highlight_query':3,'fields':{}}}",
        "{'suggest':[]}",
        "{'suggest':{'a':3}}",
        "{'suggest':{'a':{}}}",
        "{'suggest':{'a':{'text':'x'}}}",
        "{'suggest':{'a':{'text':'x','term':{'field':'t','size':0}}}}",
        "{'suggest':{'a':{'text':'x','term':{'field':'t','size':99999999}}}}",
        "{'suggest':{'a':{'text':'x','term':{'field':'t','accuracy':2}}}}",
        "{'suggest':{'a':{'text':'x','term':{'field':'t','max_term_freq':1.5}}}}",
        "{'suggest':{'a':{'text':'x','phrase':{'field':'t'}}}}",
        "{'suggest':{'a':{'prefix':'x','completion':{'field':'s','fuzzy':{'fuzziness':7}}}}}"};
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++) {
        struct vz_search_target target = {.index = texts};
        struct answer answer;
        char *text = quoted(refused[i]);
        if (search_targets(&target, 1, text, NULL, &answer) == VZ_OK)
            fail_msg("taken: %s", refused[i]);
        free(text);
        answer_deinit(&answer);
    }
    static const char *const taken[] = {
        "{'query':{'match':{'t':'rose'}},'highlight':{'fragment_size':-5,'fields':{'t':{}}}}",
        "{'query':{'match':{'t':'rose'}},'highlight':{'no_match_size':2147483647,'fields':{'*':{}}}"
        "}",
        "{'query':{'match':{'t':'rose'}},'highlight':{'type':'plain','fragment_size':0,'fields':{'"
        "t':{}}}}",
        "{'query':{'match':{'t':'rose'}},'highlight':{'type':'plain','fragment_size':1,"
        "'fragmenter':'simple','fields':{'t':{}}}}",
        "{'query':{'match':{'t':'rose'}},'highlight':{'boundary_scanner_locale':'no "
        "such','fields':{'t':{}}}}",
        "{'query':{'match':{'t':'rose'}},'highlight':{'fields':{'nope':{},'':{},'t.nope':{}}}}",
        "{'query':{'match_phrase':{'t':{'query':'a a a a a "
        "a','slop':2147483647}}},'highlight':{'fields':{'t':{}}}}",
        "{'suggest':{'a':{'text':'','term':{'field':'t'}},'b':{'prefix':'','completion':{'field':'"
        "s'}},"
        "'c':{'regex':'(','completion':{'field':'s'}}}}",
        "{'suggest':{'b':{'prefix':'\\u0000\\u001f','completion':{'field':'s','fuzzy':{'fuzziness':"
        "2,"
        "'prefix_length':0,'min_length':0}}}}}"};
    for (size_t i = 0; i < VZ_COUNT_OF(taken); i++) {
        struct vz_search_target target = {.index = texts};
        struct answer answer;
        char *text = quoted(taken[i]);
        search_targets(&target, 1, text, NULL, &answer); /* any answer, no fault */
        free(text);
        answer_deinit(&answer);
    }
}

static void assert_suggest(const char *body, const char *expected)
{
    struct answer answer;
    char *text = quoted(body);
    search_index(texts, text, &answer);
    assert_string_equal(vz_arena_strdup(&answer.arena, answer.result.suggest), expected);
    answer_deinit(&answer);
    free(text);
}

static void completions(void **state)
{
    const char *body =
        "{'_source':false,'suggest':{'x':{'prefix':'ros','completion':{'field':'s'}}}}";
    const char *before =
        "{\"x\":[{\"text\":\"ros\",\"offset\":0,\"length\":3,\"options\":["
        "{\"text\":\"Rosalind\",\"_index\":\"texts\",\"_id\":\"3\",\"_score\":3.0},"
        "{\"text\":\"Rosa\",\"_index\":\"texts\",\"_id\":\"1\",\"_score\":1.0},"
        "{\"text\":\"Rosa\",\"_index\":\"texts\",\"_id\":\"2\",\"_score\":1.0}]}]}";
    const char *sky =
        "{'_source':false,'suggest':{'x':{'prefix':'sky','completion':{'field':'s'}}}}";
    const char *once = "{\"x\":[{\"text\":\"sky\",\"offset\":0,\"length\":3,\"options\":["
                       "{\"text\":\"Sky\",\"_index\":\"texts\",\"_id\":\"2\",\"_score\":9.0}]}]}";
    assert_suggest(body, before);
    assert_suggest(sky, once);
    /* From files, and from the documents when the files are gone. */
    for (int round = 0; round < 2; round++) {
        struct vz_error err = {0};
        char command[256];
        vz_index_release(texts);
        fixture.index_count = 0;
        vz_store_close(fixture.store);
        if (round) {
            snprintf(command, sizeof command, "find '%s' -name 'text.*' -delete", fixture.path);
            assert_int_equal(system(command), 0);
        }
        must(vz_store_open(fixture.path, &(struct vz_store_options){.max_memory_bytes = 1u << 30},
                           &fixture.store, &err),
             &err);
        texts = vz_store_index(fixture.store, VZ_SLICE("texts"));
        fixture.index[fixture.index_count++] = texts;
        assert_suggest(body, before);
        assert_suggest(sky, once);
    }
    must(vz_index_compact(texts, NULL), &(struct vz_error){0});
    assert_suggest(body, before);
    put_doc(texts, "3", NULL);
    refresh(texts);
    assert_suggest(body,
                   "{\"x\":[{\"text\":\"ros\",\"offset\":0,\"length\":3,\"options\":["
                   "{\"text\":\"Rosa\",\"_index\":\"texts\",\"_id\":\"1\",\"_score\":1.0},"
                   "{\"text\":\"Rosa\",\"_index\":\"texts\",\"_id\":\"2\",\"_score\":1.0}]}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phrases),
        cmocka_unit_test(values),
        cmocka_unit_test(odd_requests),
        cmocka_unit_test(completions),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
