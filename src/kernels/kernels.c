/* SPDX-License-Identifier: MIT */
#include "kernels/kernels.h"

#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/tables.h"

/* Fastest first. */
static const vt_kernels *const tables[] = {
#if defined(__x86_64__)
    &vt_kernels_avx512,
    &vt_kernels_avx2,
#elif defined(__aarch64__)
    &vt_kernels_neon,
#endif
    &vt_kernels_scalar,
};

enum { NUM_TABLES = sizeof tables / sizeof tables[0] };

static bool can_run(const vt_kernels *kernels) {
    vt_cpu cpu = vt_cpu_features();
    if (strcmp(kernels->name, "avx512") == 0)
        return cpu.avx512;
    if (strcmp(kernels->name, "avx2") == 0)
        return cpu.avx2;
    if (strcmp(kernels->name, "neon") == 0)
        return cpu.neon;
    return true;
}

const vt_kernels *vt_kernels_at(size_t index) {
    for (size_t i = 0; i < NUM_TABLES; i++)
        if (can_run(tables[i]) && index-- == 0)
            return tables[i];
    return NULL;
}

/* A table's name, compiled in or not. */
static bool is_known(const char *name) {
    static const char *const names[] = {"avx512", "avx2", "neon", "scalar"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

vt_status vt_kernels_select(const vt_kernels **out, const char *name, vt_error *err) {
    const vt_kernels *kernels;
    for (size_t i = 0; (kernels = vt_kernels_at(i)) != NULL; i++)
        if (!name || strcmp(kernels->name, name) == 0) {
            *out = kernels;
            return VT_OK;
        }
    *out = NULL;
    if (is_known(name))
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this processor has no %s kernels", name);
    return vt_fail(err, VT_ERR_ARGUMENT, "no kernels named \"%s\": avx512, avx2, neon or scalar",
                   name);
}
