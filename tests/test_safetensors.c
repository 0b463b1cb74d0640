/* SPDX-License-Identifier: MIT
 *
 * The safetensors reader and writer: what is written comes back, and every way in which a file can
 * be malformed is refused with a line that names the file and the tensor.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FILE_NAME[] = "a.safetensors";

/* ---- files that are well-formed -------------------------------------------------------------- */

static void expect_same_tensor(const vt_tensor *found, const vt_tensor *expected) {
    assert_non_null(found);
    assert_string_equal(found->name, expected->name);
    assert_int_equal(found->dtype, expected->dtype);
    assert_int_equal(found->ndim, expected->ndim);
    for (size_t i = 0; i < expected->ndim; i++)
        assert_int_equal(found->shape[i], expected->shape[i]);
    assert_int_equal(found->size, expected->size);
    if (expected->size)
        assert_memory_equal(found->data, expected->data, expected->size);
}

/* Writes, reads back and compares, by position and by name. */
static void expect_round_trip(const char *directory, const vt_tensor *tensors, size_t count) {
    const char *path = path_in(directory, FILE_NAME);
    vt_tensor_file *file;
    vt_error err = {0};
    expect_ok(vt_tensor_file_write(path, tensors, count, &err), &err);
    expect_ok(vt_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(vt_tensor_file_count(file), count);
    for (size_t i = 0; i < count; i++) {
        expect_same_tensor(vt_tensor_file_find(file, tensors[i].name), &tensors[i]);
        assert_non_null(vt_tensor_file_at(file, i));
    }
    assert_null(vt_tensor_file_at(file, count));
    assert_null(vt_tensor_file_find(file, "no such tensor"));
    assert_null(vt_tensor_file_find(file, ""));
    vt_tensor_file_close(file);
}

static void test_every_dtype_comes_back(void **state) {
    static const unsigned char bytes[6 * 8] = "forty-eight bytes of no meaning, but not zeroes";
    vt_tensor tensors[VT_DTYPE_F8_E5M2 + 1];
    char names[VT_DTYPE_F8_E5M2 + 1][16];
    for (int i = 0; i <= VT_DTYPE_F8_E5M2; i++) {
        vt_dtype dtype = (vt_dtype)i;
        snprintf(names[i], sizeof names[i], "t.%s", vt_dtype_name(dtype));
        tensors[i] = (vt_tensor){names[i], dtype, 2, {2, 3}, bytes, 6 * vt_dtype_size(dtype)};
    }
    expect_round_trip(*state, tensors, VT_DTYPE_F8_E5M2 + 1);
}

/* Data of an odd length, so that what follows is not aligned; scalars; nothing at all; and names
 * that JSON has to escape. */
static void test_odd_shapes_and_names_come_back(void **state) {
    static const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const vt_tensor tensors[] = {
        {"three bytes", VT_DTYPE_U8, 1, {3}, values, 3},
        {"scalar", VT_DTYPE_F32, 0, {0}, values, 4},
        {"empty at first", VT_DTYPE_F32, 2, {0, 7}, values, 0},
        {"empty at last", VT_DTYPE_F32, 2, {7, 0}, values, 0},
        {"eight dimensions", VT_DTYPE_F32, 8, {1, 2, 1, 2, 1, 2, 1, 1}, values, 32},
        {"a \"quoted\" \\ name", VT_DTYPE_F32, 1, {2}, values, 8},
        {"t\xc3\xa9nseur", VT_DTYPE_F32, 1, {1}, values, 4},
    };
    expect_round_trip(*state, tensors, sizeof tensors / sizeof tensors[0]);
}

static void test_no_tensors_at_all(void **state) {
    expect_round_trip(*state, NULL, 0);
}

static void test_many_tensors(void **state) {
    enum { COUNT = 5000 };
    static char names[COUNT][24];
    static vt_tensor tensors[COUNT];
    static uint32_t values[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (uint32_t)i;
        snprintf(names[i], sizeof names[i], "tensor.%zu", i * 7919 % COUNT);
        tensors[i] = (vt_tensor){names[i], VT_DTYPE_U32, 1, {1}, &values[i], 4};
    }
    expect_round_trip(*state, tensors, COUNT);
}

static void test_tensors_are_in_the_order_of_their_data(void **state) {
    static const char header[] = "{\"z\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                                 "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]},"
                                 "\"m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                 "\"__metadata__\":{\"format\":\"pt\"}}";
    unsigned char bytes[8 + sizeof header - 1 + 3] = {sizeof header - 1};
    const char *path = path_in(*state, FILE_NAME);
    vt_tensor_file *file;
    vt_error err = {0};
    memcpy(bytes + 8, header, sizeof header - 1);
    write_bytes(path, bytes, sizeof bytes);
    expect_ok(vt_tensor_file_open(&file, path, &err), &err);
    assert_int_equal(vt_tensor_file_count(file), 3);
    assert_string_equal(vt_tensor_file_at(file, 0)->name, "m");
    assert_string_equal(vt_tensor_file_at(file, 1)->name, "z");
    assert_string_equal(vt_tensor_file_at(file, 2)->name, "a");
    vt_tensor_file_close(file);
}

