/* SPDX-License-Identifier: MIT
 *
 * A forward pass over pictures: patches, blocks, pooling, head.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "models/finite.h"
#include "models/session.h"
#include "nn/interpolate.h"

enum { MAX_SIDE = 1 << 20, MAX_BATCH = 1 << 16 };

/* ---- sizes -------------------------------------------------------------------------------------
 */

vt_status vt_vision_find_shape(vt_vision_shape *out, const vt_model *model,
                               const vt_session_options *options, vt_error *err) {
    const vt_vision_config *config = &model->config.vision;
    size_t height = options->height, width = options->width, batch = options->batch;
    bool natural = !height && !width;
    size_t own_height, own_width;
    vt_config_input_size(config, &own_height, &own_width);
    height = height ? height : own_height;
    width = width ? width : own_width;
    batch = batch ? batch : 1;
    if (height > MAX_SIDE || width > MAX_SIDE || batch > MAX_BATCH)
        return vt_fail(err, VT_ERR_LIMIT,
                       "an input of %zu x %zu in batches of %zu is over the limit of %d x %d, %d",
                       height, width, batch, MAX_SIDE, MAX_SIDE, MAX_BATCH);
    out->batch = batch;
    out->grid_h = vt_model_round_to_patches(model, height) / config->run_patch_size;
    out->grid_w = vt_model_round_to_patches(model, width) / config->run_patch_size;
    out->num_patches = out->grid_h * out->grid_w;
    if (config->naflex && natural)
        out->num_patches = model->config.preprocess.max_num_patches;
    out->num_tokens = vt_config_num_prefix(config) + out->num_patches;
    if (out->num_tokens > vt_limits_now()->tokens)
        return vt_fail(err, VT_ERR_LIMIT, "an input of %zu tokens is over the limit of %zu",
                       out->num_tokens, vt_limits_now()->tokens);
    out->merge = options->merge;
    out->attention = options->attention;
    if (out->attention && out->merge)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "the attention of tokens that are merged on the way can't be told");
    return vt_vision_check_merge(&model->config, options->merge, err);
}

vt_status vt_vision_check_sizes(const vt_session *session, const size_t *heights,
                                const size_t *widths, size_t count, vt_error *err) {
    const vt_vision_shape *shape = &session->vision.shape;
    size_t patch = session->model->config.vision.run_patch_size;
    if (count == 0 || count > shape->batch)
        return vt_fail(err, VT_ERR_ARGUMENT, "a session for %zu pictures was given %zu",
                       shape->batch, count);
    for (size_t i = 0; i < count; i++) {
        size_t h = heights[i] / patch, w = widths[i] / patch;
        if (heights[i] % patch || widths[i] % patch || h == 0 || w == 0 ||
            h > shape->num_patches / w)
            return vt_fail(err, VT_ERR_ARGUMENT,
                           "a picture of %zu x %zu: expected multiples of %zu, at most %zu patches",
                           heights[i], widths[i], patch, shape->num_patches);
    }
    return VT_OK;
}

static size_t grid_bias_rows(const vt_vision_shape *shape) {
    return (2 * shape->grid_h - 1) * (2 * shape->grid_w - 1) + 3;
}

/* Tables of rotations: one, or one for each head of each block. */
static size_t num_rope_tables(const vt_vision_config *config) {
    return config->rope.kind == VT_ROPE2D_MIXED
               ? config->encoder.depth * config->encoder.attention.num_heads
               : 1;
}

