/* cli/pipeline.h - many pictures looked at on all cores while what is ready is sent.
 *
 * One thread a core takes the next item and makes of it lines for _bulk; the caller's thread
 * gathers them, sends them by `send` in batches and draws the progress. The queue between is
 * bounded, so a slow server holds the workers up and memory stays small. Ctrl-C (vz_stop_asked)
 * ends it after the items that are being looked at: what was ready is still sent.
 *
 *     vz_pipeline_run(&(struct vz_pipeline){.count = n, .look = look, .send = send, ...}, &err);
 */
#ifndef VZ_CLI_PIPELINE_H
#define VZ_CLI_PIPELINE_H

#include "base/mem.h"
#include "base/status.h"
#include "cli/cli.h"

#define VZ_PIPELINE_BATCH 64

/* What became of an item; `failed` ones are sent too when they have an action. */
struct vz_looked {
    size_t at;
    int outcome;          /* the command's own */
    struct vz_buf action; /* whole lines for _bulk; owned; empty: nothing to send */
    char *reason;         /* why it failed; owned; NULL: it did not */
};

struct vz_pipeline {
    size_t count;
    uint32_t dims;                /* of the vector that `look` gets to write into */
    struct vz_progress *progress; /* stepped; NULL: none */
    void *context;
    const char *(*path)(void *context,
                        size_t at); /* the item's file, to be read ahead; may be NULL */
    /* On a worker. Fills *looked, whose `at` is set. */
    void (*look)(void *context, size_t at, float *vector, struct vz_looked *looked);
    /* On the caller's thread: `count` items with actions, in one body, in order. */
    enum vz_status (*send)(void *context, struct vz_slice body, const struct vz_looked *items,
                           size_t count, struct vz_error *err);
    /* On the caller's thread, of each with a reason, before it is sent. */
    void (*failed)(void *context, const struct vz_looked *looked);
};

/* The first error of `send` ends it. VZ_OK also when it was stopped. */
enum vz_status vz_pipeline_run(const struct vz_pipeline *pipeline, struct vz_error *err);

#endif
