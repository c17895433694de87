// Learned tensors, in kernels for features of type T: they are of that type or of float32. Which, is known only at run
// time, but the same for a whole launch: the branch is uniform. Around a load, it makes the next load wait; loops that
// are in a hurry take it once, around the loop.
#pragma once

#include <type_traits>

#include "elements.cuh"

namespace lnlattennet::cuda {

// Calls `run` with a value of the parameters' type.
template <class T, class Run>
__device__ __forceinline__ void with_parameters(DType dtype, Run&& run) {
  if constexpr (std::is_same_v<T, float>) {
    run(float{});
  } else if (dtype == DType::f32) {
    run(float{});
  } else {
    run(T{});
  }
}

template <class T>
__device__ __forceinline__ Accumulate<T> load_parameter(const void* base, int64_t index, DType dtype) {
  Accumulate<T> value = 0;
  with_parameters<T>(dtype, [&](auto type) {
    using P = decltype(type);
    value = static_cast<Accumulate<T>>(load_element(static_cast<const P*>(base) + index));
  });
  return value;
}

template <class T>
__device__ __forceinline__ void store_parameter(void* base, int64_t index, DType dtype, Accumulate<T> value) {
  with_parameters<T>(dtype, [&](auto type) {
    using P = decltype(type);
    static_cast<P*>(base)[index] = narrow<P>(value);
  });
}

// kCount elements from `row` on, of which `left` exist (0 beyond them); in words if they are aligned to kCount elements
// and all exist.
template <class A, int kCount, class P>
__device__ __forceinline__ void load_part(A (&values)[kCount], const P* row, int left, bool in_words) {
  constexpr int kWidth = kCount < kWidest<P> ? kCount : kWidest<P>;
  if (in_words) {
#pragma unroll
    for (int start = 0; start < kCount; start += kWidth) {
      const auto packet = load_packet<P, kWidth>(row + start);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) values[start + i] = static_cast<A>(packet[i]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const A value = static_cast<A>(load_element(row + (i < left ? i : 0)));
    values[i] = i < left ? value : A(0);
  }
}

}  // namespace lnlattennet::cuda
