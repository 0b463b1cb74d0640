/* SPDX-License-Identifier: MIT */
#include "base/cpu.h"

vt_cpu vt_cpu_features(void) {
    vt_cpu cpu = {0};
#if defined(__x86_64__) && defined(__GNUC__)
    /* These ask XGETBV too: a feature whose registers the system does not save is not reported. */
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
    cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl");
    cpu.avx512vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    cpu.neon = true;
#endif
    return cpu;
}
