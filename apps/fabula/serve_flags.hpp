#pragma once
#include <CLI/CLI.hpp>

#include "serve_command.hpp"

namespace fabula::app {

/// The flags of `fabula serve` but for those that other commands have too.
void add_serve_flags(CLI::App* sub, ServeArgs& args);
/// The same of `fabula bench serve`.
void add_bench_serve_flags(CLI::App* sub, BenchServeArgs& args);

}  // namespace fabula::app
