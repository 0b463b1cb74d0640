/* SPDX-License-Identifier: MIT
 *
 * Grids of vectors resampled as torch does it, under every rule and between many sizes, and
 * position tables as timm resizes them, through the cache that sessions share.
 */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/interpolate.h"
#include "nn/position.h"

static double tolerance_of(const char *file) {
    json_t *index = load_json(data_path("golden", "primitives", "index.json", NULL));
    double tolerance =
        json_number_value(json_object_get(json_object_get(index, file), "suggested_atol"));
    json_decref(index);
    assert_true(tolerance > 0);
    return tolerance;
}

static vt_tensor_file *open_goldens(const char *name) {
    vt_tensor_file *file;
    vt_error err = {0};
    const char *path = data_path("golden", "primitives", name, NULL);
    expect_ok(vt_tensor_file_open(&file, path, &err), &err);
    return file;
}

/* ---- the rules ------------------------------------------------------------------------------- */

static const struct {
    const char *golden;
    vt_pos_resize rule;
    size_t cases; /* a golden that nothing compares would not be missed otherwise */
} rules[] = {
    {"bicubic", VT_POS_RESIZE_BICUBIC, 20},
    {"bicubic_aa", VT_POS_RESIZE_BICUBIC_ANTIALIAS, 20},
    {"bicubic_ac", VT_POS_RESIZE_BICUBIC_CORNERS, 20},
    {"bicubic_scale_offset01", VT_POS_RESIZE_BICUBIC_OFFSET, 17},
    {"bilinear", VT_POS_RESIZE_BILINEAR, 20},
    {"bilinear_aa", VT_POS_RESIZE_BILINEAR_ANTIALIAS, 20},
    {"bilinear_ac", VT_POS_RESIZE_BILINEAR_CORNERS, 20},
};
enum { NUM_RULES = sizeof rules / sizeof rules[0] };

/* [channels][pixels] to [pixels][channels], and back with the two counts swapped. */
static float *transpose(const float *in, size_t rows, size_t columns) {
    float *out = malloc(rows * columns * sizeof *out);
    assert_non_null(out);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            out[c * rows + r] = in[r * columns + c];
    return out;
}

static void compare_golden(const vt_tensor_file *file, const vt_tensor *expected, const char *sizes,
                           vt_pos_resize rule, double tolerance) {
    char input_name[64];
    vt_error err = {0};
    snprintf(input_name, sizeof input_name, "in.%.*s", (int)strcspn(sizes, "."), sizes);
    const vt_tensor *input = f32_tensor(file, input_name);
    size_t channels = input->shape[1], in_h = input->shape[2], in_w = input->shape[3];
    size_t out_h = expected->shape[2], out_w = expected->shape[3];
    float *in = transpose(input->data, channels, in_h * in_w);
    float *out = malloc(channels * out_h * out_w * sizeof *out);
    assert_non_null(out);
    expect_ok(vt_interpolate(out, in, in_h, in_w, out_h, out_w, channels, rule, &err), &err);
    float *planes = transpose(out, out_h * out_w, channels);
    expect_close(expected->name, planes, expected->data, channels * out_h * out_w, tolerance);
    free(planes);
    free(out);
    free(in);
}

static void check_rule(size_t r) {
    size_t compared = 0, length = strlen(rules[r].golden);
    double tolerance = tolerance_of("interp.safetensors");
    vt_tensor_file *file = open_goldens("interp.safetensors");
    const vt_tensor *tensor;
    for (size_t i = 0; (tensor = vt_tensor_file_at(file, i)) != NULL; i++) {
        if (strncmp(tensor->name, rules[r].golden, length) != 0 || tensor->name[length] != '.')
            continue;
        compare_golden(file, tensor, tensor->name + length + 1, rules[r].rule, tolerance);
        compared++;
    }
    assert_int_equal(compared, rules[r].cases);
    vt_tensor_file_close(file);
}

/* Weights that sum to 1 keep a constant grid constant; no tap lies outside the input. */
static void check_axis(size_t in, size_t out, vt_pos_resize rule) {
    vt_resample_axis axis;
    vt_error err = {0};
    expect_ok(vt_resample_axis_create(&axis, in, out, rule, &err), &err);
    assert_int_equal(axis.out_size, out);
    for (size_t i = 0; i < out; i++) {
        double sum = 0;
        assert_true(axis.taps[i] >= 1 && axis.taps[i] <= axis.max_taps);
        assert_true(axis.first[i] + axis.taps[i] <= in);
        for (size_t t = 0; t < axis.taps[i]; t++)
            sum += axis.weights[i * axis.max_taps + t];
        if (!(sum > 1 - 1e-12 && sum < 1 + 1e-12))
            fail_msg("%s: %zu to %zu: weights of %zu sum to %.17g", vt_pos_resize_name(rule), in,
                     out, i, sum);
    }
    vt_resample_axis_free(&axis);
}

