/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C in the midst of long work: the command ends when it next looks, with what is done kept.
 * How it ends otherwise is in lines.h.
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>

/* The number of the signal, SIGINT or SIGTERM, once they are caught and one came. */
extern volatile sig_atomic_t interrupted;

/* A second signal ends the process at once. System calls that wait are not restarted. */
void catch_interrupts(void);

/* The same, for who waits with poll: a byte is written to the descriptor. Calls that wait are
 * restarted, so that no output is lost. */
void catch_interrupts_and_wake(int file);

/* Ends the process as the signal does that is not caught, so that a shell's loop ends too; no
 * temporary file is left. Where the signal is blocked, as in its own handler, it ends once it is
 * not. */
void end_by_signal(int number);

#endif
