/* Mappings: what is taken and printed back, merges and their conflicts, limits, disk, names. */
#include "base/clock.h"
#include "base/text.h"
#include "store/mapping.h"
#include "store/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Merges text (with ' for ") into base; NULL on an error. */
static struct vz_mapping *merge(const struct vz_mapping *base, const char *text,
                                struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_mapping *out = NULL;
    char *json = vz_strdup(text);
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    *err = (struct vz_error){0};
    if (vz_json_parse(vz_slice_from(json), &doc, &root, err) != VZ_OK)
        fail_msg("test JSON: %s in %s", err->text, json);
    enum vz_status status = vz_mapping_merge(base, root, &out, err);
    assert_true((status == VZ_OK) == (out != NULL));
    vz_json_free(doc);
    free(json);
    return out;
}

static struct vz_mapping *must_merge(const struct vz_mapping *base, const char *text)
{
    struct vz_error err;
    struct vz_mapping *mapping = merge(base, text, &err);
    if (!mapping)
        fail_msg("%s: %s: %s", text, vz_status_name(err.status), err.text);
    return mapping;
}

static void must_fail(const struct vz_mapping *base, const char *text, enum vz_status status,
                      const char *message)
{
    struct vz_error err;
    struct vz_mapping *mapping = merge(base, text, &err);
    if (mapping)
        fail_msg("was taken: %s", text);
    if (err.status != status || !strstr(err.text, message))
        fail_msg("%s\n  gave %s: %s\n  want %s: %s", text, vz_status_name(err.status), err.text,
                 vz_status_name(status), message);
}

static void expect_print(const struct vz_mapping *mapping, const char *text)
{
    struct vz_buf out = {0};
    char *want = vz_strdup(text);
    for (char *p = want; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    vz_mapping_print(mapping, &out);
    assert_string_equal(out.data, want);
    free(want);
    vz_buf_deinit(&out);
}

/* Saved and loaded it is the same, ids included. */
static void expect_same_from_disk(const struct vz_mapping *mapping)
{
    struct vz_buf saved = {0}, again = {0}, printed = {0}, reprinted = {0};
    struct vz_mapping *loaded;
    struct vz_error err = {0};
    vz_mapping_save(mapping, &saved);
    if (vz_mapping_load(vz_buf_slice(&saved), &loaded, &err) != VZ_OK)
        fail_msg("load: %s of %s", err.text, saved.data);
    vz_mapping_save(loaded, &again);
    assert_string_equal(again.data, saved.data);
    vz_mapping_print(mapping, &printed);
    vz_mapping_print(loaded, &reprinted);
    assert_string_equal(reprinted.data, printed.data);
    assert_int_equal(vz_mapping_count(loaded), vz_mapping_count(mapping));
    for (size_t i = 0; i < vz_mapping_count(mapping); i++) {
        const struct vz_field *a = vz_mapping_field(mapping, (uint16_t)i);
        const struct vz_field *b = vz_mapping_field(loaded, (uint16_t)i);
        assert_true(vz_slice_eq(a->path, b->path) && vz_slice_eq(a->name, b->name));
        assert_true(a->type == b->type && a->column == b->column && a->parent == b->parent);
        assert_true(a->is_multi_field == b->is_multi_field && a->under_nested == b->under_nested);
        assert_true(a->indexed == b->indexed && a->enabled == b->enabled);
        assert_true(a->ignore_malformed == b->ignore_malformed);
        assert_true(a->ignore_above == b->ignore_above && a->dynamic == b->dynamic);
        assert_true(vz_slice_eq(a->null_value, b->null_value));
        assert_true(vz_slice_eq(a->format, b->format) && a->alias_of == b->alias_of);
        assert_true(a->dims == b->dims && a->similarity == b->similarity && a->m == b->m);
        assert_true(a->ef_construction == b->ef_construction && a->flat == b->flat);
        assert_true(vz_slice_eq(a->index_type, b->index_type) && vz_slice_eq(a->model, b->model));
    }
    vz_mapping_release(loaded);
    vz_buf_deinit(&saved);
    vz_buf_deinit(&again);
    vz_buf_deinit(&printed);
    vz_buf_deinit(&reprinted);
}

/* ---- the tutorial's mapping --------------------------------------------------------------- */

static void the_tutorials_mapping(void **state)
{
    (void)state;
    struct vz_mapping *m = must_merge(
        NULL, "{'properties':{'dog_id':{'type':'keyword'},'breed':{'type':'keyword'},"
              "'image_path':{'type':'keyword'},'owner_name':{'type':'keyword'},"
              "'exif':{'properties':{'location':{'type':'geo_point'},'date':{'type':'date'}}},"
              "'image_embedding':{'type':'dense_vector','dims':512,'index':true,"
              "'similarity':'cosine'}}}");
    expect_print(m,
                 "{'properties':{'breed':{'type':'keyword'},'dog_id':{'type':'keyword'},"
                 "'exif':{'properties':{'date':{'type':'date'},'location':{'type':'geo_point'}}},"
                 "'image_embedding':{'type':'dense_vector','dims':512,'index':true,"
                 "'similarity':'cosine','index_options':{'type':'int8_hnsw','m':16,"
                 "'ef_construction':100}},'image_path':{'type':'keyword'},"
                 "'owner_name':{'type':'keyword'}}}");
    assert_int_equal(vz_mapping_count(m), 8);
    const struct vz_field *f = vz_mapping_find(m, VZ_SLICE("image_embedding"));
    assert_non_null(f);
    assert_int_equal(f->dims, 512);
    assert_int_equal(f->similarity, VZ_COSINE);
    assert_int_equal(f->column, VZ_COLUMN_PRESENCE);
    assert_false(f->flat);
    f = vz_mapping_find(m, VZ_SLICE("exif.date"));
    assert_int_equal(f->type, VZ_FIELD_DATE);
    assert_int_equal(f->column, VZ_COLUMN_I64);
    assert_true(vz_slice_is(f->name, "date"));
    assert_true(vz_slice_is(vz_mapping_field(m, f->parent)->path, "exif"));
    assert_null(vz_mapping_find(m, VZ_SLICE("date")));
    assert_null(vz_mapping_find(m, VZ_SLICE("")));
    assert_null(vz_mapping_field(m, 8));
    expect_same_from_disk(m);
    vz_mapping_release(m);
}

static void an_empty_mapping(void **state)
{
    (void)state;
    struct vz_mapping *m = vz_mapping_new(), *same;
    expect_print(m, "{}");
    expect_same_from_disk(m);
    same = must_merge(m, "{}");
    expect_print(same, "{}");
    assert_int_equal(vz_mapping_root_dynamic(same), VZ_DYNAMIC_TRUE);
    vz_mapping_release(same);
    same = must_merge(m, "null");
    vz_mapping_release(same);
    same = must_merge(m, "{'properties':[]}");
    expect_print(same, "{}");
    vz_mapping_release(same);
    vz_mapping_release(vz_mapping_acquire(m));
    vz_mapping_release(m);
    vz_mapping_release(NULL);
}

static void everything_is_printed_back(void **state)
{
    (void)state;
    const char *text =
        "{'dynamic':'strict','_meta':{'eye':'built-in','n':[1,2.5,null]},'date_detection':false,"
        "'properties':{"
        "'a':{'type':'text','analyzer':'english','index':false,'meta':{'unit':'m'},"
        "'fields':{'raw':{'type':'keyword','ignore_above':256}}},"
        "'b':{'type':'date','format':'yyyy-MM-dd||epoch_millis','null_value':'1970-01-01'},"
        "'c':{'type':'long','coerce':false,'doc_values':false,'ignore_malformed':true},"
        "'d':{'type':'nested','dynamic':'false','properties':{'v':{'type':'dense_vector',"
        "'dims':4,'index':true,'similarity':'l2_norm','index_options':{'type':'hnsw','m':8,"
        "'ef_construction':50}}}},"
        "'e':{'type':'object','enabled':false},"
        "'f':{'type':'alias','path':'c'},"
        "'g':{'type':'boolean','null_value':true,'store':true},"
        "'h':{'type':'binary'},"
        "'i':{'type':'dense_vector','dims':3,'index':false},"
        "'j':{'type':'dense_vector','index':true,'similarity':'dot_product',"
        "'index_options':{'type':'int8_flat','confidence_interval':0.95}},"
        "'k':{'type':'dense_vector','dims':64,'index':true,'similarity':'max_inner_product',"
        "'index_options':{'type':'bbq_hnsw','m':16,'ef_construction':100,"
        "'rescore_vector':{'oversample':2.0}},'meta':{'model':'clip-vit-b-32'}},"
        "'l':{'type':'geo_point','ignore_malformed':true},"
        "'m':{'type':'unsigned_long'},'n':{'type':'half_float'},"
        "'o':{'dynamic':'strict','properties':{'p':{'type':'byte'}}}}}";
    struct vz_mapping *m = must_merge(NULL, text);
    expect_print(m, text);
    expect_same_from_disk(m);
    assert_int_equal(vz_mapping_root_dynamic(m), VZ_DYNAMIC_STRICT);
    const struct vz_field *f = vz_mapping_find(m, VZ_SLICE("f"));
    assert_true(vz_slice_is(f->path, "c")); /* the alias resolved */
    assert_true(f->ignore_malformed);
    f = vz_mapping_find(m, VZ_SLICE("a.raw"));
    assert_true(f->is_multi_field && f->ignore_above == 256);
    f = vz_mapping_find(m, VZ_SLICE("d.v"));
    assert_true(f->under_nested && f->m == 8 && f->ef_construction == 50);
    assert_true(vz_mapping_find(m, VZ_SLICE("j"))->flat);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("j"))->dims, 0);
    assert_true(vz_slice_is(vz_mapping_find(m, VZ_SLICE("k"))->model, "clip-vit-b-32"));
    assert_false(vz_mapping_find(m, VZ_SLICE("i"))->indexed);
    assert_false(vz_mapping_find(m, VZ_SLICE("e"))->enabled);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("e"))->dynamic, VZ_DYNAMIC_STRICT);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("d"))->dynamic, VZ_DYNAMIC_FALSE);
    /* A merge of nothing changes nothing. */
    struct vz_mapping *same = must_merge(m, "{}");
    expect_print(same, text);
    vz_mapping_release(m);
    expect_print(same, text);
    vz_mapping_release(same);
}

