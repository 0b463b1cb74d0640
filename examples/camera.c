/* SPDX-License-Identifier: MIT
 *
 * Names what a camera sees, a line a frame: camera MODEL [DEVICE [FRAMES]]
 *
 * Video4Linux with memory-mapped buffers. vitrine reads the driver's buffers where they lie. Frames
 * that came in while another one was looked at are given back unseen, so that a line is about now.
 *
 *     cc camera.c -o camera $(pkg-config --cflags --libs vitrine)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/videodev2.h>
#include <vitrine.h>

enum { WIDTH = 640, HEIGHT = 480, BUFFERS = 4, TIMEOUT_MS = 2000 };

/* What is asked of the camera, the first that it has; MJPEG takes decoding. */
static const struct {
    uint32_t fourcc;
    vt_pixel_format format;
} FORMATS[] = {
    {V4L2_PIX_FMT_NV12, VT_PIXEL_NV12},
    {V4L2_PIX_FMT_YUYV, VT_PIXEL_YUYV},
    {V4L2_PIX_FMT_UYVY, VT_PIXEL_UYVY},
    {V4L2_PIX_FMT_MJPEG, VT_PIXEL_MJPEG},
};

typedef struct camera {
    int device;
    vt_frame frame; /* all of it but where the planes are */
    size_t count;
    void *memory[VIDEO_MAX_FRAME];
    size_t sizes[VIDEO_MAX_FRAME];
} camera;

static bool fail(const char *what) {
    perror(what);
    return false;
}

static int control(const camera *c, unsigned long request, void *argument) {
    int result;
    do
        result = ioctl(c->device, request, argument);
    while (result < 0 && errno == EINTR);
    return result;
}

static struct v4l2_buffer capture_buffer(size_t index) {
    return (struct v4l2_buffer){
        .index = (uint32_t)index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
}

/* ---- setting up --------------------------------------------------------------------------- */

static bool open_device(camera *c, const char *path) {
    struct v4l2_capability can = {0};
    c->device = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (c->device < 0 || control(c, VIDIOC_QUERYCAP, &can) < 0)
        return fail(path);
    if (can.device_caps & V4L2_CAP_VIDEO_CAPTURE && can.device_caps & V4L2_CAP_STREAMING)
        return true;
    fprintf(stderr, "%s: %s streams no video\n", path, (const char *)can.card);
    return false;
}

static void describe_frames(vt_frame *frame, const struct v4l2_pix_format *pix,
                            vt_pixel_format format) {
    uint32_t matrix = pix->ycbcr_enc, range = pix->quantization;
    if (matrix == V4L2_YCBCR_ENC_DEFAULT)
        matrix = V4L2_MAP_YCBCR_ENC_DEFAULT(pix->colorspace);
    if (range == V4L2_QUANTIZATION_DEFAULT)
        range = V4L2_MAP_QUANTIZATION_DEFAULT(false, pix->colorspace, matrix);
    frame->format = format;
    frame->width = pix->width;
    frame->height = pix->height;
    frame->strides[0] = frame->strides[1] = pix->bytesperline;
    /* what vitrine does not know (BT.2020, SMPTE 240M) is closer to BT.709 */
    frame->matrix = matrix == V4L2_YCBCR_ENC_601 || matrix == V4L2_YCBCR_ENC_XV601 ? VT_YUV_BT601
                                                                                   : VT_YUV_BT709;
    frame->full_range = range == V4L2_QUANTIZATION_FULL_RANGE;
}

/* The camera answers with the size and format that it has and that is closest. */
static bool choose_format(camera *c) {
    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++) {
        struct v4l2_format got = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
        got.fmt.pix.width = WIDTH;
        got.fmt.pix.height = HEIGHT;
        got.fmt.pix.pixelformat = FORMATS[i].fourcc;
        if (control(c, VIDIOC_S_FMT, &got) < 0) {
            if (errno != EINVAL)
                return fail("VIDIOC_S_FMT");
        } else if (got.fmt.pix.pixelformat == FORMATS[i].fourcc) {
            describe_frames(&c->frame, &got.fmt.pix, FORMATS[i].format);
            return true;
        }
    }
    fprintf(stderr, "the camera has none of NV12, YUYV, UYVY and MJPEG\n");
    return false;
}

static bool map_buffers(camera *c) {
    struct v4l2_requestbuffers got = {
        .count = BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (control(c, VIDIOC_REQBUFS, &got) < 0)
        return fail("VIDIOC_REQBUFS");
    while (c->count < got.count && c->count < VIDEO_MAX_FRAME) {
        struct v4l2_buffer buffer = capture_buffer(c->count);
        if (control(c, VIDIOC_QUERYBUF, &buffer) < 0)
            return fail("VIDIOC_QUERYBUF");
        void *memory = mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, c->device, buffer.m.offset);
        if (memory == MAP_FAILED)
            return fail("mmap");
        c->memory[c->count] = memory;
        c->sizes[c->count++] = buffer.length;
    }
    return true;
}

