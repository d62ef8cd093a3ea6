/* What the two tests of ingest share: a world with models, opened again at will. */
#ifndef VZ_TEST_REST_INGEST_SUPPORT_H
#define VZ_TEST_REST_INGEST_SUPPORT_H

#include "support.h"

#include "infer/infer.h"

#include <pthread.h>

enum { WRITERS = 3 };

struct pictures {
    struct world world;
    struct vz_infer *infer;
};

static inline void open_again(struct pictures *p)
{
    struct vz_error err = {0};
    vz_rest_free(p->world.rest);
    vz_infer_free(p->infer);
    if (p->world.store)
        vz_store_close(p->world.store);
    if (vz_store_open(p->world.path, &(struct vz_store_options){.create = true}, &p->world.store,
                      &err) != VZ_OK ||
        vz_infer_new(&(struct vz_infer_options){.models = p->world.path}, &p->infer, &err) != VZ_OK)
        fail_msg("%s", err.text);
    p->world.rest = vz_rest_new(p->world.store,
                                &(struct vz_rest_options){.node_name = "unit", .infer = p->infer});
}

static inline int open_world(void **state)
{
    struct pictures *p = vz_calloc(1, sizeof *p);
    strcpy(p->world.path, "/tmp/vizsla-ingest-XXXXXX");
    assert_non_null(mkdtemp(p->world.path));
    open_again(p);
    *state = p;
    return 0;
}

static inline int close_world(void **state)
{
    struct pictures *p = *state;
    vz_rest_free(p->world.rest);
    vz_infer_free(p->infer);
    vz_store_close(p->world.store);
    vz_remove_all(p->world.path, NULL);
    free(p);
    return 0;
}

static inline size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

#endif
