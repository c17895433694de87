#include "scheduler.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr unsigned kConcurrentClusters = 3;  // blocks that share nothing but global memory still interleave

#if !defined(__SANITIZE_ADDRESS__)
void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
void __asan_poison_memory_region(void const volatile*, size_t) {}
void __asan_unpoison_memory_region(void const volatile*, size_t) {}
#endif

}  // namespace

Scheduler& Scheduler::instance() {
  static Scheduler scheduler;
  return scheduler;
}

void Scheduler::run(const Grid& grid, const std::function<void()>& kernel) {
  grid_ = grid;
  if (grid.threads == 0 || grid.threads > 1024 || grid.threads % 32 || grid.blocks % grid.cluster) {
    throw std::runtime_error("launch shape: " + std::to_string(grid.threads) + " threads, " +
                             std::to_string(grid.blocks) + " blocks, clusters of " + std::to_string(grid.cluster));
  }
  std::vector<unsigned> order(grid.blocks / grid.cluster);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random_);
  for (size_t first = 0; first < order.size(); first += kConcurrentClusters) {
    const size_t last = std::min(order.size(), first + kConcurrentClusters);
    run_clusters({order.begin() + static_cast<long>(first), order.begin() + static_cast<long>(last)}, kernel);
  }
}

void Scheduler::run_clusters(const std::vector<unsigned>& indices, const std::function<void()>& kernel) {
  kernel_ = &kernel;
  std::vector<std::unique_ptr<Cluster>> clusters;
  for (unsigned index : indices) clusters.push_back(make_cluster(index));
  for (auto& cluster : clusters) {
    for (auto& block : cluster->blocks) {
      for (unsigned thread = 0; thread < grid_.threads; ++thread) start_fiber(*block, thread);
    }
  }
  loop();
  for (auto& fiber : fibers_) free_stacks_.push_back(fiber->stack);
  fibers_.clear();
  ready_.clear();
  copy_waiters_.clear();
  copies_.clear();
  for (auto& cluster : clusters) {
    for (auto& block : cluster->blocks) std::free(block->shared);
  }
  if (!failure_.empty()) throw std::runtime_error(std::exchange(failure_, {}));
}

std::unique_ptr<Cluster> Scheduler::make_cluster(unsigned index) {
  auto cluster = std::make_unique<Cluster>();
  cluster->barrier.expected = static_cast<int>(grid_.cluster * grid_.threads);
  for (unsigned rank = 0; rank < grid_.cluster; ++rank) {
    auto block = std::make_unique<Block>();
    block->index = index * grid_.cluster + rank;
    block->rank = rank;
    block->alive = block->barrier.expected = static_cast<int>(grid_.threads);
    block->warps.resize(grid_.threads / 32);
    for (Warp& warp : block->warps) {
      warp.meeting.expected = 32;
      warp.priority = static_cast<unsigned>(random_());
    }
    block->shared_bytes = grid_.shared_bytes;
    const size_t rounded = static_cast<size_t>((grid_.shared_bytes + 127) / 128 * 128 + 128);
    block->shared = static_cast<unsigned char*>(std::aligned_alloc(128, rounded));
    std::memset(block->shared, 0xff, rounded);  // NaN in every type: nothing may be read before it is written
    __asan_poison_memory_region(block->shared + grid_.shared_bytes, rounded - static_cast<size_t>(grid_.shared_bytes));
    block->cluster = cluster.get();
    cluster->blocks.push_back(std::move(block));
  }
  return cluster;
}

void Scheduler::start_fiber(Block& block, unsigned thread) {
  auto fiber = std::make_unique<Fiber>();
  if (free_stacks_.empty()) free_stacks_.push_back(std::malloc(kStackBytes));
  fiber->stack = free_stacks_.back();
  free_stacks_.pop_back();
  __asan_unpoison_memory_region(fiber->stack, kStackBytes);
  fiber->block = &block;
  fiber->thread = thread;
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, &Scheduler::enter, 0);
  ready_.push_back(fiber.get());
  fibers_.push_back(std::move(fiber));
}

void Scheduler::enter() {
  Scheduler& self = instance();
  __sanitizer_finish_switch_fiber(nullptr, &self.home_bottom_, &self.home_size_);
  (*self.kernel_)();
  self.end_fiber();
}

void Scheduler::loop() {
  alive_ = fibers_.size();
  while (alive_ > 0 && failure_.empty()) {
    if (!copies_.empty() && (ready_.empty() || random_() % 16 == 0)) land_one_copy();
    if (ready_.empty()) {
      if (copies_.empty()) failure_ = deadlock();
      continue;
    }
    resume(*choose());
  }
  if (failure_.empty() && !copies_.empty()) failure_ = "a block ended while its bulk copies were still under way";
}

