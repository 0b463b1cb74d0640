/* SPDX-License-Identifier: MIT */
#include "nn/absorbed.h"

#include "base/memory.h"
#include "kernels/transposed.h"

/* A task is one head of one query. */
typedef struct absorbed_call {
    const vt_compute *compute;
    const vt_attention_shape *shape;
    const vt_dense *qkv;
    const vt_attention_args *args;
    float *queries; /* [q_tokens][num_heads][width]: Wk^T q */
    float *sums;    /* [q_tokens][num_heads][width]: sum_j p_j x_j */
} absorbed_call;

bool vt_can_absorb(const vt_attention_shape *shape, const vt_dense *qkv, size_t num_queries) {
    return num_queries <= VT_ABSORBED_QUERIES && shape->num_heads == shape->num_kv_heads &&
           vt_linear_can_transpose(&qkv->weight);
}

bool vt_absorbed_scratch_size(const vt_attention_shape *shape, size_t width, size_t *floats) {
    return vt_product((const size_t[]){2, VT_ABSORBED_QUERIES, shape->num_heads, width}, 4, floats);
}

static void absorb_key(void *context, size_t task, size_t thread) {
    (void)thread;
    const absorbed_call *call = context;
    const vt_packed *weight = &call->qkv->weight;
    size_t heads = call->shape->num_heads, head_dim = call->shape->head_dim, head = task % heads;
    vt_linear_transposed(call->compute->kernels, weight, (heads + head) * head_dim, head_dim,
                         call->queries + task * weight->k,
                         call->args->q + task / heads * call->args->q_ld + head * head_dim);
}

static void apply_value(void *context, size_t task, size_t thread) {
    (void)thread;
    const absorbed_call *call = context;
    const vt_dense *qkv = call->qkv;
    size_t heads = call->shape->num_heads, head_dim = call->shape->head_dim, head = task % heads;
    size_t first = (2 * heads + head) * head_dim, width = qkv->weight.k;
    const vt_compute alone = {.kernels = call->compute->kernels};
    vt_dense_forward_columns(&alone, qkv, first, head_dim,
                             call->args->out + task / heads * call->args->out_ld + head * head_dim,
                             call->args->out_ld, call->sums + task * width, width, 1);
}

void vt_absorbed_attention(const vt_compute *compute, const vt_attention_shape *shape,
                           const vt_dense *qkv, const vt_attention_args *args, const float *x,
                           float *scratch, float *attention_scratch) {
    size_t width = qkv->weight.k, row = shape->num_heads * width;
    size_t num_tasks = args->q_tokens * shape->num_heads;
    absorbed_call call = {compute, shape, qkv, args, scratch, scratch + args->q_tokens * row};
    vt_pool_run(compute->pool, absorb_key, &call, num_tasks);

    /* All heads read the same tokens, as in multi-query attention. */
    vt_attention_shape wide = *shape;
    wide.num_kv_heads = 1;
    wide.head_dim = width;
    vt_attention_args over_x = *args;
    over_x.q = call.queries;
    over_x.q_ld = over_x.out_ld = row;
    over_x.k = over_x.v = x;
    over_x.kv_ld = width;
    over_x.out = call.sums;
    vt_attention(compute, &wide, &over_x, attention_scratch);

    vt_pool_run(compute->pool, apply_value, &call, num_tasks);
}
