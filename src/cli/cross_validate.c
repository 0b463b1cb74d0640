/* SPDX-License-Identifier: MIT */
#include "cross_validate.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose.h"

size_t largest(const double *values, size_t count) {
    size_t best = 0;
    for (size_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

/* Cuts each class, in the order of its samples, into runs; classes begin with different parts, or
 * those of few samples would all be in the first. */
static size_t *assign_parts(const ridge_data *data, size_t num_parts) {
    size_t *part = allocate(data->count, sizeof *part);
    size_t *sizes = allocate(data->num_classes, sizeof *sizes);
    size_t *seen = allocate(data->num_classes, sizeof *seen);
    for (size_t i = 0; i < data->count; i++)
        sizes[data->class_of[i]]++;
    for (size_t i = 0; i < data->count; i++) {
        size_t k = data->class_of[i];
        part[i] = (seen[k]++ * num_parts / sizes[k] + k) % num_parts;
    }
    free(seen);
    free(sizes);
    return part;
}

/* All samples but those of one part; the caller frees x and class_of. */
static ridge_data without(const ridge_data *all, const size_t *part, size_t left_out, float **x,
                          size_t **class_of) {
    ridge_data some = {
        .width = all->width, .num_classes = all->num_classes, .step = all->step, .user = all->user};
    *x = allocate(all->count * all->width, sizeof **x);
    *class_of = allocate(all->count, sizeof **class_of);
    for (size_t i = 0; i < all->count; i++)
        if (part[i] != left_out) {
            memcpy(*x + some.count * all->width, all->x + i * all->width, all->width * sizeof **x);
            (*class_of)[some.count++] = all->class_of[i];
        }
    some.x = *x;
    some.class_of = *class_of;
    return some;
}

static const char *predict_part(size_t *predicted, const ridge_data *data, const size_t *part,
                                size_t which, const lapack *la) {
    float *x;
    size_t *class_of;
    ridge fit;
    double *outputs = allocate(data->num_classes, sizeof *outputs);
    ridge_data others = without(data, part, which, &x, &class_of);
    const char *wrong = ridge_fit(&fit, &others, la);
    for (size_t i = 0; i < data->count && !wrong; i++)
        if (part[i] == which) {
            ridge_apply(&fit, outputs, data->x + i * data->width);
            predicted[i] = largest(outputs, data->num_classes);
        }
    ridge_free(&fit);
    free(outputs);
    free(class_of);
    free(x);
    return wrong;
}

const char *cross_validate(size_t *predicted, const ridge_data *data, size_t num_parts,
                           const lapack *la) {
    const char *wrong = NULL;
    size_t *part = assign_parts(data, num_parts);
    for (size_t which = 0; which < num_parts && !wrong; which++)
        wrong = predict_part(predicted, data, part, which, la);
    free(part);
    return wrong;
}
