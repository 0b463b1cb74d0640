/* SPDX-License-Identifier: MIT */
#include "models/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { MAX_NAME = 256 };

/* Binding goes on quietly after the first error, and the caller looks at `status` once. */
typedef struct binder {
    vt_weights *out;
    const vt_config *config;
    const vt_family *family;
    const vt_checkpoint *checkpoint;
    const vt_kernels *kernels;
    const char *prefix; /* what '@' stands for */
    bool norm_bias;     /* this model's norms have biases */
    vt_error *err;
    vt_status status;
} binder;

/* ---- names ------------------------------------------------------------------------------------- */

/* "@encoder.layer.#.output" with block 3 and suffix ".weight": "vit.encoder.layer.3.output.weight". */
static void expand_name(char *out, const char *pattern, const char *prefix, size_t block,
                        const char *suffix) {
    size_t used = 0;
    for (const char *p = pattern; *p && used < MAX_NAME - 1; p++) {
        size_t room = MAX_NAME - used;
        int written;
        if (*p == '@')
            written = snprintf(out + used, room, "%s", prefix);
        else if (*p == '#')
            written = snprintf(out + used, room, "%zu", block);
        else
            written = snprintf(out + used, room, "%c", *p);
        used += (size_t)written < room ? (size_t)written : room - 1;
    }
    snprintf(out + used, MAX_NAME - used, "%s", suffix);
}

/* The tensor of a part; NULL when the checkpoint has none, `name` is then what it should be called. */
static const vt_tensor *find(const binder *b, vt_part part, size_t block, const char *suffix,
                             char *name) {
    bool named = false;
    name[0] = '\0';
    for (const vt_tensor_name *entry = b->family->tensor_names; entry->part; entry++) {
        if (entry->part != part)
            continue;
        char candidate[MAX_NAME];
        expand_name(candidate, entry->name, b->prefix, block, suffix);
        const vt_tensor *tensor = vt_checkpoint_find(b->checkpoint, candidate);
        if (tensor || !named)
            strcpy(name, candidate);
        if (tensor)
            return tensor;
        named = true;
    }
    return NULL;
}

/* A part that some block has, all blocks must have. */
static bool any_block_has(const binder *b, vt_part part, const char *suffix) {
    char name[MAX_NAME];
    for (size_t block = 0; block < b->config->encoder.depth; block++)
        if (find(b, part, block, suffix, name))
            return true;
    return false;
}

static const vt_tensor *require(binder *b, vt_part part, size_t block, const char *suffix) {
    char name[MAX_NAME];
    if (b->status)
        return NULL;
    const vt_tensor *tensor = find(b, part, block, suffix, name);
    if (!tensor)
        b->status = vt_fail(b->err, VT_ERR_MISSING, "%s: tensor %s is missing",
                            vt_checkpoint_weights_path(b->checkpoint), name);
    return tensor;
}

/* The prefix under which the checkpoint has its position table, or its first block's norm. */
static const char *find_prefix(const binder *b) {
    static const vt_part witnesses[] = {VT_PART_POS_EMBED, VT_PART_NORM1, VT_PART_PATCH};
    static const char *const suffixes[] = {"", ".weight", ".weight"};
    if (!b->family->prefixes)
        return "";
    for (size_t w = 0; w < sizeof witnesses / sizeof witnesses[0]; w++) {
        for (const char *const *prefix = b->family->prefixes; *prefix; prefix++) {
            binder trial = *b;
            char name[MAX_NAME];
            trial.prefix = *prefix;
            if (find(&trial, witnesses[w], 0, suffixes[w], name))
                return *prefix;
        }
    }
    return b->family->prefixes[0];
}

/* ---- checks and conversion --------------------------------------------------------------------- */

static void format_shape(char *out, size_t size, const size_t *shape, size_t ndim) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < ndim && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

/* Leading dimensions of 1 do not count: a class token is [1, 1, width] in one file, [width] in another. */
static bool has_shape(const vt_tensor *tensor, const size_t *shape, size_t ndim) {
    size_t skip = 0;
    while (tensor->ndim - skip > ndim && tensor->shape[skip] == 1)
        skip++;
    return tensor->ndim - skip == ndim &&
           memcmp(tensor->shape + skip, shape, ndim * sizeof *shape) == 0;
}

