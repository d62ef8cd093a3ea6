/* Each processor: what it makes, and what it says when it cannot. */
#include "support.h"

static void set_works(void **state)
{
    becomes("{'set': {'field': 'a.b', 'value': 1}}", "{}", "{'a': {'b': 1}}");
    becomes("{'set': {'field': 'a', 'value': '{{x}} and {{{y.z}}}'}}",
            "{'x': 1.5, 'y': {'z': 'q'}}", "{'x': 1.5, 'y': {'z': 'q'}, 'a': '1.5 and q'}");
    becomes("{'set': {'field': '{{x}}', 'value': null}}", "{'x': 'k'}", "{'x': 'k', 'k': null}");
    becomes("{'set': {'field': 'a', 'value': {'deep': ['{{x}}', 2]}}}", "{'x': 'k'}",
            "{'x': 'k', 'a': {'deep': ['k', 2]}}");
    becomes("{'set': {'field': 'a', 'copy_from': 'x'}}, {'set': {'field': 'a.y', 'value': 2}}",
            "{'x': {'y': 1}}", "{'x': {'y': 1}, 'a': {'y': 2}}");
    becomes("{'set': {'field': 'a', 'value': 2, 'override': false}}", "{'a': 1}", "{'a': 1}");
    becomes("{'set': {'field': 'a', 'value': 2, 'override': false}}", "{'a': null}", "{'a': 2}");
    becomes("{'set': {'field': 'a', 'value': '{{x}}', 'ignore_empty_value': true}}", "{}", "{}");
    becomes("{'set': {'field': 'a', 'copy_from': 'x', 'ignore_empty_value': true}}", "{}", "{}");
    becomes("{'set': {'field': 'l.1', 'value': 9}}", "{'l': [1, 2]}", "{'l': [1, 9]}");
    becomes("{'set': {'field': 'a', 'value': '{{_index}}/{{_id}}'}}", "{}", "{'a': 'dogs/1'}");
    becomes("{'set': {'field': '_source.a', 'value': 1}}", "{}", "{'a': 1}");
    fails("{'set': {'field': 'a', 'copy_from': 'x'}}", "{}",
          "field [x] not present as part of path [x]");
    fails("{'set': {'field': 'a.b', 'value': 1}}", "{'a': 'text'}",
          "cannot set [b] with parent object of type [java.lang.String] as part of path [a.b]");
    fails("{'set': {'field': 'a.b.c', 'value': 1}}", "{'a': 3}",
          "cannot resolve [b] from object of type [java.lang.Integer] as part of path [a.b.c]");
    fails("{'set': {'field': 'l.5', 'value': 9}}", "{'l': [1, 2]}",
          "[5] is out of bounds for array with length [2] as part of path [l.5]");
    fails("{'set': {'field': 'l.x', 'value': 9}}", "{'l': [1, 2]}",
          "[x] is not an integer, cannot be used as an index as part of path [l.x]");
    refused("{'set': {'value': 1}}", "field", "[field] required property is missing");
    refused("{'set': {'field': 'a'}}", "value", "[value] required property is missing");
    refused("{'set': {'field': 1, 'value': 1}}", "field",
            "[field] property isn't a string, but of type [java.lang.Integer]");
    refused("{'set': {'field': 'a', 'value': 1, 'override': 'x'}}", "override",
            "[override] property isn't a boolean, but of type [java.lang.String]");
    refused("{'set': {'field': 'a', 'value': 1, 'foo': 1, 'bar': 2}}", NULL,
            "processor [set] doesn't support one or more provided configuration parameters "
            "[foo, bar]");
    refused("{'set': {'field': 'a', 'value': '{{>x}}'}}", "value", "are not supported");
    refused("{'set': {'field': 'a', 'value': '{{#x}}1'}}", "value", "Failed to close");
    refused("{'set': {'field': 'a', 'value': '{{x'}}", "value", "Improperly closed variable");
    refused("{'nonsense': {}}", NULL, "No processor type exists with name [nonsense]");
    refused("{'geoip': {'field': 'ip'}}", NULL, "the processor [geoip] is not supported");
}

