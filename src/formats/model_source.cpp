#include "formats/model_source.hpp"

#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "formats/model_tensors.hpp"

namespace fabula {

std::string ModelSource::read(std::string_view file, std::uint64_t most) const {
  const MappedFile mapped = open(file);
  if (mapped.size() > most)
    fail(ErrorCode::kFormat, "{}: {} bytes, at most {} are expected of such a file", path_of(file).string(),
         mapped.size(), most);
  return mapped.checked([&] { return std::string(mapped.text()); });
}

std::filesystem::path FolderSource::path_of(std::string_view file) const {
  return FolderUpdate::current(folder_, file);
}

bool FolderSource::has(std::string_view file) const {
  return std::filesystem::exists(path_of(file));
}

MappedFile FolderSource::open(std::string_view file) const {
  return MappedFile(path_of(file));
}

std::string FolderSource::weights() const {
  return weights_path(folder_).filename().string();
}

bool FolderSource::has_weights() const {
  return !any_weights_in(folder_).empty();
}

void ListedSource::add(std::string_view file, std::span<const std::byte> bytes) {
  add(file, Listed{bytes, nullptr});
}

void ListedSource::add(std::string_view file, DescriptorRange range) {
  add(file, Listed{{}, std::make_unique<DescriptorRange>(std::move(range))});
}

void ListedSource::add(std::string_view file, Listed listed) {
  if (file.empty() || file.find_first_of("/\\") != file.npos)
    fail(ErrorCode::kInvalidArgument,
         "a model's file is called \"{}\"; names are those of a model's folder, such as config.json", file);
  if (!files_.emplace(file, std::move(listed)).second)
    fail(ErrorCode::kInvalidArgument, "the model's file {} is given twice", file);
}

MappedFile ListedSource::open(std::string_view file) const {
  const auto found = files_.find(file);
  if (found == files_.end()) fail(ErrorCode::kNotFound, "{} has no {}", name(), file);
  const Listed& listed = found->second;
  return listed.range ? listed.range->map() : MappedFile(listed.bytes, path_of(file));
}

std::string ListedSource::weights() const {
  for (const char* file : {kWeightsFile, kWeightsIndexFile})
    if (has(file)) return file;
  std::string given;
  for (const auto& [file, listed] : files_) given += (given.empty() ? "" : ", ") + file;
  fail(ErrorCode::kNotFound, "{} has no {} (the weights); it has {}", name(), kWeightsFile,
       given.empty() ? "no file" : given);
}

bool ListedSource::has_weights() const {
  return has(kWeightsFile) || has(kWeightsIndexFile);
}

}  // namespace fabula
