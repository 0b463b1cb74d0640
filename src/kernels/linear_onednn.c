/* SPDX-License-Identifier: MIT
 *
 * Linear layers by oneDNN, which knows AMX and bf16 instructions. A matrix is reordered once, into
 * the layout that oneDNN asks for:
 *
 *     F32     X as it is, or copied so that its rows are adjacent
 *     BF16    X rounded to BF16; sums in F32
 *     INT8    X rounded to 8 bits by row, as for our own kernels; integers, then our epilogue: the
 *             same result bit for bit (a split at an odd column may show in a last bit before it)
 *
 * With F32 and BF16 oneDNN applies the epilogue while it stores Y: bias, activation, LayerScale and
 * residual are its "post-ops". (A scale for each row of X, which 8 bits need, is not among those of
 * oneDNN 2.)
 *
 * Threads are the pool's: each takes its share of X's rows to a oneDNN that uses one thread.
 * OpenMP's, which Debian's build would use, spin for milliseconds after each product on the
 * processors that the pool's then wait for (docs/SPEED.md). A build on TBB can't be told from C and
 * adds its own.
 *
 * A primitive is compiled for one shape, leading dimensions and epilogue. Each matrix keeps those
 * it was last asked for. One is used by one thread at a time: it owns memory objects and a
 * scratchpad. Our allocator sees none of that, and oneDNN's only what a new shape takes.
 *
 * oneDNN may cut k differently for other numbers of rows, and so, in F32 and BF16, bits are the
 * same only for the same rows and threads.
 */
#include "kernels/onednn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "base/error.h"
#include "base/memory.h"
#include "kernels/backend.h"

enum {
    TYPICAL_ROWS = 256, /* that the layout is asked for */
    MAX_PRIMITIVES =
        64, /* threads that share a matrix, times their shapes; more wait or recompile */
    MAX_PARTS = 2,
    MAX_ARGUMENTS = 5, /* X, W, Y, bias, scale */
    ROWS_A_TASK = 8,   /* that are copied */
    MIN_ROWS = 16,     /* that are multiplied: AMX has no lower tiles */
    STRIP = 512,       /* columns that are dequantized at a time */
};

/* What a primitive is compiled for. */
typedef struct primitive_key {
    size_t m, ldx, ldy;
    vt_activation act;
    bool has_bias, has_scale, has_residual;
} primitive_key;

typedef struct primitive {
    primitive_key key;
    dnnl_primitive_t primitive; /* NULL: a free place */
    dnnl_stream_t stream;
    dnnl_exec_arg_t arguments[MAX_ARGUMENTS]; /* X, W, Y, then bias and scale as far as there are */
    size_t num_arguments;
    bool busy;
    uint64_t last_use;
} primitive;

/* Rows [first, first + n) of W. */
typedef struct weight_part {
    size_t first, n;
    onednn_layout layout;
    void *data;
    primitive primitives[MAX_PRIMITIVES];
} weight_part;

typedef struct onednn_weight {
    pthread_mutex_t mutex; /* of the primitives */
    pthread_cond_t idle;
    uint64_t clock;
    void *staged; /* [n][k] until all rows are there */
    weight_part parts[MAX_PARTS];
    size_t num_parts;
} onednn_weight;

static size_t round_up(size_t size, size_t multiple) {
    return (size + multiple - 1) / multiple * multiple;
}

/* ---- types --------------------------------------------------------------------------------- */

static bool takes(vt_storage storage) {
    return storage != VT_STORE_F16;
}

static size_t element_size(vt_storage storage) {
    return storage == VT_STORE_F32 ? 4 : storage == VT_STORE_BF16 ? 2 : 1;
}

static dnnl_data_type_t weight_type(vt_storage storage) {
    return storage == VT_STORE_F32 ? dnnl_f32 : storage == VT_STORE_BF16 ? dnnl_bf16 : dnnl_s8;
}

static dnnl_data_type_t x_type(vt_storage storage) {
    return storage == VT_STORE_INT8 ? dnnl_u8 : weight_type(storage);
}

