/* SPDX-License-Identifier: MIT
 *
 *     soak MINUTES SEED COMMAND FOLDER
 *
 * Runs the command over and over: commands, models, pictures and streams (sound and broken),
 * batches, threads and outputs at random, three at a time, and half of them to be ended at a
 * random moment by SIGINT, SIGTERM, SIGKILL or a closed pipe. Each must end as it should: no other
 * signal than it was sent, lines whole, messages its own, files whole or not there, none of them
 * temporary but by SIGKILL, and whatever was ended before must not be in the way. What is not so is
 * kept in FOLDER. soak_plans.c has what is run, soak_check.c what is looked at. scripts/soak runs
 * it.
 */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "damage.h"

enum { LANES = 3, SECONDS = 300 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- figures ------------------------------------------------------------------------------- */

typedef struct lane {
    char folder[256]; /* relative to the soak's */
    plan plan;
    pid_t process;
    double started, due; /* when it is ended; 0: never */
    int number;          /* the signal, 0: its pipe is closed */
    bool sent;
    int out;  /* its standard output's other end, or -1 */
    int in;   /* its standard input's, or -1… */
    int from; /* …and the file that is written there */
} lane;

typedef struct command_figures {
    char name[32];
    size_t runs, interrupted;
} command_figures;

static struct {
    size_t runs, interrupted, by_signal[65], closed, codes[256], wrong;
    size_t list_lines, shared_lines, shared_killed; /* that must be in the shared file, at least */
    double slowest;
    char slowest_line[LONGEST];
    command_figures commands[64];
} total;

static const char *command;

static void print_plan(char *line, const plan *p) {
    line[0] = '\0';
    for (size_t i = 1; i < p->count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, LONGEST - used, "%s%s", i > 1 ? " " : "", p->argv[i]);
    }
}

static void count_command(const lane *l) {
    command_figures *c = total.commands;
    while (c->runs && strcmp(c->name, l->plan.argv[1]) != 0)
        c++;
    snprintf(c->name, sizeof c->name, "%s", l->plan.argv[1]);
    c->runs++;
    c->interrupted += l->sent;
}

static void count_run(const lane *l, int status) {
    double seconds = now() - l->started;
    bool killed = l->sent && l->number == SIGKILL;
    total.runs++;
    total.interrupted += l->sent;
    total.closed += l->sent && !l->number;
    if (WIFEXITED(status))
        total.codes[WEXITSTATUS(status)]++;
    else
        total.by_signal[WTERMSIG(status) & 63]++;
    if (l->plan.appends == shared_name) {
        total.shared_killed += killed;
        total.shared_lines += WIFEXITED(status) && WEXITSTATUS(status) < 2 ? total.list_lines : 0;
    }
    if (seconds > total.slowest) {
        total.slowest = seconds;
        print_plan(total.slowest_line, &l->plan);
    }
    count_command(l);
}

/* ---- running ------------------------------------------------------------------------------- */

/* Both ends are closed when the command starts; ours is not waited for. */
static void make_pipe(int *ours, int *theirs, bool to_command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        die("pipe");
    *ours = ends[to_command];
    *theirs = ends[!to_command];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static void set_files(lane *l, posix_spawn_file_actions_t *files, int *in, int *out) {
    const plan *p = &l->plan;
    *in = *out = -1;
    if (p->piped) {
        l->from = open(p->input, O_RDONLY | O_CLOEXEC);
        if (l->from < 0)
            die(p->input);
        make_pipe(&l->in, in, true);
        posix_spawn_file_actions_adddup2(files, *in, 0);
    } else {
        posix_spawn_file_actions_addopen(files, 0, p->input ? p->input : "/dev/null", O_RDONLY, 0);
    }
    if (p->appends) {
        posix_spawn_file_actions_addopen(files, 1, p->appends, O_WRONLY | O_CREAT | O_APPEND, 0600);
    } else {
        make_pipe(&l->out, out, false);
        posix_spawn_file_actions_adddup2(files, *out, 1);
    }
    posix_spawn_file_actions_addopen(files, 2, "stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void close_file(int *file) {
    if (*file >= 0)
        close(*file);
    *file = -1;
}

/* In the lane's folder, which is the current one. */
static void spawn(lane *l) {
    posix_spawn_file_actions_t files;
    char home[300], temporary[300], cwd[256];
    char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", home, temporary, NULL};
    int in, out;
    if (!getcwd(cwd, sizeof cwd))
        die("getcwd");
    snprintf(home, sizeof home, "HOME=%s", cwd);
    snprintf(temporary, sizeof temporary, "TMPDIR=%s/tmp", cwd);
    posix_spawn_file_actions_init(&files);
    set_files(l, &files, &in, &out);
    errno = posix_spawn(&l->process, command, &files, NULL, l->plan.argv, environment);
    if (errno)
        die(command);
    posix_spawn_file_actions_destroy(&files);
    close_file(&in);
    close_file(&out);
}

static void begin(lane *l) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGKILL, 0};
    if (chdir(l->folder) != 0)
        die(l->folder);
    plan_draw(&l->plan);
    l->started = now();
    l->due = lot(2) ? 0 : l->started + 1e-3 * (double)(1u << lot(10)); /* 1 ms to 0.5 s */
    l->number = numbers[lot(l->plan.appends ? 3 : 4)];
    l->sent = false;
    remove("stdout");
    spawn(l);
    if (chdir("..") != 0)
        die("..");
}

static void drain(lane *l) {
    char bytes[1 << 16], path[300];
    ssize_t got;
    if (l->out < 0)
        return;
    snprintf(path, sizeof path, "%s/stdout", l->folder);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    while ((got = read(l->out, bytes, sizeof bytes)) > 0)
        if (write(file, bytes, (size_t)got) != got)
            die(path);
    close(file);
}

