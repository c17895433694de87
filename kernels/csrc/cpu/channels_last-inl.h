// channels_last. Forward: a band is read once, a few rows at a time; the softmax of its regions is updated as it goes.
// Backward: both dot products of a position in one sweep over the band, the gradients in a second one while the band is
// still in the cache.
#pragma once

#include <cstring>

#include "band-inl.h"

namespace lnlattennet::cpu {
namespace {

// pooled = pooled * factor + sum_p weights[p] F_p and mean += sum_p F_p, for `Vectors` vectors of channels; only the
// last one may be partial, of `last` channels. Fetches half as many bytes as it reads.
template <bool with_mean, bool partial, int Vectors, class T, class A>
inline void accumulate_tile(const T* features, const int64_t* offsets, int64_t count, int64_t last, const A* weights,
                            A factor, A* pooled, A* mean, ReadAhead& ahead) {
  ReadAhead local = ahead;  // in a register
  Vector<A> weighted[Vectors], plain[Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    weighted[v] = load(pooled + v * width<A>) * factor;
    if (with_mean) plain[v] = load(mean + v * width<A>);
  }
  for (int64_t p = 0; p < count; ++p) {
    local.advance(Vectors * width<A> * int64_t(sizeof(T)) / 2);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const T* from = features + offsets[p] + v * width<A>;
      const Vector<A> f = partial && v + 1 == Vectors ? load_first(from, last) : load(from);
      weighted[v] += f * weights[p];
      if (with_mean) plain[v] += f;
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    store(pooled + v * width<A>, weighted[v]);
    if (with_mean) store(mean + v * width<A>, plain[v]);
  }
  ahead = local;
}

template <bool with_mean, class T, class A>
inline void accumulate(const T* features, const int64_t* offsets, int64_t count, int64_t channels, const A* weights,
                       A factor, A* pooled, A* mean, ReadAhead& ahead) {
  int64_t c = 0;
  for (; c + 4 * width<A> <= channels; c += 4 * width<A>)
    accumulate_tile<with_mean, false, 4>(features + c, offsets, count, 0, weights, factor, pooled + c, mean + c, ahead);
  for (; c + width<A> <= channels; c += width<A>)
    accumulate_tile<with_mean, false, 1>(features + c, offsets, count, 0, weights, factor, pooled + c, mean + c, ahead);
  if (c < channels)
    accumulate_tile<with_mean, true, 1>(features + c, offsets, count, channels - c, weights, factor, pooled + c,
                                        mean + c, ahead);
}

// Rows that are handled at once: enough positions to fill vectors of weights, and few enough to stay in the L1 cache
// between their two uses.
template <class T>
inline int64_t rows_per_step(const Sizes& sizes) {
  constexpr int64_t positions = 32, bytes = 32768;
  const int64_t row_bytes = sizes.grid * sizes.columns * sizes.channels * int64_t(sizeof(T));
  int64_t rows = positions / sizes.columns;
  rows = rows * row_bytes > bytes ? bytes / row_bytes : rows;
  rows = rows < sizes.rows ? rows : sizes.rows;
  return rows > 1 ? rows : 1;
}

template <class T>
class ChannelsLastForward {
  using A = Accumulator<T>;

 public:
  ChannelsLastForward(const RegionAttention& problem, const RegionOutputs& outputs)
      : problem_(problem),
        sizes_(problem),
        outputs_(outputs),
        stride_(PackedQuery<T>::padded_channels(sizes_.channels)),
        queries_(problem, sizes_, stride_),
        pooled_(sizes_.grid * sizes_.heads * stride_),
        mean_(sizes_.grid * stride_),
        softmax_(sizes_.grid * sizes_.heads),
        step_(rows_per_step<T>(sizes_)),
        offsets_(step_ * sizes_.columns),
        weights_(padded<A>(step_ * sizes_.columns + 3)) {
    for (int64_t band = 0; band < sizes_.grid; ++band)
      for (int64_t slot = 0; slot < sizes_.grid * sizes_.heads; ++slot)
        PackedQuery<T>::pack(queries_.row(band, slot), sizes_.channels);
    fill_offsets(offsets_.data(), band_view<const T>(problem.features, 0, 0, sizes_.rows), step_, sizes_.columns);
  }

  void band(int64_t image, int64_t band) {
    clear();
    const auto view = band_view<const T>(problem_.features, image, band, sizes_.rows);
    for (int64_t row = 0; row < sizes_.rows; row += step_) {
      const int64_t rows = row + step_ < sizes_.rows ? step_ : sizes_.rows - row;
      for (int64_t head = 0; head < sizes_.heads; ++head) rows_of_head(view, row, rows, band, head);
    }
    finish(image, band);
  }