static void columns(void **state)
{
    static const struct {
        const char *type;
        enum vz_column_kind kind;
    } cases[] = {
        {"keyword", VZ_COLUMN_ORDINAL},   {"text", VZ_COLUMN_PRESENCE},
        {"long", VZ_COLUMN_I64},          {"integer", VZ_COLUMN_I64},
        {"short", VZ_COLUMN_I64},         {"byte", VZ_COLUMN_I64},
        {"unsigned_long", VZ_COLUMN_I64}, {"double", VZ_COLUMN_F64},
        {"float", VZ_COLUMN_F64},         {"half_float", VZ_COLUMN_F64},
        {"boolean", VZ_COLUMN_I64},       {"date", VZ_COLUMN_I64},
        {"geo_point", VZ_COLUMN_GEO},     {"dense_vector", VZ_COLUMN_PRESENCE},
        {"binary", VZ_COLUMN_NONE},       {"object", VZ_COLUMN_NONE},
        {"nested", VZ_COLUMN_NONE},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_buf text = {0};
        vz_buf_printf(&text, "{'properties':{'x':{'type':'%s'}}}", cases[i].type);
        struct vz_mapping *m = must_merge(NULL, text.data);
        assert_int_equal(vz_mapping_find(m, VZ_SLICE("x"))->column, cases[i].kind);
        vz_mapping_release(m);
        vz_buf_deinit(&text);
    }
    struct vz_mapping *m = must_merge(
        NULL, "{'properties':{'a':{'type':'long','index':false},'b':{'type':'long','doc_values':"
              "false},'c':{'type':'long','index':false,'doc_values':false}}}");
    assert_true(vz_mapping_find(m, VZ_SLICE("a"))->indexed);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("b"))->column, VZ_COLUMN_I64);
    assert_false(vz_mapping_find(m, VZ_SLICE("c"))->indexed);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("c"))->column, VZ_COLUMN_PRESENCE);
    vz_mapping_release(m);
}

