// Helpers for contiguous maps, where vectors run along the width, across the regions' borders: a value per region
// is spread over its columns, and a row of sums is folded back into regions. Included like simd.h.

// to[column] = values[column / columns * stride] for a row of regions; may write a vector beyond it.
template <class A>
inline void spread(A* to, const A* values, int64_t stride, int64_t regions, int64_t columns) {
  for (int64_t region = 0; region < regions; ++region) {
    const Vector<A> value = broadcast(values[region * stride]);
    for (int64_t column = 0; column < columns; column += width<A>) store(to + region * columns + column, value);
  }
}

// Sum of `count` elements that start anywhere.
template <class A>
inline A sum_of(const A* from, int64_t count) {
  Vector<A> total = {};
  for (int64_t i = 0; i < count; i += width<A>) total += load_up_to(from + i, count - i);
  return sum<A>(total);
}

// scores[r, j] += sum of `Channels` channels' queries[i, j] * F_i[r, j] for one vector of columns, of which `left` are
// still there if it is `partial`.
template <int Channels, bool partial, class T, class A>
inline void add_products_tile(const T* features, int64_t channel_stride, int64_t row_stride, int64_t rows, int64_t left,
                              const A* queries, A* scores, int64_t stride) {
  Vector<A> query[Channels];
#pragma GCC unroll 4
  for (int i = 0; i < Channels; ++i) query[i] = load(queries + i * stride);
  for (int64_t r = 0; r < rows; ++r) {
    Vector<A> total = load(scores + r * stride);
#pragma GCC unroll 4
    for (int i = 0; i < Channels; ++i) {
      const T* from = features + i * channel_stride + r * row_stride;
      total += query[i] * (partial ? load_first(from, left) : load(from));
    }
    store(scores + r * stride, total);
  }
}

// The same for whole rows: the scores are loaded and stored once for all the channels. Fetches as many bytes of the
// next channels as it reads.
template <int Channels, class T, class A>
inline void add_products(const T* features, int64_t channel_stride, int64_t row_stride, int64_t rows, int64_t columns,
                         const A* queries, A* scores) {
  const int64_t stride = padded<A>(columns);
  int64_t j = 0;
  for (; j + width<A> <= columns; j += width<A>) {
    for (int i = Channels; i < 2 * Channels; ++i)
      ReadAhead(features + i * channel_stride + j * rows).advance(rows * width<A> * int64_t(sizeof(T)));
    add_products_tile<Channels, false>(features + j, channel_stride, row_stride, rows, 0, queries + j, scores + j,
                                       stride);
  }
  if (j < columns)
    add_products_tile<Channels, true>(features + j, channel_stride, row_stride, rows, columns - j, queries + j,
                                      scores + j, stride);
}

constexpr int channel_block = 4;

// scores[r, j] += sum_c query[region(j), c] * F[c, r, j] over a band; query rows are `query_stride` apart.
// `queries` has room for `channel_block` padded rows and a vector.
template <class T, class A>
inline void band_products(const BandView<const T>& view, const Sizes& sizes, const A* query, int64_t query_stride,
                          A* queries, A* scores) {
  const int64_t columns = sizes.grid * sizes.columns, stride = padded<A>(columns);
  for (int64_t c = 0; c < sizes.channels; c += channel_block) {
    const int64_t left = sizes.channels - c, block = left < channel_block ? left : channel_block;
    for (int64_t i = 0; i < block; ++i)
      spread(queries + i * stride, query + c + i, query_stride, sizes.grid, sizes.columns);
    const auto add = block == 4   ? add_products<4, T, A>
                     : block == 3 ? add_products<3, T, A>
                     : block == 2 ? add_products<2, T, A>
                                  : add_products<1, T, A>;
    add(view.data + c * view.channel_stride, view.channel_stride, view.row_stride, sizes.rows, columns, queries, scores);
  }
}

// Every region's part of a padded row becomes what `fold` makes of it.
template <class A, class Fold>
inline void fold_regions(const Sizes& sizes, A* row, Fold&& fold) {
  for (int64_t region = 0; region < sizes.grid; ++region) {
    A* part = row + region * sizes.columns;
    const A value = fold(part, sizes.columns);
    for (int64_t column = 0; column < sizes.columns; ++column) part[column] = value;
  }
}

