/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ARGUMENTS = 40 };

/* Nothing of the caller's terminal, language or settings reaches the command: of the environment
 * these alone, and of the caller's own no more than the first three. */
static const char *const passed_on[] = {
    "ASAN_OPTIONS",
    "GCOV_ERROR_FILE",
    "VITRINE_GNUPLOT",
    "VITRINE_MODEL",
    "VITRINE_THREADS",
    "HOME",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_SYMLINKS",
    "http_proxy",
    "GCOV_PREFIX",
    "LD_PRELOAD",
    "VT_FAIL_ALLOCATION",
    "VT_COUNT_TO",
    "VT_CUT_MAPPED",
};
enum { NUM_PASSED_ON = sizeof passed_on / sizeof *passed_on, FIRST_OWN = 3 };

const char *command_path = VT_COMMAND;

static char workspace[] = "/tmp/vitrine-cli-XXXXXX";

static void link_to(const char *target, const char *name) {
    assert_int_equal(symlink(target, name), 0);
}

int command_workspace(void **state) {
    (void)state;
    for (size_t i = FIRST_OWN; i < NUM_PASSED_ON; i++)
        unsetenv(passed_on[i]);
    if (!mkdtemp(workspace) || chdir(workspace) != 0)
        return -1;
    link_to(VT_TEST_DATA "/golden/timm_vit_token", "model");
    link_to(VT_SOURCE_DIR "/weights/emoji-vit", "bundled");
    link_to(VT_SOURCE_DIR "/images/photos/chelsea.png", "cat.png");
    link_to(VT_SOURCE_DIR "/images/photos/rocket.jpg", "rocket.jpg");
    link_to(VT_SOURCE_DIR "/images/emoji/rainbow_noto_224.png", "rainbow.png");
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int command_cleanup(void **state) {
    (void)state;
    return chdir("/") || nftw(workspace, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

char *read_text_file(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t used = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    assert_non_null(file);
    for (size_t got; (got = fread(text + used, 1, capacity - used - 1, file)) > 0;) {
        used += got;
        if (used + 1 == capacity) {
            text = realloc(text, capacity *= 2);
            assert_non_null(text);
        }
    }
    fclose(file);
    text[used] = '\0';
    return text;
}

/* The environment of the command, with one more setting (may be NULL); ends with NULL. */
typedef struct command_environment {
    char texts[NUM_PASSED_ON][512];
    char *items[NUM_PASSED_ON + 4];
} command_environment;

static void make_environment(command_environment *out, char *setting) {
    size_t count = 0;
    out->items[count++] = "PATH=/usr/bin:/bin";
    out->items[count++] = "LC_ALL=C.UTF-8";
    if (setting)
        out->items[count++] = setting;
    for (size_t i = 0; i < NUM_PASSED_ON; i++)
        if (getenv(passed_on[i])) {
            snprintf(out->texts[i], sizeof out->texts[i], "%s=%s", passed_on[i],
                     getenv(passed_on[i]));
            out->items[count++] = out->texts[i];
        }
    out->items[count] = NULL;
}

/* `files` open its standard input and output. */
static pid_t start_with(const char *program, char **argv, posix_spawn_file_actions_t *files,
                        const char *err) {
    command_environment environment;
    pid_t child;
    make_environment(&environment, NULL);
    posix_spawn_file_actions_addopen(files, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&child, program, files, NULL, argv, environment.items), 0);
    posix_spawn_file_actions_destroy(files);
    return child;
}

static pid_t start(const char *program, char **argv, const char *in, const char *out,
                   const char *err) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return start_with(program, argv, &files, err);
}

/* Runs it with a terminal of `columns` as file `onto`, standard output or standard error; what is
 * not the terminal is dropped. Returns what it drew there. */
static char *run_on_terminal(char **argv, const char *type, int onto, unsigned short columns) {
    enum { MOST = 1 << 16 };
    const struct winsize window = {.ws_row = 24, .ws_col = columns};
    command_environment environment;
    char setting[32], *drawn = calloc(1, MOST);
    int screen = posix_openpt(O_RDWR | O_NOCTTY), status;
    size_t used = 0;
    pid_t child;
    posix_spawn_file_actions_t files;
    assert_true(screen >= 0 && grantpt(screen) == 0 && unlockpt(screen) == 0);
    assert_int_equal(ioctl(screen, TIOCSWINSZ, &window), 0);
    snprintf(setting, sizeof setting, "TERM=%s", type);
    make_environment(&environment, setting);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, onto, ptsname(screen), O_RDWR | O_NOCTTY, 0);
    posix_spawn_file_actions_addopen(&files, onto == 1 ? 2 : 1, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&child, command_path, &files, NULL, argv, environment.items), 0);
    posix_spawn_file_actions_destroy(&files);
    for (ssize_t got; (got = read(screen, drawn + used, MOST - 1 - used)) > 0;)
        used += (size_t)got; /* ends with EIO once the child has closed its side */
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(screen);
    return drawn;
}

char *command_draw(char **argv, const char *type) {
    return run_on_terminal(argv, type, STDERR_FILENO, 0);
}

char *command_show(char **argv, unsigned short columns) {
    return run_on_terminal(argv, "xterm", STDOUT_FILENO, columns);
}

