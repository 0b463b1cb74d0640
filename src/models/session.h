/* SPDX-License-Identifier: MIT
 *
 * What vt_session is made of: a pass for pictures, a pass for text, and the pool that both run on.
 */
#ifndef VT_MODELS_SESSION_H
#define VT_MODELS_SESSION_H

#include "base/cancel.h"
#include "base/threads.h"
#include "models/model.h"
#include "models/run.h"

/* ---- pictures ----------------------------------------------------------------------------------
 */

typedef struct vt_vision_shape {
    size_t batch, grid_h, grid_w, num_patches, num_tokens;
    size_t merge;   /* pairs of tokens that each block merges at most */
    bool attention; /* what queries made of their keys can be told */
} vt_vision_shape;

/* Everything a forward pass of one size writes to, carved from one block. */
typedef struct vt_vision_buffers {
    float *columns;             /* [patches][3 patch^2], of one picture */
    float *x;                   /* [batch * tokens][width], the residual stream */
    float *rope_cos, *rope_sin; /* [patches][pairs], RoPE-mixed: [depth][num_heads] of them */
    vt_encoder_workspace encoder;
    vt_pooler_workspace pooler;
    vt_merge merge;   /* where tokens are merged */
    float *attention; /* [batch][num_heads][tokens][tokens] of a block; NULL: not asked for */
    void *rounded;    /* a layer's input as vt_linear wants it (vt_linear_row_scratch) */
    float *pooled;    /* [batch][width] */
    float *head_in;   /* [batch][head_blocks + 1][width]: class tokens, and a mean */
    float *embeds;    /* [batch][embed_dim] */
    float *logits;    /* [batch][num_classes] */
    float *logits_distill;
} vt_vision_buffers;

typedef struct vt_vision_pass {
    vt_vision_shape shape;
    vt_vision_buffers buffers;
    const float *pos;    /* the table at this grid, the model's */
    float *item_pos;     /* [batch][num_patches][width], where each picture has a grid of its own */
    uint8_t *item_mask;  /* [batch][num_tokens], likewise */
    const uint8_t *mask; /* item_mask after a pass of such pictures, else NULL */
    vt_rope *ropes;      /* [depth], or NULL */
    vt_grid_bias *grid_biases; /* [depth], or NULL */
    const vt_attention_bias **biases;
    float *bias_tables;    /* [depth][rows][num_heads], resized */
    size_t *item_tokens;   /* [batch] */
    const size_t *lengths; /* item_tokens in a pass of pictures of several sizes, else NULL */
    size_t count;          /* pictures of the last forward pass */
    size_t tokens;         /* of each that x holds after it; 0: `lengths` has them */
    bool features;         /* all tokens are wanted */
    void *block;
} vt_vision_pass;

vt_status vt_vision_find_shape(vt_vision_shape *out, const vt_model *model,
                               const vt_session_options *options, vt_error *err);
vt_status vt_vision_measure(size_t *bytes, const vt_model *model, const vt_vision_shape *shape,
                            size_t num_threads, vt_error *err);
vt_status vt_vision_create(vt_vision_pass *out, const vt_model *model, const vt_vision_shape *shape,
                           size_t num_threads, vt_error *err);
void vt_vision_destroy(vt_vision_pass *pass);

/* Everything after the embeddings, which are in buffers.x: blocks, pooling, head. With `lengths`
 * nothing is told of what comes before the pooled vectors. Stops when that is asked for. */
void vt_vision_finish(vt_session *session);

/* Pictures of sizes of their own: as many as fit the batch, each of whole patches, and of no more
 * than the session's. */
vt_status vt_vision_check_sizes(const vt_session *session, const size_t *heights,
                                const size_t *widths, size_t count, vt_error *err);

/* The input size of a picture of that size (in the file): the session's own, but for NaFlex. */
void vt_vision_fit_size(const vt_session *session, size_t full_height, size_t full_width,
                        size_t *height, size_t *width);

