/* SPDX-License-Identifier: MIT
 *
 *     mutate {models | images} COUNT FIRST COMMAND FOLDER
 *
 * Damages models, or pictures, and has the command classify: the kinds of damage and where it is
 * done follow from a number, FIRST to FIRST + COUNT - 1, so that each can be made again. The
 * command must end by itself with code 0, 1 or 3, with messages of one line each, within five
 * seconds and the memory below. What it does not is kept in FOLDER. scripts/mutate runs it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of the whole process, mapped files and stacks included; the sanitizers' shadow does not fit in
 * any. */
#define MEMORY_LIMIT ((rlim_t)3 << 30)
enum { SECONDS = 5, KILLED_AFTER = 60 };

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void *allocate(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory)
        die("malloc");
    return memory;
}

/* ---- numbers: splitmix64 (Steele, Lea & Flood 2014) ---------------------------------------- */

static uint64_t state;

static uint64_t next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(size_t limit) {
    return limit ? (size_t)(next() % limit) : 0;
}

/* ---- files --------------------------------------------------------------------------------- */

typedef struct blob {
    unsigned char *bytes;
    size_t size;
} blob;

static blob read_file(const char *path) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &info) != 0)
        die(path);
    blob b = {allocate((size_t)info.st_size), (size_t)info.st_size};
    if (fread(b.bytes, 1, b.size, file) != b.size)
        die(path);
    fclose(file);
    return b;
}

static void write_file(const char *path, const blob *b) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(b->bytes, 1, b->size, file) != b->size || fclose(file) != 0)
        die(path);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_seed(const struct dirent *entry) {
    return entry->d_name[0] != '.' && !strstr(entry->d_name, ".json") &&
           !strstr(entry->d_name, ".md") && !strstr(entry->d_name, "_rgb.png");
}

/* ---- damage -------------------------------------------------------------------------------- */

static void resize(blob *b, size_t size) {
    unsigned char *grown = allocate(size);
    memcpy(grown, b->bytes, size < b->size ? size : b->size);
    if (size > b->size)
        memset(grown + b->size, 0, size - b->size);
    free(b->bytes);
    *b = (blob){grown, size};
}

static void set_integer(blob *b, size_t at, size_t width, bool big_endian) {
    static const uint64_t odd[] = {0,           1,          0x7f,           0x80,       0xff,
                                   0x7fff,      0x8000,     0xffff,         0x7fffffff, 0x80000000u,
                                   0xffffffffu, UINT64_MAX, UINT64_MAX / 2, 20000,      1u << 28};
    uint64_t value = odd[below(sizeof odd / sizeof *odd)];
    for (size_t i = 0; i < width && at + i < b->size; i++)
        b->bytes[at + i] = (unsigned char)(value >> 8 * (big_endian ? width - 1 - i : i));
}

/* Bytes [from, from + count) taken out, or put in again at another place. */
static void cut(blob *b, size_t from, size_t count) {
    memmove(b->bytes + from, b->bytes + from + count, b->size - from - count);
    b->size -= count;
}

static void repeat(blob *b, size_t from, size_t count, size_t to) {
    unsigned char *copy = allocate(count);
    memcpy(copy, b->bytes + from, count);
    resize(b, b->size + count);
    memmove(b->bytes + to + count, b->bytes + to, b->size - count - to);
    memcpy(b->bytes + to, copy, count);
    free(copy);
}

/* A number of JSON, where `at` or what follows it is one. */
static void replace_number(blob *b, size_t at) {
    static const char *const odd[] = {"0",
                                      "-1",
                                      "1",
                                      "3",
                                      "1e308",
                                      "1e999",
                                      "2147483647",
                                      "2147483648",
                                      "9223372036854775807",
                                      "18446744073709551616",
                                      "0.5",
                                      "null",
                                      "\"7\"",
                                      "[]",
                                      "{}",
                                      "true",
                                      "1e-45",
                                      "65536",
                                      "-0.0",
                                      "7"};
    const char *other = odd[below(sizeof odd / sizeof *odd)];
    while (at < b->size && !(b->bytes[at] >= '0' && b->bytes[at] <= '9'))
        at++;
    size_t end = at;
    while (end < b->size && strchr("0123456789.eE+-", b->bytes[end]) && b->bytes[end])
        end++;
    size_t length = strlen(other);
    blob made = {allocate(at + length + b->size - end), at + length + b->size - end};
    memcpy(made.bytes, b->bytes, at);
    memcpy(made.bytes + at, other, length);
    memcpy(made.bytes + at + length, b->bytes + end, b->size - end);
    free(b->bytes);
    *b = made;
}

