/* Documents of damaged and of random bytes: taken or refused, never read past the end. */
#include "document_support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_documents),
        cmocka_unit_test(random_documents_keep_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
