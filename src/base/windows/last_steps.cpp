#include "base/last_steps.hpp"

#include "base/windows/system.hpp"

namespace fabula {

void remove_file_now(const wchar_t* path) noexcept {
  ::DeleteFileW(path);
}

void remove_folder_now(const wchar_t* path) noexcept {
  ::RemoveDirectoryW(path);
}

void wait_for_the_end() noexcept {
  ::Sleep(INFINITE);
}

}  // namespace fabula
