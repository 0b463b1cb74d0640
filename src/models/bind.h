/* SPDX-License-Identifier: MIT
 *
 * Finding, checking and converting the tensors of a checkpoint: what vt_weights_bind is written
 * with.
 *
 *     bind_norm(&b, &block->norm1, VT_PART_NORM1, i, width);
 *     bind_block_dense(&b, &block->proj, VT_PART_PROJ, i, width, q_width);
 *     …
 *     return b.status;
 */
#ifndef VT_MODELS_BIND_H
#define VT_MODELS_BIND_H

#include "kernels/backend.h"
#include "models/weights.h"

enum { VT_MAX_TENSOR_NAME = 256 };

/* Binding goes on quietly after the first error, and the caller looks at `status` once. */
typedef struct vt_binder {
    vt_weights *out;
    const vt_checkpoint *checkpoint;
    const vt_kernels *kernels;
    vt_pool *pool; /* that packing is shared out over */
    vt_precision precision;
    vt_backend_choice backend;
    const vt_family *family;
    const vt_tensor_name *names;      /* of the tower that is bound */
    const vt_encoder_config *encoder; /* likewise */
    const char *prefix;               /* what '@' stands for */
    const vt_lora *lora;              /* of the tower that is bound; NULL: it has none */
    bool norm_bias;                   /* this tower's norms have biases */
    bool in_block; /* what is bound belongs to a block: INT8 and backends are for those alone */
    size_t split;  /* rows of a matrix that are asked for apart from the others; 0: none */
    vt_error *err;
    vt_status status;
} vt_binder;

/* Turns to a tower: finds its prefix, and whether its norms have biases. */
void vt_bind_tower(vt_binder *b, const vt_tensor_name *names, const vt_encoder_config *encoder);

/* The tensor of a part; NULL when the checkpoint has none. `name` (VT_MAX_TENSOR_NAME) is what it
 * is, or should be, called. */
const vt_tensor *vt_bind_find(const vt_binder *b, vt_part part, size_t block, const char *suffix,
                              char *name);

/* The same, where it must be there: sets the status when it is not. */
const vt_tensor *vt_bind_require(vt_binder *b, vt_part part, size_t block, const char *suffix);

/* Whether some block has the part: then all must. */
bool vt_bind_any_block_has(const vt_binder *b, vt_part part, const char *suffix);

/* Memory that lives as long as the weights, zeroed; NULL, and the status set, when there is none.
 */
void *vt_bind_own(vt_binder *b, size_t count, size_t size);

/* Sets the status unless a tensor is float and has that shape (leading dimensions of 1 aside):
 * called before memory of that size is asked for. Nothing to check where the tensor is NULL. */
void vt_bind_check(vt_binder *b, const vt_tensor *tensor, const size_t *shape, size_t ndim);

/* out = a tensor, in F32, of that shape. */
void vt_bind_load(vt_binder *b, float *out, const vt_tensor *tensor, const size_t *shape,
                  size_t ndim);

/* A parameter of that shape, owned by the weights. */
const float *vt_bind_floats(vt_binder *b, vt_part part, size_t block, const char *suffix,
                            const size_t *shape, size_t ndim);
const float *vt_bind_vector(vt_binder *b, vt_part part, size_t block, const char *suffix, size_t n);

void vt_bind_norm(vt_binder *b, vt_norm *out, vt_part part, size_t block, size_t n);
void vt_bind_norm_if_any(vt_binder *b, vt_norm *out, vt_part part, size_t block, size_t n);

/* What a tensor's weight is kept as, and a weight that was computed, for NULL. */
vt_storage vt_bind_storage(const vt_binder *b, const vt_tensor *tensor);

/* An n x k matrix without values, a tensor packed into its rows [row, row + rows), and the end of
 * packing. Where the checkpoint is packed already, the matrix is its next one, and packing does
 * nothing. */
void vt_bind_create_packed(vt_binder *b, vt_packed *out, vt_storage storage, size_t n, size_t k);
void vt_bind_pack(vt_binder *b, vt_packed *out, size_t row, size_t rows, const vt_tensor *tensor,
                  const size_t *shape, size_t ndim);

void vt_bind_finish_packed(vt_binder *b, vt_packed *out);

/* vt_bind_pack from W[rows][k] in memory. */
void vt_bind_pack_floats(vt_binder *b, vt_packed *out, size_t row, const float *weight,
                         size_t rows);

/* A new matrix from a tensor stored [in][out]; `shape` is as stored. */
void vt_bind_pack_transposed(vt_binder *b, vt_packed *out, const vt_tensor *tensor,
                             const size_t *shape);

/* NAME.weight [n][k], and NAME.bias [n] if has_bias. */
void vt_bind_dense(vt_binder *b, vt_dense *out, vt_part part, size_t block, size_t n, size_t k,
                   bool has_bias);

/* The same in a block: it has a bias if some block's has. */
void vt_bind_block_dense(vt_binder *b, vt_dense *out, vt_part part, size_t block, size_t n,
                         size_t k);

#endif
