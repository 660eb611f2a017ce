#include "graph/check.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "graph/compare.hpp"
#include "graph/runtime.hpp"

namespace fabula::graph {
namespace {

constexpr std::uint32_t kPoison = 0x7FC0DEAD;  // a NaN

/// A number as a value of this type holds it.
float stored(float v, DType dtype) {
  return is_half(dtype) ? half_value(dtype, half_bits(dtype, v)) : v;
}

std::vector<RefTensor<double>> make_inputs(const OpEntry& op, const OpCase& op_case) {
  Philox random(fnv1a(std::string(op.def->name) + "/" + op_case.name));
  std::vector<RefTensor<double>> inputs;
  for (const OpCase::Input& input : op_case.inputs) {
    inputs.emplace_back(input.typed());
    for (double& v : inputs.back().f) v = static_cast<float>(random.normal());
  }
  if (op_case.fill) op_case.fill(inputs, random);
  for (RefTensor<double>& tensor : inputs)
    for (double& v : tensor.f) v = stored(static_cast<float>(v), tensor.shape.dtype);
  return inputs;
}

template <class T>
RefTensor<T> convert(const RefTensor<double>& from) {
  RefTensor<T> to(from.shape);
  to.u = from.u;
  std::transform(from.f.begin(), from.f.end(), to.f.begin(), [](double v) { return static_cast<T>(v); });
  return to;
}

/// Whole numbers of few bits as a row of a value holds them, row after row.
std::vector<std::byte> low_bits(const RefTensor<float>& of) {
  const auto bits = static_cast<std::size_t>(element_bits(of.shape.dtype)), each = 8 / bits;
  const auto row_bytes = static_cast<std::size_t>(of.shape.dense_row_bytes());
  const auto cols = static_cast<std::size_t>(of.shape.cols);
  std::vector<std::byte> bytes(static_cast<std::size_t>(of.shape.rows) * row_bytes);
  for (std::size_t i = 0; i < of.u.size(); ++i) {
    const std::size_t col = i % cols, at = i / cols * row_bytes + col / each;
    bytes[at] |= static_cast<std::byte>((of.u[i] & ((1u << bits) - 1)) << bits * (col % each));
  }
  return bytes;
}

/// The op alone in a graph: float inputs are states or parameters, word inputs are inputs, or states where the op
/// writes them.
struct Fixture {
  Graph graph;
  std::vector<Value> inputs, outputs;
  std::vector<std::size_t> mutated;

  Fixture(const OpTable& table, const OpEntry& op, const OpCase& op_case, bool as_parameters) : graph(table) {
    const std::vector<Role> all_states(op_case.inputs.size(), Role::kState);
    Graph probe(table);
    append(probe, op, op_case, all_states);
    mutated = mutated_inputs(probe, probe.nodes().front());
    std::erase_if(mutated, [&](std::size_t i) { return i >= op_case.inputs.size() || !op_case.inputs[i].present; });
    std::vector<Role> roles(op_case.inputs.size(), as_parameters ? Role::kParameter : Role::kState);
    for (std::size_t i = 0; i < roles.size(); ++i)
      if (op_case.inputs[i].dtype == DType::kU32)
        roles[i] = std::find(mutated.begin(), mutated.end(), i) == mutated.end() ? Role::kInput : Role::kState;
    append(graph, op, op_case, roles);
  }

  Role role(std::size_t i) const { return graph.info(inputs[i]).role; }

 private:
  void append(Graph& to, const OpEntry& op, const OpCase& op_case, const std::vector<Role>& roles) {
    inputs.clear();
    for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
      const OpCase::Input& input = op_case.inputs[i];
      const std::string name = fmt::format("in{}", i);
      if (!input.present)
        inputs.emplace_back();
      else if (roles[i] == Role::kInput)
        inputs.push_back(to.input(name, input.shape, input.dtype));
      else
        inputs.push_back(roles[i] == Role::kParameter ? to.parameter(name, input.typed())
                                                      : to.state(name, input.typed()));
    }
    outputs = to.op(op.def->name, std::span<const Value>(inputs), op_case.attrs);
  }
};

class VariantCheck {
 public:
  VariantCheck(vk::Device& device, const vk::DeviceProfile& profile, const OpTable& table, const OpEntry& op,
               const SizedCase& sized, const std::string& variant)
      : op_(op),
        op_case_(sized.small()),
        inputs_(make_inputs(op, op_case_)),
        tiles_(table, op, op_case_, false),
        fixture_(table, op, sized.launch, false) {
    for (Value output : fixture_.outputs) fixture_.graph.keep(output);
    result_ = {.op = std::string(op.def->name), .case_name = op_case_.name, .variant = variant, .detail = {}};
    Workload workload(profile, variant);
    workload.add(result_.op, fixture_.graph);
    runtime_.emplace(device, std::move(workload), RuntimeOptions{.self_test = false});
  }

