/* The route table: the right route wins, arguments come decoded, and the table itself is sound. */
#include "support.h"

static const struct vz_route *find(const char *method, const char *path, struct vz_slice *args,
                                   unsigned *allowed)
{
    static char text[256];
    struct vz_slice segments[VZ_MAX_SEGMENTS];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", path + 1);
    for (char *at = strtok(text, "/"); at; at = strtok(NULL, "/"))
        segments[count++] = vz_slice_from(at);
    return vz_route_find(vz_method_bit(method), segments, count, args, allowed);
}

static void literal_names_win(void **state)
{
    static const struct {
        const char *method, *path, *route;
    } cases[] = {
        {"GET", "/", "/"},
        {"GET", "/dogs", "/{index}"},
        {"HEAD", "/dogs", "/{index}"},
        {"GET", "/_search", "/_search"},
        {"GET", "/dogs/_search", "/{index}/_search"},
        {"POST", "/_search/scroll", "/_search/scroll"},
        {"GET", "/_search/scroll/abc", "/_search/scroll/{scroll_id}"},
        {"GET", "/_mapping/field/a", "/_mapping/field/{fields}"},
        {"GET", "/_cat/indices", "/_cat/indices"},
        {"GET", "/_cat/repositories", "/_cat/{table}"},
        {"GET", "/_cat/repositories/x/y", "/_cat/{table}/**"},
        {"GET", "/_nodes/stats", "/_nodes/stats"},
        {"GET", "/_nodes/_local/stats", "/_nodes/{node}/stats"},
        {"GET", "/_nodes/_all/http", "/_nodes/{node}/{metric}"},
        {"POST", "/_ml/trained_models/x/_infer", "/_ml/trained_models/{model_id}/_infer"},
        {"PUT", "/_cluster/settings", "/_cluster/settings"},
        {"GET", "/_bulk", "/{index}"}, /* as in Elasticsearch: an index of that name */
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_slice args[VZ_MAX_SEGMENTS];
        unsigned allowed;
        const struct vz_route *route = find(cases[i].method, cases[i].path, args, &allowed);
        assert_non_null(route);
        assert_string_equal(route->path, cases[i].route);
    }
}

static void arguments_in_order(void **state)
{
    struct vz_slice args[VZ_MAX_SEGMENTS];
    unsigned allowed;
    assert_non_null(find("PUT", "/dogs/_alias/pets", args, &allowed));
    assert_true(vz_slice_is(args[0], "dogs"));
    assert_true(vz_slice_is(args[1], "pets"));
    assert_non_null(find("GET", "/_alias/pets", args, &allowed));
    assert_true(vz_slice_is(args[0], "pets"));
    assert_int_equal(args[1].len, 0);
}

static void no_route_and_wrong_method(void **state)
{
    struct vz_slice args[VZ_MAX_SEGMENTS];
    unsigned allowed;
    assert_null(find("GET", "/a/b/c", args, &allowed));
    assert_int_equal(allowed, 0);
    assert_null(find("DELETE", "/dogs/_search", args, &allowed));
    assert_int_equal(allowed, VZ_GET | VZ_POST);
    assert_null(find("PATCH", "/dogs", args, &allowed));
    assert_int_equal(allowed, VZ_GET | VZ_PUT | VZ_DELETE);
}

