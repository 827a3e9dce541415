// Memory for weights and for the working space of runs: aligned to cache lines, from the C library alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace simcse {

constexpr size_t kLine = 64;

constexpr size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

// Aligned memory, zeroed; null if there is none.
void* allocate(size_t bytes);
void release(void* memory);

#ifdef SIMCSE_TESTING
// How many more allocations succeed, and how many are alive.
extern int64_t allocations_left, allocations_alive;
#endif

// Pieces of one block, cut one after the other. A first pass over a null block adds up the size that is needed.
class Pieces {
 public:
  explicit Pieces(void* block) : block_((uint8_t*)block) {}

  template <class T>
  T* take(size_t count) {
    uint8_t* piece = block_ ? block_ + used_ : nullptr;
    used_ += round_up(count * sizeof(T), kLine);
    return (T*)piece;
  }

  size_t used() const { return used_; }

 private:
  uint8_t* block_;
  size_t used_ = 0;
};

// The working space of a run: a block from those that earlier runs gave back, or a new one.
class Space {
 public:
  explicit Space(size_t bytes);
  ~Space();
  Space(const Space&) = delete;
  void* memory() const;  // null if there is none

 private:
  struct Block* block_;
};

// Frees the blocks that no run holds: when the last session ends.
void release_spaces();

}  // namespace simcse
