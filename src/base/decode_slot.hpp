#pragma once
#include <cstdint>

namespace fabula {
#include "../../shaders/include/decode_slot.glsl"
}  // namespace fabula
