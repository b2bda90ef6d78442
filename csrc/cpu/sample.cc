// sample: one token for each row of logits, with the filters of transformers'
// generation in its order.
#include <cmath>

#include "cpu.h"

namespace graft::cpu {

namespace {
struct Candidate {
    float logit;
    int32_t id;
};
// From the most to the least likely; the lower id first.
bool before(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

// Word 0 of Philox4x32-10 (Salmon et al., SC 2011).
uint32_t philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
    for (int i = 0; i < 10; i++) {
        const uint64_t a = uint64_t(0xD2511F53) * c0, b = uint64_t(0xCD9E8D57) * c2;
        c0 = uint32_t(b >> 32) ^ c1 ^ k0;
        c1 = uint32_t(b);
        c2 = uint32_t(a >> 32) ^ c3 ^ k1;
        c3 = uint32_t(a);
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c0;
}

int32_t argmax(const float* z, int64_t vocab) {
    int64_t best = 0;
    for (int64_t j = 1; j < vocab; j++)
        if (z[j] > z[best]) best = j;
    return int32_t(best);
}

int32_t draw(float* z, const uint8_t* seen, int64_t vocab, const graft_sample_args& a, Candidate* all, uint32_t word) {
    for (int64_t j = 0; j < vocab; j++)
        if (z[j] != z[j]) z[j] = -HUGE_VALF;  // a NaN has no place in an order
    if (seen && a.repetition_penalty != 1.0f)
        for (int64_t j = 0; j < vocab; j++)
            if (seen[j]) z[j] = z[j] > 0 ? z[j] / a.repetition_penalty : z[j] * a.repetition_penalty;
    if (a.temperature == 0) return argmax(z, vocab);

    for (int64_t j = 0; j < vocab; j++) all[j] = {z[j] /= a.temperature, int32_t(j)};
    const float top = z[argmax(z, vocab)];
    int64_t n = vocab;
    if (a.top_k > 0 && a.top_k < n) {  // what equals the last one stays
        std::nth_element(all, all + a.top_k - 1, all + n, before);
        const float least = all[a.top_k - 1].logit;
        n = std::partition(all, all + n, [&](const Candidate& c) { return c.logit >= least; }) - all;
    }
    if (a.top_p < 1.0f) {  // the smallest set whose probability reaches top_p
        std::sort(all, all + n, before);
        double total = 0, sum = 0;
        for (int64_t i = 0; i < n; i++) total += std::exp(double(all[i].logit) - top);
        int64_t kept = 0;
        do sum += std::exp(double(all[kept++].logit) - top);
        while (kept < n && sum < double(a.top_p) * total);
        n = kept;
    }
    if (a.min_p > 0)
        n = std::partition(all, all + n, [&](const Candidate& c) {
                return c.logit == top || std::exp(double(c.logit) - top) >= double(a.min_p);
            }) - all;

    std::sort(all, all + n, [](const Candidate& x, const Candidate& y) { return x.id < y.id; });
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += std::exp(double(all[i].logit) - top);
    double left = double(word) / 4294967296.0 * total;
    for (int64_t i = 0; i < n; i++) {
        left -= std::exp(double(all[i].logit) - top);
        if (left < 0) return all[i].id;
    }
    return all[n - 1].id;
}
}  // namespace

graft_status* sample(graft_context* context, const graft_sample_args* a) {
    GRAFT_TRY(check_shape("logits", a->logits, kF32, -1, -1));
    const int64_t n = rows(a->logits), vocab = cols(a->logits);
    GRAFT_TRY(check_flat("ids", a->ids, kI32, n));
    GRAFT_TRY(check_flat("seed", a->seed, kU32, 4));
    GRAFT_TRY(check_optional("seen", a->seen, kU8, n, vocab));
    if (vocab < 1 || !(a->temperature >= 0) || !(a->repetition_penalty > 0))
        return error(GRAFT_INVALID_ARGUMENT, "%lld logits, temperature %g, repetition penalty %g",
                     static_cast<long long>(vocab), double(a->temperature), double(a->repetition_penalty));
    Candidate* candidates = nullptr;
    if (a->temperature != 0) {
        GRAFT_TRY(check_shape("scratch", a->scratch, kU8, -1, -1));
        Carver carver(a->scratch.data, elements(a->scratch));
        candidates = carver.take<Candidate>(n * vocab);
        GRAFT_TRY(carver.check("scratch"));
    }
    const uint32_t* seed = data<uint32_t>(a->seed);
    for_rows(context, n, vocab, [&](Range r) {
        for (int64_t i = r.begin; i < r.end; i++)
            data<int32_t>(a->ids)[i] =
                draw(data<float>(a->logits) + i * a->logits.pitch,
                     given(a->seen) ? data<uint8_t>(a->seen) + i * a->seen.pitch : nullptr, vocab, *a,
                     candidates + (candidates ? i * vocab : 0),
                     philox(uint32_t(i), 0, seed[2], seed[3], seed[0], seed[1]));
    });
    return nullptr;
}

}  // namespace graft::cpu
