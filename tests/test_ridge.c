/* SPDX-License-Identifier: MIT
 *
 * Regularised least squares, as `fit` does them, against solutions by elimination in long double
 * and refits without each sample.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/calibrate.h"
#include "cli/cross_validate.h"
#include "cli/ridge.h"

enum { MOST_SAMPLES = 48, MOST_WIDTH = 24, MOST_CLASSES = 6, MOST_UNKNOWNS = MOST_WIDTH + 1 };

static lapack la;

/* Random samples: each class has a mean of its own, and as many samples as `sizes` says. */
typedef struct problem {
    ridge_data data;
    float x[MOST_SAMPLES * MOST_WIDTH];
    size_t class_of[MOST_SAMPLES];
    size_t sizes[MOST_CLASSES];
} problem;

static void make_problem(problem *p, const size_t *sizes, size_t num_classes, size_t width,
                         float spread, uint64_t seed) {
    test_random random = {seed};
    float means[MOST_CLASSES * MOST_WIDTH];
    size_t count = 0;
    random_floats(&random, means, num_classes * width);
    for (size_t k = 0; k < num_classes; k++)
        for (size_t i = 0; i < sizes[k]; i++, count++) {
            float *x = p->x + count * width;
            random_floats(&random, x, width);
            for (size_t j = 0; j < width; j++)
                x[j] = 3 + spread * (means[k * width + j] + x[j]);
            p->class_of[count] = k;
            p->sizes[k] = sizes[k];
        }
    p->data = (ridge_data){.x = p->x,
                           .class_of = p->class_of,
                           .count = count,
                           .width = width,
                           .num_classes = num_classes};
}

/* ---- the reference ------------------------------------------------------------------------------
 */

/* Solves a system of `n` equations for `m` right sides, in place. */
static void eliminate(long double a[MOST_UNKNOWNS][MOST_UNKNOWNS],
                      long double b[MOST_UNKNOWNS][MOST_CLASSES], size_t n, size_t m) {
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < n; r++)
            if (fabsl(a[r][c]) > fabsl(a[pivot][c]))
                pivot = r;
        for (size_t j = 0; j < n; j++) {
            long double swapped = a[c][j];
            a[c][j] = a[pivot][j];
            a[pivot][j] = swapped;
        }
        for (size_t j = 0; j < m; j++) {
            long double swapped = b[c][j];
            b[c][j] = b[pivot][j];
            b[pivot][j] = swapped;
        }
        for (size_t r = 0; r < n; r++) {
            long double factor = a[r][c] / a[c][c];
            if (r == c)
                continue;
            for (size_t j = c; j < n; j++)
                a[r][j] -= factor * a[c][j];
            for (size_t j = 0; j < m; j++)
                b[r][j] -= factor * b[c][j];
        }
    }
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < m; j++)
            b[r][j] /= a[r][r];
}

/* The normal equations, the intercept being the last unknown. Of the sample `without` (`count`: of
 * none) nothing goes in, and the indicators of its class are raised so that it keeps its part. */
static void solve(long double out[MOST_UNKNOWNS][MOST_CLASSES], const problem *p, double lambda,
                  size_t without) {
    const ridge_data *d = &p->data;
    long double a[MOST_UNKNOWNS][MOST_UNKNOWNS] = {{0}};
    size_t present = 0;
    for (size_t k = 0; k < d->num_classes; k++)
        present += p->sizes[k] > 0;
    memset(out, 0, MOST_UNKNOWNS * sizeof *out);
    for (size_t i = 0; i < d->count; i++) {
        size_t own = d->class_of[i];
        long double row[MOST_UNKNOWNS], y = 1;
        long double v = (long double)d->count / (long double)(present * p->sizes[own]);
        if (i == without)
            continue;
        if (without < d->count && own == d->class_of[without])
            y = (long double)p->sizes[own] / (long double)(p->sizes[own] - 1);
        for (size_t j = 0; j < d->width; j++)
            row[j] = d->x[i * d->width + j];
        row[d->width] = 1;
        for (size_t j = 0; j <= d->width; j++) {
            for (size_t l = 0; l <= d->width; l++)
                a[j][l] += v * row[j] * row[l];
            out[j][own] += v * row[j] * y;
        }
    }
    for (size_t j = 0; j < d->width; j++)
        a[j][j] += lambda;
    eliminate(a, out, d->width + 1, d->num_classes);
}

