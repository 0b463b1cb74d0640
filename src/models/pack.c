/* SPDX-License-Identifier: MIT
 *
 * Writing a model's matrices as they lie in memory, and checking that a file written so is opened
 * on the same terms.
 */
#include "models/pack.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* The integer kernels' name; NULL where no matrix is INT8. */
static const char *int8_name(const vt_weights *weights) {
    for (size_t i = 0; i < weights->num_matrices; i++)
        if (weights->matrices[i].packed.int8)
            return weights->matrices[i].packed.int8->name;
    return NULL;
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
    const vt_packing packing = {.kernels = model->kernels->name,
                                .int8 = int8_name(weights),
                                .precision = vt_precision_name(model->precision)};
    size_t count;
    if (weights->backend)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: only the native backend's matrices are packed",
                       path);
    vt_tensor *tensors = list_tensors(model, &count);
    vt_tensor *panels = vt_calloc(weights->num_matrices, sizeof *panels);
    for (size_t i = 0; panels && i < weights->num_matrices; i++)
        panels[i] = (vt_tensor){.data = weights->matrices[i].packed.panels,
                                .size = weights->matrices[i].packed.bytes};
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
    if (options->backend && strcmp(options->backend, "auto") != 0 &&
        strcmp(options->backend, "native") != 0)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: packed for the native backend, not for %.64s",
                       path, options->backend);
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
