/* SPDX-License-Identifier: MIT
 *
 * What a forward pass costs, before it is run, and what the processor has to give.
 */
#include "base/error.h"
#include "base/options.h"
#include "kernels/peak.h"
#include "models/session.h"

/* Of the last block, whose keys and values are not computed: what a query absorbs of them, its
 * product with the tokens, and theirs with the probabilities. */
static double count_absorbed(const vt_encoder_config *encoder, double queries, double tokens) {
    double heads = (double)encoder->attention.num_heads, width = (double)encoder->width;
    double head_dim = (double)encoder->attention.head_dim;
    return 4 * queries * heads * width * (head_dim + tokens);
}

/* Multiply-adds count twice, as everywhere in the field. The last block computes the first `few`
 * tokens alone, or all where that is 0. Matching tokens before they are merged is left out: it is
 * one head's product of half the queries with half the keys. */
static void count_flops(vt_model_plan *out, const vt_model *model, const vt_vision_shape *shape,
                        size_t few) {
    const vt_config *config = &model->config;
    const vt_encoder_config *encoder = &config->vision.encoder;
    const vt_attention_shape *heads = &encoder->attention;
    double width = (double)encoder->width, patches = (double)(shape->grid_h * shape->grid_w);
    double q_width = (double)(heads->num_heads * heads->head_dim);
    double kv_width = (double)vt_encoder_qkv_width(encoder) - q_width;
    double mlp = (double)encoder->mlp_dim * (encoder->gated_mlp ? 3 : 2);
    double head = config->num_classes ? (double)model->weights.head.weight.k : 0;
    bool absorbs =
        few && !config->vision.has_rope && !shape->merge && encoder->depth &&
        vt_block_can_absorb(encoder, &model->weights.vision.blocks[encoder->depth - 1], few);
    out->flops_patch_embed =
        2 * patches * (double)model->weights.vision.embed.proj.weight.k * width;
    for (size_t block = 0; block < encoder->depth; block++) {
        bool last = block + 1 == encoder->depth && few;
        double keys = (double)vt_vision_tokens_after(config, shape, block);
        double left = (double)vt_vision_tokens_after(config, shape, block + 1);
        double queries = last && (double)few < keys ? (double)few : keys;
        left = left < queries ? left : queries;
        bool absorbed = last && absorbs && queries < keys;
        out->flops_attention +=
            absorbed ? count_absorbed(encoder, queries, keys) : 4 * queries * keys * q_width;
        out->flops_linear += 2 * width * (2 * queries * q_width + left * mlp);
        out->flops_linear += absorbed ? 0 : 2 * width * keys * kv_width;
    }
    out->flops_head = 2 * head * (double)config->num_classes * (config->distill_head ? 2 : 1);
    out->flops =
        out->flops_patch_embed + out->flops_attention + out->flops_linear + out->flops_head;
}

vt_status vt_model_plan_session(vt_model_plan *out, const vt_model *model,
                                const vt_session_options *options, vt_error *err) {
    vt_session_options full;
    const vt_vision_config *config = &model->config.vision;
    vt_vision_shape shape = {0};
    *out = (vt_model_plan){.weight_bytes = model->weights.bytes};
    vt_status status = vt_options_take(&full, sizeof full, options, "vt_session_options", err);
    if (status)
        return status;
    if (!model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    size_t num_threads = full.num_threads ? full.num_threads : vt_num_processors();
    status = vt_vision_find_shape(&shape, model, &full, err);
    if (!status)
        status = vt_vision_measure(&out->workspace_bytes, model, &shape, num_threads, err);
    if (status)
        return status;
    out->grid_height = shape.grid_h;
    out->grid_width = shape.grid_w;
    out->input_height = shape.grid_h * config->run_patch_size;
    out->input_width = shape.grid_w * config->run_patch_size;
    out->num_tokens = shape.num_tokens;
    out->tokens_left = vt_vision_tokens_after(&model->config, &shape, config->encoder.depth);
    size_t native_h, native_w;
    vt_config_native_grid(config, &native_h, &native_w);
    out->positions_resized = (model->positions || config->has_grid_bias) &&
                             (shape.grid_h != native_h || shape.grid_w != native_w);
    count_flops(out, model, &shape, full.features ? 0 : vt_vision_tokens_read(&model->config));
    return VT_OK;
}

vt_status vt_model_plan_forward(vt_model_plan *out, const vt_model *model, size_t batch,
                                size_t height, size_t width, size_t num_threads, vt_error *err) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.height = height;
    options.width = width;
    options.num_threads = num_threads;
    return vt_model_plan_session(out, model, &options, err);
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