static void carve(vt_vision_pass *out, vt_arena *arena, const vt_model *model,
                  const vt_vision_shape *shape, size_t num_threads) {
    const vt_config *config = &model->config;
    const vt_vision_config *vision = &config->vision;
    vt_vision_buffers *b = &out->buffers;
    size_t width = vision->encoder.width, depth = vision->encoder.depth, rows = 0;
    if (!vt_mul_size(shape->batch, shape->num_tokens, &rows))
        arena->overflow = true;
    b->columns =
        vt_take_floats(arena, shape->num_patches, model->weights.vision.embed.proj.weight.k);
    b->x = vt_take_floats(arena, rows, width);
    if (vision->has_rope) {
        size_t columns = num_rope_tables(vision) * vision->rope.pairs;
        b->rope_cos = vt_take_floats(arena, shape->num_patches, columns);
        b->rope_sin = vt_take_floats(arena, shape->num_patches, columns);
        out->ropes = vt_arena_take(arena, depth, sizeof *out->ropes);
    }
    vt_encoder_workspace_carve(&b->encoder, arena, &vision->encoder, model->kernels, rows,
                               num_threads);
    vt_pooler_workspace_carve(&b->pooler, arena, &model->weights.vision.pooler, model->kernels,
                              shape->num_tokens, num_threads);
    if (shape->merge) {
        b->merge = (vt_merge){.pairs = shape->merge, .prefix = vt_config_num_prefix(vision)};
        vt_merge_carve(&b->merge, arena, rows, vision->encoder.attention.head_dim);
    }
    if (shape->attention)
        b->attention =
            vt_take_floats(arena, rows * vision->encoder.attention.num_heads, shape->num_tokens);
    b->rounded = vt_take_rounded(arena, &model->weights, rows);
    out->item_tokens = vt_arena_take(arena, shape->batch, sizeof *out->item_tokens);
    b->pooled = vt_take_floats(arena, shape->batch, width);
    b->head_in = vt_take_floats(arena, config->head_blocks ? shape->batch : 0,
                                (config->head_blocks + 1) * width);
    b->embeds = vt_take_floats(arena, shape->batch, config->embed_dim);
    b->logits = vt_take_floats(arena, shape->batch, config->num_classes);
    b->logits_distill =
        vt_take_floats(arena, config->distill_head ? shape->batch : 0, config->num_classes);
    if (vision->naflex) {
        out->item_pos = vt_take_floats(arena, rows, width);
        out->item_mask = vt_arena_take(arena, rows, 1);
    }
    if (vision->has_grid_bias) {
        out->grid_biases = vt_arena_take(arena, depth, sizeof *out->grid_biases);
        out->biases = vt_arena_take(arena, depth, sizeof *out->biases);
        out->bias_tables = vt_take_floats(arena, depth * grid_bias_rows(shape),
                                          vision->encoder.attention.num_heads);
    }
}

vt_status vt_vision_measure(size_t *bytes, const vt_model *model, const vt_vision_shape *shape,
                            size_t num_threads, vt_error *err) {
    vt_arena arena = {0};
    vt_vision_pass ignored = {0};
    carve(&ignored, &arena, model, shape, num_threads);
    if (arena.overflow)
        return vt_fail(err, VT_ERR_LIMIT, "%zu pictures of %zu x %zu patches do not fit in memory",
                       shape->batch, shape->grid_h, shape->grid_w);
    *bytes = arena.used;
    return VT_OK;
}

/* ---- positions of this grid --------------------------------------------------------------------
 */

/* BEiT's table of each block for another grid: its offsets are resized like a picture, its last
 * three rows are not. */
static vt_status fill_grid_biases(vt_vision_pass *pass, const vt_model *model, vt_error *err) {
    const vt_vision_config *vision = &model->config.vision;
    const vt_vision_shape *shape = &pass->shape;
    size_t num_heads = vision->encoder.attention.num_heads, rows = grid_bias_rows(shape);
    size_t native_h, native_w;
    vt_config_native_grid(vision, &native_h, &native_w);
    size_t from_h = 2 * native_h - 1, from_w = 2 * native_w - 1;
    size_t to_h = 2 * shape->grid_h - 1, to_w = 2 * shape->grid_w - 1;
    vt_status status = VT_OK;
    for (size_t i = 0; i < vision->encoder.depth && !status; i++) {
        const float *from = model->weights.vision.grid_biases[i];
        float *to = pass->bias_tables + i * rows * num_heads;
        if (from_h == to_h && from_w == to_w)
            memcpy(to, from, to_h * to_w * num_heads * sizeof *to);
        else
            status = vt_interpolate(to, from, from_h, from_w, to_h, to_w, num_heads,
                                    model->grid_bias_resize, err);
        memcpy(to + to_h * to_w * num_heads, from + from_h * from_w * num_heads,
               3 * num_heads * sizeof *to);
        pass->grid_biases[i] = vt_grid_bias_make(to, num_heads, shape->grid_h, shape->grid_w);
        pass->biases[i] = &pass->grid_biases[i].base;
    }
    return status;
}

