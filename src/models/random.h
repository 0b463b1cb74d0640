/* SPDX-License-Identifier: MIT
 *
 * Checkpoints of random weights, as timm would publish those of the same name.
 */
#ifndef VT_MODELS_RANDOM_H
#define VT_MODELS_RANDOM_H

#include "formats/checkpoint.h"

/* VT_ERR_ARGUMENT when vt_model_arch_name does not list the name. */
vt_status vt_random_checkpoint(vt_checkpoint **out, const char *arch, vt_error *err);

#endif
