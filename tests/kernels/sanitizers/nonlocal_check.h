// One random problem of the non-local attention.
#pragma once

#include "check.h"
#include "cpu/kernels.h"

namespace nonlocal_check {

using namespace lnlattennet;

// Everything that the kernel reads and writes. Weights are small, so that their products stay near 1.
struct Case {
  Sizes n;
  DType dtype, parameters;
  Tensor mean_input, position, query_weight, key_weight, value_weight, value_bias, score_weight;
  Tensor weights, affinity, context;

  Case(const Sizes& sizes, DType dtype, const Allocator& allocate)
      : n(sizes),
        dtype(dtype),
        parameters(dtype == DType::f64 ? DType::f64 : DType::f32),
        mean_input(allocate.filled("mean_input", n.batch * n.regions() * n.channels, dtype)),
        position(allocate.filled("position", n.regions() * n.channels, parameters, -1)),
        query_weight(allocate.filled("query_weight", n.width * n.channels, parameters, -4)),
        key_weight(allocate.filled("key_weight", n.width * n.channels, parameters, -4)),
        value_weight(allocate.filled("value_weight", n.width * n.channels, parameters, -4)),
        value_bias(allocate.filled("value_bias", n.width, parameters, -1)),
        score_weight(allocate.filled("score_weight", n.width, parameters, -1)),
        weights(allocate("weights", n.batch * n.regions(), parameters)),
        affinity(allocate("affinity", n.batch * n.regions() * n.regions(), parameters)),
        context(allocate("context", n.batch * n.width, parameters)) {}
};

inline void run(Case& at, const Allocator& allocate) {
  const NonlocalAttention problem{at.n.batch,
                                  at.n.regions(),
                                  at.n.channels,
                                  at.n.width,
                                  at.parameters,
                                  at.position.data(),
                                  at.query_weight.data(),
                                  at.key_weight.data(),
                                  at.value_weight.data(),
                                  at.value_bias.data(),
                                  at.score_weight.data()};
  const NonlocalOutputs outputs{at.weights.data(), at.affinity.data(), at.context.data()};
  in_two_threads(at.n.batch, allocate, [&](int, int64_t begin, int64_t end) {
    cpu::kernels().nonlocal_attention(problem, at.mean_input.data(), at.dtype, outputs, begin, end);
  });
}

inline bool is_right(const Case& at) {
  const NonlocalAnswers expected = nonlocal_attention(
      at.n, {numbers(at.mean_input), numbers(at.position), numbers(at.query_weight), numbers(at.key_weight),
             numbers(at.value_weight), numbers(at.value_bias), numbers(at.score_weight)});
  return near("weights", numbers(at.weights), expected.weights, at.parameters, at.dtype) &&
         near("affinity", numbers(at.affinity), expected.affinity, at.parameters, at.dtype) &&
         near("context", numbers(at.context), expected.context, at.parameters, at.dtype);
}

}  // namespace nonlocal_check
