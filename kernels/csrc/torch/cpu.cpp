// The operators on the CPU: checked tensors in, the framework-free kernels in torch's threads, tensors out.

#include <algorithm>
#include <tuple>

#include "../cpu/kernels.h"
#include "arguments.h"

namespace lnlattennet::binding {
namespace {

// Below this many elements of work a second thread costs more than it saves.
constexpr int64_t elements_per_thread = 16384;

// Calls f(begin, end, chunk) for at most get_num_threads() even ranges of `items`; returns the number of ranges.
int64_t chunk_count(int64_t items, int64_t elements_per_item) {
  const int64_t useful = (items * elements_per_item + elements_per_thread - 1) / elements_per_thread;
  return std::max<int64_t>(1, std::min({int64_t(torch::stable::get_num_threads()), items, useful}));
}

template <class F>
void for_chunks(int64_t items, int64_t chunks, const F& f) {
  torch::stable::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) f(items * chunk / chunks, items * (chunk + 1) / chunks, chunk);
  });
}

int64_t band_elements(const FeatureMap& map, int64_t grid) { return map.channels * map.height * map.width / grid; }

std::tuple<Tensor, Tensor> region_attention(Tensor features, Tensor query, int64_t grid) {
  check_features(features, query, grid);
  const int64_t batch = features.size(0), channels = features.size(1), heads = query.size(1);
  Tensor pooled = torch::stable::new_empty(features, {batch, grid * grid, heads, channels});
  Tensor mean = torch::stable::new_empty(features, {batch, grid * grid, channels});
  if (batch == 0) return {pooled, mean};
  const Tensor map = readable_map(features), parameters = converted(query, accumulation(features));
  const RegionAttention problem = region_problem(map, parameters, grid);
  const RegionOutputs outputs = {pooled.mutable_data_ptr(), mean.mutable_data_ptr()};
  const cpu::Kernels& kernels = cpu::kernels();
  const int64_t bands = batch * grid;
  for_chunks(bands, chunk_count(bands, band_elements(problem.features, grid)),
             [&](int64_t begin, int64_t end, int64_t) { kernels.region_attention(problem, outputs, begin, end); });
  return {pooled, mean};
}

std::tuple<Tensor, Tensor> region_attention_backward(Tensor grad_pooled, Tensor grad_mean, Tensor features,
                                                     Tensor query, int64_t grid) {
  check_features(features, query, grid);
  const int64_t batch = features.size(0), channels = features.size(1), heads = query.size(1);
  check_gradients(grad_pooled, grad_mean, features, query);
  const ScalarType type = accumulation(features);
  const int64_t bands = batch * grid;
  const Tensor map = readable_map(features), parameters = converted(query, type);
  const Tensor incoming_pooled = converted(grad_pooled, features.scalar_type());
  const Tensor incoming_mean = converted(grad_mean, features.scalar_type());
  Tensor grad_map = empty_gradient(map);
  const RegionAttention problem = region_problem(map, parameters, grid);
  const RegionGradients gradients = {incoming_pooled.const_data_ptr(), incoming_mean.const_data_ptr()};
  const FeatureMap to = feature_map(grad_map, grad_map.mutable_data_ptr());
  const int64_t chunks = chunk_count(bands, band_elements(problem.features, grid));
  Tensor partial = torch::stable::new_zeros(parameters, {chunks, grid * grid, heads, channels});
  char* sums = static_cast<char*>(partial.mutable_data_ptr());
  const int64_t bytes = grid * grid * heads * channels * int64_t(partial.element_size());
  const cpu::Kernels& kernels = cpu::kernels();
  for_chunks(bands, chunks, [&](int64_t begin, int64_t end, int64_t chunk) {
    kernels.region_attention_backward(problem, gradients, to, sums + chunk * bytes, begin, end);
  });
  const int64_t first[] = {0};
  Tensor grad_query = torch::stable::sum(partial, torch::headeronly::IntHeaderOnlyArrayRef(first, 1));
  return {in_gradient_layout(grad_map, features), converted(grad_query, query.scalar_type())};
}

std::tuple<Tensor, Tensor, Tensor> run_nonlocal(const Tensor& mean, const NonlocalTensors& tensors) {
  const Tensor data = dense(mean);
  const ScalarType type = accumulation(mean), parameters = tensors.position.scalar_type();
  const int64_t batch = mean.size(0), regions = mean.size(1);
  const NonlocalArguments nonlocal(tensors, batch, type);
  const Tensor& like = nonlocal.tensors.position;
  Tensor weights = torch::stable::new_empty(like, {batch, regions});
  Tensor affinity = torch::stable::new_empty(like, {batch, regions, regions});
  Tensor context = torch::stable::new_empty(like, {batch, nonlocal.problem.width});
  const NonlocalOutputs outputs = {weights.mutable_data_ptr(), affinity.mutable_data_ptr(), context.mutable_data_ptr()};
  const cpu::Kernels& kernels = cpu::kernels();
  const int64_t work = 3 * regions * nonlocal.problem.width * nonlocal.problem.channels / 4;
  if (batch > 0)
    for_chunks(batch, chunk_count(batch, work), [&](int64_t begin, int64_t end, int64_t) {
      kernels.nonlocal_attention(nonlocal.problem, data.const_data_ptr(), dtype(data, "mean"), outputs, begin, end);
    });
  return {converted(weights, parameters), converted(affinity, parameters), converted(context, parameters)};
}

std::tuple<Tensor, Tensor, Tensor> nonlocal_attention(Tensor mean, Tensor position, Tensor query_weight,
                                                      Tensor key_weight, Tensor value_weight, Tensor value_bias,
                                                      Tensor score_weight) {
  check_mean(mean);
  const NonlocalTensors nonlocal{position, query_weight, key_weight, value_weight, value_bias, score_weight};
  check_nonlocal(nonlocal, mean, "mean", mean.size(1), mean.size(2));
  return run_nonlocal(mean, nonlocal);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> local_nonlocal_attention(Tensor features, Tensor query, int64_t grid,
                                                                            Tensor position, Tensor query_weight,
                                                                            Tensor key_weight, Tensor value_weight,
                                                                            Tensor value_bias, Tensor score_weight) {
  check_features(features, query, grid);
  const NonlocalTensors nonlocal{position, query_weight, key_weight, value_weight, value_bias, score_weight};
  check_nonlocal(nonlocal, features, "features", grid * grid, features.size(1));
  auto [pooled, mean] = region_attention(features, query, grid);
  auto [weights, affinity, context] = run_nonlocal(mean, nonlocal);
  return {pooled, mean, weights, affinity, context};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(lnlattennet, CPU, library) {
  library.impl("region_attention", TORCH_BOX(&region_attention));
  library.impl("region_attention_backward", TORCH_BOX(&region_attention_backward));
  library.impl("nonlocal_attention", TORCH_BOX(&nonlocal_attention));
  library.impl("local_nonlocal_attention", TORCH_BOX(&local_nonlocal_attention));
}

}  // namespace lnlattennet::binding

// The SIMD target in use, or why there is none; for `lnlattennet kernels info`.
extern "C" __attribute__((visibility("default"))) const char* lnlattennet_cpu_target() {
  try {
    return lnlattennet::cpu::kernels().target;
  } catch (const std::exception& error) {
    static const std::string message = error.what();
    return message.c_str();
  }
}
