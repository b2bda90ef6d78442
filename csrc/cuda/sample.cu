// sample: one token for each row of logits: repetition penalty (Keskar et al.,
// arXiv 1909.05858), temperature, top-k, top-p (Holtzman et al., arXiv
// 1904.09751), min-p. One block a row.
//
// Filters look at tokens in the order of falling logits, the lower id first among
// equals; the draw goes over what they keep in the order of ids. Where there is a
// filter tokens are sorted in scratch by a bitonic network whose comparators all point
// the same way, so that any length sorts without padding.
#include "context.cuh"
#include "philox.cuh"

namespace graft::cuda {
namespace {

constexpr int kSampleThreads = 512;

struct Candidate {
    float z;
    int32_t id;
};
__device__ inline bool before(const Candidate& a, const Candidate& b) { return a.z > b.z || (a.z == b.z && a.id < b.id); }

__device__ inline void order(Candidate* all, int64_t i, int64_t j, int64_t n) {
    if (j >= n) return;
    const Candidate a = all[i], b = all[j];
    if (!before(b, a)) return;
    all[i] = b;
    all[j] = a;
}

__device__ inline void sort(Candidate* all, int64_t n) {
    int64_t pairs = 1;
    while (2 * pairs < n) pairs *= 2;
    for (int64_t size = 2; size < 2 * n; size *= 2) {
        for (int64_t p = threadIdx.x; p < pairs; p += kSampleThreads) {  // the mirrored step
            const int64_t group = p / (size / 2) * size, i = p % (size / 2);
            order(all, group + i, group + size - 1 - i, n);
        }
        __syncthreads();
        for (int64_t half = size / 4; half > 0; half /= 2) {
            for (int64_t p = threadIdx.x; p < pairs; p += kSampleThreads) {
                const int64_t i = p / half * 2 * half + p % half;
                order(all, i, i + half, n);
            }
            __syncthreads();
        }
    }
}

struct Options {
    float temperature, top_p, min_p, penalty;
    int64_t top_k;
};

__global__ void __launch_bounds__(kSampleThreads)
draw(int32_t* ids, Matrix<float> logits, Matrix<const uint8_t> seen, const uint32_t* seed, Options o, Candidate* scratch) {
    GRAFT_SHARED(Candidate, best, kSampleThreads);
    const int64_t row = blockIdx.x, vocab = logits.cols;
    float* z = logits.row(row);
    Candidate mine{-INFINITY, INT_MAX};
    for (int64_t i = threadIdx.x; i < vocab; i += kSampleThreads) {
        float v = z[i];
        if (v != v) v = -INFINITY;  // a NaN has no place in an order
        if (seen.data && seen.row(row)[i]) v = v > 0.0f ? v / o.penalty : v * o.penalty;
        if (o.temperature > 0.0f) v /= o.temperature;
        z[i] = v;
        if (o.temperature > 0.0f) {
            scratch[row * vocab + i] = {v, int32_t(i)};
        } else if (before({v, int32_t(i)}, mine)) {
            mine = {v, int32_t(i)};
        }
    }
    if (o.temperature <= 0.0f) {
        best[threadIdx.x] = mine;
        __syncthreads();
        for (int half = kSampleThreads / 2; half > 0; half /= 2) {
            if (int(threadIdx.x) < half && before(best[threadIdx.x + half], best[threadIdx.x]))
                best[threadIdx.x] = best[threadIdx.x + half];
            __syncthreads();
        }
        if (threadIdx.x == 0) ids[row] = best[0].id < vocab ? best[0].id : 0;
        return;
    }
    __syncthreads();
    Candidate* all = scratch + row * vocab;
    const bool filtered = o.top_k > 0 || o.top_p < 1.0f || o.min_p > 0.0f;
    if (filtered) sort(all, vocab);
    if (threadIdx.x != 0) return;

    // What is kept is a range of the order, up to and with `last`. Probabilities
    // are relative to the first; sums in order, in double.
    Candidate last{-INFINITY, INT_MAX};
    if (filtered) {
        const double top = double(all[0].z);
        int64_t n = o.top_k > 0 && o.top_k < vocab ? o.top_k : vocab;
        while (n < vocab && all[n].z == all[n - 1].z) ++n;  // what equals the last one stays
        if (o.top_p < 1.0f) {  // the fewest that hold top_p; one at least
            double total = 0.0, sum = 0.0;
            for (int64_t i = 0; i < n; ++i) total += exp(double(all[i].z) - top);
            int64_t m = 0;
            do sum += exp(double(all[m++].z) - top);
            while (m < n && sum < double(o.top_p) * total);
            n = m;
        }
        if (o.min_p > 0.0f) {
            int64_t m = 1;
            while (m < n && exp(double(all[m].z) - top) >= double(o.min_p)) ++m;
            n = m;
        }
        last = all[n - 1];
    }
    double top = -INFINITY, total = 0.0;
    for (int64_t i = 0; i < vocab; ++i) top = fmax(top, double(z[i]));
    for (int64_t i = 0; i < vocab; ++i)
        if (!before(last, {z[i], int32_t(i)})) total += exp(double(z[i]) - top);
    double left = double(philox({uint32_t(row), 0, seed[2], seed[3]}, seed[0], seed[1]).at[0]) / 4294967296.0 * total;
    int32_t chosen = 0;
    for (int64_t i = 0; i < vocab; ++i) {  // in the order of ids
        if (before(last, {z[i], int32_t(i)})) continue;
        chosen = int32_t(i);
        left -= exp(double(z[i]) - top);
        if (left < 0.0) break;
    }
    ids[row] = chosen;
}

}  // namespace

graft_status* sample(graft_context* c, const graft_sample_args* a) {
    GRAFT_TRY(check_shape("logits", a->logits, kF32, -1, -1));
    const int64_t n = rows(a->logits), vocab = cols(a->logits);
    GRAFT_TRY(check_flat("ids", a->ids, kI32, n));
    GRAFT_TRY(check_optional("seen", a->seen, kU8, n, vocab));
    GRAFT_TRY(check_flat("seed", a->seed, kU32, 4));
    if (n == 0) return nullptr;
    if (vocab == 0 || vocab > INT_MAX) return error(GRAFT_INVALID_ARGUMENT, "rows of %lld logits", (long long)vocab);
    Candidate* all = nullptr;
    if (a->temperature > 0) {
        Carver scratch(a->scratch);
        all = scratch.take<Candidate>(n * vocab);
        GRAFT_TRY(scratch.check("scratch"));
    }
    const Options o{a->temperature, a->top_p, a->min_p, a->repetition_penalty, a->top_k};
    GRAFT_LAUNCH(draw, dim3(unsigned(n)), dim3(kSampleThreads), 0, c->stream, data<int32_t>(a->ids), view<float>(a->logits),
                 view<const uint8_t>(a->seen), data<uint32_t>(a->seed), o, all);
    return launched();
}

}  // namespace graft::cuda
