/* Definitions and documents spoilt at random: whatever they say, an error or a result, no crash, no
 * endless run. */
#include "support.h"

#include "base/text.h"

#include <time.h>

static const char *const definitions[] = {
    "{'set': {'field': 'a.b', 'value': '{{x}} {{{y.0}}}', 'override': false, 'tag': 't'}}",
    "{'set': {'field': 'l.0', 'copy_from': 'x', 'ignore_empty_value': true}}",
    "{'append': {'field': 'l', 'value': ['{{x}}', 1], 'allow_duplicates': false}}",
    "{'remove': {'keep': ['a.b', 'x', 'l']}}",
    "{'rename': {'field': 'x', 'target_field': 'a.c', 'ignore_missing': true}}",
    "{'convert': {'field': 'n', 'type': 'auto', 'ignore_missing': true}}",
    "{'convert': {'field': 'l', 'type': 'integer'}}",
    "{'lowercase': {'field': 't'}}",
    "{'gsub': {'field': 't', 'pattern': '(\\\\w)(\\\\d)?', 'replacement': '$2${1}x'}}",
    "{'split': {'field': 't', 'separator': '[ ,]*'}}",
    "{'join': {'field': 'l', 'separator': '-'}}",
    "{'sort': {'field': 'l', 'order': 'desc'}}",
    "{'html_strip': {'field': 't'}}",
    "{'urldecode': {'field': 't'}}",
    "{'grok': {'field': 't', 'patterns': ['%{WORD:w} %{NUMBER:n:float}', '%{GREEDYDATA:g}'], "
    "'trace_match': true}}",
    "{'dissect': {'field': 't', 'pattern': '%{a} %{+a/2} [%{*k}]=%{&k->} %{?z}'}}",
    "{'date': {'field': 't', 'formats': ['ISO8601', 'yyyy-MM-dd[ HH:mm]', 'EEE d MMM yyyy a h z'], "
    "'timezone': 'Europe/Paris'}}",
    "{'csv': {'field': 't', 'target_fields': ['p', 'q.r', 's'], 'trim': true}}",
    "{'json': {'field': 'j', 'add_to_root': true, 'add_to_root_conflict_strategy': 'merge'}}",
    "{'kv': {'field': 't', 'field_split': ' ', 'value_split': '=', 'trim_key': ' ', "
    "'strip_brackets': true, 'target_field': 'kv'}}",
    "{'fingerprint': {'fields': ['a', 'l', 'o'], 'ignore_missing': true, 'method': 'MD5'}}",
    "{'script': {'source': 'ctx.s = ctx.n + params.k; ctx.o.z = ctx.l', 'params': {'k': 1}}}",
    "{'foreach': {'field': 'l', 'processor': {'uppercase': {'field': '_ingest._value'}}}}",
    "{'foreach': {'field': 'o', 'processor': {'set': {'field': '_ingest._key', 'value': "
    "'{{_ingest._key}}k'}}}}",
    "{'pipeline': {'name': '{{x}}', 'ignore_missing_pipeline': true}}",
    "{'dot_expander': {'field': '*', 'override': true}}",
    "{'fail': {'if': 'ctx.n > 1', 'message': 'm {{x}}', 'on_failure': [{'set': {'field': 'e', "
    "'value': '{{_ingest.on_failure_message}}'}}]}}",
    "{'image': {'field': 'i', 'ignore_missing': true, 'properties': ['size', 'thumbnail', 'phash', "
    "'exif']}}",
    "{'inference': {'model_id': 'eye', 'input_output': [{'input_field': 'i', 'output_field': "
    "'v.w', 'type': 'image'}], 'ignore_missing': true}}",
};

static const char *const documents[] = {
    "{'x': 'test', 'y': [1, 'b'], 'n': 3, 't': 'word 3.5 [k]=v', 'l': ['a', 'b', 'a'], 'o': {'p': "
    "1, 'q': {'r': null}}, 'a.b': 1, 'j': '{\\\"q\\\": [1, 2]}'}",
    "{'x': null, 't': '2024-05-06 07:08', 'l': [3, 1.5, -2], 'o': {}, 'j': 'no', 'i': "
    "'data:image/png;base64,iVBORw0KGgo='}",
    "{'t': 'a=b <c>d</c> %41 &amp; \\\"q\\\",r', 'l': [], 'o': {'a': {'b': {'c': [1]}}}, 'i': "
    "{'type': 'image', 'value': 'AAAA'}, 'n': '0x10'}",
};

