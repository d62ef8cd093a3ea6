/* Term vectors of random documents against words counted one by one, and the limits. */
#include "query/support.h"

#define DOCS 60
#define WORDS 9

static const char *const words[WORDS] = {"amber", "birch", "cedar", "delta", "ember",
                                         "fjord", "grove", "heath", "inlet"};
static unsigned text[DOCS][24], length[DOCS];
static unsigned tags[DOCS]; /* bits */

static const struct vz_term_vectors everything = {
    .positions = true,
    .offsets = true,
    .term_statistics = true,
    .field_statistics = true,
    .filter = {.max_num_terms = 25, .max_term_freq = INT32_MAX, .max_doc_freq = INT32_MAX}};

static void source_of(unsigned doc, struct vz_buf *out)
{
    vz_buf_append_str(out, "{\"body\":\"");
    for (unsigned i = 0; i < length[doc]; i++)
        vz_buf_printf(out, "%s%s", i ? " " : "", words[text[doc][i]]);
    vz_buf_append_str(out, "\",\"tags\":[");
    bool first = true;
    for (unsigned w = 0; w < WORDS; w++)
        if (tags[doc] >> w & 1) {
            vz_buf_printf(out, "%s\"%s\"", first ? "" : ",", words[w]);
            first = false;
        }
    vz_buf_append_str(out, "]}");
}

static enum vz_status print(struct vz_index *index, struct vz_slice source, bool artificial,
                            const struct vz_term_vectors *how, struct vz_json_doc **doc,
                            struct vz_json *root, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    enum vz_status status = vz_term_vectors_print(index, source, artificial, how, &arena, &w, err);
    vz_json_end_object(&w);
    if (status == VZ_OK)
        must(vz_json_parse(vz_buf_slice(&out), doc, root, err), err);
    vz_buf_deinit(&out);
    vz_arena_deinit(&arena);
    return status;
}

static struct vz_json member(struct vz_json object, const char *key)
{
    struct vz_json value;
    if (!vz_json_get(object, key, &value))
        fail_msg("no member [%s]", key);
    return value;
}

static void assert_number(struct vz_json object, const char *key, int64_t expected)
{
    int64_t value;
    assert_true(vz_json_as_int(member(object, key), &value));
    if (value != expected)
        fail_msg("[%s] is %lld, not %lld", key, (long long)value, (long long)expected);
}

static unsigned count_in(unsigned doc, unsigned word)
{
    unsigned count = 0;
    for (unsigned i = 0; i < length[doc]; i++)
        count += text[doc][i] == word;
    return count;
}

static void check_body(unsigned doc, struct vz_json field)
{
    struct vz_json stats = member(field, "field_statistics"), terms = member(field, "terms");
    unsigned postings = 0, tokens = 0, distinct = 0;
    for (unsigned d = 0; d < DOCS; d++) {
        tokens += length[d];
        for (unsigned w = 0; w < WORDS; w++)
            postings += count_in(d, w) > 0;
    }
    assert_number(stats, "sum_doc_freq", postings);
    assert_number(stats, "sum_ttf", tokens);
    assert_number(stats, "doc_count", DOCS);
    for (unsigned w = 0; w < WORDS; w++) {
        unsigned docs = 0, freqs = 0, own = count_in(doc, w);
        for (unsigned d = 0; d < DOCS; d++) {
            docs += count_in(d, w) > 0;
            freqs += count_in(d, w);
        }
        if (!own)
            continue;
        distinct++;
        struct vz_json term = member(terms, words[w]), token;
        assert_number(term, "doc_freq", docs);
        assert_number(term, "ttf", freqs);
        assert_number(term, "term_freq", own);
        struct vz_json_iter it = vz_json_iterate(member(term, "tokens"));
        for (unsigned i = 0; i < length[doc]; i++) { /* every word has five letters */
            if (text[doc][i] != w)
                continue;
            assert_true(vz_json_next(&it, NULL, &token));
            assert_number(token, "position", i);
            assert_number(token, "start_offset", i * 6);
            assert_number(token, "end_offset", i * 6 + 5);
        }
        assert_false(vz_json_next(&it, NULL, &token));
    }
    assert_int_equal(vz_json_count(terms), distinct);
}

static void check_tags(unsigned doc, struct vz_json field)
{
    struct vz_json stats = member(field, "field_statistics"), terms = member(field, "terms");
    unsigned with = 0, sum = 0;
    for (unsigned d = 0; d < DOCS; d++) {
        with += tags[d] != 0;
        sum += (unsigned)__builtin_popcount(tags[d]);
    }
    assert_number(stats, "sum_doc_freq", sum);
    assert_number(stats, "sum_ttf", sum);
    assert_number(stats, "doc_count", with);
    for (unsigned w = 0; w < WORDS; w++) {
        unsigned docs = 0;
        for (unsigned d = 0; d < DOCS; d++)
            docs += tags[d] >> w & 1;
        if (tags[doc] >> w & 1)
            assert_number(member(terms, words[w]), "doc_freq", docs);
    }
    assert_int_equal(vz_json_count(terms), __builtin_popcount(tags[doc]));
}

