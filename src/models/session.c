/* SPDX-License-Identifier: MIT
 *
 * A forward pass: what it needs is measured, allocated as one block and carved when the session is
 * created; running allocates nothing.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "models/model.h"

enum { MAX_SIDE = 1 << 20, MAX_BATCH = 1 << 16 };

/* Everything a forward pass of one size writes to. */
typedef struct buffers {
    float *columns; /* [patches][3 patch^2], of one picture */
    float *x;       /* [batch * tokens][width], the residual stream */
    vt_encoder_workspace encoder;
    vt_pooler_workspace pooler;
    float *pooled;  /* [batch][width] */
    float *logits;  /* [batch][num_classes] */
    float *logits_distill;
} buffers;

typedef struct geometry {
    size_t batch, grid_h, grid_w, num_patches, num_tokens;
} geometry;

struct vt_session {
    const vt_model *model;
    vt_pool *pool;
    geometry shape;
    const float *pos; /* the table at this grid, the model's */
    void *block;
    buffers buffers;
    size_t count; /* pictures of the last forward pass */
    vt_stage_fn on_stage;
    void *stage_user;
};

/* ---- sizes ------------------------------------------------------------------------------------- */

static vt_status find_geometry(geometry *out, const vt_model *model, size_t batch, size_t height,
                               size_t width, vt_error *err) {
    const vt_config *config = &model->config;
    height = height ? height : config->image_height;
    width = width ? width : config->image_width;
    batch = batch ? batch : 1;
    if (height > MAX_SIDE || width > MAX_SIDE || batch > MAX_BATCH)
        return vt_fail(err, VT_ERR_LIMIT,
                       "an input of %zu x %zu in batches of %zu is over the limit of %d x %d, %d",
                       height, width, batch, MAX_SIDE, MAX_SIDE, MAX_BATCH);
    out->batch = batch;
    out->grid_h = vt_model_round_to_patches(model, height) / config->patch_size;
    out->grid_w = vt_model_round_to_patches(model, width) / config->patch_size;
    out->num_patches = out->grid_h * out->grid_w;
    out->num_tokens = vt_config_num_prefix(config) + out->num_patches;
    return VT_OK;
}

static void *take(vt_arena *arena, size_t rows, size_t columns) {
    size_t floats = 0;
    if (!vt_mul_size(rows, columns, &floats))
        arena->overflow = true;
    return vt_arena_take(arena, floats, sizeof(float));
}

static void carve(buffers *out, vt_arena *arena, const vt_model *model, const geometry *shape,
                  size_t num_threads) {
    const vt_config *config = &model->config;
    size_t width = config->encoder.width, rows = 0;
    if (!vt_mul_size(shape->batch, shape->num_tokens, &rows))
        arena->overflow = true;
    out->columns = take(arena, shape->num_patches, model->weights.embed.proj.weight.k);
    out->x = take(arena, rows, width);
    vt_encoder_workspace_carve(&out->encoder, arena, &config->encoder, model->kernels, rows,
                               num_threads);
    vt_pooler_workspace_carve(&out->pooler, arena, &model->weights.pooler, model->kernels,
                              shape->num_tokens, num_threads);
    out->pooled = take(arena, shape->batch, width);
    out->logits = take(arena, shape->batch, config->num_classes);
    out->logits_distill = take(arena, config->distill_head ? shape->batch : 0,
                               config->num_classes);
}

static vt_status measure(size_t *bytes, const vt_model *model, const geometry *shape,
                         size_t num_threads, vt_error *err) {
    vt_arena arena = {0};
    buffers ignored;
    carve(&ignored, &arena, model, shape, num_threads);
    if (arena.overflow)
        return vt_fail(err, VT_ERR_LIMIT, "%zu pictures of %zu x %zu patches do not fit in memory",
                       shape->batch, shape->grid_h, shape->grid_w);
    *bytes = arena.used;
    return VT_OK;
}

/* Multiply-adds count twice, as everywhere in the field. */
static void count_flops(vt_model_plan *out, const vt_model *model) {
    const vt_config *config = &model->config;
    const vt_encoder_config *encoder = &config->encoder;
    const vt_attention_shape *heads = &encoder->attention;
    double tokens = (double)out->num_tokens, width = (double)encoder->width;
    double patches = (double)(out->grid_height * out->grid_width);
    double depth = (double)encoder->depth, q_width = (double)(heads->num_heads * heads->head_dim);
    double mlp = (double)encoder->mlp_dim * (encoder->gated_mlp ? 3 : 2);
    out->flops_patch_embed = 2 * patches * (double)model->weights.embed.proj.weight.k * width;
    out->flops_attention = depth * 4 * tokens * tokens * q_width;
    out->flops_linear = depth * 2 * tokens * width *
                        ((double)vt_encoder_qkv_width(encoder) + q_width + mlp);
    out->flops_head = 2 * width * (double)config->num_classes * (config->distill_head ? 2 : 1);
    out->flops = out->flops_patch_embed + out->flops_attention + out->flops_linear + out->flops_head;
}

