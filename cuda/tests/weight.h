// A weight in each of its storage forms, and what its elements are worth.
#pragma once

#include "memory.h"

namespace test {

constexpr float kCode[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                         -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                         0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                         0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

enum class Storage { kDense, kFloat, kNF4, kNestedNF4 };
inline const char* name(Storage s) {
    const char* names[] = {"dense", "f32 weight", "nf4", "nested nf4"};
    return names[int(s)];
}

struct Weight {
    Storage storage;
    int64_t out, in;
    Array data, absmax, nested, offset;
    std::vector<double> values;  // as a product of the type uses them

    Weight(Storage storage, int32_t type, int64_t out, int64_t in) : storage(storage), out(out), in(in) {
        if (storage == Storage::kDense || storage == Storage::kFloat) {
            data = normal(storage == Storage::kFloat ? int32_t(GRAFT_F32) : type, out, in, 21);
            for (double v : data.values) values.push_back(rounded(type, v));
            return;
        }
        std::mt19937 engine(22);
        const int64_t blocks = (out * in + 63) / 64;
        data = Array(GRAFT_U8, out, in / 2, [&](int64_t) { return double(engine() % 256); });
        const bool twice = storage == Storage::kNestedNF4;
        // Entries of the dynamic map that are easy to state: 127 is 0, 255 is 1, 128 and 126 are +-5.5e-7.
        const int codes[4] = {255, 127, 128, 126};
        const float map[4] = {1.0f, 0.0f, 5.5e-7f, -5.5e-7f};
        absmax = twice ? Array(GRAFT_U8, 1, blocks, [&](int64_t i) { return codes[i % 4]; })
                       : Array(GRAFT_F32, 1, blocks, [&](int64_t i) { return 0.01 * double(i % 9 + 1); });
        nested = Array(GRAFT_F32, 1, (blocks + 255) / 256, [](int64_t i) { return 0.3 + 0.1 * double(i); });
        offset = Array(GRAFT_F32, 1, 1, [](int64_t) { return 0.05; });
        for (int64_t e = 0; e < out * in; ++e) {
            const int byte = int(data.values[size_t(e / 2)]), code = e % 2 ? byte & 15 : byte >> 4;
            const int64_t block = e / 64;
            float scale = float(absmax.values[size_t(block)]);
            if (twice) {
                const float product = map[block % 4] * float(nested.values[size_t(block / 256)]);
                scale = product + float(offset.values[0]);
            }
            values.push_back(rounded(type, double(kCode[code] * scale)));
        }
    }
    graft_weight put(Run& r) const {
        graft_weight w{};
        w.out = out;
        w.in = in;
        w.data = r.put(data);
        if (absmax.rows) w.absmax = r.put(absmax);
        if (storage == Storage::kNestedNF4) {
            w.nested = r.put(nested);
            w.offset = r.put(offset);
        }
        return w;
    }
};

}  // namespace test
