/* SPDX-License-Identifier: MIT */
#include "allocations.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Workers and several sessions may allocate at once. */
static atomic_size_t seen, largest, total, live, failing;

/* The linker's names for what is wrapped. */
void *__real_vt_malloc(size_t count, size_t size);
void *__real_vt_calloc(size_t count, size_t size);
void *__real_vt_realloc(void *memory, size_t old_count, size_t new_count, size_t size);
char *__real_vt_strdup(const char *text);
void __real_vt_free(void *memory);
void *__wrap_vt_malloc(size_t count, size_t size);
void *__wrap_vt_calloc(size_t count, size_t size);
void *__wrap_vt_realloc(void *memory, size_t old_count, size_t new_count, size_t size);
char *__wrap_vt_strdup(const char *text);
void __wrap_vt_free(void *memory);

void allocations_watch(size_t fail_at) {
    atomic_store(&seen, 0);
    atomic_store(&largest, 0);
    atomic_store(&total, 0);
    atomic_store(&failing, fail_at);
}

size_t allocations_seen(void) {
    return atomic_load(&seen);
}

size_t allocations_largest(void) {
    return atomic_load(&largest);
}

size_t allocations_total(void) {
    return atomic_load(&total);
}

size_t allocations_live(void) {
    return atomic_load(&live);
}

/* Whether this one is to be had. */
static bool note(size_t bytes) {
    size_t number = atomic_fetch_add(&seen, 1) + 1, before = atomic_load(&largest);
    while (bytes > before && !atomic_compare_exchange_weak(&largest, &before, bytes))
        continue;
    atomic_fetch_add(&total, bytes);
    return number != atomic_load(&failing);
}

static void *count_live(void *memory) {
    if (memory)
        atomic_fetch_add(&live, 1);
    return memory;
}

static void count_dead(const void *memory) {
    if (memory)
        atomic_fetch_sub(&live, 1);
}

void *__wrap_vt_malloc(size_t count, size_t size) {
    return note(count * size) ? count_live(__real_vt_malloc(count, size)) : NULL;
}

void *__wrap_vt_calloc(size_t count, size_t size) {
    return note(count * size) ? count_live(__real_vt_calloc(count, size)) : NULL;
}

/* Frees the old block only when it gives a new one. */
void *__wrap_vt_realloc(void *memory, size_t old_count, size_t new_count, size_t size) {
    void *grown =
        note(new_count * size) ? __real_vt_realloc(memory, old_count, new_count, size) : NULL;
    if (grown && !memory)
        atomic_fetch_add(&live, 1);
    return grown;
}

char *__wrap_vt_strdup(const char *text) {
    return note(1) ? count_live(__real_vt_strdup(text)) : NULL;
}

void __wrap_vt_free(void *memory) {
    count_dead(memory);
    __real_vt_free(memory);
}

static void *json_malloc(size_t size) {
    return count_live(malloc(size));
}

static void json_free(void *memory) {
    count_dead(memory);
    free(memory);
}

void allocations_watch_json(void) {
    json_set_alloc_funcs(json_malloc, json_free);
}
