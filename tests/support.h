/* SPDX-License-Identifier: MIT
 *
 * What several test programs need. Include before anything else: cmocka wants its headers in this
 * order.
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

/* A file of a golden case: of "hf_vit", which is one of golden's, or of "golden-pairs/NAME". Valid
 * as long as data_path's. */
const char *case_path(const char *golden_case, const char *file);

/* A JSON file that must be there. */
json_t *load_json(const char *path);

/* The golden cases of cases.json and families.json, one array. */
json_t *load_golden_cases(void);

/* The F32 tensor of that name, whose data `file` owns; fails the test when there is none. */
const vt_tensor *f32_tensor(const vt_tensor_file *file, const char *name);

/* Fixtures of a group whose tests write files: *state is the path of an empty folder of its own,
 * and the folder goes with all in it when the group ends, also after a failure. */
int create_temp_dir(void **state);
int remove_temp_dir(void **state);

/* "directory/name". Valid until the fifth call after this one. */
const char *path_in(const char *directory, const char *name);

/* Whole files; any failure fails the test. read_bytes' block is the caller's to free. */
unsigned char *read_bytes(const char *path, size_t *size);
void write_bytes(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);
void write_json(const char *path, const json_t *json);
void copy_file(const char *from, const char *to);

/* A checkpoint that a test may change before it writes it: the tensors of a golden case, whose data
 * `file` owns, and its configuration. */
enum { MAX_TEST_TENSORS = 128 };
typedef struct test_model {
    const char *name; /* of the case */
    vt_tensor_file *file;
    vt_tensor tensors[MAX_TEST_TENSORS];
    size_t count;
    json_t *config;
} test_model;
void load_test_model(test_model *model, const char *golden_case);
void free_test_model(test_model *model);
/* Writes config.json, model.safetensors and, where the case has one, preprocessor_config.json. */
void write_test_model(const test_model *model, const char *directory);

/* A deterministic generator (xorshift64*): the same numbers on every machine. */
typedef struct test_random {
    uint64_t state; /* not 0 */
} test_random;
uint64_t random_bits(test_random *random);
size_t random_below(test_random *random, size_t limit);
/* Uniform in [-1, 1). */
void random_floats(test_random *random, float *out, size_t n);

/* Elements of a tensor. */
size_t tensor_elements(const vt_tensor *tensor);

/* The largest |a - b|; a NaN on one side alone counts as infinite. */
double max_difference(const float *a, const float *b, size_t n);

/* Fails the test, naming `what`, the difference and the tolerance, when they differ by more. */
void expect_close(const char *what, const float *found, const float *expected, size_t n,
                  double tolerance);

#endif
