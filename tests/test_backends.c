/* SPDX-License-Identifier: MIT
 *
 * Linear layers and whole models by every backend that is compiled in: against sums in double, and
 * against this library's own kernels.
 */
#include "support.h"

#include <pthread.h>
#include <stdlib.h>

#include "allocations.h"
#include "base/cpu.h"
#include "kernel_check.h"
#include "kernels/backend.h"

enum { MAX_M = 70, MAX_N = 300, MAX_K = 400, MAX_LDX = 512, LDY = MAX_N + 7 };

/* Rows that are adjacent, as in models, and some that are not. */
typedef struct linear_case {
    size_t m, n, k, ldx, ldy, split;
} linear_case;

typedef struct linear_data {
    float x[MAX_M * MAX_LDX], weight[MAX_N * MAX_K], bias[MAX_N], scale[MAX_N];
    float residual[MAX_M * LDY], y[MAX_M * LDY], first[MAX_M * LDY];
    double product[MAX_M * MAX_N];
} linear_data;

static linear_data data;
static _Alignas(64) uint8_t scratch[1 << 20];

static const linear_case cases[] = {{1, 7, 5, 5, 7, 0},         {1, 300, 400, 512, 300, 0},
                                    {65, 192, 32, 32, 192, 64}, {70, 300, 10, 11, 300, 96},
                                    {59, 33, 370, 400, 33, 0},  {20, 128, 64, 64, LDY, 0}};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

/* ---- one layer ---------------------------------------------------------------------------- */

/* Numbers that BF16 holds exactly, so that only sums and the epilogue round. */
static void round_to_bf16(float *x, size_t n) {
    static uint16_t halves[MAX_N * MAX_K];
    assert_true(n <= MAX_N * MAX_K);
    vt_kernels_at(0)->f32_to_bf16(halves, x, n);
    vt_kernels_at(0)->bf16_to_f32(x, halves, n);
}

static void fill_data(vt_storage storage) {
    fill_random(data.x, MAX_M * MAX_LDX, 3);
    fill_random(data.weight, MAX_N * MAX_K, 4);
    fill_random(data.bias, MAX_N, 5);
    fill_random(data.scale, MAX_N, 6);
    fill_random(data.residual, MAX_M * LDY, 7);
    if (storage == VT_STORE_BF16) {
        round_to_bf16(data.x, MAX_M * MAX_LDX);
        round_to_bf16(data.weight, MAX_N * MAX_K);
    }
}

static void pack(vt_packed *out, const vt_backend *backend, const linear_case *shape,
                 vt_storage storage) {
    vt_error err = {0};
    const vt_kernels *kernels = vt_kernels_at(0);
    const vt_matrix_spec spec = {storage, shape->n, shape->k, shape->split};
    expect_ok(vt_backend_create(out, backend, kernels, &spec, &err), &err);
    assert_ptr_equal(out->backend, backend);
    size_t half = shape->n / 2; /* as q, k and v are: piece by piece, in any order */
    vt_pack_rows(kernels, out, half, data.weight + half * shape->k, shape->n - half);
    vt_pack_rows(kernels, out, 0, data.weight, half);
    expect_ok(vt_backend_finish(out, &err), &err);
    assert_true(shape->m * vt_linear_row_scratch(out) + 64 <= sizeof scratch);
}

/* Without AVX-512 oneDNN may have no product in BF16, as 2.6 has none: then, and nowhere else, a
 * matrix is refused, in one line. */
static bool is_refused(const vt_backend *backend, vt_storage storage) {
    vt_error err = {0};
    vt_packed packed;
    const vt_matrix_spec spec = {storage, 48, 32, 0};
    vt_status status = vt_backend_create(&packed, backend, vt_kernels_at(0), &spec, &err);
    if (status == VT_OK) {
        vt_packed_free(&packed);
        return false;
    }
    assert_int_equal(status, VT_ERR_UNSUPPORTED);
    assert_true(storage == VT_STORE_BF16 && !vt_cpu_features().avx512);
    assert_non_null(strstr(err.message, "does not multiply such a matrix on this processor"));
    assert_null(packed.panels);
    return true;
}

static vt_epilogue epilogue_number(int combination) {
    return (vt_epilogue){
        .bias = combination & 1 ? data.bias : NULL,
        .scale = combination & 2 ? data.scale : NULL,
        .residual = combination & 4 ? data.residual : NULL,
        .act = (vt_activation)(combination / 8),
    };
}

