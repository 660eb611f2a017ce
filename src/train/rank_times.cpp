#include "train/rank_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/fail.hpp"

namespace fabula::train {

void RankTimes::add(double seconds, double waited, double tokens) {
  seconds_ += seconds;
  waited_ += waited;
  tokens_ += tokens;
}

void RankTimes::tell(std::map<std::string, double>& values) {
  std::array<double, 2> own{0, 0};  // tokens a second, part of the time
  if (seconds_ > 0) own = {tokens_ / std::max(seconds_ - waited_, 0.01 * seconds_), std::min(waited_ / seconds_, 1.0)};
  seconds_ = waited_ = tokens_ = 0;
  const auto all = ranks_.gather(std::as_bytes(std::span(own)), kPeerPatience);
  for (std::size_t r = 0; r < all.size(); ++r) {
    ensure(all[r].size() == sizeof(own), "rank {} tells {} bytes of its time", r, all[r].size());
    std::memcpy(own.data(), all[r].data(), sizeof(own));
    values[fmt::format("rank_{}_tokens_per_second", r)] = own[0];
    values[fmt::format("rank_{}_waiting", r)] = own[1];
  }
}

}  // namespace fabula::train
