/* Everything at once: writers and searchers while indices are opened, closed, cloned, deleted and
 * given other mappings, synonyms, templates and aliases. Nothing may be answered with a 5xx, and
 * what is left must hold every invariant. ThreadSanitizer watches (./test unit-tsan). */
#include "support.h"

#include "base/clock.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define LASTS_NS 6000000000ull
#define INDICES 3

struct stress {
    struct world *world;
    void (*act)(struct world *w, unsigned *seed);
    unsigned seed;
    uint64_t until_ns;
};

static atomic_uint acts, refused;

static unsigned below(unsigned *seed, unsigned limit)
{
    return (unsigned)rand_r(seed) % limit;
}

/* "%" in the path: the number of an index. */
static void ask(struct world *w, unsigned *seed, const char *method, const char *path,
                const char *body)
{
    char at[200];
    struct vz_buf answer = {0};
    snprintf(at, sizeof at, "%s", path);
    for (char *c = at; *c; c++)
        if (*c == '@')
            *c = (char)('0' + below(seed, INDICES));
    int status = call(w, method, at, body, &answer);
    atomic_fetch_add(&acts, 1);
    if (status >= 400)
        atomic_fetch_add(&refused, 1);
    if (status >= 500 && !strstr(answer.data, "must block write operations")) /* as there */
        fail_msg("%s %s %s: %d %.800s", method, at, body ? body : "", status, answer.data);
    vz_buf_deinit(&answer);
}

static void write_some(struct world *w, unsigned *seed)
{
    static const char *const refresh[] = {"", "?refresh=true", "", ""};
    char path[64];
    struct vz_buf body = {0};
    for (unsigned i = 0; i < 20; i++)
        vz_buf_printf(&body,
                      "{\"index\":{\"_id\":\"%u\"}}\n{\"t\":\"red fox %u\",\"n\":%u,\"k\":\"k%u\","
                      "\"o\":[{\"a\":\"x%u\",\"b\":%u},{\"a\":\"y\",\"b\":%u}],\"d%u\":%u}\n",
                      below(seed, 300), below(seed, 50), below(seed, 1000), below(seed, 9),
                      below(seed, 5), below(seed, 20), below(seed, 20), below(seed, 3), i);
    vz_buf_printf(&body, "{\"delete\":{\"_id\":\"%u\"}}\n", below(seed, 300));
    snprintf(path, sizeof path, "/x@/_bulk%s", refresh[below(seed, 4)]);
    ask(w, seed, "POST", path, body.data);
    vz_buf_deinit(&body);
    if (below(seed, 4) == 0)
        ask(w, seed, "POST", "/x@/_update/7", "{\"doc\":{\"n\":7},\"doc_as_upsert\":true}");
    if (below(seed, 10) == 0)
        ask(w, seed, "POST", "/x@/_update_by_query?conflicts=proceed",
            "{\"query\":{\"term\":{\"k\":\"k3\"}}}");
}

static void search_some(struct world *w, unsigned *seed)
{
    static const char *const bodies[] = {
        "{\"query\":{\"match\":{\"t\":\"fox "
        "dog\"}},\"aggs\":{\"k\":{\"terms\":{\"field\":\"k.keyword\"}}}}",
        "{\"query\":{\"nested\":{\"path\":\"o\",\"query\":{\"match\":{\"o.a\":\"x1\"}},\"inner_"
        "hits\":{}"
        "}}}",
        "{\"query\":{\"nested\":{\"path\":\"o\",\"query\":{\"range\":{\"o.b\":{\"gte\":5}}}}},"
        "\"sort\":[{"
        "\"n\":{\"order\":\"asc\",\"unmapped_type\":\"long\"}}]}",
        "{\"query\":{\"query_string\":{\"query\":\"fo* OR "
        "k\\\\:1\"}},\"highlight\":{\"fields\":{\"t\":{}"
        "}}}",
        "{\"query\":{\"bool\":{\"filter\":[{\"range\":{\"n\":{\"lte\":500}}}],\"should\":[{"
        "\"match\":{"
        "\"t\":\"3\"}}]}}}",
    };
    static const char *const paths[] = {"/x@/_search", "/x*/_search",
                                        "/all/_search?ignore_unavailable", "/_search"};
    ask(w, seed, "POST", paths[below(seed, 4)], bodies[below(seed, VZ_COUNT_OF(bodies))]);
    if (below(seed, 5) == 0)
        ask(w, seed, "GET", "/x@/_doc/5", NULL);
}