static void check_tensor(binder *b, const vt_tensor *tensor, const size_t *shape, size_t ndim) {
    const char *path = vt_checkpoint_weights_path(b->checkpoint);
    if (tensor->dtype != VT_DTYPE_F32 && tensor->dtype != VT_DTYPE_F16 &&
        tensor->dtype != VT_DTYPE_BF16) {
        b->status = vt_fail(b->err, VT_ERR_UNSUPPORTED, "%s: %s: expected F32, F16 or BF16, found %s",
                            path, tensor->name, vt_dtype_name(tensor->dtype));
    } else if (!has_shape(tensor, shape, ndim)) {
        char expected[128], found[128];
        format_shape(expected, sizeof expected, shape, ndim);
        format_shape(found, sizeof found, tensor->shape, tensor->ndim);
        b->status = vt_fail(b->err, VT_ERR_SHAPE, "%s: %s: expected %s, found %s", path, tensor->name,
                            expected, found);
    }
}

static void mark_used(binder *b, const vt_tensor *tensor, size_t elements) {
    for (size_t i = 0;; i++) {
        const vt_tensor *at = vt_checkpoint_at(b->checkpoint, i);
        if (!at)
            return;
        if (at == tensor) {
            b->out->num_parameters += b->out->used[i] ? 0 : elements;
            b->out->used[i] = true;
            return;
        }
    }
}

static void to_f32(const binder *b, float *out, const vt_tensor *tensor, size_t elements) {
    if (tensor->dtype == VT_DTYPE_F16)
        b->kernels->f16_to_f32(out, tensor->data, elements);
    else if (tensor->dtype == VT_DTYPE_BF16)
        b->kernels->bf16_to_f32(out, tensor->data, elements);
    else
        memcpy(out, tensor->data, elements * sizeof *out);
}

/* ---- ownership --------------------------------------------------------------------------------- */

/* Memory that lives as long as the weights; NULL, and the status set, when there is none. */
static void *own(binder *b, size_t count, size_t size) {
    vt_weights *out = b->out;
    if (b->status)
        return NULL;
    if (out->num_owned == out->owned_capacity) {
        size_t capacity = out->owned_capacity ? 2 * out->owned_capacity : 256;
        void **grown = vt_realloc(out->owned, out->owned_capacity, capacity, sizeof *grown);
        if (!grown) {
            b->status = vt_fail_memory(b->err, "weights", capacity * sizeof *grown);
            return NULL;
        }
        out->owned = grown;
        out->owned_capacity = capacity;
    }
    void *memory = vt_calloc(count, size);
    if (!memory) {
        b->status = vt_fail_memory(b->err, "weights", count * size);
        return NULL;
    }
    out->owned[out->num_owned++] = memory;
    out->bytes += count * size;
    return memory;
}

/* ---- parts ------------------------------------------------------------------------------------- */

/* out[elements] = a tensor of that shape. */
static void load_into(binder *b, float *out, const vt_tensor *tensor, const size_t *shape,
                      size_t ndim) {
    size_t elements = 0;
    if (!b->status)
        check_tensor(b, tensor, shape, ndim);
    if (b->status || !vt_product(shape, ndim, &elements))
        return;
    to_f32(b, out, tensor, elements);
    mark_used(b, tensor, elements);
}

static const float *bind_floats(binder *b, vt_part part, size_t block, const char *suffix,
                                const size_t *shape, size_t ndim) {
    const vt_tensor *tensor = require(b, part, block, suffix);
    size_t elements = 0;
    if (!tensor || !vt_product(shape, ndim, &elements))
        return NULL;
    float *out = own(b, elements, sizeof *out);
    if (out)
        load_into(b, out, tensor, shape, ndim);
    return out;
}

static const float *bind_vector(binder *b, vt_part part, size_t block, const char *suffix, size_t n) {
    return bind_floats(b, part, block, suffix, &n, 1);
}

static void bind_norm(binder *b, vt_norm *out, vt_part part, size_t block, size_t n) {
    out->kind = b->config->encoder.norm;
    out->eps = b->config->encoder.norm_eps;
    out->weight = bind_vector(b, part, block, ".weight", n);
    if (b->norm_bias)
        out->bias = bind_vector(b, part, block, ".bias", n);
}

