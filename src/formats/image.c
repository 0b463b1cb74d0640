/* SPDX-License-Identifier: MIT */
#include "formats/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mapfile.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/scratch.h"
#include "formats/decoders.h"

/* ---- rasters ------------------------------------------------------------------------------ */

vt_status vt_raster_check(size_t width, size_t height, uint64_t max_pixels, vt_error *err) {
    if (width == 0 || height == 0)
        return vt_fail(err, VT_ERR_FORMAT, "image of %zux%zu pixels", width, height);
    if (width > max_pixels / height)
        return vt_fail(err, VT_ERR_LIMIT,
                       "image of %zux%zu pixels is over the limit of %" PRIu64 " pixels", width,
                       height, max_pixels);
    return VT_OK;
}

vt_status vt_raster_alloc(vt_raster *raster, size_t width, size_t height, size_t channels,
                          uint64_t max_pixels, vt_error *err) {
    const vt_status status = vt_raster_check(width, height, max_pixels, err);
    if (status)
        return status;
    size_t bytes;
    if (!vt_product((const size_t[]){width, height, channels}, 3, &bytes))
        return vt_fail(err, VT_ERR_LIMIT, "image of %zux%zu pixels does not fit in memory", width,
                       height);
    vt_scratch memory = {raster->pixels, raster->capacity};
    const bool fresh = bytes > memory.bytes;
    const bool enough = vt_scratch_reserve(&memory, bytes);
    *raster = (vt_raster){.width = width,
                          .height = height,
                          .channels = channels,
                          .pixels = memory.data,
                          .capacity = memory.bytes,
                          .orientation = 1};
    if (!enough)
        return vt_fail_memory(err, "image", bytes);
    if (fresh)
        vt_prefer_huge_pages(memory.data, bytes); /* of a photo's decoding, faults are a quarter */
    return VT_OK;
}

/* a * alpha + b * (255 - alpha), divided by 255 and rounded.
 * Pillow 9, src/libImaging/Paste.c: paste_mask_L, with ImagingUtils.h: BLEND. */