static void append_works(void **state)
{
    becomes("{'append': {'field': 'a', 'value': [1, 2]}}", "{'a': 0}", "{'a': [0, 1, 2]}");
    becomes("{'append': {'field': 'a', 'value': 'x'}}", "{}", "{'a': ['x']}");
    becomes("{'append': {'field': 'a', 'value': ['{{y}}', 'z'], 'allow_duplicates': false}}",
            "{'a': ['x', 'z'], 'y': 'x'}", "{'a': ['x', 'z'], 'y': 'x'}");
    becomes("{'append': {'field': 'a', 'value': 1, 'allow_duplicates': false}}", "{'a': 1}",
            "{'a': 1}");
    becomes("{'append': {'field': 'a', 'copy_from': 'b'}}", "{'a': [1], 'b': [2, 3]}",
            "{'a': [1, 2, 3], 'b': [2, 3]}");
    becomes("{'append': {'field': 'a', 'value': ['', 'k'], 'ignore_empty_values': true}}", "{}",
            "{'a': ['k']}");
    refused("{'append': {'field': 'a'}}", "value", "[value] required property is missing");
}

static void remove_and_rename_work(void **state)
{
    becomes("{'remove': {'field': 'a'}}", "{'a': 1, 'b': 2}", "{'b': 2}");
    becomes("{'remove': {'field': ['a', 'b.c', '{{n}}']}}",
            "{'a': 1, 'b': {'c': 1, 'd': 2}, 'n': 'e', 'e': 1}", "{'b': {'d': 2}, 'n': 'e'}");
    becomes("{'remove': {'field': ['a', 'x.y'], 'ignore_missing': true}}", "{'a': 1}", "{}");
    becomes("{'remove': {'keep': ['a', 'b.c']}}", "{'a': {'q': 1}, 'b': {'c': 1, 'd': 2}, 'e': 1}",
            "{'a': {'q': 1}, 'b': {'c': 1}}");
    becomes("{'remove': {'field': 'l.0'}}", "{'l': [1, 2]}", "{'l': [2]}");
    fails("{'remove': {'field': 'a.b'}}", "{'a': {}}",
          "field [b] not present as part of path [a.b]");
    refused("{'remove': {}}", "keep", "must be specified");
    refused("{'remove': {'field': 'a', 'keep': 'b'}}", "keep", "Too many fields");

    becomes("{'rename': {'field': 'a', 'target_field': 'b.c'}}", "{'a': 1}", "{'b': {'c': 1}}");
    becomes("{'rename': {'field': 'a', 'target_field': 'b', 'ignore_missing': true}}", "{}", "{}");
    becomes("{'rename': {'field': 'a', 'target_field': 'b', 'override': true}}", "{'a': 1, 'b': 2}",
            "{'b': 1}");
    becomes("{'rename': {'field': 'a', 'target_field': 'b.c', 'ignore_failure': true}}",
            "{'a': 1, 'b': 2}", "{'a': 1, 'b': 2}");
    fails("{'rename': {'field': 'a', 'target_field': 'b'}}", "{}", "field [a] doesn't exist");
    fails("{'rename': {'field': 'a', 'target_field': 'b'}}", "{'a': 1, 'b': 2}",
          "field [b] already exists");
}

