#include <functional>
#include <numeric>

#include "base/philox.hpp"
#include "graph/reference.hpp"
#include "reference/token_weights.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

namespace {
enum Input : std::size_t { kLogProbs, kSlots, kCounts, kBias, kPlaces, kRing };

bool drawable(float log_p) {
  return std::abs(log_p) < kExcluded;  // false for NaN
}
/// Numbers too small for a normal float count as 0, as on devices that flush them.
float flushed(float x) {
  return std::abs(x) < 0x1p-126f ? 0.0f : x;
}

/// One row's token: its log-probabilities and what its slot says.
struct Row {
  std::vector<float> log_p;
  const std::uint32_t* slot;
  const std::uint32_t* counts;
  std::vector<float> bias;
  float number(std::uint32_t word) const { return std::bit_cast<float>(slot[word]); }

  float adjusted(std::size_t id) const {
    const bool counted = slot[kSlotFlags] & kUsesCounts;
    float l = log_p[id];
    if (counted && counts[id] != 0) l = rounded_product(l, number(kSlotRepetition));
    if (slot[kSlotFlags] & kUsesBias) l = rounded_sum(l, bias[id]);
    const std::uint32_t generated = counted ? counts[id] & ~kInPrompt : 0;
    if (generated > 0)
      l = rounded_sum(l, -rounded_sum(number(kSlotPresence),
                                      rounded_product(number(kSlotFrequency), static_cast<float>(generated))));
    return drawable(log_p[id]) ? l : NAN;
  }

  std::uint32_t token(std::uint32_t u) const {
    const std::int64_t chunk_tokens = draw_chunk(static_cast<std::int64_t>(log_p.size()));
    const bool greedy = number(kSlotTemperature) < kLeastTemperature;
    const float factor = greedy ? 1 : sharpness(number(kSlotTemperature));
    float most = -kExcluded;
    std::uint32_t likeliest = kNoToken;
    std::vector<Candidate> candidates;
    std::vector<std::int32_t> chunk_tops((log_p.size() - 1) / static_cast<std::size_t>(chunk_tokens) + 1,
                                         -2'000'000'000);
    for (std::uint32_t id = 0; id < log_p.size(); ++id) {
      const float l = flushed(adjusted(id));
      if (!drawable(l)) continue;
      if (l > most) likeliest = id, most = l;
      candidates.push_back(candidate(id, l, factor));
      std::int32_t& top = chunk_tops[id / static_cast<std::size_t>(chunk_tokens)];
      top = std::max(top, candidates.back().octave);
    }
    if (greedy || likeliest == kNoToken) return likeliest;
    std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.before(b); });
    cut(candidates, {slot[kSlotTopK], number(kSlotTopP), number(kSlotMinP)});
    std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return draw(candidates, chunk_tops, chunk_tokens, u);
  }

  /// The ids of the `count` likeliest tokens by the model's own log-probability, kNoToken behind the last there is.
  std::vector<std::uint32_t> top(std::size_t count) const {
    std::vector<std::uint32_t> ids(log_p.size());
    std::iota(ids.begin(), ids.end(), 0u);
    std::erase_if(ids, [&](std::uint32_t id) { return !drawable(log_p[id]); });
    std::stable_sort(ids.begin(), ids.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return flushed(log_p[a]) > flushed(log_p[b]); });
    ids.resize(count, kNoToken);
    return ids;
  }
};

/// Why a text ends with this token; kReasonNone: it does not.
std::uint32_t reason_after(const std::uint32_t* slot, std::uint32_t token, std::uint32_t position) {
  if (token == kNoToken) return kReasonNumeric;
  const std::uint32_t* stops = slot + kSlotStops;
  if (std::find(stops, stops + kMostStops, token) != stops + kMostStops) return kReasonStop;
  return position + 1 >= slot[kSlotEnd] ? kReasonLength : kReasonNone;
}
}  // namespace

