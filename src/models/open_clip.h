/* SPDX-License-Identifier: MIT
 *
 * What the configurations of OpenCLIP and of those who took its transform over have in common.
 */
#ifndef VT_MODELS_OPEN_CLIP_H
#define VT_MODELS_OPEN_CLIP_H

#include "vision/preprocess.h"

/* OpenCLIP's evaluation transform: resize_mode, interpolation, mean and std of `cfg`, which may be
 * NULL. `where` is the configuration's path. */
vt_status vt_open_clip_preprocess(vt_preprocess *out, const json_t *cfg, size_t height,
                                  size_t width, const char *where, vt_error *err);

#endif
