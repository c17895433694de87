// The operators on CUDA devices: checked tensors in, the framework-free launchers on torch's stream, tensors out.
// Needs no CUDA header and no symbol of torch's CUDA libraries, so that it also loads where torch has none.

#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>

#include <cstdlib>
#include <optional>
#include <tuple>

#include "../cuda/region_attention.h"
#include "arguments.h"

namespace lnlattennet::binding {
namespace {

// The stream that torch's own operators would use on the tensor's device.
void* current_stream(const Tensor& tensor) {
  using Function = AOTITorchError (*)(int32_t, void**);
  static const auto function = [] {
    const char* const name = "aoti_torch_get_current_cuda_stream";
    void* symbol = dlsym(RTLD_DEFAULT, name);
    if (!symbol)
      if (void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD)) symbol = dlsym(library, name);
    return reinterpret_cast<Function>(symbol);
  }();
  STD_TORCH_CHECK(function,
                  "this torch has no CUDA stream (its CUDA library is not loaded); install a CUDA build of torch");
  void* stream = nullptr;
  STD_TORCH_CHECK(function(tensor.get_device_index(), &stream) == 0, "torch gave no CUDA stream");
  return stream;
}

void check(const char* failure) { STD_TORCH_CHECK(failure == nullptr, failure); }

// LNLATTENNET_CUDA_VARIANT is for tests and benchmarks, which compare the variants within one process.
cuda::Variant variant() {
  const char* wanted = std::getenv("LNLATTENNET_CUDA_VARIANT");
  const std::string name = wanted ? wanted : "";
  if (name.empty() || name == "automatic") return cuda::Variant::automatic;
  if (name == "portable") return cuda::Variant::portable;
  if (name == "cluster_bands") return cuda::Variant::cluster_bands;
  if (name == "cluster_regions") return cuda::Variant::cluster_regions;
  STD_TORCH_CHECK(false, "LNLATTENNET_CUDA_VARIANT is '", name,
                  "': choose automatic, portable, cluster_bands or cluster_regions, or unset it");
}

// Tensors of the non-local outputs, and what the launchers take.
struct NonlocalResults {
  Tensor weights, affinity, context;
  NonlocalOutputs pointers;

