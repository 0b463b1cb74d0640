/* SPDX-License-Identifier: MIT
 *
 * What the processor can do, and the operating system lets it do.
 */
#ifndef VT_BASE_CPU_H
#define VT_BASE_CPU_H

#include <stdbool.h>

typedef struct vt_cpu {
    bool avx2;   /* with FMA and F16C */
    bool avx512; /* F, BW, DQ and VL, with all of the above */
    bool avx512vnni;
    bool amx_bf16, amx_int8; /* with AMX-TILE */
    bool neon;               /* every aarch64 */
} vt_cpu;

vt_cpu vt_cpu_features(void);

#endif
