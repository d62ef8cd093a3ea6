/* Documents: coercions by type, arrays, nulls, geo, vectors and the cut source, dynamic fields,
 * every error by its words, query values, and damaged bytes. */
#include "base/clock.h"
#include "base/text.h"
#include "store/document.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ' stands for " in the texts here. */
static char *json_text(const char *text)
{
    char *json = vz_strdup(text);
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return json;
}

static struct vz_mapping *merge_text(const struct vz_mapping *base, struct vz_slice json)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_mapping *mapping = NULL;
    struct vz_error err = {0};
    if (vz_json_parse(json, &doc, &root, &err) != VZ_OK)
        fail_msg("mapping: %s in %.*s", err.text, (int)json.len, json.ptr);
    if (vz_mapping_merge(base, root, &mapping, &err) != VZ_OK)
        fail_msg("mapping: %s in %.*s", err.text, (int)json.len, json.ptr);
    vz_json_free(doc);
    return mapping;
}

static struct vz_mapping *mapping_of(const char *text)
{
    char *json = json_text(text);
    struct vz_mapping *mapping = merge_text(NULL, vz_slice_from(json));
    free(json);
    return mapping;
}

/* "field=value field=value" of what a document gave. */
static void describe(const struct vz_mapping *mapping, const struct vz_document *doc,
                     struct vz_buf *out)
{
    for (size_t i = 0; i < doc->value_count; i++) {
        const struct vz_typed_value *v = &doc->values[i];
        const struct vz_field *field = vz_mapping_field(mapping, v->field);
        assert_int_equal(field->column, v->kind);
        assert_false(field->under_nested);
        if (i)
            assert_true(doc->values[i - 1].field <= v->field);
        vz_buf_printf(out, "%s%.*s=", i ? " " : "", (int)field->path.len, field->path.ptr);
        switch (v->kind) {
        case VZ_COLUMN_I64:
            vz_buf_printf(out, "%lld", (long long)v->i64);
            break;
        case VZ_COLUMN_F64:
            vz_buf_printf(out, "%.9g", v->f64);
            break;
        case VZ_COLUMN_ORDINAL:
            vz_buf_printf(out, "%.*s", (int)v->term.len, v->term.ptr);
            break;
        case VZ_COLUMN_GEO:
            vz_buf_printf(out, "%.6g,%.6g", v->geo.lat, v->geo.lon);
            break;
        default:
            vz_buf_append_str(out, "yes");
        }
    }
    vz_buf_append_str(out, "");
}

struct parsed {
    struct vz_arena arena;
    struct vz_document doc;
    struct vz_error err;
    enum vz_status status;
    char *text;
};

static struct parsed parse(const struct vz_mapping *mapping, const char *text)
{
    struct parsed p = {0};
    p.text = json_text(text);
    p.status =
        vz_document_parse(mapping, VZ_SLICE("7"), vz_slice_from(p.text), &p.arena, &p.doc, &p.err);
    return p;
}

static void done(struct parsed *p)
{
    vz_arena_deinit(&p->arena);
    free(p->text);
}

static void expect_values(const struct vz_mapping *mapping, const char *text, const char *values)
{
    struct parsed p = parse(mapping, text);
    struct vz_buf out = {0};
    if (p.status != VZ_OK)
        fail_msg("%s: %s (%s)", text, p.err.text, p.err.cause);
    describe(mapping, &p.doc, &out);
    if (strcmp(out.data ? out.data : "", values) != 0)
        fail_msg("%s\n  gave [%s]\n  want [%s]", text, out.data, values);
    if (p.doc.vector_count == 0)
        assert_true(p.doc.source.ptr == p.text); /* borrowed, not copied */
    vz_buf_deinit(&out);
    done(&p);
}

static void expect_error(const struct vz_mapping *mapping, const char *text, enum vz_status status,
                         const char *message, const char *cause)
{
    struct parsed p = parse(mapping, text);
    if (p.status == VZ_OK)
        fail_msg("was taken: %s", text);
    if (p.status != status || p.err.status != status || !strstr(p.err.text, message) ||
        (cause && !strstr(p.err.cause, cause)))
        fail_msg("%s\n  gave %s: %s (%s)\n  want %s: %s (%s)", text, vz_status_name(p.status),
                 p.err.text, p.err.cause, vz_status_name(status), message, cause ? cause : "-");
    done(&p);
}

