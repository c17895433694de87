// Counters are never freed: a launch or a graph may still use them. A graph costs four bytes per image and launch.
#include "counters.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "launch.cuh"

namespace lnlattennet::cuda {
namespace {

constexpr int64_t kLine = 32;       // counters of different launches lie in different cache lines
constexpr int64_t kSlab = 1 << 16;  // counters taken from the device at a time
constexpr int64_t kStreamCounters = 1024;

// While it lives, this thread may allocate although a stream is being captured; nothing it does is captured.
class Uncaptured {
 public:
  Uncaptured() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Uncaptured() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  Uncaptured(const Uncaptured&) = delete;
  Uncaptured& operator=(const Uncaptured&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// A stream of its own, since the caller's may be under capture, and the default one would wait for all others.
cudaError_t allocate_zeroed(int64_t bytes, void** memory) {
  const Uncaptured uncaptured;
  cudaStream_t stream = nullptr;
  cudaError_t error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error != cudaSuccess) return error;
  error = cudaMalloc(memory, static_cast<size_t>(bytes));
  if (error == cudaSuccess) error = cudaMemsetAsync(*memory, 0, static_cast<size_t>(bytes), stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  cudaStreamDestroy(stream);
  return error;
}

struct Slice {
  unsigned* counters = nullptr;
  int64_t count = 0;
};

class Pool {
 public:
  cudaError_t acquire(int device, int64_t count, cudaStream_t stream, unsigned** counters) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    cudaError_t error = cudaStreamIsCapturing(stream, &status);
    if (error != cudaSuccess) return error;
    const std::lock_guard lock(mutex_);
    if (status != cudaStreamCaptureStatusNone) return take(device, count, counters);
    unsigned long long id = 0;
    error = cudaStreamGetId(stream, &id);
    if (error != cudaSuccess) return error;
    Slice& slice = of_streams_[{device, id}];
    if (slice.count < count) {
      const int64_t wanted = std::max({count, kStreamCounters, 2 * slice.count});
      error = take(device, wanted, &slice.counters);
      slice.count = error == cudaSuccess ? wanted : 0;
    }
    *counters = slice.counters;
    return error;
  }

 private:
  cudaError_t take(int device, int64_t count, unsigned** counters) {
    Slice& slab = slabs_[device];
    const int64_t rounded = (count + kLine - 1) / kLine * kLine;
    if (slab.count < rounded) {
      const int64_t size = std::max(rounded, kSlab);
      void* memory = nullptr;
      const cudaError_t error = allocate_zeroed(size * static_cast<int64_t>(sizeof(unsigned)), &memory);
      if (error != cudaSuccess) return error;
      slab = {static_cast<unsigned*>(memory), size};
    }
    *counters = slab.counters;
    slab = {slab.counters + rounded, slab.count - rounded};
    return cudaSuccess;
  }

  std::mutex mutex_;
  std::map<std::pair<int, unsigned long long>, Slice> of_streams_;  // device, stream id: unique while the process lives
  std::map<int, Slice> slabs_;                                      // what is left of each device's newest slab
};

}  // namespace

const char* acquire_counters(int64_t count, void* stream, unsigned** counters) {
  static Pool& pool = *new Pool;  // outlives every launch, also those of other static objects' destructors
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = pool.acquire(device, count, static_cast<cudaStream_t>(stream), counters);
  return message(error);
}

}  // namespace lnlattennet::cuda