template <class T>
void sample_tokens(RefCall<T>& call) {
  const auto& log_probs = *call.in[kLogProbs];
  const auto V = static_cast<std::size_t>(log_probs.shape.cols);
  const auto ring_length = static_cast<std::uint32_t>(call.attrs.integer("ring"));
  for (std::size_t r = 0; r < static_cast<std::size_t>(log_probs.shape.rows); ++r) {
    const std::uint32_t* place = call.in[kPlaces]->u.data() + r * kPlaceWords;
    if (place[kPlaceLive] == 0 || place[kPlaceSlot] >= call.in[kSlots]->shape.rows) continue;
    const std::size_t at = place[kPlaceSlot];
    std::uint32_t* slot = call.in[kSlots]->u.data() + at * kSlotWords;
    std::uint32_t* counts = call.in[kCounts]->u.data() + at * V;
    const auto row_of = [&](const std::vector<T>& matrix, std::size_t row) {
      return std::vector<float>(matrix.begin() + row * V, matrix.begin() + (row + 1) * V);
    };
    const Row row{row_of(log_probs.f, r), slot, counts, row_of(call.in[kBias]->f, at)};
    const std::uint32_t position = place[kPlacePosition] + 1;
    const std::uint32_t token =
        row.token(philox4x32({position, 0, 0, kDrawStream}, {slot[kSlotSeed], slot[kSlotSeed + 1]})[0]);
    const std::uint32_t reason = reason_after(slot, token, position);
    const auto bits_of = [&](std::uint32_t id) {
      return id == kNoToken ? 0 : std::bit_cast<std::uint32_t>(row.log_p[id]);
    };

    std::uint32_t* ring = call.in[kRing]->u.data() + (at * ring_length + position % ring_length) * kRingWords;
    std::fill(ring, ring + kRingWords, 0);
    ring[kRingToken] = token;
    ring[kRingLogProb] = bits_of(token);
    ring[kRingPosition] = position;
    ring[kRingReason] = reason;
    ring[kRingVisited] = static_cast<std::uint32_t>(V);
    std::uint32_t* pair = ring + kRingTop;
    for (const std::uint32_t id : row.top(std::min(slot[kSlotTopN], kMostTopN))) {
      *pair++ = id;
      *pair++ = bits_of(id);
    }
    if (token != kNoToken) slot[kSlotToken] = token;
    if (token != kNoToken && slot[kSlotFlags] & kUsesCounts) ++counts[token];
    slot[kSlotPosition] = position;
    slot[kSlotReason] = reason;
    if (reason != kReasonNone) slot[kSlotLive] = 0;
  }
}
template void sample_tokens<float>(RefCall<float>&);
template void sample_tokens<double>(RefCall<double>&);

namespace {
struct Setting {
  float temperature = 1;
  std::uint32_t top_k = 0;
  float top_p = 1, min_p = 0, repetition = 1, presence = 0, frequency = 0;
  std::uint32_t flags = 0, top_n = 0, end = 1000;
  bool live = true;
};
const Setting kGreedy{.temperature = 0}, kWarm{.temperature = 0.7f}, kHot{.temperature = 1.3f},
    kTopK{.temperature = 0.9f, .top_k = 5}, kTopP{.top_p = 0.9f}, kMinP{.min_p = 0.05f},
    kMixed{.temperature = 0.8f,
           .top_k = 40,
           .top_p = 0.95f,
           .min_p = 0.02f,
           .repetition = 1.3f,
           .presence = 0.5f,
           .frequency = 0.25f,
           .flags = kUsesCounts | kUsesBias,
           .top_n = 7};

/// A slot of a text at position 10 + its number.
void fill_slot(std::uint32_t* slot, std::uint32_t number, const Setting& s) {
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  slot[kSlotToken] = 3;
  slot[kSlotPosition] = 10 + number;
  slot[kSlotLive] = 1;
  slot[kSlotEnd] = s.end;
  slot[kSlotSeed] = 77 + number;
  slot[kSlotSeed + 1] = number;
  slot[kSlotTemperature] = bits(s.temperature);
  slot[kSlotTopK] = s.top_k;
  slot[kSlotTopP] = bits(s.top_p);
  slot[kSlotMinP] = bits(s.min_p);
  slot[kSlotRepetition] = bits(s.repetition);
  slot[kSlotPresence] = bits(s.presence);
  slot[kSlotFrequency] = bits(s.frequency);
  slot[kSlotFlags] = s.flags;
  slot[kSlotTopN] = s.top_n;
  std::fill_n(slot + kSlotStops, kMostStops, kNoToken);
}

using Tensors = std::vector<graph::RefTensor<double>>;

/// A row for each setting; row r belongs to slot 2 r + 1 modulo the slots, of which there is one more than rows.
/// `spread` is the standard deviation of the logits.
OpCase sampling(std::string name, std::int64_t V, std::vector<Setting> settings, double spread = 3,
                std::function<void(Tensors&)> change = {}) {
  const auto R = static_cast<std::int64_t>(settings.size()), S = R + (R % 2 == 0 ? 1 : 2);
  constexpr std::int64_t kRingLength = 5;
  OpCase result{.name = std::move(name),
                .attrs = {{"ring", kRingLength}},
                .inputs = {{.shape = {R, V}},
                           {.shape = {S, kSlotWords}, .dtype = DType::kU32},
                           {.shape = {S, V}, .dtype = DType::kU32},
                           {.shape = {S, V}},
                           {.shape = {1, kPlaceWords * R}, .dtype = DType::kU32},
                           {.shape = {S * kRingLength, kRingWords}, .dtype = DType::kU32}},
                .relative = 0,
                .gradient = false};
  result.fill = [=](Tensors& in, Philox& random) {
    for (std::int64_t r = 0; r < R; ++r) {
      double sum = 0;
      for (std::int64_t v = 0; v < V; ++v) sum += std::exp(in[kLogProbs].at(r, v) *= spread);
      for (std::int64_t v = 0; v < V; ++v) in[kLogProbs].at(r, v) -= std::log(sum);
      const auto slot = static_cast<std::uint32_t>((2 * r + 1) % S);
      const Setting& setting = settings[static_cast<std::size_t>(r)];
      fill_slot(in[kSlots].u.data() + slot * kSlotWords, slot, setting);
      const std::uint32_t place[] = {slot, 10 + slot, setting.live ? 1u : 0u, 0};
      std::copy_n(place, kPlaceWords, in[kPlaces].u.begin() + r * kPlaceWords);
    }
    for (std::uint32_t& count : in[kCounts].u)
      if (random.below(4) == 0) count = random.below(3) | (random.below(2) == 0 ? kInPrompt : 0);
    for (double& bias : in[kBias].f) bias = random.below(8) == 0 ? (random.below(2) == 0 ? -1e30 : bias) : 0;
    for (std::uint32_t& word : in[kRing].u) word = 0xABCD;
    if (change) change(in);
  };
  return result;
}
}  // namespace

