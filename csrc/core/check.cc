#include "check.h"

namespace graft {

namespace {
const char* type_name(int32_t dtype) {
    static const char* const names[] = {"f32", "bf16", "f64", "i32", "u32", "u8"};
    return dtype >= 0 && dtype < 6 ? names[dtype] : "unknown type";
}
long long print(int64_t n) { return n; }
}  // namespace

graft_status* check_shape(const char* name, const graft_tensor& t, unsigned types, int64_t want_rows, int64_t want_cols) {
    if (!given(t)) return error(GRAFT_INVALID_ARGUMENT, "%s is absent", name);
    if (t.rank < 1 || t.rank > 4) return error(GRAFT_INVALID_ARGUMENT, "%s has rank %d", name, t.rank);
    if (t.dtype < 0 || t.dtype > GRAFT_U8 || !(types >> t.dtype & 1))
        return error(GRAFT_UNIMPLEMENTED, "%s is %s", name, type_name(t.dtype));
    for (int i = 0; i < t.rank; i++)
        if (t.shape[i] < 0) return error(GRAFT_INVALID_ARGUMENT, "%s: dimension %d is %lld", name, i, print(t.shape[i]));
    if ((want_rows >= 0 && rows(t) != want_rows) || (want_cols >= 0 && cols(t) != want_cols))
        return error(GRAFT_INVALID_ARGUMENT, "%s is [%lld, %lld], expected [%lld, %lld]", name, print(rows(t)),
                     print(cols(t)), print(want_rows), print(want_cols));
    if (t.pitch < cols(t))
        return error(GRAFT_INVALID_ARGUMENT, "%s: pitch %lld, rows of %lld", name, print(t.pitch), print(cols(t)));
    return nullptr;
}

graft_status* check_optional(const char* name, const graft_tensor& t, unsigned types, int64_t rows, int64_t cols) {
    return given(t) ? check_shape(name, t, types, rows, cols) : nullptr;
}

graft_status* check_flat(const char* name, const graft_tensor& t, unsigned types, int64_t want) {
    GRAFT_TRY(check_shape(name, t, types, -1, -1));
    if (t.pitch != cols(t)) return error(GRAFT_UNIMPLEMENTED, "%s has gaps between its rows", name);
    if (want >= 0 && elements(t) != want)
        return error(GRAFT_INVALID_ARGUMENT, "%s has %lld elements, expected %lld", name, print(elements(t)), print(want));
    return nullptr;
}

}  // namespace graft
