/* SPDX-License-Identifier: MIT
 *
 * Products of 8-bit integers: every table that this processor can run against sums in 64 bits, over
 * all tails and at the ends of the ranges, where nothing may saturate; and linear layers whose
 * weights are rounded to 8 bits, within what the rounding explains.
 */
#include <stdlib.h>

#include "kernel_check.h"
#include "kernels/linear.h"

enum { GROUP = VT_INT8_GROUP };

static const vt_int8_kernels *int8_at(size_t index) {
    const vt_int8_kernels *int8 = vt_int8_kernels_at(index);
    if (int8)
        print_message("  %s\n", int8->name);
    return int8;
}

static uint8_t a[64 * 70000];
static int8_t b[70000 * 96], panels[70000 * 96];

/* B[k][n] into panels [k / 4][nr][4]; k is a multiple of four. */
static void pack(const vt_int8_kernels *int8, size_t n, size_t k) {
    memset(panels, 0, (n + int8->nr - 1) / int8->nr * int8->nr * k);
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++)
            panels[(j / int8->nr * (k / GROUP) + p / GROUP) * int8->nr * GROUP +
                   j % int8->nr * GROUP + p % GROUP] = b[p * n + j];
}

static void check_gemm(const vt_int8_kernels *int8, size_t m, size_t n, size_t k, bool accumulate) {
    enum { LDC = 200 };
    static int32_t c[64 * LDC];
    size_t lda = k + 5;
    pack(int8, n, k);
    for (size_t i = 0; i < m * LDC; i++)
        c[i] = (int32_t)i;
    int8->gemm(m, n, k / GROUP, a, lda, panels, c, LDC, accumulate, NULL);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < LDC; j++) {
            int64_t sum = j < n && !accumulate ? 0 : (int64_t)(i * LDC + j);
            for (size_t p = 0; j < n && p < k; p++)
                sum += a[i * lda + p] * b[p * n + j];
            assert_int_equal(c[i * LDC + j], sum);
        }
}

/* Of weights v[0], v[stride] ... the largest sum of those of one sign that are added in 16 bits. */
static int largest_sum(const int8_t *v, size_t stride, size_t k) {
    static const size_t order[8] = {0, 1, 4, 5, 2, 3, 6, 7};
    int largest = 0;
    for (size_t start = 0; start < k; start += 8)
        for (size_t half = 0; half < 8; half += 4) {
            int positive = 0, negative = 0;
            for (size_t i = half; i < half + 4; i++) {
                int w = start + order[i] < k ? v[(start + order[i]) * stride] : 0;
                positive += w > 0 ? w : 0;
                negative -= w < 0 ? w : 0;
            }
            largest = positive > largest ? positive : largest;
            largest = negative > largest ? negative : largest;
        }
    return largest;
}

static void fill_activations(void) {
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(127.5f + 127.5f * random_float(&state));
}

/* B[k][n]: any weights that the table promises to multiply exactly. Where four may add up to
 * sum_max, columns of eight are halved until they do. */
static void fill_weights(const vt_int8_kernels *int8, size_t n, size_t k, uint64_t seed) {
    uint64_t state = seed;
    for (size_t i = 0; i < k * n; i++)
        b[i] = (int8_t)lrintf((float)int8->weight_max * random_float(&state));
    for (size_t start = 0; int8->sum_max && start < k; start += 8)
        for (size_t j = 0; j < n; j++)
            while (largest_sum(b + start * n + j, n, k - start < 8 ? k - start : 8) > int8->sum_max)
                for (size_t p = start; p < start + 8 && p < k; p++)
                    b[p * n + j] = (int8_t)(b[p * n + j] / 2);
}

static void test_gemm_tails(void **state) {
    (void)state;
    static const size_t depths[] = {4, 8, 28, 96};
    const vt_int8_kernels *int8;
    fill_activations();
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++) {
        for (size_t m = 1; m <= 2 * int8->mr + 1; m++)
            for (size_t n = 1; n <= 2 * int8->nr + 1 && n <= 96; n++) {
                fill_weights(int8, n, depths[(m + n) % 4], m * 1000 + n);
                check_gemm(int8, m, n, depths[(m + n) % 4], (m ^ n) & 1);
            }
    }
}

/* The largest activations and weights, in the longest sum that is allowed: where four weights are
 * added in 16 bits, whatever the four are that reach sum_max. */
