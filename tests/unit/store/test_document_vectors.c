/* Vectors of documents: cut out of the source, checked, made as long as their similarity wants. */
#include "document_support.h"

static void expect_cut(const struct vz_mapping *m, const char *text, const char *cut,
                       size_t vectors)
{
    struct parsed p = parse(m, text);
    char *want = json_text(cut);
    if (p.status != VZ_OK)
        fail_msg("%s: %s", text, p.err.text);
    if (!vz_slice_is(p.doc.source, want))
        fail_msg("%s\n  cut to %.*s\n  want   %s", text, (int)p.doc.source.len, p.doc.source.ptr,
                 want);
    assert_int_equal(p.doc.vector_count, vectors);
    for (size_t i = 0; i < p.doc.vector_count; i++) {
        const struct vz_doc_vector *v = &p.doc.vectors[i];
        assert_true(v->offset + 4 <= p.doc.source.len);
        assert_memory_equal(p.doc.source.ptr + v->offset, "null", 4);
        assert_true(i == 0 || v->offset > p.doc.vectors[i - 1].offset);
        assert_int_equal(v->dims, vz_mapping_field(m, v->field)->dims);
    }
    free(want);
    done(&p);
}

static void cut_sources(void **state)
{
    struct vz_mapping *m = mapping_of(vector_types);
    (void)state;
    expect_cut(m, "{'c':[1,0,0]}", "{'c':null}", 1);
    expect_cut(m, "{ 'k' : 'a]\\\"[' , 'c' : [ 1 , 0 , 0 ] , 'z':null }",
               "{ 'k' : 'a]\\\"[' , 'c' : null , 'z':null }", 1);
    expect_cut(m, "{'c':[1,0,0],'k':'\\\\','d':[0,1,0],'l':[5,6,7],'m':[8,9,1]}",
               "{'c':null,'k':'\\\\','d':null,'l':null,'m':null}", 4);
    expect_cut(m, "{'c':null,'off':[1,2,3],'k':[null]}", "{'c':null,'off':[1,2,3],'k':[null]}", 0);
    expect_cut(m, "{'o':[{'c':[1,2]},{'k':1}],'o.x':3}", "{'o':[{'c':null},{'k':1}],'o.x':3}", 1);
    expect_cut(m, "{'o.c':[1,2]}", "{'o.c':null}", 1);
    expect_cut(m, "{'n':[{'c':[1,2],'t':'a'},{'t':'b','c':[3,4]},{'c':null},[{'c':[5,6]}]]}",
               "{'n':[{'c':null,'t':'a'},{'t':'b','c':null},{'c':null},[{'c':null}]]}", 3);
    expect_values(m, "{'off':[1,2,3]}", "off=yes");
    struct parsed p = parse(m, "{'c':[1,0,0],'k':'x','l':[0,0,0],'n':{'c':[1,2]}}");
    struct vz_buf out = {0};
    assert_int_equal(p.status, VZ_OK);
    describe(m, &p.doc, &out);
    assert_string_equal(out.data, "k=x c=yes l=yes");
    vz_buf_deinit(&out);
    done(&p);
    vz_mapping_release(m);
}

static void lengths(void **state)
{
    struct vz_mapping *m = mapping_of(vector_types);
    (void)state;
    struct parsed p = parse(m, "{'c':[3,0,4],'d':[0.6,0.8,0],'l':[3,0,4],'m':[3,0,4]}");
    assert_int_equal(p.status, VZ_OK);
    assert_int_equal(p.doc.vector_count, 4);
    static const float want[4][3] = {{0.6f, 0, 0.8f}, {0.6f, 0.8f, 0}, {3, 0, 4}, {3, 0, 4}};
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(p.doc.vectors[i].floats, want[i], sizeof want[i]);
    assert_non_null(p.doc.vectors[0].raw);
    assert_true(p.doc.vectors[0].raw[0] == 3 && p.doc.vectors[0].raw[2] == 4);
    for (size_t i = 1; i < 4; i++)
        assert_null(p.doc.vectors[i].raw);
    done(&p);
    /* Unit length already: kept bit for bit. */
    p = parse(m, "{'c':[0.6,0.8,0.0001]}");
    assert_int_equal(p.status, VZ_OK);
    assert_null(p.doc.vectors[0].raw);
    assert_true(p.doc.vectors[0].floats[2] == 0.0001f);
    done(&p);
    p = parse(m, "{'c':[1e-20,0,0]}"); /* its square is no float */
    assert_int_equal(p.status, VZ_OK);
    assert_true(p.doc.vectors[0].floats[0] == 1);
    done(&p);
    vz_mapping_release(m);
}

