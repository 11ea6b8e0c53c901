/* The gated activations on Metal, for T float or a vector of it; glu.h has the formulas. Where e^-x overflows, silu is -0. */
#pragma once
#include <metal_stdlib>
#include "kernels/glu.h"
using namespace metal;

template <typename T> static METAL_FUNC T silu(T x) { return x / (1.0f + precise::exp(-x)); }

template <typename T> static METAL_FUNC T gelu_tanh(T x) {
    const float root_2_pi = 0.797884561f;
    return 0.5f * x * (1.0f + precise::tanh(root_2_pi * x * (1.0f + 0.044715f * x * x)));
}

template <typename T> static METAL_FUNC T gated(uint act, T gate, T up) { return (act == GLU_SILU ? silu(gate) : gelu_tanh(gate)) * up; }
