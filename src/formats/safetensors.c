/* SPDX-License-Identifier: MIT
 *
 * The safetensors format: 8 bytes little-endian header length n, n bytes of JSON
 * {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {…}}, then the data.
 * As the reference does (huggingface/safetensors, src/tensor.rs), the tensors must cover the data
 * exactly, without holes or overlaps.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mapfile.h"
#include "base/memory.h"
#include "base/outfile.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum { PREFIX_BYTES = 8 };

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [VT_DTYPE_F64] = {"F64", 8},         [VT_DTYPE_F32] = {"F32", 4},
    [VT_DTYPE_F16] = {"F16", 2},         [VT_DTYPE_BF16] = {"BF16", 2},
    [VT_DTYPE_I64] = {"I64", 8},         [VT_DTYPE_I32] = {"I32", 4},
    [VT_DTYPE_I16] = {"I16", 2},         [VT_DTYPE_I8] = {"I8", 1},
    [VT_DTYPE_U64] = {"U64", 8},         [VT_DTYPE_U32] = {"U32", 4},
    [VT_DTYPE_U16] = {"U16", 2},         [VT_DTYPE_U8] = {"U8", 1},
    [VT_DTYPE_BOOL] = {"BOOL", 1},       [VT_DTYPE_F8_E4M3] = {"F8_E4M3", 1},
    [VT_DTYPE_F8_E5M2] = {"F8_E5M2", 1},
};
enum { NUM_DTYPES = sizeof dtypes / sizeof dtypes[0] };

const char *vt_dtype_name(vt_dtype dtype) {
    return dtypes[dtype].name;
}

size_t vt_dtype_size(vt_dtype dtype) {
    return dtypes[dtype].size;
}

struct vt_tensor_file {
    vt_mapfile map;
    json_t *header; /* owns the names */
    size_t count;
    vt_tensor *tensors;        /* by position of their data */
    const vt_tensor **by_name; /* sorted, for lookup */
};

static vt_status parse_dtype(vt_dtype *out, const char *path, const char *name, const json_t *value,
                             vt_error *err) {
    const char *text = json_string_value(value);
    if (!text)
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: no dtype", path, name);
    for (size_t i = 0; i < NUM_DTYPES; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *out = (vt_dtype)i;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: %s: dtype %s is not known", path, name, text);
}

static vt_status parse_shape(vt_tensor *tensor, const char *path, const json_t *value,
                             vt_error *err) {
    if (!json_is_array(value) || json_array_size(value) > VT_MAX_DIMS)
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: expected a shape of at most %d dimensions",
                       path, tensor->name, VT_MAX_DIMS);
    tensor->ndim = json_array_size(value);
    for (size_t i = 0; i < tensor->ndim; i++) {
        const json_t *dim = json_array_get(value, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return vt_fail(err, VT_ERR_FORMAT, "%s: %s: dimension %zu is not a size", path,
                           tensor->name, i);
        tensor->shape[i] = (size_t)json_integer_value(dim);
    }
    return VT_OK;
}

static vt_status parse_offsets(size_t *begin, size_t *end, const char *path, const char *name,
                               const json_t *value, size_t data_size, vt_error *err) {
    const json_t *b = json_array_get(value, 0), *e = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(b) || !json_is_integer(e) ||
        json_integer_value(b) < 0 || json_integer_value(e) < json_integer_value(b))
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: data_offsets is not [begin, end]", path, name);
    *begin = (size_t)json_integer_value(b);
    *end = (size_t)json_integer_value(e);
    if (*end > data_size)
        return vt_fail(
            err, VT_ERR_FORMAT,
            "%s: %s: data ends at byte %zu, but the file holds %zu bytes of data (cut off?)", path,
            name, *end, data_size);
    return VT_OK;
}

