/* SPDX-License-Identifier: MIT
 *
 * What makes probabilities of a classifier's outputs: softmax(scale * outputs), with the scale that
 * makes the classes of samples that it was not fitted to most likely (temperature scaling, Guo et
 * al. 2017).
 */
#ifndef CLI_CALIBRATE_H
#define CLI_CALIBRATE_H

#include <stddef.h>

#define LEAST_SCALE 1.0
#define MOST_SCALE 1e8

/* What was predicted of samples by a fit without them. */
typedef struct held_out {
    const double *outputs;  /* [count][num_classes] */
    const size_t *class_of; /* [count] */
    const double *weight;   /* [count]; 0: not to be looked at */
    size_t count, num_classes;
} held_out;

typedef struct calibration {
    double scale; /* LEAST_SCALE to MOST_SCALE; the former where no sample has a weight */
    double loss;  /* the mean of -log of the probability of a sample's class; 0 without samples */
} calibration;

/* Where all samples are predicted rightly, no scale would be too large. They are therefore taken
 * for one wrong answer more than there are, as in Laplace's rule of succession: of each sample
 * 1 / (number + 1) is taken to be of a class drawn by lot. The search begins at
 * `start`, and ends when the scale is known to `precision` of itself. */
calibration calibrate(const held_out *samples, double start, double precision);

/* In place. */
void softmax(double *values, size_t count);

#endif