vt_status vt_model_plan_forward(vt_model_plan *out, const vt_model *model, size_t batch,
                                size_t height, size_t width, size_t num_threads, vt_error *err) {
    geometry shape = {0};
    *out = (vt_model_plan){0};
    vt_status status = find_geometry(&shape, model, batch, height, width, err);
    if (!status)
        status = measure(&out->workspace_bytes, model, &shape,
                         num_threads ? num_threads : vt_num_processors(), err);
    if (status)
        return status;
    const vt_config *config = &model->config;
    out->grid_height = shape.grid_h;
    out->grid_width = shape.grid_w;
    out->input_height = shape.grid_h * config->patch_size;
    out->input_width = shape.grid_w * config->patch_size;
    out->num_tokens = shape.num_tokens;
    out->positions_resized = model->positions &&
                             (shape.grid_h != config->image_height / config->patch_size ||
                              shape.grid_w != config->image_width / config->patch_size);
    out->weight_bytes = model->weights.bytes;
    count_flops(out, model);
    return VT_OK;
}

/* ---- life -------------------------------------------------------------------------------------- */

static vt_status create(vt_session *session, const vt_session_options *options, vt_error *err) {
    const vt_model *model = session->model;
    size_t bytes = 0;
    vt_status status = vt_pool_create(&session->pool, options->num_threads, err);
    if (!status)
        status = find_geometry(&session->shape, model, options->batch, options->height,
                               options->width, err);
    size_t num_threads = vt_pool_size(session->pool);
    if (!status)
        status = measure(&bytes, model, &session->shape, num_threads, err);
    if (!status && model->positions)
        status = vt_pos_cache_get(model->positions, &session->pos, session->shape.grid_h,
                                  session->shape.grid_w, err);
    if (status)
        return status;
    session->block = vt_malloc(bytes, 1);
    if (!session->block)
        return vt_fail_memory(err, "a session", bytes);
    vt_arena arena = {.base = session->block};
    carve(&session->buffers, &arena, model, &session->shape, num_threads);
    return VT_OK;
}

vt_status vt_session_create(vt_session **out, const vt_model *model,
                            const vt_session_options *options, vt_error *err) {
    static const vt_session_options defaults = VT_SESSION_OPTIONS_INIT;
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->struct_size != sizeof *options)
        return vt_fail(err, VT_ERR_ARGUMENT, "vt_session_options are not initialised");
    vt_session *session = vt_calloc(1, sizeof *session);
    if (!session)
        return vt_fail_memory(err, "a session", sizeof *session);
    session->model = model;
    vt_status status = create(session, options, err);
    if (status) {
        vt_session_destroy(session);
        return status;
    }
    *out = session;
    return VT_OK;
}

void vt_session_destroy(vt_session *session) {
    if (!session)
        return;
    vt_free(session->block);
    vt_pool_destroy(session->pool);
    vt_free(session);
}

void vt_session_input_size(const vt_session *session, size_t *height, size_t *width) {
    *height = session->shape.grid_h * session->model->config.patch_size;
    *width = session->shape.grid_w * session->model->config.patch_size;
}

vt_status vt_session_preprocess(const vt_session *session, float *pixels, const vt_image *image,
                                vt_error *err) {
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    return vt_preprocess_run(&session->model->config.preprocess, pixels, image, height, width, err);
}

/* ---- stages ------------------------------------------------------------------------------------ */

void vt_session_on_stage(vt_session *session, vt_stage_fn fn, void *user) {
    session->on_stage = fn;
    session->stage_user = user;
}

/* Hands [rows][columns] a picture to whoever listens; rows == 0: the stage has one row a picture. */
static void tell_stage(const vt_session *session, const char *name, const float *data, size_t count,
                       size_t rows, size_t columns) {
    if (!session->on_stage)
        return;
    vt_tensor stage = {.name = name, .dtype = VT_DTYPE_F32, .data = data};
    stage.shape[stage.ndim++] = count;
    if (rows)
        stage.shape[stage.ndim++] = rows;
    stage.shape[stage.ndim++] = columns;
    stage.size = count * (rows ? rows : 1) * columns * sizeof(float);
    session->on_stage(session->stage_user, &stage);
}

