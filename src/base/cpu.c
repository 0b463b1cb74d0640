/* SPDX-License-Identifier: MIT */
#include "base/cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <stdint.h>

/* F16C and AMX are what not every compiler's __builtin_cpu_supports knows by name. */

/* It uses the registers of AVX2, of which __builtin_cpu_supports knows whether the system saves
 * them. */
static bool has_f16c(void) {
    enum { F16C = 1 << 29 };
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & F16C);
}

/* The system must save AMX's tiles: bits 17 and 18 of XCR0, which XGETBV reads. */
static void find_amx(vt_cpu *cpu) {
    enum { OSXSAVE = 1 << 27, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };
    const uint32_t tiles = 3u << 17;
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & OSXSAVE))
        return;
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    if ((eax & tiles) != tiles || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) ||
        !(edx & AMX_TILE))
        return;
    cpu->amx_bf16 = (edx & AMX_BF16) != 0;
    cpu->amx_int8 = (edx & AMX_INT8) != 0;
}
#endif

vt_cpu vt_cpu_features(void) {
    vt_cpu cpu = {0};
#if defined(__x86_64__) && defined(__GNUC__)
    /* These ask XGETBV too: a feature whose registers the system does not save is not reported. */
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl");
    cpu.avx512vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni");
    find_amx(&cpu);
#elif defined(__aarch64__)
    cpu.neon = true;
#endif
    return cpu;
}
