/* SPDX-License-Identifier: MIT
 *
 * For examples/threads.c: a pass that goes on until it is cancelled, in place of vt_classify_image.
 * The first vt_session_cancel comes before the pass has begun, and so does nothing.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <vitrine.h>

enum { MAX_SESSIONS = 8 };

static struct {
    _Atomic(vt_session *) session;
    atomic_int cancelled;
} sessions[MAX_SESSIONS];

/* The linker's names for what is wrapped. */
vt_status __wrap_vt_classify_image(vt_session *session, const vt_image *image, vt_prediction *out,
                                   size_t k, vt_error *err);
void __wrap_vt_session_cancel(vt_session *session);

static atomic_int *cancelled(vt_session *session) {
    for (size_t i = 0;; i++) {
        vt_session *none = NULL;
        if (atomic_compare_exchange_strong(&sessions[i].session, &none, session) || none == session)
            return &sessions[i].cancelled;
    }
}

vt_status __wrap_vt_classify_image(vt_session *session, const vt_image *image, vt_prediction *out,
                                   size_t k, vt_error *err) {
    (void)image;
    (void)out;
    (void)k;
    for (int waited = 0; waited < 30000 && atomic_load(cancelled(session)) < 2; waited++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    *err = (vt_error){VT_ERR_CANCELLED, "cancelled"};
    if (atomic_load(cancelled(session)) < 2)
        *err = (vt_error){VT_ERR_INTERNAL, "not cancelled"};
    return err->code;
}

void __wrap_vt_session_cancel(vt_session *session) {
    atomic_fetch_add(cancelled(session), 1);
}
