/* SPDX-License-Identifier: MIT
 *
 * A model at one input size over all pictures, in a process of its own: how long each took, and
 * what became of it. Without pictures, the same over noise.
 */
#ifndef CLI_SWEEP_PASS_H
#define CLI_SWEEP_PASS_H

#include "labelled.h"
#include "measure.h"
#include "sweep.h"

/* Of one picture. */
typedef struct outcome {
    bool done;     /* it could be read, and was run */
    bool compared; /* it was held against the reference */
    bool top1, top5, agrees;
    double preprocess_ms, forward_ms;
    double kl, cosine;
} outcome;

/* What the model says of each picture at the reference size: logits, then pooled features. It lies
 * in a file rather than in memory, so that no process counts it as its own. */
typedef struct reference {
    int file; /* -1: there is none */
    const outcome *outcomes;
} reference;

typedef struct sweep_pass {
    const vt_model *model;
    const picture_set *set;
    const vt_image_options *image;
    size_t asked_height, asked_width; /* what {size} stands for */
    size_t height, width, threads;
    size_t num_classes; /* 0: the model only has features */
    size_t num_runs;    /* pictures, or passes over noise */
    reference native;   /* to be held against */
    int write_to;       /* where this pass is to be the reference; else -1 */
    outcome *outcomes;  /* [num_runs], which both processes see */
    vt_error *failure;  /* of the last picture that is not `done`; both see it too */
    /* In its own process. */
    vt_session *session;
    float *pixels, *row; /* row: of the reference */
    double *from, *to;   /* two distributions over the classes */
    size_t next;
} sweep_pass;

extern const measured sweep_over_pictures;

/* What the outcomes come to, in a row: the times of all pictures; and what became of those of a
 * group, all of them where it is the set's num_groups. */
void sweep_fill_latencies(sweep_row *row, const sweep_pass *p);
void sweep_fill_effect(sweep_row *row, const sweep_pass *p, size_t group);

/* Memory that processes forked from now on share with this one; NULL, when there is none. */
void *shared_memory(size_t bytes);
void shared_memory_free(void *memory, size_t bytes);

#endif