/* ---- malformed headers ----------------------------------------------------------------------- */

/* Writes a file of that header and so many bytes of data. */
static void write_file(const char *path, uint64_t announced, const char *header, size_t data_size) {
    size_t length = strlen(header);
    unsigned char *bytes = calloc(8 + length + data_size, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(announced >> 8 * i);
    memcpy(bytes + 8, header, length);
    write_bytes(path, bytes, 8 + length + data_size);
    free(bytes);
}

static void expect_refused(const char *path, vt_status expected, const char *const *parts) {
    vt_tensor_file *file = (vt_tensor_file *)(uintptr_t)1;
    vt_error err = {0};
    vt_status status = vt_tensor_file_open(&file, path, &err);
    if (status != expected)
        fail_msg("expected %s (%s), found %s: %s", vt_status_name(expected), parts[0],
                 vt_status_name(status), err.message);
    assert_null(file);
    assert_int_equal(err.code, status);
    assert_null(strchr(err.message, '\n'));
    if (strncmp(err.message, path, strlen(path)) != 0)
        fail_msg("does not begin with the file's name: %s", err.message);
    for (size_t i = 0; i < 3 && parts[i]; i++)
        if (!strstr(err.message, parts[i]))
            fail_msg("\"%s\" is not in: %s", parts[i], err.message);
    /* And without a place for the message. */
    assert_int_equal(vt_tensor_file_open(&file, path, NULL), expected);
}

typedef struct bad_header {
    vt_status status;
    size_t data_size;
    const char *header;
    const char *parts[3]; /* of the message */
} bad_header;

#define ENTRY(dtype, shape, begin, end)                                                            \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const bad_header bad_headers[] = {
    {VT_ERR_FORMAT, 0, "", {"not a JSON object"}},
    {VT_ERR_FORMAT, 0, "\x80\x04}q\x01.", {"not a JSON object"}},
    {VT_ERR_FORMAT, 0, "{\"t\":", {"not a JSON object"}},
    {VT_ERR_FORMAT, 0, "[1, 2]", {"not a JSON object"}},
    {VT_ERR_FORMAT, 0, "12", {"not a JSON object"}},
    {VT_ERR_FORMAT, 0, "{} {}", {"not a JSON object"}},
    {VT_ERR_FORMAT,
     8,
     "{\"t\":" ENTRY("F32", "[1]", "0", "4") ",\"t\":" ENTRY("F32", "[1]", "4", "8") "}",
     {"duplicate", "t"}},
    {VT_ERR_FORMAT, 4, "{\"t\":[1]}", {"t: ", "dtype"}},
    {VT_ERR_FORMAT, 4, "{\"t\":null}", {"t: ", "dtype"}},
    {VT_ERR_FORMAT, 4, "{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}", {"t: ", "dtype"}},
    {VT_ERR_UNSUPPORTED, 4, "{\"t\":" ENTRY("F4", "[1]", "0", "4") "}", {"t: ", "F4"}},
    {VT_ERR_UNSUPPORTED, 4, "{\"t\":" ENTRY("f32", "[1]", "0", "4") "}", {"t: ", "f32"}},
    {VT_ERR_FORMAT, 4, "{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", {"t: ", "shape"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "1", "0", "4") "}", {"t: ", "shape"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[-1]", "0", "4") "}", {"t: ", "dimension 0"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1,1.0]", "0", "4") "}", {"t: ", "dimension 1"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1,\"1\"]", "0", "4") "}", {"t: ", "dimension 1"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[null]", "0", "4") "}", {"t: ", "dimension 0"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":" ENTRY("F32", "[9223372036854775807]", "0", "4") "}",
     {"t: ", "overflows"}},
    /* More than a json_int_t holds: the JSON parser is the one to say so. */
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[18446744073709551616]", "0", "4") "}", {"integer"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":" ENTRY("F32", "[8589934592,8589934592]", "0", "4") "}",
     {"t: ", "overflows"}},
    /* 2^62 elements of 4 bytes: only the size in bytes overflows, to 0. */
    {VT_ERR_FORMAT,
     0,
     "{\"t\":" ENTRY("F32", "[4611686018427387904]", "0", "0") "}",
     {"t: ", "overflows"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}",
     {"t: ", "8 dimensions"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[2]", "0", "4") "}", {"t: ", "8 bytes", "4"}},
    {VT_ERR_FORMAT, 8, "{\"t\":" ENTRY("F32", "[1]", "0", "8") "}", {"t: ", "4 bytes", "8"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1]", "0.0", "4") "}", {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1]", "-4", "0") "}", {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1]", "4", "0") "}", {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT, 4, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}",
     {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4}}",
     {"t: ", "data_offsets"}},
    {VT_ERR_FORMAT, 4, "{\"t\":" ENTRY("F32", "[1]", "4", "8") "}", {"t: ", "byte 8", "4 bytes"}},
    {VT_ERR_FORMAT, 8, "{\"t\":" ENTRY("F32", "[1]", "4", "8") "}", {"t: ", "a hole"}},
    {VT_ERR_FORMAT,
     8,
     "{\"t\":" ENTRY("U8", "[2]", "0", "2") ",\"u\":" ENTRY("U8", "[5]", "3", "8") "}",
     {"u: ", "a hole"}},
    {VT_ERR_FORMAT,
     8,
     "{\"t\":" ENTRY("U8", "[5]", "0", "5") ",\"u\":" ENTRY("U8", "[4]", "4", "8") "}",
     {"u: ", "overlap"}},
    {VT_ERR_FORMAT,
     4,
     "{\"t\":" ENTRY("F32", "[1]", "0", "4") ",\"u\":" ENTRY("F32", "[1]", "0", "4") "}",
     {"overlap"}},
    /* An empty tensor in the middle of another covers nothing twice, but its offset is still wrong.
     * */
    {VT_ERR_FORMAT,
     8,
     "{\"t\":" ENTRY("U8", "[8]", "0", "8") ",\"u\":" ENTRY("U8", "[0]", "4", "4") "}",
     {"u: ", "overlap"}},
    {VT_ERR_FORMAT, 9, "{\"t\":" ENTRY("U8", "[8]", "0", "8") "}", {"8 bytes", "9"}},
    {VT_ERR_FORMAT, 1, "{}", {"0 bytes", "1"}},
};

