/* SPDX-License-Identifier: MIT
 *
 * What the command says on standard error, and how it ends.
 */
#ifndef CLI_DIAGNOSE_H
#define CLI_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define CLI_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define CLI_PRINTF(format_index, first_arg)
#endif

enum exit_code {
    EXIT_DONE = 0,
    EXIT_SOME_FAILED = 1, /* an input or an output; the other inputs were still processed */
    EXIT_USAGE = 2,
    EXIT_MODEL = 3, /* the model can't be used */
    EXIT_INTERRUPTED =
        128 /* of a command, not of the process: it ends by the signal (interrupt.h) */
};

/* Of two parts of a command the code that tells more of what went wrong. */
int exit_worse(int a, int b);

/* "vitrine: SUBJECT: MESSAGE". The library names the file in most of its messages already: SUBJECT
 * is not repeated when MESSAGE begins with it or with a path below it. */
void complain(const char *subject, const char *message);

/* Whether MESSAGE begins with PATH, as the library writes it: line breaks are question marks there.
 */
bool message_names(const char *message, const char *path);

/* MESSAGE without a leading "SUBJECT: ". */
const char *reason_of(const char *subject, const char *message);

/* "vitrine: …" and a second line that points at the command's help (NULL: the overview). Returns
 * EXIT_USAGE. */
int complain_usage(const char *command, const char *format, ...) CLI_PRINTF(2, 3);

/* "vitrine: note: …" */
void note(const char *format, ...) CLI_PRINTF(1, 2);

/* Flushes standard output. A reader that went away (`vitrine … | head`) is no news to anybody, so
 * EPIPE only changes the exit code; any other failure is reported, once. Returns false when
 * something that was printed did not arrive. */
bool output_flush(void);

/* Ends the program, and says why. */
void out_of_memory(void);

/* malloc and realloc for the command's own small needs: out of memory ends the program. */
void *allocate(size_t count, size_t size);
void *reallocate(void *memory, size_t count, size_t size);
char *duplicate(const char *text);

#endif
