/* SPDX-License-Identifier: MIT
 *
 * The kernels that go along one row: every table that this processor can run, the scalar one
 * included, against functions in double, over all tails, and against torch's results. gemm is in
 * test_linear.c.
 */
#include <stdio.h>

#include "kernel_check.h"
#include "kernels/peak.h"

/* ---- tables -------------------------------------------------------------------------------- */

static void test_select(void **state) {
    (void)state;
    const vt_kernels *kernels;
    vt_error err = {0};
    assert_int_equal(vt_kernels_select(&kernels, NULL, &err), VT_OK);
    assert_ptr_equal(kernels, vt_kernels_at(0));
    size_t count = 0;
    for (const vt_kernels *each; (each = vt_kernels_at(count)) != NULL; count++) {
        assert_int_equal(vt_kernels_select(&kernels, each->name, &err), VT_OK);
        assert_ptr_equal(kernels, each);
    }
    assert_string_equal(vt_kernels_at(count - 1)->name, "scalar");
    assert_int_equal(vt_kernels_select(&kernels, "mmx", &err), VT_ERR_ARGUMENT);
    assert_null(kernels);
#if defined(__x86_64__)
    assert_int_equal(vt_kernels_select(&kernels, "neon", &err), VT_ERR_UNSUPPORTED);
#else
    assert_int_equal(vt_kernels_select(&kernels, "avx2", &err), VT_ERR_UNSUPPORTED);
#endif
}

/* ---- rows ---------------------------------------------------------------------------------- */

enum { MAX_ROW = 4096 };

/* Every length up to a few vectors, then the widths that models have. */
static size_t next_length(size_t n) {
    return n < 70 ? n + 1 : n < 192 ? 192 : n < 768 ? 768 : n < 1000 ? 1000 : MAX_ROW;
}

static void check_sums(const vt_kernels *kernels, size_t n) {
    fenced x = fenced_floats(n), y = fenced_floats(n);
    fill_random(x.data, n, 1);
    fill_random(y.data, n, 2);
    double dot = 0, largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        dot += (double)x.data[i] * y.data[i];
        largest = fmax(largest, x.data[i]);
    }
    double tolerance = n < 100 ? 2e-6 : 2e-5;
    assert_close(kernels->dot(x.data, y.data, n), dot, tolerance, "dot", (double)n);
    assert_true(kernels->max(x.data, n) == (float)largest);
    x.data[n - 1] = 7;
    assert_true(kernels->max(x.data, n) == 7);
    for (size_t i = 0; i < n; i++) /* a tail of zeros would be the largest */
        x.data[i] = -1 - (float)i;
    assert_true(kernels->max(x.data, n) == -1);
    kernels->axpy(y.data, x.data, 0.5f, n);
    kernels->scale(x.data, 3, n);
    float before[MAX_ROW];
    fill_random(before, n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_close(y.data[i], before[i] - 0.5 - 0.5 * (double)i, 1e-7 * (double)(i + 4), "axpy",
                     (double)i);
        assert_close(x.data[i], -3 - 3 * (double)i, 0, "scale", (double)i);
    }
    fenced_free(&x);
    fenced_free(&y);
}

