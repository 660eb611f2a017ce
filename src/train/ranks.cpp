#include "train/ranks.hpp"

#include <bit>
#include <numeric>

#include "base/fail.hpp"
#include "base/hash.hpp"

namespace fabula::train {

std::int64_t own_micro_batches(const TrainConfig& config, int ranks) {
  if (config.grad_accumulation % ranks == 0) return config.grad_accumulation / ranks;
  const std::int64_t sequences = config.batch_size * config.grad_accumulation;
  const std::int64_t batch = sequences % ranks == 0 ? std::gcd(config.batch_size, sequences / ranks) : 0;
  const std::string advice =
      batch > 0
          ? fmt::format(
                "the same sequences a step in parts that do: --set train.batch_size={} --set "
                "train.grad_accumulation={}",
                batch, sequences / batch)
          : fmt::format("its {} sequences do not either: choose another batch, or another number of ranks", sequences);
  fail(ErrorCode::kInvalidArgument,
       "a step is train.grad_accumulation = {} batches, which do not divide among {} ranks; {}",
       config.grad_accumulation, ranks, advice);
}

bool has_subtrees(const TrainConfig& config, int ranks) {
  return ranks == 1 || std::has_single_bit(static_cast<std::uint64_t>(config.grad_accumulation / ranks));
}

std::string weights_hash(graph::Runtime& runtime, const models::LanguageModel& model) {
  std::uint64_t hash = kFnvOffset;
  std::vector<std::byte> bytes;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    const graph::Shape& shape = runtime.workload().stored().at(spec.name).shape;
    bytes.resize(static_cast<std::size_t>(shape.count() * graph::element_bytes(shape.dtype)));
    runtime.download(spec.name, shape.dtype, bytes);
    hash = fnv1a(bytes.data(), bytes.size(), hash);
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace fabula::train
