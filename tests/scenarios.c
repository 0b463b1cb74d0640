/* SPDX-License-Identifier: MIT */
#include "scenarios.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"
#include "support.h"
#include "vitrine.h"

static const scenario scenarios[] = {
    {"classify",
     {"vitrine", "classify", "-t1", "-m", "model", "cat.png", "rocket.jpg"},
     .prints = true},
    {"classify a folder, in batches, by two threads",
     {"vitrine", "classify", "-t2", "--batch=2", "--format=csv", "-m", "model", "album"},
     .prints = true},
    {"classify with merging and a list of files",
     {"vitrine", "classify", "-t1", "--merge=2", "-m", "model", "--files-from=list.txt"},
     .prints = true},
    {"classify with a head",
     {"vitrine", "classify", "-t1", "-m", "model", "--head", "head.safetensors", "cat.png"},
     .prints = true},
    {"classify with a packed model",
     {"vitrine", "classify", "-t1", "-m", "packed", "cat.png"},
     .prints = true},
    {"fit",
     {"vitrine", "fit", "-t1", "--no-cache", "--folds=2", "-m", "model", "album", "-o",
      "out.safetensors"},
     .output = "out.safetensors",
     .prints = true},
    {"fit, and draw",
     {"vitrine", "fit", "-t1", "--no-cache", "--folds=2", "-m", "model", "album", "-o",
      "out.safetensors", "--confusion", "out.svg"},
     .output = "out.svg",
     .draws = true},
    {"fit with features that were kept",
     {"vitrine", "fit", "-q", "-t1", "--folds=2", "-m", "model", "album", "-o", "out.safetensors"},
     .output = "out.safetensors"},
    {"zeroshot",
     {"vitrine", "zeroshot", "-t1", "-m", "clip", "--labels", "a,b", "--save-labels",
      "out.safetensors", "cat.png"},
     .output = "out.safetensors",
     .prints = true},
    {"zeroshot with labels that were kept",
     {"vitrine", "zeroshot", "-t1", "-m", "clip", "--load-labels", "labels.safetensors", "cat.png"},
     .prints = true},
    {"embed",
     {"vitrine", "embed", "-t1", "-m", "model", "-o", "out.npy", "cat.png", "rocket.jpg"},
     .output = "out.npy"},
    {"embed tokens as JSON",
     {"vitrine", "embed", "-t1", "-m", "model", "--pool=tokens", "--format=json", "cat.png"},
     .prints = true},
    {"embed texts",
     {"vitrine", "embed", "-t1", "-m", "clip", "--text", "a b c", "--format=json"},
     .prints = true},
    {"embed, and draw the patches",
     {"vitrine", "embed", "-t1", "-m", "model", "--pca", "out.png", "cat.png", "rocket.jpg"},
     .output = "out.png",
     .draws = true},
    {"embed what is not done",
     {"vitrine", "embed", "-t1", "-m", "model", "--format=json", "--skip-done=done.jsonl",
      "cat.png", "rocket.jpg"},
     .prints = true},
    {"attention, drawn",
     {"vitrine", "attention", "-q", "-t1", "-m", "model", "cat.png", "-o", "out.png"},
     .output = "out.png",
     .draws = true},
    {"attention as an array",
     {"vitrine", "attention", "-q", "-t1", "-m", "model", "--method=last", "cat.png", "-o",
      "out.npy"},
     .output = "out.npy"},
    {"similar, drawn",
     {"vitrine", "similar", "-t1", "-m", "model", "--grid", "out.png", "cat.png", "album"},
     .output = "out.png",
     .prints = true,
     .draws = true},
    {"cluster",
     {"vitrine", "cluster", "-t1", "-m", "model", "-k2", "--duplicates=0.9", "album"},
     .prints = true},
    {"stream",
     {"vitrine", "stream", "-q", "-t1", "-m", "model", "movie.y4m"},
     .prints = true,
     .varies = true},
    {"stream of raw frames, two waiting",
     {"vitrine", "stream", "-q", "-t1", "-m", "model", "--format=gray", "--size=16x16",
      "--drop=queue:2", "frames.raw"},
     .prints = true,
     .varies = true},
    {"inspect", {"vitrine", "inspect", "-m", "model", "--tensors"}, .prints = true},
    {"inspect as JSON, with a picture",
     {"vitrine", "inspect", "-m", "model", "--format=json", "cat.png"},
     .prints = true},
    {"a map of positions",
     {"vitrine", "inspect", "-m", "model", "--size=32", "--pos-map", "out.npy"},
     .output = "out.npy",
     .prints = true},
    {"draw a map of positions",
     {"vitrine", "inspect", "-m", "model", "--pos-map", "out.svg"},
     .output = "out.svg",
     .prints = true,
     .draws = true},
    {"dump",
     {"vitrine", "dump", "-t1", "-m", "model", "cat.png", "-o", "out.safetensors", "--blocks"},
     .output = "out.safetensors",
     .prints = true},
    {"dump the stages of a text",
     {"vitrine", "dump", "-t1", "-m", "words", "--input", "ids.safetensors", "-o",
      "out.safetensors"},
     .output = "out.safetensors",
     .prints = true},
    {"perplexity",
     {"vitrine", "perplexity", "-t1", "-m", "words", "--context=32", "--max-bytes=64",
      "--by-position", "out.csv", "text.txt"},
     .output = "out.csv",
     .prints = true},
    {"generate",
     {"vitrine", "generate", "-t1", "-m", "words", "-n", "4", "In the"},
     .prints = true,
     .flows = true},
    {"bench",
     {"vitrine", "bench", "-t1", "--runs=1", "-m", "model"},
     .prints = true,
     .varies = true},
    {"sweep",
     {"vitrine", "sweep", "-q", "--sizes=32", "-t1", "-m", "model", "-o", "swept", "cat.png"},
     .output = "swept/sweep.csv",
     .draws = true},
    {"pack",
     {"vitrine", "pack", "-t1", "-m", "model", "-o", "out.packed"},
     .output = "out.packed/packed.safetensors",
     .prints = true},
    {"models", {"vitrine", "models"}, .prints = true},
    {"help", {"vitrine", "help"}, .prints = true},
    {"help of a command", {"vitrine", "sweep", "--help"}, .prints = true},
};

