/* SPDX-License-Identifier: MIT */
#include "vision/frame.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "formats/image.h"

/* ---- formats ------------------------------------------------------------------------------ */

/* A plane has `bytes` for each sample, one sample for each `across` x `down` pixels. */
typedef struct plane_layout {
    size_t bytes, across, down;
} plane_layout;

typedef struct format_layout {
    const char *name;
    size_t num_planes;
    plane_layout planes[3];
} format_layout;

static const format_layout FORMATS[VT_PIXEL_COUNT] = {
    [VT_PIXEL_RGB24] = {"rgb24", 1, {{3, 1, 1}}},
    [VT_PIXEL_BGR24] = {"bgr24", 1, {{3, 1, 1}}},
    [VT_PIXEL_RGBA] = {"rgba", 1, {{4, 1, 1}}},
    [VT_PIXEL_BGRA] = {"bgra", 1, {{4, 1, 1}}},
    [VT_PIXEL_GRAY8] = {"gray", 1, {{1, 1, 1}}},
    [VT_PIXEL_RGB_PLANAR_F32] = {"rgb-planar-f32", 3, {{4, 1, 1}, {4, 1, 1}, {4, 1, 1}}},
    [VT_PIXEL_NV12] = {"nv12", 2, {{1, 1, 1}, {2, 2, 2}}},
    [VT_PIXEL_I420] = {"yuv420p", 3, {{1, 1, 1}, {1, 2, 2}, {1, 2, 2}}},
    [VT_PIXEL_YUYV] = {"yuyv422", 1, {{4, 2, 1}}},
    [VT_PIXEL_UYVY] = {"uyvy422", 1, {{4, 2, 1}}},
    [VT_PIXEL_MJPEG] = {"mjpeg", 1, {{1, 1, 1}}},
};

/* What the same formats are called elsewhere. */
static const struct {
    const char *name;
    vt_pixel_format format;
} ALIASES[] = {
    {"rgb", VT_PIXEL_RGB24}, {"bgr", VT_PIXEL_BGR24},  {"gray8", VT_PIXEL_GRAY8},
    {"i420", VT_PIXEL_I420}, {"yuyv", VT_PIXEL_YUYV},  {"yuy2", VT_PIXEL_YUYV},
    {"uyvy", VT_PIXEL_UYVY}, {"jpeg", VT_PIXEL_MJPEG},
};

const char *vt_pixel_format_name(vt_pixel_format format) {
    return (unsigned)format < VT_PIXEL_COUNT ? FORMATS[format].name : NULL;
}

vt_pixel_format vt_pixel_format_from_name(const char *name) {
    for (size_t i = 0; i < sizeof ALIASES / sizeof ALIASES[0]; i++)
        if (strcmp(ALIASES[i].name, name) == 0)
            return ALIASES[i].format;
    size_t i = 0;
    while (i < VT_PIXEL_COUNT && strcmp(FORMATS[i].name, name) != 0)
        i++;
    return (vt_pixel_format)i;
}

static size_t divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

/* Bytes of a plane's row, and its rows. */
static bool plane_size(const plane_layout *plane, size_t width, size_t height, size_t *row_bytes,
                       size_t *num_rows) {
    *num_rows = divide_up(height, plane->down);
    return vt_mul_size(divide_up(width, plane->across), plane->bytes, row_bytes);
}

size_t vt_frame_bytes(vt_pixel_format format, size_t width, size_t height) {
    size_t total = 0;
    if ((unsigned)format >= VT_PIXEL_COUNT || format == VT_PIXEL_MJPEG)
        return 0;
    for (size_t i = 0; i < FORMATS[format].num_planes; i++) {
        size_t row_bytes, num_rows, bytes;
        if (!plane_size(&FORMATS[format].planes[i], width, height, &row_bytes, &num_rows) ||
            !vt_mul_size(row_bytes, num_rows, &bytes) || !vt_add_size(total, bytes, &total))
            return 0;
    }
    return total;
}

vt_status vt_frame_set_packed(vt_frame *frame, vt_pixel_format format, size_t width, size_t height,
                              const void *data, size_t size, vt_error *err) {
    const size_t needed = vt_frame_bytes(format, width, height);
    if ((unsigned)format >= VT_PIXEL_COUNT)
        return vt_fail(err, VT_ERR_ARGUMENT, "pixel format %d", (int)format);
    if (format != VT_PIXEL_MJPEG && (needed == 0 || size < needed))
        return vt_fail(err, VT_ERR_ARGUMENT, "a %s frame of %zux%zu pixels has %zu bytes, not %zu",
                       FORMATS[format].name, width, height, needed, size);
    frame->format = format;
    frame->width = width;
    frame->height = height;
    frame->size = size;
    const uint8_t *at = data;
    for (size_t i = 0; i < 3; i++) {
        size_t num_rows = 0;
        frame->planes[i] = i < FORMATS[format].num_planes ? at : NULL;
        frame->strides[i] = 0;
        if (format == VT_PIXEL_MJPEG || !frame->planes[i])
            continue;
        plane_size(&FORMATS[format].planes[i], width, height, &frame->strides[i], &num_rows);
        at += frame->strides[i] * num_rows;
    }
    return VT_OK;
}