static void dotted_names_make_objects(void **state)
{
    (void)state;
    struct vz_mapping *m = must_merge(NULL, "{'properties':{'a.b.c':{'type':'long'},'n':{'type':"
                                            "'nested'},'n.v':{'type':'float'}}}");
    expect_print(m, "{'properties':{'a':{'properties':{'b':{'properties':{'c':{'type':'long'}}}}},"
                    "'n':{'type':'nested','properties':{'v':{'type':'float'}}}}}");
    assert_true(vz_mapping_find(m, VZ_SLICE("n.v"))->under_nested);
    must_fail(m, "{'properties':{'a.b.c.d':{'type':'long'}}}", VZ_BAD_MAPPING,
              "can't merge a non object mapping [a.b.c] with an object mapping");
    vz_mapping_release(m);
}

/* ---- refused ------------------------------------------------------------------------------ */

static void bad_definitions(void **state)
{
    static const struct {
        const char *definition;
        enum vz_status status;
        const char *message;
    } cases[] = {
        {"{'type':'foo'}", VZ_BAD_MAPPING,
         "Failed to parse mapping: The mapper type [foo] declared on field [x] does not exist."},
        {"{'type':'ip_range'}", VZ_UNSUPPORTED,
         "field type [ip_range] of field [x] is not supported yet"},
        {"{'type':'scaled_float'}", VZ_BAD_MAPPING, "Field [scaling_factor] is required"},
        {"{'type':'scaled_float','scaling_factor':0}", VZ_BAD_MAPPING,
         "[scaling_factor] must be a positive number, got [0]"},
        {"{'type':'constant_keyword','value':[]}", VZ_BAD_MAPPING, "must be a number or a string"},
        {"{'type':'flattened','depth_limit':-1}", VZ_BAD_MAPPING,
         "[depth_limit] must be positive, got [-1]"},
        {"{'type':'flattened','fields':{'k':{'type':'keyword'}}}", VZ_UNSUPPORTED, "[fields]"},
        {"{'type':'ip','null_value':'x'}", VZ_BAD_MAPPING, "'x' is not an IP string literal."},
        {"{'type':7}", VZ_BAD_MAPPING, "The mapper type [] declared on field [x] does not exist"},
        {"{}", VZ_BAD_MAPPING, "No type specified for field [x]"},
        {"{'dims':3}", VZ_BAD_MAPPING, "No type specified for field [x]"},
        {"'keyword'", VZ_BAD_MAPPING, "Expected map for property [x] but got string"},
        {"{'type':'keyword','foo':1}", VZ_BAD_MAPPING,
         "unknown parameter [foo] on mapper [x] of type [keyword]"},
        {"{'type':'keyword','properties':{}}", VZ_BAD_MAPPING,
         "unknown parameter [properties] on mapper [x] of type [keyword]"},
        {"{'type':'keyword','ignore_above':null}", VZ_BAD_MAPPING,
         "[ignore_above] on mapper [x] of type [keyword] must not have a [null] value"},
        {"{'type':'keyword','ignore_above':-1}", VZ_BAD_MAPPING, "[ignore_above] must be positive"},
        {"{'type':'keyword','ignore_above':'many'}", VZ_BAD_MAPPING, "must be an integer"},
        {"{'type':'keyword','index':'maybe'}", VZ_BAD_MAPPING,
         "Could not convert [x.index] to boolean"},
        {"{'type':'keyword','normalizer':'nope'}", VZ_BAD_MAPPING,
         "normalizer [nope] not found for field"},
        {"{'type':'keyword','copy_to':7}", VZ_BAD_MAPPING, "[copy_to]"},
        {"{'type':'text','analyzer':'nope'}", VZ_BAD_MAPPING,
         "analyzer [nope] has not been configured in mappings"},
        {"{'type':'text','index_options':'all'}", VZ_BAD_MAPPING, "accepted values are"},
        {"{'type':'text','similarity':'his'}", VZ_BAD_MAPPING,
         "Unknown Similarity type [his] for field [x]"},
        {"{'type':'keyword','script':'emit(1)'}", VZ_UNSUPPORTED, "[script]"},
        {"{'type':'keyword','time_series_dimension':true}", VZ_UNSUPPORTED,
         "[time_series_dimension: true]"},
        {"{'type':'keyword','meta':[1]}", VZ_BAD_MAPPING, "[meta] must be an object"},
        {"{'type':'keyword','meta':{'a':1}}", VZ_BAD_MAPPING,
         "[meta] values can only be strings, but got number[a]"},
        {"{'type':'keyword','fields':{'a':{'type':'object'}}}", VZ_BAD_MAPPING,
         "Type [object] cannot be used in multi field"},
        {"{'type':'keyword','fields':{'a':{'type':'dense_vector'}}}", VZ_BAD_MAPPING,
         "Type [dense_vector] cannot be used in multi field"},
        {"{'type':'keyword','fields':{'a.b':{'type':'text'}}}", VZ_BAD_MAPPING,
         "Field name [a.b] which is a multi field of [x] cannot contain '.'"},
        {"{'type':'keyword','fields':{'a':{'type':'text','fields':{'b':{'type':'text'}}}}}",
         VZ_UNSUPPORTED, "within the multi-field [x.a]"},
        {"{'type':'date','format':'yyyy-jj'}", VZ_BAD_MAPPING, "Unknown pattern letter: j"},
        {"{'type':'date','format':'yyyy-Q'}", VZ_UNSUPPORTED, "pattern letter [Q]"},
        {"{'type':'long','null_value':'x'}", VZ_BAD_MAPPING,
         "Error parsing [null_value] on field [x]: For input string"},
        {"{'type':'byte','null_value':200}", VZ_BAD_MAPPING, "out of range for a byte"},
        {"{'type':'long','null_value':[1]}", VZ_BAD_MAPPING, "Error parsing [null_value]"},
        {"{'type':'geo_point','null_value':'91,0'}", VZ_BAD_MAPPING, "illegal latitude"},
        {"{'type':'date','null_value':'soon'}", VZ_BAD_MAPPING, "failed to parse date field"},
        {"{'type':'date','locale':'de'}", VZ_UNSUPPORTED, "[locale] of field [x]"},
        {"{'type':'geo_point','ignore_z_value':false}", VZ_UNSUPPORTED, "ignore_z_value"},
        {"{'type':'object','foo':1}", VZ_BAD_MAPPING,
         "Mapping definition for [x] has unsupported parameters:  [foo : 1]"},
        {"{'type':'object','dynamic':'runtime'}", VZ_UNSUPPORTED, "[dynamic: runtime] of [x]"},
        {"{'type':'object','dynamic':'often'}", VZ_BAD_MAPPING, "Could not convert [x.dynamic]"},
        {"{'type':'object','subobjects':false}", VZ_UNSUPPORTED, "[subobjects]"},
        {"{'type':'nested','include_in_root':7}", VZ_BAD_MAPPING, "to boolean"},
        {"{'type':'nested','enabled':false}", VZ_BAD_MAPPING, "unsupported parameters"},
        {"{'type':'object','properties':3}", VZ_BAD_MAPPING, "Expected map for property"},
        {"{'type':'alias'}", VZ_BAD_MAPPING, "The [path] property must be specified for field [x]"},
        {"{'type':'alias','path':'nowhere'}", VZ_BAD_MAPPING,
         "Invalid [path] value [nowhere] for field alias [x]: an alias must refer to an existing "
         "field in the mappings."},
        {"{'type':'alias','path':'x'}", VZ_BAD_MAPPING, "an alias cannot refer to itself"},
        {"{'type':'dense_vector','dims':0}", VZ_BAD_MAPPING,
         "The number of dimensions should be in the range [1, 4096] but was [0]"},
        {"{'type':'dense_vector','dims':4097}", VZ_BAD_MAPPING, "but was [4097]"},
        {"{'type':'dense_vector','dims':-1}", VZ_BAD_MAPPING, "but was [-1]"},
        {"{'type':'dense_vector','dims':'x'}", VZ_BAD_MAPPING, "[dims] of field [x]"},
        {"{'type':'dense_vector','dims':3,'similarity':'l1'}", VZ_BAD_MAPPING,
         "Unknown value [l1] for field [similarity]"},
        {"{'type':'dense_vector','dims':3,'index':false,'similarity':'cosine'}", VZ_BAD_MAPPING,
         "Field [similarity] can only be specified for a field of type [dense_vector] when it is "
         "indexed"},
        {"{'type':'dense_vector','dims':3,'element_type':'byte','index_options':{'type':"
         "'int8_hnsw'}}",
         VZ_BAD_MAPPING, "[element_type] cannot be [byte] when using index type [int8_hnsw]"},
        {"{'type':'dense_vector','dims':64,'element_type':'bit','index_options':{'type':"
         "'bbq_flat'}}",
         VZ_BAD_MAPPING, "[element_type] cannot be [bit] when using index type [bbq_flat]"},
        {"{'type':'dense_vector','dims':12,'element_type':'bit'}", VZ_BAD_MAPPING,
         "The number of dimensions for should be a multiple of 8 but was [12]"},
        {"{'type':'dense_vector','dims':32776,'element_type':'bit'}", VZ_BAD_MAPPING,
         "The number of dimensions should be in the range [8, 32768] but was [32776]"},
        {"{'type':'dense_vector','dims':8,'element_type':'bit','similarity':'cosine'}",
         VZ_BAD_MAPPING, "The [cosine] similarity does not support indexing bit vectors"},
        {"{'type':'dense_vector','dims':3,'element_type':'double'}", VZ_BAD_MAPPING,
         "invalid element_type [double]"},
        {"{'type':'dense_vector','dims':3,'index_options':{}}", VZ_BAD_MAPPING,
         "[index_options] requires field [type] to be configured"},
        {"{'type':'dense_vector','dims':3,'index_options':{'type':'ivf'}}", VZ_BAD_MAPPING,
         "Unknown vector index options type [ivf] for field [x]"},
        {"{'type':'dense_vector','dims':3,'index_options':{'type':'flat','m':4}}", VZ_BAD_MAPPING,
         "unsupported parameters:  [m : 4]"},
        {"{'type':'dense_vector','dims':3,'index_options':{'type':'hnsw','m':0}}", VZ_BAD_MAPPING,
         "[m] of [index_options]"},
        {"{'type':'dense_vector','dims':3,'index_options':{'type':'hnsw','m':9999}}",
         VZ_BAD_MAPPING, "[m] of [index_options]"},
        {"{'type':'dense_vector','dims':3,'index_options':{'type':'int4_hnsw'}}", VZ_BAD_MAPPING,
         "int4_hnsw only supports even dimensions; provided=3"},
        {"{'type':'dense_vector','dims':32,'index_options':{'type':'bbq_hnsw'}}", VZ_BAD_MAPPING,
         "bbq_hnsw does not support dimensions fewer than 64; provided=32"},
        {"{'type':'dense_vector','dims':4,'index_options':{'type':'int8_hnsw',"
         "'confidence_interval':0.5}}",
         VZ_BAD_MAPPING, "confidence_interval must be between"},
        {"{'type':'dense_vector','dims':4,'index_options':{'type':'int8_hnsw',"
         "'rescore_vector':{'oversample':20}}}",
         VZ_BAD_MAPPING, "oversample"},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_buf text = {0};
        vz_buf_printf(&text, "{'properties':{'x':%s}}", cases[i].definition);
        must_fail(NULL, text.data, cases[i].status, cases[i].message);
        vz_buf_deinit(&text);
    }
}

