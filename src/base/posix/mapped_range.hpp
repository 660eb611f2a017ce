#pragma once
#include <cstddef>

namespace fabula {

struct MappedRange;

/// Guards a mapping of a file against the file's being cut short: a read beyond its new end, which the system answers
/// with SIGBUS, finds zeros from there to the mapping's end, and the range is marked as cut. Faults elsewhere go to the
/// handler that was there before. From any thread.
MappedRange* guard_range(const std::byte* data, std::size_t size);
/// Ends the guard, before the mapping is undone.
void end_guard(MappedRange* range) noexcept;
bool was_cut(const MappedRange* range) noexcept;

}  // namespace fabula
