// Forward, contiguous: scores of a whole band, channel by channel; then each channel's weighted sums, while the band
// is still in the cache. Included like simd.h.

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
        queries_(problem, sizes_, query_stride_),
        weights_(sizes_.heads * sizes_.rows * stride_),
        rows_(channel_block * stride_) {}

  void band(int64_t image, int64_t band) {
    const auto view = band_view<const T>(problem_.features, image, band, sizes_.rows);
    std::memset(weights_.data(), 0, sizes_.heads * sizes_.rows * stride_ * sizeof(A));
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      A* weights = weights_.data() + head * sizes_.rows * stride_;
      band_products(view, sizes_, queries_.row(band, head), sizes_.heads * query_stride_, rows_.data(), weights);
      band_softmax(sizes_, weights, rows_.data());
    }
    for (int64_t c = 0; c < sizes_.channels; ++c) pool(view, image, band, c);
  }

 private:
  void pool(const BandView<const T>& view, int64_t image, int64_t band, int64_t c) {
    A *weighted = rows_.data(), *plain = rows_.data() + stride_;
    const int64_t first = image * sizes_.regions() + band * sizes_.grid;
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      const auto add = head == 0 ? column_sums<true, T, A> : column_sums<false, T, A>;
      add(view.data + c * view.channel_stride, view.row_stride, sizes_.rows, sizes_.grid * sizes_.columns,
          weights_.data() + head * sizes_.rows * stride_, weighted, plain);
      T* pooled = (T*)outputs_.pooled + (first * sizes_.heads + head) * sizes_.channels + c;
      write(pooled, sizes_.heads * sizes_.channels, weighted, 1);
    }
    write((T*)outputs_.mean + first * sizes_.channels + c, sizes_.channels, plain, A(1) / A(sizes_.positions()));
  }

  void write(T* to, int64_t stride, const A* row, A scale) {
    for (int64_t region = 0; region < sizes_.grid; ++region)
      store_first(to + region * stride, broadcast(sum_of(row + region * sizes_.columns, sizes_.columns) * scale), 1);
  }

  const RegionAttention& problem_;
  const Sizes sizes_;
  const RegionOutputs& outputs_;
  const int64_t stride_, query_stride_;  // of padded rows of columns, of channels
  ScaledQueries<A> queries_;
  Scratch<A> weights_;  // [heads, rows]
  Scratch<A> rows_;     // a few padded rows
};
