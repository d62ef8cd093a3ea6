/* What a hostile or unlucky request may cost, and what it must leave alone: patterns without end,
 * searches that nobody waits for, indices that go away under long work, broken analyzers. */
#include "support.h"

#include "rest/tasks.h"
#include "store/index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void bulk_words(struct world *w, const char *path, int count)
{
    struct vz_buf body = {0};
    for (int i = 0; i < count; i++)
        vz_buf_printf(&body, "{\"index\":{}}\n{\"t\":\"w%05d x%05d\",\"k\":\"w%05d\",\"n\":%d}\n",
                      i, i, i, i);
    expect(w, "POST", path, body.data, 200, "\"errors\":false");
    vz_buf_deinit(&body);
}

/* ---- patterns ------------------------------------------------------------------------------ */

/* 2,000 prefixes, each of which all 1,500 words of a field have. */
static void test_patterns_together(void **state)
{
    struct world *w = *state;
    static const char refused[] =
        "\"type\":\"too_many_nested_clauses\",\"reason\":\"Query contains "
        "too many nested clauses; its patterns match more than [2097152] "
        "terms together";
    struct vz_buf body = {0};
    expect(
        w, "PUT", "/p",
        "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"k\":{\"type\":\"keyword\"}}}}",
        200, NULL);
    bulk_words(w, "/p/_bulk?refresh=true", 1500);
    vz_buf_append_str(&body, "{\"query\":{\"query_string\":{\"default_field\":\"t\",\"query\":\"");
    for (int i = 0; i < 2000; i++)
        vz_buf_append_str(&body, "w* ");
    vz_buf_append_str(&body, "\"}}}");
    expect(w, "POST", "/p/_search", body.data, 400, refused);
    expect(w, "POST", "/p/_count", body.data, 400, refused);
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"query\":{\"simple_query_string\":{\"fields\":[\"t\"],\"lenient\":"
                             "true,\"query\":\"");
    for (int i = 0; i < 2000; i++)
        vz_buf_append_str(&body, "w* ");
    vz_buf_append_str(&body, "\"}}}");
    expect(w, "POST", "/p/_search", body.data, 400, "too_many_nested_clauses");
    vz_buf_deinit(&body);
    /* Fewer are what somebody asked for, and one request's are not the next one's. */
    for (int i = 0; i < 3; i++)
        expect(
            w, "POST", "/p/_search",
            "{\"query\":{\"query_string\":{\"query\":\"w* x* *1* w0*\",\"fields\":[\"t\",\"k\"]}}}",
            200, "\"value\":1500");
}

/* The same patterns in spans and intervals, each term of which opens its postings: 1,500 of 2,000
 * each. */
static void test_patterns_in_places(void **state)
{
    struct world *w = *state;
    struct vz_buf body = {0};
    for (int spans = 0; spans < 2; spans++)
        for (int many = 0; many < 2; many++) {
            int count = spans ? 2 + many : many ? 100 : 50;
            vz_buf_clear(&body);
            vz_buf_append_str(&body, spans ? "{\"query\":{\"span_or\":{\"clauses\":["
                                           : "{\"query\":{\"intervals\":{\"t\":{\"any_of\":{"
                                             "\"intervals\":[");
            for (int i = 0; i < count; i++)
                vz_buf_printf(&body,
                              spans ? "%s{\"span_multi\":{\"match\":{\"prefix\":{\"t\":\"w\"}}}}"
                                    : "%s{\"prefix\":{\"prefix\":\"w\"}}",
                              i ? "," : "");
            vz_buf_append_str(&body, spans ? "]}}}" : "]}}}}}");
            expect(w, "POST", "/p/_search", body.data, many ? 400 : 200,
                   !many   ? "\"value\":1500"
                   : spans ? "Query contains too many nested clauses; maxClauseCount is set to 4096"
                           : "Too many disjunctions to expand");
        }
    vz_buf_deinit(&body);
}

/* ---- cancelling ---------------------------------------------------------------------------- */

struct slow {
    struct world *world;
    struct vz_buf answer;
    int status;
    atomic_bool is_done;
};

