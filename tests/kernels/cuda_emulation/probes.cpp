// Kernels with a mistake each, by which the tests check that the emulation notices.
#include "probes.h"

#include <emulated_host.h>

namespace {

using lnlattennet::cuda::shared_memory;

// Every thread hands its number to its neighbor.
__global__ void pass_on(float* out, Probe probe) {
  float* shared = shared_memory<float>();
  if (probe != Probe::unwritten_memory || threadIdx.x > 0) shared[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (probe == Probe::skipped_barrier && threadIdx.x == 5) return;
  if (probe != Probe::missing_barrier) __syncthreads();
  const unsigned neighbor = (threadIdx.x + 1) % blockDim.x;
  out[probe == Probe::outside ? threadIdx.x + 1 : threadIdx.x] = shared[neighbor];
}

}  // namespace

const char* run_probe(Probe probe, float* out, int threads) {
  using namespace lnlattennet::cuda;
  return message(launch_kernel(pass_on, {1, threads, threads * 4}, nullptr, out, probe));
}
