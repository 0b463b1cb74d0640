/* SPDX-License-Identifier: MIT */
#include "soak.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "damage.h"

#define CASE VT_TEST_DATA "/golden/"
#define IMAGE VT_TEST_DATA "/images/"
#define PICTURE VT_SOURCE_DIR "/images/"
#define SMALL CASE "timm_vit_token"
#define PICK(list) (list)[lot(sizeof(list) / sizeof *(list))]

const char list_name[] = "list.txt", results_name[] = "results.jsonl",
           shared_name[] = "../shared.jsonl";

enum { SOUND_MODELS = 9, FIRST_FILE = 2, SOUND_FILES = 7 };
static const char *const models[] = {
    SMALL,
    CASE "hf_vit_nobias",
    CASE "hf_beit",
    CASE "hf_dinov2",
    CASE "timm_eva02_tiny",
    CASE "hf_siglip2_naflex",
    CASE "timm_vit_rope_mixed",
    CASE "hf_clip",
    CASE "meta_dinov2_lc4",
    VT_SOURCE_DIR "/weights/emoji-vit",
    "org/vit",  /* in the hub's cache */
    "packed",   /* made at the beginning */
    "repacked", /* by a plan, perhaps */
    "broken",   /* damaged before each run */
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
    "album",
    PICTURE "photos/chelsea.png",
};

__attribute__((format(printf, 2, 3))) static void add(plan *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->words[p->count], LONGEST, format, args);
    va_end(args);
    p->argv[p->count] = p->words[p->count];
    p->argv[++p->count] = NULL;
}

static void begin(plan *p, const char *command, const char *model) {
    add(p, "%s", command);
    add(p, "-m%s", model);
}

static void add_pictures(plan *p) {
    for (size_t i = 1 + lot(3); i > 0; i--)
        add(p, "%s", PICK(pictures));
}

static void add_speed(plan *p) {
    static const size_t batches[] = {1, 1, 2, 3, 8};
    add(p, "-t%zu", 1 + lot(4));
    if (lot(2))
        add(p, "--batch=%zu", PICK(batches));
}

static void add_size(plan *p) {
    if (lot(3) == 0)
        add(p, "--size=%zu", 16 + lot(200));
}

static void add_format(plan *p) {
    static const char *const formats[] = {"text", "json", "csv"};
    const char *format = PICK(formats);
    add(p, "--format=%s", format);
    p->json = strcmp(format, "json") == 0;
}

/* ---- pictures ------------------------------------------------------------------------------ */

static void plan_classify(plan *p) {
    begin(p, "classify", PICK(models));
    add_format(p);
    add(p, "-k%zu", 1 + lot(700));
    if (lot(4) == 0)
        add(p, "--merge=%zu", lot(6));
    if (lot(4) == 0)
        add(p, "--shrink-on-load");
    if (lot(4) == 0)
        add(p, "--check-finite");
    add_speed(p);
    add_size(p);
    add_pictures(p);
}

static void plan_head(plan *p) {
    begin(p, "classify", lot(4) ? SMALL : PICK(models));
    add(p, "--head=%s", lot(4) ? "fitted.safetensors" : "damaged.safetensors");
    add_format(p);
    add_speed(p);
    add_pictures(p);
}

/* A filter that goes on where one was ended, or several that write to one file. */
static void plan_filter(plan *p) {
    bool shared = lot(2);
    begin(p, "classify", SMALL);
    add(p, "-q");
    add(p, "--format=json");
    add(p, "-k%zu", 1 + lot(10));
    add(p, "--files-from=%s", lot(2) ? list_name : "-");
    if (p->words[p->count - 1][13] == '-') {
        p->input = list_name;
        p->piped = lot(2);
    }
    p->appends = shared ? shared_name : results_name;
    if (!shared)
        add(p, "--skip-done=%s", results_name);
    if (!shared && lot(4) == 0)
        remove(results_name);
    add_speed(p);
}

