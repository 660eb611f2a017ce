#include "formats/parameter_finder.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"

namespace fabula {
namespace {

/// What torch.compile, DataParallel and FSDP name the module that they wrap.
constexpr std::array<std::string_view, 4> kWrappers = {"_orig_mod", "module", "_fsdp_wrapped_module",
                                                       "_checkpoint_wrapped_module"};

std::vector<std::int64_t> reversed(std::vector<std::int64_t> shape) {
  std::reverse(shape.begin(), shape.end());
  return shape;
}

}  // namespace

std::string without_wrappers(std::string_view name) {
  std::string result;
  while (!name.empty()) {
    const std::size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    name = dot == name.npos ? std::string_view() : name.substr(dot + 1);
    const bool last = dot == std::string_view::npos;
    if (!last && std::find(kWrappers.begin(), kWrappers.end(), part) != kWrappers.end()) continue;
    result += part;
    if (!last) result += '.';
  }
  return result;
}

ParameterFinder::ParameterFinder(const ModelTensors& tensors, std::vector<TensorSpec> specs)
    : tensors_(&tensors), specs_(std::move(specs)) {
  for (std::size_t i = 0; i < specs_.size(); ++i) spec_of_[specs_[i].name] = i;
  for (const std::string& name : tensors.names()) {
    const auto [other, is_new] = names_.emplace(without_wrappers(name), name);
    if (!is_new)
      fail(ErrorCode::kFormat, "{}: tensors \"{}\" and \"{}\" are both \"{}\"; which of the two counts is unknown",
           tensors.path().string(), other->second, name, other->first);
  }
  find_orientation();
}

const TensorSpec* ParameterFinder::find(std::string_view parameter) const {
  const auto it = spec_of_.find(parameter);
  return it == spec_of_.end() ? nullptr : &specs_[it->second];
}

void ParameterFinder::find_orientation() {
  bool straight = false;
  for (const TensorSpec& spec : specs_) {
    const std::string* name = spec.linear ? name_of(spec.name) : nullptr;
    if (name == nullptr) continue;
    const std::vector<std::int64_t>& shape = tensors_->info(*name).shape;
    if (shape == spec.shape) {
      straight = straight || shape[0] != shape[1];
    } else if (shape == reversed(spec.shape)) {
      if (example_.empty()) example_ = fmt::format("{} is {}", *name, shape_text(shape));
    }
  }
  transposed_ = !straight && !example_.empty();
}

const std::string* ParameterFinder::name_of(std::string_view parameter) const {
  auto it = names_.find(parameter);
  const TensorSpec* spec = it == names_.end() ? find(parameter) : nullptr;
  if (spec && !spec->bare_name.empty()) it = names_.find(spec->bare_name);
  return it == names_.end() ? nullptr : &it->second;
}

bool ParameterFinder::is_turned(std::string_view parameter) const {
  const TensorSpec* spec = find(parameter);
  return transposed_ && spec && spec->linear;
}

const TensorSpec* ParameterFinder::repeated(std::string_view plain) const {
  const auto it =
      std::find_if(specs_.begin(), specs_.end(), [&](const auto& spec) { return spec.repeated_as == plain; });
  return it == specs_.end() || plain.empty() ? nullptr : &*it;
}

bool ParameterFinder::repeats(std::string_view plain) const {
  const TensorSpec* spec = repeated(plain);
  const auto copy = names_.find(plain);
  const std::string* original = spec ? name_of(spec->name) : nullptr;
  if (copy == names_.end() || original == nullptr) return false;
  const auto left = tensors_->raw(copy->second), right = tensors_->raw(*original);
  return tensors_->info(copy->second).shape == tensors_->info(*original).shape &&
         std::equal(left.begin(), left.end(), right.begin(), right.end());
}

std::vector<std::int64_t> ParameterFinder::shape_of(std::string_view parameter) const {
  const std::string* name = name_of(parameter);
  if (name == nullptr) fail(ErrorCode::kNotFound, "{}: has no tensor \"{}\"", tensors_->path().string(), parameter);
  const std::vector<std::int64_t>& shape = tensors_->info(*name).shape;
  return is_turned(parameter) ? reversed(shape) : shape;
}

void ParameterFinder::read(std::string_view parameter, std::span<float> out) const {
  const std::vector<std::int64_t> shape = shape_of(parameter);
  const std::string& name = *name_of(parameter);
  if (!is_turned(parameter)) return tensors_->read_f32(name, out);
  ensure(shape.size() == 2 && static_cast<std::int64_t>(out.size()) == shape[0] * shape[1],
         "tensor \"{}\" is transposed, {} numbers of it were asked for", name, out.size());
  const auto rows = static_cast<std::size_t>(shape[0]), cols = static_cast<std::size_t>(shape[1]);
  std::vector<float> stored(out.size());  // [cols, rows]
  tensors_->read_f32(name, stored);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) out[r * cols + c] = stored[c * rows + r];
}

std::string ParameterFinder::note() const {
  if (!transposed_) return "";
  return fmt::format(
      "{}: the matrices of the linear layers lie the other way round than Hugging Face has them in such a model ({}), "
      "as after a change between nn.Linear and Conv1D; all of them are transposed as they are read",
      tensors_->path().string(), example_);
}

}  // namespace fabula
