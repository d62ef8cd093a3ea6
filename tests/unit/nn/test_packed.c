/* Packed weights in a file: the same bits with it and without, shared, and never trusted when it is
 * stale, cut, damaged or made for something else. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strmap.h"
#include "base/text.h"
#include "nn/encoder.h"
#include "nn/packed.h"
#include "nn/table.h"

enum { IN = 48, OUT = 64, ROWS = 300, NUMBERS = OUT + 2 * IN };

struct place {
    char folder[64], weights[128];
    struct vz_buf packed; /* path of the file, once there is one */
};

static void weights_write(const struct place *place, uint64_t seed)
{
    struct vz_buf all = {0}, header = {0};
    size_t w = OUT * IN * 4, b = OUT * 4, n = IN * 4, t = ROWS * IN * 4, at = 0;
    const struct {
        const char *name, *shape;
        size_t bytes;
    } tensors[] = {{"w", "64,48", w},
                   {"b", "64", b},
                   {"gamma", "48", n},
                   {"beta", "48", n},
                   {"table", "300,48", t}};
    vz_buf_append_str(&header, "{");
    for (size_t i = 0; i < VZ_COUNT_OF(tensors); i++) {
        vz_buf_printf(&header,
                      "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                      i ? "," : "", tensors[i].name, tensors[i].shape, at, at + tensors[i].bytes);
        at += tensors[i].bytes;
    }
    vz_buf_append_str(&header, "}");
    while (header.len % 8)
        vz_buf_append_char(&header, ' ');
    uint64_t len = header.len;
    vz_buf_append(&all, &len, 8);
    vz_buf_append(&all, header.data, header.len);
    for (size_t i = 0; i < at / 4; i++) {
        float x = (float)(2 * vz_rng_unit(&seed) - 1);
        vz_buf_append(&all, &x, 4);
    }
    assert_int_equal(vz_file_write_atomic(place->weights, all.data, all.len, NULL), VZ_OK);
    vz_buf_deinit(&all);
    vz_buf_deinit(&header);
}

static void place_init(struct place *place)
{
    *place = (struct place){.folder = "/tmp/vizsla-packed-XXXXXX"};
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->weights, sizeof place->weights, "%s/model.safetensors", place->folder);
    weights_write(place, 7);
}

static void place_deinit(struct place *place)
{
    assert_int_equal(vz_remove_all(place->folder, NULL), VZ_OK);
    vz_buf_deinit(&place->packed);
}

struct model {
    struct vz_linear *linear;
    struct vz_norm norm;
    struct vz_table table;
    struct vz_nn *nn;
    float *out;
};

/* out[NUMBERS]: a table's row, normed, and multiplied. */
static enum vz_status compute(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                              struct vz_error *err)
{
    const struct model *m = arg;
    float *x = vz_scratch_take(scratch, 1, IN * sizeof *x);
    float *y = vz_scratch_take(scratch, 1, OUT * sizeof *y);
    vz_table_read(&m->table, 17, x);
    memcpy(m->out, x, IN * sizeof *x);
    vz_norm_run(m->nn, &m->norm, x, 1);
    memcpy(m->out + IN, x, IN * sizeof *x);
    enum vz_status status = vz_linear_floats(m->linear, scratch, x, 1, y, err);
    memcpy(m->out + 2 * IN, y, OUT * sizeof *y);
    return status;
}

/* Whether the weights were a file's when they had been made; *opened_packed: before, too. */
static bool answer(const struct place *place, struct vz_nn_options options, bool *from_file,
                   float *out)
{
    struct vz_error err = {0};
    struct vz_weights *weights;
    struct model m = {.out = out};
    const size_t one[] = {0, 1};
    options.threads = 2;
    assert_int_equal(vz_nn_new(&options, &m.nn, &err), VZ_OK);
    assert_int_equal(vz_weights_open(place->weights, &weights, &err), VZ_OK);
    vz_packed_begin(m.nn, place->folder, &weights, 1);
    *from_file = vz_packed_shared(m.nn);
    struct vz_linear_part part = {vz_weights_find(weights, "w"), vz_weights_find(weights, "b"),
                                  0.5f};
    assert_int_equal(vz_linear_new(m.nn, VZ_PRECISION_AUTO, IN, &part, 1, &m.linear, &err), VZ_OK);
    assert_int_equal(vz_norm_init(m.nn, &m.norm, IN, 1e-5f, vz_weights_find(weights, "gamma"),
                                  vz_weights_find(weights, "beta"), &err),
                     VZ_OK);
    assert_int_equal(
        vz_table_init(m.nn, vz_weights_find(weights, "table"), ROWS, IN, &m.table, &err), VZ_OK);
    vz_packed_end(m.nn, true);
    bool shared = vz_packed_shared(m.nn);
    assert_int_equal(vz_nn_run(m.nn, one, 1, compute, &m, &err), VZ_OK);
    vz_linear_free(m.linear);
    vz_nn_free(m.nn);
    vz_weights_close(weights);
    return shared;
}

