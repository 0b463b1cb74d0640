/* SPDX-License-Identifier: MIT
 *
 * JSON values as this command writes them.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stddef.h>

/* A string; bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text);

/* A picture's path: the member "image", and beside it "image_base64", the bytes of the path, where
 * those are not UTF-8 and so are not all in "image". */
void json_set_path(json_t *object, const char *path);

/* That path again; NULL where the object has none, or is none. The caller frees it. */
char *json_get_path(const json_t *object);

/* Null where JSON has no number: infinities and NaN. */
json_t *json_number(double number);

json_t *json_sizes(const size_t *sizes, size_t count);

/* The line of a picture that gave no result: its path, and "error". */
void json_print_failure(const char *path, const char *reason);

/* Prints the value to standard output on one line, and releases it. */
void json_print(json_t *value);

#endif
