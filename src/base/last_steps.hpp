#pragma once
#include <filesystem>

// What a handler that ends the program may still do: neither locks nor allocates.
namespace fabula {

void remove_file_now(const std::filesystem::path::value_type* path) noexcept;
void remove_folder_now(const std::filesystem::path::value_type* path) noexcept;  ///< an empty one
/// Some time, in a thread that is to do nothing more.
void wait_for_the_end() noexcept;

}  // namespace fabula
