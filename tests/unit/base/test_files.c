/* Growable maps and small files, on a real disk. */
#include "base/ahead.h"
#include "base/file.h"
#include "base/grow.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/vizsla-base-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return vz_remove_all(folder, NULL) == VZ_OK ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void anonymous_memory_grows_in_place_and_is_zero(void **state)
{
    struct vz_grow grow;
    struct vz_error err = {0};
    assert_int_equal(vz_grow_open(&grow, (size_t)1 << 32, &err), VZ_OK);
    char *base = grow.base;
    for (size_t size = 1; size < (size_t)8 << 20; size = size * 3 + 1) {
        assert_int_equal(vz_grow_ensure(&grow, size, &err), VZ_OK);
        assert_ptr_equal(grow.base, base);
        assert_int_equal(grow.base[size - 1], 0);
        grow.base[size - 1] = 1;
    }
    assert_int_equal(vz_grow_ensure(&grow, (size_t)1 << 33, &err), VZ_LIMIT);
    assert_int_equal(vz_grow_truncate(&grow, 2, &err), VZ_OK);
    assert_int_equal(vz_grow_ensure(&grow, 5000, &err), VZ_OK);
    assert_int_equal(grow.base[0], 1);
    assert_int_equal(grow.base[4], 0);
    vz_grow_close(&grow);
}

static void a_file_keeps_what_was_synced(void **state)
{
    struct vz_grow grow;
    struct vz_error err = {0};
    const char *path = path_of("rows");
    assert_int_equal(vz_grow_open_file(&grow, path, VZ_GROW_WRITE, 1 << 26, &err), VZ_OK);
    assert_int_equal(grow.size_bytes, 0);
    assert_int_equal(vz_grow_ensure(&grow, 10000, &err), VZ_OK);
    memcpy(grow.base + 9000, "vizsla", 6);
    assert_int_equal(vz_grow_sync(&grow, 9000, 6, &err), VZ_OK);
    assert_int_equal(vz_grow_truncate(&grow, 9006, &err), VZ_OK);
    vz_grow_close(&grow);

    assert_int_equal(vz_grow_open_file(&grow, path, VZ_GROW_PRIVATE, 1 << 26, &err), VZ_OK);
    assert_memory_equal(grow.base + 9000, "vizsla", 6);
    memcpy(grow.base + 9000, "xxxxxx", 6); /* stays in memory */
    assert_int_equal(vz_grow_ensure(&grow, 100000, &err), VZ_OK);
    assert_int_equal(grow.base[99999], 0);
    grow.base[99999] = 1;
    vz_grow_close(&grow);

    assert_int_equal(vz_grow_open_file(&grow, path, VZ_GROW_READ, 0, &err), VZ_OK);
    assert_int_equal(grow.size_bytes, 9006);
    assert_memory_equal(grow.base + 9000, "vizsla", 6);
    vz_grow_close(&grow);
    assert_int_equal(vz_grow_open_file(&grow, path_of("none"), VZ_GROW_READ, 0, &err),
                     VZ_NOT_FOUND);
}

