// Counters in device memory by which the last block of an image to finish recognizes that it is the last.
#pragma once

#include <cstdint>

namespace lnlattennet::cuda {

// Returns `count` zeroed counters on the current device for one launch on `stream`, which must leave them at zero. They
// are the stream's own, so the launches of other streams never count in them; a launch that is captured into a graph
// gets counters that no other launch ever gets, since its graph may be replayed beside anything.
const char* acquire_counters(int64_t count, void* stream, unsigned** counters);

}  // namespace lnlattennet::cuda
