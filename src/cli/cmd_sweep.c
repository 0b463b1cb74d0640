/* SPDX-License-Identifier: MIT
 *
 * vitrine sweep: what an input size costs and what it changes, as a table and as charts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "interrupt.h"
#include "labelled.h"
#include "model.h"
#include "pictures.h"
#include "progress.h"
#include "sweep.h"
#include "sweep_pass.h"

typedef struct sweep {
    const settings *settings;
    picture_set set; /* empty: cost alone, over noise */
    size_t num_runs; /* of each row: pictures, or passes over noise */
    sweep_table table;
    char *csv_path, *json_path;
    char checksum[17];  /* of the set and of what the model is */
    char *subject;      /* the model's path, or the architecture */
    vt_model_info info; /* of the first model; its strings are gone */
    size_list sizes;
    double mflops[MAX_SIZES], native_mflops; /* of the first model's passes: progress's measure */
    FILE *kept;                              /* the reference's results */
    outcome *reference, *outcomes;
    vt_error *failure;
    progress bar;
    double done_mflops;
    size_t num_rows, num_failed; /* combinations; pictures and rows that failed */
} sweep;

/* A model of the sweep: what it is opened with. */
typedef struct variant {
    size_t patch_size;     /* 0: the model's own */
    const char *precision; /* NULL: the checkpoint's */
    vt_pos_resize rule;
} variant;

/* ---- one pass over all pictures ----------------------------------------------------------------
 */

static void tell_failure(sweep *w, const sweep_pass *p, size_t i) {
    char *path = picture_file(&w->set.items[i], p->asked_height, p->asked_width);
    progress_hide(&w->bar);
    complain(path, w->failure->message);
    w->num_failed++;
    free(path);
}

/* False when it was interrupted, or when the contender failed. */
static bool run_pass(sweep *w, sweep_pass *p, contender *c, double mflops) {
    memset(p->outcomes, 0, w->num_runs * sizeof *p->outcomes);
    contender_start(c, 0);
    for (size_t i = 0; i < w->num_runs && !interrupted && c->err.code == VT_OK; i++) {
        progress_show(&w->bar, (size_t)w->done_mflops);
        if (contender_run(c, false) && !p->outcomes[i].done)
            tell_failure(w, p, i);
        w->done_mflops += mflops;
    }
    contender_finish(c, 1);
    return !interrupted && c->err.code == VT_OK;
}

static sweep_pass make_pass(const sweep *w, const vt_model *model, const size_t *asked,
                            const vt_model_plan *plan, size_t threads) {
    return (sweep_pass){.model = model,
                        .set = &w->set,
                        .image = &w->settings->image,
                        .asked_height = asked[0],
                        .asked_width = asked[1],
                        .height = plan->input_height,
                        .width = plan->input_width,
                        .threads = threads,
                        .num_classes = w->info.num_classes,
                        .num_runs = w->num_runs,
                        .native = {.file = -1},
                        .write_to = -1,
                        .outcomes = w->outcomes,
                        .failure = w->failure};
}

