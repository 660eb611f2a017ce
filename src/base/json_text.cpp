#include "base/json_text.hpp"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/fail.hpp"
#include "base/file_kind.hpp"

namespace fabula {

using nlohmann::json;

namespace {

/// Builds what the parser reads, as its own builder does, within limits and without a second set of keys: an object
/// that has the key already says so.
class BoundedBuilder final : public nlohmann::json_sax<json> {
 public:
  BoundedBuilder(std::string_view source, const JsonLimits& limits) : source_(source), limits_(limits) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in JSON texts
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    const auto [entry, is_new] = open_.back()->get_ref<json::object_t&>().emplace(std::move(name), nullptr);
    if (!is_new) fail(ErrorCode::kFormat, "{}: the key \"{}\" is there twice", source_, entry->first);
    value_ = &entry->second;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fail(ErrorCode::kFormat, "{}: not valid JSON: {}", source_, json_message(error.what()));
  }

  json take() { return std::move(root_); }

 private:
  /// Where the next value belongs: into the root, the list that is open, or behind the key that came last.
  json& place(json value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_array()) return open_.back()->get_ref<json::array_t&>().emplace_back(std::move(value));
    return *value_ = std::move(value);
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  bool open(json empty) {
    if (open_.size() >= static_cast<std::size_t>(limits_.max_depth)) {
      fail(ErrorCode::kFormat, "{}: JSON nested deeper than {} levels", source_, limits_.max_depth);
    }
    open_.push_back(&place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view source_;
  const JsonLimits& limits_;
  json root_;
  std::vector<json*> open_;  // their addresses stay: an open list grows only when what is open in it is closed
  json* value_ = nullptr;
};

}  // namespace

std::string json_message(std::string_view what) {
  const std::size_t end = what.find("] ");
  return std::string(what.starts_with('[') && end != what.npos ? what.substr(end + 2) : what);
}

json parse_json(std::string_view text, std::string_view source, const JsonLimits& limits) {
  refuse_git_lfs_pointer(text, source);
  if (text.size() > limits.max_bytes) {
    fail(ErrorCode::kFormat, "{}: {} bytes of JSON, at most {} are expected", source, text.size(), limits.max_bytes);
  }
  BoundedBuilder builder(source, limits);
  json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace fabula
