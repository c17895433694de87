// Shared by the kernels: typed views of one band of a problem, reading ahead, dot products of a query with positions,
// the softmax of scores and its gradient.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../core/problem.h"
#include "simd-inl.h"

namespace lnlattennet::cpu {
namespace {

// Elements of `T` with the strides of a feature map, for reading or writing.
template <class T>
struct BandView {
  T* data;  // the band's first position, channel 0
  int64_t channel_stride, row_stride, column_stride;
};

template <class T>
BandView<T> band_view(const FeatureMap& map, int64_t image, int64_t band, int64_t rows) {
  T* data = static_cast<T*>(const_cast<void*>(map.data)) + image * map.batch_stride + band * rows * map.row_stride;
  return {data, map.channel_stride, map.row_stride, map.column_stride};
}

// Sizes that every function needs.
struct Sizes {
  int64_t channels, grid, heads, rows, columns;  // rows and columns of one region

  explicit Sizes(const RegionAttention& problem)
      : channels(problem.features.channels),
        grid(problem.grid),
        heads(problem.heads),
        rows(problem.features.height / problem.grid),
        columns(problem.features.width / problem.grid) {}

  int64_t regions() const { return grid * grid; }
  int64_t positions() const { return rows * columns; }
};

// Zeroed memory that a function needs while it runs, 64-byte aligned so that no vector crosses a cache line.
template <class A>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : memory_(std::calloc(count * sizeof(A) + 64, 1)),
        data_(reinterpret_cast<A*>((reinterpret_cast<uintptr_t>(memory_) + 63) & ~uintptr_t{63})) {
    if (!memory_) throw std::bad_alloc();
  }
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  A* data() const { return data_; }
  A& operator[](int64_t i) const { return data_[i]; }

 private:
  void* memory_;
  A* data_;
};

// Offsets of the positions of `rows` rows of one region, row by row, from its first one.
template <class T>
inline void fill_offsets(int64_t* offsets, const BandView<T>& view, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      offsets[row * columns + column] = row * view.row_stride + column * view.column_stride;
}

constexpr double log2_e = 1.4426950408889634, ln_2 = 0.6931471805599453;

// Factor from <q, F_p> to the softmax's argument in base 2.
inline double score_scale(const Sizes& sizes) { return log2_e / __builtin_sqrt(double(sizes.channels)); }

// to[row] = scale * from[row], rows of `channels`, each padded with zeros to `stride`.
template <class A, class T>
void copy_rows(A* to, int64_t stride, const T* from, int64_t rows, int64_t channels, A scale) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < channels; c += width<A>)
      store(to + row * stride + c, load_up_to(from + row * channels + c, channels - c) * scale);
}

// The queries as rows of channels, padded with zeros to `stride`, and scaled by score_scale.
template <class A>
class ScaledQueries {
 public:
  ScaledQueries(const RegionAttention& problem, const Sizes& sizes, int64_t stride)
      : sizes_(sizes), stride_(stride), rows_(sizes.regions() * sizes.heads * stride) {
    copy_rows(rows_.data(), stride, static_cast<const A*>(problem.query), sizes.regions() * sizes.heads, sizes.channels,
              A(score_scale(sizes)));
  }

  // `slot` counts the regions and heads of a band: column * heads + head.
  A* row(int64_t band, int64_t slot) const {
    return rows_.data() + (band * sizes_.grid * sizes_.heads + slot) * stride_;
  }

 private:
  const Sizes& sizes_;
  const int64_t stride_;
  Scratch<A> rows_;
};

// ---- reading ahead -------------------------------------------------------------------------------------------------
//
// The hardware's prefetchers stop at every page, and a burst of fetches stalls the loads behind it; so every pass over
// the features fetches a share of what comes next, at the pace of its own arithmetic, in the order of addresses. Where
// a map has gaps, some fetches fall into them: that costs time, never correctness.
//
// They go to the L2 cache (locality 2), from which the pass that reads them loads quickly enough: the L1 cache tracks
// few lines that are under way (24 on Zen 4), too few to keep the memory busy, and is full of what is being read.

class ReadAhead {
 public:
  explicit ReadAhead(const void* start) : next_(static_cast<const char*>(start)) {}

  void advance(int64_t bytes) {
    constexpr int64_t cache_line = 64;
#pragma GCC unroll 4
    for (int64_t i = 0; i < bytes; i += cache_line)
      __builtin_prefetch(next_ + i, /* for reading */ 0, /* locality */ 2);
    next_ += bytes;
  }

 private:
  const char* next_;
};

// For what is in the cache already.
struct NoReadAhead {
  void advance(int64_t) {}
};

// ---- dot products of one query with many positions -----------------------------------------------------------------

