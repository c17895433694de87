// The cluster kernels for bfloat16 features.
#include "attention.cuh"

namespace lnlattennet::cuda::cluster {

Kernel bfloat16_kernel(int lanes) { return kernel_for<BFloat16>(lanes); }

}  // namespace lnlattennet::cuda::cluster
