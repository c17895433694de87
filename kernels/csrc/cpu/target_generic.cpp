// The CPU kernels for generic.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"
#include "targets.h"
#define LNL_VECTOR_BYTES 16

namespace lnlattennet::cpu {
namespace {
namespace generic {
#include "target.h"
}  // namespace generic
}  // namespace

const Kernels generic_kernels = {"generic", generic::forward, generic::backward, generic::nonlocal};

}  // namespace lnlattennet::cpu
