/* SPDX-License-Identifier: MIT */
#include "models/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "models/bind_block.h"
#include "nn/patch_resize.h"
#include "nn/sincos.h"

/* ---- pictures ----------------------------------------------------------------------------------
 */

/* The class, distillation and register tokens, one after another. */
static void bind_prefix(vt_binder *b, vt_patch_embed *out, const vt_vision_config *config) {
    size_t width = config->encoder.width, row = 0;
    const struct {
        vt_part part;
        size_t count;
    } tokens[] = {
        {VT_PART_CLASS_TOKEN, config->num_class_tokens},
        {VT_PART_DISTILL_TOKEN, config->num_distill_tokens},
        {VT_PART_REGISTERS, config->num_registers},
    };
    out->num_prefix = vt_config_num_prefix(config);
    out->num_pos_prefix = config->num_pos_prefix;
    float *prefix = vt_bind_own(b, out->num_prefix * width, sizeof *prefix);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        if (!tokens[i].count || b->status)
            continue;
        const size_t shape[] = {tokens[i].count, width};
        size_t skip = tokens[i].count == 1 ? 1 : 0; /* one token may be a mere vector */
        const vt_tensor *tensor = vt_bind_require(b, tokens[i].part, 0, "");
        if (tensor)
            vt_bind_load(b, prefix + row * width, tensor, shape + skip, 2 - skip);
        row += tokens[i].count;
    }
    out->prefix = prefix;
}

/* A block's own table, and the shared one (or NULL) added: resizing is linear, so that the sum may
 * be taken first. */
static const float *bind_grid_bias(vt_binder *b, size_t block, const size_t *table,
                                   const float *shared) {
    const vt_tensor *tensor = vt_bind_require(b, VT_PART_GRID_BIAS, block, "");
    size_t elements = table[0] * table[1];
    float *out = tensor ? vt_bind_own(b, elements, sizeof *out) : NULL;
    if (!out)
        return NULL;
    vt_bind_load(b, out, tensor, table, 2);
    for (size_t i = 0; shared && i < elements; i++)
        out[i] += shared[i];
    return out;
}

static void bind_grid_biases(vt_binder *b, vt_vision_weights *out, const vt_vision_config *config) {
    size_t grid_h, grid_w;
    vt_config_native_grid(config, &grid_h, &grid_w);
    const size_t table[] = {(2 * grid_h - 1) * (2 * grid_w - 1) + 3,
                            config->encoder.attention.num_heads};
    char name[VT_MAX_TENSOR_NAME];
    bool has_shared = vt_bind_find(b, VT_PART_GRID_BIAS_SHARED, 0, "", name) != NULL;
    bool has_own = !has_shared || vt_bind_any_block_has(b, VT_PART_GRID_BIAS, "");
    const float *shared =
        has_shared ? vt_bind_floats(b, VT_PART_GRID_BIAS_SHARED, 0, "", table, 2) : NULL;
    out->grid_biases = vt_bind_own(b, config->encoder.depth, sizeof *out->grid_biases);
    for (size_t i = 0; i < config->encoder.depth && !b->status; i++)
        out->grid_biases[i] = has_own ? bind_grid_bias(b, i, table, shared) : shared;
}

/* A linear layer over [row][column][channel] as a convolution's over [channel][row][column]. */
static void turn_channels_first(float *out, const float *in, size_t width, size_t patch) {
    size_t area = patch * patch;
    for (size_t row = 0; row < width; row++, in += 3 * area, out += 3 * area)
        for (size_t at = 0; at < area; at++)
            for (size_t c = 0; c < 3; c++)
                out[c * area + at] = in[at * 3 + c];
}

/* The patch layer's kernels, turned or resized where the model is run with other patches than it
 * stores. */
static void bind_patch_kernel(vt_binder *b, vt_packed *out, const vt_vision_config *config) {
    size_t width = config->encoder.width, patch = config->patch_size, run = config->run_patch_size;
    const size_t kernel[] = {width, 3, patch, patch}, matrix[] = {width, 3 * patch * patch};
    const vt_tensor *tensor = vt_bind_require(b, VT_PART_PATCH, 0, ".weight");
    bool is_matrix = config->patch_channels_last || config->patch_is_linear;
    const size_t *shape = is_matrix ? matrix : kernel, ndim = is_matrix ? 2 : 4;
    vt_bind_check(b, tensor, shape, ndim);
    vt_bind_create_packed(b, out, vt_bind_storage(b, tensor), width, 3 * run * run);
    if (run == patch && !config->patch_channels_last) {
        vt_bind_pack(b, out, 0, width, tensor, shape, ndim);
        return;
    }
    const float *stored = vt_bind_floats(b, VT_PART_PATCH, 0, ".weight", shape, ndim);
    float *turned = vt_bind_own(b, width * matrix[1], sizeof *turned);
    float *resized = vt_bind_own(b, width * out->k, sizeof *resized);
    if (b->status)
        return;
    if (config->patch_channels_last)
        turn_channels_first(turned, stored, width, patch);
    else
        memcpy(turned, stored, width * matrix[1] * sizeof *turned);
    b->status = vt_patch_resize(resized, run, turned, patch, 3 * width, b->err);
    if (!b->status)
        vt_bind_pack_floats(b, out, 0, resized, width);
}

