// Elementwise functions on sixteen lanes: powers of two, tanh, and the activations of feed-forward layers.
#pragma once

#include "kinds.h"
#include "lanes.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Adding this rounds a float of less than 2^22 to the nearest even integer, which the low bits then hold.
constexpr float kRounder = 12582912.f;  // 1.5 x 2^23
constexpr int32_t kRounderBits = 0x4B400000;

// 2^(x * factor) for products of -125 … 126, with a relative error of 2e-7: minimax on [-1/2, 1/2].
SIMCSE_INLINE Floats exp2(Floats x, Floats factor) {
  Floats shifted = fma(x, factor, all(kRounder));
  Ints whole = bits(shifted) - all(kRounderBits);
  Floats part = fma(x, factor, all(kRounder) - shifted);
  Floats p = all(0.00132647273f);
  p = fma(p, part, all(0.00967151206f));
  p = fma(p, part, all(0.0555073395f));
  p = fma(p, part, all(0.240222439f));
  p = fma(p, part, all(0.693147004f));
  p = fma(p, part, all(1.f));
  return from_bits(bits(p) + (whole << 23));
}

// 1 / (1 + e^-x).
SIMCSE_INLINE Floats sigmoid(Floats x) {
  x = smaller(larger(x, all(-86.f)), all(86.f));
  return all(1.f) / (all(1.f) + exp2(x, all(-kLog2E)));
}

SIMCSE_INLINE Floats tanh(Floats x) { return fma(all(2.f), sigmoid(x + x), all(-1.f)); }

// The error function, by a rational minimax approximation on [-4, 4], where it is 1 in float32; error below 4e-7.
SIMCSE_INLINE Floats erf(Floats x) {
  x = smaller(larger(x, all(-4.f)), all(4.f));
  Floats s = x * x;
  Floats p = all(-2.72614225801306e-10f);
  p = fma(p, s, all(2.77068142495902e-08f));
  p = fma(p, s, all(-2.10102402082508e-06f));
  p = fma(p, s, all(-5.69250639462346e-05f));
  p = fma(p, s, all(-7.34990630326855e-04f));
  p = fma(p, s, all(-2.95459980854025e-03f));
  p = fma(p, s, all(-1.60960333262415e-02f));
  Floats q = all(-1.45660718464996e-05f);
  q = fma(q, s, all(-2.13374055278905e-04f));
  q = fma(q, s, all(-1.68282697438203e-03f));
  q = fma(q, s, all(-7.37332916720468e-03f));
  q = fma(q, s, all(-1.42647390514189e-02f));
  return x * p / q;
}

// GELU to an error of 1.9e-4, and of 1.6e-5 |x| where that is more, enough where the result is rounded to 8 bits: Φ as
// an odd polynomial on [-4, 4].
SIMCSE_INLINE Floats rough_gelu(Floats x) {
  Floats t = smaller(larger(x, all(-4.f)), all(4.f));
  Floats s = t * t;
  Floats p = all(2.27811188e-08f);
  p = fma(p, s, all(-1.59858473e-06f));
  p = fma(p, s, all(4.79551429e-05f));
  p = fma(p, s, all(-0.000814011514f));
  p = fma(p, s, all(0.00877236726f));
  p = fma(p, s, all(-0.0645730593f));
  p = fma(p, s, all(0.397883307f));
  return x * fma(p, t, all(0.5f));
}

SIMCSE_INLINE Floats gelu(Floats x) {
  Floats half = all(0.5f) * x;
  return fma(half, erf(x * all(0.70710678f)), half);
}

SIMCSE_INLINE Floats activated(Activation kind, Floats x) {
  switch (kind) {
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return x * sigmoid(all(1.59576912f) * fma(all(0.044715f), x * x * x, x));
    case Activation::quick_gelu: return x * sigmoid(all(1.702f) * x);
    case Activation::silu: return x * sigmoid(x);
    case Activation::relu: return larger(x, all(0.f));
    default: return tanh(x);
  }
}

// Four vectors through an activation.
SIMCSE_SMALL inline void activate(Activation kind, const Floats* x, Floats* y) {
  for (int v = 0; v < 4; v++) y[v] = activated(kind, x[v]);
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
