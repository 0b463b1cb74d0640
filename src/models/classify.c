/* SPDX-License-Identifier: MIT
 *
 * From logits to predictions.
 */
#include <math.h>

#include "base/error.h"
#include "models/session.h"

/* softmax is exp(logit - max) / sum. Not exp(logit - log(sum of exp)): beside logits of 1e17 the
 * logarithm of a few classes is lost. */
typedef struct softmax_terms {
    double max, sum;
} softmax_terms;

static softmax_terms terms_of(const float *logits, size_t n) {
    softmax_terms t = {.max = (double)logits[0]};
    for (size_t i = 1; i < n; i++)
        t.max = fmax(t.max, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        t.sum += exp((double)logits[i] - t.max);
    return t;
}

/* Inserts a class into the `count` best so far, of at most k. Equal logits keep the lower index
 * first. */
static size_t insert(vt_prediction *best, size_t count, size_t k, size_t index, float logit) {
    if (count == k && !(logit > best[k - 1].score))
        return count;
    size_t at = count < k ? count : k - 1;
    for (; at > 0 && logit > best[at - 1].score; at--)
        best[at] = best[at - 1];
    best[at] = (vt_prediction){index, logit};
    return count < k ? count + 1 : k;
}

size_t vt_model_top_k(const vt_model *model, const float *logits, vt_prediction *out, size_t k) {
    size_t n = model->config.num_classes, count = 0;
    if (n == 0 || k == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        count = insert(out, count, k, i, logits[i]);
    softmax_terms total = terms_of(logits, n);
    for (size_t i = 0; i < count; i++) {
        double logit = (double)out[i].score;
        out[i].score = (float)(model->config.multi_label ? 1 / (1 + exp(-logit))
                                                         : exp(logit - total.max) / total.sum);
    }
    return count;
}
