/* SPDX-License-Identifier: MIT
 *
 * vitrine stream: names what is in the frames of a camera or a video, as they arrive.
 *
 * One thread reads (frame_feed.h), this one classifies and prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "classifier.h"
#include "command.h"
#include "frame_feed.h"
#include "interrupt.h"
#include "lines.h"
#include "model.h"
#include "predictions.h"
#include "smoother.h"
#include "stream_options.h"
#include "stream_report.h"

typedef struct work {
    const settings *settings;
    const classifier *classifier;
    vt_session *session;
    const char *subject; /* "standard input", or the file's name */
    int file;
    bool is_file;     /* a regular one, that can wait */
    int stop_pipe[2]; /* what is written to the second ends the reading */
    frame_source source;
    smoother smoother;
    double *scores;      /* [num_classes], with --smooth */
    vt_prediction *best; /* [top] */
    stream_report report;
} work;

/* ---- one frame ----------------------------------------------------------------------------- */

static size_t predict(work *w) {
    const classifier *c = w->classifier;
    size_t top = w->settings->top;
    if (!w->scores)
        return classifier_predict(c, w->session, 0, w->best, top);
    classifier_scores(c, w->session, 0, w->scores);
    smoother_add(&w->smoother, w->scores);
    return predictions_best(w->best, top, w->smoother.average, c->num_classes);
}

static void classify(work *w, const feed_frame *taken) {
    vt_frame frame = w->source.kind;
    vt_result timing = VT_RESULT_INIT;
    vt_error err = {0};
    frame_result result = {.predictions = w->best, .taken_ms = clock_ms()};
    if (vt_frame_set_packed(&frame, frame.format, taken->data.width, taken->data.height,
                            taken->data.bytes, taken->data.size, &err) ||
        vt_session_run(w->session, &timing, &frame, 1, &err)) {
        stream_report_failure(&w->report, taken, err.message);
        return;
    }
    result.count = predict(w);
    result.done_ms = clock_ms();
    result.decode_ms = timing.decode_ms;
    result.preprocess_ms = timing.preprocess_ms;
    result.forward_ms = timing.forward_ms;
    result.input_height = timing.input_height;
    result.input_width = timing.input_width;
    stream_report_frame(&w->report, taken, &result);
}

/* A size that is not known is left to decoding to find wrong. */
static bool crop_fits(const work *w, const frame_buffer *data) {
    const vt_frame *kind = &w->source.kind;
    return !data->width || !data->height ||
           (kind->crop_left + kind->crop_width <= data->width &&
            kind->crop_top + kind->crop_height <= data->height);
}

static int complain_crop(const work *w, const frame_buffer *data) {
    const vt_frame *kind = &w->source.kind;
    return complain_usage(stream_command.name,
                          "--crop %zux%zu+%zu+%zu reaches beyond a frame of %zux%zu",
                          kind->crop_width, kind->crop_height, kind->crop_left, kind->crop_top,
                          data->width, data->height);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* Stops early when it is interrupted, or when nobody reads the results any more. */
static int classify_frames(work *w, frame_feed *feed) {
    const feed_frame *frame;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && !interrupted && (frame = feed_next(feed))) {
        if (!crop_fits(w, &frame->data)) {
            code = complain_crop(w, &frame->data);
            break;
        }
        lines_begin();
        if (frame->data.fault)
            stream_report_failure(&w->report, frame, frame->data.fault);
        else
            classify(w, frame);
        if (!lines_end())
            code = EXIT_SOME_FAILED;
    }
    return code;
}

/* What else is wrong when the frames that were taken went well. Whoever interrupts a camera is done
 * with it; a file then has frames that were not looked at. */
static int judge(const work *w, const feed_outcome *outcome) {
    if (interrupted && w->is_file)
        return EXIT_INTERRUPTED;
    if (interrupted)
        return w->report.num_failed ? EXIT_SOME_FAILED : EXIT_DONE;
    if (outcome->error.code)
        complain(w->subject, outcome->error.message);
    else if (!outcome->num_read)
        complain(w->subject, source_no_frame);
    else if (!w->report.num_failed)
        return EXIT_DONE;
    return EXIT_SOME_FAILED;
}

static drop_policy choose_drop(const work *w) {
    const settings *s = w->settings;
    drop_policy drop = s->drop;
    if (drop.rule == DROP_AUTO)
        drop =
            (drop_policy){.rule = w->is_file && !s->realtime ? DROP_NONE : DROP_OLDEST, .most = 1};
    return drop;
}

static int run_feed(work *w) {
    const settings *s = w->settings;
    drop_policy drop = choose_drop(w);
    frame_feed *feed = feed_start(&w->source, &drop, s->realtime);
    if (!feed)
        return EXIT_SOME_FAILED;
    stream_report_begin(&w->report, w->classifier, w->subject, w->source.fps, s->quiet);
    int code = classify_frames(w, feed);
    if (write(w->stop_pipe[1], "", 1) < 0 && errno != EAGAIN)
        complain(w->subject, strerror(errno));
    feed_outcome outcome = feed_stop(feed);
    progress_hide(&w->report.screen);
    if (code != EXIT_DONE)
        return code;
    code = judge(w, &outcome);
    if (outcome.num_read && !s->quiet)
        stream_report_summary(&w->report, &outcome);
    return code;
}

