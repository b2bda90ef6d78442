// The output layer and its loss over the rows that carry a target. Logits exist
// for chunk_rows rows at a time; their gradient takes their place.
//     loss[0] += weight * inverse * (logsumexp(z) - z[target]),  z = x W^T
//     dz = weight * inverse * (softmax(z) - [target]),  dx = dz W,  dW += dz^T x
// With smoothing e and z-loss l, L being logsumexp(z):
//     loss = L - (1 - e) z[target] - e mean(z) + l L^2
//     dz = softmax(z) (1 + 2 l L) - (1 - e) [target] - e / V
#include "weight.cuh"

namespace graft::cuda {
namespace {

template <class T> struct Gather {
    T* to;
    Matrix<const T> x;
    const int32_t* rows;
    __device__ void operator()(int64_t i, int64_t col) const {
        const int64_t row = rows[i];
        to[i * x.cols + col] = row >= 0 && row < x.rows ? x.row(row)[col] : T{};
    }
};

// Rows that only fill the bucket repeat another row and have weight 0.
template <class T> struct Spread {
    Matrix<T> dx;
    const float* from;
    const int32_t* rows;
    const float* weights;
    __device__ void operator()(int64_t i, int64_t col) const {
        const int64_t row = rows[i];
        if (weights[i] != 0.0f && row >= 0 && row < dx.rows) store(dx.row(row) + col, from[i * dx.cols + col]);
    }
};

struct Best {
    float value;
    int64_t index;
};
__device__ inline Best better(Best a, Best b) {
    return a.value > b.value || (a.value == b.value && a.index < b.index) ? a : b;
}

// One block a row: loss and hit to report[2 * row], and the gradient over the
// logits, as T in the first half of the row if T is narrower. What is read is
// read by all threads before it is overwritten.
template <class T>
__global__ void __launch_bounds__(kThreads)
softmax_rows(float* logits, int64_t vocab, const int32_t* targets, const float* weights, const float* inverse, float soft_cap,
             float smoothing, float z_loss, float* report, bool gradient) {
    GRAFT_SHARED(float, best_value, kThreads);
    GRAFT_SHARED(int64_t, best_index, kThreads);
    const int64_t row = blockIdx.x;
    float* z = logits + row * vocab;
    auto capped = [&](float v) { return soft_cap > 0.0f ? soft_cap * tanhf(v / soft_cap) : v; };

    Best best{-INFINITY, vocab};
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) best = better(best, {capped(z[i]), i});
    best_value[threadIdx.x] = best.value;
    best_index[threadIdx.x] = best.index;
    __syncthreads();
    for (int half = kThreads / 2; half > 0; half /= 2) {
        if (int(threadIdx.x) < half) {
            const Best b = better({best_value[threadIdx.x], best_index[threadIdx.x]},
                                  {best_value[threadIdx.x + half], best_index[threadIdx.x + half]});
            best_value[threadIdx.x] = b.value;
            best_index[threadIdx.x] = b.index;
        }
        __syncthreads();
    }
    const float top = best_value[0];
    float sum = 0.0f;
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) sum += expf(capped(z[i]) - top);
    sum = block_sum<kThreads>(sum);
    float mean = 0.0f;
    if (smoothing > 0.0f) {
        for (int64_t i = threadIdx.x; i < vocab; i += kThreads) mean += capped(z[i]);
        mean = block_sum<kThreads>(mean) / float(vocab);
    }
    const float lse = logf(sum) + top;
    const int64_t target = targets[row];
    const float weight = weights[row] * inverse[0];
    if (threadIdx.x == 0) {
        const bool valid = weights[row] != 0.0f && target >= 0 && target < vocab;
        float loss = 0.0f;
        if (valid) {
            const float at_target = capped(z[target]);
            loss = lse - at_target;
            if (smoothing > 0.0f) loss += smoothing * (at_target - mean);
            if (z_loss > 0.0f) loss += z_loss * lse * lse;
        }
        report[2 * row] = weight * loss;
        report[2 * row + 1] = valid && best_index[0] == target ? weights[row] : 0.0f;
    }
    if (!gradient) return;
    __syncthreads();  // z[target] is read
    T* dz = reinterpret_cast<T*>(z);
    const float grown = 1.0f + 2.0f * z_loss * lse, even = smoothing / float(vocab);
    for (int64_t first = 0; first < vocab; first += kThreads) {
        const int64_t i = first + threadIdx.x;
        float d = 0.0f;
        if (i < vocab && weight != 0.0f) {
            const float v = capped(z[i]);
            d = weight * (expf(v - top) / sum * grown - (i == target ? 1.0f - smoothing : 0.0f) - even);
            if (soft_cap > 0.0f) d *= 1.0f - v / soft_cap * (v / soft_cap);
        }
        __syncthreads();
        if (i < vocab) store(dz + i, d);
        __syncthreads();
    }
}

// loss[j] += sum over rows of report[2 * row + j], in a fixed order.
__global__ void __launch_bounds__(kThreads) add_reports(float* loss, const float* report, int64_t rows) {
    float sum[2] = {};
    for (int64_t i = threadIdx.x; i < rows; i += kThreads)
        for (int j = 0; j < 2; ++j) sum[j] += report[2 * i + j];
    for (int j = 0; j < 2; ++j) {
        const float total = block_sum<kThreads>(sum[j]);
        if (threadIdx.x == 0) loss[j] += total;
    }
}