static void bind_block_norm_if_any(binder *b, vt_norm *out, vt_part part, size_t block, size_t n) {
    if (any_block_has(b, part, ".weight"))
        bind_norm(b, out, part, block, n);
}

static void create_packed(binder *b, vt_packed *out, size_t n, size_t k) {
    size_t floats;
    if (b->status)
        return;
    if (!vt_packed_size(b->kernels, n, k, &floats)) {
        b->status = vt_fail(b->err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", n, k);
        return;
    }
    *out = (vt_packed){.n = n, .k = k, .panels = own(b, floats, sizeof(float))};
}

/* Packs a tensor into rows [row, row + rows) of a matrix. */
static void pack_tensor(binder *b, vt_packed *out, size_t row, size_t rows, const vt_tensor *tensor,
                        const size_t *shape, size_t ndim) {
    size_t elements;
    if (b->status || !tensor || !vt_mul_size(rows, out->k, &elements))
        return;
    float *weight = vt_malloc(elements, sizeof *weight);
    if (!weight) {
        b->status = vt_fail_memory(b->err, "a weight", elements * sizeof *weight);
        return;
    }
    load_into(b, weight, tensor, shape, ndim);
    if (!b->status)
        vt_pack_rows(b->kernels, out, row, weight, rows);
    vt_free(weight);
}

static void bind_dense(binder *b, vt_dense *out, vt_part part, size_t block, size_t n, size_t k,
                       bool has_bias) {
    const size_t shape[] = {n, k};
    create_packed(b, &out->weight, n, k);
    pack_tensor(b, &out->weight, 0, n, require(b, part, block, ".weight"), shape, 2);
    if (has_bias)
        out->bias = bind_vector(b, part, block, ".bias", n);
}

static void bind_block_dense(binder *b, vt_dense *out, vt_part part, size_t block, size_t n,
                             size_t k) {
    bind_dense(b, out, part, block, n, k, any_block_has(b, part, ".bias"));
}

/* Query, key and value as three tensors, packed one below the other. A bias that a model leaves out (key's
 * in some) is zero. */
static void bind_split_qkv(binder *b, vt_dense *out, size_t block) {
    static const vt_part parts[] = {VT_PART_Q, VT_PART_K, VT_PART_V};
    const vt_attention_shape *shape = &b->config->encoder.attention;
    const size_t q = shape->num_heads * shape->head_dim, kv = shape->num_kv_heads * shape->head_dim;
    const size_t heights[] = {q, kv, kv};
    size_t width = b->config->encoder.width, row = 0;
    float *bias = NULL;
    create_packed(b, &out->weight, q + 2 * kv, width);
    for (size_t i = 0; i < 3; i++) {
        const size_t matrix[] = {heights[i], width};
        pack_tensor(b, &out->weight, row, heights[i], require(b, parts[i], block, ".weight"), matrix,
                    2);
        if (any_block_has(b, parts[i], ".bias")) {
            const vt_tensor *tensor = require(b, parts[i], block, ".bias");
            if (!bias)
                bias = own(b, q + 2 * kv, sizeof *bias);
            if (tensor && bias)
                load_into(b, bias + row, tensor, &heights[i], 1);
        }
        row += heights[i];
    }
    out->bias = bias;
}

static void bind_qkv(binder *b, vt_dense *out, size_t block) {
    const vt_encoder_config *encoder = &b->config->encoder;
    if (any_block_has(b, VT_PART_Q, ".weight"))
        bind_split_qkv(b, out, block);
    else
        bind_block_dense(b, out, VT_PART_QKV, block, vt_encoder_qkv_width(encoder), encoder->width);
}

static void bind_block(binder *b, vt_block *out, size_t block) {
    const vt_encoder_config *encoder = &b->config->encoder;
    const vt_attention_shape *shape = &encoder->attention;
    size_t width = encoder->width, q_width = shape->num_heads * shape->head_dim;

    bind_norm(b, &out->norm1, VT_PART_NORM1, block, width);
    bind_qkv(b, &out->qkv, block);
    bind_block_norm_if_any(b, &out->q_norm, VT_PART_Q_NORM, block, shape->head_dim);
    bind_block_norm_if_any(b, &out->k_norm, VT_PART_K_NORM, block, shape->head_dim);
    bind_block_norm_if_any(b, &out->attn_norm, VT_PART_ATTN_NORM, block, q_width);
    bind_block_dense(b, &out->proj, VT_PART_PROJ, block, width, q_width);
    if (any_block_has(b, VT_PART_SCALE1, ""))
        out->scale1 = bind_vector(b, VT_PART_SCALE1, block, "", width);

    out->mlp.activation = encoder->activation;
    out->mlp.gated = encoder->gated_mlp;
    bind_norm(b, &out->norm2, VT_PART_NORM2, block, width);
    bind_block_dense(b, &out->mlp.fc1, VT_PART_FC1, block,
                     encoder->mlp_dim * (encoder->gated_mlp ? 2 : 1), width);
    bind_block_norm_if_any(b, &out->mlp.norm, VT_PART_MLP_NORM, block, encoder->mlp_dim);
    bind_block_dense(b, &out->mlp.fc2, VT_PART_FC2, block, width, encoder->mlp_dim);
    if (any_block_has(b, VT_PART_SCALE2, ""))
        out->scale2 = bind_vector(b, VT_PART_SCALE2, block, "", width);
}

static void bind_blocks(binder *b) {
    size_t depth = b->config->encoder.depth;
    b->out->blocks = own(b, depth, sizeof *b->out->blocks);
    if (!b->out->blocks)
        return;
    b->out->num_blocks = depth;
    for (size_t block = 0; block < depth && !b->status; block++)
        bind_block(b, &b->out->blocks[block], block);
    const vt_tensor *first = require(b, VT_PART_FC2, 0, ".weight");
    if (first)
        b->out->dtype = first->dtype;
}

/* The class, distillation and register tokens, one after another. */
static void bind_prefix(binder *b) {
    const vt_config *config = b->config;
    size_t width = config->encoder.width, row = 0;
    const struct {
        vt_part part;
        size_t count;
    } tokens[] = {
        {VT_PART_CLASS_TOKEN, config->num_class_tokens},
        {VT_PART_DISTILL_TOKEN, config->num_distill_tokens},
        {VT_PART_REGISTERS, config->num_registers},
    };
    float *prefix = own(b, vt_config_num_prefix(config) * width, sizeof *prefix);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0] && prefix; i++) {
        if (!tokens[i].count)
            continue;
        const size_t shape[] = {tokens[i].count, width};
        const vt_tensor *tensor = require(b, tokens[i].part, 0, "");
        if (tensor)
            load_into(b, prefix + row * width, tensor, tokens[i].count == 1 ? shape + 1 : shape,
                      tokens[i].count == 1 ? 1 : 2);
        row += tokens[i].count;
    }
    b->out->embed.prefix = prefix;
    b->out->embed.num_prefix = vt_config_num_prefix(config);
    b->out->embed.num_pos_prefix = config->num_pos_prefix;
}

