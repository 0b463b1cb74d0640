/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C in the midst of long work: the command ends when it next looks, with what is done kept.
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>

/* Set by SIGINT or SIGTERM once they are caught. */
extern volatile sig_atomic_t interrupted;

/* A second signal ends the process at once. System calls that wait are not restarted. */
void catch_interrupts(void);

/* The same, for who waits with poll: a byte is written to the descriptor. Calls that wait are
 * restarted, so that no output is lost. */
void catch_interrupts_and_wake(int file);

#endif
