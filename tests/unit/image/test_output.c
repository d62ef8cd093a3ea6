/* What goes out: encoded files and terminal pictures; and many threads at once. */
#include "support.h"

#include <pthread.h>

/* Red left, blue right. */
static struct vz_image two_colours(int width, int height)
{
    struct vz_image image = {.width = width, .height = height};
    image.rgb = malloc((size_t)width * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(image.rgb + (y * width + x) * 3, x < width / 2 ? "\xE0\x20\x20" : "\x20\x20\xE0",
                   3);
    return image;
}

static void encoded_files_come_back(void **state)
{
    struct vz_image image = two_colours(64, 48);
    struct vz_buf jpeg = {0}, png = {0}, small = {0};
    struct vz_image back;
    struct vz_error err = {0};
    vz_buf_append_str(&png, "kept:");
    assert_int_equal(vz_image_encode(&image, "png", 0, &png, &err), VZ_OK);
    assert_memory_equal(png.data, "kept:", 5);
    struct vz_slice tail = {png.data + 5, png.len - 5};
    assert_int_equal(vz_image_decode(tail, NULL, 0, &back, &err), VZ_OK);
    assert_string_equal(back.format, "png");
    assert_memory_equal(back.rgb, image.rgb, 64 * 48 * 3);
    vz_image_deinit(&back);

    assert_int_equal(vz_image_encode(&image, "jpeg", 95, &jpeg, &err), VZ_OK);
    assert_int_equal(vz_image_decode(vz_buf_slice(&jpeg), NULL, 0, &back, &err), VZ_OK);
    assert_string_equal(back.format, "jpeg");
    assert_pixel_near(&back, 10, 20, 0xE0, 0x20, 0x20, 8);
    vz_image_deinit(&back);
    assert_int_equal(vz_image_encode(&image, "jpeg", 5, &small, &err), VZ_OK);
    assert_true(small.len < jpeg.len);

    size_t len = small.len;
    assert_int_equal(vz_image_encode(&image, "jpeg", 0, &small, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_image_encode(&image, "jpeg", 101, &small, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_image_encode(&image, "bmp", 80, &small, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(small.len, len);
    vz_buf_deinit(&jpeg);
    vz_buf_deinit(&png);
    vz_buf_deinit(&small);
    vz_image_deinit(&image);
}

/* A thumbnail of a photo with a place does not tell the place. */
static void encoding_drops_metadata(void **state)
{
    struct vz_image image = decode_data("exif/gps/DSCN0010.jpg", 0), back;
    assert_true(image.exif.has_location);
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    assert_int_equal(vz_image_encode(&image, "jpeg", 90, &bytes, &err), VZ_OK);
    assert_null(memmem(bytes.data, bytes.len, "Exif", 4));
    assert_int_equal(vz_image_decode(vz_buf_slice(&bytes), NULL, 0, &back, &err), VZ_OK);
    assert_false(back.exif.has_location || back.exif.has_date);
    vz_image_deinit(&back);
    vz_buf_deinit(&bytes);
    vz_image_deinit(&image);
}

static void resize_limits(void **state)
{
    struct vz_image image = two_colours(8, 8), out = {0};
    struct vz_error err = {0};
    assert_int_equal(vz_image_resize(&image, 0, 5, &out, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_image_resize(&image, 5, -1, &out, &err), VZ_BAD_ARGUMENT);
    assert_int_equal(vz_image_resize(&image, 70000, 5, &out, &err), VZ_BAD_ARGUMENT);
    assert_null(out.rgb);
    assert_int_equal(vz_image_resize(&image, 20, 5, &out, &err), VZ_OK);
    assert_int_equal(out.width, 20);
    assert_int_equal(out.height, 5);
    assert_pixel_near(&out, 2, 2, 0xE0, 0x20, 0x20, 2);
    assert_pixel_near(&out, 17, 2, 0x20, 0x20, 0xE0, 2);
    vz_image_deinit(&out);
    vz_image_deinit(&image);
}

/* Sets what names a terminal, and clears everything else that Chafa looks at. */
static void be_terminal(const char *term, const char *colorterm, const char *program)
{
    static const char *const names[] = {
        "TERM",      "COLORTERM", "TERM_PROGRAM", "VTE_VERSION", "TERMINAL_NAME", "LC_TERMINAL",
        "KITTY_PID", "MLTERM",    "NVIM",         "TMUX",        "STY",           "CTX_BACKEND"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        unsetenv(names[i]);
    if (term)
        setenv("TERM", term, 1);
    if (colorterm)
        setenv("COLORTERM", colorterm, 1);
    if (program)
        setenv("TERM_PROGRAM", program, 1);
}

/* Cells of the widest line, leaving out escape sequences; *lines counts the lines. */
static int cells(const struct vz_buf *text, int *lines)
{
    int widest = 0, at = 0;
    *lines = 0;
    for (const char *p = text->data; p < text->data + text->len; p++) {
        if (*p == '\x1B' && p[1] == '[') {
            for (p += 2; *p < '@' || *p > '~'; p++)
                ;
        } else if (*p == '\n') {
            widest = VZ_MAX(widest, at);
            at = 0;
            ++*lines;
        } else if (((unsigned char)*p & 0xC0) != 0x80) {
            at++;
        }
    }
    return widest;
}

static struct vz_buf draw(int width, int height, int columns, int rows)
{
    struct vz_image image = two_colours(width, height);
    struct vz_buf text = {0};
    vz_image_terminal(&image, columns, rows, &text);
    vz_image_deinit(&image);
    assert_true(text.len > 0 && text.data[text.len - 1] == '\n');
    return text;
}

static void terminal_keeps_size_and_shape(void **state)
{
    static const struct {
        int width, height, columns, rows, is_columns, is_rows;
    } cases[] = {
        {100, 100, 40, 40, 40, 20}, {100, 100, 80, 10, 20, 10}, {200, 100, 40, 40, 40, 10},
        {100, 400, 40, 20, 10, 20}, {1000, 1, 40, 20, 40, 1},   {1, 1000, 40, 20, 1, 20},
        {1, 1, 1, 1, 1, 1},
    };
    be_terminal("xterm-256color", "truecolor", NULL);
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        int lines;
        struct vz_buf text = draw(cases[i].width, cases[i].height, cases[i].columns, cases[i].rows);
        int widest = cells(&text, &lines);
        if (widest != cases[i].is_columns || lines != cases[i].is_rows)
            fail_msg("%d x %d in %d x %d cells is drawn in %d x %d", cases[i].width,
                     cases[i].height, cases[i].columns, cases[i].rows, widest, lines);
        vz_buf_deinit(&text);
    }
}

static bool holds(const struct vz_buf *text, const char *needle)
{
    return memmem(text->data, text->len, needle, strlen(needle)) != NULL;
}

static void terminal_does_what_the_environment_says(void **state)
{
    static const char kitty[] = "\x1B_G", sixel[] = "\x1BP", iterm[] = "\x1B]1337",
                      direct[] = ";2;", indexed[] = ";5;", sixteen[] = "\x1B[";
    static const struct {
        const char *term, *colorterm, *program, *has;
    } cases[] = {
        {"xterm-256color", "truecolor", NULL, direct},
        {"screen-256color", NULL, NULL, indexed},
        {"linux", NULL, NULL, sixteen},
        {"xterm-kitty", NULL, NULL, kitty},
        {"mlterm", NULL, NULL, sixel},
        {"xterm-256color", NULL, "iTerm.app", iterm},
        {"no-such-terminal", NULL, NULL, sixteen},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        be_terminal(cases[i].term, cases[i].colorterm, cases[i].program);
        struct vz_buf text = draw(64, 64, 20, 20);
        const char *const all[] = {kitty, sixel, iterm};
        if (!holds(&text, cases[i].has))
            fail_msg("%s does not get what it can do", cases[i].term);
        for (size_t k = 0; k < VZ_COUNT_OF(all); k++)
            if (all[k] != cases[i].has && holds(&text, all[k]))
                fail_msg("%s gets graphics that it did not name", cases[i].term);
        vz_buf_deinit(&text);
    }
    for (int i = 0; i < 4; i++) {
        static const char *const dull[] = {NULL, "", "dumb", "xterm-256color"};
        be_terminal(dull[i], NULL, NULL);
        if (i == 3)
            setenv("NO_COLOR", "1", 1);
        int lines;
        struct vz_buf text = draw(64, 64, 20, 20);
        assert_false(holds(&text, "\x1B"));
        assert_int_equal(cells(&text, &lines), 20);
        assert_int_equal(lines, 10);
        vz_buf_deinit(&text);
    }
    unsetenv("NO_COLOR");
    struct vz_buf nothing = {0};
    struct vz_image image = two_colours(4, 4);
    vz_image_terminal(&image, 0, 5, &nothing);
    vz_image_terminal(&image, 5, -1, &nothing);
    assert_int_equal(nothing.len, 0);
    vz_image_deinit(&image);
}

struct job {
    const struct vz_buf *bytes;
    uint64_t sum;
};

static void *decode_often(void *context)
{
    struct job *job = context;
    for (int i = 0; i < 12; i++) {
        struct vz_image image;
        struct vz_error err = {0};
        /* Every third is broken: errors must not leak into the neighbours. */
        struct vz_slice bytes = {job->bytes->data, i % 3 == 2 ? 5000 : job->bytes->len};
        enum vz_status status = vz_image_decode(bytes, NULL, 64, &image, &err);
        if (status != (i % 3 == 2 ? VZ_BAD_IMAGE : VZ_OK))
            return "a wrong status";
        for (int k = 0; status == VZ_OK && k < image.width * image.height * 3; k++)
            job->sum = job->sum * 31 + image.rgb[k];
        vz_image_deinit(&image);
    }
    return NULL;
}

static void threads_agree(void **state)
{
    enum { THREADS = 8 };
    struct vz_buf bytes = read_path(data_path("exif-orientation/Landscape_6.jpg"));
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){&bytes, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, decode_often, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        if (complaint)
            fail_msg("%s", (char *)complaint);
        assert_true(jobs[i].sum == jobs[0].sum);
    }
    vz_buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_files_come_back),
        cmocka_unit_test(encoding_drops_metadata),
        cmocka_unit_test(resize_limits),
        cmocka_unit_test(terminal_keeps_size_and_shape),
        cmocka_unit_test(terminal_does_what_the_environment_says),
        cmocka_unit_test(threads_agree),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