static dnnl_data_type_t y_type(vt_storage storage) {
    return storage == VT_STORE_INT8 ? dnnl_s32 : dnnl_f32;
}

/* The one processor. Made once in a process, and never destroyed. */
static dnnl_engine_t engine;

static void make_engine(void) {
    if (dnnl_engine_create(&engine, dnnl_cpu, 0))
        engine = NULL;
}

/* ---- threads ------------------------------------------------------------------------------- */

/* Sets how many threads OpenMP gives to what the calling thread runs; returns how many it was. */
static size_t use_threads(size_t num_threads) {
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP && defined(_OPENMP)
    int before = omp_get_max_threads();
    omp_set_num_threads((int)num_threads);
    return (size_t)before;
#else
    return num_threads;
#endif
}

/* ---- primitives ---------------------------------------------------------------------------- */

/* GELU, SiLU and their like; alpha is Swish's, x sigmoid(alpha x). */
static dnnl_status_t append_activation(dnnl_post_ops_t ops, vt_activation act) {
    switch (act) {
    case VT_ACT_GELU_ERF:
        return onednn_append_eltwise(ops, dnnl_eltwise_gelu_erf, 0);
    case VT_ACT_GELU_TANH:
        return onednn_append_eltwise(ops, dnnl_eltwise_gelu_tanh, 0);
    case VT_ACT_GELU_QUICK:
        return onednn_append_eltwise(ops, dnnl_eltwise_swish, 1.702f);
    case VT_ACT_SILU:
        return onednn_append_eltwise(ops, dnnl_eltwise_swish, 1);
    case VT_ACT_RELU:
        return onednn_append_eltwise(ops, dnnl_eltwise_relu, 0);
    case VT_ACT_TANH:
        return onednn_append_eltwise(ops, dnnl_eltwise_tanh, 0);
    default:
        return dnnl_success;
    }
}

/* act(.) * scale + y; the bias is the product's own. */
static dnnl_status_t append_epilogue(dnnl_post_ops_t ops, const primitive_key *key,
                                     const onednn_layout *vector) {
    dnnl_status_t status = append_activation(ops, key->act);
    if (!status && key->has_scale)
        status = dnnl_post_ops_append_binary(ops, dnnl_binary_mul, onednn_view(vector));
    if (!status && key->has_residual)
        status = onednn_append_sum(ops);
    return status;
}

/* X[m][k] W^T, with its epilogue; `weight` may be an `any` layout. */
static dnnl_status_t describe(dnnl_primitive_desc_t *out, vt_storage storage,
                              const primitive_key *key, size_t n, size_t k,
                              const onednn_layout *weight) {
    const dnnl_dims_t x_dims = {(dnnl_dim_t)key->m, (dnnl_dim_t)k},
                      y_dims = {(dnnl_dim_t)key->m, (dnnl_dim_t)n}, row = {1, (dnnl_dim_t)n};
    onednn_layout x = {0}, y = {0}, vector = {0};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status =
        onednn_strided(&x, x_type(storage), x_dims, (const dnnl_dims_t){(dnnl_dim_t)key->ldx, 1});
    if (!status)
        status = onednn_strided(&y, y_type(storage), y_dims,
                                (const dnnl_dims_t){(dnnl_dim_t)key->ldy, 1});
    if (!status)
        status = onednn_strided(&vector, dnnl_f32, row, (const dnnl_dims_t){(dnnl_dim_t)n, 1});
    if (!status)
        status = dnnl_primitive_attr_create(&attributes);
    if (!status)
        status = dnnl_post_ops_create(&ops);
    if (!status)
        status = append_epilogue(ops, key, &vector);
    if (!status)
        status = dnnl_primitive_attr_set_post_ops(attributes, ops);
    if (!status)
        status =
            onednn_matmul(out, engine, &x, weight, key->has_bias ? &vector : NULL, &y, attributes);
    dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attributes);
    onednn_free_layout(&x);
    onednn_free_layout(&y);
    onednn_free_layout(&vector);
    return status;
}

