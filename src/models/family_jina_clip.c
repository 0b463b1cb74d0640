/* SPDX-License-Identifier: MIT
 *
 * jina-clip: an EVA-02 tower for pictures; for texts a JinaBERT with ALiBi (v1), or a XLM-RoBERTa
 * with rotary positions and a low-rank adapter (v2). Sources: jinaai/jina-clip-implementation
 * (configuration_clip.py, modeling_clip.py, eva_model.py, hf_model.py),
 * jinaai/xlm-roberta-flash-implementation (modeling_xlm_roberta.py, modeling_lora.py),
 * jinaai/jina-embeddings-v3 (config.json); Koukounas et al. 2024, arXiv:2405.20204 and
 * arXiv:2412.08802.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"
#include "models/open_clip.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "jina_clip") == 0;
}

static void refuse(vt_json_reader *r, const char *key) {
    if (!r->status)
        r->status =
            vt_fail(r->err, VT_ERR_UNSUPPORTED,
                    "%s: \"%s\" differs from what jina-clip is known to have", r->where, key);
}

static void set_heads(vt_encoder_config *encoder, vt_json_reader *r, size_t num_heads) {
    if (!r->status && (num_heads == 0 || encoder->width % num_heads != 0))
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED, "%s: width %zu is no multiple of %zu heads",
                            r->where, encoder->width, num_heads);
    if (r->status)
        return;
    size_t head_dim = encoder->width / num_heads;
    encoder->attention = (vt_attention_shape){.num_heads = num_heads,
                                              .num_kv_heads = num_heads,
                                              .head_dim = head_dim,
                                              .scale = 1.0f / sqrtf((float)head_dim)};
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

static void configure_vision(vt_vision_config *vision, vt_json_reader *r) {
    vt_encoder_config *encoder = &vision->encoder;
    encoder->width = vt_json_size(r, "width", 768);
    encoder->depth = vt_json_size(r, "layers", 12);
    encoder->mlp_dim = (size_t)((double)encoder->width * vt_json_real(r, "mlp_ratio", 4.0));
    size_t head_width = vt_json_size(r, "head_width", 64);
    set_heads(encoder, r, head_width ? encoder->width / head_width : 0);
    encoder->norm_eps = 1e-6f;
    encoder->gated_mlp = vt_json_bool(r, "naive_swiglu", false);
    encoder->activation = encoder->gated_mlp ? VT_ACT_SILU : VT_ACT_GELU_ERF;
    if (vt_json_bool(r, "subln", false) && !encoder->gated_mlp)
        refuse(r, "naive_swiglu");
    if (vt_json_bool(r, "post_norm", false))
        refuse(r, "post_norm");
    if (vt_json_string(r, "proj_type", "")[0])
        refuse(r, "proj_type");
    if (vt_json_size(r, "embed_dim", 768) != encoder->width)
        refuse(r, "embed_dim"); /* there is no projection in the tower itself */
    vision->image_height = vision->image_width = vt_json_size(r, "image_size", 224);
    vision->patch_size = vt_json_size(r, "patch_size", 16);
    vision->patch_bias = true;
    vision->num_class_tokens = vision->num_pos_prefix = 1;
    vision->has_pos_embed = true;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC; /* EVA-CLIP's, when it loads another size */
    vision->final_norm = true;
    vision->pooling = VT_POOL_TOKEN;
}

/* With intp_freq, coordinates run to pt_hw_seq_len at any size; else they count patches. */
static void configure_vision_rope(vt_vision_config *vision, vt_json_reader *r) {
    size_t trained = vt_json_size(r, "pt_hw_seq_len", 16);
    bool scaled = vt_json_bool(r, "intp_freq", false);
    vision->has_rope = vt_json_bool(r, "rope_embeddings", false);
    vision->rope = (vt_rope2d_config){
        .kind = VT_ROPE2D_EVA,
        .layout = VT_ROPE_INTERLEAVED,
        .theta = 10000,
        .pairs = vision->encoder.attention.head_dim / 2,
        .ref_h = scaled ? trained : 0,
        .ref_w = scaled ? trained : 0,
    };
}

static vt_status configure_preprocess(vt_config *out, const vt_checkpoint *checkpoint,
                                      vt_error *err) {
    static const char where[] = "preprocessor_config.json";
    vt_vision_config *vision = &out->vision;
    json_t *json = NULL;
    vt_status status = vt_checkpoint_load_json(&json, checkpoint, where, err);
    if (status)
        return status;
    vt_json_reader r = vt_json_reader_of(json, where, err);
    size_t height = vision->image_height, width = vision->image_width;
    vt_json_size_pair(&r, "size", &height, &width);
    vision->input_height = height;
    vision->input_width = width;
    status = r.status;
    if (!status)
        status = vt_open_clip_preprocess(&out->preprocess, json, height, width, where, err);
    json_decref(json);
    return status;
}

/* ---- texts -------------------------------------------------------------------------------------
 */

/* The configurations on the hub of the text towers that jina-clip has. The checkpoint's own names
 * one of them, and what differs from it. */
