// Runs launches that come in on stdin and writes their results to stdout; emulator.py is the other end.
// A request: 32 int64 (struct Request), then the input arrays, each as int64 bytes, int64 offset, data. Every array
// gets memory of its own and of its exact size (shifted by `offset` bytes), so the sanitizer sees any step outside.
// The answer: int64 0 and the output arrays (int64 bytes, data), or int64 1 and a message.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <emulated_host.h>

#include "common/counters.h"
#include "probes.h"
#include "region_attention.h"

using namespace lnlattennet;
using lnlattennet::cuda::Variant;

namespace {

struct Request {
  int64_t operation, seed, variant;  // operation: 0 forward, 1 non-local attention alone, 2 backward, 3 probe
  int64_t capability, processors, shared_bytes;        // of the pretended device
  int64_t dtype, parameters;                           // core DType
  int64_t batch, channels, height, width, strides[4];  // of the features: batch, channel, row, column
  int64_t grid, heads, nonlocal_width;                 // nonlocal_width 0: no non-local attention
  int64_t gradient_strides[4];
  int64_t unused[9];
};

bool read_bytes(void* target, size_t bytes) { return std::fread(target, 1, bytes, stdin) == bytes; }

// Memory of exactly the size asked for, aligned to 256 bytes (like cudaMalloc) plus `offset`, full of 0xff: NaN.
class Array {
 public:
  explicit Array(int64_t bytes, int64_t offset = 0) : bytes_(bytes), offset_(offset) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 256, static_cast<size_t>(bytes + offset)) != 0) std::abort();
    memory_.reset(memory);
    std::memset(memory, 0xff, static_cast<size_t>(bytes + offset));
  }
  static Array from_stdin() {
    int64_t header[2];
    if (!read_bytes(header, sizeof(header))) std::exit(1);
    Array array(header[0], header[1]);
    if (!read_bytes(array.data(), static_cast<size_t>(header[0]))) std::exit(1);
    return array;
  }
  void* data() const { return static_cast<char*>(memory_.get()) + offset_; }
  int64_t bytes() const { return bytes_; }
  bool all_zero() const {
    for (int64_t i = 0; i < bytes_; ++i) {
      if (static_cast<const char*>(data())[i] != 0) return false;
    }
    return true;
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  int64_t bytes_, offset_;
};

// What acquire_counters gives out: exactly one counter an image.
const Array* launch_counters = nullptr;

int64_t bytes_of(int64_t dtype) { return dtype == 3 ? 8 : dtype == 0 ? 4 : 2; }

struct Problem {
  RegionAttention regions;
  NonlocalAttention nonlocal;
};

// Inputs: features (the mean, for the non-local attention alone), query, then the six learned tensors of the non-local
// attention or the two gradients.
Problem problem(const Request& r, const std::vector<Array>& in) {
  Problem p{};
  const auto dtype = static_cast<DType>(r.dtype), parameters = static_cast<DType>(r.parameters);
  p.regions.features = {in[0].data(), dtype,        r.batch,      r.channels,   r.height,
                        r.width,      r.strides[0], r.strides[1], r.strides[2], r.strides[3]};
  p.regions.grid = r.grid;
  p.regions.heads = r.heads;
  p.regions.query = in[1].data();
  p.regions.parameters = parameters;
  if (r.nonlocal_width > 0) {
    p.nonlocal = {r.batch,      r.grid * r.grid, r.channels,   r.nonlocal_width, parameters,  in[2].data(),
                  in[3].data(), in[4].data(),    in[5].data(), in[6].data(),     in[7].data()};
  }
  return p;
}

// Outputs: pooled, mean, weights, affinity, context; or grad_features (with its strides' gaps), grad_query_partial.
std::vector<Array> outputs(const Request& r, int64_t gradient_elements) {
  const int64_t regions = r.grid * r.grid, element = bytes_of(r.dtype), parameter = bytes_of(r.parameters);
  std::vector<Array> out;
  if (r.operation == 3) {
    out.emplace_back(r.batch * element);
    return out;
  }
  if (r.operation == 2) {
    out.emplace_back(gradient_elements * element);
    out.emplace_back(r.batch * regions * r.heads * r.channels * (r.dtype == 3 ? 8 : 4));
    return out;
  }
  out.emplace_back(r.operation == 0 ? r.batch * regions * r.heads * r.channels * element : 0);
  out.emplace_back(r.operation == 0 ? r.batch * regions * r.channels * element : 0);
  const int64_t nonlocal_batch = r.nonlocal_width > 0 ? r.batch : 0;
  out.emplace_back(nonlocal_batch * regions * parameter);
  out.emplace_back(nonlocal_batch * regions * regions * parameter);
  out.emplace_back(nonlocal_batch * r.nonlocal_width * parameter);
  return out;
}

