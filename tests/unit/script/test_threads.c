/* One program, many threads: each with its own arena, all with the same answers. */
#include "support.h"

#include <pthread.h>

#define THREADS 4
#define RUNS 2000

struct job {
    const struct vz_script *script;
    pthread_t thread;
    unsigned wrong;
};

static void *work(void *job_void)
{
    struct job *job = job_void;
    struct vz_arena arena = {0};
    for (int i = 0; i < RUNS; i++) {
        struct vz_value *result, *state[] = {vz_value_object(&arena)};
        struct vz_error err = {0};
        struct vz_script_run run = {.arena = &arena,
                                    .field = give_field,
                                    .score = i,
                                    .ctx = vz_value_object(&arena),
                                    .variables = state};
        enum vz_status status = vz_script_run(job->script, &run, &result, &err);
        job->wrong +=
            status != VZ_OK || result->type != VZ_VALUE_DOUBLE || result->number != i + 6 + 24 + 2;
        vz_arena_reset(&arena);
    }
    vz_arena_deinit(&arena);
    return NULL;
}

static void test_shared_program(void **state)
{
    struct vz_arena arena = {0};
    struct vz_error err = {0};
    struct vz_script *script;
    struct vz_script_host host = test_host(&arena, "{\"l\":[1,2,3]}");
    struct job jobs[THREADS] = {{0}};
    const char *source = "double s = _score; for (x in params.l) s += x; ctx.l = params.l; "
                         "ctx.l.add('\xc3\x89'.toLowerCase()); s += twice(doc['price'].value); "
                         "return s + (ctx.l.contains('\xc3\xa9') ? 2 : 0)";
    assert_int_equal(vz_script_compile(vz_slice_from(source), &host, &arena, &script, &err), VZ_OK);
    for (int i = 0; i < THREADS; i++) {
        jobs[i].script = script;
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        assert_int_equal(jobs[i].wrong, 0);
    }
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
