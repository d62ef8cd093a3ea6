/* Pictures as clients send them: base64, data URIs, files below a folder. All of it is hostile. */
#include "support.h"

#include <sys/stat.h>

static enum vz_status decode(struct world *world, const char *text, struct vz_slice *bytes,
                             struct vz_error *err)
{
    return vz_infer_data_uri(world->infer, vz_slice_from(text), &world->arena, bytes, err);
}

static void data_uris(void **state)
{
    struct world *world = *state;
    struct vz_slice bytes;
    static const char *const good[] = {
        "data:image/png;base64,aGVsbG8=", "data:image/jpeg;base64,aGVsbG8",
        "DATA:image/webp;charset=x;BASE64,aGVs\r\nbG8=\n"};
    static const char *const bad[] = {"data:image/png,aGVsbG8=",
                                      "data:text/plain;base64,aGVsbG8=",
                                      "aGVsbG8=",
                                      "",
                                      "data:image/png;base64",
                                      "data:image/",
                                      "http://example.org/a.png"};
    for (size_t i = 0; i < VZ_COUNT_OF(good); i++) {
        assert_true(vz_infer_is_data_uri(vz_slice_from(good[i])));
        assert_int_equal(decode(world, good[i], &bytes, NULL), VZ_OK);
        assert_true(vz_slice_is(bytes, "hello"));
    }
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        assert_false(vz_infer_is_data_uri(vz_slice_from(bad[i])));
        assert_int_equal(decode(world, bad[i], &bytes, NULL), VZ_BAD_ARGUMENT);
    }
    assert_int_equal(decode(world, "data:image/png;base64,a*b", &bytes, NULL), VZ_BAD_ARGUMENT);
    assert_int_equal(decode(world, "data:image/png;base64,", &bytes, NULL), VZ_BAD_ARGUMENT);
}

static void sizes_are_limited(void **state)
{
    struct world *world = *state;
    struct vz_slice bytes;
    struct vz_error err = {0};
    char text[4001];
    memset(text, 'A', 4000);
    text[4000] = '\0';
    world_restart(world, &(struct vz_infer_options){.max_image_bytes = 1000});
    assert_int_equal(
        vz_infer_base64(world->infer, vz_slice_from(text), &world->arena, &bytes, &err), VZ_LIMIT);
    text[1332] = '\0'; /* 999 bytes */
    assert_int_equal(
        vz_infer_base64(world->infer, vz_slice_from(text), &world->arena, &bytes, &err), VZ_OK);
    char path[160];
    snprintf(path, sizeof path, "%s/large.bin", world->images);
    assert_int_equal(vz_file_write_atomic(path, text, 1001, NULL), VZ_OK);
    assert_int_equal(
        vz_infer_file(world->infer, VZ_SLICE("large.bin"), &world->arena, &bytes, &err), VZ_LIMIT);
    struct vz_infer_answer answer;
    const struct vz_infer_input input = {.is_image = true, .bytes = picture(world, 7, 400, 300)};
    const struct vz_infer_request request = {
        .model = VZ_SLICE("eye"), .inputs = &input, .count = 1};
    assert_true(input.bytes.len > 1000);
    assert_int_equal(run(world, &request, &answer, &err), VZ_LIMIT);
    world_restart(world, NULL);
}

static void files_stay_below_their_folder(void **state)
{
    struct world *world = *state;
    char path[200], inside[200];
    struct vz_slice bytes;
    snprintf(path, sizeof path, "%s/secret", world->path);
    assert_int_equal(vz_file_write_atomic(path, "secret", 6, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/dogs", world->images);
    assert_int_equal(vz_mkdir_all(path, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/dogs/luigi.png", world->images);
    assert_int_equal(vz_file_write_atomic(path, "luigi", 5, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/secret", world->path);
    snprintf(inside, sizeof inside, "%s/link", world->images);
    assert_int_equal(symlink(path, inside), 0);
    snprintf(inside, sizeof inside, "%s/out", world->images);
    assert_int_equal(symlink(world->path, inside), 0);
    snprintf(inside, sizeof inside, "%s/near", world->images);
    assert_int_equal(symlink("dogs/luigi.png", inside), 0);
    /* A folder beside it whose name begins with the same letters. */
    snprintf(path, sizeof path, "%s-more", world->images);
    assert_int_equal(vz_mkdir_all(path, NULL), VZ_OK);
    snprintf(inside, sizeof inside, "%s/more", world->images);
    assert_int_equal(symlink(path, inside), 0);
    snprintf(path, sizeof path, "%s-more/a", world->images);
    assert_int_equal(vz_file_write_atomic(path, "other", 5, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/pipe", world->images);
    assert_int_equal(mkfifo(path, 0600), 0);

    static const struct {
        const char *name;
        enum vz_status status;
    } cases[] = {
        {"dogs/luigi.png", VZ_OK},
        {"near", VZ_OK},
        {"nope.png", VZ_NOT_FOUND},
        {"../secret", VZ_BAD_ARGUMENT},
        {"dogs/../../secret", VZ_BAD_ARGUMENT},
        {"/etc/passwd", VZ_BAD_ARGUMENT},
        {"link", VZ_BAD_ARGUMENT},
        {"out/secret", VZ_BAD_ARGUMENT},
        {"more/a", VZ_BAD_ARGUMENT},
        {"dogs", VZ_BAD_ARGUMENT},
        {"", VZ_BAD_ARGUMENT},
        {"dogs//luigi.png", VZ_BAD_ARGUMENT},
        {"./dogs/luigi.png", VZ_BAD_ARGUMENT},
        {"dogs/luigi.png/", VZ_BAD_ARGUMENT},
        {"a\nb", VZ_BAD_ARGUMENT},
        {"pipe", VZ_BAD_ARGUMENT},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        enum vz_status status =
            vz_infer_file(world->infer, vz_slice_from(cases[i].name), &world->arena, &bytes, NULL);
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].name, vz_status_name(status),
                     vz_status_name(cases[i].status));
    }
    assert_int_equal(vz_infer_file(world->infer, VZ_SLICE("near"), &world->arena, &bytes, NULL),
                     VZ_OK);
    assert_true(vz_slice_is(bytes, "luigi"));
}

static void files_need_a_folder(void **state)
{
    struct world *world = *state;
    struct vz_infer *infer;
    struct vz_slice bytes;
    struct vz_error err = {0};
    assert_int_equal(
        vz_infer_new(&(struct vz_infer_options){.models = world->models}, &infer, NULL), VZ_OK);
    assert_int_equal(vz_infer_file(infer, VZ_SLICE("a"), &world->arena, &bytes, &err),
                     VZ_UNSUPPORTED);
    assert_non_null(strstr(err.text, "--image-folder"));
    vz_infer_free(infer);
    const struct vz_infer_options none = {.image_folder = "/nonexistent/vizsla"};
    assert_int_equal(vz_infer_new(&none, &infer, &err), VZ_NOT_FOUND);
}

int main(void)
{
    assert_int_equal(vz_image_start(NULL), VZ_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_uris),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(files_stay_below_their_folder),
        cmocka_unit_test(files_need_a_folder),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
