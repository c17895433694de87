// Contiguous maps, where vectors run along the width, across the regions' borders. Forward: scores of a whole band,
// channel by channel; then each channel's weighted sums, while the band is still in the cache. Backward: see
// channels_last-inl.h.
#pragma once

#include <cstring>

#include "band-inl.h"

namespace lnlattennet::cpu {
namespace {

// ---- rows of a band ------------------------------------------------------------------------------------------------
//
// A value per region is spread over its columns, and a row of sums is folded back into regions.

// to[column] = values[column / columns * stride] for a row of regions; may write a vector beyond it.
template <class A>
inline void spread(A* to, const A* values, int64_t stride, int64_t regions, int64_t columns) {
  for (int64_t region = 0; region < regions; ++region) {
    const Vector<A> value = broadcast(values[region * stride]);
    for (int64_t column = 0; column < columns; column += width<A>) store(to + region * columns + column, value);
  }
}

// Sum of `count` elements that start anywhere.
template <class A>
inline A sum_of(const A* from, int64_t count) {
  Vector<A> total = {};
  for (int64_t i = 0; i < count; i += width<A>) total += load_up_to(from + i, count - i);
  return sum<A>(total);
}

// scores[r, j] += sum of `Channels` channels' queries[i, j] * F_i[r, j] for one vector of columns, of which `left` are
// still there if it is `partial`.
template <int Channels, bool partial, class T, class A>
inline void add_products_tile(const T* features, int64_t channel_stride, int64_t row_stride, int64_t rows, int64_t left,
                              const A* queries, A* scores, int64_t stride) {
  Vector<A> query[Channels];
#pragma GCC unroll 4
  for (int i = 0; i < Channels; ++i) query[i] = load(queries + i * stride);
  for (int64_t r = 0; r < rows; ++r) {
    Vector<A> total = load(scores + r * stride);
#pragma GCC unroll 4
    for (int i = 0; i < Channels; ++i) {
      const T* from = features + i * channel_stride + r * row_stride;
      total += query[i] * (partial ? load_first(from, left) : load(from));
    }
    store(scores + r * stride, total);
  }
}

// The same for whole rows: the scores are loaded and stored once for all the channels. Fetches as many bytes of the
// next channels as it reads.
template <int Channels, class T, class A>
inline void add_products(const T* features, int64_t channel_stride, int64_t row_stride, int64_t rows, int64_t columns,
                         const A* queries, A* scores) {
  const int64_t stride = padded<A>(columns);
  int64_t j = 0;
  for (; j + width<A> <= columns; j += width<A>) {
    for (int i = Channels; i < 2 * Channels; ++i)
      ReadAhead(features + i * channel_stride + j * rows).advance(rows * width<A> * int64_t(sizeof(T)));
    add_products_tile<Channels, false>(features + j, channel_stride, row_stride, rows, 0, queries + j, scores + j,
                                       stride);
  }
  if (j < columns)
    add_products_tile<Channels, true>(features + j, channel_stride, row_stride, rows, columns - j, queries + j,
                                      scores + j, stride);
}

constexpr int channel_block = 4;

// scores[r, j] += sum_c query[region(j), c] * F[c, r, j] over a band; query rows are `query_stride` apart.
// `queries` has room for `channel_block` padded rows and a vector.
template <class T, class A>
inline void band_products(const BandView<const T>& view, const Sizes& sizes, const A* query, int64_t query_stride,
                          A* queries, A* scores) {
  const int64_t columns = sizes.grid * sizes.columns, stride = padded<A>(columns);
  for (int64_t c = 0; c < sizes.channels; c += channel_block) {
    const int64_t left = sizes.channels - c, block = left < channel_block ? left : channel_block;
    for (int64_t i = 0; i < block; ++i)
      spread(queries + i * stride, query + c + i, query_stride, sizes.grid, sizes.columns);
    const auto add = block == 4   ? add_products<4, T, A>
                     : block == 3 ? add_products<3, T, A>
                     : block == 2 ? add_products<2, T, A>
                                  : add_products<1, T, A>;
    add(view.data + c * view.channel_stride, view.channel_stride, view.row_stride, sizes.rows, columns, queries,
        scores);
  }
}

// Every region's part of a padded row becomes what `fold` makes of it.
template <class A, class Fold>
inline void fold_regions(const Sizes& sizes, A* row, Fold&& fold) {
  for (int64_t region = 0; region < sizes.grid; ++region) {
    A* part = row + region * sizes.columns;
    const A value = fold(part, sizes.columns);
    for (int64_t column = 0; column < sizes.columns; ++column) part[column] = value;
  }
}

template <class A>
inline A largest_of(const A* from, int64_t count) {
  A largest = kLowest<A>;
  for (int64_t i = 0; i < count; ++i) largest = from[i] > largest ? from[i] : largest;
  return largest;
}

// Scores of a band -> softmax per region, in place. `row` has room for a padded row.
template <class A>
inline void band_softmax(const Sizes& sizes, A* scores, A* row) {
  const int64_t columns = sizes.grid * sizes.columns, stride = padded<A>(columns);
  for (int64_t j = 0; j < columns; j += width<A>) {
    Vector<A> largest = load(scores + j);
    for (int64_t r = 1; r < sizes.rows; ++r) largest = maximum<A>(load(scores + r * stride + j), largest);
    store(row + j, largest);
  }
  fold_regions(sizes, row, largest_of<A>);
  for (int64_t i = 0; i < sizes.rows * stride; i += width<A>)
    store(scores + i, exp2(load(scores + i) - load(row + i % stride)));
  for (int64_t j = 0; j < columns; j += width<A>) {
    Vector<A> total = {};
    for (int64_t r = 0; r < sizes.rows; ++r) total += load(scores + r * stride + j);
    store(row + j, total);
  }
  fold_regions(sizes, row, [](const A* part, int64_t count) { return 1 / sum_of(part, count); });
  for (int64_t i = 0; i < sizes.rows * stride; i += width<A>)
    store(scores + i, load(scores + i) * load(row + i % stride));
}

// `Vectors` vectors of columns of column_sums; the last vector has `last` columns.
template <bool with_plain, bool partial, int Vectors, class T, class A>
inline void column_tile(const T* features, int64_t row_stride, int64_t rows, int64_t last, const A* weights,
                        int64_t stride, A* to, A* plain) {
  Vector<A> weighted[Vectors] = {}, total[Vectors] = {};
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const T* from = features + r * row_stride + v * width<A>;
      const Vector<A> f = partial && v + 1 == Vectors ? load_first(from, last) : load(from);
      weighted[v] += f * load(weights + r * stride + v * width<A>);
      if (with_plain) total[v] += f;
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    store(to + v * width<A>, weighted[v]);
    if (with_plain) store(plain + v * width<A>, total[v]);
  }
}

// to[j] = sum_r weights[r, j] * F[r, j] and, if asked for, plain[j] = sum_r F[r, j], for one channel.
template <bool with_plain, class T, class A>
inline void column_sums(const T* features, int64_t row_stride, int64_t rows, int64_t columns, const A* weights, A* to,
                        A* plain) {
  constexpr int64_t w = width<A>;
  int64_t j = 0;
  for (; columns - j > 4 * w; j += 4 * w)
    column_tile<with_plain, false, 4>(features + j, row_stride, rows, w, weights + j, padded<A>(columns), to + j,
                                      plain + j);
  const int64_t left = columns - j;
  const auto tile = left > 3 * w   ? column_tile<with_plain, true, 4, T, A>
                    : left > 2 * w ? column_tile<with_plain, true, 3, T, A>
                    : left > w     ? column_tile<with_plain, true, 2, T, A>
                                   : column_tile<with_plain, true, 1, T, A>;
  tile(features + j, row_stride, rows, (left - 1) % w + 1, weights + j, padded<A>(columns), to + j, plain + j);
}

// to[region, i] = sum of the region's part of row i, for `channel_block` rows of columns.
template <class A>
inline void region_sums(const Sizes& sizes, const A* rows, A* to, int64_t to_stride) {
  const int64_t stride = padded<A>(sizes.grid * sizes.columns);
  for (int64_t region = 0; region < sizes.grid; ++region) {
    Vector<A> total[channel_block];
#pragma GCC unroll 4
    for (int i = 0; i < channel_block; ++i) {
      const A* part = rows + i * stride + region * sizes.columns;
      total[i] = Vector<A>{};
      for (int64_t j = 0; j < sizes.columns; j += width<A>) total[i] += load_up_to(part + j, sizes.columns - j);
    }
    sums(total, to + region * to_stride);
  }
}

// ---- forward -------------------------------------------------------------------------------------------------------

template <class T>
class ContiguousForward {
  using A = Accumulator<T>;

