// The softmax's gradient, shared by both layouts. Included like simd.h.
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
    const T* pooled = (const T*)gradients_.pooled + first * sizes_.heads * channels;
    copy_rows(pooled_.data(), stride_, pooled, sizes_.grid * sizes_.heads, channels, A(1));
    const T* mean = (const T*)gradients_.mean + first * channels;
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
