// The CPU kernels for AVX-512 with its bfloat16 dot product.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif
#define LNL_VECTOR_BYTES 64
#define LNL_BFLOAT16_DOT 1

#include "channels_last-inl.h"

namespace lnlattennet::cpu {
namespace {

// The bfloat16 dot product serves the scores of channels_last bfloat16 maps; the rest is as on avx512.
void forward(const RegionAttention& problem, const RegionOutputs& outputs, int64_t begin, int64_t end) {
  if (problem.features.dtype != DType::bf16 || problem.features.channel_stride != 1)
    return avx512_kernels.region_attention(problem, outputs, begin, end);
  ChannelsLastForward<BFloat16> work(problem, outputs);
  for (int64_t item = begin; item < end; ++item) work.band(item / problem.grid, item % problem.grid);
}

void backward(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to, void* grad_query,
              int64_t begin, int64_t end) {
  avx512_kernels.region_attention_backward(problem, gradients, to, grad_query, begin, end);
}

void nonlocal(const NonlocalAttention& problem, const void* mean, DType mean_type, const NonlocalOutputs& outputs,
              int64_t begin, int64_t end) {
  avx512_kernels.nonlocal_attention(problem, mean, mean_type, outputs, begin, end);
}

}  // namespace

// Functions of this file only, so that the table needs no code to run while the library loads on any CPU.
const Kernels avx512_bf16_kernels = {"avx512_bf16", forward, backward, nonlocal};

}  // namespace lnlattennet::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif  // __x86_64__