/* A few bytes of the text changed, taken out or doubled. */
static void spoil(char *text, uint64_t *seed)
{
    static const char bytes[] = "{}[]\",:.0123456789abxyz_$%()*+?\\ -'";
    size_t len = strlen(text);
    for (uint64_t n = vz_rng_next(seed) % 4; n > 0 && len > 2; n--) {
        size_t at = vz_rng_next(seed) % len;
        switch (vz_rng_next(seed) % 3) {
        case 0:
            text[at] = bytes[vz_rng_next(seed) % (sizeof bytes - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, len - at);
            len--;
            break;
        default:
            memmove(text + at + 1, text + at, len - at + 1);
            len++;
        }
    }
}

static struct vz_pipeline *compile(const char *text)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_pipeline *pipeline = NULL;
    struct vz_ingest_fault fault;
    struct vz_error err = {0};
    if (vz_json_parse(vz_slice_from(text), &doc, &root, NULL) != VZ_OK)
        return NULL;
    enum vz_status status =
        vz_pipeline_compile(ingest, VZ_SLICE("test"), root, &pipeline, &fault, &err);
    if ((status == VZ_OK) != (pipeline != NULL) || (status != VZ_OK && !err.text[0]))
        fail_msg("status %d without a reason: %s", (int)status, text);
    vz_json_free(doc);
    return pipeline;
}

static bool run(struct vz_pipeline *pipeline, const char *text)
{
    struct vz_arena arena = {0};
    struct vz_json_doc *parsed;
    struct vz_json root;
    struct vz_ingest_doc doc, *docs = &doc;
    if (vz_json_parse(vz_slice_from(text), &parsed, &root, NULL) != VZ_OK)
        return false;
    if (vz_json_type(root) == VZ_JSON_OBJECT) {
        const struct vz_ingest_meta meta = {.index = VZ_SLICE("i")};
        struct vz_buf out = {0};
        vz_ingest_doc_init(&doc, &arena, vz_value_from(&arena, root), &meta);
        vz_pipeline_apply(pipeline, &docs, 1, NULL);
        if (doc.status != VZ_OK && !doc.error.text[0])
            fail_msg("an error without a text: %s", text);
        if (doc.status == VZ_OK && vz_ingest_doc_finish(&doc) == VZ_OK) {
            struct vz_json_doc *again;
            vz_value_print(doc.ctx, &out);
            if (vz_json_parse(vz_buf_slice(&out), &again, &root, NULL) != VZ_OK)
                fail_msg("no JSON came out: %s", out.data);
            vz_json_free(again);
        }
        vz_buf_deinit(&out);
    }
    vz_json_free(parsed);
    vz_arena_deinit(&arena);
    return true;
}

static void spoilt_ones_do_no_harm(void **state)
{
    uint64_t seed = (uint64_t)time(NULL), first = seed;
    const char *given = getenv("VIZSLA_SEED");
    if (given)
        seed = first = strtoull(given, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)first);
    size_t compiled = 0, ran = 0;
    struct timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int round = 0; round < 6000; round++) {
        struct vz_arena arena = {0};
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "{\"processors\":[");
        for (uint64_t n = vz_rng_next(&seed) % 3 + 1, i = 0; i < n; i++) {
            const char *one = definitions[vz_rng_next(&seed) % VZ_COUNT_OF(definitions)];
            vz_buf_printf(&text, "%s%s", i ? "," : "", json_of(&arena, one).ptr);
        }
        vz_buf_append_str(&text, "]}");
        vz_buf_reserve(&text, 16);
        if (round % 3)
            spoil(text.data, &seed);
        struct vz_pipeline *pipeline = compile(text.data);
        for (int i = 0; pipeline && i < 4; i++) {
            const char *one = documents[vz_rng_next(&seed) % VZ_COUNT_OF(documents)];
            struct vz_buf document = {0};
            vz_buf_append_str(&document, json_of(&arena, one).ptr);
            vz_buf_reserve(&document, 16);
            if (i)
                spoil(document.data, &seed);
            ran += run(pipeline, document.data);
            vz_buf_deinit(&document);
        }
        compiled += pipeline != NULL;
        vz_pipeline_release(pipeline);
        vz_buf_deinit(&text);
        vz_arena_deinit(&arena);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - from.tv_sec > 40 && compiled >= 300 && ran >= 500)
            break; /* slow machines, sanitizers */
    }
    if (compiled < 300 || ran < 500)
        fail_msg("only %zu definitions compiled and %zu documents ran", compiled, ran);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spoilt_ones_do_no_harm)};
    return cmocka_run_group_tests(tests, start_ingest, stop_ingest);
}