static void plan_embed(plan *p) {
    static const char *const pools[] = {"model", "cls", "mean", "map", "tokens"};
    begin(p, "embed", PICK(models));
    add(p, "--pool=%s", PICK(pools));
    p->json = lot(2);
    add(p, "%s", p->json ? "--format=json" : "--output=out.npy");
    add_speed(p);
    add_size(p);
    add_pictures(p);
}

static void plan_pca(plan *p) {
    begin(p, "embed", PICK(models));
    add(p, "--pca=pca.%s", lot(2) ? "png" : "svg");
    add_speed(p);
    add_pictures(p);
}

static void plan_zeroshot(plan *p) {
    begin(p, "zeroshot", lot(8) ? "clip" : PICK(models));
    if (lot(2)) {
        add(p, "--labels=%s", lot(8) ? "a,b c,photo" : "a,,b");
        add(p, "--save-labels=labels.safetensors");
    } else {
        add(p, "--load-labels=%s", lot(3) ? "labels.safetensors" : "damaged.safetensors");
    }
    add_format(p);
    add_speed(p);
    add_pictures(p);
}

static void plan_attention(plan *p) {
    static const char *const methods[] = {"rollout", "last", "head:0", "head:7", "cam"};
    static const char *const kinds[] = {"npy", "npy", "png", "svg"};
    begin(p, "attention", PICK(models));
    add(p, "--method=%s", PICK(methods));
    add(p, "-t%zu", 1 + lot(3));
    p->json = lot(2);
    if (p->json)
        add(p, "--format=json");
    if (!p->json || lot(2))
        add(p, "--output=attention.%s", PICK(kinds));
    add_size(p);
    add(p, "%s", PICK(pictures));
}

static void plan_similar(plan *p) {
    begin(p, "similar", PICK(models));
    add_format(p);
    add(p, "-k%zu", 1 + lot(20));
    if (lot(3) == 0)
        add(p, "--grid=grid.%s", lot(2) ? "png" : "svg");
    if (lot(3) == 0)
        add(p, "--threshold=0.%zu", lot(100));
    add_speed(p);
    add(p, "%s", PICTURE "photos/chelsea.png");
    add_pictures(p);
}

static void plan_cluster(plan *p) {
    begin(p, "cluster", PICK(models));
    add_format(p);
    add(p, "-k%zu", 1 + lot(6));
    if (lot(2))
        add(p, "--duplicates=0.9");
    if (lot(3) == 0)
        add(p, "--seed=%zu", lot(100));
    add_speed(p);
    add(p, "album");
    add_pictures(p);
}

static void plan_dump(plan *p) {
    begin(p, "dump", PICK(models));
    add(p, "--output=out.safetensors");
    add(p, "%s", PICK(pictures));
    if (lot(2))
        add(p, "--blocks");
}

/* ---- frames -------------------------------------------------------------------------------- */

static void plan_stream(plan *p) {
    static const char *const streams[] = {
        "movie.y4m",     "movie.mjpeg", "frames.raw", "cut.y4m",     "cut.mjpeg",    "cut.raw",
        "damaged.mjpeg", "damaged.y4m", "movie.y4m",  "movie.mjpeg", "no-such-movie"};
    static const char *const drops[] = {"latest", "none", "queue:1", "queue:5"};
    const char *stream = PICK(streams);
    begin(p, "stream", lot(3) ? SMALL : PICK(models));
    p->json = true;
    add(p, "-t%zu", 1 + lot(3));
    if (lot(2))
        add(p, "-q");
    if (strstr(stream, ".raw")) {
        add(p, "--format=%s", lot(2) ? "gray" : "i420");
        add(p, "--size=16x%zu", 8 + 8 * lot(2));
    }
    if (lot(2))
        add(p, "--drop=%s", PICK(drops));
    if (lot(3) == 0) {
        add(p, "--realtime");
        add(p, "--fps=%zu", 20 + lot(500));
    }
    if (lot(4) == 0)
        add(p, "--rotate=%zu", 90 * lot(4));
    if (lot(4) == 0)
        add(p, "--smooth=0.2");
    if (lot(4) == 0)
        add(p, "--head=fitted.safetensors");
    bool operand = lot(2) || access(stream, F_OK) != 0;
    add(p, "%s", operand ? stream : "-");
    if (!operand) {
        p->input = stream;
        p->piped = lot(3);
    }
}

