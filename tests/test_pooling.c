/* SPDX-License-Identifier: MIT
 *
 * From tokens to one vector: each kind of pooling against its definition, with and without prefix
 * tokens, and what may follow it (a norm, a tanh layer).
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/pooling.h"

enum { COUNT = 3, TOKENS = 37, WIDTH = 19, PREFIX = 2 };

static const double TOLERANCE = 1e-6;

typedef struct fixture {
    float x[COUNT * TOKENS * WIDTH];
    float pooled[COUNT * WIDTH];
    float undense[WIDTH];
} fixture;

static fixture *make_fixture(void) {
    fixture *f = malloc(sizeof *f);
    test_random random = {17};
    assert_non_null(f);
    random_floats(&random, f->x, COUNT * TOKENS * WIDTH);
    return f;
}

static void pool(fixture *f, const vt_pooler *pooler, const vt_kernels *kernels) {
    const vt_compute compute = {.kernels = kernels};
    const vt_pooler_workspace workspace = {.undense = f->undense};
    for (size_t i = 0; i < COUNT * WIDTH; i++)
        f->pooled[i] = NAN;
    vt_pooler_forward(&compute, pooler, &workspace, f->pooled, f->x, NULL, NULL, COUNT, TOKENS,
                      PREFIX);
}

static double value(const fixture *f, size_t item, size_t token, size_t i) {
    return (double)f->x[(item * TOKENS + token) * WIDTH + i];
}

static double pooled_naively(const fixture *f, vt_pooling_kind kind, size_t item, size_t i,
                             size_t first) {
    double sum = 0, max = -INFINITY;
    for (size_t t = first; t < TOKENS; t++) {
        sum += value(f, item, t, i);
        max = fmax(max, value(f, item, t, i));
    }
    double mean = sum / (TOKENS - first);
    switch (kind) {
    case VT_POOL_TOKEN:
        return value(f, item, 0, i);
    case VT_POOL_TOKEN_PAIR:
        return (value(f, item, 0, i) + value(f, item, 1, i)) / 2;
    case VT_POOL_AVG:
        return mean;
    case VT_POOL_MAX:
        return max;
    default:
        return (mean + max) / 2;
    }
}

static void check_kind(vt_pooling_kind kind, bool include_prefix, const vt_kernels *kernels) {
    fixture *f = make_fixture();
    const vt_pooler pooler = {.kind = kind, .width = WIDTH, .include_prefix = include_prefix};
    pool(f, &pooler, kernels);
    for (size_t i = 0; i < COUNT * WIDTH; i++) {
        double expected =
            pooled_naively(f, kind, i / WIDTH, i % WIDTH, include_prefix ? 0 : PREFIX);
        if (!(fabs((double)f->pooled[i] - expected) <= TOLERANCE))
            fail_msg("%s: value %zu: expected %.9g, found %.9g", vt_pooling_name(kind), i, expected,
                     (double)f->pooled[i]);
    }
    free(f);
}

static void test_each_kind(void **state) {
    (void)state;
    static const vt_pooling_kind kinds[] = {VT_POOL_TOKEN, VT_POOL_TOKEN_PAIR, VT_POOL_AVG,
                                            VT_POOL_MAX, VT_POOL_AVG_MAX};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        check_kind(kinds[k], false, vt_kernels_at(0));
        check_kind(kinds[k], true, vt_kernels_at(0));
    }
}

/* Merged tokens weigh in a mean as what they stand for; without the prefix tokens, and with them.
 */
static void test_mean_weighted_by_size(void **state) {
    (void)state;
    fixture *f = make_fixture();
    const vt_compute compute = {.kernels = vt_kernels_at(0)};
    const vt_pooler_workspace workspace = {.undense = f->undense};
    float size[COUNT * TOKENS];
    const vt_token_sizes sizes = {.size = size};
    for (size_t i = 0; i < COUNT * TOKENS; i++)
        size[i] = (float)(1 + i % 5);
    for (size_t prefix = 0; prefix < 2; prefix++) {
        const vt_pooler pooler = {
            .kind = VT_POOL_AVG, .width = WIDTH, .include_prefix = prefix == 1};
        vt_pooler_forward(&compute, &pooler, &workspace, f->pooled, f->x, NULL, &sizes, COUNT,
                          TOKENS, PREFIX);
        for (size_t i = 0; i < COUNT * WIDTH; i++) {
            double sum = 0, weights = 0;
            for (size_t t = prefix ? 0 : PREFIX; t < TOKENS; t++) {
                double weight = (double)size[i / WIDTH * TOKENS + t];
                sum += weight * value(f, i / WIDTH, t, i % WIDTH);
                weights += weight;
            }
            assert_true(fabs((double)f->pooled[i] - sum / weights) <= TOLERANCE);
        }
    }
    free(f);
}