  explicit NonlocalResults(const NonlocalArguments& nonlocal)
      : weights(
            torch::stable::new_empty(nonlocal.tensors.position, {nonlocal.problem.batch, nonlocal.problem.regions})),
        affinity(torch::stable::new_empty(
            nonlocal.tensors.position, {nonlocal.problem.batch, nonlocal.problem.regions, nonlocal.problem.regions})),
        context(torch::stable::new_empty(nonlocal.tensors.position, {nonlocal.problem.batch, nonlocal.problem.width})),
        pointers{weights.mutable_data_ptr(), affinity.mutable_data_ptr(), context.mutable_data_ptr()} {}
};

// Memory for non-local attention too wide for a block's own; none for every usual shape.
std::optional<Tensor> scratch(const NonlocalArguments& nonlocal, const Tensor& data) {
  const int64_t bytes = cuda::scratch_bytes(nonlocal.problem, dtype(data, "features"));
  if (bytes == 0) return std::nullopt;
  return torch::stable::new_empty(data, {bytes}, ScalarType::Byte);
}

void* data_of(const std::optional<Tensor>& tensor) { return tensor ? tensor->mutable_data_ptr() : nullptr; }

// One launch: pooled and mean, and with `nonlocal` its outputs too.
std::tuple<Tensor, Tensor> launch_forward(const Tensor& features, const Tensor& query, int64_t grid,
                                          const NonlocalArguments* nonlocal, const NonlocalResults* nonlocal_outputs) {
  const int64_t batch = features.size(0), channels = features.size(1), heads = query.size(1);
  Tensor pooled = torch::stable::new_empty(features, {batch, grid * grid, heads, channels});
  Tensor mean = torch::stable::new_empty(features, {batch, grid * grid, channels});
  const torch::stable::accelerator::DeviceGuard guard(features.get_device_index());
  const Tensor map = readable_map(features), parameters = dense(query);
  const std::optional<Tensor> memory = nonlocal ? scratch(*nonlocal, features) : std::nullopt;
  check(cuda::region_attention(
      region_problem(map, parameters, grid), {pooled.mutable_data_ptr(), mean.mutable_data_ptr()},
      nonlocal ? &nonlocal->problem : nullptr, nonlocal ? &nonlocal_outputs->pointers : nullptr, data_of(memory),
      variant(), current_stream(features)));
  return {pooled, mean};
}

std::tuple<Tensor, Tensor> region_attention(Tensor features, Tensor query, int64_t grid) {
  check_features(features, query, grid);
  return launch_forward(features, query, grid, nullptr, nullptr);
}

std::tuple<Tensor, Tensor> region_attention_backward(Tensor grad_pooled, Tensor grad_mean, Tensor features,
                                                     Tensor query, int64_t grid) {
  check_features(features, query, grid);
  check_gradients(grad_pooled, grad_mean, features, query);
  const torch::stable::accelerator::DeviceGuard guard(features.get_device_index());
  const Tensor map = readable_map(features), parameters = dense(query);
  const Tensor incoming_pooled = converted(grad_pooled, features.scalar_type());
  const Tensor incoming_mean = converted(grad_mean, features.scalar_type());
  Tensor grad_map = empty_gradient(map);
  const int64_t batch = features.size(0), regions = query.size(0), heads = query.size(1), channels = query.size(2);
  Tensor partial = torch::stable::new_empty(query, {batch, regions, heads, channels}, accumulation(features));
  check(cuda::region_attention_backward(
      region_problem(map, parameters, grid), {incoming_pooled.const_data_ptr(), incoming_mean.const_data_ptr()},
      feature_map(grad_map, grad_map.mutable_data_ptr()), partial.mutable_data_ptr(), current_stream(features)));
  const int64_t first[] = {0};
  const Tensor grad_query = torch::stable::sum(partial, torch::headeronly::IntHeaderOnlyArrayRef(first, 1));
  return {in_gradient_layout(grad_map, features), converted(grad_query, query.scalar_type())};
}

std::tuple<Tensor, Tensor, Tensor> nonlocal_attention(Tensor mean, Tensor position, Tensor query_weight,
                                                      Tensor key_weight, Tensor value_weight, Tensor value_bias,
                                                      Tensor score_weight) {
  check_mean(mean);
  const NonlocalTensors tensors{position, query_weight, key_weight, value_weight, value_bias, score_weight};
  check_nonlocal(tensors, mean, "mean", mean.size(1), mean.size(2));
  const torch::stable::accelerator::DeviceGuard guard(mean.get_device_index());
  const Tensor data = dense(mean);
  const NonlocalArguments nonlocal(tensors, mean.size(0), position.scalar_type());
  const NonlocalResults outputs(nonlocal);
  const std::optional<Tensor> memory = scratch(nonlocal, data);
  check(cuda::nonlocal_attention(nonlocal.problem, data.const_data_ptr(), dtype(data, "mean"), outputs.pointers,
                                 data_of(memory), current_stream(data)));
  return {outputs.weights, outputs.affinity, outputs.context};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> local_nonlocal_attention(Tensor features, Tensor query, int64_t grid,
                                                                            Tensor position, Tensor query_weight,
                                                                            Tensor key_weight, Tensor value_weight,
                                                                            Tensor value_bias, Tensor score_weight) {
  check_features(features, query, grid);
  const NonlocalTensors tensors{position, query_weight, key_weight, value_weight, value_bias, score_weight};
  check_nonlocal(tensors, features, "features", grid * grid, features.size(1));
  const NonlocalArguments nonlocal(tensors, features.size(0), position.scalar_type());
  const NonlocalResults outputs(nonlocal);
  auto [pooled, mean] = launch_forward(features, query, grid, &nonlocal, &outputs);
  return {pooled, mean, outputs.weights, outputs.affinity, outputs.context};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(lnlattennet, CUDA, library) {
  library.impl("region_attention", TORCH_BOX(&region_attention));
  library.impl("region_attention_backward", TORCH_BOX(&region_attention_backward));
  library.impl("nonlocal_attention", TORCH_BOX(&nonlocal_attention));
  library.impl("local_nonlocal_attention", TORCH_BOX(&local_nonlocal_attention));
}

}  // namespace lnlattennet::binding
