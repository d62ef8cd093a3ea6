/* Linear layers beside plain sums; the bounded cache of plans; pieces, cores and errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "nn/few.h"
#include "nn/linear.h"
#include "nn/parts.h"
#include "nn/team.h"

static void fill(float *x, size_t count, float amplitude, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        x[i] = amplitude * (float)(2 * vz_rng_unit(&seed) - 1);
}

static struct vz_tensor_view view_of(const char *name, const float *data, uint64_t rows,
                                     uint64_t columns)
{
    struct vz_tensor_view view = {vz_slice_from(name),
                                  VZ_F32,
                                  columns ? 2 : 1,
                                  {rows, columns},
                                  columns ? rows * columns : rows,
                                  data};
    return view;
}

struct product {
    const struct vz_linear *linear;
    const float *x, *weight, *bias;
    size_t in, out, rows;
    bool add;
};

static enum vz_status run_product(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                  struct vz_error *err)
{
    const struct product *p = arg;
    size_t padded = vz_linear_rows(p->rows), in = vz_linear_in(p->linear);
    float *x = vz_scratch_take(scratch, padded, in * sizeof *x);
    float *y = vz_scratch_take(scratch, padded, p->out * sizeof *y);
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < in; i++)
            x[r * in + i] = i < p->in ? p->x[r * p->in + i] : 1;
    for (size_t i = 0; i < p->rows * p->out; i++)
        y[i] = 5;
    enum vz_status status;
    if (p->add) {
        struct nn_act act = {.precision = VZ_PRECISION_F32, .data = x};
        if (vz_linear_precision(p->linear) != VZ_PRECISION_F32) {
            vz_act_take(scratch, vz_linear_precision(p->linear), padded, in, &act);
            nn_kernels()->activate(x, in, NULL, VZ_ACT_NONE, act, 0, p->rows);
        }
        status = vz_linear_run(p->linear, scratch, act, p->rows, y, true, err);
    } else {
        status = vz_linear_floats(p->linear, scratch, x, p->rows, y, err);
    }
    if (status != VZ_OK)
        return status;
    enum vz_precision precision = vz_linear_precision(p->linear);
    double error = precision == VZ_PRECISION_F32    ? 1e-5
                   : precision == VZ_PRECISION_BF16 ? 0.03
                                                    : 0.06;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t n = 0; n < p->out; n++) {
            double want = (double)p->bias[n] + (p->add ? 5 : 0);
            for (size_t i = 0; i < p->in; i++)
                want += (double)p->x[r * p->in + i] * (double)p->weight[n * p->in + i];
            if (!(fabs((double)y[r * p->out + n] - want) < error))
                return vz_fail(err, VZ_INTERNAL,
                               "%s [%zu, %zu] %s: row %zu, output %zu: %g, not %g",
                               vz_precision_name(precision), p->in, p->out, p->add ? "added" : "",
                               r, n, (double)y[r * p->out + n], want);
        }
    return VZ_OK;
}

static void check_product(enum vz_precision precision, size_t rows, size_t in, size_t out, bool add)
{
    struct vz_error err = {0};
    struct vz_nn *nn;
    enum vz_status status =
        vz_nn_new(&(struct vz_nn_options){.precision = precision, .threads = 2}, &nn, &err);
    if (status == VZ_UNSUPPORTED) {
        print_message("SKIP: %s\n", err.text);
        return;
    }
    assert_int_equal(status, VZ_OK);
    float *x = malloc(rows * in * sizeof *x), *w = malloc(in * out * sizeof *w);
    float *b = malloc(out * sizeof *b);
    fill(x, rows * in, 1, rows);
    fill(w, in * out, 1.7f / sqrtf((float)in), in);
    fill(b, out, 1, out);
    struct vz_tensor_view weight = view_of("w", w, out, in), bias = view_of("b", b, out, 0);
    struct vz_linear *linear;
    struct vz_linear_part part = {&weight, &bias, 1};
    if (vz_linear_new(nn, VZ_PRECISION_AUTO, in, &part, 1, &linear, &err) != VZ_OK)
        fail_msg("%s", err.text);
    struct product p = {linear, x, w, b, in, out, rows, add};
    size_t bounds[] = {0, 1};
    if (vz_nn_run(nn, bounds, 1, run_product, &p, &err) != VZ_OK)
        fail_msg("%s", err.text);
    vz_linear_free(linear);
    vz_nn_free(nn);
    free(x);
    free(w);
    free(b);
}

static void products_are_right(void **state)
{
    static const size_t shapes[][3] = {{1, 64, 64},   {3, 16, 48},    {17, 128, 80},
                                       {50, 96, 272}, {40, 256, 208}, {130, 128, 1040},
                                       {7, 588, 64},  {33, 384, 32},  {2, 16, 16}};
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++)
        for (size_t i = 0; i < VZ_COUNT_OF(shapes); i++) {
            check_product(p, shapes[i][0], shapes[i][1], shapes[i][2], false);
            check_product(p, shapes[i][0], shapes[i][1], shapes[i][2], true);
        }
    check_product(VZ_PRECISION_F32, 2, 64, 1, false); /* a cross-encoder's score */
    check_product(VZ_PRECISION_F32, 2, 64, 3, false);
}