static void bad_roots_and_names(void **state)
{
    (void)state;
    must_fail(NULL, "[]", VZ_BAD_MAPPING, "mappings must be an object");
    must_fail(NULL, "{'foo':{'type':'long'}}", VZ_BAD_MAPPING,
              "Root mapping definition has unsupported parameters:  [foo : {\"type\":\"long\"}]");
    must_fail(NULL, "{'dynamic':'runtime'}", VZ_UNSUPPORTED, "runtime");
    must_fail(NULL, "{'dynamic_templates':[{'a':{}}]}", VZ_BAD_MAPPING,
              "template [a] must have either mapping or runtime set");
    must_fail(NULL, "{'dynamic_templates':[{'a':{'runtime':{}}}]}", VZ_UNSUPPORTED, "[runtime]");
    must_fail(NULL, "{'runtime':{'a':{'type':'long'}}}", VZ_UNSUPPORTED, "[runtime]");
    must_fail(NULL, "{'_routing':{'required':true}}", VZ_UNSUPPORTED, "[_routing]");
    must_fail(NULL, "{'_source':{'enabled':false}}", VZ_UNSUPPORTED, "[_source.enabled]");
    must_fail(NULL, "{'_source':{'excludes':[7]}}", VZ_BAD_MAPPING, "must be a list of strings");
    must_fail(NULL, "{'_source':{'mode':'synthetic'}}", VZ_UNSUPPORTED, "[_source.mode]");
    must_fail(NULL, "{'properties':{'':{'type':'long'}}}", VZ_BAD_MAPPING,
              "field name cannot be an empty string");
    must_fail(NULL, "{'properties':{'  ':{'type':'long'}}}", VZ_BAD_MAPPING, "only whitespace");
    must_fail(NULL, "{'properties':{'.a':{'type':'long'}}}", VZ_BAD_MAPPING, "[.a]");
    must_fail(NULL, "{'properties':{'a.':{'type':'long'}}}", VZ_BAD_MAPPING, "[a.]");
    must_fail(NULL, "{'properties':{'a..b':{'type':'long'}}}", VZ_BAD_MAPPING, "[a..b]");
    must_fail(NULL, "{'properties':{'.':{'type':'long'}}}", VZ_BAD_MAPPING, "[.]");
    vz_mapping_release(must_merge(NULL, "{'_source':{'enabled':true,'excludes':[]},"
                                        "'dynamic_templates':[],'runtime':{}}"));
}

