/* SPDX-License-Identifier: MIT
 *
 * Names what is in a picture: classify MODEL IMAGE
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs vitrine)
 */
#include <stdio.h>
#include <vitrine.h>

int main(int argc, char **argv) {
    vt_error err = {VT_OK, "usage: classify MODEL IMAGE"};
    vt_model *model = NULL;
    vt_session *session = NULL;
    vt_image image = {0};
    vt_prediction best;
    const bool failed = argc != 3 || vt_model_open(&model, argv[1], NULL, &err) ||
                        vt_session_create(&session, model, NULL, &err) ||
                        vt_image_read(&image, argv[2], NULL, &err) ||
                        vt_classify_image(session, &image, &best, 1, &err);
    if (failed)
        fprintf(stderr, "%s\n", err.message);
    else
        printf("%.1f%% %s\n", 100 * best.score, vt_model_label(model, best.index));
    vt_image_free(&image);
    vt_session_destroy(session);
    vt_model_close(model);
    return failed;
}