  CheckResult run(int repeats) {
    run_reference();
    std::vector<std::vector<std::uint32_t>> first;
    for (int repeat = 0; repeat < repeats && result_.ok; ++repeat) {
      std::vector<std::vector<std::uint32_t>> outcome = run_device(repeat == 0);
      if (repeat == 0)
        first = std::move(outcome);
      else if (outcome != first) {
        result_.ok = false;
        result_.detail = fmt::format("run {} differs from run 1 in some bits", repeat + 1);
      }
    }
    return result_;
  }

 private:
  void run_reference() {
    for (const RefTensor<double>& input : inputs_) expected_in_.push_back(convert<float>(input));
    RefCall<float> call{op_case_.attrs, {}, {}};
    for (std::size_t i = 0; i < expected_in_.size(); ++i)
      call.in.push_back(fixture_.inputs[i] ? &expected_in_[i] : nullptr);
    while (call.in.size() < op_.def->inputs.size()) call.in.push_back(nullptr);
    for (Value output : tiles_.outputs) expected_out_.emplace_back(tiles_.graph.shape(output));
    for (RefTensor<float>& output : expected_out_) call.out.push_back(&output);
    op_.reference_f32(call);
  }

  double inner_error() const {
    double unit = 0;
    for (const RefTensor<double>& input : inputs_) unit = std::max(unit, storage_error(input.shape.dtype));
    return op_.def->half_inner * unit;
  }

  std::vector<std::vector<std::uint32_t>> run_device(bool judge) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!fixture_.inputs[i]) continue;
      const std::string name = fmt::format("in{}", i);
      const bool is_input = fixture_.role(i) == Role::kInput;
      if (!judge && !is_input && !is_mutated(i)) continue;  // it is still there
      const RefTensor<float> full = repeated(convert<float>(inputs_[i]), fixture_.graph.shape(fixture_.inputs[i]));
      if (is_input)
        runtime_->set_input(0, name, std::span<const std::uint32_t>(full.u));
      else if (is_scaled(full.shape.dtype))
        runtime_->upload(name, full.shape.dtype, low_bits(full));
      else if (full.shape.dtype == DType::kU32)
        runtime_->upload(name, std::span<const std::uint32_t>(full.u));
      else
        runtime_->upload(name, full.f);
    }
    runtime_->fill_arena(kPoison);
    runtime_->submit({0});
    std::vector<std::vector<std::uint32_t>> outcome;
    for (std::size_t i = 0; i < fixture_.outputs.size(); ++i) {
      const Value output = fixture_.outputs[i];
      outcome.push_back(runtime_->read_padded(0, output));
      if (!judge) continue;
      const std::string what = fmt::format("output {}", i);
      const Shape& shape = fixture_.graph.shape(output);
      if (is_float(expected_out_[i].shape.dtype))
        compare(result_, op_case_, what, runtime_->read(0, output), shape.cols, expected_out_[i], inner_error());
      else
        compare_words(result_, what, runtime_->read_words(0, output), shape.cols, expected_out_[i]);
      check_padding(result_, what, shape, outcome.back());
    }
    for (const std::size_t i : fixture_.mutated) {
      const std::string what = fmt::format("input {}", i);
      const Shape& shape = fixture_.graph.shape(fixture_.inputs[i]);
      if (!is_float(shape.dtype)) {
        std::vector<std::uint32_t> words(static_cast<std::size_t>(shape.count()));
        runtime_->download(fmt::format("in{}", i), words);
        if (judge) compare_words(result_, what, words, shape.cols, expected_in_[i]);
        outcome.push_back(std::move(words));
        continue;
      }
      std::vector<float> data(static_cast<std::size_t>(shape.count()));
      runtime_->download(fmt::format("in{}", i), data);
      if (judge) compare(result_, op_case_, what, data, shape.cols, expected_in_[i], 0);
      outcome.emplace_back(data.size());
      std::memcpy(outcome.back().data(), data.data(), data.size() * 4);
    }
    return outcome;
  }

  bool is_mutated(std::size_t i) const {
    return std::find(fixture_.mutated.begin(), fixture_.mutated.end(), i) != fixture_.mutated.end();
  }

  const OpEntry& op_;
  const OpCase op_case_;  ///< of the tiles
  std::vector<RefTensor<double>> inputs_;
  Fixture tiles_, fixture_;
  CheckResult result_;
  std::optional<Runtime> runtime_;
  std::vector<RefTensor<float>> expected_in_, expected_out_;
};

