// linear_cross_entropy: the output layer and its loss, some rows at a time. A chunk of rows is gathered, its logits
// become their own gradient in place, and two products give the gradients of the rows and of the weight.
#include <cmath>
#include <vector>

#include "linear.h"
#include "simd.h"

#define GRAFT_KERNELS "cross_entropy_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {

struct LossChunk {
    const graft_linear_cross_entropy_args& c;
    graft_context* context;
    graft_dtype type;
    const int64_t* live;   // numbers i of the rows with a weight
    int64_t count;
    graft_tensor x;        // gathered rows
    graft_tensor logits;   // f32, rows of a pitch that is no power of two
    float *loss, *hits;    // one for each row

    void copy_rows(bool gather) const;
    template <class T> graft_status* run() const;
};

// Rows of c.x to x, or of x to c.dx.
void LossChunk::copy_rows(bool gather) const {
    const int64_t bytes = c.w.in * size_of(type);
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = data<const int32_t>(c.rows)[live[i]];
        char* mine = data<char>(x) + i * bytes;
        if (gather) std::memcpy(mine, data<const char>(c.x) + row * c.x.pitch * size_of(type), size_t(bytes));
        else std::memcpy(data<char>(c.dx) + row * c.dx.pitch * size_of(type), mine, size_t(bytes));
    }
}

template <class T> graft_status* LossChunk::run() const {
    copy_rows(true);
    GRAFT_TRY(product(context, logits, Operand::of(x, kRows), Operand::of(c.w, kRows), c.w.in, type, 1, 0));
    const float inverse = *data<const float>(c.inverse);
    const bool backward = given(c.dx) || given(c.dw);
    for_rows(context, count, 16 * c.w.out, [&](Range r) {
        for (int64_t i = r.begin; i < r.end; i++) {
            float* z = data<float>(logits) + i * logits.pitch;
            const float weight = data<const float>(c.weights)[live[i]];
            const int64_t target = data<const int32_t>(c.targets)[live[i]];
            const auto finish = [&](const auto& row) {
                const float lse = row.max + std::log(row.sum);
                float l = lse - z[target];
                if (c.label_smoothing > 0) l += c.label_smoothing * (z[target] - row.mean);
                if (c.z_loss > 0) l += c.z_loss * lse * lse;
                loss[i] = weight * inverse * l;
                hits[i] = row.argmax == target ? weight : 0;
            };
            switch (context->isa) {
#define GRAFT_ROW(isa)                                                                                     \
    {                                                                                                      \
        const isa::SoftmaxRow row = isa::softmax_row(z, c.w.out, c.soft_cap, c.label_smoothing > 0);       \
        finish(row);                                                                                       \
        if (backward) isa::softmax_gradient<T>(z, c.w.out, row, target, weight * inverse, c);              \
        break;                                                                                             \
    }
#if defined(__x86_64__)
                case Isa::avx512bf16:
                case Isa::avx512: GRAFT_ROW(avx512)
                case Isa::avx2: GRAFT_ROW(avx2)
#endif
                default: GRAFT_ROW(portable)
#undef GRAFT_ROW
            }
        }
    });
    graft_tensor dlogits = logits;
    dlogits.dtype = type;
    dlogits.pitch = logits.pitch * 4 / size_of(type);
    if (given(c.dw))
        GRAFT_TRY(product(context, c.dw, Operand::of(dlogits, kCols), Operand::of(x, kCols), count, type, 1, 1));
    if (given(c.dx)) {  // over the gathered rows, which are not needed any more
        GRAFT_TRY(product(context, x, Operand::of(dlogits, kRows), Operand::of(c.w, kCols), c.w.out, type, 1, 0));
        copy_rows(false);
    }
    return nullptr;
}

