// The functions of a target's table, for every type and layout.
#pragma once

#include "channels_last-inl.h"
#include "contiguous-inl.h"
#include "kernels.h"
#include "nonlocal-inl.h"

namespace lnlattennet::cpu {
namespace {

template <class Work>
void for_bands(Work&& work, int64_t grid, int64_t begin, int64_t end) {
  for (int64_t item = begin; item < end; ++item) work.band(item / grid, item % grid);
}

template <class T>
void forward_typed(const RegionAttention& problem, const RegionOutputs& outputs, int64_t begin, int64_t end) {
  if (problem.features.channel_stride == 1)
    for_bands(ChannelsLastForward<T>(problem, outputs), problem.grid, begin, end);
  else
    for_bands(ContiguousForward<T>(problem, outputs), problem.grid, begin, end);
}

template <class T>
void backward_typed(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to,
                    void* grad_query, int64_t begin, int64_t end) {
  using A = Accumulator<T>;
  if (problem.features.channel_stride == 1)
    for_bands(ChannelsLastBackward<T>(problem, gradients, to, static_cast<A*>(grad_query)), problem.grid, begin, end);
  else
    for_bands(ContiguousBackward<T>(problem, gradients, to, static_cast<A*>(grad_query)), problem.grid, begin, end);
}

template <class M>
void nonlocal_typed(const NonlocalAttention& problem, const void* mean, const NonlocalOutputs& outputs, int64_t begin,
                    int64_t end) {
  ImageNonlocal<Accumulator<M>> nonlocal(problem, outputs);
  for (int64_t image = begin; image < end; ++image) nonlocal.image(image, static_cast<const M*>(mean));
}

#if LNL_VECTOR_BYTES > 16
// float64 is there to check gradients: one target that compiles it is enough, and the build takes seconds less.
template <>
void forward_typed<double>(const RegionAttention& problem, const RegionOutputs& outputs, int64_t begin, int64_t end) {
  generic_kernels.region_attention(problem, outputs, begin, end);
}
template <>
void backward_typed<double>(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to,
                            void* grad_query, int64_t begin, int64_t end) {
  generic_kernels.region_attention_backward(problem, gradients, to, grad_query, begin, end);
}
template <>
void nonlocal_typed<double>(const NonlocalAttention& problem, const void* mean, const NonlocalOutputs& outputs,
                            int64_t begin, int64_t end) {
  generic_kernels.nonlocal_attention(problem, mean, DType::f64, outputs, begin, end);
}
#endif

void forward(const RegionAttention& problem, const RegionOutputs& outputs, int64_t begin, int64_t end) {
  switch (problem.features.dtype) {
    case DType::f32: return forward_typed<float>(problem, outputs, begin, end);
    case DType::f16: return forward_typed<Half>(problem, outputs, begin, end);
    case DType::bf16: return forward_typed<BFloat16>(problem, outputs, begin, end);
    case DType::f64: return forward_typed<double>(problem, outputs, begin, end);
  }
}

void backward(const RegionAttention& problem, const RegionGradients& gradients, const FeatureMap& to, void* grad_query,
              int64_t begin, int64_t end) {
  switch (problem.features.dtype) {
    case DType::f32: return backward_typed<float>(problem, gradients, to, grad_query, begin, end);
    case DType::f16: return backward_typed<Half>(problem, gradients, to, grad_query, begin, end);
    case DType::bf16: return backward_typed<BFloat16>(problem, gradients, to, grad_query, begin, end);
    case DType::f64: return backward_typed<double>(problem, gradients, to, grad_query, begin, end);
  }
}

void nonlocal(const NonlocalAttention& problem, const void* mean, DType mean_type, const NonlocalOutputs& outputs,
              int64_t begin, int64_t end) {
  switch (mean_type) {
    case DType::f32: return nonlocal_typed<float>(problem, mean, outputs, begin, end);
    case DType::f16: return nonlocal_typed<Half>(problem, mean, outputs, begin, end);
    case DType::bf16: return nonlocal_typed<BFloat16>(problem, mean, outputs, begin, end);
    case DType::f64: return nonlocal_typed<double>(problem, mean, outputs, begin, end);
  }
}

}  // namespace
}  // namespace lnlattennet::cpu