/* Few rows have a kernel of their own: every number of them, lines that end inside a block of the
 * layout, and outputs over two cores. */
static void few_rows_are_right(void **state)
{
    static const size_t shapes[][2] = {{16, 64}, {48, 192}, {80, 128}, {400, 1536}};
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++)
        for (size_t rows = 1; rows <= NN_FEW_ROWS + 2; rows++)
            for (size_t i = 0; i < VZ_COUNT_OF(shapes); i++) {
                if (shapes[i][1] > 1000 && rows % 5 != 3)
                    continue;
                check_product(p, rows, shapes[i][0], shapes[i][1], rows % 2);
                check_product(p, rows, shapes[i][0], shapes[i][1], rows % 2 == 0);
            }
}

static void rows_round_up(void **state)
{
    size_t before = 0, sizes = 0;
    for (size_t n = 1; n < 5000; n++) {
        size_t rows = vz_linear_rows(n);
        assert_true(rows >= n && rows >= before && rows <= n + n / 8);
        assert_int_equal(vz_linear_rows(rows), rows);
        sizes += rows != before;
        before = rows;
    }
    assert_true(sizes < 90);
}

/* More shapes than places: still right, never more plans than promised. */
static void plans_are_bounded(void **state)
{
    struct vz_error err = {0};
    struct vz_nn *nn;
    enum { SIDE = 16, MOST = 4200, WIDTHS = 4 };
    assert_int_equal(
        vz_nn_new(&(struct vz_nn_options){.precision = VZ_PRECISION_F32, .threads = 1}, &nn, &err),
        VZ_OK);
    static float w[WIDTHS * SIDE * SIDE], b[WIDTHS * SIDE], x[MOST * SIDE];
    struct vz_linear *linears[WIDTHS];
    fill(x, MOST * SIDE, 1, 1);
    fill(w, WIDTHS * SIDE * SIDE, 0.4f, 2);
    for (uint64_t i = 0; i < WIDTHS; i++) {
        struct vz_tensor_view weight = view_of("w", w, (i + 1) * SIDE, SIDE);
        struct vz_linear_part part = {&weight, NULL, 1};
        assert_int_equal(vz_linear_new(nn, VZ_PRECISION_F32, SIDE, &part, 1, &linears[i], &err),
                         VZ_OK);
    }
    size_t bounds[] = {0, 1}, tried = 0;
    for (size_t n = 1; n < MOST; n++) {
        if (vz_linear_rows(n) != n)
            continue;
        for (size_t i = 0; i < WIDTHS; i++, tried++) {
            struct product p = {linears[i], x, w, b, SIDE, (i + 1) * SIDE, n, tried % 2};
            if (vz_nn_run(nn, bounds, 1, run_product, &p, &err) != VZ_OK)
                fail_msg("%s", err.text);
            assert_true(nn->plan_count <= VZ_NN_MAX_PLANS);
        }
    }
    print_message("%zu shapes, %zu plans\n", tried, nn->plan_count);
    assert_true(tried > VZ_NN_MAX_PLANS && nn->plan_count == VZ_NN_MAX_PLANS);
    for (int i = 0; i < WIDTHS; i++)
        vz_linear_free(linears[i]);
    vz_nn_free(nn);
}

static void bad_weights_are_refused(void **state)
{
    struct vz_error err = {0};
    struct vz_nn *nn;
    struct vz_linear *linear;
    float w[64 * 32] = {0}, b[64] = {0};
    assert_int_equal(
        vz_nn_new(&(struct vz_nn_options){.precision = VZ_PRECISION_F32, .threads = 1}, &nn, &err),
        VZ_OK);
    struct vz_tensor_view weight = view_of("layer.weight", w, 64, 32);
    struct vz_tensor_view bias = view_of("layer.bias", b, 64, 0);
    struct vz_linear_part part = {&weight, &bias, 1};
    assert_int_equal(vz_linear_new(nn, VZ_PRECISION_F32, 16, &part, 1, &linear, &err), VZ_CORRUPT);
    assert_string_equal(err.text, "tensor [layer.weight]: expected rows of 16 numbers");
    bias.count = bias.dims[0] = 63;
    assert_int_equal(vz_linear_new(nn, VZ_PRECISION_F32, 32, &part, 1, &linear, &err), VZ_CORRUPT);
    assert_string_equal(err.text, "tensor [layer.bias]: expected 64 numbers, got 63");
    bias.count = bias.dims[0] = 64;
    b[63] = INFINITY;
    assert_int_equal(vz_linear_new(nn, VZ_PRECISION_F32, 32, &part, 1, &linear, &err), VZ_CORRUPT);
    assert_null(linear);
    vz_nn_free(nn);
}

