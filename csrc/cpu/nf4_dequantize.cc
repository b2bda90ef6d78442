// nf4_dequantize (Dettmers et al., arXiv 2305.14314, appendix E), bit-equal to
// bitsandbytes: y = table[code] * scale of the block, rounded to float32 and then,
// where y is bf16, to that.
#include <atomic>

#include "simd.h"
#include "weight.h"
#if defined(__x86_64__)
#include "gemm_nf4.h"
#include "gemm_pack_avx2.h"
#endif

#define GRAFT_KERNELS "nf4_dequantize_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {

// Blocks whose elements lie in y without a gap go to a kernel together; one that
// goes on in the next row is decoded aside.
template <class T> void dequantize(graft_context* context, const graft_nf4_dequantize_args& a, Range blocks, bool stream) {
    const int64_t in = a.w.in, pitch = a.y.pitch;
    const uint8_t* codes = data<const uint8_t>(a.w.data);
    const NF4Scales scales = nf4_scales(a.w);
    for (int64_t b = blocks.begin; b < blocks.end;) {
        const int64_t row = b * kNF4Block / in, column = b * kNF4Block % in;
        const int64_t whole = pitch == in ? blocks.end - b : std::min(blocks.end - b, (in - column) / kNF4Block);
        T* y = data<T>(a.y) + row * pitch + column;
        if (whole == 0) {
            T values[kNF4Block];
            GRAFT_DISPATCH(context, decode_blocks<false>, values, codes, scales, b, 1);
            each_part(b, in, [&](int64_t r, int64_t c, int64_t i, int64_t n) {
                std::memcpy(data<T>(a.y) + r * pitch + c, values + i, size_t(n) * sizeof(T));
            });
        } else if (stream) {
            GRAFT_DISPATCH(context, decode_blocks<true>, y, codes, scales, b, whole);
        } else {
            GRAFT_DISPATCH(context, decode_blocks<false>, y, codes, scales, b, whole);
        }
        b += std::max<int64_t>(whole, 1);
    }
    if (stream) std::atomic_thread_fence(std::memory_order_seq_cst);  // orders non-temporal stores too
}

}  // namespace

graft_status* nf4_dequantize(graft_context* context, const graft_nf4_dequantize_args* a) {
    if (!is_nf4(a->w)) return error(GRAFT_INVALID_ARGUMENT, "the weight is not in NF4");
    GRAFT_TRY(check_nf4(a->w));
    GRAFT_TRY(check_shape("y", a->y, kFloat, a->w.out, a->w.in));
    const int64_t blocks = elements(a->y) / kNF4Block, size = a->y.dtype == GRAFT_BF16 ? 2 : 4;
    const bool lines = reinterpret_cast<uintptr_t>(a->y.data) % 64 == 0 && (a->y.pitch == a->w.in || (a->y.pitch * size % 64 == 0 && a->w.in % kNF4Block == 0));
    const bool stream = lines && elements(a->y) * size >= kStreamBytes;
    for_rows(context, blocks, kNF4Block, [&](Range r) { GRAFT_BY_TYPE(a->y, T, dequantize<T>(context, *a, r, stream)); });
    return nullptr;
}

}  // namespace graft::cpu