static void destroy_primitive(primitive *p) {
    for (size_t i = 0; i < p->num_arguments; i++)
        dnnl_memory_destroy(p->arguments[i].memory);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    *p = (primitive){0};
}

/* A memory object without memory, of the layout that the description has for `query`. */
static dnnl_status_t add_argument(primitive *p, int argument, const_dnnl_primitive_desc_t desc,
                                  dnnl_query_t query, int index) {
    dnnl_exec_arg_t *out = &p->arguments[p->num_arguments];
    out->arg = argument;
    dnnl_status_t status = dnnl_memory_create(
        &out->memory, dnnl_primitive_desc_query_md(desc, query, index), engine, DNNL_MEMORY_NONE);
    p->num_arguments += !status;
    return status;
}

static dnnl_status_t create_arguments(primitive *p, const_dnnl_primitive_desc_t desc) {
    int scale = DNNL_ARG_ATTR_MULTIPLE_POST_OP(p->key.act != VT_ACT_NONE) | DNNL_ARG_SRC_1;
    dnnl_status_t status = add_argument(p, DNNL_ARG_SRC, desc, dnnl_query_src_md, 0);
    if (!status)
        status = add_argument(p, DNNL_ARG_WEIGHTS, desc, dnnl_query_weights_md, 0);
    if (!status)
        status = add_argument(p, DNNL_ARG_DST, desc, dnnl_query_dst_md, 0);
    if (!status && p->key.has_bias)
        status = add_argument(p, DNNL_ARG_BIAS, desc, dnnl_query_weights_md, 1);
    if (!status && p->key.has_scale)
        status = add_argument(p, scale, desc, dnnl_query_exec_arg_md, scale);
    return status;
}

static dnnl_status_t create_primitive(primitive *p, const vt_packed *weight,
                                      const weight_part *part) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status =
        describe(&desc, weight->storage, &p->key, part->n, weight->k, &part->layout);
    if (!status)
        status = dnnl_primitive_create(&p->primitive, desc);
    if (!status)
        status = dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags);
    if (!status)
        status = create_arguments(p, desc);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return status;
}

static bool same_key(const primitive_key *a, const primitive_key *b) {
    return a->m == b->m && a->ldx == b->ldx && a->ldy == b->ldy && a->act == b->act &&
           a->has_bias == b->has_bias && a->has_scale == b->has_scale &&
           a->has_residual == b->has_residual;
}

/* One of that key that nobody uses; else the place of the one that was used longest ago; NULL when
 * all are in use. */
static primitive *find_place(weight_part *part, const primitive_key *key) {
    primitive *oldest = NULL;
    for (size_t i = 0; i < MAX_PRIMITIVES; i++) {
        primitive *p = &part->primitives[i];
        if (p->busy)
            continue;
        if (p->primitive && same_key(&p->key, key))
            return p;
        if (!oldest || p->last_use < oldest->last_use)
            oldest = p;
    }
    return oldest;
}

/* A primitive for the caller alone until it is released; NULL when it can't be made. */
static primitive *acquire(const vt_packed *weight, weight_part *part, const primitive_key *key) {
    onednn_weight *state = weight->state;
    primitive *p;
    pthread_mutex_lock(&state->mutex);
    while (!(p = find_place(part, key)))
        pthread_cond_wait(&state->idle, &state->mutex);
    if (!p->primitive || !same_key(&p->key, key)) {
        destroy_primitive(p);
        p->key = *key;
        if (create_primitive(p, weight, part)) {
            destroy_primitive(p);
            p = NULL;
        }
    }
    if (p) {
        p->busy = true;
        p->last_use = ++state->clock;
    }
    pthread_mutex_unlock(&state->mutex);
    return p;
}

static void release(onednn_weight *state, primitive *p) {
    pthread_mutex_lock(&state->mutex);
    p->busy = false;
    pthread_cond_signal(&state->idle);
    pthread_mutex_unlock(&state->mutex);
}

/* ---- packing ------------------------------------------------------------------------------- */

