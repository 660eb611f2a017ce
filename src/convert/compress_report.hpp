#pragma once
#include <optional>
#include <string>

#include "convert/compress.hpp"
#include "formats/table.hpp"

namespace fabula::convert {

/// What a folder's page of its compression is called.
inline constexpr const char* kCompressionPage = "compression.html";

/// Perplexity on a text that the matrices were not made by.
struct CompressCost {
  double before = 0, after = 0;
};

/// A row a matrix: bits, bytes, error; the whole model's in the notes.
Table compress_table(const CompressResult& result);

/// The same as a page with plots: bits against error, error by layer, perplexity against bytes.
std::string compress_page(const std::string& title, const std::string& how, const CompressResult& result,
                          const std::optional<CompressCost>& cost);

}  // namespace fabula::convert
