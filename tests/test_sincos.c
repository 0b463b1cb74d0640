/* SPDX-License-Identifier: MIT
 *
 * Tables of sines and cosines against those of transformers' ViTMAE and timm
 * (tests/data/golden/primitives/sincos.safetensors).
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/sincos.h"

/* "NAME.width.HxW" for all the sizes that the file has. */
static void check_layout(const char *name, vt_sincos_layout layout, double tolerance) {
    vt_error err = {0};
    vt_tensor_file *file;
    size_t tables = 0;
    expect_ok(vt_tensor_file_open(
                  &file, data_path("golden", "primitives", "sincos.safetensors", NULL), &err),
              &err);
    const vt_tensor *expected;
    for (size_t i = 0; (expected = vt_tensor_file_at(file, i)) != NULL; i++) {
        size_t width, height, columns, length = strlen(name);
        if (strncmp(expected->name, name, length) != 0 ||
            sscanf(expected->name + length, ".%zu.%zux%zu", &width, &height, &columns) != 3)
            continue;
        size_t n = height * columns * width;
        assert_int_equal(tensor_elements(expected), n);
        float *table = malloc(n * sizeof *table);
        assert_non_null(table);
        vt_sincos2d_fill(table, height, columns, width, 10000, layout);
        expect_close(expected->name, table, expected->data, n, tolerance);
        free(table);
        tables++;
    }
    assert_true(tables > 1);
    vt_tensor_file_close(file);
}

static void test_mae(void **state) {
    (void)state;
    check_layout("mae_2d", VT_SINCOS_MAE, 1e-6);
}

static void test_timm(void **state) {
    (void)state;
    check_layout("timm_sincos2d", VT_SINCOS_TIMM, 1e-6);
    check_layout("timm_sincos2d_interleaved", VT_SINCOS_TIMM_AXES, 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mae),
        cmocka_unit_test(test_timm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