/* Scripts over every document, again and again, without a match: nothing tells on the way. */
static void *search_slowly(void *context)
{
    struct slow *slow = context;
    slow->status = call(slow->world, "POST", "/c/_search?filter_path=error,status,took",
                        "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"min_score\":"
                        "1e30,\"script\":\"double x = 0; for (int i = 0; i < 40000; i++) { x += "
                        "Math.sqrt(i) } return x\"}}}",
                        &slow->answer);
    atomic_store(&slow->is_done, true);
    return NULL;
}

static void test_search_is_cancelled(void **state)
{
    struct world *w = *state;
    struct slow slow = {.world = w};
    pthread_t thread;
    bulk_words(w, "/c/_bulk?refresh=true", 20000); /* minutes of work, if nobody cancels */
    pthread_create(&thread, NULL, search_slowly, &slow);
    struct vz_buf answer = {0};
    while (!atomic_load(&slow.is_done)) { /* until it is there to be cancelled */
        vz_buf_deinit(&answer);
        call(w, "POST", "/_tasks/_cancel?actions=indices:data/read/search", NULL, &answer);
        if (strstr(answer.data, "\"cancelled\":true"))
            break;
        usleep(1000);
    }
    vz_buf_deinit(&answer);
    pthread_join(thread, NULL);
    if (slow.status != 400 || !strstr(slow.answer.data, "task cancelled [by user request]"))
        fail_msg("%d %s", slow.status, slow.answer.data);
    vz_buf_deinit(&slow.answer);
}

/* ---- waiting ------------------------------------------------------------------------------- */

struct waiting {
    struct world *world;
    char path[160];
};

static void *wait_for_task(void *context)
{
    struct waiting *waiting = context;
    bool refused = true;
    while (refused) { /* whoever counts them takes a place, too, for a moment */
        struct vz_buf answer = {0};
        int status = call(waiting->world, "GET", waiting->path, NULL, &answer);
        refused = strstr(answer.data, "es_rejected_execution_exception");
        if (!refused && status != 200)
            fail_msg("%s", answer.data);
        vz_buf_deinit(&answer);
        if (refused)
            usleep(1000);
    }
    return NULL;
}

static void start(struct world *w, const char *path, const char *body, char id[64])
{
    struct vz_buf answer = {0};
    int status = call(w, "POST", path, body, &answer);
    if (status != 200 || sscanf(answer.data, "{\"task\":\"%63[^\"]", id) != 1)
        fail_msg("%s: %d %s", path, status, answer.data);
    vz_buf_deinit(&answer);
}

static void test_waiting_blocks_no_work(void **state)
{
    struct world *w = *state;
    pthread_t threads[VZ_TASK_MAX_WAITING];
    struct waiting waiting = {.world = w};
    char id[64], path[160];
    bulk_words(w, "/w/_bulk?refresh=true", 100);
    bulk_words(w, "/w2/_bulk?refresh=true", 100);
    start(w,
          "/w/_update_by_query?wait_for_completion=false&requests_per_second=0.01&scroll_size=50",
          "{}", id);
    snprintf(waiting.path, sizeof waiting.path, "/_tasks/%s?wait_for_completion&timeout=10m", id);
    for (int i = 0; i < VZ_TASK_MAX_WAITING; i++)
        pthread_create(&threads[i], NULL, wait_for_task, &waiting);
    snprintf(path, sizeof path, "/_tasks/%s?wait_for_completion&timeout=1ms", id);
    for (bool all_wait = false; !all_wait;) {
        struct vz_buf answer = {0};
        call(w, "GET", path, NULL, &answer);
        all_wait = strstr(answer.data, "es_rejected_execution_exception");
        vz_buf_deinit(&answer);
        usleep(3000); /* in which the place is another's */
    }
    expect(w, "GET", waiting.path, NULL, 429, "es_rejected_execution_exception");
    expect(w, "POST", "/w2/_delete_by_query", "{\"query\":{\"term\":{\"n\":7}}}", 200,
           "\"deleted\":1");
    snprintf(path, sizeof path, "/_tasks/%s/_cancel", id);
    expect(w, "POST", path, NULL, 200, "\"cancelled\":true");
    for (int i = 0; i < VZ_TASK_MAX_WAITING; i++)
        pthread_join(threads[i], NULL);
}

/* ---- what goes away ------------------------------------------------------------------------ */

