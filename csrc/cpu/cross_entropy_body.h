// Included by cross_entropy.cc for each instruction set.

// One row of logits z, soft-capped in place: their maximum, its first place, the sum of exp(z - maximum) and, where it
// is wanted, their mean.
struct SoftmaxRow {
    float max, sum;
    int64_t argmax;
    float mean;
};

FAST inline SoftmaxRow softmax_row(float* z, int64_t n, float soft_cap, bool mean) {
    const float lowest = -__builtin_inff();
    if (soft_cap > 0)
        for (int64_t j = 0; j < n; j += kLanes) store(z + j, soft_cap * tanh(load(z + j, n - j) / soft_cap), n - j);
    F top = splat(lowest);
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) top = max(load(z + j), top);
    float lane[kLanes], highest = lowest;
    store(lane, top);
    for (float v : lane) highest = v > highest ? v : highest;
    for (int64_t i = j; i < n; i++) highest = z[i] > highest ? z[i] : highest;
    SoftmaxRow row = {highest, 0, 0, 0};
    F all = splat(0);
    for (j = 0; j + kLanes <= n; j += kLanes) all += exp(load(z + j) - highest);
    row.sum = sum(all);
    for (; j < n; j++) row.sum += exp(splat(z[j] - highest))[0];
    while (row.argmax + 1 < n && z[row.argmax] != highest) row.argmax++;
    if (mean) {
        F total = splat(0);
        for (j = 0; j + kLanes <= n; j += kLanes) total += load(z + j);
        row.mean = sum(total);
        for (; j < n; j++) row.mean += z[j];
        row.mean /= float(n);
    }
    return row;
}

// dz = factor * (softmax(z) * (1 + 2 z_loss logsumexp) - (1 - smoothing) [target] - smoothing / n), through the soft
// cap, over z from its start: T is no wider than float.
template <class T>
FAST void softmax_gradient(float* z, int64_t n, const SoftmaxRow& row, int64_t target, float factor,
                           const graft_linear_cross_entropy_args& a) {
    T* dz = reinterpret_cast<T*>(z);
    const float soft_cap = a.soft_cap, slope = soft_cap > 0 ? z[target] / soft_cap : 0;
    const float grown = a.z_loss > 0 ? 1 + 2 * a.z_loss * (row.max + std::log(row.sum)) : 1;
    const float scale = factor * grown / row.sum, even = factor * a.label_smoothing / float(n);
    const float whole = factor * (1 - a.label_smoothing) + even;
    const float at_target = (exp(splat(z[target] - row.max))[0] * scale - whole) * (1 - slope * slope);
    for (int64_t j = 0; j < n; j += kLanes) {
        const F v = load(z + j, n - j);
        F d = exp(v - row.max) * scale - even;
        if (soft_cap > 0) d *= 1.0f - v / soft_cap * (v / soft_cap);
        store(dz + j, d, n - j);
    }
    store(dz + target, splat(at_target), 1);
}
