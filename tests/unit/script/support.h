/* What the script tests share: a host with a document, and "this source gives that". */
#ifndef VZ_TEST_SCRIPT_SUPPORT_H
#define VZ_TEST_SCRIPT_SUPPORT_H

#include "script/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static inline struct vz_value *read_json(struct vz_arena *arena, const char *text)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    if (vz_json_parse(vz_slice_from(text), &doc, &root, &err) != VZ_OK)
        fail_msg("%s: %s", text, err.text);
    struct vz_value *value = vz_value_from(arena, root);
    vz_json_free(doc);
    return value;
}

/* price 12 and 30 (longs), rating 4.5, tag "b" "a"... sorted, in_stock true, day a date, where a
 * place, empty: a field without a value, v: a vector. */
static inline void give_field(void *context, struct vz_slice name, struct vz_script_field *field)
{
    static const int64_t prices[] = {12, 30}, truth[] = {1}, days[] = {1715000000123};
    static const double ratings[] = {4.5};
    static const struct vz_slice tags[] = {{"caf\xc3\xa9", 5}, {"red", 3}};
    static const struct vz_script_geo places[] = {{52.5, 13.4}};
    static const float floats[] = {3, 4};
    (void)context;
    *field = (struct vz_script_field){.kind = VZ_SCRIPT_ABSENT};
    if (vz_slice_is(name, "price"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_INTS, .count = 2, .ints = prices};
    else if (vz_slice_is(name, "rating"))
        *field =
            (struct vz_script_field){.kind = VZ_SCRIPT_DOUBLES, .count = 1, .doubles = ratings};
    else if (vz_slice_is(name, "tag"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_STRINGS, .count = 2, .strings = tags};
    else if (vz_slice_is(name, "in_stock"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_BOOLS, .count = 1, .ints = truth};
    else if (vz_slice_is(name, "day"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_DATES, .count = 1, .ints = days};
    else if (vz_slice_is(name, "where"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_GEO, .count = 1, .geo = places};
    else if (vz_slice_is(name, "v"))
        *field = (struct vz_script_field){.kind = VZ_SCRIPT_VECTOR, .count = 2, .floats = floats};
    else if (vz_slice_is(name, "empty"))
        field->kind = VZ_SCRIPT_INTS;
}

static inline enum vz_status twice(void *context, void *prepared,
                                   const struct vz_value *const *args, size_t count, double *out,
                                   struct vz_error *err)
{
    (void)context;
    (void)prepared;
    (void)count;
    if (args[0]->type == VZ_VALUE_INT)
        *out = 2.0 * (double)args[0]->integer;
    else if (args[0]->type == VZ_VALUE_DOUBLE)
        *out = 2 * args[0]->number;
    else if (args[0]->type == VZ_VALUE_ARRAY)
        *out = 2.0 * (double)args[0]->array.count;
    else
        return vz_fail(err, VZ_BAD_ARGUMENT, "twice wants a number");
    return VZ_OK;
}

static inline struct vz_script_host test_host(struct vz_arena *arena, const char *params)
{
    static const struct vz_script_function functions[] = {{"twice", 1, 1, NULL, twice}};
    static const char *const variables[] = {"state", NULL};
    return (struct vz_script_host){
        .has_doc = true,
        .has_score = true,
        .has_ctx = true,
        .params = params ? read_json(arena, params) : NULL,
        .functions = functions,
        .function_count = 1,
        .variables = variables,
    };
}

/* What the source gives, as JSON, or "compile error: ..." or "runtime error: ...: cause", to
 * free(). `ctx` (JSON or NULL) is printed behind it when given. */
static inline char *outcome(const char *source, const char *params, const char *ctx)
{
    struct vz_arena arena = {0}, scratch = {0};
    struct vz_error err = {0};
    struct vz_buf text = {0};
    struct vz_script_host host = test_host(&arena, params);
    struct vz_script *script;
    struct vz_value *result, *state[] = {read_json(&scratch, "{\"n\":5,\"l\":[1,2]}")};
    enum vz_status status = vz_script_compile(vz_slice_from(source), &host, &arena, &script, &err);
    if (status != VZ_OK) {
        vz_buf_printf(&text, "compile error: %s", err.text);
        if (status == VZ_UNSUPPORTED)
            vz_buf_append_str(&text, " (unsupported)");
    } else {
        struct vz_script_run run = {
            .arena = &scratch,
            .field = give_field,
            .score = 1.5,
            .ctx = ctx ? read_json(&scratch, ctx) : NULL,
            .variables = state,
        };
        status = vz_script_run(script, &run, &result, &err);
        if (status != VZ_OK) {
            vz_buf_printf(&text, "runtime error: %s: %s", err.text, err.cause);
        } else {
            vz_value_print(result, &text);
            if (ctx) {
                vz_buf_append_char(&text, ' ');
                vz_value_print(run.ctx, &text);
            }
        }
    }
    vz_arena_deinit(&arena);
    vz_arena_deinit(&scratch);
    return vz_buf_take(&text);
}

static inline void expect_ctx(const char *source, const char *params, const char *ctx,
                              const char *expected)
{
    char *found = outcome(source, params, ctx);
    if (strcmp(found, expected) != 0)
        fail_msg("%s\n  gives     %s\n  expected  %s", source, found, expected);
    free(found);
}

static inline void expect(const char *source, const char *expected)
{
    expect_ctx(source,
               "{\"a\":7,\"f\":2.5,\"s\":\"x\",\"l\":[1,2,3],\"m\":{\"k\":9},\"t\":true,"
               "\"big\":5000000000}",
               NULL, expected);
}

#endif
