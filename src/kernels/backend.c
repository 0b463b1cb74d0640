/* SPDX-License-Identifier: MIT */
#include "kernels/backend.h"

#include <string.h>

#include "base/error.h"

static const struct {
    const char *name, *library;
    const vt_backend *backend; /* NULL: not compiled in */
} backends[] = {
#if defined(VT_HAVE_BLAS)
    {"blas", "OpenBLAS", &vt_backend_blas},
#else
    {"blas", "OpenBLAS", NULL},
#endif
#if defined(VT_HAVE_ONEDNN)
    {"onednn", "oneDNN", &vt_backend_onednn},
#else
    {"onednn", "oneDNN", NULL},
#endif
};

enum { NUM_BACKENDS = sizeof backends / sizeof backends[0] };

const vt_backend *vt_backend_at(size_t index) {
    for (size_t i = 0; i < NUM_BACKENDS; i++)
        if (backends[i].backend && index-- == 0)
            return backends[i].backend;
    return NULL;
}

vt_status vt_backend_parse(vt_backend_choice *out, const char *name, vt_error *err) {
    *out = (vt_backend_choice){.automatic = !name || strcmp(name, "auto") == 0};
    if (out->automatic || strcmp(name, "native") == 0)
        return VT_OK;
    for (size_t i = 0; i < NUM_BACKENDS; i++) {
        if (strcmp(name, backends[i].name) != 0)
            continue;
        out->named = backends[i].backend;
        return out->named ? VT_OK
                          : vt_fail(err, VT_ERR_UNSUPPORTED, "backend %s: built without %s", name,
                                    backends[i].library);
    }
    return vt_fail(err, VT_ERR_ARGUMENT, "no backend named \"%.64s\": auto, native, blas or onednn",
                   name);
}

const char *vt_backend_best(const vt_cpu *cpu, bool fastest_kernels, bool vector_kernels,
                            vt_storage storage) {
    bool tiles =
        (storage == VT_STORE_BF16 && cpu->amx_bf16) || (storage == VT_STORE_INT8 && cpu->amx_int8);
    if (tiles && fastest_kernels)
        return "onednn";
    return storage == VT_STORE_F32 && !vector_kernels ? "blas" : "native";
}

static const vt_backend *find(const char *name) {
    for (size_t i = 0; i < NUM_BACKENDS; i++)
        if (strcmp(backends[i].name, name) == 0)
            return backends[i].backend;
    return NULL;
}

const vt_backend *vt_backend_for(const vt_backend_choice *choice, const vt_kernels *kernels,
                                 vt_storage storage) {
    const vt_kernels *fastest = vt_kernels_at(0);
    vt_cpu cpu = vt_cpu_features();
    if (!choice->automatic)
        return choice->named;
    return find(
        vt_backend_best(&cpu, kernels == fastest, strcmp(fastest->name, "scalar") != 0, storage));
}

const char *vt_backend_name(const vt_backend *backend) {
    return backend ? backend->name : "native";
}

vt_status vt_backend_create(vt_packed *out, const vt_backend *backend, const vt_kernels *kernels,
                            const vt_matrix_spec *spec, vt_error *err) {
    if (!backend)
        return vt_packed_create(out, kernels, spec->storage, spec->n, spec->k, err);
    *out = (vt_packed){.n = spec->n, .k = spec->k, .storage = spec->storage, .backend = backend};
    return backend->create(out, kernels, spec, err);
}

vt_status vt_backend_finish(vt_packed *packed, vt_error *err) {
    return packed->backend ? packed->backend->finish(packed, err) : VT_OK;
}