static vt_status failed(vt_error *err, dnnl_status_t status, const vt_packed *weight) {
    if (status == dnnl_out_of_memory)
        return vt_fail(err, VT_ERR_MEMORY, "out of memory: oneDNN, a weight of %zu x %zu",
                       weight->n, weight->k);
    return vt_fail(err, VT_ERR_UNSUPPORTED,
                   "oneDNN %d.%d does not multiply such a matrix on this processor (status %d)",
                   dnnl_version()->major, dnnl_version()->minor, (int)status);
}

/* The layout that oneDNN likes for a part, and its bytes. */
static dnnl_status_t choose_layout(weight_part *part, size_t *bytes, vt_storage storage, size_t k) {
    const primitive_key typical = {
        .m = TYPICAL_ROWS, .ldx = k, .ldy = part->n, .act = VT_ACT_NONE, .has_bias = false};
    const dnnl_dims_t dims = {(dnnl_dim_t)k, (dnnl_dim_t)part->n};
    onednn_layout any = {0};
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = onednn_any(&any, weight_type(storage), dims);
    if (!status)
        status = describe(&desc, storage, &typical, part->n, k, &any);
    if (!status)
        status = onednn_copy(&part->layout,
                             dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0));
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    onednn_free_layout(&any);
    *bytes = status ? 0 : dnnl_memory_desc_get_size(onednn_view(&part->layout));
    return status;
}

static void destroy(void *opaque) {
    onednn_weight *state = opaque;
    if (!state)
        return;
    for (size_t i = 0; i < state->num_parts; i++) {
        for (size_t j = 0; j < MAX_PRIMITIVES; j++)
            destroy_primitive(&state->parts[i].primitives[j]);
        onednn_free_layout(&state->parts[i].layout);
    }
    pthread_cond_destroy(&state->idle);
    pthread_mutex_destroy(&state->mutex);
    vt_free(state->staged);
    vt_free(state);
}

static onednn_weight *create_state(const vt_matrix_spec *spec) {
    onednn_weight *state = vt_calloc(1, sizeof *state);
    if (!state)
        return NULL;
    pthread_mutex_init(&state->mutex, NULL);
    pthread_cond_init(&state->idle, NULL);
    size_t split = spec->split < spec->n ? spec->split : 0;
    if (split)
        state->parts[state->num_parts++] = (weight_part){.n = split};
    state->parts[state->num_parts++] = (weight_part){.first = split, .n = spec->n - split};
    return state;
}

/* Finds the parts' layouts and then their places, one behind another, with INT8's constants last.
 */