static void check_norms(const vt_kernels *kernels, size_t n, bool with_bias) {
    fenced x = fenced_floats(n), y = fenced_floats(n), w = fenced_floats(n), b = fenced_floats(n);
    const double eps = (double)1e-6f;
    double mean = 0, var = 0, square = 0;
    fill_random(x.data, n, n);
    fill_random(w.data, n, 8);
    fill_random(b.data, n, 9);
    for (size_t i = 0; i < n; i++) {
        x.data[i] += 0.75f;
        mean += x.data[i] / (double)n;
        square += (double)x.data[i] * x.data[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        var += (x.data[i] - mean) * (x.data[i] - mean) / (double)n;
    kernels->layer_norm(y.data, x.data, w.data, with_bias ? b.data : NULL, n, 1e-6f);
    for (size_t i = 0; i < n; i++)
        assert_close(y.data[i],
                     (x.data[i] - mean) / sqrt(var + eps) * w.data[i] + (with_bias ? b.data[i] : 0),
                     1e-6, "layer_norm", (double)n);
    kernels->rms_norm(y.data, x.data, w.data, n, 1e-6f);
    for (size_t i = 0; i < n; i++)
        assert_close(y.data[i], x.data[i] / sqrt(square + eps) * w.data[i], 1e-6, "rms_norm",
                     (double)n);
    memcpy(y.data, x.data, n * sizeof(float)); /* in place */
    kernels->rms_norm(y.data, y.data, w.data, n, 1e-6f);
    kernels->layer_norm(x.data, x.data, w.data, NULL, n, 1e-6f);
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(x.data[i]) && isfinite(y.data[i]));
    fenced_free(&x);
    fenced_free(&y);
    fenced_free(&w);
    fenced_free(&b);
}

static void test_rows(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (size_t n = 1;; n = next_length(n)) {
            check_sums(kernels, n);
            check_norms(kernels, n, n % 2);
            if (n == MAX_ROW)
                break;
        }
}

/* A row far from zero: E[x^2] - E[x]^2 in F32 would lose all of its variance. */
static void test_layer_norm_offset(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        float x[1024], y[1024], w[1024];
        for (size_t i = 0; i < 1024; i++) {
            x[i] = 4096 + (float)(i % 2);
            w[i] = 1;
        }
        kernels->layer_norm(y, x, w, NULL, 1024, 0);
        for (size_t i = 0; i < 1024; i++)
            assert_close(y[i], i % 2 ? 1 : -1, 1e-6, "layer_norm", (double)i);
    }
}

static void check_exp_sum(const vt_kernels *kernels, float shift) {
    enum { COUNT = 12345 };
    static float x[COUNT], before[COUNT];
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++)
        before[i] = x[i] = shift - 110 * (float)i / (COUNT - 1);
    x[17] = before[17] = -INFINITY;
    x[COUNT - 1] = before[COUNT - 1] = -INFINITY;
    x[18] = before[18] = -FLT_MAX;
    float result = kernels->exp_sum(x, shift, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        double from = before[i] - shift, expected = exp(from); /* rounded as the kernel does */
        sum += expected;
        if (from <= -104)
            assert_true(x[i] == 0);
        else if (from >= -86.9) /* 2 ulp */
            assert_close(x[i], expected, 1.5e-7 * expected, "exp", from);
        else /* about to be subnormal: may be zero */
            assert_true(x[i] == 0 || fabs(x[i] - expected) <= 1.5e-7 * expected + 1e-45);
    }
    assert_close(result, sum, 1e-6 * sum, "exp_sum", shift);
}

static void test_exp_sum(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        check_exp_sum(kernels, 0);
        check_exp_sum(kernels, 3.25f);
        for (size_t n = 1; n < 70; n++) {
            fenced x = fenced_floats(n);
            memset(x.data, 0, n * sizeof(float));
            assert_true(kernels->exp_sum(x.data, 0, n) == (float)n);
            fenced_free(&x);
        }
        float unknown[40] = {0};
        unknown[3] = unknown[37] = NAN;
        assert_true(isnan(kernels->exp_sum(unknown, 0, 40)));
        assert_true(unknown[0] == 1 && isnan(unknown[3]) && isnan(unknown[37]));
    }
}

/* ---- activations --------------------------------------------------------------------------- */

/* Multiples of 1/1024 in [-20, 20], then what is special. */
static size_t fill_grid(float *x) {
    static const float special[] = {0.0f,     -0.0f,   1e-30f,   -1e-30f,   1e-42f, 5.5f, -5.5f,
                                    5.50001f, -5.6f,   88.8f,    -88.8f,    104,    -104, 1e10f,
                                    -1e10f,   FLT_MAX, INFINITY, -INFINITY, NAN};
    size_t n = 0;
    for (int i = -20480; i <= 20480; i++)
        x[n++] = (float)i / 1024;
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        x[n++] = special[i];
    return n;
}

