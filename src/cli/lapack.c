/* SPDX-License-Identifier: MIT */
#include "lapack.h"

#include <dlfcn.h>
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
