/* SPDX-License-Identifier: MIT */
#include "kernels/int8.h"

#include <string.h>

#include "base/cpu.h"
#include "kernels/tables.h"

/* Fastest first, each with the tables of F32 kernels that it goes with: whoever asks for AVX2 gets
 * nothing beyond it. */
static const struct {
    const vt_int8_kernels *int8;
    const char *kernels[2];
} tables[] = {
#if defined(__x86_64__)
    {&vt_int8_avx512vnni, {"avx512"}},
    {&vt_int8_avx2, {"avx512", "avx2"}},
#elif defined(__aarch64__)
    {&vt_int8_neon, {"neon"}},
#endif
    {&vt_int8_scalar, {"scalar"}},
};

enum { NUM_TABLES = sizeof tables / sizeof tables[0] };

static bool can_run(const vt_int8_kernels *int8) {
    vt_cpu cpu = vt_cpu_features();
    if (strcmp(int8->name, "avx512vnni") == 0)
        return cpu.avx512vnni;
    if (strcmp(int8->name, "avx2") == 0)
        return cpu.avx2;
    if (strcmp(int8->name, "neon") == 0)
        return cpu.neon;
    return true;
}

const vt_int8_kernels *vt_int8_kernels_at(size_t index) {
    for (size_t i = 0; i < NUM_TABLES; i++)
        if (can_run(tables[i].int8) && index-- == 0)
            return tables[i].int8;
    return NULL;
}

const vt_int8_kernels *vt_int8_kernels_for(const vt_kernels *kernels) {
    for (size_t i = 0; i < NUM_TABLES; i++)
        for (size_t j = 0; j < 2 && tables[i].kernels[j]; j++)
            if (strcmp(tables[i].kernels[j], kernels->name) == 0 && can_run(tables[i].int8))
                return tables[i].int8;
    return &vt_int8_scalar;
}