 private:
  void clear() {
    std::memset(pooled_.data(), 0, sizes_.grid * sizes_.heads * stride_ * sizeof(A));
    std::memset(mean_.data(), 0, sizes_.grid * stride_ * sizeof(A));
    // Not minus infinity: a first row of scores that all underflow must not become infinity minus infinity.
    for (int64_t i = 0; i < sizes_.grid * sizes_.heads; ++i) softmax_[i] = {kLowest<A>, 0};
  }

  // A region's scores, their softmax so far, and the sums they weigh, while its positions are in the L1 cache.
  void rows_of_head(const BandView<const T>& view, int64_t row, int64_t rows, int64_t band, int64_t head) {
    const auto add = head == 0 ? accumulate<true, T, A> : accumulate<false, T, A>;
    const int64_t count = rows * sizes_.columns;
    const T* features = view.data + row * view.row_stride;
    ReadAhead ahead(features + rows * view.row_stride);
    for (int64_t column = 0; column < sizes_.grid; ++column, features += sizes_.columns * view.column_stride) {
      const int64_t slot = column * sizes_.heads + head;
      dot_products<PackedQuery<T>>(features, offsets_.data(), count, queries_.row(band, slot), sizes_.channels, ahead,
                                   weights_.data());
      const A factor = update(softmax_[slot], weights_.data(), count);
      add(features, offsets_.data(), count, sizes_.channels, weights_.data(), factor, pooled_.data() + slot * stride_,
          mean_.data() + column * stride_, ahead);
    }
  }

  void finish(int64_t image, int64_t band) {
    const int64_t first = image * sizes_.regions() + band * sizes_.grid;
    T* pooled = static_cast<T*>(outputs_.pooled) + first * sizes_.heads * sizes_.channels;
    T* mean = static_cast<T*>(outputs_.mean) + first * sizes_.channels;
    for (int64_t slot = 0; slot < sizes_.grid * sizes_.heads; ++slot)
      write(pooled + slot * sizes_.channels, pooled_.data() + slot * stride_, 1 / softmax_[slot].sum);
    for (int64_t column = 0; column < sizes_.grid; ++column)
      write(mean + column * sizes_.channels, mean_.data() + column * stride_, A(1) / A(sizes_.positions()));
  }

  void write(T* to, const A* from, A scale) {
    for (int64_t c = 0; c < sizes_.channels; c += width<A>)
      store_up_to(to + c, load(from + c) * scale, sizes_.channels - c);
  }

  const RegionAttention& problem_;
  const Sizes sizes_;
  const RegionOutputs& outputs_;
  const int64_t stride_;  // of the padded rows below
  ScaledQueries<A> queries_;
  Scratch<A> pooled_;  // [grid, heads]
  Scratch<A> mean_;    // [grid]
  Scratch<Softmax<A>> softmax_;
  const int64_t step_;        // rows handled at once
  Scratch<int64_t> offsets_;  // of their positions within a region
  Scratch<A> weights_;        // of those positions: whole vectors, and up to three products more
};

// ---- backward ------------------------------------------------------------------------------------------------------

// One head's part of the gradients of `count` positions, for `Vectors` vectors of channels (the last one of `last`
// channels). The first head starts from `mean`, the last one writes `to`; between them `totals` keeps full precision.
template <class T>
struct HeadGradient {
  using A = Accumulator<T>;
  const T* features;
  T* to;
  int64_t stride, to_stride, count;  // of positions
  const A *weights, *products;       // a and ds, per position
  const A *mean, *pooled, *query;    // rows of channels
  A *sums, *totals;                  // ds F, summed; [count, channels]
  int64_t totals_stride;
  bool first, last;

