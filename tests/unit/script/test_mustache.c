/* Mustache: the cases of its public specification as data of our own, and what Elasticsearch adds.
 */
#include "support.h"

#include "base/text.h"
#include "script/mustache.h"

struct example {
    const char *name, *template, *params, *want;
};

static struct vz_buf rendered(const char *template, const char *params,
                              enum vz_mustache_escape escape, enum vz_status *status,
                              struct vz_error *err)
{
    const struct vz_mustache_options options = {.escape = escape};
    struct vz_arena arena = {0};
    struct vz_mustache *compiled;
    struct vz_buf out = {0};
    *status = vz_mustache_compile(vz_slice_from(template), &options, &arena, &compiled, err);
    if (*status == VZ_OK) {
        const struct vz_mustache_scope scope = {.root = read_json(&arena, params)};
        *status = vz_mustache_render(compiled, &scope, 1 << 20, &out, err);
    }
    vz_arena_deinit(&arena);
    return out;
}

static void check(const struct example *list, size_t count, enum vz_mustache_escape escape)
{
    for (size_t i = 0; i < count; i++) {
        enum vz_status status;
        struct vz_error err = {0};
        struct vz_buf out = rendered(list[i].template, list[i].params, escape, &status, &err);
        if (status != VZ_OK)
            fail_msg("%s: %s", list[i].name, err.text);
        if (!vz_slice_is(vz_buf_slice(&out), list[i].want))
            fail_msg("%s: [%.*s], wanted [%s]", list[i].name, (int)out.len, out.data, list[i].want);
        vz_buf_deinit(&out);
    }
}

/* After the specification's files interpolation, sections, inverted, comments, delimiters; what it
 * escapes for HTML is escaped for JSON here. */