static void test_nothing_saturates(void **state) {
    (void)state;
    static const int fours[][4] = {
        {127, 1, 0, 0}, {0, 64, 64, 0}, {32, 32, 32, 32}, {0, 0, 1, 127}, {100, -128, 28, 0}};
    static const size_t place[8] = {0, 1, 0, 1, 2, 3, 2, 3}; /* 0, 1, 4, 5 and 2, 3, 6, 7 */
    const vt_int8_kernels *int8;
    size_t k = VT_INT8_MAX_K / GROUP * GROUP;
    memset(a, 255, sizeof a);
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++)
        for (size_t i = 0; i < (int8->sum_max ? sizeof fours / sizeof fours[0] : 1); i++)
            for (int sign = -1; sign <= 1; sign += 2) {
                for (size_t p = 0; p < k * 3; p++) {
                    int w = int8->sum_max ? fours[i][place[p / 3 % 8]] : int8->weight_max;
                    b[p] = (int8_t)(sign < 0 && w == -128 ? 127 : sign * w);
                }
                if (int8->sum_max)
                    assert_int_equal(largest_sum(b, 3, k), int8->sum_max);
                check_gemm(int8, int8->mr, 3, k, false);
            }
}

/* Rows of weights as published models have them, and worse: normal, with outliers, of one sign, of
 * one size, which rounds up everywhere, and short. */
static void test_rounded_weights(void **state) {
    (void)state;
    enum { LONGEST = 777 };
    const vt_int8_kernels *int8;
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++)
        for (uint64_t seed = 1; seed < 400; seed++) {
            float w[LONGEST], most = 0, scale;
            int8_t v[LONGEST + GROUP];
            int32_t sum, expected = 0;
            uint64_t random = seed;
            size_t k = seed % 5 == 0 ? seed % 11 : LONGEST - seed % 13;
            for (size_t p = 0; p < k; p++) {
                float u = random_float(&random), normal = 0;
                for (int i = 0; i < 6; i++)
                    normal += random_float(&random);
                w[p] = seed % 4 == 0   ? 0.7f
                       : seed % 4 == 1 ? normal
                       : seed % 4 == 2 ? normal / (0.01f + u * u)
                                       : fabsf(u);
                most = fmaxf(most, fabsf(w[p]));
            }
            vt_round_weights(v, GROUP, &scale, &sum, int8, w, k);
            for (size_t p = 0; p < k; p++) {
                assert_true(abs(v[p]) <= int8->weight_max);
                assert_close(scale * (float)v[p], w[p], 0.5001 * scale, "weight", (double)p);
                expected += v[p];
            }
            assert_int_equal(sum, expected);
            int largest = largest_sum(v, 1, k);
            if (int8->sum_max) /* as fine as it can be, but for what rounding may add */
                assert_true(largest <= int8->sum_max && (k == 0 || largest >= int8->sum_max - 4));
            else
                assert_true(k == 0 || fabsf(most / scale - (float)int8->weight_max) < 0.01f);
        }
}

/* What a row of activations becomes is the same bits with every table. */
static void test_rounding(void **state) {
    (void)state;
    enum { MOST = 150 };
    const vt_int8_kernels *int8, *reference = NULL;
    for (size_t t = 0; (int8 = vt_int8_kernels_at(t)) != NULL; t++)
        reference = int8;
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++)
        for (size_t n = 1; n <= MOST; n++) {
            size_t padded = (n + GROUP - 1) / GROUP * GROUP;
            uint8_t found[MOST + 8], expected[MOST + 8];
            fenced x = fenced_floats(n);
            fill_random(x.data, n, n);
            for (size_t i = 0; i < n; i++) /* one sign, both, or nothing but zeros */
                x.data[i] = n % 7 == 0 ? 0 : x.data[i] * 9 + (n % 3 == 0 ? 9.5f : 0);
            memset(found, 99, sizeof found);
            memset(expected, 99, sizeof expected);
            vt_int8_row row = int8->quantize(found, x.data, n);
            vt_int8_row same = reference->quantize(expected, x.data, n);
            assert_memory_equal(&row, &same, sizeof row);
            assert_memory_equal(found, expected, padded);
            assert_int_equal(found[padded], 99);
            for (size_t i = 0; i < n; i++)
                assert_close(row.scale * (float)(found[i] - row.zero), x.data[i], row.scale * 1.001,
                             "rounded", (double)i);
            fenced_free(&x);
        }
}

static void test_scaling_back(void **state) {
    (void)state;
    enum { MOST = 70 };
    static int32_t acc[MOST], sums[MOST];
    static float scales[MOST], found[MOST];
    const vt_int8_kernels *int8;
    const vt_int8_row row = {.scale = 0.0371f, .zero = 117};
    fill_random(scales, MOST, 8);
    for (size_t i = 0; i < MOST; i++) {
        acc[i] = (int32_t)(i * i * 40503u % 2000003u) - 1000000;
        sums[i] = (int32_t)(i * 7919u % 40001u) - 20000;
    }
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++)
        for (size_t n = 1; n < MOST; n++) {
            fill_untouched(found, MOST);
            int8->dequantize(found, acc, row, scales, sums, n);
            for (size_t i = 0; i < n; i++)
                assert_true(found[i] == (float)(acc[i] - 117 * sums[i]) * (row.scale * scales[i]));
            assert_true(found[n] == untouched);
        }
}