/* Zeros for the prefix tokens, sines and cosines for the patches. */
static const float *make_sincos(vt_binder *b, const vt_vision_config *config) {
    size_t width = config->encoder.width, grid_h, grid_w;
    vt_config_native_grid(config, &grid_h, &grid_w);
    float *table =
        vt_bind_own(b, (config->num_pos_prefix + grid_h * grid_w) * width, sizeof *table);
    if (table)
        vt_sincos2d_fill(table + config->num_pos_prefix * width, grid_h, grid_w, width, 10000,
                         VT_SINCOS_MAE);
    return table;
}

static void bind_embeddings(vt_binder *b, vt_vision_weights *out, const vt_vision_config *config) {
    size_t width = config->encoder.width;
    vt_patch_embed *embed = &out->embed;
    embed->patch_size = config->run_patch_size;
    bind_patch_kernel(b, &embed->proj.weight, config);
    if (config->patch_bias)
        embed->proj.bias = vt_bind_vector(b, VT_PART_PATCH, 0, ".bias", width);
    if (config->patch_norm)
        vt_bind_norm(b, &embed->norm, VT_PART_PATCH_NORM, 0, width);
    bind_prefix(b, embed, config);
    if (config->has_pos_embed) {
        const size_t table[] = {config->num_pos_prefix + vt_config_num_patches(config), width};
        out->pos_embed = config->pos_is_sincos
                             ? make_sincos(b, config)
                             : vt_bind_floats(b, VT_PART_POS_EMBED, 0, "", table, 2);
    }
    if (config->has_grid_bias)
        bind_grid_biases(b, out, config);
    if (config->has_rope && config->rope.kind == VT_ROPE2D_MIXED) {
        const size_t shape[] = {2, config->encoder.depth, config->encoder.attention.num_heads,
                                config->rope.pairs};
        out->rope_frequencies = vt_bind_floats(b, VT_PART_ROPE_FREQUENCIES, 0, "", shape, 4);
    }
    if (config->pre_norm)
        vt_bind_norm(b, &out->pre_norm, VT_PART_PRE_NORM, 0, width);
}

/* The probe goes through its projection once and for all. */
static const float *project_probe(vt_binder *b, const vt_dense *q) {
    size_t width = b->encoder->width;
    const vt_compute compute = {.kernels = b->kernels};
    const float *probe = vt_bind_vector(b, VT_PART_MAP_PROBE, 0, "", width);
    float *query = vt_bind_own(b, width, sizeof *query);
    if (!b->status)
        vt_dense_forward(&compute, q, query, width, probe, width, 1, (vt_epilogue){0});
    return query;
}

/* torch.nn.MultiheadAttention keeps q, k and v in one tensor. */
static void bind_map_qkv(vt_binder *b, vt_map_head *map) {
    size_t width = b->encoder->width;
    const size_t matrix[] = {3 * width, width};
    vt_dense q = {0};
    const float *weight = vt_bind_floats(b, VT_PART_MAP_QKV, 0, ".weight", matrix, 2);
    const float *bias = vt_bind_vector(b, VT_PART_MAP_QKV, 0, ".bias", 3 * width);
    vt_bind_create_packed(b, &q.weight, VT_STORE_F32, width, width);
    vt_bind_create_packed(b, &map->kv.weight, vt_bind_storage(b, NULL), 2 * width, width);
    if (b->status)
        return;
    vt_bind_pack_floats(b, &q.weight, 0, weight, width);
    vt_bind_pack_floats(b, &map->kv.weight, 0, weight + width * width, 2 * width);
    q.bias = bias;
    map->kv.bias = bias + width;
    map->query = project_probe(b, &q);
}

/* Its width may be its own; it is gated, and as wide as the blocks', where its first layer is two
 * tensors. */