/* Deletes `gone` while throttled work is between two batches; the work fails, and makes nothing. */
static void delete_under(struct world *w, const char *path, const char *body, const char *gone)
{
    char id[64], at[160];
    start(w, path, body, id);
    snprintf(at, sizeof at, "/_tasks/%s", id);
    struct vz_buf answer = {0};
    for (int tries = 0; tries < 60000; tries++) { /* a minute */
        vz_buf_deinit(&answer);
        call(w, "GET", at, NULL, &answer);
        if (strstr(answer.data, "\"batches\":1"))
            break;
        usleep(1000);
    }
    vz_buf_deinit(&answer);
    expect(w, "DELETE", gone, NULL, 200, NULL);
    snprintf(at, sizeof at, "/_update_by_query/%s/_rethrottle?requests_per_second=-1", id);
    expect(w, "POST", at, NULL, 200, NULL);
    snprintf(at, sizeof at, "/_tasks/%s?wait_for_completion&timeout=10m", id);
    expect(w, "GET", at, NULL, 200, "\"type\":\"index_not_found_exception\"");
    expect(w, "GET", gone, NULL, 404, "index_not_found_exception");
}

static void test_deleted_stays_deleted(void **state)
{
    struct world *w = *state;
    bulk_words(w, "/d/_bulk?refresh=true", 20);
    bulk_words(w, "/e/_bulk?refresh=true", 20);
    delete_under(w,
                 "/d/_update_by_query?wait_for_completion=false&requests_per_second=0.01&"
                 "scroll_size=10",
                 "{\"script\":\"ctx._source.m = 1\"}", "/d");
    delete_under(w, "/_reindex?wait_for_completion=false&requests_per_second=0.01",
                 "{\"source\":{\"index\":\"e\",\"size\":10},\"dest\":{\"index\":\"e2\"}}", "/e2");
    /* A destination that is not there yet is made, though. */
    expect(w, "POST", "/_reindex",
           "{\"source\":{\"index\":\"e\",\"size\":10},\"dest\":{\"index\":\"e3\"}}", 200,
           "\"created\":20");
}

/* ---- analyzers ----------------------------------------------------------------------------- */

static void test_clone_with_broken_analyzers(void **state)
{
    struct world *w = *state;
    expect(w, "PUT", "/a",
           "{\"settings\":{\"analysis\":{\"analyzer\":{\"mine\":{\"type\":\"custom\",\"tokenizer\":"
           "\"standard\",\"filter\":[\"lowercase\"]}}}},\"mappings\":{\"properties\":{\"t\":{"
           "\"type\":\"text\",\"analyzer\":\"mine\"}}}}",
           200, NULL);
    expect(w, "PUT", "/a/_doc/1?refresh=true", "{\"t\":\"Red Fox\"}", 201, NULL);
    expect(w, "PUT", "/a/_block/write", NULL, 200, NULL);
    expect(w, "PUT", "/a/_clone/b",
           "{\"settings\":{\"analysis\":{\"analyzer\":{\"mine\":{\"type\":\"custom\",\"tokenizer\":"
           "\"nothing\"}}}}}",
           400, "failed to find tokenizer under name [nothing]");
    expect(w, "GET", "/b", NULL, 404, NULL);
    expect(w, "PUT", "/a/_clone/b", NULL, 200, "\"index\":\"b\"");
    expect(w, "POST", "/b/_search", "{\"query\":{\"match\":{\"t\":\"FOX\"}}}", 200, "\"value\":1");
}

