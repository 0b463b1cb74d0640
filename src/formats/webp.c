/* SPDX-License-Identifier: MIT
 *
 * WebP through libwebp: lossy, lossless, alpha; the first frame of an animation. libwebp decodes
 * one frame; the RIFF container around it is walked here.
 * https://developers.google.com/speed/webp/docs/riff_container
 */
#include "formats/decoders.h"

#include <string.h>
#include <webp/decode.h>

#include "base/error.h"
#include "base/memory.h"

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8, FRAME_HEADER = 16 };

typedef struct chunk {
    const uint8_t *bytes; /* NULL: there is none */
    size_t size;
} chunk;

static uint32_t get_le(const uint8_t *bytes, size_t count) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; i++)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

/* The first chunk of that name, cut to the bytes that are there. */
static chunk find_chunk(const uint8_t *bytes, size_t size, const char *name) {
    for (size_t at = RIFF_HEADER; at + CHUNK_HEADER <= size;) {
        const size_t left = size - at - CHUNK_HEADER;
        const size_t length = get_le(bytes + at + 4, 4);
        if (memcmp(bytes + at, name, 4) == 0)
            return (chunk){bytes + at + CHUNK_HEADER, length < left ? length : left};
        if (length >= left)
            break;
        at += CHUNK_HEADER + length + (length & 1);
    }
    return (chunk){NULL, 0};
}

static vt_status fail(vt_error *err, VP8StatusCode code, size_t size) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return vt_fail(err, VT_ERR_MEMORY, "WebP: out of memory");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return vt_fail(err, VT_ERR_FORMAT, "WebP: truncated after %zu bytes", size);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return vt_fail(err, VT_ERR_UNSUPPORTED, "WebP: a feature that libwebp does not know");
    default:
        return vt_fail(err, VT_ERR_FORMAT, "WebP: malformed data");
    }
}

/* Decodes one frame of the raster's channels to (left, top) of the raster, which it must fit. */
static vt_status decode_frame(const vt_raster *raster, size_t left, size_t top, chunk frame,
                              vt_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return vt_fail(err, VT_ERR_INTERNAL, "WebP: libwebp of another version");
    VP8StatusCode code = WebPGetFeatures(frame.bytes, frame.size, &config.input);
    if (code != VP8_STATUS_OK)
        return fail(err, code, frame.size);
    const size_t width = (size_t)config.input.width, height = (size_t)config.input.height;
    if (width > raster->width || left > raster->width - width || height > raster->height ||
        top > raster->height - height)
        return vt_fail(err, VT_ERR_FORMAT, "WebP: frame of %zux%zu at %zu,%zu outside of %zux%zu",
                       width, height, left, top, raster->width, raster->height);
    const size_t stride = raster->width * raster->channels;
    const size_t origin = top * stride + left * raster->channels;
    config.output.colorspace = raster->channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = raster->pixels + origin;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = raster->height * stride - origin;
    code = WebPDecode(frame.bytes, frame.size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? VT_OK : fail(err, code, frame.size);
}

/* The first frame over a transparent canvas, as libwebpdemux's WebPAnimDecoder gives it. */
static vt_status decode_animation(vt_raster *raster, const uint8_t *bytes, size_t size,
                                  uint64_t max_pixels, vt_error *err) {
    const chunk canvas = find_chunk(bytes, size, "VP8X");
    const chunk frame = find_chunk(bytes, size, "ANMF");
    if (canvas.size < 10 || frame.size <= FRAME_HEADER)
        return vt_fail(err, VT_ERR_FORMAT, "WebP: animation without a frame");
    const vt_status status = vt_raster_alloc(raster, get_le(canvas.bytes + 4, 3) + 1,
                                             get_le(canvas.bytes + 7, 3) + 1, 4, max_pixels, err);
    if (status)
        return status;
    memset(raster->pixels, 0, 4 * raster->width * raster->height);
    const size_t left = 2 * get_le(frame.bytes, 3), top = 2 * get_le(frame.bytes + 3, 3);
    const chunk data = {frame.bytes + FRAME_HEADER, frame.size - FRAME_HEADER};
    return decode_frame(raster, left, top, data, err);
}

vt_status vt_decode_webp(vt_raster *raster, const uint8_t *bytes, size_t size,
                         const vt_image_options *options, vt_error *err) {
    /* libwebp takes some cut files for malformed ones; the container knows better. */
    if (size < RIFF_HEADER + CHUNK_HEADER || get_le(bytes + 4, 4) > size - CHUNK_HEADER)
        return fail(err, VP8_STATUS_NOT_ENOUGH_DATA, size);
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(bytes, size, &features);
    if (code != VP8_STATUS_OK)
        return fail(err, code, size);
    vt_status status;
    if (features.has_animation) {
        status = decode_animation(raster, bytes, size, options->max_pixels, err);
    } else {
        status = vt_raster_alloc(raster, (size_t)features.width, (size_t)features.height,
                                 features.has_alpha ? 4 : 3, options->max_pixels, err);
        if (!status)
            status = decode_frame(raster, 0, 0, (chunk){bytes, size}, err);
    }
    const chunk exif = find_chunk(bytes, size, "EXIF");
    raster->orientation = exif.bytes ? vt_exif_orientation(exif.bytes, exif.size) : 1;
    return status;
}
