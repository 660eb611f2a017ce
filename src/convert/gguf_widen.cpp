#include "convert/gguf_widen.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "convert/gguf_names.hpp"

namespace fabula::convert {
namespace {

using Numbers = std::vector<float>;

std::size_t place(std::int64_t row, std::int64_t col, std::int64_t cols) {
  return static_cast<std::size_t>(row * cols + col);
}

/// Rows and columns of zeros behind those that there are.
Numbers padded(const Numbers& numbers, std::int64_t cols, std::int64_t new_rows, std::int64_t new_cols) {
  Numbers result(static_cast<std::size_t>(new_rows * new_cols), 0.0f);
  const auto rows = static_cast<std::int64_t>(numbers.size()) / cols;
  for (std::int64_t row = 0; row < rows; ++row)
    std::copy_n(numbers.begin() + row * cols, cols, result.begin() + row * new_cols);
  return result;
}

/// Less its mean over `count` numbers, `stride` apart.
void centre(Numbers& numbers, std::int64_t first, std::int64_t stride, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += numbers[place(i, first, stride)];
  const double mean = sum / static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    float& number = numbers[place(i, first, stride)];
    number = static_cast<float>(number - mean);
  }
}

class Widening {
 public:
  explicit Widening(const ModelConfig& model)
      : V_(model.vocab_size),
        D_(model.hidden),
        W_(D_ + model.head_dim()),
        scale_(std::sqrt(static_cast<double>(D_) / static_cast<double>(W_))) {}

  std::int64_t width() const { return W_; }
  double scale() const { return scale_; }

  /// Changes a tensor's shape, and its numbers when they are asked for.
  void apply(GgufTensor& tensor) const {
    const auto change = change_of(tensor);
    if (!change) return;
    tensor.numbers = [numbers = std::move(tensor.numbers), change] { return change(numbers()); };
  }

  GgufTensor output(const GgufTensor& matrix, const GgufTensor& bias) const {
    GgufTensor result{std::string(kGgufOutput), {V_, W_}, matrix.type, {}};
    result.numbers = [matrix = matrix.numbers, bias = bias.numbers, V = V_, D = D_, W = W_] {
      Numbers numbers = padded(matrix(), D, V, W);
      const Numbers column = bias();
      for (std::int64_t row = 0; row < V; ++row) numbers[place(row, D, W)] = column[static_cast<std::size_t>(row)];
      return numbers;
    };
    return result;
  }

 private:
  using Change = std::function<Numbers(Numbers)>;

  Change change_of(GgufTensor& tensor) const {
    const std::string_view name = tensor.name;
    const std::int64_t D = D_, W = W_;
    if (name == kGgufTokens || name == kGgufPositions) return rows_centred(tensor);
    if (name.ends_with("_norm.weight")) return norm_weight(tensor);
    if (name.ends_with("_norm.bias")) return norm_bias(tensor);
    if (name.ends_with("attn_qkv.weight") || name.ends_with("attn_qkv.bias")) return thirds(tensor);
    if (name.ends_with("attn_output.weight") || name.ends_with("ffn_down.weight")) return onto_residual(tensor);
    if (name.ends_with("ffn_up.weight")) {
      tensor.shape[1] = W;
      return [D, W](const Numbers& numbers) {
        return padded(numbers, D, static_cast<std::int64_t>(numbers.size()) / D, W);
      };
    }
    if (name.ends_with("attn_output.bias") || name.ends_with("ffn_down.bias")) {
      tensor.shape = {W};
      return [D, W](Numbers numbers) {
        centre(numbers, 0, 1, D);
        return padded(numbers, D, 1, W);
      };
    }
    ensure(name.ends_with("ffn_up.bias"), "\"{}\" is no tensor of a GPT-2", name);
    return {};
  }

  Change rows_centred(GgufTensor& tensor) const {
    tensor.shape[1] = W_;
    return [D = D_, W = W_](Numbers numbers) {
      const auto rows = static_cast<std::int64_t>(numbers.size()) / D;
      for (std::int64_t row = 0; row < rows; ++row) centre(numbers, row * D, 1, D);
      return padded(numbers, D, rows, W);
    };
  }

  Change norm_weight(GgufTensor& tensor) const {
    tensor.shape = {W_};
    return [D = D_, W = W_, scale = scale_](Numbers numbers) {
      for (float& number : numbers) number = static_cast<float>(number * scale);
      return padded(numbers, D, 1, W);
    };
  }

  Change norm_bias(GgufTensor& tensor) const {
    tensor.shape = {W_};
    return [D = D_, W = W_, final = tensor.name.starts_with("output")](const Numbers& numbers) {
      Numbers result = padded(numbers, D, 1, W);
      if (final) result[static_cast<std::size_t>(D)] = 1;
      return result;
    };
  }

  /// Queries, keys and values, each of a head more; of the weight also more columns.
  Change thirds(GgufTensor& tensor) const {
    const std::int64_t cols = tensor.shape.size() == 2 ? D_ : 1, new_cols = cols == 1 ? 1 : W_;
    tensor.shape[0] = 3 * W_;
    if (tensor.shape.size() == 2) tensor.shape[1] = W_;
    return [D = D_, W = W_, cols, new_cols](const Numbers& numbers) {
      Numbers result;
      for (std::int64_t part = 0; part < 3; ++part) {
        const auto begin = numbers.begin() + part * D * cols;
        const Numbers third = padded(Numbers(begin, begin + D * cols), cols, W, new_cols);
        result.insert(result.end(), third.begin(), third.end());
      }
      return result;
    };
  }

  /// A projection's outputs [D, inputs] have mean 0 for any input.
  Change onto_residual(GgufTensor& tensor) const {
    const std::int64_t cols = tensor.shape[1], new_cols = tensor.name.ends_with("attn_output.weight") ? W_ : cols;
    tensor.shape = {W_, new_cols};
    return [D = D_, W = W_, cols, new_cols](Numbers numbers) {
      for (std::int64_t col = 0; col < cols; ++col) centre(numbers, col, cols, D);
      return padded(numbers, cols, W, new_cols);
    };
  }

  std::int64_t V_, D_, W_;
  double scale_;
};

}  // namespace

ModelConfig widened(ModelConfig model) {
  const Widening widening(model);
  model.inner = model.feed_forward();
  model.hidden = widening.width();
  model.heads += 1;
  model.layer_norm_epsilon *= widening.scale() * widening.scale();
  model.tie_word_embeddings = false;
  model.head.bias = false;
  return model;
}

std::vector<GgufTensor> widened(std::vector<GgufTensor> tensors, const ModelConfig& model) {
  const auto take = [&](std::string_view name) {
    return std::find_if(tensors.begin(), tensors.end(), [&](const GgufTensor& tensor) { return tensor.name == name; });
  };
  const Widening widening(model);
  const GgufTensor bias = *take(kGgufOutputBias);
  const auto own = take(kGgufOutput);
  const GgufTensor output = widening.output(own != tensors.end() ? *own : *take(kGgufTokens), bias);
  std::erase_if(tensors,
                [](const auto& tensor) { return tensor.name == kGgufOutput || tensor.name == kGgufOutputBias; });
  for (GgufTensor& tensor : tensors) widening.apply(tensor);
  tensors.push_back(output);
  return tensors;
}

}  // namespace fabula::convert