static void test_weights_sum_to_one_at_any_size(void **state) {
    (void)state;
    for (size_t r = 0; r < NUM_RULES; r++)
        for (size_t in = 1; in <= 40; in++)
            for (size_t out = 1; out <= 90; out++)
                check_axis(in, out, rules[r].rule);
}

static void test_names_of_rules(void **state) {
    (void)state;
    for (int i = 0; i < VT_POS_RESIZE_COUNT; i++)
        assert_int_equal(vt_pos_resize_from_name(vt_pos_resize_name((vt_pos_resize)i)), i);
    assert_int_equal(vt_pos_resize_from_name("nearest"), VT_POS_RESIZE_COUNT);
    assert_non_null(vt_pos_resize_name(VT_POS_RESIZE_COUNT));
}

/* ---- the cache ------------------------------------------------------------------------------- */

enum { GRID = 6, WIDTH = 8 };

static vt_pos_cache *open_cache(const vt_tensor_file *file, size_t num_prefix,
                                const float **table) {
    char name[32];
    vt_pos_cache *cache;
    vt_error err = {0};
    snprintf(name, sizeof name, "table.p%zu", num_prefix);
    *table = f32_tensor(file, name)->data;
    const vt_pos_table native = {.table = *table,
                                 .num_prefix = num_prefix,
                                 .grid_h = GRID,
                                 .grid_w = GRID,
                                 .width = WIDTH,
                                 .rule = VT_POS_RESIZE_BICUBIC_ANTIALIAS};
    expect_ok(vt_pos_cache_create(&cache, &native, &err), &err);
    return cache;
}

static const float *get(vt_pos_cache *cache, size_t grid_h, size_t grid_w) {
    const float *table = NULL;
    vt_error err = {0};
    expect_ok(vt_pos_cache_get(cache, &table, grid_h, grid_w, &err), &err);
    return table;
}

static void test_tables_as_timm_resizes_them(void **state) {
    (void)state;
    static const size_t prefixes[] = {0, 1, 5};
    static const size_t grids[][2] = {{6, 6}, {9, 9}, {4, 9}, {12, 3}, {3, 3}, {36, 1}};
    double tolerance = tolerance_of("timm_abs_pos.safetensors");
    vt_tensor_file *file = open_goldens("timm_abs_pos.safetensors");
    for (size_t p = 0; p < 3; p++) {
        const float *native;
        vt_pos_cache *cache = open_cache(file, prefixes[p], &native);
        for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++) {
            size_t h = grids[g][0], w = grids[g][1], rows = prefixes[p] + h * w;
            char name[48];
            snprintf(name, sizeof name, "resampled.p%zu.%zux%zu", prefixes[p], h, w);
            const vt_tensor *expected = f32_tensor(file, name);
            const float *found = get(cache, h, w);
            assert_int_equal(tensor_elements(expected), rows * WIDTH);
            /* timm leaves a table alone when the number of tokens fits, whatever the shape: its
             * callers never ask for that. Prefix rows are the native ones bit for bit. */
            expect_close(name, found, expected->data, rows * WIDTH, tolerance);
            assert_memory_equal(found, native, prefixes[p] * WIDTH * sizeof *native);
        }
        vt_pos_cache_destroy(cache);
    }
    vt_tensor_file_close(file);
}

static void test_cache_gives_the_same_table_again(void **state) {
    (void)state;
    const float *native;
    vt_tensor_file *file = open_goldens("timm_abs_pos.safetensors");
    vt_pos_cache *cache = open_cache(file, 1, &native);
    assert_ptr_equal(get(cache, GRID, GRID), native);
    const float *first = get(cache, 9, 4), *second = get(cache, 4, 9);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(get(cache, 9, 4), first);
    assert_ptr_equal(get(cache, 4, 9), second);
    assert_ptr_equal(get(cache, GRID, GRID), native);
    vt_pos_cache_destroy(cache);
    vt_pos_cache_destroy(NULL);
    vt_tensor_file_close(file);
}

