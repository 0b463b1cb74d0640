/* SPDX-License-Identifier: MIT
 *
 * resize_rows of Pillow's resize, in AVX2.
 *
 * A weight has 24 bits and a byte 8. There is no product of that width but the slow 32-bit one,
 * which wants each byte spread to four; so a weight is taken as high 2^16 + low, both signed
 * 16-bit, and two pixels at a time go through vpmaddwd with either half:
 *
 *     pixels  R0 R1 G0 G1 B0 B1 0 0 | R2 R3 G2 G3 B2 B3 0 0
 *     low     l0 l1 l0 l1 l0 l1 . . | l2 l3 l2 l3 l2 l3 . .      sum = low + high 2^16
 *
 * Four rows share the weights.
 */

enum { RESIZE_ROWS = 4 };

/* The halves of four weights, each pair beside the pixels that it multiplies. */
static inline void resize_split(__m256i *low, __m256i *high, const int32_t *weights) {
    const __m256i lows = _mm256_setr_epi8(0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 8, 9, 12,
                                          13, 8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13);
    const __m256i highs = _mm256_add_epi8(lows, _mm256_set1_epi8(2));
    const __m256i four = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)weights));
    /* What a negative low half takes away, the high half has more. */
    const __m256i carried = _mm256_add_epi32(four, _mm256_set1_epi32(0x8000));
    *low = _mm256_shuffle_epi8(four, lows);
    *high = _mm256_shuffle_epi8(carried, highs);
}

static inline __m256i resize_load_pixels(const uint8_t *in) {
    const __m256i pairs =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                         -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m128i bytes = _mm_loadu_si128((const __m128i *)in);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
}

/* The three sums of a pixel, rounded, as 32-bit numbers: R G B and one that means nothing. */
static inline __m128i resize_sum(__m256i low, __m256i high) {
    const __m256i sums = _mm256_add_epi32(low, _mm256_slli_epi32(high, 16));
    const __m128i sum =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i half = _mm_set1_epi32(1 << (VT_RESIZE_BITS - 1));
    return _mm_srai_epi32(_mm_add_epi32(sum, half), VT_RESIZE_BITS);
}

/* One output pixel of `rows` (a constant, 1 or 4) rows. */
static inline __attribute__((always_inline)) void
resize_pixel(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
             const size_t rows, const int32_t *weights, size_t length) {
    __m256i low[RESIZE_ROWS], high[RESIZE_ROWS];
    for (size_t r = 0; r < rows; r++)
        low[r] = high[r] = _mm256_setzero_si256();
    for (size_t j = 0; j < length; j += VT_RESIZE_GROUP) {
        __m256i low_weights, high_weights;
        resize_split(&low_weights, &high_weights, weights + j);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            const __m256i pixels = resize_load_pixels(in + r * in_stride + 3 * j);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pixels, low_weights));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pixels, high_weights));
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
        const __m128i sum = resize_sum(low[r], high[r]);
        const __m128i words = _mm_packs_epi32(sum, sum);
        const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
        memcpy(out + r * out_stride, &bytes, 3);
    }
}

static inline __attribute__((always_inline)) void
resize_some_rows(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                 const size_t rows, const vt_taps *taps) {
    for (size_t i = 0; i < taps->count; i++)
        resize_pixel(out + 3 * i, out_stride, in + 3 * taps->first[i], in_stride, rows,
                     taps->fixed + i * taps->room, taps->length[i]);
}

static void resize_rows_avx2(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                             size_t num_rows, const vt_taps *taps) {
    size_t y = 0;
    for (; y + RESIZE_ROWS <= num_rows; y += RESIZE_ROWS)
        resize_some_rows(out + y * out_stride, out_stride, in + y * in_stride, in_stride,
                         RESIZE_ROWS, taps);
    for (; y < num_rows; y++)
        resize_some_rows(out + y * out_stride, out_stride, in + y * in_stride, in_stride, 1, taps);
}