static void open_and_close(struct world *w, unsigned *seed)
{
    switch (below(seed, 6)) {
    case 0:
        ask(w, seed, "POST", "/x@/_close", NULL);
        break;
    case 1:
    case 2:
        ask(w, seed, "POST", "/x@/_open", NULL);
        break;
    case 3:
        ask(w, seed, "DELETE", below(seed, 2) ? "/c@" : "/x@", NULL);
        break;
    case 4:
        ask(w, seed, "PUT", "/x@/_settings", "{\"index.blocks.write\":true}");
        ask(w, seed, "PUT", "/x@/_clone/c@", "{\"settings\":{\"index.blocks.write\":null}}");
        for (int i = 0; i < 5; i++)
            ask(w, seed, "PUT", "/x@/_settings", "{\"index.blocks.write\":null}");
        break;
    default:
        ask(w, seed, "POST", "/x@/_forcemerge", NULL);
    }
}

static void rule(struct world *w, unsigned *seed)
{
    char body[400];
    switch (below(seed, 7)) {
    case 0:
        ask(w, seed, "PUT", "/x@/_mapping", "{\"properties\":{\"e\":{\"type\":\"keyword\"}}}");
        break;
    case 1:
        snprintf(body, sizeof body,
                 "{\"synonyms_set\":[{\"id\":\"1\",\"synonyms\":\"dog, fox%u, hound\"}]}",
                 below(seed, 5));
        ask(w, seed, "PUT", "/_synonyms/s", body);
        break;
    case 2:
        snprintf(
            body, sizeof body,
            "{\"index_patterns\":[\"x*\"],\"priority\":%u,\"template\":{\"settings\":{"
            "\"analysis\":{\"filter\":{\"syn\":{\"type\":\"synonym_graph\",\"synonyms_set\":\"s\","
            "\"updateable\":true}},\"analyzer\":{\"mine\":{\"tokenizer\":\"standard\","
            "\"filter\":[\"syn\"]}}}},\"mappings\":{\"properties\":{\"o\":{\"type\":\"nested\"},"
            "\"t\":{\"type\":\"text\",\"search_analyzer\":\"mine\",\"analyzer\":\"standard\"}}}}}",
            below(seed, 9));
        ask(w, seed, "PUT", "/_index_template/x", body);
        break;
    case 3:
        ask(w, seed, "POST", "/_aliases",
            below(seed, 2) ? "{\"actions\":[{\"add\":{\"index\":\"x*\",\"alias\":\"all\"}}]}"
                           : "{\"actions\":[{\"remove\":{\"index\":\"x*\",\"alias\":\"all\"}}]}");
        break;
    case 4:
        ask(w, seed, "POST", "/x@/_reload_search_analyzers", NULL);
        break;
    case 5:
        ask(w, seed, "PUT", "/x@/_settings", "{\"index.refresh_interval\":\"10ms\"}");
        break;
    default:
        ask(w, seed, "POST", "/x@/_refresh", NULL);
        ask(w, seed, "GET", "/_stats", NULL);
    }
}

static void *run(void *stress_void)
{
    struct stress *s = stress_void;
    while (vz_now_ns() < s->until_ns)
        s->act(s->world, &s->seed);
    return NULL;
}

static void test_all_at_once(void **state)
{
    struct world *w = *state;
    static void (*const kinds[])(struct world *, unsigned *) = {
        write_some, write_some, search_some, search_some, open_and_close, rule};
    struct stress stress[VZ_COUNT_OF(kinds)];
    pthread_t threads[VZ_COUNT_OF(kinds)];
    unsigned seed = (unsigned)vz_now_ns();
    const char *given = getenv("VIZSLA_STRESS_SEED");
    if (given)
        seed = (unsigned)atoi(given);
    printf("VIZSLA_STRESS_SEED=%u\n", seed);
    for (unsigned i = 0; i < 40; i++) /* synonyms, a template */
        rule(w, &seed);
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++) {
        stress[i] = (struct stress){w, kinds[i], seed + (unsigned)i, vz_now_ns() + LASTS_NS};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &stress[i]), 0);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++)
        pthread_join(threads[i], NULL);
    printf("%u acts, %u refused\n", atomic_load(&acts), atomic_load(&refused));
    struct vz_arena arena = {0};
    struct vz_slice *names;
    size_t count = vz_store_names(w->store, &arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_error err = {0};
        if (vz_store_open_index(w->store, names[i], &err) != VZ_OK)
            fail_msg("%s", err.text);
        struct vz_index *index = vz_store_index(w->store, names[i]);
        assert_non_null(index);
        if (vz_index_validate(index, &err) != VZ_OK)
            fail_msg("%s", err.text);
        vz_index_release(index);
    }
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, world_open, world_close);
}