// totals[i] += query * positions[i], for `Vectors` vectors of channels. Fetches half as many bytes as it reads.
template <int Vectors, class T, class A, class Ahead>
inline void add_products_of_four(const T* const (&positions)[4], const A* query, int64_t c, Ahead& ahead,
                                 Vector<A> (&totals)[4]) {
  ahead.advance(2 * Vectors * width<A> * int64_t(sizeof(T)));
#pragma GCC unroll 4
  for (int64_t v = c; v < c + Vectors * width<A>; v += width<A>) {
    const Vector<A> q = load(query + v);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) totals[i] += q * load(positions[i] + v);
  }
}

// to[i] = <query, positions[i]> for four positions (some may be the same); `query` is padded with zeros.
template <class T, class A, class Ahead>
inline void plain_dot_four(const T* const (&positions)[4], const A* query, int64_t channels, Ahead&& ahead, A* to) {
  Vector<A> totals[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) totals[i] = Vector<A>{};  // "= {}" would put them in memory
  int64_t c = 0;
  for (; c + 4 * width<A> <= channels; c += 4 * width<A>) add_products_of_four<4>(positions, query, c, ahead, totals);
  for (; c + width<A> <= channels; c += width<A>) add_products_of_four<1>(positions, query, c, ahead, totals);
  if (c < channels) {
    const Vector<A> q = load(query + c);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) totals[i] += q * load_first(positions[i] + c, channels - c);
  }
  sums(totals, to);
}

// Storage of a query for its dot products: as plain numbers ...
template <class T>
struct PlainQuery {
  using A = Accumulator<T>;
  static int64_t padded_channels(int64_t channels) { return padded<A>(channels); }
  static void pack(A*, int64_t) {}
  static void dot_four(const T* const (&positions)[4], const A* query, int64_t channels, ReadAhead& ahead, A* to) {
    plain_dot_four(positions, query, channels, ahead, to);
  }
};

// ... or, where nothing else reads it, packed for the CPU's own bfloat16 dot product.
template <class T>
struct PackedQuery : PlainQuery<T> {};

#if LNL_BFLOAT16_DOT
// Every 32 numbers become 32 bfloat16 and 32 more for what those rounded off: products keep 16 bits of the query.
template <>
struct PackedQuery<BFloat16> {
  static int64_t padded_channels(int64_t channels) { return (channels + 31) / 32 * 32; }

  static void pack(float* row, int64_t channels) {
    for (int64_t c = 0; c < channels; c += 32) {
      const __m512 low = _mm512_loadu_ps(row + c), high = _mm512_loadu_ps(row + c + 16);
      const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
      const __m512 low_rest = low - widened(_mm512_castsi512_si256(rounded));
      const __m512 high_rest = high - widened(_mm512_extracti64x4_epi64(rounded, 1));
      _mm512_storeu_si512(row + c, rounded);
      _mm512_storeu_si512(row + c + 16, (__m512i)_mm512_cvtne2ps_pbh(high_rest, low_rest));
    }
  }

  static __m512 widened(__m256i words) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16); }

  static void dot_four(const BFloat16* const (&positions)[4], const float* query, int64_t channels, ReadAhead& ahead,
                       float* to) {
    Vector<float> total[4] = {};
    for (int64_t c = 0; c < channels; c += 32) {
      ahead.advance(2 * 32 * sizeof(BFloat16));
      const __m512bh rounded = (__m512bh)_mm512_loadu_si512(query + c);
      const __m512bh rest = (__m512bh)_mm512_loadu_si512(query + c + 16);
      const __mmask32 lanes = channels - c >= 32 ? ~0u : (1u << (channels - c)) - 1;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const __m512bh f = (__m512bh)_mm512_maskz_loadu_epi16(lanes, positions[i] + c);
        total[i] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(total[i], rounded, f), rest, f);
      }
    }
    sums(total, to);
    // With a feature that is infinite the two parts of a product may be opposite infinities, or 0 times one.
    const __m128 results = _mm_loadu_ps(to);
    if (__builtin_expect(_mm_movemask_ps(_mm_cmpunord_ps(results, results)), 0)) {
      dot_four_whole(positions, query, channels, to);
    }
  }

  // The same with the two parts of the query put together first.
  static void dot_four_whole(const BFloat16* const (&positions)[4], const float* query, int64_t channels, float* to) {
    for (int i = 0; i < 4; ++i) {
      to[i] = 0;
      for (int64_t c = 0; c < channels; ++c) {
        const auto* rounded = reinterpret_cast<const BFloat16*>(query + c / 32 * 32) + c % 32;
        to[i] += (widened(rounded[0]) + widened(rounded[32])) * widened(positions[i][c]);
      }
    }
  }

  static float widened(BFloat16 number) { return bit_cast<float>(uint32_t(number.bits) << 16); }
};
#endif

