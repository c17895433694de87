// Forward, channels_last: a band is read once, a few rows at a time; the softmax of its regions is updated as it goes
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). Included like simd.h.

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
    accumulate_tile<with_mean, false, 4>(features + c, offsets, count, 0, weights, factor, pooled + c, mean + c,
                                         ahead);
  for (; c + width<A> <= channels; c += width<A>)
    accumulate_tile<with_mean, false, 1>(features + c, offsets, count, 0, weights, factor, pooled + c, mean + c,
                                         ahead);
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
    T* pooled = (T*)outputs_.pooled + first * sizes_.heads * sizes_.channels;
    T* mean = (T*)outputs_.mean + first * sizes_.channels;
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
  Scratch<A> pooled_;         // [grid, heads]
  Scratch<A> mean_;           // [grid]
  Scratch<Softmax<A>> softmax_;
  const int64_t step_;        // rows handled at once
  Scratch<int64_t> offsets_;  // of their positions within a region
  Scratch<A> weights_;        // of those positions: whole vectors, and up to three products more
};
