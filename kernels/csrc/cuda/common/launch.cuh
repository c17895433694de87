// The host side of a launch: the device's limits and the launch itself, without <<< >>>.
#pragma once

#ifdef LNLATTENNET_CUDA_EMULATION
#include <emulated_host.h>
#else

#include <cuda_runtime.h>

#include <cstdint>

namespace lnlattennet::cuda {

struct DeviceLimits {
  int capability;    // 10 * major + minor
  int processors;    // streaming multiprocessors
  int shared_bytes;  // most dynamic shared memory that a block can ask for
};

// Of the current device.
inline cudaError_t device_limits(DeviceLimits& limits) {
  int device = 0, major = 0, minor = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto read = [&](int& value, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&value, attribute, device);
  };
  read(major, cudaDevAttrComputeCapabilityMajor);
  read(minor, cudaDevAttrComputeCapabilityMinor);
  read(limits.processors, cudaDevAttrMultiProcessorCount);
  read(limits.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  limits.capability = 10 * major + minor;
  return error;
}

struct LaunchShape {
  int64_t blocks;
  int threads;
  int64_t shared_bytes = 0;
  int cluster = 1;       // blocks per cluster; more than 8 asks for a non-portable size
  bool overlap = false;  // programmatic dependent launch: the kernel must call wait_for_previous_kernel
};

// Always to what the device has: a limit is the kernel's, not the launch's, and another thread may be about to launch
// the same kernel with more.
template <class Kernel>
cudaError_t raise_limits(Kernel* kernel, const LaunchShape& shape) {
  constexpr int64_t kAlwaysAllowed = 48 * 1024;
  cudaError_t error = cudaSuccess;
  if (shape.shared_bytes > kAlwaysAllowed) {
    DeviceLimits limits{};
    error = device_limits(limits);
    if (error != cudaSuccess) return error;
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 limits.shared_bytes);
  }
  if (error == cudaSuccess && shape.cluster > 8) {
    error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  }
  return error;
}

inline cudaLaunchConfig_t launch_config(const LaunchShape& shape, void* stream, cudaLaunchAttribute* attributes) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = static_cast<cudaStream_t>(stream);
  config.attrs = attributes;
  if (shape.cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  }
  if (shape.overlap) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  return config;
}

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape, void* stream,
                          const Arguments&... arguments) {
  const cudaError_t error = raise_limits(kernel, shape);
  if (error != cudaSuccess) return error;
  cudaLaunchAttribute attributes[2];
  const cudaLaunchConfig_t config = launch_config(shape, stream, attributes);
  return cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
}

// Number of clusters of this shape that the current device can hold at once; 0 where not even one fits.
template <class... Parameters>
cudaError_t active_clusters(void (*kernel)(Parameters...), const LaunchShape& shape, int& clusters) {
  const cudaError_t error = raise_limits(kernel, shape);
  if (error != cudaSuccess) return error;
  cudaLaunchAttribute attributes[2];
  const cudaLaunchConfig_t config = launch_config(shape, nullptr, attributes);
  return cudaOccupancyMaxActiveClusters(&clusters, kernel, &config);
}

// nullptr, or CUDA's own words.
inline const char* message(cudaError_t error) { return error == cudaSuccess ? nullptr : cudaGetErrorString(error); }

}  // namespace lnlattennet::cuda
#endif  // LNLATTENNET_CUDA_EMULATION
