// The non-local attention on its own: a block per image.
#include "attention.cuh"

#include "../common/launch.cuh"

namespace lnlattennet::cuda {
namespace {

constexpr int kThreads = 256;

// `scratch` [batch, nonlocal_elements]: only where those do not fit shared memory.
template <class T, bool kShared>
__global__ void __launch_bounds__(kThreads, 2)
    nonlocal_attention_kernel(const void* mean, const __grid_constant__ NonlocalAttention nonlocal,
                              const __grid_constant__ NonlocalOutputs outputs, void* scratch) {
  const int64_t image = blockIdx.x;
  const T* start = static_cast<const T*>(mean) + image * nonlocal.regions * nonlocal.channels;
  auto* own = static_cast<Accumulate<T>*>(scratch) + image * nonlocal_elements(nonlocal, kThreads);
  ImageNonlocal<T>(nonlocal, outputs, image, kShared ? shared_memory<Accumulate<T>>() : own).run(start);
}

}  // namespace

int64_t scratch_bytes(const NonlocalAttention& nonlocal, DType means) {
  // Whichever kernel it is the epilogue of, the block has room for it: blocks of more threads need more.
  if (nonlocal_shared_bytes(nonlocal, means, kMaxNonlocalThreads) > 0) return 0;
  return nonlocal.batch * nonlocal_elements(nonlocal, kThreads) * accumulation_bytes(means);
}

const char* nonlocal_attention(const NonlocalAttention& nonlocal, const void* mean, DType mean_dtype,
                               const NonlocalOutputs& outputs, void* scratch, void* stream) {
  if (nonlocal.batch == 0) return nullptr;
  if (const char* failure = check_nonlocal(nonlocal)) return failure;
  const LaunchShape shape{nonlocal.batch, kThreads, nonlocal_shared_bytes(nonlocal, mean_dtype, kThreads)};
  return dispatch(mean_dtype, [&](auto element) {
    using T = decltype(element);
    const bool shared = shape.shared_bytes > 0;
    const auto kernel = shared ? nonlocal_attention_kernel<T, true> : nonlocal_attention_kernel<T, false>;
    return message(launch_kernel(kernel, shape, stream, mean, nonlocal, outputs, scratch));
  });
}

}  // namespace lnlattennet::cuda
