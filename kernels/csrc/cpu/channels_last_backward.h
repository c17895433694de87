// Backward, channels_last: both dot products of a position in one sweep over the band, the gradients in a second one
// while the band is still in the cache. Included like simd.h.

// What one head adds to the gradients of `count` positions, for `Vectors` vectors of channels (the last one of `last`
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
        if (!last) store(totals + p * totals_stride + at, total);
        else if (partial) store_first(target, total, channels);
        else store(target, total);
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
        dot_products<PlainQuery<T>>(features, offsets_.data(), sizes_.columns, row_of_channels, sizes_.channels,
                                    ahead, to);
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
  Scratch<A> scores_, products_;      // [grid, heads, positions]
  Scratch<A> totals_;                 // [columns] of one region's row, where several heads add up
  Scratch<int64_t> offsets_;          // of the positions of one region's row
  BandGradients<T> gradients_;
};