/* The residual apart from y, or y itself. */
static void run(vt_pool *pool, const vt_packed *packed, const linear_case *shape, vt_epilogue ep,
                bool in_place) {
    enum { FENCE = 64 };
    uint8_t *past = scratch + shape->m * vt_linear_row_scratch(packed);
    memset(past, 0xa5, FENCE);
    fill_untouched(data.y, MAX_M * LDY);
    for (size_t i = 0; ep.residual && in_place && i < shape->m; i++)
        memcpy(data.y + i * shape->ldy, data.residual + i * shape->ldy, shape->n * sizeof(float));
    if (ep.residual && in_place)
        ep.residual = data.y;
    const vt_linear_args args = {.y = data.y,
                                 .ldy = shape->ldy,
                                 .x = data.x,
                                 .ldx = shape->ldx,
                                 .m = shape->m,
                                 .scratch = scratch};
    assert_int_equal(vt_linear(vt_kernels_at(0), pool, packed, &args, &ep), VT_OK);
    for (size_t i = 0; i < FENCE; i++)
        assert_int_equal(past[i], 0xa5);
}

static void multiply(const linear_case *shape) {
    for (size_t i = 0; i < shape->m; i++)
        for (size_t j = 0; j < shape->n; j++) {
            double sum = 0;
            for (size_t p = 0; p < shape->k; p++)
                sum += (double)data.x[i * shape->ldx + p] * data.weight[j * shape->k + p];
            data.product[i * MAX_N + j] = sum;
        }
}

/* The tolerance of our own kernels: F32 sums of k products of size 1 at most, whatever their order;
 * and 3e-6 for an activation, of which oneDNN promises no more. */
static void check(const linear_case *shape, const vt_epilogue *ep) {
    double tolerance = 2e-6 * sqrt((double)shape->k) + (ep->act ? 3e-6 : 0);
    for (size_t i = 0; i < shape->m; i++) {
        for (size_t j = 0; j < shape->n; j++) {
            double v = data.product[i * MAX_N + j] + (ep->bias ? data.bias[j] : 0);
            v = activation(v, ep->act) * (ep->scale ? data.scale[j] : 1);
            v += ep->residual ? data.residual[i * shape->ldy + j] : 0;
            assert_close(data.y[i * shape->ldy + j], v, tolerance, "linear",
                         (double)(i * 1000 + j));
        }
        for (size_t j = shape->n; j < shape->ldy; j++)
            assert_true(data.y[i * shape->ldy + j] == untouched);
    }
}

/* Real numbers: against sums in double. */
static void check_real(const vt_backend *backend, vt_storage storage, vt_pool *pool) {
    fill_data(storage);
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_packed packed;
        pack(&packed, backend, &cases[c], storage);
        multiply(&cases[c]);
        for (int i = 0; i < 8 * VT_ACT_COUNT; i++) {
            vt_epilogue ep = epilogue_number(i);
            run(NULL, &packed, &cases[c], ep, false);
            check(&cases[c], &ep);
            memcpy(data.first, data.y, sizeof data.y);
            run(pool, &packed, &cases[c], ep, true);
            check(&cases[c], &ep);
            if (strcmp(backend->name, "blas") == 0) /* bit for bit, however many threads */
                assert_memory_equal(data.first, data.y, sizeof data.y);
        }
        vt_packed_free(&packed);
        assert_null(packed.panels);
    }
}

/* Integers are exact: the bits of our own kernels. */
static void check_integers(const vt_backend *backend, vt_pool *pool) {
    fill_data(VT_STORE_INT8);
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_packed packed, native;
        pack(&packed, backend, &cases[c], VT_STORE_INT8);
        pack(&native, NULL, &cases[c], VT_STORE_INT8);
        for (int i = 0; i < 8 * VT_ACT_COUNT; i += 5) {
            run(NULL, &native, &cases[c], epilogue_number(i), false);
            memcpy(data.first, data.y, sizeof data.y);
            for (int threads = 0; threads < 2; threads++) {
                run(threads ? pool : NULL, &packed, &cases[c], epilogue_number(i), threads);
                assert_memory_equal(data.first, data.y, sizeof data.y);
            }
        }
        vt_packed_free(&packed);
        vt_packed_free(&native);
    }
}

static void test_layers(void **state) {
    (void)state;
    const vt_backend *backend;
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, 2, NULL), VT_OK);
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++)
        for (int s = VT_STORE_F32; s <= VT_STORE_INT8; s++) {
            vt_storage storage = (vt_storage)s;
            if (!backend->takes(storage))
                continue;
            print_message("  %s, storage %d\n", backend->name, s);
            if (is_refused(backend, storage))
                continue;
            if (storage == VT_STORE_INT8)
                check_integers(backend, pool);
            else
                check_real(backend, storage, pool);
        }
    vt_pool_destroy(pool);
}