/* One injury to the first `limit` bytes. */
static void injure(blob *b, size_t limit, bool text) {
    if (!b->size)
        return;
    limit = limit && limit < b->size ? limit : b->size;
    size_t at = below(limit), left = limit - at, count = 1 + below(left < 64 ? left : 64);
    switch (below(text ? 9 : 8)) {
    case 0:
        b->bytes[at] ^= (unsigned char)(1u << below(8));
        break;
    case 1:
        b->bytes[at] = (unsigned char)next();
        break;
    case 2:
        set_integer(b, at, (size_t)1 << below(4), below(2));
        break;
    case 3:
        b->size = at;
        break;
    case 4:
        cut(b, at, count);
        break;
    case 5:
        repeat(b, at, count, below(limit));
        break;
    case 6:
        memset(b->bytes + at, (int)below(256), count);
        break;
    case 7:
        set_integer(b, at, 4, below(2));
        break;
    default:
        replace_number(b, at);
    }
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct outcome {
    int status;
    double seconds, cpu;
    long kilobytes;
} outcome;

typedef struct figures {
    size_t runs, codes[256], wrong;
    double slowest, slowest_cpu;
    long most;
} figures;

static const char *command, *folder;
static bool sanitized;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds_of(struct timeval t) {
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static void in_child(const char *model, const char *picture) {
    const struct rlimit memory = {MEMORY_LIMIT, MEMORY_LIMIT}, cpu = {KILLED_AFTER, KILLED_AFTER},
                        core = {0, 0};
    if (!sanitized)
        setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &core);
    if (!freopen("/dev/null", "r", stdin) || !freopen("stdout", "w", stdout) ||
        !freopen("stderr", "w", stderr))
        _exit(2);
    execl(command, "vitrine", "classify", "-t1", "--format=json", "-m", model, picture,
          (char *)NULL);
    _exit(2);
}

static outcome run(const char *model, const char *picture) {
    struct rusage used;
    outcome o;
    double start = now();
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        in_child(model, picture);
    if (wait4(child, &o.status, 0, &used) != child)
        die("wait4");
    o.seconds = now() - start;
    o.cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    o.kilobytes = used.ru_maxrss;
    return o;
}

/* Lines of the command's own, each whole; NULL, or what is wrong. */
static const char *check_messages(void) {
    blob text = read_file("stderr");
    const char *wrong = NULL;
    size_t at = 0;
    while (at < text.size && !wrong) {
        const unsigned char *line = text.bytes + at, *end = memchr(line, '\n', text.size - at);
        if (!end || text.size - at < 9 || memcmp(line, "vitrine: ", 9) != 0)
            wrong = "a message is no line of the command's";
        for (const unsigned char *c = line; end && c < end && !wrong; c++)
            if (*c < 0x20 || *c == 0x7f)
                wrong = "a control character in a message";
        at = end ? (size_t)(end + 1 - text.bytes) : text.size;
    }
    free(text.bytes);
    return wrong;
}

static const char *check_scores(void) {
    blob text = read_file("stdout");
    bool odd = memmem(text.bytes, text.size, "\"score\": null", 13) != NULL;
    free(text.bytes);
    return odd ? "a score is not a number" : NULL;
}

static const char *judge(const outcome *o) {
    static char text[64];
    if (!WIFEXITED(o->status)) {
        snprintf(text, sizeof text, "ended by signal %d", WTERMSIG(o->status));
        return text;
    }
    int code = WEXITSTATUS(o->status);
    if (code != 0 && code != 1 && code != 3) {
        snprintf(text, sizeof text, "code %d", code);
        return text;
    }
    if (o->cpu > SECONDS && !sanitized)
        return "slower than five seconds";
    const char *wrong = check_messages();
    return wrong ? wrong : check_scores();
}

/* Keeps what was given and what was said. */
static void keep(uint64_t number, const char *wrong, const char *const *files, size_t count) {
    static const char *const said[] = {"stdout", "stderr"};
    char path[512];
    snprintf(path, sizeof path, "%s/wrong-%llu", folder, (unsigned long long)number);
    mkdir(path, 0777);
    for (size_t i = 0; i < count + 2; i++) {
        const char *file = i < count ? files[i] : said[i - count];
        const char *slash = strrchr(file, '/');
        blob b = read_file(file);
        snprintf(path, sizeof path, "%s/wrong-%llu/%s", folder, (unsigned long long)number,
                 slash ? slash + 1 : file);
        write_file(path, &b);
        free(b.bytes);
    }
    printf("%llu: %s; kept in %s/wrong-%llu\n", (unsigned long long)number, wrong, folder,
           (unsigned long long)number);
    fflush(stdout);
}

static void add_up(figures *f, const outcome *o) {
    f->runs++;
    f->codes[WIFEXITED(o->status) ? WEXITSTATUS(o->status) : 255]++;
    f->slowest = o->seconds > f->slowest ? o->seconds : f->slowest;
    f->slowest_cpu = o->cpu > f->slowest_cpu ? o->cpu : f->slowest_cpu;
    f->most = o->kilobytes > f->most ? o->kilobytes : f->most;
}

static void try_it(figures *f, uint64_t number, const char *model, const char *picture,
                   const char *const *files, size_t num_files) {
    outcome o = run(model, picture);
    const char *wrong = judge(&o);
    add_up(f, &o);
    if (wrong) {
        f->wrong++;
        keep(number, wrong, files, num_files);
    }
}

/* ---- pictures and models ------------------------------------------------------------------- */

#define DATA VT_TEST_DATA
static const char sound_model[] = DATA "/golden/timm_vit_token";
static const char sound_picture[] = DATA "/images/rgb8.png";

static void mutate_images(figures *f, uint64_t first, size_t runs) {
    struct dirent **entries;
    int seeds = scandir(DATA "/images", &entries, is_seed, by_name);
    if (seeds <= 0)
        die(DATA "/images");
    for (size_t i = 0; i < runs; i++) {
        char path[1024];
        static const char *const files[] = {"picture"};
        state = first + i;
        snprintf(path, sizeof path, DATA "/images/%s", entries[below((size_t)seeds)]->d_name);
        blob b = read_file(path);
        for (size_t n = 1 + below(4); n > 0; n--)
            injure(&b, below(2) ? 0 : 64, false); /* headers have the most to lose */
        write_file("picture", &b);
        free(b.bytes);
        try_it(f, first + i, sound_model, "picture", files, 1);
    }
}

/* Of several families, those with a classifier: others end with code 3 at once. */
static const char *const cases[] = {
    "timm_vit_token",  "hf_vit_nobias", "hf_deit_distilled",   "timm_deit_distilled",
    "hf_beit",         "hf_dinov2",     "timm_vit_siglip_map", "timm_eva02_tiny",
    "meta_dinov2_lc4", "timm_beit",     "timm_vit_token_f16",  "timm_vit_rope_mixed",
    "timm_vit_qknorm", "timm_flexivit", "timm_vit_token_bf16", "hf_vit",
};

/* A case's files, one of which is damaged: weights and configuration for the most part. Returns how
 * many there are, in `files`, which has room for three. */
static size_t make_model(const char **files) {
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json"};
    static const char *const made[] = {"model/config.json", "model/model.safetensors",
                                       "model/preprocessor_config.json"};
    static const size_t shares[] = {0, 0, 0, 1, 1, 1, 1, 2};
    const char *one = cases[below(sizeof cases / sizeof *cases)];
    size_t damaged = shares[below(8)], count = 0;
    for (size_t n = 0; n < 3; n++) {
        char path[1024];
        snprintf(path, sizeof path, DATA "/golden/%s/%s", one, names[n]);
        remove(made[n]);
        if (access(path, F_OK) != 0)
            continue;
        blob b = read_file(path);
        for (size_t k = n == damaged ? 1 + below(4) : 0; k > 0; k--)
            injure(&b, n == 1 && below(4) ? 4096 : 0, n != 1 || below(2));
        write_file(made[n], &b);
        free(b.bytes);
        files[count++] = made[n];
    }
    return count;
}

static void mutate_models(figures *f, uint64_t first, size_t runs) {
    mkdir("model", 0777);
    for (size_t i = 0; i < runs; i++) {
        const char *files[3];
        state = first + i;
        size_t count = make_model(files);
        try_it(f, first + i, "model", sound_picture, files, count);
    }
}

int main(int argc, char **argv) {
    figures f = {0};
    if (argc != 6 || (strcmp(argv[1], "models") != 0 && strcmp(argv[1], "images") != 0)) {
        fputs("mutate {models | images} COUNT FIRST COMMAND FOLDER\n", stderr);
        return 2;
    }
    size_t runs = strtoul(argv[2], NULL, 10);
    uint64_t first = strtoull(argv[3], NULL, 10);
    command = realpath(argv[4], NULL);
    mkdir(argv[5], 0777);
    folder = realpath(argv[5], NULL);
    sanitized = getenv("VT_SANITIZED") != NULL;
    if (!command || !folder || chdir(folder) != 0)
        die(argv[5]);
    double start = now();
    (strcmp(argv[1], "models") == 0 ? mutate_models : mutate_images)(&f, first, runs);
    printf("%s: %zu runs in %.0f s; code 0: %zu, 1: %zu, 3: %zu; slowest %.2f s (%.2f s of "
           "processor time); most memory %.1f MiB; %zu wrong\n",
           argv[1], f.runs, now() - start, f.codes[0], f.codes[1], f.codes[3], f.slowest,
           f.slowest_cpu, (double)f.most / 1024, f.wrong);
    return f.wrong != 0;
}
