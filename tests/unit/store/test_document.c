/* Values of documents: coercions by type, arrays, nulls, geo, every error by its words, and what a
 * query's value becomes. */
#include "document_support.h"

static void coercions(void **state)
{
    static const char *const cases[][2] = {
        {"{'l':5}", "l=5"},
        {"{'l':-9223372036854775808}", "l=-9223372036854775808"},
        {"{'l':9223372036854775807}", "l=9223372036854775807"},
        {"{'l':'42'}", "l=42"},
        {"{'l':'9223372036854775807'}", "l=9223372036854775807"},
        {"{'l':1.0}", "l=1"},
        {"{'l':1.9}", "l=1"},
        {"{'l':-1.9}", "l=-1"},
        {"{'l':'1.9'}", "l=1"},
        {"{'l':1e3}", "l=1000"},
        {"{'l':'1e3'}", "l=1000"},
        {"{'l':''}", ""},
        {"{'l':null}", ""},
        {"{'l':[1,'2',[3.0]]}", "l=1 l=2 l=3"},
        {"{'l':[]}", ""},
        {"{'l':[null,4]}", "l=4"},
        {"{'i':2147483647}", "i=2147483647"},
        {"{'s':-32768}", "s=-32768"},
        {"{'b':127}", "b=127"},
        {"{'ul':0}", "ul=-9223372036854775808"},
        {"{'ul':18446744073709551615}", "ul=9223372036854775807"},
        {"{'ul':'18446744073709551615'}", "ul=9223372036854775807"},
        {"{'d':1.5}", "d=1.5"},
        {"{'d':'1.5'}", "d=1.5"},
        {"{'d':3}", "d=3"},
        {"{'d':-0.0}", "d=0"},
        {"{'d':18446744073709551615}", "d=1.84467441e+19"},
        {"{'d':' 2 '}", "d=2"},
        {"{'f':0.1}", "f=0.100000001"},
        {"{'f':16777217}", "f=16777216"},
        {"{'h':0.1}", "h=0.0999755859"},
        {"{'h':65504}", "h=65504"},
        {"{'h':1e-9}", "h=0"},
        {"{'bo':true}", "bo=1"},
        {"{'bo':'true'}", "bo=1"},
        {"{'bo':'false'}", "bo=0"},
        {"{'bo':''}", "bo=0"},
        {"{'bo':[false,true]}", "bo=0 bo=1"},
        {"{'k':'abc'}", "k=abc"},
        {"{'k':'abcdef'}", ""},
        {"{'k':1.0}", "k=1.0"},
        {"{'k':1e2}", "k=1e2"},
        {"{'k':true}", "k=true"},
        {"{'k':''}", "k="},
        {"{'k':'\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4\xC3\xB6'}", "k=\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4"
                                                             "\xC3\xB6"},
        {"{'k':'a\\u0062\\n'}", "k=ab\n"},
        {"{'k':['b','a','b']}", "k=b k=a k=b"},
        {"{'t':'hello'}", "t=yes t.raw=hello"},
        {"{'t':'12'}", "t=yes t.raw=12 t.n=12"},
        {"{'t':['a','b']}", "t=yes t.raw=a t.raw=b"},
        {"{'t':5}", "t=yes t.raw=5 t.n=5"},
        {"{'da':'1970-01-01T00:00:01Z'}", "da=1000"},
        {"{'da':10000}", "da=10000"},
        {"{'da':1970}", "da=0"}, /* four digits are a year */
        {"{'da':'1970-01-01'}", "da=0"},
        {"{'da':1714979289123}", "da=1714979289123"},
        {"{'da':-5}", "da=-5"},
        {"{'da':['1970','1971']}", "da=0 da=31536000000"},
        {"{'dd':'02.01.1970'}", "dd=86400000"},
        {"{'nul':null}", "nul=NONE"},
        {"{'nul':[null,'x']}", "nul=NONE nul=x"},
        {"{'nuli':null}", "nuli=-7"},
        {"{'nuli':''}", "nuli=-7"},
        {"{'nulg':null}", "nulg=1,2"},
        {"{'lax':'abc','l':1}", "l=1"},
        {"{'lax':{'a':1}}", ""},
        {"{'lax':['x',3]}", "lax=3"},
        {"{'lax':99999999999}", ""},
        {"{'strict':5}", "strict=5"},
        {"{'strict':5.0}", "strict=5"},
        {"{'nod':5}", "nod=yes"},
        {"{'nod':[5,6]}", "nod=yes"},
        {"{'bin':'aGVsbG8='}", ""},
        {"{'o':{'x':1,'y':'a'}}", "o.x=1 o.y=a"},
        {"{'o':[{'x':1},{'x':2},null]}", "o.x=1 o.x=2"},
        {"{'o.x':1}", "o.x=1"},
        {"{'o':{'y':'a','x':1}}", "o.x=1 o.y=a"},
        {"{'o':null}", ""},
        {"{'o':[]}", ""},
        {"{'o':{}}", ""},
        {"{'o':[[{'x':1}],{'x':2}]}", "o.x=1 o.x=2"},
        {"{'o.x':1,'o':{'x':2}}", "o.x=1 o.x=2"},
        {"{'off':{'any':[1,{'thing':'}]'}]}}", ""},
        {"{'off':5}", ""},
        {"{'off.deep.er':5,'l':1}", "l=1"},
        {"{'n':[{'x':1,'z':'q'},{'x':2}]}", ""},
        {"{'l':1,'i':2,'l2':3}", NULL},
        {" { 'l' : 1 , 'k' : 'a' } ", "k=a l=1"},
        {"{}", ""},
        {"\xEF\xBB\xBF{'l':1}", NULL},
        {"{'o':{'x':[1,2]},'l':[3],'k':'z','o.y':['q','r']}", "k=z l=3 o.x=1 o.x=2 o.y=q o.y=r"},
    };
    struct vz_mapping *m = mapping_of(all_types);
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        if (cases[i][1])
            expect_values(m, cases[i][0], cases[i][1]);
    }
    vz_mapping_release(m);
}

