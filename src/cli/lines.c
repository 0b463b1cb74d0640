/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "diagnose.h"
#include "interrupt.h"

/* A line that fits is one write: several commands may then append to one file. */
enum { BUFFER_SIZE = 1 << 18 };

static pthread_t printer;
static volatile sig_atomic_t printing, pending; /* the printer's own */

/* The printer alone knows whether it is amid a line. */
static void on_signal(int number) {
    int reason = errno;
    if (!pthread_equal(pthread_self(), printer)) {
        pthread_kill(printer, number);
    } else {
        if (printing && !pending)
            pending = number;
        else
            end_by_signal(number); /* as this function returns */
    }
    errno = reason;
}

void lines_prepare(void) {
    static const int endings[] = {SIGINT, SIGTERM, SIGHUP};
    static char buffer[BUFFER_SIZE];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    printer = pthread_self();
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (sigaction(endings[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(endings[i], &action, NULL);
    if (!isatty(STDOUT_FILENO))
        setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

void lines_begin(void) {
    printing = 1;
}

bool lines_end(void) {
    bool arrived = output_flush();
    printing = 0;
    if (pending)
        end_by_signal(pending);
    return arrived;
}
