// A libcudnn.so.9 for the emulation: it keeps the descriptors that it is given and
// executes the graph of a plan operation by operation, in double, as the operations
// are documented. What lies behind the end of a sequence reads as NaN. Descriptors are
// not copied, so one that is destroyed too early is found.
//
// GRAFT_SHIM_CUDNN asks for a fault: "old", "create", "graph", "plan", "notes" (its
// engines give other bits each time), "workspace" (they want 1 TiB).
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cuda_shim.h"

namespace {

struct Descriptor {
  int kind;
  bool final = false;
  std::map<int, std::vector<char>> attributes;

  template <class T> std::vector<T> all(int attribute) const {
    const auto at = attributes.find(attribute);
    std::vector<T> values(at == attributes.end() ? 0 : at->second.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), at->second.data(), at->second.size());
    return values;
  }
  template <class T> T one(int attribute, T otherwise = {}) const {
    const std::vector<T> values = all<T>(attribute);
    return values.empty() ? otherwise : values[0];
  }
};

constexpr size_t kSizes[] = {8, 4, 1, 8, 4, 8, 8, 0, 4, 0, 0, 4, 0, 0, 4, 8, 0, 0, 4, 0, 0, 0, 0, 0, 1};
constexpr int kBadParameter = 2000, kNotSupported = 3000, kExecutionFailed = 5000;

thread_local std::string last_error;
graft_shim::Stream* stream = nullptr;

bool asked(const char* fault) {
  const char* text = std::getenv("GRAFT_SHIM_CUDNN");
  return text && !std::strcmp(text, fault);
}
int fail(int status, const char* text) {
  last_error = text;
  return status;
}

// ---- execution ------------------------------------------------------------------

using Shape = std::vector<int64_t>;
struct Values {
  Shape shape;
  std::vector<double> at;
};
// The place of an element, or of the one that stands for it where a dimension is 1.
size_t place(const Shape& shape, const int64_t (&i)[4]) {
  size_t at = 0;
  for (int d = 0; d < 4; ++d) at = at * size_t(shape[d]) + size_t(shape[d] == 1 ? 0 : i[d]);
  return at;
}
template <class Body> void each(const Shape& shape, Body&& body) {
  for (int64_t b = 0; b < shape[0]; ++b)
    for (int64_t h = 0; h < shape[1]; ++h)
      for (int64_t r = 0; r < shape[2]; ++r)
        for (int64_t c = 0; c < shape[3]; ++c) body({b, h, r, c});
}

class Execution {
 public:
  explicit Execution(std::map<int64_t, void*> pointers) : pointers_(std::move(pointers)) {}

  void operator()(const Descriptor* operation) {
    if (operation->kind == 13) pointwise(*operation);
    if (operation->kind == 19) matmul(*operation);
    if (operation->kind == 22) reduce(*operation);
  }

 private:
  static const Descriptor* of(const Descriptor& d, int attribute) { return d.one<const Descriptor*>(attribute); }

