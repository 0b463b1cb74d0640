/* SPDX-License-Identifier: MIT */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

const char *vt_version(void) {
    return STRINGIFY(VT_VERSION_MAJOR) "." STRINGIFY(VT_VERSION_MINOR) "." STRINGIFY(VT_VERSION_PATCH);
}

size_t vt_model_round_to_patches(const vt_model *model, size_t pixels) {
    size_t patch = model->config.vision.run_patch_size;
    size_t patches = pixels / patch + (pixels % patch >= (patch + 1) / 2);
    return (patches ? patches : 1) * patch;
}

static vt_status open_positions(vt_model *model, vt_error *err) {
    const vt_vision_config *config = &model->config.vision;
    vt_pos_table native = {
        .table = model->weights.vision.pos_embed,
        .num_prefix = config->num_pos_prefix,
        .width = config->encoder.width,
        .rule = model->pos_resize,
    };
    vt_config_native_grid(config, &native.grid_h, &native.grid_w);
    return native.table ? vt_pos_cache_create(&model->positions, &native, err) : VT_OK;
}

static vt_status open_model(vt_model *model, const char *path, const vt_model_options *options,
                            vt_error *err) {
    vt_config *config = &model->config;
    model->path = vt_strdup(path);
    if (!model->path)
        return vt_fail_memory(err, "a path", strlen(path));
    vt_status status = vt_kernels_select(&model->kernels, options->kernels, err);
    if (!status)
        status = vt_checkpoint_open(&model->checkpoint, path, err);
    if (!status)
        status = vt_family_find(&model->family, model->checkpoint, err);
    if (!status)
        status = model->family->configure(config, model->checkpoint, err);
    config->vision.run_patch_size = options->patch_size ? options->patch_size
                                                       : config->vision.patch_size;
    if (!status)
        status = vt_config_check(config, vt_checkpoint_config_path(model->checkpoint), err);
    if (!status)
        status = vt_weights_bind(&model->weights, config, model->family, model->checkpoint,
                                 model->kernels, err);
    if (!status)
        status = vt_labels_load(&model->labels, options->labels_path,
                                vt_checkpoint_config(model->checkpoint), config->num_classes, err);
    model->pos_resize = options->pos_resize ? options->pos_resize : config->vision.pos_resize;
    if (!status)
        status = open_positions(model, err);
    if (!status && options->log)
        vt_weights_report_unused(&model->weights, model->family, model->checkpoint, options->log,
                                 options->log_user);
    return status;
}

vt_status vt_model_open(vt_model **out, const char *path, const vt_model_options *options,
                        vt_error *err) {
    static const vt_model_options defaults = VT_MODEL_OPTIONS_INIT;
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->struct_size != sizeof *options || options->pos_resize >= VT_POS_RESIZE_COUNT)
        return vt_fail(err, VT_ERR_ARGUMENT, "vt_model_options are not initialised");
    vt_model *model = vt_calloc(1, sizeof *model);
    if (!model)
        return vt_fail_memory(err, "a model", sizeof *model);
    vt_status status = open_model(model, path, options, err);
    if (status) {
        vt_model_close(model);
        return status;
    }
    *out = model;
    return VT_OK;
}

void vt_model_close(vt_model *model) {
    if (!model)
        return;
    vt_pos_cache_destroy(model->positions);
    vt_labels_free(&model->labels);
    vt_weights_free(&model->weights);
    vt_checkpoint_close(model->checkpoint);
    vt_free(model->path);
    vt_free(model);
}

const char *vt_model_label(const vt_model *model, size_t index) {
    return index < model->labels.count ? model->labels.names[index] : "(no such class)";
}

const vt_tensor *vt_model_tensor(const vt_model *model, size_t index, bool *used) {
    const vt_tensor *tensor = vt_checkpoint_at(model->checkpoint, index);
    if (tensor && used)
        *used = model->weights.used[index];
    return tensor;
}

static const char *activation_name(vt_activation act) {
    static const char *const names[VT_ACT_COUNT] = {
        [VT_ACT_NONE] = "none",          [VT_ACT_GELU_ERF] = "GELU (erf)",
        [VT_ACT_GELU_TANH] = "GELU (tanh)", [VT_ACT_GELU_QUICK] = "GELU (quick)",
        [VT_ACT_SILU] = "SiLU",          [VT_ACT_RELU] = "ReLU",
        [VT_ACT_TANH] = "tanh",
    };
    return names[act];
}

void vt_model_describe(vt_model_info *out, const vt_model *model) {
    const vt_config *config = &model->config;
    const vt_vision_config *vision = &config->vision;
    const vt_encoder_config *encoder = config->has_vision ? &vision->encoder : &config->text.encoder;
    *out = (vt_model_info){
        .path = model->path,
        .family = model->family->name,
        .architecture = config->architecture,
        .weights = vt_dtype_name(model->weights.dtype),
        .kernels = model->kernels->name,
        .num_classes = config->num_classes,
        .num_parameters = model->weights.num_parameters,
        .width = encoder->width,
        .depth = encoder->depth,
        .num_heads = encoder->attention.num_heads,
        .head_dim = encoder->attention.head_dim,
        .mlp_dim = encoder->mlp_dim,
        .patch_size = vision->run_patch_size,
        .num_prefix_tokens = vt_config_num_prefix(vision),
        .image_height = vision->image_height,
        .image_width = vision->image_width,
        .norm = encoder->norm == VT_NORM_LAYER ? "LayerNorm" : "RMSNorm",
        .norm_eps = encoder->norm_eps,
        .activation = activation_name(encoder->activation),
        .gated_mlp = encoder->gated_mlp,
        .pooling = vt_pooling_name(vision->pooling),
        .positions = vision->has_pos_embed ? "learned 2D table" : "none",
        .num_pos_prefix = vision->num_pos_prefix,
        .pos_resize = vt_pos_resize_name(model->pos_resize),
        .attention = "full",
        .multi_label = config->multi_label,
    };
    memcpy(out->mean, config->preprocess.mean, sizeof out->mean);
    memcpy(out->std, config->preprocess.std, sizeof out->std);
    vt_preprocess_describe(&config->preprocess, out->preprocessing, sizeof out->preprocessing,
                           vision->image_height, vision->image_width);
}
