// Everything that only nvcc understands: PTX, special registers, half-type intrinsics. The rest of the device code
// is C++ plus CUDA's own names (threadIdx, __syncthreads, __shfl_xor_sync, ...), so that tests/kernels/cuda_emulation
// can run it on a CPU by giving its own version of this header. From sm_90 on: clusters, mbarriers, bulk copies.
#pragma once

#include <cstdint>

#ifdef LNLATTENNET_CUDA_EMULATION
#include <emulated_device.h>
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace lnlattennet::cuda {

// The block's dynamic shared memory, aligned for bulk copies.
template <class T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(128) unsigned char lnlattennet_shared[];
  return reinterpret_cast<T*>(lnlattennet_shared);
}

__device__ __forceinline__ float half_to_float(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
__device__ __forceinline__ uint16_t float_to_half(float x) { return __half_as_ushort(__float2half_rn(x)); }
__device__ __forceinline__ float bfloat16_to_float(uint16_t bits) { return __uint_as_float(uint32_t{bits} << 16); }
__device__ __forceinline__ uint16_t float_to_bfloat16(float x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); }

// blockIdx.x, read anew: what is computed from it need not be kept in registers until then.
__device__ __forceinline__ unsigned block_index_again() {
  unsigned index;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(index));
  return index;
}

// 2^x: one instruction for float, 2 ulp, results below 2^-126 are flushed to 0.
__device__ __forceinline__ float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
__device__ __forceinline__ double exp2_fast(double x) { return exp2(x); }

// 1 / x and 1 / sqrt(x): 2 ulp, for x far from the limits of its range, and without the long way for the rest.
__device__ __forceinline__ float inverse(float x) { return __fdividef(1.0f, x); }
__device__ __forceinline__ double inverse(double x) { return 1.0 / x; }
__device__ __forceinline__ float inverse_root(float x) { return rsqrtf(x); }
__device__ __forceinline__ double inverse_root(double x) { return rsqrt(x); }

// 16, 8, 4 or 2 bytes that no one writes while the kernel runs (may be cached in L1).
template <class Word>
__device__ __forceinline__ Word load_constant(const Word* address) {
  return __ldg(address);
}

// Makes the compiler forget what it unpacked from these words: unpacking again costs less than the registers that
// the unpacked values would hold meanwhile.
__device__ __forceinline__ void forget_unpacked(uint4& word) {
  asm volatile("" : "+r"(word.x), "+r"(word.y), "+r"(word.z), "+r"(word.w));
}
template <class Word>
__device__ __forceinline__ void forget_unpacked(Word&) {}

// Reads past L1, which other multiprocessors' writes do not reach.
template <class Word>
__device__ __forceinline__ Word load_shared_by_all(const Word* address) {
  return __ldcg(address);
}

// ---- sm_90 and later; the launchers never run these on older devices -----------------------------------------------

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define LNLATTENNET_SM90(...) __trap()
#else
#define LNLATTENNET_SM90(...) __VA_ARGS__
#endif

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank = 0;
  LNLATTENNET_SM90(asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank)));
  return rank;
}

__device__ __forceinline__ uint32_t cluster_size() {
  uint32_t size = 1;
  LNLATTENNET_SM90(asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size)));
  return size;
}

// A barrier of all threads of all blocks of the cluster; what was written before it (shared memory of any block,
// global memory) is visible after it. Every thread calls both halves, in this order.
__device__ __forceinline__ void cluster_arrive() {
  LNLATTENNET_SM90(asm volatile("barrier.cluster.arrive.release;" :: : "memory"));
}
__device__ __forceinline__ void cluster_wait() {
  LNLATTENNET_SM90(asm volatile("barrier.cluster.wait.acquire;" :: : "memory"));
}
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

// The same place in the shared memory of another block of the cluster, as an ordinary pointer.
template <class T>
__device__ __forceinline__ T* map_to_rank(T* pointer, uint32_t rank) {
  uint64_t mapped = 0;
  LNLATTENNET_SM90(
      asm volatile("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(reinterpret_cast<uint64_t>(pointer)), "r"(rank)));
  return reinterpret_cast<T*>(mapped);
}

// An mbarrier, in shared memory. A phase ends when all arrivals and all expected bytes have come; phases are
// waited for by parity: 0 for the first, then 1, 0, ...
struct alignas(8) CopyBarrier {
  uint64_t state;
};

__device__ __forceinline__ void barrier_init(CopyBarrier* barrier, uint32_t arrivals) {
  LNLATTENNET_SM90(
      asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory"));
}

// After barrier_init, by the initializing thread, before the __syncthreads (or cluster_sync) that publishes it.
__device__ __forceinline__ void barrier_init_fence() {
  LNLATTENNET_SM90(asm volatile("fence.mbarrier_init.release.cluster;" :: : "memory"));
}

__device__ __forceinline__ void barrier_arrive(CopyBarrier* barrier) {
  LNLATTENNET_SM90(asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory"));
}

// One arrival that also announces `bytes` of bulk copies to this phase.
__device__ __forceinline__ void barrier_arrive_expect(CopyBarrier* barrier, uint32_t bytes) {
  LNLATTENNET_SM90(asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                                "r"(bytes) : "memory"));
}

__device__ __forceinline__ bool barrier_test(CopyBarrier* barrier, uint32_t parity) {
  uint32_t done = 0;
  LNLATTENNET_SM90(
      asm volatile("{\n.reg .pred p;\n"
                   "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                   "selp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(shared_address(barrier)),
                   "r"(parity) : "memory"));
  return done != 0;
}

__device__ __forceinline__ void barrier_wait(CopyBarrier* barrier, uint32_t parity) {
  while (!barrier_test(barrier, parity)) {
  }
}

// Starts a copy of `bytes` (a multiple of 16; both addresses aligned to 16) into this block's shared memory;
// it completes on `barrier`, to which the bytes must be announced.
__device__ __forceinline__ void bulk_copy(void* shared, const void* global, uint32_t bytes, CopyBarrier* barrier) {
  LNLATTENNET_SM90(
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                       shared_address(shared)),
                   "l"(global), "r"(bytes), "r"(shared_address(barrier)) : "memory"));
}

// Orders this thread's ordinary reads and writes of shared memory before later bulk copies into it.
__device__ __forceinline__ void fence_before_bulk_copy() {
  LNLATTENNET_SM90(asm volatile("fence.proxy.async.shared::cta;" :: : "memory"));
}

// Programmatic dependent launch. Before the first access to memory that an earlier kernel may write, or to the
// counters; and the point from which the next kernel of the stream may start its prologue.
__device__ __forceinline__ void wait_for_previous_kernel() {
  LNLATTENNET_SM90(asm volatile("griddepcontrol.wait;" :: : "memory"));
}
__device__ __forceinline__ void allow_next_kernel() {
  LNLATTENNET_SM90(asm volatile("griddepcontrol.launch_dependents;" :: : "memory"));
}

#undef LNLATTENNET_SM90

}  // namespace lnlattennet::cuda
#endif  // LNLATTENNET_CUDA_EMULATION
