/* SPDX-License-Identifier: MIT
 *
 * Runs the command in a folder of its own, and keeps what it prints.
 *
 *     command_run(&ran, NULL, "classify", "-k1", "cat.png", NULL);
 *     assert_ran(&ran, 0, "cat.png  451x300\n   83.2%  cat face\n", "");
 */
#ifndef TESTS_COMMAND_H
#define TESTS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct command_result {
    int code;        /* 128 and more: ended by that signal, as a shell has it */
    char *out, *err; /* freed by the next run with this result, or command_free */
} command_result;

/* What is run: the command of this build, unless a test has another. */
extern const char *command_path;

/* cmocka group set-up and tear-down: makes an empty folder, goes there, and removes it. In it lie
 * links: `model` (the golden timm_vit_token, ten classes without names), `bundled` (the bundled
 * model), cat.png (451x300), rocket.jpg (640x427) and rainbow.png (224x224). */
int command_workspace(void **state);
int command_cleanup(void **state);

/* Runs `vitrine ARGUMENTS…` (the last one NULL); `input` (may be NULL) is its standard input. */
void command_run(command_result *ran, const char *input, ...);

/* The same, of a list that begins with "vitrine" and ends with NULL. */
void command_run_list(command_result *ran, const char *const *argv);

/* The same, with standard output going to the file `path`. */
void command_run_to(command_result *ran, const char *path, ...);

/* The same; the signal is sent when `ready` says so. */
void command_interrupt(command_result *ran, int number, bool (*ready)(void), ...);

/* Starts the command and lets it run; then waits for its end. Its output goes to those files. */
pid_t command_start(const char *out, const char *err, ...);
pid_t command_start_list(const char *const *argv, const char *out, const char *err);
void command_wait(command_result *ran, pid_t child, const char *out, const char *err);

/* Runs the command with a terminal of that type as its standard error, which must succeed, and
 * returns what it drew there: freed by the caller. `argv` begins with "vitrine" and ends with NULL.
 */
char *command_draw(char **argv, const char *type);

/* The same, with a terminal of so many columns as its standard output; its lines end with "\r\n".
 */
char *command_show(char **argv, unsigned short columns);

/* Runs another program so, from its path; standard input is empty. */
void command_run_program(command_result *ran, const char *program, ...);

/* A command that is spoken to while it runs. */
typedef struct command_process {
    int id;
    int in, out;        /* the test's ends of its standard input and output */
    char read[1 << 12]; /* what was read and is no whole line yet */
    size_t num_read;
    long peak_kib; /* its largest resident set, once it was closed */
} command_process;

/* Both are pipes, unless `onto` is a file, which its output is then appended to. */
void command_open(command_process *p, const char *onto, ...);
void command_send(const command_process *p, const char *text);
void command_send_bytes(const command_process *p, const void *bytes, size_t size);

/* The next line that it prints, without the line break; NULL at the end. The caller frees it. Fails
 * the test when there is none within a minute. */
char *command_receive(command_process *p);

/* Closes its standard input and waits for it, a minute at most. `ran` gets what it then has said,
 * and its code; returns the signal that ended it, or 0. */
int command_close(command_result *ran, command_process *p);

void command_free(command_result *ran);

/* Fails the test, showing what differs, unless all three are exactly so. NULL: not compared. */
void assert_ran(const command_result *ran, int code, const char *out, const char *err);

/* Ends with a NUL; the caller frees it. */
char *read_text_file(const char *path);

void write_file(const char *path, const void *bytes, size_t size);

#endif