static vt_status parse_tensor(vt_tensor *tensor, const char *path, const json_t *entry,
                              const unsigned char *data, size_t data_size, vt_error *err) {
    size_t begin = 0, end = 0, elements, bytes;
    vt_status status =
        parse_dtype(&tensor->dtype, path, tensor->name, json_object_get(entry, "dtype"), err);
    if (!status)
        status = parse_shape(tensor, path, json_object_get(entry, "shape"), err);
    if (!status)
        status = parse_offsets(&begin, &end, path, tensor->name,
                               json_object_get(entry, "data_offsets"), data_size, err);
    if (status)
        return status;
    if (!vt_product(tensor->shape, tensor->ndim, &elements) ||
        !vt_mul_size(elements, dtypes[tensor->dtype].size, &bytes))
        return vt_fail(err, VT_ERR_FORMAT, "%s: %s: its shape's size overflows", path,
                       tensor->name);
    if (bytes != end - begin)
        return vt_fail(err, VT_ERR_FORMAT,
                       "%s: %s: its shape in %s takes %zu bytes, data_offsets give %zu", path,
                       tensor->name, dtypes[tensor->dtype].name, bytes, end - begin);
    tensor->data = data + begin;
    tensor->size = bytes;
    return VT_OK;
}

static int compare_position(const void *a, const void *b) {
    const vt_tensor *x = a, *y = b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static int compare_name(const void *a, const void *b) {
    return strcmp((*(const vt_tensor *const *)a)->name, (*(const vt_tensor *const *)b)->name);
}

/* The tensors, sorted, must follow one another from the first byte of data to the last. */
static vt_status check_coverage(const vt_tensor_file *file, const char *path,
                                const unsigned char *data, size_t data_size, vt_error *err) {
    size_t position = 0;
    for (size_t i = 0; i < file->count; i++) {
        const vt_tensor *tensor = &file->tensors[i];
        size_t begin = (size_t)((const unsigned char *)tensor->data - data);
        if (begin != position)
            return vt_fail(err, VT_ERR_FORMAT, "%s: %s: data begins at byte %zu, expected %zu (%s)",
                           path, tensor->name, begin, position,
                           begin < position ? "tensors overlap" : "a hole");
        position = begin + tensor->size;
    }
    if (position != data_size)
        return vt_fail(err, VT_ERR_FORMAT, "%s: tensors take %zu bytes, the file holds %zu", path,
                       position, data_size);
    return VT_OK;
}

static vt_status parse_entries(vt_tensor_file *file, const char *path, const unsigned char *data,
                               size_t data_size, vt_error *err) {
    size_t capacity = json_object_size(file->header);
    if (capacity > vt_limits_now()->tensors)
        return vt_fail(err, VT_ERR_LIMIT, "%s: its %zu tensors are over the limit of %zu", path,
                       capacity, vt_limits_now()->tensors);
    file->tensors = vt_calloc(capacity, sizeof *file->tensors);
    file->by_name = vt_calloc(capacity, sizeof *file->by_name);
    if (!file->tensors || !file->by_name)
        return vt_fail_memory(err, "the tensor index", capacity * sizeof *file->tensors);

    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        vt_tensor *tensor = &file->tensors[file->count];
        tensor->name = name;
        vt_status status = parse_tensor(tensor, path, entry, data, data_size, err);
        if (status)
            return status;
        file->count++;
    }
    if (file->count)
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_position);
    for (size_t i = 0; i < file->count; i++)
        file->by_name[i] = &file->tensors[i];
    if (file->count)
        qsort(file->by_name, file->count, sizeof *file->by_name, compare_name);
    return check_coverage(file, path, data, data_size, err);
}