static void convert_works(void **state)
{
    becomes("{'convert': {'field': 'a', 'type': 'integer'}}", "{'a': '12'}", "{'a': 12}");
    becomes("{'convert': {'field': 'a', 'type': 'integer'}}", "{'a': '-0x1F'}", "{'a': -31}");
    becomes("{'convert': {'field': 'a', 'type': 'long'}}", "{'a': ['1', '9999999999']}",
            "{'a': [1, 9999999999]}");
    becomes("{'convert': {'field': 'a', 'type': 'float'}}", "{'a': '0.1'}", "{'a': 0.1}");
    becomes("{'convert': {'field': 'a', 'type': 'double'}}", "{'a': '1e3'}", "{'a': 1000.0}");
    becomes("{'convert': {'field': 'a', 'type': 'string', 'target_field': 'b'}}", "{'a': 1}",
            "{'a': 1, 'b': '1'}");
    becomes("{'convert': {'field': 'a', 'type': 'boolean'}}", "{'a': 'TRUE'}", "{'a': true}");
    becomes("{'convert': {'field': 'a', 'type': 'ip'}}", "{'a': '::1'}", "{'a': '::1'}");
    becomes("{'convert': {'field': 'a', 'type': 'auto'}}", "{'a': ['true', '7', '1.5', 'x', 3]}",
            "{'a': [true, 7, 1.5, 'x', 3]}");
    becomes("{'convert': {'field': 'a', 'type': 'long', 'ignore_missing': true}}", "{'a': null}",
            "{'a': null}");
    fails("{'convert': {'field': 'a', 'type': 'integer'}}", "{'a': 'x'}",
          "unable to convert [x] to integer");
    fails("{'convert': {'field': 'a', 'type': 'integer'}}", "{'a': '3000000000'}",
          "unable to convert [3000000000] to integer");
    fails("{'convert': {'field': 'a', 'type': 'double'}}", "{'a': 'NaN'}", "unable to convert");
    fails("{'convert': {'field': 'a', 'type': 'boolean'}}", "{'a': 'yes'}",
          "[yes] is not a boolean value, cannot convert to boolean");
    fails("{'convert': {'field': 'a', 'type': 'ip'}}", "{'a': '300.1.1.1'}",
          "'300.1.1.1' is not an IP string literal.");
    fails("{'convert': {'field': 'a', 'type': 'long'}}", "{'a': null}",
          "Field [a] is null, cannot be converted to type [long]");
    fails("{'convert': {'field': 'a', 'type': 'long'}}", "{}", "field [a] not present");
    refused("{'convert': {'field': 'a', 'type': 'blob'}}", "type",
            "type [blob] not supported, cannot convert field.");
}

