// The blocked product: packing, loop order, static split over threads.
//
//   chunk of rows of C (2048)
//     slab of the contraction (8192 bytes a row)      all threads pack A together, barrier
//       block of columns of C                          a thread's own; B is packed here unless it is in panels
//         block of rows of C
//           slice of the contraction (kc units)        B slice of one panel fits L1, A block fits L2
//             panel of B, micro-panel of A: one register tile
//
// Every element of C is one chain of multiply-adds in the order of the contraction (unfinished sums go through
// memory as fp32, exactly), so the bits depend neither on the threads nor on any block size.
#include <algorithm>
#include <cstring>
#include <immintrin.h>

#include "gemm_kernel.h"

namespace graft::cpu {

namespace {

constexpr int64_t kSliceUnits = 512;    // 64 KiB of B, 24 KiB of a micro-panel of A: B streams from L2
constexpr int64_t kSlabUnits = 2048;    // one slab up to here: partial sums stay in L2
constexpr int64_t kDeepSlabUnits = 512; // beyond: packed data stays small, partial sums go through L3
constexpr int64_t kDirectCols = 8192;
constexpr int64_t kChunkRows = 2048;
constexpr int64_t kBlockRows = 96;
constexpr int64_t kBlockCols = 512;
constexpr size_t kStreamBytes = size_t(24) << 20;  // larger results bypass the cache

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Product {
    const Gemm& g;
    const Kernels& k;
    Pool& pool;
    Operand a, b, tail_a, tail_b;
    int64_t units, tail_units, slab, slice, panels;
    int64_t shared_units, private_units;
    uint32_t *shared = nullptr, *owned = nullptr;
    bool split_columns, b_packed, stream, a_direct;

    Product(const Gemm& g_, const Kernels& k_, Pool& pool_);
    void operator()(int thread, int threads);
    int64_t bytes() const { return 4 * (shared_units + pool.threads() * private_units) + 128; }

  private:
    // A's slab: slices one after the other, in each the micro-panels, in each [units][rows].
    const uint32_t* a_panel(const uint32_t* base, int64_t rows, int64_t u, int64_t u_slice, int64_t i) const {
        return base + u * rows + i * u_slice;
    }
    void pack_a_share(uint32_t* to, int64_t i0, int64_t rows, int64_t u0, int64_t u1, Range share);
    void slices(int64_t u0, int64_t u1, int64_t s, int64_t* begin, int64_t* end) const {
        *begin = std::min(u0 + s * slice, u1);
        *end = std::min(*begin + slice, u1);
    }
};

Product::Product(const Gemm& g_, const Kernels& k_, Pool& pool_) : g(g_), k(k_), pool(pool_) {
    a = {g.a, g.lda, g.a_form, nullptr, g.k, g.m};
    b = {g.b, g.ldb, g.b_form, g.absmax, g.k, g.n};
    tail_a = {g.tail_a, g.ld_tail_a, kRows, nullptr, g.r, g.m};
    tail_b = {g.tail_b, g.ld_tail_b, g.tail_b_form, nullptr, g.r, g.n};
    units = units_of(g.type, g.k);
    tail_units = units_of(g.type, g.r);
    panels = ceil_div(g.n, k.nr);
    slab = units <= kSlabUnits ? units : g.m <= k.mr ? kSlabUnits : kDeepSlabUnits;
    int64_t count = ceil_div(slab, g.m <= k.mr ? kSlabUnits : kSliceUnits);
    slice = count ? ceil_div(ceil_div(slab, count), 32) * 32 : 32;
    int t = pool.threads();
    split_columns = panels >= 8 * t || panels % t == 0;
    b_packed = g.b_form == kPanels;
    size_t size = g.c_type == GRAFT_BF16 ? 2 : 4;
    // A is read in place when packing would not pay back (few columns), units are whole, and the rows of a tile do
    // not fall into the same sets of L1 (4 KiB apart).
    const int64_t row_bytes = g.lda * (g.type == GRAFT_BF16 ? 2 : 4);
    a_direct = k.tile_direct[1] && g.a_form == kRows && g.n <= kDirectCols && row_bytes % 4 == 0 &&
               row_bytes % 1024 != 0 && (g.type == GRAFT_F32 || g.k % 2 == 0);
    stream = size * g.m * g.n >= kStreamBytes && g.beta == 0 && k.nr == 32 && g.n % 32 == 0 &&
             g.ldc * size % 64 == 0 && reinterpret_cast<uintptr_t>(g.c) % 64 == 0;

    const int64_t most = split_columns ? ceil_div(panels, t) : panels, chunk = std::min(g.m, kChunkRows);
    const int64_t block = std::max<int64_t>(1, std::min(most, kBlockCols / k.nr));
    const int64_t partial = units <= slab ? block * k.nr * (std::min(chunk, kBlockRows) + k.mr)
                                          : most * k.nr * (chunk + k.mr);
    shared_units = ceil_div(chunk * (slab + tail_units), 16) * 16;
    private_units = ceil_div((b_packed ? 0 : block * k.nr * slab) + most * k.nr * tail_units + partial, 16) * 16;
}

// When the contraction is strided (COLS), a cache line of A belongs to several micro-panels and rows may be a power of
// two apart: eight rows at a time, across all panels, so that a line is used up before its set is full.
void Product::pack_a_share(uint32_t* to, int64_t i0, int64_t rows, int64_t u0, int64_t u1, Range share) {
    int64_t begin, end;
    for (int64_t s = 0; slices(u0, u1, s, &begin, &end), begin < end; s++) {
        const int64_t step = a.form == kCols ? 4 : end - begin;
        for (int64_t u = begin; u < end; u += step)
            for (int64_t p = share.begin; p < share.end; p++) {
                const int64_t i = p * k.mr;
                const int count = int(std::min<int64_t>(k.mr, rows - i));
                uint32_t* panel = const_cast<uint32_t*>(a_panel(to, rows, begin - u0, end - begin, i));
                k.pack_a(panel + (u - begin) * count, a, i0 + i, count, u, std::min(u + step, end));
            }
    }
}

void Product::operator()(int thread, int threads) {
    Range cols = split_columns ? part(panels, thread, threads) : Range{0, panels};
    const int64_t my_panels = cols.end - cols.begin;
    const int64_t slab_units = slab, chunk_rows = std::min(g.m, kChunkRows);
    const bool one_slab = units <= slab;

    // Scratch. shared: A slab and tail. private: B block, tail of B, partial sums.
    uint32_t* a_slab = shared;
    uint32_t* a_tail = a_slab + chunk_rows * slab_units;
    const int64_t block_panels = std::max<int64_t>(1, std::min(my_panels, kBlockCols / k.nr));
    const int64_t b_units = b_packed ? 0 : block_panels * k.nr * slab_units;
    const int64_t tail_b_units = my_panels * k.nr * tail_units;
    // Partial sums lie tile after tile: rows a power of two apart would fight for the same sets of L1.
    uint32_t* b_block = owned + thread * private_units;
    uint32_t* b_tail = b_block + b_units;
    float* partial = reinterpret_cast<float*>(b_tail + tail_b_units);

    if (tail_units)
        for (int64_t p = 0; p < my_panels; p++)
            k.pack_b(b_tail + p * k.nr * tail_units, tail_b, (cols.begin + p) * k.nr, 0, tail_units);

    for (int64_t i0 = 0; i0 < g.m; i0 += chunk_rows) {
        const int64_t rows = std::min(chunk_rows, g.m - i0), micro = ceil_div(rows, k.mr);
        const Range share = part(micro, thread, threads), mine = split_columns ? Range{0, micro} : share;
        const int64_t row_blocks = ceil_div(mine.end - mine.begin, kBlockRows / k.mr);

        int64_t u0 = 0;
        do {
            const int64_t u1 = std::min(u0 + slab, units);
            if (i0 || u0) pool.barrier();
            if (!a_direct) pack_a_share(a_slab, i0, rows, u0, u1, share);
            if (u0 == 0 && tail_units)
                for (int64_t p = share.begin; p < share.end; p++)
                    k.pack_a(a_tail + p * k.mr * tail_units, tail_a, i0 + p * k.mr,
                             int(std::min<int64_t>(k.mr, rows - p * k.mr)), 0, tail_units);
            pool.barrier();

            for (int64_t jb = 0; jb < my_panels; jb += block_panels) {
                const int64_t j_end = std::min(jb + block_panels, my_panels);
                if (!b_packed)
                    for (int64_t j = jb; j < j_end; j++)
                        k.pack_b(b_block + (j - jb) * k.nr * slab_units, b, (cols.begin + j) * k.nr, u0, u1);

                for (int64_t rb = 0; rb < row_blocks; rb++) {
                    Range block = part(mine.end - mine.begin, rb, row_blocks);
                    block.begin += mine.begin, block.end += mine.begin;
                    int64_t begin, end;
                    for (int64_t s = 0; slices(u0, u1, s, &begin, &end), begin < end || (units == 0 && s == 0); s++) {
                        for (int64_t j = jb; j < j_end; j++) {
                            const uint32_t* panel =
                                b_packed ? static_cast<const uint32_t*>(g.b) + ((cols.begin + j) * units + begin) * k.nr
                                         : b_block + ((j - jb) * slab_units + begin - u0) * k.nr;
                            const char* next = reinterpret_cast<const char*>(
                                panel + (b_packed ? units : slab_units) * k.nr);
                            const int64_t n_micro = block.end - block.begin;
                            const int64_t share_bytes = (end - begin) * k.nr * 4 / std::max<int64_t>(1, n_micro) / 64 * 64;
                            Tile t;
                            t.b = panel;
                            t.lda = a_direct ? (g.type == GRAFT_BF16 ? g.lda / 2 : g.lda) : 0;
                            t.units = end - begin;
                            t.tail_b = b_tail + j * k.nr * tail_units;
                            t.tail_units = tail_units;
                            t.ld_partial = k.nr;
                            t.load_partial = begin > 0;
                            t.finish = end == units;
                            t.ldc = g.ldc;
                            t.cols = int(std::min<int64_t>(k.nr, g.n - (cols.begin + j) * k.nr));
                            t.alpha = g.alpha;
                            t.beta = g.beta;
                            t.c_bf16 = g.c_type == GRAFT_BF16;
                            t.stream = stream;
                            for (int64_t p = block.begin; p < block.end; p++) {
                                const int64_t i = p * k.mr;
                                const int count = int(std::min<int64_t>(k.mr, rows - i));
                                t.a = a_direct ? static_cast<const uint32_t*>(g.a) + (i0 + i) * t.lda + begin
                                               : a_panel(a_slab, rows, begin - u0, end - begin, i);
                                t.tail_a = a_tail + i * tail_units;
                                t.prefetch = next + (p - block.begin) * share_bytes;
                                t.partial =
                                    partial + (one_slab ? (j - jb) * n_micro + p - block.begin : j * micro + p) * k.mr * k.nr;
                                int64_t at = (i0 + i) * g.ldc + (cols.begin + j) * k.nr;
                                t.c = static_cast<char*>(g.c) + at * (t.c_bf16 ? 2 : 4);
                                (a_direct ? k.tile_direct : k.tile)[count](t);
                            }
                        }
                    }
                }
            }
            u0 = u1;
        } while (u0 < units);
    }
    if (stream) _mm_sfence();
}

}  // namespace

graft_status* gemm(graft_context* context, const Gemm& g) {
    const Kernels* k = kernels_for(context->isa, g.type);
    const bool nf4 = g.b_form == kNF4Rows || g.b_form == kNF4Cols;
    if (!k || (k->nr != 32 && g.c_type != GRAFT_F32) || (nf4 && g.type != GRAFT_BF16))
        return error(GRAFT_UNIMPLEMENTED, "gemm: no %s kernels for these types", name(context->isa));
    if (nf4 && (g.b_form == kNF4Rows ? g.k : g.n) % 64) return error(GRAFT_INVALID_ARGUMENT, "gemm: rows of NF4 weights must be a multiple of 64 long");
    if (g.m <= 0 || g.n <= 0) return nullptr;
    Product product(g, *k, context->pool);
    Carver carver(*context);
    product.shared = carver.take<uint32_t>(product.shared_units);
    product.owned = carver.take<uint32_t>(context->pool.threads() * product.private_units);
    if (graft_status* s = carver.check("workspace")) return s;
    context->pool.run(product);
    return nullptr;
}

int64_t gemm_workspace(const graft_context& context, const Gemm& g) {
    const Kernels* k = kernels_for(context.isa, g.type);
    return k ? Product(g, *k, const_cast<graft_context&>(context).pool).bytes() : 0;
}

}  // namespace graft::cpu