static void test_malformed_headers(void **state) {
    const char *path = path_in(*state, "bad.safetensors");
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        const bad_header *bad = &bad_headers[i];
        write_file(path, strlen(bad->header), bad->header, bad->data_size);
        expect_refused(path, bad->status, bad->parts);
    }
}

static void test_header_lengths_that_lie(void **state) {
    static const char header[] = "{\"t\":" ENTRY("F32", "[1]", "0", "4") "}";
    static const char *const parts[3] = {"header"};
    static const uint64_t lengths[] = {UINT64_C(1) << 60, UINT64_MAX, UINT64_MAX - 7, 100000001,
                                       sizeof header - 1 + 5};
    const char *path = path_in(*state, "bad.safetensors");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_file(path, lengths[i], header, 4);
        expect_refused(path, VT_ERR_FORMAT, parts);
    }
    for (uint64_t length = 0; length < sizeof header - 1; length++) {
        write_file(path, length, header, 4);
        expect_refused(path, VT_ERR_FORMAT, parts);
    }
}

/* As deep as a parser without a limit would follow it off its stack. */
static void test_deeply_nested_header(void **state) {
    enum { DEPTH = 1000000 };
    static char header[DEPTH + 1];
    static const char *const parts[3] = {"nested deeper than the limit"};
    const char *path = path_in(*state, "bad.safetensors");
    memset(header, '[', DEPTH);
    write_file(path, DEPTH, header, 0);
    expect_refused(path, VT_ERR_LIMIT, parts);
}

