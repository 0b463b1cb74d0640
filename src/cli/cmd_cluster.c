/* SPDX-License-Identifier: MIT
 *
 * vitrine cluster: pictures in groups that look alike.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "embeddings.h"
#include "json.h"
#include "kmeans.h"
#include "model.h"
#include "paths.h"
#include "pictures.h"
#include "progress.h"
#include "text.h"

static const char *const formats[] = {"text", "json", "csv", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}
enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

typedef struct work {
    const settings *settings;
    embeddings pictures;
    kmeans groups;
    size_t
        *original; /* [count]: the first of those that are the same picture; itself where none is */
    size_t *order; /* [count]: by cluster, the nearest to the centre first */
} work;

/* ---- near-duplicates ---------------------------------------------------------------------------
 */

static size_t find_original(size_t *original, size_t i) {
    while (original[i] != i)
        i = original[i] = original[original[i]];
    return i;
}

static void join(size_t *original, size_t i, size_t j) {
    size_t a = find_original(original, i), b = find_original(original, j);
    original[a > b ? a : b] = a > b ? b : a;
}

/* Pictures belong together that a chain of near-duplicates joins. */
static void find_duplicates(work *w) {
    size_t count = w->pictures.count;
    double threshold = w->settings->duplicates;
    progress bar;
    w->original = allocate(count, sizeof *w->original);
    for (size_t i = 0; i < count; i++)
        w->original[i] = i;
    progress_begin(&bar, count * count / 2, w->settings->quiet);
    bar.label = "of the pairs";
    for (size_t i = 1; i < count && threshold > 0; i++) {
        progress_show(&bar, i * i / 2);
        for (size_t j = 0; j < i; j++)
            if (embeddings_cosine(&w->pictures, i, &w->pictures, j) >= threshold)
                join(w->original, i, j);
    }
    progress_hide(&bar);
    for (size_t i = 0; i < count; i++)
        w->original[i] = find_original(w->original, i);
}

/* ---- the manifest ------------------------------------------------------------------------------
 */