static void strings_work(void **state)
{
    becomes("{'lowercase': {'field': 'a'}}", "{'a': 'ÀB İ'}", "{'a': 'àb i\u0307'}");
    becomes("{'uppercase': {'field': 'a', 'target_field': 'b'}}", "{'a': 'straße'}",
            "{'a': 'straße', 'b': 'STRASSE'}");
    becomes("{'trim': {'field': 'a'}}", "{'a': [' x ', '\\t y']}", "{'a': ['x', 'y']}");
    becomes("{'lowercase': {'field': 'x', 'ignore_missing': true}}", "{}", "{}");
    becomes("{'urldecode': {'field': 'a'}}", "{'a': 'a%20b+c'}", "{'a': 'a b c'}");
    /* Half a character is replaced at once: regular expressions read whole ones only. */
    becomes("{'urldecode': {'field': 'a'}}, {'gsub': {'field': 'a', 'pattern': '.$', "
            "'replacement': '!'}}",
            "{'a': 'xy%F0'}", "{'a': 'xy!'}");
    becomes("{'urldecode': {'field': 'a'}}, {'gsub': {'field': 'a', 'pattern': '[^a]', "
            "'replacement': '!'}}",
            "{'a': 'a%C3a%F0%9F%E2%82%AC'}", "{'a': 'a!a!!!'}");
    becomes("{'bytes': {'field': 'a'}}", "{'a': '2kb'}", "{'a': 2048}");
    fails("{'lowercase': {'field': 'a'}}", "{'a': 1}",
          "field [a] of type [java.lang.Integer] cannot be cast to [java.lang.String]");
    fails("{'lowercase': {'field': 'a'}}", "{'a': ['x', 1]}",
          "value [1] of type [java.lang.Integer] in list field [a] cannot be cast");
    fails("{'lowercase': {'field': 'a'}}", "{'a': null}", "field [a] is null, cannot process it.");
    fails("{'bytes': {'field': 'a'}}", "{'a': '2 dogs'}", "failed to parse setting");

    becomes("{'gsub': {'field': 'a', 'pattern': '(\\\\w+)@(\\\\w+)', 'replacement': '$2 at $1'}}",
            "{'a': 'x@y, p@q'}", "{'a': 'y at x, q at p'}");
    becomes("{'gsub': {'field': 'a', 'pattern': '-', 'replacement': '\\\\$'}}", "{'a': '1-2'}",
            "{'a': '1$2'}");
    becomes("{'gsub': {'field': 'a', 'pattern': '(?<n>b)', 'replacement': '[${n}]'}}",
            "{'a': 'abc'}", "{'a': 'a[b]c'}");
    becomes("{'gsub': {'field': 'a', 'pattern': '', 'replacement': '.'}}", "{'a': 'äb'}",
            "{'a': '.ä.b.'}");
    fails("{'gsub': {'field': 'a', 'pattern': 'x', 'replacement': '$3'}}", "{'a': 'x'}",
          "No group 3");
    refused("{'gsub': {'field': 'a', 'pattern': '(', 'replacement': ''}}", "pattern",
            "Invalid regex pattern");

    becomes("{'split': {'field': 'a', 'separator': ','}}", "{'a': 'x,y,,'}", "{'a': ['x', 'y']}");
    becomes("{'split': {'field': 'a', 'separator': ',', 'preserve_trailing': true}}",
            "{'a': 'x,y,,'}", "{'a': ['x', 'y', '', '']}");
    becomes("{'split': {'field': 'a', 'separator': '\\\\s+'}}", "{'a': 'x'}", "{'a': ['x']}");
    becomes("{'split': {'field': 'a', 'separator': ''}}", "{'a': 'abc'}", "{'a': ['a', 'b', 'c']}");
    becomes("{'join': {'field': 'a', 'separator': '-'}}", "{'a': [1, 'b', true]}",
            "{'a': '1-b-true'}");
    fails("{'join': {'field': 'a', 'separator': '-'}}", "{'a': 'x'}",
          "field [a] of type [java.lang.String] cannot be cast to [java.util.List]");
    becomes("{'sort': {'field': 'a', 'order': 'desc'}}", "{'a': [3, 10, 1]}", "{'a': [10, 3, 1]}");
    becomes("{'sort': {'field': 'a', 'target_field': 'b'}}", "{'a': ['b', 'a']}",
            "{'a': ['b', 'a'], 'b': ['a', 'b']}");
    fails("{'sort': {'field': 'a'}}", "{'a': [1, 'x']}", "cannot be compared");
}

static void html_is_stripped(void **state)
{
    becomes("{'html_strip': {'field': 'a'}}",
            "{'a': '<p>Hello <b class=\\\"x>y\\\">world</b> &amp; &eacute;&#233;</p><!-- no -->'}",
            "{'a': '\\nHello world & éé\\n'}");
    becomes("{'html_strip': {'field': 'a'}}",
            "{'a': 'a<script>if (1 < 2) x()</script>b<style>p{}</style>c'}", "{'a': 'a\\nb\\nc'}");
    becomes("{'html_strip': {'field': 'a'}}", "{'a': '1 < 2 &unknown; <'}",
            "{'a': '1 < 2 &unknown; <'}");
    /* An opened tag again and again, never closed: linear. */
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    for (int i = 0; i < 300000; i++)
        vz_buf_append_str(&text, "<a \\\"");
    char *source = vz_arena_printf(&arena, "{'a': '%s'}", text.data);
    struct vz_ingest_doc doc;
    struct vz_pipeline *pipeline = processors("{'html_strip': {'field': 'a'}}");
    run_one(pipeline, source, &arena, &doc);
    assert_int_equal(doc.status, VZ_OK);
    vz_pipeline_release(pipeline);
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
}

