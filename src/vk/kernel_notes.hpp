#pragma once
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>

#include "vk/kernel_key.hpp"

namespace fabula::vk {

/// What is known of kernels on a driver, in a file beside its pipeline cache, whose name says of which device and
/// driver: another one is asked anew, and so is this one about a shader whose code has changed. And a marker, a file of
/// its own, for every kernel that is being compiled: what a process that is gone has left behind names the kernel that
/// took it down.
class KernelNotes {
 public:
  /// Reads the file and takes what is left of other processes for crashes, saying so; an empty path keeps nothing. A
  /// file that cannot be read or written costs what it would have said, no more.
  explicit KernelNotes(std::filesystem::path path);

  const KernelFaults& faults() const { return faults_; }
  /// Notes what became of a kernel: `fault` as in KernelFaults. One that computes wrong stays so, however it compiles.
  /// save() writes what was noted.
  void note(const KernelKey& key, std::uint64_t fault);
  /// A kernel whose results were compared with its reference's and hold.
  void note_checked(const KernelKey& key);
  bool is_checked(const KernelKey& key) const { return checked_.contains(to_string(key)); }
  /// A kernel that was compiled this time crashes no longer.
  void note_compiled(const KernelKey& key);
  /// False once it could not be written, which is said once.
  bool save();
  const std::filesystem::path& path() const { return path_; }  ///< empty: nothing is kept

  /// The marker of one kernel while it is being compiled, by any thread. A signal that ends the program removes it.
  class Compiling {
   public:
    Compiling(const KernelNotes& notes, const KernelKey& key);
    ~Compiling();
    Compiling(const Compiling&) = delete;
    Compiling& operator=(const Compiling&) = delete;

   private:
    struct Marker;
    std::unique_ptr<Marker> marker_;
  };

 private:
  void read();
  void take_markers();

  std::filesystem::path path_;
  KernelFaults faults_;
  std::set<std::string, std::less<>> checked_;
  bool changed_ = false, failed_ = false;
};

}  // namespace fabula::vk
