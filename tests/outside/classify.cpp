// SPDX-License-Identifier: MIT
//
// examples/classify.c in C++: classify MODEL IMAGE
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vitrine.h>

namespace {

template <auto function> struct releaser {
    template <typename T> void operator()(T *object) const {
        function(object);
    }
};
using model_ptr = std::unique_ptr<vt_model, releaser<vt_model_close>>;
using session_ptr = std::unique_ptr<vt_session, releaser<vt_session_destroy>>;
using pixels_ptr = std::unique_ptr<vt_image, releaser<vt_image_free>>;

void check(vt_status status, const vt_error &err) {
    if (status != VT_OK)
        throw std::runtime_error(err.message);
}

model_ptr open_model(const char *path) {
    vt_error err{};
    vt_model *model = nullptr;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.num_threads = 1;
    check(vt_model_open(&model, path, &options, &err), err);
    return model_ptr(model);
}

session_ptr create_session(const vt_model *model) {
    vt_error err{};
    vt_session *session = nullptr;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.num_threads = 2;
    check(vt_session_create(&session, model, &options, &err), err);
    return session_ptr(session);
}

void classify(const char *model_path, const char *image_path) {
    vt_error err{};
    vt_image image{};
    vt_prediction best{};
    const vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    const model_ptr model = open_model(model_path);
    const session_ptr session = create_session(model.get());
    check(vt_image_read(&image, image_path, &options, &err), err);
    const pixels_ptr pixels(&image);
    check(vt_classify_image(session.get(), &image, &best, 1, &err), err);
    std::printf("%.1f%% %s\n", 100.0 * static_cast<double>(best.score),
                vt_model_label(model.get(), best.index));
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s MODEL IMAGE\n", argv[0]);
        return 2;
    }
    try {
        classify(argv[1], argv[2]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