static vt_status create_parts(vt_packed *out, onednn_weight *state, vt_error *err) {
    size_t bytes[MAX_PARTS], at = 0, constants = 0, total;
    for (size_t i = 0; i < state->num_parts; i++) {
        dnnl_status_t status = choose_layout(&state->parts[i], &bytes[i], out->storage, out->k);
        if (status)
            return failed(err, status, out);
        bytes[i] = round_up(bytes[i], VT_ALIGNMENT);
        at += bytes[i];
    }
    if (out->int8)
        constants = out->n * (sizeof *out->scales + sizeof *out->sums);
    if (!vt_add_size(at, constants, &total))
        return vt_fail(err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", out->n, out->k);
    unsigned char *memory = vt_malloc(total, 1);
    if (!memory)
        return vt_fail_memory(err, "a weight", total);
    vt_prefer_huge_pages(memory, total);
    out->panels = memory;
    out->bytes = total;
    for (size_t i = 0; i < state->num_parts; memory += bytes[i++])
        state->parts[i].data = memory;
    if (out->int8) {
        out->scales = (float *)(void *)memory;
        out->sums = (int32_t *)(void *)(out->scales + out->n);
    }
    return VT_OK;
}

static vt_status create(vt_packed *out, const vt_kernels *kernels, const vt_matrix_spec *spec,
                        vt_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t elements, staged;
    pthread_once(&once, make_engine);
    if (!engine)
        return failed(err, dnnl_out_of_memory, out);
    if (spec->n > INT32_MAX || spec->k > INT32_MAX ||
        (spec->storage == VT_STORE_INT8 && spec->k > VT_INT8_MAX_K) ||
        !vt_mul_size(spec->n, spec->k, &elements) ||
        !vt_mul_size(elements, element_size(spec->storage), &staged))
        return vt_fail(err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", spec->n, spec->k);
    if (spec->storage == VT_STORE_INT8)
        out->int8 = vt_int8_kernels_for(kernels);
    onednn_weight *state = create_state(spec);
    if (!state)
        return vt_fail_memory(err, "a weight", sizeof *state);
    state->staged = vt_malloc(staged, 1);
    vt_status status =
        state->staged ? create_parts(out, state, err) : vt_fail_memory(err, "a weight", staged);
    if (status) {
        destroy(state);
        *out = (vt_packed){0};
        return status;
    }
    out->state = state;
    return VT_OK;
}

static void pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                      size_t rows) {
    onednn_weight *state = out->state;
    size_t k = out->k, at = row * k;
    if (out->storage == VT_STORE_F32)
        memcpy((float *)state->staged + at, weight, rows * k * sizeof *weight);
    else if (out->storage == VT_STORE_BF16)
        kernels->f32_to_bf16((uint16_t *)state->staged + at, weight, rows * k);
    else
        for (size_t r = 0; r < rows; r++)
            vt_round_weights((int8_t *)state->staged + at + r * k, VT_INT8_GROUP,
                             &out->scales[row + r], &out->sums[row + r], out->int8, weight + r * k,
                             k);
}

static dnnl_status_t reorder(const weight_part *part, onednn_layout_view from, void *source) {
    onednn_layout_view to = onednn_view(&part->layout);
    dnnl_memory_t in = NULL, out = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t copy = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = dnnl_memory_create(&in, from, engine, source);
    if (!status)
        status = dnnl_memory_create(&out, to, engine, part->data);
    if (!status)
        status = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL);
    if (!status)
        status = dnnl_primitive_create(&copy, desc);
    if (!status)
        status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, in}, {DNNL_ARG_TO, out}};
    if (!status)
        status = dnnl_primitive_execute(copy, stream, 2, arguments);
    if (!status)
        status = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(copy);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(in);
    dnnl_memory_destroy(out);
    return status;
}

static vt_status finish(vt_packed *packed, vt_error *err) {
    onednn_weight *state = packed->state;
    size_t k = packed->k, row_bytes = k * element_size(packed->storage);
    dnnl_status_t status = dnnl_success;
    size_t before = use_threads(1);
    for (size_t i = 0; i < state->num_parts && !status; i++) {
        const weight_part *part = &state->parts[i];
        const dnnl_dims_t dims = {(dnnl_dim_t)k, (dnnl_dim_t)part->n};
        onednn_layout staged = {0}; /* W^T, as its rows were given */
        status = onednn_strided(&staged, weight_type(packed->storage), dims,
                                (const dnnl_dims_t){1, (dnnl_dim_t)k});
        if (!status)
            status = reorder(part, onednn_view(&staged),
                             (unsigned char *)state->staged + part->first * row_bytes);
        onednn_free_layout(&staged);
    }
    use_threads(before);
    vt_free(state->staged);
    state->staged = NULL;
    return status ? failed(err, status, packed) : VT_OK;
}

/* ---- products ------------------------------------------------------------------------------ */

/* Whether oneDNN writes to the scratch memory, and not to Y: integers, and parts, whose rows are
 * not adjacent in Y. oneDNN 2 has no fast kernels for rows that are not, of X or of Y. */
static bool has_product(const vt_packed *weight) {
    const onednn_weight *state = weight->state;
    return weight->int8 || state->num_parts > 1;
}

/* A row of X as oneDNN reads it (up to 4 bytes of padding), how it was rounded, and its product. */
static size_t row_scratch(const vt_packed *weight) {
    return round_up(weight->k * element_size(weight->storage), 4) + 4 +
           (weight->int8 ? sizeof(vt_int8_row) : 0) +
           (has_product(weight) ? weight->n * sizeof(float) : 0);
}