graft_status* check_cross_entropy(const graft_linear_cross_entropy_args& c) {
    GRAFT_TRY(check_shape("x", c.x, kFloat, -1, c.w.in));
    const unsigned type = 1u << c.x.dtype;
    GRAFT_TRY(check_flat("loss", c.loss, kF32, 2));
    GRAFT_TRY(check_optional("dx", c.dx, type, rows(c.x), c.w.in));
    GRAFT_TRY(check_optional("dw", c.dw, kF32, c.w.out, c.w.in));
    GRAFT_TRY(check_weight(c.w, graft_dtype(c.x.dtype)));
    GRAFT_TRY(check_flat("rows", c.rows, kI32, -1));
    const int64_t n = elements(c.rows);
    GRAFT_TRY(check_flat("targets", c.targets, kI32, n));
    GRAFT_TRY(check_flat("weights", c.weights, kF32, n));
    GRAFT_TRY(check_flat("inverse", c.inverse, kF32, 1));
    if (!(c.label_smoothing >= 0 && c.label_smoothing < 1 && c.z_loss >= 0))
        return error(GRAFT_INVALID_ARGUMENT, "label smoothing %g, z-loss %g", double(c.label_smoothing), double(c.z_loss));
    if (c.chunk_rows < 1) return error(GRAFT_INVALID_ARGUMENT, "chunks of %lld rows", static_cast<long long>(c.chunk_rows));
    for (int64_t i = 0; i < n; i++) {
        if (data<const float>(c.weights)[i] == 0) continue;
        const int64_t row = data<const int32_t>(c.rows)[i], target = data<const int32_t>(c.targets)[i];
        if (row < 0 || row >= rows(c.x) || target < 0 || target >= c.w.out)
            return error(GRAFT_INVALID_ARGUMENT, "target %lld: row %lld of %lld, token %lld of %lld", static_cast<long long>(i),
                         static_cast<long long>(row), static_cast<long long>(rows(c.x)), static_cast<long long>(target),
                         static_cast<long long>(c.w.out));
    }
    return nullptr;
}

}  // namespace

graft_status* linear_cross_entropy(graft_context* context, const graft_linear_cross_entropy_args* args) {
    const graft_linear_cross_entropy_args& c = *args;
    GRAFT_TRY(check_cross_entropy(c));
    const auto type = graft_dtype(c.x.dtype);
    std::vector<int64_t> live;
    for (int64_t i = 0; i < elements(c.rows); i++)
        if (data<const float>(c.weights)[i] != 0) live.push_back(i);

    const int64_t most = std::min(c.chunk_rows, elements(c.rows)), pitch = c.w.out + 16;
    Carver scratch(c.scratch.data, given(c.scratch) ? elements(c.scratch) : 0);
    float* logits = scratch.take<float>(most * pitch);
    void* x = scratch.bytes(most * c.w.in * size_of(type));
    float* loss = scratch.take<float>(most);
    float* hits = scratch.take<float>(most);
    GRAFT_TRY(scratch.check("scratch"));

    if (given(c.dx))
        for (int64_t t = 0; t < rows(c.dx); t++)
            std::memset(data<char>(c.dx) + t * c.dx.pitch * size_of(type), 0, size_t(c.w.in * size_of(type)));
    double sum = 0, correct = 0;
    for (int64_t first = 0; first < int64_t(live.size()); first += most) {
        const int64_t count = std::min(most, int64_t(live.size()) - first);
        const LossChunk chunk = {c, context, type, live.data() + first, count, matrix(x, type, count, c.w.in),
                             {logits, GRAFT_F32, 2, {count, c.w.out, 0, 0}, pitch}, loss, hits};
        GRAFT_TRY(type == GRAFT_BF16 ? chunk.run<bf16>() : chunk.run<float>());
        for (int64_t i = 0; i < count; i++) sum += loss[i], correct += hits[i];
    }
    data<float>(c.loss)[0] += float(sum);
    data<float>(c.loss)[1] += float(correct);
    return nullptr;
}

}  // namespace graft::cpu
