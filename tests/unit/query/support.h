/* A temporary store for the tests of the query room, and a search in one line. */
#ifndef TESTS_QUERY_SUPPORT_H
#define TESTS_QUERY_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INDICES 16

struct fixture {
    char path[64];
    struct vz_store *store;
    struct vz_index *index[MAX_INDICES];
    size_t index_count;
};

static inline void must(enum vz_status status, const struct vz_error *err)
{
    if (status != VZ_OK)
        fail_msg("%s: %s", vz_status_name(status), err->text);
}

static inline void fixture_open(struct fixture *fixture)
{
    struct vz_error err = {0};
    *fixture = (struct fixture){0};
    const char *tmp = getenv("TMPDIR");
    snprintf(fixture->path, sizeof(fixture->path), "%s/vz-query-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(fixture->path));
    must(vz_store_open(fixture->path,
                       &(struct vz_store_options){
                           .create = true, .max_memory_bytes = 1u << 30, .graph_threads = 1},
                       &fixture->store, &err),
         &err);
}

static inline void fixture_close(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->index_count; i++)
        vz_index_release(fixture->index[i]);
    vz_store_close(fixture->store);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->path);
    assert_int_equal(system(command), 0);
}

static inline struct vz_index *fixture_create(struct fixture *fixture, const char *name,
                                              const char *body)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json value;
    must(vz_json_parse(vz_slice_from(body), &doc, &value, &err), &err);
    must(vz_store_create_index(fixture->store, vz_slice_from(name), value, &err), &err);
    vz_json_free(doc);
    struct vz_index *index = vz_store_index(fixture->store, vz_slice_from(name));
    assert_non_null(index);
    fixture->index[fixture->index_count++] = index;
    return index;
}

static inline void put_doc(struct vz_index *index, const char *id, const char *source)
{
    struct vz_error err = {0};
    struct vz_write op = {.verb = source ? VZ_WRITE_INDEX : VZ_WRITE_DELETE,
                          .id = vz_slice_from(id),
                          .source = vz_slice_from(source)};
    must(vz_index_write(index, &op, 1, &(struct vz_write_options){0}, &err), &err);
    must(op.status, &op.error);
}

static inline void refresh(struct vz_index *index)
{
    struct vz_error err = {0};
    must(vz_index_refresh(index, &err), &err);
}

/* One search and its answer; deinit with answer_deinit. */
struct answer {
    struct vz_arena arena;
    struct vz_json_doc *doc;
    struct vz_search_result result;
    struct vz_error err;
    enum vz_status status;
};

static inline void answer_deinit(struct answer *answer)
{
    if (answer->doc)
        vz_json_free(answer->doc);
    vz_arena_deinit(&answer->arena);
}

static inline enum vz_status search_targets(const struct vz_search_target *targets, size_t count,
                                            const char *body, const struct vz_search_params *params,
                                            struct answer *answer)
{
    struct vz_json value = {0};
    struct vz_search *search = NULL;
    *answer = (struct answer){0};
    if (body)
        must(vz_json_parse(vz_slice_from(body), &answer->doc, &value, &answer->err), &answer->err);
    answer->status = vz_search_parse(value, params, &answer->arena, &search, &answer->err);
    if (answer->status == VZ_OK)
        answer->status =
            vz_search_run(targets, count, search, &answer->arena, &answer->result, &answer->err);
    return answer->status;
}

static inline void search_index(struct vz_index *index, const char *body, struct answer *answer)
{
    struct vz_search_target target = {.index = index};
    if (search_targets(&target, 1, body, NULL, answer) != VZ_OK)
        fail_msg("%s\n  %s: %s", body, vz_status_name(answer->status), answer->err.text);
}

/* The ids of the hits with commas between. */
static inline const char *ids_of(struct answer *answer)
{
    struct vz_buf buf = {0};
    for (size_t i = 0; i < answer->result.hit_count; i++) {
        if (i)
            vz_buf_append_char(&buf, ',');
        vz_buf_append_slice(&buf, answer->result.hits[i].id);
    }
    const char *text = vz_arena_strdup(&answer->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return text;
}

#define assert_ids(index, body, expected)                                                          \
    do {                                                                                           \
        struct answer answer_;                                                                     \
        search_index(index, body, &answer_);                                                       \
        assert_string_equal(ids_of(&answer_), expected);                                           \
        answer_deinit(&answer_);                                                                   \
    } while (0)

#define assert_slice(slice, expected)                                                              \
    do {                                                                                           \
        struct vz_slice slice_ = (slice);                                                          \
        char copy_[4096];                                                                          \
        snprintf(copy_, sizeof(copy_), "%.*s", (int)slice_.len, slice_.ptr ? slice_.ptr : "");     \
        assert_string_equal(copy_, expected);                                                      \
    } while (0)

#endif
