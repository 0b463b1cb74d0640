/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vitrine.h"

bool vt_mul_size(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool vt_add_size(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

bool vt_product(const size_t *sizes, size_t count, size_t *out) {
    size_t product = 1;
    for (size_t i = 0; i < count; i++)
        if (!vt_mul_size(product, sizes[i], &product))
            return false;
    *out = product;
    return true;
}

/* Rounds up to a multiple of VT_ALIGNMENT, as aligned_alloc asks for. */
static bool align_size(size_t bytes, size_t *out) {
    if (!vt_add_size(bytes, VT_ALIGNMENT - 1, &bytes))
        return false;
    *out = bytes / VT_ALIGNMENT * VT_ALIGNMENT;
    return true;
}

static void *system_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    return aligned_alloc(alignment, bytes);
}

static void system_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* Set before anything else happens, and only read from then on. */
static vt_allocator allocator = {system_allocate, system_release, NULL};

void vt_set_allocator(const vt_allocator *replacement) {
    static const vt_allocator system = {system_allocate, system_release, NULL};
    allocator = replacement ? *replacement : system;
}

void *vt_malloc(size_t count, size_t size) {
    size_t bytes;
    if (!vt_mul_size(count, size, &bytes) || !align_size(bytes ? bytes : 1, &bytes))
        return NULL;
    return allocator.allocate(allocator.user, bytes, VT_ALIGNMENT);
}

void *vt_calloc(size_t count, size_t size) {
    void *memory = vt_malloc(count, size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void *vt_realloc(void *memory, size_t old_count, size_t new_count, size_t size) {
    void *grown = vt_malloc(new_count, size);
    if (!grown)
        return NULL;
    size_t kept = old_count < new_count ? old_count : new_count;
    if (memory && kept)
        memcpy(grown, memory, kept * size);
    vt_free(memory);
    return grown;
}

void vt_free(void *memory) {
    if (memory)
        allocator.release(allocator.user, memory);
}

void vt_prefer_huge_pages(void *memory, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = 2 << 20;
    uintptr_t begin = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + bytes) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

char *vt_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = vt_malloc(bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void *vt_arena_take(vt_arena *arena, size_t count, size_t size) {
    size_t bytes, end;
    if (!vt_mul_size(count, size, &bytes) || !align_size(bytes, &bytes) ||
        !vt_add_size(arena->used, bytes, &end)) {
        arena->overflow = true;
        return NULL;
    }
    void *block = arena->base ? arena->base + arena->used : NULL;
    arena->used = end;
    return block;
}
