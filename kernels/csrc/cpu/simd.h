// Vectors of the target's width, with GCC's vector extension: one source for every instruction set.
//
// Included inside an anonymous namespace of a target (target_*.cpp), after the target's pragma. Nothing here or in
// the other target headers may use a library template: its instantiation would be shared between targets.

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
