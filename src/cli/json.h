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

/* Null where JSON has no number: infinities and NaN. */
json_t *json_number(double number);

json_t *json_sizes(const size_t *sizes, size_t count);

/* Prints the value to standard output on one line, and releases it. */
void json_print(json_t *value);

#endif