/* Each head's table of each block, one behind the other. */
static void fill_mixed_ropes(vt_vision_pass *pass, const vt_model *model) {
    const vt_vision_config *vision = &model->config.vision;
    const vt_vision_shape *shape = &pass->shape;
    size_t pairs = vision->rope.pairs, floats = shape->num_patches * pairs;
    size_t tables = num_rope_tables(vision);
    const float *fx = model->weights.vision.rope_frequencies, *fy = fx + tables * pairs;
    for (size_t i = 0; i < tables; i++)
        vt_rope2d_fill_mixed(pass->buffers.rope_cos + i * floats,
                             pass->buffers.rope_sin + i * floats, fx + i * pairs, fy + i * pairs,
                             pairs, shape->grid_h, shape->grid_w);
}

static void fill_ropes(vt_vision_pass *pass, const vt_model *model) {
    const vt_vision_config *vision = &model->config.vision;
    const vt_vision_shape *shape = &pass->shape;
    bool mixed = vision->rope.kind == VT_ROPE2D_MIXED;
    size_t head_stride = mixed ? shape->num_patches * vision->rope.pairs : 0;
    size_t block_stride = head_stride * vision->encoder.attention.num_heads;
    for (size_t i = 0; i < vision->encoder.depth; i++)
        pass->ropes[i] = (vt_rope){.cos = pass->buffers.rope_cos + i * block_stride,
                                   .sin = pass->buffers.rope_sin + i * block_stride,
                                   .head_stride = head_stride,
                                   .pairs = vision->rope.pairs,
                                   .layout = vision->rope.layout,
                                   .num_prefix = vt_config_num_prefix(vision)};
    if (mixed)
        fill_mixed_ropes(pass, model);
    else
        vt_rope2d_fill(pass->buffers.rope_cos, pass->buffers.rope_sin, &vision->rope, shape->grid_h,
                       shape->grid_w);
}

static vt_status fill_positions(vt_vision_pass *pass, const vt_model *model, vt_error *err) {
    const vt_vision_config *vision = &model->config.vision;
    if (vision->has_rope)
        fill_ropes(pass, model);
    if (vision->has_grid_bias)
        return fill_grid_biases(pass, model, err);
    return VT_OK;
}

/* ---- life --------------------------------------------------------------------------------------
 */

vt_status vt_vision_create(vt_vision_pass *out, const vt_model *model, const vt_vision_shape *shape,
                           size_t num_threads, vt_error *err) {
    size_t bytes = 0;
    *out = (vt_vision_pass){.shape = *shape};
    vt_status status = vt_vision_measure(&bytes, model, shape, num_threads, err);
    if (!status && model->positions)
        status = vt_pos_cache_get(model->positions, &out->pos, shape->grid_h, shape->grid_w, err);
    if (status)
        return status;
    out->block = vt_malloc(bytes, 1);
    if (!out->block)
        return vt_fail_memory(err, "a session", bytes);
    vt_arena arena = {.base = out->block};
    carve(out, &arena, model, shape, num_threads);
    return fill_positions(out, model, err);
}

void vt_vision_destroy(vt_vision_pass *pass) {
    vt_free(pass->block);
    *pass = (vt_vision_pass){0};
}

void vt_session_input_size(const vt_session *session, size_t *height, size_t *width) {
    size_t patch = session->model->config.vision.run_patch_size;
    *height = session->vision.shape.grid_h * patch;
    *width = session->vision.shape.grid_w * patch;
}

