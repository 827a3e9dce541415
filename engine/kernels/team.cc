#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simcse {

namespace {

constexpr int kMost = 256;
// How long helpers spin before they sleep: longer than what lies between two operators of a run.
constexpr int64_t kSpinNanoseconds = 100000;
// A thread that waits spins so often before it lets others have its core, and then between one such time and the next.
// A helper then looks at the clock, too.
constexpr unsigned kSpins = 256, kSpinsBetweenYields = 32;

// Waits a moment; where that has been going on, lets others have the core, such as the thread that is waited for.
void pause(unsigned spins) {
#if defined(__x86_64__)
  _mm_pause();
#else
  __asm__ volatile("yield");
#endif
  if (spins >= kSpins && spins % kSpinsBetweenYields == 0) sched_yield();
}

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// The work at hand. `ticket` is generation << 32 | parts << 16 | next part: a part is claimed by raising it, which
// fails if the work has changed since it was read.
struct Board {
  alignas(64) uint64_t ticket;
  alignas(64) uint32_t done;
  alignas(64) void (*work)(void*, int, int);
  void* context;
  int threads;
  alignas(64) uint32_t sleepers;
};

Board board;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t awake = PTHREAD_COND_INITIALIZER;
bool taken = false;   // whether a team has the helpers
int helpers = 0;      // threads that exist in this process
bool refused = false;  // the system gives no more threads

uint64_t read(uint64_t& x) { return __atomic_load_n(&x, __ATOMIC_ACQUIRE); }

bool has_parts(uint64_t ticket) { return (ticket & 0xffff) < (ticket >> 16 & 0xffff); }

// Does parts of the work on the board until none is left.
void take_part(int thread) {
  for (;;) {
    uint64_t ticket = read(board.ticket);
    if (!has_parts(ticket)) return;
    auto work = __atomic_load_n(&board.work, __ATOMIC_RELAXED);
    void* context = __atomic_load_n(&board.context, __ATOMIC_RELAXED);
    if (thread >= __atomic_load_n(&board.threads, __ATOMIC_RELAXED)) return;
    // What was read above belongs to this ticket if it still stands.
    if (!__atomic_compare_exchange_n(&board.ticket, &ticket, ticket + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    work(context, (int)(ticket & 0xffff), thread);
    __atomic_fetch_add(&board.done, 1, __ATOMIC_RELEASE);
  }
}

void* help(void* number) {
  const int thread = (int)(intptr_t)number;
  int64_t last = now();
  for (unsigned spins = 0;; spins++) {
    if (has_parts(read(board.ticket)) && thread < __atomic_load_n(&board.threads, __ATOMIC_RELAXED)) {
      take_part(thread);
      last = now();
      spins = 0;
    }
    pause(spins);
    if (spins < kSpins || spins % kSpinsBetweenYields || now() - last < kSpinNanoseconds) continue;
    pthread_mutex_lock(&lock);
    __atomic_fetch_add(&board.sleepers, 1, __ATOMIC_SEQ_CST);
    while (!(has_parts(__atomic_load_n(&board.ticket, __ATOMIC_SEQ_CST)) &&
             thread < __atomic_load_n(&board.threads, __ATOMIC_RELAXED)))
      pthread_cond_wait(&awake, &lock);
    __atomic_fetch_sub(&board.sleepers, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&lock);
    last = now();
    spins = 0;
  }
  return nullptr;
}

// A helper more; the caller holds the lock.
bool hire() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  // Signals are the business of the program's own threads.
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  pthread_t thread;
  const bool made = !pthread_create(&thread, &attributes, help, (void*)(intptr_t)(helpers + 1));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (made) helpers++;
  return made;
}

// A forked child has no helpers, whatever its parent was doing.
struct AtFork {
  AtFork() {
    pthread_atfork([] { pthread_mutex_lock(&lock); }, [] { pthread_mutex_unlock(&lock); },
                   [] {
                     board = Board{};
                     helpers = 0;
                     taken = refused = false;
                     awake = PTHREAD_COND_INITIALIZER;
                     pthread_mutex_unlock(&lock);
                   });
  }
} at_fork;

}  // namespace

Team::Team(int threads) : threads_(1) {
  if (threads <= 1) return;
  if (threads > kMost) threads = kMost;
  pthread_mutex_lock(&lock);
  if (!taken) {
    while (helpers < threads - 1 && !refused) refused = !hire();
    threads_ = helpers + 1 < threads ? helpers + 1 : threads;
    taken = threads_ > 1;
  }
  pthread_mutex_unlock(&lock);
}

Team::~Team() {
  if (threads_ == 1) return;
  pthread_mutex_lock(&lock);
  taken = false;
  pthread_mutex_unlock(&lock);
}

void Team::share(int parts, void (*work)(void*, int, int), void* context) {
  if (threads_ == 1 || parts <= 1 || parts > 0xffff) {
    for (int part = 0; part < parts; part++) work(context, part, 0);
    return;
  }
  const uint64_t generation = (read(board.ticket) >> 32) + 1;
  // The last work has no parts left, so nobody reads what is written here before the new ticket stands.
  __atomic_store_n(&board.done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&board.work, work, __ATOMIC_RELAXED);
  __atomic_store_n(&board.context, context, __ATOMIC_RELAXED);
  __atomic_store_n(&board.threads, threads_, __ATOMIC_RELAXED);
  __atomic_store_n(&board.ticket, generation << 32 | (uint64_t)parts << 16, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&board.sleepers, __ATOMIC_SEQ_CST)) {
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&awake);
    pthread_mutex_unlock(&lock);
  }
  take_part(0);
  for (unsigned spins = 0; __atomic_load_n(&board.done, __ATOMIC_ACQUIRE) < (uint32_t)parts; spins++) pause(spins);
}

}  // namespace simcse
