#include "base/decode_slot.hpp"
#include "reference/stored_table.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

namespace {
enum Input : std::size_t { kSlots, kRows, kTable, kScales, kPositions };
}  // namespace

template <class T>
void embed_tokens(RefCall<T>& call) {
  const auto& slots = *call.in[kSlots];
  auto &x = *call.out[0], &places = *call.out[1];
  for (std::int64_t r = 0; r < x.shape.rows; ++r) {
    const std::uint32_t slot = call.in[kRows]->u[static_cast<std::size_t>(r)];
    const std::uint32_t* words = slots.u.data() + static_cast<std::size_t>(slot) * kSlotWords;
    const bool live = slot < slots.shape.rows && words[kSlotLive] != 0;
    const std::uint32_t token = live ? words[kSlotToken] : 0, position = live ? words[kSlotPosition] : 0;
    const std::uint32_t place[kPlaceWords] = {slot, position, live, live ? token : kNoToken};
    std::copy_n(place, kPlaceWords, places.u.begin() + r * kPlaceWords);
    if (!live) continue;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double v =
          token < call.in[kTable]->shape.rows ? stored_entry(*call.in[kTable], call.in[kScales], token, c) : 0.0;
      const double p = call.in[kPositions] ? static_cast<double>(call.in[kPositions]->at(position, c)) : 0.0;
      x.at(r, c) = static_cast<T>(v + p);
    }
  }
}
template void embed_tokens<float>(RefCall<float>&);
template void embed_tokens<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t slots, std::int64_t rows, std::int64_t vocabulary, std::int64_t columns,
             StoredAs table = DType::kF32, bool positions = true) {
  constexpr std::int64_t kContext = 12;
  return {.name = std::move(name),
          .inputs = {{.shape = {slots, kSlotWords}, .dtype = DType::kU32},
                     {.shape = {1, rows}, .dtype = DType::kU32},
                     {.shape = {vocabulary, columns}, .dtype = table.dtype},
                     scales_input({vocabulary, columns}, table),
                     {.shape = {kContext, columns}, .present = positions}},
          .fill =
              [vocabulary](auto& in, Philox& random) {
                const auto count = static_cast<std::size_t>(in[kSlots].shape.rows);
                for (std::size_t s = 0; s < count; ++s) {
                  std::uint32_t* words = in[kSlots].u.data() + s * kSlotWords;
                  words[kSlotToken] = random.below(static_cast<std::uint32_t>(vocabulary));
                  words[kSlotPosition] = random.below(kContext);
                  words[kSlotLive] = s % 4 != 2;
                }
                for (std::size_t r = 0; r < in[kRows].u.size(); ++r)  // backwards, one row of nobody
                  in[kRows].u[r] = r == 1 ? kNoToken : static_cast<std::uint32_t>((count - 1 + count * r - r) % count);
                fill_stored_table(in[kTable], in[kScales], random);
              },
          .relative = 1e-6};
}
}  // namespace

std::vector<OpCase> embed_tokens_cases() {
  return {sized("one", 1, 1, 1, 1),
          sized("odd_5x4x11x33", 5, 4, 11, 33),
          sized("no_positions_3x3x70x12", 3, 3, 70, 12, DType::kF32, false),
          sized("wide_8x8x300x513", 8, 8, 300, 513),
          sized("fp16_4x2x9x40", 4, 2, 9, 40, DType::kF16),
          sized("i8_6x5x130x77", 6, 5, 130, 77, DType::kI8),
          sized("u4_6x5x130x77", 6, 5, 130, 77, DType::kU4),
          sized("u4_offsets_4x3x41x75", 4, 3, 41, 75, {DType::kU4, true}, false)};
}

}  // namespace fabula::reference