/* ---- colours ------------------------------------------------------------------------------ */

static int32_t fixed(double value) {
    return (int32_t)lrint(value * (1 << VT_YUV_BITS));
}

/* ITU-R BT.601 and BT.709: E'Y = Kr R + (1 - Kr - Kb) G + Kb B, E'Cb = (B - Y) / (2 - 2 Kb), E'Cr =
 * (R - Y) / (2 - 2 Kr), solved for R, G and B. In 8 bits Y is 16 + 219 E'Y and C is 128 + 224 E'C,
 * or, over the full range (JFIF), 255 E'Y and 128 + 255 E'C. */
static vt_yuv_coefficients colours_of(const vt_frame *frame) {
    const bool bt709 = frame->matrix == VT_YUV_BT709;
    const double kr = bt709 ? 0.2126 : 0.299, kb = bt709 ? 0.0722 : 0.114, kg = 1 - kr - kb;
    const double luma = frame->full_range ? 1 : 255.0 / 219;
    const double chroma = frame->full_range ? 1 : 255.0 / 224;
    vt_yuv_coefficients c = {
        .y = fixed(luma),
        .red_v = fixed(chroma * (2 - 2 * kr)),
        .green_u = fixed(-chroma * (2 - 2 * kb) * kb / kg),
        .green_v = fixed(-chroma * (2 - 2 * kr) * kr / kg),
        .blue_u = fixed(chroma * (2 - 2 * kb)),
    };
    const int32_t black = frame->full_range ? 0 : 16, gray = 128;
    const int32_t offset = (1 << (VT_YUV_BITS - 1)) - black * c.y;
    c.red = offset - gray * c.red_v;
    c.green = offset - gray * (c.green_u + c.green_v);
    c.blue = offset - gray * c.blue_u;
    return c;
}

/* ---- rows as stored ----------------------------------------------------------------------- */

static const uint8_t *plane_row(const vt_frame *frame, size_t plane, size_t row) {
    return (const uint8_t *)frame->planes[plane] + row * frame->strides[plane];
}

/* Where the samples of Y, U and V of a row lie, and U's and V's distance from one to the next. */
typedef struct yuv_row {
    const uint8_t *y, *u, *v;
    size_t y_step, uv_step;
} yuv_row;

static yuv_row find_yuv(const vt_frame *frame, size_t row) {
    const uint8_t *first = plane_row(frame, 0, row);
    switch (frame->format) {
    case VT_PIXEL_NV12: {
        const uint8_t *uv = plane_row(frame, 1, row / 2);
        return (yuv_row){first, uv, uv + 1, 1, 2};
    }
    case VT_PIXEL_I420:
        return (yuv_row){first, plane_row(frame, 1, row / 2), plane_row(frame, 2, row / 2), 1, 1};
    case VT_PIXEL_UYVY:
        return (yuv_row){first + 1, first, first + 2, 2, 4};
    default: /* VT_PIXEL_YUYV */
        return (yuv_row){first, first + 1, first + 3, 2, 4};
    }
}

/* Columns may begin in the midst of a pair; the kernels begin with one. */
static void read_yuv(const vt_frame_view *view, uint8_t *rgb, size_t row, size_t left,
                     size_t count) {
    const yuv_row at = find_yuv(&view->frame, row);
    for (size_t done = 0; done < count;) {
        const size_t x = left + done, pair = x / 2 * at.uv_step;
        const size_t n = x % 2 ? 1 : count - done;
        view->kernels->yuv_to_rgb(rgb + 3 * done, at.y + x * at.y_step, at.u + pair, at.v + pair,
                                  at.uv_step, n, &view->colours);
        done += n;
    }
}

/* NaN is black. */
static uint8_t byte_of(float value) {
    return value > 0 ? (uint8_t)lrintf(255 * fminf(value, 1)) : 0;
}

static void read_floats(const vt_frame *frame, uint8_t *rgb, size_t row, size_t left,
                        size_t count) {
    for (size_t c = 0; c < 3; c++) {
        const uint8_t *in = plane_row(frame, c, row) + left * sizeof(float);
        for (size_t x = 0; x < count; x++) {
            float value; /* nothing says that the caller's rows are aligned */
            memcpy(&value, in + x * sizeof value, sizeof value);
            rgb[3 * x + c] = byte_of(value);
        }
    }
}

