/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

json_t *load_golden_cases(void) {
    static const char *const files[] = {"cases.json", "families.json"};
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        json_t *file = load_json(data_path("golden", files[i], NULL));
        json_array_extend(all, json_object_get(file, "cases"));
        json_decref(file);
    }
    return all;
}

const vt_tensor *f32_tensor(const vt_tensor_file *file, const char *name) {
    const vt_tensor *tensor = vt_tensor_file_find(file, name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    assert_int_equal(tensor->dtype, VT_DTYPE_F32);
    return tensor;
}

int create_temp_dir(void **state) {
    const char *root = getenv("TMPDIR");
    char *path = malloc(1024);
    if (!path)
        return -1;
    snprintf(path, 1024, "%s/vitrine-test-XXXXXX", root && *root ? root : "/tmp");
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

int remove_temp_dir(void **state) {
    char *path = *state;
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            remove(path_in(path, entry->d_name));
    if (directory)
        closedir(directory);
    int failed = rmdir(path);
    free(path);
    return failed;
}

const char *path_in(const char *directory, const char *name) {
    static char paths[5][2048];
    static size_t turn;
    char *path = paths[turn++ % 5];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

unsigned char *read_bytes(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail_msg("%s: cannot be read", path);
    long end = ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(end > 0 ? (size_t)end : 1);
    assert_non_null(bytes);
    *size = fread(bytes, 1, (size_t)end, file);
    fclose(file);
    assert_int_equal(*size, end);
    return bytes;
}

/* A file that replaces another is written to the disk at once by some file systems (ext4's
 * auto_da_alloc), which takes 20 ms; a new one is not. */
void write_bytes(const char *path, const void *bytes, size_t size) {
    remove(path);
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s: cannot be written", path);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void write_text(const char *path, const char *text) {
    write_bytes(path, text, strlen(text));
}

void write_json(const char *path, const json_t *json) {
    remove(path);
    if (json_dump_file(json, path, JSON_INDENT(2)) != 0)
        fail_msg("%s: cannot be written", path);
}

void copy_file(const char *from, const char *to) {
    size_t size;
    unsigned char *bytes = read_bytes(from, &size);
    write_bytes(to, bytes, size);
    free(bytes);
}

const char *case_path(const char *golden_case, const char *file) {
    return strchr(golden_case, '/') ? data_path(golden_case, file, NULL)
                                    : data_path("golden", golden_case, file, NULL);
}

void load_test_model(test_model *model, const char *golden_case) {
    vt_error err = {0};
    *model = (test_model){.name = golden_case};
    const char *path = case_path(golden_case, "model.safetensors");
    expect_ok(vt_tensor_file_open(&model->file, path, &err), &err);
    model->count = vt_tensor_file_count(model->file);
    assert_true(model->count > 0 && model->count < MAX_TEST_TENSORS);
    for (size_t i = 0; i < model->count; i++)
        model->tensors[i] = *vt_tensor_file_at(model->file, i);
    model->config = load_json(case_path(golden_case, "config.json"));
}

void free_test_model(test_model *model) {
    vt_tensor_file_close(model->file);
    json_decref(model->config);
    *model = (test_model){0};
}

void write_test_model(const test_model *model, const char *directory) {
    vt_error err = {0};
    const char *preprocessor = case_path(model->name, "preprocessor_config.json");
    const char *copy = path_in(directory, "preprocessor_config.json");
    remove(copy);
    if (access(preprocessor, F_OK) == 0)
        copy_file(preprocessor, copy);
    write_json(path_in(directory, "config.json"), model->config);
    remove(path_in(directory, "model.safetensors"));
    expect_ok(vt_tensor_file_write(path_in(directory, "model.safetensors"), model->tensors,
                                   model->count, &err),
              &err);
}

uint64_t random_bits(test_random *random) {
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(2685821657736338717);
}

size_t random_below(test_random *random, size_t limit) {
    return (size_t)((random_bits(random) >> 16) % limit);
}

void random_floats(test_random *random, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(random_bits(random) >> 40) / (float)(1 << 23) - 1.0f;
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
