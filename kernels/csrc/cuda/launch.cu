// Checks a problem against the device's limits and picks the kernel for it.
#include "launch.h"

#include "backward.h"
#include "counters.h"
#include "forward.h"
#include "hopper/hopper.h"
#include "host.cuh"
#include "tail_task.h"

namespace lnlattennet::cuda {
namespace {

constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;
constexpr int64_t kMostElements = int64_t{1} << 30;
constexpr int64_t kMostBackwardHeads = 1024;  // their statistics share a block's memory

// Sizes and offsets within a region are ints in the kernels.
const char* check_problem(const RegionAttention& problem) {
  const FeatureMap& f = problem.features;
  const int64_t regions = problem.grid * problem.grid;
  if (f.batch * regions > kMostBlocks) return "region attention: batch x regions must be below 2^31; split the batch";
  const int64_t span = (f.height / problem.grid) * f.row_stride + (f.width / problem.grid) * f.column_stride +
                       f.channels * f.channel_stride;
  if (span > kMostElements || f.height * f.width > kMostElements || problem.heads * f.channels > kMostElements) {
    return "region attention: a region must span fewer than 2^30 elements of memory; use smaller feature maps";
  }
  return nullptr;
}

}  // namespace

const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* tail, const NonlocalOutputs* tail_outputs, void* scratch,
                             Variant variant, void* stream) {
  if (problem.features.batch == 0) return nullptr;
  if (const char* failure = check_problem(problem)) return failure;
  if (tail != nullptr && scratch_bytes(*tail, problem.features.dtype) > 0) {
    const char* failure = region_attention(problem, outputs, nullptr, nullptr, nullptr, variant, stream);
    return failure ? failure
                   : nonlocal_attention(*tail, outputs.mean, problem.features.dtype, *tail_outputs, scratch, stream);
  }
  if (variant == Variant::automatic) variant = hopper::preferred(problem, tail);
  if (variant != Variant::portable) {
    if (!hopper::supports(problem, tail, variant)) return "this GPU cannot run this problem with thread block clusters";
    return hopper::region_attention(problem, outputs, tail, tail_outputs, variant, stream);
  }
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  TailTask task = {};
  if (tail != nullptr) {
    unsigned* counters = nullptr;
    if (const char* failure = acquire_counters(problem.features.batch, stream, &counters)) return failure;
    task = {*tail, *tail_outputs, counters};
  }
  return problem.features.channel_stride != 1 && contiguous_forward_fits(problem, limits.shared_bytes)
             ? contiguous_forward(problem, outputs, task, stream)
             : channels_last_forward(problem, outputs, task, stream);
}

const char* region_attention_backward(const RegionAttention& problem, const RegionGradients& gradients,
                                      const FeatureMap& grad_features, void* grad_query_partial, void* stream) {
  if (problem.features.batch == 0) return nullptr;
  if (const char* failure = check_problem(problem)) return failure;
  if (problem.heads > kMostBackwardHeads) return "the gradient of region attention takes at most 1024 heads";
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
