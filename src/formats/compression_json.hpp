#pragma once
#include <nlohmann/json.hpp>
#include <string_view>

#include "formats/compression.hpp"

// The same as JSON, for the files of this layer.
namespace fabula {

/// Has a config an object "quantization_config" that fabula wrote?
bool is_own_compression(const nlohmann::json& root);
Compression read_compression(const nlohmann::json& root, std::string_view source);
nlohmann::ordered_json compression_json(const Compression& compression);

}  // namespace fabula
