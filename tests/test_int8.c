/* SPDX-License-Identifier: MIT
 *
 * Products of 8-bit integers: every table that this processor can run against sums in 64 bits, over
 * all tails and at the ends of the ranges, where nothing may saturate; and linear layers whose
 * weights are rounded to 8 bits, within what the rounding explains.
 */
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
    int8->gemm(m, n, k / GROUP, a, lda, panels, c, LDC, accumulate);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < LDC; j++) {
            int64_t sum = j < n && !accumulate ? 0 : (int64_t)(i * LDC + j);
            for (size_t p = 0; j < n && p < k; p++)
                sum += a[i * lda + p] * b[p * n + j];
            assert_int_equal(c[i * LDC + j], sum);
        }
}

static void fill(const vt_int8_kernels *int8, uint64_t seed) {
    uint64_t state = seed;
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(127.5f + 127.5f * random_float(&state));
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (int8_t)lrintf((float)int8->weight_max * random_float(&state));
}

static void test_gemm_tails(void **state) {
    (void)state;
    static const size_t depths[] = {4, 8, 28, 96};
    const vt_int8_kernels *int8;
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++) {
        fill(int8, t + 1);
        for (size_t m = 1; m <= 2 * int8->mr + 1; m++)
            for (size_t n = 1; n <= 2 * int8->nr + 1 && n <= 96; n++)
                check_gemm(int8, m, n, depths[(m + n) % 4], (m ^ n) & 1);
    }
}

/* The largest activations and weights, in the longest sum that is allowed. */
static void test_nothing_saturates(void **state) {
    (void)state;
    const vt_int8_kernels *int8;
    size_t k = VT_INT8_MAX_K / GROUP * GROUP;
    memset(a, 255, sizeof a);
    for (size_t t = 0; (int8 = int8_at(t)) != NULL; t++)
        for (int sign = -1; sign <= 1; sign += 2) {
            memset(b, sign * int8->weight_max, sizeof b);
            check_gemm(int8, int8->mr, 3, k, false);
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
static void check_product(const vt_int8_kernels *int8, size_t m, size_t n, size_t k) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0, x2 = 0, w2 = 0, w_most = 0;
            for (size_t p = 0; p < k; p++) {
                double xp = x[i * k + p], wp = weight[j * k + p];
                sum += xp * wp;
                x2 += xp * xp;
                w2 += wp * wp;
                w_most = fmax(w_most, fabs(wp));
            }
            double x_step = 2.0 / 255, w_step = w_most / int8->weight_max;
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
            check_product(packed.int8, m, n, k);
            memcpy(first, y, sizeof y);
            vt_linear(kernels, pool, &packed, &args, &(vt_epilogue){0});
            assert_memory_equal(first, y, m * n * sizeof *y); /* bit for bit, with more threads */
            vt_packed_free(&packed);
        }
    vt_pool_destroy(pool);
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
        cmocka_unit_test(test_gemm_tails), cmocka_unit_test(test_nothing_saturates),
        cmocka_unit_test(test_rounding),   cmocka_unit_test(test_scaling_back),
        cmocka_unit_test(test_linear),     cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
