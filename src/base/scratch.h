/* SPDX-License-Identifier: MIT
 *
 * Memory that is used again and again.
 */
#ifndef VT_BASE_SCRATCH_H
#define VT_BASE_SCRATCH_H

#include "base/memory.h"

/* Memory that is kept from one use to the next; a larger block takes its place, without what it
 * held, when that is not enough. Zeroed at first. */
typedef struct vt_scratch {
    void *data;
    size_t bytes;
} vt_scratch;

/* At least so many bytes; false when there is no memory, and then there are none. */
bool vt_scratch_reserve(vt_scratch *scratch, size_t bytes);
void vt_scratch_free(vt_scratch *scratch);

#endif
