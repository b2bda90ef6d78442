// Gaps where an operation is defined on flat numbers: the call is refused, and says of what.
#include "harness.h"

namespace test {
namespace {

// n numbers, in two rows with a gap if gapped.
graft_tensor numbers(Run& r, int64_t n, bool gapped, int32_t type = GRAFT_F32) {
    return gapped ? r.tensor(type, 2, n / 2, n / 2 + 8) : r.tensor(type, 1, n);
}

// call makes the call with a gap in the tensor of that number.
void refused(const std::string& op, const std::vector<std::string>& tensors, const std::function<graft_status*(Run&, int)>& call) {
    for (size_t i = 0; i < tensors.size(); ++i)
        run_case({op + " refuses gaps in " + tensors[i], 0, {1}, [=](Run& r, std::vector<double>* out) {
                      out->push_back(text(call(r, int(i))) == tensors[i] + " has gaps between its rows");
                  }});
}

}  // namespace

void flat_cases() {
    const int64_t n = 512;  // of the optimizers
    refused("activation", {"y", "x"}, [](Run& r, int gapped) {
        const graft_activation_args a{numbers(r, 64, gapped == 0), numbers(r, 64, gapped == 1), GRAFT_GELU};
        return api().activation(r.context(), &a);
    });
    refused("activation_backward", {"dx", "dy", "x"}, [](Run& r, int gapped) {
        const graft_activation_backward_args a{numbers(r, 64, gapped == 0), numbers(r, 64, gapped == 1), numbers(r, 64, gapped == 2), GRAFT_GELU};
        return api().activation_backward(r.context(), &a);
    });
    refused("attention", {"lse"}, [](Run& r, int) {
        graft_attention_args a{};
        a.lse = numbers(r, 4, true);
        for (graft_tensor* t : {&a.o, &a.q, &a.k, &a.v}) *t = r.tensor(GRAFT_F32, 2, 16);
        a.cu = r.put(integers({0, 2}));
        a.heads = a.kv_heads = 2;
        a.dim = 8;
        return api().attention(r.context(), &a);
    });
    refused("grad_norm", {"g"}, [=](Run& r, int) {
        const graft_grad_norm_args a{numbers(r, 4, false), numbers(r, n, true), {}, 1};
        return api().grad_norm(r.context(), &a);
    });
    refused("adamw", {"p", "m", "v", "g"}, [=](Run& r, int gapped) {
        graft_adamw_args a{};
        graft_tensor* const all[] = {&a.p, &a.m, &a.v, &a.g};
        for (int i = 0; i < 4; ++i) *all[i] = numbers(r, n, gapped == i);
        a.norm = numbers(r, 4, false);
        a.lr = numbers(r, 1, false);
        return api().adamw(r.context(), &a);
    });
    refused("adamw8", {"p", "m", "v", "g", "scale of m", "scale of v"}, [=](Run& r, int gapped) {
        graft_adamw8_args a{};
        graft_tensor* const all[] = {&a.p, &a.m, &a.v, &a.g, &a.m_scale, &a.v_scale};
        for (int i = 0; i < 6; ++i) *all[i] = numbers(r, i < 4 ? n : n / 256, gapped == i, i == 1 || i == 2 ? GRAFT_U8 : GRAFT_F32);
        a.norm = numbers(r, 4, false);
        a.lr = numbers(r, 1, false);
        return api().adamw8(r.context(), &a);
    });
    refused("adamw_bf16", {"p", "m", "v", "g"}, [=](Run& r, int gapped) {
        graft_adamw_bf16_args a{};
        graft_tensor* const all[] = {&a.p, &a.m, &a.v, &a.g};
        for (int i = 0; i < 4; ++i) *all[i] = numbers(r, n, gapped == i, i == 0 ? GRAFT_BF16 : GRAFT_F32);
        a.norm = numbers(r, 4, false);
        a.lr = numbers(r, 1, false);
        a.seed = numbers(r, 4, false, GRAFT_U32);
        return api().adamw_bf16(r.context(), &a);
    });
}

}  // namespace test
