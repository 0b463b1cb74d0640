/* SPDX-License-Identifier: MIT
 *
 * A forward pass over tokens: embeddings, blocks, pooling or logits; whole texts, or step by step
 * with a cache of keys and values.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "models/finite.h"
#include "models/session.h"

enum { DEFAULT_TOKENS = 512, MAX_TEXTS = 1 << 16 };

/* ---- life --------------------------------------------------------------------------------------
 */

static void carve(vt_text_pass *out, vt_arena *arena, const vt_model *model, size_t num_threads) {
    const vt_config *config = &model->config;
    const vt_text_config *text = &config->text;
    const vt_encoder_config *encoder = &text->encoder;
    vt_text_buffers *b = &out->buffers;
    size_t rows = 0, pairs = text->has_rope ? text->rope.pairs : 0;
    if (!vt_mul_size(out->batch, out->tokens, &rows))
        arena->overflow = true;
    b->x = vt_take_floats(arena, rows, encoder->width);
    b->rope_cos = vt_take_floats(arena, out->tokens, pairs);
    b->rope_sin = vt_take_floats(arena, out->tokens, pairs);
    b->local_cos = vt_take_floats(arena, out->tokens, text->local_rope_theta != 0 ? pairs : 0);
    b->local_sin = vt_take_floats(arena, out->tokens, text->local_rope_theta != 0 ? pairs : 0);
    vt_encoder_workspace_carve(&b->encoder, arena, encoder, model->kernels, rows, num_threads);
    b->rounded = vt_take_rounded(arena, &model->weights, rows);
    b->pooled = vt_take_floats(arena, out->batch, vt_config_pooled_width(text));
    b->undense = vt_take_floats(arena, text->pooler_width ? out->batch : 0, encoder->width);
    b->embeds = vt_take_floats(arena, out->batch, config->embed_dim);
    b->logits = vt_take_floats(arena, text->has_lm_head ? rows : 0, text->vocab_size);
    size_t window = encoder->global_every ? 0 : encoder->window;
    vt_kv_cache_carve(&b->cache, arena, encoder->depth,
                      encoder->attention.num_kv_heads * encoder->attention.head_dim, window,
                      out->tokens, out->cache_tokens);
    out->biases = text->has_alibi || text->has_t5_bias
                      ? vt_arena_take(arena, encoder->depth, sizeof *out->biases)
                      : NULL;
    out->t5_buckets = vt_arena_take(arena, text->has_t5_bias ? text->t5_max_distance + 1 : 0,
                                    sizeof *out->t5_buckets);
}

/* Every block has the same bias. */
static void make_biases(vt_text_pass *pass, const vt_model *model) {
    const vt_text_config *text = &model->config.text;
    const vt_text_weights *weights = &model->weights.text;
    const vt_attention_bias *bias = NULL;
    if (text->has_alibi) {
        pass->alibi = vt_alibi_make(weights->alibi_slopes);
        bias = &pass->alibi.base;
    } else if (text->has_t5_bias) {
        pass->t5_bias =
            vt_t5_bias_make(weights->t5_bias, pass->t5_buckets, text->encoder.attention.num_heads,
                            text->t5_buckets, text->t5_max_distance, !text->encoder.causal);
        bias = &pass->t5_bias.base;
    }
    for (size_t i = 0; bias && i < text->encoder.depth; i++)
        pass->biases[i] = bias;
}

