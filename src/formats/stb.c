/* SPDX-License-Identifier: MIT
 *
 * GIF (first frame), BMP, TGA, PSD, PNM and Radiance HDR through stb_image.
 */
#include "formats/decoders.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#if defined(__GNUC__) /* of its static functions we use a few; gcc looks at the end of the file */
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define STBI_NO_PNG
#define STBI_NO_JPEG
#define STBI_NO_PIC
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#define STBI_MALLOC(size) noted(vt_malloc(size, 1))
#define STBI_REALLOC_SIZED(memory, old_size, new_size)                                             \
    noted(vt_realloc(memory, old_size, new_size, 1))
#define STBI_FREE(memory) vt_free(memory)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION

/* stb_image forgets why when it goes on to ask whether the bytes are of another format. */
static _Thread_local bool out_of_memory;

static void *noted(void *memory) {
    out_of_memory |= memory == NULL;
    return memory;
}

#include <stb/stb_image.h>

/* stb_image reads zeros past the end of its bytes and does not tell. It does ask its reader for
 * them, though: one byte range at a time, or 128 bytes ahead. So a read that finds nothing at all,
 * or one of another length that comes back short, is one of bytes that the picture needs. */
typedef struct stb_reader {
    const uint8_t *bytes;
    size_t size, used;
    bool is_hdr, past_end;
} stb_reader;

enum { READ_AHEAD = sizeof((stbi__context *)0)->buffer_start };

static int read_bytes(void *user, char *out, int count) {
    stb_reader *reader = user;
    const size_t left = reader->size - reader->used;
    const size_t wanted = (size_t)count;
    const size_t taken = wanted < left ? wanted : left;
    if (taken < wanted && (taken == 0 || wanted != READ_AHEAD))
        reader->past_end = true;
    if (taken == 0 && reader->is_hdr) {
        /* Up to 2.27 the zeros past the end are runs of no pixels to its HDR reader, for ever. */
        out[0] = 1;
        return 1;
    }
    memcpy(out, reader->bytes + reader->used, taken);
    reader->used += taken;
    return (int)taken;
}

static stb_reader reader_of(const uint8_t *bytes, size_t size) {
    const bool is_hdr = size >= 2 && memcmp(bytes, "#?", 2) == 0;
    return (stb_reader){.bytes = bytes, .size = size, .is_hdr = is_hdr};
}

/* `count` is negative when stb_image puts back what it read ahead. */
static void skip_bytes(void *user, int count) {
    stb_reader *reader = user;
    if (count < 0) {
        const size_t back = (size_t)(-(long)count);
        reader->used -= back < reader->used ? back : reader->used;
        return;
    }
    if ((size_t)count > reader->size - reader->used) {
        reader->past_end = true;
        reader->used = reader->size;
        return;
    }
    reader->used += (size_t)count;
}

static int at_end(void *user) {
    const stb_reader *reader = user;
    return reader->used == reader->size;
}

static const stbi_io_callbacks CALLBACKS = {read_bytes, skip_bytes, at_end};

static vt_status fail(vt_error *err, bool past_end, size_t size) {
    const char *reason = stbi_failure_reason();
    if (out_of_memory)
        return vt_fail(err, VT_ERR_MEMORY, "image: out of memory");
    if (past_end)
        return vt_fail(err, VT_ERR_FORMAT, "image: truncated after %zu bytes", size);
    return vt_fail(err, VT_ERR_FORMAT, "image: %s", reason ? reason : "malformed");
}

/* Past white space and comments. */
static size_t skip_pnm_space(const uint8_t *bytes, size_t size, size_t at) {
    bool in_comment = false;
    for (; at < size; at++) {
        const uint8_t c = bytes[at];
        if (c == '\n' || c == '\r')
            in_comment = false;
        else if (c == '#')
            in_comment = true;
        else if (!in_comment && c != ' ' && c != '\t' && c != '\v' && c != '\f')
            break;
    }
    return at;
}

/* Refuses what up to 2.27 stb_image does not: numbers of a PNM's header that overflow an int, and
 * samples of two bytes, of which it reads twice as many as there are. */
static vt_status check_pnm(const uint8_t *bytes, size_t size, vt_error *err) {
    int64_t values[3] = {0}; /* width, height, largest sample */
    size_t at = 2;
    for (int i = 0; i < 3; i++)
        for (at = skip_pnm_space(bytes, size, at);
             at < size && bytes[at] >= '0' && bytes[at] <= '9'; at++) {
            values[i] = 10 * values[i] + (bytes[at] - '0');
            if (values[i] > INT_MAX)
                return vt_fail(err, VT_ERR_LIMIT, "image: a number of its header is over %d",
                               INT_MAX);
        }
    if (values[2] > 255)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "image: samples of up to %lld: of PNM those of one byte are read, to 255",
                       (long long)values[2]);
    return VT_OK;
}

/* Whether so few bytes can be such a picture. A run of 128 bytes takes two (TGA, PSD), all else
 * more, but for GIF, where a code of 12 bits stands for at most 4096 pixels. A GIF's pixels need
 * not all be drawn; one so large and so small in bytes is still no picture of anybody's.
 * stb_image would allocate the picture, and fill it with what it makes of nothing: seconds, and 9
 * bytes a pixel of a GIF, for a header of 18 bytes. */
static bool can_hold(const uint8_t *bytes, size_t size, int width, int height) {
    const bool is_gif = size >= 4 && memcmp(bytes, "GIF8", 4) == 0;
    const uint64_t pixels_a_byte = is_gif ? 4096 : 64;
    return (uint64_t)width * (uint64_t)height / pixels_a_byte <= size;
}

bool vt_is_tga(const uint8_t *bytes, size_t size) {
    int width, height, channels;
    const int length = size < INT_MAX ? (int)size : INT_MAX; /* the header is what counts */
    return stbi_info_from_memory(bytes, length, &width, &height, &channels) != 0;
}

vt_status vt_decode_stb(vt_raster *raster, const uint8_t *bytes, size_t size,
                        const vt_image_options *options, vt_error *err) {
    stb_reader reader = reader_of(bytes, size);
    int width, height, channels;
    out_of_memory = false;
    const bool is_pnm = memcmp(bytes, "P5", 2) == 0 || memcmp(bytes, "P6", 2) == 0;
    vt_status status = is_pnm ? check_pnm(bytes, size, err) : VT_OK;
    if (status)
        return status;
    if (!stbi_info_from_callbacks(&CALLBACKS, &reader, &width, &height, &channels))
        return fail(err, reader.past_end, size);

    /* stb_image allocates the raster itself: only check here that it may. */
    status = vt_raster_check((size_t)width, (size_t)height, options->max_pixels, err);
    if (status)
        return status;
    if (!can_hold(bytes, size, width, height))
        return fail(err, true, size);

    reader = reader_of(bytes, size);
    const int wanted = channels == 2 || channels == 4 ? 4 : 3;
    uint8_t *pixels =
        stbi_load_from_callbacks(&CALLBACKS, &reader, &width, &height, &channels, wanted);
    if (!pixels)
        return fail(err, reader.past_end, size);
    *raster = (vt_raster){.width = (size_t)width,
                          .height = (size_t)height,
                          .channels = (size_t)wanted,
                          .pixels = pixels,
                          .orientation = 1};
    return reader.past_end ? fail(err, true, size) : VT_OK;
}
