/* SPDX-License-Identifier: MIT
 *
 * Rows of other pixel formats to packed 8-bit RGB, in plain C: included by one file an instruction
 * set, and vectorised for it by the compiler. Integers: all tables give the same bytes.
 */

enum { COLOUR_BLOCK = 64 };

static inline uint8_t colour_clip(int32_t sum) {
    const int32_t value = sum >> VT_YUV_BITS; /* arithmetic: every compiler we know */
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* `count` (a constant where it matters) pixels, of which the first is the first of its pair. In
 * steps that are each one loop over bytes, which compilers vectorise. */
static inline __attribute__((always_inline)) void
yuv_block(uint8_t *rgb, const uint8_t *y, const uint8_t *u, const uint8_t *v, const size_t y_step,
          const size_t uv_step, const size_t count, const vt_yuv_coefficients *c) {
    uint8_t luma[COLOUR_BLOCK], cb[COLOUR_BLOCK], cr[COLOUR_BLOCK];
    uint8_t red[COLOUR_BLOCK], green[COLOUR_BLOCK], blue[COLOUR_BLOCK];
    for (size_t i = 0; i < count; i++)
        luma[i] = y[i * y_step];
    for (size_t i = 0; i < (count + 1) / 2; i++) {
        cb[2 * i] = cb[2 * i + 1] = u[i * uv_step];
        cr[2 * i] = cr[2 * i + 1] = v[i * uv_step];
    }
    for (size_t i = 0; i < count; i++)
        red[i] = colour_clip(c->y * luma[i] + c->red_v * cr[i] + c->red);
    for (size_t i = 0; i < count; i++)
        green[i] = colour_clip(c->y * luma[i] + c->green_u * cb[i] + c->green_v * cr[i] + c->green);
    for (size_t i = 0; i < count; i++)
        blue[i] = colour_clip(c->y * luma[i] + c->blue_u * cb[i] + c->blue);
    for (size_t i = 0; i < count; i++) {
        rgb[3 * i] = red[i];
        rgb[3 * i + 1] = green[i];
        rgb[3 * i + 2] = blue[i];
    }
}

static inline __attribute__((always_inline)) void
yuv_blocks(uint8_t *rgb, const uint8_t *y, const uint8_t *u, const uint8_t *v, const size_t y_step,
           const size_t uv_step, size_t count, const vt_yuv_coefficients *c) {
    size_t i = 0;
    for (; i + COLOUR_BLOCK <= count; i += COLOUR_BLOCK)
        yuv_block(rgb + 3 * i, y + i * y_step, u + i / 2 * uv_step, v + i / 2 * uv_step, y_step,
                  uv_step, COLOUR_BLOCK, c);
    if (i < count)
        yuv_block(rgb + 3 * i, y + i * y_step, u + i / 2 * uv_step, v + i / 2 * uv_step, y_step,
                  uv_step, count - i, c);
}

static void yuv_to_rgb(uint8_t *rgb, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                       size_t uv_step, size_t count, const vt_yuv_coefficients *c) {
    if (uv_step == 1)
        yuv_blocks(rgb, y, u, v, 1, 1, count, c);
    else if (uv_step == 2)
        yuv_blocks(rgb, y, u, v, 1, 2, count, c);
    else
        yuv_blocks(rgb, y, u, v, 2, 4, count, c);
}

static inline __attribute__((always_inline)) void reorder(uint8_t *rgb, const uint8_t *in,
                                                          const size_t step, const size_t red,
                                                          const size_t green, const size_t blue,
                                                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        rgb[3 * i] = in[step * i + red];
        rgb[3 * i + 1] = in[step * i + green];
        rgb[3 * i + 2] = in[step * i + blue];
    }
}

static void bytes_to_rgb(uint8_t *rgb, const uint8_t *in, size_t step, bool swapped, size_t count) {
    if (step == 1)
        reorder(rgb, in, 1, 0, 0, 0, count);
    else if (step == 3 && !swapped)
        memcpy(rgb, in, 3 * count);
    else if (step == 3)
        reorder(rgb, in, 3, 2, 1, 0, count);
    else if (!swapped)
        reorder(rgb, in, 4, 0, 1, 2, count);
    else
        reorder(rgb, in, 4, 2, 1, 0, count);
}
