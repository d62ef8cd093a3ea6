/* Each kernel of each instruction set beside a plain twin in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/text.h"
#include "nn/kernels.h"

static const struct nn_kernels *tables[3];
static size_t table_count;

static float *numbers(size_t count, float amplitude, uint64_t seed)
{
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = amplitude * (float)(2 * vz_rng_unit(&seed) - 1);
    return x;
}

static float bf16_value(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* What a row holds, whatever its precision. */
static double act_value(const struct nn_act *act, size_t width, size_t row, size_t i)
{
    size_t at = row * width + i;
    if (act->precision == VZ_PRECISION_F32)
        return (double)((float *)act->data)[at];
    if (act->precision == VZ_PRECISION_BF16)
        return (double)bf16_value(((uint16_t *)act->data)[at]);
    const struct nn_row_scale *s = &act->scales[row];
    return (double)s->scale * (((uint8_t *)act->data)[at] - (double)s->zero);
}

/* How far a stored number may be from the true one; `span` is the row's greatest less its least. */
static double act_error(const struct nn_act *act, double value, double span)
{
    return act->precision == VZ_PRECISION_F32    ? 2e-6 * (1 + fabs(value))
           : act->precision == VZ_PRECISION_BF16 ? 0.0040 * fabs(value) + 2e-6
                                                 : span / 255 * 1.01 + 1e-6;
}

static struct nn_act act_new(enum vz_precision precision, size_t rows, size_t width)
{
    struct nn_act act = {precision, malloc(rows * width * sizeof(float)),
                         calloc(rows, sizeof(struct nn_row_scale))};
    return act;
}

static void act_free(struct nn_act *act)
{
    free(act->data);
    free(act->scales);
}

static void check_row(const char *what, const struct nn_kernels *k, const struct nn_act *act,
                      size_t width, size_t row, const double *want)
{
    double low = 0, high = 0;
    for (size_t i = 0; i < width; i++) {
        low = fmin(low, want[i]);
        high = fmax(high, want[i]);
    }
    for (size_t i = 0; i < width; i++) {
        double got = act_value(act, width, row, i);
        if (!(fabs(got - want[i]) <= act_error(act, want[i], high - low)))
            fail_msg("%s, %s, %s: row %zu, number %zu: %g, expected %g", what, k->name,
                     vz_precision_name(act->precision), row, i, got, want[i]);
    }
}

static void norm_is_right(void **state)
{
    enum { ROWS = 5, WIDTH = 112 };
    float *x = numbers(ROWS * WIDTH, 3, 1), *gamma = numbers(WIDTH, 2, 2);
    float *beta = numbers(WIDTH, 1, 3), *copy = malloc(ROWS * WIDTH * sizeof *copy);
    for (int i = 0; i < WIDTH; i++)
        x[2 * WIDTH + i] = 7; /* a row without variance */
    for (size_t t = 0; t < table_count; t++)
        for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
            struct nn_act out = act_new(p, ROWS, WIDTH);
            tables[t]->norm(x, WIDTH, gamma, beta, 1e-5f, p == VZ_PRECISION_BF16 ? NULL : copy, out,
                            0, ROWS);
            for (size_t r = 0; r < ROWS; r++) {
                double mean = 0, variance = 0, want[WIDTH];
                for (int i = 0; i < WIDTH; i++)
                    mean += (double)x[r * WIDTH + i] / WIDTH;
                for (int i = 0; i < WIDTH; i++)
                    variance += pow((double)x[r * WIDTH + i] - mean, 2) / WIDTH;
                for (int i = 0; i < WIDTH; i++) {
                    want[i] = ((double)x[r * WIDTH + i] - mean) / sqrt(variance + 1e-5) *
                                  (double)gamma[i] +
                              (double)beta[i];
                    if (p != VZ_PRECISION_BF16)
                        assert_true(fabs((double)copy[r * WIDTH + i] - want[i]) < 1e-5);
                }
                check_row("norm", tables[t], &out, WIDTH, r, want);
            }
            act_free(&out);
        }
    free(x);
    free(gamma);
    free(beta);
    free(copy);
}

