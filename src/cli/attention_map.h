/* SPDX-License-Identifier: MIT
 *
 * Where in a picture a model looks: a number for each patch.
 */
#ifndef CLI_ATTENTION_MAP_H
#define CLI_ATTENTION_MAP_H

#include <stdbool.h>

#include <vitrine.h>

typedef enum map_kind {
    MAP_ROLLOUT, /* attention rollout (Abnar & Zuidema 2020) */
    MAP_LAST,    /* the last block, the mean of its heads */
    MAP_HEAD,    /* one head of the last block */
    MAP_CAM      /* the classifier at each patch's token: a class activation map */
} map_kind;

typedef struct map_method {
    map_kind kind;
    size_t head; /* for MAP_HEAD */
} map_method;

/* "rollout", "last", "head:N", "cam"; false for anything else. */
bool map_method_parse(map_method *out, const char *text);

typedef struct attention_map {
    size_t rows, columns;
    float *values;  /* [rows][columns]: shares of attention, or logits */
    double outside; /* the share of what is no patch: class and register tokens */
} attention_map;

/* What is told of a pass, for all methods but MAP_CAM, the first picture's. */
typedef struct attention_record attention_record;

/* `tokens` are those of the picture, without padding behind them. */
attention_record *attention_record_begin(vt_session *session, const vt_model_info *info,
                                         map_method method, size_t tokens);
void attention_record_free(attention_record *record);

/* Maps of the pass that was made: of what the tokens take in that the model reads its answer from,
 * the class token or else the mean of the patches; and of the logits of a class. */
void map_of_attention(attention_map *out, const attention_record *record, size_t rows,
                      size_t columns);
vt_status map_of_class(attention_map *out, vt_session *session, const vt_model_info *info,
                       size_t class_index, size_t rows, size_t columns, vt_error *err);

void attention_map_free(attention_map *map);

#endif