/// sum(weights * output 0) as a function of the inputs.
double objective(const OpEntry& op, const OpCase& op_case, const Fixture& fixture,
                 std::vector<RefTensor<double>> inputs, const std::vector<double>& weights) {
  RefCall<double> call{op_case.attrs, {}, {}};
  for (std::size_t i = 0; i < inputs.size(); ++i) call.in.push_back(fixture.inputs[i] ? &inputs[i] : nullptr);
  while (call.in.size() < op.def->inputs.size()) call.in.push_back(nullptr);
  std::vector<RefTensor<double>> outputs;
  for (Value output : fixture.outputs) outputs.emplace_back(fixture.graph.shape(output));
  for (RefTensor<double>& output : outputs) call.out.push_back(&output);
  op.reference_f64(call);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * outputs[0].f[i];
  return sum;
}

/// Throws kDevice for a kernel at which the driver's compiler has crashed: it would again.
void refuse_crashing(const Graph& graph, const std::string& variant, const vk::DeviceProfile& profile,
                     const vk::KernelFaults& faults) {
  if (faults.empty()) return;
  for (const vk::KernelKey& key : kernels_of(graph, graph.nodes().front(), profile, variant)) {
    const auto fault = faults.find(to_string(key));
    if (fault != faults.end() && fault->second == vk::kCrashes)
      fail(ErrorCode::kDevice, "an earlier start ended while the driver compiled {}", to_string(key));
  }
}

}  // namespace

std::vector<CheckResult> check_case(vk::Device& device, const OpTable& table, const OpEntry& op, const OpCase& op_case,
                                    const CheckOptions& options) {
  std::vector<CheckResult> results;
  const Fixture fixture(table, op, op_case, false);
  const vk::DeviceProfile& profile = options.profile ? *options.profile : device.profile();
  std::vector<std::string> variants = variants_of(fixture.graph, fixture.graph.nodes().front(), profile);
  variants.resize(std::min(variants.size(), options.variants));
  for (const std::string& variant : variants) {
    try {
      refuse_crashing(fixture.graph, variant, profile, device.profile().faults);
      results.push_back(check_variant(device, table, op, {.launch = op_case}, variant, options));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kDeviceLost) throw;
      results.push_back({std::string(op.def->name), op_case.name, variant, false, INFINITY, error.what()});
    }
  }
  return results;
}

CheckResult check_variant(vk::Device& device, const OpTable& table, const OpEntry& op, const SizedCase& sized,
                          const std::string& variant, const CheckOptions& options) {
  const vk::DeviceProfile& profile = options.profile ? *options.profile : device.profile();
  return VariantCheck(device, profile, table, op, sized, variant).run(options.repeats);
}

std::vector<vk::KernelKey> kernels_of_case(const vk::DeviceProfile& profile, const OpTable& table, const OpEntry& op,
                                           const OpCase& op_case, const std::string& variant) {
  const Fixture fixture(table, op, op_case, false);
  const Node& node = fixture.graph.nodes().front();
  const std::vector<std::string> variants = variants_of(fixture.graph, node, profile);
  if (std::find(variants.begin(), variants.end(), variant) == variants.end()) return {};
  return kernels_of(fixture.graph, node, profile, variant);
}

Cost cost_of_case(const OpTable& table, const OpEntry& op, const OpCase& op_case) {
  const Fixture fixture(table, op, op_case, false);
  return cost_of(fixture.graph, fixture.graph.nodes().front());
}

std::vector<OpCase> cases_of(const OpEntry& op) {
  constexpr std::size_t kBf16Cases = 2;
  std::vector<OpCase> cases = op.cases();
  if (op.def->half.empty()) return cases;
  const std::size_t own = cases.size();
  const auto half_input = [&](std::size_t i) {
    const std::string_view name = op.def->inputs[i];
    return std::find(op.def->half.begin(), op.def->half.end(), name.substr(0, name.find('?'))) != op.def->half.end();
  };
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    for (std::size_t c = 0; c < own && !(dtype == DType::kBF16 && c == kBf16Cases); ++c) {
      OpCase twin = cases[c];
      twin.name += fmt::format("_{}", to_string(dtype));
      for (std::size_t i = 0; i < twin.inputs.size(); ++i)
        if (half_input(i)) twin.inputs[i].dtype = dtype;
      cases.push_back(std::move(twin));
    }
  }
  return cases;
}