static double activation_of(enum vz_activation f, double x)
{
    switch (f) {
    case VZ_ACT_GELU:
        return x * 0.5 * (1 + erf(x / sqrt(2)));
    case VZ_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VZ_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case VZ_ACT_RELU:
        return x > 0 ? x : 0;
    case VZ_ACT_SILU:
        return x / (1 + exp(-x));
    case VZ_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

static void activations_are_right(void **state)
{
    enum { WIDTH = 4096 };
    for (size_t t = 0; t < table_count; t++)
        for (enum vz_activation f = VZ_ACT_NONE; f <= VZ_ACT_TANH; f++)
            for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
                struct nn_act out = act_new(p, 1, WIDTH);
                float *x = malloc(WIDTH * sizeof *x);
                double want[WIDTH];
                for (int i = 0; i < WIDTH; i++) {
                    x[i] = ((float)i - WIDTH / 2) / 100; /* -20 .. 20 */
                    want[i] = activation_of(f, (double)x[i]);
                }
                tables[t]->activate(x, WIDTH, NULL, f, out, 0, 1);
                check_row("activation", tables[t], &out, WIDTH, 0, want);
                free(x);
                act_free(&out);
            }
}

/* Numbers far out must not become NaN or infinite. */
static void activations_stay_finite(void **state)
{
    static const float far[] = {-1e30f, -1e5f, -120, 0, 120, 1e5f, 1e15f};
    for (size_t t = 0; t < table_count; t++)
        for (enum vz_activation f = VZ_ACT_NONE; f <= VZ_ACT_TANH; f++) {
            float x[16] = {0};
            memcpy(x, far, sizeof far);
            struct nn_act out = {VZ_PRECISION_F32, x, NULL};
            tables[t]->activate(x, 16, NULL, f, out, 0, 1);
            for (int i = 0; i < 16; i++)
                if (!isfinite(x[i]))
                    fail_msg("%s, activation %d of %g: %g", tables[t]->name, (int)f, (double)far[i],
                             (double)x[i]);
        }
}

static void dequantizing_is_right(void **state)
{
    enum { ROWS = 3, WIDTH = 48 };
    int32_t sums[ROWS * WIDTH];
    struct nn_row_scale rows[ROWS];
    float *weight = numbers(WIDTH, 0.01f, 4), *total = numbers(WIDTH, 500, 5);
    float *bias = numbers(WIDTH, 1, 6);
    uint64_t seed = 7;
    for (int i = 0; i < ROWS * WIDTH; i++)
        sums[i] = (int32_t)(vz_rng_next(&seed) % 2000000) - 1000000;
    for (int r = 0; r < ROWS; r++)
        rows[r] = (struct nn_row_scale){0.01f * (float)(r + 1), (float)(100 + r)};
    struct nn_dequant by = {rows, weight, total, bias};
    for (size_t t = 0; t < table_count; t++)
        for (int add = 0; add < 2; add++) {
            float out[ROWS * WIDTH];
            for (int i = 0; i < ROWS * WIDTH; i++)
                out[i] = (float)i;
            tables[t]->dequant(sums, WIDTH, &by, add, out, 1, ROWS);
            for (int i = 0; i < ROWS * WIDTH; i++) {
                int r = i / WIDTH, n = i % WIDTH;
                double want = (double)rows[r].scale * (double)weight[n] *
                                  (sums[i] - (double)rows[r].zero * (double)total[n]) +
                              (double)bias[n] + (add ? i : 0);
                if (r == 0)
                    want = i; /* outside the range */
                assert_true(fabs((double)out[i] - want) < 1e-3 + 1e-5 * fabs(want));
            }
        }
    free(weight);
    free(total);
    free(bias);
}

/* A quantized row has its least and greatest exactly at the ends, and zero exactly. */
static void quantizing_keeps_zero(void **state)
{
    for (size_t t = 0; t < table_count; t++) {
        float x[32] = {0};
        struct nn_act out = act_new(VZ_PRECISION_INT8, 1, 32);
        tables[t]->activate(x, 32, NULL, VZ_ACT_NONE, out, 0, 1);
        for (size_t i = 0; i < 32; i++)
            assert_true(act_value(&out, 32, 0, i) == 0);
        x[3] = -0.17f, x[5] = 9;
        tables[t]->activate(x, 32, NULL, VZ_ACT_NONE, out, 0, 1);
        assert_true(act_value(&out, 32, 0, 0) == 0);
        assert_true(fabs(act_value(&out, 32, 0, 5) - 9) < 0.02);
        x[3] = -9, x[5] = -2; /* nothing above zero */
        tables[t]->activate(x, 32, NULL, VZ_ACT_NONE, out, 0, 1);
        assert_true(act_value(&out, 32, 0, 0) == 0);
        assert_true(fabs(act_value(&out, 32, 0, 3) + 9) < 0.02);
        act_free(&out);
    }
}

static void attention_twin(const struct nn_attention *a, double *out)
{
    double *score = malloc(a->kv_count * sizeof *score);
    for (size_t q = 0; q < a->q_count; q++) {
        size_t at = a->q_first + q, seen = a->causal ? at + 1 : a->kv_count;
        double high = -INFINITY, sum = 0;
        for (size_t j = 0; j < seen; j++) {
            score[j] = a->bias ? (double)a->bias[(ptrdiff_t)j - (ptrdiff_t)at] : 0;
            for (size_t d = 0; d < a->head_dims; d++)
                score[j] += (double)a->q[q * a->q_ld + d] * (double)a->k[j * a->kv_ld + d];
            high = fmax(high, score[j]);
        }
        for (size_t j = 0; j < seen; j++)
            sum += score[j] = exp(score[j] - high);
        for (size_t d = 0; d < a->head_dims; d++) {
            out[q * a->head_dims + d] = 0;
            for (size_t j = 0; j < seen; j++)
                out[q * a->head_dims + d] += score[j] / sum * (double)a->v[j * a->kv_ld + d];
        }
    }
    free(score);
}

static void attention_is_right(void **state)
{
    static const struct {
        size_t q_count, kv_count, q_first, dims;
        bool causal, bias;
    } cases[] = {
        {1, 1, 0, 64, false, false},   {50, 50, 0, 64, false, false}, {77, 77, 0, 64, true, false},
        {1, 50, 0, 64, false, false},  {1, 50, 31, 64, true, false},  {12, 12, 0, 32, false, true},
        {100, 100, 0, 48, true, true}, {17, 17, 0, 16, false, false}, {6, 33, 0, 256, false, false},
    };
    for (size_t t = 0; t < table_count; t++)
        for (size_t c = 0; c < VZ_COUNT_OF(cases); c++)
            for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_BF16; p++) {
                size_t kv = cases[c].kv_count, qs = cases[c].q_count, dims = cases[c].dims;
                size_t ld = dims + 16;
                /* Exactly as large as promised, so that a sanitizer sees what reads behind. */
                float *q = numbers((qs - 1) * ld + dims, 1, c + 1);
                float *k = numbers((kv - 1) * ld + dims, 1, c + 2);
                float *v = numbers((kv - 1) * ld + dims, 1, c + 3);
                float *bias = numbers(2 * kv, 2, c + 4);
                struct nn_attention a = {.q = q,
                                         .k = k,
                                         .v = v,
                                         .q_ld = ld,
                                         .kv_ld = ld,
                                         .q_count = qs,
                                         .kv_count = kv,
                                         .q_first = cases[c].q_first,
                                         .head_dims = dims,
                                         .causal = cases[c].causal,
                                         .bias = cases[c].bias ? bias + kv : NULL,
                                         .out_precision = p,
                                         .out_ld = dims};
                a.scratch = malloc(nn_attention_scratch(kv, dims) * sizeof(float));
                struct nn_act out = act_new(p, qs, dims);
                a.out = out.data;
                double *want = malloc(qs * dims * sizeof *want);
                attention_twin(&a, want);
                tables[t]->attention(&a);
                for (size_t r = 0; r < qs; r++)
                    check_row("attention", tables[t], &out, dims, r, want + r * dims);
                free(q), free(k), free(v), free(bias), free(a.scratch), free(want);
                act_free(&out);
            }
}

