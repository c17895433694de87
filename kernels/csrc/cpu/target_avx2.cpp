// The CPU kernels for AVX2.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
#define LNL_VECTOR_BYTES 32

#include "kernels-inl.h"

const lnlattennet::cpu::Kernels lnlattennet::cpu::avx2_kernels = {"avx2", forward, backward, nonlocal};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif  // __x86_64__
