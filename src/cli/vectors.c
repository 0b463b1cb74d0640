/* SPDX-License-Identifier: MIT */
#include "vectors.h"

#include <math.h>

void scale_to_unit(float *vector, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)vector[i] * (double)vector[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(sum));
}

bool all_finite(const float *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}