 public:
  ContiguousForward(const RegionAttention& problem, const RegionOutputs& outputs)
      : problem_(problem),
        sizes_(problem),
        outputs_(outputs),
        stride_(padded<A>(sizes_.grid * sizes_.columns)),
        query_stride_(padded<A>(sizes_.channels)),
        block_stride_((sizes_.channels + channel_block - 1) / channel_block * channel_block),
        queries_(problem, sizes_, query_stride_),
        weights_(sizes_.heads * sizes_.rows * stride_),
        rows_(2 * channel_block * stride_ + width<A>),
        pooled_(sizes_.grid * sizes_.heads * block_stride_),
        mean_(sizes_.grid * block_stride_) {}

  void band(int64_t image, int64_t band) {
    const auto view = band_view<const T>(problem_.features, image, band, sizes_.rows);
    std::memset(weights_.data(), 0, sizes_.heads * sizes_.rows * stride_ * sizeof(A));
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      A* weights = weights_.data() + head * sizes_.rows * stride_;
      band_products(view, sizes_, queries_.row(band, head), sizes_.heads * query_stride_, rows_.data(), weights);
      band_softmax(sizes_, weights, rows_.data());
    }
    for (int64_t c = 0; c < sizes_.channels; c += channel_block)
      for (int64_t head = 0; head < sizes_.heads; ++head) pool(view, c, head);
    finish(image, band);
  }

