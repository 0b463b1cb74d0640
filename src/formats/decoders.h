/* SPDX-License-Identifier: MIT
 *
 * What image.c asks of each image library: a raster of 8-bit RGB or RGBA, no more pixels than
 * allowed, one line when the bytes are bad, and never a word on stderr.
 */
#ifndef VT_FORMATS_DECODERS_H
#define VT_FORMATS_DECODERS_H

#include "vitrine.h"

/* A picture as it was stored: alpha not yet composited, orientation not yet applied. */
typedef struct vt_raster {
    size_t width, height;
    size_t channels;                /* 3: RGB; 4: RGBA, not premultiplied */
    uint8_t *pixels;                /* rows without gaps; from vt_malloc */
    size_t capacity;                /* bytes at pixels, which a later picture may use again */
    int orientation;                /* EXIF tag 0x0112, 1 to 8; 1 is upright */
    size_t full_width, full_height; /* of the picture where it was shrunk on load; else 0 */
} vt_raster;

/* Checks a declared size against the limit, before anything of that size is allocated. */
vt_status vt_raster_check(size_t width, size_t height, uint64_t max_pixels, vt_error *err);

/* vt_raster_check, then allocates, or uses the memory that the raster has again where it is enough.
 * The pixels are not initialised. */
vt_status vt_raster_alloc(vt_raster *raster, size_t width, size_t height, size_t channels,
                          uint64_t max_pixels, vt_error *err);

/* `options` have their defaults filled in. On failure the caller frees raster->pixels, which may or
 * may not be there. */
typedef vt_status vt_decode_fn(vt_raster *raster, const uint8_t *bytes, size_t size,
                               const vt_image_options *options, vt_error *err);
vt_decode_fn vt_decode_png, vt_decode_jpeg, vt_decode_webp, vt_decode_stb;

/* Whether stb_image takes these bytes for a TGA file, which begins with no signature. */
bool vt_is_tga(const uint8_t *bytes, size_t size);

/* The orientation tag of an EXIF block, which begins with "II" or "MM" (an "Exif\0\0" before that
 * is skipped). 1 when there is none or the block is malformed. */
int vt_exif_orientation(const uint8_t *bytes, size_t size);

/* Whether a picture of that orientation lies on its side. */
bool vt_swaps_axes(int orientation);

#endif