static void geo_points(void **state)
{
    static const char *const good[][2] = {
        {"{'g':{'lat':41.12,'lon':-71.34}}", "g=41.12,-71.34"},
        {"{'g':{'lon':'-71.34','lat':'41.12'}}", "g=41.12,-71.34"},
        {"{'g':[-71.34,41.12]}", "g=41.12,-71.34"},
        {"{'g':[-71.34,41.12,9]}", "g=41.12,-71.34"},
        {"{'g':'41.12,-71.34'}", "g=41.12,-71.34"},
        {"{'g':' 41.12 , -71.34 '}", "g=41.12,-71.34"},
        {"{'g':'POINT (-71.34 41.12)'}", "g=41.12,-71.34"},
        {"{'g':'point(-71.34   41.12)'}", "g=41.12,-71.34"},
        {"{'g':{'type':'Point','coordinates':[-71.34,41.12]}}", "g=41.12,-71.34"},
        {"{'g':'drm3btev3e86'}", "g=41.12,-71.34"},
        {"{'g':{'geohash':'drm3btev3e86'}}", "g=41.12,-71.34"},
        {"{'g':[[1,2],[3,4]]}", "g=2,1 g=4,3"},
        {"{'g':['1,2',{'lat':3,'lon':4}]}", "g=1,2 g=3,4"},
        {"{'g':null}", ""},
        {"{'g':[]}", ""},
        {"{'g':'0,0'}", "g=0,0"},
        {"{'g':{'lat':90,'lon':180}}", "g=90,180"},
    };
    static const char *const bad[][2] = {
        {"{'g':'91,0'}", "illegal latitude value [91]"},
        {"{'g':{'lat':0,'lon':181}}", "illegal longitude value [181]"},
        {"{'g':{'lat':1}}", "field [lon] missing"},
        {"{'g':{'lon':1}}", "field [lat] missing"},
        {"{'g':{}}", "field must be either"},
        {"{'g':'hello world'}", "failed to parse geo point"},
        {"{'g':''}", "failed to parse geo point"},
        {"{'g':[1]}", "needs [lon, lat]"},
        {"{'g':[1,2,3,4]}", "does not accept > 3"},
        {"{'g':[1,'x']}", "numeric value expected"},
        {"{'g':5}", "geo_point expected"},
        {"{'g':true}", "geo_point expected"},
        {"{'g':'POINT (1)'}", "failed to parse geo point"},
        {"{'g':'POINT 1 2'}", "failed"},
        {"{'g':{'type':'Polygon','coordinates':[1,2]}}", "can only be 'Point'"},
        {"{'g':{'type':'Point','coordinates':3}}", "must be an array"},
        {"{'g':{'lat':'x','lon':1}}", "[lat] must be a valid double value"},
        {"{'g':'1,2,x'}", "failed to parse geo point"},
        {"{'g':'NaN,1'}", "failed"},
    };
    struct vz_mapping *m = mapping_of(all_types);
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(good); i++)
        expect_values(m, good[i][0], good[i][1]);
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++)
        expect_error(m, bad[i][0], VZ_BAD_DOCUMENT,
                     "failed to parse field [g] of type [geo_point] in document with id '7'.",
                     bad[i][1]);
    vz_mapping_release(m);
}