/* A piece of its input, of any size, if there is room for it. */
static void feed(lane *l) {
    char bytes[1 << 13];
    if (l->in < 0)
        return;
    ssize_t got = read(l->from, bytes, 1 + lot(sizeof bytes));
    ssize_t written = got > 0 ? write(l->in, bytes, (size_t)got) : 0;
    if (got > 0 && written < 0 && errno == EAGAIN)
        written = 0;
    else if (got <= 0 || written < 0)
        close_file(&l->in);
    if (l->in < 0)
        close_file(&l->from);
    else if (lseek(l->from, written - got, SEEK_CUR) < 0)
        die("lseek");
}

/* Runs a line of the shell, with two words in $1 and $2. */
static void shell(const char *line, const char *first, const char *second) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-ec", line, command, first, second, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die(line);
}

static void keep(const lane *l, const char *wrong) {
    char to[64], line[LONGEST];
    snprintf(to, sizeof to, "wrong-%zu", total.runs);
    print_plan(line, &l->plan);
    printf("run %zu, %s: %s", total.runs, wrong, line);
    if (l->sent)
        printf(" (ended by us, %d, after %.3f s)", l->number, l->due - l->started);
    printf("; kept in %s\n", to);
    fflush(stdout);
    shell("rm -rf \"$2\"; cp -r \"$1\" \"$2\"", l->folder, to);
}

static void finish(lane *l, int status) {
    const ending end = {status, l->sent, l->number};
    drain(l);
    close_file(&l->out);
    close_file(&l->in);
    close_file(&l->from);
    count_run(l, status);
    const char *wrong =
        now() - l->started > SECONDS ? "it took too long" : soak_check(&l->plan, &end, l->folder);
    if (wrong) {
        total.wrong++;
        keep(l, wrong);
    }
    l->process = 0;
}

static void interrupt(lane *l) {
    l->sent = true;
    if (l->number)
        kill(l->process, l->number);
    else
        close_file(&l->out);
}

static void step(lane *l, bool more) {
    int status;
    if (!l->process && more)
        begin(l);
    if (!l->process)
        return;
    drain(l);
    feed(l);
    if (l->due && !l->sent && now() >= l->due)
        interrupt(l);
    if (now() - l->started > SECONDS)
        kill(l->process, SIGKILL);
    if (waitpid(l->process, &status, WNOHANG) == l->process)
        finish(l, status);
}

/* ---- all ----------------------------------------------------------------------------------- */

static void prepare(lane *l, size_t index) {
    snprintf(l->folder, sizeof l->folder, "lane-%zu", index);
    shell("rm -rf \"$1\"; mkdir \"$1\"", l->folder, "");
    if (chdir(l->folder) != 0)
        die(l->folder);
    plans_prepare(command);
    size_t lines = 0;
    FILE *list = fopen(list_name, "r");
    for (int c; list && (c = fgetc(list)) != EOF;)
        lines += c == '\n';
    if (!list || fclose(list) != 0 || chdir("..") != 0)
        die(list_name);
    total.list_lines = lines;
    l->out = l->in = l->from = -1;
}

/* Each whole run has all its lines in the file that all runs append to, and none is cut but by
 * SIGKILL. */
static void check_shared(void) {
    size_t whole, broken;
    count_lines("shared.jsonl", &whole, &broken);
    printf("%zu lines appended to one file by all, %zu of them by runs that were not interrupted; "
           "%zu broken, %zu runs killed amid theirs\n",
           whole, total.shared_lines, broken, total.shared_killed);
    if (whole < total.shared_lines || broken > total.shared_killed) {
        puts("the shared file has lost lines");
        total.wrong++;
    }
}

static void print_figures(double minutes, const char *seed) {
    for (const command_figures *c = total.commands; c->runs; c++)
        printf("%s %zu (%zu)%s", *c->name ? c->name : "(nothing)", c->runs, c->interrupted,
               c[1].runs ? ", " : "\n");
    check_shared();
    printf("%.1f minutes, seed %s: %zu runs; %zu interrupted at a random moment: ended by SIGINT "
           "%zu, SIGTERM %zu, SIGKILL %zu; pipe closed %zu; code 0: %zu, 1: %zu, 2: %zu, 3: %zu; "
           "longest %.1f s (%s); %zu wrong\n",
           minutes, seed, total.runs, total.interrupted, total.by_signal[SIGINT],
           total.by_signal[SIGTERM], total.by_signal[SIGKILL], total.closed, total.codes[0],
           total.codes[1], total.codes[2], total.codes[3], total.slowest, total.slowest_line,
           total.wrong);
}

int main(int argc, char **argv) {
    static lane lanes[LANES];
    if (argc != 5) {
        fputs("soak MINUTES SEED COMMAND FOLDER\n", stderr);
        return 2;
    }
    double start = now(), until = start + 60 * strtod(argv[1], NULL);
    lot_seed(strtoull(argv[2], NULL, 10));
    command = realpath(argv[3], NULL);
    mkdir(argv[4], 0777);
    if (!command || chdir(argv[4]) != 0)
        die(argv[4]);
    signal(SIGPIPE, SIG_IGN);
    remove("shared.jsonl");
    for (size_t i = 0; i < LANES; i++)
        prepare(&lanes[i], i);
    for (size_t running = 1; running || now() < until;) {
        running = 0;
        for (size_t i = 0; i < LANES; i++) {
            step(&lanes[i], now() < until);
            running += lanes[i].process != 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    print_figures((now() - start) / 60, argv[2]);
    return total.wrong != 0;
}