static void merges(void **state)
{
    (void)state;
    struct vz_mapping *m = must_merge(
        NULL, "{'properties':{'breed':{'type':'keyword','fields':{'t':{'type':'text'}}},'o':"
              "{'properties':{'a':{'type':'long'}}},'n':{'type':'nested'},'v':{'type':"
              "'dense_vector','dims':8},'w':{'type':'dense_vector'},'f':{'type':'dense_vector',"
              "'dims':8,'index_options':{'type':'flat'}}}}");
    must_fail(m, "{'properties':{'breed':{'type':'long'}}}", VZ_BAD_MAPPING,
              "mapper [breed] cannot be changed from type [keyword] to [long]");
    must_fail(m, "{'properties':{'breed':{'properties':{}}}}", VZ_BAD_MAPPING,
              "can't merge a non object mapping [breed] with an object mapping");
    must_fail(m, "{'properties':{'o':{'type':'long'}}}", VZ_BAD_MAPPING,
              "can't merge a non object mapping [o] with an object mapping");
    must_fail(m, "{'properties':{'o':{'type':'nested'}}}", VZ_BAD_MAPPING,
              "can't merge a non-nested mapping [o] with a nested mapping");
    must_fail(m, "{'properties':{'n':{'properties':{}}}}", VZ_BAD_MAPPING,
              "can't merge a nested mapping [n] with a non-nested mapping");
    must_fail(m, "{'properties':{'o':{'enabled':false}}}", VZ_BAD_MAPPING,
              "the [enabled] parameter can't be updated for the object mapping [o]");
    must_fail(m, "{'properties':{'breed':{'type':'keyword','index':false}}}", VZ_BAD_MAPPING,
              "Mapper for [breed] conflicts with existing mapper:\n\tCannot update parameter "
              "[index] from [true] to [false]");
    must_fail(m, "{'properties':{'breed':{'type':'keyword','null_value':'x'}}}", VZ_BAD_MAPPING,
              "Cannot update parameter [null_value] from [null] to [x]");
    must_fail(m, "{'properties':{'v':{'type':'dense_vector','dims':9}}}", VZ_BAD_MAPPING,
              "Mapper for [v] conflicts with existing mapper:\n\tCannot update parameter [dims] "
              "from [8] to [9]");
    must_fail(m, "{'properties':{'v':{'type':'dense_vector'}}}", VZ_BAD_MAPPING,
              "Cannot update parameter [dims] from [8] to [null]");
    must_fail(m, "{'properties':{'v':{'type':'dense_vector','dims':8,'similarity':'l2_norm'}}}",
              VZ_BAD_MAPPING, "Cannot update parameter [similarity] from [cosine] to [l2_norm]");
    must_fail(m, "{'properties':{'v':{'type':'dense_vector','dims':8,'index':false}}}",
              VZ_BAD_MAPPING, "Cannot update parameter [index] from [true] to [false]");
    must_fail(m,
              "{'properties':{'v':{'type':'dense_vector','dims':8,'index_options':{'type':"
              "'hnsw'}}}}",
              VZ_BAD_MAPPING,
              "Cannot update parameter [index_options] from [{type=int8_hnsw, m=16, "
              "ef_construction=100}] to [{type=hnsw, m=16, ef_construction=100}]");
    must_fail(m,
              "{'properties':{'v':{'type':'dense_vector','dims':8,'index_options':{'type':"
              "'int8_hnsw','m':8}}}}",
              VZ_BAD_MAPPING, "Cannot update parameter");
    /* Nothing of a failed merge stays. */
    assert_int_equal(vz_mapping_count(m), 8);
    struct vz_mapping *next = must_merge(
        m, "{'properties':{'new':{'type':'long'},'breed':{'type':'keyword','ignore_above':9},"
           "'o':{'properties':{'b':{'type':'long'}}},'w':{'type':'dense_vector','dims':3},"
           "'f':{'type':'dense_vector','dims':8,'index_options':{'type':'int8_hnsw','m':32}}}}");
    assert_int_equal(vz_mapping_count(next), 10);
    for (uint16_t i = 0; i < 8; i++)
        assert_true(vz_slice_eq(vz_mapping_field(m, i)->path, vz_mapping_field(next, i)->path));
    assert_int_equal(vz_mapping_find(next, VZ_SLICE("breed"))->ignore_above, 9);
    assert_non_null(vz_mapping_find(next, VZ_SLICE("breed.t")));
    assert_int_equal(vz_mapping_find(next, VZ_SLICE("w"))->dims, 3);
    assert_false(vz_mapping_find(next, VZ_SLICE("f"))->flat);
    assert_int_equal(vz_mapping_find(next, VZ_SLICE("f"))->m, 32);
    /* The base is as it was. */
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("breed"))->ignore_above, 0);
    assert_int_equal(vz_mapping_find(m, VZ_SLICE("w"))->dims, 0);
    expect_same_from_disk(next);
    vz_mapping_release(m);
    vz_mapping_release(next);
}

