// Choice of the SIMD target: the best of this CPU, unless LNLATTENNET_CPU_TARGET asks for another.

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

namespace lnlattennet::cpu {
namespace {

// Best first.
std::vector<const Kernels*> supported() {
  std::vector<const Kernels*> targets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) targets.push_back(&avx512_bf16_kernels);
  if (avx512) targets.push_back(&avx512_kernels);
  if (avx2) targets.push_back(&avx2_kernels);
#endif
  targets.push_back(&generic_kernels);
  return targets;
}

const Kernels& choose() {
  const auto targets = supported();
  const char* wanted = std::getenv("LNLATTENNET_CPU_TARGET");
  if (!wanted || !*wanted) return *targets.front();
  std::string names;
  for (const Kernels* kernels : targets) {
    if (std::string(wanted) == kernels->target) return *kernels;
    names += (names.empty() ? "" : ", ") + std::string(kernels->target);
  }
  throw std::runtime_error("LNLATTENNET_CPU_TARGET is '" + std::string(wanted) + "': this CPU runs " + names +
                           "; choose one of them or unset the variable");
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace lnlattennet::cpu
