/* SPDX-License-Identifier: MIT
 *
 * JPEG through libjpeg-turbo: baseline and progressive; gray, YCbCr, RGB, CMYK and YCCK. The
 * accurate integer DCT and smooth chroma upsampling (libjpeg's defaults, and Pillow's) keep the
 * pixels equal to Pillow's, byte for byte.
 */
#include "formats/decoders.h"

#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which needs FILE */
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "base/error.h"
#include "base/memory.h"

/* A few kilobytes may declare thousands of scans over 65500 x 65500 pixels. Encoders write ten. */
enum { MAX_SCANS = 500, APP1 = JPEG_APP0 + 1 };

/* All that outlives a longjmp is here, in the caller's frame, so that no local needs volatile. */
typedef struct jpeg_reader {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    vt_raster *raster;
    const uint8_t *bytes;
    size_t size;
    const vt_image_options *options;
    uint8_t *cmyk; /* one row */
    vt_status status;
    vt_error *err;
} jpeg_reader;

static _Noreturn void on_error(j_common_ptr info) {
    jpeg_reader *reader = info->client_data;
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    const bool memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
    reader->status =
        vt_fail(reader->err, memory ? VT_ERR_MEMORY : VT_ERR_FORMAT, "JPEG: %s", message);
    longjmp(reader->jump, 1);
}

/* Where the data ends early libjpeg warns and fills the rest with gray; we refuse. Other warnings
 * (odd marker lengths, damaged bits) are let pass, as Pillow lets them pass. */
static void on_message(j_common_ptr info, int level) {
    jpeg_reader *reader = info->client_data;
    if (level >= 0 || info->err->msg_code != JWRN_JPEG_EOF)
        return;
    reader->status =
        vt_fail(reader->err, VT_ERR_FORMAT, "JPEG: truncated after %zu bytes", reader->size);
    longjmp(reader->jump, 1);
}

static void on_output(j_common_ptr info) {
    (void)info;
}

static void on_progress(j_common_ptr info) {
    jpeg_reader *reader = info->client_data;
    if (reader->info.input_scan_number <= MAX_SCANS)
        return;
    reader->status = vt_fail(reader->err, VT_ERR_LIMIT, "JPEG: over %d scans", MAX_SCANS);
    longjmp(reader->jump, 1);
}

static int orientation(const struct jpeg_decompress_struct *info) {
    for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next)
        if (marker->marker == APP1 && marker->data_length >= 6 &&
            memcmp(marker->data, "Exif", 5) == 0)
            return vt_exif_orientation(marker->data, marker->data_length);
    return 1;
}

/* a * b / 255 rounded, as Pillow's MULDIV255. */
static unsigned mul_div_255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Stored CMYK counts what is left white: Adobe's convention, which Pillow takes for everyone's.
 * Pillow 9, src/libImaging/Convert.c: cmyk2rgb. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, size_t width) {
    for (size_t x = 0; x < width; x++) {
        const unsigned white = cmyk[4 * x + 3];
        for (size_t c = 0; c < 3; c++)
            rgb[3 * x + c] = (uint8_t)(white - mul_div_255(255u - cmyk[4 * x + c], white));
    }
}

/* The smallest of the sizes whose DCTs are written in SIMD (the others, n/8, take longer than the
 * whole) that has the pixels asked for: libvips' shrink-on-load. A picture that lies on its side is
 * asked for the other way round. */
static void choose_scale(struct jpeg_decompress_struct *info, const vt_image_options *options,
                         int stored_orientation) {
    size_t min_width = options->min_width, min_height = options->min_height;
    if (!options->ignore_orientation && vt_swaps_axes(stored_orientation)) {
        min_width = options->min_height;
        min_height = options->min_width;
    }
    info->scale_denom = 8;
    info->scale_num = min_width || min_height ? 1 : 8;
    jpeg_calc_output_dimensions(info);
    while (info->scale_num < 8 &&
           (info->output_width < min_width || info->output_height < min_height)) {
        info->scale_num *= 2;
        jpeg_calc_output_dimensions(info);
    }
}

static vt_status read_header(jpeg_reader *reader) {
    struct jpeg_decompress_struct *info = &reader->info;
    vt_raster *raster = reader->raster;
    jpeg_mem_src(info, reader->bytes, reader->size);
    jpeg_save_markers(info, APP1, 0xFFFF);
    jpeg_read_header(info, TRUE);
    const bool is_cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    info->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    const uint64_t max_pixels = reader->options->max_pixels;
    vt_status status =
        vt_raster_check(info->image_width, info->image_height, max_pixels, reader->err);
    if (status)
        return status;
    const int stored_orientation = orientation(info);
    choose_scale(info, reader->options, stored_orientation);
    status = vt_raster_alloc(raster, info->output_width, info->output_height, 3, max_pixels,
                             reader->err);
    if (status)
        return status;
    raster->orientation = stored_orientation;
    raster->full_width = info->image_width;
    raster->full_height = info->image_height;
    if (!is_cmyk)
        return VT_OK;
    reader->cmyk = vt_malloc(raster->width, 4);
    return reader->cmyk ? VT_OK : vt_fail_memory(reader->err, "a JPEG row", 4 * raster->width);
}

static vt_status read_picture(jpeg_reader *reader) {
    struct jpeg_decompress_struct *info = &reader->info;
    if (setjmp(reader->jump))
        return reader->status;
    jpeg_create_decompress(info);
    info->progress = &reader->progress;
    const vt_status status = read_header(reader);
    if (status)
        return status;
    jpeg_start_decompress(info);
    while (info->output_scanline < info->output_height) {
        uint8_t *rgb = reader->raster->pixels + 3 * reader->raster->width * info->output_scanline;
        JSAMPROW row = reader->cmyk ? reader->cmyk : rgb;
        jpeg_read_scanlines(info, &row, 1);
        if (reader->cmyk)
            cmyk_to_rgb(rgb, reader->cmyk, reader->raster->width);
    }
    jpeg_finish_decompress(info); /* reads on to the end marker, so that a cut file is noticed */
    return VT_OK;
}

vt_status vt_decode_jpeg(vt_raster *raster, const uint8_t *bytes, size_t size,
                         const vt_image_options *options, vt_error *err) {
    jpeg_reader reader = {
        .raster = raster, .bytes = bytes, .size = size, .options = options, .err = err};
    reader.info.err = jpeg_std_error(&reader.errors);
    reader.info.client_data = &reader; /* kept by jpeg_create_decompress */
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = on_output;
    reader.progress.progress_monitor = on_progress;
    const vt_status status = read_picture(&reader);
    jpeg_destroy_decompress(&reader.info);
    vt_free(reader.cmyk);
    return status;
}