/* What is printed can be merged again, into nothing and into itself. */
static void printed_mappings_merge(void **state)
{
    (void)state;
    struct vz_mapping *m = must_merge(
        NULL, "{'dynamic':false,'properties':{'a':{'type':'text','fields':{'k':{'type':'keyword'}"
              "}},'b':{'type':'dense_vector','dims':64,'index_options':{'type':'bbq_hnsw'}},'c':"
              "{'type':'nested','properties':{'d':{'type':'date'}}},'e':{'type':'alias','path':"
              "'c.d'}}}");
    struct vz_buf text = {0}, again = {0};
    vz_mapping_print(m, &text);
    struct vz_mapping *x = must_merge(NULL, text.data), *y = must_merge(m, text.data);
    vz_mapping_print(x, &again);
    assert_string_equal(again.data, text.data);
    vz_buf_clear(&again);
    vz_mapping_print(y, &again);
    assert_string_equal(again.data, text.data);
    vz_buf_deinit(&text);
    vz_buf_deinit(&again);
    vz_mapping_release(x);
    vz_mapping_release(y);
    vz_mapping_release(m);
}

/* ---- bombs -------------------------------------------------------------------------------- */

static void too_many_fields(void **state)
{
    (void)state;
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{'properties':{");
    for (int i = 0; i < 1000; i++)
        vz_buf_printf(&text, "%s'f%d':{'type':'long'}", i ? "," : "", i);
    size_t at = text.len;
    vz_buf_append_str(&text, "}}");
    struct vz_mapping *m = must_merge(NULL, text.data);
    assert_int_equal(vz_mapping_count(m), 1000);
    expect_same_from_disk(m);
    must_fail(m, "{'properties':{'one_more':{'type':'long'}}}", VZ_LIMIT,
              "Limit of total fields [1000] has been exceeded");
    vz_mapping_release(must_merge(m, "{'properties':{'f1':{'type':'long'}}}"));
    text.len = at;
    vz_buf_append_str(&text, ",'g':{'type':'long'}}}");
    must_fail(NULL, text.data, VZ_LIMIT, "Limit of total fields [1000] has been exceeded");
    vz_mapping_release(m);
    /* Multi-fields and objects count. */
    vz_buf_clear(&text);
    vz_buf_append_str(&text, "{'properties':{'a':{'type':'text','fields':{");
    for (int i = 0; i < 1000; i++)
        vz_buf_printf(&text, "%s'f%d':{'type':'keyword'}", i ? "," : "", i);
    vz_buf_append_str(&text, "}}}}");
    must_fail(NULL, text.data, VZ_LIMIT, "Limit of total fields");
    vz_buf_clear(&text);
    vz_buf_append_str(&text, "{'properties':{'");
    for (int i = 0; i < 5000; i++)
        vz_buf_append_str(&text, "a.");
    vz_buf_append_str(&text, "b':{'type':'long'}}}");
    must_fail(NULL, text.data, VZ_LIMIT, "Limit of mapping depth [20] has been exceeded");
    vz_buf_deinit(&text);
}

static void too_deep(void **state)
{
    (void)state;
    for (int depth = 19; depth <= 20; depth++) {
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "{'properties':{");
        for (int i = 0; i < depth; i++)
            vz_buf_append_str(&text, "'o':{'properties':{");
        vz_buf_append_str(&text, "'x':{'type':'long'}");
        for (int i = 0; i < depth; i++)
            vz_buf_append_str(&text, "}}");
        vz_buf_append_str(&text, "}}");
        if (depth == 19)
            vz_mapping_release(must_merge(NULL, text.data));
        else
            must_fail(NULL, text.data, VZ_LIMIT,
                      "Limit of mapping depth [20] has been exceeded due to object field");
        vz_buf_deinit(&text);
    }
}

static void long_names(void **state)
{
    (void)state;
    for (int len = 2048; len <= 2049; len++) {
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "{'properties':{'");
        for (int i = 0; i < len; i++)
            vz_buf_append_char(&text, (char)('a' + i % 26));
        vz_buf_append_str(&text, "':{'type':'long'}}}");
        if (len > 2048) {
            must_fail(NULL, text.data, VZ_LIMIT, "is longer than 2048 bytes");
        } else {
            struct vz_mapping *m = must_merge(NULL, text.data);
            expect_same_from_disk(m);
            memcpy(text.data + text.len - 8, "byte", 4);
            must_fail(m, text.data, VZ_BAD_MAPPING, "mapper [abcdef");
            vz_mapping_release(m);
        }
        vz_buf_deinit(&text);
    }
}

/* What an older version took and this one refuses still opens. */
static void old_files_open(void **state)
{
    (void)state;
    struct vz_mapping *m;
    struct vz_error err = {0};
    const char *text = "{\"version\":1,\"root\":{},\"fields\":[{\"name\":\"k\",\"type\":"
                       "\"keyword\",\"given\":{\"norms\":true,\"index_options\":\"freqs\"}},"
                       "{\"name\":\"t\",\"type\":\"text\",\"given\":{\"fielddata\":true}}]}";
    if (vz_mapping_load(vz_slice_from(text), &m, &err) != VZ_OK)
        fail_msg("%s", err.text);
    assert_int_equal(vz_mapping_count(m), 2);
    vz_mapping_release(m);
    must_fail(NULL, "{'properties':{'k':{'type':'keyword','norms':true}}}", VZ_UNSUPPORTED,
              "[norms: true]");
    must_fail(NULL, "{'properties':{'k':{'type':'keyword','index_options':'freqs'}}}",
              VZ_UNSUPPORTED, "[index_options: freqs]");
}

static void new_types(void **state)
{
    (void)state;
    struct vz_mapping *m = must_merge(
        NULL, "{'properties':{'c':{'type':'constant_keyword'},'f':{'type':'flattened',"
              "'depth_limit':3},'i':{'type':'ip'},'s':{'type':'scaled_float','scaling_factor':10},"
              "'w':{'type':'wildcard','ignore_above':5}}}");
    expect_print(m, "{'properties':{'c':{'type':'constant_keyword'},'f':{'type':'flattened',"
                    "'depth_limit':3},'i':{'type':'ip'},'s':{'type':'scaled_float',"
                    "'scaling_factor':10},'w':{'type':'wildcard','ignore_above':5}}}");
    expect_same_from_disk(m);
    struct vz_mapping *fixed =
        must_merge(m, "{'properties':{'c':{'type':'constant_keyword','value':'x'}}}");
    expect_same_from_disk(fixed);
    must_fail(fixed, "{'properties':{'c':{'type':'constant_keyword','value':'y'}}}", VZ_BAD_MAPPING,
              "Cannot update parameter [value] from [x] to [y]");
    must_fail(fixed, "{'properties':{'s':{'type':'scaled_float','scaling_factor':11}}}",
              VZ_BAD_MAPPING, "Cannot update parameter [scaling_factor] from [10] to [11]");
    must_fail(fixed, "{'properties':{'f.x':{'type':'keyword'}}}", VZ_BAD_MAPPING,
              "can't merge a non object mapping [f] with an object mapping");
    const struct vz_field *f = vz_mapping_find(fixed, VZ_SLICE("f"));
    assert_int_equal(f->depth_limit, 3);
    assert_int_equal(vz_mapping_field(fixed, f->keyed)->type, VZ_FIELD_FLATTENED_KEYED);
    vz_mapping_release(m);
    vz_mapping_release(fixed);
}