std::vector<CheckResult> check_op(vk::Device& device, const OpTable& table, const OpEntry& op,
                                  const CheckOptions& options) {
  std::vector<CheckResult> results;
  for (const OpCase& op_case : cases_of(op)) {
    if (op_case.large && !options.large) continue;
    for (CheckResult& result : check_case(device, table, op, op_case, options)) results.push_back(std::move(result));
  }
  return results;
}

std::vector<CaseKernel> case_kernels(const vk::DeviceProfile& profile, const OpTable& table, const OpEntry& op,
                                     const CheckOptions& options) {
  std::vector<CaseKernel> kernels;
  for (const OpCase& op_case : cases_of(op)) {
    if (op_case.large && !options.large) continue;
    const Fixture fixture(table, op, op_case, false);
    const Node& node = fixture.graph.nodes().front();
    std::vector<std::string> variants = variants_of(fixture.graph, node, profile);
    variants.resize(std::min(variants.size(), options.variants));
    for (const std::string& variant : variants)
      for (vk::KernelKey& key : kernels_of(fixture.graph, node, profile, variant)) {
        const bool is_default = variant == variants.front();
        const auto known =
            std::find_if(kernels.begin(), kernels.end(), [&](const CaseKernel& kernel) { return kernel.key == key; });
        if (known != kernels.end())
          known->is_default = known->is_default || is_default;
        else
          kernels.push_back({std::move(key), std::string(op.def->name), op_case.name, variant, is_default});
      }
  }
  return kernels;
}

CheckResult check_gradient(const OpTable& table, const OpEntry& op, const OpCase& op_case) {
  CheckResult result{.op = std::string(op.def->name), .case_name = op_case.name, .variant = {}, .detail = {}};
  std::vector<RefTensor<double>> inputs = make_inputs(op, op_case);
  const Fixture plain(table, op, op_case, true);
  Fixture fixture(table, op, op_case, true);
  Graph& graph = fixture.graph;
  const Value seed = graph.state("seed", graph.shape(fixture.outputs[0]));
  std::vector<Value> wrt;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (fixture.inputs[i] && is_float(inputs[i].shape.dtype)) wrt.push_back(fixture.inputs[i]);
  const std::vector<Value> gradients = differentiate(graph, std::vector<Seed>{{fixture.outputs[0], seed}}, wrt);
  Philox random(fnv1a(result.op + "/gradient/" + op_case.name));
  std::vector<RefTensor<double>> values(graph.values().size());
  RefTensor<double> weights(graph.shape(seed));
  for (double& w : weights.f) w = random.normal();
  values[static_cast<std::size_t>(seed.id)] = weights;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (fixture.inputs[i]) values[static_cast<std::size_t>(fixture.inputs[i].id)] = inputs[i];
  interpret(graph, values);

  int compared = 0;
  for (std::size_t w = 0; w < wrt.size(); ++w) {
    if (!gradients[w]) continue;
    const std::size_t i = static_cast<std::size_t>(std::find(fixture.inputs.begin(), fixture.inputs.end(), wrt[w]) -
                                                   fixture.inputs.begin());
    const std::vector<double>& analytic = values[static_cast<std::size_t>(gradients[w].id)].f;
    double scale = 1e-3;
    for (double g : analytic) scale = std::max(scale, std::abs(g));
    const std::size_t samples = std::min<std::size_t>(inputs[i].f.size(), 24);
    for (std::size_t s = 0; s < samples; ++s, ++compared) {
      const std::size_t at =
          inputs[i].f.size() <= 24 ? s : random.below(static_cast<std::uint32_t>(inputs[i].f.size()));
      const double step = 1e-5 * std::max(1.0, std::abs(inputs[i].f[at]));
      std::vector<RefTensor<double>> up = inputs, down = inputs;
      up[i].f[at] += step;
      down[i].f[at] -= step;
      const double numeric =
          (objective(op, op_case, plain, up, weights.f) - objective(op, op_case, plain, down, weights.f)) / (2 * step);
      const double error = std::abs(numeric - analytic[at]) / (1e-6 * scale);
      result.worst = std::max(result.worst, error);
      if (error <= 1 || !result.ok) continue;
      result.ok = false;
      result.detail = fmt::format("d_{}[{}]: rule gives {:.9g}, central difference {:.9g}", op.def->inputs[i], at,
                                  analytic[at], numeric);
    }
  }
  if (compared == 0) {
    result.ok = false;
    result.detail = "no input got a gradient";
  }
  return result;
}

}  // namespace fabula::graph
