#pragma once
#include <string>

#include "vk/device.hpp"

namespace fabula::test {

/// The device of this test process, opened once with the flags of its command line: --device, --limits, --validate,
/// --quick, --thin, --best, --cover. Throws when there is none: a machine without a device fails these tests, it does
/// not skip them.
vk::Device& device();
bool quick();
/// Fewer of the checks that repeat others in 16 bits: where compiling kernels takes most of the time.
bool thin();
/// Which of the kernels that can run a case are checked: all; the best one alone; or (--cover) the best one, and all in
/// as few cases as have every kernel checked.
enum class Kernels { kAll, kBest, kCovering };
Kernels kernels();

}  // namespace fabula::test
