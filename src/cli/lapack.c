/* SPDX-License-Identifier: MIT */
#include "lapack.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "dynamic.h"

static const char openblas[] = "libopenblas.so.0";

/* Only OpenBLAS has threads of its own. */
static void use_one_thread(void) {
    void *library = dlopen(openblas, RTLD_NOW | RTLD_NOLOAD);
    void *address = library ? dlsym(library, "openblas_set_num_threads") : NULL;
    void (*set_threads)(int);
    memcpy(&set_threads, &address, sizeof address);
    if (set_threads)
        set_threads(1);
}

int lapack_load(lapack *out, const char *command) {
    const dynamic_symbol symbols[] = {
        {"dgemm_", &out->dgemm},
        {"dsyrk_", &out->dsyrk},
        {"dsyevd_", &out->dsyevd},
    };
    int code = dynamic_load("libopenblas.so.0 liblapack.so.3", "libopenblas0", command, symbols,
                            sizeof symbols / sizeof *symbols);
    if (code == EXIT_DONE)
        use_one_thread();
    return code;
}

bool lapack_eigenvectors(const lapack *la, double *matrix, double *values, size_t n) {
    int size = (int)n, info = 0, ask = -1, int_best = 0;
    double best = 0;
    la->dsyevd("V", "U", &size, matrix, &size, values, &best, &ask, &int_best, &ask, &info, 1, 1);
    if (info != 0 || best >= INT_MAX)
        return false;
    int work_size = (int)best;
    double *room = allocate((size_t)work_size, sizeof *room);
    int *int_room = allocate((size_t)int_best, sizeof *int_room);
    la->dsyevd("V", "U", &size, matrix, &size, values, room, &work_size, int_room, &int_best, &info,
               1, 1);
    free(int_room);
    free(room);
    return info == 0;
}