vt_status vt_text_create(vt_text_pass *out, const vt_model *model,
                         const vt_session_options *options, size_t num_threads, vt_error *err) {
    const vt_text_config *text = &model->config.text;
    size_t positions = text->max_positions ? text->max_positions : DEFAULT_TOKENS;
    *out = (vt_text_pass){
        .batch = options->text_batch ? options->text_batch : 1,
        .tokens = options->text_tokens         ? options->text_tokens
                  : positions < DEFAULT_TOKENS ? positions
                                               : DEFAULT_TOKENS,
        .cache_tokens = options->cache_tokens,
        .rope_length = options->rope_length,
    };
    const size_t most = vt_limits_now()->tokens;
    if (out->tokens > most || out->cache_tokens > most || out->batch > MAX_TEXTS)
        return vt_fail(err, VT_ERR_LIMIT,
                       "%zu texts of %zu tokens, %zu in the cache, are over the limit of %d, %zu",
                       out->batch, out->tokens, out->cache_tokens, MAX_TEXTS, most);
    vt_arena arena = {0};
    carve(out, &arena, model, num_threads);
    if (arena.overflow)
        return vt_fail(err, VT_ERR_LIMIT, "%zu texts of %zu tokens do not fit in memory",
                       out->batch, out->tokens);
    size_t bytes = arena.used;
    out->block = vt_malloc(bytes, 1);
    if (!out->block)
        return vt_fail_memory(err, "a session's text", bytes);
    arena = (vt_arena){.base = out->block};
    carve(out, &arena, model, num_threads);
    make_biases(out, model);
    return VT_OK;
}

void vt_text_destroy(vt_text_pass *pass) {
    vt_free(pass->block);
    *pass = (vt_text_pass){0};
}

/* ---- embeddings --------------------------------------------------------------------------------
 */

/* Position p of the sinusoidal table (Vaswani et al. 2017, section 3.5), added to a row. */
static void add_sinusoid(float *row, size_t width, size_t p) {
    for (size_t i = 0; i < width; i += 2) {
        double angle = (double)p * pow(10000.0, -(double)i / (double)width);
        row[i] += (float)sin(angle);
        if (i + 1 < width)
            row[i + 1] += (float)cos(angle);
    }
}

static void add_row(float *row, const float *other, size_t width) {
    for (size_t i = 0; i < width; i++)
        row[i] += other[i];
}

static void embed_token(const vt_model *model, float *row, int64_t id, int64_t type,
                        size_t position) {
    const vt_text_config *text = &model->config.text;
    const vt_text_weights *weights = &model->weights.text;
    size_t width = text->encoder.width;
    memcpy(row, weights->tokens + (size_t)id * width, width * sizeof *row);
    if (text->embed_scale != 0)
        model->kernels->scale(row, text->embed_scale, width);
    if (weights->pos_embed)
        add_row(row, weights->pos_embed + position * width, width);
    if (text->has_sinusoids)
        add_sinusoid(row, width, position);
    if (weights->token_types)
        add_row(row, weights->token_types + (size_t)type * width, width);
}

/* A stage has one name in a model of text alone and another beside a tower of pictures. */
static void tell(const vt_session *session, const char *alone, const char *beside,
                 const float *data, size_t rows, size_t columns) {
    vt_session_tell(session, session->model->config.has_vision ? beside : alone, data,
                    session->text.count, rows, columns);
}

static void tell_block(void *user, size_t block, const float *x, size_t tokens) {
    const vt_session *session = user;
    char alone[32], beside[32];
    snprintf(alone, sizeof alone, "block%zu", block);
    snprintf(beside, sizeof beside, "text_block%zu", block);
    tell(session, alone, beside, x, tokens, session->model->config.text.encoder.width);
}

static void embed(vt_session *session, const vt_compute *compute, const int64_t *ids,
                  size_t first) {
    const vt_model *model = session->model;
    vt_text_pass *pass = &session->text;
    size_t width = model->config.text.encoder.width, rows = pass->count * pass->length;
    float *x = pass->buffers.x;
    for (size_t row = 0; row < rows; row++)
        embed_token(model, x + row * width, ids[row],
                    pass->token_types ? pass->token_types[row] : 0, first + row % pass->length);
    pass->token_types = NULL;
    vt_norm_forward(compute, &model->weights.text.embed_norm, x, width, x, width, rows, width);
    tell(session, "embeddings", "text_embeddings", x, pass->length, width);
}

/* ---- running -----------------------------------------------------------------------------------
 */

static vt_rope make_rope(const float *cosines, const float *sines, const vt_rope_config *config) {
    return (vt_rope){
        .cos = cosines, .sin = sines, .pairs = config->pairs, .layout = config->layout};
}