/* What the first model says at its own size: what all rows are held against. */
static int run_reference(sweep *w, const vt_model *model) {
    vt_error err = {0};
    vt_model_plan plan;
    size_t native[2] = {w->info.image_height, w->info.image_width};
    if (vt_model_plan_forward(&plan, model, 1, native[0], native[1], 0, &err))
        return model_failed(model, &err, sweep_command.name);
    const count_list *threads = &w->settings->thread_counts;
    sweep_pass p = make_pass(w, model, native, &plan, threads->count ? threads->items[0] : 0);
    contender c = {.what = &sweep_over_pictures, .context = &p};
    p.outcomes = w->reference;
    p.write_to = fileno(w->kept);
    if (run_pass(w, &p, &c, w->native_mflops) || interrupted)
        return EXIT_DONE;
    progress_hide(&w->bar);
    complain(w->subject, c.err.message);
    return EXIT_SOME_FAILED;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static const char *group_name(const sweep *w, size_t group) {
    return group == w->set.num_groups ? sweep_everything : w->set.groups[group];
}

/* False, having complained, when they can't be written. */
static bool write_tables(sweep *w) {
    sweep_sort(&w->table);
    return sweep_write_csv(&w->table, w->csv_path) && sweep_write_json(&w->table, w->json_path);
}

/* A row for all pictures, and one for each group. */
static void add_rows(sweep *w, sweep_row *row, const sweep_pass *p, const contender *c) {
    row->peak_rss_mb = (double)c->peak_rss * 1e-6;
    sweep_fill_latencies(row, p);
    for (size_t group = 0; group <= w->set.num_groups; group++) {
        row->group = (char *)group_name(w, group);
        sweep_fill_effect(row, p, group);
        sweep_add(&w->table, row);
    }
}

static bool has_row(const sweep *w, const sweep_row *row) {
    for (size_t i = 0; i < w->table.count; i++)
        if (sweep_same(&w->table.rows[i], row))
            return true;
    return false;
}

/* Whether an earlier sweep has the rows of all groups. */
static bool has_rows(const sweep *w, sweep_row row) {
    bool all = true;
    for (size_t group = 0; group <= w->set.num_groups && all; group++) {
        row.group = (char *)group_name(w, group);
        all = has_row(w, &row);
    }
    return all;
}

static void complain_of_row(sweep *w, const sweep_row *row, const char *message) {
    char name[256], what[400];
    unsigned all = BY_PATCH | BY_PRECISION | BY_RULE | BY_THREADS;
    progress_hide(&w->bar);
    snprintf(what, sizeof what, "%s, %s", row->size, sweep_curve_name(name, row, all));
    complain(what, message);
    w->num_failed++;
}

/* ---- sizes, threads, models --------------------------------------------------------------------
 */

static const char *size_text(char text[48], const size_t *size) {
    snprintf(text, 48, "%zux%zu", size[0], size[1]);
    return text;
}

static sweep_row name_row(const sweep *w, const vt_model_info *info, const vt_model_plan *plan,
                          char *size, size_t threads) {
    return (sweep_row){.model = w->subject,
                       .kernels = (char *)info->kernels,
                       .precision = (char *)info->precision,
                       .patch_size = (int64_t)info->patch_size,
                       .pos_resize = (char *)info->pos_resize,
                       .threads = (int64_t)threads,
                       .size = size,
                       .height = (int64_t)plan->input_height,
                       .width = (int64_t)plan->input_width,
                       .tokens = (int64_t)plan->num_tokens,
                       .flops = (int64_t)plan->flops,
                       .workspace_mb = (double)plan->workspace_bytes * 1e-6,
                       .pictures = (char *)w->checksum};
}

/* One combination: its rows are added, and the files written. False ends the sweep. */
static bool sweep_combination(sweep *w, const vt_model *model, const size_t *asked, size_t threads,
                              double mflops) {
    vt_error err = {0};
    vt_model_info info;
    vt_model_plan plan = {0};
    char size[48];
    size_text(size, asked);
    vt_model_describe(&info, model);
    vt_status status = vt_model_plan_forward(&plan, model, 1, asked[0], asked[1], threads, &err);
    sweep_row row = name_row(w, &info, &plan, size, threads);
    if (status) {
        complain_of_row(w, &row, err.message);
        return true;
    }
    if (has_rows(w, row)) {
        w->num_rows++;
        w->bar.total -= (size_t)(mflops * (double)w->num_runs);
        return true;
    }
    sweep_pass p = make_pass(w, model, asked, &plan, threads);
    if (w->set.count)
        p.native = (reference){fileno(w->kept), w->reference};
    contender c = {.what = &sweep_over_pictures, .context = &p};
    w->bar.label = size;
    if (run_pass(w, &p, &c, mflops)) {
        w->num_rows++;
        add_rows(w, &row, &p, &c);
        return write_tables(w);
    }
    if (!interrupted)
        complain_of_row(w, &row, c.err.message);
    return !interrupted;
}

static void note_rounding(const vt_model *model, const size_t *asked, size_t patch) {
    vt_model_plan plan;
    if (vt_model_plan_forward(&plan, model, 1, asked[0], asked[1], 1, NULL) == VT_OK &&
        (plan.input_height != asked[0] || plan.input_width != asked[1]))
        note("the input size %zux%zu was rounded to %zux%zu, whole patches of %zu (height x width)",
             asked[0], asked[1], plan.input_height, plan.input_width, patch);
}

/* How much more a pass costs with other patches than the first model's: as their number. */
static double cost_of_patch(const sweep *w, size_t patch) {
    double ratio = patch ? (double)w->info.patch_size / (double)patch : 1;
    return ratio * ratio;
}

static bool sweep_model(sweep *w, const vt_model *model, const variant *v, bool notes) {
    count_list one = {.items = {vt_num_processors()}, .count = 1};
    const count_list *given = &w->settings->thread_counts, *threads = given->count ? given : &one;
    bool going = true;
    for (size_t i = 0; i < w->sizes.count && going; i++) {
        double mflops = w->mflops[i] * cost_of_patch(w, v->patch_size);
        progress_hide(&w->bar);
        if (notes)
            note_rounding(model, w->sizes.items[i],
                          v->patch_size ? v->patch_size : w->info.patch_size);
        for (size_t j = 0; j < threads->count && going; j++)
            going = sweep_combination(w, model, w->sizes.items[i], threads->items[j], mflops);
    }
    return going;
}

static int open_variant(vt_model **out, const settings *s, const variant *v, bool notes) {
    settings one = *s;
    one.patch_size = v->patch_size;
    one.precision = v->precision;
    one.pos_resize = (unsigned)v->rule;
    one.quiet |= !notes;
    one.threads = s->thread_counts.count ? s->thread_counts.items[0] : 0;
    return open_model(out, &one, sweep_command.name);
}

/* ---- the whole sweep ---------------------------------------------------------------------------
 */

static size_t at_least_one(size_t count) {
    return count ? count : 1;
}

/* Of the lists on the command line, the last varying fastest. */
static variant variant_at(const settings *s, size_t index) {
    size_t rules = at_least_one(s->pos_resizes.count);
    size_t precisions = at_least_one(s->precisions.count);
    size_t rule = index % rules, precision = index / rules % precisions;
    size_t patch = index / rules / precisions;
    return (variant){
        .patch_size = s->patch_sizes.count ? s->patch_sizes.items[patch] : 0,
        .precision = s->precisions.count ? s->precisions.items[precision] : NULL,
        .rule = s->pos_resizes.count ? vt_pos_resize_from_name(s->pos_resizes.items[rule])
                                     : VT_POS_RESIZE_AUTO,
    };
}

static size_t count_variants(const settings *s) {
    return at_least_one(s->patch_sizes.count) * at_least_one(s->precisions.count) *
           at_least_one(s->pos_resizes.count);
}

static size_t count_rows(const sweep *w) {
    return count_variants(w->settings) * w->sizes.count *
           at_least_one(w->settings->thread_counts.count);
}

static void begin_progress(sweep *w) {
    double total = w->set.count ? w->native_mflops : 0;
    for (size_t i = 0; i < count_variants(w->settings); i++)
        for (size_t j = 0; j < w->sizes.count; j++)
            total += w->mflops[j] * cost_of_patch(w, variant_at(w->settings, i).patch_size) *
                     (double)at_least_one(w->settings->thread_counts.count);
    progress_begin(&w->bar, (size_t)(total * (double)w->num_runs), w->settings->quiet);
    w->bar.label = "native";
}

static int sweep_variants(sweep *w) {
    const settings *s = w->settings;
    bool going = true;
    size_t with_one_patch = count_variants(s) / at_least_one(s->patch_sizes.count);
    for (size_t i = 0; i < count_variants(s) && going && !interrupted; i++) {
        variant v = variant_at(s, i);
        vt_model *model = NULL;
        int code = open_variant(&model, s, &v, false);
        if (code != EXIT_DONE)
            return code;
        going = sweep_model(w, model, &v, !s->quiet && i % with_one_patch == 0);
        vt_model_close(model);
    }
    return going && !w->num_failed && !w->set.num_failed ? EXIT_DONE : EXIT_SOME_FAILED;
}

/* ---- what is left at the end -------------------------------------------------------------------
 */

static int draw(const sweep *w) {
    gnuplot_result result = sweep_draw(&w->table, w->settings->output);
    if (result == GNUPLOT_MISSING && !w->settings->quiet)
        note("no charts: gnuplot is not installed (Debian: gnuplot-nox)");
    return result == GNUPLOT_FAILED ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int report(sweep *w, int code) {
    progress_hide(&w->bar);
    if (w->table.count && draw(w) != EXIT_DONE)
        code = EXIT_SOME_FAILED;
    sweep_print(&w->table);
    if (!interrupted)
        return code;
    output_flush();
    note("interrupted with %zu of %zu combinations in %s; --resume runs the others", w->num_rows,
         count_rows(w), w->csv_path);
    return EXIT_INTERRUPTED;
}

/* ---- preparations ------------------------------------------------------------------------------
 */

static char *file_in(const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = allocate(size, 1);
    snprintf(path, size, "%s/%s", directory, name);
    return path;
}

/* Rows of another model or of other pictures would make curves of nothing. */
static int check_resumed(const sweep *w) {
    for (size_t i = 0; i < w->table.count; i++) {
        const sweep_row *row = &w->table.rows[i];
        char message[600];
        if (strcmp(row->model, w->subject) != 0)
            snprintf(message, sizeof message, "the table is of another model, %.400s", row->model);
        else if (strcmp(row->pictures, w->checksum) != 0)
            snprintf(message, sizeof message,
                     "the table is of other pictures, labels or weights than these");
        else
            continue;
        complain(w->csv_path, message);
        return EXIT_SOME_FAILED;
    }
    return EXIT_DONE;
}

static int prepare_files(sweep *w) {
    const settings *s = w->settings;
    if (mkdir(s->output, 0777) != 0 && errno != EEXIST) {
        complain(s->output, strerror(errno));
        return EXIT_SOME_FAILED;
    }
    w->csv_path = file_in(s->output, "sweep.csv");
    w->json_path = file_in(s->output, "sweep.json");
    if (!s->resume)
        return EXIT_DONE;
    return sweep_read_csv(&w->table, w->csv_path) ? check_resumed(w) : EXIT_SOME_FAILED;
}

static int prepare_memory(sweep *w) {
    w->outcomes = shared_memory(w->num_runs * sizeof *w->outcomes);
    w->reference = shared_memory(w->num_runs * sizeof *w->reference);
    w->failure = shared_memory(sizeof *w->failure);
    w->kept = tmpfile();
    if (w->outcomes && w->reference && w->failure && w->kept)
        return EXIT_DONE;
    complain("sweep", strerror(errno));
    return EXIT_SOME_FAILED;
}

static int prepare_sizes(sweep *w, const vt_model *model) {
    vt_error err = {0};
    vt_model_plan plan;
    size_list native = {.items = {{w->info.image_height, w->info.image_width}}, .count = 1};
    w->sizes = w->settings->sizes.count ? w->settings->sizes : native;
    for (size_t i = 0; i < w->sizes.count; i++) {
        const size_t *size = w->sizes.items[i];
        if (vt_model_plan_forward(&plan, model, 1, size[0], size[1], 1, &err))
            return model_failed(model, &err, sweep_command.name);
        w->mflops[i] = plan.flops * 1e-6;
    }
    if (vt_model_plan_forward(&plan, model, 1, native.items[0][0], native.items[0][1], 1, &err))
        return model_failed(model, &err, sweep_command.name);
    w->native_mflops = plan.flops * 1e-6;
    return EXIT_DONE;
}

static int check_model(const sweep *w, const vt_model *model) {
    const char *reason = NULL;
    if (vt_model_is_naflex(model))
        reason = "each picture has a size of its own in this model: there is none to sweep";
    else if (w->info.image_height && w->settings->picture_labels && !w->info.num_classes)
        reason = "this model has no classifier that labels could be held against";
    if (reason)
        complain(w->info.path, reason);
    return reason ? EXIT_MODEL : EXIT_DONE;
}

static int prepare_pictures(sweep *w, const vt_model *model) {
    const settings *s = w->settings;
    if (!s->arch && !pictures_list(&w->set, s, model))
        return EXIT_SOME_FAILED;
    if (!s->arch && w->set.count == 0) {
        complain("sweep", "no picture found");
        return EXIT_SOME_FAILED;
    }
    w->num_runs = w->set.count ? w->set.count : s->runs;
    uint64_t sum = pictures_checksum(&w->set) ^ w->info.num_parameters * 11400714819323198485u;
    snprintf(w->checksum, sizeof w->checksum, "%016llx", (unsigned long long)sum);
    return EXIT_DONE;
}

static int prepare(sweep *w, const vt_model *model) {
    vt_model_describe(&w->info, model);
    w->subject = duplicate(w->settings->arch ? w->settings->arch : w->info.path);
    int code = check_model(w, model);
    if (code == EXIT_DONE)
        code = prepare_sizes(w, model);
    if (code == EXIT_DONE)
        code = prepare_pictures(w, model);
    if (code == EXIT_DONE)
        code = prepare_files(w);
    return code == EXIT_DONE ? prepare_memory(w) : code;
}

static void release(sweep *w) {
    pictures_free(&w->set);
    sweep_free(&w->table);
    shared_memory_free(w->outcomes, w->num_runs * sizeof *w->outcomes);
    shared_memory_free(w->reference, w->num_runs * sizeof *w->reference);
    shared_memory_free(w->failure, sizeof *w->failure);
    if (w->kept)
        fclose(w->kept);
    free(w->csv_path);
    free(w->json_path);
    free(w->subject);
}

/* The first model, as it is: the reference; then all that the lists ask for, one at a time. */
static int sweep_all(sweep *w) {
    vt_model *model = NULL;
    variant first = variant_at(w->settings, 0);
    first.patch_size = 0;
    first.rule = VT_POS_RESIZE_AUTO;
    int code = open_variant(&model, w->settings, &first, true);
    if (code == EXIT_DONE)
        code = prepare(w, model);
    if (code == EXIT_DONE) {
        catch_interrupts(); /* ends after the picture in work */
        begin_progress(w);
    }
    if (code == EXIT_DONE && w->set.count)
        code = run_reference(w, model);
    vt_model_close(model);
    if (code == EXIT_DONE)
        code = report(w, sweep_variants(w));
    return code;
}

static int check_usage(const settings *s) {
    bool pictures = s->num_operands || s->files_from || s->picture_labels;
    if (s->model && s->arch)
        return complain_usage(sweep_command.name, "both --model and --arch given");
    if (s->arch && pictures)
        return complain_usage(sweep_command.name,
                              "--arch has random weights and takes no pictures or labels");
    if (!s->arch && !pictures)
        return complain_usage(sweep_command.name, "no picture given; --arch sweeps the cost alone");
    return check_pictures(s, false, sweep_command.name);
}

static int run(const settings *s) {
    sweep *w = allocate(1, sizeof *w);
    w->settings = s;
    int code = check_usage(s);
    if (code == EXIT_DONE)
        code = sweep_all(w);
    release(w);
    free(w);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static const option sweep_rows[] = {
    {'s', "sizes", "LIST",
     "input sizes in pixels, such as 96:320:16 (squares, first to last by steps) or 224,384x512; "
     "without it, the model's own",
     .parse = parse_sizes, FIELD(sizes)},
    {'t', "threads", "LIST", "numbers of threads, such as 1,2,4" THREADS_ELSE,
     .parse = parse_counts, FIELD(thread_counts), .variable = THREADS_VARIABLE},
    OPTION_PRECISIONS,
    {0, "pos-resize", "LIST",
     "rules that resize the table of positions: some of auto, bicubic, bicubic-antialias, "
     "bicubic-offset, bicubic-corners, bilinear, bilinear-antialias, bilinear-corners",
     .parse = parse_rules, FIELD(pos_resizes)},
    {0, "patch-sizes", "LIST", "patches to run with, such as 8,16, the kernels resized (FlexiViT)",
     .parse = parse_counts, FIELD(patch_sizes)},
    {'n', "runs", "N", "passes of each row with --arch, which has no pictures to pass once each",
     .initial = "20", .parse = parse_count, FIELD(runs)},
    {0},
};

static const option sweep_picture_rows[] = {
    {0, "labels", "CSV",
     "what is in the pictures: file,label or file,label,group with a class's number or name; "
     "without IMAGE, its files are the pictures",
     .parse = parse_text, FIELD(picture_labels)},
    OPTION_FILES_FROM,
    OPTION_NULL,
    {0},
};

static const option sweep_result_rows[] = {
    {'o', "output", "DIR", "where sweep.csv, sweep.json, sweep.png and sweep.svg go",
     .initial = ".", .parse = parse_text, FIELD(output)},
    {0, "resume", NULL, "keep the rows that sweep.csv has, and run the others", FIELD(resume)},
    {0},
};

static const option sweep_model_rows[] = {
    OPTION_MODEL, OPTION_ARCH, OPTION_KERNELS, OPTION_BACKEND, {0}};

static const option_group sweep_options = {"What is swept", sweep_rows};
static const option_group sweep_picture_options = {"Labels", sweep_picture_rows};
static const option_group sweep_result_options = {"Results", sweep_result_rows};
static const option_group sweep_model_options = {"Model", sweep_model_rows};

const command sweep_command = {
    .name = "sweep",
    .topic = TOPIC_MEASURING,
    .summary = "what an input size costs, and what it changes",
    .operands = "[IMAGE...]",
    .about =
        "Runs every size over all pictures and writes a table and charts: tokens, arithmetic, "
        "latency of preprocessing and forward pass, memory; accuracy where there are labels; and "
        "how far the answers are from those at the model's own size: how often the best class is "
        "the same, the divergence of the probabilities, the cosine of the pooled features. "
        "{size} in a picture's name stands for the input size, for pictures that were made at "
        "each. Files are complete after every row; Ctrl-C leaves what is finished, and --resume "
        "goes on. The charts need gnuplot.",
    .groups = (const option_group *const[]){&sweep_options, &sweep_picture_options,
                                            &sweep_result_options, &sweep_model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine sweep --sizes 96:320:16 -o album-sweep album\n"
                "  vitrine sweep --sizes 64:320:16 --labels pictures/labels.csv -o emoji-sweep\n"
                "  vitrine sweep -s 96,224 --pos-resize bicubic,bicubic-antialias album\n"
                "  vitrine sweep --arch vit_base_patch16_224 -s 128:1024:128 -t 1,2 -o cost\n"
                "  vitrine sweep --resume --sizes 96:512:16 -o album-sweep album\n",
    .run = run,
};
