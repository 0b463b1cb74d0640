/* SPDX-License-Identifier: MIT */
#include "fit_outcome.h"

#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "cross_validate.h"
#include "diagnose.h"
#include "json.h"

static size_t best_but(const double *values, size_t count, size_t own) {
    size_t best = own == 0;
    for (size_t k = 0; k < count; k++)
        if (k != own && values[k] > values[best])
            best = k;
    return best;
}

static left_out_picture judge(const fit_outcome *o, size_t index, double *room) {
    size_t classes = o->album->num_classes, own = o->album->pictures[index].class_of;
    const double *outputs = o->fit->left_out + index * classes;
    left_out_picture p = {.index = index,
                          .predicted = largest(outputs, classes),
                          .other = best_but(outputs, classes, own)};
    p.margin = outputs[own] - outputs[p.other];
    for (size_t k = 0; k < classes; k++)
        room[k] = o->fit->scale * outputs[k];
    softmax(room, classes);
    p.own_score = room[own];
    p.other_score = room[p.other];
    return p;
}

static int compare_margins(const void *a, const void *b) {
    const left_out_picture *x = a, *y = b;
    if (x->margin != y->margin)
        return x->margin < y->margin ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void count_shares(fit_outcome *o) {
    size_t classes = o->album->num_classes, right = 0;
    for (size_t k = 0; k < classes; k++) {
        size_t of_class = o->confusion[k * classes + k];
        right += of_class;
        o->class_accuracy += (double)of_class / (double)o->sizes[k] / (double)classes;
    }
    o->left_out_accuracy = (double)right / (double)o->album->count;
}

void fit_outcome_count(fit_outcome *o) {
    size_t count = o->album->count, classes = o->album->num_classes;
    double *room = allocate(classes, sizeof *room);
    o->pictures = allocate(count, sizeof *o->pictures);
    o->unsure = allocate(count, sizeof *o->unsure);
    o->confusion = allocate(classes * classes, sizeof *o->confusion);
    o->sizes = allocate(classes, sizeof *o->sizes);
    for (size_t i = 0; i < count; i++) {
        size_t own = o->album->pictures[i].class_of;
        o->pictures[i] = judge(o, i, room);
        o->confusion[own * classes + o->pictures[i].predicted]++;
        o->sizes[own]++;
    }
    memcpy(o->unsure, o->pictures, count * sizeof *o->unsure);
    qsort(o->unsure, count, sizeof *o->unsure, compare_margins);
    count_shares(o);
    free(room);
}

void fit_outcome_free(fit_outcome *o) {
    free(o->sizes);
    free(o->confusion);
    free(o->unsure);
    free(o->pictures);
}

/* ---- JSON ---------------------------------------------------------------------------------------
 */

json_t *fit_about(const fit_outcome *o) {
    const ridge *fit = o->fit;
    json_t *about = json_pack("{s:I, s:f, s:f, s:f, s:f}", "pictures", (json_int_t)o->album->count,
                              "strength", fit->strength[fit->chosen], "lambda", fit->lambda,
                              "scale", fit->scale, "left_out_accuracy", o->left_out_accuracy);
    if (o->num_parts)
        json_object_set_new(about, "cross_validation",
                            json_pack("{s:I, s:f}", "parts", (json_int_t)o->num_parts, "accuracy",
                                      o->parts_accuracy));
    return about;
}

static json_t *json_classes(const fit_outcome *o) {
    size_t classes = o->album->num_classes;
    json_t *list = json_array();
    for (size_t k = 0; k < classes; k++)
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:f}", "label", json_text(o->album->classes[k]), "pictures",
                            (json_int_t)o->sizes[k], "left_out_accuracy",
                            (double)o->confusion[k * classes + k] / (double)o->sizes[k]));
    return list;
}

static json_t *json_confusion(const fit_outcome *o) {
    json_t *rows = json_array();
    for (size_t k = 0; k < o->album->num_classes; k++)
        json_array_append_new(
            rows, json_sizes(o->confusion + k * o->album->num_classes, o->album->num_classes));
    return rows;
}

static json_t *json_unsure(const fit_outcome *o) {
    json_t *list = json_array();
    for (size_t i = 0; i < o->num_unsure && i < o->album->count; i++) {
        const left_out_picture *p = &o->unsure[i];
        const album_picture *picture = &o->album->pictures[p->index];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:f, s:o, s:f}", "image", json_text(picture->path), "label",
                            json_text(o->album->classes[picture->class_of]), "score", p->own_score,
                            "other", json_text(o->album->classes[p->other]), "other_score",
                            p->other_score));
    }
    return list;
}

static json_t *json_strengths(const ridge *fit) {
    json_t *list = json_array();
    for (size_t i = 0; i < RIDGE_STRENGTHS; i++)
        json_array_append_new(list, json_pack("{s:f, s:f}", "strength", fit->strength[i],
                                              "left_out_loss", fit->loss[i]));
    return list;
}

void fit_print_json(const fit_outcome *o) {
    json_t *line = fit_about(o);
    json_object_set_new(line, "head", json_text(o->head));
    json_object_set_new(line, "folder", json_text(o->album->folder));
    json_object_set_new(line, "model", json_text(o->model));
    json_object_set_new(line, "input", json_sizes((size_t[]){o->input_height, o->input_width}, 2));
    json_object_set_new(line, "width", json_integer((json_int_t)o->features->width));
    json_object_set_new(line, "cached", json_integer((json_int_t)o->features->num_cached));
    json_object_set_new(line, "copies", json_integer((json_int_t)o->features->num_copies));
    json_object_set_new(line, "class_accuracy", json_number(o->class_accuracy));
    json_object_set_new(line, "classes", json_classes(o));
    json_object_set_new(line, "confusion", json_confusion(o));
    json_object_set_new(line, "unsure", json_unsure(o));
    json_object_set_new(line, "strengths", json_strengths(o->fit));
    json_object_set_new(line, "ms",
                        json_pack("{s:f, s:f}", "vectors", o->features_ms, "fit", o->fit_ms));
    json_print(line);
}
