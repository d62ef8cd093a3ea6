/* Deployments: places, queues, deadlines, memory, starting and stopping, with real threads. */
#include "support.h"

#include "base/thread.h"

/* A place taken and held, so that what the queue does does not depend on timing. */
static struct deployment *hold(struct world *world, const char *name)
{
    struct deployment *d;
    struct vz_error err = {0};
    if (deployment_enter(world->infer, vz_slice_from(name), 0, &d, &err) != VZ_OK)
        fail_msg("%s", err.text);
    return d;
}

static void let_go(struct world *world, struct deployment *d)
{
    deployment_leave(world->infer, d, true, 1, 1000, 0);
}

static void start(struct world *world, const char *id, const char *model, uint32_t allocations,
                  uint32_t queue)
{
    struct vz_error err = {0};
    const struct vz_deployment_options options = {.id = vz_slice_from(id),
                                                  .model = vz_slice_from(model),
                                                  .allocations = allocations,
                                                  .queue_capacity = queue};
    if (vz_infer_start(world->infer, &options, 0, &err) != VZ_OK)
        fail_msg("%s: %s", id, err.text);
}

static struct vz_deployment find(struct world *world, const char *id)
{
    struct vz_deployment *list;
    size_t count = vz_infer_deployments(world->infer, &world->arena, &list);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_is(list[i].id, id))
            return list[i];
    return (struct vz_deployment){0};
}

/* One request of a thread of its own. */
struct asker {
    struct world *world;
    const char *model;
    uint64_t deadline_ns;
    pthread_t thread;
    enum vz_status status;
    struct vz_error err;
    atomic_bool is_done;
};

static void *ask(void *arg)
{
    struct asker *self = arg;
    struct vz_arena arena = {0};
    struct vz_infer_answer answer;
    const struct vz_infer_input input = text_input("a dog");
    const struct vz_infer_request request = {.model = vz_slice_from(self->model),
                                             .inputs = &input,
                                             .count = 1,
                                             .deadline_ns = self->deadline_ns};
    self->status = vz_infer_run(self->world->infer, &request, &arena, &answer, &self->err);
    vz_arena_deinit(&arena);
    atomic_store(&self->is_done, true);
    return NULL;
}

static void ask_later(struct asker *asker)
{
    assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static void wait_for_waiting(struct world *world, const char *id, uint32_t count)
{
    for (int i = 0; i < 60000 && find(world, id).waiting != count; i++)
        usleep(1000);
    assert_int_equal(find(world, id).waiting, count);
}

static void full_queues_refuse(void **state)
{
    struct world *world = *state;
    struct asker waiting[3] = {0}, refused[5] = {0};
    start(world, "narrow", "tiny-embed", 1, 3);
    struct deployment *held = hold(world, "narrow");
    for (size_t i = 0; i < 3; i++) {
        waiting[i] = (struct asker){.world = world, .model = "narrow"};
        ask_later(&waiting[i]);
    }
    wait_for_waiting(world, "narrow", 3);
    for (size_t i = 0; i < 5; i++) {
        refused[i] = (struct asker){.world = world, .model = "narrow"};
        ask_later(&refused[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        pthread_join(refused[i].thread, NULL);
        assert_int_equal(refused[i].status, VZ_BUSY);
        assert_non_null(strstr(refused[i].err.text, "queue is full"));
    }
    let_go(world, held);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(waiting[i].thread, NULL);
        assert_int_equal(waiting[i].status, VZ_OK);
    }
    struct vz_deployment d = find(world, "narrow");
    assert_int_equal(d.rejected_count, 5);
    assert_int_equal(d.inference_count, 4);
    assert_int_equal(d.running + d.waiting, 0);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("narrow"), NULL), VZ_OK);
}

