#include "compress/steps.hpp"

#include <algorithm>
#include <atomic>

#include "base/fail.hpp"
#include "base/parallel.hpp"

namespace fabula::compress {

void report(const Work& work, double done) {
  if (work.go_on && !work.go_on(done)) fail(ErrorCode::kInterrupted, "compression was stopped");
}

void for_each_block(const Work& work, const Part& part, std::int64_t count, std::int64_t block,
                    const std::function<void(std::int64_t first, std::int64_t n)>& step) {
  const std::int64_t blocks = (count + block - 1) / block;
  std::atomic<std::int64_t> finished{0};
  parallel_for(work.threads, static_cast<std::size_t>(blocks), [&](std::size_t worker, std::size_t item) {
    const std::int64_t first = static_cast<std::int64_t>(item) * block;
    step(first, std::min(block, count - first));
    const std::int64_t done = finished.fetch_add(1) + 1;
    const bool calling_thread = worker == 0;
    if (calling_thread && part.end > part.begin)
      report(work, part.at(static_cast<double>(done) / static_cast<double>(blocks)));
  });
}

}  // namespace fabula::compress
