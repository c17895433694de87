// What the checks of the kernels share: guarded tensors of a case, threads, and how near an answer must be.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

#include "memory.h"
#include "plain_loops.h"

// What is wrong on purpose: a tensor that gets no memory for its last element, or two threads with the same work.
struct Options {
  std::string tensor;
  Guard guard = Guard::red_zone;
  bool same_work = false;
};

// Makes the tensors of one case, with guards of every kind unless one kind is asked for.
struct Allocator {
  const Options& options;
  Random& random;

  Tensor operator()(const char* name, int64_t count, DType dtype) const {
    if (!options.tensor.empty()) return Tensor(count, dtype, options.guard, options.tensor == name);
    return Tensor(count, dtype, Guard(random() % 3));
  }
  Tensor filled(const char* name, int64_t count, DType dtype, int64_t top = 1) const {
    Tensor tensor = (*this)(name, count, dtype);
    tensor.randomize_all(random, top);
    return tensor;
  }
  // The plain loops would read the missing element, and the sanitizer would stop them instead of the kernel.
  bool lacks_memory() const { return !options.tensor.empty(); }
};

// Two threads share `items` at a random item; work(thread, begin, end).
template <class Work>
void in_two_threads(int64_t items, const Allocator& allocate, Work work) {
  const int64_t middle = uniform(allocate.random, 0, items);
  const bool same = allocate.options.same_work;
  std::thread first([&] { work(0, 0, same ? items : middle); });
  std::thread second([&] { work(1, same ? 0 : middle, items); });
  first.join();
  second.join();
}

inline Numbers numbers(const Tensor& tensor) {
  Numbers all(tensor.stored());
  for (int64_t i = 0; i < tensor.stored(); ++i) all[i] = tensor[i];
  return all;
}

// Half the distance of neighbors, relative; the sum of roundings before that is bounded by 200 of the sums' type.
inline double rounding(DType dtype) {
  return dtype == DType::f16 ? 0x1p-11 : dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f32 ? 0x1p-24 : 0x1p-53;
}

inline bool near(const char* what, const Numbers& found, const Numbers& expected, DType stored, DType features) {
  double scale = 1;
  for (const double value : expected) scale = std::max(scale, std::fabs(value));
  const double absolute = scale * 200 * rounding(features == DType::f64 ? DType::f64 : DType::f32);
  for (size_t i = 0; i < expected.size(); ++i)
    // Negated, so that a NaN fails.
    if (!(std::fabs(found[i] - expected[i]) <= absolute + rounding(stored) * std::fabs(expected[i]))) {
      std::printf("%s[%zu] is %.9g, expected %.9g\n", what, i, found[i], expected[i]);
      return false;
    }
  return true;
}
