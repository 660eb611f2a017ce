#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabula::serve {

/// The fields of a request's body. A field that is null or missing is not given; one of the wrong type or out of range
/// is a RequestError that names it.
class Fields {
 public:
  /// The object in a body; it must outlive this.
  explicit Fields(const nlohmann::json& object);

  const nlohmann::json* find(const char* name) const;  ///< null: not given
  std::optional<double> number(const char* name, double least, double most) const;
  std::optional<std::int64_t> whole(const char* name, std::int64_t least, std::int64_t most) const;  ///< 1 or 1.0
  bool flag(const char* name) const;  ///< false where it is not given
  std::optional<std::string> text(const char* name) const;
  std::optional<std::vector<std::uint32_t>> ids(const char* name) const;

 private:
  const nlohmann::json& object_;
};

[[noreturn]] void refuse_field(const std::string& name, const std::string& what);
/// A whole number in a range, from 1 or 1.0; absent for anything else.
std::optional<std::int64_t> whole_number(const nlohmann::json& value, std::int64_t least, std::int64_t most);
/// Token ids of a list; absent where an entry is none.
std::optional<std::vector<std::uint32_t>> token_ids(const nlohmann::json& value);

}  // namespace fabula::serve