/* ---- models -------------------------------------------------------------------------------- */

static void plan_inspect(plan *p) {
    begin(p, "inspect", PICK(models));
    if (lot(2))
        add(p, "--format=json");
    if (lot(4) == 0)
        add(p, "--pos-map=map.%s", lot(2) ? "npy" : "svg");
    if (lot(2))
        add(p, "%s", PICK(pictures));
}

static void plan_fit(plan *p) {
    begin(p, "fit", PICK(models));
    add(p, "%s", lot(4) ? VT_SOURCE_DIR "/images" : "album");
    add(p, "--output=head.safetensors");
    add(p, "--folds=%zu", lot(4));
    if (lot(2))
        add(p, "--no-cache");
    if (lot(3) == 0)
        add(p, "--confusion=confusion.png");
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static void remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whatever is in the cache, the head is the one that was made without it. */
static void plan_fit_again(plan *p) {
    begin(p, "fit", SMALL);
    add(p, "album");
    add(p, "--output=again.safetensors");
    add_speed(p);
    if (lot(2))
        remove_tree(".cache/vitrine"); /* to be filled anew */
    p->made = "again.safetensors";
    p->expected = "fitted.safetensors";
    remove(p->made);
}

static void plan_text(plan *p) {
    bool generates = lot(2);
    begin(p, generates ? "generate" : "perplexity", PICK(texts));
    add(p, "-t%zu", 1 + lot(3));
    p->flows = generates;
    if (generates) {
        add(p, "-n%zu", 1 + lot(60));
        add(p, "%s", lot(8) ? "In the beginning" : "");
    } else {
        add(p, "--context=%zu", 16 + lot(200));
        add(p, "--max-bytes=%zu", 1 + lot(3000));
        add(p, "--by-position=loss.csv");
        add(p, VT_SOURCE_DIR "/weights/positions/heldout.txt");
    }
}

static void plan_pack(plan *p) {
    static const char *const precisions[] = {"f32", "f16", "bf16", "int8"};
    begin(p, "pack", PICK(models));
    add(p, "--precision=%s", PICK(precisions));
    add(p, "--output=repacked");
}

static void plan_sweep(plan *p) {
    begin(p, "sweep", PICK(models));
    add(p, "--sizes=32:%zu:32", 32 + lot(100));
    add(p, "--output=swept");
    add(p, "-t%zu", 1 + lot(2));
    if (lot(2))
        add(p, "--resume");
    add(p, "%s", PICK(pictures));
}

static void plan_bench(plan *p) {
    begin(p, "bench", PICK(models));
    add(p, "--runs=%zu", 1 + lot(3));
    add(p, "-t%zu", 1 + lot(2));
}

static void plan_models(plan *p) {
    add(p, "models");
    p->json = lot(2);
    if (p->json)
        add(p, "--format=json");
}

static void plan_other(plan *p) {
    static const char *const words[] = {"models", "help", "--version", "clasify", "", "--top=3"};
    add(p, "%s", PICK(words));
    if (lot(2))
        add(p, "%s", PICK(words));
}

/* The lighter ones more often. */
static void (*const plans[])(plan *) = {
    plan_classify, plan_classify,  plan_classify,  plan_head,    plan_filter,    plan_filter,
    plan_filter,   plan_embed,     plan_embed,     plan_pca,     plan_zeroshot,  plan_zeroshot,
    plan_dump,     plan_attention, plan_attention, plan_similar, plan_cluster,   plan_stream,
    plan_stream,   plan_stream,    plan_inspect,   plan_fit,     plan_fit_again, plan_fit_again,
    plan_text,     plan_text,      plan_pack,      plan_sweep,   plan_bench,     plan_models,
    plan_other,
};

/* ---- files --------------------------------------------------------------------------------- */

static void damage_copy(const char *from, const char *to, void (*damage)(blob *)) {
    remove(to);
    if (access(from, F_OK) != 0)
        return;
    blob b = blob_read(from);
    for (size_t i = lot(4); i > 0; i--)
        if (damage && lot(2))
            damage(&b);
        else
            damage_bytes(&b, lot(2) ? 0 : 4096);
    blob_write(to, &b);
    blob_free(&b);
}

static void damage_all(void) {
    const char *model = models[lot(SOUND_MODELS)];
    char from[LONGEST];
    snprintf(from, sizeof from, "%s/config.json", model);
    damage_copy(from, "broken/config.json", damage_json);
    snprintf(from, sizeof from, "%s/preprocessor_config.json", model);
    damage_copy(from, "broken/preprocessor_config.json", damage_json);
    snprintf(from, sizeof from, "%s/model.safetensors", model);
    damage_copy(from, "broken/model.safetensors", damage_safetensors);
    damage_copy(pictures[FIRST_FILE + lot(SOUND_FILES)], "damaged", NULL);
    damage_copy("movie.y4m", "damaged.y4m", NULL);
    damage_copy("movie.mjpeg", "damaged.mjpeg", NULL);
    damage_copy("fitted.safetensors", "damaged.safetensors", damage_safetensors);
}

void plan_draw(plan *p) {
    *p = (plan){.count = 0};
    damage_all();
    add(p, "vitrine");
    PICK(plans)(p);
}

/* Frames of noise, raw and gray, of 16 x 16, and as Y4M, of 32 x 24. */
static void write_frames(void) {
    FILE *raw = fopen("frames.raw", "wb"), *movie = fopen("movie.y4m", "wb");
    if (!raw || !movie)
        die("frames.raw");
    fputs("YUV4MPEG2 W32 H24 F25:1 C420jpeg\n", movie);
    for (size_t frame = 0; frame < 30; frame++) {
        fputs("FRAME\n", movie);
        for (size_t i = 0; i < 32 * 24 * 3 / 2; i++)
            fputc((int)lot(256), movie);
        for (size_t i = 0; i < 16 * 16; i++)
            fputc((int)lot(256), raw);
    }
    if (fclose(raw) != 0 || fclose(movie) != 0)
        die("movie.y4m");
}

static void shell(const char *line, const char *command) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-ec", line, command, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die(line);
}

