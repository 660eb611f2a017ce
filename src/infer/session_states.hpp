#pragma once

namespace fabula::infer {

/// States of a session's graphs: what slots are told and tell (src/base/decode_slot.hpp).
inline constexpr const char* kSlotsState = "decode.slots";
inline constexpr const char* kCountsState = "decode.counts";
inline constexpr const char* kBiasState = "decode.bias";
inline constexpr const char* kRingState = "decode.ring";

}  // namespace fabula::infer
