// torch tensors -> the framework-free problems, with every rule checked: rule and value are in the message.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <sstream>
#include <string>

#include "../core/problem.h"

namespace lnlattennet::binding {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline std::string shape(const Tensor& tensor) {
  std::ostringstream text;
  text << "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) text << (i ? ", " : "") << tensor.size(i);
  text << "]";
  return text.str();
}

inline DType dtype(const Tensor& tensor, const char* name) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float: return DType::f32;
    case ScalarType::Half: return DType::f16;
    case ScalarType::BFloat16: return DType::bf16;
    case ScalarType::Double: return DType::f64;
    default: break;
  }
  STD_TORCH_CHECK(false, name, " must be float32, float16, bfloat16 or float64, got scalar type ",
                  torch::headeronly::toString(tensor.scalar_type()));
}

inline void check_same_device(const Tensor& tensor, const char* name, const Tensor& reference,
                              const char* reference_name) {
  STD_TORCH_CHECK(tensor.is_cpu() == reference.is_cpu() && tensor.get_device_index() == reference.get_device_index(),
                  name, " and ", reference_name, " must be on one device");
}

inline void check_parameter(const Tensor& tensor, const char* name, const Tensor& reference,
                            const char* reference_name) {
  check_same_device(tensor, name, reference, reference_name);
  const ScalarType type = tensor.scalar_type();
  STD_TORCH_CHECK(type == reference.scalar_type() || type == ScalarType::Float, name, " must have the type of ",
                  reference_name, " (", torch::headeronly::toString(reference.scalar_type()), ") or float32, got ",
                  torch::headeronly::toString(type));
}

inline void check_shape(const Tensor& tensor, const char* name, std::initializer_list<int64_t> expected) {
  bool fits = tensor.dim() == int64_t(expected.size());
  std::ostringstream text;
  int64_t i = 0;
  for (const int64_t size : expected) {
    fits = fits && tensor.size(i) == size;
    text << (i++ ? ", " : "") << size;
  }
  STD_TORCH_CHECK(fits, name, " must be [", text.str(), "], got ", shape(tensor));
}

inline void check_features(const Tensor& features, const Tensor& query, int64_t grid) {
  STD_TORCH_CHECK(features.dim() == 4, "features must be [B, C, H, W], got ", shape(features));
  STD_TORCH_CHECK(grid >= 1, "grid must be at least 1, got ", grid);
  const int64_t channels = features.size(1), height = features.size(2), width = features.size(3);
  STD_TORCH_CHECK(channels >= 1 && height >= 1 && width >= 1, "features must have channels and positions, got ",
                  shape(features));
  STD_TORCH_CHECK(height % grid == 0 && width % grid == 0, "features of ", height, "x", width,
                  " positions cannot be cut into a ", grid, "x", grid, " grid");
  STD_TORCH_CHECK(query.dim() == 3 && query.size(0) == grid * grid && query.size(1) >= 1 && query.size(2) == channels,
                  "query must be [", grid * grid, ", heads, ", channels, "], got ", shape(query));
  dtype(features, "features");
  check_parameter(query, "query", features, "features");
}

inline void check_mean(const Tensor& mean) {
  STD_TORCH_CHECK(mean.dim() == 3 && mean.size(1) >= 1 && mean.size(2) >= 1, "mean must be [B, K, C], got ",
                  shape(mean));
  dtype(mean, "mean");
}

inline void check_gradients(const Tensor& grad_pooled, const Tensor& grad_mean, const Tensor& features,
                            const Tensor& query) {
  check_shape(grad_pooled, "grad_pooled", {features.size(0), query.size(0), query.size(1), query.size(2)});
  check_shape(grad_mean, "grad_mean", {features.size(0), query.size(0), query.size(2)});
  check_same_device(grad_pooled, "grad_pooled", features, "features");
  check_same_device(grad_mean, "grad_mean", features, "features");
}

