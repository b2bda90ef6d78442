// Included by attention_softmax.h for each instruction set.

// Turns the scores of a block of keys into e^(score − top), with the new top
// and total of each row; what is summed for the old top shrinks.
FAST inline void softmax_step(const AttentionBuffers& b, const AttentionShape& a, const QueryBlock& block,
                              const KeyBlock& keys) {
    const int64_t n = block.count * a.group, width = pad16(n);
    if (!sees_all(a, block, keys))
        for (int64_t i = 0; i < block.count; i++) {
            const Range seen = visible(a, keys, block.place + i);
            for (int64_t j = 0; j < keys.count; j++)
                if (j < seen.begin || j >= seen.end)
                    for (int64_t g = 0; g < a.group; g++) b.s[j * kQueryRows + i * a.group + g] = -HUGE_VALF;
        }
    const F low = splat(-HUGE_VALF);
    float shrink[kQueryRows];
    for (int64_t r = 0; r < width; r += kLanes) {
        const F old = load(b.top + r);
        F top = old;
        for (int64_t j = 0; j < keys.count; j++) {
            float* at = b.s + j * kQueryRows + r;
            F x = load(at) * a.scale;
            if (a.soft_cap > 0) {  // a masked score stays −inf
                const F capped = tanh(x / a.soft_cap) * a.soft_cap;
                x = x == low ? low : capped;
            }
            store(at, x);
            top = max(top, x);
        }
        const F finite = top > low ? top : F{};  // a row that sees nothing yet: e^-inf is 0
        const F factor = exp(old - finite);
        F total = load(b.total + r) * factor;
        for (int64_t j = 0; j < keys.count; j++) {
            float* at = b.s + j * kQueryRows + r;
            const F p = exp(load(at) - finite);
            total += p;
            store(at, p);
        }
        store(b.top + r, top);
        store(b.total + r, total);
        store(shrink + r, factor);
    }
    for (int64_t r = 0; r < n; r++) {
        if (shrink[r] == 1.0f) continue;
        float* o = b.o + r * a.padded;
        for (int64_t d = 0; d < a.padded; d += kLanes) store(o + d, load(o + d) * shrink[r]);
    }
}