static void bind_map_mlp(vt_binder *b, vt_mlp *mlp) {
    size_t width = b->encoder->width;
    char name[VT_MAX_TENSOR_NAME];
    const vt_tensor *fc1 = vt_bind_find(b, VT_PART_MAP_FC1, 0, ".weight", name);
    size_t mlp_dim = fc1 && fc1->ndim == 2 ? fc1->shape[0] : b->encoder->mlp_dim;
    mlp->activation = b->encoder->activation;
    mlp->gated = !fc1 && (vt_bind_find(b, VT_PART_MAP_FC1_GATE, 0, ".weight", name) ||
                          vt_bind_find(b, VT_PART_MAP_FC1_VALUE, 0, ".weight", name));
    if (mlp->gated)
        vt_bind_split_gate(b, &mlp->fc1, VT_PART_MAP_FC1_GATE, VT_PART_MAP_FC1_VALUE, 0, mlp_dim,
                           true);
    else
        vt_bind_dense(b, &mlp->fc1, VT_PART_MAP_FC1, 0, mlp_dim, width, true);
    vt_bind_dense(b, &mlp->fc2, VT_PART_MAP_FC2, 0, width, mlp_dim, true);
}

static void bind_map_head(vt_binder *b, vt_map_head *map, size_t num_heads) {
    size_t width = b->encoder->width;
    char name[VT_MAX_TENSOR_NAME];
    map->attention = b->encoder->attention;
    if (num_heads)
        map->attention = vt_attention_shape_of(num_heads, width / num_heads);
    if (vt_bind_find(b, VT_PART_MAP_QKV, 0, ".weight", name)) {
        bind_map_qkv(b, map);
    } else {
        vt_dense q = {0};
        vt_bind_dense(b, &q, VT_PART_MAP_Q, 0, width, width, true);
        map->query = project_probe(b, &q);
        vt_bind_dense(b, &map->kv, VT_PART_MAP_KV, 0, 2 * width, width, true);
    }
    vt_bind_dense(b, &map->proj, VT_PART_MAP_PROJ, 0, width, width, true);
    vt_bind_norm(b, &map->norm, VT_PART_MAP_NORM, 0, width);
    bind_map_mlp(b, &map->mlp);
}

static void bind_pooler(vt_binder *b, vt_pooler *out, const vt_vision_config *config) {
    size_t width = config->encoder.width;
    *out = (vt_pooler){.kind = config->pooling,
                       .width = width,
                       .include_prefix = config->pool_prefix,
                       .dense_act = VT_ACT_TANH};
    if (config->pooling == VT_POOL_MAP)
        bind_map_head(b, &out->map, config->pool_heads);
    out->map.adds_to_token = config->map_adds_to_token;
    if (config->pool_norm)
        vt_bind_norm(b, &out->norm, VT_PART_POOL_NORM, 0, width);
    if (config->tanh_pooler)
        vt_bind_dense(b, &out->dense, VT_PART_POOLER, 0, width, width, true);
}

/* The layer into the space that pictures and texts share; OpenAI's and OpenCLIP's files have it as
 * a bare matrix that is multiplied from the right. */
static void bind_projection(vt_binder *b, vt_dense *out, size_t embed_dim, size_t width,
                            bool has_bias) {
    char name[VT_MAX_TENSOR_NAME];
    const size_t matrix[] = {width, embed_dim};
    const vt_tensor *stored = vt_bind_find(b, VT_PART_PROJECTION_MATRIX, 0, "", name);
    if (stored)
        vt_bind_pack_transposed(b, &out->weight, stored, matrix);
    else
        vt_bind_dense(b, out, VT_PART_PROJECTION, 0, embed_dim, width, has_bias);
}

static void bind_vision(vt_binder *b, vt_weights *out, const vt_config *config) {
    const vt_vision_config *vision = &config->vision;
    size_t width = vision->encoder.width;
    vt_bind_tower(b, b->family->vision_names, &vision->encoder);
    bind_embeddings(b, &out->vision, vision);
    out->vision.blocks = vt_bind_blocks(b);
    if (vision->final_norm)
        vt_bind_norm(b, &out->vision.norm, VT_PART_NORM, 0, width);
    bind_pooler(b, &out->vision.pooler, vision);
    if (config->vision_projection)
        bind_projection(b, &out->vision.projection, config->embed_dim, width,
                        config->vision_projection_bias);
    if (config->num_classes) {
        size_t head_width = config->head_blocks ? (config->head_blocks + 1) * width : width;
        vt_bind_dense(b, &out->head, VT_PART_HEAD, 0, config->num_classes, head_width, true);
        if (config->distill_head)
            vt_bind_dense(b, &out->head_distill, VT_PART_HEAD_DISTILL, 0, config->num_classes,
                          width, true);
    }
}