// The type that sums are kept in.
inline ScalarType accumulation(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline Tensor dense(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

inline Tensor converted(const Tensor& tensor, ScalarType type) {
  return dense(tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type));
}

// True if the kernels read the map as it stands: channels or columns next to each other.
inline bool readable(const Tensor& features) { return features.stride(1) == 1 || features.stride(3) == 1; }

inline FeatureMap feature_map(const Tensor& features, void* data) {
  return {data,
          dtype(features, "features"),
          features.size(0),
          features.size(1),
          features.size(2),
          features.size(3),
          features.stride(0),
          features.stride(1),
          features.stride(2),
          features.stride(3)};
}

inline FeatureMap feature_map(const Tensor& features) {
  return feature_map(features, const_cast<void*>(features.const_data_ptr()));
}

// Features as the kernels read them: the map itself, unless its layout is neither kind.
inline Tensor readable_map(const Tensor& features) {
  return readable(features) ? features
                            : torch::stable::contiguous(features, torch::headeronly::MemoryFormat::ChannelsLast);
}

// True if the map fills its memory in the order batch, row, column, channel.
inline bool dense_channels_last(const Tensor& features) {
  int64_t expected = 1;
  for (const int64_t dimension : {1, 3, 2, 0}) {
    if (features.size(dimension) == 1) continue;
    if (features.stride(dimension) != expected) return false;
    expected *= features.size(dimension);
  }
  return true;
}

// Memory for the gradient of a readable map: dense, with the map's own stride of 1, which the kernels share.
inline Tensor empty_gradient(const Tensor& map) {
  using torch::headeronly::MemoryFormat;
  const auto format = map.stride(1) == 1 ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  return torch::stable::empty(map.sizes(), map.scalar_type(), std::nullopt, map.device(), std::nullopt, format);
}

// The layout of the gradient of `features`: theirs if they are dense, else contiguous.
inline Tensor in_gradient_layout(const Tensor& gradient, const Tensor& features) {
  using torch::headeronly::MemoryFormat;
  const bool kept = !features.is_contiguous() && dense_channels_last(features);
  return torch::stable::contiguous(gradient, kept ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
}

inline RegionAttention region_problem(const Tensor& features, const Tensor& query, int64_t grid) {
  return {feature_map(features), grid, query.size(1), query.const_data_ptr(), dtype(query, "query")};
}

// The learned tensors of the non-local attention, in the order of the operators' arguments.
struct NonlocalTensors {
  Tensor position, query_weight, key_weight, value_weight, value_bias, score_weight;
};

// `regions` and `channels` are those of the means; `reference_name` names the tensor that has them.
inline void check_nonlocal(const NonlocalTensors& nonlocal, const Tensor& reference, const char* reference_name,
                           int64_t regions, int64_t channels) {
  check_shape(nonlocal.position, "position", {regions, channels});
  STD_TORCH_CHECK(nonlocal.query_weight.dim() == 2 && nonlocal.query_weight.size(0) >= 1,
                  "query_weight must be [width, ", channels, "], got ", shape(nonlocal.query_weight));
  const int64_t width = nonlocal.query_weight.size(0);
  check_shape(nonlocal.query_weight, "query_weight", {width, channels});
  check_shape(nonlocal.key_weight, "key_weight", {width, channels});
  check_shape(nonlocal.value_weight, "value_weight", {width, channels});
  check_shape(nonlocal.value_bias, "value_bias", {width});
  check_shape(nonlocal.score_weight, "score_weight", {width});
  const auto check = [&](const Tensor& tensor, const char* name) {
    check_parameter(tensor, name, reference, reference_name);
    STD_TORCH_CHECK(tensor.scalar_type() == nonlocal.position.scalar_type(), name, " must have the type of position (",
                    torch::headeronly::toString(nonlocal.position.scalar_type()), "), got ",
                    torch::headeronly::toString(tensor.scalar_type()));
  };
  check(nonlocal.position, "position");
  check(nonlocal.query_weight, "query_weight");
  check(nonlocal.key_weight, "key_weight");
  check(nonlocal.value_weight, "value_weight");
  check(nonlocal.value_bias, "value_bias");
  check(nonlocal.score_weight, "score_weight");
}

// The learned tensors, contiguous and of type `parameters`; they stay alive while a kernel reads them.
struct NonlocalArguments {
  NonlocalTensors tensors;
  NonlocalAttention problem;

  NonlocalArguments(const NonlocalTensors& source, int64_t batch, ScalarType parameters)
      : tensors{converted(source.position, parameters),   converted(source.query_weight, parameters),
                converted(source.key_weight, parameters), converted(source.value_weight, parameters),
                converted(source.value_bias, parameters), converted(source.score_weight, parameters)},
        problem{batch,
                tensors.position.size(0),
                tensors.position.size(1),
                tensors.query_weight.size(0),
                dtype(tensors.position, "position"),
                tensors.position.const_data_ptr(),
                tensors.query_weight.const_data_ptr(),
                tensors.key_weight.const_data_ptr(),
                tensors.value_weight.const_data_ptr(),
                tensors.value_bias.const_data_ptr(),
                tensors.score_weight.const_data_ptr()} {}
};

}  // namespace lnlattennet::binding
