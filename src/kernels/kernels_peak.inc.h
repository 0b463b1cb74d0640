/* SPDX-License-Identifier: MIT
 *
 * What bounds every product, in terms of a vec header; included after kernels_gemm.inc.h, which
 * says how many sums the registers hold.
 */

/* The sums all begin and stay different, so that no compiler takes two for one, and stay near 1. */
static size_t multiply_add_f32(float *sum, size_t rounds) {
    enum { NUM_SUMS = TILE_ROWS * TILE_VECS };
    const vec x = vec_set(0.9999f), y = vec_set(1e-4f);
    vec sums[NUM_SUMS];
#pragma GCC unroll 32
    for (size_t i = 0; i < NUM_SUMS; i++)
        sums[i] = vec_set((float)i * 0.125f);
    for (size_t round = 0; round < rounds; round++)
#pragma GCC unroll 32
        for (size_t i = 0; i < NUM_SUMS; i++)
            sums[i] = vec_fma(sums[i], x, y);
    for (size_t i = 1; i < NUM_SUMS; i++)
        sums[0] = vec_add(sums[0], sums[i]);
    *sum = vec_sum(sums[0]);
    return rounds * NUM_SUMS * VEC_WIDTH * 2;
}