static void bind_embeddings(binder *b) {
    const vt_config *config = b->config;
    size_t width = config->encoder.width, patch = config->patch_size;
    const size_t kernel[] = {width, 3, patch, patch};
    vt_patch_embed *embed = &b->out->embed;
    embed->patch_size = patch;
    create_packed(b, &embed->proj.weight, width, 3 * patch * patch);
    pack_tensor(b, &embed->proj.weight, 0, width, require(b, VT_PART_PATCH, 0, ".weight"), kernel, 4);
    if (config->patch_bias)
        embed->proj.bias = bind_vector(b, VT_PART_PATCH, 0, ".bias", width);
    bind_prefix(b);
    if (config->has_pos_embed) {
        const size_t table[] = {config->num_pos_prefix + vt_config_num_patches(config), width};
        b->out->pos_embed = bind_floats(b, VT_PART_POS_EMBED, 0, "", table, 2);
    }
    if (config->pre_norm)
        bind_norm(b, &b->out->pre_norm, VT_PART_PRE_NORM, 0, width);
}

/* The probe goes through its projection once and for all. */
static void bind_map_query(binder *b, vt_map_head *map) {
    size_t width = b->config->encoder.width;
    const vt_compute compute = {.kernels = b->kernels};
    vt_dense q = {0};
    bind_dense(b, &q, VT_PART_MAP_Q, 0, width, width, true);
    const float *probe = bind_vector(b, VT_PART_MAP_PROBE, 0, "", width);
    float *query = own(b, width, sizeof *query);
    if (!b->status)
        vt_dense_forward(&compute, &q, query, width, probe, width, 1, (vt_epilogue){0});
    map->query = query;
}