static void normalizing_is_right(void **state)
{
    for (size_t t = 0; t < table_count; t++) {
        float x[5] = {3, 0, 4, 0, 0}, zero[2] = {0, 0};
        tables[t]->normalize(x, 5);
        assert_true(fabsf(x[0] - 0.6f) < 1e-6f && fabsf(x[2] - 0.8f) < 1e-6f);
        tables[t]->normalize(zero, 2);
        assert_true(zero[0] == 0 && zero[1] == 0);
    }
}

static void weights_are_prepared(void **state)
{
    enum { WIDTH = 80 };
    for (size_t t = 0; t < table_count; t++) {
        for (size_t bad = 0; bad < WIDTH + 3; bad++) { /* every place, and one that is good */
            float *x = numbers(WIDTH + 1, 2, 9), first = x[0];
            if (bad <= WIDTH)
                x[bad] = bad % 2 ? NAN : -INFINITY;
            assert_int_equal(tables[t]->scale_finite(x, WIDTH + 1, 0.5f), bad > WIDTH);
            assert_true(bad == 0 || x[0] == first * 0.5f);
            free(x);
        }
        float *x = numbers(WIDTH, 0.3f, 10), total;
        int8_t q[WIDTH];
        x[7] = -0.4f;
        float scale = tables[t]->quantize_weights(x, WIDTH, q, &total);
        int sum = 0;
        for (int i = 0; i < WIDTH; i++) {
            sum += q[i];
            assert_true(fabsf(x[i] - scale * q[i]) <= scale * 0.501f);
        }
        assert_int_equal(q[7], -127);
        assert_true(total == (float)sum);
        memset(x, 0, WIDTH * sizeof *x);
        assert_true(tables[t]->quantize_weights(x, WIDTH, q, &total) == 1 && total == 0);
        free(x);
    }
}

static int start(void **state)
{
    tables[table_count++] = &nn_kernels_plain;
#if defined(__x86_64__)
    if (vz_cpu()->avx2_fma)
        tables[table_count++] = &nn_kernels_avx2;
    if (vz_cpu()->avx512)
        tables[table_count++] = &nn_kernels_avx512;
#endif
    print_message("instruction sets: %zu; chosen: %s\n", table_count, nn_kernels()->name);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_is_right),           cmocka_unit_test(activations_are_right),
        cmocka_unit_test(activations_stay_finite), cmocka_unit_test(dequantizing_is_right),
        cmocka_unit_test(quantizing_keeps_zero),   cmocka_unit_test(attention_is_right),
        cmocka_unit_test(normalizing_is_right),    cmocka_unit_test(weights_are_prepared),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
