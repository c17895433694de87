// Vectors of the target's width, with GCC's vector extension: one source for every instruction set. And the four
// element types, which are loaded into and stored from vectors of the accumulation type.
//
// A target (target_*.cpp) includes this and the other -inl.h files after its pragma, and the standard headers before
// it, so that only the anonymous namespaces of the -inl.h files are compiled for its instructions. Nothing in them may
// use a library template: its instantiation would be shared between targets.
#pragma once

#include <cstdint>
#include <cstring>

#ifndef LNL_VECTOR_BYTES  // an editor's view of this file; a target defines it
#define LNL_VECTOR_BYTES 16
#endif
#if LNL_VECTOR_BYTES > 16
#include <immintrin.h>
#endif

namespace lnlattennet::cpu {
namespace {

template <class A>
struct Simd;

template <>
struct Simd<float> {
  typedef float Vector __attribute__((vector_size(LNL_VECTOR_BYTES)));
  typedef int32_t Integers __attribute__((vector_size(LNL_VECTOR_BYTES)));
  static constexpr int64_t width = LNL_VECTOR_BYTES / 4;
  static constexpr float lowest = -__FLT_MAX__;
};

template <>
struct Simd<double> {
  typedef double Vector __attribute__((vector_size(LNL_VECTOR_BYTES)));
  typedef int64_t Integers __attribute__((vector_size(LNL_VECTOR_BYTES)));
  static constexpr int64_t width = LNL_VECTOR_BYTES / 8;
  static constexpr double lowest = -__DBL_MAX__;
};

template <class A>
using Vector = typename Simd<A>::Vector;

template <class A>
constexpr int64_t width = Simd<A>::width;

// The maximum of no scores: finite, so that subtracting it from itself is no NaN.
template <class A>
constexpr A kLowest = Simd<A>::lowest;

template <class A>
int64_t padded(int64_t count) {
  return (count + width<A> - 1) / width<A> * width<A>;
}

template <class A>
inline Vector<A> broadcast(A value) {
  return Vector<A>{} + value;
}

template <class A>
inline Vector<A> maximum(Vector<A> a, Vector<A> b) {
  return a > b ? a : b;
}

// The first `count` lanes of `v`, and `other` in the rest.
template <class A>
inline Vector<A> first_lanes(Vector<A> v, int64_t count, A other) {
  typename Simd<A>::Integers lane;
  for (int64_t i = 0; i < width<A>; ++i) lane[i] = i;
  using Index = decltype(lane[0] + 0);
  return lane < Index(count < width<A> ? count : width<A>) ? v : broadcast(other);
}

// Lane-wise sum or maximum, as a tree.
template <class A>
inline A sum(Vector<A> v) {
  A lanes[width<A>];
  std::memcpy(lanes, &v, sizeof v);
  for (int64_t half = width<A> / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

template <class A>
inline A maximum_lane(Vector<A> v) {
  A lanes[width<A>];
  std::memcpy(lanes, &v, sizeof v);
  for (int64_t half = width<A> / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  return lanes[0];
}

#if LNL_VECTOR_BYTES == 64
template <>
inline float sum<float>(Simd<float>::Vector v) {
  return _mm512_reduce_add_ps(v);
}
template <>
inline float maximum_lane<float>(Simd<float>::Vector v) {
  return _mm512_reduce_max_ps(v);
}
#elif LNL_VECTOR_BYTES == 32
template <>
inline float sum<float>(Simd<float>::Vector v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
template <>
inline float maximum_lane<float>(Simd<float>::Vector v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#endif

// 2^x for x <= 0 within 2 units in the last place; 0 below 2^-126; NaN stays NaN.
inline Vector<float> exp2(Vector<float> x) {
  using Integers = Simd<float>::Integers;
  const Vector<float> shift = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  x = x < -127.0f ? broadcast(-127.0f) : x;
  const Vector<float> shifted = x + shift;
  const Vector<float> f = x - (shifted - shift);  // in [-0.5, 0.5]
  // Taylor's series of 2^f to the 7th power: its remainder is below 2^-25 on that interval.
  Vector<float> p = broadcast(1.525273380405984e-5f);
  p = p * f + 1.540353039338161e-4f;
  p = p * f + 1.333355814642844e-3f;
  p = p * f + 9.618129107628477e-3f;
  p = p * f + 5.550410866482158e-2f;
  p = p * f + 2.402265069591007e-1f;
  p = p * f + 6.931471805599453e-1f;
  p = p * f + 1.0f;
  const Integers exponent = ((Integers)shifted - (Integers)shift + 127) << 23;
  return p * (Vector<float>)exponent;
}

// Only float64 gradient checks come here, so the scalar function is fast enough.
inline Vector<double> exp2(Vector<double> x) {
  for (int64_t i = 0; i < width<double>; ++i) x[i] = __builtin_exp2(x[i]);
  return x;
}

// ---- sums of four vectors ------------------------------------------------------------------------------------------

#if LNL_VECTOR_BYTES == 64
// Four vectors at once: halves are folded before the lanes cross, about 6 instructions per sum.
inline void sums(const Vector<float> (&v)[4], float* to) {
  __m128 folded[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
    folded[i] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
  const __m128 low = _mm_hadd_ps(folded[0], folded[1]), high = _mm_hadd_ps(folded[2], folded[3]);
  _mm_storeu_ps(to, _mm_hadd_ps(low, high));
}
#elif LNL_VECTOR_BYTES == 32
inline void sums(const Vector<float> (&v)[4], float* to) {
  __m128 folded[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    folded[i] = _mm_add_ps(_mm256_castps256_ps128((__m256)v[i]), _mm256_extractf128_ps((__m256)v[i], 1));
  const __m128 low = _mm_hadd_ps(folded[0], folded[1]), high = _mm_hadd_ps(folded[2], folded[3]);
  _mm_storeu_ps(to, _mm_hadd_ps(low, high));
}
#else
inline void sums(const Vector<float> (&v)[4], float* to) {
  for (int i = 0; i < 4; ++i) to[i] = sum<float>(v[i]);
}
#endif
inline void sums(const Vector<double> (&v)[4], double* to) {
  for (int i = 0; i < 4; ++i) to[i] = sum<double>(v[i]);
}

// ---- elements ------------------------------------------------------------------------------------------------------

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <class T>
struct AccumulateAs {
  using type = float;
};
template <>
struct AccumulateAs<double> {
  using type = double;
};
template <class T>
using Accumulator = typename AccumulateAs<T>::type;

template <class To, class From>
inline To bit_cast(const From& from) {
  To to;
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  std::memcpy(&to, &from, sizeof to);
  return to;
}

typedef uint16_t Words __attribute__((vector_size(LNL_VECTOR_BYTES / 2)));
typedef uint32_t DoubleWords __attribute__((vector_size(LNL_VECTOR_BYTES)));

inline Vector<float> load(const float* from) {
  Vector<float> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store(float* to, Vector<float> v) { std::memcpy(to, &v, sizeof v); }

inline Vector<double> load(const double* from) {
  Vector<double> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store(double* to, Vector<double> v) { std::memcpy(to, &v, sizeof v); }

inline Vector<float> load(const BFloat16* from) {
  Words words;
  std::memcpy(&words, from, sizeof words);
  return (Vector<float>)(__builtin_convertvector(words, DoubleWords) << 16);
}
// Rounds to nearest, ties to even; a NaN keeps its sign and stays a NaN.
inline void store(BFloat16* to, Vector<float> v) {
  const DoubleWords bits = (DoubleWords)v;
  const DoubleWords rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const DoubleWords quiet = (bits >> 16) | 0x40;
  const Words words = __builtin_convertvector(v == v ? rounded : quiet, Words);
  std::memcpy(to, &words, sizeof words);
}

#if LNL_VECTOR_BYTES == 64
inline Vector<float> load(const Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store(Half* to, Vector<float> v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
#elif LNL_VECTOR_BYTES == 32
inline Vector<float> load(const Half* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store(Half* to, Vector<float> v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
#else
// IEEE 754 binary16 by multiplication with a power of two, which also normalizes subnormal numbers.
inline float to_float(Half half) {
  const uint32_t magnitude = (half.bits & 0x7fffu) << 13;
  const float value = bit_cast<float>(magnitude) * bit_cast<float>(0x77800000u);  // 2^112
  const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0;            // infinity or NaN
  return bit_cast<float>(bit_cast<uint32_t>(value) | special | (half.bits & 0x8000u) << 16);
}
inline Half to_half(float value) {
  const uint32_t bits = bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {uint16_t(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {uint16_t(sign | 0x7c00u)};  // rounds beyond 65504
  if (magnitude < 0x38800000u) {                                    // subnormal: let an addition round it
    const float shifted = bit_cast<float>(magnitude) + 0.5f;
    return {uint16_t(sign | (bit_cast<uint32_t>(shifted) - 0x3f000000u))};
  }
  magnitude += 0xc8000fffu + (magnitude >> 13 & 1);  // exponent bias 127 -> 15, nearest even
  return {uint16_t(sign | magnitude >> 13)};
}
inline Vector<float> load(const Half* from) {
  Vector<float> v;
  for (int64_t i = 0; i < width<float>; ++i) v[i] = to_float(from[i]);
  return v;
}
inline void store(Half* to, Vector<float> v) {
  for (int64_t i = 0; i < width<float>; ++i) to[i] = to_half(v[i]);
}
#endif

// The first `count` elements; the other lanes are 0 and touch no memory.
template <class T>
inline Vector<Accumulator<T>> load_first(const T* from, int64_t count) {
  T lanes[width<Accumulator<T>>] = {};
  std::memcpy(lanes, from, count * sizeof(T));
  return load(lanes);
}
template <class T>
inline void store_first(T* to, Vector<Accumulator<T>> v, int64_t count) {
  T lanes[width<Accumulator<T>>];
  store(lanes, v);
  std::memcpy(to, lanes, count * sizeof(T));
}

#if LNL_VECTOR_BYTES == 64
inline Vector<float> load_first(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), from);
}
inline void store_first(float* to, Vector<float> v, int64_t count) {
  _mm512_mask_storeu_ps(to, __mmask16((1u << count) - 1), v);
}
#elif LNL_VECTOR_BYTES == 32
inline __m256i first_mask(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vector<float> load_first(const float* from, int64_t count) {
  return _mm256_maskload_ps(from, first_mask(count));
}
inline void store_first(float* to, Vector<float> v, int64_t count) { _mm256_maskstore_ps(to, first_mask(count), v); }
#endif

// One load for a whole vector or what is left of one.
template <class T>
inline Vector<Accumulator<T>> load_up_to(const T* from, int64_t count) {
  return count >= width<Accumulator<T>> ? load(from) : load_first(from, count);
}
template <class T>
inline void store_up_to(T* to, Vector<Accumulator<T>> v, int64_t count) {
  count >= width<Accumulator<T>> ? store(to, v) : store_first(to, v, count);
}

}  // namespace
}  // namespace lnlattennet::cpu
