/* SPDX-License-Identifier: MIT */
#include "attention_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "settings.h"

struct attention_record {
    map_method method;
    size_t depth, num_heads, num_prefix;
    size_t num_queries; /* tokens that the answer is read from, the first ones; 0: all patches */
    size_t tokens;
    float **blocks; /* [depth]: [tokens][tokens], of those blocks that matter, else NULL */
};

bool map_method_parse(map_method *out, const char *text) {
    *out = (map_method){0};
    if (strcmp(text, "rollout") == 0)
        out->kind = MAP_ROLLOUT;
    else if (strcmp(text, "last") == 0)
        out->kind = MAP_LAST;
    else if (strcmp(text, "cam") == 0)
        out->kind = MAP_CAM;
    else if (strncmp(text, "head:", 5) == 0 && !parse_number(&out->head, text + 5))
        out->kind = MAP_HEAD;
    else
        return false;
    return true;
}

/* ---- recording ---------------------------------------------------------------------------------
 */

/* The number of block<number>.attention; false for any other stage. */
static bool block_of_stage(const char *name, size_t *block) {
    int end = 0;
    return sscanf(name, "block%zu.attention%n", block, &end) == 1 && end && !name[end];
}

/* The head's, or the mean over heads, of the first picture's real tokens. */
static float *keep_heads(const attention_record *r, const vt_tensor *stage) {
    const float *data = stage->data;
    size_t padded = stage->shape[3], n = r->tokens;
    bool one = r->method.kind == MAP_HEAD;
    size_t first = one ? r->method.head : 0, past = one ? first + 1 : r->num_heads;
    float *kept = allocate(n * n, sizeof *kept);
    for (size_t head = first; head < past; head++)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                kept[i * n + j] += data[(head * padded + i) * padded + j] / (float)(past - first);
    return kept;
}

static void on_stage(void *user, const vt_tensor *stage) {
    attention_record *r = user;
    size_t block;
    if (block_of_stage(stage->name, &block) &&
        (r->method.kind == MAP_ROLLOUT || block + 1 == r->depth))
        r->blocks[block] = keep_heads(r, stage);
}

/* How many of the first tokens are what the model pools. */
static size_t count_queries(const vt_model_info *info) {
    if (strcmp(info->pooling, "class token") == 0)
        return 1;
    return strcmp(info->pooling, "mean of class and distillation tokens") == 0 ? 2 : 0;
}

attention_record *attention_record_begin(vt_session *session, const vt_model_info *info,
                                         map_method method, size_t tokens) {
    attention_record *r = allocate(1, sizeof *r);
    *r = (attention_record){.method = method,
                            .depth = info->depth,
                            .num_heads = info->num_heads,
                            .num_prefix = info->num_prefix_tokens,
                            .num_queries = count_queries(info),
                            .tokens = tokens,
                            .blocks = allocate(info->depth, sizeof *r->blocks)};
    vt_session_on_stage(session, on_stage, r);
    return r;
}

void attention_record_free(attention_record *record) {
    for (size_t i = 0; record && i < record->depth; i++)
        free(record->blocks[i]);
    if (record)
        free(record->blocks);
    free(record);
}

/* ---- maps --------------------------------------------------------------------------------------
 */

/* What share of what is read each of the last block's tokens makes up. */
static double *begin_with_queries(const attention_record *r) {
    size_t first = r->num_queries ? 0 : r->num_prefix;
    size_t past = r->num_queries ? r->num_queries : r->tokens;
    double *share = allocate(r->tokens, sizeof *share);
    for (size_t i = first; i < past; i++)
        share[i] = 1 / (double)(past - first);
    return share;
}

/* share' = share A, or share (A + I) / 2, rows of both having the sum 1. */
static double *go_through(const attention_record *r, double *share, const float *a, bool residual) {
    size_t n = r->tokens;
    double *next = allocate(n, sizeof *next);
    for (size_t i = 0; i < n; i++) {
        double sum = residual;
        for (size_t j = 0; j < n; j++)
            sum += (double)a[i * n + j];
        for (size_t j = 0; j < n; j++)
            next[j] += share[i] * (double)a[i * n + j] / sum;
        next[i] += residual ? share[i] / sum : 0;
    }
    free(share);
    return next;
}

/* Rollout is the product of all blocks' matrices, and what is wanted of it a row, or a mean of
 * rows: from the last block to the first, a vector times a matrix each. */
void map_of_attention(attention_map *out, const attention_record *r, size_t rows, size_t columns) {
    bool rollout = r->method.kind == MAP_ROLLOUT;
    double *share = begin_with_queries(r);
    for (size_t block = r->depth; block-- > (rollout ? 0 : r->depth - 1);)
        share = go_through(r, share, r->blocks[block], rollout);
    *out = (attention_map){rows, columns, allocate(rows * columns, sizeof(float)), 0};
    for (size_t i = 0; i < r->num_prefix; i++)
        out->outside += share[i];
    for (size_t i = 0; i < rows * columns; i++)
        out->values[i] = (float)share[r->num_prefix + i];
    free(share);
}

vt_status map_of_class(attention_map *out, vt_session *session, const vt_model_info *info,
                       size_t class_index, size_t rows, size_t columns, vt_error *err) {
    size_t classes = info->num_classes;
    float *logits = allocate(vt_session_num_tokens(session) * classes, sizeof *logits);
    vt_status status = vt_session_token_logits(session, logits, 0, err);
    *out = (attention_map){rows, columns, allocate(rows * columns, sizeof(float)), 0};
    for (size_t i = 0; i < rows * columns && !status; i++)
        out->values[i] = logits[(info->num_prefix_tokens + i) * classes + class_index];
    free(logits);
    return status;
}

void attention_map_free(attention_map *map) {
    free(map->values);
    *map = (attention_map){0};
}
