// The cluster kernels for float32 features.
#include "attention.cuh"

namespace lnlattennet::cuda::cluster {

Kernel float_kernel(int lanes) { return kernel_for<float>(lanes); }

}  // namespace lnlattennet::cuda::cluster
