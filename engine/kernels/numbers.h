// The three kinds of numbers that products take, four bytes at a time: unsigned by signed bytes, pairs of bfloat16,
// single floats. Each states its step of a product and how floats become such numbers.
//
// A step multiplies four bytes of a row, which all lanes share, with four bytes of each of sixteen columns, and adds
// the products to each column's sum. Bytes are exact. Pairs add the second product first, each with one rounding, as
// the bfloat16 instructions of x86 do; denormals count as zero there, and differ here by less than 1e-37.
#pragma once

#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace simcse {
namespace SIMCSE_VARIANT {

template <class Half, class Whole>
SIMCSE_INLINE Half half_of(Whole x, int which) {
  Half result;
  memcpy(&result, (const char*)&x + which * sizeof(Half), sizeof(Half));
  return result;
}

SIMCSE_INLINE uint32_t four_bytes(const uint8_t* from) {
  uint32_t result;
  memcpy(&result, from, 4);
  return result;
}

// Integers of 0 … 255 to bytes; on ARM less 128, as signed bytes.
template <int count>
SIMCSE_INLINE void store_low_bytes(uint8_t* to, const Ints* x) {
#if defined(__AVX512F__)
  if constexpr (count == 4) {
    // Packing goes by 128 bits, so the fours end up interleaved.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]);
    const __m512i high = _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
  } else {
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++)
      _mm_storeu_si128((__m128i*)(to + 16 * i),
                       _mm512_cvtusepi32_epi8(_mm512_max_epi32((__m512i)x[i], _mm512_setzero_si512())));
  }
#elif defined(__AVX2__)
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0);
#pragma clang loop unroll(full)
  for (int i = 0; i < count; i++) {
    const __m256i low = half_of<__m256i>(x[i], 0), high = half_of<__m256i>(x[i], 1);
    const __m256i words = _mm256_packs_epi32(low, high);  // of lanes 0-3, 8-11 | 4-7, 12-15
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(words, words), order);
    _mm_storeu_si128((__m128i*)(to + 16 * i), _mm256_castsi256_si128(bytes));
  }
#elif defined(__aarch64__)
#pragma clang loop unroll(full)
  for (int i = 0; i < count; i++) {
    int16x8_t words[2];
#pragma clang loop unroll(full)
    for (int h = 0; h < 2; h++)
      words[h] = vcombine_s16(vqmovn_s32(half_of<int32x4_t>(x[i], 2 * h)),
                              vqmovn_s32(half_of<int32x4_t>(x[i], 2 * h + 1)));
    const uint8x16_t bytes = vcombine_u8(vqmovun_s16(words[0]), vqmovun_s16(words[1]));
    vst1q_u8(to + 16 * i, veorq_u8(bytes, vdupq_n_u8(128)));
  }
#endif
}

// The nearest integers, half to even; below -2^31 that, and x is less than 2^31.
SIMCSE_INLINE Ints nearest(Floats x) {
#if defined(__AVX512F__)
  return (Ints)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
  __m256i halves[2] = {_mm256_cvtps_epi32(half_of<__m256>(x, 0)), _mm256_cvtps_epi32(half_of<__m256>(x, 1))};
  Ints result;
  memcpy(&result, halves, sizeof result);
  return result;
#elif defined(__aarch64__)
  int32x4_t fours[4];
#pragma clang loop unroll(full)
  for (int q = 0; q < 4; q++) fours[q] = vcvtnq_s32_f32(half_of<float32x4_t>(x, q));
  Ints result;
  memcpy(&result, fours, sizeof result);
  return result;
#endif
}

// Floats, already in steps, to bytes: rounded to even, clipped to 0 … 255 by the packing.
template <int count>
SIMCSE_INLINE void store_bytes(uint8_t* to, const Floats* x) {
  Ints q[count];
#pragma clang loop unroll(full)
  for (int i = 0; i < count; i++) q[i] = nearest(smaller(x[i], all(255.f)));
  store_low_bytes<count>(to, q);
}

struct Bytes {
  using Sum = Ints;
  static constexpr int kPerFour = 4;  // inputs in four bytes
  static constexpr int kSize = 1;
  static constexpr bool kInteger = true;

