// Takes the place of kernels/csrc/cuda/common/launch.cuh: launches run at once, on the fibers of scheduler.h.
#pragma once

#include "emulated_device.h"

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1 };

namespace lnlattennet::cuda {

struct DeviceLimits {
  int capability;
  int processors;
  int shared_bytes;
};

// What the tests pretend the device to be.
inline DeviceLimits emulated_limits{90, 132, 227 * 1024};

inline cudaError_t device_limits(DeviceLimits& limits) {
  limits = emulated_limits;
  return cudaSuccess;
}

struct LaunchShape {
  int64_t blocks;
  int threads;
  int64_t shared_bytes = 0;
  int cluster = 1;
  bool overlap = false;
};

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape, void*,
                          const Arguments&... arguments) {
  if (shape.shared_bytes > emulated_limits.shared_bytes || shape.blocks <= 0) return cudaErrorInvalidValue;
  const emulation::Grid grid{static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.threads),
                             static_cast<unsigned>(shape.cluster), shape.shared_bytes};
  emulation::scheduler().run(grid, [&] { kernel(static_cast<Parameters>(arguments)...); });
  return cudaSuccess;
}

template <class... Parameters>
cudaError_t active_clusters(void (*)(Parameters...), const LaunchShape& shape, int& clusters) {
  if (shape.cluster == 1) return cudaErrorInvalidValue;  // as CUDA does for a launch without clusters
  clusters = 1;
  return cudaSuccess;
}

inline const char* message(cudaError_t error) {
  return error == cudaSuccess ? nullptr : "emulated launch: shared memory or grid outside the limits";
}

}  // namespace lnlattennet::cuda
