// What a case works on: the table of functions, matrices on the host, and the
// device memory of one run, whose rows lie as the run's layout has them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../../csrc/include/graft/graft.h"

namespace test {

// The operations that some case has called.
inline std::set<std::string>& called() {
    static std::set<std::string> names;
    return names;
}

// The table, with each call of an operation noted.
inline const graft_api& api() {
    static const graft_api table = [] {
        graft_api t = *graft_cuda_api();
#define GRAFT_NOTED(op) \
    if (t.op) t.op = [](graft_context* c, const graft_##op##_args* a) { \
        called().insert(#op); \
        return graft_cuda_api()->op(c, a); \
    };
        GRAFT_EACH_OP(GRAFT_NOTED)
#undef GRAFT_NOTED
        return t;
    }();
    return table;
}

// The message of a status, freed; "" for success.
inline std::string text(graft_status* status) {
    if (!status) return "";
    const std::string message = api().status_message(status);
    api().status_free(status);
    return message;
}

// ---- element types ------------------------------------------------------------

inline uint16_t bf16_bits(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return std::isnan(x) ? 0x7fff : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float bf16_value(uint16_t bits) {
    const uint32_t wide = uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    return x;
}
inline int64_t size_of(int32_t type) { return type == GRAFT_BF16 ? 2 : type == GRAFT_U8 ? 1 : 4; }
inline double rounded(int32_t type, double x) {
    return type == GRAFT_BF16 ? double(bf16_value(bf16_bits(float(x)))) : double(float(x));
}

// ---- memory ---------------------------------------------------------------------

// A matrix on the host; values are what the element type holds.
struct Array {
    int32_t type = GRAFT_F32;
    int64_t rows = 0, cols = 0;
    std::vector<double> values;

    Array() = default;
    Array(int32_t type, int64_t rows, int64_t cols, const std::function<double(int64_t)>& value)
        : type(type), rows(rows), cols(cols) {
        for (int64_t i = 0; i < rows * cols; ++i)
            values.push_back(type == GRAFT_F32 || type == GRAFT_BF16 ? rounded(type, value(i)) : value(i));
    }
    double at(int64_t row, int64_t col) const { return values[size_t(row * cols + col)]; }
};

inline Array normal(int32_t type, int64_t rows, int64_t cols, unsigned seed, double scale = 1.0) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> draw;
    return Array(type, rows, cols, [&](int64_t) { return scale * draw(engine); });
}
inline Array integers(const std::vector<int>& list) {
    return Array(GRAFT_I32, 1, int64_t(list.size()), [&](int64_t i) { return list[size_t(i)]; });
}

// How far the rows of a tensor are apart. kFar: so far that the last one begins behind
// 2^32 elements, of which only the rows themselves take memory; on the emulation alone.
enum class Layout { kDense, kAligned, kOdd, kFar };
inline const char* name(Layout layout) {
    const char* const names[] = {"dense", "aligned rows", "gaps of 3", "far rows"};
    return names[int(layout)];
}
constexpr int64_t kFlat = -1;  // a pitch: no gaps in any layout, for what is flat by definition

// A context and its tensors, released at the end.
class Run {
  public:
    explicit Run(int64_t workspace, Layout layout = Layout::kDense) : layout_(layout) {
        graft_context_options o{sizeof o, 0, 0, workspace, 0};
        check(api().context_create(&context_, &o));
    }
    ~Run() {
        for (auto& [data, bytes] : blocks_) api().release(context_, data, bytes);
        api().context_destroy(context_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    void check(graft_status* status) {
        const std::string message = text(status);
        if (!message.empty() && failure_.empty()) failure_ = message;
    }
    const std::string& failure() const { return failure_; }
    bool follows_layout() const { return follows_layout_; }

    // Without a pitch the rows lie as the layout has them.
    graft_tensor tensor(int32_t type, int64_t rows, int64_t cols, int64_t pitch = 0) {
        follows_layout_ |= pitch == 0 && rows > 1 && cols > 0;
        if (pitch == 0) pitch = pitch_of(rows, cols);
        if (pitch == kFlat) pitch = cols;
        const int64_t bytes = (rows > 0 ? (rows - 1) * pitch + cols : 0) * size_of(type);
        graft_tensor t{nullptr, type, 2, {rows, cols}, pitch};
        if (bytes == 0 || !context_) return t;
        check(api().allocate(context_, &t.data, bytes));
        if (!t.data) return t;
        blocks_.push_back({t.data, bytes});
        if (layout_ != Layout::kFar) {  // the memory of the emulation, where alone rows are far, begins so
            const std::vector<unsigned char> poison(size_t(bytes), 0xff);  // NaN in every type
            check(api().upload(context_, t.data, poison.data(), bytes));
        }
        if (pitch > cols) gapped_.push_back(t);
        return t;
    }
    // Columns of one matrix, beside each other: each tensor gets its shape and a part of every row.
    void beside(int32_t type, int64_t rows, const std::vector<std::pair<graft_tensor*, int64_t>>& parts) {
        int64_t width = 0;
        for (const auto& [part, cols] : parts) width += cols;
        const graft_tensor whole = tensor(type, rows, width);
        int64_t first = 0;
        for (const auto& [part, cols] : parts) {
            *part = {static_cast<char*>(whole.data) + first * size_of(type), type, 2, {rows, cols}, whole.pitch};
            first += cols;
        }
    }
    graft_tensor put(const Array& a, int64_t pitch = 0) {
        const graft_tensor t = tensor(a.type, a.rows, a.cols, pitch);
        fill(t, a);
        return t;
    }
    void fill(const graft_tensor& t, const Array& a) {
        for (int64_t row = 0; row < a.rows && t.data; ++row) {
            std::vector<unsigned char> bytes(size_t(a.cols * size_of(a.type)));
            for (int64_t col = 0; col < a.cols; ++col) {
                const double v = a.at(row, col);
                unsigned char* to = bytes.data() + col * size_of(a.type);
                if (a.type == GRAFT_BF16) { const uint16_t b = bf16_bits(float(v)); std::memcpy(to, &b, 2); }
                else if (a.type == GRAFT_U8) *to = static_cast<unsigned char>(v);
                else if (a.type == GRAFT_I32) { const int32_t b = int32_t(v); std::memcpy(to, &b, 4); }
                else if (a.type == GRAFT_U32) { const uint32_t b = uint32_t(v); std::memcpy(to, &b, 4); }
                else { const float b = float(v); std::memcpy(to, &b, 4); }
            }
            check(api().upload(context_, at(t, row, 0), bytes.data(), int64_t(bytes.size())));
        }
    }
    // Appends the values of a tensor.
    void get(const graft_tensor& t, std::vector<double>* out) {
        for (int64_t row = 0; row < t.shape[0] && t.data; ++row) {
            const std::vector<unsigned char> bytes = read(t, row, 0, t.shape[1]);
            for (int64_t col = 0; col < t.shape[1]; ++col) {
                const unsigned char* from = bytes.data() + col * size_of(t.dtype);
                if (t.dtype == GRAFT_BF16) { uint16_t b; std::memcpy(&b, from, 2); out->push_back(bf16_value(b)); }
                else if (t.dtype == GRAFT_U8) out->push_back(*from);
                else if (t.dtype == GRAFT_I32) { int32_t b; std::memcpy(&b, from, 4); out->push_back(b); }
                else { float b; std::memcpy(&b, from, 4); out->push_back(b); }
            }
        }
    }
    // Fails if something was written between rows: behind one, or before the next.
    void check_gaps() {
        for (const graft_tensor& t : gapped_)
            for (int64_t row = 0; row + 1 < t.shape[0]; ++row) {
                const int64_t some = std::min<int64_t>(t.pitch - t.shape[1], 32);
                for (const int64_t first : std::set<int64_t>{t.shape[1], t.pitch - some})
                    for (const unsigned char byte : read(t, row, first, some))
                        if (byte != 0xff && failure_.empty()) failure_ = "written behind row " + std::to_string(row) + " of " + std::to_string(t.shape[0]) + "x" + std::to_string(t.shape[1]);
            }
    }
    graft_context* context() const { return context_; }

  private:
    // Aligned and far rows begin at multiples of 16 bytes, whatever their length.
    int64_t pitch_of(int64_t rows, int64_t cols) const {
        if (rows < 2 || cols == 0 || layout_ == Layout::kDense) return cols;
        if (layout_ == Layout::kOdd) return cols + 3;
        return (cols + 31) / 16 * 16 + (layout_ == Layout::kFar ? (int64_t{1} << 32) / (rows - 1) / 16 * 16 : 0);
    }
    static void* at(const graft_tensor& t, int64_t row, int64_t col) {
        return static_cast<char*>(t.data) + (row * t.pitch + col) * size_of(t.dtype);
    }
    std::vector<unsigned char> read(const graft_tensor& t, int64_t row, int64_t first, int64_t count) {
        std::vector<unsigned char> bytes(size_t(count * size_of(t.dtype)));
        check(api().download(context_, bytes.data(), at(t, row, first), int64_t(bytes.size())));
        return bytes;
    }

    graft_context* context_ = nullptr;
    Layout layout_;
    bool follows_layout_ = false;
    std::vector<std::pair<void*, int64_t>> blocks_;
    std::vector<graft_tensor> gapped_;
    std::string failure_;
};

}  // namespace test
