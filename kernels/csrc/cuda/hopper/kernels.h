// Which kernel pools elements of a type; a source file per type, so that they compile side by side.
#pragma once

#include "plan.h"

namespace lnlattennet::cuda::hopper {

using Kernel = void (*)(Arguments);

// The kernel for `lanes` lanes (2, 4, ..., 32) that share a position.
Kernel half_kernel(int lanes);
Kernel bfloat16_kernel(int lanes);
Kernel float_kernel(int lanes);

}  // namespace lnlattennet::cuda::hopper
