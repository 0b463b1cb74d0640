/* SPDX-License-Identifier: MIT */
#include "calibrate.h"

#include <math.h>

void softmax(double *values, size_t count) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, values[i]);
    for (size_t i = 0; i < count; i++) {
        values[i] = exp(values[i] - most);
        sum += values[i];
    }
    for (size_t i = 0; i < count; i++)
        values[i] /= sum;
}

/* The loss at a scale, and its derivatives by that. */
typedef struct moments {
    double loss, slope, curvature;
} moments;

/* Adds a sample's. Outputs count from their largest: no exponential overflows, and the variance of
 * what is near it does not cancel. */
static void add_sample(moments *sum, const held_out *s, size_t index, double scale, double doubt) {
    const double *outputs = s->outputs + index * s->num_classes;
    double most = -INFINITY, all = 0, of_value = 0, of_square = 0, plain = 0;
    for (size_t k = 0; k < s->num_classes; k++)
        most = fmax(most, outputs[k]);
    for (size_t k = 0; k < s->num_classes; k++) {
        double value = outputs[k] - most, share = exp(scale * value);
        all += share;
        of_value += share * value;
        of_square += share * value * value;
        plain += value / (double)s->num_classes;
    }
    double mean = of_value / all;
    double wanted = (1 - doubt) * (outputs[s->class_of[index]] - most) + doubt * plain;
    sum->loss += s->weight[index] * (log(all) - scale * wanted);
    sum->slope += s->weight[index] * (mean - wanted);
    sum->curvature += s->weight[index] * (of_square / all - mean * mean);
}

static moments moments_at(const held_out *s, double scale, double doubt) {
    moments sum = {0};
    for (size_t i = 0; i < s->count; i++)
        if (s->weight[i] > 0)
            add_sample(&sum, s, i, scale, doubt);
    return sum;
}

/* The loss is convex in the scale: Newton's steps, and where one leads out of what is left, a half
 * of that. */
static calibration search(const held_out *samples, double start, double doubt, double precision) {
    enum { MOST_STEPS = 100 };
    double low = LEAST_SCALE, high = MOST_SCALE, scale = fmin(fmax(start, low), high);
    moments at = {0};
    for (size_t i = 0; i < MOST_STEPS; i++) {
        at = moments_at(samples, scale, doubt);
        *(at.slope >= 0 ? &high : &low) = scale;
        double step = -at.slope / at.curvature;
        if (fabs(step) <= precision * scale || high - low <= precision * low)
            break;
        scale += step;
        if (!(scale > low && scale < high))
            scale = sqrt(low * high);
    }
    return (calibration){scale, at.loss};
}

calibration calibrate(const held_out *samples, double start, double precision) {
    size_t used = 0;
    double weight = 0;
    calibration found = {.scale = LEAST_SCALE};
    for (size_t i = 0; i < samples->count; i++) {
        used += samples->weight[i] > 0;
        weight += samples->weight[i];
    }
    if (used) {
        found = search(samples, start, 1 / (double)(used + 1), precision);
        found.loss /= weight;
    }
    return found;
}
