// Checks a problem against the device's limits and picks the kernel for it.
#include "region_attention.h"

#include "cluster/dispatch.h"
#include "common/counters.h"
#include "common/launch.cuh"

namespace lnlattennet::cuda {
namespace {

constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxElements = int64_t{1} << 30;
constexpr int64_t kMaxBackwardHeads = 1024;  // their statistics share a block's memory

// Sizes and offsets within a region are ints in the kernels.
const char* check_problem(const RegionAttention& problem) {
  const FeatureMap& f = problem.features;
  const int64_t regions = problem.grid * problem.grid;
  if (f.batch * regions > kMaxBlocks) return "region attention: batch x regions must be below 2^31; split the batch";
  const int64_t span = (f.height / problem.grid) * f.row_stride + (f.width / problem.grid) * f.column_stride +
                       f.channels * f.channel_stride;
  if (span > kMaxElements || f.height * f.width > kMaxElements || problem.heads * f.channels > kMaxElements) {
    return "region attention: a region must span fewer than 2^30 elements of memory; use smaller feature maps";
  }
  return nullptr;
}

}  // namespace

const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* nonlocal, const NonlocalOutputs* nonlocal_outputs, void* scratch,
                             Variant variant, void* stream) {
  if (problem.features.batch == 0) return nullptr;
  if (const char* failure = check_problem(problem)) return failure;
  if (nonlocal != nullptr && scratch_bytes(*nonlocal, problem.features.dtype) > 0) {
    const char* failure = region_attention(problem, outputs, nullptr, nullptr, nullptr, variant, stream);
    return failure ? failure
                   : nonlocal_attention(*nonlocal, outputs.mean, problem.features.dtype, *nonlocal_outputs, scratch,
                                        stream);
  }
  if (variant == Variant::automatic) variant = cluster::preferred(problem, nonlocal);
  if (variant != Variant::portable) {
    if (!cluster::supports(problem, nonlocal, variant))
      return "this GPU cannot run this problem with thread block clusters";
    return cluster::region_attention(problem, outputs, nonlocal, nonlocal_outputs, variant, stream);
  }
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  NonlocalEpilogue epilogue = {};
  if (nonlocal != nullptr) {
    unsigned* counters = nullptr;
    if (const char* failure = acquire_counters(problem.features.batch, stream, &counters)) return failure;
    epilogue = {*nonlocal, *nonlocal_outputs, counters};
  }
  return problem.features.channel_stride != 1 && contiguous_forward_fits(problem, limits.shared_bytes)
             ? contiguous_forward(problem, outputs, epilogue, stream)
             : channels_last_forward(problem, outputs, epilogue, stream);
}

const char* region_attention_backward(const RegionAttention& problem, const RegionGradients& gradients,
                                      const FeatureMap& grad_features, void* grad_query_partial, void* stream) {
  if (problem.features.batch == 0) return nullptr;
  if (const char* failure = check_problem(problem)) return failure;
  if (problem.heads > kMaxBackwardHeads) return "the gradient of region attention takes at most 1024 heads";
  RegionAttention target = problem;
  target.features = grad_features;
  if (const char* failure = check_problem(target)) return failure;
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  const BackwardProblem backward = {problem, gradients, grad_features, grad_query_partial};
  return problem.features.channel_stride != 1 && contiguous_backward_fits(backward, limits.shared_bytes)
             ? contiguous_backward(backward, stream)
             : channels_last_backward(backward, stream);
}

}  // namespace lnlattennet::cuda