static vt_status parse_header(vt_tensor_file *file, const char *path, vt_error *err) {
    const unsigned char *bytes = file->map.data;
    size_t size = file->map.size;
    if (size < PREFIX_BYTES)
        return vt_fail(err, VT_ERR_FORMAT,
                       "%s: %zu bytes are too few for a safetensors file (cut off?)", path, size);
    uint64_t length = 0;
    for (size_t i = 0; i < PREFIX_BYTES; i++)
        length |= (uint64_t)bytes[i] << 8 * i;
    if (length > size - PREFIX_BYTES)
        return vt_fail(err, VT_ERR_FORMAT,
                       "%s: header of %llu bytes announced, but the file has %zu bytes in all "
                       "(cut off, or not safetensors?)",
                       path, (unsigned long long)length, size);
    if (length > vt_limits_now()->header_bytes)
        return vt_fail(
            err, VT_ERR_LIMIT, "%s: its header of %llu bytes is over the limit of %llu bytes", path,
            (unsigned long long)length, (unsigned long long)vt_limits_now()->header_bytes);
    vt_status status = vt_json_check_depth(bytes + PREFIX_BYTES, (size_t)length, path, err);
    if (status)
        return status;
    json_error_t where;
    file->header = json_loadb((const char *)bytes + PREFIX_BYTES, (size_t)length,
                              JSON_REJECT_DUPLICATES, &where);
    if (!file->header && where.text[0] == '\0') /* Jansson says why, but when out of memory */
        return vt_fail_memory(err, path, (size_t)length);
    if (!json_is_object(file->header))
        return vt_fail(err, VT_ERR_FORMAT, "%s: the header is not a JSON object: %s", path,
                       file->header ? "another type" : where.text);
    size_t data_size = size - PREFIX_BYTES - (size_t)length;
    return parse_entries(file, path, bytes + PREFIX_BYTES + length, data_size, err);
}

/* vt_mapfile_open or vt_mapfile_open_stored. */
typedef vt_status (*open_fn)(vt_mapfile *out, const char *path, uint64_t max_bytes, vt_error *err);

static vt_status open_file(vt_tensor_file **out, const char *path, open_fn open, vt_error *err) {
    *out = NULL;
    vt_tensor_file *file = vt_calloc(1, sizeof *file);
    if (!file)
        return vt_fail_memory(err, "a tensor file", sizeof *file);
    vt_status status = open(&file->map, path, vt_limits_now()->weights_bytes, err);
    if (!status)
        status = parse_header(file, path, err);
    if (status) {
        vt_tensor_file_close(file);
        return status;
    }
    *out = file;
    return VT_OK;
}

vt_status vt_tensor_file_open(vt_tensor_file **out, const char *path, vt_error *err) {
    return open_file(out, path, vt_mapfile_open, err);
}

vt_status vt_tensor_file_open_stored(vt_tensor_file **out, const char *path, vt_error *err) {
    return open_file(out, path, vt_mapfile_open_stored, err);
}

void vt_tensor_file_close(vt_tensor_file *file) {
    if (!file)
        return;
    vt_free(file->by_name);
    vt_free(file->tensors);
    json_decref(file->header);
    vt_mapfile_close(&file->map);
    vt_free(file);
}

void vt_tensor_file_release(const vt_tensor_file *file, const vt_tensor *tensor) {
    if (tensor >= file->tensors && tensor < file->tensors + file->count)
        vt_mapfile_release(&file->map, tensor->data, tensor->size);
}

size_t vt_tensor_file_count(const vt_tensor_file *file) {
    return file->count;
}

const vt_tensor *vt_tensor_file_at(const vt_tensor_file *file, size_t index) {
    return index < file->count ? &file->tensors[index] : NULL;
}