/* The columns of each side of a split, alone. */
static void check_split(const vt_backend *backend, vt_storage storage) {
    static const linear_case shape = {45, 192, 80, 80, LDY, 64};
    static const size_t ranges[][2] = {{0, 64}, {64, 128}, {0, 192}};
    vt_packed packed;
    vt_epilogue ep = {.bias = data.bias, .act = VT_ACT_GELU_ERF};
    fill_data(storage);
    pack(&packed, backend, &shape, storage);
    run(NULL, &packed, &shape, ep, false);
    memcpy(data.first, data.y, sizeof data.y);
    for (size_t i = 0; i < 3; i++) {
        size_t first = ranges[i][0], count = ranges[i][1];
        vt_linear_args args = {.y = data.y + first,
                               .ldy = LDY,
                               .x = data.x,
                               .ldx = shape.ldx,
                               .m = shape.m,
                               .first = first,
                               .count = count,
                               .scratch = scratch};
        ep.bias = data.bias + first;
        fill_untouched(data.y, MAX_M * LDY);
        assert_int_equal(vt_linear(vt_kernels_at(0), NULL, &packed, &args, &ep), VT_OK);
        for (size_t r = 0; r < shape.m; r++)
            for (size_t j = 0; j < LDY; j++)
                if (j < first || j >= first + count)
                    assert_true(data.y[r * LDY + j] == untouched);
                else
                    assert_close(data.y[r * LDY + j], data.first[r * LDY + j], 2e-5, "columns",
                                 (double)j);
    }
    vt_packed_free(&packed);
}

static void test_split(void **state) {
    (void)state;
    const vt_backend *backend;
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++)
        for (int s = VT_STORE_F32; s <= VT_STORE_INT8; s++)
            if (backend->takes((vt_storage)s) && !is_refused(backend, (vt_storage)s))
                check_split(backend, (vt_storage)s);
}

/* More numbers of rows than a matrix keeps primitives for, twice. */
static void test_many_shapes(void **state) {
    (void)state;
    const vt_backend *backend;
    fill_data(VT_STORE_F32);
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++) {
        linear_case shape = {1, 48, 32, 40, 48, 0};
        vt_packed packed;
        vt_epilogue ep = {.bias = data.bias};
        pack(&packed, backend, &shape, VT_STORE_F32);
        for (size_t i = 0; i < 80; i++) {
            shape.m = 1 + i % 40;
            multiply(&shape);
            allocations_watch(0);
            run(NULL, &packed, &shape, ep, false);
            assert_int_equal(allocations_seen(), 0);
            check(&shape, &ep);
        }
        vt_packed_free(&packed);
    }
}

/* One matrix, several threads with rows of their own. */
typedef struct caller {
    const vt_packed *packed;
    float x[20 * 32], y[20 * 48], expected[20 * 48];
    _Alignas(64) uint8_t scratch[20 * 512];
    size_t m;
    bool same;
} caller;

static void call(caller *c, float *y) {
    const vt_linear_args args = {
        .y = y, .ldy = 48, .x = c->x, .ldx = 32, .m = c->m, .scratch = c->scratch};
    vt_epilogue ep = {.bias = data.bias};
    if (vt_linear(vt_kernels_at(0), NULL, c->packed, &args, &ep))
        c->same = false;
}

static void *call_often(void *context) {
    caller *c = context;
    for (int i = 0; i < 3000 && c->same; i++) {
        call(c, c->y);
        c->same = c->same && memcmp(c->y, c->expected, c->m * 48 * sizeof(float)) == 0;
    }
    return NULL;
}

static void test_shared_matrix(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    static const linear_case shape = {1, 48, 32, 32, 48, 0};
    static caller callers[CALLERS];
    const vt_backend *backend;
    fill_data(VT_STORE_F32);
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++) {
        pthread_t threads[CALLERS];
        vt_packed packed;
        pack(&packed, backend, &shape, VT_STORE_F32);
        assert_true(20 * vt_linear_row_scratch(&packed) <= sizeof callers[0].scratch);
        for (size_t i = 0; i < CALLERS; i++) {
            callers[i] = (caller){.packed = &packed, .m = i < 2 ? 20 : 7 + i, .same = true};
            fill_random(callers[i].x, 20 * 32, i);
            call(&callers[i], callers[i].expected);
        }
        for (size_t i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
        for (size_t i = 0; i < CALLERS; i++)
            pthread_join(threads[i], NULL);
        for (size_t i = 0; i < CALLERS; i++)
            assert_true(callers[i].same);
        vt_packed_free(&packed);
    }
}

