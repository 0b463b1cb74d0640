/* SPDX-License-Identifier: MIT
 *
 * How `stream` goes on: what is dropped and counted when frames come too fast, answers as soon as a
 * frame is there, averages, interruptions, and memory that does not grow. Nothing is timed: a
 * command is slow because what it prints is not read.
 */
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "colours.h"
#include "stream_lines.h"

/* So many frames, and so many lines, are more than two pipes hold. */
enum { EDGE = 16, FRAME_BYTES = EDGE * EDGE, MANY = 2000 };

static command_result ran;
static stream_line lines[MANY + 1];

/* Frames of 16x16 GRAY8, each another one. */
static void make_frames(unsigned char *out, size_t count) {
    test_random random = {3};
    for (size_t i = 0; i < count * FRAME_BYTES; i++)
        out[i] = (unsigned char)random_bits(&random);
}

static unsigned char frames[MANY * FRAME_BYTES];

#define STREAM_GRAY "stream", "-mmodel", "-t1", "-k1", "--format=gray", "--size=16x16"

/* Frames are in order, and each was either classified or dropped. Returns how many lines. */
static size_t check_accounts(void) {
    size_t count = read_stream_lines(lines, MANY, ran.out);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(lines[i].error, "");
        assert_true(i == 0 || lines[i].frame > lines[i - 1].frame);
        assert_int_equal(lines[i].frame + 1, (long)(i + 1) + lines[i].dropped);
    }
    return count;
}

/* What the command said, which must be its summary alone. Returns how many frames it read. */
static size_t expect_summary(size_t num_failed, size_t num_classified) {
    size_t frames_read, dropped, failed, classified;
    double rate, p50, p95, p99;
    int used = 0;
    int found =
        sscanf(ran.err,
               "vitrine: note: %zu frames: %zu dropped, %zu failed, %zu classified "
               "(%lf/s); latency p50 %lf, p95 %lf, p99 %lf ms%n",
               &frames_read, &dropped, &failed, &classified, &rate, &p50, &p95, &p99, &used);
    if (found != 8 || strcmp(ran.err + used, "\n") != 0)
        fail_msg("no summary: %s", ran.err);
    assert_int_equal(failed, num_failed);
    assert_int_equal(classified, num_classified);
    assert_int_equal(frames_read, dropped + failed + classified);
    assert_true(rate > 0 && p50 > 0 && p50 <= p95 && p95 <= p99);
    return frames_read;
}

/* What it still prints, to ran.out; and its end: the signal, or 0. */
static int take_rest(command_process *p) {
    size_t used = 0, capacity = (size_t)MANY * 1024;
    char *text = calloc(capacity, 1);
    assert_non_null(text);
    for (char *line; (line = command_receive(p)); free(line))
        used += (size_t)snprintf(text + used, capacity - used, "%s\n", line);
    assert_true(used < capacity);
    int number = command_close(&ran, p);
    free(ran.out);
    ran.out = text;
    return number;
}

static void finish(command_process *p) {
    assert_int_equal(take_rest(p), 0);
}

static void end_input(command_process *p) {
    close(p->in);
    p->in = -1;
}

/* ---- dropping ------------------------------------------------------------------------------ */

/* Frames are written, all of them, before a line is read: the command can print so much as a pipe
 * holds, and reads all the same. Returns how many were classified. */
static size_t overfeed(const char *drop) {
    command_process p;
    command_open(&p, NULL, STREAM_GRAY, drop, "-", NULL);
    command_send_bytes(&p, frames, sizeof frames);
    end_input(&p);
    finish(&p);
    size_t count = check_accounts();
    assert_int_equal(ran.code, 0);
    assert_int_equal(expect_summary(0, count), MANY);
    assert_in_range(count, 1, MANY / 3);
    return count;
}

static void test_latest(void **state) {
    (void)state;
    size_t count = overfeed("--drop=latest");
    assert_int_equal(lines[count - 1].frame, MANY - 1);
}

/* A pipe is taken for a camera. */
static void test_latest_is_default_of_pipes(void **state) {
    (void)state;
    size_t count = overfeed("--mirror");
    assert_int_equal(lines[count - 1].frame, MANY - 1);
}

/* Those that wait are the newest, and all of them are classified in the end. */
static void test_queue(void **state) {
    enum { WAITING = 7 };
    (void)state;
    size_t count = overfeed("--drop=queue:7");
    for (size_t i = 0; i < WAITING; i++)
        assert_int_equal(lines[count - 1 - i].frame, (long)(MANY - 1 - i));
}

