/* SPDX-License-Identifier: MIT */
#include "models/finite.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* ---- numbers -----------------------------------------------------------------------------------
 */

/* The first of count numbers whose exponent says that they are infinite or NaN; count when there is
 * none. By their bits, which may lie at any address. */
static size_t find_odd(const void *data, vt_dtype dtype, size_t count) {
    const unsigned char *bytes = data;
    const uint16_t mask = dtype == VT_DTYPE_BF16 ? 0x7f80 : 0x7c00;
    for (size_t i = 0; i < count; i++) {
        uint32_t wide;
        uint16_t narrow;
        if (dtype == VT_DTYPE_F32) {
            memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
            if ((wide & 0x7f800000u) == 0x7f800000u)
                return i;
        } else {
            memcpy(&narrow, bytes + i * sizeof narrow, sizeof narrow);
            if ((narrow & mask) == mask)
                return i;
        }
    }
    return count;
}

/* Without an end before the end, so that many are looked at at once. */
static bool all_finite(const float *x, size_t count) {
    uint32_t bits, odd = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, &x[i], sizeof bits);
        odd |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !odd;
}

/* ---- weights -----------------------------------------------------------------------------------
 */

/* "[3, 17]": where an element is. */
static void format_place(char *out, size_t size, const vt_tensor *tensor, size_t index) {
    size_t used = (size_t)snprintf(out, size, "["), rest = tensor->size;
    rest /= vt_dtype_size(tensor->dtype);
    for (size_t i = 0; i < tensor->ndim && used < size; i++) {
        rest /= tensor->shape[i]; /* not 0: there is an element */
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", index / rest);
        index %= rest;
    }
    if (used < size)
        snprintf(out + used, size - used, "]");
}

static vt_status check_tensor(const vt_model *model, const vt_tensor *tensor, vt_error *err) {
    size_t size = vt_dtype_size(tensor->dtype), count = tensor->size / size;
    if (tensor->dtype != VT_DTYPE_F32 && tensor->dtype != VT_DTYPE_F16 &&
        tensor->dtype != VT_DTYPE_BF16)
        return VT_OK;
    size_t at = find_odd(tensor->data, tensor->dtype, count);
    vt_checkpoint_release(model->checkpoint, tensor);
    if (at == count)
        return VT_OK;
    char place[200];
    format_place(place, sizeof place, tensor, at);
    return vt_fail(err, VT_ERR_NOT_FINITE, "%s: %s%s is NaN or infinite",
                   vt_checkpoint_weights_path(model->checkpoint), tensor->name, place);
}

static vt_status check_matrix(const vt_model *model, size_t index, vt_error *err) {
    static const vt_dtype dtypes[] = {[VT_STORE_F32] = VT_DTYPE_F32,
                                      [VT_STORE_F16] = VT_DTYPE_F16,
                                      [VT_STORE_BF16] = VT_DTYPE_BF16,
                                      [VT_STORE_INT8] = VT_DTYPE_F32};
    const vt_packed *packed = &model->weights.matrices[index].packed;
    const bool scaled = packed->storage == VT_STORE_INT8;
    const vt_dtype dtype = dtypes[packed->storage];
    size_t count = scaled ? packed->n : packed->bytes / vt_dtype_size(dtype);
    if (find_odd(scaled ? packed->scales : packed->panels, dtype, count) == count)
        return VT_OK;
    return vt_fail(err, VT_ERR_NOT_FINITE, "%s: matrix %zu has a weight that is NaN or infinite",
                   vt_checkpoint_weights_path(model->checkpoint), index);
}

vt_status vt_check_weights_finite(const vt_model *model, vt_error *err) {
    const vt_tensor *tensor;
    vt_status status = VT_OK;
    for (size_t i = 0; !status && (tensor = vt_checkpoint_at(model->checkpoint, i)); i++)
        if (model->weights.used[i] && tensor->data)
            status = check_tensor(model, tensor, err);
    bool packed = vt_checkpoint_packed(model->checkpoint) != NULL;
    for (size_t i = 0; packed && !status && i < model->weights.num_matrices; i++)
        status = check_matrix(model, i, err);
    return status;
}

/* ---- results -----------------------------------------------------------------------------------
 */

/* x[count][n] of `count` pictures or texts; NULL: there is no such result. */
static void check_rows(vt_session *session, const char *what, const float *x, size_t count,
                       size_t n) {
    for (size_t i = 0; x && !session->status && i < count; i++) {
        if (all_finite(x + i * n, n))
            continue;
        session->status = VT_ERR_NOT_FINITE;
        session->odd = (vt_odd_result){what, i};
    }
}

void vt_check_pictures_finite(vt_session *session) {
    const vt_config *config = &session->model->config;
    const vt_vision_pass *pass = &session->vision;
    const size_t width = config->vision.encoder.width;
    check_rows(session, "logits", vt_session_logits(session), pass->count, config->num_classes);
    check_rows(session, "pooled vector", pass->buffers.pooled, pass->count, width);
    check_rows(session, "embedding", vt_session_image_embeds(session), pass->count,
               config->embed_dim);
    if (pass->tokens)
        check_rows(session, "features", vt_session_features(session), pass->count,
                   pass->tokens * width);
}

void vt_check_texts_finite(vt_session *session, bool pooled) {
    const vt_model *model = session->model;
    const vt_text_pass *pass = &session->text;
    const size_t tokens = pass->length, count = pass->count;
    check_rows(session, "logits", vt_session_text_logits(session), count,
               tokens * model->config.text.vocab_size);
    check_rows(session, "vectors", vt_session_hidden(session), count,
               tokens * vt_model_text_width(model));
    if (!pooled || !model->config.text.pooling)
        return;
    check_rows(session, "pooled vector", pass->buffers.pooled, count,
               vt_model_text_pooled_width(model));
    check_rows(session, "embedding", vt_session_text_embeds(session), count,
               model->config.embed_dim);
}
