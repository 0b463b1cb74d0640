/* SPDX-License-Identifier: MIT */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diagnose.h"

extern char **environ;

static const char *program(void) {
    const char *named = getenv("VITRINE_GNUPLOT");
    return named && *named ? named : "gnuplot";
}

/* It reads `in`, and says nothing. In a process group of its own Ctrl-C does not reach it: what was
 * measured before is still drawn. */
static bool spawn(pid_t *process, int in) {
    char *const arguments[] = {"gnuplot", "-", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(process, program(), &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return !failed;
}

gnuplot gnuplot_start(void) {
    gnuplot g = {0};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return g;
    bool started = spawn(&g.process, ends[0]);
    close(ends[0]);
    if (started)
        g.script = fdopen(ends[1], "w");
    else
        close(ends[1]);
    return g;
}

bool gnuplot_finish(gnuplot *g) {
    int status = 1;
    bool sent = fclose(g->script) == 0;
    while (waitpid(g->process, &status, 0) < 0 && errno == EINTR)
        ;
    return sent && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

gnuplot gnuplot_draw(const char *path) {
    gnuplot g = gnuplot_start();
    if (!g.script)
        complain(path, "gnuplot, which draws it, is not installed (Debian: gnuplot-nox)");
    return g;
}

int gnuplot_draw_end(gnuplot *g, const char *path) {
    if (gnuplot_finish(g))
        return EXIT_DONE;
    complain(path, "gnuplot could not draw it");
    return EXIT_SOME_FAILED;
}

/* Single quotes: between double ones gnuplot runs what stands in `backquotes`, and names come from
 * anywhere. */
void gnuplot_text(FILE *script, const char *text) {
    putc('\'', script);
    for (; *text; text++)
        if ((unsigned char)*text >= ' ') {
            if (*text == '\'')
                putc('\'', script);
            putc(*text, script);
        }
    putc('\'', script);
}
