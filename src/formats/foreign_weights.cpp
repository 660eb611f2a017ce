// What a folder without safetensors holds instead, and how to make safetensors of it.
#include <algorithm>
#include <optional>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/file_kind.hpp"
#include "base/folder_update.hpp"
#include "formats/model_tensors.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntries = 100'000;  // of a folder that is looked through
constexpr std::uintmax_t kMaxPointerBytes = 1024;

enum class WeightsKind { kTransformers, kPyTorch, kTensorFlow, kFlax, kGguf, kShard, kAdapter, kSafetensors };

struct ForeignWeights {
  WeightsKind kind;
  std::string name;
  auto operator<=>(const ForeignWeights&) const = default;  // the kinds that convert best come first
};

/// Files of PyTorch that go with training and hold no weights.
bool is_training_litter(std::string_view name) {
  return name == "training_args.bin" || name.starts_with("optimizer.") || name.starts_with("scheduler.") ||
         name.starts_with("rng_state");
}

std::optional<WeightsKind> kind_of(const std::string& name) {
  const std::string end = fs::path(name).extension().string();
  const auto ends = [&](auto... names) { return ((end == names) || ...); };
  if (is_training_litter(name)) return std::nullopt;
  if (name.starts_with("pytorch_model") && (ends(".bin") || name.ends_with(".bin.index.json")))
    return WeightsKind::kTransformers;
  if (ends(".bin", ".pt", ".pth", ".ckpt")) return WeightsKind::kPyTorch;
  if (ends(".h5")) return WeightsKind::kTensorFlow;
  if (ends(".msgpack")) return WeightsKind::kFlax;
  if (ends(".gguf", ".ggml")) return WeightsKind::kGguf;
  if (!ends(".safetensors")) return std::nullopt;
  if (name.starts_with("model-0")) return WeightsKind::kShard;
  return name.starts_with("adapter_") ? WeightsKind::kAdapter : WeightsKind::kSafetensors;
}

std::vector<ForeignWeights> foreign_weights(const fs::path& folder) {
  std::vector<ForeignWeights> found;
  std::error_code code;
  std::size_t seen = 0;
  for (fs::directory_iterator it(folder, code), end; !code && it != end && seen < kMaxEntries; it.increment(code)) {
    ++seen;
    const std::string name = it->path().filename().string();
    if (const auto kind = kind_of(name); kind && !it->is_directory(code)) found.push_back({*kind, name});
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// A text as Python takes it.
std::string python(const fs::path& path) {
  std::string text = "\"";
  for (const char c : path.string()) text += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return text + '"';
}

std::string through_transformers(const fs::path& folder, std::string_view more = "") {
  return fmt::format(
      "fabula reads safetensors; this makes them, in Python:\n"
      "  from transformers import AutoModelForCausalLM\n"
      "  AutoModelForCausalLM.from_pretrained({0}{1}).save_pretrained({0}, safe_serialization=True)",
      python(folder), more);
}

std::string advice(const fs::path& folder, const ForeignWeights& weights) {
  switch (weights.kind) {
    case WeightsKind::kTransformers:
      return ", in PyTorch's own format. " + through_transformers(folder);
    case WeightsKind::kPyTorch:
      return fmt::format(
          ", in PyTorch's own format. fabula reads safetensors; this makes them, in Python:\n"
          "  import torch, safetensors.torch as st; w = torch.load({}, map_location=\"cpu\")\n"
          "  st.save_file({{n: t.contiguous().clone() for n, t in w.get(\"model\", w).items()}}, {})",
          python(folder / weights.name), python(folder / kWeightsFile));
    case WeightsKind::kTensorFlow:
      return ", in TensorFlow's format. " + through_transformers(folder, ", from_tf=True");
    case WeightsKind::kFlax:
      return ", in Flax's format. " + through_transformers(folder, ", from_flax=True");
    case WeightsKind::kGguf:
      return fmt::format(
          ", in llama.cpp's format. `fabula import {} --out FOLDER` makes a folder of a GPT-2 or Llama in F32, F16, BF16 "
          "or Q8_0; of another, fetch the model that the file was made from",
          (folder / weights.name).string());
    case WeightsKind::kShard:
      return fmt::format(", one of several files, and {} is missing, which names them all; fetch the folder again",
                         kWeightsIndexFile);
    case WeightsKind::kAdapter:
      return ", which is an adapter of another model: merge it into that one (peft: merge_and_unload) and save the "
             "whole";
    case WeightsKind::kSafetensors:
      return fmt::format("; if that is the model, name it {}", kWeightsFile);
  }
  return "";
}

}  // namespace

fs::path weights_path(const fs::path& folder) {
  for (const char* name : {kWeightsFile, kWeightsIndexFile}) {
    const fs::path path = FolderUpdate::current(folder, name);
    if (fs::exists(path)) return path;
    if (fs::is_symlink(path))
      fail(ErrorCode::kNotFound, "{} is a link to {}, which is not there; fetch the file itself", path.string(),
           fs::read_symlink(path).string());
  }
  const std::vector<ForeignWeights> others = foreign_weights(folder);
  if (others.empty()) fail(ErrorCode::kNotFound, "{} has no {} (the weights)", folder.string(), kWeightsFile);
  const fs::path other = folder / others.front().name;
  std::error_code code;
  if (fs::file_size(other, code) < kMaxPointerBytes && !code) refuse_git_lfs_pointer(read_file(other), other);
  fail(ErrorCode::kNotFound, "{} has no {}; its weights lie in {}{}", folder.string(), kWeightsFile,
       others.front().name, advice(folder, others.front()));
}

std::string any_weights_in(const fs::path& folder) {
  for (const char* name : {kWeightsFile, kWeightsIndexFile})
    if (fs::exists(FolderUpdate::current(folder, name))) return name;
  const std::vector<ForeignWeights> others = foreign_weights(folder);
  return others.empty() ? "" : others.front().name;
}

}  // namespace fabula