/* ---- text --------------------------------------------------------------------------------------
 */

static void bind_text_positions(vt_binder *b, vt_text_weights *out, const vt_text_config *config) {
    size_t width = config->encoder.width, num_heads = config->encoder.attention.num_heads;
    if (config->has_pos_embed) {
        const size_t table[] = {config->max_positions, width};
        out->pos_embed = vt_bind_floats(b, VT_PART_POS_EMBED, 0, "", table, 2);
    }
    if (config->has_t5_bias) {
        const size_t table[] = {config->t5_buckets, num_heads};
        out->t5_bias = vt_bind_floats(b, VT_PART_T5_BIAS, 0, "", table, 2);
    }
    if (config->has_alibi) {
        float *slopes = vt_bind_own(b, num_heads, sizeof *slopes);
        if (slopes)
            vt_alibi_slopes(slopes, num_heads, config->alibi_order, config->alibi_max_bias);
        out->alibi_slopes = slopes;
    }
}

/* Logits from a matrix of their own, or from the token embeddings. */
static void bind_lm_head(vt_binder *b, vt_text_weights *out, const vt_text_config *config) {
    size_t width = config->encoder.width;
    if (!config->tied_lm_head) {
        vt_bind_dense(b, &out->lm_head, VT_PART_LM_HEAD, 0, config->vocab_size, width, false);
        return;
    }
    vt_bind_create_packed(b, &out->lm_head.weight,
                          vt_bind_storage(b, vt_bind_require(b, VT_PART_TOKEN_EMBED, 0, "")),
                          config->vocab_size, width);
    vt_bind_pack_floats(b, &out->lm_head.weight, 0, out->tokens, config->vocab_size);
}

static void bind_text(vt_binder *b, vt_weights *weights, const vt_config *config) {
    const vt_text_config *text = &config->text;
    vt_text_weights *out = &weights->text;
    size_t width = text->encoder.width;
    const size_t table[] = {text->vocab_size, width}, types[] = {text->num_token_types, width};
    vt_bind_tower(b, b->family->text_names, &text->encoder);
    b->lora = &text->lora;
    out->tokens = vt_bind_floats(b, VT_PART_TOKEN_EMBED, 0, "", table, 2);
    if (text->num_token_types)
        out->token_types = vt_bind_floats(b, VT_PART_TOKEN_TYPES, 0, "", types, 2);
    bind_text_positions(b, out, text);
    if (text->embed_norm)
        vt_bind_norm(b, &out->embed_norm, VT_PART_PRE_NORM, 0, width);
    out->blocks = vt_bind_blocks(b);
    if (text->final_norm)
        vt_bind_norm(b, &out->norm, VT_PART_NORM, 0, width);
    if (text->pooler_width)
        vt_bind_dense(b, &out->pooler, VT_PART_POOLER, 0, text->pooler_width, width, true);
    if (config->text_projection)
        bind_projection(b, &out->projection, config->embed_dim, vt_config_pooled_width(text),
                        config->text_projection_bias);
    if (text->has_lm_head)
        bind_lm_head(b, out, text);
}

/* A scalar is [] in one file and [1] in another. */
static float bind_scalar(vt_binder *b, vt_part part) {
    float value = 0;
    const vt_tensor *tensor = vt_bind_require(b, part, 0, "");
    if (tensor)
        vt_bind_load(b, &value, tensor, (const size_t[]){1}, tensor->ndim ? 1 : 0);
    return value;
}

