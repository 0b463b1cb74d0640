/* SPDX-License-Identifier: MIT
 *
 * Part of the command and of the tests in a build that counts which lines run (VT_COVERAGE), and of
 * no other. The counts are written when a program returns from main: one that ends itself by a
 * signal or by _exit never comes there, and what it ran would count for nothing.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

void __gcov_dump(void);

int __real_raise(int number);
int __wrap_raise(int number);
_Noreturn void __real__exit(int code);
_Noreturn void __wrap__exit(int code);

/* gcov asks for memory, and does not bear to get none: fail_alloc.c is told to let it be. This runs
 * before gcov's own destructor, whose priority is lower. */
__attribute__((destructor)) static void grant_all_memory(void) {
    void (*grant)(void) = NULL;
    *(void **)&grant = dlsym(RTLD_DEFAULT, "stop_failing_allocations");
    if (grant)
        grant();
}

/* A signal is blocked in its own handler, where the memory allocator may be locked. */
static bool in_handler_of(int number) {
    sigset_t blocked;
    return pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0 || sigismember(&blocked, number);
}

int __wrap_raise(int number) {
    if (!in_handler_of(number)) {
        grant_all_memory();
        __gcov_dump();
    }
    return __real_raise(number);
}

void __wrap__exit(int code) {
    grant_all_memory();
    __gcov_dump();
    __real__exit(code);
}
