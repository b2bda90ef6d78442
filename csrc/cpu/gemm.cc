// The blocked product: packing, loop order, static split over threads.
//
//   chunk of rows of C
//     group of columns of C                            several only where partial sums of a deep contraction pile up
//       slab of the contraction (8192 bytes a row)     all threads pack A together, barrier
//         block of columns of C                        a thread's own; B is packed here, NF4 for few rows a slice at a time
//           block of rows of C
//             slice of the contraction                 B slice of one panel fits L1, A block fits L2
//               panel of B, micro-panel of A: one register tile
//
// Every element of C is one chain of multiply-adds in the order of the contraction (unfinished sums go through
// memory as f32, exactly), so the bits depend neither on the threads, nor on any block size, nor on how many rows there
// are: a batch has the bits of its parts.
#include <atomic>

#include "gemm_kernel.h"

namespace graft::cpu {

namespace {

constexpr int64_t kSliceBytes = 64 << 10;  // of a panel of B, which streams from L2 as does a micro-panel of A
constexpr int64_t kSlabUnits = 2048;     // one slab up to here: partial sums stay in L2
constexpr int64_t kDeepSlabUnits = 512;  // beyond: packed data stays small, partial sums go through L3
constexpr int64_t kDeepRows = 1024, kDeepCols = 1024;  // and are 4 MiB a thread
constexpr int64_t kPackedUnits = int64_t(2) << 20;     // of A: 8 MiB
constexpr int64_t kChunkRows = 2048;
constexpr int64_t kDirectCols = 8192;
constexpr int64_t kBlockRows = 96;
constexpr int64_t kBlockCols = 512;
constexpr int64_t kFewRows = 16;  // up to here a panel of B is used soon after it is packed, while it is in L1 or L2
constexpr int64_t kFewDepth = 64;  // NF4, of which little is read: a few units of four panels fit L1 when decoded

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Product {
    const Gemm& g;
    const Kernels& k;
    Pool& pool;
    Source a, b;
    int64_t units, tail_units = 0, slab, depth, slice, panels, chunk, group, block;
    int64_t shared_units, private_units;
    uint32_t *shared = nullptr, *owned = nullptr;
    const float* bias = nullptr;
    bool split_columns, stream, a_direct;

    Product(const Gemm&, const Kernels&, Pool&);
    void operator()(int thread, int threads);

  private:
    // What multiply works on.
    struct Part {
        int64_t i0, rows, u0, u1;
        Range mine, cols;  // micro-panels of A, panels of B
        const uint32_t *a_slab, *a_tail, *b_block, *b_tail;
        float* sums;
    };
    void multiply(const Part&);
    // A's slab: slices one after the other, in each the micro-panels, in each [units][rows].
    static const uint32_t* a_panel(const uint32_t* base, int64_t rows, int64_t u, int64_t u_slice, int64_t i) {
        return base + u * rows + i * u_slice;
    }
    void pack_a_share(uint32_t* to, int64_t i0, int64_t rows, int64_t u0, int64_t u1, Range share);
    void pack_a_tails(uint32_t* to, int64_t i0, int64_t rows, Range share);
    void pack_b(uint32_t* to, Range cols, int64_t u0, int64_t u1);
    void pack_b_tails(uint32_t* to, Range cols);
    void slices(int64_t u0, int64_t u1, int64_t s, int64_t* begin, int64_t* end) const {
        *begin = std::min(u0 + s * slice, u1);
        *end = std::min(*begin + slice, u1);
    }
};

Product::Product(const Gemm& g_, const Kernels& k_, Pool& pool_) : g(g_), k(k_), pool(pool_) {
    a = {g.a, g.type, g.k, g.m};
    b = {g.b, g.type, g.k, g.n};
    units = units_of(k.unit, g.k);
    for (int64_t i = 0; i < g.num_tails; i++) tail_units += units_of(k.unit, g.tails[i].r);
    panels = ceil_div(g.n, k.nr);
    const bool few = k.row && g.b.storage == GRAFT_U8 && g.m <= kFewRows && units * g.m <= kPackedUnits;
    const bool deep = units > kSlabUnits && !few;
    slab = deep ? kDeepSlabUnits : units;
    depth = few ? std::min(units, kFewDepth) : slab;
    const int64_t count = ceil_div(depth, kSliceBytes / 4 / k.nr);
    slice = count ? ceil_div(ceil_div(depth, count), 32) * 32 : 32;
    const int t = pool.threads();
    split_columns = panels >= 8 * t || panels % t == 0;
    const int64_t size = g.c_type == GRAFT_BF16 ? 2 : 4, width = k.unit == GRAFT_BF16 ? 2 : 4;
    // A is read in place when packing would not pay back (few columns), units are whole, and the rows of a tile do
    // not fall into the same sets of L1 (4 KiB apart), unless each is read just once.
    const int64_t row_bytes = g.a.ld * width;
    a_direct = k.tile_direct[1] && g.a.form == kRows && g.a.storage == k.unit && g.type == k.unit &&
               g.n <= kDirectCols && row_bytes % 4 == 0 && (row_bytes % 1024 != 0 || panels == 1) &&
               g.k * width % 4 == 0;
    stream = size * g.m * g.n >= kStreamBytes && g.beta == 0 && k.nr * size % 64 == 0 && g.n % k.nr == 0 &&
             g.ldc * size % 64 == 0 && reinterpret_cast<uintptr_t>(g.c) % 64 == 0;

    const int64_t most = split_columns ? ceil_div(panels, t) : panels;
    chunk = std::min({g.m, deep ? kDeepRows : kChunkRows, std::max<int64_t>(k.mr, kPackedUnits / std::max<int64_t>(slab, 1) / k.mr * k.mr)});
    group = deep ? std::min(most, kDeepCols / k.nr) : most;
    block = std::min(group, g.m <= kFewRows ? kRowPanels : kBlockCols / k.nr);
    const int64_t partial_rows = deep ? chunk : std::min(chunk, kBlockRows);
    const int64_t partial = (deep ? group : block) * k.nr * (partial_rows + k.mr);
    shared_units = ceil_div(chunk * (slab + tail_units), 16) * 16;
    private_units = ceil_div(block * k.nr * (depth + tail_units) + partial, 16) * 16;
}

// When the contraction is strided (COLS), a cache line of A belongs to several micro-panels and rows may be a power of
// two apart: eight rows at a time, across all panels, so that a line is used up before its set is full.
void Product::pack_a_share(uint32_t* to, int64_t i0, int64_t rows, int64_t u0, int64_t u1, Range share) {
    int64_t begin, end;
    for (int64_t s = 0; slices(u0, u1, s, &begin, &end), begin < end; s++) {
        const int64_t step = a.o.form == kCols ? 4 : end - begin;
        for (int64_t u = begin; u < end; u += step)
            for (int64_t p = share.begin; p < share.end; p++) {
                const int64_t i = p * k.mr;
                const int count = int(std::min<int64_t>(k.mr, rows - i));
                uint32_t* panel = const_cast<uint32_t*>(a_panel(to, rows, begin - u0, end - begin, i));
                k.pack_a(panel + (u - begin) * count, a, i0 + i, count, u, std::min(u + step, end));
            }
    }
}

void Product::pack_a_tails(uint32_t* to, int64_t i0, int64_t rows, Range share) {
    for (int64_t p = share.begin; p < share.end; p++) {
        const int count = int(std::min<int64_t>(k.mr, rows - p * k.mr));
        uint32_t* panel = to + p * k.mr * tail_units;
        for (const Tail* t = g.tails; t < g.tails + g.num_tails; t++) {
            const int64_t r = units_of(k.unit, t->r);
            k.pack_a(panel, {t->a, g.type, t->r, g.m}, i0 + p * k.mr, count, 0, r);
            panel += r * count;
        }
    }
}

void Product::pack_b(uint32_t* to, Range cols, int64_t u0, int64_t u1) {
    const int64_t pitch = k.nr * depth;
    for (int64_t p = cols.begin, done; p < cols.end; p += done, to += done * pitch) {
        done = kBlockPanels;
        if (k.pack_b_block && p + done <= cols.end && k.pack_b_block(to, pitch, b, p * k.nr, u0, u1)) continue;
        done = 1;
        k.pack_b(to, b, p * k.nr, u0, u1);
    }
}

void Product::pack_b_tails(uint32_t* to, Range cols) {
    for (int64_t p = cols.begin; p < cols.end; p++)
        for (const Tail* t = g.tails; t < g.tails + g.num_tails; t++) {
            const int64_t r = units_of(k.unit, t->r);
            k.pack_b(to, {t->b, g.type, t->r, g.n}, p * k.nr, 0, r);
            to += r * k.nr;
        }
}

void Product::operator()(int thread, int threads) {
    const Range all = split_columns ? part(panels, thread, threads) : Range{0, panels};
    const int64_t groups = ceil_div(split_columns ? ceil_div(panels, threads) : panels, group);
    const bool one_slab = units <= slab;

    // Scratch. Shared: slab and tails of A. Private: block and tails of B, partial sums.
    uint32_t* a_slab = shared;
    uint32_t* a_tail = a_slab + chunk * slab;
    uint32_t* b_block = owned + thread * private_units;
    uint32_t* b_tail = b_block + block * k.nr * depth;
    // Partial sums lie tile after tile: rows a power of two apart would fight for the same sets of L1.
    float* partial = reinterpret_cast<float*>(b_tail + block * k.nr * tail_units);
    bool first = true;

    for (int64_t i0 = 0; i0 < g.m; i0 += chunk)
    for (int64_t at = 0; at < groups; at++) {
        const Range cols = {std::min(all.begin + at * group, all.end), std::min(all.begin + (at + 1) * group, all.end)};
        const int64_t rows = std::min(chunk, g.m - i0), micro = ceil_div(rows, k.mr);
        const Range share = part(micro, thread, threads), mine = split_columns ? Range{0, micro} : share;

        int64_t u0 = 0;
        do {
            const int64_t u1 = std::min(u0 + slab, units);
            if (!first) pool.barrier();
            first = false;
            if (!a_direct) pack_a_share(a_slab, i0, rows, u0, u1, share);
            if (u0 == 0) pack_a_tails(a_tail, i0, rows, share);
            pool.barrier();

            for (int64_t jb = cols.begin; jb < cols.end; jb += block) {
                const Range panel = {jb, std::min(jb + block, cols.end)};
                if (u1 == units) pack_b_tails(b_tail, panel);
                float* sums = one_slab ? partial : partial + (jb - cols.begin) * micro * k.mr * k.nr;
                int64_t begin = u0;
                do {
                    const int64_t end = std::min(begin + depth, u1);
                    pack_b(b_block, panel, begin, end);
                    multiply({i0, rows, begin, end, mine, panel, a_slab + (begin - u0) * rows, a_tail, b_block, b_tail, sums});
                    begin = end;
                } while (begin < u1);
            }
            u0 = u1;
        } while (u0 < units);
    }
    if (stream) std::atomic_thread_fence(std::memory_order_seq_cst);  // orders non-temporal stores too
}

// A block of columns against the thread's rows of the chunk, one slab.
void Product::multiply(const Part& p) {
    const int64_t row_blocks = ceil_div(p.mine.end - p.mine.begin, kBlockRows / k.mr);
    const int64_t micro = ceil_div(p.rows, k.mr);
    const bool one_slab = units <= slab;
    Tile t;
    t.lda = a_direct ? (k.unit == GRAFT_BF16 ? g.a.ld / 2 : g.a.ld) : 0;
    t.tail_units = tail_units;
    t.ld_partial = k.nr;
    t.ldc = g.ldc;
    t.alpha = g.alpha;
    t.beta = g.beta;
    t.c_bf16 = g.c_type == GRAFT_BF16;
    t.stream = stream;
    for (int64_t rb = 0; rb < row_blocks; rb++) {
        Range block = part(p.mine.end - p.mine.begin, rb, row_blocks);
        block.begin += p.mine.begin, block.end += p.mine.begin;
        const int64_t n_micro = block.end - block.begin;
        int64_t begin, end;
        for (int64_t s = 0; slices(p.u0, p.u1, s, &begin, &end), begin < end || (units == 0 && s == 0); s++) {
            t.units = end - begin;
            t.load_partial = begin > 0;
            t.finish = end == units;
            const int64_t share_bytes = t.units * k.nr * 4 / std::max<int64_t>(1, n_micro) / 64 * 64;
            const RowPitch pitch = {k.nr * depth, k.nr * tail_units, (one_slab ? n_micro : micro) * k.mr * k.nr};
            const auto tile = [&](int64_t j, int64_t q, int64_t columns) -> const Tile& {
                const int64_t jj = j - p.cols.begin, i = q * k.mr;
                t.b = p.b_block + jj * pitch.b + (begin - p.u0) * k.nr;
                t.tail_b = p.b_tail + jj * pitch.tail;
                t.cols = int(std::min(columns, g.n - j * k.nr));
                t.bias = bias ? bias + j * k.nr : nullptr;
                t.a = a_direct ? static_cast<const uint32_t*>(g.a.p) + (p.i0 + i) * t.lda + begin
                               : a_panel(p.a_slab, p.rows, begin - p.u0, t.units, i);
                t.tail_a = p.a_tail + i * tail_units;
                t.prefetch = reinterpret_cast<const char*>(t.b + depth * k.nr) + (q - block.begin) * share_bytes;
                t.partial = p.sums + jj * pitch.partial + (one_slab ? q - block.begin : q) * k.mr * k.nr;
                t.c = static_cast<char*>(g.c) + ((p.i0 + i) * g.ldc + j * k.nr) * (t.c_bf16 ? 2 : 4);
                return t;
            };
            int64_t j = p.cols.begin;
            for (; k.row && p.rows == 1 && j + kRowPanels <= p.cols.end; j += kRowPanels)
                k.row(tile(j, 0, kRowPanels * k.nr), pitch);
            for (; j < p.cols.end; j++)
                for (int64_t q = block.begin; q < block.end; q++) {
                    const int count = int(std::min<int64_t>(k.mr, p.rows - q * k.mr));
                    (a_direct ? k.tile_direct : k.tile)[count](tile(j, q, k.nr));
                }
        }
    }
}

}  // namespace

const Kernels& kernels_for(Isa isa, graft_dtype type) {
#if defined(__x86_64__)
    switch (isa) {
        case Isa::avx512bf16: return type == GRAFT_BF16 ? kAVX512BF16 : kAVX512;
        case Isa::avx512: return kAVX512;
        case Isa::avx2: return kAVX2;
        case Isa::portable: break;
    }
#endif
    return kPortable;
}

graft_status* gemm(graft_context* context, const Gemm& g) {
    if (g.m <= 0 || g.n <= 0) return nullptr;
    Product product(g, kernels_for(context->isa, g.type), context->pool);
    Carver carver(*context);
    product.shared = carver.take<uint32_t>(product.shared_units);
    product.owned = carver.take<uint32_t>(context->pool.threads() * product.private_units);
    float* bias = g.bias ? carver.take<float>(g.n) : nullptr;
    GRAFT_TRY(carver.check("workspace"));
    for (int64_t j = 0; bias && j < g.n; j++)
        bias[j] = g.bias->dtype == GRAFT_BF16 ? widen(data<bf16>(*g.bias)[j]) : data<float>(*g.bias)[j];
    product.bias = bias;
    context->pool.run(product);
    return nullptr;
}

}  // namespace graft::cpu
