/* SPDX-License-Identifier: MIT */
#include "nn/sincos.h"

#include <math.h>

typedef struct channel_group {
    bool is_x, is_cos;
} channel_group;

static const channel_group layouts[][4] = {
    [VT_SINCOS_MAE] = {{true, false}, {true, true}, {false, false}, {false, true}},
    [VT_SINCOS_TIMM] = {{false, false}, {true, false}, {false, true}, {true, true}},
    [VT_SINCOS_TIMM_AXES] = {{false, false}, {false, true}, {true, false}, {true, true}},
};

void vt_sincos2d_fill(float *table, size_t grid_h, size_t grid_w, size_t width, double temperature,
                      vt_sincos_layout layout) {
    size_t bands = width / 4;
    for (size_t row = 0; row < grid_h * grid_w; row++) {
        for (size_t group = 0; group < 4; group++) {
            channel_group channels = layouts[layout][group];
            double at = (double)(channels.is_x ? row % grid_w : row / grid_w);
            for (size_t j = 0; j < bands; j++) {
                double angle = at * pow(temperature, -(double)j / (double)bands);
                *table++ = (float)(channels.is_cos ? cos(angle) : sin(angle));
            }
        }
    }
}