static void as_specified(void **state)
{
    static const struct example list[] = {
        {"no tags", "Hello from {Mustache}!\n", "{}", "Hello from {Mustache}!\n"},
        {"basic", "Hello, {{subject}}!\n", "{\"subject\":\"world\"}", "Hello, world!\n"},
        {"no rescan", "{{a}}: {{b}}", "{\"a\":\"{{b}}\",\"b\":\"no\"}", "{{b}}: no"},
        {"escaped", "{{f}}", "{\"f\":\"& \\\" < >\"}", "& \\\" < >"},
        {"triple", "{{{f}}}", "{\"f\":\"& \\\" < >\"}", "& \" < >"},
        {"ampersand", "{{&f}}", "{\"f\":\"& \\\" < >\"}", "& \" < >"},
        {"integer", "{{m}} miles", "{\"m\":85}", "85 miles"},
        {"decimal", "{{p}} jiggawatts", "{\"p\":1.21}", "1.21 jiggawatts"},
        {"null", "I ({{c}}) be", "{\"c\":null}", "I () be"},
        {"miss", "I ({{c}}) be", "{}", "I () be"},
        {"dotted", "{{person.name}} == {{#person}}{{name}}{{/person}}",
         "{\"person\":{\"name\":\"Joe\"}}", "Joe == Joe"},
        {"arbitrary depth", "{{a.b.c.d.e.name}}",
         "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"name\":\"Phil\"}}}}}}", "Phil"},
        {"broken chain", "\"{{a.b.c}}\" == \"\"", "{\"a\":{}}", "\"\" == \"\""},
        {"broken chain resolution", "\"{{a.b.c.name}}\"",
         "{\"a\":{\"b\":{}},\"c\":{\"name\":\"Jim\"}}", "\"\""},
        {"initial resolution", "{{#a}}{{b.c.d.e.name}}{{/a}}",
         "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"name\":\"Phil\"}}}}},"
         "\"b\":{\"c\":{\"d\":{\"e\":{\"name\":\"Wrong\"}}}}}",
         "Phil"},
        {"context precedence", "{{#a}}{{b.c}}{{/a}}", "{\"a\":{\"b\":{}},\"b\":{\"c\":\"ERROR\"}}",
         ""},
        {"implicit", "{{#l}}({{.}}){{/l}}", "{\"l\":[\"a\",1,1.5]}", "(a)(1)(1.5)"},
        {"surrounding white space", "| {{s}} |", "{\"s\":\"---\"}", "| --- |"},
        {"standalone variable", "  {{s}}\n", "{\"s\":\"---\"}", "  ---\n"},
        {"padding", "|{{ s }}|", "{\"s\":\"---\"}", "|---|"},
        /* sections */
        {"truthy", "\"{{#b}}This.{{/b}}\"", "{\"b\":true}", "\"This.\""},
        {"falsey", "\"{{#b}}This.{{/b}}\"", "{\"b\":false}", "\"\""},
        {"null is falsey", "\"{{#n}}This.{{/n}}\"", "{\"n\":null}", "\"\""},
        {"context", "\"{{#c}}Hi {{name}}.{{/c}}\"", "{\"c\":{\"name\":\"Joe\"}}", "\"Hi Joe.\""},
        {"parent contexts", "\"{{#sec}}{{a}}, {{b}}, {{c.d}}{{/sec}}\"",
         "{\"a\":\"foo\",\"b\":\"wrong\",\"sec\":{\"b\":\"bar\"},\"c\":{\"d\":\"baz\"}}",
         "\"foo, bar, baz\""},
        {"variable test", "\"{{#foo}}{{.}} is {{foo}}{{/foo}}\"", "{\"foo\":\"bar\"}",
         "\"bar is bar\""},
        {"list", "\"{{#list}}{{item}}{{/list}}\"",
         "{\"list\":[{\"item\":1},{\"item\":2},{\"item\":3}]}", "\"123\""},
        {"empty list", "\"{{#list}}Yay{{/list}}\"", "{\"list\":[]}", "\"\""},
        {"doubled", "{{#bool}}\n* first\n{{/bool}}\n* {{two}}\n{{#bool}}\n* third\n{{/bool}}\n",
         "{\"bool\":true,\"two\":\"second\"}", "* first\n* second\n* third\n"},
        {"nested truthy", "| A {{#b}}B {{#b}}C{{/b}} D{{/b}} E |", "{\"b\":true}", "| A B C D E |"},
        {"nested falsey", "| A {{#b}}B {{#b}}C{{/b}} D{{/b}} E |", "{\"b\":false}", "| A  E |"},
        {"context misses", "[{{#missing}}Found!{{/missing}}]", "{}", "[]"},
        {"nested lists", "\"{{#list}}({{#.}}{{.}}{{/.}}){{/list}}\"",
         "{\"list\":[[1,2,3],[\"a\",\"b\"]]}", "\"(123)(ab)\""},
        {"dotted truthy", "\"{{#a.b.c}}Here{{/a.b.c}}\"", "{\"a\":{\"b\":{\"c\":true}}}",
         "\"Here\""},
        {"dotted broken", "\"{{#a.b.c}}Here{{/a.b.c}}\"", "{\"a\":{}}", "\"\""},
        {"surrounding", " | {{#b}}\t|\t{{/b}} | \n", "{\"b\":true}", " | \t|\t | \n"},
        {"internal white space", " | {{#b}} {{! x }}\n {{/b}} | \n", "{\"b\":true}",
         " |  \n  | \n"},
        {"indented inline", " {{#b}}YES{{/b}}\n {{#b}}GOOD{{/b}}\n", "{\"b\":true}",
         " YES\n GOOD\n"},
        {"standalone lines", "| This Is\n{{#b}}\n|\n{{/b}}\n| A Line\n", "{\"b\":true}",
         "| This Is\n|\n| A Line\n"},
        {"indented standalone", "| This Is\n  {{#b}}\n|\n  {{/b}}\n| A Line\n", "{\"b\":true}",
         "| This Is\n|\n| A Line\n"},
        {"carriage returns", "|\r\n{{#b}}\r\n{{/b}}\r\n|", "{\"b\":true}", "|\r\n|"},
        {"standalone without a line before", "  {{#b}}\n#{{/b}}\n/", "{\"b\":true}", "#\n/"},
        {"standalone without a newline", "#{{#b}}\n/\n  {{/b}}", "{\"b\":true}", "#\n/\n"},
        {"section padding", "|{{# b }}={{/ b }}|", "{\"b\":true}", "|=|"},
        /* inverted */
        {"inverted falsey", "\"{{^b}}This.{{/b}}\"", "{\"b\":false}", "\"This.\""},
        {"inverted truthy", "\"{{^b}}This.{{/b}}\"", "{\"b\":true}", "\"\""},
        {"inverted list", "\"{{^l}}Yay{{/l}}\"", "{\"l\":[{\"n\":1}]}", "\"\""},
        {"inverted empty list", "\"{{^l}}Yay{{/l}}\"", "{\"l\":[]}", "\"Yay\""},
        {"inverted miss", "[{{^m}}Cannot find key!{{/m}}]", "{}", "[Cannot find key!]"},
        {"inverted dotted", "\"{{^a.b.c}}Not Here{{/a.b.c}}\"", "{\"a\":{\"b\":{\"c\":false}}}",
         "\"Not Here\""},
        /* comments */
        {"inline comment", "12345{{! Comment! }}67890", "{}", "1234567890"},
        {"multiline comment", "12345{{!\n of two\n lines\n}}67890\n", "{}", "1234567890\n"},
        {"standalone comment", "Begin.\n  {{! block }}\nEnd.\n", "{}", "Begin.\nEnd.\n"},
        {"a comment at the end", "!\n  {{! alone }}", "{}", "!\n"},
        {"no line of its own", "  12 {{! 34 }}\n", "{}", "  12 \n"},
        /* delimiters */
        {"pair", "{{=<% %>=}}(<%text%>)", "{\"text\":\"Hey!\"}", "(Hey!)"},
        {"special characters", "({{=[ ]=}}[text])", "{\"text\":\"It worked!\"}", "(It worked!)"},
        {"sections with others",
         "[\n{{#section}}\n  {{data}}\n  |data|\n{{/section}}\n\n{{= | | =}}\n|#section|\n  "
         "{{data}}\n  |data|\n|/section|\n]\n",
         "{\"section\":true,\"data\":\"I got interpolated.\"}",
         "[\n  I got interpolated.\n  |data|\n\n  {{data}}\n  I got interpolated.\n]\n"},
        {"standalone delimiters", "Begin.\n{{=@ @=}}\nEnd.\n", "{}", "Begin.\nEnd.\n"},
        {"back again", "{{=<% %>=}}<%a%><%={{ }}=%>{{a}}", "{\"a\":1}", "11"},
    };
    check(list, VZ_COUNT_OF(list), VZ_MUSTACHE_JSON);
}

