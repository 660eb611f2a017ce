#include "base/decode_slot.hpp"
#include "graph/op.hpp"
#include "ops/registers.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum SampleInput : std::size_t { kLogProbs, kSlots, kCounts, kBias, kPlaces, kRing };

constexpr std::int64_t kChunkWords = 4 * 34;  // as the shaders lay them out

/// Variants by how many invocations draw a row's token.
constexpr std::string_view kNarrow = "narrow", kPlain = "plain", kWide = "wide";
std::uint32_t invocations(std::string_view variant) {
  return variant == kNarrow ? 8 : variant == kPlain ? 128 : 512;
}
/// And those that look at a chunk for another launch to draw by.
std::uint32_t chunk_invocations(std::string_view variant) {
  return variant == kNarrow ? 8 : 128;
}
/// Up to so many rows are looked at and drawn for by one launch, whose workgroups are as large as a draw wants them.
constexpr std::int64_t kFewRows = 4;

std::int64_t chunks_of(std::int64_t vocabulary) {
  return (vocabulary - 1) / draw_chunk(vocabulary) + 1;
}

/// Whether whole rows can be gone through seven times, top-k and top-p with ties, by loops of up to 17 iterations for
/// each 16 tokens of an invocation: drivers stop after 65,535.
bool few_enough(std::int64_t vocabulary, std::string_view variant) {
  return vocabulary <= std::int64_t{7000} * invocations(variant);
}

void infer_sample_tokens(InferCall& call) {
  const std::int64_t R = call.in(kLogProbs).rows, V = call.in(kLogProbs).cols, S = call.in(kSlots).rows;
  const std::int64_t ring = call.attrs().integer("ring");
  const auto words = [&](std::size_t i) { return call.dtype(i) == DType::kU32; };
  call.require(V < 1 << 24, "fewer than 2^24 tokens, so that sums of 40 bits each fit 64");
  call.require(call.in(kSlots) == Shape{S, kSlotWords} && words(kSlots), "slots is [S, 32], u32");
  call.require(call.in(kCounts) == Shape{S, V} && words(kCounts), "counts is [S, V], u32");
  call.require(call.in(kBias) == Shape{S, V}, "bias is [S, V]");
  call.require(call.in(kPlaces) == Shape{1, kPlaceWords * R} && words(kPlaces), "places is [1, 4 R], u32");
  call.require(ring > 0 && call.in(kRing) == Shape{S * ring, kRingWords} && words(kRing),
               "ring is [S * K, 48], u32, K the attribute");
}

void lower_sample_tokens(LowerCall& call) {
  const std::int64_t V = call.in(kLogProbs).cols, K = call.attrs().integer("ring");
  for (const RowBlock& slots : call.row_blocks({call.input(kCounts), call.input(kBias)}))
    for (const RowBlock& rows : call.row_blocks({call.input(kLogProbs), call.scratch(0)})) {
      const std::array<std::uint32_t, 8> push{std::uint32_t(rows.size()),
                                              std::uint32_t(rows.begin),
                                              std::uint32_t(slots.begin),
                                              std::uint32_t(slots.size()),
                                              std::uint32_t(V),
                                              std::uint32_t(std::countr_zero(std::uint64_t(draw_chunk(V)))),
                                              std::uint32_t(chunks_of(V)),
                                              std::uint32_t(K)};
      Launch launch{.shader = "sample_tokens_chunks",
                    .constants = {chunk_invocations(call.variant())},
                    .bindings = {Window(call.input(kLogProbs), rows.begin, rows.end), call.input(kSlots),
                                 Window(call.input(kCounts), slots.begin, slots.end),
                                 Window(call.input(kBias), slots.begin, slots.end), call.input(kPlaces),
                                 Window(call.scratch(0), rows.begin, rows.end)},
                    .groups = LowerCall::grid(rows.size() * chunks_of(V))};
      const bool whole = rows.size() <= kFewRows;
      if (!whole) {
        call.dispatch(launch, push);
        launch.groups = LowerCall::grid(rows.size());
      }
      launch.shader = whole ? "sample_tokens_whole" : "sample_tokens";
      launch.constants = {invocations(call.variant()), few_enough(V, call.variant())};
      launch.bindings.emplace_back(call.input(kRing));
      call.dispatch(launch, push);
    }
}

std::vector<std::string> sample_variants(const NodeView& node, const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kWideShared = 20 << 10;
  const vk::Limits& limits = profile.limits;
  std::vector<std::string> variants{std::string(kPlain)};
  if (limits.max_invocations >= invocations(kWide) && limits.max_workgroup_size[0] >= invocations(kWide) &&
      shared_memory(profile) >= kWideShared)
    variants.insert(variants.begin(), std::string(kWide));
  // A software driver has a core for a workgroup, and does at once what as many invocations do as its subgroups have.
  if (profile.device_class == vk::DeviceClass::kSoftware && few_enough(node.in(kLogProbs).cols, kNarrow))
    variants.insert(variants.begin(), std::string(kNarrow));
  return variants;
}
}  // namespace

extern const OpDef sample_tokens;
const OpDef sample_tokens{
    .name = "sample_tokens",
    .formula =
        "for each live row: a token drawn from softmax((log p + bias - penalties) / t) after top-k, top-p and min-p; "
        "written to slot, counts and ring",
    .inputs = {"log_probs", "slots", "counts", "bias", "places", "ring"},
    .attrs = {"ring"},
    .infer = infer_sample_tokens,
    .lower = lower_sample_tokens,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 30.0 * double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .variants = sample_variants,
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view) {
          return std::vector<Shape>{
              {node.in(kLogProbs).rows, chunks_of(node.in(kLogProbs).cols) * kChunkWords, DType::kU32}};
        },
    .mutates = {kSlots, kCounts, kRing},
};

}  // namespace fabula::ops
