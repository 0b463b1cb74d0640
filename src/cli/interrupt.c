/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <errno.h>
#include <unistd.h>

#include "outfile.h"

volatile sig_atomic_t interrupted;
static volatile sig_atomic_t wakes = -1;

void end_by_signal(int number) {
    outfile_abandon();
    signal(number, SIG_DFL);
    raise(number);
}

static void on_interrupt(int number) {
    if (interrupted) {
        end_by_signal(number);
        return;
    }
    interrupted = number;
    int reason = errno;
    if (wakes >= 0 && write(wakes, "", 1) < 0) /* the pipe is full of such bytes: as good */
        errno = reason;
}

static void catch_with(int flags) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = flags};
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
