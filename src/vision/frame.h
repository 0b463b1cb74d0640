/* SPDX-License-Identifier: MIT
 *
 * Frames of a camera as rows of packed RGB, cut out and turned as asked: no more of a frame is
 * converted than a resize reads, a strip of rows at a time.
 *
 *     vt_frame_view view;
 *     vt_frame_open(&view, frame, kernels, err);
 *     vt_preprocess_rows(plan, pixels, &view.rows, kernels, pool);
 */
#ifndef VT_VISION_FRAME_H
#define VT_VISION_FRAME_H

#include "formats/decoders.h"
#include "vision/resize.h"

/* A frame that was checked. `rows` points into the view, which stays where it is. */
typedef struct vt_frame_view {
    vt_frame frame; /* strides filled in */
    const vt_kernels *kernels;
    vt_yuv_coefficients colours;
    size_t crop_width, crop_height;  /* stored, before turning */
    bool transposed, flip_x, flip_y; /* how an upright row and column are found */
    vt_rows rows;
} vt_frame_view;

/* Not for VT_PIXEL_MJPEG. VT_ERR_ARGUMENT for planes that are not there, strides that are too
 * short, and parts that are not within the frame. */
vt_status vt_frame_open(vt_frame_view *out, const vt_frame *frame, const vt_kernels *kernels,
                        vt_error *err);

/* Decodes a VT_PIXEL_MJPEG frame to one of VT_PIXEL_RGB24, cut out and turned as that is, over the
 * pixels of `raster`, whose memory is used again. Others are copied. */
vt_status vt_frame_decode(vt_frame *out, const vt_frame *frame, vt_raster *raster, vt_error *err);

#endif