static void check_activation(const vt_kernels *kernels, vt_activation act) {
    static float x[41000], y[41000], z[41000];
    size_t n = fill_grid(x);
    memcpy(y, x, n * sizeof *x);
    memcpy(z, x, n * sizeof *x);
    kernels->activate(y, n, act);
    kernels->activate_mul(z, x, n, act);
    for (size_t i = 0; i < n; i++) {
        double expected = activation(x[i], act);
        if (act == VT_ACT_GELU_TANH && x[i] <= -1e10f) /* its cube overflows; the limit is 0 */
            expected = isinf(x[i]) ? NAN : 0;
        double tolerance = 5e-7 * fmax(1, fabs(x[i]));
        if (x[i] < -30 && isfinite(x[i]))
            tolerance = 1e-10; /* the limits are exact: an error times 1e10 would be large */
        assert_close(y[i], expected, tolerance, kernels->name, x[i]);
        assert_close(z[i], y[i] * x[i], 0, "activate_mul", x[i]);
    }
}

static void test_activations(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (int act = VT_ACT_NONE; act < VT_ACT_COUNT; act++)
            check_activation(kernels, (vt_activation)act);
}

/* The epilogue and activate at every tail, against the same function a float at a time. */
static void check_epilogue_tails(const vt_kernels *kernels, vt_activation act, size_t n) {
    fenced x = fenced_floats(n), y = fenced_floats(n), operands[3];
    for (size_t i = 0; i < 3; i++) {
        operands[i] = fenced_floats(n);
        fill_random(operands[i].data, n, 20 + i);
    }
    fill_random(x.data, n, n);
    const float *bias = operands[0].data, *scale = operands[1].data, *addend = operands[2].data;
    kernels->epilogue(y.data, x.data, n, bias, act, scale, addend);
    for (size_t i = 0; i < n; i++)
        assert_close(y.data[i], activation(x.data[i] + bias[i], act) * scale[i] + addend[i], 5e-7,
                     "epilogue", (double)i);
    kernels->activate(x.data, n, act);
    fill_random(y.data, n, n);
    for (size_t i = 0; i < n; i++)
        assert_close(x.data[i], activation(y.data[i], act), 5e-7, "activate", (double)i);
    fenced_free(&x);
    fenced_free(&y);
    for (size_t i = 0; i < 3; i++)
        fenced_free(&operands[i]);
}

static void test_epilogue_tails(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++)
        for (int act = VT_ACT_NONE; act < VT_ACT_COUNT; act++)
            for (size_t n = 1; n < 40; n++)
                check_epilogue_tails(kernels, (vt_activation)act, n);
}

/* ---- storage types ------------------------------------------------------------------------- */

/* (-1)^s 2^(e - bias) (1 + m / 2^bits), as IEEE 754 defines it */
static float decode(uint32_t word, int exponent_bits, int mantissa_bits) {
    int top = (1 << exponent_bits) - 1, bias = top >> 1;
    int exponent = (int)(word >> mantissa_bits) & top;
    double mantissa = word & ((1u << mantissa_bits) - 1), value;
    if (exponent == top)
        value = mantissa != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - bias - mantissa_bits);
    else
        value = ldexp(mantissa + (double)(1u << mantissa_bits), exponent - bias - mantissa_bits);
    return (float)(word >> 15 ? -value : value);
}

static void assert_same_bits(float actual, float expected, unsigned word) {
    uint32_t a, b;
    memcpy(&a, &actual, sizeof a);
    memcpy(&b, &expected, sizeof b);
    if (isnan(expected) ? !isnan(actual) : a != b)
        fail_msg("%04x: %08x, expected %08x", word, (unsigned)a, (unsigned)b);
}

