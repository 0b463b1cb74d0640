/* SPDX-License-Identifier: MIT
 *
 * The one gate for memory, sizes that cannot overflow, and the arena that a session is carved from.
 */
#ifndef VT_BASE_MEMORY_H
#define VT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* One cache line, and one AVX-512 vector. */
enum { VT_ALIGNMENT = 64 };

/* *out = a * b (or a + b); false when the result does not fit, *out is then untouched. */
bool vt_mul_size(size_t a, size_t b, size_t *out);
bool vt_add_size(size_t a, size_t b, size_t *out);

/* The product of `count` sizes; false when it does not fit. */
bool vt_product(const size_t *sizes, size_t count, size_t *out);

/* Every allocation of the library goes through these three, so that a test can wrap them and fail
 * the Nth. Memory is aligned to VT_ALIGNMENT and not initialised; vt_calloc's is zero. NULL when
 * out of memory or when count * size does not fit. vt_free(NULL) does nothing. */
void *vt_malloc(size_t count, size_t size);
void *vt_calloc(size_t count, size_t size);
void vt_free(void *memory);

/* vt_malloc(new_count, size), the first min(old, new) elements copied, the old block freed. On
 * failure returns NULL and the old block stays. */
void *vt_realloc(void *memory, size_t old_count, size_t new_count, size_t size);

/* Asks for pages of 2 MiB, before the memory is first touched: a forward pass walks through all
 * weights, which are too many for the TLB in pages of 4 KiB. A hint, so that its failure does not
 * matter. */
void vt_prefer_huge_pages(void *memory, size_t bytes);

/* A copy of the string; NULL when out of memory. */
char *vt_strdup(const char *text);

/* An arena is carved twice by the same code: once with base == NULL, which only adds the sizes up,
 * and once with a block of that size. `overflow` is set when the sizes do not fit in a size_t. */
typedef struct vt_arena {
    unsigned char *base; /* NULL while measuring */
    size_t used;         /* bytes, a multiple of VT_ALIGNMENT */
    bool overflow;
} vt_arena;

/* The next `count` elements of `size` bytes, aligned to VT_ALIGNMENT; NULL while measuring. */
void *vt_arena_take(vt_arena *arena, size_t count, size_t size);

#endif
