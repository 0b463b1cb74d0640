/* SPDX-License-Identifier: MIT
 *
 * gemm, packing and linear layers: every table that this processor can run against sums in double,
 * over all tails. What lies between the rows of a result must stay as it was.
 */
#include "base/memory.h"
#include "kernel_check.h"
#include "kernels/linear.h"

/* ---- gemm and packing ---------------------------------------------------------------------- */

static void check_gemm(const vt_kernels *kernels, size_t m, size_t n, size_t k, bool accumulate) {
    size_t lda = k + 3, ldc = n + 5, nr = kernels->nr, panels = (n + nr - 1) / nr;
    fenced a = fenced_floats((m - 1) * lda + k), b = fenced_floats(k * n);
    fenced packed = fenced_floats(panels * nr * k), c = fenced_floats((m - 1) * ldc + n);
    fill_random(a.data, (m - 1) * lda + k, m);
    fill_random(b.data, k * n, n);
    fill_untouched(c.data, (m - 1) * ldc + n);
    for (size_t i = 0; i < m; i++)
        fill_random(c.data + i * ldc, n, i);
    vt_pack_panels(packed.data, b.data, n, k, n, nr);
    kernels->gemm(m, n, k, a.data, lda, packed.data, c.data, ldc, accumulate, NULL);
    for (size_t i = 0; i < m; i++) {
        float before[256];
        assert_true(n <= 256);
        fill_random(before, n, i);
        for (size_t j = 0; j < n; j++) {
            double sum = accumulate ? before[j] : 0;
            for (size_t p = 0; p < k; p++)
                sum += (double)a.data[i * lda + p] * b.data[p * n + j];
            assert_close(c.data[i * ldc + j], sum, 2e-6 * sqrt((double)k), "gemm",
                         (double)(i * 1000 + j));
        }
        for (size_t j = n; j < ldc && i + 1 < m; j++)
            assert_true(c.data[i * ldc + j] == untouched);
    }
    fenced_free(&a);
    fenced_free(&b);
    fenced_free(&packed);
    fenced_free(&c);
}

static void test_gemm_tails(void **state) {
    (void)state;
    static const size_t depths[] = {1, 2, 7, 24};
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t m = 1; m <= 2 * kernels->mr + 1; m++)
            for (size_t n = 1; n <= 2 * kernels->nr + 1; n++)
                check_gemm(kernels, m, n, depths[(m + n) % 4], (m ^ n) & 1);
}

static void test_gemm_attention_shapes(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{64, 197, 64}, {32, 64, 197}, {49, 80, 80},
                                       {33, 12, 24},  {1, 200, 64},  {50, 64, 577}};
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            for (int accumulate = 0; accumulate < 2; accumulate++)
                check_gemm(kernels, shapes[i][0], shapes[i][1], shapes[i][2], accumulate);
}

static float panel_at(const float *panels, size_t nr, size_t k, size_t p, size_t j) {
    return panels[(j / nr * k + p) * nr + j % nr];
}

/* The two ways of packing hold the same operand, zero past its last column. */
static void check_pack_panels(const vt_kernels *kernels, size_t k, size_t n) {
    enum { MAX_K = 70, MAX_N = 70, LDB = 75, COLS = 96 };
    static float b[MAX_K * LDB], bt[MAX_N * LDB], packed[MAX_K * COLS], transposed[MAX_K * COLS];
    size_t nr = kernels->nr, columns = (n + nr - 1) / nr * nr;
    fill_random(b, MAX_K * LDB, 1);
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++)
            bt[j * LDB + p] = b[p * LDB + j];
    fill_untouched(packed, MAX_K * COLS);
    fill_untouched(transposed, MAX_K * COLS);
    vt_pack_panels(packed, b, LDB, k, n, nr);
    vt_pack_panels_transposed(kernels, transposed, bt, LDB, k, n);
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < columns; j++) {
            float expected = j < n ? b[p * LDB + j] : 0;
            assert_true(panel_at(packed, nr, k, p, j) == expected);
            assert_true(panel_at(transposed, nr, k, p, j) == expected);
        }
    assert_true(transposed[k * columns] == untouched);
}

static void test_pack_panels(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4, 15, 16, 17, 32, 37, 64, 69};
    enum { NUM_SIZES = sizeof sizes / sizeof sizes[0] };
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t i = 0; i < NUM_SIZES; i++)
            for (size_t j = 0; j < NUM_SIZES; j++)
                check_pack_panels(kernels, sizes[i], sizes[j]);
}

