#pragma once
#include <string>

#include "vk/device.hpp"

namespace fabula::test {

/// The device of this test process, opened once with the flags of its command line: --device, --limits, --validate,
/// --quick, --thin. Throws when there is none: a machine without a device fails these tests, it does not skip them.
vk::Device& device();
bool quick();
/// Fewer of the checks that repeat others in 16 bits: where compiling kernels takes most of the time.
bool thin();

}  // namespace fabula::test
