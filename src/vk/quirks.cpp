#define VK_NO_PROTOTYPES
#include "vk/quirks.hpp"

#include <volk.h>

namespace fabula::vk {
namespace {

// Mesa, src/gallium/auxiliary/gallivm/lp_bld_limits.h: LP_MAX_TGSI_LOOP_ITERATIONS. The counter runs over all loops of
// an invocation; when it is spent every loop body runs once more and the loop ends, without any error.
constexpr std::uint64_t kLlvmpipeLoopIterations = 65535;

// Windows resets a GPU after 2 s (TDR, "TdrDelay" in Microsoft's WDDM documentation); the Linux amdgpu driver's lockup
// timeout starts at 2 s for compute on APUs (module parameter lockup_timeout). A quarter of that leaves room for a
// misprediction.
constexpr double kGpuSubmitSeconds = 0.5;
// No watchdog watches a software driver; a bound keeps Ctrl-C and progress lines alive.
constexpr double kSoftwareSubmitSeconds = 4.0;

}  // namespace

Quirks quirks_of(const DriverFacts& driver) {
  Quirks quirks;
  quirks.submit_seconds = driver.software ? kSoftwareSubmitSeconds : kGpuSubmitSeconds;
  if (driver.driver_id == VK_DRIVER_ID_MESA_LLVMPIPE) quirks.max_loop_iterations = kLlvmpipeLoopIterations;
  // RADV of Mesa 22.3.6 on RDNA corrupts its heap while it captures the statistics of these two; 25.0.7 does not, nor
  // does either without capturing.
  if (driver.driver_id == VK_DRIVER_ID_MESA_RADV && driver.subgroup_sizes_vary &&
      driver.driver_version < VK_MAKE_VERSION(23, 0, 0)) {
    quirks.untold_begin = "attention_backward_";
    quirks.untold_end = "_split";
  }
  return quirks;
}

}  // namespace fabula::vk