static void test_storage_types(void **state) {
    (void)state;
    enum { COUNT = 65536 };
    static uint16_t words[COUNT];
    static float out[COUNT];
    const vt_kernels *kernels;
    for (size_t i = 0; i < COUNT; i++)
        words[i] = (uint16_t)i;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        kernels->f16_to_f32(out, words, COUNT);
        for (unsigned i = 0; i < COUNT; i++)
            assert_same_bits(out[i], decode(i, 5, 10), i);
        kernels->bf16_to_f32(out, words, COUNT);
        for (unsigned i = 0; i < COUNT; i++)
            assert_same_bits(out[i], decode(i, 8, 7), i);
        for (size_t n = 1; n < 40; n++) { /* tails */
            fenced tail = fenced_floats(n);
            kernels->f16_to_f32(tail.data, words + 15000, n);
            assert_same_bits(tail.data[n - 1], decode(14999 + (unsigned)n, 5, 10), (unsigned)n);
            kernels->bf16_to_f32(tail.data, words + 15000, n);
            assert_same_bits(tail.data[n - 1], decode(14999 + (unsigned)n, 8, 7), (unsigned)n);
            fenced_free(&tail);
        }
    }
}

/* Back to 16 bits: a value that has them keeps them; halfway between two it becomes the even one,
 * and beside that the nearer. */
static void check_narrowing(void (*narrow)(uint16_t *, const float *, size_t), int exponent_bits,
                            int mantissa_bits) {
    enum { NUM_FINITE = 0x7f80 }; /* at most, of one sign */
    static float values[4 * NUM_FINITE];
    static uint16_t expected[4 * NUM_FINITE], found[4 * NUM_FINITE];
    unsigned infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
        size_t count = 0;
        for (unsigned word = 0; word < infinity; word++) {
            float value = decode(word, exponent_bits, mantissa_bits);
            float next = decode(word + 1, exponent_bits, mantissa_bits);
            float half = word + 1 == infinity
                             ? (value - decode(word - 1, exponent_bits, mantissa_bits)) / 2
                             : (next - value) / 2;
            float middle = value + half;
            const float cases[] = {value, nextafterf(middle, 0), middle,
                                   nextafterf(middle, INFINITY)};
            const unsigned words[] = {word, word, word + (word & 1), word + 1};
            for (size_t i = 0; i < 4; i++, count++) {
                values[count] = sign ? -cases[i] : cases[i];
                expected[count] = (uint16_t)(sign | words[i]);
            }
        }
        narrow(found, values, count);
        for (size_t i = 0; i < count; i++)
            if (found[i] != expected[i])
                fail_msg("%.9g: %04x, expected %04x", (double)values[i], found[i], expected[i]);
        for (size_t n = 1; n < 40; n++) { /* tails */
            found[n] = 0x1234;
            narrow(found, values + 1000, n);
            assert_memory_equal(found, expected + 1000, n * sizeof *found);
            assert_int_equal(found[n], 0x1234);
        }
    }
    const float no_number = NAN;
    narrow(found, &no_number, 1);
    assert_true(isnan(decode(found[0], exponent_bits, mantissa_bits)));
}

static void test_narrowing(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        check_narrowing(kernels->f32_to_f16, 5, 10);
        check_narrowing(kernels->f32_to_bf16, 8, 7);
    }
}

/* ---- torch's results ----------------------------------------------------------------------- */

static const float *golden(const vt_tensor_file *file, const char *name, size_t count) {
    const vt_tensor *tensor = vt_tensor_file_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, VT_DTYPE_F32);
    assert_int_equal(tensor->size, count * sizeof(float));
    return tensor->data;
}

static void check_golden(const float *actual, const float *expected, size_t n, double relative,
                         const char *what) {
    for (size_t i = 0; i < n; i++)
        assert_close(actual[i], expected[i], 2e-6 + relative * fabs(expected[i]), what, (double)i);
}

static void check_golden_activations(const vt_kernels *kernels, const vt_tensor_file *file) {
    static const struct {
        const char *name;
        vt_activation act;
    } cases[] = {{"gelu", VT_ACT_GELU_ERF},      {"gelu_pytorch_tanh", VT_ACT_GELU_TANH},
                 {"gelu_new", VT_ACT_GELU_TANH}, {"quick_gelu", VT_ACT_GELU_QUICK},
                 {"silu", VT_ACT_SILU},          {"relu", VT_ACT_RELU},
                 {"tanh", VT_ACT_TANH}};
    enum { COUNT = 489 };
    const float *x = golden(file, "x", COUNT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float y[COUNT];
        memcpy(y, x, sizeof y);
        kernels->activate(y, COUNT, cases[i].act);
        check_golden(y, golden(file, cases[i].name, COUNT), COUNT, 2e-7, cases[i].name);
    }
}