static int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void spawn(command_result *ran, char **argv, const char *in, const char *out) {
    ran->code = wait_for(start(command_path, argv, in, out, ".stderr"));
}

static void collect(char *argv[MOST_ARGUMENTS], va_list arguments) {
    size_t count = 0;
    argv[count++] = "vitrine";
    do {
        assert_true(count < MOST_ARGUMENTS);
        argv[count] = va_arg(arguments, char *);
    } while (argv[count++]);
}

void command_free(command_result *ran) {
    free(ran->out);
    free(ran->err);
    ran->out = ran->err = NULL;
}

void command_run(command_result *ran, const char *input, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, input);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    if (input)
        write_file(".stdin", input, strlen(input));
    spawn(ran, argv, input ? ".stdin" : "/dev/null", ".stdout");
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

void command_run_program(command_result *ran, const char *program, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, program);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    ran->code = wait_for(start(program, argv, "/dev/null", ".stdout", ".stderr"));
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

void command_run_list(command_result *ran, const char *const *argv) {
    command_free(ran);
    spawn(ran, (char **)(uintptr_t)argv, "/dev/null", ".stdout");
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

void command_interrupt(command_result *ran, int number, bool (*ready)(void), ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, ready);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    pid_t child = start(command_path, argv, "/dev/null", ".stdout", ".stderr");
    while (!ready() && waitpid(child, NULL, WNOHANG) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    kill(child, number);
    ran->code = wait_for(child);
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

pid_t command_start_list(const char *const *argv, const char *out, const char *err) {
    return start(command_path, (char **)(uintptr_t)argv, "/dev/null", out, err);
}

pid_t command_start(const char *out, const char *err, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, err);
    collect(argv, arguments);
    va_end(arguments);
    return start(command_path, argv, "/dev/null", out, err);
}

void command_wait(command_result *ran, pid_t child, const char *out, const char *err) {
    command_free(ran);
    ran->code = wait_for(child);
    ran->out = read_text_file(out);
    ran->err = read_text_file(err);
}

void command_run_to(command_result *ran, const char *path, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, path);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    spawn(ran, argv, "/dev/null", path);
    ran->out = strdup("");
    ran->err = read_text_file(".stderr");
}

void command_open(command_process *p, const char *onto, ...) {
    char *argv[MOST_ARGUMENTS];
    int in[2], out[2];
    posix_spawn_file_actions_t files;
    va_list arguments;
    va_start(arguments, onto);
    collect(argv, arguments);
    va_end(arguments);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    if (onto)
        posix_spawn_file_actions_addopen(&files, 1, onto, O_WRONLY | O_CREAT | O_APPEND, 0600);
    else
        posix_spawn_file_actions_adddup2(&files, out[1], 1);
    *p = (command_process){
        .id = start_with(command_path, argv, &files, ".stderr"), .in = in[1], .out = out[0]};
    close(in[0]);
    close(out[1]);
}

void command_send_bytes(const command_process *p, const void *bytes, size_t size) {
    for (const char *at = bytes; size;) {
        ssize_t sent = write(p->in, at, size);
        assert_true(sent > 0);
        at += sent;
        size -= (size_t)sent;
    }
}

void command_send(const command_process *p, const char *text) {
    command_send_bytes(p, text, strlen(text));
}

char *command_receive(command_process *p) {
    size_t used = 0;
    char *line = NULL, *end = NULL;
    struct pollfd answer = {.fd = p->out, .events = POLLIN};
    while (!end) {
        if (!p->num_read) {
            assert_int_equal(poll(&answer, 1, 60000), 1);
            ssize_t got = read(p->out, p->read, sizeof p->read);
            assert_true(got >= 0);
            p->num_read = (size_t)got;
        }
        end = memchr(p->read, '\n', p->num_read);
        size_t taken = end ? (size_t)(end - p->read) : p->num_read;
        line = realloc(line, used + taken + 1);
        assert_non_null(line);
        memcpy(line + used, p->read, taken);
        used += taken;
        if (!p->num_read) {
            assert_int_equal(used, 0); /* else a line was cut off */
            free(line);
            return NULL;
        }
        taken += end != NULL;
        p->num_read -= taken;
        memmove(p->read, p->read + taken, p->num_read);
    }
    line[used] = '\0';
    return line;
}

int command_close(command_result *ran, command_process *p) {
    enum { TRIES = 6000 };
    int status = 0, tries = 0;
    struct rusage usage = {0};
    close(p->in);
    while (wait4(p->id, &status, WNOHANG, &usage) == 0 && tries++ < TRIES)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    if (p->out >= 0)
        close(p->out);
    if (tries > TRIES) {
        kill(p->id, SIGKILL);
        waitpid(p->id, &status, 0);
        fail_msg("the command did not end");
    }
    command_free(ran);
    p->peak_kib = usage.ru_maxrss;
    ran->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ran->out = strdup("");
    ran->err = read_text_file(".stderr");
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void assert_ran(const command_result *ran, int code, const char *out, const char *err) {
    if (err)
        assert_string_equal(ran->err, err);
    if (out)
        assert_string_equal(ran->out, out);
    assert_int_equal(ran->code, code);
}
