// Choices that a graph states for its operators.
#pragma once

namespace simcse {

enum class Activation { gelu, gelu_tanh, quick_gelu, silu, relu, tanh, count };

// By the names in the operators' attribute.
constexpr const char* kActivationNames[] = {"gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "tanh"};

}  // namespace simcse