/* A set that was changed while nobody had the index open. */
static void test_open_with_broken_analyzers(void **state)
{
    struct world *w = *state;
    expect(w, "PUT", "/_synonyms/s", "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"a, b\"}]}",
           201, NULL);
    expect(w, "PUT", "/o",
           "{\"settings\":{\"analysis\":{\"filter\":{\"stops\":{\"type\":\"stop\",\"stopwords\":["
           "\"bad\"]},\"syn\":{\"type\":\"synonym_graph\",\"synonyms_set\":\"s\",\"updateable\":"
           "true,\"lenient\":false}},\"analyzer\":{\"mine\":{\"tokenizer\":\"standard\",\"filter\":"
           "[\"stops\",\"syn\""
           "]}}}},\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\",\"search_analyzer\":"
           "\"mine\",\"analyzer\":\"standard\"}}}}",
           200, NULL);
    expect(w, "PUT", "/o/_doc/1?refresh=true", "{\"t\":\"b\"}", 201, NULL);
    expect(w, "POST", "/o/_close", NULL, 200, NULL);
    expect(w, "PUT", "/_synonyms/s", "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"a, bad\"}]}",
           200, NULL);
    expect(w, "POST", "/o/_open", NULL, 400, "bad");
    expect(w, "POST", "/o/_search", NULL, 400, "index_closed_exception");
    expect(w, "PUT", "/_synonyms/s", "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"a, b\"}]}",
           200, NULL);
    expect(w, "POST", "/o/_open", NULL, 200, "acknowledged");
    expect(w, "POST", "/o/_search", "{\"query\":{\"match\":{\"t\":\"a\"}}}", 200, "\"value\":1");
}

struct putting {
    struct world *world;
    atomic_bool done;
};

static void *put_rules(void *putting_void)
{
    struct putting *putting = putting_void;
    struct vz_buf answer = {0};
    call(putting->world, "PUT", "/_synonyms/slow",
         "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"a, c\"}]}", &answer);
    vz_buf_deinit(&answer);
    atomic_store(&putting->done, true);
    return NULL;
}

/* While a changed set is compiled for an index (here: waits for that index), templates and other
 * sets are changed, and indices made and searched. */
static void test_reloading_blocks_nobody(void **state)
{
    struct world *w = *state;
    struct putting putting = {.world = w};
    pthread_t thread;
    expect(w, "PUT", "/_synonyms/slow", "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"a, b\"}]}",
           201, NULL);
    expect(
        w, "PUT", "/r",
        "{\"settings\":{\"analysis\":{\"filter\":{\"f\":{\"type\":\"synonym\",\"synonyms_set\":"
        "\"slow\",\"updateable\":true}},\"analyzer\":{\"s\":{\"tokenizer\":\"standard\",\"filter\":"
        "[\"f\"]}}}},\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\",\"search_analyzer\":"
        "\"s\"}}}}",
        200, NULL);
    expect(w, "PUT", "/r/_doc/1?refresh=true", "{\"t\":\"c\"}", 201, NULL);
    struct vz_index *index = vz_store_index(w->store, VZ_SLICE("r"));
    pthread_mutex_lock(&index->mapping_lock);
    pthread_create(&thread, NULL, put_rules, &putting);
    for (bool saved = false; !saved;) { /* it reloads from then on */
        struct vz_buf answer = {0};
        call(w, "GET", "/_synonyms/slow", NULL, &answer);
        saved = strstr(answer.data, "a, c") != NULL;
        vz_buf_deinit(&answer);
    }
    bool free_again = false;
    for (int tries = 0; tries < 20000 && !free_again; tries++) {
        free_again = pthread_mutex_trylock(&w->rest->templates_mutex) == 0;
        if (!free_again)
            usleep(1000);
    }
    if (free_again)
        pthread_mutex_unlock(&w->rest->templates_mutex);
    bool was_done = atomic_load(&putting.done);
    if (free_again) {
        expect(w, "PUT", "/_index_template/t", "{\"index_patterns\":[\"tt-*\"]}", 200, NULL);
        expect(w, "PUT", "/_synonyms/other", "{\"synonyms_set\":[]}", 201, NULL);
        expect(w, "PUT", "/r2", NULL, 200, NULL);
        expect(w, "POST", "/r/_search", "{\"query\":{\"match\":{\"t\":\"a\"}}}", 200,
               "\"value\":0");
    }
    pthread_mutex_unlock(&index->mapping_lock);
    pthread_join(thread, NULL);
    vz_index_release(index);
    assert_true(free_again);
    assert_false(was_done);
    expect(w, "POST", "/r/_search", "{\"query\":{\"match\":{\"t\":\"a\"}}}", 200, "\"value\":1");
    expect(w, "DELETE", "/_index_template/t", NULL, 200, NULL);
}

/* ---- semantic fields ----------------------------------------------------------------------- */

