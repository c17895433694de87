#include "cluster_attention.cuh"

namespace lnlattennet::cuda::hopper {

Kernel float_kernel(int lanes) { return kernel_for<float>(lanes); }

}  // namespace lnlattennet::cuda::hopper
