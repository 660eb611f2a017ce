#include "convert/hugging_face.hpp"

#include "base/fail.hpp"
#include "convert/output_folder.hpp"
#include "formats/model_tensors.hpp"
#include "infer/write_folder.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

void write_folder(const infer::ModelFolder& model, const std::filesystem::path& out, bool overwrite,
                  std::optional<WeightType> type) {
  const std::optional<TensorDtype> dtype = dtype_of(type);
  OutputFolder folder(out, overwrite);
  const ModelTensors tensors = ModelTensors::open(model.path());
  infer::write_model_folder(folder.update(), {.config = model.config(),
                                              .model = model.model(),
                                              .tokenizer = model.tokenizer(),
                                              .weights = models::tensors_to_copy(model.model(), tensors, dtype),
                                              .stop_ids = model.stop_ids()});
  folder.commit();
}

}  // namespace

ModelConfig import_hugging_face(const ImportOptions& options) {
  if (!options.tokenizer.empty())
    fail(ErrorCode::kInvalidArgument, "--tokenizer {}: {} has a tokenizer of its own; leave the flag out",
         options.tokenizer.string(), options.source.string());
  const infer::ModelFolder model(options.source);
  write_folder(model, options.out, options.overwrite, options.type);
  return model.config().model;
}

void export_hugging_face(const infer::ModelFolder& model, const ExportOptions& options) {
  write_folder(model, options.out, options.overwrite, options.type);
}

}  // namespace fabula::convert
