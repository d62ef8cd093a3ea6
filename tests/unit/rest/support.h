/* A store in a temporary folder with a rest on it, and calls with expectations. */
#ifndef VZ_TEST_REST_SUPPORT_H
#define VZ_TEST_REST_SUPPORT_H

#include "rest/parts.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    char path[64];
    struct vz_store *store;
    struct vz_rest *rest;
};

static inline int world_open(void **state)
{
    struct world *world = vz_calloc(1, sizeof *world);
    struct vz_error err = {0};
    strcpy(world->path, "/tmp/vizsla-rest-XXXXXX");
    assert_non_null(mkdtemp(world->path));
    struct vz_store_options options = {.create = true};
    if (vz_store_open(world->path, &options, &world->store, &err) != VZ_OK)
        fail_msg("%s", err.text);
    world->rest = vz_rest_new(world->store, &(struct vz_rest_options){.node_name = "unit"});
    *state = world;
    return 0;
}

static inline int world_close(void **state)
{
    struct world *world = *state;
    vz_rest_free(world->rest);
    vz_store_close(world->store);
    vz_remove_all(world->path, NULL);
    free(world);
    return 0;
}

/* The status; the body goes to *body when it is not NULL, else it is dropped. */
static inline int call(struct world *world, const char *method, const char *path, const char *body,
                       struct vz_buf *answer)
{
    struct vz_http_answer got = {0};
    vz_rest_call(world->rest, method, path, vz_slice_from(body ? body : ""), &got);
    if (answer)
        *answer = got.body;
    else
        vz_buf_deinit(&got.body);
    return got.status;
}

/* Calls and holds status and, where given, a part of the answer's text against what is expected. */
static inline void expect(struct world *world, const char *method, const char *path,
                          const char *body, int status, const char *part)
{
    struct vz_buf answer = {0};
    int got = call(world, method, path, body, &answer);
    if (got != status || (part && !strstr(answer.data ? answer.data : "", part)))
        fail_msg("%s %s: status %d, wanted %d and [%s]; the answer: %.600s", method, path, got,
                 status, part ? part : "", answer.data ? answer.data : "");
    vz_buf_deinit(&answer);
}

#endif