static uint8_t blend(unsigned a, unsigned b, unsigned alpha) {
    const unsigned t = a * alpha + b * (255 - alpha) + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

/* RGBA to RGB in place: every pixel is written at or before where it was read. */
static void remove_alpha(vt_raster *raster, const vt_image_options *options) {
    static const uint8_t WHITE[3] = {255, 255, 255};
    const uint8_t *background = options->use_background ? options->background : WHITE;
    const size_t count = raster->width * raster->height;
    uint8_t *out = raster->pixels;
    const uint8_t *in = raster->pixels;
    for (size_t i = 0; i < count; i++, in += 4, out += 3) {
        const unsigned alpha = options->drop_alpha ? 255 : in[3];
        for (size_t c = 0; c < 3; c++)
            out[c] = blend(in[c], background[c], alpha);
    }
    raster->channels = 3;
}

/* ---- orientation -------------------------------------------------------------------------- */

/* Where the upright pixel (x, y) lies in the stored raster: origin + x * step_x + y * step_y,
 * bytes. */
typedef struct traversal {
    size_t width, height; /* upright */
    ptrdiff_t origin, step_x, step_y;
} traversal;

/* CIPA DC-008 (Exif 2.32), 4.6.4.A: which sides the stored row 0 and column 0 are. */
static traversal traversal_of(const vt_raster *raster) {
    const ptrdiff_t pixel = 3, row = 3 * (ptrdiff_t)raster->width;
    const ptrdiff_t last_x = row - pixel, last_y = ((ptrdiff_t)raster->height - 1) * row;
    const size_t w = raster->width, h = raster->height;
    switch (raster->orientation) {
    case 2: /* mirrored */
        return (traversal){w, h, last_x, -pixel, row};
    case 3: /* upside down */
        return (traversal){w, h, last_x + last_y, -pixel, -row};
    case 4: /* mirrored, upside down */
        return (traversal){w, h, last_y, pixel, -row};
    case 5: /* transposed */
        return (traversal){h, w, 0, row, pixel};
    case 6: /* to be turned clockwise */
        return (traversal){h, w, last_y, -row, pixel};
    case 7: /* transposed along the other diagonal */
        return (traversal){h, w, last_x + last_y, -row, -pixel};
    case 8: /* to be turned counterclockwise */
        return (traversal){h, w, last_x, row, -pixel};
    default:
        return (traversal){w, h, 0, pixel, row};
    }
}

bool vt_swaps_axes(int orientation) {
    return orientation >= 5;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static void copy_tile(uint8_t *out, const vt_raster *raster, const traversal *walk, size_t x0,
                      size_t y0, size_t x1, size_t y1) {
    for (size_t y = y0; y < y1; y++) {
        const uint8_t *row = raster->pixels + walk->origin + (ptrdiff_t)y * walk->step_y;
        for (size_t x = x0; x < x1; x++)
            memcpy(out + 3 * (y * walk->width + x), row + (ptrdiff_t)x * walk->step_x, 3);
    }
}

/* In tiles, because half of the orientations read down the columns. */
static vt_status make_upright(vt_raster *raster, vt_error *err) {
    enum { TILE = 32 };
    if (raster->orientation == 1)
        return VT_OK;
    const traversal walk = traversal_of(raster);
    const size_t bytes = 3 * raster->width * raster->height; /* has been allocated once already */
    uint8_t *out = vt_malloc(bytes, 1);
    if (!out)
        return vt_fail_memory(err, "turning the image upright", bytes);
    for (size_t y = 0; y < walk.height; y += TILE)
        for (size_t x = 0; x < walk.width; x += TILE)
            copy_tile(out, raster, &walk, x, y, min_size(x + TILE, walk.width),
                      min_size(y + TILE, walk.height));
    vt_free(raster->pixels);
    raster->pixels = out;
    raster->capacity = bytes;
    raster->width = walk.width;
    raster->height = walk.height;
    if (vt_swaps_axes(raster->orientation)) {
        const size_t full_width = raster->full_width;
        raster->full_width = raster->full_height;
        raster->full_height = full_width;
    }
    raster->orientation = 1;
    return VT_OK;
}

/* ---- types -------------------------------------------------------------------------------- */

typedef struct signature {
    vt_image_type type;
    vt_decode_fn *decode;
    size_t offset, size;
    const char *bytes;
} signature;

static const signature SIGNATURES[] = {
    {VT_IMAGE_PNG, vt_decode_png, 0, 8, "\x89PNG\r\n\x1a\n"},
    {VT_IMAGE_JPEG, vt_decode_jpeg, 0, 3, "\xff\xd8\xff"},
    {VT_IMAGE_WEBP, vt_decode_webp, 8, 4, "WEBP"},
    {VT_IMAGE_GIF, vt_decode_stb, 0, 6, "GIF87a"},
    {VT_IMAGE_GIF, vt_decode_stb, 0, 6, "GIF89a"},
    {VT_IMAGE_BMP, vt_decode_stb, 0, 2, "BM"},
    {VT_IMAGE_PSD, vt_decode_stb, 0, 4, "8BPS"},
    {VT_IMAGE_PNM, vt_decode_stb, 0, 2, "P5"},
    {VT_IMAGE_PNM, vt_decode_stb, 0, 2, "P6"},
    {VT_IMAGE_HDR, vt_decode_stb, 0, 10, "#?RADIANCE"},
    {VT_IMAGE_HDR, vt_decode_stb, 0, 6, "#?RGBE"},
};

static const signature TGA = {VT_IMAGE_TGA, vt_decode_stb, 0, 0, ""};

/* NULL when no decoder wants the bytes. */
static const signature *find_signature(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof SIGNATURES / sizeof SIGNATURES[0]; i++) {
        const signature *s = &SIGNATURES[i];
        if (size >= s->offset + s->size && memcmp(bytes + s->offset, s->bytes, s->size) == 0)
            return s;
    }
    return vt_is_tga(bytes, size) ? &TGA : NULL;
}

vt_image_type vt_image_sniff(const void *bytes, size_t size) {
    const signature *s = find_signature(bytes, size);
    return s ? s->type : VT_IMAGE_UNKNOWN;
}

static vt_status fail_unknown(const uint8_t *bytes, size_t size, vt_error *err) {
    if (size == 0)
        return vt_fail(err, VT_ERR_FORMAT, "empty: no bytes to decode");
    char hex[2 * 8 + 1];
    for (size_t i = 0; i < min_size(size, 8); i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return vt_fail(err, VT_ERR_FORMAT,
                   "not a PNG, JPEG, WebP, GIF, BMP, TGA, PSD, binary PNM or HDR image: "
                   "starts with 0x%s",
                   hex);
}

/* ---- the public functions ----------------------------------------------------------------- */

vt_status vt_image_options_take(vt_image_options *full, const vt_image_options *options,
                                vt_error *err) {
    vt_status status = vt_options_take(full, sizeof *full, options, "vt_image_options", err);
    if (full->max_pixels == 0)
        full->max_pixels = vt_limits_now()->image_pixels;
    if (full->max_bytes == 0)
        full->max_bytes = vt_limits_now()->image_bytes;
    return status;
}

static vt_status decode(vt_raster *raster, const uint8_t *bytes, size_t size,
                        const vt_image_options *options, vt_error *err) {
    if (size > options->max_bytes)
        return vt_fail(err, VT_ERR_LIMIT, "%zu bytes are over the limit of %" PRIu64 " bytes", size,
                       options->max_bytes);
    const signature *s = find_signature(bytes, size);
    if (!s)
        return fail_unknown(bytes, size, err);
    const vt_status status = s->decode(raster, bytes, size, options, err);
    if (status)
        return status;
    if (raster->channels == 4)
        remove_alpha(raster, options);
    return options->ignore_orientation ? VT_OK : make_upright(raster, err);
}

vt_status vt_image_decode(vt_image *out, const void *bytes, size_t size,
                          const vt_image_options *options, vt_error *err) {
    *out = (vt_image){0};
    vt_image_options full;
    vt_raster raster = {0};
    vt_status status = vt_image_options_take(&full, options, err);
    if (!status)
        status = decode(&raster, bytes, size, &full, err);
    if (status) {
        vt_free(raster.pixels);
        return status;
    }
    *out = (vt_image){.width = raster.width,
                      .height = raster.height,
                      .stride = 3 * raster.width,
                      .pixels = raster.pixels,
                      .full_width = raster.full_width ? raster.full_width : raster.width,
                      .full_height = raster.full_height ? raster.full_height : raster.height};
    return VT_OK;
}

vt_status vt_image_read(vt_image *out, const char *path, const vt_image_options *options,
                        vt_error *err) {
    *out = (vt_image){0};
    vt_image_options full;
    vt_mapfile file;
    vt_status status = vt_image_options_take(&full, options, err);
    if (!status)
        status = vt_mapfile_read(&file, path, full.max_bytes, err);
    if (status)
        return status;
    status = vt_image_decode(out, file.data, file.size, &full, err);
    vt_mapfile_close(&file);
    if (status)
        vt_fail_within(err, status, strcmp(path, "-") == 0 ? "standard input" : path);
    return status;
}

void vt_image_full_size(const vt_image *image, size_t *height, size_t *width) {
    *height = image->full_height ? image->full_height : image->height;
    *width = image->full_width ? image->full_width : image->width;
}

void vt_image_free(vt_image *image) {
    vt_free(image->pixels);
    *image = (vt_image){0};
}