/* Logits of pairs are exp(scale) cos + bias: both must be numbers, the exponential too. */
static void bind_pair_logits(vt_binder *b, vt_weights *out, const vt_config *config) {
    if (config->has_vision && config->has_text)
        out->logit_scale = bind_scalar(b, VT_PART_LOGIT_SCALE);
    if (config->has_logit_bias)
        out->logit_bias = bind_scalar(b, VT_PART_LOGIT_BIAS);
    if (!b->status && (!isfinite(expf(out->logit_scale)) || !isfinite(out->logit_bias)))
        b->status = vt_fail(b->err, VT_ERR_NOT_FINITE,
                            "%s: logits of pairs are e^%g cos + %g, which is no number",
                            vt_checkpoint_weights_path(b->checkpoint), (double)out->logit_scale,
                            (double)out->logit_bias);
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static size_t count_tensors(const vt_checkpoint *checkpoint) {
    size_t count = 0;
    while (vt_checkpoint_at(checkpoint, count))
        count++;
    return count;
}

static const char *const precision_names[] = {
    [VT_PRECISION_STORED] = NULL, [VT_PRECISION_F32] = "f32",   [VT_PRECISION_F16] = "f16",
    [VT_PRECISION_BF16] = "bf16", [VT_PRECISION_INT8] = "int8",
};

const char *vt_precision_name(vt_precision precision) {
    return precision_names[precision];
}

vt_status vt_precision_parse(vt_precision *out, const char *name, vt_error *err) {
    *out = VT_PRECISION_STORED;
    if (!name)
        return VT_OK;
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_INT8; p++) {
        if (strcmp(name, precision_names[p]) == 0) {
            *out = p;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_ERR_ARGUMENT, "no precision named \"%.64s\": f32, f16, bf16 or int8",
                   name);
}

const char *vt_storage_name(vt_storage storage) {
    static const char *const names[] = {
        [VT_STORE_F32] = "f32",
        [VT_STORE_F16] = "f16",
        [VT_STORE_BF16] = "bf16",
        [VT_STORE_INT8] = "int8",
    };
    return names[storage];
}

/* Whether the backend, if one is named, multiplies matrices of the precision, if one is. */
static vt_status check_backend(const vt_backend_choice *backend, vt_precision precision,
                               vt_error *err) {
    static const vt_storage storages[] = {
        [VT_PRECISION_F32] = VT_STORE_F32,
        [VT_PRECISION_F16] = VT_STORE_F16,
        [VT_PRECISION_BF16] = VT_STORE_BF16,
        [VT_PRECISION_INT8] = VT_STORE_INT8,
    };
    if (!backend->named || precision == VT_PRECISION_STORED ||
        backend->named->takes(storages[precision]))
        return VT_OK;
    return vt_fail(err, VT_ERR_UNSUPPORTED, "backend %s does not multiply matrices in %s",
                   backend->named->name, vt_storage_name(storages[precision]));
}

vt_status vt_weights_bind(vt_weights *out, const vt_config *config, const vt_family *family,
                          const vt_checkpoint *checkpoint, const vt_kernels *kernels,
                          vt_precision precision, const vt_backend_choice *backend, vt_pool *pool,
                          vt_error *err) {
    *out = (vt_weights){0};
    vt_status status = check_backend(backend, precision, err);
    if (status)
        return status;
    vt_binder b = {
        .out = out,
        .checkpoint = checkpoint,
        .kernels = kernels,
        .pool = pool,
        .precision = precision,
        .backend = *backend,
        .family = family,
        .err = err,
    };
    out->used = vt_bind_own(&b, count_tensors(checkpoint), sizeof *out->used);
    out->loaded = vt_bind_own(&b, count_tensors(checkpoint), sizeof *out->loaded);
    if (config->has_vision)
        bind_vision(&b, out, config);
    if (config->has_text)
        bind_text(&b, out, config);
    bind_pair_logits(&b, out, config);
    if (b.status)
        vt_weights_free(out);
    return b.status;
}

void vt_weights_free(vt_weights *weights) {
    for (size_t i = 0; i < weights->num_owned; i++)
        vt_free(weights->owned[i]);
    for (size_t i = 0; i < weights->num_matrices; i++)
        if (weights->matrices[i].owned)
            vt_packed_free(&weights->matrices[i].packed);
    vt_free(weights->matrices);
    vt_free(weights->owned);
    *weights = (vt_weights){0};
}

static bool matches_pattern(const char *name, const char *pattern) {
    size_t n = strlen(name), m = strlen(pattern);
    if (pattern[0] != '*')
        return strncmp(name, pattern, m) == 0;
    return n >= m - 1 && strcmp(name + n - (m - 1), pattern + 1) == 0;
}

static bool is_ignored(const vt_family *family, const char *name) {
    for (const char *const *pattern = family->ignored; pattern && *pattern; pattern++)
        if (matches_pattern(name, *pattern))
            return true;
    return false;
}

void vt_weights_report_unused(const vt_weights *weights, const vt_family *family,
                              const vt_checkpoint *checkpoint, vt_log_fn log, void *log_user) {
    const vt_tensor *tensor;
    for (size_t i = 0; (tensor = vt_checkpoint_at(checkpoint, i)) != NULL; i++) {
        char line[VT_MAX_TENSOR_NAME + 256];
        if (weights->used[i] || is_ignored(family, tensor->name))
            continue;
        snprintf(line, sizeof line, "%s: tensor %s is not known to the family %s and was left out",
                 vt_checkpoint_weights_path(checkpoint), tensor->name, family->name);
        log(log_user, line);
    }
}
