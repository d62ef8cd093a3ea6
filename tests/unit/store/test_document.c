/* smoke */
#include "store/document.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
static void smoke(void **state)
{
    (void)state;
    struct vz_error err = {0};
    struct vz_json_doc *jd; struct vz_json root;
    const char *m = "{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":3},\"breed\":{\"type\":\"keyword\"},\"price\":{\"type\":\"float\"},\"exif\":{\"properties\":{\"date\":{\"type\":\"date\"},\"location\":{\"type\":\"geo_point\"}}}}}";
    struct vz_mapping *map;
    assert_int_equal(vz_json_parse(vz_slice_from(m), &jd, &root, &err), VZ_OK);
    enum vz_status st = vz_mapping_merge(NULL, root, &map, &err);
    print_message("%s\n", err.text);
    assert_int_equal(st, VZ_OK);
    vz_json_free(jd);
    struct vz_buf out = {0};
    vz_mapping_print(map, &out); print_message("%s\n", out.data);
    vz_buf_clear(&out); vz_mapping_save(map, &out); print_message("%s\n", out.data);
    struct vz_mapping *map2;
    assert_int_equal(vz_mapping_load(vz_buf_slice(&out), &map2, &err), VZ_OK);
    vz_mapping_release(map2);
    struct vz_arena arena = {0};
    struct vz_document doc;
    const char *d = "{\"breed\" : [\"a\",\"b\\n\"], \"v\":[1, 2,3 ] , \"price\":\"1.5\",\"exif\":{\"date\":\"2024-01-02\",\"location\":{\"lat\":1,\"lon\":2}},\"name\":\"Luigi\",\"a.b\":3}";
    st = vz_document_parse(map, VZ_SLICE("1"), vz_slice_from(d), &arena, &doc, &err);
    print_message("%s|%.*s|%.*s %zu %zu\n", err.text, (int)doc.source.len, doc.source.ptr, (int)doc.new_fields.len, doc.new_fields.ptr, doc.value_count, doc.vector_count);
    assert_int_equal(st, VZ_OK);
    vz_arena_deinit(&arena);
    vz_buf_deinit(&out);
    vz_mapping_release(map);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(smoke)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
