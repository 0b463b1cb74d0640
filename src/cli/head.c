/* SPDX-License-Identifier: MIT */
#include "head.h"

#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "diagnose.h"
#include "json.h"
#include "outfile.h"
#include "predictions.h"
#include "vectors.h"

static const char about_name[] = "vitrine.head";
enum { VERSION = 1 };

/* ---- writing ------------------------------------------------------------------------------------
 */

static char *about_text(const head *h, json_t *about_fit) {
    json_t *labels = json_array();
    for (size_t k = 0; k < h->num_classes; k++)
        json_array_append_new(labels, json_text(h->labels[k]));
    json_t *model =
        json_pack("{s:o, s:o, s:o}", "name", json_text(h->model.name), "outline",
                  json_text(h->model.outline), "matrices", json_text(h->model.matrices));
    json_t *about = json_pack(
        "{s:i, s:o, s:o, s:o, s:o}", "version", VERSION, "labels", labels, "input",
        h->input_height ? json_sizes((size_t[]){h->input_height, h->input_width}, 2) : json_null(),
        "model", model, "fit", about_fit);
    char *text = about ? json_dumps(about, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(about);
    return text;
}

int head_write(const head *h, json_t *about_fit, const char *path) {
    char *about = about_text(h, about_fit);
    if (!about) {
        complain(path, "out of memory");
        return EXIT_SOME_FAILED;
    }
    const vt_tensor tensors[] = {
        {.name = "weight",
         .dtype = VT_DTYPE_F32,
         .ndim = 2,
         .shape = {h->num_classes, h->width},
         .data = h->weight,
         .size = h->num_classes * h->width * sizeof(float)},
        {.name = "bias",
         .dtype = VT_DTYPE_F32,
         .ndim = 1,
         .shape = {h->num_classes},
         .data = h->bias,
         .size = h->num_classes * sizeof(float)},
        {.name = about_name,
         .dtype = VT_DTYPE_U8,
         .ndim = 1,
         .shape = {strlen(about)},
         .data = about,
         .size = strlen(about)},
    };
    int code = outfile_write_tensors(path, tensors, 3);
    free(about);
    return code;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool read_input(head *out, const json_t *input) {
    json_int_t height = json_integer_value(json_array_get(input, 0)),
               width = json_integer_value(json_array_get(input, 1));
    if (json_is_null(input))
        return true;
    out->input_height = (size_t)height;
    out->input_width = (size_t)width;
    return height > 0 && width > 0;
}

static bool read_about(head *out, const json_t *about) {
    const json_t *labels = json_object_get(about, "labels"),
                 *model = json_object_get(about, "model");
    if (json_array_size(labels) != out->num_classes)
        return false;
    out->labels = allocate(out->num_classes, sizeof *out->labels);
    for (size_t k = 0; k < out->num_classes; k++) {
        const char *label = json_string_value(json_array_get(labels, k));
        if (!label)
            return false;
        out->labels[k] = duplicate(label);
    }
    snprintf(out->model.name, sizeof out->model.name, "%s", text_of(model, "name"));
    snprintf(out->model.outline, sizeof out->model.outline, "%s", text_of(model, "outline"));
    snprintf(out->model.matrices, sizeof out->model.matrices, "%s", text_of(model, "matrices"));
    return read_input(out, json_object_get(about, "input"));
}

static float *copy_floats(const vt_tensor *tensor) {
    float *copy = allocate(tensor->size, 1);
    memcpy(copy, tensor->data, tensor->size);
    return copy;
}

/* NULL, or what is wrong. */
static const char *read_tensors(head *out, const vt_tensor_file *file) {
    static const char no_head[] = "expected what 'vitrine fit' wrote: weight [classes][width] and "
                                  "bias [classes] in F32, and vitrine.head";
    const vt_tensor *weight = vt_tensor_file_find(file, "weight");
    const vt_tensor *bias = vt_tensor_file_find(file, "bias");
    const vt_tensor *text = vt_tensor_file_find(file, about_name);
    if (!weight || !bias || !text || weight->dtype != VT_DTYPE_F32 || weight->ndim != 2 ||
        bias->dtype != VT_DTYPE_F32 || bias->ndim != 1 || bias->shape[0] != weight->shape[0] ||
        weight->size == 0)
        return no_head;
    out->num_classes = weight->shape[0];
    out->width = weight->shape[1];
    json_t *about = json_loadb(text->data, text->size, 0, NULL);
    json_int_t version = json_integer_value(json_object_get(about, "version"));
    bool good = version == VERSION && read_about(out, about);
    json_decref(about);
    if (version > VERSION)
        return "made by a newer vitrine";
    if (!good)
        return no_head;
    out->weight = copy_floats(weight);
    out->bias = copy_floats(bias);
    return all_finite(out->weight, out->num_classes * out->width) &&
                   all_finite(out->bias, out->num_classes)
               ? NULL
               : "its weights are not all numbers";
}

int head_read(head *out, const char *path) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    *out = (head){0};
    const char *wrong =
        vt_tensor_file_open(&file, path, &err) ? err.message : read_tensors(out, file);
    if (wrong)
        complain(path, wrong);
    vt_tensor_file_close(file);
    return wrong ? EXIT_MODEL : EXIT_DONE;
}

int head_check(const head *h, const char *path, const vt_model *model) {
    identity given;
    vt_model_info info;
    char message[640];
    vt_model_describe(&info, model);
    identity_of(&given, model);
    if (identity_same(&h->model, &given))
        return EXIT_DONE;
    snprintf(message, sizeof message,
             "fitted for %s %.8s/%.8s, and %.160s is %s %.8s/%.8s: give the model that it was "
             "fitted with (-m), or fit again",
             h->model.name, h->model.outline, h->model.matrices, info.path, given.name,
             given.outline, given.matrices);
    complain(path, message);
    return EXIT_MODEL;
}

int head_check_width(const head *h, const char *path, size_t width) {
    char message[128];
    if (h->width == width)
        return EXIT_DONE;
    snprintf(message, sizeof message, "for vectors of %zu, and the model's are of %zu", h->width,
             width);
    complain(path, message);
    return EXIT_MODEL;
}

void head_free(head *h) {
    for (size_t k = 0; h->labels && k < h->num_classes; k++)
        free(h->labels[k]);
    free(h->labels);
    free(h->weight);
    free(h->bias);
}

/* ---- using --------------------------------------------------------------------------------------
 */

const char *head_label(const void *h, size_t index) {
    return ((const head *)h)->labels[index];
}

void head_scores(const head *h, const float *pooled, double *scores) {
    for (size_t k = 0; k < h->num_classes; k++) {
        scores[k] = (double)h->bias[k];
        for (size_t j = 0; j < h->width; j++)
            scores[k] += (double)h->weight[k * h->width + j] * (double)pooled[j];
    }
    softmax(scores, h->num_classes);
}

size_t head_predict(const head *h, const float *pooled, vt_prediction *out, size_t most) {
    double *scores = allocate(h->num_classes, sizeof *scores);
    head_scores(h, pooled, scores);
    size_t count = predictions_best(out, most, scores, h->num_classes);
    free(scores);
    return count;
}
