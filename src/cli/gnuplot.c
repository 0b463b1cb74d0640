/* SPDX-License-Identifier: MIT */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text.h"

extern char **environ;

static const char *program(void) {
    const char *named = getenv("VITRINE_GNUPLOT");
    return named && *named ? named : "gnuplot";
}

/* It reads `in`, draws to `out`, and says nothing. In a process group of its own Ctrl-C does not
 * reach it: what was measured before is still drawn. */
static bool spawn(pid_t *process, int in, int out) {
    /* As a file it is read through a buffer; for "-" a byte at a time. */
    char *const arguments[] = {"gnuplot", "/dev/stdin", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&files);
    bool failed = posix_spawn_file_actions_adddup2(&files, in, 0) ||
                  posix_spawn_file_actions_adddup2(&files, out, 1) ||
                  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) ||
                  posix_spawnp(process, program(), &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return !failed;
}

static bool start(gnuplot *g) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    bool started = spawn(&g->process, ends[0], fileno(g->picture.stream));
    close(ends[0]);
    if (started)
        g->script = fdopen(ends[1], "w");
    if (!g->script)
        close(ends[1]);
    if (started && !g->script)
        waitpid(g->process, NULL, 0);
    return g->script != NULL;
}

gnuplot_result gnuplot_start(gnuplot *g, const char *path) {
    *g = (gnuplot){0};
    if (!outfile_open(&g->picture, path))
        return GNUPLOT_FAILED;
    if (start(g))
        return GNUPLOT_DONE;
    outfile_close(&g->picture, false);
    return GNUPLOT_MISSING;
}

/* The end of a PNG, or of an SVG: what draws the former does not notice that a disk is full. */
static bool has_end(const outfile *picture) {
    char last[16];
    if (!picture->temporary)
        return true; /* a pipe or a device: it can't be read again */
    int file = open(picture->temporary, O_RDONLY | O_CLOEXEC);
    off_t size = file < 0 ? 0 : lseek(file, 0, SEEK_END);
    ssize_t got =
        size < (off_t)sizeof last ? 0 : pread(file, last, sizeof last, size - (off_t)sizeof last);
    if (file >= 0)
        close(file);
    return got == sizeof last &&
           (memmem(last, sizeof last, "IEND", 4) || memmem(last, sizeof last, "</svg>", 6));
}

gnuplot_result gnuplot_finish(gnuplot *g) {
    int status = 1;
    bool sent = fclose(g->script) == 0;
    while (waitpid(g->process, &status, 0) < 0 && errno == EINTR)
        ;
    bool drawn = sent && WIFEXITED(status) && WEXITSTATUS(status) == 0 && has_end(&g->picture);
    if (!drawn)
        complain(g->picture.path, "gnuplot could not draw it");
    return outfile_close(&g->picture, drawn) ? GNUPLOT_DONE : GNUPLOT_FAILED;
}

bool gnuplot_draw(gnuplot *g, const char *path) {
    gnuplot_result result = gnuplot_start(g, path);
    if (result == GNUPLOT_MISSING)
        complain(path, "gnuplot, which draws it, is not installed (Debian: gnuplot-nox)");
    return result == GNUPLOT_DONE;
}

int gnuplot_draw_end(gnuplot *g) {
    return gnuplot_finish(g) == GNUPLOT_DONE ? EXIT_DONE : EXIT_SOME_FAILED;
}

/* Between double quotes `commands` would be run. */
void gnuplot_text(FILE *script, const char *text) {
    char *clean = text_clean(text, TEXT_ONE_LINE);
    putc('\'', script);
    for (const char *at = clean; *at; at++) {
        if (*at == '\'')
            putc('\'', script);
        putc(*at, script);
    }
    putc('\'', script);
    free(clean);
}