/* The rotations of positions first, first + 1, …, of a sequence that ends with them. */
static void fill_ropes(vt_session *session, size_t first) {
    const vt_text_config *text = &session->model->config.text;
    vt_text_pass *pass = &session->text;
    vt_text_buffers *b = &pass->buffers;
    size_t tokens = pass->length;
    size_t length = pass->rope_length ? pass->rope_length : first + tokens;
    vt_rope_config local = text->rope;
    local.theta = text->local_rope_theta;
    vt_rope_fill(b->rope_cos, b->rope_sin, &text->rope, length, first, tokens);
    pass->rope = make_rope(b->rope_cos, b->rope_sin, &text->rope);
    if (text->local_rope_theta != 0) {
        vt_rope_fill(b->local_cos, b->local_sin, &local, length, first, tokens);
        pass->local_rope = make_rope(b->local_cos, b->local_sin, &local);
    }
    vt_session_tell(session, "rope_cos", b->rope_cos, tokens, 0, text->rope.pairs);
    vt_session_tell(session, "rope_sin", b->rope_sin, tokens, 0, text->rope.pairs);
}

/* False when it was stopped. */
static bool encode(vt_session *session, const vt_compute *compute, const uint8_t *mask,
                   vt_kv_cache *cache, size_t first) {
    const vt_text_config *text = &session->model->config.text;
    const vt_text_weights *weights = &session->model->weights.text;
    vt_text_pass *pass = &session->text;
    size_t width = text->encoder.width;
    float *x = pass->buffers.x;
    if (text->has_rope)
        fill_ropes(session, first);
    const vt_encoder_pass encoder_pass = {
        .batch = pass->count,
        .tokens = pass->length,
        .rope = text->has_rope ? &pass->rope : NULL,
        .local_rope = text->local_rope_theta != 0 ? &pass->local_rope : NULL,
        .biases = pass->biases,
        .key_mask = mask,
        .cache = cache,
        .cancel = &session->cancel,
        .on_block = session->on_stage ? tell_block : NULL,
        .user = session,
    };
    if (vt_encoder_forward(compute, &text->encoder, weights->blocks, &pass->buffers.encoder, x,
                           &encoder_pass) == 0) {
        session->status = VT_ERR_CANCELLED;
        return false;
    }
    vt_norm_forward(compute, &weights->norm, x, width, x, width, pass->count * pass->length, width);
    tell(session, "hidden", "text_features", x, pass->length, width);
    return true;
}

static void predict(vt_session *session, const vt_compute *compute) {
    const vt_text_config *text = &session->model->config.text;
    vt_text_pass *pass = &session->text;
    size_t width = text->encoder.width, n = text->vocab_size;
    if (!text->has_lm_head)
        return;
    vt_dense_forward(compute, &session->model->weights.text.lm_head, pass->buffers.logits, n,
                     pass->buffers.x, width, pass->count * pass->length, (vt_epilogue){0});
    tell(session, "logits", "text_logits", pass->buffers.logits, pass->length, n);
}

/* The token that stands for a text of `length` tokens. */
static size_t pooled_token(const vt_text_config *text, const int64_t *ids, size_t length) {
    size_t at = 0;
    switch (text->pooling) {
    case VT_TEXT_POOL_LAST:
        return length - 1;
    case VT_TEXT_POOL_EOS:
        while (at < length && ids[at] != text->eos_token)
            at++;
        return at < length ? at : 0; /* torch's argmax of no match */
    case VT_TEXT_POOL_ARGMAX:
        for (size_t i = 1; i < length; i++)
            at = ids[i] > ids[at] ? i : at;
        return at;
    case VT_TEXT_POOL_NONE:
    case VT_TEXT_POOL_FIRST:
    case VT_TEXT_POOL_MEAN:
        break;
    }
    return 0;
}

static void pool_masked_mean(float *out, const float *x, const uint8_t *mask, size_t length,
                             size_t width) {
    size_t count = 0;
    memset(out, 0, width * sizeof *out);
    for (size_t t = 0; t < length; t++) {
        if (mask && !mask[t])
            continue;
        add_row(out, x + t * width, width);
        count++;
    }
    for (size_t i = 0; count && i < width; i++)
        out[i] /= (float)count;
}