static int read_stream(work *w) {
    const settings *s = w->settings;
    size_t num_classes = w->classifier->num_classes;
    int code =
        source_begin(&w->source, w->file, w->stop_pipe[0], s, w->subject, stream_command.name);
    if (code != EXIT_DONE)
        return code;
    w->best = allocate(s->top < num_classes ? s->top : num_classes, sizeof *w->best);
    if (s->smooth) {
        w->scores = allocate(num_classes, sizeof *w->scores);
        smoother_begin(&w->smoother, s->smooth, num_classes);
    }
    code = run_feed(w);
    smoother_free(&w->smoother);
    free(w->scores);
    free(w->best);
    return code;
}

/* ---- the command --------------------------------------------------------------------------- */

static int open_stream(work *w, const char *path) {
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    w->subject = standard ? "standard input" : path;
    w->file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (w->file < 0 || fstat(w->file, &info) != 0) {
        complain(w->subject, strerror(errno));
        return EXIT_SOME_FAILED;
    }
    w->is_file = S_ISREG(info.st_mode);
    return EXIT_DONE;
}

static int catch_stop(work *w) {
    if (pipe2(w->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        complain("no pipe", strerror(errno));
        return EXIT_SOME_FAILED;
    }
    catch_interrupts_and_wake(w->stop_pipe[1]);
    return EXIT_DONE;
}

static int run_with(work *w, const classifier *c) {
    w->classifier = c;
    int code = open_stream(w, w->settings->operands[0]);
    if (code == EXIT_DONE)
        code = classifier_open_session(c, &w->session, w->settings, stream_command.name);
    if (code == EXIT_DONE)
        code = catch_stop(w);
    if (code == EXIT_DONE)
        code = read_stream(w);
    vt_session_destroy(w->session);
    if (w->file > STDIN_FILENO)
        close(w->file);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    classifier c;
    if (s->num_operands != 1)
        return complain_usage(stream_command.name,
                              "expected one stream: a file, or - for standard input");
    work *w = allocate(1, sizeof *w);
    w->settings = s;
    int code = classifier_read(&c, s, stream_command.name);
    if (code == EXIT_DONE)
        code = open_model(&model, s, stream_command.name);
    if (code == EXIT_DONE)
        code = classifier_bind(&c, model);
    if (code == EXIT_DONE)
        code = run_with(w, &c);
    classifier_free(&c);
    vt_model_close(model);
    free(w);
    return code;
}

static const option result_rows[] = {
    OPTION_HEAD,
    {'k', "top", "N", "classes shown for a frame, best first", .initial = "5", .parse = parse_count,
     FIELD(top)},
    {0, "smooth", "EMA",
     "predictions of an exponential moving average over the frames: EMA times a frame's scores, "
     "and the rest from before; above 0, and 1 for no average",
     .parse = parse_share, FIELD(smooth)},
    {0},
};

static const option speed_rows[] = {
    {0, "input-size", "N|HxW",
     "size of the model's input in pixels, height first: what --size is elsewhere; rounded to "
     "whole "
     "patches",
     .parse = parse_size, FIELD(height)},
    OPTION_MERGE,
    OPTION_THREADS,
    {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group speed_options = {"Input of the model, and speed", speed_rows};

const command stream_command = {
    .name = "stream",
    .topic = TOPIC_PICTURES,
    .summary = "name what is in the frames of a camera or a video",
    .operands = "FILE|-",
    .about =
        "Reads frames from a pipe or a file, such as ffmpeg, libcamera-vid or v4l2-ctl "
        "write, and prints a line of JSON for each: its number, when it arrived, its most "
        "probable classes, how long that took, and how many frames were dropped so far. Frames "
        "are raw (--format and --size), Y4M, or JPEG pictures one after another. When they come "
        "faster than they are classified, the latest one is taken and the others are dropped. A "
        "summary follows on standard error; Ctrl-C ends the stream.",
    .groups = (const option_group *const[]){&stream_options, &view_options, &result_options,
                                            &speed_options, &model_options, &general_options, NULL},
    .examples = "  vitrine stream video.y4m | jq -r '.predictions[0].label'\n"
                "  ffmpeg -v error -i video.mp4 -pix_fmt yuv420p -f yuv4mpegpipe - |\n"
                "      vitrine stream --drop none -\n"
                "  v4l2-ctl --set-fmt-video=width=1280,height=720,pixelformat=MJPG \\\n"
                "      --stream-mmap --stream-to=- | vitrine stream -k1 --smooth 0.2 -\n"
                "  libcamera-vid -t 0 --width 1280 --height 720 --codec yuv420 -o - |\n"
                "      vitrine stream --format yuv420p --size 1280x720 -\n",
    .run = run,
};