static void tell_tokens(const vt_session *session, const char *name, const float *x) {
    tell_stage(session, name, x, session->count, session->shape.num_tokens,
               session->model->config.encoder.width);
}

static void tell_block(void *user, size_t block, const float *x) {
    char name[32];
    snprintf(name, sizeof name, "block%zu", block);
    tell_tokens(user, name, x);
}

/* ---- running ----------------------------------------------------------------------------------- */

static void embed(vt_session *session, const vt_compute *compute, const float *pixels) {
    const vt_weights *weights = &session->model->weights;
    const geometry *shape = &session->shape;
    buffers *b = &session->buffers;
    size_t width = session->model->config.encoder.width;
    if (session->pos)
        tell_stage(session, "pos", session->pos, 1,
                   session->model->config.num_pos_prefix + shape->num_patches, width);
    vt_patch_embed_forward(compute, &weights->embed, b->x, pixels, session->count, shape->grid_h,
                           shape->grid_w, session->pos, b->columns);
    vt_norm_forward(compute, &weights->pre_norm, b->x, width, b->x, width,
                    session->count * shape->num_tokens, width);
    tell_tokens(session, "embeddings", b->x);
}

static void encode(vt_session *session, const vt_compute *compute) {
    const vt_model *model = session->model;
    buffers *b = &session->buffers;
    size_t width = model->config.encoder.width;
    vt_encoder_forward(compute, &model->config.encoder, model->weights.blocks, &b->encoder, b->x,
                       session->count, session->shape.num_tokens,
                       session->on_stage ? tell_block : NULL, session);
    vt_norm_forward(compute, &model->weights.norm, b->x, width, b->x, width,
                    session->count * session->shape.num_tokens, width);
    tell_tokens(session, "features", b->x);
}

/* DeiT: the class token's head and the distillation token's, averaged. */
static void classify_pair(vt_session *session, const vt_compute *compute) {
    const vt_weights *weights = &session->model->weights;
    buffers *b = &session->buffers;
    size_t width = session->model->config.encoder.width, n = session->model->config.num_classes;
    size_t ldx = session->shape.num_tokens * width;
    vt_dense_forward(compute, &weights->head, b->logits, n, b->x, ldx, session->count,
                     (vt_epilogue){0});
    vt_dense_forward(compute, &weights->head_distill, b->logits_distill, n, b->x + width, ldx,
                     session->count, (vt_epilogue){0});
    for (size_t i = 0; i < session->count * n; i++)
        b->logits[i] = 0.5f * (b->logits[i] + b->logits_distill[i]);
}

static void classify(vt_session *session, const vt_compute *compute) {
    const vt_model *model = session->model;
    buffers *b = &session->buffers;
    size_t width = model->config.encoder.width, n = model->config.num_classes;
    vt_pooler_forward(compute, &model->weights.pooler, &b->pooler, b->pooled, b->x, session->count,
                      session->shape.num_tokens, vt_config_num_prefix(&model->config));
    tell_stage(session, "pooled", b->pooled, session->count, 0, width);
    if (!n)
        return;
    if (model->config.distill_head)
        classify_pair(session, compute);
    else
        vt_dense_forward(compute, &model->weights.head, b->logits, n, b->pooled, width,
                         session->count, (vt_epilogue){0});
    tell_stage(session, "logits", b->logits, session->count, 0, n);
}

vt_status vt_session_forward(vt_session *session, const float *pixels, size_t count, vt_error *err) {
    if (count == 0 || count > session->shape.batch)
        return vt_fail(err, VT_ERR_ARGUMENT, "a session for %zu pictures was given %zu",
                       session->shape.batch, count);
    const vt_compute compute = {session->model->kernels, session->pool};
    session->count = count;
    embed(session, &compute, pixels);
    encode(session, &compute);
    classify(session, &compute);
    return VT_OK;
}

const float *vt_session_logits(const vt_session *session) {
    return session->model->config.num_classes ? session->buffers.logits : NULL;
}

const float *vt_session_pooled(const vt_session *session) {
    return session->buffers.pooled;
}

size_t vt_session_pooled_width(const vt_session *session) {
    return session->model->config.encoder.width;
}

const vt_model *vt_session_model(const vt_session *session) {
    return session->model;
}
