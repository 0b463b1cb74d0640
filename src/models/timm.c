/* SPDX-License-Identifier: MIT */
#include "models/timm.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "models/hub.h"

const char *vt_timm_architecture(const json_t *config) {
    const char *name = json_string_value(json_object_get(config, "architecture"));
    return name ? name : "";
}

vt_timm vt_timm_of(const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const json_t *pretrained = json_object_get(config, "pretrained_cfg");
    const char *where = vt_checkpoint_config_path(checkpoint);
    return (vt_timm){
        .checkpoint = checkpoint,
        .architecture = vt_timm_architecture(config),
        .prefix = "",
        .config = vt_json_reader_of(config, where, err),
        .args = vt_json_reader_of(json_object_get(config, "model_args"), where, err),
        .pretrained = vt_json_reader_of(pretrained ? pretrained : config, where, err),
    };
}

static const vt_tensor *find_tensor(const vt_timm *timm, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", timm->prefix, name);
    return vt_checkpoint_find(timm->checkpoint, full);
}

bool vt_timm_has_tensor(const vt_timm *timm, const char *name) {
    return find_tensor(timm, name) != NULL;
}

size_t vt_timm_dim(const vt_timm *timm, const char *name, size_t axis) {
    const vt_tensor *tensor = find_tensor(timm, name);
    return tensor && axis < tensor->ndim ? tensor->shape[axis] : 0;
}

void vt_timm_image(vt_vision_config *out, vt_timm *timm) {
    const json_t *input = json_object_get(timm->pretrained.object, "input_size");
    json_int_t height = json_integer_value(json_array_get(input, 1));
    json_int_t width = json_integer_value(json_array_get(input, 2));
    out->image_height = height > 0 ? (size_t)height : 224;
    out->image_width = width > 0 ? (size_t)width : 224;
    vt_json_size_pair(&timm->args, "img_size", &out->image_height, &out->image_width);
    size_t stored = vt_timm_dim(timm, "patch_embed.proj.weight", 2);
    out->patch_size = vt_json_size(&timm->args, "patch_size", stored ? stored : 16);
    if (out->patch_size == 0) {
        if (!timm->args.status)
            timm->args.status =
                vt_fail(timm->args.err, VT_ERR_FORMAT, "%s: patch_size is 0", timm->args.where);
        out->patch_size = 1; /* so that a family may divide by it before it looks at the status */
    }
}

size_t vt_timm_width(vt_timm *timm) {
    return vt_json_size(&timm->args, "embed_dim", vt_timm_dim(timm, "patch_embed.proj.weight", 0));
}

static size_t count_blocks(const vt_timm *timm) {
    size_t depth = 0;
    char tensor[64];
    do
        snprintf(tensor, sizeof tensor, "blocks.%zu.norm1.weight", depth);
    while (vt_timm_has_tensor(timm, tensor) && ++depth);
    return depth;
}

/* layers/mlp.py: SwiGLUPacked and GluMlp make gate and value with one layer, fc1, twice as wide
 * as what fc2 takes; SwiGLU with two, fc1_g and fc1_x. */
static bool is_gated(const vt_timm *timm, size_t mlp_dim) {
    return vt_timm_has_tensor(timm, "blocks.0.mlp.fc1_g.weight") ||
           (mlp_dim && vt_timm_dim(timm, "blocks.0.mlp.fc1.weight", 0) == 2 * mlp_dim);
}

void vt_timm_encoder(vt_encoder_config *out, vt_timm *timm, size_t num_heads,
                     const char *activation) {
    vt_json_reader *args = &timm->args;
    out->width = vt_timm_width(timm);
    out->depth = vt_json_size(args, "depth", count_blocks(timm));
    num_heads = vt_json_size(args, "num_heads", num_heads);
    if (!args->status && (num_heads == 0 || out->width % num_heads != 0))
        args->status = vt_fail(args->err, VT_ERR_UNSUPPORTED,
                               "%s: embed_dim %zu is no multiple of num_heads %zu", args->where,
                               out->width, num_heads);
    out->attention = vt_attention_shape_of(num_heads, num_heads ? out->width / num_heads : 0);
    out->norm = vt_timm_has_tensor(timm, "blocks.0.norm1.bias") ? VT_NORM_LAYER : VT_NORM_RMS;
    size_t mlp_dim = vt_timm_dim(timm, "blocks.0.mlp.fc2.weight", 1);
    if (!mlp_dim) /* so that the binder tells what is missing */
        mlp_dim = vt_timm_dim(timm, "blocks.0.mlp.fc1.weight", 0);
    out->mlp_dim = mlp_dim ? mlp_dim : 4 * out->width;
    out->gated_mlp = is_gated(timm, out->mlp_dim);
    out->activation = vt_hub_activation(args, "act_layer", out->gated_mlp ? "silu" : activation);
}

void vt_timm_pooling(vt_vision_config *out, vt_timm *timm, const char *fallback) {
    static const struct {
        const char *name;
        vt_pooling_kind kind;
    } kinds[] = {
        {"token", VT_POOL_TOKEN},    {"avg", VT_POOL_AVG}, {"max", VT_POOL_MAX},
        {"avgmax", VT_POOL_AVG_MAX}, {"map", VT_POOL_MAP},
    };
    const char *pooling = vt_json_string(&timm->args, "global_pool", fallback);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(pooling, kinds[i].name) == 0) {
            out->pooling = kinds[i].kind;
            return;
        }
    }
    if (!timm->args.status)
        timm->args.status =
            vt_fail(timm->args.err, VT_ERR_UNSUPPORTED,
                    "%s: \"global_pool\": \"%s\" is not supported", timm->args.where, pooling);
}

vt_status vt_timm_finish(vt_config *out, vt_timm *timm, vt_error *err) {
    vt_json_reader *config = &timm->config, *args = &timm->args, *pretrained = &timm->pretrained;
    size_t num_classes = vt_json_size(pretrained, "num_classes", 1000);
    num_classes = vt_json_size(config, "num_classes", num_classes);
    out->num_classes = vt_json_size(args, "num_classes", num_classes);
    out->multi_label =
        vt_hub_is_multi_label(config->object) || vt_hub_is_multi_label(pretrained->object);
    if (config->status || args->status || pretrained->status)
        return config->status ? config->status : args->status ? args->status : pretrained->status;
    return vt_preprocess_from_timm(&out->preprocess, pretrained->object, err);
}
