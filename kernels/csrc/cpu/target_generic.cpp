// The CPU kernels for every CPU: SSE2 on x86-64, NEON on Arm.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"
#define LNL_VECTOR_BYTES 16

#include "kernels-inl.h"

const lnlattennet::cpu::Kernels lnlattennet::cpu::generic_kernels = {"generic", forward, backward, nonlocal};
