// The non-local attention of one image: K tokens attend to each other.
#pragma once

#include "band-inl.h"

namespace lnlattennet::cpu {
namespace {

template <class A>
class ImageNonlocal {
 public:
  ImageNonlocal(const NonlocalAttention& problem, const NonlocalOutputs& outputs)
      : problem_(problem),
        outputs_(outputs),
        channel_stride_(padded<A>(problem.channels)),
        width_stride_(padded<A>(problem.width)),
        projections_(3 * problem.width * channel_stride_),
        tokens_(problem.regions * channel_stride_),
        queries_(problem.regions * width_stride_),
        keys_((problem.regions + 3) * width_stride_),  // read four at a time
        values_(problem.regions * width_stride_),
        contexts_(problem.regions * width_stride_),
        attention_(padded<A>(problem.regions + 3)),
        scores_(padded<A>(problem.regions)) {
    const void* const rows[] = {problem.query_weight, problem.key_weight, problem.value_weight};
    for (int64_t i = 0; i < 3; ++i)
      copy_rows(projections_.data() + i * problem.width * channel_stride_, channel_stride_,
                static_cast<const A*>(rows[i]), problem.width, problem.channels, A(1));
  }

  template <class M>
  void image(int64_t image, const M* mean) {
    read_tokens(mean + image * problem_.regions * problem_.channels);
    project(0, queries_.data(), nullptr);
    project(1, keys_.data(), nullptr);
    project(2, values_.data(), static_cast<const A*>(problem_.value_bias));
    for (int64_t k = 0; k < problem_.regions; ++k) attend(image, k);
    weigh(image);
  }

 private:
  template <class M>
  void read_tokens(const M* mean) {
    const A* position = static_cast<const A*>(problem_.position);
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
        plain_dot_four(four, tokens_.data() + k * channel_stride_, channel_stride_, NoReadAhead(), results);
        for (int64_t i = 0; i < 4 && j + i <= last; ++i)
          to[k * width_stride_ + j + i] = results[i] + (bias ? bias[j + i] : 0);
      }
    }
  }

  // One row of the affinity, its context and its score.
  void attend(int64_t image, int64_t k) {
    const int64_t regions = problem_.regions;
    for (int64_t i = 0; i < regions; i += 4) {
      const A* four[4];
      for (int64_t n = 0; n < 4; ++n) four[n] = keys_.data() + (i + n) * width_stride_;
      plain_dot_four(four, queries_.data() + k * width_stride_, width_stride_, NoReadAhead(), attention_.data() + i);
    }
    const A scale = A(log2_e / __builtin_sqrt(double(problem_.width)));
    for (int64_t i = 0; i < regions; ++i) attention_[i] *= scale;
    normalize(attention_.data(), static_cast<A*>(outputs_.affinity) + (image * regions + k) * regions);
    A* context = contexts_.data() + k * width_stride_;
    mix(attention_.data(), values_.data(), context);
    scores_[k] = 0;
    for (int64_t j = 0; j < problem_.width; ++j)  // relu that lets a NaN through
      scores_[k] += (static_cast<const A*>(problem_.score_weight))[j] * (context[j] < 0 ? 0 : context[j]);
  }

  // The region weights, and the contexts pooled by them.
  void weigh(int64_t image) {
    for (int64_t k = 0; k < problem_.regions; ++k) scores_[k] *= A(log2_e);
    normalize(scores_.data(), static_cast<A*>(outputs_.weights) + image * problem_.regions);
    mix(scores_.data(), contexts_.data(), static_cast<A*>(outputs_.context) + image * problem_.width);
  }

  // Base-2 scores of the regions -> their softmax, in place and in `output`.
  void normalize(A* scores, A* output) {
    Softmax<A> softmax = {kLowest<A>, 0};
    update(softmax, scores, problem_.regions);
    for (int64_t i = 0; i < problem_.regions; ++i) output[i] = scores[i] /= softmax.sum;
  }

  // to[j] = sum_i weights[i] * rows[i, j] over the regions
  void mix(const A* weights, const A* rows, A* to) {
    for (int64_t j = 0; j < problem_.width; j += width<A>) {
      Vector<A> total = {};
      for (int64_t i = 0; i < problem_.regions; ++i) total += load(rows + i * width_stride_ + j) * weights[i];
      store_up_to(to + j, total, problem_.width - j);
    }
  }

  const NonlocalAttention& problem_;
  const NonlocalOutputs& outputs_;
  const int64_t channel_stride_, width_stride_;  // of padded rows
  Scratch<A> projections_;                       // query, key, value weights
  Scratch<A> tokens_, queries_, keys_, values_;
  Scratch<A> contexts_;
  Scratch<A> attention_, scores_;  // one row of the affinity; the regions' scores, then weights
};

}  // namespace
}  // namespace lnlattennet::cpu
