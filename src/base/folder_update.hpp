#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace fabula {

/// Replaces several files of one folder as one step, so that a crash at any moment leaves the whole old set or the
/// whole new set.
///
/// How (a redo log made of names; no links, so that it works on any file system and the files stay where Hugging Face
/// tools look):
///   1. new files are written into FOLDER/checkpoint.writing/ and flushed;       crash: the old set is at the top, the
///   rest is litter
///   2. that folder is renamed to FOLDER/checkpoint.ready/;                      this one rename is the moment of
///   change
///   3. each file is renamed from there over the one in FOLDER;                  crash: recover() continues where it
///   stopped
///   4. the empty FOLDER/checkpoint.ready/ is removed.
/// Between 2 and 4 the new set is "what is in checkpoint.ready, else what is at the top": current() answers so. Whoever
/// writes or resumes calls recover() first, under the folder's lock. Each single file is whole at every moment, so
/// model.safetensors alone may be read without either. Links of the two folders' names are refused.
class FolderUpdate {
 public:
  /// Called before each system-visible action with its name; tests end the process there.
  using StepHook = std::function<void(std::string_view step)>;

  /// Starts an update: recovers the folder, creates it when missing, and empties checkpoint.writing. Error kIo.
  explicit FolderUpdate(const std::filesystem::path& folder, StepHook hook = {});
  /// Removes what an update without commit() has written.
  ~FolderUpdate();
  FolderUpdate(const FolderUpdate&) = delete;
  FolderUpdate& operator=(const FolderUpdate&) = delete;

  /// Where to write the new version of a file ("model.safetensors"). Files of the folder that are not written keep
  /// their content.
  std::filesystem::path path_of(std::string_view name) const;
  /// Flushes everything and makes it current. Error kIo: before the moment of change nothing has changed; after it,
  /// recover() finishes.
  void commit();

  /// Finishes an update that was cut short after its moment of change; removes one cut short before. Safe to call at
  /// any time by the folder's one writer. A folder that does not exist is left alone. Error kIo.
  static void recover(const std::filesystem::path& folder, const StepHook& hook = {});
  /// The current version of a file, for readers that must not write; it may not exist.
  static std::filesystem::path current(const std::filesystem::path& folder, std::string_view name);
  /// Is nothing in a folder but what an update cut short before its moment of change has left? Error kIo.
  static bool is_empty(const std::filesystem::path& folder);
  /// What to call a file in messages: FOLDER/NAME for one that path_of() gave, any other path as it is.
  static std::filesystem::path asked_for(const std::filesystem::path& path);

 private:
  std::filesystem::path folder_;
  StepHook hook_;
  bool done_ = false;
};

/// Error kInvalidArgument where folder/name is a link that leads out of the folder, or nowhere: who writes, moves or
/// empties what has that name would do so elsewhere. The folder itself may be a link: its user has named it.
void check_no_link_out(const std::filesystem::path& folder, std::string_view name);

}  // namespace fabula
