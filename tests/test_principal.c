/* SPDX-License-Identifier: MIT
 *
 * Principal components of points that were laid out along known directions; and the colours of
 * maps.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "cli/diagnose.h"
#include "cli/palette.h"
#include "cli/principal.h"

enum { COUNT = 700, WIDTH = 20 };

static lapack load(void) {
    lapack la;
    assert_int_equal(lapack_load(&la, "test"), EXIT_DONE);
    return la;
}

/* Points 5 + a 10 u + b 3 v, of orthogonal directions u and v, a and b without correlation. */
static float *lay_out(double *a, double *b) {
    float *x = malloc(COUNT * WIDTH * sizeof *x);
    for (size_t i = 0; i < COUNT; i++) {
        a[i] = cos(2 * M_PI * (double)i / COUNT);
        b[i] = sin(2 * M_PI * (double)i / COUNT);
        for (size_t j = 0; j < WIDTH; j++)
            x[i * WIDTH + j] = 5;
        /* u = (-3, 4, 0, …) / 5, v = (0, 0, 1, 0, …) */
        x[i * WIDTH] += (float)(10 * a[i] * -0.6);
        x[i * WIDTH + 1] += (float)(10 * a[i] * 0.8);
        x[i * WIDTH + 2] += (float)(3 * b[i]);
    }
    return x;
}

static void test_known_directions(void **state) {
    (void)state;
    double a[COUNT], b[COUNT];
    const lapack la = load();
    float *x = lay_out(a, b), *out = malloc(COUNT * 3 * sizeof *out);
    assert_true(principal_components(&la, out, 3, x, COUNT, WIDTH));
    for (size_t i = 0; i < COUNT; i++) {
        assert_float_equal(out[3 * i], 10 * a[i], 1e-4); /* the largest entry of u is positive */
        assert_float_equal(out[3 * i + 1], 3 * b[i], 1e-4);
        assert_float_equal(out[3 * i + 2], 0, 1e-4);
    }
    free(out);
    free(x);
}

static void test_fewer_directions(void **state) {
    (void)state;
    const lapack la = load();
    const float x[] = {1, 2, 4};
    float out[9];
    assert_true(principal_components(&la, out, 3, x, 3, 1));
    for (size_t i = 0; i < 3; i++) {
        assert_float_equal(out[3 * i], (double)x[i] - 7.0 / 3, 1e-6);
        assert_float_equal(out[3 * i + 1], 0, 0);
        assert_float_equal(out[3 * i + 2], 0, 0);
    }
}

/* CIE 1976 L*, of sRGB: another measure than the one that the colours are made by. */
static double lightness_of(const uint8_t rgb[3]) {
    static const double weight[] = {0.2126, 0.7152, 0.0722};
    double y = 0;
    for (size_t c = 0; c < 3; c++) {
        double v = rgb[c] / 255.0;
        y += weight[c] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static void test_colours_grow_lighter_evenly(void **state) {
    (void)state;
    enum { STEPS = 16 };
    double last = -1, ends[2];
    uint8_t rgb[3];
    palette_colour(rgb, 0);
    ends[0] = lightness_of(rgb);
    palette_colour(rgb, 1);
    ends[1] = lightness_of(rgb);
    assert_true(ends[0] < 12 && ends[1] > 85);
    for (size_t i = 0; i <= STEPS; i++) {
        palette_colour(rgb, (double)i / STEPS);
        double lightness = lightness_of(rgb);
        if (i && !(lightness - last > 0.5 * (ends[1] - ends[0]) / STEPS &&
                   lightness - last < 1.5 * (ends[1] - ends[0]) / STEPS))
            fail_msg("step %zu: from L* %.2f to %.2f", i, last, lightness);
        last = lightness;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_directions),
        cmocka_unit_test(test_fewer_directions),
        cmocka_unit_test(test_colours_grow_lighter_evenly),
    };
    return cmocka_run_group_tests_name("principal components", tests, NULL, NULL);
}