/* ---- linear layers -----------------------------------------------------------------------------
 */

enum { M = 70, N = 170, K = 530 };

static float x[M * K], weight[N * K], y[M * N], first[M * N];
static unsigned char scratch[1 << 17];

/* A product is off by what a step of either operand is, and steps are off to either side: sums of
 * random errors, six times their deviation at most. */
static void check_product(const vt_packed *packed, size_t m, size_t n, size_t k) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0, x2 = 0, w2 = 0;
            for (size_t p = 0; p < k; p++) {
                double xp = x[i * k + p], wp = weight[j * k + p];
                sum += xp * wp;
                x2 += xp * xp;
                w2 += wp * wp;
            }
            double x_step = 2.0 / 255, w_step = packed->scales[j];
            double deviation = sqrt((x_step * x_step * w2 + w_step * w_step * x2) / 12);
            assert_close(y[i * n + j], sum, 6 * deviation + 1e-6, "int8 linear",
                         (double)(i * 1000 + j));
        }
}

static void test_linear(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 7, 5}, {1, 170, 530}, {70, 170, 530}, {33, 96, 64}};
    const vt_kernels *kernels;
    vt_pool *pool;
    fill_random(x, M * K, 1);
    fill_random(weight, N * K, 2);
    assert_int_equal(vt_pool_create(&pool, 3, NULL), VT_OK);
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            size_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
            vt_packed packed;
            vt_linear_args args = {.y = y, .ldy = n, .x = x, .ldx = k, .m = m, .scratch = scratch};
            assert_int_equal(vt_packed_create(&packed, kernels, VT_STORE_INT8, n, k, NULL), VT_OK);
            assert_true(m * vt_linear_row_scratch(&packed) <= sizeof scratch);
            vt_pack_rows(kernels, &packed, 0, weight, n);
            vt_linear(kernels, NULL, &packed, &args, &(vt_epilogue){0});
            check_product(&packed, m, n, k);
            memcpy(first, y, sizeof y);
            vt_linear(kernels, pool, &packed, &args, &(vt_epilogue){0});
            assert_memory_equal(first, y, m * n * sizeof *y); /* bit for bit, with more threads */
            vt_packed_free(&packed);
        }
    vt_pool_destroy(pool);
}

/* A long row is multiplied by pieces, which must not tear apart what its scale was chosen for: here
 * two groups that are full follow one another, but not in one pair. */
static void test_pieces(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t groups = 193; groups < 600; groups += 23) {
            size_t k = groups * GROUP;
            double sum = 0;
            vt_packed packed;
            for (size_t p = 0; p < k; p++) {
                x[p] = 1;
                weight[p] = p / GROUP % 4 == 1 || p / GROUP % 4 == 2;
                sum += weight[p];
            }
            assert_int_equal(vt_packed_create(&packed, kernels, VT_STORE_INT8, 1, k, NULL), VT_OK);
            vt_pack_rows(kernels, &packed, 0, weight, 1);
            vt_linear_args args = {.y = y, .ldy = 1, .x = x, .ldx = k, .m = 1, .scratch = scratch};
            vt_linear(kernels, NULL, &packed, &args, &(vt_epilogue){0});
            assert_close(y[0], sum, 0.02 * sum, "pieces", (double)k);
            vt_packed_free(&packed);
        }
}

/* A row of W may be all zeros, and the longest is refused before anything is allocated. */
static void test_edges(void **state) {
    (void)state;
    const vt_kernels *kernels = vt_kernels_at(0);
    vt_packed packed;
    size_t bytes;
    memset(weight, 0, sizeof weight);
    assert_int_equal(vt_packed_create(&packed, kernels, VT_STORE_INT8, N, K, NULL), VT_OK);
    vt_pack_rows(kernels, &packed, 0, weight, N);
    vt_linear_args args = {.y = y, .ldy = N, .x = x, .ldx = K, .m = M, .scratch = scratch};
    vt_linear(kernels, NULL, &packed, &args, &(vt_epilogue){0});
    for (size_t i = 0; i < M * N; i++)
        assert_true(y[i] == 0);
    vt_packed_free(&packed);
    assert_true(vt_packed_size(kernels, VT_STORE_INT8, 1, VT_INT8_MAX_K, &bytes));
    assert_false(vt_packed_size(kernels, VT_STORE_INT8, 1, VT_INT8_MAX_K + 1, &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_tails),      cmocka_unit_test(test_nothing_saturates),
        cmocka_unit_test(test_rounded_weights), cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_scaling_back),    cmocka_unit_test(test_linear),
        cmocka_unit_test(test_pieces),          cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