 private:
  // The sums of a block of channels; the mean with those of the first head.
  void pool(const BandView<const T>& view, int64_t c, int64_t head) {
    A *weighted = rows_.data(), *plain = weighted + channel_block * stride_;
    const auto add = head == 0 ? column_sums<true, T, A> : column_sums<false, T, A>;
    for (int64_t i = 0; i < channel_block && c + i < sizes_.channels; ++i)
      add(view.data + (c + i) * view.channel_stride, view.row_stride, sizes_.rows, sizes_.grid * sizes_.columns,
          weights_.data() + head * sizes_.rows * stride_, weighted + i * stride_, plain + i * stride_);
    region_sums(sizes_, weighted, pooled_.data() + head * block_stride_ + c, sizes_.heads * block_stride_);
    if (head == 0) region_sums(sizes_, plain, mean_.data() + c, block_stride_);
  }

  void finish(int64_t image, int64_t band) {
    const int64_t first = image * sizes_.regions() + band * sizes_.grid;
    write(static_cast<T*>(outputs_.pooled) + first * sizes_.heads * sizes_.channels, pooled_.data(),
          sizes_.grid * sizes_.heads, 1);
    write(static_cast<T*>(outputs_.mean) + first * sizes_.channels, mean_.data(), sizes_.grid,
          A(1) / A(sizes_.positions()));
  }

  void write(T* to, const A* from, int64_t rows, A scale) {
    const int64_t channels = sizes_.channels;
    for (int64_t row = 0; row < rows; ++row, to += channels, from += block_stride_)
      for (int64_t c = 0; c < channels; c += width<A>)
        store_up_to(to + c, load_up_to(from + c, channels - c) * scale, channels - c);
  }

  const RegionAttention& problem_;
  const Sizes sizes_;
  const RegionOutputs& outputs_;
  const int64_t stride_, query_stride_, block_stride_;  // of padded rows of columns, of channels, of blocks of them
  ScaledQueries<A> queries_;
  Scratch<A> weights_;  // [heads, rows]
  Scratch<A> rows_;     // of a block of channels: weighted, plain
  Scratch<A> pooled_;   // [grid, heads]
  Scratch<A> mean_;     // [grid]
};

// ---- backward ------------------------------------------------------------------------------------------------------

template <class T>
class ContiguousBackward {
  using A = Accumulator<T>;

 public:
  ContiguousBackward(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to,
                     A* grad_query)
      : problem_(problem),
        sizes_(problem),
        to_(to),
        grad_query_(grad_query),
        stride_(padded<A>(sizes_.grid * sizes_.columns)),
        query_stride_(padded<A>(sizes_.channels)),
        queries_(problem, sizes_, query_stride_),
        weights_(sizes_.heads * sizes_.rows * stride_),
        products_(sizes_.heads * sizes_.rows * stride_),
        rows_((1 + 2 * sizes_.heads + channel_block) * stride_ + width<A>),
        gradients_(sizes_, gradients) {}

