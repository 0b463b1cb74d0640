/* SPDX-License-Identifier: MIT
 *
 * Names what is in a part of a picture that OpenCV holds: opencv MODEL IMAGE [X Y WIDTH HEIGHT]
 *
 * A cv::Mat of bytes, a part of another one too, is a vt_frame as it lies: nothing is copied.
 *
 *     c++ -std=c++17 opencv.cpp -o opencv $(pkg-config --cflags --libs vitrine) \
 *         -I/usr/include/opencv4 -lopencv_core
 */
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include <opencv2/core.hpp>
#include <vitrine.h>

namespace {

template <auto release> struct releaser {
    template <typename T> void operator()(T *object) const {
        release(object);
    }
};

void check(vt_status status, const vt_error &err) {
    if (status != VT_OK)
        throw std::runtime_error(err.message);
}

// OpenCV's own order of the bytes is blue, green, red.
vt_frame frame_of(const cv::Mat &mat) {
    vt_frame frame = VT_FRAME_INIT;
    switch (mat.type()) {
    case CV_8UC1:
        frame.format = VT_PIXEL_GRAY8;
        break;
    case CV_8UC3:
        frame.format = VT_PIXEL_BGR24;
        break;
    case CV_8UC4:
        frame.format = VT_PIXEL_BGRA;
        break;
    default:
        throw std::invalid_argument("not a cv::Mat of 1, 3 or 4 bytes a pixel: " +
                                    cv::typeToString(mat.type()));
    }
    frame.width = static_cast<size_t>(mat.cols);
    frame.height = static_cast<size_t>(mat.rows);
    frame.planes[0] = mat.data;
    frame.strides[0] = mat.step[0];
    return frame;
}

struct answer {
    float score;
    const char *label; // the classifier's
};

class classifier {
  public:
    explicit classifier(const char *path) {
        vt_error err{};
        vt_model *opened = nullptr;
        vt_session *created = nullptr;
        check(vt_model_open(&opened, path, nullptr, &err), err);
        model.reset(opened);
        check(vt_session_create(&created, opened, nullptr, &err), err);
        session.reset(created);
    }

    answer classify(const cv::Mat &mat) {
        vt_error err{};
        vt_prediction best{};
        vt_result result = VT_RESULT_INIT;
        result.predictions = &best;
        result.top_k = 1;
        const vt_frame frame = frame_of(mat);
        check(vt_session_run(session.get(), &result, &frame, 1, &err), err);
        return {best.score, vt_model_label(model.get(), best.index)};
    }

  private:
    std::unique_ptr<vt_model, releaser<vt_model_close>> model;
    std::unique_ptr<vt_session, releaser<vt_session_destroy>> session; // goes before its model
};

// What cv::imread(path) gives; this needs nothing of OpenCV but its core.
cv::Mat read_picture(const char *path) {
    vt_error err{};
    vt_image image{};
    check(vt_image_read(&image, path, nullptr, &err), err);
    const std::unique_ptr<vt_image, releaser<vt_image_free>> pixels(&image);
    const cv::Mat rgb(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                      image.pixels, image.stride);
    cv::Mat bgr(rgb.size(), CV_8UC3);
    cv::mixChannels(rgb, bgr, {0, 2, 1, 1, 2, 0});
    return bgr;
}

cv::Mat part_of(const cv::Mat &picture, char **numbers) {
    const cv::Rect part(std::atoi(numbers[0]), std::atoi(numbers[1]), std::atoi(numbers[2]),
                        std::atoi(numbers[3]));
    if (part.empty() || (part & cv::Rect({}, picture.size())) != part)
        throw std::invalid_argument("the part is not within the picture");
    return picture(part);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3 && argc != 7) {
        std::fprintf(stderr, "usage: opencv MODEL IMAGE [X Y WIDTH HEIGHT]\n");
        return 1;
    }
    try {
        classifier model(argv[1]);
        const cv::Mat picture = read_picture(argv[2]);
        const answer best = model.classify(argc == 7 ? part_of(picture, argv + 3) : picture);
        std::printf("%.1f%% %s\n", 100.0 * best.score, best.label);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
