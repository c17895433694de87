// The cluster kernels for float16 features.
#include "attention.cuh"

namespace lnlattennet::cuda::cluster {

Kernel half_kernel(int lanes) { return kernel_for<Half>(lanes); }

}  // namespace lnlattennet::cuda::cluster