/* ---- pieces ---- */

struct tally {
    atomic_int seen[1000];
    size_t fail_at;
    size_t rows[1000];
};

static enum vz_status count_items(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                  struct vz_error *err)
{
    struct tally *tally = arg;
    /* Scratch grows beyond its first block, and marks give it back. */
    char *kept = vz_scratch_take(scratch, 1, 3 << 19);
    assert_non_null(kept);
    memset(kept, 1, 3 << 19);
    for (int i = 0; i < 20; i++) {
        size_t mark = vz_scratch_mark(scratch);
        memset(vz_scratch_take(scratch, 1, 1 << 19), 2, 1 << 19);
        vz_scratch_release(scratch, mark);
    }
    assert_int_equal(kept[0] + kept[(3 << 19) - 1], 2);
    for (size_t i = first; i < last; i++) {
        if (i == tally->fail_at)
            return vz_fail(err, VZ_LIMIT, "item %zu", i);
        atomic_fetch_add(&tally->seen[i], 1);
    }
    return VZ_OK;
}

static size_t rows_of(void *arg, size_t i)
{
    return ((struct tally *)arg)->rows[i];
}

static void every_item_runs_once(void **state)
{
    struct vz_nn *nn;
    static struct tally tally;
    struct vz_error err = {0};
    uint64_t seed = 3;
    for (unsigned threads = 1; threads <= 3; threads++) {
        assert_int_equal(
            vz_nn_new(&(struct vz_nn_options){.precision = VZ_PRECISION_F32, .threads = threads},
                      &nn, &err),
            VZ_OK);
        for (size_t count = 0; count < 100; count += 1 + count / 7) {
            memset(&tally, 0, sizeof tally);
            tally.fail_at = 5000;
            for (size_t i = 0; i < count; i++)
                tally.rows[i] = 1 + vz_rng_next(&seed) % 300;
            assert_int_equal(vz_nn_run_rows(nn, count, rows_of, 200, count_items, &tally, &err),
                             VZ_OK);
            for (size_t i = 0; i < 1000; i++)
                assert_int_equal(atomic_load(&tally.seen[i]), i < count);
        }
        tally.fail_at = 60;
        assert_int_equal(vz_nn_run_even(nn, 90, 4, count_items, &tally, &err), VZ_LIMIT);
        assert_string_equal(err.text, "item 60");
        assert_true(vz_nn_scratch_bytes(nn) < threads * (size_t)20 << 20);
        vz_nn_free(nn);
    }
}

/* ---- the team ---- */

struct claims {
    atomic_uint seen[40];
    unsigned plain[40]; /* written by parts, read behind nn_team_run: published */
};

static void claim_part(void *arg, unsigned i)
{
    struct claims *claims = arg;
    atomic_fetch_add(&claims->seen[i], 1);
    claims->plain[i]++;
}

static void *call_the_team(void *arg)
{
    int *wrong = arg;
    for (unsigned round = 0; round < 2000; round++) {
        struct claims claims = {0};
        unsigned count = round % 40;
        nn_team_run(count, round % 5, claim_part, &claims);
        for (unsigned i = 0; i < 40; i++)
            *wrong += atomic_load(&claims.seen[i]) != (i < count) || claims.plain[i] != (i < count);
    }
    return NULL;
}

static void parts_run_once(void **state)
{
    enum { CALLERS = 4 };
    pthread_t threads[CALLERS];
    int wrong[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_the_team, &wrong[i]), 0);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

static void precision_words(void **state)
{
    enum vz_precision p;
    assert_true(vz_precision_parse(VZ_SLICE("bf16"), &p) && p == VZ_PRECISION_BF16);
    assert_true(vz_precision_parse(VZ_SLICE("auto"), &p) && p == VZ_PRECISION_AUTO);
    assert_false(vz_precision_parse(VZ_SLICE("fp4"), &p));
    assert_string_equal(vz_precision_name(VZ_PRECISION_INT8), "int8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_right),      cmocka_unit_test(few_rows_are_right),
        cmocka_unit_test(rows_round_up),           cmocka_unit_test(plans_are_bounded),
        cmocka_unit_test(bad_weights_are_refused), cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(parts_run_once),          cmocka_unit_test(precision_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
