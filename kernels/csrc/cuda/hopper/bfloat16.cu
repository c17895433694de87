#include "cluster_attention.cuh"

namespace lnlattennet::cuda::hopper {

Kernel bfloat16_kernel(int lanes) { return kernel_for<BFloat16>(lanes); }

}  // namespace lnlattennet::cuda::hopper