static void test_no_such_file(void **state) {
    static const char *const parts[3] = {"No such file"};
    expect_refused(path_in(*state, "none.safetensors"), VT_ERR_IO, parts);
}

/* ---- a real checkpoint, cut ------------------------------------------------------------------ */

/* The file without bytes [begin, end) is never taken for a whole one. */
static void expect_cut_refused(const char *path, const unsigned char *bytes, size_t size,
                               size_t begin, size_t end) {
    static const char *const no_parts[3] = {NULL};
    unsigned char *rest = malloc(size);
    assert_non_null(rest);
    memcpy(rest, bytes, begin);
    memcpy(rest + begin, bytes + end, size - end);
    write_bytes(path, rest, size - (end - begin));
    free(rest);
    vt_tensor_file *file;
    vt_error err = {0};
    vt_status status = vt_tensor_file_open(&file, path, &err);
    if (status == VT_ERR_UNSUPPORTED) /* "F32" lost a letter */
        expect_refused(path, VT_ERR_UNSUPPORTED, no_parts);
    else if (status != VT_OK)
        expect_refused(path, VT_ERR_FORMAT, no_parts);
    else
        fail_msg("bytes %zu to %zu cut out, and it opens", begin, end);
}

static void test_any_range_cut_out(void **state) {
    size_t size;
    test_random random = {1};
    const char *path = path_in(*state, "cut.safetensors");
    unsigned char *bytes =
        read_bytes(data_path("golden", "hf_vit_nobias", "model.safetensors", NULL), &size);
    size_t header = 8 + (size_t)bytes[0] + ((size_t)bytes[1] << 8);
    for (size_t i = 0; i < 40; i++) {
        size_t near = 1 + i, anywhere = 1 + random_below(&random, size - 1);
        expect_cut_refused(path, bytes, size, 0, near);
        expect_cut_refused(path, bytes, size, 0, anywhere);
        expect_cut_refused(path, bytes, size, size - near, size);
        expect_cut_refused(path, bytes, size, size - anywhere, size);
        expect_cut_refused(path, bytes, size, header - 20 + i, size);
    }
    for (size_t i = 0; i < 300; i++) {
        size_t limit = i % 2 ? size : header;
        size_t begin = random_below(&random, limit - 1);
        size_t end = begin + 1 + random_below(&random, limit - begin);
        expect_cut_refused(path, bytes, size, begin, end < size ? end : size);
    }
    free(bytes);
}

/* ---- writing what cannot be written ---------------------------------------------------------- */