const char* forward(const Request& r, const Problem& p, const std::vector<Array>& in, const std::vector<Array>& out) {
  const NonlocalOutputs nonlocal_outputs = {out[2].data(), out[3].data(), out[4].data()};
  const Array counters(4 * r.batch);
  std::memset(counters.data(), 0, static_cast<size_t>(counters.bytes()));
  launch_counters = &counters;
  const Array scratch(r.nonlocal_width > 0 ? cuda::scratch_bytes(p.nonlocal, p.regions.features.dtype) : 0);
  const DType dtype = p.regions.features.dtype;
  const char* failure =
      r.operation == 1
          ? cuda::nonlocal_attention(p.nonlocal, in[0].data(), dtype, nonlocal_outputs, scratch.data(), nullptr)
          : cuda::region_attention(p.regions, {out[0].data(), out[1].data()},
                                   r.nonlocal_width > 0 ? &p.nonlocal : nullptr, &nonlocal_outputs, scratch.data(),
                                   static_cast<Variant>(r.variant), nullptr);
  return failure == nullptr && !counters.all_zero() ? "the counters were not left at zero" : failure;
}

const char* backward(const Request& r, const Problem& p, const std::vector<Array>& in, const std::vector<Array>& out) {
  const int64_t* strides = r.gradient_strides;
  FeatureMap gradient = p.regions.features;
  gradient.data = out[0].data();
  gradient.batch_stride = strides[0];
  gradient.channel_stride = strides[1];
  gradient.row_stride = strides[2];
  gradient.column_stride = strides[3];
  return cuda::region_attention_backward(p.regions, {in[2].data(), in[3].data()}, gradient, out[1].data(), nullptr);
}

int64_t span(const Request& r, const int64_t* strides) {
  if (r.batch == 0) return 0;
  return 1 + (r.batch - 1) * strides[0] + (r.channels - 1) * strides[1] + (r.height - 1) * strides[2] +
         (r.width - 1) * strides[3];
}

const char* launch(const Request& r, const std::vector<Array>& in, const std::vector<Array>& out) {
  if (r.operation == 3) {
    return run_probe(static_cast<Probe>(r.variant), static_cast<float*>(out[0].data()), static_cast<int>(r.batch));
  }
  const Problem p = problem(r, in);
  return r.operation == 2 ? backward(r, p, in, out) : forward(r, p, in, out);
}

void answer(const void* data, int64_t size) {
  const auto bytes = static_cast<size_t>(size);
  std::fwrite(&size, 8, 1, stdout);
  std::fwrite(data, 1, bytes, stdout);
}

void serve(const Request& r) {
  cuda::emulated_limits = {static_cast<int>(r.capability), static_cast<int>(r.processors),
                           static_cast<int>(r.shared_bytes)};
  emulation::scheduler().seed(static_cast<uint64_t>(r.seed));
  std::vector<Array> in;
  const int arrays = r.operation == 3 ? 0 : r.operation == 2 ? 4 : r.nonlocal_width > 0 ? 8 : 2;
  for (int i = 0; i < arrays; ++i) in.push_back(Array::from_stdin());
  const std::vector<Array> out = outputs(r, span(r, r.gradient_strides));
  std::string failure;
  try {
    const char* message = launch(r, in, out);
    failure = message ? message : "";
  } catch (const std::exception& error) {
    failure = error.what();
  }
  const int64_t failed = failure.empty() ? 0 : 1;
  std::fwrite(&failed, 8, 1, stdout);
  if (failed) {
    answer(failure.data(), static_cast<int64_t>(failure.size()));
  } else {
    for (const Array& array : out) answer(array.data(), array.bytes());
  }
  std::fflush(stdout);
}

}  // namespace

const char* cuda::acquire_counters(int64_t count, void*, unsigned** counters) {
  *counters = static_cast<unsigned*>(launch_counters->data());
  return 4 * count == launch_counters->bytes() ? nullptr : "acquire_counters: not one an image";
}

int main() {
  static_assert(sizeof(Request) == 32 * 8);
  Request request;
  while (read_bytes(&request, sizeof(request))) serve(request);
}
