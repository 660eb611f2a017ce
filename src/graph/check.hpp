#pragma once
#include <string>
#include <vector>

#include "graph/op.hpp"
#include "graph/sized_case.hpp"
#include "vk/device.hpp"

namespace fabula::graph {

/// The verdict on one op in one configuration with one kernel variant.
struct CheckResult {
  std::string op, case_name, variant;
  bool ok = true;
  double worst = 0;    ///< largest |device - reference| over what is allowed; at most 1 when ok
  std::string detail;  ///< of a miss: output, position, expected, actual
};

struct CheckOptions {
  int repeats = 3;                             ///< runs that must agree bit by bit
  bool large = true;                           ///< also cases marked large
  const vk::DeviceProfile* profile = nullptr;  ///< lowered limits to plan for; null: the device's own
  std::size_t variants = SIZE_MAX;             ///< only so many kernel variants of a node, the best first
};

/// Every configuration in which an op is checked: its own cases and, for an op that takes 16-bit values, twins of them
/// with its `half` inputs in fp16, of the first ones in bf16 too.
std::vector<OpCase> cases_of(const OpEntry& op);

/// Runs every case and every variant that the device can run against the CPU reference. Memory is poisoned with NaN
/// before each run, padding must come out zero, repeats must be bit-identical.
std::vector<CheckResult> check_op(vk::Device& device, const OpTable& table, const OpEntry& op,
                                  const CheckOptions& options = {});

/// One case of it; one result a variant.
std::vector<CheckResult> check_case(vk::Device& device, const OpTable& table, const OpEntry& op, const OpCase& op_case,
                                    const CheckOptions& options = {});

/// One case in one variant; its inputs may repeat tiles. Throws as the device does.
CheckResult check_variant(vk::Device& device, const OpTable& table, const OpEntry& op, const SizedCase& sized,
                          const std::string& variant, const CheckOptions& options = {});

/// The kernels of a case in one variant; none where the device cannot run it so. No device.
std::vector<vk::KernelKey> kernels_of_case(const vk::DeviceProfile& profile, const OpTable& table, const OpEntry& op,
                                           const OpCase& op_case, const std::string& variant);

/// The work of a case.
Cost cost_of_case(const OpTable& table, const OpEntry& op, const OpCase& op_case);

/// A kernel that some case of an op is computed with.
struct CaseKernel {
  vk::KernelKey key;
  std::string op, case_name, variant;  ///< of the first case that has it
  bool is_default = false;             ///< of some case's first variant: what is taken where nothing was measured
};

/// The kernels of every case and variant of an op, each once, as CheckOptions::large and `variants` say. No device.
std::vector<CaseKernel> case_kernels(const vk::DeviceProfile& profile, const OpTable& table, const OpEntry& op,
                                     const CheckOptions& options = {});

/// The gradient rule of an op, evaluated by the references in double, against central differences of the reference. No
/// device. Output 0 is the one that carries a gradient.
CheckResult check_gradient(const OpTable& table, const OpEntry& op, const OpCase& op_case);

}  // namespace fabula::graph
