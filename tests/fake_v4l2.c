/* SPDX-License-Identifier: MIT
 *
 * A V4L2 camera for examples/camera.c, in place of the system's calls (the linker's --wrap). Its
 * "device" is a path that says what it has and does:
 *
 *     fake:format=NV12,colorspace=3,burst=2:picture.ppm
 *
 * It sends the one picture in the one format, with gaps behind the rows. As a driver it insists on
 * the order of calls and writes over whatever it has been given back; unlike one it ends the
 * program when something is not released. Buffers are blocks of malloc's, so that a sanitizer sees
 * reads past the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jpeglib.h>
#include <linux/videodev2.h>
#include <vitrine.h>

/* The linker's names for what is wrapped. */
int __real_open(const char *path, int flags, ...);
int __real_close(int file);
int __real_ioctl(int file, unsigned long request, ...);
int __real_poll(struct pollfd *files, nfds_t count, int timeout);
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
int __real_munmap(void *address, size_t size);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int file);
int __wrap_ioctl(int file, unsigned long request, ...);
int __wrap_poll(struct pollfd *files, nfds_t count, int timeout);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *address, size_t size);

enum { MAX_BUFFERS = 3, GAP = 32, OTHERS_BYTES = 0xA5 };

/* Where a buffer is: with the program, given to the driver, or filled and not yet taken. */
typedef enum place { WITH_PROGRAM, QUEUED, FILLED } place;

typedef struct fake_buffer {
    uint8_t *memory; /* NULL: not mapped */
    place place;
    uint32_t sequence, bytesused;
} fake_buffer;

/* What the path asks for. */
typedef struct fake_settings {
    char format[5];
    long colorspace, matrix, range; /* as in v4l2_pix_format */
    long burst;                     /* frames that come at once */
    long damaged;                   /* the frame that is flagged so */
    long cut;                       /* the frame that ends in the middle */
    long unplug;                    /* the frame that does not come any more */
    long silent;                    /* no frame ever comes */
    long still;                     /* a device that is no video camera */
} fake_settings;

static struct fake {
    int file; /* -1: not open */
    fake_settings settings;
    vt_image picture;
    struct v4l2_pix_format pix;
    size_t num_buffers;
    fake_buffer buffers[MAX_BUFFERS];
    uint32_t order[MAX_BUFFERS]; /* queued and filled buffers, the oldest first */
    size_t num_ordered;
    uint32_t sequence;
    bool streaming;
} fake = {.file = -1};

static void die(const char *why) {
    fprintf(stderr, "fake camera: %s\n", why);
    _exit(99);
}

static int refuse(int number) {
    errno = number;
    return -1;
}

/* ---- pictures ----------------------------------------------------------------------------- */

typedef struct yuv {
    double y, u, v;
} yuv;

static uint8_t to_byte(double value) {
    return (uint8_t)lrint(fmin(fmax(value, 0), 255));
}

/* The matrix and range that the format says, by V4L2's rules where it leaves them open. */
static yuv yuv_at(size_t x, size_t y) {
    const struct v4l2_pix_format *pix = &fake.pix;
    const bool hd = pix->ycbcr_enc == V4L2_YCBCR_ENC_709 ||
                    (!pix->ycbcr_enc && pix->colorspace == V4L2_COLORSPACE_REC709);
    const bool full = pix->quantization == V4L2_QUANTIZATION_FULL_RANGE ||
                      (!pix->quantization && pix->colorspace == V4L2_COLORSPACE_JPEG);
    const double kr = hd ? 0.2126 : 0.299, kb = hd ? 0.0722 : 0.114;
    const uint8_t *rgb = fake.picture.pixels + y * fake.picture.stride + 3 * x;
    const double luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    const double u = (rgb[2] - luma) / (2 - 2 * kb), v = (rgb[0] - luma) / (2 - 2 * kr);
    if (full)
        return (yuv){luma, 128 + u, 128 + v};
    return (yuv){16 + luma * 219 / 255, 128 + u * 224 / 255, 128 + v * 224 / 255};
}

static size_t write_yuyv(uint8_t *out) {
    for (size_t y = 0; y < fake.pix.height; y++, out += fake.pix.bytesperline)
        for (size_t x = 0; x < fake.pix.width; x += 2) {
            const yuv a = yuv_at(x, y), b = yuv_at(x + 1, y);
            out[2 * x] = to_byte(a.y);
            out[2 * x + 1] = to_byte((a.u + b.u) / 2);
            out[2 * x + 2] = to_byte(b.y);
            out[2 * x + 3] = to_byte((a.v + b.v) / 2);
        }
    return fake.pix.sizeimage;
}

static size_t write_nv12(uint8_t *out) {
    uint8_t *chroma = out + (size_t)fake.pix.height * fake.pix.bytesperline;
    for (size_t y = 0; y < fake.pix.height; y++)
        for (size_t x = 0; x < fake.pix.width; x++) {
            const yuv at = yuv_at(x, y), right = yuv_at(x | 1, y);
            const yuv below = yuv_at(x, y | 1), across = yuv_at(x | 1, y | 1);
            uint8_t *uv = chroma + y / 2 * fake.pix.bytesperline + x / 2 * 2;
            out[y * fake.pix.bytesperline + x] = to_byte(at.y);
            if (x % 2 || y % 2)
                continue;
            uv[0] = to_byte((at.u + right.u + below.u + across.u) / 4);
            uv[1] = to_byte((at.v + right.v + below.v + across.v) / 4);
        }
    return fake.pix.sizeimage;
}

