/* SPDX-License-Identifier: MIT
 *
 * A request from another thread that what runs shall stop.
 */
#ifndef VT_BASE_CANCEL_H
#define VT_BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

typedef enum vt_cancel_state {
    VT_CANCEL_IDLE = 0,
    VT_CANCEL_RUNNING,
    VT_CANCEL_WANTED
} vt_cancel_state;

/* Zeroed at first. */
typedef struct vt_cancel {
    atomic_int state; /* a vt_cancel_state */
} vt_cancel;

/* What can be stopped runs from here to there. */
static inline void vt_cancel_begin(vt_cancel *cancel) {
    atomic_store(&cancel->state, VT_CANCEL_RUNNING);
}

static inline void vt_cancel_end(vt_cancel *cancel) {
    atomic_store(&cancel->state, VT_CANCEL_IDLE);
}

/* By any thread; nothing happens when nothing runs. */
static inline void vt_cancel_request(vt_cancel *cancel) {
    int running = VT_CANCEL_RUNNING;
    atomic_compare_exchange_strong(&cancel->state, &running, VT_CANCEL_WANTED);
}

static inline bool vt_cancel_wanted(const vt_cancel *cancel) {
    return atomic_load(&cancel->state) == VT_CANCEL_WANTED;
}

#endif