static void expect_new_fields(const struct vz_mapping *mapping, const char *text,
                              const char *fields)
{
    struct parsed p = parse(mapping, text);
    char *want = json_text(fields);
    if (p.status != VZ_OK)
        fail_msg("%s: %s", text, p.err.text);
    if (!vz_slice_is(p.doc.new_fields, want))
        fail_msg("%s\n  gave %.*s\n  want %s", text, (int)p.doc.new_fields.len,
                 p.doc.new_fields.ptr, want);
    if (p.doc.new_fields.len) {
        /* Merged and read again, nothing is new. */
        struct vz_mapping *next = merge_text(mapping, p.doc.new_fields);
        struct parsed again = parse(next, text);
        if (again.status != VZ_OK)
            fail_msg("%s: second reading: %s (%s)", text, again.err.text, again.err.cause);
        assert_int_equal(again.doc.new_fields.len, 0);
        done(&again);
        vz_mapping_release(next);
    }
    free(want);
    done(&p);
}

/* ---- values ------------------------------------------------------------------------------- */

static const char all_types[] =
    "{'dynamic':'strict','properties':{'k':{'type':'keyword','ignore_above':5},"
    "'t':{'type':'text','fields':{'raw':{'type':'keyword'},'n':{'type':'long',"
    "'ignore_malformed':true}}},'l':{'type':'long'},'i':{'type':'integer'},'s':{'type':'short'},"
    "'b':{'type':'byte'},'ul':{'type':'unsigned_long'},'d':{'type':'double'},"
    "'f':{'type':'float'},'h':{'type':'half_float'},'bo':{'type':'boolean'},"
    "'da':{'type':'date'},'dd':{'type':'date','format':'dd.MM.yyyy'},'g':{'type':'geo_point'},"
    "'bin':{'type':'binary'},'strict':{'type':'integer','coerce':false},"
    "'lax':{'type':'integer','ignore_malformed':true},"
    "'nul':{'type':'keyword','null_value':'NONE'},'nuli':{'type':'long','null_value':-7},"
    "'nulg':{'type':'geo_point','null_value':'1,2'},'al':{'type':'alias','path':'k'},"
    "'nod':{'type':'long','index':false,'doc_values':false},"
    "'o':{'properties':{'x':{'type':'long'},'y':{'type':'keyword'}}},"
    "'off':{'type':'object','enabled':false},"
    "'n':{'type':'nested','properties':{'x':{'type':'long'},'z':{'type':'text'}}}}}";

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

/* ---- dynamic ------------------------------------------------------------------------------ */

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
        uint64_t start = vz_now_ns();
        struct parsed p = parse(m, text.data);
        assert_true(vz_now_ns() - start < 20000000000ull);
        assert_int_equal(p.status, len > 2048 ? VZ_BAD_DOCUMENT : VZ_OK);
        assert_true(p.arena.total_bytes < 100000);
        done(&p);
        vz_buf_deinit(&text);
    }
    vz_mapping_release(m);
}

/* ---- vectors ------------------------------------------------------------------------------ */

static const char vector_types[] =
    "{'properties':{'k':{'type':'keyword'},'c':{'type':'dense_vector','dims':3},"
    "'d':{'type':'dense_vector','dims':3,'similarity':'dot_product'},"
    "'l':{'type':'dense_vector','dims':3,'similarity':'l2_norm'},"
    "'m':{'type':'dense_vector','dims':3,'similarity':'max_inner_product'},"
    "'off':{'type':'dense_vector','dims':3,'index':false},"
    "'o':{'properties':{'c':{'type':'dense_vector','dims':2}}},"
    "'n':{'type':'nested','properties':{'c':{'type':'dense_vector','dims':2},'t':{'type':"
    "'keyword'}}}}}";

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

/* ---- damaged bytes ------------------------------------------------------------------------ */

