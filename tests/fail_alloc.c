/* SPDX-License-Identifier: MIT
 *
 * To be preloaded into the command: makes its memory run out.
 *
 *     LD_PRELOAD=fail_alloc.so VT_FAIL_ALLOCATION=17 VT_COUNT_TO=count vitrine …
 *
 * The 17th allocation from main on, and that one alone, gives NULL: the command's own, the
 * library's, those of the libraries it links, and of the C library on their behalf. VT_COUNT_TO
 * gets how many there were when the process ends by itself. VT_CUT_MAPPED is another fault: see
 * mmap.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Preloaded, these take the place of the C library's functions. With a sanitizer, whose functions
 * those must be, the command is linked again with -Wl,--wrap=malloc and so on
 * (tests/CMakeLists.txt): then only what the command and the static library ask for is counted and
 * failed. */
#ifdef VT_WRAPPED
#define REPLACED(name) __wrap_##name
#define SYSTEM(name) __real_##name
#else
#define REPLACED(name) name
#define SYSTEM(name) __libc_##name
#endif

void *SYSTEM(malloc)(size_t size);
void *SYSTEM(calloc)(size_t count, size_t size);
void *SYSTEM(realloc)(void *memory, size_t size);
void *REPLACED(malloc)(size_t size);
void *REPLACED(calloc)(size_t count, size_t size);
void *REPLACED(realloc)(void *memory, size_t size);
void *REPLACED(aligned_alloc)(size_t alignment, size_t size);

static atomic_size_t seen, failing;
static atomic_bool counting;

static bool granted(void) {
    if (!atomic_load(&counting))
        return true;
    size_t number = atomic_fetch_add(&seen, 1) + 1;
    if (number != atomic_load(&failing))
        return true;
    errno = ENOMEM;
    return false;
}

void *REPLACED(malloc)(size_t size) {
    return granted() ? SYSTEM(malloc)(size) : NULL;
}

void *REPLACED(calloc)(size_t count, size_t size) {
    return granted() ? SYSTEM(calloc)(count, size) : NULL;
}

void *REPLACED(realloc)(void *memory, size_t size) {
    return granted() ? SYSTEM(realloc)(memory, size) : NULL;
}

#ifdef VT_WRAPPED
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return granted() ? __real_aligned_alloc(alignment, size) : NULL;
}

char *__wrap_strdup(const char *text) {
    return granted() ? __real_strdup(text) : NULL;
}
#else
void *__libc_memalign(size_t alignment, size_t size);

void stop_failing_allocations(void);

void *aligned_alloc(size_t alignment, size_t size) {
    return granted() ? __libc_memalign(alignment, size) : NULL;
}

void *memalign(size_t alignment, size_t size) {
    return aligned_alloc(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = aligned_alloc(alignment, size);
    return *out ? 0 : ENOMEM;
}

/* What libraries do as they are loaded is not counted: OpenBLAS and the Fortran runtime end the
 * process themselves, in words of their own, when they find no memory then. */
void *dlopen(const char *name, int flags) {
    void *(*load)(const char *, int) = NULL;
    *(void **)&load = dlsym(RTLD_NEXT, "dlopen");
    bool before = atomic_exchange(&counting, false);
    void *library = load(name, flags);
    atomic_store(&counting, before);
    return library;
}

/* For what runs after the command, in its process: tests/keep_counts.c. */
void stop_failing_allocations(void) {
    atomic_store(&counting, false);
}

/* With VT_CUT_MAPPED, a weights file is cut to its first page as soon as it is mapped. */
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
    void *mapped = (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
    char name[64], path[4096];
    if (file < 0 || mapped == MAP_FAILED || !getenv("VT_CUT_MAPPED"))
        return mapped;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    if (strstr(path, ".safetensors") && truncate(path, 4096) != 0)
        abort();
    return mapped;
}
#endif

/* Children (gnuplot, a measured pass) have all the memory they want. */
__attribute__((constructor)) static void begin(void) {
    const char *number = getenv("VT_FAIL_ALLOCATION");
    atomic_store(&failing, number ? strtoul(number, NULL, 10) : 0);
    unsetenv("LD_PRELOAD");
    atomic_store(&counting, true);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("VT_COUNT_TO");
    char text[24];
    atomic_store(&counting, false);
    int file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    int length = snprintf(text, sizeof text, "%zu\n", atomic_load(&seen));
    if (file >= 0) {
        if (write(file, text, (size_t)length) != length)
            abort();
        close(file);
    }
}