vt_status vt_session_preprocess(const vt_session *session, float *pixels, const vt_image *image,
                                vt_error *err) {
    size_t height, width;
    if (!session->model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    vt_session_input_size(session, &height, &width);
    return vt_preprocess_run(&session->model->config.preprocess, pixels, image, height, width,
                             session->model->kernels, err);
}

void vt_session_shrink_size(const vt_session *session, size_t *min_height, size_t *min_width) {
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    if (session->model->config.vision
            .naflex) { /* at most a square's edge in the shorter direction */
        const double patches = ceil(sqrt((double)session->vision.shape.num_patches));
        height = width = (size_t)patches * session->model->config.vision.run_patch_size;
    }
    vt_preprocess_shrink_size(&session->model->config.preprocess, height, width, min_height,
                              min_width);
}

/* ---- running -----------------------------------------------------------------------------------
 */

void vt_vision_tell_tokens(const vt_session *session, const char *name, const float *x,
                           size_t tokens) {
    vt_session_tell(session, name, x, session->vision.count, tokens,
                    session->model->config.vision.encoder.width);
}

/* head_in[item][slot] = the class token of each picture, behind the final norm (or without one).
 */
static void keep_class_tokens(const vt_session *session, size_t slot, const vt_norm *norm,
                              const float *x, size_t tokens) {
    const vt_model *model = session->model;
    const vt_compute compute = {.kernels = model->kernels, .pool = session->pool};
    size_t width = model->config.vision.encoder.width, count = session->vision.count;
    size_t ld = tokens * width, head_ld = (model->config.head_blocks + 1) * width;
    float *out = session->vision.buffers.head_in + slot * width;
    for (size_t item = 0; item < count; item++)
        memcpy(out + item * head_ld, x + item * ld, width * sizeof *out);
    vt_norm_forward(&compute, norm, out, head_ld, out, head_ld, count, width);
}

static void after_block(void *user, size_t block, const float *x, size_t tokens) {
    const vt_session *session = user;
    const vt_config *config = &session->model->config;
    size_t first = config->vision.encoder.depth - config->head_blocks;
    if (config->head_blocks && block >= first)
        keep_class_tokens(session, block - first, &session->model->weights.vision.norm, x, tokens);
    if (session->on_stage) {
        char name[32];
        snprintf(name, sizeof name, "block%zu", block);
        vt_vision_tell_tokens(session, name, x, tokens);
    }
}

static void tell_attention(void *user, size_t block, const float *probabilities, size_t tokens) {
    const vt_session *session = user;
    size_t num_heads = session->model->config.vision.encoder.attention.num_heads;
    char name[32];
    snprintf(name, sizeof name, "block%zu.attention", block);
    const vt_tensor stage = {.name = name,
                             .dtype = VT_DTYPE_F32,
                             .ndim = 4,
                             .shape = {session->vision.count, num_heads, tokens, tokens},
                             .data = probabilities,
                             .size = session->vision.count * num_heads * tokens * tokens *
                                     sizeof *probabilities};
    session->on_stage(session->stage_user, &stage);
}

static void embed(vt_session *session, const vt_compute *compute, const float *pixels) {
    const vt_vision_config *config = &session->model->config.vision;
    const vt_vision_weights *weights = &session->model->weights.vision;
    const vt_vision_shape *shape = &session->vision.shape;
    vt_vision_buffers *b = &session->vision.buffers;
    const float *pos = session->vision.pos;
    size_t width = config->encoder.width;
    if (pos)
        vt_session_tell(session, "pos", pos, 1, config->num_pos_prefix + shape->num_patches, width);
    if (config->has_rope) {
        size_t rows = num_rope_tables(config) * shape->num_patches;
        vt_session_tell(session, "rope_cos", b->rope_cos, rows, 0, config->rope.pairs);
        vt_session_tell(session, "rope_sin", b->rope_sin, rows, 0, config->rope.pairs);
    }
    vt_patch_embed_forward(compute, &weights->embed, b->x, pixels, session->vision.count,
                           shape->grid_h, shape->grid_w, pos, b->columns);
    vt_norm_forward(compute, &weights->pre_norm, b->x, width, b->x, width,
                    session->vision.count * shape->num_tokens, width);
    vt_vision_tell_tokens(session, "embeddings", b->x, shape->num_tokens);
}

size_t vt_vision_tokens_read(const vt_config *config) {
    if (config->head_blocks)
        return 0;
    switch (config->vision.pooling) {
    case VT_POOL_TOKEN:
        return config->distill_head ? 2 : 1;
    case VT_POOL_TOKEN_PAIR:
        return 2;
    default:
        return 0;
    }
}

/* False when it was stopped. */
static bool encode(vt_session *session, const vt_compute *compute) {
    const vt_vision_config *config = &session->model->config.vision;
    const vt_vision_weights *weights = &session->model->weights.vision;
    vt_vision_buffers *b = &session->vision.buffers;
    size_t width = config->encoder.width, count = session->vision.count;
    const size_t *lengths = session->vision.lengths;
    const vt_encoder_pass pass = {
        .batch = count,
        .tokens = session->vision.shape.num_tokens,
        .lengths = lengths,
        .block_ropes = session->vision.ropes,
        .biases = session->vision.biases,
        .key_mask = session->vision.mask,
        .merge = session->vision.shape.merge ? &b->merge : NULL,
        .keep = session->vision.features || (session->on_stage && !lengths)
                    ? 0
                    : vt_vision_tokens_read(&session->model->config),
        .cancel = &session->cancel,
        .on_block = lengths ? NULL : after_block,
        .on_attention = b->attention && session->on_stage && !lengths ? tell_attention : NULL,
        .probabilities = b->attention,
        .user = session,
    };
    size_t rows =
        vt_encoder_forward(compute, &config->encoder, weights->blocks, &b->encoder, b->x, &pass);
    if (rows == 0) {
        session->status = VT_ERR_CANCELLED;
        return false;
    }
    vt_norm_forward(compute, &weights->norm, b->x, width, b->x, width, rows, width);
    session->vision.tokens = lengths && !pass.keep ? 0 : rows / count;
    if (!lengths)
        vt_vision_tell_tokens(session, "features", b->x, session->vision.tokens);
    return true;
}

/* b->pooled from the tokens of each picture. */
static void pool(vt_session *session, const vt_compute *compute) {
    const vt_model *model = session->model;
    const vt_pooler *pooler = &model->weights.vision.pooler;
    vt_vision_pass *pass = &session->vision;
    vt_vision_buffers *b = &pass->buffers;
    size_t width = pooler->width, prefix = vt_config_num_prefix(&model->config.vision);
    const vt_token_sizes sizes = {b->merge.size, b->merge.log_size};
    if (pass->tokens) {
        vt_pooler_forward(compute, pooler, &b->pooler, b->pooled, b->x, pass->mask,
                          pass->shape.merge ? &sizes : NULL, pass->count, pass->tokens, prefix);
        return;
    }
    const float *x = b->x;
    for (size_t i = 0; i < pass->count; i++) {
        vt_pooler_forward(compute, pooler, &b->pooler, b->pooled + i * width, x, NULL, NULL, 1,
                          pass->lengths[i], prefix);
        x += pass->lengths[i] * width;
    }
}

/* DeiT: the class token's head and the distillation token's, averaged. */
static void classify_pair(vt_session *session, const vt_compute *compute) {
    const vt_weights *weights = &session->model->weights;
    vt_vision_buffers *b = &session->vision.buffers;
    size_t width = session->model->config.vision.encoder.width;
    size_t n = session->model->config.num_classes, count = session->vision.count;
    size_t ldx = session->vision.tokens * width;
    vt_dense_forward(compute, &weights->head, b->logits, n, b->x, ldx, count, (vt_epilogue){0});
    vt_dense_forward(compute, &weights->head_distill, b->logits_distill, n, b->x + width, ldx,
                     count, (vt_epilogue){0});
    for (size_t i = 0; i < count * n; i++)
        b->logits[i] = 0.5f * (b->logits[i] + b->logits_distill[i]);
}

/* DINOv2: the class tokens are there already, the mean of the patch tokens goes beside them. */
static const float *add_mean(vt_session *session) {
    const vt_config *config = &session->model->config;
    vt_vision_buffers *b = &session->vision.buffers;
    size_t width = config->vision.encoder.width, tokens = session->vision.tokens;
    size_t prefix = vt_config_num_prefix(&config->vision);
    for (size_t item = 0; item < session->vision.count; item++) {
        size_t patches = item * tokens + prefix; /* the first of this picture's */
        vt_pool_mean(b->head_in + ((item + 1) * (config->head_blocks + 1) - 1) * width,
                     b->x + patches * width,
                     session->vision.shape.merge ? b->merge.size + patches : NULL, tokens - prefix,
                     width);
    }
    return b->head_in;
}

static void classify(vt_session *session, const vt_compute *compute) {
    const vt_config *config = &session->model->config;
    const vt_weights *weights = &session->model->weights;
    vt_vision_buffers *b = &session->vision.buffers;
    size_t n = config->num_classes;
    if (!n)
        return;
    if (config->distill_head)
        classify_pair(session, compute);
    else
        vt_dense_forward(compute, &weights->head, b->logits, n,
                         config->head_blocks ? add_mean(session) : b->pooled,
                         weights->head.weight.k, session->vision.count, (vt_epilogue){0});
    vt_session_tell(session, "logits", b->logits, session->vision.count, 0, n);
}

/* Into the space that pictures and texts share. */
static void project(vt_session *session, const vt_compute *compute) {
    const vt_config *config = &session->model->config;
    vt_vision_buffers *b = &session->vision.buffers;
    size_t width = config->vision.encoder.width, n = config->embed_dim;
    size_t count = session->vision.count;
    if (!n)
        return;
    if (config->vision_projection)
        vt_dense_forward(compute, &session->model->weights.vision.projection, b->embeds, n,
                         b->pooled, width, count, (vt_epilogue){0});
    else
        memcpy(b->embeds, b->pooled, count * n * sizeof *b->embeds);
    vt_normalize_rows(compute->kernels, b->embeds, count, n);
    vt_session_tell(session, "image_embeds", b->embeds, count, 0, n);
}

void vt_vision_finish(vt_session *session) {
    const vt_model *model = session->model;
    vt_vision_buffers *b = &session->vision.buffers;
    const vt_compute compute = vt_session_compute(session, session->vision.buffers.rounded);
    size_t count = session->vision.count;
    if (!encode(session, &compute))
        return;
    pool(session, &compute);
    vt_session_tell(session, "pooled", b->pooled, count, 0, model->config.vision.encoder.width);
    classify(session, &compute);
    project(session, &compute);
    vt_check_pictures_finite(session);
}

static vt_status forward(vt_session *session, const float *pixels, size_t count, vt_error *err) {
    const vt_model *model = session->model;
    if (!model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    if (count == 0 || count > session->vision.shape.batch)
        return vt_fail(err, VT_ERR_ARGUMENT, "a session for %zu pictures was given %zu",
                       session->vision.shape.batch, count);
    if (session->vision.shape.num_patches !=
        session->vision.shape.grid_h * session->vision.shape.grid_w)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "a session for pictures of any aspect takes them one size each");
    const vt_compute compute = vt_session_compute(session, session->vision.buffers.rounded);
    session->vision.count = count;
    session->vision.mask = NULL;
    session->vision.lengths = NULL;
    embed(session, &compute, pixels);
    vt_vision_finish(session);
    return VT_OK;
}

vt_status vt_session_forward(vt_session *session, const float *pixels, size_t count,
                             vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, forward(session, pixels, count, err), err);
}

const float *vt_session_logits(const vt_session *session) {
    return session->model->config.num_classes ? session->vision.buffers.logits : NULL;
}

const float *vt_session_pooled(const vt_session *session) {
    return session->vision.buffers.pooled;
}

size_t vt_session_pooled_width(const vt_session *session) {
    return session->model->config.vision.encoder.width;
}

const float *vt_session_features(const vt_session *session) {
    return session->vision.features ? session->vision.buffers.x : NULL;
}

size_t vt_session_num_tokens(const vt_session *session) {
    const vt_config *config = &session->model->config;
    return vt_vision_tokens_after(config, &session->vision.shape, config->vision.encoder.depth);
}

const float *vt_session_token_sizes(const vt_session *session) {
    bool wanted = session->vision.features && session->vision.shape.merge;
    return wanted ? session->vision.buffers.merge.size : NULL;
}

const float *vt_session_image_embeds(const vt_session *session) {
    return session->model->config.embed_dim ? session->vision.buffers.embeds : NULL;
}
