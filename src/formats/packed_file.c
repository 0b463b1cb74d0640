/* SPDX-License-Identifier: MIT */
#include "formats/packed_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum { VERSION = 2, MAX_NAME = 40 };

static const char ABOUT[] = "vitrine.packed";

static void panels_name(char name[MAX_NAME], size_t index) {
    snprintf(name, MAX_NAME, "vitrine.panels.%zu", index);
}

struct vt_packed_file {
    vt_tensor_file *file;
    json_t *about; /* owns the strings */
    vt_packing packing;
    vt_tensor *tensors;
    const vt_tensor **by_name; /* sorted, for lookup */
    size_t count;
};

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const vt_tensor *const *)a)->name, (*(const vt_tensor *const *)b)->name);
}

/* ---- reading ------------------------------------------------------------------------------- */

static vt_status parse_dtype(vt_tensor *out, const char *path, const char *name, vt_error *err) {
    for (vt_dtype dtype = VT_DTYPE_F64; dtype <= VT_DTYPE_F8_E5M2; dtype++) {
        if (strcmp(vt_dtype_name(dtype), name) == 0) {
            out->dtype = dtype;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_ERR_FORMAT, "%s: %s: dtype %s is not known", path, out->name, name);
}

static vt_status parse_shape(vt_tensor *out, const char *path, const json_t *shape, vt_error *err) {
    size_t elements = 1;
    out->ndim = json_array_size(shape);
    if (!json_is_array(shape) || out->ndim > VT_MAX_DIMS)
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: no shape", path, out->name);
    for (size_t i = 0; i < out->ndim; i++) {
        json_int_t dim = json_integer_value(json_array_get(shape, i));
        out->shape[i] = (size_t)dim;
        if (dim < 0 || !vt_mul_size(elements, out->shape[i], &elements))
            return vt_fail(err, VT_ERR_FORMAT, "%s: %s: dimension %zu is not a size", path,
                           out->name, i);
    }
    if (!vt_mul_size(elements, vt_dtype_size(out->dtype), &out->size))
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s is too large", path, out->name);
    return VT_OK;
}

/* One entry of "tensors": the stored tensor of that name, or a description. */
static vt_status parse_tensor(vt_tensor *out, const vt_packed_file *packed, const char *path,
                              const json_t *entry, vt_error *err) {
    vt_json_reader r = vt_json_reader_of(entry, path, err);
    const char *dtype = vt_json_string(&r, "dtype", "");
    out->name = vt_json_string(&r, "name", "");
    if (r.status)
        return r.status;
    const vt_tensor *stored = vt_tensor_file_find(packed->file, out->name);
    if (stored) {
        *out = *stored;
        return VT_OK;
    }
    vt_status status = parse_dtype(out, path, dtype, err);
    return status ? status : parse_shape(out, path, json_object_get(entry, "shape"), err);
}

static vt_status parse_about(vt_packed_file *packed, const char *path, vt_error *err) {
    const vt_tensor *about = vt_tensor_file_find(packed->file, ABOUT);
    if (!about)
        return vt_fail(err, VT_ERR_FORMAT, "%s: no %s in it: not a packed model", path, ABOUT);
    json_error_t where;
    vt_status status = vt_json_check_depth(about->data, about->size, path, err);
    if (status)
        return status;
    packed->about = json_loadb(about->data, about->size, JSON_REJECT_DUPLICATES, &where);
    if (!packed->about && where.text[0] == '\0')
        return vt_fail_memory(err, path, about->size);
    if (!json_is_object(packed->about))
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s is not a JSON object", path, ABOUT);
    vt_json_reader r = vt_json_reader_of(packed->about, path, err);
    size_t version = vt_json_size(&r, "version", 0);
    packed->packing.kernels = vt_json_string(&r, "kernels", "");
    packed->packing.int8 = vt_json_string(&r, "int8", NULL);
    packed->packing.precision = vt_json_string(&r, "precision", NULL);
    const json_t *tensors = json_object_get(packed->about, "tensors");
    if (r.status)
        return r.status;
    if (version != VERSION)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: packed in version %zu of the layout, this is version %d: pack it again",
                       path, version, VERSION);
    packed->count = json_array_size(tensors);
    packed->tensors = vt_calloc(packed->count, sizeof *packed->tensors);
    packed->by_name = vt_calloc(packed->count, sizeof *packed->by_name);
    if (!packed->tensors || !packed->by_name)
        return vt_fail_memory(err, path, packed->count * sizeof *packed->tensors);
    for (size_t i = 0; i < packed->count; i++) {
        status = parse_tensor(&packed->tensors[i], packed, path, json_array_get(tensors, i), err);
        if (status)
            return status;
        packed->by_name[i] = &packed->tensors[i];
    }
    qsort(packed->by_name, packed->count, sizeof *packed->by_name, compare_names);
    return VT_OK;
}