/* Each template is found by a path made of it, whatever its arguments are. */
static void every_template_is_found(void **state)
{
    static const char *const values[] = {"x", "zz", "_z", "an-index,and*"};
    static const struct {
        const char *method;
        unsigned bit;
    } methods[] = {{"GET", VZ_GET}, {"POST", VZ_POST}, {"PUT", VZ_PUT}, {"DELETE", VZ_DELETE}};
    for (size_t i = 0; i < vz_route_count * VZ_COUNT_OF(values); i++) {
        const struct vz_route *route = &vz_routes[i / VZ_COUNT_OF(values)], *found = NULL;
        const char *value = values[i % VZ_COUNT_OF(values)];
        struct vz_buf path = {0};
        struct vz_slice args[VZ_MAX_SEGMENTS];
        unsigned allowed;
        for (const char *at = route->path; *at;) {
            bool rest = strcmp(at, "**") == 0, argument = *at == '{';
            if (rest || argument)
                vz_buf_append_str(&path, value);
            else
                vz_buf_append_char(&path, *at);
            at += rest ? 2 : argument ? strcspn(at, "}") + 1 : 1;
        }
        for (size_t m = 0; m < VZ_COUNT_OF(methods) && !found; m++)
            if (route->methods & methods[m].bit)
                found = find(methods[m].method, path.data, args, &allowed);
        bool literal = found && strcspn(found->path, "{*") >= strcspn(route->path, "{*");
        if (route->methods != VZ_HEAD && !literal)
            fail_msg("%s: %s", path.data, found ? found->path : "nothing");
        vz_buf_deinit(&path);
    }
}

/* No two rows may answer the same method and path, and a row says what it does. */
static void the_table_is_sound(void **state)
{
    for (size_t i = 0; i < vz_route_count; i++) {
        const struct vz_route *a = &vz_routes[i];
        assert_int_equal(a->path[0], '/');
        assert_true(a->methods != 0);
        assert_true(!a->handle || a->doc[0] != '\0');
        for (size_t j = i + 1; j < vz_route_count; j++)
            if (strcmp(a->path, vz_routes[j].path) == 0 && (a->methods & vz_routes[j].methods))
                fail_msg("%s is there twice", a->path);
    }
}

static void times(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t ms;
    } cases[] = {{"10m", true, 600000},   {"1s", true, 1000},   {"500ms", true, 500},
                 {"1d", true, 86400000},  {"-1", true, -1},     {"0", true, 0},
                 {"1.5h", true, 5400000}, {"10", false, 0},     {"", false, 0},
                 {"m", false, 0},         {"10x", false, 0},    {"-5m", false, 0},
                 {"nan", false, 0},       {"1e400d", false, 0}, {"100micros", true, 0}};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        int64_t ms = 0;
        bool ok = vz_time_parse(vz_slice_from(cases[i].text), &ms);
        if (ok != cases[i].ok || (ok && ms != cases[i].ms))
            fail_msg("[%s] gave %d, %lld", cases[i].text, ok, (long long)ms);
    }
}

/* Every parameter of the table is parsed as the table says, on its own route. */
static void parameters(void **state)
{
    struct world *w = *state;
    expect(w, "PUT", "/p", NULL, 200, NULL);
    expect(w, "GET", "/p/_search?size=1&from=0&pretty&human=false&filter_path=took", NULL, 200,
           "took");
    expect(w, "GET", "/p/_search?size=1x", NULL, 400, "number_format_exception");
    expect(w, "GET", "/p/_search?size=", NULL, 400, "number_format_exception");
    expect(w, "GET", "/p/_search?version=yes", NULL, 400, "only [true] or [false]");
    expect(w, "GET", "/p/_search?timeout=5", NULL, 400, "unit is missing");
    expect(w, "GET", "/p/_search?docvalue_fields=a", NULL, 400, "not supported yet");
    expect(w, "GET", "/p/_mapping?include_type_name=false", NULL, 200, "mappings");
    expect(w, "GET", "/p/_mapping?include_type_name=true", NULL, 400, "not supported yet");
    expect(w, "GET", "/p/_search?track_totl_hits=1", NULL, 400, "did you mean [track_total_hits]?");
    expect(w, "GET",
           "/p/_search?zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz=1", NULL,
           400, "unrecognized parameter");
}

static void paths(void **state)
{
    struct world *w = *state;
    expect(w, "PUT", "/p2/", NULL, 200, NULL);
    expect(w, "GET", "//p2", NULL, 400, "no handler found");
    expect(w, "GET", "/p2//_search", NULL, 400, "no handler found");
    expect(w, "GET", "/p2/_search//", NULL, 200, "hits");
    expect(w, "GET", "/%70%32/_count", NULL, 200, "count");
    expect(w, "GET", "/p2/_doc/%00", NULL, 400, NULL);
    expect(w, "GET", "/p2/_doc/%", NULL, 400, NULL);
    expect(w, "GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15", NULL, 400, "no handler found");
    expect(w, "BREW", "/p2", NULL, 405, "Incorrect HTTP method");
}

