// The four element types, their accumulation types, and loads and stores between the two, of features and parameters.
#pragma once

#include <type_traits>

#include "../../core/problem.h"
#include "device.cuh"

namespace lnlattennet::cuda {

// Bits only: arithmetic is always done in the accumulation type.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <class T>
struct Accumulation {
  using Type = float;
};
template <>
struct Accumulation<double> {
  using Type = double;
};
// Type of the sums, scores and weights of elements T.
template <class T>
using Accumulate = typename Accumulation<T>::Type;

__device__ __forceinline__ float widen(Half x) { return half_to_float(x.bits); }
__device__ __forceinline__ float widen(BFloat16 x) { return bfloat16_to_float(x.bits); }
__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }

// To nearest, ties to even.
template <class T, class A>
__device__ __forceinline__ T narrow(A x) {
  return static_cast<T>(x);
}
template <>
__device__ __forceinline__ Half narrow<Half, float>(float x) {
  return {float_to_half(x)};
}
template <>
__device__ __forceinline__ BFloat16 narrow<BFloat16, float>(float x) {
  return {float_to_bfloat16(x)};
}
template <>
__device__ __forceinline__ Half narrow<Half, double>(double x) {
  return {float_to_half(static_cast<float>(x))};
}
template <>
__device__ __forceinline__ BFloat16 narrow<BFloat16, double>(double x) {
  return {float_to_bfloat16(static_cast<float>(x))};
}

template <int kBytes>
struct WordOf;
template <>
struct WordOf<16> {
  using Type = uint4;
};
template <>
struct WordOf<8> {
  using Type = uint2;
};
template <>
struct WordOf<4> {
  using Type = unsigned int;
};
template <>
struct WordOf<2> {
  using Type = unsigned short;
};

// Most elements of T in one 16-byte word.
template <class T>
inline constexpr int kWidest = 16 / static_cast<int>(sizeof(T));

// kCount neighboring elements that move as one word of 2, 4, 8 or 16 bytes, and stay packed in registers.
template <class T, int kCount>
struct Packet {
  using Word = typename WordOf<sizeof(T) * kCount>::Type;
  Word word;

  __device__ __forceinline__ Accumulate<T> operator[](int i) const {
    T values[kCount];
    memcpy(values, &word, sizeof(word));
    return widen(values[i]);
  }
};

// From memory that no one writes while the kernel runs; `address` is aligned to the packet.
template <class T, int kCount>
__device__ __forceinline__ Packet<T, kCount> load_packet(const T* address) {
  return {load_constant(reinterpret_cast<const typename Packet<T, kCount>::Word*>(address))};
}

// One element of such memory.
template <class T>
__device__ __forceinline__ Accumulate<T> load_element(const T* address) {
  return load_packet<T, 1>(address)[0];
}

template <class T, int kCount>
__device__ __forceinline__ void store_packet(T* address, const Accumulate<T> (&values)[kCount]) {
  T narrowed[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) narrowed[i] = narrow<T>(values[i]);
  typename Packet<T, kCount>::Word word;
  memcpy(&word, narrowed, sizeof(word));
  *reinterpret_cast<typename Packet<T, kCount>::Word*>(address) = word;
}

// kCount values of the accumulation type in memory that the block itself writes, aligned to 16 bytes or all of them.
template <int kCount, class A>
__device__ __forceinline__ void read_part(A* values, const A* address) {
  constexpr int kWidth = kCount < kWidest<A> ? kCount : kWidest<A>;
  using Word = typename Packet<A, kWidth>::Word;
#pragma unroll
  for (int start = 0; start < kCount; start += kWidth) {
    const Word word = *reinterpret_cast<const Word*>(address + start);
    memcpy(values + start, &word, sizeof(word));
  }
}
template <class A, int kCount>
__device__ __forceinline__ void read_aligned(A (&values)[kCount], const A* address) {
  read_part<kCount>(values, address);
}

template <int kCount, class A>
__device__ __forceinline__ void write_part(A* address, const A* values) {
  constexpr int kWidth = kCount < kWidest<A> ? kCount : kWidest<A>;
#pragma unroll
  for (int start = 0; start < kCount; start += kWidth) {
    typename Packet<A, kWidth>::Word word;
    memcpy(&word, values + start, sizeof(word));
    *reinterpret_cast<typename Packet<A, kWidth>::Word*>(address + start) = word;
  }
}

// An element that another block of this launch wrote (after its fence).
template <class T>
__device__ __forceinline__ Accumulate<T> load_written(const T* address) {
  using One = Packet<T, 1>;
  return One{load_shared_by_all(reinterpret_cast<const typename One::Word*>(address))}[0];
}

// Calls `run` with a value of the element type that `dtype` names.
template <class Run>
decltype(auto) dispatch(DType dtype, Run&& run) {
  switch (dtype) {
    case DType::f16: return run(Half{});
    case DType::bf16: return run(BFloat16{});
    case DType::f64: return run(double{});
    default: return run(float{});
  }
}

// ---- learned tensors -----------------------------------------------------------------------------------------------
//
// In kernels for features of type T they are of that type or of float32. Which one is known only at run time, but it is
// the same for a whole launch: the branch is uniform. Around a load, it makes the next load wait; inner loops take it
// once, around the loop.

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