static void *write_frames(void *context) {
    command_process *p = context;
    command_send_bytes(p, frames, sizeof frames);
    end_input(p);
    return NULL;
}

/* The writer waits. */
static void test_none(void **state) {
    command_process p;
    pthread_t writer;
    (void)state;
    command_open(&p, NULL, STREAM_GRAY, "--drop=none", "-", NULL);
    assert_int_equal(pthread_create(&writer, NULL, write_frames, &p), 0);
    for (long i = 0; i < MANY; i++) {
        char *line = command_receive(&p);
        assert_non_null(line);
        read_stream_line(&lines[0], line);
        assert_true(lines[0].frame == i && lines[0].dropped == 0);
        free(line);
    }
    pthread_join(writer, NULL);
    finish(&p);
    assert_ran(&ran, 0, "", NULL);
    assert_int_equal(expect_summary(0, MANY), MANY);
}

/* A file can wait. */
static void test_file(void **state) {
    (void)state;
    write_file("raw", frames, sizeof frames);
    command_run(&ran, NULL, "stream", "-mmodel", "-t1", "-k1", "--format=gray", "--size=16x16",
                "--fps=1000", "raw", NULL);
    assert_ran(&ran, 0, NULL, NULL);
    assert_int_equal(check_accounts(), MANY);
    assert_int_equal(expect_summary(0, MANY), MANY);
    assert_int_equal(lines[MANY - 1].pts_us, 1000 * (MANY - 1));
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Where a process stands in a file that it reads; -1: nowhere. */
static long offset_in(int process, const char *name) {
    char path[64], target[256];
    long offset = -1;
    for (int file = 0; file < 16 && offset < 0; file++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", process, file);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        const char *slash = strrchr(target, '/');
        if (!slash || strcmp(slash + 1, name) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", process, file);
        FILE *info = fopen(path, "r");
        if (info && fscanf(info, "pos: %ld", &offset) != 1)
            offset = -1;
        if (info)
            fclose(info);
    }
    return offset;
}

static bool has_ended(int process) {
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == process;
}

/* Played as a camera would, a file is read to its end though nobody reads what is printed; where
 * few frames are classified, a pipe holds it all, and the command ends. No frame is there before it
 * is due. */
static void test_realtime(void **state) {
    enum { TRIES = 6000, LAST_US = 250 * (MANY - 1) };
    command_process p;
    int tries = 0;
    (void)state;
    write_file("raw", frames, sizeof frames);
    int64_t begun_us = now_us();
    command_open(&p, NULL, STREAM_GRAY, "--realtime", "--fps=4000", "raw", NULL);
    while (offset_in(p.id, "raw") < (long)sizeof frames && !has_ended(p.id) && tries++ < TRIES)
        usleep(10000);
    assert_true(tries < TRIES);
    finish(&p);
    size_t count = check_accounts();
    assert_in_range(count, 1, MANY / 3);
    assert_int_equal(expect_summary(0, count), MANY);
    assert_int_equal(lines[count - 1].frame, MANY - 1);
    assert_int_equal(lines[count - 1].pts_us, LAST_US);
    assert_true(lines[count - 1].arrival_us >= begun_us + LAST_US);
}

/* ---- as it comes --------------------------------------------------------------------------- */

static void expect_frame(command_process *p, long number) {
    char *line = command_receive(p);
    assert_non_null(line);
    read_stream_line(&lines[0], line);
    assert_string_equal(lines[0].error, "");
    assert_int_equal(lines[0].frame, number);
    free(line);
}

/* A frame is answered when its last byte is there, whatever comes after it, in whatever pieces. */
static void feed_slowly(command_process *p, const void *header, size_t header_size,
                        const void *frame, size_t size) {
    const unsigned char *bytes = frame;
    command_send_bytes(p, header, header_size);
    for (long i = 0; i < 4; i++) {
        size_t piece = i == 1 ? 1 : i == 2 ? 100 : size;
        for (size_t at = 0; at < size; at += piece)
            command_send_bytes(p, bytes + at, size - at < piece ? size - at : piece);
        expect_frame(p, i);
    }
    end_input(p);
    finish(p);
    assert_ran(&ran, 0, "", "");
}

static void test_slow_feeder(void **state) {
    command_process p;
    static const char header[] = "YUV4MPEG2 W16 H16 F25:1 Cmono\n";
    unsigned char frame[6 + FRAME_BYTES] = "FRAME\n";
    size_t size;
    unsigned char *jpeg = read_bytes(data_path("images", "progressive.jpg", NULL), &size);
    (void)state;
    memcpy(frame + 6, frames, FRAME_BYTES);
    command_open(&p, NULL, STREAM_GRAY, "-q", "-", NULL);
    feed_slowly(&p, "", 0, frames, FRAME_BYTES);
    command_open(&p, NULL, "stream", "-mmodel", "-q", "-", NULL);
    feed_slowly(&p, header, sizeof header - 1, frame, sizeof frame);
    command_open(&p, NULL, "stream", "-mmodel", "-q", "-", NULL);
    feed_slowly(&p, "", 0, jpeg, size);
    free(jpeg);
}

static void *write_to_fifo(void *context) {
    FILE *file = fopen("fifo", "wb");
    assert_non_null(file);
    fwrite(context, 1, 3 * FRAME_BYTES, file);
    fclose(file);
    return NULL;
}

static void test_fifo(void **state) {
    pthread_t writer;
    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_to_fifo, frames), 0);
    command_run(&ran, NULL, "stream", "-mmodel", "-q", "--drop=queue:3", "--format=gray",
                "--size=16x16", "fifo", NULL);
    pthread_join(writer, NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(check_accounts(), 3);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void test_interrupted_pipe(void **state) {
    (void)state;
    for (int number = SIGINT; number <= SIGTERM; number += SIGTERM - SIGINT) {
        command_process p;
        command_open(&p, NULL, STREAM_GRAY, "-", NULL);
        command_send_bytes(&p, frames, FRAME_BYTES + FRAME_BYTES / 2); /* one is cut */
        expect_frame(&p, 0);
        kill(p.id, number);
        finish(&p);
        assert_ran(&ran, 0, "", NULL);
        assert_int_equal(expect_summary(0, 1), 1);
    }
}

/* While the command waits for somebody to read its next line: what fills a pipe is a little less
 * than its capacity. */
static void interrupt(const command_process *p, int number) {
    enum { TRIES = 6000, PAUSE_US = 50000 };
    int there = 0, capacity = fcntl(p->out, F_GETPIPE_SZ);
    for (int tries = 0; there < capacity / 8 * 7; tries++) {
        assert_int_equal(ioctl(p->out, FIONREAD, &there), 0);
        assert_true(tries < TRIES);
        usleep(10000);
    }
    usleep(PAUSE_US);
    kill(p->id, number);
    usleep(PAUSE_US);
}

/* Frames that wait are left out. */
static void test_interrupted_queue(void **state) {
    command_process p;
    (void)state;
    command_open(&p, NULL, STREAM_GRAY, "--drop=queue:1000", "-", NULL);
    command_send_bytes(&p, frames, sizeof frames);
    interrupt(&p, SIGINT);
    finish(&p);
    assert_int_equal(ran.code, 0);
    size_t count = check_accounts();
    assert_in_range(expect_summary(0, count), MANY / 2, MANY);
    assert_in_range(count, 1, MANY / 3);
}

/* While it waits for its first frame: nothing is said of frames, and it ends. */
static void test_interrupted_before_the_first(void **state) {
    command_process p;
    (void)state;
    command_open(&p, NULL, STREAM_GRAY, "--verbose", "-", NULL);
    for (bool ready = false; !ready;) {
        char *said = read_text_file(".stderr");
        ready = strstr(said, "session created");
        free(said);
        usleep(10000);
    }
    kill(p.id, SIGINT);
    assert_null(command_receive(&p));
    command_close(&ran, &p);
    assert_null(strstr(ran.err, "frame"));
}

/* What is left of a file was not looked at: the command ends by the signal. The line in work is
 * finished. */
static void test_interrupted_file(void **state) {
    command_process p;
    (void)state;
    write_file("raw", frames, sizeof frames);
    command_open(&p, NULL, STREAM_GRAY, "raw", NULL);
    interrupt(&p, SIGTERM);
    assert_int_equal(take_rest(&p), SIGTERM);
    size_t count = check_accounts();
    assert_in_range(count, 1, MANY / 3);
    assert_int_equal(lines[count - 1].frame, count - 1);
    expect_summary(0, count);
}

/* Whoever reads the lines has enough. */
static void test_closed_output(void **state) {
    command_process p;
    (void)state;
    command_open(&p, NULL, STREAM_GRAY, "-", NULL);
    command_send_bytes(&p, frames, FRAME_BYTES);
    expect_frame(&p, 0);
    close(p.out);
    p.out = -1;
    command_send_bytes(&p, frames, FRAME_BYTES);
    siginfo_t info; /* it ends though its input is still open */
    assert_int_equal(waitid(P_PID, (id_t)p.id, &info, WEXITED | WNOWAIT), 0);
    command_close(&ran, &p);
    assert_ran(&ran, 1, "", "");
}

static void test_full_disk(void **state) {
    (void)state;
    write_file("raw", frames, 3 * FRAME_BYTES);
    command_run_to(&ran, "/dev/full", "stream", "-mmodel", "--format=gray", "--size=16x16", "raw",
                   NULL);
    assert_ran(&ran, 1, NULL, "vitrine: standard output: No space left on device\n");
}

/* ---- averages, and classes of one's own ---------------------------------------------------- */

static double score_of(const stream_line *line, size_t index) {
    for (size_t i = 0; i < line->count; i++)
        if (line->best[i].index == index)
            return (double)line->best[i].score;
    fail_msg("frame %ld: no class %zu", line->frame, index);
    return 0;
}

/* Over the frames 0 to 3 of "raw" with that model: average = factor * scores + (1 - factor) *
 * average. */
static void check_smoothing(char *folder, char *option, double factor) {
    enum { CLASSES = 10, COUNT = 4 };
    stream_line plain[COUNT];
    double average[CLASSES];
    command_run(&ran, NULL, "stream", "-m", folder, "-qk10", "--format=gray", "--size=16x16", "raw",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(read_stream_lines(plain, COUNT, ran.out), COUNT);
    command_run(&ran, NULL, "stream", "-m", folder, "-qk10", "--format=gray", "--size=16x16",
                option, "raw", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(read_stream_lines(lines, COUNT, ran.out), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t c = 0; c < CLASSES; c++) {
            double score = score_of(&plain[i], c);
            average[c] = i ? factor * score + (1 - factor) * average[c] : score;
            assert_float_equal(score_of(&lines[i], c), average[c], 1e-5 * average[c]);
            assert_true(c == 0 || lines[i].best[c].score <= lines[i].best[c - 1].score);
        }
}

static void test_smoothing(void **state) {
    vt_prediction most = {0};
    (void)state;
    write_file("raw", frames, 4 * FRAME_BYTES);
    check_smoothing("model", "--smooth=0.25", 0.25);
    check_smoothing("model", "--smooth=1", 1);
    command_run(&ran, NULL, "stream", "-mmodel", "-qk1", "--format=gray", "--size=16x16",
                "--smooth=.5", "raw", NULL);
    read_stream_lines(lines, 4, ran.out);
    assert_int_equal(lines[3].count, 1);
    most = lines[3].best[0];
    command_run(&ran, NULL, "stream", "-mmodel", "-qk10", "--format=gray", "--size=16x16",
                "--smooth=.5", "raw", NULL);
    read_stream_lines(lines, 4, ran.out);
    assert_true(lines[3].best[0].index == most.index && lines[3].best[0].score == most.score);
}

/* A model of many labels, whose scores are sigmoids. */
static void test_smoothing_of_labels(void **state) {
    test_model own;
    (void)state;
    write_file("raw", frames, 4 * FRAME_BYTES);
    load_test_model(&own, "hf_vit");
    json_object_set_new(own.config, "problem_type", json_string("multi_label_classification"));
    make_folder("labels");
    write_test_model(&own, "labels");
    free_test_model(&own);
    check_smoothing("labels", "--smooth=0.6", 0.6);
    double sum = 0;
    for (size_t i = 0; i < lines[0].count; i++)
        sum += (double)lines[0].best[i].score;
    assert_true(fabs(sum - 1) > 0.1); /* no softmax */
}

/* The frame that `classify --head` sees as a picture. */
static void test_head(void **state) {
    size_t size;
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    unsigned char *red = read_bytes("red.ppm", &size), *green = read_bytes("green.ppm", &size);
    FILE *file = fopen("raw", "wb");
    assert_non_null(file);
    fwrite(red + size - 24 * 24 * 3, 1, 24 * 24 * 3, file);
    fwrite(green + size - 24 * 24 * 3, 1, 24 * 24 * 3, file);
    assert_int_equal(fclose(file), 0);
    for (int smooth = 0; smooth < 2; smooth++) {
        command_run(&ran, NULL, "stream", "-mmodel", "-qk1", "--head=head.safetensors",
                    "--format=rgb24", "--size=24x24", smooth ? "--smooth=1" : "-q", "raw", NULL);
        assert_ran(&ran, 0, NULL, "");
        assert_int_equal(read_stream_lines(lines, 2, ran.out), 2);
        assert_non_null(strstr(ran.out, "\"label\": \"red\""));
        assert_non_null(strstr(strchr(ran.out, '\n'), "\"label\": \"green\""));
    }
    command_run(&ran, NULL, "classify", "-mmodel", "-k1", "--head=head.safetensors",
                "--format=json", "green.ppm", NULL);
    json_t *line = json_loads(ran.out, 0, NULL);
    const json_t *best = json_array_get(json_object_get(line, "predictions"), 0);
    assert_float_equal((double)lines[1].best[0].score, number_at(best, "score"), 1e-5);
    json_decref(line);
    free(red);
    free(green);
}

/* The other options do what they do elsewhere. */
static void test_model_options(void **state) {
    (void)state;
    write_file("raw", frames, FRAME_BYTES);
    command_run(&ran, NULL, "stream", "-mmodel", "-q", "-t2", "--format=gray", "--size=16x16",
                "--input-size=64x32", "--merge=2", "--precision=int8", "--kernels=scalar", "raw",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    read_stream_line(&lines[0], ran.out);
    assert_int_equal(lines[0].count, 5);
    assert_true(lines[0].input[0] == 64 && lines[0].input[1] == 32);
    const char *features = data_path("golden", "timm_vit_mae", NULL);
    command_run(&ran, NULL, "stream", "-m", features, "--format=gray", "--size=16x16", "raw", NULL);
    assert_int_equal(ran.code, 3);
    assert_non_null(strstr(ran.err, "expected a model with a classifier"));
    command_run(&ran, NULL, "stream", "-mnone", "raw", NULL);
    assert_int_equal(ran.code, 3);
}

/* ---- what people see ----------------------------------------------------------------------- */

static void test_terminal(void **state) {
    char *argv[] = {"vitrine", STREAM_GRAY, "raw", NULL};
    (void)state;
    write_file("raw", frames, 3 * FRAME_BYTES);
    char *drawn = command_draw(argv, "xterm");
    assert_memory_equal(drawn, "\r\033[K1 frames, ", 14);
    assert_non_null(strstr(drawn, " 0 dropped, "));
    assert_non_null(strstr(drawn, " ms: class "));
    assert_non_null(strstr(drawn, "\r\033[Kvitrine: note: 3 frames: 0 dropped, "));
    free(drawn);
    drawn = command_draw(argv, "dumb");
    assert_memory_equal(drawn, "vitrine: note: 3 frames: ", 25);
    free(drawn);
    char *quiet[] = {"vitrine", STREAM_GRAY, "-q", "raw", NULL};
    drawn = command_draw(quiet, "xterm");
    assert_string_equal(drawn, "");
    free(drawn);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* The largest resident set, in KiB, for so many frames of 1280x720, which take 1.4 MB each. */
static long feed_large(size_t count) {
    enum { BYTES = 1280 * 720 * 3 / 2 };
    command_process p;
    unsigned char *frame = calloc(1, BYTES);
    assert_non_null(frame);
    command_open(&p, NULL, "stream", "-mmodel", "-q", "-k1", "--format=nv12", "--size=1280x720",
                 "--drop=queue:3", "-", NULL);
    for (size_t i = 0; i < count; i++)
        command_send_bytes(&p, frame, BYTES);
    end_input(&p);
    finish(&p);
    assert_ran(&ran, 0, NULL, "");
    size_t num_lines = check_accounts();
    assert_int_equal(lines[num_lines - 1].frame, count - 1);
    free(frame);
    return p.peak_kib;
}

/* 400 frames are 553 MB. */
static void test_memory(void **state) {
    (void)state;
    long few = feed_large(10), many = feed_large(400);
    if (many > few + (32 << 10))
        fail_msg("%ld KiB for 10 frames, %ld KiB for 400", few, many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_latest_is_default_of_pipes),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_realtime),
        cmocka_unit_test(test_slow_feeder),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_interrupted_pipe),
        cmocka_unit_test(test_interrupted_queue),
        cmocka_unit_test(test_interrupted_before_the_first),
        cmocka_unit_test(test_interrupted_file),
        cmocka_unit_test(test_closed_output),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_smoothing_of_labels),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_model_options),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_memory),
    };
    make_frames(frames, MANY);
    signal(SIGPIPE, SIG_IGN); /* a command that has ended is no reason for the test to end */
    int failed = cmocka_run_group_tests(tests, colours_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