/* What a mapping says beside its fields is kept on disk and over a merge. */
static void sources_and_nests(void **state)
{
    (void)state;
    struct vz_arena arena = {0};
    struct vz_mapping *m = must_merge(
        NULL, "{'_source':{'includes':['a*','n'],'excludes':['a.b']},'properties':{'n':{'type':"
              "'nested','include_in_root':true,'properties':{'k':{'type':'keyword'},'v':{'type':"
              "'dense_vector','dims':2},'o':{'properties':{'k':{'type':'long'}}},'in':{'type':"
              "'nested','properties':{'k':{'type':'keyword'},'up':{'type':'nested',"
              "'include_in_parent':true,'properties':{'k':{'type':'keyword'}}}}}}}}}");
    expect_same_from_disk(m);
    struct vz_mapping *more = must_merge(m, "{'properties':{'x':{'type':'long'}}}");
    expect_same_from_disk(more);
    struct vz_slice shown = vz_mapping_filter_source(
        more, VZ_SLICE("{\"a\":{\"b\":1,\"c\":2},\"z\":3,\"n\":[{\"k\":4}]}"), &arena);
    assert_true(vz_slice_is(shown, "{\"a\":{\"c\":2},\"n\":[{\"k\":4}]}"));
    /* n.v is in rows of its own; n.in is in no document's columns, and so is what says it is in it
     */
    static const struct {
        const char *path;
        bool under;
    } fields[] = {
        {"n.k", false}, {"n.o.k", false}, {"n.v", true}, {"n.in.k", true}, {"n.in.up.k", true}};
    for (size_t i = 0; i < VZ_COUNT_OF(fields); i++) {
        const struct vz_field *field = vz_mapping_find(more, vz_slice_from(fields[i].path));
        if (!field || field->under_nested != fields[i].under)
            fail_msg("%s", fields[i].path);
    }
    vz_mapping_release(m);
    vz_mapping_release(more);
    vz_arena_deinit(&arena);
}

static void damaged_files(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{'version':2,'root':{},'fields':[]}",
        "{'version':1,'root':{}}",
        "{'version':1,'root':{},'fields':[{}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','type':'zebra','given':{}}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','type':'long'}]}",
        "{'version':1,'root':{},'fields':[{'name':'','type':'long','given':{}}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','parent':0,'type':'long','given':{}}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','parent':-3,'type':'long','given':{}}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','type':'long','given':{}},"
        "{'name':'a','type':'long','given':{}}]}",
        "{'version':1,'root':{},'fields':[{'name':'a','type':'long','given':{}},"
        "{'name':'b','parent':0,'type':'object','given':{}}]}",
        "{'version':1,'root':{'dynamic':'x'},'fields':[]}",
        "{'version':1,'root':{},'fields':[{'name':'a','type':'alias','given':{'path':'b'}}]}",
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        char *json = vz_strdup(bad[i]);
        struct vz_mapping *m = NULL;
        struct vz_error err = {0};
        for (char *p = json; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        enum vz_status status = vz_mapping_load(vz_slice_from(json), &m, &err);
        if (status == VZ_OK)
            fail_msg("was loaded: %s", json);
        assert_null(m);
        assert_true(err.text[0] != 0);
        free(json);
    }
}

/* Whatever the bytes, a merge either says why not or gives a mapping that survives the disk and
 * that its own print merges into again. */
