#include "cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "embed/registry.h"
#include "http/http.h"
#include "infer/infer.h"
#include "rest/rest.h"
#include "store/store.h"

#include <stdlib.h>
#include <time.h>

struct vz_reach {
    struct vz_transport transport;
    struct vz_buf where;
    struct vz_buf url;        /* over HTTP */
    struct vz_store *store;   /* in this process */
    struct vz_infer *infer;
    struct vz_rest *rest;
};

static enum vz_status call_here(void *context, const char *method, const char *path,
                                struct vz_slice body, const char *content_type, int *http_status,
                                struct vz_buf *answer, struct vz_error *err)
{
    struct vz_reach *reach = context;
    struct vz_http_answer got = {0};
    (void)content_type;
    (void)err;
    vz_rest_call(reach->rest, method, path, body, &got);
    *http_status = got.status;
    vz_buf_append_slice(answer, vz_buf_slice(&got.body));
    vz_buf_deinit(&got.body);
    return VZ_OK;
}

static enum vz_status call_there(void *context, const char *method, const char *path,
                                 struct vz_slice body, const char *content_type, int *http_status,
                                 struct vz_buf *answer, struct vz_error *err)
{
    struct vz_reach *reach = context;
    struct vz_http_answer got = {0};
    enum vz_status status =
        vz_http_call(reach->url.data, method, path, body,
                     content_type ? content_type : "application/json", &got, err);
    *http_status = got.status;
    if (status == VZ_OK)
        vz_buf_append_slice(answer, vz_buf_slice(&got.body));
    vz_buf_deinit(&got.body);
    return status;
}

static void go_over_http(struct vz_reach *reach, const char *url)
{
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    vz_buf_append(&reach->url, url, len);
    vz_buf_append_slice(&reach->where, vz_buf_slice(&reach->url));
    reach->transport.call = call_there;
}

/* Another command (not a server) that works on the folder is done soon; wait for it. */
#define WAIT_FOR_FOLDER_NS 10000000000ull

static enum vz_status open_when_free(const char *folder, bool create, struct vz_store **store,
                                     struct vz_buf *url, struct vz_error *err)
{
    const struct vz_store_options options = {.create = create};
    const struct timespec pause = {.tv_nsec = 50000000};
    uint64_t until = vz_now_ns() + WAIT_FOR_FOLDER_NS;
    for (;;) {
        vz_buf_clear(url);
        if (vz_store_holder(folder, url) && url->len)
            return VZ_OK; /* a server: go through it */
        enum vz_status status = vz_store_open(folder, &options, store, err);
        if (status != VZ_BUSY || vz_now_ns() >= until)
            return status;
        nanosleep(&pause, NULL);
    }
}

static enum vz_status open_folder(struct vz_reach *reach, const char *folder, bool create,
                                  struct vz_error *err)
{
    struct vz_buf url = {0};
    enum vz_status status = open_when_free(folder, create, &reach->store, &url, err);
    if (status == VZ_OK && url.len) {
        go_over_http(reach, url.data);
        goto out;
    }
    if (status == VZ_BUSY)
        vz_fail(err, status,
                "another command has been working on %s for more than 10 seconds; run `vizsla serve "
                "--data %s`, and all commands share the folder through it",
                folder, folder);
    if (status == VZ_NOT_FOUND && !create)
        vz_fail(err, status,
                "there is no data folder %s yet; register a dog first: vizsla register --name "
                "Luigi photo.jpg",
                folder);
    if (status != VZ_OK)
        goto out;
    struct vz_buf models = {0};
    vz_models_folder(folder, &models);
    status = vz_infer_new(&(struct vz_infer_options){.models = models.data}, &reach->infer, err);
    vz_buf_deinit(&models);
    if (status != VZ_OK)
        goto out;
    reach->rest = vz_rest_new(reach->store, &(struct vz_rest_options){.infer = reach->infer});
    vz_buf_append_str(&reach->where, folder);
    reach->transport.call = call_here;
out:
    vz_buf_deinit(&url);
    return status;
}

enum vz_status vz_reach_new(const char *url, const char *data, bool create, struct vz_reach **out,
                            struct vz_error *err)
{
    struct vz_reach *reach = vz_calloc(1, sizeof *reach);
    struct vz_buf folder = {0};
    enum vz_status status = VZ_OK;
    reach->transport.context = reach;
    if (url) {
        go_over_http(reach, url);
    } else {
        vz_data_folder(data, &folder);
        status = open_folder(reach, folder.data, create, err);
    }
    vz_buf_deinit(&folder);
    if (status != VZ_OK) {
        vz_reach_free(reach);
        reach = NULL;
    }
    *out = reach;
    return status;
}

const struct vz_transport *vz_reach_transport(struct vz_reach *reach)
{
    return &reach->transport;
}

const char *vz_reach_where(const struct vz_reach *reach)
{
    return reach->where.data;
}

void vz_reach_free(struct vz_reach *reach)
{
    if (!reach)
        return;
    vz_rest_free(reach->rest);
    vz_infer_free(reach->infer);
    if (reach->store)
        vz_store_close(reach->store);
    vz_buf_deinit(&reach->where);
    vz_buf_deinit(&reach->url);
    free(reach);
}