  template <bool partial, int Vectors>
  void tile(int64_t c, int64_t channels) const {
    constexpr int64_t w = width<A>;
    Vector<A> sum[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[v] = load(sums + c + v * w);
    for (int64_t p = 0; p < count; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const int64_t at = c + v * w;
        const T* from = features + p * stride + at;
        sum[v] += (partial ? load_first(from, channels) : load(from)) * products[p];
        const Vector<A> older = first ? load(mean + at) : load(totals + p * totals_stride + at);
        const Vector<A> total = older + load(pooled + at) * weights[p] + load(query + at) * products[p];
        T* target = to + p * to_stride + at;
        if (!last)
          store(totals + p * totals_stride + at, total);
        else if (partial)
          store_first(target, total, channels);
        else
          store(target, total);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(sums + c + v * w, sum[v]);
  }

  void add(int64_t channels) const {
    int64_t c = 0;
    for (; c + 4 * width<A> <= channels; c += 4 * width<A>) tile<false, 4>(c, 0);
    for (; c + width<A> <= channels; c += width<A>) tile<false, 1>(c, 0);
    if (c < channels) tile<true, 1>(c, channels - c);
  }
};

template <class T>
class ChannelsLastBackward {
  using A = Accumulator<T>;

 public:
  ChannelsLastBackward(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to,
                       A* grad_query)
      : problem_(problem),
        sizes_(problem),
        to_(to),
        grad_query_(grad_query),
        stride_(padded<A>(sizes_.channels)),
        // Whole vectors, and up to three products more than there are positions.
        positions_(padded<A>(sizes_.positions() + 3)),
        queries_(problem, sizes_, stride_),
        sums_(sizes_.regions() * sizes_.heads * stride_),
        scores_(sizes_.grid * sizes_.heads * positions_),
        products_(sizes_.grid * sizes_.heads * positions_),
        totals_(sizes_.heads > 1 ? sizes_.columns * stride_ : 0),
        offsets_(sizes_.columns),
        gradients_(sizes_, gradients) {
    fill_offsets(offsets_.data(), band_view<const T>(problem.features, 0, 0, sizes_.rows), 1, sizes_.columns);
  }

  ~ChannelsLastBackward() {
    for (int64_t row = 0; row < sizes_.regions() * sizes_.heads; ++row)
      for (int64_t c = 0; c < sizes_.channels; ++c)
        grad_query_[row * sizes_.channels + c] += sums_[row * stride_ + c] * A(score_scale(sizes_));
  }

  void band(int64_t image, int64_t band) {
    gradients_.read(image, band);
    const auto from = band_view<const T>(problem_.features, image, band, sizes_.rows);
    const auto to = band_view<T>(to_, image, band, sizes_.rows);
    for (int64_t row = 0; row < sizes_.rows; ++row) {
      ReadAhead ahead(from.data + (row + 1) * from.row_stride);
      for (int64_t column = 0; column < sizes_.grid; ++column) dot(from, band, row, column, ahead);
    }
    for (int64_t slot = 0; slot < sizes_.grid * sizes_.heads; ++slot)
      softmax_gradient(scores_.data() + slot * positions_, products_.data() + slot * positions_, sizes_.positions());
    for (int64_t row = 0; row < sizes_.rows; ++row)
      for (int64_t column = 0; column < sizes_.grid; ++column) add(from, to, band, row, column);
  }

 private:
  void dot(const BandView<const T>& view, int64_t band, int64_t row, int64_t column, ReadAhead& ahead) {
    const T* features = view.data + row * view.row_stride + column * sizes_.columns * view.column_stride;
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      const int64_t slot = column * sizes_.heads + head, at = slot * positions_ + row * sizes_.columns;
      const auto dot_with = [&](const A* row_of_channels, A* to) {
        dot_products<PlainQuery<T>>(features, offsets_.data(), sizes_.columns, row_of_channels, sizes_.channels, ahead,
                                    to);
      };
      dot_with(queries_.row(band, slot), scores_.data() + at);
      dot_with(gradients_.pooled(slot), products_.data() + at);
    }
  }

  void add(const BandView<const T>& from, const BandView<T>& to, int64_t band, int64_t row, int64_t column) {
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      const int64_t slot = column * sizes_.heads + head, at = slot * positions_ + row * sizes_.columns;
      const HeadGradient<T> gradient = {
          from.data + row * from.row_stride + column * sizes_.columns * from.column_stride,
          to.data + row * to.row_stride + column * sizes_.columns * to.column_stride,
          from.column_stride,
          to.column_stride,
          sizes_.columns,
          scores_.data() + at,
          products_.data() + at,
          gradients_.mean(column),
          gradients_.pooled(slot),
          queries_.row(band, slot),
          sums_.data() + (band * sizes_.grid * sizes_.heads + slot) * stride_,
          totals_.data(),
          stride_,
          head == 0,
          head + 1 == sizes_.heads};
      gradient.add(sizes_.channels);
    }
  }

  const RegionAttention& problem_;
  const Sizes sizes_;
  const FeatureMap& to_;
  A* const grad_query_;
  const int64_t stride_, positions_;  // of padded rows of channels, of positions
  ScaledQueries<A> queries_;
  Scratch<A> sums_;               // [K, heads]: ds F summed over positions and images
  Scratch<A> scores_, products_;  // [grid, heads, positions]
  Scratch<A> totals_;             // [columns] of one region's row, where several heads add up
  Scratch<int64_t> offsets_;      // of the positions of one region's row
  BandGradients<T> gradients_;
};

}  // namespace
}  // namespace lnlattennet::cpu
