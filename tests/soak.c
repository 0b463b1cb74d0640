/* SPDX-License-Identifier: MIT
 *
 *     soak MINUTES SEED COMMAND FOLDER
 *
 * Runs the command over and over: commands, models, pictures (sound and broken), batches, threads
 * and outputs at random, two or three at a time, and a third of them ended at a random moment by
 * SIGINT, SIGTERM, SIGKILL or a closed pipe. Each must end as it should: no other signal than it
 * was sent, lines whole, messages its own, no temporary file left but by SIGKILL. What is not so is
 * kept in FOLDER. scripts/soak runs it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LANES = 3, MOST_ARGUMENTS = 24, LONGEST = 512, SECONDS = 300 };

static void die(const char *what) {
    perror(what);
    exit(2);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 (Steele, Lea & Flood 2014) */
static uint64_t state;
static size_t below(size_t limit) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (size_t)((z ^ (z >> 31)) % limit);
}

/* ---- what is run --------------------------------------------------------------------------- */

#define CASE VT_TEST_DATA "/golden/"
#define IMAGE VT_TEST_DATA "/images/"
#define PICTURE VT_SOURCE_DIR "/images/"

static const char *const models[] = {
    CASE "timm_vit_token",
    CASE "hf_vit_nobias",
    CASE "hf_beit",
    CASE "hf_dinov2",
    CASE "timm_eva02_tiny",
    CASE "hf_siglip2_naflex",
    CASE "timm_vit_rope_mixed",
    CASE "hf_clip",
    CASE "meta_dinov2_lc4",
    VT_SOURCE_DIR "/weights/emoji-vit",
    "packed", /* made at the beginning */
    "broken", /* damaged before each run */
    "no-such-model",
};
static const char *const texts[] = {CASE "text_gpt2", CASE "text_llama",
                                    VT_SOURCE_DIR "/weights/positions/rope",
                                    VT_SOURCE_DIR "/weights/positions/alibi", "broken"};
static const char *const pictures[] = {
    PICTURE "photos",
    PICTURE "emoji",
    IMAGE "rgb8.png",
    IMAGE "baseline420.jpg",
    IMAGE "animated.gif",
    IMAGE "lossy_alpha.webp",
    IMAGE "light.hdr",
    IMAGE "gray.pgm",
    IMAGE "cmyk.jpg",
    IMAGE "huge.png",
    "damaged",
    "no-such-picture",
    "/dev/null",
    ".",
    PICTURE "photos/chelsea.png",
};
#define PICK(list) (list)[below(sizeof(list) / sizeof *(list))]

typedef struct plan {
    char texts[MOST_ARGUMENTS][LONGEST];
    char *argv[MOST_ARGUMENTS + 1];
    size_t count;
} plan;

__attribute__((format(printf, 2, 3))) static void add(plan *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->texts[p->count], LONGEST, format, args);
    va_end(args);
    p->argv[p->count] = p->texts[p->count];
    p->argv[++p->count] = NULL;
}

static void add_pictures(plan *p) {
    for (size_t i = 1 + below(3); i > 0; i--)
        add(p, "%s", PICK(pictures));
}

static void add_speed(plan *p) {
    static const size_t batches[] = {1, 1, 2, 3, 8};
    add(p, "-t%zu", 1 + below(4));
    if (below(2))
        add(p, "--batch=%zu", PICK(batches));
    if (below(3) == 0)
        add(p, "--size=%zu", 16 + below(200));
}

static void plan_classify(plan *p) {
    static const char *const formats[] = {"text", "json", "csv"};
    add(p, "classify");
    add(p, "--format=%s", PICK(formats));
    add(p, "-m%s", PICK(models));
    add(p, "-k%zu", 1 + below(700));
    if (below(4) == 0)
        add(p, "--merge=%zu", below(6));
    if (below(4) == 0)
        add(p, "--shrink-on-load");
    if (below(4) == 0)
        add(p, "--check-finite");
    add_speed(p);
    add_pictures(p);
}

