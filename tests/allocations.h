/* SPDX-License-Identifier: MIT
 *
 * Watches the library's memory, and makes it run out on request. For programs that are linked with
 * -Wl,--wrap=vt_malloc and so on (tests/CMakeLists.txt).
 */
#ifndef VT_TESTS_ALLOCATIONS_H
#define VT_TESTS_ALLOCATIONS_H

#include <stddef.h>

/* Counts from zero again. The `fail_at`th allocation from now on, and that one alone, gives NULL;
 * 0: none. */
void allocations_watch(size_t fail_at);

/* Since then: how many were asked for, the largest of them and all together in bytes. */
size_t allocations_seen(void);
size_t allocations_largest(void);
size_t allocations_total(void);

/* Blocks that are not freed yet, since the program began. */
size_t allocations_live(void);

/* Jansson's blocks count as live too. Before anything else. They are not failed: Jansson 2.14 does
 * not look whether its lexer's buffer grew (lex_save in load.c), and aborts or reads past it. */
void allocations_watch_json(void);

#endif