// Of a few ready fibers, drawn at random, the one whose warp has the highest priority; priorities change now and then.
Fiber* Scheduler::choose() {
  constexpr int kDrawn = 8;
  constexpr unsigned kTurnsBetweenChanges = 128;
  const auto priority = [this](size_t i) {
    const Fiber& fiber = *ready_[i];
    return fiber.block->warps[fiber.thread / 32].priority;
  };
  size_t best = random_() % ready_.size();
  if (random_() % kTurnsBetweenChanges == 0) {
    ready_[best]->block->warps[ready_[best]->thread / 32].priority = static_cast<unsigned>(random_());
  }
  for (int i = 1; i < kDrawn; ++i) {
    const size_t other = random_() % ready_.size();
    if (priority(other) > priority(best)) best = other;
  }
  std::swap(ready_[best], ready_.back());
  Fiber* chosen = ready_.back();
  ready_.pop_back();
  return chosen;
}

void Scheduler::resume(Fiber& fiber) {
  current_ = &fiber;
  __sanitizer_start_switch_fiber(&home_sanitizer_stack_, fiber.stack, kStackBytes);
  swapcontext(&home_, &fiber.context);
  __sanitizer_finish_switch_fiber(home_sanitizer_stack_, nullptr, nullptr);
}

void Scheduler::suspend() {
  Fiber& self = *current_;
  __sanitizer_start_switch_fiber(&self.sanitizer_stack, home_bottom_, home_size_);
  swapcontext(&self.context, &home_);
  __sanitizer_finish_switch_fiber(self.sanitizer_stack, &home_bottom_, &home_size_);
}

void Scheduler::end_fiber() {
  Block& block = *current_->block;
  --alive_;
  // Another block of the cluster that still reads this block's memory now finds NaN: on the GPU it would fault.
  if (--block.alive == 0) std::memset(block.shared, 0xff, static_cast<size_t>(block.shared_bytes));
  __sanitizer_start_switch_fiber(nullptr, home_bottom_, home_size_);
  setcontext(&home_);
  std::abort();
}

void Scheduler::fail(const std::string& problem) {
  failure_ = problem + " (block " + std::to_string(current_->block->index) + ", thread " +
             std::to_string(current_->thread) + ")";
  suspend();
  std::abort();
}

void Scheduler::arrive(Rendezvous& rendezvous, int line, const char* what) {
  if (rendezvous.arrived > 0 && rendezvous.line != line) {
    fail(std::string(what) + ": threads meet from lines " + std::to_string(rendezvous.line) + " and " +
         std::to_string(line));
  }
  rendezvous.line = line;
  if (++rendezvous.arrived < rendezvous.expected) return;
  rendezvous.arrived = 0;
  ++rendezvous.generation;
  ready_.insert(ready_.end(), rendezvous.waiting.begin(), rendezvous.waiting.end());
  rendezvous.waiting.clear();
}

void Scheduler::wait(Rendezvous& rendezvous, uint64_t generation, int line, const char* what) {
  if (rendezvous.generation > generation) return;
  current_->waits_for = what;
  current_->line = line;
  rendezvous.waiting.push_back(current_);
  suspend();
  current_->waits_for = nullptr;
}

void Scheduler::wait_for_copies(int line) {
  current_->waits_for = "mbarrier";
  current_->line = line;
  copy_waiters_.push_back(current_);
  suspend();
  current_->waits_for = nullptr;
}

void Scheduler::wake_copy_waiters() {
  ready_.insert(ready_.end(), copy_waiters_.begin(), copy_waiters_.end());
  copy_waiters_.clear();
}

void Scheduler::start_copy(PendingCopy copy) {
  std::memset(copy.target, 0xff, copy.bytes);  // a read that is too early, or of the old bytes, sees NaN
  copies_.push_back(std::move(copy));
}

void Scheduler::land_one_copy() {
  std::swap(copies_[random_() % copies_.size()], copies_.back());
  const PendingCopy copy = std::move(copies_.back());
  copies_.pop_back();
  std::memcpy(copy.target, copy.source, copy.bytes);
  copy.landed();
}

std::string Scheduler::deadlock() const {
  std::set<std::string> waits;
  for (const auto& fiber : fibers_) {
    if (fiber->waits_for) waits.insert(std::string(fiber->waits_for) + " at line " + std::to_string(fiber->line));
  }
  std::string text = "deadlock: not all threads reach";
  for (const std::string& wait : waits) text += " [" + wait + "]";
  return text;
}

}  // namespace emulation
