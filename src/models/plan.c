/* SPDX-License-Identifier: MIT
 *
 * What a forward pass costs, before it is run, and what the processor has to give.
 */
#include "base/error.h"
#include "kernels/peak.h"
#include "models/session.h"

/* Multiply-adds count twice, as everywhere in the field. */
static void count_flops(vt_model_plan *out, const vt_model *model) {
    const vt_config *config = &model->config;
    const vt_encoder_config *encoder = &config->vision.encoder;
    const vt_attention_shape *heads = &encoder->attention;
    double tokens = (double)out->num_tokens, width = (double)encoder->width;
    double patches = (double)(out->grid_height * out->grid_width);
    double last = (double)vt_vision_tokens_read(config); /* tokens that the last block computes */
    double depth = (double)encoder->depth, q_width = (double)(heads->num_heads * heads->head_dim);
    double mlp = (double)encoder->mlp_dim * (encoder->gated_mlp ? 3 : 2);
    double head = config->num_classes ? (double)model->weights.head.weight.k : 0;
    out->flops_patch_embed =
        2 * patches * (double)model->weights.vision.embed.proj.weight.k * width;
    double kv_width = (double)vt_encoder_qkv_width(encoder) - q_width;
    double rows = (depth - 1) * tokens + (last > 0 && last < tokens ? last : tokens);
    out->flops_attention = 4 * rows * tokens * q_width;
    out->flops_linear = 2 * width * (rows * (2 * q_width + mlp) + depth * tokens * kv_width);
    out->flops_head = 2 * head * (double)config->num_classes * (config->distill_head ? 2 : 1);
    out->flops =
        out->flops_patch_embed + out->flops_attention + out->flops_linear + out->flops_head;
}

vt_status vt_model_plan_forward(vt_model_plan *out, const vt_model *model, size_t batch,
                                size_t height, size_t width, size_t num_threads, vt_error *err) {
    const vt_vision_config *config = &model->config.vision;
    vt_vision_shape shape = {0};
    *out = (vt_model_plan){.weight_bytes = model->weights.bytes};
    if (!model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    vt_status status = vt_vision_find_shape(&shape, model, batch, height, width, err);
    if (!status)
        status = vt_vision_measure(&out->workspace_bytes, model, &shape,
                                   num_threads ? num_threads : vt_num_processors(), err);
    if (status)
        return status;
    out->grid_height = shape.grid_h;
    out->grid_width = shape.grid_w;
    out->input_height = shape.grid_h * config->run_patch_size;
    out->input_width = shape.grid_w * config->run_patch_size;
    out->num_tokens = shape.num_tokens;
    size_t native_h, native_w;
    vt_config_native_grid(config, &native_h, &native_w);
    out->positions_resized = (model->positions || config->has_grid_bias) &&
                             (shape.grid_h != native_h || shape.grid_w != native_w);
    count_flops(out, model);
    return VT_OK;
}

vt_status vt_measure_peak_gflops(double *out, const vt_model *model, size_t num_threads,
                                 vt_error *err) {
    vt_pool *pool;
    *out = 0;
    vt_status status = vt_pool_create(&pool, num_threads, err);
    if (!status)
        *out = vt_kernels_peak(model->kernels, pool);
    vt_pool_destroy(pool);
    return status;
}
