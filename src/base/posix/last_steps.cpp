#include "base/last_steps.hpp"

#include <unistd.h>

namespace fabula {

void remove_file_now(const char* path) noexcept {
  ::unlink(path);
}

void remove_folder_now(const char* path) noexcept {
  ::rmdir(path);
}

void wait_for_the_end() noexcept {
  ::pause();
}

}  // namespace fabula