static void csv_json_kv_work(void **state)
{
    becomes("{'csv': {'field': 'a', 'target_fields': ['x', 'y', 'z']}}",
            "{'a': 'one,\\\"two, \\\"\\\"2\\\"\\\"\\\",3'}",
            "{'a': 'one,\\\"two, \\\"\\\"2\\\"\\\"\\\",3', 'x': 'one', 'y': 'two, \\\"2\\\"', 'z': "
            "'3'}");
    becomes("{'csv': {'field': 'a', 'target_fields': ['x', 'y', 'z'], 'trim': true, "
            "'empty_value': 0, 'separator': ';'}}, {'remove': {'field': 'a'}}",
            "{'a': ' p ; ; q'}", "{'x': 'p', 'y': 0, 'z': 'q'}");
    fails("{'csv': {'field': 'a', 'target_fields': ['x']}}", "{'a': '\\\"open'}",
          "Unmatched quote");
    refused("{'csv': {'field': 'a', 'target_fields': [], 'quote': '#'}}", "target_fields",
            "target_fields list can't be empty");

    becomes("{'json': {'field': 'a', 'target_field': 'b'}}", "{'a': '{\\\"x\\\": [1, 2.5, null]}'}",
            "{'a': '{\\\"x\\\": [1, 2.5, null]}', 'b': {'x': [1, 2.5, null]}}");
    becomes("{'json': {'field': 'a', 'add_to_root': true}}, {'remove': {'field': 'a'}}",
            "{'a': '{\\\"x\\\": {\\\"p\\\": 1}}', 'x': {'q': 2}}", "{'x': {'p': 1}}");
    becomes("{'json': {'field': 'a', 'add_to_root': true, 'add_to_root_conflict_strategy': "
            "'merge'}}, {'remove': {'field': 'a'}}",
            "{'a': '{\\\"x\\\": {\\\"p\\\": 1}}', 'x': {'q': 2}}", "{'x': {'q': 2, 'p': 1}}");
    fails("{'json': {'field': 'a'}}", "{'a': '{'}", "field [a] holds no JSON");
    fails("{'json': {'field': 'a'}}", "{'a': '{\\\"x\\\":1,\\\"x\\\":2}'}", "Duplicate field 'x'");
    fails("{'json': {'field': 'a', 'add_to_root': true}}", "{'a': '[1]'}",
          "cannot add non-map fields to root of document");

    becomes("{'kv': {'field': 'a', 'field_split': ' ', 'value_split': '='}}",
            "{'a': 'ip=1.2.3.4 error=REFUSED ip=5'}",
            "{'a': 'ip=1.2.3.4 error=REFUSED ip=5', 'ip': ['1.2.3.4', '5'], 'error': 'REFUSED'}");
    becomes("{'kv': {'field': 'a', 'field_split': '&', 'value_split': '=', 'target_field': 't', "
            "'include_keys': ['p_x', 'x'], 'prefix': 'p_', 'strip_brackets': true, 'trim_value': "
            "' '}}, {'remove': {'field': 'a'}}",
            "{'a': 'x=[1]&y=2'}", "{'t': {'p_x': '1'}}");
    fails("{'kv': {'field': 'a', 'field_split': ' ', 'value_split': '='}}", "{'a': 'x'}",
          "field [a] does not contain value_split [=]");
    fails("{'kv': {'field': 'a', 'field_split': ' ', 'value_split': '='}}", "{}",
          "field [a] doesn't exist");
}

static void dissect_works(void **state)
{
    becomes("{'dissect': {'field': 'm', 'pattern': '%{a} %{b} - %{+b/1} [%{?skip}] %{c->} %{d}'}}, "
            "{'remove': {'field': 'm'}}",
            "{'m': '1 2 - 3 [x] four     five six'}",
            "{'a': '1', 'b': '23', 'c': 'four', 'd': 'five six'}");
    becomes("{'dissect': {'field': 'm', 'pattern': '%{+n/2},%{+n/1}', 'append_separator': ' '}}, "
            "{'remove': {'field': 'm'}}",
            "{'m': 'Jacobson,Jay'}", "{'n': 'Jay Jacobson'}");
    becomes(
        "{'dissect': {'field': 'm', 'pattern': '[%{*k}] is %{&k}'}}, {'remove': {'field': 'm'}}",
        "{'m': '[colour] is red'}", "{'colour': 'red'}");
    fails("{'dissect': {'field': 'm', 'pattern': '%{a}|%{b}'}}", "{'m': 'xy'}",
          "Unable to find match for dissect pattern: %{a}|%{b} against source: xy");
    refused("{'dissect': {'field': 'm', 'pattern': 'xyz'}}", "pattern", "Unable to parse pattern");
}