/* Three row ranges that begin and end within panels, as q, k and v do. */
static void test_pack_rows(void **state) {
    (void)state;
    enum { K = 19, N = 110 };
    static const size_t rows[] = {0, 37, 75, 107};
    static float weight[N * K];
    const vt_kernels *kernels;
    fill_random(weight, N * K, 2);
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        vt_packed packed;
        size_t bytes;
        assert_int_equal(vt_packed_create(&packed, kernels, VT_STORE_F32, N, K, NULL), VT_OK);
        for (size_t i = 0; i < 3; i++)
            vt_pack_rows(kernels, &packed, rows[i], weight + rows[i] * K, rows[i + 1] - rows[i]);
        assert_true(vt_packed_size(kernels, VT_STORE_F32, N, K, &bytes));
        size_t columns = (N + kernels->nr - 1) / kernels->nr * kernels->nr;
        size_t panels = columns * K * sizeof(float);
        assert_true(bytes >= panels && bytes < panels + VT_ALIGNMENT && bytes % VT_ALIGNMENT == 0);
        for (size_t j = 0; j < columns; j++)
            for (size_t p = 0; p < K; p++)
                assert_true(panel_at(packed.panels, kernels->nr, K, p, j) ==
                            (j < 107 ? weight[j * K + p] : 0));
        vt_packed_free(&packed);
        assert_null(packed.panels);
    }
    size_t bytes;
    assert_false(vt_packed_size(vt_kernels_at(0), VT_STORE_F32, SIZE_MAX - 3, 1, &bytes));
    assert_false(vt_packed_size(vt_kernels_at(0), VT_STORE_BF16, SIZE_MAX / 4, 8, &bytes));
    assert_false(vt_packed_size(vt_kernels_at(0), VT_STORE_F32, SIZE_MAX / 128, 64, &bytes));
}

/* ---- linear -------------------------------------------------------------------------------- */

typedef struct linear_case {
    size_t m, n, k, ldx; /* rows of X 1024 floats apart are copied, others read in place */
} linear_case;

enum { MAX_M = 200, MAX_N = 520, MAX_K = 800, MAX_LDX = 1024, LDY = MAX_N + 7 };

typedef struct linear_data {
    float x[MAX_M * MAX_LDX], weight[MAX_N * MAX_K], bias[MAX_N], scale[MAX_N];
    float residual[MAX_M * LDY], y[MAX_M * LDY], first[MAX_M * LDY];
    double product[MAX_M * MAX_N];
} linear_data;

static linear_data data;

static void multiply(const linear_case *shape) {
    for (size_t i = 0; i < shape->m; i++)
        for (size_t j = 0; j < shape->n; j++) {
            double sum = 0;
            for (size_t p = 0; p < shape->k; p++)
                sum += (double)data.x[i * shape->ldx + p] * data.weight[j * shape->k + p];
            data.product[i * MAX_N + j] = sum;
        }
}

static void check_linear_result(const linear_case *shape, const vt_epilogue *ep) {
    for (size_t i = 0; i < shape->m; i++) {
        for (size_t j = 0; j < shape->n; j++) {
            double v = data.product[i * MAX_N + j] + (ep->bias ? data.bias[j] : 0);
            v = activation(v, ep->act) * (ep->scale ? data.scale[j] : 1);
            v += ep->residual ? data.residual[i * LDY + j] : 0;
            assert_close(data.y[i * LDY + j], v, 2e-6 * sqrt((double)shape->k), "linear",
                         (double)(i * 1000 + j));
        }
        for (size_t j = shape->n; j < LDY; j++)
            assert_true(data.y[i * LDY + j] == untouched);
    }
}

/* The residual apart from y, and y itself. */
static void check_linear(const vt_kernels *kernels, vt_pool *pool, const linear_case *shape,
                         const vt_packed *packed, vt_epilogue ep, bool in_place) {
    fill_untouched(data.y, MAX_M * LDY);
    if (ep.residual && in_place) {
        for (size_t i = 0; i < shape->m; i++)
            memcpy(data.y + i * LDY, data.residual + i * LDY, shape->n * sizeof(float));
        ep.residual = data.y;
    }
    const vt_linear_args args = {
        .y = data.y, .ldy = LDY, .x = data.x, .ldx = shape->ldx, .m = shape->m};
    vt_linear(kernels, pool, packed, &args, &ep);
    check_linear_result(shape, &ep);
}

static void check_epilogues(const vt_kernels *kernels, vt_pool *pools[3], const linear_case *shape,
                            vt_storage storage) {
    vt_packed packed;
    assert_int_equal(vt_packed_create(&packed, kernels, storage, shape->n, shape->k, NULL), VT_OK);
    vt_pack_rows(kernels, &packed, 0, data.weight, shape->n);
    for (int combination = 0; combination < 8 * VT_ACT_COUNT; combination++) {
        vt_epilogue ep = {
            .bias = combination & 1 ? data.bias : NULL,
            .scale = combination & 2 ? data.scale : NULL,
            .residual = combination & 4 ? data.residual : NULL,
            .act = (vt_activation)(combination / 8),
        };
        for (size_t t = 0; t < 3; t++) {
            check_linear(kernels, pools[t], shape, &packed, ep, t == 1);
            if (t == 0)
                memcpy(data.first, data.y, sizeof data.y);
            else /* bit for bit, however many threads */
                assert_memory_equal(data.first, data.y, sizeof data.y);
        }
    }
    vt_packed_free(&packed);
}