  void band(int64_t image, int64_t band) {
    gradients_.read(image, band);
    const auto from = band_view<const T>(problem_.features, image, band, sizes_.rows);
    const auto to = band_view<T>(to_, image, band, sizes_.rows);
    std::memset(weights_.data(), 0, sizes_.heads * sizes_.rows * stride_ * sizeof(A));
    std::memset(products_.data(), 0, sizes_.heads * sizes_.rows * stride_ * sizeof(A));
    for (int64_t head = 0; head < sizes_.heads; ++head) softmax(from, band, head);
    for (int64_t c = 0; c < sizes_.channels; ++c) {
      spread_channel(band, c);
      add(to, c);
      for (int64_t head = 0; head < sizes_.heads; ++head) add_to_query(from, band, head, c);
    }
  }

 private:
  // Weights and ds * ln 2 of one head, in place of the scores and the products.
  void softmax(const BandView<const T>& view, int64_t band, int64_t head) {
    A *weights = weights_.data() + head * sizes_.rows * stride_,
      *products = products_.data() + head * sizes_.rows * stride_;
    const int64_t between = sizes_.heads * query_stride_;  // from one region's row to the next one's
    band_products(view, sizes_, queries_.row(band, head), between, rows_.data(), weights);
    band_products(view, sizes_, gradients_.pooled(head), between, rows_.data(), products);
    band_softmax(sizes_, weights, rows_.data());
    subtract_expected(weights, products);
    for (int64_t i = 0; i < sizes_.rows * stride_; i += width<A>)
      store(products + i, load(weights + i) * load(products + i) * A(ln_2));
  }

  // products -= sum_p weights * products of their region
  void subtract_expected(const A* weights, A* products) {
    A* expected = rows_.data();
    column_sums<false>(products, stride_, sizes_.rows, sizes_.grid * sizes_.columns, weights, expected, expected);
    fold_regions(sizes_, expected, sum_of<A>);
    for (int64_t r = 0; r < sizes_.rows; ++r)
      for (int64_t j = 0; j < sizes_.grid * sizes_.columns; j += width<A>)
        store(products + r * stride_ + j, load(products + r * stride_ + j) - load(expected + j));
  }

  // rows_: grad_mean, then per head grad_pooled and query, of one channel, over the band's columns
  void spread_channel(int64_t band, int64_t c) {
    spread(rows_.data(), gradients_.mean(0) + c, query_stride_, sizes_.grid, sizes_.columns);
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      A* row = rows_.data() + (1 + 2 * head) * stride_;
      spread(row, gradients_.pooled(head) + c, sizes_.heads * query_stride_, sizes_.grid, sizes_.columns);
      spread(row + stride_, queries_.row(band, head) + c, sizes_.heads * query_stride_, sizes_.grid, sizes_.columns);
    }
  }

  void add(const BandView<T>& to, int64_t c) {
    const int64_t columns = sizes_.grid * sizes_.columns;
    for (int64_t r = 0; r < sizes_.rows; ++r)
      for (int64_t j = 0; j < columns; j += width<A>) {
        Vector<A> total = load(rows_.data() + j);
        for (int64_t head = 0; head < sizes_.heads; ++head) {
          const A* row = rows_.data() + (1 + 2 * head) * stride_ + j;
          const int64_t at = (head * sizes_.rows + r) * stride_ + j;
          total += load(row) * load(weights_.data() + at) + load(row + stride_) * load(products_.data() + at);
        }
        store_up_to(to.data + c * to.channel_stride + r * to.row_stride + j, total, columns - j);
      }
  }

  void add_to_query(const BandView<const T>& view, int64_t band, int64_t head, int64_t c) {
    A* sums = rows_.data() + (1 + 2 * sizes_.heads) * stride_;
    column_sums<false>(view.data + c * view.channel_stride, view.row_stride, sizes_.rows, sizes_.grid * sizes_.columns,
                       products_.data() + head * sizes_.rows * stride_, sums, sums);
    for (int64_t region = 0; region < sizes_.grid; ++region) {
      const int64_t row = (band * sizes_.grid + region) * sizes_.heads + head;
      grad_query_[row * sizes_.channels + c] +=
          sum_of(sums + region * sizes_.columns, sizes_.columns) * A(score_scale(sizes_));
    }
  }

  const RegionAttention& problem_;
  const Sizes sizes_;
  const FeatureMap& to_;
  A* const grad_query_;
  const int64_t stride_, query_stride_;  // of padded rows of columns, of channels
  ScaledQueries<A> queries_;
  Scratch<A> weights_, products_;  // [heads, rows] of padded rows
  Scratch<A> rows_;
  BandGradients<T> gradients_;
};

}  // namespace
}  // namespace lnlattennet::cpu
