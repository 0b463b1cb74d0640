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

size_t vt_hub_num_labels(const json_t *config) {
    const json_t *count = json_object_get(config, "num_labels");
    const json_t *labels = json_object_get(config, "id2label");
    if (json_is_integer(count) && json_integer_value(count) > 0)
        return (size_t)json_integer_value(count);
    return json_is_object(labels) ? json_object_size(labels) : 2;
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
        {"gelu", VT_ACT_GELU_ERF},        {"gelu_python", VT_ACT_GELU_ERF},
        {"gelu_tanh", VT_ACT_GELU_TANH},  {"gelu_pytorch_tanh", VT_ACT_GELU_TANH},
        {"gelu_new", VT_ACT_GELU_TANH},   {"gelu_fast", VT_ACT_GELU_TANH},
        {"quick_gelu", VT_ACT_GELU_QUICK}, {"quickgelu", VT_ACT_GELU_QUICK},
        {"silu", VT_ACT_SILU},            {"swish", VT_ACT_SILU},
        {"relu", VT_ACT_RELU},            {"tanh", VT_ACT_TANH},
    };
    const char *name = vt_json_string(reader, key, fallback);
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(name, activations[i].name) == 0)
            return activations[i].act;
    if (!reader->status)
        reader->status = vt_fail(reader->err, VT_ERR_UNSUPPORTED,
                                 "%s: \"%s\": activation \"%s\" is not supported", reader->where, key,
                                 name);
    return VT_ACT_NONE;
}

void vt_hub_encoder_config(vt_encoder_config *out, vt_json_reader *reader,
                           const vt_hub_defaults *defaults) {
    out->width = vt_json_size(reader, "hidden_size", defaults->width);
    out->depth = vt_json_size(reader, "num_hidden_layers", defaults->depth);
    out->mlp_dim = vt_json_size(reader, "intermediate_size", defaults->mlp_dim);
    size_t num_heads = vt_json_size(reader, "num_attention_heads", defaults->num_heads);
    if (!reader->status && (num_heads == 0 || out->width % num_heads != 0))
        reader->status = vt_fail(reader->err, VT_ERR_UNSUPPORTED,
                                 "%s: hidden_size %zu is no multiple of num_attention_heads %zu",
                                 reader->where, out->width, num_heads);
    if (reader->status)
        return;
    out->attention = (vt_attention_shape){
        .num_heads = num_heads,
        .num_kv_heads = num_heads,
        .head_dim = out->width / num_heads,
        .scale = 1.0f / sqrtf((float)(out->width / num_heads)),
    };
    out->norm = VT_NORM_LAYER;
    out->norm_eps = (float)vt_json_real(reader, "layer_norm_eps", defaults->norm_eps);
    out->activation = vt_hub_activation(reader, "hidden_act", defaults->activation);
}

vt_status vt_hub_preprocess(vt_preprocess *out, const vt_checkpoint *checkpoint,
                           const char *default_processor, vt_error *err) {
    json_t *json = NULL;
    vt_status status =
        vt_checkpoint_load_json(&json, checkpoint, "preprocessor_config.json", err);
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
