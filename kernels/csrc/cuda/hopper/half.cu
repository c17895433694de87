#include "cluster_attention.cuh"

namespace lnlattennet::cuda::hopper {

Kernel half_kernel(int lanes) { return kernel_for<Half>(lanes); }

}  // namespace lnlattennet::cuda::hopper
