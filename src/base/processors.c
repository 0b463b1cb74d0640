/* SPDX-License-Identifier: MIT */
#include "base/processors.h"

#include <unistd.h>

#if defined(__linux__)

vt_processors vt_processors_allowed(void) {
    vt_processors allowed = {0};
    /* The set has 1024; on larger machines this fails. */
    int failed = sched_getaffinity(0, sizeof allowed.set, &allowed.set);
    allowed.count = failed ? 0 : (size_t)CPU_COUNT(&allowed.set);
    return allowed;
}

int vt_processor_here(void) {
    return sched_getcpu();
}

static cpu_set_t without(cpu_set_t set, int processor) {
    if (processor >= 0 && processor < CPU_SETSIZE)
        CPU_CLR((size_t)processor, &set);
    return set;
}

void vt_thread_keep_off(pthread_t thread, const vt_processors *allowed, int *kept_off, int off) {
    cpu_set_t expected = without(allowed->set, *kept_off), wanted = without(allowed->set, off);
    cpu_set_t found = {0};
    if (pthread_getaffinity_np(thread, sizeof found, &found) == 0 && CPU_EQUAL(&found, &expected) &&
        pthread_setaffinity_np(thread, sizeof wanted, &wanted) == 0)
        *kept_off = off;
}

#else

vt_processors vt_processors_allowed(void) {
    return (vt_processors){0};
}

int vt_processor_here(void) {
    return -1;
}

void vt_thread_keep_off(pthread_t thread, const vt_processors *allowed, int *kept_off, int off) {
    (void)thread, (void)allowed, (void)kept_off, (void)off;
}

#endif

size_t vt_num_processors(void) {
    size_t allowed = vt_processors_allowed().count;
    if (allowed)
        return allowed;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}
