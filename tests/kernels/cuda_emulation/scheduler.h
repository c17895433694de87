// Runs the threads of CUDA blocks as fibers on one CPU thread, in an order drawn from a seed. A fiber runs until it
// waits (barrier, shuffle, mbarrier) or ends, and some warps run far ahead of others, so a missing barrier shows as
// stale or NaN data under some seed; a barrier that not all threads reach is reported instead of hanging.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace emulation {

struct Index {
  unsigned x, y, z;
};

// A rendezvous of a fixed number of fibers, all of which must come from the same source line.
struct Rendezvous {
  int expected = 0, arrived = 0, line = 0;
  uint64_t generation = 0;
  std::vector<struct Fiber*> waiting;
};

struct Warp {
  Rendezvous meeting;
  unsigned priority = 0;
  uint64_t values[2][32];  // by parity of the generation: a fast lane may already deposit the next value
};

struct Block {
  unsigned index = 0, rank = 0;
  int alive = 0;
  Rendezvous barrier;
  std::deque<Warp> warps;
  unsigned char* shared = nullptr;
  int64_t shared_bytes = 0;
  struct Cluster* cluster = nullptr;
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  Rendezvous barrier;
};

struct Fiber {
  ucontext_t context;
  void* stack = nullptr;
  void* sanitizer_stack = nullptr;
  Block* block = nullptr;
  unsigned thread = 0;
  uint64_t cluster_generation = 0;
  const char* waits_for = nullptr;
  int line = 0;
};

// A bulk copy on its way: it lands at a moment of the scheduler's choice.
struct PendingCopy {
  void* target;
  const void* source;
  uint32_t bytes;
  std::function<void()> landed;
};

struct Grid {
  unsigned blocks, threads, cluster;
  int64_t shared_bytes;
};

class Scheduler {
 public:
  static Scheduler& instance();
  void seed(uint64_t value) { random_.seed(value); }
  // Throws std::runtime_error on a deadlock or a misuse.
  void run(const Grid& grid, const std::function<void()>& kernel);

  // For the running fiber.
  Fiber& current() { return *current_; }
  const Grid& grid() const { return grid_; }
  void arrive(Rendezvous& rendezvous, int line, const char* what);
  void wait(Rendezvous& rendezvous, uint64_t generation, int line, const char* what);
  void wait_for_copies(int line);
  void wake_copy_waiters();
  void start_copy(PendingCopy copy);
  [[noreturn]] void fail(const std::string& problem);

 private:
  void run_clusters(const std::vector<unsigned>& indices, const std::function<void()>& kernel);
  std::unique_ptr<Cluster> make_cluster(unsigned index);
  void start_fiber(Block& block, unsigned thread);
  void resume(Fiber& fiber);
  void suspend();
  void end_fiber();
  void land_one_copy();
  void loop();
  Fiber* choose();
  std::string deadlock() const;
  static void enter();

  std::mt19937_64 random_;
  Grid grid_{};
  const std::function<void()>* kernel_ = nullptr;
  ucontext_t home_{};
  void* home_sanitizer_stack_ = nullptr;
  const void* home_bottom_ = nullptr;
  size_t home_size_ = 0;
  Fiber* current_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<void*> free_stacks_;
  std::vector<Fiber*> ready_, copy_waiters_;
  std::vector<PendingCopy> copies_;
  std::string failure_;
  size_t alive_ = 0;
};

}  // namespace emulation