template <class A>
inline A largest_of(const A* from, int64_t count) {
  A largest = kLowest<A>;
  for (int64_t i = 0; i < count; ++i) largest = from[i] > largest ? from[i] : largest;
  return largest;
}

// Scores of a band -> softmax per region, in place. `row` has room for a padded row.
template <class A>
inline void band_softmax(const Sizes& sizes, A* scores, A* row) {
  const int64_t columns = sizes.grid * sizes.columns, stride = padded<A>(columns);
  for (int64_t j = 0; j < columns; j += width<A>) {
    Vector<A> largest = load(scores + j);
    for (int64_t r = 1; r < sizes.rows; ++r) largest = maximum<A>(load(scores + r * stride + j), largest);
    store(row + j, largest);
  }
  fold_regions(sizes, row, largest_of<A>);
  for (int64_t i = 0; i < sizes.rows * stride; i += width<A>)
    store(scores + i, exp2(load(scores + i) - load(row + i % stride)));
  for (int64_t j = 0; j < columns; j += width<A>) {
    Vector<A> total = {};
    for (int64_t r = 0; r < sizes.rows; ++r) total += load(scores + r * stride + j);
    store(row + j, total);
  }
  fold_regions(sizes, row, [](const A* part, int64_t count) { return 1 / sum_of(part, count); });
  for (int64_t i = 0; i < sizes.rows * stride; i += width<A>) store(scores + i, load(scores + i) * load(row + i % stride));
}

// `Vectors` vectors of columns of column_sums; the last vector has `last` columns.
template <bool with_plain, bool partial, int Vectors, class T, class A>
inline void column_tile(const T* features, int64_t row_stride, int64_t rows, int64_t last, const A* weights,
                        int64_t stride, A* to, A* plain) {
  Vector<A> weighted[Vectors] = {}, total[Vectors] = {};
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const T* from = features + r * row_stride + v * width<A>;
      const Vector<A> f = partial && v + 1 == Vectors ? load_first(from, last) : load(from);
      weighted[v] += f * load(weights + r * stride + v * width<A>);
      if (with_plain) total[v] += f;
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    store(to + v * width<A>, weighted[v]);
    if (with_plain) store(plain + v * width<A>, total[v]);
  }
}

// to[j] = sum_r weights[r, j] * F[r, j] and, if asked for, plain[j] = sum_r F[r, j], for one channel.
template <bool with_plain, class T, class A>
inline void column_sums(const T* features, int64_t row_stride, int64_t rows, int64_t columns, const A* weights, A* to,
                        A* plain) {
  constexpr int64_t w = width<A>;
  int64_t j = 0;
  for (; columns - j > 4 * w; j += 4 * w)
    column_tile<with_plain, false, 4>(features + j, row_stride, rows, w, weights + j, padded<A>(columns), to + j,
                                      plain + j);
  const int64_t left = columns - j;
  const auto tile = left > 3 * w   ? column_tile<with_plain, true, 4, T, A>
                    : left > 2 * w ? column_tile<with_plain, true, 3, T, A>
                    : left > w     ? column_tile<with_plain, true, 2, T, A>
                                   : column_tile<with_plain, true, 1, T, A>;
  tile(features + j, row_stride, rows, (left - 1) % w + 1, weights + j, padded<A>(columns), to + j, plain + j);
}

// to[region, i] = sum of the region's part of row i, for `channel_block` rows of columns.
template <class A>
inline void region_sums(const Sizes& sizes, const A* rows, A* to, int64_t to_stride) {
  const int64_t stride = padded<A>(sizes.grid * sizes.columns);
  for (int64_t region = 0; region < sizes.grid; ++region) {
    Vector<A> total[channel_block];
#pragma GCC unroll 4
    for (int i = 0; i < channel_block; ++i) {
      const A* part = rows + i * stride + region * sizes.columns;
      total[i] = Vector<A>{};
      for (int64_t j = 0; j < sizes.columns; j += width<A>) total[i] += load_up_to(part + j, sizes.columns - j);
    }
    sums(total, to + region * to_stride);
  }
}
