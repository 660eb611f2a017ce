#pragma once
#include <cstddef>
#include <functional>

namespace fabula {

/// The number of threads to use when the caller has no wish (0): the machine's, at least 1.
size_t thread_count_or_default(size_t threads);

/// Calls work(worker, item) for every item of [0, items), items handed out in order to `threads` workers (0: all of the
/// machine's). Returns when all are done; the first exception is rethrown here and ends the hand-out.
void parallel_for(size_t threads, size_t items, const std::function<void(size_t worker, size_t item)>& work);

}  // namespace fabula
