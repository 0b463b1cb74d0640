/* SPDX-License-Identifier: MIT */
#include "mapped.h"

#include <signal.h>
#include <unistd.h>

#include "diagnose.h"
#include "interrupt.h"
#include "outfile.h"

/* What was read of the file can't be gone on with, and nothing but this may be done from here. */
static void on_bus_error(int number, siginfo_t *info, void *context) {
    static const char line[] =
        "vitrine: a file was cut short while it was in use (replace files by renaming others)\n";
    (void)context;
    if (info->si_code != BUS_ADRERR) {
        end_by_signal(number);
        return;
    }
    outfile_abandon();
    ssize_t told = write(STDERR_FILENO, line, sizeof line - 1);
    (void)told;
    _exit(EXIT_MODEL);
}

void watch_mapped_files(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
}
