#include "formats/token_map_tensors.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/fail.hpp"

namespace fabula {
namespace {

constexpr std::string_view kShortlistTensor = kTokenMapTensors[0], kTokensTensor = kTokenMapTensors[1],
                           kStartsTensor = kTokenMapTensors[2];

/// The name in the folder of a tensor behind whatever wrappers have put before it; empty: it is not there.
std::string name_in(const ModelTensors& tensors, std::string_view plain) {
  if (tensors.contains(plain)) return std::string(plain);
  for (const std::string& name : tensors.names())
    if (name.ends_with(plain) && name.size() > plain.size() && name[name.size() - plain.size() - 1] == '.') return name;
  return {};
}

template <class Stored>
void append_numbers(std::span<const std::byte> bytes, std::vector<std::int64_t>& numbers) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, bytes.data() + at, sizeof(Stored));
    numbers.push_back(value);
  }
}

/// Numbers of a tensor of one dimension, each from 0 to `most`.
std::vector<std::int64_t> read_numbers(const ModelTensors& tensors, const std::string& name, std::int64_t most) {
  const TensorInfo& info = tensors.info(name);
  const auto refuse = [&](std::string_view why) {
    fail(ErrorCode::kFormat, "{}: tensor \"{}\" {}", tensors.path().string(), name, why);
  };
  if (info.shape.size() != 1) refuse(fmt::format("is {}, a list of whole numbers is needed", shape_text(info.shape)));
  std::vector<std::int64_t> numbers;
  if (info.dtype == TensorDtype::kI32)
    append_numbers<std::int32_t>(tensors.raw(name), numbers);
  else if (info.dtype == TensorDtype::kI64)
    append_numbers<std::int64_t>(tensors.raw(name), numbers);
  else
    refuse(fmt::format("is {}, a group map is I32 or I64", dtype_name(info.dtype)));
  for (const std::int64_t number : numbers)
    if (number < 0 || number > most) refuse(fmt::format("has the number {}, expected 0 to {}", number, most));
  return numbers;
}

/// TokenMap::step of a file's weights; of files that training has not written, 0.
std::int64_t map_step_of(const SafetensorsFile& file) {
  std::int64_t step = 0;
  if (const auto noted = file.metadata().find(kMapStepKey); noted != file.metadata().end())
    std::from_chars(noted->second.data(), noted->second.data() + noted->second.size(), step);
  return step;
}

std::vector<std::int32_t> as_int32(const std::vector<std::uint32_t>& tokens) {
  return {tokens.begin(), tokens.end()};
}

}  // namespace

std::vector<TensorSource> token_map_tensors(const TokenMap& map) {
  std::vector<TensorSource> sources;
  const auto add = [&](std::string_view name, std::vector<std::int32_t> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    sources.push_back(integer_tensor(std::string(name), {count}, std::move(values)));
  };
  if (!map.shortlist.empty()) add(kShortlistTensor, as_int32(map.shortlist));
  std::vector<std::int32_t> tokens, starts{0};
  for (const std::vector<std::uint32_t>& group : map.groups) {
    tokens.insert(tokens.end(), group.begin(), group.end());
    starts.push_back(static_cast<std::int32_t>(tokens.size()));
  }
  add(kTokensTensor, std::move(tokens));
  add(kStartsTensor, std::move(starts));
  return sources;
}

std::optional<TokenMap> read_token_map_tensors(const ModelTensors& tensors, std::int64_t vocabulary) {
  const std::string shortlist = name_in(tensors, kShortlistTensor), tokens = name_in(tensors, kTokensTensor),
                    starts = name_in(tensors, kStartsTensor);
  if (tokens.empty() && starts.empty()) return {};
  const std::string source = tensors.path().string();
  if (tokens.empty() || starts.empty())
    fail(ErrorCode::kFormat, "{}: of a group map there is \"{}\" and no \"{}\"", source, tokens + starts,
         tokens.empty() ? kTokensTensor : kStartsTensor);
  const std::vector<std::int64_t> list = read_numbers(tensors, tokens, vocabulary - 1);
  const auto count = static_cast<std::int64_t>(list.size());
  const std::vector<std::int64_t> begins = read_numbers(tensors, starts, count);
  if (begins.empty() || begins.front() != 0 || begins.back() != count || !std::is_sorted(begins.begin(), begins.end()))
    fail(ErrorCode::kFormat, "{}: tensor \"{}\" must rise from 0 to {}, the number of tokens in groups", source, starts,
         count);
  TokenMap map;
  if (!shortlist.empty())
    for (const std::int64_t token : read_numbers(tensors, shortlist, vocabulary - 1))
      map.shortlist.push_back(static_cast<std::uint32_t>(token));
  for (std::size_t g = 0; g + 1 < begins.size(); ++g)
    map.groups.emplace_back(list.begin() + begins[g], list.begin() + begins[g + 1]);
  check_token_map(map, vocabulary, source);
  map.step = map_step_of(tensors.file_of(tokens));
  return map;
}

}  // namespace fabula