static void as_elasticsearch(void **state)
{
    static const struct example list[] = {
        {"default", "{{size}}{{^size}}10{{/size}}", "{}", "10"},
        {"given", "{{size}}{{^size}}10{{/size}}", "{\"size\":5}", "5"},
        {"zero is something", "{{#n}}{{n}}{{/n}}{{^n}}none{{/n}}", "{\"n\":0}", "0"},
        {"an empty text is nothing", "{{#n}}x{{/n}}{{^n}}none{{/n}}", "{\"n\":\"\"}", "none"},
        {"toJson of a list", "{\"terms\":{{#toJson}}s{{/toJson}}}",
         "{\"s\":[\"a\\\"b\",{\"c\":null},1.0]}", "{\"terms\":[\"a\\\"b\",{\"c\":null},1.0]}"},
        {"toJson of a text", "{{#toJson}}s{{/toJson}}", "{\"s\":\"a\\\"b\"}", "a\"b"},
        {"toJson of nothing", "[{{#toJson}}s{{/toJson}}]", "{}", "[]"},
        {"toJson by a path", "{{#toJson}}a.0.b{{/toJson}}", "{\"a\":[{\"b\":{\"c\":1}}]}",
         "{\"c\":1}"},
        {"TOJSON", "{{#tojson}}s{{/tojson}}", "{\"s\":{\"a\":1}}", "{\"a\":1}"},
        {"join", "{{#join}}e{{/join}}", "{\"e\":[\"a\",\"b\",1]}", "a,b,1"},
        {"join by", "{{#join delimiter='||'}}e{{/join delimiter='||'}}", "{\"e\":[1,2]}", "1||2"},
        {"join by nothing", "{{#join delimiter=''}}e{{/join delimiter=''}}", "{\"e\":[1,2]}", "12"},
        {"join of no list", "{{#join}}e{{/join}}", "{\"e\":\"x\"}", "e"},
        {"url", "{{#url}}{{host}}/{{page}} a{{/url}}",
         "{\"host\":\"https://www.example.com\",\"page\":\"ü.html\"}",
         "https%3A%2F%2Fwww.example.com%2F%C3%BC.html+a"},
        {"places of a list", "{{l.0}}{{l.2}}{{l.9}}{{l.x}}/{{l.size}}", "{\"l\":[1,2,3]}", "13/3"},
        {"control characters", "{{t}}", "{\"t\":\"a\\n\\t\\u0001\\\\\"}", "a\\n\\t\\u0001\\\\"},
        {"maps as Java has them", "{{{m}}} {{{l}}}",
         "{\"m\":{\"a\":1,\"b\":[true]},\"l\":[1,null]}", "{a=1, b=[true]} [1, null]"},
    };
    check(list, VZ_COUNT_OF(list), VZ_MUSTACHE_JSON);
    static const struct example plain[] = {{"plain", "{{t}}", "{\"t\":\"a\\\"b\"}", "a\"b"}};
    check(plain, VZ_COUNT_OF(plain), VZ_MUSTACHE_PLAIN);
    static const struct example url[] = {{"url", "{{t}}{{{t}}}", "{\"t\":\"a b&\"}", "a+b%26a b&"}};
    check(url, VZ_COUNT_OF(url), VZ_MUSTACHE_URL);
}