/* A mapping that gets a semantic field between the models' work and the write. */
static void test_semantics_come_between(void **state)
{
    struct world *w = *state;
    struct vz_error err = {0};
    expect(w, "PUT", "/m/_doc/1?refresh=true", "{\"t\":\"red\"}", 201, NULL);
    struct vz_index *index = vz_store_index(w->store, VZ_SLICE("m"));
    struct vz_mapping *mapping = vz_index_mapping(index);
    const uint64_t seen = vz_mapping_semantics(mapping);
    vz_mapping_release(mapping);
    assert_int_equal(seen, 0);
    static const char source[256] = "{\"t\":\"a\",\"s\":\"fox\"}";
    const struct vz_write_options options = {.semantics = &seen};
    struct vz_write op = {.id = VZ_SLICE("2"), .source = vz_slice_from(source)};
    expect(w, "PUT", "/m/_mapping",
           "{\"properties\":{\"s\":{\"type\":\"semantic_text\",\"inference_id\":\"none\"}}}", 200,
           NULL);
    assert_int_equal(vz_index_write(index, &op, 1, &options, &err), VZ_OK);
    assert_int_equal(op.status, VZ_BUSY);
    assert_non_null(strstr(op.error.text, "send it again"));
    expect(w, "GET", "/m/_doc/2", NULL, 404, NULL);
    /* So of what the writer reads: updates, of what is there or not, with others that need no look.
     */
    static const char patches[][256] = {
        "{\"doc\":{\"s\":\"fox\"}}", "{\"doc\":{\"s\":\"fox\"},\"doc_as_upsert\":true}",
        "{\"doc\":{\"t\":\"b\"},\"upsert\":{\"s\":\"fox\"}}", "{\"doc\":{\"t\":\"red\"}}"};
    struct vz_write updates[] = {
        {.verb = VZ_WRITE_UPDATE, .id = VZ_SLICE("1"), .source = vz_slice_from(patches[0])},
        {.verb = VZ_WRITE_UPDATE, .id = VZ_SLICE("2"), .source = vz_slice_from(patches[1])},
        {.verb = VZ_WRITE_UPDATE, .id = VZ_SLICE("2"), .source = vz_slice_from(patches[2])},
        {.verb = VZ_WRITE_UPDATE, .id = VZ_SLICE("1"), .source = vz_slice_from(patches[3])}};
    assert_int_equal(vz_index_write(index, updates, 4, &options, &err), VZ_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(updates[i].status, VZ_BUSY);
    assert_int_equal(updates[3].status, VZ_OK); /* nothing is written */
    assert_int_equal(updates[3].result, VZ_RESULT_NOOP);
    expect(w, "GET", "/m/_doc/1", NULL, 200, "\"_source\":{\"t\":\"red\"}");
    expect(w, "GET", "/m/_doc/2", NULL, 404, NULL);
    /* Other changes ask for nothing. */
    mapping = vz_index_mapping(index);
    const uint64_t now = vz_mapping_semantics(mapping);
    vz_mapping_release(mapping);
    assert_true(now != 0);
    expect(w, "PUT", "/m/_mapping", "{\"properties\":{\"k\":{\"type\":\"keyword\"}}}", 200, NULL);
    mapping = vz_index_mapping(index);
    assert_true(now == vz_mapping_semantics(mapping));
    vz_mapping_release(mapping);
    vz_index_release(index);
}

/* ---- small things -------------------------------------------------------------------------- */

static void test_sizes_are_told(void **state)
{
    struct world *w = *state;
    size_t before = w->rest->max_answer_bytes;
    bulk_words(w, "/z/_bulk?refresh=true", 100);
    w->rest->max_answer_bytes = 400;
    expect(w, "POST", "/z/_search", "{\"size\":100}", 429, "\"bytes_limit\":400,");
    struct vz_buf answer = {0};
    unsigned long long wanted = 0;
    call(w, "POST", "/z/_search", "{\"size\":100}", &answer);
    w->rest->max_answer_bytes = before;
    const char *at = strstr(answer.data, "\"bytes_wanted\":");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"bytes_wanted\":%llu", &wanted), 1);
    assert_true(wanted > 400 && wanted < 600);
    vz_buf_deinit(&answer);
}

