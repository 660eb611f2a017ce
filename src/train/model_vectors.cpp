#include "train/model_vectors.hpp"

#include "base/fail.hpp"
#include "formats/model_tensors.hpp"
#include "formats/parameter_finder.hpp"
#include "models/family.hpp"

namespace fabula::train {

maps::TokenVectors model_vectors(const std::filesystem::path& folder, const text::TokenFile& tokens,
                                 std::span<const std::uint64_t> counts) {
  const ModelTensors weights = ModelTensors::open(folder);
  std::vector<TensorSpec> tables;  // under each family's name, since the folder need have no config
  for (const ModelFamily family : kModelFamilies) {
    const models::Family& of = models::family_of(family);
    tables.push_back(
        {.name = fmt::format("{}{}", of.prefix, of.token_embedding), .bare_name = std::string(of.token_embedding)});
  }
  const ParameterFinder finder(weights, tables);
  std::string name = tables.front().name;  // that messages speak of where there is none
  for (const TensorSpec& table : tables)
    if (const std::string* found = finder.name_of(table.name)) name = *found;
  const SafetensorsFile& file = weights.file_of(name);
  const TensorInfo& info = file.info(name);
  if (info.shape.size() != 2 || info.shape[1] < 1 || info.shape[0] != std::int64_t{tokens.vocab_size()}) {
    fail(ErrorCode::kInvalidArgument,
         "{}: {} is {}; a row for each of the {} tokens of {} is expected; take the model of the same tokenizer",
         file.path().string(), name, shape_text(info.shape), tokens.vocab_size(), tokens.path().string());
  }
  std::vector<float> table(static_cast<std::size_t>(info.elements));
  file.read_f32(name, table);
  return maps::embedding_vectors(table, info.shape[1], counts, file.path().string());
}

}  // namespace fabula::train
