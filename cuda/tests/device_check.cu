// The instructions that the kernels are built on, one by one, against the layouts of
// the PTX ISA: what the host emulation claims of a card. The first program to run on
// one; it also runs on the emulation. Whole numbers, so every result is exact.
#include <cstdio>
#include <vector>

#include "../../csrc/cuda/instr_sm90.cuh"

namespace {

using namespace graft::cuda;

int failures = 0;

void check(cudaError_t e, const char* what) {
    if (e == cudaSuccess) return;
    std::printf("%s: %s\n", what, cudaGetErrorString(e));
    ++failures;
}

// Small whole numbers, different for neighbours, which bf16 holds.
float number(int i) { return float(i * 37 % 101 - 50); }
uint16_t bits(float x) {
    uint32_t wide;
    __builtin_memcpy(&wide, &x, 4);
    return uint16_t(wide >> 16);
}

template <class T> struct Device {
    T* data = nullptr;
    size_t count;
    explicit Device(const std::vector<T>& from) : count(from.size()) {
        check(cudaMalloc(reinterpret_cast<void**>(&data), count * sizeof(T)), "memory");
        check(cudaMemcpy(data, from.data(), count * sizeof(T), cudaMemcpyHostToDevice), "copy");
    }
    ~Device() { cudaFree(data); }
    std::vector<T> get() const {
        std::vector<T> to(count);
        check(cudaMemcpy(to.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "copy");
        return to;
    }
};

template <class T> void compare(const char* what, const std::vector<T>& got, const std::vector<T>& want) {
    size_t wrong = 0, first = 0;
    for (size_t i = 0; i < want.size(); ++i)
        if (got[i] != want[i] && wrong++ == 0) first = i;
    failures += wrong > 0;
    if (wrong) std::printf("%-24s WRONG: %zu of %zu, the first at %zu: %g, expected %g\n", what, wrong, want.size(), first, double(got[first]), double(want[first]));
    else std::printf("%-24s ok\n", what);
}

// ---- ldmatrix, mma, cp.async ----------------------------------------------------

// Copies 16 rows of 16 elements, the last of them 10 bytes short, and loads them.
__global__ void __launch_bounds__(32) load(const bf16* from, uint32_t* fragments, bool transpose) {
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* tile = reinterpret_cast<bf16*>(shared);
    const int lane = threadIdx.x;
    cp_async_16(tile + lane * 8, from + lane * 8, lane == 31 ? 6 : 16);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    uint32_t f[4];
    if (transpose) ldmatrix_x4_trans(f, tile + lane * 8);
    else ldmatrix_x4(f, tile + lane * 8);
    for (int i = 0; i < 4; ++i) fragments[lane * 4 + i] = f[i];
}

void check_loads() {
    std::vector<uint16_t> from(256);
    for (int i = 0; i < 256; ++i) from[size_t(i)] = uint16_t(1000 + i);
    const Device<uint16_t> source(from);
    for (size_t i = 31 * 8 + 3; i < 256; ++i) from[i] = 0;  // filled up with zeros
    for (bool transpose : {false, true}) {
        const Device<uint32_t> out(std::vector<uint32_t>(128, 0));
        GRAFT_LAUNCH(load, dim3(1), dim3(32), 512, nullptr, reinterpret_cast<const bf16*>(source.data), out.data, transpose);
        check(cudaDeviceSynchronize(), "ldmatrix");
        std::vector<uint32_t> want;
        for (int lane = 0; lane < 32; ++lane)
            for (int i = 0; i < 4; ++i) {  // element (row, col) of matrix i is from[(8 i + row) 8 + col]
                auto at = [&](int row, int col) { return uint32_t(from[size_t((8 * i + row) * 8 + col)]); };
                const int major = lane / 4, minor = lane % 4 * 2;
                want.push_back(transpose ? at(minor, major) | at(minor + 1, major) << 16 : at(major, minor) | at(major, minor + 1) << 16);
            }
        compare(transpose ? "ldmatrix.trans" : "ldmatrix, cp.async", out.get(), want);
    }
}

// a [16,16] and b [16,8] go into the registers as the PTX ISA says.
__global__ void __launch_bounds__(32) multiply(const bf16* a, const bf16* b, float* d) {
    const int lane = threadIdx.x, group = lane / 4, pair = lane % 4 * 2;
    auto two = [](bf16 low, bf16 high) { return __bfloat16_as_ushort(low) | uint32_t(__bfloat16_as_ushort(high)) << 16; };
    uint32_t fa[4], fb[2];
    for (int i = 0; i < 4; ++i) {
        const bf16* at = a + (group + i % 2 * 8) * 16 + pair + i / 2 * 8;
        fa[i] = two(at[0], at[1]);
    }
    for (int i = 0; i < 2; ++i) fb[i] = two(b[(pair + i * 8) * 8 + group], b[(pair + i * 8 + 1) * 8 + group]);
    float sum[4] = {1.0f, 2.0f, 3.0f, 4.0f};  // what is there is kept
    mma_m16n8k16_bf16_f32(sum, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + pair + i % 2] = sum[i];
}

void check_multiply() {
    std::vector<uint16_t> a, b;
    for (int i = 0; i < 256; ++i) a.push_back(bits(number(i)));
    for (int i = 0; i < 128; ++i) b.push_back(bits(number(i + 300)));
    const Device<uint16_t> da(a), db(b);
    const Device<float> d(std::vector<float>(128, 0.0f));
    GRAFT_LAUNCH(multiply, dim3(1), dim3(32), 0, nullptr, reinterpret_cast<const bf16*>(da.data), reinterpret_cast<const bf16*>(db.data), d.data);
    check(cudaDeviceSynchronize(), "mma");
    std::vector<float> want;
    for (int row = 0; row < 16; ++row)
        for (int col = 0; col < 8; ++col) {
            float sum = float(1 + row / 8 * 2 + col % 2);
            for (int k = 0; k < 16; ++k) sum += number(row * 16 + k) * number(k * 8 + col + 300);
            want.push_back(sum);
        }
    compare("mma.m16n8k16", d.get(), want);
}

// ---- TMA, mbarrier, wgmma ---------------------------------------------------------

// One warpgroup: d [64,128] = a b^T over 64 columns, or with Across a b over 64 rows of
// b; both maps end inside their boxes. With Registers a goes there first.
template <bool Across, bool Registers> __global__ void __launch_bounds__(128)
multiply_hopper(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* d) {
#if GRAFT_HAS_WGMMA
    GRAFT_DYNAMIC_SHARED(shared);
    bf16* a_tile = reinterpret_cast<bf16*>(shared);
    bf16* b_tile = a_tile + 64 * 64;
    uint64_t* full = reinterpret_cast<uint64_t*>(b_tile + 128 * 64);
    if (threadIdx.x == 0) {
        mbarrier_init(full, 1);
        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect_tx(full, (64 + 128) * 64 * int(sizeof(bf16)));
        tma_load_2d(a_tile, &a, full, 0, 0);
        if (!Across) tma_load_2d(b_tile, &b, full, 0, 0);
        for (int box = 0; Across && box < 2; ++box) tma_load_2d(b_tile + box * 64 * 64, &b, full, 0, box * 64);
    }
    mbarrier_wait(full, 0);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float sum[64] = {};
    uint32_t held[4][4];
    for (int i = 0; i < 16; ++i) {
        const int row = warp * 16 + lane / 4 + i % 2 * 8, k = i / 4 * 16 + lane % 4 * 2 + i % 4 / 2 * 8;
        held[i / 4][i % 4] = *reinterpret_cast<const uint32_t*>(a_tile + row * 64 + (k / 8 ^ row % 8) * 8 + k % 8);
    }
    wgmma_fence();
    const uint64_t bt = Across ? wgmma_descriptor_across(b_tile, 64 * 64 * sizeof(bf16)) : wgmma_descriptor(b_tile);
#pragma unroll
    for (int step = 0; step < 4; ++step)
        if (Registers) wgmma_m64k16_across(sum, held[step], bt + step * 128);
        else wgmma_m64k16<Across>(sum, wgmma_descriptor(a_tile) + step * 2, bt + step * (Across ? 128 : 2));
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < 64; ++i) d[(warp * 16 + lane / 4 + i % 4 / 2 * 8) * 128 + i / 4 * 8 + lane % 4 * 2 + i % 2] = sum[i];
#endif
}

template <bool Across, bool Registers = false> void check_hopper(const char* what) {
    const int rows_a = 61, rows_b = 125, cols = 56;  // elements outside become zero
    std::vector<uint16_t> a, b;
    for (int i = 0; i < rows_a * cols; ++i) a.push_back(bits(number(i)));
    const int pitch = Across ? 128 : cols;  // b [125,56], or [56,125] in rows of 128
    for (int i = 0; i < (Across ? cols : rows_b) * pitch; ++i) b.push_back(bits(number(i + 17)));
    const Device<uint16_t> da(a), db(b);
    const Device<float> d(std::vector<float>(64 * 128, -1.0f));
    TensorMap map_a, map_b;
    check(make_tensor_map(&map_a, reinterpret_cast<const bf16*>(da.data), rows_a, cols, cols, 64, 64), "tensor map");
    check(make_tensor_map(&map_b, reinterpret_cast<const bf16*>(db.data), Across ? cols : rows_b, Across ? rows_b : cols, pitch, Across ? 64 : 128, 64), "tensor map");
    GRAFT_LAUNCH((multiply_hopper<Across, Registers>), dim3(1), dim3(128), (64 + 128) * 64 * sizeof(bf16) + 8, nullptr, map_a, map_b, d.data);
    check(cudaDeviceSynchronize(), "wgmma");
    std::vector<float> want(64 * 128, 0.0f);
    for (int row = 0; row < rows_a; ++row)
        for (int col = 0; col < rows_b; ++col)
            for (int k = 0; k < cols; ++k) want[size_t(row * 128 + col)] += number(row * cols + k) * number((Across ? k * pitch + col : col * pitch + k) + 17);
    compare(what, d.get(), want);
}

}  // namespace

int main() {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "device");
    std::printf("%s, sm_%d%d\n", properties.name, properties.major, properties.minor);
    check_loads();
    check_multiply();
    if (properties.major == 9) {
        check_hopper<false>("TMA, mbarrier, wgmma");
        check_hopper<true>("the same, b across");
        check_hopper<true, true>("the same, a in registers");
    }
    return failures ? 1 : 0;
}
