/* SPDX-License-Identifier: MIT
 *
 *     mutate {models | images} COUNT FIRST COMMAND FOLDER
 *
 * Damages models, or pictures, and has the command classify: what is damaged and how follow from a
 * number, FIRST to FIRST + COUNT - 1, so that each can be made again. The command must end by
 * itself with code 0, 1 or 3; with one line of a message where it fails, and none where it doesn't;
 * with scores that are numbers; within five seconds of processor time, and the memory below. What
 * it does not is kept in FOLDER. scripts/mutate runs it.
 */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "damage.h"
#include "vitrine.h"

/* What may be mapped, files and stacks included, and what of it may be resident; the sanitizers'
 * shadow does not fit in any. */
#define MAPPED_LIMIT ((rlim_t)3 << 30)
enum { SECONDS = 5, KILLED_AFTER = 60, RESIDENT_KIB = 1 << 20 };
enum { MOST_GROUPS = 12, MOST_FILES = 4, LONGEST = 1024 };

#define DATA VT_TEST_DATA
#define MODEL DATA "/golden/timm_vit_token"
#define PICTURE DATA "/images/rgb8.png"

/* What was damaged and is given to the command. */
typedef struct trial {
    size_t group; /* of the figures */
    const char *option, *model, *picture;
    char files[MOST_FILES][LONGEST]; /* to be kept if it goes wrong */
    size_t num_files;
} trial;

/* ---- running ------------------------------------------------------------------------------- */

typedef struct outcome {
    int status;
    double seconds, cpu;
    long kilobytes;
    bool no_memory;
} outcome;

typedef struct figures {
    size_t runs, codes[256], no_memory, wrong;
    double slowest, slowest_cpu;
    long most;
} figures;

static const char *command, *folder;
static bool sanitized;
static figures groups[MOST_GROUPS];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds_of(struct timeval t) {
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static void in_child(const trial *t) {
    const struct rlimit memory = {MAPPED_LIMIT, MAPPED_LIMIT}, core = {0, 0};
    if (!sanitized)
        setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &core);
    alarm(KILLED_AFTER); /* also of what waits */
    if (!freopen("/dev/null", "r", stdin) || !freopen("stdout", "w", stdout) ||
        !freopen("stderr", "w", stderr))
        _exit(2);
    execl(command, "vitrine", "classify", "-t1", "--format=json", t->option, "-m", t->model,
          t->picture, (char *)NULL);
    _exit(2);
}

static outcome run(const trial *t) {
    struct rusage used;
    outcome o = {0};
    double start = now();
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        in_child(t);
    if (wait4(child, &o.status, 0, &used) != child)
        die("wait4");
    o.seconds = now() - start;
    o.cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    o.kilobytes = used.ru_maxrss;
    return o;
}