static void plan_embed(plan *p) {
    static const char *const pools[] = {"model", "cls", "mean", "map", "tokens"};
    add(p, "embed");
    add(p, "-m%s", PICK(models));
    add(p, "--pool=%s", PICK(pools));
    add(p, "%s", below(2) ? "--format=json" : "--output=out.npy");
    add_speed(p);
    add_pictures(p);
}

static void plan_dump(plan *p) {
    add(p, "dump");
    add(p, "-m%s", PICK(models));
    add(p, "--output=out.safetensors");
    add(p, "%s", PICK(pictures));
    if (below(2))
        add(p, "--blocks");
}

static void plan_inspect(plan *p) {
    add(p, "inspect");
    add(p, "-m%s", PICK(models));
    if (below(2))
        add(p, "--format=json");
    if (below(4) == 0)
        add(p, "--pos-map=map.%s", below(2) ? "npy" : "svg");
    if (below(2))
        add(p, "%s", PICK(pictures));
}

static void plan_fit(plan *p) {
    add(p, "fit");
    add(p, "-m%s", PICK(models));
    add(p, "%s", below(4) ? VT_SOURCE_DIR "/images" : ".");
    add(p, "--output=head.safetensors");
    add(p, "--folds=%zu", below(4));
    if (below(2))
        add(p, "--no-cache");
    if (below(3) == 0)
        add(p, "--confusion=confusion.png");
}

static void plan_text(plan *p) {
    bool generates = below(2);
    add(p, generates ? "generate" : "perplexity");
    add(p, "-m%s", PICK(texts));
    add(p, "-t%zu", 1 + below(3));
    if (generates) {
        add(p, "-n%zu", 1 + below(60));
        add(p, "%s", below(8) ? "In the beginning" : "");
    } else {
        add(p, "--context=%zu", 16 + below(200));
        add(p, "--max-bytes=%zu", 1 + below(3000));
        add(p, "--by-position=loss.csv");
        add(p, VT_SOURCE_DIR "/weights/positions/heldout.txt");
    }
}

static void plan_pack(plan *p) {
    static const char *const precisions[] = {"f32", "f16", "bf16", "int8"};
    add(p, "pack");
    add(p, "-m%s", PICK(models));
    add(p, "--precision=%s", PICK(precisions));
    add(p, "--output=repacked");
}

static void plan_sweep(plan *p) {
    add(p, "sweep");
    add(p, "-m%s", PICK(models));
    add(p, "--sizes=32:%zu:32", 32 + below(100));
    add(p, "--output=swept");
    add(p, "-t%zu", 1 + below(2));
    if (below(2))
        add(p, "--resume");
    add(p, "%s", PICK(pictures));
}

static void plan_bench(plan *p) {
    add(p, "bench");
    add(p, "-m%s", PICK(models));
    add(p, "--runs=%zu", 1 + below(3));
    add(p, "-t%zu", 1 + below(2));
}

static void plan_other(plan *p) {
    static const char *const words[] = {"models", "help", "--version", "clasify", "", "--top=3"};
    add(p, "%s", PICK(words));
    if (below(2))
        add(p, "%s", PICK(words));
}

/* The lighter ones more often. */
static void (*const plans[])(plan *) = {
    plan_classify, plan_classify, plan_classify, plan_embed, plan_embed, plan_dump,  plan_inspect,
    plan_fit,      plan_text,     plan_text,     plan_pack,  plan_sweep, plan_bench, plan_other,
};

/* ---- what is damaged ----------------------------------------------------------------------- */

static void damage_copy(const char *from, const char *to) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    if (!out)
        die(to);
    static unsigned char bytes[1 << 22];
    size_t size = in ? fread(bytes, 1, sizeof bytes, in) : 0;
    for (size_t i = below(4); size && i > 0; i--)
        bytes[below(below(2) ? size : size < 4096 ? size : 4096)] = (unsigned char)below(256);
    if (size && below(4) == 0)
        size = below(size);
    if (fwrite(bytes, 1, size, out) != size)
        die(to);
    fclose(out);
    if (in)
        fclose(in);
}