/* Every route with nonsense in its path, parameters and body: an answer below 500 that is what its
 * content type says, from a server that still works. */
static void nonsense(void **state)
{
    static const char *const args[] = {"dogs", "nope", "*",   "_all",      "..",
                                       "a,b",  "%FF",  "1",   "-",         "%3Cx%3E",
                                       "_x",   ",",    "x:y", "dogs,nope*"};
    static const char *const queries[] = {"",
                                          "?size=-5",
                                          "?scroll=1m",
                                          "?refresh=wait_for&routing=x",
                                          "?filter_path=**,-a.*,",
                                          "?h=*&s=index&v&bytes=k",
                                          "?expand_wildcards=open,none&ignore_unavailable",
                                          "?_source=a.*&_source_excludes=,&version=3"};
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "null",
        "\"x\"",
        "{\"a\":",
        "{\"query\":1}",
        "{\"query\":{\"match_all\":{}}}",
        "{\"docs\":[1,null,{}],\"ids\":[{}]}",
        "{\"actions\":[{\"add\":1},2,null]}",
        "{\"properties\":1,\"settings\":[],\"mappings\":null,\"aliases\":{\"x\":1}}",
        "{\"doc\":1,\"upsert\":null,\"_source\":{\"includes\":1}}",
        "{\"scroll_id\":[1,null]}",
        "{}\n{}\n",
        "{\"index\":{\"_id\":null,\"_index\":1}}\n1\n",
        "{\"delete\":null}\n",
        "{\"sort\":[{}],\"knn\":[null],\"size\":\"many\",\"from\":1e99}",
        "{\"index\":[null,1]}\n{\"knn\":{}}\n"};
    struct world *w = *state;
    uint64_t seed = 7;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < vz_route_count * 40; i++) {
        const struct vz_route *route = &vz_routes[i % vz_route_count];
        static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD"};
        const char *method = methods[vz_rng_next(&seed) % 5];
        const char *query = queries[vz_rng_next(&seed) % VZ_COUNT_OF(queries)];
        const char *body = bodies[vz_rng_next(&seed) % VZ_COUNT_OF(bodies)];
        char path[512];
        size_t len = 0;
        for (const char *at = route->path; *at; at++) {
            if (*at == '{') {
                const char *arg = args[vz_rng_next(&seed) % VZ_COUNT_OF(args)];
                len += (size_t)snprintf(path + len, sizeof path - len, "%s", arg);
                at = strchr(at, '}');
            } else {
                path[len++] = *at;
            }
        }
        snprintf(path + len, sizeof path - len, "%s", query);
        struct vz_buf answer = {0};
        int status = call(w, method, path, body, &answer);
        bool is_text = strstr(path, "/_cat") || strstr(path, "/metrics");
        struct vz_json_doc *doc = NULL;
        struct vz_json root;
        bool is_json = vz_json_parse(vz_buf_slice(&answer), &doc, &root, NULL) == VZ_OK;
        vz_json_free(doc);
        if (status < 200 || status >= 500 || (!is_json && !is_text && strcmp(method, "HEAD") != 0))
            fail_msg("%s %s [%s]: %d %.300s", method, path, body, status,
                     answer.data ? answer.data : "");
        vz_buf_deinit(&answer);
        if (i % 200 == 0)
            call(w, "DELETE", "/_search/scroll/_all", NULL, NULL);
    }
    expect(w, "GET", "/", NULL, 200, "You Know");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_names_win),
        cmocka_unit_test(arguments_in_order),
        cmocka_unit_test(no_route_and_wrong_method),
        cmocka_unit_test(every_template_is_found),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(times),
        cmocka_unit_test_setup_teardown(parameters, world_open, world_close),
        cmocka_unit_test_setup_teardown(paths, world_open, world_close),
        cmocka_unit_test_setup_teardown(nonsense, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
