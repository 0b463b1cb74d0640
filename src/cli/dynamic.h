/* SPDX-License-Identifier: MIT
 *
 * Libraries that only one command needs, loaded when that command runs: linked, libcurl alone would
 * cost every other command its start.
 */
#ifndef CLI_DYNAMIC_H
#define CLI_DYNAMIC_H

#include <stddef.h>

/* A function to look up, and the pointer to write its address to. */
typedef struct dynamic_symbol {
    const char *name;
    void *pointer; /* to a pointer to a function */
} dynamic_symbol;

/* Loads `soname` ("libcurl.so.4"), or the first of several with spaces between, and looks all
 * symbols up. Returns an exit code: EXIT_SOME_FAILED, having complained in the name of `command`
 * and told which Debian `package` has it. The library stays loaded. */
int dynamic_load(const char *soname, const char *package, const char *command,
                 const dynamic_symbol *symbols, size_t count);

#endif