  // Where an element of a tensor that is not inner lies; negative: behind the end of its sequence.
  int64_t offset(const Descriptor& t, const int64_t (&i)[4]) {
    const Shape strides = t.all<int64_t>(903);
    int64_t at = i[1] * strides[1] + i[2] * strides[2] + i[3] * strides[3];
    const Descriptor* ragged = of(t, 913);
    if (!ragged) return at + i[0] * strides[0];
    const int64_t* starts = static_cast<const int64_t*>(pointers_.at(ragged->one<int64_t>(906)));
    return at < starts[i[0] + 1] - starts[i[0]] ? at + starts[i[0]] : -1;
  }
  const Values& read(const Descriptor* t) {
    Values& v = known_[t];
    if (!v.at.empty()) return v;
    v.shape = t->all<int64_t>(902);
    v.at.assign(size_t(v.shape[0] * v.shape[1] * v.shape[2] * v.shape[3]), NAN);
    const void* data = pointers_.at(t->one<int64_t>(906));
    each(v.shape, [&](const int64_t(&i)[4]) {
      const int64_t at = offset(*t, i);
      if (at < 0) return;
      const int type = t->one<int>(901);
      v.at[place(v.shape, i)] = type == 9   ? double(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]))
                                : type == 4 ? double(static_cast<const int32_t*>(data)[at])
                                            : double(static_cast<const float*>(data)[at]);
    });
    return v;
  }
  void write(const Descriptor* t, Values v) {
    const int type = t->one<int>(901);
    for (double& x : v.at)
      if (type == 9) x = double(__bfloat162float(__float2bfloat16_rn(float(x))));
      else if (type == 0) x = double(float(x));
    known_[t] = v;
    if (t->one<char>(907)) return;
    void* data = pointers_.at(t->one<int64_t>(906));
    each(v.shape, [&](const int64_t(&i)[4]) {
      const int64_t at = offset(*t, i);
      if (at < 0) return;
      if (type == 9) static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(float(v.at[place(v.shape, i)]));
      else static_cast<float*>(data)[at] = float(v.at[place(v.shape, i)]);
    });
  }

  void pointwise(const Descriptor& o) {
    const Descriptor* how = of(o, 750);
    const int mode = how->one<int>(0);
    const Values x = mode == 501 ? Values{of(o, 751)->all<int64_t>(902), {}} : read(of(o, 751));
    const Values b = of(o, 752) ? read(of(o, 752)) : Values{{1, 1, 1, 1}, {0}}, t = of(o, 758) ? read(of(o, 758)) : Values{{1, 1, 1, 1}, {0}};
    Values y{of(o, 753)->all<int64_t>(902), {}};
    each(y.shape, [&](const int64_t(&i)[4]) {
      const double p = mode == 501 ? 0 : x.at[place(x.shape, i)], q = b.at[place(b.shape, i)];
      double r = NAN;
      switch (mode) {
        case 0: r = p + q; break;
        case 1: r = p * q; break;
        case 6: r = p / q; break;
        case 9: r = p - q; break;
        case 13: r = std::exp(p); break;
        case 15: r = std::log(p); break;
        case 302: r = p > q; break;
        case 303: r = p >= q; break;
        case 304: r = p < q; break;
        case 400: r = p != 0 && q != 0; break;
        case 501: r = double(i[how->one<int64_t>(9)]); break;
        case 601: r = t.at[place(t.shape, i)] != 0 ? p : q; break;
      }
      y.at.push_back(r);
    });
    write(of(o, 753), std::move(y));
  }
  void reduce(const Descriptor& o) {
    const Values& x = read(of(o, 1610));
    const bool top = of(o, 1612)->one<int>(1600) == 3;
    Values y{of(o, 1611)->all<int64_t>(902), {}};
    each(y.shape, [&](const int64_t(&i)[4]) {
      double r = top ? -INFINITY : 0.0;
      for (int64_t c = 0; c < x.shape[3]; ++c) {
        const double v = x.at[place(x.shape, {i[0], i[1], i[2], c})];
        r = top ? (v > r || std::isnan(v) ? v : r) : r + v;
      }
      y.at.push_back(r);
    });
    write(of(o, 1611), std::move(y));
  }
  // Query heads share key heads; rows, columns and depth may end early.
  void matmul(const Descriptor& o) {
    const Values &a = read(of(o, 1520)), &b = read(of(o, 1521));
    auto end = [&](int attribute, int64_t batch, int64_t otherwise) {
      return of(o, attribute) ? int64_t(read(of(o, attribute)).at[size_t(batch)]) : otherwise;
    };
    const int64_t group = a.shape[1] / b.shape[1];
    Values c{of(o, 1522)->all<int64_t>(902), {}};
    each(c.shape, [&](const int64_t(&i)[4]) {
      double sum = 0;
      if (i[2] >= end(1525, i[0], c.shape[2]) || i[3] >= end(1526, i[0], c.shape[3])) sum = NAN;
      else
        for (int64_t k = 0; k < end(1527, i[0], a.shape[3]); ++k)
          sum += a.at[place(a.shape, {i[0], i[1], i[2], k})] * b.at[place(b.shape, {i[0], i[1] / group, k, i[3]})];
      c.at.push_back(sum);
    });
    write(of(o, 1522), std::move(c));
  }

  std::map<int64_t, void*> pointers_;
  std::map<const Descriptor*, Values> known_;
};

}  // namespace

#define GRAFT_EXPORT extern "C" __attribute__((visibility("default")))

