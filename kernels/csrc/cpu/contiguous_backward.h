// Backward, contiguous: vectors run along the width; see channels_last_backward.h. Included like simd.h.

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
    A *weights = weights_.data() + head * sizes_.rows * stride_, *products = products_.data() + head * sizes_.rows * stride_;
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
  Scratch<A> weights_, products_;        // [heads, rows] of padded rows
  Scratch<A> rows_;
  BandGradients<T> gradients_;
};
