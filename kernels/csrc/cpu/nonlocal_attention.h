// The non-local tail of one image: K tokens look at each other. Included like simd.h.

template <class A>
class NonlocalTail {
 public:
  NonlocalTail(const NonlocalAttention& problem, const NonlocalOutputs& outputs)
      : problem_(problem),
        outputs_(outputs),
        channel_stride_(padded<A>(problem.channels)),
        width_stride_(padded<A>(problem.width)),
        projections_(3 * problem.width * channel_stride_),
        tokens_((problem.regions + 3) * channel_stride_),
        queries_((problem.regions + 3) * width_stride_),
        keys_((problem.regions + 3) * width_stride_),
        values_((problem.regions + 3) * width_stride_),
        context_(width_stride_),
        pooled_(width_stride_),
        weights_(problem.regions) {
    const void* const rows[] = {problem.query_weight, problem.key_weight, problem.value_weight};
    for (int64_t i = 0; i < 3; ++i)
      copy_rows(projections_.data() + i * problem.width * channel_stride_, channel_stride_, (const A*)rows[i],
                problem.width, problem.channels, A(1));
  }

  template <class M>
  void image(int64_t image, const M* mean) {
    read_tokens(mean + image * problem_.regions * problem_.channels);
    project(0, queries_.data(), nullptr);
    project(1, keys_.data(), nullptr);
    project(2, values_.data(), (const A*)problem_.value_bias);
    std::memset(pooled_.data(), 0, width_stride_ * sizeof(A));
    Softmax<A> softmax = {A(-__FLT_MAX__), 0};
    for (int64_t k = 0; k < problem_.regions; ++k) region(image, k, softmax);
    finish(image, softmax);
  }

 private:
  template <class M>
  void read_tokens(const M* mean) {
    const A* position = (const A*)problem_.position;
    for (int64_t k = 0; k < problem_.regions; ++k)
      for (int64_t c = 0; c < problem_.channels; c += width<A>) {
        const int64_t at = k * problem_.channels + c, left = problem_.channels - c;
        store(tokens_.data() + k * channel_stride_ + c, load_up_to(mean + at, left) + load_up_to(position + at, left));
      }
  }

  // to[k, j] = <projection[j], tokens[k]> + bias[j], four projections at a time
  void project(int64_t which, A* to, const A* bias) {
    const A* rows = projections_.data() + which * problem_.width * channel_stride_;
    for (int64_t j = 0; j < problem_.width; j += 4) {
      const int64_t last = problem_.width - 1;
      const A* four[4];
      for (int64_t i = 0; i < 4; ++i) four[i] = rows + (j + i < last ? j + i : last) * channel_stride_;
      for (int64_t k = 0; k < problem_.regions; ++k) {
        A results[4];
        plain_dot_four(four, tokens_.data() + k * channel_stride_, channel_stride_, results);
        for (int64_t i = 0; i < 4 && j + i <= last; ++i)
          to[k * width_stride_ + j + i] = results[i] + (bias ? bias[j + i] : 0);
      }
    }
  }

  // One row of the affinity, its context and its score; the weights' softmax is updated as they come.
  void region(int64_t image, int64_t k, Softmax<A>& softmax) {
    const int64_t regions = problem_.regions;
    A* affinity = (A*)outputs_.affinity + (image * regions + k) * regions;
    attend(k, affinity);
    std::memset(context_.data(), 0, width_stride_ * sizeof(A));
    for (int64_t i = 0; i < regions; ++i)
      for (int64_t j = 0; j < width_stride_; j += width<A>)
        store(context_.data() + j, load(context_.data() + j) + load(values_.data() + i * width_stride_ + j) * affinity[i]);
    weigh(k, softmax);
  }

  void attend(int64_t k, A* affinity) {
    const int64_t regions = problem_.regions;
    const A scale = A(log2_e / __builtin_sqrt(double(problem_.width)));
    Softmax<A> softmax = {A(-__FLT_MAX__), 0};
    A scores[4 + width<A>];
    for (int64_t i = 0; i < regions; i += 4) {
      const A* four[4];
      for (int64_t n = 0; n < 4; ++n) four[n] = keys_.data() + (i + n) * width_stride_;
      plain_dot_four(four, queries_.data() + k * width_stride_, width_stride_, scores);
      for (int64_t n = 0; n < 4 && i + n < regions; ++n) affinity[i + n] = scores[n] * scale;
    }
    for (int64_t i = 0; i < regions; ++i) softmax.maximum = affinity[i] > softmax.maximum ? affinity[i] : softmax.maximum;
    for (int64_t i = 0; i < regions; i += width<A>) {
      const Vector<A> weights = exp2(load_up_to(affinity + i, regions - i) - softmax.maximum);
      store_up_to(affinity + i, weights, regions - i);
    }
    softmax.sum = sum_of(affinity, regions);
    for (int64_t i = 0; i < regions; ++i) affinity[i] /= softmax.sum;
  }

  void weigh(int64_t k, Softmax<A>& softmax) {
    A score = 0;
    for (int64_t j = 0; j < problem_.width; ++j) {
      const A c = context_[j];
      score += ((const A*)problem_.score_weight)[j] * (c < 0 ? 0 : c);  // a NaN stays
    }
    score *= A(log2_e);
    const A largest = score > softmax.maximum ? score : softmax.maximum;
    const A factor = exp2(broadcast(softmax.maximum - largest))[0], weight = exp2(broadcast(score - largest))[0];
    softmax = {largest, softmax.sum * factor + weight};
    weights_[k] = score;
    for (int64_t j = 0; j < width_stride_; j += width<A>)
      store(pooled_.data() + j, load(pooled_.data() + j) * factor + load(context_.data() + j) * weight);
  }

  void finish(int64_t image, const Softmax<A>& softmax) {
    A* weights = (A*)outputs_.weights + image * problem_.regions;
    for (int64_t k = 0; k < problem_.regions; ++k)
      weights[k] = exp2(broadcast(weights_[k] - softmax.maximum))[0] / softmax.sum;
    A* context = (A*)outputs_.context + image * problem_.width;
    for (int64_t j = 0; j < problem_.width; ++j) context[j] = pooled_[j] / softmax.sum;
  }

  const NonlocalAttention& problem_;
  const NonlocalOutputs& outputs_;
  const int64_t channel_stride_, width_stride_;  // of padded rows
  Scratch<A> projections_;                       // query, key, value weights
  Scratch<A> tokens_, queries_, keys_, values_;
  Scratch<A> context_, pooled_, weights_;
};
