/* SPDX-License-Identifier: MIT
 *
 * .npy files: what NumPy's own reader goes by (numpy, lib/format.py), for each type and shape.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vt_tensor tensor_of(vt_dtype dtype, const void *data, size_t count) {
    return (vt_tensor){.name = "x",
                       .dtype = dtype,
                       .ndim = 1,
                       .shape = {count},
                       .data = data,
                       .size = count * vt_dtype_size(dtype)};
}

/* The dictionary, whose end is where the data begin; the data are the tensor's. */
static void check_file(const char *path, const vt_tensor *tensor, const char *dictionary) {
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    assert_true(size > 10);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
    size_t header = 10 + bytes[8] + 256 * (size_t)bytes[9];
    assert_int_equal(header % 64, 0);
    assert_int_equal(size, header + tensor->size);
    assert_int_equal(bytes[header - 1], '\n');
    if (strncmp((char *)bytes + 10, dictionary, strlen(dictionary)) != 0)
        fail_msg("expected %s, found %.*s", dictionary, (int)(header - 10), (char *)bytes + 10);
    for (size_t i = 10 + strlen(dictionary); i < header - 1; i++)
        assert_int_equal(bytes[i], ' ');
    if (tensor->size)
        assert_memory_equal(bytes + header, tensor->data, tensor->size);
    free(bytes);
}

static void test_types(void **state) {
    static const struct {
        vt_dtype dtype;
        const char *code;
    } types[] = {
        {VT_DTYPE_F64, "<f8"}, {VT_DTYPE_F32, "<f4"}, {VT_DTYPE_F16, "<f2"}, {VT_DTYPE_I64, "<i8"},
        {VT_DTYPE_I32, "<i4"}, {VT_DTYPE_I16, "<i2"}, {VT_DTYPE_I8, "|i1"},  {VT_DTYPE_U64, "<u8"},
        {VT_DTYPE_U32, "<u4"}, {VT_DTYPE_U16, "<u2"}, {VT_DTYPE_U8, "|u1"},  {VT_DTYPE_BOOL, "|b1"},
    };
    static const unsigned char data[24] = {1, 2, 3, 250, 251, 252, 0, 7, 9};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char dictionary[128];
        vt_error err = {0};
        const char *path = path_in(*state, "x.npy");
        vt_tensor tensor = tensor_of(types[i].dtype, data, 3);
        expect_ok(vt_npy_write(path, &tensor, &err), &err);
        snprintf(dictionary, sizeof dictionary,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (3, ), }", types[i].code);
        check_file(path, &tensor, dictionary);
    }
}

/* No dimension is one number, and none at all an empty file but for its header. */
static void test_shapes(void **state) {
    static const float one = 1;
    vt_error err = {0};
    const char *path = path_in(*state, "x.npy");
    vt_tensor tensor = tensor_of(VT_DTYPE_F32, &one, 1);
    tensor.ndim = 0;
    expect_ok(vt_npy_write(path, &tensor, &err), &err);
    check_file(path, &tensor, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
    tensor.ndim = VT_MAX_DIMS;
    for (size_t i = 0; i < VT_MAX_DIMS; i++)
        tensor.shape[i] = 1;
    expect_ok(vt_npy_write(path, &tensor, &err), &err);
    check_file(path, &tensor,
               "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, ), }");
    tensor = tensor_of(VT_DTYPE_F32, &one, 0);
    expect_ok(vt_npy_write(path, &tensor, &err), &err);
    check_file(path, &tensor, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, ), }");
}

static void test_refusals(void **state) {
    static const unsigned char data[8];
    vt_error err = {0};
    const char *path = path_in(*state, "none.npy");
    vt_tensor tensor = tensor_of(VT_DTYPE_BF16, data, 4);
    assert_int_equal(vt_npy_write(path, &tensor, &err), VT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "none.npy: .npy has no BF16"));
    tensor = tensor_of(VT_DTYPE_F8_E5M2, data, 8);
    assert_int_equal(vt_npy_write(path, &tensor, &err), VT_ERR_UNSUPPORTED);
    tensor = tensor_of(VT_DTYPE_F32, data, 2);
    assert_int_equal(vt_npy_write(path_in(*state, "no/x.npy"), &tensor, &err), VT_ERR_IO);
    assert_null(fopen(path, "rb"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name(".npy", tests, create_temp_dir, remove_temp_dir);
}
