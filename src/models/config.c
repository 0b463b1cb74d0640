/* SPDX-License-Identifier: MIT */
#include "models/config.h"

#include "base/error.h"

size_t vt_config_num_prefix(const vt_config *config) {
    return config->num_class_tokens + config->num_distill_tokens + config->num_registers;
}

size_t vt_config_num_patches(const vt_config *config) {
    return (config->image_height / config->patch_size) * (config->image_width / config->patch_size);
}

/* Far above any published model, far below where products of three would overflow 64 bits. */
enum { MAX_DIM = 1 << 20, MAX_DEPTH = 1 << 12 };

vt_status vt_config_check(const vt_config *config, const char *where, vt_error *err) {
    const vt_encoder_config *encoder = &config->encoder;
    const struct {
        const char *what;
        size_t value, min, max;
    } sizes[] = {
        {"number of blocks", encoder->depth, 1, MAX_DEPTH},
        {"width", encoder->width, 1, MAX_DIM},
        {"MLP width", encoder->mlp_dim, 1, MAX_DIM},
        {"number of heads", encoder->attention.num_heads, 1, MAX_DEPTH},
        {"head width", encoder->attention.head_dim, 1, MAX_DEPTH},
        {"patch size", config->patch_size, 1, MAX_DEPTH},
        {"image height", config->image_height, config->patch_size, MAX_DIM},
        {"image width", config->image_width, config->patch_size, MAX_DIM},
        {"number of registers", config->num_registers, 0, MAX_DEPTH},
        {"number of classes", config->num_classes, 0, (size_t)1 << 24},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value < sizes[i].min || sizes[i].value > sizes[i].max)
            return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: %s: expected %zu to %zu, found %zu", where,
                           sizes[i].what, sizes[i].min, sizes[i].max, sizes[i].value);
    size_t num_heads = encoder->attention.num_heads, kv_heads = encoder->attention.num_kv_heads;
    if (kv_heads == 0 || num_heads % kv_heads != 0)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: %zu query heads cannot share %zu key and value heads", where, num_heads,
                       kv_heads);
    if (config->pooling == VT_POOL_TOKEN && vt_config_num_prefix(config) == 0)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: pools the class token, but has none", where);
    return VT_OK;
}