static void pool(vt_session *session, const vt_compute *compute, const int64_t *ids,
                 const uint8_t *mask) {
    const vt_text_config *text = &session->model->config.text;
    vt_text_pass *pass = &session->text;
    vt_text_buffers *b = &pass->buffers;
    size_t width = text->encoder.width, length = pass->length;
    if (text->pooling == VT_TEXT_POOL_NONE)
        return;
    float *pooled = text->pooler_width ? b->undense : b->pooled;
    for (size_t i = 0; i < pass->count; i++) {
        const float *x = b->x + i * length * width;
        if (text->pooling == VT_TEXT_POOL_MEAN)
            pool_masked_mean(pooled + i * width, x, mask ? mask + i * length : NULL, length, width);
        else
            memcpy(pooled + i * width, x + pooled_token(text, ids + i * length, length) * width,
                   width * sizeof *pooled);
    }
    if (text->pooler_width)
        vt_dense_forward(compute, &session->model->weights.text.pooler, b->pooled,
                         text->pooler_width, b->undense, width, pass->count,
                         (vt_epilogue){.act = text->pooler_act});
    tell(session, "pooled", "text_pooled", b->pooled, 0, vt_config_pooled_width(text));
}

/* Into the space that pictures and texts share. */
static void project(vt_session *session, const vt_compute *compute) {
    const vt_config *config = &session->model->config;
    vt_text_pass *pass = &session->text;
    size_t width = vt_config_pooled_width(&config->text), n = config->embed_dim;
    float *embeds = pass->buffers.embeds;
    if (!n || config->text.pooling == VT_TEXT_POOL_NONE)
        return;
    if (config->text_projection)
        vt_dense_forward(compute, &session->model->weights.text.projection, embeds, n,
                         pass->buffers.pooled, width, pass->count, (vt_epilogue){0});
    else
        memcpy(embeds, pass->buffers.pooled, pass->count * n * sizeof *embeds);
    tell(session, "projected", "text_features_projected", embeds, 0, n);
    vt_normalize_rows(compute->kernels, embeds, pass->count, n);
    tell(session, "text_embeds", "text_embeds", embeds, 0, n);
}

static vt_status check_ids(const vt_text_config *text, const int64_t *ids, size_t count,
                           size_t first, size_t length, vt_error *err) {
    for (size_t i = 0; i < count * length; i++)
        if (ids[i] < 0 || (uint64_t)ids[i] >= text->vocab_size)
            return vt_fail(err, VT_ERR_ARGUMENT, "token %zu is %lld, not in the vocabulary of %zu",
                           i, (long long)ids[i], text->vocab_size);
    if (text->has_pos_embed && first + length > text->max_positions)
        return vt_fail(err, VT_ERR_LIMIT,
                       "%zu tokens are more than the %zu positions that this model learned",
                       first + length, text->max_positions);
    return VT_OK;
}

static vt_status check_token_types(const vt_text_config *text, const int64_t *types, size_t count,
                                   vt_error *err) {
    for (size_t i = 0; types && i < count; i++)
        if (types[i] < 0 || (uint64_t)types[i] >= text->num_token_types)
            return vt_fail(err, VT_ERR_ARGUMENT,
                           "token %zu is of type %lld, the model has %zu types", i,
                           (long long)types[i], text->num_token_types);
    return VT_OK;
}

static vt_status check_call(const vt_session *session, size_t count, size_t tokens, vt_error *err) {
    const vt_text_pass *pass = &session->text;
    if (!pass->block)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "this session has no text: the model takes none, or text_tokens was 0");
    if (count == 0 || count > pass->batch || tokens == 0 || tokens > pass->tokens)
        return vt_fail(err, VT_ERR_ARGUMENT,
                       "a session for %zu texts of %zu tokens was given %zu of %zu", pass->batch,
                       pass->tokens, count, tokens);
    return VT_OK;
}

