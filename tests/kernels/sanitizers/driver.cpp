// Runs the CPU kernels on random problems in guarded memory, and compares them with plain loops in double.
//
//   driver CASES SEED [same_work | TENSOR red_zone|page]
//
// same_work: two threads do everything both. TENSOR (features, query, ...): it lacks the memory of its last element.
// Such a run must end in a sanitizer's report. Status 1: an answer is wrong. The SIMD target is
// LNLATTENNET_CPU_TARGET's.

#include <cstdio>
#include <cstdlib>

#include "check.h"
#include "nonlocal_check.h"
#include "region_check.h"

namespace {

// Now and then every size that has an edge: P = 1, one region, one channel more than a vector.
Sizes random_sizes(Random& random) {
  Sizes n;
  n.batch = uniform(random, 1, 3);
  n.grid = uniform(random, 1, 4);
  n.heads = uniform(random, 1, 3);
  n.channels = random() % 3 ? uniform(random, 1, 40) : uniform(random, 41, 130);
  n.rows = random() % 4 ? uniform(random, 1, 5) : 1;
  n.columns = random() % 4 ? uniform(random, 1, 17) : random() % 2 ? 1 : uniform(random, 30, 40);
  n.width = uniform(random, 1, 40);
  return n;
}

template <class Case>
bool passes(const Sizes& n, DType dtype, const Allocator& allocate) {
  Case at(n, dtype, allocate);
  run(at, allocate);
  if (allocate.lacks_memory() || is_right(at)) return true;
  std::printf("in batch %lld, grid %lld, heads %lld, channels %lld, cell %lldx%lld, width %lld, dtype %d\n",
              (long long)n.batch, (long long)n.grid, (long long)n.heads, (long long)n.channels, (long long)n.rows,
              (long long)n.columns, (long long)n.width, int(dtype));
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3 || count > 5) {
    std::fprintf(stderr, "usage: driver CASES SEED [same_work | TENSOR red_zone|page]\n");
    return 2;
  }
  Random random(std::strtoull(arguments[2], nullptr, 10));
  Options options;
  options.same_work = count == 4;
  if (count == 5) options.tensor = arguments[3];
  if (count == 5 && std::string(arguments[4]) == "page") options.guard = Guard::page_after;
  const Allocator allocate{options, random};
  const int64_t cases = std::strtoll(arguments[1], nullptr, 10);
  for (int64_t i = 0; i < cases; ++i) {
    const Sizes n = random_sizes(random);
    const DType dtype = DType(random() % 4);
    if (!passes<region_check::Case>(n, dtype, allocate) || !passes<nonlocal_check::Case>(n, dtype, allocate)) return 1;
  }
  std::printf("%lld cases on %s\n", (long long)cases, lnlattennet::cpu::kernels().target);
  return 0;
}
