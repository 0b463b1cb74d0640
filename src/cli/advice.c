/* SPDX-License-Identifier: MIT */
#include "advice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"

advice advice_for_grid(const vt_model_info *info, const vt_model_plan *plan) {
    if (!plan->positions_resized)
        return (advice){0};
    if (strstr(info->positions, "learned"))
        return (advice){"a table resized to a moderately larger grid keeps or gains accuracy after "
                        "a fine-tune at that "
                        "size (Dosovitskiy et al. 2021, Touvron et al. 2019); without one, "
                        "accuracy falls off beyond "
                        "about one and a half times the trained side",
                        "--pos-resize to follow another implementation's rule; --size near the "
                        "trained one where no "
                        "fine-tuned checkpoint is to be had"};
    if (strstr(info->positions, "bias"))
        return (advice){
            "interpolated relative biases hold for moderate changes of size (Bao et al. 2021)",
            "--size near the trained one"};
    return (advice){0};
}

advice advice_for_context(const vt_model_info *info, size_t max_positions, size_t context) {
    if (!context || !max_positions || context <= max_positions)
        return (advice){0};
    if (strstr(info->positions, "learned"))
        return (advice){"the table ends there: longer texts are refused", "a shorter --context"};
    if (strstr(info->positions, "rotary"))
        return (advice){"unscaled rotary positions break soon beyond the trained length; NTK and "
                        "YaRN hold for a few "
                        "times that length without training, linear interpolation only after a "
                        "fine-tune (Chen et al. "
                        "2023, Peng et al. 2023; docs/POSITIONS.md measures it)",
                        "--rope-scaling dynamic:F or yarn:F with F = context / trained length, in "
                        "perplexity and "
                        "generate"};
    if (strstr(info->positions, "ALiBi"))
        return (advice){"ALiBi extrapolates (Press et al. 2022; docs/POSITIONS.md)", NULL};
    if (strstr(info->positions, "sinusoid"))
        return (advice){
            "sinusoids are defined at any length, but models break beyond the trained one "
            "(docs/POSITIONS.md)",
            "a shorter --context"};
    if (strstr(info->positions, "T5"))
        return (advice){
            "all far distances share one bucket: it holds for about twice the trained length "
            "(docs/POSITIONS.md)",
            "a shorter --context"};
    return (advice){0};
}

/* ---- orthogonality -----------------------------------------------------------------------------
 */

/* What the session tells on its way: the table, and what enters the first block. */
typedef struct stages {
    float *pos, *x;
    size_t pos_rows, x_rows, width;
} stages;

static void keep(void *user, const vt_tensor *stage) {
    stages *s = user;
    bool is_pos = strcmp(stage->name, "pos") == 0;
    if (!is_pos && strcmp(stage->name, "embeddings") != 0)
        return;
    float **copy = is_pos ? &s->pos : &s->x;
    *copy = allocate(stage->size, 1);
    memcpy(*copy, stage->data, stage->size);
    *(is_pos ? &s->pos_rows : &s->x_rows) = stage->shape[stage->ndim - 2];
    s->width = stage->shape[stage->ndim - 1];
}

static double cosine(const float *a, const float *b, size_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* The mean over all pairs of a patch's position and a patch's content, which is what entered the
 * first block less the position that was added. */
static double mean_abs_cos(stages *s, size_t pos_prefix, size_t num_prefix) {
    size_t patches = s->pos_rows - pos_prefix, n = s->width;
    const float *pos = s->pos + pos_prefix * n;
    float *content = s->x + num_prefix * n;
    double sum = 0;
    for (size_t i = 0; i < patches * n; i++)
        content[i] -= pos[i];
    for (size_t i = 0; i < patches; i++)
        for (size_t j = 0; j < patches; j++)
            sum += fabs(cosine(pos + i * n, content + j * n, n));
    return sum / (double)(patches * patches);
}

bool measure_orthogonality(orthogonality *out, vt_session *session, const vt_model_info *info,
                           const float *pixels, vt_error *err) {
    stages s = {0};
    vt_session_on_stage(session, keep, &s);
    vt_status status = vt_session_forward(session, pixels, 1, err);
    bool found = !status && s.pos && s.x &&
                 s.pos_rows - info->num_pos_prefix == s.x_rows - info->num_prefix_tokens;
    if (found) {
        out->mean_abs_cos = mean_abs_cos(&s, info->num_pos_prefix, info->num_prefix_tokens);
        out->of_chance = sqrt(2 / (3.14159265358979 * (double)s.width));
    }
    free(s.pos);
    free(s.x);
    return found;
}
