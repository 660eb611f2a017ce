#include "formats/parameter_finder.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"

namespace fabula {
namespace {

constexpr std::string_view kPrefix = "transformer.";
/// What torch.compile, DataParallel and FSDP name the module that they wrap.
constexpr std::array<std::string_view, 4> kWrappers = {"_orig_mod", "module", "_fsdp_wrapped_module",
                                                       "_checkpoint_wrapped_module"};

/// Is it the matrix of a linear layer of a block? Those are what Conv1D and nn.Linear keep in different orientations.
bool is_linear_matrix(std::string_view name) {
  for (const std::string_view end :
       {".attn.c_attn.weight", ".attn.c_proj.weight", ".mlp.c_fc.weight", ".mlp.c_proj.weight",
        ".attn.attention.q_proj.weight", ".attn.attention.k_proj.weight", ".attn.attention.v_proj.weight",
        ".attn.attention.out_proj.weight"})
    if (name.ends_with(end)) return true;
  return false;
}

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

ParameterFinder::ParameterFinder(const ModelTensors& tensors, const std::vector<TensorSpec>& specs)
    : tensors_(&tensors) {
  for (const std::string& name : tensors.names()) {
    const auto [other, is_new] = names_.emplace(without_wrappers(name), name);
    if (!is_new)
      fail(ErrorCode::kFormat, "{}: tensors \"{}\" and \"{}\" are both \"{}\"; which of the two counts is unknown",
           tensors.path().string(), other->second, name, other->first);
  }
  find_orientation(specs);
}

void ParameterFinder::find_orientation(const std::vector<TensorSpec>& specs) {
  bool straight = false;
  for (const TensorSpec& spec : specs) {
    const std::string* name = is_linear_matrix(spec.name) ? name_of(spec.name) : nullptr;
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
  if (it == names_.end() && parameter.starts_with(kPrefix)) it = names_.find(parameter.substr(kPrefix.size()));
  return it == names_.end() ? nullptr : &it->second;
}

std::vector<std::int64_t> ParameterFinder::shape_of(std::string_view parameter) const {
  const std::string* name = name_of(parameter);
  if (name == nullptr) fail(ErrorCode::kNotFound, "{}: has no tensor \"{}\"", tensors_->path().string(), parameter);
  const std::vector<std::int64_t>& shape = tensors_->info(*name).shape;
  return transposed_ && is_linear_matrix(parameter) ? reversed(shape) : shape;
}

void ParameterFinder::read(std::string_view parameter, std::span<float> out) const {
  const std::vector<std::int64_t> shape = shape_of(parameter);
  const std::string& name = *name_of(parameter);
  if (!transposed_ || !is_linear_matrix(parameter)) return tensors_->read_f32(name, out);
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
