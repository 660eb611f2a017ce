#include <algorithm>
#include <limits>

#include "api/handles.hpp"
#include "api/objects.hpp"
#include "api/structs.hpp"

namespace fabula::api {
namespace {

fabula_model* open_model(std::unique_ptr<const ModelSource> source, const fabula_model_options* options) {
  const fabula_model_options given = options_or(options, fabula_model_options_default(), "fabula_model_options");
  infer::ModelStorage storage;
  storage.weights = given.weights == nullptr ? weights::Format::kStored : weights::parse_format(given.weights);
  return new_handle<fabula_model>(
      std::make_shared<ModelObject>(std::move(source), given.end_token == nullptr ? "" : given.end_token, storage));
}

std::string_view file_name(const char* name) {
  return &required(name, "the name of a model's file");
}

/// From files that are named one by one; `add` puts one of them into the source.
template <class File, class Add>
fabula_status open_listed(const File* files, std::size_t count, const fabula_model_options* options,
                          fabula_model** model, Add add) {
  return call([&] {
    required(model, "where the model is to go");
    if (count > 0) required(files, "the list of files");
    auto source = std::make_unique<ListedSource>();
    for (std::size_t i = 0; i < count; ++i) add(*source, files[i]);
    *model = open_model(std::move(source), options);
  });
}

/// Copies what fits; more is told by the count and by FABULA_TOO_SMALL.
template <class T>
void copy_out(const T* from, std::size_t n, T* to, std::size_t capacity, std::size_t* count, std::string_view what) {
  if (count != nullptr) *count = n;
  if (capacity > 0) std::copy_n(from, std::min(n, capacity), &required(to, "where the result is to go"));
  if (n > capacity) refuse(FABULA_TOO_SMALL, "the result has {} {}, and there is room for {}", n, what, capacity);
}

}  // namespace
}  // namespace fabula::api

using namespace fabula;

fabula_status fabula_model_open(const char* folder, const fabula_model_options* options, fabula_model** model) {
  return api::call([&] {
    api::required(model, "where the model is to go");
    *model = api::open_model(infer::folder_source(&api::required(folder, "the model's folder")), options);
  });
}

fabula_status fabula_model_open_memory(const fabula_memory_file* files, std::size_t count,
                                       const fabula_model_options* options, fabula_model** model) {
  return api::open_listed(files, count, options, model, [](ListedSource& source, const fabula_memory_file& file) {
    const std::string_view name = api::file_name(file.name);
    if (file.bytes > 0 && file.data == nullptr)
      api::refuse(FABULA_INVALID_ARGUMENT, "the data of the model's file {} is NULL", name);
    source.add(name, {static_cast<const std::byte*>(file.data), file.bytes});
  });
}

fabula_status fabula_model_open_descriptors(const fabula_descriptor_file* files, std::size_t count,
                                            const fabula_model_options* options, fabula_model** model) {
  return api::open_listed(files, count, options, model, [](ListedSource& source, const fabula_descriptor_file& file) {
    const std::string_view name = api::file_name(file.name);
    source.add(name, DescriptorRange(file.descriptor, file.offset, file.bytes, name));
  });
}

fabula_status fabula_model_close(fabula_model* model) {
  return api::call([&] { api::close_handle(model); });
}

fabula_status fabula_model_describe(fabula_model* model, fabula_model_info* info) {
  return api::call([&] {
    const infer::ModelFolder& folder = api::object_of(model)->folder;
    const ModelConfig& config = folder.config().model;
    const heads::Head& head = folder.model().head();
    const TokenMap* const map = head.token_map();
    const std::optional<std::uint32_t> start = folder.start_id();
    api::fill(info,
              {.size = sizeof(fabula_model_info),
               .family = family_name(config.family).data(),
               .vocabulary = head.vocabulary(),
               .context = config.n_positions,
               .layers = config.layers,
               .hidden = config.hidden,
               .parameters = folder.model().parameter_count(),
               .shortlist = map == nullptr ? 0 : static_cast<std::int64_t>(map->shortlist.size()),
               .groups = map == nullptr ? 0 : static_cast<std::int64_t>(map->groups.size()),
               .start_token = start.value_or(FABULA_NO_TOKEN),
               .end_token = folder.tokenizer().has_eot() ? folder.tokenizer().eot_id() : FABULA_NO_TOKEN},
              "fabula_model_info");
  });
}

fabula_status fabula_encode(fabula_model* model, const char* text, std::size_t bytes, std::int32_t added_tokens,
                            std::uint32_t* ids, std::size_t capacity, std::size_t* count) {
  return api::call([&] {
    const std::shared_ptr<api::ModelObject> object = api::object_of(model);
    if (bytes > 0) api::required(text, "the text");
    const std::vector<std::uint32_t> all =
        object->folder.tokenizer().encode(std::string_view(text, bytes), {.added_tokens = added_tokens != 0});
    api::copy_out(all.data(), all.size(), ids, capacity, count, "tokens");
  });
}

fabula_status fabula_decode(fabula_model* model, const std::uint32_t* ids, std::size_t count, char* text,
                            std::size_t capacity, std::size_t* bytes) {
  return api::call([&] {
    const std::shared_ptr<api::ModelObject> object = api::object_of(model);
    if (count > 0) api::required(ids, "the list of tokens");
    const text::Tokenizer& tokenizer = object->folder.tokenizer();
    for (std::size_t i = 0; i < count; ++i)
      if (ids[i] >= tokenizer.vocab_size())
        api::refuse(FABULA_INVALID_ARGUMENT, "token {} of the list is {}, the tokenizer has {}", i, ids[i],
                    tokenizer.vocab_size());
    const std::string all = tokenizer.decode(std::span(ids, count));
    api::copy_out(all.data(), all.size(), text, capacity, bytes, "bytes");
    if (all.size() < capacity) text[all.size()] = '\0';
  });
}