void plans_prepare(const char *command) {
    write_frames();
    shell("mkdir broken tmp album album/a album/b clip\n"
          "\"$0\" pack -q -m " SMALL " -o packed > prepare.log\n"
          "cp " PICTURE "emoji/* album/a; cp " PICTURE "photos/* album/b\n"
          "\"$0\" fit -q --no-cache -m " SMALL " album -o fitted.safetensors >> prepare.log\n"
          "for n in 1 2 3 4; do cat " IMAGE "baseline420.jpg " IMAGE "gray.jpg " IMAGE
          "progressive.jpg; done > movie.mjpeg\n"
          "for n in y4m mjpeg; do head -c 5000 movie.$n > cut.$n; done\n"
          "head -c 5000 frames.raw > cut.raw\n"
          "{ find album -type f | sort; echo no-such-picture; echo list.txt; } > list.txt\n"
          "cp " CASE "hf_clip/*.json " CASE "hf_clip/model.safetensors clip\n"
          "echo '{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"vocab\": "
          "{\"[UNK]\": 0, \"a\": 1, \"b\": 2, \"c\": 3, \"photo\": 4, \"of\": 5}, "
          "\"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100}, "
          "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}}' > clip/tokenizer.json\n"
          "hub=.cache/huggingface/hub/models--org--vit\n"
          "commit=0123456789abcdef0123456789abcdef01234567\n"
          "mkdir -p $hub/refs $hub/blobs $hub/snapshots/$commit\n"
          "printf $commit > $hub/refs/main\n"
          "for f in config.json model.safetensors; do cp " SMALL "/$f $hub/blobs/$f\n"
          "ln -s ../../blobs/$f $hub/snapshots/$commit/$f; done\n",
          command);
}
