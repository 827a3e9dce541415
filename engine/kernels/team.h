// Threads that share the work of a run: the caller's own, and helpers that spin briefly for more and then sleep.
#pragma once

namespace simcse {

// Calls work(context, part, thread) for each part 0 … parts - 1, once each, on up to `threads` threads, and returns
// when all are done. `thread` is 0 … threads - 1, and no two calls at a time have the same. A caller who finds the
// helpers busy, or none to be had, does all parts itself.
class Team {
 public:
  // Takes the helpers for the time of its life, as many as there are and `threads` asks for.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;

  int threads() const { return threads_; }
  void share(int parts, void (*work)(void* context, int part, int thread), void* context);

  template <class Work>
  void each(int parts, Work&& work) {
    share(parts, [](void* context, int part, int thread) { (*(Work*)context)(part, thread); }, (void*)&work);
  }

 private:
  int threads_;
};

}  // namespace simcse