static void value_errors(void **state)
{
    static const struct {
        const char *text, *message, *cause;
    } cases[] = {
        {"{'f':'abc'}",
         "[1:6] failed to parse field [f] of type [float] in document with id '7'. "
         "Preview of field's value: 'abc'",
         "For input string: \"abc\""},
        {"{\n  'l': 'x'}", "[2:8] failed to parse field [l]", "For input string: \"x\""},
        {"{'l':'0x10'}", "of type [long]", "For input string"},
        {"{'l':true}", "Preview of field's value: 'true'",
         "Current token (VALUE_TRUE) not numeric"},
        {"{'l':{}}", "Preview of field's value: '{}'", "Can't get text on a START_OBJECT"},
        {"{'l':9223372036854775808}", "[l]", "is out of range for a long"},
        {"{'l':1e30}", "[l]", "Value [1e30] is out of range for a long"},
        {"{'l':123456789012345678901234567890}", "[l]", "is out of range for a long"},
        {"{'l':-9223372036854775809}", "[l]", "is out of range for a long"},
        {"{'i':2147483648}", "[i] of type [integer]",
         "Value [2147483648] is out of range for an integer"},
        {"{'s':32768}", "[s]", "Value [32768] is out of range for a short"},
        {"{'b':'-129'}", "[b]", "Value [-129] is out of range for a byte"},
        {"{'ul':-1}", "[ul]", "out of range for unsigned long"},
        {"{'ul':1.5}", "[ul]", "has a decimal part"},
        {"{'f':1e39}", "[f]", "[float] supports only finite values, but got [1e39]"},
        {"{'h':65536}", "[h]", "[half_float] supports only finite values"},
        {"{'d':'NaN'}", "[d]", "[double] supports only finite values, but got [NaN]"},
        {"{'d':'Infinity'}", "[d]", "supports only finite values"},
        {"{'d':'1.5.2'}", "[d]", "For input string"},
        {"{'d':'1e'}", "[d]", "For input string"},
        {"{'bo':'yes'}", "[bo] of type [boolean]",
         "Failed to parse value [yes] as only [true] or [false] are allowed."},
        {"{'bo':1}", "[bo]", "Failed to parse value [1] as only"},
        {"{'da':'soon'}", "[da] of type [date]",
         "failed to parse date field [soon] with format [strict_date_optional_time||epoch_millis]"},
        {"{'da':'now'}", "[da]", "failed to parse date field [now]"},
        {"{'da':true}", "[da]", "failed to parse date field [true]"},
        {"{'dd':'2024-01-01'}", "[dd]", "with format [dd.MM.yyyy]"},
        {"{'strict':'5'}", "[strict]", "Integer value passed as String"},
        {"{'strict':5.5}", "[strict]", "5.5 cannot be converted to Integer without data loss"},
        {"{'bin':5}", "[bin]", "base64"},
        {"{'bin':'a*b'}", "[bin]", "Illegal character '*'"},
        {"{'k':{'a':1}}", "[k]", "START_OBJECT"},
        {"{'n':{'x':'bad'}}", "[n.x] of type [long]", "For input string"},
        {"{'o':5}",
         "object mapping for [o] tried to parse field [o] as object, but found a "
         "concrete value",
         NULL},
        {"{'o':[{'x':1},2]}", "object mapping for [o]", NULL},
        {"{'al':'x'}", "Cannot write to a field alias [al].", NULL},
        {"{'t.raw':'x'}", "Existing mapping for [t] must be of type object but found [text].",
         NULL},
        {"{'l':1,'l':2}", "[1:8] failed to parse: Duplicate field 'l'", NULL},
        {"{'o':{'x':1,'y':2,'x':3}}", "Duplicate field 'x'", NULL},
        {"{'':1}", "Field name cannot be an empty string", NULL},
        {"{'  ':1}", "Field name cannot contain only whitespace: [  ]", NULL},
        {"{'.l':1}", "starting or ending with a [.] makes object resolution ambiguous: [.l]", NULL},
        {"{'l.':1}", "ambiguous: [l.]", NULL},
        {"{'o..x':1}", "ambiguous: [o..x]", NULL},
        {"{'_id':'1'}", "failed to parse field [_id] of type [_id] in document with id '7'.",
         "Field [_id] is a metadata field and cannot be added inside a document."},
        {"[1]", "[1:1] failed to parse: Malformed content, must start with an object", NULL},
        {"5", "Malformed content", NULL},
    };
    struct vz_mapping *m = mapping_of(all_types);
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        expect_error(m, cases[i].text, VZ_BAD_DOCUMENT, cases[i].message, cases[i].cause);
    expect_error(m, "{'l':1", VZ_BAD_JSON, "", NULL);
    expect_error(m, "", VZ_BAD_JSON, "", NULL);
    expect_error(m, "{'l':1}x", VZ_BAD_JSON, "", NULL);
    struct parsed p = parse(m, "{'k':'a',  'f':'abc'}");
    assert_int_equal(p.err.offset, 15); /* of the value */
    done(&p);
    vz_mapping_release(m);
}