static void deadlines_end_waiting(void **state)
{
    struct world *world = *state;
    start(world, "slow", "tiny-embed", 1, 10);
    struct deployment *held = hold(world, "slow");
    struct asker late, behind = {.world = world, .model = "slow"};
    /* On a busy machine it may have gone before it was seen waiting: once more, with more time. */
    uint64_t timeouts = 0, patience_ns = 50000000;
    for (bool seen = false; !seen; patience_ns *= 4) {
        late = (struct asker){
            .world = world, .model = "slow", .deadline_ns = vz_now_ns() + patience_ns};
        timeouts = find(world, "slow").timeout_count;
        ask_later(&late);
        while (!seen && !atomic_load(&late.is_done)) {
            usleep(1000);
            seen = find(world, "slow").waiting == 1;
        }
        if (seen)
            ask_later(&behind);
        pthread_join(late.thread, NULL);
        assert_int_equal(late.status, VZ_CANCELLED);
    }
    wait_for_waiting(world, "slow", 1); /* who was behind is still there */
    let_go(world, held);
    pthread_join(behind.thread, NULL);
    assert_int_equal(behind.status, VZ_OK);
    assert_int_equal(find(world, "slow").timeout_count, timeouts + 1);
    /* One that is over before it begins does not compute. */
    struct asker never = {.world = world, .model = "slow", .deadline_ns = 1};
    ask(&never);
    assert_int_equal(never.status, VZ_CANCELLED);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("slow"), NULL), VZ_OK);
}

static void *stop_gone(void *arg)
{
    struct world *world = arg;
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("gone"), NULL), VZ_OK);
    return NULL;
}

/* A stop waits for what computes; what waits ends at once. */
static void stopping_ends_waiting(void **state)
{
    struct world *world = *state;
    pthread_t stopper;
    start(world, "gone", "tiny-embed", 1, 10);
    struct deployment *held = hold(world, "gone");
    struct asker waiting = {.world = world, .model = "gone"};
    ask_later(&waiting);
    wait_for_waiting(world, "gone", 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_gone, world), 0);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, VZ_CANCELLED);
    assert_non_null(strstr(waiting.err.text, "was stopped"));
    assert_int_equal(find(world, "gone").state, VZ_STOPPING);
    let_go(world, held);
    pthread_join(stopper, NULL);
    assert_int_equal(find(world, "gone").id.len, 0);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("gone"), NULL), VZ_NOT_FOUND);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("eye"), NULL), VZ_UNSUPPORTED);
}

static void more_places_let_more_in(void **state)
{
    struct world *world = *state;
    start(world, "grows", "tiny-embed", 1, 10);
    struct deployment *held = hold(world, "grows");
    struct asker waiting = {.world = world, .model = "grows"};
    ask_later(&waiting);
    wait_for_waiting(world, "grows", 1);
    assert_int_equal(vz_infer_update(world->infer, VZ_SLICE("grows"), 2, NULL), VZ_OK);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, VZ_OK);
    assert_int_equal(find(world, "grows").allocations, 2);
    let_go(world, held);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("grows"), NULL), VZ_OK);
}

static void names_of_deployments(void **state)
{
    struct world *world = *state;
    struct vz_error err = {0};
    start(world, "ingest", "tiny-clip", 1, 0);
    start(world, "search", "tiny-clip", 1, 0);
    const struct vz_deployment_options again = {.id = VZ_SLICE("search"),
                                                .model = VZ_SLICE("tiny-embed")};
    assert_int_equal(vz_infer_start(world->infer, &again, 0, &err), VZ_EXISTS);
    /* Two deployments of one model hold its weights once. */
    uint64_t used, most;
    vz_infer_memory(world->infer, &used, &most);
    assert_int_equal(used, find(world, "ingest").memory_bytes);
    vector_of(world, "search", text_input("a dog"));
    assert_int_equal(find(world, "search").inference_count, 1);
    /* By the model's name: whichever has less to do. */
    struct deployment *held = hold(world, "search");
    vector_of(world, "tiny-clip", text_input("a dog"));
    assert_int_equal(find(world, "ingest").inference_count, 1);
    let_go(world, held);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("tiny-clip"), &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("search"), NULL), VZ_OK);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("tiny-clip"), NULL), VZ_OK);
    vz_infer_memory(world->infer, &used, &most);
    assert_int_equal(used, 0);
}

