#include "cpu.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__linux__)
#include <sys/auxv.h>
#else
#include <sys/sysctl.h>
#endif

namespace simcse {

#define SIMCSE_DECLARE(name)    \
  namespace name {              \
  extern const Variant variant; \
  }

#if defined(__x86_64__)
SIMCSE_DECLARE(amx)
SIMCSE_DECLARE(avx512bf16)
SIMCSE_DECLARE(avx512vnni)
SIMCSE_DECLARE(avxvnni)
SIMCSE_DECLARE(avx2)
#elif defined(__aarch64__)
SIMCSE_DECLARE(i8mm)
SIMCSE_DECLARE(dotprod)
#endif

namespace {

#if defined(__x86_64__)

// By cpuid and xgetbv: the compiler's own __builtin_cpu_supports needs a runtime library that is not linked.
struct Features {
  bool avx2 = false, avxvnni = false, avx512vnni = false, avx512bf16 = false, amx = false;

  Features() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool saves = c >> 27 & 1, fma = c >> 12 & 1, f16c = c >> 29 & 1;
    if (!saves) return;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const bool saves_ymm = (low & 0x6) == 0x6, saves_zmm = (low & 0xe6) == 0xe6, saves_tiles = (low >> 17 & 3) == 3;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = saves_ymm && fma && f16c && (b >> 5 & 1);
    const bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1, vnni = c >> 11 & 1;
    avx512vnni = avx2 && saves_zmm && f && dq && bw && vl && vnni;
    const bool tile = d >> 24 & 1, tile_int8 = d >> 25 & 1, tile_bf16 = d >> 22 & 1;
    unsigned more;
    if (!__get_cpuid_count(7, 1, &more, &b, &c, &d)) return;
    avxvnni = avx2 && (more >> 4 & 1);
    avx512bf16 = avx512vnni && (more >> 5 & 1);
    amx = avx512bf16 && saves_tiles && tile && tile_int8 && tile_bf16 && allows_tiles();
  }

  // Linux grants the tiles' registers to a process that asks.
  static bool allows_tiles() {
#if defined(__linux__)
    constexpr int kRequest = 0x1023, kTileData = 18;
    return !syscall(SYS_arch_prctl, kRequest, kTileData);
#else
    return false;
#endif
  }
};

#endif

// The variants that this CPU can run, best first.
struct Variants {
  const Variant* list[8];
  int count = 0;
  const Variant* selected = nullptr;
  char names[128];

  Variants() {
#if defined(__x86_64__)
    const Features features;
    if (features.amx) add(amx::variant);
    if (features.avx512bf16) add(avx512bf16::variant);
    if (features.avx512vnni) add(avx512vnni::variant);
    if (features.avxvnni) add(avxvnni::variant);
    if (features.avx2) add(avx2::variant);
#elif defined(__aarch64__)
#if defined(__linux__)
    constexpr unsigned long kDotProducts = 1 << 20, kMatrixInt8 = 1 << 13;
    if (getauxval(AT_HWCAP2) & kMatrixInt8) add(i8mm::variant);
    if (getauxval(AT_HWCAP) & kDotProducts) add(dotprod::variant);
#else
    int matrix_int8 = 0;
    size_t size = sizeof matrix_int8;
    const bool told = !sysctlbyname("hw.optional.arm.FEAT_I8MM", &matrix_int8, &size, nullptr, 0);
    if (told && matrix_int8) add(i8mm::variant);
    add(dotprod::variant);  // every Apple CPU of this architecture has it
#endif
#endif
    selected = count ? list[0] : nullptr;
    names[0] = 0;
    for (int i = 0; i < count; i++) {
      if (i) strcat(names, ",");
      strcat(names, list[i]->name);
    }
  }

  void add(const Variant& variant) { list[count++] = &variant; }
};

Variants variants;

}  // namespace

// Sessions may be opened by one thread while another selects.
const Variant* selected_variant() { return __atomic_load_n(&variants.selected, __ATOMIC_ACQUIRE); }

const Variant* variant_named(const char* name) {
  for (int i = 0; i < variants.count; i++)
    if (!strcmp(variants.list[i]->name, name)) return variants.list[i];
  return nullptr;
}

extern "C" {

#define SIMCSE_EXPORT __attribute__((visibility("default")))

// What Python calls, and how: it refuses a library that was built for another version.
SIMCSE_EXPORT int simcse_kernels_interface() { return 1; }

SIMCSE_EXPORT const char* simcse_kernels_variants() { return variants.names; }

SIMCSE_EXPORT const char* simcse_kernels_selected() {
  const Variant* variant = selected_variant();
  return variant ? variant->name : "";
}

SIMCSE_EXPORT int simcse_kernels_select(const char* name) {
  const Variant* variant = variant_named(name);
  if (!variant) return -1;
  __atomic_store_n(&variants.selected, variant, __ATOMIC_RELEASE);
  return 0;
}
}

}  // namespace simcse
