/* SPDX-License-Identifier: MIT
 *
 * PNG through libpng: 1 to 16 bits, gray, palette, alpha, tRNS, interlaced.
 */
#include "formats/decoders.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* All that outlives a longjmp is here, in the caller's frame, so that no local needs volatile. */
typedef struct png_reader {
    vt_raster *raster;
    const uint8_t *bytes;
    size_t size, used;
    const vt_image_options *options;
    bool in_chunks; /* what surrounds the pixels is read */
    bool out_of_memory;
    vt_status status;
    vt_error *err;
    png_structp png;
    png_infop info;
} png_reader;

/* libpng believes the length that an eXIf chunk says it has. No chunk is longer than the file, or
 * than libpng's own limit when it is compressed. */
static bool is_believed(const png_reader *reader, size_t size) {
    enum { MOST_OF_A_CHUNK = 8000000 };
    return !reader->in_chunks || size <= MOST_OF_A_CHUNK || size <= reader->size;
}

static png_voidp gate_malloc(png_structp png, png_alloc_size_t size) {
    png_reader *reader = png_get_mem_ptr(png);
    if (!is_believed(reader, size))
        return NULL;
    void *memory = vt_malloc(size, 1);
    if (!memory)
        reader->out_of_memory = true;
    return memory;
}

static void gate_free(png_structp png, png_voidp memory) {
    (void)png;
    vt_free(memory);
}

/* libpng words an exhausted memory as any other error. */
static void on_error(png_structp png, png_const_charp message) {
    png_reader *reader = png_get_error_ptr(png);
    const vt_status code = reader->out_of_memory ? VT_ERR_MEMORY : VT_ERR_FORMAT;
    reader->status = vt_fail(reader->err, code, "PNG: %s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep out, size_t count) {
    png_reader *reader = png_get_io_ptr(png);
    if (count > reader->size - reader->used) {
        reader->status =
            vt_fail(reader->err, VT_ERR_FORMAT, "PNG: truncated after %zu bytes", reader->size);
        png_longjmp(png, 1);
    }
    memcpy(out, reader->bytes + reader->used, count);
    reader->used += count;
}

/* Asks for 8 bits and three or four channels, whatever is stored. 16 bits lose their low byte,
 * which is what Pillow does with colour; its 16-bit gray clips at 255 instead, which turns a
 * photograph white and is nothing to follow. Gamma and profiles are ignored, as Pillow ignores
 * them. */
static size_t set_transforms(png_structp png, png_infop info) {
    const int type = png_get_color_type(png, info);
    const bool has_trns = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    png_set_expand(png);
    png_set_strip_16(png);
    if (!(type & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    return (type & PNG_COLOR_MASK_ALPHA) || has_trns ? 4 : 3;
}

static int orientation(png_structp png, png_infop info) {
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 size;
    png_bytep exif;
    if (png_get_eXIf_1(png, info, &size, &exif))
        return vt_exif_orientation(exif, size);
#endif
    return 1;
}

static vt_status read_picture(png_reader *reader) {
    const png_structp png = reader->png;
    const png_infop info = reader->info;
    vt_raster *raster = reader->raster;
    if (setjmp(png_jmpbuf(png)))
        return reader->status;

    png_set_read_fn(png, reader, read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours is on the area */
    reader->in_chunks = true;
    png_read_info(png, info);
    reader->in_chunks = false;
    const size_t channels = set_transforms(png, info);
    const int passes = png_set_interlace_handling(png);
    const vt_status status =
        vt_raster_alloc(raster, png_get_image_width(png, info), png_get_image_height(png, info),
                        channels, reader->options->max_pixels, reader->err);
    if (status)
        return status;
    png_read_update_info(png, info);
    const size_t stride = png_get_rowbytes(png, info);
    if (stride != raster->width * channels)
        return vt_fail(reader->err, VT_ERR_INTERNAL, "PNG: rows of %zu bytes, not %zu", stride,
                       raster->width * channels);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < raster->height; y++)
            png_read_row(png, raster->pixels + y * stride, NULL);
    reader->in_chunks = true;
    png_read_end(png, info); /* a cut file ends here, and eXIf may follow the pixels */
    raster->orientation = orientation(png, info);
    return VT_OK;
}

vt_status vt_decode_png(vt_raster *raster, const uint8_t *bytes, size_t size,
                        const vt_image_options *options, vt_error *err) {
    png_reader reader = {
        .raster = raster, .bytes = bytes, .size = size, .options = options, .err = err};
    reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning,
                                          &reader, gate_malloc, gate_free);
    if (!reader.png)
        return vt_fail(err, VT_ERR_MEMORY, "PNG: out of memory");
    reader.info = png_create_info_struct(reader.png);
    const vt_status status =
        reader.info ? read_picture(&reader) : vt_fail(err, VT_ERR_MEMORY, "PNG: out of memory");
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return status;
}
