/* Fields that a document brings: which type they get, where none may come, how many. */
#include "document_support.h"

#include <time.h>

#define STRING_FIELD "{'type':'text','fields':{'keyword':{'type':'keyword','ignore_above':256}}}"

static void dynamic_fields(void **state)
{
    static const char *const cases[][2] = {
        {"{'a':'x'}", "{'properties':{'a':" STRING_FIELD "}}"},
        {"{'a':1}", "{'properties':{'a':{'type':'long'}}}"},
        {"{'a':1.5}", "{'properties':{'a':{'type':'float'}}}"},
        {"{'a':true}", "{'properties':{'a':{'type':'boolean'}}}"},
        {"{'a':null}", ""},
        {"{'a':[]}", ""},
        {"{'a':[null]}", ""},
        {"{'a':[[],[null]]}", ""},
        {"{'a':[null,1]}", "{'properties':{'a':{'type':'long'}}}"},
        {"{'a':[1,2.5,'3']}", "{'properties':{'a':{'type':'long'}}}"},
        {"{'a':'2024-05-06'}", "{'properties':{'a':{'type':'date'}}}"},
        {"{'a':'2024-05-06T01:02:03.5Z'}", "{'properties':{'a':{'type':'date'}}}"},
        {"{'a':'2024/05/06 07:08:09'}",
         "{'properties':{'a':{'type':'date','format':'yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||"
         "epoch_millis'}}}"},
        {"{'a':'2024'}", "{'properties':{'a':" STRING_FIELD "}}"},
        {"{'a':'a-b'}", "{'properties':{'a':" STRING_FIELD "}}"},
        {"{'a':'12'}", "{'properties':{'a':" STRING_FIELD "}}"},
        {"{'a':{'b':{'c':1},'d':'x'}}",
         "{'properties':{'a.b.c':{'type':'long'},'a.d':" STRING_FIELD "}}"},
        {"{'a':{}}", "{'properties':{'a':{'type':'object'}}}"},
        {"{'a':[{'b':1},{'b':'x2','c':2}]}", NULL},
        {"{'a':[{'b':1},{'c':2}]}", "{'properties':{'a.b':{'type':'long'},'a.c':{'type':'long'}}}"},
        {"{'a.b':1,'a.c':2}", "{'properties':{'a.b':{'type':'long'},'a.c':{'type':'long'}}}"},
        {"{'o':{'y':1}}", "{'properties':{'o.y':{'type':'long'}}}"},
        {"{'o.y.z':1}", "{'properties':{'o.y.z':{'type':'long'}}}"},
        {"{'n':[{'y':1}]}", "{'properties':{'n.y':{'type':'long'}}}"},
        {"{'k':'known'}", ""},
        {"{'a':{'b':null}}", "{'properties':{'a':{'type':'object'}}}"},
        {"{'e\\u0301':1}", "{'properties':{'e\xCC\x81':{'type':'long'}}}"},
        {"{'q\\\"q':1}", "{'properties':{'q\\'q':{'type':'long'}}}"},
    };
    struct vz_mapping *m = mapping_of(
        "{'properties':{'k':{'type':'keyword'},'o':{'properties':{'x':{'type':'long'}}},'n':"
        "{'type':'nested'}}}");
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        if (cases[i][1])
            expect_new_fields(m, cases[i][0], cases[i][1]);
    }
    vz_mapping_release(m);
    m = mapping_of("{'date_detection':false,'numeric_detection':true}");
    expect_new_fields(m, "{'a':'2024-05-06','b':'12','c':'1.5','d':'-'}",
                      "{'properties':{'a':" STRING_FIELD ",'b':{'type':'long'},'c':{'type':"
                      "'float'},'d':" STRING_FIELD "}}");
    vz_mapping_release(m);
}

static void dynamic_off_and_strict(void **state)
{
    struct vz_mapping *m = mapping_of(
        "{'dynamic':'strict','properties':{'l':{'type':'long'},'o':{'dynamic':'true','properties':"
        "{'x':{'type':'long'}}},'f':{'dynamic':false,'properties':{'x':{'type':'long'},'p':{"
        "'dynamic':'strict','properties':{}}}},'i':{'properties':{'x':{'type':'long'}}}}}");
    (void)state;
    expect_error(m, "{'x':1}", VZ_STRICT_MAPPING,
                 "[1:6] mapping set to strict, dynamic introduction of [x] within [_doc] is not "
                 "allowed",
                 NULL);
    expect_error(m, "{'x':null}", VZ_STRICT_MAPPING, "introduction of [x] within [_doc]", NULL);
    expect_error(m, "{'x':{'y':1}}", VZ_STRICT_MAPPING, "introduction of [x] within [_doc]", NULL);
    expect_error(m, "{'x.y':1}", VZ_STRICT_MAPPING, "introduction of [x] within [_doc]", NULL);
    expect_error(m, "{'i':{'y':1}}", VZ_STRICT_MAPPING, "introduction of [y] within [i]", NULL);
    expect_error(m, "{'i.y':1}", VZ_STRICT_MAPPING, "introduction of [y] within [i]", NULL);
    expect_error(m, "{'f':{'p':{'y':1}}}", VZ_STRICT_MAPPING, "introduction of [y] within [f.p]",
                 NULL);
    expect_values(m, "{'f':{'y':1,'z':{'a':[{'b':'x]}'}]},'x':2},'l':3}", "l=3 f.x=2");
    expect_values(m, "{'f.y':1,'f.z.a':'q','f.x':2}", "f.x=2");
    expect_new_fields(m, "{'o':{'y':1}}", "{'properties':{'o.y':{'type':'long'}}}");
    vz_mapping_release(m);
}

