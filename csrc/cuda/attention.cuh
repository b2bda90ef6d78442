// What the kernels of attention share: the problem, which keys a query sees, and
// the walk over them in tiles.
#pragma once

#include <string>
#include <tuple>

#include "context.cuh"

namespace graft::cuda {

template <class T> struct Attention {
    Matrix<const T> q, k, v, pk, pv;
    const int32_t *cu, *keys;
    int sequences, heads, kv_heads, dim, window, prefix;
    float scale, cap;
    bool causal;
};

// One sequence: query rows [first, last), whose keys are the rows from `start`.
struct Sequence {
    int first, last, start, keys;
    // Of a query row among the keys.
    __device__ int place(int row) const { return keys - (last - row); }
};
template <class T> __device__ inline Sequence sequence(const Attention<T>& p, int s) {
    const int first = p.cu[s], last = p.cu[s + 1];
    if (p.keys) return {first, last, p.keys[2 * s], p.keys[2 * s + 1]};
    return {first, last, first, last - first};
}
// The first sequence that ends after a row.
template <class T> __device__ inline int first_sequence(const Attention<T>& p, int row) {
    int low = 0, high = p.sequences;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (p.cu[middle + 1] > row) high = middle;
        else low = middle + 1;
    }
    return low;
}
template <class T> __device__ inline bool sees(const Attention<T>& p, int place, int key) {
    return (!p.causal || key <= place) && (p.window <= 0 || key > place - p.window);
}

// By fields: choosing between addresses would put both into local memory.
template <class T> __device__ inline Matrix<const T> either(bool first, const Matrix<const T>& a, const Matrix<const T>& b) {
    return {first ? a.data : b.data, first ? a.rows : b.rows, first ? a.cols : b.cols, first ? a.pitch : b.pitch};
}

// The capped score of a product, and its slope.
template <class T> __device__ inline float score(const Attention<T>& p, float product, float* slope) {
    const float z = p.scale * product;
    if (p.cap <= 0.0f) {
        *slope = p.scale;
        return z;
    }
    const float t = tanhf(z / p.cap);
    *slope = p.scale * (1.0f - t * t);
    return p.cap * t;
}

// A tile of keys that query rows of one sequence look at. As places: key is the
// first one's among the keys of the sequence; all: every query sees it (prefix).
struct KeyTile {
    Sequence s;
    int row, key, count;  // row of K and V, place, how many
    bool all;
};

// The tiles that the query rows [row0, end) see, sequence by sequence, the prefix first.
template <class T, int Keys> class KeyWalk {
  public:
    __device__ KeyWalk(const Attention<T>& p, int row0, int end) : p_(p), row0_(row0), end_(end), n_(first_sequence(p, row0) - 1) {}

    __device__ bool next(KeyTile* tile) {
        while (at_ >= high_) {
            if (prefix_) {
                prefix_ = false;
                const int first = s_.first > row0_ ? s_.first : row0_, last = s_.last < end_ ? s_.last : end_;
                const int low = p_.window > 0 ? s_.place(first) - p_.window + 1 : 0;
                const int reach = p_.causal ? s_.place(last - 1) + 1 : s_.keys;
                at_ = low > 0 ? low : 0;
                high_ = first < last ? (reach < s_.keys ? reach : s_.keys) : at_;
                continue;
            }
            if (++n_ >= p_.sequences) return false;
            s_ = sequence(p_, n_);
            if (s_.first >= end_) return false;
            prefix_ = true;
            at_ = 0;
            high_ = s_.first < s_.last ? p_.prefix : 0;
        }
        const int left = high_ - at_;
        *tile = {s_, prefix_ ? at_ : s_.start + at_, at_, left < Keys ? left : Keys, prefix_};
        at_ += Keys;
        return true;
    }

  private:
    const Attention<T>& p_;
    Sequence s_{};
    int row0_, end_, n_, at_ = 0, high_ = 0;
    bool prefix_ = false;
};

