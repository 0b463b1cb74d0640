/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <errno.h>
#include <unistd.h>

volatile sig_atomic_t interrupted;
static volatile sig_atomic_t wakes = -1;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
    int number = errno;
    if (wakes >= 0 && write(wakes, "", 1) < 0) /* the pipe is full of such bytes: as good */
        errno = number;
}

static void catch_with(int flags) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND | flags};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void catch_interrupts(void) {
    catch_with(0);
}

void catch_interrupts_and_wake(int file) {
    wakes = file;
    catch_with(SA_RESTART);
}
