/* The one table of statuses, types and words. */
#include "support.h"

static const char *told(const struct vz_error *err, enum vz_place place, const char *body,
                        int *status)
{
    static char text[2048];
    struct vz_arena arena = {0};
    struct vz_problem problem;
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_problem_from(&arena, err, place, vz_slice_from(body), VZ_SLICE("dogs"), "uuid", &problem);
    vz_problem_print_full(&problem, false, &w);
    *status = problem.status;
    snprintf(text, sizeof text, "%s", out.data);
    vz_buf_deinit(&out);
    vz_arena_deinit(&arena);
    return text;
}

static void statuses_and_types(void **state)
{
    static const struct {
        enum vz_status status;
        enum vz_place place;
        const char *text;
        int http;
        const char *part;
    } cases[] = {
        {VZ_BAD_ARGUMENT, VZ_AT_REQUEST, "no", 400, "\"type\":\"illegal_argument_exception\""},
        {VZ_BAD_DOCUMENT, VZ_AT_DOCUMENT, "no", 400, "\"type\":\"document_parsing_exception\""},
        {VZ_STRICT_MAPPING, VZ_AT_DOCUMENT, "no", 400, "strict_dynamic_mapping_exception"},
        {VZ_BAD_MAPPING, VZ_AT_MAPPING, "no", 400, "\"reason\":\"Failed to parse mapping: no\""},
        {VZ_BAD_MAPPING, VZ_AT_PUT_MAPPING, "mapper [a] cannot be changed from type [b] to [c]",
         400, "illegal_argument_exception"},
        {VZ_BAD_MAPPING, VZ_AT_SETTINGS, "unknown setting [x]", 400, "illegal_argument_exception"},
        {VZ_BAD_NAME, VZ_AT_REQUEST, "no", 400, "invalid_index_name_exception"},
        {VZ_BAD_QUERY, VZ_AT_SEARCH, "[knn] unknown field [x]", 400, "x_content_parse_exception"},
        {VZ_BAD_QUERY, VZ_AT_SEARCH, "unknown query [x]", 400, "named_object_not_found_exception"},
        {VZ_BAD_QUERY, VZ_AT_SHARD, "no", 400,
         "\"failed_shards\":[{\"shard\":0,\"index\":\"dogs\""},
        {VZ_LIMIT, VZ_AT_SHARD, "Result window", 400, "search_phase_execution_exception"},
        {VZ_UNSUPPORTED, VZ_AT_SEARCH, "no", 400, "unsupported_operation_exception"},
        {VZ_NO_INDEX, VZ_AT_REQUEST, "no such index [dogs]", 404,
         "\"resource.type\":\"index_or_alias\",\"resource.id\":\"dogs\",\"index_uuid\":\"_na_\""},
        {VZ_NOT_FOUND, VZ_AT_DOCUMENT, "[1]: document missing", 404, "document_missing_exception"},
        {VZ_EXISTS, VZ_AT_REQUEST, "no", 400, "resource_already_exists_exception"},
        {VZ_CONFLICT, VZ_AT_DOCUMENT, "no", 409,
         "\"index_uuid\":\"uuid\",\"shard\":\"0\",\"index\":\"dogs\""},
        {VZ_BUDGET, VZ_AT_REQUEST, "no", 429, "circuit_breaking_exception"},
        {VZ_BUDGET, VZ_AT_REQUEST, "no", 429, "\"durability\":\"TRANSIENT\""},
        {VZ_BUSY, VZ_AT_REQUEST, "no", 429, "es_rejected_execution_exception"},
        {VZ_DISK_FULL, VZ_AT_REQUEST, "no space", 429,
         "index [dogs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage"},
        {VZ_READ_ONLY, VZ_AT_REQUEST, "read-only", 503, "cluster_block_exception"},
        {VZ_READ_ONLY, VZ_AT_REQUEST, "index [dogs] blocked by: [FORBIDDEN/8/index write (api)];",
         403, "cluster_block_exception"},
        {VZ_IO, VZ_AT_REQUEST, "no", 500, "i_o_exception"},
        {VZ_CORRUPT, VZ_AT_REQUEST, "no", 500, "corrupt_index_exception"},
        {VZ_INTERNAL, VZ_AT_REQUEST, "no", 500, "illegal_state_exception"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_error err = {0};
        int status;
        vz_fail(&err, cases[i].status, "%s", cases[i].text);
        const char *text = told(&err, cases[i].place, "", &status);
        if (status != cases[i].http || !strstr(text, cases[i].part))
            fail_msg("%s: %d, wanted %d and [%s]: %s", vz_status_name(cases[i].status), status,
                     cases[i].http, cases[i].part, text);
    }
}

/* Whatever the rooms may ever return has a status and a type. */
static void every_status_is_told(void **state)
{
    for (int status = VZ_BAD_ARGUMENT; status <= VZ_INTERNAL; status++) {
        for (int place = VZ_AT_REQUEST; place <= VZ_AT_SHARD; place++) {
            struct vz_error err = {0};
            int http;
            vz_fail_at(&err, (enum vz_status)status, 3, "text with \"quotes\" and \\");
            const char *text = told(&err, (enum vz_place)place, "{\"a\":1}", &http);
            assert_true(http >= 400 && http < 600);
            struct vz_json_doc *doc;
            struct vz_json root, value;
            assert_int_equal(vz_json_parse(vz_slice_from(text), &doc, &root, NULL), VZ_OK);
            assert_true(vz_json_get(root, "root_cause", &value) && vz_json_count(value) == 1);
            assert_true(vz_json_get(root, "type", &value) && vz_json_string(value).len > 0);
            assert_true(vz_json_get(root, "reason", &value) && vz_json_string(value).len > 0);
            vz_json_free(doc);
        }
    }
}

static void places(void **state)
{
    struct vz_error err = {0};
    int status;
    unsigned line, column;
    vz_place_of(VZ_SLICE("{\n \"a\" 1}"), 7, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 6);
    vz_place_of(VZ_SLICE("ab"), 100, &line, &column);
    assert_int_equal(column, 3);
    vz_fail_at(&err, VZ_BAD_JSON, 7, "unexpected");
    assert_non_null(strstr(told(&err, VZ_AT_BODY, "{\n \"a\" 1}", &status), "[2:6] unexpected"));
    const char *text = told(&err, VZ_AT_DOCUMENT, "{\n \"a\" 1}", &status);
    assert_non_null(strstr(text, "\"reason\":\"[2:6] failed to parse\""));
    assert_non_null(strstr(text, "\"caused_by\":{\"type\":\"x_content_parse_exception\""));
    text = told(&err, VZ_AT_MAP_BODY, "{\n \"a\" 1}", &status);
    assert_non_null(strstr(text, "Failed to parse content to map"));
    vz_fail_at(&err, VZ_BAD_JSON, 9, "end");
    assert_non_null(strstr(told(&err, VZ_AT_BODY, "{\n \"a\" 1}", &status), "e_o_f"));
}

static void rejections(void **state)
{
    static const struct {
        int status;
        const char *type;
    } cases[] = {{413, "content_too_long_exception"},
                 {429, "es_rejected_execution_exception"},
                 {400, "illegal_argument_exception"},
                 {503, "illegal_state_exception"}};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_http_response response = {0};
        vz_rest_reject(NULL, cases[i].status, "too \"much\"", &response);
        assert_int_equal(response.status, cases[i].status);
        assert_non_null(strstr(response.body.data, cases[i].type));
        assert_non_null(strstr(response.body.data, "too \\\"much\\\""));
        vz_buf_deinit(&response.body);
        vz_arena_deinit(&response.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_and_types),
        cmocka_unit_test(every_status_is_told),
        cmocka_unit_test(places),
        cmocka_unit_test(rejections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
