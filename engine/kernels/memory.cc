#include "memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

namespace simcse {

#ifdef SIMCSE_TESTING
int64_t allocations_left = INT64_MAX, allocations_alive = 0;
#endif

void* allocate(size_t bytes) {
  void* memory = nullptr;
#ifdef SIMCSE_TESTING
  if (__atomic_fetch_sub(&allocations_left, 1, __ATOMIC_RELAXED) <= 0) return nullptr;
#endif
  if (posix_memalign(&memory, kLine, round_up(bytes + 1, kLine))) return nullptr;
#ifdef SIMCSE_TESTING
  __atomic_fetch_add(&allocations_alive, 1, __ATOMIC_RELAXED);
#endif
  return memset(memory, 0, bytes);
}

void release(void* memory) {
#ifdef SIMCSE_TESTING
  if (memory) __atomic_fetch_sub(&allocations_alive, 1, __ATOMIC_RELAXED);
#endif
  free(memory);
}

struct Block {
  Block* next;
  size_t bytes;
  void* memory;
};

namespace {
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
Block* idle = nullptr;

void destroy(Block* block) {
  release(block->memory);
  free(block);
}

// A fork may happen while a thread that the child lacks holds the lock.
struct AtFork {
  AtFork() {
    pthread_atfork([] { pthread_mutex_lock(&lock); }, [] { pthread_mutex_unlock(&lock); },
                   [] { pthread_mutex_unlock(&lock); });
  }
} at_fork;
}  // namespace

Space::Space(size_t bytes) {
  pthread_mutex_lock(&lock);
  block_ = idle;
  if (block_) idle = block_->next;
  pthread_mutex_unlock(&lock);
  if (!block_) block_ = (Block*)calloc(1, sizeof(Block));
  if (!block_) return;
  if (block_->bytes < bytes) {
    release(block_->memory);
    block_->bytes = round_up(bytes, 4096);
    // What lies between rows is read by some products, times zero; sanitizers want it written once.
    block_->memory = allocate(block_->bytes);
    if (!block_->memory) block_->bytes = 0;
  }
#ifdef SIMCSE_TESTING
  // What earlier runs left is all NaN, so that no result can come of it unseen.
  if (block_->memory) memset(block_->memory, 0xff, block_->bytes);
#endif
}

Space::~Space() {
  if (!block_) return;
  pthread_mutex_lock(&lock);
  block_->next = idle;
  idle = block_;
  pthread_mutex_unlock(&lock);
}

void* Space::memory() const { return block_ ? block_->memory : nullptr; }

void release_spaces() {
  pthread_mutex_lock(&lock);
  Block* block = idle;
  idle = nullptr;
  pthread_mutex_unlock(&lock);
  while (block) {
    Block* next = block->next;
    destroy(block);
    block = next;
  }
}

}  // namespace simcse
