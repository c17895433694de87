// Fetches memory that is needed soon. Included like simd.h.
//
// The hardware's prefetchers stop at every page, and a burst of fetches stalls the loads behind it; so every pass over
// the features fetches a share of what comes next, at the pace of its own arithmetic, in the order of addresses. Where
// a map has gaps, some fetches fall into them: that costs time, never correctness.
//
// They go to the L2 cache (locality 2), from which the pass that reads them loads quickly enough: the L1 cache tracks
// few lines that are under way (24 on Zen 4), too few to keep the memory busy, and is full of what is being read.

class ReadAhead {
 public:
  explicit ReadAhead(const void* start) : next_((const char*)start) {}

  void advance(int64_t bytes) {
    constexpr int64_t cache_line = 64;
#pragma GCC unroll 4
    for (int64_t i = 0; i < bytes; i += cache_line) __builtin_prefetch(next_ + i, /* for reading */ 0, /* locality */ 2);
    next_ += bytes;
  }

 private:
  const char* next_;
};

// For what is in the cache already.
struct NoReadAhead {
  void advance(int64_t) {}
};