/* A file system of 1 MiB: growing past it is an error and the array stays usable. */
static void a_full_disk_is_an_error(void **state)
{
    struct vz_grow grow;
    struct vz_error err = {0};
    const char *small = path_of("small");
    char path[160];
    mkdir(small, 0700);
    if (mount("none", small, "tmpfs", 0, "size=1m") != 0) {
        print_message("mounting a small file system takes root\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/rows", small);
    enum vz_status opened = vz_grow_open_file(&grow, path, VZ_GROW_WRITE, 1 << 26, &err);
    enum vz_status grown = vz_grow_ensure(&grow, 500000, &err);
    grow.base[499999] = 7;
    size_t before = grow.size_bytes;
    enum vz_status failed = vz_grow_ensure(&grow, 5000000, &err);
    size_t after = grow.size_bytes;
    int kept = grow.base[499999];
    enum vz_status written = vz_file_write_atomic(path_of("small/x"), small, 1, NULL);
    char *big = vz_calloc(1, 2 << 20);
    enum vz_status too_big = vz_file_write_atomic(path_of("small/y"), big, 2 << 20, &err);
    free(big);
    vz_grow_close(&grow);
    umount(path_of("small"));
    assert_int_equal(opened, VZ_OK);
    assert_int_equal(grown, VZ_OK);
    assert_int_equal(failed, VZ_DISK_FULL);
    assert_int_equal(after, before);
    assert_int_equal(kept, 7);
    assert_int_equal(written, VZ_OK);
    assert_int_equal(too_big, VZ_DISK_FULL);
}

static void files_are_replaced_whole(void **state)
{
    struct vz_error err = {0};
    struct vz_buf text = {0};
    assert_int_equal(vz_mkdir_all(path_of("a/b/c"), &err), VZ_OK);
    assert_int_equal(vz_mkdir_all(path_of("a/b/c"), &err), VZ_OK);
    assert_int_equal(vz_file_write_atomic(path_of("a/b/f"), "first", 5, &err), VZ_OK);
    assert_int_equal(vz_file_write_atomic(path_of("a/b/f"), "second", 6, &err), VZ_OK);
    assert_int_equal(vz_file_read(path_of("a/b/f"), 0, &text, &err), VZ_OK);
    assert_string_equal(text.data, "second");
    assert_int_equal(vz_file_read(path_of("a/b/f"), 5, &text, &err), VZ_LIMIT);
    assert_int_equal(vz_file_read(path_of("a/b"), 0, &text, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_file_read(path_of("none"), 0, &text, &err), VZ_NOT_FOUND);
    assert_int_equal(vz_mkdir_all(path_of("a/b/f/g"), &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_mkdir_all("", &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_remove_all(path_of("a"), &err), VZ_OK);
    assert_int_equal(access(path_of("a"), F_OK), -1);
    assert_int_equal(vz_remove_all(path_of("a"), &err), VZ_OK);
    assert_true(vz_disk_free_bytes(folder) > 0);
    vz_buf_deinit(&text);
}

static void *remove_it(void *path)
{
    return (void *)(uintptr_t)vz_remove_all(path, NULL);
}

/* Entries that vanish under the walk (another process cleans up too) do not end it early. */
static void removing_twice_at_once_removes_all(void **state)
{
    for (int round = 0; round < 20; round++) {
        pthread_t other;
        void *others;
        char *tree = vz_strdup(path_of("tree")), file[200];
        for (int i = 0; i < 400; i++) {
            snprintf(file, sizeof file, "%s/%d", tree, i % 20);
            assert_int_equal(vz_mkdir_all(file, NULL), VZ_OK);
            snprintf(file, sizeof file, "%s/%d/%d", tree, i % 20, i);
            fclose(fopen(file, "w"));
        }
        assert_int_equal(pthread_create(&other, NULL, remove_it, tree), 0);
        enum vz_status ours = vz_remove_all(tree, NULL);
        int there = access(tree, F_OK);
        pthread_join(other, &others);
        assert_int_equal(ours, VZ_OK);
        assert_int_equal((uintptr_t)others, VZ_OK);
        assert_int_equal(there, -1);
        free(tree);
    }
}

/* Pieces anywhere in the file, of any length, over its end too: their pages come, and only soon. */
static void pages_asked_for_come(void **state)
{
    enum { PAGES = 1000, PAGE = 4096 };
    char *page = calloc(1, PAGE);
    int fd = open(path_of("ahead"), O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < PAGES; i++) {
        memset(page, i, PAGE);
        assert_int_equal(write(fd, page, PAGE), PAGE);
    }
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    char *map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    vz_ahead_alone(map, PAGES * PAGE);
    struct iovec pieces[VZ_AHEAD_MOST];
    for (int i = 0; i < VZ_AHEAD_MOST; i++)
        pieces[i] = (struct iovec){map + (size_t)(i * 15 + 1) * PAGE - 100, 200};
    pieces[7] = (struct iovec){map + (size_t)(PAGES - 1) * PAGE + 5, 100 * PAGE};
    vz_ahead(pieces, VZ_AHEAD_MOST);
    for (int i = 0; i < VZ_AHEAD_MOST; i++) {
        size_t at = i == 7 ? PAGES - 1 : (size_t)(i * 15);
        unsigned char is_here = 0;
        for (int wait = 0; wait < 30000 && !(is_here & 1); wait++) {
            assert_int_equal(mincore(map + at * PAGE, PAGE, &is_here), 0);
            if (!(is_here & 1))
                usleep(1000);
        }
        assert_true(is_here & 1);
        assert_int_equal((unsigned char)map[at * PAGE], at % 256);
    }
    munmap(map, PAGES * PAGE);
    close(fd);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anonymous_memory_grows_in_place_and_is_zero),
        cmocka_unit_test(a_file_keeps_what_was_synced),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(files_are_replaced_whole),
        cmocka_unit_test(removing_twice_at_once_removes_all),
        cmocka_unit_test(pages_asked_for_come),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
