/* SPDX-License-Identifier: MIT
 *
 * NumPy's .npy, version 1.0: magic, a Python dictionary padded with spaces to a multiple of 64
 * bytes, the data. Source: numpy, lib/format.py (NEP 1).
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/outfile.h"

enum { HEADER_ALIGNMENT = 64, PREAMBLE = 10 };

/* The element type as NumPy writes it; NULL where it has none. */
static const char *type_code(vt_dtype dtype) {
    static const char *const codes[] = {
        [VT_DTYPE_F64] = "<f8", [VT_DTYPE_F32] = "<f4", [VT_DTYPE_F16] = "<f2",
        [VT_DTYPE_I64] = "<i8", [VT_DTYPE_I32] = "<i4", [VT_DTYPE_I16] = "<i2",
        [VT_DTYPE_I8] = "|i1",  [VT_DTYPE_U64] = "<u8", [VT_DTYPE_U32] = "<u4",
        [VT_DTYPE_U16] = "<u2", [VT_DTYPE_U8] = "|u1",  [VT_DTYPE_BOOL] = "|b1",
    };
    return (size_t)dtype < sizeof codes / sizeof codes[0] ? codes[dtype] : NULL;
}

/* The whole header; returns its length. 512 bytes hold the longest: eight dimensions of twenty
 * digits. */
static size_t make_header(char out[512], const vt_tensor *tensor, const char *code) {
    static const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char shape[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < tensor->ndim; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu, ", tensor->shape[i]);
    int text = snprintf(out + PREAMBLE, 512 - PREAMBLE,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", code, shape);
    size_t length = PREAMBLE + (size_t)text + 1;
    length = (length + HEADER_ALIGNMENT - 1) / HEADER_ALIGNMENT * HEADER_ALIGNMENT;
    memset(out + PREAMBLE + text, ' ', length - PREAMBLE - (size_t)text - 1);
    out[length - 1] = '\n';
    memcpy(out, magic, sizeof magic);
    out[8] = (char)((length - PREAMBLE) & 0xff);
    out[9] = (char)((length - PREAMBLE) >> 8);
    return length;
}

vt_status vt_npy_write(const char *path, const vt_tensor *tensor, vt_error *err) {
    char header[512];
    const char *code = type_code(tensor->dtype);
    if (!code || tensor->ndim > VT_MAX_DIMS)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: .npy has no %s", path,
                       vt_dtype_name(tensor->dtype));
    vt_outfile out;
    vt_status status = vt_outfile_open(&out, path, err);
    if (status)
        return status;
    vt_outfile_write(&out, header, make_header(header, tensor, code));
    vt_outfile_write(&out, tensor->data, tensor->size);
    return vt_outfile_close(&out, err);
}
