// One table per SIMD target; x86-64 has all of them, other machines the generic one.
#pragma once

#include "kernels.h"

namespace lnlattennet::cpu {

extern const Kernels generic_kernels, avx2_kernels, avx512_kernels, avx512_bf16_kernels;

}  // namespace lnlattennet::cpu