vt_status vt_packed_file_open(vt_packed_file **out, const char *path, vt_error *err) {
    *out = NULL;
    vt_packed_file *packed = vt_calloc(1, sizeof *packed);
    if (!packed)
        return vt_fail_memory(err, path, sizeof *packed);
    vt_status status = vt_tensor_file_open_stored(&packed->file, path, err);
    if (!status)
        status = parse_about(packed, path, err);
    if (status) {
        vt_packed_file_close(packed);
        return status;
    }
    *out = packed;
    return VT_OK;
}

void vt_packed_file_close(vt_packed_file *packed) {
    if (!packed)
        return;
    vt_free(packed->by_name);
    vt_free(packed->tensors);
    json_decref(packed->about);
    vt_tensor_file_close(packed->file);
    vt_free(packed);
}

const vt_packing *vt_packed_file_packing(const vt_packed_file *packed) {
    return &packed->packing;
}

const vt_tensor *vt_packed_file_at(const vt_packed_file *packed, size_t index) {
    return index < packed->count ? &packed->tensors[index] : NULL;
}

const vt_tensor *vt_packed_file_find(const vt_packed_file *packed, const char *name) {
    const vt_tensor wanted = {.name = name}, *key = &wanted;
    const vt_tensor **found =
        bsearch(&key, packed->by_name, packed->count, sizeof *packed->by_name, compare_names);
    return found ? *found : NULL;
}

const vt_tensor *vt_packed_file_panels(const vt_packed_file *packed, size_t index) {
    char name[MAX_NAME];
    panels_name(name, index);
    return vt_tensor_file_find(packed->file, name);
}

/* ---- writing ------------------------------------------------------------------------------- */

static json_t *describe_tensor(const vt_tensor *tensor) {
    json_t *shape = json_array();
    for (size_t i = 0; i < tensor->ndim; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype", vt_dtype_name(tensor->dtype),
                     "shape", shape);
}

/* The JSON of a file, which the caller releases with free(); NULL when out of memory. */
static char *about_text(const vt_packing *packing, const vt_tensor *tensors, size_t count) {
    json_t *list = json_array();
    bool complete = list != NULL;
    for (size_t i = 0; i < count && complete; i++)
        complete = json_array_append_new(list, describe_tensor(&tensors[i])) == 0;
    json_t *about =
        json_pack("{s:i, s:s, s:s?, s:s?, s:o}", "version", VERSION, "kernels", packing->kernels,
                  "int8", packing->int8, "precision", packing->precision, "tensors", list);
    char *text = about && complete ? json_dumps(about, JSON_COMPACT) : NULL;
    json_decref(about);
    return text;
}

static vt_tensor bytes_tensor(const char *name, const void *data, size_t size) {
    return (vt_tensor){
        .name = name, .dtype = VT_DTYPE_U8, .ndim = 1, .shape = {size}, .data = data, .size = size};
}

vt_status vt_packed_file_write(const char *path, const vt_packing *packing,
                               const vt_tensor *tensors, size_t num_tensors,
                               const vt_tensor *panels, size_t num_panels, vt_error *err) {
    size_t most = num_panels + num_tensors + 1, count = 0;
    vt_status status = VT_OK;
    vt_tensor *all = vt_calloc(most, sizeof *all);
    char(*names)[MAX_NAME] = vt_calloc(num_panels + 1, sizeof *names);
    char *about = about_text(packing, tensors, num_tensors);
    if (all && names && about) {
        for (size_t i = 0; i < num_panels; i++) { /* first: the start of the data is aligned */
            panels_name(names[i], i);
            all[count++] = bytes_tensor(names[i], panels[i].data, panels[i].size);
        }
        for (size_t i = 0; i < num_tensors; i++)
            if (tensors[i].data)
                all[count++] = tensors[i];
        all[count++] = bytes_tensor(ABOUT, about, strlen(about));
        status = vt_tensor_file_write(path, all, count, err);
    } else {
        status = vt_fail_memory(err, path, most * sizeof *all);
    }
    free(about);
    vt_free(names);
    vt_free(all);
    return status;
}
