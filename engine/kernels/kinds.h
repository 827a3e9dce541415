// Choices that a graph states for its operators.
#pragma once

namespace simcse {

// What a layer's weights and products are.
enum class Precision { int8, bf16, fp32 };

enum class Activation { gelu, gelu_tanh, quick_gelu, silu, relu, tanh, count };

// By the names in the operators' attribute.
constexpr const char* kActivationNames[] = {"gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "tanh"};

// How a sentence's states become one row: of the first token alone, which is all that a first layer gives, or of all
// tokens.
enum class Pooler { first, mean, max, mean_sqrt_len, weightedmean, lasttoken, count };

constexpr const char* kPoolerNames[] = {"first", "mean", "max", "mean_sqrt_len", "weightedmean", "lasttoken"};

// The types of ONNX's tensors that are used here.
enum ElementType { kUndefined = 0, kFloat = 1, kUint8 = 2, kInt8 = 3, kInt64 = 7, kBfloat16 = 16 };

}  // namespace simcse
