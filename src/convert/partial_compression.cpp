#include "convert/partial_compression.hpp"

#include <charconv>
#include <cstring>
#include <system_error>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/file_io.hpp"
#include "formats/safetensors.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSettings = "settings.txt";
constexpr std::size_t kMaxSettingsBytes = 1 << 16;

std::int64_t number_of(const SafetensorsFile& file, const char* key) {
  const std::string& text = file.metadata().at(key);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::uint16_t> halves_of(const SafetensorsFile& file, std::string_view name, std::size_t count) {
  const std::span<const std::byte> bytes = file.raw(name);
  ensure(bytes.size() == 2 * count, "{} bytes of \"{}\"", bytes.size(), name);
  std::vector<std::uint16_t> halves(count);
  std::memcpy(halves.data(), bytes.data(), bytes.size());
  return halves;
}

}  // namespace

fs::path partial_folder(const fs::path& out) {
  const fs::path normal = fs::absolute(out).lexically_normal();
  fs::path folder = normal.has_filename() ? normal : normal.parent_path();
  return folder += ".partial";
}

PartialCompression::PartialCompression(const fs::path& out, const std::string& settings) : path_(partial_folder(out)) {
  if (fs::exists(path_ / kSettings)) {
    if (read_file(path_ / kSettings, kMaxSettingsBytes) != settings)
      fail(ErrorCode::kInvalidArgument,
           "{} holds a compression to the same --out that was begun with other settings, or of other weights: finish "
           "it with the same command, or remove that folder",
           path_.string());
    return;
  }
  std::error_code code;
  fs::create_directories(path_, code);
  check_done(code, path_, "create");
  write_file_atomically(path_ / kSettings, settings);
}

fs::path PartialCompression::file_of(const std::string& name) const {
  return path_ / (name + ".safetensors");
}

std::optional<FittedMatrix> PartialCompression::find(const std::string& name) const {
  if (!fs::exists(file_of(name))) return std::nullopt;
  try {
    const SafetensorsFile file = SafetensorsFile::open(file_of(name));
    FittedMatrix matrix;
    CodedMatrix& coded = matrix.coded;
    coded.bits = static_cast<int>(number_of(file, "bits"));
    coded.rows = number_of(file, "rows");
    coded.cols = number_of(file, "cols");
    coded.has_offsets = file.contains(name + std::string(kOffsetsEnd));
    matrix.error = std::stod(file.metadata().at("error"));
    const auto groups = static_cast<std::size_t>(coded.rows * coded.groups());
    unpack_codes(file.raw(name + std::string(kCodesEnd)), coded);
    coded.scales = halves_of(file, name + std::string(kScalesEnd), groups);
    if (coded.has_offsets) coded.offsets = halves_of(file, name + std::string(kOffsetsEnd), groups);
    return matrix;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void PartialCompression::save(const std::string& name, const FittedMatrix& matrix) const {
  write_safetensors(file_of(name), coded_tensors(name, matrix.coded),
                    {{"bits", std::to_string(matrix.coded.bits)},
                     {"rows", std::to_string(matrix.coded.rows)},
                     {"cols", std::to_string(matrix.coded.cols)},
                     {"error", fmt::format("{:.17g}", matrix.error)}});
}

void PartialCompression::remove() const {
  std::error_code code;
  fs::remove_all(path_, code);
  check_done(code, path_, "remove");
}

}  // namespace fabula::convert