static size_t write_jpeg(uint8_t *out) {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned long size = fake.pix.sizeimage;
    unsigned char *at = out;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &at, &size);
    info.image_width = fake.pix.width;
    info.image_height = fake.pix.height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 100, TRUE);
    info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1; /* chroma as it is */
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = fake.picture.pixels + info.next_scanline * fake.picture.stride;
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    if (at != out)
        die("a JPEG larger than its buffer");
    return size;
}

static size_t write_picture(uint8_t *out) {
    if (fake.pix.pixelformat == V4L2_PIX_FMT_MJPEG)
        return write_jpeg(out);
    return fake.pix.pixelformat == V4L2_PIX_FMT_NV12 ? write_nv12(out) : write_yuyv(out);
}

/* ---- the device --------------------------------------------------------------------------- */

/* "NAME=VALUE", of which VALUE is a number but for format. */
static void set(fake_settings *settings, const char *text) {
    const struct {
        const char *name;
        long *value;
    } numbers[] = {
        {"colorspace=", &settings->colorspace}, {"matrix=", &settings->matrix},
        {"range=", &settings->range},           {"burst=", &settings->burst},
        {"damaged=", &settings->damaged},       {"cut=", &settings->cut},
        {"unplug=", &settings->unplug},         {"silent=", &settings->silent},
        {"still=", &settings->still},
    };
    if (sscanf(text, "format=%4s", settings->format) == 1)
        return;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const size_t length = strlen(numbers[i].name);
        if (strncmp(text, numbers[i].name, length) == 0) {
            *numbers[i].value = strtol(text + length, NULL, 10);
            return;
        }
    }
    die(text);
}

static int open_fake(const char *path, int flags) {
    char text[256], *rest = text, *word;
    vt_error err;
    snprintf(text, sizeof text, "%s", strchr(path, ':') + 1);
    char *picture = strchr(text, ':');
    if (fake.file >= 0 || !picture || (flags & O_ACCMODE) != O_RDWR || !(flags & O_NONBLOCK))
        die("opened otherwise than expected");
    *picture++ = '\0';
    fake = (struct fake){.settings = {.burst = 1, .damaged = -1, .cut = -1, .unplug = -1}};
    while ((word = strtok_r(rest, ",", &rest)))
        set(&fake.settings, word);
    if (vt_image_read(&fake.picture, picture, NULL, &err))
        die(err.message);
    if (fake.picture.width % 2 || fake.picture.height % 2)
        die("a picture of odd size");
    return fake.file = __real_open("/dev/null", O_RDWR);
}

