#include "vk/kernel_notes.hpp"

#include <fmt/ranges.h>

#include <atomic>
#include <charconv>
#include <optional>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/machine.hpp"
#include "base/removal_list.hpp"
#include "vk/shader_table.hpp"

namespace fabula::vk {
namespace {

constexpr std::uint64_t kMaxNotes = 8u << 20;

std::string_view shader_of(std::string_view kernel) {
  return kernel.substr(0, kernel.find('('));
}

template <class T>
bool read_number(std::string_view& text, T& number, int base) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (code != std::errc() || end == text.data() + text.size() || *end != ' ') return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return true;
}

constexpr std::string_view kHolds = "holds ";

/// A line is "DIGEST FAULT KERNEL": the shader's code in hexadecimal, KernelFaults' number, to_string(KernelKey); or
/// "DIGEST holds KERNEL" for one whose results were checked.
template <class Verdict>
std::string line_of(std::string_view kernel, const Verdict& verdict) {
  return fmt::format("{:016x} {} {}\n", shader_digest(shader_of(kernel)).value_or(0), verdict, kernel);
}

struct Line {
  std::string_view kernel;
  std::uint64_t fault = 0;
  bool holds = false;
};
/// Nothing for a line that is damaged, or of a shader that has changed since.
std::optional<Line> read_line(std::string_view text) {
  std::uint64_t digest = 0;
  Line line;
  if (!read_number(text, digest, 16)) return {};
  line.holds = text.starts_with(kHolds);
  if (line.holds)
    text.remove_prefix(kHolds.size());
  else if (!read_number(text, line.fault, 10))
    return {};
  if (text.empty()) return {};
  line.kernel = text;
  if (shader_digest(shader_of(text)) != digest) return {};
  return line;
}

template <class Take>
void for_each_line(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;  // cut short
    if (const std::optional<Line> line = read_line(text.substr(0, end))) take(*line);
    text.remove_prefix(end + 1);
  }
}

std::string marker_stem(const std::filesystem::path& notes) {
  return notes.filename().string() + ".compiling-";
}

}  // namespace

std::string to_string(const KernelKey& key) {
  std::string text = fmt::format("{}({})", key.shader, fmt::join(key.constants, ", "));
  if (!key.types.empty()) text += fmt::format(" types {}", fmt::join(key.types, " "));
  if (key.subgroup_size > 0) text += fmt::format(", subgroups of {}", key.subgroup_size);
  return text;
}

std::uint64_t distrusted_digest(const KernelFaults& faults) {
  std::uint64_t digest = kFnvOffset;
  for (const auto& [kernel, fault] : faults) {
    if (!is_distrusted(fault)) continue;
    const std::string line = line_of(kernel, fault);
    digest = fnv1a(line.data(), line.size(), digest);
  }
  return digest;
}

KernelNotes::KernelNotes(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.empty()) return;
  try {
    read();
    take_markers();
  } catch (const std::exception& error) {
    warn("going on without what is known of this driver's compiler: {}", error.what());
  }
  save();
}

void KernelNotes::read() {
  std::error_code code;
  if (!std::filesystem::exists(path_, code)) return;
  const std::string text = read_file(path_, kMaxNotes);
  for_each_line(text, [&](const Line& line) {
    if (line.holds)
      checked_.emplace(line.kernel);
    else
      faults_.insert_or_assign(std::string(line.kernel), line.fault);
  });
}

void KernelNotes::take_markers() {
  std::error_code code;
  if (!std::filesystem::is_directory(path_.parent_path(), code)) return;
  const std::string stem = marker_stem(path_);
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(path_.parent_path()))
    if (entry.path().filename().string().starts_with(stem) && !is_in_use(entry.path())) left.push_back(entry.path());
  for (const std::filesystem::path& marker : left) {
    const std::string text = read_file(marker, kMaxNotes);
    for_each_line(text, [&](const Line& line) {
      const auto [fault, is_new] = faults_.try_emplace(std::string(line.kernel), kCrashes);
      if (fault->second != kWrong) fault->second = kCrashes;  // what computes wrong numbers stays so
      changed_ = true;
      warn(
          "an earlier start ended while the driver compiled {}; another variant is taken where there is one (`fabula "
          "check --compile` tries it again, {} says what is avoided)",
          line.kernel, path_.string());
    });
    std::filesystem::remove(marker, code);
  }
}

void KernelNotes::note(const KernelKey& key, std::uint64_t fault) {
  const auto [entry, is_new] = faults_.try_emplace(to_string(key), fault);
  if (!is_new && (entry->second == fault || (entry->second == kWrong && fault < kWrong))) return;
  entry->second = fault;
  if (fault == kWrong) checked_.erase(to_string(key));
  changed_ = true;
}

void KernelNotes::note_checked(const KernelKey& key) {
  changed_ = checked_.insert(to_string(key)).second || changed_;
}

void KernelNotes::note_compiled(const KernelKey& key) {
  if (const auto found = faults_.find(to_string(key)); found != faults_.end() && found->second == kCrashes) {
    faults_.erase(found);
    changed_ = true;
  }
}

bool KernelNotes::save() {
  if (path_.empty() || failed_ || !changed_) return !failed_;
  changed_ = false;
  try {
    ensure_directory(path_.parent_path());
    std::string text;
    for (const auto& [kernel, fault] : faults_) text += line_of(kernel, fault);
    for (const std::string& kernel : checked_) text += line_of(kernel, "holds");
    write_file_atomically(path_, text);
  } catch (const std::exception& error) {
    warn("what was learnt of this driver's compiler was not saved: {}", error.what());
    failed_ = true;
  }
  return !failed_;
}

struct KernelNotes::Compiling::Marker {
  explicit Marker(std::filesystem::path where)
      : path(std::move(where)), on_signal(path), file(path, OutputFile::Mode::kNew), in_use(file) {}
  ~Marker() {
    std::error_code code;
    std::filesystem::remove(path, code);
  }
  std::filesystem::path path;
  RemovedOnSignal on_signal;
  OutputFile file;
  OutputFile::InUse in_use;
};

KernelNotes::Compiling::Compiling(const KernelNotes& notes, const KernelKey& key) {
  if (notes.path_.empty()) return;
  static std::atomic<std::uint64_t> next{0};
  try {
    ensure_directory(notes.path_.parent_path());
    marker_ = std::make_unique<Marker>(
        notes.path_.parent_path() /
        fmt::format("{}{}-{}", marker_stem(notes.path_), process_id(), next.fetch_add(1, std::memory_order_relaxed)));
    marker_->file.write(line_of(to_string(key), kCrashes));  // once it is locked: an unlocked one with text is a crash
  } catch (const std::exception&) {
    marker_.reset();  // a crash will have no name
  }
}

KernelNotes::Compiling::~Compiling() = default;

}  // namespace fabula::vk