static void mutated_mappings(void **state)
{
    static const char *const seeds[] = {
        "{'dynamic':'strict','_meta':{'a':1},'properties':{'a':{'type':'text','fields':{'k':{'type'"
        ":'keyword','ignore_above':256}}},'v':{'type':'dense_vector','dims':64,'similarity':"
        "'l2_norm','index_options':{'type':'bbq_hnsw','m':8}}}}",
        "{'properties':{'n':{'type':'nested','dynamic':false,'properties':{'d':{'type':'date',"
        "'format':'yyyy-MM-dd||epoch_millis','null_value':'1970-01-01'}}},'o':{'enabled':false},"
        "'x.y':{'type':'long','coerce':true,'meta':{'u':'m'}},'al':{'type':'alias','path':'x.y'}}}",
    };
    static const char alphabet[] = "\"{}[]:,.0123456789eaklmnotrsu_-|yMd";
    const char *asked = getenv("VIZSLA_SEED");
    uint64_t seed = asked ? strtoull(asked, NULL, 10) : vz_now_ns();
    size_t taken = 0, rounds = 30000;
    (void)state;
    print_message("VIZSLA_SEED=%llu\n", (unsigned long long)seed);
    for (size_t round = 0; round < rounds; round++) {
        char *text = vz_strdup(seeds[round % VZ_COUNT_OF(seeds)]);
        size_t len = strlen(text);
        for (char *p = text; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        for (uint64_t n = vz_rng_next(&seed) % 4; n; n--)
            text[vz_rng_next(&seed) % len] = alphabet[vz_rng_next(&seed) % (sizeof alphabet - 1)];
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        struct vz_mapping *m = NULL, *again = NULL;
        if (vz_json_parse((struct vz_slice){text, len}, &doc, &root, &err) == VZ_OK) {
            if (vz_mapping_merge(NULL, root, &m, &err) == VZ_OK) {
                struct vz_buf printed = {0}, reprinted = {0};
                struct vz_json_doc *print_doc;
                taken++;
                expect_same_from_disk(m);
                vz_mapping_print(m, &printed);
                assert_int_equal(vz_json_parse(vz_buf_slice(&printed), &print_doc, &root, &err),
                                 VZ_OK);
                if (vz_mapping_merge(m, root, &again, &err) != VZ_OK)
                    fail_msg("%s: %s", err.text, printed.data);
                vz_mapping_print(again, &reprinted);
                assert_string_equal(reprinted.data, printed.data);
                vz_mapping_release(again);
                vz_mapping_release(m);
                vz_json_free(print_doc);
                vz_buf_deinit(&printed);
                vz_buf_deinit(&reprinted);
            } else {
                assert_null(m);
                assert_true(err.text[0] && err.status != VZ_OK);
            }
            vz_json_free(doc);
        }
        free(text);
    }
    print_message("%zu of %zu taken\n", taken, rounds);
    assert_true(taken > rounds / 20);
}

/* ---- names -------------------------------------------------------------------------------- */

static void index_names(void **state)
{
    static const char *const bad[][2] = {
        {"", "must not be empty"},
        {"Dogs", "must be lowercase"},
        {"h\xC3\x84user", "must be lowercase"},
        {"_dogs", "must not start with '_', '-', or '+'"},
        {"-dogs", "must not start with '_', '-', or '+'"},
        {"+dogs", "must not start with '_', '-', or '+'"},
        {".", "must not be '.' or '..'"},
        {"..", "must not be '.' or '..'"},
        {"a#b", "must not contain '#'"},
        {"a:b", "must not contain ':'"},
        {"a b", "must not contain the following characters "
                "['\\','/','*','?','\"','<','>','|',' ',',']"},
        {"a/b", "must not contain the following"},
        {"a\\b", "must not contain the following"},
        {"a*", "must not contain the following"},
        {"a?", "must not contain the following"},
        {"a\"", "must not contain the following"},
        {"<a>", "must not contain the following"},
        {"a|b", "must not contain the following"},
        {"a,b", "must not contain the following"},
        {"a\nb", "control characters"},
        {"a\xFF", "control characters or broken UTF-8"},
    };
    static const char *const good[] = {"dogs", "dog-image-index", ".hidden",     "a_b-c+d.e",
                                       "1",    "h\xC3\xA4user",   "\xE7\x8A\xAC"};
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        struct vz_error err = {0};
        struct vz_buf want = {0};
        assert_int_equal(vz_index_name_check(vz_slice_from(bad[i][0]), &err), VZ_BAD_NAME);
        vz_buf_printf(&want, "Invalid index name [%s], %s", bad[i][0], bad[i][1]);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("[%s] gave: %s", bad[i][0], err.text);
        if ((unsigned char)bad[i][0][0] != 'a')
            assert_memory_equal(err.text, want.data, want.len);
        vz_buf_deinit(&want);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(good); i++)
        assert_int_equal(vz_index_name_check(vz_slice_from(good[i]), NULL), VZ_OK);
    char name[257];
    memset(name, 'a', sizeof name);
    struct vz_error err = {0};
    assert_int_equal(vz_index_name_check((struct vz_slice){name, 255}, &err), VZ_OK);
    assert_int_equal(vz_index_name_check((struct vz_slice){name, 256}, &err), VZ_BAD_NAME);
    assert_non_null(strstr(err.text, "index name is too long, (256 > 255)"));
    assert_int_equal(vz_index_name_check((struct vz_slice){"a\0b", 3}, &err), VZ_BAD_NAME);
    assert_int_equal(vz_alias_name_check(VZ_SLICE("Dogs"), &err), VZ_OK);
    assert_int_equal(vz_alias_name_check(VZ_SLICE("a*"), &err), VZ_BAD_NAME);
    assert_non_null(strstr(err.text, "Invalid alias name [a*], must not contain"));
}

/* What a search_as_you_type is made of has ids that a file gives back. */
static void made_fields_are_saved(void **state)
{
    (void)state;
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_mapping *m, *loaded;
    struct vz_buf saved = {0}, before = {0}, after = {0};
    assert_int_equal(vz_json_parse(VZ_SLICE("{\"properties\":{\"t\":{\"type\":"
                                            "\"search_as_you_type\",\"max_shingle_size\":2,"
                                            "\"index_options\":\"offsets\"}}}"),
                                   &doc, &body, &err),
                     VZ_OK);
    assert_int_equal(vz_mapping_merge(NULL, body, &m, &err), VZ_OK);
    vz_mapping_save(m, &saved);
    assert_int_equal(vz_mapping_load(vz_buf_slice(&saved), &loaded, &err), VZ_OK);
    assert_int_equal(vz_mapping_count(loaded), 3);
    assert_null(vz_mapping_find(loaded, VZ_SLICE("t._3gram")));
    for (uint16_t id = 0; id < 3; id++) {
        const struct vz_field *x = vz_mapping_field(m, id), *y = vz_mapping_field(loaded, id);
        assert_true(vz_slice_eq(x->path, y->path));
        assert_int_equal(x->shingles, y->shingles);
        assert_int_equal(x->is_prefix, y->is_prefix);
        assert_int_equal(x->prefix_field, y->prefix_field);
        assert_int_equal(x->text_flags, y->text_flags);
    }
    const struct vz_field *prefix = vz_mapping_find(loaded, VZ_SLICE("t._index_prefix"));
    assert_true(prefix->is_prefix);
    assert_int_equal(vz_mapping_find(loaded, VZ_SLICE("t._2gram"))->prefix_field, prefix->id);
    vz_mapping_print(m, &before);
    vz_mapping_print(loaded, &after);
    assert_true(vz_slice_eq(vz_buf_slice(&before), vz_buf_slice(&after)));
    vz_buf_deinit(&before);
    vz_buf_deinit(&after);
    vz_buf_deinit(&saved);
    vz_mapping_release(loaded);
    vz_mapping_release(m);
    vz_json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_fields_are_saved),
        cmocka_unit_test(the_tutorials_mapping),
        cmocka_unit_test(an_empty_mapping),
        cmocka_unit_test(everything_is_printed_back),
        cmocka_unit_test(columns),
        cmocka_unit_test(dotted_names_make_objects),
        cmocka_unit_test(bad_definitions),
        cmocka_unit_test(bad_roots_and_names),
        cmocka_unit_test(merges),
        cmocka_unit_test(printed_mappings_merge),
        cmocka_unit_test(too_many_fields),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(long_names),
        cmocka_unit_test(new_types),
        cmocka_unit_test(old_files_open),
        cmocka_unit_test(sources_and_nests),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(mutated_mappings),
        cmocka_unit_test(index_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
