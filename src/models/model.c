/* SPDX-License-Identifier: MIT */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "models/finite.h"
#include "models/hub.h"
#include "models/pack.h"
#include "models/random.h"
#include "models/rope_config.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

const char *vt_version(void) {
    return STRINGIFY(VT_VERSION_MAJOR) "." STRINGIFY(VT_VERSION_MINOR) "." STRINGIFY(
        VT_VERSION_PATCH);
}

size_t vt_model_round_to_patches(const vt_model *model, size_t pixels) {
    size_t patch = model->config.vision.run_patch_size;
    size_t patches = pixels / patch + (pixels % patch >= (patch + 1) / 2);
    return (patches ? patches : 1) * patch;
}

static vt_status open_positions(vt_model *model, vt_error *err) {
    const vt_vision_config *config = &model->config.vision;
    if (!model->weights.vision.pos_embed)
        return VT_OK;
    vt_pos_table native = {
        .table = model->weights.vision.pos_embed,
        .num_prefix = config->num_pos_prefix,
        .width = config->encoder.width,
        .rule = model->pos_resize,
    };
    vt_config_native_grid(config, &native.grid_h, &native.grid_w);
    return vt_pos_cache_create(&model->positions, &native, err);
}

static vt_status override_rope(vt_text_config *text, const char *scaling, vt_error *err) {
    if (!text->has_rope)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "rope_scaling \"%.64s\": the model has no rotary positions", scaling);
    return vt_rope_config_override(&text->rope, scaling, err);
}

/* With threads of its own, which end with it. */
static vt_status bind_weights(vt_model *model, const vt_model_options *options, vt_error *err) {
    vt_backend_choice backend;
    vt_pool *pool = NULL;
    vt_status status = vt_precision_parse(&model->precision, options->precision, err);
    if (!status)
        status =
            vt_pack_settle(model->checkpoint, options, &model->kernels, &model->precision, err);
    if (!status)
        status = vt_backend_parse(&backend, options->backend, err);
    if (!status)
        status = vt_pool_create(&pool, options->num_threads, err);
    if (!status)
        status = vt_weights_bind(&model->weights, &model->config, model->family, model->checkpoint,
                                 model->kernels, model->precision, &backend, pool, err);
    vt_pool_destroy(pool);
    return status;
}

/* A model that knows its path and its kernels, and nothing else yet. */
static vt_status begin(vt_model **out, const char *path, const vt_model_options *options,
                       vt_error *err) {
    if (options->pos_resize >= VT_POS_RESIZE_COUNT)
        return vt_fail(err, VT_ERR_ARGUMENT, "pos_resize is %d, no vt_pos_resize",
                       (int)options->pos_resize);
    vt_model *model = *out = vt_calloc(1, sizeof *model);
    if (!model)
        return vt_fail_memory(err, "a model", sizeof *model);
    model->path = vt_strdup(path);
    if (!model->path)
        return vt_fail_memory(err, "a path", strlen(path));
    return vt_kernels_select(&model->kernels, options->kernels, err);
}

/* The family and the configuration. */
static vt_status read_config(vt_model *model, const vt_model_options *options, vt_error *err) {
    vt_config *config = &model->config;
    vt_status status = vt_family_find(&model->family, model->checkpoint, err);
    if (!status)
        config->text.eos_token = vt_hub_eos_token(vt_checkpoint_config(model->checkpoint));
    if (!status)
        status = model->family->configure(config, model->checkpoint, err);
    if (status && err)
        status = err->code; /* readers of a file's sections share it: the last to fail wrote it */
    if (!status && options->rope_scaling)
        status = override_rope(&config->text, options->rope_scaling, err);
    config->vision.run_patch_size =
        options->patch_size ? options->patch_size : config->vision.patch_size;
    return status ? status
                  : vt_config_check(config, vt_checkpoint_config_path(model->checkpoint), err);
}

/* Everything that follows from the checkpoint. */
static vt_status read_checkpoint(vt_model *model, const vt_model_options *options, vt_error *err) {
    const vt_config *config = &model->config;
    vt_status status = read_config(model, options, err);
    if (!status)
        status = bind_weights(model, options, err);
    if (!status && options->check_finite)
        status = vt_check_weights_finite(model, err);
    if (!status)
        status = vt_labels_load(&model->labels, options->labels_path,
                                vt_checkpoint_config(model->checkpoint), config->num_classes, err);
    model->pos_resize = options->pos_resize ? options->pos_resize : config->vision.pos_resize;
    model->grid_bias_resize =
        options->pos_resize ? options->pos_resize : config->vision.grid_bias_resize;
    if (!status)
        status = open_positions(model, err);
    if (!status && options->log)
        vt_weights_report_unused(&model->weights, model->family, model->checkpoint, options->log,
                                 options->log_user);
    return status;
}

/* How a checkpoint is come by: vt_checkpoint_open of a path, vt_random_checkpoint of a name. */
typedef vt_status (*open_checkpoint_fn)(vt_checkpoint **out, const char *path, vt_error *err);

static vt_status open_model(vt_model **out, const char *path, open_checkpoint_fn open_checkpoint,
                            const vt_model_options *options, vt_error *err) {
    vt_model_options full;
    vt_model *model = NULL;
    vt_status status = vt_options_take(&full, sizeof full, options, "vt_model_options", err);
    if (!status)
        status = begin(&model, path, &full, err);
    if (!status)
        status = open_checkpoint(&model->checkpoint, path, err);
    if (!status)
        status = read_checkpoint(model, &full, err);
    if (status) {
        vt_model_close(model);
        model = NULL;
    }
    *out = model;
    return status;
}