static void grok_works(void **state)
{
    becomes("{'grok': {'field': 'm', 'patterns': ['%{IP:client} %{WORD:method} "
            "%{URIPATHPARAM:request} %{NUMBER:bytes:int} %{NUMBER:duration:double}']}}, "
            "{'remove': {'field': 'm'}}",
            "{'m': '55.3.244.1 GET /index.html 15824 0.043'}",
            "{'client': '55.3.244.1', 'method': 'GET', 'request': '/index.html', 'bytes': 15824, "
            "'duration': 0.043}");
    becomes("{'grok': {'field': 'm', 'patterns': ['%{COMBINEDAPACHELOG}']}}, "
            "{'remove': {'field': ['m', 'referrer', 'agent', 'ident']}}",
            "{'m': '127.0.0.1 - ana [10/Oct/2000:13:55:36 -0700] \\\"GET /a.gif HTTP/1.0\\\" 200 "
            "2326 \\\"http://x/\\\" \\\"Mozilla/4\\\"'}",
            "{'clientip': '127.0.0.1', 'auth': 'ana', 'timestamp': '10/Oct/2000:13:55:36 "
            "-0700', 'verb': 'GET', 'request': '/a.gif', 'httpversion': '1.0', 'response': '200', "
            "'bytes': '2326'}");
    becomes("{'grok': {'field': 'm', 'patterns': ['%{PET:pet.kind}'], 'pattern_definitions': "
            "{'PET': '%{DOG}|cat', 'DOG': 'dog|beagle'}}}, {'remove': {'field': 'm'}}",
            "{'m': 'a beagle'}", "{'pet': {'kind': 'beagle'}}");
    becomes("{'grok': {'field': 'm', 'patterns': ['never', '(?<word>b+)'], 'trace_match': true}}, "
            "{'set': {'field': 'i', 'copy_from': '_ingest._grok_match_index'}}",
            "{'m': 'abbc'}", "{'m': 'abbc', 'word': 'bb', 'i': '1'}");
    becomes("{'grok': {'field': 'm', 'patterns': ['%{TIMESTAMP_ISO8601:t} %{LOGLEVEL:l} "
            "%{UUID:u} %{IPV6:v6} %{MAC:mac} %{EMAILADDRESS:e}']}}, {'remove': {'field': 'm'}}",
            "{'m': '2024-05-06T07:08:09.123Z WARN 123e4567-e89b-12d3-a456-426614174000 fe80::1 "
            "00:1B:44:11:3A:B7 ana@example.org'}",
            "{'t': '2024-05-06T07:08:09.123Z', 'l': 'WARN', 'u': "
            "'123e4567-e89b-12d3-a456-426614174000', 'v6': 'fe80::1', 'mac': '00:1B:44:11:3A:B7', "
            "'e': 'ana@example.org'}");
    becomes("{'grok': {'field': 'm', 'patterns': ['%{SYSLOGLINE}'], 'ecs_compatibility': 'v1'}}, "
            "{'remove': {'field': 'm'}}",
            "{'m': 'Oct  3 12:01:02 host1 sshd[42]: hello there'}",
            "{'timestamp': 'Oct  3 12:01:02', 'host': {'hostname': 'host1'}, 'process': {'name': "
            "'sshd', 'pid': 42}, 'message': 'hello there'}");
    fails("{'grok': {'field': 'm', 'patterns': ['%{IP:x}']}}", "{'m': 'no'}",
          "Provided Grok expressions do not match field value: [no]");
    refused("{'grok': {'field': 'm', 'patterns': ['%{NOPE:x}']}}", "patterns",
            "Unable to find pattern [NOPE] in Grok's pattern dictionary");
    refused(
        "{'grok': {'field': 'm', 'patterns': ['%{A}'], 'pattern_definitions': {'A': '%{B}', 'B': "
        "'%{A}'}}}",
        "patterns", "circular reference");
}