static void random_documents(void **state)
{
    struct fixture fixture;
    unsigned seed = 20260;
    char id[8];
    fixture_open(&fixture);
    struct vz_index *index =
        fixture_create(&fixture, "v",
                       "{\"mappings\":{\"properties\":{\"body\":{\"type\":\"text\"},"
                       "\"tags\":{\"type\":\"keyword\"}}}}");
    struct vz_buf source = {0};
    for (unsigned d = 0; d < DOCS; d++) {
        length[d] = 1 + (unsigned)rand_r(&seed) % 24;
        for (unsigned i = 0; i < length[d]; i++)
            text[d][i] = (unsigned)rand_r(&seed) % (1 + d % WORDS);
        tags[d] = (unsigned)rand_r(&seed) % (1u << WORDS) & (unsigned)rand_r(&seed);
        vz_buf_clear(&source);
        source_of(d, &source);
        snprintf(id, sizeof id, "%u", d);
        put_doc(index, id, source.data);
        if (d % 17 == 0)
            refresh(index);
    }
    refresh(index);
    const struct vz_slice all = VZ_SLICE("*");
    struct vz_term_vectors how = everything;
    how.fields = &all;
    how.field_count = 1;
    for (unsigned d = 0; d < DOCS; d++) {
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        vz_buf_clear(&source);
        source_of(d, &source);
        must(print(index, vz_buf_slice(&source), d % 2, &how, &doc, &root, &err), &err);
        struct vz_json vectors = member(root, "term_vectors");
        check_body(d, member(vectors, "body"));
        if (tags[d])
            check_tags(d, member(vectors, "tags"));
        vz_json_free(doc);
    }
    vz_buf_deinit(&source);
    fixture_close(&fixture);
}

/* Each keyword's statistics are a look at a whole column. */
static void many_keywords_are_refused(void **state)
{
    struct fixture fixture;
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_buf source = {0};
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(
        &fixture, "v", "{\"mappings\":{\"properties\":{\"tags\":{\"type\":\"keyword\"}}}}");
    put_doc(index, "1", "{\"tags\":\"t7\"}");
    refresh(index);
    vz_buf_append_str(&source, "{\"tags\":[\"t0\"");
    for (unsigned i = 1; i < 1025; i++)
        vz_buf_printf(&source, ",\"t%u\"", i);
    vz_buf_append_str(&source, "]}");
    struct vz_term_vectors how = everything;
    assert_int_equal(print(index, vz_buf_slice(&source), true, &how, &doc, &root, &err), VZ_LIMIT);
    how.term_statistics = false;
    must(print(index, vz_buf_slice(&source), true, &how, &doc, &root, &err), &err);
    struct vz_json terms = member(member(member(root, "term_vectors"), "tags"), "terms");
    assert_int_equal(vz_json_count(terms), 1025);
    vz_json_free(doc);
    assert_int_equal(print(index, VZ_SLICE("{\"tags\":{}}"), true, &how, &doc, &root, &err),
                     VZ_BAD_DOCUMENT);
    assert_int_equal(print(index, VZ_SLICE("{\"tags\":"), true, &how, &doc, &root, &err),
                     VZ_BAD_JSON);
    vz_buf_deinit(&source);
    fixture_close(&fixture);
}

struct asking {
    unsigned asked, limit;
};

static bool stop_after(void *context)
{
    struct asking *asking = context;
    return ++asking->asked > asking->limit;
}

/* Statistics of keywords look at a column for each term: whoever waits is asked on the way. */
static void stops_when_told(void **state)
{
    struct fixture fixture;
    struct vz_error err = {0};
    struct vz_json_doc *parsed;
    struct vz_json root;
    struct vz_buf source = {0};
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(
        &fixture, "k", "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"}}}}");
    vz_buf_append_str(&source, "{\"k\":[");
    for (unsigned i = 0; i < 500; i++)
        vz_buf_printf(&source, "%s\"t%u\"", i ? "," : "", i);
    vz_buf_append_str(&source, "]}");
    put_doc(index, "1", source.data);
    refresh(index);
    struct asking asking = {.limit = 3};
    struct vz_query_stop stop = {stop_after, &asking};
    struct vz_term_vectors how = everything;
    how.stop = &stop;
    assert_int_equal(print(index, vz_buf_slice(&source), true, &how, &parsed, &root, &err),
                     VZ_CANCELLED);
    assert_int_equal(asking.asked, 4);
    how.stop = NULL;
    how.deadline_ns = 1;
    assert_int_equal(print(index, vz_buf_slice(&source), true, &how, &parsed, &root, &err),
                     VZ_CANCELLED);
    how.deadline_ns = 0;
    must(print(index, vz_buf_slice(&source), true, &how, &parsed, &root, &err), &err);
    vz_json_free(parsed);
    vz_buf_deinit(&source);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_documents),
        cmocka_unit_test(many_keywords_are_refused),
        cmocka_unit_test(stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
