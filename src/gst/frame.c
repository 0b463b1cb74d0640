/* SPDX-License-Identifier: MIT */
#include "frame.h"

static vt_pixel_format pixel_format(GstVideoFormat format) {
    switch (format) {
    case GST_VIDEO_FORMAT_NV12:
        return VT_PIXEL_NV12;
    case GST_VIDEO_FORMAT_I420:
    case GST_VIDEO_FORMAT_YV12: /* the planes' order is all that differs */
        return VT_PIXEL_I420;
    case GST_VIDEO_FORMAT_YUY2:
        return VT_PIXEL_YUYV;
    case GST_VIDEO_FORMAT_UYVY:
        return VT_PIXEL_UYVY;
    case GST_VIDEO_FORMAT_RGB:
        return VT_PIXEL_RGB24;
    case GST_VIDEO_FORMAT_BGR:
        return VT_PIXEL_BGR24;
    case GST_VIDEO_FORMAT_RGBx:
    case GST_VIDEO_FORMAT_RGBA:
        return VT_PIXEL_RGBA;
    case GST_VIDEO_FORMAT_BGRx:
    case GST_VIDEO_FORMAT_BGRA:
        return VT_PIXEL_BGRA;
    default: /* the pad takes no other */
        return VT_PIXEL_GRAY8;
    }
}

static void set_planes(vt_frame *out, const GstVideoFrame *frame) {
    const gboolean planar = out->format == VT_PIXEL_I420;
    for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(frame); i++) {
        const guint plane = planar ? (guint)GST_VIDEO_FRAME_COMP_PLANE(frame, i) : i;
        out->planes[i] = GST_VIDEO_FRAME_PLANE_DATA(frame, plane);
        out->strides[i] = (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(frame, plane);
    }
}

/* Of BT.2020 and SMPTE 240M, BT.709 is the nearer. */
static vt_yuv_matrix yuv_matrix(GstVideoColorMatrix matrix) {
    switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
    case GST_VIDEO_COLOR_MATRIX_BT2020:
        return VT_YUV_BT709;
    default:
        return VT_YUV_BT601;
    }
}

/* Cropping to nothing, or to more than there is, is no crop. */
static void set_crop(vt_frame *out, GstBuffer *buffer) {
    const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta(buffer);
    if (!crop || crop->x >= out->width || crop->y >= out->height)
        return;
    out->crop_left = crop->x;
    out->crop_top = crop->y;
    out->crop_width = MIN(crop->width, out->width - crop->x);
    out->crop_height = MIN(crop->height, out->height - crop->y);
}

void gst_vitrine_frame_describe(vt_frame *out, const GstVideoFrame *frame) {
    const GstVideoColorimetry *colorimetry = &frame->info.colorimetry;
    *out = (vt_frame)VT_FRAME_INIT;
    out->format = pixel_format(GST_VIDEO_FRAME_FORMAT(frame));
    out->width = (size_t)GST_VIDEO_FRAME_WIDTH(frame);
    out->height = (size_t)GST_VIDEO_FRAME_HEIGHT(frame);
    out->matrix = yuv_matrix(colorimetry->matrix);
    out->full_range = colorimetry->range == GST_VIDEO_COLOR_RANGE_0_255;
    set_planes(out, frame);
    set_crop(out, frame->buffer);
}