static void bind_map_head(binder *b, vt_map_head *map) {
    const vt_encoder_config *encoder = &b->config->encoder;
    size_t width = encoder->width;
    char name[MAX_NAME];
    const vt_tensor *fc1 = find(b, VT_PART_MAP_FC1, 0, ".weight", name);
    size_t mlp_dim = fc1 && fc1->ndim == 2 ? fc1->shape[0] : encoder->mlp_dim;
    map->attention = encoder->attention;
    bind_map_query(b, map);
    bind_dense(b, &map->kv, VT_PART_MAP_KV, 0, 2 * width, width, true);
    bind_dense(b, &map->proj, VT_PART_MAP_PROJ, 0, width, width, true);
    bind_norm(b, &map->norm, VT_PART_MAP_NORM, 0, width);
    map->mlp.activation = encoder->activation;
    bind_dense(b, &map->mlp.fc1, VT_PART_MAP_FC1, 0, mlp_dim, width, true);
    bind_dense(b, &map->mlp.fc2, VT_PART_MAP_FC2, 0, width, mlp_dim, true);
}

static void bind_top(binder *b) {
    const vt_config *config = b->config;
    size_t width = config->encoder.width;
    vt_pooler *pooler = &b->out->pooler;
    if (config->final_norm)
        bind_norm(b, &b->out->norm, VT_PART_NORM, 0, width);
    *pooler = (vt_pooler){.kind = config->pooling, .width = width,
                          .include_prefix = config->pool_prefix};
    if (config->pooling == VT_POOL_MAP)
        bind_map_head(b, &pooler->map);
    if (config->pool_norm)
        bind_norm(b, &pooler->norm, VT_PART_POOL_NORM, 0, width);
    if (config->tanh_pooler)
        bind_dense(b, &pooler->dense, VT_PART_POOLER, 0, width, width, true);
    pooler->dense_act = VT_ACT_TANH;
    if (config->num_classes) {
        bind_dense(b, &b->out->head, VT_PART_HEAD, 0, config->num_classes, width, true);
        if (config->distill_head)
            bind_dense(b, &b->out->head_distill, VT_PART_HEAD_DISTILL, 0, config->num_classes, width,
                       true);
    }
}

static size_t count_tensors(const vt_checkpoint *checkpoint) {
    size_t count = 0;
    while (vt_checkpoint_at(checkpoint, count))
        count++;
    return count;
}

vt_status vt_weights_bind(vt_weights *out, const vt_config *config, const vt_family *family,
                          const vt_checkpoint *checkpoint, const vt_kernels *kernels, vt_error *err) {
    *out = (vt_weights){0};
    binder b = {.out = out, .config = config, .family = family, .checkpoint = checkpoint,
                .kernels = kernels, .err = err};
    out->used = own(&b, count_tensors(checkpoint), sizeof *out->used);
    b.prefix = find_prefix(&b);
    b.norm_bias = any_block_has(&b, VT_PART_NORM1, ".bias");
    bind_embeddings(&b);
    bind_blocks(&b);
    bind_top(&b);
    if (b.status)
        vt_weights_free(out);
    return b.status;
}

void vt_weights_free(vt_weights *weights) {
    for (size_t i = 0; i < weights->num_owned; i++)
        vt_free(weights->owned[i]);
    vt_free(weights->owned);
    *weights = (vt_weights){0};
}

static bool is_ignored(const vt_family *family, const char *name) {
    for (const char *const *prefix = family->ignored; prefix && *prefix; prefix++)
        if (strncmp(name, *prefix, strlen(*prefix)) == 0)
            return true;
    return false;
}

void vt_weights_report_unused(const vt_weights *weights, const vt_family *family,
                              const vt_checkpoint *checkpoint, vt_log_fn log, void *log_user) {
    const vt_tensor *tensor;
    for (size_t i = 0; (tensor = vt_checkpoint_at(checkpoint, i)) != NULL; i++) {
        char line[MAX_NAME + 256];
        if (weights->used[i] || is_ignored(family, tensor->name))
            continue;
        snprintf(line, sizeof line, "%s: tensor %s is not known to the family %s and was left out",
                 vt_checkpoint_weights_path(checkpoint), tensor->name, family->name);
        log(log_user, line);
    }
}
