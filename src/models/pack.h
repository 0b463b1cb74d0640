/* SPDX-License-Identifier: MIT */
#ifndef VT_MODELS_PACK_H
#define VT_MODELS_PACK_H

#include "models/model.h"

/* Where a checkpoint is a packed file: what it was packed for decides on kernels and precision,
 * which are left alone otherwise. VT_ERR_UNSUPPORTED when the processor, or the caller, wants
 * others. */
vt_status vt_pack_settle(const vt_checkpoint *checkpoint, const vt_model_options *options,
                         const vt_kernels **kernels, vt_precision *precision, vt_error *err);

#endif
