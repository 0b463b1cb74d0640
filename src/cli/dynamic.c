/* SPDX-License-Identifier: MIT */
#include "dynamic.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"

/* The first of the libraries that there is. */
static void *open_first(const char *sonames) {
    char *names = duplicate(sonames), *rest = NULL;
    void *library = NULL;
    for (char *name = strtok_r(names, " ", &rest); name && !library;
         name = strtok_r(NULL, " ", &rest))
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    free(names);
    return library;
}

int dynamic_load(const char *soname, const char *package, const char *command,
                 const dynamic_symbol *symbols, size_t count) {
    char message[512];
    void *library = open_first(soname);
    if (!library) {
        snprintf(message, sizeof message, "needs %s, which is not installed: apt install %s",
                 soname, package);
        complain(command, message);
        return EXIT_SOME_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address) {
            snprintf(message, sizeof message, "%s has no %s: an old version?", soname,
                     symbols[i].name);
            complain(command, message);
            return EXIT_SOME_FAILED;
        }
        /* A pointer to a function is none to an object in C; POSIX has them alike. */
        memcpy(symbols[i].pointer, &address, sizeof address);
    }
    return EXIT_DONE;
}