/* The one file in the folder's .packed; its path into place->packed. */
static void find_packed(struct place *place)
{
    char command[256], line[512] = "";
    snprintf(command, sizeof command, "ls -d %s/" VZ_PACKED_FOLDER "/*", place->folder);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    line[strcspn(line, "\n")] = '\0';
    vz_buf_clear(&place->packed);
    vz_buf_append_str(&place->packed, line);
    assert_null(fgets(line, sizeof line, f));
    pclose(f);
}

static ino_t inode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void the_same_bits(void **state)
{
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
        struct place place;
        struct vz_nn_options options = {.precision = p};
        float plain[NUMBERS], first[NUMBERS], second[NUMBERS];
        bool from_file;
        struct vz_nn *probe;
        struct vz_error err;
        if (vz_nn_new(&options, &probe, &err) != VZ_OK) {
            print_message("SKIP: %s\n", err.text);
            continue;
        }
        vz_nn_free(probe);
        place_init(&place);
        options.no_packed_file = true;
        assert_false(answer(&place, options, &from_file, plain));
        options.no_packed_file = false;
        assert_true(answer(&place, options, &from_file, first));
        assert_false(from_file);
        find_packed(&place);
        ino_t made = inode_of(place.packed.data);
        assert_true(answer(&place, options, &from_file, second));
        assert_true(from_file);
        assert_int_equal(inode_of(place.packed.data), made);
        assert_memory_equal(plain, first, sizeof plain);
        assert_memory_equal(plain, second, sizeof plain);
        place_deinit(&place);
    }
}

/* Opens with a spoiled file: the right answer, and a good file in the end. */
static void check_rebuilt(struct place *place, const float *right, const char *what)
{
    const struct vz_nn_options f32 = {.precision = VZ_PRECISION_F32};
    float out[NUMBERS];
    bool from_file;
    answer(place, f32, &from_file, out);
    if (from_file)
        fail_msg("%s was trusted", what);
    assert_memory_equal(out, right, sizeof out);
    assert_true(answer(place, f32, &from_file, out));
    assert_true(from_file);
    assert_memory_equal(out, right, sizeof out);
    find_packed(place);
}

