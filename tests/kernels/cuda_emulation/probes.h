// See probes.cpp; the numbers are emulator.py's.
#pragma once

enum class Probe { correct, missing_barrier, skipped_barrier, unwritten_memory, outside };

// out[i] = (i + 1) % threads, if there is no mistake; `out` has exactly `threads` elements.
const char* run_probe(Probe probe, float* out, int threads);