typedef struct text_tower {
    const char *part; /* of hf_model_name_or_path */
    vt_hub_defaults defaults;
    size_t vocab_size, num_token_types;
    double rope_base; /* 0: ALiBi */
    bool gated;       /* GEGLU */
    bool pools_first; /* where pooler_type says nothing */
} text_tower;

static const text_tower towers[] = {
    {"jina-bert", {768, 12, 12, 3072, "gelu", 1e-12}, 30528, 2, 0, true, true},
    {"jina-embeddings-v3", {1024, 24, 16, 4096, "gelu", 1e-5}, 250002, 1, 20000, false, false},
};

static const text_tower *find_tower(const char *name) {
    for (size_t i = 0; i < sizeof towers / sizeof towers[0]; i++)
        if (strstr(name, towers[i].part))
            return &towers[i];
    return NULL;
}

static void configure_text_encoder(vt_text_config *text, vt_json_reader *r,
                                   const text_tower *tower) {
    vt_encoder_config *encoder = &text->encoder;
    vt_hub_encoder_config(encoder, r, &tower->defaults);
    encoder->order = VT_NORM_LAST;
    encoder->gated_mlp = tower->gated;
    text->vocab_size = vt_json_size(r, "vocab_size", tower->vocab_size);
    text->num_token_types = vt_json_size(r, "type_vocab_size", tower->num_token_types);
    text->embed_norm = true;
    if (vt_json_bool(r, "use_qk_norm", false))
        refuse(r, "use_qk_norm"); /* JinaBERT of code, other tensors */
}

static void configure_text_positions(vt_text_config *text, vt_json_reader *r,
                                     const text_tower *tower) {
    static const char *const kinds[] = {"alibi", "rotary"};
    const char *kind = kinds[tower->rope_base > 0];
    if (strcmp(vt_json_string(r, "position_embedding_type", kind), kind) != 0)
        refuse(r, "position_embedding_type");
    text->max_positions = vt_json_size(r, "max_position_embeddings", 8192);
    text->has_rope = tower->rope_base > 0;
    text->has_alibi = !text->has_rope;
    text->alibi_order = VT_ALIBI_BLOOM;
    text->alibi_max_bias = 8;
    text->rope = (vt_rope_config){
        .layout = VT_ROPE_HALVES,
        .theta = vt_json_real(r, "rotary_emb_base", tower->rope_base),
        .pairs = text->encoder.attention.head_dim / 2,
        .max_positions = text->max_positions,
        .factor = 1,
    };
}

/* The adapter that forward() applies when it is told of none: default_lora_task, by its place among
 * lora_adaptations. Without one the weights are taken as they are. */
static void configure_lora(vt_lora *lora, vt_json_reader *text, vt_json_reader *kwargs) {
    const char *task = vt_json_string(text, "default_lora_task", NULL);
    const json_t *tasks = json_object_get(kwargs->object, "lora_adaptations"), *entry;
    if (!task)
        return;
    *lora =
        (vt_lora){.count = json_array_size(tasks), .rank = vt_json_size(kwargs, "lora_rank", 4)};
    lora->scale = (float)(vt_json_real(kwargs, "lora_alpha", 1) / (double)lora->rank);
    size_t i;
    json_array_foreach(tasks, i, entry) {
        const char *name = json_string_value(entry);
        if (name && strcmp(name, task) == 0) {
            lora->enabled = true;
            lora->adapter = i;
        }
    }
    if (!text->status && !lora->enabled)
        text->status = vt_fail(text->err, VT_ERR_UNSUPPORTED,
                               "%s: \"default_lora_task\": \"%.64s\" is not in lora_adaptations",
                               text->where, task);
    if (lora->rank == 0)
        refuse(kwargs, "lora_rank");
}

static void configure_pooling(vt_text_config *out, vt_json_reader *text, const text_tower *tower) {
    const char *pooler =
        vt_json_string(text, "pooler_type", tower->pools_first ? "cls_pooler" : "mean_pooler");
    if (strcmp(pooler, "mean_pooler") == 0)
        out->pooling = VT_TEXT_POOL_MEAN;
    else if (strcmp(pooler, "cls_pooler") == 0)
        out->pooling = VT_TEXT_POOL_FIRST;
    else
        refuse(text, "pooler_type");
    if (vt_json_string(text, "proj_type", "")[0])
        refuse(text, "proj_type");
    if (vt_json_size(text, "embed_dim", 768) != out->encoder.width)
        refuse(text, "embed_dim");
    if (vt_json_string(text, "default_instruction_task", "")[0])
        refuse(text, "default_instruction_task");
}

