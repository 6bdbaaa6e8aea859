// Objects of a picture, by a detector that litescene exported:
//
//   litescene export yolov5_lite_e --to openvino -o model/ --size 320x320
//   detect model/yolov5_lite_e.xml model/yolov5_lite_e.json picture.jpg [drawn.png]
//
// prints a line per object, the best first: class, score, and x1 y1 x2 y2 in pixels of the picture.
// The second file says what the network wants and gives; nothing here depends on its classes,
// anchors or size.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <openvino/openvino.hpp>

namespace {

struct Model {
    std::vector<std::string> classes;
    std::vector<cv::Scalar> colors;  // blue, green, red
    int height = 0, width = 0;
    int grey = 0;  // of the letterbox
    std::vector<std::vector<std::array<double, 2>>> anchors;  // per level: width, height in pixels
    std::vector<double> strides;
    double score = 0, iou = 0;
    size_t most = 0;  // boxes that stay
};

struct Box {
    double x1, y1, x2, y2, score;
    int label;
};

// Where a picture lies in the network's input. The padding is kept, not computed again from sizes:
// where it is odd, both sides differ by a pixel.
struct Letterbox {
    double scale_x, scale_y;  // pixels of the picture per pixel of the input
    int left, top;

    Box to_picture(Box box, cv::Size picture) const {
        const auto clamp = [](double v, int limit) { return std::min(std::max(v, 0.0), double(limit)); };
        box.x1 = clamp((box.x1 - left) * scale_x, picture.width);
        box.x2 = clamp((box.x2 - left) * scale_x, picture.width);
        box.y1 = clamp((box.y1 - top) * scale_y, picture.height);
        box.y2 = clamp((box.y2 - top) * scale_y, picture.height);
        return box;
    }
};

Model read_model(const std::string& path) {
    cv::FileStorage file(path, cv::FileStorage::READ | cv::FileStorage::FORMAT_JSON);
    if (!file.isOpened()) throw std::runtime_error("cannot read " + path);
    if (std::string(file["task"]) != "detection" || std::string(file["finish"]) != "heads")
        throw std::runtime_error(path + " is of no detector with raw heads");
    Model model;
    for (const auto& name : file["classes"]) model.classes.push_back(std::string(name));
    for (const auto& c : file["colors"])
        model.colors.emplace_back(int(c[2]), int(c[1]), int(c[0]));
    const cv::FileNode shape = file["input"]["shape"];
    model.height = int(shape[2]);
    model.width = int(shape[3]);
    model.grey = int(file["letterbox"]["value"]);
    for (const auto& level : file["anchors"]) {
        model.anchors.emplace_back();
        for (const auto& size : level)
            model.anchors.back().push_back({double(size[0]), double(size[1])});
    }
    for (const auto& stride : file["strides"]) model.strides.push_back(double(stride));
    model.score = double(file["thresholds"]["score"]);
    model.iou = double(file["thresholds"]["iou"]);
    model.most = size_t(int(file["most_boxes"]));
    return model;
}

// The picture (blue, green, red) as the network's input, 1x3xHxW, and where it lies in it.
Letterbox prepare(const cv::Mat& picture, const Model& model, ov::Tensor& input) {
    const double ratio = std::min(double(model.height) / picture.rows, double(model.width) / picture.cols);
    // nearbyint rounds halves to even, as the training did
    const int rows = std::max(int(std::nearbyint(picture.rows * ratio)), 1);
    const int columns = std::max(int(std::nearbyint(picture.cols * ratio)), 1);
    const int top = int(std::nearbyint((model.height - rows) / 2.0 - 0.1));
    const int left = int(std::nearbyint((model.width - columns) / 2.0 - 0.1));

    cv::Mat padded(model.height, model.width, CV_8UC3, cv::Scalar::all(model.grey));
    cv::Mat inside = padded(cv::Rect(left, top, columns, rows));
    if (inside.size() == picture.size())
        picture.copyTo(inside);
    else
        cv::resize(picture, inside, inside.size(), 0, 0, cv::INTER_LINEAR);

    float* plane = input.data<float>();
    for (int channel : {2, 1, 0})
        for (int y = 0; y < model.height; ++y) {
            const cv::Vec3b* row = padded.ptr<cv::Vec3b>(y);
            for (int x = 0; x < model.width; ++x) *plane++ = row[x][channel];
        }
    return {double(picture.cols) / columns, double(picture.rows) / rows, left, top};
}

double sigmoid(double t) { return 1.0 / (1.0 + std::exp(-t)); }

// Boxes of one level above the threshold, in pixels of the input.
void decode(const ov::Tensor& map, const std::vector<std::array<double, 2>>& anchors, double stride,
            const Model& model, std::vector<Box>& found) {
    const ov::Shape shape = map.get_shape();
    const size_t planes = 5 + model.classes.size(), rows = shape.at(2), columns = shape.at(3);
    if (shape.at(1) != anchors.size() * planes)
        throw std::runtime_error("an output has other channels than the anchors and classes need");
    const float* values = map.data<float>();
    for (size_t a = 0; a < anchors.size(); ++a)
        for (size_t y = 0; y < rows; ++y)
            for (size_t x = 0; x < columns; ++x) {
                const auto at = [&](size_t plane) -> double {
                    return values[((a * planes + plane) * rows + y) * columns + x];
                };
                const double objectness = sigmoid(at(4));
                if (objectness <= model.score) continue;
                size_t best = 0;
                for (size_t c = 1; c < model.classes.size(); ++c)
                    if (at(5 + c) > at(5 + best)) best = c;
                const double score = objectness * sigmoid(at(5 + best));
                if (score <= model.score) continue;
                const double centre_x = (2 * sigmoid(at(0)) - 0.5 + double(x)) * stride;
                const double centre_y = (2 * sigmoid(at(1)) - 0.5 + double(y)) * stride;
                const double half_width = 2 * std::pow(sigmoid(at(2)), 2) * anchors[a][0];
                const double half_height = 2 * std::pow(sigmoid(at(3)), 2) * anchors[a][1];
                found.push_back({centre_x - half_width, centre_y - half_height,
                                 centre_x + half_width, centre_y + half_height, score, int(best)});
            }
}

double overlap(const Box& a, const Box& b) {
    const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
    const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
    if (width <= 0 || height <= 0) return 0;
    const double common = width * height;
    return common / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - common);
}

