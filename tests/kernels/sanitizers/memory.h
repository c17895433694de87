// Tensors in memory that ends, or starts, exactly where they do, so that one element too far is caught.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/problem.h"

using lnlattennet::DType;
using Random = std::mt19937_64;

inline int64_t uniform(Random& random, int64_t low, int64_t high) {
  return low + int64_t(random() % uint64_t(high - low + 1));
}

// Where an access out of bounds ends: in AddressSanitizer's red zone, or on a page without permissions. The latter
// also catches what the compiler does not instrument (masked vector loads and stores).
enum class Guard { red_zone, page_after, page_before };

class Memory {
 public:
  Memory(int64_t bytes, Guard guard) : guard_(guard), bytes_(bytes) {
    if (guard == Guard::red_zone) {
      start_ = (char*)std::malloc(bytes);
      data_ = start_;
      return;
    }
    const int64_t page = sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page;
    mapped_ = (pages + 1) * page;
    start_ = (char*)mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start_ == MAP_FAILED) throw std::bad_alloc();
    const bool after = guard == Guard::page_after;
    data_ = after ? start_ + pages * page - bytes : start_ + page;
    if (mprotect(after ? start_ + pages * page : start_, page, PROT_NONE)) throw std::runtime_error("mprotect");
  }
  ~Memory() {
    if (guard_ == Guard::red_zone)
      std::free(start_);
    else
      munmap(start_, mapped_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  Guard guard_;
  int64_t bytes_, mapped_ = 0;
  char *start_, *data_;
};

inline int64_t size_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

// `count` elements, of which the last `missing` have no memory: a kernel that touches them must be caught.
class Tensor {
 public:
  Tensor(int64_t count, DType dtype, Guard guard, int64_t missing = 0)
      : dtype_(dtype), stored_(count - missing), memory_(new Memory(stored_ * size_of(dtype), guard)) {
    std::memset(memory_->data(), 0xff, memory_->bytes());  // NaN in every type
  }

  void* data() const { return memory_->data(); }
  DType dtype() const { return dtype_; }
  int64_t stored() const { return stored_; }

  // A number of magnitude 2^(top - 4) to 2^(top + 1), written as its bits: no conversion of the kernels is trusted.
  void randomize(int64_t i, Random& random, int64_t top = 1) {
    if (i >= stored_) return;
    const uint64_t sign = random() & 1, exponent = uniform(random, top - 4, top), fraction = random();
    switch (dtype_) {
      case DType::f32: return put(i, uint32_t(sign << 31 | (exponent + 127) << 23 | (fraction & 0x7fffff)));
      case DType::f16: return put(i, uint16_t(sign << 15 | (exponent + 15) << 10 | (fraction & 0x3ff)));
      case DType::bf16: return put(i, uint16_t(sign << 15 | (exponent + 127) << 7 | (fraction & 0x7f)));
      case DType::f64: return put(i, uint64_t(sign << 63 | (exponent + 1023) << 52 | (fraction & 0xfffffffffffff)));
    }
  }
  void randomize_all(Random& random, int64_t top = 1) {
    for (int64_t i = 0; i < stored_; ++i) randomize(i, random, top);
  }
  void clear() { std::memset(memory_->data(), 0, memory_->bytes()); }

  bool untouched(int64_t i) const {
    for (int64_t byte = 0; byte < size_of(dtype_); ++byte)
      if (memory_->data()[i * size_of(dtype_) + byte] != char(0xff)) return false;
    return true;
  }

  double operator[](int64_t i) const {
    switch (dtype_) {
      case DType::f32: return get<float>(i);
      case DType::f64: return get<double>(i);
      case DType::bf16: {
        const uint32_t bits = uint32_t(get<uint16_t>(i)) << 16;
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
      }
      case DType::f16: {
        const int bits = get<uint16_t>(i), exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
        const double sign = bits >> 15 ? -1 : 1;
        if (exponent == 31) return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
        return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
      }
    }
    return 0;
  }

 private:
  template <class T>
  void put(int64_t i, T bits) {
    std::memcpy(memory_->data() + i * sizeof bits, &bits, sizeof bits);
  }
  template <class T>
  T get(int64_t i) const {
    T value;
    std::memcpy(&value, memory_->data() + i * sizeof value, sizeof value);
    return value;
  }

  DType dtype_;
  int64_t stored_;
  std::unique_ptr<Memory> memory_;
};
