#include "common_flags.hpp"

#include <fmt/format.h>

#include <charconv>

#include "weights/format.hpp"

namespace fabula::app {

CLI::Validator whole_number(std::uint64_t min, std::uint64_t max, const std::string& name) {
  const auto check = [=](const std::string& text) -> std::string {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, code] = std::from_chars(text.data(), end, value);
    if (code == std::errc() && stopped == end && value >= min && value <= max) return "";
    return fmt::format("{} is not a whole number from {} to {}", text, min, max);
  };
  return CLI::Validator(check, name);
}

CLI::Validator non_negative(std::uint64_t max) {
  return whole_number(0, max, "NONNEGATIVE");
}

CLI::Validator positive() {
  return whole_number(1, kLargestSigned, "POSITIVE");
}

CLI::Validator token_count() {
  return whole_number(0, std::numeric_limits<std::uint32_t>::max(), "");
}

CLI::Validator seed() {
  return non_negative(std::numeric_limits<std::uint64_t>::max());
}

CLI::Range story_count() {
  return {1, 100'000'000};
}

void add_device_flags(CLI::App* sub, vk::DeviceOptions& options) {
  sub->add_option("--device", options.device, "Vulkan device: index, part of its name, or UUID (fabula devices)");
  sub->add_option("--limits", options.limits, "lower the device's limits: native, vulkan-minimum, or a JSON file")
      ->capture_default_str();
  sub->add_option("--memory", options.memory, "device memory that may be used: 4GiB, 500MB; missing: all of it")
      ->transform(CLI::AsSizeValue(true));
  sub->add_flag("--validate", options.validate, "run under the Vulkan validation layer, synchronization included");
  sub->add_option("--cache-dir", options.cache_dir, "folder of the pipeline cache; \"none\" for no cache");
}

void add_work_device_flags(CLI::App* sub, vk::DeviceOptions& options) {
  add_device_flags(sub, options);
  options.self_test = true;
  sub->add_flag("!--no-self-test", options.self_test,
                "use kernels unchecked: their first use with a driver does not compare them with the CPU's results");
}

void add_rank_device_flags(CLI::App* sub, RankDevices& devices) {
  sub->add_option(
         "--devices", devices.names,
         "under mpirun: the devices of a host's processes, in order, as --device names them: 0,1; missing: all "
         "that it has")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(sub->get_option("--device"));
  sub->add_flag("--share-device", devices.share,
                "under mpirun: more processes than devices take turns, for tests; nothing gets faster by it");
}

CLI::Option* add_compile_flags(CLI::App* sub, CompileArgs& args, const char* help) {
  CLI::Option* compile = sub->add_flag("--compile", args.compile, help);
  sub->add_flag("--statistics", args.statistics, "ask the driver for each kernel's registers, spills and memory")
      ->needs(compile);
  sub->add_flag("--no-spills", args.no_spills,
                "a kernel that is taken by default and spills registers is a failure (implies --statistics)")
      ->needs(compile);
  return compile;
}

void add_model_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides) {
  sub->add_option("config", config, "config.json, or a folder that has one")->required();
  sub->add_option("--set", overrides, "override a config key: --set train.learning_rate=1e-3 (repeatable)")
      ->allow_extra_args(false);
}

void add_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides) {
  add_model_config_flags(sub, config, overrides);
  // Behind --set: callbacks run in the order of declaration, and these add to what --set has filled.
  sub->add_option_function<std::string>(
         "--precision", [&overrides](const std::string& value) { overrides.push_back("train.precision=" + value); },
         "what activations are stored in, as --set train.precision: fp32, bf16 or fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
  sub->add_option_function<std::string>(
         "--recompute", [&overrides](const std::string& value) { overrides.push_back("train.recompute=" + value); },
         "what the backward pass computes again, as --set train.recompute: none, block, or auto (block if memory "
         "needs it)")
      ->check(CLI::IsMember({"auto", "none", "block"}));
}

void add_reading_flags(CLI::App* sub, text::TextOptions& options) {
  sub->add_flag("--keep-line-ends", options.keep_line_ends, "texts keep CRLF and CR, which become LF otherwise");
  sub->add_flag("--bytes", options.bytes,
                "take texts as they are, whatever their bytes: nothing is refused or changed");
}

CLI::Option* add_format_flag(CLI::App* sub, std::string& format) {
  return sub->add_option("-o,--output", format, "a table as md, csv or json")
      ->check(CLI::IsMember({"md", "csv", "json"}))
      ->capture_default_str();
}

void add_cache_flag(CLI::App* sub, std::string& cache) {
  sub->add_option("--cache", cache, "what keys and values are kept in: fp32, fp16, bf16")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}))
      ->capture_default_str();
}

void add_end_token_flag(CLI::App* sub, std::string& end_token) {
  sub->add_option("--end-token", end_token,
                  "text of the token that ends a document; missing: as the tokenizer's files say");
}

void add_weights_flag(CLI::App* sub, std::string& weights) {
  sub->add_option(
         "--weights", weights,
         "what the model's matrices are stored in: fp32, fp16, bf16, int8 or int4 with a scale for each 32, or as the "
         "folder has them (stored)")
      ->check(CLI::IsMember(std::vector<std::string>(weights::kFormatNames.begin(), weights::kFormatNames.end())))
      ->capture_default_str();
}

void add_precision_flag(CLI::App* sub, std::string& precision) {
  sub->add_option("--precision", precision, "what activations are stored in: fp32, bf16 or fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->capture_default_str();
}

}  // namespace fabula::app