/* Everything that must hold of any document that was taken. */
static void check_document(const struct vz_mapping *m, const struct vz_document *doc)
{
    struct vz_json_doc *json;
    struct vz_json root;
    struct vz_buf out = {0};
    struct vz_error err = {0};
    if (vz_json_parse(doc->source, &json, &root, &err) != VZ_OK)
        fail_msg("the cut source is no JSON: %s: %.*s", err.text, (int)doc->source.len,
                 doc->source.ptr);
    vz_json_free(json);
    describe(m, doc, &out);
    vz_buf_deinit(&out);
    for (size_t i = 0; i < doc->vector_count; i++) {
        const struct vz_doc_vector *v = &doc->vectors[i];
        assert_true(v->offset + 4 <= doc->source.len);
        assert_memory_equal(doc->source.ptr + v->offset, "null", 4);
        assert_true(i == 0 || v->offset > doc->vectors[i - 1].offset);
        double norm = 0;
        for (uint32_t d = 0; d < v->dims; d++)
            norm += (double)v->floats[d] * (double)v->floats[d];
        assert_true(isfinite(norm));
        if (vz_mapping_field(m, v->field)->similarity == VZ_COSINE)
            assert_true(fabs(norm - 1) < 1e-5);
    }
    if (doc->new_fields.len) {
        /* It can be merged, or is over a limit, or names what cannot be. */
        struct vz_mapping *next = NULL;
        assert_int_equal(vz_json_parse(doc->new_fields, &json, &root, &err), VZ_OK);
        if (vz_mapping_merge(m, root, &next, &err) == VZ_OK)
            vz_mapping_release(next);
        vz_json_free(json);
    }
}

static void mutated_documents(void **state)
{
    static const char *const seeds[] = {
        "{'dog_id':'17','breed':'Jack Russel','c':[0.1,-0.2,3e-1],'exif':{'date':'2024-05-06T07:08:"
        "09','location':{'lat':52.1,'lon':13.2}},'n':[{'c':[1,2],'t':'a'},{'c':[3,4]}]}",
        "{'o.c':[1,2],'k':['a\\\"b','\\u00e4',null,1.0],'l':[1,2,3],'off':[1,2,3],'x':{'y':[{'z':"
        "true},{'z':false}]}}",
        "{'d':[0.6,0.8,0],'m':[1,2,3] , 'o' : [ { 'c' : [ 9 , 8 ] } , { } ] , '': {} }",
        "{'a.b.c':1,'a':{'b':{'d':'2024-01-01'}},'g':'1,2','e':[[[]]],'f':1e999}",
    };
    static const char alphabet[] = "\"\\{}[]:,.0123456789eE+-truefalsn _\n\t'\xC3\xA4\xFF\x01";
    const char *asked = getenv("VIZSLA_SEED");
    uint64_t seed = asked ? strtoull(asked, NULL, 10) : vz_now_ns();
    struct vz_mapping *m = mapping_of(vector_types);
    size_t taken = 0, rounds = 60000;
    (void)state;
    print_message("VIZSLA_SEED=%llu\n", (unsigned long long)seed);
    for (size_t round = 0; round < rounds; round++) {
        char *base = json_text(seeds[round % VZ_COUNT_OF(seeds)]);
        size_t len = strlen(base), changes = vz_rng_next(&seed) % 4;
        /* An exact block, so that a read past its end is seen. */
        char *text = vz_alloc(len + 8);
        memcpy(text, base, len);
        for (size_t i = 0; i < changes && len > 2; i++) {
            size_t at = vz_rng_next(&seed) % len;
            char c = alphabet[vz_rng_next(&seed) % (sizeof alphabet - 1)];
            switch (vz_rng_next(&seed) % 3) {
            case 0:
                text[at] = c;
                break;
            case 1:
                memmove(text + at, text + at + 1, --len - at);
                break;
            default:
                memmove(text + at + 1, text + at, len++ - at);
                text[at] = c;
            }
        }
        char *exact = vz_alloc(len);
        memcpy(exact, text, len);
        struct vz_arena arena = {0};
        struct vz_document doc;
        struct vz_error err = {0};
        enum vz_status status =
            vz_document_parse(m, VZ_SLICE("7"), (struct vz_slice){exact, len}, &arena, &doc, &err);
        if (status == VZ_OK) {
            taken++;
            check_document(m, &doc);
        } else {
            assert_true(err.status == status && err.text[0]);
        }
        vz_arena_deinit(&arena);
        free(exact);
        free(text);
        free(base);
    }
    print_message("%zu of %zu taken\n", taken, rounds);
    assert_true(taken > rounds / 20); /* else the mutations test only the JSON parser */
    vz_mapping_release(m);
}

/* Random documents with vectors in random places: putting the arrays back gives the text. */
static void spaces(struct vz_buf *out, uint64_t *seed)
{
    for (uint64_t n = vz_rng_next(seed) % 3; n; n--)
        vz_buf_append_char(out, " \n\t\r"[vz_rng_next(seed) % 4]);
}