/* As Elasticsearch writes a float that is none: a string. */
static void test_infinite_scores(void **state)
{
    struct world *w = *state;
    expect(w, "PUT", "/i/_doc/1?refresh=true", "{\"n\":1}", 201, NULL);
    expect(w, "POST", "/i/_search",
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"1e300\"}}}",
           200, "\"max_score\":\"Infinity\"");
    expect(w, "POST", "/i/_search",
           "{\"query\":{\"function_score\":{\"functions\":[{\"weight\":3e38},{\"weight\":3e38}]}}}",
           200, "\"_score\":\"Infinity\"");
    expect(w, "POST", "/i/_search",
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"-1e300\"}}}",
           400, "script_score script returned an invalid score [-Infinity] for doc [0]");
}

/* ---- scripts ------------------------------------------------------------------------------- */

/* A script in each of 1,000 buckets, each within what one run may do. */
static void test_scripts_of_buckets(void **state)
{
    struct world *w = *state;
    static const char body[] =
        "{\"size\":0,\"aggs\":{\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":1,\"min_doc_"
        "count\":0,"
        "\"extended_bounds\":{\"min\":0,\"max\":999}},\"aggs\":{\"s\":{\"bucket_script\":{"
        "\"buckets_path\":{"
        "\"c\":\"_count\"},\"script\":\"int x = 0; for (int i = 0; i < %d; i++) { x += i } return "
        "x + params.c\"}}}}}}";
    char text[600];
    expect(w, "PUT", "/buckets/_doc/1?refresh=true", "{\"n\":1}", 201, NULL);
    snprintf(text, sizeof text, body, 100);
    expect(w, "POST", "/buckets/_search", text, 200,
           "{\"key\":999.0,\"doc_count\":0,\"s\":{\"value\":4950.0}");
    snprintf(text, sizeof text, body, 80000);
    expect(w, "POST", "/buckets/_search", text, 400, "that the scripts of all buckets can execute");
}

/* ---- chains -------------------------------------------------------------------------------- */

/* `link`, repeated. */
static void chained(struct vz_buf *body, const char *before, const char *link, unsigned times,
                    const char *after)
{
    vz_buf_clear(body);
    vz_buf_append_str(body, before);
    for (unsigned i = 0; i < times; i++)
        vz_buf_printf(body, "%s%s", i ? "," : "", link);
    vz_buf_append_str(body, after);
}

/* Each link of a chain makes some of one: a few characters would be gigabytes. */
static void test_chains_of_filters(void **state)
{
    static const struct {
        const char *before, *link, *after, *reason;
        unsigned times;
    } chains[] = {
        {"{\"tokenizer\":\"keyword\",\"char_filter\":[",
         "{\"type\":\"pattern_replace\",\"pattern\":\".+\",\"replacement\":\"$0$0$0$0\"}",
         "],\"text\":\"aaaa\"}", "makes the text too long", 30},
        {"{\"tokenizer\":\"keyword\",\"char_filter\":[",
         "{\"type\":\"mapping\",\"mappings\":[\"a => aaaaaaaaaaaaaaaa\"]}", "],\"text\":\"aaaa\"}",
         "char filters make the text too long", 30},
        {"{\"tokenizer\":\"keyword\",\"filter\":[",
         "{\"type\":\"pattern_replace\",\"pattern\":\".+\",\"replacement\":\"$0$0$0$0\"}",
         "],\"text\":\"aaaa\"}", "makes the text too long", 60},
        {"{\"tokenizer\":\"whitespace\",\"filter\":[",
         "{\"type\":\"shingle\",\"max_shingle_size\":4}", "],\"text\":\"a b c d e f g h i j k l\"}",
         "the tokens of the text need more than [67", 40},
        {"{\"tokenizer\":\"keyword\",\"filter\":[",
         "{\"type\":\"word_delimiter_graph\",\"preserve_original\":true,\"catenate_all\":true}",
         "],\"text\":\"a-b-c-d-e-f-g1h2i3j\"}", "the text gives more than [1049", 60},
        /* Words that waited for places behind where it ended were waited for without end. */
        {"{\"tokenizer\":\"whitespace\",\"filter\":[{\"type\":\"synonym\",\"synonyms\":[\"a => ",
         "a b c d e", "\"]}],\"text\":[\"a a\"]}", NULL, 300},
    };
    struct world *w = *state;
    struct vz_buf body = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(chains); i++) {
        chained(&body, chains[i].before, chains[i].link, chains[i].times, chains[i].after);
        expect(w, "POST", "/_analyze", body.data, chains[i].reason ? 400 : 200, chains[i].reason);
    }
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"tokenizer\":\"whitespace\",\"filter\":[{\"type\":\"synonym\","
                             "\"synonyms\":[\"a => a");
    for (unsigned i = 0; i < 1000; i++)
        vz_buf_printf(&body, ", a b%u", i);
    vz_buf_append_str(&body, "\"]}],\"text\":\"");
    for (unsigned i = 0; i < 3000; i++)
        vz_buf_append_str(&body, "a ");
    vz_buf_append_str(&body, "\"}");
    expect(w, "POST", "/_analyze", body.data, 400, "the text gives more than [1240576] tokens");
    vz_buf_deinit(&body);
}