static void predict_left_out(double *outputs, const problem *p, double lambda, size_t index) {
    long double w[MOST_UNKNOWNS][MOST_CLASSES];
    const ridge_data *d = &p->data;
    solve(w, p, lambda, index);
    for (size_t k = 0; k < d->num_classes; k++) {
        long double sum = w[d->width][k];
        for (size_t j = 0; j < d->width; j++)
            sum += w[j][k] * d->x[index * d->width + j];
        outputs[k] = (double)sum;
    }
}

/* -log of the probability of the samples' classes, one wrong answer more being counted. */
static double loss_of(const problem *p, const double *outputs, double scale) {
    const ridge_data *d = &p->data;
    double sum = 0, weights = 0;
    size_t used = 0;
    for (size_t i = 0; i < d->count; i++)
        used += p->sizes[d->class_of[i]] > 1;
    for (size_t i = 0; i < d->count; i++) {
        size_t own = d->class_of[i];
        double all = 0, most = -INFINITY, doubt = 1 / (double)(used + 1), loss = 0,
               weight = p->sizes[own] > 1 ? 1 / (double)p->sizes[own] : 0;
        for (size_t k = 0; k < d->num_classes; k++)
            most = fmax(most, outputs[i * d->num_classes + k]);
        for (size_t k = 0; k < d->num_classes; k++)
            all += exp(scale * (outputs[i * d->num_classes + k] - most));
        for (size_t k = 0; k < d->num_classes; k++)
            loss -= ((k == own ? 1 - doubt : 0) + doubt / (double)d->num_classes) *
                    (scale * (outputs[i * d->num_classes + k] - most) - log(all));
        sum += weight * loss;
        weights += weight;
    }
    return sum / weights;
}

/* The least over a fine grid of scales. */
static double least_loss(const problem *p, const double *outputs) {
    double least = INFINITY;
    for (double scale = LEAST_SCALE; scale < 1e6; scale *= 1.003)
        least = fmin(least, loss_of(p, outputs, scale));
    return least;
}

/* ---- checks -------------------------------------------------------------------------------------
 */

static void check_solution(const problem *p, const ridge *fit) {
    long double expected[MOST_UNKNOWNS][MOST_CLASSES];
    const ridge_data *d = &p->data;
    solve(expected, p, fit->lambda, d->count);
    for (size_t k = 0; k < d->num_classes; k++) {
        for (size_t j = 0; j < d->width; j++)
            assert_float_equal(fit->weight[k * d->width + j], (double)expected[j][k], 1e-9);
        assert_float_equal(fit->bias[k], (double)expected[d->width][k], 1e-9);
    }
}

static void check_left_out(const problem *p, const ridge *fit) {
    const ridge_data *d = &p->data;
    double outputs[MOST_SAMPLES * MOST_CLASSES];
    for (size_t i = 0; i < d->count; i++)
        predict_left_out(outputs + i * d->num_classes, p, fit->lambda, i);
    for (size_t i = 0; i < d->count * d->num_classes; i++)
        assert_float_equal(fit->left_out[i], outputs[i], 1e-9);
}

/* Every strength's loss is that of as many refits as there are samples, and the least was chosen.
 */
static void check_strengths(const problem *p, const ridge *fit) {
    const ridge_data *d = &p->data;
    double outputs[MOST_SAMPLES * MOST_CLASSES];
    for (size_t s = 0; s < RIDGE_STRENGTHS; s++) {
        for (size_t i = 0; i < d->count; i++)
            predict_left_out(outputs + i * d->num_classes, p, fit->strength[s] * fit->unit, i);
        assert_float_equal(fit->loss[s], least_loss(p, outputs), 1e-5);
        assert_true(fit->loss[s] >= fit->loss[fit->chosen]);
    }
    assert_float_equal(fit->lambda, fit->strength[fit->chosen] * fit->unit, 0);
}

static void check_problem(const size_t *sizes, size_t classes, size_t width, float spread,
                          uint64_t seed) {
    static problem p;
    ridge fit;
    make_problem(&p, sizes, classes, width, spread, seed);
    const char *wrong = ridge_fit(&fit, &p.data, &la);
    assert_null(wrong);
    check_solution(&p, &fit);
    check_left_out(&p, &fit);
    check_strengths(&p, &fit);
    ridge_free(&fit);
}

static void test_more_samples_than_columns(void **state) {
    (void)state;
    check_problem((size_t[]){20, 7, 12}, 3, 8, 1, 1);
    check_problem((size_t[]){24, 24}, 2, 2, 0.01f, 2);
}

static void test_more_columns_than_samples(void **state) {
    (void)state;
    check_problem((size_t[]){5, 3, 9}, 3, MOST_WIDTH, 1, 3);
    check_problem((size_t[]){2, 2}, 2, 20, 100, 4);
    check_problem((size_t[]){3, 2, 4, 2, 3, 2}, 6, 16, 1, 5); /* as many as columns */
}

