#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "vk/kernel_key.hpp"

namespace fabula::vk {

/// What came of comparing a kernel with its reference, where it was not found to be wrong.
enum class Verdict {
  kHolds,      ///< its results are right
  kAlike,      ///< so are those of the same code with other constants; no case launches the kernel itself
  kUnchecked,  ///< no case launches its code
};

/// What is known of kernels on a driver, in a file beside its pipeline cache, whose name says of which device and
/// driver: another one is asked anew, and so is this one about a shader whose code has changed. And a marker, a file of
/// its own, for every kernel that is being compiled or checked: what a process that is gone has left behind names the
/// kernel that took it down.
class KernelNotes {
 public:
  /// Reads the file and takes what is left of other processes for crashes, saying so; an empty path keeps nothing. A
  /// file that cannot be read or written costs what it would have said, no more.
  explicit KernelNotes(std::filesystem::path path);

  const KernelFaults& faults() const { return known_.faults; }
  /// Notes what became of a kernel: `fault` as in KernelFaults. One that computes wrong stays so, however it compiles.
  /// save() writes what was noted.
  void note(const KernelKey& key, std::uint64_t fault);
  void note_verdict(const KernelKey& key, Verdict verdict);
  std::optional<Verdict> verdict(const KernelKey& key) const;
  /// A kernel that was compiled this time crashes no longer.
  void note_compiled(const KernelKey& key);
  /// Adds what was noted here to what the file says by then: other processes write it too. False once it could not be
  /// written, which is said once.
  bool save();
  const std::filesystem::path& path() const { return path_; }  ///< empty: nothing is kept

  enum class Trial { kCompiled, kRun };
  /// The marker of kernels while one is being compiled, or some are run for the first time, by any thread. A signal
  /// that ends the program removes it.
  class OnTrial {
   public:
    OnTrial(const KernelNotes& notes, std::span<const KernelKey> kernels, Trial trial);
    ~OnTrial();
    OnTrial(const OnTrial&) = delete;
    OnTrial& operator=(const OnTrial&) = delete;

   private:
    struct Marker;
    std::unique_ptr<Marker> marker_;
  };

 private:
  /// What a file says.
  struct Known {
    KernelFaults faults;
    std::map<std::string, Verdict, std::less<>> verdicts;

    void read(const std::filesystem::path& path);
    std::string text() const;
    // Each false where nothing is changed by it.
    bool note(const std::string& kernel, std::uint64_t fault);
    bool note_verdict(const std::string& kernel, Verdict verdict);
    bool note_compiled(const std::string& kernel);
  };
  using Change = std::function<bool(Known&)>;

  void apply(Change change);
  void take_markers(Trial trial);

  std::filesystem::path path_;
  Known known_;
  std::vector<Change> unsaved_;
  bool failed_ = false;
};

}  // namespace fabula::vk
