// An element of C is, for each lane of a vector, one chain of multiply-adds over every kLanes-th element of the
// contraction and then of the tails; the lanes are added last, in a fixed order. So the bits depend on the instruction
// set and on whether rows are few, but not on how many there are, nor on the threads.
#include "few_rows.h"

#include "gemm_pack.h"
#if defined(__x86_64__)
#include "gemm_pack_avx2.h"
#endif
#include "simd.h"

#define GRAFT_KERNELS "few_rows_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

bool is_few_rows(const graft_context* context, const Gemm& g) {
    bool rows = g.b.form == kRows;
    for (int64_t t = 0; t < g.num_tails; t++) rows = rows && g.tails[t].b.form == kRows;
    return rows && g.m <= kFewRows && context->isa <= Isa::avx2;
}

graft_status* few_rows(graft_context* context, const Gemm& g) {
    FewRows f = {g, {}, nullptr};
    Carver carver(*context);
    const auto add_term = [&](const Operand& a, const Operand& b, int64_t k) -> graft_status* {
        const int64_t row = (k + 15) / 16 * 16;
        float* x = carver.take<float>(g.m * row);
        GRAFT_TRY(carver.check("workspace"));
        std::memset(x, 0, size_t(g.m * row) * 4);
        for (int64_t i = 0; i < g.m; i++) read_contraction({a, g.type, k, g.m}, i, 0, k, x + i * row);
        f.terms.push_back({{b, g.type, k, g.n}, x, row});
        return nullptr;
    };
    GRAFT_TRY(add_term(g.a, g.b, g.k));
    for (int64_t t = 0; t < g.num_tails; t++) GRAFT_TRY(add_term(g.tails[t].a, g.tails[t].b, g.tails[t].r));
    if (g.bias) {
        float* bias = carver.take<float>(g.n);
        GRAFT_TRY(carver.check("workspace"));
        GRAFT_BY_TYPE(*g.bias, T, GRAFT_DISPATCH(context, cast, bias, data<const T>(*g.bias), g.n));
        f.bias = bias;
    }
    for_rows(context, (g.n + 3) / 4, 4 * g.m * g.k, [&](Range r) {
        for (int64_t j = 4 * r.begin; j < std::min(4 * r.end, g.n); j += 4) {
            const int64_t cols = std::min<int64_t>(4, g.n - j);
#if defined(__x86_64__)
            if (context->isa == Isa::avx2) {
                if (g.c_type == GRAFT_BF16) avx2::few_columns<bf16>(f, j, cols);
                else avx2::few_columns<float>(f, j, cols);
                continue;
            }
#endif
            if (g.c_type == GRAFT_BF16) portable::few_columns<bf16>(f, j, cols);
            else portable::few_columns<float>(f, j, cols);
        }
    });
    return nullptr;
}

}  // namespace graft::cpu