/* A class that has no other sample is not there when that is left out. */
static void test_single_sample(void **state) {
    static problem p;
    ridge fit;
    (void)state;
    check_problem((size_t[]){6, 1, 8}, 3, 4, 1, 6);
    check_problem((size_t[]){6, 1, 8}, 3, 20, 1, 7);
    make_problem(&p, (size_t[]){6, 1, 8}, 3, 4, 1, 6);
    assert_null(ridge_fit(&fit, &p.data, &la));
    assert_float_equal(fit.left_out[6 * 3 + 1], 0, 0);
    ridge_free(&fit);
}

static void test_only_single_samples(void **state) {
    static problem p;
    ridge fit;
    double outputs[4];
    (void)state;
    make_problem(&p, (size_t[]){1, 1, 1, 1}, 4, 6, 1, 8);
    assert_null(ridge_fit(&fit, &p.data, &la));
    assert_int_equal(fit.chosen, RIDGE_STRENGTHS - 1); /* nothing speaks for less */
    assert_float_equal(fit.scale, LEAST_SCALE, 0);
    for (size_t i = 0; i < 4; i++) {
        ridge_apply(&fit, outputs, p.x + i * 6);
        assert_int_equal(largest(outputs, 4), i);
    }
    ridge_free(&fit);
}

/* No direction tells classes apart: all have the same outputs. */
static void test_equal_samples(void **state) {
    static problem p;
    ridge fit;
    double outputs[3];
    (void)state;
    make_problem(&p, (size_t[]){4, 2, 3}, 3, 5, 0, 9);
    assert_null(ridge_fit(&fit, &p.data, &la));
    ridge_apply(&fit, outputs, p.x);
    for (size_t k = 0; k < 3; k++)
        assert_float_equal(outputs[k], 1.0 / 3, 1e-12);
    ridge_free(&fit);
}

/* A class without samples, as in a part of a cross-validation, has outputs of 0. */
static void test_absent_class(void **state) {
    static problem p;
    ridge fit;
    double outputs[3];
    (void)state;
    make_problem(&p, (size_t[]){6, 0, 5}, 3, 4, 1, 10);
    assert_null(ridge_fit(&fit, &p.data, &la));
    check_solution(&p, &fit);
    ridge_apply(&fit, outputs, p.x);
    assert_float_equal(outputs[1], 0, 0);
    assert_float_equal(outputs[0] + outputs[2], 1, 1e-12);
    ridge_free(&fit);
}

/* Strengths go with the scale of the vectors, and so does nothing that is predicted. */
static void test_scale_of_vectors(void **state) {
    static problem p, q;
    ridge a, b;
    (void)state;
    make_problem(&p, (size_t[]){9, 5, 7}, 3, 6, 1, 11);
    q = p;
    q.data.x = q.x;
    q.data.class_of = q.class_of;
    for (size_t i = 0; i < p.data.count * p.data.width; i++)
        q.x[i] *= 1024;
    assert_null(ridge_fit(&a, &p.data, &la));
    assert_null(ridge_fit(&b, &q.data, &la));
    assert_int_equal(a.chosen, b.chosen);
    assert_float_equal(b.lambda, a.lambda * 1024 * 1024, 1e-6 * b.lambda);
    for (size_t i = 0; i < p.data.count * 3; i++)
        assert_float_equal(a.left_out[i], b.left_out[i], 1e-9);
    ridge_free(&a);
    ridge_free(&b);
}

static void test_same_bits(void **state) {
    static problem p;
    ridge a, b;
    (void)state;
    make_problem(&p, (size_t[]){20, 7, 12}, 3, 20, 1, 12);
    assert_null(ridge_fit(&a, &p.data, &la));
    assert_null(ridge_fit(&b, &p.data, &la));
    assert_memory_equal(a.weight, b.weight, 3 * 20 * sizeof *a.weight);
    assert_memory_equal(a.bias, b.bias, 3 * sizeof *a.bias);
    assert_memory_equal(&a.scale, &b.scale, sizeof a.scale);
    ridge_free(&a);
    ridge_free(&b);
}

/* ---- scores -------------------------------------------------------------------------------------
 */

