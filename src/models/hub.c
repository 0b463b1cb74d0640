/* SPDX-License-Identifier: MIT */
#include "models/hub.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

const char *vt_hub_architecture(const json_t *config) {
    const char *first =
        json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return first ? first : type ? type : "";
}

bool vt_hub_is_architecture(const json_t *config, const char *name) {
    size_t i;
    const json_t *value;
    json_array_foreach(json_object_get(config, "architectures"), i, value) {
        const char *text = json_string_value(value);
        if (text && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool vt_hub_has_lm_head(const vt_checkpoint *checkpoint) {
    const char *architecture = vt_hub_architecture(vt_checkpoint_config(checkpoint));
    return ends_with(architecture, "ForCausalLM") || ends_with(architecture, "LMHeadModel") ||
           vt_checkpoint_find(checkpoint, "lm_head.weight");
}

size_t vt_hub_num_labels(const json_t *config) {
    const json_t *count = json_object_get(config, "num_labels");
    const json_t *labels = json_object_get(config, "id2label");
    if (json_is_integer(count) && json_integer_value(count) > 0)
        return (size_t)json_integer_value(count);
    return json_is_object(labels) ? json_object_size(labels) : 2;
}

int64_t vt_hub_eos_token(const json_t *config) {
    const json_t *value = json_object_get(config, "eos_token_id");
    if (json_is_array(value))
        value = json_array_get(value, 0);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

bool vt_hub_is_multi_label(const json_t *config) {
    const char *problem = json_string_value(json_object_get(config, "problem_type"));
    return problem && strcmp(problem, "multi_label_classification") == 0;
}

vt_activation vt_hub_activation(vt_json_reader *reader, const char *key, const char *fallback) {
    static const struct {
        const char *name;
        vt_activation act;
    } activations[] = {
        {"gelu", VT_ACT_GELU_ERF},
        {"gelu_python", VT_ACT_GELU_ERF},
        {"gelu_tanh", VT_ACT_GELU_TANH},
        {"gelu_pytorch_tanh", VT_ACT_GELU_TANH},
        {"gelu_new", VT_ACT_GELU_TANH},
        {"gelu_fast", VT_ACT_GELU_TANH},
        {"quick_gelu", VT_ACT_GELU_QUICK},
        {"quickgelu", VT_ACT_GELU_QUICK},
        {"silu", VT_ACT_SILU},
        {"swish", VT_ACT_SILU},
        {"relu", VT_ACT_RELU},
        {"tanh", VT_ACT_TANH},
    };
    const char *name = vt_json_string(reader, key, fallback);
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(name, activations[i].name) == 0)
            return activations[i].act;
    if (!reader->status)
        reader->status =
            vt_fail(reader->err, VT_ERR_UNSUPPORTED,
                    "%s: \"%s\": activation \"%s\" is not supported", reader->where, key, name);
    return VT_ACT_NONE;
}

static size_t size_named(vt_json_reader *reader, const char *key, size_t fallback) {
    return key ? vt_json_size(reader, key, fallback) : fallback;
}

static void read_heads(vt_attention_shape *out, vt_json_reader *reader, const vt_hub_keys *keys,
                       const vt_hub_defaults *defaults, size_t width) {
    size_t num_heads = size_named(reader, keys->num_heads, defaults->num_heads);
    size_t head_dim = size_named(reader, keys->head_dim, 0);
    if (!reader->status && (num_heads == 0 || (!head_dim && width % num_heads != 0)))
        reader->status =
            vt_fail(reader->err, VT_ERR_UNSUPPORTED, "%s: %s %zu is no multiple of %s %zu",
                    reader->where, keys->width, width, keys->num_heads, num_heads);
    if (reader->status)
        return;
    out->num_heads = out->num_kv_heads = num_heads;
    out->head_dim = head_dim ? head_dim : width / num_heads;
    out->scale = 1.0f / sqrtf((float)out->head_dim);
}

void vt_hub_encoder_config_named(vt_encoder_config *out, vt_json_reader *reader,
                                 const vt_hub_keys *keys, const vt_hub_defaults *defaults) {
    out->width = size_named(reader, keys->width, defaults->width);
    out->depth = size_named(reader, keys->depth, defaults->depth);
    bool quadruple = !defaults->mlp_dim && out->width <= SIZE_MAX / 4;
    size_t mlp_dim = quadruple ? 4 * out->width : defaults->mlp_dim;
    out->mlp_dim = size_named(reader, keys->mlp_dim, mlp_dim);
    read_heads(&out->attention, reader, keys, defaults, out->width);
    if (reader->status)
        return;
    out->norm = VT_NORM_LAYER;
    out->norm_eps = (float)vt_json_real(reader, keys->norm_eps, defaults->norm_eps);
    if (keys->activation)
        out->activation = vt_hub_activation(reader, keys->activation, defaults->activation);
}

void vt_hub_encoder_config(vt_encoder_config *out, vt_json_reader *reader,
                           const vt_hub_defaults *defaults) {
    static const vt_hub_keys keys = {
        .width = "hidden_size",
        .depth = "num_hidden_layers",
        .num_heads = "num_attention_heads",
        .mlp_dim = "intermediate_size",
        .activation = "hidden_act",
        .norm_eps = "layer_norm_eps",
    };
    vt_hub_encoder_config_named(out, reader, &keys, defaults);
}

void vt_hub_image_config(vt_vision_config *out, vt_json_reader *reader, size_t image_size,
                         size_t patch_size) {
    out->image_height = out->image_width = image_size;
    vt_json_size_pair(reader, "image_size", &out->image_height, &out->image_width);
    out->patch_size = vt_json_size(reader, "patch_size", patch_size);
    out->patch_bias = true;
}

vt_status vt_hub_preprocess(vt_preprocess *out, const vt_checkpoint *checkpoint,
                            const char *default_processor, vt_error *err) {
    json_t *json = NULL;
    vt_status status = vt_checkpoint_load_json(&json, checkpoint, "preprocessor_config.json", err);
    if (!status && !json) {
        json = json_pack("{s:s}", "image_processor_type", default_processor);
        if (!json)
            return vt_fail_memory(err, "a configuration", 0);
    }
    if (!status)
        status = vt_preprocess_from_hf(out, json, err);
    json_decref(json);
    return status;
}
