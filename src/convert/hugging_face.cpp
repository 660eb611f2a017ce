#include "convert/hugging_face.hpp"

#include "base/atomic_file.hpp"
#include "convert/model_card.hpp"
#include "convert/output_folder.hpp"
#include "formats/model_tensors.hpp"
#include "infer/write_folder.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

/// `card`: README.md; empty: none.
void write_hf_folder(const infer::ModelFolder& model, const std::filesystem::path& out, bool overwrite,
                     std::optional<WeightType> type, const std::string& card) {
  const std::optional<TensorDtype> dtype = dtype_of(type);
  OutputFolder folder(out, overwrite, {model.path()});
  const ModelTensors tensors = ModelTensors::open(model.path());
  infer::write_model_folder(folder.update(), {.config = model.config(),
                                              .model = model.model(),
                                              .tokenizer = model.tokenizer(),
                                              .weights = models::tensors_to_copy(model.model(), tensors, dtype),
                                              .stop_ids = model.stop_ids()});
  if (!card.empty()) write_file_atomically(folder.path_of(kModelCardFile), card);
  folder.commit();
}

}  // namespace

ModelConfig import_hugging_face(const ImportOptions& options) {
  const infer::ModelFolder model(options.source);
  write_hf_folder(model, options.out, options.overwrite, options.type, {});
  return model.config().model;
}

void export_hugging_face(const infer::ModelFolder& model, const ExportOptions& options) {
  write_hf_folder(model, options.out, options.overwrite, options.type,
                  model_card(model, name_of_folder(options.out), Format::kHuggingFace));
}

}  // namespace fabula::convert
