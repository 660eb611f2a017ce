#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "commands.hpp"

// Flags and checks that several commands have.
namespace fabula::app {

inline constexpr std::uint64_t kLargestSigned = std::numeric_limits<std::int64_t>::max();

/// CLI11's own checks say a range as two doubles, and take a number too large for its type as the largest.
CLI::Validator whole_number(std::uint64_t min, std::uint64_t max, const std::string& name);
CLI::Validator non_negative(std::uint64_t max = kLargestSigned);
CLI::Validator positive();
CLI::Validator token_count();
CLI::Validator seed();
CLI::Range story_count();
void add_device_flags(CLI::App* sub, vk::DeviceOptions& options);
/// The same for a command whose results rest on the device's kernels: they are checked before their first use.
void add_work_device_flags(CLI::App* sub, vk::DeviceOptions& options);
/// Behind one of these two: which device a process takes that mpirun has started.
void add_rank_device_flags(CLI::App* sub, RankDevices& devices);
CLI::Option* add_compile_flags(CLI::App* sub, CompileArgs& args, const char* help);
void add_model_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides);
void add_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides);
void add_reading_flags(CLI::App* sub, text::TextOptions& options);
CLI::Option* add_format_flag(CLI::App* sub, std::string& format);
void add_cache_flag(CLI::App* sub, std::string& cache);
void add_end_token_flag(CLI::App* sub, std::string& end_token);
void add_weights_flag(CLI::App* sub, std::string& weights);
void add_precision_flag(CLI::App* sub, std::string& precision);

}  // namespace fabula::app