static void random_value(struct vz_buf *out, uint64_t *seed, int depth)
{
    static const char *const atoms[] = {"1",         "-2.50",       "1E+2",       "true",
                                        "null",      "\"\"",        "\"a\\\"]\"", "\"\\\\\"",
                                        "\"[1,2]\"", "\"\\u005b\"", "[ ]",        "{ }"};
    uint64_t pick = vz_rng_next(seed) % (depth > 3 ? 12 : 16);
    if (pick < 12) {
        vz_buf_append_str(out, atoms[pick]);
        return;
    }
    bool object = pick & 1;
    vz_buf_append_char(out, object ? '{' : '[');
    for (uint64_t i = 0, n = vz_rng_next(seed) % 4; i < n; i++) {
        if (i)
            vz_buf_append_char(out, ',');
        spaces(out, seed);
        if (object)
            vz_buf_printf(out, "\"x%llu\":", (unsigned long long)i);
        random_value(out, seed, depth + 1);
        spaces(out, seed);
    }
    vz_buf_append_char(out, object ? '}' : ']');
}

static void random_documents_keep_their_bytes(void **state)
{
    const char *asked = getenv("VIZSLA_SEED");
    uint64_t seed = asked ? strtoull(asked, NULL, 10) : vz_now_ns();
    struct vz_mapping *m =
        mapping_of("{'dynamic':false,'properties':{'n':{'type':'nested','properties':{'v':{'type':"
                   "'dense_vector','dims':4,'similarity':'l2_norm'}}}}}");
    (void)state;
    print_message("VIZSLA_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 3000; round++) {
        struct vz_buf text = {0}, arrays = {0}, back = {0};
        size_t lens[8], count = vz_rng_next(&seed) % 8, used = 0;
        vz_buf_append_str(&text, "{\"p\":");
        random_value(&text, &seed, 0);
        vz_buf_append_str(&text, ",\"n\" : [");
        for (size_t i = 0; i < count; i++) {
            vz_buf_append_str(&text, i ? ",{" : "{");
            spaces(&text, &seed);
            vz_buf_append_str(&text, "\"y\":");
            random_value(&text, &seed, 1);
            vz_buf_append_str(&text, ",\"v\" :");
            spaces(&text, &seed);
            size_t start = text.len;
            vz_buf_append_str(&text, "[");
            for (int d = 0; d < 4; d++) {
                spaces(&text, &seed);
                vz_buf_printf(&text, "%s%.6g", d ? "," : "", vz_rng_normal(&seed));
                spaces(&text, &seed);
            }
            vz_buf_append_str(&text, "]");
            lens[i] = text.len - start;
            vz_buf_append(&arrays, text.data + start, lens[i]);
            spaces(&text, &seed);
            vz_buf_append_str(&text, "}");
        }
        vz_buf_append_str(&text, "] }");
        struct vz_arena arena = {0};
        struct vz_document doc;
        struct vz_error err = {0};
        if (vz_document_parse(m, VZ_SLICE("7"), vz_buf_slice(&text), &arena, &doc, &err) != VZ_OK)
            fail_msg("%s: %s", err.text, text.data);
        assert_int_equal(doc.vector_count, count);
        size_t from = 0;
        for (size_t i = 0; i < count; i++) {
            vz_buf_append(&back, doc.source.ptr + from, doc.vectors[i].offset - from);
            vz_buf_append(&back, arrays.data + used, lens[i]);
            used += lens[i];
            from = doc.vectors[i].offset + 4;
        }
        vz_buf_append(&back, doc.source.ptr + from, doc.source.len - from);
        assert_string_equal(back.data, text.data);
        vz_arena_deinit(&arena);
        vz_buf_deinit(&text);
        vz_buf_deinit(&arrays);
        vz_buf_deinit(&back);
    }
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
        cmocka_unit_test(dynamic_fields),
        cmocka_unit_test(dynamic_off_and_strict),
        cmocka_unit_test(dynamic_vectors),
        cmocka_unit_test(the_first_vector_sets_the_dims),
        cmocka_unit_test(a_document_with_too_many_new_fields),
        cmocka_unit_test(long_names),
        cmocka_unit_test(cut_sources),
        cmocka_unit_test(lengths),
        cmocka_unit_test(long_vectors_become_unit_length),
        cmocka_unit_test(vector_errors),
        cmocka_unit_test(query_values),
        cmocka_unit_test(mutated_documents),
        cmocka_unit_test(random_documents_keep_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