// Greedy suppression within each class, the best box first, until there are as many as may stay.
std::vector<Box> suppress(std::vector<Box> found, double iou, size_t most) {
    std::stable_sort(found.begin(), found.end(),
                     [](const Box& a, const Box& b) { return a.score > b.score; });
    std::vector<Box> kept;
    for (const Box& box : found) {
        if (kept.size() == most) break;
        const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Box& other) {
            return other.label == box.label && overlap(other, box) > iou;
        });
        if (!covered) kept.push_back(box);
    }
    return kept;
}

void draw(cv::Mat& picture, const std::vector<Box>& boxes, const Model& model) {
    for (const Box& box : boxes) {
        const cv::Point low(int(std::lround(box.x1)), int(std::lround(box.y1)));
        const cv::Point high(int(std::lround(box.x2)), int(std::lround(box.y2)));
        const cv::Scalar color = model.colors[size_t(box.label)];
        cv::rectangle(picture, low, high, color, 2);
        char text[96];
        std::snprintf(text, sizeof text, "%.60s %.2f", model.classes[size_t(box.label)].c_str(), box.score);
        cv::putText(picture, text, {low.x, std::max(low.y - 4, 12)}, cv::FONT_HERSHEY_SIMPLEX, 0.5, color, 1);
    }
}

int run(int count, char** words) {
    if (count < 4 || count > 5) {
        std::fprintf(stderr, "usage: detect MODEL.xml MODEL.json PICTURE [DRAWN.png]\n");
        return 2;
    }
    const Model model = read_model(words[2]);
    cv::Mat picture = cv::imread(words[3], cv::IMREAD_COLOR);
    if (picture.empty()) throw std::runtime_error(std::string("cannot read ") + words[3]);

    ov::Core core;
    ov::CompiledModel network =
        core.compile_model(words[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    if (network.outputs().size() != model.strides.size())
        throw std::runtime_error("the network and its JSON file do not belong together");
    ov::InferRequest request = network.create_infer_request();
    ov::Tensor input(ov::element::f32, {1, 3, size_t(model.height), size_t(model.width)});
    const Letterbox letterbox = prepare(picture, model, input);
    request.set_input_tensor(input);
    request.infer();

    std::vector<Box> found;
    for (size_t level = 0; level < model.strides.size(); ++level)
        decode(request.get_output_tensor(level), model.anchors.at(level), model.strides[level], model, found);
    std::vector<Box> boxes;
    for (const Box& box : suppress(std::move(found), model.iou, model.most))
        boxes.push_back(letterbox.to_picture(box, picture.size()));
    for (const Box& box : boxes)
        std::printf("%s %.4f %.2f %.2f %.2f %.2f\n", model.classes[size_t(box.label)].c_str(), box.score,
                    box.x1, box.y1, box.x2, box.y2);
    if (count == 5) {
        draw(picture, boxes, model);
        if (!cv::imwrite(words[4], picture)) throw std::runtime_error(std::string("cannot write ") + words[4]);
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    try {
        return run(count, words);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "detect: %s\n", error.what());
        return 1;
    }
}
