/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"

json_t *json_text(const char *text) {
    char *clean = text_clean(text ? text : "", TEXT_UTF8);
    json_t *value = json_string(clean);
    free(clean);
    return value;
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
