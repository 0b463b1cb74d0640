/* SPDX-License-Identifier: MIT
 *
 * The processors that threads run on, where the system tells (Linux); elsewhere nothing is known
 * and nothing moved. vt_num_processors is of vitrine.h.
 */
#ifndef VT_BASE_PROCESSORS_H
#define VT_BASE_PROCESSORS_H

#include <pthread.h>
#include <sched.h>

#include "vitrine.h"

/* Those that a thread may run on. */
typedef struct vt_processors {
    size_t count; /* 0: not known */
#if defined(__linux__)
    cpu_set_t set;
#endif
} vt_processors;

/* The calling thread's; threads that it starts inherit them. */
vt_processors vt_processors_allowed(void);

/* The one that the calling thread is on at this moment; -1: not known. */
int vt_processor_here(void);

/* Keeps a thread off processor `off`: it may then run on all other `allowed`. *kept_off is what it
 * was kept off before, -1 for nothing, and is updated. A thread that somebody else has put
 * elsewhere since then stays there. */
void vt_thread_keep_off(pthread_t thread, const vt_processors *allowed, int *kept_off, int off);

#endif
