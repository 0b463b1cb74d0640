/* SPDX-License-Identifier: MIT
 *
 * The weights of a linear layer, laid out for the micro-kernels once, when a model is opened.
 */
#ifndef VT_KERNELS_PACKED_H
#define VT_KERNELS_PACKED_H

#include "kernels/int8.h"
#include "kernels/kernels.h"

/* What a weight is kept as. Products with F16 and BF16 weights are computed in F32, those with INT8
 * weights exactly, in integers: then the rows of X are rounded to 8 bits too (vt_linear). */
typedef enum vt_storage {
    VT_STORE_F32,
    VT_STORE_F16,
    VT_STORE_BF16,
    VT_STORE_INT8, /* symmetric, a scale for each row of W */
} vt_storage;

/* W[n][k] as torch stores nn.Linear's weight, packed as the B operand of gemm: W^T in panels. It
 * is all in one block of memory, at `panels`. A backend's is laid out as the backend likes. */
typedef struct vt_packed {
    size_t n, k;
    vt_storage storage;
    size_t bytes;                     /* at panels */
    void *panels;                     /* ceil(n / nr) panels of [k][nr]; INT8: see int8.h */
    const vt_int8_kernels *int8;      /* INT8: what packed it, and multiplies it */
    float *scales;                    /* INT8: [n], W = scale * integer */
    int32_t *sums;                    /* INT8: [n], of a row's integers */
    const struct vt_backend *backend; /* backend.h; NULL: as described here */
    void *state;                      /* the backend's own */
} vt_packed;

/* Bytes of the packed weight; false when that does not fit in a size_t. */
bool vt_packed_size(const vt_kernels *kernels, vt_storage storage, size_t n, size_t k,
                    size_t *bytes);

/* An n x k weight in `memory`, of vt_packed_size bytes. What is there stays: that of another
 * vt_packed of the same kernels, storage and size is its weight. */
void vt_packed_place(vt_packed *out, const vt_kernels *kernels, vt_storage storage, size_t n,
                     size_t k, void *memory);

/* The same in memory of its own, ready for vt_pack_rows: what no row of W fills is zero. */
vt_status vt_packed_create(vt_packed *out, const vt_kernels *kernels, vt_storage storage, size_t n,
                           size_t k, vt_error *err);
void vt_packed_free(vt_packed *packed);

/* Packs W[rows][k] (leading dimension k) into rows [row, row + rows). A fused qkv layer, say, is
 * packed from three. */
void vt_pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                  size_t rows);

/* v[k] = one row of W in integers, as large as int8 can do with: four side by side, and `stride`
 * bytes to the next four. */
void vt_round_weights(int8_t *v, size_t stride, float *scale, int32_t *sum,
                      const vt_int8_kernels *int8, const float *w, size_t k);

/* Packs B[k][n] (row-major, leading dimension ldb) into panels of F32, for operands made on the fly
 * (V in attention), and its transpose from BT[n][k] (K in attention). */
void vt_pack_panels(float *panels, const float *b, size_t ldb, size_t k, size_t n, size_t nr);
void vt_pack_panels_transposed(const vt_kernels *kernels, float *panels, const float *bt,
                               size_t ldb, size_t k, size_t n);

#endif
