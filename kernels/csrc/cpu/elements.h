// Elements of the feature map <-> vectors of the accumulation type. Included like simd.h.

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
inline Vector<float> load(const Half* from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from)); }
inline void store(Half* to, Vector<float> v) {
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
#elif LNL_VECTOR_BYTES == 32
inline Vector<float> load(const Half* from) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from)); }
inline void store(Half* to, Vector<float> v) {
  _mm_storeu_si128((__m128i*)to, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
#else
// IEEE 754 binary16 by multiplication with a power of two, which also normalises subnormal numbers.
inline float to_float(Half half) {
  const uint32_t magnitude = (half.bits & 0x7fffu) << 13;
  const float value = bit_cast<float>(magnitude) * bit_cast<float>(0x77800000u);  // 2^112
  const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0;             // infinity or NaN
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
