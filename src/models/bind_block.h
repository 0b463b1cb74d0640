/* SPDX-License-Identifier: MIT */
#ifndef VT_MODELS_BIND_BLOCK_H
#define VT_MODELS_BIND_BLOCK_H

#include "models/bind.h"

/* The blocks of the binder's tower, owned by the weights. */
vt_block *vt_bind_blocks(vt_binder *b);

#endif
