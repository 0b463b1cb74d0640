/* SPDX-License-Identifier: MIT
 *
 * The inner loops of Pillow's resize in plain C: included by one file an instruction set, and
 * vectorised for it by the compiler. Integers: all tables give the same bytes.
 */

static inline uint8_t resize_round(int32_t sum) {
    const int32_t value = sum >> VT_RESIZE_BITS; /* arithmetic: every compiler we know */
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* A pixel is taken as four bytes, so that its sums are one vector; the fourth is its neighbour's.
 */
static inline void resize_row_u8(uint8_t *out, const uint8_t *in, const vt_taps *taps) {
    for (size_t i = 0; i < taps->count; i++, out += 3) {
        const uint8_t *pixel = in + 3 * taps->first[i];
        const int32_t *weights = taps->fixed + i * taps->room;
        int32_t sum[4];
        for (size_t c = 0; c < 4; c++)
            sum[c] = 1 << (VT_RESIZE_BITS - 1);
        for (size_t j = 0; j < taps->length[i]; j++)
            for (size_t c = 0; c < 4; c++)
                sum[c] += weights[j] * pixel[3 * j + c];
        for (size_t c = 0; c < 3; c++)
            out[c] = resize_round(sum[c]);
    }
}

static inline void resize_rows_u8(uint8_t *out, size_t out_stride, const uint8_t *in,
                                  size_t in_stride, size_t num_rows, const vt_taps *taps) {
    for (size_t y = 0; y < num_rows; y++)
        resize_row_u8(out + y * out_stride, in + y * in_stride, taps);
}

/* A cache line or two at a time, so that the sums stay in registers. */
static inline void resize_columns_u8(uint8_t *out, const uint8_t *in, size_t stride, size_t count,
                                     const int32_t *weights, size_t num_weights) {
    enum { COLUMNS = 32 };
    size_t x = 0;
    for (; x + COLUMNS <= count; x += COLUMNS) {
        int32_t sum[COLUMNS];
        for (size_t b = 0; b < COLUMNS; b++)
            sum[b] = 1 << (VT_RESIZE_BITS - 1);
        for (size_t j = 0; j < num_weights; j++)
            for (size_t b = 0; b < COLUMNS; b++)
                sum[b] += weights[j] * in[j * stride + x + b];
        for (size_t b = 0; b < COLUMNS; b++)
            out[x + b] = resize_round(sum[b]);
    }
    for (; x < count; x++) {
        int32_t sum = 1 << (VT_RESIZE_BITS - 1);
        for (size_t j = 0; j < num_weights; j++)
            sum += weights[j] * in[j * stride + x];
        out[x] = resize_round(sum);
    }
}