static void long_keywords(void **state)
{
    struct vz_mapping *m = mapping_of("{'properties':{'k':{'type':'keyword'},'q':{'type':"
                                      "'keyword','index':false,'doc_values':false}}}");
    struct vz_buf text = {0};
    (void)state;
    vz_buf_append_str(&text, "{'k':'");
    for (int i = 0; i < 32767; i++)
        vz_buf_append_char(&text, 'x');
    vz_buf_append_str(&text, "'}");
    expect_error(m, text.data, VZ_BAD_DOCUMENT, "failed to parse field [k] of type [keyword]",
                 "Document contains at least one immense term in field=\"k\"");
    text.data[2] = 'q';
    expect_values(m, text.data, "q=yes");
    vz_buf_deinit(&text);
    vz_mapping_release(m);
}

static void many_keys_in_one_object(void **state)
{
    struct vz_mapping *m = mapping_of("{'dynamic':false,'properties':{'k7':{'type':'long'}}}");
    (void)state;
    for (int duplicate = 0; duplicate < 2; duplicate++) {
        struct vz_buf text = {0};
        vz_buf_append_char(&text, '{');
        for (int i = 0; i < 5000; i++)
            vz_buf_printf(&text, "%s'k%d':%d", i ? "," : "", i, i);
        if (duplicate)
            vz_buf_append_str(&text, ",'k3':1");
        vz_buf_append_char(&text, '}');
        if (duplicate)
            expect_error(m, text.data, VZ_BAD_DOCUMENT, "Duplicate field 'k3'", NULL);
        else
            expect_values(m, text.data, "k7=7");
        vz_buf_deinit(&text);
    }
    vz_mapping_release(m);
}

/* ---- query values ------------------------------------------------------------------------- */

static bool query_value(const struct vz_mapping *m, const char *path, const char *text,
                        bool round_up, struct vz_arena *arena, struct vz_typed_value *value,
                        struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    char *json = json_text(text);
    *err = (struct vz_error){0};
    assert_int_equal(vz_json_parse(vz_slice_from(json), &doc, &root, err), VZ_OK);
    enum vz_status status =
        vz_value_parse(vz_mapping_find(m, vz_slice_from(path)), root, round_up, arena, value, err);
    vz_json_free(doc);
    free(json);
    assert_true(status == err->status);
    return status == VZ_OK;
}

