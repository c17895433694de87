// The non-local tail in the launch of the forward pass: the image's block that finishes last does it.
#pragma once

#include "nonlocal_tail.cuh"

namespace lnlattennet::cuda {

// tail.regions == 0: there is no tail.
struct TailTask {
  NonlocalAttention tail;
  NonlocalOutputs outputs;
  unsigned* counters;  // one an image
};

// Called by all threads of every block once the block's part of `mean` is written; each image has `blocks` neighbouring
// blocks. Shared memory is overwritten. The counter wraps to zero by itself, ready for the next launch or graph replay.
template <class T>
__device__ __forceinline__ void finish_image(const TailTask& task, unsigned blocks, const void* mean) {
  if (task.tail.regions == 0) return;
  unsigned* arrived_before = shared_memory<unsigned>();
  __threadfence();  // this thread's part of `mean`, before the block's arrival
  __syncthreads();
  const int64_t image = block_index_again() / blocks;
  if (threadIdx.x == 0) *arrived_before = atomicInc(task.counters + image, blocks - 1);
  __syncthreads();
  const bool last = *arrived_before == blocks - 1;
  __syncthreads();  // everyone has read it: the tail may overwrite it
  if (!last) return;
  __threadfence();
  const T* start = static_cast<const T*>(mean) + image * task.tail.regions * task.tail.channels;
  ImageTail<T>(task.tail, task.outputs, image, shared_memory<Accumulate<T>>()).run(start);
}

}  // namespace lnlattennet::cuda