  // Adds the products of four bytes of `a`, which are not negative on x86, with those of `b`, in each lane.
  SIMCSE_INLINE static Ints multiply(Ints sum, Ints a, Ints b) {
#if defined(__AVX512VNNI__)
    return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    __m256i s[2];
#pragma clang loop unroll(full)
    for (int h = 0; h < 2; h++) {
      const __m256i x = half_of<__m256i>(a, h), y = half_of<__m256i>(b, h);
#if defined(__AVXVNNI__)
      s[h] = _mm256_dpbusd_avx_epi32(half_of<__m256i>(sum, h), x, y);
#else
      // Exact as long as 255 times two neighbours of one sign fits 16 bits, which packing checks.
      const __m256i pairs = _mm256_maddubs_epi16(x, y);
      s[h] = _mm256_add_epi32(half_of<__m256i>(sum, h), _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
    }
    memcpy(&sum, s, sizeof sum);
    return sum;
#elif defined(__aarch64__)
    int32x4_t s[4];
#pragma clang loop unroll(full)
    for (int q = 0; q < 4; q++)
      s[q] = vdotq_s32(half_of<int32x4_t>(sum, q), half_of<int8x16_t>(a, q), half_of<int8x16_t>(b, q));
    memcpy(&sum, s, sizeof sum);
    return sum;
#endif
  }

  SIMCSE_INLINE static Ints step(Ints sum, uint32_t four, Ints columns) {
    return multiply(sum, all((int32_t)four), columns);
  }

  template <int count>
  SIMCSE_INLINE static void store(uint8_t* to, const Floats* x, Step step) {
    Floats steps[count];
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++) steps[i] = fma(x[i], all(step.factor), all(step.zero));
    store_bytes<count>(to, steps);
  }
};

// Bytes of any value by bytes of any value but -128: exact without limits for neighbours, which activations do not
// keep.
#if defined(__AVX2__) && !defined(__AVXVNNI__) && !defined(__AVX512VNNI__)
struct AnyBytes : Bytes {
  SIMCSE_INLINE static Ints multiply(Ints sum, Ints a, Ints b) {
    const __m256i low = _mm256_set1_epi16(0xff);
    __m256i s[2];
#pragma clang loop unroll(full)
    for (int h = 0; h < 2; h++) {
      const __m256i x = half_of<__m256i>(a, h), y = half_of<__m256i>(b, h);
      const __m256i x_even = _mm256_and_si256(x, low), x_odd = _mm256_srli_epi16(x, 8);
      const __m256i y_even = _mm256_srai_epi16(_mm256_slli_epi16(y, 8), 8), y_odd = _mm256_srai_epi16(y, 8);
      const __m256i pairs = _mm256_add_epi32(_mm256_madd_epi16(x_even, y_even), _mm256_madd_epi16(x_odd, y_odd));
      s[h] = _mm256_add_epi32(half_of<__m256i>(sum, h), pairs);
    }
    memcpy(&sum, s, sizeof sum);
    return sum;
  }

  SIMCSE_INLINE static Ints step(Ints sum, uint32_t four, Ints columns) {
    return multiply(sum, all((int32_t)four), columns);
  }
};
#else
using AnyBytes = Bytes;
#endif

// The upper halves of floats, rounded to even: bfloat16, two lanes of `low` and `high` side by side.
SIMCSE_INLINE Ints rounded_upper(Floats x) {
  Ints b = bits(x);
  return b + all(0x7fff) + ((b >> 16) & all(1));
}

// Lane i: the bfloat16 of low[i] in its lower half, and that of high[i] in its upper.
SIMCSE_INLINE Ints pairs_of(Floats low, Floats high) {
  typedef uint32_t Words __attribute__((ext_vector_type(16)));
  Words l = (Words)rounded_upper(low) >> 16, h = (Words)rounded_upper(high) & (Words)(0xffff0000u);
  return (Ints)(l | h);
}

struct Pairs {
  using Sum = Floats;
  static constexpr int kPerFour = 2;
  static constexpr int kSize = 2;
  static constexpr bool kInteger = false;

  SIMCSE_INLINE static Floats step(Floats sum, uint32_t four, Ints columns) {
#if defined(__AVX512BF16__)
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(four), (__m512bh)(__m512i)columns);
#else
    uint32_t upper = four & 0xffff0000u, lower = four << 16;
    float second, first;
    memcpy(&second, &upper, 4);
    memcpy(&first, &lower, 4);
    sum = fma(all(second), from_bits(columns & all((int32_t)0xffff0000)), sum);
    return fma(all(first), from_bits(columns << 16), sum);
#endif
  }

  template <int count>
  SIMCSE_INLINE static void store(uint8_t* to, const Floats* x, Step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++) {
      typedef uint16_t Halves __attribute__((ext_vector_type(16)));
      typedef uint16_t UnalignedHalves __attribute__((ext_vector_type(16), aligned(1)));
      typedef uint32_t Words __attribute__((ext_vector_type(16)));
      Words upper = (Words)rounded_upper(x[i]) >> 16;
      *(UnalignedHalves*)(to + 32 * i) = __builtin_convertvector(upper, Halves);
    }
  }
};

struct Singles {
  using Sum = Floats;
  static constexpr int kPerFour = 1;
  static constexpr int kSize = 4;
  static constexpr bool kInteger = false;

  SIMCSE_INLINE static Floats step(Floats sum, uint32_t four, Ints columns) {
    float a;
    memcpy(&a, &four, 4);
    return fma(all(a), (Floats)columns, sum);
  }

  template <int count>
  SIMCSE_INLINE static void store(uint8_t* to, const Floats* x, Step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++) simcse::SIMCSE_VARIANT::store((float*)to + kLanes * i, x[i]);
  }
};

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
