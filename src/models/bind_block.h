/* SPDX-License-Identifier: MIT */
#ifndef VT_MODELS_BIND_BLOCK_H
#define VT_MODELS_BIND_BLOCK_H

#include "models/bind.h"

/* The blocks of the binder's tower, owned by the weights. */
vt_block *vt_bind_blocks(vt_binder *b);

/* A gated MLP's first layer from two tensors, each of so many rows. */
void vt_bind_split_gate(vt_binder *b, vt_dense *out, vt_part gate, vt_part value, size_t block,
                        size_t rows, bool has_bias);

#endif