static void check_golden_norms(const vt_kernels *kernels, const vt_tensor_file *file) {
    enum { ROWS = 5, COLS = 37 };
    static const char *const eps_names[] = {"1e-12", "1e-06", "1e-05"};
    static const float eps[] = {1e-12f, 1e-6f, 1e-5f};
    const float *x = golden(file, "norm_x", ROWS * COLS);
    const float *w = golden(file, "norm_w", COLS), *b = golden(file, "norm_b", COLS);
    float layer[ROWS * COLS], rms[ROWS * COLS], soft[ROWS * COLS];
    for (size_t e = 0; e < 3; e++) {
        char name[40];
        for (size_t r = 0; r < ROWS; r++) {
            kernels->layer_norm(layer + r * COLS, x + r * COLS, w, b, COLS, eps[e]);
            kernels->rms_norm(rms + r * COLS, x + r * COLS, w, COLS, eps[e]);
        }
        snprintf(name, sizeof name, "layer_norm_f64.%s", eps_names[e]);
        check_golden(layer, golden(file, name, ROWS * COLS), ROWS * COLS, 2e-6, name);
        snprintf(name, sizeof name, "rms_norm.%s", eps_names[e]);
        check_golden(rms, golden(file, name, ROWS * COLS), ROWS * COLS, 2e-6, name);
    }
    memcpy(soft, x, sizeof soft);
    for (size_t r = 0; r < ROWS; r++) {
        float *row = soft + r * COLS;
        float sum = kernels->exp_sum(row, kernels->max(row, COLS), COLS);
        kernels->scale(row, 1 / sum, COLS);
    }
    check_golden(soft, golden(file, "softmax", ROWS * COLS), ROWS * COLS, 1e-6, "softmax");
}

static void test_golden(void **state) {
    (void)state;
    vt_tensor_file *file;
    vt_error err = {0};
    const vt_kernels *kernels;
    if (vt_tensor_file_open(&file, VT_TEST_DATA "/golden/primitives/ops.safetensors", &err))
        fail_msg("%s", err.message);
    for (size_t t = 0; (kernels = table_at(t)) != NULL; t++) {
        check_golden_activations(kernels, file);
        check_golden_norms(kernels, file);
    }
    vt_tensor_file_close(file);
}

/* The sums go to y / (1 - x) = 1, each its own way, and the operations are counted. */
static void test_multiply_add(void **state) {
    const vt_kernels *kernels;
    (void)state;
    for (size_t i = 0; (kernels = table_at(i)) != NULL; i++) {
        float early, late;
        size_t once = kernels->multiply_add(&early, 1);
        assert_true(once >= 16 && once % 8 == 0);
        assert_int_equal(kernels->multiply_add(&late, 200000), 200000 * once);
        assert_float_equal(late, (float)once / 2, 0.02 * (double)once);
        assert_true(early != late);
    }
}

/* Every thread takes part, also where there are more threads than processors. */
static void test_peak(void **state) {
    const vt_kernels *kernels;
    (void)state;
    for (size_t i = 0; (kernels = table_at(i)) != NULL; i++) {
        for (size_t threads = 1; threads <= 3; threads += 2) {
            vt_pool *pool;
            assert_int_equal(vt_pool_create(&pool, threads, NULL), VT_OK);
            double peak = vt_kernels_peak(kernels, pool);
            assert_true(isfinite(peak) && peak > 0);
            vt_pool_destroy(pool);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_layer_norm_offset),
        cmocka_unit_test(test_exp_sum),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_epilogue_tails),
        cmocka_unit_test(test_storage_types),
        cmocka_unit_test(test_narrowing),
        cmocka_unit_test(test_multiply_add),
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
