/* SPDX-License-Identifier: MIT
 *
 * A checkpoint whose matrices are laid out for one kind of processor already, so that they are
 * mapped and used where they lie. It is a safetensors file:
 *
 *     vitrine.packed      U8, JSON: {"version", "kernels", "int8", "precision", "tensors"}
 *     vitrine.panels.#    U8, the matrices, in the order in which they are bound
 *     NAME                the checkpoint's other tensors, as they were
 *
 * "tensors" describes all of the checkpoint's tensors, {"name", "dtype", "shape"}; those that went
 * into matrices have no data here.
 */
#ifndef VT_FORMATS_PACKED_FILE_H
#define VT_FORMATS_PACKED_FILE_H

#include "vitrine.h"

#define VT_PACKED_FILE_NAME "packed.safetensors"

typedef struct vt_packed_file vt_packed_file;

/* What the matrices were laid out for. A file is only good for the same. */
typedef struct vt_packing {
    const char *kernels;   /* "avx512" */
    const char *int8;      /* the integer kernels' name, or NULL where no matrix is INT8 */
    const char *precision; /* "int8" or its like; NULL: as stored */
} vt_packing;

/* VT_ERR_UNSUPPORTED for a file of another version. */
vt_status vt_packed_file_open(vt_packed_file **out, const char *path, vt_error *err);
void vt_packed_file_close(vt_packed_file *file);

/* Strings belong to the file. */
const vt_packing *vt_packed_file_packing(const vt_packed_file *file);

/* The checkpoint's tensors, data NULL where it went into a matrix; NULL past the end, or when there
 * is none of that name. */
const vt_tensor *vt_packed_file_at(const vt_packed_file *file, size_t index);
const vt_tensor *vt_packed_file_find(const vt_packed_file *file, const char *name);

/* The matrices; NULL past the end. */
const vt_tensor *vt_packed_file_panels(const vt_packed_file *file, size_t index);

/* Of `tensors` those without data are only described; of `panels` the data and sizes count.
 * Replaces the file only when all is written. */
vt_status vt_packed_file_write(const char *path, const vt_packing *packing,
                               const vt_tensor *tensors, size_t num_tensors,
                               const vt_tensor *panels, size_t num_panels, vt_error *err);

#endif
