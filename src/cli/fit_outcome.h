/* SPDX-License-Identifier: MIT
 *
 * What `fit` found, and how it is shown: as text, as JSON, as a picture.
 */
#ifndef CLI_FIT_OUTCOME_H
#define CLI_FIT_OUTCOME_H

#include <jansson.h>

#include "album.h"
#include "features.h"
#include "ridge.h"

/* A picture that the classifier was asked for when it was fitted to all others. */
typedef struct left_out_picture {
    size_t index;     /* in the album */
    size_t predicted; /* the best class */
    size_t other;     /* the best class but its own */
    double own_score, other_score;
    double
        margin; /* of its own class's output over the other's: less than 0 where it is mistaken */
} left_out_picture;

typedef struct fit_outcome {
    const char *head, *model; /* paths */
    const album *album;
    const features *features;
    const ridge *fit;
    size_t input_height, input_width;
    left_out_picture *pictures; /* [count], in the order of the album */
    left_out_picture *unsure;   /* [count], the smallest margin first */
    size_t *confusion;          /* [num_classes][num_classes]: row, the folder; column, predicted */
    size_t *sizes;              /* [num_classes]: pictures */
    double left_out_accuracy;   /* share of the pictures */
    double class_accuracy;      /* the mean of the classes' shares */
    size_t num_parts;           /* of the cross-validation; 0: none */
    double parts_accuracy;
    double features_ms, fit_ms;
    size_t num_unsure; /* to be shown */
} fit_outcome;

/* Fills everything from `pictures` to `class_accuracy` from what is before them. */
void fit_outcome_count(fit_outcome *o);
void fit_outcome_free(fit_outcome *o);

void fit_print_text(const fit_outcome *o);
void fit_print_json(const fit_outcome *o);

/* What a head tells of how it was made. */
json_t *fit_about(const fit_outcome *o);

/* The confusion as a picture, drawn by gnuplot: a name that ends with .png or .svg. Returns an exit
 * code, having complained. */
int fit_draw_confusion(const fit_outcome *o, const char *path);
bool fit_can_draw(const char *path);

#endif