/* ---- the choice --------------------------------------------------------------------------- */

static void test_rule(void **state) {
    (void)state;
    const vt_cpu plain = {.avx2 = true, .avx512 = true, .avx512vnni = true};
    const vt_cpu tiles = {.avx512 = true, .amx_bf16 = true, .amx_int8 = true};
    const struct {
        const vt_cpu *cpu;
        bool fastest, vectors;
        vt_storage storage;
        const char *best;
    } rules[] = {
        {&plain, true, true, VT_STORE_F32, "native"},
        {&plain, true, true, VT_STORE_BF16, "native"},
        {&plain, true, true, VT_STORE_INT8, "native"},
        {&plain, true, false, VT_STORE_F32, "blas"},
        {&plain, true, false, VT_STORE_F16, "native"},
        {&tiles, true, true, VT_STORE_F32, "native"},
        {&tiles, true, true, VT_STORE_F16, "native"},
        {&tiles, true, true, VT_STORE_BF16, "onednn"},
        {&tiles, true, true, VT_STORE_INT8, "onednn"},
        {&tiles, false, true, VT_STORE_BF16, "native"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        assert_string_equal(
            vt_backend_best(rules[i].cpu, rules[i].fastest, rules[i].vectors, rules[i].storage),
            rules[i].best);
}

static bool has_backend(const char *name) {
    const vt_backend *backend;
    for (size_t i = 0; (backend = vt_backend_at(i)) != NULL; i++)
        if (strcmp(backend->name, name) == 0)
            return true;
    return false;
}

static void expect_refused(const char *backend, const char *precision, vt_status status,
                           const char *message) {
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.backend = backend;
    options.precision = precision;
    assert_int_equal(
        vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err), status);
    assert_string_equal(err.message, message);
    assert_null(model);
}

static void test_refusals(void **state) {
    (void)state;
    expect_refused("mkl", NULL, VT_ERR_ARGUMENT,
                   "no backend named \"mkl\": auto, native, blas or onednn");
    if (!has_backend("blas"))
        expect_refused("blas", NULL, VT_ERR_UNSUPPORTED, "backend blas: built without OpenBLAS");
    else
        expect_refused("blas", "bf16", VT_ERR_UNSUPPORTED,
                       "backend blas does not multiply matrices in bf16");
    if (!has_backend("onednn"))
        expect_refused("onednn", NULL, VT_ERR_UNSUPPORTED, "backend onednn: built without oneDNN");
    else
        expect_refused("onednn", "f16", VT_ERR_UNSUPPORTED,
                       "backend onednn does not multiply matrices in f16");
}

/* ---- whole models ------------------------------------------------------------------------- */

static vt_model *open_with(const char *name, const char *backend, const char *precision) {
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.backend = backend;
    options.precision = precision;
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), &options, &err), &err);
    return model;
}

enum { BATCH = 2, TOKENS = 9, MAX_RESULTS = 1 << 14, MAX_PIXELS = BATCH * 3 * 128 * 128 };

/* Logits of pictures, or the last hidden states of text; after the first pass at a size none
 * allocates. Whether all of a text's tokens or one by one. */
static size_t run_model(float *out, const vt_model *model, size_t threads, bool steps) {
    static float pixels[MAX_PIXELS];
    static const int64_t ids[TOKENS] = {1, 5, 9, 2, 30, 31, 7, 8, 3};
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_model_info info;
    test_random random = {5};
    vt_model_describe(&info, model);
    bool pictures = info.image_height != 0;
    options.num_threads = threads;
    options.batch = pictures ? BATCH : 0;
    options.text_tokens = pictures ? 0 : TOKENS;
    options.cache_tokens = steps ? TOKENS : 0;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    random_floats(&random, pixels, MAX_PIXELS);
    size_t floats = pictures ? BATCH * info.num_classes : TOKENS * vt_model_text_width(model);
    assert_true(floats <= MAX_RESULTS);
    for (int pass = 0; pass < 2 && !steps; pass++) {
        allocations_watch(0);
        if (pictures)
            expect_ok(vt_session_forward(session, pixels, BATCH, &err), &err);
        else
            expect_ok(vt_session_forward_text(session, ids, NULL, 1, TOKENS, &err), &err);
        assert_int_equal(allocations_seen(), 0);
        memcpy(out, pictures ? vt_session_logits(session) : vt_session_hidden(session),
               floats * sizeof *out);
    }
    for (size_t i = 0; steps && i < TOKENS; i++) {
        expect_ok(vt_session_step(session, ids + i, 1, &err), &err);
        memcpy(out + i * (floats / TOKENS), vt_session_hidden(session),
               floats / TOKENS * sizeof *out);
    }
    vt_session_destroy(session);
    return floats;
}