static void put_numbers(struct vz_buf *body, const char *name, unsigned from, unsigned count)
{
    vz_buf_printf(body, "\"%s\":[", name);
    for (unsigned i = from; i < from + count; i++)
        vz_buf_printf(body, "%s%u%s", i > from ? "," : "", i, i % 2 ? ".0" : "");
    vz_buf_append_str(body, "]");
}

/* 100,000 values that a list of 100,000 has or has not: each was compared with each. */
static void test_appending_to_many(void **state)
{
    struct world *w = *state;
    struct vz_buf body = {0};
    expect(w, "PUT", "/_ingest/pipeline/append",
           "{\"processors\":[{\"append\":{\"field\":\"a\",\"copy_from\":\"b\",\"allow_duplicates\":"
           "false}},{\"script\":{\"source\":\"ctx.count = ctx.a.size(); ctx.remove('a'); "
           "ctx.remove('b')\"}}]}",
           200, NULL);
    vz_buf_append_str(&body, "{");
    put_numbers(&body, "a", 0, 100000);
    vz_buf_append_str(&body, ",");
    put_numbers(&body, "b", 50001, 100000);
    vz_buf_append_str(&body, "}");
    expect(w, "PUT", "/append/_doc/1?pipeline=append&refresh=true", body.data, 201, NULL);
    expect(w, "GET", "/append/_source/1", NULL, 200, "{\"count\":150001}");
    expect(
        w, "PUT", "/append/_doc/2?pipeline=append",
        "{\"a\":[1,\"1\",true,null,[1,2],{\"x\":1,\"y\":2},0.5],\"b\":[1.0,\"1\",true,null,[1.0,2],"
        "{\"y\":2,\"x\":1},0.5,false,\"true\",[2,1],1e300,1e300]}",
        201, NULL);
    expect(w, "GET", "/append/_source/2", NULL, 200, "{\"count\":11}");
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"a\":[");
    for (unsigned i = 0; i < 5000; i++)
        vz_buf_printf(&body, "%s[%u]", i ? "," : "", i);
    vz_buf_append_str(&body, "],\"b\":[");
    for (unsigned i = 0; i < 5000; i++)
        vz_buf_printf(&body, "%s[%u]", i ? "," : "", i + 5000);
    vz_buf_append_str(&body, "]}");
    expect(w, "PUT", "/append/_doc/3?pipeline=append", body.data, 400,
           "[append] compares more than [10000000] lists and objects");
    vz_buf_deinit(&body);
}

/* ---- explaining ----------------------------------------------------------------------------- */

/* A clause is looked at for every hit, whether it matches or not: 26 KB of them took 3.5 GB for
 * 1,000 hits. */
static void test_explaining_has_a_limit(void **state)
{
    struct world *w = *state;
    struct vz_buf body = {0};
    bulk_words(w, "/why/_bulk?refresh=true", 1500);
    for (unsigned size = 10; size <= 1500; size += 1490) {
        vz_buf_clear(&body);
        vz_buf_printf(
            &body,
            "{\"size\":%u,\"explain\":true,\"query\":{\"bool\":{\"should\":[{\"match_all\":{}}",
            size);
        for (unsigned i = 0; i < 600; i++)
            vz_buf_printf(&body, ",{\"match\":{\"t\":\"w%05u\"}}", i);
        vz_buf_append_str(&body, "]}}}");
        expect(w, "POST", "/why/_search", body.data, size == 10 ? 200 : 429,
               size == 10 ? "_explanation" : "Data too large, explaining the first [");
    }
    vz_buf_deinit(&body);
}

