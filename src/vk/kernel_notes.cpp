#include "vk/kernel_notes.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <thread>

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

constexpr std::array<std::string_view, 3> kVerdicts{"holds", "alike", "unchecked"};  // in Verdict's order

std::string_view word_of(Verdict verdict) {
  return kVerdicts.at(static_cast<std::size_t>(verdict));
}

/// A line is "DIGEST FAULT KERNEL": the shader's code in hexadecimal, KernelFaults' number, to_string(KernelKey); or
/// "DIGEST holds KERNEL" with a word of kVerdicts.
template <class Finding>
std::string line_of(std::string_view kernel, const Finding& finding) {
  return fmt::format("{:016x} {} {}\n", shader_digest(shader_of(kernel)).value_or(0), finding, kernel);
}

struct Line {
  std::string_view kernel;
  std::uint64_t fault = 0;
  std::optional<Verdict> verdict = {};
};

std::optional<Verdict> read_verdict(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  const auto found = std::find(kVerdicts.begin(), kVerdicts.end(), word);
  if (found == kVerdicts.end() || word.size() == text.size()) return {};
  text.remove_prefix(word.size() + 1);
  return static_cast<Verdict>(found - kVerdicts.begin());
}

/// Nothing for a line that is damaged, or of a shader that has changed since.
std::optional<Line> read_line(std::string_view text) {
  std::uint64_t digest = 0;
  Line line;
  if (!read_number(text, digest, 16)) return {};
  line.verdict = read_verdict(text);
  if (!line.verdict && !read_number(text, line.fault, 10)) return {};
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

std::string marker_stem(const std::filesystem::path& notes, KernelNotes::Trial trial) {
  return notes.filename().string() + (trial == KernelNotes::Trial::kCompiled ? ".compiling-" : ".running-");
}

/// The lock of the file, as soon as others have done what takes them milliseconds.
FileLock lock_of(const std::filesystem::path& notes) {
  constexpr int kTries = 200;
  constexpr std::chrono::milliseconds kPause{10};
  std::filesystem::path path = notes;
  path += ".lock";
  for (int left = kTries;; --left) {
    try {
      return FileLock(path, "the file of what is known of kernels");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidArgument || left == 0) throw;
    }
    std::this_thread::sleep_for(kPause);
  }
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
    known_.read(path_);
    take_markers(Trial::kCompiled);
    take_markers(Trial::kRun);
  } catch (const std::exception& error) {
    warn("going on without what is known of this driver's compiler: {}", error.what());
  }
  save();
}

void KernelNotes::Known::read(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return;
  const std::string file = read_file(path, kMaxNotes);
  for_each_line(file, [&](const Line& line) {
    if (line.verdict)
      verdicts.insert_or_assign(std::string(line.kernel), *line.verdict);
    else
      faults.insert_or_assign(std::string(line.kernel), line.fault);
  });
}

std::string KernelNotes::Known::text() const {
  std::string text;
  for (const auto& [kernel, fault] : faults) text += line_of(kernel, fault);
  for (const auto& [kernel, verdict] : verdicts) text += line_of(kernel, word_of(verdict));
  return text;
}

bool KernelNotes::Known::note(const std::string& kernel, std::uint64_t fault) {
  const auto [entry, is_new] = faults.try_emplace(kernel, fault);
  if (!is_new && (entry->second == fault || entry->second == kWrong)) return false;  // wrong, however it compiles
  entry->second = fault;
  if (fault == kWrong) verdicts.erase(kernel);
  return true;
}

bool KernelNotes::Known::note_verdict(const std::string& kernel, Verdict verdict) {
  if (const auto fault = faults.find(kernel); fault != faults.end() && fault->second == kWrong) return false;
  const auto [entry, is_new] = verdicts.try_emplace(kernel, verdict);
  if (!is_new && entry->second <= verdict) return false;  // more is known
  entry->second = verdict;
  return true;
}

bool KernelNotes::Known::note_compiled(const std::string& kernel) {
  const auto found = faults.find(kernel);
  if (found == faults.end() || found->second != kCrashes) return false;
  faults.erase(found);
  return true;
}

void KernelNotes::apply(Change change) {
  if (change(known_)) unsaved_.push_back(std::move(change));
}

void KernelNotes::take_markers(Trial trial) {
  std::error_code code;
  if (!std::filesystem::is_directory(path_.parent_path(), code)) return;
  const std::string stem = marker_stem(path_, trial);
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(path_.parent_path()))
    if (entry.path().filename().string().starts_with(stem) && !is_in_use(entry.path())) left.push_back(entry.path());
  for (const std::filesystem::path& marker : left) {
    const std::string text = read_file(marker, kMaxNotes);
    std::vector<std::string> kernels;
    for_each_line(text, [&](const Line& line) { kernels.emplace_back(line.kernel); });
    for (const std::string& kernel : kernels) apply([kernel](Known& known) { return known.note(kernel, kCrashes); });
    if (!kernels.empty())
      warn(
          "an earlier start ended while the driver {} {}; another variant is taken where there is one (`fabula check "
          "--compile` tries it again, {} says what is avoided)",
          trial == Trial::kCompiled ? "compiled" : "ran", fmt::join(kernels, " or "), path_.string());
    std::filesystem::remove(marker, code);
  }
}

void KernelNotes::note(const KernelKey& key, std::uint64_t fault) {
  apply([kernel = to_string(key), fault](Known& known) { return known.note(kernel, fault); });
}

void KernelNotes::note_verdict(const KernelKey& key, Verdict verdict) {
  apply([kernel = to_string(key), verdict](Known& known) { return known.note_verdict(kernel, verdict); });
}

std::optional<Verdict> KernelNotes::verdict(const KernelKey& key) const {
  const auto found = known_.verdicts.find(to_string(key));
  return found == known_.verdicts.end() ? std::nullopt : std::optional(found->second);
}

void KernelNotes::note_compiled(const KernelKey& key) {
  apply([kernel = to_string(key)](Known& known) { return known.note_compiled(kernel); });
}

bool KernelNotes::save() {
  if (path_.empty() || failed_ || unsaved_.empty()) return !failed_;
  try {
    ensure_directory(path_.parent_path());
    const FileLock lock = lock_of(path_);
    Known all;
    try {
      all.read(path_);
    } catch (const Error&) {
      all = known_;  // of a file that cannot be read nothing is lost
    }
    for (const Change& change : unsaved_) change(all);
    write_file_atomically(path_, all.text());
    unsaved_.clear();
  } catch (const std::exception& error) {
    warn("what was learnt of this driver's compiler was not saved: {}", error.what());
    failed_ = true;
  }
  return !failed_;
}

struct KernelNotes::OnTrial::Marker {
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

KernelNotes::OnTrial::OnTrial(const KernelNotes& notes, std::span<const KernelKey> kernels, Trial trial) {
  if (notes.path_.empty()) return;
  static std::atomic<std::uint64_t> next{0};
  try {
    ensure_directory(notes.path_.parent_path());
    marker_ = std::make_unique<Marker>(notes.path_.parent_path() /
                                       fmt::format("{}{}-{}", marker_stem(notes.path_, trial), process_id(),
                                                   next.fetch_add(1, std::memory_order_relaxed)));
    std::string text;
    for (const KernelKey& kernel : kernels) text += line_of(to_string(kernel), kCrashes);
    marker_->file.write(text);  // once it is locked: an unlocked one with text is a crash
  } catch (const std::exception&) {
    marker_.reset();  // a crash will have no name
  }
}

KernelNotes::OnTrial::~OnTrial() = default;

}  // namespace fabula::vk