static void refuses(const char *template, enum vz_status wanted, const char *part)
{
    enum vz_status status;
    struct vz_error err = {0};
    struct vz_buf out = rendered(template, "{}", VZ_MUSTACHE_JSON, &status, &err);
    if (status != wanted || !strstr(err.text, part))
        fail_msg("%s: %s [%s], wanted [%s]", template, vz_status_name(status), err.text, part);
    vz_buf_deinit(&out);
}

static void what_is_none(void **state)
{
    refuses("{{a", VZ_BAD_ARGUMENT, "Improperly closed variable");
    refuses("{{", VZ_BAD_ARGUMENT, "Improperly closed variable");
    refuses("{{{a}}", VZ_BAD_ARGUMENT, "Improperly closed variable");
    refuses("{{{", VZ_BAD_ARGUMENT, "Improperly closed variable");
    refuses("{{=", VZ_BAD_ARGUMENT, "Improperly closed variable");
    refuses("{{}}", VZ_BAD_ARGUMENT, "Empty mustache");
    refuses("{{#}}{{/}}", VZ_BAD_ARGUMENT, "a section has no name");
    refuses("{{#a}}", VZ_BAD_ARGUMENT, "Failed to close 'a' tag");
    refuses("{{/a}}", VZ_BAD_ARGUMENT, "Mismatched start/end tags: null != a");
    refuses("{{#a}}{{#b}}{{/a}}{{/b}}", VZ_BAD_ARGUMENT, "Mismatched start/end tags: b != a");
    refuses("{{>a}}", VZ_BAD_ARGUMENT, "partial");
    refuses("{{=a=}}", VZ_BAD_ARGUMENT, "Invalid delimiter");
    refuses("{{=aaaaaaaaaaaaaaaaaaaaaaaaaa b=}}", VZ_BAD_ARGUMENT, "Invalid delimiter");
    refuses("{{#toJson}}{{a}}{{/toJson}}", VZ_BAD_ARGUMENT, "one and only one identifier");
    refuses("{{#join}}{{/join}}", VZ_BAD_ARGUMENT, "one and only one identifier");
    struct vz_buf deep = {0};
    for (int i = 0; i <= VZ_MUSTACHE_MAX_DEPTH; i++)
        vz_buf_append_str(&deep, "{{^a}}");
    refuses(deep.data, VZ_LIMIT, "nested deeper");
    vz_buf_deinit(&deep);
}