std::vector<OpCase> sample_tokens_cases() {
  const std::vector<Setting> all{kGreedy, kWarm, kHot, kTopK, kTopP, kMinP, kMixed};
  Setting counted = kGreedy, biased = kHot, told = kGreedy, absent = kWarm, at_end = kGreedy, told_all = kGreedy;
  counted.flags = kUsesCounts, counted.repetition = 2, counted.presence = 1, counted.frequency = 1;
  biased.flags = kUsesBias;
  told.top_n = 20;
  told_all.top_n = 40;
  absent.live = false;
  at_end.end = 12;
  std::vector<Setting> extreme, cuts_of_ties;
  for (const float temperature : {1e-7f, 1e-6f, 0.01f, 7.0f, 100.0f}) {
    extreme.push_back({.temperature = temperature});
    extreme.push_back({.temperature = temperature, .top_k = 30, .top_p = 0.99f, .min_p = 1e-9f});
  }
  for (const std::uint32_t k : {1, 2, 17, 400, 5000}) {
    cuts_of_ties.push_back({.top_k = k});
    cuts_of_ties.push_back({.top_k = k, .top_p = 0.5f});
    cuts_of_ties.push_back({.top_k = k, .top_p = 0.98f, .min_p = 1});
  }
  for (const float p : {1e-9f, 0.25f, 0.75f, 0.9999f}) cuts_of_ties.push_back({.top_p = p});
  const auto tie = [](double step) {
    return [=](Tensors& in) {
      for (double& l : in[kLogProbs].f) l = -step * std::floor(-l / step);
    };
  };
  const auto non_finite = [](Tensors& in) {
    auto& l = in[kLogProbs];
    l.at(0, 0) = NAN, l.at(1, 5) = INFINITY, l.at(2, 1025) = -INFINITY;
    for (std::int64_t v = 0; v < l.shape.cols; ++v) {
      l.at(3, v) = v % 2 == 0 ? NAN : -INFINITY;
      l.at(4, v) = v == 77 ? -3 : -INFINITY;
      if (v >= 1024) l.at(5, v) = NAN;
    }
    for (double& bias : in[kBias].f) bias = -1e30;  // row 6 may use it
  };
  Setting ruled_out = kTopP;
  ruled_out.flags = kUsesBias;
  std::vector<Setting> many;
  for (std::size_t r = 0; r < 130; ++r) many.push_back(all[r % all.size()]);
  const std::vector<Setting> few{kWarm, kTopP, kMixed};
  const Setting half_of_most{.top_k = 40000, .top_p = 0.5f}, most{.top_k = 40000, .top_p = 0.999f, .min_p = 0.5f};
  OpCase huge = sampling("huge_3x1100003", 1'100'003, few, 1);
  huge.large = true;
  return {
      sampling("one_token", 1, all),
      sampling("odd_7x37", 37, all),
      sampling("others_6x1027", 1027, {counted, biased, told, absent, at_end, told_all}),
      sampling("chunk_7x1024", 1024, all),
      sampling("chunks_7x5003", 5003, all),
      sampling("few_4x5003", 5003, {told, kHot, kMixed, absent}),
      sampling("flat_7x3001", 3001, all, 0.01),
      sampling("steep_7x2050", 2050, all, 60),
      sampling("extreme_10x1500", 1500, extreme),
      sampling("ties_19x2100", 2100, cuts_of_ties, 2, tie(0.5)),
      sampling("equal_19x2100", 2100, cuts_of_ties, 0.001, tie(0.5)),
      sampling("non_finite_7x1027", 1027, {kTopP, kGreedy, kMixed, kWarm, kTopK, kHot, ruled_out}, 3, non_finite),
      sampling("blocks_130x500", 500, many),
      sampling("gpt2_3x50257", 50257, few),
      sampling("equal_2x50257", 50257, {half_of_most, most}, 0.001, tie(0.5)),  // every look finds every token
      huge,
  };
}

}  // namespace fabula::reference
