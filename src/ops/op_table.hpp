#pragma once
#include "graph/op.hpp"

namespace fabula::ops {

/// Every op of the build (generated; cmake/FabulaOpTable.cmake).
const graph::OpTable& op_table();

}  // namespace fabula::ops
