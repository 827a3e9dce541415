// In builds with SIMCSE_TIMING alone.
#include "timing.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simcse {

namespace {

#define SIMCSE_COUNT(name) +1
constexpr int kSteps = 0 SIMCSE_STEPS(SIMCSE_COUNT);

uint64_t ticks[kSteps];
uint64_t last;
TimedStep current = TimedStep::outside;

// Of a counter that runs at one rate, whatever the CPU's clock does.
uint64_t now() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  uint64_t count;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#endif
}

void enter(TimedStep step) {
  const uint64_t time = now();
  ticks[(int)current] += time - last;
  last = time;
  current = step;
}

}  // namespace

Timed::Timed(TimedStep step) : outer_(current) { enter(step); }
Timed::~Timed() { enter(outer_); }

}  // namespace simcse

extern "C" {

#define SIMCSE_NAME(name) #name ","
// The steps' names, each with a comma after it.
__attribute__((visibility("default"))) const char* simcse_timing_steps() { return SIMCSE_STEPS(SIMCSE_NAME); }

// Writes each step's ticks since the last call.
__attribute__((visibility("default"))) void simcse_timing_read(uint64_t* to) {
  using namespace simcse;
  enter(current);
  memcpy(to, ticks, sizeof ticks);
  memset(ticks, 0, sizeof ticks);
}
}
