/* SPDX-License-Identifier: MIT
 *
 * Instead of src/base/cpu.c in scripts/test-avx512: a processor that has what is emulated.
 */
#include "base/cpu.h"

vt_cpu vt_cpu_features(void) {
    return (vt_cpu){.avx2 = true, .avx512 = true, .avx512vnni = true};
}
