// device.cuh's functions for sm_90 and later: clusters, mbarriers, bulk copies.
#pragma once

#include "emulated_device.h"

namespace lnlattennet::cuda {

inline uint32_t cluster_rank() { return emulation::scheduler().current().block->rank; }
inline uint32_t cluster_size() { return emulation::scheduler().grid().cluster; }

inline void cluster_arrive() {
  emulation::Fiber& self = emulation::scheduler().current();
  emulation::Rendezvous& barrier = self.block->cluster->barrier;
  self.cluster_generation = barrier.generation;
  emulation::scheduler().arrive(barrier, 0, "cluster_arrive");
}
inline void cluster_wait() {
  emulation::Fiber& self = emulation::scheduler().current();
  emulation::scheduler().wait(self.block->cluster->barrier, self.cluster_generation, 0, "cluster_wait");
}
inline void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

template <class T>
T* map_to_rank(T* pointer, uint32_t rank) {
  emulation::Block& own = *emulation::scheduler().current().block;
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::remove_const_t<T>*>(pointer));
  if (bytes < own.shared || bytes >= own.shared + own.shared_bytes || rank >= own.cluster->blocks.size()) {
    emulation::scheduler().fail("map_to_rank: not in this block's shared memory, or no such rank");
  }
  return reinterpret_cast<T*>(own.cluster->blocks[rank]->shared + (bytes - own.shared));
}

struct alignas(8) CopyBarrier {
  uint64_t state;
};

}  // namespace lnlattennet::cuda

namespace emulation {

// What a CopyBarrier's 8 bytes hold here.
struct BarrierState {
  int32_t bytes;     // announced and not yet landed
  int16_t arrivals;  // still to come in this phase
  uint8_t expected;  // arrivals of every phase, at most 255 here
  uint8_t phase;     // phases completed, modulo 2; 0x80 marks an initialized barrier
};

template <class Change>
void change_barrier(lnlattennet::cuda::CopyBarrier* barrier, Change&& change) {
  BarrierState state;
  std::memcpy(&state, barrier, 8);
  if ((state.phase & 0xfe) != 0x80) scheduler().fail("mbarrier used before its initialization");
  change(state);
  if (state.arrivals < 0) scheduler().fail("mbarrier: more arrivals than it was initialized for");
  if (state.arrivals == 0 && state.bytes == 0) {
    state.arrivals = state.expected;
    state.phase ^= 1;
  }
  std::memcpy(static_cast<void*>(barrier), &state, 8);
  scheduler().wake_copy_waiters();
}

}  // namespace emulation

namespace lnlattennet::cuda {

inline void barrier_init(CopyBarrier* barrier, uint32_t arrivals) {
  if (arrivals == 0 || arrivals > 255) emulation::scheduler().fail("barrier_init: 1 to 255 arrivals here");
  const emulation::BarrierState state{0, static_cast<int16_t>(arrivals), static_cast<uint8_t>(arrivals), 0x80};
  std::memcpy(static_cast<void*>(barrier), &state, 8);
}
inline void barrier_init_fence() {}

inline void barrier_arrive(CopyBarrier* barrier) {
  emulation::change_barrier(barrier, [](emulation::BarrierState& state) { --state.arrivals; });
}

inline void barrier_arrive_expect(CopyBarrier* barrier, uint32_t bytes) {
  emulation::change_barrier(barrier, [bytes](emulation::BarrierState& state) {
    state.bytes += static_cast<int32_t>(bytes);
    --state.arrivals;
  });
}

inline bool barrier_done(CopyBarrier* barrier, uint32_t parity) {
  emulation::BarrierState state;
  std::memcpy(&state, barrier, 8);
  if ((state.phase & 0xfe) != 0x80) emulation::scheduler().fail("mbarrier waited for before its initialization");
  return (state.phase & 1u) != parity;
}

// Like try_wait: sleeps until something changes, then says whether the phase is over.
inline bool barrier_test(CopyBarrier* barrier, uint32_t parity) {
  if (barrier_done(barrier, parity)) return true;
  emulation::scheduler().wait_for_copies(__LINE__);
  return barrier_done(barrier, parity);
}

inline void barrier_wait(CopyBarrier* barrier, uint32_t parity) {
  while (!barrier_test(barrier, parity)) {
  }
}

inline void bulk_copy(void* shared, const void* global, uint32_t bytes, CopyBarrier* barrier) {
  emulation::Block& own = *emulation::scheduler().current().block;
  auto* target = static_cast<unsigned char*>(shared);
  if (bytes == 0 || bytes % 16 || reinterpret_cast<uintptr_t>(shared) % 16 ||
      reinterpret_cast<uintptr_t>(global) % 16) {
    emulation::scheduler().fail("bulk_copy: address or size not a multiple of 16");
  }
  if (target < own.shared || target + bytes > own.shared + own.shared_bytes) {
    emulation::scheduler().fail("bulk_copy: outside the block's shared memory");
  }
  emulation::scheduler().start_copy({shared, global, bytes, [barrier, bytes] {
                                       emulation::change_barrier(barrier, [bytes](emulation::BarrierState& state) {
                                         state.bytes -= static_cast<int32_t>(bytes);
                                       });
                                     }});
}

inline void fence_before_bulk_copy() {}
inline void wait_for_previous_kernel() {}
inline void allow_next_kernel() {}

}  // namespace lnlattennet::cuda
