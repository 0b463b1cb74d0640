/* SPDX-License-Identifier: MIT */
#include "models/config.h"

#include "base/error.h"

size_t vt_config_pooled_width(const vt_text_config *config) {
    return config->pooler_width ? config->pooler_width : config->encoder.width;
}

size_t vt_config_num_prefix(const vt_vision_config *config) {
    return config->num_class_tokens + config->num_distill_tokens + config->num_registers;
}

void vt_config_input_size(const vt_vision_config *config, size_t *height, size_t *width) {
    *height = config->input_height ? config->input_height : config->image_height;
    *width = config->input_width ? config->input_width : config->image_width;
}

void vt_config_native_grid(const vt_vision_config *config, size_t *grid_h, size_t *grid_w) {
    *grid_h = config->image_height / config->patch_size;
    *grid_w = config->image_width / config->patch_size;
}

size_t vt_config_num_patches(const vt_vision_config *config) {
    size_t grid_h, grid_w;
    vt_config_native_grid(config, &grid_h, &grid_w);
    return grid_h * grid_w;
}

/* Far above any published model, far below where products of three would overflow 64 bits. */
static const double MAX_THETA = 1e12;
enum { MAX_DIM = 1 << 20, MAX_DEPTH = 1 << 12, MAX_ROWS = 1 << 24 };

typedef struct size_rule {
    const char *what;
    size_t value, min, max;
} size_rule;

static vt_status check_sizes(const size_rule *rules, size_t count, const char *where,
                             vt_error *err) {
    for (size_t i = 0; i < count; i++)
        if (rules[i].value < rules[i].min || rules[i].value > rules[i].max)
            return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: %s: expected %zu to %zu, found %zu", where,
                           rules[i].what, rules[i].min, rules[i].max, rules[i].value);
    return VT_OK;
}

static vt_status check_encoder(const vt_encoder_config *encoder, const char *where, vt_error *err) {
    const vt_attention_shape *heads = &encoder->attention;
    const size_rule rules[] = {
        {"number of blocks", encoder->depth, 1, MAX_DEPTH},
        {"width", encoder->width, 1, MAX_DIM},
        {"MLP width", encoder->mlp_dim, 1, MAX_DIM},
        {"number of heads", heads->num_heads, 1, MAX_DEPTH},
        {"head width", heads->head_dim, 1, MAX_DEPTH},
    };
    vt_status status = check_sizes(rules, sizeof rules / sizeof rules[0], where, err);
    if (!status && (heads->num_kv_heads == 0 || heads->num_heads % heads->num_kv_heads != 0))
        status = vt_fail(err, VT_ERR_UNSUPPORTED,
                         "%s: %zu query heads cannot share %zu key and value heads", where,
                         heads->num_heads, heads->num_kv_heads);
    return status;
}

static vt_status check_vision(const vt_config *config, const char *where, vt_error *err) {
    const vt_vision_config *vision = &config->vision;
    const size_rule rules[] = {
        {"patch size", vision->patch_size, 1, MAX_DEPTH},
        {"patch size asked for", vision->run_patch_size, 1, MAX_DEPTH},
        {"image height", vision->image_height, vision->patch_size, MAX_DIM},
        {"image width", vision->image_width, vision->patch_size, MAX_DIM},
        {"input height", vision->input_height, 0, MAX_DIM},
        {"input width", vision->input_width, 0, MAX_DIM},
        {"number of registers", vision->num_registers, 0, MAX_DEPTH},
        {"number of pooling heads", vision->pool_heads, 0, MAX_DEPTH},
        {"rotary reference grid height", vision->rope.ref_h, 0, MAX_DIM},
        {"rotary reference grid width", vision->rope.ref_w, 0, MAX_DIM},
        {"number of classes", config->num_classes, 0, MAX_ROWS},
        {"blocks that the classifier sees", config->head_blocks, 0, vision->encoder.depth},
    };
    vt_status status = check_encoder(&vision->encoder, where, err);
    if (!status)
        status = check_sizes(rules, sizeof rules / sizeof rules[0], where, err);
    if (!status && vision->naflex &&
        (config->preprocess.max_num_patches == 0 || config->preprocess.max_num_patches > MAX_DIM))
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: a budget of %zu patches", where,
                         config->preprocess.max_num_patches);
    if (!status && vision->pos_is_sincos &&
        (vision->encoder.width % 4 != 0 || vt_config_num_patches(vision) > MAX_DIM))
        status = vt_fail(err, VT_ERR_UNSUPPORTED,
                         "%s: sine and cosine positions of %zu patches of %zu channels", where,
                         vt_config_num_patches(vision), vision->encoder.width);
    if (!status && vision->pooling == VT_POOL_TOKEN && vision->num_class_tokens == 0)
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: pools the class token, but has none", where);
    if (!status && vision->pool_heads && vision->encoder.width % vision->pool_heads != 0)
        status =
            vt_fail(err, VT_ERR_UNSUPPORTED, "%s: width %zu is no multiple of %zu pooling heads",
                    where, vision->encoder.width, vision->pool_heads);
    if (!status && vision->has_rope &&
        (vision->rope.pairs * 2 != vision->encoder.attention.head_dim ||
         vision->rope.pairs % 2 != 0))
        status = vt_fail(err, VT_ERR_UNSUPPORTED,
                         "%s: 2D rotary positions need heads of 4n channels", where);
    if (!status && vision->has_rope &&
        !(vision->rope.theta >= 1 && vision->rope.theta <= MAX_THETA))
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: rotary base: expected 1 to %g, found %g",
                         where, MAX_THETA, vision->rope.theta);
    return status;
}

static vt_status check_text(const vt_config *config, const char *where, vt_error *err) {
    const vt_text_config *text = &config->text;
    const size_rule rules[] = {
        {"vocabulary", text->vocab_size, 1, MAX_ROWS},
        {"number of positions", text->max_positions, 0, MAX_ROWS},
        {"pooler width", text->pooler_width, 0, MAX_DIM},
        {"number of token types", text->num_token_types, 0, MAX_DEPTH},
        {"rotated channel pairs", text->has_rope ? text->rope.pairs : 1, 1, VT_ROPE_MAX_PAIRS},
        {"rotated channels", text->has_rope ? 2 * text->rope.pairs : 0, 0,
         text->encoder.attention.head_dim},
        {"rank of an adapter", text->lora.enabled ? text->lora.rank : 1, 1, MAX_DEPTH},
        {"number of adapters", text->lora.enabled ? text->lora.count : 1, 1, MAX_DEPTH},
        {"relative position buckets", text->has_t5_bias ? text->t5_buckets : 4, 4, MAX_DEPTH},
        {"relative position reach", text->has_t5_bias ? text->t5_max_distance : MAX_DEPTH,
         text->has_t5_bias ? text->t5_buckets : 1, MAX_DIM},
    };
    vt_status status = check_encoder(&text->encoder, where, err);
    if (!status)
        status = check_sizes(rules, sizeof rules / sizeof rules[0], where, err);
    return status;
}

vt_status vt_config_check(const vt_config *config, const char *where, vt_error *err) {
    vt_status status = VT_OK;
    if (config->has_vision)
        status = check_vision(config, where, err);
    if (!status && config->has_text)
        status = check_text(config, where, err);
    if (!status && config->embed_dim > MAX_DIM)
        status =
            vt_fail(err, VT_ERR_UNSUPPORTED, "%s: projection width: expected 0 to %d, found %zu",
                    where, MAX_DIM, config->embed_dim);
    return status;
}