static void float_array(struct vz_buf *out, size_t count, bool decimals)
{
    vz_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++)
        vz_buf_printf(out, decimals ? "%s%zu.5" : "%s%zu", i ? "," : "", i);
    vz_buf_append_char(out, ']');
}

static void dynamic_vectors(void **state)
{
    static const struct {
        size_t count;
        bool decimals;
        const char *definition;
    } cases[] = {
        {127, true, "{'type':'float'}"},
        {128, true, "{'type':'dense_vector','dims':128}"},
        {4096, true, "{'type':'dense_vector','dims':4096}"},
        {4097, true, "{'type':'float'}"},
        {128, false, "{'type':'long'}"},
    };
    struct vz_mapping *m = vz_mapping_new();
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_buf text = {0}, want = {0};
        vz_buf_append_str(&text, "{'a':{'v':");
        float_array(&text, cases[i].count, cases[i].decimals);
        vz_buf_append_str(&text, "}}");
        vz_buf_printf(&want, "{'properties':{'a.v':%s}}", cases[i].definition);
        expect_new_fields(m, text.data, want.data);
        vz_buf_deinit(&text);
        vz_buf_deinit(&want);
    }
    vz_mapping_release(m);
}

static void the_first_vector_sets_the_dims(void **state)
{
    struct vz_mapping *m = mapping_of(
        "{'properties':{'o':{'properties':{'v':{'type':'dense_vector','similarity':'l2_norm',"
        "'index_options':{'type':'hnsw','m':8,'ef_construction':50},'meta':{'model':'eye'}}}},"
        "'n':{'type':'nested','properties':{'v':{'type':'dense_vector','index':false}}}}}");
    (void)state;
    expect_new_fields(m, "{'o':{'v':[1,2,3]}}",
                      "{'properties':{'o.v':{'type':'dense_vector','dims':3,'index':true,"
                      "'similarity':'l2_norm','index_options':{'type':'hnsw','m':8,"
                      "'ef_construction':50},'meta':{'model':'eye'}}}}");
    expect_new_fields(m, "{'n':[{'v':[1,2]},{'v':[3,4]}]}",
                      "{'properties':{'n.v':{'type':'dense_vector','dims':2,'index':false}}}");
    expect_error(m, "{'o':{'v':[]}}", VZ_BAD_DOCUMENT,
                 "The number of dimensions of field [o.v] should be in the range [1, 4096] but was "
                 "[0]",
                 NULL);
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{'o':{'v':");
    float_array(&text, 4097, true);
    vz_buf_append_str(&text, "}}");
    expect_error(m, text.data, VZ_BAD_DOCUMENT, "in the range [1, 4096] but was [4097]", NULL);
    vz_buf_deinit(&text);
    vz_mapping_release(m);
}

static void a_document_with_too_many_new_fields(void **state)
{
    struct vz_mapping *m = vz_mapping_new();
    struct vz_buf text = {0};
    (void)state;
    vz_buf_append_char(&text, '{');
    for (int i = 0; i < 50000; i++)
        vz_buf_printf(&text, "%s'k%d':%d", i ? "," : "", i, i);
    vz_buf_append_char(&text, '}');
    expect_error(m, text.data, VZ_LIMIT, "Limit of total fields [1000] has been exceeded", NULL);
    vz_buf_deinit(&text);
    vz_mapping_release(m);
}

/* One long name with many objects in it: their product would be terabytes. */
static void long_names(void **state)
{
    struct vz_mapping *m = vz_mapping_new();
    (void)state;
    for (int len = 2000; len <= 200000; len *= 100) {
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "{'");
        for (int i = 0; i < len; i++)
            vz_buf_append_char(&text, 'x');
        vz_buf_append_str(&text, "':[{}");
        for (int i = 0; i < 100000; i++)
            vz_buf_append_str(&text, i % 2 ? ",{'a':1}" : ",{}");
        vz_buf_append_str(&text, "]}");
        clock_t start = clock();
        struct parsed p = parse(m, text.data);
        assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
        assert_int_equal(p.status, len > 2048 ? VZ_BAD_DOCUMENT : VZ_OK);
        assert_true(p.arena.total_bytes < 100000);
        done(&p);
        vz_buf_deinit(&text);
    }
    vz_mapping_release(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dynamic_fields),
        cmocka_unit_test(dynamic_off_and_strict),
        cmocka_unit_test(dynamic_vectors),
        cmocka_unit_test(the_first_vector_sets_the_dims),
        cmocka_unit_test(a_document_with_too_many_new_fields),
        cmocka_unit_test(long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
