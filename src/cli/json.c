/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "text.h"

json_t *json_text(const char *text) {
    char *clean = text_clean(text ? text : "", TEXT_UTF8);
    json_t *value = json_string(clean);
    free(clean);
    return value;
}

void json_set_path(json_t *object, const char *path) {
    json_t *image = json_text(path);
    bool is_exact = strcmp(json_string_value(image), path) == 0;
    json_object_set_new(object, "image", image);
    if (is_exact)
        return;
    char *encoded = text_to_base64(path);
    json_object_set_new(object, "image_base64", json_string(encoded));
    free(encoded);
}

char *json_get_path(const json_t *object) {
    const char *encoded = json_string_value(json_object_get(object, "image_base64"));
    const char *image = json_string_value(json_object_get(object, "image"));
    if (encoded)
        return text_from_base64(encoded);
    return image ? duplicate(image) : NULL;
}

json_t *json_number(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

json_t *json_sizes(const size_t *sizes, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer((json_int_t)sizes[i]));
    return list;
}

void json_print(json_t *value) {
    json_dumpf(value, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(value);
}

void json_print_failure(const char *path, const char *reason) {
    json_t *line = json_object();
    json_set_path(line, path);
    json_object_set_new(line, "error", json_text(reason));
    json_print(line);
}
