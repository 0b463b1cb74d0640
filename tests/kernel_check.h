/* SPDX-License-Identifier: MIT
 *
 * What the tests of kernels share: arrays that end at a page that may not be touched, the same
 * random floats on every run, comparison within a tolerance, and the activations in double.
 */
#ifndef VT_TESTS_KERNEL_CHECK_H
#define VT_TESTS_KERNEL_CHECK_H

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"

static inline const vt_kernels *table_at(size_t index) {
    const vt_kernels *kernels = vt_kernels_at(index);
    if (kernels)
        print_message("  %s\n", kernels->name);
    return kernels;
}

/* `floats` floats, the last one just before an inaccessible page. */
typedef struct fenced {
    float *data;
    void *pages;
    size_t bytes;
} fenced;

static inline fenced fenced_floats(size_t floats) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (floats * sizeof(float) + page - 1) / page * page;
    fenced f = {.bytes = usable + page};
    f.pages = mmap(NULL, f.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(f.pages != MAP_FAILED);
    assert_int_equal(mprotect((char *)f.pages + usable, page, PROT_NONE), 0);
    f.data = (float *)(void *)((char *)f.pages + usable) - floats;
    return f;
}

static inline void fenced_free(fenced *f) {
    munmap(f->pages, f->bytes);
}

/* Uniform in [-1, 1), the same on every run. */
static inline float random_float(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 11) * 0x1p-52 - 1);
}

static inline void fill_random(float *x, size_t n, uint64_t seed) {
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(&state);
}

static const float untouched = 12345.678f;

static inline void fill_untouched(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = untouched;
}

/* |actual - expected| <= tolerance, or both NaN, or equal infinities. */
static inline void assert_close(double actual, double expected, double tolerance, const char *what,
                                double at) {
    if (isnan(actual) && isnan(expected))
        return;
    if (actual == expected || fabs(actual - expected) <= tolerance)
        return;
    fail_msg("%s at %.9g: %.9g, expected %.9g", what, at, actual, expected);
}

static inline double activation(double x, vt_activation act) {
    switch (act) {
    case VT_ACT_GELU_ERF:
        return x * 0.5 * erfc(-x * M_SQRT1_2);
    case VT_ACT_GELU_TANH:
        return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case VT_ACT_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    case VT_ACT_SILU:
        return x / (1 + exp(-x));
    case VT_ACT_RELU:
        return x < 0 ? 0 : x;
    case VT_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

#endif
