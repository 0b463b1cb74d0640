/* SPDX-License-Identifier: MIT
 *
 * Rotary position embedding (Su et al. 2021): channel pairs of q and k are rotated by an angle that
 * grows with the position, so that q . k depends on the difference alone.
 */
#ifndef VT_NN_ROPE_H
#define VT_NN_ROPE_H

#include "nn/dense.h"

/* Which channels make a pair. */
typedef enum vt_rope_layout {
    VT_ROPE_HALVES,     /* i and i + pairs (GPT-NeoX, Llama: "rotate_half") */
    VT_ROPE_INTERLEAVED /* 2i and 2i + 1 (the paper, GPT-J, EVA-02) */
} vt_rope_layout;

/* A table of rotations, one row a token; what is behind the first 2 * pairs channels of a head
 * stays as it is. */
typedef struct vt_rope {
    const float *cos, *sin; /* [tokens - num_prefix][pairs], of the first head or of all */
    size_t pairs;
    size_t num_prefix; /* the first tokens of each item are not rotated */
    vt_rope_layout layout;
    size_t head_stride; /* floats from a head's table to the next one's; 0: all share one */
} vt_rope;

/* Rotates x[batch * tokens][num_heads * head_dim] (leading dimension ld) in place. */
void vt_rope_apply(const vt_compute *compute, const vt_rope *rope, float *x, size_t ld,
                   size_t batch, size_t tokens, size_t num_heads, size_t head_dim);

/* ---- one axis: text ----------------------------------------------------------------------------
 */

/* How a context longer than the trained one is squeezed into it. */
typedef enum vt_rope_scaling_kind {
    VT_ROPE_SCALING_NONE = 0,
    VT_ROPE_SCALING_LINEAR,   /* positions / factor (Chen et al. 2023, position interpolation) */
    VT_ROPE_SCALING_NTK,      /* base * factor^(d / (d - 2)) (bloc97 2023, NTK-aware) */
    VT_ROPE_SCALING_DYNAMIC,  /* NTK with the factor that the current length calls for */
    VT_ROPE_SCALING_YARN,     /* by wavelength, between those two (Peng et al. 2023) */
    VT_ROPE_SCALING_LLAMA3,   /* by wavelength, as Llama 3.1 does it */
    VT_ROPE_SCALING_LONGROPE, /* a searched factor a pair (Ding et al. 2024) */
    VT_ROPE_SCALING_COUNT
} vt_rope_scaling_kind;

enum { VT_ROPE_MAX_PAIRS = 256 };

typedef struct vt_rope_config {
    double theta; /* the base, 10000 */
    size_t pairs; /* rotated channels of a head / 2 */
    vt_rope_layout layout;
    size_t max_positions; /* max_position_embeddings of the configuration */
    vt_rope_scaling_kind scaling;
    double factor;
    size_t original_positions;                /* trained length; 0: max_positions */
    double attention_factor;                  /* 0: the rule's own (YaRN, LongRoPE) */
    double beta_fast, beta_slow;              /* YaRN; 0: 32 and 1 */
    double mscale, mscale_all_dim;            /* YaRN as DeepSeek has it; 0: not there */
    bool no_truncate;                         /* YaRN: the ramp's ends stay fractions */
    double low_freq_factor, high_freq_factor; /* Llama 3 */
    float short_factor[VT_ROPE_MAX_PAIRS], long_factor[VT_ROPE_MAX_PAIRS]; /* LongRoPE */
} vt_rope_config;

/* "yarn"; and back: VT_ROPE_SCALING_COUNT when the name is not known. */
const char *vt_rope_scaling_name(vt_rope_scaling_kind kind);
vt_rope_scaling_kind vt_rope_scaling_from_name(const char *name);

/* inverse_frequencies[pairs], for a sequence of `length` tokens (dynamic NTK and LongRoPE depend on
 * it). Returns the factor that cos and sin are multiplied by. Source: transformers 4.57,
 * modeling_rope_utils.py. */
double vt_rope_frequencies(float *inverse_frequencies, const vt_rope_config *config, size_t length);

/* cos and sin [count][pairs] of positions first, first + 1, …; angles are formed in F32, as the
 * reference does. */
void vt_rope_fill(float *cos_out, float *sin_out, const vt_rope_config *config, size_t length,
                  size_t first, size_t count);

/* ---- two axes: pictures ------------------------------------------------------------------------
 */

typedef enum vt_rope2d_kind {
    VT_ROPE2D_EVA,    /* EVA-02: t = i * reference grid / grid, bands theta^(-j / (d/4)) */
    VT_ROPE2D_DINOV3, /* DINOv3: patch centres in [-1, 1], periods theta^(2j / (d/2)), times 2 pi */
    VT_ROPE2D_MIXED   /* RoPE-mixed (Heo et al. 2024): learned frequencies of each block and head */
} vt_rope2d_kind;

typedef struct vt_rope2d_config {
    vt_rope2d_kind kind;
    double theta;
    size_t pairs; /* head_dim / 2: half for the row, half for the column */
    vt_rope_layout layout;
    size_t ref_h, ref_w; /* EVA: the grid that coordinates are scaled to; 0: they are not scaled */
    double offset;       /* EVA: added to a coordinate before that */
    bool column_first;   /* EVA: bands of the column, then of the row */
} vt_rope2d_config;

/* cos and sin [grid_h * grid_w][pairs]. */
void vt_rope2d_fill(float *cos_out, float *sin_out, const vt_rope2d_config *config, size_t grid_h,
                    size_t grid_w);

/* The same of frequencies that were learned: the angle of pair j is column * fx[j] + row * fy[j].
 */
void vt_rope2d_fill_mixed(float *cos_out, float *sin_out, const float *fx, const float *fy,
                          size_t pairs, size_t grid_h, size_t grid_w);

#endif