/* The root of the mean squared difference, over that of b. */
static double relative_error(const float *a, const float *b, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += pow((double)a[i] - b[i], 2);
        size += pow(b[i], 2);
    }
    return sqrt(difference / size);
}

/* Models with class token, LayerScale, gated MLP, mean pooling; texts that see all or the past. */
static const struct {
    const char *name;
    bool steps;
} models[] = {{"timm_vit_token", false},
              {"timm_vit_gap_nobias", false},
              {"timm_vit_reg4_dinov2", false},
              {"timm_eva02_tiny", false},
              {"timm_vit_clip_quickgelu", false},
              {"text_bert", false},
              {"text_llama", false},
              {"text_llama", true},
              {"text_gpt2", false}};

/* F32 rounds differently alone; BF16 rounds activations too, which native does not: 2^-9 of each,
 * over a few layers; INT8 is the same integers. */
static double tolerance_of(const char *precision) {
    return strcmp(precision, "f32") == 0 ? 1e-5 : strcmp(precision, "bf16") == 0 ? 2e-2 : 1e-4;
}

static void check_models(const char *backend, const char *precision) {
    static float expected[MAX_RESULTS], actual[MAX_RESULTS];
    double worst = 0;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        vt_model *model = open_with(models[i].name, "native", precision);
        size_t floats = run_model(expected, model, 1, models[i].steps);
        vt_model_close(model);
        model = open_with(models[i].name, backend, precision);
        vt_model_info info;
        vt_model_describe(&info, model);
        assert_string_equal(info.backend, backend);
        assert_string_equal(info.precision, precision);
        for (size_t threads = 1; threads <= 2; threads++) {
            run_model(actual, model, threads, models[i].steps);
            double error = relative_error(actual, expected, floats);
            worst = error > worst ? error : worst;
            if (error > tolerance_of(precision))
                fail_msg("%s, %s, %s: %g", models[i].name, backend, precision, error);
        }
        vt_model_close(model);
    }
    print_message("  %s %s: relative error up to %.2g\n", backend, precision, worst);
}

static void test_models(void **state) {
    (void)state;
    static const char *const precisions[] = {"f32", "bf16", "int8"};
    static const vt_storage storages[] = {VT_STORE_F32, VT_STORE_BF16, VT_STORE_INT8};
    const vt_backend *backend;
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++)
        for (size_t p = 0; p < 3; p++)
            if (p == 0 ||
                (strcmp(backend->name, "onednn") == 0 && !is_refused(backend, storages[p])))
                check_models(backend->name, precisions[p]);
}

/* What a named backend does not multiply as stored it gets in F32. */
static void test_stored_f16(void **state) {
    (void)state;
    const vt_backend *backend;
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++) {
        vt_model_info info;
        vt_model *model = open_with("timm_vit_token_f16", backend->name, NULL);
        vt_model_describe(&info, model);
        assert_string_equal(info.precision, "f32");
        assert_string_equal(info.backend, backend->name);
        vt_model_close(model);
    }
}

/* Whatever allocation fails while a model is opened, all is given back. */
static void test_memory_runs_out(void **state) {
    (void)state;
    const vt_backend *backend;
    for (size_t b = 0; (backend = vt_backend_at(b)) != NULL; b++) {
        vt_model_options options = VT_MODEL_OPTIONS_INIT;
        const char *path = data_path("golden", "timm_vit_token", NULL);
        vt_status status = VT_ERR_MEMORY;
        options.backend = backend->name;
        size_t before = allocations_live();
        for (size_t fail_at = 1; status; fail_at++) {
            vt_error err = {0};
            vt_model *model;
            allocations_watch(fail_at);
            status = vt_model_open(&model, path, &options, &err);
            assert_true(status == VT_OK || status == VT_ERR_MEMORY);
            allocations_watch(0);
            vt_model_close(model);
            assert_int_equal(allocations_live(), before);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_many_shapes),
        cmocka_unit_test(test_shared_matrix),
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_stored_f16),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests_name("backends", tests, NULL, NULL);
}