static void test_a_grid_too_large_for_memory(void **state) {
    (void)state;
    const float *native, *table = NULL;
    vt_error err = {0};
    vt_tensor_file *file = open_goldens("timm_abs_pos.safetensors");
    vt_pos_cache *cache = open_cache(file, 1, &native);
    assert_int_equal(vt_pos_cache_get(cache, &table, SIZE_MAX / 2, 3, &err), VT_ERR_LIMIT);
    assert_int_equal(vt_pos_cache_get(cache, &table, SIZE_MAX / WIDTH, 1, &err), VT_ERR_LIMIT);
    /* Its floats can be counted, its bytes not: as good as out of memory. */
    assert_int_equal(vt_pos_cache_get(cache, &table, SIZE_MAX / WIDTH / 2, 1, &err), VT_ERR_MEMORY);
    assert_ptr_equal(get(cache, GRID, GRID), native);
    vt_pos_cache_destroy(cache);
    vt_tensor_file_close(file);
}

enum { NUM_THREADS = 4, NUM_SIZES = 24 };

typedef struct getter {
    vt_pos_cache *cache;
    size_t thread;
    const float *tables[NUM_SIZES];
    size_t failures;
} getter;

/* Each thread asks for the same grids in another order: the steps have no factor in common with 24.
 * */
static void *get_all(void *argument) {
    static const size_t steps[NUM_THREADS] = {1, 5, 7, 11};
    getter *self = argument;
    for (size_t repeat = 0; repeat < 20; repeat++) {
        for (size_t i = 0; i < NUM_SIZES; i++) {
            size_t size = (i * steps[self->thread] + self->thread) % NUM_SIZES;
            const float *table;
            if (vt_pos_cache_get(self->cache, &table, 2 + size / 5, 3 + size % 5, NULL) != VT_OK ||
                (self->tables[size] && self->tables[size] != table))
                self->failures++;
            self->tables[size] = table;
        }
    }
    return NULL;
}

static void test_cache_from_several_threads(void **state) {
    (void)state;
    const float *native;
    getter getters[NUM_THREADS];
    pthread_t threads[NUM_THREADS];
    vt_tensor_file *file = open_goldens("timm_abs_pos.safetensors");
    vt_pos_cache *cache = open_cache(file, 5, &native), *alone = open_cache(file, 5, &native);
    for (size_t t = 0; t < NUM_THREADS; t++) {
        getters[t] = (getter){.cache = cache, .thread = t};
        assert_int_equal(pthread_create(&threads[t], NULL, get_all, &getters[t]), 0);
    }
    for (size_t t = 0; t < NUM_THREADS; t++)
        pthread_join(threads[t], NULL);
    for (size_t i = 0; i < NUM_SIZES; i++) {
        size_t h = 2 + i / 5, w = 3 + i % 5;
        assert_memory_equal(getters[0].tables[i], get(alone, h, w), (5 + h * w) * WIDTH * 4);
        for (size_t t = 0; t < NUM_THREADS; t++)
            assert_ptr_equal(getters[t].tables[i], getters[0].tables[i]);
    }
    for (size_t t = 0; t < NUM_THREADS; t++)
        assert_int_equal(getters[t].failures, 0);
    vt_pos_cache_destroy(alone);
    vt_pos_cache_destroy(cache);
    vt_tensor_file_close(file);
}

static void test_bicubic(void **state) {
    (void)state;
    check_rule(0);
}

static void test_bicubic_antialias(void **state) {
    (void)state;
    check_rule(1);
}

static void test_bicubic_corners(void **state) {
    (void)state;
    check_rule(2);
}

static void test_bicubic_offset(void **state) {
    (void)state;
    check_rule(3);
}

static void test_bilinear(void **state) {
    (void)state;
    check_rule(4);
}

static void test_bilinear_antialias(void **state) {
    (void)state;
    check_rule(5);
}

static void test_bilinear_corners(void **state) {
    (void)state;
    check_rule(6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bicubic),
        cmocka_unit_test(test_bicubic_antialias),
        cmocka_unit_test(test_bicubic_corners),
        cmocka_unit_test(test_bicubic_offset),
        cmocka_unit_test(test_bilinear),
        cmocka_unit_test(test_bilinear_antialias),
        cmocka_unit_test(test_bilinear_corners),
        cmocka_unit_test(test_weights_sum_to_one_at_any_size),
        cmocka_unit_test(test_names_of_rules),
        cmocka_unit_test(test_tables_as_timm_resizes_them),
        cmocka_unit_test(test_cache_gives_the_same_table_again),
        cmocka_unit_test(test_a_grid_too_large_for_memory),
        cmocka_unit_test(test_cache_from_several_threads),
    };
    return cmocka_run_group_tests_name("interpolation", tests, NULL, NULL);
}
