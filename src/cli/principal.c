/* SPDX-License-Identifier: MIT */
#include "principal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"

/* Rows that are centred at a time. */
enum { ROWS = 256 };

static double *mean_of(const float *x, size_t count, size_t width) {
    double *mean = allocate(width, sizeof *mean);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++)
            mean[j] += (double)x[i * width + j] / (double)count;
    return mean;
}

/* One triangle of the sum of (x - mean)(x - mean)'. */
static double *scatter_of(const lapack *la, const float *x, size_t count, size_t width,
                          const double *mean) {
    const double one = 1;
    int n = (int)width;
    double *scatter = allocate(width * width, sizeof *scatter);
    double *rows = allocate(ROWS * width, sizeof *rows);
    for (size_t first = 0; first < count; first += ROWS) {
        int k = (int)(count - first < ROWS ? count - first : ROWS);
        for (size_t i = 0; i < (size_t)k * width; i++)
            rows[i] = (double)x[first * width + i] - mean[i % width];
        la->dsyrk("U", "N", &n, &k, &one, rows, &n, &one, scatter, &n, 1, 1);
    }
    free(rows);
    return scatter;
}

static void fix_sign(double *direction, size_t width) {
    size_t largest = 0;
    for (size_t j = 1; j < width; j++)
        if (fabs(direction[j]) > fabs(direction[largest]))
            largest = j;
    const double sign = direction[largest] < 0 ? -1 : 1;
    for (size_t j = 0; j < width; j++)
        direction[j] *= sign;
}

static void project(float *out, size_t components, const float *x, size_t count, size_t width,
                    const double *mean, double *directions) {
    size_t found = components < width ? components : width;
    for (size_t c = 0; c < found; c++) {
        double *direction = directions + (width - 1 - c) * width;
        fix_sign(direction, width);
        for (size_t i = 0; i < count; i++) {
            double sum = 0;
            for (size_t j = 0; j < width; j++)
                sum += ((double)x[i * width + j] - mean[j]) * direction[j];
            out[i * components + c] = (float)sum;
        }
    }
}

bool principal_components(const lapack *la, float *out, size_t components, const float *x,
                          size_t count, size_t width) {
    double *mean = mean_of(x, count, width);
    double *scatter = scatter_of(la, x, count, width, mean);
    double *variances = allocate(width, sizeof *variances);
    memset(out, 0, count * components * sizeof *out);
    bool found = lapack_eigenvectors(la, scatter, variances, width);
    if (found)
        project(out, components, x, count, width, mean, scatter);
    free(variances);
    free(scatter);
    free(mean);
    return found;
}