static void query_values(void **state)
{
    static const struct {
        const char *path, *text;
        bool round_up;
        int64_t want;
    } integers[] = {
        {"l", "5", false, 5},
        {"l", "'5'", false, 5},
        {"l", "1.5", true, 1},
        {"l", "1.5", false, 2},
        {"l", "-1.5", true, -2},
        {"l", "-1.5", false, -1},
        {"l", "1e30", false, INT64_MAX},
        {"l", "-1e30", false, INT64_MIN},
        {"b", "1000", false, 1000},
        {"bo", "true", false, 1},
        {"bo", "'false'", false, 0},
        {"ul", "-3", false, INT64_MIN},
        {"ul", "1e30", false, INT64_MAX},
        {"da", "'1970-01-02'", false, 86400000},
        {"da", "'1970-01-02'", true, 2 * 86400000 - 1},
        {"da", "'1970-01-02||/M'", false, 0},
        {"da", "1714979289123", false, 1714979289123},
    };
    struct vz_mapping *m = mapping_of(all_types);
    struct vz_arena arena = {0};
    struct vz_typed_value value;
    struct vz_error err;
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(integers); i++) {
        if (!query_value(m, integers[i].path, integers[i].text, integers[i].round_up, &arena,
                         &value, &err) ||
            value.i64 != integers[i].want)
            fail_msg("%s %s: %s %lld", integers[i].path, integers[i].text, err.text,
                     (long long)value.i64);
    }
    assert_true(query_value(m, "da", "'now'", false, &arena, &value, &err));
    assert_true(llabs(value.i64 - vz_wall_ms()) < 60000);
    assert_true(query_value(m, "f", "0.1", false, &arena, &value, &err));
    assert_true(value.f64 == (double)0.1f && value.kind == VZ_COLUMN_F64);
    assert_true(query_value(m, "f", "1e300", false, &arena, &value, &err));
    assert_true(isinf(value.f64));
    assert_true(query_value(m, "k", "'longer than five'", false, &arena, &value, &err));
    assert_true(vz_slice_is(value.term, "longer than five"));
    assert_true(query_value(m, "al", "12", false, &arena, &value, &err));
    assert_true(vz_slice_is(value.term, "12"));
    assert_int_equal(value.field, vz_mapping_find(m, VZ_SLICE("k"))->id);
    assert_true(query_value(m, "g", "[1,2]", false, &arena, &value, &err));
    assert_true(value.geo.lat == 2 && value.geo.lon == 1);
    assert_false(query_value(m, "l", "'abc'", false, &arena, &value, &err));
    assert_int_equal(err.status, VZ_BAD_ARGUMENT);
    assert_string_equal(err.text, "For input string: \"abc\"");
    assert_false(query_value(m, "l", "{}", false, &arena, &value, &err));
    assert_int_equal(err.status, VZ_BAD_ARGUMENT);
    assert_false(query_value(m, "l", "null", false, &arena, &value, &err));
    assert_false(query_value(m, "t", "'x'", false, &arena, &value, &err));
    assert_int_equal(err.status, VZ_UNSUPPORTED);
    assert_false(query_value(m, "da", "'now+1x'", false, &arena, &value, &err));
    vz_arena_deinit(&arena);
    vz_mapping_release(m);
}

/* A write waits for its turn longer than the mapping it was read with may live: nothing of the
 * document lies in the mapping. */
static void values_outlive_the_mapping(void **state)
{
    (void)state;
    static const char source[] = "{\"ip\":\"::1\",\"n\":null,\"f\":{\"a\":null}}";
    struct vz_mapping *m = mapping_of(
        "{'properties':{'c':{'type':'constant_keyword','value':'fixed'},'ip':{'type':'ip'},"
        "'n':{'type':'keyword','null_value':'none'},'f':{'type':'flattened','null_value':'no'}}}");
    struct vz_arena arena = {0};
    struct vz_document doc;
    struct vz_error err = {0};
    assert_int_equal(vz_document_parse(m, VZ_SLICE("1"), vz_slice_from(source), &arena, &doc, &err),
                     VZ_OK);
    vz_mapping_release(m);
    assert_int_equal(doc.value_count, 5);
    static const char *const terms[] = {"fixed", "::1", "none", "no"};
    for (size_t i = 0; i < VZ_COUNT_OF(terms); i++)
        assert_true(vz_slice_is(doc.values[i].term, terms[i]));
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_outlive_the_mapping),
        cmocka_unit_test(coercions),
        cmocka_unit_test(geo_points),
        cmocka_unit_test(value_errors),
        cmocka_unit_test(long_keywords),
        cmocka_unit_test(many_keys_in_one_object),
        cmocka_unit_test(query_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