static void expect_not_written(const char *path, vt_status expected, const vt_tensor *tensors,
                               size_t count, const char *part) {
    vt_error err = {0};
    vt_status status = vt_tensor_file_write(path, tensors, count, &err);
    if (status != expected)
        fail_msg("%s: expected %s, found %s: %s", part, vt_status_name(expected),
                 vt_status_name(status), err.message);
    if (!strstr(err.message, path) || !strstr(err.message, part))
        fail_msg("neither %s nor %s: %s", path, part, err.message);
}

/* What was there before stays there, and no half-written file is left beside it. */
static void test_failed_write_leaves_the_old_file(void **state) {
    static const float values[2] = {1, 2};
    const vt_tensor good = {"t", VT_DTYPE_F32, 1, {2}, values, 8};
    const vt_tensor twice[2] = {good, good};
    const vt_tensor not_utf8 = {"t\xff", VT_DTYPE_F32, 1, {2}, values, 8};
    const vt_tensor wrong_size = {"wrong", VT_DTYPE_F32, 1, {3}, values, 8};
    const char *path = path_in(*state, "old.safetensors");
    vt_tensor_file *file;
    vt_error err = {0};
    expect_ok(vt_tensor_file_write(path, &good, 1, &err), &err);
    expect_not_written(path, VT_ERR_ARGUMENT, twice, 2, "t");
    expect_not_written(path, VT_ERR_ARGUMENT, &not_utf8, 1, "UTF-8");
    expect_not_written(path, VT_ERR_ARGUMENT, &wrong_size, 1, "wrong");
    expect_ok(vt_tensor_file_open(&file, path, &err), &err);
    expect_same_tensor(vt_tensor_file_find(file, "t"), &good);
    vt_tensor_file_close(file);
    FILE *part = fopen(path_in(*state, "old.safetensors.part"), "rb");
    assert_null(part);
}

static void test_what_cannot_be_written(void **state) {
    (void)state;
    static const float one = 1;
    vt_tensor tensors[2] = {{"a", VT_DTYPE_F32, VT_MAX_DIMS + 1, {1}, &one, sizeof one},
                            {"b", VT_DTYPE_F32, 1, {1}, &one, sizeof one}};
    vt_error err = {0};
    assert_int_equal(vt_tensor_file_write("never", tensors, 2, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "never: a: 9 dimensions are more than 8");
    tensors[0].ndim = 1;
    tensors[0].shape[0] = 2;
    assert_int_equal(vt_tensor_file_write("never", tensors, 2, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "never: a: its 4 bytes are not what its shape takes");
    tensors[0].shape[0] = 1;
    tensors[0].name = "b";
    assert_int_equal(vt_tensor_file_write("never", tensors, 2, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "never: b: two tensors of that name");
    tensors[0].name = "\xff";
    assert_int_equal(vt_tensor_file_write("never", tensors, 2, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "never: tensor 0: its name is not UTF-8");
    assert_null(fopen("never", "rb"));
}

static void test_write_into_no_folder(void **state) {
    const char *path = path_in(*state, "none/x.safetensors");
    expect_not_written(path, VT_ERR_IO, NULL, 0, "No such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dtype_comes_back),
        cmocka_unit_test(test_odd_shapes_and_names_come_back),
        cmocka_unit_test(test_no_tensors_at_all),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_tensors_are_in_the_order_of_their_data),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_header_lengths_that_lie),
        cmocka_unit_test(test_deeply_nested_header),
        cmocka_unit_test(test_no_such_file),
        cmocka_unit_test(test_any_range_cut_out),
        cmocka_unit_test(test_failed_write_leaves_the_old_file),
        cmocka_unit_test(test_what_cannot_be_written),
        cmocka_unit_test(test_write_into_no_folder),
    };
    return cmocka_run_group_tests_name("safetensors", tests, create_temp_dir, remove_temp_dir);
}
