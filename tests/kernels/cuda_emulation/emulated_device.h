// Takes the place of kernels/csrc/cuda/common/device.cuh when that code is compiled as C++: CUDA's names and
// device.cuh's functions, by fibers. What it cannot show: PTX, the memory model (fences do nothing), speed.
#pragma once

#include <math.h>

#include <cstring>
#include <type_traits>

#include "scheduler.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __grid_constant__
#define threadIdx (::emulation::thread_index())
#define blockIdx (::emulation::block_index())
#define blockDim (::emulation::block_size())
#define gridDim (::emulation::grid_size())
#define __syncthreads() ::emulation::sync_block(__LINE__)
#define __syncwarp() ::emulation::sync_warp(__LINE__)
#define __shfl_xor_sync(mask, value, step) ::emulation::shuffle(mask, value, ::emulation::lane() ^ (step), __LINE__)
#define __shfl_sync(mask, value, source) ::emulation::shuffle(mask, value, source, __LINE__)
#define __shfl_down_sync(mask, value, step) ::emulation::shuffle_down(mask, value, step, __LINE__)
#define __ballot_sync(mask, predicate) ::emulation::ballot(mask, predicate, __LINE__)
#define __any_sync(mask, predicate) (::emulation::ballot(mask, predicate, __LINE__) != 0)
#define __all_sync(mask, predicate) (::emulation::ballot(mask, predicate, __LINE__) == 0xffffffffu)

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};

namespace emulation {

inline Scheduler& scheduler() { return Scheduler::instance(); }
inline Index thread_index() { return {scheduler().current().thread, 0, 0}; }
inline Index block_index() { return {scheduler().current().block->index, 0, 0}; }
inline Index block_size() { return {scheduler().grid().threads, 1, 1}; }
inline Index grid_size() { return {scheduler().grid().blocks, 1, 1}; }
inline unsigned lane() { return scheduler().current().thread % 32; }

inline void meet(Rendezvous& rendezvous, int line, const char* what) {
  const uint64_t generation = rendezvous.generation;
  scheduler().arrive(rendezvous, line, what);
  scheduler().wait(rendezvous, generation, line, what);
}

inline void sync_block(int line) { meet(scheduler().current().block->barrier, line, "__syncthreads"); }

inline Warp& warp() { return scheduler().current().block->warps[scheduler().current().thread / 32]; }
inline void sync_warp(int line) { meet(warp().meeting, line, "__syncwarp"); }

template <class T>
T shuffle(unsigned mask, T value, unsigned source, int line) {
  if (mask != 0xffffffffu || source >= 32) scheduler().fail("shuffle: only whole warps, source lanes below 32");
  Warp& own = warp();
  uint64_t (&slots)[32] = own.values[own.meeting.generation % 2];
  std::memcpy(&slots[lane()], &value, sizeof(T));
  meet(own.meeting, line, "shuffle");
  T result;
  std::memcpy(&result, &slots[source], sizeof(T));
  return result;
}

template <class T>
T shuffle_down(unsigned mask, T value, unsigned step, int line) {
  return shuffle(mask, value, lane() + step < 32 ? lane() + step : lane(), line);
}

inline unsigned ballot(unsigned mask, bool predicate, int line) {
  unsigned bits = 0;
  for (unsigned source = 0; source < 32; ++source) bits |= unsigned{shuffle(mask, predicate, source, line)} << source;
  return bits;
}

}  // namespace emulation

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  const unsigned old = *address;
  *address = old >= limit ? 0 : old + 1;
  return old;
}

namespace lnlattennet::cuda {

template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(emulation::scheduler().current().block->shared);
}

inline float half_to_float(uint16_t bits) {
  _Float16 x;
  std::memcpy(&x, &bits, 2);
  return static_cast<float>(x);
}
inline uint16_t float_to_half(float value) {
  const _Float16 x = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &x, 2);
  return bits;
}
inline float bfloat16_to_float(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float x;
  std::memcpy(&x, &wide, 4);
  return x;
}
inline uint16_t float_to_bfloat16(float value) {
  if (value != value) return 0x7fff;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline unsigned block_index_again() { return blockIdx.x; }

inline float exp2_fast(float x) { return exp2f(x); }
inline double exp2_fast(double x) { return exp2(x); }

inline float inverse(float x) { return 1 / x; }
inline double inverse(double x) { return 1 / x; }
inline float inverse_root(float x) { return 1 / sqrtf(x); }
inline double inverse_root(double x) { return 1 / sqrt(x); }

template <class Word>
Word load_constant(const Word* address) {
  return *address;
}
template <class Word>
void forget_unpacked(Word&) {}
template <class Word>
Word load_shared_by_all(const Word* address) {
  return *address;
}

}  // namespace lnlattennet::cuda

#include "emulated_cluster.h"
