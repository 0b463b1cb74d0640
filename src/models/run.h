/* SPDX-License-Identifier: MIT
 *
 * What a session keeps from one call of vt_session_run to the next.
 */
#ifndef VT_MODELS_RUN_H
#define VT_MODELS_RUN_H

#include "vision/frame.h"
#include "vision/preprocess.h"

/* A picture on its way from a frame to a result. */
typedef struct vt_run_input {
    float *pixels; /* [3][height][width] */
    size_t height, width;
    double decode_ms, preprocess_ms;
} vt_run_input;

/* Memory grows to what the frames so far needed. */
typedef struct vt_frame_run {
    vt_preprocess_plan plan;
    vt_raster raster; /* of MJPEG frames, one at a time */
    vt_scratch memory;
    /* Carved from it: */
    vt_run_input *inputs; /* [batch] */
    const float **pixels; /* [batch], and their sizes, as vt_session_forward_naflex takes them */
    size_t *heights, *widths; /* [batch] */
} vt_frame_run;

/* NULL is taken. */
void vt_frame_run_destroy(vt_frame_run *run);

#endif
