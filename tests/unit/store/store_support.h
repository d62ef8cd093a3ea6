/* What the store's tests share: a folder that goes away, bodies from text, seeded documents. */
#ifndef TEST_STORE_SUPPORT_H
#define TEST_STORE_SUPPORT_H

#include "base/file.h"
#include "base/text.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) ok_at((call), &err, #call, __FILE__, __LINE__)

static inline void ok_at(enum vz_status status, struct vz_error *err, const char *call,
                         const char *file, int line)
{
    if (status == VZ_OK)
        return;
    fprintf(stderr, "%s:%d: %s: %s: %s %s\n", file, line, call, vz_status_name(status), err->text,
            err->cause);
    _fail(file, line);
}

static inline char *temp_folder(void)
{
    const char *base = getenv("TMPDIR");
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/vz-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path.data))
        fail_msg("no temporary folder");
    return vz_buf_take(&path);
}

static inline void drop_folder(char *path)
{
    vz_remove_all(path, NULL);
    free(path);
}

static inline struct vz_store *open_store(const char *path)
{
    struct vz_error err = {0};
    struct vz_store *store = NULL;
    OK(vz_store_open(path, &(struct vz_store_options){.create = true}, &store, &err));
    return store;
}

static inline struct vz_index *make_index(struct vz_store *store, const char *name,
                                          const char *body)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    OK(vz_json_parse(vz_slice_from(body), &doc, &root, &err));
    OK(vz_store_create_index(store, vz_slice_from(name), root, &err));
    vz_json_free(doc);
    struct vz_index *index = vz_store_index(store, vz_slice_from(name));
    assert_non_null(index);
    return index;
}

/* One operation; what it gave. */
static inline struct vz_write write_one(struct vz_index *index, struct vz_write op,
                                        enum vz_refresh refresh)
{
    struct vz_error err = {0};
    OK(vz_index_write(index, &op, 1, &(struct vz_write_options){.refresh = refresh}, &err));
    return op;
}

static inline struct vz_write put_doc(struct vz_index *index, const char *id, const char *source)
{
    struct vz_write op = write_one(index,
                                   (struct vz_write){.verb = VZ_WRITE_INDEX,
                                                     .id = vz_slice_from(id),
                                                     .source = vz_slice_from(source)},
                                   VZ_REFRESH_TRUE);
    if (op.status != VZ_OK)
        fprintf(stderr, "put [%s]: %s\n", id, op.error.text);
    assert_int_equal(op.status, VZ_OK);
    return op;
}

static inline void random_vector(uint64_t seed, float *out, unsigned dims)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
    for (unsigned i = 0; i < dims; i++)
        out[i] = (float)vz_rng_normal(&state);
}

static inline void append_vector(struct vz_buf *out, uint64_t seed, unsigned dims)
{
    float floats[4096];
    random_vector(seed, floats, dims);
    vz_json_append_floats(out, floats, dims);
}

static inline size_t knn_of(struct vz_snapshot *snap, const char *path, const float *query,
                            uint32_t k, const struct vz_bitset *filter, bool exact,
                            struct vz_knn_hit *hits)
{
    struct vz_error err = {0};
    uint32_t found = 0;
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), vz_slice_from(path));
    assert_non_null(field);
    struct vz_knn knn = {.field = field,
                         .query = query,
                         .k = k,
                         .num_candidates = k + 50,
                         .filter = filter,
                         .exact = exact};
    OK(vz_snapshot_knn(snap, &knn, hits, &found, NULL, &err));
    return found;
}

#endif
