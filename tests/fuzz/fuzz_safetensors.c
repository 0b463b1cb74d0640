/* SPDX-License-Identifier: MIT
 *
 * A safetensors file. An input that begins with '{' is a header and, after a NUL, data: what
 * announces the header's length is put in front, so that changes go to what is inside.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static const char *header_first(fuzz_input input) {
    const fuzz_input header = fuzz_part(&input);
    const size_t size = 8 + header.size + input.size;
    uint8_t *bytes = malloc(size);
    fuzz_check(bytes != NULL, "memory");
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)header.size >> 8 * i);
    memcpy(bytes + 8, header.data, header.size);
    if (input.size)
        memcpy(bytes + 8 + header.size, input.data, input.size);
    const char *path = fuzz_file(bytes, size);
    free(bytes);
    return path;
}

static void check_tensor(const vt_tensor_file *file, const vt_tensor *tensor) {
    size_t bytes = vt_dtype_size(tensor->dtype);
    fuzz_check(tensor->ndim <= VT_MAX_DIMS, "no more dimensions than there is room for");
    for (size_t i = 0; i < tensor->ndim; i++)
        bytes *= tensor->shape[i];
    fuzz_check(bytes == tensor->size, "a tensor has the bytes of its shape");
    fuzz_touch(tensor->data, tensor->size);
    fuzz_check(vt_tensor_file_find(file, tensor->name) == tensor, "a tensor is found by name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_error err = {0};
    vt_tensor_file *file;
    const char *path =
        size && data[0] == '{' ? header_first((fuzz_input){data, size}) : fuzz_file(data, size);
    if (!fuzz_ok(vt_tensor_file_open(&file, path, &err), &err))
        return 0;
    for (size_t i = 0; i < vt_tensor_file_count(file); i++)
        check_tensor(file, vt_tensor_file_at(file, i));
    vt_tensor_file_close(file);
    return 0;
}