/* In the lane's folder, which is the current one. */
static void damage(void) {
    static const char *const files[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json"};
    const char *model = models[below(9)];
    mkdir("broken", 0777);
    for (size_t i = 0; i < 3; i++) {
        char from[LONGEST], to[64];
        snprintf(from, sizeof from, "%s/%s", model, files[i]);
        snprintf(to, sizeof to, "broken/%s", files[i]);
        damage_copy(from, to);
    }
    damage_copy(pictures[2 + below(7)], "damaged");
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct lane {
    char folder[256]; /* relative to the soak's */
    plan plan;
    pid_t process;
    double started, due; /* when it is ended; 0: never */
    int number;          /* the signal, 0: its pipe is closed */
    int pipe;            /* its standard output's other end, or -1 */
    bool sent;
    size_t printed;
} lane;

typedef struct figures {
    size_t runs, ended_by_us, killed, codes[256], wrong;
    double slowest;
    char slowest_line[LONGEST];
} figures;

static const char *command;
static figures total;

static void spawn(lane *l) {
    posix_spawn_file_actions_t files;
    static char home[300];
    char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", home, NULL};
    int ends[2];
    char cwd[256];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 || !getcwd(cwd, sizeof cwd))
        die("pipe");
    fcntl(ends[1], F_SETFL, 0);
    snprintf(home, sizeof home, "HOME=%s", cwd);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_addopen(&files, 2, "stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    errno = posix_spawn(&l->process, command, &files, NULL, l->plan.argv, environment);
    if (errno)
        die(command);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    l->pipe = ends[0];
}

static void begin(lane *l) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGKILL, 0};
    if (chdir(l->folder) != 0)
        die(l->folder);
    damage();
    l->plan.count = 0;
    add(&l->plan, "vitrine");
    PICK(plans)(&l->plan);
    l->started = now();
    l->due = below(3) ? 0 : l->started + 1e-3 * (double)(1u << below(11)); /* 1 ms to 1 s */
    l->number = PICK(numbers);
    l->sent = false;
    l->printed = 0;
    remove("stdout");
    spawn(l);
    if (chdir("..") != 0)
        die("..");
}

static void drain(lane *l) {
    char bytes[1 << 16], path[300];
    ssize_t got;
    if (l->pipe < 0)
        return;
    snprintf(path, sizeof path, "%s/stdout", l->folder);
    int out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    while ((got = read(l->pipe, bytes, sizeof bytes)) > 0) {
        if (write(out, bytes, (size_t)got) != got)
            die(path);
        l->printed += (size_t)got;
    }
    close(out);
}

static char *read_text(const char *folder, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 22);
    if (!text)
        die("calloc");
    if (file) {
        text[fread(text, 1, (1 << 22) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

/* Temporary files anywhere below; a SIGKILL's are removed, so that others' are seen. */
static bool find_leftovers(const char *folder, bool forgiven, char *found) {
    DIR *directory = opendir(folder);
    bool any = false;
    if (!directory)
        return false;
    for (const struct dirent *e; (e = readdir(directory));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && e->d_type == DT_DIR)
            any |= find_leftovers(path, forgiven, found);
        if (!strstr(e->d_name, ".part") && !strstr(e->d_name, ".new-"))
            continue;
        snprintf(found, 600, "%s", path);
        any = true;
        if (forgiven)
            remove(path);
    }
    closedir(directory);
    return any && !forgiven;
}

static const char *check_lines(const char *text) {
    while (*text) {
        const char *end = strchr(text, '\n');
        if (!end)
            return "a message without an end";
        if (strncmp(text, "vitrine: ", 9) != 0 && strncmp(text, "Try 'vitrine ", 13) != 0 &&
            strncmp(text, "vitrine ", 8) != 0 && strncmp(text, "Usage: ", 7) != 0 && *text != ' ' &&
            *text != '\n' && !strstr(text, "vitrine COMMAND"))
            return "a message that is not the command's";
        text = end + 1;
    }
    return NULL;
}

static const char *judge(lane *l, int status) {
    static char text[700];
    char found[600];
    bool killed = l->sent && l->number == SIGKILL;
    if (WIFSIGNALED(status) && !(l->sent && WTERMSIG(status) == l->number)) {
        snprintf(text, sizeof text, "ended by signal %d", WTERMSIG(status));
        return text;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) > 3) {
        snprintf(text, sizeof text, "code %d", WEXITSTATUS(status));
        return text;
    }
    if (now() - l->started > SECONDS)
        return "it took too long";
    if (find_leftovers(l->folder, killed, found)) {
        snprintf(text, sizeof text, "%s is left behind", found);
        return text;
    }
    char *out = read_text(l->folder, "stdout"), *err = read_text(l->folder, "stderr");
    size_t length = strlen(out);
    const char *wrong = killed ? NULL : check_lines(err);
    if (!wrong && !killed && !(l->sent && l->number == 0) && length && out[length - 1] != '\n')
        wrong = "the last line of standard output is cut";
    free(out);
    free(err);
    return wrong;
}

/* Runs a line of the shell, which has the command's path in $0 and others in $1 and $2. */
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
    char to[64];
    snprintf(to, sizeof to, "wrong-%zu", total.runs);
    printf("run %zu, %s:", total.runs, wrong);
    for (size_t i = 0; i < l->plan.count; i++)
        printf(" '%s'", l->plan.argv[i]);
    if (l->sent)
        printf(" (ended by us, %d, after %.3f s)", l->number, l->due - l->started);
    printf("; kept in %s\n", to);
    fflush(stdout);
    shell("cp -r \"$1\" \"$2\"", l->folder, to);
}

