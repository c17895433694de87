// One random problem of the region attention, forward and backward.
#pragma once

#include "check.h"
#include "cpu/kernels.h"

namespace region_check {

using namespace lnlattennet;

// Strides with random gaps: channels or columns side by side, the other dimensions in any order.
inline FeatureMap random_map(const Sizes& n, DType dtype, bool channels_last, Random& random) {
  FeatureMap map{nullptr, dtype, n.batch, n.channels, n.grid * n.rows, n.grid * n.columns, 0, 0, 0, 0};
  (channels_last ? map.channel_stride : map.column_stride) = 1;
  std::pair<int64_t, int64_t*> others[] = {
      {map.batch, &map.batch_stride},
      {map.height, &map.row_stride},
      channels_last ? std::pair(map.width, &map.column_stride) : std::pair(map.channels, &map.channel_stride)};
  std::shuffle(std::begin(others), std::end(others), random);
  int64_t stride = channels_last ? map.channels : map.width;
  for (auto& [size, to] : others) {
    stride += random() % 2 ? uniform(random, 1, 3) : 0;
    *to = stride;
    stride *= size;
  }
  return map;
}

inline int64_t elements(const FeatureMap& map) {
  return 1 + (map.batch - 1) * map.batch_stride + (map.channels - 1) * map.channel_stride +
         (map.height - 1) * map.row_stride + (map.width - 1) * map.column_stride;
}

inline int64_t index(const Sizes& n, const FeatureMap& map, int64_t b, int64_t c, int64_t k, int64_t p) {
  const int64_t y = k / n.grid * n.rows + p / n.columns, x = k % n.grid * n.columns + p % n.columns;
  return b * map.batch_stride + c * map.channel_stride + y * map.row_stride + x * map.column_stride;
}

template <class Visit>
void for_each(const Sizes& n, Visit visit) {
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t c = 0; c < n.channels; ++c)
      for (int64_t k = 0; k < n.regions(); ++k)
        for (int64_t p = 0; p < n.positions(); ++p) visit(b, c, k, p);
}

// Everything that the two kernels read and write.
struct Case {
  Sizes n;
  DType dtype, parameters;
  FeatureMap map, to;
  Tensor features, query, pooled, mean, grad_pooled, grad_mean, grad_features, grad_query[2];

  Case(const Sizes& sizes, DType dtype, const Allocator& allocate)
      : n(sizes),
        dtype(dtype),
        parameters(dtype == DType::f64 ? DType::f64 : DType::f32),
        map(random_map(n, dtype, allocate.random() % 2, allocate.random)),
        to(random_map(n, dtype, map.channel_stride == 1, allocate.random)),
        features(allocate("features", elements(map), dtype)),
        query(allocate.filled("query", n.regions() * n.heads * n.channels, parameters)),
        pooled(allocate("pooled", n.batch * n.regions() * n.heads * n.channels, dtype)),
        mean(allocate("mean", n.batch * n.regions() * n.channels, dtype)),
        grad_pooled(allocate.filled("grad_pooled", n.batch * n.regions() * n.heads * n.channels, dtype)),
        grad_mean(allocate.filled("grad_mean", n.batch * n.regions() * n.channels, dtype)),
        grad_features(allocate("grad_features", elements(to), dtype)),
        grad_query{allocate("grad_query", n.regions() * n.heads * n.channels, parameters),
                   allocate("grad_query", n.regions() * n.heads * n.channels, parameters)} {
    for_each(n, [&](auto... at) { features.randomize(index(n, map, at...), allocate.random); });
    for (Tensor& sums : grad_query) sums.clear();
    map.data = features.data();
    to.data = grad_features.data();
  }
};

inline void run(Case& at, const Allocator& allocate) {
  const cpu::Kernels& kernels = cpu::kernels();
  const RegionAttention problem{at.map, at.n.grid, at.n.heads, at.query.data(), at.parameters};
  const RegionOutputs outputs{at.pooled.data(), at.mean.data()};
  const RegionGradients gradients{at.grad_pooled.data(), at.grad_mean.data()};
  in_two_threads(at.n.batch * at.n.grid, allocate,
                 [&](int, int64_t begin, int64_t end) { kernels.region_attention(problem, outputs, begin, end); });
  in_two_threads(at.n.batch * at.n.grid, allocate, [&](int thread, int64_t begin, int64_t end) {
    kernels.region_attention_backward(problem, gradients, at.to, at.grad_query[thread].data(), begin, end);
  });
}

// The gaps between the elements of a gradient belong to somebody else.
inline bool gaps_are_untouched(const Case& at) {
  std::vector<bool> element(at.grad_features.stored());
  for_each(at.n, [&](auto... place) { element[index(at.n, at.to, place...)] = true; });
  for (int64_t i = 0; i < at.grad_features.stored(); ++i)
    if (!element[i] && !at.grad_features.untouched(i)) {
      std::printf("grad_features: wrote between its elements, at %lld\n", (long long)i);
      return false;
    }
  return true;
}

inline bool is_right(const Case& at) {
  const Features feature = [&](auto... place) { return at.features[index(at.n, at.map, place...)]; };
  const Numbers query = numbers(at.query);
  const Pools pools = region_attention(at.n, feature, query);
  const Gradients expected =
      region_attention_backward(at.n, feature, query, numbers(at.grad_pooled), numbers(at.grad_mean));
  Numbers grad_features, grad_query = numbers(at.grad_query[0]);
  for_each(at.n, [&](auto... place) { grad_features.push_back(at.grad_features[index(at.n, at.to, place...)]); });
  for (size_t i = 0; i < grad_query.size(); ++i) grad_query[i] += at.grad_query[1][i];
  return near("pooled", numbers(at.pooled), pools.pooled, at.dtype, at.dtype) &&
         near("mean", numbers(at.mean), pools.mean, at.dtype, at.dtype) &&
         near("grad_features", grad_features, expected.features, at.dtype, at.dtype) &&
         near("grad_query", grad_query, expected.query, at.parameters, at.dtype) && gaps_are_untouched(at);
}

}  // namespace region_check
