// attention and its backward pass in blocks, as FlashAttention-2 does them
// (Dao, arXiv 2307.08691): scores exist for one block of keys at a time.
//
// A unit of work is a kv head with a block of queries (forward), or with a
// sequence (backward). Units write what no other unit writes, and each sum runs
// over blocks in order, so that nothing depends on the threads. The gradient
// of a prefix, which all sequences share, is a unit of its own for each kv head.
#include "attention_softmax.h"

#define GRAFT_KERNELS "attention_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS

namespace graft::cpu {

namespace {

AttentionBuffers carve(Carver& carver, const AttentionShape& a, bool backward) {
    const int64_t rows = kQueryRows * a.padded, keys = kKeyBlock * a.padded, scores = kQueryRows * kKeyBlock;
    AttentionBuffers b = {};
    b.q = carver.take<float>(rows);
    b.o = b.d_o = carver.take<float>(rows);
    b.k = carver.take<float>(keys);
    b.s = carver.take<float>(scores);
    b.p = carver.take<float>(scores);
    if (backward) {
        b.kt = carver.take<float>(keys);
        b.vt = carver.take<float>(keys);
        b.dk = carver.take<float>(keys);
        b.dv = carver.take<float>(keys);
        b.dp = carver.take<float>(scores);
    } else {
        b.v = carver.take<float>(keys);
        b.top = carver.take<float>(kQueryRows);
        b.total = carver.take<float>(kQueryRows);
    }
    return b;
}

graft_status* carve_all(graft_context* context, std::vector<AttentionBuffers>& all, const AttentionShape& a, bool backward) {
    Carver carver(*context);
    for (int t = 0; t < context->pool.threads(); t++) all.push_back(carve(carver, a, backward));
    return carver.check("workspace");
}

template <class Args> graft_status* check(const Args& a, AttentionShape* shape) {
    const auto ll = [](int64_t n) { return static_cast<long long>(n); };
    if (a.heads < 1 || a.kv_heads < 1 || a.heads % a.kv_heads || a.dim < 1)
        return error(GRAFT_INVALID_ARGUMENT, "%lld heads of %lld, %lld kv heads", ll(a.heads), ll(a.dim), ll(a.kv_heads));
    if (a.dim > kMaxDim || a.heads / a.kv_heads > kQueryRows)
        return error(GRAFT_UNIMPLEMENTED, "heads of %lld in groups of %lld", ll(a.dim), ll(a.heads / a.kv_heads));
    GRAFT_TRY(check_shape("q", a.q, kFloat, -1, a.heads * a.dim));
    GRAFT_TRY(check_shape("k", a.k, same(a.q), -1, a.kv_heads * a.dim));
    GRAFT_TRY(check_shape("v", a.v, same(a.q), rows(a.k), a.kv_heads * a.dim));
    GRAFT_TRY(check_shape("o", a.o, same(a.q), rows(a.q), a.heads * a.dim));
    GRAFT_TRY(check_shape("lse", a.lse, kF32, rows(a.q), a.heads));
    GRAFT_TRY(check_optional("prefix_k", a.prefix_k, same(a.q), -1, a.kv_heads * a.dim));
    if (given(a.prefix_k)) GRAFT_TRY(check_shape("prefix_v", a.prefix_v, same(a.q), rows(a.prefix_k), a.kv_heads * a.dim));
    GRAFT_TRY(check_flat("cu", a.cu, kI32, -1));
    const int32_t* cu = data<int32_t>(a.cu);
    const int64_t n = elements(a.cu) - 1;
    for (int64_t s = 0; s < n; s++)
        if (cu[s] > cu[s + 1]) return error(GRAFT_INVALID_ARGUMENT, "cu[%lld] is %d, after %d", ll(s + 1), cu[s + 1], cu[s]);
    if (n < 0 || cu[0] != 0 || cu[n] != rows(a.q))
        return error(GRAFT_INVALID_ARGUMENT, "cu does not run from 0 to %lld", ll(rows(a.q)));
    const int64_t group = a.heads / a.kv_heads;
    *shape = {a.heads, a.kv_heads, a.dim, a.window, group, pad16(a.dim), a.scale, a.soft_cap, a.causal != 0};
    return nullptr;
}

AttentionKernels kernels(const graft_context* context, const AttentionShape& a, const graft_tensor& q) {
    AttentionKernels k;
    GRAFT_BY_TYPE(q, T, GRAFT_DISPATCH(context, attention_kernels<T>, &k));
    if (context->isa == Isa::avx512bf16 && q.dtype == GRAFT_BF16 && a.dim % 2 == 0) use_bf16_products(&k);
    return k;
}

char* element(const graft_tensor& t, int64_t row, int64_t column) {
    return data<char>(t) + (row * t.pitch + column) * (t.dtype == GRAFT_BF16 ? 2 : 4);
}

// Calls f with each block of keys that some query of the block sees, in order:
// the prefix, then the sequence's own.
template <class F>
void for_keys(const AttentionShape& a, const graft_tensor& k, const graft_tensor& v, int64_t first, int64_t count,
              const QueryBlock& block, F&& f) {
    const int64_t end = a.causal ? std::min(count, block.place + block.count) : count;
    const int64_t begin = a.window > 0 ? std::max<int64_t>(0, block.place - a.window + 1) / kKeyBlock * kKeyBlock : 0;
    for (int64_t j = begin; j < end; j += kKeyBlock) f(KeyBlock{&k, &v, first, j, std::min(kKeyBlock, end - j), false});
}
template <class F> void for_prefix(const graft_tensor& k, const graft_tensor& v, F&& f) {
    for (int64_t j = 0; given(k) && j < rows(k); j += kKeyBlock)
        f(KeyBlock{&k, &v, 0, j, std::min(kKeyBlock, rows(k) - j), true});
}

// Calls f with each block of queries of sequence s.
template <class F> void for_queries(const AttentionShape& a, const int32_t* cu, int64_t s, int64_t place, F&& f) {
    const int64_t step = a.queries_per_block();
    for (int64_t t = cu[s]; t < cu[s + 1]; t += step)
        f(QueryBlock{t, std::min<int64_t>(step, cu[s + 1] - t), place + t - cu[s]});
}

}  // namespace

graft_status* attention(graft_context* context, const graft_attention_args* args) {
    AttentionShape a;
    GRAFT_TRY(check(*args, &a));
    const int32_t* cu = data<int32_t>(args->cu);
    const int64_t sequences = elements(args->cu) - 1;
    const int32_t* cache = nullptr;
    if (given(args->keys)) {
        GRAFT_TRY(check_flat("keys", args->keys, kI32, 2 * sequences));
        cache = data<int32_t>(args->keys);
        for (int64_t s = 0; s < sequences; s++)
            if (cache[2 * s] < 0 || cache[2 * s + 1] < 0 || int64_t(cache[2 * s]) + cache[2 * s + 1] > rows(args->k))
                return error(GRAFT_INVALID_ARGUMENT, "keys[%lld]: %d rows from %d leave k", static_cast<long long>(s),
                             cache[2 * s + 1], cache[2 * s]);
    } else if (rows(args->k) < rows(args->q)) {
        return error(GRAFT_INVALID_ARGUMENT, "k has fewer rows than q");
    }
    std::vector<AttentionBuffers> buffers;
    GRAFT_TRY(carve_all(context, buffers, a, false));
    const AttentionKernels kernel = kernels(context, a, args->q);

    std::atomic<int64_t> next{0};
    context->pool.run([&](int thread, int) {
        const AttentionBuffers& b = buffers[size_t(thread)];
        int64_t mine = next++, unit = 0;
        for (int64_t s = 0; s < sequences; s++) {
            const int64_t first = cache ? cache[2 * s] : cu[s], count = cache ? cache[2 * s + 1] : cu[s + 1] - cu[s];
            for_queries(a, cu, s, count - (cu[s + 1] - cu[s]), [&](const QueryBlock& block) {
                for (int64_t head = 0; head < a.kv_heads; head++) {
                    if (unit++ != mine) continue;
                    mine = next++;
                    kernel.start(b, a, args->q, block, head);
                    const auto step = [&](const KeyBlock& keys) { kernel.step(b, a, block, keys, head); };
                    for_prefix(args->prefix_k, args->prefix_v, step);
                    for_keys(a, args->k, args->v, first, count, block, step);
                    kernel.finish(b, a, args->o, args->lse, block, head);
                }
            });
        }
    });
    return nullptr;
}

graft_status* attention_backward(graft_context* context, const graft_attention_backward_args* args) {
    AttentionShape a;
    GRAFT_TRY(check(*args, &a));
    const int64_t tokens = rows(args->q), sequences = elements(args->cu) - 1;
    const int32_t* cu = data<int32_t>(args->cu);
    GRAFT_TRY(check_shape("do", args->d_o, same(args->q), tokens, a.heads * a.dim));
    GRAFT_TRY(check_shape("dq", args->dq, same(args->q), tokens, a.heads * a.dim));
    GRAFT_TRY(check_shape("k", args->k, same(args->q), tokens, a.kv_heads * a.dim));
    GRAFT_TRY(check_shape("dk", args->dk, same(args->q), tokens, a.kv_heads * a.dim));
    GRAFT_TRY(check_shape("dv", args->dv, same(args->q), tokens, a.kv_heads * a.dim));
    const bool prefix = given(args->dpk);
    if (prefix != given(args->dpv) || (prefix && !given(args->prefix_k)))
        return error(GRAFT_INVALID_ARGUMENT, "dpk and dpv go together, with a prefix");
    GRAFT_TRY(check_optional("dpk", args->dpk, kF32, rows(args->prefix_k), a.kv_heads * a.dim));
    GRAFT_TRY(check_optional("dpv", args->dpv, kF32, rows(args->prefix_k), a.kv_heads * a.dim));
    GRAFT_TRY(check_shape("scratch", args->scratch, kU8, -1, -1));
    Carver scratch(args->scratch.data, elements(args->scratch));
    float* delta = scratch.take<float>(tokens * a.heads);
    float* dq_all = scratch.take<float>(tokens * a.heads * a.padded);  // [kv head][token][head of the group]
    GRAFT_TRY(scratch.check("scratch"));
    std::vector<AttentionBuffers> buffers;
    GRAFT_TRY(carve_all(context, buffers, a, true));
    const AttentionKernels kernel = kernels(context, a, args->q);

    for_rows(context, tokens, a.heads * a.dim, [&](Range r) {
        for (int64_t t = r.begin; t < r.end; t++) kernel.deltas(delta, a, *args, t);
    });

    // One sequence of one kv head: dq, dk, dv.
    const auto sequence = [&](const AttentionBuffers& b, int64_t s, int64_t head) {
        const int64_t begin = cu[s], count = cu[s + 1] - begin;
        float* dq = dq_all + (head * tokens + begin) * a.group * a.padded;
        std::memset(dq, 0, size_t(count * a.group * a.padded) * sizeof(float));
        const auto keys_of = [&](const KeyBlock& keys) {
            kernel.load_keys(b, a, keys, head);
            for_queries(a, cu, s, 0, [&](const QueryBlock& block) {
                const int64_t last = block.place + block.count - 1;
                if (!keys.prefix && ((a.causal && last < keys.begin) ||
                                     (a.window > 0 && block.place - a.window >= keys.begin + keys.count - 1)))
                    return;
                kernel.step_back(b, a, *args, block, keys, head, delta, dq + (block.first - begin) * a.group * a.padded);
            });
            for (int64_t j = 0; !keys.prefix && j < keys.count; j++) {
                const int64_t row = begin + keys.begin + j;
                kernel.narrow(element(args->dk, row, head * a.dim), b.dk + j * a.padded, a.dim);
                kernel.narrow(element(args->dv, row, head * a.dim), b.dv + j * a.padded, a.dim);
            }
        };
        for_prefix(args->prefix_k, args->prefix_v, keys_of);
        for (int64_t j = 0; j < count; j += kKeyBlock)
            keys_of(KeyBlock{&args->k, &args->v, begin, j, std::min(kKeyBlock, count - j), false});
        for (int64_t r = 0; r < count * a.group; r++)
            kernel.narrow(element(args->dq, begin + r / a.group, (head * a.group + r % a.group) * a.dim), dq + r * a.padded, a.dim);
    };

    // The prefix of one kv head, over all sequences in order.
    const auto prefix_of = [&](const AttentionBuffers& b, int64_t head) {
        for_prefix(args->prefix_k, args->prefix_v, [&](const KeyBlock& keys) {
            kernel.load_keys(b, a, keys, head);
            for (int64_t s = 0; s < sequences; s++)
                for_queries(a, cu, s, 0, [&](const QueryBlock& block) {
                    kernel.step_back(b, a, *args, block, keys, head, delta, nullptr);
                });
            for (int64_t j = 0; j < keys.count; j++) {
                const int64_t row = keys.begin + j;
                GRAFT_DISPATCH(context, add_to, data<float>(args->dpk) + row * args->dpk.pitch + head * a.dim,
                               b.dk + j * a.padded, a.dim);
                GRAFT_DISPATCH(context, add_to, data<float>(args->dpv) + row * args->dpv.pitch + head * a.dim,
                               b.dv + j * a.padded, a.dim);
            }
        });
    };

    std::atomic<int64_t> next{0};
    context->pool.run([&](int thread, int) {
        const int64_t shared = prefix ? a.kv_heads : 0;
        for (int64_t u; (u = next++) < shared + sequences * a.kv_heads;) {
            if (u < shared) prefix_of(buffers[size_t(thread)], u);
            else sequence(buffers[size_t(thread)], (u - shared) / a.kv_heads, (u - shared) % a.kv_heads);
        }
    });
    return nullptr;
}

}  // namespace graft::cpu