/* ---- lookups ------------------------------------------------------------------------------- */

static void put_terms(struct world *w, const char *path, unsigned count, unsigned width)
{
    struct vz_buf body = {0};
    vz_buf_append_str(&body, "{\"t\":[");
    for (unsigned i = 0; i < count; i++)
        vz_buf_printf(&body, "%s\"%0*u\"", i ? "," : "", (int)width, i);
    vz_buf_append_str(&body, "]}");
    expect(w, "PUT", path, body.data, 201, NULL);
    vz_buf_deinit(&body);
}

static void look_up(struct vz_buf *body, const char *id, unsigned times)
{
    vz_buf_append_str(body, "{\"query\":{\"bool\":{\"filter\":[");
    for (unsigned i = 0; i < times; i++)
        vz_buf_printf(body,
                      "%s{\"terms\":{\"k\":{\"index\":\"lists\",\"id\":\"%s\",\"path\":\"t\"}}}",
                      i ? "," : "", id);
    vz_buf_append_str(body, "]}}}");
}

/* A few bytes in a request stand for many terms: together they have a limit, in one search and in
 * all of an _msearch. */
static void test_lookups_have_a_limit(void **state)
{
    static const char refused[] = "\"type\":\"circuit_breaking_exception\",\"reason\":\"[request] "
                                  "Data too large, data for [<terms_lookup>] would be [";
    struct world *w = *state;
    struct vz_buf body = {0}, answer = {0};
    expect(w, "PUT", "/lists", "{\"mappings\":{\"dynamic\":false}}", 200, NULL);
    expect(w, "PUT", "/l", "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"}}}}", 200,
           NULL);
    expect(w, "PUT", "/l/_doc/1?refresh=true", "{\"k\":\"00007\"}", 201, NULL);
    put_terms(w, "/lists/_doc/many", 65536, 5);
    put_terms(w, "/lists/_doc/wide", 3000, 2500);
    look_up(&body, "many", 3);
    expect(w, "POST", "/l/_count", body.data, 200, "\"count\":");
    vz_buf_clear(&body);
    look_up(&body, "many", 200);
    expect(w, "POST", "/l/_search", body.data, 429, refused);
    expect(w, "POST", "/l/_count", body.data, 429, refused);
    vz_buf_clear(&body);
    for (unsigned i = 0; i < 12; i++) { /* 54 MB each */
        vz_buf_append_str(&body, "{}\n");
        look_up(&body, "wide", 7);
        vz_buf_append_str(&body, "\n");
    }
    assert_int_equal(
        call(w, "POST", "/l/_msearch?filter_path=responses.status", body.data, &answer), 200);
    assert_string_equal(answer.data,
                        "{\"responses\":[{\"status\":200},{\"status\":200},{\"status\":200},"
                        "{\"status\":200},{\"status\":200},{\"status\":200},{\"status\":200},"
                        "{\"status\":200},{\"status\":200},{\"status\":429},{\"status\":429},"
                        "{\"status\":429}]}");
    vz_buf_deinit(&answer);
    vz_buf_clear(&body);
    look_up(&body, "none", 257);
    expect(w, "POST", "/l/_search", body.data, 400, "at most [256] documents");
    vz_buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_together),
        cmocka_unit_test(test_patterns_in_places),
        cmocka_unit_test(test_search_is_cancelled),
        cmocka_unit_test(test_waiting_blocks_no_work),
        cmocka_unit_test(test_deleted_stays_deleted),
        cmocka_unit_test(test_clone_with_broken_analyzers),
        cmocka_unit_test(test_open_with_broken_analyzers),
        cmocka_unit_test(test_reloading_blocks_nobody),
        cmocka_unit_test(test_semantics_come_between),
        cmocka_unit_test(test_sizes_are_told),
        cmocka_unit_test(test_infinite_scores),
        cmocka_unit_test(test_scripts_of_buckets),
        cmocka_unit_test(test_chains_of_filters),
        cmocka_unit_test(test_appending_to_many),
        cmocka_unit_test(test_explaining_has_a_limit),
        cmocka_unit_test(test_lookups_have_a_limit),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