static vt_status configure_text(vt_text_config *out, const json_t *config, const char *where,
                                vt_error *err) {
    vt_json_reader text = vt_json_reader_of(config, where, err);
    vt_json_reader kwargs =
        vt_json_reader_of(json_object_get(config, "hf_model_config_kwargs"), where, err);
    const char *name = vt_json_string(&text, "hf_model_name_or_path", "jinaai/jina-embeddings-v3");
    const text_tower *tower = find_tower(name);
    if (!text.status && !tower)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: the text tower \"%.96s\" is neither jina-bert nor jina-embeddings-v3",
                       where, name);
    if (text.status)
        return text.status;
    configure_text_encoder(out, &kwargs, tower);
    configure_text_positions(out, &kwargs, tower);
    configure_lora(&out->lora, &text, &kwargs);
    configure_pooling(out, &text, tower);
    return text.status ? text.status : kwargs.status;
}

/* ---- both --------------------------------------------------------------------------------------
 */

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_json_reader vision = vt_json_reader_of(json_object_get(config, "vision_config"), where, err);
    out->architecture = vt_hub_architecture(config);
    out->has_vision = out->has_text = true;
    configure_vision(&out->vision, &vision);
    configure_vision_rope(&out->vision, &vision);
    if (vision.status)
        return vision.status;
    vt_status status =
        configure_text(&out->text, json_object_get(config, "text_config"), where, err);
    if (status)
        return status;
    bool projects = vt_json_bool(&r, "add_projections", false);
    out->vision_projection = out->text_projection = projects;
    out->embed_dim = projects ? vt_json_size(&r, "projection_dim", 768) : out->vision.encoder.width;
    if (!projects && out->text.encoder.width != out->embed_dim)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: texts have %zu channels, pictures %zu", where,
                       out->text.encoder.width, out->embed_dim);
    return r.status ? r.status : configure_preprocess(out, checkpoint, err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "vision_model.cls_token"},
    {VT_PART_POS_EMBED, "vision_model.pos_embed"},
    {VT_PART_PATCH, "vision_model.patch_embed.proj"},
    {VT_PART_NORM1, "vision_model.blocks.#.norm1"},
    {VT_PART_QKV, "vision_model.blocks.#.attn.qkv"},
    {VT_PART_Q, "vision_model.blocks.#.attn.q_proj"}, /* with subln */
    {VT_PART_K, "vision_model.blocks.#.attn.k_proj"},
    {VT_PART_V, "vision_model.blocks.#.attn.v_proj"},
    {VT_PART_Q_BIAS, "vision_model.blocks.#.attn.q_bias"},
    {VT_PART_V_BIAS, "vision_model.blocks.#.attn.v_bias"},
    {VT_PART_ATTN_NORM, "vision_model.blocks.#.attn.inner_attn_ln"},
    {VT_PART_PROJ, "vision_model.blocks.#.attn.proj"},
    {VT_PART_SCALE1, "vision_model.blocks.#.gamma_1"},
    {VT_PART_NORM2, "vision_model.blocks.#.norm2"},
    {VT_PART_FC1_GATE, "vision_model.blocks.#.mlp.w1"},
    {VT_PART_FC1_VALUE, "vision_model.blocks.#.mlp.w2"},
    {VT_PART_FC1, "vision_model.blocks.#.mlp.fc1"},
    {VT_PART_MLP_NORM, "vision_model.blocks.#.mlp.ffn_ln"},
    {VT_PART_FC2, "vision_model.blocks.#.mlp.w3"},
    {VT_PART_FC2, "vision_model.blocks.#.mlp.fc2"},
    {VT_PART_SCALE2, "vision_model.blocks.#.gamma_2"},
    {VT_PART_NORM, "vision_model.norm"},
    {VT_PART_PROJECTION, "visual_projection"},
    {VT_PART_NONE, NULL},
};

static const vt_tensor_name text_names[] = {
    {VT_PART_TOKEN_EMBED, "@embeddings.word_embeddings.weight"},
    {VT_PART_TOKEN_TYPES, "@embeddings.token_type_embeddings.weight"},
    {VT_PART_PRE_NORM, "@emb_ln"},
    {VT_PART_QKV, "@encoder.layers.#.mixer.Wqkv"},
    {VT_PART_PROJ, "@encoder.layers.#.mixer.out_proj"},
    {VT_PART_NORM1, "@encoder.layers.#.norm1"},
    {VT_PART_FC1, "@encoder.layers.#.mlp.fc1"},
    {VT_PART_FC1, "@encoder.layers.#.mlp.gated_layers"},
    {VT_PART_FC2, "@encoder.layers.#.mlp.fc2"},
    {VT_PART_FC2, "@encoder.layers.#.mlp.wo"},
    {VT_PART_NORM2, "@encoder.layers.#.norm2"},
    {VT_PART_PROJECTION, "text_projection"},
    {VT_PART_LOGIT_SCALE, "logit_scale"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"text_model.transformer.roberta.", "text_model.transformer.",
                                       NULL};
/* Adapters that are not in force, and tables of rotations, which are computed. */
static const char *const ignored[] = {"*.lora_A",
                                      "*.lora_B",
                                      "vision_model.rope.",
                                      "*.rope.freqs_cos",
                                      "*.rope.freqs_sin",
                                      "*.rotary_emb.inv_freq",
                                      NULL};

const vt_family vt_family_jina_clip = {
    .name = "jina-clip",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .text_names = text_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
