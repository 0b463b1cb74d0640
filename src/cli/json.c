/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdbool.h>
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

/* Jansson escapes what is below a space. A terminal acts on DEL and on C1 controls too, C2 80 to C2
 * 9F in UTF-8; outside of strings there are none. */
static int print_part(const char *part, size_t size, void *user) {
    bool *second = user; /* of a character that began with C2 */
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)part[i];
        if (*second && byte < 0xA0)
            printf("\\u%04x", byte);
        else if (*second)
            printf("\xC2%c", byte);
        else if (byte == 0x7F)
            printf("\\u007f");
        else if (byte != 0xC2)
            putchar(byte);
        *second = !*second && byte == 0xC2;
    }
    return 0;
}

void json_print(json_t *value) {
    bool second = false;
    json_dump_callback(value, print_part, &second, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(value);
}

void json_print_failure(const char *path, const char *reason) {
    json_t *line = json_object();
    json_set_path(line, path);
    json_object_set_new(line, "error", json_text(reason));
    json_print(line);
}