static void test_calibration(void **state) {
    enum { COUNT = 40, CLASSES = 3 };
    static problem p; /* its sizes and classes alone */
    double outputs[COUNT * CLASSES], weight[COUNT];
    float noise[COUNT * CLASSES];
    test_random random = {13};
    (void)state;
    make_problem(&p, (size_t[]){25, 5, 10}, CLASSES, 1, 1, 13);
    random_floats(&random, noise, COUNT * CLASSES);
    for (size_t i = 0; i < COUNT; i++)
        weight[i] = 1 / (double)p.sizes[p.class_of[i]];
    for (size_t strong = 0; strong < 2; strong++) { /* with mistakes, and without */
        for (size_t i = 0; i < COUNT * CLASSES; i++)
            outputs[i] = 0.3 * (double)noise[i] +
                         (strong ? 1 : 0.2) * (i % CLASSES == p.class_of[i / CLASSES]);
        const held_out samples = {outputs, p.class_of, weight, COUNT, CLASSES};
        calibration found = calibrate(&samples, 1, 1e-9);
        assert_true(found.scale > LEAST_SCALE && found.scale < 1e6);
        assert_float_equal(found.loss, least_loss(&p, outputs), 1e-6);
        assert_float_equal(found.loss, loss_of(&p, outputs, found.scale), 1e-12);
        double at_end = calibrate(&samples, found.scale, 1e-9).scale; /* there is no step to take */
        assert_float_equal(at_end, found.scale, 1e-9 * found.scale);
        calibration again = calibrate(&samples, 500, 1e-9); /* from elsewhere to the same place */
        assert_float_equal(again.scale, found.scale, 1e-6 * found.scale);
    }
}

/* Outputs that say the contrary of what is true have the least scale, not one below it. */
static void test_contrary_outputs(void **state) {
    const double outputs[] = {0, 1, 1, 0}, weight[] = {1, 1};
    const size_t class_of[] = {0, 1};
    (void)state;
    calibration found = calibrate(&(held_out){outputs, class_of, weight, 2, 2}, 7, 1e-9);
    assert_float_equal(found.scale, LEAST_SCALE, 1e-6);
}

static void test_softmax(void **state) {
    double values[] = {1000, 1001, -2000};
    (void)state;
    softmax(values, 3);
    assert_float_equal(values[0], 1 / (1 + exp(1)), 1e-12);
    assert_float_equal(values[1], exp(1) / (1 + exp(1)), 1e-12);
    assert_float_equal(values[2], 0, 0);
}

/* ---- cross-validation ---------------------------------------------------------------------------
 */

/* What the header says of the parts, and a fit of one's own to the others. */
static void test_cross_validation(void **state) {
    enum { PARTS = 3, CLASSES = 3, COUNT = 17, WIDTH = 4 };
    static const size_t part[COUNT] = {0, 0, 0, 1, 1, 1, 2, 2, /* class 0: 8 samples */
                                       1, 1, 2, 2, 0,          /* class 1: 5, from part 1 */
                                       2, 2, 0, 1};            /* class 2: 4, from part 2 */
    static problem p, some;
    size_t predicted[COUNT];
    double outputs[CLASSES];
    (void)state;
    make_problem(&p, (size_t[]){8, 5, 4}, CLASSES, WIDTH, 1, 14);
    assert_null(cross_validate(predicted, &p.data, PARTS, &la));
    for (size_t which = 0; which < PARTS; which++) {
        ridge fit;
        some.data = (ridge_data){
            .x = some.x, .class_of = some.class_of, .width = WIDTH, .num_classes = CLASSES};
        for (size_t i = 0; i < COUNT; i++)
            if (part[i] != which) {
                memcpy(some.x + some.data.count * WIDTH, p.x + i * WIDTH, WIDTH * sizeof *p.x);
                some.class_of[some.data.count++] = p.class_of[i];
            }
        assert_null(ridge_fit(&fit, &some.data, &la));
        for (size_t i = 0; i < COUNT; i++)
            if (part[i] == which) {
                ridge_apply(&fit, outputs, p.x + i * WIDTH);
                assert_int_equal(predicted[i], largest(outputs, CLASSES));
            }
        ridge_free(&fit);
    }
}

static void test_no_samples(void **state) {
    ridge fit;
    (void)state;
    assert_non_null(ridge_fit(&fit, &(ridge_data){.width = 3, .num_classes = 2}, &la));
    ridge_free(&fit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_samples_than_columns),
        cmocka_unit_test(test_more_columns_than_samples),
        cmocka_unit_test(test_single_sample),
        cmocka_unit_test(test_only_single_samples),
        cmocka_unit_test(test_equal_samples),
        cmocka_unit_test(test_absent_class),
        cmocka_unit_test(test_scale_of_vectors),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_contrary_outputs),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_cross_validation),
        cmocka_unit_test(test_no_samples),
    };
    if (lapack_load(&la, "test_ridge"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
