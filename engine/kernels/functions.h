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

// (1 - e^-2|x|) / (1 + e^-2|x|), with the sign of x: to an error of 1.5e-7.
SIMCSE_INLINE Floats tanh(Floats x) {
  const Floats power = exp2(smaller(magnitude(x), all(40.f)), all(-2 * kLog2E));
  const Floats y = (all(1.f) - power) / (all(1.f) + power);
  return x < all(0.f) ? -y : y;
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

// GELU to an error of 1.5e-7 and its last bit: max(x, 0) less |x| Φ(-|x|), with Φ(-a) as 1 / p(a)^4: minimax on
// [0, 5.5], where that ends.
SIMCSE_INLINE Floats gelu(Floats x) {
  const Floats a = smaller(magnitude(x), all(5.5f));
  Floats p = all(7.135936812e-06f);
  p = fma(p, a, all(-8.270461694e-05f));
  p = fma(p, a, all(4.820343163e-04f));
  p = fma(p, a, all(-1.453064266e-03f));
  p = fma(p, a, all(3.293380374e-03f));
  p = fma(p, a, all(-2.042809502e-03f));
  p = fma(p, a, all(9.374762885e-03f));
  p = fma(p, a, all(2.986122109e-02f));
  p = fma(p, a, all(1.186651289e-01f));
  p = fma(p, a, all(2.371644378e-01f));
  p = fma(p, a, all(1.189209223e+00f));
  p = p * p;
  return larger(all(0.f), x) - a / (p * p);
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