template <class T> graft_status* run(graft_context* c, const graft_linear_cross_entropy_args* a) {
    const int32_t type = a->x.dtype;
    const int64_t h = a->w.in, vocab = a->w.out, total = elements(a->rows);
    const int64_t chunk = a->chunk_rows < total ? a->chunk_rows : total;
    const bool gradient = given(a->dx) || given(a->dw);
    Carver scratch(a->scratch), workspace(*c);
    float* logits = scratch.take<float>(chunk * vocab);
    T* x = scratch.take<T>(chunk * h);
    float* dx = scratch.take<float>(chunk * h);
    GRAFT_TRY(scratch.check("scratch"));
    float* report = workspace.take<float>(2 * total);
    GRAFT_TRY(workspace.check("workspace"));
    if (given(a->dx)) {
        const graft_zero_args all{a->dx};
        GRAFT_TRY(zero(c, &all));
    }
    for (int64_t first = 0; first < total; first += chunk) {
        const int64_t n = total - first < chunk ? total - first : chunk;
        const int32_t* rows = data<int32_t>(a->rows) + first;
        const float* weights = data<float>(a->weights) + first;
        for_each<1>(c, Gather<T>{x, view<const T>(a->x), rows}, n, h);
        GRAFT_TRY(for_pieces(c, a->w, type, true, workspace, [&](int64_t word, int64_t count, Operand w, Carver left) {
            Gemm g;
            g.type = type;
            g.m = n;
            g.n = count;
            g.k = h;
            g.a = {x, h};
            g.b = w;
            g.c = logits + word;
            g.c_pitch = vocab;
            return gemm(c, g, left);
        }));
        GRAFT_LAUNCH((softmax_rows<T>), dim3(unsigned(n)), dim3(kThreads), 0, c->stream, logits, vocab,
                     data<int32_t>(a->targets) + first, weights, data<float>(a->inverse), a->soft_cap,
                     a->label_smoothing, a->z_loss, report + 2 * first, gradient);
        const int64_t pitch = vocab * int64_t(sizeof(float) / sizeof(T));
        if (given(a->dw)) {
            Gemm g;
            g.layout = Layout::TN;
            g.type = type;
            g.m = vocab;
            g.n = h;
            g.k = n;
            g.a = {logits, pitch};
            g.b = {x, h};
            g.c = a->dw.data;
            g.c_pitch = a->dw.pitch;
            g.accumulate = true;
            GRAFT_TRY(gemm(c, g, workspace));
        }
        if (!given(a->dx)) continue;
        GRAFT_TRY(for_pieces(c, a->w, type, true, workspace, [&](int64_t word, int64_t count, Operand w, Carver left) {
            Gemm g;
            g.layout = Layout::NN;
            g.type = type;
            g.m = n;
            g.n = h;
            g.k = count;
            g.a = {reinterpret_cast<T*>(logits) + word, pitch};
            g.b = w;
            g.c = dx;
            g.c_pitch = h;
            g.accumulate = word > 0;
            return gemm(c, g, left);
        }));
        for_each<1>(c, Spread<T>{view<T>(a->dx), dx, rows, weights}, n, h);
    }
    GRAFT_LAUNCH(add_reports, dim3(1), dim3(kThreads), 0, c->stream, data<float>(a->loss), report, total);
    return launched();
}

}  // namespace

graft_status* linear_cross_entropy(graft_context* c, const graft_linear_cross_entropy_args* a) {
    GRAFT_TRY(check_shape("x", a->x, kFloat, -1, a->w.in));
    GRAFT_TRY(check_weight(a->w, a->x.dtype));
    GRAFT_TRY(check_flat("rows", a->rows, kI32, -1));
    const int64_t n = elements(a->rows);
    GRAFT_TRY(check_flat("targets", a->targets, kI32, n));
    GRAFT_TRY(check_flat("weights", a->weights, kF32, n));
    GRAFT_TRY(check_flat("inverse", a->inverse, kF32, 1));
    GRAFT_TRY(check_flat("loss", a->loss, kF32, 2));
    GRAFT_TRY(check_optional("dx", a->dx, same(a->x), rows(a->x), a->w.in));
    GRAFT_TRY(check_optional("dw", a->dw, kF32, a->w.out, a->w.in));
    if (n == 0) {
        const graft_zero_args all{a->dx};
        return given(a->dx) ? zero(c, &all) : nullptr;
    }
    if (!(a->label_smoothing >= 0 && a->label_smoothing < 1 && a->z_loss >= 0))
        return error(GRAFT_INVALID_ARGUMENT, "label smoothing %g, z-loss %g", double(a->label_smoothing), double(a->z_loss));
    if (a->chunk_rows < 1) return error(GRAFT_INVALID_ARGUMENT, "chunk_rows is %lld", (long long)a->chunk_rows);
    GRAFT_BY_TYPE(a->x, T, return run<T>(c, a));
    return nullptr;
}

}  // namespace graft::cuda