/* rgb[count][3], from stored column `left` of a stored row. */
static void read_stored(const vt_frame_view *view, uint8_t *rgb, size_t row, size_t left,
                        size_t count) {
    const vt_frame *frame = &view->frame;
    const size_t bytes = FORMATS[frame->format].planes[0].bytes;
    switch (frame->format) {
    case VT_PIXEL_RGB24:
    case VT_PIXEL_BGR24:
    case VT_PIXEL_RGBA:
    case VT_PIXEL_BGRA:
    case VT_PIXEL_GRAY8:
        view->kernels->bytes_to_rgb(
            rgb, plane_row(frame, 0, row) + left * bytes, bytes,
            frame->format == VT_PIXEL_BGR24 || frame->format == VT_PIXEL_BGRA, count);
        break;
    case VT_PIXEL_RGB_PLANAR_F32:
        read_floats(frame, rgb, row, left, count);
        break;
    default:
        read_yuv(view, rgb, row, left, count);
    }
}

/* ---- turning ------------------------------------------------------------------------------ */

static size_t flip(bool wanted, size_t at, size_t size) {
    return wanted ? size - 1 - at : at;
}

static void reverse_pixels(uint8_t *rgb, size_t count) {
    for (size_t i = 0, j = count; i + 1 < j; i++) {
        uint8_t pixel[3];
        j--;
        memcpy(pixel, rgb + 3 * i, 3);
        memcpy(rgb + 3 * i, rgb + 3 * j, 3);
        memcpy(rgb + 3 * j, pixel, 3);
    }
}

/* An upright row is a stored one, forwards or backwards. */
static void read_lying(const vt_frame_view *view, uint8_t *out, size_t out_stride, size_t top,
                       size_t height, size_t left, size_t width) {
    const vt_frame *frame = &view->frame;
    const size_t first = view->flip_x ? view->crop_width - left - width : left;
    for (size_t y = 0; y < height; y++) {
        const size_t row = flip(view->flip_y, top + y, view->crop_height);
        read_stored(view, out + y * out_stride, frame->crop_top + row, frame->crop_left + first,
                    width);
        if (view->flip_x)
            reverse_pixels(out + y * out_stride, width);
    }
}

/* An upright column is a part of a stored row: a few rows are filled at a time. */
static void read_standing(const vt_frame_view *view, uint8_t *out, size_t out_stride, size_t top,
                          size_t height, size_t left, size_t width) {
    enum { PIECE = 16 };
    const vt_frame *frame = &view->frame;
    uint8_t piece[3 * PIECE];
    for (size_t begin = 0; begin < height; begin += PIECE) {
        const size_t count = height - begin < PIECE ? height - begin : PIECE;
        const size_t column = view->flip_y ? view->crop_width - top - begin - count : top + begin;
        for (size_t x = 0; x < width; x++) {
            const size_t row = flip(view->flip_x, left + x, view->crop_height);
            read_stored(view, piece, frame->crop_top + row, frame->crop_left + column, count);
            for (size_t y = 0; y < count; y++)
                memcpy(out + (begin + y) * out_stride + 3 * x,
                       piece + 3 * flip(view->flip_y, y, count), 3);
        }
    }
}

static void read_rows(const void *user, uint8_t *out, size_t out_stride, size_t top, size_t height,
                      size_t left, size_t width) {
    const vt_frame_view *view = user;
    if (view->transposed)
        read_standing(view, out, out_stride, top, height, left, width);
    else
        read_lying(view, out, out_stride, top, height, left, width);
}

/* ---- checking ----------------------------------------------------------------------------- */

static vt_status check_planes(vt_frame *frame, vt_error *err) {
    const format_layout *layout = &FORMATS[frame->format];
    for (size_t i = 0; i < layout->num_planes; i++) {
        size_t row_bytes, num_rows, bytes;
        if (!plane_size(&layout->planes[i], frame->width, frame->height, &row_bytes, &num_rows))
            return vt_fail(err, VT_ERR_LIMIT, "a frame of %zux%zu pixels", frame->width,
                           frame->height);
        if (!frame->planes[i])
            return vt_fail(err, VT_ERR_ARGUMENT, "plane %zu of a %s frame is NULL", i,
                           layout->name);
        if (frame->strides[i] == 0)
            frame->strides[i] = row_bytes;
        if (frame->strides[i] < row_bytes)
            return vt_fail(err, VT_ERR_ARGUMENT,
                           "plane %zu of a %s frame %zu pixels wide has rows of %zu bytes, and a "
                           "stride of %zu",
                           i, layout->name, frame->width, row_bytes, frame->strides[i]);
        if (!vt_mul_size(frame->strides[i], num_rows, &bytes))
            return vt_fail(err, VT_ERR_LIMIT, "a frame of %zux%zu pixels, stride %zu", frame->width,
                           frame->height, frame->strides[i]);
    }
    return VT_OK;
}