// to[p] = <query, F_p> for positions at `offsets` from `features`; `to` has room for a multiple of four. Fetches half
// as many bytes as it reads.
template <class Query, class T, class A>
inline void dot_products(const T* features, const int64_t* offsets, int64_t count, const A* query, int64_t channels,
                         ReadAhead& ahead, A* to) {
  ReadAhead local = ahead;  // in a register
  for (int64_t p = 0; p < count; p += 4) {
    const T* positions[4];
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) positions[i] = features + offsets[p + i < count ? p + i : count - 1];
    Query::dot_four(positions, query, channels, local, to + p);
  }
  ahead = local;
}

// ---- softmax -------------------------------------------------------------------------------------------------------
//
// Updated as the scores come (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

// Running softmax of one head of one region.
template <class A>
struct Softmax {
  A maximum, sum;
};

// weights[p] = 2^(weights[p] - maximum) over `count` scores; returns the factor that older sums are rescaled by.
// Reads and writes whole vectors; the weights beyond `count` become 0.
template <class A>
inline A update(Softmax<A>& state, A* weights, int64_t count) {
  Vector<A> largest = broadcast(state.maximum);
  A* const last = weights + (count - 1) / width<A> * width<A>;
  store(last, first_lanes<A>(load(last), weights + count - last, -__builtin_inf()));
  for (int64_t p = 0; p < count; p += width<A>) largest = maximum<A>(load(weights + p), largest);
  const A top = maximum_lane<A>(largest), factor = exp2(broadcast(state.maximum - top))[0];
  Vector<A> total = {};
  for (int64_t p = 0; p < count; p += width<A>) {
    const Vector<A> weight = exp2(load(weights + p) - top);
    store(weights + p, weight);
    total += weight;
  }
  state = {top, state.sum * factor + sum<A>(total)};
  return factor;
}

// ---- gradient of the softmax ---------------------------------------------------------------------------------------
//
// With a = softmax(s) and da_p = <grad_pooled, F_p>: ds = a (da - sum_p a_p da_p). The query that the kernels hold is
// scaled by log2(e) / sqrt(C), so ds is scaled by ln 2 where it meets that query, and grad_query by log2(e) / sqrt(C).

// scores -> a; products (da) -> ds * ln 2; `count` positions, both padded to whole vectors.
template <class A>
inline void softmax_gradient(A* scores, A* products, int64_t count) {
  Softmax<A> softmax = {kLowest<A>, 0};
  update(softmax, scores, count);
  const A inverse = 1 / softmax.sum;
  Vector<A> expected = {};
  for (int64_t p = count; p < padded<A>(count); ++p) products[p] = 0;
  for (int64_t p = 0; p < count; p += width<A>) {
    const Vector<A> a = load(scores + p) * inverse;
    store(scores + p, a);
    expected += a * load(products + p);
  }
  const A mean = sum<A>(expected);
  for (int64_t p = 0; p < count; p += width<A>)
    store(products + p, load(scores + p) * (load(products + p) - mean) * A(ln_2));
}

// Incoming gradients of one band as padded rows: of `pooled` [grid * heads] and of `mean` [grid], over P.
template <class T>
class BandGradients {
  using A = Accumulator<T>;

 public:
  BandGradients(const Sizes& sizes, const RegionGradients& gradients)
      : sizes_(sizes),
        gradients_(gradients),
        stride_(padded<A>(sizes.channels)),
        pooled_(sizes.grid * sizes.heads * stride_),
        mean_(sizes.grid * stride_) {}

  void read(int64_t image, int64_t band) {
    const int64_t first = image * sizes_.regions() + band * sizes_.grid, channels = sizes_.channels;
    const T* pooled = static_cast<const T*>(gradients_.pooled) + first * sizes_.heads * channels;
    copy_rows(pooled_.data(), stride_, pooled, sizes_.grid * sizes_.heads, channels, A(1));
    const T* mean = static_cast<const T*>(gradients_.mean) + first * channels;
    copy_rows(mean_.data(), stride_, mean, sizes_.grid, channels, A(1) / A(sizes_.positions()));
  }

  const A* pooled(int64_t slot) const { return pooled_.data() + slot * stride_; }
  const A* mean(int64_t column) const { return mean_.data() + column * stride_; }

 private:
  const Sizes& sizes_;
  const RegionGradients& gradients_;
  const int64_t stride_;
  Scratch<A> pooled_, mean_;
};

}  // namespace
}  // namespace lnlattennet::cpu