static void long_vectors_become_unit_length(void **state)
{
    uint64_t seed = 20261120;
    struct vz_mapping *m = mapping_of("{'properties':{'v':{'type':'dense_vector','dims':517}}}");
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 50; round++) {
        struct vz_buf text = {0};
        float given[517];
        vz_buf_append_str(&text, "{'v':");
        for (size_t i = 0; i < 517; i++) {
            given[i] = (float)vz_rng_normal(&seed) * (round % 2 ? 1 : 1e6f);
            vz_buf_printf(&text, "%c%.9g", i ? ',' : '[', (double)given[i]);
        }
        vz_buf_append_str(&text, "]}");
        struct parsed p = parse(m, text.data);
        assert_int_equal(p.status, VZ_OK);
        assert_memory_equal(p.doc.vectors[0].raw, given, sizeof given);
        double norm = 0, dot = 0, own = 0;
        for (size_t i = 0; i < 517; i++) {
            double x = p.doc.vectors[0].floats[i];
            norm += x * x;
            dot += x * (double)given[i];
            own += (double)given[i] * (double)given[i];
        }
        assert_true(fabs(norm - 1) < 1e-6);
        assert_true(fabs(dot / sqrt(own) - 1) < 1e-6);
        vz_buf_deinit(&text);
        done(&p);
    }
    vz_mapping_release(m);
}

static void vector_errors(void **state)
{
    static const char *const cases[][2] = {
        {"{'c':[1,2]}", "[1:6] failed to parse: The [dense_vector] field [c] in doc [document with "
                        "id '7'] has a different number of dimensions [2] than defined in the "
                        "mapping [3]"},
        {"{'c':[1,2,3,4]}", "number of dimensions [4] than defined in the mapping [3]"},
        {"{'c':[]}", "number of dimensions [0] than defined in the mapping [3]"},
        {"{'c':[0,0,0]}", "field [c]: The [cosine] similarity does not support vectors with zero "
                          "magnitude. Preview of invalid vector: [0.0, 0.0, 0.0]"},
        {"{'d':[1,2,0.5]}", "field [d]: The [dot_product] similarity can only be used with "
                            "unit-length vectors. Preview of invalid vector: [1.0, 2.0, 0.5]"},
        {"{'l':[1e30,1,1]}", "NaN or Infinite magnitude detected"},
        {"{'c':[1,1e39,1]}", "field [c]"},
        {"{'c':['1',2,3]}", "field [c]"},
        {"{'c':[1,null,3]}", "field [c]"},
        {"{'c':[1,[2],3]}", "field [c]"},
        {"{'c':[[1,2,3]]}", "field [c]"},
        {"{'c':[{'a':1},2,3]}", "field [c]"},
        {"{'c':'x'}", "The [dense_vector] field [c] must be a valid base64 or hex string"},
        {"{'c':5}", "got number"},
        {"{'c':{'a':1}}", "got object"},
        {"{'c':true}", "got boolean"},
        {"{'o':[{'c':[1,2]},{'c':[3,4]}]}", "Field [o.c] of type [dense_vector] doesn't support "
                                            "indexing multiple values for the same field in the "
                                            "same document"},
        {"{'o.c':[1,2],'o':{'c':[1,2]}}", "doesn't support indexing multiple values"},
        {"{'n':[{'c':[1,2]},{'c':[0,0]}]}", "field [n.c]: The [cosine] similarity"},
    };
    struct vz_mapping *m = mapping_of(vector_types);
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        expect_error(m, cases[i][0], VZ_BAD_DOCUMENT, cases[i][1], NULL);
    struct parsed p = parse(m, "{'c':[1,1e39,1]}");
    assert_non_null(strstr(p.err.text, "1")); /* the element's position */
    done(&p);
    vz_mapping_release(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_sources),
        cmocka_unit_test(lengths),
        cmocka_unit_test(long_vectors_become_unit_length),
        cmocka_unit_test(vector_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