/* The maximum of negative values is negative, not the 0 that a sum would start from. */
static void test_maximum_of_negative_values(void **state) {
    (void)state;
    fixture *f = make_fixture();
    const vt_pooler pooler = {.kind = VT_POOL_MAX, .width = WIDTH};
    for (size_t i = 0; i < COUNT * TOKENS * WIDTH; i++)
        f->x[i] = -1.5f - f->x[i] * f->x[i];
    pool(f, &pooler, vt_kernels_at(0));
    for (size_t i = 0; i < COUNT * WIDTH; i++)
        assert_true(f->pooled[i] <= -1.5f && f->pooled[i] >= -2.5f);
    free(f);
}

/* Many tokens of one sign: a float sum of 2^20 values near 1 would be off in the fourth digit. */
static void test_mean_of_many(void **state) {
    (void)state;
    enum { MANY = 1 << 20 };
    float *x = malloc(MANY * sizeof *x), mean = 0;
    const vt_compute compute = {.kernels = vt_kernels_at(0)};
    const vt_pooler pooler = {.kind = VT_POOL_AVG, .width = 1};
    const vt_pooler_workspace workspace = {0};
    assert_non_null(x);
    for (size_t i = 0; i < MANY; i++)
        x[i] = 1.1f;
    vt_pooler_forward(&compute, &pooler, &workspace, &mean, x, NULL, NULL, 1, MANY, 0);
    assert_true(fabs((double)mean - (double)1.1f) < 1e-7);
    free(x);
}

/* LayerNorm after the pool (timm's fc_norm), then tanh(W x + b) (ViTModel's pooler). */
static void follow_naively(const float *x, const float *weight, const float *bias, double *out) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < WIDTH; i++)
        mean += (double)x[i] / WIDTH;
    for (size_t i = 0; i < WIDTH; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / WIDTH;
    for (size_t o = 0; o < WIDTH; o++) {
        double sum = (double)bias[o];
        for (size_t i = 0; i < WIDTH; i++)
            sum +=
                (double)weight[o * WIDTH + i] *
                (((double)x[i] - mean) / sqrt(variance + 1e-6) * (double)bias[i] + (double)bias[i]);
        out[o] = tanh(sum);
    }
}

static void check_norm_and_dense(const vt_kernels *kernels) {
    fixture *f = make_fixture();
    float weight[WIDTH * WIDTH], bias[WIDTH];
    double expected[WIDTH];
    vt_error err = {0};
    test_random random = {23};
    vt_pooler pooler = {.kind = VT_POOL_TOKEN, .width = WIDTH, .dense_act = VT_ACT_TANH};
    random_floats(&random, weight, WIDTH * WIDTH);
    random_floats(&random, bias, WIDTH);
    expect_ok(vt_packed_create(&pooler.dense.weight, kernels, VT_STORE_F32, WIDTH, WIDTH, &err),
              &err);
    vt_pack_rows(kernels, &pooler.dense.weight, 0, weight, WIDTH);
    pooler.dense.bias = bias;
    pooler.norm = (vt_norm){.weight = bias, .bias = bias, .kind = VT_NORM_LAYER, .eps = 1e-6f};
    pool(f, &pooler, kernels);
    for (size_t item = 0; item < COUNT; item++) {
        follow_naively(f->x + item * TOKENS * WIDTH, weight, bias, expected);
        for (size_t i = 0; i < WIDTH; i++)
            if (!(fabs((double)f->pooled[item * WIDTH + i] - expected[i]) <= 4 * TOLERANCE))
                fail_msg("%s: value %zu of %zu: expected %.9g, found %.9g", kernels->name, i, item,
                         expected[i], (double)f->pooled[item * WIDTH + i]);
    }
    vt_packed_free(&pooler.dense.weight);
    free(f);
}

static void test_norm_and_dense_layer_after_it(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++)
        check_norm_and_dense(kernels);
}

static void test_names(void **state) {
    (void)state;
    for (int i = 0; i <= VT_POOL_KIND_COUNT; i++)
        assert_non_null(vt_pooling_name((vt_pooling_kind)i));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),
        cmocka_unit_test(test_mean_weighted_by_size),
        cmocka_unit_test(test_maximum_of_negative_values),
        cmocka_unit_test(test_mean_of_many),
        cmocka_unit_test(test_norm_and_dense_layer_after_it),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("pooling", tests, NULL, NULL);
}