static int by_cluster(const void *a, const void *b, void *context) {
    const kmeans *k = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (k->cluster[x] != k->cluster[y])
        return k->cluster[x] < k->cluster[y] ? -1 : 1;
    if (k->cosine[x] != k->cosine[y])
        return k->cosine[x] > k->cosine[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void sort_pictures(work *w) {
    w->order = allocate(w->pictures.count, sizeof *w->order);
    for (size_t i = 0; i < w->pictures.count; i++)
        w->order[i] = i;
    qsort_r(w->order, w->pictures.count, sizeof *w->order, by_cluster, &w->groups);
}

/* The picture that this one is a near-duplicate of; NULL: none. */
static const char *duplicate_of(const work *w, size_t i) {
    return w->original[i] == i ? NULL : w->pictures.paths[w->original[i]];
}

/* From the centre; rounding may have made it less than nothing. */
static double distance_of(const work *w, size_t i) {
    return fmax(0, 1 - w->groups.cosine[i]);
}

static bool is_medoid(const work *w, size_t i) {
    return w->groups.medoids[w->groups.cluster[i]] == i;
}

static void print_text(const work *w, size_t i) {
    size_t cluster = w->groups.cluster[i], size = w->groups.sizes[cluster];
    const char *same = duplicate_of(w, i);
    char *path = text_clean(w->pictures.paths[i], TEXT_ONE_LINE);
    char *original = same ? text_clean(same, TEXT_ONE_LINE) : NULL;
    if (is_medoid(w, i))
        printf("%scluster %zu: %zu picture%s\n", cluster ? "\n" : "", cluster, size,
               size == 1 ? "" : "s");
    printf("%7.3f  %s%s%s\n", distance_of(w, i), path, original ? "  = " : "",
           original ? original : "");
    free(original);
    free(path);
}

static void print_csv(const work *w, size_t i) {
    const char *same = duplicate_of(w, i);
    text_csv_field(w->pictures.paths[i]);
    printf(",%zu,%.6f,%d,", w->groups.cluster[i], distance_of(w, i), is_medoid(w, i));
    text_csv_field(same ? same : "");
    printf("\n");
}

static void print_json(const work *w, size_t i) {
    const char *same = duplicate_of(w, i);
    json_t *line = json_object();
    json_set_path(line, w->pictures.paths[i]);
    json_object_set_new(line, "cluster", json_integer((json_int_t)w->groups.cluster[i]));
    json_object_set_new(line, "distance", json_number(distance_of(w, i)));
    json_object_set_new(line, "medoid", json_boolean(is_medoid(w, i)));
    json_object_set_new(line, "duplicate_of", same ? json_text(same) : json_null());
    json_print(line);
}

static void print(const work *w) {
    static void (*const printers[])(const work *, size_t) = {print_text, print_json, print_csv};
    if (w->settings->format == FORMAT_CSV)
        printf("image,cluster,distance,medoid,duplicate_of\n");
    for (size_t i = 0; i < w->pictures.count; i++)
        printers[w->settings->format](w, w->order[i]);
}

/* ---- links -------------------------------------------------------------------------------------
 */

/* FOLDER/3/0012-cat.png, in the order of distances; an absolute path to the picture. */
static bool link_picture(const work *w, size_t i, size_t rank) {
    const char *path = w->pictures.paths[i];
    char *target = realpath(path, NULL);
    char *link = text_format("%s/%zu/%04zu-%s", w->settings->link, w->groups.cluster[i], rank,
                             path_base(path));
    bool made = target && symlink(target, link) == 0;
    if (!made)
        complain(target ? link : path, strerror(errno));
    free(link);
    free(target);
    return made;
}

static bool make_folder(const char *path) {
    if (mkdir(path, 0777) == 0)
        return true;
    complain(path,
             errno == EEXIST ? "there already: expected a folder to be made" : strerror(errno));
    return false;
}

static int make_links(const work *w) {
    bool good = make_folder(w->settings->link);
    size_t rank = 0;
    for (size_t i = 0; i < w->pictures.count && good; i++) {
        size_t index = w->order[i], cluster = w->groups.cluster[index];
        bool first = i == 0 || w->groups.cluster[w->order[i - 1]] != cluster;
        rank = first ? 0 : rank + 1;
        if (first) {
            char *folder = text_format("%s/%zu", w->settings->link, cluster);
            good = make_folder(folder);
            free(folder);
        }
        good = good && link_picture(w, index, rank);
    }
    return good ? EXIT_DONE : EXIT_SOME_FAILED;
}

/* ------------------------------------------------------------------------------------------------
 */

static int group(work *w) {
    const settings *s = w->settings;
    if (!w->pictures.count)
        return EXIT_DONE; /* why, was said */
    if (w->pictures.count < s->clusters) {
        char message[120];
        snprintf(message, sizeof message, "%zu picture%s can't be put into %zu groups: see -k",
                 w->pictures.count, w->pictures.count == 1 ? "" : "s", s->clusters);
        complain(cluster_command.name, message);
        return EXIT_SOME_FAILED;
    }
    kmeans_run(&w->groups, &w->pictures, s->clusters, s->seed, s->quiet);
    find_duplicates(w);
    sort_pictures(w);
    print(w);
    return s->link ? make_links(w) : EXIT_DONE;
}

static int check_usage(const settings *s) {
    const char *name = cluster_command.name;
    if (s->num_operands == 0 && !s->files_from)
        return complain_usage(name, "no folder or picture given");
    if (!s->clusters)
        return complain_usage(name, "no number of groups given: -k N");
    return check_pictures(s, false, name);
}

static int run(const settings *s) {
    vt_model *model = NULL;
    vt_session *session = NULL;
    work w = {.settings = s};
    settings sized = *s;
    int code = check_usage(s);
    if (code == EXIT_DONE)
        code = open_model(&model, s, cluster_command.name);
    if (code == EXIT_DONE)
        code = check_takes_pictures(model);
    if (code == EXIT_DONE) {
        sized.batch = useful_batch(s);
        code = open_session(&session, model, &sized, cluster_command.name);
    }
    if (code == EXIT_DONE) {
        code = embeddings_add(&w.pictures, session, model, &sized);
        code = exit_worse(code, group(&w));
    }
    free(w.order);
    free(w.original);
    kmeans_free(&w.groups);
    embeddings_free(&w.pictures);
    vt_session_destroy(session);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {'k', "clusters", "N", "groups to make", .parse = parse_count, FIELD(clusters)},
    {0, "duplicates", "COSINE",
     "also tell which pictures are nearly the same: alike to this much, such as 0.98",
     .parse = parse_real, FIELD(duplicates)},
    {0, "link", "DIR", "make DIR, and in it a folder of links for each group", .parse = parse_text,
     FIELD(link)},
    {0, "seed", "N", "of the first centres", .initial = "0", .parse = parse_number, FIELD(seed)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    {0},
};

static const option_group result_options = {"Results", result_rows};

const command cluster_command = {
    .name = "cluster",
    .summary = "sort pictures into groups that look alike",
    .operands = "{FOLDER | IMAGE}... -k N",
    .about = "Groups pictures by their vectors (spherical k-means) and prints which is in which "
             "group, the largest first, and how far from its centre (1 - cosine): the first of a "
             "group stands for it, the last fit it least. No picture is touched; --link makes "
             "folders of links to look through.",
    .groups = (const option_group *const[]){&result_options, &many_pictures_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine cluster album -k 12\n"
                "  vitrine cluster album -k 12 --duplicates 0.98 --format csv > groups.csv\n"
                "  vitrine cluster album -k 12 --link sorted\n",
    .run = run,
};