static void finish(lane *l, int status) {
    drain(l);
    if (l->pipe >= 0)
        close(l->pipe);
    l->pipe = -1;
    const char *wrong = judge(l, status);
    double seconds = now() - l->started;
    total.runs++;
    total.ended_by_us += l->sent;
    total.killed += l->sent && WIFSIGNALED(status);
    if (WIFEXITED(status))
        total.codes[WEXITSTATUS(status)]++;
    if (seconds > total.slowest) {
        total.slowest = seconds;
        total.slowest_line[0] = '\0';
        for (size_t i = 1; i < l->plan.count; i++) {
            size_t used = strlen(total.slowest_line);
            snprintf(total.slowest_line + used, LONGEST - used, " %s", l->plan.argv[i]);
        }
    }
    if (wrong) {
        total.wrong++;
        keep(l, wrong);
    }
    l->process = 0;
}

static void step(lane *l, bool more) {
    int status;
    if (!l->process && more)
        begin(l);
    if (!l->process)
        return;
    drain(l);
    if (l->due && !l->sent && now() >= l->due) {
        l->sent = true;
        if (l->number)
            kill(l->process, l->number);
        else
            close(l->pipe);
        if (!l->number)
            l->pipe = -1;
    }
    if (now() - l->started > SECONDS)
        kill(l->process, SIGKILL);
    if (waitpid(l->process, &status, WNOHANG) == l->process)
        finish(l, status);
}

static void prepare(lane *l, size_t index) {
    snprintf(l->folder, sizeof l->folder, "lane-%zu", index);
    shell("rm -rf \"$1\"; mkdir \"$1\"; cd \"$1\"; \"$0\" pack -q -m " CASE
          "timm_vit_token -o packed > pack.log",
          l->folder, "");
    l->pipe = -1;
}

int main(int argc, char **argv) {
    static lane lanes[LANES];
    if (argc != 5) {
        fputs("soak MINUTES SEED COMMAND FOLDER\n", stderr);
        return 2;
    }
    double start = now(), until = start + 60 * strtod(argv[1], NULL);
    state = strtoull(argv[2], NULL, 10);
    command = realpath(argv[3], NULL);
    mkdir(argv[4], 0777);
    if (!command || chdir(argv[4]) != 0)
        die(argv[4]);
    signal(SIGPIPE, SIG_IGN);
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
    printf("%.1f minutes, seed %s: %zu runs; %zu interrupted at a random moment, %zu of them ended "
           "by the signal; code 0: %zu, 1: %zu, 2: %zu, 3: %zu; longest %.1f s (%s); %zu wrong\n",
           (now() - start) / 60, argv[2], total.runs, total.ended_by_us, total.killed,
           total.codes[0], total.codes[1], total.codes[2], total.codes[3], total.slowest,
           total.slowest_line + 1, total.wrong);
    return total.wrong != 0;
}