typedef struct onednn_job {
    const vt_kernels *kernels;
    vt_pool *pool;
    const vt_packed *weight;
    const vt_linear_args *args;
    const vt_epilogue *epilogue;
    size_t first, count; /* of W's rows: columns of Y */
    const void *x;       /* as oneDNN reads it */
    size_t ldx;
    vt_rounded rounded; /* INT8 */
    void *product;      /* of a part, [m][part->n], where it is not Y itself */
    /* Of the part that is multiplied: */
    weight_part *part;
    primitive_key key; /* m aside */
    void *y;
    size_t shares;
    atomic_int status; /* a dnnl_status_t */
} onednn_job;

/* One share of X's rows. Real numbers and integers are 4 bytes each. */
static dnnl_status_t multiply_rows(const onednn_job *job, size_t first, size_t rows) {
    primitive_key key = job->key;
    key.m = rows;
    primitive *p = acquire(job->weight, job->part, &key);
    if (!p)
        return dnnl_out_of_memory;
    const void *operands[MAX_ARGUMENTS] = {
        (const unsigned char *)job->x + first * job->ldx * element_size(job->weight->storage),
        job->part->data, (float *)job->y + first * key.ldy};
    size_t count = 3;
    if (key.has_bias)
        operands[count++] = job->epilogue->bias;
    if (key.has_scale)
        operands[count++] = job->epilogue->scale;
    dnnl_status_t status = dnnl_success;
    for (size_t i = 0; i < count && !status; i++)
        status = dnnl_memory_set_data_handle(p->arguments[i].memory, (void *)operands[i]);
    if (!status)
        status = dnnl_primitive_execute(p->primitive, p->stream, (int)count, p->arguments);
    if (!status)
        status = dnnl_stream_wait(p->stream);
    release(job->weight->state, p);
    return status;
}

static void multiply_task(void *context, size_t task, size_t thread) {
    (void)thread;
    onednn_job *job = context;
    size_t m = job->args->m, first = m * task / job->shares, past = m * (task + 1) / job->shares;
    size_t before = use_threads(1);
    dnnl_status_t status = multiply_rows(job, first, past - first);
    use_threads(before);
    if (status)
        atomic_store(&job->status, (int)status);
}

/* y = X W^T of one part, and the epilogue that the key asks for. */
static void multiply(onednn_job *job, weight_part *part, const primitive_key *key, void *y) {
    size_t threads = vt_pool_size(job->pool), most = (job->args->m + MIN_ROWS - 1) / MIN_ROWS;
    job->part = part;
    job->key = *key;
    job->y = y;
    job->shares = threads < most ? threads : most;
    vt_pool_run(job->pool, multiply_task, job, job->shares);
}

/* The whole matrix, straight into Y. What oneDNN adds must be there. */
static void multiply_fused(onednn_job *job, weight_part *part) {
    const vt_linear_args *args = job->args;
    const vt_epilogue *ep = job->epilogue;
    const primitive_key key = {
        .ldx = job->ldx,
        .ldy = args->ldy,
        .act = ep->act,
        .has_bias = ep->bias,
        .has_scale = ep->scale,
        .has_residual = ep->residual,
    };
    if (ep->residual && ep->residual != args->y)
        for (size_t r = 0; r < args->m; r++)
            memcpy(args->y + r * args->ldy, ep->residual + r * args->ldy,
                   job->count * sizeof *args->y);
    multiply(job, part, &key, args->y);
}