GRAFT_EXPORT size_t cudnnGetVersion() { return asked("old") ? 90100 : 92801; }
GRAFT_EXPORT void cudnnGetLastErrorString(char* text, size_t size) { std::snprintf(text, size, "%s", last_error.c_str()); }
GRAFT_EXPORT int cudnnCreate(void** handle) {
  if (asked("create")) return fail(kBadParameter, "no handle");
  *handle = new int;
  return 0;
}
GRAFT_EXPORT int cudnnDestroy(void* handle) {
  delete static_cast<int*>(handle);
  return 0;
}
GRAFT_EXPORT int cudnnSetStream(void*, graft_shim::Stream* s) {
  stream = s;
  return 0;
}
GRAFT_EXPORT int cudnnBackendCreateDescriptor(int kind, Descriptor** d) {
  *d = new Descriptor{kind, false, {}};
  return 0;
}
GRAFT_EXPORT int cudnnBackendDestroyDescriptor(Descriptor* d) {
  delete d;
  return 0;
}
GRAFT_EXPORT int cudnnBackendSetAttribute(Descriptor* d, int attribute, int type, int64_t count, const void* values) {
  const size_t size = type >= 0 && type < int(sizeof kSizes / sizeof *kSizes) ? kSizes[type] : 0;
  if (d->final || size == 0) return fail(kBadParameter, "an attribute of a final descriptor, or of no known type");
  if (type == 15)
    for (int64_t i = 0; i < count; ++i)
      if (!static_cast<Descriptor* const*>(values)[i]->final) return fail(kBadParameter, "a descriptor that is not final");
  const char* from = static_cast<const char*>(values);
  d->attributes[attribute].assign(from, from + size_t(count) * size);
  return 0;
}
GRAFT_EXPORT int cudnnBackendFinalize(Descriptor* d) {
  if (d->kind == 15 && asked("graph")) return fail(kNotSupported, "no such graph");
  if (d->kind == 5 && asked("plan")) return fail(kNotSupported, "no such plan");
  d->final = true;
  return 0;
}
// Choosing gives one configuration of the graph, whose engine has notes, whose plan wants workspace.
GRAFT_EXPORT int cudnnBackendGetAttribute(Descriptor* d, int attribute, int, int64_t, int64_t* count, void* values) {
  if (!d->final) return fail(kBadParameter, "a result of a descriptor that is not final");
  *count = 1;
  if (attribute == 202 || attribute == 300) {
    Descriptor* result = *static_cast<Descriptor**>(values);
    result->attributes[-1] = d->attributes[attribute == 202 ? 201 : -1];
    result->final = true;
  } else if (attribute == 1303) {
    *count = asked("notes");
    if (*count) *static_cast<int*>(values) = 4;
  } else if (attribute == 402) {
    const int64_t bytes = asked("workspace") ? int64_t(1) << 40 : 4096;
    std::memcpy(values, &bytes, sizeof bytes);
  } else {
    return fail(kBadParameter, "an attribute without a result");
  }
  return 0;
}
#if !defined(GRAFT_SHIM_CUDNN_PART)  // a library without it is one that is refused
// The plan's graph with the pointers of now; scalars are read now, as a launch copies its arguments.
GRAFT_EXPORT int cudnnBackendExecute(void*, const Descriptor* plan, const Descriptor* pack) {
  const std::vector<int64_t> numbers = pack->all<int64_t>(1000);
  const std::vector<void*> data = pack->all<void*>(1001);
  if (!pack->final || numbers.size() != data.size()) return fail(kExecutionFailed, "numbers and pointers");
  const Descriptor* graph = plan->one<const Descriptor*>(401)->one<const Descriptor*>(-1);
  const std::vector<const Descriptor*> operations = graph->all<const Descriptor*>(801);
  std::map<int64_t, void*> pointers;
  std::map<int64_t, float> scalars;
  for (size_t i = 0; i < data.size(); ++i) pointers[numbers[i]] = data[i];
  for (const Descriptor* o : operations)
    for (const auto& [attribute, bytes] : o->attributes) {
      const Descriptor* t = bytes.size() == sizeof t ? o->one<const Descriptor*>(attribute) : nullptr;
      if (!t || t->kind != 17 || !t->one<char>(908)) continue;
      std::memcpy(&scalars[t->one<int64_t>(906)], pointers.at(t->one<int64_t>(906)), sizeof(float));
    }
  if (const char* path = std::getenv("GRAFT_SHIM_LOG"))
    if (FILE* file = std::fopen(path, "a")) {
      std::fprintf(file, "cudnnBackendExecute %zu\n", operations.size());
      std::fclose(file);
    }
  void* scratch = pack->one<void*>(1003);
  graft_shim::submit(stream, [=]() mutable {
    std::memset(scratch, 0xff, 4096);
    for (auto& [number, value] : scalars) pointers[number] = &value;
    Execution execution(pointers);
    for (const Descriptor* o : operations) execution(o);
  });
  return 0;
}
#endif
