// The output layer with its loss, and the gradient of an embedding.
#include <algorithm>

#include "bench.h"

namespace bench {

void output_layer() {
    const int64_t t = size(8192, 24), h = size(4096, 64), vocab = size(128256, 300), chunk = size(512, 8);
    std::vector<int32_t> rows, targets;
    for (int32_t i = 0; i < t; ++i) {
        rows.push_back(i);
        targets.push_back(int32_t(int64_t(i) * 7919 % vocab));
    }
    graft_linear_cross_entropy_args a{};
    a.loss = floats({0, 0});
    a.dx = tensor(GRAFT_BF16, t, h);
    a.x = tensor(GRAFT_BF16, t, h);
    a.w.data = tensor(GRAFT_BF16, vocab, h, 0.02);
    a.w.out = vocab;
    a.w.in = h;
    a.rows = integers(rows);
    a.targets = integers(targets);
    a.weights = floats(std::vector<float>(size_t(t), 1.0f));
    a.inverse = floats({1.0f / float(t)});
    a.chunk_rows = chunk;
    a.scratch = tensor(GRAFT_U8, 1, 4 * (chunk * (vocab + 2 * h) + h));
    const std::string name = "linear_cross_entropy/" + std::to_string(t) + "x" + std::to_string(vocab);
    if (!small && selected(name))
        note(name + ": " + std::to_string(double(cols(a.scratch) + context->workspace_bytes) / double(1 << 30)) + " GiB beside inputs and outputs");
    report({name, 0, 4.0 * double(t) * double(h) * double(vocab), [&] { return linear_cross_entropy(context, &a); }, kBf16, [&](Compared& all) {
                const Host x(a.x), w(a.w.data), dx(a.dx);
                for (int64_t row : some(t, 2)) {
                    std::vector<double> z;
                    double sum = 0, top = -INFINITY;
                    for (int64_t o = 0; o < vocab; ++o) {
                        double s = 0;
                        for (int64_t i = 0; i < h; ++i) s += x(row, i) * w(o, i);
                        z.push_back(s);
                        top = std::max(top, s);
                    }
                    for (double s : z) sum += std::exp(s - top);
                    const std::vector<int64_t> columns = some(h, 16);
                    std::vector<double> want(columns.size(), 0.0);
                    for (int64_t o = 0; o < vocab; ++o) {
                        const double d = (std::exp(z[size_t(o)] - top) / sum - (o == targets[size_t(row)])) / double(t);
                        for (size_t c = 0; c < columns.size(); ++c) want[c] += d * w(o, columns[c]);
                    }
                    for (size_t c = 0; c < columns.size(); ++c) all.add(dx(row, columns[c]), want[c]);
                }
            }});
    release();

    std::vector<int32_t> ids;  // two tokens of each id, far apart
    for (int32_t i = 0; i < t; ++i) ids.push_back(int32_t(int64_t(i % (t / 2)) * 104729 % vocab));
    graft_embedding_backward_args b{tensor(GRAFT_F32, vocab, h), tensor(GRAFT_BF16, t, h), integers(ids)};
    const Host before(b.dtable), dy(b.dy);  // the table is added to
    report({"embedding_backward/" + std::to_string(t) + "x" + std::to_string(h), double(t * h) * 2 + double(t / 2 * h) * 8, 0,
            [&] { return embedding_backward(context, &b); }, kF32, [&](Compared& all) {
                const Host now(b.dtable);
                for (int64_t i : some(t / 2, 16))
                    for (int64_t c : some(h, 16)) {
                        double sum = before(ids[size_t(i)], c);
                        for (int64_t j = 0; j < t; ++j)
                            if (ids[size_t(j)] == ids[size_t(i)]) sum += dy(j, c);
                        all.add(now(ids[size_t(i)], c), sum);
                    }
            }});
    release();
}

}  // namespace bench
