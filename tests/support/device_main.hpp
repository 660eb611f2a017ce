#pragma once
#include <string>

#include "vk/device.hpp"

namespace fabula::test {

/// The device of this test process, opened once with the flags of its command line: --device, --limits, --validate,
/// --quick, --thin, --best. Throws when there is none: a machine without a device fails these tests, it does not skip
/// them.
vk::Device& device();
bool quick();
/// Fewer of the checks that repeat others in 16 bits: where compiling kernels takes most of the time.
bool thin();
/// Only the best kernel of each case: where compiling the others, checked elsewhere, would take an hour.
bool best_only();

}  // namespace fabula::test