static void bounds(void **state)
{
    struct vz_arena arena = {0};
    struct vz_mustache *template;
    struct vz_error err = {0};
    struct vz_buf out = {0};
    const struct vz_mustache_scope scope = {
        .root = read_json(&arena, "{\"a\":[1,2,3,4,5,6,7,8,9,10],\"t\":\"0123456789\"}")};
    /* 10 ^ 7 passes */
    assert_int_equal(
        vz_mustache_compile(
            VZ_SLICE("{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{!}}{{/a}}{{/a}}{{/a}}{{/a}}"
                     "{{/a}}{{/a}}{{/a}}"),
            NULL, &arena, &template, &err),
        VZ_OK);
    assert_int_equal(vz_mustache_render(template, &scope, 1 << 20, &out, &err), VZ_LIMIT);
    assert_int_equal(vz_mustache_compile(VZ_SLICE("{{#a}}{{#a}}{{t}}{{/a}}{{/a}}"), NULL, &arena,
                                         &template, &err),
                     VZ_OK);
    vz_buf_clear(&out);
    assert_int_equal(vz_mustache_render(template, &scope, 999, &out, &err), VZ_LIMIT);
    vz_buf_clear(&out);
    assert_int_equal(vz_mustache_render(template, &scope, 1000, &out, &err), VZ_OK);
    assert_int_equal(out.len, 1000);
    vz_buf_deinit(&out);
    vz_arena_deinit(&arena);
}

/* A long delimiter between many items is bounded while it is written, not behind it. */
static void join_is_bounded(void **state)
{
    (void)state;
    struct vz_buf text = {0}, params = {0}, out = {0};
    struct vz_arena arena = {0};
    struct vz_mustache *template;
    struct vz_error err = {0};
    vz_buf_append_str(&text, "{{#join delimiter='");
    for (int i = 0; i < 100000; i++)
        vz_buf_append_char(&text, ';');
    vz_buf_append_str(&text, "'}}l{{/join delimiter='");
    for (int i = 0; i < 100000; i++)
        vz_buf_append_char(&text, ';');
    vz_buf_append_str(&text, "'}}");
    vz_buf_append_str(&params, "{\"l\":[0");
    for (int i = 0; i < 1000; i++)
        vz_buf_append_str(&params, ",1");
    vz_buf_append_str(&params, "]}");
    assert_int_equal(vz_mustache_compile(vz_buf_slice(&text), NULL, &arena, &template, &err),
                     VZ_OK);
    const struct vz_mustache_scope scope = {.root = read_json(&arena, params.data)};
    assert_int_equal(vz_mustache_render(template, &scope, 1000, &out, &err), VZ_LIMIT);
    assert_true(out.len < 300000);
    vz_buf_deinit(&out);
    vz_buf_deinit(&text);
    vz_buf_deinit(&params);
    vz_arena_deinit(&arena);
}

/* Any bytes either compile or do not; what compiles renders or says why not. */
static void noise(void **state)
{
    static const char *const pieces[] = {
        "{{", "}}", "{{{", "}}}", "#a", "/a",     "^a",   "a",      ".",      "\n",          " ",
        "=",  "!",  "&",   "<%",  "%>", "toJson", "join", "{{#a}}", "{{/a}}", "{{=<% %>=}}", "x"};
    uint64_t seed = 20261120;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        enum vz_status status;
        struct vz_error err = {0};
        for (int i = 0; i < 12; i++)
            strcat(text, pieces[vz_rng_next(&seed) % VZ_COUNT_OF(pieces)]);
        struct vz_buf out =
            rendered(text, "{\"a\":[{\"b\":1},\"c\"]}", VZ_MUSTACHE_JSON, &status, &err);
        if (status != VZ_OK && !err.text[0])
            fail_msg("no reason: %s", text);
        vz_buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_specified),    cmocka_unit_test(as_elasticsearch),
        cmocka_unit_test(what_is_none),    cmocka_unit_test(bounds),
        cmocka_unit_test(join_is_bounded), cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
