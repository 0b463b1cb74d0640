/* SPDX-License-Identifier: MIT
 *
 * Writing a model's matrices as they lie in memory, and checking that a file written so is opened
 * on the same terms.
 */
#include "models/pack.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static const vt_int8_kernels *int8_kernels(const vt_weights *weights, const vt_kernels *kernels) {
    return weights->int8_k ? vt_int8_kernels_for(kernels) : NULL;
}

/* The checkpoint's tensors, without the data of those that were only packed. */
static vt_tensor *list_tensors(const vt_model *model, size_t *count) {
    const vt_tensor *tensor;
    *count = 0;
    while (vt_checkpoint_at(model->checkpoint, *count))
        ++*count;
    vt_tensor *out = vt_calloc(*count, sizeof *out);
    for (size_t i = 0; out && (tensor = vt_checkpoint_at(model->checkpoint, i)); i++) {
        out[i] = *tensor;
        if (!model->weights.loaded[i])
            out[i].data = NULL;
    }
    return out;
}

vt_status vt_model_pack(const vt_model *model, const char *path, vt_error *err) {
    const vt_weights *weights = &model->weights;
    const vt_int8_kernels *int8 = int8_kernels(weights, model->kernels);
    const vt_packing packing = {.kernels = model->kernels->name,
                                .int8 = int8 ? int8->name : NULL,
                                .precision = vt_precision_name(model->precision)};
    size_t count;
    vt_tensor *tensors = list_tensors(model, &count);
    vt_tensor *panels = vt_calloc(weights->num_matrices, sizeof *panels);
    for (size_t i = 0; panels && i < weights->num_matrices; i++)
        panels[i] =
            (vt_tensor){.data = weights->matrices[i].memory, .size = weights->matrices[i].bytes};
    vt_status status = tensors && panels ? vt_packed_file_write(path, &packing, tensors, count,
                                                                panels, weights->num_matrices, err)
                                         : vt_fail_memory(err, path, count * sizeof *tensors);
    vt_free(panels);
    vt_free(tensors);
    return status;
}

/* The names of two choices, one of which may be left open. */
static bool differs(const char *asked, const char *packed) {
    return asked && strcmp(asked, packed ? packed : "stored") != 0;
}

vt_status vt_pack_settle(const vt_checkpoint *checkpoint, const vt_model_options *options,
                         const vt_kernels **kernels, vt_precision *precision, vt_error *err) {
    const vt_packed_file *packed = vt_checkpoint_packed(checkpoint);
    const char *path = vt_checkpoint_weights_path(checkpoint);
    if (!packed)
        return VT_OK;
    const vt_packing *packing = vt_packed_file_packing(packed);
    if (differs(options->kernels, packing->kernels) ||
        differs(options->precision, packing->precision))
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: packed for %s kernels and precision %s: open it without asking for "
                       "others, or pack it again",
                       path, packing->kernels, packing->precision ? packing->precision : "stored");
    if (vt_kernels_select(kernels, packing->kernels, NULL))
        return vt_fail(
            err, VT_ERR_UNSUPPORTED,
            "%s: packed for %s kernels, which this processor has not: pack it again here", path,
            packing->kernels);
    if (packing->int8 && strcmp(packing->int8, vt_int8_kernels_for(*kernels)->name) != 0)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: packed for %s integers, this processor takes %s: pack it again here",
                       path, packing->int8, vt_int8_kernels_for(*kernels)->name);
    return vt_precision_parse(precision, packing->precision, err);
}
