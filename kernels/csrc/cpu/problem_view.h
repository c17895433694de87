// Typed views of one band of a problem. Included like simd.h.

// Elements of `T` with the strides of a feature map, for reading or writing.
template <class T>
struct BandView {
  T* data;  // the band's first position, channel 0
  int64_t channel_stride, row_stride, column_stride;
};

template <class T>
BandView<T> band_view(const FeatureMap& map, int64_t image, int64_t band, int64_t rows) {
  T* data = (T*)map.data + image * map.batch_stride + band * rows * map.row_stride;
  return {data, map.channel_stride, map.row_stride, map.column_stride};
}

// Sizes that every function needs.
struct Sizes {
  int64_t channels, grid, heads, rows, columns;  // rows and columns of one region

  explicit Sizes(const RegionAttention& problem)
      : channels(problem.features.channels),
        grid(problem.grid),
        heads(problem.heads),
        rows(problem.features.height / problem.grid),
        columns(problem.features.width / problem.grid) {}

  int64_t regions() const { return grid * grid; }
  int64_t positions() const { return rows * columns; }
};

// Zeroed memory that a function needs while it runs, 64-byte aligned so that no vector crosses a cache line.
template <class A>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : memory_(std::calloc(count * sizeof(A) + 64, 1)),
        data_((A*)(((uintptr_t)memory_ + 63) & ~(uintptr_t)63)) {
    if (!memory_) throw std::bad_alloc();
  }
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  A* data() const { return data_; }
  A& operator[](int64_t i) const { return data_[i]; }

 private:
  void* memory_;
  A* data_;
};

// Offsets of the positions of `rows` rows of one region, row by row, from its first one.
template <class T>
inline void fill_offsets(int64_t* offsets, const BandView<T>& view, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      offsets[row * columns + column] = row * view.row_stride + column * view.column_stride;
}

constexpr double log2_e = 1.4426950408889634, ln_2 = 0.6931471805599453;

// What turns <q, F_p> into the softmax's argument in base 2.
inline double score_scale(const Sizes& sizes) { return log2_e / __builtin_sqrt(double(sizes.channels)); }

// to[row] = scale * from[row], rows of `channels`, each padded with zeros to `stride`.
template <class A, class T>
void copy_rows(A* to, int64_t stride, const T* from, int64_t rows, int64_t channels, A scale) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < channels; c += width<A>)
      store(to + row * stride + c, load_up_to(from + row * channels + c, channels - c) * scale);
}

// The queries as rows of channels, padded with zeros to `stride`, and scaled by score_scale.
template <class A>
class ScaledQueries {
 public:
  ScaledQueries(const RegionAttention& problem, const Sizes& sizes, int64_t stride)
      : sizes_(sizes), stride_(stride), rows_(sizes.regions() * sizes.heads * stride) {
    copy_rows(rows_.data(), stride, (const A*)problem.query, sizes.regions() * sizes.heads, sizes.channels,
              A(score_scale(sizes)));
  }

  // `slot` counts the regions and heads of a band: column * heads + head.
  A* row(int64_t band, int64_t slot) const { return rows_.data() + (band * sizes_.grid * sizes_.heads + slot) * stride_; }

 private:
  const Sizes& sizes_;
  const int64_t stride_;
  Scratch<A> rows_;
};
