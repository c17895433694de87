// The CPU kernels for avx2.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"
#include "targets.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
#define LNL_VECTOR_BYTES 32

namespace lnlattennet::cpu {
namespace {
namespace avx2 {
#include "target.h"
}  // namespace avx2
}  // namespace

const Kernels avx2_kernels = {"avx2", avx2::forward, avx2::backward, avx2::nonlocal};

}  // namespace lnlattennet::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif  // __x86_64__
