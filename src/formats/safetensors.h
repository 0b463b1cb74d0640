/* SPDX-License-Identifier: MIT
 *
 * What the library itself asks of a safetensors file, beside the public vt_tensor_file.
 */
#ifndef VT_FORMATS_SAFETENSORS_H
#define VT_FORMATS_SAFETENSORS_H

#include "vitrine.h"

/* vt_tensor_file_open of a file of a model's directory (vt_mapfile_open_stored). */
vt_status vt_tensor_file_open_stored(vt_tensor_file **out, const char *path, vt_error *err);

/* A tensor's data will not be needed soon (vt_mapfile_release). Nothing happens to a tensor of
 * another file. */
void vt_tensor_file_release(const vt_tensor_file *file, const vt_tensor *tensor);

#endif
