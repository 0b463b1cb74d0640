/* SPDX-License-Identifier: MIT */
#include "models/bind.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* ---- names -------------------------------------------------------------------------------------
 */

/* "@encoder.layer.#.output" with block 3 and suffix ".weight": "vit.encoder.layer.3.output.weight";
 * "attn.in_proj_", as torch.nn.MultiheadAttention has it, becomes "attn.in_proj_weight". */
static void expand_name(char *out, const char *pattern, const char *prefix, size_t block,
                        const char *suffix) {
    size_t used = 0;
    for (const char *p = pattern; *p && used < VT_MAX_TENSOR_NAME - 1; p++) {
        size_t room = VT_MAX_TENSOR_NAME - used;
        int written;
        if (*p == '@')
            written = snprintf(out + used, room, "%s", prefix);
        else if (*p == '#')
            written = snprintf(out + used, room, "%zu", block);
        else
            written = snprintf(out + used, room, "%c", *p);
        used += (size_t)written < room ? (size_t)written : room - 1;
    }
    if (used && out[used - 1] == '_' && suffix[0] == '.')
        suffix++;
    snprintf(out + used, VT_MAX_TENSOR_NAME - used, "%s", suffix);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* torch.nn.utils.parametrize keeps X.weight as X.parametrizations.weight.original, and what changes
 * it, number 0 of those, beside it. */
static const char PARAMETRIZED[] = ".parametrizations.weight.original";

/* `name` with its ending replaced; false where it has another. */
static bool replace_ending(char *out, const char *name, const char *from, const char *to) {
    if (!ends_with(name, from))
        return false;
    int stem = (int)(strlen(name) - strlen(from));
    return (size_t)snprintf(out, VT_MAX_TENSOR_NAME, "%.*s%s", stem, name, to) < VT_MAX_TENSOR_NAME;
}

static const vt_tensor *find_tensor(const vt_binder *b, const char *name) {
    char other[VT_MAX_TENSOR_NAME];
    const vt_tensor *tensor = vt_checkpoint_find(b->checkpoint, name);
    if (!tensor && replace_ending(other, name, ".weight", PARAMETRIZED))
        tensor = vt_checkpoint_find(b->checkpoint, other);
    return tensor;
}

static const vt_tensor *find_with_prefix(const vt_binder *b, const char *prefix, vt_part part,
                                         size_t block, const char *suffix, char *name) {
    bool named = false;
    name[0] = '\0';
    for (const vt_tensor_name *entry = b->names; entry && entry->part; entry++) {
        if (entry->part != part)
            continue;
        char candidate[VT_MAX_TENSOR_NAME];
        expand_name(candidate, entry->name, prefix, block, suffix);
        const vt_tensor *tensor = find_tensor(b, candidate);
        if (tensor || !named)
            strcpy(name, candidate);
        if (tensor)
            return tensor;
        named = true;
    }
    return NULL;
}

/* What TensorFlow calls a norm's parameters, and many a published BERT still does. */
static const char *legacy_suffix(vt_part part, const char *suffix) {
    if (part < VT_PART_PRE_NORM)
        return NULL;
    return strcmp(suffix, ".weight") == 0 ? ".gamma"
           : strcmp(suffix, ".bias") == 0 ? ".beta"
                                          : NULL;
}

const vt_tensor *vt_bind_find(const vt_binder *b, vt_part part, size_t block, const char *suffix,
                              char *name) {
    char other[VT_MAX_TENSOR_NAME];
    const char *legacy = legacy_suffix(part, suffix);
    const vt_tensor *tensor = find_with_prefix(b, b->prefix, part, block, suffix, name);
    return tensor || !legacy ? tensor : find_with_prefix(b, b->prefix, part, block, legacy, other);
}

const vt_tensor *vt_bind_require(vt_binder *b, vt_part part, size_t block, const char *suffix) {
    char name[VT_MAX_TENSOR_NAME];
    if (b->status)
        return NULL;
    const vt_tensor *tensor = vt_bind_find(b, part, block, suffix, name);
    if (!tensor && name[0])
        b->status = vt_fail(b->err, VT_ERR_MISSING, "%s: tensor %s is missing",
                            vt_checkpoint_weights_path(b->checkpoint), name);
    else if (!tensor)
        b->status = vt_fail(b->err, VT_ERR_UNSUPPORTED,
                            "%s: calls for a part that the family %s has no name for",
                            vt_checkpoint_config_path(b->checkpoint), b->family->name);
    return tensor;
}

bool vt_bind_any_block_has(const vt_binder *b, vt_part part, const char *suffix) {
    char name[VT_MAX_TENSOR_NAME];
    for (size_t block = 0; block < b->encoder->depth; block++)
        if (vt_bind_find(b, part, block, suffix, name))
            return true;
    return false;
}

/* The prefix under which the checkpoint has the tower's first tensors. */
static const char *find_prefix(const vt_binder *b) {
    static const struct {
        vt_part part;
        const char *suffix;
    } witnesses[] = {
        {VT_PART_POS_EMBED, ""},
        {VT_PART_TOKEN_EMBED, ""},
        {VT_PART_NORM1, ".weight"},
        {VT_PART_PATCH, ".weight"},
    };
    char name[VT_MAX_TENSOR_NAME];
    if (!b->family->prefixes)
        return "";
    for (size_t w = 0; w < sizeof witnesses / sizeof witnesses[0]; w++)
        for (const char *const *prefix = b->family->prefixes; *prefix; prefix++)
            if (find_with_prefix(b, *prefix, witnesses[w].part, 0, witnesses[w].suffix, name))
                return *prefix;
    return b->family->prefixes[0];
}

void vt_bind_tower(vt_binder *b, const vt_tensor_name *names, const vt_encoder_config *encoder) {
    b->names = names;
    b->encoder = encoder;
    b->prefix = find_prefix(b);
    b->norm_bias = vt_bind_any_block_has(b, VT_PART_NORM1, ".bias");
}

/* ---- checks and conversion ---------------------------------------------------------------------
 */

static void format_shape(char *out, size_t size, const size_t *shape, size_t ndim) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < ndim && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

/* Leading dimensions of 1 do not count: a class token is [1, 1, width] in one file, [width] in
 * another. */
static bool has_shape(const vt_tensor *tensor, const size_t *shape, size_t ndim) {
    size_t skip = 0;
    while (tensor->ndim - skip > ndim && tensor->shape[skip] == 1)
        skip++;
    return tensor->ndim - skip == ndim &&
           memcmp(tensor->shape + skip, shape, ndim * sizeof *shape) == 0;
}

void vt_bind_check(vt_binder *b, const vt_tensor *tensor, const size_t *shape, size_t ndim) {
    if (b->status || !tensor)
        return;
    const char *path = vt_checkpoint_weights_path(b->checkpoint);
    if (tensor->dtype != VT_DTYPE_F32 && tensor->dtype != VT_DTYPE_F16 &&
        tensor->dtype != VT_DTYPE_BF16) {
        b->status =
            vt_fail(b->err, VT_ERR_UNSUPPORTED, "%s: %s: expected F32, F16 or BF16, found %s", path,
                    tensor->name, vt_dtype_name(tensor->dtype));
    } else if (!has_shape(tensor, shape, ndim)) {
        char expected[128], found[128];
        format_shape(expected, sizeof expected, shape, ndim);
        format_shape(found, sizeof found, tensor->shape, tensor->ndim);
        b->status = vt_fail(b->err, VT_ERR_SHAPE, "%s: %s: expected %s, found %s", path,
                            tensor->name, expected, found);
    }
}

static void mark_used(vt_binder *b, const vt_tensor *tensor, size_t elements, bool loaded) {
    const vt_tensor *at;
    for (size_t i = 0; (at = vt_checkpoint_at(b->checkpoint, i)) != NULL; i++) {
        if (at != tensor)
            continue;
        b->out->num_parameters += b->out->used[i] ? 0 : elements;
        b->out->used[i] = true;
        b->out->loaded[i] |= loaded;
        return;
    }
}

/* out[count] = a tensor's elements from `first` on. */
static void to_f32(const vt_binder *b, float *out, const vt_tensor *tensor, size_t first,
                   size_t count) {
    if (tensor->dtype == VT_DTYPE_F16)
        b->kernels->f16_to_f32(out, (const uint16_t *)tensor->data + first, count);
    else if (tensor->dtype == VT_DTYPE_BF16)
        b->kernels->bf16_to_f32(out, (const uint16_t *)tensor->data + first, count);
    else
        memcpy(out, (const float *)tensor->data + first, count * sizeof *out);
}

/* The matrix of the adapter in force, from [adapters][rows][columns], in F32: the caller frees it.
 */
static float *load_adapter(vt_binder *b, const vt_tensor *tensor, size_t rows, size_t columns) {
    const size_t shape[] = {b->lora->count, rows, columns};
    size_t all = 0, one = 0;
    vt_bind_check(b, tensor, shape, 3);
    if (b->status || !vt_product(shape, 3, &all) || !vt_product(shape + 1, 2, &one))
        return NULL;
    float *adapter = vt_malloc(one, sizeof *adapter);
    if (!adapter) {
        b->status = vt_fail_memory(b->err, "an adapter", one * sizeof *adapter);
        return NULL;
    }
    to_f32(b, adapter, tensor, b->lora->adapter * one, one);
    mark_used(b, tensor, all, true);
    return adapter;
}

/* out[n][k] += scale * left[n][rank] right[rank][k] */
static void add_product(float *out, const float *left, const float *right, float scale, size_t n,
                        size_t k, size_t rank) {
    for (size_t row = 0; row < n; row++)
        for (size_t i = 0; i < rank; i++)
            for (size_t column = 0; column < k; column++)
                out[row * k + column] += scale * left[row * rank + i] * right[i * k + column];
}

static const vt_tensor *require_adapter(vt_binder *b, const vt_tensor *weight, const char *end) {
    char name[VT_MAX_TENSOR_NAME];
    if (!replace_ending(name, weight->name, ".original", end))
        return NULL;
    const vt_tensor *tensor = vt_checkpoint_find(b->checkpoint, name);
    if (!tensor && !b->status)
        b->status = vt_fail(b->err, VT_ERR_MISSING, "%s: tensor %s is missing",
                            vt_checkpoint_weights_path(b->checkpoint), name);
    return tensor;
}

static bool has_adapter(const vt_binder *b, const vt_tensor *weight) {
    return b->lora && b->lora->enabled && ends_with(weight->name, PARAMETRIZED);
}

/* Adds the adapter in force to its weight [n][k]: B A to a linear layer's, A B to a table of
 * embeddings. */
static void add_lora(vt_binder *b, float *out, const vt_tensor *weight, const size_t *shape) {
    size_t n = shape[0], k = shape[1], rank = b->lora->rank;
    const vt_tensor *lora_a = require_adapter(b, weight, ".0.lora_A");
    const vt_tensor *lora_b = require_adapter(b, weight, ".0.lora_B");
    if (!lora_a || !lora_b)
        return;
    bool linear = lora_a->ndim == 3 && lora_a->shape[1] == rank && lora_a->shape[2] == k;
    float *left = load_adapter(b, linear ? lora_b : lora_a, n, rank);
    float *right = load_adapter(b, linear ? lora_a : lora_b, rank, k);
    if (!b->status)
        add_product(out, left, right, b->lora->scale, n, k, rank);
    vt_free(left);
    vt_free(right);
}

void vt_bind_load(vt_binder *b, float *out, const vt_tensor *tensor, const size_t *shape,
                  size_t ndim) {
    size_t elements = 0;
    if (!b->status)
        vt_bind_check(b, tensor, shape, ndim);
    if (b->status || !vt_product(shape, ndim, &elements))
        return;
    if (!tensor->data) {
        b->status = vt_fail(b->err, VT_ERR_FORMAT, "%s: %s was left out when it was packed",
                            vt_checkpoint_weights_path(b->checkpoint), tensor->name);
        return;
    }
    to_f32(b, out, tensor, 0, elements);
    mark_used(b, tensor, elements, true);
    if (ndim == 2 && has_adapter(b, tensor))
        add_lora(b, out, tensor, shape);
}

/* ---- ownership ---------------------------------------------------------------------------------
 */

/* Makes room for one more. */
static bool grow_owned(vt_binder *b) {
    vt_weights *out = b->out;
    if (out->num_owned == out->owned_capacity) {
        size_t capacity = out->owned_capacity ? 2 * out->owned_capacity : 256;
        void **grown = vt_realloc(out->owned, out->owned_capacity, capacity, sizeof *grown);
        if (!grown) {
            b->status = vt_fail_memory(b->err, "weights", capacity * sizeof *grown);
            return false;
        }
        out->owned = grown;
        out->owned_capacity = capacity;
    }
    return true;
}

void *vt_bind_own(vt_binder *b, size_t count, size_t size) {
    if (b->status || !grow_owned(b))
        return NULL;
    void *memory = vt_calloc(count, size);
    if (!memory) {
        b->status = vt_fail_memory(b->err, "weights", count * size);
        return NULL;
    }
    b->out->owned[b->out->num_owned++] = memory;
    b->out->bytes += count * size;
    return memory;
}

/* ---- parts -------------------------------------------------------------------------------------
 */

const float *vt_bind_floats(vt_binder *b, vt_part part, size_t block, const char *suffix,
                            const size_t *shape, size_t ndim) {
    const vt_tensor *tensor = vt_bind_require(b, part, block, suffix);
    size_t elements = 0;
    if (!tensor)
        return NULL;
    vt_bind_check(b, tensor, shape, ndim); /* before memory is asked for */
    if (b->status || !vt_product(shape, ndim, &elements))
        return NULL;
    float *out = vt_bind_own(b, elements, sizeof *out);
    if (out)
        vt_bind_load(b, out, tensor, shape, ndim);
    return out;
}

const float *vt_bind_vector(vt_binder *b, vt_part part, size_t block, const char *suffix,
                            size_t n) {
    return vt_bind_floats(b, part, block, suffix, &n, 1);
}

void vt_bind_norm(vt_binder *b, vt_norm *out, vt_part part, size_t block, size_t n) {
    out->kind = b->encoder->norm;
    out->eps = b->encoder->norm_eps;
    out->weight = vt_bind_vector(b, part, block, ".weight", n);
    if (b->norm_bias)
        out->bias = vt_bind_vector(b, part, block, ".bias", n);
}

void vt_bind_norm_if_any(vt_binder *b, vt_norm *out, vt_part part, size_t block, size_t n) {
    if (vt_bind_any_block_has(b, part, ".weight"))
        vt_bind_norm(b, out, part, block, n);
}

static vt_storage wanted_storage(const vt_binder *b, const vt_tensor *tensor) {
    switch (b->precision) {
    case VT_PRECISION_F32:
        return VT_STORE_F32;
    case VT_PRECISION_F16:
        return VT_STORE_F16;
    case VT_PRECISION_BF16:
        return VT_STORE_BF16;
    case VT_PRECISION_INT8:
        if (b->in_block)
            return VT_STORE_INT8;
        break;
    case VT_PRECISION_STORED:
        break;
    }
    return !tensor                          ? VT_STORE_F32
           : tensor->dtype == VT_DTYPE_F16  ? VT_STORE_F16
           : tensor->dtype == VT_DTYPE_BF16 ? VT_STORE_BF16
                                            : VT_STORE_F32;
}

/* A named backend that does not multiply matrices as the checkpoint has them gets them in F32. */
vt_storage vt_bind_storage(const vt_binder *b, const vt_tensor *tensor) {
    vt_storage storage = wanted_storage(b, tensor);
    const vt_backend *named = b->in_block ? b->backend.named : NULL;
    return b->precision == VT_PRECISION_STORED && named && !named->takes(storage) ? VT_STORE_F32
                                                                                  : storage;
}

/* Left to itself, oneDNN is for those who asked for the precision: it rounds activations to BF16
 * too, which a checkpoint that is merely stored so does not ask for. */
static const vt_backend *backend_for(const vt_binder *b, vt_storage storage) {
    bool as_stored = b->precision == VT_PRECISION_STORED && storage != VT_STORE_F32;
    if (!b->in_block || (b->backend.automatic && as_stored))
        return NULL;
    return vt_backend_for(&b->backend, b->kernels, storage);
}

static bool is_packed_already(const vt_binder *b) {
    return vt_checkpoint_packed(b->checkpoint) != NULL;
}

/* Makes room for one more matrix. */
static bool grow_matrices(vt_binder *b) {
    vt_weights *out = b->out;
    if (out->num_matrices == out->matrix_capacity) {
        size_t capacity = out->matrix_capacity ? 2 * out->matrix_capacity : 64;
        vt_matrix *grown = vt_realloc(out->matrices, out->matrix_capacity, capacity, sizeof *grown);
        if (!grown) {
            b->status = vt_fail_memory(b->err, "weights", capacity * sizeof *grown);
            return false;
        }
        out->matrices = grown;
        out->matrix_capacity = capacity;
    }
    return true;
}

/* The next matrix of a packed file, where it lies. */
static void place_matrix(vt_binder *b, vt_packed *out, vt_storage storage, size_t n, size_t k) {
    const vt_tensor *panels =
        vt_packed_file_panels(vt_checkpoint_packed(b->checkpoint), b->out->num_matrices);
    size_t bytes = 0;
    if (panels && (uintptr_t)panels->data % VT_ALIGNMENT != 0)
        b->status =
            vt_fail(b->err, VT_ERR_FORMAT, "%s: its matrix %zu begins at no multiple of %d",
                    vt_checkpoint_weights_path(b->checkpoint), b->out->num_matrices, VT_ALIGNMENT);
    else if (vt_packed_size(b->kernels, storage, n, k, &bytes) && panels && panels->size == bytes)
        vt_packed_place(out, b->kernels, storage, n, k, (void *)panels->data);
    else
        b->status = vt_fail(b->err, VT_ERR_FORMAT,
                            "%s: its matrix %zu has %zu bytes where %zu are expected: pack the "
                            "model again, with the options that it is opened with",
                            vt_checkpoint_weights_path(b->checkpoint), b->out->num_matrices,
                            panels ? panels->size : 0, bytes);
}

void vt_bind_create_packed(vt_binder *b, vt_packed *out, vt_storage storage, size_t n, size_t k) {
    const vt_matrix_spec spec = {storage, n, k, b->split};
    if (b->status || !grow_matrices(b))
        return;
    if (is_packed_already(b))
        place_matrix(b, out, storage, n, k);
    else
        b->status = vt_backend_create(out, backend_for(b, storage), b->kernels, &spec, b->err);
    if (b->status)
        return;
    b->out->bytes += out->bytes;
    b->out->matrices[b->out->num_matrices++] = (vt_matrix){*out, !is_packed_already(b)};
    size_t scratch = vt_linear_row_scratch(out);
    if (scratch > b->out->row_scratch)
        b->out->row_scratch = scratch;
}

void vt_bind_finish_packed(vt_binder *b, vt_packed *out) {
    if (!b->status)
        b->status = vt_backend_finish(out, b->err);
}

void vt_bind_pack_floats(vt_binder *b, vt_packed *out, size_t row, const float *weight,
                         size_t rows) {
    if (!b->status && !is_packed_already(b))
        vt_pack_rows(b->kernels, out, row, weight, rows);
}

/* Rows of a tensor on their way into a matrix, a few at a time for each thread. */
typedef struct pack_call {
    const vt_binder *b;
    vt_packed *out;
    const vt_tensor *tensor;
    size_t row, rows; /* of the matrix */
    float *strips;    /* [threads][PACK_ROWS][k] */
} pack_call;

enum { PACK_ROWS = 96 }; /* whole panels: 3 of 32, 2 of 48, 4 of 24, 6 of 16, 12 of 8 */

/* Task: rows of one run of panels. */
static void pack_task(void *context, size_t task, size_t thread) {
    const pack_call *call = context;
    size_t k = call->out->k, first_run = call->row / PACK_ROWS;
    size_t begin = (first_run + task) * PACK_ROWS, end = begin + PACK_ROWS;
    size_t row_end = call->row + call->rows;
    begin = begin < call->row ? call->row : begin;
    end = end > row_end ? row_end : end;
    float *strip = call->strips + thread * PACK_ROWS * k;
    to_f32(call->b, strip, call->tensor, (begin - call->row) * k, (end - begin) * k);
    vt_pack_rows(call->b->kernels, call->out, begin, strip, end - begin);
}

/* A tensor that is not packed as it is stored, as a whole. */
static void pack_loaded(vt_binder *b, vt_packed *out, size_t row, size_t rows,
                        const vt_tensor *tensor, const size_t *shape, size_t ndim) {
    size_t elements;
    if (!vt_product(shape, ndim, &elements))
        return;
    float *weight = vt_malloc(elements, sizeof *weight);
    if (!weight)
        b->status = vt_fail_memory(b->err, "a weight", elements * sizeof *weight);
    if (!b->status)
        vt_bind_load(b, weight, tensor, shape, ndim);
    vt_bind_pack_floats(b, out, row, weight, rows);
    vt_free(weight);
}

void vt_bind_pack(vt_binder *b, vt_packed *out, size_t row, size_t rows, const vt_tensor *tensor,
                  const size_t *shape, size_t ndim) {
    pack_call call = {b, out, tensor, row, rows, NULL};
    size_t floats, elements;
    vt_bind_check(b, tensor, shape, ndim);
    if (b->status || !tensor || !rows || !vt_product(shape, ndim, &elements) ||
        !vt_mul_size(vt_pool_size(b->pool) * PACK_ROWS, out->k, &floats))
        return;
    if (has_adapter(b, tensor)) {
        pack_loaded(b, out, row, rows, tensor, shape, ndim);
        return;
    }
    mark_used(b, tensor, elements, false);
    if (is_packed_already(b))
        return;
    call.strips = vt_malloc(floats, sizeof *call.strips);
    if (!call.strips) {
        b->status = vt_fail_memory(b->err, "a weight", floats * sizeof *call.strips);
        return;
    }
    vt_pool_run(b->pool, pack_task, &call,
                (row + rows + PACK_ROWS - 1) / PACK_ROWS - row / PACK_ROWS);
    vt_free(call.strips);
    vt_checkpoint_release(b->checkpoint, tensor);
}

void vt_bind_pack_transposed(vt_binder *b, vt_packed *out, const vt_tensor *tensor,
                             const size_t *shape) {
    size_t k = shape[0], n = shape[1], elements;
    vt_bind_check(b, tensor, shape, 2);
    vt_bind_create_packed(b, out, vt_bind_storage(b, tensor), n, k);
    if (b->status || !tensor || !vt_mul_size(n, k, &elements))
        return;
    mark_used(b, tensor, elements, false);
    if (is_packed_already(b))
        return;
    float *weight = vt_malloc(elements, sizeof *weight),
          *turned = vt_malloc(elements, sizeof *turned);
    if (!weight || !turned)
        b->status = vt_fail_memory(b->err, "a weight", elements * sizeof *weight);
    if (!b->status) {
        to_f32(b, weight, tensor, 0, elements);
        b->kernels->transpose(turned, k, weight, n, k, n);
        vt_pack_rows(b->kernels, out, 0, turned, n);
    }
    vt_free(turned);
    vt_free(weight);
}

void vt_bind_dense(vt_binder *b, vt_dense *out, vt_part part, size_t block, size_t n, size_t k,
                   bool has_bias) {
    const size_t shape[] = {n, k}, stored[] = {k, n};
    const vt_tensor *weight = vt_bind_require(b, part, block, ".weight");
    vt_bind_check(b, weight, b->family->conv1d_weights ? stored : shape, 2);
    if (b->family->conv1d_weights) {
        vt_bind_pack_transposed(b, &out->weight, weight, stored);
    } else {
        vt_bind_create_packed(b, &out->weight, vt_bind_storage(b, weight), n, k);
        vt_bind_pack(b, &out->weight, 0, n, weight, shape, 2);
    }
    if (has_bias)
        out->bias = vt_bind_vector(b, part, block, ".bias", n);
}

void vt_bind_block_dense(vt_binder *b, vt_dense *out, vt_part part, size_t block, size_t n,
                         size_t k) {
    vt_bind_dense(b, out, part, block, n, k, vt_bind_any_block_has(b, part, ".bias"));
}
