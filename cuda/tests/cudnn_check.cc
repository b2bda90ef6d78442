// What attention makes of cuDNN.
//   cudnn_check taken       a call is taken, twice with the same bits, and again in a recording
//   cudnn_check REASON      it is refused, and REASON is part of why
//   cudnn_check plans       the real library makes a plan of every form for cards that are not there
#include <cstring>
#include <string>
#include <vector>

#include "../../csrc/cuda/attention.cuh"

namespace {

using namespace graft::cuda;

int failures = 0;
void expect(bool good, const std::string& what) {
    if (!good) ++failures, std::printf("%s\n", what.c_str());
}
bool ok(graft_status* status, const char* what) {
    if (!status) return true;
    expect(false, std::string(what) + ": " + status->message);
    graft::free_status(status);
    return false;
}

struct Call {
    const graft_api& api = *graft_cuda_api();
    graft_context* c = nullptr;
    graft_attention_args a{};
    int64_t tokens = 40, heads = 2, dim = 16;
    std::vector<int32_t> cu{0, 7, 7, 40};

    Call() {
        const graft_context_options o{sizeof o, 0, 0, 1 << 20, 0};
        ok(api.context_create(&c, &o), "context");
        std::vector<uint16_t> values(size_t(tokens * heads * dim));
        for (size_t i = 0; i < values.size(); ++i) values[i] = uint16_t(0x3e00 + i * 37 % 256);  // 0.125 to 0.5
        for (graft_tensor* t : {&a.q, &a.k, &a.v, &a.o}) {
            *t = {nullptr, GRAFT_BF16, 2, {tokens, heads * dim}, heads * dim};
            ok(api.allocate(c, &t->data, 2 * tokens * heads * dim), "memory");
            ok(api.upload(c, t->data, values.data(), 2 * tokens * heads * dim), "copy");
        }
        a.lse = {nullptr, GRAFT_F32, 2, {tokens, heads}, heads};
        ok(api.allocate(c, &a.lse.data, 4 * tokens * heads), "memory");
        a.cu = {nullptr, GRAFT_I32, 1, {int64_t(cu.size())}, 1};
        ok(api.allocate(c, &a.cu.data, 4 * int64_t(cu.size())), "memory");
        ok(api.upload(c, a.cu.data, cu.data(), 4 * int64_t(cu.size())), "copy");
        a.heads = a.kv_heads = heads;
        a.dim = dim;
        a.scale = 0.25f;
        a.causal = 1;
    }
    ~Call() {
        ok(api.synchronize(c), "wait");
        for (const graft_tensor& t : {a.q, a.k, a.v, a.o, a.lse, a.cu}) api.release(c, t.data, 0);
        api.context_destroy(c);
    }
    std::string run() {
        Attention<bf16> p{view<const bf16>(a.q), view<const bf16>(a.k), view<const bf16>(a.v), {}, {}, static_cast<const int32_t*>(a.cu.data),
                          nullptr, int(cu.size()) - 1, int(heads), int(heads), int(dim), 0, 0, a.scale, 0.0f, true};
        const char* refused = nullptr;
        if (!ok(attention_cudnn(c, p, &a, &refused), "attention")) return "failed";
        return refused ? refused : "taken";
    }
    std::vector<char> result() {
        std::vector<char> bytes(size_t(2 * tokens * heads * dim + 4 * tokens * heads));
        ok(api.download(c, bytes.data(), a.o.data, 2 * tokens * heads * dim), "copy");
        ok(api.download(c, bytes.data() + 2 * tokens * heads * dim, a.lse.data, 4 * tokens * heads), "copy");
        return bytes;
    }
};

void recorded() {
    Call call;
    expect(call.run() == "taken", "the first call is refused");
    const std::vector<char> first = call.result();
    const std::vector<char> poison(first.size(), '\xff');
    auto again = [&](const char* what) {
        expect(call.result() == first, std::string(what) + ": other bits");
        ok(call.api.upload(call.c, call.a.o.data, poison.data(), 2 * call.tokens * call.heads * call.dim), "copy");
        ok(call.api.upload(call.c, call.a.lse.data, poison.data(), 4 * call.tokens * call.heads), "copy");
    };
    again("first");
    expect(call.run() == "taken", "the second call is refused");
    again("second");
    void* graph = nullptr;
    ok(call.api.capture_begin(call.c), "recording");
    expect(call.run() == "taken", "the recorded call is refused");
    ok(call.api.capture_end(call.c, &graph), "recording");
    for (int i = 0; i < 2; ++i) {
        ok(call.api.graph_launch(call.c, graph), "replay");
        again("replay");
    }
    call.api.graph_destroy(call.c, graph);
}

// Device properties as cuDNN writes them; those of an H200 and a B200.
std::string card(int arch, int multiprocessors) {
    const std::pair<const char*, const char*> fixed[] = {
        {"cudaDeviceId", "0"}, {"driverVer", "13000"}, {"maxGridSize", "[2147483647,65535,65535]"}, {"maxBlockSize", "[1024,1024,64]"},
        {"regsPerBlock", "65536"}, {"smCountOrigin", "0"}, {"warpSize", "32"}, {"maxSharedMemoryPerBlock", "49152"},
        {"maxSharedMemoryPerBlockOptin", "232448"}, {"oversizedSharedMemoryPerBlock", "0"}, {"reservedSharedMemoryPerBlock", "1024"},
        {"maxRegistersPerSM", "65536"}, {"maxCtasPerSM", "32"}, {"maxThreadsPerBlock", "1024"}, {"maxThreadsPerSM", "2048"},
        {"pciDeviceId", "0"}, {"isTccDriver", "0"}, {"supportCoopLaunch", "1"}, {"smClockRateKHz", "1980000"}, {"memClockRateKHz", "3201000"},
        {"memoryBusWidth", "6144"}, {"l2CacheSize", "62914560"}, {"totalGlobalMem", "150000000000"}, {"deviceName", "\"a card\""}};
    std::string json = "{\"deviceVer\":" + std::to_string(arch) + ",\"multiProcessorCount\":" + std::to_string(multiprocessors);
    for (const auto& [key, value] : fixed) json += std::string(",\"") + key + "\":" + value;
    return json + "}";
}

void plans() {
    for (const auto& [arch, multiprocessors] : {std::pair(900, 132), std::pair(1000, 148)})
        for (int64_t dim : {64, 96, 128})
            for (bool causal : {true, false})
                for (int64_t window : {0, 1024}) {
                    int64_t bytes = -1;
                    const AttentionShape s{8192, 8, 32, 8, dim, window, 48 * dim, 48 * dim, 48 * dim, 32 * dim, causal};
                    const std::string refused = attention_cudnn_without_device(card(arch, multiprocessors), s, &bytes);
                    std::printf("sm_%d heads of %ld%s%s: %s, workspace %ld\n", arch / 10, long(dim), causal ? ", causal" : "",
                                window ? ", window" : "", refused.empty() ? "a plan" : refused.c_str(), long(bytes));
                    std::fflush(stdout);
                    expect(refused.empty(), "refused");
                }
}

}  // namespace

int main(int count, char** arguments) {
    const std::string what = count == 2 ? arguments[1] : "";
    if (what == "plans") plans();
    else if (what == "taken") recorded();
    else {
        Call call;
        const std::string answer = call.run();
        expect(!what.empty() && answer.find(what) != std::string::npos, "expected: " + what + "; got: " + answer);
    }
    if (!failures) std::printf("cudnn_check %s: as expected\n", what.c_str());
    return failures ? 1 : 0;
}