static int query_capabilities(struct v4l2_capability *out) {
    *out = (struct v4l2_capability){.driver = "fake", .card = "Fake camera"};
    out->device_caps = V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
    out->device_caps |= fake.settings.still ? V4L2_CAP_VBI_CAPTURE : V4L2_CAP_VIDEO_CAPTURE;
    out->capabilities = out->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

/* Whatever is asked for, this is what it has. */
static int set_format(struct v4l2_format *format) {
    const char *f = fake.settings.format;
    const uint32_t width = (uint32_t)fake.picture.width, height = (uint32_t)fake.picture.height;
    struct v4l2_pix_format pix = {.width = width, .height = height, .field = V4L2_FIELD_NONE};
    if (fake.num_buffers)
        return refuse(EBUSY);
    pix.pixelformat = v4l2_fourcc(f[0], f[1], f[2], f[3]);
    pix.colorspace = (uint32_t)fake.settings.colorspace;
    pix.ycbcr_enc = (uint32_t)fake.settings.matrix;
    pix.quantization = (uint32_t)fake.settings.range;
    pix.priv = V4L2_PIX_FMT_PRIV_MAGIC;
    pix.sizeimage = 3 * width * height + 4096;
    if (pix.pixelformat == V4L2_PIX_FMT_NV12) {
        pix.bytesperline = width + GAP;
        pix.sizeimage = pix.bytesperline * height * 3 / 2;
    } else if (pix.pixelformat == V4L2_PIX_FMT_YUYV) {
        pix.bytesperline = 2 * width + GAP;
        pix.sizeimage = pix.bytesperline * height;
    }
    format->fmt.pix = fake.pix = pix;
    return 0;
}

static int request_buffers(struct v4l2_requestbuffers *request) {
    if (!fake.pix.sizeimage || fake.num_buffers || request->memory != V4L2_MEMORY_MMAP)
        return refuse(EINVAL);
    fake.num_buffers = request->count < MAX_BUFFERS ? request->count : MAX_BUFFERS;
    request->count = (uint32_t)fake.num_buffers;
    return 0;
}

static void fill_in(struct v4l2_buffer *out, uint32_t index) {
    const fake_buffer *buffer = &fake.buffers[index];
    out->index = index;
    out->m.offset = index << 12;
    out->length = fake.pix.sizeimage;
    out->bytesused = buffer->bytesused;
    out->sequence = buffer->sequence;
    out->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (buffer->sequence == fake.settings.damaged)
        out->flags |= V4L2_BUF_FLAG_ERROR;
}

static bool is_ours(const struct v4l2_buffer *buffer) {
    return buffer->index < fake.num_buffers && buffer->memory == V4L2_MEMORY_MMAP;
}

static int queue(const struct v4l2_buffer *given) {
    if (!is_ours(given) || fake.buffers[given->index].place != WITH_PROGRAM)
        return refuse(EINVAL);
    fake_buffer *buffer = &fake.buffers[given->index];
    if (!buffer->memory)
        die("a buffer that is not mapped was queued");
    memset(buffer->memory, OTHERS_BYTES, fake.pix.sizeimage);
    buffer->place = QUEUED;
    fake.order[fake.num_ordered++] = given->index;
    return 0;
}

/* Frames for which no buffer is queued are lost, and their numbers with them. */
static bool receive_frame(void) {
    const uint32_t number = fake.sequence++;
    for (size_t i = 0; i < fake.num_ordered; i++) {
        fake_buffer *buffer = &fake.buffers[fake.order[i]];
        if (buffer->place != QUEUED)
            continue;
        const size_t size = write_picture(buffer->memory);
        buffer->bytesused = (uint32_t)(number == fake.settings.cut ? size / 2 : size);
        buffer->sequence = number;
        buffer->place = FILLED;
        return true;
    }
    return false;
}

static int dequeue(struct v4l2_buffer *out) {
    if (!fake.streaming || out->memory != V4L2_MEMORY_MMAP)
        return refuse(EINVAL);
    if (fake.sequence == (uint32_t)fake.settings.unplug)
        return refuse(ENODEV);
    if (!fake.num_ordered || fake.buffers[fake.order[0]].place != FILLED)
        return refuse(EAGAIN);
    const uint32_t index = fake.order[0];
    memmove(fake.order, fake.order + 1, --fake.num_ordered * sizeof fake.order[0]);
    fake.buffers[index].place = WITH_PROGRAM;
    fill_in(out, index);
    return 0;
}

static int start_streaming(bool on) {
    if (on && !fake.num_ordered)
        return refuse(EINVAL);
    fake.streaming = on;
    return 0;
}

/* ---- the calls ---------------------------------------------------------------------------- */

int __wrap_open(const char *path, int flags, ...) {
    return strncmp(path, "fake:", 5) == 0 ? open_fake(path, flags) : __real_open(path, flags);
}

int __wrap_ioctl(int file, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (file != fake.file)
        return __real_ioctl(file, request, argument);
    switch (request) {
    case VIDIOC_QUERYCAP:
        return query_capabilities(argument);
    case VIDIOC_S_FMT:
        return set_format(argument);
    case VIDIOC_REQBUFS:
        return request_buffers(argument);
    case VIDIOC_QUERYBUF:
        if (!is_ours(argument))
            return refuse(EINVAL);
        fill_in(argument, ((struct v4l2_buffer *)argument)->index);
        return 0;
    case VIDIOC_QBUF:
        return queue(argument);
    case VIDIOC_DQBUF:
        return dequeue(argument);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return start_streaming(request == VIDIOC_STREAMON);
    default:
        return refuse(ENOTTY);
    }
}

int __wrap_poll(struct pollfd *files, nfds_t count, int timeout) {
    if (count != 1 || files->fd != fake.file)
        return __real_poll(files, count, timeout);
    if (fake.settings.silent)
        return 0;
    if (fake.sequence == (uint32_t)fake.settings.unplug) {
        files->revents = POLLERR;
        return 1;
    }
    bool received = false;
    for (long i = 0; i < fake.settings.burst; i++)
        received = receive_frame() || received;
    files->revents = received ? POLLIN : POLLERR;
    return 1;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
    if (file != fake.file)
        return __real_mmap(address, size, protection, flags, file, offset);
    const size_t index = (size_t)offset >> 12;
    if (index >= fake.num_buffers || fake.buffers[index].memory || size != fake.pix.sizeimage ||
        flags != MAP_SHARED)
        die("mapped otherwise than it was described");
    uint8_t *memory = malloc(size);
    if (!memory)
        die("out of memory");
    return fake.buffers[index].memory = memory;
}

int __wrap_munmap(void *address, size_t size) {
    for (size_t i = 0; i < fake.num_buffers; i++)
        if (fake.buffers[i].memory == address && size == fake.pix.sizeimage) {
            free(address);
            fake.buffers[i].memory = NULL;
            return 0;
        }
    return __real_munmap(address, size);
}

int __wrap_close(int file) {
    if (file == fake.file) {
        if (fake.streaming)
            die("closed while it streams");
        for (size_t i = 0; i < fake.num_buffers; i++)
            if (fake.buffers[i].memory)
                die("closed with a buffer mapped");
        vt_image_free(&fake.picture);
        fake.file = -1;
    }
    return __real_close(file);
}