static void all_grok_patterns_compile(void **state)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_json_doc *doc;
    struct vz_json root, value;
    struct vz_slice name;
    vz_ingest_grok_print(true, false, &w);
    assert_int_equal(vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL), VZ_OK);
    assert_true(vz_json_count(root) > 80);
    struct vz_json_iter it = vz_json_iterate(root);
    while (vz_json_next(&it, &name, &value)) {
        char processor[256];
        snprintf(processor, sizeof processor,
                 "{'grok': {'field': 'm', 'patterns': ['^%%{%.*s}$']}}", (int)name.len, name.ptr);
        vz_pipeline_release(processors(processor));
        snprintf(processor, sizeof processor,
                 "{'grok': {'field': 'm', 'patterns': ['%%{%.*s:x}'], 'ecs_compatibility': 'v1'}}",
                 (int)name.len, name.ptr);
        vz_pipeline_release(processors(processor));
    }
    vz_json_free(doc);
    vz_buf_deinit(&text);
}

static void fingerprints_are_elasticsearchs(void **state)
{
    /* Worked out with Python's hashlib over the bytes that Elasticsearch's source feeds. */
    becomes("{'fingerprint': {'fields': ['b', 'a']}}", "{'a': 'x', 'b': 1}",
            "{'a': 'x', 'b': 1, 'fingerprint': 'VQX7nkn9LgZsNW9DCTkYOB/8DdY='}");
    becomes("{'fingerprint': {'fields': ['a'], 'method': 'MD5', 'salt': 's', 'target_field': 'f'}}",
            "{'a': {'z': true, 'y': [2.5, null]}}",
            "{'a': {'z': true, 'y': [2.5, null]}, 'f': '1Ik9eT9fQGrAEeywCCi3CA=='}");
    becomes("{'fingerprint': {'fields': ['a', 'x'], 'ignore_missing': true, 'method': "
            "'MurmurHash3'}}, {'remove': {'field': 'a'}}",
            "{'a': 'hello'}", "{'fingerprint': 'ODTfYPSwpRnFTRjqaGkMEw=='}");
    fails("{'fingerprint': {'fields': ['q']}}", "{}",
          "missing field [q] when calculating fingerprint");
    refused("{'fingerprint': {'fields': ['q'], 'method': 'CRC'}}", "method",
            "[CRC] must be one of the supported hash methods");
}

static void dot_expander_works(void **state)
{
    becomes("{'dot_expander': {'field': 'a.b'}}", "{'a.b': 1}", "{'a': {'b': 1}}");
    becomes("{'dot_expander': {'field': '*'}}", "{'a.b': 1, 'a.c': 2}", "{'a': {'b': 1, 'c': 2}}");
    becomes("{'dot_expander': {'field': 'a.b'}}", "{'a.b': 1, 'a': {'b': 2}}",
            "{'a': {'b': [2, 1]}}");
    refused("{'dot_expander': {'field': 'ab'}}", "field", "does not contain a dot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_works),
        cmocka_unit_test(append_works),
        cmocka_unit_test(remove_and_rename_work),
        cmocka_unit_test(convert_works),
        cmocka_unit_test(strings_work),
        cmocka_unit_test(html_is_stripped),
        cmocka_unit_test(csv_json_kv_work),
        cmocka_unit_test(dissect_works),
        cmocka_unit_test(grok_works),
        cmocka_unit_test(all_grok_patterns_compile),
        cmocka_unit_test(fingerprints_are_elasticsearchs),
        cmocka_unit_test(dot_expander_works),
    };
    return cmocka_run_group_tests(tests, start_ingest, stop_ingest);
}