vt_status vt_model_open(vt_model **out, const char *path, const vt_model_options *options,
                        vt_error *err) {
    return open_model(out, path, vt_checkpoint_open, options, err);
}

vt_status vt_model_check(const char *path, vt_error *err) {
    const vt_model_options options = VT_MODEL_OPTIONS_INIT;
    vt_model *model = NULL;
    vt_status status = begin(&model, path, &options, err);
    if (!status)
        status = vt_checkpoint_open(&model->checkpoint, path, err);
    if (!status)
        status = read_config(model, &options, err);
    vt_model_close(model);
    return status;
}

vt_status vt_model_create_random(vt_model **out, const char *arch, const vt_model_options *options,
                                 vt_error *err) {
    return open_model(out, arch, vt_random_checkpoint, options, err);
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
        [VT_ACT_NONE] = "none",
        [VT_ACT_GELU_ERF] = "GELU (erf)",
        [VT_ACT_GELU_TANH] = "GELU (tanh)",
        [VT_ACT_GELU_QUICK] = "GELU (quick)",
        [VT_ACT_SILU] = "SiLU",
        [VT_ACT_RELU] = "ReLU",
        [VT_ACT_TANH] = "tanh",
    };
    return names[act];
}

static const char *positions_name(const vt_vision_config *vision) {
    if (vision->has_rope)
        return vision->has_pos_embed ? "learned 2D table, 2D rotary" : "2D rotary";
    if (vision->has_grid_bias)
        return vision->has_pos_embed ? "learned 2D table, 2D relative bias" : "2D relative bias";
    return vision->has_pos_embed ? "learned 2D table" : "none";
}

static const char *text_positions_name(const vt_text_config *text) {
    static const char *const rotary[VT_ROPE_SCALING_COUNT] = {
        [VT_ROPE_SCALING_NONE] = "rotary",
        [VT_ROPE_SCALING_LINEAR] = "rotary, linear scaling",
        [VT_ROPE_SCALING_NTK] = "rotary, NTK scaling",
        [VT_ROPE_SCALING_DYNAMIC] = "rotary, dynamic NTK scaling",
        [VT_ROPE_SCALING_YARN] = "rotary, YaRN scaling",
        [VT_ROPE_SCALING_LLAMA3] = "rotary, Llama 3 scaling",
        [VT_ROPE_SCALING_LONGROPE] = "rotary, LongRoPE scaling",
    };
    if (text->has_rope)
        return rotary[text->rope.scaling];
    if (text->has_alibi)
        return "ALiBi";
    if (text->has_t5_bias)
        return "T5 relative bias";
    return text->has_pos_embed ? "learned table" : text->has_sinusoids ? "sinusoids" : "none";
}

static const char *text_pooling_name(vt_text_pooling pooling) {
    static const char *const names[] = {
        [VT_TEXT_POOL_NONE] = "none",
        [VT_TEXT_POOL_FIRST] = "first token",
        [VT_TEXT_POOL_MEAN] = "mean",
        [VT_TEXT_POOL_LAST] = "last token",
        [VT_TEXT_POOL_EOS] = "end-of-text token",
        [VT_TEXT_POOL_ARGMAX] = "end-of-text token",
    };
    return names[pooling];
}

static const char *attention_name(const vt_encoder_config *encoder) {
    if (encoder->causal)
        return encoder->window ? "causal, sliding window" : "causal";
    if (encoder->window)
        return encoder->global_every ? "full, a window in most blocks" : "window";
    return "full";
}

void vt_model_describe(vt_model_info *out, const vt_model *model) {
    const vt_config *config = &model->config;
    const vt_vision_config *vision = &config->vision;
    const vt_encoder_config *encoder =
        config->has_vision ? &vision->encoder : &config->text.encoder;
    *out = (vt_model_info){
        .path = model->path,
        .family = model->family->name,
        .architecture = config->architecture,
        .weights = vt_dtype_name(model->weights.dtype),
        .kernels = model->kernels->name,
        .backend = vt_backend_name(model->weights.backend),
        .precision = vt_storage_name(model->weights.storage),
        .num_classes = config->num_classes,
        .num_parameters = model->weights.num_parameters,
        .width = encoder->width,
        .depth = encoder->depth,
        .num_heads = encoder->attention.num_heads,
        .head_dim = encoder->attention.head_dim,
        .mlp_dim = encoder->mlp_dim,
        .patch_size = vision->run_patch_size,
        .num_prefix_tokens = vt_config_num_prefix(vision),
        .norm = encoder->norm == VT_NORM_LAYER ? "LayerNorm" : "RMSNorm",
        .norm_eps = encoder->norm_eps,
        .activation = activation_name(encoder->activation),
        .gated_mlp = encoder->gated_mlp,
        .pooling = config->has_vision ? vt_pooling_name(vision->pooling)
                                      : text_pooling_name(config->text.pooling),
        .positions =
            config->has_vision ? positions_name(vision) : text_positions_name(&config->text),
        .num_pos_prefix = vision->num_pos_prefix,
        .pos_resize = vt_pos_resize_name(model->pos_resize),
        .attention = attention_name(encoder),
        .embed_norm = config->has_vision ? vision->pre_norm : config->text.embed_norm,
        .multi_label = config->multi_label || config->has_logit_bias,
    };
    memcpy(out->mean, config->preprocess.mean, sizeof out->mean);
    memcpy(out->std, config->preprocess.std, sizeof out->std);
    vt_config_input_size(vision, &out->image_height, &out->image_width);
    vt_preprocess_describe(&config->preprocess, out->preprocessing, sizeof out->preprocessing,
                           out->image_height, out->image_width);
}
