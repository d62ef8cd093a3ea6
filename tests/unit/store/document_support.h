/* What the tests of documents share: mappings and documents from text, in which ' stands for ", and
 * what is expected of them. */
#ifndef TEST_DOCUMENT_SUPPORT_H
#define TEST_DOCUMENT_SUPPORT_H

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
static inline char *json_text(const char *text)
{
    char *json = vz_strdup(text);
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return json;
}

static inline struct vz_mapping *merge_text(const struct vz_mapping *base, struct vz_slice json)
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

static inline struct vz_mapping *mapping_of(const char *text)
{
    char *json = json_text(text);
    struct vz_mapping *mapping = merge_text(NULL, vz_slice_from(json));
    free(json);
    return mapping;
}

/* "field=value field=value" of what a document gave. */
static inline void describe(const struct vz_mapping *mapping, const struct vz_document *doc,
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

static inline struct parsed parse(const struct vz_mapping *mapping, const char *text)
{
    struct parsed p = {0};
    p.text = json_text(text);
    p.status =
        vz_document_parse(mapping, VZ_SLICE("7"), vz_slice_from(p.text), &p.arena, &p.doc, &p.err);
    return p;
}

static inline void done(struct parsed *p)
{
    vz_arena_deinit(&p->arena);
    free(p->text);
}

static inline void expect_values(const struct vz_mapping *mapping, const char *text,
                                 const char *values)
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

static inline void expect_error(const struct vz_mapping *mapping, const char *text,
                                enum vz_status status, const char *message, const char *cause)
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

static inline void expect_new_fields(const struct vz_mapping *mapping, const char *text,
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

/* A field of each type that a value can have. */
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

/* Vectors in every place that one can be. */
static const char vector_types[] =
    "{'properties':{'k':{'type':'keyword'},'c':{'type':'dense_vector','dims':3},"
    "'d':{'type':'dense_vector','dims':3,'similarity':'dot_product'},"
    "'l':{'type':'dense_vector','dims':3,'similarity':'l2_norm'},"
    "'m':{'type':'dense_vector','dims':3,'similarity':'max_inner_product'},"
    "'off':{'type':'dense_vector','dims':3,'index':false},"
    "'o':{'properties':{'c':{'type':'dense_vector','dims':2}}},"
    "'n':{'type':'nested','properties':{'c':{'type':'dense_vector','dims':2},'t':{'type':"
    "'keyword'}}}}}";

#endif
