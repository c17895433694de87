// Dot products of one query with many positions of a channels_last feature map. Included like simd.h.

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

// totals[i] += query * positions[i], for `Vectors` vectors of channels. Fetches half as many bytes as it reads.
template <int Vectors, class T, class A, class Ahead>
inline void add_products_of_four(const T* const (&positions)[4], const A* query, int64_t c, Ahead& ahead,
                                 Vector<A> (&totals)[4]) {
  ahead.advance(2 * Vectors * width<A> * int64_t(sizeof(T)));
#pragma GCC unroll 4
  for (int64_t v = c; v < c + Vectors * width<A>; v += width<A>) {
    const Vector<A> q = load(query + v);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) totals[i] += q * load(positions[i] + v);
  }
}

// to[i] = <query, positions[i]> for four positions (some may be the same); `query` is padded with zeros.
template <class T, class A, class Ahead>
inline void plain_dot_four(const T* const (&positions)[4], const A* query, int64_t channels,
                           Ahead&& ahead, A* to) {
  Vector<A> totals[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) totals[i] = Vector<A>{};  // "= {}" would put them in memory
  int64_t c = 0;
  for (; c + 4 * width<A> <= channels; c += 4 * width<A>) add_products_of_four<4>(positions, query, c, ahead, totals);
  for (; c + width<A> <= channels; c += width<A>) add_products_of_four<1>(positions, query, c, ahead, totals);
  if (c < channels) {
    const Vector<A> q = load(query + c);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) totals[i] += q * load_first(positions[i] + c, channels - c);
  }
  sums(totals, to);
}

// How a query is stored for its dot products: as plain numbers ...
template <class T>
struct PlainQuery {
  using A = Accumulator<T>;
  static int64_t padded_channels(int64_t channels) { return padded<A>(channels); }
  static void pack(A*, int64_t) {}
  static void dot_four(const T* const (&positions)[4], const A* query, int64_t channels, ReadAhead& ahead, A* to) {
    plain_dot_four(positions, query, channels, ahead, to);
  }
};

// ... or, where nothing else reads it, packed for the CPU's own bfloat16 dot product.
template <class T>
struct PackedQuery : PlainQuery<T> {};

#if LNL_BFLOAT16_DOT
// Every 32 numbers become 32 bfloat16 and 32 more for what those rounded off: products keep 16 bits of the query.
template <>
struct PackedQuery<BFloat16> {
  static int64_t padded_channels(int64_t channels) { return (channels + 31) / 32 * 32; }

  static void pack(float* row, int64_t channels) {
    for (int64_t c = 0; c < channels; c += 32) {
      const __m512 low = _mm512_loadu_ps(row + c), high = _mm512_loadu_ps(row + c + 16);
      const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
      const __m512 low_rest = low - widened(_mm512_castsi512_si256(rounded));
      const __m512 high_rest = high - widened(_mm512_extracti64x4_epi64(rounded, 1));
      _mm512_storeu_si512(row + c, rounded);
      _mm512_storeu_si512(row + c + 16, (__m512i)_mm512_cvtne2ps_pbh(high_rest, low_rest));
    }
  }

  static __m512 widened(__m256i words) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16); }

  static void dot_four(const BFloat16* const (&positions)[4], const float* query, int64_t channels, ReadAhead& ahead,
                       float* to) {
    Vector<float> total[4] = {};
    for (int64_t c = 0; c < channels; c += 32) {
      ahead.advance(2 * 32 * sizeof(BFloat16));
      const __m512bh rounded = (__m512bh)_mm512_loadu_si512(query + c);
      const __m512bh rest = (__m512bh)_mm512_loadu_si512(query + c + 16);
      const __mmask32 lanes = channels - c >= 32 ? ~0u : (1u << (channels - c)) - 1;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const __m512bh f = (__m512bh)_mm512_maskz_loadu_epi16(lanes, positions[i] + c);
        total[i] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(total[i], rounded, f), rest, f);
      }
    }
    sums(total, to);
    // With a feature that is infinite the two parts of a product may be opposite infinities, or 0 times one.
    const __m128 found = _mm_loadu_ps(to);
    if (__builtin_expect(_mm_movemask_ps(_mm_cmpunord_ps(found, found)), 0)) {
      dot_four_whole(positions, query, channels, to);
    }
  }

  // The same with the two parts of the query put together first.
  static void dot_four_whole(const BFloat16* const (&positions)[4], const float* query, int64_t channels, float* to) {
    for (int i = 0; i < 4; ++i) {
      to[i] = 0;
      for (int64_t c = 0; c < channels; ++c) {
        const auto* rounded = reinterpret_cast<const BFloat16*>(query + c / 32 * 32) + c % 32;
        to[i] += (widened(rounded[0]) + widened(rounded[32])) * widened(positions[i][c]);
      }
    }
  }

  static float widened(BFloat16 number) { return bit_cast<float>(uint32_t(number.bits) << 16); }
};
#endif

// to[p] = <query, F_p> for positions at `offsets` from `features`; `to` has room for a multiple of four. Fetches half
// as many bytes as it reads.
template <class Query, class T, class A>
inline void dot_products(const T* features, const int64_t* offsets, int64_t count, const A* query, int64_t channels,
                         ReadAhead& ahead, A* to) {
  ReadAhead local = ahead;  // in a register
  for (int64_t p = 0; p < count; p += 4) {
    const T* positions[4];
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) positions[i] = features + offsets[p + i < count ? p + i : count - 1];
    Query::dot_four(positions, query, channels, local, to + p);
  }
  ahead = local;
}