/* Columns of one row of Y from their products. */
static void store_columns(const onednn_job *job, size_t row, size_t col, size_t cols) {
    float strip[STRIP];
    const vt_packed *weight = job->weight;
    const vt_epilogue *ep = job->epilogue;
    size_t w = job->part->first + col, column = w - job->first;
    size_t from = row * job->part->n + col, to = row * job->args->ldy + column;
    const float *product = (const float *)job->product + from;
    if (weight->int8) {
        weight->int8->dequantize(strip, (const int32_t *)job->product + from,
                                 job->rounded.rows[row], weight->scales + w, weight->sums + w,
                                 cols);
        product = strip;
    }
    job->kernels->epilogue(job->args->y + to, product, cols, ep->bias ? ep->bias + column : NULL,
                           ep->act, ep->scale ? ep->scale + column : NULL,
                           ep->residual ? ep->residual + to : NULL);
}

static void store_task(void *context, size_t task, size_t thread) {
    (void)thread;
    const onednn_job *job = context;
    size_t n = job->part->n, past = (task + 1) * ROWS_A_TASK;
    for (size_t r = task * ROWS_A_TASK; r < past && r < job->args->m; r++)
        for (size_t col = 0; col < n; col += STRIP)
            store_columns(job, r, col, n - col < STRIP ? n - col : STRIP);
}

/* One part, by way of the scratch memory. */
static void multiply_part(onednn_job *job, weight_part *part) {
    const primitive_key key = {.ldx = job->ldx, .ldy = part->n};
    multiply(job, part, &key, job->product);
    vt_pool_run(job->pool, store_task, job, (job->args->m + ROWS_A_TASK - 1) / ROWS_A_TASK);
}

/* Rows of X, adjacent, in the type that W has. */
static void copy_task(void *context, size_t task, size_t thread) {
    (void)thread;
    const onednn_job *job = context;
    const vt_linear_args *args = job->args;
    size_t k = job->weight->k, past = (task + 1) * ROWS_A_TASK;
    for (size_t r = task * ROWS_A_TASK; r < past && r < args->m; r++) {
        if (job->weight->storage == VT_STORE_BF16)
            job->kernels->f32_to_bf16((uint16_t *)args->scratch + r * k, args->x + r * args->ldx,
                                      k);
        else
            memcpy((float *)args->scratch + r * k, args->x + r * args->ldx, k * sizeof(float));
    }
}

static void prepare(onednn_job *job) {
    const vt_linear_args *args = job->args;
    size_t k = job->weight->k, used = args->m * k * element_size(job->weight->storage);
    job->x = args->scratch;
    job->ldx = k;
    if (job->weight->int8) {
        job->ldx = round_up(k, VT_INT8_GROUP);
        job->rounded = vt_round_rows(job->pool, job->weight, args, job->ldx);
        used = args->m * (job->ldx + sizeof(vt_int8_row));
    } else if (job->weight->storage == VT_STORE_F32 && args->ldx == k) {
        job->x = args->x;
    } else {
        vt_pool_run(job->pool, copy_task, job, (args->m + ROWS_A_TASK - 1) / ROWS_A_TASK);
    }
    job->product = (unsigned char *)args->scratch + round_up(used, sizeof(float));
}

static vt_status linear(const vt_kernels *kernels, vt_pool *pool, const vt_packed *weight,
                        const vt_linear_args *args, const vt_epilogue *epilogue) {
    onednn_weight *state = weight->state;
    onednn_job job = {
        .kernels = kernels,
        .pool = pool,
        .weight = weight,
        .args = args,
        .epilogue = epilogue,
        .first = args->first,
        .count = args->count ? args->count : weight->n,
    };
    prepare(&job);
    for (size_t i = 0; i < state->num_parts; i++) {
        weight_part *part = &state->parts[i];
        if (part->first < job.first || part->first + part->n > job.first + job.count)
            continue;
        if (has_product(weight))
            multiply_part(&job, part);
        else
            multiply_fused(&job, part);
    }
    int status = atomic_load(&job.status);
    return status == dnnl_out_of_memory ? VT_ERR_MEMORY : status ? VT_ERR_INTERNAL : VT_OK;
}

const vt_backend vt_backend_onednn = {
    .name = "onednn",
    .takes = takes,
    .create = create,
    .pack_rows = pack_rows,
    .finish = finish,
    .destroy = destroy,
    .row_scratch = row_scratch,
    .linear = linear,
};
