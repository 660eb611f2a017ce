#pragma once
#include <cstdint>
#include <filesystem>

#include "base/windows/system.hpp"

namespace fabula {

/// The handle behind a descriptor of the C library.
HANDLE handle_of(int descriptor);
/// A descriptor that owns the handle from now on. Error kIo where there are too many.
int descriptor_of(Handle& handle, int flags);

/// A file, opened so that others may do with it what they like. Errors: kNotFound, kIo, kFormat for a folder or a
/// device.
Handle open_for_reading(const std::filesystem::path& path);
/// In bytes. Error kIo.
std::uint64_t size_of(const Handle& file, const std::filesystem::path& path);

/// False with GetLastError(). A file of the new name is replaced as one step, also where others have it open.
bool rename_replacing(const std::filesystem::path& from, const std::filesystem::path& to);

/// Locks, without waiting, a byte that lies beyond what any file holds: locks of Windows keep others from reading.
bool lock_for_itself(HANDLE file);

}  // namespace fabula