/* Weights that the storage holds exactly. */
static void fill_weights(const vt_kernels *kernels, vt_storage storage) {
    static uint16_t halves[MAX_N * MAX_K];
    fill_random(data.weight, MAX_N * MAX_K, 4);
    if (storage == VT_STORE_F16) {
        kernels->f32_to_f16(halves, data.weight, MAX_N * MAX_K);
        kernels->f16_to_f32(data.weight, halves, MAX_N * MAX_K);
    } else if (storage == VT_STORE_BF16) {
        kernels->f32_to_bf16(halves, data.weight, MAX_N * MAX_K);
        kernels->bf16_to_f32(data.weight, halves, MAX_N * MAX_K);
    }
}

/* Some columns alone: the same bits as among all, and nothing beside them is written. */
static void check_columns(const vt_kernels *kernels, vt_storage storage) {
    enum { M = 45, N = 300, K = 80 };
    static const size_t ranges[][2] = {{0, 300}, {0, 100}, {64, 236}, {37, 1}, {37, 200}, {299, 1}};
    static uint8_t scratch[1 << 16];
    vt_packed packed;
    vt_epilogue ep = {.bias = data.bias, .act = VT_ACT_GELU_ERF};
    vt_linear_args args = {
        .y = data.first, .ldy = LDY, .x = data.x, .ldx = K, .m = M, .scratch = scratch};
    assert_int_equal(vt_packed_create(&packed, kernels, storage, N, K, NULL), VT_OK);
    assert_true(M * vt_linear_row_scratch(&packed) <= sizeof scratch);
    vt_pack_rows(kernels, &packed, 0, data.weight, N);
    vt_linear(kernels, NULL, &packed, &args, &ep);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        args.first = ranges[i][0];
        args.count = ranges[i][1];
        args.y = data.y + args.first;
        ep.bias = data.bias + args.first;
        fill_untouched(data.y, M * LDY);
        vt_linear(kernels, NULL, &packed, &args, &ep);
        for (size_t r = 0; r < M; r++)
            for (size_t j = 0; j < N; j++) {
                bool inside = j >= args.first && j < args.first + args.count;
                assert_true(data.y[r * LDY + j] == (inside ? data.first[r * LDY + j] : untouched));
            }
    }
    vt_packed_free(&packed);
}

static void test_columns(void **state) {
    (void)state;
    const vt_kernels *kernels;
    fill_random(data.x, MAX_M * MAX_LDX, 3);
    fill_random(data.weight, MAX_N * MAX_K, 4);
    fill_random(data.bias, MAX_N, 5);
    for (size_t t = 0; (kernels = vt_kernels_at(t)) != NULL; t++)
        for (int storage = VT_STORE_F32; storage <= VT_STORE_INT8; storage++)
            check_columns(kernels, (vt_storage)storage);
}

static void test_linear(void **state) {
    (void)state;
    static const linear_case cases[] = {
        {1, 7, 5, 5},       {1, 513, 800, 1024}, {3, 64, 385, 388}, {65, 192, 33, 512},
        {130, 300, 10, 11}, {59, 33, 770, 1024}, {59, 33, 770, 803}};
    static const vt_storage storages[] = {VT_STORE_F32, VT_STORE_F16, VT_STORE_BF16};
    vt_pool *pools[3] = {NULL, NULL, NULL};
    const vt_kernels *kernels;
    assert_int_equal(vt_pool_create(&pools[1], 2, NULL), VT_OK);
    assert_int_equal(vt_pool_create(&pools[2], 3, NULL), VT_OK);
    fill_random(data.x, MAX_M * MAX_LDX, 3);
    fill_random(data.bias, MAX_N, 5);
    fill_random(data.scale, MAX_N, 6);
    fill_random(data.residual, MAX_M * LDY, 7);
    for (size_t s = 0; s < sizeof storages / sizeof storages[0]; s++) {
        fill_weights(vt_kernels_at(0), storages[s]);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            multiply(&cases[i]);
            for (size_t t = 0; (kernels = vt_kernels_at(t)) != NULL; t++)
                check_epilogues(kernels, pools, &cases[i], storages[s]);
        }
    }
    vt_pool_destroy(pools[1]);
    vt_pool_destroy(pools[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_tails),  cmocka_unit_test(test_gemm_attention_shapes),
        cmocka_unit_test(test_pack_panels), cmocka_unit_test(test_pack_rows),
        cmocka_unit_test(test_linear),      cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
