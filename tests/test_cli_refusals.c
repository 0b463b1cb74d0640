/* SPDX-License-Identifier: MIT
 *
 * Requests that can't be met: what a command is told that does not go together, or that the model
 * at hand can't do, ends with the code for it and a line that says which, before anything is run.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

static command_result ran;

#define WORDS VT_SOURCE_DIR "/weights/positions/rope"
#define SIGLIP VT_TEST_DATA "/golden/hf_siglip"
#define NAFLEX VT_TEST_DATA "/golden/hf_siglip2_naflex"

typedef struct refusal {
    const char *arguments[12];
    int code;
    const char *message; /* how the line goes on after "vitrine: " */
} refusal;

/* Several of these, or none. */
static const refusal operands[] = {
    {{"embed", "--format=json", "--text=a", "cat.png"}, 2, "both pictures and text given\n"},
    {{"embed", "--format=json"}, 2, "no picture given, and no --text\n"},
    {{"zeroshot", "-m", SIGLIP, "cat.png"}, 2, "expected one of --labels and --load-labels\n"},
    {{"zeroshot", "--labels=a", "--load-labels=b", "cat.png"},
     2,
     "expected one of --labels and --load-labels\n"},
    {{"zeroshot", "--labels=a"}, 2, "no picture given\n"},
    {{"similar"}, 2, "no picture given\n"},
    {{"cluster"}, 2, "no folder or picture given\n"},
    {{"help", "classify", "embed"}, 2, "unexpected 'embed'\n"},
    {{"pack", "model", "-o", "packed"}, 2, "unexpected 'model': a model is named with -m\n"},
    {{"generate", "-m", WORDS}, 2, "expected one prompt, found 0 (quote it)\n"},
    {{"generate", "-m", WORDS, "In", "the"}, 2, "expected one prompt, found 2 (quote it)\n"},
    {{"generate", "-m", WORDS, ""}, 2, "the prompt is empty\n"},
    {{"perplexity", "-m", WORDS}, 2, "expected one file of text, found 0\n"},
    {{"sweep", "-o", "swept", "nothing"},
     1,
     "nothing: no picture in this directory\nvitrine: sweep: no picture found\n"},
};

/* Options that ask for something else than the operands give. */
static const refusal options[] = {
    {{"embed", "--pool=cls", "--format=json", "--text=a"}, 2, "--pool=cls is for pictures\n"},
    {{"embed", "--pca=out.png", "--text=a"}, 2, "--pca is for pictures\n"},
    {{"embed", "--skip-done=x", "--format=json", "--text=a"}, 2, "--skip-done is for pictures\n"},
    {{"attention", "-m", "model", "--method=head:9", "-o", "x.npy", "cat.png"}, 2, "--method"},
    {{"help", "environment", "--man"}, 2, "'environment' is in the page of vitrine itself\n"},
    {{"pack", "-m", "model", "-o", "packed", "--backend=scalar"}, 2, ""},
};

/* What this model can't do. */
static const refusal models[] = {
    {{"embed", "-m", SIGLIP, "--pool=cls", "--format=json", "cat.png"},
     2,
     "--pool=cls: the model has no class token\n"},
    {{"perplexity", "-m", "model", "list.txt"}, 2, "the model takes no text\n"},
    {{"generate", "-m", "model", "a"}, 2, "the model takes no text\n"},
    {{"classify", "-m", WORDS, "cat.png"}, 3, WORDS ": "},
    {{"attention", "-m", WORDS, "-o", "x.npy", "cat.png"}, 3, WORDS ": "},
    {{"zeroshot", "-m", "model", "--labels=a", "cat.png"}, 2, ""},
    {{"inspect", "-m", WORDS, "--pos-map", "x.npy"}, 3, WORDS ": "},
    {{"zeroshot", "-m", SIGLIP, "--labels= , ,", "cat.png"}, 2, "--labels: no label in ' , ,'\n"},
};

/* Files that are not there, or hold something else. */
static const refusal files[] = {
    {{"embed", "-m", WORDS, "--format=json", "--text-from=gone"},
     1,
     "gone: No such file or directory\n"},
    {{"dump", "-m", "model", "--input=gone", "-o", "x.safetensors"},
     1,
     "gone: No such file or directory\n"},
    {{"dump", "-m", WORDS, "--input=floats.safetensors", "-o", "x.safetensors"},
     1,
     "floats.safetensors: input_ids: expected I64 [N,T]\n"},
    {{"inspect", "-m", "model", "list.txt"}, 1, "list.txt: "},
    {{"inspect", "-m", "model", "gone"}, 1, "gone: No such file or directory\n"},
    {{"dump", "-m", NAFLEX, "gone", "-o", "x.safetensors"}, 1, "gone: No such file or directory\n"},
    {{"embed", "-m", "model", "--pca=x.png", "list.txt"}, 1, "list.txt: "},
    {{"perplexity", "-m", WORDS, "gone"}, 1, "gone: No such file or directory\n"},
};

static void check(const refusal *r) {
    const char *argv[16] = {"vitrine"};
    static const char usage[] = "Try 'vitrine ";
    char expected[1024];
    size_t count = 1;
    for (; r->arguments[count - 1]; count++)
        argv[count] = r->arguments[count - 1];
    argv[count] = NULL;
    command_run_list(&ran, argv);
    int length = snprintf(expected, sizeof expected, "vitrine: %s", r->message);
    if (ran.code != r->code || strncmp(ran.err, expected, (size_t)length) != 0 || *ran.out)
        fail_msg("%s %s: expected code %d and \"%s\", found %d: %s%s", r->arguments[0],
                 r->arguments[1] ? r->arguments[1] : "", r->code, r->message, ran.code, ran.err,
                 ran.out);
    const char *second = strchr(ran.err, '\n') + 1;
    assert_int_equal(strncmp(second, usage, strlen(usage)) == 0, r->code == 2);
    assert_int_not_equal(access("x.npy", F_OK), 0);
    assert_int_not_equal(access("x.safetensors", F_OK), 0);
    assert_int_not_equal(access("packed", F_OK), 0);
}

static void check_all(const refusal *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        check(&all[i]);
}

static void test_operands(void **state) {
    (void)state;
    check_all(operands, sizeof operands / sizeof *operands);
}

static void test_options(void **state) {
    (void)state;
    check_all(options, sizeof options / sizeof *options);
}

static void test_models(void **state) {
    (void)state;
    check_all(models, sizeof models / sizeof *models);
}

static void test_files(void **state) {
    (void)state;
    check_all(files, sizeof files / sizeof *files);
}

static int set_up(void **state) {
    static const float numbers[4];
    const vt_tensor floats = {"input_ids", VT_DTYPE_F32, 2, {2, 2}, numbers, sizeof numbers};
    if (command_workspace(state) != 0 || mkdir("nothing", 0700))
        return -1;
    write_file("list.txt", "cat.png\n", 8);
    return vt_tensor_file_write("floats.safetensors", &floats, 1, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests_name("requests that can't be met", tests, set_up,
                                       command_cleanup);
}