/* The second answer to a text comes from the cache, and not with a cache of no size. */
static void texts_asked_again(void **state)
{
    struct world *world = *state;
    start(world, "cached", "tiny-embed", 1, 0);
    const float *first = vector_of(world, "cached", text_input("a dog"));
    const float *second = vector_of(world, "cached", text_input("a dog"));
    assert_memory_equal(first, second, DIMS * sizeof *first);
    assert_int_equal(find(world, "cached").cache_hits, 1);
    assert_int_equal(vz_infer_clear_cache(world->infer, VZ_SLICE("cached"), NULL), VZ_OK);
    vector_of(world, "cached", text_input("a dog"));
    assert_int_equal(find(world, "cached").cache_hits, 1);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("cached"), NULL), VZ_OK);
    const struct vz_deployment_options none = {
        .id = VZ_SLICE("plain"), .model = VZ_SLICE("tiny-embed"), .cache_bytes = 1};
    assert_int_equal(vz_infer_start(world->infer, &none, 0, NULL), VZ_OK);
    vector_of(world, "plain", text_input("a dog"));
    vector_of(world, "plain", text_input("a dog"));
    assert_int_equal(find(world, "plain").cache_hits, 0);
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("plain"), NULL), VZ_OK);
}

static uint64_t estimate(struct world *world, const char *name)
{
    struct vz_infer_model model;
    assert_int_equal(vz_infer_find(world->infer, vz_slice_from(name), &world->arena, &model, NULL),
                     VZ_OK);
    return model.memory_bytes;
}

/* Room for the estimate of one model and nothing beside it. */
static void memory_is_given_back_for_others(void **state)
{
    struct world *world = *state;
    world_restart(
        world, &(struct vz_infer_options){.max_memory_bytes = estimate(world, "tiny-clip") + 1000});
    vector_of(world, "tiny-embed", text_input("a dog"));
    assert_true(find(world, "tiny-embed").memory_bytes > 1000);
    vector_of(world, "tiny-clip", text_input("a dog"));
    assert_int_equal(find(world, "tiny-embed").id.len, 0); /* went for the other */
    assert_true(find(world, "tiny-clip").id.len > 0);
    vector_of(world, "tiny-embed", text_input("a dog")); /* and comes back when it is asked */
    uint64_t used, most;
    vz_infer_memory(world->infer, &used, &most);
    assert_true(used <= most);
    assert_true(find(world, "eye").id.len > 0);
    world_restart(world, NULL);
}

static void memory_in_use_is_not_given_back(void **state)
{
    struct world *world = *state;
    world_restart(
        world, &(struct vz_infer_options){.max_memory_bytes = estimate(world, "tiny-rank") + 1000});
    start(world, "kept", "tiny-embed", 1, 0);
    struct asker other = {.world = world, .model = "tiny-rank"};
    ask(&other);
    assert_int_equal(other.status, VZ_BUDGET);
    assert_non_null(strstr(other.err.text, "tiny-rank"));
    assert_int_equal(vz_infer_stop(world->infer, VZ_SLICE("kept"), NULL), VZ_OK);
    /* Idle, but used at the moment: neither. */
    struct deployment *held = hold(world, "tiny-embed");
    struct asker again = {.world = world, .model = "tiny-rank"};
    ask(&again);
    assert_int_equal(again.status, VZ_BUDGET);
    let_go(world, held);
    /* Now it is idle, and goes for the one that is wanted. */
    const struct vz_infer_input input = text_input("a dog");
    struct vz_infer_answer answer;
    const struct vz_infer_request request = {
        .model = VZ_SLICE("tiny-rank"), .inputs = &input, .count = 1, .query = VZ_SLICE("puppy")};
    assert_int_equal(run(world, &request, &answer, NULL), VZ_OK);
    world_restart(world, NULL);
}

/* A model that does not fit even alone costs the others nothing. */
static void too_large_models_evict_nobody(void **state)
{
    struct world *world = *state;
    uint64_t most = estimate(world, "tiny-embed") + 1000;
    assert_true(estimate(world, "tiny-clip") > most);
    world_restart(world, &(struct vz_infer_options){.max_memory_bytes = most});
    vector_of(world, "tiny-embed", text_input("a dog"));
    struct asker other = {.world = world, .model = "tiny-clip"};
    ask(&other);
    assert_int_equal(other.status, VZ_BUDGET);
    assert_true(find(world, "tiny-embed").id.len > 0);
    world_restart(world, NULL);
}