// A tile of query rows of one head that look at key rows.
struct QueryTile {
    Sequence s;
    int row, count, head;
};

// The tiles of queries that see the key rows [row0, end) of a key head, or, with
// all, every query of the group. Queries of a sequence have its own rows as keys.
template <class T, int Queries> class QueryWalk {
  public:
    __device__ QueryWalk(const Attention<T>& p, int kv_head, int row0, int end, bool all)
        : p_(p), row0_(row0), end_(end), n_(all ? -1 : first_sequence(p, row0) - 1), all_(all) {
        const int group = p.heads / p.kv_heads;
        first_head_ = kv_head * group;
        last_head_ = first_head_ + group;
        head_ = last_head_;
    }

    __device__ bool next(QueryTile* tile) {
        while (at_ >= high_) {
            if (head_ + 1 < last_head_) {
                ++head_;
                at_ = low_;
                continue;
            }
            if (!next_sequence()) return false;
            head_ = first_head_;
            at_ = low_;
        }
        const int left = high_ - at_;
        *tile = {s_, at_, left < Queries ? left : Queries, head_};
        at_ += Queries;
        return true;
    }

  private:
    __device__ bool next_sequence() {
        ++n_;
        if (all_) {
            const int rows = int(p_.q.rows);
            s_ = {0, rows, 0, rows};
            low_ = 0;
            high_ = rows;
            return n_ == 0;
        }
        if (n_ >= p_.sequences) return false;
        s_ = sequence(p_, n_);
        if (s_.first >= end_) return false;
        const int first = s_.first > row0_ ? s_.first : row0_, last = s_.last < end_ ? s_.last : end_;
        const int reach = last - 1 + p_.window;
        low_ = p_.causal ? first : s_.first;
        high_ = first >= last ? low_ : p_.window > 0 && reach < s_.last ? reach : s_.last;
        return true;
    }

    const Attention<T>& p_;
    Sequence s_{};
    int row0_, end_, n_, first_head_, last_head_, head_, at_ = 0, high_ = 0, low_ = 0;
    bool all_;
};

template <class Kernel> graft_status* allow_shared(Kernel* kernel, size_t bytes) {
    return check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), "shared memory");
}

// The kernels, after the checks of attention.cu. delta [T, heads] is the sum of do * o.
graft_status* attention_f32(graft_context* c, const Attention<float>& p, const graft_attention_args* a);
graft_status* attention_f32_backward(graft_context* c, const Attention<float>& p, const graft_attention_backward_args* a,
                                     const float* delta);
graft_status* attention_mma(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a);
graft_status* attention_mma_backward(graft_context* c, const Attention<bf16>& p, const graft_attention_backward_args* a,
                                     const float* delta);
// Few queries over many keys (generation): keys are split over blocks.
graft_status* attention_decode(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a);

// Heads of 128 on wgmma, sm_90 only.
bool attention_wgmma_takes(const graft_context* c, const Attention<bf16>& p);
graft_status* attention_wgmma(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a);

// refused is NULL where cuDNN took it, else says why it did not.
graft_status* attention_cudnn(graft_context* c, const Attention<bf16>& p, const graft_attention_args* a, const char** refused);

// What a plan of cuDNN depends on. Pitches in elements.
struct AttentionShape {
    int64_t tokens, sequences, heads, kv_heads, dim, window, q_pitch, k_pitch, v_pitch, o_pitch;
    bool causal;
    bool operator<(const AttentionShape& b) const {
        const auto all = [](const AttentionShape& s) {
            return std::tie(s.tokens, s.sequences, s.heads, s.kv_heads, s.dim, s.window, s.q_pitch, s.k_pitch, s.v_pitch, s.o_pitch, s.causal);
        };
        return all(*this) < all(b);
    }
};
// Makes the plan for a device that is described in the JSON of cuDNN's device properties
// and need not be there. Why it cannot; "" where it can, with the bytes it needs.
std::string attention_cudnn_without_device(const std::string& properties, const AttentionShape& s, int64_t* workspace);

}  // namespace graft::cuda