static bool give_back(const camera *c, struct v4l2_buffer *buffer) {
    return control(c, VIDIOC_QBUF, buffer) == 0 || fail("VIDIOC_QBUF");
}

static bool start(const camera *c) {
    for (size_t i = 0; i < c->count; i++) {
        struct v4l2_buffer buffer = capture_buffer(i);
        if (!give_back(c, &buffer))
            return false;
    }
    return control(c, VIDIOC_STREAMON, &(int){V4L2_BUF_TYPE_VIDEO_CAPTURE}) == 0 ||
           fail("VIDIOC_STREAMON");
}

static void close_camera(const camera *c) {
    if (c->device < 0)
        return;
    control(c, VIDIOC_STREAMOFF, &(int){V4L2_BUF_TYPE_VIDEO_CAPTURE});
    for (size_t i = 0; i < c->count; i++)
        munmap(c->memory[i], c->sizes[i]);
    close(c->device);
}

/* ---- frames ------------------------------------------------------------------------------- */

static bool wait_for_frame(const camera *c) {
    const int ready = poll(&(struct pollfd){.fd = c->device, .events = POLLIN}, 1, TIMEOUT_MS);
    if (ready == 0)
        fprintf(stderr, "no frame in %d s\n", TIMEOUT_MS / 1000);
    return ready > 0 || (ready < 0 && fail("poll"));
}

/* The newest frame that is whole; those before it go back. */
static bool take_newest(const camera *c, struct v4l2_buffer *newest) {
    bool found = false;
    while (!found) {
        struct v4l2_buffer came = capture_buffer(0);
        if (!wait_for_frame(c))
            return false;
        while (control(c, VIDIOC_DQBUF, &came) == 0) {
            const bool whole = !(came.flags & V4L2_BUF_FLAG_ERROR);
            struct v4l2_buffer *unwanted = !whole ? &came : found ? newest : NULL;
            if (unwanted && !give_back(c, unwanted))
                return false;
            if (whole)
                *newest = came;
            found = found || whole;
        }
        if (errno != EAGAIN)
            return fail("VIDIOC_DQBUF");
    }
    return true;
}

static bool look(camera *c, const vt_model *model, vt_session *session,
                 const struct v4l2_buffer *buffer) {
    vt_error err = {0};
    vt_prediction best;
    vt_result result = VT_RESULT_INIT;
    result.predictions = &best;
    result.top_k = 1;
    c->frame.planes[0] = c->memory[buffer->index];
    c->frame.planes[1] =
        (const uint8_t *)c->memory[buffer->index] + c->frame.height * c->frame.strides[0];
    c->frame.size = buffer->bytesused; /* of a JPEG */
    if (vt_session_run(session, &result, &c->frame, 1, &err))
        fprintf(stderr, "frame %u: %s\n", buffer->sequence, err.message);
    else
        printf("frame %u: %.1f%% %s (%.1f ms)\n", buffer->sequence, 100 * best.score,
               vt_model_label(model, best.index),
               result.decode_ms + result.preprocess_ms + result.forward_ms);
    return !err.code || err.code == VT_ERR_FORMAT; /* damaged on the way: the next one may do */
}

static bool watch(camera *c, const vt_model *model, vt_session *session, unsigned long frames) {
    for (unsigned long i = 0; !frames || i < frames; i++) {
        struct v4l2_buffer buffer;
        if (!take_newest(c, &buffer) || !look(c, model, session, &buffer) || !give_back(c, &buffer))
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    vt_error err = {VT_OK, "usage: camera MODEL [DEVICE [FRAMES]]"};
    vt_model *model = NULL;
    vt_session *session = NULL;
    camera c = {.device = -1, .frame = VT_FRAME_INIT};
    bool done = false;
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines go out as they are made, into a pipe too */
    if (argc < 2 || argc > 4 || vt_model_open(&model, argv[1], NULL, &err) ||
        vt_session_create(&session, model, NULL, &err))
        fprintf(stderr, "%s\n", err.message);
    else
        done = open_device(&c, argc > 2 ? argv[2] : "/dev/video0") && choose_format(&c) &&
               map_buffers(&c) && start(&c) &&
               watch(&c, model, session, argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
    close_camera(&c);
    vt_session_destroy(session);
    vt_model_close(model);
    return !done;
}