/* Along one axis: what is cut out, all that follows `begin` where that is 0. */
static bool crop_axis(size_t *out, size_t begin, size_t size, size_t full) {
    *out = size ? size : begin < full ? full - begin : 0;
    return *out && begin < full && *out <= full - begin;
}

static vt_status check_crop(vt_frame_view *view, vt_error *err) {
    const vt_frame *f = &view->frame;
    const bool across = crop_axis(&view->crop_width, f->crop_left, f->crop_width, f->width);
    const bool down = crop_axis(&view->crop_height, f->crop_top, f->crop_height, f->height);
    if (across && down)
        return VT_OK;
    return vt_fail(err, VT_ERR_ARGUMENT, "crop of %zux%zu at %zu,%zu in a frame of %zux%zu",
                   f->crop_width, f->crop_height, f->crop_left, f->crop_top, f->width, f->height);
}

static vt_status check_fields(const vt_frame *frame, vt_error *err) {
    if ((unsigned)frame->format >= VT_PIXEL_COUNT)
        return vt_fail(err, VT_ERR_ARGUMENT, "pixel format %d", (int)frame->format);
    if (frame->rotate > 270 || frame->rotate % 90)
        return vt_fail(err, VT_ERR_ARGUMENT, "rotation by %u degrees, not 0, 90, 180 or 270",
                       frame->rotate);
    if ((unsigned)frame->matrix > VT_YUV_BT709)
        return vt_fail(err, VT_ERR_ARGUMENT, "YUV matrix %d", (int)frame->matrix);
    return VT_OK;
}

/* Of 90 degrees clockwise, upright (x, y) is stored (y, last - x), and so on; the mirror is undone
 * first. */
static void find_turn(vt_frame_view *view) {
    const unsigned rotate = view->frame.rotate;
    view->transposed = rotate == 90 || rotate == 270;
    view->flip_x = (rotate == 90 || rotate == 180) != view->frame.mirror;
    view->flip_y = rotate == 180 || rotate == 270;
}

vt_status vt_frame_open(vt_frame_view *out, const vt_frame *frame, const vt_kernels *kernels,
                        vt_error *err) {
    vt_status status = check_fields(frame, err);
    *out = (vt_frame_view){.frame = *frame, .kernels = kernels};
    if (!status && frame->format == VT_PIXEL_MJPEG)
        status = vt_fail(err, VT_ERR_ARGUMENT, "an MJPEG frame has no rows before it is decoded");
    if (!status)
        status = check_planes(&out->frame, err);
    if (!status)
        status = check_crop(out, err);
    if (status)
        return status;
    find_turn(out);
    out->colours = colours_of(frame);
    out->rows = (vt_rows){
        .height = out->transposed ? out->crop_width : out->crop_height,
        .width = out->transposed ? out->crop_height : out->crop_width,
        .read = read_rows,
        .user = out,
    };
    if (frame->format == VT_PIXEL_RGB24 && frame->rotate == 0 && !frame->mirror) {
        out->rows.stride = out->frame.strides[0];
        out->rows.pixels = plane_row(&out->frame, 0, frame->crop_top) + 3 * frame->crop_left;
    }
    return VT_OK;
}

/* ---- MJPEG -------------------------------------------------------------------------------- */

vt_status vt_frame_decode(vt_frame *out, const vt_frame *frame, vt_raster *raster, vt_error *err) {
    vt_image_options limits;
    vt_status status = check_fields(frame, err);
    *out = *frame;
    if (status || frame->format != VT_PIXEL_MJPEG)
        return status;
    if (!frame->planes[0])
        return vt_fail(err, VT_ERR_ARGUMENT, "plane 0 of a mjpeg frame is NULL");
    status = vt_image_options_take(&limits, NULL, err);
    if (status)
        return status;
    if (frame->size > limits.max_bytes)
        return vt_fail(err, VT_ERR_LIMIT, "a JPEG of %zu bytes", frame->size);
    status = vt_decode_jpeg(raster, frame->planes[0], frame->size, &limits, err);
    out->format = VT_PIXEL_RGB24;
    out->width = raster->width;
    out->height = raster->height;
    out->planes[0] = raster->pixels;
    out->strides[0] = 0;
    return status;
}
