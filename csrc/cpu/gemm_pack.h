// Packing by plain loops, for any storage and any unit: what an instruction set without its own packing uses, and
// what those with one use for the rare storages.
#pragma once
#include "gemm_kernel.h"

namespace graft::cpu {

// How values come from memory: as they are, or floats that are rounded to bf16.
enum class From { f32, bf16, narrowed };
constexpr int64_t width(From from) { return from == From::bf16 ? 2 : 4; }

// Elements [k, k+n) of the contraction of row i, to out[0..n), rounded to the type of the source.
inline void read_contraction(const Source& s, int64_t i, int64_t k, int64_t n, float* out) {
    const Operand& o = s.o;
    const int64_t first = o.form == kRows ? i * o.ld + k : k * o.ld + i, step = o.form == kRows ? 1 : o.ld;
    switch (o.storage) {
        case GRAFT_BF16:
            for (int64_t j = 0; j < n; j++) out[j] = widen(static_cast<const bf16*>(o.p)[first + j * step]);
            return;
        case GRAFT_U8:
            for (int64_t j = 0; j < n; j++) {
                const int64_t e = first + j * step;
                const uint8_t pair = static_cast<const uint8_t*>(o.p)[e / 2];
                out[j] = kNF4Table[e % 2 ? pair & 15 : pair >> 4] * o.scales(e / 64);
            }
            break;
        default:
            for (int64_t j = 0; j < n; j++) out[j] = static_cast<const float*>(o.p)[first + j * step];
    }
    if (s.type == GRAFT_BF16)
        for (int64_t j = 0; j < n; j++) out[j] = widen(to_bf16(out[j]));
}

// pack_plain for NF4 and f32 units: a scale is decoded once for the elements of its block that follow one another.
inline void pack_nf4(uint32_t* dst, const Source& s, int64_t i0, int rows, int width, int64_t u0, int64_t u1) {
    const uint8_t* codes = static_cast<const uint8_t*>(s.o.p);
    float table[16];
    const auto decode = [&](int64_t block) {
        const float scale = s.o.scales(block);
        for (int c = 0; c < 16; c++) {
            table[c] = kNF4Table[c] * scale;
            if (s.type == GRAFT_BF16) table[c] = widen(to_bf16(table[c]));
        }
    };
    const auto put = [&](int64_t e, uint32_t* to) {
        const uint8_t pair = codes[e / 2];
        std::memcpy(to, &table[e % 2 ? pair & 15 : pair >> 4], 4);
    };
    if (rows < width) std::memset(dst, 0, size_t(u1 - u0) * size_t(width) * 4);
    if (s.o.form == kRows) {
        for (int i = 0; i < rows; i++)
            for (int64_t u = u0; u < u1;) {
                const int64_t first = (i0 + i) * s.o.ld, end = std::min(u1, u + 64 - (first + u) % 64);
                decode((first + u) / 64);
                for (; u < end; u++) put(first + u, dst + (u - u0) * width + i);
            }
        return;
    }
    for (int64_t u = u0; u < u1; u++)
        for (int i = 0; i < rows;) {
            const int64_t first = u * s.o.ld + i0;
            const int end = int(std::min<int64_t>(rows, i + 64 - (first + i) % 64));
            decode((first + i) / 64);
            for (; i < end; i++) put(first + i, dst + (u - u0) * width + i);
        }
}

// Units [u0, u1) of rows [i0, i0+rows), to [units][width], zero behind the rows and the contraction.
template <graft_dtype kUnit>
void pack_plain(uint32_t* dst, const Source& s, int64_t i0, int rows, int width, int64_t u0, int64_t u1) {
    if (kUnit == GRAFT_F32 && s.o.storage == GRAFT_U8) return pack_nf4(dst, s, i0, rows, width, u0, u1);
    constexpr int64_t kBlock = 64, kPer = kUnit == GRAFT_BF16 ? 2 : 1;
    for (int64_t u = u0; u < u1; u += kBlock / kPer) {
        const int64_t count = std::min(kBlock / kPer, u1 - u);
        for (int i = 0; i < width; i++) {
            float line[kBlock] = {};
            if (i < rows) read_contraction(s, i0 + i, u * kPer, std::min(count * kPer, s.contraction - u * kPer), line);
            uint32_t* to = dst + (u - u0) * width + i;
            for (int64_t v = 0; v < count; v++, to += width) {
                if constexpr (kUnit == GRAFT_BF16) *to = to_bf16(line[2 * v]).bits | uint32_t(to_bf16(line[2 * v + 1]).bits) << 16;
                else std::memcpy(to, &line[v], 4);
            }
        }
    }
}

}  // namespace graft::cpu
