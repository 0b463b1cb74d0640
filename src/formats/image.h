/* SPDX-License-Identifier: MIT
 *
 * From the bytes of a file to an upright vt_image: vt_image_decode, vt_image_read and vt_image_free
 * of vitrine.h, and what they are made of.
 */
#ifndef VT_FORMATS_IMAGE_H
#define VT_FORMATS_IMAGE_H

#include "vitrine.h"

typedef enum vt_image_type {
    VT_IMAGE_UNKNOWN = 0,
    VT_IMAGE_PNG,
    VT_IMAGE_JPEG,
    VT_IMAGE_WEBP,
    VT_IMAGE_GIF,
    VT_IMAGE_BMP,
    VT_IMAGE_PSD,
    VT_IMAGE_PNM,
    VT_IMAGE_HDR,
    VT_IMAGE_TGA
} vt_image_type;

/* Of the picture in the file, whatever was made of it on load. */
void vt_image_full_size(const vt_image *image, size_t *height, size_t *width);

/* vt_options_take, with the defaults in the place of zeros. */
vt_status vt_image_options_take(vt_image_options *full, const vt_image_options *options,
                                vt_error *err);

/* By the first bytes; whatever the file is called. */
vt_image_type vt_image_sniff(const void *bytes, size_t size);

#endif