/* How many of a picture's tokens a pass for its scores reads after the last block: the first so
 * many; 0 means all. */
size_t vt_vision_tokens_read(const vt_config *config);

/* Whether `pairs` pairs of tokens can be merged in each block. */
vt_status vt_vision_check_merge(const vt_config *config, size_t pairs, vt_error *err);

/* Tokens of a picture that are left after the first so many blocks. */
size_t vt_vision_tokens_after(const vt_config *config, const vt_vision_shape *shape, size_t blocks);

/* Tells [count][tokens][width]. */
void vt_vision_tell_tokens(const vt_session *session, const char *name, const float *x,
                           size_t tokens);

/* ---- text --------------------------------------------------------------------------------------
 */

typedef struct vt_text_buffers {
    float *x; /* [batch * tokens][width], the residual stream, then hidden */
    float *rope_cos, *rope_sin, *local_cos, *local_sin; /* [tokens][pairs] */
    vt_encoder_workspace encoder;
    void *rounded;  /* a layer's input as vt_linear wants it (vt_linear_row_scratch) */
    float *pooled;  /* [batch][pooled width] */
    float *undense; /* [batch][width]: what the pooler's linear layer takes */
    float *embeds;  /* [batch][embed_dim] */
    float *logits;  /* [batch * tokens][vocab_size] */
    vt_kv_cache cache;
} vt_text_buffers;

typedef struct vt_text_pass {
    size_t batch, tokens; /* at most; 0: no text in this session */
    size_t cache_tokens, rope_length;
    vt_text_buffers buffers;
    vt_rope rope, local_rope;
    vt_alibi alibi;
    vt_t5_bias t5_bias;
    uint16_t *t5_buckets;             /* [t5_max_distance + 1] */
    const vt_attention_bias **biases; /* [depth], or NULL */
    const int64_t *token_types;       /* [count][length] of the next forward pass, or NULL: all 0 */
    size_t count, length;             /* texts and tokens of the last forward pass */
    void *block;
} vt_text_pass;

vt_status vt_text_create(vt_text_pass *out, const vt_model *model,
                         const vt_session_options *options, size_t num_threads, vt_error *err);
void vt_text_destroy(vt_text_pass *pass);

/* ---- session -----------------------------------------------------------------------------------
 */

/* A result that is not finite: which, and of which picture or text. */
typedef struct vt_odd_result {
    const char *what;
    size_t item;
} vt_odd_result;

struct vt_session {
    const vt_model *model;
    vt_pool *pool;
    bool owns_pool;
    vt_vision_pass vision;
    vt_text_pass text;
    vt_frame_run *frames; /* NULL until the first frame */
    vt_cancel cancel;
    size_t entered;    /* vt_session_enter, less vt_session_leave */
    vt_status status;  /* of a pass's layers so far */
    vt_odd_result odd; /* where that is VT_ERR_NOT_FINITE */
    vt_stage_fn on_stage;
    void *stage_user;
};

/* Hands [count][rows][columns] to whoever listens; rows == 0: the stage is [count][columns]. */
void vt_session_tell(const vt_session *session, const char *name, const float *data, size_t count,
                     size_t rows, size_t columns);

/* What a pass runs its layers on. */
vt_compute vt_session_compute(vt_session *session, void *scratch);

/* Around what vt_session_cancel can stop; they nest. The second says how it ended: as `status`
 * does, or as its layers did. */
void vt_session_enter(vt_session *session);
vt_status vt_session_leave(vt_session *session, vt_status status, vt_error *err);

/* rows[count][n] scaled to length 1 each. */
void vt_normalize_rows(const vt_kernels *kernels, float *rows, size_t count, size_t n);

/* What linear layers over `rows` tokens need beside their operands; NULL where that is nothing. */
void *vt_take_rounded(vt_arena *arena, const vt_weights *weights, size_t rows);

/* An arena's floats, rows times columns; sets overflow when that does not fit. */
float *vt_take_floats(vt_arena *arena, size_t rows, size_t columns);

#endif
