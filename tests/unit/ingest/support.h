/* What the ingest tests share: a pipeline, a document and what becomes of it, as JSON written with
 * single quotes. */
#ifndef INGEST_TEST_SUPPORT_H
#define INGEST_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "image/image.h"
#include "ingest/ingest.h"

static struct vz_ingest *ingest;
static struct vz_infer *infer;

static inline int start_ingest(void **state)
{
    struct vz_error err = {0};
    if (vz_image_start(&err) != VZ_OK ||
        vz_infer_new(&(struct vz_infer_options){.models = "/nonexistent"}, &infer, &err) != VZ_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    ingest = vz_ingest_new(&(struct vz_ingest_options){.infer = infer});
    return 0;
}

static inline int stop_ingest(void **state)
{
    vz_ingest_free(ingest);
    vz_infer_free(infer);
    vz_image_stop();
    return 0;
}

/* Single quotes to double ones, but within double quotes; \' stays one. */
static inline struct vz_slice json_of(struct vz_arena *arena, const char *text)
{
    char *out = vz_arena_strdup(arena, vz_slice_from(text)), *to = out;
    bool inside = false;
    for (const char *p = text; *p; p++) {
        if (p[0] == '\\' && p[1]) {
            if (p[1] != '\'')
                *to++ = *p;
            *to++ = *++p;
            continue;
        }
        inside ^= *p == '"';
        *to++ = *p == '\'' && !inside ? '"' : *p;
    }
    *to = '\0';
    return vz_slice_from(out);
}

static inline struct vz_value *value_of(struct vz_arena *arena, const char *text)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    if (vz_json_parse(json_of(arena, text), &doc, &root, &err) != VZ_OK)
        fail_msg("%s: %s", err.text, text);
    struct vz_value *value = vz_value_from(arena, root);
    vz_json_free(doc);
    return value;
}

static inline enum vz_status try_pipeline(const char *id, const char *text,
                                          struct vz_pipeline **pipeline,
                                          struct vz_ingest_fault *fault, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error why = {0};
    if (vz_json_parse(json_of(&arena, text), &doc, &root, &why) != VZ_OK)
        fail_msg("%s: %s", why.text, text);
    enum vz_status status =
        vz_pipeline_compile(ingest, vz_slice_from(id), root, pipeline, fault, err);
    vz_json_free(doc);
    vz_arena_deinit(&arena);
    return status;
}

static inline struct vz_pipeline *pipeline_of(const char *id, const char *text)
{
    struct vz_pipeline *pipeline;
    struct vz_error err = {0};
    if (try_pipeline(id, text, &pipeline, NULL, &err) != VZ_OK)
        fail_msg("%s: %s", err.text, text);
    return pipeline;
}

static inline void put_pipeline(const char *id, const char *text)
{
    vz_ingest_put(ingest, pipeline_of(id, text));
}

/* One processor, or several separated by commas. */
static inline struct vz_pipeline *processors(const char *text)
{
    static char all[17000];
    snprintf(all, sizeof all, "{'processors': [%s]}", text);
    return pipeline_of("test", all);
}

static inline void run_one(struct vz_pipeline *pipeline, const char *source, struct vz_arena *arena,
                           struct vz_ingest_doc *doc)
{
    const struct vz_ingest_meta meta = {.index = VZ_SLICE("dogs"), .id = VZ_SLICE("1")};
    vz_ingest_doc_init(doc, arena, value_of(arena, source), &meta);
    vz_pipeline_apply(pipeline, &doc, 1, NULL);
    if (doc->status == VZ_OK && !doc->dropped)
        vz_ingest_doc_finish(doc);
}

static inline void becomes_by(struct vz_pipeline *pipeline, const char *source, const char *want)
{
    struct vz_arena arena = {0};
    struct vz_ingest_doc doc;
    run_one(pipeline, source, &arena, &doc);
    if (doc.status != VZ_OK)
        fail_msg("%s\n  of %s", doc.error.text, source);
    if (!vz_value_equal(doc.ctx, value_of(&arena, want))) {
        struct vz_buf got = {0};
        vz_value_print(doc.ctx, &got);
        fail_msg("%s\n  became %s\n  not    %s", source, got.data, want);
    }
    vz_arena_deinit(&arena);
    vz_pipeline_release(pipeline);
}

/* `source` through the processors is `want`. */
static inline void becomes(const char *text, const char *source, const char *want)
{
    becomes_by(processors(text), source, want);
}

/* `source` through the processors fails with a text that contains `want`. */
static inline void fails(const char *text, const char *source, const char *want)
{
    struct vz_arena arena = {0};
    struct vz_ingest_doc doc;
    struct vz_pipeline *pipeline = processors(text);
    run_one(pipeline, source, &arena, &doc);
    if (doc.status == VZ_OK)
        fail_msg("%s did not fail on %s", text, source);
    if (!strstr(doc.error.text, want))
        fail_msg("the error is [%s], not [%s]", doc.error.text, want);
    vz_arena_deinit(&arena);
    vz_pipeline_release(pipeline);
}

/* The processor does not compile; names the property (NULL: none). */
static inline void refused(const char *text, const char *property, const char *want)
{
    struct vz_pipeline *pipeline;
    struct vz_ingest_fault fault;
    struct vz_error err = {0};
    static char all[17000];
    snprintf(all, sizeof all, "{'processors': [%s]}", text);
    if (try_pipeline("test", all, &pipeline, &fault, &err) == VZ_OK)
        fail_msg("%s compiles", text);
    if (!strstr(err.text, want))
        fail_msg("the error is [%s], not [%s]", err.text, want);
    if (strcmp(fault.property, property ? property : "") != 0)
        fail_msg("the property is [%s], not [%s]", fault.property, property);
}

#endif
