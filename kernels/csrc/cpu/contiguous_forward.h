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
    write((T*)outputs_.pooled + first * sizes_.heads * sizes_.channels, pooled_.data(), sizes_.grid * sizes_.heads, 1);
    write((T*)outputs_.mean + first * sizes_.channels, mean_.data(), sizes_.grid, A(1) / A(sizes_.positions()));
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
