// zero, cast, add, scatter_rows: bandwidth only. Packs of 8 elements where the
// rows allow it, single elements elsewhere.
#include "context.cuh"

namespace graft::cuda {
namespace {

template <class To, class From, int V> struct Cast {
    Matrix<To> dst;
    Matrix<const From> src;
    __device__ void operator()(int64_t row, int64_t col) const {
        const Pack<From, V> in = load_pack<V>(src.row(row) + col);
        Pack<To, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) store(&out.at[i], widen(in.at[i]));
        store_pack(dst.row(row) + col, out);
    }
};

template <class T, int V> struct Add {
    Matrix<T> dst;
    Matrix<const T> a, b;
    __device__ void operator()(int64_t row, int64_t col) const {
        const Pack<T, V> x = load_pack<V>(a.row(row) + col), y = load_pack<V>(b.row(row) + col);
        Pack<T, V> out;
#pragma unroll
        for (int i = 0; i < V; ++i) store(&out.at[i], widen(x.at[i]) + widen(y.at[i]));
        store_pack(dst.row(row) + col, out);
    }
};

// Bytes move as they are, whatever the type.
template <class T> struct Scatter {
    Matrix<T> dst;
    Matrix<const T> src;
    const int32_t* to;
    __device__ void operator()(int64_t row, int64_t col) const {
        const int64_t target = to[row];
        if (target >= 0 && target < dst.rows) dst.row(target)[col] = src.row(row)[col];
    }
};

template <class To, class From> void cast_as(graft_context* c, const graft_cast_args* a) {
    if (packs(a->dst, 8) && packs(a->src, 8))
        for_each<8>(c, Cast<To, From, 8>{view<To>(a->dst), view<const From>(a->src)}, rows(a->src), cols(a->src));
    else
        for_each<1>(c, Cast<To, From, 1>{view<To>(a->dst), view<const From>(a->src)}, rows(a->src), cols(a->src));
}

int size_of(int32_t dtype) {
    return dtype == GRAFT_F64 ? 8 : dtype == GRAFT_BF16 ? 2 : dtype == GRAFT_U8 ? 1 : 4;
}

// Tensors without gaps are one long row.
graft_tensor flat(const graft_tensor& t) {
    graft_tensor f = t;
    if (t.pitch != cols(t)) return f;
    f.rank = 2;
    f.shape[0] = 1;
    f.shape[1] = f.pitch = elements(t);
    return f;
}

}  // namespace

graft_status* zero(graft_context* c, const graft_zero_args* a) {
    GRAFT_TRY(check_shape("dst", a->dst, kAny, -1, -1));
    if (elements(a->dst) == 0) return nullptr;
    const graft_tensor d = flat(a->dst);
    const size_t size = size_t(size_of(d.dtype));
    return check(cudaMemset2DAsync(d.data, size * size_t(d.pitch), 0, size * size_t(cols(d)), size_t(rows(d)), c->stream),
                 "memset");
}

graft_status* cast(graft_context* c, const graft_cast_args* a) {
    GRAFT_TRY(check_shape("src", a->src, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dst", a->dst, kFloat, -1, -1));
    if (elements(a->dst) != elements(a->src))
        return error(GRAFT_INVALID_ARGUMENT, "dst has %lld elements, src %lld", (long long)elements(a->dst),
                     (long long)elements(a->src));
    graft_cast_args f{flat(a->dst), flat(a->src)};
    if (rows(f.dst) != rows(f.src)) {  // one has gaps: the other takes its rows
        graft_tensor& t = rows(f.dst) == 1 ? f.dst : f.src;
        const graft_tensor& other = rows(f.dst) == 1 ? f.src : f.dst;
        if (rows(t) != 1) return error(GRAFT_UNIMPLEMENTED, "dst and src have gaps between rows of different lengths");
        t.shape[0] = rows(other);
        t.shape[1] = t.pitch = cols(other);
    }
    GRAFT_BY_TYPE(f.dst, To, GRAFT_BY_TYPE(f.src, From, cast_as<To, From>(c, &f)));
    return launched();
}

graft_status* add(graft_context* c, const graft_add_args* args) {
    GRAFT_TRY(check_shape("dst", args->dst, kFloat, -1, -1));
    GRAFT_TRY(check_shape("a", args->a, same(args->dst), rows(args->dst), cols(args->dst)));
    GRAFT_TRY(check_shape("b", args->b, same(args->dst), rows(args->dst), cols(args->dst)));
    graft_add_args f{flat(args->dst), flat(args->a), flat(args->b)};
    if (rows(f.dst) != rows(f.a) || rows(f.dst) != rows(f.b)) f = *args;
    GRAFT_BY_TYPE(f.dst, T, {
        if (packs(f.dst, 8) && packs(f.a, 8) && packs(f.b, 8))
            for_each<16 / sizeof(T)>(c, Add<T, 16 / sizeof(T)>{view<T>(f.dst), view<const T>(f.a), view<const T>(f.b)}, rows(f.dst), cols(f.dst));
        else
            for_each<1>(c, Add<T, 1>{view<T>(f.dst), view<const T>(f.a), view<const T>(f.b)}, rows(f.dst), cols(f.dst));
    });
    return launched();
}

graft_status* scatter_rows(graft_context* c, const graft_scatter_rows_args* a) {
    GRAFT_TRY(check_shape("src", a->src, kFloat, -1, -1));
    GRAFT_TRY(check_shape("dst", a->dst, same(a->src), -1, cols(a->src)));
    GRAFT_TRY(check_flat("rows", a->rows, kI32, rows(a->src)));
    GRAFT_BY_TYPE(a->src, T,
                  for_each<1>(c, Scatter<T>{view<T>(a->dst), view<const T>(a->src), data<int32_t>(a->rows)}, rows(a->src),
                              cols(a->src)));
    return launched();
}

}  // namespace graft::cuda
