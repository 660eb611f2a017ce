#include "graph/self_test.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <new>
#include <set>

#include "base/fail.hpp"
#include "base/log.hpp"

namespace fabula::graph {
namespace {

constexpr const char* kHowToReport =
    "please report this with what `fabula check` prints: only so will it be known of this driver";

class SelfTest {
 public:
  SelfTest(vk::Device& device, const Workload& workload) : device_(device), workload_(workload) {}

  /// False where kernels were distrusted: the workload is to be planned anew.
  bool holds() {
    const std::vector<SelfTestNode> subjects = self_test_nodes(workload_, [&](const vk::KernelKey& kernel) {
      return device_.notes().verdict(kernel) || fault(kernel) == vk::kWrong;
    });
    if (!subjects.empty()) {
      compile(subjects);
      const auto begin = std::chrono::steady_clock::now();
      for (const SelfTestNode& subject : subjects) {
        if (progress_redraws()) log_progress("self-test of " + subject.kernels.front().shader);
        check(subject);
        if (replaced_) break;  // what others share with the wrong one is told apart when all is planned anew
      }
      log_progress({});
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      tell(took.count());
      device_.save_pipeline_cache();
    }
    return !replaced_;
  }

  /// Throws kDevice for a kernel that is known to be wrong and has no other in its place.
  void refuse_wrong() const {
    for (const PlannedGraph& planned : workload_.graphs())
      for (const Step& step : planned.program.steps)
        if (!step.shader.empty() && fault(kernel_of(step)) == vk::kWrong)
          refuse(*planned.graph.nodes()[static_cast<std::size_t>(step.node)].op, to_string(kernel_of(step)),
                 fmt::format("it did not hold when it was checked, as {} says", device_.notes().path().string()));
  }

 private:
  std::uint64_t fault(const vk::KernelKey& kernel) const {
    const vk::KernelFaults& faults = device_.profile().faults;
    const auto known = faults.find(to_string(kernel));
    return known == faults.end() ? 0 : known->second;
  }

  /// All at once on all of the machine's threads. What does not compile shows when it is checked.
  void compile(const std::vector<SelfTestNode>& subjects) {
    std::vector<vk::KernelKey> kernels;
    for (const SelfTestNode& subject : subjects) {
      if (!subject.by) continue;
      const std::vector<vk::KernelKey> needed = kernels_of_case(workload_.profile(), subject.graph->table(),
                                                                *subject.node->op, subject.by->launch, subject.variant);
      kernels.insert(kernels.end(), needed.begin(), needed.end());
    }
    try {
      device_.prepare_pipelines(kernels);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kDeviceLost) throw;
    }
  }

  /// Nothing where the device has too little memory for the case.
  std::optional<CheckResult> run(const SelfTestNode& subject) {
    const OpEntry& op = *subject.node->op;
    CheckResult result{.op = std::string(op.def->name), .case_name = {}, .variant = subject.variant, .detail = {}};
    try {
      const vk::KernelNotes::OnTrial marker(device_.notes(), subject.kernels, vk::KernelNotes::Trial::kRun);
      return check_variant(device_, subject.graph->table(), op, *subject.by, subject.variant,
                           {.profile = &workload_.profile()});
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kOutOfMemory) return std::nullopt;
      if (error.code() == ErrorCode::kDeviceLost) {
        distrust(subject.kernels, vk::kCrashes);  // tried again where there is no other: a device can be lost to others
        fail(ErrorCode::kDeviceLost,
             "{} (while {} was checked; the next start takes another kernel where there is one)", error.what(),
             to_string(subject.kernels.front()));
      }
      result.ok = false;
      result.detail = error.what();
      return result;
    } catch (const std::bad_alloc&) {
      return std::nullopt;
    }
  }

  void check(const SelfTestNode& subject) {
    if (!subject.by) {
      note(subject);
      return;
    }
    const std::optional<CheckResult> result = run(subject);
    if (!result)
      for (const vk::KernelKey& kernel : subject.kernels) too_large_.insert(kernel.shader);
    else if (result->ok)
      note(subject);
    else if (!replace(subject, *result))
      refuse(*subject.node->op, to_string(subject.kernels.front()), result->detail);
  }

