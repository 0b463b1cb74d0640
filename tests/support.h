/* SPDX-License-Identifier: MIT
 *
 * What several test programs need. Include before anything else: cmocka wants its headers in this order.
 */
#ifndef VT_TESTS_SUPPORT_H
#define VT_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "vitrine.h"

/* Fails the test, with the error's message, unless the status is VT_OK. */
void expect_ok(vt_status status, const vt_error *err);

/* VT_TEST_DATA/part1/part2…, the parts up to NULL. Valid until the third call after this one. */
const char *data_path(const char *part, ...);

/* A JSON file that must be there. */
json_t *load_json(const char *path);

/* The F32 tensor of that name, whose data `file` owns; fails the test when there is none. */
const vt_tensor *f32_tensor(const vt_tensor_file *file, const char *name);

/* Elements of a tensor. */
size_t tensor_elements(const vt_tensor *tensor);

/* The largest |a - b|; a NaN on one side alone counts as infinite. */
double max_difference(const float *a, const float *b, size_t n);

/* Fails the test, naming `what`, the difference and the tolerance, when they differ by more. */
void expect_close(const char *what, const float *found, const float *expected, size_t n,
                  double tolerance);

#endif
