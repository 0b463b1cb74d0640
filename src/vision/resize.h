/* SPDX-License-Identifier: MIT
 *
 * Image resizing that gives the bytes of Pillow (Image.resize) and the floats of torchvision
 * (F.resize with antialias=True).
 *
 * Both filter in two passes, along the rows first, with a kernel widened by the scale when
 * shrinking and normalised where it hangs over the edge. A caller that crops afterwards asks for
 * that window of the resized picture only: the rest is never computed.
 */
#ifndef VT_VISION_RESIZE_H
#define VT_VISION_RESIZE_H

#include "kernels/kernels.h"

/* Numbered as PIL.Image.Resampling, which is what preprocessor_config.json writes. */
typedef enum vt_filter {
    VT_FILTER_NEAREST = 0,
    VT_FILTER_LANCZOS = 1,
    VT_FILTER_BILINEAR = 2,
    VT_FILTER_BICUBIC = 3, /* Keys, a = -0.5 */
    VT_FILTER_BOX = 4,
    VT_FILTER_HAMMING = 5,
    VT_FILTER_COUNT
} vt_filter;

/* "bicubic"; and back: VT_FILTER_COUNT when the name is not known. */
const char *vt_filter_name(vt_filter filter);
vt_filter vt_filter_from_name(const char *name);

/* The picture resized to height x width, and the part of it that is wanted. */
typedef struct vt_resize_window {
    size_t full_height, full_width;
    size_t top, left, height, width;
} vt_resize_window;

/* All of the resized picture. */
vt_resize_window vt_resize_whole(size_t height, size_t width);

/* out[height][out_stride bytes], RGB. All kernels give the same bytes. */
vt_status vt_resize_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                       const vt_resize_window *window, vt_filter filter, const vt_kernels *kernels,
                       vt_error *err);

/* out[height][width][3], each byte having been looked up in `levels` first (rescaling before the
 * resize, as DINOv3's processor does). VT_FILTER_BILINEAR and VT_FILTER_BICUBIC only. */
vt_status vt_resize_f32(float *out, const vt_image *image, const float levels[256],
                        const vt_resize_window *window, vt_filter filter, vt_error *err);

#endif