  void note(const SelfTestNode& subject) {
    for (const vk::KernelKey& kernel : subject.kernels) {
      device_.note_verdict(kernel, subject.worth);
      ++noted_[subject.worth];
      if (subject.worth != vk::Verdict::kHolds) named_[subject.worth].insert(kernel.shader);
    }
  }

  /// What was checked, once, and what was not.
  void tell(double seconds) {
    std::string more;
    if (const auto alike = named_.find(vk::Verdict::kAlike); alike != named_.end())
      more = fmt::format("; {} more, of {}, with other sizes than this work's alone", noted_[vk::Verdict::kAlike],
                         fmt::join(alike->second, ", "));
    info("self-test: {} kernels were compared with the CPU's results on {}, once for this driver ({:.1f} s){}",
         noted_[vk::Verdict::kHolds], device_.profile().name, seconds, more);
    if (const auto unchecked = named_.find(vk::Verdict::kUnchecked); unchecked != named_.end())
      warn("self-test: nothing here compares {} with the CPU's results", fmt::join(unchecked->second, ", "));
    if (!too_large_.empty())
      warn("self-test: {} was not checked, for want of memory; the next start tries again",
           fmt::join(too_large_, ", "));
  }

  void distrust(const std::vector<vk::KernelKey>& kernels, std::uint64_t fault) {
    for (const vk::KernelKey& kernel : kernels) device_.note_fault(kernel, fault);
    device_.save_pipeline_cache();
  }

  /// Finds the next variant that holds. Kernels that it has too are not to blame.
  bool replace(const SelfTestNode& wrong, const CheckResult& miss) {
    const vk::DeviceProfile& profile = workload_.profile();
    for (const std::string& variant : variants_of(*wrong.graph, *wrong.node, profile)) {
      if (variant == wrong.variant) continue;
      std::vector<vk::KernelKey> kernels = kernels_of(*wrong.graph, *wrong.node, profile, variant);
      if (std::any_of(kernels.begin(), kernels.end(),
                      [&](const vk::KernelKey& kernel) { return vk::is_distrusted(fault(kernel)); }))
        continue;
      std::vector<vk::KernelKey> to_blame;
      for (const vk::KernelKey& kernel : wrong.kernels)
        if (std::find(kernels.begin(), kernels.end(), kernel) == kernels.end()) to_blame.push_back(kernel);
      if (to_blame.empty()) continue;
      const std::string instead = to_string(kernels.front());
      if (!all_hold(self_test_nodes(*wrong.graph, *wrong.node, profile, variant, std::move(kernels)))) continue;
      distrust(to_blame, vk::kWrong);
      replaced_ = true;
      warn("{} ({}) computes wrong numbers with {}: {}. {} takes its place from now on; {}", device_.profile().name,
           device_.info().driver, to_string(to_blame.front()), miss.detail, instead, kHowToReport);
      return true;
    }
    return false;
  }

  bool all_hold(const std::vector<SelfTestNode>& subjects) {
    for (const SelfTestNode& subject : subjects) {
      const std::optional<CheckResult> result = subject.by ? run(subject) : std::nullopt;
      if (!result || !result->ok) return false;
    }
    for (const SelfTestNode& subject : subjects) note(subject);
    return true;
  }

  [[noreturn]] void refuse(const OpEntry& op, const std::string& kernel, const std::string& why) const {
    log_progress({});
    fail(
        ErrorCode::kDevice,
        "{} ({}) computes wrong numbers with {}, and no other kernel of {} holds: {}. Another version of the driver or "
        "another device (--device) may do better; --no-self-test goes on all the same, with wrong numbers; {}",
        device_.profile().name, device_.info().driver, kernel, op.def->name, why, kHowToReport);
  }

  vk::Device& device_;
  const Workload& workload_;
  bool replaced_ = false;
  std::map<vk::Verdict, std::size_t> noted_;            ///< kernels
  std::map<vk::Verdict, std::set<std::string>> named_;  ///< their shaders, where more is to be said than a number
  std::set<std::string> too_large_;
};

}  // namespace

Workload self_tested(vk::Device& device, Workload workload) {
  if (!device.wants_self_test()) return workload;
  for (;;) {
    SelfTest test(device, workload);
    if (test.holds()) {
      test.refuse_wrong();
      return workload;
    }
    workload = workload.with_faults(device.profile().faults);
  }
}

}  // namespace fabula::graph
