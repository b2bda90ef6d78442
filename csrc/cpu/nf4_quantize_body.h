// Included by nf4_quantize.cc for each instruction set.

// A block of 64 values: the largest magnitude, and a byte for each two codes.
FAST inline void quantize_block(uint8_t* codes, float* absmax, const float* value, const float* mid) {
    F top = {};
    for (int i = 0; i < 64; i += kLanes) {
        const F v = load(value + i);
        top = max(top, max(v, -v));
    }
    float lane[kLanes], largest = 0;
    store(lane, top);
    for (int i = 0; i < kLanes; i++) largest = std::max(largest, lane[i]);
    *absmax = largest;
    const F inverse = splat(1 / std::max(largest, 1e-38f));
    uint32_t code[64];
    for (int i = 0; i < 64; i += kLanes) {
        const F x = load(value + i) * inverse;
        U n = {};
        for (int j = 0; j < 15; j++) n -= U(splat(mid[j]) < x);  // a lane of a comparison is 0 or −1
        std::memcpy(code + i, &n, sizeof n);
    }
    for (int i = 0; i < 32; i++) codes[i] = uint8_t(code[2 * i] << 4 | code[2 * i + 1]);
}