static void broken_models_fail_for_all(void **state)
{
    struct world *world = *state;
    char path[160];
    struct asker askers[4] = {0};
    /* The manifest is whole, so the model is known; its weights are not. */
    snprintf(path, sizeof path, "%s/tiny-prompts/model.safetensors", world->models);
    assert_int_equal(unlink(path), 0); /* may be a hard link: not to be written into */
    assert_int_equal(vz_file_write_atomic(path, "damaged", 7, NULL), VZ_OK);
    for (size_t i = 0; i < 4; i++) {
        askers[i] = (struct asker){.world = world, .model = "tiny-prompts"};
        ask_later(&askers[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].status, VZ_CORRUPT);
    }
    assert_int_equal(find(world, "tiny-prompts").id.len, 0);
}

/* Many threads, few places, two models that do not fit together, starts and stops in between. */
struct storm {
    struct world *world;
    unsigned seed;
    unsigned good, refused;
};

static void *storm(void *arg)
{
    static const char *const models[] = {"tiny-clip", "tiny-embed", "tiny-mood", "eye", "named"};
    struct storm *self = arg;
    uint64_t seed = self->seed;
    for (int i = 0; i < 60; i++) {
        unsigned kind = (unsigned)(vz_rng_next(&seed) % 8);
        struct vz_arena arena = {0};
        struct vz_deployment *list;
        if (kind < 5) {
            struct asker asker = {.world = self->world, .model = models[kind]};
            if (kind % 2)
                asker.deadline_ns = vz_now_ns() + 2000000000;
            ask(&asker);
            bool fine = asker.status == VZ_OK || (kind == 3 && asker.status == VZ_UNSUPPORTED);
            bool known = asker.status == VZ_BUSY || asker.status == VZ_BUDGET ||
                         asker.status == VZ_CANCELLED || asker.status == VZ_NOT_FOUND;
            if (!fine && !known)
                fail_msg("%s: %s", models[kind], asker.err.text);
            self->good += fine;
            self->refused += known;
        } else if (kind == 5) {
            const struct vz_deployment_options options = {.id = VZ_SLICE("named"),
                                                          .model = VZ_SLICE("tiny-clip"),
                                                          .allocations = 1,
                                                          .queue_capacity = 2};
            vz_infer_start(self->world->infer, &options, 0, NULL);
        } else if (kind == 6) {
            vz_infer_stop(self->world->infer, VZ_SLICE("named"), NULL);
        } else {
            vz_infer_deployments(self->world->infer, &arena, &list);
            vz_infer_update(self->world->infer, VZ_SLICE("named"), 1 + (uint32_t)i % 3, NULL);
        }
        vz_arena_deinit(&arena);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct world *world = *state;
    pthread_t threads[8];
    struct storm storms[8];
    unsigned good = 0;
    world_restart(
        world, &(struct vz_infer_options){.max_memory_bytes = estimate(world, "tiny-clip") + 1000});
    print_message("seeds 1 to 8\n");
    for (unsigned i = 0; i < 8; i++) {
        storms[i] = (struct storm){.world = world, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, storm, &storms[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        good += storms[i].good;
    }
    assert_true(good > 20);
    struct vz_deployment *list;
    size_t count = vz_infer_deployments(world->infer, &world->arena, &list);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].running + list[i].waiting, 0);
    world_restart(world, NULL);
}

int main(void)
{
    assert_int_equal(vz_image_start(NULL), VZ_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_queues_refuse),
        cmocka_unit_test(deadlines_end_waiting),
        cmocka_unit_test(stopping_ends_waiting),
        cmocka_unit_test(more_places_let_more_in),
        cmocka_unit_test(names_of_deployments),
        cmocka_unit_test(texts_asked_again),
        cmocka_unit_test(memory_is_given_back_for_others),
        cmocka_unit_test(memory_in_use_is_not_given_back),
        cmocka_unit_test(too_large_models_evict_nobody),
        cmocka_unit_test(broken_models_fail_for_all),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
