/* SPDX-License-Identifier: MIT
 *
 * Llama and the decoders that differ from it by a detail: Mistral's sliding window, Qwen3's norms
 * of queries and keys. RMSNorm first, rotary positions, grouped heads, gated MLP. Source:
 * transformers 4.57, models/{llama,mistral,qwen3}/modeling_*.py and configuration_*.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"
#include "models/rope_config.h"

/* What tells one model_type from another. */
typedef struct llama_kind {
    const char *type;
    vt_hub_defaults defaults;
    size_t num_kv_heads; /* 0: num_heads */
    size_t max_positions;
    size_t window;        /* default of sliding_window; 0: the type has none */
    bool window_is_asked; /* only with use_sliding_window, and from block max_window_layers on */
} llama_kind;

static const llama_kind kinds[] = {
    {"llama", {4096, 32, 32, 11008, "silu", 1e-6}, 0, 2048, 0, false},
    {"mistral", {4096, 32, 32, 14336, "silu", 1e-6}, 8, 131072, 4096, false},
    {"qwen3", {4096, 32, 32, 22016, "silu", 1e-6}, 32, 32768, 4096, true},
};

static const llama_kind *find_kind(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    for (size_t i = 0; type && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return &kinds[i];
    return NULL;
}

static bool matches(const json_t *config) {
    return find_kind(config) != NULL;
}

static bool block_slides(const llama_kind *kind, vt_json_reader *r, size_t block) {
    const json_t *types = json_object_get(r->object, "layer_types");
    const char *type = json_string_value(json_array_get(types, block));
    if (json_is_array(types))
        return type && strcmp(type, "sliding_attention") == 0;
    return !kind->window_is_asked || block >= vt_json_size(r, "max_window_layers", 28);
}

/* sliding_window: null turns it off. */
static void read_window(vt_encoder_config *encoder, const llama_kind *kind, vt_json_reader *r) {
    bool asked = !kind->window_is_asked || vt_json_bool(r, "use_sliding_window", false);
    size_t sliding = 0;
    if (!kind->window || !asked || json_is_null(json_object_get(r->object, "sliding_window")))
        return;
    for (size_t i = 0; i < encoder->depth && !r->status; i++)
        sliding += block_slides(kind, r, i);
    if (sliding)
        encoder->window = vt_json_size(r, "sliding_window", kind->window);
    if (sliding && sliding < encoder->depth && !r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: %zu of %zu blocks have a sliding window: all or none can have one",
                            r->where, sliding, encoder->depth);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_keys keys = {
        .width = "hidden_size",
        .depth = "num_hidden_layers",
        .num_heads = "num_attention_heads",
        .mlp_dim = "intermediate_size",
        .activation = "hidden_act",
        .norm_eps = "rms_norm_eps",
        .head_dim = "head_dim",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    const llama_kind *kind = find_kind(config);
    const vt_rope_defaults rope = {.theta = 10000, .max_positions = kind->max_positions};
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &kind->defaults);
    vt_attention_shape *heads = &text->encoder.attention;
    heads->num_kv_heads = vt_json_size(&r, "num_key_value_heads",
                                       kind->num_kv_heads ? kind->num_kv_heads : heads->num_heads);
    text->encoder.norm = VT_NORM_RMS;
    text->encoder.gated_mlp = true;
    text->encoder.causal = true;
    read_window(&text->encoder, kind, &r);
    text->vocab_size = vt_json_size(&r, "vocab_size", 32000);
    text->has_rope = true;
    vt_rope_config_read(&text->rope, &r, heads->head_dim, &rope);
    text->max_positions = text->rope.max_positions;
    text->final_norm = true;
    text->has_lm_head = vt_hub_has_lm_head(checkpoint);
    text->tied_lm_head = vt_json_bool(&r, "tie_word_embeddings", false);
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embed_tokens.weight"},
    {VT_PART_NORM1, "@layers.#.input_layernorm"},
    {VT_PART_Q, "@layers.#.self_attn.q_proj"},
    {VT_PART_K, "@layers.#.self_attn.k_proj"},
    {VT_PART_V, "@layers.#.self_attn.v_proj"},
    {VT_PART_Q_NORM, "@layers.#.self_attn.q_norm"},
    {VT_PART_K_NORM, "@layers.#.self_attn.k_norm"},
    {VT_PART_PROJ, "@layers.#.self_attn.o_proj"},
    {VT_PART_NORM2, "@layers.#.post_attention_layernorm"},
    {VT_PART_FC1_GATE, "@layers.#.mlp.gate_proj"},
    {VT_PART_FC1_VALUE, "@layers.#.mlp.up_proj"},
    {VT_PART_FC2, "@layers.#.mlp.down_proj"},
    {VT_PART_NORM, "@norm"},
    {VT_PART_LM_HEAD, "lm_head"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"model.", "", NULL};
static const char *const ignored[] = {"lm_head.weight", "*.rotary_emb.inv_freq", NULL};

const vt_family vt_family_llama = {
    .name = "Llama, Mistral, Qwen3",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