const scenario *scenario_at(size_t index) {
    return index < sizeof scenarios / sizeof *scenarios ? &scenarios[index] : NULL;
}

static void link_picture(const char *folder, const char *name, const char *picture) {
    char path[128], target[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(target, sizeof target, "../../%s", picture);
    assert_int_equal(symlink(target, path), 0);
}

static void run(const char *const *argv) {
    command_result ran = {0};
    command_run_list(&ran, argv);
    assert_ran(&ran, 0, NULL, "");
    command_free(&ran);
}

/* A model of pictures and texts, and a tokenizer for it that knows a few words. */
static void prepare_clip(void) {
    static const char tokenizer[] =
        "{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"vocab\": {\"[UNK]\": 0, "
        "\"a\": 1, \"b\": 2, \"c\": 3, \"photo\": 4, \"of\": 5}, "
        "\"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100}, "
        "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}}";
    static const char *const files[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json"};
    assert_int_equal(mkdir("clip", 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char target[512], path[64];
        snprintf(target, sizeof target, "%s/golden/hf_clip/%s", VT_TEST_DATA, files[i]);
        snprintf(path, sizeof path, "clip/%s", files[i]);
        copy_file(target, path);
    }
    write_file("clip/tokenizer.json", tokenizer, sizeof tokenizer - 1);
}

/* Two texts of four tokens, for dump. */
static void prepare_ids(void) {
    static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const vt_tensor tensor = {"input_ids", VT_DTYPE_I64, 2, {2, 4}, ids, sizeof ids};
    assert_int_equal(vt_tensor_file_write("ids.safetensors", &tensor, 1, NULL), VT_OK);
}

/* Three frames of noise, 16 x 16, gray, raw and as Y4M. */
static void prepare_streams(void) {
    static const char header[] = "YUV4MPEG2 W16 H16 F25:1 Cmono\n", mark[] = "FRAME\n";
    unsigned char pixels[16 * 16];
    test_random random = {16};
    FILE *raw = fopen("frames.raw", "wb"), *movie = fopen("movie.y4m", "wb");
    assert_true(raw && movie);
    fputs(header, movie);
    for (int frame = 0; frame < 3; frame++) {
        for (size_t i = 0; i < sizeof pixels; i++)
            pixels[i] = (unsigned char)random_below(&random, 256);
        fwrite(pixels, 1, sizeof pixels, raw);
        fputs(mark, movie);
        fwrite(pixels, 1, sizeof pixels, movie);
    }
    assert_true(fclose(raw) == 0 && fclose(movie) == 0);
}

void scenarios_prepare(void) {
    prepare_clip();
    assert_int_equal(symlink(VT_SOURCE_DIR "/weights/positions/rope", "words"), 0);
    assert_int_equal(mkdir("album", 0700), 0);
    assert_int_equal(mkdir("album/a", 0700), 0);
    assert_int_equal(mkdir("album/b", 0700), 0);
    assert_int_equal(
        symlink(VT_SOURCE_DIR "/images/emoji/french-fries_noto-v1_256.png", "fries.png"), 0);
    link_picture("album/a", "1.png", "cat.png");
    link_picture("album/a", "2.png", "rainbow.png");
    link_picture("album/b", "1.jpg", "rocket.jpg");
    link_picture("album/b", "2.png", "fries.png");
    write_file("list.txt", "cat.png\nrocket.jpg\n", 19);
    write_file("text.txt", "In the beginning God created the heaven and the earth, and so on.\n",
               66);
    write_file("done.jsonl", "{\"image\": \"cat.png\"}\n", 21);
    prepare_ids();
    prepare_streams();
    run((const char *const[]){"vitrine", "fit", "-q", "-m", "model", "--no-cache", "album", "-o",
                              "head.safetensors", NULL});
    run((const char *const[]){"vitrine", "pack", "-m", "model", "-o", "packed", NULL});
    run((const char *const[]){"vitrine", "zeroshot", "-m", "clip", "--labels", "a,b",
                              "--save-labels", "labels.safetensors", NULL});
}
