/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifndef VT_TEST_DATA
#error "VT_TEST_DATA must name the folder of the test data"
#endif

void expect_ok(vt_status status, const vt_error *err) {
    if (status != VT_OK)
        fail_msg("%s: %s", vt_status_name(status), err->message);
}

const char *data_path(const char *part, ...) {
    static char paths[3][1024];
    static size_t turn;
    char *path = paths[turn++ % 3];
    size_t used = (size_t)snprintf(path, sizeof paths[0], "%s", VT_TEST_DATA);
    va_list parts;
    va_start(parts, part);
    for (; part; part = va_arg(parts, const char *))
        used += (size_t)snprintf(path + used, sizeof paths[0] - used, "/%s", part);
    va_end(parts);
    return path;
}

json_t *load_json(const char *path) {
    json_error_t where;
    json_t *json = json_load_file(path, 0, &where);
    if (!json)
        fail_msg("%s: line %d: %s", path, where.line, where.text);
    return json;
}

const vt_tensor *f32_tensor(const vt_tensor_file *file, const char *name) {
    const vt_tensor *tensor = vt_tensor_file_find(file, name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    assert_int_equal(tensor->dtype, VT_DTYPE_F32);
    return tensor;
}

size_t tensor_elements(const vt_tensor *tensor) {
    size_t elements = 1;
    for (size_t i = 0; i < tensor->ndim; i++)
        elements *= tensor->shape[i];
    return elements;
}

double max_difference(const float *a, const float *b, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (isnan(difference) && !(isnan(a[i]) && isnan(b[i])))
            return INFINITY;
        largest = fmax(largest, isnan(difference) ? 0 : difference);
    }
    return largest;
}

void expect_close(const char *what, const float *found, const float *expected, size_t n,
                  double tolerance) {
    double difference = max_difference(found, expected, n);
    if (!(difference <= tolerance))
        fail_msg("%s: largest difference %.3g, tolerance %.3g", what, difference, tolerance);
}