static bool begins(const unsigned char *line, size_t length, const char *with) {
    return length >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* A line of the command's own, without its end. */
static const char *check_line(const unsigned char *line, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (line[i] < 0x20 || line[i] == 0x7f)
            return "a control character in a message";
    return begins(line, length, "vitrine: ") ? NULL : "a message that is not the command's";
}

/* Whole lines: one message where it failed and none otherwise, beside notes; NULL, or what is
 * wrong. */
static const char *check_messages(outcome *o, bool failed) {
    blob text = blob_read("stderr");
    const char *wrong = NULL;
    size_t count = 0;
    for (size_t at = 0; at < text.size && !wrong;) {
        const unsigned char *line = text.bytes + at, *end = memchr(line, '\n', text.size - at);
        size_t length = end ? (size_t)(end - line) : text.size - at;
        wrong = end ? check_line(line, length) : "a message without an end";
        count += !begins(line, length, "vitrine: note: ");
        at += length + 1;
    }
    if (!wrong && count != failed)
        wrong = failed ? "not one message" : "a message, and code 0";
    o->no_memory = memmem(text.bytes, text.size, "out of memory", 13) != NULL;
    blob_free(&text);
    return wrong;
}

/* One line for the picture, unless the model could not be used. */
static const char *check_output(int code) {
    blob text = blob_read("stdout");
    const char *wrong = NULL;
    if (memmem(text.bytes, text.size, "\"score\": null", 13))
        wrong = "a score is not a number";
    else if (code != 0 && memmem(text.bytes, text.size, "\"predictions\"", 13))
        wrong = "a result, and it failed";
    else if (code == 0 && !memmem(text.bytes, text.size, "\"score\": ", 9))
        wrong = "code 0 without a result";
    else if (text.size && text.bytes[text.size - 1] != '\n')
        wrong = "a line of the output is cut";
    blob_free(&text);
    return wrong;
}

static const char *judge(outcome *o) {
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
    if (o->kilobytes > RESIDENT_KIB && !sanitized)
        return "too much memory";
    const char *wrong = check_messages(o, code != 0);
    return wrong ? wrong : check_output(code);
}

static void keep_file(uint64_t number, const char *file) {
    const char *slash = strrchr(file, '/');
    char path[2 * LONGEST];
    blob b = blob_read(file);
    snprintf(path, sizeof path, "%s/wrong-%llu/%s", folder, (unsigned long long)number,
             slash ? slash + 1 : file);
    blob_write(path, &b);
    blob_free(&b);
}

/* Keeps what was given and what was said. */
static void keep(uint64_t number, const char *wrong, const trial *t) {
    char path[LONGEST];
    snprintf(path, sizeof path, "%s/wrong-%llu", folder, (unsigned long long)number);
    mkdir(path, 0777);
    keep_file(number, "stdout");
    keep_file(number, "stderr");
    for (size_t i = 0; i < t->num_files; i++)
        keep_file(number, t->files[i]);
    printf("%llu: %s (%s -m %s %s); kept in %s\n", (unsigned long long)number, wrong, t->option,
           t->model, t->picture, path);
    fflush(stdout);
}

static void try_it(uint64_t number, const trial *t) {
    figures *f = &groups[t->group];
    outcome o = run(t);
    const char *wrong = judge(&o);
    f->runs++;
    f->codes[WIFEXITED(o.status) ? WEXITSTATUS(o.status) : 255]++;
    f->no_memory += o.no_memory;
    f->slowest = o.seconds > f->slowest ? o.seconds : f->slowest;
    f->slowest_cpu = o.cpu > f->slowest_cpu ? o.cpu : f->slowest_cpu;
    f->most = o.kilobytes > f->most ? o.kilobytes : f->most;
    if (wrong) {
        f->wrong++;
        keep(number, wrong, t);
    }
}

static void add_file(trial *t, const char *path) {
    snprintf(t->files[t->num_files++], LONGEST, "%s", path);
}

/* ---- pictures ------------------------------------------------------------------------------ */

static const char *const formats[] = {".png", ".jpg", ".webp", ".gif", ".bmp",
                                      ".tga", ".psd", ".hdr",  ".p?m", NULL};

static bool has_format(const char *name, const char *format) {
    const char *end = strrchr(name, '.');
    if (!end || strstr(name, "_rgb.png") || strlen(end) != strlen(format))
        return false;
    for (; *format; format++, end++)
        if (*format != *end && *format != '?')
            return false;
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void mutate_picture(trial *t, struct dirent *const *entries, size_t count) {
    static const char *const options[] = {"-k5", "-k5", "--shrink-on-load", "--drop-alpha"};
    size_t fitting = 0, chosen = 0;
    t->group = lot(sizeof formats / sizeof *formats - 1);
    t->option = options[lot(4)];
    for (size_t i = 0; i < count; i++)
        if (has_format(entries[i]->d_name, formats[t->group]) && lot(++fitting) == 0)
            chosen = i;
    char path[LONGEST];
    snprintf(path, sizeof path, DATA "/images/%s", entries[chosen]->d_name);
    blob b = blob_read(path);
    for (size_t n = 1 + lot(4); n > 0; n--)
        damage_bytes(&b, lot(2) ? 0 : 64); /* headers have the most to lose */
    if (t->group == 0 && lot(4))
        mend_png(&b);
    blob_write("picture", &b);
    blob_free(&b);
}

static void mutate_images(uint64_t first, size_t runs) {
    struct dirent **entries;
    int count = scandir(DATA "/images", &entries, NULL, by_name);
    if (count <= 0)
        die(DATA "/images");
    for (uint64_t number = first; number < first + runs; number++) {
        trial t = {.model = MODEL, .picture = "picture"};
        lot_seed(number);
        mutate_picture(&t, entries, (size_t)count);
        add_file(&t, "picture");
        try_it(number, &t);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* ---- models -------------------------------------------------------------------------------- */

/* Of several families, those with a classifier: others end with code 3 at once. */
static const char *const cases[] = {
    "timm_vit_token",  "hf_vit_nobias", "hf_deit_distilled",   "timm_deit_distilled",
    "hf_beit",         "hf_dinov2",     "timm_vit_siglip_map", "timm_eva02_tiny",
    "meta_dinov2_lc4", "timm_beit",     "timm_vit_token_f16",  "timm_vit_rope_mixed",
    "timm_vit_qknorm", "timm_flexivit", "timm_vit_token_bf16", "hf_vit",
};

static const char *const parts[] = {"config",  "header of the weights",
                                    "weights", "preprocessor",
                                    "index",   "shard",
                                    "packed",  "head",
                                    NULL};
enum { CONFIG, HEADER, WEIGHTS, PREPROCESSOR, INDEX, SHARD, PACKED, HEAD };

/* Whether a part is damaged as JSON, as a header, or by bytes anywhere. */
static void damage_part(blob *b, size_t part) {
    bool is_json = part == CONFIG || part == PREPROCESSOR || part == INDEX;
    for (size_t n = 1 + lot(4); n > 0; n--)
        if (is_json && lot(4))
            damage_json(b);
        else if (is_json && lot(2))
            damage_number(b);
        else if (part == HEADER || (!is_json && part != WEIGHTS && lot(2)))
            damage_safetensors(b);
        else
            damage_bytes(b, lot(3) ? 0 : 4096);
}

/* Copies FROM/NAME, where it is there, to model/AS, damaged or not. */
static void copy_part(trial *t, const char *from, const char *name, const char *as, bool damaged) {
    char path[LONGEST], made[LONGEST];
    snprintf(path, sizeof path, "%s/%s", from, name);
    snprintf(made, sizeof made, "model/%s", as);
    if (access(path, F_OK) != 0)
        return;
    blob b = blob_read(path);
    if (damaged)
        damage_part(&b, t->group);
    blob_write(made, &b);
    blob_free(&b);
    add_file(t, made);
}

/* Runs a line of the shell, which has the command's path in $0. */
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

/* The model's tensors in two files, and their index. */
static void write_shards(void) {
    static const char *const names[] = {"a.safetensors", "b.safetensors"};
    vt_tensor_file *file;
    if (vt_tensor_file_open(&file, MODEL "/model.safetensors", NULL) != VT_OK)
        die(MODEL);
    json_t *map = json_object(), *index = json_pack("{s:{}, s:o}", "metadata", "weight_map", map);
    vt_tensor tensors[128];
    size_t count = vt_tensor_file_count(file), half = count / 2;
    for (size_t i = 0; i < count && i < 128; i++) {
        tensors[i] = *vt_tensor_file_at(file, i);
        json_object_set_new(map, tensors[i].name, json_string(names[i >= half]));
    }
    for (size_t i = 0; i < 2; i++)
        if (vt_tensor_file_write(names[i], tensors + i * half, i ? count - half : half, NULL) !=
            VT_OK)
            die(names[i]);
    if (json_dump_file(index, "index.json", JSON_INDENT(2)) != 0)
        die("index.json");
    json_decref(index);
    vt_tensor_file_close(file);
}

static void prepare_models(void) {
    shell("for p in f32 f16 bf16 int8; do rm -rf packed-$p; \"$0\" pack --precision=$p -m \"$1\" "
          "-o packed-$p; done > prepare.log\n"
          "\"$0\" fit -q --no-cache --folds=0 -m \"$1\" -o head.safetensors \"$2\" >> prepare.log\n"
          "rm -rf model; mkdir model",
          MODEL, VT_SOURCE_DIR "/images");
    write_shards();
}

static void empty_model(void) {
    static const char *const names[] = {"config.json",       "model.safetensors",
                                        "a.safetensors",     "model.safetensors.index.json",
                                        "b.safetensors",     "preprocessor_config.json",
                                        "packed.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "model/%s", names[i]);
        remove(path);
    }
}

static void copy_weights(trial *t) {
    static const char *const packed[] = {"packed-f32", "packed-f16", "packed-bf16", "packed-int8"};
    bool last = lot(2);
    switch (t->group) {
    case INDEX:
    case SHARD:
        copy_part(t, ".", "index.json", "model.safetensors.index.json", t->group == INDEX);
        copy_part(t, ".", "a.safetensors", "a.safetensors", t->group == SHARD && !last);
        copy_part(t, ".", "b.safetensors", "b.safetensors", t->group == SHARD && last);
        break;
    case PACKED:
        copy_part(t, packed[lot(4)], "packed.safetensors", "packed.safetensors", true);
        break;
    case HEAD:
        copy_part(t, ".", "head.safetensors", "head.safetensors", true);
        t->option = "--head=model/head.safetensors";
        t->model = MODEL;
        break;
    default:
        break;
    }
}

static void mutate_model(trial *t) {
    static const size_t shares[] = {CONFIG,       CONFIG,  CONFIG,  HEADER,       HEADER, HEADER,
                                    WEIGHTS,      WEIGHTS, WEIGHTS, PREPROCESSOR, INDEX,  SHARD,
                                    PREPROCESSOR, PACKED,  PACKED,  HEAD};
    static const char *const options[] = {"-k5", "-k5", "--check-finite", "--size=48"};
    char directory[LONGEST];
    t->group = shares[lot(sizeof shares / sizeof *shares)];
    t->option = options[lot(4)];
    size_t which = t->group < INDEX ? lot(sizeof cases / sizeof *cases) : 0;
    snprintf(directory, sizeof directory, DATA "/golden/%s", cases[which]);
    empty_model();
    copy_part(t, directory, "config.json", "config.json", t->group == CONFIG);
    copy_part(t, directory, "preprocessor_config.json", "preprocessor_config.json",
              t->group == PREPROCESSOR);
    if (t->group < INDEX)
        copy_part(t, directory, "model.safetensors", "model.safetensors",
                  t->group == HEADER || t->group == WEIGHTS);
    else
        copy_weights(t);
}

static void mutate_models(uint64_t first, size_t runs) {
    prepare_models();
    for (uint64_t number = first; number < first + runs; number++) {
        trial t = {.model = "model", .picture = PICTURE};
        lot_seed(number);
        mutate_model(&t);
        try_it(number, &t);
    }
}

/* ---- figures ------------------------------------------------------------------------------- */

static void print_figures(const char *name, const figures *f) {
    printf("%-22s %6zu runs; code 0: %zu, 1: %zu, 3: %zu; out of memory: %zu; slowest %.2f s (%.2f "
           "s of processor time); most memory %.1f MiB; %zu wrong\n",
           name, f->runs, f->codes[0], f->codes[1], f->codes[3], f->no_memory, f->slowest,
           f->slowest_cpu, (double)f->most / 1024, f->wrong);
}

static void add_up(figures *total, const figures *f) {
    total->runs += f->runs;
    for (size_t code = 0; code < 256; code++)
        total->codes[code] += f->codes[code];
    total->no_memory += f->no_memory;
    total->wrong += f->wrong;
    total->slowest = f->slowest > total->slowest ? f->slowest : total->slowest;
    total->slowest_cpu = f->slowest_cpu > total->slowest_cpu ? f->slowest_cpu : total->slowest_cpu;
    total->most = f->most > total->most ? f->most : total->most;
}

int main(int argc, char **argv) {
    figures total = {0};
    bool models = argc == 6 && strcmp(argv[1], "models") == 0;
    if (argc != 6 || (!models && strcmp(argv[1], "images") != 0)) {
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
    (models ? mutate_models : mutate_images)(first, runs);
    const char *const *names = models ? parts : formats;
    for (size_t i = 0; names[i]; i++) {
        print_figures(names[i], &groups[i]);
        add_up(&total, &groups[i]);
    }
    print_figures(argv[1], &total);
    printf("%s: numbers %llu to %llu, %.0f s\n", argv[1], (unsigned long long)first,
           (unsigned long long)(first + runs - 1), now() - start);
    return total.wrong != 0;
}