static void spoil(const struct place *place, size_t at, const void *bytes, size_t len)
{
    int fd = open(place->packed.data, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
    close(fd);
}

struct head { /* docs/format/packed.md */
    char magic[8];
    uint32_t version, header_bytes;
    uint64_t file_bytes;
    unsigned char key[16];
    uint64_t checksum;
    uint32_t block_count, reserved;
};

static void what_is_wrong_is_packed_again(void **state)
{
    struct place place;
    struct vz_buf good = {0};
    struct head head;
    float right[NUMBERS], out[NUMBERS];
    bool from_file;
    char what[64];
    place_init(&place);
    answer(&place, (struct vz_nn_options){.precision = VZ_PRECISION_F32}, &from_file, right);
    find_packed(&place);
    assert_int_equal(vz_file_read(place.packed.data, 0, &good, NULL), VZ_OK);
    memcpy(&head, good.data, sizeof head);
    assert_int_equal(head.file_bytes, good.len);
    assert_true(head.block_count >= 3 && head.header_bytes < 1024);

    const size_t lengths[] = {
        0, 1, 8, sizeof head - 1, sizeof head, head.header_bytes, 4096, good.len / 2, good.len - 1};
    for (size_t i = 0; i < VZ_COUNT_OF(lengths); i++) {
        snprintf(what, sizeof what, "a file cut to %zu bytes", lengths[i]);
        assert_int_equal(truncate(place.packed.data, (off_t)lengths[i]), 0);
        check_rebuilt(&place, right, what);
    }
    for (size_t i = 0; i < head.header_bytes; i++) {
        char flipped = (char)(good.data[i] ^ (1 << i % 8));
        snprintf(what, sizeof what, "bit %zu of byte %zu", i % 8, i);
        spoil(&place, i, &flipped, 1);
        check_rebuilt(&place, right, what);
    }
    /* Longer than it says. */
    assert_int_equal(truncate(place.packed.data, (off_t)good.len + 4096), 0);
    check_rebuilt(&place, right, "a longer file");
    vz_buf_deinit(&good);

    /* Other weights of the same size. */
    weights_write(&place, 8);
    answer(&place, (struct vz_nn_options){.precision = VZ_PRECISION_F32}, &from_file, out);
    assert_false(from_file);
    assert_memory_not_equal(out, right, sizeof out);
    place_deinit(&place);
}

/* Headers whose checksum is right: what they say is still checked. */
static void what_lies_is_packed_again(void **state)
{
    struct place place;
    float right[NUMBERS];
    bool from_file;
    place_init(&place);
    answer(&place, (struct vz_nn_options){.precision = VZ_PRECISION_F32}, &from_file, right);
    find_packed(&place);
    /* Offsets from the header's start; what is put there. */
    const struct {
        const char *what;
        size_t at, len;
        uint64_t value;
    } lies[] = {
        {"another key (another processor, oneDNN or model)", 24, 8, 12345},
        {"another version", 8, 4, 2},
        {"a longer list", 48, 4, 1u << 20},
        {"a block in the header", 56, 8, 64},
        {"a block beyond the end", 56, 8, (uint64_t)1 << 40},
        {"an uneven block", 56, 8, ((uint64_t)2 << 20) + 4},
        {"a block longer than the file", 64, 8, (uint64_t)1 << 62},
        {"a name longer than the header", 72, 4, 1u << 31},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(lies); i++) {
        struct vz_buf bytes = {0};
        struct head head;
        assert_int_equal(vz_file_read(place.packed.data, 0, &bytes, NULL), VZ_OK);
        memcpy(&head, bytes.data, sizeof head);
        memcpy(bytes.data + lies[i].at, &lies[i].value, lies[i].len);
        memset(bytes.data + offsetof(struct head, checksum), 0, 8);
        uint64_t sum = vz_hash((struct vz_slice){bytes.data, head.header_bytes}, 0);
        spoil(&place, lies[i].at, &lies[i].value, lies[i].len);
        spoil(&place, offsetof(struct head, checksum), &sum, 8);
        check_rebuilt(&place, right, lies[i].what);
        vz_buf_deinit(&bytes);
    }
    place_deinit(&place);
}

static void where_nothing_can_be_written(void **state)
{
    struct place place;
    float out[NUMBERS];
    bool from_file;
    char path[128];
    place_init(&place);
    snprintf(path, sizeof path, "%s/" VZ_PACKED_FOLDER, place.folder);
    assert_int_equal(vz_file_write_atomic(path, "x", 1, NULL), VZ_OK); /* a file in the way */
    assert_false(answer(&place, (struct vz_nn_options){0}, &from_file, out));
    assert_false(answer(&place, (struct vz_nn_options){0}, &from_file, out));
    assert_false(from_file);
    assert_int_equal(unlink(path), 0);
    /* What a killed process left is swept when it is old. */
    assert_int_equal(vz_mkdir_all(path, NULL), VZ_OK);
    snprintf(path, sizeof path, "%s/" VZ_PACKED_FOLDER "/new-abcdef", place.folder);
    assert_int_equal(vz_file_write_atomic(path, "x", 1, NULL), VZ_OK);
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_true(answer(&place, (struct vz_nn_options){0}, &from_file, out));
    assert_int_not_equal(access(path, F_OK), 0);
    find_packed(&place);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bits),
        cmocka_unit_test(what_is_wrong_is_packed_again),
        cmocka_unit_test(what_lies_is_packed_again),
        cmocka_unit_test(where_nothing_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