const vt_tensor *vt_tensor_file_find(const vt_tensor_file *file, const char *name) {
    const vt_tensor key = {.name = name}, *key_pointer = &key;
    if (!file->count)
        return NULL;
    const vt_tensor **found =
        bsearch(&key_pointer, file->by_name, file->count, sizeof *file->by_name, compare_name);
    return found ? *found : NULL;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* What the format cannot hold, and vt_tensor_file_open would not take back. */
static vt_status check_writable(const char *path, const vt_tensor *tensor, vt_error *err) {
    size_t elements, bytes;
    if (tensor->ndim > VT_MAX_DIMS)
        return vt_fail(err, VT_ERR_ARGUMENT, "%s: %s: %zu dimensions are more than %d", path,
                       tensor->name, tensor->ndim, VT_MAX_DIMS);
    if (!vt_product(tensor->shape, tensor->ndim, &elements) ||
        !vt_mul_size(elements, dtypes[tensor->dtype].size, &bytes) || bytes != tensor->size)
        return vt_fail(err, VT_ERR_ARGUMENT, "%s: %s: its %zu bytes are not what its shape takes",
                       path, tensor->name, tensor->size);
    return VT_OK;
}

/* NULL when out of memory. */
static json_t *tensor_entry(const vt_tensor *tensor, size_t begin) {
    json_t *shape = json_array();
    for (size_t i = 0; i < tensor->ndim; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    const size_t end = begin + tensor->size;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[tensor->dtype].name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static vt_status fill_header(json_t *header, const char *path, const vt_tensor *tensors,
                             size_t count, vt_error *err) {
    size_t position = 0;
    for (size_t i = 0; i < count; i++) {
        const vt_tensor *tensor = &tensors[i];
        vt_status status = check_writable(path, tensor, err);
        if (status)
            return status;
        if (json_object_get(header, tensor->name))
            return vt_fail(err, VT_ERR_ARGUMENT, "%s: %s: two tensors of that name", path,
                           tensor->name);
        json_t *entry = tensor_entry(tensor, position);
        if (!entry)
            return vt_fail_memory(err, path, tensor->size);
        if (json_object_set_new(header, tensor->name, entry) != 0)
            return vt_fail(err, VT_ERR_ARGUMENT, "%s: tensor %zu: its name is not UTF-8", path, i);
        position += tensor->size;
    }
    return VT_OK;
}

/* The header's text, padded with spaces so that the data begins at a multiple of 8. */
static vt_status header_text(char **out, size_t *length, const char *path, const vt_tensor *tensors,
                             size_t count, vt_error *err) {
    json_t *header = json_object();
    vt_status status =
        header ? fill_header(header, path, tensors, count, err) : vt_fail_memory(err, path, count);
    size_t used = status ? 0 : json_dumpb(header, NULL, 0, JSON_COMPACT);
    if (!status) {
        /* Spaces, so that the data begins at a multiple of 64: the format asks for 8. */
        *length = (used + PREFIX_BYTES + 63) / 64 * 64 - PREFIX_BYTES;
        *out = used ? vt_malloc(*length, 1) : NULL; /* at least "{}" */
        if (!*out)
            status = vt_fail_memory(err, path, *length);
    }
    if (!status) {
        json_dumpb(header, *out, used, JSON_COMPACT);
        memset(*out + used, ' ', *length - used);
    }
    json_decref(header);
    return status;
}

static void write_all(vt_outfile *out, const vt_tensor *tensors, size_t count, const char *header,
                      size_t length) {
    unsigned char prefix[PREFIX_BYTES];
    for (size_t i = 0; i < PREFIX_BYTES; i++)
        prefix[i] = (unsigned char)((uint64_t)length >> 8 * i);
    vt_outfile_write(out, prefix, sizeof prefix);
    vt_outfile_write(out, header, length);
    for (size_t i = 0; i < count; i++)
        vt_outfile_write(out, tensors[i].data, tensors[i].size);
}

vt_status vt_tensor_file_write(const char *path, const vt_tensor *tensors, size_t count,
                               vt_error *err) {
    size_t length = 0;
    char *header = NULL;
    vt_outfile out;
    vt_status status = header_text(&header, &length, path, tensors, count, err);
    if (!status)
        status = vt_outfile_open(&out, path, err);
    if (!status) {
        write_all(&out, tensors, count, header, length);
        status = vt_outfile_close(&out, err);
    }
    vt_free(header);
    return status;
}
