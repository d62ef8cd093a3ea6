/* Folders with hidden ones, links, loops, names that are no text and folders that cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/walk.h"
#include "base/file.h"

static char root[64];

static void make(const char *path, bool is_folder)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    if (is_folder)
        assert_int_equal(mkdir(whole, 0755), 0);
    else
        assert_int_equal(vz_file_write_atomic(whole, "x", 1, NULL), VZ_OK);
}

static void make_link(const char *to, const char *path)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    assert_int_equal(symlink(to, whole), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/vizsla-walk-XXXXXX");
    assert_non_null(mkdtemp(root));
    make("a", true);
    make("a/deep", true);
    make("a/deep/one.JPG", false);
    make("a/two.png", false);
    make("a/two.txt", false);
    make("b", true);
    make("b/.hidden", true);
    make("b/.hidden/three.jpg", false);
    make("b/.four.jpg", false);
    make("b/five.webp", false);
    make("c", true);
    make("c/.nomedia", false);
    make("c/six.jpg", false);
    make("@eaDir", true);
    make("@eaDir/seven.jpg", false);
    make("b/na\xefve.jpg", false);
    make_link(root, "b/loop");
    make_link("../a", "b/other");
    make_link("nowhere", "b/dead.jpg");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vz_remove_all(root, NULL);
    return 0;
}

static void check(const struct vz_walk_options *options, const char *const *names, size_t failures)
{
    struct vz_walk walk = {0};
    struct vz_error err = {0};
    size_t count = 0;
    if (vz_walk_folder(root, options, &walk, &err) != VZ_OK)
        fail_msg("%s", err.text);
    vz_walk_sort(&walk);
    while (names[count])
        count++;
    for (size_t i = 0; i < walk.count; i++) {
        const char *name = walk.files[i].path + strlen(root) + 1;
        if (i >= count || strcmp(name, names[i]) != 0)
            fail_msg("file %zu is %s, not %s", i, name, i < count ? names[i] : "nothing");
        assert_int_equal(walk.files[i].size, 1);
        assert_true(walk.files[i].modified_ms > 1600000000000);
    }
    assert_int_equal(walk.count, count);
    assert_int_equal(walk.failure_count, failures);
    vz_walk_deinit(&walk);
}

static void finds_pictures_and_leaves_out_the_rest(void **state)
{
    (void)state;
    check(&(struct vz_walk_options){0},
          (const char *[]){"a/deep/one.JPG", "a/two.png", "b/five.webp", NULL}, 1);
    check(&(struct vz_walk_options){.hidden = true},
          (const char *[]){"a/deep/one.JPG", "a/two.png", "b/.four.jpg", "b/.hidden/three.jpg",
                           "b/five.webp", "c/six.jpg", NULL},
          1);
    const char *const patterns[] = {"*.png", "*/deep"};
    check(&(struct vz_walk_options){.excluded = patterns, .excluded_count = 2},
          (const char *[]){"b/five.webp", NULL}, 1);
}

/* Each folder once, whichever way it is reached first; a link that leads nowhere is told. */
static void follows_links_without_going_round(void **state)
{
    struct vz_walk walk = {0};
    (void)state;
    assert_int_equal(vz_walk_folder(root, &(struct vz_walk_options){.follow = true}, &walk, NULL),
                     VZ_OK);
    assert_int_equal(walk.count, 3);
    assert_int_equal(walk.failure_count, 2);
    vz_walk_deinit(&walk);
}

static void two_walks_of_one_folder_are_one(void **state)
{
    struct vz_walk walk = {0};
    const struct vz_walk_options options = {0};
    char inner[96];
    (void)state;
    snprintf(inner, sizeof inner, "%s/a", root);
    assert_int_equal(vz_walk_folder(inner, &options, &walk, NULL), VZ_OK);
    assert_int_equal(vz_walk_folder(root, &options, &walk, NULL), VZ_OK);
    vz_walk_sort(&walk);
    assert_int_equal(walk.count, 3);
    vz_walk_deinit(&walk);
}

static void tells_what_cannot_be_read(void **state)
{
    struct vz_walk walk = {0};
    struct vz_error err = {0};
    char path[96];
    (void)state;
    assert_int_equal(vz_walk_folder("/nowhere", &(struct vz_walk_options){0}, &walk, &err),
                     VZ_NOT_FOUND);
    snprintf(path, sizeof path, "%s/a/two.png", root);
    assert_int_equal(vz_walk_folder(path, &(struct vz_walk_options){0}, &walk, &err),
                     VZ_BAD_ARGUMENT);
    snprintf(path, sizeof path, "%s/a", root);
    chmod(path, 0);
    if (geteuid() != 0) { /* root reads everything */
        assert_int_equal(vz_walk_folder(root, &(struct vz_walk_options){0}, &walk, &err), VZ_OK);
        assert_int_equal(walk.failure_count, 2);
        assert_true(walk.failures[0].is_folder || walk.failures[1].is_folder);
    }
    chmod(path, 0755);
    vz_walk_deinit(&walk);
}

static bool always(void)
{
    return true;
}

static void stops_when_asked(void **state)
{
    struct vz_walk walk = {0};
    (void)state;
    assert_int_equal(vz_walk_folder(root, &(struct vz_walk_options){.stop = always}, &walk, NULL),
                     VZ_CANCELLED);
    vz_walk_deinit(&walk);
}

static void tells_pictures_by_their_ending(void **state)
{
    (void)state;
    const char *const yes[] = {"a.jpg", "A.JPEG", "x.y.HEIC", "a.svg", "a.tiff"};
    const char *const no[] = {"jpg", ".jpg", "a.txt", "a.jpg.bak", "a", "", "a."};
    for (size_t i = 0; i < VZ_COUNT_OF(yes); i++)
        assert_true(vz_walk_is_picture(yes[i]));
    for (size_t i = 0; i < VZ_COUNT_OF(no); i++)
        assert_false(vz_walk_is_picture(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_pictures_and_leaves_out_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follows_links_without_going_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_walks_of_one_folder_are_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_what_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_when_asked, set_up, tear_down),
        cmocka_unit_test(tells_pictures_by_their_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
