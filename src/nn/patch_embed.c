/* SPDX-License-Identifier: MIT */
#include "nn/patch_embed.h"

#include <string.h>

#include "base/memory.h"

enum { CHANNELS = 3 };

typedef struct im2col_call {
    float *columns;      /* [grid_h * grid_w][3][patch][patch] */
    const float *pixels; /* [3][grid_h * patch][grid_w * patch] */
    size_t patch, grid_h, grid_w;
} im2col_call;

/* Task: one row of patches. */
static void im2col_task(void *context, size_t grid_y, size_t thread) {
    (void)thread;
    const im2col_call *call = context;
    size_t patch = call->patch, stride = call->grid_w * patch,
           plane = call->grid_h * patch * stride;
    size_t per_patch = CHANNELS * patch * patch;
    float *out = call->columns + grid_y * call->grid_w * per_patch;
    for (size_t grid_x = 0; grid_x < call->grid_w; grid_x++)
        for (size_t c = 0; c < CHANNELS; c++)
            for (size_t y = 0; y < patch; y++, out += patch)
                memcpy(out,
                       call->pixels + c * plane + (grid_y * patch + y) * stride + grid_x * patch,
                       patch * sizeof *out);
}

static void write_prefix(const vt_patch_embed *embed, float *x, const float *pos) {
    size_t width = embed->proj.weight.n;
    for (size_t row = 0; row < embed->num_prefix; row++) {
        const float *token = embed->prefix + row * width;
        const float *position = pos && row < embed->num_pos_prefix ? pos + row * width : NULL;
        for (size_t i = 0; i < width; i++)
            x[row * width + i] = token[i] + (position ? position[i] : 0.0f);
    }
}

void vt_patch_embed_padded(const vt_compute *compute, const vt_patch_embed *embed, float *x,
                           const float *pixels, size_t grid_h, size_t grid_w, size_t rows,
                           const float *pos, float *columns) {
    size_t width = embed->proj.weight.n, per_patch = embed->proj.weight.k;
    size_t num_patches = grid_h * grid_w;
    im2col_call call = {columns, pixels, embed->patch_size, grid_h, grid_w};
    const float *patch_pos = pos ? pos + embed->num_pos_prefix * width : NULL;
    bool has_norm = embed->norm.weight != NULL;
    vt_pool_run(compute->pool, im2col_task, &call, grid_h);
    memset(columns + num_patches * per_patch, 0,
           (rows - num_patches) * per_patch * sizeof *columns);
    write_prefix(embed, x, pos);
    x += embed->num_prefix * width;
    vt_dense_forward(compute, &embed->proj, x, width, columns, per_patch, rows,
                     (vt_epilogue){.residual = has_norm ? NULL : patch_pos});
    vt_norm_forward(compute, &embed->norm, x, width, x, width, rows, width);
    if (has_norm && patch_pos)
        compute->kernels->axpy(x, patch_pos, 1.0f, rows * width);
}

void vt_patch_embed_forward(const vt_compute *compute, const vt_patch_embed *embed, float *x,
                            const float *pixels, size_t count, size_t grid_h, size_t grid_w,
                            const float *pos, float *columns) {
    size_t num_patches = grid_h * grid_w;
    for (size_t item = 0; item < count; item++) {
        vt_patch_embed_padded(compute, embed, x, pixels, grid_h, grid_w, num_patches, pos, columns);
        x += (embed->num_prefix + num_patches) * embed->proj.weight.n;
        pixels += num_patches * embed->proj.weight.k;
    }
}
