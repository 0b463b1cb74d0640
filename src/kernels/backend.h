/* SPDX-License-Identifier: MIT
 *
 * Who multiplies the matrices of linear layers, where it is not this library: OpenBLAS or oneDNN,
 * each where it was found when the library was built. A vt_packed remembers its backend, and
 * vt_pack_rows, vt_linear and vt_packed_free go by that. A NULL backend is the kernels of this
 * library.
 */
#ifndef VT_KERNELS_BACKEND_H
#define VT_KERNELS_BACKEND_H

#include "base/cpu.h"
#include "kernels/linear.h"

/* A matrix to be made: W[n][k]. Where 0 < split < n, rows [0, split) and [split, n) may be asked
 * for apart (vt_linear_args.first and .count); other ranges may not. */
typedef struct vt_matrix_spec {
    vt_storage storage;
    size_t n, k, split;
} vt_matrix_spec;

typedef struct vt_backend {
    const char *name; /* "blas", "onednn" */
    bool (*takes)(vt_storage storage);
    vt_status (*create)(vt_packed *out, const vt_kernels *kernels, const vt_matrix_spec *spec,
                        vt_error *err);
    void (*pack_rows)(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                      size_t rows);
    /* All rows are there: brings them into the layout that products read. */
    vt_status (*finish)(vt_packed *packed, vt_error *err);
    void (*destroy)(void *state);
    /* Bytes of scratch memory for each row of X. */
    size_t (*row_scratch)(const vt_packed *weight);
    vt_status (*linear)(const vt_kernels *kernels, vt_pool *pool, const vt_packed *weight,
                        const vt_linear_args *args, const vt_epilogue *epilogue);
} vt_backend;

/* Those compiled in; NULL past the end. */
const vt_backend *vt_backend_at(size_t index);

/* What the caller asked for. */
typedef struct vt_backend_choice {
    bool automatic;
    const vt_backend *named; /* unless automatic */
} vt_backend_choice;

/* "auto" (or NULL), "native", "blas" or "onednn". VT_ERR_UNSUPPORTED when that was not compiled in,
 * VT_ERR_ARGUMENT for any other name. */
vt_status vt_backend_parse(vt_backend_choice *out, const char *name, vt_error *err);

/* Who multiplies matrices of that storage. Automatically: oneDNN for BF16 and INT8 where the
 * processor multiplies tiles of those (AMX) and `kernels` are its fastest; OpenBLAS for F32 where
 * there are no vector kernels for the processor; else this library. */
const vt_backend *vt_backend_for(const vt_backend_choice *choice, const vt_kernels *kernels,
                                 vt_storage storage);

/* The rule itself: the name of the backend that is best, compiled in or not. */
const char *vt_backend_best(const vt_cpu *cpu, bool fastest_kernels, bool vector_kernels,
                            vt_storage storage);

/* "native" for NULL. */
const char *vt_backend_name(const vt_backend *backend);

/* A matrix for vt_pack_rows, of a backend or (NULL) of this library; then, all rows packed, done.
 */
vt_status vt_backend_create(vt_packed *out, const vt_backend *backend, const vt_kernels *kernels,
                            const vt_matrix_spec *spec, vt_error *err);
vt_status vt_backend_finish(vt_packed *packed, vt_error *err);

/* The one of each, defined only where it was found. */
extern const vt_backend vt_backend_blas;
extern const vt_backend vt_backend_onednn;

#endif
