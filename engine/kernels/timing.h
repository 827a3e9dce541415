// Where a run's time goes, step by step. The shipped library has none of it: benchmarks build one with SIMCSE_TIMING.
#pragma once

#ifdef SIMCSE_TIMING

#include <stdint.h>

namespace simcse {

// Time between runs, and that of the runtime around our operators, is `outside`.
#define SIMCSE_STEPS(each)                                                                                       \
  each(outside) each(embeddings) each(rounding) each(queries_keys_values) each(attention) each(output) each(norms) \
      each(up) each(down) each(pooling) each(layer)

enum class TimedStep {
#define SIMCSE_STEP(name) name,
  SIMCSE_STEPS(SIMCSE_STEP)
#undef SIMCSE_STEP
};

// From its making to its end, time counts for `step`; that of a step within it counts for that one alone. For runs on
// one thread.
class Timed {
 public:
  explicit Timed(TimedStep step);
  ~Timed();

 private:
  TimedStep outer_;
};

}  // namespace simcse

#define SIMCSE_TIMED(step) const Timed timed_##step(TimedStep::step)
#else
#define SIMCSE_TIMED(step)
#endif
