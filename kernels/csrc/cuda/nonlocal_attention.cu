// The non-local tail on its own: a block per image.
#include "host.cuh"
#include "launch.h"
#include "tail_task.h"

namespace lnlattennet::cuda {
namespace {

constexpr int kThreads = 256;

// `scratch` [batch, tail elements]: only for tails that do not fit shared memory.
template <class T, bool kShared>
__global__ void __launch_bounds__(kThreads, 2)
    nonlocal_attention_kernel(const void* mean, const __grid_constant__ NonlocalAttention tail,
                              const __grid_constant__ NonlocalOutputs outputs, void* scratch) {
  const int64_t image = blockIdx.x;
  const T* start = static_cast<const T*>(mean) + image * tail.regions * tail.channels;
  auto* own = static_cast<Accumulate<T>*>(scratch) + image * tail_elements(tail, kThreads);
  ImageTail<T>(tail, outputs, image, kShared ? shared_memory<Accumulate<T>>() : own).run(start);
}

}  // namespace

int64_t scratch_bytes(const NonlocalAttention& tail, DType means) {
  // Whichever kernel the tail follows, its block has room for it: blocks of more threads need more.
  if (tail_shared_bytes(tail, means, kMostTailThreads) > 0) return 0;
  return tail.batch * tail_elements(tail, kThreads) * accumulation_bytes(means);
}

const char* nonlocal_attention(const NonlocalAttention& tail, const void* mean, DType mean_dtype,
                               const NonlocalOutputs& outputs, void* scratch, void* stream) {
  if (tail.batch == 0) return nullptr;
  if (const char* failure = check_tail(tail)) return failure;
  const LaunchShape shape{tail.batch, kThreads, tail_shared_bytes(tail, mean_dtype, kThreads)};
  return dispatch(mean_dtype, [&](auto element) {
    using T = decltype(element);
    const bool shared = shape.shared_bytes > 0;
    const auto kernel = shared ? nonlocal_attention_kernel<T, true> : nonlocal_attention_kernel<T, false>;
    return message(launch_kernel(kernel, shape, stream, mean, tail, outputs, scratch));
  });
}

}  // namespace lnlattennet::cuda