static vt_status forward(vt_session *session, const int64_t *ids, const uint8_t *mask, size_t count,
                         size_t tokens, vt_error *err) {
    vt_status status = check_call(session, count, tokens, err);
    if (!status)
        status = check_ids(&session->model->config.text, ids, count, 0, tokens, err);
    if (!status)
        status = check_token_types(&session->model->config.text, session->text.token_types,
                                   count * tokens, err);
    if (status)
        return status;
    const vt_compute compute = vt_session_compute(session, session->text.buffers.rounded);
    session->text.count = count;
    session->text.length = tokens;
    embed(session, &compute, ids, 0);
    if (!encode(session, &compute, mask, NULL, 0))
        return VT_OK;
    predict(session, &compute);
    pool(session, &compute, ids, mask);
    project(session, &compute);
    vt_check_texts_finite(session, true);
    return VT_OK;
}

vt_status vt_session_forward_text(vt_session *session, const int64_t *ids, const uint8_t *mask,
                                  size_t count, size_t tokens, vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, forward(session, ids, mask, count, tokens, err), err);
}

static vt_status step(vt_session *session, const int64_t *ids, size_t tokens, vt_error *err) {
    const vt_text_config *text = &session->model->config.text;
    vt_text_pass *pass = &session->text;
    vt_kv_cache *cache = &pass->buffers.cache;
    vt_status status = check_call(session, 1, tokens, err);
    if (status)
        return status;
    size_t first = cache->position + cache->length;
    if (!cache->capacity || !text->encoder.causal)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this session takes no steps: %s",
                       text->encoder.causal ? "cache_tokens was 0" : "the model sees later tokens");
    status = check_ids(text, ids, 1, first, tokens, err);
    if (!status && !vt_kv_cache_reserve(cache, tokens))
        status = vt_fail(err, VT_ERR_LIMIT, "the cache of %zu tokens is full", cache->capacity);
    if (status)
        return status;
    const vt_compute compute = vt_session_compute(session, session->text.buffers.rounded);
    pass->count = 1;
    pass->length = tokens;
    embed(session, &compute, ids, first);
    if (encode(session, &compute, NULL, cache, first)) {
        predict(session, &compute);
        vt_check_texts_finite(session, false);
    }
    return VT_OK;
}

vt_status vt_session_step(vt_session *session, const int64_t *ids, size_t tokens, vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, step(session, ids, tokens, err), err);
}

void vt_session_set_token_types(vt_session *session, const int64_t *types) {
    session->text.token_types = types;
}

void vt_session_reset(vt_session *session) {
    vt_kv_cache_reset(&session->text.buffers.cache);
}

/* ---- results -----------------------------------------------------------------------------------
 */

const float *vt_session_hidden(const vt_session *session) {
    return session->text.buffers.x;
}

const float *vt_session_text_logits(const vt_session *session) {
    return session->model->config.text.has_lm_head ? session->text.buffers.logits : NULL;
}

const float *vt_session_text_pooled(const vt_session *session) {
    return session->model->config.text.pooling ? session->text.buffers.pooled : NULL;
}

const float *vt_session_text_embeds(const vt_session *session) {
    return session->model->config.embed_dim ? session->text.buffers.embeds : NULL;
}

size_t vt_model_embed_dim(const vt_model *model) {
    return model->config.embed_dim;
}

float vt_model_pair_logit(const vt_model *model, float cosine) {
    return expf(model->weights.logit_scale) * cosine + model->weights.logit_bias;
}

size_t vt_model_vocab_size(const vt_model *model) {
    return model->config.text.vocab_size;
}

size_t vt_model_text_width(const vt_model *model) {
    return model->config.text.encoder.width;
}

size_t vt_model_text_pooled_width(const vt_model *model) {
    return model->config.has_text ? vt_config_pooled_width(&model->config.text) : 0;
}

size_t vt_model_text_padding(const vt_model *model, int64_t *pad_token) {
    *pad_token = model->config.text.pad_token;
    return model->config.text.pad_length;
}

int64_t vt_model_eos_token(const vt_model *model) {
    return model->config.has_text ? model->config.text.eos_token : -1;
}

size_t vt_model_max_positions(const vt_model *model) {
    return model->config.text.max_positions;
}
